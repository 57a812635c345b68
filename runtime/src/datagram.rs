//! Datagram sockets, in batches.
//!
//! A system call per datagram costs more than everything else on the way, so sockets receive and send batches. The
//! batched system calls live here once ([`recv`] and [`send`], [`max_segments`] beside them): on a plug with readiness,
//! `poll_recv` is "wait until readable, then call [`recv`]".

mod batch;
#[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd"))]
#[path = "datagram/mmsg.rs"]
mod system;
#[cfg(not(any(target_os = "linux", target_os = "android", target_os = "freebsd")))]
#[path = "datagram/plain.rs"]
mod system;

use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll};

pub use batch::{Datagram, RecvBatch, SendBatch};
pub use system::{max_segments, recv, send};

/// A datagram socket.
pub trait DatagramSocket {
    /// Receives as many datagrams as are there and fit into `batch`, at least one, and says how many.
    ///
    /// An error is about one datagram (a peer's port was unreachable), not the end of the socket, unless it comes again
    /// and again.
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
