//! HTTP/1.1 on any runtime.

pub mod server;
