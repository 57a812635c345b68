//! The one deadline of a connection: each state has at most one, and a new state replaces it.

use core::time::Duration;

use glowplug_core::Instant;

use crate::error::Phase;

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Timer(Option<(Phase, Instant)>);

impl Timer {
    /// Waits for `timeout` from now on, or for ever.
    pub(crate) fn set(&mut self, phase: Phase, now: Instant, timeout: Option<Duration>) {
        self.0 = timeout.map(|timeout| (phase, now + timeout));
    }

    pub(crate) fn clear(&mut self) {
        self.0 = None;
    }

    pub(crate) fn is_set(&self) -> bool {
        self.0.is_some()
    }

    pub(crate) fn phase(&self) -> Option<Phase> {
        self.0.map(|(phase, _)| phase)
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.0.map(|(_, deadline)| deadline)
    }

    /// The phase whose deadline has passed; it is over with that.
    pub(crate) fn expire(&mut self, now: Instant) -> Option<Phase> {
        let (phase, deadline) = self.0?;
        if now < deadline {
            return None;
        }
        self.0 = None;
        Some(phase)
    }

    /// `len` bytes of a body came: at `rate` bytes a second they buy time, up to `timeout` from now. At rate 0 any
    /// byte buys all of it.
    pub(crate) fn earn(&mut self, now: Instant, len: usize, timeout: Option<Duration>, rate: u32) {
        let (Some(timeout), latest) = (timeout, self.deadline()) else { return };
        let full = now + timeout;
        let earned = match latest {
            Some(deadline) if rate > 0 => {
                let nanos = (len as u64).saturating_mul(1_000_000_000) / u64::from(rate);
                (deadline + Duration::from_nanos(nanos)).min(full)
            }
            _ => full,
        };
        self.0 = Some((Phase::Body, earned));
    }
}
