//! Waiting longer after each failure.

use core::time::Duration;

use crate::{Instant, Rng, Seed};

/// How long to wait between attempts: from `first`, times `factor` after each failure, up to `max`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BackoffConfig {
    /// The wait after the first failure. Default 50 ms.
    pub first: Duration,
    /// The longest wait. Default 30 s.
    pub max: Duration,
    /// What each failure multiplies the wait by; at least 1. Default 2.
    pub factor: u32,
    /// How many failures in a row to accept before giving up; `None` never gives up, which is the default.
    pub attempts: Option<u32>,
}

impl Default for BackoffConfig {
    fn default() -> Self {
        Self { first: Duration::from_millis(50), max: Duration::from_secs(30), factor: 2, attempts: None }
    }
}

/// Exponential backoff with full jitter: each wait is drawn evenly from the upper half of the current span, so that a
/// thousand clients of one restarted server do not come back at the same moment.
///
/// ```
/// use glowplug_core::{Backoff, BackoffConfig, Instant, Seed};
/// let mut backoff = Backoff::new(BackoffConfig::default(), &Seed::from_u64(1));
/// let retry_at = backoff.failed(Instant::ZERO).expect("the default never gives up");
/// assert!(retry_at > Instant::ZERO);
/// backoff.succeeded();
/// ```
#[derive(Debug)]
pub struct Backoff {
    config: BackoffConfig,
    rng: Rng,
    failures: u32,
}

impl Backoff {
    /// A backoff that has seen no failure.
    pub fn new(config: BackoffConfig, seed: &Seed) -> Self {
        Self { config, rng: seed.rng(), failures: 0 }
    }

    /// An attempt failed at `now`: when to try again, or `None` when the configured attempts are used up.
    pub fn failed(&mut self, now: Instant) -> Option<Instant> {
        self.failures = self.failures.saturating_add(1);
        if self.config.attempts.is_some_and(|attempts| self.failures >= attempts) {
            return None;
        }
        let factor = self.config.factor.max(1).checked_pow(self.failures - 1).unwrap_or(u32::MAX);
        let span = self.config.first.saturating_mul(factor).min(self.config.max);
        let span = u64::try_from(span.as_nanos()).unwrap_or(u64::MAX);
        let wait = span / 2 + self.rng.below(span / 2 + 1);
        Some(now + Duration::from_nanos(wait))
    }

    /// An attempt succeeded: the next failure waits from the start again.
    pub fn succeeded(&mut self) {
        self.failures = 0;
    }

    /// Failures since the last success.
    pub fn failures(&self) -> u32 {
        self.failures
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_the_maximum_and_start_again_after_success() {
        let config = BackoffConfig { max: Duration::from_secs(1), ..BackoffConfig::default() };
        let mut backoff = Backoff::new(config, &Seed::from_u64(3));
        for span in [50, 100, 200, 400, 800, 1000, 1000] {
            let wait = backoff.failed(Instant::ZERO).unwrap() - Instant::ZERO;
            let span = Duration::from_millis(span);
            assert!(wait >= span / 2 && wait <= span, "{wait:?} for a span of {span:?}");
        }
        backoff.succeeded();
        assert!(backoff.failed(Instant::ZERO).unwrap() - Instant::ZERO <= Duration::from_millis(50));
    }

    #[test]
    fn gives_up_after_the_configured_attempts_and_never_overflows() {
        let config = BackoffConfig { attempts: Some(2), ..BackoffConfig::default() };
        let mut backoff = Backoff::new(config, &Seed::from_u64(3));
        assert!(backoff.failed(Instant::ZERO).is_some());
        assert!(backoff.failed(Instant::ZERO).is_none());
        let endless =
            BackoffConfig { first: Duration::MAX, max: Duration::MAX, factor: u32::MAX, attempts: None };
        let mut backoff = Backoff::new(endless, &Seed::from_u64(3));
        for _ in 0..100 {
            assert!(backoff.failed(Instant::ZERO).is_some());
        }
    }
}
