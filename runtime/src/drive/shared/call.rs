//! One call, as a future.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use glowplug_core::{Progress, RequestProtocol, StreamProtocol};

use super::Connection;
use super::slots::{Answers, SlotId};
use super::state::{Polled, Shared, Submitted};
use crate::drive::{DriverError, Pump};
use crate::trace::{self, Span};
use crate::{MaybeTls, Runtime, Transport};

/// How many reads a call that drives makes in one poll before it leaves the rest to the task.
const READS_PER_POLL: u32 = 16;

/// Why a call has no answer.
#[derive(Debug)]
#[non_exhaustive]
pub enum CallError<E> {
    /// The call's time was up. The connection goes on; the answer is thrown away if it comes.
    TimedOut {
        /// How far the request had got.
        progress: Progress,
    },
    /// The connection is over.
    Closed {
        /// How far the request had got.
        progress: Progress,
        /// Why it is over; `None` when it ended in good order, or its task was dropped.
        cause: Option<Arc<DriverError<E>>>,
    },
    /// Too many calls wait for room already. Nothing was sent.
    Overloaded,
}

impl<E> CallError<E> {
    /// How far the request got: whether the peer may have acted on it.
    pub fn progress(&self) -> Progress {
        match self {
            Self::TimedOut { progress } | Self::Closed { progress, .. } => *progress,
            Self::Overloaded => Progress::NotSent,
        }
    }
}

// By hand, because the error is shared and need not be cloned itself.
impl<E> Clone for CallError<E> {
    fn clone(&self) -> Self {
        match self {
            Self::TimedOut { progress } => Self::TimedOut { progress: *progress },
            Self::Closed { progress, cause } => Self::Closed { progress: *progress, cause: cause.clone() },
            Self::Overloaded => Self::Overloaded,
        }
    }
}

impl<E> fmt::Display for CallError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TimedOut { progress } => write!(f, "the call timed out ({progress})"),
            Self::Closed { progress, .. } => write!(f, "the connection is closed ({progress})"),
            Self::Overloaded => f.write_str("too many calls wait for room on this connection (not sent)"),
        }
    }
}

impl<E: Error + 'static> Error for CallError<E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Closed { cause: Some(cause), .. } => Some(&**cause),
            _ => None,
        }
    }
}

/// A request with one answer, on its way. Made by [`Connection::call`].
///
/// Nothing is sent before the first poll. Dropped later, the request goes on and its answer is thrown away; the connection and
/// everybody else's calls are as they were.
#[must_use = "nothing is sent until the call is polled"]
pub struct Call<'c, P: RequestProtocol, R: Runtime, T: Transport = MaybeTls<<R as Runtime>::Stream>>(
    Pending<'c, P, R, T>,
);

/// A request with any number of answers, on its way. Made by [`Connection::call_many`].
///
/// Nothing is sent before the first poll. Dropped later, the request goes on and its answers are thrown away.
#[must_use = "nothing is sent until the call is polled"]
pub struct Calls<'c, P: RequestProtocol, R: Runtime, T: Transport = MaybeTls<<R as Runtime>::Stream>>(
    Pending<'c, P, R, T>,
);

struct Pending<'c, P: RequestProtocol, R: Runtime, T: Transport> {
    connection: &'c Connection<P, R, T>,
    stage: Stage<P::Request>,
    span: Span,
}

enum Stage<T> {
    New(T, Option<Duration>),
    Submitted(SlotId),
    Done,
}

type Answered<P> =
    Poll<Result<Answers<<P as RequestProtocol>::Response>, CallError<<P as StreamProtocol>::Error>>>;

impl<P: RequestProtocol, R: Runtime, T: Transport> Pending<'_, P, R, T> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Answered<P> {
        let shared = &self.connection.shared;
        if let Stage::Submitted(id) = self.stage {
            let span = self.span.clone();
            let _entered = span.enter();
            let mut state = shared.lock();
            let Some(pump) = state.pump_of(id) else {
                let polled = state.poll_call(cx, id);
                drop(state);
                return self.look(polled);
            };
            drop(state);
            return self.lead(cx, id, pump);
        }
        if let Stage::New(request, timeout) = std::mem::replace(&mut self.stage, Stage::Done) {
            self.span = Span::request();
            let now = self.connection.runtime.now();
            let submitted = shared.lock().submit(cx, now, timeout, request);
            let (id, submitted) = submitted?;
            self.stage = Stage::Submitted(id);
            let (pump, task) = match submitted {
                Submitted::Staged(task) => (None, task),
                Submitted::Leads(pump, task) => (Some(pump), task),
            };
            if let Some(task) = task {
                task.wake();
            }
            if let Some(pump) = pump {
                return self.lead(cx, id, pump);
            }
        }
        Poll::Pending
    }

    /// Drives the connection for this call alone: writes its request, reads its answer. Whatever else comes up is the task's.
    fn lead(&mut self, cx: &mut Context<'_>, id: SlotId, pump: Box<Pump<T>>) -> Answered<P> {
        let mut led = Leading { shared: &self.connection.shared, id, pump: Some(pump) };
        let (polled, task) = led.drive(cx, &self.connection.runtime);
        drop(led);
        if let Some(task) = task {
            task.wake();
        }
        self.look(polled)
    }

    fn look(&mut self, polled: Polled<P>) -> Answered<P> {
        let result = match polled {
            Polled::Pending => return Poll::Pending,
            Polled::Answered(answers) => Ok(answers),
            Polled::Failed(error) => Err(error),
        };
        if let Err(error) = &result {
            trace::request_failed(error);
        }
        self.stage = Stage::Done;
        Poll::Ready(result)
    }
}

/// A leader at work, who has the pump.
struct Leading<'c, P: RequestProtocol, T: Transport> {
    shared: &'c Shared<P, T>,
    id: SlotId,
    pump: Option<Box<Pump<T>>>,
}

impl<P: RequestProtocol, T: Transport> Leading<'_, P, T> {
    fn drive<R: Runtime>(&mut self, cx: &mut Context<'_>, runtime: &R) -> (Polled<P>, Option<Waker>) {
        let Some(pump) = &mut self.pump else { return (Polled::Pending, None) };
        if pump.poll_write_out(cx).is_pending() || pump.write_failed() {
            return self.pause(cx, true);
        }
        for _ in 0..READS_PER_POLL {
            let Some(pump) = &mut self.pump else { break };
            match pump.poll_read(cx) {
                Poll::Pending => return self.pause(cx, false),
                Poll::Ready(Ok(0)) => {
                    self.shared.lock().machine.handle_eof(runtime.now());
                    break;
                }
                Poll::Ready(Err(error)) => {
                    self.shared.lock().broken = Some(error.into());
                    break;
                }
                Poll::Ready(Ok(_)) => {}
            }
            let Some(pump) = self.pump.take() else { break };
            let mut wakers = Vec::new();
            let now = runtime.now();
            let turn = self.shared.lock().led_turn(cx, now, self.id, pump, &mut wakers);
            for waker in wakers {
                waker.wake();
            }
            match turn {
                Ok(paused) => return paused,
                Err(pump) => self.pump = Some(pump),
            }
        }
        self.pause(cx, true)
    }

    fn pause(&mut self, cx: &Context<'_>, hand_over: bool) -> (Polled<P>, Option<Waker>) {
        match self.pump.take() {
            Some(pump) => self.shared.lock().pause(cx, self.id, pump, hand_over),
            None => (Polled::Pending, None),
        }
    }
}

impl<P: RequestProtocol, T: Transport> Drop for Leading<'_, P, T> {
    /// The transport has panicked. The task will meet it again, and end the connection.
    fn drop(&mut self) {
        if let Some(pump) = self.pump.take() {
            let task = {
                let mut state = self.shared.lock();
                state.pump = Some(pump);
                state.wake_task()
            };
            if let Some(task) = task {
                task.wake();
            }
        }
    }
}

impl<P: RequestProtocol, R: Runtime, T: Transport> Drop for Pending<'_, P, R, T> {
    fn drop(&mut self) {
        if let Stage::Submitted(id) = self.stage {
            let task = self.connection.shared.lock().abandon(id);
            if let Some(task) = task {
                task.wake();
            }
        }
    }
}

impl<'c, P: RequestProtocol, R: Runtime, T: Transport> Call<'c, P, R, T> {
    pub(super) fn new(connection: &'c Connection<P, R, T>, request: P::Request) -> Self {
        let timeout = connection.call_timeout;
        Self(Pending { connection, stage: Stage::New(request, timeout), span: Span::none() })
    }

    /// Gives this call a time of its own, waiting for room included; `None` waits for ever. Only before the first poll.
    pub fn timeout(mut self, timeout: Option<Duration>) -> Self {
        self.0.set_timeout(timeout);
        self
    }
}

impl<'c, P: RequestProtocol, R: Runtime, T: Transport> Calls<'c, P, R, T> {
    pub(super) fn new(connection: &'c Connection<P, R, T>, request: P::Request) -> Self {
        let timeout = connection.call_timeout;
        Self(Pending { connection, stage: Stage::New(request, timeout), span: Span::none() })
    }

    /// Gives this call a time of its own, waiting for room included; `None` waits for ever. Only before the first poll.
    pub fn timeout(mut self, timeout: Option<Duration>) -> Self {
        self.0.set_timeout(timeout);
        self
    }
}

impl<P: RequestProtocol, R: Runtime, T: Transport> Pending<'_, P, R, T> {
    fn set_timeout(&mut self, wanted: Option<Duration>) {
        if let Stage::New(_, timeout) = &mut self.stage {
            *timeout = wanted;
        }
    }
}

// Nothing in a call is pinned: it holds a reference and a value that is moved out.
impl<P: RequestProtocol, R: Runtime, T: Transport> Unpin for Call<'_, P, R, T> {}
impl<P: RequestProtocol, R: Runtime, T: Transport> Unpin for Calls<'_, P, R, T> {}

impl<P: RequestProtocol, R: Runtime, T: Transport> Future for Call<'_, P, R, T> {
    type Output = Result<P::Response, CallError<P::Error>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.poll(cx).map_ok(|answers| match answers {
            Answers::One(answer) => answer,
            // A machine answers at least once, and says which answer is the last.
            Answers::Many(mut all) => all.swap_remove(0),
            Answers::None => unreachable!("a call without an answer is never marked as answered"),
        })
    }
}

impl<P: RequestProtocol, R: Runtime, T: Transport> Future for Calls<'_, P, R, T> {
    type Output = Result<Vec<P::Response>, CallError<P::Error>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.poll(cx).map_ok(|answers| match answers {
            Answers::None => Vec::new(),
            Answers::One(answer) => vec![answer],
            Answers::Many(all) => all,
        })
    }
}

impl<P: RequestProtocol, R: Runtime, T: Transport> fmt::Debug for Call<'_, P, R, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call").finish_non_exhaustive()
    }
}

impl<P: RequestProtocol, R: Runtime, T: Transport> fmt::Debug for Calls<'_, P, R, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Calls").finish_non_exhaustive()
    }
}
