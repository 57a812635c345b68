//! One deadline.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use glowplug_core::Instant;
use tokio::task::unconstrained;
use tokio::time::Sleep;

use crate::runtime::to_tokio;

/// One deadline on tokio's timer wheel. Costs nothing until it is first armed.
#[derive(Debug)]
pub struct Timer {
    sleep: Option<Pin<Box<Sleep>>>,
    armed: bool,
}

impl Timer {
    pub(crate) fn new() -> Self {
        Self { sleep: None, armed: false }
    }
}

impl glowplug_runtime::Timer for Timer {
    fn reset(&mut self, at: Option<Instant>) {
        self.armed = at.is_some();
        if let Some(at) = at.map(to_tokio) {
            match &mut self.sleep {
                Some(sleep) => sleep.as_mut().reset(at),
                None => self.sleep = Some(Box::pin(tokio::time::sleep_until(at))),
            }
        }
    }

    fn poll_expired(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match &mut self.sleep {
            // Outside of tokio's budget: a task that has used it up would be woken at once, and the timer would not know its waker. Who
            // polls a timer once for each waker would then miss the deadline.
            Some(sleep) if self.armed => Pin::new(&mut unconstrained(sleep.as_mut())).poll(cx),
            _ => Poll::Pending,
        }
    }
}
