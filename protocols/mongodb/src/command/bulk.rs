//! Many writes in as few commands as the server's limits allow.

use std::sync::Arc;

use crate::bson::{Doc, Document};
use crate::doc;
use crate::reply::ServerInfo;
use crate::request::{Command, DocumentSequence};

/// Room for what a command has besides its documents.
const COMMAND_RESERVE: usize = 16 * 1024;

/// One write.
#[derive(Clone, Debug, PartialEq)]
pub enum WriteModel {
    /// Insert this document.
    Insert(Document),
    /// Change what matches: `{q, u, upsert, multi, ..}`. See [`update_one`](Self::update_one) and its neighbours.
    Update(Document),
    /// Delete what matches: `{q, limit, ..}`.
    Delete(Document),
}

impl WriteModel {
    /// Changes the first match, or replaces it when `update` has no operators.
    pub fn update_one(filter: Doc<'_>, update: Doc<'_>, upsert: bool) -> Self {
        Self::update(filter, update, upsert, false)
    }

    /// Changes every match.
    pub fn update_many(filter: Doc<'_>, update: Doc<'_>, upsert: bool) -> Self {
        Self::update(filter, update, upsert, true)
    }

    fn update(filter: Doc<'_>, update: Doc<'_>, upsert: bool, multi: bool) -> Self {
        let mut statement = doc! { "q": filter, "u": update };
        if upsert {
            statement.append("upsert", true);
        }
        if multi {
            statement.append("multi", true);
        }
        Self::Update(statement)
    }

    /// Deletes the first match.
    pub fn delete_one(filter: Doc<'_>) -> Self {
        Self::Delete(doc! { "q": filter, "limit": 1 })
    }

    /// Deletes every match.
    pub fn delete_many(filter: Doc<'_>) -> Self {
        Self::Delete(doc! { "q": filter, "limit": 0 })
    }

    /// The command's name and the field that its statements stand in.
    fn kind(&self) -> (&'static str, &'static str) {
        match self {
            Self::Insert(_) => ("insert", "documents"),
            Self::Update(_) => ("update", "updates"),
            Self::Delete(_) => ("delete", "deletes"),
        }
    }

    fn statement(&self) -> &Document {
        match self {
            Self::Insert(document) | Self::Update(document) | Self::Delete(document) => document,
        }
    }
}

/// Writes to one collection, given out as commands.
///
/// Ordered, they stay in order, and a new command begins where the kind changes; unordered, each kind is gathered. No command
/// exceeds the server's limits, except one whose single statement does: that one is refused when it is sent.
///
/// ```
/// # use glowplug_mongodb::{Bulk, WriteModel, doc};
/// let mut bulk = Bulk::new("shop", "fruit", true);
/// bulk.push(WriteModel::Insert(doc! { "_id": 1 }));
/// bulk.push(WriteModel::delete_one(doc! { "_id": 2 }.as_doc()));
/// bulk.push(WriteModel::Insert(doc! { "_id": 3 }));
/// # let info = glowplug_mongodb::ServerInfo::new(Default::default(), &[]);
/// let commands: Vec<_> = std::iter::from_fn(|| bulk.next_command(&info)).collect();
/// assert_eq!(commands.iter().map(|part| part.command.name()).collect::<Vec<_>>(), ["insert", "delete", "insert"]);
/// ```
#[derive(Clone, Debug)]
pub struct Bulk {
    database: Arc<str>,
    collection: Arc<str>,
    ordered: bool,
    /// With the place that each had when it was pushed; in the order of sending.
    models: std::collections::VecDeque<(usize, WriteModel)>,
    pushed: usize,
    common: Document,
    sorted: bool,
}

/// One command of a [`Bulk`].
#[derive(Clone, Debug, PartialEq)]
pub struct BulkCommand {
    /// What to send.
    pub command: Command,
    /// Which of the pushed writes it makes: the index in a write error is a place in this list.
    pub indexes: Vec<usize>,
}

impl Bulk {
    /// No writes yet.
    pub fn new(database: impl Into<Arc<str>>, collection: impl Into<Arc<str>>, ordered: bool) -> Self {
        Self {
            database: database.into(),
            collection: collection.into(),
            ordered,
            models: std::collections::VecDeque::new(),
            pushed: 0,
            common: Document::new(),
            sorted: true,
        }
    }

    /// Fields that go with every command, such as `writeConcern` and `lsid`.
    #[must_use]
    pub fn common(mut self, fields: Doc<'_>) -> Self {
        self.common.extend(fields);
        self
    }

    /// Adds a write behind the others.
    pub fn push(&mut self, model: WriteModel) {
        self.models.push_back((self.pushed, model));
        self.pushed += 1;
        self.sorted = false;
    }

    /// Writes that are not in a command yet.
    pub fn remaining(&self) -> usize {
        self.models.len()
    }

    /// The next command, or `None` when all writes were given out. After an error of an ordered one, ask for no more.
    pub fn next_command(&mut self, info: &ServerInfo) -> Option<BulkCommand> {
        if !self.ordered && !self.sorted {
            // Stable: within a kind the order stays.
            self.models.make_contiguous().sort_by_key(|(_, model)| model.kind().0);
            self.sorted = true;
        }
        let (name, field) = self.models.front()?.1.kind();
        let room = info.max_message_len.saturating_sub(COMMAND_RESERVE + self.common.as_bytes().len());
        let mut statements: Vec<u8> = Vec::new();
        let (mut indexes, mut longest) = (Vec::new(), 0);
        while let Some((_, model)) = self.models.front() {
            let bytes = model.statement().as_bytes();
            let full = indexes.len() >= info.max_write_batch || statements.len() + bytes.len() > room;
            if model.kind().0 != name || (full && !indexes.is_empty()) {
                break;
            }
            longest = longest.max(bytes.len());
            statements.extend_from_slice(bytes);
            indexes.extend(self.models.pop_front().map(|(index, _)| index));
        }
        let mut body = doc! { (name): &*self.collection, "ordered": self.ordered };
        body.extend(self.common.as_doc());
        let sequence = DocumentSequence::new(field, statements, indexes.len(), longest);
        Some(BulkCommand { command: Command::new(self.database.clone(), body).sequence(sequence), indexes })
    }
}
