//! Aggregations, and what is counted.

use glowplug_mongodb::bson::{Document, OwnedValue, Value};
use glowplug_mongodb::{Command, CursorOptions, command, doc};

use super::action::Kind;
use super::{Action, Cursor, Error};
use crate::Runtime;

/// Stages to pass documents through. Made by [`Collection::aggregate`](super::Collection::aggregate).
#[derive(Debug)]
pub struct Aggregate {
    database: String,
    collection: Option<String>,
    pipeline: Vec<Document>,
    batch_size: Option<u32>,
}

impl Aggregate {
    pub(super) fn new(database: &str, collection: Option<&str>, pipeline: Vec<Document>) -> Self {
        let collection = collection.map(str::to_owned);
        Self { database: database.to_owned(), collection, pipeline, batch_size: None }
    }

    /// Stages that write are sent once, like other writes without a number.
    fn writes(&self) -> bool {
        let name = |stage: &Document| {
            stage
                .iter()
                .next()
                .and_then(Result::ok)
                .is_some_and(|(name, _)| matches!(name, "$out" | "$merge"))
        };
        self.pipeline.last().is_some_and(name)
    }

    fn command(&self) -> Command {
        let stages = self.pipeline.iter().map(Document::as_doc);
        match &self.collection {
            Some(collection) => command::aggregate(&self.database, collection, stages, self.batch_size),
            None => {
                let mut cursor = Document::new();
                if let Some(size) = self.batch_size {
                    cursor.append("batchSize", size);
                }
                let body = doc! { "aggregate": 1, "pipeline": &self.pipeline, "cursor": cursor };
                Command::new(self.database.as_str(), body)
            }
        }
    }
}

impl<R: Runtime> Action<'_, Aggregate, R> {
    /// So many documents in each batch; without it the server decides.
    pub fn batch_size(mut self, count: u32) -> Self {
        self.kind.batch_size = Some(count);
        self
    }

    /// Lets the server write to disk what does not fit its memory.
    pub fn allow_disk_use(self) -> Self {
        self.option("allowDiskUse", true)
    }

    /// Sends it and gives the cursor over what comes out of the last stage.
    pub async fn run(mut self) -> Result<Cursor<Document, R>, Error> {
        let kind = if self.kind.writes() { Kind::Out } else { Kind::Read };
        let answer = self.scope.command(kind, self.kind.command()).await?;
        let Aggregate { database, collection, batch_size, .. } = self.kind;
        let options = CursorOptions { batch_size, ..CursorOptions::default() };
        let collection = collection.unwrap_or_else(|| "$cmd.aggregate".to_owned());
        let cursor = glowplug_mongodb::Cursor::new(database, collection, options);
        Cursor::open(&mut self.scope, cursor, answer.as_ref())
    }

    /// All that comes out of the last stage, at once.
    pub async fn collect(self) -> Result<Vec<Document>, Error> {
        self.run().await?.collect().await
    }
}

/// Documents to count. Made by [`Collection::count`](super::Collection::count) and
/// [`Collection::estimated_count`](super::Collection::estimated_count).
#[derive(Debug)]
pub struct Count {
    database: String,
    collection: String,
    /// None for an estimate.
    filter: Option<Document>,
    skip: Option<u64>,
    limit: Option<u64>,
}

impl Count {
    pub(super) fn exact(database: &str, collection: &str, filter: Document) -> Self {
        Self { filter: Some(filter), ..Self::estimated(database, collection) }
    }

    pub(super) fn estimated(database: &str, collection: &str) -> Self {
        Self {
            database: database.to_owned(),
            collection: collection.to_owned(),
            filter: None,
            skip: None,
            limit: None,
        }
    }
}

impl<R: Runtime> Action<'_, Count, R> {
    /// Without the first so many. Not for an estimate.
    pub fn skip(mut self, count: u64) -> Self {
        self.kind.skip = Some(count);
        self
    }

    /// Up to so many; 0 is no limit. Not for an estimate.
    pub fn limit(mut self, count: u64) -> Self {
        self.kind.limit = Some(count);
        self
    }

    /// Counts.
    pub async fn run(mut self) -> Result<u64, Error> {
        let Count { database, collection, filter, skip, limit } = self.kind;
        let count = match &filter {
            Some(filter) => command::count_documents(&database, &collection, filter.as_doc(), skip, limit),
            None => command::estimated_count(&database, &collection),
        };
        let answer = self.scope.command(Kind::Read, count).await?;
        let reply = answer.ok_or(Error::Malformed("reply"))?;
        let n = match filter {
            None => reply.doc().get_i64("n").ok_or(Error::Malformed("count"))?,
            // No document, no group.
            Some(_) => {
                let group = super::find::first(&reply)?;
                group.map_or(Some(0), |doc| doc.get_i64("n")).ok_or(Error::Malformed("count"))?
            }
        };
        u64::try_from(n).map_err(|_| Error::Malformed("count"))
    }
}

/// Different values to look for. Made by [`Collection::distinct`](super::Collection::distinct).
#[derive(Debug)]
pub struct Distinct {
    command: Command,
}

impl Distinct {
    pub(super) fn new(command: Command) -> Self {
        Self { command }
    }
}

impl<R: Runtime> Action<'_, Distinct, R> {
    /// Sends it and gives the values.
    pub async fn run(mut self) -> Result<Vec<OwnedValue>, Error> {
        let answer = self.scope.command(Kind::Read, self.kind.command).await?;
        let reply = answer.ok_or(Error::Malformed("reply"))?;
        let values = reply.doc().get_array("values").ok_or(Error::Malformed("list of values"))?;
        let owned = |value: Result<Value<'_>, _>| {
            value.ok().and_then(|value| OwnedValue::new(value).ok()).ok_or(Error::Malformed("usable value"))
        };
        values.iter().map(owned).collect()
    }
}
