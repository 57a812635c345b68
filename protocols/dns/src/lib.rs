//! DNS without the I/O.
//!
//! - [`MessageView`] borrows a message and decodes on demand, without an allocation; [`Message`] owns one;
//!   [`MessageBuilder`] writes one, compressed, within a limit.
//! - [`UdpClient`] asks over UDP and tells answers from forgeries; [`ClientConnection`] asks over TCP or TLS.
//! - [`resolver::Resolver`] goes from host names to answers: search list, servers, aliases, cache.
//!   [`resolver::Direct`] asks one server, and nobody else.
//! - [`https`] turns queries into what HTTP carries, and back (RFC 8484).
//! - [`ServerConnection`] and [`Incoming`] are the server's half; [`Zone`] answers from a zone file, [`Zones`] from several.
//! - [`text`] reads and writes the presentation format: names, record data, zone files.
//!
//! # Limits
//!
//! | What | Limit | Where |
//! |---|---|---|
//! | a name | 255 bytes, put together from at most 128 pieces | RFC 1035, fixed |
//! | names that compression remembers | 128 suffixes | fixed |
//! | queries on one UDP socket | 1024 | [`UdpConfig::max_in_flight`] |
//! | times a query is sent again | 4 | [`UdpConfig::max_retransmits`] |
//! | queries on one connection | 256 | [`ClientConfig::max_in_flight`] |
//! | a client's query on a connection | 10 s | [`ClientConfig::response_timeout`] |
//! | a client's idle connection | 10 s, 2 min if the server says so | [`ClientConfig::idle_timeout`], `max_idle_timeout` |
//! | a server's queries of one connection | 64 | [`ServerConfig::max_in_flight`] |
//! | a server's responses that wait to be sent | 256 KiB | [`ServerConfig::max_queued`] |
//! | a server's idle connection | 10 s | [`ServerConfig::idle_timeout`] |
//! | a datagram that a server sends | 1232 bytes | [`ResponseConfig::udp_payload_size`] |
//! | lookups at once | 10,000 | [`resolver::ResolverConfig::max_lookups`] |
//! | a whole lookup | 15 s | [`resolver::ResolverConfig::lookup_timeout`] |
//! | queries of one server asked directly, at once | 10,000 | [`resolver::DirectConfig::max_queries`] |
//! | answers in the cache | 4096 | [`resolver::ResolverConfig::cache_entries`] |
//! | aliases in a row | 16 | fixed |
//! | an entry of a zone file | 256 KiB | [`text::ZoneConfig::max_entry_len`] |
//!
//! The crate is `no_std` and needs `alloc`.
#![forbid(unsafe_code)]
#![no_std]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod client;
mod error;
mod hash;
pub mod https;
mod query;
pub mod resolver;
mod response;
mod server;
mod service;
pub mod text;
mod timers;
mod udp;
mod wire;
mod zone;
mod zones;

pub use client::{ClientConfig, ClientConnection, ClientEvent};
pub use error::{DecodeError, DecodeReason, Error, ExchangeError, HttpsError, PeerError};
pub use query::{Ignored, Query, Reply};
pub use response::{Incoming, Rejected, Response, ResponseConfig};
pub use server::{NotWaiting, ServerConfig, ServerConnection};
pub use service::{MailExchange, Service};
pub use udp::{UdpClient, UdpConfig, UdpEvent};
pub use wire::*;
pub use zone::{Zone, ZoneError};
pub use zones::Zones;
