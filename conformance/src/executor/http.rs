//! HTTP on any executor.

pub mod server;
