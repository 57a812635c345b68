//! Datagram sockets, in batches.
//!
//! A system call per datagram costs more than everything else on the way, so sockets receive and send batches. The
//! batched system calls live here once, in [`Io`]: on a plug with readiness, `poll_recv` is "wait until readable, then call
//! [`Io::recv`]".

mod batch;
#[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd"))]
mod mmsg;
#[cfg(not(any(target_os = "linux", target_os = "android", target_os = "freebsd")))]
mod plain;

use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll};

pub use batch::{Datagram, RecvBatch, SendBatch};
#[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd"))]
pub use mmsg::Io;
#[cfg(not(any(target_os = "linux", target_os = "android", target_os = "freebsd")))]
pub use plain::Io;

/// A datagram socket.
pub trait DatagramSocket {
    /// Receives as many datagrams as are there and fit into `batch`, and says how many: at least one, or none with word of a peer
    /// that [cannot be reached](RecvBatch::pop_unreachable).
    ///
    /// An error is about one datagram, not the end of the socket, unless it comes again and again.
    fn poll_recv(&mut self, cx: &mut Context<'_>, batch: &mut RecvBatch) -> Poll<io::Result<usize>>;

    /// Sends datagrams off the front of `batch` and says how many went; those are gone from the batch.
    ///
    /// An error is about the first datagram of the batch, which is then gone too: datagrams may be lost anywhere.
    fn poll_send(&mut self, cx: &mut Context<'_>, batch: &mut SendBatch) -> Poll<io::Result<usize>>;

    /// How many datagrams of one size and path, in one transmit, this socket hands to the system as one (segmentation
    /// offload): what a machine may put into one transmit with profit. 1 when it has none.
    fn max_segments(&self) -> usize {
        1
    }

    /// The address the socket is bound to; for port 0 the port that the system picked.
    fn local_addr(&self) -> io::Result<SocketAddr>;
}
