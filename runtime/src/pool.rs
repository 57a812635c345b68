//! Connections that are used by one caller at a time, kept for the next.

use std::collections::BTreeMap;
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

pub use glowplug_core::PoolConfig;
use glowplug_core::{Acquired, Instant, Permit, Ticket};

use crate::Runtime;
use crate::drive::Deadline;
use crate::time::within;

/// Connections of type `C` to peers named `K`, each used by one caller at a time. Clones share the pool.
///
/// A caller gets a [`Lease`]: the right to one connection. It takes the idle connection out of it, or dials, uses it, and puts it back. Whoever
/// drops a lease, or the future it lives in, frees the room, and what was not put back is closed: so a call that was
/// given up half-way cannot leave a connection in disorder to the next.
///
/// What lies idle too long is closed by the [`Reaper`], which is to be spawned.
pub struct Pool<K: Ord + Clone, C, R: Runtime> {
    shared: Arc<Shared<K, C, R>>,
    wait_timeout: Option<Duration>,
}

impl<K: Ord + Clone, C, R: Runtime> Clone for Pool<K, C, R> {
    fn clone(&self) -> Self {
        Self { shared: self.shared.clone(), wait_timeout: self.wait_timeout }
    }
}

/// Why there is no lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PoolError {
    /// The time to wait for room was up.
    TimedOut,
    /// Too many callers wait for room already.
    Overloaded,
    /// The pool was closed.
    Closed,
}

impl fmt::Display for PoolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TimedOut => "no connection came free in time",
            Self::Overloaded => "too many calls wait for a connection",
            Self::Closed => "the pool is closed",
        })
    }
}

impl std::error::Error for PoolError {}

struct Shared<K: Ord + Clone, C, R> {
    state: Mutex<State<K, C>>,
    runtime: R,
}

struct State<K, C> {
    pool: glowplug_core::Pool<K, C>,
    wakers: BTreeMap<Ticket, Waker>,
    reaper: Option<Waker>,
    /// When the reaper looks again by itself.
    reaper_looks: Option<Instant>,
    /// How long a connection may lie idle.
    idle_timeout: Option<Duration>,
    closed: bool,
}

impl<K: Ord + Clone, C, R> Shared<K, C, R> {
    fn lock(&self) -> MutexGuard<'_, State<K, C>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the books under the lock; whom that calls is woken, and what it ends is dropped, outside.
    fn change(&self, change: impl FnOnce(&mut State<K, C>) -> Option<Ticket>) {
        let (called, reaper, doomed) = {
            let mut state = self.lock();
            let called = change(&mut state).and_then(|ticket| state.wakers.remove(&ticket));
            // A reaper that looks again by itself need not hear of what is put back: it looks when the connection that was idle longest then
            // is due, and none that came later is due before.
            let hears = state.reaper_looks.is_none() && state.reaper.is_some();
            let reaper =
                if hears && state.pool.poll_timeout().is_some() { state.reaper.take() } else { None };
            (called, reaper, state.pool.take_doomed())
        };
        drop(doomed);
        if let Some(called) = called {
            called.wake();
        }
        if let Some(reaper) = reaper {
            reaper.wake();
        }
    }

    /// A lease has ended.
    fn release(&self, now: Instant, place: glowplug_core::Place, connection: Option<C>) {
        self.change(|state| {
            let called = state.pool.release(now, place, connection);
            if state.closed {
                state.pool.clear_all();
            }
            called
        });
    }
}

impl<K: Ord + Clone, C, R> Drop for Shared<K, C, R> {
    fn drop(&mut self) {
        // The reaper has nothing left to do, and is to see that.
        if let Some(reaper) = self.lock().reaper.take() {
            reaper.wake();
        }
    }
}

impl<K: Ord + Clone, C, R: Runtime> Pool<K, C, R> {
    /// An empty pool. Callers wait for room for at most 10 s.
    pub fn new(runtime: R, config: PoolConfig) -> Self {
        let state = State {
            idle_timeout: config.idle_timeout,
            pool: glowplug_core::Pool::new(config),
            wakers: BTreeMap::new(),
            reaper: None,
            reaper_looks: None,
            closed: false,
        };
        Self {
            shared: Arc::new(Shared { state: Mutex::new(state), runtime }),
            wait_timeout: Some(Duration::from_secs(10)),
        }
    }

    /// Sets how long a caller waits for room; `None` waits for ever. For this handle and its later clones.
    pub fn wait_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.wait_timeout = timeout;
        self
    }

    /// What closes connections that lie idle too long. Spawn it, once; it ends with the pool's last handle and lease.
    pub fn reaper(&self) -> Reaper<K, C, R> {
        Reaper {
            shared: Arc::downgrade(&self.shared),
            deadline: Deadline::new(self.runtime().timer()),
            runtime: self.runtime().clone(),
        }
    }

    /// The right to one connection to `key`. Waits for room, in order.
    ///
    /// Dropping the future leaves the place in the line to the next.
    pub async fn get(&self, key: &K) -> Result<Lease<K, C, R>, PoolError> {
        match self.try_get(key)? {
            Got::Lease(lease) => Ok(lease),
            // On the heap, since it is the rare case, and its timer would be part of every call.
            Got::Place(place) => Box::pin(place.wait()).await,
        }
    }

    /// The same without waiting: where there is no room, a place in the line.
    pub(crate) fn try_get(&self, key: &K) -> Result<Got<'_, K, C, R>, PoolError> {
        let acquired = {
            let mut state = self.shared.lock();
            if state.closed {
                return Err(PoolError::Closed);
            }
            state.pool.acquire(key)
        };
        match acquired {
            Acquired::Permit(permit) => Ok(Got::Lease(self.lease(permit))),
            Acquired::Overloaded => Err(PoolError::Overloaded),
            Acquired::Wait(ticket) => Ok(Got::Place(Place { pool: self, ticket: Some(ticket) })),
        }
    }

    fn lease(&self, permit: Permit<C>) -> Lease<K, C, R> {
        let Permit { idle, place } = permit;
        let ends_another = idle.is_none();
        let lease = Lease { shared: Some(self.shared.clone()), place, idle };
        if ends_another {
            // Making room may have ended a connection elsewhere.
            self.shared.change(|_| None);
        }
        lease
    }

    /// Forgets the idle connections to `key`, and takes back none that is in use now.
    pub fn clear(&self, key: &K) {
        self.shared.change(|state| {
            state.pool.clear(key);
            None
        });
    }

    /// Gives out no more; idle connections are closed now, those in use when they come back. Callers who wait learn it at once.
    pub fn close(&self) {
        self.shared.change(|state| {
            state.closed = true;
            state.pool.clear_all();
            None
        });
        let waiting = std::mem::take(&mut self.shared.lock().wakers);
        waiting.into_values().for_each(Waker::wake);
    }

    /// Connections, in use and idle.
    pub fn open(&self) -> usize {
        self.shared.lock().pool.open()
    }

    /// Idle connections.
    pub fn idle(&self) -> usize {
        self.shared.lock().pool.idle()
    }

    /// Callers who wait for room.
    pub fn waiting(&self) -> usize {
        self.shared.lock().pool.waiting()
    }

    /// The runtime the pool runs on.
    pub fn runtime(&self) -> &R {
        &self.shared.runtime
    }
}

impl<K: Ord + Clone, C, R: Runtime> fmt::Debug for Pool<K, C, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("open", &self.open()).field("idle", &self.idle()).finish_non_exhaustive()
    }
}

/// What there is for a caller.
pub(crate) enum Got<'p, K: Ord + Clone, C, R: Runtime> {
    Lease(Lease<K, C, R>),
    /// Nothing yet.
    Place(Place<'p, K, C, R>),
}

/// A place in the line.
pub(crate) struct Place<'p, K: Ord + Clone, C, R: Runtime> {
    pool: &'p Pool<K, C, R>,
    ticket: Option<Ticket>,
}

impl<K: Ord + Clone, C, R: Runtime> Place<'_, K, C, R> {
    /// Waits for its turn, as long as the pool lets callers wait.
    pub(crate) async fn wait(mut self) -> Result<Lease<K, C, R>, PoolError> {
        let pool = self.pool;
        let waiting = within(pool.runtime(), pool.wait_timeout, poll_fn(|cx| self.poll(cx)));
        let permit = waiting.await.map_err(|_| PoolError::TimedOut)??;
        Ok(pool.lease(permit))
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Permit<C>, PoolError>> {
        let Some(ticket) = self.ticket else { return Poll::Pending };
        let mut state = self.pool.shared.lock();
        if state.closed {
            return Poll::Ready(Err(PoolError::Closed));
        }
        if let Some(permit) = state.pool.claim(ticket) {
            self.ticket = None;
            return Poll::Ready(Ok(permit));
        }
        state.wakers.insert(ticket, cx.waker().clone());
        Poll::Pending
    }
}

impl<K: Ord + Clone, C, R: Runtime> Drop for Place<'_, K, C, R> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            let now = self.pool.runtime().now();
            self.pool.shared.change(|state| {
                state.wakers.remove(&ticket);
                state.pool.give_up(now, ticket)
            });
        }
    }
}

/// The right to one connection. Dropping it frees the room; a connection that was taken and not put back is not the pool's any more.
pub struct Lease<K: Ord + Clone, C, R: Runtime> {
    /// `None` once it has ended.
    shared: Option<Arc<Shared<K, C, R>>>,
    place: glowplug_core::Place,
    idle: Option<C>,
}

impl<K: Ord + Clone, C, R: Runtime> Lease<K, C, R> {
    /// An idle connection, if the pool had one; otherwise, or if it turns out to be dead, dial.
    pub fn take(&mut self) -> Option<C> {
        self.idle.take()
    }

    /// Ends the lease and leaves the connection to the next caller.
    pub fn put_back(mut self, connection: C) {
        self.idle = Some(connection);
    }

    /// The same for who knows what the clock says.
    #[cfg(any(feature = "http", feature = "riak"))]
    pub(crate) fn put_back_at(mut self, now: Instant, connection: C) {
        if let Some(shared) = self.shared.take() {
            shared.release(now, self.place, Some(connection));
        }
    }
}

impl<K: Ord + Clone, C, R: Runtime> Drop for Lease<K, C, R> {
    fn drop(&mut self) {
        if let Some(shared) = self.shared.take() {
            shared.release(shared.runtime.now(), self.place, self.idle.take());
        }
    }
}

impl<K: Ord + Clone, C, R: Runtime> fmt::Debug for Lease<K, C, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease").field("idle", &self.idle.is_some()).finish_non_exhaustive()
    }
}

/// Closes what lies idle too long. Made by [`Pool::reaper`], to be spawned.
#[must_use = "idle connections are only closed in time while the reaper runs"]
pub struct Reaper<K: Ord + Clone, C, R: Runtime> {
    shared: Weak<Shared<K, C, R>>,
    deadline: Deadline<R::Timer>,
    runtime: R,
}

// Nothing in it is pinned.
impl<K: Ord + Clone, C, R: Runtime> Unpin for Reaper<K, C, R> {}

impl<K: Ord + Clone, C, R: Runtime> Future for Reaper<K, C, R> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        loop {
            let Some(shared) = this.shared.upgrade() else { return Poll::Ready(()) };
            let now = this.runtime.now();
            let doomed = {
                let mut state = shared.lock();
                state.pool.handle_timeout(now);
                // It was called since a connection had come back, which may be out again by now, and will come back many times more. That
                // need not be heard each time: none that comes back from now on is due before a whole rest has passed.
                let called = state.reaper_looks.is_none() && state.reaper.is_none();
                let later = state.idle_timeout.filter(|_| called).map(|timeout| now + timeout);
                state.reaper_looks = state.pool.poll_timeout().or(later);
                this.deadline.set(state.reaper_looks);
                state.reaper = Some(cx.waker().clone());
                state.pool.take_doomed()
            };
            drop(doomed);
            drop(shared);
            if this.deadline.poll(cx, now).is_pending() {
                return Poll::Pending;
            }
        }
    }
}

impl<K: Ord + Clone, C, R: Runtime> fmt::Debug for Reaper<K, C, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reaper").finish_non_exhaustive()
    }
}
