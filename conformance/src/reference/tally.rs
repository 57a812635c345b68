//! A datagram protocol of one page: each datagram is answered with its number.
//!
//! A peer is remembered until it has been silent for a while; then the application hears how many datagrams it sent.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::time::Duration;

use bytes::{BufMut as _, BytesMut};
use glowplug_core::{DatagramProtocol, Instant, Path, Transmit};

use crate::laws::datagram::{DatagramSubject, Step};

/// How many peers are forgotten in one call of `handle_timeout`.
const BATCH: usize = 16;

/// The limits of a [`Tally`].
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// How many peers are remembered at once. Default 64.
    pub max_peers: usize,
    /// How many answers, and how many events, may wait. Default 128.
    pub max_queued: usize,
    /// The longest datagram, in bytes. Default 512.
    pub max_datagram: usize,
    /// How long a peer is remembered. Default one minute.
    pub idle: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self { max_peers: 64, max_queued: 128, max_datagram: 512, idle: Duration::from_secs(60) }
    }
}

/// Counts the datagrams of each peer.
#[derive(Debug)]
pub struct Tally {
    config: Config,
    peers: BTreeMap<Path, Peer>,
    answers: VecDeque<(Path, u64)>,
    events: VecDeque<Event>,
    closing: bool,
}

#[derive(Clone, Copy, Debug)]
struct Peer {
    count: u64,
    deadline: Instant,
}

/// What a [`Tally`] tells its application.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A datagram came: the peer's how-manieth, and how long it was.
    Arrived(Path, u64, usize),
    /// A peer was silent for too long, or cannot be reached; it sent this many.
    Gone(Path, u64),
}

/// Why a datagram was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// It is longer than `max_datagram`.
    TooLong,
    /// It comes from one peer too many.
    TooManyPeers,
    /// Answers or events are not taken fast enough.
    Busy,
    /// The machine was closed.
    Closed,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLong => "the datagram is too long",
            Self::TooManyPeers => "too many peers",
            Self::Busy => "too much is waiting",
            Self::Closed => "closed",
        })
    }
}

impl std::error::Error for Error {}

impl Tally {
    /// A machine that knows nobody.
    pub fn new(config: Config) -> Self {
        Self {
            config,
            peers: BTreeMap::new(),
            answers: VecDeque::new(),
            events: VecDeque::new(),
            closing: false,
        }
    }

    fn forget(&mut self, path: Path) {
        if let Some(peer) = self.peers.remove(&path) {
            self.events.push_back(Event::Gone(path, peer.count));
        }
    }
}

impl DatagramProtocol for Tally {
    type Event = Event;
    type Error = Error;

    fn handle_datagram(&mut self, now: Instant, path: Path, payload: BytesMut) -> Result<(), Error> {
        if self.closing {
            return Err(Error::Closed);
        }
        if payload.len() > self.config.max_datagram {
            return Err(Error::TooLong);
        }
        if self.answers.len().max(self.events.len()) >= self.config.max_queued {
            return Err(Error::Busy);
        }
        if self.peers.len() >= self.config.max_peers && !self.peers.contains_key(&path) {
            return Err(Error::TooManyPeers);
        }
        let peer = self.peers.entry(path).or_insert(Peer { count: 0, deadline: now });
        peer.count += 1;
        peer.deadline = now + self.config.idle;
        self.answers.push_back((path, peer.count));
        self.events.push_back(Event::Arrived(path, peer.count, payload.len()));
        Ok(())
    }

    fn handle_unreachable(&mut self, _: Instant, path: Path) {
        self.answers.retain(|(to, _)| *to != path);
        self.forget(path);
    }

    fn poll_event(&mut self, _: Instant) -> Option<Event> {
        self.events.pop_front()
    }

    fn poll_transmit(&mut self, _: Instant, out: &mut BytesMut) -> Option<Transmit> {
        let (path, count) = self.answers.pop_front()?;
        out.put_u64(count);
        Some(Transmit::new(path, 8))
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.peers.values().map(|peer| peer.deadline).min()
    }

    fn handle_timeout(&mut self, now: Instant) {
        let due = self.peers.iter().filter(|(_, peer)| peer.deadline <= now);
        let due: Vec<Path> = due.map(|(path, _)| *path).take(BATCH).collect();
        for path in due {
            self.forget(path);
        }
    }

    fn close(&mut self, _: Instant) {
        self.closing = true;
        self.peers.clear();
    }

    fn is_closed(&self) -> bool {
        self.closing && self.answers.is_empty() && self.events.is_empty()
    }
}

/// The machine as the laws see it, with all that its peers might send.
pub fn subject() -> DatagramSubject<Tally> {
    describe(DatagramSubject::new("tally", || Tally::new(Config::default())))
}

/// Adds the conversations of a tally to any subject: also to one that is broken on purpose.
pub fn describe<P: DatagramProtocol>(subject: DatagramSubject<P>) -> DatagramSubject<P> {
    let (one, two) = (Path::to(([192, 0, 2, 1], 1).into()), Path::to(([192, 0, 2, 2], 2).into()));
    let crowd =
        (0..40).map(|n| Step::Datagram(Path::to(([192, 0, 2, n], 7).into()), vec![n; usize::from(n)]));
    subject
        .script(
            "two peers",
            [
                Step::Datagram(one, b"hello".to_vec()),
                Step::Datagram(two, Vec::new()),
                Step::Wait(Duration::from_secs(45)),
                Step::Datagram(one, b"still here".to_vec()),
                Step::Wait(Duration::from_secs(30)),
                Step::Datagram(two, b"who am I?".to_vec()),
                Step::Unreachable(one),
            ],
        )
        .script("a crowd", crowd)
        .refused("too long", vec![b'x'; 600])
        .memory(128 * 1024)
}
