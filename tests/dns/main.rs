//! DNS on every executor: the resolver, the client of one server, the server, and a bad network between them.

mod cancel;
mod client;
mod https;
mod lookups;
mod peers;
mod rough;
mod server;
#[path = "../support/mod.rs"]
mod support;
mod tls;
mod world;
