//! The client as a tower service.

use std::task::{Context, Poll};

use bytes::Buf;
use http::{Request, Response};
use tower_service::Service;

use super::{Client, ClientError, Incoming};
use crate::http::BoxError;
use crate::{BoxFuture, Runtime};

/// Each call is a [`request`](Client::request): no redirects, no headers added. It is always ready; room is waited for in the call.
///
/// For runtimes whose sockets and timers move between threads, as tower's stacks expect it.
impl<R, B> Service<Request<B>> for Client<R>
where
    R: Runtime<Stream: Send, Timer: Send, Connecting: Send, Resolving: Send> + Send + Sync,
    B: http_body::Body<Data: Buf + Send, Error: Into<BoxError>> + Send + 'static,
{
    type Response = Response<Incoming<R, B>>;
    type Error = ClientError;
    type Future = BoxFuture<Result<Self::Response, ClientError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ClientError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let client = self.clone();
        Box::pin(async move { client.request(request).await })
    }
}
