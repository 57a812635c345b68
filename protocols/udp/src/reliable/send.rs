//! The sending half: what is queued, in flight, lost; round trips and the congestion window.

use alloc::collections::VecDeque;
use core::time::Duration;

use bytes::Bytes;
use glowplug_core::Instant;

use super::WINDOW;
use super::wire::{BEGIN, DATA, END, FIN};

/// Transmissions acknowledged after one that was not, for that one to be lost: RFC 9002 §6.1.1.
const REORDERING: u64 = 3;
/// Segments in flight at the beginning: RFC 6928.
const INITIAL_WINDOW: u32 = 10;
/// Segments in flight after a time-out.
const MINIMUM_WINDOW: u32 = 2;

/// The bounds of the time-out.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timing {
    pub(super) initial: Duration,
    pub(super) min: Duration,
    pub(super) max: Duration,
    pub(super) attempts: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Queued,
    InFlight,
    Lost,
    Acked,
}

#[derive(Debug)]
struct Segment {
    payload: Bytes,
    flags: u8,
    state: State,
    /// Which transmission of all was its last.
    transmission: u64,
    sent_at: Instant,
    sends: u32,
}

/// What a time-out comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TimedOut {
    /// It was not time yet.
    No,
    /// Segments are to be sent again.
    Again,
    /// The peer takes nothing more: it is to be asked.
    Probe,
    /// The peer has not answered for too long.
    GiveUp,
}

#[derive(Debug)]
pub(super) struct SendHalf {
    timing: Timing,
    /// From the oldest that is not acknowledged.
    segments: VecDeque<Segment>,
    base: u64,
    /// The first segment that was never sent.
    unsent: u64,
    /// May hold segments that were acknowledged since.
    lost: VecDeque<u64>,
    in_flight: u32,
    queued_bytes: usize,
    /// The peer takes segments below this.
    limit: u64,
    transmissions: u64,
    /// The newest transmission known to have arrived.
    newest_acked: u64,

    window: u32,
    threshold: u32,
    /// Acknowledgements towards the next increase by one.
    growth: u32,
    /// A loss of an earlier transmission is part of the one that was answered already.
    recovery: u64,

    round_trip: Option<(Duration, Duration)>,
    backoff: u32,
    deadline: Option<Instant>,
}

impl SendHalf {
    pub(super) fn new(timing: Timing) -> Self {
        Self {
            timing,
            segments: VecDeque::new(),
            base: 0,
            unsent: 0,
            lost: VecDeque::new(),
            in_flight: 0,
            queued_bytes: 0,
            limit: u64::from(WINDOW),
            transmissions: 0,
            newest_acked: 0,
            window: INITIAL_WINDOW,
            threshold: u32::MAX,
            growth: 0,
            recovery: 0,
            round_trip: None,
            backoff: 0,
            deadline: None,
        }
    }

    /// Bytes that are not acknowledged.
    pub(super) fn queued_bytes(&self) -> usize {
        self.queued_bytes
    }

    /// Segments that are not acknowledged.
    pub(super) fn len(&self) -> usize {
        self.segments.len()
    }

    /// True when everything was acknowledged.
    pub(super) fn is_empty(&self) -> bool {
        self.segments.is_empty()
    }

    /// The number of the oldest segment that is not acknowledged: what acknowledgements are near to.
    pub(super) fn base(&self) -> u64 {
        self.base
    }

    /// Cuts a message into segments of at most `max` bytes.
    pub(super) fn queue(&mut self, mut message: Bytes, max: usize) {
        self.queued_bytes += message.len();
        let mut flags = DATA | BEGIN;
        loop {
            let payload = message.split_to(message.len().min(max));
            if message.is_empty() {
                self.push(payload, flags | END);
                return;
            }
            self.push(payload, flags);
            flags = DATA;
        }
    }

    /// Queues the last segment of all.
    pub(super) fn finish(&mut self) {
        self.push(Bytes::new(), DATA | BEGIN | END | FIN);
    }

    fn push(&mut self, payload: Bytes, flags: u8) {
        let segment = Segment {
            payload,
            flags,
            state: State::Queued,
            transmission: 0,
            sent_at: Instant::ZERO,
            sends: 0,
        };
        self.segments.push_back(segment);
    }

    /// The next segment to send, counted as sent: number, flags and payload.
    pub(super) fn transmit(&mut self, now: Instant) -> Option<(u64, u8, Bytes)> {
        if self.in_flight >= self.window {
            return None;
        }
        let again = loop {
            match self.lost.pop_front() {
                // Acknowledged since it was given up.
                Some(seq) if self.segment(seq).is_none_or(|segment| segment.state != State::Lost) => {}
                seq => break seq,
            }
        };
        let end = self.base + self.segments.len() as u64;
        let seq = match again {
            Some(seq) => seq,
            None if self.unsent < end.min(self.limit) => {
                self.unsent += 1;
                self.unsent - 1
            }
            None => {
                // All that may be sent was sent: if there is more, the peer has to be asked some time.
                if self.unsent < end && self.in_flight == 0 && self.deadline.is_none() {
                    self.deadline = Some(now + self.timeout());
                }
                return None;
            }
        };
        self.transmissions += 1;
        let transmission = self.transmissions;
        let segment = self.segments.get_mut((seq - self.base) as usize)?;
        segment.state = State::InFlight;
        segment.transmission = transmission;
        segment.sent_at = now;
        segment.sends += 1;
        let out = (seq, segment.flags, segment.payload.clone());
        self.in_flight += 1;
        if self.deadline.is_none() {
            self.deadline = Some(now + self.timeout());
        }
        Some(out)
    }

    fn segment(&self, seq: u64) -> Option<&Segment> {
        self.segments.get(usize::try_from(seq.checked_sub(self.base)?).ok()?)
    }

    /// The peer wants `ack` next, has of the 64 after it those whose bits are set, and takes `window` from `ack` on.
    /// False when it acknowledges what was never sent.
    pub(super) fn acknowledge(&mut self, now: Instant, ack: u64, sack: u64, window: u16) -> bool {
        let highest = ack + if sack == 0 { 0 } else { 65 - u64::from(sack.leading_zeros()) };
        if highest > self.unsent {
            return false;
        }
        // The peer is there, whatever it says.
        self.backoff = 0;
        let limit = self.limit.max(ack + u64::from(window));
        if core::mem::replace(&mut self.limit, limit) != limit && self.in_flight == 0 {
            // There is nothing to ask for any more.
            self.deadline = None;
        }
        let (mut acked, mut sample) = (0, None);
        let bits = (0..64).filter(|bit| sack >> bit & 1 == 1).map(|bit| ack + 1 + bit);
        for seq in (self.base..ack).chain(bits) {
            let Some(at) = seq.checked_sub(self.base) else { continue };
            let Some(segment) = self.segments.get_mut(at as usize) else { continue };
            if segment.state == State::Acked {
                continue;
            }
            if segment.state == State::InFlight {
                self.in_flight -= 1;
            }
            segment.state = State::Acked;
            acked += 1;
            // A segment that was sent twice says neither when it went nor which of both arrived (Karn).
            if segment.sends == 1 {
                self.newest_acked = self.newest_acked.max(segment.transmission);
                sample = Some(now - segment.sent_at);
            }
        }
        while self.segments.front().is_some_and(|segment| segment.state == State::Acked) {
            if let Some(segment) = self.segments.pop_front() {
                self.queued_bytes -= segment.payload.len();
                self.base += 1;
            }
        }
        if let Some(sample) = sample {
            self.measure(sample);
        }
        if acked > 0 {
            self.grow(acked);
            self.find_lost();
            self.deadline = (self.in_flight > 0).then(|| now + self.timeout());
        }
        true
    }

    /// Gives up what was sent long before something that arrived.
    fn find_lost(&mut self) {
        let mut newest_lost = 0;
        for (at, segment) in self.segments.iter_mut().enumerate() {
            if segment.state == State::InFlight && segment.transmission + REORDERING <= self.newest_acked {
                segment.state = State::Lost;
                self.in_flight -= 1;
                self.lost.push_back(self.base + at as u64);
                newest_lost = newest_lost.max(segment.transmission);
            }
        }
        if newest_lost > self.recovery {
            self.threshold = (self.window / 2).max(MINIMUM_WINDOW);
            self.window = self.threshold;
            self.growth = 0;
            self.recovery = self.transmissions;
        }
    }

    fn grow(&mut self, acked: u32) {
        let most = u32::from(WINDOW);
        if self.window < self.threshold {
            self.window = (self.window + acked).min(most);
            return;
        }
        self.growth += acked;
        if self.growth >= self.window {
            self.growth -= self.window;
            self.window = (self.window + 1).min(most);
        }
    }

    /// RFC 6298 §2.
    fn measure(&mut self, sample: Duration) {
        self.round_trip = Some(match self.round_trip {
            None => (sample, sample / 2),
            Some((smoothed, variation)) => {
                let off = smoothed.abs_diff(sample);
                ((smoothed * 7 + sample) / 8, (variation * 3 + off) / 4)
            }
        });
    }

    fn timeout(&self) -> Duration {
        let once = match self.round_trip {
            None => self.timing.initial,
            Some((smoothed, variation)) => smoothed + variation * 4,
        };
        let once = once.clamp(self.timing.min, self.timing.max);
        once.saturating_mul(1 << self.backoff.min(16)).min(self.timing.max)
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) -> TimedOut {
        if self.deadline.is_none_or(|deadline| now < deadline) {
            return TimedOut::No;
        }
        self.backoff += 1;
        if self.backoff > self.timing.attempts {
            self.deadline = None;
            return TimedOut::GiveUp;
        }
        self.deadline = Some(now + self.timeout());
        if self.in_flight == 0 {
            if self.is_empty() {
                self.deadline = None;
            }
            return TimedOut::Probe;
        }
        self.threshold = (self.in_flight / 2).max(MINIMUM_WINDOW);
        self.window = MINIMUM_WINDOW;
        self.growth = 0;
        self.recovery = self.transmissions;
        self.lost.clear();
        for (at, segment) in self.segments.iter_mut().enumerate() {
            if segment.state == State::InFlight {
                segment.state = State::Lost;
            }
            if segment.state == State::Lost {
                self.lost.push_back(self.base + at as u64);
            }
        }
        self.in_flight = 0;
        TimedOut::Again
    }

    /// True when nothing but the last segment, the empty one, is not acknowledged.
    pub(super) fn is_delivered(&self) -> bool {
        self.segments.iter().all(|segment| segment.flags & FIN != 0)
    }

    /// How long a peer that has not heard our last acknowledgement goes on asking for it, all but surely.
    pub(super) fn linger(&self) -> Duration {
        self.timeout().saturating_mul(16).clamp(Duration::from_secs(5), Duration::from_secs(60))
    }
}
