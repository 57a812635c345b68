//! The client.

use std::fmt;
use std::sync::Arc;

use glowplug_mongodb::bson::Document;
use glowplug_mongodb::{ServerInfo, command, doc};

use super::action::{Kind, Scope};
use super::shared::Shared;
use super::{Action, Admin, Builder, ConnectError, Database, Error, Janitor, Session};
use crate::{Runtime, Spawn};

/// A MongoDB client: a pool of connections to one server. Clones share it; it ends with the last of them.
///
/// ```no_run
/// # async fn example<R: glowplug_runtime::Runtime + Default + glowplug_runtime::Spawn<glowplug_runtime::mongodb::Janitor<R>>>()
/// # -> Result<(), Box<dyn std::error::Error>> {
/// use glowplug_runtime::mongodb::{Client, Document, doc};
/// let client = Client::<R>::connect("mongodb://127.0.0.1").await?;
/// let fruit = client.database("shop").collection::<Document>("fruit");
/// fruit.insert_one(&doc! { "name": "fig", "ripe": true }).run().await?;
/// let fig = fruit.find_one(doc! { "ripe": true }).run().await?;
/// # Ok(()) }
/// ```
pub struct Client<R: Runtime> {
    handle: Arc<Handle<R>>,
}

/// All clones hold one of it; with it the client ends.
struct Handle<R: Runtime> {
    shared: Arc<Shared<R>>,
}

impl<R: Runtime> Drop for Handle<R> {
    fn drop(&mut self) {
        self.shared.desert();
    }
}

impl<R: Runtime> Clone for Client<R> {
    fn clone(&self) -> Self {
        Self { handle: self.handle.clone() }
    }
}

impl<R: Runtime + Default + Spawn<Janitor<R>>> Client<R> {
    /// Connects to `mongodb://[user:password@]host[:port][/database][?options]` with the default settings: see
    /// [`Builder::connect`].
    ///
    /// Dropping the future leaves nothing behind.
    pub async fn connect(uri: &str) -> Result<Self, ConnectError> {
        Self::builder(R::default()).connect(uri).await
    }
}

impl<R: Runtime> Client<R> {
    /// A client with settings of your own, on any runtime.
    pub fn builder(runtime: R) -> Builder<R> {
        Builder::new(runtime)
    }

    pub(super) fn new(shared: Arc<Shared<R>>) -> Self {
        Self { handle: Arc::new(Handle { shared }) }
    }

    pub(super) fn shared(&self) -> &Arc<Shared<R>> {
        &self.handle.shared
    }

    /// A database. Nothing is sent.
    pub fn database(&self, name: impl Into<String>) -> Database<R> {
        Database::new(self.clone(), name.into())
    }

    /// The database that the connection string names; `test` when it names none.
    pub fn default_database(&self) -> Database<R> {
        let name = self.shared().settings.default_database.clone();
        self.database(name.unwrap_or_else(|| "test".to_owned()))
    }

    /// The databases of the server that match `filter`, each as `{name, sizeOnDisk, empty}`.
    pub async fn list_databases(&self, filter: Document) -> Result<Vec<Document>, Error> {
        let answer = Scope::new(self).command(Kind::Read, command::list_databases(filter.as_doc())).await?;
        let reply = answer.ok_or(Error::Malformed("reply"))?;
        let list = reply.doc().get_array("databases").ok_or(Error::Malformed("list of databases"))?;
        Ok(list.docs().map(Document::from).collect())
    }

    /// Asks the server whether it is there.
    pub async fn ping(&self) -> Result<(), Error> {
        let ping = glowplug_mongodb::Command::new("admin", doc! { "ping": 1 });
        Scope::new(self).command(Kind::Plain, ping).await.map(drop)
    }

    /// Gives a collection another name, in another database too. Both are `database.collection`.
    pub fn rename_collection(&self, from: &str, to: &str, drop_target: bool) -> Action<'_, Admin, R> {
        Action::new(self, Admin::new(command::rename_collection(from, to, drop_target)))
    }

    /// A session of your own; none when the server has no sessions.
    pub fn start_session(&self) -> Option<Session<R>> {
        Session::new(self)
    }

    /// What the server said of itself when the last connection was made.
    pub fn server_info(&self) -> Option<Arc<ServerInfo>> {
        self.shared().info()
    }

    /// Connections that are there, in use or not.
    pub fn connections(&self) -> usize {
        self.shared().with(|state| state.pool.size())
    }

    /// Ends the client, and all its clones: what comes after is refused with [`Error::Closed`]. Cursors that nobody reads any more are
    /// killed and idle sessions ended on the server, for which it has as long as a late answer
    /// ([`Builder::drain_timeout`]). Operations under way go on, and their connections are closed after them.
    ///
    /// Dropping the last client does the same in the background. Dropping the future leaves the client open, perhaps without its idle
    /// sessions.
    pub async fn close(&self) {
        let shared = self.shared();
        Box::pin(shared.close(shared.runtime.now() + shared.settings.drain_timeout)).await;
    }

    /// Makes connections until there are `minPoolSize`, without waiting for those that are being made already. The client does so by
    /// itself in the background, and after the server was gone again and again; this says what goes wrong.
    ///
    /// Dropping the future leaves those that are made.
    pub async fn warm_up(&self) -> Result<(), ConnectError> {
        self.shared().fill().await
    }
}

impl<R: Runtime> fmt::Debug for Client<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("shared", self.shared()).finish()
    }
}
