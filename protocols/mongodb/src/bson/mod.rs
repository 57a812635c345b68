//! BSON: documents as bytes, read in place and written straight.
//!
//! - [`Doc`] is a borrowed document: iterating it decodes element by element, copies nothing and allocates nothing.
//! - [`Document`] is an owned one that can grow; [`doc!`](crate::doc) writes one down. [`RawDocument`] is an owned,
//!   shared, immutable one: a piece of a received message.
//! - [`Value`] is one borrowed value of any type; [`ToBson`] is what can be written as one.
//! - [`Doc::validate`] checks a whole document without recursion and within a depth.
//! - Extended JSON v2 is written by [`Doc::to_json`] and read by [`Document::from_json`].
//! - With the feature `serde`, [`from_slice`] and [`to_document`] (de)serialise structs straight from and to bytes.
//!
//! Duplicate keys and the order of keys are kept. Reading is lenient where BSON is (array keys are not looked at) and
//! strict where it matters: lengths, terminators, UTF-8, booleans, types. See <https://bsonspec.org/spec.html>.

#[cfg(feature = "bson")]
mod crate_bson;
mod decimal;
mod document;
mod extjson;
mod owned;
mod raw;
#[cfg(feature = "serde")]
mod serde;
mod types;
mod validate;
mod value;
mod write;

#[cfg(test)]
mod tests;

#[cfg(feature = "bson")]
pub use crate_bson::{BsonCrateError, from_bson_document, to_bson_document, to_bson_raw};
pub use decimal::{Decimal128, ParseDecimalError};
pub use document::{Document, RawDocument};
pub use extjson::{JsonError, JsonMode, JsonReason};
pub use owned::OwnedValue;
pub use raw::{Array, Doc, Iter, RawElement, RawIter};
#[cfg(feature = "serde")]
pub use serde::{DeError, SerError, from_doc, from_slice, to_document, write_document};
pub use types::{
    Binary, BinarySubtype, CodeWithScope, DateTime, DbPointer, ElementType, ObjectId, ObjectIds,
    ParseObjectIdError, Regex, Timestamp,
};
pub(crate) use types::{decode_hex, encode_hex};
pub use validate::DEFAULT_MAX_DEPTH;
pub use value::Value;
pub use write::{ArrayWriter, ToBson, Writer};

/// Writes down a [`Document`](crate::bson::Document).
///
/// Keys are string literals or, in parentheses, expressions. Values are nested `{ .. }` and `[ .. ]`, `null`, or any
/// expression whose value is [`ToBson`](crate::bson::ToBson). The bytes are written once, in place.
///
/// ```
/// use glowplug_mongodb::doc;
/// let name = "ada";
/// let document = doc! { "name": name, "born": { "year": 1815 }, "tags": ["first", 1.5, null], ("k".repeat(2)): true };
/// assert_eq!(document.to_string(), r#"{"name":"ada","born":{"year":1815},"tags":["first",1.5,null],"kk":true}"#);
/// ```
///
/// # Panics
///
/// When a key in parentheses contains a zero byte; [`Document::try_append`](crate::bson::Document::try_append) gives an
/// error instead, and is for keys that come from somebody else.
#[macro_export]
macro_rules! doc {
    ($($body:tt)*) => {{
        #[allow(unused_mut)]
        let mut document = $crate::bson::Document::with_capacity(128);
        {
            #[allow(unused_mut, unused_variables)]
            let mut writer = document.writer();
            $crate::__doc_fields!(writer; $($body)*);
        }
        document
    }};
}

/// The fields of [`doc!`].
#[doc(hidden)]
#[macro_export]
macro_rules! __doc_fields {
    ($w:ident;) => {};
    ($w:ident; $key:tt : null $(, $($rest:tt)*)?) => {
        $w.append($key, $crate::bson::Value::Null);
        $($crate::__doc_fields!($w; $($rest)*);)?
    };
    ($w:ident; $key:tt : { $($inner:tt)* } $(, $($rest:tt)*)?) => {
        {
            #[allow(unused_mut, unused_variables)]
            let mut nested = $w.document($key);
            $crate::__doc_fields!(nested; $($inner)*);
        }
        $($crate::__doc_fields!($w; $($rest)*);)?
    };
    ($w:ident; $key:tt : [ $($inner:tt)* ] $(, $($rest:tt)*)?) => {
        {
            #[allow(unused_mut, unused_variables)]
            let mut nested = $w.array($key);
            $crate::__doc_items!(nested; $($inner)*);
        }
        $($crate::__doc_fields!($w; $($rest)*);)?
    };
    ($w:ident; $key:tt : $value:expr $(, $($rest:tt)*)?) => {
        $w.append($key, $value);
        $($crate::__doc_fields!($w; $($rest)*);)?
    };
}

/// The items of an array in [`doc!`].
#[doc(hidden)]
#[macro_export]
macro_rules! __doc_items {
    ($w:ident;) => {};
    ($w:ident; null $(, $($rest:tt)*)?) => {
        $w.push($crate::bson::Value::Null);
        $($crate::__doc_items!($w; $($rest)*);)?
    };
    ($w:ident; { $($inner:tt)* } $(, $($rest:tt)*)?) => {
        {
            #[allow(unused_mut, unused_variables)]
            let mut nested = $w.document();
            $crate::__doc_fields!(nested; $($inner)*);
        }
        $($crate::__doc_items!($w; $($rest)*);)?
    };
    ($w:ident; [ $($inner:tt)* ] $(, $($rest:tt)*)?) => {
        {
            #[allow(unused_mut, unused_variables)]
            let mut nested = $w.array();
            $crate::__doc_items!(nested; $($inner)*);
        }
        $($crate::__doc_items!($w; $($rest)*);)?
    };
    ($w:ident; $value:expr $(, $($rest:tt)*)?) => {
        $w.push($value);
        $($crate::__doc_items!($w; $($rest)*);)?
    };
}
