//! What lies under the lock.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};
use std::time::Duration;

use glowplug_core::{Answer, Instant, Progress, RequestProtocol, SubmitError, Token};

use super::call::CallError;
use crate::drive::DriverError;

/// How a shared connection behaves.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// How long a call may take, waiting for room included. `None` waits for ever. Default 30 s.
    pub call_timeout: Option<Duration>,
    /// How many calls may wait for room in the machine; a call beyond fails at once with [`CallError::Overloaded`].
    /// Default 65,536.
    pub max_waiting: usize,
    /// How many events nobody has taken are kept; the oldest give way. Default 1,024.
    pub max_events: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self { call_timeout: Some(Duration::from_secs(30)), max_waiting: 65_536, max_events: 1024 }
    }
}

impl Config {
    /// Sets how long a call may take, waiting for room included.
    pub fn call_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.call_timeout = timeout;
        self
    }

    /// Sets how many calls may wait for room in the machine.
    pub fn max_waiting(mut self, calls: usize) -> Self {
        self.max_waiting = calls;
        self
    }

    /// Sets how many events nobody has taken are kept.
    pub fn max_events(mut self, events: usize) -> Self {
        self.max_events = events.max(1);
        self
    }
}

/// The lock and what it guards. Nothing under it does I/O or runs a caller's code, so it is never held for long, and a panic
/// while it is held can only be a machine's.
pub(super) struct Shared<P: RequestProtocol> {
    state: Mutex<State<P>>,
}

impl<P: RequestProtocol> Shared<P> {
    pub(super) fn new(machine: P, config: Config) -> Self {
        Self { state: Mutex::new(State::new(machine, config)) }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State<P>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The machine, everybody's slots, and who sleeps.
pub(super) struct State<P: RequestProtocol> {
    pub(super) machine: P,
    pub(super) config: Config,
    slots: Vec<Slot<P>>,
    free: Vec<u32>,
    /// Requests that wait for room in the machine, oldest first. One whose caller has left is dropped when its turn comes.
    waiting: VecDeque<(SlotId, P::Request)>,
    /// Calls that somebody still waits for.
    live: usize,
    /// No call's deadline is earlier than this. It may be stale: the call that had it may be done.
    earliest_deadline: Option<Instant>,
    events: VecDeque<P::Event>,
    events_lost: u64,
    /// Everybody who waits for an event or for the end.
    event_wakers: Vec<Waker>,
    task_waker: Option<Waker>,
    /// True while the task waits for the transport: whoever gives it work has to wake it.
    pub(super) asleep: bool,
    /// `Connection` handles.
    pub(super) handles: usize,
    /// Set once the connection is over.
    outcome: Option<Over<P::Error>>,
}

struct Slot<P: RequestProtocol> {
    /// Tells this use of the slot from earlier ones.
    generation: u32,
    phase: Phase<P::Error>,
    waker: Option<Waker>,
    deadline: Option<Instant>,
    answers: Answers<P::Response>,
}

enum Phase<E> {
    Free,
    /// Waits for room in the machine, or for answers.
    Pending,
    Answered,
    Failed(CallError<E>),
}

/// What was answered so far. One answer, the usual case, needs no allocation.
pub(super) enum Answers<T> {
    None,
    One(T),
    Many(Vec<T>),
}

impl<T> Answers<T> {
    fn push(&mut self, answer: T) {
        *self = match std::mem::replace(self, Self::None) {
            Self::None => Self::One(answer),
            Self::One(first) => Self::Many(vec![first, answer]),
            Self::Many(mut all) => {
                all.push(answer);
                Self::Many(all)
            }
        };
    }
}

/// A caller's hold on its slot.
#[derive(Clone, Copy, Debug)]
pub(super) struct SlotId {
    index: u32,
    generation: u32,
}

impl SlotId {
    fn token(self) -> Token {
        Token(u64::from(self.generation) << 32 | u64::from(self.index))
    }

    fn of(token: Token) -> Self {
        Self { index: token.0 as u32, generation: (token.0 >> 32) as u32 }
    }
}

/// What a caller finds in its slot.
pub(super) enum Polled<P: RequestProtocol> {
    Pending,
    Answered(Answers<P::Response>),
    Failed(CallError<P::Error>),
}

impl<P: RequestProtocol> State<P> {
    fn new(machine: P, config: Config) -> Self {
        Self {
            machine,
            config,
            slots: Vec::new(),
            free: Vec::new(),
            waiting: VecDeque::new(),
            live: 0,
            earliest_deadline: None,
            events: VecDeque::new(),
            events_lost: 0,
            event_wakers: Vec::new(),
            task_waker: None,
            asleep: false,
            handles: 1,
            outcome: None,
        }
    }

    // ---- the callers' side ----

    /// Takes a call in. The waker of a task that has to be told is returned, to be woken without the lock.
    pub(super) fn submit(
        &mut self,
        cx: &Context<'_>,
        now: Instant,
        timeout: Option<Duration>,
        request: P::Request,
    ) -> Result<(SlotId, Option<Waker>), CallError<P::Error>> {
        if let Some(Over(cause)) = &self.outcome {
            return Err(CallError::Closed { progress: Progress::NotSent, cause: cause.clone() });
        }
        if self.waiting.len() >= self.config.max_waiting {
            return Err(CallError::Overloaded);
        }
        let id = self.allocate();
        if self.waiting.is_empty() {
            match self.machine.submit(now, id.token(), request) {
                Ok(()) => {}
                Err(SubmitError::Closed(_)) => {
                    self.release(id.index);
                    return Err(CallError::Closed { progress: Progress::NotSent, cause: None });
                }
                Err(full) => self.waiting.push_back((id, full.into_request())),
            }
        } else {
            // Whoever came first goes first: while others wait for room, so does this one.
            self.waiting.push_back((id, request));
        }
        let deadline = timeout.map(|timeout| now + timeout);
        if let Some(deadline) = deadline {
            self.earliest_deadline = Some(self.earliest_deadline.map_or(deadline, |at| at.min(deadline)));
        }
        let slot = &mut self.slots[id.index as usize];
        slot.phase = Phase::Pending;
        slot.deadline = deadline;
        slot.waker = Some(cx.waker().clone());
        self.live += 1;
        Ok((id, self.wake_task()))
    }

    /// Looks into a caller's slot, and frees it when the call is over.
    pub(super) fn poll_call(&mut self, cx: &Context<'_>, id: SlotId) -> Polled<P> {
        let slot = &mut self.slots[id.index as usize];
        debug_assert_eq!(slot.generation, id.generation, "a slot is freed by its caller or after it left");
        match &slot.phase {
            Phase::Answered => {
                let answers = std::mem::replace(&mut slot.answers, Answers::None);
                self.live -= 1;
                self.release(id.index);
                Polled::Answered(answers)
            }
            Phase::Failed(_) => {
                let Phase::Failed(error) = std::mem::replace(&mut slot.phase, Phase::Free) else {
                    return Polled::Pending;
                };
                self.live -= 1;
                self.release(id.index);
                Polled::Failed(error)
            }
            _ => {
                if !slot.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
                    slot.waker = Some(cx.waker().clone());
                }
                Polled::Pending
            }
        }
    }

    /// The caller went away. Returns the waker of a task that may have to end now.
    pub(super) fn abandon(&mut self, id: SlotId) -> Option<Waker> {
        self.live -= 1;
        // The request's place stays, in the machine or in the queue for it. An answer finds a slot of another generation, and is
        // dropped.
        if matches!(self.slots[id.index as usize].phase, Phase::Pending) {
            self.machine.cancel(id.token());
        }
        self.release(id.index);
        if self.handles == 0 && self.live == 0 { self.wake_task() } else { None }
    }

    /// The waker of a sleeping task, which is awake from now on.
    pub(super) fn wake_task(&mut self) -> Option<Waker> {
        if !self.asleep {
            return None;
        }
        self.asleep = false;
        self.task_waker.clone()
    }

    /// The next event nobody has taken, or, once the connection is over, why.
    pub(super) fn poll_event(&mut self, cx: &Context<'_>) -> Option<Result<P::Event, Over<P::Error>>> {
        if let Some(event) = self.events.pop_front() {
            return Some(Ok(event));
        }
        if let Some(Over(cause)) = &self.outcome {
            return Some(Err(Over(cause.clone())));
        }
        if !self.event_wakers.iter().any(|waker| waker.will_wake(cx.waker())) {
            self.event_wakers.push(cx.waker().clone());
        }
        None
    }

    pub(super) fn take_events_lost(&mut self) -> u64 {
        std::mem::take(&mut self.events_lost)
    }

    pub(super) fn is_over(&self) -> bool {
        self.outcome.is_some()
    }

    // ---- the task's side ----

    pub(super) fn register_task(&mut self, cx: &Context<'_>) {
        if !self.task_waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            self.task_waker = Some(cx.waker().clone());
        }
    }

    /// Nobody is left to answer.
    pub(super) fn is_deserted(&self) -> bool {
        self.handles == 0 && self.live == 0
    }

    /// When the task has to look again, if nothing else happens.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match (self.machine.poll_timeout(), self.earliest_deadline) {
            (Some(machine), Some(calls)) => Some(machine.min(calls)),
            (machine, calls) => machine.or(calls),
        }
    }

    /// Moves waiting requests into the machine while it has room.
    pub(super) fn admit(&mut self, now: Instant) {
        while let Some((id, request)) = self.waiting.pop_front() {
            let slot = &self.slots[id.index as usize];
            if slot.generation != id.generation || !matches!(slot.phase, Phase::Pending) {
                continue;
            }
            // Full: later. Closed: the end of the connection, which is near, fails it.
            if let Err(refused) = self.machine.submit(now, id.token(), request) {
                self.waiting.push_front((id, refused.into_request()));
                return;
            }
        }
    }

    /// Puts an answer into its slot; the caller is woken once the last is there.
    pub(super) fn deliver(&mut self, answer: Answer<P::Response>, wakers: &mut Vec<Waker>) {
        let id = SlotId::of(answer.token);
        let Some(slot) =
            self.slots.get_mut(id.index as usize).filter(|slot| slot.generation == id.generation)
        else {
            return;
        };
        if matches!(slot.phase, Phase::Pending) {
            slot.answers.push(answer.response);
            if answer.last {
                slot.phase = Phase::Answered;
                wakers.extend(slot.waker.take());
            }
        }
    }

    /// Keeps an event for whoever listens; the oldest gives way.
    pub(super) fn push_event(&mut self, event: P::Event, wakers: &mut Vec<Waker>) {
        if self.events.len() >= self.config.max_events {
            self.events.pop_front();
            self.events_lost += 1;
        }
        self.events.push_back(event);
        wakers.append(&mut self.event_wakers);
    }

    /// Ends the calls whose deadline has passed.
    pub(super) fn expire(&mut self, now: Instant, wakers: &mut Vec<Waker>) {
        if self.earliest_deadline.is_none_or(|at| at > now) {
            return;
        }
        // One walk over all slots finds those that expired and the next deadline. It happens when a deadline was reached, not per
        // call, and then twice in a row only if calls have deadlines that close.
        self.earliest_deadline = None;
        let mut expired = false;
        for slot in &mut self.slots {
            let (Some(deadline), Phase::Pending) = (slot.deadline, &slot.phase) else { continue };
            if deadline > now {
                self.earliest_deadline = Some(self.earliest_deadline.map_or(deadline, |at| at.min(deadline)));
                continue;
            }
            expired = true;
            slot.phase = Phase::Failed(CallError::TimedOut { progress: Progress::NotSent });
            slot.answers = Answers::None;
            wakers.extend(slot.waker.take());
        }
        if expired {
            let mut cancelled = Vec::new();
            for (token, how_far) in self.machine.unanswered() {
                if let Some(Phase::Failed(CallError::TimedOut { progress })) =
                    phase_of(&mut self.slots, token)
                {
                    *progress = how_far;
                    cancelled.push(token);
                }
            }
            for token in cancelled {
                self.machine.cancel(token);
            }
        }
    }

    /// The connection is over: everybody is told, with how far each request got.
    pub(super) fn finish(&mut self, cause: Option<DriverError<P::Error>>, wakers: &mut Vec<Waker>) {
        if self.outcome.is_some() {
            return;
        }
        let cause = cause.map(Arc::new);
        for slot in &mut self.slots {
            if matches!(slot.phase, Phase::Pending) {
                slot.phase =
                    Phase::Failed(CallError::Closed { progress: Progress::NotSent, cause: cause.clone() });
                slot.answers = Answers::None;
                wakers.extend(slot.waker.take());
            }
        }
        for (token, how_far) in self.machine.unanswered() {
            if let Some(Phase::Failed(CallError::Closed { progress, .. })) = phase_of(&mut self.slots, token)
            {
                *progress = how_far;
            }
        }
        self.waiting.clear();
        self.outcome = Some(Over(cause));
        wakers.append(&mut self.event_wakers);
    }

    // ---- the slab ----

    fn allocate(&mut self) -> SlotId {
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot {
                generation: 0,
                phase: Phase::Free,
                waker: None,
                deadline: None,
                answers: Answers::None,
            });
            (self.slots.len() - 1) as u32
        });
        SlotId { index, generation: self.slots[index as usize].generation }
    }

    fn release(&mut self, index: u32) {
        let slot = &mut self.slots[index as usize];
        slot.generation = slot.generation.wrapping_add(1);
        slot.phase = Phase::Free;
        slot.waker = None;
        slot.deadline = None;
        slot.answers = Answers::None;
        self.free.push(index);
    }
}

/// The phase of the slot that `token` names, if it still does.
fn phase_of<P: RequestProtocol>(slots: &mut [Slot<P>], token: Token) -> Option<&mut Phase<P::Error>> {
    let id = SlotId::of(token);
    let slot = slots.get_mut(id.index as usize)?;
    (slot.generation == id.generation).then_some(&mut slot.phase)
}

/// The connection is over, and why: `None` is a good end.
pub(super) struct Over<E>(pub(super) Option<Arc<DriverError<E>>>);
