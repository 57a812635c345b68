//! The client's end of a connection.
//!
//! ```text
//!          new                all steps answered          close, last answer
//!           |                         |                           |
//!           v                         v                           v
//!     [ Handshake ] ------------> [ Ready ] ----------------> [ Closed ]
//!       ^   |                         |
//!       |   +-----> [ Failed ] <------+   bytes, time or a refusal
//!       |                |
//!       +--- [ Down ] <--+----- handle_disconnect, from anywhere
//!      handle_reconnect
//! ```
//!
//! Requests may be submitted at once: they wait, encoded, until the handshake is done. From then on the machine is a queue
//! of slots in the order of the wire. Each reply belongs to the slot at the front, whoever has gone away meanwhile.

mod recover;
mod requests;

use alloc::boxed::Box;
use alloc::collections::{BTreeSet, VecDeque};
use core::time::Duration;

use bytes::{Buf, BytesMut};
use glowplug_core::{
    Answer, Instant, Interest, Progress, ReadInterest, SendBuf, StreamProtocol, Token, WriteInterest,
};

use crate::cache::{Cache, CacheStats, Reading};
use crate::command::{Blocks, Command, Subscribes};
use crate::config::ClientConfig;
use crate::error::{Error, PeerError, Phase};
use crate::event::Event;
use crate::handshake::{Handshake, Outcome};
use crate::pubsub::Subscriptions;
use crate::request::Request;
use crate::wire::{Decoder, Protocol, Reply};

/// How long the answer to a keep-alive `PING` may take when `answer_timeout` is off.
const PING_TIMEOUT: Duration = Duration::from_secs(10);

/// The client's end of a connection, as a pure state machine: handshake, pipelining, pushes, deadlines.
///
/// ```
/// use bytes::BytesMut;
/// use glowplug_core::{Instant, RequestProtocol, SendBuf, StreamProtocol, Token};
/// use glowplug_redis::{ClientConfig, ClientConnection, Command, Event, wire::Protocol};
///
/// let now = Instant::ZERO;
/// let config = ClientConfig::new().protocol(Protocol::Resp2).set_info(false);
/// let mut connection = ClientConnection::new(now, config);
/// connection.submit(now, Token(1), Command::new("PING").into()).expect("there is room");
///
/// let mut input = BytesMut::new();
/// assert!(matches!(connection.poll_event(now, &mut input)?, Some(Event::Connected { .. })));
/// let mut out = SendBuf::new();
/// connection.poll_transmit(now, &mut out);
/// assert_eq!(out.take_all(), &b"*1\r\n$4\r\nPING\r\n"[..]);
///
/// input.extend_from_slice(b"+PONG\r\n");
/// let Some(Event::Answer(answer)) = connection.poll_event(now, &mut input)? else { panic!("no answer") };
/// assert_eq!((answer.token, answer.last), (Token(1), true));
/// # Ok::<(), glowplug_redis::Error>(())
/// ```
#[derive(Debug)]
pub struct ClientConnection {
    state: State,
    decoder: Decoder,
    protocol: Protocol,
    /// In the order of the wire.
    slots: VecDeque<Slot>,
    subscriptions: Subscriptions,
    /// `MONITOR` was answered: commands come as they are run.
    monitors: bool,
    /// Requests, encoded, that no output has taken yet.
    queued: SendBuf,
    /// Bytes ever queued, and bytes ever taken: a slot knows its place in the former.
    total_queued: u64,
    total_taken: u64,
    /// Requests among the slots that nobody waits for any more; tokens that are not in flight may be among them for a while.
    cancelled: BTreeSet<Token>,
    /// Some of them may still lie in `queued`.
    forget: bool,
    /// A keep-alive `PING` is among the slots.
    pinging: bool,
    closing: bool,
    eof: bool,
    /// When the last byte came, or when the wait began, whichever is later.
    quiet_since: Instant,
    /// The input's length when it was last seen.
    seen: usize,
    /// What was read and is kept, if it is to be.
    pub(crate) cache: Option<Box<Cache>>,
    config: ClientConfig,
}

#[derive(Debug)]
enum State {
    /// There is no transport.
    Down,
    Handshake(Handshake),
    Ready,
    Closed,
    Failed(Error),
}

/// A request on its way.
#[derive(Debug)]
struct Slot {
    owner: Owner,
    /// Replies that are still to come.
    left: usize,
    begun: bool,
    /// Where its bytes lie among all that were ever queued.
    start: u64,
    end: u64,
    /// What few requests have.
    special: Option<Box<Special>>,
}

#[derive(Debug)]
struct Special {
    blocks: Option<Blocks>,
    subscribes: Option<Subscribes>,
    /// The command itself, to be sent again on the next transport.
    again: Option<Command>,
    /// The cache waits for the answer.
    reading: Option<Reading>,
}

impl Slot {
    fn subscribes(&self) -> Option<Subscribes> {
        self.special.as_ref()?.subscribes
    }

    fn blocks(&self) -> Option<Blocks> {
        self.special.as_ref()?.blocks
    }

    /// Takes what the cache waits for.
    fn reading(&mut self) -> Option<Reading> {
        self.special.as_mut()?.reading.take()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owner {
    Caller(Token),
    /// Read the answer, throw it away.
    Nobody,
    KeepAlive,
}

impl ClientConnection {
    /// A connection whose transport has just been established.
    pub fn new(now: Instant, config: ClientConfig) -> Self {
        let mut connection = Self::unconnected(now, config);
        connection.handle_reconnect(now);
        connection
    }

    /// A connection whose transport is still to come: requests wait until [`handle_reconnect`](Self::handle_reconnect) says that it is there.
    pub fn unconnected(now: Instant, config: ClientConfig) -> Self {
        Self {
            state: State::Down,
            decoder: Decoder::new(config.limits),
            protocol: Protocol::Resp2,
            slots: VecDeque::new(),
            subscriptions: Subscriptions::default(),
            monitors: false,
            queued: SendBuf::new(),
            total_queued: 0,
            total_taken: 0,
            cancelled: BTreeSet::new(),
            forget: false,
            pinging: false,
            closing: false,
            eof: false,
            quiet_since: now,
            seen: 0,
            cache: config.cache.clone().map(|config| Box::new(Cache::new(config))),
            config,
        }
    }

    /// The version that is spoken: RESP2 until the handshake is done.
    pub fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// True once the handshake is done and until the connection is over.
    pub fn is_ready(&self) -> bool {
        matches!(self.state, State::Ready)
    }

    /// Gives the connection up, because an answer cannot be the one to its question: every answer behind it may be somebody else's. The next
    /// [`poll_event`](StreamProtocol::poll_event) fails with [`PeerError::OutOfStep`].
    pub fn distrust(&mut self) {
        if matches!(self.state, State::Handshake(_) | State::Ready) {
            self.fail(Error::Peer(PeerError::OutOfStep));
        }
    }

    /// The answer to `command`, if the [cache](ClientConfig::cache) has it. Otherwise submit the command, marked as
    /// [cacheable](Command::cacheable).
    pub fn cached(&mut self, now: Instant, command: &Command) -> Option<Reply> {
        if !self.is_ready() || self.eof {
            return None;
        }
        self.cache.as_mut()?.get(now, command)
    }

    /// How the cache fares; `None` if there is none.
    pub fn cache_stats(&self) -> Option<CacheStats> {
        self.cache.as_ref().map(|cache| cache.stats())
    }

    /// Drops what the cache holds. What is on its way is not kept either.
    pub fn clear_cache(&mut self) {
        if let Some(cache) = &mut self.cache {
            cache.change_all();
        }
    }

    fn progress_of(&self, slot: &Slot) -> Progress {
        if slot.begun {
            Progress::AnswerBegun
        } else if self.total_taken >= slot.end {
            Progress::FullySent
        } else if self.total_taken > slot.start {
            Progress::PartlySent
        } else {
            Progress::NotSent
        }
    }

    fn push_slot(&mut self, now: Instant, owner: Owner, mut request: Request) {
        if self.slots.is_empty() {
            self.quiet_since = self.quiet_since.max(now);
        }
        let (blocks, subscribes) = (request.blocks(), request.subscribes());
        let left = match subscribes {
            // Without a name there is one answer: a refusal.
            Some(Subscribes::Names(names)) => names.max(1),
            // Known when its turn comes.
            Some(Subscribes::AllOf(_) | Subscribes::Everything) => 1,
            None => request.replies(),
        };
        let again = if self.config.resend_read_only { request.read_only_command() } else { None };
        let reading = self.cache.as_mut().and_then(|cache| cache.note(&mut request));
        let special = (blocks.is_some() || subscribes.is_some() || again.is_some() || reading.is_some())
            .then(|| Box::new(Special { blocks, subscribes, again, reading }));
        let before = self.queued.len();
        request.encode(&mut self.queued);
        let start = self.total_queued;
        self.total_queued += (self.queued.len() - before) as u64;
        self.slots.push_back(Slot { owner, left, begun: false, start, end: self.total_queued, special });
    }

    fn fail(&mut self, error: Error) -> Error {
        self.state = State::Failed(error.clone());
        self.seen = 0;
        error
    }

    /// Gives a whole reply to whom it belongs.
    #[inline]
    fn dispatch(&mut self, now: Instant, reply: Reply) -> Result<Option<Event>, Error> {
        if matches!(reply, Reply::Aggregate(_)) && !self.is_answer(&reply)? {
            let for_cache = self.cache.as_mut().is_some_and(|cache| cache.handle_push(&reply));
            return Ok((!for_cache).then_some(Event::Push(reply)));
        }
        if self.monitors && is_shown(&reply) {
            return Ok(Some(Event::Push(reply)));
        }
        let Some(slot) = self.slots.front_mut() else {
            return Err(Error::Peer(PeerError::UnsolicitedReply));
        };
        slot.left -= 1;
        if slot.left == 0 && slot.special.is_none() {
            // By far the most frequent: one request, one answer.
            let owner = slot.owner;
            self.slots.pop_front();
            return Ok(self.answer(owner, reply, true));
        }
        slot.begun = true;
        if slot.subscribes() == Some(Subscribes::Everything) {
            self.monitors = matches!(reply, Reply::Simple(_));
        } else if slot.subscribes().is_some() {
            match reply {
                Reply::Aggregate(_) => {}
                // One refusal answers the whole command.
                Reply::Error(_) => slot.left = 0,
                _ => return Err(Error::Peer(PeerError::NotAConfirmation)),
            }
        }
        let (owner, last) = (slot.owner, slot.left == 0);
        if last {
            let special = self.slots.pop_front().and_then(|slot| slot.special);
            if let Some(reading) = special.and_then(|special| special.reading)
                && let Some(cache) = &mut self.cache
            {
                cache.finish(now, reading, &reply);
            }
        }
        Ok(self.answer(owner, reply, last))
    }

    /// The event for an answer, if anybody waits for it.
    #[inline]
    fn answer(&mut self, owner: Owner, response: Reply, last: bool) -> Option<Event> {
        let token = match owner {
            Owner::Caller(token) => token,
            Owner::KeepAlive => {
                self.pinging = false;
                return None;
            }
            Owner::Nobody => return None,
        };
        if !self.cancelled.is_empty() && self.is_cancelled(token, last) {
            return None;
        }
        Some(Event::Answer(Answer { token, response, last }))
    }

    /// Tells an answer from a push; takes note of confirmations.
    fn is_answer(&mut self, reply: &Reply) -> Result<bool, Error> {
        let front = self.slots.front_mut();
        let awaited = front.as_ref().and_then(|slot| slot.subscribes());
        if self.protocol == Protocol::Resp3 && !reply.is_push() {
            return match awaited {
                Some(_) => Err(Error::Peer(PeerError::NotAConfirmation)),
                None => Ok(true),
            };
        }
        if self.protocol == Protocol::Resp2 && (!self.subscriptions.any() || Subscriptions::is_message(reply))
        {
            if self.subscriptions.any() {
                return Ok(false);
            }
            if awaited.is_none() {
                return Ok(true);
            }
        }
        // A confirmation, a push of another kind, or over RESP2 an answer to PING while subscribed.
        let scope_count = match awaited {
            Some(Subscribes::AllOf(scope)) => self.subscriptions.count(scope),
            _ => 0,
        };
        let confirmed = self.subscriptions.confirmed(reply);
        let Some(slot) = front.filter(|_| awaited.is_some()) else {
            return Ok(self.protocol == Protocol::Resp2 && !confirmed);
        };
        if !confirmed {
            return match self.protocol {
                Protocol::Resp2 => Err(Error::Peer(PeerError::NotAConfirmation)),
                Protocol::Resp3 => Ok(false),
            };
        }
        if !slot.begun && matches!(awaited, Some(Subscribes::AllOf(_))) {
            slot.left = scope_count.max(1);
        }
        Ok(true)
    }

    /// Lets the handshake take the next reply.
    fn shake(&mut self, reply: Reply) -> Result<Option<Event>, Error> {
        let State::Handshake(handshake) = &mut self.state else { return Ok(None) };
        if reply.is_push() {
            return Ok(Some(Event::Push(reply)));
        }
        match handshake.handle_reply(reply, &self.config)? {
            Outcome::Continue => Ok(None),
            Outcome::Done { protocol, server, tracking } => {
                if let Some(cache) = &mut self.cache {
                    cache.set_tracking(tracking);
                }
                self.protocol = protocol;
                self.state = State::Ready;
                Ok(Some(Event::Connected { protocol, server }))
            }
        }
    }

    fn note_input(&mut self, now: Instant, len: usize) {
        if len > self.seen {
            self.quiet_since = self.quiet_since.max(now);
        }
    }

    /// `input` holds no whole reply any more.
    fn out_of_input(&mut self, input: &BytesMut) -> Result<Option<Event>, Error> {
        if self.eof {
            if !input.is_empty() || !self.slots.is_empty() || matches!(self.state, State::Handshake(_)) {
                return Err(self.fail(Error::UnexpectedEof));
            }
            self.state = State::Closed;
        }
        self.close_when_done();
        Ok(None)
    }

    fn close_when_done(&mut self) {
        if self.closing && self.slots.is_empty() && !matches!(self.state, State::Failed(_)) {
            self.state = State::Closed;
        }
    }

    /// What is waited for, and until when.
    fn deadline(&self) -> Option<(Instant, Phase)> {
        let answer_timeout = self.config.answer_timeout;
        let (phase, wait) = match (&self.state, self.slots.front()) {
            (State::Down | State::Closed | State::Failed(_), _) => return None,
            (State::Handshake(_), _) => (Phase::Handshake, self.config.handshake_timeout?),
            (State::Ready, None) => (Phase::Idle, self.config.keep_alive?),
            (State::Ready, Some(slot)) if slot.owner == Owner::KeepAlive => {
                (Phase::KeepAlive, answer_timeout.unwrap_or(PING_TIMEOUT))
            }
            (State::Ready, Some(slot)) => match slot.blocks() {
                None => (Phase::Answer, answer_timeout?),
                Some(Blocks::For(extra)) => (Phase::Answer, answer_timeout?.saturating_add(extra)),
                Some(Blocks::Forever) => return None,
            },
        };
        Some((self.quiet_since + wait, phase))
    }
}

/// A line of `MONITOR` begins with the time; no status does.
fn is_shown(reply: &Reply) -> bool {
    matches!(reply, Reply::Simple(text) if text.first().is_some_and(u8::is_ascii_digit))
}

impl StreamProtocol for ClientConnection {
    type Event = Event;
    type Error = Error;

    fn poll_event(&mut self, now: Instant, input: &mut BytesMut) -> Result<Option<Event>, Error> {
        self.note_input(now, input.len());
        loop {
            match &mut self.state {
                State::Failed(error) => return Err(error.clone()),
                State::Down | State::Closed => return Ok(None),
                State::Handshake(handshake) if handshake.is_done() => {
                    // Nothing to say: RESP2 without a password.
                    self.protocol = Protocol::Resp2;
                    self.state = State::Ready;
                    return Ok(Some(Event::Connected { protocol: Protocol::Resp2, server: None }));
                }
                State::Ready if input.is_empty() && !self.eof && !self.closing => {
                    // The usual end of a turn, not worth the decoder's look.
                    self.seen = 0;
                    return Ok(None);
                }
                State::Handshake(_) | State::Ready => {}
            }
            let reply = match self.decoder.decode(input) {
                Ok(Some(reply)) => reply,
                Ok(None) => {
                    self.seen = input.len();
                    return self.out_of_input(input);
                }
                Err(error) => return Err(self.fail(error.into())),
            };
            self.seen = input.len();
            let event = if matches!(self.state, State::Ready) {
                self.dispatch(now, reply)
            } else {
                self.shake(reply)
            };
            match event {
                Ok(Some(event)) => return Ok(Some(event)),
                Ok(None) => {}
                Err(error) => return Err(self.fail(error)),
            }
        }
    }

    fn poll_transmit(&mut self, _now: Instant, out: &mut SendBuf) {
        match &mut self.state {
            State::Handshake(handshake) => handshake.transmit(out),
            State::Ready => {
                let room = out.room();
                if self.queued.is_empty() || room == 0 {
                    return;
                }
                if self.forget {
                    self.forget_cancelled();
                }
                let waiting = self.queued.len();
                if waiting <= room {
                    self.total_taken += waiting as u64;
                    out.append(&mut self.queued);
                } else {
                    // Byte by byte, not request by request: the limit is the driver's, and a request may be of any size.
                    self.total_taken += room as u64;
                    out.push(self.queued.copy_to_bytes(room));
                }
            }
            State::Down | State::Closed | State::Failed(_) => {}
        }
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.deadline().map(|(at, _)| at)
    }

    fn handle_timeout(&mut self, now: Instant) {
        let Some((at, phase)) = self.deadline() else { return };
        if now < at {
            return;
        }
        if phase == Phase::Idle {
            self.quiet_since = now;
            if !self.closing {
                self.pinging = true;
                self.push_slot(now, Owner::KeepAlive, Command::new("PING").into());
            }
        } else {
            self.fail(Error::TimedOut(phase));
        }
    }

    fn handle_eof(&mut self, _now: Instant) {
        self.eof = true;
    }

    fn close(&mut self, _now: Instant) {
        self.closing = true;
        self.close_when_done();
    }

    fn interest(&self) -> Interest {
        match self.state {
            State::Closed | State::Failed(_) => Interest::CLOSED,
            State::Down => Interest::OPEN,
            State::Handshake(_) | State::Ready => Interest {
                read: if self.eof { ReadInterest::Closed } else { ReadInterest::Want(self.decoder.needed()) },
                write: WriteInterest::Open,
            },
        }
    }
}

#[cfg(test)]
mod tests;
