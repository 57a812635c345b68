//! Replies, as the types a caller wants.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use bytes::Bytes;

use crate::wire::number;
use crate::wire::{Elements, Reply, ReplyRef, ServerError};

/// How much of an unexpected reply an error shows.
const SHOWN: usize = 120;

/// Why a reply is not of the type that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReplyError {
    /// The server refused.
    Server(ServerError),
    /// The server answered something else.
    Unexpected {
        /// What was asked for.
        expected: &'static str,
        /// What came: its beginning, readable.
        got: String,
    },
}

impl ReplyError {
    /// `expected` was asked for, and `got` came. An error among the replies stays a server's error.
    pub fn unexpected(expected: &'static str, got: &ReplyRef<'_>) -> Self {
        if let ReplyRef::Error(line) = got {
            return Self::Server(ServerError::from_line(line));
        }
        let mut shown = format!("{got:?}");
        if let Some((end, _)) = shown.char_indices().nth(SHOWN) {
            shown.truncate(end);
            shown.push_str("...");
        }
        Self::Unexpected { expected, got: shown }
    }

    /// The server's refusal, if that is what it is.
    pub fn server_error(&self) -> Option<&ServerError> {
        match self {
            Self::Server(error) => Some(error),
            Self::Unexpected { .. } => None,
        }
    }
}

impl fmt::Display for ReplyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Server(error) => error.fmt(f),
            Self::Unexpected { expected, got } => write!(f, "expected {expected}, got {got}"),
        }
    }
}

impl core::error::Error for ReplyError {}

/// A type that a reply can be turned into.
///
/// RESP2 and RESP3 give the same: a double may come as a string, a map as a flat array, a set as an array, a boolean as 0
/// or 1. Implement [`from_ref`](Self::from_ref) for a struct of your own:
///
/// ```
/// use glowplug_redis::wire::ReplyRef;
/// use glowplug_redis::{FromReply, ReplyError};
///
/// struct Point { x: f64, y: f64 }
/// impl FromReply for Point {
///     fn from_ref(reply: ReplyRef<'_>) -> Result<Self, ReplyError> {
///         let (x, y) = FromReply::from_ref(reply)?;
///         Ok(Self { x, y })
///     }
/// }
/// ```
pub trait FromReply: Sized {
    /// Converts a borrowed reply, or an element of one.
    fn from_ref(reply: ReplyRef<'_>) -> Result<Self, ReplyError>;

    /// Converts a whole reply. Types that can take over its bytes do so without a copy.
    fn from_reply(reply: Reply) -> Result<Self, ReplyError> {
        Self::from_ref(reply.view())
    }

    /// Converts the elements of an array. Tuples also take a flat one: `[key, value, key, value]`.
    fn from_elements(elements: Elements<'_>) -> Result<Vec<Self>, ReplyError> {
        elements.map(Self::from_ref).collect()
    }

    /// Converts a string into a list: `Some` only for the bytes themselves.
    fn list_from_text(_text: &[u8]) -> Option<Vec<Self>> {
        None
    }
}

/// Whatever came; but a refusal is one, unless it is an element of something else.
impl FromReply for Reply {
    fn from_ref(reply: ReplyRef<'_>) -> Result<Self, ReplyError> {
        Ok(reply.to_reply())
    }

    fn from_reply(reply: Reply) -> Result<Self, ReplyError> {
        match reply {
            Self::Error(error) => Err(ReplyError::Server(error)),
            other => Ok(other),
        }
    }
}

impl FromReply for Bytes {
    fn from_ref(reply: ReplyRef<'_>) -> Result<Self, ReplyError> {
        match reply.as_blob() {
            Some(blob) => Ok(blob.to_bytes()),
            None => {
                number_text(&reply).map(Into::into).ok_or_else(|| ReplyError::unexpected("a string", &reply))
            }
        }
    }

    #[inline]
    fn from_reply(reply: Reply) -> Result<Self, ReplyError> {
        match reply {
            Reply::Bulk(text)
            | Reply::Simple(text)
            | Reply::Verbatim { text, .. }
            | Reply::BigNumber(text) => Ok(text),
            Reply::Error(error) => Err(ReplyError::Server(error)),
            other => Self::from_ref(other.view()),
        }
    }
}

/// A number as the text that RESP2 would have sent.
fn number_text(reply: &ReplyRef<'_>) -> Option<String> {
    match reply {
        ReplyRef::Integer(value) => Some(format!("{value}")),
        ReplyRef::Double(value) => Some(number::format_f64(*value)),
        ReplyRef::Boolean(value) => Some(String::from(if *value { "1" } else { "0" })),
        _ => None,
    }
}

impl FromReply for String {
    fn from_ref(reply: ReplyRef<'_>) -> Result<Self, ReplyError> {
        match reply.as_bytes() {
            Some(text) => core::str::from_utf8(text)
                .map(Self::from)
                .map_err(|_| ReplyError::unexpected("text in UTF-8", &reply)),
            None => number_text(&reply).ok_or_else(|| ReplyError::unexpected("a string", &reply)),
        }
    }
}

impl FromReply for () {
    /// Any answer but an error.
    fn from_ref(reply: ReplyRef<'_>) -> Result<Self, ReplyError> {
        match reply {
            ReplyRef::Error(_) => Err(ReplyError::unexpected("any answer", &reply)),
            _ => Ok(()),
        }
    }
}

impl FromReply for bool {
    /// True, 1 or any other number than 0, `OK`; false, 0, nothing (what `SET NX` answers when it does not set).
    fn from_ref(reply: ReplyRef<'_>) -> Result<Self, ReplyError> {
        match &reply {
            ReplyRef::Boolean(value) => Ok(*value),
            ReplyRef::Integer(value) => Ok(*value != 0),
            ReplyRef::Null => Ok(false),
            ReplyRef::Simple(text) if text.as_slice() == b"OK" => Ok(true),
            ReplyRef::Bulk(text) if matches!(text.as_slice(), b"0" | b"1") => Ok(text.as_slice() == b"1"),
            _ => Err(ReplyError::unexpected("a yes or no", &reply)),
        }
    }
}

fn integer(reply: &ReplyRef<'_>) -> Option<i64> {
    match reply {
        ReplyRef::Integer(value) => Some(*value),
        ReplyRef::Boolean(value) => Some(i64::from(*value)),
        ReplyRef::Error(_) => None,
        _ => number::parse_i64(reply.as_bytes()?),
    }
}

macro_rules! from_integer {
    ($($type:ty),*) => {$(
        impl FromReply for $type {
            #[inline]
            fn from_ref(reply: ReplyRef<'_>) -> Result<Self, ReplyError> {
                integer(&reply)
                    .and_then(|value| value.try_into().ok())
                    .ok_or_else(|| ReplyError::unexpected(concat!("an integer that fits ", stringify!($type)), &reply))
            }
        }
    )*};
}

from_integer!(i8, i16, i32, i64, i128, isize, u16, u32, usize);

impl FromReply for u64 {
    fn from_ref(reply: ReplyRef<'_>) -> Result<Self, ReplyError> {
        // BITFIELD and cursors may be larger than a signed number holds.
        let text = || core::str::from_utf8(reply.as_bytes()?).ok()?.parse().ok();
        integer(&reply)
            .and_then(|value| value.try_into().ok())
            .or_else(text)
            .ok_or_else(|| ReplyError::unexpected("an integer that fits u64", &reply))
    }
}

impl FromReply for u8 {
    fn from_ref(reply: ReplyRef<'_>) -> Result<Self, ReplyError> {
        integer(&reply)
            .and_then(|value| value.try_into().ok())
            .ok_or_else(|| ReplyError::unexpected("an integer that fits u8", &reply))
    }

    fn list_from_text(text: &[u8]) -> Option<Vec<Self>> {
        Some(text.to_vec())
    }
}

impl FromReply for f64 {
    fn from_ref(reply: ReplyRef<'_>) -> Result<Self, ReplyError> {
        match &reply {
            ReplyRef::Double(value) => Ok(*value),
            ReplyRef::Integer(value) => Ok(*value as Self),
            _ => reply
                .as_bytes()
                .and_then(number::parse_f64)
                .ok_or_else(|| ReplyError::unexpected("a number", &reply)),
        }
    }
}

impl FromReply for f32 {
    fn from_ref(reply: ReplyRef<'_>) -> Result<Self, ReplyError> {
        f64::from_ref(reply).map(|value| value as Self)
    }
}

impl<T: FromReply> FromReply for Option<T> {
    fn from_ref(reply: ReplyRef<'_>) -> Result<Self, ReplyError> {
        match reply {
            ReplyRef::Null => Ok(None),
            other => T::from_ref(other).map(Some),
        }
    }

    #[inline]
    fn from_reply(reply: Reply) -> Result<Self, ReplyError> {
        match reply {
            Reply::Null => Ok(None),
            other => T::from_reply(other).map(Some),
        }
    }
}

/// Refusals as values: what a pipeline's or transaction's elements may be.
impl<T: FromReply> FromReply for Result<T, ServerError> {
    fn from_ref(reply: ReplyRef<'_>) -> Result<Self, ReplyError> {
        match reply {
            ReplyRef::Error(line) => Ok(Err(ServerError::from_line(line))),
            other => T::from_ref(other).map(Ok),
        }
    }

    fn from_reply(reply: Reply) -> Result<Self, ReplyError> {
        match reply {
            Reply::Error(error) => Ok(Err(error)),
            other => T::from_reply(other).map(Ok),
        }
    }
}

impl<T: FromReply> FromReply for Vec<T> {
    fn from_ref(reply: ReplyRef<'_>) -> Result<Self, ReplyError> {
        if let Some(elements) = reply.elements() {
            return T::from_elements(elements);
        }
        reply.as_bytes().and_then(T::list_from_text).ok_or_else(|| ReplyError::unexpected("a list", &reply))
    }
}

impl<T: FromReply + Ord> FromReply for BTreeSet<T> {
    fn from_ref(reply: ReplyRef<'_>) -> Result<Self, ReplyError> {
        Vec::from_ref(reply).map(|list| list.into_iter().collect())
    }
}

impl<K: FromReply + Ord, V: FromReply> FromReply for BTreeMap<K, V> {
    fn from_ref(reply: ReplyRef<'_>) -> Result<Self, ReplyError> {
        Vec::<(K, V)>::from_ref(reply).map(|list| list.into_iter().collect())
    }
}

/// True when every element is a list of `arity` elements: pairs that came as pairs, not as a flat list.
fn is_nested(elements: &Elements<'_>, arity: usize) -> bool {
    elements.clone().all(
        |element| matches!(&element, ReplyRef::Array(inner) | ReplyRef::Set(inner) if inner.len() == arity),
    )
}

macro_rules! from_tuple {
    ($arity:literal, $expected:literal: $($name:ident)*) => {
        impl<$($name: FromReply),*> FromReply for ($($name,)*) {
            fn from_ref(reply: ReplyRef<'_>) -> Result<Self, ReplyError> {
                match reply.elements() {
                    Some(mut elements) if elements.len() == $arity => {
                        Ok(($($name::from_ref(elements.next().unwrap_or(ReplyRef::Null))?,)*))
                    }
                    _ => Err(ReplyError::unexpected($expected, &reply)),
                }
            }

            fn from_elements(mut elements: Elements<'_>) -> Result<Vec<Self>, ReplyError> {
                if is_nested(&elements, $arity) {
                    return elements.map(Self::from_ref).collect();
                }
                if elements.len() % $arity != 0 {
                    let odd = elements.next().unwrap_or(ReplyRef::Null);
                    return Err(ReplyError::unexpected($expected, &odd));
                }
                let mut list = Vec::with_capacity(elements.len() / $arity);
                while let Some(first) = elements.next() {
                    let mut first = Some(first);
                    list.push(($(
                        $name::from_ref(first.take().or_else(|| elements.next()).unwrap_or(ReplyRef::Null))?,
                    )*));
                }
                Ok(list)
            }
        }
    };
}

from_tuple!(2, "a list of 2": A B);
from_tuple!(3, "a list of 3": A B C);
from_tuple!(4, "a list of 4": A B C D);
from_tuple!(5, "a list of 5": A B C D E);
from_tuple!(6, "a list of 6": A B C D E F);
