//! Frames: a length, a code, a body.

use bytes::{Buf, Bytes, BytesMut};

use super::writer::{BLOCK, Writer};
use super::{Code, DecodeError, DecodeReason, Message, Sink};

/// The bytes of the length.
const LENGTH: usize = 4;

/// One message on the wire, its body not yet looked into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Which message it is.
    pub code: Code,
    /// The message.
    pub body: Bytes,
}

/// Cuts frames off the front of the input.
///
/// The length comes first, so there is nothing to scan: an incomplete frame costs one look at four bytes.
#[derive(Clone, Debug)]
pub struct Decoder {
    max_frame_len: u32,
}

impl Decoder {
    /// A decoder that refuses frames of more than `max_frame_len` bytes (code and body) as soon as their length is there.
    pub const fn new(max_frame_len: u32) -> Self {
        Self { max_frame_len }
    }

    /// The length of the frame at the front: code and body. `None` when it is not there yet.
    fn frame_len(&self, input: &[u8]) -> Result<Option<usize>, DecodeError> {
        let Some(length) = input.first_chunk::<LENGTH>() else { return Ok(None) };
        match u32::from_be_bytes(*length) {
            0 => Err(DecodeError { offset: 0, reason: DecodeReason::EmptyFrame }),
            len if len > self.max_frame_len => {
                let reason = DecodeReason::FrameTooLong { len, max: self.max_frame_len };
                Err(DecodeError { offset: 0, reason })
            }
            len => Ok(Some(len as usize)),
        }
    }

    /// The next frame; `None` leaves an incomplete one where it is.
    ///
    /// A frame that is short against the input buffer is copied out of it, so that keeping a small reply does not keep a
    /// large buffer; a long one is split off without a copy.
    pub fn decode(&mut self, input: &mut BytesMut) -> Result<Option<Frame>, DecodeError> {
        let Some(len) = self.frame_len(input)? else { return Ok(None) };
        if input.len() < LENGTH + len {
            return Ok(None);
        }
        input.advance(LENGTH);
        let code = Code(input.get_u8());
        let body = len - 1;
        if body < input.capacity() / 4 {
            let copy = Bytes::copy_from_slice(&input[..body]);
            input.advance(body);
            return Ok(Some(Frame { code, body: copy }));
        }
        Ok(Some(Frame { code, body: input.split_to(body).freeze() }))
    }

    /// True when a whole frame is at the front.
    pub fn is_complete(&self, input: &[u8]) -> bool {
        matches!(self.frame_len(input), Ok(Some(len)) if input.len() >= LENGTH + len)
    }

    /// How many bytes are missing until the frame at the front is complete; at least 1.
    pub fn missing(&self, input: &[u8]) -> usize {
        match self.frame_len(input) {
            Ok(Some(len)) => (LENGTH + len).saturating_sub(input.len()).max(1),
            _ => (LENGTH + 1).saturating_sub(input.len()).max(1),
        }
    }
}

/// Appends `message` in a frame with this code.
///
/// The length has 32 bits; longer messages must have been refused before.
#[inline]
pub fn put_frame<S: Sink>(code: Code, message: &impl Message, out: &mut S) {
    put_frame_of_len(code, message.encoded_len(), message, out);
}

/// The same for who knows how long the message is.
#[inline]
pub(super) fn put_frame_of_len<S: Sink>(code: Code, len: usize, message: &impl Message, out: &mut S) {
    let len = len + 1;
    debug_assert!(u32::try_from(len).is_ok(), "a frame of {len} bytes");
    out.buf().reserve((LENGTH + len + BLOCK).min(RESERVE));
    let mut writer = Writer::new(out);
    writer.fixed((len as u32).to_be_bytes());
    writer.fixed([code.0]);
    message.write(&mut writer);
    writer.finish();
}

/// How much room is made for a frame at once. More comes as it is needed: a long payload may not need any.
const RESERVE: usize = 4096;
