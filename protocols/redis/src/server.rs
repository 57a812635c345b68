//! The server's end of a connection.
//!
//! ```text
//!            new              QUIT, close, end of stream         all answered, all taken
//!             |                          |                                 |
//!             v                          v                                 v
//!          [ Open ] ----------------> [ Draining ] --------------------> [ Closed ]
//!             |                                                             ^
//!             +-----> [ Failed ]: the error is sent as a last reply --------+
//! ```

use bytes::BytesMut;
use glowplug_core::{Instant, Interest, LimitExceeded, ReadInterest, SendBuf, StreamProtocol, WriteInterest};

use crate::config::ServerConfig;
use crate::error::{Error, Phase};
use crate::wire::{CommandDecoder, Protocol, ReceivedCommand, Value, encode};

/// What a [`ServerConnection`] tells the application.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum ServerEvent {
    /// A client asks. Every command wants one [`ServerConnection::reply`], in the order in which they came.
    Command(ReceivedCommand),
}

/// The server's end of a connection, as a pure state machine: commands in, as arrays or typed by hand; replies out, in the
/// version that was chosen; pipelining with an end.
///
/// Which version is spoken, who may do what, and what anything means is the application's: it answers `HELLO` itself and calls
/// [`set_protocol`](Self::set_protocol).
///
/// ```
/// use bytes::BytesMut;
/// use glowplug_core::{Instant, SendBuf, StreamProtocol};
/// use glowplug_redis::{ServerConfig, ServerConnection, ServerEvent, wire::Value};
///
/// let now = Instant::ZERO;
/// let mut connection = ServerConnection::new(now, ServerConfig::new());
/// let mut input = BytesMut::from("*2\r\n$4\r\nECHO\r\n$2\r\nhi\r\n");
/// while let Some(ServerEvent::Command(command)) = connection.poll_event(now, &mut input)? {
///     connection.reply(&Value::bulk(command.get(1).unwrap_or_default()));
/// # if false { return Ok(()) }
/// }
/// let mut out = SendBuf::new();
/// connection.poll_transmit(now, &mut out);
/// assert_eq!(out.take_all(), &b"$2\r\nhi\r\n"[..]);
/// # Ok::<(), glowplug_redis::Error>(())
/// ```
#[derive(Debug)]
pub struct ServerConnection {
    state: State,
    decoder: CommandDecoder,
    protocol: Protocol,
    /// Commands that were handed out and are not answered.
    unanswered: usize,
    out: SendBuf,
    /// When the last byte came.
    quiet_since: Instant,
    seen: usize,
    eof: bool,
    config: ServerConfig,
}

#[derive(Debug)]
enum State {
    Open,
    Draining,
    Failed(Error),
}

impl ServerConnection {
    /// A connection that was just accepted.
    pub fn new(now: Instant, config: ServerConfig) -> Self {
        Self {
            state: State::Open,
            decoder: CommandDecoder::new(config.limits),
            protocol: Protocol::Resp2,
            unanswered: 0,
            out: SendBuf::new(),
            quiet_since: now,
            seen: 0,
            eof: false,
            config,
        }
    }

    /// The version replies are written in.
    pub fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// Changes the version, from the next reply on.
    pub fn set_protocol(&mut self, protocol: Protocol) {
        self.protocol = protocol;
    }

    /// Commands that were handed out and are not answered.
    pub fn unanswered(&self) -> usize {
        self.unanswered
    }

    /// Bytes of replies that wait for the driver.
    pub fn queued_bytes(&self) -> usize {
        self.out.len()
    }

    /// Answers the oldest command that is not answered. Without one, as [`push`](Self::push).
    pub fn reply(&mut self, value: &Value) {
        self.write(value);
        self.unanswered = self.unanswered.saturating_sub(1);
    }

    /// Counts the oldest command as answered, without a word: its answers were sent by [`push`](Self::push), as
    /// confirmations of a subscription are.
    pub fn reply_nothing(&mut self) {
        self.unanswered = self.unanswered.saturating_sub(1);
    }

    /// Sends what answers no command. A peer that does not read what it is sent ends the connection, once more than
    /// `max_output_hard` waits.
    pub fn push(&mut self, value: &Value) {
        self.write(value);
    }

    fn write(&mut self, value: &Value) {
        if matches!(self.state, State::Failed(_)) {
            return;
        }
        if self.out.len() > self.config.max_output_hard {
            let limit = LimitExceeded::new(
                "max_output_hard",
                self.config.max_output_hard as u64,
                self.out.len() as u64,
            );
            self.out = SendBuf::new();
            self.state = State::Failed(Error::Limit(limit));
            return;
        }
        // A long string is not copied, but queued as it is.
        match value {
            Value::Bulk(text) => {
                crate::wire::write_header(b'$', text.len(), self.out.scratch());
                self.out.push(text.clone());
                self.out.put_slice(b"\r\n");
            }
            _ => encode(value, self.protocol, self.out.scratch()),
        }
    }

    /// The client said everything: what is in flight is still answered.
    fn drain(&mut self) {
        if matches!(self.state, State::Open) {
            self.state = State::Draining;
        }
    }

    fn is_paused(&self) -> bool {
        self.unanswered >= self.config.max_unanswered || self.out.len() >= self.config.max_output
    }

    fn fail(&mut self, error: Error) -> Error {
        self.state = State::Failed(error.clone());
        self.unanswered = 0;
        error
    }
}

impl StreamProtocol for ServerConnection {
    type Event = ServerEvent;
    type Error = Error;

    fn poll_event(&mut self, now: Instant, input: &mut BytesMut) -> Result<Option<ServerEvent>, Error> {
        if input.len() > self.seen {
            self.quiet_since = self.quiet_since.max(now);
        }
        if let State::Failed(error) = &self.state {
            return Err(error.clone());
        }
        // What was received before the end of the stream still counts; after `close`, it does not.
        if self.is_paused() || matches!(self.state, State::Draining) {
            self.seen = input.len();
            return Ok(None);
        }
        let result = self.decoder.decode(input);
        self.seen = input.len();
        match result {
            Ok(Some(command)) => {
                self.unanswered += 1;
                Ok(Some(ServerEvent::Command(command)))
            }
            Ok(None) => {
                if self.eof {
                    if !input.is_empty() {
                        return Err(self.fail(Error::UnexpectedEof));
                    }
                    self.drain();
                }
                Ok(None)
            }
            Err(error) => {
                let goodbye = alloc::format!("ERR Protocol error: {}", error.kind);
                self.write(&Value::error(&goodbye));
                Err(self.fail(error.into()))
            }
        }
    }

    fn poll_transmit(&mut self, _now: Instant, out: &mut SendBuf) {
        if out.has_room() && !self.out.is_empty() {
            out.append(&mut self.out);
        }
    }

    fn poll_timeout(&self) -> Option<Instant> {
        match self.state {
            State::Open if self.unanswered == 0 => Some(self.quiet_since + self.config.idle_timeout?),
            _ => None,
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        if self.poll_timeout().is_some_and(|at| at <= now) {
            self.fail(Error::TimedOut(Phase::Idle));
        }
    }

    fn handle_eof(&mut self, _now: Instant) {
        self.eof = true;
    }

    fn close(&mut self, _now: Instant) {
        self.drain();
    }

    fn interest(&self) -> Interest {
        let finished = match self.state {
            State::Open => false,
            State::Draining => self.unanswered == 0 && self.out.is_empty(),
            State::Failed(_) => self.out.is_empty(),
        };
        if finished {
            return Interest::CLOSED;
        }
        let read = match self.state {
            State::Open if self.eof => ReadInterest::Closed,
            State::Open if self.is_paused() => ReadInterest::Paused,
            State::Open => ReadInterest::Want(self.decoder.needed()),
            _ => ReadInterest::Closed,
        };
        Interest { read, write: WriteInterest::Open }
    }
}

#[cfg(test)]
mod tests;
