//! Conversations over TCP (and Unix sockets, and TLS): one plain async function for each connection.
//!
//! ```ignore
//! use glowplug::smol::{Smol, tcp};
//!
//! let service = tcp::Service::bind(Smol::default(), "127.0.0.1:7000".parse::<std::net::SocketAddr>()?).await?;
//! service
//!     .serve(|mut connection| async move {
//!         while let Ok(line) = connection.read_line().await {
//!             if connection.send(line).await.is_err() || connection.send("\r\n").await.is_err() {
//!                 return;
//!             }
//!         }
//!     })
//!     .await;
//! ```
//!
//! All that a conversation needs to know is in scope of its function: local variables are its state, and when the function ends,
//! what it sent is flushed and the connection is closed.
//!
//! - [`Service`] listens and serves, within limits, and stops in good order; [`serve`] is its short form.
//! - [`Connection`] has the verbs. Each may be dropped at any await, as `select` does, and loses nothing; each has a deadline.
//! - [`connect`] is the client's side.
//!
//! # Waiting for whatever comes first
//!
//! The verbs are futures like any other, so `futures` waits for one of several, and what was not chosen has lost no byte:
//!
//! ```ignore
//! use futures_util::{FutureExt as _, select_biased};
//!
//! loop {
//!     select_biased! {
//!         line = connection.read_line().fuse() => said(line?),
//!         news = inbox.recv().fuse() => connection.send(news?).await?,
//!         () = sleep(&runtime, MINUTE).fuse() => connection.send("are you there?\r\n").await?,
//!         () = connection_stops.clone().fuse() => return Ok(()),
//!     }
//! }
//! ```

mod client;
mod config;
mod connection;
mod error;
mod service;
mod verbs;

pub use client::connect;
pub use config::Config;
pub use connection::{Connection, Parts};
pub use error::Error;
pub use glowplug_core::framer::{Delimiter, LineEnding, Rule};
pub use service::{Service, Serving, serve};
pub use verbs::{Read, Write};

use crate::MaybeTls;

/// The stream under a connection.
pub type Stream<R> = MaybeTls<<R as crate::Runtime>::Stream>;
