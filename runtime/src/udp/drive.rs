//! The task of a socket.

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use glowplug_core::{Instant, Path};
use glowplug_udp::Tracker;

use super::machine::Machine;
use super::state::Shared;
use crate::Runtime;
use crate::datagram::{DatagramSocket, RecvBatch, SendBatch};
use crate::drive::Deadline;

/// How many batches one poll moves before it lets other tasks run.
const BATCHES_PER_POLL: u32 = 16;

/// How many receive errors in a row are taken for errors about single datagrams; beyond, the socket itself is broken.
const ERRORS_IN_A_ROW: u32 = 1024;

/// The task that moves the datagrams of a socket: what [`Builder`](super::Builder) spawns. State it as `R: Spawn<udp::Drive<R>>`.
///
/// It ends when the last listener and the last owner of a conversation have gone and what they sent is out. Dropping it ends
/// every conversation.
#[must_use = "datagrams move only while their task is polled"]
pub struct Drive<R: Runtime, M: Machine = Tracker> {
    shared: Arc<Shared<M>>,
    runtime: R,
    socket: R::Datagram,
    incoming: RecvBatch,
    outgoing: SendBatch,
    deadline: Deadline<R::Timer>,
    /// Several datagrams go as one, as long as the system does that.
    offloads: bool,
    /// Whom to wake as soon as the lock is open. Kept for its memory.
    wakers: Vec<Waker>,
    errors_in_a_row: u32,
}

impl<R: Runtime, M: Machine> Drive<R, M> {
    pub(super) fn new(shared: Arc<Shared<M>>, runtime: R, socket: R::Datagram) -> Self {
        let deadline = Deadline::new(runtime.timer());
        let segments = socket.max_segments();
        if segments > 1 {
            shared.lock().machine_mut().set_segments(segments);
        }
        Self {
            shared,
            runtime,
            socket,
            incoming: RecvBatch::new(),
            outgoing: SendBatch::new(),
            deadline,
            offloads: segments > 1,
            wakers: Vec::new(),
            errors_in_a_row: 0,
        }
    }

    /// Sends what is in the batch. True when the socket takes no more now.
    fn send(&mut self, cx: &mut Context<'_>, now: Instant) -> bool {
        while !self.outgoing.is_empty() {
            let first = self.outgoing.iter().next().map(|(transmit, _)| transmit.path);
            match self.socket.poll_send(cx, &mut self.outgoing) {
                Poll::Ready(Ok(_)) => {}
                // It is about the first datagram, which is gone: datagrams may be lost anywhere.
                Poll::Ready(Err(error)) => {
                    if let Some(path) = first {
                        self.report(now, &error, path);
                    }
                }
                Poll::Pending => return true,
            }
            if self.offloads && !self.outgoing.offloads() {
                self.offloads = false;
                self.shared.lock().machine_mut().set_segments(1);
            }
        }
        false
    }

    fn report(&self, now: Instant, error: &io::Error, path: Path) {
        use io::ErrorKind::{ConnectionRefused, HostUnreachable, NetworkUnreachable};
        if matches!(error.kind(), ConnectionRefused | HostUnreachable | NetworkUnreachable) {
            self.shared.act(|state, _| state.unreachable(now, path));
        }
    }

    fn wake_all(&mut self) -> usize {
        let count = self.wakers.len();
        self.wakers.drain(..).for_each(Waker::wake);
        count
    }

    fn end(&mut self, error: Option<io::Error>) {
        self.shared.lock().finish(error, &mut self.wakers);
        self.wake_all();
    }
}

// Nothing in it is pinned: the socket and the batches are moved about freely.
impl<R: Runtime, M: Machine> Unpin for Drive<R, M> {}

impl<R: Runtime, M: Machine> Future for Drive<R, M> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        // One look at the clock: what happens within a poll happens at one moment.
        let now = this.runtime.now();
        for _ in 0..BATCHES_PER_POLL {
            let turn = this.shared.lock().turn(now, &mut this.incoming, &mut this.outgoing, &mut this.wakers);
            let full = this.outgoing.is_full();
            let blocked = this.send(cx, now);
            let woken = this.wake_all();
            if turn.over && this.outgoing.is_empty() {
                this.end(None);
                return Poll::Ready(());
            }
            if woken > 0 {
                // Let them run before their queues fill, and send what they stage as one batch.
                break;
            }
            if full && !blocked {
                continue;
            }
            match this.socket.poll_recv(cx, &mut this.incoming) {
                Poll::Ready(Ok(_)) => this.errors_in_a_row = 0,
                Poll::Ready(Err(error)) => {
                    this.errors_in_a_row += 1;
                    if this.errors_in_a_row > ERRORS_IN_A_ROW {
                        this.end(Some(error));
                        return Poll::Ready(());
                    }
                }
                Poll::Pending => {
                    let mut state = this.shared.lock();
                    if state.sleep(cx) {
                        this.deadline.set(state.machine().poll_timeout());
                        drop(state);
                        if this.deadline.poll(cx, now).is_pending() {
                            return Poll::Pending;
                        }
                    }
                }
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl<R: Runtime, M: Machine> Drop for Drive<R, M> {
    fn drop(&mut self) {
        self.end(Some(io::Error::new(io::ErrorKind::ConnectionAborted, "the socket's task was dropped")));
    }
}

impl<R: Runtime, M: Machine> fmt::Debug for Drive<R, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Drive").field("local", &self.shared.local).finish_non_exhaustive()
    }
}
