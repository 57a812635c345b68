//! Reading without holding a buffer while nothing comes.

use std::cell::Cell;
use std::io;
use std::task::Poll;

use bytes::BytesMut;

/// One read by way of the landing area takes at most this much: enough for a socket's usual receive window, small enough to stay in the
/// cache.
const SCRATCH: usize = 64 * 1024;

/// A buffer with so much room is read into without a detour.
const AMPLE: usize = 16 * 1024;

/// Drivers make no more room than this for one read.
const MOST: usize = 256 * 1024;

/// True when `buf` has so much room that a read should go straight into it, if the system can do that: a driver made the room, since much
/// is coming, or it was left from then.
///
/// Otherwise reads go [by way of the thread's landing area](read_with).
pub fn has_ample_room(buf: &BytesMut) -> bool {
    buf.capacity() - buf.len() >= AMPLE
}

/// How much room to make for the next read, when the last one brought so much of what was `offered`: a little more, so that the same place is used
/// again while it is in the cache; or twice that, where there may have been more to read. None where little comes at a time: that is better
/// copied than waited for with a buffer.
pub(crate) fn room_after(len: usize, offered: usize) -> usize {
    match len {
        ..AMPLE => 0,
        len if len >= offered => len.saturating_mul(2).min(MOST),
        len => (len + len / 4).min(MOST),
    }
}

/// How much the next read into `buf` may bring.
pub(crate) fn offered(buf: &BytesMut) -> usize {
    if has_ample_room(buf) { buf.capacity() - buf.len() } else { SCRATCH }
}

thread_local! {
    /// Where reads land first. One per thread, so ten thousand idle connections hold no read buffer at all, and so a
    /// connection's own buffer grows to what arrived rather than to what might have.
    static LANDING: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Appends to `buf` what `read` puts into the slice it is given, for plugs whose system says when to try.
///
/// `buf` is touched only when data came. The landing area is the thread's own and already initialised. A `read` that itself reads
/// through here (a bridge over a bridge) lands in an area of its own.
pub fn read_with(
    buf: &mut BytesMut,
    read: impl FnOnce(&mut [u8]) -> Poll<io::Result<usize>>,
) -> Poll<io::Result<usize>> {
    LANDING.with(|area| {
        let mut landing = area.take();
        if landing.is_empty() {
            landing.resize(SCRATCH, 0);
        }
        let result = read(&mut landing);
        if let Poll::Ready(Ok(n)) = result {
            buf.extend_from_slice(&landing[..n]);
        }
        area.set(landing);
        result
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_grows_with_what_comes_up_to_a_limit() {
        assert_eq!(room_after(AMPLE - 1, AMPLE), 0);
        assert_eq!(room_after(AMPLE, AMPLE), 2 * AMPLE);
        assert_eq!(room_after(AMPLE, 2 * AMPLE), AMPLE + AMPLE / 4);
        assert_eq!(room_after(MOST, MOST), MOST);
        assert_eq!(room_after(MOST, usize::MAX), MOST);
        assert_eq!(room_after(usize::MAX, usize::MAX), MOST);
        assert_eq!(offered(&BytesMut::new()), SCRATCH);
        assert!(offered(&BytesMut::with_capacity(AMPLE)) >= AMPLE);
    }

    #[test]
    fn a_buffer_with_little_room_is_not_read_into() {
        assert!(!has_ample_room(&BytesMut::new()));
        let mut buf = BytesMut::with_capacity(AMPLE);
        assert!(has_ample_room(&buf));
        buf.extend_from_slice(b"x");
        assert!(!has_ample_room(&buf));
    }
}
