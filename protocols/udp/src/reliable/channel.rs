//! One end of one reliable conversation.

use core::fmt;
use core::time::Duration;

use bytes::{Bytes, BytesMut};
use glowplug_core::{Instant, Rng};

use super::MAX_MESSAGE_SEGMENTS;
use super::conversations::{End, ReceiveError};
use super::receive::{Arrival, ReceiveHalf};
use super::send::{SendHalf, TimedOut, Timing};
use super::wire::{DATA, HEADER_LEN, Header, PING, RESET, expand};
use crate::MAX_DATAGRAM;

/// How long an acknowledgement may wait for company.
const ACK_DELAY: Duration = Duration::from_millis(20);

/// In which order messages are delivered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// In the order of sending: a lost one holds up those behind it.
    #[default]
    Ordered,
    /// Each as soon as it is whole.
    Unordered,
}

/// How a [`Channel`] behaves. Only the order of delivery is a matter of the receiver alone.
#[derive(Clone, Copy, Debug)]
pub struct ChannelConfig {
    pub(super) order: Order,
    pub(super) max_datagram: usize,
    pub(super) max_unacked: usize,
    pub(super) max_unread: usize,
    pub(super) keep_alive: Option<Duration>,
    pub(super) timing: Timing,
}

impl Default for ChannelConfig {
    fn default() -> Self {
        Self {
            order: Order::Ordered,
            max_datagram: 1200,
            max_unacked: 256 * 1024,
            max_unread: 512 * 1024,
            keep_alive: None,
            timing: Timing {
                initial: Duration::from_secs(1),
                min: Duration::from_millis(100),
                max: Duration::from_secs(10),
                attempts: 10,
            },
        }
    }
}

impl ChannelConfig {
    /// In which order messages are delivered to us. Default: in the order of sending.
    pub fn order(mut self, order: Order) -> Self {
        self.order = order;
        self
    }

    /// The longest datagram to send, head included (64 to [`MAX_DATAGRAM`]). Default: 1200, which passes everywhere
    /// (RFC 9000 §14).
    pub fn max_datagram(mut self, max: usize) -> Self {
        self.max_datagram = max.clamp(64, MAX_DATAGRAM);
        self
    }

    /// Bytes that may wait for being acknowledged (at least 1). Default: 256 KiB. One message that is longer is taken when
    /// nothing else waits.
    pub fn max_unacked(mut self, max: usize) -> Self {
        self.max_unacked = max.max(1);
        self
    }

    /// Bytes that may wait to be delivered or read, 64 more for each segment (at least 1). Default: 512 KiB. A message that
    /// comes in order is taken beyond that when nothing else waits to be read, so there may be one message more.
    pub fn max_unread(mut self, max: usize) -> Self {
        self.max_unread = max.max(1);
        self
    }

    /// Asks the peer for a sign of life after so long without sending anything, so that neither end's idle time-out, nor
    /// a NAT's, ends the conversation. Default: off.
    pub fn keep_alive(mut self, interval: Option<Duration>) -> Self {
        self.keep_alive = interval.map(|interval| interval.max(Duration::from_millis(10)));
        self
    }

    /// How many time-outs in a row end the conversation (at least 1). Default: 10, which is a minute and a half.
    pub fn attempts(mut self, attempts: u32) -> Self {
        self.timing.attempts = attempts.max(1);
        self
    }
}

/// What a [`Channel`] tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChannelEvent {
    /// A whole message.
    Message(BytesMut),
    /// The peer has closed its side, and all its messages were delivered.
    Finished,
    /// The channel is over before its time.
    Failed(Failure),
}

/// Why a channel is over before its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Failure {
    /// The peer has not answered for too long.
    TimedOut,
    /// The peer does not know of this conversation.
    Reset,
    /// The peer broke the protocol.
    Violation,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TimedOut => "peer does not answer",
            Self::Reset => "peer does not know this conversation",
            Self::Violation => "peer broke the protocol",
        })
    }
}

impl core::error::Error for Failure {}

/// A message that was not queued, given back.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendError {
    /// Too much waits for being acknowledged.
    Full(Bytes),
    /// The channel was closed, or is over.
    Closed(Bytes),
    /// The message has more than [`MAX_MESSAGE_SEGMENTS`] segments.
    TooLong(Bytes),
}

impl SendError {
    /// The message.
    pub fn into_payload(self) -> Bytes {
        match self {
            Self::Full(message) | Self::Closed(message) | Self::TooLong(message) => message,
        }
    }
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full(_) => "too much unacknowledged",
            Self::Closed(_) => "channel closed",
            Self::TooLong(_) => "message too long",
        })
    }
}

impl core::error::Error for SendError {}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    /// Both sides have finished; late repetitions are acknowledged until then.
    Lingering(Instant),
    Failed(Failure),
    Closed,
}

/// See [the module](super).
#[derive(Debug)]
pub struct Channel {
    config: ChannelConfig,
    state: State,
    tag: u32,
    peer_tag: Option<u32>,
    /// To tell a peer that there is no such conversation: the tags to use.
    reset: Option<(u32, u32)>,
    send: SendHalf,
    receive: ReceiveHalf,
    closing: bool,
    told_finished: bool,
    told_failed: bool,
    ack_now: bool,
    /// A segment that is not acknowledged yet, and until when it waits.
    ack_at: Option<Instant>,
    ping: bool,
    last_sent: Instant,
}

impl Channel {
    /// A channel that has heard nothing yet. Its tag is drawn from `rng`.
    pub fn new(config: ChannelConfig, now: Instant, rng: &mut Rng) -> Self {
        Self {
            state: State::Open,
            tag: rng.u32().max(1),
            peer_tag: None,
            reset: None,
            send: SendHalf::new(config.timing),
            receive: ReceiveHalf::new(config.order, config.max_unread),
            closing: false,
            told_finished: false,
            told_failed: false,
            ack_now: false,
            ack_at: None,
            ping: false,
            last_sent: now,
            config,
        }
    }

    /// The longest message that [`send`](Self::send) takes.
    pub fn max_message(&self) -> usize {
        (self.config.max_datagram - HEADER_LEN) * MAX_MESSAGE_SEGMENTS
    }

    /// Queues a message; an empty one is a message too.
    pub fn send(&mut self, message: Bytes) -> Result<(), SendError> {
        if self.closing || self.state != State::Open {
            return Err(SendError::Closed(message));
        }
        if message.len() > self.max_message() {
            return Err(SendError::TooLong(message));
        }
        if !self.has_room(message.len()) {
            return Err(SendError::Full(message));
        }
        self.send.queue(message, self.config.max_datagram - HEADER_LEN);
        Ok(())
    }

    /// Whether a message of so many bytes can be queued now.
    pub(super) fn has_room(&self, len: usize) -> bool {
        // An empty message costs memory as well.
        let waiting = self.send.queued_bytes() + self.send.len() * HEADER_LEN;
        waiting == 0 || waiting + len <= self.config.max_unacked
    }

    /// Whether a message waits to be read.
    pub(super) fn has_message(&self) -> bool {
        self.receive.has_message()
    }

    /// Whether the peer has acknowledged all messages.
    pub(super) fn is_delivered(&self) -> bool {
        self.send.is_delivered()
    }

    /// Whether neither side has said anything.
    pub(super) fn is_unheard(&self) -> bool {
        self.peer_tag.is_none() && self.send.is_empty()
    }

    /// Whether the peer should hear of us at once.
    pub(super) fn wants_ack(&self) -> bool {
        self.ack_now
    }

    /// We have nothing more to send. What is queued is still delivered; what the peer sends still comes.
    pub fn close(&mut self) {
        if !self.closing && self.state == State::Open {
            self.closing = true;
            self.send.finish();
        }
    }

    /// Bytes that wait to be delivered or read.
    pub fn unread(&self) -> usize {
        self.receive.bytes()
    }

    /// True when both sides have finished and it is safe to forget the channel, or when it has failed.
    pub fn is_closed(&self) -> bool {
        self.reset.is_none() && matches!(self.state, State::Closed | State::Failed(_))
    }

    /// True when both sides have finished, and all that may still come is the peer asking for our last word.
    pub(super) fn is_lingering(&self) -> bool {
        matches!(self.state, State::Lingering(_))
    }

    /// How it ended, once it has.
    pub(super) fn end(&self) -> Option<End> {
        match self.state {
            State::Failed(failure) => Some(End::Failed(failure)),
            State::Closed if self.reset.is_none() => Some(End::Finished),
            _ => None,
        }
    }

    /// Whether the peer is to be told that there is no such conversation.
    pub(super) fn wants_reset(&self) -> bool {
        self.reset.is_some()
    }

    /// One datagram of the peer. An error is about the datagram alone.
    pub fn handle_datagram(&mut self, now: Instant, mut datagram: BytesMut) -> Result<(), ReceiveError> {
        let header = Header::decode(&mut datagram).map_err(ReceiveError::Malformed)?;
        if !matches!(self.state, State::Open | State::Lingering(_)) {
            return Err(ReceiveError::Stale);
        }
        let known_peer = self.peer_tag.is_none_or(|tag| tag == header.from);
        if header.flags & RESET != 0 {
            // Only who has seen our datagrams knows both tags; before the peer has spoken, ours.
            if header.to != self.tag || !known_peer {
                return Err(ReceiveError::Stale);
            }
            self.give_up(Failure::Reset);
            return Ok(());
        }
        if header.to != self.tag && header.to != 0 {
            if self.peer_tag.is_none() && self.send.is_empty() {
                // The peer goes on with a conversation that is over here.
                self.reset = Some((header.from, header.to));
                self.state = State::Closed;
            }
            return Err(ReceiveError::Stale);
        }
        if !known_peer {
            return Err(ReceiveError::Stale);
        }
        let ack = expand(header.ack, self.send.base());
        if !self.send.acknowledge(now, ack, header.sack, header.window) {
            return Err(ReceiveError::Stale);
        }
        self.peer_tag = Some(header.from);
        if header.flags & PING != 0 {
            self.ack_now = true;
        }
        if header.flags & DATA != 0 {
            let seq = expand(header.seq, self.receive.next());
            match self.receive.insert(seq, header.flags, datagram) {
                Arrival::InOrder if self.ack_at.is_none() => self.ack_at = Some(now + ACK_DELAY),
                Arrival::InOrder | Arrival::Odd => self.ack_now = true,
                Arrival::Violation => {
                    self.state = State::Failed(Failure::Violation);
                    return Ok(());
                }
            }
        }
        self.finish_if_done(now);
        Ok(())
    }

    /// Each repetition shows that the peer still waits for an acknowledgement.
    fn finish_if_done(&mut self, now: Instant) {
        if self.closing && self.send.is_empty() && self.receive.is_finished() {
            self.state = State::Lingering(now + self.send.linger());
        }
    }

    /// No answer comes any more. If all that is missing is that the peer has heard us say that we have nothing more to
    /// say, it may well have forgotten us in peace.
    fn give_up(&mut self, failure: Failure) {
        let peace = self.closing && self.send.is_delivered() && self.receive.is_finished();
        self.state = if peace { State::Closed } else { State::Failed(failure) };
    }

    /// What there is to tell.
    pub fn poll_event(&mut self) -> Option<ChannelEvent> {
        if let Some((message, reopened)) = self.receive.read() {
            self.ack_now |= reopened;
            return Some(ChannelEvent::Message(message));
        }
        if self.receive.is_finished() && !core::mem::replace(&mut self.told_finished, true) {
            return Some(ChannelEvent::Finished);
        }
        if let State::Failed(failure) = self.state
            && !core::mem::replace(&mut self.told_failed, true)
        {
            return Some(ChannelEvent::Failed(failure));
        }
        None
    }

    /// Appends the next datagram to send to `out` and says how long it is.
    pub fn poll_transmit(&mut self, now: Instant, out: &mut BytesMut) -> Option<usize> {
        let before = out.len();
        if let Some((to, from)) = self.reset.take() {
            Header { flags: RESET, to, from, ack: 0, sack: 0, window: 0, seq: 0 }.encode(out);
            return Some(out.len() - before);
        }
        if !matches!(self.state, State::Open | State::Lingering(_)) {
            return None;
        }
        let segment = self.send.transmit(now);
        if segment.is_none() && !self.ack_now && !self.ping {
            return None;
        }
        let (seq, mut flags, payload) = segment.unwrap_or_default();
        if core::mem::take(&mut self.ping) {
            flags |= PING;
        }
        let (ack, sack, window) = self.receive.acknowledgement();
        let to = self.peer_tag.unwrap_or(0);
        Header { flags, to, from: self.tag, ack: ack as u32, sack, window, seq: seq as u32 }.encode(out);
        out.extend_from_slice(&payload);
        (self.ack_now, self.ack_at, self.last_sent) = (false, None, now);
        Some(out.len() - before)
    }

    /// When [`handle_timeout`](Self::handle_timeout) wants to be called.
    pub fn poll_timeout(&self) -> Option<Instant> {
        match self.state {
            State::Open => {
                let keep_alive = self.config.keep_alive.map(|interval| self.last_sent + interval);
                [self.send.deadline(), self.ack_at, keep_alive].into_iter().flatten().min()
            }
            State::Lingering(until) => Some(until),
            State::Failed(_) | State::Closed => None,
        }
    }

    /// Time has passed. Early it does nothing.
    pub fn handle_timeout(&mut self, now: Instant) {
        match self.state {
            State::Open => {}
            State::Lingering(until) => {
                if now >= until {
                    self.state = State::Closed;
                }
                return;
            }
            State::Failed(_) | State::Closed => return,
        }
        if self.ack_at.is_some_and(|at| now >= at) {
            self.ack_at = None;
            self.ack_now = true;
        }
        if let Some(interval) = self.config.keep_alive
            && now >= self.last_sent + interval
        {
            self.ping = true;
            // If it cannot be sent now it will not be due all the time.
            self.last_sent = now;
        }
        match self.send.handle_timeout(now) {
            TimedOut::No | TimedOut::Again => {}
            TimedOut::Probe => self.ping = true,
            TimedOut::GiveUp => self.give_up(Failure::TimedOut),
        }
    }
}
