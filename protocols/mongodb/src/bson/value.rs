//! One value of any type.

use super::types::{Binary, CodeWithScope, DateTime, DbPointer, ElementType, ObjectId, Regex, Timestamp};
use super::{Array, Decimal128, Doc};

/// A BSON value that borrows what is long.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    /// 64-bit binary floating point.
    Double(f64),
    /// Text.
    String(&'a str),
    /// A nested document.
    Document(Doc<'a>),
    /// An array.
    Array(Array<'a>),
    /// Bytes with a subtype.
    Binary(Binary<'a>),
    /// Deprecated: undefined.
    Undefined,
    /// An object id.
    ObjectId(ObjectId),
    /// True or false.
    Boolean(bool),
    /// Milliseconds since 1970 in UTC.
    DateTime(DateTime),
    /// Null.
    Null,
    /// A regular expression.
    Regex(Regex<'a>),
    /// Deprecated: a reference to a document elsewhere.
    DbPointer(DbPointer<'a>),
    /// JavaScript code.
    Code(&'a str),
    /// Deprecated: a symbol.
    Symbol(&'a str),
    /// Deprecated: JavaScript code with the variables it sees.
    CodeWithScope(CodeWithScope<'a>),
    /// 32-bit whole number.
    Int32(i32),
    /// The server's internal timestamp.
    Timestamp(Timestamp),
    /// 64-bit whole number.
    Int64(i64),
    /// 128-bit decimal floating point.
    Decimal128(Decimal128),
    /// Sorts before everything else.
    MinKey,
    /// Sorts after everything else.
    MaxKey,
}

impl<'a> Value<'a> {
    /// The type's number on the wire.
    pub const fn element_type(&self) -> ElementType {
        match self {
            Self::Double(_) => ElementType::Double,
            Self::String(_) => ElementType::String,
            Self::Document(_) => ElementType::Document,
            Self::Array(_) => ElementType::Array,
            Self::Binary(_) => ElementType::Binary,
            Self::Undefined => ElementType::Undefined,
            Self::ObjectId(_) => ElementType::ObjectId,
            Self::Boolean(_) => ElementType::Boolean,
            Self::DateTime(_) => ElementType::DateTime,
            Self::Null => ElementType::Null,
            Self::Regex(_) => ElementType::Regex,
            Self::DbPointer(_) => ElementType::DbPointer,
            Self::Code(_) => ElementType::Code,
            Self::Symbol(_) => ElementType::Symbol,
            Self::CodeWithScope(_) => ElementType::CodeWithScope,
            Self::Int32(_) => ElementType::Int32,
            Self::Timestamp(_) => ElementType::Timestamp,
            Self::Int64(_) => ElementType::Int64,
            Self::Decimal128(_) => ElementType::Decimal128,
            Self::MinKey => ElementType::MinKey,
            Self::MaxKey => ElementType::MaxKey,
        }
    }

    /// The text of a string.
    #[inline]
    pub const fn as_str(self) -> Option<&'a str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// A nested document.
    #[inline]
    pub const fn as_doc(self) -> Option<Doc<'a>> {
        match self {
            Self::Document(doc) => Some(doc),
            _ => None,
        }
    }

    /// An array.
    #[inline]
    pub const fn as_array(self) -> Option<Array<'a>> {
        match self {
            Self::Array(array) => Some(array),
            _ => None,
        }
    }

    /// A boolean.
    #[inline]
    pub const fn as_bool(self) -> Option<bool> {
        match self {
            Self::Boolean(value) => Some(value),
            _ => None,
        }
    }

    /// An object id.
    #[inline]
    pub const fn as_object_id(self) -> Option<ObjectId> {
        match self {
            Self::ObjectId(id) => Some(id),
            _ => None,
        }
    }

    /// A whole number: 32 or 64 bits, or a double without a fraction that fits. Servers are free in which they send.
    #[inline]
    pub fn as_i64(self) -> Option<i64> {
        /// 2^63, the first double too large.
        const END: f64 = 9_223_372_036_854_775_808.0;
        match self {
            Self::Int32(number) => Some(number.into()),
            Self::Int64(number) => Some(number),
            Self::Double(number) if number.fract() == 0.0 && (-END..END).contains(&number) => {
                Some(number as i64)
            }
            _ => None,
        }
    }

    /// A number of 32 or 64 bits or a double; a large 64-bit one is rounded.
    #[inline]
    pub fn as_f64(self) -> Option<f64> {
        match self {
            Self::Double(number) => Some(number),
            Self::Int32(number) => Some(number.into()),
            Self::Int64(number) => Some(number as f64),
            _ => None,
        }
    }
}
