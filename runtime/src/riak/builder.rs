//! Settings, and connecting.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use glowplug_core::BackoffConfig;
use glowplug_riak::nodes::Nodes;
use glowplug_riak::{Config, Credentials, RiakUrl};

use super::client::Settings;
use super::cluster::Cluster;
use super::connection::TlsChoice;
use super::{Client, ConnectError, Error, NodeError, Reaper};
use crate::dial::{Dialer, Resolve};
use crate::pool::{Pool, PoolConfig};
use crate::{Runtime, Spawn};

/// How a client connects and behaves.
#[derive(Clone)]
pub struct Builder<R: Runtime> {
    runtime: R,
    dialer: Dialer<R>,
    machine: Config,
    credentials: Option<Credentials>,
    pool: PoolConfig,
    backoff: BackoffConfig,
    settings: Settings,
    connect_timeout: Option<Duration>,
    tls: TlsChoice,
}

impl<R: Runtime> Builder<R> {
    pub(super) fn new(runtime: R) -> Self {
        Self {
            dialer: Dialer::new(runtime.clone()).timeout(None),
            runtime,
            machine: Config::new(),
            credentials: None,
            pool: PoolConfig::default(),
            backoff: BackoffConfig::default(),
            settings: Settings { timeout: Some(Duration::from_secs(60)), update_attempts: 8, repeat: false },
            connect_timeout: Some(Duration::from_secs(10)),
            tls: TlsChoice::default(),
        }
    }

    /// Sets what each connection's machine does: limits, and how long a node may be silent. What a URL says goes before it.
    pub fn machine(mut self, config: Config) -> Self {
        self.machine = config;
        self
    }

    /// Says who the client is, which turns TLS on. For users who are trusted or have a certificate the password may be anything. A login in
    /// the URL goes before it.
    pub fn credentials(mut self, credentials: Credentials) -> Self {
        self.credentials = Some(credentials);
        self
    }

    /// Sets how many connections there are to one node and in total, how many callers may wait for one, and how long they rest. The
    /// defaults are those of [`PoolConfig`]: 100 a node, 1,024 in total, 60 s.
    pub fn pool(mut self, config: PoolConfig) -> Self {
        self.pool = config;
        self
    }

    /// Sets how long a node that failed is left alone. The defaults are those of [`BackoffConfig`]: 50 ms, doubled with each failure up
    /// to 30 s. Its `attempts` mean nothing here.
    pub fn backoff(mut self, config: BackoffConfig) -> Self {
        self.backoff = config;
        self
    }

    /// Sets how long a request may take: waiting for room, connecting, asking other nodes and the answer together. Default 60 s, which is a
    /// node's own limit; `None` waits for ever. See [`Client::timeout`].
    pub fn timeout(mut self, timeout: Option<Duration>) -> Self {
        self.settings.timeout = timeout;
        self
    }

    /// Sets how often [`Client::update`] begins, at least once, before it gives up against others who change the same object. Default 8.
    pub fn update_attempts(mut self, attempts: u32) -> Self {
        self.settings.update_attempts = attempts.max(1);
        self
    }

    /// Sets how long connecting to one node may take: the name, the socket, TLS and authentication together. Default 10 s; `None` leaves
    /// it to the time of the request. A request that has several nodes to try gives each a fair share of its own time.
    pub fn connect_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// Sets who resolves names. The default is the runtime's own resolver.
    pub fn resolver(mut self, resolver: impl Resolve + 'static) -> Self {
        self.dialer = self.dialer.resolver(resolver);
        self
    }

    /// Sets how TLS is spoken. The default verifies nodes by the operating system's roots; a configuration made with a client certificate logs
    /// in by certificate.
    #[cfg(feature = "tls")]
    pub fn tls(mut self, config: crate::tls::ClientConfig) -> Self {
        self.tls = Some(config);
        self
    }
}

impl<R: Runtime + Spawn<Reaper<R>>> Builder<R> {
    /// Makes a client of the nodes in `riak://[user[:password]@]host[:port][,host[:port]]...` and connects to one of them, to know that it is
    /// there. `riaks://`, `?tls=true` and a login turn TLS on.
    ///
    /// Dropping the future leaves nothing behind.
    pub async fn connect(self, url: &str) -> Result<Client<R>, ConnectError> {
        let client = self.build(url)?;
        let now = client.runtime().now();
        let deadline = client.settings.timeout.map(|timeout| now + timeout);
        match client.cluster.warm_up(now, deadline).await {
            Ok(()) => Ok(client),
            Err(Error::Unreachable(NodeError { cause, node })) if client.cluster.hosts.len() == 1 => {
                Err(Arc::try_unwrap(cause)
                    .unwrap_or_else(|cause| ConnectError::Unreachable(NodeError { node, cause })))
            }
            Err(Error::Unreachable(error)) => Err(ConnectError::Unreachable(error)),
            Err(_) => Err(ConnectError::TimedOut),
        }
    }

    /// Makes a client as [`connect`](Self::connect) does, without connecting: the first request will.
    pub fn build(self, url: &str) -> Result<Client<R>, ConnectError> {
        let url: RiakUrl = url.parse().map_err(ConnectError::Url)?;
        let mut machine = self.machine;
        if url.tls {
            machine = machine.start_tls(true);
        }
        if let Some(credentials) = url.credentials.or(self.credentials) {
            machine = machine.credentials(credentials);
        }
        let nodes = Nodes::new(url.hosts.len(), self.backoff, &self.runtime.seed());
        let pool = Pool::new(self.runtime.clone(), self.pool);
        self.runtime.spawn(pool.reaper());
        let cluster = Cluster {
            hosts: url.hosts,
            nodes: Mutex::new(nodes),
            pool,
            dialer: self.dialer,
            // A stream is read as fast as it is asked for, and a node is not blamed for the time in between.
            machine: machine.stream_window(1),
            tls: self.tls,
            connect_timeout: self.connect_timeout,
        };
        Ok(Client::new(cluster, self.settings))
    }
}

impl<R: Runtime> fmt::Debug for Builder<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("machine", &self.machine)
            .field("pool", &self.pool)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}
