//! From and to the documents of the `bson` crate.
//!
//! That crate decodes recursively without a bound, so everything is checked here first, depth included.

use core::fmt;

use super::{DEFAULT_MAX_DEPTH, Doc, Document};
use crate::error::DecodeError;

/// A document that one side has and the other cannot take.
#[derive(Debug)]
#[non_exhaustive]
pub enum BsonCrateError {
    /// Our check refused it; the other crate never saw it.
    Decode(DecodeError),
    /// The `bson` crate refused it.
    Bson(bson::error::Error),
}

impl fmt::Display for BsonCrateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Decode(_) => "not a well-formed document",
            Self::Bson(_) => "the bson crate refused a document",
        })
    }
}

impl std::error::Error for BsonCrateError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Decode(error) => Some(error),
            Self::Bson(error) => Some(error),
        }
    }
}

/// A document of the `bson` crate with the elements of `doc`. Of duplicate keys it keeps the last, as that crate does.
pub fn to_bson_document(doc: Doc<'_>) -> Result<bson::Document, BsonCrateError> {
    bson::Document::try_from(to_bson_raw(doc)?).map_err(BsonCrateError::Bson)
}

/// The same bytes as a raw document of the `bson` crate, checked through and through.
pub fn to_bson_raw(doc: Doc<'_>) -> Result<&bson::RawDocument, BsonCrateError> {
    doc.validate(DEFAULT_MAX_DEPTH).map_err(BsonCrateError::Decode)?;
    bson::RawDocument::from_bytes(doc.as_bytes()).map_err(BsonCrateError::Bson)
}

/// Our document with the elements of one of the `bson` crate.
pub fn from_bson_document(document: &bson::Document) -> Result<Document, BsonCrateError> {
    let bytes = document.to_vec().map_err(BsonCrateError::Bson)?;
    Document::from_bytes(bytes).map_err(BsonCrateError::Decode)
}

impl<'a> From<&'a bson::RawDocument> for Doc<'a> {
    fn from(document: &'a bson::RawDocument) -> Self {
        // That type has checked the same frame; should it ever not, nothing is better than a panic.
        Doc::new(document.as_bytes()).unwrap_or(Doc::EMPTY)
    }
}
