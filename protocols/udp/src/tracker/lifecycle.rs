//! How conversations begin, move, end and are forgotten.

use core::time::Duration;

use glowplug_core::{Instant, Path};

use super::{BATCH, Handshake, Tracker};
use crate::address::Key;
use crate::config::{Delivery, Eviction};
use crate::error::ConnectError;
use crate::event::{ConversationId, Reason, Scope, Totals};
use crate::slab::{Address, Flags, State};

/// Conversations drawn to find one that makes room: the idlest of so many is among the idlest sixteenth of all, as good
/// as always, and costs no list to keep in order.
const DRAWS: usize = 16;

impl Tracker {
    /// Begins a conversation with a peer. Nothing is sent by that.
    ///
    /// There is no `Opened` event for it. A finished conversation with the same peer that still lingers gives way.
    pub fn connect(&mut self, now: Instant, path: Path) -> Result<ConversationId, ConnectError> {
        self.connect_in(now, Scope::NONE, path)
    }

    /// [`connect`](Self::connect) for sockets that have scopes.
    pub fn connect_in(
        &mut self,
        now: Instant,
        scope: Scope,
        path: Path,
    ) -> Result<ConversationId, ConnectError> {
        if self.closing {
            return Err(ConnectError::Closing);
        }
        if let Some(slot) = self.addresses.get(Key::new(scope, &path.remote), &self.slab) {
            if self.slab.get(slot).is_live() {
                return Err(ConnectError::Exists(self.slab.id(slot)));
            }
            self.unmap(slot);
            self.forget_if_done(slot);
        }
        if !self.make_room(now) {
            return Err(ConnectError::Full);
        }
        let mut flags = Flags::CONNECTED;
        flags.set(Flags::ANNOUNCED);
        flags.set(Flags::PROVEN);
        if self.config.delivery == Delivery::Queues {
            flags.set(Flags::HELD);
        }
        if self.cookies.is_some() {
            flags.set(Flags::COOKIE);
        }
        let slot = self.open(now, scope, path, flags);
        if self.cookies.is_some() {
            self.handshakes.insert(slot, Handshake::default());
        }
        self.counters.connected += 1;
        Ok(self.slab.id(slot))
    }

    /// Ends a conversation; what it has unread is thrown away, what it has sent still goes out. `Closed` is told, unless
    /// it was told before. Gives its totals, or `None` when it is forgotten already.
    ///
    /// With [`Delivery::Queues`] this is also how the application gives back a conversation that ended otherwise.
    pub fn close_conversation(&mut self, now: Instant, conversation: ConversationId) -> Option<Totals> {
        let slot = self.slab.resolve(conversation)?;
        let entry = self.slab.get_mut(slot);
        let totals = entry.totals();
        entry.flags.clear(Flags::HELD);
        if entry.is_live() {
            self.end(now, slot, Reason::Local);
        } else {
            self.pool.clear(&mut entry.queue);
            self.forget_if_done(slot);
        }
        Some(totals)
    }

    /// Makes a conversation of a new address. There is room.
    pub(super) fn open(&mut self, now: Instant, scope: Scope, path: Path, flags: Flags) -> u32 {
        let slot = self.slab.insert(Address::new(scope, path));
        let entry = self.slab.get_mut(slot);
        let ready = entry.flags.has(Flags::READY);
        entry.flags = flags;
        entry.flags.set(Flags::MAPPED);
        if ready {
            entry.flags.set(Flags::READY);
        }
        entry.last_seen = now;
        self.mapped += 1;
        self.live += 1;
        self.map_address(slot, &path);
        self.arm(slot);
        slot
    }

    fn map_address(&mut self, slot: u32, path: &Path) {
        let key = Key::new(self.slab.get(slot).address.scope, &path.remote);
        if let Some(other) = self.addresses.insert(key, slot, &self.slab) {
            self.slab.get_mut(other).flags.clear(Flags::BY_ADDRESS);
        }
        self.slab.get_mut(slot).flags.set(Flags::BY_ADDRESS);
    }

    fn unmap_address(&mut self, slot: u32) {
        let entry = self.slab.get_mut(slot);
        if entry.flags.clear(Flags::BY_ADDRESS) {
            let key = Key::new(entry.address.scope, &entry.address.remote());
            self.addresses.remove(key, slot);
        }
    }

    /// The peer is at another address now.
    pub(super) fn move_to(&mut self, slot: u32, path: Path) {
        self.unmap_address(slot);
        let entry = self.slab.get_mut(slot);
        entry.address = Address::new(entry.address.scope, path);
        self.map_address(slot, &path);
    }

    /// Ends a live conversation.
    pub(super) fn end(&mut self, now: Instant, slot: u32, reason: Reason) {
        let entry = self.slab.get_mut(slot);
        entry.state = State::Ended(reason);
        entry.last_seen = now;
        self.live -= 1;
        match reason {
            Reason::Expired => self.counters.expired += 1,
            Reason::Evicted => self.counters.evicted += 1,
            _ => {}
        }
        self.handshakes.remove(&slot);
        let announced = entry.flags.has(Flags::ANNOUNCED);
        if !announced || reason == Reason::Local {
            self.pool.clear(&mut entry.queue);
        }
        if announced {
            entry.flags.set(Flags::TELL_CLOSED);
            self.tell(slot);
        } else {
            // Nobody has heard of it, and nobody needs to.
            entry.flags.clear(Flags::TELL_OPENED);
            entry.flags.clear(Flags::TELL_MOVED);
        }
        if self.linger(slot).is_zero() || matches!(reason, Reason::Evicted | Reason::Shutdown) {
            self.unmap(slot);
        } else {
            self.arm(slot);
        }
        self.forget_if_done(slot);
    }

    /// Takes a conversation out of the tables: the next datagram of its peer is a stranger's.
    fn unmap(&mut self, slot: u32) {
        self.unmap_address(slot);
        let entry = self.slab.get_mut(slot);
        if entry.flags.clear(Flags::MAPPED) {
            self.mapped -= 1;
            self.keys.unbind_all(entry.address.scope, slot);
            self.wheel.disarm(slot);
        }
    }

    /// Gives the slot of an ended conversation back, once nothing needs it any more.
    pub(super) fn forget_if_done(&mut self, slot: u32) {
        let entry = self.slab.get_mut(slot);
        let needed =
            [Flags::MAPPED, Flags::TELL_CLOSED, Flags::HELD].iter().any(|&flag| entry.flags.has(flag));
        if !needed && matches!(entry.state, State::Ended(_)) {
            self.pool.clear(&mut entry.queue);
            self.slab.remove(slot);
        }
    }

    fn linger(&self, slot: u32) -> Duration {
        if self.slab.get(slot).flags.has(Flags::CONNECTED) {
            self.config.linger_connected
        } else {
            self.config.linger_accepted
        }
    }

    /// When time ends something about the conversation, unless it is heard of before.
    fn deadline(&self, slot: u32) -> Option<Instant> {
        let entry = self.slab.get(slot);
        match entry.state {
            State::Free => None,
            State::Live => {
                let idle = match entry.idle_seconds {
                    0 => self.config.idle_timeout?,
                    seconds => Duration::from_secs(seconds.into()),
                };
                Some(entry.last_seen + idle)
            }
            State::Ended(_) => entry.flags.has(Flags::MAPPED).then(|| entry.last_seen + self.linger(slot)),
        }
    }

    pub(super) fn arm(&mut self, slot: u32) {
        match self.deadline(slot) {
            Some(at) => self.wheel.arm(slot, at),
            None => self.wheel.disarm(slot),
        }
    }

    /// Ends what was idle, forgets what has lingered: one batch.
    pub(super) fn expire(&mut self, now: Instant) {
        for _ in 0..BATCH {
            let Some(slot) = self.wheel.pop(now) else { return };
            match self.deadline(slot) {
                None => {}
                // It was heard of since it was armed.
                Some(at) if at > now => self.wheel.arm(slot, at),
                Some(_) if self.slab.get(slot).is_live() => self.end(now, slot, Reason::Expired),
                Some(_) => {
                    self.unmap(slot);
                    self.forget_if_done(slot);
                }
            }
        }
    }

    /// After `close`: ends what is live, forgets what lingers, one batch at a time.
    pub(super) fn sweep(&mut self, now: Instant) {
        let Some(from) = self.sweep else { return };
        let to = self.slab.len().min(from.saturating_add(BATCH as u32));
        for slot in from..to {
            match self.slab.get(slot).state {
                State::Free => {}
                State::Live => self.end(now, slot, Reason::Shutdown),
                State::Ended(_) => {
                    self.unmap(slot);
                    self.forget_if_done(slot);
                }
            }
        }
        self.sweep = (to < self.slab.len()).then_some(to);
    }

    /// Sees to it that there is room for one more. False when there is none and the rule gives none.
    pub(super) fn make_room(&mut self, now: Instant) -> bool {
        // Conversations that are over take part in the bound until the application has heard of it: whoever does not
        // poll gets no new ones.
        let slots = self.config.max_conversations + self.config.max_conversations / 8 + 64;
        if self.slab.used() >= slots {
            return false;
        }
        if self.mapped < self.config.max_conversations {
            return true;
        }
        let Some(slot) = self.draw_victim() else { return false };
        if self.slab.get(slot).is_live() {
            self.end(now, slot, Reason::Evicted);
        } else {
            self.unmap(slot);
            self.forget_if_done(slot);
        }
        true
    }

    /// The best of some conversations drawn at random: one that only lingers, then the idlest unproven, then the idlest.
    fn draw_victim(&mut self) -> Option<u32> {
        let len = u64::from(self.slab.len());
        let mut best: Option<((bool, bool, Instant), u32)> = None;
        for _ in 0..DRAWS {
            let slot = self.rng.below(len) as u32;
            let entry = self.slab.get(slot);
            if !entry.flags.has(Flags::MAPPED) || entry.state == State::Free {
                continue;
            }
            let (live, proven) = (entry.is_live(), entry.flags.has(Flags::PROVEN));
            let may = !live
                || match self.config.eviction {
                    Eviction::Refuse => false,
                    Eviction::Idlest => true,
                    Eviction::IdlestUnproven => !proven,
                };
            let rank = (live, proven, entry.last_seen);
            if may && best.is_none_or(|(other, _)| rank < other) {
                best = Some((rank, slot));
            }
        }
        best.map(|(_, slot)| slot)
    }
}
