//! A Redis client for any runtime.
//!
//! One connection serves any number of callers: clone the [`Client`], or share a reference. Commands are values of
//! [`glowplug_redis`]; here they are only sent.

pub mod blocking;
mod builder;
mod client;
mod error;
#[cfg(feature = "redis-memory")]
mod server;

pub use builder::Builder;
pub use client::{Batch, Client, Query};
pub use error::{ConnectError, Error};
pub use glowplug_redis::{Command, Pipeline, Reply, Typed, commands};
#[cfg(feature = "redis-memory")]
pub use server::{Serving, serve_memory};

use crate::MaybeTls;
use crate::drive::shared;

/// The stream a client's connection runs on.
pub type Stream<R> = MaybeTls<<R as crate::Runtime>::Stream>;

/// What a client spawns: the task of its connection. State it as `R: Spawn<redis::Drive<R>>`.
pub type Drive<R> = shared::Drive<glowplug_redis::ClientConnection, Stream<R>, R>;

/// The connection under a client.
pub type Connection<R> = shared::Connection<glowplug_redis::ClientConnection, R>;

/// The path of a Unix socket, as an endpoint. Paths are bytes there.
fn unix(path: &[u8]) -> crate::Endpoint {
    #[cfg(unix)]
    let path = <std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(path);
    #[cfg(not(unix))]
    let path = &*String::from_utf8_lossy(path);
    crate::Endpoint::Unix(path.into())
}
