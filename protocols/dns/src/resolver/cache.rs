//! What was found before.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::hash::Hasher;
use core::time::Duration;

use glowplug_core::{Instant, Rng};
use hashbrown::HashTable;
use siphasher::sip::SipHasher13;

use super::answer::Finding;
use crate::wire::{Name, RecordType};

#[derive(Debug)]
struct Entry {
    hash: u64,
    name: Name,
    rtype: RecordType,
    finding: Arc<Finding>,
    expires: Instant,
    /// After a failure to refresh it, a stale entry serves until then without another try.
    retry_at: Instant,
    /// Set when the entry is used, cleared when the hand passes (the clock algorithm).
    used: bool,
}

/// A finding in the cache.
#[derive(Clone, Debug)]
pub(super) enum Hit {
    /// It is valid for so long.
    Fresh(Arc<Finding>, Duration),
    /// It ended so long ago; true if a refresh failed just now.
    Stale(Arc<Finding>, Duration, bool),
}

/// How questions are hashed. Names come from the network as much as from the application, so the hash is keyed.
#[derive(Clone, Copy, Debug)]
pub(super) struct HashKeys(u64, u64);

impl HashKeys {
    pub(super) fn new(rng: &mut Rng) -> Self {
        Self(rng.u64(), rng.u64())
    }

    pub(super) fn hash(self, name: &Name, rtype: RecordType) -> u64 {
        // Eight bytes at a time, each blind to case; what else that bit hides is told apart by comparing.
        const LOWER: u64 = 0x2020_2020_2020_2020;
        let mut hasher = SipHasher13::new_with_keys(self.0, self.1);
        let (words, rest) = name.as_wire().as_chunks();
        for word in words {
            hasher.write_u64(u64::from_le_bytes(*word) | LOWER);
        }
        let last = rest.iter().fold(0, |last, byte| last << 8 | u64::from(byte | 0x20));
        hasher.write_u64(last);
        hasher.write_u16(rtype.0);
        hasher.finish()
    }
}

/// Findings by name and type, at most so many.
#[derive(Debug)]
pub(super) struct Cache {
    table: HashTable<u32>,
    entries: Vec<Entry>,
    hand: usize,
    max_entries: usize,
    /// How long entries are kept beyond their time.
    max_stale: Duration,
}

impl Cache {
    pub(super) fn new(max_entries: usize, max_stale: Duration) -> Self {
        Self { table: HashTable::new(), entries: Vec::new(), hand: 0, max_entries, max_stale }
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    fn find(&self, hash: u64, name: &Name, rtype: RecordType) -> Option<usize> {
        let same = |index: &u32| {
            let entry = &self.entries[*index as usize];
            entry.hash == hash && entry.rtype == rtype && entry.name == *name
        };
        self.table.find(hash, same).map(|index| *index as usize)
    }

    /// `hash` is that of the question, here and below.
    pub(super) fn get(&mut self, now: Instant, hash: u64, name: &Name, rtype: RecordType) -> Option<Hit> {
        let index = self.find(hash, name, rtype)?;
        let entry = &mut self.entries[index];
        entry.used = true;
        let finding = Arc::clone(&entry.finding);
        if now < entry.expires {
            return Some(Hit::Fresh(finding, entry.expires - now));
        }
        let age = now - entry.expires;
        (age < self.max_stale).then(|| Hit::Stale(finding, age, now < entry.retry_at))
    }

    pub(super) fn put(
        &mut self,
        now: Instant,
        hash: u64,
        name: &Name,
        rtype: RecordType,
        finding: Arc<Finding>,
    ) {
        if self.max_entries == 0 || finding.ttl.is_zero() {
            return;
        }
        let expires = super::answer::expires(now, &finding);
        let entry =
            Entry { hash, name: name.clone(), rtype, finding, expires, retry_at: Instant::ZERO, used: false };
        if let Some(index) = self.find(hash, name, rtype) {
            self.entries[index] = entry;
            return;
        }
        let index = if self.entries.len() < self.max_entries {
            self.entries.push(entry);
            self.entries.len() - 1
        } else {
            let index = self.evict(now);
            self.entries[index] = entry;
            index
        };
        let entries = &self.entries;
        self.table.insert_unique(hash, index as u32, |index| entries[*index as usize].hash);
    }

    /// Frees a place: of an entry whose time is up, or of one that was not used since the hand last passed.
    fn evict(&mut self, now: Instant) -> usize {
        loop {
            let index = self.hand;
            self.hand = (self.hand + 1) % self.entries.len();
            let entry = &mut self.entries[index];
            if core::mem::take(&mut entry.used) && entry.expires + self.max_stale > now {
                continue;
            }
            if let Ok(slot) = self.table.find_entry(entry.hash, |other| *other as usize == index) {
                slot.remove();
            }
            return index;
        }
    }

    /// A refresh failed: the stale entry serves until `until` without another try.
    pub(super) fn defer(&mut self, hash: u64, name: &Name, rtype: RecordType, until: Instant) {
        if let Some(index) = self.find(hash, name, rtype) {
            self.entries[index].retry_at = until;
        }
    }

    pub(super) fn clear(&mut self) {
        self.table.clear();
        self.entries.clear();
        self.hand = 0;
    }
}
