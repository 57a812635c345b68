//! A small protocol: a request is a line, its answer is a line, in order; a line that nobody asked for is a push.

use std::collections::VecDeque;
use std::fmt;

use bytes::{Buf, BytesMut};
use glowplug_core::{
    Answer, Instant, Interest, Progress, ReadInterest, RequestProtocol, SendBuf, StreamProtocol, SubmitError,
    Token, WriteInterest,
};

/// Pushes after which the machine pauses until [`Lines::release`].
const PUSHES_AT_ONCE: usize = 4;

/// The client half.
#[derive(Debug)]
pub(crate) struct Lines {
    /// Requests that may be in flight at once.
    room: usize,
    staged: VecDeque<String>,
    in_flight: VecDeque<Token>,
    /// Bytes of the input that hold no line end.
    searched: usize,
    unreleased: usize,
    pub(crate) pushes: usize,
    eof: bool,
    closing: bool,
}

/// What comes.
#[derive(Debug)]
pub(crate) enum Line {
    Answer(Token, String),
    Push,
}

/// The peer ended the stream while somebody waited.
#[derive(Debug)]
pub(crate) struct UnexpectedEof;

impl fmt::Display for UnexpectedEof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the stream ended early")
    }
}

impl std::error::Error for UnexpectedEof {}

impl Lines {
    pub(crate) fn with_room(requests: usize) -> Self {
        Self {
            room: requests,
            staged: VecDeque::new(),
            in_flight: VecDeque::new(),
            searched: 0,
            unreleased: 0,
            pushes: 0,
            eof: false,
            closing: false,
        }
    }

    /// The application has taken the pushes: more may come.
    pub(crate) fn release(&mut self) {
        self.unreleased = 0;
    }

    fn is_paused(&self) -> bool {
        self.unreleased >= PUSHES_AT_ONCE
    }
}

impl StreamProtocol for Lines {
    type Event = Line;
    type Error = UnexpectedEof;

    fn poll_event(&mut self, _now: Instant, input: &mut BytesMut) -> Result<Option<Line>, UnexpectedEof> {
        if self.is_paused() {
            return Ok(None);
        }
        let Some(end) = input[self.searched..].iter().position(|byte| *byte == b'\n') else {
            self.searched = input.len();
            return if self.eof && !self.in_flight.is_empty() { Err(UnexpectedEof) } else { Ok(None) };
        };
        let line = input.split_to(self.searched + end);
        input.advance(1);
        self.searched = 0;
        if let Some(token) = self.in_flight.pop_front() {
            return Ok(Some(Line::Answer(token, String::from_utf8_lossy(&line).into_owned())));
        }
        self.unreleased += 1;
        self.pushes += 1;
        Ok(Some(Line::Push))
    }

    fn poll_transmit(&mut self, _now: Instant, out: &mut SendBuf) {
        while out.has_room()
            && let Some(line) = self.staged.pop_front()
        {
            out.put_slice(line.as_bytes());
            out.put_slice(b"\n");
        }
    }

    fn poll_timeout(&self) -> Option<Instant> {
        None
    }

    fn handle_timeout(&mut self, _now: Instant) {}

    fn handle_eof(&mut self, _now: Instant) {
        self.eof = true;
    }

    fn close(&mut self, _now: Instant) {
        self.closing = true;
    }

    fn interest(&self) -> Interest {
        let read = if self.is_paused() {
            ReadInterest::Paused
        } else if self.eof || (self.closing && self.in_flight.is_empty()) {
            ReadInterest::Closed
        } else {
            ReadInterest::Want(1)
        };
        let done = (self.closing || self.eof) && self.staged.is_empty();
        Interest { read, write: if done { WriteInterest::Closed } else { WriteInterest::Open } }
    }
}

impl RequestProtocol for Lines {
    type Request = String;
    type Response = String;

    fn submit(&mut self, _now: Instant, token: Token, line: String) -> Result<(), SubmitError<String>> {
        if self.closing || self.eof {
            return Err(SubmitError::Closed(line));
        }
        if self.in_flight.len() >= self.room {
            return Err(SubmitError::Full(line));
        }
        self.staged.push_back(line);
        self.in_flight.push_back(token);
        Ok(())
    }

    fn cancel(&mut self, _token: Token) {}

    fn unanswered(&self) -> impl Iterator<Item = (Token, Progress)> {
        self.in_flight.iter().map(|token| (*token, Progress::FullySent))
    }

    fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    fn into_answer(event: Line) -> Result<Answer<String>, Line> {
        match event {
            Line::Answer(token, response) => Ok(Answer { token, response, last: true }),
            Line::Push => Err(Line::Push),
        }
    }
}
