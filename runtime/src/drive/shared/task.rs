//! The task of a shared connection.

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::BytesMut;
use glowplug_core::{Instant, Interest, RequestProtocol, WriteInterest};

use super::state::{Shared, TICK, Task};
use crate::drive::Deadline;
use crate::drive::{DriverError, Pump};
use crate::trace::{self, Span};
use crate::{Runtime, Transport};

/// How many callers are woken before they get to run and what they stage is written. Large enough to fill a packet, small
/// enough that the peer has work while the next group runs.
const WAKES_PER_TURN: usize = 32;

/// How many turns one poll makes before it lets other tasks run.
const TURNS_PER_POLL: u32 = 32;

/// The task that moves a shared connection's bytes. Spawn it; it ends with the connection's last handle, and dropping it ends the
/// connection.
#[must_use = "a connection moves only while its task is polled"]
pub struct Drive<P: RequestProtocol, T: Transport, R: Runtime> {
    shared: Arc<Shared<P, T>>,
    runtime: R,
    /// Here while the task is awake; in the shared state while it sleeps.
    pump: Option<Box<Pump<T>>>,
    deadline: Deadline<R::Timer>,
    /// When to look in next, while lone callers drive.
    next_look: Option<Instant>,
    /// Callers to wake as soon as the lock is open. Kept for its memory.
    wakers: Vec<Waker>,
    span: Span,
}

/// How a turn ended.
enum Turn<E> {
    /// The machine goes on with this interest; true if it handed out output, which is a reason for another turn.
    Goes(Interest, bool),
    /// The connection is over.
    Over(Option<DriverError<E>>),
}

impl<P: RequestProtocol, T: Transport, R: Runtime> Drive<P, T, R> {
    pub(super) fn new(shared: Arc<Shared<P, T>>, runtime: R, transport: T, input: BytesMut) -> Self {
        let deadline = Deadline::new(runtime.timer());
        let mut pump = Box::new(Pump::new(transport, input));
        pump.transport_mut().prefer_readiness();
        Self {
            shared,
            runtime,
            pump: Some(pump),
            deadline,
            next_look: None,
            wakers: Vec::new(),
            span: Span::shared(),
        }
    }

    /// Gets the pump, unless a lone caller is to go on driving: then the task sleeps until its next look.
    fn take_over(&mut self, cx: &mut Context<'_>, now: Instant) -> Option<Box<Pump<T>>> {
        let mut state = self.shared.lock();
        state.register_task(cx);
        let due = state.deadline().is_some_and(|at| at <= now);
        if state.task == Task::Ticking && !due && !state.is_deserted() {
            if self.next_look.is_none_or(|at| at <= now) {
                self.next_look = std::mem::take(&mut state.led).then_some(now + TICK);
            }
            if let Some(next_look) = self.next_look {
                self.deadline.set(Some(state.deadline().map_or(next_look, |at| at.min(next_look))));
                drop(state);
                if self.deadline.poll(cx, now).is_ready() {
                    cx.waker().wake_by_ref();
                }
                return None;
            }
        }
        self.next_look = None;
        // Whoever led does so no more.
        state.wake_task();
        let pump = state.pump.take();
        if pump.is_none() {
            // The leader is reading or writing at this moment, on another thread. It will find that it leads no more, and wake this task.
            state.task = Task::Ticking;
        }
        pump
    }

    /// One pure turn: time, answers for a group of callers, and what callers staged since the last one. Callers to wake are left in
    /// `wakers`.
    fn turn(&mut self, now: Instant, pump: &mut Pump<T>) -> Turn<P::Error> {
        let mut state = self.shared.lock();
        if let Some(error) = state.broken.take() {
            return Turn::Over(Some(error));
        }
        if state.machine.poll_timeout().is_some_and(|at| at <= now) {
            state.machine.handle_timeout(now);
        }
        state.expire(now, &mut self.wakers);
        if let Err(error) = state.poll_machine(now, pump, &mut self.wakers, WAKES_PER_TURN) {
            return Turn::Over(Some(error));
        }
        if state.is_deserted() {
            // Nobody is left to ask or to be answered. The goodbye must not wait for a peer that does not read.
            state.machine.close(now);
            return Turn::Over(None);
        }
        state.admit(now);
        let before = pump.output.len();
        state.machine.poll_transmit(now, &mut pump.output);
        let interest = state.machine.interest();
        if interest.is_closed() && pump.output.is_empty() {
            return Turn::Over(None);
        }
        Turn::Goes(interest, pump.output.len() > before)
    }

    /// Goes to sleep, and leaves the pump to lone callers, unless somebody staged something in the meantime: then it comes back.
    fn fall_asleep(
        &mut self,
        cx: &mut Context<'_>,
        now: Instant,
        mut pump: Box<Pump<T>>,
    ) -> Option<Box<Pump<T>>> {
        let mut state = self.shared.lock();
        let before = pump.output.len();
        state.machine.poll_transmit(now, &mut pump.output);
        if pump.output.len() > before || state.is_deserted() {
            return Some(pump);
        }
        if state.machine.in_flight() == 0 {
            pump.release_large();
        }
        self.deadline.set(state.deadline());
        state.register_task(cx);
        state.watch(now, pump);
        drop(state);
        if self.deadline.poll(cx, now).is_ready() {
            cx.waker().wake_by_ref();
        }
        None
    }

    fn wake_all(&mut self) {
        for waker in self.wakers.drain(..) {
            waker.wake();
        }
    }

    fn end(&mut self, cx: &mut Context<'_>, mut pump: Box<Pump<T>>, cause: Option<DriverError<P::Error>>) {
        if let Some(cause) = &cause {
            trace::connection_broke(cause);
        }
        {
            let mut state = self.shared.lock();
            state.machine.poll_transmit(self.runtime.now(), &mut pump.output);
            state.finish(cause, &mut self.wakers);
        }
        // The goodbye goes out as far as the transport takes it at once.
        if pump.poll_write_out(cx).is_ready() {
            let _ = pump.poll_shutdown(cx);
        }
        drop(pump);
        self.wake_all();
    }
}

// Nothing in it is pinned: the transport and the buffers are moved about freely.
impl<P: RequestProtocol, T: Transport, R: Runtime> Unpin for Drive<P, T, R> {}

impl<P: RequestProtocol, T: Transport, R: Runtime> Future for Drive<P, T, R> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let span = this.span.clone();
        let _entered = span.enter();
        // One look at the clock: what happens within a poll happens at one moment.
        let now = this.runtime.now();
        let Some(mut pump) = this.pump.take().or_else(|| this.take_over(cx, now)) else {
            return Poll::Pending;
        };
        for _ in 0..TURNS_PER_POLL {
            let (interest, added) = match this.turn(now, &mut pump) {
                Turn::Goes(interest, added) => (interest, added),
                Turn::Over(cause) => {
                    this.end(cx, pump, cause);
                    return Poll::Ready(());
                }
            };
            // What one group staged goes out before the next group is woken: the peer has work while they run.
            let written = pump.poll_write_out(cx).is_ready();
            let woken = this.wakers.len();
            this.wake_all();
            if woken > 1 {
                // Let them run, and write what they stage as one. For a lone caller it would only be one more poll.
                break;
            }
            if added {
                continue;
            }
            if written && interest.write == WriteInterest::Closed {
                // A shutdown that has to wait is tried again on the next poll.
                let _ = pump.poll_shutdown(cx);
            }
            let reading = interest.read.wants() && !pump.eof;
            if pump.write_failed() && !reading {
                let cause = pump.take_write_error().map(DriverError::Io);
                this.end(cx, pump, cause);
                return Poll::Ready(());
            }
            if reading {
                match pump.poll_read(cx) {
                    Poll::Ready(Ok(0)) => {
                        this.shared.lock().machine.handle_eof(now);
                        continue;
                    }
                    Poll::Ready(Ok(_)) => continue,
                    Poll::Ready(Err(error)) => {
                        let error = pump.take_write_error().unwrap_or(error);
                        this.end(cx, pump, Some(error.into()));
                        return Poll::Ready(());
                    }
                    Poll::Pending => {}
                }
            }
            pump = match this.fall_asleep(cx, now, pump) {
                Some(pump) => pump,
                None => return Poll::Pending,
            };
        }
        this.pump = Some(pump);
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl<P: RequestProtocol, T: Transport, R: Runtime> Drop for Drive<P, T, R> {
    fn drop(&mut self) {
        let mut wakers = Vec::new();
        self.shared.lock().finish(
            Some(DriverError::Io(io::Error::new(
                io::ErrorKind::ConnectionAborted,
                "the connection's task was dropped",
            ))),
            &mut wakers,
        );
        for waker in wakers {
            waker.wake();
        }
    }
}

impl<P: RequestProtocol, T: Transport, R: Runtime> fmt::Debug for Drive<P, T, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Drive").finish_non_exhaustive()
    }
}
