//! A driver with a fault of one's choice, and the house's own behind the same trait.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::BytesMut;
use glowplug_core::{Instant, RequestProtocol as _, SendBuf, StreamProtocol as _, Token};
use glowplug_runtime::drive::shared;
use glowplug_runtime::{Runtime as _, Spawn as _, Timer as _, Transport as _};
use glowplug_sim::{Sim, Stream, Timer};

use crate::lines::{Line, Lines};

/// What is wrong with a driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    Nothing,
    /// Going to sleep after it has delivered something, it forgets to say that it wants to be woken.
    LosesWakeUp,
    /// The slot of a call that was dropped is used again before its answer has come.
    SwapsAnswers,
    /// Only the deadline of the oldest call is watched.
    ForgetsDeadline,
    /// A call that is dropped after its answer has come, and before it was taken, keeps its slot.
    LeaksSlot,
    /// What a full window left over is written only with the next request.
    ForgetsOutput,
    /// It reads whether the machine wants that or not.
    ReadsPastPause,
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum Failure {
    TimedOut,
    Closed,
}

/// What the workloads need of a driver of [`Lines`].
pub(crate) trait Driver: Clone + 'static {
    fn call(
        &self,
        line: String,
        timeout: Option<Duration>,
    ) -> impl Future<Output = Result<String, Failure>> + 'static;
    /// Slots that belong to a call.
    fn in_use(&self) -> usize;
    fn with_machine<T>(&self, f: impl FnOnce(&mut Lines) -> T) -> T;
}

impl Driver for shared::Connection<Lines, Sim, Stream> {
    fn call(
        &self,
        line: String,
        timeout: Option<Duration>,
    ) -> impl Future<Output = Result<String, Failure>> + 'static {
        let connection = self.clone();
        async move {
            connection.call(line).timeout(timeout).await.map_err(|error| match error {
                shared::CallError::TimedOut { .. } => Failure::TimedOut,
                _ => Failure::Closed,
            })
        }
    }

    fn in_use(&self) -> usize {
        // Of a connection that has ended, the machine keeps what was not answered.
        if self.is_closed() { 0 } else { self.with_machine(|machine| machine.in_flight()) }
    }

    fn with_machine<T>(&self, f: impl FnOnce(&mut Lines) -> T) -> T {
        shared::Connection::with_machine(self, f)
    }
}

/// The house's driver.
pub(crate) fn ours(host: &Sim, stream: Stream) -> shared::Connection<Lines, Sim, Stream> {
    let config = shared::Config::default();
    // Little room, so that calls wait for it.
    let machine = Lines::with_room(4);
    let (connection, drive) = shared::Connection::new(host.clone(), stream, machine, config);
    host.spawn(drive);
    connection
}

/// The driver with the fault.
pub(crate) fn faulty(host: &Sim, stream: Stream, fault: Fault) -> Faulty {
    let state = State {
        machine: Lines::with_room(usize::MAX),
        slots: Vec::new(),
        task: None,
        asleep: false,
        deserted: false,
        over: false,
        fault,
    };
    let handle = Rc::new(RefCell::new(state));
    let drive = Drive {
        state: Rc::clone(&handle),
        host: host.clone(),
        stream,
        input: BytesMut::new(),
        output: SendBuf::new(),
        eof: false,
        timer: host.timer(),
    };
    host.spawn(drive);
    Faulty(Rc::new(Handle { state: handle, host: host.clone() }))
}

#[derive(Clone)]
pub(crate) struct Faulty(Rc<Handle>);

/// The connection ends with this.
struct Handle {
    state: Rc<RefCell<State>>,
    host: Sim,
}

struct State {
    machine: Lines,
    slots: Vec<Slot>,
    task: Option<Waker>,
    /// The task sleeps and is to be woken when there is work.
    asleep: bool,
    /// Nobody is left to ask or to be answered.
    deserted: bool,
    over: bool,
    fault: Fault,
}

enum Slot {
    Free,
    Waiting {
        waker: Option<Waker>,
        deadline: Option<Instant>,
        since: u64,
    },
    /// The caller is gone; the answer is still to come.
    Abandoned,
    Answered(String),
    TimedOut,
    Closed,
}

impl State {
    fn wake_task(&mut self) {
        if std::mem::take(&mut self.asleep)
            && let Some(task) = self.task.take()
        {
            task.wake();
        }
    }

    fn settle(&mut self, index: usize, how: Slot) {
        match std::mem::replace(&mut self.slots[index], how) {
            Slot::Waiting { waker, .. } => waker.into_iter().for_each(Waker::wake),
            // The answer to a call whose time was up, or whose caller left.
            Slot::TimedOut => self.slots[index] = Slot::TimedOut,
            _ => self.slots[index] = Slot::Free,
        }
    }

    fn abandon(&mut self, index: usize, unanswered: bool) {
        let slot = &mut self.slots[index];
        *slot = match slot {
            Slot::Waiting { .. } | Slot::TimedOut if unanswered => {
                if self.fault == Fault::SwapsAnswers {
                    Slot::Free
                } else {
                    Slot::Abandoned
                }
            }
            Slot::Answered(_) if self.fault == Fault::LeaksSlot => return,
            _ => Slot::Free,
        };
    }

    fn is_unanswered(&self, index: usize) -> bool {
        !self.over && self.machine.unanswered().any(|(token, _)| token.0 == index as u64)
    }

    /// The next deadline.
    fn deadline(&self) -> Option<Instant> {
        let waiting = self.slots.iter().filter_map(|slot| match slot {
            Slot::Waiting { deadline, since, .. } => Some((*since, *deadline)),
            _ => None,
        });
        if self.fault == Fault::ForgetsDeadline {
            return waiting.min_by_key(|(since, _)| *since)?.1;
        }
        waiting.filter_map(|(_, deadline)| deadline).min()
    }

    fn expire(&mut self, now: Instant) {
        let watched = self.deadline();
        for index in 0..self.slots.len() {
            if let Slot::Waiting { deadline: Some(deadline), .. } = self.slots[index]
                && deadline <= now
                && watched.is_some_and(|watched| watched <= now)
            {
                self.settle(index, Slot::TimedOut);
            }
        }
    }

    fn finish(&mut self) {
        self.over = true;
        for index in 0..self.slots.len() {
            match self.slots[index] {
                Slot::Waiting { .. } => self.settle(index, Slot::Closed),
                Slot::Abandoned => self.slots[index] = Slot::Free,
                _ => {}
            }
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        let mut state = self.state.borrow_mut();
        state.deserted = true;
        state.wake_task();
    }
}

impl Driver for Faulty {
    fn call(
        &self,
        line: String,
        timeout: Option<Duration>,
    ) -> impl Future<Output = Result<String, Failure>> + 'static {
        let this = self.clone();
        let mut call = Call { handle: this, slot: None };
        let mut line = Some(line);
        poll_fn(move |cx| call.poll(cx, &mut line, timeout))
    }

    fn in_use(&self) -> usize {
        let state = self.0.state.borrow();
        state.slots.iter().filter(|slot| !matches!(slot, Slot::Free)).count()
    }

    fn with_machine<T>(&self, f: impl FnOnce(&mut Lines) -> T) -> T {
        let mut state = self.0.state.borrow_mut();
        let result = f(&mut state.machine);
        state.wake_task();
        result
    }
}

struct Call {
    handle: Faulty,
    slot: Option<usize>,
}

impl Call {
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        line: &mut Option<String>,
        timeout: Option<Duration>,
    ) -> Poll<Result<String, Failure>> {
        let now = self.handle.0.host.now();
        let mut state = self.handle.0.state.borrow_mut();
        let Some(index) = self.slot else {
            if state.over {
                return Poll::Ready(Err(Failure::Closed));
            }
            let free = state.slots.iter().position(|slot| matches!(slot, Slot::Free));
            let index = free.unwrap_or_else(|| {
                state.slots.push(Slot::Free);
                state.slots.len() - 1
            });
            let line = line.take().expect("a call is submitted once");
            if state.machine.submit(now, Token(index as u64), line).is_err() {
                return Poll::Ready(Err(Failure::Closed));
            }
            let deadline = timeout.map(|timeout| now + timeout);
            let since = now.as_nanos();
            state.slots[index] = Slot::Waiting { waker: Some(cx.waker().clone()), deadline, since };
            state.wake_task();
            self.slot = Some(index);
            return Poll::Pending;
        };
        let outcome = match &mut state.slots[index] {
            Slot::Waiting { waker, .. } => {
                *waker = Some(cx.waker().clone());
                return Poll::Pending;
            }
            Slot::Answered(answer) => Ok(std::mem::take(answer)),
            Slot::TimedOut => Err(Failure::TimedOut),
            _ => Err(Failure::Closed),
        };
        let unanswered = state.is_unanswered(index);
        let taken = matches!(state.slots[index], Slot::Answered(_));
        if taken {
            state.slots[index] = Slot::Free;
        } else {
            state.abandon(index, unanswered);
        }
        self.slot = None;
        Poll::Ready(outcome)
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if let Some(index) = self.slot {
            let mut state = self.handle.0.state.borrow_mut();
            let unanswered = state.is_unanswered(index);
            state.abandon(index, unanswered);
        }
    }
}

/// The task.
struct Drive {
    state: Rc<RefCell<State>>,
    host: Sim,
    stream: Stream,
    input: BytesMut,
    output: SendBuf,
    eof: bool,
    timer: Timer,
}

impl Future for Drive {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let mut state = this.state.borrow_mut();
        let mut delivered = false;
        loop {
            let now = this.host.now();
            state.expire(now);
            loop {
                match state.machine.poll_event(now, &mut this.input) {
                    Ok(Some(Line::Answer(token, answer))) => {
                        state.settle(token.0 as usize, Slot::Answered(answer));
                        delivered = true;
                    }
                    Ok(Some(Line::Push)) => {}
                    Ok(None) => break,
                    Err(_) => {
                        state.finish();
                        return Poll::Ready(());
                    }
                }
            }
            let left_over = this.output.len();
            state.machine.poll_transmit(now, &mut this.output);
            let forgotten = state.fault == Fault::ForgetsOutput && this.output.len() == left_over;
            while !this.output.is_empty() && !forgotten {
                match this.stream.poll_write(cx, &mut this.output) {
                    Poll::Ready(Ok(_)) => {}
                    Poll::Ready(Err(_)) => {
                        state.finish();
                        return Poll::Ready(());
                    }
                    Poll::Pending => break,
                }
            }
            let interest = state.machine.interest();
            if state.deserted || (interest.is_closed() && this.output.is_empty()) {
                state.finish();
                return Poll::Ready(());
            }
            let reads = interest.read.wants() || state.fault == Fault::ReadsPastPause;
            if reads && !this.eof {
                match this.stream.poll_read(cx, &mut this.input) {
                    Poll::Ready(Ok(0)) => {
                        this.eof = true;
                        state.machine.handle_eof(now);
                        continue;
                    }
                    Poll::Ready(Ok(_)) => continue,
                    Poll::Ready(Err(_)) => {
                        state.finish();
                        return Poll::Ready(());
                    }
                    Poll::Pending => {}
                }
            }
            this.timer.reset(state.deadline());
            if this.timer.poll_expired(cx).is_ready() {
                continue;
            }
            state.task = Some(cx.waker().clone());
            state.asleep = !(delivered && state.fault == Fault::LosesWakeUp);
            return Poll::Pending;
        }
    }
}
