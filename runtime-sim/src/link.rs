//! What one direction between two hosts is like.

use std::time::Duration;

use glowplug_core::{Instant, Rng};

/// What one direction between two hosts is like. Set with [`Net::link`](crate::Net::link) and its like.
///
/// The default is a kind local network: half a millisecond and up to as much of jitter, windows of 64 KiB, nothing lost.
/// Streams are cut into segments at random places all the same, and short writes happen: every network may do that.
/// Probabilities are between 0 and 1.
#[derive(Clone, Debug, PartialEq)]
pub struct Link {
    pub(crate) latency: Duration,
    pub(crate) jitter: Duration,
    pub(crate) bandwidth: Option<u64>,
    pub(crate) loss: f64,
    pub(crate) duplicate: f64,
    pub(crate) reorder: f64,
    pub(crate) window: usize,
    pub(crate) segment: usize,
    pub(crate) random_cuts: bool,
    pub(crate) refuse: f64,
    pub(crate) cut: f64,
    pub(crate) cut_within: u64,
    pub(crate) black_holes: bool,
    pub(crate) give_up: Duration,
}

impl Link {
    /// A kind local network.
    pub fn new() -> Self {
        Self {
            latency: Duration::from_micros(500),
            jitter: Duration::from_micros(500),
            bandwidth: None,
            loss: 0.0,
            duplicate: 0.0,
            reorder: 0.0,
            window: 64 * 1024,
            segment: 16 * 1024,
            random_cuts: true,
            refuse: 0.0,
            cut: 0.0,
            cut_within: 4096,
            black_holes: false,
            // What Linux's default of fifteen retransmissions comes to.
            give_up: Duration::from_secs(924),
        }
    }

    /// From a host to itself: a few microseconds.
    pub fn loopback() -> Self {
        Self::new().latency(Duration::from_micros(5)).jitter(Duration::from_micros(15))
    }

    /// A bad network: long and uneven ways, datagrams that are lost, doubled and overtaken, tiny windows.
    ///
    /// Nothing here breaks a stream; add [`cuts`](Self::cuts) and [`refuse`](Self::refuse) for that.
    pub fn rough() -> Self {
        Self::new()
            .latency(Duration::from_millis(20))
            .jitter(Duration::from_millis(60))
            .loss(0.05)
            .duplicate(0.02)
            .reorder(0.05)
            .window(700)
    }

    /// The time one way takes at least. Default: 500 µs.
    pub fn latency(mut self, latency: Duration) -> Self {
        self.latency = latency;
        self
    }

    /// How much longer it may take, each time anew. Datagrams overtake each other by it, stream segments never do.
    /// Default: 500 µs.
    pub fn jitter(mut self, jitter: Duration) -> Self {
        self.jitter = jitter;
        self
    }

    /// Bytes per second that fit through, shared by everything between the two hosts (at least 1). Default: no limit.
    pub fn bandwidth(mut self, bytes_per_second: u64) -> Self {
        self.bandwidth = Some(bytes_per_second.max(1));
        self
    }

    /// How likely a datagram is lost; a stream's segment is sent again instead, and arrives late. Default: 0.
    pub fn loss(mut self, chance: f64) -> Self {
        self.loss = chance;
        self
    }

    /// How likely a datagram arrives twice. Default: 0.
    pub fn duplicate(mut self, chance: f64) -> Self {
        self.duplicate = chance;
        self
    }

    /// How likely a datagram takes up to four times as long as it would have, beyond all jitter. Default: 0.
    pub fn reorder(mut self, chance: f64) -> Self {
        self.reorder = chance;
        self
    }

    /// Bytes of one stream that may be under way or unread at the other end before a writer has to wait (at least 1).
    /// Default: 64 KiB.
    pub fn window(mut self, bytes: usize) -> Self {
        self.window = bytes.max(1);
        self
    }

    /// The longest segment of a stream, and so the longest run of bytes that is sure to arrive together (at least 1).
    /// With 1 everything comes byte by byte. Default: 16 KiB.
    pub fn segment(mut self, bytes: usize) -> Self {
        self.segment = bytes.max(1);
        self
    }

    /// Whether streams are cut at random places, writes accepted in part and reads answered in part even where
    /// there is room. Default: true.
    pub fn random_cuts(mut self, random: bool) -> Self {
        self.random_cuts = random;
        self
    }

    /// How likely a connection is refused although somebody listens. Default: 0.
    pub fn refuse(mut self, chance: f64) -> Self {
        self.refuse = chance;
        self
    }

    /// How likely a connection is cut, reset or closed, at a random byte of its first `within` in this direction.
    /// Default: 0.
    pub fn cuts(mut self, chance: f64, within: u64) -> Self {
        self.cut = chance;
        self.cut_within = within;
        self
    }

    /// Whether such a cut may also be a [black hole](crate::Cut::BlackHole), which only a deadline ends. Default: false.
    pub fn black_holes(mut self, may: bool) -> Self {
        self.black_holes = may;
        self
    }

    /// How long a stream's sender waits for an acknowledgement before the connection ends with `TimedOut`. Default: 924 seconds, as on
    /// Linux.
    pub fn give_up(mut self, after: Duration) -> Self {
        self.give_up = after;
        self
    }

    /// How long the next thing takes once it has departed.
    pub(crate) fn flight(&self, rng: &mut Rng) -> Duration {
        self.latency + Duration::from_nanos(rng.below(self.jitter.as_nanos() as u64 + 1))
    }

    /// When `len` bytes have departed, on a link that is busy until then.
    pub(crate) fn departure(&self, now: Instant, busy: Instant, len: usize) -> Instant {
        match self.bandwidth {
            None => now,
            Some(bandwidth) => {
                let nanos = u128::from(len as u64) * 1_000_000_000 / u128::from(bandwidth);
                now.max(busy) + Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
            }
        }
    }
}

impl Default for Link {
    fn default() -> Self {
        Self::new()
    }
}

/// True with the given probability. Certainties roll no dice.
pub(crate) fn chance(rng: &mut Rng, probability: f64) -> bool {
    if probability <= 0.0 {
        return false;
    }
    probability >= 1.0 || ((rng.u64() >> 11) as f64) < probability * (1u64 << 53) as f64
}
