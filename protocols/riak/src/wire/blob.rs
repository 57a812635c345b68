//! Bytes of any length: what the fields of messages hold.

use alloc::string::String;
use alloc::vec::Vec;
use core::borrow::Borrow;
use core::cmp::Ordering;
use core::fmt;
use core::hash::{Hash, Hasher};
use core::ops::Deref;
use core::str::Utf8Error;

use bytes::Bytes;

/// Bytes up to this length lie in the value itself. A UUID in text has 36, a vtag 22.
pub(super) const INLINE: usize = 38;

/// Bytes of any length: up to 38 of them lie in the value itself, more are a [`Bytes`] that may share memory with others.
///
/// A reply of Riak is full of short values (keys, tags, media types, index entries). Were each of them a slice of the frame they came in, decoding would
/// count references most of its time, and whoever keeps one key would keep the whole frame. So short ones are copied, which takes fewer
/// instructions than counting, and long ones share the memory of the frame.
///
/// It is made of anything that is bytes, reads as a slice, and becomes [`Bytes`] by `into()`.
///
/// ```
/// use bytes::Bytes;
/// use glowplug_riak::Blob;
///
/// let key = Blob::from("person-0001");
/// assert_eq!(key, "person-0001");
/// assert_eq!(key.to_str(), Ok("person-0001"));
/// assert_eq!(key.len(), 11);
/// let bytes: Bytes = key.into();
/// assert_eq!(&bytes[..6], b"person");
/// ```
#[derive(Clone)]
pub struct Blob(Repr);

#[derive(Clone)]
enum Repr {
    /// So many bytes of the array; what stands behind them means nothing.
    Short {
        len: u8,
        bytes: [u8; INLINE],
    },
    Long(Bytes),
}

impl Blob {
    /// No bytes.
    pub const fn new() -> Self {
        Self(Repr::Short { len: 0, bytes: [0; INLINE] })
    }

    /// Bytes that are there as long as the program, never copied.
    pub const fn from_static(bytes: &'static [u8]) -> Self {
        Self(Repr::Long(Bytes::from_static(bytes)))
    }

    /// A copy of `bytes`.
    pub fn copy_from_slice(bytes: &[u8]) -> Self {
        Self::short(bytes).unwrap_or_else(|| Self(Repr::Long(Bytes::copy_from_slice(bytes))))
    }

    fn short(bytes: &[u8]) -> Option<Self> {
        let mut array = [0; INLINE];
        array.get_mut(..bytes.len())?.copy_from_slice(bytes);
        Some(Self(Repr::Short { len: bytes.len() as u8, bytes: array }))
    }

    /// Becomes the first `len` bytes of `window`, at most [`INLINE`]; what stands behind them may be anything. `false` when it was a long one,
    /// which stays.
    #[inline]
    pub(super) fn set_window(&mut self, window: &[u8; INLINE], new_len: u8) -> bool {
        debug_assert!(usize::from(new_len) <= INLINE, "{new_len} bytes in line");
        match &mut self.0 {
            Repr::Short { len, bytes } => {
                (*len, *bytes) = (new_len, *window);
                true
            }
            Repr::Long(_) => false,
        }
    }

    /// Takes `bytes` as they are, however short.
    #[inline]
    pub(super) fn long(bytes: Bytes) -> Self {
        Self(Repr::Long(bytes))
    }

    /// The bytes behind it if it is a long one, or the array and how much of it counts.
    #[inline]
    pub(super) fn parts(&self) -> Result<(&[u8; INLINE], usize), &Bytes> {
        match &self.0 {
            Repr::Short { len, bytes } => Ok((bytes, *len as usize)),
            Repr::Long(bytes) => Err(bytes),
        }
    }

    /// The bytes as a slice.
    #[inline]
    pub fn as_slice(&self) -> &[u8] {
        match &self.0 {
            Repr::Short { len, bytes } => bytes.get(..usize::from(*len)).unwrap_or_default(),
            Repr::Long(bytes) => bytes,
        }
    }

    /// How many bytes there are.
    #[inline]
    pub fn len(&self) -> usize {
        match &self.0 {
            Repr::Short { len, .. } => usize::from(*len),
            Repr::Long(bytes) => bytes.len(),
        }
    }

    /// True when there are none.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes as text, if they are UTF-8.
    pub fn to_str(&self) -> Result<&str, Utf8Error> {
        core::str::from_utf8(self)
    }

    /// Removes every byte, and gives shared memory back.
    #[inline]
    pub fn clear(&mut self) {
        match &mut self.0 {
            Repr::Short { len, .. } => *len = 0,
            Repr::Long(_) => *self = Self::new(),
        }
    }
}

impl Default for Blob {
    #[inline]
    fn default() -> Self {
        Self::new()
    }
}

impl Deref for Blob {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        self.as_slice()
    }
}

impl AsRef<[u8]> for Blob {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl Borrow<[u8]> for Blob {
    fn borrow(&self) -> &[u8] {
        self
    }
}

impl From<Bytes> for Blob {
    /// Short ones are copied, long ones are taken over.
    fn from(bytes: Bytes) -> Self {
        Self::short(&bytes).unwrap_or_else(|| Self(Repr::Long(bytes)))
    }
}

impl From<Vec<u8>> for Blob {
    fn from(bytes: Vec<u8>) -> Self {
        Self::short(&bytes).unwrap_or_else(|| Self(Repr::Long(bytes.into())))
    }
}

impl From<String> for Blob {
    fn from(text: String) -> Self {
        text.into_bytes().into()
    }
}

impl From<&[u8]> for Blob {
    fn from(bytes: &[u8]) -> Self {
        Self::copy_from_slice(bytes)
    }
}

impl<const N: usize> From<&[u8; N]> for Blob {
    fn from(bytes: &[u8; N]) -> Self {
        Self::copy_from_slice(bytes)
    }
}

impl From<&str> for Blob {
    fn from(text: &str) -> Self {
        Self::copy_from_slice(text.as_bytes())
    }
}

impl From<&String> for Blob {
    fn from(text: &String) -> Self {
        Self::copy_from_slice(text.as_bytes())
    }
}

impl From<&Self> for Blob {
    fn from(blob: &Self) -> Self {
        blob.clone()
    }
}

impl From<Blob> for Bytes {
    /// Long ones are handed over, short ones are copied.
    fn from(blob: Blob) -> Self {
        match blob.0 {
            Repr::Short { len, bytes } => {
                Self::copy_from_slice(bytes.get(..usize::from(len)).unwrap_or_default())
            }
            Repr::Long(bytes) => bytes,
        }
    }
}

impl From<Blob> for Vec<u8> {
    fn from(blob: Blob) -> Self {
        match blob.0 {
            Repr::Short { .. } => blob.to_vec(),
            Repr::Long(bytes) => bytes.into(),
        }
    }
}

impl FromIterator<u8> for Blob {
    fn from_iter<I: IntoIterator<Item = u8>>(bytes: I) -> Self {
        bytes.into_iter().collect::<Vec<u8>>().into()
    }
}

impl Eq for Blob {}

impl PartialEq for Blob {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Ord for Blob {
    fn cmp(&self, other: &Self) -> Ordering {
        (**self).cmp(other)
    }
}

impl PartialOrd for Blob {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Hash for Blob {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (**self).hash(state);
    }
}

/// What a blob may be compared with, both ways.
macro_rules! compares {
    ($([$($generics:tt)*] $other:ty;)*) => {$(
        impl<$($generics)*> PartialEq<$other> for Blob {
            fn eq(&self, other: &$other) -> bool {
                let other: &[u8] = other.as_ref();
                **self == *other
            }
        }

        impl<$($generics)*> PartialEq<Blob> for $other {
            fn eq(&self, other: &Blob) -> bool {
                other == self
            }
        }
    )*};
}

compares! {
    [] [u8];
    [] &[u8];
    [const N: usize] [u8; N];
    [const N: usize] &[u8; N];
    [] str;
    [] &str;
    [] String;
    [] Vec<u8>;
    [] Bytes;
}

impl fmt::Debug for Blob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "b\"{}\"", self.escape_ascii())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_no_larger_than_it_must_be() {
        assert_eq!((size_of::<Blob>(), size_of::<Option<Blob>>()), (40, 40));
    }

    #[test]
    fn all_lengths_come_back() {
        for len in 0..100 {
            let bytes: Vec<u8> = (0..len).collect();
            let all = [
                Blob::from(&bytes[..]),
                bytes.clone().into(),
                Bytes::from(bytes.clone()).into(),
                bytes.iter().copied().collect(),
                Blob::long(Bytes::from(bytes.clone())),
            ];
            for blob in all {
                assert_eq!(blob, bytes);
                assert_eq!(blob.clone(), blob);
                assert_eq!(blob, Blob::from_static(bytes.clone().leak()));
                assert_eq!(Bytes::from(blob.clone()), bytes);
                assert_eq!(Vec::from(blob.clone()), bytes);
                assert_eq!(blob.cmp(&Blob::from(&[50][..])), bytes[..].cmp(&[50]));
                let mut cleared = blob;
                cleared.clear();
                assert_eq!(cleared, Blob::new());
            }
        }
    }

    #[test]
    fn what_is_long_is_not_copied() {
        let bytes = Bytes::from(alloc::vec![7; INLINE + 1]);
        let blob = Blob::from(bytes.clone());
        assert_eq!(blob.as_ptr(), bytes.as_ptr());
        assert_eq!(Bytes::from(blob).as_ptr(), bytes.as_ptr());
        let short = Bytes::from(alloc::vec![7; INLINE]);
        let blob = Blob::from(short.clone());
        assert!(short.is_unique(), "{blob:?} has a copy");
    }

    #[test]
    fn it_is_shown_as_bytes_are() {
        assert_eq!(alloc::format!("{:?}", Blob::from(&b"a\"\x00\xff"[..])), r#"b"a\"\x00\xff""#);
    }
}
