//! The conversations themselves, 128 bytes each.

use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

use glowplug_core::{Instant, Path};

use crate::event::{ConversationId, Reason, Totals};
use crate::pool::{NIL, Queue};
use crate::{Role, Scope};

/// Entries in one chunk. Growing adds a chunk: nothing is moved, and at most one chunk is unused.
const CHUNK: usize = 1024;

/// How far a conversation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Free,
    Live,
    /// Over. Stays while an event is to be told, the application holds it, or late datagrams are to be kept out.
    Ended(Reason),
}

/// Facts about an entry, one bit each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Flags(u16);

impl Flags {
    /// In the list of those with something to tell. Outlives the conversation: it belongs to the slot.
    pub(crate) const READY: Self = Self(1);
    /// "Opened" is to be told.
    pub(crate) const TELL_OPENED: Self = Self(1 << 1);
    /// The application knows of it.
    pub(crate) const ANNOUNCED: Self = Self(1 << 2);
    /// "Moved" is to be told.
    pub(crate) const TELL_MOVED: Self = Self(1 << 3);
    /// "Readable" was told and the queue was not emptied since.
    pub(crate) const TOLD_READABLE: Self = Self(1 << 4);
    /// "Closed" is to be told.
    pub(crate) const TELL_CLOSED: Self = Self(1 << 5);
    /// The application has not given it back yet.
    pub(crate) const HELD: Self = Self(1 << 6);
    /// The tables lead here.
    pub(crate) const MAPPED: Self = Self(1 << 7);
    /// The peer has shown that it gets what is sent to its address.
    pub(crate) const PROVEN: Self = Self(1 << 8);
    /// We began the conversation.
    pub(crate) const CONNECTED: Self = Self(1 << 9);
    /// The address table leads here (another conversation may have taken the address over).
    pub(crate) const BY_ADDRESS: Self = Self(1 << 10);
    /// A client that has not heard of its server yet puts a cookie before what it sends.
    pub(crate) const COOKIE: Self = Self(1 << 11);

    #[inline]
    pub(crate) const fn has(self, flag: Self) -> bool {
        self.0 & flag.0 != 0
    }

    #[inline]
    pub(crate) fn set(&mut self, flag: Self) {
        self.0 |= flag.0;
    }

    /// Clears `flag` and says whether it was set.
    #[inline]
    pub(crate) fn clear(&mut self, flag: Self) -> bool {
        let had = self.has(flag);
        self.0 &= !flag.0;
        had
    }
}

/// One conversation. The first cache line is what every datagram touches.
#[derive(Debug)]
#[repr(C, align(64))]
pub(crate) struct Entry {
    /// When the peer was heard last; once ended, when it ended.
    pub(crate) last_seen: Instant,
    pub(crate) received: u64,
    pub(crate) received_bytes: u64,
    /// The rate limit's stamp.
    pub(crate) next_allowed: Instant,
    pub(crate) queue: Queue,
    pub(crate) generation: u32,
    /// Bytes that may be sent before the peer is proven. While the slot is free: the next free one.
    pub(crate) credit: u32,
    pub(crate) flags: Flags,
    pub(crate) state: State,
    /// Datagrams waiting in the output.
    pub(crate) outgoing: u16,
    /// An idle time-out of its own in seconds; 0 is the configured one.
    pub(crate) idle_seconds: u16,

    pub(crate) sent: u64,
    pub(crate) sent_bytes: u64,
    pub(crate) address: Address,
    pub(crate) dropped: u32,
}

/// A path and its scope in 44 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    remote: [u8; 16],
    local: [u8; 16],
    zone: u32,
    pub(crate) scope: Scope,
    port: u16,
    remote_v4: bool,
    local_kind: LocalKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LocalKind {
    Unknown,
    V4,
    V6,
}

fn octets(ip: IpAddr) -> [u8; 16] {
    match ip {
        IpAddr::V4(ip) => {
            let [a, b, c, d] = ip.octets();
            [a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
        }
        IpAddr::V6(ip) => ip.octets(),
    }
}

fn v4([a, b, c, d, ..]: [u8; 16]) -> Ipv4Addr {
    Ipv4Addr::new(a, b, c, d)
}

impl Address {
    pub(crate) fn new(scope: Scope, path: Path) -> Self {
        let zone = match path.remote {
            SocketAddr::V4(_) => 0,
            SocketAddr::V6(remote) => remote.scope_id(),
        };
        let mut address = Self {
            remote: octets(path.remote.ip()),
            local: [0; 16],
            zone,
            scope,
            port: path.remote.port(),
            remote_v4: path.remote.is_ipv4(),
            local_kind: LocalKind::Unknown,
        };
        if let Some(local) = path.local {
            address.set_local(local);
        }
        address
    }

    pub(crate) fn set_local(&mut self, local: IpAddr) {
        self.local = octets(local);
        self.local_kind = if local.is_ipv4() { LocalKind::V4 } else { LocalKind::V6 };
    }

    pub(crate) fn remote(&self) -> SocketAddr {
        if self.remote_v4 {
            SocketAddrV4::new(v4(self.remote), self.port).into()
        } else {
            SocketAddrV6::new(Ipv6Addr::from(self.remote), self.port, 0, self.zone).into()
        }
    }

    pub(crate) fn path(&self) -> Path {
        let local = match self.local_kind {
            LocalKind::Unknown => None,
            LocalKind::V4 => Some(IpAddr::V4(v4(self.local))),
            LocalKind::V6 => Some(IpAddr::V6(Ipv6Addr::from(self.local))),
        };
        Path { remote: self.remote(), local }
    }
}

impl Entry {
    fn fresh(generation: u32) -> Self {
        Self {
            last_seen: Instant::ZERO,
            received: 0,
            received_bytes: 0,
            next_allowed: Instant::ZERO,
            queue: Queue::EMPTY,
            generation,
            credit: 0,
            flags: Flags::default(),
            state: State::Free,
            outgoing: 0,
            idle_seconds: 0,
            sent: 0,
            sent_bytes: 0,
            address: Address::new(Scope::NONE, Path::to(SocketAddr::from(([0; 4], 0)))),
            dropped: 0,
        }
    }

    pub(crate) fn is_live(&self) -> bool {
        self.state == State::Live
    }

    pub(crate) fn role(&self) -> Role {
        if self.flags.has(Flags::CONNECTED) { Role::Client } else { Role::Server }
    }

    pub(crate) fn totals(&self) -> Totals {
        Totals {
            received: self.received,
            received_bytes: self.received_bytes,
            sent: self.sent,
            sent_bytes: self.sent_bytes,
            dropped: self.dropped,
        }
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Slab {
    chunks: Vec<Vec<Entry>>,
    free: u32,
    used: usize,
}

impl Slab {
    pub(crate) const fn new() -> Self {
        Self { chunks: Vec::new(), free: NIL, used: 0 }
    }

    /// Slots in use.
    pub(crate) const fn used(&self) -> usize {
        self.used
    }

    /// Slots that ever were in use: every slot is below.
    pub(crate) fn len(&self) -> u32 {
        self.chunks.last().map_or(0, |last| (self.chunks.len() - 1) * CHUNK + last.len()) as u32
    }

    /// A slot for a new conversation, its counters at zero.
    pub(crate) fn insert(&mut self, address: Address) -> u32 {
        self.used += 1;
        let slot = if self.free == NIL { self.grow() } else { self.free };
        let (generation, credit, flags) = {
            let entry = self.get(slot);
            (entry.generation, entry.credit, entry.flags)
        };
        if self.free == slot {
            self.free = credit;
        }
        let entry = self.get_mut(slot);
        *entry = Entry::fresh(generation);
        entry.address = address;
        entry.state = State::Live;
        if flags.has(Flags::READY) {
            entry.flags.set(Flags::READY);
        }
        slot
    }

    fn grow(&mut self) -> u32 {
        let slot = self.len();
        if self.chunks.last().is_none_or(|last| last.len() == CHUNK) {
            // The very first chunk grows as it is used: most trackers have few conversations.
            let capacity = if self.chunks.is_empty() { 0 } else { CHUNK };
            self.chunks.push(Vec::with_capacity(capacity));
        }
        if let Some(last) = self.chunks.last_mut() {
            last.push(Entry::fresh(0));
        }
        slot
    }

    /// Gives a slot back. Handles to it are dead from now on.
    pub(crate) fn remove(&mut self, slot: u32) {
        let next_free = core::mem::replace(&mut self.free, slot);
        let entry = self.get_mut(slot);
        entry.generation = entry.generation.wrapping_add(1);
        entry.state = State::Free;
        entry.credit = next_free;
        self.used -= 1;
    }

    #[inline]
    pub(crate) fn get(&self, slot: u32) -> &Entry {
        &self.chunks[slot as usize / CHUNK][slot as usize % CHUNK]
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, slot: u32) -> &mut Entry {
        &mut self.chunks[slot as usize / CHUNK][slot as usize % CHUNK]
    }

    pub(crate) fn id(&self, slot: u32) -> ConversationId {
        ConversationId { slot, generation: self.get(slot).generation }
    }

    /// The slot of a handle, if its conversation is still there (live or ended).
    pub(crate) fn resolve(&self, id: ConversationId) -> Option<u32> {
        let entry = self.chunks.get(id.slot as usize / CHUNK)?.get(id.slot as usize % CHUNK)?;
        (entry.generation == id.generation && entry.state != State::Free).then_some(id.slot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_two_cache_lines() {
        assert_eq!(size_of::<Entry>(), 128);
        assert_eq!(core::mem::offset_of!(Entry, sent), 64);
    }

    #[test]
    fn paths_survive_packing() {
        for (remote, local) in [
            ("1.2.3.4:5", None),
            ("1.2.3.4:5", Some("9.8.7.6")),
            ("[fe80::1%7]:65535", Some("::1")),
            ("[::ffff:1.2.3.4]:1", Some("1.2.3.4")),
        ] {
            let path = Path { remote: remote.parse().unwrap(), local: local.map(|ip| ip.parse().unwrap()) };
            assert_eq!(Address::new(Scope(3), path).path(), path);
        }
    }

    #[test]
    fn slots_are_used_again_with_another_generation() {
        let mut slab = Slab::new();
        let address = Address::new(Scope::NONE, Path::to("1.2.3.4:5".parse().unwrap()));
        let slots: Vec<u32> = (0..3000).map(|_| slab.insert(address)).collect();
        let ids: Vec<ConversationId> = slots.iter().map(|&slot| slab.id(slot)).collect();
        assert_eq!((slab.len(), slab.used()), (3000, 3000));
        for &slot in &slots {
            slab.remove(slot);
        }
        assert!(ids.iter().all(|&id| slab.resolve(id).is_none()));
        for _ in 0..3000 {
            let slot = slab.insert(address);
            assert_eq!(slab.id(slot).generation, 1);
        }
        assert_eq!((slab.len(), slab.used()), (3000, 3000));
        assert!(slab.resolve(ConversationId { slot: 1 << 30, generation: 0 }).is_none());
    }
}
