//! HTTP on any executor.

pub mod files;
pub mod server;
