//! The HTTP client.
//!
//! ```text
//!  RequestBuilder ──▶ redirects ──▶ one request ──▶ pool ─ idle? ─▶ Exchange ──▶ Incoming
//!                     (follow)      (at most one      └──▶ Dialer ──┘ both directions, driven
//!                                    retry)                           by who polls
//! ```
//!
//! No task stands behind a request: whoever waits for the answer, or reads its body, moves the connection's bytes both ways. So a request
//! that is dropped takes its connection with it, and nobody else's answer shifts.

mod builder;
mod connection;
mod content;
#[cfg(feature = "http-cookies")]
mod cookies;
mod download;
mod error;
mod exchange;
mod form;
mod incoming;
mod into_url;
mod origin;
mod proxy;
mod request;
mod response;
mod send;
mod service;
mod upgrade;
mod upload;

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Buf;
use glowplug_http::proxy::Proxies;
use glowplug_http::{ClientConfig, PoolKey, ResponseHead};
use http::{HeaderMap, Method};

pub use builder::ClientBuilder;
pub use content::Content;
#[cfg(feature = "http-cookies")]
pub use cookies::{CookieJar, CookieLimits};
pub use download::{Download, DownloadError, Target};
pub use error::{ClientError, RequestError, Stage};
pub use form::{Form, Part};
pub use incoming::Incoming;
pub use into_url::IntoUrl;
pub use proxy::{ProxyError, proxies_from_env};
pub use request::RequestBuilder;
pub use response::Response;
pub use upgrade::{Upgraded, UpgradedParts};

use super::BoxError;
use crate::dial::Dialer;
use crate::{Endpoint, MaybeTls, Runtime, Spawn};
use connection::Connection;
use origin::Origin;
use send::{Call, RequestLine, Transaction};

/// The stream a connection runs on.
pub type Stream<R> = MaybeTls<<R as Runtime>::Stream>;

/// What a client spawns: the task that closes connections which lie idle too long. State it as `R: Spawn<http::Reaper<R>>`.
pub type Reaper<R> = crate::pool::Reaper<PoolKey, Box<Connection<R>>, R>;

type Pool<R> = crate::pool::Pool<PoolKey, Box<Connection<R>>, R>;
type Lease<R> = crate::pool::Lease<PoolKey, Box<Connection<R>>, R>;

/// An HTTP client with a pool of connections. Clones share the pool.
///
/// ```no_run
/// # use glowplug_runtime::http::{Client, ClientError, Reaper};
/// # use glowplug_runtime::{Runtime, Spawn};
/// # async fn example<R: Runtime + Spawn<Reaper<R>>>(runtime: R) -> Result<(), ClientError> {
/// let client = Client::builder(runtime).build();
/// let page = client.get("http://example.org/").send().await?.text().await?;
/// # let _ = page; Ok(())
/// # }
/// ```
///
/// # What is sent twice
///
/// An idle connection is looked at before it is used. If the server closes it in the very moment, a request of which the connection
/// had taken nothing is sent on a fresh one. One that was sent, in part or in full, is sent once more only if its method is
/// idempotent, its body can be replayed and nothing of an answer had begun. What may have been applied is never repeated otherwise: the
/// error says by its [`progress`](ClientError::progress) how far it got.
pub struct Client<R: Runtime> {
    inner: Arc<Inner<R>>,
}

struct Inner<R: Runtime> {
    runtime: R,
    pool: Pool<R>,
    dialer: Dialer<R>,
    #[cfg(feature = "tls")]
    tls: std::sync::OnceLock<crate::tls::ClientConfig>,
    /// Where every connection goes, whatever its URL says.
    endpoint: Option<Endpoint>,
    machine: Arc<ClientConfig>,
    settings: Settings,
    /// Where the last request went.
    last_origin: Mutex<Option<Arc<Origin>>>,
}

/// What is not the machine's, the pool's or the dialer's business.
#[derive(Clone, Debug)]
struct Settings {
    headers: HeaderMap,
    total_timeout: Option<Duration>,
    send_timeout: Option<Duration>,
    max_redirects: u32,
    allow_leaving_tls: bool,
    retry_idempotent: bool,
    replay_limit: usize,
    collect_limit: usize,
    #[cfg(feature = "http-compression")]
    decode: Option<super::coding::decode::DecodeConfig>,
    #[cfg(feature = "http-cookies")]
    cookies: Option<CookieJar>,
    proxies: Proxies,
}

impl<R: Runtime> Clone for Client<R> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone() }
    }
}

impl<R: Runtime + Default + Spawn<Reaper<R>>> Client<R> {
    /// A client with the default settings. On tokio, inside a runtime.
    pub fn new() -> Self {
        Self::builder(R::default()).build()
    }
}

impl<R: Runtime + Default + Spawn<Reaper<R>>> Default for Client<R> {
    fn default() -> Self {
        Self::new()
    }
}

impl<R: Runtime> Client<R> {
    /// A client with settings of your own, on any runtime.
    pub fn builder(runtime: R) -> ClientBuilder<R> {
        ClientBuilder::new(runtime)
    }

    /// Begins a `GET`. An invalid URL is told by [`send`](RequestBuilder::send).
    pub fn get(&self, url: impl IntoUrl) -> RequestBuilder<R> {
        self.method(Method::GET, url)
    }

    /// Begins a `HEAD`.
    pub fn head(&self, url: impl IntoUrl) -> RequestBuilder<R> {
        self.method(Method::HEAD, url)
    }

    /// Begins a `POST`.
    pub fn post(&self, url: impl IntoUrl) -> RequestBuilder<R> {
        self.method(Method::POST, url)
    }

    /// Begins a `PUT`.
    pub fn put(&self, url: impl IntoUrl) -> RequestBuilder<R> {
        self.method(Method::PUT, url)
    }

    /// Begins a `PATCH`.
    pub fn patch(&self, url: impl IntoUrl) -> RequestBuilder<R> {
        self.method(Method::PATCH, url)
    }

    /// Begins a `DELETE`.
    pub fn delete(&self, url: impl IntoUrl) -> RequestBuilder<R> {
        self.method(Method::DELETE, url)
    }

    /// Begins a request with any method.
    pub fn method(&self, method: Method, url: impl IntoUrl) -> RequestBuilder<R> {
        let known = url.as_text().and_then(|text| self.inner.known_url(text));
        let (url, origin) = match known {
            Some((url, origin)) => (Ok(url), Some(origin)),
            None => (url.into_url(), None),
        };
        RequestBuilder::new(self.clone(), method, url, origin)
    }

    /// Sends exactly this request, which needs an absolute URI, and gives the head of the answer as soon as it is there.
    ///
    /// Redirects are answers like any other here, and no header is added but `host` and those that frame the body. The body goes out
    /// with its length if its size hint is exact, and chunked otherwise; what of it is not sent when the answer begins is sent while the
    /// answer's body is polled. A `CONNECT` goes to the server that the URI names, with its host and port as the target.
    ///
    /// In the request's extensions, [`Informational`] hears of 1xx answers, and [`Idempotent`] allows a repeat.
    ///
    /// Dropping the future closes the connection the request was on.
    pub async fn request<B>(
        &self,
        request: http::Request<B>,
    ) -> Result<http::Response<Incoming<R, B>>, ClientError>
    where
        B: http_body::Body<Data: Buf, Error: Into<BoxError>>,
    {
        let (parts, body) = request.into_parts();
        let transaction = Transaction::new(http::Request::from_parts(parts, super::Body::empty()));
        let Settings { total_timeout, replay_limit, .. } = self.inner.settings;
        let mut call = Call::new(transaction, None, body, replay_limit);
        self.inner.call(&mut call, total_timeout).await?;
        // What the head shares its buffer with was looked at when it came.
        Ok(http::Response::from_parts(call.transaction.head.share_http(0), call.answer))
    }

    /// Connections, in use and idle.
    pub fn connections(&self) -> usize {
        self.inner.pool.open()
    }

    /// Idle connections.
    pub fn idle_connections(&self) -> usize {
        self.inner.pool.idle()
    }

    /// Closes idle connections now and those in use when they come back; requests that begin later, and those that wait for room, fail.
    pub fn close(&self) {
        self.inner.pool.close();
    }
}

impl<R: Runtime> fmt::Debug for Client<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("pool", &self.inner.pool)
            .field("settings", &self.inner.settings)
            .finish_non_exhaustive()
    }
}

/// In a request's extensions: hears of its informational answers (1xx other than 101), as they come.
///
/// ```
/// use glowplug_runtime::http::Informational;
/// let mut request = http::Request::get("http://example.org/").body(()).unwrap();
/// request.extensions_mut().insert(Informational::new(|head| println!("{}", head.status())));
/// ```
#[derive(Clone)]
pub struct Informational(Arc<dyn Fn(&ResponseHead) + Send + Sync>);

impl Informational {
    /// Calls `listen` with the head of each.
    pub fn new(listen: impl Fn(&ResponseHead) + Send + Sync + 'static) -> Self {
        Self(Arc::new(listen))
    }

    fn call(&self, head: &ResponseHead) {
        (self.0)(head);
    }
}

impl fmt::Debug for Informational {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Informational")
    }
}

/// In a request's extensions: to send it twice is the same as once, whatever its method says; by an idempotency key, for
/// example.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Idempotent;
