//! The laws every glowplug protocol and executor keeps, as a kit that anyone runs against their own.
//!
//! - [`laws`] checks a state machine, yours or ours, against the contract of [`StreamProtocol`] or
//!   [`DatagramProtocol`]: describe it once as a [`StreamSubject`] or a [`DatagramSubject`], and one macro,
//!   [`stream_laws!`] or [`datagram_laws!`], makes a test of every law.
//! - [`transcript`] runs conversations that are written down as text files.
//! - [`subjects`] describes the machines of this house for the laws: examples to copy from.
//! - [`executor`] checks the plug of an executor, yours or ours: streams, timers, datagrams, tasks, and every future
//!   dropped at every await.
//! - [`runner`] runs it all and prints a matrix, JSON, and JUnit; the binary of this crate is that, on everything in this
//!   house.
//! - [`reference`](mod@reference) has the two smallest machines that keep every law.
//!
//! Whatever fails says which law was broken, by whom, on which input, where it was cut, under which seed, what the first
//! difference was, and how to run that one case again.
//!
//! [`StreamProtocol`]: glowplug_core::StreamProtocol
//! [`DatagramProtocol`]: glowplug_core::DatagramProtocol
#![forbid(unsafe_code)]

pub mod escape;
pub mod executor;
mod failure;
mod heap;
pub mod laws;
mod plan;
pub mod reference;
pub mod runner;
pub mod subjects;
pub mod transcript;

pub use failure::{Failure, Verdict};
pub use laws::datagram::{DatagramLaw, DatagramSubject, Step};
pub use laws::journal::{Entry, Journal};
pub use laws::stream::{Application, StreamLaw, StreamSubject};
pub use plan::Plan;
