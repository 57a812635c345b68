//! When to connect again.

use std::time::Duration;

use glowplug_core::{Backoff, Instant};

use super::target::Target;
use crate::Runtime;

/// When to connect again after a connection was lost or could not be made.
pub(super) struct Recovery {
    /// `None`: never.
    backoff: Option<Backoff>,
    /// A connection that outlives the last wait is a success; the next wait starts from the first again.
    last_wait: Duration,
    up_since: Instant,
}

impl Recovery {
    pub(super) fn new<R: Runtime>(target: &Target<R>) -> Self {
        let backoff = target.settings.reconnect.map(|config| Backoff::new(config, &target.runtime.seed()));
        Self { backoff, last_wait: Duration::ZERO, up_since: target.runtime.now() }
    }

    /// A connection is there.
    pub(super) fn up(&mut self, now: Instant) {
        self.up_since = now;
    }

    /// A connection was lost: when to make another. Even the first try waits: many clients lose one server at the same moment.
    pub(super) fn lost(&mut self, now: Instant) -> Option<Instant> {
        if now - self.up_since > self.last_wait
            && let Some(backoff) = &mut self.backoff
        {
            backoff.succeeded();
        }
        self.failed(now)
    }

    /// An attempt failed: when to make another.
    pub(super) fn failed(&mut self, now: Instant) -> Option<Instant> {
        let at = self.backoff.as_mut()?.failed(now)?;
        self.last_wait = at - now;
        Some(at)
    }
}
