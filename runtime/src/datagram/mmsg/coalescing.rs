//! When the system is to put datagrams together.

/// Whether the system puts datagrams of one way and size together (receive offload).
///
/// It saves nearly everything where a peer sends a lot, and costs some where many peers send a little, for what the system then has to
/// say of each datagram. So it is tried when datagrams come as if it paid, and left again when it does not.
#[derive(Debug)]
pub(super) struct Coalescing {
    pub(super) on: bool,
    /// Calls in a row that brought nothing put together, while it is on; calls to go before it may be tried again, while it is off.
    calls: u32,
    /// Trials in a row that did not pay.
    failures: u32,
}

/// What [`Coalescing`] wants switched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Switch {
    On,
    Off,
}

impl Default for Coalescing {
    fn default() -> Self {
        Self { on: false, calls: Self::WARM_UP, failures: 0 }
    }
}

impl Coalescing {
    /// Calls until the first trial. A socket that lives for a few questions and their answers is gone by then, and a peer who sends a lot
    /// has hardly begun.
    const WARM_UP: u32 = 64;
    /// So many datagrams of one way and size in one call look like a peer who sends a lot.
    pub(super) const RUN: usize = 8;
    /// A trial is over after so many calls without a datagram put together.
    const TRIAL: u32 = 64;
    /// Calls until the next trial, after the first that did not pay; twice as many after each further one, up to a thousand times.
    const PAUSE: u32 = 1024;

    /// What came with one call: the longest run of one way and size, and whether anything was put together.
    pub(super) fn came(&mut self, run: usize, together: bool) -> Option<Switch> {
        if !self.on {
            self.calls = self.calls.saturating_sub(1);
            return (run >= Self::RUN && self.calls == 0).then_some(Switch::On);
        }
        if together {
            (self.calls, self.failures) = (0, 0);
            return None;
        }
        self.calls += 1;
        (self.calls >= Self::TRIAL).then_some(Switch::Off)
    }

    /// It was switched, or could not be.
    pub(super) fn switched(&mut self, on: bool) {
        self.on = on;
        if on {
            self.calls = 0;
        } else {
            self.calls = Self::PAUSE << self.failures.min(10);
            self.failures += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_tried_when_it_may_pay_and_left_when_it_does_not() {
        let mut coalescing = Coalescing::default();
        assert!((1..Coalescing::WARM_UP).all(|_| coalescing.came(64, false).is_none()));
        assert_eq!(coalescing.came(7, false), None);
        assert_eq!(coalescing.came(8, false), Some(Switch::On));
        coalescing.switched(true);
        // It pays now and then: it stays.
        for _ in 0..10 {
            assert!((1..64).all(|_| coalescing.came(64, false).is_none()));
            assert_eq!(coalescing.came(60, true), None);
        }
        assert!((1..64).all(|_| coalescing.came(64, false).is_none()));
        assert_eq!(coalescing.came(64, false), Some(Switch::Off));
        coalescing.switched(false);
        // And each further trial comes later.
        for pause in [1024, 2048, 4096] {
            assert!((1..pause).all(|_| coalescing.came(64, false).is_none()), "{pause}");
            assert_eq!(coalescing.came(64, false), Some(Switch::On));
            coalescing.switched(true);
            while coalescing.came(64, false).is_none() {}
            coalescing.switched(false);
        }
    }
}
