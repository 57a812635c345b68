//! The contract of [`DatagramProtocol`].

mod bounds;
mod drive;
mod order;
mod subject;
mod time;

use std::fmt;

use glowplug_core::DatagramProtocol;

pub use subject::{DatagramSubject, Step};

use crate::failure::{Failure, Verdict};
use crate::plan::Plan;

/// One law of [`DatagramProtocol`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DatagramLaw {
    /// The events do not depend on whether they are taken after each datagram or after a whole batch, but for their order:
    /// a machine may let its peers take turns. Nor do they depend on what was announced.
    Batching,
    /// An `Err` is about one datagram, never the end of the machine, and leaves nothing behind.
    Errors,
    /// A transmit says how much was appended, appends and changes nothing before it, and has no segments of size zero.
    Transmits,
    /// `handle_timeout` early does nothing; late it moves the deadline on, or has done a full batch and stays due.
    Time,
    /// Work per call is bounded: no endless events, no endless datagrams.
    BoundedWork,
    /// Memory stays within [`DatagramSubject::memory`] whatever arrives from however many peers, and all of it comes
    /// back.
    Memory,
    /// No datagram panics, nor any unreachable path, at any time.
    NoPanic,
    /// After `close` the machine is over, once its output is sent and its deadlines have passed.
    Close,
    /// When a turn of the canonical loop moved nothing, neither does the next one: a driver may go to sleep.
    Quiet,
}

impl DatagramLaw {
    /// Every law.
    pub const ALL: &[Self] = &[
        Self::Batching,
        Self::Errors,
        Self::Transmits,
        Self::Time,
        Self::BoundedWork,
        Self::Memory,
        Self::NoPanic,
        Self::Close,
        Self::Quiet,
    ];

    /// The law's name, as reports print it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Batching => "batching",
            Self::Errors => "errors",
            Self::Transmits => "transmits",
            Self::Time => "time",
            Self::BoundedWork => "bounded-work",
            Self::Memory => "memory",
            Self::NoPanic => "no-panic",
            Self::Close => "close",
            Self::Quiet => "quiet",
        }
    }

    /// Tries the law on `subject`.
    ///
    /// While trying one law, a run may see another one broken: the failure names the law that was.
    pub fn check<P: DatagramProtocol>(
        self,
        subject: &DatagramSubject<P>,
        plan: &Plan,
    ) -> Result<Verdict, Box<Failure>> {
        match self {
            Self::Batching => order::batching(subject, plan),
            Self::Errors => order::errors(subject, plan),
            Self::Transmits => order::transmits(subject, plan),
            Self::Time => time::time(subject, plan),
            Self::BoundedWork => bounds::bounded_work(subject, plan),
            Self::Memory => bounds::memory(subject, plan),
            Self::NoPanic => bounds::no_panic(subject, plan),
            Self::Close => time::close(subject, plan),
            Self::Quiet => order::quiet(subject, plan),
        }
    }
}

impl fmt::Display for DatagramLaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
