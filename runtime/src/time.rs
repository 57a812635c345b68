//! Sleeping and deadlines, on any runtime.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use glowplug_core::Instant;
use pin_project_lite::pin_project;

use crate::{Runtime, Timer};

/// Waits for `duration`.
pub fn sleep<R: Runtime>(runtime: &R, duration: Duration) -> Sleep<R::Timer> {
    sleep_until(runtime, runtime.now() + duration)
}

/// Waits until `at`.
pub fn sleep_until<R: Runtime>(runtime: &R, at: Instant) -> Sleep<R::Timer> {
    let mut timer = runtime.timer();
    timer.reset(Some(at));
    Sleep(timer)
}

/// The future of [`sleep`].
#[must_use = "nobody sleeps until the future is polled"]
pub struct Sleep<T>(T);

impl<T: Timer + Unpin> Future for Sleep<T> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.0.poll_expired(cx)
    }
}

impl<T> fmt::Debug for Sleep<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sleep").finish_non_exhaustive()
    }
}

/// The time for something was up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Elapsed;

impl fmt::Display for Elapsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the deadline has passed")
    }
}

impl std::error::Error for Elapsed {}

impl From<Elapsed> for std::io::Error {
    fn from(elapsed: Elapsed) -> Self {
        Self::new(std::io::ErrorKind::TimedOut, elapsed)
    }
}

/// Runs `future` for at most `duration`, and drops it then. `None` lets it run for ever.
pub fn within<R: Runtime, F: Future>(
    runtime: &R,
    duration: Option<Duration>,
    future: F,
) -> Within<F, R::Timer> {
    Within { future, sleep: duration.map(|duration| sleep(runtime, duration)) }
}

pin_project! {
    /// The future of [`within`].
    #[must_use = "nothing is done until the future is polled"]
    pub struct Within<F, T> {
        // Named rather than written as `async`, which would hold the future that it is given twice.
        #[pin]
        future: F,
        sleep: Option<Sleep<T>>,
    }
}

impl<F: Future, T: Timer + Unpin> Future for Within<F, T> {
    type Output = Result<F::Output, Elapsed>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if let Poll::Ready(output) = this.future.poll(cx) {
            return Poll::Ready(Ok(output));
        }
        match this.sleep {
            Some(sleep) => Pin::new(sleep).poll(cx).map(|()| Err(Elapsed)),
            None => Poll::Pending,
        }
    }
}

impl<F, T> fmt::Debug for Within<F, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Within").finish_non_exhaustive()
    }
}
