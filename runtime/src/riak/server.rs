//! The embedded node, served.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, SystemTime};

use glowplug_core::StreamProtocol as _;
use glowplug_riak::ServerConfig;
use glowplug_riak::memory::{Connection, Event, Handle};

use crate::drive::Exclusive;
use crate::server::{Accepted, Guarded, Server, Stopping};
use crate::{MaybeTls, Runtime, Spawn};

/// One connection of the embedded node, as the task that [`serve_memory`] spawns.
pub type Serving<R> = Guarded<ServeNode<R>>;

/// One connection, driven.
pub(super) type Driver<R> = Exclusive<Connection, MaybeTls<<R as Runtime>::Stream>, R>;

/// Serves an in-memory Riak node until the server is stopped: a test double that needs no install.
///
/// The node outlives the server; serve it again, or by several servers at once, which then are nodes of one cluster that always agree.
/// What the node does not do is listed in [`memory`](glowplug_riak::memory). Dropping the future closes the listener; connections run
/// on.
pub async fn serve_memory<R: Runtime + Spawn<Serving<R>>>(runtime: R, server: Server<R>, node: Handle) {
    let serve = |accepted| ServeNode::new(&runtime, accepted, &node, &ServerConfig::new());
    server.run(serve).await;
}

/// As [`serve_memory`], with TLS as the configuration of the connections [says](ServerConfig::tls), and their limits.
#[cfg(feature = "tls")]
pub async fn serve_memory_tls<R: Runtime + Spawn<Serving<R>>>(
    runtime: R,
    server: Server<R>,
    node: Handle,
    config: ServerConfig,
    tls: crate::tls::ServerConfig,
) {
    let serve = |accepted| {
        let mut serving = ServeNode::new(&runtime, accepted, &node, &config);
        serving.tls = Some(tls.clone());
        serving
    };
    server.run(serve).await;
}

/// Drives one connection to the embedded node to its end, through StartTls where that is asked for.
#[must_use = "a connection moves only while it is polled"]
pub struct ServeNode<R: Runtime> {
    state: State<R>,
    stopping: Option<Stopping>,
    #[cfg(feature = "tls")]
    tls: Option<crate::tls::ServerConfig>,
}

enum State<R: Runtime> {
    Driving(Box<Driver<R>>),
    #[cfg(feature = "tls")]
    Upgrading(Box<super::upgrade::Upgrade<R>>),
    Over,
}

impl<R: Runtime> ServeNode<R> {
    fn new(runtime: &R, accepted: Accepted<R::Stream>, node: &Handle, config: &ServerConfig) -> Self {
        let since_1970 = runtime.wall_clock().duration_since(SystemTime::UNIX_EPOCH);
        let wall_clock = since_1970.unwrap_or(Duration::ZERO);
        let machine = Connection::new(runtime.now(), wall_clock, config.clone(), node);
        let driver = Exclusive::new(runtime.clone(), MaybeTls::Plain(accepted.stream), machine);
        Self {
            state: State::Driving(Box::new(driver)),
            stopping: Some(accepted.stopping),
            #[cfg(feature = "tls")]
            tls: None,
        }
    }

    /// The state after this one.
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<State<R>> {
        match &mut self.state {
            State::Driving(driver) => {
                if let Some(stopping) = &mut self.stopping
                    && Pin::new(stopping).poll(cx).is_ready()
                {
                    self.stopping = None;
                    let now = driver.runtime().now();
                    driver.machine_mut().close(now);
                }
                match ready!(driver.poll_event(cx)) {
                    Ok(Some(Event::StartTls)) => Poll::Ready(self.start_tls()),
                    // How a connection ended is nobody's business here.
                    Ok(_) | Err(_) => Poll::Ready(State::Over),
                }
            }
            #[cfg(feature = "tls")]
            State::Upgrading(upgrade) => {
                let done = ready!(upgrade.poll(cx)).is_ok();
                let State::Upgrading(upgrade) = std::mem::replace(&mut self.state, State::Over) else {
                    return Poll::Ready(State::Over);
                };
                let driver = if done { upgrade.finish() } else { None };
                Poll::Ready(driver.map_or(State::Over, |driver| State::Driving(Box::new(driver))))
            }
            State::Over => Poll::Ready(State::Over),
        }
    }

    #[cfg(feature = "tls")]
    fn start_tls(&mut self) -> State<R> {
        let state = std::mem::replace(&mut self.state, State::Over);
        let (State::Driving(driver), Some(tls)) = (state, self.tls.clone()) else { return State::Over };
        let upgrade = super::upgrade::Upgrade::new(*driver, tls);
        upgrade.map_or(State::Over, |upgrade| State::Upgrading(Box::new(upgrade)))
    }

    #[cfg(not(feature = "tls"))]
    #[expect(clippy::unused_self, reason = "the same signature as with TLS")]
    fn start_tls(&mut self) -> State<R> {
        State::Over
    }
}

// Nothing in it is pinned.
impl<R: Runtime> Unpin for ServeNode<R> {}

impl<R: Runtime> Future for ServeNode<R> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let next = ready!(self.poll_next(cx));
            if matches!(next, State::Over) {
                return Poll::Ready(());
            }
            self.state = next;
        }
    }
}

impl<R: Runtime> fmt::Debug for ServeNode<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServeNode").finish_non_exhaustive()
    }
}
