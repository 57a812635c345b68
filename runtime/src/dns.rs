//! DNS on any runtime: a resolver, a client of one server, a server.
//!
//! - [`Resolver`] goes from names to answers: hosts file, cache, search list, recursive servers in turn. One task drives it.
//! - [`Client`] asks one server, and gives back what it said.
//! - [`Server`] answers over UDP, TCP and TLS, by a [`Handler`] per query or from [`Zones`](glowplug_dns::Zones).
//!
//! ```text
//!   handles ─ lookups ─▶ ┌─────────────────┐  orders  ┌──────────────┐ ◀─▶ a few UDP sockets on random ports
//!           ◀─ answers ─ │ machine (lock)  │ ───────▶ │ Drive (task) │ ◀─▶ a connection per server (TCP, TLS)
//!                        └─────────────────┘ ◀─────── └──────────────┘
//! ```
//!
//! What is pure is in [`glowplug_dns`]; here are the sockets.

mod board;
mod client;
mod config;
mod crew;
mod drive;
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
mod wire;

pub use client::{Client, ClientBuilder, ClientDrive, Exchange};
pub use config::{SocketConfig, config_of, system_config};
pub use drive::Drive;
pub use lookup::{Addresses, Lookup, LookupIp};
pub use machine::{Machine, Said};
pub use resolver::{Remote, Resolver, ResolverBuilder, ResolverDrive};
pub use serve_stream::Serving;
pub use server::{Asked, Handler, Server, ServerConfig, Stopper};

use config::Upstreams;
