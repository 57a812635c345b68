//! What goes out.

use bytes::{Bytes, BytesMut};
use glowplug_core::Instant;

use super::Connection;
use crate::error::SendError;
use crate::event::{Message, MessageKind};
use crate::wire::{CloseFrame, FrameHead, MAX_CONTROL_LEN, MAX_HEAD_LEN, Opcode, Utf8, mask};

/// A masked payload up to this length is copied to where the output gathers, which is memory at hand; a longer one has memory of
/// its own.
const COPY_UP_TO: usize = 128 * 1024;

/// Payloads from this length on are queued as they are.
const CHAIN: usize = 1024;

/// The least room that is made for short frames.
const SHORTS: usize = 512;

/// A message that is being sent in pieces.
#[derive(Debug)]
pub(super) struct Sending {
    kind: MessageKind,
    compressed: bool,
    utf8: Utf8,
}

impl Connection {
    /// Sends a whole message as one frame, compressed if that was negotiated and it is long enough.
    ///
    /// A client's payload is masked where it lies if nobody else holds it, and copied otherwise.
    pub fn send(&mut self, _now: Instant, message: impl Into<Message>) -> Result<(), SendError> {
        let message = message.into();
        if !self.is_open() {
            return Err(SendError::Closed(message));
        }
        if self.sending.is_some() {
            return Err(SendError::Busy(message));
        }
        if !self.outbox.has_room() {
            return Err(SendError::Full(message));
        }
        let opcode = message.kind().opcode();
        let (payload, rsv1) = self.squeeze(message.into_bytes());
        self.queue(FrameHead { fin: true, rsv1, opcode, mask: None, len: 0 }, payload);
        Ok(())
    }

    /// Sends a piece of a message as a frame; `last` ends it. The first piece begins the message, and all are of one kind. An empty
    /// piece is a frame like any other. Text may be cut within a character.
    pub fn send_data(
        &mut self,
        _now: Instant,
        kind: MessageKind,
        data: impl Into<Bytes>,
        last: bool,
    ) -> Result<(), SendError<Bytes>> {
        let data = data.into();
        if !self.is_open() {
            return Err(SendError::Closed(data));
        }
        if self.sending.as_ref().is_some_and(|sending| sending.kind != kind) {
            return Err(SendError::Busy(data));
        }
        if !self.outbox.has_room() {
            return Err(SendError::Full(data));
        }
        let first = self.sending.is_none();
        let compressed = first && self.squeezes(data.len(), last);
        let mut sending =
            self.sending.take().unwrap_or_else(|| Sending { kind, compressed, utf8: Utf8::new() });
        if kind == MessageKind::Text {
            let mut utf8 = sending.utf8;
            let fed = utf8.feed(&data).and_then(|()| if last { utf8.end() } else { Ok(()) });
            if fed.is_err() {
                self.sending = Some(sending).filter(|_| !first);
                return Err(SendError::Utf8(data));
            }
            sending.utf8 = utf8;
        }
        let payload = if sending.compressed { self.compress(&data, last) } else { data };
        let opcode = if first { kind.opcode() } else { Opcode::Continuation };
        let rsv1 = first && sending.compressed;
        self.sending = Some(sending).filter(|_| !last);
        self.queue(FrameHead { fin: last, rsv1, opcode, mask: None, len: 0 }, payload);
        Ok(())
    }

    /// Sends a ping of up to 125 bytes. The answer is an [`Event::Pong`](crate::Event::Pong).
    pub fn ping(&mut self, now: Instant, payload: impl Into<Bytes>) -> Result<(), SendError<Bytes>> {
        self.send_control(now, Opcode::Ping, payload.into())
    }

    /// Sends a pong that nobody asked for (RFC 6455 §5.5.3). Those that were asked for go out by themselves.
    pub fn pong(&mut self, now: Instant, payload: impl Into<Bytes>) -> Result<(), SendError<Bytes>> {
        self.send_control(now, Opcode::Pong, payload.into())
    }

    fn send_control(&mut self, _now: Instant, opcode: Opcode, data: Bytes) -> Result<(), SendError<Bytes>> {
        if !self.is_open() {
            return Err(SendError::Closed(data));
        }
        if data.len() > MAX_CONTROL_LEN {
            return Err(SendError::TooLong(data));
        }
        if !self.outbox.has_room() {
            return Err(SendError::Full(data));
        }
        self.queue_control(opcode, &data);
        Ok(())
    }

    pub(super) fn queue_close(&mut self, frame: Option<&CloseFrame>) {
        self.close_sent = true;
        let (payload, len) = frame.map_or(([0; MAX_CONTROL_LEN], 0), CloseFrame::encode);
        self.queue_control(Opcode::Close, &payload[..len]);
    }

    pub(super) fn queue_ping(&mut self, payload: &[u8]) {
        self.queue_control(Opcode::Ping, payload);
    }

    pub(super) fn queue_pong(&mut self, payload: &[u8]) {
        self.queue_control(Opcode::Pong, payload);
    }

    /// Answers a ping, at once or as soon as there is room.
    pub(super) fn answer_ping(&mut self, payload: &Bytes) {
        if self.close_sent {
            return;
        }
        if self.outbox.has_room() {
            self.queue_pong(payload);
        } else {
            self.pong = Some(payload.clone());
        }
    }

    fn queue_control(&mut self, opcode: Opcode, payload: &[u8]) {
        let head = FrameHead { fin: true, rsv1: false, opcode, mask: None, len: 0 };
        self.queue_short(head, payload);
    }

    /// Queues a frame; its length and its mask are put into the head here.
    fn queue(&mut self, head: FrameHead, payload: Bytes) {
        if payload.len() < CHAIN {
            return self.queue_short(head, &payload);
        }
        let Some(key) = self.next_mask() else {
            self.put_head(FrameHead { len: payload.len() as u64, ..head });
            return self.outbox.push(payload);
        };
        let head = FrameHead { len: payload.len() as u64, mask: Some(key), ..head };
        self.put_head(head);
        match payload.try_into_mut() {
            Ok(mut own) => {
                mask(key, 0, &mut own);
                self.outbox.push(own.freeze());
            }
            Err(shared) if shared.len() <= COPY_UP_TO => self.put_masked(key, &shared),
            Err(shared) => {
                let mut copy = BytesMut::from(&shared[..]);
                mask(key, 0, &mut copy);
                self.outbox.push(copy.freeze());
            }
        }
    }

    fn queue_short(&mut self, head: FrameHead, payload: &[u8]) {
        let key = self.next_mask();
        let scratch = self.outbox.scratch();
        // Room for a few of them at once: an empty buffer goes back to its beginning only when its end is reached.
        let need = MAX_HEAD_LEN + payload.len();
        if scratch.capacity() - scratch.len() < need {
            scratch.reserve(need.max(SHORTS));
        }
        put_head(scratch, FrameHead { len: payload.len() as u64, mask: key, ..head });
        let begin = scratch.len();
        scratch.extend_from_slice(payload);
        if let Some(key) = key {
            mask(key, 0, &mut scratch[begin..]);
        }
    }

    fn put_head(&mut self, head: FrameHead) {
        put_head(self.outbox.scratch(), head);
    }

    fn put_masked(&mut self, key: [u8; 4], payload: &[u8]) {
        let scratch = self.outbox.scratch();
        let begin = scratch.len();
        scratch.extend_from_slice(payload);
        mask(key, 0, &mut scratch[begin..]);
    }

    fn next_mask(&mut self) -> Option<[u8; 4]> {
        self.masks.as_mut().map(|rng| rng.u32().to_le_bytes())
    }
}

/// Appends a head. Most are short, and then of a length that the compiler knows.
#[inline]
fn put_head(scratch: &mut BytesMut, head: FrameHead) {
    match (head.encode(), head.mask) {
        ((bytes, 2), None) => scratch.extend_from_slice(&bytes[..2]),
        ((bytes, 6), Some(_)) => scratch.extend_from_slice(&bytes[..6]),
        ((bytes, len), _) => scratch.extend_from_slice(&bytes[..len]),
    }
}

#[cfg(feature = "deflate")]
impl Connection {
    /// A whole message's payload, compressed where that is due.
    fn squeeze(&mut self, payload: Bytes) -> (Bytes, bool) {
        match &mut self.deflate {
            Some(deflate) if deflate.wants(payload.len()) => (deflate.compress(&payload, true), true),
            _ => (payload, false),
        }
    }

    /// Whether a message that begins with so many bytes is to be compressed.
    fn squeezes(&self, len: usize, whole: bool) -> bool {
        let len = if whole { len } else { usize::MAX };
        self.deflate.as_ref().is_some_and(|deflate| deflate.wants(len))
    }

    fn compress(&mut self, data: &Bytes, last: bool) -> Bytes {
        self.deflate.as_mut().map_or_else(|| data.clone(), |deflate| deflate.compress(data, last))
    }
}

#[cfg(not(feature = "deflate"))]
#[allow(clippy::unused_self, reason = "the same signatures as with compression")]
impl Connection {
    fn squeeze(&mut self, payload: Bytes) -> (Bytes, bool) {
        (payload, false)
    }

    fn squeezes(&self, _len: usize, _whole: bool) -> bool {
        false
    }

    fn compress(&mut self, data: &Bytes, _last: bool) -> Bytes {
        data.clone()
    }
}
