//! A stream protocol of one page: lines in, the same lines out.
//!
//! ```text
//!          end of stream, close         queue is empty
//!   Open ------------------> Finishing ----------------> Over
//!     |                          |                        ^
//!     +---- error, idle ---------+------------------------+
//! ```

use std::fmt;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use glowplug_core::{
    Instant, Interest, LimitExceeded, ReadInterest, SendBuf, StreamProtocol, WriteInterest, keep,
};

use crate::laws::stream::StreamSubject;

/// The limits of a [`LineEcho`].
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// The longest line, in bytes without its end. Default 1,024.
    pub max_line: usize,
    /// How many bytes of echo may wait to be sent before the machine reads on. Default 4,096.
    pub max_queued: usize,
    /// How long the peer may be silent. Default 30 seconds.
    pub idle: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self { max_line: 1024, max_queued: 4096, idle: Duration::from_secs(30) }
    }
}

/// Sends each line back and tells the application of it.
#[derive(Debug)]
pub struct LineEcho {
    config: Config,
    state: State,
    /// How far the input holds no end of line.
    looked: usize,
    queue: BytesMut,
    deadline: Instant,
    expired: bool,
    eof: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Lines go both ways.
    Open,
    /// Nothing is read any more; what is queued still goes out.
    Finishing,
    /// It ended with an error, and so does the output.
    Failed,
}

/// A line, without its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line(pub Bytes);

/// Why a connection of lines ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// A line was too long.
    Limit(LimitExceeded),
    /// A line held a NUL, this many bytes from its start.
    Nul(usize),
    /// The stream ended in the middle of a line.
    UnexpectedEof,
    /// The peer was silent for too long.
    TimedOut,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Limit(_) => f.write_str("a line is too long"),
            Self::Nul(offset) => write!(f, "a line holds a NUL at byte {offset}"),
            Self::UnexpectedEof => f.write_str("the stream ended in the middle of a line"),
            Self::TimedOut => f.write_str("the peer was silent for too long"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Limit(limit) => Some(limit),
            _ => None,
        }
    }
}

impl LineEcho {
    /// A machine that starts to wait for its first line at `now`.
    pub fn new(config: Config, now: Instant) -> Self {
        Self {
            config,
            state: State::Open,
            looked: 0,
            queue: BytesMut::new(),
            deadline: now + config.idle,
            expired: false,
            eof: false,
        }
    }

    fn fail(&mut self, error: Error) -> Error {
        self.state = State::Failed;
        self.queue.clear();
        self.queue.extend_from_slice(b"bye\n");
        error
    }
}

impl StreamProtocol for LineEcho {
    type Event = Line;
    type Error = Error;

    fn poll_event(&mut self, now: Instant, input: &mut BytesMut) -> Result<Option<Line>, Error> {
        if self.state != State::Open {
            return Ok(None);
        }
        if self.expired {
            return Err(self.fail(Error::TimedOut));
        }
        if self.queue.len() >= self.config.max_queued {
            return Ok(None);
        }
        let end = memchr::memchr(b'\n', &input[self.looked..]).map(|at| self.looked + at);
        let len = end.unwrap_or(input.len());
        if len > self.config.max_line {
            let max = self.config.max_line as u64;
            return Err(self.fail(Error::Limit(LimitExceeded::more_than("max_line", max))));
        }
        let Some(end) = end else {
            self.looked = input.len();
            if self.eof && !input.is_empty() {
                return Err(self.fail(Error::UnexpectedEof));
            }
            if self.eof {
                self.state = State::Finishing;
            }
            return Ok(None);
        };
        if let Some(offset) = memchr::memchr(0, &input[..end]) {
            return Err(self.fail(Error::Nul(offset)));
        }
        self.looked = 0;
        self.deadline = now + self.config.idle;
        let holder = input.capacity();
        let mut line = input.split_to(end + 1).freeze();
        self.queue.extend_from_slice(&line);
        line.truncate(end);
        Ok(Some(Line(keep(line, holder))))
    }

    fn poll_transmit(&mut self, _: Instant, out: &mut SendBuf) {
        let count = self.queue.len().min(out.room());
        if count > 0 {
            out.put_slice(&self.queue.split_to(count));
        }
    }

    fn poll_timeout(&self) -> Option<Instant> {
        (self.state == State::Open && !self.expired).then_some(self.deadline)
    }

    fn handle_timeout(&mut self, now: Instant) {
        if self.poll_timeout().is_some_and(|deadline| deadline <= now) {
            self.expired = true;
        }
    }

    fn handle_eof(&mut self, _: Instant) {
        self.eof = true;
    }

    fn close(&mut self, _: Instant) {
        if self.state == State::Open {
            self.state = State::Finishing;
        }
    }

    fn interest(&self) -> Interest {
        let read = match self.state {
            State::Open if self.eof || self.queue.len() >= self.config.max_queued => ReadInterest::Paused,
            State::Open => ReadInterest::Want(1),
            State::Finishing | State::Failed => ReadInterest::Closed,
        };
        let over = self.state != State::Open && self.queue.is_empty();
        Interest { read, write: if over { WriteInterest::Closed } else { WriteInterest::Open } }
    }
}

/// The machine as the laws see it, with all that its peer might send.
pub fn subject() -> StreamSubject<LineEcho> {
    describe(StreamSubject::new("line echo", || LineEcho::new(Config::default(), Instant::ZERO)))
}

/// Adds the inputs of a line protocol to any subject: also to one that is broken on purpose.
pub fn describe<P: StreamProtocol>(subject: StreamSubject<P>) -> StreamSubject<P> {
    let long: Vec<u8> = (0..6000).map(|n| if n % 71 == 70 { b'\n' } else { b'a' + (n % 26) as u8 }).collect();
    subject
        .input("one line", "hello\n")
        .input("three lines and a half", "hello\n\nworld\nhel")
        .input("many lines", long)
        .invalid("a NUL", "hel\0lo\n")
        .invalid("a line that is too long", [b'x'; 1100])
        .invalid("half a line", "hel")
        .endless("a line without end", "", "x")
        .memory(64 * 1024)
        .whole_frames()
        .same_output()
}
