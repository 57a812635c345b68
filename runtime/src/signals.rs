//! Ctrl-C, as something to wait for on any executor.
//!
//! A thread that no executor knows waits for the system's signals and wakes whoever listens here. For the other signals of Unix, use the
//! crates `signal-hook` or `async-signal`, or your executor's own.

use std::collections::BTreeMap;
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// The listeners of this process. The handler is installed once, and never taken back.
static INSTALLED: Mutex<Option<Arc<Shared>>> = Mutex::new(None);

#[derive(Default)]
struct Shared(Mutex<State>);

#[derive(Default)]
struct State {
    /// Signals since the handler was installed.
    count: u64,
    next_id: u64,
    wakers: BTreeMap<u64, Waker>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn came(&self) {
        let wakers = {
            let mut state = self.lock();
            state.count += 1;
            std::mem::take(&mut state.wakers)
        };
        wakers.into_values().for_each(Waker::wake);
    }
}

/// A thread that waits for signals. Handlers of others are called as before, and a signal that was ignored is heard.
#[cfg(unix)]
fn install(shared: Arc<Shared>) -> io::Result<()> {
    use signal_hook::consts::{SIGINT, SIGTERM};
    let mut signals = signal_hook::iterator::Signals::new([SIGINT, SIGTERM])?;
    let thread = std::thread::Builder::new().name("glowplug signals".to_owned());
    thread.spawn(move || signals.forever().for_each(|_| shared.came()))?;
    Ok(())
}

#[cfg(not(unix))]
fn install(shared: Arc<Shared>) -> io::Result<()> {
    ctrlc::try_set_handler(move || shared.came()).map_err(|error| match error {
        ctrlc::Error::System(error) => error,
        other => io::Error::new(io::ErrorKind::AlreadyExists, other),
    })
}

/// The requests to end this process: Ctrl-C, and on Unix SIGTERM as well.
///
/// Every listener hears every signal that comes after it was made. From the first listener on, these signals no longer end the process by
/// themselves.
pub struct Interrupts {
    shared: Arc<Shared>,
    id: u64,
    seen: u64,
}

impl Interrupts {
    /// Starts listening. The first time it installs the process's handler; elsewhere than on Unix that fails if there is one already.
    pub fn new() -> io::Result<Self> {
        let mut installed = INSTALLED.lock().unwrap_or_else(PoisonError::into_inner);
        let shared = match &*installed {
            Some(shared) => shared.clone(),
            None => {
                let shared = Arc::new(Shared::default());
                install(shared.clone())?;
                installed.insert(shared).clone()
            }
        };
        drop(installed);
        let (id, seen) = {
            let mut state = shared.lock();
            state.next_id += 1;
            (state.next_id, state.count)
        };
        Ok(Self { shared, id, seen })
    }

    /// Waits for the next signal. Dropping the future loses none.
    pub async fn next(&mut self) {
        poll_fn(|cx| self.poll_next(cx)).await;
    }

    /// [`next`](Self::next) as a poll function.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.shared.lock();
        if state.count > self.seen {
            self.seen += 1;
            return Poll::Ready(());
        }
        state.wakers.insert(self.id, cx.waker().clone());
        Poll::Pending
    }
}

impl Drop for Interrupts {
    fn drop(&mut self) {
        self.shared.lock().wakers.remove(&self.id);
    }
}

impl fmt::Debug for Interrupts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Interrupts").field("seen", &self.seen).finish_non_exhaustive()
    }
}
