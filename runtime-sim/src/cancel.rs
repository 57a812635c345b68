//! Futures that are dropped before they are done, on purpose.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

/// Polls `future` at most `polls` times, then drops it: the result is its output, or `None` if it was dropped.
///
/// With 0 the future is dropped unpolled. It needs no simulator: on any executor, a test that counts up from 0 until
/// the result is `Some` has cancelled an operation at every place where it can be cancelled.
///
/// A future that waits costs one poll per wake-up, so it is dropped at its `polls`th poll, at once, and not when it
/// would have been woken again.
pub fn dropped_after<F: Future>(polls: u64, future: F) -> DroppedAfter<F> {
    DroppedAfter { future: Some(Box::pin(future)), polls }
}

/// What [`dropped_after`] returns.
#[must_use = "futures do nothing unless polled"]
pub struct DroppedAfter<F> {
    // Boxed, so that dropping it in place needs no pin projection.
    future: Option<Pin<Box<F>>>,
    polls: u64,
}

impl<F> std::fmt::Debug for DroppedAfter<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DroppedAfter").field("polls", &self.polls).finish_non_exhaustive()
    }
}

impl<F: Future> Future for DroppedAfter<F> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        if let Some(future) = this.future.as_mut().filter(|_| this.polls > 0) {
            this.polls -= 1;
            if let Poll::Ready(output) = future.as_mut().poll(cx) {
                this.future = None;
                return Poll::Ready(Some(output));
            }
        }
        if this.polls == 0 {
            this.future = None;
            return Poll::Ready(None);
        }
        Poll::Pending
    }
}
