//! What lies under the lock of a socket: the machine, and who waits for what.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::{Bytes, BytesMut};
use glowplug_core::{Instant, Path};
use glowplug_udp::{ConnectError, ConversationId, Reason, Totals};

use super::machine::{Happened, Machine, Refused};
use super::{Closed, SendError};
use crate::datagram::{RecvBatch, SendBatch};
use crate::server;

/// What the handles of one socket and its task share.
pub(super) struct Shared<M> {
    state: Mutex<State<M>>,
    pub(super) local: SocketAddr,
    /// For conversations that are served.
    pub(super) service: Arc<server::Shared>,
}

pub(super) struct State<M> {
    machine: M,
    /// Conversations that somebody may hold, by [`ConversationId::index`].
    seats: Vec<Option<Seat>>,
    /// Conversations that peers began and nobody took yet.
    backlog: VecDeque<ConversationId>,
    acceptors: Waiters,
    senders: VecDeque<Sender>,
    /// Conversations whose owner has ended: the machine hears of it in the task's next turn.
    released: Vec<ConversationId>,
    /// Owners and listeners. The task ends with the last.
    handles: usize,
    closing: bool,
    /// There is something that the task has not seen.
    dirty: bool,
    asleep: bool,
    task: Option<Waker>,
    next_ticket: u64,
    over: Option<Closed>,
}

/// One conversation.
struct Seat {
    id: ConversationId,
    owned: bool,
    /// Why it is over.
    over: Option<Closed>,
    /// The peer has no more to say.
    finished: bool,
    readers: Waiters,
    /// Those who have to hear of the end; they stay until they leave.
    watchers: Waiters,
}

/// Somebody who waits for room.
struct Sender {
    ticket: u64,
    id: ConversationId,
    len: usize,
    waker: Waker,
}

/// Wakers, each under the ticket of the future that waits.
#[derive(Default)]
struct Waiters(Vec<(u64, Waker)>);

impl Waiters {
    fn add(&mut self, ticket: u64, waker: &Waker) {
        match self.0.iter_mut().find(|(other, _)| *other == ticket) {
            Some((_, old)) if old.will_wake(waker) => {}
            Some((_, old)) => old.clone_from(waker),
            None => self.0.push((ticket, waker.clone())),
        }
    }

    fn remove(&mut self, ticket: u64) {
        self.0.retain(|(other, _)| *other != ticket);
    }

    fn take(&mut self, wakers: &mut Vec<Waker>) {
        wakers.extend(self.0.drain(..).map(|(_, waker)| waker));
    }

    fn copy(&self, wakers: &mut Vec<Waker>) {
        wakers.extend(self.0.iter().map(|(_, waker)| waker.clone()));
    }
}

/// What a turn has come to.
pub(super) struct Turn {
    /// The machine has ended, and everything it wanted sent is in the batch.
    pub(super) over: bool,
}

impl<M: Machine> Shared<M> {
    /// The state of a fresh socket, with one handle to it.
    pub(super) fn new(machine: M, local: SocketAddr) -> Self {
        let state = State {
            machine,
            seats: Vec::new(),
            backlog: VecDeque::new(),
            acceptors: Waiters::default(),
            senders: VecDeque::new(),
            released: Vec::new(),
            handles: 1,
            closing: false,
            dirty: false,
            asleep: false,
            task: None,
            next_ticket: 0,
            over: None,
        };
        Self { state: Mutex::new(state), local, service: Arc::default() }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State<M>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something that the task has to hear of, and wakes whom it concerns.
    pub(super) fn act<T>(&self, action: impl FnOnce(&mut State<M>, &mut Vec<Waker>) -> T) -> T {
        let mut wakers = Vec::new();
        let mut state = self.lock();
        let result = action(&mut state, &mut wakers);
        let task = state.stir();
        drop(state);
        wakers.into_iter().chain(task).for_each(Waker::wake);
        result
    }

    /// The owner of a conversation has ended: nothing else is read or sent in it. What was sent still goes out.
    pub(super) fn end(&self, id: ConversationId) {
        self.act(|state, wakers| state.end(id, wakers));
    }

    /// Sends, or says why not.
    pub(super) fn send(&self, id: ConversationId, payload: Bytes) -> Result<(), SendError> {
        let mut state = self.lock();
        state.send(id, payload)?;
        let task = state.stir();
        drop(state);
        if let Some(task) = task {
            task.wake();
        }
        Ok(())
    }

    pub(super) fn poll_send(
        &self,
        cx: &Context<'_>,
        id: ConversationId,
        payload: Bytes,
        ticket: &mut Option<u64>,
    ) -> Result<(), SendError> {
        let mut state = self.lock();
        match state.send(id, payload) {
            Err(SendError::Full(payload)) => {
                let ticket = state.ticket(ticket);
                let sender = Sender { ticket, id, len: payload.len(), waker: cx.waker().clone() };
                match state.senders.iter_mut().find(|other| other.ticket == ticket) {
                    Some(other) => *other = sender,
                    None => state.senders.push_back(sender),
                }
                return Err(SendError::Full(payload));
            }
            Err(error) => return Err(error),
            Ok(()) => {}
        }
        let task = state.stir();
        drop(state);
        if let Some(task) = task {
            task.wake();
        }
        Ok(())
    }

    /// Reads, or says that there is nothing now, or why there is nothing any more.
    pub(super) fn try_recv(&self, id: ConversationId) -> Result<Option<BytesMut>, Closed> {
        self.read(id, |_| {})
    }

    pub(super) fn poll_recv(
        &self,
        cx: &Context<'_>,
        id: ConversationId,
        ticket: &mut Option<u64>,
    ) -> Poll<Result<BytesMut, Closed>> {
        let wait = |state: &mut State<M>| {
            let ticket = state.ticket(ticket);
            if let Some(seat) = state.seat_mut(id) {
                seat.readers.add(ticket, cx.waker());
            }
        };
        match self.read(id, wait) {
            Ok(Some(payload)) => Poll::Ready(Ok(payload)),
            Err(closed) => Poll::Ready(Err(closed)),
            Ok(None) => Poll::Pending,
        }
    }

    fn read(
        &self,
        id: ConversationId,
        otherwise: impl FnOnce(&mut State<M>),
    ) -> Result<Option<BytesMut>, Closed> {
        let mut state = self.lock();
        let state_ref = &mut *state;
        match state_ref.seat(id) {
            Some(seat) if seat.owned => {}
            Some(Seat { over: Some(closed), .. }) => return Err(closed.clone()),
            _ => return Err(Closed::Ended(Reason::Local)),
        }
        if let Some(read) = state_ref.machine.take(id) {
            let task = if read.wants_a_turn { state_ref.stir() } else { None };
            drop(state);
            if let Some(task) = task {
                task.wake();
            }
            return Ok(Some(read.payload));
        }
        if let Some(closed) = state_ref.closed(id) {
            return Err(closed);
        }
        if state_ref.seat(id).is_some_and(|seat| seat.finished) {
            return Err(Closed::Finished);
        }
        otherwise(state_ref);
        Ok(None)
    }
}

impl<M: Machine> State<M> {
    fn seat(&self, id: ConversationId) -> Option<&Seat> {
        self.seats.get(id.index())?.as_ref().filter(|seat| seat.id == id)
    }

    fn seat_mut(&mut self, id: ConversationId) -> Option<&mut Seat> {
        self.seats.get_mut(id.index())?.as_mut().filter(|seat| seat.id == id)
    }

    fn sit(&mut self, id: ConversationId, owned: bool) {
        if self.seats.len() <= id.index() {
            self.seats.resize_with(id.index() + 1, || None);
        }
        self.seats[id.index()] = Some(Seat {
            id,
            owned,
            over: None,
            finished: false,
            readers: Waiters::default(),
            watchers: Waiters::default(),
        });
    }

    fn ticket(&mut self, ticket: &mut Option<u64>) -> u64 {
        *ticket.get_or_insert_with(|| {
            self.next_ticket += 1;
            self.next_ticket
        })
    }

    /// Something happened that the task has to hear of. Gives the waker, if it sleeps.
    fn stir(&mut self) -> Option<Waker> {
        self.dirty = true;
        if std::mem::take(&mut self.asleep) { self.task.take() } else { None }
    }

    pub(super) fn machine(&self) -> &M {
        &self.machine
    }

    /// Acts on the machine. Use it inside [`Shared::act`].
    pub(super) fn machine_mut(&mut self) -> &mut M {
        &mut self.machine
    }

    pub(super) fn totals(&self, id: ConversationId) -> Option<Totals> {
        self.machine.tracker().totals(id)
    }

    /// Whether the conversation still has its owner.
    pub(super) fn is_owned(&self, id: ConversationId) -> bool {
        self.seat(id).is_some_and(|seat| seat.owned)
    }

    /// Why the conversation is over, if it is.
    pub(super) fn closed(&self, id: ConversationId) -> Option<Closed> {
        match self.seat(id) {
            Some(Seat { over: Some(closed), .. }) => Some(closed.clone()),
            Some(Seat { owned: true, .. }) => self.over.clone(),
            _ => Some(Closed::Ended(Reason::Local)),
        }
    }

    fn send(&mut self, id: ConversationId, payload: Bytes) -> Result<(), SendError> {
        if let Some(closed) = self.closed(id) {
            return Err(SendError::Closed(payload, closed));
        }
        self.machine.put(id, payload).map_err(|refused| match refused {
            Refused::Full(payload) => SendError::Full(payload),
            Refused::TooLong(payload) => SendError::TooLong(payload),
            Refused::NotProven(payload) => SendError::NotProven(payload),
            Refused::Closed(payload) => SendError::Closed(payload, Closed::Ended(Reason::Local)),
        })
    }

    /// A future that waited to read has gone away.
    pub(super) fn forget_reader(&mut self, id: ConversationId, ticket: u64) {
        if let Some(seat) = self.seat_mut(id) {
            seat.readers.remove(ticket);
        }
    }

    /// A future that waited to send has gone away; if it had been woken, the room it did not use is somebody else's.
    pub(super) fn forget_sender(&mut self, ticket: u64) -> Option<Waker> {
        match self.senders.iter().position(|sender| sender.ticket == ticket) {
            Some(at) => {
                self.senders.remove(at);
                None
            }
            None => self.stir(),
        }
    }

    pub(super) fn forget_acceptor(&mut self, ticket: u64, wakers: &mut Vec<Waker>) {
        self.acceptors.remove(ticket);
        if !self.backlog.is_empty() {
            self.acceptors.take(wakers);
        }
    }

    /// Has `waker` woken when the conversation is over or its owner has ended.
    pub(super) fn watch(&mut self, id: ConversationId, ticket: &mut Option<u64>, waker: &Waker) {
        let ticket = self.ticket(ticket);
        if let Some(seat) = self.seat_mut(id) {
            seat.watchers.add(ticket, waker);
        }
    }

    pub(super) fn forget_watcher(&mut self, id: ConversationId, ticket: u64) {
        if let Some(seat) = self.seat_mut(id) {
            seat.watchers.remove(ticket);
        }
    }

    pub(super) fn connect(&mut self, now: Instant, peer: SocketAddr) -> Result<ConversationId, ConnectError> {
        if self.over.is_some() || self.closing {
            return Err(ConnectError::Closing);
        }
        // The place of a conversation whose owner has just ended is free.
        self.let_go(now);
        let id = self.machine.begin(now, Path::to(peer))?;
        self.sit(id, true);
        self.handles += 1;
        Ok(id)
    }

    pub(super) fn poll_accept(
        &mut self,
        cx: &Context<'_>,
        ticket: &mut Option<u64>,
    ) -> Poll<Result<ConversationId, Closed>> {
        while let Some(id) = self.backlog.pop_front() {
            let Some(seat) = self.seat_mut(id) else { continue };
            if seat.over.is_some() {
                // It has ended before anybody took it.
                self.released.push(id);
                self.dirty = true;
                continue;
            }
            seat.owned = true;
            self.handles += 1;
            return Poll::Ready(Ok(id));
        }
        if let Some(closed) = &self.over {
            return Poll::Ready(Err(closed.clone()));
        }
        let ticket = self.ticket(ticket);
        self.acceptors.add(ticket, cx.waker());
        Poll::Pending
    }

    /// New peers are refused from now on, and those that nobody took are let go.
    pub(super) fn stop_accepting(&mut self, _: &mut Vec<Waker>) {
        self.machine.stop_accepting();
        self.released.extend(self.backlog.drain(..));
    }

    /// A listener has gone away.
    pub(super) fn drop_handle(&mut self) {
        self.handles -= 1;
    }

    fn end(&mut self, id: ConversationId, wakers: &mut Vec<Waker>) {
        let Some(seat) = self.seat_mut(id).filter(|seat| seat.owned) else { return };
        seat.owned = false;
        seat.over.get_or_insert(Closed::Ended(Reason::Local));
        seat.readers.take(wakers);
        seat.watchers.take(wakers);
        // What it allocated is not kept for the next conversation in this place.
        (seat.readers, seat.watchers) = (Waiters::default(), Waiters::default());
        self.senders.retain(|sender| {
            let stays = sender.id != id;
            if !stays {
                wakers.push(sender.waker.clone());
            }
            stays
        });
        self.released.push(id);
        self.handles -= 1;
    }

    fn let_go(&mut self, now: Instant) {
        for id in self.released.drain(..) {
            self.machine.release(now, id);
        }
    }

    /// One pure turn: who has left, time, what came in, what is to be told, what is to go out.
    pub(super) fn turn(
        &mut self,
        now: Instant,
        incoming: &mut RecvBatch,
        outgoing: &mut SendBatch,
        wakers: &mut Vec<Waker>,
    ) -> Turn {
        (self.dirty, self.asleep) = (false, false);
        self.let_go(now);
        if self.machine.poll_timeout().is_some_and(|at| at <= now) {
            self.machine.handle_timeout(now);
        }
        while let Some(path) = incoming.pop_unreachable() {
            self.machine.handle_unreachable(now, path);
        }
        self.machine.anticipate(&mut incoming.paths());
        while let Some(datagram) = incoming.pop() {
            // A refused datagram is its peer's loss, and is counted by the machine.
            let _ = self.machine.handle_datagram(now, datagram.path, datagram.payload);
        }
        if self.handles == 0 && !self.closing {
            self.closing = true;
            self.machine.close(now);
        }
        self.tell(now, wakers);
        outgoing.fill(now, &mut self.machine);
        self.wake_senders(wakers);
        Turn { over: self.closing && self.machine.is_closed() }
    }

    /// The system says that a peer cannot be reached.
    pub(super) fn unreachable(&mut self, now: Instant, path: Path) {
        self.machine.handle_unreachable(now, path);
    }

    fn tell(&mut self, now: Instant, wakers: &mut Vec<Waker>) {
        while let Some(event) = self.machine.poll_event(now) {
            match M::happened(event) {
                Happened::Opened(id) => {
                    self.sit(id, false);
                    self.backlog.push_back(id);
                    self.acceptors.take(wakers);
                }
                Happened::Readable(id) => {
                    if let Some(seat) = self.seat_mut(id) {
                        seat.readers.take(wakers);
                    }
                }
                Happened::Finished(id) => {
                    if let Some(seat) = self.seat_mut(id) {
                        seat.finished = true;
                        seat.readers.take(wakers);
                    }
                }
                Happened::Closed(id, closed) => {
                    if let Some(seat) = self.seat_mut(id) {
                        seat.over.get_or_insert(closed);
                        seat.readers.take(wakers);
                        seat.watchers.copy(wakers);
                    }
                }
                Happened::Nothing => {}
            }
        }
    }

    /// Wakes those that can send now, oldest first, and no more than there is room for.
    fn wake_senders(&mut self, wakers: &mut Vec<Waker>) {
        let mut room = self.machine.room();
        let mut at = 0;
        while at < self.senders.len() && room > 0 {
            let Sender { id, len, .. } = self.senders[at];
            let ready = self.closed(id).is_some() || self.machine.has_room(id, len);
            if ready && let Some(sender) = self.senders.remove(at) {
                room -= 1;
                wakers.push(sender.waker);
            } else {
                at += 1;
            }
        }
    }

    /// Lets the task sleep until the given waker is called, unless something has happened since its turn.
    pub(super) fn sleep(&mut self, cx: &Context<'_>) -> bool {
        if self.dirty {
            return false;
        }
        if !self.task.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            self.task = Some(cx.waker().clone());
        }
        self.asleep = true;
        true
    }

    /// The task has ended: everybody who waits hears why.
    pub(super) fn finish(&mut self, error: Option<io::Error>, wakers: &mut Vec<Waker>) {
        if self.over.is_some() {
            return;
        }
        self.over = Some(match error {
            Some(error) => Closed::Socket(Arc::new(error)),
            None => Closed::Ended(Reason::Shutdown),
        });
        self.acceptors.take(wakers);
        wakers.extend(self.senders.drain(..).map(|sender| sender.waker));
        for seat in self.seats.iter_mut().flatten() {
            seat.readers.take(wakers);
            seat.watchers.copy(wakers);
        }
    }
}
