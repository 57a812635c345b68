//! UDP conversations without the I/O: one socket, any number of peers, each with a context of its own.
//!
//! [`Tracker`] is the machine. Datagrams, time and "unreachable" go in; it finds or opens the conversation each datagram
//! belongs to, and tells of it: opened, message, moved, closed. What the application sends to a conversation comes out
//! with an address on it. It is a server (any new peer opens a conversation, if the accept rule lets it), a client (we
//! [`connect`](Tracker::connect); answers from elsewhere are refused), or both on one socket.
//!
//! ```text
//!                       connect
//!                          |
//!   datagram of     accept v                      idle, close, overflow,
//!   a new peer ---> rule --> (cookie?) --> live --- evicted, unreachable ---> ended
//!                    | no       | no        |  ^                                |  linger: late datagrams
//!                    v          v           v  | moved: another address,        |  are thrown away
//!                 refused    sent a      messages  same id                      v
//!                            cookie                                           free: the next datagram
//!                                                                             of this peer is a new peer's
//! ```
//!
//! Everything is bounded, with what happens at the bound stated and counted: conversations ([`Eviction`]), unread
//! datagrams per peer ([`Overflow`]) and in all, datagrams to send. Optional, each off by default: a stateless cookie before
//! any memory is spent on a peer ([`Config::retry`]), a limit on what an unproven address is sent
//! ([`Config::amplification`]), a rate limit per peer ([`RateLimit`]), conversation ids that survive a change of address
//! ([`Config::identify`]), and a [`Scope`] beside the address.
//!
//! [`reliable`] puts messages that arrive once, and in order, on top.
//!
//! No second socket is connected to a peer: between its `bind` and its `connect` datagrams of others would come in, and
//! answers from another port do not pass a NAT. All demultiplexing is done here.
//!
//! ```
//! use bytes::BytesMut;
//! use glowplug_core::{DatagramProtocol, Instant, Path, Seed};
//! use glowplug_udp::{Config, Event, Tracker};
//!
//! let mut tracker = Tracker::new(Config::default(), &Seed::from_u64(1));
//! let (now, peer) = (Instant::ZERO, Path::to("192.0.2.1:7000".parse().unwrap()));
//! tracker.handle_datagram(now, peer, BytesMut::from("ping"))?;
//! let mut out = BytesMut::new();
//! while let Some(event) = tracker.poll_event(now) {
//!     if let Event::Message { conversation, payload } = event {
//!         tracker.send(conversation, payload.freeze()).unwrap(); // to this peer, whoever else wrote meanwhile
//!     }
//! }
//! let transmit = tracker.poll_transmit(now, &mut out).unwrap();
//! assert_eq!((transmit.path, &out[..]), (peer, &b"ping"[..]));
//! # Ok::<(), glowplug_udp::DatagramError>(())
//! ```
//!
//! The crate is `no_std` and needs `alloc`.
#![forbid(unsafe_code)]
#![no_std]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod address;
mod config;
mod cookie;
mod error;
mod event;
mod hash;
mod keys;
mod pool;
mod rate;
pub mod reliable;
mod slab;
mod tracker;
mod wheel;

pub use config::{
    Accept, Config, Delivery, Eviction, Filter, Identify, MAX_BUFFERED, MAX_CONVERSATIONS, MAX_DATAGRAM,
    MAX_OUTPUT, MAX_OUTPUT_BYTES, MAX_OUTPUT_EACH, MAX_QUEUE, MAX_QUEUE_BYTES, MAX_SEGMENTS, Overflow,
    Unreachable,
};
pub use cookie::{COOKIE_LEN, Cookies};
pub use error::{ConnectError, DatagramError, SendError};
pub use event::{ConversationId, Counters, Event, Reason, Role, Scope, Totals};
pub use keys::{BindError, ConversationKey, MAX_KEY_LEN, MAX_KEYS};
pub use rate::RateLimit;
pub use tracker::Tracker;
