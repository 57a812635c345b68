//! DNS without the I/O.
//!
//! - [`MessageView`] borrows a message and decodes on demand, without an allocation; [`Message`] owns one;
//!   [`MessageBuilder`] writes one, compressed, within a limit.
//! - [`UdpClient`] asks over UDP and tells answers from forgeries; [`ClientConnection`] asks over TCP or TLS.
//! - [`resolver::Resolver`] goes from host names to answers: search list, servers, aliases, cache.
//! - [`ServerConnection`] and [`Incoming`] are the server's half; [`Zone`] answers from a zone file.
//! - [`text`] reads and writes the presentation format: names, record data, zone files.
//!
//! The crate is `no_std` and needs `alloc`.
#![no_std]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod client;
mod error;
mod hash;
mod query;
pub mod resolver;
mod response;
mod server;
pub mod text;
mod udp;
mod wire;
mod zone;

pub use client::{ClientConfig, ClientConnection, ClientEvent};
pub use error::{DecodeError, DecodeReason, Error, ExchangeError, PeerError};
pub use query::{Ignored, Query, Reply};
pub use response::{Incoming, Rejected, Response, ResponseConfig};
pub use server::{NotWaiting, ServerConfig, ServerConnection};
pub use udp::{UdpClient, UdpConfig, UdpEvent};
pub use wire::*;
pub use zone::{Zone, ZoneError};
