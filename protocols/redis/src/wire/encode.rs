//! Replies, written.

use alloc::vec::Vec;

use bytes::{Bytes, BytesMut};

use super::number::{self, MAX_DIGITS};
use super::reply::{ReplyRef, ServerError};

/// Which version of RESP a connection speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// RESP2: strings, integers, errors, arrays. Every connection starts with it.
    #[default]
    Resp2,
    /// RESP3: maps, sets, doubles, booleans, pushes as well. Switched to by `HELLO 3`.
    Resp3,
}

/// A reply to be sent: a tree, because whoever answers builds it piece by piece.
///
/// For a connection that speaks RESP2, [`encode`] writes what Redis itself writes there: a map as an array of keys and values, a
/// double as a string, true as 1.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Nothing, where a string might have been.
    Null,
    /// Nothing, where an array might have been: RESP2 tells the two apart.
    NullArray,
    /// True or false; 1 or 0 in RESP2.
    Boolean(bool),
    /// A 64-bit integer.
    Integer(i64),
    /// A double; a string in RESP2.
    Double(f64),
    /// An integer of any size, in decimal digits; a string in RESP2.
    BigNumber(Bytes),
    /// A status without CR or LF; either is sent as a space.
    Simple(Bytes),
    /// A string of any bytes.
    Bulk(Bytes),
    /// A text with its format; a string in RESP2.
    Verbatim([u8; 3], Bytes),
    /// A refusal. CR and LF are sent as spaces.
    Error(ServerError),
    /// Elements in order.
    Array(Vec<Value>),
    /// Elements without order; an array in RESP2.
    Set(Vec<Value>),
    /// Elements that answer no command; an array in RESP2.
    Push(Vec<Value>),
    /// Keys and values; an array of both in turn in RESP2.
    Map(Vec<(Value, Value)>),
}

impl Value {
    /// The status `OK`.
    pub const OK: Self = Self::Simple(Bytes::from_static(b"OK"));

    /// A bulk string that is a copy of `bytes`.
    pub fn bulk(bytes: impl AsRef<[u8]>) -> Self {
        Self::Bulk(Bytes::copy_from_slice(bytes.as_ref()))
    }

    /// An error of the whole line `text`, code first.
    pub fn error(text: &str) -> Self {
        Self::Error(ServerError::from(text))
    }
}

impl From<ReplyRef<'_>> for Value {
    fn from(reply: ReplyRef<'_>) -> Self {
        match reply {
            ReplyRef::Null => Self::Null,
            ReplyRef::Boolean(value) => Self::Boolean(value),
            ReplyRef::Integer(value) => Self::Integer(value),
            ReplyRef::Double(value) => Self::Double(value),
            ReplyRef::BigNumber(digits) => Self::BigNumber(digits.to_bytes()),
            ReplyRef::Simple(text) => Self::Simple(text.to_bytes()),
            ReplyRef::Bulk(text) => Self::Bulk(text.to_bytes()),
            ReplyRef::Verbatim { format, text } => Self::Verbatim(format, text.to_bytes()),
            ReplyRef::Error(line) => Self::Error(ServerError::from_line(line)),
            // Recursion is as deep as the decoder allowed.
            ReplyRef::Array(elements) => Self::Array(elements.map(Self::from).collect()),
            ReplyRef::Set(elements) => Self::Set(elements.map(Self::from).collect()),
            ReplyRef::Push(elements) => Self::Push(elements.map(Self::from).collect()),
            ReplyRef::Map(entries) => {
                Self::Map(entries.map(|(key, value)| (key.into(), value.into())).collect())
            }
        }
    }
}

/// Appends `value` as `protocol` writes it.
pub fn encode(value: &Value, protocol: Protocol, out: &mut BytesMut) {
    let resp3 = protocol == Protocol::Resp3;
    match value {
        Value::Null => out.extend_from_slice(if resp3 { b"_\r\n" } else { b"$-1\r\n" }),
        Value::NullArray => out.extend_from_slice(if resp3 { b"_\r\n" } else { b"*-1\r\n" }),
        Value::Boolean(true) => out.extend_from_slice(if resp3 { b"#t\r\n" } else { b":1\r\n" }),
        Value::Boolean(false) => out.extend_from_slice(if resp3 { b"#f\r\n" } else { b":0\r\n" }),
        Value::Integer(number) => {
            out.extend_from_slice(b":");
            out.extend_from_slice(number::format_i64(*number, &mut [0; MAX_DIGITS]));
            out.extend_from_slice(b"\r\n");
        }
        Value::Double(number) => {
            let text = number::format_f64(*number);
            if resp3 { line(b',', text.as_bytes(), out) } else { bulk(b'$', text.as_bytes(), out) }
        }
        Value::BigNumber(digits) if resp3 => line(b'(', digits, out),
        Value::Simple(text) => line(b'+', text, out),
        Value::Verbatim(format, text) if resp3 => {
            header(b'=', text.len() + 4, out);
            out.extend_from_slice(format);
            out.extend_from_slice(b":");
            out.extend_from_slice(text);
            out.extend_from_slice(b"\r\n");
        }
        Value::BigNumber(text) | Value::Bulk(text) | Value::Verbatim(_, text) => bulk(b'$', text, out),
        Value::Error(error) => line(b'-', error.text().as_bytes(), out),
        Value::Array(elements) => all(b'*', elements, protocol, out),
        Value::Set(elements) => all(if resp3 { b'~' } else { b'*' }, elements, protocol, out),
        Value::Push(elements) => all(if resp3 { b'>' } else { b'*' }, elements, protocol, out),
        Value::Map(entries) => {
            let len = entries.len();
            let (first, count) = if resp3 { (b'%', len) } else { (b'*', len * 2) };
            header(first, count, out);
            for (key, value) in entries {
                encode(key, protocol, out);
                encode(value, protocol, out);
            }
        }
    }
}

/// A type byte, a number, CR LF.
#[inline]
pub(crate) fn header(first: u8, len: usize, out: &mut BytesMut) {
    let mut digits = [0; MAX_DIGITS];
    let digits = number::format_u64(len as u64, &mut digits);
    let mut line = [0; MAX_DIGITS + 3];
    line[0] = first;
    line[1..=digits.len()].copy_from_slice(digits);
    line[digits.len() + 1..digits.len() + 3].copy_from_slice(b"\r\n");
    out.extend_from_slice(&line[..digits.len() + 3]);
}

fn bulk(first: u8, text: &[u8], out: &mut BytesMut) {
    out.reserve(text.len() + MAX_DIGITS + 5);
    header(first, text.len(), out);
    out.extend_from_slice(text);
    out.extend_from_slice(b"\r\n");
}

/// A line may not hold its own end.
fn line(first: u8, text: &[u8], out: &mut BytesMut) {
    out.extend_from_slice(&[first]);
    let start = out.len();
    out.extend_from_slice(text);
    for byte in &mut out[start..] {
        if matches!(byte, b'\r' | b'\n') {
            *byte = b' ';
        }
    }
    out.extend_from_slice(b"\r\n");
}

fn all(first: u8, elements: &[Value], protocol: Protocol, out: &mut BytesMut) {
    header(first, elements.len(), out);
    for element in elements {
        encode(element, protocol, out);
    }
}
