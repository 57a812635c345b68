//! What goes out: datagrams with an address, oldest first.

use bytes::{Bytes, BytesMut};
use glowplug_core::{Instant, Path, Transmit};

use super::Tracker;
use crate::config::MAX_DATAGRAM;
use crate::cookie::{COOKIE_LEN, frame};
use crate::error::SendError;
use crate::event::{ConversationId, Scope};
use crate::slab::Flags;

/// One datagram on its way out. Its path is that of the moment when it was sent: a conversation may end before.
#[derive(Debug)]
pub(super) struct Outgoing {
    /// `None` for a cookie to a stranger.
    conversation: Option<ConversationId>,
    scope: Scope,
    path: Path,
    head: Option<[u8; frame::HEAD_LEN]>,
    payload: Bytes,
}

impl Outgoing {
    pub(super) fn new(
        conversation: ConversationId,
        scope: Scope,
        path: Path,
        head: Option<[u8; frame::HEAD_LEN]>,
        payload: Bytes,
    ) -> Self {
        Self { conversation: Some(conversation), scope, path, head, payload }
    }

    pub(super) fn retry(scope: Scope, path: Path, head: [u8; frame::HEAD_LEN]) -> Self {
        Self { conversation: None, scope, path, head: Some(head), payload: Bytes::new() }
    }

    fn len(&self) -> usize {
        self.payload.len() + self.head.map_or(0, |head| head.len())
    }

    #[cfg(test)]
    pub(super) fn append_len(&self) -> usize {
        self.len()
    }

    fn append_to(&self, out: &mut BytesMut) {
        if let Some(head) = &self.head {
            out.extend_from_slice(head);
        }
        out.extend_from_slice(&self.payload);
    }
}

impl Tracker {
    /// Queues one datagram to the peer of a conversation; an empty one is a datagram too.
    ///
    /// It comes out of [`poll_transmit`](glowplug_core::DatagramProtocol::poll_transmit), in the order of sending. To a
    /// conversation that is over nothing is sent.
    pub fn send(&mut self, conversation: ConversationId, payload: Bytes) -> Result<(), SendError> {
        let Some(slot) = self.live_slot(conversation) else { return Err(SendError::Closed(payload)) };
        let entry = self.slab.get_mut(slot);
        let head = if entry.flags.has(Flags::COOKIE) {
            let handshake = self.handshakes.entry(slot).or_default();
            Some(frame::data(handshake.cookie))
        } else if self.cookies.is_some() && frame::needs_frame(&payload) {
            Some(frame::data([0; COOKIE_LEN]))
        } else {
            None
        };
        let wire_len = payload.len() + head.map_or(0, |head| head.len());
        if wire_len > self.config.max_datagram {
            return Err(SendError::TooLong(payload));
        }
        if self.output.len() >= self.config.max_output
            || self.output_bytes + wire_len > self.config.max_output_bytes
            || usize::from(entry.outgoing) >= self.config.max_output_each
        {
            return Err(SendError::Full(payload));
        }
        if self.config.amplification.is_some() && !entry.flags.has(Flags::PROVEN) {
            // An empty datagram costs somebody else something too.
            let Some(credit) = entry.credit.checked_sub(wire_len.max(1) as u32) else {
                return Err(SendError::NotProven(payload));
            };
            entry.credit = credit;
        }
        if entry.flags.has(Flags::COOKIE)
            && let Some(handshake) = self.handshakes.get_mut(&slot)
        {
            handshake.first.get_or_insert_with(|| payload.clone());
        }
        entry.outgoing += 1;
        entry.sent += 1;
        entry.sent_bytes += payload.len() as u64;
        let (scope, path) = (entry.address.scope, entry.address.path());
        self.output_bytes += wire_len;
        self.output.push_back(Outgoing::new(conversation, scope, path, head, payload));
        Ok(())
    }

    /// How many datagrams [`send`](Self::send) takes for this conversation now, if they are short.
    pub fn capacity(&self, conversation: ConversationId) -> usize {
        let Some(slot) = self.live_slot(conversation) else { return 0 };
        let all = self.config.max_output.saturating_sub(self.output.len());
        all.min(self.config.max_output_each.saturating_sub(usize::from(self.slab.get(slot).outgoing)))
    }

    /// Whether [`send`](Self::send) has room for a datagram of so many bytes now. False for a conversation that is over.
    pub fn takes(&self, conversation: ConversationId, len: usize) -> bool {
        let Some(slot) = self.live_slot(conversation) else { return false };
        let head = if self.cookies.is_some() { frame::HEAD_LEN } else { 0 };
        let fits = self.output.len() < self.config.max_output
            && self.output_bytes + len + head <= self.config.max_output_bytes
            && usize::from(self.slab.get(slot).outgoing) < self.config.max_output_each;
        // Whatever may be sent at all is taken when nothing waits.
        fits || self.output.is_empty()
    }

    /// How many more datagrams all conversations together may queue.
    pub fn output_room(&self) -> usize {
        self.config.max_output.saturating_sub(self.output.len())
    }

    /// Queues one that the tracker sends of its own accord. False when there is no room.
    pub(super) fn queue(&mut self, outgoing: Outgoing) -> bool {
        let fits = self.output.len() < self.config.max_output
            && self.output_bytes + outgoing.len() <= self.config.max_output_bytes;
        if fits {
            self.output_bytes += outgoing.len();
            self.output.push_back(outgoing);
        }
        fits
    }

    /// [`poll_transmit`](glowplug_core::DatagramProtocol::poll_transmit) for sockets that have scopes.
    pub fn poll_transmit_in(&mut self, now: Instant, out: &mut BytesMut) -> Option<(Scope, Transmit)> {
        let _ = now;
        let first = self.take_outgoing()?;
        first.append_to(out);
        let (size, mut total, mut segments) = (first.len(), first.len(), 1);
        let mut last = size;
        // Offload sends equal pieces; only the last may be shorter.
        while segments < self.config.max_segments && last == size && size > 0 {
            let Some(next) = self.output.front() else { break };
            last = next.len();
            let alike = next.path == first.path && next.scope == first.scope;
            if !alike || last == 0 || last > size || total + last > MAX_DATAGRAM {
                break;
            }
            let Some(next) = self.take_outgoing() else { break };
            next.append_to(out);
            total += last;
            segments += 1;
        }
        let mut transmit = Transmit::new(first.path, total);
        transmit.segment_size = (segments > 1).then_some(size);
        Some((first.scope, transmit))
    }

    fn take_outgoing(&mut self) -> Option<Outgoing> {
        let outgoing = self.output.pop_front()?;
        self.output_bytes -= outgoing.len();
        self.counters.sent += 1;
        self.counters.sent_bytes += outgoing.len() as u64;
        match outgoing.conversation {
            None => self.retries_queued -= 1,
            Some(conversation) => {
                if let Some(slot) = self.slab.resolve(conversation) {
                    self.slab.get_mut(slot).outgoing -= 1;
                }
            }
        }
        Some(outgoing)
    }
}
