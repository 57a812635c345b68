//! Riak's protocol buffers interface, without the I/O.
//!
//! - [`wire`] has every message of the protocol, both ways, and the frames they travel in; [`Blob`] is what holds their bytes.
//! - [`ClientConnection`] and [`ServerConnection`] are the two ends of a connection, as pure state machines.
//! - [`request`] has requests as values: [`Get`](request::Get), [`Put`](request::Put), [`Index`](request::Index) ... with
//!   all their options, and what the answers mean; [`fold`] has the folds of anti-entropy.
//! - [`Object`], [`Content`] and [`resolve`] deal with siblings; [`datatype`] with counters, sets and maps.
//! - [`nodes`] decides which node of a cluster to ask.
//! - [`RiakUrl`] reads `riak://` URLs.
//! - `memory` (behind the feature of that name) is a node that lives in memory: a test double.
//!
//! Nothing here opens a socket or reads a clock. Search, Yokozuna, time series and replication are there as messages alone.
//!
//! Two things are worth knowing about Riak's errors: nodes number none of them, so [`ServerError::kind`] reads their text; and
//! a handler that crashes answers with its stack trace and closes the connection, which [`ClientConnection`] foresees.
#![forbid(unsafe_code)]
#![no_std]
#![allow(clippy::result_large_err, reason = "misuse gives the request or the reply back as it was")]

extern crate alloc;
#[cfg(any(test, feature = "memory"))]
extern crate std;

pub mod client;
mod config;
pub mod datatype;
mod error;
mod event;
pub mod fold;
#[cfg(feature = "memory")]
pub mod memory;
pub mod nodes;
mod object;
mod quorum;
pub mod request;
pub mod resolve;
pub mod server;
mod url;
pub mod wire;

pub use client::ClientConnection;
pub use config::{Config, Credentials, ServerConfig, TlsPolicy};
pub use error::{DecodeError, DecodeReason, Error, PeerError, ServerError, ServerErrorKind};
pub use event::{Event, Response, ServerEvent};
pub use object::{
    Bucket, Content, Context, Continuation, Fetched, IndexEntry, LastModified, Link, Location, Object,
    Stored, VClock,
};
pub use quorum::Quorum;
pub use server::{ReplyError, ServerConnection};
pub use url::{DEFAULT_PORT, Host, RiakUrl, UrlError};
pub use wire::Blob;
