//! WebSocket without the I/O: RFC 6455 and permessage-deflate (RFC 7692), both ends of a connection.
//!
//! Nothing here opens a socket, reads a clock or rolls dice. Bytes and time go in; messages, bytes and a deadline come out.
//!
//! - [`Connection`] is one end of a connection after its handshake, client or server by its [`Role`]: messages whole or in
//!   pieces, control frames amid fragments, the closing handshake with a deadline, pings by a policy, and limits on everything.
//! - [`ClientHandshake`] and [`ServerHandshake`] say what goes into the HTTP request and its answer, and check what came. They
//!   take fields as pairs, so any HTTP will do.
//! - [`wire`] is the codec alone: frame heads, whole frames, masking, UTF-8 in pieces, close codes.
//!
//! The crate is `no_std` and needs `alloc`. The feature `deflate` brings compression, and links std for its allocator.
//!
//! ```
//! use bytes::BytesMut;
//! use glowplug_core::{Instant, Seed, SendBuf, StreamProtocol};
//! use glowplug_websocket::{Agreed, Config, Connection, Event, Message, Role};
//!
//! let now = Instant::ZERO;
//! let mut client = Connection::new(now, Role::Client(Seed::from_u64(1)), Config::new(), &Agreed::default());
//! let mut server = Connection::new(now, Role::Server, Config::new(), &Agreed::default());
//! client.send(now, Message::text("hello"))?;
//! let mut out = SendBuf::new();
//! client.poll_transmit(now, &mut out);
//! let mut input = BytesMut::from(&out.take_all()[..]);
//! let Some(Event::Message(message)) = server.poll_event(now, &mut input)? else { panic!() };
//! assert_eq!(message.as_text(), Some("hello"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]
#![no_std]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod config;
mod connection;
#[cfg(feature = "deflate")]
mod deflate;
mod error;
mod event;
mod handshake;
pub mod wire;

pub use bytestring::ByteString;
pub use config::{Config, DeflateConfig};
pub use connection::{Connection, Role};
pub use error::{Error, Phase, SendError};
pub use event::{Event, Message, MessageKind};
pub use handshake::{
    Agreed, ClientHandshake, DeflateParams, HandshakeError, ServerHandshake, accept_key, is_token,
};
pub use wire::{CloseCode, CloseFrame, DecodeError, Reason};
