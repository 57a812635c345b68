//! The receiving half: segments into messages, each once.

use alloc::collections::VecDeque;

use bytes::BytesMut;

use super::channel::Order;
use super::wire::{BEGIN, END, FIN};
use super::{MAX_MESSAGE_SEGMENTS, WINDOW};
use crate::pool::{charge, compact};

#[derive(Debug)]
enum Slot {
    Missing,
    Have {
        flags: u8,
        payload: BytesMut,
    },
    /// Delivered.
    Taken,
}

/// What a segment turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arrival {
    /// The one that was waited for.
    InOrder,
    /// Early, late, doubled or beyond the window: to be acknowledged at once.
    Odd,
    /// A peer that begins a message within a message, or makes one longer than any may be.
    Violation,
}

#[derive(Debug)]
pub(super) struct ReceiveHalf {
    order: Order,
    /// From the oldest that is not delivered.
    slots: VecDeque<Slot>,
    base: u64,
    /// The first that is missing.
    next: u64,
    messages: VecDeque<(BytesMut, u16)>,
    /// Bytes in slots and messages, as the pool of the tracker counts them; and the most there may be.
    bytes: usize,
    max_bytes: usize,
    /// Segments of the messages that wait to be read.
    unread: u16,
    /// The window that was told last.
    told: u16,
    finished: bool,
}

impl ReceiveHalf {
    pub(super) fn new(order: Order, max_bytes: usize) -> Self {
        Self {
            order,
            slots: VecDeque::new(),
            base: 0,
            next: 0,
            messages: VecDeque::new(),
            bytes: 0,
            max_bytes,
            unread: 0,
            told: WINDOW,
            finished: false,
        }
    }

    /// The first number that is missing: what segments are near to.
    pub(super) fn next(&self) -> u64 {
        self.next
    }

    /// Whether the peer's last segment came, and all before it was delivered.
    pub(super) fn is_finished(&self) -> bool {
        self.finished
    }

    /// Bytes that are held.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many segments may come from `next` on.
    fn window(&self) -> u16 {
        let end = self.base + u64::from(WINDOW - self.unread.min(WINDOW));
        end.saturating_sub(self.next) as u16
    }

    /// What to say in the next head: what is wanted, what of the 64 after that is there, and how many may come.
    pub(super) fn acknowledgement(&mut self) -> (u64, u64, u16) {
        let after = (self.next - self.base) as usize + 1;
        let mut sack = 0;
        for (bit, slot) in self.slots.iter().skip(after).take(64).enumerate() {
            sack |= u64::from(!matches!(slot, Slot::Missing)) << bit;
        }
        self.told = self.window();
        (self.next, sack, self.told)
    }

    pub(super) fn insert(&mut self, seq: u64, flags: u8, payload: BytesMut) -> Arrival {
        let end = self.next + u64::from(self.window());
        if seq < self.base || seq >= end {
            return Arrival::Odd;
        }
        let at = (seq - self.base) as usize;
        while self.slots.len() <= at {
            self.slots.push_back(Slot::Missing);
        }
        if !matches!(self.slots[at], Slot::Missing) {
            return Arrival::Odd;
        }
        let in_order = seq == self.next;
        let payload = compact(payload);
        // Past the limit only that is taken which lets something be delivered, and only if what was delivered is read.
        let helps = in_order && self.messages.is_empty();
        if self.bytes + charge(&payload) > self.max_bytes && !helps {
            return Arrival::Odd;
        }
        self.bytes += charge(&payload);
        self.slots[at] = Slot::Have { flags, payload };
        while self
            .slots
            .get((self.next - self.base) as usize)
            .is_some_and(|slot| !matches!(slot, Slot::Missing))
        {
            self.next += 1;
        }
        if self.deliver(at).is_err() {
            return Arrival::Violation;
        }
        if in_order && flags & FIN == 0 && self.next == seq + 1 { Arrival::InOrder } else { Arrival::Odd }
    }

    /// Delivers what the segment at `at` has completed.
    fn deliver(&mut self, at: usize) -> Result<(), ()> {
        if self.order == Order::Unordered
            && let Some(first) = self.beginning(at)?
        {
            self.take(first)?;
        }
        loop {
            match self.slots.front() {
                Some(Slot::Taken) => {
                    self.slots.pop_front();
                    self.base += 1;
                }
                Some(Slot::Have { flags, .. }) if flags & BEGIN == 0 => return Err(()),
                // In order, or the last of all, which waits for its turn in any case.
                Some(Slot::Have { flags, .. }) if self.order == Order::Ordered || flags & FIN != 0 => {
                    if !self.take(0)? {
                        return Ok(());
                    }
                }
                _ => return Ok(()),
            }
        }
    }

    /// Where the message of a segment begins, if that is known.
    fn beginning(&self, at: usize) -> Result<Option<usize>, ()> {
        for first in (at.saturating_sub(MAX_MESSAGE_SEGMENTS)..=at).rev() {
            match &self.slots[first] {
                Slot::Have { flags, .. } if flags & FIN != 0 => return Ok(None),
                Slot::Have { flags, .. } if flags & BEGIN != 0 => return Ok(Some(first)),
                Slot::Have { .. } => {}
                Slot::Missing => return Ok(None),
                // The end of another message lies before: this one has no beginning.
                Slot::Taken => return Err(()),
            }
        }
        if at >= MAX_MESSAGE_SEGMENTS { Err(()) } else { Ok(None) }
    }

    /// Delivers the message that begins at `first`, if it is whole.
    fn take(&mut self, first: usize) -> Result<bool, ()> {
        let mut len = 0;
        let mut end = None;
        for (count, slot) in self.slots.iter().skip(first).enumerate() {
            let Slot::Have { flags, payload } = slot else {
                // A message that was delivered before this one's end is a beginning too.
                if matches!(slot, Slot::Taken) {
                    return Err(());
                }
                break;
            };
            if (count > 0 && flags & BEGIN != 0) || count == MAX_MESSAGE_SEGMENTS {
                return Err(());
            }
            len += payload.len();
            if flags & END != 0 {
                end = Some((count + 1, flags & FIN != 0));
                break;
            }
        }
        let Some((count, fin)) = end else { return Ok(false) };
        let mut message = BytesMut::new();
        for slot in self.slots.range_mut(first..first + count) {
            if let Slot::Have { payload, .. } = core::mem::replace(slot, Slot::Taken) {
                self.bytes -= charge(&payload);
                if count == 1 {
                    message = payload;
                } else {
                    message.reserve(len - message.len());
                    message.extend_from_slice(&payload);
                }
            }
        }
        if fin {
            self.finished = true;
        } else {
            self.unread += count as u16;
            self.bytes += charge(&message);
            self.messages.push_back((message, count as u16));
        }
        Ok(true)
    }

    /// Whether a message waits to be read.
    pub(super) fn has_message(&self) -> bool {
        !self.messages.is_empty()
    }

    /// The next message. True beside it when the peer should hear that there is room again.
    pub(super) fn read(&mut self) -> Option<(BytesMut, bool)> {
        let (message, segments) = self.messages.pop_front()?;
        self.unread -= segments;
        self.bytes -= charge(&message);
        Some((message, self.told < WINDOW / 2 && self.window() >= WINDOW / 2))
    }
}
