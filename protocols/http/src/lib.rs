//! HTTP/1.0 and 1.1 without the I/O: both halves of a connection as pure state machines.
//!
//! - [`ServerConnection`] tells [`ServerEvent`]s and takes answers; [`ClientConnection`] takes requests and tells
//!   [`ClientEvent`]s. Both implement [`StreamProtocol`](glowplug_core::StreamProtocol), and whoever owns a socket drives them.
//! - [`RequestHead`] and [`ResponseHead`] are heads as they came: names in their order and case, one buffer, no
//!   allocation. They turn into the `http` crate's types on demand.
//! - Framing is as strict as RFC 9112 has it. Every limit has a name in [`Limits`], every leniency a switch in [`Leniency`],
//!   all off.
//! - Both words of backpressure: incoming bodies need credit (`release`), outgoing ones capacity (`SendError::Full`).
//! - Beside the machines stand small pure functions that clients and servers share: [`redirect`], [`retry`], [`auth`], [`proxy`], [`resume`],
//!   [`url`](mod@url), [`multipart`] forms, [`HttpDate`] and [`PoolKey`].
//!
//! The crate needs `std` for what it builds on, and has no socket, no clock, no thread and no dice all the same.
#![forbid(unsafe_code)]

pub mod auth;
mod client;
mod config;
mod date;
mod error;
mod event;
pub mod multipart;
mod outbox;
mod pool_key;
pub mod proxy;
pub mod redirect;
pub mod resume;
pub mod retry;
mod server;
mod timer;
pub mod url;
mod wire;

pub use client::ClientConnection;
pub use config::{ClientConfig, Leniency, Limits, ServerConfig};
pub use date::{DateCache, HttpDate};
pub use error::{DecodeError, Error, FinishError, HeadError, Phase, Reason, SendError};
pub use event::{BodyLength, ClientEvent, ServerEvent, StreamId};
pub use http::{HeaderMap, Method, StatusCode, Uri, Version};
pub use pool_key::{PoolKey, Scheme};
pub use server::ServerConnection;
pub use wire::encode::{FieldSource, PreparedFields};
pub use wire::fields::Fields;
pub use wire::head::{RequestHead, ResponseHead};
