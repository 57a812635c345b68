//! The server's end of a connection: for nodes in memory, proxies and test doubles.
//!
//! Requests come out one at a time: the next one is looked at when the one before has had its last reply, so that a client
//! which pipelines is simply answered in order.
//!
//! What a real node answers by itself, this machine does too: unknown codes are refused, StartTls and the order of TLS,
//! authentication and requests follow the [policy](TlsPolicy), a message that does not decode is refused and the
//! connection closed, and so is a frame of length 0, without a word.

use bytes::BytesMut;
use glowplug_core::{Instant, Interest, ReadInterest, SendBuf, StreamProtocol, WriteInterest};

use crate::config::{ServerConfig, TlsPolicy};
use crate::error::{DecodeReason, Error, PeerError, ServerError};
use crate::event::{Response, ServerEvent};
use crate::wire::riak::{RpbAuthReq, RpbErrorResp, RpbStartTls};
use crate::wire::{Answers, Code, Decoder, Direction, Request, put_frame};

/// Where a connection stands.
#[derive(Clone, Debug, PartialEq)]
enum State {
    /// Requests and replies.
    Open,
    /// TLS was agreed to; the driver does the handshake. True when plain bytes stood behind the request.
    Upgrade { plaintext: bool },
    /// An error is due.
    Failing(Error),
    /// Over; what is queued is still sent.
    Closed,
}

/// How far a client has come that must prove who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trust {
    Nobody,
    Encrypted,
    Known,
}

/// The server's end of one connection from a client. See the [module](self).
#[derive(Debug)]
pub struct ServerConnection {
    config: ServerConfig,
    state: State,
    trust: Trust,
    decoder: Decoder,
    /// What the request in progress is to be answered with.
    owed: Option<Answers>,
    /// The request in progress is an authentication.
    authenticating: bool,
    /// Replies that wait for room in the output. At most one stream's worth: the application asks
    /// [`can_reply`](ServerConnection::can_reply).
    output: SendBuf,
    idle_deadline: Option<Instant>,
    closing: bool,
    eof: bool,
    missing: usize,
}

/// Why a reply was not taken; it comes back.
#[derive(Clone, Debug, PartialEq)]
#[allow(clippy::large_enum_variant, reason = "the reply is given back as it was")]
#[non_exhaustive]
pub enum ReplyError {
    /// No request waits for a reply.
    NotAsked(Response),
    /// The reply does not answer the request.
    WrongReply(Response),
    /// The connection is over.
    Closed(Response),
}

impl core::fmt::Display for ReplyError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::NotAsked(_) => "no request waits for a reply",
            Self::WrongReply(_) => "the reply does not answer the request",
            Self::Closed(_) => "the connection is over",
        })
    }
}

impl core::error::Error for ReplyError {}

impl ServerConnection {
    /// A connection that was just accepted.
    pub fn new(now: Instant, config: ServerConfig) -> Self {
        Self {
            state: State::Open,
            trust: Trust::Nobody,
            decoder: Decoder::new(config.max_frame_len),
            owed: None,
            authenticating: false,
            output: SendBuf::new(),
            idle_deadline: config.idle_timeout.map(|timeout| now + timeout),
            closing: false,
            eof: false,
            missing: 1,
            config,
        }
    }

    /// The TLS handshake that [`ServerEvent::StartTls`] asked for is done.
    ///
    /// Nothing happens when it was not asked for.
    pub fn tls_established(&mut self, now: Instant) {
        if let State::Upgrade { plaintext } = self.state {
            self.state = if plaintext {
                State::Failing(Error::Peer(PeerError::PlaintextAfterStartTls))
            } else {
                State::Open
            };
            self.trust = Trust::Encrypted;
            self.touch(now);
        }
    }

    /// Answers the request in progress: once, or for a stream until the reply that [is the last](crate::wire::Reply::is_last). An error
    /// ends the request in any case.
    pub fn reply(&mut self, now: Instant, response: Response) -> Result<(), ReplyError> {
        if matches!(self.state, State::Failing(_) | State::Closed) {
            return Err(ReplyError::Closed(response));
        }
        let Some(answers) = self.owed else { return Err(ReplyError::NotAsked(response)) };
        let last = match response {
            Ok(reply) if !answers.accept(reply.code()) => return Err(ReplyError::WrongReply(Ok(reply))),
            Ok(reply) => {
                if self.authenticating {
                    self.trust = Trust::Known;
                }
                reply.encode_frame(&mut self.output);
                !answers.streamed || reply.is_last()
            }
            Err(error) => {
                self.refuse(error);
                true
            }
        };
        if last {
            self.owed = None;
            self.authenticating = false;
        }
        self.touch(now);
        Ok(())
    }

    /// True when a request waits for a reply, and the replies given so far were taken: the time to give the next one of a
    /// stream, so that they do not pile up.
    pub fn can_reply(&self) -> bool {
        self.owed.is_some() && self.output.has_room()
    }

    /// True once a user was let in: the reply to `RpbAuthReq` was not an error.
    pub fn is_authenticated(&self) -> bool {
        self.trust == Trust::Known
    }

    fn touch(&mut self, now: Instant) {
        self.idle_deadline = self.config.idle_timeout.map(|timeout| now + timeout);
    }

    fn refuse(&mut self, error: ServerError) {
        put_frame(RpbErrorResp::CODE, &RpbErrorResp::from(error), &mut self.output);
    }

    /// True when security forbids this request now; it has then been refused.
    fn is_forbidden(&mut self, code: Code) -> bool {
        if self.config.tls != TlsPolicy::Require {
            return false;
        }
        let text = match self.trust {
            Trust::Nobody => "Security is enabled, please STARTTLS first",
            Trust::Encrypted if code != RpbAuthReq::CODE => "Security is enabled, please authenticate first",
            _ => return false,
        };
        self.refuse(ServerError::new(text));
        true
    }

    /// Agrees to TLS, or not.
    fn start_tls(&mut self, more: bool) -> Option<ServerEvent> {
        if self.config.tls == TlsPolicy::Refuse || self.trust != Trust::Nobody {
            self.refuse(ServerError::new("Security not enabled; STARTTLS not allowed."));
            return None;
        }
        put_frame(RpbStartTls::CODE, &RpbStartTls {}, &mut self.output);
        self.state = State::Upgrade { plaintext: more };
        Some(ServerEvent::StartTls)
    }

    fn next_event(&mut self, now: Instant, input: &mut BytesMut) -> Result<Option<ServerEvent>, Error> {
        loop {
            match &self.state {
                State::Failing(error) => return Err(error.clone()),
                State::Closed => return Ok(None),
                State::Upgrade { plaintext } => {
                    if *plaintext || !input.is_empty() {
                        return Err(Error::Peer(PeerError::PlaintextAfterStartTls));
                    }
                    return if self.eof { Err(Error::UnexpectedEof) } else { Ok(None) };
                }
                State::Open => {}
            }
            // Refusals are bounded too: a client that sends nonsense and reads nothing is not listened to.
            if self.owed.is_some() || self.closing || !self.output.has_room() {
                return Ok(None);
            }
            let frame = match self.decoder.decode(input) {
                Ok(Some(frame)) => frame,
                Ok(None) => {
                    self.missing = self.decoder.missing(input);
                    return self.handle_end(input);
                }
                Err(error) => return Err(Error::decode(None, error)),
            };
            self.touch(now);
            if frame.code == RpbStartTls::CODE {
                match self.start_tls(!input.is_empty()) {
                    Some(event) => return Ok(Some(event)),
                    None => continue,
                }
            }
            if self.is_forbidden(frame.code) {
                continue;
            }
            let error = match Request::decode(frame.code, &frame.body, self.config.decode_limits()) {
                Ok(request) => {
                    self.owed = Some(request.answers());
                    self.authenticating = frame.code == RpbAuthReq::CODE;
                    return Ok(Some(ServerEvent::Request(request)));
                }
                Err(error) => error,
            };
            let known = frame.code.direction() == Some(Direction::Request);
            if matches!(error.reason, DecodeReason::Code { .. }) && frame.code.direction().is_none() {
                self.refuse(ServerError::new(alloc::format!("Unknown message code: {}", frame.code.0)));
                continue;
            }
            // A node prints the stack of its decoder here, and closes.
            let what = if known { "decoding_failure" } else { "function_clause" };
            self.refuse(ServerError::new(alloc::format!("Error processing incoming message: error:{what}")));
            return Err(Error::decode(Some(frame.code), error));
        }
    }

    fn handle_end(&mut self, rest: &[u8]) -> Result<Option<ServerEvent>, Error> {
        if !self.eof {
            return Ok(None);
        }
        if !rest.is_empty() {
            return Err(Error::UnexpectedEof);
        }
        self.state = State::Closed;
        Ok(None)
    }

    fn has_finished(&self) -> bool {
        let idle = self.state == State::Open && self.closing && self.owed.is_none();
        self.state == State::Closed || idle
    }
}

impl StreamProtocol for ServerConnection {
    type Event = ServerEvent;
    type Error = Error;

    fn poll_event(&mut self, now: Instant, input: &mut BytesMut) -> Result<Option<ServerEvent>, Error> {
        self.next_event(now, input).inspect_err(|_| self.state = State::Closed)
    }

    fn poll_transmit(&mut self, _now: Instant, out: &mut SendBuf) {
        if out.has_room() && !self.output.is_empty() {
            out.append(&mut self.output);
        }
    }

    fn poll_timeout(&self) -> Option<Instant> {
        if self.state == State::Open && self.owed.is_none() { self.idle_deadline } else { None }
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
        let finished = self.has_finished();
        let read = match self.state {
            State::Failing(_) | State::Closed => ReadInterest::Closed,
            _ if finished || self.eof => ReadInterest::Closed,
            State::Upgrade { .. } => ReadInterest::Paused,
            _ if self.owed.is_some() || !self.output.has_room() => ReadInterest::Paused,
            State::Open => ReadInterest::Want(self.missing),
        };
        let write =
            if finished && self.output.is_empty() { WriteInterest::Closed } else { WriteInterest::Open };
        Interest { read, write }
    }
}
