//! MongoDB without the I/O: BSON and the wire protocol in both directions, as pure state machines.
//!
//! - [`bson`]: documents read in place and written straight, extended JSON, serde.
//! - [`wire`]: every message of the protocol, decoded and encoded.
//! - [`ClientConnection`]: handshake, authentication, commands by request id; [`ServerConnection`]: the other end.
//! - [`Cursor`]: batches to the end, and no cursor left behind. [`command`]: typed commands; [`Bulk`]: many writes.
//! - [`ConnectionString`]: `mongodb://` and `mongodb+srv://`. [`pool::Pool`], [`SessionPool`], [`Topology`]: what a client needs beside
//!   connections.
//! - [`auth`]: SCRAM, both halves. With the feature `memory`: an embedded server for tests.
#![forbid(unsafe_code)]

pub mod auth;
pub mod bson;
mod client;
pub mod command;
mod concern;
mod config;
mod cursor;
mod error;
#[cfg(feature = "memory")]
pub mod memory;
pub mod pool;
mod reply;
mod request;
mod retry;
mod server;
mod session;
mod topology;
pub mod uri;
pub mod wire;

pub use client::{ClientConnection, Event, Orphan};
pub use command::{
    Bulk, BulkCommand, BulkFailure, BulkResult, BulkWriteError, Find, FindAndModify, WriteModel,
};
pub use concern::{Acknowledgement, Attire, ReadConcern, ReadMode, ReadPreference, WriteConcern};
pub use config::{Config, Limits, ServerApi};
pub use cursor::{Cursor, CursorError, CursorOptions, CursorStep};
pub use error::{DecodeError, EncodeError, Error, LocalError, PeerError, Phase, Reason};
pub use reply::{CommandError, Reply, Response, ServerInfo, WriteError};
pub use request::{Command, Expects};
pub use server::{ReplyError, Request, RequestHandle, ServerConnection};
pub use session::{ServerSession, SessionPool};
pub use topology::{Selection, ServerKind, Topology, TopologyError};
pub use uri::{ConnectionString, Host, UriError};
