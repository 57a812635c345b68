//! Deadlines of any number of slots, in constant time each.
//!
//! A hierarchical timing wheel: eight levels of 64 buckets, a tick of about a millisecond at the lowest. A slot hangs in
//! the bucket of the highest digit in which its deadline differs from the present; when that moment comes the bucket is
//! taken off and its slots are asked again, so each is touched at most once per level, and expiring all of `n` slots is
//! linear in `n`. Nothing is compared or sorted, and a popped slot need not be due: whoever pops looks at the slot's own
//! stamp and arms it again. That is what makes a stamp per datagram enough, without moving anything.

use alloc::vec::Vec;

use glowplug_core::Instant;

const NIL: u32 = u32::MAX;
/// Marks a `prev` that names a bucket instead of a slot.
const BUCKET: u32 = 1 << 31;
/// Nanoseconds in a tick, as a shift: 2^20 ns.
const TICK_SHIFT: u32 = 20;
const DIGIT: u32 = 6;
/// Eight digits of six bits cover the 44 bits of ticks there are until the end of time.
const LEVELS: usize = 8;
const BUCKETS: usize = 64;
/// The list of slots whose bucket has come, after those of the levels.
const PENDING: usize = LEVELS * BUCKETS;

#[derive(Clone, Copy, Debug)]
struct Link {
    next: u32,
    /// The slot before, or the bucket (marked), or `NIL` when the slot is not armed.
    prev: u32,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Wheel {
    links: Vec<Link>,
    heads: [u32; PENDING + 1],
    occupied: [u64; LEVELS],
    /// The tick up to which every bucket has been taken off.
    elapsed: u64,
}

impl Wheel {
    pub(crate) fn new() -> Self {
        Self { links: Vec::new(), heads: [NIL; PENDING + 1], occupied: [0; LEVELS], elapsed: 0 }
    }

    /// Sets the deadline of `slot`, whatever it was before. It fires up to one tick late, never early.
    pub(crate) fn arm(&mut self, slot: u32, at: Instant) {
        debug_assert!(slot < BUCKET);
        self.disarm(slot);
        let index = slot as usize;
        if self.links.len() <= index {
            self.links.resize(index + 1, Link { next: NIL, prev: NIL });
        }
        let tick = at.as_nanos().div_ceil(1 << TICK_SHIFT);
        let bucket = match tick.max(self.elapsed) ^ self.elapsed {
            0 => PENDING,
            differs => {
                let level = differs.ilog2() / DIGIT;
                let digit = (tick >> (level * DIGIT)) as usize % BUCKETS;
                self.occupied[level as usize] |= 1 << digit;
                level as usize * BUCKETS + digit
            }
        };
        let next = core::mem::replace(&mut self.heads[bucket], slot);
        if next != NIL {
            self.links[next as usize].prev = slot;
        }
        self.links[index] = Link { next, prev: BUCKET | bucket as u32 };
    }

    /// Takes the deadline of `slot` away, if it has one.
    pub(crate) fn disarm(&mut self, slot: u32) {
        let Some(link) = self.links.get_mut(slot as usize) else { return };
        let Link { next, prev } = core::mem::replace(link, Link { next: NIL, prev: NIL });
        if prev == NIL {
            return;
        }
        if next != NIL {
            self.links[next as usize].prev = prev;
        }
        if prev & BUCKET == 0 {
            self.links[prev as usize].next = next;
            return;
        }
        let bucket = (prev & !BUCKET) as usize;
        self.heads[bucket] = next;
        if next == NIL && bucket < PENDING {
            self.occupied[bucket / BUCKETS] &= !(1 << (bucket % BUCKETS));
        }
    }

    /// When to look next, at the earliest deadline or before it.
    pub(crate) fn next(&self) -> Option<Instant> {
        let tick = if self.heads[PENDING] == NIL { self.next_bucket()?.1 } else { self.elapsed };
        Some(Instant::from_nanos(tick.saturating_mul(1 << TICK_SHIFT)))
    }

    /// A slot that may be due at `now`, disarmed. `None` when none is left.
    pub(crate) fn pop(&mut self, now: Instant) -> Option<u32> {
        let now = now.as_nanos() >> TICK_SHIFT;
        loop {
            let slot = self.heads[PENDING];
            if slot != NIL {
                self.disarm(slot);
                return Some(slot);
            }
            match self.next_bucket() {
                Some((bucket, start)) if start <= now => {
                    self.elapsed = start;
                    self.take_off(bucket);
                }
                // No bucket begins on the way, so every slot's highest differing digit stays what it is.
                _ => {
                    self.elapsed = self.elapsed.max(now);
                    return None;
                }
            }
        }
    }

    /// The bucket that comes first, and its first tick.
    fn next_bucket(&self) -> Option<(usize, u64)> {
        // What hangs on a lower level shares more digits with the present, so it comes before all of the higher ones.
        let level = self.occupied.iter().position(|&occupied| occupied != 0)?;
        let digit = self.occupied[level].trailing_zeros();
        let shift = level as u32 * DIGIT;
        let above = self.elapsed >> (shift + DIGIT) << (shift + DIGIT);
        Some((level * BUCKETS + digit as usize, above | u64::from(digit) << shift))
    }

    /// Moves a whole bucket to the pending list, which is empty.
    fn take_off(&mut self, bucket: usize) {
        let head = core::mem::replace(&mut self.heads[bucket], NIL);
        self.occupied[bucket / BUCKETS] &= !(1 << (bucket % BUCKETS));
        self.heads[PENDING] = head;
        if head != NIL {
            self.links[head as usize].prev = BUCKET | PENDING as u32;
        }
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;
    use std::collections::BTreeMap;

    use glowplug_core::Seed;

    use super::*;

    const TICK: u64 = 1 << TICK_SHIFT;

    /// Pops as a user does: what is not due yet is armed again.
    fn fired(wheel: &mut Wheel, due: &mut BTreeMap<u32, Instant>, now: Instant) -> Vec<u32> {
        let mut out = Vec::new();
        while let Some(slot) = wheel.pop(now) {
            let at = due[&slot];
            if at <= now {
                due.remove(&slot);
                out.push(slot);
            } else {
                wheel.arm(slot, at);
            }
        }
        out.sort_unstable();
        out
    }

    #[test]
    fn fires_like_a_sorted_map_whatever_the_order_and_the_steps() {
        for seed in 0..100 {
            let mut rng = Seed::from_u64(seed).rng();
            let (mut wheel, mut due) = (Wheel::new(), BTreeMap::new());
            let mut now = Instant::ZERO;
            for _ in 0..300 {
                let slot = rng.below(50) as u32;
                let far = 1 << rng.below(45);
                match rng.below(4) {
                    0 | 1 => {
                        let at = now + Duration::from_nanos(rng.below(far));
                        wheel.arm(slot, at);
                        due.insert(slot, at);
                    }
                    2 => {
                        wheel.disarm(slot);
                        due.remove(&slot);
                    }
                    _ => {
                        now += Duration::from_nanos(rng.below(far));
                        // On a tick, so that "up to a tick late" is "not late".
                        now = Instant::from_nanos(now.as_nanos().next_multiple_of(TICK));
                        let expected: Vec<u32> =
                            due.iter().filter(|(_, at)| **at <= now).map(|(slot, _)| *slot).collect();
                        assert_eq!(fired(&mut wheel, &mut due, now), expected, "seed {seed}");
                        assert!(wheel.next().is_none_or(|next| next > now), "seed {seed}: still due");
                    }
                }
                let first = due.values().min().map(|at| at.as_nanos().next_multiple_of(TICK));
                assert_eq!(wheel.next().is_some(), first.is_some());
                assert!(wheel.next().map(Instant::as_nanos) <= first, "seed {seed}: wakes too late");
            }
        }
    }

    #[test]
    fn the_end_of_time_is_a_deadline_like_any_other() {
        let mut wheel = Wheel::new();
        wheel.arm(0, Instant::FAR_FUTURE);
        assert_eq!(wheel.pop(Instant::from_nanos(1 << 60)), None);
        assert!(wheel.next().is_some());
    }

    #[test]
    fn each_slot_is_popped_at_most_once_per_level() {
        let mut wheel = Wheel::new();
        let at = Instant::ZERO + Duration::from_secs(120);
        for slot in 0..1000 {
            wheel.arm(slot, at);
        }
        let (mut pops, mut fired) = (0, 0);
        while fired < 1000 {
            let now = wheel.next().unwrap();
            while let Some(slot) = wheel.pop(now) {
                pops += 1;
                if at <= now {
                    fired += 1;
                } else {
                    wheel.arm(slot, at);
                }
            }
        }
        assert!(pops <= 1000 * LEVELS, "{pops}");
    }
}
