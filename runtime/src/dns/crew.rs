//! Futures of one kind at work side by side: a server's handlers.

use std::collections::VecDeque;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use glowplug_core::Instant;

use super::board::{Bell, Board};

/// Futures, each with what it works for, each with a deadline. Those that end free their place, and its memory serves the next.
pub(super) struct Crew<F, C> {
    places: Vec<Place<F, C>>,
    free: Vec<usize>,
    board: Arc<Board>,
    rung: Vec<u64>,
    /// Places to look at before the board is asked again.
    ready: VecDeque<usize>,
    /// In order, which is the order of time. Those that are gone are skipped.
    deadlines: VecDeque<(Instant, usize, u64)>,
    shifts: u64,
}

struct Place<F, C> {
    future: Pin<Box<Option<F>>>,
    context: Option<C>,
    /// Which of all futures this is, so that an old deadline is told from a new one.
    shift: u64,
    bell: Arc<Bell>,
    waker: Waker,
}

impl<F: Future, C> Crew<F, C> {
    pub(super) fn new() -> Self {
        Self {
            places: Vec::new(),
            free: Vec::new(),
            board: Arc::default(),
            rung: Vec::new(),
            ready: VecDeque::new(),
            deadlines: VecDeque::new(),
            shifts: 0,
        }
    }

    /// How many are at work.
    pub(super) fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }

    /// Takes one more in. Deadlines come in the order of time.
    pub(super) fn push(&mut self, future: F, context: C, deadline: Instant) {
        self.shifts += 1;
        let at = self.free.pop().unwrap_or_else(|| {
            let bell = self.board.bell(self.places.len() as u64);
            bell.hear();
            let waker = Waker::from(Arc::clone(&bell));
            self.places.push(Place { future: Box::pin(None), context: None, shift: 0, bell, waker });
            self.places.len() - 1
        });
        let place = &mut self.places[at];
        place.future.set(Some(future));
        place.context = Some(context);
        place.shift = self.shifts;
        place.bell.ring();
        self.deadlines.push_back((deadline, at, self.shifts));
    }

    /// The first deadline of those at work.
    pub(super) fn poll_timeout(&mut self) -> Option<Instant> {
        while let Some((at, place, shift)) = self.deadlines.front() {
            let place = &self.places[*place];
            if place.shift == *shift && place.context.is_some() {
                return Some(*at);
            }
            self.deadlines.pop_front();
        }
        None
    }

    /// The next that has ended: `None` for its output if its time was up, or if it panicked.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, now: Instant) -> Poll<(C, Option<F::Output>)> {
        if self.poll_timeout().is_some_and(|at| at <= now)
            && let Some((_, at, _)) = self.deadlines.pop_front()
            && let Some(context) = self.dismiss(at)
        {
            return Poll::Ready((context, None));
        }
        self.board.listen(cx.waker());
        if self.ready.is_empty() {
            // Once a poll: a handler that wakes itself without end must not keep the others from their turns.
            self.board.take(&mut self.rung);
            self.ready.extend(self.rung.iter().map(|key| *key as usize));
        }
        while let Some(at) = self.ready.pop_front() {
            let place = &mut self.places[at];
            place.bell.hear();
            let Some(future) = place.future.as_mut().as_pin_mut() else { continue };
            let mut cx = Context::from_waker(&place.waker);
            // After a panic the future is dropped and never polled again, so nobody sees what it left half done.
            let output = match catch_unwind(AssertUnwindSafe(|| future.poll(&mut cx))) {
                Ok(Poll::Pending) => continue,
                Ok(Poll::Ready(output)) => Some(output),
                Err(_) => None,
            };
            if let Some(context) = self.dismiss(at) {
                return Poll::Ready((context, output));
            }
        }
        Poll::Pending
    }

    /// Drops those at work for what `is` names.
    #[cfg(feature = "dns-https")]
    pub(super) fn dismiss_if(&mut self, is: impl Fn(&C) -> bool) {
        for at in 0..self.places.len() {
            if self.places[at].context.as_ref().is_some_and(&is) {
                self.dismiss(at);
            }
        }
    }

    fn dismiss(&mut self, at: usize) -> Option<C> {
        let place = &mut self.places[at];
        place.future.set(None);
        let context = place.context.take()?;
        self.free.push(at);
        Some(context)
    }
}
