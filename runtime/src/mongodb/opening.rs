//! A connection on its way: the socket, TLS, the handshake.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use glowplug_mongodb::pool::Generation;
use glowplug_mongodb::{Host, uri};

use super::ConnectError;
use super::connection::{Connection, Greeting};
use super::shared::Shared;
use crate::Runtime;
use crate::dial::Dialing;

/// A connection on its way, and the right to make it, which goes back to the pool with it.
///
/// A named type and no `async fn`, because the janitor's task holds one.
pub(super) struct Opening<R: Runtime> {
    shared: Arc<Shared<R>>,
    generation: Generation,
    host: Host,
    stage: Stage<R>,
    /// The pool knows how it went.
    told: bool,
}

#[expect(clippy::large_enum_variant, reason = "a connection is made rarely, and in place")]
enum Stage<R: Runtime> {
    Dialing(Box<Dialing<R>>),
    Greeting(Greeting<R>),
}

impl<R: Runtime> Opening<R> {
    /// Uses the right to make one connection of this generation.
    pub(super) fn new(shared: &Arc<Shared<R>>, generation: Generation) -> Box<Self> {
        let host = shared.select();
        let dialing = match &host {
            Host::Unix(path) => shared.dialer.endpoint(&super::unix(path)),
            Host::Tcp { host, port } => {
                let port = port.unwrap_or(uri::DEFAULT_PORT);
                let dialer = &shared.dialer;
                if shared.settings.tls { dialer.tls(host, port) } else { dialer.tcp(host, port) }
            }
        };
        let stage = Stage::Dialing(Box::new(dialing));
        Box::new(Self { shared: shared.clone(), generation, host, stage, told: false })
    }

    /// Ready once; not to be polled after that. The connection counts as one in use.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Box<Connection<R>>, ConnectError>> {
        let opened = ready!(self.poll_stages(cx));
        let opened = match opened {
            Ok(connection) => self.shared.introduce(&self.host, &connection).map(|()| connection),
            Err(error) => {
                self.shared.failed_to_connect(&self.host, self.generation);
                Err(error)
            }
        };
        if opened.is_ok() {
            self.told = true;
            self.shared.with(|state| state.pool.connected());
        }
        Poll::Ready(opened)
    }

    fn poll_stages(&mut self, cx: &mut Context<'_>) -> Poll<Result<Box<Connection<R>>, ConnectError>> {
        loop {
            match &mut self.stage {
                Stage::Dialing(dialing) => {
                    let stream = ready!(Pin::new(dialing).poll(cx)).map_err(ConnectError::Dial)?;
                    let (runtime, config) = (self.shared.runtime.clone(), self.shared.machine_config());
                    self.stage = Stage::Greeting(Greeting::new(runtime, stream, config, self.generation));
                }
                Stage::Greeting(greeting) => return greeting.poll(cx).map_err(ConnectError::Handshake),
            }
        }
    }
}

// Nothing in it is pinned.
impl<R: Runtime> Unpin for Opening<R> {}

impl<R: Runtime> Drop for Opening<R> {
    fn drop(&mut self) {
        if !self.told {
            self.shared.with(|state| state.pool.connect_failed());
        }
    }
}

impl<R: Runtime> fmt::Debug for Opening<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opening").field("host", &self.host).finish_non_exhaustive()
    }
}
