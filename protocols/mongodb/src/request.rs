//! What is asked of a server.

use core::ops::Deref;
use std::sync::Arc;

use bytes::Bytes;

use crate::bson::{Doc, Document, ToBson};
use crate::error::EncodeError;

/// One command: a document, perhaps sequences of documents beside it, and what answer is wanted.
///
/// ```
/// use glowplug_mongodb::{Command, doc};
/// let command = Command::new("shop", doc! { "insert": "fruit" })
///     .documents("documents", [doc! { "_id": 1 }, doc! { "_id": 2 }].iter().map(|doc| doc.as_doc()));
/// assert_eq!(command.name(), "insert");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    pub(crate) database: Arc<str>,
    pub(crate) body: Document,
    pub(crate) sequences: Vec<DocumentSequence>,
    pub(crate) expects: Expects,
}

impl Default for Command {
    /// No command: a place from which one was taken.
    fn default() -> Self {
        Self::new("", Document::new())
    }
}

/// What answer a command wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Expects {
    /// One reply.
    Reply,
    /// None: the server does not answer (`moreToCome`). Only for writes with a write concern of 0.
    Nothing,
    /// One reply, or a stream of them if the server likes (`exhaustAllowed`).
    Stream,
}

/// Documents that stand for an array field of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DocumentSequence {
    pub(crate) identifier: &'static str,
    /// One behind the other.
    pub(crate) documents: Payload,
    pub(crate) count: usize,
    pub(crate) longest: usize,
}

/// The documents of a sequence. Short ones are copied with the command, which costs less than sharing them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Payload {
    Short(Vec<u8>),
    Long(Bytes),
}

/// From this length on documents are shared: what [`SendBuf::push`](glowplug_core::SendBuf::push) queues without a copy.
const LONG: usize = 1024;

impl From<Vec<u8>> for Payload {
    fn from(documents: Vec<u8>) -> Self {
        if documents.len() < LONG { Self::Short(documents) } else { Self::Long(documents.into()) }
    }
}

impl Deref for Payload {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Short(documents) => documents,
            Self::Long(documents) => documents,
        }
    }
}

impl DocumentSequence {
    pub(crate) fn new(
        identifier: &'static str,
        documents: impl Into<Payload>,
        count: usize,
        longest: usize,
    ) -> Self {
        Self { identifier, documents: documents.into(), count, longest }
    }
}

impl Command {
    /// A command to a database. The first field of `body` is the command's name; `$db` is added when it is sent.
    pub fn new(database: impl Into<Arc<str>>, body: Document) -> Self {
        Self { database: database.into(), body, sequences: Vec::new(), expects: Expects::Reply }
    }

    /// Sends the documents of the array field `identifier` beside the command, which saves the server from parsing them
    /// twice and allows more than one document's worth.
    #[must_use]
    pub fn documents<'d>(
        self,
        identifier: &'static str,
        documents: impl IntoIterator<Item = Doc<'d>>,
    ) -> Self {
        let mut bytes = Vec::new();
        let (mut count, mut longest) = (0, 0);
        for doc in documents {
            bytes.extend_from_slice(doc.as_bytes());
            count += 1;
            longest = longest.max(doc.len());
        }
        self.sequence(DocumentSequence::new(identifier, bytes, count, longest))
    }

    /// The same for one document, which is not copied.
    #[must_use]
    pub fn document(self, identifier: &'static str, document: Document) -> Self {
        let bytes = document.into_bytes();
        let longest = bytes.len();
        self.sequence(DocumentSequence::new(identifier, bytes, 1, longest))
    }

    pub(crate) fn sequence(mut self, sequence: DocumentSequence) -> Self {
        self.sequences.push(sequence);
        self
    }

    /// Changes what answer is wanted.
    #[must_use]
    pub fn expecting(mut self, expects: Expects) -> Self {
        self.expects = expects;
        self
    }

    /// Appends a field, such as `lsid` or `maxTimeMS`. Panics like [`Writer::append`](crate::bson::Writer::append).
    #[must_use]
    #[track_caller]
    pub fn with(mut self, key: &str, value: impl ToBson) -> Self {
        self.body.append(key, value);
        self
    }

    /// Appends a field, or says why it cannot be.
    pub fn try_append(&mut self, key: &str, value: impl ToBson) -> Result<(), EncodeError> {
        self.body.try_append(key, value)
    }

    /// Appends every field of `fields`.
    pub fn extend(&mut self, fields: Doc<'_>) {
        if fields.has_elements() {
            self.body.extend(fields);
        }
    }

    /// The command's name: its first field.
    pub fn name(&self) -> &str {
        self.body.iter().next().and_then(Result::ok).map_or("", |(name, _)| name)
    }

    /// The database.
    pub fn database(&self) -> &str {
        &self.database
    }

    /// The command's document, without `$db`.
    pub fn body(&self) -> Doc<'_> {
        self.body.as_doc()
    }

    /// What answer is wanted.
    pub fn expects(&self) -> Expects {
        self.expects
    }

    /// About how many bytes it is on the wire.
    pub(crate) fn size(&self) -> usize {
        let sequences: usize =
            self.sequences.iter().map(|s| s.documents.len() + s.identifier.len() + 6).sum();
        self.body.as_bytes().len() + self.database.len() + 64 + sequences
    }
}
