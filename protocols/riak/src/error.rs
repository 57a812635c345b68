//! What can go wrong: with bytes, with a request, with a connection.

use core::fmt;

use alloc::string::String;
use glowplug_core::LimitExceeded;

use crate::wire::riak::RpbErrorResp;
use crate::wire::{Blob, Code};

/// Bytes that are no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecodeError {
    /// Where: bytes from the start of the message, or of the frame if the frame itself is wrong.
    pub offset: usize,
    /// Why.
    pub reason: DecodeReason,
}

/// Why bytes are no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DecodeReason {
    /// A field is longer than what holds it.
    Truncated,
    /// A number of variable length has more than 64 bits.
    Varint,
    /// A field number is 0 or too large.
    FieldNumber,
    /// A field is laid out as its type cannot be, or as nothing is.
    WireType,
    /// Messages lie too deep in one another.
    TooDeep {
        /// The limit, [`DecodeLimits::max_depth`](crate::wire::DecodeLimits::max_depth).
        max: u32,
    },
    /// The repeated fields would take too much memory.
    TooLarge {
        /// The limit, [`DecodeLimits::max_decoded_len`](crate::wire::DecodeLimits::max_decoded_len).
        max: usize,
    },
    /// A frame of length 0, which has no code.
    EmptyFrame,
    /// A frame is longer than allowed.
    FrameTooLong {
        /// The length it announces.
        len: u32,
        /// The limit.
        max: u32,
    },
    /// The code is unknown, or is not one that this side may receive.
    Code {
        /// The code.
        code: u8,
    },
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.reason {
            DecodeReason::Truncated => f.write_str("a field runs past the end"),
            DecodeReason::Varint => f.write_str("a number has more than 64 bits"),
            DecodeReason::FieldNumber => f.write_str("there is no such field number"),
            DecodeReason::WireType => f.write_str("a field has the wrong wire type"),
            DecodeReason::TooDeep { max } => write!(f, "messages lie more than {max} deep"),
            DecodeReason::TooLarge { max } => write!(f, "repeated fields take more than {max} bytes"),
            DecodeReason::EmptyFrame => f.write_str("a frame of length 0"),
            DecodeReason::FrameTooLong { len, max } => {
                write!(f, "a frame of {len} bytes, of which {max} are allowed")
            }
            DecodeReason::Code { code } => write!(f, "unexpected code {}", Code(code)),
        }?;
        write!(f, " at byte {}", self.offset)
    }
}

impl core::error::Error for DecodeError {}

impl DecodeError {
    /// The limit that was exceeded, if it was one, by its name in [`Config`](crate::Config).
    pub fn limit(self) -> Option<LimitExceeded> {
        match self.reason {
            DecodeReason::TooDeep { max } => Some(LimitExceeded::more_than("max_depth", max.into())),
            DecodeReason::TooLarge { max } => Some(LimitExceeded::more_than("max_decoded_len", max as u64)),
            DecodeReason::FrameTooLong { len, max } => {
                Some(LimitExceeded::new("max_frame_len", max.into(), len.into()))
            }
            _ => None,
        }
    }
}

/// A node's refusal of one request. The connection goes on.
///
/// Nodes give no error codes (they send 0 always): what happened stands in the text, and [`kind`](Self::kind) reads the
/// texts that releases 3.0 to 3.4 are known to send.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ServerError {
    /// The code; 0 in practice.
    pub code: u32,
    /// The text, usually a printed Erlang term. It may span many lines.
    pub message: Blob,
}

/// What a [`ServerError`] means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ServerErrorKind {
    /// The node took longer than the request allowed, or than its own limit.
    Timeout,
    /// Fewer vnodes, primaries or nodes answered than the request (or the bucket) demands: `r`, `w`, `pr`, `pw`, `dw`,
    /// `node_confirms`. A write may have been made all the same.
    QuorumNotMet,
    /// The request demands more vnodes or nodes than there are.
    QuorumImpossible,
    /// `if_none_match`, and the key exists.
    MatchFound,
    /// `if_not_modified`, and the object is another one by now.
    Modified,
    /// `if_not_modified`, and there is no object.
    NotFound,
    /// There is no such bucket type, or it is not active.
    NoBucketType,
    /// A removal from a set or map needs the context of what was read.
    NeedsContext,
    /// Security is on and the connection has not started TLS.
    NeedsTls,
    /// Security is on and the user may not do this.
    PermissionDenied,
    /// User and password do not fit, or the user is unknown.
    AuthenticationFailed,
    /// A commit hook refused the write.
    PrecommitFailed,
    /// The node does not know the request.
    UnknownCode,
    /// Another request came while a stream was running.
    RequestDuringStream,
    /// The node is overloaded.
    Overload,
    /// The handler crashed; the text is a stack trace, and the node closes the connection behind it.
    Crash,
    /// None of these.
    Other,
}

impl ServerError {
    /// An error as a node would word it.
    pub fn new(message: impl Into<Blob>) -> Self {
        Self { code: 0, message: message.into() }
    }

    /// The text.
    pub fn text(&self) -> alloc::borrow::Cow<'_, str> {
        String::from_utf8_lossy(&self.message)
    }

    /// True when the node is known to close the connection behind this error: its handler crashed, or a request came during a
    /// stream.
    pub fn closes_connection(&self) -> bool {
        matches!(self.kind(), ServerErrorKind::Crash | ServerErrorKind::RequestDuringStream)
    }

    /// What it means, as far as the text tells.
    pub fn kind(&self) -> ServerErrorKind {
        use ServerErrorKind as Kind;
        /// How the texts begin.
        const STARTS: &[(&str, ServerErrorKind)] = &[
            ("timeout", Kind::Timeout),
            ("{timeout", Kind::Timeout),
            ("{r_val_unsatisfied", Kind::QuorumNotMet),
            ("{w_val_unsatisfied", Kind::QuorumNotMet),
            ("{pr_val_unsatisfied", Kind::QuorumNotMet),
            ("{pw_val_unsatisfied", Kind::QuorumNotMet),
            ("{dw_val_unsatisfied", Kind::QuorumNotMet),
            ("{node_confirms_val_unsatisfied", Kind::QuorumNotMet),
            ("insufficient_vnodes", Kind::QuorumNotMet),
            ("{insufficient_vnodes", Kind::QuorumNotMet),
            ("{n_val_violation", Kind::QuorumImpossible),
            ("{insufficient_nodes", Kind::QuorumImpossible),
            ("match_found", Kind::MatchFound),
            ("modified", Kind::Modified),
            ("notfound", Kind::NotFound),
            ("no_type", Kind::NoBucketType),
            ("No bucket-type named", Kind::NoBucketType),
            ("Error no bucket type", Kind::NoBucketType),
            ("Invalid bucket properties: not_active", Kind::NoBucketType),
            ("{precondition,{not_present", Kind::NeedsContext),
            ("Security is enabled, please STARTTLS", Kind::NeedsTls),
            ("Permission denied", Kind::PermissionDenied),
            ("Authentication failed", Kind::AuthenticationFailed),
            ("{precommit_fail", Kind::PrecommitFailed),
            ("Unknown message code", Kind::UnknownCode),
            ("Cannot send another request", Kind::RequestDuringStream),
            ("overload", Kind::Overload),
            ("Error processing incoming message", Kind::Crash),
        ];
        let known = STARTS.iter().find(|(start, _)| self.message.starts_with(start.as_bytes()));
        known.map_or(Kind::Other, |(_, kind)| *kind)
    }
}

impl From<RpbErrorResp> for ServerError {
    fn from(reply: RpbErrorResp) -> Self {
        Self { code: reply.errcode, message: reply.errmsg }
    }
}

impl From<ServerError> for RpbErrorResp {
    fn from(error: ServerError) -> Self {
        Self { errmsg: error.message, errcode: error.code }
    }
}

impl fmt::Display for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// Stack traces are long; their first line says enough for a log.
        const SHOWN: usize = 200;
        let text = self.text();
        let line = text.lines().next().unwrap_or("");
        let cut = line.char_indices().nth(SHOWN).map_or(line.len(), |(at, _)| at);
        write!(f, "the node refused: {}", &line[..cut])
    }
}

impl core::error::Error for ServerError {}

/// The connection is over.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The peer broke the protocol.
    Peer(PeerError),
    /// The peer sent something larger than the configuration allows.
    Limit(LimitExceeded),
    /// The node does not start TLS.
    TlsRefused(ServerError),
    /// The node does not let the user in.
    AuthRefused(ServerError),
    /// The node did not answer in time. Whatever it may answer still could not be told apart from the answer to a later
    /// request, so the connection cannot be used any more.
    TimedOut,
    /// The node closes the connection, as it does after some errors, and requests were still waiting here. They were not sent.
    NodeClosing,
    /// The peer closed the connection in the middle of a frame, or of a request.
    UnexpectedEof,
}

/// How the peer broke the protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PeerError {
    /// A frame or its message cannot be decoded.
    Decode {
        /// The frame's code, if there is one.
        code: Option<Code>,
        /// What is wrong with it.
        error: DecodeError,
    },
    /// The reply is not one to the request in flight.
    WrongReply {
        /// The reply that was waited for.
        expected: Code,
        /// The reply that came.
        got: Code,
    },
    /// A reply came, and nothing had been asked.
    Unsolicited(Code),
    /// An error came, and nothing had been asked: what a node says before it closes on its own account.
    UnsolicitedError(ServerError),
    /// Plain bytes came after the agreement on TLS, where only the handshake may follow: somebody in between may have put them
    /// there.
    PlaintextAfterStartTls,
}

impl Error {
    /// A decoding error: a limit, or the peer's fault.
    pub(crate) fn decode(code: Option<Code>, error: DecodeError) -> Self {
        error.limit().map_or(Self::Peer(PeerError::Decode { code, error }), Self::Limit)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Peer(_) => "the peer broke the protocol",
            Self::Limit(_) => "the peer sent more than is allowed",
            Self::TlsRefused(_) => "the node does not start TLS",
            Self::AuthRefused(_) => "the node does not let the user in",
            Self::TimedOut => "the node did not answer in time",
            Self::NodeClosing => "the node closes the connection after an error",
            Self::UnexpectedEof => "the peer closed the connection before it had finished",
        })
    }
}

impl core::error::Error for Error {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Peer(error) => Some(error),
            Self::Limit(error) => Some(error),
            Self::TlsRefused(error) | Self::AuthRefused(error) => Some(error),
            Self::TimedOut | Self::NodeClosing | Self::UnexpectedEof => None,
        }
    }
}

impl fmt::Display for PeerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Decode { code: Some(code), .. } => write!(f, "a message {code} does not decode"),
            Self::Decode { code: None, .. } => f.write_str("a frame does not decode"),
            Self::WrongReply { expected, got } => write!(f, "reply {got} came instead of {expected}"),
            Self::Unsolicited(code) => write!(f, "message {code} came unasked"),
            Self::UnsolicitedError(_) => f.write_str("an error came unasked"),
            Self::PlaintextAfterStartTls => f.write_str("plain bytes came after the agreement on TLS"),
        }
    }
}

impl core::error::Error for PeerError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Decode { error, .. } => Some(error),
            Self::UnsolicitedError(error) => Some(error),
            _ => None,
        }
    }
}
