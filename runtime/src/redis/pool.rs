//! Several shared connections to one server.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use glowplug_redis::{Execute, Pipeline, Typed};

use super::{Batch, Builder, Client, ConnectError, Drive, Query};
use crate::{Runtime, Spawn};

/// Several [`Client`]s of one server that take turns: each has a connection that callers share. Clones share them all.
///
/// One connection is enough for most: it carries any number of callers, and the server runs commands one by one. More of them help where one
/// is the bottleneck: large answers, which hold up the small ones behind them; a server with several threads for its sockets; callers
/// on several threads, who would wait for one lock. What is sent by one caller to one after the other may be run in another order,
/// unless it awaits the first.
///
/// Commands are methods here, too. What needs more than a command (subscriptions, locks, transactions, scans) is asked of
/// [one of them](Self::client).
pub struct ClientPool<R: Runtime> {
    shared: Arc<Shared<R>>,
}

struct Shared<R: Runtime> {
    clients: Vec<Client<R>>,
    next: AtomicUsize,
}

impl<R: Runtime + Spawn<Drive<R>>> Builder<R> {
    /// Connects so many times, at least once, all as [`connect`](Self::connect). The limits, such as [`max_lanes`](Self::max_lanes),
    /// are each client's.
    ///
    /// Dropping the future leaves nothing behind.
    pub async fn connect_pool(self, url: &str, connections: usize) -> Result<ClientPool<R>, ConnectError> {
        let mut clients = Vec::new();
        for _ in 0..connections.max(1) {
            clients.push(self.clone().connect(url).await?);
        }
        Ok(ClientPool { shared: Arc::new(Shared { clients, next: AtomicUsize::new(0) }) })
    }
}

impl<R: Runtime> ClientPool<R> {
    /// The client whose turn it is.
    pub fn client(&self) -> &Client<R> {
        let Shared { clients, next } = &*self.shared;
        &clients[next.fetch_add(1, Ordering::Relaxed) % clients.len()]
    }

    /// All of them.
    pub fn clients(&self) -> &[Client<R>] {
        &self.shared.clients
    }

    /// Sends one typed command by the client whose turn it is: as [`Client::run`].
    pub fn run<T>(&self, command: Typed<T>) -> Query<'_, T, R> {
        self.client().run(command)
    }

    /// Sends several commands at once by the client whose turn it is: as [`Client::pipeline`].
    pub fn pipeline(&self, pipeline: Pipeline) -> Batch<'_, R> {
        self.client().pipeline(pipeline)
    }
}

impl<R: Runtime> Execute for ClientPool<R> {
    type Running<'e, T> = Query<'e, T, R>;

    fn execute<T>(&self, command: Typed<T>) -> Query<'_, T, R> {
        self.run(command)
    }
}

impl<R: Runtime> Clone for ClientPool<R> {
    fn clone(&self) -> Self {
        Self { shared: self.shared.clone() }
    }
}

impl<R: Runtime> fmt::Debug for ClientPool<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientPool").field("clients", &self.shared.clients.len()).finish_non_exhaustive()
    }
}
