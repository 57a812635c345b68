//! WebSocket, client and server, on every executor.

#[path = "../support/mod.rs"]
mod support;

mod basics;
mod hostile;
mod peers;
mod secure;
mod seeds;

use std::future::Future;
use std::pin::Pin;

use futures_util::future::join;
use glowplug::runtime::http::server::{Incoming, Server, Serving, service_fn};
use glowplug::runtime::websocket::{Acceptor, Connector, ServerSocket, Talking};
use glowplug::runtime::{Endpoint, Runtime, Spawn};
use http::{Request, Response};

use support::any_port;

/// What serves one socket.
pub(crate) type Talk<R> = fn(ServerSocket<R>) -> Told;
pub(crate) type Told = Pin<Box<dyn Future<Output = ()> + Send>>;
pub(crate) type Handled = Pin<Box<dyn Future<Output = Response<String>> + Send>>;
type Handler = glowplug::runtime::http::server::ServiceFn<HandlerFn>;
pub(crate) type HandlerFn = Box<dyn CloneFn>;

/// A handler that can be cloned for each connection.
pub(crate) trait CloneFn: FnMut(Request<Incoming>) -> Handled + Send {
    fn boxed(&self) -> HandlerFn;
}

impl<F: FnMut(Request<Incoming>) -> Handled + Clone + Send + 'static> CloneFn for F {
    fn boxed(&self) -> HandlerFn {
        Box::new(self.clone())
    }
}

impl Clone for HandlerFn {
    fn clone(&self) -> Self {
        (**self).boxed()
    }
}

/// What these tests ask of a plug.
pub(crate) trait Plug:
    Runtime<Stream: Send, Timer: Send>
    + Spawn<Serving<Self, Handler>>
    + Spawn<Talking<Self, Talk<Self>, Told>>
    + Send
    + Sync
{
}

impl<R> Plug for R where
    R: Runtime<Stream: Send, Timer: Send>
        + Spawn<Serving<Self, Handler>>
        + Spawn<Talking<Self, Talk<Self>, Told>>
        + Send
        + Sync
{
}

/// Says everything back.
pub(crate) fn echo<R: Plug>(mut socket: ServerSocket<R>) -> Told {
    Box::pin(async move {
        while let Ok(Some(message)) = socket.recv().await {
            if socket.send(message).await.is_err() {
                break;
            }
        }
    })
}

/// Runs `work` beside an HTTP server that accepts sockets at every path.
pub(crate) async fn serving<R: Plug>(
    runtime: &R,
    acceptor: Acceptor<R>,
    talk: Talk<R>,
    work: impl AsyncFnOnce(Endpoint),
) {
    let server = Server::bind(runtime.clone(), any_port()).await.expect("a free port").upgrades();
    let at = server.local_endpoint().expect("an address");
    let stopper = server.stopper();
    let handler = move |mut request: Request<Incoming>| {
        let response = acceptor.serve(&mut request, talk);
        Box::pin(async move { response }) as Handled
    };
    let work = async {
        work(at).await;
        stopper.stop();
    };
    join(work, server.run(service_fn(Box::new(handler) as HandlerFn))).await;
}

/// A connector to there.
pub(crate) fn to<R: Runtime>(runtime: &R, at: &Endpoint) -> Connector<R> {
    Connector::new(runtime.clone()).connect_to(at.clone())
}

/// The URL by which the tests ask.
pub(crate) const URL: &str = "ws://example.test/chat?room=1";
