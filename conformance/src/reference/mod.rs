//! The two smallest machines that keep every law.
//!
//! They are here to be read, to try the laws on, and to show that a law passes where it should. [`mod@line`] is a stream
//! protocol, [`tally`] a datagram protocol.

pub mod line;
pub mod tally;
