//! One value that owns its bytes.

use core::fmt;

use super::{Doc, Document, RawDocument, ToBson, Value};
use crate::doc;
use crate::error::{DecodeError, EncodeError};

/// A value of any type that owns its bytes, such as the `_id` of a document. Cloning it copies none.
#[derive(Clone, PartialEq, Eq)]
pub struct OwnedValue {
    /// A document of exactly this value; checked when it was made.
    document: RawDocument,
}

impl OwnedValue {
    /// A copy of a value.
    pub fn new(value: impl ToBson) -> Result<Self, EncodeError> {
        let mut document = Document::new();
        document.try_append("", value)?;
        Ok(Self { document: document.into() })
    }

    /// The value of the first element named `key`, if there is one. The bytes are copied, so that it does not hold a whole reply.
    pub fn of(doc: Doc<'_>, key: &str) -> Result<Option<Self>, DecodeError> {
        let Some(element) = doc.get_raw(key)? else { return Ok(None) };
        element.value()?;
        // Exactly as long as it has to be: then it becomes a shared one without another allocation.
        let len = 4 + 2 + element.value_bytes().len() + 1;
        let mut bytes = Vec::with_capacity(len);
        bytes.extend_from_slice(&(len as u32).to_le_bytes());
        bytes.extend_from_slice(&[element.element_type() as u8, 0]);
        bytes.extend_from_slice(element.value_bytes());
        bytes.push(0);
        Ok(Some(Self { document: RawDocument::new(bytes.into())? }))
    }

    /// The value, borrowed.
    pub fn as_value(&self) -> Value<'_> {
        self.document.as_doc().find("").unwrap_or(Value::Null)
    }
}

impl Default for OwnedValue {
    fn default() -> Self {
        Self { document: doc! { "": null }.into() }
    }
}

impl fmt::Debug for OwnedValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_value().fmt(f)
    }
}

impl ToBson for OwnedValue {
    fn element_type(&self) -> super::ElementType {
        self.as_value().element_type()
    }

    fn write_to(&self, buf: &mut Vec<u8>) -> Result<(), EncodeError> {
        self.as_value().write_to(buf)
    }
}

#[cfg(feature = "serde")]
impl OwnedValue {
    /// The value as a type of yours.
    pub fn deserialize<T: serde::de::DeserializeOwned>(&self) -> Result<T, super::DeError> {
        super::serde::from_value(self.document.as_doc())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_outlive_what_they_were_read_from() {
        let value = {
            let document = doc! { "_id": [1, "two"], "x": 1 };
            OwnedValue::of(document.as_doc(), "_id").expect("well formed").expect("there is one")
        };
        assert_eq!(doc! { "v": &value }.to_string(), r#"{"v":[1,"two"]}"#);
        assert_eq!(OwnedValue::of(Doc::EMPTY, "_id"), Ok(None));
        assert_eq!(OwnedValue::default().as_value(), Value::Null);
    }

    #[cfg(feature = "serde")]
    #[test]
    fn values_become_types() {
        let value = OwnedValue::new(7).expect("a number can be written");
        assert_eq!(value.deserialize::<u8>().expect("it fits"), 7);
        assert!(value.deserialize::<String>().is_err());
    }
}
