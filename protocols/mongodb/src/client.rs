//! The client's end of one connection.
//!
//! ```text
//! Handshaking ──ready──► Ready ──close, nothing in flight──► Over
//!      └──────── error, end of stream, timeout ───────────────►┘
//! ```
//!
//! Commands are submitted at any time and wait for the handshake. Replies are matched by request id, so a reply that nobody
//! waits for any more is thrown away without shifting another's.

mod encode;
mod handshake;

#[cfg(test)]
mod tests;

use std::collections::VecDeque;

use bytes::BytesMut;
use glowplug_core::{
    Answer, Instant, Interest, LimitExceeded, Progress, ReadInterest, RequestProtocol, Rng, Seed, SendBuf,
    StreamProtocol, SubmitError, Token, WriteInterest,
};

use self::handshake::{Handshake, Next, Outgoing};
use crate::auth::ScramKeys;
use crate::bson::{Document, RawDocument};
use crate::config::Config;
use crate::doc;
use crate::error::{Error, PeerError, Phase};
use crate::reply::{Reply, Response, ServerInfo};
use crate::request::{Command, Expects};
use crate::wire::{Decoder, Message, MsgFlags, OpQuery, QueryFlags};

/// Cursors of cancelled commands that are remembered for being killed.
const MAX_ORPHANS: usize = 1024;

/// The client's end of one connection: handshake, authentication, commands by request id.
///
/// ```
/// use bytes::BytesMut;
/// use glowplug_core::{Instant, RequestProtocol, Seed, SendBuf, StreamProtocol, Token};
/// use glowplug_mongodb::{ClientConnection, Command, Config, doc};
///
/// let now = Instant::ZERO;
/// let mut client = ClientConnection::new(Config::default(), &Seed::from_u64(1), now);
/// client.submit(now, Token(1), Command::new("admin", doc! { "ping": 1 }))?;
/// let mut out = SendBuf::new();
/// client.poll_transmit(now, &mut out);
/// assert!(!out.is_empty()); // the handshake; the ping waits until it is answered
/// # Ok::<(), glowplug_core::SubmitError<Command>>(())
/// ```
#[derive(Debug)]
pub struct ClientConnection {
    config: Config,
    rng: Rng,
    decoder: Decoder,
    state: State,
    /// A message of the handshake that is to be sent.
    outgoing: Option<Outgoing>,
    info: Option<ServerInfo>,
    keys: Option<ScramKeys>,
    queue: VecDeque<(Token, Command)>,
    queued_bytes: usize,
    /// In the order of sending, which is the order in which most servers answer.
    sent: VecDeque<Sent>,
    /// Answers that need no reply.
    answered: VecDeque<(Token, Response)>,
    orphans: VecDeque<Orphan>,
    next_request_id: i32,
    eof: bool,
    closing: bool,
    timed_out: Option<Phase>,
    /// Until when the handshake has to be done, or the ping answered; or when to ping.
    deadline: Option<Instant>,
    ping: Ping,
    /// Bytes that the message at the front of the input still needs.
    missing: usize,
}

#[derive(Debug)]
enum State {
    /// The handshake, or the error that it could not begin with.
    Handshaking(Result<Handshake, Error>),
    Ready,
    Over,
}

/// The keep-alive.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Ping {
    Idle,
    Due,
    Sent,
}

/// A request that waits for its reply.
#[derive(Debug)]
struct Sent {
    request_id: i32,
    /// Within a stream, the reply that came last.
    last_reply_id: Option<i32>,
    owner: Owner,
    streams: bool,
    begun: bool,
    cancelled: bool,
    /// Replies that came after it was cancelled.
    discarded: usize,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Owner {
    Handshake,
    KeepAlive,
    Caller(Token),
}

/// What a client connection tells.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The handshake is done, and the user authenticated. Comes once, before every answer.
    Ready(Box<ServerInfo>),
    /// An answer to a submitted command.
    Answer(Answer<Response>),
}

/// A cursor that lives on the server and whose owner went away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Orphan {
    /// Database and collection with a point between them.
    pub namespace: String,
    /// The cursor.
    pub cursor_id: i64,
}

impl ClientConnection {
    /// A connection that begins its handshake. The seed makes nonces and request ids.
    pub fn new(config: Config, seed: &Seed, now: Instant) -> Self {
        let mut rng = seed.rng();
        let (handshake, outgoing) = match Handshake::start(&config, &mut rng) {
            Ok((handshake, outgoing)) => (Ok(handshake), Some(outgoing)),
            Err(error) => (Err(error), None),
        };
        Self {
            decoder: Decoder::new(config.limits.max_message_len()),
            state: State::Handshaking(handshake),
            outgoing,
            info: None,
            keys: None,
            queue: VecDeque::new(),
            queued_bytes: 0,
            sent: VecDeque::new(),
            answered: VecDeque::new(),
            orphans: VecDeque::new(),
            next_request_id: (rng.u32() & 0x7fff_ffff) as i32,
            eof: false,
            closing: false,
            timed_out: None,
            deadline: Some(now + config.handshake_timeout),
            ping: Ping::Idle,
            missing: 1,
            config,
            rng,
        }
    }

    /// What the server said of itself, once the handshake is done.
    pub fn server_info(&self) -> Option<&ServerInfo> {
        self.info.as_ref()
    }

    /// The keys that authentication derived. Put into [`Config::scram_keys`] of the next connection with the same credential,
    /// they save it all iterations.
    pub fn scram_keys(&self) -> Option<&ScramKeys> {
        self.keys.as_ref()
    }

    /// Cursors of cancelled commands that still live on the server. Whoever owns the connection sends `killCursors` for them,
    /// here or on another; at most 1024 are remembered.
    pub fn take_orphans(&mut self) -> Vec<Orphan> {
        self.orphans.drain(..).collect()
    }

    fn fail(&mut self, error: Error) -> Error {
        self.state = State::Over;
        self.deadline = None;
        error
    }

    fn request_id(&mut self) -> i32 {
        self.next_request_id = self.next_request_id.wrapping_add(1) & i32::MAX;
        self.next_request_id
    }

    fn push_sent(&mut self, request_id: i32, owner: Owner, streams: bool) {
        let sent = Sent {
            request_id,
            last_reply_id: None,
            owner,
            streams,
            begun: false,
            cancelled: false,
            discarded: 0,
        };
        self.sent.push_back(sent);
    }

    /// Something was sent or received: the keep-alive starts again.
    fn touch(&mut self, now: Instant) {
        if matches!(self.state, State::Ready) && self.ping == Ping::Idle {
            self.deadline = self.config.keep_alive.map(|interval| now + interval);
        }
    }

    /// Ends the connection when it is to close and nothing is left to do.
    fn close_if_done(&mut self) {
        let callers = self.sent.iter().any(|sent| matches!(sent.owner, Owner::Caller(_)));
        if self.closing && self.queue.is_empty() && !callers && self.answered.is_empty() {
            self.state = State::Over;
            self.deadline = None;
        }
    }

    fn handle_message(&mut self, now: Instant, frame: &crate::wire::Frame) -> Result<Option<Event>, Error> {
        let header = frame.header();
        let (message, _) = frame.uncompressed(self.config.limits.max_message_len())?;
        let (document, more) = match &message {
            Message::Msg(message) => (message.shared_body(), message.flags.contains(MsgFlags::MORE_TO_COME)),
            Message::Reply(reply) => (legacy_document(reply)?, false),
            other => return Err(Error::Peer(PeerError::UnexpectedMessage(other.op_code()))),
        };
        let position = self.position_of(header.response_to);
        let unexpected = Error::Peer(PeerError::UnexpectedReply { response_to: header.response_to });
        let sent = position.and_then(|position| self.sent.get_mut(position)).ok_or(unexpected)?;
        if more && !sent.streams {
            return Err(Error::Peer(PeerError::UnexpectedStream));
        }
        sent.begun = true;
        sent.last_reply_id = more.then_some(header.request_id);
        let (owner, cancelled) = (sent.owner, sent.cancelled);
        if cancelled {
            sent.discarded += 1;
            let max = self.config.limits.max_discarded_replies();
            if more && sent.discarded > max {
                return Err(Error::Limit(LimitExceeded::more_than("max_discarded_replies", max as u64)));
            }
        }
        if !more && let Some(position) = position {
            self.sent.remove(position);
        }
        let reply = Reply::new(document);
        match owner {
            Owner::Handshake => self.handle_handshake(now, reply),
            Owner::KeepAlive => {
                self.ping = Ping::Idle;
                self.touch(now);
                Ok(None)
            }
            Owner::Caller(_) if cancelled => {
                self.touch(now);
                if !more {
                    self.remember_orphan(&reply);
                    self.close_if_done();
                }
                Ok(None)
            }
            Owner::Caller(token) => {
                self.touch(now);
                if !more {
                    self.close_if_done();
                }
                Ok(Some(Event::Answer(Answer { token, response: Response::Reply(reply), last: !more })))
            }
        }
    }

    /// Whose reply this is. Within a stream, some servers name the reply before and others the request each time. A stream
    /// that is under way comes first: until it ends, most servers answer nothing else.
    fn position_of(&self, response_to: i32) -> Option<usize> {
        let in_stream = |sent: &Sent| match sent.last_reply_id {
            Some(last) => last == response_to || sent.request_id == response_to,
            None => false,
        };
        let of_request = || self.sent.iter().position(|sent| sent.request_id == response_to);
        self.sent.iter().position(in_stream).or_else(of_request)
    }

    fn remember_orphan(&mut self, reply: &Reply) {
        if let Some((namespace, cursor_id)) = reply.live_cursor()
            && self.orphans.len() < MAX_ORPHANS
        {
            // A namespace has at most 255 bytes; a longer one is none.
            let namespace = namespace.chars().take(255).collect();
            self.orphans.push_back(Orphan { namespace, cursor_id });
        }
    }

    fn handle_handshake(&mut self, now: Instant, reply: Reply) -> Result<Option<Event>, Error> {
        let State::Handshaking(Ok(handshake)) = &mut self.state else { return Ok(None) };
        match handshake.handle_reply(reply.document, &self.config, &mut self.rng)? {
            Next::Send(outgoing) => {
                self.outgoing = Some(outgoing);
                Ok(None)
            }
            Next::Ready(info, keys) => {
                self.state = State::Ready;
                self.keys = keys;
                self.info = Some((*info).clone());
                self.refuse_what_is_too_long();
                self.deadline = None;
                self.touch(now);
                self.close_if_done();
                Ok(Some(Event::Ready(info)))
            }
        }
    }

    fn send_handshake(&mut self, outgoing: Outgoing, out: &mut SendBuf) {
        let request_id = self.request_id();
        match outgoing {
            Outgoing::Command(command) => encode::command(command, request_id, &self.config, None, out),
            Outgoing::Legacy(document) => encode_legacy(document, request_id, out),
        }
        self.push_sent(request_id, Owner::Handshake, false);
    }

    /// Takes what the server does not take out of the queue. A driver looks for events before it sends and after something was sent, so
    /// this cannot wait until the command's turn has come.
    fn refuse_what_is_too_long(&mut self) {
        let Some(info) = &self.info else { return };
        let (answered, queued_bytes) = (&mut self.answered, &mut self.queued_bytes);
        self.queue.retain(|(token, command)| match encode::check(command, info) {
            Ok(()) => true,
            Err(error) => {
                *queued_bytes = queued_bytes.saturating_sub(command.size());
                answered.push_back((*token, Response::Refused(error)));
                false
            }
        });
    }

    /// Encodes the command at the front of the queue, if there is one.
    fn send_next(&mut self, out: &mut SendBuf) -> bool {
        let Some(info) = &self.info else { return false };
        let compressor = info.compressor;
        let Some((token, command)) = self.queue.pop_front() else { return false };
        self.queued_bytes = self.queued_bytes.saturating_sub(command.size());
        let request_id = self.request_id();
        let expects = command.expects;
        encode::command(command, request_id, &self.config, compressor, out);
        match expects {
            Expects::Nothing => self.answered.push_back((token, Response::Sent)),
            expects => self.push_sent(request_id, Owner::Caller(token), expects == Expects::Stream),
        }
        true
    }
}

/// The one document of a command's legacy reply.
fn legacy_document(reply: &crate::wire::OpReply) -> Result<RawDocument, Error> {
    let doc = reply.docs().next().ok_or(Error::Peer(PeerError::BadHandshake))?;
    let end = doc.len();
    Ok(RawDocument::new(reply.documents.slice(..end))?)
}

fn encode_legacy(document: Document, request_id: i32, out: &mut SendBuf) {
    let query = OpQuery {
        flags: QueryFlags::SECONDARY_OK,
        collection: "admin.$cmd".into(),
        number_to_skip: 0,
        number_to_return: -1,
        query: document.into(),
        return_fields: None,
    };
    crate::wire::encode(&Message::Query(query), request_id, 0, out.scratch());
}

impl StreamProtocol for ClientConnection {
    type Event = Event;
    type Error = Error;

    fn poll_event(&mut self, now: Instant, input: &mut BytesMut) -> Result<Option<Event>, Error> {
        loop {
            match &self.state {
                State::Over => return Ok(None),
                State::Handshaking(Err(error)) => {
                    let error = error.clone();
                    return Err(self.fail(error));
                }
                State::Handshaking(Ok(_)) | State::Ready => {}
            }
            if let Some(phase) = self.timed_out {
                return Err(self.fail(Error::TimedOut(phase)));
            }
            if let Some((token, response)) = self.answered.pop_front() {
                self.close_if_done();
                return Ok(Some(Event::Answer(Answer { token, response, last: true })));
            }
            let frame = match self.decoder.decode(input) {
                Ok(Some(frame)) => frame,
                Ok(None) if self.eof => {
                    // Between answers a server may close an idle connection; within one, or before the first, it may not.
                    let idle = matches!(self.state, State::Ready)
                        && self.queue.is_empty()
                        && !self.sent.iter().any(|sent| matches!(sent.owner, Owner::Caller(_)));
                    if idle && input.is_empty() {
                        self.state = State::Over;
                        self.deadline = None;
                        return Ok(None);
                    }
                    return Err(self.fail(Error::UnexpectedEof));
                }
                Ok(None) => {
                    self.missing = self.decoder.missing(input).map_or(1, |missing| missing.max(1));
                    return Ok(None);
                }
                Err(error) => return Err(self.fail(error.into())),
            };
            match self.handle_message(now, &frame) {
                Ok(Some(event)) => return Ok(Some(event)),
                Ok(None) => {}
                Err(error) => return Err(self.fail(error)),
            }
        }
    }

    fn poll_transmit(&mut self, now: Instant, out: &mut SendBuf) {
        while out.has_room() {
            if let Some(outgoing) = self.outgoing.take() {
                if !matches!(self.state, State::Over) {
                    self.send_handshake(outgoing, out);
                }
                continue;
            }
            if !matches!(self.state, State::Ready) {
                return;
            }
            if self.ping == Ping::Due {
                let request_id = self.request_id();
                let ping = Command::new("admin", doc! { "ping": 1 });
                encode::command(ping, request_id, &self.config, None, out);
                self.push_sent(request_id, Owner::KeepAlive, false);
                self.ping = Ping::Sent;
                self.deadline = Some(now + self.config.keep_alive_timeout);
                continue;
            }
            if !self.send_next(out) {
                return;
            }
            self.touch(now);
        }
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.deadline
    }

    fn handle_timeout(&mut self, now: Instant) {
        if self.deadline.is_none_or(|deadline| now < deadline) {
            return;
        }
        self.deadline = None;
        match (&self.state, self.ping) {
            (State::Handshaking(_), _) => self.timed_out = Some(Phase::Handshake),
            (State::Ready, Ping::Sent) => self.timed_out = Some(Phase::KeepAlive),
            // While answers are due the server is busy, and a ping would wait behind them.
            (State::Ready, _) if !self.sent.is_empty() => self.touch(now),
            (State::Ready, _) => self.ping = Ping::Due,
            (State::Over, _) => {}
        }
    }

    fn handle_eof(&mut self, _: Instant) {
        self.eof = true;
    }

    fn close(&mut self, _: Instant) {
        self.closing = true;
        self.close_if_done();
    }

    fn interest(&self) -> Interest {
        if matches!(self.state, State::Over) {
            return Interest::CLOSED;
        }
        Interest { read: ReadInterest::Want(self.missing), write: WriteInterest::Open }
    }
}

impl RequestProtocol for ClientConnection {
    type Request = Command;
    type Response = Response;

    fn submit(&mut self, _: Instant, token: Token, command: Command) -> Result<(), SubmitError<Command>> {
        if self.closing || self.eof || matches!(self.state, State::Over) {
            return Err(SubmitError::Closed(command));
        }
        let size = command.size();
        let limits = &self.config.limits;
        let too_many_bytes = !self.queue.is_empty() && self.queued_bytes + size > limits.max_queued_bytes();
        if self.in_flight() >= limits.max_in_flight() || too_many_bytes {
            return Err(SubmitError::Full(command));
        }
        if let Some(Err(error)) = self.info.as_ref().map(|info| encode::check(&command, info)) {
            self.answered.push_back((token, Response::Refused(error)));
            return Ok(());
        }
        self.queued_bytes += size;
        self.queue.push_back((token, command));
        Ok(())
    }

    fn cancel(&mut self, token: Token) {
        if let Some(position) = self.queue.iter().position(|(queued, _)| *queued == token) {
            if let Some((_, command)) = self.queue.remove(position) {
                self.queued_bytes = self.queued_bytes.saturating_sub(command.size());
            }
        } else if let Some(sent) = self.sent.iter_mut().find(|sent| sent.owner == Owner::Caller(token)) {
            sent.cancelled = true;
        } else {
            self.answered.retain(|(answered, _)| *answered != token);
        }
        self.close_if_done();
    }

    fn unanswered(&self) -> impl Iterator<Item = (Token, Progress)> {
        let sent = self.sent.iter().filter_map(|sent| match sent.owner {
            Owner::Caller(token) if sent.begun => Some((token, Progress::AnswerBegun)),
            Owner::Caller(token) => Some((token, Progress::FullySent)),
            _ => None,
        });
        let answered = self.answered.iter().map(|(token, response)| match response {
            Response::Sent => (*token, Progress::FullySent),
            _ => (*token, Progress::AnswerBegun),
        });
        let queued = self.queue.iter().map(|(token, _)| (*token, Progress::NotSent));
        sent.chain(answered).chain(queued)
    }

    fn in_flight(&self) -> usize {
        let callers = self.sent.iter().filter(|sent| matches!(sent.owner, Owner::Caller(_))).count();
        self.queue.len() + callers + self.answered.len()
    }

    fn into_answer(event: Event) -> Result<Answer<Response>, Event> {
        match event {
            Event::Answer(answer) => Ok(answer),
            other @ Event::Ready(_) => Err(other),
        }
    }
}
