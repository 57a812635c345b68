//! What comes in: frames become messages.

use core::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use bytestring::ByteString;
use glowplug_core::{Instant, LimitExceeded};

use super::Connection;
use crate::error::Error;
use crate::event::{Event, Message, MessageKind};
use crate::wire::{CloseFrame, DecodeError, FrameHead, Opcode, Reason, Utf8, mask};

/// A frame up to this length is left in the input until it is whole, and then handed out without a copy. A longer one is taken as it
/// comes, so that its text is checked as it comes and the input stays short.
const WHOLE_UP_TO: u64 = 128 * 1024;

/// Messages shorter than this are copied out of the input: a copy costs less than sharing the input's memory.
const COPY_BELOW: usize = 2048;

/// How much memory a message is given before its bytes are there.
const RESERVE: u64 = 64 * 1024;

/// The state of what comes in.
#[derive(Debug)]
pub(super) struct Receive {
    /// Bytes taken since the handshake.
    offset: u64,
    /// Compression was negotiated.
    may_inflate: bool,
    message: Option<Incoming>,
    /// The data frame that is being taken as it comes.
    frame: Option<Partial>,
    /// How many more bytes would help.
    want: usize,
    /// Pings and pongs in the second that began then.
    controls: (Instant, u32),
}

/// A message that is not complete.
#[derive(Debug)]
struct Incoming {
    kind: MessageKind,
    compressed: bool,
    fragments: u32,
    /// Where its first frame began.
    begin: u64,
    /// Bytes that came, decompressed.
    len: u64,
    /// Bytes that came before the frame at hand.
    len_before_frame: u64,
    /// What is kept, of a message that is told whole.
    whole: BytesMut,
    /// What a message that is told whole was checked by.
    utf8: Utf8,
    /// The beginning of a character, of a message that is told in pieces.
    held: BytesMut,
    #[cfg(feature = "deflate")]
    inflating: inflate::Inflating,
}

/// A frame of which the head was taken and the payload was not, or not all.
#[derive(Clone, Copy, Debug)]
struct Partial {
    fin: bool,
    key: Option<[u8; 4]>,
    /// Where the payload begins.
    begin: u64,
    /// Bytes of payload that were taken.
    taken: u64,
    /// Bytes that were not.
    left: u64,
}

impl Receive {
    pub(super) fn new(now: Instant, may_inflate: bool) -> Self {
        Self { offset: 0, may_inflate, message: None, frame: None, want: 1, controls: (now, 0) }
    }

    pub(super) fn wanted(&self) -> usize {
        self.want
    }

    /// Forgets what is incomplete.
    pub(super) fn clear(&mut self) {
        self.message = None;
        self.frame = None;
        self.want = 1;
    }

    fn wait(&mut self, missing: usize) -> Option<Event> {
        self.want = missing.max(1);
        None
    }
}

impl Connection {
    /// The next event, or none before there is more input.
    pub(super) fn receive(&mut self, now: Instant, input: &mut BytesMut) -> Result<Option<Event>, Error> {
        loop {
            if self.recv.frame.is_some() {
                if let Some(event) = self.receive_payload(input)? {
                    return Ok(Some(event));
                }
                if self.recv.frame.is_some() {
                    return Ok(self.recv.wait(1));
                }
                continue;
            }
            let (head, head_len) = match FrameHead::decode(input) {
                Ok(Some(decoded)) => decoded,
                Ok(None) => {
                    let missing = FrameHead::missing(input);
                    return Ok(self.recv.wait(missing));
                }
                Err((reason, at)) => return Err(self.wrong(reason, at)),
            };
            self.check(&head)?;
            let there = (input.len() - head_len) as u64;
            let wait_for_all = head.opcode.is_control() || !self.config.pieces && head.len <= WHOLE_UP_TO;
            if wait_for_all && there < head.len {
                return Ok(self.recv.wait((head.len - there) as usize));
            }
            if head.opcode.is_control() {
                if let Some(event) = self.receive_control(now, &head, head_len, input)? {
                    return Ok(Some(event));
                }
                continue;
            }
            if !self.config.pieces
                && self.recv.message.is_none()
                && head.fin
                && !head.rsv1
                && there >= head.len
            {
                return self.receive_whole(&head, head_len, input).map(Some);
            }
            if let Some(event) = self.begin_frame(&head, head_len, input) {
                return Ok(Some(event));
            }
        }
    }

    fn wrong(&self, reason: Reason, at: usize) -> Error {
        DecodeError { reason, offset: self.recv.offset + at as u64 }.into()
    }

    fn too_much(&self, exceeded: LimitExceeded) -> Error {
        Error::Limit { exceeded, offset: self.recv.offset }
    }

    /// What a head may say here. It is asked again while the frame is incomplete, so nothing is noted.
    fn check(&self, head: &FrameHead) -> Result<(), Error> {
        // RFC 6455 §5.1.
        match (head.mask, self.is_client()) {
            (Some(_), true) => return Err(self.wrong(Reason::MaskUnexpected, 1)),
            (None, false) => return Err(self.wrong(Reason::MaskMissing, 1)),
            _ => {}
        }
        let message = self.recv.message.as_ref();
        match head.opcode {
            Opcode::Close | Opcode::Ping | Opcode::Pong => return Ok(()),
            Opcode::Continuation if message.is_none() => {
                return Err(self.wrong(Reason::ContinuationUnexpected, 0));
            }
            Opcode::Text | Opcode::Binary if message.is_some() => {
                return Err(self.wrong(Reason::ContinuationExpected, 0));
            }
            _ => {}
        }
        // RFC 7692 §6: the bit stands on the first frame of a compressed message, if there is such a thing.
        if head.rsv1 && (!self.recv.may_inflate || message.is_some()) {
            return Err(self.wrong(Reason::ReservedBits, 0));
        }
        let config = &self.config;
        if head.len > config.max_frame_len {
            return Err(self.too_much(LimitExceeded::new("max_frame_len", config.max_frame_len, head.len)));
        }
        let compressed = message.map_or(head.rsv1, |message| message.compressed);
        let len = message.map_or(0, |message| message.len).saturating_add(head.len);
        if !compressed && len > config.max_message_len {
            return Err(self.too_much(LimitExceeded::new("max_message_len", config.max_message_len, len)));
        }
        let fragments = message.map_or(0, |message| message.fragments) + 1;
        if fragments > config.max_fragments {
            let max = u64::from(config.max_fragments);
            return Err(self.too_much(LimitExceeded::more_than("max_fragments", max)));
        }
        Ok(())
    }

    /// A message in one frame, all of it there: without a copy, unless it is short.
    fn receive_whole(
        &mut self,
        head: &FrameHead,
        head_len: usize,
        input: &mut BytesMut,
    ) -> Result<Event, Error> {
        let len = head.len as usize;
        input.advance(head_len);
        let begin = self.recv.offset + head_len as u64;
        if let Some(key) = head.mask {
            mask(key, 0, &mut input[..len]);
        }
        let payload = if len < COPY_BELOW || len < input.capacity() / 4 {
            let copy = Bytes::copy_from_slice(&input[..len]);
            input.advance(len);
            copy
        } else {
            input.split_to(len).freeze()
        };
        let message = if head.opcode == Opcode::Text {
            let invalid = |valid: usize| DecodeError { reason: Reason::Utf8, offset: begin + valid as u64 };
            Message::Text(text(payload).map_err(|valid| Error::from(invalid(valid)))?)
        } else {
            Message::Binary(payload)
        };
        self.recv.offset = begin + head.len;
        self.recv.want = 1;
        Ok(Event::Message(message))
    }

    fn receive_control(
        &mut self,
        now: Instant,
        head: &FrameHead,
        head_len: usize,
        input: &mut BytesMut,
    ) -> Result<Option<Event>, Error> {
        if head.opcode != Opcode::Close {
            self.count_control(now)?;
        }
        let len = head.len as usize;
        input.advance(head_len);
        if let Some(key) = head.mask {
            mask(key, 0, &mut input[..len]);
        }
        let payload = Bytes::copy_from_slice(&input[..len]);
        input.advance(len);
        let event = match head.opcode {
            Opcode::Close => {
                let frame =
                    CloseFrame::decode(payload).map_err(|(reason, at)| self.wrong(reason, head_len + at))?;
                Some(self.receive_close(now, frame))
            }
            Opcode::Ping => {
                self.answer_ping(&payload);
                Some(Event::Ping(payload))
            }
            // The answer to a ping of our own is no news.
            _ if payload[..] == self.life.pings.to_be_bytes() && self.life.pings > 0 => None,
            _ => Some(Event::Pong(payload)),
        };
        self.recv.offset += head_len as u64 + head.len;
        Ok(event)
    }

    /// Counts a ping or pong, by the second.
    fn count_control(&mut self, now: Instant) -> Result<(), Error> {
        let (since, count) = &mut self.recv.controls;
        if now >= *since + Duration::from_secs(1) {
            (*since, *count) = (now, 0);
        }
        *count += 1;
        if *count > self.config.max_controls {
            let max = u64::from(self.config.max_controls);
            return Err(self.too_much(LimitExceeded::more_than("max_controls", max)));
        }
        Ok(())
    }

    /// Takes a head; the payload is taken as it comes.
    fn begin_frame(&mut self, head: &FrameHead, head_len: usize, input: &mut BytesMut) -> Option<Event> {
        let frame_begin = self.recv.offset;
        input.advance(head_len);
        self.recv.offset += head_len as u64;
        self.recv.frame = Some(Partial {
            fin: head.fin,
            key: head.mask,
            begin: self.recv.offset,
            taken: 0,
            left: head.len,
        });
        if let Some(message) = &mut self.recv.message {
            message.fragments += 1;
            message.len_before_frame = message.len;
            return None;
        }
        let kind = if head.opcode == Opcode::Text { MessageKind::Text } else { MessageKind::Binary };
        let mut message = Incoming {
            kind,
            compressed: head.rsv1,
            fragments: 1,
            begin: frame_begin,
            len: 0,
            len_before_frame: 0,
            whole: BytesMut::new(),
            utf8: Utf8::new(),
            held: BytesMut::new(),
            #[cfg(feature = "deflate")]
            inflating: inflate::Inflating::default(),
        };
        if !self.config.pieces && !head.rsv1 {
            message.whole.reserve(head.len.min(RESERVE) as usize);
        }
        self.recv.message = Some(message);
        self.config.pieces.then_some(Event::Begin(kind))
    }

    /// Takes what is there of a frame's payload.
    fn receive_payload(&mut self, input: &mut BytesMut) -> Result<Option<Event>, Error> {
        #[cfg(feature = "deflate")]
        if self.recv.message.as_ref().is_some_and(|message| message.compressed) {
            return self.receive_compressed(input);
        }
        let (Some(frame), Some(message)) = (&mut self.recv.frame, &mut self.recv.message) else {
            return Ok(None);
        };
        let len = frame.left.min(input.len() as u64) as usize;
        if len == 0 && frame.left > 0 {
            return Ok(None);
        }
        let mut piece = input.split_to(len);
        frame.unmask(&mut piece);
        self.recv.offset += len as u64;
        message.len += len as u64;
        let ends = frame.left == 0 && frame.fin;
        let (begin, len_before_frame) = (frame.begin, message.len_before_frame);
        let invalid = |valid: u64| {
            let offset = begin + valid.saturating_sub(len_before_frame);
            Error::from(DecodeError { reason: Reason::Utf8, offset })
        };
        if frame.left == 0 {
            self.recv.frame = None;
        }
        if !self.config.pieces {
            if message.kind == MessageKind::Text {
                let fed = message.utf8.feed(&piece);
                fed.and_then(|()| if ends { message.utf8.end() } else { Ok(()) }).map_err(invalid)?;
            }
            message.whole.extend_from_slice(&piece);
            return Ok(ends.then(|| self.end_message()));
        }
        let (data, checked) = message.take_text(piece, ends);
        let error = checked.err().map(invalid);
        self.tell(data, error, ends)
    }

    /// Tells a piece of a message. What follows it, an error or the end, is told by the next call, for which the frame is kept.
    fn tell(&mut self, data: Bytes, error: Option<Error>, ends: bool) -> Result<Option<Event>, Error> {
        if data.is_empty() {
            return error.map_or_else(|| Ok(ends.then(|| self.end_message())), Err);
        }
        if ends {
            self.recv.frame = Some(Partial { fin: true, key: None, begin: 0, taken: 0, left: 0 });
        }
        self.error = error;
        Ok(Some(Event::Data(data)))
    }

    /// The message is complete, and its text was checked.
    fn end_message(&mut self) -> Event {
        self.recv.frame = None;
        let Some(message) = self.recv.message.take().filter(|_| !self.config.pieces) else {
            return Event::End;
        };
        #[cfg(feature = "deflate")]
        let whole = if message.compressed { message.inflating.into_bytes() } else { message.whole.freeze() };
        #[cfg(not(feature = "deflate"))]
        let whole = message.whole.freeze();
        Event::Message(match message.kind {
            MessageKind::Binary => Message::Binary(whole),
            // Known to be valid: a string of such bytes is made by checking them once more.
            MessageKind::Text => Message::Text(text(whole).unwrap_or_default()),
        })
    }
}

impl Incoming {
    /// The next piece to be told: of text, its complete characters, together with what was held back before. What is invalid, or
    /// incomplete where the message ends, is an error with the number of valid bytes before it; those are told.
    fn take_text(&mut self, piece: BytesMut, ends: bool) -> (Bytes, Result<(), u64>) {
        if self.kind == MessageKind::Binary {
            return (piece.freeze(), Ok(()));
        }
        let mut text = piece;
        if !self.held.is_empty() {
            self.held.extend_from_slice(&text);
            text = core::mem::take(&mut self.held);
        }
        let Err(error) = core::str::from_utf8(&text) else { return (text.freeze(), Ok(())) };
        let rest = text.split_off(error.valid_up_to());
        let invalid = ends || error.error_len().is_some();
        let checked = if invalid { Err(self.len - rest.len() as u64) } else { Ok(()) };
        self.held = BytesMut::from(&rest[..]);
        (text.freeze(), checked)
    }
}

impl Partial {
    /// The next piece of the payload.
    fn unmask(&mut self, piece: &mut [u8]) {
        if let Some(key) = self.key {
            mask(key, self.taken, piece);
        }
        self.taken += piece.len() as u64;
        self.left -= piece.len() as u64;
    }
}

/// Bytes as text; the error says how many of them are valid.
fn text(bytes: Bytes) -> Result<ByteString, usize> {
    ByteString::try_from(bytes).map_err(|error| error.valid_up_to())
}

#[cfg(feature = "deflate")]
mod inflate;
