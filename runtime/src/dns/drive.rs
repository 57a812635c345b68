//! The task under a resolver or a client.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use glowplug_core::Rng;
use glowplug_dns::resolver::Order;

use super::machine::Machine;
use super::state::{Shared, Turn};
use super::wire::{Outcome, Wire};
use super::{SocketConfig, Upstreams};
use crate::Runtime;
use crate::drive::Deadline;

/// How many turns one poll makes before it lets other tasks run.
const TURNS_PER_POLL: u32 = 32;

/// Drives a [`Machine`] and its sockets: what a [`Resolver`](super::Resolver) and a [`Client`](super::Client) spawn. It ends when the
/// last handle is gone and nobody waits any more.
///
/// The machine lies under a lock that handles share; sockets, connections and the timer belong to this task. A turn of
/// the machine is pure and under the lock, I/O never is.
#[must_use = "nothing is asked unless the task runs"]
pub struct Drive<M: Machine, R: Runtime> {
    shared: Arc<Shared<M>>,
    runtime: R,
    wire: Wire<R>,
    deadline: Deadline<R::Timer>,
    outcomes: Vec<Outcome>,
    orders: Vec<Order>,
    /// Whom a turn wakes; kept for its memory, as the two above.
    woken: Vec<Waker>,
}

impl<M: Machine, R: Runtime> Drive<M, R> {
    pub(super) fn new(
        shared: Arc<Shared<M>>,
        runtime: R,
        config: SocketConfig,
        upstreams: Upstreams,
        rng: Rng,
    ) -> Self {
        Self {
            shared,
            wire: Wire::new(&runtime, config, upstreams, rng),
            deadline: Deadline::new(runtime.timer()),
            runtime,
            outcomes: Vec::new(),
            orders: Vec::new(),
            woken: Vec::new(),
        }
    }
}

// Nothing in it is pinned: sockets and their futures are moved about freely.
impl<M: Machine, R: Runtime> Unpin for Drive<M, R> {}

impl<M: Machine, R: Runtime> Future for Drive<M, R> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        for _ in 0..TURNS_PER_POLL {
            let now = this.runtime.now();
            let (outcomes, orders) = (&mut this.outcomes, &mut this.orders);
            let wanted = match this.shared.turn(now, cx.waker(), outcomes, orders, &mut this.woken) {
                Turn::Go(wanted) => wanted,
                Turn::Deserted => return Poll::Ready(()),
            };
            for order in this.orders.drain(..) {
                this.wire.obey(now, order);
            }
            this.wire.poll(cx, now, &mut this.outcomes);
            if !this.outcomes.is_empty() || this.wire.has_work() {
                continue;
            }
            let wanted = wanted.into_iter().chain(this.wire.poll_timeout()).min();
            this.deadline.set(wanted);
            if this.deadline.poll(cx, now).is_pending() {
                return Poll::Pending;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl<M: Machine, R: Runtime> Drop for Drive<M, R> {
    fn drop(&mut self) {
        self.shared.close();
    }
}

impl<M: Machine, R: Runtime> fmt::Debug for Drive<M, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Drive").finish_non_exhaustive()
    }
}
