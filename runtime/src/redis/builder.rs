//! Settings, and connecting.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use glowplug_core::{BackoffConfig, ConnectConfig};
use glowplug_redis::{CacheConfig, ClientConfig, ClientConnection, HubConfig, RedisUrl};

use super::link::{Link, Wire};
use super::session::{Session, SessionEvent};
use super::target::{HANDSHAKE, Settings, Target};
use super::{Client, ConnectError, Connection, Drive, Stream};
use crate::dial::{Dialer, Resolve};
use crate::drive::shared::Config;
use crate::time::within;
use crate::{Runtime, Spawn};

/// How a client connects and behaves.
#[derive(Clone)]
pub struct Builder<R: Runtime> {
    runtime: R,
    dialer: Dialer<R>,
    settings: Settings,
}

impl<R: Runtime> Builder<R> {
    pub(super) fn new(runtime: R) -> Self {
        Self { dialer: Dialer::new(runtime.clone()), runtime, settings: Settings::default() }
    }

    /// Sets what the machine does: user, database, RESP version, limits, keep-alive. What a URL says goes before it.
    pub fn machine(mut self, config: ClientConfig) -> Self {
        self.settings.machine = config;
        self
    }

    /// Sets how calls share the connection.
    pub fn calls(mut self, config: Config) -> Self {
        self.settings.shared = config;
        self
    }

    /// Sets how long a call may take, waiting for room and for a connection included. Default 30 s; `None` waits for ever. What a
    /// blocking command lets the server wait is added.
    pub fn call_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.settings.shared = self.settings.shared.call_timeout(timeout);
        self
    }

    /// Sets how long connecting may take: the name, the socket, TLS and the handshake together. Default 10 s; `None` waits for ever.
    pub fn connect_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.dialer = self.dialer.timeout(timeout);
        self
    }

    /// Sets how long to wait between attempts to connect again when a connection is lost, and how many there are. Default: 50 ms, doubled up
    /// to 30 s, for ever, each wait shortened by up to a half at random. `None`: a lost connection is the end of the client.
    ///
    /// Calls that wait meanwhile are sent on the next connection, if their time allows. Calls that were sent and not answered fail, and say
    /// [how far](super::Error::progress) they got; with [`ClientConfig::resend_read_only`], those that change nothing are sent again.
    pub fn reconnect(mut self, backoff: Option<BackoffConfig>) -> Self {
        self.settings.reconnect = backoff;
        self
    }

    /// Sets how many connections there may be at once for callers who need one of their own: blocking commands and
    /// [`Client::dedicated`]. More callers wait for their turn. Default 64, at least 1.
    pub fn max_lanes(mut self, connections: usize) -> Self {
        self.settings.max_lanes = connections.max(1);
        self
    }

    /// Sets how many of those connections are kept for the next caller, and for how long. Default 8, for 30 s. Connections that are older
    /// are closed when the next one is asked for.
    pub fn idle_lanes(mut self, connections: usize, timeout: Duration) -> Self {
        self.settings.max_idle_lanes = connections;
        self.settings.lane_idle_timeout = timeout;
        self
    }

    /// Sets how much may wait for a subscriber, and what becomes of the rest.
    pub fn subscriptions(mut self, config: HubConfig) -> Self {
        self.settings.hub = config;
        self
    }

    /// Lets the connection keep what is read by [`Client::cached`] until the server says that it has changed (client-side caching). Needs RESP3,
    /// which is the default, and Redis 6.0; with less, everything is asked each time.
    ///
    /// The connection's task then does all reading, so that such a word is heard at once.
    pub fn cache(mut self, config: CacheConfig) -> Self {
        self.settings.cache = Some(config);
        self
    }

    /// Sets who resolves the server's name. The default is the runtime's own resolver, which is the system's.
    pub fn resolver(mut self, resolver: impl Resolve + 'static) -> Self {
        self.dialer = self.dialer.resolver(resolver);
        self
    }

    /// Sets how the addresses of the server's name are raced.
    pub fn race(mut self, config: ConnectConfig) -> Self {
        self.dialer = self.dialer.race(config);
        self
    }

    /// Takes over a dialer's resolver, its way of racing addresses, its TLS and its time, which becomes the one
    /// [for connecting](Self::connect_timeout).
    pub fn dialer(mut self, dialer: &Dialer<R>) -> Self {
        self.dialer = dialer.clone();
        self
    }

    /// Sets how `rediss://` speaks TLS. The default verifies servers by the operating system's roots.
    #[cfg(feature = "tls")]
    pub fn tls(mut self, config: crate::tls::ClientConfig) -> Self {
        self.dialer = self.dialer.tls_config(config);
        self
    }
}

impl<R: Runtime + Spawn<Drive<R>>> Builder<R> {
    /// Connects to `redis://[user:password@]host[:port][/database]`, `rediss://...` (TLS) or `unix:///path`.
    ///
    /// Dropping the future leaves nothing behind.
    pub async fn connect(self, url: &str) -> Result<Client<R>, ConnectError> {
        let url: RedisUrl = url.parse().map_err(ConnectError::Url)?;
        let mut settings = self.settings;
        settings.machine = url.apply(settings.machine);
        if let Some(cache) = settings.cache.take() {
            settings.machine = settings.machine.cache(Some(cache));
        }
        settings.shared.callers_drive &= !settings.machine.keeps_answers();
        let endpoint = url.endpoint().clone();
        let target = Arc::new(Target { runtime: self.runtime, dialer: self.dialer, endpoint, settings });
        let deadline = target.connect_deadline();
        let stream = target.dial()?.await?;
        let left = deadline.map(|at| at.saturating_duration_since(target.runtime.now()));
        match within(&target.runtime, left, shake_hands(&target, stream)).await {
            Ok(connection) => Ok(Client::new(connection?, target.clone())),
            Err(_) => Err(ConnectError::TimedOut(HANDSHAKE)),
        }
    }
}

async fn shake_hands<R: Runtime + Spawn<Drive<R>>>(
    target: &Arc<Target<R>>,
    stream: Stream<R>,
) -> Result<Connection<R>, ConnectError> {
    let runtime = &target.runtime;
    let wire = Arc::new(Wire::new(target.settings.reconnect.is_some()));
    let machine = ClientConnection::new(runtime.now(), target.settings.machine.clone());
    let session = Session::new(machine, wire.clone());
    let link = Link::new(target.clone(), wire, stream);
    let (connection, drive) =
        Connection::<R>::new(runtime.clone(), link, session, target.settings.shared.clone());
    runtime.spawn(Drive::calls(drive));
    loop {
        match connection.next_event().await {
            Ok(Some(SessionEvent::Connected { .. })) => return Ok(connection),
            Ok(Some(_)) => {}
            Ok(None) => return Err(ConnectError::Handshake(None)),
            Err(cause) => return Err(ConnectError::Handshake(Some(cause))),
        }
    }
}

impl<R: Runtime> fmt::Debug for Builder<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("machine", &self.settings.machine)
            .field("calls", &self.settings.shared)
            .field("reconnect", &self.settings.reconnect)
            .finish_non_exhaustive()
    }
}
