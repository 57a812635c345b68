//! What comes in: finding the conversation, or opening one, and queueing the datagram.

use bytes::{Buf, BytesMut};
use glowplug_core::{Instant, Path};

use super::Tracker;
use super::outbound::Outgoing;
use crate::address::Key;
use crate::config::{Accept, Overflow, Unreachable};
use crate::cookie::{COOKIE_LEN, frame};
use crate::error::DatagramError;
use crate::event::{Reason, Scope};
use crate::keys::ConversationKey;
use crate::pool;
use crate::slab::{Flags, State};

/// What is known of a datagram beside its payload.
struct Head {
    scope: Scope,
    path: Path,
    /// Bytes on the wire.
    wire_len: usize,
    cookie: Option<[u8; COOKIE_LEN]>,
}

/// With fewer conversations they are all near anyway: a mebibyte of them.
const MANY: usize = 8 * 1024;

impl Tracker {
    /// Reads a little of each conversation that a batch is for. A datagram handled alone waits for memory several times in a row, for
    /// the table and for both halves of its entry; here the waits of the whole batch overlap.
    pub(super) fn bring_near(&self, paths: &mut dyn Iterator<Item = &Path>) {
        if self.slab.used() < MANY {
            return;
        }
        let mut slots = [0; 64];
        let mut read = 0;
        loop {
            let mut count = 0;
            for (slot, path) in slots.iter_mut().zip(&mut *paths) {
                *slot = self.addresses.get(Key::new(Scope::NONE, &path.remote), &self.slab).unwrap_or(0);
                count += 1;
            }
            for slot in &slots[..count] {
                let entry = self.slab.get(*slot);
                read ^= entry.received ^ entry.sent;
            }
            if count < slots.len() {
                break;
            }
        }
        // Nobody wants to know, but the compiler must not find out.
        core::hint::black_box(read);
    }

    /// [`handle_datagram`](glowplug_core::DatagramProtocol::handle_datagram) for sockets that have scopes.
    pub fn handle_datagram_in(
        &mut self,
        now: Instant,
        scope: Scope,
        path: Path,
        mut payload: BytesMut,
    ) -> Result<(), DatagramError> {
        let wire_len = payload.len();
        self.counters.received += 1;
        self.counters.received_bytes += wire_len as u64;
        let mut cookie = None;
        if self.cookies.is_some() {
            match frame::kind(&payload) {
                frame::Kind::Plain => {}
                frame::Kind::Data(brought) => {
                    payload.advance(frame::HEAD_LEN);
                    cookie = Some(brought);
                }
                frame::Kind::Retry(cookie) => return self.handle_retry(scope, path, cookie),
                frame::Kind::Broken => return Err(self.malformed()),
            }
        }
        let head = Head { scope, path, wire_len, cookie };
        let by_address = self.addresses.get(Key::new(scope, &path.remote), &self.slab);
        let Some(identify) = &self.config.identify else {
            return match by_address {
                Some(slot) => self.deliver(now, slot, &head, payload),
                None => self.admit(now, None, &head, payload),
            };
        };
        let Some(key) = identify(&payload) else {
            return match by_address {
                Some(slot) => self.deliver(now, slot, &head, payload),
                None => self.admit(now, None, &head, payload),
            };
        };
        if let Some(slot) = self.keys.get(scope, &key) {
            self.follow(slot, head.path);
            return self.deliver(now, slot, &head, payload);
        }
        match by_address {
            // The first id heard from an address is that of the conversation which is there without one.
            Some(slot) if !self.keys.has_any(slot) && self.slab.get(slot).is_live() => {
                // It has room for one, and nobody has this one.
                let _ = self.keys.bind(scope, key, slot);
                self.deliver(now, slot, &head, payload)
            }
            _ => self.admit(now, Some(key), &head, payload),
        }
    }

    /// [`handle_unreachable`](glowplug_core::DatagramProtocol::handle_unreachable) for sockets that have scopes.
    pub fn handle_unreachable_in(&mut self, now: Instant, scope: Scope, path: Path) {
        let Some(slot) = self.addresses.get(Key::new(scope, &path.remote), &self.slab) else { return };
        let entry = self.slab.get(slot);
        let ends = match self.config.unreachable {
            Unreachable::Ignore => false,
            Unreachable::EndUnanswered => entry.flags.has(Flags::CONNECTED) && entry.received == 0,
            Unreachable::End => true,
        };
        if ends && entry.is_live() {
            self.end(now, slot, Reason::Unreachable);
        }
    }

    /// A datagram of a conversation that is there.
    #[inline]
    fn deliver(
        &mut self,
        now: Instant,
        slot: u32,
        head: &Head,
        payload: BytesMut,
    ) -> Result<(), DatagramError> {
        let entry = self.slab.get_mut(slot);
        if entry.state != State::Live {
            self.counters.late += 1;
            return Err(DatagramError::Late);
        }
        entry.last_seen = now;
        entry.received += 1;
        entry.received_bytes += payload.len() as u64;
        if let Some(local) = head.path.local {
            entry.address.set_local(local);
        }
        if let Some(factor) = self.config.amplification {
            let earned = u32::try_from(head.wire_len).unwrap_or(u32::MAX).saturating_mul(factor);
            entry.credit = entry.credit.saturating_add(earned);
        }
        // The server has let us in: no more cookies.
        if entry.flags.clear(Flags::COOKIE) {
            self.handshakes.remove(&slot);
        }
        if let Some(limit) = self.config.rate_limit
            && !limit.admit(&mut entry.next_allowed, now)
        {
            entry.dropped = entry.dropped.saturating_add(1);
            self.counters.dropped_rate += 1;
            return Err(DatagramError::RateLimited);
        }
        self.enqueue(now, slot, payload)
    }

    #[inline]
    fn enqueue(&mut self, now: Instant, slot: u32, payload: BytesMut) -> Result<(), DatagramError> {
        let payload = pool::compact(payload);
        let charge = pool::charge(&payload);
        let (max_queue, max_bytes) = (self.config.max_queue, self.config.max_queue_bytes);
        let drop_oldest = self.config.overflow == Overflow::DropOldest;
        let entry = self.slab.get_mut(slot);
        while usize::from(entry.queue.len) >= max_queue || entry.queue.charged as usize + charge > max_bytes {
            entry.dropped = entry.dropped.saturating_add(1);
            self.counters.dropped_queue += 1;
            // A datagram that is longer than the whole queue does not empty it in vain.
            if drop_oldest && charge <= max_bytes && self.pool.pop(&mut entry.queue).is_some() {
                continue;
            }
            if self.config.overflow == Overflow::Close {
                self.end(now, slot, Reason::Overflow);
            }
            return Err(DatagramError::QueueFull);
        }
        // Strangers cannot fill the part that is kept for those whose address is proven.
        let max = self.config.max_buffered;
        let max = if entry.flags.has(Flags::PROVEN) { max } else { max - max / 4 };
        if self.pool.charged() + charge > max {
            entry.dropped = entry.dropped.saturating_add(1);
            self.counters.dropped_budget += 1;
            return Err(DatagramError::OverBudget);
        }
        self.pool.push(&mut entry.queue, payload);
        if !entry.flags.has(Flags::TOLD_READABLE) && !entry.flags.has(Flags::READY) {
            entry.flags.set(Flags::READY);
            self.ready.push_back(slot);
        }
        Ok(())
    }

    /// The first datagram of a peer that is not there: nothing is spent on it before all checks are passed.
    fn admit(
        &mut self,
        now: Instant,
        key: Option<ConversationKey>,
        head: &Head,
        payload: BytesMut,
    ) -> Result<(), DatagramError> {
        let Head { scope, path, .. } = *head;
        let accepted = match &self.config.accept {
            Accept::Nobody => false,
            Accept::Anybody => true,
            Accept::Filter(filter) => filter(&path, &payload),
        };
        if !accepted {
            self.counters.refused += 1;
            return Err(DatagramError::Refused);
        }
        if self.closing {
            return Err(DatagramError::Closing);
        }
        let mut flags = Flags::TELL_OPENED;
        if let Some(cookies) = &self.cookies {
            let brought = head.cookie.unwrap_or_default();
            if !cookies.verify(now, scope, &path.remote, &brought) {
                self.counters.unproven += 1;
                self.challenge(now, scope, path, head.wire_len);
                return Err(DatagramError::NotProven);
            }
            flags.set(Flags::PROVEN);
        }
        if !self.make_room(now) {
            self.counters.refused_full += 1;
            return Err(DatagramError::Full);
        }
        let slot = self.open(now, scope, path, flags);
        if let Some(key) = key {
            // A new conversation has room for an id, and nobody has this one.
            let _ = self.keys.bind(scope, key, slot);
        }
        self.counters.accepted += 1;
        self.tell(slot);
        self.deliver(now, slot, head, payload)
    }

    /// Sends a cookie to a stranger, if it has sent enough for that: no more than three times what came goes back to an
    /// address that may be forged.
    fn challenge(&mut self, now: Instant, scope: Scope, path: Path, wire_len: usize) {
        let Some(cookies) = &self.cookies else { return };
        if wire_len * 3 < frame::HEAD_LEN || self.retries_queued >= (self.config.max_output / 4).max(1) {
            return;
        }
        let head = frame::retry(cookies.issue(now, scope, &path.remote));
        if self.queue(Outgoing::retry(scope, path, head)) {
            self.retries_queued += 1;
            self.counters.retries += 1;
        }
    }

    /// A server asks for its cookie back.
    fn handle_retry(
        &mut self,
        scope: Scope,
        path: Path,
        cookie: [u8; COOKIE_LEN],
    ) -> Result<(), DatagramError> {
        let slot = self.addresses.get(Key::new(scope, &path.remote), &self.slab);
        let Some((slot, handshake)) = slot.and_then(|slot| Some((slot, self.handshakes.get_mut(&slot)?)))
        else {
            return Err(self.malformed());
        };
        // The same cookie again is the answer to a datagram sent before: our next one is on its way.
        if core::mem::replace(&mut handshake.cookie, cookie) != cookie
            && let Some(first) = handshake.first.clone()
        {
            let (conversation, path) = (self.slab.id(slot), self.slab.get(slot).address.path());
            if self.queue(Outgoing::new(conversation, scope, path, Some(frame::data(cookie)), first)) {
                self.slab.get_mut(slot).outgoing += 1;
            }
        }
        Ok(())
    }

    fn malformed(&mut self) -> DatagramError {
        self.counters.malformed += 1;
        DatagramError::Malformed
    }

    /// The conversation was told by its id: if the address is another, the conversation moves there.
    fn follow(&mut self, slot: u32, path: Path) {
        let entry = self.slab.get(slot);
        if !entry.is_live() || entry.address.remote() == path.remote {
            return;
        }
        self.move_to(slot, path);
        self.counters.moved += 1;
        let entry = self.slab.get_mut(slot);
        entry.flags.clear(Flags::PROVEN);
        entry.flags.set(Flags::TELL_MOVED);
        entry.credit = 0;
        self.tell(slot);
    }
}
