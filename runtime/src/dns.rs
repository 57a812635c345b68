//! DNS on any runtime: a resolver, a client of one server, a server.
//!
//! - [`Resolver`] goes from names to answers: hosts file, cache, search list, recursive servers in turn. One task drives it.
//! - [`Client`] asks one server, and gives back what it said.
//! - [`Server`] answers over UDP, TCP and TLS, by a [`Handler`] per query or from [`Zones`](glowplug_dns::Zones).
//!
//! ```text
//!   handles ─ lookups ─▶ ┌─────────────────┐  orders  ┌──────────────┐ ◀─▶ a few UDP sockets on random ports
//!           ◀─ answers ─ │ machine (lock)  │ ───────▶ │ Drive (task) │ ◀─▶ connections (TCP, TLS)
//!                        └─────────────────┘ ◀─────── └──────────────┘
//! ```
//!
//! What is pure is in [`glowplug_dns`]; here are the sockets.
//!
//! # Limits
//!
//! Beside those of the machines, which the page of [`glowplug_dns`] lists:
//!
//! | What | Limit | Where |
//! |---|---|---|
//! | UDP sockets of one family that take queries at once | 8 | [`SocketConfig::sockets`] |
//! | queries that one UDP socket ever takes | 256 | [`SocketConfig::queries_per_socket`] |
//! | how long one UDP socket takes queries | 10 s | [`SocketConfig::socket_lifetime`] |
//! | connections to one server | 1 | fixed |
//! | connections to one server over HTTPS | 8 | `HttpsConfig::max_connections` |
//! | a query over HTTPS | 5 s | `HttpsConfig::timeout` |
//! | a message over HTTPS | 65,535 bytes | fixed |
//! | a query to one server | 5 s | [`ClientBuilder::timeout`] |
//! | a server's connections, over TCP and TLS each | 1024 | [`ServerConfig::max_connections`] |
//! | a server's queries over UDP at once | 4096 | [`ServerConfig::max_datagrams`] |
//! | a handler | 10 s | [`ServerConfig::query_timeout`] |
//! | a client's TLS handshake | 10 s | [`ServerConfig::handshake_timeout`] |
//! | a stopped server's last answers | 10 s | [`ServerConfig::drain_timeout`] |

mod board;
mod client;
mod config;
mod crew;
mod drive;
#[cfg(feature = "dns-https")]
mod https;
mod links;
mod lookup;
mod machine;
mod ports;
mod resolve;
mod resolver;
mod serve_datagrams;
mod serve_stream;
mod server;
mod state;
mod tokens;
mod wire;

pub use client::{Client, ClientBuilder, ClientDrive, Exchange};
pub use config::{SocketConfig, config_of, system_config};
pub use drive::Drive;
#[cfg(feature = "dns-https")]
pub use https::{HttpsConfig, HttpsMethod};
pub use lookup::{Addresses, Lookup, LookupIp};
pub use machine::{Machine, Said};
pub use resolver::{Remote, Resolver, ResolverBuilder, ResolverDrive};
pub use serve_stream::Serving;
pub use server::{Asked, Handler, Server, ServerConfig, Stopper};

use config::Upstreams;
