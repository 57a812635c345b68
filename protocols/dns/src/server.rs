//! The server's end of a stream: DNS over TCP (RFC 7766), and over TLS when the driver puts TLS below.

use alloc::collections::{BTreeSet, VecDeque};
use core::fmt;
use core::time::Duration;

use bytes::{Bytes, BytesMut};
use glowplug_core::{Instant, Interest, ReadInterest, SendBuf, StreamProtocol, WriteInterest};

use crate::error::{Error, PeerError};
use crate::resolver::Channel;
use crate::response::{Incoming, Rejected, Response, ResponseConfig};
use crate::wire::{EdnsOption, Header};

/// How a connection of a client is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerConfig {
    /// EDNS.
    pub response: ResponseConfig,
    /// How many queries of one connection may be worked on at once; then reading pauses. Default 64.
    pub max_in_flight: usize,
    /// How many bytes of responses may wait to be sent; then reading pauses. Default 256 KiB.
    pub max_queued: usize,
    /// How long a connection may be silent with nothing to do. Default 10 s.
    pub idle_timeout: Duration,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            response: ResponseConfig::default(),
            max_in_flight: 64,
            max_queued: 256 * 1024,
            idle_timeout: Duration::from_secs(10),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    Open,
    /// No new queries; what was asked is answered.
    Draining,
    Failed(Error),
}

/// A client's connection, seen from the server: queries come as events and are answered in any order.
#[derive(Debug)]
pub struct ServerConnection {
    config: ServerConfig,
    state: State,
    eof: bool,
    /// Queries the application has and has not answered.
    in_flight: BTreeSet<u64>,
    next: u64,
    outgoing: VecDeque<Bytes>,
    queued: usize,
    idle_since: Instant,
    missing: usize,
}

/// A response to a query that is not waiting: of another connection, or after this one's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotWaiting;

impl fmt::Display for NotWaiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("nobody waits for this response")
    }
}

impl core::error::Error for NotWaiting {}

impl ServerConnection {
    /// A connection that was just accepted.
    pub fn new(config: ServerConfig, now: Instant) -> Self {
        Self {
            config,
            state: State::Open,
            eof: false,
            in_flight: BTreeSet::new(),
            next: 0,
            outgoing: VecDeque::new(),
            queued: 0,
            idle_since: now,
            missing: 2,
        }
    }

    /// Answers a query.
    pub fn respond(&mut self, now: Instant, query: &Incoming, response: &Response) -> Result<(), NotWaiting> {
        self.take(now, query)?;
        let mut out = BytesMut::new();
        let asked = query.edns().is_some_and(|edns| edns.options.contains(&EdnsOption::Keepalive(None)));
        if asked {
            // RFC 7828 section 3.3.2: whoever asks is told how long the connection may idle.
            let tenths = self.config.idle_timeout.as_millis() / 100;
            let mut response = response.clone();
            let tenths = u16::try_from(tenths).unwrap_or(u16::MAX);
            response.options.push(EdnsOption::Keepalive(Some(tenths)));
            query.respond(&response, &mut out);
        } else {
            query.respond(response, &mut out);
        }
        self.queue(out.freeze());
        Ok(())
    }

    /// Leaves a query without an answer.
    pub fn ignore(&mut self, now: Instant, query: &Incoming) -> Result<(), NotWaiting> {
        self.take(now, query)
    }

    fn take(&mut self, now: Instant, query: &Incoming) -> Result<(), NotWaiting> {
        self.idle_since = now;
        let waits = self.in_flight.remove(&query.number) && !matches!(self.state, State::Failed(_));
        if waits { Ok(()) } else { Err(NotWaiting) }
    }

    fn queue(&mut self, message: Bytes) {
        self.queued += message.len() + 2;
        self.outgoing.push_back(message);
    }

    fn is_paused(&self) -> bool {
        self.in_flight.len() >= self.config.max_in_flight.max(1)
            || self.queued >= self.config.max_queued.max(1)
    }

    fn is_quiet(&self) -> bool {
        self.in_flight.is_empty() && self.outgoing.is_empty()
    }

    fn fail(&mut self, error: Error) -> Error {
        self.state = State::Failed(error.clone());
        self.outgoing.clear();
        error
    }
}

impl StreamProtocol for ServerConnection {
    type Event = Incoming;
    type Error = Error;

    fn poll_event(&mut self, now: Instant, input: &mut BytesMut) -> Result<Option<Incoming>, Error> {
        loop {
            match &self.state {
                State::Failed(error) => return Err(error.clone()),
                State::Draining => return Ok(None),
                State::Open if self.is_paused() => return Ok(None),
                State::Open => {}
            }
            let len = input.first_chunk().map(|len| usize::from(u16::from_be_bytes(*len)));
            self.missing = len.map_or(2, |len| len + 2).saturating_sub(input.len());
            let Some(len) = len.filter(|_| self.missing == 0) else {
                if !self.eof {
                    return Ok(None);
                }
                self.state = State::Draining;
                return if input.is_empty() { Ok(None) } else { Err(self.fail(Error::UnexpectedEof)) };
            };
            self.missing = 2;
            let holder = input.capacity();
            let message = glowplug_core::keep(input.split_to(len + 2).freeze().slice(2..), holder);
            self.idle_since = now;
            if message.len() < Header::LEN {
                return Err(self.fail(Error::Peer(PeerError::MessageTooShort)));
            }
            match Incoming::read(message, Channel::Tcp, &self.config.response) {
                Ok(mut incoming) => {
                    self.next += 1;
                    incoming.number = self.next;
                    self.in_flight.insert(self.next);
                    return Ok(Some(incoming));
                }
                Err(Rejected::Answered(response)) => self.queue(response),
                Err(Rejected::Ignored) => return Err(self.fail(Error::Peer(PeerError::NotAQuery))),
            }
        }
    }

    fn poll_transmit(&mut self, now: Instant, out: &mut SendBuf) {
        while out.has_room() {
            let Some(message) = self.outgoing.pop_front() else { return };
            self.queued -= message.len() + 2;
            self.idle_since = now;
            // A response has at most 65,535 bytes.
            out.put_slice(&(message.len() as u16).to_be_bytes());
            out.push(message);
        }
    }

    fn poll_timeout(&self) -> Option<Instant> {
        (self.state == State::Open && self.is_quiet()).then(|| self.idle_since + self.config.idle_timeout)
    }

    fn handle_timeout(&mut self, now: Instant) {
        if self.poll_timeout().is_some_and(|at| at <= now) {
            self.state = State::Draining;
        }
    }

    fn handle_eof(&mut self, _now: Instant) {
        self.eof = true;
    }

    fn close(&mut self, _now: Instant) {
        if self.state == State::Open {
            self.state = State::Draining;
        }
    }

    fn interest(&self) -> Interest {
        let read = match self.state {
            State::Open if self.eof => ReadInterest::Closed,
            State::Open if self.is_paused() => ReadInterest::Paused,
            State::Open => ReadInterest::Want(self.missing.max(1)),
            _ => ReadInterest::Closed,
        };
        let write = match self.state {
            State::Open => WriteInterest::Open,
            State::Draining if !self.is_quiet() => WriteInterest::Open,
            _ => WriteInterest::Closed,
        };
        Interest { read, write }
    }
}
