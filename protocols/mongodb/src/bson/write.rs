//! Documents written in place.

use super::types::{
    Binary, BinarySubtype, CodeWithScope, DateTime, DbPointer, ElementType, ObjectId, Regex, Timestamp,
};
use super::{Array, Decimal128, Doc, Document, RawDocument, Value};
use crate::error::EncodeError;

/// The longest document that is written: what an `i32` can say, less some room for the frames around it.
const MAX_LEN: usize = i32::MAX as usize - (1 << 20);

/// Appends elements to a document; its length and terminator are written when it is dropped.
///
/// Nested documents are written through writers that borrow this one, so the bytes are written once and in order:
///
/// ```
/// use glowplug_mongodb::bson::Document;
/// let mut document = Document::new();
/// let mut writer = document.writer();
/// writer.append("a", 1);
/// writer.array("b").push("x").push("y");
/// writer.document("c").append("d", true);
/// drop(writer);
/// assert_eq!(document.to_string(), r#"{"a":1,"b":["x","y"],"c":{"d":true}}"#);
/// ```
#[derive(Debug)]
#[must_use = "a writer that is not written to leaves an empty document"]
pub struct Writer<'a> {
    buf: &'a mut Vec<u8>,
    /// Where this document's length field lies.
    start: usize,
}

impl<'a> Writer<'a> {
    /// Begins a document at the end of `buf`.
    #[inline]
    pub fn new(buf: &'a mut Vec<u8>) -> Self {
        let start = buf.len();
        buf.extend_from_slice(&[0; 4]);
        Self { buf, start }
    }

    /// Goes on with a document that starts at `start` and whose terminator was taken off.
    #[inline]
    pub(super) fn resume(buf: &'a mut Vec<u8>, start: usize) -> Self {
        Self { buf, start }
    }

    /// Appends an element. A key that is there already is kept: BSON allows duplicates.
    ///
    /// # Panics
    ///
    /// When `key` contains a zero byte, `value` cannot be written, or the document becomes too long. Where these come from
    /// somebody else, use [`try_append`](Self::try_append).
    #[inline]
    #[track_caller]
    pub fn append(&mut self, key: impl AsRef<str>, value: impl ToBson) -> &mut Self {
        let key = key.as_ref();
        if let Err(error) = self.try_append(key, value) {
            cannot_append(key, &error);
        }
        self
    }

    /// Appends an element, or leaves the document as it was and says why.
    #[inline]
    pub fn try_append(&mut self, key: &str, value: impl ToBson) -> Result<(), EncodeError> {
        check_key(key)?;
        self.put(key.as_bytes(), value)
    }

    /// Begins a nested document named `key`. Panics like [`append`](Self::append).
    #[inline]
    #[track_caller]
    pub fn document(&mut self, key: impl AsRef<str>) -> Writer<'_> {
        match self.try_document(key.as_ref()) {
            Ok(nested) => nested,
            Err(error) => panic!("cannot append {:?}: {error}", key.as_ref()),
        }
    }

    /// Begins a nested array named `key`. Panics like [`append`](Self::append).
    #[inline]
    #[track_caller]
    pub fn array(&mut self, key: impl AsRef<str>) -> ArrayWriter<'_> {
        match self.try_array(key.as_ref()) {
            Ok(nested) => nested,
            Err(error) => panic!("cannot append {:?}: {error}", key.as_ref()),
        }
    }

    /// Begins a nested document, unless the key cannot be written.
    pub fn try_document(&mut self, key: &str) -> Result<Writer<'_>, EncodeError> {
        check_key(key)?;
        self.open(ElementType::Document, key.as_bytes())
    }

    /// Begins a nested array, unless the key cannot be written.
    pub fn try_array(&mut self, key: &str) -> Result<ArrayWriter<'_>, EncodeError> {
        check_key(key)?;
        Ok(ArrayWriter { writer: self.open(ElementType::Array, key.as_bytes())?, next: 0 })
    }

    /// Appends every element of `doc` as it is.
    pub fn extend(&mut self, doc: Doc<'_>) -> &mut Self {
        self.buf.extend_from_slice(doc.elements());
        self
    }

    /// Appends an element whose key has no zero byte, or leaves the document as it was.
    #[inline]
    fn put(&mut self, key: &[u8], value: impl ToBson) -> Result<(), EncodeError> {
        let before = self.buf.len();
        put_key(self.buf, value.element_type(), key);
        let result = value.write_to(self.buf).and_then(|()| self.check_len());
        if result.is_err() {
            self.buf.truncate(before);
        }
        result
    }

    /// Begins a nested document or array whose key has no zero byte.
    #[inline]
    fn open(&mut self, kind: ElementType, key: &[u8]) -> Result<Writer<'_>, EncodeError> {
        self.check_len()?;
        put_key(self.buf, kind, key);
        Ok(Writer::new(self.buf))
    }

    #[inline]
    fn check_len(&self) -> Result<(), EncodeError> {
        if self.buf.len() - self.start > MAX_LEN { Err(EncodeError::TooLong) } else { Ok(()) }
    }
}

/// Keys end at their first zero byte, so they may not have one inside.
#[inline]
pub(super) fn check_key(key: &str) -> Result<(), EncodeError> {
    // Keys are short: a plain loop beats a search.
    if key.bytes().any(|byte| byte == 0) { Err(EncodeError::ZeroByte) } else { Ok(()) }
}

/// Writes a type and a key that was checked.
#[inline]
pub(super) fn put_key(buf: &mut Vec<u8>, kind: ElementType, key: &[u8]) {
    buf.reserve(key.len() + 2);
    buf.push(kind as u8);
    buf.extend_from_slice(key);
    buf.push(0);
}

#[cold]
#[inline(never)]
#[track_caller]
fn cannot_append(key: &str, error: &EncodeError) -> ! {
    panic!("cannot append {key:?}: {error}")
}

impl Drop for Writer<'_> {
    #[inline]
    fn drop(&mut self) {
        self.buf.push(0);
        let len = (self.buf.len() - self.start) as u32;
        self.buf[self.start..self.start + 4].copy_from_slice(&len.to_le_bytes());
    }
}

/// Appends values to an array; it is finished when it is dropped.
#[derive(Debug)]
#[must_use = "a writer that is not written to leaves an empty array"]
pub struct ArrayWriter<'a> {
    writer: Writer<'a>,
    next: u32,
}

impl<'a> ArrayWriter<'a> {
    /// Begins an array at the end of `buf`.
    pub fn new(buf: &'a mut Vec<u8>) -> Self {
        Self { writer: Writer::new(buf), next: 0 }
    }

    /// Appends a value. Panics like [`Writer::append`].
    #[inline]
    #[track_caller]
    pub fn push(&mut self, value: impl ToBson) -> &mut Self {
        self.try_push(value).unwrap_or_else(|error| cannot_push(&error));
        self
    }

    /// Appends a value, or leaves the array as it was and says why.
    #[inline]
    pub fn try_push(&mut self, value: impl ToBson) -> Result<(), EncodeError> {
        self.writer.put(Index::new(self.next).as_bytes(), value)?;
        self.next += 1;
        Ok(())
    }

    /// Begins a nested document. Panics like [`Writer::append`].
    #[track_caller]
    pub fn document(&mut self) -> Writer<'_> {
        self.try_document().unwrap_or_else(|error| cannot_push(&error))
    }

    /// Begins a nested array. Panics like [`Writer::append`].
    #[track_caller]
    pub fn array(&mut self) -> ArrayWriter<'_> {
        self.try_array().unwrap_or_else(|error| cannot_push(&error))
    }

    /// Begins a nested document, unless the array is too long.
    pub fn try_document(&mut self) -> Result<Writer<'_>, EncodeError> {
        self.open(ElementType::Document)
    }

    /// Begins a nested array, unless the array is too long.
    pub fn try_array(&mut self) -> Result<ArrayWriter<'_>, EncodeError> {
        Ok(ArrayWriter { writer: self.open(ElementType::Array)?, next: 0 })
    }

    #[inline]
    fn open(&mut self, kind: ElementType) -> Result<Writer<'_>, EncodeError> {
        let index = Index::new(self.next);
        self.next += 1;
        self.writer.open(kind, index.as_bytes())
    }
}

#[cold]
#[inline(never)]
#[track_caller]
fn cannot_push(error: &EncodeError) -> ! {
    panic!("cannot push: {error}")
}

/// A number in decimal digits: the key of an array's element.
pub(crate) struct Index {
    digits: [u8; 10],
    start: usize,
}

impl Index {
    #[inline]
    pub(crate) fn new(mut number: u32) -> Self {
        let (mut digits, mut start) = ([b'0'; 10], 10);
        loop {
            start -= 1;
            digits[start] = b'0' + (number % 10) as u8;
            number /= 10;
            if number == 0 {
                return Self { digits, start };
            }
        }
    }

    #[inline]
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.digits[self.start..]
    }
}

/// What can be written as a BSON value.
///
/// `Option::None` is written as null, slices and vectors as arrays. Unsigned 64-bit numbers are left out on purpose: BSON
/// has none, and a silent change of sign would be worse than a cast.
pub trait ToBson {
    /// The type that [`write_to`](Self::write_to) writes.
    fn element_type(&self) -> ElementType;

    /// Appends the value's bytes, without type and key. After an error the buffer may hold a part of them.
    fn write_to(&self, buf: &mut Vec<u8>) -> Result<(), EncodeError>;
}

impl<T: ToBson + ?Sized> ToBson for &T {
    #[inline]
    fn element_type(&self) -> ElementType {
        (**self).element_type()
    }

    #[inline]
    fn write_to(&self, buf: &mut Vec<u8>) -> Result<(), EncodeError> {
        (**self).write_to(buf)
    }
}

impl<T: ToBson> ToBson for Option<T> {
    fn element_type(&self) -> ElementType {
        self.as_ref().map_or(ElementType::Null, ToBson::element_type)
    }

    fn write_to(&self, buf: &mut Vec<u8>) -> Result<(), EncodeError> {
        self.as_ref().map_or(Ok(()), |value| value.write_to(buf))
    }
}

impl<T: ToBson> ToBson for [T] {
    fn element_type(&self) -> ElementType {
        ElementType::Array
    }

    fn write_to(&self, buf: &mut Vec<u8>) -> Result<(), EncodeError> {
        let mut writer = ArrayWriter::new(buf);
        self.iter().try_for_each(|value| writer.try_push(value))
    }
}

impl<T: ToBson> ToBson for Vec<T> {
    fn element_type(&self) -> ElementType {
        ElementType::Array
    }

    fn write_to(&self, buf: &mut Vec<u8>) -> Result<(), EncodeError> {
        self.as_slice().write_to(buf)
    }
}

impl<T: ToBson, const N: usize> ToBson for [T; N] {
    fn element_type(&self) -> ElementType {
        ElementType::Array
    }

    fn write_to(&self, buf: &mut Vec<u8>) -> Result<(), EncodeError> {
        self.as_slice().write_to(buf)
    }
}

/// Implements [`ToBson`] for a type by giving its element type and what to append.
macro_rules! to_bson {
    ($($type:ty => $kind:ident, |$value:ident, $buf:ident| $write:expr;)*) => {$(
        impl ToBson for $type {
            #[inline]
            fn element_type(&self) -> ElementType {
                ElementType::$kind
            }

            #[inline]
            fn write_to(&self, $buf: &mut Vec<u8>) -> Result<(), EncodeError> {
                let $value = self;
                $write
            }
        }
    )*};
}

#[inline]
#[allow(clippy::unnecessary_wraps, reason = "one shape for every type below")]
fn put(buf: &mut Vec<u8>, bytes: &[u8]) -> Result<(), EncodeError> {
    buf.extend_from_slice(bytes);
    Ok(())
}

#[inline]
fn put_str(buf: &mut Vec<u8>, text: &str) -> Result<(), EncodeError> {
    if text.len() > MAX_LEN {
        return Err(EncodeError::TooLong);
    }
    buf.reserve(text.len() + 5);
    buf.extend_from_slice(&(text.len() as u32 + 1).to_le_bytes());
    buf.extend_from_slice(text.as_bytes());
    buf.push(0);
    Ok(())
}

fn put_cstr(buf: &mut Vec<u8>, text: &str) -> Result<(), EncodeError> {
    if text.as_bytes().contains(&0) {
        return Err(EncodeError::ZeroByte);
    }
    buf.extend_from_slice(text.as_bytes());
    buf.push(0);
    Ok(())
}

to_bson! {
    f64 => Double, |value, buf| put(buf, &value.to_le_bytes());
    f32 => Double, |value, buf| put(buf, &f64::from(*value).to_le_bytes());
    i8 => Int32, |value, buf| put(buf, &i32::from(*value).to_le_bytes());
    i16 => Int32, |value, buf| put(buf, &i32::from(*value).to_le_bytes());
    i32 => Int32, |value, buf| put(buf, &value.to_le_bytes());
    i64 => Int64, |value, buf| put(buf, &value.to_le_bytes());
    u8 => Int32, |value, buf| put(buf, &i32::from(*value).to_le_bytes());
    u16 => Int32, |value, buf| put(buf, &i32::from(*value).to_le_bytes());
    u32 => Int64, |value, buf| put(buf, &i64::from(*value).to_le_bytes());
    bool => Boolean, |value, buf| put(buf, &[u8::from(*value)]);
    str => String, |value, buf| put_str(buf, value);
    String => String, |value, buf| put_str(buf, value);
    Doc<'_> => Document, |value, buf| put(buf, value.as_bytes());
    Document => Document, |value, buf| put(buf, value.as_bytes());
    RawDocument => Document, |value, buf| put(buf, value.as_bytes());
    Array<'_> => Array, |value, buf| put(buf, value.as_doc().as_bytes());
    ObjectId => ObjectId, |value, buf| put(buf, &value.bytes());
    DateTime => DateTime, |value, buf| put(buf, &value.millis().to_le_bytes());
    Timestamp => Timestamp, |value, buf| put(buf, &value.to_u64().to_le_bytes());
    Decimal128 => Decimal128, |value, buf| put(buf, &value.bytes());
    Binary<'_> => Binary, |value, buf| put_binary(buf, *value);
    Regex<'_> => Regex, |value, buf| put_cstr(buf, value.pattern).and_then(|()| put_cstr(buf, value.options));
    DbPointer<'_> => DbPointer, |value, buf| put_str(buf, value.namespace).and_then(|()| put(buf, &value.id.bytes()));
    CodeWithScope<'_> => CodeWithScope, |value, buf| put_code_with_scope(buf, *value);
}

fn put_binary(buf: &mut Vec<u8>, binary: Binary<'_>) -> Result<(), EncodeError> {
    if binary.bytes.len() > MAX_LEN {
        return Err(EncodeError::TooLong);
    }
    let len = binary.bytes.len() as u32;
    // bsonspec.org: the old binary subtype has a second length inside.
    let old = binary.subtype == BinarySubtype::BINARY_OLD;
    buf.extend_from_slice(&(if old { len + 4 } else { len }).to_le_bytes());
    buf.push(binary.subtype.0);
    if old {
        buf.extend_from_slice(&len.to_le_bytes());
    }
    put(buf, binary.bytes)
}

fn put_code_with_scope(buf: &mut Vec<u8>, code: CodeWithScope<'_>) -> Result<(), EncodeError> {
    let len = 4 + 4 + code.code.len() + 1 + code.scope.len();
    if len > MAX_LEN {
        return Err(EncodeError::TooLong);
    }
    buf.extend_from_slice(&(len as u32).to_le_bytes());
    put_str(buf, code.code)?;
    put(buf, code.scope.as_bytes())
}

impl ToBson for Value<'_> {
    #[inline]
    fn element_type(&self) -> ElementType {
        Value::element_type(self)
    }

    #[inline]
    fn write_to(&self, buf: &mut Vec<u8>) -> Result<(), EncodeError> {
        match self {
            Self::Double(value) => value.write_to(buf),
            Self::String(text) | Self::Code(text) | Self::Symbol(text) => put_str(buf, text),
            Self::Document(doc) => doc.write_to(buf),
            Self::Array(array) => array.write_to(buf),
            Self::Binary(binary) => binary.write_to(buf),
            Self::ObjectId(id) => id.write_to(buf),
            Self::Boolean(value) => value.write_to(buf),
            Self::DateTime(value) => value.write_to(buf),
            Self::Regex(regex) => regex.write_to(buf),
            Self::DbPointer(pointer) => pointer.write_to(buf),
            Self::CodeWithScope(code) => code.write_to(buf),
            Self::Int32(value) => value.write_to(buf),
            Self::Timestamp(value) => value.write_to(buf),
            Self::Int64(value) => value.write_to(buf),
            Self::Decimal128(value) => value.write_to(buf),
            Self::Undefined | Self::Null | Self::MinKey | Self::MaxKey => Ok(()),
        }
    }
}
