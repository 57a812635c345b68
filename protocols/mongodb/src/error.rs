//! What can be wrong with bytes, with a connection, and with what a caller asks for.

use core::fmt;

use glowplug_core::LimitExceeded;

use crate::auth::ScramError;
use crate::reply::CommandError;
use crate::wire::OpCode;

/// Bytes that are not what the format says. Small and `Copy`; the offset counts from the first byte of what was decoded
/// (a document, or a whole message with its header).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecodeError {
    /// Where, in bytes.
    pub offset: usize,
    /// What is wrong there.
    pub reason: Reason,
}

impl DecodeError {
    pub(crate) const fn new(offset: usize, reason: Reason) -> Self {
        Self { offset, reason }
    }

    /// The same error seen from a buffer in which the decoded part starts at `base`.
    pub(crate) const fn shifted(self, base: usize) -> Self {
        Self { offset: self.offset + base, reason: self.reason }
    }
}

/// What is wrong with some bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// The bytes end before the value does.
    Truncated,
    /// A length field is negative, too small for what it counts, or points past its container.
    BadLength,
    /// A document, string or name does not end with a zero byte where it says that it ends.
    MissingTerminator,
    /// Bytes are left over behind the end.
    TrailingBytes,
    /// No BSON type has this number.
    UnknownElementType(u8),
    /// Text is not UTF-8.
    InvalidUtf8,
    /// A boolean is neither 0 nor 1.
    BadBoolean,
    /// Documents are nested deeper than the limit.
    TooDeep,
    /// An OP_MSG sets a required flag bit (0 to 15) that nobody knows. MongoDB wire protocol, OP_MSG, "Flag Bits".
    UnknownRequiredFlags(u32),
    /// No OP_MSG section has this kind.
    UnknownSectionKind(u8),
    /// An OP_MSG has no section of kind 0, or more than one.
    BodySections,
    /// An OP_MSG's CRC-32C does not match its bytes.
    ChecksumMismatch,
    /// No operation has this number.
    UnknownOpCode(i32),
    /// No compressor has this number, or this build has it not.
    UnknownCompressor(u8),
    /// A compressed body is not what its compressor produces, or has not the size that was announced.
    BadCompression,
    /// A compressed message holds another compressed message.
    NestedCompression,
    /// A message announces more bytes than allowed.
    TooLong,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Truncated => "the bytes end too early",
            Self::BadLength => "a length does not fit what it counts",
            Self::MissingTerminator => "a terminating zero byte is missing",
            Self::TrailingBytes => "bytes are left over",
            Self::UnknownElementType(kind) => return write!(f, "unknown element type 0x{kind:02x}"),
            Self::InvalidUtf8 => "text is not UTF-8",
            Self::BadBoolean => "a boolean is neither 0 nor 1",
            Self::TooDeep => "documents are nested too deeply",
            Self::UnknownRequiredFlags(bits) => return write!(f, "unknown required flag bits 0x{bits:08x}"),
            Self::UnknownSectionKind(kind) => return write!(f, "unknown section kind {kind}"),
            Self::BodySections => "a message needs exactly one body section",
            Self::ChecksumMismatch => "the checksum does not match",
            Self::UnknownOpCode(code) => return write!(f, "unknown operation code {code}"),
            Self::UnknownCompressor(id) => return write!(f, "unknown compressor {id}"),
            Self::BadCompression => "a compressed body does not decompress to its announced size",
            Self::NestedCompression => "a compressed message inside a compressed message",
            Self::TooLong => "a message is longer than allowed",
        })
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}", self.reason, self.offset)
    }
}

impl std::error::Error for DecodeError {}

/// A value that cannot be written as BSON, or a message that cannot be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EncodeError {
    /// A key, or a part of a regular expression, contains a zero byte. Written out it would end early and the rest would
    /// be read as other elements, so it is refused.
    ZeroByte,
    /// The document would be longer than its length field can say (a little under 2 GiB).
    TooLong,
    /// Documents are nested deeper than the limit.
    TooDeep,
    /// The peer announced a limit that this exceeds.
    Limit(LimitExceeded),
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ZeroByte => f.write_str("a key or pattern contains a zero byte"),
            Self::TooLong => f.write_str("a document is too long for its length field"),
            Self::TooDeep => f.write_str("documents are nested too deeply"),
            Self::Limit(limit) => limit.fmt(f),
        }
    }
}

impl std::error::Error for EncodeError {}

/// Why a connection is over. What goes wrong with one command alone is in its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The peer sent bytes that are no message.
    Decode(DecodeError),
    /// The peer sent a message that has no place here.
    Peer(PeerError),
    /// The server refused the handshake or the credential.
    Refused(CommandError),
    /// The SCRAM conversation failed, on either side.
    Scram(ScramError),
    /// We cannot authenticate as configured.
    Local(LocalError),
    /// Something did not happen in its time.
    TimedOut(Phase),
    /// The peer ended the stream while answers were due.
    UnexpectedEof,
    /// The peer sent more than the configuration allows.
    Limit(LimitExceeded),
}

/// A message that has no place where it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PeerError {
    /// A reply to no request that waits for one.
    UnexpectedReply {
        /// Which request it names.
        response_to: i32,
    },
    /// Such a message does not come this way.
    UnexpectedMessage(OpCode),
    /// More replies are announced to a request that allows only one.
    UnexpectedStream,
    /// The server speaks an older protocol than we do (before MongoDB 3.6).
    TooOld {
        /// Its `maxWireVersion`.
        wire_version: i64,
    },
    /// A reply of the handshake lacks what it must have.
    BadHandshake,
}

/// A configuration that cannot be carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LocalError {
    /// PLAIN sends the password in clear text, and nobody said that this connection is under TLS.
    PlainWithoutTls,
}

/// What a connection was waiting for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// The handshake, authentication included.
    Handshake,
    /// The answer to a keep-alive.
    KeepAlive,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Decode(_) => f.write_str("the peer sent a malformed message"),
            Self::Peer(error) => error.fmt(f),
            Self::Refused(_) => f.write_str("the server refused the connection"),
            Self::Scram(_) => f.write_str("authentication failed"),
            Self::Local(LocalError::PlainWithoutTls) => f.write_str("PLAIN authentication needs TLS"),
            Self::TimedOut(Phase::Handshake) => f.write_str("the handshake took too long"),
            Self::TimedOut(Phase::KeepAlive) => f.write_str("the keep-alive was not answered"),
            Self::UnexpectedEof => f.write_str("the peer closed the connection while answers were due"),
            Self::Limit(_) => f.write_str("the peer sent more than allowed"),
        }
    }
}

impl fmt::Display for PeerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnexpectedReply { response_to } => {
                write!(f, "the peer answered request {response_to}, which waits not")
            }
            Self::UnexpectedMessage(code) => write!(f, "the peer sent {code}, which does not come this way"),
            Self::UnexpectedStream => f.write_str("the peer streams replies to a request that allows one"),
            Self::TooOld { wire_version } => write!(f, "the server's wire version {wire_version} is too old"),
            Self::BadHandshake => f.write_str("a reply of the handshake is incomplete"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Decode(error) => Some(error),
            Self::Refused(error) => Some(error),
            Self::Scram(error) => Some(error),
            Self::Limit(error) => Some(error),
            _ => None,
        }
    }
}

impl From<DecodeError> for Error {
    fn from(error: DecodeError) -> Self {
        Self::Decode(error)
    }
}

impl From<ScramError> for Error {
    fn from(error: ScramError) -> Self {
        Self::Scram(error)
    }
}
