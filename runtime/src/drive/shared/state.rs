//! What lies under the lock: the machine, who drives, and who waits.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};
use std::time::Duration;

use glowplug_core::{Answer, Instant, Progress, RequestProtocol, SubmitError, WriteInterest};

use super::call::CallError;
use super::slots::{Answers, Phase, SlotId, Slots};
use crate::Transport;
use crate::drive::{DriverError, Pump};

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
    /// Whether a lone call may drive the connection itself. What the server says unasked is then read up to 100 ms late on a connection that
    /// was busy a moment ago and whose events nobody listens for. Default true.
    pub callers_drive: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            call_timeout: Some(Duration::from_secs(30)),
            max_waiting: 65_536,
            max_events: 1024,
            callers_drive: true,
        }
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

    /// Sets whether a lone call may drive the connection itself.
    pub fn callers_drive(mut self, yes: bool) -> Self {
        self.callers_drive = yes;
        self
    }
}

/// How often the task looks in while lone callers drive. After two looks without a new call it takes over, so that pushes, the
/// end of the stream and the machine's own deadlines are late by at most two of these on a connection that was busy a moment ago.
/// Shorter costs the callers: with a timer this near, `bench-redis` measured each of their waits (`get-in-sequence`, on Linux) 5 to
/// 9 % slower at 10 ms than at 50 ms and more, or than without any timer.
pub(super) const TICK: Duration = Duration::from_millis(50);

/// The lock and what it guards. Nothing under it does I/O or runs a caller's code, so it is never held for long, and a panic
/// while it is held can only be a machine's.
pub(super) struct Shared<P: RequestProtocol, T> {
    state: Mutex<State<P, T>>,
}

impl<P: RequestProtocol, T: Transport> Shared<P, T> {
    pub(super) fn new(machine: P, config: Config) -> Self {
        Self { state: Mutex::new(State::new(machine, config)) }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State<P, T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the task is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Task {
    /// It runs or is about to, and has the pump or takes it.
    Awake,
    /// It sleeps until the transport or the nearest deadline wakes it.
    Watching,
    /// It sleeps, and lone callers drive. It looks in now and then, and is back when no call was led for a while.
    Ticking,
}

/// The machine, everybody's slots, and who drives.
pub(super) struct State<P: RequestProtocol, T> {
    pub(super) machine: P,
    pub(super) config: Config,
    slots: Slots<P>,
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
    /// Unless it is awake, whoever gives the task work has to wake it.
    pub(super) task: Task,
    /// The transport and both buffers, while neither the task nor a leader uses them.
    pub(super) pump: Option<Box<Pump<T>>>,
    /// What a leader's I/O or turn has met, and the task is to end the connection with.
    pub(super) broken: Option<DriverError<P::Error>>,
    /// The call that drives.
    pub(super) leader: Option<SlotId>,
    /// A call was led since the task last looked.
    pub(super) led: bool,
    /// Calls overlapped since the task last fell asleep.
    overlapped: bool,
    /// When the task last fell asleep after a time without overlapping calls: if that was a moment ago, calls come one by one, and the next
    /// may lead.
    lonely_since: Option<Instant>,
    /// `Connection` handles.
    pub(super) handles: usize,
    /// Set once the connection is over.
    outcome: Option<Over<P::Error>>,
}

/// What a caller finds in its slot.
pub(super) enum Polled<P: RequestProtocol> {
    Pending,
    Answered(Answers<P::Response>),
    Failed(CallError<P::Error>),
}

/// What became of a call that was submitted.
pub(super) enum Submitted<T> {
    /// The task drives; the waker is to be woken without the lock.
    Staged(Option<Waker>),
    /// The call itself drives. Its request is in the pump's output.
    Leads(Box<Pump<T>>, Option<Waker>),
}

impl<P: RequestProtocol, T: Transport> State<P, T> {
    fn new(machine: P, config: Config) -> Self {
        Self {
            machine,
            config,
            slots: Slots::new(),
            waiting: VecDeque::new(),
            live: 0,
            earliest_deadline: None,
            events: VecDeque::new(),
            events_lost: 0,
            event_wakers: Vec::new(),
            task_waker: None,
            task: Task::Awake,
            pump: None,
            leader: None,
            led: false,
            overlapped: false,
            broken: None,
            lonely_since: None,
            handles: 1,
            outcome: None,
        }
    }

    // ---- the callers' side ----

    /// Takes a call in.
    pub(super) fn submit(
        &mut self,
        cx: &Context<'_>,
        now: Instant,
        timeout: Option<Duration>,
        request: P::Request,
    ) -> Result<(SlotId, Submitted<T>), CallError<P::Error>> {
        if let Some(Over(cause)) = &self.outcome {
            return Err(CallError::Closed { progress: Progress::NotSent, cause: cause.clone() });
        }
        if self.waiting.len() >= self.config.max_waiting {
            return Err(CallError::Overloaded);
        }
        let id = self.slots.allocate();
        if self.waiting.is_empty() {
            match self.machine.submit(now, id.token(), request) {
                Ok(()) => {}
                Err(SubmitError::Closed(_)) => {
                    self.slots.release(id);
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
        let slot = self.slots.at(id);
        slot.phase = Phase::Pending;
        slot.deadline = deadline;
        slot.waker = Some(cx.waker().clone());
        self.live += 1;
        if self.live > 1 {
            self.overlapped = true;
            return Ok((id, Submitted::Staged(self.wake_task())));
        }
        Ok((id, self.lead(id, now, timeout)))
    }

    /// Lets a lone call drive, if nothing speaks against it.
    fn lead(&mut self, id: SlotId, now: Instant, timeout: Option<Duration>) -> Submitted<T> {
        let may = self.task == Task::Ticking || self.lonely_since.is_some_and(|since| now < since + TICK);
        let may = may
            && self.config.callers_drive
            && self.task != Task::Awake
            && self.waiting.is_empty()
            // Who listens for events wants them when they come, not when the task looks in.
            && self.event_wakers.is_empty()
            // The task looks in at deadlines, but they must not be nearer than its own looking in.
            && timeout.is_none_or(|timeout| timeout > 2 * TICK);
        let Some(mut pump) = self.pump.take_if(|pump| may && pump.is_at_rest()) else {
            return Submitted::Staged(self.wake_task());
        };
        self.machine.poll_transmit(now, &mut pump.output);
        self.leader = Some(id);
        self.led = true;
        // The task learns of the first lead in a row only: it must look in from now on.
        let task = if self.task == Task::Watching { self.task_waker.clone() } else { None };
        self.task = Task::Ticking;
        Submitted::Leads(pump, task)
    }

    /// Takes the pump for another poll of the call that leads.
    pub(super) fn pump_of(&mut self, id: SlotId) -> Option<Box<Pump<T>>> {
        if self.leader == Some(id) { self.pump.take() } else { None }
    }

    /// A leader stops driving for now: it has to wait, or is done, or hands over. Returns what it finds in its slot, and the waker of a task
    /// that has to go on.
    pub(super) fn pause(
        &mut self,
        cx: &Context<'_>,
        id: SlotId,
        pump: Box<Pump<T>>,
        hand_over: bool,
    ) -> (Polled<P>, Option<Waker>) {
        // It ends with the connection, which may have ended meanwhile.
        if self.outcome.is_none() {
            self.pump = Some(pump);
        }
        let leads = self.leader == Some(id) && !hand_over;
        let polled = self.poll_call(cx, id);
        let task = if leads { None } else { self.wake_task() };
        if !matches!(polled, Polled::Pending) {
            self.leader = None;
        }
        (polled, task)
    }

    /// A leader's turn, after it has read something. The pump comes back if it is to read on.
    pub(super) fn led_turn(
        &mut self,
        cx: &Context<'_>,
        now: Instant,
        id: SlotId,
        mut pump: Box<Pump<T>>,
        wakers: &mut Vec<Waker>,
    ) -> Result<(Polled<P>, Option<Waker>), Box<Pump<T>>> {
        // Its own waker need not be woken: it looks itself.
        let own = self.slots.at(id).waker.take();
        let polled = self.poll_machine(now, &mut pump, wakers, usize::MAX);
        self.machine.poll_transmit(now, &mut pump.output);
        let interest = self.machine.interest();
        let regular = polled.is_ok()
            && pump.output.is_empty()
            && interest.read.wants()
            && interest.write == WriteInterest::Open;
        if let Err(error) = polled {
            self.broken = Some(error);
        }
        let slot = self.slots.at(id);
        if matches!(slot.phase, Phase::Pending) {
            slot.waker = own;
            if regular && self.leader == Some(id) {
                return Err(pump);
            }
        }
        Ok(self.pause(cx, id, pump, !regular))
    }

    /// Takes events out of the machine until it has none, or so many callers are to be woken.
    pub(super) fn poll_machine(
        &mut self,
        now: Instant,
        pump: &mut Pump<T>,
        wakers: &mut Vec<Waker>,
        max_wakers: usize,
    ) -> Result<(), DriverError<P::Error>> {
        while wakers.len() < max_wakers {
            match self.machine.poll_event(now, &mut pump.input) {
                Ok(Some(event)) => match P::into_answer(event) {
                    Ok(answer) => self.deliver(answer, wakers),
                    Err(event) => self.push_event(event, wakers),
                },
                Ok(None) => break,
                Err(error) => return Err(DriverError::Protocol(error)),
            }
        }
        Ok(())
    }

    /// Looks into a caller's slot, and frees it when the call is over.
    pub(super) fn poll_call(&mut self, cx: &Context<'_>, id: SlotId) -> Polled<P> {
        let slot = self.slots.at(id);
        match &slot.phase {
            Phase::Answered => {
                let answers = std::mem::replace(&mut slot.answers, Answers::None);
                self.live -= 1;
                self.slots.release(id);
                Polled::Answered(answers)
            }
            Phase::Failed(_) => {
                let Phase::Failed(error) = std::mem::replace(&mut slot.phase, Phase::Free) else {
                    return Polled::Pending;
                };
                self.live -= 1;
                self.slots.release(id);
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

    /// The caller went away. Returns the waker of a task that has to go on, or may have to end now.
    pub(super) fn abandon(&mut self, id: SlotId) -> Option<Waker> {
        self.live -= 1;
        // The request's place stays, in the machine or in the queue for it. An answer finds a slot of another generation, and is
        // dropped.
        if matches!(self.slots.at(id).phase, Phase::Pending) {
            self.machine.cancel(id.token());
        }
        self.slots.release(id);
        let led = self.leader == Some(id);
        if led || (self.handles == 0 && self.live == 0) { self.wake_task() } else { None }
    }

    /// Calls the task, which drives from now on; the waker if it sleeps.
    pub(super) fn wake_task(&mut self) -> Option<Waker> {
        self.leader = None;
        if self.task == Task::Awake {
            return None;
        }
        self.task = Task::Awake;
        self.task_waker.clone()
    }

    /// The next event nobody has taken, or, once the connection is over, why. While nothing is there the caller waits for it, and
    /// so the task drives: its waker, if it has to be woken.
    pub(super) fn poll_event(
        &mut self,
        cx: &Context<'_>,
    ) -> Result<Result<P::Event, Over<P::Error>>, Option<Waker>> {
        if let Some(event) = self.events.pop_front() {
            return Ok(Ok(event));
        }
        if let Some(Over(cause)) = &self.outcome {
            return Ok(Err(Over(cause.clone())));
        }
        if !self.event_wakers.iter().any(|waker| waker.will_wake(cx.waker())) {
            self.event_wakers.push(cx.waker().clone());
        }
        Err(if self.task == Task::Ticking { self.wake_task() } else { None })
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

    /// The task goes to sleep at the transport, and leaves the pump to a caller who is alone.
    pub(super) fn watch(&mut self, now: Instant, pump: Box<Pump<T>>) {
        self.lonely_since = (!std::mem::take(&mut self.overlapped)).then_some(now);
        self.task = Task::Watching;
        self.pump = Some(pump);
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
            if !self.slots.get(id).is_some_and(|slot| matches!(slot.phase, Phase::Pending)) {
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
        let Some(slot) = self.slots.of(answer.token) else { return };
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
        for slot in self.slots.iter_mut() {
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
                    self.slots.of(token).map(|slot| &mut slot.phase)
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
        for slot in self.slots.iter_mut() {
            if matches!(slot.phase, Phase::Pending) {
                slot.phase =
                    Phase::Failed(CallError::Closed { progress: Progress::NotSent, cause: cause.clone() });
                slot.answers = Answers::None;
                wakers.extend(slot.waker.take());
            }
        }
        for (token, how_far) in self.machine.unanswered() {
            if let Some(Phase::Failed(CallError::Closed { progress, .. })) =
                self.slots.of(token).map(|slot| &mut slot.phase)
            {
                *progress = how_far;
            }
        }
        self.waiting.clear();
        self.outcome = Some(Over(cause));
        self.leader = None;
        self.pump = None;
        wakers.append(&mut self.event_wakers);
    }
}

/// The connection is over, and why: `None` is a good end.
pub(super) struct Over<E>(pub(super) Option<Arc<DriverError<E>>>);
