//! Connections for one caller alone: where the server may wait, nobody else has to.

use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use glowplug_core::{Instant, Progress, RequestProtocol as _, Token};
use glowplug_redis::{Event, Reply, Request};

use super::recovery::Recovery;
use super::target::{Opening, Own, Target};
use super::{ConnectError, Error};
use crate::Runtime;
use crate::drive::shared::CallError;
use crate::time::{Sleep, sleep, sleep_until};

/// The connections of one client that are, or were, somebody's own.
pub(super) struct Lanes<R: Runtime> {
    target: Arc<Target<R>>,
    state: Mutex<State<R>>,
}

struct State<R: Runtime> {
    idle: Vec<(Own<R>, Instant)>,
    /// Turns that somebody has.
    taken: usize,
    /// Who waits for a turn, first come first.
    waiting: VecDeque<(u64, Waker)>,
    next_ticket: u64,
}

impl<R: Runtime> Lanes<R> {
    pub(super) fn new(target: Arc<Target<R>>) -> Self {
        let state = State { idle: Vec::new(), taken: 0, waiting: VecDeque::new(), next_ticket: 0 };
        Self { target, state: Mutex::new(state) }
    }

    pub(super) fn target(&self) -> &Arc<Target<R>> {
        &self.target
    }

    fn lock(&self) -> MutexGuard<'_, State<R>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Who may go in now that there is room.
    fn wake_next(&self, state: MutexGuard<'_, State<R>>) {
        let room = self.target.settings.max_lanes.saturating_sub(state.taken);
        let wakers: Vec<_> = state.waiting.iter().take(room).map(|(_, waker)| waker.clone()).collect();
        drop(state);
        for waker in wakers {
            waker.wake();
        }
    }

    /// A connection that another caller had, if there is one that still lives.
    fn take_idle(&self, cx: &mut Context<'_>) -> Option<Own<R>> {
        let now = self.target.runtime.now();
        loop {
            let (mut own, since) = self.lock().idle.pop()?;
            // A server that has gone away has said so.
            if now - since < self.target.settings.lane_idle_timeout && own.poll_event(cx).is_pending() {
                return Some(own);
            }
        }
    }

    fn put_back(&self, own: Own<R>) {
        let now = self.target.runtime.now();
        let settings = &self.target.settings;
        let mut state = self.lock();
        let expired = |since: Instant| now - since >= settings.lane_idle_timeout;
        // The oldest are at the front.
        let old = state.idle.iter().take_while(|(_, since)| expired(*since)).count();
        let mut over: Vec<_> = state.idle.drain(..old).collect();
        if state.idle.len() < settings.max_idle_lanes {
            state.idle.push((own, now));
        } else {
            over.push((own, now));
        }
        drop(state);
        drop(over);
    }
}

/// The right to one connection. Dropping it gives the turn to the next who waits.
pub(super) struct Turn<R: Runtime> {
    lanes: Arc<Lanes<R>>,
}

impl<R: Runtime> Turn<R> {
    /// Leaves a connection that is as good as new to the next caller.
    pub(super) fn leave(self, own: Own<R>) {
        self.lanes.put_back(own);
    }
}

impl<R: Runtime> Drop for Turn<R> {
    fn drop(&mut self) {
        let mut state = self.lanes.lock();
        state.taken -= 1;
        self.lanes.wake_next(state);
    }
}

/// A turn, and then a connection.
pub(super) struct Entering<R: Runtime> {
    lanes: Arc<Lanes<R>>,
    ticket: Option<u64>,
    turn: Option<Turn<R>>,
    recovery: Option<Recovery>,
    stage: Way<R>,
}

/// How a connection is come by, once there is a turn.
#[expect(clippy::large_enum_variant, reason = "one lives in a boxed call, and stays where it is")]
enum Way<R: Runtime> {
    Idle,
    Opening(Opening<R>),
    Waiting(Sleep<R::Timer>),
}

impl<R: Runtime> Entering<R> {
    pub(super) fn new(lanes: Arc<Lanes<R>>) -> Self {
        Self { lanes, ticket: None, turn: None, recovery: None, stage: Way::Idle }
    }

    fn poll_turn(&mut self, cx: &Context<'_>) -> Poll<Turn<R>> {
        let mut state = self.lanes.lock();
        let room = self.lanes.target.settings.max_lanes.saturating_sub(state.taken);
        let place = match self.ticket {
            None => state.waiting.len(),
            Some(ticket) => state.waiting.iter().position(|(other, _)| *other == ticket).unwrap_or(0),
        };
        if place < room {
            if let Some(ticket) = self.ticket.take() {
                state.waiting.retain(|(other, _)| *other != ticket);
            }
            state.taken += 1;
            return Poll::Ready(Turn { lanes: self.lanes.clone() });
        }
        if self.ticket.is_none() {
            let ticket = state.next_ticket;
            state.next_ticket += 1;
            state.waiting.push_back((ticket, cx.waker().clone()));
            self.ticket = Some(ticket);
        } else if let Some((_, waker)) = state.waiting.get_mut(place) {
            waker.clone_from(cx.waker());
        }
        Poll::Pending
    }

    /// A server that is away may come back, as for all other calls; one that refuses means it.
    fn wait(&mut self, error: ConnectError) -> Result<Way<R>, Error> {
        let target = &self.lanes.target;
        let recovery = self.recovery.get_or_insert_with(|| Recovery::new(target));
        let away = !matches!(error, ConnectError::Handshake(_) | ConnectError::Unsupported(_));
        match recovery.failed(target.runtime.now()).filter(|_| away) {
            Some(at) => Ok(Way::Waiting(sleep_until(&target.runtime, at))),
            None => Err(Error::Connect(error)),
        }
    }

    /// Ready once; not to be polled after that.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(Own<R>, Turn<R>), Error>> {
        if self.turn.is_none() {
            match self.poll_turn(cx) {
                Poll::Ready(turn) => self.turn = Some(turn),
                Poll::Pending => return Poll::Pending,
            }
        }
        let own = loop {
            self.stage = match &mut self.stage {
                Way::Idle => match self.lanes.take_idle(cx) {
                    Some(own) => break own,
                    None => Way::Opening(Opening::new(&self.lanes.target)),
                },
                Way::Opening(opening) => match opening.poll(cx) {
                    Poll::Ready(Ok(own)) => break own,
                    Poll::Ready(Err(error)) => self.wait(error)?,
                    Poll::Pending => return Poll::Pending,
                },
                Way::Waiting(pause) => {
                    if Pin::new(pause).poll(cx).is_pending() {
                        return Poll::Pending;
                    }
                    Way::Opening(Opening::new(&self.lanes.target))
                }
            };
        };
        match self.turn.take() {
            Some(turn) => Poll::Ready(Ok((own, turn))),
            None => Poll::Pending,
        }
    }
}

impl<R: Runtime> Drop for Entering<R> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            let mut state = self.lanes.lock();
            state.waiting.retain(|(other, _)| *other != ticket);
            // The room that this one was woken for is the next one's.
            self.lanes.wake_next(state);
        }
    }
}

/// The progress of one request on a connection of one's own.
pub(super) struct Exchange {
    token: Token,
    replies: Vec<Reply>,
}

impl Exchange {
    /// Submits `request`; it goes out with the next poll.
    pub(super) fn begin<R: Runtime>(own: &mut Own<R>, token: Token, request: Request) -> Result<Self, Error> {
        let now = own.runtime().now();
        match own.machine_mut().submit(now, token, request) {
            Ok(()) => Ok(Self { token, replies: Vec::new() }),
            Err(_) => Err(closed(Progress::NotSent, None)),
        }
    }

    /// Drives the connection until the last answer.
    pub(super) fn poll<R: Runtime>(
        &mut self,
        own: &mut Own<R>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Vec<Reply>, Error>> {
        loop {
            let event = match own.poll_event(cx) {
                Poll::Ready(event) => event,
                Poll::Pending => return Poll::Pending,
            };
            match event {
                Ok(Some(Event::Answer(answer))) if answer.token == self.token => {
                    self.replies.push(answer.response);
                    if answer.last {
                        return Poll::Ready(Ok(std::mem::take(&mut self.replies)));
                    }
                }
                Ok(Some(_)) => {}
                Ok(None) => return Poll::Ready(Err(closed(own.machine().progress(self.token), None))),
                Err(cause) => {
                    let progress = own.machine().progress(self.token);
                    return Poll::Ready(Err(closed(progress, Some(Arc::new(cause)))));
                }
            }
        }
    }

    pub(super) fn timed_out<R: Runtime>(&self, own: &mut Own<R>) -> Error {
        let progress = own.machine().progress(self.token);
        self.abandon(own);
        Error::Call(CallError::TimedOut { progress })
    }

    pub(super) fn abandon<R: Runtime>(&self, own: &mut Own<R>) {
        own.machine_mut().cancel(self.token);
    }
}

pub(super) fn closed(progress: Progress, cause: Option<super::Cause>) -> Error {
    Error::Call(CallError::Closed { progress, cause })
}

/// A request on a lane of its own, from the wait for a turn to the last answer.
///
/// Dropped on the way, it takes the connection with it: a server that waits for something would keep the next caller waiting.
pub(super) struct LaneCall<R: Runtime> {
    stage: Stage<R>,
    request: Option<Request>,
    /// The next caller may have the connection: a pipeline may have changed it.
    reusable: bool,
    timeout: Option<Duration>,
    sleep: Option<Sleep<R::Timer>>,
    runtime: R,
}

#[expect(clippy::large_enum_variant, reason = "it lives in a boxed call, and stays where it is")]
enum Stage<R: Runtime> {
    Entering(Entering<R>),
    Calling { own: Own<R>, turn: Turn<R>, exchange: Exchange },
    Done,
}

impl<R: Runtime> LaneCall<R> {
    pub(super) fn new(lanes: &Arc<Lanes<R>>, request: Request, timeout: Option<Duration>) -> Self {
        Self {
            stage: Stage::Entering(Entering::new(lanes.clone())),
            reusable: request.replies() == 1,
            request: Some(request),
            timeout,
            sleep: None,
            runtime: lanes.target.runtime.clone(),
        }
    }

    pub(super) fn set_timeout(&mut self, timeout: Option<Duration>) {
        self.timeout = timeout;
    }

    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Vec<Reply>, Error>> {
        if let Some(timeout) = self.timeout.take() {
            self.sleep = Some(sleep(&self.runtime, timeout));
        }
        let polled = self.poll_stage(cx);
        if polled.is_ready() {
            return polled;
        }
        let Some(sleep) = &mut self.sleep else { return Poll::Pending };
        if Pin::new(sleep).poll(cx).is_pending() {
            return Poll::Pending;
        }
        Poll::Ready(Err(match std::mem::replace(&mut self.stage, Stage::Done) {
            Stage::Calling { mut own, exchange, .. } => exchange.timed_out(&mut own),
            _ => Error::Call(CallError::TimedOut { progress: Progress::NotSent }),
        }))
    }

    fn poll_stage(&mut self, cx: &mut Context<'_>) -> Poll<Result<Vec<Reply>, Error>> {
        loop {
            match &mut self.stage {
                Stage::Entering(entering) => {
                    let (mut own, turn) = match entering.poll(cx) {
                        Poll::Ready(entered) => entered?,
                        Poll::Pending => return Poll::Pending,
                    };
                    let Some(request) = self.request.take() else { return Poll::Pending };
                    let exchange = Exchange::begin(&mut own, Token(0), request)?;
                    self.stage = Stage::Calling { own, turn, exchange };
                }
                Stage::Calling { own, exchange, .. } => {
                    let answered = match exchange.poll(own, cx) {
                        Poll::Ready(answered) => answered,
                        Poll::Pending => return Poll::Pending,
                    };
                    let stage = std::mem::replace(&mut self.stage, Stage::Done);
                    if let (Stage::Calling { own, turn, .. }, Ok(_), true) = (stage, &answered, self.reusable)
                    {
                        turn.leave(own);
                    }
                    return Poll::Ready(answered);
                }
                Stage::Done => return Poll::Pending,
            }
        }
    }
}

impl<R: Runtime> fmt::Debug for Lanes<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.lock();
        f.debug_struct("Lanes").field("idle", &state.idle.len()).field("taken", &state.taken).finish()
    }
}
