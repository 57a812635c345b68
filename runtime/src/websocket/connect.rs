//! Connecting.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use glowplug_http::{BodyLength, ClientConfig, ClientConnection, ClientEvent};
use glowplug_websocket::{ClientHandshake, Config, Connection, HandshakeError, Role};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, header};

use super::error::ConnectError;
use super::link::Link;
use super::{HANDSHAKE_TIMEOUT, WRITE_TIMEOUT, WebSocket};
use crate::dial::Dialer;
use crate::drive::Exclusive;
use crate::http::{BoxError, Stream};
use crate::time::within;
use crate::{Endpoint, Runtime, Transport};

/// How a client connects. Cheap enough to clone; one connector makes any number of sockets.
#[derive(Clone)]
pub struct Connector<R: Runtime> {
    runtime: R,
    dialer: Dialer<R>,
    #[cfg(feature = "tls")]
    tls: Option<crate::tls::ClientConfig>,
    endpoint: Option<Endpoint>,
    config: Config,
    headers: HeaderMap,
    protocols: Vec<String>,
    timeout: Option<Duration>,
    write_timeout: Option<Duration>,
}

/// Where a URL leads.
struct Target {
    secure: bool,
    host: String,
    port: u16,
    /// What `host` says.
    authority: String,
    /// What is asked for.
    path: String,
}

impl<R: Runtime> Connector<R> {
    /// A connector with the default settings: no subprotocol, no compression, 10 s for everything up to the handshake.
    pub fn new(runtime: R) -> Self {
        Self {
            dialer: Dialer::new(runtime.clone()).timeout(None),
            runtime,
            #[cfg(feature = "tls")]
            tls: None,
            endpoint: None,
            config: Config::new(),
            headers: HeaderMap::new(),
            protocols: Vec::new(),
            timeout: Some(HANDSHAKE_TIMEOUT),
            write_timeout: Some(WRITE_TIMEOUT),
        }
    }

    /// Sets what the connection does: limits, pings, compression.
    pub fn config(mut self, config: Config) -> Self {
        self.config = config;
        self
    }

    /// Offers subprotocols, best first; the server may choose one. Names that are no tokens are left out.
    pub fn subprotocols(mut self, names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.protocols = names.into_iter().map(Into::into).collect();
        self
    }

    /// Adds a header to the request: `origin`, `authorization`, `cookie`. Those of the handshake itself are not to be set.
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.append(name, value);
        self
    }

    /// Sets who connects: how names are resolved and addresses raced. Its TLS is set by `tls` all the same.
    pub fn dialer(mut self, dialer: Dialer<R>) -> Self {
        self.dialer = dialer;
        self
    }

    /// Connects to this address or Unix socket, whatever host a URL names. The URL still says what `host` says, whether it is TLS,
    /// and for whom the certificate has to be.
    pub fn connect_to(mut self, endpoint: impl Into<Endpoint>) -> Self {
        self.endpoint = Some(endpoint.into());
        self
    }

    /// Sets how `wss` speaks TLS; the offered protocol (ALPN) is `http/1.1` in any case. The default verifies servers by the
    /// operating system's roots.
    #[cfg(feature = "tls")]
    pub fn tls(mut self, config: crate::tls::ClientConfig) -> Self {
        self.tls = Some(config.alpn(["http/1.1"]));
        self
    }

    /// Sets how long connecting and the handshake may take together. Default 10 s; `None` waits for ever.
    pub fn timeout(mut self, timeout: Option<Duration>) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets how long the peer may take nothing of what is sent to it. Default 60 s; `None` waits for ever.
    pub fn write_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.write_timeout = timeout;
        self
    }

    /// Connects to a URL of `ws` or `wss` (`http` and `https` mean the same).
    ///
    /// Dropping the future closes what was begun.
    pub async fn connect(
        &self,
        url: impl TryInto<Uri, Error: Into<BoxError>>,
    ) -> Result<WebSocket<R>, ConnectError> {
        let target = Target::of(&url.try_into().map_err(|error| ConnectError::Url(error.into()))?)?;
        let connecting = async {
            let stream = Box::pin(self.dial(&target)).await?;
            self.handshake(stream, &target).await
        };
        within(&self.runtime, self.timeout, connecting).await.unwrap_or(Err(ConnectError::TimedOut))
    }

    /// Does the handshake on a transport that is there already: a tunnel through a proxy, for example. Of the URL only the path and
    /// what `host` says matter.
    ///
    /// Dropping the future drops the transport.
    pub async fn connect_on<T: Transport>(
        &self,
        transport: T,
        url: impl TryInto<Uri, Error: Into<BoxError>>,
    ) -> Result<WebSocket<R, T>, ConnectError> {
        let target = Target::of(&url.try_into().map_err(|error| ConnectError::Url(error.into()))?)?;
        let handshake = self.handshake(transport, &target);
        within(&self.runtime, self.timeout, handshake).await.unwrap_or(Err(ConnectError::TimedOut))
    }

    async fn dial(&self, target: &Target) -> Result<Stream<R>, ConnectError> {
        let dialled = match (&self.endpoint, target.secure) {
            (None, false) => self.dialer.tcp(&target.host, target.port).await,
            (Some(endpoint), false) => self.dialer.endpoint(endpoint).await,
            (None, true) => self.secure_dialer()?.tls(&target.host, target.port).await,
            (Some(endpoint), true) => self.secure_dialer()?.tls_at(endpoint, &target.host).await,
        };
        dialled.map_err(ConnectError::Dial)
    }

    #[cfg(feature = "tls")]
    fn secure_dialer(&self) -> Result<Dialer<R>, ConnectError> {
        use crate::dial::DialError;
        let config = match &self.tls {
            Some(config) => config.clone(),
            None => crate::tls::ClientConfig::platform()
                .map_err(|error| ConnectError::Dial(DialError::Tls(std::io::Error::other(error))))?
                .alpn(["http/1.1"]),
        };
        Ok(self.dialer.clone().tls_config(config))
    }

    #[cfg(not(feature = "tls"))]
    #[expect(clippy::unnecessary_wraps, reason = "the same signature as with TLS")]
    fn secure_dialer(&self) -> Result<Dialer<R>, ConnectError> {
        Ok(self.dialer.clone())
    }

    async fn handshake<T: Transport>(
        &self,
        transport: T,
        target: &Target,
    ) -> Result<WebSocket<R, T>, ConnectError> {
        let now = self.runtime.now();
        let seed = self.runtime.seed();
        let handshake = ClientHandshake::new(&seed, &self.config, &self.protocols);
        let mut headers = self.headers.clone();
        if !headers.contains_key(header::HOST) {
            let host = HeaderValue::try_from(&target.authority);
            headers.insert(header::HOST, host.map_err(|error| ConnectError::Url(error.into()))?);
        }
        for (name, value) in handshake.fields() {
            let value = HeaderValue::try_from(value).map_err(|error| ConnectError::Url(error.into()))?;
            headers.insert(HeaderName::from_static(name), value);
        }
        let mut machine = ClientConnection::new(now, Arc::new(ClientConfig::default()));
        machine
            .submit(now, &Method::GET, &target.path, &headers, BodyLength::Empty)
            .map_err(ConnectError::Request)?;
        let mut driver = Exclusive::new(self.runtime.clone(), transport, machine);
        let answer = loop {
            match driver.next_event().await {
                Ok(Some(ClientEvent::Response { head, .. })) => break head,
                Ok(Some(_)) => {}
                Ok(None) => return Err(ConnectError::Http(None)),
                Err(error) => return Err(ConnectError::Http(Some(error))),
            }
        };
        let fields = answer.to_http();
        let pairs = fields.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
        let agreed = handshake.check(fields.status.as_u16(), pairs).map_err(|error| match error {
            HandshakeError::Status(_) => {
                ConnectError::Refused(Box::new(http::Response::from_parts(fields.clone(), ())))
            }
            error => ConnectError::Handshake(error),
        })?;
        loop {
            match driver.next_event().await {
                Ok(Some(ClientEvent::Upgraded { .. })) => break,
                Ok(Some(_)) => {}
                Ok(None) => return Err(ConnectError::Http(None)),
                Err(error) => return Err(ConnectError::Http(Some(error))),
            }
        }
        let parts = driver.into_parts();
        let role = Role::Client(self.runtime.seed());
        let machine = Connection::new(self.runtime.now(), role, self.config.clone(), &agreed);
        let (transport, input, unsent) = (parts.transport, parts.input, parts.unsent);
        let link = Link::new(self.runtime.clone(), transport, machine, input, unsent, self.write_timeout);
        Ok(WebSocket::new(link, agreed.protocol))
    }
}

impl Target {
    fn of(url: &Uri) -> Result<Self, ConnectError> {
        let secure = match url.scheme_str() {
            Some("ws" | "http") => false,
            Some("wss" | "https") => true,
            _ => return Err(ConnectError::Url("a url of ws or wss is needed".into())),
        };
        let host = url.host().filter(|host| !host.is_empty());
        let host = host.ok_or_else(|| ConnectError::Url("the url has no host".into()))?.to_owned();
        let usual = if secure { 443 } else { 80 };
        let port = url.port_u16().unwrap_or(usual);
        let authority = if port == usual { host.clone() } else { format!("{host}:{port}") };
        let path = url.path_and_query().map_or("/", |path| path.as_str());
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        Ok(Self { secure, host, port, authority, path })
    }
}

impl<R: Runtime> fmt::Debug for Connector<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector")
            .field("config", &self.config)
            .field("protocols", &self.protocols)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}
