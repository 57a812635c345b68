//! HTTP/1.1 for any runtime: the client and the server people call.
//!
//! Messages are the `http` crate's, bodies are [`http_body::Body`]; here they meet the machines of
//! [`glowplug_http`] and a runtime's sockets.

#[cfg(any(feature = "http-compression", feature = "http-files"))]
pub mod accept;
mod body;
mod client;
#[cfg(feature = "http-compression")]
pub mod coding;
#[cfg(feature = "http-compression")]
pub mod compress;
#[cfg(feature = "http-files")]
pub mod files;
pub mod server;

pub use body::{Body, BoxError};
pub use client::{
    Client, ClientBuilder, ClientError, Idempotent, Incoming, Informational, Reaper, RequestBuilder,
    RequestError, Response, Stage, Stream, Upgraded, UpgradedParts,
};
