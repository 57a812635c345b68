//! One connection of a server.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use glowplug_core::StreamProtocol;
use glowplug_dns::{Incoming, Rcode, Response, ServerConnection};

use super::crew::Crew;
use super::server::{Asked, Handler, ServerConfig};
use crate::drive::Deadline;
use crate::drive::Exclusive;
use crate::server::{Accepted, Stopping};
use crate::{Endpoint, MaybeTls, Runtime};

type Connection<R> = Exclusive<ServerConnection, MaybeTls<<R as Runtime>::Stream>, R>;

/// One connection of a [`Server`](super::Server), as the task that it spawns. State it as `R: Spawn<Guarded<Serving<H, R>>>`.
#[must_use = "a connection moves only while it is polled"]
pub struct Serving<H: Handler, R: Runtime> {
    stage: Stage<R>,
    runtime: R,
    handler: Arc<H>,
    /// Handlers at work, each with its query.
    crew: Crew<H::Answering, Incoming>,
    #[cfg(feature = "tls")]
    config: glowplug_dns::ServerConfig,
    query_timeout: Duration,
    /// Of the handshake, then of the handlers.
    deadline: Deadline<R::Timer>,
    peer: Endpoint,
    stopping: Option<Stopping>,
}

enum Stage<R: Runtime> {
    #[cfg(feature = "tls")]
    Securing(Box<crate::tls::Tls<R::Stream>>),
    Open(Box<Connection<R>>),
    Over,
}

impl<H: Handler, R: Runtime> Serving<H, R> {
    pub(super) fn new(
        runtime: R,
        accepted: Accepted<R::Stream>,
        handler: Arc<H>,
        config: &ServerConfig,
    ) -> Self {
        let Accepted { stream, peer, stopping } = accepted;
        let machine = ServerConnection::new(config.connection, runtime.now());
        let connection = Exclusive::new(runtime.clone(), MaybeTls::Plain(stream), machine);
        Self::at(Stage::Open(Box::new(connection)), runtime, handler, config, peer, stopping)
    }

    #[cfg(feature = "tls")]
    pub(super) fn under_tls(
        runtime: R,
        accepted: Accepted<R::Stream>,
        handler: Arc<H>,
        config: &ServerConfig,
        tls: &crate::tls::ServerConfig,
    ) -> Self {
        let Accepted { stream, peer, stopping } = accepted;
        let stage = match crate::tls::Tls::server(stream, tls) {
            Ok(stream) => Stage::Securing(Box::new(stream)),
            Err(_) => Stage::Over,
        };
        let until = runtime.now() + config.handshake_timeout;
        let mut serving = Self::at(stage, runtime, handler, config, peer, stopping);
        serving.deadline.set(Some(until));
        serving
    }

    fn at(
        stage: Stage<R>,
        runtime: R,
        handler: Arc<H>,
        config: &ServerConfig,
        peer: Endpoint,
        stopping: Stopping,
    ) -> Self {
        Self {
            stage,
            handler,
            crew: Crew::new(),
            #[cfg(feature = "tls")]
            config: config.connection,
            query_timeout: config.query_timeout,
            deadline: Deadline::new(runtime.timer()),
            runtime,
            peer,
            stopping: Some(stopping),
        }
    }

    /// Ready when the connection is open, with whether it ever will be.
    #[cfg(feature = "tls")]
    fn poll_open(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        let Stage::Securing(stream) = &mut self.stage else { return Poll::Ready(true) };
        let now = self.runtime.now();
        if self.deadline.poll(cx, now).is_ready() {
            return Poll::Ready(false);
        }
        let shaken = std::task::ready!(std::pin::pin!(stream.handshake()).poll(cx));
        self.deadline.set(None);
        if let Stage::Securing(stream) = std::mem::replace(&mut self.stage, Stage::Over)
            && shaken.is_ok()
        {
            let machine = ServerConnection::new(self.config, now);
            let connection = Exclusive::new(self.runtime.clone(), MaybeTls::Tls(stream), machine);
            self.stage = Stage::Open(Box::new(connection));
        }
        Poll::Ready(shaken.is_ok())
    }

    #[cfg(not(feature = "tls"))]
    #[expect(clippy::unused_self, reason = "the same signature as with TLS")]
    fn poll_open(&mut self, _cx: &mut Context<'_>) -> Poll<bool> {
        Poll::Ready(true)
    }
}

// Nothing in it is pinned: handlers have boxes of their own.
impl<H: Handler, R: Runtime> Unpin for Serving<H, R> {}

impl<H: Handler, R: Runtime> Future for Serving<H, R> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        if !std::task::ready!(this.poll_open(cx)) {
            return Poll::Ready(());
        }
        let Stage::Open(connection) = &mut this.stage else { return Poll::Ready(()) };
        if let Some(stopping) = &mut this.stopping
            && Pin::new(stopping).poll(cx).is_ready()
        {
            this.stopping = None;
            connection.machine_mut().close(this.runtime.now());
        }
        loop {
            let now = this.runtime.now();
            while let Poll::Ready((query, response)) = this.crew.poll(cx, now) {
                let response = response.unwrap_or_else(|| Response::error(Rcode::SERVFAIL));
                // The connection may have failed meanwhile; then nobody waits, and its own poll says so.
                let _ = connection.machine_mut().respond(now, &query, &response);
            }
            match connection.poll_event(cx) {
                Poll::Ready(Ok(Some(query))) => {
                    let asked = Asked { query: query.clone(), peer: this.peer.clone() };
                    let work = this.handler.answer(asked);
                    this.crew.push(work, query, now + this.query_timeout);
                }
                Poll::Ready(Ok(None) | Err(_)) => {
                    this.stage = Stage::Over;
                    return Poll::Ready(());
                }
                Poll::Pending => {
                    this.deadline.set(this.crew.poll_timeout());
                    if this.deadline.poll(cx, now).is_pending() {
                        return Poll::Pending;
                    }
                }
            }
        }
    }
}

impl<H: Handler, R: Runtime> fmt::Debug for Serving<H, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Serving").field("peer", &self.peer).finish_non_exhaustive()
    }
}
