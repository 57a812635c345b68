//! The client's end of a stream: DNS over TCP (RFC 7766), and over TLS (RFC 7858) when the driver puts TLS below.
//!
//! ```text
//!  submit            poll_transmit              answer with its id
//!    ----> waiting ----------------> in flight --------------------> gone
//!                                        | no answer in time
//!                                        v
//!                                     given up ---- answer, late ---> gone
//! ```

use alloc::collections::VecDeque;
use core::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use glowplug_core::{
    Answer, Instant, Interest, Progress, ReadInterest, RequestProtocol, Rng, Seed, SendBuf, StreamProtocol,
    SubmitError, Token, WriteInterest,
};
use hashbrown::HashMap;

use crate::error::{Error, ExchangeError, PeerError};
use crate::hash::IdHash;
use crate::query::{Query, Reply, Verdict};
use crate::wire::{Header, MessageView, OptionCode};

/// How a connection to a server is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientConfig {
    /// How many queries may wait for their answers, those given up included. Default 256, at most 32,768.
    pub max_in_flight: usize,
    /// How long one query may wait. Default 10 s.
    pub response_timeout: Duration,
    /// How long the connection stays open with nothing to do; the server's keepalive option overrides it, up to
    /// `max_idle_timeout`. Default 10 s.
    pub idle_timeout: Duration,
    /// The most that a server's keepalive option may ask for. Default 2 minutes.
    pub max_idle_timeout: Duration,
}

impl Default for ClientConfig {
    fn default() -> Self {
        Self {
            max_in_flight: 256,
            response_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(10),
            max_idle_timeout: Duration::from_secs(120),
        }
    }
}

/// The answer to one query, or why there is none. The connection lives on either way.
pub type ClientEvent = Answer<Result<Reply, ExchangeError>>;

#[derive(Debug)]
struct Pending {
    /// `None` once it was cancelled or given up: the answer is read and thrown away.
    token: Option<Token>,
    query: Query,
    sent: Option<Instant>,
    deadline: Instant,
}

/// A client's connection: many queries at once, answered in any order.
#[derive(Debug)]
pub struct ClientConnection {
    config: ClientConfig,
    rng: Rng,
    pending: HashMap<u16, Pending, IdHash>,
    /// What was not sent yet, in order.
    waiting: VecDeque<u16>,
    /// Deadlines in order of submission, which is the order of time. Ids that are gone are skipped.
    deadlines: VecDeque<(Instant, u16)>,
    timed_out: VecDeque<Token>,
    idle_timeout: Duration,
    idle_since: Instant,
    state: State,
    /// How many bytes the next message still lacks.
    missing: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    Open,
    /// No new queries; what is in flight completes.
    Closing,
    /// The peer sends no more.
    Eof,
    Failed(Error),
    Closed,
}

impl ClientConnection {
    /// A connection on which nothing was asked yet.
    pub fn new(config: ClientConfig, now: Instant, seed: &Seed) -> Self {
        Self {
            config: ClientConfig { max_in_flight: config.max_in_flight.clamp(1, 32_768), ..config },
            rng: seed.rng(),
            pending: HashMap::with_hasher(IdHash::default()),
            waiting: VecDeque::new(),
            deadlines: VecDeque::new(),
            timed_out: VecDeque::new(),
            idle_timeout: config.idle_timeout,
            idle_since: now,
            state: State::Open,
            missing: 2,
        }
    }

    fn fail(&mut self, error: Error) -> Error {
        self.state = State::Failed(error.clone());
        error
    }

    /// Takes one whole message off the input.
    fn take_message(&mut self, input: &mut BytesMut) -> Option<Bytes> {
        let Some(len) = input.first_chunk().map(|len| usize::from(u16::from_be_bytes(*len))) else {
            self.missing = 2 - input.len();
            return None;
        };
        if input.len() < 2 + len {
            self.missing = 2 + len - input.len();
            return None;
        }
        self.missing = 2;
        let holder = input.capacity();
        let message = input.split_to(2 + len).freeze().slice(2..);
        Some(glowplug_core::keep(message, holder))
    }

    /// Gives a message to whoever asked for it.
    fn deliver(&mut self, now: Instant, message: Bytes) -> Result<Option<ClientEvent>, Error> {
        let Some(header) = Header::read(&message) else {
            return Err(Error::Peer(PeerError::MessageTooShort));
        };
        let unexpected = Err(Error::Peer(PeerError::UnexpectedAnswer));
        let Some(pending) = self.pending.get(&header.id).filter(|pending| pending.sent.is_some()) else {
            return unexpected;
        };
        let result = match pending.query.judge(header.id, None, &message) {
            // Whether the cookie fits is a matter of forgery, which a connection is safe from.
            Verdict::Answer | Verdict::CaseLost | Verdict::Other(crate::query::Ignored::WrongCookie) => {
                let round_trip = pending.sent.map(|sent| now - sent);
                Ok(Reply { message, server: None, round_trip })
            }
            Verdict::Malformed(error) => Err(ExchangeError::Malformed(error)),
            Verdict::Other(_) => return unexpected,
        };
        if let Ok(reply) = &result {
            self.hear_keepalive(reply.view());
        }
        let Some(pending) = self.pending.remove(&header.id) else { return unexpected };
        self.idle_since = now;
        Ok(pending.token.map(|token| Answer { token, response: result, last: true }))
    }

    /// RFC 7828 section 3.3.2: the server says how long the connection may idle, in tenths of a second; zero asks us to
    /// finish.
    fn hear_keepalive(&mut self, view: MessageView<'_>) {
        let option = view.opt().ok().flatten().and_then(|opt| opt.option(OptionCode::KEEPALIVE));
        let Some(tenths) = option.and_then(|data| data.try_into().ok().map(u16::from_be_bytes)) else {
            return;
        };
        let timeout = Duration::from_millis(u64::from(tenths) * 100);
        self.idle_timeout = timeout.min(self.config.max_idle_timeout);
        if tenths == 0 && self.state == State::Open {
            self.state = State::Closing;
        }
    }

    /// The first deadline of a query that still waits.
    fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.front().map(|(at, _)| *at)
    }

    /// Drops deadlines of queries that are gone.
    fn tidy(&mut self) {
        while let Some((at, id)) = self.deadlines.front() {
            match self.pending.get(id) {
                Some(pending) if pending.deadline == *at && pending.token.is_some() => return,
                _ => drop(self.deadlines.pop_front()),
            }
        }
    }

    /// Closes once there is nothing left to wait for.
    fn settle(&mut self) {
        if self.state != State::Closing || !self.timed_out.is_empty() {
            return;
        }
        if !self.pending.values().any(|pending| pending.token.is_some()) {
            self.state = State::Closed;
        }
    }
}

impl StreamProtocol for ClientConnection {
    type Event = ClientEvent;
    type Error = Error;

    fn poll_event(&mut self, now: Instant, input: &mut BytesMut) -> Result<Option<ClientEvent>, Error> {
        loop {
            if let State::Failed(error) = &self.state {
                return Err(error.clone());
            }
            if let Some(token) = self.timed_out.pop_front() {
                let response = Err(ExchangeError::TimedOut);
                self.settle();
                return Ok(Some(Answer { token, response, last: true }));
            }
            if self.state == State::Closed {
                return Ok(None);
            }
            let Some(message) = self.take_message(input) else { break };
            let delivered = self.deliver(now, message);
            self.tidy();
            match delivered {
                Ok(Some(answer)) => {
                    self.settle();
                    return Ok(Some(answer));
                }
                Ok(None) => self.settle(),
                Err(error) => return Err(self.fail(error)),
            }
        }
        if self.state == State::Eof {
            let waits = self.pending.values().any(|pending| pending.token.is_some());
            if waits || !input.is_empty() {
                return Err(self.fail(Error::UnexpectedEof));
            }
            self.state = State::Closed;
        }
        Ok(None)
    }

    fn poll_transmit(&mut self, now: Instant, out: &mut SendBuf) {
        if !matches!(self.state, State::Open | State::Closing) {
            return;
        }
        while out.has_room() {
            let Some(id) = self.waiting.pop_front() else { return };
            let Some(pending) = self.pending.get_mut(&id).filter(|pending| pending.sent.is_none()) else {
                continue;
            };
            pending.sent = Some(now);
            let out = out.scratch();
            let at = out.len();
            out.put_u16(0);
            pending.query.write(id, None, out);
            let len = (out.len() - at - 2) as u16;
            out[at..at + 2].copy_from_slice(&len.to_be_bytes());
        }
    }

    fn poll_timeout(&self) -> Option<Instant> {
        match self.state {
            State::Open | State::Closing if self.pending.is_empty() => {
                Some(self.idle_since + self.idle_timeout)
            }
            State::Open | State::Closing => {
                // Given-up queries alone do not hold a connection for ever.
                self.next_deadline().or(Some(self.idle_since + self.idle_timeout))
            }
            _ => None,
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        if matches!(self.state, State::Failed(_) | State::Closed) {
            return;
        }
        while let Some(&(at, id)) = self.deadlines.front() {
            if at > now {
                return;
            }
            self.deadlines.pop_front();
            let Some(pending) = self.pending.get_mut(&id).filter(|pending| pending.deadline == at) else {
                continue;
            };
            self.timed_out.extend(pending.token.take());
            if pending.sent.is_none() {
                self.pending.remove(&id);
            }
        }
        let idle = self.poll_timeout().is_some_and(|at| at <= now);
        if idle && matches!(self.state, State::Open | State::Closing) {
            self.state = State::Closed;
        }
    }

    fn handle_eof(&mut self, _now: Instant) {
        if matches!(self.state, State::Open | State::Closing) {
            self.state = State::Eof;
        }
    }

    fn close(&mut self, _now: Instant) {
        if self.state == State::Open {
            self.state = State::Closing;
            self.settle();
        }
    }

    fn interest(&self) -> Interest {
        match self.state {
            State::Open | State::Closing => {
                Interest { read: ReadInterest::Want(self.missing.max(1)), write: WriteInterest::Open }
            }
            State::Eof => Interest { read: ReadInterest::Closed, write: WriteInterest::Closed },
            State::Failed(_) | State::Closed => Interest::CLOSED,
        }
    }
}

impl RequestProtocol for ClientConnection {
    type Request = Query;
    type Response = Result<Reply, ExchangeError>;

    fn submit(&mut self, now: Instant, token: Token, request: Query) -> Result<(), SubmitError<Query>> {
        if self.state != State::Open {
            return Err(SubmitError::Closed(request));
        }
        if self.pending.len() + self.timed_out.len() >= self.config.max_in_flight {
            return Err(SubmitError::Full(request));
        }
        // At least half of the ids are free.
        let id = loop {
            let id = self.rng.u16();
            if !self.pending.contains_key(&id) {
                break id;
            }
        };
        let deadline = now + self.config.response_timeout;
        self.tidy();
        if self.deadlines.len() > 4 * self.config.max_in_flight {
            // One slow query at the front must not keep the traces of all that came and went behind it.
            let pending = &self.pending;
            self.deadlines.retain(|(at, id)| pending.get(id).is_some_and(|pending| pending.deadline == *at));
        }
        self.deadlines.push_back((deadline, id));
        self.waiting.push_back(id);
        self.pending.insert(id, Pending { token: Some(token), query: request, sent: None, deadline });
        Ok(())
    }

    fn cancel(&mut self, token: Token) {
        self.timed_out.retain(|timed_out| *timed_out != token);
        let found = self.pending.iter_mut().find(|(_, pending)| pending.token == Some(token));
        if let Some((&id, pending)) = found {
            pending.token = None;
            if pending.sent.is_none() {
                self.pending.remove(&id);
                self.waiting.retain(|waiting| *waiting != id);
            }
        }
        self.tidy();
        self.settle();
    }

    fn unanswered(&self) -> impl Iterator<Item = (Token, Progress)> {
        let pending = self.pending.values().filter_map(|pending| {
            let progress = if pending.sent.is_some() { Progress::FullySent } else { Progress::NotSent };
            Some((pending.token?, progress))
        });
        pending.chain(self.timed_out.iter().map(|token| (*token, Progress::FullySent)))
    }

    fn in_flight(&self) -> usize {
        self.pending.len() + self.timed_out.len()
    }

    fn into_answer(event: ClientEvent) -> Result<ClientEvent, ClientEvent> {
        Ok(event)
    }
}
