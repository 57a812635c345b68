//! A socket that is on its way out of the HTTP server.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use glowplug_websocket::{Agreed, Config, Connection, Role};
use pin_project_lite::pin_project;

use super::link::Link;
use super::{ServerSocket, WebSocket};
use crate::Runtime;
use crate::http::server::{OnUpgrade, UpgradeError};

/// The socket of a request that was granted, as soon as the answer is out. Returned by [`Acceptor::upgrade`](super::Acceptor::upgrade).
///
/// Dropping it closes the connection behind the answer.
#[must_use = "the connection is closed when nobody takes the socket"]
pub struct Upgrading<R> {
    on_upgrade: OnUpgrade,
    runtime: R,
    config: Config,
    agreed: Agreed,
    write_timeout: Option<Duration>,
}

impl<R> Upgrading<R> {
    pub(super) fn new(
        on_upgrade: OnUpgrade,
        runtime: R,
        config: Config,
        agreed: Agreed,
        write_timeout: Option<Duration>,
    ) -> Self {
        Self { on_upgrade, runtime, config, agreed, write_timeout }
    }
}

impl<R: Runtime> Future for Upgrading<R> {
    type Output = Result<ServerSocket<R>, UpgradeError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let upgraded = ready!(Pin::new(&mut this.on_upgrade).poll(cx))?;
        let machine = Connection::new(this.runtime.now(), Role::Server, this.config.clone(), &this.agreed);
        let link = Link::new(
            this.runtime.clone(),
            upgraded.transport,
            machine,
            upgraded.input,
            Bytes::new(),
            this.write_timeout,
        );
        Poll::Ready(Ok(WebSocket::new(link, this.agreed.protocol.clone())))
    }
}

impl<R> fmt::Debug for Upgrading<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upgrading").field("agreed", &self.agreed).finish_non_exhaustive()
    }
}

pin_project! {
    /// The task of a socket: what [`Acceptor::serve`](super::Acceptor::serve) spawns. State it as `R: Spawn<Talking<R, H, F>>`.
    #[must_use = "nobody talks until the future is polled"]
    pub struct Talking<R, H, F> {
        upgrading: Option<(Upgrading<R>, H)>,
        #[pin]
        talk: Option<F>,
    }
}

impl<R, H, F> Talking<R, H, F> {
    pub(super) fn new(upgrading: Upgrading<R>, talk: H) -> Self {
        Self { upgrading: Some((upgrading, talk)), talk: None }
    }
}

impl<R, H, F> Future for Talking<R, H, F>
where
    R: Runtime,
    H: FnOnce(ServerSocket<R>) -> F,
    F: Future<Output = ()>,
{
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        if let Some((upgrading, _)) = this.upgrading {
            let upgraded = ready!(Pin::new(upgrading).poll(cx));
            let talk = this.upgrading.take().map(|(_, talk)| talk);
            let (Ok(socket), Some(talk)) = (upgraded, talk) else { return Poll::Ready(()) };
            this.talk.set(Some(talk(socket)));
        }
        match this.talk.as_mut().as_pin_mut() {
            Some(talk) => talk.poll(cx),
            None => Poll::Ready(()),
        }
    }
}

impl<R, H, F> fmt::Debug for Talking<R, H, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Talking").finish_non_exhaustive()
    }
}
