//! RESP, the Redis serialization protocol, in both versions that are spoken: types, decoder and encoder.
//!
//! - [`Decoder`] takes replies off a buffer. A scalar costs no allocation (a bulk string one, its own copy, or none
//!   when it is large), an aggregate of any size and depth exactly one: a flat table of nodes beside its bytes.
//! - [`Reply`] is what comes out, [`ReplyRef`] a borrowed view of it or of any element inside.
//! - [`CommandDecoder`] is the server's side: commands as arrays of bulk strings, or typed in by hand (*inline*).
//! - [`Value`] is a tree to be encoded, for whoever answers; [`encode`] writes it for either version.
//!
//! ```
//! use bytes::BytesMut;
//! use glowplug_redis::wire::{Decoder, Limits, ReplyRef};
//!
//! let mut decoder = Decoder::new(Limits::default());
//! let mut input = BytesMut::from("*2\r\n$5\r\nhello\r\n:42\r\n");
//! let reply = decoder.decode(&mut input)?.expect("the reply is complete");
//! let ReplyRef::Array(mut elements) = reply.view() else { panic!("not an array") };
//! assert_eq!(elements.next().and_then(|e| e.as_bytes()), Some(&b"hello"[..]));
//! assert!(matches!(elements.next(), Some(ReplyRef::Integer(42))));
//! # Ok::<(), glowplug_redis::wire::DecodeError>(())
//! ```
//!
//! The specification is "RESP protocol spec" at redis.io; its streamed strings and aggregates (`$?`, `*?`), which no
//! server sends, are refused. Attributes (`|`) are read within the limits and dropped.

mod command_decoder;
mod decoder;
mod encode;
mod error;
mod limits;
mod node;
pub(crate) mod number;
mod reply;

pub use command_decoder::{CommandDecoder, ReceivedCommand};
pub use decoder::Decoder;
pub(crate) use encode::header as write_header;
pub use encode::{Protocol, Value, encode};
pub use error::{DecodeError, DecodeErrorKind};
pub use limits::Limits;
pub use node::AggregateKind;
pub use reply::{Aggregate, Blob, Elements, Entries, Reply, ReplyRef, ServerError};

#[cfg(test)]
mod tests;
