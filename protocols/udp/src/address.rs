//! From an address to its conversation.

use core::net::SocketAddr;

use glowplug_core::Rng;
use hashbrown::HashTable;

use crate::Scope;
use crate::hash::KeyedHash;
use crate::slab::Slab;

/// The identity of a peer: scope, address, port and zone. A flow label is no part of it.
///
/// IPv4 addresses (also those that a dual-stack socket writes as IPv6) fit one word, IPv6 addresses two and a port. They
/// have tables of their own that keep the key beside the slot, so one cache miss decides. What has a scope or a zone is
/// rare, and shares a third table that looks into the slab.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    Narrow(u64),
    Wide([u64; 2], u16),
    Rare([u64; 4]),
}

/// Marks the key of an IPv4 address that was written as IPv6, which is another socket's other peer.
const MAPPED: u64 = 1 << 48;

impl Key {
    #[inline]
    pub(crate) fn new(scope: Scope, remote: &SocketAddr) -> Self {
        match remote {
            SocketAddr::V4(remote) => {
                let address = u64::from(remote.ip().to_bits());
                if scope == Scope::NONE {
                    return Self::Narrow(address << 16 | u64::from(remote.port()));
                }
                // No IPv6 address comes with this mark in the last word.
                Self::Rare([address, 0, u64::from(scope.0) << 32, u64::from(remote.port()) | MAPPED])
            }
            SocketAddr::V6(remote) => {
                let bits = remote.ip().to_bits();
                if let (Some(mapped), Scope::NONE, 0) =
                    (remote.ip().to_ipv4_mapped(), scope, remote.scope_id())
                {
                    return Self::Narrow(
                        MAPPED | u64::from(mapped.to_bits()) << 16 | u64::from(remote.port()),
                    );
                }
                if scope == Scope::NONE && remote.scope_id() == 0 {
                    return Self::Wide([(bits >> 64) as u64, bits as u64], remote.port());
                }
                let zone = u64::from(remote.scope_id());
                Self::Rare([
                    (bits >> 64) as u64,
                    bits as u64,
                    u64::from(scope.0) << 32 | zone,
                    u64::from(remote.port()),
                ])
            }
        }
    }
}

/// See the module.
pub(crate) struct AddressTable {
    narrow: HashTable<(u64, u32)>,
    narrow_hash: KeyedHash<1>,
    wide: HashTable<Wide>,
    wide_hash: KeyedHash<3>,
    /// The keys are in the slab.
    rare: HashTable<u32>,
    rare_hash: KeyedHash<4>,
}

struct Wide {
    address: [u64; 2],
    slot: u32,
    port: u16,
}

impl Wide {
    fn words(&self) -> [u64; 3] {
        let [high, low] = self.address;
        [high, low, self.port.into()]
    }
}

impl AddressTable {
    pub(crate) fn new(rng: &mut Rng) -> Self {
        Self {
            narrow: HashTable::new(),
            narrow_hash: KeyedHash::new(rng),
            wide: HashTable::new(),
            wide_hash: KeyedHash::new(rng),
            rare: HashTable::new(),
            rare_hash: KeyedHash::new(rng),
        }
    }

    #[inline]
    pub(crate) fn get(&self, key: Key, slab: &Slab) -> Option<u32> {
        match key {
            Key::Narrow(key) => {
                let hash = self.narrow_hash.hash([key]);
                self.narrow.find(hash, |entry| entry.0 == key).map(|entry| entry.1)
            }
            Key::Wide(address, port) => self.get_wide(address, port),
            Key::Rare(words) => self.get_rare(words, slab),
        }
    }

    // Apart from `get`, so that the narrow case is short enough to be inlined.
    fn get_wide(&self, address: [u64; 2], port: u16) -> Option<u32> {
        let hash = self.wide_hash.hash([address[0], address[1], port.into()]);
        let is = |entry: &Wide| entry.address == address && entry.port == port;
        self.wide.find(hash, is).map(|entry| entry.slot)
    }

    #[cold]
    fn get_rare(&self, words: [u64; 4], slab: &Slab) -> Option<u32> {
        let hash = self.rare_hash.hash(words);
        self.rare.find(hash, |&slot| key_of(slab, slot) == Key::Rare(words)).copied()
    }

    /// Leads `key` to `slot`, whose address in the slab is that of `key`. Gives back where it led before.
    pub(crate) fn insert(&mut self, key: Key, slot: u32, slab: &Slab) -> Option<u32> {
        match key {
            Key::Narrow(key) => {
                let hash = self.narrow_hash.hash([key]);
                if let Some(entry) = self.narrow.find_mut(hash, |entry| entry.0 == key) {
                    return Some(core::mem::replace(&mut entry.1, slot));
                }
                let hasher = &self.narrow_hash;
                self.narrow.insert_unique(hash, (key, slot), |entry| hasher.hash([entry.0]));
            }
            Key::Wide(address, port) => {
                let new = Wide { address, slot, port };
                let hasher = &self.wide_hash;
                let hash = hasher.hash(new.words());
                let is = |entry: &Wide| entry.address == address && entry.port == port;
                if let Some(entry) = self.wide.find_mut(hash, is) {
                    return Some(core::mem::replace(&mut entry.slot, slot));
                }
                self.wide.insert_unique(hash, new, |entry| hasher.hash(entry.words()));
            }
            Key::Rare(words) => {
                let hasher = &self.rare_hash;
                let hash = hasher.hash(words);
                if let Some(entry) = self.rare.find_mut(hash, |&slot| key_of(slab, slot) == key) {
                    return Some(core::mem::replace(entry, slot));
                }
                self.rare.insert_unique(hash, slot, |&slot| match key_of(slab, slot) {
                    Key::Rare(words) => hasher.hash(words),
                    // A slot is put here by a rare key, and leaves before its address changes.
                    Key::Narrow(_) | Key::Wide(..) => 0,
                });
            }
        }
        None
    }

    /// Takes `key` out, if it leads to `slot`. The slab still holds the address of `key`.
    pub(crate) fn remove(&mut self, key: Key, slot: u32) {
        match key {
            Key::Narrow(key) => {
                let hash = self.narrow_hash.hash([key]);
                if let Ok(entry) = self.narrow.find_entry(hash, |entry| *entry == (key, slot)) {
                    entry.remove();
                }
            }
            Key::Wide(address, port) => {
                let hash = self.wide_hash.hash([address[0], address[1], port.into()]);
                if let Ok(entry) = self.wide.find_entry(hash, |entry| entry.slot == slot) {
                    entry.remove();
                }
            }
            Key::Rare(words) => {
                let hash = self.rare_hash.hash(words);
                if let Ok(entry) = self.rare.find_entry(hash, |&other| other == slot) {
                    entry.remove();
                }
            }
        }
    }
}

fn key_of(slab: &Slab, slot: u32) -> Key {
    let address = &slab.get(slot).address;
    Key::new(address.scope, &address.remote())
}

#[cfg(test)]
mod tests {
    use core::net::SocketAddrV6;
    use std::vec::Vec;

    use glowplug_core::{Path, Seed};

    use super::*;
    use crate::slab::Address;

    #[test]
    fn different_peers_have_different_keys() {
        let remotes = [
            "1.2.3.4:5",
            "1.2.3.4:6",
            "1.2.3.5:5",
            "[::ffff:1.2.3.4]:5",
            "[::102:304]:5",
            "[fe80::1]:5",
            "[fe80::1%1]:5",
            "[fe80::1%2]:5",
            "[::ffff:1.2.3.4%1]:5",
            "0.0.0.0:0",
            "255.255.255.255:65535",
            "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535",
        ];
        let keys: Vec<Key> = remotes
            .iter()
            .flat_map(|remote| [0, 1, u32::MAX].map(|scope| Key::new(Scope(scope), &remote.parse().unwrap())))
            .collect();
        for (i, one) in keys.iter().enumerate() {
            assert!(keys[i + 1..].iter().all(|other| one != other), "{one:?} twice");
        }
    }

    #[test]
    fn behaves_as_a_map_through_growth_and_removal() {
        let (mut slab, mut table) = (Slab::new(), AddressTable::new(&mut Seed::from_u64(1).rng()));
        let path = |i: u32| {
            let remote = match i % 3 {
                0 => SocketAddr::from((i.to_be_bytes(), 9)),
                1 => SocketAddr::from(([1, 2, 3, 4, 5, 6, i as u16, 7], i as u16)),
                _ => SocketAddrV6::new([1, 2, 3, 4, 5, 6, 7, 8].into(), i as u16, 0, 5).into(),
            };
            Path::to(remote)
        };
        let key = |i: u32| Key::new(Scope::NONE, &path(i).remote);
        let mut slots = Vec::new();
        for i in 0..5000 {
            let slot = slab.insert(Address::new(Scope::NONE, path(i)));
            assert_eq!(table.insert(key(i), slot, &slab), None);
            slots.push(slot);
        }
        for i in (0..5000).step_by(4) {
            table.remove(key(i), u32::MAX - 1);
            assert_eq!(table.get(key(i), &slab), Some(slots[i as usize]), "removed for another slot");
            table.remove(key(i), slots[i as usize]);
        }
        for i in 0..5000_u32 {
            let expected = (!i.is_multiple_of(4)).then_some(slots[i as usize]);
            assert_eq!(table.get(key(i), &slab), expected);
        }
    }
}
