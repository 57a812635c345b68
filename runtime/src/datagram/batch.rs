//! Batches of datagrams on their way in and out.

use std::collections::VecDeque;

use bytes::BytesMut;
use glowplug_core::{DatagramProtocol, Ecn, Instant, Path, Transmit};

/// How many datagrams one system call moves at most, unless a batch says otherwise.
const DEFAULT_BATCH: usize = 64;

/// How many bytes a batch lets gather for sending before it is full.
const SEND_BYTES: usize = 256 * 1024;

/// One datagram that came in.
#[derive(Debug)]
pub struct Datagram {
    /// Where from, and over which of our addresses where the system says so.
    pub path: Path,
    /// The whole payload; may be empty. It holds no more memory than its length: who keeps it keeps nothing else.
    pub payload: BytesMut,
    /// The congestion mark of its IP header, where the system tells it.
    pub ecn: Option<Ecn>,
}

/// Datagrams that came in, in order.
#[derive(Debug)]
pub struct RecvBatch {
    datagrams: VecDeque<Datagram>,
    unreachable: VecDeque<Path>,
    capacity: usize,
}

impl RecvBatch {
    /// A batch of up to 64 datagrams.
    pub fn new() -> Self {
        Self::with_capacity(DEFAULT_BATCH)
    }

    /// A batch of up to `capacity` datagrams (at least 1).
    pub fn with_capacity(capacity: usize) -> Self {
        let (datagrams, unreachable) = (VecDeque::new(), VecDeque::new());
        Self { datagrams, unreachable, capacity: capacity.max(1) }
    }

    /// How many more datagrams fit. A socket which takes several of one way from the system as one may add more than that.
    pub fn room(&self) -> usize {
        self.capacity - self.datagrams.len().min(self.capacity)
    }

    /// Datagrams that wait to be taken.
    pub fn len(&self) -> usize {
        self.datagrams.len()
    }

    /// True when every datagram was taken.
    pub fn is_empty(&self) -> bool {
        self.datagrams.is_empty()
    }

    /// Adds a copy of one datagram: what a socket does.
    pub fn push(&mut self, path: Path, payload: &[u8], ecn: Option<Ecn>) {
        self.datagrams.push_back(Datagram { path, payload: BytesMut::from(payload), ecn });
    }

    /// The ways over which the datagrams came: what a driver [announces](DatagramProtocol::anticipate) to its machine.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.datagrams.iter().map(|datagram| &datagram.path)
    }

    /// Takes the oldest datagram.
    pub fn pop(&mut self) -> Option<Datagram> {
        self.datagrams.pop_front()
    }

    /// Says that a way leads nowhere, as the system has it from the network: what a socket does. The oldest such word gives way where
    /// nobody takes it.
    pub fn push_unreachable(&mut self, path: Path) {
        if self.unreachable.len() >= self.capacity {
            self.unreachable.pop_front();
        }
        self.unreachable.push_back(path);
    }

    /// Takes the oldest word of a way that leads nowhere: what a driver hands to its machine
    /// ([`handle_unreachable`](DatagramProtocol::handle_unreachable)).
    pub fn pop_unreachable(&mut self) -> Option<Path> {
        self.unreachable.pop_front()
    }
}

impl Default for RecvBatch {
    fn default() -> Self {
        Self::new()
    }
}

/// Datagrams to send, in order.
#[derive(Debug)]
pub struct SendBatch {
    transmits: VecDeque<Transmit>,
    payloads: BytesMut,
    capacity: usize,
    offloads: bool,
}

impl SendBatch {
    /// A batch of up to 64 transmits.
    pub fn new() -> Self {
        Self::with_capacity(DEFAULT_BATCH)
    }

    /// A batch of up to `capacity` transmits (at least 1).
    pub fn with_capacity(capacity: usize) -> Self {
        let (transmits, payloads) = (VecDeque::new(), BytesMut::new());
        Self { transmits, payloads, capacity: capacity.max(1), offloads: true }
    }

    /// False once the system has turned out not to cut a transmit of several segments: its machine better makes
    /// transmits of one. What has several is sent all the same, one by one.
    pub fn offloads(&self) -> bool {
        self.offloads
    }

    /// Says that the system does not cut a transmit of several segments: what a socket does that has found out.
    pub fn give_up_offload(&mut self) {
        self.offloads = false;
    }

    /// Transmits that wait to be sent.
    pub fn len(&self) -> usize {
        self.transmits.len()
    }

    /// True when everything was sent.
    pub fn is_empty(&self) -> bool {
        self.transmits.is_empty()
    }

    /// True when no more should be added before something was sent.
    pub fn is_full(&self) -> bool {
        self.transmits.len() >= self.capacity || self.payloads.len() >= SEND_BYTES
    }

    /// Takes what `protocol` wants sent until it has no more or the batch is full.
    pub fn fill<P: DatagramProtocol>(&mut self, now: Instant, protocol: &mut P) {
        while !self.is_full() {
            let before = self.payloads.len();
            let Some(transmit) = protocol.poll_transmit(now, &mut self.payloads) else { return };
            debug_assert_eq!(
                self.payloads.len() - before,
                transmit.len,
                "a transmit says how much it appended"
            );
            self.transmits.push_back(Transmit { len: self.payloads.len() - before, ..transmit });
        }
    }

    /// Adds one datagram.
    pub fn push(&mut self, path: Path, payload: &[u8]) {
        self.payloads.extend_from_slice(payload);
        self.transmits.push_back(Transmit::new(path, payload.len()));
    }

    /// The transmits with their payloads, oldest first: what a socket sends.
    pub fn iter(&self) -> impl Iterator<Item = (&Transmit, &[u8])> {
        let mut rest = &self.payloads[..];
        self.transmits.iter().map(move |transmit| {
            let (payload, tail) = rest.split_at(transmit.len);
            rest = tail;
            (transmit, payload)
        })
    }

    /// Drops the `count` oldest transmits: what a socket does once they are sent.
    pub fn sent(&mut self, count: usize) {
        let bytes: usize = self.transmits.drain(..count).map(|transmit| transmit.len).sum();
        let _ = self.payloads.split_to(bytes);
    }
}

impl Default for SendBatch {
    fn default() -> Self {
        Self::new()
    }
}
