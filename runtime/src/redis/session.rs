//! The machine under a client: one connection after another.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::BytesMut;
use glowplug_core::{
    Answer, Instant, Interest, Progress, RequestProtocol, SendBuf, StreamProtocol, SubmitError, Token,
};
use glowplug_redis::{ClientConnection, Error, Event, PeerError, Protocol, Reply, Request};

use super::link::{News, Wire};
use crate::drive::DriverError;

/// Why a connection ended.
pub type Cause = Arc<DriverError<Error>>;

/// A [`ClientConnection`] whose requests outlive its transport, as far as that is safe.
#[derive(Debug)]
pub struct Session {
    machine: ClientConnection,
    wire: Arc<Wire>,
    /// Requests that ended with a transport, whose callers are still to be told.
    lost: VecDeque<(Token, Lost)>,
    /// The end of a transport is still to be told.
    ended: Option<Cause>,
    /// Output of an old transport may lie in the driver's buffer.
    stale: bool,
}

/// A request ended with its transport.
#[derive(Clone, Debug)]
pub struct Lost {
    /// How far it had got.
    pub progress: Progress,
    /// Why the transport ended.
    pub cause: Cause,
}

/// What a [`Session`] tells.
#[derive(Debug)]
#[non_exhaustive]
pub enum SessionEvent {
    /// A reply to a request, or that there will be none.
    Answer(Answer<Result<Reply, Lost>>),
    /// What the server says unasked.
    Push(Reply),
    /// A handshake is done: the first, or one after a break.
    Connected {
        /// The version that is spoken.
        protocol: Protocol,
        /// What `HELLO` told about the server, a map; `None` over RESP2.
        server: Option<Reply>,
    },
    /// The connection is lost; another is being made.
    Disconnected(Cause),
}

impl Session {
    pub(super) fn new(machine: ClientConnection, wire: Arc<Wire>) -> Self {
        Self { machine, wire, lost: VecDeque::new(), ended: None, stale: false }
    }

    /// The connection as it is now.
    pub fn machine(&self) -> &ClientConnection {
        &self.machine
    }

    pub(super) fn machine_mut(&mut self) -> &mut ClientConnection {
        &mut self.machine
    }

    /// The server has answered out of step: nothing more is believed on this connection.
    pub(super) fn distrust(&mut self, now: Instant) {
        if !self.wire.is_armed() {
            self.machine.distrust();
        } else if self.machine.is_ready() {
            self.fall(now, DriverError::Protocol(Error::Peer(PeerError::OutOfStep)));
            self.wire.hang_up();
        }
    }

    fn fall(&mut self, now: Instant, cause: DriverError<Error>) {
        let cause = Arc::new(cause);
        let lost = self.machine.handle_disconnect(now);
        let lost = lost.into_iter().map(|(token, progress)| (token, Lost { progress, cause: cause.clone() }));
        self.lost.extend(lost);
        self.ended = Some(cause);
        self.stale = true;
    }

    /// What is to be told before the machine goes on.
    #[cold]
    fn catch_up(&mut self, now: Instant, input: &mut BytesMut) -> Option<SessionEvent> {
        match self.wire.news() {
            News::None => {}
            News::Broken => {
                input.clear();
                let cause = self.wire.take_cause();
                self.fall(now, DriverError::Io(cause));
                self.wire.heard();
            }
            News::Up => {
                input.clear();
                self.machine.handle_reconnect(now);
                self.wire.heard();
            }
        }
        if let Some((token, lost)) = self.lost.pop_front() {
            return Some(SessionEvent::Answer(Answer { token, response: Err(lost), last: true }));
        }
        self.ended.take().map(SessionEvent::Disconnected)
    }

    fn told(&self) -> bool {
        self.lost.is_empty() && self.ended.is_none()
    }
}

impl StreamProtocol for Session {
    type Event = SessionEvent;
    type Error = Error;

    #[inline]
    fn poll_event(&mut self, now: Instant, input: &mut BytesMut) -> Result<Option<SessionEvent>, Error> {
        if (self.wire.news() != News::None || !self.told())
            && let Some(event) = self.catch_up(now, input)
        {
            return Ok(Some(event));
        }
        match self.machine.poll_event(now, input) {
            Ok(Some(Event::Answer(Answer { token, response, last }))) => {
                Ok(Some(SessionEvent::Answer(Answer { token, response: Ok(response), last })))
            }
            Ok(Some(Event::Push(push))) => Ok(Some(SessionEvent::Push(push))),
            Ok(Some(Event::Connected { protocol, server })) => {
                self.wire.arm();
                Ok(Some(SessionEvent::Connected { protocol, server }))
            }
            // Kinds of events that the machine may learn to tell one day are nobody's here.
            Ok(None | Some(_)) => Ok(None),
            Err(error) if self.wire.is_armed() => {
                input.clear();
                self.fall(now, DriverError::Protocol(error));
                self.wire.hang_up();
                Ok(self.catch_up(now, input))
            }
            Err(error) => Err(error),
        }
    }

    #[inline]
    fn poll_transmit(&mut self, now: Instant, out: &mut SendBuf) {
        if self.stale {
            out.clear();
            self.stale = false;
        }
        self.machine.poll_transmit(now, out);
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.machine.poll_timeout()
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.machine.handle_timeout(now);
    }

    fn handle_eof(&mut self, now: Instant) {
        self.machine.handle_eof(now);
    }

    fn close(&mut self, now: Instant) {
        self.machine.close(now);
        if self.machine.is_down() {
            // Nobody waits for a server that may never come back.
            let cause = Arc::new(DriverError::Io(std::io::ErrorKind::NotConnected.into()));
            let lost = self.machine.handle_disconnect(now);
            self.lost.extend(
                lost.into_iter().map(|(token, progress)| (token, Lost { progress, cause: cause.clone() })),
            );
        }
    }

    #[inline]
    fn interest(&self) -> Interest {
        self.machine.interest()
    }
}

impl RequestProtocol for Session {
    type Request = Request;
    type Response = Result<Reply, Lost>;

    #[inline]
    fn submit(&mut self, now: Instant, token: Token, request: Request) -> Result<(), SubmitError<Request>> {
        self.machine.submit(now, token, request)
    }

    fn cancel(&mut self, token: Token) {
        self.machine.cancel(token);
    }

    fn unanswered(&self) -> impl Iterator<Item = (Token, Progress)> {
        let lost = self.lost.iter().map(|(token, lost)| (*token, lost.progress));
        self.machine.unanswered().chain(lost)
    }

    fn in_flight(&self) -> usize {
        self.machine.in_flight() + self.lost.len()
    }

    #[inline]
    fn into_answer(event: SessionEvent) -> Result<Answer<Result<Reply, Lost>>, SessionEvent> {
        match event {
            SessionEvent::Answer(answer) => Ok(answer),
            other => Err(other),
        }
    }
}
