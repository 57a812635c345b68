//! A socket of conversations: where they begin.

use std::fmt;
use std::future::Future;
use std::io;
use std::marker::PhantomData;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use glowplug_udp::reliable::{ChannelConfig, Conversations};
use glowplug_udp::{Accept, Config, ConnectError, Counters, Tracker};

use super::machine::Machine;
use super::state::Shared;
use super::{Closed, Conversation, Drive};
use crate::datagram::DatagramSocket;
use crate::{Runtime, Spawn};

/// How long a stopped server waits for its conversations.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(30);

/// Begins a conversation with `peer` on a socket of its own: a client. What comes from anywhere else is refused.
///
/// Nothing is sent by that, so it succeeds also when nobody is there. The socket is closed when the conversation is dropped and what it
/// sent is out. Dropping the future leaves nothing behind.
pub async fn connect<R>(runtime: R, peer: SocketAddr) -> io::Result<Conversation>
where
    R: Runtime + Spawn<Drive<R>>,
{
    Builder::new(runtime).connect(peer).await
}

/// How a socket of conversations behaves.
pub struct Builder<R: Runtime, M: Machine = Tracker> {
    runtime: R,
    tracker: Config,
    channel: ChannelConfig,
    drain_timeout: Duration,
    machine: PhantomData<fn() -> M>,
}

impl<R: Runtime> Builder<R> {
    /// The defaults: a server that anybody may talk to, within the limits that [`Config`] names.
    pub fn new(runtime: R) -> Self {
        Self {
            runtime,
            tracker: Config::default(),
            channel: ChannelConfig::default(),
            drain_timeout: DRAIN_TIMEOUT,
            machine: PhantomData,
        }
    }

    /// Makes the conversations reliable: messages arrive once, and in order. Both ends have to.
    pub fn reliable(self, channel: ChannelConfig) -> Builder<R, Conversations> {
        let Self { runtime, tracker, drain_timeout, .. } = self;
        Builder { runtime, tracker, channel, drain_timeout, machine: PhantomData }
    }
}

impl<R: Runtime, M: Machine> Builder<R, M> {
    /// Sets the rules: who may begin a conversation, how many there may be, how much waits, how long a peer may be silent. Its
    /// delivery is to queues, whatever it says.
    pub fn tracker(mut self, config: Config) -> Self {
        self.tracker = config;
        self
    }

    /// Sets how long a [stopped server](Listener::serve) waits for its conversations before it cancels them. Default 30 s.
    pub fn drain_timeout(mut self, timeout: Duration) -> Self {
        self.drain_timeout = timeout;
        self
    }
}

impl<R: Runtime + Spawn<Drive<R, M>>, M: Machine> Builder<R, M> {
    /// Binds a socket. Dropping the future leaves nothing behind.
    pub async fn bind(self, local: SocketAddr) -> io::Result<Listener<R, M>> {
        let socket = self.runtime.bind(local).await?;
        self.on(socket)
    }

    /// The same on a socket that is there already.
    pub fn on(self, socket: R::Datagram) -> io::Result<Listener<R, M>> {
        self.start(socket)
    }

    /// Begins a conversation with `peer` on a socket of its own, as the function [`connect`] does.
    pub async fn connect(mut self, peer: SocketAddr) -> io::Result<Conversation<M>> {
        self.tracker = self.tracker.accept(Accept::Nobody);
        let anywhere: SocketAddr = match peer {
            SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
            SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
        };
        let socket = self.runtime.bind(anywhere).await?;
        self.start(socket)?.connect(peer).map_err(io::Error::other)
    }

    fn start(self, socket: R::Datagram) -> io::Result<Listener<R, M>> {
        let Self { runtime, tracker, channel, drain_timeout, .. } = self;
        let machine = M::create(tracker, channel, &runtime.seed());
        let shared = Arc::new(Shared::new(machine, socket.local_addr()?));
        runtime.spawn(Drive::new(shared.clone(), runtime.clone(), socket));
        Ok(Listener { shared, runtime, drain_timeout })
    }
}

impl<R: Runtime, M: Machine> fmt::Debug for Builder<R, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder").field("tracker", &self.tracker).finish_non_exhaustive()
    }
}

/// A bound socket, on which conversations begin.
///
/// When it is dropped, new peers are refused; conversations that were taken go on, and the socket is closed with the last of
/// them.
pub struct Listener<R: Runtime, M: Machine = Tracker> {
    pub(super) shared: Arc<Shared<M>>,
    pub(super) runtime: R,
    pub(super) drain_timeout: Duration,
}

impl<R: Runtime + Spawn<Drive<R>>> Listener<R> {
    /// Binds a socket, with the default rules. [`Builder`] has others.
    ///
    /// Dropping the future leaves nothing behind.
    pub async fn bind(runtime: R, local: SocketAddr) -> io::Result<Self> {
        Builder::new(runtime).bind(local).await
    }
}

impl<R: Runtime, M: Machine> Listener<R, M> {
    /// The next conversation that a peer began. Its first datagram is there to be read.
    ///
    /// Those that nobody takes wait, and so does what their peers send, within the [rules](Builder::tracker); one that has ended
    /// before it was taken is left out. An error is the end of the socket. Dropping the future loses nothing.
    pub fn accept(&self) -> Accepting<'_, R, M> {
        Accepting { listener: self, ticket: None }
    }

    /// Begins a conversation with `peer` on this socket, next to those that peers begin. Nothing is sent by that.
    ///
    /// Once it has ended, what its peer still sends is thrown away for a while
    /// ([`Config::linger_connected`]): it opens no conversation of its own.
    pub fn connect(&self, peer: SocketAddr) -> Result<Conversation<M>, ConnectError> {
        let now = self.runtime.now();
        let id = self.shared.act(|state, _| state.connect(now, peer))?;
        Ok(Conversation::new(self.shared.clone(), id, peer))
    }

    /// The address the socket is bound to; for port 0 the port that the system picked.
    pub fn local_addr(&self) -> SocketAddr {
        self.shared.local
    }

    /// Conversations that are open, taken or not.
    pub fn len(&self) -> usize {
        self.shared.lock().machine().tracker().len()
    }

    /// True when no conversation is open.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What went through the socket, and what did not.
    pub fn counters(&self) -> Counters {
        *self.shared.lock().machine().tracker().counters()
    }

    /// Bytes that wait to be read, in all conversations together.
    pub fn buffered(&self) -> usize {
        self.shared.lock().machine().buffered_bytes()
    }

    fn take(&self, id: glowplug_udp::ConversationId) -> Conversation<M> {
        let path = self.shared.lock().machine().tracker().path(id);
        // It was counted as a handle a moment ago, so the machine still knows it.
        let peer = path.map_or(self.shared.local, |path| path.remote);
        Conversation::new(self.shared.clone(), id, peer)
    }
}

impl<R: Runtime, M: Machine> Drop for Listener<R, M> {
    fn drop(&mut self) {
        self.shared.act(|state, wakers| {
            state.stop_accepting(wakers);
            state.drop_handle();
        });
    }
}

impl<R: Runtime, M: Machine> fmt::Debug for Listener<R, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener")
            .field("local", &self.shared.local)
            .field("conversations", &self.len())
            .finish_non_exhaustive()
    }
}

/// The future of [`Listener::accept`].
#[must_use = "nobody is accepted until the future is polled"]
pub struct Accepting<'l, R: Runtime, M: Machine = Tracker> {
    listener: &'l Listener<R, M>,
    ticket: Option<u64>,
}

impl<R: Runtime, M: Machine> Future for Accepting<'_, R, M> {
    type Output = io::Result<Conversation<M>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let listener = self.listener;
        let polled = listener.shared.lock().poll_accept(cx, &mut self.ticket);
        match polled {
            Poll::Ready(Ok(id)) => Poll::Ready(Ok(listener.take(id))),
            Poll::Ready(Err(Closed::Socket(error))) => Poll::Ready(Err(io::Error::new(error.kind(), error))),
            Poll::Ready(Err(closed)) => Poll::Ready(Err(closed.into())),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl<R: Runtime, M: Machine> Drop for Accepting<'_, R, M> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket {
            let mut wakers = Vec::new();
            self.listener.shared.lock().forget_acceptor(ticket, &mut wakers);
            wakers.into_iter().for_each(Waker::wake);
        }
    }
}

impl<R: Runtime, M: Machine> fmt::Debug for Accepting<'_, R, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Accepting").finish_non_exhaustive()
    }
}
