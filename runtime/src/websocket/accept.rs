//! Accepting, on any transport or from an HTTP server's handler.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use glowplug_core::StreamProtocol as _;
use glowplug_http::{BodyLength, ServerConfig, ServerConnection, ServerEvent};
use glowplug_websocket::{Config, Connection, Role, ServerHandshake};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, Version, request};

use super::error::{AcceptError, Rejection};
use super::link::Link;
use super::upgrade::{Talking, Upgrading};
use super::{HANDSHAKE_TIMEOUT, ServerSocket, WRITE_TIMEOUT, WebSocket};
use crate::drive::Exclusive;
use crate::http::server::OnUpgrade;
use crate::time::within;
use crate::{Runtime, Spawn, Transport};

/// How a server accepts sockets. Cheap to clone; one acceptor makes any number of them.
///
/// In a handler of the [HTTP server](crate::http::server::Server), which has to [serve
/// upgrades](crate::http::server::Server::upgrades), `axum`'s handlers included:
///
/// ```
/// # use glowplug_runtime::websocket::{Acceptor, ServerSocket, Talking};
/// # use glowplug_runtime::{Runtime, Spawn};
/// # use std::future::Future;
/// async fn chat<R: Runtime>(mut socket: ServerSocket<R>) {
///     while let Ok(Some(message)) = socket.recv().await {
///         if socket.send(message).await.is_err() {
///             break;
///         }
///     }
/// }
///
/// fn handler<R, H, F, B>(acceptor: &Acceptor<R>, mut request: http::Request<()>, chat: H) -> http::Response<B>
/// where
///     R: Runtime + Spawn<Talking<R, H, F>>,
///     H: FnOnce(ServerSocket<R>) -> F,
///     F: Future<Output = ()>,
///     B: Default,
/// {
///     acceptor.serve(&mut request, chat)
/// }
/// ```
///
/// Browsers let any page open a socket to any server: one that trusts cookies has to look at the request's `origin`.
#[derive(Clone)]
pub struct Acceptor<R: Runtime> {
    runtime: R,
    config: Config,
    protocols: Arc<[String]>,
    timeout: Option<Duration>,
    write_timeout: Option<Duration>,
}

impl<R: Runtime> Acceptor<R> {
    /// An acceptor with the default settings: no subprotocol, no compression.
    pub fn new(runtime: R) -> Self {
        Self {
            runtime,
            config: Config::new(),
            protocols: Arc::default(),
            timeout: Some(HANDSHAKE_TIMEOUT),
            write_timeout: Some(WRITE_TIMEOUT),
        }
    }

    /// Sets what a connection does: limits, pings, compression.
    pub fn config(mut self, config: Config) -> Self {
        self.config = config;
        self
    }

    /// Sets the subprotocols that the server speaks. Of those that it speaks, the client's best is chosen; none if there is none.
    pub fn subprotocols(mut self, names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.protocols = names.into_iter().map(Into::into).collect();
        self
    }

    /// Sets how long the handshake of [`accept`](Self::accept) may take. Default 10 s; `None` waits for ever.
    pub fn timeout(mut self, timeout: Option<Duration>) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets how long a peer may take nothing of what is sent to it. Default 60 s; `None` waits for ever.
    pub fn write_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.write_timeout = timeout;
        self
    }

    /// Accepts on a transport, whose first words have to be a WebSocket's request.
    ///
    /// Dropping the future drops the transport.
    pub async fn accept<T: Transport>(&self, transport: T) -> Result<WebSocket<R, T>, AcceptError> {
        self.accept_if(transport, |_| Ok(())).await
    }

    /// Accepts on a transport if `look` likes the request: its path, its origin, who it comes from. A status that `look` returns is
    /// answered instead.
    ///
    /// Dropping the future drops the transport.
    pub async fn accept_if<T: Transport>(
        &self,
        transport: T,
        look: impl FnOnce(&Request<()>) -> Result<(), StatusCode>,
    ) -> Result<WebSocket<R, T>, AcceptError> {
        let accepting = self.handshake(transport, look);
        within(&self.runtime, self.timeout, accepting).await.unwrap_or(Err(AcceptError::TimedOut))
    }

    async fn handshake<T: Transport>(
        &self,
        transport: T,
        look: impl FnOnce(&Request<()>) -> Result<(), StatusCode>,
    ) -> Result<WebSocket<R, T>, AcceptError> {
        let machine = ServerConnection::new(self.runtime.now(), Arc::new(ServerConfig::default()));
        let mut driver = Exclusive::new(self.runtime.clone(), transport, machine);
        let (stream, head) = loop {
            match driver.next_event().await {
                Ok(Some(ServerEvent::Request { stream, head, .. })) => break (stream, head),
                Ok(Some(_)) => {}
                Ok(None) => return Err(AcceptError::Http(None)),
                Err(error) => return Err(AcceptError::Http(Some(error))),
            }
        };
        let read =
            head.to_http().map_err(|_| Rejection::Refused(StatusCode::BAD_REQUEST)).and_then(|parts| {
                let handshake = self.read(&parts)?;
                look(&Request::from_parts(parts, ())).map_err(Rejection::Refused)?;
                Ok(handshake)
            });
        let now = self.runtime.now();
        let handshake = match read {
            Ok(handshake) => handshake,
            Err(rejection) => {
                let answer = rejection.response::<()>();
                let machine = driver.machine_mut();
                let sent =
                    machine.send_head(now, stream, answer.status(), answer.headers(), BodyLength::Empty);
                machine.close(now);
                // The rejection is what there is to tell, whatever becomes of the answer.
                while sent.is_ok() && matches!(driver.next_event().await, Ok(Some(_))) {}
                return Err(AcceptError::Rejected(rejection));
            }
        };
        let headers = headers(&handshake);
        let sent = driver.machine_mut().send_head(
            now,
            stream,
            StatusCode::SWITCHING_PROTOCOLS,
            &headers,
            BodyLength::Empty,
        );
        if sent.is_err() {
            // What asks for an upgrade but is not HTTP/1.1 was refused before; this is a request with a body in the way.
            return Err(AcceptError::Rejected(Rejection::NoUpgrades));
        }
        loop {
            match driver.next_event().await {
                Ok(Some(ServerEvent::Upgraded { .. })) => break,
                Ok(Some(ServerEvent::Data { stream, data })) => {
                    driver.machine_mut().release(now, stream, data.len());
                }
                Ok(Some(_)) => {}
                Ok(None) => return Err(AcceptError::Http(None)),
                Err(error) => return Err(AcceptError::Http(Some(error))),
            }
        }
        let parts = driver.into_parts();
        let agreed = handshake.agreed();
        let machine = Connection::new(self.runtime.now(), Role::Server, self.config.clone(), agreed);
        let (transport, input, unsent) = (parts.transport, parts.input, parts.unsent);
        let link = Link::new(self.runtime.clone(), transport, machine, input, unsent, self.write_timeout);
        Ok(WebSocket::new(link, agreed.protocol.clone()))
    }

    /// Reads a request that came to the [HTTP server](crate::http::server::Server), and gives the answer that grants it, together with the
    /// socket to come: await that in a task of its own, for it is there only after the answer was sent.
    ///
    /// A request that is none of a WebSocket's is [rejected](Rejection::response).
    pub fn upgrade<Q, B: Default>(
        &self,
        request: &mut Request<Q>,
    ) -> Result<(Response<B>, Upgrading<R>), Rejection> {
        let handshake = self.read_head(request.method(), request.version(), request.headers())?;
        let on_upgrade = request.extensions_mut().remove::<OnUpgrade>().ok_or(Rejection::NoUpgrades)?;
        let mut response = Response::new(B::default());
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        *response.headers_mut() = headers(&handshake);
        let config = self.config.clone();
        let agreed = handshake.agreed().clone();
        let upgrading = Upgrading::new(on_upgrade, self.runtime.clone(), config, agreed, self.write_timeout);
        Ok((response, upgrading))
    }

    /// Answers a request that came to the [HTTP server](crate::http::server::Server), and starts a task in which `talk` has the
    /// socket. A request that is none of a WebSocket's is answered with its rejection.
    pub fn serve<Q, B: Default, H, F>(&self, request: &mut Request<Q>, talk: H) -> Response<B>
    where
        R: Spawn<Talking<R, H, F>>,
        H: FnOnce(ServerSocket<R>) -> F,
        F: Future<Output = ()>,
    {
        match self.upgrade(request) {
            Ok((response, upgrading)) => {
                self.runtime.spawn(Talking::new(upgrading, talk));
                response
            }
            Err(rejection) => rejection.response(),
        }
    }

    fn read(&self, parts: &request::Parts) -> Result<ServerHandshake, Rejection> {
        self.read_head(&parts.method, parts.version, &parts.headers)
    }

    fn read_head(
        &self,
        method: &http::Method,
        version: Version,
        headers: &HeaderMap,
    ) -> Result<ServerHandshake, Rejection> {
        if version != Version::HTTP_11 {
            return Err(Rejection::Handshake(glowplug_websocket::HandshakeError::NotGet));
        }
        let fields = headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
        let mut handshake = ServerHandshake::read(method.as_str(), fields, &self.config)?;
        handshake.choose_protocol(&self.protocols);
        Ok(handshake)
    }
}

fn headers(handshake: &ServerHandshake) -> HeaderMap {
    let fields = handshake.fields().into_iter();
    fields
        .filter_map(|(name, value)| Some((HeaderName::from_static(name), HeaderValue::try_from(value).ok()?)))
        .collect()
}

impl<R: Runtime> fmt::Debug for Acceptor<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acceptor")
            .field("config", &self.config)
            .field("protocols", &self.protocols)
            .finish_non_exhaustive()
    }
}
