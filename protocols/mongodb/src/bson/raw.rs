//! A document read in place.

use core::fmt;

use memchr::memchr;

use super::types::{CodeWithScope, DbPointer, ElementType, ObjectId, Regex, Timestamp};
use super::{Binary, BinarySubtype, DateTime, Decimal128, JsonMode, Value};
use crate::error::{DecodeError, Reason};

/// A document that borrows its bytes.
///
/// Making one checks the frame alone: the length field and the last byte. What is inside is checked as it is read, so
/// looking at two fields of a long document costs two fields; [`validate`](Self::validate) checks the whole at once.
/// Nothing here recurses and nothing allocates.
///
/// ```
/// use glowplug_mongodb::bson::{Doc, Value};
/// let doc = Doc::new(b"\x0c\0\0\0\x10n\0\x07\0\0\0\0")?;
/// assert_eq!(doc.get("n")?, Some(Value::Int32(7)));
/// # Ok::<(), glowplug_mongodb::DecodeError>(())
/// ```
#[derive(Clone, Copy)]
pub struct Doc<'a> {
    bytes: &'a [u8],
}

/// The shortest document: a length and a terminator.
const EMPTY: &[u8] = &[5, 0, 0, 0, 0];

/// A little-endian `i32` at the front of `bytes`.
#[inline]
pub(crate) fn read_i32(bytes: &[u8]) -> Option<i32> {
    bytes.first_chunk().map(|chunk| i32::from_le_bytes(*chunk))
}

impl<'a> Doc<'a> {
    /// The document without elements.
    pub const EMPTY: Doc<'static> = Doc { bytes: EMPTY };

    /// The document that is exactly `bytes`.
    #[inline]
    pub fn new(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let (doc, rest) = Self::split_from(bytes)?;
        if rest.is_empty() { Ok(doc) } else { Err(DecodeError::new(doc.len(), Reason::TrailingBytes)) }
    }

    /// The document at the front of `bytes`, and what comes behind it.
    #[inline]
    pub fn split_from(bytes: &'a [u8]) -> Result<(Self, &'a [u8]), DecodeError> {
        let Some(len) = read_i32(bytes) else { return Err(DecodeError::new(bytes.len(), Reason::Truncated)) };
        let len = usize::try_from(len).map_err(|_| DecodeError::new(0, Reason::BadLength))?;
        if len < EMPTY.len() {
            return Err(DecodeError::new(0, Reason::BadLength));
        }
        let Some((bytes, rest)) = bytes.split_at_checked(len) else {
            return Err(DecodeError::new(bytes.len(), Reason::Truncated));
        };
        if bytes[len - 1] != 0 {
            return Err(DecodeError::new(len - 1, Reason::MissingTerminator));
        }
        Ok((Self { bytes }, rest))
    }

    /// A document whose frame is known to be right.
    #[inline]
    pub(crate) fn trusted(bytes: &'a [u8]) -> Self {
        debug_assert!(Doc::new(bytes).is_ok());
        Self { bytes }
    }

    /// The whole document, length field and terminator included.
    #[inline]
    pub const fn as_bytes(self) -> &'a [u8] {
        self.bytes
    }

    /// How many bytes the document has, frame included.
    #[inline]
    #[allow(clippy::len_without_is_empty, reason = "a document is never zero bytes long; see has_elements")]
    pub const fn len(self) -> usize {
        self.bytes.len()
    }

    /// True when there is at least one element.
    #[inline]
    pub const fn has_elements(self) -> bool {
        self.bytes.len() > EMPTY.len()
    }

    /// The elements, without the frame.
    pub(crate) fn elements(self) -> &'a [u8] {
        &self.bytes[4..self.bytes.len() - 1]
    }

    /// The elements in order, duplicates included.
    #[inline]
    pub fn iter(self) -> Iter<'a> {
        Iter { raw: self.raw_iter() }
    }

    /// The elements in order with their values undecoded.
    #[inline]
    pub fn raw_iter(self) -> RawIter<'a> {
        self.raw_iter_from(4)
    }

    /// The elements from a place that [`RawIter::offset`] gave.
    pub(crate) fn raw_iter_from(self, at: usize) -> RawIter<'a> {
        let end = self.bytes.len() - 1;
        RawIter { rest: self.bytes.get(at..end).unwrap_or_default(), end }
    }

    /// The value of the first element named `key`. Elements before it are stepped over without being decoded.
    #[inline]
    pub fn get(self, key: &str) -> Result<Option<Value<'a>>, DecodeError> {
        self.get_raw(key)?.map(|element| element.value()).transpose()
    }

    /// The first element named `key`, with its value undecoded.
    #[inline]
    pub fn get_raw(self, key: &str) -> Result<Option<RawElement<'a>>, DecodeError> {
        let mut elements = self.raw_iter();
        while let Some(element) = elements.next_element()? {
            if element.key_bytes() == key.as_bytes() {
                return Ok(Some(element));
            }
        }
        Ok(None)
    }

    /// Like [`get`](Self::get), with a malformed document counting as one without the element.
    #[inline]
    pub fn find(self, key: &str) -> Option<Value<'a>> {
        self.get(key).ok().flatten()
    }

    /// The text named `key`, if there is one and it is a string.
    pub fn get_str(self, key: &str) -> Option<&'a str> {
        self.find(key).and_then(Value::as_str)
    }

    /// The number named `key` as a whole number, if there is one that is whole: see [`Value::as_i64`].
    pub fn get_i64(self, key: &str) -> Option<i64> {
        self.find(key).and_then(Value::as_i64)
    }

    /// The number named `key`, if there is one: see [`Value::as_f64`].
    pub fn get_f64(self, key: &str) -> Option<f64> {
        self.find(key).and_then(Value::as_f64)
    }

    /// The boolean named `key`, if there is one.
    pub fn get_bool(self, key: &str) -> Option<bool> {
        self.find(key).and_then(Value::as_bool)
    }

    /// The document named `key`, if there is one.
    pub fn get_doc(self, key: &str) -> Option<Self> {
        self.find(key).and_then(Value::as_doc)
    }

    /// The array named `key`, if there is one.
    pub fn get_array(self, key: &str) -> Option<Array<'a>> {
        self.find(key).and_then(Value::as_array)
    }

    /// True for a reply to a command that says `ok: 1`, whichever numeric type (or boolean) it came as.
    pub fn is_ok(self) -> bool {
        match self.find("ok") {
            Some(Value::Boolean(ok)) => ok,
            Some(value) => value.as_f64().is_some_and(|ok| (ok - 1.0).abs() < f64::EPSILON),
            None => false,
        }
    }
}

impl<'a> IntoIterator for Doc<'a> {
    type Item = Result<(&'a str, Value<'a>), DecodeError>;
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

/// Byte equality: the same elements of the same types in the same order.
impl PartialEq for Doc<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl Eq for Doc<'_> {}

/// Relaxed extended JSON; a malformed document shows its error instead.
impl fmt::Display for Doc<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.to_json(JsonMode::Relaxed) {
            Ok(json) => f.write_str(&json),
            Err(error) => write!(f, "<malformed document: {error}>"),
        }
    }
}

impl fmt::Debug for Doc<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// An array that borrows its bytes: a document whose keys are not looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Array<'a>(Doc<'a>);

impl<'a> Array<'a> {
    /// The array whose elements are those of `doc`, in order, whatever their keys.
    pub const fn from_doc(doc: Doc<'a>) -> Self {
        Self(doc)
    }

    /// The array as the document that it is on the wire.
    pub const fn as_doc(self) -> Doc<'a> {
        self.0
    }

    /// The values in order.
    #[inline]
    pub fn iter(self) -> impl Iterator<Item = Result<Value<'a>, DecodeError>> + Clone {
        Values { raw: self.0.raw_iter() }
    }

    /// The values that are documents, in order; others and malformed ones end the walk.
    pub fn docs(self) -> impl Iterator<Item = Doc<'a>> + Clone {
        self.iter().map_while(|value| value.ok().and_then(Value::as_doc))
    }
}

/// The elements of a [`Doc`]: name and value. After an error there are no more.
#[derive(Clone, Debug)]
pub struct Iter<'a> {
    raw: RawIter<'a>,
}

impl<'a> Iterator for Iter<'a> {
    type Item = Result<(&'a str, Value<'a>), DecodeError>;

    #[inline(always)]
    #[allow(clippy::inline_always, reason = "see RawIter::usual")]
    fn next(&mut self) -> Option<Self::Item> {
        if let Some((key, value, rest)) = self.raw.usual()
            && let Ok(key) = core::str::from_utf8(key)
        {
            self.raw.rest = rest;
            return Some(Ok((key, value)));
        }
        // Not a function of its own: one that returns a value makes the usual ones go through memory, too.
        match self.raw.next_element() {
            Ok(Some(element)) => match (element.key(), element.value()) {
                (Ok(key), Ok(value)) => Some(Ok((key, value))),
                (Err(error), _) | (_, Err(error)) => {
                    self.raw.end();
                    Some(Err(error))
                }
            },
            Ok(None) => None,
            Err(error) => Some(Err(error)),
        }
    }
}

/// The values of an [`Array`]. After one that is malformed come those behind it, if they can be found.
#[derive(Clone, Debug)]
struct Values<'a> {
    raw: RawIter<'a>,
}

impl<'a> Iterator for Values<'a> {
    type Item = Result<Value<'a>, DecodeError>;

    #[inline(always)]
    #[allow(clippy::inline_always, reason = "see RawIter::usual")]
    fn next(&mut self) -> Option<Self::Item> {
        self.raw.next_value()
    }
}

/// The elements of a [`Doc`], stepped over but not decoded. After an error there are no more.
#[derive(Clone, Debug)]
pub struct RawIter<'a> {
    /// The elements that were not stepped over yet.
    rest: &'a [u8],
    /// Where they end in the document.
    end: usize,
}

impl<'a> RawIter<'a> {
    /// The next element. Lengths and types are checked, text and nested documents are not.
    #[inline]
    pub fn next_element(&mut self) -> Result<Option<RawElement<'a>>, DecodeError> {
        let Some((kind, rest)) = self.rest.split_first() else { return Ok(None) };
        match self.step(*kind, rest) {
            Ok(element) => Ok(Some(element)),
            Err(error) => {
                self.end();
                Err(error)
            }
        }
    }

    /// The next value, whatever its name.
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "see RawIter::usual")]
    pub(crate) fn next_value(&mut self) -> Option<Result<Value<'a>, DecodeError>> {
        if let Some((_, value, rest)) = self.usual() {
            self.rest = rest;
            return Some(Ok(value));
        }
        self.next_element().transpose().map(|element| element.and_then(|element| element.value()))
    }

    /// The next element's name, its value and what comes behind it, if it is of one of the types that documents are mostly made of and
    /// all is well. Otherwise nothing has happened: measuring and decoding apart says what is wrong, or knows the type.
    #[inline(always)]
    #[allow(
        clippy::inline_always,
        reason = "a value handed over in memory takes as long as all the rest of a step"
    )]
    fn usual(&self) -> Option<(&'a [u8], Value<'a>, &'a [u8])> {
        let (kind, rest) = self.rest.split_first()?;
        let (key, rest) = split_zero(rest)?;
        Some(match kind {
            0x01 => {
                let (number, rest) = rest.split_first_chunk()?;
                (key, Value::Double(f64::from_le_bytes(*number)), rest)
            }
            0x02 => {
                let (len, rest) = rest.split_first_chunk()?;
                let (text, rest) = rest.split_at_checked(u32::from_le_bytes(*len) as usize)?;
                let (0, text) = text.split_last()? else { return None };
                (key, Value::String(core::str::from_utf8(text).ok()?), rest)
            }
            0x03 => {
                let (doc, rest) = split_doc(rest)?;
                (key, Value::Document(doc), rest)
            }
            0x04 => {
                let (doc, rest) = split_doc(rest)?;
                (key, Value::Array(Array(doc)), rest)
            }
            0x07 => {
                let (id, rest) = rest.split_first_chunk()?;
                (key, Value::ObjectId(ObjectId::from_bytes(*id)), rest)
            }
            0x08 => match rest.split_first()? {
                (0, rest) => (key, Value::Boolean(false), rest),
                (1, rest) => (key, Value::Boolean(true), rest),
                _ => return None,
            },
            0x09 => {
                let (millis, rest) = rest.split_first_chunk()?;
                (key, Value::DateTime(DateTime::from_millis(i64::from_le_bytes(*millis))), rest)
            }
            0x0a => (key, Value::Null, rest),
            0x10 => {
                let (number, rest) = rest.split_first_chunk()?;
                (key, Value::Int32(i32::from_le_bytes(*number)), rest)
            }
            0x12 => {
                let (number, rest) = rest.split_first_chunk()?;
                (key, Value::Int64(i64::from_le_bytes(*number)), rest)
            }
            _ => return None,
        })
    }

    #[inline]
    fn step(&mut self, kind: u8, rest: &'a [u8]) -> Result<RawElement<'a>, DecodeError> {
        let at = self.offset();
        let kind =
            ElementType::from_byte(kind).ok_or(DecodeError::new(at, Reason::UnknownElementType(kind)))?;
        let (key, rest) = split_zero(rest).ok_or(DecodeError::new(at + 1, Reason::MissingTerminator))?;
        let at = at + 1 + key.len() + 1;
        let len = value_len(kind, rest).map_err(|error| error.shifted(at))?;
        let Some((value, rest)) = rest.split_at_checked(len) else {
            return Err(DecodeError::new(at, Reason::BadLength));
        };
        self.rest = rest;
        Ok(RawElement { kind, key, value, at })
    }

    /// Where the next element starts.
    #[inline]
    pub(crate) fn offset(&self) -> usize {
        self.end - self.rest.len()
    }

    fn end(&mut self) {
        self.rest = &[];
    }
}

impl<'a> Iterator for RawIter<'a> {
    type Item = Result<RawElement<'a>, DecodeError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        self.next_element().transpose()
    }
}

/// What lies before the first zero byte and what lies behind it. Most names are shorter than eight bytes, for which one word is looked at as
/// a whole; the general search costs more to begin than they do to read.
#[inline]
fn split_zero(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    const LOW: u64 = u64::from_ne_bytes([0x01; 8]);
    const HIGH: u64 = u64::from_ne_bytes([0x80; 8]);
    let zero = match bytes.first_chunk() {
        None => bytes.iter().position(|byte| *byte == 0)?,
        Some(chunk) => {
            let word = u64::from_le_bytes(*chunk);
            // The lowest high bit that is set belongs to the first zero byte; those above it may be wrong.
            match word.wrapping_sub(LOW) & !word & HIGH {
                0 => 8 + memchr(0, &bytes[8..])?,
                zeros => (zeros.trailing_zeros() / 8) as usize,
            }
        }
    };
    Some((bytes.get(..zero)?, bytes.get(zero + 1..)?))
}

/// The document at the front of `bytes`, if its frame is right, and what comes behind it.
#[inline]
fn split_doc(bytes: &[u8]) -> Option<(Doc<'_>, &[u8])> {
    let len = u32::from_le_bytes(*bytes.first_chunk()?) as usize;
    let (bytes, rest) = bytes.split_at_checked(len)?;
    (len >= EMPTY.len() && bytes.last() == Some(&0)).then_some((Doc { bytes }, rest))
}

/// How long the value at the front of `rest` is; it may claim more than there is, never less than its own frame.
#[inline]
fn value_len(kind: ElementType, rest: &[u8]) -> Result<usize, DecodeError> {
    let counted = |before: usize, least: usize| {
        let len = read_i32(rest).ok_or(DecodeError::new(rest.len(), Reason::Truncated))?;
        match usize::try_from(len) {
            Ok(len) if len >= least => Ok(before + len),
            _ => Err(DecodeError::new(0, Reason::BadLength)),
        }
    };
    Ok(match kind {
        ElementType::Null | ElementType::Undefined | ElementType::MinKey | ElementType::MaxKey => 0,
        ElementType::Boolean => 1,
        ElementType::Int32 => 4,
        ElementType::Double | ElementType::DateTime | ElementType::Timestamp | ElementType::Int64 => 8,
        ElementType::ObjectId => 12,
        ElementType::Decimal128 => 16,
        ElementType::String | ElementType::Code | ElementType::Symbol => counted(4, 1)?,
        ElementType::Document | ElementType::Array => counted(0, EMPTY.len())?,
        // A length, an empty string and an empty document.
        ElementType::CodeWithScope => counted(0, 4 + 5 + EMPTY.len())?,
        ElementType::Binary => counted(5, 0)?,
        ElementType::DbPointer => counted(4 + 12, 1)?,
        ElementType::Regex => {
            let missing = DecodeError::new(0, Reason::MissingTerminator);
            let pattern = memchr(0, rest).ok_or(missing)? + 1;
            pattern + memchr(0, &rest[pattern..]).ok_or(missing)? + 1
        }
    })
}

/// One element of a document: its type, its name and the bytes of its value.
#[derive(Clone, Copy, Debug)]
pub struct RawElement<'a> {
    kind: ElementType,
    key: &'a [u8],
    value: &'a [u8],
    at: usize,
}

impl<'a> RawElement<'a> {
    /// The type of the value.
    pub const fn element_type(&self) -> ElementType {
        self.kind
    }

    /// The name as it came, perhaps not UTF-8.
    pub const fn key_bytes(&self) -> &'a [u8] {
        self.key
    }

    /// The name.
    #[inline]
    pub fn key(&self) -> Result<&'a str, DecodeError> {
        utf8(self.key).map_err(|error| error.shifted(self.at - 1 - self.key.len()))
    }

    /// The bytes of the value.
    pub const fn value_bytes(&self) -> &'a [u8] {
        self.value
    }

    /// Where the bytes of the value start in the document.
    pub const fn value_offset(&self) -> usize {
        self.at
    }

    /// The value, decoded; a nested document has its frame checked.
    #[inline]
    pub fn value(&self) -> Result<Value<'a>, DecodeError> {
        decode_value(self.kind, self.value).map_err(|error| error.shifted(self.at))
    }
}

#[inline]
fn utf8(bytes: &[u8]) -> Result<&str, DecodeError> {
    // Most names and many strings are short and ASCII, for which this is cheaper than the general check.
    core::str::from_utf8(bytes).map_err(|error| DecodeError::new(error.valid_up_to(), Reason::InvalidUtf8))
}

/// A string: length, text, zero byte, filling `bytes`.
#[inline]
fn string(bytes: &[u8]) -> Result<&str, DecodeError> {
    match bytes[4..].split_last() {
        Some((0, text)) => utf8(text).map_err(|error| error.shifted(4)),
        _ => Err(DecodeError::new(bytes.len().saturating_sub(1), Reason::MissingTerminator)),
    }
}

/// The first `N` bytes of a value whose length was measured for its type.
#[inline]
fn fixed<const N: usize>(bytes: &[u8]) -> Result<[u8; N], DecodeError> {
    bytes.first_chunk().copied().ok_or(DecodeError::new(bytes.len(), Reason::Truncated))
}

/// Decodes `bytes`, which [`value_len`] has measured for `kind`.
#[inline]
pub(crate) fn decode_value(kind: ElementType, bytes: &[u8]) -> Result<Value<'_>, DecodeError> {
    Ok(match kind {
        ElementType::Double => Value::Double(f64::from_le_bytes(fixed(bytes)?)),
        ElementType::String => Value::String(string(bytes)?),
        ElementType::Document => Value::Document(Doc::new(bytes)?),
        ElementType::Array => Value::Array(Array(Doc::new(bytes)?)),
        ElementType::Binary => Value::Binary(binary(bytes)?),
        ElementType::Undefined => Value::Undefined,
        ElementType::ObjectId => Value::ObjectId(ObjectId::from_bytes(fixed(bytes)?)),
        ElementType::Boolean => match bytes {
            [0] => Value::Boolean(false),
            [1] => Value::Boolean(true),
            _ => return Err(DecodeError::new(0, Reason::BadBoolean)),
        },
        ElementType::DateTime => Value::DateTime(DateTime::from_millis(i64::from_le_bytes(fixed(bytes)?))),
        ElementType::Null => Value::Null,
        ElementType::Regex => {
            let missing = DecodeError::new(0, Reason::MissingTerminator);
            let split = memchr(0, bytes).ok_or(missing)?;
            let options = bytes[split + 1..].strip_suffix(&[0]).ok_or(missing)?;
            Value::Regex(Regex {
                pattern: utf8(&bytes[..split])?,
                options: utf8(options).map_err(|error| error.shifted(split + 1))?,
            })
        }
        ElementType::DbPointer => {
            let split = bytes.len() - 12;
            Value::DbPointer(DbPointer {
                namespace: string(&bytes[..split])?,
                id: ObjectId::from_bytes(fixed(&bytes[split..])?),
            })
        }
        ElementType::Code => Value::Code(string(bytes)?),
        ElementType::Symbol => Value::Symbol(string(bytes)?),
        ElementType::CodeWithScope => code_with_scope(bytes)?,
        ElementType::Int32 => Value::Int32(i32::from_le_bytes(fixed(bytes)?)),
        ElementType::Timestamp => Value::Timestamp(Timestamp::from_u64(u64::from_le_bytes(fixed(bytes)?))),
        ElementType::Int64 => Value::Int64(i64::from_le_bytes(fixed(bytes)?)),
        ElementType::Decimal128 => Value::Decimal128(Decimal128::from_bytes(fixed(bytes)?)),
        ElementType::MinKey => Value::MinKey,
        ElementType::MaxKey => Value::MaxKey,
    })
}

fn binary(bytes: &[u8]) -> Result<Binary<'_>, DecodeError> {
    let subtype = BinarySubtype(bytes[4]);
    let bytes = &bytes[5..];
    if subtype != BinarySubtype::BINARY_OLD {
        return Ok(Binary { subtype, bytes });
    }
    // bsonspec.org: the old binary subtype has a second length inside, which must agree with the first.
    match read_i32(bytes) {
        Some(len) if usize::try_from(len).is_ok_and(|len| len == bytes.len() - 4) => {
            Ok(Binary { subtype, bytes: &bytes[4..] })
        }
        _ => Err(DecodeError::new(5, Reason::BadLength)),
    }
}

fn code_with_scope(bytes: &[u8]) -> Result<Value<'_>, DecodeError> {
    let code_len = value_len(ElementType::String, &bytes[4..]).map_err(|error| error.shifted(4))?;
    let Some((code, scope)) = bytes[4..].split_at_checked(code_len) else {
        return Err(DecodeError::new(4, Reason::BadLength));
    };
    Ok(Value::CodeWithScope(CodeWithScope {
        code: string(code).map_err(|error| error.shifted(4))?,
        scope: Doc::new(scope).map_err(|error| error.shifted(4 + code_len))?,
    }))
}
