//! Whole messages cut off a stream.

use core::fmt;

use bytes::{BufMut, Bytes, BytesMut};
use glowplug_core::keep;

use super::{Message, Section};
use crate::bson::Doc;
use crate::error::{DecodeError, Reason};

/// Bytes in front of every message.
pub const HEADER_LEN: usize = 16;

/// The number of an operation.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OpCode(pub i32);

impl OpCode {
    /// OP_REPLY.
    pub const REPLY: Self = Self(1);
    /// OP_UPDATE.
    pub const UPDATE: Self = Self(2001);
    /// OP_INSERT.
    pub const INSERT: Self = Self(2002);
    /// OP_QUERY.
    pub const QUERY: Self = Self(2004);
    /// OP_GET_MORE.
    pub const GET_MORE: Self = Self(2005);
    /// OP_DELETE.
    pub const DELETE: Self = Self(2006);
    /// OP_KILL_CURSORS.
    pub const KILL_CURSORS: Self = Self(2007);
    /// OP_COMPRESSED.
    pub const COMPRESSED: Self = Self(2012);
    /// OP_MSG.
    pub const MSG: Self = Self(2013);
}

impl fmt::Display for OpCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match *self {
            Self::REPLY => "OP_REPLY",
            Self::UPDATE => "OP_UPDATE",
            Self::INSERT => "OP_INSERT",
            Self::QUERY => "OP_QUERY",
            Self::GET_MORE => "OP_GET_MORE",
            Self::DELETE => "OP_DELETE",
            Self::KILL_CURSORS => "OP_KILL_CURSORS",
            Self::COMPRESSED => "OP_COMPRESSED",
            Self::MSG => "OP_MSG",
            Self(code) => return write!(f, "operation {code}"),
        })
    }
}

impl fmt::Debug for OpCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What stands in front of every message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The whole message, header included, in bytes.
    pub message_length: i32,
    /// The sender's name for this message.
    pub request_id: i32,
    /// In a reply, the request's name; else 0.
    pub response_to: i32,
    /// What the body is.
    pub op_code: OpCode,
}

impl Header {
    /// Reads a header.
    pub fn decode(bytes: &[u8; HEADER_LEN]) -> Self {
        let field = |at: usize| i32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        Self {
            message_length: field(0),
            request_id: field(4),
            response_to: field(8),
            op_code: OpCode(field(12)),
        }
    }

    /// Appends the header.
    pub fn encode(&self, out: &mut BytesMut) {
        for field in [self.message_length, self.request_id, self.response_to, self.op_code.0] {
            out.put_i32_le(field);
        }
    }
}

/// Cuts whole messages off the front of a buffer.
///
/// A message's length stands in its first four bytes, so an incomplete one costs one look per call however slowly it comes,
/// and one that is too long is refused before any of its body is awaited.
#[derive(Clone, Copy, Debug)]
pub struct Decoder {
    max_message_len: usize,
}

impl Decoder {
    /// A decoder that refuses messages longer than `max_message_len` bytes, header included.
    pub const fn new(max_message_len: usize) -> Self {
        Self { max_message_len }
    }

    /// The limit on a message's length.
    pub const fn max_message_len(&self) -> usize {
        self.max_message_len
    }

    /// The message at the front of `input`, taken off; `None` leaves an incomplete one in place.
    pub fn decode(&mut self, input: &mut BytesMut) -> Result<Option<Frame>, DecodeError> {
        let Some(len) = self.frame_len(input)? else { return Ok(None) };
        if input.len() < len {
            return Ok(None);
        }
        let holder = input.capacity();
        Ok(Some(Frame { bytes: keep(input.split_to(len).freeze(), holder) }))
    }

    /// How many more bytes the message at the front of `input` needs; at least 1, and 0 only when it is complete.
    pub fn missing(&self, input: &BytesMut) -> Result<usize, DecodeError> {
        let len = self.frame_len(input)?.unwrap_or(HEADER_LEN);
        Ok(len.saturating_sub(input.len()))
    }

    fn frame_len(self, input: &BytesMut) -> Result<Option<usize>, DecodeError> {
        let Some(len) = input.first_chunk() else { return Ok(None) };
        match usize::try_from(i32::from_le_bytes(*len)) {
            Ok(len) if len < HEADER_LEN => Err(DecodeError::new(0, Reason::BadLength)),
            Ok(len) if len > self.max_message_len => Err(DecodeError::new(0, Reason::TooLong)),
            Ok(len) => Ok(Some(len)),
            Err(_) => Err(DecodeError::new(0, Reason::BadLength)),
        }
    }
}

/// One whole message as it came.
#[derive(Clone, PartialEq, Eq)]
pub struct Frame {
    /// At least a header, and as long as the header says.
    bytes: Bytes,
}

impl Frame {
    /// The message that is exactly `bytes`.
    pub fn new(bytes: Bytes) -> Result<Self, DecodeError> {
        let len = bytes.first_chunk().map(|len| i32::from_le_bytes(*len));
        match len.map(usize::try_from) {
            Some(Ok(len)) if len >= HEADER_LEN && len == bytes.len() => Ok(Self { bytes }),
            Some(Ok(len)) if len >= HEADER_LEN && len > bytes.len() => {
                Err(DecodeError::new(bytes.len(), Reason::Truncated))
            }
            Some(Ok(len)) if len >= HEADER_LEN => Err(DecodeError::new(len, Reason::TrailingBytes)),
            Some(_) => Err(DecodeError::new(0, Reason::BadLength)),
            None => Err(DecodeError::new(bytes.len(), Reason::Truncated)),
        }
    }

    /// The header.
    pub fn header(&self) -> Header {
        let mut header = [0; HEADER_LEN];
        header.copy_from_slice(&self.bytes[..HEADER_LEN]);
        Header::decode(&header)
    }

    /// The whole message, header included.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Reads what is inside. Offsets in errors count from the header's first byte.
    pub fn message(&self) -> Result<Message, DecodeError> {
        Message::decode(self)
    }

    /// Like [`message`](Self::message), with a compressed message already decompressed, to at most `max_message_len` bytes;
    /// and which compressor it was.
    pub fn uncompressed(
        &self,
        max_message_len: usize,
    ) -> Result<(Message, Option<super::Compressor>), DecodeError> {
        match self.message()? {
            Message::Compressed(compressed) => {
                let inner = compressed.decompress(self.header(), max_message_len)?;
                Ok((inner.message()?, compressed.compressor()))
            }
            message => Ok((message, None)),
        }
    }
}

/// One readable line: ids, operation, and what it says; a malformed message shows its error.
impl fmt::Display for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let header = self.header();
        write!(f, "#{}", header.request_id)?;
        if header.response_to != 0 {
            write!(f, " to #{}", header.response_to)?;
        }
        write!(f, " {}", header.op_code)?;
        let docs = |f: &mut fmt::Formatter<'_>, bytes: &Bytes| {
            super::read::docs(bytes).try_for_each(|doc: Doc<'_>| write!(f, " {doc}"))
        };
        match self.uncompressed(64 << 20) {
            Ok((message, compressor)) => {
                if let Some(compressor) = compressor {
                    write!(f, " ({})", compressor.name())?;
                }
                match message {
                    Message::Msg(message) => {
                        write!(f, " {}", message.body())?;
                        message.sections().try_for_each(|section| match section {
                            Section::Body(_) => Ok(()),
                            Section::Sequence(sequence) => {
                                write!(f, " {}[{}]", sequence.identifier(), sequence.docs().count())
                            }
                        })
                    }
                    Message::Query(query) => write!(f, " {} {}", query.collection, query.query),
                    Message::Reply(reply) => docs(f, &reply.documents),
                    Message::Insert(insert) => {
                        write!(f, " {}", insert.collection)?;
                        docs(f, &insert.documents)
                    }
                    Message::Update(update) => {
                        write!(f, " {} {} {}", update.collection, update.selector, update.update)
                    }
                    Message::Delete(delete) => write!(f, " {} {}", delete.collection, delete.selector),
                    Message::GetMore(more) => write!(f, " {} cursor {}", more.collection, more.cursor_id),
                    Message::KillCursors(kill) => write!(f, " cursors {:?}", kill.cursor_ids),
                    Message::Compressed(_) => Ok(()),
                }
            }
            Err(error) => write!(f, " malformed: {error}"),
        }
    }
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
