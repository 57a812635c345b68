//! The client's end of a connection.
//!
//! ```text
//!  start_tls?   +----------+  StartTls  +---------+ tls_established +------+ RpbAuthResp  +------+
//!  ----yes----> | AskTls   | ---------> | Upgrade | --------------> | Auth | -----------> | Open |
//!               +----------+  agreed    +---------+                 +------+              +------+
//!  ----no--------------------------------------------------------------------------------->
//! ```
//!
//! A node works on one request of a connection at a time. What it does with the next one while a stream is running depends on
//! timing: it may answer it in the middle, or refuse it and close the connection. So requests wait here until the one
//! before has had its last answer.

use alloc::collections::VecDeque;
use core::time::Duration;

use bytes::BytesMut;
use glowplug_core::{
    Answer, Instant, Interest, Progress, ReadInterest, RequestProtocol, SendBuf, StreamProtocol, SubmitError,
    Token, WriteInterest,
};

use crate::config::{Config, Credentials};
use crate::error::{Error, PeerError, ServerError};
use crate::event::{Event, Response};
use crate::wire::riak::{RpbAuthReq, RpbAuthResp, RpbErrorResp, RpbStartTls};
use crate::wire::{Answers, Decoder, Frame, Message, Reply, Request, put_frame};

/// Where a connection stands.
#[derive(Clone, Debug, PartialEq)]
enum State {
    /// TLS is asked for, or will be when there is room.
    AskTls { sent: bool },
    /// The node agreed; the driver does the handshake. True when plain bytes stood behind the agreement.
    Upgrade { plaintext: bool },
    /// User and password are sent, or will be when there is room.
    Auth { sent: bool },
    /// [`Event::Ready`] is due.
    Opening,
    /// Requests and replies.
    Open,
    /// An error is due.
    Failing(Error),
    /// Over.
    Closed,
}

/// A request that waits for its turn.
#[derive(Debug)]
struct Queued {
    token: Token,
    answers: Answers,
    body: Body,
    len: usize,
    timeout: Duration,
    /// When the whole exchange must be over, whatever arrives meanwhile.
    limit: Option<Instant>,
}

/// What is to be sent.
#[derive(Debug)]
enum Body {
    /// A request that was given away.
    Request(Request),
    /// The frame of one that stayed with its owner.
    Frame(SendBuf),
}

/// The request that the node is working on.
#[derive(Debug)]
struct Current {
    token: Token,
    answers: Answers,
    begun: bool,
    /// Nobody wants the answers any more: they are read and thrown away.
    cancelled: bool,
    timeout: Duration,
    deadline: Instant,
    limit: Option<Instant>,
    /// Answers that may be given out before some are released.
    credit: u32,
}

/// The memory that a connection keeps for the frame of its next request, at most.
const MAX_SPARE: usize = 4096;

/// The client's end of one connection to a node. See the [module](self).
///
/// It is both a [`StreamProtocol`] and a [`RequestProtocol`]; requests may be submitted as soon as it exists.
///
/// ```
/// use bytes::BytesMut;
/// use glowplug_core::{Instant, RequestProtocol, SendBuf, StreamProtocol, Token};
/// use glowplug_riak::wire::{Reply, riak::RpbPingReq};
/// use glowplug_riak::{ClientConnection, Config, Event};
///
/// let now = Instant::ZERO;
/// let mut connection = ClientConnection::new(now, Config::new());
/// connection.submit(now, Token(7), RpbPingReq {}.into()).unwrap();
///
/// let (mut input, mut out) = (BytesMut::new(), SendBuf::new());
/// assert_eq!(connection.poll_event(now, &mut input), Ok(Some(Event::Ready)));
/// connection.poll_transmit(now, &mut out);
/// assert_eq!(&out.take_all()[..], b"\0\0\0\x01\x01");
///
/// input.extend_from_slice(b"\0\0\0\x01\x02");
/// let Ok(Some(Event::Answer(answer))) = connection.poll_event(now, &mut input) else { panic!() };
/// assert!(matches!(answer.response, Ok(Reply::RpbPingResp(_))));
/// assert!(answer.last && answer.token == Token(7));
/// ```
#[derive(Debug)]
pub struct ClientConnection {
    config: Config,
    state: State,
    decoder: Decoder,
    queue: VecDeque<Queued>,
    queued_len: usize,
    /// An empty buffer for the frame of the next request that stays with its owner.
    spare: SendBuf,
    current: Option<Current>,
    handshake_deadline: Instant,
    /// Input stood behind the last answer of a request: nobody had asked for it.
    surplus: bool,
    /// The application wants no more requests.
    closing: bool,
    /// The peer will send no more.
    eof: bool,
    /// How many bytes the frame at the front still lacks: a hint for the driver.
    missing: usize,
    /// How many bytes of it were there when it was last looked at.
    arrived: usize,
}

impl ClientConnection {
    /// A connection whose transport has just been connected.
    pub fn new(now: Instant, config: Config) -> Self {
        Self {
            state: if config.start_tls { State::AskTls { sent: false } } else { State::Opening },
            decoder: Decoder::new(config.max_frame_len),
            queue: VecDeque::new(),
            queued_len: 0,
            spare: SendBuf::new(),
            current: None,
            handshake_deadline: now + config.handshake_timeout,
            surplus: false,
            closing: false,
            eof: false,
            missing: 1,
            arrived: 0,
            config,
        }
    }

    /// The TLS handshake that [`Event::StartTls`] asked for is done: from now on input and output are what is inside TLS.
    ///
    /// Nothing happens when it was not asked for.
    pub fn tls_established(&mut self, _now: Instant) {
        if let State::Upgrade { plaintext } = self.state {
            self.state = match (plaintext, &self.config.credentials) {
                (true, _) => State::Failing(Error::Peer(PeerError::PlaintextAfterStartTls)),
                (false, Some(_)) => State::Auth { sent: false },
                (false, None) => State::Opening,
            };
        }
    }

    /// As [`submit`](RequestProtocol::submit), with the longest time that the node may be silent while it owes a reply. For
    /// folds and map-reduce jobs, which take long and have no timeout of their own.
    ///
    /// The time starts when the request is sent, and again with each reply of a stream.
    pub fn submit_within(
        &mut self,
        _now: Instant,
        token: Token,
        request: Request,
        timeout: Duration,
    ) -> Result<(), SubmitError<Request>> {
        self.enqueue(token, request, timeout, None)
    }

    /// As [`submit`](RequestProtocol::submit), with the moment at which the last answer must be there, however busily the node
    /// answers until then.
    pub fn submit_before(
        &mut self,
        _now: Instant,
        token: Token,
        request: Request,
        deadline: Instant,
    ) -> Result<(), SubmitError<Request>> {
        let timeout = self.silence_allowed(&request);
        self.enqueue(token, request, timeout, Some(deadline))
    }

    /// As [`submit`](RequestProtocol::submit) or, with a deadline, [`submit_before`](Self::submit_before), of a request that stays with its
    /// owner, who may send it elsewhere should this connection end. Its frame is made at once.
    pub fn submit_ref(
        &mut self,
        _now: Instant,
        token: Token,
        request: &Request,
        deadline: Option<Instant>,
    ) -> Result<(), SubmitError<()>> {
        let len = self.admit(request)?;
        let mut frame = core::mem::take(&mut self.spare);
        request.encode_frame_of_len(len - 1, &mut frame);
        let (answers, timeout) = (request.answers(), self.silence_allowed(request));
        self.push(Queued { token, answers, body: Body::Frame(frame), len, timeout, limit: deadline });
        Ok(())
    }

    /// How long the node may be silent while it owes a reply to this request.
    fn silence_allowed(&self, request: &Request) -> Duration {
        match request.timeout() {
            Some(timeout) => timeout + self.config.timeout_grace,
            None => self.config.reply_timeout,
        }
    }

    fn enqueue(
        &mut self,
        token: Token,
        request: Request,
        timeout: Duration,
        limit: Option<Instant>,
    ) -> Result<(), SubmitError<Request>> {
        match self.admit(&request) {
            Ok(len) => {
                let answers = request.answers();
                let body = Body::Request(request);
                self.push(Queued { token, answers, body, len, timeout, limit });
                Ok(())
            }
            Err(SubmitError::Closed(())) => Err(SubmitError::Closed(request)),
            Err(_) => Err(SubmitError::Full(request)),
        }
    }

    /// How long the request is, if it may be sent and there is room for it.
    fn admit(&self, request: &Request) -> Result<usize, SubmitError<()>> {
        if self.closing || self.eof || self.is_over() {
            return Err(SubmitError::Closed(()));
        }
        let len = request.encoded_len() + 1;
        let fits = len <= self.config.max_frame_len as usize
            && self.queue.len() < self.config.max_queued
            && (self.queue.is_empty() || self.queued_len.saturating_add(len) <= self.config.max_queued_len);
        if fits { Ok(len) } else { Err(SubmitError::Full(())) }
    }

    fn push(&mut self, queued: Queued) {
        self.queued_len += queued.len;
        self.queue.push_back(queued);
    }

    /// The application has dealt with `replies` more replies of the stream in flight: as many more may come.
    ///
    /// Only needed with a [`stream_window`](Config::stream_window).
    pub fn release(&mut self, now: Instant, replies: u32) {
        if let Some(current) = &mut self.current {
            if current.credit == 0 && replies > 0 {
                // The node was not silent, it was not listened to.
                current.deadline = now + current.timeout;
            }
            current.credit = current.credit.saturating_add(replies).min(self.config.stream_window);
        }
    }

    /// True when the connection is ready and has nothing to do, and the node has said no more than it was asked: the state in which
    /// it may be kept for later.
    pub fn is_idle(&self) -> bool {
        let open = self.state == State::Open && !self.closing && !self.eof;
        open && self.current.is_none() && self.queue.is_empty() && !self.surplus
    }

    fn is_over(&self) -> bool {
        matches!(self.state, State::Failing(_) | State::Closed)
    }

    /// True when something waits for room in the output, and nothing is to come before it was sent.
    fn has_to_send(&self) -> bool {
        match self.state {
            State::AskTls { sent } | State::Auth { sent } => !sent,
            State::Open => self.current.is_none() && !self.queue.is_empty(),
            _ => false,
        }
    }

    /// True while the stream in flight waits for the application.
    fn is_paused(&self) -> bool {
        self.current.as_ref().is_some_and(|current| current.credit == 0 && !current.cancelled)
    }

    fn fail(&mut self, error: Error) -> Error {
        self.state = State::Closed;
        error
    }

    /// What a frame means while TLS or authentication is under way.
    fn handle_handshake(&mut self, frame: &Frame, more: bool) -> Result<Option<Event>, Error> {
        let expected = match self.state {
            State::AskTls { .. } => RpbStartTls::CODE,
            _ => RpbAuthResp::CODE,
        };
        if frame.code == RpbErrorResp::CODE {
            let error = self.server_error(frame)?;
            return Err(if expected == RpbStartTls::CODE {
                Error::TlsRefused(error)
            } else {
                Error::AuthRefused(error)
            });
        }
        if frame.code != expected {
            return Err(Error::Peer(PeerError::WrongReply { expected, got: frame.code }));
        }
        if expected == RpbStartTls::CODE {
            self.state = State::Upgrade { plaintext: more };
            return Ok(Some(Event::StartTls));
        }
        self.state = State::Open;
        Ok(Some(Event::Ready))
    }

    fn server_error(&self, frame: &Frame) -> Result<ServerError, Error> {
        let mut reply = RpbErrorResp::default();
        match reply.decode_from(&frame.body, self.config.decode_limits()) {
            Ok(()) => Ok(reply.into()),
            Err(error) => Err(Error::decode(Some(frame.code), error)),
        }
    }

    /// What a frame means when requests are under way. `None` when nobody waits for it.
    fn handle_reply(&mut self, now: Instant, frame: &Frame) -> Result<Option<Event>, Error> {
        let Some(current) = &mut self.current else {
            return Err(Error::Peer(if frame.code == RpbErrorResp::CODE {
                PeerError::UnsolicitedError(self.server_error(frame)?)
            } else {
                PeerError::Unsolicited(frame.code)
            }));
        };
        let answers = current.answers;
        let is_error = frame.code == RpbErrorResp::CODE;
        if !is_error && !answers.accept(frame.code) {
            return Err(Error::Peer(PeerError::WrongReply { expected: answers.code, got: frame.code }));
        }
        current.begun = true;
        current.deadline = now + current.timeout;
        let (token, cancelled) = (current.token, current.cancelled);
        let decoded: Result<Response, Error> = if is_error {
            self.server_error(frame).map(Err)
        } else {
            Reply::decode(frame.code, &frame.body, self.config.decode_limits())
                .map(Ok)
                .map_err(|error| Error::decode(Some(frame.code), error))
        };
        let response = decoded?;
        let last = match &response {
            Ok(reply) => !answers.streamed || reply.is_last(),
            Err(_) => true,
        };
        if let Err(error) = &response
            && error.closes_connection()
        {
            // What waits is not sent any more, and so is safe to send elsewhere.
            self.state =
                if self.queue.is_empty() { State::Closed } else { State::Failing(Error::NodeClosing) };
        }
        if last {
            self.current = None;
        } else if let (Some(current), false) = (&mut self.current, cancelled || self.config.is_unlimited()) {
            current.credit -= 1;
        }
        Ok((!cancelled).then(|| Event::Answer(Answer { token, response, last })))
    }

    /// A frame has begun to arrive, or goes on arriving: a long reply over a slow line is not silence.
    fn note_incomplete(&mut self, now: Instant, input: &[u8]) {
        self.missing = self.decoder.missing(input);
        let arrived = core::mem::replace(&mut self.arrived, input.len());
        if let (Some(current), true) = (&mut self.current, input.len() > arrived) {
            current.deadline = now + current.timeout;
        }
    }

    /// The input ended, or can give no more: is anything left undone?
    fn handle_end(&mut self, rest: &[u8]) -> Result<(), Error> {
        let idle = matches!(self.state, State::Open) && self.in_flight() == 0;
        if !idle || !rest.is_empty() {
            return Err(Error::UnexpectedEof);
        }
        self.state = State::Closed;
        Ok(())
    }

    fn next_event(&mut self, now: Instant, input: &mut BytesMut) -> Result<Option<Event>, Error> {
        loop {
            match &mut self.state {
                State::Failing(error) => return Err(error.clone()),
                State::Closed => return Ok(None),
                State::Opening => {
                    self.state = State::Open;
                    return Ok(Some(Event::Ready));
                }
                State::Upgrade { plaintext } => {
                    if *plaintext || !input.is_empty() {
                        return Err(Error::Peer(PeerError::PlaintextAfterStartTls));
                    }
                    return if self.eof { Err(Error::UnexpectedEof) } else { Ok(None) };
                }
                State::AskTls { .. } | State::Auth { .. } | State::Open => {}
            }
            if self.is_paused() {
                return Ok(None);
            }
            if self.has_to_send() && self.decoder.is_complete(input) {
                // A reply that came early is looked at when its request was sent: what it means must not depend on timing.
                return Ok(None);
            }
            let Some(frame) = self.decoder.decode(input).map_err(|error| Error::decode(None, error))? else {
                self.note_incomplete(now, input);
                if self.eof {
                    self.handle_end(input)?;
                }
                return Ok(None);
            };
            self.arrived = 0;
            self.surplus = !input.is_empty();
            let event = if self.state == State::Open {
                self.handle_reply(now, &frame)?
            } else {
                self.handle_handshake(&frame, !input.is_empty())?
            };
            if event.is_some() {
                return Ok(event);
            }
        }
    }

    /// True when the machine has nothing more to send, ever.
    fn has_finished(&self) -> bool {
        self.is_over() || (self.closing && self.in_flight() == 0)
    }
}

impl StreamProtocol for ClientConnection {
    type Event = Event;
    type Error = Error;

    fn poll_event(&mut self, now: Instant, input: &mut BytesMut) -> Result<Option<Event>, Error> {
        self.next_event(now, input).map_err(|error| self.fail(error))
    }

    fn poll_transmit(&mut self, now: Instant, out: &mut SendBuf) {
        if !out.has_room() {
            return;
        }
        match &mut self.state {
            State::AskTls { sent } if !*sent => {
                *sent = true;
                put_frame(RpbStartTls::CODE, &RpbStartTls {}, out);
            }
            State::Auth { sent } if !*sent => {
                *sent = true;
                if let Some(Credentials { user, password }) = self.config.credentials.clone() {
                    put_frame(RpbAuthReq::CODE, &RpbAuthReq { user, password }, out);
                }
            }
            State::Open if self.current.is_none() => {
                let Some(queued) = self.queue.pop_front() else { return };
                self.queued_len -= queued.len;
                match queued.body {
                    Body::Request(request) => request.encode_frame_of_len(queued.len - 1, out),
                    Body::Frame(mut frame) => {
                        out.append(&mut frame);
                        if frame.scratch().capacity() <= MAX_SPARE {
                            self.spare = frame;
                        }
                    }
                }
                self.current = Some(Current {
                    token: queued.token,
                    answers: queued.answers,
                    begun: false,
                    cancelled: false,
                    timeout: queued.timeout,
                    deadline: now + queued.timeout,
                    limit: queued.limit,
                    credit: self.config.stream_window,
                });
            }
            _ => {}
        }
    }

    fn poll_timeout(&self) -> Option<Instant> {
        match &self.state {
            State::AskTls { .. } | State::Upgrade { .. } | State::Auth { .. } => {
                Some(self.handshake_deadline)
            }
            State::Open => {
                let current = self.current.as_ref()?;
                // While nobody listens, the node's silence says nothing; the end of the whole exchange stands all the same.
                let silence = (!self.is_paused()).then_some(current.deadline);
                silence.into_iter().chain(current.limit).min()
            }
            _ => None,
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        if self.poll_timeout().is_some_and(|deadline| deadline <= now) {
            self.state = State::Failing(Error::TimedOut);
        }
    }

    fn handle_eof(&mut self, _now: Instant) {
        self.eof = true;
    }

    fn close(&mut self, _now: Instant) {
        self.closing = true;
    }

    fn interest(&self) -> Interest {
        if self.has_finished() && !matches!(self.state, State::Failing(_)) {
            return Interest::CLOSED;
        }
        let read = match self.state {
            _ if self.eof => ReadInterest::Closed,
            State::Failing(_) => ReadInterest::Closed,
            State::Upgrade { .. } => ReadInterest::Paused,
            _ if self.is_paused() || self.has_to_send() => ReadInterest::Paused,
            _ => ReadInterest::Want(self.missing),
        };
        let write = if self.has_finished() { WriteInterest::Closed } else { WriteInterest::Open };
        Interest { read, write }
    }
}

impl RequestProtocol for ClientConnection {
    type Request = Request;
    type Response = Response;

    /// Takes a request in. A request that can never be sent because it is longer than
    /// [`max_frame_len`](Config::max_frame_len) is given back as [`SubmitError::Full`] too.
    fn submit(&mut self, now: Instant, token: Token, request: Request) -> Result<(), SubmitError<Request>> {
        let timeout = self.silence_allowed(&request);
        self.submit_within(now, token, request, timeout)
    }

    fn cancel(&mut self, token: Token) {
        if let Some(at) = self.queue.iter().position(|queued| queued.token == token) {
            if let Some(queued) = self.queue.remove(at) {
                self.queued_len -= queued.len;
            }
        } else if let Some(current) = &mut self.current
            && current.token == token
        {
            current.cancelled = true;
        }
    }

    fn unanswered(&self) -> impl Iterator<Item = (Token, Progress)> {
        let current = self.current.iter().map(|current| {
            (current.token, if current.begun { Progress::AnswerBegun } else { Progress::FullySent })
        });
        current.chain(self.queue.iter().map(|queued| (queued.token, Progress::NotSent)))
    }

    fn in_flight(&self) -> usize {
        self.queue.len() + usize::from(self.current.is_some())
    }

    fn into_answer(event: Event) -> Result<Answer<Response>, Event> {
        match event {
            Event::Answer(answer) => Ok(answer),
            other => Err(other),
        }
    }
}
