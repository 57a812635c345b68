//! The task of a shared connection.

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::BytesMut;
use glowplug_core::{Instant, Interest, RequestProtocol, WriteInterest};

use super::state::Shared;
use crate::drive::Deadline;
use crate::drive::{DriverError, Pump};
use crate::{Runtime, Transport};

/// How many callers are woken before they get to run and what they stage is written. Large enough to fill a packet, small
/// enough that the peer has work while the next group runs.
const WAKES_PER_TURN: usize = 32;

/// How many turns one poll makes before it lets other tasks run.
const TURNS_PER_POLL: u32 = 32;

/// The task that moves a shared connection's bytes. Spawn it; it ends with the connection's last handle, and dropping it ends the
/// connection.
#[must_use = "a connection moves only while its task is polled"]
pub struct Drive<P: RequestProtocol, T, R: Runtime> {
    shared: Arc<Shared<P>>,
    runtime: R,
    pump: Pump<T>,
    deadline: Deadline<R::Timer>,
    /// Callers to wake as soon as the lock is open. Kept for its memory.
    wakers: Vec<Waker>,
}

/// How a turn ended.
enum Turn<E> {
    /// The machine goes on with this interest; true if it handed out output, which is a reason for another turn.
    Goes(Interest, bool),
    /// The connection is over.
    Over(Option<DriverError<E>>),
}

impl<P: RequestProtocol, T: Transport, R: Runtime> Drive<P, T, R> {
    pub(super) fn new(shared: Arc<Shared<P>>, runtime: R, transport: T, input: BytesMut) -> Self {
        let deadline = Deadline::new(runtime.timer());
        Self { shared, runtime, pump: Pump::new(transport, input), deadline, wakers: Vec::new() }
    }

    /// One pure turn: time, answers for a group of callers, and what callers staged since the last one. Callers to wake are left in
    /// `wakers`.
    fn turn(&mut self, now: Instant) -> Turn<P::Error> {
        let mut state = self.shared.lock();
        if state.machine.poll_timeout().is_some_and(|at| at <= now) {
            state.machine.handle_timeout(now);
        }
        state.expire(now, &mut self.wakers);
        while self.wakers.len() < WAKES_PER_TURN {
            match state.machine.poll_event(now, &mut self.pump.input) {
                Ok(Some(event)) => match P::into_answer(event) {
                    Ok(answer) => state.deliver(answer, &mut self.wakers),
                    Err(event) => state.push_event(event, &mut self.wakers),
                },
                Ok(None) => break,
                Err(error) => return Turn::Over(Some(DriverError::Protocol(error))),
            }
        }
        if state.is_deserted() {
            // Nobody is left to ask or to be answered. The goodbye must not wait for a peer that does not read.
            state.machine.close(now);
            return Turn::Over(None);
        }
        state.admit(now);
        let before = self.pump.output.len();
        state.machine.poll_transmit(now, &mut self.pump.output);
        let interest = state.machine.interest();
        if interest.is_closed() && self.pump.output.is_empty() {
            return Turn::Over(None);
        }
        Turn::Goes(interest, self.pump.output.len() > before)
    }

    /// Goes to sleep unless somebody staged something in the meantime.
    fn fall_asleep(&mut self, cx: &mut Context<'_>, now: Instant) -> bool {
        let mut state = self.shared.lock();
        let before = self.pump.output.len();
        state.machine.poll_transmit(now, &mut self.pump.output);
        if self.pump.output.len() > before || state.is_deserted() {
            return false;
        }
        self.deadline.set(state.deadline());
        state.register_task(cx);
        state.asleep = true;
        drop(state);
        self.deadline.poll(cx, now).is_pending()
    }

    fn wake_all(&mut self) {
        for waker in self.wakers.drain(..) {
            waker.wake();
        }
    }

    fn end(&mut self, cx: &mut Context<'_>, cause: Option<DriverError<P::Error>>) {
        {
            let mut state = self.shared.lock();
            state.machine.poll_transmit(self.runtime.now(), &mut self.pump.output);
            state.finish(cause, &mut self.wakers);
        }
        // The goodbye goes out as far as the transport takes it at once.
        if self.pump.poll_write_out(cx).is_ready() {
            let _ = self.pump.poll_shutdown(cx);
        }
        self.wake_all();
    }
}

// Nothing in it is pinned: the transport and the buffers are moved about freely.
impl<P: RequestProtocol, T, R: Runtime> Unpin for Drive<P, T, R> {}

impl<P: RequestProtocol, T: Transport, R: Runtime> Future for Drive<P, T, R> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        // One look at the clock: what happens within a poll happens at one moment.
        let now = this.runtime.now();
        for _ in 0..TURNS_PER_POLL {
            let (interest, added) = match this.turn(now) {
                Turn::Goes(interest, added) => (interest, added),
                Turn::Over(cause) => {
                    this.end(cx, cause);
                    return Poll::Ready(());
                }
            };
            // What one group staged goes out before the next group is woken: the peer has work while they run.
            let written = this.pump.poll_write_out(cx).is_ready();
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
                let _ = this.pump.poll_shutdown(cx);
            }
            let reading = interest.read.wants() && !this.pump.eof;
            if this.pump.write_failed() && !reading {
                let cause = this.pump.take_write_error().map(DriverError::Io);
                this.end(cx, cause);
                return Poll::Ready(());
            }
            if reading {
                match this.pump.poll_read(cx) {
                    Poll::Ready(Ok(0)) => {
                        this.shared.lock().machine.handle_eof(now);
                        continue;
                    }
                    Poll::Ready(Ok(_)) => continue,
                    Poll::Ready(Err(error)) => {
                        let error = this.pump.take_write_error().unwrap_or(error);
                        this.end(cx, Some(error.into()));
                        return Poll::Ready(());
                    }
                    Poll::Pending => {}
                }
            }
            if this.fall_asleep(cx, now) {
                return Poll::Pending;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl<P: RequestProtocol, T, R: Runtime> Drop for Drive<P, T, R> {
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

impl<P: RequestProtocol, T, R: Runtime> fmt::Debug for Drive<P, T, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Drive").finish_non_exhaustive()
    }
}
