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

/// Which key a [`Permit`] is for, and what [`Pool::clear`] had said of that when it was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    entry: usize,
    epoch: u64,
}

/// The right to one connection. It goes back by [`Pool::release`].
#[derive(Debug, PartialEq, Eq)]
pub struct Permit<C> {
    /// An idle connection to use; `None`: dial one.
    pub idle: Option<C>,
    /// What to give back.
    pub place: Place,
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
///
/// A caller who finds an idle connection, and brings it back, costs one search for the key: what happens to every request touches no other
/// key's books, and what is rare looks through all of them.
#[derive(Debug)]
pub struct Pool<K, C> {
    config: PoolConfig,
    /// Where in `entries` a key's books are.
    keys: BTreeMap<K, usize>,
    entries: Vec<Entry<K, C>>,
    /// Entries that no key has.
    free: Vec<usize>,
    /// Of each key that only the total holds back, the first to wait.
    held_back: BTreeMap<u64, usize>,
    waiting: BTreeMap<u64, usize>,
    granted: BTreeMap<u64, Permit<C>>,
    open: usize,
    idle: usize,
    serial: u64,
    doomed: Vec<C>,
}

/// The books of a key. While a permit for it is out, it is the same key's.
#[derive(Debug)]
struct Entry<K, C> {
    /// `None`: nobody's.
    key: Option<K>,
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
            entries: Vec::new(),
            free: Vec::new(),
            held_back: BTreeMap::new(),
            waiting: BTreeMap::new(),
            granted: BTreeMap::new(),
            open: 0,
            idle: 0,
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
        self.idle
    }

    /// Callers who wait.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Asks for a connection to `key`.
    pub fn acquire(&mut self, key: &K) -> Acquired<C> {
        let at = match self.keys.get(key) {
            Some(at) => *at,
            None => self.add(key.clone()),
        };
        let config = &self.config;
        let entry = &mut self.entries[at];
        let place = Place { entry: at, epoch: entry.epoch };
        if let Some((_, _, connection)) = entry.idle.pop_back() {
            self.idle -= 1;
            return Acquired::Permit(Permit { idle: Some(connection), place });
        }
        // Nobody overtakes those who wait for this key already.
        let room = entry.open < config.max_per_key;
        if room && entry.waiting.is_empty() && (self.open < config.max_total || self.idle > 0) {
            entry.open += 1;
            self.open += 1;
            if self.open > config.max_total {
                self.evict_oldest();
            }
            return Acquired::Permit(Permit { idle: None, place });
        }
        if self.waiting.len() + self.granted.len() >= config.max_waiting {
            self.forget_if_unused(at);
            return Acquired::Overloaded;
        }
        self.serial += 1;
        let serial = self.serial;
        entry.waiting.insert(serial);
        if room && entry.waiting.len() == 1 {
            self.held_back.insert(serial, at);
        }
        self.waiting.insert(serial, at);
        Acquired::Wait(Ticket(serial))
    }

    /// What was granted to a ticket that was called. `None`: it still waits.
    pub fn claim(&mut self, ticket: Ticket) -> Option<Permit<C>> {
        self.granted.remove(&ticket.0)
    }

    /// The caller has left. If its ticket had been called, the next one is, and returned.
    #[must_use = "a ticket that was called has to be woken"]
    pub fn give_up(&mut self, now: Instant, ticket: Ticket) -> Option<Ticket> {
        if let Some(permit) = self.granted.remove(&ticket.0) {
            return self.release(now, permit.place, permit.idle);
        }
        if let Some(at) = self.waiting.remove(&ticket.0) {
            self.held_back.remove(&ticket.0);
            self.entries[at].waiting.remove(&ticket.0);
            self.note_held_back(at);
            self.forget_if_unused(at);
        }
        None
    }

    /// Gives a permit back: with the connection, if it can be used again. The ticket returned is called: it finds its permit by
    /// [`claim`](Self::claim).
    ///
    /// Each place is given back once.
    #[must_use = "a ticket that was called has to be woken"]
    pub fn release(&mut self, now: Instant, place: Place, connection: Option<C>) -> Option<Ticket> {
        let at = place.entry;
        let Some(entry) = self.entries.get_mut(at).filter(|entry| entry.key.is_some()) else {
            self.doomed.extend(connection);
            return None;
        };
        // One that was given out before the key was cleared is not to be used again.
        let (connection, outdated) =
            if entry.epoch == place.epoch { (connection, None) } else { (None, connection) };
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
            return self.grant_first_of(at, connection);
        }
        if oldest_elsewhere.is_some() {
            entry.open -= 1;
            self.open -= 1;
            self.doomed.extend(connection);
            self.note_held_back(at);
            self.forget_if_unused(at);
            return self.grant_held_back();
        }
        if let Some(connection) = connection.filter(|_| self.config.max_idle_per_key > 0) {
            self.serial += 1;
            entry.idle.push_back((self.serial, now, connection));
            self.idle += 1;
            if entry.idle.len() > self.config.max_idle_per_key {
                self.evict_oldest_of(at);
            }
            return None;
        }
        entry.open -= 1;
        self.open -= 1;
        self.forget_if_unused(at);
        None
    }

    /// Forgets the idle connections of `key`, and takes back none that was given out before.
    pub fn clear(&mut self, key: &K) {
        if let Some(at) = self.keys.get(key) {
            self.clear_at(*at);
        }
    }

    /// Forgets every idle connection, and takes back none that was given out before.
    pub fn clear_all(&mut self) {
        for at in 0..self.entries.len() {
            self.clear_at(at);
        }
    }

    /// When the next idle connection has lain too long.
    pub fn poll_timeout(&self) -> Option<Instant> {
        if self.idle == 0 {
            return None;
        }
        let since = self.entries.iter().filter_map(|entry| Some(entry.idle.front()?.1)).min()?;
        Some(since + self.config.idle_timeout?)
    }

    /// Ends the idle connections that have lain too long.
    pub fn handle_timeout(&mut self, now: Instant) {
        let Some(timeout) = self.config.idle_timeout else { return };
        for at in 0..self.entries.len() {
            while self.entries[at].idle.front().is_some_and(|(_, since, _)| *since + timeout <= now) {
                self.evict_oldest_of(at);
            }
        }
    }

    /// The connections that are to be closed. Drop them where that disturbs nobody, outside of any lock.
    pub fn take_doomed(&mut self) -> Vec<C> {
        core::mem::take(&mut self.doomed)
    }

    /// Opens the books of a key that has none.
    fn add(&mut self, key: K) -> usize {
        self.serial += 1;
        let entry = Entry {
            key: Some(key.clone()),
            idle: VecDeque::new(),
            open: 0,
            waiting: BTreeSet::new(),
            epoch: self.serial,
        };
        let at = match self.free.pop() {
            Some(at) => {
                self.entries[at] = entry;
                at
            }
            None => {
                self.entries.push(entry);
                self.entries.len() - 1
            }
        };
        self.keys.insert(key, at);
        at
    }

    fn clear_at(&mut self, at: usize) {
        self.serial += 1;
        let entry = &mut self.entries[at];
        entry.epoch = self.serial;
        let idle = entry.idle.len();
        entry.open -= idle;
        self.open -= idle;
        self.idle -= idle;
        self.doomed.extend(entry.idle.drain(..).map(|(_, _, connection)| connection));
        self.forget_if_unused(at);
    }

    fn evict_oldest(&mut self) {
        let oldest =
            self.entries.iter().enumerate().filter_map(|(at, entry)| Some((entry.idle.front()?.0, at)));
        if let Some((_, at)) = oldest.min() {
            self.evict_oldest_of(at);
        }
    }

    fn evict_oldest_of(&mut self, at: usize) {
        let entry = &mut self.entries[at];
        if let Some((_, _, connection)) = entry.idle.pop_front() {
            entry.open -= 1;
            self.open -= 1;
            self.idle -= 1;
            self.doomed.push(connection);
            self.forget_if_unused(at);
        }
    }

    /// Calls the first who waits for the key at `at`, whose room is there already.
    fn grant_first_of(&mut self, at: usize, idle: Option<C>) -> Option<Ticket> {
        let entry = &mut self.entries[at];
        let serial = entry.waiting.pop_first()?;
        let place = Place { entry: at, epoch: entry.epoch };
        self.waiting.remove(&serial);
        self.held_back.remove(&serial);
        self.note_held_back(at);
        self.granted.insert(serial, Permit { idle, place });
        Some(Ticket(serial))
    }

    /// Calls the one who has waited longest for the total to have room.
    fn grant_held_back(&mut self) -> Option<Ticket> {
        let (_, at) = self.held_back.first_key_value()?;
        let at = *at;
        self.entries[at].open += 1;
        self.open += 1;
        self.grant_first_of(at, None)
    }

    /// Keeps `held_back` true for a key after its room or its waiters have changed.
    fn note_held_back(&mut self, at: usize) {
        let entry = &self.entries[at];
        if let Some(first) = entry.waiting.first() {
            if entry.open < self.config.max_per_key {
                self.held_back.insert(*first, at);
            } else {
                self.held_back.remove(first);
            }
        }
    }

    fn forget_if_unused(&mut self, at: usize) {
        let entry = &mut self.entries[at];
        if entry.open == 0
            && entry.waiting.is_empty()
            && let Some(key) = entry.key.take()
        {
            self.keys.remove(&key);
            self.free.push(at);
        }
    }
}

#[cfg(test)]
mod tests;
