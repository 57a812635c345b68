//! What every executor plug shares, written once.
//!
//! - A *plug* (glowplug-tokio, glowplug-smol, glowplug-sim, or yours) implements [`Runtime`] and its parts:
//!   [`Transport`], [`Listener`], [`DatagramSocket`], [`Timer`], and [`Spawn`]. It says nothing that another plug would
//!   say too.
//! - The *drivers* here feed protocol machines over any plug, and the *clients and servers* people call stand on them,
//!   generic over `R: Runtime`.
//!
//! This crate knows no executor.
#![forbid(unsafe_code)]

pub mod blocking;
pub mod bridge;
pub mod datagram;
pub mod dial;
#[cfg(feature = "dns")]
pub mod dns;
pub mod drive;
mod endpoint;
#[cfg(feature = "http")]
pub mod http;
mod maybe_tls;
#[cfg(feature = "mongodb")]
pub mod mongodb;
mod plug;
pub mod pool;
mod read;
#[cfg(feature = "redis")]
pub mod redis;
#[cfg(feature = "riak")]
pub mod riak;
mod runtime;
pub mod server;
pub mod services;
#[cfg(feature = "signals")]
pub mod signals;
pub mod supervise;
pub mod task;
pub mod tcp;
pub mod time;
#[cfg(feature = "tls")]
pub mod tls;
mod trace;
mod transport;
#[cfg(feature = "udp")]
pub mod udp;
#[cfg(feature = "websocket")]
pub mod websocket;

pub use datagram::{DatagramSocket, RecvBatch, SendBatch};
pub use dial::Resolve;
pub use endpoint::Endpoint;
pub use maybe_tls::MaybeTls;
pub use read::{has_ample_room, read_with};
pub use runtime::{BoxFuture, Runtime, Spawn, Timer};
pub use transport::{Listener, Transport, write_with};
