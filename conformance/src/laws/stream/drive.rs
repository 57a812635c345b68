//! One run of one machine: the canonical loop, with the rules that can be watched from outside.

use bytes::{Buf as _, BytesMut};
use glowplug_core::{Instant, Interest, ReadInterest, SendBuf, StreamProtocol, WriteInterest};

use super::StreamLaw;
use super::subject::{Application, StreamSubject};
use crate::laws::guard::Broken;
use crate::laws::journal::{Entry, Journal};

/// Events that one piece of input may bring, beyond [`EVENTS_PER_BYTE`].
const EVENTS: u64 = 4096;

/// Events that one byte of input may bring.
const EVENTS_PER_BYTE: u64 = 16;

/// Output that one byte of input may bring, in bytes.
const OUTPUT_PER_BYTE: u64 = 1024;

/// Turns of the loop that may pass without an event or output, while the application acts.
const TURNS: u64 = 100_000;

/// How the driver of a run writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Writing {
    /// Everything, at once.
    All,
    /// One byte a turn.
    OneByte,
    /// Nothing: the peer does not read.
    Nothing,
}

/// One machine on its way.
pub(crate) struct Run<'s, P: StreamProtocol> {
    pub(crate) subject: &'s StreamSubject<P>,
    pub(crate) machine: P,
    application: Box<dyn Application<P>>,
    pub(crate) now: Instant,
    pub(crate) input: BytesMut,
    /// What the peer sent while the machine did not want to read.
    waiting: BytesMut,
    pub(crate) out: SendBuf,
    writing: Writing,
    /// What was written, where somebody wants to compare it.
    pub(crate) sent: Option<Vec<u8>>,
    pub(crate) journal: Journal,
    pub(crate) failed: bool,
    eof: bool,
    read_closed: bool,
    write_closed: bool,
}

/// What is left to spend until the run has to be quiet.
struct Budget {
    events: u64,
    output: u64,
    turns: u64,
}

impl<'s, P: StreamProtocol> Run<'s, P> {
    /// A fresh machine, before its first turn.
    pub(crate) fn new(subject: &'s StreamSubject<P>) -> Self {
        Self {
            subject,
            machine: (subject.fresh)(),
            application: (subject.application)(),
            now: Instant::ZERO,
            input: BytesMut::new(),
            waiting: BytesMut::new(),
            out: SendBuf::new(),
            writing: Writing::All,
            sent: None,
            journal: Journal::default(),
            failed: false,
            eof: false,
            read_closed: false,
            write_closed: false,
        }
    }

    pub(crate) fn room(mut self, room: usize, writing: Writing) -> Self {
        self.out.set_room(room);
        self.writing = writing;
        self
    }

    pub(crate) fn keep_sent(mut self) -> Self {
        self.sent = Some(Vec::new());
        self
    }

    pub(crate) fn muted(mut self) -> Self {
        self.journal = Journal::muted();
        self
    }

    /// A fresh machine that has had its first turn and was fed `prefix`.
    pub(crate) fn fed(subject: &'s StreamSubject<P>, prefix: &[u8]) -> Result<Self, Broken> {
        let mut run = Self::new(subject);
        run.settle()?;
        run.feed(prefix)?;
        Ok(run)
    }

    /// Whether the driver would read now.
    pub(crate) fn wants(&self) -> bool {
        !self.failed && !self.eof && self.machine.interest().read.wants()
    }

    /// Hands `bytes` in as one read, as soon as the machine wants to read, and runs until nothing moves.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> Result<(), Broken> {
        self.waiting.extend_from_slice(bytes);
        self.deliver()
    }

    fn deliver(&mut self) -> Result<(), Broken> {
        while self.wants() && !self.waiting.is_empty() {
            self.input.extend_from_slice(&self.waiting);
            self.waiting.clear();
            self.settle()?;
        }
        Ok(())
    }

    /// The peer sends no more. Does nothing while the machine does not want to read: a driver would not notice.
    pub(crate) fn eof(&mut self) -> Result<(), Broken> {
        if !self.wants() || !self.waiting.is_empty() {
            return Ok(());
        }
        self.eof = true;
        self.journal.note(Entry::Eof);
        self.machine.handle_eof(self.now);
        self.settle()
    }

    /// The application wants to finish.
    pub(crate) fn close(&mut self) -> Result<(), Broken> {
        self.machine.close(self.now);
        self.settle()
    }

    /// A transcript's action.
    pub(crate) fn act(&mut self, words: &str) -> Result<(), String> {
        self.application.act(&mut self.machine, self.now, words)
    }

    /// Lets the clock go on to `now` and handles the timeout, due or not.
    pub(crate) fn timeout_at(&mut self, now: Instant) -> Result<(), Broken> {
        self.now = self.now.max(now);
        self.machine.handle_timeout(self.now);
        self.settle()?;
        self.deliver()
    }

    /// Everything that is left over and was not looked at: in the input, and in front of it.
    pub(crate) fn left_over(&self) -> usize {
        self.input.len() + self.waiting.len()
    }

    /// The canonical loop, until nothing moves.
    pub(crate) fn settle(&mut self) -> Result<(), Broken> {
        let at_hand = self.input.len() as u64;
        let mut budget = Budget {
            events: EVENTS + EVENTS_PER_BYTE * at_hand,
            output: self.subject.output as u64 + OUTPUT_PER_BYTE * at_hand,
            turns: TURNS + at_hand,
        };
        loop {
            self.application.turn(&mut self.machine, self.now, &mut self.journal);
            let mut moved = false;
            while self.turn(&mut budget)? {
                moved = true;
            }
            if !moved {
                break;
            }
        }
        self.confirm_quiet()
    }

    /// Steps 1 to 3 of the canonical loop. True when anything moved.
    fn turn(&mut self, budget: &mut Budget) -> Result<bool, Broken> {
        budget.turns = budget.turns.checked_sub(1).ok_or_else(|| {
            Broken::new(
                StreamLaw::BoundedWork.name(),
                "the machine and its application keep each other busy without end",
            )
        })?;
        let mut moved = false;
        while !self.failed && self.poll_event()? {
            moved = true;
            budget.events = budget.events.checked_sub(1).ok_or_else(|| {
                let at_hand = self.input.len();
                Broken::new(
                    StreamLaw::BoundedWork.name(),
                    format!("there is no end of events; {at_hand} bytes of input are left"),
                )
            })?;
        }
        moved |= self.transmit(budget)?;
        self.check_interest()?;
        Ok(moved)
    }

    /// Takes one event to the application. True when there was one, or the connection failed.
    fn poll_event(&mut self) -> Result<bool, Broken> {
        let before = self.input.len();
        match self.machine.poll_event(self.now, &mut self.input) {
            Ok(Some(event)) => {
                self.shrunk(before)?;
                self.application.event(&mut self.machine, self.now, event, &mut self.journal);
                Ok(true)
            }
            Ok(None) => {
                let taken = self.shrunk(before)?;
                if taken > 0 && self.subject.whole_frames && !self.machine_is_done_reading() {
                    let what = format!(
                        "Ok(None) took {taken} bytes from the input, and every frame ends in an event"
                    );
                    return Err(Broken::new(StreamLaw::IncompleteStays.name(), what));
                }
                Ok(false)
            }
            Err(error) => {
                self.shrunk(before)?;
                self.failed = true;
                self.journal.note(Entry::Error(format!("{error} ({error:?})")));
                Ok(true)
            }
        }
    }

    /// A machine that is done with its peer may throw the rest away.
    fn machine_is_done_reading(&self) -> bool {
        self.eof || self.machine.interest().read == ReadInterest::Closed
    }

    fn shrunk(&self, before: usize) -> Result<usize, Broken> {
        before.checked_sub(self.input.len()).ok_or_else(|| {
            let what = format!("poll_event made the input grow from {before} to {} bytes", self.input.len());
            Broken::new(StreamLaw::IncompleteStays.name(), what)
        })
    }

    /// Lets the machine append and writes, until it appends nothing more. True when there was output.
    fn transmit(&mut self, budget: &mut Budget) -> Result<bool, Broken> {
        let mut moved = false;
        loop {
            let added = self.poll_transmit()?;
            moved |= added > 0;
            budget.output = budget.output.checked_sub(added as u64).ok_or_else(|| {
                Broken::new(
                    StreamLaw::BoundedWork.name(),
                    "there is no end of output, and no input left that asks for it",
                )
            })?;
            let written = self.write();
            if added == 0 && written == 0 {
                return Ok(moved);
            }
        }
    }

    /// Calls `poll_transmit` once and holds its rules. Returns how much was appended.
    pub(crate) fn poll_transmit(&mut self) -> Result<usize, Broken> {
        let (before, room) = (self.out.len(), self.out.room());
        let closed = self.machine.interest().write == WriteInterest::Closed;
        self.machine.poll_transmit(self.now, &mut self.out);
        let Some(added) = self.out.len().checked_sub(before) else {
            return Err(Broken::new(
                StreamLaw::BoundedWork.name(),
                "poll_transmit took output away that was there before",
            ));
        };
        if closed && added > 0 {
            let what = format!("poll_transmit appended {added} bytes after the write interest was Closed");
            return Err(Broken::new(StreamLaw::Interest.name(), what));
        }
        if room == 0 && added > 0 {
            let what = format!("poll_transmit appended {added} bytes to an output without room");
            return Err(Broken::new(StreamLaw::BoundedWork.name(), what));
        }
        if added > room.saturating_add(self.subject.overshoot) {
            let what = format!(
                "poll_transmit appended {added} bytes where {room} had room, which is more than one frame over"
            );
            return Err(Broken::new(StreamLaw::BoundedWork.name(), what));
        }
        Ok(added)
    }

    /// Writes to the peer as this run's driver does. Returns how much.
    fn write(&mut self) -> usize {
        let count = match self.writing {
            Writing::All => self.out.len(),
            Writing::OneByte => self.out.len().min(1),
            Writing::Nothing => 0,
        };
        match &mut self.sent {
            Some(sent) => sent.extend_from_slice(&self.out.copy_to_bytes(count)),
            None => self.out.advance(count),
        }
        count
    }

    fn check_interest(&mut self) -> Result<(), Broken> {
        let Interest { read, write } = self.machine.interest();
        let broken = |what: &str| Err(Broken::new(StreamLaw::Interest.name(), what));
        if read == ReadInterest::Want(0) {
            return broken("the read interest is Want(0)");
        }
        if self.read_closed && read != ReadInterest::Closed {
            return broken("the read interest was Closed and is not any more");
        }
        if self.write_closed && write != WriteInterest::Closed {
            return broken("the write interest was Closed and is not any more");
        }
        self.read_closed = read == ReadInterest::Closed;
        self.write_closed = write == WriteInterest::Closed;
        Ok(())
    }

    /// Nothing moved in the turn before, so a driver would wait now: nothing may move in one more turn either.
    pub(crate) fn confirm_quiet(&mut self) -> Result<(), Broken> {
        let broken = |what: String| Err(Broken::new(StreamLaw::Quiet.name(), what));
        if !self.failed {
            let (before, noted) = (self.input.len(), self.journal.count());
            if self.poll_event()? {
                let what = if self.failed {
                    "an error".to_owned()
                } else if self.journal.count() > noted {
                    self.journal.entries().last().map_or("an event".to_owned(), Entry::to_string)
                } else {
                    "an event".to_owned()
                };
                return broken(format!("after a turn that moved nothing, poll_event came up with {what}"));
            }
            if self.input.len() != before {
                return broken("after a turn that moved nothing, poll_event took input".to_owned());
            }
        }
        if self.writing != Writing::Nothing {
            let added = self.poll_transmit()?;
            self.write();
            if added > 0 {
                return broken(format!(
                    "after a turn that moved nothing, poll_transmit appended {added} bytes"
                ));
            }
        }
        self.check_interest()
    }

    /// What is noted when all is over, besides the journal: whether each direction is still open.
    pub(crate) fn openness(&self) -> (Openness, WriteInterest) {
        let interest = self.machine.interest();
        let read = match interest.read {
            ReadInterest::Want(_) => Openness::Open,
            ReadInterest::Paused => Openness::Paused,
            ReadInterest::Closed => Openness::Closed,
        };
        (read, interest.write)
    }
}

/// A read interest without its hint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Openness {
    Open,
    Paused,
    Closed,
}
