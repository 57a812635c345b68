//! DNS without the I/O.
//!
//! - [`MessageView`] borrows a message and decodes on demand, without an allocation; [`Message`] owns one;
//!   [`MessageBuilder`] writes one, compressed, within a limit.
//! - [`text`] reads and writes the presentation format: names, record data, zone files.
//!
//! The crate is `no_std` and needs `alloc`.
#![no_std]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod error;
pub mod text;
mod wire;

pub use error::{DecodeError, DecodeReason};
pub use wire::*;
