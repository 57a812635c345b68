//! One task for each conversation.

use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use glowplug_udp::Tracker;

use super::conversation::enter;
use super::machine::Machine;
use super::{Child, Conversation, Drive, Listener};
use crate::server::{Guarded, Stopper, Stopping, drain};
use crate::time::within;
use crate::trace::Span;
use crate::{Runtime, Spawn};

/// Binds a socket and serves each conversation that a peer begins, for ever: [`Listener::serve`] with the default rules.
pub async fn serve<R, H, F>(runtime: R, local: SocketAddr, handler: H) -> io::Result<()>
where
    R: Runtime + Spawn<Drive<R>> + Spawn<Guarded<Served<F>>>,
    H: FnMut(Conversation) -> F,
    F: Future<Output = ()>,
{
    Listener::bind(runtime, local).await?.serve(handler).await
}

impl<R: Runtime, M: Machine> Listener<R, M> {
    /// What stops [`serve`](Self::serve). Its "connections" are the conversations that are being served.
    pub fn stopper(&self) -> Stopper {
        Stopper { shared: self.shared.service.clone() }
    }

    /// Serves until [`Stopper::stop`]: for each conversation, `handler`'s future runs in a task of its own. The conversation ends
    /// when that does: when it returns, panics or is cancelled, and also if it gave the [`Conversation`] away. The peer's next datagram then
    /// begins another one.
    ///
    /// Stopping, it refuses new peers and gives conversations the [configured time](super::Builder::drain_timeout) to end (they
    /// hear of it by [`Child::stopping`]) before they are cancelled. It is ready when what they sent is out. An error is the end of the
    /// socket.
    ///
    /// Dropping the future refuses new peers; conversations run on.
    pub async fn serve<H, F>(self, mut handler: H) -> io::Result<()>
    where
        R: Spawn<Guarded<Served<F, M>>>,
        H: FnMut(Conversation<M>) -> F,
        F: Future<Output = ()>,
    {
        let service = self.shared.service.clone();
        let mut stopping = pin!(Stopping::new(service.clone()));
        loop {
            let mut accepting = self.accept();
            let next = poll_fn(|cx| match stopping.as_mut().poll(cx) {
                Poll::Ready(()) => Poll::Ready(None),
                Poll::Pending => Pin::new(&mut accepting).poll(cx).map(Some),
            })
            .await;
            let Some(accepted) = next else { break };
            let conversation = accepted?;
            let span = Span::conversation(conversation.peer());
            let child = conversation.child();
            let mut current = Some(child.clone());
            // The handler's own call is as good a place to panic as its future.
            let future = catch_unwind(AssertUnwindSafe(|| {
                let _entered = enter(&mut current);
                handler(conversation)
            }));
            match future {
                Ok(future) => {
                    self.runtime.spawn(Guarded::new(service.clone(), Served::new(child, future), span));
                }
                Err(_) => child.end(),
            }
        }
        self.shared.act(super::state::State::stop_accepting);
        drain(&self.runtime, &service, self.drain_timeout).await;
        let (shared, runtime, timeout) = (self.shared.clone(), self.runtime.clone(), self.drain_timeout);
        // The last handle, unless somebody connected on this socket too: its task sends what is left, and ends.
        drop(self);
        let mut ticket = None;
        let flushed = poll_fn(|cx| shared.lock().poll_accept(cx, &mut ticket).map(drop));
        // A reliable conversation may wait long for a peer that has gone.
        let _ = within(&runtime, Some(timeout), flushed).await;
        Ok(())
    }
}

/// The task of a served conversation, which ends with it. State it as `R: Spawn<Guarded<udp::Served<F>>>`.
#[must_use = "a conversation is served only while its task is polled"]
pub struct Served<F, M: Machine = Tracker> {
    // Declared first: what the function holds is dropped before the conversation ends for everybody else.
    future: Pin<Box<F>>,
    conversation: Ending<M>,
    current: Option<Child<M>>,
}

/// Ends a conversation when it is dropped.
struct Ending<M: Machine>(Child<M>);

impl<M: Machine> Drop for Ending<M> {
    fn drop(&mut self) {
        self.0.end();
    }
}

impl<F, M: Machine> Served<F, M> {
    fn new(child: Child<M>, future: F) -> Self {
        Self { future: Box::pin(future), current: Some(child.clone()), conversation: Ending(child) }
    }
}

// The future is pinned in its box; nothing else is.
impl<F, M: Machine> Unpin for Served<F, M> {}

impl<F: Future<Output = ()>, M: Machine> Future for Served<F, M> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let _entered = enter(&mut this.current);
        this.future.as_mut().poll(cx)
    }
}

impl<F, M: Machine> fmt::Debug for Served<F, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Served").field("conversation", &self.conversation.0).finish_non_exhaustive()
    }
}
