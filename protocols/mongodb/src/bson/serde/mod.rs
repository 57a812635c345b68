//! serde straight from and to BSON bytes: no document tree in between.
//!
//! BSON's own types pass through serde as newtype structs whose name says which type they are, so that these
//! (de)serialisers know them and every other format sees plain bytes or, when it is for people, extended JSON.

mod de;
mod ser;
mod types;

use core::fmt;

pub(super) use de::from_value;
pub use de::{from_doc, from_slice};
pub use ser::{to_document, write_document};

use super::ElementType;
use crate::error::{DecodeError, EncodeError};

/// Newtype structs with this prefix and the two digits of an element type hold that type's bytes.
const PREFIX: &str = "$glowplug::bson::";

/// The name under which a type's bytes pass through serde.
const fn magic(kind: ElementType) -> &'static str {
    match kind {
        ElementType::ObjectId => "$glowplug::bson::07",
        ElementType::DateTime => "$glowplug::bson::09",
        ElementType::Timestamp => "$glowplug::bson::11",
        ElementType::Decimal128 => "$glowplug::bson::13",
        ElementType::Binary => "$glowplug::bson::05",
        _ => "$glowplug::bson::03",
    }
}

/// The type that a newtype struct of this name holds.
#[inline]
fn magic_kind(name: &str) -> Option<ElementType> {
    let digits = name.strip_prefix(PREFIX)?;
    ElementType::from_byte(u8::from_str_radix(digits, 16).ok()?)
}

/// A value that serde cannot write as BSON.
#[derive(Debug)]
#[non_exhaustive]
pub enum SerError {
    /// The bytes cannot be written.
    Encode(EncodeError),
    /// The value at the top is neither a struct nor a map.
    NotADocument,
    /// A map's key is not text, and not a number or boolean that can be written as text.
    KeyNotText,
    /// An unsigned number does not fit 64 signed bits.
    NumberTooLarge(u64),
    /// What the value's own `Serialize` said.
    Message(String),
}

impl fmt::Display for SerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Encode(error) => error.fmt(f),
            Self::NotADocument => f.write_str("the top value is not a document"),
            Self::KeyNotText => f.write_str("a map's key is not text"),
            Self::NumberTooLarge(number) => write!(f, "{number} does not fit 64 signed bits"),
            Self::Message(message) => f.write_str(message),
        }
    }
}

impl std::error::Error for SerError {}

impl serde::ser::Error for SerError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::Message(message.to_string())
    }
}

impl From<EncodeError> for SerError {
    fn from(error: EncodeError) -> Self {
        Self::Encode(error)
    }
}

/// BSON that serde cannot read as the wanted type.
#[derive(Debug)]
#[non_exhaustive]
pub enum DeError {
    /// The bytes are not BSON, or too deep.
    Decode(DecodeError),
    /// What the type's own `Deserialize` said.
    Message(String),
}

impl fmt::Display for DeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Decode(error) => error.fmt(f),
            Self::Message(message) => f.write_str(message),
        }
    }
}

impl std::error::Error for DeError {}

impl serde::de::Error for DeError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::Message(message.to_string())
    }
}

impl From<DecodeError> for DeError {
    fn from(error: DecodeError) -> Self {
        Self::Decode(error)
    }
}
