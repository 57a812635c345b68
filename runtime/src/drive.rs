//! The drivers: what feeds a protocol machine from a transport.
//!
//! - [`Exclusive`]: one caller drives one connection. No task, no lock; the caller's own polls move the bytes.
//! - [`shared`]: many callers share one connection, and a task drives it.
//! - [`Datagrams`]: one machine on one datagram socket, in batches.
//!
//! The stream drivers run the canonical loop of [`glowplug_core::StreamProtocol`] over a [`Pump`]. A turn of the machine is pure; I/O never
//! happens under a lock.

mod datagram;
mod deadline;
mod error;
mod exclusive;
mod pump;
mod server;
pub mod shared;

pub use datagram::{Datagrams, NextDatagramEvent};
pub(crate) use deadline::Deadline;
pub use error::DriverError;
#[cfg(any(feature = "http", feature = "mongodb", feature = "riak"))]
pub(crate) use exclusive::KEPT_BUFFERS;
pub use exclusive::{Exclusive, NextEvent, Parts};
pub use pump::Pump;
pub use server::Serve;
