//! What is wrong with bytes.

use core::fmt;

use glowplug_core::LimitExceeded;

/// Bytes that are not RESP, or more of it than the limits allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecodeError {
    /// Where, in bytes from the start of the frame.
    pub offset: usize,
    /// What is wrong there.
    pub kind: DecodeErrorKind,
}

/// What is wrong with bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DecodeErrorKind {
    /// No RESP type starts with this byte.
    UnknownType(u8),
    /// A length that is no decimal number, or negative where that means nothing.
    InvalidLength,
    /// An integer that is no decimal number, or does not fit 64 bits.
    InvalidInteger,
    /// A double that is no number.
    InvalidDouble,
    /// A boolean that is neither `t` nor `f`.
    InvalidBoolean,
    /// A big number with something else than digits.
    InvalidBigNumber,
    /// A verbatim string without its three-letter format and colon.
    InvalidVerbatim,
    /// A line or bulk string that does not end with CR LF.
    MissingLineEnd,
    /// A push in the middle of another reply.
    NestedPush,
    /// A streamed string or aggregate (`$?`, `*?`), which is not supported and which no server sends.
    Streamed,
    /// A command's argument is no bulk string but starts with this byte.
    ExpectedBulk(u8),
    /// An inline command with an open quote, or with text right behind a closing one.
    UnbalancedQuotes,
    /// More than the configuration allows.
    Limit(LimitExceeded),
}

impl DecodeError {
    pub(crate) const fn new(offset: usize, kind: DecodeErrorKind) -> Self {
        Self { offset, kind }
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at byte {}: {}", self.offset, self.kind)
    }
}

impl fmt::Display for DecodeErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownType(byte) => write!(f, "no type starts with {:?}", char::from(*byte)),
            Self::InvalidLength => f.write_str("invalid length"),
            Self::InvalidInteger => f.write_str("invalid integer"),
            Self::InvalidDouble => f.write_str("invalid double"),
            Self::InvalidBoolean => f.write_str("invalid boolean"),
            Self::InvalidBigNumber => f.write_str("invalid big number"),
            Self::InvalidVerbatim => f.write_str("verbatim string without a format"),
            Self::MissingLineEnd => f.write_str("no CR LF where it has to be"),
            Self::NestedPush => f.write_str("push inside another reply"),
            Self::Streamed => f.write_str("streamed types are not supported"),
            Self::ExpectedBulk(byte) => {
                write!(f, "expected an argument's '$', got {:?}", char::from(*byte))
            }
            Self::UnbalancedQuotes => f.write_str("unbalanced quotes"),
            Self::Limit(limit) => limit.fmt(f),
        }
    }
}

impl core::error::Error for DecodeError {}
