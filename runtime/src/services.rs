//! Services that start together and stop in order.
//!
//! ```ignore
//! let chat = tcp::Service::bind(runtime.clone(), address).await?;
//! let store = server::Server::bind(runtime.clone(), other).await?;
//!
//! let mut services = Services::new(runtime.clone());
//! services.add("store", store.stopper(), serve_memory(runtime.clone(), store, Handle::new(Config::new())));
//! services.add("chat", chat.stopper(), chat.serve(talk));
//! services.add_loop("clock", |stopping| tick(stopping));
//! services.run_until_interrupted().await??; // Ctrl-C: first the clock ends, then chat, then the store
//! ```
//!
//! What can fail at the start, binding, is done by then: either all of them listen, or nothing runs.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::server::{Stopper, Stopping};
use crate::supervise::{Child, Member, Scope};
use crate::task::{JoinError, Task};
use crate::time::within;
use crate::{Runtime, Spawn, trace};

/// How long a service has to stop, unless configured otherwise: as long as a server drains, and a little.
const STOP_TIMEOUT: Duration = Duration::from_secs(35);

/// A set of services. They start when [`run`](Self::run) does, and stop in the opposite order of being added: what was added first, others
/// may need until their end.
///
/// Dropping the set, or the future of its run, cancels all of them at once, and their connections.
pub struct Services<R: Runtime> {
    scope: Scope<R>,
    entries: Vec<Entry>,
    start: Stopper,
    stop: Stopper,
    stop_timeout: Duration,
}

struct Entry {
    stopper: Stopper,
    child: Child<()>,
    ending: Option<Ending>,
}

/// How one service ended.
#[derive(Debug)]
#[non_exhaustive]
pub enum Ending {
    /// By itself, or because it was told to stop.
    InGoodOrder,
    /// It did not stop in time, or was not given any.
    Cancelled,
    /// By a panic, with this text.
    Panicked(String),
}

/// How the services of a set ended, in the order they were added.
#[derive(Debug)]
pub struct Ended(Vec<(Arc<str>, Ending)>);

/// A service panicked. The others were stopped.
#[derive(Debug)]
pub struct Failed(Ended);

impl<R: Runtime> Services<R> {
    /// A set without services.
    pub fn new(runtime: R) -> Self {
        Self {
            scope: Scope::new(runtime),
            entries: Vec::new(),
            start: Stopper::new(),
            stop: Stopper::new(),
            stop_timeout: STOP_TIMEOUT,
        }
    }

    /// Sets how long each service has to stop before it is cancelled, with its connections. Default 35 s: a server's own
    /// [`drain_timeout`](crate::server::Config::drain_timeout) and a little more.
    pub fn stop_timeout(mut self, timeout: Duration) -> Self {
        self.stop_timeout = timeout;
        self
    }

    /// Adds a service: its future, and what stops it.
    pub fn add<F>(&mut self, name: &str, stopper: Stopper, future: F)
    where
        F: Future<Output = ()>,
        R: Spawn<Task<Member<Gated<F>>>>,
    {
        let gated = Gated { gate: Some(self.start.stopping()), future: Box::pin(future) };
        let child = self.scope.spawn(name, gated);
        self.entries.push(Entry { stopper, child, ending: None });
    }

    /// Adds a service of another kind: any future, made with what tells it to stop.
    pub fn add_loop<F>(&mut self, name: &str, make: impl FnOnce(Stopping) -> F)
    where
        F: Future<Output = ()>,
        R: Spawn<Task<Member<Gated<F>>>>,
    {
        let stopper = Stopper::new();
        let future = make(stopper.stopping());
        self.add(name, stopper, future);
    }

    /// Stops the set from elsewhere: [`Stopper::stop`] in good order, [`Stopper::cancel`] at once.
    pub fn stopper(&self) -> Stopper {
        self.stop.clone()
    }

    /// Runs the services until they have all ended by themselves, or the set is stopped, or one of them panics; then stops them
    /// one after the other, the one added last first. Each has [`stop_timeout`](Self::stop_timeout) to end.
    pub async fn run(self) -> Result<Ended, Failed> {
        self.drive(|_| Poll::Pending).await
    }

    /// The same, and stops them when `signal` resolves, too.
    pub async fn run_until(self, signal: impl Future) -> Result<Ended, Failed> {
        let mut signal = pin!(signal);
        let mut came = false;
        self.drive(move |cx| {
            if came {
                return Poll::Pending;
            }
            came = signal.as_mut().poll(cx).is_ready();
            if came { Poll::Ready(()) } else { Poll::Pending }
        })
        .await
    }

    /// The same, and stops them on Ctrl-C and its like ([`Interrupts`](crate::signals::Interrupts)), too. A second one cuts the stop
    /// short: all that still runs is cancelled.
    #[cfg(feature = "signals")]
    pub async fn run_until_interrupted(self) -> std::io::Result<Result<Ended, Failed>> {
        let mut interrupts = crate::signals::Interrupts::new()?;
        Ok(self.drive(move |cx| interrupts.poll_next(cx)).await)
    }

    async fn drive(mut self, mut signal: impl FnMut(&mut Context<'_>) -> Poll<()>) -> Result<Ended, Failed> {
        let stop = self.stop.clone();
        self.start.stop();
        for entry in &self.entries {
            trace::service(entry.child.name(), "started");
        }
        let mut stopping = stop.stopping();
        poll_fn(|cx| {
            let over = self.poll_ends(cx);
            if over || Pin::new(&mut stopping).poll(cx).is_ready() { Poll::Ready(()) } else { signal(cx) }
        })
        .await;
        stop.stop();
        for index in (0..self.entries.len()).rev() {
            self.stop_one(index, &stop, &mut signal).await;
        }
        self.report()
    }

    /// Looks who has ended. True when nothing is left to wait for: all have, or one has panicked.
    fn poll_ends(&mut self, cx: &mut Context<'_>) -> bool {
        let mut all = true;
        let mut panicked = false;
        for entry in &mut self.entries {
            entry.poll(cx);
            all &= entry.ending.is_some();
            panicked |= matches!(entry.ending, Some(Ending::Panicked(_)));
        }
        all || panicked
    }

    async fn stop_one(
        &mut self,
        index: usize,
        stop: &Stopper,
        signal: &mut impl FnMut(&mut Context<'_>) -> Poll<()>,
    ) {
        let runtime = self.scope.runtime().clone();
        let entry = &mut self.entries[index];
        if entry.ending.is_none() {
            trace::service(entry.child.name(), "told to stop");
            entry.stopper.stop();
        }
        let mut cancelling = stop.cancelling();
        let ended = poll_fn(|cx| {
            if entry.poll(cx) {
                return Poll::Ready(());
            }
            if signal(cx).is_ready() {
                stop.cancel();
            }
            Pin::new(&mut cancelling).poll(cx)
        });
        // Out of time is the same as out of patience.
        let _ = within(&runtime, Some(self.stop_timeout), ended).await;
        if entry.ending.is_none() {
            // Its connections first: they are not part of its future.
            entry.stopper.cancel();
            entry.child.cancel();
            poll_fn(|cx| if entry.poll(cx) { Poll::Ready(()) } else { Poll::Pending }).await;
        }
    }

    fn report(&mut self) -> Result<Ended, Failed> {
        let entries = self.entries.drain(..);
        let ended: Vec<_> = entries
            .map(|entry| (entry.child.name().into(), entry.ending.unwrap_or(Ending::Cancelled)))
            .collect();
        let failed = ended.iter().any(|(_, ending)| matches!(ending, Ending::Panicked(_)));
        if failed { Err(Failed(Ended(ended))) } else { Ok(Ended(ended)) }
    }
}

impl<R: Runtime> Drop for Services<R> {
    fn drop(&mut self) {
        // The children end with the scope; their connections have to be told.
        self.entries.iter().for_each(|entry| entry.stopper.cancel());
    }
}

impl Entry {
    /// True once it has ended.
    fn poll(&mut self, cx: &mut Context<'_>) -> bool {
        if self.ending.is_none()
            && let Poll::Ready(result) = Pin::new(&mut self.child).poll(cx)
        {
            trace::service(self.child.name(), "over");
            self.ending = Some(match result {
                Ok(()) => Ending::InGoodOrder,
                Err(JoinError::Cancelled) => Ending::Cancelled,
                Err(JoinError::Panicked(payload)) => {
                    Ending::Panicked(trace::panic_text(&*payload).to_owned())
                }
            });
        }
        self.ending.is_some()
    }
}

impl<R: Runtime> fmt::Debug for Services<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Services").field("names", &self.scope.names()).finish_non_exhaustive()
    }
}

impl Ended {
    /// Each service's name and how it ended, in the order they were added.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Ending)> {
        self.0.iter().map(|(name, ending)| (&**name, ending))
    }

    /// True when no service was cancelled, nor panicked.
    pub fn in_good_order(&self) -> bool {
        self.0.iter().all(|(_, ending)| matches!(ending, Ending::InGoodOrder))
    }
}

impl Failed {
    /// How each service ended.
    pub fn ended(&self) -> &Ended {
        &self.0
    }
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a service panicked")?;
        for (name, ending) in self.0.iter() {
            if let Ending::Panicked(text) = ending {
                write!(f, ": {name} ({text})")?;
            }
        }
        Ok(())
    }
}

impl std::error::Error for Failed {}

/// A service's future that waits for the start of the whole set.
pub struct Gated<F> {
    gate: Option<Stopping>,
    future: Pin<Box<F>>,
}

// The future is pinned in its box; nothing else is.
impl<F> Unpin for Gated<F> {}

impl<F: Future<Output = ()>> Future for Gated<F> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        if let Some(gate) = &mut this.gate {
            std::task::ready!(Pin::new(gate).poll(cx));
            this.gate = None;
        }
        this.future.as_mut().poll(cx)
    }
}

impl<F> fmt::Debug for Gated<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gated").finish_non_exhaustive()
    }
}
