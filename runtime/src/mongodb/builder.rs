//! Settings, and connecting.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use glowplug_mongodb::pool::PoolConfig;
use glowplug_mongodb::{Config, ConnectionString, Topology};

use super::shared::{Settings, Shared};
use super::{Client, ConnectError, Janitor};
use crate::dial::{Dialer, Resolve};
use crate::{Runtime, Spawn};

/// How a client connects and behaves. What a connection string says goes before it.
#[derive(Clone)]
pub struct Builder<R: Runtime> {
    dialer: Dialer<R>,
    config: Config,
    pool: PoolConfig,
    timeout: Option<Duration>,
    connect_timeout: Option<Duration>,
    drain_timeout: Duration,
    #[cfg(feature = "dns")]
    records: Option<crate::dns::Resolver<R>>,
    #[cfg(feature = "tls")]
    tls_was_set: bool,
}

impl<R: Runtime> Builder<R> {
    pub(super) fn new(runtime: R) -> Self {
        Self {
            dialer: Dialer::new(runtime),
            config: Config::default(),
            pool: PoolConfig::default(),
            timeout: Some(Duration::from_secs(30)),
            connect_timeout: Some(Duration::from_secs(10)),
            drain_timeout: Duration::from_secs(3),
            #[cfg(feature = "dns")]
            records: None,
            #[cfg(feature = "tls")]
            tls_was_set: false,
        }
    }

    /// Sets what each connection does: credential, compressors, stable API, limits.
    pub fn machine(mut self, config: Config) -> Self {
        self.config = config;
        self
    }

    /// Sets how many connections there are, and for how long. `maxPoolSize`, `minPoolSize`, `maxConnecting`, `maxIdleTimeMS`.
    pub fn pool(mut self, config: PoolConfig) -> Self {
        self.pool = config;
        self
    }

    /// Sets how long an operation may take, waiting for a connection and a second try included. Default 30 s; `None` waits for ever.
    /// `timeoutMS`, or else `socketTimeoutMS`.
    pub fn timeout(mut self, timeout: Option<Duration>) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets how long connecting may take: the name, the socket and TLS; and then the handshake. Default 10 s each; `None` waits for
    /// ever. `connectTimeoutMS`.
    pub fn connect_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// Sets how long the late answer of a dropped or timed-out call is waited for before its connection is closed. Default 3 s.
    pub fn drain_timeout(mut self, timeout: Duration) -> Self {
        self.drain_timeout = timeout;
        self
    }

    /// Sets who resolves names. The default is the runtime's own resolver.
    pub fn resolver(mut self, resolver: impl Resolve + 'static) -> Self {
        self.dialer = self.dialer.resolver(resolver);
        self
    }

    /// Sets who is asked for the SRV and TXT records of `mongodb+srv`. Without it the servers of the system's configuration are asked.
    #[cfg(feature = "dns")]
    pub fn records_from(mut self, resolver: &crate::dns::Resolver<R>) -> Self {
        self.records = Some(resolver.clone());
        self
    }

    /// Sets how TLS is spoken, where the connection string asks for it. The default verifies servers by the operating system's roots, or by
    /// `tlsCAFile`.
    #[cfg(feature = "tls")]
    pub fn tls(mut self, config: crate::tls::ClientConfig) -> Self {
        self.dialer = self.dialer.tls_config(config);
        self.tls_was_set = true;
        self
    }
}

impl<R: Runtime + Spawn<Janitor<R>>> Builder<R> {
    /// Connects to `mongodb://[user:password@]host[:port][/database][?options]`: one server, whatever it is.
    ///
    /// One connection is made and authenticated here, so that what is wrong is known at once; the client goes on to as many as
    /// `minPoolSize` says in the background.
    /// Options that would have to be ignored in a way that matters (an unknown mechanism, a proxy, unverified certificates) are an
    /// error.
    ///
    /// With `mongodb+srv` the hosts are those of the SRV records and some options those of the TXT record, and TLS is on unless the string
    /// says otherwise. That needs the feature `dns`, or records of your own: see [`connect_to`](Self::connect_to).
    ///
    /// Dropping the future leaves nothing behind.
    pub async fn connect(self, uri: &str) -> Result<Client<R>, ConnectError> {
        #[cfg_attr(not(feature = "dns"), expect(unused_mut, reason = "records need a resolver"))]
        let mut string: ConnectionString = uri.parse().map_err(ConnectError::Uri)?;
        #[cfg(feature = "dns")]
        if string.srv_name().is_some() {
            let runtime = self.dialer.runtime();
            Box::pin(super::srv::resolve(runtime, self.records.as_ref(), &mut string)).await?;
        }
        self.connect_to(&string).await
    }

    /// The same with a parsed connection string, whose SRV records may have been resolved by
    /// [`ConnectionString::resolve_srv`].
    pub async fn connect_to(mut self, string: &ConnectionString) -> Result<Client<R>, ConnectError> {
        refuse_what_is_not_there(string)?;
        let topology = Topology::new(string).map_err(ConnectError::Topology)?;
        if let Some(timeout) = string.millis("connectTimeoutMS") {
            self.connect_timeout = Some(timeout).filter(|timeout| !timeout.is_zero());
        }
        let mut dialer = self.dialer.clone().timeout(self.connect_timeout);
        if string.tls() {
            dialer = self.with_certificates(dialer, string)?;
        }
        let config = string.apply(self.config);
        let limit =
            |name: &str| string.millis(name).map(|limit| Some(limit).filter(|limit| !limit.is_zero()));
        let settings = Settings {
            timeout: limit("timeoutMS").or_else(|| limit("socketTimeoutMS")).unwrap_or(self.timeout),
            wait_queue_timeout: limit("waitQueueTimeoutMS").flatten(),
            drain_timeout: self.drain_timeout,
            tls: string.tls(),
            retry_reads: string.bool("retryReads").unwrap_or(true),
            retry_writes: string.bool("retryWrites").unwrap_or(true),
            read_concern: string.read_concern(),
            write_concern: string.write_concern(),
            read_preference: string.read_preference(),
            default_database: string.database().map(str::to_owned),
        };
        let pool = self.pool.apply(string);
        let shared = Arc::new(Shared::new(dialer, settings, config, topology, pool));
        let runtime = shared.runtime.clone();
        runtime.spawn(Janitor::new(shared.clone()));
        let client = Client::new(shared);
        client.shared().first().await?;
        Ok(client)
    }

    #[cfg(feature = "tls")]
    fn with_certificates(
        &self,
        dialer: Dialer<R>,
        string: &ConnectionString,
    ) -> Result<Dialer<R>, ConnectError> {
        if self.tls_was_set {
            return Ok(dialer);
        }
        Ok(match super::tls::config(string)? {
            Some(config) => dialer.tls_config(config),
            None => dialer,
        })
    }

    #[cfg(not(feature = "tls"))]
    #[expect(clippy::unused_self, reason = "the same signature as with TLS")]
    fn with_certificates(&self, _: Dialer<R>, _: &ConnectionString) -> Result<Dialer<R>, ConnectError> {
        Err(ConnectError::Unsupported("tls without the feature `tls`".to_owned()))
    }
}

/// Options that are understood, and that this client cannot do.
fn refuse_what_is_not_there(string: &ConnectionString) -> Result<(), ConnectError> {
    let unsupported = |what: String| Err(ConnectError::Unsupported(what));
    if let Some(name) = string.text("authMechanism")
        && string.credential().is_none()
    {
        return unsupported(format!("authentication by {name}"));
    }
    for option in ["tlsInsecure", "tlsAllowInvalidCertificates", "tlsAllowInvalidHostnames"] {
        if string.bool(option) == Some(true) {
            return unsupported(format!("tls without verification ({option})"));
        }
    }
    if string.text("tlsCertificateKeyFilePassword").is_some() {
        return unsupported("an encrypted key file".to_owned());
    }
    if string.text("proxyHost").is_some() {
        return unsupported("a proxy".to_owned());
    }
    if string.bool("loadBalanced") == Some(true) {
        return unsupported("a load balancer".to_owned());
    }
    Ok(())
}

impl<R: Runtime> fmt::Debug for Builder<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("config", &self.config)
            .field("pool", &self.pool)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}
