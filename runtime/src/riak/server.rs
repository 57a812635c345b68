//! The embedded node, served.

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, SystemTime};

use bytes::BytesMut;
use glowplug_core::SendBuf;
use glowplug_riak::ServerConfig;
use glowplug_riak::memory::{Connection, Event, Handle};

use crate::drive::{Exclusive, Parts};
use crate::server::{Accepted, Guarded, Server, Stopping};
use crate::{MaybeTls, Runtime, Spawn, Transport};

/// One connection of the embedded node, as the task that [`serve_memory`] spawns.
pub type Serving<R> = Guarded<ServeNode<R>>;

/// Serves an in-memory Riak node until the server is stopped: a test double that needs no install.
///
/// The node outlives the server; serve it again, or by several servers at once, which then are nodes of one cluster that always agree.
/// What the node does not do is listed in [`memory`](glowplug_riak::memory). Dropping the future closes the listener; connections run
/// on.
pub async fn serve_memory<R: Runtime + Spawn<Serving<R>>>(runtime: R, server: Server<R>, node: Handle) {
    serve(runtime, server, node, ServerConfig::new(), TlsChoice::default()).await;
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
    serve(runtime, server, node, config, Some(tls)).await;
}

async fn serve<R: Runtime + Spawn<Serving<R>>>(
    runtime: R,
    server: Server<R>,
    node: Handle,
    config: ServerConfig,
    tls: TlsChoice,
) {
    server
        .run(|accepted: Accepted<R::Stream>| {
            let since_1970 = runtime.wall_clock().duration_since(SystemTime::UNIX_EPOCH);
            let wall_clock = since_1970.unwrap_or(Duration::ZERO);
            let machine = Connection::new(runtime.now(), wall_clock, config.clone(), &node);
            let driver = Exclusive::new(runtime.clone(), MaybeTls::Plain(accepted.stream), machine);
            ServeNode {
                state: State::Driving(Box::new(driver)),
                stopping: Some(accepted.stopping),
                runtime: runtime.clone(),
                tls: tls.clone(),
            }
        })
        .await;
}

/// How TLS is spoken, if it is.
#[cfg(feature = "tls")]
type TlsChoice = Option<crate::tls::ServerConfig>;
/// No TLS in this build.
#[cfg(not(feature = "tls"))]
type TlsChoice = ();

/// Drives one connection to the embedded node to its end, through StartTls where that is asked for.
#[must_use = "a connection moves only while it is polled"]
pub struct ServeNode<R: Runtime> {
    state: State<R>,
    stopping: Option<Stopping>,
    runtime: R,
    tls: TlsChoice,
}

/// A transport that is under TLS or not.
type Stream<R> = MaybeTls<<R as Runtime>::Stream>;

enum State<R: Runtime> {
    Driving(Box<Exclusive<Connection, Stream<R>, R>>),
    /// The agreement on TLS is still to be sent in plain.
    Agreeing(Box<Upgrade<R>>),
    /// The handshake is under way.
    #[cfg(feature = "tls")]
    Handshake(Box<Upgrade<R>>),
    Over,
}

/// A connection that was taken apart to put TLS in.
struct Upgrade<R: Runtime> {
    machine: Connection,
    transport: Stream<R>,
    input: BytesMut,
    output: SendBuf,
}

impl<R: Runtime> ServeNode<R> {
    fn poll_state(&mut self, cx: &mut Context<'_>) -> Poll<State<R>> {
        match &mut self.state {
            State::Driving(driver) => {
                if let Some(stopping) = &mut self.stopping
                    && Pin::new(stopping).poll(cx).is_ready()
                {
                    self.stopping = None;
                    let now = self.runtime.now();
                    glowplug_core::StreamProtocol::close(driver.machine_mut(), now);
                }
                match ready!(driver.poll_event(cx)) {
                    Ok(Some(Event::StartTls)) => Poll::Ready(self.take_apart()),
                    // How a connection ended is nobody's business here.
                    Ok(_) | Err(_) => Poll::Ready(State::Over),
                }
            }
            State::Agreeing(upgrade) => {
                if ready!(upgrade.poll_send(cx)).is_err() {
                    return Poll::Ready(State::Over);
                }
                Poll::Ready(self.begin_handshake())
            }
            #[cfg(feature = "tls")]
            State::Handshake(upgrade) => {
                let MaybeTls::Tls(stream) = &mut upgrade.transport else {
                    return Poll::Ready(State::Over);
                };
                match ready!(poll_handshake(stream, cx)) {
                    Ok(()) => Poll::Ready(self.go_on()),
                    Err(_) => Poll::Ready(State::Over),
                }
            }
            State::Over => Poll::Pending,
        }
    }

    fn take_apart(&mut self) -> State<R> {
        let State::Driving(driver) = std::mem::replace(&mut self.state, State::Over) else {
            return State::Over;
        };
        let Parts { mut machine, transport, input, unsent } = driver.into_parts();
        let mut output = SendBuf::new();
        output.push(unsent);
        glowplug_core::StreamProtocol::poll_transmit(&mut machine, self.runtime.now(), &mut output);
        State::Agreeing(Box::new(Upgrade { machine, transport, input, output }))
    }

    #[cfg(feature = "tls")]
    fn begin_handshake(&mut self) -> State<R> {
        let state = std::mem::replace(&mut self.state, State::Over);
        let (State::Agreeing(upgrade), Some(tls)) = (state, &self.tls) else { return State::Over };
        let Upgrade { machine, transport, input, output } = *upgrade;
        let MaybeTls::Plain(stream) = transport else { return State::Over };
        match crate::tls::Tls::server(stream, tls) {
            Ok(stream) => {
                let transport = MaybeTls::Tls(Box::new(stream));
                State::Handshake(Box::new(Upgrade { machine, transport, input, output }))
            }
            Err(_) => State::Over,
        }
    }

    #[cfg(not(feature = "tls"))]
    #[expect(clippy::unused_self, reason = "the same signature as with TLS")]
    fn begin_handshake(&mut self) -> State<R> {
        State::Over
    }

    #[cfg(feature = "tls")]
    fn go_on(&mut self) -> State<R> {
        let State::Handshake(upgrade) = std::mem::replace(&mut self.state, State::Over) else {
            return State::Over;
        };
        let Upgrade { mut machine, transport, input, .. } = *upgrade;
        machine.tls_established(self.runtime.now());
        let driver = Exclusive::with_input(self.runtime.clone(), transport, machine, input);
        State::Driving(Box::new(driver))
    }
}

impl<R: Runtime> Upgrade<R> {
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.output.is_empty() {
            ready!(self.transport.poll_write(cx, &mut self.output))?;
        }
        self.transport.poll_flush(cx)
    }
}

/// The handshake goes on where it was, so its future need not live from poll to poll.
#[cfg(feature = "tls")]
fn poll_handshake<T: Transport>(
    stream: &mut crate::tls::Tls<T>,
    cx: &mut Context<'_>,
) -> Poll<io::Result<()>> {
    std::pin::pin!(stream.handshake()).poll(cx)
}

// Nothing in it is pinned.
impl<R: Runtime> Unpin for ServeNode<R> {}

impl<R: Runtime> Future for ServeNode<R> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let next = ready!(self.poll_state(cx));
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
