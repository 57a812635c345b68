//! Documents inserted, changed and deleted.

use std::sync::Arc;

use glowplug_mongodb::bson::{Doc, Document, OwnedValue, SerError, to_document};
use glowplug_mongodb::{Bulk, BulkFailure, BulkResult, Command, WriteModel, doc};
use serde::Serialize;

use super::action::{Kind, Scope};
use super::change::{Change, check_replacement};
use super::{Action, Client, Error};
use crate::Runtime;

/// A document to insert. Made by [`Collection::insert_one`](super::Collection::insert_one).
#[derive(Debug)]
pub struct InsertOne {
    database: Arc<str>,
    collection: Arc<str>,
    document: Result<Document, SerError>,
}

/// Documents to insert. Made by [`Collection::insert_many`](super::Collection::insert_many).
#[derive(Debug)]
pub struct InsertMany {
    database: Arc<str>,
    collection: Arc<str>,
    documents: Result<Vec<Document>, SerError>,
    ordered: bool,
}

/// A document was inserted.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct InsertOneResult {
    /// Its `_id`.
    pub inserted_id: OwnedValue,
}

/// Documents were inserted.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct InsertManyResult {
    /// Their `_id`s, in order.
    pub inserted_ids: Vec<OwnedValue>,
}

impl InsertOne {
    pub(super) fn new<T: Serialize, R: Runtime>(
        client: &Client<R>,
        database: &Arc<str>,
        collection: &Arc<str>,
        document: &T,
    ) -> Self {
        let document = to_document(document).map(|document| with_id(client, document));
        Self { database: database.clone(), collection: collection.clone(), document }
    }
}

impl InsertMany {
    pub(super) fn new<'d, T: Serialize + 'd, R: Runtime>(
        client: &Client<R>,
        database: &Arc<str>,
        collection: &Arc<str>,
        documents: impl IntoIterator<Item = &'d T>,
    ) -> Self {
        let documents = documents.into_iter().map(|document| Ok(with_id(client, to_document(document)?)));
        Self {
            database: database.clone(),
            collection: collection.clone(),
            documents: documents.collect(),
            ordered: true,
        }
    }
}

/// The document with an `_id`, in front where it has none: servers would make one too, but then nobody here knew it.
fn with_id<R: Runtime>(client: &Client<R>, document: Document) -> Document {
    if document.as_doc().raw_iter().map_while(Result::ok).any(|element| element.key_bytes() == b"_id") {
        return document;
    }
    let mut whole = Document::with_capacity(document.as_bytes().len() + 17);
    whole.append("_id", client.shared().object_id());
    whole.extend(document.as_doc());
    whole
}

fn id_of(document: &Document) -> OwnedValue {
    OwnedValue::of(document.as_doc(), "_id").ok().flatten().unwrap_or_default()
}

impl<R: Runtime> Action<'_, InsertOne, R> {
    /// Inserts it.
    pub async fn run(mut self) -> Result<InsertOneResult, Error> {
        let InsertOne { database, collection, document } = self.kind;
        let document = document?;
        let inserted_id = id_of(&document);
        let command = Command::new(database, doc! { "insert": &*collection, "ordered": true })
            .document("documents", document);
        single(&mut self.scope, command).await?;
        Ok(InsertOneResult { inserted_id })
    }
}

impl<R: Runtime> Action<'_, InsertMany, R> {
    /// With false, a document that fails does not keep those behind it from being inserted.
    pub fn ordered(mut self, ordered: bool) -> Self {
        self.kind.ordered = ordered;
        self
    }

    /// Inserts them. If some fail, [`Error::Write`] says which.
    pub async fn run(mut self) -> Result<InsertManyResult, Error> {
        let InsertMany { database, collection, documents, ordered } = self.kind;
        let documents = documents?;
        let inserted_ids = documents.iter().map(id_of).collect();
        let mut bulk = Bulk::new(database, collection, ordered);
        for document in documents {
            bulk.push(WriteModel::Insert(document));
        }
        many(&mut self.scope, bulk, ordered).await?;
        Ok(InsertManyResult { inserted_ids })
    }
}

/// Documents to change. Made by [`Collection::update_one`](super::Collection::update_one) and its neighbours.
#[derive(Debug)]
pub struct Update {
    database: Arc<str>,
    collection: Arc<str>,
    statement: Result<Document, Error>,
}

/// What an update did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct UpdateResult {
    /// False when the server was asked not to answer: then nobody knows the rest.
    pub acknowledged: bool,
    /// Documents that matched.
    pub matched: u64,
    /// Documents that were changed.
    pub modified: u64,
    /// The `_id` of the document that was inserted because nothing matched.
    pub upserted_id: Option<OwnedValue>,
}

impl Update {
    pub(super) fn new(
        database: &Arc<str>,
        collection: &Arc<str>,
        filter: &Document,
        change: &Change,
        multi: bool,
    ) -> Self {
        let mut statement = doc! { "q": filter, "u": change };
        if multi {
            statement.append("multi", true);
        }
        let statement = change.check().map(|()| statement);
        Self { database: database.clone(), collection: collection.clone(), statement }
    }

    pub(super) fn replace<T: Serialize>(
        database: &Arc<str>,
        collection: &Arc<str>,
        filter: &Document,
        replacement: &T,
    ) -> Self {
        let statement = to_document(replacement).map_err(Error::from).and_then(|replacement| {
            check_replacement(&replacement)?;
            Ok(doc! { "q": filter, "u": replacement })
        });
        Self { database: database.clone(), collection: collection.clone(), statement }
    }

    fn with(&mut self, key: &str, value: impl glowplug_mongodb::bson::ToBson) {
        if let Ok(statement) = &mut self.statement {
            statement.append(key, value);
        }
    }
}

impl<R: Runtime> Action<'_, Update, R> {
    /// Inserts a document when nothing matches.
    pub fn upsert(mut self) -> Self {
        self.kind.with("upsert", true);
        self
    }

    /// Which of several matches is changed: the first in this order. Not for changing many; servers know it since 8.0.
    pub fn sort(mut self, sort: Document) -> Self {
        self.kind.with("sort", sort);
        self
    }

    /// Which items of arrays `$[name]` stands for.
    pub fn array_filters(mut self, filters: impl IntoIterator<Item = Document>) -> Self {
        self.kind.with("arrayFilters", filters.into_iter().collect::<Vec<_>>());
        self
    }

    /// Rules for comparing text.
    pub fn collation(mut self, collation: Document) -> Self {
        self.kind.with("collation", collation);
        self
    }

    /// Which index to use for finding what to change: a name, or its key document.
    pub fn index_hint(mut self, hint: impl glowplug_mongodb::bson::ToBson) -> Self {
        self.kind.with("hint", hint);
        self
    }

    /// Changes them.
    pub async fn run(mut self) -> Result<UpdateResult, Error> {
        let Update { database, collection, statement } = self.kind;
        let statement = statement?;
        let command = Command::new(database, doc! { "update": &*collection, "ordered": true })
            .document("updates", statement);
        let Some(result) = single(&mut self.scope, command).await? else {
            return Ok(UpdateResult::default());
        };
        Ok(UpdateResult {
            acknowledged: true,
            matched: result.matched,
            modified: result.modified,
            upserted_id: result.upserted.into_iter().next().map(|(_, id)| id),
        })
    }
}

/// Documents to delete. Made by [`Collection::delete_one`](super::Collection::delete_one) and
/// [`Collection::delete_many`](super::Collection::delete_many).
#[derive(Debug)]
pub struct Delete {
    database: Arc<str>,
    collection: Arc<str>,
    statement: Document,
}

/// What was deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeleteResult {
    /// False when the server was asked not to answer: then nobody knows the rest.
    pub acknowledged: bool,
    /// Documents that were deleted.
    pub deleted: u64,
}

impl Delete {
    pub(super) fn new(database: &Arc<str>, collection: &Arc<str>, filter: &Document, limit: i32) -> Self {
        let statement = doc! { "q": filter, "limit": limit };
        Self { database: database.clone(), collection: collection.clone(), statement }
    }
}

impl<R: Runtime> Action<'_, Delete, R> {
    /// Rules for comparing text.
    pub fn collation(mut self, collation: Document) -> Self {
        self.kind.statement.append("collation", collation);
        self
    }

    /// Which index to use for finding what to delete: a name, or its key document.
    pub fn index_hint(mut self, hint: impl glowplug_mongodb::bson::ToBson) -> Self {
        self.kind.statement.append("hint", hint);
        self
    }

    /// Deletes them.
    pub async fn run(mut self) -> Result<DeleteResult, Error> {
        let Delete { database, collection, statement } = self.kind;
        let command = Command::new(database, doc! { "delete": &*collection, "ordered": true })
            .document("deletes", statement);
        let result = single(&mut self.scope, command).await?;
        let deleted = result.as_ref().map_or(0, |result| result.deleted);
        Ok(DeleteResult { acknowledged: result.is_some(), deleted })
    }
}

/// Many writes. Made by [`Collection::bulk_write`](super::Collection::bulk_write).
#[derive(Debug)]
pub struct BulkWrite {
    database: Arc<str>,
    collection: Arc<str>,
    models: Vec<WriteModel>,
    ordered: bool,
}

impl BulkWrite {
    pub(super) fn new(database: &Arc<str>, collection: &Arc<str>, models: Vec<WriteModel>) -> Self {
        Self { database: database.clone(), collection: collection.clone(), models, ordered: true }
    }
}

impl<R: Runtime> Action<'_, BulkWrite, R> {
    /// With false, writes may be made in any order, and one that fails does not keep the others from being made.
    pub fn ordered(mut self, ordered: bool) -> Self {
        self.kind.ordered = ordered;
        self
    }

    /// Makes them. If some fail, [`Error::Write`] says which, and what was made all the same.
    pub async fn run(mut self) -> Result<BulkResult, Error> {
        let BulkWrite { database, collection, models, ordered } = self.kind;
        let mut bulk = Bulk::new(database, collection, ordered);
        for model in models {
            bulk.push(match model {
                WriteModel::Insert(document) => WriteModel::Insert(with_id(self.scope.client, document)),
                other => other,
            });
        }
        many(&mut self.scope, bulk, ordered).await
    }
}

/// What the reply is read by, once the command itself is gone.
fn static_name(command: &Command) -> &'static str {
    match command.name() {
        "insert" => "insert",
        "delete" => "delete",
        _ => "update",
    }
}

/// Sends a command of one write; none when no answer was asked for.
async fn single<R: Runtime>(scope: &mut Scope<'_, R>, command: Command) -> Result<Option<BulkResult>, Error> {
    let name = static_name(&command);
    let answer = scope.command(Kind::Write, command).await?;
    let Some(reply) = answer else { return Ok(None) };
    let mut outcome = BulkFailure::default();
    outcome.add_reply(name, &[0], &reply);
    if outcome.is_success() { Ok(Some(outcome.result)) } else { Err(outcome.into()) }
}

/// Sends a bulk's commands one after the other. An error of a command as a whole ends it; what was made before is lost with it.
async fn many<R: Runtime>(
    scope: &mut Scope<'_, R>,
    mut bulk: Bulk,
    ordered: bool,
) -> Result<BulkResult, Error> {
    let until = scope.until();
    let info = match scope.client.server_info() {
        Some(info) => info,
        None => Arc::new(glowplug_mongodb::ServerInfo::new(Document::from(Doc::EMPTY).into(), &[])),
    };
    let mut outcome = BulkFailure::default();
    while let Some(mut part) = bulk.next_command(&info) {
        let command = std::mem::take(&mut part.command);
        let name = static_name(&command);
        let answer = scope.command_until(Kind::Write, command, until).await?;
        if let Some(reply) = &answer
            && outcome.add_reply(name, &part.indexes, reply)
            && ordered
        {
            break;
        }
    }
    if outcome.is_success() { Ok(outcome.result) } else { Err(outcome.into()) }
}
