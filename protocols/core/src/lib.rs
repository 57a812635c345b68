//! Network protocols without the I/O: the ground every glowplug protocol stands on.
//!
//! A protocol is a pure state machine. Bytes and time go in; events, bytes and a deadline come out. It knows no
//! socket, no clock, no thread, no executor and no source of randomness, so the same machine runs under tokio,
//! under smol, in a simulator, in a blocking loop or on a board without an operating system.
//!
//! - [`StreamProtocol`] is one end of one byte-stream connection. Its page has the contract and the canonical loop.
//! - [`RequestProtocol`] is what a client machine adds when many requests share its connection.
//! - [`DatagramProtocol`] is any number of peers on one datagram socket.
//! - [`SendBuf`] is what a stream machine writes into; a driver sends it with vectored writes.
//! - [`Instant`] is opaque time, handed in by whoever drives; [`Seed`] is randomness, handed in likewise.
//! - [`framer`] cuts a byte stream into lines, lengths and delimited frames.
//! - [`Connect`] races the addresses of a name (RFC 8305).
//! - [`Pool`] keeps the books of connections that are used by one caller at a time.
//! - [`Backoff`] and [`limits`] are small parts that several protocols share.
//!
//! The crate is `no_std` and needs `alloc`.
#![forbid(unsafe_code)]
#![no_std]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod backoff;
mod bytes_ext;
mod connect;
mod datagram;
pub mod framer;
pub mod limits;
mod pool;
mod request;
mod seed;
mod send_buf;
mod stream;
mod time;

pub use backoff::{Backoff, BackoffConfig};
pub use bytes_ext::keep;
pub use connect::{Connect, ConnectConfig, ConnectStep, FirstFamily};
pub use datagram::{DatagramProtocol, Ecn, Path, Transmit};
pub use limits::LimitExceeded;
pub use pool::{Acquired, Permit, Place, Pool, PoolConfig, Ticket};
pub use rand_core;
pub use request::{Answer, Progress, RequestProtocol, SubmitError, Token};
pub use seed::{Rng, Seed};
pub use send_buf::{OwnedSegment, SendBuf};
pub use stream::{Interest, ReadInterest, StreamProtocol, WriteInterest};
pub use time::Instant;
