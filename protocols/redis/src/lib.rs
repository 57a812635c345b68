//! Redis and Valkey without the I/O: RESP2 and RESP3, both ends of a connection, commands as values.
//!
//! Nothing here opens a socket, reads a clock or starts a task. Bytes and time go in; events, bytes and a deadline come out.
//!
//! - [`ClientConnection`] is the client's end: handshake, pipelining, pushes, deadlines. [`Command`] and [`Pipeline`] are
//!   what it takes, [`Reply`] is what it gives back.
//! - [`commands`] makes typed commands: [`Typed`] values that know what they are answered with, by [`FromReply`].
//!   [`Commands`] and [`CommandsMut`] have each of them as a method.
//! - [`Transaction`] puts `MULTI` and `EXEC` around commands and types their answers; [`RedisUrl`] reads addresses.
//! - [`Script`] is sent once and called by its hash.
//! - [`SubscriptionHub`] lets many listeners share a connection that subscribes, and outlives it.
//! - [`CacheConfig`] lets a connection keep what it has read until the server says that it has changed.
//! - [`ServerConnection`] is the server's end: commands in, replies out.
//! - [`wire`] is the codec alone.
//! - `memory` (a feature) is a server that lives in memory: a test double that needs no install.
//!
//! A client on nothing but a blocking socket takes some thirty lines: the README of `glowplug` shows it in full.
#![forbid(unsafe_code)]
#![no_std]

extern crate alloc;
#[cfg(any(test, feature = "memory"))]
extern crate std;

mod cache;
mod client;
mod command;
pub mod commands;
mod config;
mod error;
mod event;
mod from_reply;
mod handshake;
mod hub;
#[cfg(feature = "memory")]
pub mod memory;
mod methods;
mod monitor;
mod pubsub;
mod request;
mod script;
mod server;
mod transaction;
mod typed;
mod url;
pub mod wire;

pub use cache::{CacheConfig, CacheStats};
pub use client::ClientConnection;
pub use command::{Arg, Blocks, Command};
pub use config::{ClientConfig, ServerConfig};
pub use error::{Error, PeerError, Phase};
pub use event::Event;
pub use from_reply::{FromReply, ReplyError};
pub use hub::{HubCommand, HubConfig, HubEvent, ListenerId, Overflow, SubscriptionHub};
pub use methods::{Commands, CommandsMut, Execute, ExecuteMut};
pub use monitor::MonitorLine;
pub use pubsub::{PushMessage, Scope};
pub use request::{Pipeline, Request};
pub use script::{Script, ScriptCall};
pub use server::{ServerConnection, ServerEvent};
pub use transaction::{Place, Transaction, TransactionError, TransactionReplies, TransactionResults};
pub use typed::{Answers, Typed};
pub use url::{RedisEndpoint, RedisUrl, RedisUrlError};
pub use wire::{Protocol, Reply, ReplyRef, ServerError};
