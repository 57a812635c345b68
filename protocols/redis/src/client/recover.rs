//! Going on where a transport ended.

use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use glowplug_core::{Instant, Progress, SendBuf, Token};

use super::requests::move_bytes;
use super::{ClientConnection, Owner, Slot, State};
use crate::cache::Cache;
use crate::handshake::Handshake;
use crate::pubsub::Subscriptions;
use crate::wire::{Decoder, Protocol};

impl ClientConnection {
    /// The transport is lost, or given up after an error. Returns the requests that are over with it, and how far each had got; their tokens
    /// are free.
    ///
    /// Requests of which nothing was handed to [`poll_transmit`](glowplug_core::StreamProtocol::poll_transmit) stay, as do those that
    /// [`resend_read_only`](crate::ClientConfig::resend_read_only) allows to be sent again; more may be submitted meanwhile. They
    /// go out on the next transport, once [`handle_reconnect`](Self::handle_reconnect) has begun it and its handshake is done. Whoever
    /// drives the machine throws away what input and output there is from the old transport.
    ///
    /// A connection that was asked to close keeps nothing: it is over.
    pub fn handle_disconnect(&mut self, now: Instant) -> Vec<(Token, Progress)> {
        let closing = self.closing || matches!(self.state, State::Closed);
        // What the server would have told of changes is lost. Requests that stay are read anew.
        if let Some(config) = &self.config.cache {
            let stats = self.cache.take().map(|cache| cache.stats()).unwrap_or_default();
            self.cache = Some(Box::new(Cache::after(config.clone(), stats)));
        }
        let mut lost = Vec::new();
        let mut queued = SendBuf::new();
        let mut kept = 0;
        let mut cancelled = core::mem::take(&mut self.cancelled);
        let mut still_cancelled = BTreeSet::new();
        // The rest of a request that was cut in the middle is of no use.
        let unsent = self.slots.iter().find(|slot| slot.start >= self.total_taken);
        let cut = unsent.map_or(self.total_queued, |slot| slot.start) - self.total_taken;
        move_bytes(&mut self.queued, &mut SendBuf::new(), cut as usize);
        for mut slot in core::mem::take(&mut self.slots) {
            let progress = self.progress_of(&slot);
            let Owner::Caller(token) = slot.owner else {
                if progress == Progress::NotSent {
                    move_bytes(&mut self.queued, &mut SendBuf::new(), (slot.end - slot.start) as usize);
                }
                continue;
            };
            let left = cancelled.remove(&token);
            let again = slot.special.as_ref().and_then(|special| special.again.clone());
            match (progress, again) {
                _ if closing => {}
                (Progress::NotSent, _) => {
                    if left {
                        still_cancelled.insert(token);
                    }
                    let len = slot.end - slot.start;
                    self.read_again(&mut slot);
                    move_bytes(&mut self.queued, &mut queued, len as usize);
                    (slot.start, slot.end) = (kept, kept + len);
                    kept += len;
                    self.slots.push_back(slot);
                    continue;
                }
                (_, Some(command)) if !left => {
                    self.read_again(&mut slot);
                    command.encode(&mut queued);
                    let end = queued.len() as u64;
                    (slot.start, slot.end, slot.begun) = (kept, end, false);
                    kept = end;
                    self.slots.push_back(slot);
                    continue;
                }
                _ => {}
            }
            if !left {
                lost.push((token, progress));
            }
        }
        self.forget = !still_cancelled.is_empty();
        self.cancelled = still_cancelled;
        self.queued = queued;
        self.total_queued = kept;
        self.total_taken = 0;
        self.pinging = false;
        self.monitors = false;
        self.eof = false;
        self.seen = 0;
        self.quiet_since = self.quiet_since.max(now);
        self.decoder = Decoder::new(self.config.limits);
        self.protocol = Protocol::Resp2;
        self.subscriptions = Subscriptions::default();
        self.state = if closing { State::Closed } else { State::Down };
        lost
    }

    fn read_again(&mut self, slot: &mut Slot) {
        if let (Some(special), Some(cache)) = (&mut slot.special, &mut self.cache) {
            special.reading = special.reading.take().map(|reading| cache.begin_again(reading));
        }
    }

    /// A new transport is there: shakes hands, and goes on with what waits. Only after [`handle_disconnect`](Self::handle_disconnect), or
    /// for a connection that began [unconnected](Self::unconnected).
    pub fn handle_reconnect(&mut self, now: Instant) {
        if matches!(self.state, State::Down) {
            self.quiet_since = self.quiet_since.max(now);
            self.state = State::Handshake(Handshake::new(&self.config));
        }
    }

    /// True while there is no transport.
    pub fn is_down(&self) -> bool {
        matches!(self.state, State::Down)
    }
}

#[cfg(test)]
mod tests;
