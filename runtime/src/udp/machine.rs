//! The two machines under a socket of conversations.
#![expect(unnameable_types, reason = "that is how the trait is sealed")]

use std::cell::RefCell;

use bytes::{Bytes, BytesMut};
use glowplug_core::{DatagramProtocol, Instant, Path, Seed};
use glowplug_udp::reliable::{self, ChannelConfig, Conversations};
use glowplug_udp::{Accept, Config, ConnectError, ConversationId, Delivery, Event, Tracker};

use super::{Child, Closed};

/// What holds a socket's conversations: [`Tracker`] for datagrams as they come, [`Conversations`] for reliable messages. There are
/// no others.
pub trait Machine: DatagramProtocol + Sealed + 'static {}

impl Machine for Tracker {}
impl Machine for Conversations {}

/// What happened to a conversation.
pub enum Happened {
    Opened(ConversationId),
    Readable(ConversationId),
    Finished(ConversationId),
    Closed(ConversationId, Closed),
    Nothing,
}

/// Why a machine does not take what is to be sent.
pub enum Refused {
    Full(Bytes),
    Closed(Bytes),
    TooLong(Bytes),
    NotProven(Bytes),
}

/// What a machine read, and whether that gives the task something to do: the peer should hear of it, or the reader of what comes after it.
pub struct Read {
    pub payload: BytesMut,
    pub wants_a_turn: bool,
}

/// What the driver asks of a machine beyond its protocol.
pub trait Sealed: DatagramProtocol + Sized {
    fn create(tracker: Config, channel: ChannelConfig, seed: &Seed) -> Self;
    fn begin(&mut self, now: Instant, path: Path) -> Result<ConversationId, ConnectError>;
    fn stop_accepting(&mut self);
    fn put(&mut self, id: ConversationId, payload: Bytes) -> Result<(), Refused>;
    /// How many datagrams of one size to a peer may be one transmit.
    fn set_segments(&mut self, max: usize);
    /// Whether `put` would take so many bytes, or give a reason other than that it is full.
    fn has_room(&self, id: ConversationId, len: usize) -> bool;
    /// How many datagrams all conversations together may still put.
    fn room(&self) -> usize;
    fn take(&mut self, id: ConversationId) -> Option<Read>;
    /// The owner has ended.
    fn release(&mut self, now: Instant, id: ConversationId);
    fn tracker(&self) -> &Tracker;
    /// Bytes that wait to be read.
    fn buffered_bytes(&self) -> usize;
    fn happened(event: Self::Event) -> Happened;
    /// Where the conversation is noted that the running task belongs to.
    fn with_current<T>(f: impl FnOnce(&RefCell<Option<Child<Self>>>) -> T) -> Option<T>
    where
        Self: Machine;
}

impl Sealed for Tracker {
    fn create(tracker: Config, _: ChannelConfig, seed: &Seed) -> Self {
        Self::new(tracker.delivery(Delivery::Queues), seed)
    }

    fn begin(&mut self, now: Instant, path: Path) -> Result<ConversationId, ConnectError> {
        self.connect(now, path)
    }

    fn stop_accepting(&mut self) {
        self.set_accept(Accept::Nobody);
    }

    fn put(&mut self, id: ConversationId, payload: Bytes) -> Result<(), Refused> {
        use glowplug_udp::SendError;
        self.send(id, payload).map_err(|error| match error {
            SendError::Full(payload) => Refused::Full(payload),
            SendError::TooLong(payload) => Refused::TooLong(payload),
            SendError::NotProven(payload) => Refused::NotProven(payload),
            other => Refused::Closed(other.into_payload()),
        })
    }

    fn set_segments(&mut self, max: usize) {
        self.set_max_segments(max);
    }

    fn has_room(&self, id: ConversationId, len: usize) -> bool {
        !self.is_open(id) || self.takes(id, len)
    }

    fn room(&self) -> usize {
        self.output_room()
    }

    fn take(&mut self, id: ConversationId) -> Option<Read> {
        self.receive(id).map(|payload| Read { payload, wants_a_turn: false })
    }

    fn release(&mut self, now: Instant, id: ConversationId) {
        self.close_conversation(now, id);
    }

    fn tracker(&self) -> &Tracker {
        self
    }

    fn buffered_bytes(&self) -> usize {
        self.buffered()
    }

    fn happened(event: Event) -> Happened {
        match event {
            Event::Opened { conversation, .. } => Happened::Opened(conversation),
            Event::Readable { conversation } => Happened::Readable(conversation),
            Event::Closed { conversation, reason, .. } => {
                Happened::Closed(conversation, Closed::Ended(reason))
            }
            _ => Happened::Nothing,
        }
    }

    fn with_current<T>(f: impl FnOnce(&RefCell<Option<Child<Self>>>) -> T) -> Option<T> {
        thread_local! {
            static CURRENT: RefCell<Option<Child<Tracker>>> = const { RefCell::new(None) };
        }
        CURRENT.try_with(f).ok()
    }
}

impl Sealed for Conversations {
    fn create(tracker: Config, channel: ChannelConfig, seed: &Seed) -> Self {
        Self::new(tracker, channel, seed).delivery(Delivery::Queues)
    }

    fn begin(&mut self, now: Instant, path: Path) -> Result<ConversationId, ConnectError> {
        self.connect(now, path)
    }

    fn stop_accepting(&mut self) {
        self.set_accept(Accept::Nobody);
    }

    fn put(&mut self, id: ConversationId, payload: Bytes) -> Result<(), Refused> {
        use reliable::SendError;
        self.send(id, payload).map_err(|error| match error {
            SendError::Full(payload) => Refused::Full(payload),
            SendError::TooLong(payload) => Refused::TooLong(payload),
            other => Refused::Closed(other.into_payload()),
        })
    }

    fn set_segments(&mut self, max: usize) {
        self.set_max_segments(max);
    }

    fn has_room(&self, id: ConversationId, len: usize) -> bool {
        self.takes(id, len)
    }

    fn room(&self) -> usize {
        // Every conversation has a limit of its own, and none for all.
        usize::MAX
    }

    fn take(&mut self, id: ConversationId) -> Option<Read> {
        self.receive(id).map(|payload| Read { payload, wants_a_turn: self.wants_a_turn(id) })
    }

    fn release(&mut self, now: Instant, id: ConversationId) {
        self.detach(now, id);
    }

    fn tracker(&self) -> &Tracker {
        self.tracker()
    }

    fn buffered_bytes(&self) -> usize {
        self.unread()
    }

    fn happened(event: reliable::Event) -> Happened {
        use reliable::{End, Event};
        match event {
            Event::Opened { conversation, .. } => Happened::Opened(conversation),
            Event::Readable { conversation } => Happened::Readable(conversation),
            Event::Finished { conversation } => Happened::Finished(conversation),
            Event::Closed { conversation, end } => {
                let closed = match end {
                    End::Finished => Closed::Finished,
                    End::Failed(failure) => Closed::Failed(failure),
                    End::Ended(reason) => Closed::Ended(reason),
                };
                Happened::Closed(conversation, closed)
            }
            _ => Happened::Nothing,
        }
    }

    fn with_current<T>(f: impl FnOnce(&RefCell<Option<Child<Self>>>) -> T) -> Option<T> {
        thread_local! {
            static CURRENT: RefCell<Option<Child<Conversations>>> = const { RefCell::new(None) };
        }
        CURRENT.try_with(f).ok()
    }
}
