//! What will happen, in order.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::task::Waker;

use glowplug_core::Instant;

use crate::net::Net;
use crate::network::Packet;

/// The place of one entry: its time, and a number that keeps entries of one time in order.
pub(crate) type Key = (Instant, u64);

/// Something that will happen.
pub(crate) enum Event {
    /// A timer expires.
    Timer(Waker),
    /// A request to connect reaches the listening host.
    Syn { connection: u64, attempt: u32 },
    /// The answer to it reaches the connecting host.
    Established { connection: u64, attempt: u32 },
    /// A refusal reaches the connecting host.
    ConnectFailed { connection: u64, kind: io::ErrorKind },
    /// The front segment of a pipe may have arrived.
    Arrive { connection: u64, from: usize },
    /// The sender of a segment has waited long enough for its acknowledgement.
    GiveUp { connection: u64, from: usize, popped: u64 },
    /// A datagram arrives.
    Deliver(Packet),
    /// A datagram has left its socket's buffer.
    Departed { socket: u64, len: usize },
    /// Word comes back that nobody listens where a datagram went.
    Unreachable { socket: u64, to: SocketAddr },
    /// The test's script goes on.
    Script(Box<dyn FnOnce(&Net) + Send>),
}

/// The calendar of a simulation.
pub(crate) struct Agenda {
    entries: BTreeMap<Key, Event>,
    next: u64,
    timers: usize,
}

impl Agenda {
    pub(crate) fn new() -> Self {
        Self { entries: BTreeMap::new(), next: 0, timers: 0 }
    }

    pub(crate) fn add(&mut self, at: Instant, event: Event) -> Key {
        let key = (at, self.next);
        self.next += 1;
        self.timers += usize::from(matches!(event, Event::Timer(_)));
        self.entries.insert(key, event);
        key
    }

    pub(crate) fn remove(&mut self, key: Key) -> Option<Event> {
        let event = self.entries.remove(&key)?;
        self.timers -= usize::from(matches!(event, Event::Timer(_)));
        Some(event)
    }

    pub(crate) fn get_mut(&mut self, key: Key) -> Option<&mut Event> {
        self.entries.get_mut(&key)
    }

    pub(crate) fn next_time(&self) -> Option<Instant> {
        self.entries.first_key_value().map(|((at, _), _)| *at)
    }

    pub(crate) fn pop(&mut self) -> Option<(Instant, Event)> {
        let (key, _) = self.entries.first_key_value()?;
        let key = *key;
        self.remove(key).map(|event| (key.0, event))
    }

    /// Timers that are armed and waited for.
    pub(crate) fn timers(&self) -> usize {
        self.timers
    }
}
