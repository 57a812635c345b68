//! Network protocols without the I/O, and clients and servers on them for any executor.
//!
//! Every protocol is a pure state machine: bytes and time go in; events, bytes and a deadline come out. Use a machine by
//! itself (`glowplug::redis`), or a client on the executor you have (`glowplug::smol::redis::Client`).
//!
//! This crate only re-exports; features pick protocols and executors:
//!
//! | feature | what it brings |
//! | --- | --- |
//! | `redis` | RESP2 and RESP3, both halves, commands as values; the client |
//! | `http` | HTTP/1.1, both halves; a client, and a server of any tower service. `http-serde` adds JSON and forms to the client, `http-compression` gzip, deflate, br and zstd to both, `http-cookies` a jar, `http-idn` hosts that are not ASCII, `http-blocking` a client without an executor, `http-files` a service of files |
//! | `dns` | messages and zone files; a resolver, a client of one server, a server. `dns-https` adds DNS over HTTPS |
//! | `mongodb` | BSON and the wire, both halves; the client. `mongodb-compression` adds snappy, zlib and zstd |
//! | `riak` | the wire, both halves, objects and data types; the client |
//! | `udp` | conversations over one socket, reliable ones too |
//! | `websocket` | RFC 6455 and permessage-deflate, both ends; sockets that connect, and that an HTTP server accepts |
//! | `redis-memory`, `mongodb-memory`, `riak-memory` | a server in memory, as a machine and served: a test double that needs no install |
//! | `tls` | rustls over any transport, with ring; `aws-lc-rs` adds a provider |
//! | `signals` | Ctrl-C as a future on any executor, to stop a set of services |
//! | `tracing` | spans per connection, request and task; nothing at all without it |
//! | `tokio` | [`glowplug::tokio`](https://docs.rs/glowplug-tokio): everything bound to tokio |
//! | `smol` | [`glowplug::smol`](https://docs.rs/glowplug-smol): everything bound to smol, and no tokio in the tree |
//! | `sim` | [`glowplug::sim`](https://docs.rs/glowplug-sim): everything in a simulator, from one seed |
//!
//! All features are additive. None changes behaviour, and no executor is guessed from what is enabled.
#![forbid(unsafe_code)]

pub use glowplug_core as core;
#[cfg(feature = "dns")]
pub use glowplug_dns as dns;
#[cfg(feature = "http")]
pub use glowplug_http as http;
#[cfg(feature = "mongodb")]
pub use glowplug_mongodb as mongodb;
#[cfg(feature = "redis")]
pub use glowplug_redis as redis;
#[cfg(feature = "riak")]
pub use glowplug_riak as riak;
pub use glowplug_runtime as runtime;
#[cfg(feature = "sim")]
pub use glowplug_sim as sim;
#[cfg(feature = "smol")]
pub use glowplug_smol as smol;
#[cfg(feature = "tokio")]
pub use glowplug_tokio as tokio;
#[cfg(feature = "udp")]
pub use glowplug_udp as udp;
#[cfg(feature = "websocket")]
pub use glowplug_websocket as websocket;

/// What MIGRATING.md shows, compiled.
#[cfg(doctest)]
#[doc = include_str!("../MIGRATING.md")]
struct Migrating;

/// What the README shows, compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
