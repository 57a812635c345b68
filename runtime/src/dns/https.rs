//! DNS over HTTPS (RFC 8484): queries that go out by the HTTP client.
//!
//! That client is given one address to connect to and never resolves a name, so nothing goes in a circle. It stands behind a box: the
//! driver's type does not name the client's, and a driver without HTTPS does not pay for it.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use glowplug_core::{Instant, PoolConfig, Token};
use glowplug_dns::https::{MEDIA_TYPE, encode_parameter};
use glowplug_dns::resolver::Ask;
use glowplug_dns::{ExchangeError, HttpsError, Query, Reply};
use http::{HeaderMap, HeaderValue, Uri, header};

use super::crew::Crew;
use super::wire::Outcome;
use crate::dial::DialError;
use crate::http::{Client, ClientError, Reaper, RequestError};
use crate::{BoxFuture, Endpoint, Runtime, Spawn};

/// The longest message, in bytes.
const LONGEST: usize = 65_535;

/// How a query stands in an HTTP request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum HttpsMethod {
    /// As a body. Smaller, and no cache on the way keeps it.
    #[default]
    Post,
    /// As the parameter `dns` of the URL. HTTP caches may answer it.
    Get,
}

/// A server of DNS over HTTPS (RFC 8484): its URL, and how it is asked.
#[derive(Clone, Debug)]
#[must_use = "nothing is asked before a client has it"]
pub struct HttpsConfig {
    url: Uri,
    method: HttpsMethod,
    tls: Option<crate::tls::ClientConfig>,
    timeout: Duration,
    max_connections: usize,
}

impl HttpsConfig {
    /// The server of this URL, as `https://dns.example.net/dns-query`; a template's `{?dns}` at its end is left out. It has to be
    /// `https`, and the server has to show a certificate for its host.
    pub fn new(url: &str) -> Result<Self, RequestError> {
        let url = url.strip_suffix("{?dns}").unwrap_or(url);
        let url: Uri = url.parse().map_err(|error| RequestError::Url(Box::new(error)))?;
        if url.scheme_str() != Some("https") {
            return Err(RequestError::Url("dns over https wants a url of https".into()));
        }
        Ok(Self {
            url,
            method: HttpsMethod::default(),
            tls: None,
            timeout: Duration::from_secs(5),
            max_connections: 8,
        })
    }

    /// Sets how a query stands in a request. Default [`HttpsMethod::Post`].
    pub fn method(mut self, method: HttpsMethod) -> Self {
        self.method = method;
        self
    }

    /// Sets how TLS is spoken. The default verifies servers by the operating system's roots.
    pub fn tls(mut self, config: &crate::tls::ClientConfig) -> Self {
        self.tls = Some(config.clone());
        self
    }

    /// Sets how long one request may take, connecting included. Default 5 s. Whoever asks may have less patience.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets how many connections there are at once; each carries one query at a time. Default 8, at least 1.
    pub fn max_connections(mut self, connections: usize) -> Self {
        self.max_connections = connections.max(1);
        self
    }

    /// The URL.
    pub fn url(&self) -> &Uri {
        &self.url
    }

    fn client<R: Runtime + Spawn<Reaper<R>>>(&self, runtime: R, server: SocketAddr) -> Client<R> {
        // RFC 8484 section 8.2: no header says more about who asks than the query does.
        let accept = HeaderMap::from_iter([(header::ACCEPT, HeaderValue::from_static(MEDIA_TYPE))]);
        let mut pool = PoolConfig::default();
        pool.max_per_key = self.max_connections;
        pool.max_idle_per_key = self.max_connections;
        let mut builder = Client::builder(runtime)
            .connect_to(Endpoint::Tcp(server))
            .pool(pool)
            .max_redirects(0)
            .total_timeout(Some(self.timeout))
            .collect_limit(LONGEST)
            .default_headers(accept);
        if let Some(tls) = &self.tls {
            builder = builder.tls(tls.clone());
        }
        builder.build()
    }
}

/// A server that is asked by HTTP, whatever the runtime is called.
pub(super) trait AskHttps: Send + Sync {
    fn ask(&self, query: Query) -> BoxFuture<Result<Reply, ExchangeError>>;
}

struct Asker<R: Runtime> {
    client: Client<R>,
    url: Uri,
    method: HttpsMethod,
}

/// Boxes what asks `server`. It may go to any thread, so the runtime's parts have to.
pub(super) fn asker<R>(runtime: R, server: SocketAddr, config: &HttpsConfig) -> Arc<dyn AskHttps>
where
    R: Runtime<Stream: Send, Timer: Send, Connecting: Send, Resolving: Send> + Spawn<Reaper<R>> + Send + Sync,
{
    let client = config.client(runtime, server);
    Arc::new(Asker { client, url: config.url.clone(), method: config.method })
}

impl<R> AskHttps for Asker<R>
where
    R: Runtime<Stream: Send, Timer: Send, Connecting: Send, Resolving: Send> + Send + Sync,
{
    fn ask(&self, query: Query) -> BoxFuture<Result<Reply, ExchangeError>> {
        Box::pin(ask(self.client.clone(), self.url.clone(), self.method, query))
    }
}

async fn ask<R: Runtime>(
    client: Client<R>,
    url: Uri,
    method: HttpsMethod,
    query: Query,
) -> Result<Reply, ExchangeError> {
    let message = query.to_https();
    let request = match method {
        // The same query twice is the same as once, whatever the method says.
        HttpsMethod::Post => {
            client.post(url).header(header::CONTENT_TYPE, MEDIA_TYPE).idempotent().body(message)
        }
        HttpsMethod::Get => {
            let joint = if url.query().is_some() { '&' } else { '?' };
            client.get(format!("{url}{joint}dns={}", encode_parameter(&message)))
        }
    };
    let answer = request.send().await.map_err(|error| failure(&error))?;
    let status = answer.status().as_u16();
    let [kind, age] = [header::CONTENT_TYPE, header::AGE].map(|name| answer.headers().get(name).cloned());
    // What an error page says is nobody's business, nor is it waited for.
    let body = if answer.status().is_success() {
        answer.bytes().await.map_err(|error| failure(&error))?
    } else {
        Bytes::new()
    };
    let text = |value: &Option<HeaderValue>| value.as_ref().map(|value| value.as_bytes().to_owned());
    query.read_https(status, text(&kind).as_deref(), text(&age).as_deref(), body)
}

fn failure(error: &ClientError) -> ExchangeError {
    match error {
        ClientError::TooLong { .. } => ExchangeError::Https(HttpsError::TooLong),
        ClientError::TimedOut { .. } | ClientError::Dial(DialError::TimedOut(_)) => ExchangeError::TimedOut,
        _ => ExchangeError::Unreachable,
    }
}

/// The queries of one driver that go over HTTPS.
#[derive(Default)]
pub(super) struct Web {
    servers: BTreeMap<SocketAddr, Arc<dyn AskHttps>>,
    asked: Option<Crew<BoxFuture<Result<Reply, ExchangeError>>, Asked>>,
}

/// Whose query it is, whom it went to, and when.
struct Asked {
    token: Token,
    server: SocketAddr,
    since: Instant,
}

impl Web {
    pub(super) fn new(servers: BTreeMap<SocketAddr, Arc<dyn AskHttps>>) -> Self {
        Self { servers, asked: None }
    }

    /// True if this server is asked over HTTPS only.
    pub(super) fn knows(&self, server: SocketAddr) -> bool {
        self.servers.contains_key(&server)
    }

    pub(super) fn ask(&mut self, now: Instant, ask: Ask) {
        let Some(server) = self.servers.get(&ask.server) else { return };
        let context = Asked { token: ask.token, server: ask.server, since: now };
        self.asked.get_or_insert_with(Crew::new).push(server.ask(ask.query), context, ask.deadline);
    }

    /// Drops the request, and with it the connection it is on.
    pub(super) fn forget(&mut self, token: Token) {
        if let Some(crew) = &mut self.asked {
            crew.dismiss_if(|asked| asked.token == token);
        }
    }

    pub(super) fn poll(&mut self, cx: &mut Context<'_>, now: Instant, outcomes: &mut Vec<Outcome>) {
        let Some(crew) = &mut self.asked else { return };
        while let Poll::Ready((asked, result)) = crew.poll(cx, now) {
            let result = result.unwrap_or(Err(ExchangeError::TimedOut)).map(|reply| Reply {
                server: Some(asked.server),
                round_trip: Some(now - asked.since),
                ..reply
            });
            outcomes.push((asked.token, result));
        }
    }
}

impl fmt::Debug for Web {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Web").field("servers", &self.servers.len()).finish_non_exhaustive()
    }
}
