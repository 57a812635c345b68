//! Documents that own their bytes.

use core::fmt;

use bytes::Bytes;

use super::{Doc, Iter, ToBson, Value, Writer};
use crate::error::{DecodeError, EncodeError};

/// An owned document that can grow. It is always well framed; [`doc!`](crate::doc) writes one down.
#[derive(Clone)]
pub struct Document {
    /// The whole document, frame included; nothing at all for one that was never written to, which costs no allocation.
    bytes: Vec<u8>,
}

/// Room for the first elements of a document that is written to.
const FIRST_CAPACITY: usize = 128;

impl Document {
    /// The document without elements.
    pub fn new() -> Self {
        Self { bytes: Vec::new() }
    }

    /// The document without elements, with room for `capacity` bytes.
    pub fn with_capacity(capacity: usize) -> Self {
        let mut bytes = Vec::with_capacity(capacity.max(Doc::EMPTY.len()));
        bytes.extend_from_slice(Doc::EMPTY.as_bytes());
        Self { bytes }
    }

    /// The document that is exactly `bytes`; its frame is checked, not what is inside.
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self, DecodeError> {
        Doc::new(&bytes)?;
        Ok(Self { bytes })
    }

    /// The whole document, frame included.
    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        if self.bytes.is_empty() { Doc::EMPTY.as_bytes() } else { &self.bytes }
    }

    /// Gives the bytes away.
    pub fn into_bytes(self) -> Vec<u8> {
        if self.bytes.is_empty() { Doc::EMPTY.as_bytes().to_vec() } else { self.bytes }
    }

    /// The document, borrowed: everything that reads is there.
    #[inline]
    pub fn as_doc(&self) -> Doc<'_> {
        Doc::trusted(self.as_bytes())
    }

    /// Goes on writing at the end.
    #[inline]
    pub fn writer(&mut self) -> Writer<'_> {
        if self.bytes.is_empty() {
            self.bytes.reserve(FIRST_CAPACITY);
            return Writer::new(&mut self.bytes);
        }
        self.bytes.pop();
        Writer::resume(&mut self.bytes, 0)
    }

    /// Appends an element. Panics like [`Writer::append`].
    #[inline]
    #[track_caller]
    pub fn append(&mut self, key: impl AsRef<str>, value: impl ToBson) -> &mut Self {
        self.writer().append(key, value);
        self
    }

    /// Appends an element, or leaves the document as it was and says why.
    #[inline]
    pub fn try_append(&mut self, key: &str, value: impl ToBson) -> Result<(), EncodeError> {
        self.writer().try_append(key, value)
    }

    /// Appends every element of `doc`.
    pub fn extend(&mut self, doc: Doc<'_>) -> &mut Self {
        self.writer().extend(doc);
        self
    }

    /// The value of the first element named `key`: see [`Doc::get`].
    pub fn get(&self, key: &str) -> Result<Option<Value<'_>>, DecodeError> {
        self.as_doc().get(key)
    }

    /// The elements in order.
    pub fn iter(&self) -> Iter<'_> {
        self.as_doc().iter()
    }
}

/// Byte equality: the same elements of the same types in the same order.
impl PartialEq for Document {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for Document {}

impl Default for Document {
    fn default() -> Self {
        Self::new()
    }
}

impl From<Doc<'_>> for Document {
    fn from(doc: Doc<'_>) -> Self {
        Self { bytes: doc.as_bytes().to_vec() }
    }
}

impl<'a> IntoIterator for &'a Document {
    type Item = Result<(&'a str, Value<'a>), DecodeError>;
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

impl fmt::Display for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_doc().fmt(f)
    }
}

impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// An owned document that is shared and does not change: a whole buffer or a piece of one. Cloning it copies no bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct RawDocument {
    bytes: Bytes,
}

impl RawDocument {
    /// The document that is exactly `bytes`; its frame is checked, not what is inside.
    pub fn new(bytes: Bytes) -> Result<Self, DecodeError> {
        Doc::new(&bytes)?;
        Ok(Self { bytes })
    }

    /// The document, borrowed: everything that reads is there.
    #[inline]
    pub fn as_doc(&self) -> Doc<'_> {
        Doc::trusted(&self.bytes)
    }

    /// The whole document, frame included.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Gives the bytes away.
    pub fn into_bytes(self) -> Bytes {
        self.bytes
    }

    /// A document nested in this one (borrowed from it), as a shared one.
    ///
    /// # Panics
    ///
    /// When `part` does not lie in this document's memory.
    #[must_use]
    pub fn share(&self, part: Doc<'_>) -> Self {
        Self { bytes: self.bytes.slice_ref(part.as_bytes()) }
    }
}

impl Default for RawDocument {
    fn default() -> Self {
        Self { bytes: Bytes::from_static(Doc::EMPTY.as_bytes()) }
    }
}

impl From<Document> for RawDocument {
    fn from(document: Document) -> Self {
        Self { bytes: document.into_bytes().into() }
    }
}

impl From<&RawDocument> for Document {
    fn from(document: &RawDocument) -> Self {
        document.as_doc().into()
    }
}

impl fmt::Display for RawDocument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_doc().fmt(f)
    }
}

impl fmt::Debug for RawDocument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
