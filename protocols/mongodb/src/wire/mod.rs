//! Messages on the wire, in both directions.
//!
//! [`Decoder`] cuts whole messages off a stream as [`Frame`]s; [`Frame::message`] reads one as a [`Message`];
//! [`encode`] writes one. A frame keeps its bytes, so a proxy forwards what it read, and decoding borrows from them:
//! documents are slices, not copies.
//!
//! ```text
//! header: length i32 | request id i32 | response to i32 | op code i32     all little-endian
//! OP_MSG: flags u32 | sections.. | crc32c u32 when flag bit 0 is set
//!   kind 0: 0 | document          kind 1: 1 | size i32 | identifier cstring | documents..
//! ```
//!
//! See the "MongoDB Wire Protocol" chapter of the server's manual and the specifications "OP_MSG" and "OP_COMPRESSED".

mod compress;
mod frame;
mod legacy;
mod op_msg;
mod read;

#[cfg(test)]
mod tests;

use bytes::{BufMut, BytesMut};

pub use compress::{Compressor, OpCompressed};
pub use frame::{Decoder, Frame, HEADER_LEN, Header, OpCode};
pub use legacy::{
    DeleteFlags, InsertFlags, OpDelete, OpGetMore, OpInsert, OpKillCursors, OpQuery, OpReply, OpUpdate,
    QueryFlags, ReplyFlags, UpdateFlags,
};
pub use op_msg::{MsgFlags, OpMsg, Section, Sections, Sequence};

use crate::error::DecodeError;

/// What one frame holds.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Message {
    /// A command or its reply, since MongoDB 3.6.
    Msg(OpMsg),
    /// Another message, compressed.
    Compressed(OpCompressed),
    /// A query; commands come so in handshakes and from old clients.
    Query(OpQuery),
    /// The reply to a query or a get-more.
    Reply(OpReply),
    /// Documents to insert. Gone since MongoDB 5.1, like the four below.
    Insert(OpInsert),
    /// A change to documents.
    Update(OpUpdate),
    /// Documents to delete.
    Delete(OpDelete),
    /// The next batch of a cursor.
    GetMore(OpGetMore),
    /// Cursors that are no longer wanted.
    KillCursors(OpKillCursors),
}

impl Message {
    /// The operation's number.
    pub fn op_code(&self) -> OpCode {
        match self {
            Self::Msg(_) => OpCode::MSG,
            Self::Compressed(_) => OpCode::COMPRESSED,
            Self::Query(_) => OpCode::QUERY,
            Self::Reply(_) => OpCode::REPLY,
            Self::Insert(_) => OpCode::INSERT,
            Self::Update(_) => OpCode::UPDATE,
            Self::Delete(_) => OpCode::DELETE,
            Self::GetMore(_) => OpCode::GET_MORE,
            Self::KillCursors(_) => OpCode::KILL_CURSORS,
        }
    }

    fn decode(frame: &Frame) -> Result<Self, DecodeError> {
        Ok(match frame.header().op_code {
            OpCode::MSG => Self::Msg(OpMsg::decode(frame)?),
            OpCode::COMPRESSED => Self::Compressed(OpCompressed::decode(frame)?),
            OpCode::QUERY => Self::Query(OpQuery::decode(frame)?),
            OpCode::REPLY => Self::Reply(OpReply::decode(frame)?),
            OpCode::INSERT => Self::Insert(OpInsert::decode(frame)?),
            OpCode::UPDATE => Self::Update(OpUpdate::decode(frame)?),
            OpCode::DELETE => Self::Delete(OpDelete::decode(frame)?),
            OpCode::GET_MORE => Self::GetMore(OpGetMore::decode(frame)?),
            OpCode::KILL_CURSORS => Self::KillCursors(OpKillCursors::decode(frame)?),
            OpCode(code) => return Err(DecodeError::new(12, crate::error::Reason::UnknownOpCode(code))),
        })
    }
}

/// Appends a whole message, header included. A checksum, where the flags ask for one, is computed.
pub fn encode(message: &Message, request_id: i32, response_to: i32, out: &mut BytesMut) {
    let start = out.len();
    let header = Header { message_length: 0, request_id, response_to, op_code: message.op_code() };
    header.encode(out);
    match message {
        Message::Msg(message) => message.encode_body(out),
        Message::Compressed(message) => message.encode_body(out),
        Message::Query(message) => message.encode_body(out),
        Message::Reply(message) => message.encode_body(out),
        Message::Insert(message) => message.encode_body(out),
        Message::Update(message) => message.encode_body(out),
        Message::Delete(message) => message.encode_body(out),
        Message::GetMore(message) => message.encode_body(out),
        Message::KillCursors(message) => message.encode_body(out),
    }
    let checksum =
        matches!(message, Message::Msg(message) if message.flags.contains(MsgFlags::CHECKSUM_PRESENT));
    let len = out.len() - start + if checksum { 4 } else { 0 };
    // A message that is too long for its length field has been refused by whoever made it.
    out[start..start + 4].copy_from_slice(&(len as u32).to_le_bytes());
    if checksum {
        let crc = crc32c::crc32c(&out[start..]);
        out.put_u32_le(crc);
    }
}
