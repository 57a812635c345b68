//! What a server answers.

use core::fmt;

use crate::bson::{Array, Doc, Document, RawDocument, Value};
use crate::error::EncodeError;
use crate::wire::Compressor;

/// One reply to a command. Its document is a piece of the received message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    pub(crate) document: RawDocument,
    ok: bool,
}

impl Reply {
    /// A reply of this document.
    pub fn new(document: RawDocument) -> Self {
        let ok = document.as_doc().is_ok();
        Self { document, ok }
    }

    /// False when the command failed as a whole.
    #[inline]
    pub fn is_ok(&self) -> bool {
        self.ok
    }

    /// The reply as it is, `ok: 0` included.
    pub fn doc(&self) -> Doc<'_> {
        self.document.as_doc()
    }

    /// The reply as a shared document.
    pub fn document(&self) -> &RawDocument {
        &self.document
    }

    /// The document, unless it says that the command failed. Errors of single writes are not failures of the command: see
    /// [`write_errors`](Self::write_errors).
    pub fn ok(&self) -> Result<Doc<'_>, CommandError> {
        let doc = self.doc();
        if self.ok { Ok(doc) } else { Err(CommandError::from_doc(doc)) }
    }

    /// What went wrong with single writes of a command that did not fail as a whole.
    pub fn write_errors(&self) -> impl Iterator<Item = WriteError<'_>> {
        let errors = self.doc().get_array("writeErrors");
        errors.into_iter().flat_map(Array::docs).map(WriteError::from_doc)
    }

    /// Writes were made, but not acknowledged by as many members as was asked.
    pub fn write_concern_error(&self) -> Option<CommandError> {
        let mut error = self.doc().get_doc("writeConcernError").map(CommandError::from_doc)?;
        // The labels stand beside the error, not in it.
        error.labels.extend(CommandError::labels_of(self.doc()));
        Some(error)
    }

    /// How many documents the command touched: `n`.
    pub fn n(&self) -> i64 {
        self.doc().get_i64("n").unwrap_or(0)
    }

    /// The cursor of the reply, if it lives on the server: namespace and id.
    pub(crate) fn live_cursor(&self) -> Option<(&str, i64)> {
        let cursor = self.doc().get_doc("cursor")?;
        let id = cursor.get_i64("id").filter(|id| *id != 0)?;
        Some((cursor.get_str("ns")?, id))
    }
}

/// An answer to a submitted command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Response {
    /// The server's reply.
    Reply(Reply),
    /// The command wanted no reply and was handed over to be sent.
    Sent,
    /// The command was not sent: the server's limits, learned since, do not allow it.
    Refused(EncodeError),
}

impl Response {
    /// The reply, if there is one.
    pub fn into_reply(self) -> Option<Reply> {
        match self {
            Self::Reply(reply) => Some(reply),
            Self::Sent | Self::Refused(_) => None,
        }
    }
}

/// A command that the server did not carry out, in its own words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandError {
    /// The error's number; 0 when there is none.
    pub code: i32,
    /// The number's name; empty when there is none.
    pub code_name: String,
    /// What happened.
    pub message: String,
    /// Labels such as `RetryableWriteError`.
    pub labels: Vec<String>,
    /// Everything that the server says about it.
    pub details: RawDocument,
}

impl CommandError {
    /// Reads `code`, `codeName`, `errmsg` (or the `$err` of old servers) and `errorLabels`. Long texts are cut at 4 KiB, and
    /// no more than 16 labels are kept.
    pub fn from_doc(doc: Doc<'_>) -> Self {
        let text = |key: &str| doc.get_str(key).map(|text| text.chars().take(4096).collect::<String>());
        Self {
            code: doc.get_i64("code").and_then(|code| i32::try_from(code).ok()).unwrap_or(0),
            code_name: text("codeName").unwrap_or_default(),
            message: text("errmsg").or_else(|| text("$err")).unwrap_or_default(),
            details: Document::from(doc).into(),
            labels: Self::labels_of(doc).collect(),
        }
    }

    fn labels_of(doc: Doc<'_>) -> impl Iterator<Item = String> {
        let labels = doc.get_array("errorLabels").into_iter().flat_map(Array::iter);
        let labels = labels.map_while(Result::ok).filter_map(Value::as_str).take(16);
        labels.map(|label| label.chars().take(256).collect())
    }

    /// True when the error carries this label.
    pub fn has_label(&self, label: &str) -> bool {
        self.labels.iter().any(|own| own == label)
    }

    /// True when the server does not know the command. Servers have used two numbers for it.
    pub(crate) fn is_unknown_command(&self) -> bool {
        matches!(self.code, 59 | 115) || self.message.starts_with("no such c")
    }
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.message.is_empty() { "command failed" } else { &self.message })?;
        match (self.code, self.code_name.as_str()) {
            (0, "") => Ok(()),
            (code, "") => write!(f, " ({code})"),
            (code, name) => write!(f, " ({name}, {code})"),
        }
    }
}

impl std::error::Error for CommandError {}

/// What went wrong with one write of a command of many.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WriteError<'a> {
    /// Which write of the command, from 0.
    pub index: usize,
    /// The error's number, such as 11000 for a duplicate key.
    pub code: i32,
    /// What happened.
    pub message: &'a str,
    /// Everything that the server says about it.
    pub doc: Doc<'a>,
}

impl<'a> WriteError<'a> {
    fn from_doc(doc: Doc<'a>) -> Self {
        Self {
            index: doc.get_i64("index").and_then(|index| usize::try_from(index).ok()).unwrap_or(0),
            code: doc.get_i64("code").and_then(|code| i32::try_from(code).ok()).unwrap_or(0),
            message: doc.get_str("errmsg").unwrap_or_default(),
            doc,
        }
    }
}

/// What a server says of itself in its reply to `hello`.
#[derive(Clone, Debug, PartialEq)]
pub struct ServerInfo {
    /// The whole reply: topology discovery reads the rest there.
    pub document: RawDocument,
    /// The oldest and the newest version of the protocol that it speaks.
    pub wire_versions: (i64, i64),
    /// The longest document that it stores, in bytes.
    pub max_document_len: usize,
    /// The longest message that it reads, in bytes.
    pub max_message_len: usize,
    /// How many writes one command may have.
    pub max_write_batch: usize,
    /// Writes are possible here: a primary, a standalone or a mongos.
    pub is_writable: bool,
    /// It is a mongos.
    pub is_mongos: bool,
    /// The name of its replica set.
    pub set_name: Option<String>,
    /// How long sessions live, in minutes; `None` when it has none.
    pub session_timeout_minutes: Option<i64>,
    /// The server's number for this connection.
    pub connection_id: Option<i64>,
    /// The compressor that both sides have.
    pub compressor: Option<Compressor>,
}

impl ServerInfo {
    /// Reads a reply to `hello` or `isMaster`; `offered` are the client's compressors, the best first.
    pub fn new(document: RawDocument, offered: &[Compressor]) -> Self {
        let doc = document.as_doc();
        let size = |key: &str, default: usize, most: usize| {
            let size = doc.get_i64(key).and_then(|size| usize::try_from(size).ok());
            size.filter(|size| *size > 0).unwrap_or(default).min(most)
        };
        let theirs: Vec<&str> = doc
            .get_array("compression")
            .into_iter()
            .flat_map(Array::iter)
            .map_while(Result::ok)
            .filter_map(Value::as_str)
            .take(16)
            .collect();
        Self {
            wire_versions: (
                doc.get_i64("minWireVersion").unwrap_or(0),
                doc.get_i64("maxWireVersion").unwrap_or(0),
            ),
            max_document_len: size("maxBsonObjectSize", 16 << 20, i32::MAX as usize),
            max_message_len: size("maxMessageSizeBytes", 48_000_000, i32::MAX as usize),
            max_write_batch: size("maxWriteBatchSize", 100_000, i32::MAX as usize),
            is_writable: doc.get_bool("isWritablePrimary").or(doc.get_bool("ismaster")).unwrap_or(false),
            is_mongos: doc.get_str("msg") == Some("isdbgrid"),
            set_name: doc.get_str("setName").map(str::to_owned),
            session_timeout_minutes: doc.get_i64("logicalSessionTimeoutMinutes"),
            connection_id: doc.get_i64("connectionId"),
            compressor: offered.iter().copied().find(|ours| theirs.contains(&ours.name())),
            document,
        }
    }
}
