//! One end of a connection after its handshake.
//!
//! ```text
//!              close, or close_with            the peer's close
//!   Open ───────────────────────────► Closing ──────────────────► Closed
//!     │            (close sent)                  (client: once the server
//!     └────────────────────────────────────────►  has closed the stream)
//!        the peer's close, answered at once
//! ```
//!
//! RFC 6455 §5 (frames), §6 (messages), §7 (closing), §8 (text); RFC 7692 §6 (compressed messages).

mod receive;
mod send;

use bytes::{Bytes, BytesMut};
use glowplug_core::{Instant, Interest, ReadInterest, Rng, Seed, SendBuf, StreamProtocol, WriteInterest};

use crate::config::Config;
use crate::error::{Error, Phase};
use crate::event::Event;
use crate::handshake::Agreed;
use crate::wire::{CloseCode, CloseFrame};
use receive::Receive;
use send::Sending;

/// Which end of the connection this is.
#[derive(Clone, Debug)]
pub enum Role {
    /// The one that asked for it. Its frames are masked, by keys from the seed (RFC 6455 §5.3).
    Client(Seed),
    /// The one that was asked.
    Server,
}

/// One end of a connection after its handshake, as a [`StreamProtocol`].
///
/// Messages come as [`Event`]s and go by [`send`](Self::send). Pings are answered, and sent by the configuration's policy. Not
/// polling for events holds the peer back.
#[derive(Debug)]
pub struct Connection {
    config: Config,
    /// Makes the masking keys of a client.
    masks: Option<Rng>,
    #[cfg(feature = "deflate")]
    deflate: Option<alloc::boxed::Box<crate::deflate::Deflate>>,
    recv: Receive,
    /// Whole frames on their way to `poll_transmit`.
    outbox: SendBuf,
    /// An answer to the latest ping, while the outbox has no room (RFC 6455 §5.5.3: the others need none).
    pong: Option<Bytes>,
    /// The message that is being sent in pieces.
    sending: Option<Sending>,
    life: Life,
    /// A good-bye is in the outbox, or went out.
    close_sent: bool,
    close_received: bool,
    /// Until when the peer's part of the closing handshake may take.
    close_by: Instant,
    /// The client has waited long enough for the server to close the stream.
    lingered: bool,
    /// To be returned by the next `poll_event`.
    error: Option<Error>,
    failed: bool,
    eof: bool,
}

/// When the peer was last heard of.
#[derive(Debug)]
struct Life {
    heard: Instant,
    /// A ping is out, and the peer has to be heard of until then.
    pong_by: Option<Instant>,
    /// The number in the last ping of our own.
    pings: u64,
    /// Input that was left after the last `poll_event`.
    seen: usize,
}

impl Connection {
    /// A connection whose handshake was done at `now`. What came behind the handshake is its first input.
    pub fn new(now: Instant, role: Role, config: Config, agreed: &Agreed) -> Self {
        let masks = match role {
            Role::Client(seed) => Some(seed.rng()),
            Role::Server => None,
        };
        Self {
            #[cfg(feature = "deflate")]
            deflate: agreed
                .deflate
                .as_ref()
                .map(|params| crate::deflate::Deflate::new(params, masks.is_some()).into()),
            recv: Receive::new(now, agreed.deflate.is_some()),
            outbox: SendBuf::with_room(config.send_buffer),
            pong: None,
            sending: None,
            life: Life { heard: now, pong_by: None, pings: 0, seen: 0 },
            close_sent: false,
            close_received: false,
            close_by: now,
            lingered: false,
            error: None,
            failed: false,
            eof: false,
            masks,
            config,
        }
    }

    /// True while messages are taken for sending: neither end has said good-bye.
    pub fn is_open(&self) -> bool {
        !self.close_sent && !self.failed && self.error.is_none()
    }

    /// True while [`send`](Self::send) is not refused as full.
    pub fn has_room(&self) -> bool {
        self.outbox.has_room()
    }

    /// Bytes that wait for `poll_transmit`.
    pub fn unsent(&self) -> usize {
        self.outbox.len()
    }

    /// Gives the memory of empty buffers back, for a long wait.
    pub fn release_memory(&mut self) {
        self.outbox.release_memory();
    }

    fn is_client(&self) -> bool {
        self.masks.is_some()
    }

    /// Says good-bye, with a code and a reason or without. What was taken for sending goes out before. The peer's answer is waited for as
    /// long as the configuration says. Calling it again does nothing.
    pub fn close_with(&mut self, now: Instant, frame: Option<&CloseFrame>) {
        if self.is_open() {
            self.queue_close(frame);
            self.close_by = now + self.config.close_timeout;
        }
    }

    /// The connection is over, and the peer is told why.
    fn fail(&mut self, error: Error) -> Error {
        self.failed = true;
        self.pong = None;
        self.recv.clear();
        if let Some(code) = error.close_code().filter(|_| !self.close_sent) {
            let reason = match &error {
                Error::Peer(error) => alloc::format!("{}", error.reason),
                Error::Limit { exceeded, .. } => alloc::format!("{exceeded}"),
                other => alloc::format!("{other}"),
            };
            self.queue_close(Some(&CloseFrame::new(code, reason)));
        }
        error
    }

    /// Nothing the peer sends matters any more.
    fn is_over(&self) -> bool {
        self.failed || self.close_received && (!self.is_client() || self.eof || self.lingered)
    }

    /// Notes that the peer lives.
    fn hear(&mut self, now: Instant, input: &BytesMut) {
        if input.len() > self.life.seen {
            self.life.heard = now;
            self.life.pong_by = None;
        }
    }

    /// The peer's good-bye came.
    fn receive_close(&mut self, now: Instant, frame: Option<CloseFrame>) -> Event {
        self.close_received = true;
        self.recv.clear();
        if !self.close_sent {
            // RFC 6455 §5.5.1: answered as soon as practical, usually by the same code.
            self.queue_close(frame.as_ref().map(|frame| CloseFrame::from(frame.code)).as_ref());
        }
        self.close_by = now + self.config.close_timeout;
        Event::Close(frame)
    }
}

impl StreamProtocol for Connection {
    type Event = Event;
    type Error = Error;

    fn poll_event(&mut self, now: Instant, input: &mut BytesMut) -> Result<Option<Event>, Error> {
        if let Some(error) = self.error.take() {
            return Err(self.fail(error));
        }
        if self.failed {
            return Ok(None);
        }
        if self.close_received {
            // RFC 6455 §1.4: what comes after a good-bye is thrown away.
            input.clear();
            return Ok(None);
        }
        self.hear(now, input);
        let polled = match self.receive(now, input) {
            Ok(None) if self.eof => Err(Error::UnexpectedEof),
            polled => polled,
        };
        self.life.seen = input.len();
        polled.map_err(|error| self.fail(error))
    }

    fn poll_transmit(&mut self, _now: Instant, out: &mut SendBuf) {
        if !self.outbox.is_empty() && out.has_room() {
            out.append(&mut self.outbox);
        }
        if out.has_room()
            && let Some(payload) = self.pong.take()
        {
            self.queue_pong(&payload);
            out.append(&mut self.outbox);
        }
    }

    fn poll_timeout(&self) -> Option<Instant> {
        if self.error.is_some() || self.is_over() {
            return None;
        }
        if self.close_sent {
            return Some(self.close_by);
        }
        self.life.pong_by.or_else(|| Some(self.life.heard + self.config.ping_interval?))
    }

    fn handle_timeout(&mut self, now: Instant) {
        if self.poll_timeout().is_none_or(|at| now < at) {
            return;
        }
        if self.close_received {
            self.lingered = true;
        } else if self.close_sent {
            self.error = Some(Error::TimedOut(Phase::Close));
        } else if self.life.pong_by.is_some() {
            self.error = Some(Error::TimedOut(Phase::Pong));
        } else {
            self.life.pings += 1;
            self.life.pong_by = Some(now + self.config.pong_timeout);
            self.queue_ping(&self.life.pings.to_be_bytes());
        }
    }

    fn handle_eof(&mut self, _now: Instant) {
        self.eof = true;
    }

    /// Says good-bye with code 1000.
    fn close(&mut self, now: Instant) {
        self.close_with(now, Some(&CloseCode::NORMAL.into()));
    }

    fn interest(&self) -> Interest {
        let read = if self.is_over() { ReadInterest::Closed } else { ReadInterest::Want(self.recv.wanted()) };
        // RFC 6455 §7.1.1: it is the server that closes the stream first.
        let done = self.is_over() && self.outbox.is_empty() && self.pong.is_none();
        Interest { read, write: if done { WriteInterest::Closed } else { WriteInterest::Open } }
    }
}
