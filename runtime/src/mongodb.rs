//! A MongoDB client for any runtime.
//!
//! ```text
//!   Client ─ Database ─ Collection<T> ─ an Action ── run ──▶ command ──▶ pool ──▶ connection (exclusive)
//!                                                                          ▲
//!                                  Janitor (one task): finishes what callers left ┘
//! ```
//!
//! - A [`Client`] holds a pool of connections to one server; clones share it. Each operation has a connection to itself while it runs.
//! - Every operation is an [`Action`]: options first, then `run().await`. Nothing is sent before.
//! - A call that is dropped or times out leaves its connection to the janitor, who reads the late answer away, kills the cursor that it
//!   may have opened, and puts the connection back. No other caller ever sees any of it.
//! - [`Error::progress`] says of every call that failed whether the server may have acted.
//!
//! Documents, commands and the rules of the pool are values of [`glowplug_mongodb`]; here they are only sent.

// A filter or an update is written down where it is used, and given away: `find(doc! { .. })`.
#![allow(clippy::needless_pass_by_value)]

mod action;
mod admin;
mod aggregate;
mod builder;
mod change;
mod client;
mod collection;
mod connection;
mod cursor;
mod database;
mod error;
mod find;
mod janitor;
mod opening;
#[cfg(feature = "mongodb-memory")]
mod server;
mod session;
mod shared;
#[cfg(feature = "dns")]
mod srv;
#[cfg(feature = "tls")]
mod tls;
mod write;

pub use action::Action;
pub use admin::{Admin, CreateIndexes};
pub use aggregate::{Aggregate, Count, Distinct};
pub use builder::Builder;
pub use change::Change;
pub use client::Client;
pub use collection::Collection;
pub use cursor::Cursor;
pub use database::{Database, RunCommand};
pub use error::{ConnectError, Error};
pub use find::{FindMany, FindOne, Listing, Modify};
pub use glowplug_mongodb::bson::{self, Document, OwnedValue};
pub use glowplug_mongodb::pool::PoolConfig;
pub use glowplug_mongodb::{
    Acknowledgement, BulkFailure, BulkResult, BulkWriteError, Command, CommandError, ConnectionString,
    ReadConcern, ReadMode, ReadPreference, Reply, ServerInfo, WriteConcern, WriteModel, doc,
};
pub use janitor::Janitor;
#[cfg(all(feature = "mongodb-memory", feature = "tls"))]
pub use server::serve_memory_tls;
#[cfg(feature = "mongodb-memory")]
pub use server::{Serving, serve_memory};
pub use session::Session;
pub use write::{
    BulkWrite, Delete, DeleteResult, InsertMany, InsertManyResult, InsertOne, InsertOneResult, Update,
    UpdateResult,
};

use crate::MaybeTls;

/// The stream a client's connections run on.
pub type Stream<R> = MaybeTls<<R as crate::Runtime>::Stream>;

/// The path of a Unix socket, as an endpoint.
fn unix(path: &str) -> crate::Endpoint {
    crate::Endpoint::Unix(path.into())
}
