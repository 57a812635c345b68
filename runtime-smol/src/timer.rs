//! One deadline.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use glowplug_core::Instant;

use crate::runtime::to_system;

/// One deadline in async-io's timer heap. Costs nothing until it is first armed.
#[derive(Debug)]
pub struct Timer {
    timer: Option<smol::Timer>,
    expired: bool,
}

impl Timer {
    pub(crate) fn new() -> Self {
        Self { timer: None, expired: false }
    }
}

impl glowplug_runtime::Timer for Timer {
    fn reset(&mut self, at: Option<Instant>) {
        self.expired = false;
        match (at.map(to_system), &mut self.timer) {
            (Some(at), Some(timer)) => timer.set_at(at),
            (Some(at), None) => self.timer = Some(smol::Timer::at(at)),
            (None, _) => self.timer = None,
        }
    }

    fn poll_expired(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(timer) = self.timer.as_mut().filter(|_| !self.expired) {
            // A timer that has fired stays silent for ever: remember that it did.
            self.expired = Pin::new(timer).poll(cx).is_ready();
        }
        if self.expired { Poll::Ready(()) } else { Poll::Pending }
    }
}
