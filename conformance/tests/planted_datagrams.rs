//! Every law of datagrams bites: for each there is a machine that is broken in one place, and the law says so.

use bytes::BytesMut;
use glowplug_conformance::reference::tally::{self, Config, Error, Event, Tally};
use glowplug_conformance::{DatagramLaw, DatagramSubject, Plan, Verdict};
use glowplug_core::{DatagramProtocol, Instant, Path, Transmit};

/// What is wrong with a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flaw {
    /// Nothing: then it keeps every law.
    None,
    /// Keeps the newest event and forgets the others.
    OneEvent,
    /// Takes what was announced for something that happened.
    CountsAnnounced,
    /// Is over after the first bad datagram.
    EndsOnError,
    /// Counts a refused datagram as if it had been taken.
    CountsRefused,
    /// Says another length than it appended.
    LiesAboutLength,
    /// Clears the output first.
    ClearsOutput,
    /// Has segments of size zero.
    SegmentsOfZero,
    /// Takes any call of `handle_timeout` for a due one.
    EarlyIsDue,
    /// Leaves its deadline where it was.
    NeverMovesOn,
    /// Has an event for nothing.
    EndlessEvents,
    /// Has a datagram for nothing.
    EndlessDatagrams,
    /// Remembers every peer.
    NoLimit,
    /// Trusts its peers.
    Panics,
    /// Goes on after `close`.
    DeafToClose,
    /// Says that there is nothing, and then that there is.
    SecondThoughts,
}

/// A [`Tally`] with a flaw.
struct Planted {
    inner: Tally,
    flaw: Flaw,
    over: bool,
    extra: u64,
    polls: u64,
    kept: Option<Event>,
}

impl Planted {
    fn new(flaw: Flaw) -> Self {
        let config = match flaw {
            Flaw::NoLimit => Config { max_peers: usize::MAX, ..Config::default() },
            _ => Config::default(),
        };
        Self { inner: Tally::new(config), flaw, over: false, extra: 0, polls: 0, kept: None }
    }
}

impl DatagramProtocol for Planted {
    type Event = Event;
    type Error = Error;

    fn anticipate(&mut self, paths: &mut dyn Iterator<Item = &Path>) {
        if self.flaw == Flaw::CountsAnnounced {
            self.extra += paths.count() as u64;
        }
    }

    fn handle_datagram(&mut self, now: Instant, path: Path, payload: BytesMut) -> Result<(), Error> {
        assert!(self.flaw != Flaw::Panics || payload.first() != Some(&b'x'), "no x, please");
        if self.over {
            return Err(Error::Closed);
        }
        let result = self.inner.handle_datagram(now, path, payload);
        match self.flaw {
            Flaw::EndsOnError if result.is_err() => self.over = true,
            Flaw::CountsRefused if result.is_err() => self.extra += 1,
            Flaw::OneEvent => {
                while let Some(event) = self.inner.poll_event(now) {
                    self.kept = Some(event);
                }
            }
            _ => {}
        }
        result
    }

    fn handle_unreachable(&mut self, now: Instant, path: Path) {
        self.inner.handle_unreachable(now, path);
    }

    fn poll_event(&mut self, now: Instant) -> Option<Event> {
        self.polls += 1;
        match self.flaw {
            Flaw::EndlessEvents => return Some(Event::Gone(Path::to(([0, 0, 0, 0], 0).into()), 0)),
            Flaw::SecondThoughts if !self.polls.is_multiple_of(5) => return None,
            Flaw::OneEvent if self.kept.is_some() => return self.kept.take(),
            _ => {}
        }
        let event = self.inner.poll_event(now)?;
        Some(match event {
            Event::Arrived(path, count, len) => Event::Arrived(path, count + self.extra, len),
            Event::Gone(..) => event,
        })
    }

    fn poll_transmit(&mut self, now: Instant, out: &mut BytesMut) -> Option<Transmit> {
        if self.flaw == Flaw::EndlessDatagrams {
            return Some(Transmit::new(Path::to(([0, 0, 0, 0], 0).into()), 0));
        }
        if self.flaw == Flaw::ClearsOutput {
            out.clear();
        }
        let transmit = self.inner.poll_transmit(now, out)?;
        Some(match self.flaw {
            Flaw::LiesAboutLength => Transmit { len: transmit.len + 1, ..transmit },
            Flaw::SegmentsOfZero => Transmit { segment_size: Some(0), ..transmit },
            _ => transmit,
        })
    }

    fn poll_timeout(&self) -> Option<Instant> {
        match self.flaw {
            Flaw::NeverMovesOn => Some(Instant::from_nanos(1)),
            _ => self.inner.poll_timeout(),
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        match self.flaw {
            Flaw::EarlyIsDue => self.inner.handle_timeout(Instant::FAR_FUTURE),
            Flaw::NeverMovesOn => {}
            _ => self.inner.handle_timeout(now),
        }
    }

    fn close(&mut self, now: Instant) {
        if self.flaw != Flaw::DeafToClose {
            self.inner.close(now);
        }
    }

    fn is_closed(&self) -> bool {
        self.over || self.inner.is_closed()
    }
}

fn subject(flaw: Flaw) -> DatagramSubject<Planted> {
    tally::describe(DatagramSubject::new(format!("{flaw:?}"), move || Planted::new(flaw)))
}

/// Each law with the flaws that it has to find.
const FINDS: &[(DatagramLaw, &[Flaw])] = &[
    (DatagramLaw::Batching, &[Flaw::OneEvent, Flaw::CountsAnnounced]),
    (DatagramLaw::Errors, &[Flaw::EndsOnError, Flaw::CountsRefused]),
    (DatagramLaw::Transmits, &[Flaw::LiesAboutLength, Flaw::ClearsOutput, Flaw::SegmentsOfZero]),
    (DatagramLaw::Time, &[Flaw::EarlyIsDue, Flaw::NeverMovesOn]),
    (DatagramLaw::BoundedWork, &[Flaw::EndlessEvents, Flaw::EndlessDatagrams]),
    (DatagramLaw::Memory, &[Flaw::NoLimit]),
    (DatagramLaw::NoPanic, &[Flaw::Panics]),
    (DatagramLaw::Close, &[Flaw::DeafToClose]),
    (DatagramLaw::Quiet, &[Flaw::SecondThoughts]),
];

#[test]
fn every_law_finds_its_flaws_and_names_itself() {
    let plan = Plan::new();
    for law in DatagramLaw::ALL {
        let flaws = FINDS.iter().find(|(found, _)| found == law).map_or(&[][..], |(_, flaws)| flaws);
        assert!(!flaws.is_empty(), "{law} has no planted flaw");
        for &flaw in flaws {
            if *law == DatagramLaw::Memory && !cfg!(feature = "memory") {
                // Seen by counting allocations.
                continue;
            }
            match law.check(&subject(flaw), &plan) {
                Ok(verdict) => panic!("{law} did not find {flaw:?}: {verdict:?}"),
                Err(failure) => {
                    assert_eq!(failure.law, law.name(), "{flaw:?} was found, and named\n{failure}");
                    assert!(failure.to_string().contains("rerun: "), "{failure}");
                }
            }
        }
    }
}

#[test]
fn a_machine_without_a_flaw_keeps_every_law() {
    for law in DatagramLaw::ALL {
        let verdict = law.check(&subject(Flaw::None), &Plan::new()).unwrap();
        assert!(verdict == Verdict::Held || !cfg!(feature = "memory"), "{law}: {verdict:?}");
    }
}
