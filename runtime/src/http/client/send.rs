//! One request on its way: checked out, sent, perhaps sent again, and followed where it is redirected to.

use std::borrow::Cow;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Buf;
use glowplug_core::Progress;
use glowplug_http::redirect::{self, RedirectError};
use glowplug_http::retry::{Attempt, Verdict, verdict};
use glowplug_http::{FieldSource, PreparedFields, ResponseHead};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, header};

use super::connection::{Checkout, Found};
use super::error::{ClientError, RequestError, Stage, Trace};
use super::exchange::{Exchange, Failure};
use super::origin::Origin;
use super::proxy::Route;
use super::upload::Upload;
use super::{Idempotent, Incoming, Informational, Inner};
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
    fn prepared(&self) -> Option<&PreparedFields> {
        let is_plain = self.headers.is_empty() && self.credentials.is_none();
        self.defaults.filter(|_| is_plain).and_then(|defaults| self.origin.plain(defaults))
    }
}

/// A request and the head of its answer, in one place on the heap: both are handed on from step to step.
pub(super) struct Transaction {
    pub(super) request: Request<Body>,
    /// Of no meaning before there is an answer.
    pub(super) head: ResponseHead,
}

impl Transaction {
    pub(super) fn new(request: Request<Body>) -> Box<Self> {
        Box::new(Self { request, head: ResponseHead::default() })
    }
}

/// A call on its way: what its steps share. It stays where it is, since what is handed from future to future is there twice.
pub(super) struct Call<R: Runtime, B> {
    /// The request's body was taken out: that is the upload.
    pub(super) transaction: Box<Transaction>,
    /// That of the request's URL, if it was looked at already.
    origin: Option<Arc<Origin>>,
    upload: Upload<B>,
    /// The body of the answer, once there is one.
    pub(super) answer: Incoming<R, B>,
    /// The client's own headers go along, besides those of the request.
    with_defaults: bool,
    max_redirects: u32,
    trace: Trace,
}

impl<R: Runtime, B> Call<R, B>
where
    B: http_body::Body<Data: Buf, Error: Into<BoxError>>,
{
    /// Exactly this request.
    pub(super) fn new(
        transaction: Box<Transaction>,
        origin: Option<Arc<Origin>>,
        body: B,
        replay_limit: usize,
    ) -> Self {
        Self {
            upload: Upload::new(body, transaction.request.headers(), replay_limit),
            transaction,
            origin,
            answer: Incoming::none(),
            with_defaults: false,
            max_redirects: 0,
            trace: Trace::new(),
        }
    }

    /// Allows that many redirects, and sends the client's headers with each request.
    pub(super) fn follow(&mut self, max_redirects: u32) {
        self.with_defaults = true;
        self.max_redirects = max_redirects;
    }
}

impl<R: Runtime> Inner<R> {
    /// A call within its time. When there is an answer, the call's request is the one that it came to.
    pub(super) async fn call<B>(
        &self,
        call: &mut Call<R, B>,
        total: Option<Duration>,
    ) -> Result<(), ClientError>
    where
        B: http_body::Body<Data: Buf, Error: Into<BoxError>>,
    {
        match total {
            None => self.follow(call).await?,
            Some(total) => {
                let deadline = self.runtime.now() + total;
                match within(&self.runtime, Some(total), self.follow(call)).await {
                    Ok(followed) => followed?,
                    Err(_) => return Err(call.trace.timed_out()),
                }
                call.answer.set_deadline(sleep_until(&self.runtime, deadline));
            }
        }
        call.answer.settle();
        Ok(())
    }

    /// A request, and those that it is redirected to.
    async fn follow<B>(&self, call: &mut Call<R, B>) -> Result<(), ClientError>
    where
        B: http_body::Body<Data: Buf, Error: Into<BoxError>>,
    {
        let mut followed = 0;
        loop {
            #[cfg(feature = "http-cookies")]
            let (jar, attached) = {
                let request = &mut call.transaction.request;
                let jar = request.extensions().get::<super::CookieJar>().cloned();
                let sends_own = call.with_defaults && self.settings.headers.contains_key(header::COOKIE);
                let attached = !sends_own && jar.as_ref().is_some_and(|jar| jar.attach(request));
                (jar, attached)
            };
            self.exchange(call).await?;
            let Call { transaction, upload, answer, with_defaults, max_redirects, trace, .. } = &mut *call;
            let Transaction { request, head } = &mut **transaction;
            #[cfg(feature = "http-cookies")]
            if let Some(jar) = jar {
                jar.keep(request.uri(), head);
                if attached {
                    // Where it is redirected to, others go along.
                    request.headers_mut().remove(header::COOKIE);
                }
            }
            let status = head.status();
            if !status.is_redirection() {
                return Ok(());
            }
            let next = match redirect::next(request.method(), request.uri(), status, head.get("location")) {
                Ok(Some(next)) if *max_redirects > 0 => next,
                // Without a location it is an answer like any other.
                Ok(_) | Err(RedirectError::LocationMissing) => return Ok(()),
                Err(_) if *max_redirects == 0 => return Ok(()),
                Err(error) => return Err(ClientError::Redirect(error)),
            };
            if next.keeps_body && !answer.may_go_again() {
                // The body is gone: the caller has to see to it.
                return Ok(());
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
            match answer.give_up().filter(|_| next.keeps_body) {
                Some(again) => {
                    *upload = again;
                    upload.rewind();
                }
                None => upload.leave(),
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
    async fn exchange<B>(&self, call: &mut Call<R, B>) -> Result<(), ClientError>
    where
        B: http_body::Body<Data: Buf, Error: Into<BoxError>>,
    {
        let Call { transaction, origin, upload, answer, trace, with_defaults, .. } = call;
        let Transaction { request, head } = &mut **transaction;
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
            trace.stage = Stage::Pool;
            let is_first = first.is_none();
            let found = poll_fn(|cx| Poll::Ready(self.find(cx, &route, is_first))).await;
            let checkout = match found {
                Ok(Found::Connection(checkout)) => Ok(checkout),
                // On the heap, like all that is rare: it would be a part of every request's future.
                Ok(Found::Room(room)) => Box::pin(self.connect(room, &route, is_first, trace)).await,
                Err(error) => Err(ClientError::Pool(error)),
            };
            let Checkout { lease, connection, reused } = match checkout {
                Ok(checkout) => checkout,
                Err(error) => {
                    return Err(first.map_or(error, |(failure, progress)| failure.into_error(progress)));
                }
            };
            trace.stage = Stage::Head;
            let mut exchange = match Exchange::begin(connection, &line, upload.take()) {
                Ok(exchange) => exchange,
                Err((error, connection)) => {
                    lease.put_back(connection);
                    return Err(RequestError::Head(error).into());
                }
            };
            let before = first.as_ref().map_or(Progress::NotSent, |(_, progress)| *progress);
            let answered = poll_fn(|cx| {
                let polled = exchange.poll_answer(cx, head, informational);
                trace.progress = before.max(exchange.progress());
                polled
            })
            .await;
            let progress = trace.progress;
            let failure = match answered {
                Ok(length) => {
                    let switching = head.status() == StatusCode::SWITCHING_PROTOCOLS
                        || *request.method() == Method::CONNECT && head.status().is_success();
                    *answer = Incoming::new(lease, exchange, length, switching);
                    return Ok(());
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
