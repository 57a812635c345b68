//! Reading without holding a buffer while nothing comes.

use std::cell::Cell;
use std::io;
use std::task::Poll;

use bytes::BytesMut;

/// One read takes at most this much: enough for a socket's usual receive window, small enough to stay in the cache.
const SCRATCH: usize = 64 * 1024;

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
    let mut landing = LANDING.take();
    if landing.is_empty() {
        landing.resize(SCRATCH, 0);
    }
    let result = read(&mut landing);
    if let Poll::Ready(Ok(n)) = result {
        buf.extend_from_slice(&landing[..n]);
    }
    LANDING.set(landing);
    result
}
