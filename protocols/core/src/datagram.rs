//! The contract of a datagram protocol.

use core::net::{IpAddr, SocketAddr};

use bytes::BytesMut;

use crate::Instant;

/// Any number of peers on one datagram socket, as a pure state machine.
///
/// # The canonical loop
///
/// 1. Take events with [`poll_event`](Self::poll_event) until `None`.
/// 2. Take datagrams with [`poll_transmit`](Self::poll_transmit) until `None` or the batch is full, and send them.
/// 3. Done when [`is_closed`](Self::is_closed) and nothing is left to send.
/// 4. Wait for datagrams, for the socket to be writable when some could not be sent, for
///    [`poll_timeout`](Self::poll_timeout), or for the application.
/// 5. Hand in each datagram with [`handle_datagram`](Self::handle_datagram) (a batch may be announced before, with
///    [`anticipate`](Self::anticipate)), the time with [`handle_timeout`](Self::handle_timeout). Go to 1.
///
/// # The contract
///
/// An `Err` of `handle_datagram` is about one datagram, never the end of the machine: count it and go on.
/// `handle_timeout` follows the same law as in [`StreamProtocol`](crate::StreamProtocol): early does nothing, late
/// moves the deadline past `now` or has done a full bounded batch. Memory stays within the configured limits
/// whatever arrives, and no datagram panics.
pub trait DatagramProtocol {
    /// What the machine tells the application.
    type Event;
    /// Why one datagram was refused.
    type Error: core::error::Error + Send + Sync + 'static;

    /// Says over which paths the datagrams of a batch came, before they are handed in one by one. Nothing happens; a machine with many
    /// peers may bring what it knows of these near, all at once instead of one after the other.
    fn anticipate(&mut self, paths: &mut dyn Iterator<Item = &Path>) {
        let _ = paths;
    }

    /// One datagram came in over `path`. A payload of length zero is a datagram like any other.
    fn handle_datagram(&mut self, now: Instant, path: Path, payload: BytesMut) -> Result<(), Self::Error>;

    /// The system says that `path` leads nowhere (an ICMP error came back).
    fn handle_unreachable(&mut self, now: Instant, path: Path) {
        let _ = (now, path);
    }

    /// The next event, if there is one.
    fn poll_event(&mut self, now: Instant) -> Option<Self::Event>;

    /// Appends the payload of the next datagram (or of several of one size) to `out` and says where it goes.
    fn poll_transmit(&mut self, now: Instant, out: &mut BytesMut) -> Option<Transmit>;

    /// When [`handle_timeout`](Self::handle_timeout) wants to be called, if nothing else happens first.
    fn poll_timeout(&self) -> Option<Instant>;

    /// Tells the machine that its deadline may have passed. Calling it early does nothing.
    fn handle_timeout(&mut self, now: Instant);

    /// The application wants to finish: no new conversations, what is queued still goes out.
    fn close(&mut self, now: Instant);

    /// True once everything is over.
    fn is_closed(&self) -> bool;
}

/// Where a datagram came from, or goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Path {
    /// The peer.
    pub remote: SocketAddr,
    /// Our own address, where the system tells it (or, on the way out, where it matters).
    pub local: Option<IpAddr>,
}

impl Path {
    /// The path to `remote` from whichever local address the system picks.
    pub const fn to(remote: SocketAddr) -> Self {
        Self { remote, local: None }
    }
}

impl From<SocketAddr> for Path {
    fn from(remote: SocketAddr) -> Self {
        Self::to(remote)
    }
}

/// One datagram, or several of one size, that a machine wants sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a transmit that is not sent is a lost datagram"]
pub struct Transmit {
    /// Where it goes.
    pub path: Path,
    /// How many bytes were appended to the output for it.
    pub len: usize,
    /// When set, the bytes are several datagrams of this size (the last may be shorter), all for the same path, which a
    /// system with segmentation offload sends in one call. Never zero.
    pub segment_size: Option<usize>,
    /// The congestion mark to put on it (RFC 3168).
    pub ecn: Option<Ecn>,
}

impl Transmit {
    /// One datagram of `len` bytes.
    pub const fn new(path: Path, len: usize) -> Self {
        Self { path, len, segment_size: None, ecn: None }
    }

    /// How many datagrams this is on the wire.
    pub fn datagrams(&self) -> usize {
        match self.segment_size {
            Some(size) if size > 0 => self.len.div_ceil(size).max(1),
            _ => 1,
        }
    }
}

/// Explicit congestion notification codepoints of the IP header (RFC 3168 section 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ecn {
    /// ECN-capable transport, codepoint 1.
    Ect1 = 0b01,
    /// ECN-capable transport, codepoint 0.
    Ect0 = 0b10,
    /// Congestion experienced.
    Ce = 0b11,
}
