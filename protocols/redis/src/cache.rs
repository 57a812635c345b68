//! What was read, kept until the server says that it has changed.
//!
//! The server remembers which keys a connection has read (`CLIENT TRACKING`), and pushes `invalidate` when one of them changes. A
//! [`ClientConnection`](crate::ClientConnection) that is given a [`CacheConfig`] asks for that in its handshake, keeps the answers of
//! [cacheable](crate::Command::cacheable) commands, and drops them by those pushes.
//!
//! What must never happen is that an old answer stays. Three things see to it:
//!
//! - An answer is kept only if none of its keys was said to have changed since the request went in, whatever the order of the two on the wire.
//! - What this connection itself changes is dropped when the request goes in, so that whoever has the answer to a write never reads
//!   what was there before it.
//! - The end of a transport is the end of all that was kept: what the server would have said is lost with it.

mod keys;

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::time::Duration;

use bytes::Bytes;
use glowplug_core::Instant;
use glowplug_core::limits::Range;

use crate::command::Command;
use crate::commands::TrackingOptions;
use crate::request::Request;
use crate::wire::{Reply, ReplyRef};

pub(crate) use keys::Keys;

const ENTRIES: Range<usize> = Range::new(1, 10_000, 1 << 24);
const BYTES: Range<usize> = Range::new(1024, 16 << 20, 1 << 36);

/// What an entry costs beside its bytes: its places in three trees.
const ENTRY_COST: usize = 256;

/// How a connection keeps what it has read.
///
/// Needs RESP3 and Redis 6.0; with less, nothing is kept and every command is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheConfig {
    max_entries: usize,
    max_bytes: usize,
    max_age: Option<Duration>,
    prefixes: Option<Vec<Bytes>>,
}

impl Default for CacheConfig {
    fn default() -> Self {
        Self {
            max_entries: ENTRIES.default(),
            max_bytes: BYTES.default(),
            max_age: Some(Duration::from_secs(60)),
            prefixes: None,
        }
    }
}

impl CacheConfig {
    /// The server remembers what was read; the defaults for the rest.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many answers are kept; the one that was not used for longest gives way. Default 10,000; 1 to 16,777,216.
    pub fn max_entries(mut self, count: usize) -> Self {
        self.max_entries = ENTRIES.clamp(count);
        self
    }

    /// How many bytes of commands, keys and answers are kept, with 256 for each entry; what was not used for longest gives way, and an
    /// answer that is larger than all of it is not kept. Default 16 MiB; 1 KiB to 64 GiB.
    pub fn max_bytes(mut self, bytes: usize) -> Self {
        self.max_bytes = BYTES.clamp(bytes);
        self
    }

    /// How old an answer may be before it is asked for again: a bound for the time in which a connection that is dead, and does not know it
    /// yet, gives old answers. Default 60 s; `None`: any age.
    pub fn max_age(mut self, age: Option<Duration>) -> Self {
        self.max_age = age;
        self
    }

    /// Lets the server tell of every key that begins with one of these, whoever read it (`BCAST`): it remembers nothing, and says more.
    /// Only answers about such keys are kept. No prefix means all keys. Prefixes must not begin with one another, or the server
    /// refuses and nothing is kept.
    pub fn broadcast(mut self, prefixes: impl IntoIterator<Item = impl Into<Bytes>>) -> Self {
        self.prefixes = Some(prefixes.into_iter().map(Into::into).collect());
        self
    }

    /// What turns tracking on.
    pub(crate) fn tracking(&self) -> Command {
        let options = TrackingOptions { prefixes: self.prefixes.clone(), ..TrackingOptions::default() };
        crate::commands::client_tracking_on(&options).into_parts().0
    }

    /// Whether the server tells of this key.
    fn covers(&self, key: &[u8]) -> bool {
        let Some(prefixes) = &self.prefixes else { return true };
        prefixes.is_empty() || prefixes.iter().any(|prefix| key.starts_with(prefix))
    }
}

/// What a cache holds, and how it has fared since the connection's machine was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CacheStats {
    /// The server has agreed to tell of changes. While false, nothing is kept.
    pub tracking: bool,
    /// Answers that are kept.
    pub entries: usize,
    /// Bytes they are counted as.
    pub bytes: usize,
    /// Commands that were answered from here.
    pub hits: u64,
    /// Cacheable commands that had to be asked.
    pub misses: u64,
    /// Answers that were dropped because a key had changed, or may have.
    pub invalidated: u64,
    /// Answers that gave way to others.
    pub evicted: u64,
}

/// A cacheable request on its way.
#[derive(Debug)]
pub(crate) struct Reading {
    command: Bytes,
    keys: Box<[Bytes]>,
    /// Its place in the order of requests and changes.
    since: u64,
}

/// A key that requests on their way read.
#[derive(Debug, Default)]
struct Awaited {
    requests: usize,
    /// When it was last said to have changed.
    changed: u64,
}

#[derive(Debug)]
struct Entry {
    reply: Reply,
    kept: Instant,
    used: u64,
    keys: Box<[Bytes]>,
    size: usize,
}

/// The answers that are kept.
#[derive(Debug)]
pub(crate) struct Cache {
    config: CacheConfig,
    /// By the command, as it goes on the wire.
    entries: BTreeMap<Bytes, Entry>,
    /// Which commands read a key.
    readers: BTreeMap<Bytes, BTreeSet<Bytes>>,
    /// By when they were last used.
    by_use: BTreeMap<u64, Bytes>,
    uses: u64,
    awaited: BTreeMap<Bytes, Awaited>,
    /// Counts requests; changes have the number of the last request before them.
    requests: u64,
    /// When anything may have changed, as far as requests on their way are concerned. They begin after that.
    all_changed: u64,
    stats: CacheStats,
}

impl Cache {
    pub(crate) fn new(config: CacheConfig) -> Self {
        Self {
            config,
            entries: BTreeMap::new(),
            readers: BTreeMap::new(),
            by_use: BTreeMap::new(),
            uses: 0,
            awaited: BTreeMap::new(),
            requests: 0,
            all_changed: 0,
            stats: CacheStats::default(),
        }
    }

    /// An empty one, on the next transport, that goes on counting.
    pub(crate) fn after(config: CacheConfig, former: CacheStats) -> Self {
        let invalidated = former.invalidated + former.entries as u64;
        let stats = CacheStats { tracking: false, entries: 0, bytes: 0, invalidated, ..former };
        Self { stats, ..Self::new(config) }
    }

    pub(crate) fn stats(&self) -> CacheStats {
        CacheStats { entries: self.entries.len(), ..self.stats }
    }

    /// The server has agreed to tell of changes, before it answers anything else; or does so no longer.
    pub(crate) fn set_tracking(&mut self, on: bool) {
        self.stats.tracking = on;
        if !on {
            self.change_all();
        }
    }

    /// The answer to `command`, if it is kept.
    pub(crate) fn get(&mut self, now: Instant, command: &Command) -> Option<Reply> {
        if self.entries.is_empty() {
            return None;
        }
        let key = command.on_the_wire();
        let entry = self.entries.get_mut(&*key)?;
        if self.config.max_age.is_some_and(|age| now - entry.kept >= age) {
            self.remove(&key);
            return None;
        }
        self.uses += 1;
        let name = self.by_use.remove(&core::mem::replace(&mut entry.used, self.uses))?;
        self.by_use.insert(self.uses, name);
        self.stats.hits += 1;
        Some(entry.reply.clone())
    }

    /// A request goes in: one that may change keys makes them change here, the answer to one that is cacheable is waited for.
    pub(crate) fn note(&mut self, request: &mut Request) -> Option<Reading> {
        if !request.is_read_only() {
            request.each_command(|words| self.handle_command(words));
            return None;
        }
        self.begin(request.cacheable()?)
    }

    /// A cacheable command is on its way; `None` if its answer cannot be kept.
    fn begin(&mut self, command: &Command) -> Option<Reading> {
        self.stats.misses += 1;
        let keys: Box<[Bytes]> =
            Keys::of(command.arguments())?.iter().map(|key| Bytes::copy_from_slice(key)).collect();
        if keys.is_empty() || !keys.iter().all(|key| self.config.covers(key)) {
            return None;
        }
        let command = Bytes::copy_from_slice(&command.on_the_wire());
        Some(self.begin_again(Reading { command, keys, since: 0 }))
    }

    /// A request goes out on the next transport.
    pub(crate) fn begin_again(&mut self, reading: Reading) -> Reading {
        self.requests += 1;
        for key in &reading.keys {
            self.awaited.entry(key.clone()).or_default().requests += 1;
        }
        Reading { since: self.requests, ..reading }
    }

    /// A request is over. True if nothing it read has changed since it began.
    pub(crate) fn forget(&mut self, reading: &Reading) -> bool {
        let mut unchanged = self.all_changed < reading.since;
        for key in &reading.keys {
            let Some(awaited) = self.awaited.get_mut(key) else { continue };
            unchanged &= awaited.changed < reading.since;
            awaited.requests -= 1;
            if awaited.requests == 0 {
                self.awaited.remove(key);
            }
        }
        unchanged
    }

    /// A request is answered.
    pub(crate) fn finish(&mut self, now: Instant, reading: Reading, reply: &Reply) {
        let unchanged = self.forget(&reading);
        if !unchanged || !self.stats.tracking || matches!(reply, Reply::Error(_)) {
            return;
        }
        let Reading { command, keys, .. } = reading;
        let reply = reply.detached();
        let of_keys: usize = keys.iter().map(Bytes::len).sum();
        let size = ENTRY_COST + 2 * command.len() + of_keys + reply.held();
        if size > self.config.max_bytes {
            return;
        }
        self.remove(&command);
        while self.entries.len() >= self.config.max_entries || self.stats.bytes + size > self.config.max_bytes
        {
            let Some((_, oldest)) = self.by_use.first_key_value() else { break };
            let oldest = oldest.clone();
            self.remove(&oldest);
            self.stats.evicted += 1;
        }
        self.uses += 1;
        for key in &keys {
            self.readers.entry(key.clone()).or_default().insert(command.clone());
        }
        self.by_use.insert(self.uses, command.clone());
        self.stats.bytes += size;
        self.entries.insert(command, Entry { reply, kept: now, used: self.uses, keys, size });
    }

    fn remove(&mut self, command: &[u8]) {
        let Some((command, entry)) = self.entries.remove_entry(command) else { return };
        self.by_use.remove(&entry.used);
        self.stats.bytes -= entry.size;
        for key in &entry.keys {
            if let Some(readers) = self.readers.get_mut(key) {
                readers.remove(&command);
                if readers.is_empty() {
                    self.readers.remove(key);
                }
            }
        }
    }

    /// A key has changed, or is about to.
    pub(crate) fn change(&mut self, key: &[u8]) {
        if let Some(awaited) = self.awaited.get_mut(key) {
            awaited.changed = self.requests;
        }
        for command in self.readers.remove(key).unwrap_or_default() {
            self.remove(&command);
            self.stats.invalidated += 1;
        }
    }

    /// Any key may have changed.
    pub(crate) fn change_all(&mut self) {
        self.all_changed = self.requests;
        self.stats.invalidated += self.entries.len() as u64;
        self.entries.clear();
        self.readers.clear();
        self.by_use.clear();
        self.stats.bytes = 0;
    }

    /// Acts on a push, if it is about changed keys. True if it was.
    pub(crate) fn handle_push(&mut self, push: &Reply) -> bool {
        let Some(mut elements) = push.view().elements() else { return false };
        if elements.next().and_then(|kind| kind.as_bytes()) != Some(b"invalidate") {
            return false;
        }
        match elements.next().and_then(|keys| match keys {
            ReplyRef::Null => None,
            keys => keys.elements(),
        }) {
            Some(keys) => keys.filter_map(|key| key.as_bytes()).for_each(|key| self.change(key)),
            None => self.change_all(),
        }
        true
    }

    /// A command that is not known to change nothing goes out: whichever of its arguments is a key, that key may change.
    fn handle_command(&mut self, words: &[&[u8]]) {
        let is = |at: usize, word: &str| {
            words.get(at).is_some_and(|arg| arg.eq_ignore_ascii_case(word.as_bytes()))
        };
        if ["SELECT", "SWAPDB", "FLUSHALL", "FLUSHDB", "AUTH"].into_iter().any(|word| is(0, word)) {
            self.change_all();
        } else if is(0, "RESET") || is(0, "HELLO") || (is(0, "CLIENT") && is(1, "TRACKING")) {
            // What the server will tell from then on is not known.
            self.set_tracking(false);
        } else if !self.entries.is_empty() || !self.awaited.is_empty() {
            for word in words.iter().skip(1) {
                self.change(word);
            }
        }
    }
}

#[cfg(test)]
mod tests;
