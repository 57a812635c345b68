//! What answers requests: a tower service, or a plain async function.

use std::cell::Cell;
use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use glowplug_http::{FieldSource, RequestHead};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body::Body;
use pin_project_lite::pin_project;
use tower_service::Service;

use super::{Connection, Incoming, OnUpgrade};

/// A [`tower_service::Service`] that a server can call, under the names of its parts. Every service that takes a
/// `Request<Incoming>` and answers with a `Response` is one; so is [`raw_fn`](super::raw_fn). Nothing else can be.
///
/// Each connection has a clone of its own.
pub trait HttpService: Clone + sealed::Sealed {
    /// The body of an answer.
    type Body: Body;
    /// Why there is no answer: the client gets a 500.
    type Error;
    /// What comes of a call.
    type Future: Future<Output = Result<Self::Reply, Self::Error>>;

    #[doc(hidden)]
    type Asked: Asked;
    #[doc(hidden)]
    type Reply: Reply<Body = Self::Body>;

    #[doc(hidden)]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>>;

    #[doc(hidden)]
    fn call(&mut self, request: Self::Asked) -> Self::Future;
}

pub(super) mod sealed {
    #[allow(unnameable_types, reason = "nobody else implements the trait that asks for it")]
    pub trait Sealed {}
}

/// A request, as a service wants to have it.
#[allow(unnameable_types, reason = "which requests there are is for this module to know")]
pub trait Asked: Sized {
    /// A request from the wire, whose head may be taken. `None` when it cannot be told in this form.
    fn new(head: &mut RequestHead, body: Incoming) -> Option<Self>;

    /// It asks for the connection itself, which this would hand over.
    fn offer(&mut self, upgrade: OnUpgrade);

    /// The configuration wants the connection to go with it.
    fn attach(&mut self, connection: &Connection);
}

/// An answer, as a service gives it.
#[allow(unnameable_types, reason = "which answers there are is for this module to know")]
pub trait Reply {
    #[doc(hidden)]
    type Fields: FieldSource;
    #[doc(hidden)]
    type Body: Body;

    #[doc(hidden)]
    fn into_parts(self) -> (StatusCode, Self::Fields, Self::Body);

    /// The fields were sent: what is left of them may be of use.
    #[doc(hidden)]
    fn recycle(_fields: Self::Fields) {}
}

/// A map for more fields than this is not kept for the next request.
const MAX_SPARE_FIELDS: usize = 64;

thread_local! {
    /// The last answer's map, emptied, for the next request's fields. One per thread serves all connections, and idle ones hold none.
    static SPARE_FIELDS: Cell<Option<HeaderMap>> = const { Cell::new(None) };
}

impl Asked for Request<Incoming> {
    fn new(head: &mut RequestHead, body: Incoming) -> Option<Self> {
        let mut request = Self::new(body);
        if let Some(spare) = SPARE_FIELDS.take() {
            *request.headers_mut() = spare;
        }
        head.share_into(&mut request).ok()?;
        Some(request)
    }

    fn offer(&mut self, upgrade: OnUpgrade) {
        self.extensions_mut().insert(upgrade);
    }

    fn attach(&mut self, connection: &Connection) {
        self.extensions_mut().insert(connection.clone());
    }
}

impl<B: Body> Reply for Response<B> {
    type Fields = HeaderMap;
    type Body = B;

    fn into_parts(self) -> (StatusCode, HeaderMap, B) {
        let (parts, body) = self.into_parts();
        (parts.status, parts.headers, body)
    }

    fn recycle(mut fields: HeaderMap) {
        if fields.capacity() <= MAX_SPARE_FIELDS {
            fields.clear();
            SPARE_FIELDS.set(Some(fields));
        }
    }
}

impl<S, B> sealed::Sealed for S where S: Service<Request<Incoming>, Response = Response<B>> {}

impl<S, B> HttpService for S
where
    S: Service<Request<Incoming>, Response = Response<B>> + Clone,
    B: Body,
{
    type Body = B;
    type Error = S::Error;
    type Future = S::Future;
    type Asked = Request<Incoming>;
    type Reply = Response<B>;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        Service::poll_ready(self, cx)
    }

    #[inline]
    fn call(&mut self, request: Request<Incoming>) -> S::Future {
        Service::call(self, request)
    }
}

/// Makes a service of an async function from a request to a response, or to a `Result` of one.
///
/// ```
/// use glowplug_runtime::http::server::{Incoming, service_fn};
/// use http::{Request, Response};
///
/// let hello = service_fn(|request: Request<Incoming>| async move {
///     Response::new(format!("hello from {}\n", request.uri().path()))
/// });
/// ```
pub fn service_fn<F, A>(function: F) -> ServiceFn<F>
where
    F: FnMut(Request<Incoming>) -> A,
    A: Future<Output: Answer>,
{
    ServiceFn { function }
}

/// What an async function may return as its answer: a [`Response`], a [`RawResponse`](super::RawResponse) where it was made by
/// [`raw_fn`](super::raw_fn), or a `Result` of either.
pub trait Answer {
    /// The answer itself.
    type Response: Reply;
    /// Why there is none.
    type Error;

    /// The answer as a result.
    fn into_result(self) -> Result<Self::Response, Self::Error>;
}

impl<P: Reply> Answer for P {
    type Response = P;
    type Error = Infallible;

    fn into_result(self) -> Result<P, Infallible> {
        Ok(self)
    }
}

impl<P: Reply, E> Answer for Result<P, E> {
    type Response = P;
    type Error = E;

    fn into_result(self) -> Self {
        self
    }
}

/// The service of [`service_fn`].
#[derive(Clone, Copy)]
pub struct ServiceFn<F> {
    function: F,
}

impl<F, A, B> Service<Request<Incoming>> for ServiceFn<F>
where
    F: FnMut(Request<Incoming>) -> A,
    A: Future<Output: Answer<Response = Response<B>>>,
{
    type Response = Response<B>;
    type Error = <A::Output as Answer>::Error;
    type Future = Answering<A>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Incoming>) -> Answering<A> {
        Answering::new((self.function)(request))
    }
}

impl<F> fmt::Debug for ServiceFn<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceFn").finish_non_exhaustive()
    }
}

pin_project! {
    /// The future of a [`ServiceFn`], or of a [`RawFn`](super::RawFn).
    #[must_use = "nobody is answered until the future is polled"]
    pub struct Answering<A> {
        #[pin]
        future: A,
    }
}

impl<A> Answering<A> {
    pub(super) fn new(future: A) -> Self {
        Self { future }
    }
}

impl<A: Future<Output: Answer>> Future for Answering<A> {
    type Output = Result<<A::Output as Answer>::Response, <A::Output as Answer>::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.project().future.poll(cx).map(Answer::into_result)
    }
}

impl<A> fmt::Debug for Answering<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answering").finish_non_exhaustive()
    }
}
