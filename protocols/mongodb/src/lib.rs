//! MongoDB without the I/O: BSON and the wire protocol in both directions, as pure state machines.
//!
//! - [`bson`]: documents read in place and written straight, extended JSON, serde.
//! - [`wire`]: every message of the protocol, decoded and encoded.
//! - [`ClientConnection`]: handshake, authentication, commands by request id; [`ServerConnection`]: the other end.
//! - [`auth`]: SCRAM, both halves.

pub mod auth;
pub mod bson;
mod client;
mod config;
mod error;
mod reply;
mod request;
mod server;
pub mod wire;

pub use client::{ClientConnection, Event, Orphan};
pub use config::{Config, Limits, ServerApi};
pub use error::{DecodeError, EncodeError, Error, LocalError, PeerError, Phase, Reason};
pub use reply::{CommandError, Reply, Response, ServerInfo, WriteError};
pub use request::{Command, Expects};
pub use server::{ReplyError, Request, RequestHandle, ServerConnection};
