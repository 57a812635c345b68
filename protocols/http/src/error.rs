//! What can go wrong: bytes that make no sense ([`DecodeError`]), a connection that is over ([`Error`]), and calls that
//! came at the wrong moment (one type for each group of methods).

use core::fmt;

use bytes::Bytes;
use glowplug_core::LimitExceeded;
use http::StatusCode;

/// Why bytes are not a valid message, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecodeError {
    /// Offset of the offending byte, counted from the start of the head, of the chunk-size line or of the trailer
    /// section in which it stands. Where a field as a whole is wrong, the start of its line; where the head as a
    /// whole is, 0.
    pub offset: usize,
    /// What is wrong.
    pub reason: Reason,
}

/// What is wrong with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// The first byte cannot begin a message: most often TLS, or another protocol altogether.
    NotHttp,
    /// The method is not a token, or does not end in one space.
    Method,
    /// The request target has a byte that no target may have, or none of the four forms of RFC 9112 §3.2 fits it.
    Target,
    /// Not HTTP/1.0 or HTTP/1.1, though a version of HTTP.
    Version,
    /// The first line is not one of HTTP.
    StartLine,
    /// The status code is not three digits from 100 on, or the reason phrase has a control character.
    Status,
    /// A field name is empty, is not a token, or is followed by white space; or a line is folded.
    FieldName,
    /// A field value has a control character.
    FieldValue,
    /// A carriage return without a line feed, or a line feed without a carriage return.
    LineEnd,
    /// An HTTP/1.1 request without `Host`.
    HostMissing,
    /// More than one `Host`.
    HostRepeated,
    /// The value of `Host` cannot be a host and port.
    HostInvalid,
    /// `Content-Length` is not a decimal number that fits in 64 bits.
    ContentLength,
    /// More than one `Content-Length`.
    ContentLengthRepeated,
    /// `Content-Length` beside `Transfer-Encoding`.
    ContentLengthAndTransferEncoding,
    /// `Transfer-Encoding` in a message of HTTP/1.0.
    TransferEncodingInHttp10,
    /// `Transfer-Encoding` does not end in `chunked`, or applies it twice.
    TransferEncoding,
    /// A transfer coding other than `chunked`.
    TransferCodingUnknown,
    /// A `CONNECT` request with a body.
    ConnectWithBody,
    /// A chunk size is not a hexadecimal number that fits in 64 bits, or its line is malformed.
    ChunkSize,
    /// A chunk extension is malformed.
    ChunkExtension,
    /// No line end behind a chunk's data.
    ChunkEnd,
    /// A trailer that may only stand in a head: it frames or routes the message (RFC 9110 §6.5.1).
    TrailerForbidden,
    /// A 101 response to a request that asked for no upgrade.
    UnexpectedUpgrade,
    /// The server sent something while no request was waiting for an answer.
    UnexpectedData,
}

impl Reason {
    /// The status with which a server refuses a request for this reason.
    pub fn status(self) -> StatusCode {
        match self {
            Self::Version => StatusCode::HTTP_VERSION_NOT_SUPPORTED,
            Self::TransferCodingUnknown => StatusCode::NOT_IMPLEMENTED,
            _ => StatusCode::BAD_REQUEST,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotHttp => "this is not HTTP",
            Self::Method => "invalid method",
            Self::Target => "invalid request target",
            Self::Version => "unsupported version of HTTP",
            Self::StartLine => "invalid first line",
            Self::Status => "invalid status",
            Self::FieldName => "invalid field name",
            Self::FieldValue => "invalid field value",
            Self::LineEnd => "invalid line end",
            Self::HostMissing => "no host",
            Self::HostRepeated => "more than one host",
            Self::HostInvalid => "invalid host",
            Self::ContentLength => "invalid content-length",
            Self::ContentLengthRepeated => "more than one content-length",
            Self::ContentLengthAndTransferEncoding => "both content-length and transfer-encoding",
            Self::TransferEncodingInHttp10 => "transfer-encoding in a message of HTTP/1.0",
            Self::TransferEncoding => "invalid transfer-encoding",
            Self::TransferCodingUnknown => "unknown transfer coding",
            Self::ConnectWithBody => "connect with a body",
            Self::ChunkSize => "invalid chunk size",
            Self::ChunkExtension => "invalid chunk extension",
            Self::ChunkEnd => "no line end behind a chunk",
            Self::TrailerForbidden => "a field that is no trailer",
            Self::UnexpectedUpgrade => "an upgrade that was not asked for",
            Self::UnexpectedData => "data that no request asked for",
        })
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}", self.reason, self.offset)
    }
}

impl core::error::Error for DecodeError {}

/// Which part of an exchange something happened in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Phase {
    /// Between two exchanges.
    Idle,
    /// Waiting for a head, or in the midst of one.
    Head,
    /// In the midst of a body.
    Body,
    /// Everything is sent; late input is read and thrown away.
    Linger,
    /// Waiting for `100 Continue`.
    Continue,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Idle => "between two exchanges",
            Self::Head => "in a message head",
            Self::Body => "in a message body",
            Self::Linger => "after the last answer",
            Self::Continue => "while waiting to continue",
        })
    }
}

/// Why a connection is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The peer sent bytes that are not valid HTTP.
    Peer(DecodeError),
    /// The peer sent more than the limits allow.
    Limit(LimitExceeded),
    /// The peer stopped sending in the midst of a message.
    UnexpectedEof(Phase),
    /// The peer took too long.
    TimedOut(Phase),
    /// The application gave up a message that was partly sent: the transport has to be reset rather than closed, so
    /// that the peer does not take what it has for the whole.
    Aborted,
}

impl Error {
    pub(crate) const fn peer(offset: usize, reason: Reason) -> Self {
        Self::Peer(DecodeError { offset, reason })
    }

    /// The status with which a server refuses a request that failed like this.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Peer(error) => error.reason.status(),
            Self::Limit(exceeded) => match exceeded.limit {
                "max_start_line_len" => StatusCode::URI_TOO_LONG,
                "max_head_len" | "max_fields" | "max_trailer_len" => {
                    StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE
                }
                "max_body_len" => StatusCode::PAYLOAD_TOO_LARGE,
                _ => StatusCode::BAD_REQUEST,
            },
            Self::TimedOut(_) => StatusCode::REQUEST_TIMEOUT,
            Self::UnexpectedEof(_) => StatusCode::BAD_REQUEST,
            Self::Aborted => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Peer(_) => f.write_str("the peer sent invalid HTTP"),
            Self::Limit(_) => f.write_str("the peer exceeded a limit"),
            Self::UnexpectedEof(phase) => write!(f, "the peer closed the connection {phase}"),
            Self::TimedOut(phase) => write!(f, "the peer was too slow {phase}"),
            Self::Aborted => f.write_str("a message was given up halfway"),
        }
    }
}

impl core::error::Error for Error {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Peer(error) => Some(error),
            Self::Limit(error) => Some(error),
            _ => None,
        }
    }
}

impl From<DecodeError> for Error {
    fn from(error: DecodeError) -> Self {
        Self::Peer(error)
    }
}

impl From<LimitExceeded> for Error {
    fn from(exceeded: LimitExceeded) -> Self {
        Self::Limit(exceeded)
    }
}

/// Why a head was not taken for sending. Nothing of it was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HeadError {
    /// Another exchange is in the way: the one before it has to end first.
    Busy,
    /// The stream is over, its head was sent already, or the connection takes no more.
    Closed,
    /// Too much waits to be sent: try again after `poll_transmit`.
    Full,
    /// The target has no valid form, or does not fit the method.
    Target,
    /// The status does not belong here: an informational one where the final one is due, or the reverse.
    Status,
    /// A field's name is no token, or its value has a control character. The number is the field's index.
    Field(usize),
    /// No `Host` among the fields of a request, or more than one. (It may be empty.)
    Host,
    /// The method takes no body (`CONNECT`), but one was announced.
    Body,
}

impl fmt::Display for HeadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Busy => f.write_str("another exchange is in the way"),
            Self::Closed => f.write_str("the stream takes no head any more"),
            Self::Full => f.write_str("too much waits to be sent"),
            Self::Target => f.write_str("invalid request target"),
            Self::Status => f.write_str("this status does not belong here"),
            Self::Field(index) => write!(f, "invalid field at index {index}"),
            Self::Host => f.write_str("a request needs one host field"),
            Self::Body => f.write_str("this request takes no body"),
        }
    }
}

impl core::error::Error for HeadError {}

/// Why a piece of a body was not taken for sending; it comes back.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendError {
    /// No capacity: try again after `poll_transmit`.
    Full(Bytes),
    /// The body is longer than was announced.
    TooLong(Bytes),
    /// The stream takes no body, or not any more.
    Closed(Bytes),
    /// A chunk extension is malformed.
    Extension(Bytes),
}

impl SendError {
    /// The piece that was not taken.
    pub fn into_data(self) -> Bytes {
        match self {
            Self::Full(data) | Self::TooLong(data) | Self::Closed(data) | Self::Extension(data) => data,
        }
    }
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full(_) => "too much waits to be sent",
            Self::TooLong(_) => "the body is longer than was announced",
            Self::Closed(_) => "the stream takes no body any more",
            Self::Extension(_) => "invalid chunk extension",
        })
    }
}

impl core::error::Error for SendError {}

/// Why a body could not be ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FinishError {
    /// So many of the announced bytes are missing: send them, or abort.
    Short(u64),
    /// A trailer's name is no token, or its value has a control character. The number is the field's index.
    Field(usize),
    /// The stream has no body to end.
    Closed,
}

impl fmt::Display for FinishError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Short(missing) => write!(f, "{missing} announced bytes are missing"),
            Self::Field(index) => write!(f, "invalid trailer at index {index}"),
            Self::Closed => f.write_str("the stream has no body to end"),
        }
    }
}

impl core::error::Error for FinishError {}
