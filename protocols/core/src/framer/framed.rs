//! A stream protocol that is no more than frames.

use alloc::collections::VecDeque;
use core::fmt;

use bytes::{Bytes, BytesMut};

use super::{FrameError, Framer, Rule};
use crate::{Instant, Interest, ReadInterest, SendBuf, StreamProtocol, WriteInterest};

/// How many bytes may wait to be sent, unless configured otherwise: 256 KiB.
const DEFAULT_MAX_QUEUED: usize = 256 * 1024;
/// How many pieces may wait: so that empty or tiny ones are bounded too.
const MAX_QUEUED_PIECES: usize = 4096;

/// A [`Framer`] as one end of a connection: frames in, bytes out, both bounded.
///
/// It never waits for a deadline. After the peer's end of stream the frames that are whole come out first, then one
/// [`FramedEvent::Closed`] with the remainder.
///
/// ```
/// use bytes::{Bytes, BytesMut};
/// use glowplug_core::framer::{Framed, FramedEvent, Framer, LineEnding, Rule};
/// use glowplug_core::{Instant, StreamProtocol};
///
/// let mut connection = Framed::new(Framer::new(Rule::Line(LineEnding::Either)));
/// let mut input = BytesMut::from("one\ntwo\nth");
/// connection.handle_eof(Instant::ZERO);
/// let mut next = || connection.poll_event(Instant::ZERO, &mut input);
/// assert_eq!(next()?, Some(FramedEvent::Frame(BytesMut::from("one"))));
/// assert_eq!(next()?, Some(FramedEvent::Frame(BytesMut::from("two"))));
/// assert_eq!(next()?, Some(FramedEvent::Closed { remainder: BytesMut::from("th") }));
/// assert_eq!(next()?, None);
/// # Ok::<(), glowplug_core::framer::FrameError>(())
/// ```
#[derive(Debug)]
pub struct Framed {
    framer: Framer,
    read: Read,
    /// An empty exact frame was given out for the present rule: once is enough, or polling would never end.
    gave_empty: bool,
    needs: usize,
    output: VecDeque<Bytes>,
    queued: usize,
    max_queued: usize,
    closing: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Read {
    Open,
    /// The peer will send no more; whole frames may be left.
    Ended,
    /// The last event is out.
    Closed,
    Failed(FrameError),
}

impl Framed {
    /// A connection that cuts its input with `framer`.
    pub fn new(framer: Framer) -> Self {
        Self {
            framer,
            read: Read::Open,
            gave_empty: false,
            needs: 1,
            output: VecDeque::new(),
            queued: 0,
            max_queued: DEFAULT_MAX_QUEUED,
            closing: false,
        }
    }

    /// The same, with at most `max_queued` bytes waiting to be sent (at least 1; the default is 256 KiB). One piece that
    /// is longer is taken when nothing else waits.
    pub fn max_queued(mut self, max_queued: usize) -> Self {
        self.max_queued = max_queued.max(1);
        self
    }

    /// Changes the rule for what comes next. An empty exact frame is given out once for each call.
    pub fn set_rule(&mut self, rule: Rule) {
        self.framer.set_rule(rule);
        self.gave_empty = false;
    }

    /// Queues bytes to send as they are: what ends or precedes a frame is up to the caller.
    pub fn send(&mut self, bytes: Bytes) -> Result<(), SendError> {
        if self.closing {
            return Err(SendError::Closed(bytes));
        }
        let fits = self.queued.saturating_add(bytes.len()) <= self.max_queued || self.queued == 0;
        if !fits || self.output.len() >= MAX_QUEUED_PIECES {
            return Err(SendError::Full(bytes));
        }
        self.queued += bytes.len();
        self.output.push_back(bytes);
        Ok(())
    }

    /// How many bytes [`send`](Self::send) takes before it is full.
    pub fn capacity(&self) -> usize {
        if self.closing { 0 } else { self.max_queued.saturating_sub(self.queued) }
    }
}

impl StreamProtocol for Framed {
    type Event = FramedEvent;
    type Error = FrameError;

    fn poll_event(&mut self, _now: Instant, input: &mut BytesMut) -> Result<Option<FramedEvent>, FrameError> {
        match self.read {
            Read::Failed(error) => return Err(error),
            Read::Closed => return Ok(None),
            Read::Open | Read::Ended => {}
        }
        if self.framer.rule() != Rule::Exact(0) || !self.gave_empty {
            match self.framer.decode(input) {
                Ok(Some(frame)) => {
                    self.gave_empty = frame.is_empty();
                    return Ok(Some(FramedEvent::Frame(frame)));
                }
                Ok(None) => self.needs = self.framer.needs(input),
                Err(error) => {
                    self.read = Read::Failed(error);
                    return Err(error);
                }
            }
        }
        if self.read == Read::Ended {
            self.read = Read::Closed;
            return Ok(Some(FramedEvent::Closed { remainder: input.split() }));
        }
        Ok(None)
    }

    fn poll_transmit(&mut self, _now: Instant, out: &mut SendBuf) {
        while out.has_room() {
            let Some(bytes) = self.output.pop_front() else { return };
            self.queued -= bytes.len();
            out.push(bytes);
        }
    }

    fn poll_timeout(&self) -> Option<Instant> {
        None
    }

    fn handle_timeout(&mut self, _now: Instant) {}

    fn handle_eof(&mut self, _now: Instant) {
        if self.read == Read::Open {
            self.read = Read::Ended;
        }
    }

    fn close(&mut self, _now: Instant) {
        self.closing = true;
    }

    fn interest(&self) -> Interest {
        let read = match self.read {
            // The next read belongs to the next rule.
            Read::Open if self.gave_empty && self.framer.rule() == Rule::Exact(0) => ReadInterest::Paused,
            Read::Open => ReadInterest::Want(self.needs),
            Read::Ended | Read::Closed | Read::Failed(_) => ReadInterest::Closed,
        };
        let write =
            if self.closing && self.output.is_empty() { WriteInterest::Closed } else { WriteInterest::Open };
        Interest { read, write }
    }
}

/// What a [`Framed`] connection tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FramedEvent {
    /// One frame, by the rule in force.
    Frame(BytesMut),
    /// The peer sends no more. The last event.
    Closed {
        /// What came after the last whole frame.
        remainder: BytesMut,
    },
}

/// Bytes that were not queued, given back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SendError {
    /// The queue is full; send again after the peer has taken some.
    Full(Bytes),
    /// The connection was closed by us.
    Closed(Bytes),
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full(_) => "send queue full",
            Self::Closed(_) => "connection closed",
        })
    }
}

impl core::error::Error for SendError {}
