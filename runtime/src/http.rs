//! HTTP/1.1 for any runtime: the client and the server people call.
//!
//! Messages are the `http` crate's, bodies are [`http_body::Body`]; here they meet the machines of
//! [`glowplug_http`] and a runtime's sockets.

#[cfg(feature = "http-blocking")]
pub mod blocking;
mod body;
mod client;
#[cfg(feature = "http-compression")]
pub mod coding;
mod file;
pub mod multipart;
mod progress;
pub mod server;

pub use body::{Body, BoxError};
pub use client::{
    Client, ClientBuilder, ClientError, Content, Download, DownloadError, Form, Idempotent, Incoming,
    Informational, IntoUrl, Part, ProxyError, Reaper, RequestBuilder, RequestError, Response, Stage, Stream,
    Target, Upgraded, UpgradedParts, proxies_from_env,
};
#[cfg(feature = "http-cookies")]
pub use client::{CookieJar, CookieLimits};
pub use glowplug_http::proxy;
pub use progress::Transferred;
