//! What the laws need to know about a datagram machine.

use std::fmt;
use std::fmt::Debug;
use std::time::Duration;

use glowplug_core::{DatagramProtocol, Instant, Path};

use crate::escape::excerpt;
use crate::laws::journal::Journal;

/// One step of a conversation, seen from the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// A datagram with this payload comes in over this path.
    Datagram(Path, Vec<u8>),
    /// The system says that this path leads nowhere.
    Unreachable(Path),
    /// Time passes; deadlines on the way are handled when they are due.
    Wait(Duration),
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Datagram(path, payload) => write!(f, "{} < {}", path.remote, excerpt(payload)),
            Self::Unreachable(path) => write!(f, "{} unreachable", path.remote),
            Self::Wait(time) => write!(f, "+ {time:?}"),
        }
    }
}

/// A datagram machine, in one state, with what its peers might send.
///
/// ```
/// use glowplug_conformance::reference::tally::{Config, Tally};
/// use glowplug_conformance::{DatagramSubject, Step};
/// use glowplug_core::Path;
///
/// let peer = Path::to(([192, 0, 2, 1], 4000).into());
/// let subject = DatagramSubject::new("tally", || Tally::new(Config::default()))
///     .script("one datagram", [Step::Datagram(peer, b"hello".to_vec())])
///     .refused("too long", vec![0; 600])
///     .memory(128 * 1024);
/// # let _ = subject;
/// ```
pub struct DatagramSubject<P: DatagramProtocol> {
    pub(crate) name: String,
    pub(crate) fresh: Box<dyn Fn() -> P>,
    pub(crate) handler: Box<Handler<P>>,
    pub(crate) scripts: Vec<Script>,
    pub(crate) refused: Vec<(String, Vec<u8>)>,
    pub(crate) memory: usize,
}

type Handler<P> = dyn Fn(&mut P, Instant, <P as DatagramProtocol>::Event, &mut Journal);

pub(crate) struct Script {
    pub(crate) name: String,
    pub(crate) steps: Vec<Step>,
}

impl<P: DatagramProtocol> DatagramSubject<P> {
    /// A machine that `fresh` builds (at [`Instant::ZERO`]), whose events are noted by their `Debug` text.
    pub fn new(name: impl Into<String>, fresh: impl Fn() -> P + 'static) -> Self
    where
        P::Event: Debug,
    {
        Self::on_event(name, fresh, |_, _, event, journal| journal.event(format_args!("{event:?}")))
    }

    /// A machine with an application that is one closure: it notes each event and may act on the machine. It must be
    /// deterministic.
    pub fn on_event(
        name: impl Into<String>,
        fresh: impl Fn() -> P + 'static,
        handler: impl Fn(&mut P, Instant, P::Event, &mut Journal) + 'static,
    ) -> Self {
        Self {
            name: name.into(),
            fresh: Box::new(fresh),
            handler: Box::new(handler),
            scripts: Vec::new(),
            refused: Vec::new(),
            memory: 1 << 20,
        }
    }

    /// Adds a conversation that peers may rightly have, within the machine's limits.
    pub fn script(mut self, name: impl Into<String>, steps: impl IntoIterator<Item = Step>) -> Self {
        self.scripts.push(Script { name: name.into(), steps: steps.into_iter().collect() });
        self
    }

    /// Adds a payload that is refused, from whomever it comes.
    pub fn refused(mut self, name: impl Into<String>, payload: impl AsRef<[u8]>) -> Self {
        self.refused.push((name.into(), payload.as_ref().to_vec()));
        self
    }

    /// The most heap, in bytes, that this machine may hold as it is configured here. Default 1 MiB. Configure small
    /// limits in `fresh`: the law floods it.
    pub fn memory(mut self, bytes: usize) -> Self {
        self.memory = bytes;
        self
    }

    /// What reports call this machine.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The payloads, as raw material for hostile ones.
    pub(crate) fn payloads(&self) -> Vec<&[u8]> {
        let sent = self.scripts.iter().flat_map(|script| &script.steps).filter_map(|step| match step {
            Step::Datagram(_, payload) => Some(payload.as_slice()),
            Step::Unreachable(_) | Step::Wait(_) => None,
        });
        sent.chain(self.refused.iter().map(|(_, payload)| payload.as_slice())).collect()
    }

    /// The paths that scripts use.
    pub(crate) fn paths(&self) -> Vec<Path> {
        let mut paths: Vec<Path> = self
            .scripts
            .iter()
            .flat_map(|script| &script.steps)
            .filter_map(|step| match step {
                Step::Datagram(path, _) | Step::Unreachable(path) => Some(*path),
                Step::Wait(_) => None,
            })
            .collect();
        paths.sort_unstable();
        paths.dedup();
        paths
    }
}

impl Script {
    pub(crate) fn text(&self) -> String {
        let steps: Vec<String> = self.steps.iter().map(Step::to_string).collect();
        format!("{}: {}", self.name, steps.join("; "))
    }
}

impl<P: DatagramProtocol> Debug for DatagramSubject<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DatagramSubject")
            .field("name", &self.name)
            .field("scripts", &self.scripts.len())
            .field("memory", &self.memory)
            .finish_non_exhaustive()
    }
}
