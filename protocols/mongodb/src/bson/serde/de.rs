//! BSON to values.

use serde::de::value::BorrowedStrDeserializer;
use serde::de::{self, Deserialize, DeserializeSeed, Deserializer as _, Error as _, Visitor};
use serde::forward_to_deserialize_any;

use super::super::{Array, DEFAULT_MAX_DEPTH, Doc, ElementType, RawElement, RawIter, Value};
use super::{DeError, magic_kind};
use crate::error::{DecodeError, Reason};

/// Deserialises the document that is exactly `bytes`. Text and bytes may be borrowed from it.
pub fn from_slice<'de, T: Deserialize<'de>>(bytes: &'de [u8]) -> Result<T, DeError> {
    from_doc(Doc::new(bytes)?)
}

/// Deserialises a document. Text and bytes may be borrowed from it; what the type does not ask for is stepped over.
///
/// ```
/// use glowplug_mongodb::{bson::from_doc, doc};
/// #[derive(serde::Deserialize)]
/// struct Book<'a> { title: &'a str, pages: u16 }
/// let document = doc! { "title": "Emma", "year": 1815, "pages": 474.0 };
/// let book: Book<'_> = from_doc(document.as_doc())?;
/// assert_eq!((book.title, book.pages), ("Emma", 474));
/// # Ok::<(), glowplug_mongodb::bson::DeError>(())
/// ```
#[inline]
pub fn from_doc<'de, T: Deserialize<'de>>(doc: Doc<'de>) -> Result<T, DeError> {
    let bytes = doc.as_bytes();
    T::deserialize(ValueDeserializer { kind: ElementType::Document, bytes, depth: DEFAULT_MAX_DEPTH })
}

/// Deserialises the value of a document's first element, whatever its key.
pub(in crate::bson) fn from_value<T: de::DeserializeOwned>(doc: Doc<'_>) -> Result<T, DeError> {
    match doc.raw_iter().next_element()? {
        Some(element) => T::deserialize(ValueDeserializer::of(&element, DEFAULT_MAX_DEPTH)),
        None => Err(DeError::custom("there is no value")),
    }
}

/// One value, not yet decoded.
#[derive(Clone, Copy)]
struct ValueDeserializer<'de> {
    kind: ElementType,
    /// As measured for the type.
    bytes: &'de [u8],
    /// How many more levels may be entered.
    depth: usize,
}

impl<'de> ValueDeserializer<'de> {
    fn of(element: &RawElement<'de>, depth: usize) -> Self {
        Self { kind: element.element_type(), bytes: element.value_bytes(), depth }
    }

    #[inline]
    fn value(self) -> Result<Value<'de>, DeError> {
        Ok(super::super::raw::decode_value(self.kind, self.bytes)?)
    }

    #[inline]
    fn deeper(self) -> Result<usize, DeError> {
        Ok(self.depth.checked_sub(1).ok_or(DecodeError::new(0, Reason::TooDeep))?)
    }

    fn map<V: Visitor<'de>>(self, doc: Doc<'de>, visitor: V) -> Result<V::Value, DeError> {
        visitor.visit_map(Fields { elements: doc.raw_iter(), value: None, depth: self.deeper()? })
    }

    /// Whole numbers, however they came.
    #[inline]
    fn whole<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeError> {
        match self.value()? {
            value @ Value::Double(_) => match value.as_i64() {
                Some(number) => visitor.visit_i64(number),
                None => self.deserialize_any(visitor),
            },
            Value::Int32(number) => visitor.visit_i32(number),
            Value::Int64(number) => visitor.visit_i64(number),
            _ => self.deserialize_any(visitor),
        }
    }
}

/// Lets whole numbers be read from any numeric type.
macro_rules! whole_numbers {
    ($($method:ident)*) => {$(
        #[inline]
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeError> {
            self.whole(visitor)
        }
    )*};
}

impl<'de> de::Deserializer<'de> for ValueDeserializer<'de> {
    type Error = DeError;

    fn is_human_readable(&self) -> bool {
        false
    }

    #[inline]
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeError> {
        match self.value()? {
            Value::Double(number) => visitor.visit_f64(number),
            Value::String(text) | Value::Code(text) | Value::Symbol(text) => visitor.visit_borrowed_str(text),
            Value::Document(doc) => self.map(doc, visitor),
            Value::Array(array) => visitor.visit_seq(Items::new(array, self.deeper()?)),
            Value::Binary(binary) => visitor.visit_borrowed_bytes(binary.bytes),
            Value::Boolean(value) => visitor.visit_bool(value),
            Value::Null | Value::Undefined | Value::MinKey | Value::MaxKey => visitor.visit_unit(),
            Value::Int32(number) => visitor.visit_i32(number),
            Value::Int64(number) => visitor.visit_i64(number),
            Value::Regex(regex) => visitor.visit_borrowed_str(regex.pattern),
            Value::CodeWithScope(code) => visitor.visit_borrowed_str(code.code),
            Value::DbPointer(pointer) => visitor.visit_borrowed_str(pointer.namespace),
            // Types that serde has not look like extended JSON to those who do not know them.
            Value::ObjectId(id) => visitor.visit_map(single("$oid", id.to_string())),
            Value::DateTime(moment) => visitor.visit_map(single("$date", moment.millis())),
            Value::Timestamp(stamp) => visitor.visit_map(single("$timestamp", stamp.to_u64())),
            Value::Decimal128(number) => visitor.visit_map(single("$numberDecimal", number.to_string())),
        }
    }

    whole_numbers! {
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeError> {
        match self.kind {
            ElementType::Null | ElementType::Undefined => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, DeError> {
        match magic_kind(name) {
            Some(kind) if kind == self.kind => visitor.visit_borrowed_bytes(self.bytes),
            Some(_) => self.deserialize_any(visitor),
            None => visitor.visit_newtype_struct(self),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DeError> {
        match self.value()? {
            Value::String(variant) => visitor.visit_enum(Variant { variant, content: None }),
            Value::Document(doc) => {
                let depth = self.deeper()?;
                let mut elements = doc.raw_iter();
                let element =
                    elements.next_element()?.ok_or_else(|| DeError::custom("an enum's document is empty"))?;
                if elements.next_element()?.is_some() {
                    return Err(DeError::custom("an enum's document has more than one element"));
                }
                let content = Some(ValueDeserializer::of(&element, depth));
                visitor.visit_enum(Variant { variant: element.key()?, content })
            }
            _ => Err(DeError::custom("an enum is text or a document of one element")),
        }
    }

    /// Not decoded at all.
    #[inline]
    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeError> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        bool i128 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple tuple_struct map struct identifier
    }
}

/// The elements of a document.
struct Fields<'de> {
    elements: RawIter<'de>,
    value: Option<RawElement<'de>>,
    depth: usize,
}

impl<'de> de::MapAccess<'de> for Fields<'de> {
    type Error = DeError;

    #[inline]
    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, DeError> {
        self.value = self.elements.next_element()?;
        match &self.value {
            Some(element) => seed.deserialize(BorrowedStrDeserializer::new(element.key()?)).map(Some),
            None => Ok(None),
        }
    }

    #[inline]
    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, DeError> {
        let element =
            self.value.take().ok_or_else(|| DeError::custom("a value was asked for before its key"))?;
        seed.deserialize(ValueDeserializer::of(&element, self.depth))
    }
}

/// The items of an array.
struct Items<'de> {
    elements: RawIter<'de>,
    depth: usize,
}

impl<'de> Items<'de> {
    fn new(array: Array<'de>, depth: usize) -> Self {
        Self { elements: array.as_doc().raw_iter(), depth }
    }
}

impl<'de> de::SeqAccess<'de> for Items<'de> {
    type Error = DeError;

    #[inline]
    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, DeError> {
        let Some(element) = self.elements.next_element()? else { return Ok(None) };
        seed.deserialize(ValueDeserializer::of(&element, self.depth)).map(Some)
    }
}

/// A map of one entry.
fn single<'de, T: de::IntoDeserializer<'de, DeError>>(
    key: &'static str,
    value: T,
) -> de::value::MapDeserializer<'de, core::iter::Once<(&'static str, T)>, DeError> {
    de::value::MapDeserializer::new(core::iter::once((key, value)))
}

/// An enum's variant and what it holds.
struct Variant<'de> {
    variant: &'de str,
    content: Option<ValueDeserializer<'de>>,
}

impl<'de> Variant<'de> {
    fn content(self) -> Result<ValueDeserializer<'de>, DeError> {
        self.content.ok_or_else(|| DeError::custom("a variant with content came as text"))
    }
}

impl<'de> de::EnumAccess<'de> for Variant<'de> {
    type Error = DeError;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), DeError> {
        let variant = seed.deserialize(BorrowedStrDeserializer::<DeError>::new(self.variant))?;
        Ok((variant, self))
    }
}

impl<'de> de::VariantAccess<'de> for Variant<'de> {
    type Error = DeError;

    fn unit_variant(self) -> Result<(), DeError> {
        match self.content {
            None => Ok(()),
            Some(content) => Deserialize::deserialize(content),
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, DeError> {
        seed.deserialize(self.content()?)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, DeError> {
        self.content()?.deserialize_any(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DeError> {
        self.content()?.deserialize_any(visitor)
    }
}
