//! The HTTP client on every executor, against the server half of the protocol crate, and against bytes that no server should send.

#[path = "../support/nginx.rs"]
mod real_nginx;
#[path = "../support/mod.rs"]
mod support;

mod basics;
mod hostile;
mod nginx;
mod redirects;
mod reuse;
mod seeds;
mod server;
mod tls;
