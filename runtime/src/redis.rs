//! A Redis client for any runtime.
//!
//! One connection serves any number of callers: clone the [`Client`], or share a reference. Commands are values of
//! [`glowplug_redis`]; here they are only sent.
//!
//! ```text
//!   callers ──▶ Session on a Link ────────▶ one socket after another     (Client::run, pipelines, transactions)
//!   blocking commands, Dedicated ─────────▶ lanes: a connection for each, kept for the next
//!   subscribers ◀── Hub ◀─────────────────▶ a connection for all subscriptions
//! ```

pub mod blocking;
mod builder;
mod cached;
mod client;
mod dedicated;
mod drive;
mod error;
mod lane;
mod link;
mod lock;
mod monitor;
mod pool;
mod recovery;
mod scan;
#[cfg(feature = "redis-memory")]
mod server;
mod session;
mod streams;
mod subscriptions;
mod target;

pub use builder::Builder;
pub use cached::{Cached, CachedQuery};
pub use client::{Batch, Client, Query};
pub use dedicated::{Dedicated, OwnQuery};
pub use drive::Drive;
pub use error::{ConnectError, Error};
pub use glowplug_redis::{
    CacheConfig, CacheStats, Command, Commands, CommandsMut, HubEvent, MonitorLine, Pipeline, Reply, Scope,
    Transaction, Typed, commands,
};
pub use link::Link;
pub use lock::Lock;
pub use monitor::Monitor;
pub use pool::ClientPool;
pub use scan::Scan;
#[cfg(feature = "redis-memory")]
pub use server::{Serving, serve_memory};
pub use session::{Cause, Lost, Session, SessionEvent};
pub use streams::{GroupReader, ReadFrom, StreamItem, StreamReader};
pub use subscriptions::{Next, Subscription};

use crate::MaybeTls;
use crate::drive::shared;

/// The stream a client's connection runs on.
pub type Stream<R> = MaybeTls<<R as crate::Runtime>::Stream>;

/// The connection that a client's callers share.
pub type Connection<R> = shared::Connection<Session, R, Link<R>>;

/// The path of a Unix socket, as an endpoint. Paths are bytes there.
fn unix(path: &[u8]) -> crate::Endpoint {
    #[cfg(unix)]
    let path = <std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(path);
    #[cfg(not(unix))]
    let path = &*String::from_utf8_lossy(path);
    crate::Endpoint::Unix(path.into())
}
