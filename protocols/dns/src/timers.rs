//! Deadlines of many, most of which never come.

use alloc::collections::BinaryHeap;
use core::cmp::Reverse;

use glowplug_core::Instant;

/// Deadlines, the soonest first. One that counts no more need not be looked for: it goes when it is the soonest, or when there are many of
/// its kind.
#[derive(Debug)]
pub(crate) struct Timers<K>(BinaryHeap<Reverse<(Instant, K)>>);

impl<K: Copy + Ord> Timers<K> {
    pub(crate) fn new() -> Self {
        Self(BinaryHeap::new())
    }

    pub(crate) fn insert(&mut self, at: Instant, key: K) {
        self.0.push(Reverse((at, key)));
    }

    /// The soonest. After a [`trim`](Self::trim) it counts.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.0.peek().map(|Reverse((at, _))| *at)
    }

    /// Takes the soonest, if its time has come.
    pub(crate) fn pop(&mut self, now: Instant) -> Option<(Instant, K)> {
        let due = self.next().is_some_and(|at| at <= now);
        if due { self.0.pop().map(|Reverse(timer)| timer) } else { None }
    }

    /// Takes out those that count no more: the soonest ones, and all of them before they are many beside the `count` that do.
    pub(crate) fn trim(&mut self, count: usize, counts: impl Fn(Instant, K) -> bool) {
        while self.0.peek().is_some_and(|Reverse((at, key))| !counts(*at, *key)) {
            self.0.pop();
        }
        if self.0.len() > 4 * count + 64 {
            self.0.retain(|Reverse((at, key))| counts(*at, *key));
        }
    }
}
