//! A client of one server.

use std::fmt;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use glowplug_dns::resolver::{Direct, DirectConfig, QueryError};
use glowplug_dns::{Name, NameError, Query, RecordType, Reply};

use super::lookup::Pending;
use super::state::Shared;
use super::{Drive, SocketConfig, Upstreams};
use crate::{Runtime, Spawn};

/// What a client spawns. State it as `R: Spawn<dns::ClientDrive<R>>`.
pub type ClientDrive<R> = Drive<Direct, R>;

/// A client of one server: whole queries out, whole messages back, whatever they say. UDP first, TCP when the answer does not fit.
///
/// For names and addresses use a [`Resolver`](super::Resolver). Clones share one task, which ends with the last of them. Every query ends
/// within [`timeout`](ClientBuilder::timeout).
pub struct Client<R> {
    shared: Arc<Shared<Direct>>,
    runtime: R,
}

impl<R: Runtime> Client<R> {
    /// A client of this server, on any runtime.
    pub fn builder(runtime: R, server: SocketAddr) -> ClientBuilder<R> {
        let config = DirectConfig::new(server);
        ClientBuilder { runtime, config, sockets: SocketConfig::default(), upstreams: Upstreams::default() }
    }

    /// Sends a query as it is. It goes out at once; dropping the future cancels it.
    pub fn query(&self, query: Query) -> Exchange {
        let token = self.shared.begin(Some(self.runtime.now()), query);
        Exchange { pending: Pending::new(Arc::clone(&self.shared), token) }
    }

    /// Asks for the records of one type at one name, recursively, with EDNS. The error is about the name; the future's about the
    /// exchange.
    pub fn ask<N>(&self, name: N, rtype: RecordType) -> Result<Exchange, NameError>
    where
        N: TryInto<Name>,
        NameError: From<N::Error>,
    {
        Ok(self.query(Query::new(name.try_into()?, rtype)))
    }
}

impl<R: Clone> Clone for Client<R> {
    fn clone(&self) -> Self {
        self.shared.add_handle();
        Self { shared: Arc::clone(&self.shared), runtime: self.runtime.clone() }
    }
}

impl<R> Drop for Client<R> {
    fn drop(&mut self) {
        self.shared.drop_handle();
    }
}

impl<R> fmt::Debug for Client<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}

/// A query on its way. Dropped before its end, it is cancelled. It is `Send` whatever the runtime.
#[must_use = "a query whose future is dropped is cancelled"]
pub struct Exchange {
    pending: Pending<Direct>,
}

impl Future for Exchange {
    type Output = Result<Reply, QueryError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.pending.poll_first(cx)
    }
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchange").finish_non_exhaustive()
    }
}

/// How a client asks. Made by [`Client::builder`].
#[must_use = "nothing is asked before `build`"]
pub struct ClientBuilder<R> {
    runtime: R,
    config: DirectConfig,
    sockets: SocketConfig,
    upstreams: Upstreams,
}

impl<R: Runtime> ClientBuilder<R> {
    /// Sets how long a query may take, over UDP and TCP together. Default 5 s.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.config.timeout = timeout;
        self
    }

    /// Sets how many queries may run at once. Default 10,000.
    pub fn max_queries(mut self, queries: usize) -> Self {
        self.config.max_queries = queries;
        self
    }

    /// Always uses TCP, or (the default) only for what does not fit into a datagram.
    pub fn tcp_only(mut self, tcp_only: bool) -> Self {
        self.config.tcp_only = tcp_only;
        self
    }

    /// Sets how sockets are used.
    pub fn sockets(mut self, config: SocketConfig) -> Self {
        self.sockets = config;
        self
    }

    /// Asks under TLS (RFC 7858), and never in the clear: if the server cannot show that it is `name`, it is not asked.
    #[cfg(feature = "tls")]
    pub fn tls(mut self, name: &str, config: &crate::tls::ClientConfig) -> Self {
        self.config.tcp_only = true;
        self.upstreams.add_tls(self.config.server, name, config.clone());
        self
    }

    /// Asks over HTTPS (RFC 8484), and in no other way. The client's address is what is connected to, whatever the URL's host resolves to;
    /// the URL says for whom the certificate has to be. A task is spawned that closes idle connections.
    #[cfg(feature = "dns-https")]
    pub fn https(mut self, config: &super::HttpsConfig) -> Self
    where
        R: Runtime<Stream: Send, Timer: Send, Connecting: Send, Resolving: Send>
            + Spawn<crate::http::Reaper<R>>
            + Send
            + Sync,
    {
        self.config.tcp_only = true;
        let asker = super::https::asker(self.runtime.clone(), self.config.server, config);
        self.upstreams.add_https(self.config.server, asker);
        self
    }
}

impl<R: Runtime + Spawn<ClientDrive<R>>> ClientBuilder<R> {
    /// The client. It spawns its task; sockets open when there is something to ask.
    pub fn build(self) -> Client<R> {
        let mut rng = self.runtime.seed().rng();
        let shared = Shared::new(Direct::new(self.config), rng.seed().rng());
        let drive = Drive::new(Arc::clone(&shared), self.runtime.clone(), self.sockets, self.upstreams, rng);
        self.runtime.spawn(drive);
        Client { shared, runtime: self.runtime }
    }
}

impl<R> fmt::Debug for ClientBuilder<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientBuilder")
            .field("config", &self.config)
            .field("sockets", &self.sockets)
            .finish_non_exhaustive()
    }
}
