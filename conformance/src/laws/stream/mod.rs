//! The contract of [`StreamProtocol`].

mod actions;
mod bounds;
mod chaos;
mod cost;
mod cuts;
mod drive;
mod endings;
mod subject;
mod time;

use std::fmt;

use glowplug_core::StreamProtocol;

pub(crate) use drive::Run;
pub use subject::{Application, StreamSubject};
pub(crate) use time::pass;

use crate::failure::{Failure, Verdict};
use crate::plan::Plan;

/// One law of [`StreamProtocol`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StreamLaw {
    /// The events do not depend on how the input was cut, nor on how small the output's room was.
    ///
    /// Tried at every cut of inputs up to 4 KiB and at seeded ones above, byte by byte, at several cuts at once, and with
    /// output that has room for one byte, that drains one byte at a time, or that never fills. What is left in the input
    /// must not depend on the cuts either.
    Cuts,
    /// `Ok(None)` leaves an incomplete frame in place; a machine takes from the front of its input and changes nothing
    /// else in it.
    ///
    /// For a machine each of whose frames ends in an event ([`StreamSubject::whole_frames`]), `Ok(None)` takes nothing
    /// at all.
    IncompleteStays,
    /// The cost of one-byte reads is linear: a decoder remembers how far it looked.
    ///
    /// Shown without a clock, on the subject's [endless](StreamSubject::endless) frames, in two ways. *Poison*: what has lain in
    /// the input for a while is overwritten with something else, such as the very bytes that end a frame. A decoder that
    /// remembers how far it looked does not notice; one that starts over sees another frame. (The first and the last 64
    /// bytes are spared, for a head that is read again and a look back at the tail cost nothing that grows.) *Volume*: bytes
    /// asked of the allocator for sixteen times the input must not be more than 64 times as many.
    ///
    /// Not seen: quadratic work over bytes that the machine first copied into itself without allocating for it, and
    /// scans whose result cannot depend on the poison.
    LinearCost,
    /// `handle_timeout` early does nothing; late it moves the deadline on, or has done a full batch and stays due.
    Time,
    /// After `handle_eof` at any prefix, a bounded number of polls ends the read side.
    EndOfStream,
    /// After `Err` the machine is finished: it consumes nothing more, and its goodbye has an end.
    ErrorsEnd,
    /// Work per call is bounded: no endless events, no endless output, nothing appended where there is no room.
    BoundedWork,
    /// Memory stays within [`StreamSubject::memory`], and all of it comes back.
    ///
    /// Tried with endless frames, with a peer that sends but never reads, and under chaos.
    Memory,
    /// No input panics, at any cut, at any time, before and after the end of the stream.
    NoPanic,
    /// After `close` and the peer's end, the machine ends, once its deadlines have passed.
    Close,
    /// When a turn of the canonical loop moved nothing, neither does the next one: a driver may go to sleep.
    Quiet,
    /// `Want` is at least 1 and never asks for more than the next event needs (pieces of body data apart); what was closed
    /// stays closed.
    Interest,
}

impl StreamLaw {
    /// Every law.
    pub const ALL: &[Self] = &[
        Self::Cuts,
        Self::IncompleteStays,
        Self::LinearCost,
        Self::Time,
        Self::EndOfStream,
        Self::ErrorsEnd,
        Self::BoundedWork,
        Self::Memory,
        Self::NoPanic,
        Self::Close,
        Self::Quiet,
        Self::Interest,
    ];

    /// The law's name, as reports print it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cuts => "cuts",
            Self::IncompleteStays => "incomplete-stays",
            Self::LinearCost => "linear-cost",
            Self::Time => "time",
            Self::EndOfStream => "end-of-stream",
            Self::ErrorsEnd => "errors-end",
            Self::BoundedWork => "bounded-work",
            Self::Memory => "memory",
            Self::NoPanic => "no-panic",
            Self::Close => "close",
            Self::Quiet => "quiet",
            Self::Interest => "interest",
        }
    }

    /// Tries the law on `subject`.
    ///
    /// While trying one law, a run may see another one broken: the failure names the law that was.
    pub fn check<P: StreamProtocol>(
        self,
        subject: &StreamSubject<P>,
        plan: &Plan,
    ) -> Result<Verdict, Box<Failure>> {
        match self {
            Self::Cuts => cuts::cuts(subject, plan),
            Self::IncompleteStays => cuts::incomplete_stays(subject, plan),
            Self::LinearCost => cost::linear_cost(subject, plan),
            Self::Time => time::time(subject, plan),
            Self::EndOfStream => endings::end_of_stream(subject, plan),
            Self::ErrorsEnd => endings::errors_end(subject, plan),
            Self::BoundedWork => bounds::bounded_work(subject, plan),
            Self::Memory => bounds::memory(subject, plan),
            Self::NoPanic => chaos::no_panic(subject, plan),
            Self::Close => endings::close(subject, plan),
            Self::Quiet => actions::quiet(subject, plan),
            Self::Interest => actions::interest(subject, plan),
        }
    }
}

impl fmt::Display for StreamLaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
