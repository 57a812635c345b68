//! What lies under the lock: the machine, and who waits for what it says.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use glowplug_core::{Instant, Rng, Token};
use glowplug_dns::resolver::Order;

use super::machine::{Machine, Said};
use super::wire::Outcome;

/// The state that handles, lookups and the driver's task share.
pub(super) struct Shared<M: Machine>(Mutex<State<M>>);

pub(super) struct State<M: Machine> {
    pub(super) machine: M,
    /// Dice for orders of preference.
    pub(super) rng: Rng,
    slots: Slots<M>,
    /// Requests of those who have no clock: the task submits them.
    incoming: VecDeque<(Token, M::Request)>,
    handles: usize,
    /// The driver is gone.
    over: bool,
    task: Option<Waker>,
    /// Until when the task sleeps if nobody wakes it.
    sleeps_until: Option<Instant>,
}

/// One request, seen from the one who waits.
struct Slot<M: Machine> {
    /// Most requests have one answer: it needs no queue of its own.
    answer: Option<M::Answer>,
    more: VecDeque<M::Answer>,
    end: Option<Result<(), M::Error>>,
    waker: Option<Waker>,
}

impl<M: Machine> Slot<M> {
    fn new(end: Option<Result<(), M::Error>>) -> Self {
        Self { answer: None, more: VecDeque::new(), end, waker: None }
    }

    fn push(&mut self, answer: M::Answer) {
        if self.answer.is_none() && self.more.is_empty() {
            self.answer = Some(answer);
        } else {
            self.more.push_back(answer);
        }
    }

    fn pop(&mut self) -> Option<M::Answer> {
        self.answer.take().or_else(|| self.more.pop_front())
    }
}

/// The slots by token. A token is a place and, above it, how often that place was given away: an old token finds nothing.
struct Slots<M: Machine> {
    places: Vec<(u32, Option<Slot<M>>)>,
    free: Vec<u32>,
}

impl<M: Machine> Slots<M> {
    fn insert(&mut self, slot: Slot<M>) -> Token {
        let at = self.free.pop().unwrap_or_else(|| {
            self.places.push((0, None));
            self.places.len() as u32 - 1
        });
        let (turn, place) = &mut self.places[at as usize];
        *turn = turn.wrapping_add(1);
        *place = Some(slot);
        Token(u64::from(*turn) << 32 | u64::from(at))
    }

    fn get_mut(&mut self, token: Token) -> Option<&mut Slot<M>> {
        let (turn, place) = self.places.get_mut(token.0 as u32 as usize)?;
        place.as_mut().filter(|_| u64::from(*turn) == token.0 >> 32)
    }

    fn remove(&mut self, token: Token) -> Option<Slot<M>> {
        self.get_mut(token)?;
        let at = token.0 as u32;
        self.free.push(at);
        self.places[at as usize].1.take()
    }

    fn is_empty(&self) -> bool {
        self.free.len() == self.places.len()
    }
}

/// What the driver's task is told.
pub(super) enum Turn {
    /// When the machine wants to hear of the time.
    Go(Option<Instant>),
    /// Nobody is left.
    Deserted,
}

impl<M: Machine> Shared<M> {
    pub(super) fn new(machine: M, rng: Rng) -> Arc<Self> {
        Arc::new(Self(Mutex::new(State {
            machine,
            rng,
            slots: Slots { places: Vec::new(), free: Vec::new() },
            incoming: VecDeque::new(),
            handles: 1,
            over: false,
            task: None,
            sleeps_until: None,
        })))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State<M>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a request, at `now`, or when the task next looks.
    pub(super) fn begin(&self, now: Option<Instant>, request: M::Request) -> Token {
        let mut state = self.lock();
        if state.over {
            return state.slots.insert(Slot::new(Some(Err(M::closed()))));
        }
        let token = state.slots.insert(Slot::new(None));
        match now {
            Some(now) => state.submit(now, token, request),
            None => state.incoming.push_back((token, request)),
        }
        let mut woken = Vec::new();
        state.settle(&mut woken);
        let task = state.wake_task_for_work();
        drop(state);
        woken.into_iter().chain(task).for_each(Waker::wake);
        token
    }

    /// The next answer to a request, or its end: `None` when it went well.
    pub(super) fn poll(
        &self,
        cx: &mut Context<'_>,
        token: Token,
    ) -> Poll<Option<Result<M::Answer, M::Error>>> {
        let mut state = self.lock();
        let Some(slot) = state.slots.get_mut(token) else { return Poll::Ready(None) };
        if let Some(answer) = slot.pop() {
            return Poll::Ready(Some(Ok(answer)));
        }
        let Some(end) = slot.end.take() else {
            if !slot.waker.as_ref().is_some_and(|known| known.will_wake(cx.waker())) {
                slot.waker = Some(cx.waker().clone());
            }
            return Poll::Pending;
        };
        state.slots.remove(token);
        Poll::Ready(end.err().map(Err))
    }

    /// Nobody waits for this request any more.
    pub(super) fn abandon(&self, token: Token) {
        let mut state = self.lock();
        let Some(slot) = state.slots.remove(token) else { return };
        state.incoming.retain(|(waiting, _)| *waiting != token);
        if slot.end.is_none() {
            state.machine.cancel(token);
        }
        let task = state.wake_task_for_work();
        drop(state);
        if let Some(task) = task {
            task.wake();
        }
    }

    pub(super) fn add_handle(&self) {
        self.lock().handles += 1;
    }

    pub(super) fn drop_handle(&self) {
        let mut state = self.lock();
        state.handles -= 1;
        let task = state.wake_task_for_work();
        drop(state);
        if let Some(task) = task {
            task.wake();
        }
    }

    /// One turn of the machine: what came of its orders goes in, new orders come out.
    pub(super) fn turn(
        &self,
        now: Instant,
        task: &Waker,
        outcomes: &mut Vec<Outcome>,
        orders: &mut Vec<Order>,
        woken: &mut Vec<Waker>,
    ) -> Turn {
        let mut state = self.lock();
        while let Some((token, request)) = state.incoming.pop_front() {
            state.submit(now, token, request);
        }
        for (token, result) in outcomes.drain(..) {
            state.machine.handle_reply(now, token, result);
        }
        if state.machine.poll_timeout().is_some_and(|at| at <= now) {
            state.machine.handle_timeout(now);
        }
        state.settle(woken);
        while let Some(order) = state.machine.poll_order() {
            orders.push(order);
        }
        let turn = if state.is_deserted() {
            Turn::Deserted
        } else {
            if !state.task.as_ref().is_some_and(|known| known.will_wake(task)) {
                state.task = Some(task.clone());
            }
            state.sleeps_until = state.machine.poll_timeout();
            Turn::Go(state.sleeps_until)
        };
        drop(state);
        woken.drain(..).for_each(Waker::wake);
        turn
    }

    /// The driver is gone: nobody waits in vain.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.over = true;
        state.task = None;
        state.incoming.clear();
        let slots = state.slots.places.iter_mut().filter_map(|(_, slot)| slot.as_mut());
        let waiting = slots.filter(|slot| slot.end.is_none());
        let woken: Vec<Waker> = waiting
            .filter_map(|slot| {
                slot.end = Some(Err(M::closed()));
                slot.waker.take()
            })
            .collect();
        drop(state);
        woken.into_iter().for_each(Waker::wake);
    }
}

impl<M: Machine> State<M> {
    fn submit(&mut self, now: Instant, token: Token, request: M::Request) {
        if self.machine.submit(now, token, request).is_err()
            && let Some(slot) = self.slots.get_mut(token)
        {
            slot.end = Some(Err(M::too_many()));
        }
    }

    /// Gives everybody what the machine said to them, and tells whom to wake.
    fn settle(&mut self, woken: &mut Vec<Waker>) {
        while let Some(said) = self.machine.poll_event() {
            let (Said::Answer(token, _) | Said::Done(token, _) | Said::Last(token, _)) = &said;
            let Some(slot) = self.slots.get_mut(*token) else { continue };
            woken.extend(slot.waker.take());
            match said {
                Said::Answer(_, answer) => slot.push(answer),
                Said::Done(_, end) => slot.end = Some(end),
                Said::Last(_, answer) => {
                    slot.push(answer);
                    slot.end = Some(Ok(()));
                }
            }
        }
    }

    fn is_deserted(&self) -> bool {
        self.handles == 0 && self.slots.is_empty()
    }

    /// The task, if there is something for it to do before it wakes by itself.
    pub(super) fn wake_task_for_work(&self) -> Option<Waker> {
        let sooner = match (self.machine.poll_timeout(), self.sleeps_until) {
            (Some(wanted), Some(planned)) => wanted < planned,
            (wanted, None) => wanted.is_some(),
            (None, Some(_)) => false,
        };
        let work = sooner || self.machine.has_orders() || !self.incoming.is_empty() || self.is_deserted();
        if work { self.task.clone() } else { None }
    }
}
