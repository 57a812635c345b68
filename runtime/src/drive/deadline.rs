//! One timer for a deadline that moves with every request.

use std::task::{Context, Poll, Waker};

use glowplug_core::Instant;

use crate::Timer;

/// A deadline on a lazily re-armed timer.
///
/// A connection's deadline moves on with every request, and re-arming an executor's timer costs more than the request. So the
/// timer is only ever moved forward; when it fires before the deadline, it is armed again for the rest.
pub(crate) struct Deadline<T> {
    timer: T,
    wanted: Option<Instant>,
    armed: Option<Instant>,
    /// Whom the timer wakes. A timer that was polled by this waker since it was armed need not be polled again.
    waker: Option<Waker>,
}

impl<T: Timer> Deadline<T> {
    pub(crate) fn new(timer: T) -> Self {
        Self { timer, wanted: None, armed: None, waker: None }
    }

    pub(crate) fn set(&mut self, wanted: Option<Instant>) {
        self.wanted = wanted;
    }

    /// True when the deadline has passed at `now`.
    pub(crate) fn is_due(&self, now: Instant) -> bool {
        self.wanted.is_some_and(|at| at <= now)
    }

    /// Ready when the deadline has passed; otherwise the task is woken no later than then.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>, now: Instant) -> Poll<()> {
        let Some(wanted) = self.wanted else { return Poll::Pending };
        if wanted <= now {
            return Poll::Ready(());
        }
        // An armed time that is over has fired, and wakes nobody again.
        if self.armed.is_none_or(|armed| armed > wanted || armed <= now) {
            self.arm(wanted);
        }
        while self.waker.as_ref().is_none_or(|waker| !waker.will_wake(cx.waker())) {
            if self.timer.poll_expired(cx).is_pending() {
                self.waker = Some(cx.waker().clone());
                break;
            }
            // It fired: in the past as its own clock sees it, which may be a moment ahead of `now`.
            if self.armed >= self.wanted {
                return Poll::Ready(());
            }
            self.arm(wanted);
        }
        Poll::Pending
    }

    fn arm(&mut self, at: Instant) {
        self.timer.reset(Some(at));
        self.armed = Some(at);
        self.waker = None;
    }
}
