//! Tasks that can be waited for, cancelled, and that may panic.
//!
//! Executors differ here: smol cancels a task whose handle is dropped and tokio detaches it; a panic unwinds into the one who waits, into
//! nobody, or into the executor's thread. A [`Runtime`](crate::Runtime) only knows how to start a detached task; this module makes a
//! [`Handle`] of it that behaves the same everywhere.

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use crate::Spawn;

/// Starts `future` and returns a handle to it. Dropping the handle lets the task run on.
///
/// ```ignore
/// let task = spawn(&runtime, async { 6 * 7 });
/// assert_eq!(task.await.unwrap(), 42);
/// ```
pub fn spawn<R, F>(runtime: &R, future: F) -> Handle<F::Output>
where
    R: Spawn<Task<F>>,
    F: Future,
{
    let shared = Arc::new(Shared { state: Mutex::new(State::default()) });
    runtime.spawn(Task { future: Some(Box::pin(future)), shared: shared.clone() });
    Handle { shared }
}

/// Why a task has no result.
#[derive(Debug)]
#[non_exhaustive]
pub enum JoinError {
    /// It was cancelled by [`Handle::cancel`], or its executor went away.
    Cancelled,
    /// It panicked; the payload is the panic's.
    Panicked(Box<dyn Any + Send>),
}

impl fmt::Display for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cancelled => f.write_str("the task was cancelled"),
            Self::Panicked(payload) => {
                let text = payload.downcast_ref::<&str>().copied();
                match text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)) {
                    Some(text) => write!(f, "the task panicked: {text}"),
                    None => f.write_str("the task panicked"),
                }
            }
        }
    }
}

impl std::error::Error for JoinError {}

struct Shared<T> {
    state: Mutex<State<T>>,
}

impl<T> Shared<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct State<T> {
    result: Option<Result<T, JoinError>>,
    over: bool,
    cancelled: bool,
    task: Option<Waker>,
    joiner: Option<Waker>,
}

impl<T> Default for State<T> {
    fn default() -> Self {
        Self { result: None, over: false, cancelled: false, task: None, joiner: None }
    }
}

/// A handle to a task: await it for the result.
#[must_use = "the task runs on, but nobody learns how it ends"]
pub struct Handle<T> {
    shared: Arc<Shared<T>>,
}

impl<T> Handle<T> {
    /// Drops the task's future at the next opportunity. Awaiting the handle then gives [`JoinError::Cancelled`], unless the
    /// task had ended before.
    pub fn cancel(&self) {
        let task = {
            let mut state = self.shared.lock();
            state.cancelled = true;
            state.task.take()
        };
        if let Some(task) = task {
            task.wake();
        }
    }

    /// True once the task has ended.
    pub fn is_finished(&self) -> bool {
        self.shared.lock().over
    }
}

impl<T> Future for Handle<T> {
    type Output = Result<T, JoinError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.shared.lock();
        match state.result.take() {
            Some(result) => Poll::Ready(result),
            None => {
                state.joiner = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl<T> fmt::Debug for Handle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle").field("finished", &self.is_finished()).finish_non_exhaustive()
    }
}

/// What [`spawn`] hands to the executor.
pub struct Task<F: Future> {
    // Boxed, so that the task can be dropped in place the moment it is cancelled.
    future: Option<Pin<Box<F>>>,
    shared: Arc<Shared<F::Output>>,
}

impl<F: Future> Task<F> {
    fn end(&mut self, result: Result<F::Output, JoinError>) {
        let joiner = {
            let mut state = self.shared.lock();
            if state.over {
                return;
            }
            state.over = true;
            state.result = Some(result);
            state.joiner.take()
        };
        if let Some(joiner) = joiner {
            joiner.wake();
        }
    }
}

// The future is pinned in its box; nothing else is.
impl<F: Future> Unpin for Task<F> {}

impl<F: Future> Future for Task<F> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        {
            let mut state = self.shared.lock();
            if state.cancelled {
                drop(state);
                self.future = None;
                self.end(Err(JoinError::Cancelled));
                return Poll::Ready(());
            }
            if !state.task.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
                state.task = Some(cx.waker().clone());
            }
        }
        let Some(future) = &mut self.future else { return Poll::Ready(()) };
        // After a panic the future is dropped and never polled again, so nobody sees what it left half done.
        let result = match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(output)) => Ok(output),
            Err(payload) => Err(JoinError::Panicked(payload)),
        };
        self.future = None;
        self.end(result);
        Poll::Ready(())
    }
}

impl<F: Future> Drop for Task<F> {
    fn drop(&mut self) {
        self.future = None;
        self.end(Err(JoinError::Cancelled));
    }
}

impl<F: Future> fmt::Debug for Task<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Task").finish_non_exhaustive()
    }
}
