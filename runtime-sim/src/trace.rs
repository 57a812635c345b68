//! What happened, as a number to compare and as a few lines to read.

use std::collections::VecDeque;
use std::fmt::Write as _;

use glowplug_core::Instant;

/// How many of the last happenings are kept for a failure's report.
const KEPT: usize = 24;

/// One thing that happened.
struct Entry {
    at: Instant,
    what: &'static str,
    which: u64,
    detail: u64,
}

/// A running hash over everything that happened, and the last of it.
pub(crate) struct Trace {
    hash: u64,
    steps: u64,
    last: VecDeque<Entry>,
}

impl Trace {
    pub(crate) fn new() -> Self {
        // The offset basis of FNV-1a; any number but zero would do.
        Self { hash: 0xcbf2_9ce4_8422_2325, steps: 0, last: VecDeque::with_capacity(KEPT) }
    }

    /// Notes that `what` happened to the `which`th of its kind.
    pub(crate) fn note(&mut self, at: Instant, what: &'static str, which: u64, detail: u64) {
        self.fold(at.as_nanos());
        for byte in what.as_bytes() {
            self.fold(u64::from(*byte));
        }
        self.fold(which);
        self.fold(detail);
        self.steps += 1;
        if self.last.len() == KEPT {
            self.last.pop_front();
        }
        self.last.push_back(Entry { at, what, which, detail });
    }

    fn fold(&mut self, word: u64) {
        // FNV-1a over words instead of bytes, with a rotation so that high bits reach low ones.
        self.hash = (self.hash ^ word).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(23);
    }

    pub(crate) fn hash(&self) -> u64 {
        self.hash
    }

    pub(crate) fn steps(&self) -> u64 {
        self.steps
    }

    /// The last happenings, one a line.
    pub(crate) fn tail(&self) -> String {
        let mut text = String::new();
        for Entry { at, what, which, detail } in &self.last {
            let _ = writeln!(text, "  {at:?}: {what} {which} ({detail})");
        }
        text
    }
}
