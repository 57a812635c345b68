//! BSON's own types as serde sees them.

use core::fmt;
use core::marker::PhantomData;

use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde::ser::{Serialize, SerializeMap, Serializer};

use super::super::{
    DateTime, Decimal128, Doc, Document, ElementType, ObjectId, RawDocument, Timestamp, Value,
};
use super::magic;

/// Bytes that serialise as bytes.
struct RawBytes<'a>(&'a [u8]);

impl Serialize for RawBytes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

fn bytes<S: Serializer>(serializer: S, kind: ElementType, bytes: &[u8]) -> Result<S::Ok, S::Error> {
    serializer.serialize_newtype_struct(magic(kind), &RawBytes(bytes))
}

/// `{key: value}`, for formats that people read.
fn single<S: Serializer>(serializer: S, key: &str, value: &impl Serialize) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(1))?;
    map.serialize_entry(key, value)?;
    map.end()
}

/// A type of a fixed size: how it is written for people, and how it is read from there.
trait Special: Sized {
    const KIND: ElementType;
    const KEY: &'static str;

    fn from_raw(bytes: &[u8]) -> Option<Self>;
    fn from_text(text: &str) -> Option<Self>;
    fn from_number(number: i64) -> Option<Self>;
}

impl Special for ObjectId {
    const KIND: ElementType = ElementType::ObjectId;
    const KEY: &'static str = "$oid";

    fn from_raw(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self::from_bytes)
    }

    fn from_text(text: &str) -> Option<Self> {
        text.parse().ok()
    }

    fn from_number(_: i64) -> Option<Self> {
        None
    }
}

impl Special for DateTime {
    const KIND: ElementType = ElementType::DateTime;
    const KEY: &'static str = "$date";

    fn from_raw(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(|bytes| Self::from_millis(i64::from_le_bytes(bytes)))
    }

    fn from_text(_: &str) -> Option<Self> {
        None
    }

    fn from_number(number: i64) -> Option<Self> {
        Some(Self::from_millis(number))
    }
}

impl Special for Timestamp {
    const KIND: ElementType = ElementType::Timestamp;
    const KEY: &'static str = "$timestamp";

    fn from_raw(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(|bytes| Self::from_u64(u64::from_le_bytes(bytes)))
    }

    fn from_text(_: &str) -> Option<Self> {
        None
    }

    fn from_number(number: i64) -> Option<Self> {
        Some(Self::from_u64(number as u64))
    }
}

impl Special for Decimal128 {
    const KIND: ElementType = ElementType::Decimal128;
    const KEY: &'static str = "$numberDecimal";

    fn from_raw(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self::from_bytes)
    }

    fn from_text(text: &str) -> Option<Self> {
        text.parse().ok()
    }

    fn from_number(number: i64) -> Option<Self> {
        number.to_string().parse().ok()
    }
}

struct SpecialVisitor<T>(PhantomData<T>);

impl<'de, T: Special> Visitor<'de> for SpecialVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a BSON value of type {:?}", T::KIND)
    }

    fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<T, E> {
        T::from_raw(bytes).ok_or_else(|| E::invalid_length(bytes.len(), &self))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        T::from_text(text).ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<T, E> {
        T::from_number(number).ok_or_else(|| E::invalid_type(de::Unexpected::Signed(number), &self))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<T, E> {
        T::from_number(number as i64).ok_or_else(|| E::invalid_type(de::Unexpected::Unsigned(number), &self))
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<T, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<T, A::Error> {
        match map.next_key::<String>()? {
            Some(key) if key == T::KEY => map.next_value_seed(self),
            _ => Err(de::Error::custom(format_args!("expected the key {}", T::KEY))),
        }
    }
}

/// Lets the visitor read what stands behind its key.
impl<'de, T: Special> de::DeserializeSeed<'de> for SpecialVisitor<T> {
    type Value = T;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<T, D::Error> {
        deserializer.deserialize_any(self)
    }
}

/// (De)serialises a special type: as its bytes, or for people as an object of its `$` key and `$text`.
macro_rules! special {
    ($($type:ty, |$value:ident| $raw:expr, $text:expr;)*) => {$(
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let $value = self;
                if serializer.is_human_readable() {
                    single(serializer, <$type as Special>::KEY, &$text)
                } else {
                    bytes(serializer, <$type as Special>::KIND, &$raw)
                }
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_newtype_struct(magic(<$type as Special>::KIND), SpecialVisitor(PhantomData))
            }
        }
    )*};
}

special! {
    ObjectId, |value| value.bytes(), value.to_string();
    DateTime, |value| value.millis().to_le_bytes(), value.millis();
    Timestamp, |value| value.to_u64().to_le_bytes(), value.to_u64();
    Decimal128, |value| value.bytes(), value.to_string();
}

/// Within BSON, the document as it is; for people, a map.
impl Serialize for Doc<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if !serializer.is_human_readable() {
            return bytes(serializer, ElementType::Document, self.as_bytes());
        }
        self.validate(super::super::DEFAULT_MAX_DEPTH).map_err(serde::ser::Error::custom)?;
        let mut map = serializer.serialize_map(None)?;
        for element in *self {
            let (key, value) = element.map_err(serde::ser::Error::custom)?;
            map.serialize_entry(key, &ForPeople(value))?;
        }
        map.end()
    }
}

impl Serialize for Document {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.as_doc().serialize(serializer)
    }
}

impl Serialize for RawDocument {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.as_doc().serialize(serializer)
    }
}

/// A value within a document whose depth was checked.
struct ForPeople<'a>(Value<'a>);

impl Serialize for ForPeople<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Double(number) => serializer.serialize_f64(number),
            Value::String(text) => serializer.serialize_str(text),
            Value::Document(doc) => doc.serialize(serializer),
            Value::Array(array) => serializer.collect_seq(array.iter().filter_map(Result::ok).map(ForPeople)),
            Value::Binary(binary) => single(serializer, "$binary", &RawBytes(binary.bytes)),
            Value::ObjectId(id) => id.serialize(serializer),
            Value::Boolean(value) => serializer.serialize_bool(value),
            Value::DateTime(moment) => moment.serialize(serializer),
            Value::Null => serializer.serialize_unit(),
            Value::Int32(number) => serializer.serialize_i32(number),
            Value::Int64(number) => serializer.serialize_i64(number),
            Value::Timestamp(stamp) => stamp.serialize(serializer),
            Value::Decimal128(number) => number.serialize(serializer),
            Value::Regex(regex) => single(serializer, "$regex", &regex.pattern),
            Value::Code(code) => single(serializer, "$code", &code),
            Value::CodeWithScope(code) => single(serializer, "$code", &code.code),
            Value::Symbol(symbol) => single(serializer, "$symbol", &symbol),
            Value::DbPointer(pointer) => single(serializer, "$dbPointer", &pointer.id),
            Value::Undefined => single(serializer, "$undefined", &true),
            Value::MinKey => single(serializer, "$minKey", &1),
            Value::MaxKey => single(serializer, "$maxKey", &1),
        }
    }
}

struct DocVisitor;

impl<'de> Visitor<'de> for DocVisitor {
    type Value = Doc<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a BSON document")
    }

    fn visit_borrowed_bytes<E: de::Error>(self, bytes: &'de [u8]) -> Result<Doc<'de>, E> {
        Doc::new(bytes).map_err(E::custom)
    }
}

/// Only from BSON: a document borrows its bytes.
impl<'de: 'a, 'a> Deserialize<'de> for Doc<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(magic(ElementType::Document), DocVisitor)
    }
}

/// Only from BSON: the nested document as it is.
impl<'de> Deserialize<'de> for Document {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Doc::deserialize(deserializer).map(Self::from)
    }
}
