//! What the machines tell.

use core::fmt;

use bytes::Bytes;

use crate::{Error, Fields, RequestHead, ResponseHead};

/// One exchange on one connection: a request and its answer.
///
/// HTTP/1.1 has one at a time, numbered from 1; the name is there so that HTTP/2 can have the same verbs. The default is nobody's name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(pub(crate) u64);

impl StreamId {
    /// The number, counted from 1 on each connection.
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "stream {}", self.0)
    }
}

/// How long a body is, as far as its head says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyLength {
    /// There is none: no data, and the message ends with its head.
    Empty,
    /// So many bytes.
    Known(u64),
    /// As it comes: chunked, or (answers only) until the connection closes.
    Unknown,
}

/// What the server half tells.
#[derive(Debug)]
#[non_exhaustive]
#[allow(clippy::large_enum_variant, reason = "boxing heads would cost an allocation for each request")]
pub enum ServerEvent {
    /// A request has begun. It is answered with `send_head`. Its end is told by [`End`](Self::End), also when there is
    /// no body, unless its answer was complete before.
    Request {
        /// Its name from now on.
        stream: StreamId,
        /// Method, target and fields.
        head: RequestHead,
        /// What follows.
        body: BodyLength,
        /// The client waits for `send_continue`, or for the final answer, before it sends the body.
        expects_continue: bool,
    },
    /// A piece of the request's body, which has used up as much credit as it is long.
    Data {
        /// Of which request.
        stream: StreamId,
        /// Never empty.
        data: Bytes,
    },
    /// The extensions of the next chunk, without the first semicolon; only when the configuration asks for them.
    ChunkExtensions {
        /// Of which request.
        stream: StreamId,
        /// As they came; the grammar of RFC 9112 §7.1.1 was checked.
        extensions: Bytes,
    },
    /// The request is complete.
    End {
        /// Which request.
        stream: StreamId,
        /// What came behind a chunked body. Never to be merged into the head unread (RFC 9110 §6.5.1).
        trailers: Option<Box<Fields>>,
    },
    /// The connection now speaks another protocol, as this request's `CONNECT` or `Upgrade` asked and the application's
    /// answer granted. All output of this machine was handed over; what is left in the input belongs to the other
    /// protocol. This is the last event.
    Upgraded {
        /// Which request.
        stream: StreamId,
    },
    /// The client will send no more; it may have gone, or merely wait for the answer to the request that it has sent
    /// in full. Told once at most, and only while an answer is due.
    PeerClosed {
        /// The request that is being answered.
        stream: StreamId,
    },
    /// The request cannot be read on. If its answer had not begun, the machine has given the answer itself, with the
    /// status that the error names; either way the connection closes. The stream is over for the application.
    Refused {
        /// The request, or (when its head was never told) the name that it would have had.
        stream: StreamId,
        /// What is wrong with it.
        error: Error,
    },
}

/// What the client half tells.
#[derive(Debug)]
#[non_exhaustive]
#[allow(clippy::large_enum_variant, reason = "boxing heads would cost an allocation for each answer")]
pub enum ClientEvent {
    /// An informational answer (1xx other than 101): the final one is still to come.
    Informational {
        /// To which request.
        stream: StreamId,
        /// Status and fields.
        head: ResponseHead,
    },
    /// The final answer has begun. Its end is told by [`End`](Self::End), also when there is no body, unless
    /// [`Upgraded`](Self::Upgraded) follows.
    Response {
        /// To which request.
        stream: StreamId,
        /// Status and fields.
        head: ResponseHead,
        /// What follows.
        body: BodyLength,
    },
    /// A piece of the answer's body, which has used up as much credit as it is long.
    Data {
        /// Of which exchange.
        stream: StreamId,
        /// Never empty.
        data: Bytes,
    },
    /// The extensions of the next chunk, without the first semicolon; only when the configuration asks for them.
    ChunkExtensions {
        /// Of which exchange.
        stream: StreamId,
        /// As they came; the grammar of RFC 9112 §7.1.1 was checked.
        extensions: Bytes,
    },
    /// The answer is complete, and so is the exchange.
    End {
        /// Which exchange.
        stream: StreamId,
        /// What came behind a chunked body. Never to be merged into the head unread (RFC 9110 §6.5.1).
        trailers: Option<Box<Fields>>,
    },
    /// The connection now speaks another protocol, as the request asked. All output of this machine was handed over;
    /// what is left in the input belongs to the other protocol. This is the last event.
    Upgraded {
        /// Which request.
        stream: StreamId,
    },
}
