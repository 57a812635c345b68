//! A rate limit in eight bytes per peer.

use core::time::Duration;

use glowplug_core::Instant;

/// How many datagrams one peer may send: `per_second` in the long run, `burst` at once.
///
/// The generic cell rate algorithm (ITU-T I.371): one time stamp per peer, no tokens to refill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    interval: Duration,
    tolerance: Duration,
}

impl RateLimit {
    /// `per_second` datagrams a second (at least 1), after a burst of `burst` (at least 1).
    pub fn new(per_second: u32, burst: u32) -> Self {
        let interval = Duration::from_nanos(1_000_000_000 / u64::from(per_second.max(1)));
        Self { interval, tolerance: interval.saturating_mul(burst.max(1) - 1) }
    }

    /// Whether one more fits at `now`; if so it is counted in `next`, the moment at which the peer is owed nothing.
    pub(crate) fn admit(self, next: &mut Instant, now: Instant) -> bool {
        if *next > now + self.tolerance {
            return false;
        }
        *next = (*next).max(now) + self.interval;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_then_the_rate() {
        let limit = RateLimit::new(10, 3);
        let mut next = Instant::ZERO;
        let mut admitted = |millis| limit.admit(&mut next, Instant::ZERO + Duration::from_millis(millis));
        let first = [0, 0, 0, 0, 50, 100, 100, 250, 1000, 1000, 1000, 1000].map(&mut admitted);
        assert_eq!(first, [true, true, true, false, false, true, false, true, true, true, true, false]);
    }

    #[test]
    fn nothing_is_made_of_zero() {
        let mut next = Instant::ZERO;
        assert!(RateLimit::new(0, 0).admit(&mut next, Instant::ZERO));
        assert!(!RateLimit::new(0, 0).admit(&mut next, Instant::ZERO));
    }
}
