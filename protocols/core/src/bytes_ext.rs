//! Kept bytes are owned bytes.

use bytes::Bytes;

/// Makes `slice` fit to be kept, given that it was cut from a buffer of `holder` bytes.
///
/// A slice keeps its whole buffer alive. What goes into a queue, a cache or a user's hands is therefore copied when it
/// is shorter than a quarter of the buffer that holds it, so that a limit on kept lengths bounds kept memory too, within
/// a factor of four.
///
/// ```
/// use glowplug_core::keep;
/// let buffer = bytes::Bytes::from(vec![7; 1000]);
/// let short = keep(buffer.slice(..10), buffer.len()); // copied: 10 bytes do not pin 1000
/// let long = keep(buffer.slice(..900), buffer.len()); // shared
/// assert_ne!(short.as_ptr(), buffer.as_ptr());
/// assert_eq!(long.as_ptr(), buffer.as_ptr());
/// ```
#[inline]
pub fn keep(slice: Bytes, holder: usize) -> Bytes {
    if slice.len() < holder / 4 { Bytes::copy_from_slice(&slice) } else { slice }
}
