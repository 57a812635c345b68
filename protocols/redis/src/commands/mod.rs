//! Typed commands: one function for each, returning a [`Typed`](crate::Typed) value.
//!
//! Each is named after its command, in snake case. What a command may be given beyond its plain form is an options struct beside it.
//! Everything that is an argument takes any [`Arg`](crate::Arg): text, bytes, numbers. Answers that hold a caller's data are
//! [`Bytes`](bytes::Bytes); [`Typed::returning`](crate::Typed::returning) asks for another type.

mod connection;
mod keys;
mod pubsub;
mod strings;

pub use connection::*;
pub use keys::*;
pub use pubsub::*;
pub use strings::*;

/// A typed command that changes something.
macro_rules! write {
    ($($word:literal),+ $(; $($method:ident($($arg:expr),*)),*)?) => {
        $crate::Typed::new($crate::Command::words(&[$($word),+])$($(.$method($($arg),*))*)?)
    };
}

/// A typed command that changes nothing.
macro_rules! read {
    ($($word:literal),+ $(; $($method:ident($($arg:expr),*)),*)?) => {
        $crate::Typed::new($crate::Command::words(&[$($word),+])$($(.$method($($arg),*))*)?.read_only())
    };
}

pub(crate) use {read, write};
