//! MongoDB without the I/O: BSON and the wire protocol in both directions, as pure state machines.
//!
//! - [`bson`]: documents read in place and written straight, extended JSON, serde.
//! - [`wire`]: every message of the protocol, decoded and encoded.

pub mod bson;
mod error;
pub mod wire;

pub use error::{DecodeError, EncodeError, Reason};
