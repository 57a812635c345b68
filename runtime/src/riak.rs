//! A Riak client for any runtime.
//!
//! One [`Client`] stands for a cluster: it keeps connections to several nodes, asks the least busy one that is up, and asks another
//! when one cannot be reached. Requests are values of [`glowplug_riak::request`], with all their options; the client has a verb for what is
//! asked most, and [`ask`](Client::ask) and [`stream`](Client::stream) for everything.
//!
//! - objects: [`get`](Client::get), [`put`](Client::put), [`delete`](Client::delete), [`update`](Client::update),
//!   [`get_many`](Client::get_many); values of your own types by [`typed`](Client::typed);
//! - data types: [`counter`](Client::counter), [`set`](Client::set), [`map`](Client::map), [`hll`](Client::hll),
//!   [`update_data`](Client::update_data);
//! - streams: [`list_keys`](Client::list_keys), [`list_buckets`](Client::list_buckets), [`index`](Client::index),
//!   [`map_reduce`](Client::map_reduce), [`scan`](Client::scan), and pages by [`index_pages`](Client::index_pages).
//!
//! # What is sent twice
//!
//! A request that was not sent is always sent to another node. One that was sent, and whose connection ended before the answer, is sent again
//! only if it [reads](glowplug_riak::wire::Request::only_reads): a write may have been made, and the error says so
//! ([`Error::progress`]). [`Client::with_repeats`] says otherwise for writes that may be made twice.
//!
//! # What happens when a future is dropped
//!
//! A node works on one request of a connection at a time, so a connection whose answer nobody waits for is of no use to others: it is closed,
//! and its room is free at once. That holds for every method here, and for streams that are dropped half-way. The node may act on
//! what it was sent.

mod builder;
mod client;
mod cluster;
mod connection;
mod data;
mod error;
mod objects;
mod pages;
mod queries;
#[cfg(feature = "riak-memory")]
mod server;
mod stream;
mod typed;
#[cfg(all(feature = "riak-memory", feature = "tls"))]
mod upgrade;

pub use builder::Builder;
pub use client::Client;
pub use connection::{Connection, Pooled};
pub use error::{ConnectError, Error, Lost, NodeError};
pub use glowplug_riak::datatype::{
    Change, CounterChange, Data, FetchedData, GSetChange, HllChange, Map, MapChange, SetChange, UpdatedData,
};
#[cfg(feature = "riak-memory")]
pub use glowplug_riak::memory;
pub use glowplug_riak::{
    Blob, Bucket, Config, Content, Context, Continuation, Fetched, Host, Location, Object, Quorum, RiakUrl,
    ServerError, ServerErrorKind, Stored, VClock, fold, request, resolve, wire,
};
pub use pages::IndexPages;
#[cfg(all(feature = "riak-memory", feature = "tls"))]
pub use server::serve_memory_tls;
#[cfg(feature = "riak-memory")]
pub use server::{ServeNode, Serving, serve_memory};
pub use stream::Replies;
pub use typed::{Codec, CodecError, Json, Typed, TypedBucket};

/// What a client spawns: the task that closes connections which lie idle too long. State it as `R: Spawn<riak::Reaper<R>>`.
pub type Reaper<R> = crate::pool::Reaper<usize, Pooled<R>, R>;
