//! Compressed messages (RFC 7692 §7.2.2).

use alloc::vec::Vec;

use bytes::{Buf, Bytes, BytesMut};
use glowplug_core::LimitExceeded;

use super::Connection;
use crate::deflate::{Deflate, STEP};
use crate::error::Error;
use crate::event::{Event, MessageKind};
use crate::wire::{DecodeError, Reason};

/// The state of a message that is being decompressed.
#[derive(Debug, Default)]
pub(super) struct Inflating {
    /// Compressed bytes that were taken and not all decompressed.
    pending: Bytes,
    /// There may be more to come of the bytes before.
    more: bool,
    /// What the sender left off is among the pending bytes.
    tail: bool,
    /// What came out and was not told.
    out: Vec<u8>,
}

impl Inflating {
    pub(super) fn into_bytes(self) -> Bytes {
        self.out.into()
    }
}

impl Connection {
    /// Takes what is there of a compressed frame's payload. A message that is told in pieces gives one piece a call.
    pub(super) fn receive_compressed(&mut self, input: &mut BytesMut) -> Result<Option<Event>, Error> {
        let (pieces, max) = (self.config.pieces, self.config.max_message_len);
        let (Some(frame), Some(message), Some(deflate)) =
            (&mut self.recv.frame, &mut self.recv.message, &mut self.deflate)
        else {
            return Ok(None);
        };
        let offset = message.begin;
        let wrong = |reason| Error::from(DecodeError { reason, offset });
        loop {
            let inflating = &mut message.inflating;
            if inflating.pending.is_empty() && !inflating.more {
                let len = frame.left.min(input.len() as u64) as usize;
                if len > 0 {
                    let mut piece = input.split_to(len);
                    frame.unmask(&mut piece);
                    self.recv.offset += len as u64;
                    inflating.pending = piece.freeze();
                } else if frame.left > 0 {
                    return Ok(None);
                } else if frame.fin && !inflating.tail {
                    inflating.tail = true;
                    inflating.pending = Bytes::from_static(Deflate::tail());
                } else {
                    break;
                }
            }
            // One byte beyond the limit is enough to know.
            let limit =
                if pieces { STEP } else { usize::try_from(max.saturating_add(1)).unwrap_or(usize::MAX) };
            let before = inflating.out.len();
            let step = deflate.decompress(&inflating.pending, &mut inflating.out, limit);
            // What is beyond the limit is not looked at.
            let room = usize::try_from(max - message.len).unwrap_or(usize::MAX);
            let fresh = inflating.out.len() - before;
            let (within, too_long) = (fresh.min(room), fresh > room);
            message.len += within as u64;
            let mut data = None;
            if pieces {
                let mut fresh = core::mem::take(&mut inflating.out);
                fresh.truncate(within);
                data = Some(BytesMut::from(Bytes::from(fresh)));
            } else if message.kind == MessageKind::Text
                && message.utf8.feed(&inflating.out[before..before + within]).is_err()
            {
                return Err(wrong(Reason::Utf8));
            }
            let broken = step.err().map(|_| wrong(Reason::Deflate));
            let exceeded = LimitExceeded::more_than("max_message_len", max);
            let exceeded = too_long.then_some(Error::Limit { exceeded, offset: message.begin });
            let failed = exceeded.or(broken);
            if let Ok((taken, more)) = step {
                inflating.pending.advance(taken);
                inflating.more = more && inflating.pending.is_empty();
            }
            let Some(data) = data else {
                failed.map_or(Ok(()), Err)?;
                continue;
            };
            let (data, checked) = message.take_text(data, false);
            let failed = checked.err().map(|_| wrong(Reason::Utf8)).or(failed);
            if failed.is_some() || !data.is_empty() {
                return self.tell(data, failed, false);
            }
        }
        if !frame.fin {
            self.recv.frame = None;
            return Ok(None);
        }
        if message.kind == MessageKind::Text && (message.utf8.end().is_err() || !message.held.is_empty()) {
            return Err(wrong(Reason::Utf8));
        }
        deflate.end_of_message();
        Ok(Some(self.end_message()))
    }
}
