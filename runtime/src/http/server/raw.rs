//! Requests as they came on the wire, and answers as they will go.

use std::fmt;
use std::future::Future;
use std::task::{Context, Poll};

use glowplug_http::{FieldSource, RequestHead};
use http::StatusCode;

use super::service::{Answer, Answering, Asked, HttpService, Reply, sealed};
use super::{Connection, Incoming, OnUpgrade};
use crate::http::Body;

/// A request as it came: the target as it was written, and the fields with their names, case, order and repetitions.
///
/// It was held to RFC 9112 and to all limits like any other request; only the types of the `http` crate were not made of it. Requests
/// whose target is no URI for that crate, and which tower services never see, come here, too.
#[derive(Debug)]
#[non_exhaustive]
pub struct RawRequest {
    /// Method, target and fields. It is a slice of what was read: whoever keeps it for long
    /// [compacts](glowplug_http::Fields::compact) it.
    pub head: RequestHead,
    /// The body, as it comes. [`Incoming::connection`] is the connection that it comes on.
    pub body: Incoming,
    /// For requests that ask for the connection itself, by `Upgrade` or `CONNECT`, where the server
    /// [hands them over](super::Server::upgrades).
    pub upgrade: Option<OnUpgrade>,
}

/// An answer to a [`RawRequest`]: its status, its fields in their order, and its body.
///
/// Fields are anything that is a [`FieldSource`]: an array of pairs, a vector of them, the
/// [`Fields`](glowplug_http::Fields) of a head that came from another connection, or a `HeaderMap`. The server adds what frames the
/// message (and leaves out such fields where they are given), `date` where there is none, and `connection` where it has to be said.
/// A field that may not be sent (its name is no token, or its value has control characters) makes the answer a 500, and
/// closes the connection.
#[derive(Clone, Debug)]
#[must_use = "it is to be returned to the server"]
pub struct RawResponse<F = (), B = Body> {
    /// The status: a final one, or 101 to grant an upgrade.
    pub status: StatusCode,
    /// The fields.
    pub fields: F,
    /// The body. One whose size hint is exact is sent with that length, any other in chunks.
    pub body: B,
}

impl<F: FieldSource, B: http_body::Body> RawResponse<F, B> {
    /// An answer of these parts.
    pub fn new(status: StatusCode, fields: F, body: B) -> Self {
        Self { status, fields, body }
    }
}

/// Makes a service of an async function from a [`RawRequest`] to a [`RawResponse`], or to a `Result` of one: for proxies, firewalls
/// and small fast servers, to which the maps of the `http` crate are a detour. All else is as for any other service: limits,
/// deadlines, draining, `Date`, `Expect: 100-continue`, `HEAD`.
///
/// ```
/// use glowplug_runtime::http::Body;
/// use glowplug_runtime::http::server::{RawRequest, RawResponse, raw_fn};
/// use http::StatusCode;
///
/// let hello = raw_fn(|request: RawRequest| async move {
///     match (request.head.method(), request.head.target()) {
///         ("GET", "/") => RawResponse::new(StatusCode::OK, &[("content-type", "text/plain")][..], Body::from("hello")),
///         _ => RawResponse::new(StatusCode::NOT_FOUND, &[][..], Body::empty()),
///     }
/// });
/// ```
pub fn raw_fn<F, A>(function: F) -> RawFn<F>
where
    F: FnMut(RawRequest) -> A,
    A: Future<Output: Answer>,
{
    RawFn { function }
}

/// The service of [`raw_fn`].
#[derive(Clone, Copy)]
pub struct RawFn<F> {
    function: F,
}

impl Asked for RawRequest {
    fn new(head: &mut RequestHead, body: Incoming) -> Option<Self> {
        Some(Self { head: head.take(), body, upgrade: None })
    }

    fn offer(&mut self, upgrade: OnUpgrade) {
        self.upgrade = Some(upgrade);
    }

    /// The body has it already.
    fn attach(&mut self, _connection: &Connection) {}
}

impl<F: FieldSource, B: http_body::Body> Reply for RawResponse<F, B> {
    type Fields = F;
    type Body = B;

    fn into_parts(self) -> (StatusCode, F, B) {
        (self.status, self.fields, self.body)
    }
}

impl<F> sealed::Sealed for RawFn<F> {}

impl<F, A> HttpService for RawFn<F>
where
    F: FnMut(RawRequest) -> A + Clone,
    A: Future<Output: Answer>,
{
    type Body = <<A::Output as Answer>::Response as Reply>::Body;
    type Error = <A::Output as Answer>::Error;
    type Future = Answering<A>;
    type Asked = RawRequest;
    type Reply = <A::Output as Answer>::Response;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: RawRequest) -> Answering<A> {
        Answering::new((self.function)(request))
    }
}

impl<F> fmt::Debug for RawFn<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawFn").finish_non_exhaustive()
    }
}
