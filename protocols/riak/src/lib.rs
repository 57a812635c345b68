//! Riak's protocol buffers interface, without the I/O.
#![no_std]
#![allow(clippy::result_large_err, reason = "misuse gives the request or the reply back as it was")]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod client;
mod config;
mod error;
mod event;
pub mod server;
pub mod wire;

pub use client::ClientConnection;
pub use config::{Config, Credentials, ServerConfig, TlsPolicy};
pub use error::{DecodeError, DecodeReason, Error, PeerError, ServerError, ServerErrorKind};
pub use event::{Event, Response, ServerEvent};
pub use server::{ReplyError, ServerConnection};
