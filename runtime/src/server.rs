//! A server of byte streams: accept, limit, drain.
//!
//! ```text
//!   Listener ──▶ accept loop ──▶ one task per connection (Guarded)
//!                  │  cap, back-off        │
//!   Stopper ───────┴── stop ──▶ Stopping ──┘  drain, then cancel
//! ```

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use glowplug_core::{Backoff, BackoffConfig};

use crate::time::{sleep_until, within};
use crate::trace::{self, Span};
use crate::{Endpoint, Listener, Runtime, Spawn};

/// How a server behaves.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// How many connections are served at once; further ones wait in the system's backlog. Default 16,384.
    pub max_connections: usize,
    /// How long a stopped server waits for its connections before it cancels them. Default 30 s.
    pub drain_timeout: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self { max_connections: 16_384, drain_timeout: Duration::from_secs(30) }
    }
}

impl Config {
    /// Sets how many connections are served at once (at least 1).
    pub fn max_connections(mut self, connections: usize) -> Self {
        self.max_connections = connections.max(1);
        self
    }

    /// Sets how long a stopped server waits for its connections before it cancels them.
    pub fn drain_timeout(mut self, timeout: Duration) -> Self {
        self.drain_timeout = timeout;
        self
    }
}

/// A listening server. [`run`](Self::run) serves.
pub struct Server<R: Runtime> {
    runtime: R,
    listener: R::Listener,
    config: Config,
    shared: Arc<Shared>,
}

/// One connection that came in.
#[derive(Debug)]
pub struct Accepted<S> {
    /// The stream.
    pub stream: S,
    /// Where it comes from.
    pub peer: Endpoint,
    /// Tells when the server wants to stop.
    pub stopping: Stopping,
}

/// Stops a server, or whatever else listens to its [`Stopping`], from elsewhere. Cheap to clone.
#[derive(Clone, Default)]
pub struct Stopper {
    pub(crate) shared: Arc<Shared>,
}

/// Resolves once the server wants to stop: finish what was begun, then return. Each clone waits for itself.
pub struct Stopping {
    shared: Arc<Shared>,
    id: u64,
    /// A stop is not enough: it waits for the order to end at once.
    cancel: bool,
    /// The waker it is known by; a task that stays where it is registers once.
    registered: Option<Waker>,
}

/// What a server, its connections and whoever stops it share.
#[derive(Default)]
pub(crate) struct Shared {
    state: Mutex<State>,
    // Beside the lock, because every poll of every connection looks.
    /// The server wants to stop.
    stopping: AtomicBool,
    /// The time to drain is over.
    cancelled: AtomicBool,
}

#[derive(Default)]
struct State {
    connections: usize,
    next_id: u64,
    /// Who waits to hear that the server stops or cancels, by the id of the waiter.
    waiters: BTreeMap<u64, Waker>,
    /// The accept loop, which waits for a connection to end, or for the stop.
    acceptor: Option<Waker>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn new_id(&self) -> u64 {
        let mut state = self.lock();
        state.next_id += 1;
        state.next_id
    }

    /// Sets a flag, then wakes everybody.
    fn announce(&self, flag: &AtomicBool) {
        flag.store(true, Ordering::Release);
        let (waiters, acceptor) = {
            let mut state = self.lock();
            let waiters: Vec<Waker> = state.waiters.values().cloned().collect();
            (waiters, state.acceptor.take())
        };
        waiters.into_iter().chain(acceptor).for_each(Waker::wake);
    }
}

impl Stopper {
    /// A stopper of no server: for services of another kind, which listen to its [`stopping`](Self::stopping).
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks the server to stop: it accepts no more, and waits for its connections. Asking again changes nothing.
    pub fn stop(&self) {
        self.shared.announce(&self.shared.stopping);
    }

    /// Stops without waiting: connections are dropped as they are.
    pub fn cancel(&self) {
        self.shared.cancelled.store(true, Ordering::Release);
        self.stop();
    }

    /// True once a stop was asked for.
    pub fn is_stopped(&self) -> bool {
        self.shared.stopping.load(Ordering::Acquire)
    }

    /// Resolves once a stop was asked for.
    pub fn stopping(&self) -> Stopping {
        Stopping::new(self.shared.clone())
    }

    /// Resolves once it was asked to [`cancel`](Self::cancel).
    pub(crate) fn cancelling(&self) -> Stopping {
        let mut stopping = self.stopping();
        stopping.cancel = true;
        stopping
    }

    /// Connections that are being served.
    pub fn connections(&self) -> usize {
        self.shared.lock().connections
    }
}

impl fmt::Debug for Stopper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stopper").field("connections", &self.connections()).finish_non_exhaustive()
    }
}

impl Stopping {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        let id = shared.new_id();
        Self { shared, id, cancel: false, registered: None }
    }

    /// True once the server wants to stop.
    pub fn is_set(&self) -> bool {
        self.shared.stopping.load(Ordering::Acquire)
    }
}

impl Clone for Stopping {
    fn clone(&self) -> Self {
        let mut clone = Self::new(self.shared.clone());
        clone.cancel = self.cancel;
        clone
    }
}

impl Future for Stopping {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if !self.registered.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            self.registered = Some(cx.waker().clone());
            self.shared.lock().waiters.insert(self.id, cx.waker().clone());
        }
        // After registering: whoever stops the server from now on wakes this task.
        let flag = if self.cancel { &self.shared.cancelled } else { &self.shared.stopping };
        if flag.load(Ordering::Acquire) { Poll::Ready(()) } else { Poll::Pending }
    }
}

impl Drop for Stopping {
    fn drop(&mut self) {
        self.shared.lock().waiters.remove(&self.id);
    }
}

impl fmt::Debug for Stopping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stopping").field("is_set", &self.is_set()).finish_non_exhaustive()
    }
}

impl<R: Runtime> Server<R> {
    /// Listens at `at`.
    pub async fn bind(runtime: R, at: impl Into<Endpoint>) -> io::Result<Self> {
        let listener = runtime.listen(&at.into()).await?;
        Ok(Self::on(runtime, listener))
    }

    /// Serves on a listener that is there already.
    pub fn on(runtime: R, listener: R::Listener) -> Self {
        Self { runtime, listener, config: Config::default(), shared: Arc::default() }
    }

    /// Sets how the server behaves.
    pub fn config(mut self, config: Config) -> Self {
        self.config = config;
        self
    }

    /// Where it listens; for port 0 the port that the system picked.
    pub fn local_endpoint(&self) -> io::Result<Endpoint> {
        self.listener.local_endpoint()
    }

    /// What stops this server.
    pub fn stopper(&self) -> Stopper {
        Stopper { shared: self.shared.clone() }
    }

    /// Serves until [`Stopper::stop`]: each connection runs `handler`'s future in a task of its own. Then the listener closes, and
    /// connections have the configured time to end before they are cancelled. A handler that panics ends its own connection only.
    ///
    /// Dropping the future closes the listener; connections run on.
    pub async fn run<H, F>(self, mut handler: H)
    where
        H: FnMut(Accepted<R::Stream>) -> F,
        F: Future<Output = ()>,
        R: Spawn<Guarded<F>>,
    {
        let Self { runtime, mut listener, config, shared } = self;
        // Out of descriptors or memory, accepting again at once would only spin.
        let pauses = BackoffConfig { max: Duration::from_secs(1), ..BackoffConfig::default() };
        let mut backoff = Backoff::new(pauses, &runtime.seed());
        loop {
            match next(&shared, &config, &mut listener).await {
                Next::Accepted(Ok((stream, peer))) => {
                    backoff.succeeded();
                    let span = Span::served(&peer);
                    let stopping = Stopping::new(shared.clone());
                    let accepted = Accepted { stream, peer, stopping };
                    // The handler's own call is as good a place to panic as its future.
                    let made = {
                        let _entered = span.enter();
                        catch_unwind(AssertUnwindSafe(|| handler(accepted)))
                            .inspect_err(|payload| trace::panicked(&**payload))
                    };
                    if let Ok(future) = made {
                        runtime.spawn(Guarded::new(shared.clone(), future, span));
                    }
                }
                Next::Accepted(Err(error)) if is_about_one_peer(&error) => {}
                Next::Accepted(Err(error)) => {
                    trace::accept_failed(&error);
                    let pause = backoff.failed(runtime.now()).unwrap_or_else(|| runtime.now());
                    let mut stopping = pin!(Stopping::new(shared.clone()));
                    let mut sleep = pin!(sleep_until(&runtime, pause));
                    std::future::poll_fn(|cx| match stopping.as_mut().poll(cx) {
                        Poll::Ready(()) => Poll::Ready(()),
                        Poll::Pending => sleep.as_mut().poll(cx),
                    })
                    .await;
                }
                Next::Stop => break,
            }
        }
        drop(listener);
        drain(&runtime, &shared, config.drain_timeout).await;
    }
}

/// Waits until no connection is left, and cancels those that are left when the time is up.
pub(crate) async fn drain<R: Runtime>(runtime: &R, shared: &Arc<Shared>, timeout: Duration) {
    if within(runtime, Some(timeout), all_gone(shared)).await.is_err() {
        shared.announce(&shared.cancelled);
        all_gone(shared).await;
    }
}

impl<R: Runtime> fmt::Debug for Server<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("at", &self.local_endpoint().ok()).finish_non_exhaustive()
    }
}

enum Next<S> {
    Accepted(io::Result<(S, Endpoint)>),
    Stop,
}

/// Waits for a connection, while there is room for one more, or for the stop.
async fn next<L: Listener>(shared: &Arc<Shared>, config: &Config, listener: &mut L) -> Next<L::Stream> {
    std::future::poll_fn(|cx| {
        {
            let mut state = shared.lock();
            state.acceptor = Some(cx.waker().clone());
            if shared.stopping.load(Ordering::Acquire) {
                return Poll::Ready(Next::Stop);
            }
            if state.connections >= config.max_connections {
                return Poll::Pending;
            }
        }
        listener.poll_accept(cx).map(Next::Accepted)
    })
    .await
}

/// Errors that concern the peer which tried, and nobody else.
fn is_about_one_peer(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

/// Waits until no connection is left.
async fn all_gone(shared: &Arc<Shared>) {
    std::future::poll_fn(|cx| {
        let mut state = shared.lock();
        state.acceptor = Some(cx.waker().clone());
        if state.connections == 0 { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

/// A connection's task: it counts, it ends when the server cancels, and a panic stays inside.
pub struct Guarded<F> {
    // Boxed, so that a cancelled or panicked handler can be dropped in place.
    future: Option<Pin<Box<F>>>,
    shared: Arc<Shared>,
    id: u64,
    /// The waker this task is known by; a task that stays where it is registers once.
    registered: Option<Waker>,
    span: Span,
}

impl<F> Guarded<F> {
    pub(crate) fn new(shared: Arc<Shared>, future: F, span: Span) -> Self {
        shared.lock().connections += 1;
        let id = shared.new_id();
        Self { future: Some(Box::pin(future)), shared, id, registered: None, span }
    }
}

// The future is pinned in its box; nothing else is.
impl<F> Unpin for Guarded<F> {}

impl<F: Future<Output = ()>> Future for Guarded<F> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let _entered = this.span.enter();
        if !this.registered.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            this.registered = Some(cx.waker().clone());
            this.shared.lock().waiters.insert(this.id, cx.waker().clone());
        }
        // After registering: whoever cancels from now on wakes this task.
        if this.shared.cancelled.load(Ordering::Acquire) {
            this.future = None;
            return Poll::Ready(());
        }
        let Some(future) = &mut this.future else { return Poll::Ready(()) };
        // After a panic the future is dropped and never polled again, so nobody sees what it left half done.
        match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(())) => {}
            Err(payload) => trace::panicked(&*payload),
        }
        this.future = None;
        Poll::Ready(())
    }
}

impl<F> Drop for Guarded<F> {
    fn drop(&mut self) {
        {
            let _entered = self.span.enter();
            self.future = None;
        }
        let acceptor = {
            let mut state = self.shared.lock();
            state.connections -= 1;
            state.waiters.remove(&self.id);
            state.acceptor.take()
        };
        if let Some(acceptor) = acceptor {
            acceptor.wake();
        }
    }
}

impl<F> fmt::Debug for Guarded<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guarded").finish_non_exhaustive()
    }
}
