//! Extended JSON v2 in both directions.
//!
//! Canonical keeps every type; relaxed is for people: plain numbers and readable dates. See the specification "Extended
//! JSON" in mongodb/specifications.

mod date;
mod json;
mod read;
mod write;

use core::fmt;

pub(crate) use date::rfc3339;

use super::{ParseDecimalError, ParseObjectIdError};
use crate::error::EncodeError;

/// Which of the two forms of extended JSON to write. Both are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum JsonMode {
    /// Every type comes back as it was.
    Canonical,
    /// Numbers are plain and dates of the years 1970 to 9999 readable; 32 and 64 bits, and doubles without a fraction, are
    /// told apart no more.
    Relaxed,
}

/// Text that is not extended JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JsonError {
    /// Where, in bytes.
    pub offset: usize,
    /// What is wrong there.
    pub reason: JsonReason,
}

/// What is wrong with some extended JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum JsonReason {
    /// The text ends early.
    UnexpectedEnd,
    /// Something else was due here.
    Unexpected,
    /// A string has a control character, a wrong escape or half a surrogate pair.
    BadString,
    /// A number is not a number of JSON.
    BadNumber,
    /// Objects are nested too deeply.
    TooDeep,
    /// The text goes on behind the document.
    TrailingText,
    /// The text is an array or a plain value, not a document.
    NotADocument,
    /// An object with this `$` key is not what the type's form says.
    BadType(&'static str),
    /// The document cannot be written.
    Encode(EncodeError),
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.reason {
            JsonReason::UnexpectedEnd => f.write_str("the text ends too early")?,
            JsonReason::Unexpected => f.write_str("unexpected text")?,
            JsonReason::BadString => f.write_str("a string is malformed")?,
            JsonReason::BadNumber => f.write_str("a number is malformed")?,
            JsonReason::TooDeep => f.write_str("objects are nested too deeply")?,
            JsonReason::TrailingText => f.write_str("text is left over")?,
            JsonReason::NotADocument => f.write_str("the text is not a document")?,
            JsonReason::BadType(key) => write!(f, "malformed {key}")?,
            JsonReason::Encode(error) => error.fmt(f)?,
        }
        write!(f, " at byte {}", self.offset)
    }
}

impl std::error::Error for JsonError {}

impl From<ParseDecimalError> for JsonReason {
    fn from(_: ParseDecimalError) -> Self {
        Self::BadType("$numberDecimal")
    }
}

impl From<ParseObjectIdError> for JsonReason {
    fn from(_: ParseObjectIdError) -> Self {
        Self::BadType("$oid")
    }
}
