//! One run of one datagram machine: the canonical loop, with the rules that can be watched from outside.

use std::time::Duration;

use bytes::BytesMut;
use glowplug_core::{DatagramProtocol, Instant, Path};

use super::DatagramLaw;
use super::subject::{DatagramSubject, Step};
use crate::laws::guard::Broken;
use crate::laws::journal::Journal;

/// Events or datagrams that may come out without anything going in.
const BUDGET: u64 = 65_536;

/// How many full batches one deadline may take.
const BATCHES: usize = 10_000;

/// What stands in the output before the machine appends to it: it has to stay.
const BEFORE: &[u8] = b"another datagram";

/// Beyond this, adding to an instant saturates soon, and no deadline can lie after `now` any more.
const HORIZON: Instant = Instant::from_nanos(u64::MAX / 2);

/// One machine on its way.
pub(super) struct Run<'s, P: DatagramProtocol> {
    pub(super) subject: &'s DatagramSubject<P>,
    pub(super) machine: P,
    pub(super) now: Instant,
    pub(super) journal: Journal,
    pub(super) datagrams: u64,
    pub(super) refused: u64,
    out: BytesMut,
}

impl<'s, P: DatagramProtocol> Run<'s, P> {
    pub(super) fn new(subject: &'s DatagramSubject<P>) -> Self {
        Self {
            subject,
            machine: (subject.fresh)(),
            now: Instant::ZERO,
            journal: Journal::default(),
            datagrams: 0,
            refused: 0,
            out: BytesMut::new(),
        }
    }

    pub(super) fn muted(mut self) -> Self {
        self.journal = Journal::muted();
        self
    }

    /// Hands one datagram in and polls nothing. True when it was taken.
    pub(super) fn receive(&mut self, path: Path, payload: &[u8]) -> bool {
        let taken = self.machine.handle_datagram(self.now, path, BytesMut::from(payload)).is_ok();
        self.refused += u64::from(!taken);
        taken
    }

    /// Announces the datagrams that come next, and one from somewhere else that never comes.
    pub(super) fn announce(&mut self, steps: &[Step]) {
        let never = Path::to(([198, 51, 100, 78], 7878).into());
        let next = steps.iter().map_while(|step| match step {
            Step::Datagram(path, _) => Some(path),
            _ => None,
        });
        self.machine.anticipate(&mut next.chain([&never]));
    }

    /// Goes one step. Only a wait polls: whoever wants more settles.
    pub(super) fn step(&mut self, step: &Step) -> Result<(), Broken> {
        match step {
            Step::Datagram(path, payload) => {
                self.receive(*path, payload);
            }
            Step::Unreachable(path) => self.machine.handle_unreachable(self.now, *path),
            Step::Wait(time) => self.wait(*time)?,
        }
        Ok(())
    }

    /// Lets time pass, handling each deadline when it is due.
    fn wait(&mut self, time: Duration) -> Result<(), Broken> {
        self.settle()?;
        let end = self.now + time;
        while let Some(deadline) = self.next_deadline().filter(|&deadline| deadline <= end) {
            self.pass(deadline)?;
        }
        self.now = self.now.max(end);
        Ok(())
    }

    /// The next deadline, if it comes before the end of time.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.machine.poll_timeout().filter(|&deadline| deadline < HORIZON && self.now < HORIZON)
    }

    /// Handles the timeout at `now` until the deadline lies behind it.
    pub(super) fn pass(&mut self, now: Instant) -> Result<(), Broken> {
        self.now = self.now.max(now);
        for _ in 0..BATCHES {
            self.machine.handle_timeout(self.now);
            self.settle()?;
            if self.machine.poll_timeout().is_none_or(|deadline| deadline > self.now) {
                return Ok(());
            }
        }
        let what = format!(
            "at {:?}, after {BATCHES} calls of handle_timeout, the deadline is still {:?}",
            self.now,
            self.machine.poll_timeout()
        );
        Err(Broken::new(DatagramLaw::Time.name(), what))
    }

    /// Takes everything out, until nothing moves.
    pub(super) fn settle(&mut self) -> Result<(), Broken> {
        let mut budget = BUDGET;
        while self.turn(&mut budget)? {}
        self.confirm_quiet()
    }

    /// One more turn moves nothing.
    pub(super) fn confirm_quiet(&mut self) -> Result<(), Broken> {
        if self.turn(&mut BUDGET.clone())? {
            let what = "a turn that moved nothing was followed by one that had events or datagrams";
            return Err(Broken::new(DatagramLaw::Quiet.name(), what));
        }
        Ok(())
    }

    fn turn(&mut self, budget: &mut u64) -> Result<bool, Broken> {
        let mut moved = false;
        while let Some(event) = self.machine.poll_event(self.now) {
            (self.subject.handler)(&mut self.machine, self.now, event, &mut self.journal);
            moved = true;
            spend(budget, "events")?;
        }
        while self.transmit()? {
            moved = true;
            spend(budget, "datagrams")?;
        }
        Ok(moved)
    }

    /// Takes one datagram out. True when there was one.
    pub(super) fn transmit(&mut self) -> Result<bool, Broken> {
        let broken = |what: String| Err(Broken::new(DatagramLaw::Transmits.name(), what));
        self.out.clear();
        self.out.extend_from_slice(BEFORE);
        let transmit = self.machine.poll_transmit(self.now, &mut self.out);
        if !self.out.starts_with(BEFORE) {
            return broken("poll_transmit changed output that was there before".to_owned());
        }
        let appended = self.out.len() - BEFORE.len();
        let Some(transmit) = transmit else {
            return match appended {
                0 => Ok(false),
                _ => broken(format!("poll_transmit returned None and appended {appended} bytes")),
            };
        };
        if transmit.len != appended {
            return broken(format!("a transmit of {} bytes came with {appended} bytes", transmit.len));
        }
        if transmit.segment_size == Some(0) {
            return broken("a transmit has segments of size zero".to_owned());
        }
        self.datagrams += transmit.datagrams() as u64;
        Ok(true)
    }
}

fn spend(budget: &mut u64, what: &str) -> Result<(), Broken> {
    *budget = budget.checked_sub(1).ok_or_else(|| {
        Broken::new(
            DatagramLaw::BoundedWork.name(),
            format!("there is no end of {what}, and nothing goes in"),
        )
    })?;
    Ok(())
}
