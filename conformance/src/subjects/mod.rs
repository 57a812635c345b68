//! The machines of this house, as the laws see them.
//!
//! Each function describes one machine in one state. A protocol joins with a file here, a line in
//! [`Registry::house`](crate::runner::Registry::house), and a line in `tests/protocols.rs`.

#[cfg(feature = "dns")]
pub mod dns;
#[cfg(feature = "http")]
pub mod http;
#[cfg(feature = "mongodb")]
pub mod mongodb;
#[cfg(feature = "redis")]
pub mod redis;
#[cfg(feature = "riak")]
pub mod riak;
#[cfg(feature = "udp")]
pub mod udp;
#[cfg(feature = "websocket")]
pub mod websocket;
