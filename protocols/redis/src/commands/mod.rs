//! Typed commands: one function for each, returning a [`Typed`](crate::Typed) value.
//!
//! Each is named after its command, in snake case. What a command may be given beyond its plain form is an options struct beside it.
//! Everything that is an argument takes any [`Arg`]: text, bytes, numbers. Answers that hold a caller's data are
//! [`Bytes`](bytes::Bytes); [`Typed::returning`](crate::Typed::returning) asks for another type.

mod acl;
mod bitmaps;
mod connection;
mod geo;
mod hashes;
mod hyperloglog;
mod keys;
mod lists;
mod pubsub;
mod scripting;
mod server;
mod sets;
mod sorted_sets;
mod streams;
mod strings;
mod transactions;

use core::time::Duration;

use crate::{Arg, Blocks, Command};

pub use acl::*;
pub use bitmaps::*;
pub use connection::*;
pub use geo::*;
pub use hashes::*;
pub use hyperloglog::*;
pub use keys::*;
pub use lists::*;
pub use pubsub::*;
pub use scripting::*;
pub use server::*;
pub use sets::*;
pub use sorted_sets::*;
pub use streams::*;
pub use strings::*;
pub use transactions::*;

/// What a command may be given beside its plain arguments.
trait Options {
    /// Adds the words for it.
    fn add_to(&self, command: Command) -> Command;
}

/// How commands are put together here.
impl Command {
    fn with(self, options: &impl Options) -> Self {
        options.add_to(self)
    }

    /// A number of arguments, and they.
    fn counted<A: Arg>(self, args: impl IntoIterator<Item = A, IntoIter: ExactSizeIterator>) -> Self {
        let args = args.into_iter();
        self.arg(args.len()).args(args)
    }

    /// How long the server may wait, in seconds; 0 on the wire is for ever.
    fn wait(self, timeout: Option<Duration>) -> Self {
        match timeout {
            // No wait at all would be for ever.
            Some(timeout) => self.arg(timeout.as_secs_f64().max(0.001)).blocking(Blocks::For(timeout)),
            None => self.arg(0).blocking(Blocks::Forever),
        }
    }
}

/// Milliseconds, rounded down.
fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
