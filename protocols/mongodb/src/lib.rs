//! MongoDB without the I/O: BSON and the wire protocol in both directions, as pure state machines.
//!
//! - [`bson`]: documents read in place and written straight, extended JSON, serde.
//! - [`wire`]: every message of the protocol, decoded and encoded.
//! - [`ClientConnection`]: handshake, authentication, commands by request id; [`ServerConnection`]: the other end.
//! - [`Cursor`]: batches to the end, and no cursor left behind. [`command`]: typed commands; [`Bulk`]: many writes.
//! - [`ConnectionString`]: `mongodb://` and `mongodb+srv://`.
//! - [`auth`]: SCRAM, both halves. With the feature `memory`: an embedded server for tests.
#![forbid(unsafe_code)]

pub mod auth;
pub mod bson;
mod client;
pub mod command;
mod config;
mod cursor;
mod error;
#[cfg(feature = "memory")]
pub mod memory;
mod reply;
mod request;
mod server;
pub mod uri;
pub mod wire;

pub use client::{ClientConnection, Event, Orphan};
pub use command::{Bulk, BulkCommand, Find, FindAndModify, WriteModel};
pub use config::{Config, Limits, ServerApi};
pub use cursor::{Cursor, CursorError, CursorOptions, CursorStep};
pub use error::{DecodeError, EncodeError, Error, LocalError, PeerError, Phase, Reason};
pub use reply::{CommandError, Reply, Response, ServerInfo, WriteError};
pub use request::{Command, Expects};
pub use server::{ReplyError, Request, RequestHandle, ServerConnection};
pub use uri::{ConnectionString, Host, UriError};
