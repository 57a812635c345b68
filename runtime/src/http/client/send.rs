//! One request on its way: checked out, sent, perhaps sent again, and followed where it is redirected to.

use std::borrow::Cow;
use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use bytes::Buf;
use glowplug_core::Progress;
use glowplug_http::redirect::{self, RedirectError};
use glowplug_http::retry::{Attempt, Verdict, verdict};
use glowplug_http::{BodyLength, EncodedFields, FieldSource, ResponseHead};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, header};

use super::connection::Checkout;
use super::error::{ClientError, RequestError, Stage, Trace};
use super::exchange::{Exchange, Failure};
use super::origin::Origin;
use super::proxy::Route;
use super::upload::Upload;
use super::{Idempotent, Incoming, Informational, Inner, Lease};
use crate::Runtime;
use crate::http::{Body, BoxError};
use crate::time::{sleep_until, within};

/// What stands in a request's head, as the machine takes it.
pub(super) struct RequestLine<'r> {
    pub(super) method: &'r Method,
    pub(super) target: Cow<'r, str>,
    origin: &'r Origin,
    headers: &'r HeaderMap,
    /// Fields for names that are not among the headers.
    defaults: Option<&'r HeaderMap>,
    /// What the proxy that reads this wants to know.
    credentials: Option<&'r HeaderValue>,
}

impl<'r> RequestLine<'r> {
    fn new(request: &'r Request<Body>, defaults: Option<&'r HeaderMap>, route: &'r Route) -> Self {
        let (method, origin) = (request.method(), &*route.origin);
        let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
        let forwarder = route.forwarder();
        let target = if forwarder.is_none() && path.starts_with('/') && *method != Method::CONNECT {
            Cow::Borrowed(path)
        } else {
            Cow::Owned(target(method, origin, path, forwarder.is_some()))
        };
        let credentials = forwarder.and_then(|proxy| proxy.credentials());
        Self { method, target, origin, headers: request.headers(), defaults, credentials }
    }

    fn has(&self, name: &HeaderName) -> bool {
        // The defaults are few: to walk them is quicker than to find one.
        self.headers.contains_key(name)
            || self.defaults.is_some_and(|defaults| defaults.keys().any(|other| other == name))
    }
}

/// A target that is not what stands in the URL.
fn target(method: &Method, origin: &Origin, path: &str, forwarded: bool) -> String {
    if *method == Method::CONNECT {
        return format!("{}:{}", origin.key().host(), origin.key().port());
    }
    let slash = if path.starts_with('?') { "/" } else { "" };
    if forwarded {
        // RFC 9112 §3.2.2: a proxy is told the whole of it.
        format!("http://{}{slash}{path}", origin.key().host_field())
    } else {
        format!("{slash}{path}")
    }
}

/// The caller's fields, with `host` first if there is none among them (RFC 9110 §7.2).
impl FieldSource for RequestLine<'_> {
    const VALID: bool = true;

    fn each(&self, mut visit: impl FnMut(&[u8], &[u8])) {
        if !self.has(&header::HOST) {
            visit(b"host", self.origin.host().as_bytes());
        }
        if let Some(credentials) = self.credentials
            && !self.has(&header::PROXY_AUTHORIZATION)
        {
            visit(b"proxy-authorization", credentials.as_bytes());
        }
        self.headers.each(&mut visit);
        for (name, value) in self.defaults.into_iter().flatten() {
            if !self.headers.contains_key(name) {
                visit(name.as_str().as_bytes(), value.as_bytes());
            }
        }
    }

    /// A request without fields of its own says what the one before said.
    fn encoded(&self) -> Option<&EncodedFields> {
        let is_plain = self.headers.is_empty() && self.credentials.is_none();
        self.defaults.filter(|_| is_plain).and_then(|defaults| self.origin.plain(defaults))
    }
}

/// A call on its way: what its steps share. It stays where it is, since what is handed from future to future is there twice.
pub(super) struct Call<B> {
    /// Its body was taken out: that is the upload.
    pub(super) request: Box<Request<Body>>,
    /// That of the request's URL, if it was looked at already.
    origin: Option<Arc<Origin>>,
    upload: Upload<B>,
    /// The client's own headers go along, besides those of the request.
    with_defaults: bool,
    max_redirects: u32,
    trace: Trace,
}

impl<B> Call<B>
where
    B: http_body::Body<Data: Buf, Error: Into<BoxError>>,
{
    /// Exactly this request.
    pub(super) fn new(
        request: Box<Request<Body>>,
        origin: Option<Arc<Origin>>,
        body: B,
        replay_limit: usize,
    ) -> Self {
        let upload = Upload::new(body, request.headers(), replay_limit);
        Self { request, origin, upload, with_defaults: false, max_redirects: 0, trace: Trace::new() }
    }

    /// This request and those that it is redirected to, each with the client's headers.
    pub(super) fn following(self, max_redirects: u32) -> Self {
        Self { with_defaults: true, max_redirects, ..self }
    }
}

/// The head of an answer, and the exchange that goes on behind it.
struct Answered<R: Runtime, B> {
    head: Box<ResponseHead>,
    body: BodyLength,
    lease: Lease<R>,
    exchange: Exchange<R, B>,
    switching: bool,
}

impl<R: Runtime, B> Answered<R, B> {
    fn into_incoming(self) -> (Box<ResponseHead>, Incoming<R, B>) {
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
    /// A call within its time. When there is an answer, the call's request is the one that it came to.
    pub(super) async fn call<B>(
        &self,
        call: &mut Call<B>,
        total: Option<Duration>,
    ) -> Result<(Box<ResponseHead>, Incoming<R, B>), ClientError>
    where
        B: http_body::Body<Data: Buf, Error: Into<BoxError>>,
    {
        let (answered, deadline) = match total {
            None => (self.follow(call).await?, None),
            Some(total) => {
                let deadline = self.runtime.now() + total;
                match within(&self.runtime, Some(total), self.follow(call)).await {
                    Ok(answered) => (answered?, Some(sleep_until(&self.runtime, deadline))),
                    Err(_) => return Err(call.trace.timed_out()),
                }
            }
        };
        let (head, mut incoming) = answered.into_incoming();
        incoming.settle();
        incoming.set_deadline(deadline);
        Ok((head, incoming))
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
                let jar = call.request.extensions().get::<super::CookieJar>().cloned();
                let sends_own = call.with_defaults && self.settings.headers.contains_key(header::COOKIE);
                let attached = !sends_own && jar.as_ref().is_some_and(|jar| jar.attach(&mut call.request));
                (jar, attached)
            };
            let answered = self.exchange(call).await?;
            #[cfg(feature = "http-cookies")]
            if let Some(jar) = jar {
                jar.keep(call.request.uri(), &answered.head);
                if attached {
                    // Where it is redirected to, others go along.
                    call.request.headers_mut().remove(header::COOKIE);
                }
            }
            let status = answered.head.status();
            if !status.is_redirection() {
                return Ok(answered);
            }
            let Call { request, upload, with_defaults, max_redirects, trace, .. } = &mut *call;
            let location = answered.head.get("location");
            let next = match redirect::next(request.method(), request.uri(), status, location) {
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
            if std::mem::take(with_defaults) {
                // Not all of them may go along.
                self.add_defaults(request.headers_mut());
            }
            redirect::strip(request.headers_mut(), &next);
            *upload = answered.give_up();
            if next.keeps_body {
                upload.rewind();
            } else {
                upload.leave();
            }
            *request.method_mut() = next.method;
            *request.uri_mut() = next.uri;
            *trace = Trace::new();
        }
    }

    /// Adds the client's own headers, where there are none of their names.
    fn add_defaults(&self, headers: &mut HeaderMap) {
        for (name, value) in &self.settings.headers {
            headers.entry(name).or_insert_with(|| value.clone());
        }
    }

    /// One request, sent once, or once more where that is safe.
    async fn exchange<B>(&self, call: &mut Call<B>) -> Result<Answered<R, B>, ClientError>
    where
        B: http_body::Body<Data: Buf, Error: Into<BoxError>>,
    {
        let Call { request, origin, upload, trace, with_defaults, .. } = call;
        // What was known is no longer once it has been asked: a redirect may lead elsewhere.
        let origin = origin
            .take()
            .or_else(|| self.origin(request.uri()))
            .ok_or_else(|| RequestError::Url("an absolute url of http or https is needed".into()))?;
        let route = self.route(request.method(), origin);
        let defaults = with_defaults.then_some(&self.settings.headers);
        let line = RequestLine::new(request, defaults, &route);
        let informational = request.extensions().get::<Informational>();
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
            let mut exchange = match Exchange::begin(connection, &line, upload.take()) {
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
                        || *request.method() == Method::CONNECT && head.status().is_success();
                    return Ok(Answered { head, body, lease, exchange, switching });
                }
                Err(failure) => failure,
            };
            *upload = exchange.upload;
            let may_go_again = first.is_none()
                && reused
                && failure.is_cut()
                && match verdict(&Attempt {
                    method: request.method(),
                    progress,
                    body_is_replayable: upload.is_replayable(progress),
                    declared_idempotent: request.extensions().get::<Idempotent>().is_some(),
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
