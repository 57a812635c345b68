//! Settings, and connecting.

use std::fmt;
use std::io;
use std::time::Duration;

use glowplug_redis::{ClientConfig, ClientConnection, Event, RedisEndpoint, RedisUrl};

use super::{Client, ConnectError, Connection, Drive, Stream};
use crate::drive::shared::Config;
use crate::time::within;
use crate::{Endpoint, MaybeTls, Runtime, Spawn};

/// How a client connects and behaves.
#[derive(Clone)]
pub struct Builder<R: Runtime> {
    runtime: R,
    machine: ClientConfig,
    shared: Config,
    connect_timeout: Option<Duration>,
    #[cfg(feature = "tls")]
    tls: Option<crate::tls::ClientConfig>,
}

impl<R: Runtime> Builder<R> {
    pub(super) fn new(runtime: R) -> Self {
        Self {
            runtime,
            machine: ClientConfig::new(),
            shared: Config::default(),
            connect_timeout: Some(Duration::from_secs(10)),
            #[cfg(feature = "tls")]
            tls: None,
        }
    }

    /// Sets what the machine does: user, database, RESP version, limits, keep-alive. What a URL says goes before it.
    pub fn machine(mut self, config: ClientConfig) -> Self {
        self.machine = config;
        self
    }

    /// Sets how calls share the connection.
    pub fn calls(mut self, config: Config) -> Self {
        self.shared = config;
        self
    }

    /// Sets how long a call may take, waiting for room included. Default 30 s; `None` waits for ever.
    pub fn call_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.shared = self.shared.call_timeout(timeout);
        self
    }

    /// Sets how long connecting may take: the name, the socket, TLS and the handshake together. Default 10 s; `None` waits for ever.
    pub fn connect_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// Sets how `rediss://` speaks TLS. The default verifies servers by the operating system's roots.
    #[cfg(feature = "tls")]
    pub fn tls(mut self, config: crate::tls::ClientConfig) -> Self {
        self.tls = Some(config);
        self
    }
}

impl<R: Runtime + Spawn<Drive<R>>> Builder<R> {
    /// Connects to `redis://[user:password@]host[:port][/database]`, `rediss://...` (TLS) or `unix:///path`.
    ///
    /// Dropping the future leaves nothing behind.
    pub async fn connect(self, url: &str) -> Result<Client<R>, ConnectError> {
        let url: RedisUrl = url.parse().map_err(ConnectError::Url)?;
        let mut phase = "resolved the name";
        let (runtime, timeout) = (self.runtime.clone(), self.connect_timeout);
        match within(&runtime, timeout, self.connect_in_phases(&url, &mut phase)).await {
            Ok(result) => result,
            Err(_) => Err(ConnectError::TimedOut(phase)),
        }
    }

    async fn connect_in_phases(
        mut self,
        url: &RedisUrl,
        phase: &mut &'static str,
    ) -> Result<Client<R>, ConnectError> {
        self.machine = url.apply(self.machine);
        let stream = match url.endpoint() {
            RedisEndpoint::Unix { path } => {
                *phase = "connected";
                let connecting = self.runtime.connect(&super::unix(path));
                MaybeTls::Plain(connecting.await.map_err(ConnectError::Connect)?)
            }
            RedisEndpoint::Tcp { host, port, tls } => {
                let stream = self.connect_tcp(host, *port, phase).await?;
                if *tls { self.start_tls(stream, host, phase).await? } else { MaybeTls::Plain(stream) }
            }
            other => return Err(ConnectError::Unsupported(other.clone())),
        };
        *phase = "shook hands";
        self.shake_hands(stream).await
    }

    async fn connect_tcp(
        &self,
        host: &str,
        port: u16,
        phase: &mut &'static str,
    ) -> Result<R::Stream, ConnectError> {
        let addresses = self.runtime.resolve(host, port).await.map_err(ConnectError::Resolve)?;
        *phase = "connected";
        let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
        for address in addresses {
            match self.runtime.connect(&Endpoint::Tcp(address)).await {
                Ok(stream) => return Ok(stream),
                Err(error) => last = error,
            }
        }
        Err(ConnectError::Connect(last))
    }

    #[cfg(feature = "tls")]
    async fn start_tls(
        &self,
        stream: R::Stream,
        host: &str,
        phase: &mut &'static str,
    ) -> Result<Stream<R>, ConnectError> {
        *phase = "agreed on tls";
        let config = match &self.tls {
            Some(config) => config.clone(),
            None => crate::tls::ClientConfig::platform()
                .map_err(|error| ConnectError::Tls(io::Error::other(error)))?,
        };
        let mut stream = crate::tls::Tls::client(stream, &config, host).map_err(ConnectError::Tls)?;
        stream.handshake().await.map_err(ConnectError::Tls)?;
        Ok(MaybeTls::Tls(Box::new(stream)))
    }

    #[cfg(not(feature = "tls"))]
    #[expect(clippy::unused_async, reason = "the same signature as with TLS")]
    async fn start_tls(
        &self,
        _stream: R::Stream,
        _host: &str,
        _phase: &mut &'static str,
    ) -> Result<Stream<R>, ConnectError> {
        let error = io::Error::new(io::ErrorKind::Unsupported, "built without the feature `tls`");
        Err(ConnectError::Tls(error))
    }

    async fn shake_hands(self, stream: Stream<R>) -> Result<Client<R>, ConnectError> {
        let machine = ClientConnection::new(self.runtime.now(), self.machine);
        let (connection, drive) = Connection::<R>::new(self.runtime.clone(), stream, machine, self.shared);
        self.runtime.spawn(drive);
        loop {
            match connection.next_event().await {
                Ok(Some(Event::Connected { .. })) => return Ok(Client::new(connection)),
                Ok(Some(_)) => {}
                Ok(None) => return Err(ConnectError::Handshake(None)),
                Err(cause) => return Err(ConnectError::Handshake(Some(cause))),
            }
        }
    }
}

impl<R: Runtime> fmt::Debug for Builder<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("machine", &self.machine)
            .field("calls", &self.shared)
            .finish_non_exhaustive()
    }
}
