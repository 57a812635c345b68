//! Conversation ids that the datagrams carry: what survives a change of address.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::fmt;

use glowplug_core::Rng;
use hashbrown::HashTable;

use crate::Scope;
use crate::hash::KeyedHash;

/// The longest id: what QUIC allows (RFC 9000 §17.2).
pub const MAX_KEY_LEN: usize = 20;
/// Ids one conversation may have at a time.
pub const MAX_KEYS: usize = 8;

/// The id of a conversation as its datagrams carry it: QUIC's connection id, DTLS's, KCP's conversation number.
///
/// ```
/// use glowplug_udp::ConversationKey;
/// // KCP: the first four bytes of each datagram.
/// let identify = |payload: &[u8]| payload.get(..4).and_then(ConversationKey::new);
/// assert_eq!(identify(b"\x0a\0\0\0Q"), identify(b"\x0a\0\0\0R"));
/// assert_eq!(identify(b"\x0a"), None);
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ConversationKey {
    bytes: [u8; MAX_KEY_LEN],
    len: u8,
}

impl ConversationKey {
    /// An id of at most [`MAX_KEY_LEN`] bytes; `None` when it is longer. An empty one is an id too.
    pub fn new(id: &[u8]) -> Option<Self> {
        let mut bytes = [0; MAX_KEY_LEN];
        bytes.get_mut(..id.len())?.copy_from_slice(id);
        Some(Self { bytes, len: id.len() as u8 })
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }

    fn words(&self, scope: Scope) -> [u64; 4] {
        let mut words = [0; 4];
        for (word, chunk) in words.iter_mut().zip(self.bytes.chunks(8)) {
            for byte in chunk {
                *word = *word << 8 | u64::from(*byte);
            }
        }
        words[3] = u64::from(scope.0) << 8 | u64::from(self.len);
        words
    }
}

impl fmt::Debug for ConversationKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ConversationKey(")?;
        for byte in self.as_bytes() {
            write!(f, "{byte:02x}")?;
        }
        f.write_str(")")
    }
}

/// Which conversation an id belongs to, and which ids a conversation has. Empty, and without cost, when nobody uses ids.
pub(crate) struct KeyTable {
    table: HashTable<Bound>,
    hash: KeyedHash<4>,
    of_slot: BTreeMap<u32, Vec<ConversationKey>>,
}

struct Bound {
    key: ConversationKey,
    scope: Scope,
    slot: u32,
}

/// Why an id cannot be bound to a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BindError {
    /// It belongs to another conversation.
    Taken,
    /// The conversation has [`MAX_KEYS`] ids.
    TooMany,
    /// There is no such conversation any more.
    Closed,
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Taken => "id belongs to another conversation",
            Self::TooMany => "conversation has too many ids",
            Self::Closed => "conversation closed",
        })
    }
}

impl core::error::Error for BindError {}

impl KeyTable {
    pub(crate) fn new(rng: &mut Rng) -> Self {
        Self { table: HashTable::new(), hash: KeyedHash::new(rng), of_slot: BTreeMap::new() }
    }

    pub(crate) fn get(&self, scope: Scope, key: &ConversationKey) -> Option<u32> {
        let hash = self.hash.hash(key.words(scope));
        self.table.find(hash, |bound| bound.key == *key && bound.scope == scope).map(|bound| bound.slot)
    }

    /// Whether a conversation has any id.
    pub(crate) fn has_any(&self, slot: u32) -> bool {
        self.of_slot.contains_key(&slot)
    }

    pub(crate) fn bind(&mut self, scope: Scope, key: ConversationKey, slot: u32) -> Result<(), BindError> {
        match self.get(scope, &key) {
            Some(owner) if owner == slot => return Ok(()),
            Some(_) => return Err(BindError::Taken),
            None => {}
        }
        let keys = self.of_slot.entry(slot).or_default();
        if keys.len() == MAX_KEYS {
            return Err(BindError::TooMany);
        }
        keys.push(key);
        let hasher = &self.hash;
        let hash = hasher.hash(key.words(scope));
        self.table.insert_unique(hash, Bound { key, scope, slot }, |bound| {
            hasher.hash(bound.key.words(bound.scope))
        });
        Ok(())
    }

    pub(crate) fn unbind(&mut self, scope: Scope, key: &ConversationKey, slot: u32) -> bool {
        let Some(keys) = self.of_slot.get_mut(&slot) else { return false };
        let Some(at) = keys.iter().position(|bound| bound == key) else { return false };
        keys.swap_remove(at);
        if keys.is_empty() {
            self.of_slot.remove(&slot);
        }
        self.forget(scope, key);
        true
    }

    /// The conversation of `slot` is over.
    pub(crate) fn unbind_all(&mut self, scope: Scope, slot: u32) {
        if self.of_slot.is_empty() {
            return;
        }
        for key in self.of_slot.remove(&slot).unwrap_or_default() {
            self.forget(scope, &key);
        }
    }

    fn forget(&mut self, scope: Scope, key: &ConversationKey) {
        let hash = self.hash.hash(key.words(scope));
        if let Ok(entry) = self.table.find_entry(hash, |bound| bound.key == *key && bound.scope == scope) {
            entry.remove();
        }
    }
}
