//! What the laws need to know about a stream machine.

use std::fmt;
use std::fmt::Debug;

use glowplug_core::{Instant, StreamProtocol};

use crate::laws::journal::Journal;

/// How long an endless frame is made for one-byte reads.
const ENDLESS: usize = 32 * 1024;

/// Head and unit of an endless frame are at most this long, so that what lies further back is finished business.
pub(crate) const WINDOW: usize = 64;

/// A stream machine, in one state, with what its peer might send.
///
/// One subject is one state: for a client that waits for three answers, let the `fresh` closure submit three requests.
///
/// ```
/// use glowplug_conformance::StreamSubject;
/// use glowplug_conformance::reference::line::{Config, LineEcho};
///
/// let subject = StreamSubject::new("line echo", || LineEcho::new(Config::default(), glowplug_core::Instant::ZERO))
///     .input("two lines", b"hello\nworld\n")
///     .invalid("a control character", b"hel\0lo\n")
///     .endless("a line without end", b"", b"x")
///     .memory(64 * 1024);
/// # let _ = subject;
/// ```
pub struct StreamSubject<P: StreamProtocol> {
    pub(crate) name: String,
    pub(crate) fresh: Box<dyn Fn() -> P>,
    pub(crate) application: Box<dyn Fn() -> Box<dyn Application<P>>>,
    pub(crate) inputs: Vec<Input>,
    pub(crate) endless: Vec<Endless>,
    pub(crate) memory: usize,
    pub(crate) output: usize,
    pub(crate) overshoot: usize,
    pub(crate) whole_frames: bool,
    pub(crate) same_output: bool,
}

pub(crate) struct Input {
    pub(crate) name: String,
    pub(crate) bytes: Vec<u8>,
    /// Whether it has to end in an error.
    pub(crate) invalid: bool,
}

pub(crate) struct Endless {
    pub(crate) name: String,
    pub(crate) head: Vec<u8>,
    pub(crate) unit: Vec<u8>,
    pub(crate) len: usize,
}

impl Endless {
    /// The byte at `position` of the frame.
    pub(crate) fn byte(&self, position: usize) -> u8 {
        match self.head.get(position) {
            Some(&byte) => byte,
            None => self.unit[(position - self.head.len()) % self.unit.len()],
        }
    }

    pub(crate) fn bytes(&self, from: usize, to: usize) -> Vec<u8> {
        (from..to).map(|position| self.byte(position)).collect()
    }
}

/// What stands in for the application while a law drives a machine.
///
/// It notes what it is told, and answers, releases or submits as a real application would. It must be deterministic.
/// Where noting alone is enough, [`StreamSubject::new`] or [`StreamSubject::on_event`] spare you one.
pub trait Application<P: StreamProtocol> {
    /// The machine says something.
    fn event(&mut self, machine: &mut P, now: Instant, event: P::Event, journal: &mut Journal);

    /// Called before each turn of the loop, until nothing moves any more: the place to go on with what the machine had
    /// no room for before.
    fn turn(&mut self, machine: &mut P, now: Instant, journal: &mut Journal) {
        let _ = (machine, now, journal);
    }

    /// A transcript asks for something, in words of your own ("submit GET k"). The error is shown with its line.
    fn act(&mut self, machine: &mut P, now: Instant, words: &str) -> Result<(), String> {
        let _ = (machine, now);
        Err(format!("this application does not know how to {words}"))
    }
}

/// The application of [`StreamSubject::new`]: it notes.
struct Notes;

impl<P: StreamProtocol<Event: Debug>> Application<P> for Notes {
    fn event(&mut self, _: &mut P, _: Instant, event: P::Event, journal: &mut Journal) {
        journal.event(format_args!("{event:?}"));
    }
}

/// The application of [`StreamSubject::on_event`].
struct OnEvent<F>(std::rc::Rc<F>);

impl<P: StreamProtocol, F: Fn(&mut P, Instant, P::Event, &mut Journal)> Application<P> for OnEvent<F> {
    fn event(&mut self, machine: &mut P, now: Instant, event: P::Event, journal: &mut Journal) {
        (self.0)(machine, now, event, journal);
    }
}

impl<P: StreamProtocol> StreamSubject<P> {
    /// A machine that `fresh` builds (at [`Instant::ZERO`]), whose events are noted by their `Debug` text.
    pub fn new(name: impl Into<String>, fresh: impl Fn() -> P + 'static) -> Self
    where
        P::Event: Debug,
    {
        Self::bare(name.into(), Box::new(fresh), Box::new(|| Box::new(Notes)))
    }

    /// A machine with an application of its own, made anew for each run.
    pub fn with_application<A: Application<P> + 'static>(
        name: impl Into<String>,
        fresh: impl Fn() -> P + 'static,
        application: impl Fn() -> A + 'static,
    ) -> Self {
        Self::bare(name.into(), Box::new(fresh), Box::new(move || Box::new(application())))
    }

    /// A machine with an application that is one closure: it notes each event and may act on the machine.
    pub fn on_event(
        name: impl Into<String>,
        fresh: impl Fn() -> P + 'static,
        handler: impl Fn(&mut P, Instant, P::Event, &mut Journal) + 'static,
    ) -> Self
    where
        P: 'static,
    {
        let handler = std::rc::Rc::new(handler);
        Self::bare(name.into(), Box::new(fresh), Box::new(move || Box::new(OnEvent(handler.clone()))))
    }

    fn bare(
        name: String,
        fresh: Box<dyn Fn() -> P>,
        application: Box<dyn Fn() -> Box<dyn Application<P>>>,
    ) -> Self {
        Self {
            name,
            fresh,
            application,
            inputs: Vec::new(),
            endless: Vec::new(),
            memory: 1 << 20,
            output: 1 << 20,
            overshoot: 64 * 1024,
            whole_frames: false,
            same_output: false,
        }
    }

    /// Adds something a peer may rightly send. It may hold many frames, and end in the middle of one.
    pub fn input(mut self, name: impl Into<String>, bytes: impl AsRef<[u8]>) -> Self {
        self.inputs.push(Input { name: name.into(), bytes: bytes.as_ref().to_vec(), invalid: false });
        self
    }

    /// Adds something that has to end in an error.
    pub fn invalid(mut self, name: impl Into<String>, bytes: impl AsRef<[u8]>) -> Self {
        self.inputs.push(Input { name: name.into(), bytes: bytes.as_ref().to_vec(), invalid: true });
        self
    }

    /// Adds a frame that never ends, however often `unit` comes after `head`: a line without an end, a bulk of 2^40 bytes, an array
    /// of as many elements. The machine may refuse it at any point.
    ///
    /// # Panics
    /// When `head` or `unit` is longer than 64 bytes, or `unit` is empty.
    pub fn endless(self, name: impl Into<String>, head: impl AsRef<[u8]>, unit: impl AsRef<[u8]>) -> Self {
        self.endless_up_to(name, head, unit, ENDLESS)
    }

    /// Like [`endless`](Self::endless), for a frame that is incomplete only up to `len` bytes (a 16-bit length, say).
    pub fn endless_up_to(
        mut self,
        name: impl Into<String>,
        head: impl AsRef<[u8]>,
        unit: impl AsRef<[u8]>,
        len: usize,
    ) -> Self {
        let (head, unit) = (head.as_ref().to_vec(), unit.as_ref().to_vec());
        assert!(!unit.is_empty() && unit.len() <= WINDOW, "a unit has 1 to {WINDOW} bytes");
        assert!(head.len() <= WINDOW, "a head has at most {WINDOW} bytes");
        self.endless.push(Endless { name: name.into(), head, unit, len });
        self
    }

    /// The most heap, in bytes, that this machine may hold as it is configured here, together with what it leaves in the
    /// input buffer. Default 1 MiB. Configure small limits in `fresh`: the law feeds four times this much.
    pub fn memory(mut self, bytes: usize) -> Self {
        self.memory = bytes;
        self
    }

    /// The most output, in bytes, that may follow one piece of input, beyond 1 KiB per byte of it. Default 1 MiB.
    pub fn output(mut self, bytes: usize) -> Self {
        self.output = bytes;
        self
    }

    /// The longest frame that may overshoot the output's room. Default 64 KiB.
    pub fn overshoot(mut self, bytes: usize) -> Self {
        self.overshoot = bytes;
        self
    }

    /// Every frame ends in an event, and none is handed out in part: `Ok(None)` must take nothing from the input.
    pub fn whole_frames(mut self) -> Self {
        self.whole_frames = true;
        self
    }

    /// The bytes sent, too, must not depend on the cuts.
    pub fn same_output(mut self) -> Self {
        self.same_output = true;
        self
    }

    /// What reports call this machine.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The inputs' bytes, as raw material for hostile ones.
    pub(crate) fn raw_inputs(&self) -> Vec<&[u8]> {
        self.inputs.iter().map(|input| input.bytes.as_slice()).collect()
    }

    /// The inputs a peer may rightly send.
    pub(crate) fn valid_inputs(&self) -> impl Iterator<Item = &Input> {
        self.inputs.iter().filter(|input| !input.invalid)
    }
}

impl<P: StreamProtocol> Debug for StreamSubject<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamSubject")
            .field("name", &self.name)
            .field("inputs", &self.inputs.len())
            .field("endless", &self.endless.len())
            .field("memory", &self.memory)
            .finish_non_exhaustive()
    }
}
