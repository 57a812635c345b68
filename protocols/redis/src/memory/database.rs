//! One numbered database: keys, values, and when they end.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::vec::Vec;

use bytes::Bytes;
use glowplug_core::{Instant, Rng};

use super::refusal::Refusal;
use super::sorted_set::SortedSet;
use super::streams::Stream;

pub(super) type List = VecDeque<Bytes>;
pub(super) type Set = BTreeSet<Bytes>;
pub(super) type Hash = BTreeMap<Bytes, Bytes>;

/// What a key holds.
#[derive(Clone, Debug)]
pub(super) enum Stored {
    String(Bytes),
    List(List),
    Set(Set),
    Hash(Hash),
    SortedSet(SortedSet),
    Stream(Stream),
}

impl Stored {
    pub(super) fn type_name(&self) -> &'static str {
        match self {
            Self::String(_) => "string",
            Self::List(_) => "list",
            Self::Set(_) => "set",
            Self::Hash(_) => "hash",
            Self::SortedSet(_) => "zset",
            Self::Stream(_) => "stream",
        }
    }

    /// Containers vanish with their last element; but not streams, which have groups.
    fn is_empty_container(&self) -> bool {
        match self {
            Self::String(_) | Self::Stream(_) => false,
            Self::List(list) => list.is_empty(),
            Self::Set(set) => set.is_empty(),
            Self::Hash(hash) => hash.is_empty(),
            Self::SortedSet(set) => set.is_empty(),
        }
    }
}

/// A type that a key may hold.
pub(super) trait Kind: Default {
    fn wrap(self) -> Stored;
    fn of(stored: &Stored) -> Option<&Self>;
    fn of_mut(stored: &mut Stored) -> Option<&mut Self>;
}

macro_rules! kind {
    ($($variant:ident: $type:ty),*) => {$(
        impl Kind for $type {
            fn wrap(self) -> Stored {
                Stored::$variant(self)
            }

            fn of(stored: &Stored) -> Option<&Self> {
                match stored {
                    Stored::$variant(value) => Some(value),
                    _ => None,
                }
            }

            fn of_mut(stored: &mut Stored) -> Option<&mut Self> {
                match stored {
                    Stored::$variant(value) => Some(value),
                    _ => None,
                }
            }
        }
    )*};
}

kind!(String: Bytes, List: List, Set: Set, Hash: Hash, SortedSet: SortedSet, Stream: Stream);

#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) stored: Stored,
    pub(super) ends: Option<Instant>,
}

#[derive(Debug, Default)]
pub(super) struct Database {
    keys: BTreeMap<Bytes, Entry>,
    /// Every key that ends, soonest first.
    ends: BTreeSet<(Instant, Bytes)>,
    /// Keys that changed since this was last taken: what watchers and blocked clients look at.
    changed: Vec<Bytes>,
}

impl Database {
    /// Removes what has ended.
    pub(super) fn expire(&mut self, now: Instant) {
        while self.ends.first().is_some_and(|(ends, _)| *ends <= now) {
            if let Some((_, key)) = self.ends.pop_first() {
                self.keys.remove(&key);
                self.changed.push(key);
            }
        }
    }

    pub(super) fn next_end(&self) -> Option<Instant> {
        self.ends.first().map(|(ends, _)| *ends)
    }

    pub(super) fn take_changed(&mut self) -> Vec<Bytes> {
        core::mem::take(&mut self.changed)
    }

    pub(super) fn touch(&mut self, key: &[u8]) {
        self.changed.push(Bytes::copy_from_slice(key));
    }

    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }

    pub(super) fn clear(&mut self) {
        self.changed.extend(core::mem::take(&mut self.keys).into_keys());
        self.ends.clear();
    }

    pub(super) fn entry(&self, key: &[u8]) -> Option<&Entry> {
        self.keys.get(key)
    }

    pub(super) fn contains(&self, key: &[u8]) -> bool {
        self.keys.contains_key(key)
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = (&Bytes, &Entry)> {
        self.keys.iter()
    }

    /// Keys behind `key`, in order: where a scan goes on.
    pub(super) fn nth_key(&self, index: usize) -> Option<&Bytes> {
        self.keys.keys().nth(index)
    }

    pub(super) fn random_key(&self, rng: &mut Rng) -> Option<Bytes> {
        if self.keys.is_empty() {
            return None;
        }
        self.nth_key(rng.below(self.keys.len() as u64) as usize).cloned()
    }

    /// Puts a value in place of whatever was there; it never ends.
    pub(super) fn put(&mut self, key: &[u8], stored: Stored) {
        self.put_entry(key, Entry { stored, ends: None });
    }

    pub(super) fn put_entry(&mut self, key: &[u8], entry: Entry) {
        self.remove(key);
        if entry.stored.is_empty_container() {
            return;
        }
        let key = Bytes::copy_from_slice(key);
        if let Some(ends) = entry.ends {
            self.ends.insert((ends, key.clone()));
        }
        self.changed.push(key.clone());
        self.keys.insert(key, entry);
    }

    pub(super) fn remove(&mut self, key: &[u8]) -> Option<Entry> {
        let (key, entry) = self.keys.remove_entry(key)?;
        if let Some(ends) = entry.ends {
            self.ends.remove(&(ends, key.clone()));
        }
        self.changed.push(key);
        Some(entry)
    }

    /// Sets or clears when `key` ends. False if there is no such key.
    pub(super) fn set_end(&mut self, key: &[u8], ends: Option<Instant>) -> bool {
        let Some((key, _)) = self.keys.get_key_value(key) else { return false };
        let key = key.clone();
        let Some(entry) = self.keys.get_mut(&key) else { return false };
        if let Some(old) = entry.ends {
            self.ends.remove(&(old, key.clone()));
        }
        entry.ends = ends;
        if let Some(ends) = ends {
            self.ends.insert((ends, key.clone()));
        }
        self.changed.push(key);
        true
    }

    /// The value as a `T`, if there is one.
    pub(super) fn view<T: Kind>(&self, key: &[u8]) -> Result<Option<&T>, Refusal> {
        match self.keys.get(key) {
            None => Ok(None),
            Some(entry) => T::of(&entry.stored).map(Some).ok_or(Refusal::WRONG_TYPE),
        }
    }

    /// Lets `edit` change the value, if there is one. It says whether it did, and anything else.
    pub(super) fn edit<T: Kind, R>(
        &mut self,
        key: &[u8],
        edit: impl FnOnce(&mut T) -> (bool, R),
    ) -> Result<Option<R>, Refusal> {
        let Some(entry) = self.keys.get_mut(key) else { return Ok(None) };
        let (changed, result) = edit(T::of_mut(&mut entry.stored).ok_or(Refusal::WRONG_TYPE)?);
        if entry.stored.is_empty_container() {
            self.remove(key);
        } else if changed {
            self.touch(key);
        }
        Ok(Some(result))
    }

    /// As [`edit`](Self::edit), beginning with an empty value where there is none.
    pub(super) fn edit_or_new<T: Kind, R>(
        &mut self,
        key: &[u8],
        edit: impl FnOnce(&mut T) -> (bool, R),
    ) -> Result<R, Refusal> {
        if !self.keys.contains_key(key) {
            let mut value = T::default();
            let (_, result) = edit(&mut value);
            self.put(key, value.wrap());
            return Ok(result);
        }
        // There is a key, so `edit` runs and there is a result.
        self.edit(key, edit)?.ok_or(Refusal::NO_SUCH_KEY)
    }
}
