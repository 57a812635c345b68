//! Documents looked for, and looked for and changed.

use std::sync::Arc;

use crate::bson::{Doc, Document, ToBson};
use crate::cursor::{Cursor, CursorOptions};
use crate::doc;
use crate::request::Command;

/// Documents that match a filter.
///
/// ```
/// use glowplug_mongodb::{Find, doc};
/// let find = Find::new("shop", "fruit")
///     .filter(doc! { "ripe": true }.as_doc())
///     .sort(doc! { "name": 1 }.as_doc())
///     .limit(20);
/// let (command, cursor) = (find.command(), find.cursor());
/// assert_eq!(
///     command.body().to_string(),
///     r#"{"find":"fruit","filter":{"ripe":true},"sort":{"name":1},"limit":20}"#
/// );
/// # let _ = cursor;
/// ```
#[derive(Clone, Debug, PartialEq)]
#[must_use = "a find does nothing until its command is sent"]
pub struct Find {
    database: Arc<str>,
    collection: Arc<str>,
    body: Document,
    options: CursorOptions,
}

impl Find {
    /// Everything in a collection.
    pub fn new(database: impl Into<Arc<str>>, collection: impl Into<Arc<str>>) -> Self {
        let collection = collection.into();
        Self {
            database: database.into(),
            body: doc! { "find": &*collection },
            collection,
            options: CursorOptions::default(),
        }
    }

    /// Appends a field that has no method here. Panics like [`Writer::append`](crate::bson::Writer::append).
    pub fn option(mut self, key: &str, value: impl ToBson) -> Self {
        self.body.append(key, value);
        self
    }

    /// Only what matches.
    pub fn filter(self, filter: Doc<'_>) -> Self {
        self.option("filter", filter)
    }

    /// Only these fields.
    pub fn projection(self, projection: Doc<'_>) -> Self {
        self.option("projection", projection)
    }

    /// In this order.
    pub fn sort(self, sort: Doc<'_>) -> Self {
        self.option("sort", sort)
    }

    /// Without the first so many.
    pub fn skip(self, count: u64) -> Self {
        self.option("skip", i64::try_from(count).unwrap_or(i64::MAX))
    }

    /// At most so many in all; 0 is no limit. The cursor is killed when they were read.
    pub fn limit(mut self, count: u64) -> Self {
        self.options.limit = Some(count);
        self
    }

    /// So many in each batch.
    pub fn batch_size(mut self, count: u32) -> Self {
        self.options.batch_size = Some(count);
        self
    }

    /// The first batch is the only one.
    pub fn single_batch(self) -> Self {
        self.option("singleBatch", true)
    }

    /// The cursor of a capped collection stays when its end was read; with `await_ms` the server waits so long for more.
    pub fn tailable(mut self, await_ms: Option<u64>) -> Self {
        self.options.max_await_ms = await_ms;
        let find = self.option("tailable", true);
        if await_ms.is_some() { find.option("awaitData", true) } else { find }
    }

    /// Lets the server send all batches behind the first without being asked for each.
    pub fn exhaust(mut self) -> Self {
        self.options.exhaust = true;
        self
    }

    /// Fields that go with this command and all that follow from it, such as `lsid`.
    pub fn common(mut self, fields: Doc<'_>) -> Self {
        self.options.common.extend(fields);
        self
    }

    /// The command that opens the cursor.
    pub fn command(&self) -> Command {
        let mut body = self.body.clone();
        self.options.put(&mut body);
        Command::new(self.database.clone(), body)
    }

    /// The command that opens the cursor, and the cursor that waits for the reply.
    pub fn into_parts(self) -> (Command, Cursor) {
        let mut body = self.body;
        self.options.put(&mut body);
        let command = Command::new(self.database.clone(), body);
        (command, Cursor::new(self.database, self.collection, self.options))
    }

    /// How the cursor goes on.
    pub fn options(&self) -> &CursorOptions {
        &self.options
    }

    /// The cursor that waits for the reply.
    pub fn cursor(&self) -> Cursor {
        Cursor::new(self.database.clone(), self.collection.clone(), self.options.clone())
    }
}

impl CursorOptions {
    /// What of them the opening command says.
    fn put(&self, body: &mut Document) {
        if let Some(limit) = self.limit {
            body.append("limit", i64::try_from(limit).unwrap_or(i64::MAX));
        }
        if let Some(size) = self.batch_size {
            // Specification "CRUD": one more than is wanted, so that the server sees the end and closes the cursor by itself.
            let all = self.limit == Some(size.into()) && size > 0;
            body.append("batchSize", if all { size.saturating_add(1) } else { size });
        }
        if self.common.as_doc().has_elements() {
            body.extend(self.common.as_doc());
        }
    }
}

/// One document looked for and changed in one step; the reply has it in `value`.
#[derive(Clone, Debug, PartialEq)]
#[must_use = "it does nothing until its command is sent"]
pub struct FindAndModify {
    database: Arc<str>,
    body: Document,
}

impl FindAndModify {
    fn new(database: &str, collection: &str, filter: Doc<'_>) -> Self {
        Self { database: database.into(), body: doc! { "findAndModify": collection, "query": filter } }
    }

    /// Changes the document by a document of operators or an array of stages, or replaces it when `update` has no operators.
    pub fn update(database: &str, collection: &str, filter: Doc<'_>, update: impl ToBson) -> Self {
        Self::new(database, collection, filter).option("update", update)
    }

    /// Deletes the document.
    pub fn delete(database: &str, collection: &str, filter: Doc<'_>) -> Self {
        Self::new(database, collection, filter).option("remove", true)
    }

    /// Appends a field that has no method here. Panics like [`Writer::append`](crate::bson::Writer::append).
    pub fn option(mut self, key: &str, value: impl ToBson) -> Self {
        self.body.append(key, value);
        self
    }

    /// Which of several matches: the first in this order.
    pub fn sort(self, sort: Doc<'_>) -> Self {
        self.option("sort", sort)
    }

    /// Only these fields of it.
    pub fn projection(self, projection: Doc<'_>) -> Self {
        self.option("fields", projection)
    }

    /// Insert when nothing matches.
    pub fn upsert(self) -> Self {
        self.option("upsert", true)
    }

    /// Answer with the document after the change, not before it.
    pub fn return_new(self) -> Self {
        self.option("new", true)
    }

    /// The command.
    pub fn command(self) -> Command {
        Command::new(self.database, self.body)
    }
}
