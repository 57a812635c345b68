//! MongoDB without the I/O: BSON and the wire protocol in both directions, as pure state machines.
//!
//! - [`bson`]: documents read in place and written straight, extended JSON, serde.
#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod bson;
mod error;

pub use error::{DecodeError, EncodeError, Reason};
