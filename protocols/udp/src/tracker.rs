//! The conversation tracker.

use alloc::collections::{BTreeMap, VecDeque};
use core::fmt;
use core::time::Duration;

use bytes::{Bytes, BytesMut};
use glowplug_core::{DatagramProtocol, Instant, Path, Rng, Seed, Transmit};

use crate::address::{AddressTable, Key};
use crate::config::Config;
use crate::cookie::{COOKIE_LEN, Cookies};
use crate::error::DatagramError;
use crate::event::{ConversationId, Counters, Event, Role, Scope, Totals};
use crate::keys::{BindError, ConversationKey, KeyTable};
use crate::pool::Pool;
use crate::slab::{Entry, Flags, Slab, State};
use crate::wheel::Wheel;

mod inbound;
mod lifecycle;
mod outbound;

#[cfg(test)]
mod tests;

use outbound::Outgoing;

/// Conversations looked at by one [`handle_timeout`](DatagramProtocol::handle_timeout).
const BATCH: usize = 256;

/// Every conversation on one datagram socket. See the [crate's page](crate) for the whole, [`Config`] for the choices.
///
/// Handing a datagram in costs one hash lookup, one touch of the conversation, and no allocation in steady state. An idle
/// conversation costs about 170 bytes; closing it one visit.
pub struct Tracker {
    config: Config,
    slab: Slab,
    addresses: AddressTable,
    keys: KeyTable,
    wheel: Wheel,
    pool: Pool,
    /// Conversations with something to tell, each once.
    ready: VecDeque<u32>,
    output: VecDeque<Outgoing>,
    output_bytes: usize,
    /// Cookies among the output.
    retries_queued: usize,
    /// Conversations that the tables lead to: live and lingering ones.
    mapped: usize,
    live: usize,
    cookies: Option<Cookies>,
    /// Our conversations that have not heard of their server yet, by slot.
    handshakes: BTreeMap<u32, Handshake>,
    counters: Counters,
    /// Draws candidates for eviction.
    rng: Rng,
    closing: bool,
    /// Where the walk over all conversations is that ends them.
    sweep: Option<u32>,
}

/// What a client keeps until it hears of its server.
#[derive(Debug, Default)]
struct Handshake {
    cookie: [u8; COOKIE_LEN],
    /// The first datagram, sent again with the cookie: the server threw it away.
    first: Option<Bytes>,
}

impl Tracker {
    /// A tracker without conversations. The seed keys its hash tables and cookies: it is secret, and another one for each
    /// socket.
    pub fn new(config: Config, seed: &Seed) -> Self {
        let mut rng = seed.rng();
        Self {
            slab: Slab::new(),
            addresses: AddressTable::new(&mut rng),
            keys: KeyTable::new(&mut rng),
            wheel: Wheel::new(),
            pool: Pool::new(),
            ready: VecDeque::new(),
            output: VecDeque::new(),
            output_bytes: 0,
            retries_queued: 0,
            mapped: 0,
            live: 0,
            cookies: config.retry.map(|lifetime| Cookies::new(&mut rng, lifetime)),
            handshakes: BTreeMap::new(),
            counters: Counters::default(),
            rng,
            closing: false,
            sweep: None,
            config,
        }
    }

    /// Conversations that are open.
    pub fn len(&self) -> usize {
        self.live
    }

    /// True when no conversation is open.
    pub fn is_empty(&self) -> bool {
        self.live == 0
    }

    /// What went through, and what did not.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Unread bytes, as [`Config::max_buffered`] counts them.
    pub fn buffered(&self) -> usize {
        self.pool.charged()
    }

    /// Datagrams waiting to be sent.
    pub fn queued(&self) -> usize {
        self.output.len()
    }

    /// The open conversation with a peer.
    pub fn find(&self, scope: Scope, path: &Path) -> Option<ConversationId> {
        let slot = self.addresses.get(Key::new(scope, &path.remote), &self.slab)?;
        self.slab.get(slot).is_live().then(|| self.slab.id(slot))
    }

    /// The [index](ConversationId::index) of the conversation, open or lingering, that a datagram from this peer would
    /// belong to; `None` for a stranger's. One look into a hash table and nothing else, for those who sort datagrams
    /// before they hand them in.
    pub fn index_of(&self, scope: Scope, path: &Path) -> Option<usize> {
        self.addresses.get(Key::new(scope, &path.remote), &self.slab).map(|slot| slot as usize)
    }

    fn entry(&self, conversation: ConversationId) -> Option<&Entry> {
        self.slab.resolve(conversation).map(|slot| self.slab.get(slot))
    }

    fn live_slot(&self, conversation: ConversationId) -> Option<u32> {
        self.slab.resolve(conversation).filter(|&slot| self.slab.get(slot).is_live())
    }

    /// True until the conversation is over.
    pub fn is_open(&self, conversation: ConversationId) -> bool {
        self.live_slot(conversation).is_some()
    }

    /// Where the peer is. `None` once the conversation is forgotten, as with all such questions.
    pub fn path(&self, conversation: ConversationId) -> Option<Path> {
        self.entry(conversation).map(|entry| entry.address.path())
    }

    /// In which scope the peer is.
    pub fn scope(&self, conversation: ConversationId) -> Option<Scope> {
        self.entry(conversation).map(|entry| entry.address.scope)
    }

    /// Who began the conversation.
    pub fn role(&self, conversation: ConversationId) -> Option<Role> {
        self.entry(conversation).map(Entry::role)
    }

    /// What went through the conversation so far.
    pub fn totals(&self, conversation: ConversationId) -> Option<Totals> {
        self.entry(conversation).map(Entry::totals)
    }

    /// When the peer was heard last.
    pub fn last_seen(&self, conversation: ConversationId) -> Option<Instant> {
        self.entry(conversation).map(|entry| entry.last_seen)
    }

    /// Datagrams that wait to be read.
    pub fn unread(&self, conversation: ConversationId) -> usize {
        self.entry(conversation).map_or(0, |entry| usize::from(entry.queue.len))
    }

    /// Whether the peer has shown that it gets what is sent to its address: by a cookie, by our word
    /// ([`prove`](Self::prove)), or because we chose the address ([`connect`](Self::connect)).
    pub fn is_proven(&self, conversation: ConversationId) -> bool {
        self.entry(conversation).is_some_and(|entry| entry.flags.has(Flags::PROVEN))
    }

    /// The application has seen that the peer gets what is sent to its address (it gave back a nonce, say): there is no
    /// limit on answers any more.
    pub fn prove(&mut self, conversation: ConversationId) {
        if let Some(slot) = self.live_slot(conversation) {
            self.slab.get_mut(slot).flags.set(Flags::PROVEN);
        }
    }

    /// Counts as if the peer had been heard of just now: for those who only listen.
    pub fn touch(&mut self, now: Instant, conversation: ConversationId) {
        if let Some(slot) = self.live_slot(conversation) {
            self.slab.get_mut(slot).last_seen = now;
        }
    }

    /// Gives one conversation an idle time-out of its own, in whole seconds from 1 s to 18 h (others become the nearest);
    /// `None` is the configured one.
    pub fn set_idle_timeout(&mut self, conversation: ConversationId, idle: Option<Duration>) {
        if let Some(slot) = self.live_slot(conversation) {
            let seconds = idle.map_or(0, |idle| idle.as_secs().clamp(1, u64::from(u16::MAX)) as u16);
            self.slab.get_mut(slot).idle_seconds = seconds;
            self.arm(slot);
        }
    }

    /// Changes [`Config::max_segments`], when the system turns out to do without segmentation offload.
    pub fn set_max_segments(&mut self, max: usize) {
        self.config.max_segments = crate::MAX_SEGMENTS.clamp(max);
    }

    /// Changes [`Config::accept`]: from now on, for new peers. A server that drains accepts nobody.
    pub fn set_accept(&mut self, accept: crate::Accept) {
        self.config.accept = accept;
    }

    /// Makes `key` an id of the conversation, beside those it has: ids that we gave the peer, before it uses them.
    pub fn bind(&mut self, conversation: ConversationId, key: ConversationKey) -> Result<(), BindError> {
        let slot = self.live_slot(conversation).ok_or(BindError::Closed)?;
        self.keys.bind(self.slab.get(slot).address.scope, key, slot)
    }

    /// Takes an id away from the conversation. False when it did not have it.
    pub fn unbind(&mut self, conversation: ConversationId, key: &ConversationKey) -> bool {
        let Some(slot) = self.live_slot(conversation) else { return false };
        self.keys.unbind(self.slab.get(slot).address.scope, key, slot)
    }

    /// Takes the oldest unread datagram of a conversation, also of one that is over and not yet forgotten.
    ///
    /// With [`Delivery::Queues`](crate::Delivery::Queues), call it after `Readable` until it returns `None`.
    pub fn receive(&mut self, conversation: ConversationId) -> Option<BytesMut> {
        let slot = self.slab.resolve(conversation)?;
        let entry = self.slab.get_mut(slot);
        let payload = self.pool.pop(&mut entry.queue);
        if entry.queue.len == 0 {
            entry.flags.clear(Flags::TOLD_READABLE);
        }
        payload
    }

    /// Puts a conversation into the list of those with something to tell.
    fn tell(&mut self, slot: u32) {
        let entry = self.slab.get_mut(slot);
        if !entry.flags.has(Flags::READY) {
            entry.flags.set(Flags::READY);
            self.ready.push_back(slot);
        }
    }
}

impl DatagramProtocol for Tracker {
    type Event = Event;
    type Error = DatagramError;

    fn anticipate(&mut self, paths: &mut dyn Iterator<Item = &Path>) {
        self.bring_near(paths);
    }

    fn handle_datagram(&mut self, now: Instant, path: Path, payload: BytesMut) -> Result<(), DatagramError> {
        self.handle_datagram_in(now, Scope::NONE, path, payload)
    }

    fn handle_unreachable(&mut self, now: Instant, path: Path) {
        self.handle_unreachable_in(now, Scope::NONE, path);
    }

    fn poll_event(&mut self, now: Instant) -> Option<Event> {
        let _ = now;
        loop {
            let slot = self.ready.pop_front()?;
            let queues = self.config.delivery == crate::Delivery::Queues;
            let entry = self.slab.get_mut(slot);
            let conversation = ConversationId { slot, generation: entry.generation };
            entry.flags.clear(Flags::READY);
            if entry.state == State::Free {
                continue;
            }
            if entry.flags.clear(Flags::TELL_OPENED) {
                entry.flags.set(Flags::ANNOUNCED);
                if queues {
                    entry.flags.set(Flags::HELD);
                }
                let (path, scope) = (entry.address.path(), entry.address.scope);
                self.tell(slot);
                return Some(Event::Opened { conversation, path, scope });
            }
            if entry.flags.clear(Flags::TELL_MOVED) {
                let path = entry.address.path();
                self.tell(slot);
                return Some(Event::Moved { conversation, path });
            }
            if queues {
                if entry.queue.len > 0 && !entry.flags.has(Flags::TOLD_READABLE) {
                    entry.flags.set(Flags::TOLD_READABLE);
                    self.tell(slot);
                    return Some(Event::Readable { conversation });
                }
            } else if let Some(payload) = self.pool.pop(&mut entry.queue) {
                if entry.queue.len > 0 || entry.flags.has(Flags::TELL_CLOSED) {
                    entry.flags.set(Flags::READY);
                    self.ready.push_back(slot);
                }
                return Some(Event::Message { conversation, payload });
            }
            if entry.flags.clear(Flags::TELL_CLOSED)
                && let State::Ended(reason) = entry.state
            {
                let totals = entry.totals();
                self.forget_if_done(slot);
                return Some(Event::Closed { conversation, reason, totals });
            }
        }
    }

    fn poll_transmit(&mut self, now: Instant, out: &mut BytesMut) -> Option<Transmit> {
        self.poll_transmit_in(now, out).map(|(_, transmit)| transmit)
    }

    fn poll_timeout(&self) -> Option<Instant> {
        if self.sweep.is_some() { Some(Instant::ZERO) } else { self.wheel.next() }
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.sweep(now);
        self.expire(now);
    }

    /// Ends every conversation: those the application knows of are each told to be closed, after what they have unread.
    /// What is queued to be sent still comes out.
    fn close(&mut self, now: Instant) {
        if !self.closing {
            self.closing = true;
            self.sweep = Some(0);
            self.sweep(now);
        }
    }

    fn is_closed(&self) -> bool {
        self.closing && self.sweep.is_none() && self.output.is_empty() && self.ready.is_empty()
    }
}

impl fmt::Debug for Tracker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tracker")
            .field("config", &self.config)
            .field("live", &self.live)
            .field("lingering", &(self.mapped - self.live))
            .field("buffered", &self.pool.charged())
            .field("queued", &self.output.len())
            .field("closing", &self.closing)
            .field("counters", &self.counters)
            .finish_non_exhaustive()
    }
}
