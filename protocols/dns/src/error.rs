//! What can go wrong with bytes.

use core::fmt;

/// A message, or a part of one, that breaks the rules of the wire format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DecodeError {
    /// Where in the message it was noticed, in bytes from its start.
    pub offset: usize,
    /// What is wrong there.
    pub reason: DecodeReason,
}

impl DecodeError {
    #[inline]
    pub(crate) const fn new(offset: usize, reason: DecodeReason) -> Self {
        Self { offset, reason }
    }
}

/// Why bytes are not a DNS message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DecodeReason {
    /// The message ends inside something.
    UnexpectedEnd,
    /// The record data ends inside one of its fields.
    DataTooShort,
    /// The record data goes on behind its last field.
    DataTooLong,
    /// A field of the record data holds a value that its type forbids.
    BadData,
    /// A label that is neither text nor a pointer (RFC 6891 section 5 retired the rest).
    BadLabelType,
    /// A compression pointer that does not point backwards; following it could loop.
    PointerNotBackwards,
    /// A name is put together from more pointers than a name has labels.
    TooManyPointers,
    /// A name is longer than 255 bytes (RFC 1035 section 2.3.4).
    NameTooLong,
    /// Bytes follow the last record.
    TrailingBytes,
    /// More than one OPT record (RFC 6891 section 6.1.1).
    SecondOpt,
    /// An OPT record whose owner is not the root, or outside the additional section.
    MisplacedOpt,
}

impl fmt::Display for DecodeReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnexpectedEnd => "the message ends too early",
            Self::DataTooShort => "the record data is too short",
            Self::DataTooLong => "the record data is too long",
            Self::BadData => "the record data holds a forbidden value",
            Self::BadLabelType => "unknown label type",
            Self::PointerNotBackwards => "a compression pointer does not point backwards",
            Self::TooManyPointers => "a name has too many compression pointers",
            Self::NameTooLong => "a name is longer than 255 bytes",
            Self::TrailingBytes => "bytes follow the last record",
            Self::SecondOpt => "more than one OPT record",
            Self::MisplacedOpt => "an OPT record in the wrong place",
        })
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}", self.reason, self.offset)
    }
}

impl core::error::Error for DecodeError {}

/// Why a connection is over.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The peer broke the rules.
    Peer(PeerError),
    /// The peer stopped sending inside a message, or with requests unanswered.
    UnexpectedEof,
    /// The peer was silent for longer than the configuration allows.
    TimedOut,
}

/// How a peer broke the rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PeerError {
    /// A message that is shorter than a header.
    MessageTooShort,
    /// An answer to nothing that was asked, or to another question than the one its id belongs to.
    UnexpectedAnswer,
    /// A response where a query should be.
    NotAQuery,
}

impl fmt::Display for PeerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::MessageTooShort => "a message shorter than a header",
            Self::UnexpectedAnswer => "an answer to nothing that was asked",
            Self::NotAQuery => "a response instead of a query",
        })
    }
}

impl core::error::Error for PeerError {}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Peer(_) => "the peer broke the protocol",
            Self::UnexpectedEof => "the connection ended too early",
            Self::TimedOut => "the peer was silent for too long",
        })
    }
}

impl core::error::Error for Error {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Peer(error) => Some(error),
            _ => None,
        }
    }
}

/// Why one exchange with one server brought no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExchangeError {
    /// No answer came in time.
    TimedOut,
    /// The network says that the server is not there, or a connection to it could not be made or broke.
    Unreachable,
    /// The answer was the right one by id, source and question, and ill-formed.
    Malformed(DecodeError),
    /// The answer was the right one, but the case of its question was not kept: it may be forged. TCP will tell.
    CaseLost,
    /// What came over HTTPS is no answer.
    Https(HttpsError),
}

/// Why what came over HTTPS is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HttpsError {
    /// Another status than success. Redirects are not followed: where they lead to would have to be resolved first.
    Status(u16),
    /// A body of another kind than [`MEDIA_TYPE`](crate::https::MEDIA_TYPE).
    ContentType,
    /// A body that is longer than any message, 65,535 bytes.
    TooLong,
    /// A message that does not answer what was asked.
    WrongAnswer,
}

impl fmt::Display for HttpsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => write!(f, "the http status {status}"),
            Self::ContentType => f.write_str("a body that is no dns message"),
            Self::TooLong => f.write_str("a body that is longer than any message"),
            Self::WrongAnswer => f.write_str("a message that answers something else"),
        }
    }
}

impl core::error::Error for HttpsError {}

impl fmt::Display for ExchangeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TimedOut => "no answer came in time",
            Self::Unreachable => "the server cannot be reached",
            Self::Malformed(_) => "the answer is ill-formed",
            Self::CaseLost => "the answer did not keep the question's case",
            Self::Https(_) => "what came over https is no answer",
        })
    }
}

impl core::error::Error for ExchangeError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Malformed(error) => Some(error),
            Self::Https(error) => Some(error),
            _ => None,
        }
    }
}
