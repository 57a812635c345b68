//! Settings.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use glowplug_core::PoolConfig;
use glowplug_http::ClientConfig;
use glowplug_http::proxy::Proxies;
use http::{HeaderMap, HeaderValue, header};

use super::{Client, Inner, Pool, Reaper, Settings};
use crate::dial::Dialer;
use crate::{Endpoint, Runtime, Spawn};

/// What a client calls itself unless it is told otherwise.
const USER_AGENT: &str = concat!("glowplug/", env!("CARGO_PKG_VERSION"));

/// How a client connects and behaves.
pub struct ClientBuilder<R: Runtime> {
    runtime: R,
    dialer: Dialer<R>,
    #[cfg(feature = "tls")]
    tls: Option<crate::tls::ClientConfig>,
    endpoint: Option<Endpoint>,
    pool: PoolConfig,
    pool_timeout: Option<Duration>,
    machine: ClientConfig,
    settings: Settings,
}

impl<R: Runtime> ClientBuilder<R> {
    pub(super) fn new(runtime: R) -> Self {
        let mut machine = ClientConfig::default();
        machine.head_timeout = Some(Duration::from_secs(60));
        let headers = HeaderMap::from_iter([
            (header::ACCEPT, HeaderValue::from_static("*/*")),
            (header::USER_AGENT, HeaderValue::from_static(USER_AGENT)),
        ]);
        Self {
            dialer: Dialer::new(runtime.clone()),
            runtime,
            #[cfg(feature = "tls")]
            tls: None,
            endpoint: None,
            pool: PoolConfig::default(),
            pool_timeout: Some(Duration::from_secs(10)),
            machine,
            settings: Settings {
                headers,
                total_timeout: None,
                send_timeout: Some(Duration::from_secs(60)),
                max_redirects: 10,
                allow_leaving_tls: false,
                retry_idempotent: true,
                replay_limit: 64 * 1024,
                collect_limit: 16 * 1024 * 1024,
                #[cfg(feature = "http-compression")]
                decode: Some(crate::http::coding::decode::DecodeConfig::default()),
                #[cfg(feature = "http-cookies")]
                cookies: None,
                proxies: Proxies::default(),
            },
        }
    }

    /// Sets what the machine does: limits, leniencies and its timeouts. What the methods here set goes before it only if they are
    /// called afterwards.
    pub fn machine(mut self, config: ClientConfig) -> Self {
        self.machine = config;
        self
    }

    /// Sets how many connections there are, in use and idle, and how long they may lie idle. The defaults are those of
    /// [`PoolConfig`].
    pub fn pool(mut self, config: PoolConfig) -> Self {
        self.pool = config;
        self
    }

    /// Sets how long a request waits for room in the pool. Default 10 s; `None` waits for ever.
    pub fn pool_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.pool_timeout = timeout;
        self
    }

    /// Sets who connects: how names are resolved, addresses raced, and how long that may take. Its TLS is set by `tls` all
    /// the same.
    pub fn dialer(mut self, dialer: Dialer<R>) -> Self {
        self.dialer = dialer;
        self
    }

    /// Sets how long connecting may take: the name, the socket and TLS together. Default 10 s; `None` waits for ever.
    pub fn connect_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.dialer = self.dialer.timeout(timeout);
        self
    }

    /// Sends every request to this address or Unix socket, whatever host its URL names. The URL still says what `Host` says, whether it is
    /// TLS, and for whom the certificate has to be.
    pub fn connect_to(mut self, endpoint: impl Into<Endpoint>) -> Self {
        self.endpoint = Some(endpoint.into());
        self
    }

    /// Sets how `https` speaks TLS; the offered protocol (ALPN) is `http/1.1` in any case. The default verifies servers by the
    /// operating system's roots.
    #[cfg(feature = "tls")]
    pub fn tls(mut self, config: crate::tls::ClientConfig) -> Self {
        self.tls = Some(config.alpn(["http/1.1"]));
        self
    }

    /// Sets how long the server may take nothing of what is sent to it. Default 60 s; `None` waits for ever.
    pub fn send_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.settings.send_timeout = timeout;
        self
    }

    /// Sets how long the head of an answer may take once the request is sent. Default 60 s; `None` waits for ever.
    pub fn head_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.machine.head_timeout = timeout;
        self
    }

    /// Sets how long the server may pause in the midst of an answer's body while that is waited for. Default 60 s; `None`
    /// waits for ever.
    pub fn body_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.machine.body_timeout = timeout;
        self
    }

    /// Sets how long a whole call may take, from waiting for room to the end of the answer's body, redirects included. Default
    /// `None`, for ever: each part has a limit of its own.
    pub fn total_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.settings.total_timeout = timeout;
        self
    }

    /// Sets how long a body waits for `100 Continue` before it is sent anyway, where that is asked for. Default 1 s.
    pub fn continue_timeout(mut self, timeout: Duration) -> Self {
        self.machine.continue_timeout = timeout;
        self
    }

    /// Sets how many redirects in a row [`send`](super::RequestBuilder::send) follows; 0 follows none and gives them to the caller.
    /// Default 10.
    pub fn max_redirects(mut self, redirects: u32) -> Self {
        self.settings.max_redirects = redirects;
        self
    }

    /// Sets whether a redirect from `https` to `http` is followed. Default no.
    pub fn allow_leaving_tls(mut self, allow: bool) -> Self {
        self.settings.allow_leaving_tls = allow;
        self
    }

    /// Sets whether an idempotent request that was sent, and whose connection broke before anything of an answer came, is sent once more.
    /// Default yes. A request of which nothing was sent is always sent again.
    pub fn retry_idempotent(mut self, retry: bool) -> Self {
        self.settings.retry_idempotent = retry;
        self
    }

    /// Sets how many bytes of a request's body are kept while it is sent, so that it can be sent again. Default 64 KiB. A body that is one
    /// piece is kept whatever its length.
    pub fn replay_limit(mut self, bytes: usize) -> Self {
        self.settings.replay_limit = bytes;
        self
    }

    /// Sets how many bytes of an answer [`bytes`](super::Response::bytes), `text` and `json` take. Default 16 MiB.
    pub fn collect_limit(mut self, bytes: usize) -> Self {
        self.settings.collect_limit = bytes;
        self
    }

    /// Sets the headers that [`send`](super::RequestBuilder::send) adds where a request has none of that name. The default is
    /// `accept: */*` and a `user-agent` of this library.
    pub fn default_headers(mut self, headers: HeaderMap) -> Self {
        self.settings.headers = headers;
        self
    }

    /// Sets how [`send`](super::RequestBuilder::send) undoes content codings, and with what limits; `None` to ask for none. The default asks for
    /// gzip, deflate, br and zstd, and has the limits of [`DecodeConfig`](crate::http::coding::decode::DecodeConfig).
    #[cfg(feature = "http-compression")]
    pub fn decode(mut self, config: Option<crate::http::coding::decode::DecodeConfig>) -> Self {
        self.settings.decode = config;
        self
    }

    /// Sets the jar of cookies that [`send`](super::RequestBuilder::send) sends from and takes in to. Default none.
    #[cfg(feature = "http-cookies")]
    pub fn cookies(mut self, jar: super::CookieJar) -> Self {
        self.settings.cookies = Some(jar);
        self
    }

    /// Sets the proxies that requests go through. Default none; [`proxies_from_env`](super::proxies_from_env) are those of the environment.
    ///
    /// `http` is asked of the proxy itself, `https` goes through a tunnel that the proxy opens, and a `CONNECT` of the caller's own goes where it
    /// says. An address set by [`connect_to`](Self::connect_to) goes before them.
    pub fn proxies(mut self, proxies: Proxies) -> Self {
        self.settings.proxies = proxies;
        self
    }

    /// The client. A task is spawned that closes connections which lie idle too long; it ends with the client's last clone.
    pub fn build(self) -> Client<R>
    where
        R: Spawn<Reaper<R>>,
    {
        let runtime = self.runtime.clone();
        let (client, reaper) = self.build_with_reaper();
        runtime.spawn(reaper);
        client
    }

    /// The client, and what closes connections that lie idle too long, to be run by the caller.
    pub fn build_with_reaper(self) -> (Client<R>, Reaper<R>) {
        let pool = Pool::new(self.runtime.clone(), self.pool).wait_timeout(self.pool_timeout);
        let reaper = pool.reaper();
        let inner = Inner {
            runtime: self.runtime,
            pool,
            dialer: self.dialer,
            #[cfg(feature = "tls")]
            tls: self.tls.map_or_else(Default::default, Into::into),
            endpoint: self.endpoint,
            machine: Arc::new(self.machine),
            settings: self.settings,
            last_origin: Mutex::new(None),
        };
        (Client { inner: Arc::new(inner) }, reaper)
    }
}

impl<R: Runtime> fmt::Debug for ClientBuilder<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientBuilder")
            .field("pool", &self.pool)
            .field("machine", &self.machine)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}
