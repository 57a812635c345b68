//! A database.

use std::fmt;
use std::sync::Arc;

use glowplug_mongodb::bson::{Array, Doc, Document, ToBson};
use glowplug_mongodb::{Command, Reply, command, doc};

use super::action::Kind;
use super::{Action, Admin, Aggregate, Client, Collection, Error, Listing};
use crate::Runtime;

/// A database: a name and the way to its server. Cheap to clone.
pub struct Database<R: Runtime> {
    client: Client<R>,
    name: Arc<str>,
}

impl<R: Runtime> Clone for Database<R> {
    fn clone(&self) -> Self {
        Self { client: self.client.clone(), name: self.name.clone() }
    }
}

impl<R: Runtime> Database<R> {
    pub(super) fn new(client: Client<R>, name: String) -> Self {
        Self { client, name: name.into() }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its name, for commands that hold on to it.
    pub(super) fn shared_name(&self) -> &Arc<str> {
        &self.name
    }

    /// The client.
    pub fn client(&self) -> &Client<R> {
        &self.client
    }

    /// A collection of documents of type `T`: [`Document`] for any, or a type of yours with serde. Nothing is sent.
    pub fn collection<T>(&self, name: impl Into<String>) -> Collection<T, R> {
        Collection::new(self.clone(), name.into())
    }

    /// Any command; its first field is its name. It is sent once, without the client's concerns and preference, which
    /// commands do not all know; those of the [`Action`] go with it.
    pub fn run_command(&self, command: Document) -> Action<'_, RunCommand, R> {
        Action::new(&self.client, RunCommand { command: Command::new(self.name.clone(), command) })
    }

    /// Any command that answers with a cursor, such as `listCollections` with options of your own.
    pub fn run_cursor_command(&self, command: Document) -> Action<'_, Listing, R> {
        let body = command.as_doc();
        let batch_size = body.get_doc("cursor").unwrap_or(body).get_i64("batchSize");
        let batch_size = batch_size.and_then(|size| u32::try_from(size).ok());
        Action::new(&self.client, Listing::plain(Command::new(self.name.clone(), command), batch_size))
    }

    /// The collections that match `filter`, each as `{name, type, options, info}`.
    pub fn list_collections(&self, filter: Document) -> Action<'_, Listing, R> {
        Action::new(&self.client, Listing::read(command::list_collections(&self.name, filter.as_doc())))
    }

    /// Makes a collection. Options, such as `capped` and `size`, by [`Action::option`].
    pub fn create_collection(&self, name: &str) -> Action<'_, Admin, R> {
        Action::new(&self.client, Admin::new(command::create_collection(&self.name, name, Doc::EMPTY)))
    }

    /// Removes the database and all that is in it.
    pub fn drop_database(&self) -> Action<'_, Admin, R> {
        Action::new(&self.client, Admin::new(command::drop_database(&self.name)))
    }

    /// Passes documents through stages that begin without a collection, such as `$currentOp` or `$documents`.
    pub fn aggregate(&self, pipeline: impl IntoIterator<Item = Document>) -> Action<'_, Aggregate, R> {
        Action::new(&self.client, Aggregate::new(&self.name, None, pipeline.into_iter().collect()))
    }

    /// Makes a user with roles, each a name or `{role, db}`. The password crosses the wire: use TLS.
    pub fn create_user<T: ToBson>(
        &self,
        username: &str,
        password: &str,
        roles: impl IntoIterator<Item = T>,
    ) -> Action<'_, Admin, R> {
        let roles = doc! { "r": roles.into_iter().collect::<Vec<_>>() };
        let roles = roles.as_doc().get_array("r").unwrap_or(Array::from_doc(Doc::EMPTY));
        Action::new(&self.client, Admin::new(command::create_user(&self.name, username, password, roles)))
    }

    /// Removes a user.
    pub fn drop_user(&self, username: &str) -> Action<'_, Admin, R> {
        Action::new(&self.client, Admin::new(command::drop_user(&self.name, username)))
    }

    /// The users of the database.
    pub async fn list_users(&self) -> Result<Vec<Document>, Error> {
        let reply = self.run_command(doc! { "usersInfo": 1 }).run().await?;
        let users = reply.doc().get_array("users").ok_or(Error::Malformed("list of users"))?;
        Ok(users.docs().map(Document::from).collect())
    }
}

impl<R: Runtime> fmt::Debug for Database<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Database").field("name", &self.name).finish_non_exhaustive()
    }
}

/// A command of your own. Made by [`Database::run_command`].
#[derive(Debug)]
pub struct RunCommand {
    command: Command,
}

impl<R: Runtime> Action<'_, RunCommand, R> {
    /// Sends it and gives the reply; one with `ok: 0` is an error.
    pub async fn run(mut self) -> Result<Reply, Error> {
        let answer = self.scope.command(Kind::Plain, self.kind.command).await?;
        // Without an answer there is nothing to say but that it went out.
        Ok(answer.unwrap_or_else(|| Reply::new(doc! { "ok": 1 }.into())))
    }
}
