//! Every law of streams bites: for each there is a machine that is broken in one place, and the law says so.

use bytes::{Bytes, BytesMut};
use glowplug_conformance::reference::line::{self, Config, Error, Line, LineEcho};
use glowplug_conformance::{Plan, StreamLaw, StreamSubject, Verdict};
use glowplug_core::{Instant, Interest, LimitExceeded, ReadInterest, SendBuf, StreamProtocol, WriteInterest};

/// What is wrong with a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flaw {
    /// Nothing: then it keeps every law.
    None,
    /// Takes whatever one read brought for a line.
    LinePerRead,
    /// Takes the beginning of an incomplete line out of the input, and forgets it.
    EatsHead,
    /// Writes into the input.
    Scribbles,
    /// Looks for the end of the line from the start again.
    StartsOver,
    /// Copies the whole input at each look.
    CopiesAll,
    /// Takes any call of `handle_timeout` for a due one.
    EarlyIsDue,
    /// Leaves its deadline where it was.
    NeverMovesOn,
    /// Does not notice the end of the stream.
    DeafToEof,
    /// Reads on after an error.
    ReadsOnAfterError,
    /// Reports the same error for ever as a new event.
    EventsAfterError,
    /// Has an event for nothing.
    EndlessEvents,
    /// Has output for nothing.
    EndlessOutput,
    /// Appends where there is no room.
    IgnoresRoom,
    /// Takes a line of any length.
    NoLimit,
    /// Reads on while its answers wait.
    NeverPauses,
    /// Keeps some memory for ever.
    Leaks,
    /// Trusts its peer.
    Panics,
    /// Goes on after `close`.
    DeafToClose,
    /// Says that there is nothing, and then that there is.
    SecondThoughts,
    /// Asks for more than it needs.
    WantsTooMuch,
    /// Asks for nothing.
    WantsZero,
    /// Reads again after it was closed.
    Reopens,
}

/// A [`LineEcho`] with a flaw.
struct Planted {
    inner: LineEcho,
    flaw: Flaw,
    /// State that only a flaw needs.
    spoiled: bool,
    polls: usize,
}

impl Planted {
    fn new(flaw: Flaw) -> Self {
        let config = match flaw {
            Flaw::NoLimit => Config { max_line: usize::MAX, ..Config::default() },
            Flaw::NeverPauses => Config { max_queued: usize::MAX, ..Config::default() },
            _ => Config::default(),
        };
        Self { inner: LineEcho::new(config, Instant::ZERO), flaw, spoiled: false, polls: 0 }
    }
}

fn line(bytes: &[u8]) -> Line {
    Line(Bytes::copy_from_slice(bytes))
}

impl StreamProtocol for Planted {
    type Event = Line;
    type Error = Error;

    fn poll_event(&mut self, now: Instant, input: &mut BytesMut) -> Result<Option<Line>, Error> {
        self.polls += 1;
        match self.flaw {
            Flaw::LinePerRead if !input.is_empty() => return Ok(Some(line(&input.split()))),
            Flaw::StartsOver => {
                return match memchr::memchr(b'\n', input) {
                    Some(at) => Ok(Some(line(&input.split_to(at + 1)[..at]))),
                    None if input.len() > 8192 => {
                        Err(Error::Limit(LimitExceeded::more_than("max_line", 8192)))
                    }
                    None => Ok(None),
                };
            }
            Flaw::CopiesAll => drop(std::hint::black_box(input.to_vec())),
            Flaw::EventsAfterError if self.spoiled => return Ok(Some(line(b"again"))),
            Flaw::EndlessEvents if !input.is_empty() => return Ok(Some(line(b"more"))),
            Flaw::Leaks => std::mem::forget(vec![0_u8; 16]),
            Flaw::Panics if input.starts_with(b"\n") => panic!("a line has a first byte"),
            Flaw::SecondThoughts if !self.polls.is_multiple_of(7) => return Ok(None),
            _ => {}
        }
        let result = self.inner.poll_event(now, input);
        match (self.flaw, &result) {
            (Flaw::EatsHead, Ok(None)) => input.clear(),
            (Flaw::Scribbles, Ok(None)) if input.len() > 1 => input[0] = b'!',
            (Flaw::ReadsOnAfterError, Err(_)) => self.inner = Self::new(self.flaw).inner,
            (_, Err(_)) => self.spoiled = true,
            _ => {}
        }
        result
    }

    fn poll_transmit(&mut self, now: Instant, out: &mut SendBuf) {
        match self.flaw {
            Flaw::EndlessOutput if out.has_room() => out.put_slice(b"and so on"),
            Flaw::IgnoresRoom => {
                let mut all = SendBuf::new();
                self.inner.poll_transmit(now, &mut all);
                out.append(&mut all);
            }
            _ => self.inner.poll_transmit(now, out),
        }
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

    fn handle_eof(&mut self, now: Instant) {
        if self.flaw != Flaw::DeafToEof {
            self.inner.handle_eof(now);
        }
        self.spoiled |= self.flaw == Flaw::Reopens;
    }

    fn close(&mut self, now: Instant) {
        if self.flaw != Flaw::DeafToClose {
            self.inner.close(now);
        }
    }

    fn interest(&self) -> Interest {
        let inner = self.inner.interest();
        let want = |n| Interest { read: ReadInterest::Want(n), write: WriteInterest::Open };
        match self.flaw {
            Flaw::WantsTooMuch if inner.read.wants() => want(10),
            Flaw::WantsZero if inner.read.wants() => want(0),
            Flaw::NeverPauses if inner.read == ReadInterest::Paused => want(1),
            Flaw::DeafToClose if inner.is_closed() => want(1),
            Flaw::Reopens if inner.is_closed() && self.polls.is_multiple_of(2) => want(1),
            _ => inner,
        }
    }
}

fn subject(flaw: Flaw) -> StreamSubject<Planted> {
    let subject = line::describe(StreamSubject::new(format!("{flaw:?}"), move || Planted::new(flaw)));
    // An invalid input that a flaw takes for valid is another flaw; here each is to be seen alone.
    match flaw {
        Flaw::StartsOver => StreamSubject::new("starts over", move || Planted::new(flaw))
            .input("one line", "hello\n")
            .endless("a line without end", "", "x"),
        _ => subject,
    }
}

/// Each law with the flaws that it has to find.
const FINDS: &[(StreamLaw, &[Flaw])] = &[
    (StreamLaw::Cuts, &[Flaw::LinePerRead]),
    (StreamLaw::IncompleteStays, &[Flaw::EatsHead, Flaw::Scribbles]),
    (StreamLaw::LinearCost, &[Flaw::StartsOver, Flaw::CopiesAll]),
    (StreamLaw::Time, &[Flaw::EarlyIsDue, Flaw::NeverMovesOn]),
    (StreamLaw::EndOfStream, &[Flaw::DeafToEof]),
    (StreamLaw::ErrorsEnd, &[Flaw::ReadsOnAfterError, Flaw::EventsAfterError]),
    (StreamLaw::BoundedWork, &[Flaw::EndlessEvents, Flaw::EndlessOutput, Flaw::IgnoresRoom]),
    (StreamLaw::Memory, &[Flaw::NoLimit, Flaw::NeverPauses, Flaw::Leaks]),
    (StreamLaw::NoPanic, &[Flaw::Panics]),
    (StreamLaw::Close, &[Flaw::DeafToClose]),
    (StreamLaw::Quiet, &[Flaw::SecondThoughts]),
    (StreamLaw::Interest, &[Flaw::WantsTooMuch, Flaw::WantsZero, Flaw::Reopens]),
];

#[test]
fn every_law_finds_its_flaws_and_names_itself() {
    let plan = Plan::new();
    for law in StreamLaw::ALL {
        let flaws = FINDS.iter().find(|(found, _)| found == law).map_or(&[][..], |(_, flaws)| flaws);
        assert!(!flaws.is_empty(), "{law} has no planted flaw");
        for &flaw in flaws {
            if *law == StreamLaw::Memory || flaw == Flaw::CopiesAll {
                // Seen by counting allocations.
                if !cfg!(feature = "memory") {
                    continue;
                }
            }
            match law.check(&subject(flaw), &plan) {
                Ok(verdict) => panic!("{law} did not find {flaw:?}: {verdict:?}"),
                Err(failure) => {
                    assert_eq!(failure.law, law.name(), "{flaw:?} was found, and named\n{failure}");
                    let report = failure.to_string();
                    assert!(report.starts_with(&format!("the law `{law}` is broken by")), "{report}");
                    assert!(report.contains("what:") && report.contains("rerun: "), "{report}");
                }
            }
        }
    }
}

#[test]
fn a_machine_without_a_flaw_keeps_every_law() {
    for law in StreamLaw::ALL {
        let verdict = law.check(&subject(Flaw::None), &Plan::new()).unwrap();
        assert!(verdict == Verdict::Held || !cfg!(feature = "memory"), "{law}: {verdict:?}");
    }
}

#[test]
fn a_seeded_failure_repeats_with_its_seed_alone() {
    let subject = StreamSubject::new("panics", || Planted::new(Flaw::Panics)).input("one line", "a\n");
    let failure = StreamLaw::NoPanic.check(&subject, &Plan::new()).unwrap_err();
    let seed = failure.seed.expect("this input came from a seed");
    let again = StreamLaw::NoPanic.check(&subject, &Plan::new().with_seed(seed).with_seeds(1)).unwrap_err();
    assert_eq!(failure, again);
    assert!(failure.rerun.contains(&format!("GLOWPLUG_SEED={seed} ")), "{failure}");
}
