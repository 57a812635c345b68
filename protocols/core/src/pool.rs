//! Who may use a connection: bookkeeping for connections that are used by one caller at a time.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::vec::Vec;
use core::time::Duration;

use crate::Instant;

/// The bounds of a [`Pool`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PoolConfig {
    /// Connections to one key at once, in use and idle. Default 100.
    pub max_per_key: usize,
    /// Connections at once, over all keys. Default 1,024.
    pub max_total: usize,
    /// Idle connections kept for one key; what is put back beyond replaces the one that was idle longest. Default 32.
    pub max_idle_per_key: usize,
    /// How long a connection may lie idle. `None` keeps it for ever. Default 60 s.
    pub idle_timeout: Option<Duration>,
    /// Callers that may wait for room; one beyond is refused at once. Default 16,384.
    pub max_waiting: usize,
}

impl Default for PoolConfig {
    fn default() -> Self {
        Self {
            max_per_key: 100,
            max_total: 1024,
            max_idle_per_key: 32,
            idle_timeout: Some(Duration::from_secs(60)),
            max_waiting: 16_384,
        }
    }
}

impl PoolConfig {
    /// Sets how many connections one key has at once (at least 1).
    pub fn max_per_key(mut self, connections: usize) -> Self {
        self.max_per_key = connections.max(1);
        self
    }

    /// Sets how many connections there are at once, over all keys (at least 1).
    pub fn max_total(mut self, connections: usize) -> Self {
        self.max_total = connections.max(1);
        self
    }

    /// Sets how many idle connections are kept for one key; 0 keeps none.
    pub fn max_idle_per_key(mut self, connections: usize) -> Self {
        self.max_idle_per_key = connections;
        self
    }

    /// Sets how long a connection may lie idle; `None` keeps it for ever.
    pub fn idle_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.idle_timeout = timeout;
        self
    }

    /// Sets how many callers may wait for room.
    pub fn max_waiting(mut self, callers: usize) -> Self {
        self.max_waiting = callers;
        self
    }
}

/// Names a caller who waits for room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(u64);

/// The right to one connection. It goes back by [`Pool::release`].
#[derive(Debug, PartialEq, Eq)]
pub struct Permit<C> {
    /// An idle connection to use; `None`: dial one.
    pub idle: Option<C>,
    /// What [`Pool::clear`] had said of the key when the permit was given. Hand it back as it came.
    pub epoch: u64,
}

/// What a caller gets.
#[derive(Debug, PartialEq, Eq)]
pub enum Acquired<C> {
    /// The right to a connection.
    Permit(Permit<C>),
    /// There is no room: wait for the ticket to be called.
    Wait(Ticket),
    /// Too many callers wait already.
    Overloaded,
}

/// Connections to many peers, each used by one caller at a time. It knows keys and counts, not sockets: whoever drives it dials, closes and
/// wakes.
///
/// Callers of one key are served in order, the connection that was idle shortest first. When the total is reached, a connection
/// that lies idle for another key gives way; room that comes free goes to the caller who has waited longest.
#[derive(Debug)]
pub struct Pool<K, C> {
    config: PoolConfig,
    keys: BTreeMap<K, Entry<C>>,
    /// Idle connections by the order in which they came back, oldest first.
    idle: BTreeMap<u64, K>,
    /// Of each key that only the total holds back, the first to wait.
    held_back: BTreeMap<u64, K>,
    waiting: BTreeMap<u64, K>,
    granted: BTreeMap<u64, (K, Permit<C>)>,
    open: usize,
    serial: u64,
    doomed: Vec<C>,
}

#[derive(Debug)]
struct Entry<C> {
    /// Serial, since when, and the connection; the newest at the back.
    idle: VecDeque<(u64, Instant, C)>,
    open: usize,
    waiting: BTreeSet<u64>,
    epoch: u64,
}

impl<K: Ord + Clone, C> Pool<K, C> {
    /// An empty pool.
    pub fn new(config: PoolConfig) -> Self {
        Self {
            config,
            keys: BTreeMap::new(),
            idle: BTreeMap::new(),
            held_back: BTreeMap::new(),
            waiting: BTreeMap::new(),
            granted: BTreeMap::new(),
            open: 0,
            serial: 0,
            doomed: Vec::new(),
        }
    }

    /// Connections, in use and idle.
    pub fn open(&self) -> usize {
        self.open
    }

    /// Idle connections.
    pub fn idle(&self) -> usize {
        self.idle.len()
    }

    /// Callers who wait.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Asks for a connection to `key`.
    pub fn acquire(&mut self, key: &K) -> Acquired<C> {
        let serial = self.next_serial();
        let config = &self.config;
        let entry = self.keys.entry(key.clone()).or_insert_with(|| Entry {
            idle: VecDeque::new(),
            open: 0,
            waiting: BTreeSet::new(),
            epoch: serial,
        });
        if let Some((serial, _, connection)) = entry.idle.pop_back() {
            self.idle.remove(&serial);
            return Acquired::Permit(Permit { idle: Some(connection), epoch: entry.epoch });
        }
        // Nobody overtakes those who wait for this key already.
        let room = entry.open < config.max_per_key;
        if room && entry.waiting.is_empty() && (self.open < config.max_total || !self.idle.is_empty()) {
            entry.open += 1;
            let epoch = entry.epoch;
            self.open += 1;
            if self.open > self.config.max_total {
                self.evict_oldest();
            }
            return Acquired::Permit(Permit { idle: None, epoch });
        }
        if self.waiting.len() + self.granted.len() >= config.max_waiting {
            self.forget_if_unused(key);
            return Acquired::Overloaded;
        }
        entry.waiting.insert(serial);
        if room && entry.waiting.len() == 1 {
            self.held_back.insert(serial, key.clone());
        }
        self.waiting.insert(serial, key.clone());
        Acquired::Wait(Ticket(serial))
    }

    /// What was granted to a ticket that was called. `None`: it still waits.
    pub fn claim(&mut self, ticket: Ticket) -> Option<Permit<C>> {
        self.granted.remove(&ticket.0).map(|(_, permit)| permit)
    }

    /// The caller has left. If its ticket had been called, the next one is, and returned.
    #[must_use = "a ticket that was called has to be woken"]
    pub fn give_up(&mut self, now: Instant, ticket: Ticket) -> Option<Ticket> {
        if let Some((key, permit)) = self.granted.remove(&ticket.0) {
            return self.release(now, &key, permit.epoch, permit.idle);
        }
        if let Some(key) = self.waiting.remove(&ticket.0) {
            self.held_back.remove(&ticket.0);
            if let Some(entry) = self.keys.get_mut(&key) {
                entry.waiting.remove(&ticket.0);
            }
            self.note_held_back(&key);
            self.forget_if_unused(&key);
        }
        None
    }

    /// Gives a permit back: with the connection, if it can be used again. The ticket returned is called: it finds its permit by
    /// [`claim`](Self::claim).
    #[must_use = "a ticket that was called has to be woken"]
    pub fn release(&mut self, now: Instant, key: &K, epoch: u64, connection: Option<C>) -> Option<Ticket> {
        let Some(entry) = self.keys.get_mut(key) else {
            self.doomed.extend(connection);
            return None;
        };
        // One that was given out before the key was cleared is not to be used again.
        let (connection, outdated) =
            if entry.epoch == epoch { (connection, None) } else { (None, connection) };
        self.doomed.extend(outdated);
        let own = entry.waiting.first().copied();
        let oldest_elsewhere = self.held_back.first_key_value().map(|(serial, _)| *serial);
        let same_key = match (own, oldest_elsewhere) {
            (Some(own), Some(other)) => own <= other,
            (Some(_), None) => true,
            (None, _) => false,
        };
        if same_key {
            // The room stays with the key, and so does the connection.
            return self.grant_first_of(key.clone(), connection);
        }
        if oldest_elsewhere.is_some() {
            entry.open -= 1;
            self.open -= 1;
            self.doomed.extend(connection);
            self.note_held_back(key);
            self.forget_if_unused(key);
            return self.grant_held_back();
        }
        if let Some(connection) = connection.filter(|_| self.config.max_idle_per_key > 0) {
            let serial = self.next_serial();
            if let Some(entry) = self.keys.get_mut(key) {
                entry.idle.push_back((serial, now, connection));
                self.idle.insert(serial, key.clone());
                if entry.idle.len() > self.config.max_idle_per_key {
                    self.evict_oldest_of(key);
                }
            }
            return None;
        }
        entry.open -= 1;
        self.open -= 1;
        self.forget_if_unused(key);
        None
    }

    /// Forgets the idle connections of `key`, and takes back none that was given out before.
    pub fn clear(&mut self, key: &K) {
        let serial = self.next_serial();
        let Some(entry) = self.keys.get_mut(key) else { return };
        entry.epoch = serial;
        while let Some((serial, _, connection)) = entry.idle.pop_front() {
            self.idle.remove(&serial);
            entry.open -= 1;
            self.open -= 1;
            self.doomed.push(connection);
        }
        self.forget_if_unused(key);
    }

    /// Forgets every idle connection, and takes back none that was given out before.
    pub fn clear_all(&mut self) {
        let keys: Vec<K> = self.keys.keys().cloned().collect();
        for key in keys {
            self.clear(&key);
        }
    }

    /// When the next idle connection has lain too long.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let since = self.idle.values().next().and_then(|key| self.keys.get(key)?.idle.front())?.1;
        Some(since + self.config.idle_timeout?)
    }

    /// Ends the idle connections that have lain too long.
    pub fn handle_timeout(&mut self, now: Instant) {
        while self.poll_timeout().is_some_and(|at| at <= now) {
            self.evict_oldest();
        }
    }

    /// The connections that are to be closed. Drop them where that disturbs nobody, outside of any lock.
    pub fn take_doomed(&mut self) -> Vec<C> {
        core::mem::take(&mut self.doomed)
    }

    fn next_serial(&mut self) -> u64 {
        self.serial += 1;
        self.serial
    }

    fn evict_oldest(&mut self) {
        if let Some((_, key)) = self.idle.first_key_value() {
            let key = key.clone();
            self.evict_oldest_of(&key);
        }
    }

    fn evict_oldest_of(&mut self, key: &K) {
        let Some(entry) = self.keys.get_mut(key) else { return };
        if let Some((serial, _, connection)) = entry.idle.pop_front() {
            self.idle.remove(&serial);
            entry.open -= 1;
            self.open -= 1;
            self.doomed.push(connection);
            self.forget_if_unused(key);
        }
    }

    /// Calls the first who waits for `key`, whose room is there already.
    fn grant_first_of(&mut self, key: K, idle: Option<C>) -> Option<Ticket> {
        let entry = self.keys.get_mut(&key)?;
        let serial = entry.waiting.pop_first()?;
        let epoch = entry.epoch;
        self.waiting.remove(&serial);
        self.held_back.remove(&serial);
        self.note_held_back(&key);
        self.granted.insert(serial, (key, Permit { idle, epoch }));
        Some(Ticket(serial))
    }

    /// Calls the one who has waited longest for the total to have room.
    fn grant_held_back(&mut self) -> Option<Ticket> {
        let (_, key) = self.held_back.first_key_value()?;
        let key = key.clone();
        self.keys.get_mut(&key)?.open += 1;
        self.open += 1;
        self.grant_first_of(key, None)
    }

    /// Keeps `held_back` true for `key` after its room or its waiters have changed.
    fn note_held_back(&mut self, key: &K) {
        let Some(entry) = self.keys.get(key) else { return };
        if let Some(first) = entry.waiting.first() {
            if entry.open < self.config.max_per_key {
                self.held_back.insert(*first, key.clone());
            } else {
                self.held_back.remove(first);
            }
        }
    }

    fn forget_if_unused(&mut self, key: &K) {
        if self.keys.get(key).is_some_and(|entry| entry.open == 0 && entry.waiting.is_empty()) {
            self.keys.remove(key);
        }
    }
}

#[cfg(test)]
mod tests;
