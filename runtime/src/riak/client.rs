//! The client.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use glowplug_riak::Host;
use glowplug_riak::request::{AskOnce, AskStream};
use glowplug_riak::wire::{Reply, Request};

use super::cluster::{Cluster, Manner};
use super::{Builder, ConnectError, Error, Reaper, Replies};
use crate::{Runtime, Spawn};

/// How much longer than the node was told that it may take to wait for it to say that it timed out.
const GRACE: Duration = Duration::from_secs(5);

/// A client of a Riak cluster. Clones share its connections; settings such as [`timeout`](Self::timeout) are each clone's own.
///
/// ```ignore
/// let riak = Client::connect("riak://10.0.0.1,10.0.0.2").await?;
/// riak.put(("users", "ada"), Content::new("...")).await?;
/// let object = riak.get(("users", "ada")).await?;
/// // Every option is there, on the requests themselves.
/// let careful = riak.ask(Get::new(("users", "ada")).r(Quorum::All)).await?;
/// ```
pub struct Client<R: Runtime> {
    pub(super) cluster: Arc<Cluster<R>>,
    pub(super) settings: Settings,
}

/// What a clone may have of its own.
#[derive(Clone, Copy, Debug)]
pub(super) struct Settings {
    pub(super) timeout: Option<Duration>,
    pub(super) update_attempts: u32,
    pub(super) repeat: bool,
}

impl<R: Runtime> Clone for Client<R> {
    fn clone(&self) -> Self {
        Self { cluster: self.cluster.clone(), settings: self.settings }
    }
}

impl<R: Runtime + Default + Spawn<Reaper<R>>> Client<R> {
    /// Connects to one of the nodes in `riak://[user[:password]@]host[:port][,host[:port]]...` with the default settings.
    ///
    /// Dropping the future leaves nothing behind.
    pub async fn connect(url: &str) -> Result<Self, ConnectError> {
        Self::builder(R::default()).connect(url).await
    }
}

impl<R: Runtime> Client<R> {
    /// A client with settings of your own, on any runtime.
    pub fn builder(runtime: R) -> Builder<R> {
        Builder::new(runtime)
    }

    pub(super) fn new(cluster: Cluster<R>, settings: Settings) -> Self {
        Self { cluster: Arc::new(cluster), settings }
    }

    /// The same client with another time for each request: waiting for room, connecting, asking other nodes and the answer together.
    /// `None` waits for ever (for a node that is silent only as long as [`reply_timeout`](glowplug_riak::Config::reply_timeout)).
    ///
    /// A request with a timeout option of its own, which the node is told, is given that time and five seconds more instead. For a stream
    /// the time is that until the first node was asked; then each answer may take as long as a node may be silent.
    pub fn timeout(&self, timeout: Option<Duration>) -> Self {
        let mut client = self.clone();
        client.settings.timeout = timeout;
        client
    }

    /// The same client for requests that may be made twice: one whose connection was lost is sent again, to another node, even if it writes
    /// and nobody knows whether it was made.
    pub fn with_repeats(&self) -> Self {
        let mut client = self.clone();
        client.settings.repeat = true;
        client
    }

    /// Sends a request that is answered once.
    ///
    /// Dropping the future closes the connection it was sent on; the node may act on it.
    pub async fn ask<A: AskOnce>(&self, request: A) -> Result<A::Answer, Error> {
        let request = request.once().into_request();
        A::read(self.exchange(&request).await?).map_err(|reply| Error::WrongReply(reply.code()))
    }

    /// Sends a message that is answered once, whatever it is, and gives the answer as it came.
    ///
    /// Dropping the future: as for [`ask`](Self::ask).
    pub async fn call(&self, request: impl Into<Request>) -> Result<Reply, Error> {
        let request = request.into();
        self.exchange(&request).await
    }

    async fn exchange(&self, request: &Request) -> Result<Reply, Error> {
        let (open, response, _) = self.cluster.ask(request, self.manner(request, true)).await?;
        open.finish();
        response.map_err(Error::Refused)
    }

    /// Sends a request that is answered by a stream, and waits for the first answer.
    ///
    /// Dropping the future, or the stream before its end, closes the connection; the node stops soon after.
    pub async fn stream<A: AskStream>(&self, request: A) -> Result<Replies<A, R>, Error> {
        let request = request.streamed().into_request();
        let (open, response, last) = self.cluster.ask(&request, self.manner(&request, false)).await?;
        let mut replies = Replies::new(open);
        replies.take_first(response, last)?;
        Ok(replies)
    }

    fn manner(&self, request: &Request, once: bool) -> Manner {
        let own = request.timeout().filter(|_| once).map(|timeout| timeout.saturating_add(GRACE));
        let now = self.runtime().now();
        let deadline = own.or(self.settings.timeout).map(|timeout| now + timeout);
        Manner { now, repeat: self.settings.repeat, deadline, once }
    }

    /// The runtime this client is on.
    pub fn runtime(&self) -> &R {
        self.cluster.pool.runtime()
    }

    /// The nodes, in the order of the URL, and whether each is up as far as this client knows.
    pub fn nodes(&self) -> Vec<(Host, bool)> {
        let nodes = self.cluster.nodes();
        let hosts = self.cluster.hosts.iter().cloned().enumerate();
        hosts.map(|(node, host)| (host, nodes.is_up(node))).collect()
    }

    /// Connections, in use and at rest.
    pub fn connections(&self) -> usize {
        self.cluster.pool.open()
    }

    /// Closes the connections at rest now and those in use when they are done. Later requests are refused as
    /// [`NoRoom`](Error::NoRoom), by every clone.
    pub fn close(&self) {
        self.cluster.pool.close();
    }
}

impl<R: Runtime> fmt::Debug for Client<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("nodes", &self.cluster.hosts)
            .field("connections", &self.connections())
            .field("settings", &self.settings)
            .finish()
    }
}
