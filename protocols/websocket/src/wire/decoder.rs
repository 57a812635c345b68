//! Whole frames, for those who want no more than that.

use core::fmt;

use bytes::{Buf, Bytes, BytesMut};
use glowplug_core::LimitExceeded;

use super::close::CloseCode;
use super::head::FrameHead;
use super::mask::mask;

/// What is wrong with the bytes that a peer sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// A reserved bit is set without an extension that gives it a meaning (RFC 6455 §5.2).
    ReservedBits,
    /// A reserved opcode (RFC 6455 §5.2).
    ReservedOpcode,
    /// A control frame in fragments (RFC 6455 §5.5).
    ControlFragmented,
    /// A control frame of more than 125 bytes (RFC 6455 §5.5).
    ControlTooLong,
    /// A length in more bytes than it needs (RFC 6455 §5.2).
    LengthNotMinimal,
    /// A length of more than 63 bits (RFC 6455 §5.2).
    LengthTooLong,
    /// A client's frame without a mask (RFC 6455 §5.1).
    MaskMissing,
    /// A server's frame with a mask (RFC 6455 §5.1).
    MaskUnexpected,
    /// A continuation, and no message was begun (RFC 6455 §5.4).
    ContinuationUnexpected,
    /// A new message, and the last one is not complete (RFC 6455 §5.4).
    ContinuationExpected,
    /// Text that is not UTF-8 (RFC 6455 §8.1).
    Utf8,
    /// A close frame with one byte: half a code (RFC 6455 §5.5.1).
    CloseLength,
    /// A code that may not be sent (RFC 6455 §7.4).
    CloseCode(u16),
    /// A compressed message that cannot be decompressed (RFC 7692 §7.2.2).
    Deflate,
    /// A frame is longer than the decoder takes.
    Limit(LimitExceeded),
}

impl Reason {
    /// The code by which a peer is told (RFC 6455 §7.4.1).
    pub const fn close_code(self) -> CloseCode {
        match self {
            Self::Utf8 | Self::Deflate => CloseCode::INVALID_DATA,
            Self::Limit(_) => CloseCode::TOO_BIG,
            _ => CloseCode::PROTOCOL_ERROR,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ReservedBits => "a reserved bit is set",
            Self::ReservedOpcode => "reserved opcode",
            Self::ControlFragmented => "control frame in fragments",
            Self::ControlTooLong => "control frame of more than 125 bytes",
            Self::LengthNotMinimal => "length in more bytes than it needs",
            Self::LengthTooLong => "length of more than 63 bits",
            Self::MaskMissing => "frame of a client without a mask",
            Self::MaskUnexpected => "frame of a server with a mask",
            Self::ContinuationUnexpected => "continuation of nothing",
            Self::ContinuationExpected => "new message before the end of the last",
            Self::Utf8 => "text is not utf-8",
            Self::CloseLength => "close frame with half a code",
            Self::CloseCode(code) => return write!(f, "close code {code} may not be sent"),
            Self::Deflate => "invalid compressed data",
            Self::Limit(exceeded) => return exceeded.fmt(f),
        })
    }
}

/// What is wrong, and where: the offset counts the bytes of the connection since its handshake. Of compressed messages it is the
/// offset of their first frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DecodeError {
    /// What is wrong.
    pub reason: Reason,
    /// Where, in bytes from the first frame on.
    pub offset: u64,
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}", self.reason, self.offset)
    }
}

impl core::error::Error for DecodeError {}

/// A whole frame, unmasked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// As it came, the masking key included.
    pub head: FrameHead,
    /// Unmasked; a slice of the input.
    pub payload: Bytes,
}

/// Takes whole frames off the front of a buffer: for proxies and capture tools. Messages, rules about their order and text
/// are [`Connection`](crate::Connection)'s business.
///
/// ```
/// use bytes::BytesMut;
/// use glowplug_websocket::wire::{FrameDecoder, Opcode};
///
/// let mut input = BytesMut::from(&b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58\x89"[..]);
/// let mut decoder = FrameDecoder::new(1 << 20);
/// let frame = decoder.decode(&mut input)?.expect("the first frame is whole");
/// assert_eq!((frame.head.opcode, &frame.payload[..]), (Opcode::Text, &b"Hello"[..]));
/// assert!(decoder.decode(&mut input)?.is_none(), "the second is not, and stays where it is");
/// # Ok::<(), glowplug_websocket::DecodeError>(())
/// ```
#[derive(Clone, Debug)]
pub struct FrameDecoder {
    max_frame_len: u64,
    offset: u64,
}

impl FrameDecoder {
    /// A decoder that takes frames with up to `max_frame_len` bytes of payload.
    pub const fn new(max_frame_len: u64) -> Self {
        Self { max_frame_len, offset: 0 }
    }

    /// The next frame. `None` leaves an incomplete one where it is. After an error the decoder is not to be used any more.
    pub fn decode(&mut self, input: &mut BytesMut) -> Result<Option<Frame>, DecodeError> {
        let at = |reason, offset: usize| DecodeError { reason, offset: self.offset + offset as u64 };
        let decoded = FrameHead::decode(input).map_err(|(reason, offset)| at(reason, offset))?;
        let Some((head, head_len)) = decoded else { return Ok(None) };
        if head.len > self.max_frame_len {
            let exceeded = LimitExceeded::new("max_frame_len", self.max_frame_len, head.len);
            return Err(at(Reason::Limit(exceeded), 0));
        }
        let len = usize::try_from(head.len).unwrap_or(usize::MAX);
        if input.len() - head_len < len {
            return Ok(None);
        }
        input.advance(head_len);
        let mut payload = input.split_to(len);
        if let Some(key) = head.mask {
            mask(key, 0, &mut payload);
        }
        self.offset += head_len as u64 + head.len;
        Ok(Some(Frame { head, payload: payload.freeze() }))
    }
}

/// Appends a frame to `out`: the head, and the payload masked by its key. The head's length is taken from the payload.
pub fn encode(head: FrameHead, payload: &[u8], out: &mut BytesMut) {
    let head = FrameHead { len: payload.len() as u64, ..head };
    let (bytes, len) = head.encode();
    out.reserve(len + payload.len());
    out.extend_from_slice(&bytes[..len]);
    let begin = out.len();
    out.extend_from_slice(payload);
    if let Some(key) = head.mask {
        mask(key, 0, &mut out[begin..]);
    }
}
