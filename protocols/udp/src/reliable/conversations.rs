//! A channel on every conversation of a tracker.

mod turns;

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;
use core::fmt;

use bytes::{Bytes, BytesMut};
use glowplug_core::{DatagramProtocol, Instant, Path, Rng, Seed, Transmit};

use super::channel::{Channel, ChannelConfig, ChannelEvent, SendError};
use super::event::{End, Event, ReceiveError};
use crate::error::ConnectError;
use crate::event::{ConversationId, Counters, Reason, Scope};
use crate::pool::charge;
use crate::wheel::Wheel;
use crate::{Accept, Config, Delivery, Tracker};

/// Channels looked at by one [`handle_timeout`](DatagramProtocol::handle_timeout).
const BATCH: usize = 256;

/// Reliable conversations on one socket: a [`Tracker`] with a [`Channel`] for each peer.
///
/// Whoever cannot speak the protocol opens nothing that is told of. Everything that a [`Config`] bounds is bounded; what
/// all channels together hold unread is bounded by [`Config::max_buffered`] as well (twice that, for those that hold
/// nothing yet). A channel comes to some 500 bytes.
///
/// ```
/// use bytes::{Bytes, BytesMut};
/// use glowplug_core::{DatagramProtocol, Instant, Path, Seed};
/// use glowplug_udp::reliable::{ChannelConfig, Conversations, Event};
/// use glowplug_udp::Config;
///
/// let now = Instant::ZERO;
/// let (us, them) = (Path::to("192.0.2.1:1".parse()?), Path::to("192.0.2.2:2".parse()?));
/// let mut client = Conversations::new(Config::client(), ChannelConfig::default(), &Seed::from_u64(1));
/// let mut server = Conversations::new(Config::default(), ChannelConfig::default(), &Seed::from_u64(2));
/// let conversation = client.connect(now, them)?;
/// client.send(conversation, Bytes::from_static(b"hello"))?;
/// let mut datagram = BytesMut::new();
/// client.poll_transmit(now, &mut datagram);
/// server.handle_datagram(now, us, datagram)?;
/// assert!(matches!(server.poll_event(now), Some(Event::Opened { .. })));
/// assert!(matches!(server.poll_event(now), Some(Event::Message { payload, .. }) if payload == "hello"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Conversations {
    tracker: Tracker,
    config: ChannelConfig,
    channels: Vec<Option<Box<Slot>>>,
    open: usize,
    /// Bytes that all channels hold unread; and the most there may be, twice that for those that hold none.
    unread: usize,
    max_unread: usize,
    timers: Wheel,
    /// Those with something to tell, each once; and those with something to send.
    ready: VecDeque<u32>,
    sending: VecDeque<u32>,
    ended: VecDeque<Event>,
    delivery: Delivery,
    /// What is unread of conversations that are over, until the application gives them back.
    left: BTreeMap<ConversationId, VecDeque<BytesMut>>,
    max_left: usize,
    scratch: BytesMut,
    /// Datagrams that may wait in the tracker, so that those of one size go as one transmit.
    burst: usize,
    rng: Rng,
    closing: bool,
    sweep: Option<usize>,
}

struct Slot {
    id: ConversationId,
    channel: Channel,
    path: Path,
    scope: Scope,
    tell_opened: bool,
    tell_moved: bool,
    told_readable: bool,
    /// The application knows of it.
    announced: bool,
    /// The application has given it back: what is queued is still delivered, what comes is thrown away.
    detached: bool,
    in_ready: bool,
    in_sending: bool,
}

impl Conversations {
    /// No conversations yet. `tracker`'s delivery is as events, whatever it says: see [`delivery`](Self::delivery).
    pub fn new(tracker: Config, channel: ChannelConfig, seed: &Seed) -> Self {
        let mut rng = seed.rng();
        let max_unread = tracker.max_buffered;
        let max_left = tracker.max_conversations / 8 + 64;
        Self {
            tracker: Tracker::new(tracker.delivery(Delivery::Events), &rng.seed()),
            config: channel,
            channels: Vec::new(),
            open: 0,
            unread: 0,
            max_unread,
            timers: Wheel::new(),
            ready: VecDeque::new(),
            sending: VecDeque::new(),
            ended: VecDeque::new(),
            delivery: Delivery::Events,
            left: BTreeMap::new(),
            max_left,
            scratch: BytesMut::new(),
            burst: 1,
            rng,
            closing: false,
            sweep: None,
        }
    }

    /// How messages reach the application, to be said before there are any. Default: as events.
    ///
    /// With [`Delivery::Queues`], a message that nobody reads holds up its own sender alone. A conversation that is over keeps
    /// what is unread until it is [given back](Self::detach), which it must be; while too many are not, new peers are refused.
    pub fn delivery(mut self, delivery: Delivery) -> Self {
        self.delivery = delivery;
        self
    }

    /// Changes [`Config::accept`]: from now on, for new peers.
    pub fn set_accept(&mut self, accept: Accept) {
        self.tracker.set_accept(accept);
    }

    /// Changes [`Config::max_segments`], as for a [`Tracker`](Tracker::set_max_segments).
    pub fn set_max_segments(&mut self, max: usize) {
        self.burst = crate::MAX_SEGMENTS.clamp(max);
        self.tracker.set_max_segments(max);
    }

    /// The tracker below, to ask it.
    pub fn tracker(&self) -> &Tracker {
        &self.tracker
    }

    /// What went through the tracker below.
    pub fn counters(&self) -> &Counters {
        self.tracker.counters()
    }

    /// Conversations that are not over.
    pub fn len(&self) -> usize {
        self.open
    }

    /// True when there are none.
    pub fn is_empty(&self) -> bool {
        self.open == 0
    }

    /// Bytes that wait to be delivered or read, in all channels together.
    pub fn unread(&self) -> usize {
        self.unread
    }

    /// Begins a conversation with a peer. It hears of it with the first message.
    pub fn connect(&mut self, now: Instant, path: Path) -> Result<ConversationId, ConnectError> {
        if self.closing {
            return Err(ConnectError::Closing);
        }
        let id = self.tracker.connect(now, path)?;
        self.insert(now, id, path, Scope::NONE).announced = true;
        Ok(id)
    }

    /// Queues a message; an empty one is a message too.
    pub fn send(&mut self, conversation: ConversationId, message: Bytes) -> Result<(), SendError> {
        let Some(slot) = self.get_mut(conversation) else { return Err(SendError::Closed(message)) };
        slot.channel.send(message)?;
        self.queue_sending(conversation.slot);
        Ok(())
    }

    /// Whether [`send`](Self::send) would not say that it is full, for a message of so many bytes.
    pub fn takes(&self, conversation: ConversationId, len: usize) -> bool {
        self.get(conversation).is_none_or(|slot| slot.channel.has_room(len))
    }

    /// Takes the oldest unread message of a conversation, also of one that is over and not given back yet. With
    /// [`Delivery::Queues`], call it after `Readable` until it returns `None`.
    pub fn receive(&mut self, conversation: ConversationId) -> Option<BytesMut> {
        if let Some(left) = self.left.get_mut(&conversation) {
            let message = left.pop_front()?;
            self.unread -= charge(&message);
            return Some(message);
        }
        let slot = self.get_mut(conversation)?;
        if !slot.channel.has_message() {
            return None;
        }
        let before = slot.channel.unread();
        let event = slot.channel.poll_event();
        let read = before - slot.channel.unread();
        let wants_ack = slot.channel.wants_ack();
        if !slot.channel.has_message() {
            slot.told_readable = false;
            // There may be something to tell that had to wait for it.
            self.queue_telling(conversation.slot);
        }
        self.unread -= read;
        if wants_ack {
            self.queue_sending(conversation.slot);
        }
        match event {
            Some(ChannelEvent::Message(message)) => Some(message),
            _ => None,
        }
    }

    /// Whether there may be something to send or to tell in this conversation, as after [`receive`](Self::receive) has taken its last
    /// message: the peer's end is told once everything before it was read.
    pub fn wants_a_turn(&self, conversation: ConversationId) -> bool {
        self.get(conversation).is_some_and(|slot| slot.in_sending || slot.in_ready)
    }

    /// Gives a conversation back: nothing more is told of it. What is queued is still delivered, what is unread and what comes is thrown
    /// away. It ends in peace if the peer finishes too; a peer that goes on with messages after all of ours have
    /// arrived is cut off.
    pub fn detach(&mut self, now: Instant, conversation: ConversationId) {
        if let Some(left) = self.left.remove(&conversation) {
            self.unread -= left.iter().map(charge).sum::<usize>();
        }
        let Some(slot) = self.get_mut(conversation) else { return };
        (slot.detached, slot.announced) = (true, false);
        let unheard = slot.channel.is_unheard();
        slot.channel.close();
        if unheard {
            // Neither side has said anything: there is nobody to take leave of.
            self.end(now, conversation.slot, End::Ended(Reason::Local));
        } else {
            self.touched(conversation.slot);
        }
    }

    /// We have nothing more to say in this conversation: what is queued is delivered, what the peer says still comes. It
    /// is over when both have finished.
    pub fn finish(&mut self, conversation: ConversationId) {
        if let Some(slot) = self.get_mut(conversation) {
            slot.channel.close();
            self.queue_sending(conversation.slot);
        }
    }

    /// Ends a conversation here and now; what is not delivered is lost. The peer notices when it next sends.
    pub fn abort(&mut self, now: Instant, conversation: ConversationId) {
        if self.get_mut(conversation).is_some() {
            self.end(now, conversation.slot, End::Ended(Reason::Local));
        }
    }
}

impl DatagramProtocol for Conversations {
    type Event = Event;
    type Error = ReceiveError;

    fn anticipate(&mut self, paths: &mut dyn Iterator<Item = &Path>) {
        self.tracker.anticipate(paths);
    }

    fn handle_datagram(&mut self, now: Instant, path: Path, payload: BytesMut) -> Result<(), ReceiveError> {
        self.tracker.handle_datagram(now, path, payload).map_err(ReceiveError::Tracker)?;
        self.pump(now)
    }

    fn handle_unreachable(&mut self, now: Instant, path: Path) {
        self.tracker.handle_unreachable(now, path);
        // Nothing came in: there is no result.
        let _ = self.pump(now);
    }

    fn poll_event(&mut self, now: Instant) -> Option<Event> {
        loop {
            if let Some(event) = self.ended.pop_front() {
                return Some(event);
            }
            let index = self.ready.pop_front()?;
            let Some(slot) = self.at(index) else { continue };
            slot.in_ready = false;
            if let Some(event) = self.next_event(index) {
                self.queue_telling(index);
                return Some(event);
            }
            if self.delivery == Delivery::Queues {
                self.settle(index);
            }
            let Some(slot) = self.at(index) else { continue };
            if let Some(end) = slot.channel.end() {
                self.end(now, index, end);
            }
        }
    }

    fn poll_transmit(&mut self, now: Instant, out: &mut BytesMut) -> Option<Transmit> {
        self.fill(now);
        self.tracker.poll_transmit(now, out)
    }

    fn poll_timeout(&self) -> Option<Instant> {
        if self.sweep.is_some() {
            return Some(Instant::ZERO);
        }
        [self.tracker.poll_timeout(), self.timers.next()].into_iter().flatten().min()
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.sweep();
        self.tracker.handle_timeout(now);
        // Nothing came in: there is no result.
        let _ = self.pump(now);
        for _ in 0..BATCH {
            let Some(index) = self.timers.pop(now) else { return };
            if let Some(slot) = self.at(index) {
                slot.channel.handle_timeout(now);
                self.touched(index);
            }
        }
    }

    /// Finishes every conversation, and takes no new ones. Over when each peer has finished too, or is silent for the
    /// idle time-out.
    fn close(&mut self, _now: Instant) {
        if !self.closing {
            self.closing = true;
            self.sweep = Some(0);
            self.sweep();
        }
    }

    fn is_closed(&self) -> bool {
        self.closing && self.open == 0 && self.ended.is_empty() && self.tracker.queued() == 0
    }
}

impl fmt::Debug for Conversations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Conversations")
            .field("tracker", &self.tracker)
            .field("open", &self.open)
            .field("closing", &self.closing)
            .finish_non_exhaustive()
    }
}
