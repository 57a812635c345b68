//! One call, as a future.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use glowplug_core::{Progress, RequestProtocol};

use super::Connection;
use super::state::{Answers, Polled, SlotId};
use crate::Runtime;
use crate::drive::DriverError;
use crate::trace::{self, Span};

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
pub struct Call<'c, P: RequestProtocol, R: Runtime>(Pending<'c, P, R>);

/// A request with any number of answers, on its way. Made by [`Connection::call_many`].
///
/// Nothing is sent before the first poll. Dropped later, the request goes on and its answers are thrown away.
#[must_use = "nothing is sent until the call is polled"]
pub struct Calls<'c, P: RequestProtocol, R: Runtime>(Pending<'c, P, R>);

struct Pending<'c, P: RequestProtocol, R: Runtime> {
    connection: &'c Connection<P, R>,
    stage: Stage<P::Request>,
    span: Span,
}

enum Stage<T> {
    New(T, Option<Duration>),
    Submitted(SlotId),
    Done,
}

impl<P: RequestProtocol, R: Runtime> Pending<'_, P, R> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Answers<P::Response>, CallError<P::Error>>> {
        let shared = &self.connection.shared;
        if let Stage::Submitted(id) = self.stage {
            let _entered = self.span.enter();
            let polled = shared.lock().poll_call(cx, id);
            let result = match polled {
                Polled::Pending => return Poll::Pending,
                Polled::Answered(answers) => Ok(answers),
                Polled::Failed(error) => Err(error),
            };
            if let Err(error) = &result {
                trace::request_failed(error);
            }
            self.stage = Stage::Done;
            return Poll::Ready(result);
        }
        if let Stage::New(request, timeout) = std::mem::replace(&mut self.stage, Stage::Done) {
            self.span = Span::request();
            let now = self.connection.runtime.now();
            let submitted = shared.lock().submit(cx, now, timeout, request);
            let (id, task) = submitted?;
            self.stage = Stage::Submitted(id);
            if let Some(task) = task {
                task.wake();
            }
        }
        Poll::Pending
    }
}

impl<P: RequestProtocol, R: Runtime> Drop for Pending<'_, P, R> {
    fn drop(&mut self) {
        if let Stage::Submitted(id) = self.stage {
            let task = self.connection.shared.lock().abandon(id);
            if let Some(task) = task {
                task.wake();
            }
        }
    }
}

impl<'c, P: RequestProtocol, R: Runtime> Call<'c, P, R> {
    pub(super) fn new(connection: &'c Connection<P, R>, request: P::Request) -> Self {
        let timeout = connection.call_timeout;
        Self(Pending { connection, stage: Stage::New(request, timeout), span: Span::none() })
    }

    /// Gives this call a time of its own, waiting for room included; `None` waits for ever. Only before the first poll.
    pub fn timeout(mut self, timeout: Option<Duration>) -> Self {
        self.0.set_timeout(timeout);
        self
    }
}

impl<'c, P: RequestProtocol, R: Runtime> Calls<'c, P, R> {
    pub(super) fn new(connection: &'c Connection<P, R>, request: P::Request) -> Self {
        let timeout = connection.call_timeout;
        Self(Pending { connection, stage: Stage::New(request, timeout), span: Span::none() })
    }

    /// Gives this call a time of its own, waiting for room included; `None` waits for ever. Only before the first poll.
    pub fn timeout(mut self, timeout: Option<Duration>) -> Self {
        self.0.set_timeout(timeout);
        self
    }
}

impl<P: RequestProtocol, R: Runtime> Pending<'_, P, R> {
    fn set_timeout(&mut self, wanted: Option<Duration>) {
        if let Stage::New(_, timeout) = &mut self.stage {
            *timeout = wanted;
        }
    }
}

// Nothing in a call is pinned: it holds a reference and a value that is moved out.
impl<P: RequestProtocol, R: Runtime> Unpin for Call<'_, P, R> {}
impl<P: RequestProtocol, R: Runtime> Unpin for Calls<'_, P, R> {}

impl<P: RequestProtocol, R: Runtime> Future for Call<'_, P, R> {
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

impl<P: RequestProtocol, R: Runtime> Future for Calls<'_, P, R> {
    type Output = Result<Vec<P::Response>, CallError<P::Error>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.poll(cx).map_ok(|answers| match answers {
            Answers::None => Vec::new(),
            Answers::One(answer) => vec![answer],
            Answers::Many(all) => all,
        })
    }
}

impl<P: RequestProtocol, R: Runtime> fmt::Debug for Call<'_, P, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call").finish_non_exhaustive()
    }
}

impl<P: RequestProtocol, R: Runtime> fmt::Debug for Calls<'_, P, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Calls").finish_non_exhaustive()
    }
}
