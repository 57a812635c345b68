//! What lies under the lock: the machine, and who waits for what it says.

use std::collections::{HashMap, VecDeque};
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
    slots: HashMap<Token, Slot<M>>,
    /// Requests of those who have no clock: the task submits them.
    incoming: VecDeque<(Token, M::Request)>,
    next: u64,
    handles: usize,
    /// The driver is gone.
    over: bool,
    task: Option<Waker>,
    /// Until when the task sleeps if nobody wakes it.
    sleeps_until: Option<Instant>,
}

/// One request, seen from the one who waits.
struct Slot<M: Machine> {
    answers: VecDeque<M::Answer>,
    end: Option<Result<(), M::Error>>,
    waker: Option<Waker>,
}

impl<M: Machine> Slot<M> {
    fn new(end: Option<Result<(), M::Error>>) -> Self {
        Self { answers: VecDeque::new(), end, waker: None }
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
            slots: HashMap::new(),
            incoming: VecDeque::new(),
            next: 0,
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
        state.next += 1;
        let token = Token(state.next);
        if state.over {
            state.slots.insert(token, Slot::new(Some(Err(M::closed()))));
            return token;
        }
        state.slots.insert(token, Slot::new(None));
        match now {
            Some(now) => state.submit(now, token, request),
            None => state.incoming.push_back((token, request)),
        }
        let mut woken = state.settle();
        woken.extend(state.wake_task_for_work());
        drop(state);
        woken.into_iter().for_each(Waker::wake);
        token
    }

    /// The next answer to a request, or its end: `None` when it went well.
    pub(super) fn poll(
        &self,
        cx: &mut Context<'_>,
        token: Token,
    ) -> Poll<Option<Result<M::Answer, M::Error>>> {
        let mut state = self.lock();
        let Some(slot) = state.slots.get_mut(&token) else { return Poll::Ready(None) };
        if let Some(answer) = slot.answers.pop_front() {
            return Poll::Ready(Some(Ok(answer)));
        }
        let Some(end) = slot.end.take() else {
            slot.waker = Some(cx.waker().clone());
            return Poll::Pending;
        };
        state.slots.remove(&token);
        Poll::Ready(end.err().map(Err))
    }

    /// Nobody waits for this request any more.
    pub(super) fn abandon(&self, token: Token) {
        let mut state = self.lock();
        let Some(slot) = state.slots.remove(&token) else { return };
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
        let woken = state.settle();
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
        woken.into_iter().for_each(Waker::wake);
        turn
    }

    /// The driver is gone: nobody waits in vain.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.over = true;
        state.task = None;
        state.incoming.clear();
        let waiting = state.slots.values_mut().filter(|slot| slot.end.is_none());
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
            && let Some(slot) = self.slots.get_mut(&token)
        {
            slot.end = Some(Err(M::too_many()));
        }
    }

    /// Gives everybody what the machine said to them; whom to wake.
    fn settle(&mut self) -> Vec<Waker> {
        let mut woken = Vec::new();
        while let Some(said) = self.machine.poll_event() {
            let (Said::Answer(token, _) | Said::Done(token, _) | Said::Last(token, _)) = &said;
            let Some(slot) = self.slots.get_mut(token) else { continue };
            woken.extend(slot.waker.take());
            match said {
                Said::Answer(_, answer) => slot.answers.push_back(answer),
                Said::Done(_, end) => slot.end = Some(end),
                Said::Last(_, answer) => {
                    slot.answers.push_back(answer);
                    slot.end = Some(Ok(()));
                }
            }
        }
        woken
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
