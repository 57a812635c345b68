//! The server's end of one connection: requests in any format come out, replies go in.
//!
//! It answers for test doubles, proxies and real servers alike, and knows no command: what a request means is the
//! application's business.

use std::collections::VecDeque;

use bytes::{BufMut, BytesMut};
use glowplug_core::{Instant, Interest, ReadInterest, SendBuf, StreamProtocol, WriteInterest};

use crate::bson::{Doc, RawDocument};
use crate::config::Limits;
use crate::error::{Error, PeerError};
use crate::wire::{
    Compressor, Decoder, HEADER_LEN, Header, Message, MsgFlags, OpCode, OpMsg, OpReply, encode,
};

/// The server's end of one connection.
///
/// Requests wait for their replies in any order; a connection with too many of them, or with too much output that its peer
/// does not read, reads no further.
#[derive(Debug)]
pub struct ServerConnection {
    limits: Limits,
    decoder: Decoder,
    pending: VecDeque<Pending>,
    next_handle: u64,
    next_request_id: i32,
    /// Whole messages that wait to be sent.
    output: VecDeque<bytes::Bytes>,
    output_bytes: usize,
    eof: bool,
    closing: bool,
    over: bool,
    missing: usize,
}

/// A request that was not answered yet.
#[derive(Debug)]
struct Pending {
    handle: RequestHandle,
    /// What the next reply answers to.
    response_to: i32,
    legacy: bool,
    compressor: Option<Compressor>,
    streams: bool,
}

/// The application's name for a request that it has to answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestHandle(u64);

/// One request as it came, decompressed.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// What to answer by; `None` when no answer is wanted.
    pub handle: Option<RequestHandle>,
    /// The client's id for it.
    pub request_id: i32,
    /// The compressor it came with; replies go back with the same.
    pub compressor: Option<Compressor>,
    /// The message itself: OP_MSG, or one of the old requests.
    pub message: Message,
}

impl Request {
    /// The command's document: of an OP_MSG, or of an OP_QUERY to `$cmd`. A `$query` wrapper is taken off.
    pub fn command(&self) -> Option<Doc<'_>> {
        match &self.message {
            Message::Msg(message) => Some(message.body()),
            Message::Query(query) if query.command_database().is_some() => {
                let doc = query.query.as_doc();
                Some(doc.get_doc("$query").unwrap_or(doc))
            }
            _ => None,
        }
    }

    /// The command's database.
    pub fn database(&self) -> Option<&str> {
        match &self.message {
            Message::Msg(message) => message.body().get_str("$db"),
            Message::Query(query) => query.command_database(),
            _ => None,
        }
    }

    /// True when the client takes several replies to this request.
    pub fn allows_stream(&self) -> bool {
        matches!(&self.message, Message::Msg(message) if message.flags.contains(MsgFlags::EXHAUST_ALLOWED))
    }
}

/// A reply that has no request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReplyError {
    /// No such request waits; it was answered already, or the connection is over. The document comes back.
    NotWaiting(RawDocument),
    /// More replies were announced to a request that allows only one.
    NoStream(RawDocument),
}

impl core::fmt::Display for ReplyError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::NotWaiting(_) => "no such request waits for a reply",
            Self::NoStream(_) => "the request allows one reply only",
        })
    }
}

impl std::error::Error for ReplyError {}

impl ServerConnection {
    /// A connection that waits for its first request.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            decoder: Decoder::new(limits.max_message_len()),
            pending: VecDeque::new(),
            next_handle: 0,
            next_request_id: 0,
            output: VecDeque::new(),
            output_bytes: 0,
            eof: false,
            closing: false,
            over: false,
            missing: 1,
        }
    }

    /// Answers a request for good.
    pub fn reply(&mut self, handle: RequestHandle, document: RawDocument) -> Result<(), ReplyError> {
        self.respond(handle, document, false)
    }

    /// Answers a request, with more replies to come. Only where [`Request::allows_stream`].
    pub fn reply_more(&mut self, handle: RequestHandle, document: RawDocument) -> Result<(), ReplyError> {
        self.respond(handle, document, true)
    }

    /// Forgets a request: its client gets no answer.
    pub fn drop_request(&mut self, handle: RequestHandle) {
        self.pending.retain(|pending| pending.handle != handle);
        self.close_if_done();
    }

    /// Requests that wait for their replies.
    pub fn pending(&self) -> usize {
        self.pending.len()
    }

    fn respond(
        &mut self,
        handle: RequestHandle,
        document: RawDocument,
        more: bool,
    ) -> Result<(), ReplyError> {
        let Some(position) = self.pending.iter().position(|pending| pending.handle == handle) else {
            return Err(ReplyError::NotWaiting(document));
        };
        if self.over {
            return Err(ReplyError::NotWaiting(document));
        }
        self.next_request_id = self.next_request_id.wrapping_add(1) & i32::MAX;
        let request_id = self.next_request_id;
        let pending = &mut self.pending[position];
        if more && !pending.streams {
            return Err(ReplyError::NoStream(document));
        }
        let message = if pending.legacy {
            Message::Reply(OpReply::of_command(document))
        } else {
            let flags = if more { MsgFlags::MORE_TO_COME } else { MsgFlags::NONE };
            Message::Msg(OpMsg::new(flags, document.as_doc()))
        };
        let mut out = BytesMut::with_capacity(HEADER_LEN + 64);
        encode(&message, request_id, pending.response_to, &mut out);
        if let Some(compressed) = pending.compressor.and_then(|compressor| compress(compressor, &out)) {
            out = compressed;
        }
        pending.response_to = request_id;
        if !more {
            self.pending.remove(position);
        }
        self.output_bytes += out.len();
        self.output.push_back(out.freeze());
        Ok(())
    }

    fn handle_frame(&mut self, frame: &crate::wire::Frame) -> Result<Request, Error> {
        let (message, compressor) = frame.uncompressed(self.limits.max_message_len())?;
        let request_id = frame.header().request_id;
        let (answers, legacy, streams) = match &message {
            Message::Msg(message) => {
                let wants_none = message.flags.contains(MsgFlags::MORE_TO_COME);
                (!wants_none, false, message.flags.contains(MsgFlags::EXHAUST_ALLOWED))
            }
            Message::Query(_) | Message::GetMore(_) => (true, true, false),
            Message::Insert(_) | Message::Update(_) | Message::Delete(_) | Message::KillCursors(_) => {
                (false, true, false)
            }
            other => return Err(Error::Peer(PeerError::UnexpectedMessage(other.op_code()))),
        };
        let handle = answers.then(|| {
            self.next_handle += 1;
            let handle = RequestHandle(self.next_handle);
            self.pending.push_back(Pending { handle, response_to: request_id, legacy, compressor, streams });
            handle
        });
        Ok(Request { handle, request_id, compressor, message })
    }

    fn is_full(&self) -> bool {
        self.pending.len() >= self.limits.max_in_flight()
            || self.output_bytes >= self.limits.max_queued_bytes()
    }

    fn close_if_done(&mut self) {
        if self.closing && self.pending.is_empty() && self.output.is_empty() {
            self.over = true;
        }
    }
}

/// The whole message `plain`, compressed.
fn compress(compressor: Compressor, plain: &BytesMut) -> Option<BytesMut> {
    let mut header = [0; HEADER_LEN];
    header.copy_from_slice(&plain[..HEADER_LEN]);
    let header = Header::decode(&header);
    let data = compressor.compress(&plain[HEADER_LEN..], -1)?;
    let len = HEADER_LEN + 9 + data.len();
    let mut out = BytesMut::with_capacity(len);
    Header { message_length: len as i32, op_code: OpCode::COMPRESSED, ..header }.encode(&mut out);
    out.put_i32_le(header.op_code.0);
    out.put_i32_le((plain.len() - HEADER_LEN) as i32);
    out.put_u8(compressor.id());
    out.put_slice(&data);
    Some(out)
}

impl StreamProtocol for ServerConnection {
    type Event = Request;
    type Error = Error;

    fn poll_event(&mut self, _: Instant, input: &mut BytesMut) -> Result<Option<Request>, Error> {
        if self.over || self.closing || self.is_full() {
            return Ok(None);
        }
        let result = match self.decoder.decode(input) {
            Ok(Some(frame)) => self.handle_frame(&frame).map(Some),
            Ok(None) if self.eof && input.is_empty() => {
                // The client is gone or has half-closed: what was asked is still answered.
                self.closing = true;
                self.close_if_done();
                Ok(None)
            }
            Ok(None) if self.eof => Err(Error::UnexpectedEof),
            Ok(None) => {
                self.missing = self.decoder.missing(input).map_or(1, |missing| missing.max(1));
                Ok(None)
            }
            Err(error) => Err(error.into()),
        };
        self.over |= result.is_err();
        result
    }

    fn poll_transmit(&mut self, _: Instant, out: &mut SendBuf) {
        while out.has_room()
            && let Some(message) = self.output.pop_front()
        {
            self.output_bytes -= message.len();
            out.push(message);
        }
        self.close_if_done();
    }

    fn poll_timeout(&self) -> Option<Instant> {
        None
    }

    fn handle_timeout(&mut self, _: Instant) {}

    fn handle_eof(&mut self, _: Instant) {
        self.eof = true;
    }

    fn close(&mut self, _: Instant) {
        self.closing = true;
        self.close_if_done();
    }

    fn interest(&self) -> Interest {
        let write =
            if self.over && self.output.is_empty() { WriteInterest::Closed } else { WriteInterest::Open };
        let read = if self.over || self.closing {
            ReadInterest::Closed
        } else if self.is_full() {
            ReadInterest::Paused
        } else {
            ReadInterest::Want(self.missing)
        };
        Interest { read, write }
    }
}
