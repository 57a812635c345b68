//! Tasks with names that live and die together, and tasks that are started again.
//!
//! A [`Scope`] owns tasks: its children. When it is dropped, by the end of the function that holds it, by a panic or by its own
//! cancellation, they are cancelled, those that have not begun included. Nothing goes the other way: a child that fails is reported to
//! whoever holds its [`Child`], and to nobody else.
//!
//! ```ignore
//! let scope = Scope::new(runtime.clone());
//! let sum = scope.spawn("adder", async { 40 + 2 });
//! // Ended by a panic or in good order, it is started again: after 50 ms, 100 ms, up to 30 s.
//! let _pinger = scope.keep_alive("pinger", Restart::default(), move || ping(runtime.clone()));
//! assert_eq!(sum.await?, 42);
//! scope.close().await; // cancels the pinger, and waits until it is gone
//! ```
//!
//! A scope is nested by being held by a child: its own children end with that child. To wait for the first of several children, wait
//! for the first of several futures, by `select` or `select_all` of `futures`.

use std::collections::BTreeMap;
use std::fmt;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use glowplug_core::{Backoff, BackoffConfig, Instant};

use crate::task::{self, Handle, JoinError, Task};
use crate::trace::{self, Span};
use crate::{Runtime, Spawn, Timer};

/// Owns tasks, which are cancelled when it is dropped.
pub struct Scope<R: Runtime> {
    runtime: R,
    family: Arc<Family>,
}

/// The children of one scope.
#[derive(Default)]
struct Family {
    members: Mutex<Members>,
    /// Beside the lock, because every poll of every child looks.
    cancelled: AtomicBool,
}

#[derive(Default)]
struct Members {
    next_id: u64,
    living: BTreeMap<u64, Living>,
    /// Who waits until nobody lives.
    mourner: Option<Waker>,
}

struct Living {
    name: Arc<str>,
    waker: Option<Waker>,
}

impl Family {
    fn lock(&self) -> MutexGuard<'_, Members> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn cancel(&self) {
        self.cancelled.store(true, Ordering::Release);
        let wakers: Vec<Waker> =
            self.lock().living.values_mut().filter_map(|living| living.waker.take()).collect();
        wakers.into_iter().for_each(Waker::wake);
    }
}

impl<R: Runtime> Scope<R> {
    /// A scope without children.
    pub fn new(runtime: R) -> Self {
        Self { runtime, family: Arc::default() }
    }

    /// The runtime its children run on.
    pub fn runtime(&self) -> &R {
        &self.runtime
    }

    /// Starts a child. The name is for [`names`](Self::names), and for spans.
    ///
    /// Dropping the [`Child`] lets the task run on, until its end or the scope's. In a scope that was cancelled nothing is started: the
    /// child is cancelled at once.
    pub fn spawn<F>(&self, name: &str, future: F) -> Child<F::Output>
    where
        F: Future,
        R: Spawn<Task<Member<F>>>,
    {
        let name: Arc<str> = name.into();
        let id = {
            let mut members = self.family.lock();
            members.next_id += 1;
            let id = members.next_id;
            members.living.insert(id, Living { name: name.clone(), waker: None });
            id
        };
        let span = Span::task(&name);
        let member = Member { future: Some(Box::pin(future)), family: self.family.clone(), id, span };
        Child { handle: task::spawn(&self.runtime, member), name }
    }

    /// Starts a child that is started again when it ends, with growing pauses between.
    ///
    /// Its result is that of the last run: the one that `restart` did not ask to repeat, or the one after which it gave up.
    pub fn keep_alive<M, F>(
        &self,
        name: &str,
        restart: Restart,
        make: M,
    ) -> Child<Result<F::Output, JoinError>>
    where
        M: FnMut() -> F,
        F: Future,
        F::Output: Outcome,
        R: Spawn<Task<Member<KeepAlive<R, M, F>>>>,
    {
        let future = KeepAlive {
            name: name.into(),
            backoff: Backoff::new(restart.backoff, &self.runtime.seed()),
            timer: self.runtime.timer(),
            runtime: self.runtime.clone(),
            restart,
            make,
            run: Run::Waiting,
        };
        self.spawn(name, future)
    }

    /// The names of the children that live, oldest first.
    pub fn names(&self) -> Vec<String> {
        self.family.lock().living.values().map(|living| living.name.to_string()).collect()
    }

    /// How many children live.
    pub fn len(&self) -> usize {
        self.family.lock().living.len()
    }

    /// True when no child lives.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Drops the children's futures at the next opportunity, and those of all that are spawned from now on.
    pub fn cancel(&self) {
        self.family.cancel();
    }

    /// Waits until no child lives, without hurrying them. Dropping the future changes nothing.
    ///
    /// One at a time may wait like this; a second one takes the place of the first.
    pub async fn join(&self) {
        poll_fn(|cx| {
            let mut members = self.family.lock();
            if members.living.is_empty() {
                return Poll::Ready(());
            }
            members.mourner = Some(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }

    /// Cancels the children and waits until they are gone. Dropped before it is done, they are cancelled all the same.
    pub async fn close(self) {
        self.cancel();
        self.join().await;
    }
}

impl<R: Runtime> Drop for Scope<R> {
    fn drop(&mut self) {
        self.family.cancel();
    }
}

impl<R: Runtime> fmt::Debug for Scope<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scope").field("children", &self.names()).finish_non_exhaustive()
    }
}

/// A child of a scope: await it for its result. Dropping it lets the task run on.
pub struct Child<T> {
    handle: Handle<Option<T>>,
    name: Arc<str>,
}

impl<T> Child<T> {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Drops the task's future at the next opportunity. Awaiting the child then gives [`JoinError::Cancelled`], unless it had ended
    /// before.
    pub fn cancel(&self) {
        self.handle.cancel();
    }

    /// True once it has ended.
    pub fn is_finished(&self) -> bool {
        self.handle.is_finished()
    }
}

impl<T> Future for Child<T> {
    type Output = Result<T, JoinError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(match ready!(Pin::new(&mut self.handle).poll(cx)) {
            Ok(Some(output)) => Ok(output),
            Ok(None) => Err(JoinError::Cancelled),
            Err(error) => Err(error),
        })
    }
}

impl<T> fmt::Debug for Child<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Child")
            .field("name", &self.name)
            .field("finished", &self.is_finished())
            .finish_non_exhaustive()
    }
}

/// What [`Scope::spawn`] hands to the executor, inside a [`Task`]. `None` when the scope cancelled it.
pub struct Member<F> {
    // Boxed, so that it can be dropped in place the moment the scope ends.
    future: Option<Pin<Box<F>>>,
    family: Arc<Family>,
    id: u64,
    span: Span,
}

// The future is pinned in its box; nothing else is.
impl<F> Unpin for Member<F> {}

impl<F: Future> Future for Member<F> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let _entered = this.span.enter();
        if let Some(living) = this.family.lock().living.get_mut(&this.id)
            && !living.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker()))
        {
            living.waker = Some(cx.waker().clone());
        }
        // After registering: whoever cancels from now on wakes this task.
        if this.family.cancelled.load(Ordering::Acquire) {
            this.future = None;
        }
        let Some(future) = &mut this.future else { return Poll::Ready(None) };
        // The panic goes on to the task around this one, which makes a result of it.
        let polled = catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))).unwrap_or_else(|payload| {
            trace::panicked(&*payload);
            std::panic::resume_unwind(payload)
        });
        let output = ready!(polled);
        this.future = None;
        Poll::Ready(Some(output))
    }
}

impl<F> Drop for Member<F> {
    fn drop(&mut self) {
        {
            let _entered = self.span.enter();
            self.future = None;
        }
        let mourner = {
            let mut members = self.family.lock();
            members.living.remove(&self.id);
            if members.living.is_empty() { members.mourner.take() } else { None }
        };
        if let Some(mourner) = mourner {
            mourner.wake();
        }
    }
}

impl<F> fmt::Debug for Member<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Member").finish_non_exhaustive()
    }
}

/// Which ends of a task [`Scope::keep_alive`] answers with a new start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// Every end: what is to be there always.
    Always,
    /// A panic, or an error: what is to be done once, whatever it takes.
    OnFailure,
}

/// How a task is started again.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Restart {
    /// After which ends. Default [`When::Always`].
    pub when: When,
    /// The pauses between, and after how many quick ends in a row to give up. Default: 50 ms, doubling up to 30 s, and never.
    pub backoff: BackoffConfig,
    /// A run this long was no quick end: the pauses start from the beginning. Default 30 s.
    pub settled_after: Duration,
}

impl Default for Restart {
    fn default() -> Self {
        Self { when: When::Always, backoff: BackoffConfig::default(), settled_after: Duration::from_secs(30) }
    }
}

impl Restart {
    /// After a panic or an error only.
    pub fn on_failure() -> Self {
        Self { when: When::OnFailure, ..Self::default() }
    }

    /// Sets the pauses between, and after how many quick ends in a row to give up.
    pub fn backoff(mut self, backoff: BackoffConfig) -> Self {
        self.backoff = backoff;
        self
    }

    /// Sets after how many quick ends in a row to give up (at least 1).
    pub fn attempts(mut self, attempts: u32) -> Self {
        self.backoff.attempts = Some(attempts.max(1));
        self
    }

    /// Sets how long a run has to last so that the pauses start from the beginning.
    pub fn settled_after(mut self, run: Duration) -> Self {
        self.settled_after = run;
        self
    }
}

/// What a task may end with: whether that is a failure.
pub trait Outcome {
    /// True for a failure.
    fn is_failure(&self) -> bool;
}

impl Outcome for () {
    fn is_failure(&self) -> bool {
        false
    }
}

impl<T, E> Outcome for Result<T, E> {
    fn is_failure(&self) -> bool {
        self.is_err()
    }
}

/// A task that is started again: what [`Scope::keep_alive`] spawns, inside a [`Member`].
pub struct KeepAlive<R: Runtime, M, F> {
    name: Arc<str>,
    runtime: R,
    restart: Restart,
    backoff: Backoff,
    timer: R::Timer,
    make: M,
    run: Run<F>,
}

enum Run<F> {
    /// For the timer; before the first run it is not armed.
    Waiting,
    Pausing,
    Running(Pin<Box<F>>, Instant),
}

// The future is pinned in its box; nothing else is.
impl<R: Runtime, M, F> Unpin for KeepAlive<R, M, F> {}

impl<R, M, F> KeepAlive<R, M, F>
where
    R: Runtime,
    M: FnMut() -> F,
    F: Future,
    F::Output: Outcome,
{
    /// A run has ended: what is the result, if it was the last?
    fn ended(
        &mut self,
        begun: Instant,
        result: Result<F::Output, JoinError>,
    ) -> Option<Result<F::Output, JoinError>> {
        let failed = result.as_ref().map_or(true, Outcome::is_failure);
        if self.restart.when == When::OnFailure && !failed {
            return Some(result);
        }
        let now = self.runtime.now();
        if now - begun >= self.restart.settled_after {
            self.backoff.succeeded();
        }
        let Some(at) = self.backoff.failed(now) else {
            trace::gave_up(&self.name, self.backoff.failures());
            return Some(result);
        };
        let after = match &result {
            Err(_) => "a panic",
            Ok(_) if failed => "an error",
            Ok(_) => "its end",
        };
        trace::restarting(&self.name, after, at - now);
        self.timer.reset(Some(at));
        self.run = Run::Pausing;
        None
    }
}

impl<R, M, F> Future for KeepAlive<R, M, F>
where
    R: Runtime,
    M: FnMut() -> F,
    F: Future,
    F::Output: Outcome,
{
    type Output = Result<F::Output, JoinError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        loop {
            let (begun, result) = match &mut this.run {
                Run::Pausing => {
                    ready!(this.timer.poll_expired(cx));
                    this.run = Run::Waiting;
                    continue;
                }
                Run::Waiting => {
                    let begun = this.runtime.now();
                    // Making the future is as good a place to panic as the future.
                    match catch_unwind(AssertUnwindSafe(&mut this.make)) {
                        Ok(future) => {
                            this.run = Run::Running(Box::pin(future), begun);
                            continue;
                        }
                        Err(payload) => (begun, Err(JoinError::Panicked(payload))),
                    }
                }
                // After a panic the future is dropped and never polled again, so nobody sees what it left half done.
                Run::Running(future, begun) => {
                    match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
                        Ok(polled) => (*begun, Ok(ready!(polled))),
                        Err(payload) => (*begun, Err(JoinError::Panicked(payload))),
                    }
                }
            };
            if let Err(JoinError::Panicked(payload)) = &result {
                trace::panicked(&**payload);
            }
            this.run = Run::Pausing;
            if let Some(last) = this.ended(begun, result) {
                return Poll::Ready(last);
            }
        }
    }
}

impl<R: Runtime, M, F> fmt::Debug for KeepAlive<R, M, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeepAlive").field("name", &self.name).finish_non_exhaustive()
    }
}
