//! Values to BSON.

use serde::ser::{self, Serialize};

use super::super::write::{Index, check_key, put_key};
use super::super::{DEFAULT_MAX_DEPTH, Document, ElementType, ToBson};
use super::{SerError, magic_kind};
use crate::error::EncodeError;

/// Room for the first fields of a document.
const FIRST_CAPACITY: usize = 256;

/// Serialises a struct or map as a document.
///
/// ```
/// use glowplug_mongodb::bson::to_document;
/// #[derive(serde::Serialize)]
/// struct Book<'a> { title: &'a str, pages: u16 }
/// let document = to_document(&Book { title: "Emma", pages: 474 })?;
/// assert_eq!(document.to_string(), r#"{"title":"Emma","pages":474}"#);
/// # Ok::<(), glowplug_mongodb::bson::SerError>(())
/// ```
pub fn to_document<T: Serialize + ?Sized>(value: &T) -> Result<Document, SerError> {
    let mut buf = Vec::new();
    write_document(value, &mut buf)?;
    // What the serialiser wrote is framed.
    Document::from_bytes(buf).map_err(|_| SerError::NotADocument)
}

/// Serialises a struct or map at the end of `buf`, which is left as it was on an error.
pub fn write_document<T: Serialize + ?Sized>(value: &T, buf: &mut Vec<u8>) -> Result<(), SerError> {
    let before = buf.len();
    let result = value.serialize(ValueSerializer { buf, kind_at: None, depth: DEFAULT_MAX_DEPTH });
    if result.is_err() {
        buf.truncate(before);
    }
    result
}

/// Writes one value; the type goes to a byte that was left out in front of the key.
struct ValueSerializer<'a> {
    buf: &'a mut Vec<u8>,
    /// Where the type goes; `None` at the top, where only documents can stand.
    kind_at: Option<usize>,
    /// How many more levels may be opened.
    depth: usize,
}

impl<'a> ValueSerializer<'a> {
    #[inline]
    fn put(self, kind: ElementType, value: impl ToBson) -> Result<(), SerError> {
        let at = self.kind_at.ok_or(SerError::NotADocument)?;
        self.buf[at] = kind as u8;
        value.write_to(self.buf)?;
        Ok(())
    }

    #[inline]
    fn put_any(self, value: impl ToBson) -> Result<(), SerError> {
        self.put(value.element_type(), value)
    }

    fn null(self) -> Result<(), SerError> {
        let at = self.kind_at.ok_or(SerError::NotADocument)?;
        self.buf[at] = ElementType::Null as u8;
        Ok(())
    }

    /// Opens a document or an array.
    #[inline]
    fn open(self, kind: ElementType) -> Result<Fields<'a>, SerError> {
        match self.kind_at {
            Some(at) => self.buf[at] = kind as u8,
            None if kind == ElementType::Document => {}
            None => return Err(SerError::NotADocument),
        }
        let depth = self.depth.checked_sub(1).ok_or(EncodeError::TooDeep)?;
        let start = self.buf.len();
        if start == 0 {
            // A document that is raw already comes as one piece, and gets what it needs.
            self.buf.reserve(FIRST_CAPACITY);
        }
        self.buf.extend_from_slice(&[0; 4]);
        Ok(Fields { buf: self.buf, start, depth, index: 0, outer: None })
    }

    /// Opens `{variant: ..}`, then what is inside; both are closed together.
    fn open_variant(self, variant: &'static str, kind: ElementType) -> Result<Fields<'a>, SerError> {
        let mut outer = self.open(ElementType::Document)?;
        let start = outer.start;
        let at = outer.key(variant)?;
        let mut inner =
            ValueSerializer { buf: outer.buf, kind_at: Some(at), depth: outer.depth }.open(kind)?;
        inner.outer = Some(start);
        Ok(inner)
    }
}

/// A document or array that is being written.
struct Fields<'a> {
    buf: &'a mut Vec<u8>,
    start: usize,
    depth: usize,
    index: u32,
    /// Where the document around it starts, for enum variants.
    outer: Option<usize>,
}

impl Fields<'_> {
    /// Leaves a byte for the type, writes the key and says where the byte is.
    #[inline]
    fn key(&mut self, key: &str) -> Result<usize, SerError> {
        check_key(key)?;
        Ok(self.checked_key(key.as_bytes()))
    }

    /// The same for a key that has no zero byte.
    #[inline]
    fn checked_key(&mut self, key: &[u8]) -> usize {
        let at = self.buf.len();
        // The value says its type later.
        put_key(self.buf, ElementType::Null, key);
        at
    }

    #[inline]
    fn field<T: Serialize + ?Sized>(&mut self, key: &str, value: &T) -> Result<(), SerError> {
        let at = self.key(key)?;
        value.serialize(ValueSerializer { buf: self.buf, kind_at: Some(at), depth: self.depth })
    }

    #[inline]
    fn item<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), SerError> {
        let at = self.checked_key(Index::new(self.index).as_bytes());
        self.index += 1;
        value.serialize(ValueSerializer { buf: self.buf, kind_at: Some(at), depth: self.depth })
    }

    #[inline]
    fn finish(self) -> Result<(), SerError> {
        for start in [Some(self.start), self.outer].into_iter().flatten() {
            self.buf.push(0);
            let len = i32::try_from(self.buf.len() - start).map_err(|_| EncodeError::TooLong)?;
            self.buf[start..start + 4].copy_from_slice(&len.to_le_bytes());
        }
        Ok(())
    }
}

impl<'a> ser::Serializer for ValueSerializer<'a> {
    type Ok = ();
    type Error = SerError;
    type SerializeSeq = Fields<'a>;
    type SerializeTuple = Fields<'a>;
    type SerializeTupleStruct = Fields<'a>;
    type SerializeTupleVariant = Fields<'a>;
    type SerializeMap = MapFields<'a>;
    type SerializeStruct = Fields<'a>;
    type SerializeStructVariant = Fields<'a>;

    fn is_human_readable(&self) -> bool {
        false
    }

    fn serialize_bool(self, value: bool) -> Result<(), SerError> {
        self.put_any(value)
    }

    fn serialize_i8(self, value: i8) -> Result<(), SerError> {
        self.put_any(value)
    }

    fn serialize_i16(self, value: i16) -> Result<(), SerError> {
        self.put_any(value)
    }

    #[inline]
    fn serialize_i32(self, value: i32) -> Result<(), SerError> {
        self.put_any(value)
    }

    #[inline]
    fn serialize_i64(self, value: i64) -> Result<(), SerError> {
        self.put_any(value)
    }

    fn serialize_u8(self, value: u8) -> Result<(), SerError> {
        self.put_any(value)
    }

    fn serialize_u16(self, value: u16) -> Result<(), SerError> {
        self.put_any(value)
    }

    fn serialize_u32(self, value: u32) -> Result<(), SerError> {
        self.put_any(value)
    }

    fn serialize_u64(self, value: u64) -> Result<(), SerError> {
        self.put_any(i64::try_from(value).map_err(|_| SerError::NumberTooLarge(value))?)
    }

    fn serialize_f32(self, value: f32) -> Result<(), SerError> {
        self.put_any(value)
    }

    fn serialize_f64(self, value: f64) -> Result<(), SerError> {
        self.put_any(value)
    }

    fn serialize_char(self, value: char) -> Result<(), SerError> {
        self.put_any(&*value.encode_utf8(&mut [0; 4]))
    }

    #[inline]
    fn serialize_str(self, value: &str) -> Result<(), SerError> {
        self.put_any(value)
    }

    fn serialize_bytes(self, bytes: &[u8]) -> Result<(), SerError> {
        self.put_any(crate::bson::Binary { subtype: crate::bson::BinarySubtype::GENERIC, bytes })
    }

    fn serialize_none(self) -> Result<(), SerError> {
        self.null()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), SerError> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), SerError> {
        self.null()
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), SerError> {
        self.null()
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Result<(), SerError> {
        self.put_any(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<(), SerError> {
        let Some(kind) = magic_kind(name) else { return value.serialize(self) };
        match self.kind_at {
            Some(at) => self.buf[at] = kind as u8,
            None if kind == ElementType::Document => {}
            None => return Err(SerError::NotADocument),
        }
        value.serialize(BytesSerializer { buf: self.buf })
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), SerError> {
        let mut fields = self.open(ElementType::Document)?;
        fields.field(variant, value)?;
        fields.finish()
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Fields<'a>, SerError> {
        self.open(ElementType::Array)
    }

    fn serialize_tuple(self, _: usize) -> Result<Fields<'a>, SerError> {
        self.open(ElementType::Array)
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Fields<'a>, SerError> {
        self.open(ElementType::Array)
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Fields<'a>, SerError> {
        self.open_variant(variant, ElementType::Array)
    }

    fn serialize_map(self, _: Option<usize>) -> Result<MapFields<'a>, SerError> {
        Ok(MapFields { fields: self.open(ElementType::Document)?, key: None })
    }

    #[inline]
    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Fields<'a>, SerError> {
        self.open(ElementType::Document)
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Fields<'a>, SerError> {
        self.open_variant(variant, ElementType::Document)
    }
}

impl ser::SerializeSeq for Fields<'_> {
    type Ok = ();
    type Error = SerError;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), SerError> {
        self.item(value)
    }

    fn end(self) -> Result<(), SerError> {
        self.finish()
    }
}

impl ser::SerializeTuple for Fields<'_> {
    type Ok = ();
    type Error = SerError;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), SerError> {
        self.item(value)
    }

    fn end(self) -> Result<(), SerError> {
        self.finish()
    }
}

impl ser::SerializeTupleStruct for Fields<'_> {
    type Ok = ();
    type Error = SerError;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), SerError> {
        self.item(value)
    }

    fn end(self) -> Result<(), SerError> {
        self.finish()
    }
}

impl ser::SerializeTupleVariant for Fields<'_> {
    type Ok = ();
    type Error = SerError;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), SerError> {
        self.item(value)
    }

    fn end(self) -> Result<(), SerError> {
        self.finish()
    }
}

impl ser::SerializeStruct for Fields<'_> {
    type Ok = ();
    type Error = SerError;

    #[inline]
    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        key: &'static str,
        value: &T,
    ) -> Result<(), SerError> {
        self.field(key, value)
    }

    #[inline]
    fn end(self) -> Result<(), SerError> {
        self.finish()
    }
}

impl ser::SerializeStructVariant for Fields<'_> {
    type Ok = ();
    type Error = SerError;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        key: &'static str,
        value: &T,
    ) -> Result<(), SerError> {
        self.field(key, value)
    }

    fn end(self) -> Result<(), SerError> {
        self.finish()
    }
}

/// A map that is being written.
struct MapFields<'a> {
    fields: Fields<'a>,
    key: Option<String>,
}

impl ser::SerializeMap for MapFields<'_> {
    type Ok = ();
    type Error = SerError;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), SerError> {
        self.key = Some(key.serialize(KeySerializer)?);
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), SerError> {
        let key = self.key.take().ok_or(SerError::KeyNotText)?;
        self.fields.field(&key, value)
    }

    fn end(self) -> Result<(), SerError> {
        self.fields.finish()
    }
}

/// What every value but the supported ones answers in a restricted place.
macro_rules! refuse {
    ($error:expr; $($method:ident($($type:ty),*);)*) => {$(
        fn $method(self $(, _: $type)*) -> Result<Self::Ok, SerError> {
            Err($error)
        }
    )*};
}

/// What has no key and no bytes: containers.
macro_rules! refuse_containers {
    ($error:expr) => {
        type SerializeSeq = ser::Impossible<Self::Ok, SerError>;
        type SerializeTuple = ser::Impossible<Self::Ok, SerError>;
        type SerializeTupleStruct = ser::Impossible<Self::Ok, SerError>;
        type SerializeTupleVariant = ser::Impossible<Self::Ok, SerError>;
        type SerializeMap = ser::Impossible<Self::Ok, SerError>;
        type SerializeStruct = ser::Impossible<Self::Ok, SerError>;
        type SerializeStructVariant = ser::Impossible<Self::Ok, SerError>;

        fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<Self::Ok, SerError> {
            value.serialize(self)
        }

        fn serialize_newtype_struct<T: Serialize + ?Sized>(
            self,
            _: &'static str,
            value: &T,
        ) -> Result<Self::Ok, SerError> {
            value.serialize(self)
        }

        fn serialize_newtype_variant<T: Serialize + ?Sized>(
            self,
            _: &'static str,
            _: u32,
            _: &'static str,
            _: &T,
        ) -> Result<Self::Ok, SerError> {
            Err($error)
        }

        fn serialize_seq(self, _: Option<usize>) -> Result<Self::SerializeSeq, SerError> {
            Err($error)
        }

        fn serialize_tuple(self, _: usize) -> Result<Self::SerializeTuple, SerError> {
            Err($error)
        }

        fn serialize_tuple_struct(
            self,
            _: &'static str,
            _: usize,
        ) -> Result<Self::SerializeTupleStruct, SerError> {
            Err($error)
        }

        fn serialize_tuple_variant(
            self,
            _: &'static str,
            _: u32,
            _: &'static str,
            _: usize,
        ) -> Result<Self::SerializeTupleVariant, SerError> {
            Err($error)
        }

        fn serialize_map(self, _: Option<usize>) -> Result<Self::SerializeMap, SerError> {
            Err($error)
        }

        fn serialize_struct(self, _: &'static str, _: usize) -> Result<Self::SerializeStruct, SerError> {
            Err($error)
        }

        fn serialize_struct_variant(
            self,
            _: &'static str,
            _: u32,
            _: &'static str,
            _: usize,
        ) -> Result<Self::SerializeStructVariant, SerError> {
            Err($error)
        }
    };
}

/// A map's key as text.
struct KeySerializer;

/// Values whose `Display` is their key.
macro_rules! key_from_display {
    ($($method:ident($type:ty);)*) => {$(
        fn $method(self, value: $type) -> Result<String, SerError> {
            Ok(value.to_string())
        }
    )*};
}

impl ser::Serializer for KeySerializer {
    type Ok = String;
    type Error = SerError;

    key_from_display! {
        serialize_bool(bool); serialize_i8(i8); serialize_i16(i16); serialize_i32(i32); serialize_i64(i64);
        serialize_u8(u8); serialize_u16(u16); serialize_u32(u32); serialize_u64(u64); serialize_char(char);
        serialize_str(&str);
    }

    fn serialize_unit_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
    ) -> Result<String, SerError> {
        Ok(variant.to_owned())
    }

    refuse! { SerError::KeyNotText;
        serialize_f32(f32); serialize_f64(f64); serialize_bytes(&[u8]); serialize_none(); serialize_unit();
        serialize_unit_struct(&'static str);
    }
    refuse_containers!(SerError::KeyNotText);
}

/// The bytes of one of BSON's own types.
struct BytesSerializer<'a> {
    buf: &'a mut Vec<u8>,
}

impl ser::Serializer for BytesSerializer<'_> {
    type Ok = ();
    type Error = SerError;

    fn serialize_bytes(self, bytes: &[u8]) -> Result<(), SerError> {
        self.buf.extend_from_slice(bytes);
        Ok(())
    }

    refuse! { SerError::NotADocument;
        serialize_bool(bool); serialize_i8(i8); serialize_i16(i16); serialize_i32(i32); serialize_i64(i64);
        serialize_u8(u8); serialize_u16(u16); serialize_u32(u32); serialize_u64(u64); serialize_char(char);
        serialize_str(&str); serialize_f32(f32); serialize_f64(f64); serialize_none(); serialize_unit();
        serialize_unit_struct(&'static str); serialize_unit_variant(&'static str, u32, &'static str);
    }
    refuse_containers!(SerError::NotADocument);
}
