//! By way of a proxy: whom to connect to, and the tunnel for TLS.

use std::fmt;
use std::sync::Arc;

use glowplug_http::proxy::{Proxies, Proxy, ProxyEnvError};
use glowplug_http::{BodyLength, ClientConfig, ClientConnection, ClientEvent, Limits, PoolKey, Scheme};
use http::{Method, StatusCode};

use super::error::ClientError;
use super::origin::Origin;
use super::{Inner, Stream};
use crate::dial::DialError;
use crate::drive::{DriverError, Exclusive};
use crate::time::within;
use crate::{MaybeTls, Runtime};

/// How long the head of a proxy's answer to `CONNECT` may be.
const MAX_HEAD: usize = 16 * 1024;

/// The proxies of this process's environment: `http_proxy`, `https_proxy`, `all_proxy` and `no_proxy`, by the rules of
/// [`Proxies::from_env`].
pub fn proxies_from_env() -> Result<Proxies, ProxyEnvError> {
    Proxies::from_env(|name| std::env::var(name).ok())
}

/// Why a proxy gave no connection.
#[derive(Debug)]
#[non_exhaustive]
pub enum ProxyError {
    /// There is no connection to the proxy, or no TLS with the server behind its tunnel.
    Dial(DialError),
    /// The proxy does not open a tunnel: 407 if it wants other credentials, 502 or the like if the server cannot be reached.
    Refused(StatusCode),
    /// The connection to the proxy failed, or it does not speak HTTP. `None` if the connection simply ended.
    Connection(Option<DriverError<glowplug_http::Error>>),
    /// It sent something behind its answer, before anything was sent through the tunnel.
    Unexpected,
    /// It did not answer within the time for connecting.
    TimedOut,
}

impl fmt::Display for ProxyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dial(_) => f.write_str("no connection to the proxy, or through it"),
            Self::Refused(status) => write!(f, "the proxy opens no tunnel: {status}"),
            Self::Connection(_) => f.write_str("the connection to the proxy failed"),
            Self::Unexpected => f.write_str("the proxy sent something through the tunnel by itself"),
            Self::TimedOut => f.write_str("the proxy did not answer in time"),
        }
    }
}

impl std::error::Error for ProxyError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Dial(error) => Some(error),
            Self::Connection(Some(error)) => Some(error),
            _ => None,
        }
    }
}

/// How a request reaches its server.
pub(super) struct Route {
    pub(super) origin: Arc<Origin>,
    /// The proxy, and which connections can carry it there.
    via: Option<(Arc<Proxy>, PoolKey)>,
}

impl Route {
    /// Which connections can carry it.
    pub(super) fn key(&self) -> &PoolKey {
        self.via.as_ref().map_or(self.origin.key(), |(_, key)| key)
    }

    pub(super) fn proxy(&self) -> Option<&Proxy> {
        self.via.as_ref().map(|(proxy, _)| &**proxy)
    }

    /// The proxy that reads the request itself, rather than to carry it unread.
    pub(super) fn forwarder(&self) -> Option<&Proxy> {
        self.proxy().filter(|_| self.origin.key().scheme() == Scheme::Http)
    }
}

impl<R: Runtime> Inner<R> {
    pub(super) fn route(&self, method: &Method, origin: Arc<Origin>) -> Route {
        let goes_direct = || self.endpoint.is_some() || *method == Method::CONNECT;
        let proxy = self.settings.proxies.pick(origin.key()).filter(|_| !goes_direct());
        let via = proxy.map(|proxy| (proxy.clone(), proxy.route(origin.key())));
        Route { origin, via }
    }

    /// A connection to the proxy, or through it.
    pub(super) async fn dial_proxy(&self, proxy: &Proxy, origin: &PoolKey) -> Result<Stream<R>, ClientError> {
        let dialled = self.dialer.tcp(proxy.host(), proxy.port()).await;
        let stream = dialled.map_err(|error| ClientError::Proxy(ProxyError::Dial(error)))?;
        #[cfg_attr(
            not(feature = "tls"),
            expect(clippy::infallible_destructuring_match, reason = "with TLS there are two cases")
        )]
        let stream = match stream {
            MaybeTls::Plain(stream) => stream,
            #[cfg(feature = "tls")]
            MaybeTls::Tls(_) => return Ok(stream),
        };
        if origin.scheme() == Scheme::Http {
            return Ok(MaybeTls::Plain(stream));
        }
        let dialer = self.secure_dialer()?;
        let tunnel = within(&self.runtime, dialer.time(), self.tunnel(stream, proxy, origin)).await;
        let stream = tunnel.unwrap_or(Err(ProxyError::TimedOut)).map_err(ClientError::Proxy)?;
        let secured = dialer.tls_on(stream, origin.host()).await;
        secured.map_err(|error| ClientError::Proxy(ProxyError::Dial(error)))
    }

    /// RFC 9110 §9.3.6: asks for a tunnel. What the proxy says besides is bounded like any answer, and thrown away.
    async fn tunnel(
        &self,
        stream: R::Stream,
        proxy: &Proxy,
        origin: &PoolKey,
    ) -> Result<R::Stream, ProxyError> {
        let mut config = ClientConfig::default();
        config.limits = Limits::default().max_head_len(MAX_HEAD);
        let machine = ClientConnection::new(self.runtime.now(), Arc::new(config));
        let mut driver = Exclusive::new(self.runtime.clone(), stream, machine);
        let target = format!("{}:{}", origin.host(), origin.port());
        let mut fields = http::HeaderMap::new();
        if let Ok(host) = http::HeaderValue::try_from(&*target) {
            fields.insert(http::header::HOST, host);
        }
        if let Some(agent) = self.settings.headers.get(http::header::USER_AGENT) {
            fields.insert(http::header::USER_AGENT, agent.clone());
        }
        if let Some(credentials) = proxy.credentials() {
            fields.insert(http::header::PROXY_AUTHORIZATION, credentials.clone());
        }
        let now = self.runtime.now();
        let submitted =
            driver.machine_mut().submit(now, &Method::CONNECT, &target, &fields, BodyLength::Empty);
        // The name is that of a URL: what it is made of fits.
        submitted.map_err(|_| ProxyError::Connection(None))?;
        loop {
            match driver.next_event().await {
                Ok(Some(ClientEvent::Response { head, .. })) if !head.status().is_success() => {
                    return Err(ProxyError::Refused(head.status()));
                }
                Ok(Some(ClientEvent::Upgraded { .. })) => break,
                Ok(Some(_)) => {}
                Ok(None) => return Err(ProxyError::Connection(None)),
                Err(error) => return Err(ProxyError::Connection(Some(error))),
            }
        }
        let parts = driver.into_parts();
        if parts.input.is_empty() && parts.unsent.is_empty() {
            Ok(parts.transport)
        } else {
            Err(ProxyError::Unexpected)
        }
    }
}
