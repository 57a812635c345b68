//! Collections, databases, users and indexes made and removed.

use std::fmt;

use glowplug_mongodb::bson::{Doc, Document};
use glowplug_mongodb::{Command, command, doc};

use super::action::Kind;
use super::{Action, Error};
use crate::Runtime;

/// Something administrative, which answers with nothing but success.
#[derive(Debug)]
pub struct Admin {
    command: Command,
}

impl Admin {
    pub(super) fn new(command: Command) -> Self {
        Self { command }
    }
}

impl<R: Runtime> Action<'_, Admin, R> {
    /// Does it.
    pub async fn run(mut self) -> Result<(), Error> {
        let answer = self.scope.command(Kind::Admin, self.kind.command).await?;
        acknowledged(answer.as_ref())
    }
}

/// A write concern that was not satisfied is an error, though the command was carried out.
fn acknowledged(answer: Option<&glowplug_mongodb::Reply>) -> Result<(), Error> {
    match answer.and_then(glowplug_mongodb::Reply::write_concern_error) {
        Some(error) => {
            let failure =
                glowplug_mongodb::BulkFailure { write_concern_errors: vec![error], ..Default::default() };
            Err(failure.into())
        }
        None => Ok(()),
    }
}

/// Indexes to make. Made by [`Collection::create_indexes`](super::Collection::create_indexes).
pub struct CreateIndexes {
    pub(super) database: String,
    pub(super) collection: String,
    pub(super) indexes: Vec<Document>,
}

impl fmt::Debug for CreateIndexes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CreateIndexes").field("indexes", &self.indexes).finish_non_exhaustive()
    }
}

impl CreateIndexes {
    fn last(&mut self, key: &str, value: impl glowplug_mongodb::bson::ToBson) {
        if let Some(index) = self.indexes.last_mut() {
            index.append(key, value);
        }
    }
}

impl<R: Runtime> Action<'_, CreateIndexes, R> {
    /// No two documents may have the same values in the last of these indexes.
    pub fn unique(mut self) -> Self {
        self.kind.last("unique", true);
        self
    }

    /// The name of the last of these indexes; the usual one is made of its fields, such as `a_1_b_-1`.
    pub fn name(mut self, name: &str) -> Self {
        self.kind.last("name", name);
        self
    }

    /// Makes them, and gives their names.
    pub async fn run(mut self) -> Result<Vec<String>, Error> {
        let CreateIndexes { database, collection, indexes } = self.kind;
        let name = |index: &Document| {
            let index = index.as_doc();
            let usual = || command::index_name(index.get_doc("key").unwrap_or(Doc::EMPTY));
            index.get_str("name").map_or_else(usual, str::to_owned)
        };
        let names = indexes.iter().map(name).collect();
        let create = command::create_indexes(&database, &collection, indexes.iter().map(Document::as_doc));
        let answer = self.scope.command(Kind::Admin, create).await?;
        acknowledged(answer.as_ref())?;
        Ok(names)
    }
}

/// An index on these fields, as [`CreateIndexes`] takes it.
pub(super) fn index(key: &Document) -> Document {
    doc! { "key": key }
}
