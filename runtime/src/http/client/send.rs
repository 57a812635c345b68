//! One request on its way: checked out, sent, perhaps sent again, and followed where it is redirected to.

use std::borrow::Cow;
use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

use bytes::Buf;
use glowplug_core::Progress;
use glowplug_http::redirect::{self, RedirectError};
use glowplug_http::retry::{Attempt, Verdict, verdict};
use glowplug_http::{BodyLength, FieldSource, PoolKey, ResponseHead};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};

use super::connection::Checkout;
use super::error::{ClientError, RequestError, Stage, Trace};
use super::exchange::{Exchange, Failure};
use super::proxy::Route;
use super::upload::Upload;
use super::{Idempotent, Incoming, Informational, Inner, Lease};
use crate::Runtime;
use crate::http::BoxError;
use crate::time::{sleep_until, within};

/// What stands in a request's head, as the machine takes it.
pub(super) struct RequestLine<'r> {
    pub(super) method: &'r Method,
    pub(super) target: Cow<'r, str>,
    host: Cow<'r, str>,
    headers: &'r HeaderMap,
    /// What the proxy that reads this wants to know.
    credentials: Option<&'r HeaderValue>,
}

impl<'r> RequestLine<'r> {
    fn new(parts: &'r Parts, route: &'r Route) -> Self {
        let origin = &route.origin;
        let target = if parts.method == Method::CONNECT {
            Cow::Owned(format!("{}:{}", origin.host(), origin.port()))
        } else {
            Cow::Borrowed(parts.uri.path_and_query().map_or("/", |path| path.as_str()))
        };
        let target = if target.starts_with('?') { Cow::Owned(format!("/{target}")) } else { target };
        let forwarder = route.forwarder();
        let target = match forwarder {
            // RFC 9112 §3.2.2: a proxy is told the whole of it.
            Some(_) => Cow::Owned(format!("http://{}{target}", origin.host_field())),
            None => target,
        };
        let credentials = forwarder.and_then(|proxy| proxy.credentials());
        let host = host(&parts.uri, origin);
        Self { method: &parts.method, target, host, headers: &parts.headers, credentials }
    }
}

/// What goes into `Host`: as a rule the URL says it just as it is to be said.
fn host<'r>(uri: &'r Uri, key: &PoolKey) -> Cow<'r, str> {
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    let is_default = key.port() == key.scheme().default_port();
    let fits = match authority.strip_prefix(key.host()) {
        Some("") => is_default,
        Some(rest) => rest
            .strip_prefix(':')
            .is_some_and(|port| !is_default && !port.starts_with('0') && port.parse() == Ok(key.port())),
        None => false,
    };
    if fits { Cow::Borrowed(authority) } else { Cow::Owned(key.host_field()) }
}

/// The caller's fields, with `host` first if there is none among them (RFC 9110 §7.2).
impl FieldSource for RequestLine<'_> {
    const VALID: bool = true;

    fn each(&self, mut visit: impl FnMut(&[u8], &[u8])) {
        if !self.headers.contains_key(header::HOST) {
            visit(b"host", self.host.as_bytes());
        }
        if let Some(credentials) = self.credentials
            && !self.headers.contains_key(header::PROXY_AUTHORIZATION)
        {
            visit(b"proxy-authorization", credentials.as_bytes());
        }
        self.headers.each(visit);
    }
}

/// A call on its way: what its steps share. It stays where it is, since what is handed from future to future is there twice.
struct Call<B> {
    parts: Parts,
    upload: Upload<B>,
    max_redirects: u32,
    trace: Trace,
}

/// The head of an answer, and the exchange that goes on behind it.
struct Answered<R: Runtime, B> {
    head: ResponseHead,
    body: BodyLength,
    lease: Lease<R>,
    exchange: Exchange<R, B>,
    switching: bool,
}

impl<R: Runtime, B> Answered<R, B> {
    fn into_incoming(self) -> (ResponseHead, Incoming<R, B>) {
        (self.head, Incoming::new(self.lease, self.exchange, self.body, self.switching))
    }

    /// The request's body, to go out once more; the answer's is given up, and the connection left to others if it serves on.
    fn give_up(mut self) -> Upload<B> {
        if self.exchange.give_up() {
            self.lease.put_back(self.exchange.connection);
        }
        self.exchange.upload
    }
}

impl<R: Runtime> Inner<R> {
    /// The key of a URL. Most requests go where the last one went, whose key is remembered.
    fn key(&self, uri: &Uri) -> Option<PoolKey> {
        let (scheme, authority) = (uri.scheme()?, uri.authority()?);
        // Whoever is in the way of somebody else does without.
        let Ok(mut last) = self.last_key.try_lock() else { return PoolKey::of(uri) };
        if let Some((_, _, key)) = last.as_ref().filter(|(of_scheme, of_authority, _)| {
            of_scheme == scheme && of_authority.as_str() == authority.as_str()
        }) {
            return Some(key.clone());
        }
        let key = PoolKey::of(uri)?;
        *last = Some((scheme.clone(), authority.clone(), key.clone()));
        Some(key)
    }

    /// A request within its time; the answer, and where that came from in the end.
    pub(super) fn call<B>(
        &self,
        parts: Parts,
        body: B,
        total: Option<Duration>,
        max_redirects: u32,
    ) -> impl Future<Output = Result<(ResponseHead, Incoming<R, B>, Uri), ClientError>>
    where
        B: http_body::Body<Data: Buf, Error: Into<BoxError>>,
    {
        let upload = Upload::new(body, &parts.headers, self.settings.replay_limit);
        let mut call = Call { parts, upload, max_redirects, trace: Trace::new() };
        async move {
            let deadline = total.map(|total| self.runtime.now() + total);
            let answered = match within(&self.runtime, total, self.follow(&mut call)).await {
                Ok(answered) => answered?,
                Err(_) => return Err(call.trace.timed_out()),
            };
            let settles = answered.body == BodyLength::Empty;
            let (head, mut incoming) = answered.into_incoming();
            if settles {
                poll_fn(|cx| Poll::Ready(incoming.settle(cx))).await?;
            }
            incoming.set_deadline(deadline.map(|at| sleep_until(&self.runtime, at)));
            Ok((head, incoming, call.parts.uri))
        }
    }

    /// A request, and those that it is redirected to.
    async fn follow<B>(&self, call: &mut Call<B>) -> Result<Answered<R, B>, ClientError>
    where
        B: http_body::Body<Data: Buf, Error: Into<BoxError>>,
    {
        let mut followed = 0;
        loop {
            #[cfg(feature = "http-cookies")]
            let (jar, attached) = {
                let jar = call.parts.extensions.get::<super::CookieJar>().cloned();
                let attached = jar.as_ref().is_some_and(|jar| jar.attach(&mut call.parts));
                (jar, attached)
            };
            let answered = self.exchange(call).await?;
            #[cfg(feature = "http-cookies")]
            if let Some(jar) = jar {
                jar.keep(&call.parts.uri, &answered.head);
                if attached {
                    // Where it is redirected to, others go along.
                    call.parts.headers.remove(header::COOKIE);
                }
            }
            let status = answered.head.status();
            if !status.is_redirection() {
                return Ok(answered);
            }
            let Call { parts, upload, max_redirects, trace } = &mut *call;
            let location = answered.head.get("location");
            let next = match redirect::next(&parts.method, &parts.uri, status, location) {
                Ok(Some(next)) if *max_redirects > 0 => next,
                // Without a location it is an answer like any other.
                Ok(_) | Err(RedirectError::LocationMissing) => return Ok(answered),
                Err(_) if *max_redirects == 0 => return Ok(answered),
                Err(error) => return Err(ClientError::Redirect(error)),
            };
            if next.keeps_body && !answered.exchange.upload.is_replayable(Progress::AnswerBegun) {
                // The body is gone: the caller has to see to it.
                return Ok(answered);
            }
            if followed == *max_redirects {
                return Err(ClientError::TooManyRedirects(followed));
            }
            if next.leaves_tls && !self.settings.allow_leaving_tls {
                return Err(ClientError::LeavesTls);
            }
            followed += 1;
            redirect::strip(&mut parts.headers, &next);
            *upload = answered.give_up();
            if next.keeps_body {
                upload.rewind();
            } else {
                upload.leave();
            }
            parts.method = next.method;
            parts.uri = next.uri;
            *trace = Trace::new();
        }
    }

    /// One request, sent once, or once more where that is safe.
    async fn exchange<B>(&self, call: &mut Call<B>) -> Result<Answered<R, B>, ClientError>
    where
        B: http_body::Body<Data: Buf, Error: Into<BoxError>>,
    {
        let Call { parts, upload, trace, .. } = call;
        let key = self
            .key(&parts.uri)
            .ok_or_else(|| RequestError::Url("an absolute url of http or https is needed".into()))?;
        let route = self.route(&parts.method, key);
        let line = RequestLine::new(parts, &route);
        let informational = parts.extensions.get::<Informational>();
        // What the first attempt came to, in case there is none after it.
        let mut first: Option<(Failure, Progress)> = None;
        loop {
            let checkout = match self.checkout(&route, first.is_some(), trace).await {
                Ok(checkout) => checkout,
                Err(error) => {
                    return Err(first.map_or(error, |(failure, progress)| failure.into_error(progress)));
                }
            };
            let Checkout { lease, connection, reused } = checkout;
            trace.stage = Stage::Head;
            let timeout = self.settings.send_timeout;
            let mut exchange = match Exchange::begin(connection, &line, upload.take(), timeout) {
                Ok(exchange) => exchange,
                Err((error, connection)) => {
                    lease.put_back(connection);
                    return Err(RequestError::Head(error).into());
                }
            };
            let before = first.as_ref().map_or(Progress::NotSent, |(_, progress)| *progress);
            let answer = poll_fn(|cx| {
                let polled = exchange.poll_answer(cx, informational);
                trace.progress = before.max(exchange.progress());
                polled
            })
            .await;
            let progress = before.max(exchange.progress());
            let failure = match answer {
                Ok((head, body)) => {
                    let switching = head.status() == StatusCode::SWITCHING_PROTOCOLS
                        || parts.method == Method::CONNECT && head.status().is_success();
                    return Ok(Answered { head, body, lease, exchange, switching });
                }
                Err(failure) => failure,
            };
            *upload = exchange.upload;
            let may_go_again = first.is_none()
                && reused
                && failure.is_cut()
                && match verdict(&Attempt {
                    method: &parts.method,
                    progress,
                    body_is_replayable: upload.is_replayable(progress),
                    declared_idempotent: parts.extensions.get::<Idempotent>().is_some(),
                    reused,
                }) {
                    Verdict::Safe => true,
                    Verdict::Idempotent => self.settings.retry_idempotent,
                    Verdict::Unsafe => false,
                };
            if !may_go_again {
                return Err(failure.into_error(progress));
            }
            upload.rewind();
            first = Some((failure, progress));
        }
    }
}
