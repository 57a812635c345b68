//! The laws of `StreamProtocol`, checked on one machine with one script.

use std::time::Duration;

use bytes::BytesMut;
use glowplug_core::{Instant, ReadInterest, SendBuf, StreamProtocol, WriteInterest};

use super::log::{Log, Shape};
use super::script::{Script, Step};

/// When the machines begin.
pub const START: Instant = Instant::from_nanos(1_000_000_000);

/// Polls without an end in sight: more than any input of a target can need.
const ENDLESS: usize = 100_000;

/// A machine and the application above it.
pub trait Subject: Default {
    /// The machine.
    type Machine: StreamProtocol<Event: Sized>;

    /// The error by which a peer is refused that answers what it was not asked yet. Whether it was depends on when the driver
    /// sends, and so on the cuts.
    const TOO_EARLY: Option<&'static str> = None;

    /// A new machine, at [`START`]. The choice picks a configuration.
    fn machine(&mut self, choice: u8) -> Self::Machine;

    /// The application does something by itself.
    fn act(&mut self, machine: &mut Self::Machine, now: Instant, number: u8) {
        let _ = (machine, now, number);
    }

    /// The application hears of an event, notes it, and does what it must.
    fn told(
        &mut self,
        machine: &mut Self::Machine,
        now: Instant,
        event: <Self::Machine as StreamProtocol>::Event,
        log: &mut Log,
    );

    /// Bytes go to the peer. Noted where they do not depend on how the input was cut.
    fn sent(&mut self, bytes: &[u8], log: &mut Log) {
        let _ = (bytes, log);
    }

    /// True once the connection belongs to another protocol: what the machine wants then does not matter.
    fn is_handed_over(&self) -> bool {
        false
    }

    /// False where a cut means something, as it does where TLS begins.
    fn is_cuttable(choice: u8) -> bool {
        let _ = choice;
        true
    }

    /// The run is over.
    fn end(&mut self, machine: &Self::Machine) {
        let _ = machine;
    }
}

/// Tries a script, and then its cuts alone.
pub fn check<S: Subject>(data: &[u8]) -> Shape {
    let script = Script::read(data);
    let shape = script_as_written::<S>(script);
    if S::is_cuttable(script.choice) { shape ^ same_for_every_cut::<S>(script) } else { shape }
}

/// Everything happens as the script says; then the peer's last bytes come, and the end of the stream.
fn script_as_written<S: Subject>(script: Script<'_>) -> Shape {
    let mut run = Run::<S>::new(script.choice);
    run.settle();
    let mut peer = script.peer;
    for step in script.steps() {
        if run.subject.is_handed_over() {
            break;
        }
        match step {
            Step::Deliver(len) => {
                let (piece, rest) = peer.split_at(len.min(peer.len()));
                if run.deliver(piece) {
                    peer = rest;
                }
            }
            Step::Act(number) => run.subject.act(&mut run.machine, run.now, number),
            Step::Early => run.call_early(),
            Step::Wait(seconds) => run.wait(seconds),
            Step::Stall(stall) => run.stall(stall),
            Step::Close => run.machine.close(run.now),
        }
        run.settle();
    }
    run.stall(false);
    run.settle();
    run.deliver(peer);
    run.settle();
    run.end_of_stream();
    run.subject.end(&run.machine);
    run.log.shape()
}

/// The script's actions come first; then the peer's bytes whole, as the script cuts them, and one by one.
fn same_for_every_cut<S: Subject>(script: Script<'_>) -> Shape {
    let run = |pieces: &mut dyn Iterator<Item = usize>| {
        let mut run = Run::<S>::new(script.choice);
        run.eager = true;
        run.settle();
        for step in script.steps() {
            if let Step::Act(number) = step {
                run.subject.act(&mut run.machine, run.now, number);
                run.settle();
            }
        }
        let mut peer = script.peer;
        while !peer.is_empty() && !run.is_over() {
            let (piece, rest) = peer.split_at(pieces.next().unwrap_or(peer.len()).min(peer.len()));
            peer = rest;
            run.input.extend_from_slice(piece);
            run.settle();
        }
        run.end_of_stream();
        run.log
    };
    let whole = run(&mut std::iter::empty());
    let mut cuts = script.steps().filter_map(|step| match step {
        Step::Deliver(len) => Some(len),
        _ => None,
    });
    let same = |cut: Log| {
        let too_early = S::TOO_EARLY.is_some_and(|error| whole.mentions(error) || cut.mentions(error));
        assert!(too_early || whole == cut, "events depend on cuts\n whole {whole:?}\n   cut {cut:?}");
    };
    same(run(&mut cuts));
    if script.peer.len() <= 1024 {
        same(run(&mut std::iter::repeat(1)));
    }
    whole.shape()
}

/// One machine, driven by the canonical loop.
struct Run<S: Subject> {
    subject: S,
    machine: S::Machine,
    now: Instant,
    input: BytesMut,
    out: SendBuf,
    stalled: bool,
    /// Sends after each event, so that a peer that answers too early does so in every run or in none.
    eager: bool,
    failed: bool,
    log: Log,
}

impl<S: Subject> Run<S> {
    fn new(choice: u8) -> Self {
        let mut subject = S::default();
        let machine = subject.machine(choice);
        let out = SendBuf::with_room(if choice & 0x80 == 0 { 1 << 16 } else { 16 });
        Self {
            subject,
            machine,
            now: START,
            input: BytesMut::new(),
            out,
            stalled: false,
            eager: false,
            failed: false,
            log: Log::default(),
        }
    }

    /// Steps 1 to 3 of the canonical loop, until nothing moves.
    fn settle(&mut self) {
        for _ in 0..ENDLESS {
            self.take_events();
            if self.transmit() == 0 {
                if let ReadInterest::Want(n) = self.machine.interest().read {
                    assert!(n > 0, "Want(0)");
                }
                return;
            }
        }
        panic!("output without end");
    }

    /// How many bytes were added.
    fn transmit(&mut self) -> usize {
        let (before, write) = (self.out.len(), self.machine.interest().write);
        self.machine.poll_transmit(self.now, &mut self.out);
        let added = self.out.len() - before;
        assert!(added == 0 || write == WriteInterest::Open, "output after writing was closed");
        self.stall(self.stalled);
        added
    }

    fn take_events(&mut self) {
        for _ in 0..ENDLESS {
            let before = self.input.len();
            let polled = self.machine.poll_event(self.now, &mut self.input);
            assert!(self.input.len() <= before, "the input grew");
            assert!(!self.failed || self.input.len() == before, "input was taken after an error");
            match polled {
                Ok(None) => return,
                Ok(Some(event)) => {
                    assert!(!self.failed, "an event after an error: {:?}", self.log);
                    self.subject.told(&mut self.machine, self.now, event, &mut self.log);
                    while self.eager && self.transmit() > 0 {}
                }
                Err(error) => {
                    if !self.failed {
                        self.log.event(error);
                    }
                    self.failed = true;
                    return;
                }
            }
        }
        panic!("events without end");
    }

    /// False when the machine does not want any.
    fn deliver(&mut self, piece: &[u8]) -> bool {
        let wants = self.machine.interest().read.wants();
        if wants {
            self.input.extend_from_slice(piece);
        }
        wants
    }

    fn stall(&mut self, stall: bool) {
        self.stalled = stall;
        if !stall && !self.out.is_empty() {
            self.subject.sent(&self.out.take_all(), &mut self.log);
        }
    }

    /// Time, first law: early does nothing.
    fn call_early(&mut self) {
        let Some(deadline) = self.machine.poll_timeout().filter(|deadline| *deadline > self.now) else {
            return;
        };
        self.now = Instant::from_nanos(deadline.as_nanos() - 1);
        self.machine.handle_timeout(self.now);
        assert_eq!(self.machine.poll_timeout(), Some(deadline), "an early call moved the deadline");
        let (len, written) = (self.input.len(), self.out.len());
        match self.machine.poll_event(self.now, &mut self.input) {
            Ok(Some(event)) => {
                self.subject.told(&mut self.machine, self.now, event, &mut self.log);
                panic!("an early call had an effect: {:?}", self.log);
            }
            Ok(None) => {}
            Err(error) => assert!(self.failed, "an early call had an effect: {error}"),
        }
        self.machine.poll_transmit(self.now, &mut self.out);
        assert_eq!((self.input.len(), self.out.len()), (len, written), "an early call moved bytes");
    }

    /// Time, second law: late moves the deadline on, sooner or later.
    fn wait(&mut self, seconds: u8) {
        match (seconds, self.machine.poll_timeout()) {
            (0, Some(deadline)) => self.now = self.now.max(deadline),
            _ => self.now += Duration::from_secs(u64::from(seconds)),
        }
        for _ in 0..ENDLESS {
            self.machine.handle_timeout(self.now);
            self.settle();
            if self.machine.poll_timeout().is_none_or(|deadline| deadline > self.now) {
                return;
            }
        }
        panic!("due for ever");
    }

    /// The end of the stream ends the read side.
    fn end_of_stream(&mut self) {
        if self.is_over() {
            return;
        }
        self.machine.handle_eof(self.now);
        for _ in 0..100 {
            self.settle();
            if self.is_over() {
                return;
            }
            // What the application was given and did not take yet.
            self.subject.act(&mut self.machine, self.now, TAKE);
        }
        panic!("reading goes on after the end of the stream: {:?}", self.machine.interest());
    }

    fn is_over(&self) -> bool {
        self.subject.is_handed_over() || self.machine.interest().read == ReadInterest::Closed
    }
}

/// The action by which an application takes everything that it left lying.
pub const TAKE: u8 = 0;
