//! What happens between a call and the wire: slots, and who has something to tell or to send.

use alloc::boxed::Box;
use alloc::collections::VecDeque;

use bytes::BytesMut;
use glowplug_core::{DatagramProtocol, Instant, Path};

use super::{BATCH, Conversations, Slot};
use crate::Delivery;
use crate::error::DatagramError;
use crate::event::{ConversationId, Reason, Scope};
use crate::pool::charge;
use crate::reliable::channel::{Channel, ChannelEvent};
use crate::reliable::event::{End, Event, ReceiveError};

impl Conversations {
    pub(super) fn insert(&mut self, now: Instant, id: ConversationId, path: Path, scope: Scope) -> &mut Slot {
        let index = id.index();
        if self.channels.len() <= index {
            self.channels.resize_with(index + 1, || None);
        }
        // The slot's place in the two lists outlives its conversation.
        let old = self.channels[index].take();
        self.unread -= old.as_ref().map_or(0, |slot| slot.channel.unread());
        self.open += usize::from(old.is_none());
        let (in_ready, in_sending) = old.map_or((false, false), |slot| (slot.in_ready, slot.in_sending));
        let slot = Slot {
            id,
            channel: Channel::new(self.config, now, &mut self.rng),
            path,
            scope,
            tell_opened: false,
            tell_moved: false,
            told_readable: false,
            announced: false,
            detached: false,
            in_ready,
            in_sending,
        };
        self.channels[index].insert(Box::new(slot))
    }

    pub(super) fn get(&self, id: ConversationId) -> Option<&Slot> {
        self.channels.get(id.index())?.as_deref().filter(|slot| slot.id == id)
    }

    pub(super) fn get_mut(&mut self, id: ConversationId) -> Option<&mut Slot> {
        self.channels.get_mut(id.index())?.as_deref_mut().filter(|slot| slot.id == id)
    }

    pub(super) fn at(&mut self, index: u32) -> Option<&mut Slot> {
        self.channels.get_mut(index as usize)?.as_deref_mut()
    }

    pub(super) fn queue_telling(&mut self, index: u32) {
        if let Some(slot) = self.at(index)
            && !core::mem::replace(&mut slot.in_ready, true)
        {
            self.ready.push_back(index);
        }
    }

    pub(super) fn queue_sending(&mut self, index: u32) {
        if let Some(slot) = self.at(index)
            && !core::mem::replace(&mut slot.in_sending, true)
        {
            self.sending.push_back(index);
        }
    }

    /// Something happened to a channel: it may have to tell, to send, or to wait for another time.
    pub(super) fn touched(&mut self, index: u32) {
        let Some(deadline) = self.at(index).map(|slot| slot.channel.poll_timeout()) else { return };
        match deadline {
            Some(at) => self.timers.arm(index, at),
            None => self.timers.disarm(index),
        }
        self.queue_telling(index);
        self.queue_sending(index);
    }

    /// Takes what the tracker tells. The result is that of the last datagram in it.
    pub(super) fn pump(&mut self, now: Instant) -> Result<(), ReceiveError> {
        let mut result = Ok(());
        while let Some(event) = self.tracker.poll_event(now) {
            match event {
                crate::Event::Opened { conversation, path, scope } => {
                    self.insert(now, conversation, path, scope);
                }
                crate::Event::Message { conversation, payload } => {
                    result = self.arrived(now, conversation, payload);
                }
                crate::Event::Moved { conversation, path } => {
                    if let Some(slot) = self.get_mut(conversation) {
                        (slot.path, slot.tell_moved) = (path, slot.announced);
                        self.queue_telling(conversation.slot);
                    }
                }
                crate::Event::Closed { conversation, reason, .. } => {
                    if self.get_mut(conversation).is_some() {
                        self.end(now, conversation.slot, End::Ended(reason));
                    }
                }
                crate::Event::Readable { .. } => {}
            }
        }
        result
    }

    pub(super) fn arrived(
        &mut self,
        now: Instant,
        conversation: ConversationId,
        payload: BytesMut,
    ) -> Result<(), ReceiveError> {
        let (closing, unread, max) = (self.closing, self.unread, self.max_unread);
        let full = self.left.len() >= self.max_left;
        let Some(slot) = self.get_mut(conversation) else { return Err(ReceiveError::Stale) };
        let before = slot.channel.unread();
        // A channel that holds nothing may go on when others have hoarded all there is.
        if unread + payload.len() > if before == 0 { max.saturating_mul(2) } else { max } {
            return Err(ReceiveError::Tracker(DatagramError::OverBudget));
        }
        let result = slot.channel.handle_datagram(now, payload);
        let after = slot.channel.unread();
        self.unread = unread - before + after;
        let Some(slot) = self.get_mut(conversation) else { return Err(ReceiveError::Stale) };
        if !slot.announced && !slot.tell_opened && !slot.detached {
            if full {
                self.end(now, conversation.slot, End::Ended(Reason::Local));
                return Err(ReceiveError::Tracker(DatagramError::Full));
            }
            if result.is_ok() && !closing {
                slot.tell_opened = true;
            } else if closing || (result.is_err() && !slot.channel.wants_reset()) {
                // Nobody has heard of it. A stranger who does not speak our language leaves no trace.
                self.end(now, conversation.slot, End::Ended(Reason::Local));
                return result;
            }
        }
        self.touched(conversation.slot);
        result
    }

    /// Forgets a conversation, in the tracker too, and tells of it if it was told of.
    pub(super) fn end(&mut self, now: Instant, index: u32, end: End) {
        let Some(mut slot) = self.channels.get_mut(index as usize).and_then(Option::take) else { return };
        self.open -= 1;
        self.unread -= slot.channel.unread();
        self.timers.disarm(index);
        self.tracker.close_conversation(now, slot.id);
        if slot.announced && self.delivery == Delivery::Queues {
            self.leave(slot.id, &mut slot.channel);
        }
        if slot.announced {
            self.ended.push_back(Event::Closed { conversation: slot.id, end });
        }
    }

    /// Puts what is unread aside until the application gives the conversation back.
    pub(super) fn leave(&mut self, id: ConversationId, channel: &mut Channel) {
        let mut left = VecDeque::new();
        while let Some(ChannelEvent::Message(message)) = channel.poll_event() {
            self.unread += charge(&message);
            left.push_back(message);
        }
        self.left.insert(id, left);
    }

    /// Tells of the end as soon as both sides have finished; the peer's repetitions are nobody's concern but ours.
    pub(super) fn settle(&mut self, index: u32) {
        let Some(mut slot) = self.channels.get_mut(index as usize).and_then(Option::take) else { return };
        if slot.announced && slot.channel.is_lingering() {
            (slot.announced, slot.detached) = (false, true);
            self.unread -= slot.channel.unread();
            self.leave(slot.id, &mut slot.channel);
            self.unread += slot.channel.unread();
            self.ended.push_back(Event::Closed { conversation: slot.id, end: End::Finished });
        }
        self.channels[index as usize] = Some(slot);
    }

    /// The next event of one channel.
    pub(super) fn next_event(&mut self, index: u32) -> Option<Event> {
        let queues = self.delivery == Delivery::Queues;
        let slot = self.at(index)?;
        let conversation = slot.id;
        if core::mem::take(&mut slot.tell_opened) {
            slot.announced = true;
            let (path, scope) = (slot.path, slot.scope);
            return Some(Event::Opened { conversation, path, scope });
        }
        if core::mem::take(&mut slot.tell_moved) {
            let path = slot.path;
            return Some(Event::Moved { conversation, path });
        }
        if queues && slot.channel.has_message() && !slot.detached {
            let told = core::mem::replace(&mut slot.told_readable, true);
            return (!told).then_some(Event::Readable { conversation });
        }
        let before = slot.channel.unread();
        let event = slot.channel.poll_event()?;
        let read = before - slot.channel.unread();
        let detached = slot.detached;
        self.unread -= read;
        match event {
            ChannelEvent::Message(_) if detached => self.throw_away(index),
            ChannelEvent::Finished if detached => None,
            ChannelEvent::Message(payload) => {
                // The window may have opened.
                self.queue_sending(index);
                Some(Event::Message { conversation, payload })
            }
            ChannelEvent::Finished => Some(Event::Finished { conversation }),
            // The end is told when the channel is dropped.
            ChannelEvent::Failed(_) => None,
        }
    }

    /// A message has come for a conversation that the application has given back, and was thrown away.
    pub(super) fn throw_away(&mut self, index: u32) -> Option<Event> {
        let slot = self.at(index)?;
        if slot.channel.is_delivered() {
            // All of ours has arrived: the peer hears that nobody listens.
            slot.channel.cut_off();
        }
        self.queue_sending(index);
        self.queue_telling(index);
        None
    }

    /// Lets the channels send until the tracker has something.
    pub(super) fn fill(&mut self, now: Instant) {
        while self.tracker.queued() < self.burst {
            let Some(index) = self.sending.pop_front() else { return };
            let scratch = &mut self.scratch;
            let Some(slot) = self.channels.get_mut(index as usize).and_then(Option::as_deref_mut) else {
                continue;
            };
            slot.in_sending = false;
            scratch.clear();
            if slot.channel.poll_transmit(now, scratch).is_none() {
                let over = slot.channel.is_closed();
                let deadline = slot.channel.poll_timeout();
                match deadline {
                    Some(at) => self.timers.arm(index, at),
                    None => self.timers.disarm(index),
                }
                if over {
                    self.queue_telling(index);
                }
                continue;
            }
            // What the tracker cannot take is lost, as any datagram may be, and is sent again in time.
            let _ = self.tracker.send(slot.id, scratch.split().freeze());
            self.queue_sending(index);
        }
    }

    /// After `close`: finishes one batch of conversations.
    pub(super) fn sweep(&mut self) {
        let Some(from) = self.sweep else { return };
        let to = self.channels.len().min(from + BATCH);
        for index in from..to {
            if let Some(slot) = self.at(index as u32) {
                slot.channel.close();
                self.touched(index as u32);
            }
        }
        self.sweep = (to < self.channels.len()).then_some(to);
    }
}
