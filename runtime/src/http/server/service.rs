//! What answers requests: a tower service, or a plain async function.

use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::{Request, Response};
use http_body::Body;
use pin_project_lite::pin_project;
use tower_service::Service;

use super::Incoming;

/// A [`tower_service::Service`] that a server can call, under the names of its parts. Every service that takes a
/// `Request<Incoming>` and answers with a `Response` is one; nothing else can be.
///
/// Each connection has a clone of its own.
pub trait HttpService: Clone + sealed::Sealed {
    /// The body of an answer.
    type Body: Body;
    /// Why there is no answer: the client gets a 500.
    type Error;
    /// What comes of a call.
    type Future: Future<Output = Result<Response<Self::Body>, Self::Error>>;

    #[doc(hidden)]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>>;

    #[doc(hidden)]
    fn call(&mut self, request: Request<Incoming>) -> Self::Future;
}

mod sealed {
    #[allow(unnameable_types, reason = "nobody else implements the trait that asks for it")]
    pub trait Sealed {}
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

/// What an async function may return as its answer: a response, or a result of one.
pub trait Answer {
    /// The body of the answer.
    type Body: Body;
    /// Why there is none.
    type Error;

    /// The answer as a result.
    fn into_result(self) -> Result<Response<Self::Body>, Self::Error>;
}

impl<B: Body> Answer for Response<B> {
    type Body = B;
    type Error = Infallible;

    fn into_result(self) -> Result<Self, Infallible> {
        Ok(self)
    }
}

impl<B: Body, E> Answer for Result<Response<B>, E> {
    type Body = B;
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

impl<F, A> Service<Request<Incoming>> for ServiceFn<F>
where
    F: FnMut(Request<Incoming>) -> A,
    A: Future<Output: Answer>,
{
    type Response = Response<<A::Output as Answer>::Body>;
    type Error = <A::Output as Answer>::Error;
    type Future = Answering<A>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Incoming>) -> Answering<A> {
        Answering { future: (self.function)(request) }
    }
}

impl<F> fmt::Debug for ServiceFn<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceFn").finish_non_exhaustive()
    }
}

pin_project! {
    /// The future of a [`ServiceFn`].
    #[must_use = "nobody is answered until the future is polled"]
    pub struct Answering<A> {
        #[pin]
        future: A,
    }
}

impl<A: Future<Output: Answer>> Future for Answering<A> {
    type Output = Result<Response<<A::Output as Answer>::Body>, <A::Output as Answer>::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.project().future.poll(cx).map(Answer::into_result)
    }
}

impl<A> fmt::Debug for Answering<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answering").finish_non_exhaustive()
    }
}
