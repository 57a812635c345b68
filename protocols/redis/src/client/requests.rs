//! Requests on their way in, and given up.

use bytes::Buf;
use glowplug_core::{Answer, Instant, Progress, RequestProtocol, SendBuf, SubmitError, Token};

use super::{ClientConnection, Event, Owner, Reply, Request, State};

impl RequestProtocol for ClientConnection {
    type Request = Request;
    type Response = Reply;

    /// Takes a request in. An empty pipeline comes back as `Closed`: nothing would ever answer it.
    fn submit(&mut self, now: Instant, token: Token, request: Request) -> Result<(), SubmitError<Request>> {
        if self.closing
            || self.eof
            || request.replies() == 0
            || matches!(self.state, State::Closed | State::Failed(_))
        {
            return Err(SubmitError::Closed(request));
        }
        if self.is_full(&request) {
            if self.forget {
                self.forget_cancelled();
            }
            if self.is_full(&request) {
                return Err(SubmitError::Full(request));
            }
        }
        if !self.cancelled.is_empty() && self.cancelled.remove(&token) {
            // The token was used before, and that request may still be here.
            for slot in self.slots.iter_mut().filter(|slot| slot.owner == Owner::Caller(token)) {
                slot.owner = Owner::Nobody;
            }
        }
        self.push_slot(now, Owner::Caller(token), request);
        Ok(())
    }

    /// What nothing was sent of is forgotten, and never sent.
    fn cancel(&mut self, token: Token) {
        if self.slots.is_empty() {
            return;
        }
        self.cancelled.insert(token);
        self.forget |= !self.queued.is_empty();
        // Tokens that are not in flight stay here until there are too many of them.
        if self.cancelled.len() > 2 * self.slots.len() + 8 {
            let mut cancelled = core::mem::take(&mut self.cancelled);
            self.cancelled.extend(self.slots.iter().filter_map(|slot| match slot.owner {
                Owner::Caller(token) => cancelled.take(&token),
                Owner::Nobody | Owner::KeepAlive => None,
            }));
        }
    }

    /// Oldest first.
    fn unanswered(&self) -> impl Iterator<Item = (Token, Progress)> {
        self.slots.iter().filter_map(|slot| match slot.owner {
            Owner::Caller(token) if !self.cancelled.contains(&token) => Some((token, self.progress_of(slot))),
            _ => None,
        })
    }

    fn in_flight(&self) -> usize {
        self.slots.len() - usize::from(self.pinging)
    }

    fn into_answer(event: Event) -> Result<Answer<Reply>, Event> {
        match event {
            Event::Answer(answer) => Ok(answer),
            other => Err(other),
        }
    }
}

impl ClientConnection {
    #[inline]
    fn is_full(&self, request: &Request) -> bool {
        let waiting = self.queued.len();
        self.slots.len() >= self.config.max_in_flight
            || (waiting > 0 && waiting + request.encoded_len() > self.config.max_queued_bytes)
    }

    /// True if nobody waits for the answer any more; after the last one it need not be remembered.
    pub(super) fn is_cancelled(&mut self, token: Token, last: bool) -> bool {
        if self.slots.is_empty() && last {
            let cancelled = self.cancelled.contains(&token);
            self.cancelled.clear();
            return cancelled;
        }
        if last { self.cancelled.remove(&token) } else { self.cancelled.contains(&token) }
    }

    /// Takes the requests that were cancelled before anything of them was sent out of the queue: their callers were told that nothing was.
    pub(super) fn forget_cancelled(&mut self) {
        self.forget = false;
        let first = self.slots.partition_point(|slot| slot.start < self.total_taken);
        let unsent = self.slots.split_off(first);
        let mut old = core::mem::take(&mut self.queued);
        let front = unsent.front().map_or(0, |slot| (slot.start - self.total_taken) as usize);
        move_bytes(&mut old, &mut self.queued, front);
        self.total_queued = self.total_taken + front as u64;
        for mut slot in unsent {
            let len = slot.end - slot.start;
            match slot.owner {
                Owner::Caller(token) if self.cancelled.remove(&token) => {
                    if let (Some(reading), Some(cache)) = (slot.reading(), &mut self.cache) {
                        cache.forget(&reading);
                    }
                    old.advance(len as usize);
                }
                _ => {
                    move_bytes(&mut old, &mut self.queued, len as usize);
                    slot.start = self.total_queued;
                    self.total_queued += len;
                    slot.end = self.total_queued;
                    self.slots.push_back(slot);
                }
            }
        }
        // What is left belongs to a request that is partly sent and the last.
        let rest = old.remaining();
        move_bytes(&mut old, &mut self.queued, rest);
        self.total_queued += rest as u64;
    }
}

/// Moves `len` bytes; long payloads move without a copy.
pub(super) fn move_bytes(from: &mut SendBuf, to: &mut SendBuf, len: usize) {
    if len == from.len() {
        to.append(from);
    } else if len > 0 {
        to.push(from.copy_to_bytes(len));
    }
}
