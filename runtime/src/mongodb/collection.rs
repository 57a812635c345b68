//! A collection.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use glowplug_mongodb::bson::Document;
use glowplug_mongodb::{Find, FindAndModify, WriteModel, command};
use serde::Serialize;

use super::change::check_replacement;
use super::{
    Action, Admin, Aggregate, BulkWrite, Change, Client, Count, CreateIndexes, Database, Delete, Distinct,
    Error, FindMany, FindOne, InsertMany, InsertOne, Listing, Modify, Update,
};
use crate::Runtime;

/// A collection of documents of type `T`. Cheap to clone.
///
/// With [`Document`] it holds any; with a type of yours, serde writes it straight to the wire and reads it straight from there.
/// Filters and updates are documents: see [`doc!`](glowplug_mongodb::doc).
pub struct Collection<T, R: Runtime> {
    database: Database<R>,
    name: Arc<str>,
    /// Neither holds nor owns any.
    of: PhantomData<fn() -> T>,
}

impl<T, R: Runtime> Clone for Collection<T, R> {
    fn clone(&self) -> Self {
        Self { database: self.database.clone(), name: self.name.clone(), of: PhantomData }
    }
}

impl<T, R: Runtime> Collection<T, R> {
    pub(super) fn new(database: Database<R>, name: String) -> Self {
        Self { database, name: name.into(), of: PhantomData }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its database.
    pub fn database(&self) -> &Database<R> {
        &self.database
    }

    /// Its name behind its database's, with a point between them.
    pub fn namespace(&self) -> String {
        format!("{}.{}", self.database.name(), self.name)
    }

    /// The same collection with documents of another type.
    pub fn with_type<U>(&self) -> Collection<U, R> {
        Collection { database: self.database.clone(), name: self.name.clone(), of: PhantomData }
    }

    fn client(&self) -> &Client<R> {
        self.database.client()
    }

    /// The documents that match.
    pub fn find(&self, filter: Document) -> Action<'_, FindMany<T>, R> {
        let find = Find::new(self.database.shared_name().clone(), self.name.clone()).filter(filter.as_doc());
        Action::new(self.client(), FindMany::new(find))
    }

    /// The first document that matches.
    pub fn find_one(&self, filter: Document) -> Action<'_, FindOne<T>, R> {
        let find = Find::new(self.database.shared_name().clone(), self.name.clone()).filter(filter.as_doc());
        Action::new(self.client(), FindOne::new(find))
    }

    /// Adds a document. One without `_id` gets one, which the result tells.
    pub fn insert_one(&self, document: &T) -> Action<'_, InsertOne, R>
    where
        T: Serialize,
    {
        Action::new(
            self.client(),
            InsertOne::new(self.client(), self.database.shared_name(), &self.name, document),
        )
    }

    /// Adds documents, in as few commands as the server's limits allow.
    pub fn insert_many<'d>(&self, documents: impl IntoIterator<Item = &'d T>) -> Action<'_, InsertMany, R>
    where
        T: Serialize + 'd,
    {
        Action::new(
            self.client(),
            InsertMany::new(self.client(), self.database.shared_name(), &self.name, documents),
        )
    }

    /// Changes the first document that matches, by operators such as `$set`, or by stages.
    pub fn update_one(&self, filter: Document, change: impl Into<Change>) -> Action<'_, Update, R> {
        Action::new(
            self.client(),
            Update::new(self.database.shared_name(), &self.name, &filter, &change.into(), false),
        )
    }

    /// Changes every document that matches.
    pub fn update_many(&self, filter: Document, change: impl Into<Change>) -> Action<'_, Update, R> {
        Action::new(
            self.client(),
            Update::new(self.database.shared_name(), &self.name, &filter, &change.into(), true),
        )
    }

    /// Puts another document in the place of the first that matches; its `_id` stays.
    pub fn replace_one(&self, filter: Document, replacement: &T) -> Action<'_, Update, R>
    where
        T: Serialize,
    {
        Action::new(
            self.client(),
            Update::replace(self.database.shared_name(), &self.name, &filter, replacement),
        )
    }

    /// Deletes the first document that matches.
    pub fn delete_one(&self, filter: Document) -> Action<'_, Delete, R> {
        Action::new(self.client(), Delete::new(self.database.shared_name(), &self.name, &filter, 1))
    }

    /// Deletes every document that matches.
    pub fn delete_many(&self, filter: Document) -> Action<'_, Delete, R> {
        Action::new(self.client(), Delete::new(self.database.shared_name(), &self.name, &filter, 0))
    }

    /// Changes the first document that matches, by operators or stages, and gives it as it was.
    pub fn find_one_and_update(
        &self,
        filter: Document,
        change: impl Into<Change>,
    ) -> Action<'_, Modify<T>, R> {
        let change = change.into();
        let modify = change
            .check()
            .map(|()| FindAndModify::update(self.database.name(), &self.name, filter.as_doc(), &change));
        Action::new(self.client(), Modify::new(modify))
    }

    /// Replaces the first document that matches, and gives it as it was.
    pub fn find_one_and_replace(&self, filter: Document, replacement: &T) -> Action<'_, Modify<T>, R>
    where
        T: Serialize,
    {
        let replacement = glowplug_mongodb::bson::to_document(replacement).map_err(Error::from);
        let modify = replacement.and_then(|replacement| {
            check_replacement(&replacement)?;
            Ok(FindAndModify::update(self.database.name(), &self.name, filter.as_doc(), &replacement))
        });
        Action::new(self.client(), Modify::new(modify))
    }

    /// Deletes the first document that matches, and gives it as it was.
    pub fn find_one_and_delete(&self, filter: Document) -> Action<'_, Modify<T>, R> {
        let modify = FindAndModify::delete(self.database.name(), &self.name, filter.as_doc());
        Action::new(self.client(), Modify::new(Ok(modify)))
    }

    /// Makes many writes, in as few commands as the server's limits allow.
    pub fn bulk_write(&self, models: impl IntoIterator<Item = WriteModel>) -> Action<'_, BulkWrite, R> {
        let models = models.into_iter().collect();
        Action::new(self.client(), BulkWrite::new(self.database.shared_name(), &self.name, models))
    }

    /// Passes the documents through stages.
    pub fn aggregate(&self, pipeline: impl IntoIterator<Item = Document>) -> Action<'_, Aggregate, R> {
        let pipeline = pipeline.into_iter().collect();
        Action::new(self.client(), Aggregate::new(self.database.name(), Some(&self.name), pipeline))
    }

    /// How many documents match, counted one by one.
    pub fn count(&self, filter: Document) -> Action<'_, Count, R> {
        Action::new(self.client(), Count::exact(self.database.name(), &self.name, filter))
    }

    /// How many documents there are, from the collection's metadata.
    pub fn estimated_count(&self) -> Action<'_, Count, R> {
        Action::new(self.client(), Count::estimated(self.database.name(), &self.name))
    }

    /// The different values of a field among the documents that match.
    pub fn distinct(&self, field: &str, filter: Document) -> Action<'_, Distinct, R> {
        Action::new(
            self.client(),
            Distinct::new(command::distinct(self.database.name(), &self.name, field, filter.as_doc())),
        )
    }

    /// Makes an index on these fields, each with 1, -1 or a kind such as `"text"`. It is unique or named by methods of the action;
    /// what else an index may have goes through [`create_indexes`](Self::create_indexes).
    pub fn create_index(&self, key: Document) -> Action<'_, CreateIndexes, R> {
        self.create_indexes([super::admin::index(&key)])
    }

    /// Makes indexes, each `{key, name, ..}`.
    pub fn create_indexes(
        &self,
        indexes: impl IntoIterator<Item = Document>,
    ) -> Action<'_, CreateIndexes, R> {
        Action::new(
            self.client(),
            CreateIndexes {
                database: self.database.name().to_owned(),
                collection: self.name.to_string(),
                indexes: indexes.into_iter().collect(),
            },
        )
    }

    /// The indexes.
    pub fn list_indexes(&self) -> Action<'_, Listing, R> {
        Action::new(self.client(), Listing::read(command::list_indexes(self.database.name(), &self.name)))
    }

    /// Removes an index by its name; `*` removes all but the one on `_id`.
    pub fn drop_index(&self, name: &str) -> Action<'_, Admin, R> {
        Action::new(self.client(), Admin::new(command::drop_index(self.database.name(), &self.name, name)))
    }

    /// Removes the collection.
    pub fn drop_collection(&self) -> Action<'_, Admin, R> {
        Action::new(self.client(), Admin::new(command::drop_collection(self.database.name(), &self.name)))
    }
}

impl<T, R: Runtime> fmt::Debug for Collection<T, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Collection").field(&self.namespace()).finish()
    }
}
