//! The server's side: one function for each connection.

use std::fmt;
use std::future::Future;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use super::connection::{Closing, Home, Inner};
use super::{Config, Connection, Stream};
use crate::server::{self, Accepted, Guarded, Server, Stopper};
use crate::{Endpoint, MaybeTls, Runtime, Spawn, trace};

/// Listens for connections, and runs one function for each. [`serve`](Self::serve) does the work.
pub struct Service<R: Runtime> {
    runtime: R,
    server: Server<R>,
    config: Config,
    #[cfg(feature = "tls")]
    tls: Option<crate::tls::ServerConfig>,
}

/// Serves at `at` with default limits, until the future is dropped: [`Service::bind`] and [`Service::serve`] in one.
///
/// Without a [`Stopper`] nobody can stop it in good order; use a [`Service`] for that.
pub async fn serve<R, H, F>(runtime: R, at: impl Into<Endpoint>, handler: H) -> io::Result<()>
where
    R: Runtime + Spawn<Guarded<Serving<R, H, F>>>,
    H: Fn(Connection<R>) -> F,
    F: Future<Output = ()>,
{
    Service::bind(runtime, at).await?.serve(handler).await;
    Ok(())
}

impl<R: Runtime> Service<R> {
    /// Listens at `at`: an address (port 0 lets the system pick), or the path of a Unix socket.
    pub async fn bind(runtime: R, at: impl Into<Endpoint>) -> io::Result<Self> {
        Ok(Self::on(runtime.clone(), Server::bind(runtime, at).await?))
    }

    /// Serves on a server that listens already.
    pub fn on(runtime: R, server: Server<R>) -> Self {
        Self {
            runtime,
            server,
            config: Config::default(),
            #[cfg(feature = "tls")]
            tls: None,
        }
    }

    /// Sets the limits and deadlines of each connection.
    pub fn config(mut self, config: Config) -> Self {
        self.config = config;
        self
    }

    /// Sets how many connections are served at once, and how long a stop waits for them.
    pub fn limits(mut self, config: server::Config) -> Self {
        self.server = self.server.config(config);
        self
    }

    /// Speaks TLS. A handshake that fails, or takes longer than [`Config::handshake_timeout`], ends in a closed socket, and the function
    /// is not called.
    #[cfg(feature = "tls")]
    pub fn tls(mut self, config: crate::tls::ServerConfig) -> Self {
        self.tls = Some(config);
        self
    }

    /// Where it listens; for port 0 the port that the system picked.
    pub fn local_endpoint(&self) -> io::Result<Endpoint> {
        self.server.local_endpoint()
    }

    /// What stops this service.
    pub fn stopper(&self) -> Stopper {
        self.server.stopper()
    }

    /// Serves until [`Stopper::stop`]: each connection runs `handler`'s future in a task of its own. When the function ends, by
    /// returning or by a panic, what it sent is flushed and the connection is closed. A stopped service accepts no more, and its
    /// connections have [`drain_timeout`](server::Config::drain_timeout) to end before they are cancelled.
    ///
    /// A function that moves its connection into another task keeps its place among the
    /// [`max_connections`](server::Config::max_connections) until the connection is dropped there.
    ///
    /// Dropping the future closes the listener; connections run on.
    pub async fn serve<H, F>(self, handler: H)
    where
        H: Fn(Connection<R>) -> F,
        F: Future<Output = ()>,
        R: Spawn<Guarded<Serving<R, H, F>>>,
    {
        let handler = Arc::new(handler);
        let stopper = self.server.stopper();
        self.server
            .run(|accepted| {
                let Accepted { stream, peer, .. } = accepted;
                #[cfg(feature = "tls")]
                let stream = match &self.tls {
                    None => Ok(MaybeTls::Plain(stream)),
                    Some(config) => {
                        crate::tls::Tls::server(stream, config).map(|tls| MaybeTls::Tls(Box::new(tls)))
                    }
                };
                #[cfg(not(feature = "tls"))]
                let stream = io::Result::Ok(MaybeTls::Plain(stream));
                let config = self.config.clone();
                let inner = stream.map(|stream| {
                    let stopper = Some(stopper.clone());
                    Box::new(Inner::new(self.runtime.clone(), stream, Some(peer), config, stopper))
                });
                Serving::new(inner, handler.clone())
            })
            .await;
    }
}

impl<R: Runtime> fmt::Debug for Service<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service").field("server", &self.server).finish_non_exhaustive()
    }
}

/// One connection, as the task that [`Service::serve`] spawns: the handshake, the function, and the close.
pub struct Serving<R: Runtime, H, F> {
    stage: Stage<R, H, F>,
}

enum Stage<R: Runtime, H, F> {
    Handshake { inner: Box<Inner<R>>, handler: Arc<H> },
    Running { function: Option<Pin<Box<F>>>, home: Arc<Home<R>>, closing: Option<Closing<R>>, closed: bool },
    Over,
}

impl<R: Runtime, H, F> Serving<R, H, F> {
    fn new(inner: io::Result<Box<Inner<R>>>, handler: Arc<H>) -> Self {
        let stage = match inner {
            Ok(mut inner) => {
                // The deadline of the verbs is the handshake's first.
                let at = inner.runtime.now() + inner.config.handshake_timeout;
                inner.deadline.set(Some(at));
                Stage::Handshake { inner, handler }
            }
            Err(error) => {
                trace::handshake_failed(&error);
                Stage::Over
            }
        };
        Self { stage }
    }
}

// The function is pinned in its box; nothing else is.
impl<R: Runtime, H, F> Unpin for Serving<R, H, F> {}

impl<R, H, F> Future for Serving<R, H, F>
where
    R: Runtime,
    H: Fn(Connection<R>) -> F,
    F: Future<Output = ()>,
{
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        if let Stage::Handshake { inner, .. } = &mut this.stage {
            let shaken = match inner.poll_handshake(cx) {
                Poll::Ready(Ok(())) => true,
                Poll::Ready(Err(error)) => {
                    trace::handshake_failed(&error);
                    false
                }
                Poll::Pending => {
                    let now = inner.runtime.now();
                    ready!(inner.deadline.poll(cx, now));
                    trace::handshake_failed(&crate::time::Elapsed);
                    false
                }
            };
            this.stage = match std::mem::replace(&mut this.stage, Stage::Over) {
                Stage::Handshake { inner, handler } if shaken => begin(inner, &handler),
                _ => Stage::Over,
            };
        }
        let Stage::Running { function, home, closing, closed } = &mut this.stage else {
            return Poll::Ready(());
        };
        if let Some(future) = function {
            // After a panic the future is dropped and never polled again, so nobody sees what it left half done.
            match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
                Ok(Poll::Pending) => {}
                Ok(Poll::Ready(())) => *function = None,
                Err(payload) => {
                    trace::panicked(&*payload);
                    *function = None;
                }
            }
        }
        // Back from the function, in the middle of it or at its end.
        if closing.is_none() && !*closed {
            let mut state = home.lock();
            state.task = Some(cx.waker().clone());
            *closed = state.lost;
            *closing = state.back.take().map(Closing::new);
        }
        if let Some(last) = closing
            && last.poll(cx).is_ready()
        {
            *closing = None;
            *closed = true;
        }
        if function.is_none() && *closed {
            this.stage = Stage::Over;
            return Poll::Ready(());
        }
        Poll::Pending
    }
}

/// Calls the function. A panic in the call itself closes the connection like one in its future.
fn begin<R, H, F>(inner: Box<Inner<R>>, handler: &H) -> Stage<R, H, F>
where
    R: Runtime,
    H: Fn(Connection<R>) -> F,
{
    let home = Home::new();
    let connection = Connection::served(inner, home.clone());
    let function = catch_unwind(AssertUnwindSafe(|| handler(connection)))
        .inspect_err(|payload| trace::panicked(&**payload))
        .ok()
        .map(Box::pin);
    Stage::Running { function, home, closing: None, closed: false }
}

impl<R: Runtime> Inner<R> {
    /// Ready when the stream may be used.
    fn poll_handshake(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let stream: &mut Stream<R> = self.pump.transport_mut();
        match stream {
            MaybeTls::Plain(_) => {
                let _ = cx;
                Poll::Ready(Ok(()))
            }
            #[cfg(feature = "tls")]
            MaybeTls::Tls(stream) => stream.poll_handshake(cx),
        }
    }
}

impl<R: Runtime, H, F> fmt::Debug for Serving<R, H, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Serving").finish_non_exhaustive()
    }
}
