//! A pool of connections to one server, by the rules of the specification "Connection Monitoring and Pooling".
//!
//! ```text
//! check_out ──► Connection (an idle one: the one used last)
//!           ──► Connect    (room for one more: connect it, then `connected` or `connect_failed`)
//!           ──► Wait       (first come, first served: poll_waiter, after take_woken names it)
//! check_in / discard ──► idle, or room; whoever waits longest is served
//! ```
//!
//! It holds connections of any type and does nothing with them. A connection belongs to the generation in which connecting began;
//! [`clear`](Pool::clear) begins the next, and connections of older ones are not given out again.

use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};

use glowplug_core::Instant;

use crate::uri::ConnectionString;

/// How a pool behaves.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PoolConfig {
    /// Connections in all, those being connected included; 0 is no limit. `maxPoolSize`, default 100.
    pub max_size: usize,
    /// Connections that are kept however long they idle. `minPoolSize`, default 0.
    pub min_size: usize,
    /// How many connections are connected at once. `maxConnecting`, default 2.
    pub max_connecting: usize,
    /// How long a connection may idle before it is closed. `maxIdleTimeMS`, default `None`: for ever.
    pub max_idle: Option<Duration>,
    /// How many callers may wait; one more is refused at once. Default 65,536.
    pub max_waiting: usize,
}

impl Default for PoolConfig {
    fn default() -> Self {
        Self { max_size: 100, min_size: 0, max_connecting: 2, max_idle: None, max_waiting: 65_536 }
    }
}

impl PoolConfig {
    /// What a connection string says goes before this.
    #[must_use]
    pub fn apply(mut self, string: &ConnectionString) -> Self {
        let size = |name: &str| string.int(name).and_then(|size| usize::try_from(size).ok());
        self.max_size = size("maxPoolSize").unwrap_or(self.max_size);
        self.min_size = size("minPoolSize").unwrap_or(self.min_size);
        self.max_connecting = size("maxConnecting").unwrap_or(self.max_connecting);
        if let Some(idle) = string.millis("maxIdleTimeMS") {
            self.max_idle = Some(idle).filter(|idle| !idle.is_zero());
        }
        self
    }
}

/// Which generation a connection belongs to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Generation(u64);

/// The pool's name for a caller who waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Waiter(u64);

/// What a caller gets.
#[derive(Debug, PartialEq)]
#[must_use = "a connection or the right to make one is lost otherwise"]
pub enum CheckOut<C> {
    /// An idle connection. Give it back with [`Pool::check_in`], or tell of its end with [`Pool::discard`].
    Connection(C, Generation),
    /// There is room: connect, then tell [`Pool::connected`] or [`Pool::connect_failed`].
    Connect(Generation),
    /// Wait until [`Pool::take_woken`] names this waiter.
    Wait(Waiter),
    /// Too many wait already.
    Overloaded,
    /// The pool is closed.
    Closed,
}

#[derive(Debug)]
struct Idle<C> {
    connection: C,
    since: Instant,
}

/// Idle connections, who uses how many, and who waits.
///
/// ```
/// use glowplug_core::Instant;
/// use glowplug_mongodb::pool::{CheckOut, Pool, PoolConfig};
/// let (mut pool, now) = (Pool::new(PoolConfig::default()), Instant::ZERO);
/// let CheckOut::Connect(generation) = pool.check_out(now) else { panic!() };
/// pool.connected();
/// assert_eq!(pool.check_in(now, "connection", generation), None);
/// assert_eq!(pool.check_out(now), CheckOut::Connection("connection", generation));
/// ```
#[derive(Debug)]
pub struct Pool<C> {
    config: PoolConfig,
    generation: Generation,
    closed: bool,
    /// The one used last is last, and given out first: so that the others may idle out.
    idle: VecDeque<Idle<C>>,
    busy: usize,
    connecting: usize,
    waiting: VecDeque<Waiter>,
    /// What waiters were served with and have not fetched yet.
    served: BTreeMap<Waiter, CheckOut<C>>,
    woken: Vec<Waiter>,
    /// Connections that are to be closed.
    perished: Vec<C>,
    next_waiter: u64,
}

impl<C> Pool<C> {
    /// A pool without connections.
    pub fn new(config: PoolConfig) -> Self {
        Self {
            config,
            generation: Generation::default(),
            closed: false,
            idle: VecDeque::new(),
            busy: 0,
            connecting: 0,
            waiting: VecDeque::new(),
            served: BTreeMap::new(),
            woken: Vec::new(),
            perished: Vec::new(),
            next_waiter: 0,
        }
    }

    /// How the pool behaves.
    pub fn config(&self) -> &PoolConfig {
        &self.config
    }

    /// Connections in all: idle, in use, and being connected.
    pub fn size(&self) -> usize {
        self.idle.len() + self.busy + self.connecting
    }

    /// Connections that nobody uses.
    pub fn idle(&self) -> usize {
        self.idle.len()
    }

    /// Callers who wait.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// The generation that new connections belong to.
    pub fn generation(&self) -> Generation {
        self.generation
    }

    /// Asks for a connection.
    pub fn check_out(&mut self, now: Instant) -> CheckOut<C> {
        if self.closed {
            return CheckOut::Closed;
        }
        self.expire(now);
        // Whoever came first goes first: while others wait, so does this one.
        if self.waiting.is_empty()
            && let Some(found) = self.serve_one()
        {
            return found;
        }
        if self.waiting.len() >= self.config.max_waiting {
            return CheckOut::Overloaded;
        }
        self.next_waiter += 1;
        let waiter = Waiter(self.next_waiter);
        self.waiting.push_back(waiter);
        CheckOut::Wait(waiter)
    }

    /// An idle connection and nothing else: for errands that are not worth a new one.
    pub fn check_out_idle(&mut self, now: Instant) -> Option<(C, Generation)> {
        self.expire(now);
        let idle = self.idle.pop_back()?;
        self.busy += 1;
        Some((idle.connection, self.generation))
    }

    /// What a waiter was served with, once [`take_woken`](Self::take_woken) named it.
    pub fn poll_waiter(&mut self, waiter: Waiter) -> Option<CheckOut<C>> {
        if self.closed && !self.served.contains_key(&waiter) {
            return Some(CheckOut::Closed);
        }
        self.served.remove(&waiter)
    }

    /// A waiter went away. What it was served with goes to the next.
    pub fn leave(&mut self, now: Instant, waiter: Waiter) {
        self.waiting.retain(|waiting| *waiting != waiter);
        match self.served.remove(&waiter) {
            Some(CheckOut::Connection(connection, generation)) => {
                let stale = self.check_in(now, connection, generation);
                self.perished.extend(stale);
            }
            Some(CheckOut::Connect(_)) => self.connect_failed(),
            _ => {}
        }
    }

    /// Waiters that were served since this was asked last.
    pub fn take_woken(&mut self) -> Vec<Waiter> {
        core::mem::take(&mut self.woken)
    }

    /// Connections that idled too long: close them.
    pub fn take_perished(&mut self) -> Vec<C> {
        core::mem::take(&mut self.perished)
    }

    /// Takes a connection back. One that is of an older generation, or comes after the end, is returned: close it.
    #[must_use = "a returned connection is to be closed"]
    pub fn check_in(&mut self, now: Instant, connection: C, generation: Generation) -> Option<C> {
        self.busy = self.busy.saturating_sub(1);
        let stale = self.closed || generation != self.generation;
        let returned = if stale {
            Some(connection)
        } else {
            self.idle.push_back(Idle { connection, since: now });
            None
        };
        self.serve();
        returned
    }

    /// A connection that was in use is over.
    pub fn discard(&mut self) {
        self.busy = self.busy.saturating_sub(1);
        self.serve();
    }

    /// A connection was made, and is in use now.
    pub fn connected(&mut self) {
        self.connecting = self.connecting.saturating_sub(1);
        self.busy += 1;
        self.serve();
    }

    /// A connection could not be made.
    pub fn connect_failed(&mut self) {
        self.connecting = self.connecting.saturating_sub(1);
        self.serve();
    }

    /// The server failed for a connection of this generation: idle ones are to be closed, those in use when they come back. An
    /// error of an older generation is old news.
    #[must_use = "these connections are to be closed"]
    pub fn clear(&mut self, failed: Generation) -> Vec<C> {
        if failed != self.generation {
            return Vec::new();
        }
        self.generation.0 += 1;
        let closed = self.idle.drain(..).map(|idle| idle.connection).collect();
        // What was served and not fetched yet is as stale.
        for served in self.served.values_mut() {
            if let CheckOut::Connection(..) = served {
                self.busy = self.busy.saturating_sub(1);
                self.connecting += 1;
                let fresh = CheckOut::Connect(self.generation);
                if let CheckOut::Connection(connection, _) = core::mem::replace(served, fresh) {
                    self.perished.push(connection);
                }
            }
        }
        self.serve();
        closed
    }

    /// Ends the pool: whoever waits hears of it, connections in use are closed when they come back.
    #[must_use = "these connections are to be closed"]
    pub fn close(&mut self) -> Vec<C> {
        self.closed = true;
        self.woken.extend(self.waiting.drain(..));
        self.idle.drain(..).map(|idle| idle.connection).collect()
    }

    /// True once the pool is closed.
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    /// Takes out what idled too long, down to the minimum.
    pub fn expire(&mut self, now: Instant) {
        let Some(max_idle) = self.config.max_idle else { return };
        // The one that idles longest is first.
        while self.size() > self.config.min_size
            && self.idle.front().is_some_and(|idle| now.saturating_duration_since(idle.since) >= max_idle)
        {
            self.perished.extend(self.idle.pop_front().map(|idle| idle.connection));
        }
    }

    /// When the next connection will have idled too long, if any may.
    pub fn next_expiry(&self) -> Option<Instant> {
        let max_idle = self.config.max_idle?;
        let first = self.idle.front().filter(|_| self.size() > self.config.min_size)?;
        Some(first.since + max_idle)
    }

    /// True while connections are missing to the minimum, and one more may be connected.
    pub fn wants_more(&self) -> bool {
        !self.closed && self.size() < self.config.min_size && self.may_connect()
    }

    /// Takes room for a connection that nobody asked for: to reach the minimum.
    pub fn begin_connect(&mut self) -> Option<Generation> {
        if !self.wants_more() {
            return None;
        }
        self.connecting += 1;
        Some(self.generation)
    }

    fn may_connect(&self) -> bool {
        let room = self.config.max_size == 0 || self.size() < self.config.max_size;
        room && self.connecting < self.config.max_connecting.max(1)
    }

    /// An idle connection or room for one, if there is.
    fn serve_one(&mut self) -> Option<CheckOut<C>> {
        if let Some(idle) = self.idle.pop_back() {
            self.busy += 1;
            return Some(CheckOut::Connection(idle.connection, self.generation));
        }
        if !self.may_connect() {
            return None;
        }
        self.connecting += 1;
        Some(CheckOut::Connect(self.generation))
    }

    fn serve(&mut self) {
        while !self.closed
            && !self.waiting.is_empty()
            && let Some(found) = self.serve_one()
            && let Some(waiter) = self.waiting.pop_front()
        {
            self.served.insert(waiter, found);
            self.woken.push(waiter);
        }
    }
}

#[cfg(test)]
mod tests;
