//! Documents looked for.

use std::fmt;
use std::marker::PhantomData;

use glowplug_mongodb::bson::{Doc, Document, Value, from_doc};
use glowplug_mongodb::{Command, CursorOptions, Find, FindAndModify, Reply};
use serde::de::DeserializeOwned;

use super::action::Kind;
use super::{Action, Cursor, Error};
use crate::Runtime;

/// Documents to look for. Made by [`Collection::find`](super::Collection::find).
pub struct FindMany<T> {
    find: Find,
    of: PhantomData<fn() -> T>,
}

impl<T> FindMany<T> {
    pub(super) fn new(find: Find) -> Self {
        Self { find, of: PhantomData }
    }
}

impl<T> fmt::Debug for FindMany<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.find.fmt(f)
    }
}

/// The first document to look for. Made by [`Collection::find_one`](super::Collection::find_one).
pub struct FindOne<T> {
    find: Find,
    of: PhantomData<fn() -> T>,
}

impl<T> FindOne<T> {
    pub(super) fn new(find: Find) -> Self {
        Self { find, of: PhantomData }
    }
}

impl<T> fmt::Debug for FindOne<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.find.fmt(f)
    }
}

/// What both kinds of finds have.
macro_rules! find_options {
    ($kind:ident) => {
        impl<T, R: Runtime> Action<'_, $kind<T>, R> {
            /// Only these fields, or all but these.
            pub fn projection(mut self, projection: Document) -> Self {
                self.kind.find = self.kind.find.projection(projection.as_doc());
                self
            }

            /// In this order: fields with 1 or -1.
            pub fn sort(mut self, sort: Document) -> Self {
                self.kind.find = self.kind.find.sort(sort.as_doc());
                self
            }

            /// Without the first so many.
            pub fn skip(mut self, count: u64) -> Self {
                self.kind.find = self.kind.find.skip(count);
                self
            }

            /// The command, as it stands.
            pub fn command(&self) -> Command {
                self.kind.find.command()
            }
        }
    };
}

find_options!(FindMany);
find_options!(FindOne);

impl<T, R: Runtime> Action<'_, FindMany<T>, R> {
    /// At most so many in all; 0 is no limit.
    pub fn limit(mut self, count: u64) -> Self {
        self.kind.find = self.kind.find.limit(count);
        self
    }

    /// So many in each batch; without it the server decides.
    pub fn batch_size(mut self, count: u32) -> Self {
        self.kind.find = self.kind.find.batch_size(count);
        self
    }

    /// The first batch is the only one.
    pub fn single_batch(mut self) -> Self {
        self.kind.find = self.kind.find.single_batch();
        self
    }

    /// The cursor of a capped collection stays when its end was read; with `await_ms` the server waits so long for more.
    pub fn tailable(mut self, await_ms: Option<u64>) -> Self {
        self.kind.find = self.kind.find.tailable(await_ms);
        self
    }

    /// Lets the server send all batches behind the first without being asked for each. The cursor then keeps its connection.
    pub fn exhaust(mut self) -> Self {
        self.kind.find = self.kind.find.exhaust();
        self
    }

    /// Sends it and gives the cursor over what was found.
    pub async fn run(mut self) -> Result<Cursor<T, R>, Error> {
        let (command, cursor) = self.kind.find.into_parts();
        let answer = self.scope.command(Kind::Read, command).await?;
        Cursor::open(&mut self.scope, cursor, answer.as_ref())
    }

    /// Everything that was found, at once.
    pub async fn collect(self) -> Result<Vec<T>, Error>
    where
        T: DeserializeOwned,
    {
        self.run().await?.collect().await
    }
}

impl<T: DeserializeOwned, R: Runtime> Action<'_, FindOne<T>, R> {
    /// Sends it and gives the document, if there is one.
    pub async fn run(mut self) -> Result<Option<T>, Error> {
        let (command, _) = self.kind.find.limit(1).single_batch().into_parts();
        let answer = self.scope.command(Kind::Read, command).await?;
        let reply = answer.ok_or(Error::Malformed("reply"))?;
        Ok(first(&reply)?.map(from_doc).transpose()?)
    }
}

/// The first document of a cursor's first batch. What is there and is no document is not taken for nothing.
pub(super) fn first(reply: &Reply) -> Result<Option<Doc<'_>>, Error> {
    let cursor = reply.doc().get_doc("cursor").ok_or(Error::Malformed("cursor"))?;
    let batch = cursor.get_array("firstBatch").ok_or(Error::Malformed("batch"))?;
    match batch.iter().next() {
        None => Ok(None),
        Some(Ok(Value::Document(doc))) => Ok(Some(doc)),
        Some(_) => Err(Error::Malformed("batch of documents")),
    }
}

/// One document to look for and change in one step. Made by
/// [`Collection::find_one_and_update`](super::Collection::find_one_and_update) and its neighbours.
pub struct Modify<T> {
    modify: Result<FindAndModify, Error>,
    of: PhantomData<fn() -> T>,
}

impl<T> Modify<T> {
    pub(super) fn new(modify: Result<FindAndModify, Error>) -> Self {
        Self { modify, of: PhantomData }
    }

    fn map(mut self, change: impl FnOnce(FindAndModify) -> FindAndModify) -> Self {
        self.modify = self.modify.map(change);
        self
    }
}

impl<T> fmt::Debug for Modify<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.modify.fmt(f)
    }
}

impl<T, R: Runtime> Action<'_, Modify<T>, R> {
    /// Which of several matches: the first in this order.
    pub fn sort(mut self, sort: Document) -> Self {
        self.kind = self.kind.map(|modify| modify.sort(sort.as_doc()));
        self
    }

    /// Only these fields of it.
    pub fn projection(mut self, projection: Document) -> Self {
        self.kind = self.kind.map(|modify| modify.projection(projection.as_doc()));
        self
    }

    /// Inserts when nothing matches. Not for deleting.
    pub fn upsert(mut self) -> Self {
        self.kind = self.kind.map(FindAndModify::upsert);
        self
    }

    /// Gives the document as it is afterwards, not as it was. Not for deleting.
    pub fn return_new(mut self) -> Self {
        self.kind = self.kind.map(FindAndModify::return_new);
        self
    }

    /// Which items of arrays `$[name]` stands for.
    pub fn array_filters(self, filters: impl IntoIterator<Item = Document>) -> Self {
        self.option("arrayFilters", filters.into_iter().collect::<Vec<_>>())
    }

    /// Does it, and gives the document; none when nothing matched.
    pub async fn run(mut self) -> Result<Option<T>, Error>
    where
        T: DeserializeOwned,
    {
        let command = self.kind.modify?.command();
        let answer = self.scope.command(Kind::Write, command).await?;
        let Some(reply) = answer else { return Ok(None) };
        if let Some(error) = reply.write_concern_error() {
            let failure =
                glowplug_mongodb::BulkFailure { write_concern_errors: vec![error], ..Default::default() };
            return Err(failure.into());
        }
        Ok(reply.doc().get_doc("value").map(from_doc).transpose()?)
    }
}

/// A command that answers with a cursor over documents.
#[derive(Debug)]
pub struct Listing {
    command: Command,
    kind: Kind,
    batch_size: Option<u32>,
}

impl Listing {
    pub(super) fn read(command: Command) -> Self {
        Self { command, kind: Kind::Read, batch_size: None }
    }

    pub(super) fn plain(command: Command, batch_size: Option<u32>) -> Self {
        Self { command, kind: Kind::Plain, batch_size }
    }
}

impl<R: Runtime> Action<'_, Listing, R> {
    /// So many documents in each batch behind the first; without it as many as the command asked for, or as the server decides.
    pub fn batch_size(mut self, count: u32) -> Self {
        self.kind.batch_size = Some(count);
        self
    }

    /// Sends it and gives the cursor.
    pub async fn run(mut self) -> Result<Cursor<Document, R>, Error> {
        let Listing { command, kind, batch_size } = self.kind;
        let options = CursorOptions { batch_size, ..CursorOptions::default() };
        let cursor = glowplug_mongodb::Cursor::new(command.database(), "", options);
        let answer = self.scope.command(kind, command).await?;
        Cursor::open(&mut self.scope, cursor, answer.as_ref())
    }

    /// All of it at once.
    pub async fn collect(self) -> Result<Vec<Document>, Error> {
        self.run().await?.collect().await
    }
}
