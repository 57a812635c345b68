//! Conversations, as those hold them who speak in them.

use std::fmt;
use std::future::Future;
use std::net::SocketAddr;
use std::ops::Deref;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use glowplug_udp::{ConversationId, Totals, Tracker};

use super::machine::Machine;
use super::state::Shared;
use super::{Closed, SendError};
use crate::server::Stopping;

/// The conversation that the running task belongs to: inside a [served](super::serve) function the one it serves, inside a
/// [scope](Child::scope) that of the scope. `None` elsewhere, and so in a task that such a function spawns, unless it is wrapped:
///
/// ```no_run
/// # use glowplug_runtime::udp::conversation;
/// # fn spawn<F>(_: F) {}
/// # async fn example() {
/// let child = conversation::current().expect("this function is served");
/// spawn(child.scope(async {
///     let peer = conversation::current().expect("this task is wrapped").peer();
/// }));
/// # }
/// ```
pub fn current() -> Option<Child> {
    current_of()
}

/// [`current`] for either kind of conversation.
pub(super) fn current_of<M: Machine>() -> Option<Child<M>> {
    M::with_current(|current| current.borrow().clone()).flatten()
}

/// Makes `child` the current one until the guard is dropped, unwinding included. Meanwhile the one before is in its place.
pub(super) fn enter<M: Machine>(child: &mut Option<Child<M>>) -> Entered<'_, M> {
    swap(child);
    Entered(child)
}

pub(super) struct Entered<'a, M: Machine>(&'a mut Option<Child<M>>);

impl<M: Machine> Drop for Entered<'_, M> {
    fn drop(&mut self) {
        swap(self.0);
    }
}

fn swap<M: Machine>(child: &mut Option<Child<M>>) {
    // A thread that is being torn down has no current conversation.
    M::with_current(|current| std::mem::swap(&mut *current.borrow_mut(), child));
}

/// A conversation, owned: it ends when this is dropped. What was sent still goes out.
///
/// Everything that can be done in a conversation, a [`Child`] can do; this derefs to one.
pub struct Conversation<M: Machine = Tracker> {
    handle: Child<M>,
}

/// A handle to a conversation that somebody else owns. Clone it, drop it: the conversation does not mind. When the owner has
/// ended, so has the conversation for every child.
pub struct Child<M: Machine = Tracker> {
    shared: Arc<Shared<M>>,
    id: ConversationId,
    peer: SocketAddr,
}

impl<M: Machine> Conversation<M> {
    /// The owner of `id`, which was counted as a handle.
    pub(super) fn new(shared: Arc<Shared<M>>, id: ConversationId, peer: SocketAddr) -> Self {
        Self { handle: Child { shared, id, peer } }
    }

    /// Ends the conversation, as dropping it does, and says what it came to. What was sent still goes out.
    pub fn close(self) -> Totals {
        self.totals()
    }
}

impl<M: Machine> Deref for Conversation<M> {
    type Target = Child<M>;

    fn deref(&self) -> &Child<M> {
        &self.handle
    }
}

impl<M: Machine> Drop for Conversation<M> {
    fn drop(&mut self) {
        self.handle.end();
    }
}

impl<M: Machine> fmt::Debug for Conversation<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Conversation").field("peer", &self.peer()).finish_non_exhaustive()
    }
}

impl<M: Machine> Child<M> {
    pub(super) fn shared(&self) -> &Arc<Shared<M>> {
        &self.shared
    }

    pub(super) fn id(&self) -> ConversationId {
        self.id
    }

    /// Ends the conversation for everybody.
    pub(super) fn end(&self) {
        self.shared.end(self.id);
    }

    /// Another handle that does not own the conversation, for a task beside this one.
    pub fn child(&self) -> Self {
        self.clone()
    }

    /// Where the peer is; after the end, where it was when the conversation began. Conversations that are told by
    /// [an id](glowplug_udp::Config::identify) may move.
    pub fn peer(&self) -> SocketAddr {
        self.shared.lock().machine().tracker().path(self.id).map_or(self.peer, |path| path.remote)
    }

    /// The address that the socket is bound to.
    pub fn local_addr(&self) -> SocketAddr {
        self.shared.local
    }

    /// The peer's next datagram, in the order of their arrival; an empty one is data like any other. After the end, first
    /// what came before it.
    ///
    /// Waits until the conversation is over; see [`Config::idle_timeout`](glowplug_udp::Config::idle_timeout). Several may wait: each
    /// datagram goes to one of them. Dropping the future loses nothing.
    pub fn recv(&self) -> Recv<'_, M> {
        Recv { conversation: self, ticket: None }
    }

    /// The next datagram that is there already; `Ok(None)` when there is none now.
    pub fn try_recv(&self) -> Result<Option<BytesMut>, Closed> {
        self.shared.try_recv(self.id)
    }

    /// Sends one datagram to the peer. It is on its way when this is ready, and may get lost like any other.
    ///
    /// Waits while there is no room ([`Config::max_output`](glowplug_udp::Config::max_output) and its like), and no longer than the
    /// conversation lives. Dropping the future before it is ready sends nothing.
    pub fn send(&self, payload: impl Into<Bytes>) -> Send<'_, M> {
        Send { conversation: self, payload: Some(payload.into()), ticket: None }
    }

    /// Sends one datagram to the peer, if there is room now.
    pub fn try_send(&self, payload: impl Into<Bytes>) -> Result<(), SendError> {
        self.shared.send(self.id, payload.into())
    }

    /// Waits until the conversation is over, and says why. What came before may still be read by its owner.
    ///
    /// Dropping the future changes nothing.
    pub async fn closed(&self) -> Closed {
        let mut watch = Watch::new(self);
        std::future::poll_fn(|cx| match watch.poll_closed(cx) {
            Some(closed) => Poll::Ready(closed),
            None => Poll::Pending,
        })
        .await
    }

    /// True once the conversation is over.
    pub fn is_closed(&self) -> bool {
        self.shared.lock().closed(self.id).is_some()
    }

    /// What went through the conversation so far. Nothing, once it is forgotten.
    pub fn totals(&self) -> Totals {
        self.shared.lock().totals(self.id).unwrap_or_default()
    }

    /// Runs `future` as a part of this conversation: while it is polled, the conversation is the [`current`] one; when the
    /// conversation's owner has ended, it is dropped where it is, and the result is `None`. Spawn that for a child task.
    ///
    /// A future that was never polled by then never is.
    pub fn scope<F: Future>(&self, future: F) -> Scoped<F, M> {
        Scoped { future: Some(Box::pin(future)), watch: Watch::new(self), current: Some(self.clone()) }
    }

    /// For a conversation that is [served](super::Listener::serve): resolves when the server wants to stop. Finish what was begun,
    /// then return. Elsewhere it never does.
    pub fn stopping(&self) -> Stopping {
        Stopping::new(self.shared.service.clone())
    }
}

impl Child {
    /// The peer has shown that it gets what is sent to its address: no limit on answers any more. See
    /// [`Config::amplification`](glowplug_udp::Config::amplification).
    pub fn prove(&self) {
        self.shared.act(|state, _| state.machine_mut().prove(self.id));
    }

    /// Gives this conversation an idle time-out of its own, in whole seconds from 1 s to 18 h (others become the nearest); `None` is
    /// the configured one.
    pub fn set_idle_timeout(&self, idle: Option<Duration>) {
        self.shared.act(|state, _| state.machine_mut().set_idle_timeout(self.id, idle));
    }
}

// By hand, because the machine is shared and need not be cloned itself.
impl<M: Machine> Clone for Child<M> {
    fn clone(&self) -> Self {
        Self { shared: self.shared.clone(), id: self.id, peer: self.peer }
    }
}

impl<M: Machine> fmt::Debug for Child<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Child").field("peer", &self.peer()).finish_non_exhaustive()
    }
}

/// The future of [`Child::recv`].
#[must_use = "nothing is received until the future is polled"]
pub struct Recv<'c, M: Machine = Tracker> {
    conversation: &'c Child<M>,
    ticket: Option<u64>,
}

impl<M: Machine> Future for Recv<'_, M> {
    type Output = Result<BytesMut, Closed>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Child { shared, id, .. } = self.conversation;
        shared.poll_recv(cx, *id, &mut self.ticket)
    }
}

impl<M: Machine> Drop for Recv<'_, M> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket {
            let Child { shared, id, .. } = self.conversation;
            shared.lock().forget_reader(*id, ticket);
        }
    }
}

impl<M: Machine> fmt::Debug for Recv<'_, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recv").finish_non_exhaustive()
    }
}

/// The future of [`Child::send`].
#[must_use = "nothing is sent until the future is polled"]
pub struct Send<'c, M: Machine = Tracker> {
    conversation: &'c Child<M>,
    payload: Option<Bytes>,
    ticket: Option<u64>,
}

impl<M: Machine> Future for Send<'_, M> {
    type Output = Result<(), SendError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        // Polled again after it was ready, it waits for ever.
        let Some(payload) = this.payload.take() else { return Poll::Pending };
        let Child { shared, id, .. } = this.conversation;
        match shared.poll_send(cx, *id, payload, &mut this.ticket) {
            Err(SendError::Full(payload)) => {
                this.payload = Some(payload);
                Poll::Pending
            }
            done => {
                this.ticket = None;
                Poll::Ready(done)
            }
        }
    }
}

impl<M: Machine> Drop for Send<'_, M> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket {
            let task = self.conversation.shared.lock().forget_sender(ticket);
            if let Some(task) = task {
                task.wake();
            }
        }
    }
}

impl<M: Machine> fmt::Debug for Send<'_, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Send").finish_non_exhaustive()
    }
}

/// Somebody who has to hear of a conversation's end.
struct Watch<M: Machine> {
    shared: Arc<Shared<M>>,
    id: ConversationId,
    ticket: Option<u64>,
    /// The waker that is registered; a task that stays where it is registers once.
    registered: Option<Waker>,
}

impl<M: Machine> Watch<M> {
    fn new(child: &Child<M>) -> Self {
        Self { shared: child.shared.clone(), id: child.id, ticket: None, registered: None }
    }

    /// Why the conversation is over.
    fn poll_closed(&mut self, cx: &Context<'_>) -> Option<Closed> {
        let shared = self.shared.clone();
        let mut state = shared.lock();
        let closed = state.closed(self.id);
        if closed.is_none() {
            self.register(&mut state, cx);
        }
        closed
    }

    /// Whether the conversation has lost its owner.
    fn poll_orphaned(&mut self, cx: &Context<'_>) -> bool {
        let shared = self.shared.clone();
        let mut state = shared.lock();
        let orphaned = !state.is_owned(self.id);
        if !orphaned {
            self.register(&mut state, cx);
        }
        orphaned
    }

    fn register(&mut self, state: &mut super::state::State<M>, cx: &Context<'_>) {
        if !self.registered.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            state.watch(self.id, &mut self.ticket, cx.waker());
            self.registered = Some(cx.waker().clone());
        }
    }
}

impl<M: Machine> Drop for Watch<M> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket {
            self.shared.lock().forget_watcher(self.id, ticket);
        }
    }
}

/// The future of [`Child::scope`].
#[must_use = "futures do nothing unless polled"]
pub struct Scoped<F, M: Machine = Tracker> {
    // Boxed, so that it can be dropped in place when the conversation's owner ends.
    future: Option<Pin<Box<F>>>,
    watch: Watch<M>,
    current: Option<Child<M>>,
}

// The future is pinned in its box; nothing else is.
impl<F, M: Machine> Unpin for Scoped<F, M> {}

impl<F: Future, M: Machine> Future for Scoped<F, M> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        if this.watch.poll_orphaned(cx) {
            this.future = None;
        }
        let Some(future) = &mut this.future else { return Poll::Ready(None) };
        let polled = {
            let _entered = enter(&mut this.current);
            future.as_mut().poll(cx)
        };
        if polled.is_ready() {
            this.future = None;
        }
        polled.map(Some)
    }
}

impl<F, M: Machine> fmt::Debug for Scoped<F, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scoped").finish_non_exhaustive()
    }
}
