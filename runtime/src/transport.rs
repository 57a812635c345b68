//! Byte streams as a driver sees them.

use std::io::{self, IoSlice};
use std::task::{Context, Poll};

use bytes::{Buf, BytesMut};
use glowplug_core::SendBuf;

use crate::Endpoint;

/// A byte stream: what a driver reads from and writes to.
///
/// It is not `futures::io`, whose `close` means three things on three executors, and it fits completion I/O: the buffers are
/// growable and owned, not borrowed slices.
///
/// All methods follow the rule of `Future::poll`: on `Pending` the waker is registered, and only the latest waker per
/// direction (reading; writing and shutting down) counts.
pub trait Transport {
    /// Appends what is there to `buf` and says how much; 0 is the end of the stream.
    ///
    /// On `Pending` and on an error what `buf` holds is unchanged. Room is reserved only once data is known to be there, so that
    /// an idle connection holds no read buffer; [`read_with`](crate::read_with) does so for any readiness system. Where `buf`
    /// [has ample room](crate::has_ample_room) already, much is coming: a plug whose system can read into that saves a copy.
    /// A completion plug may swap its own buffer in when `buf` is empty.
    fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut BytesMut) -> Poll<io::Result<usize>>;

    /// The same for who only looks whether something has come, and does not wait for it: on `Pending` nothing had, as far as the plug
    /// knows, and no waker need be registered.
    fn poll_look(&mut self, cx: &mut Context<'_>, buf: &mut BytesMut) -> Poll<io::Result<usize>> {
        self.poll_read(cx, buf)
    }

    /// Takes what the system accepts off the front of `out` and says how much; never 0 while `out` holds something.
    ///
    /// [`write_with`](crate::write_with) does it by vectored slices; a completion plug takes owned segments.
    fn poll_write(&mut self, cx: &mut Context<'_>, out: &mut SendBuf) -> Poll<io::Result<usize>>;

    /// Hands on what an earlier `poll_write` took in but kept to itself. Plain sockets keep nothing; TLS does.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let _ = cx;
        Poll::Ready(Ok(()))
    }

    /// Tells the peer that no more will come, and goes on reading: a half-close. Calling it again is harmless.
    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Says that who reads here goes on until told to wait: from now on a read may be put off until the system has said that there is
    /// something, which saves a system call on each message where nothing is there yet, mostly, when it is first asked for. `Pending` need
    /// no longer mean that nothing has come: who wants to know that [looks](Self::poll_look). Does nothing by default.
    fn prefer_readiness(&mut self) {}
}

impl<T: Transport + ?Sized> Transport for Box<T> {
    fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut BytesMut) -> Poll<io::Result<usize>> {
        (**self).poll_read(cx, buf)
    }

    fn poll_look(&mut self, cx: &mut Context<'_>, buf: &mut BytesMut) -> Poll<io::Result<usize>> {
        (**self).poll_look(cx, buf)
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, out: &mut SendBuf) -> Poll<io::Result<usize>> {
        (**self).poll_write(cx, out)
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        (**self).poll_flush(cx)
    }

    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        (**self).poll_shutdown(cx)
    }

    fn prefer_readiness(&mut self) {
        (**self).prefer_readiness();
    }
}

/// Waits for connections.
pub trait Listener {
    /// What comes in.
    type Stream: Transport;

    /// The next connection and where it comes from. The peer of a Unix socket has an empty path.
    ///
    /// An error is about one attempt (a peer gone before it was accepted, no file descriptor left), not the end of
    /// listening: a server backs off and goes on.
    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<(Self::Stream, Endpoint)>>;

    /// Where it listens; for port 0 the port that the system picked.
    fn local_endpoint(&self) -> io::Result<Endpoint>;
}

/// How many slices one vectored write carries: a batch of replies with long values fits, and so do its slices in a
/// few cache lines of stack.
const MAX_SLICES: usize = 16;

/// Writes the front of `out` with `write`, a vectored write of the system, and drops what was accepted.
///
/// A write that accepts nothing is reported as [`io::ErrorKind::WriteZero`].
pub fn write_with(
    out: &mut SendBuf,
    write: impl FnOnce(&[IoSlice<'_>]) -> Poll<io::Result<usize>>,
) -> Poll<io::Result<usize>> {
    if out.is_empty() {
        return Poll::Ready(Ok(0));
    }
    let front = out.chunk();
    let result = if front.len() == out.len() {
        write(&[IoSlice::new(front)])
    } else {
        let mut slices = [IoSlice::new(&[]); MAX_SLICES];
        let mut count = 0;
        for (slice, chunk) in slices.iter_mut().zip(out.chunks()) {
            *slice = IoSlice::new(chunk);
            count += 1;
        }
        write(&slices[..count])
    };
    match result {
        Poll::Ready(Ok(0)) => Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
        Poll::Ready(Ok(written)) => {
            out.advance(written);
            Poll::Ready(Ok(written))
        }
        other => other,
    }
}
