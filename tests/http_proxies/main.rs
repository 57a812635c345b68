//! The HTTP client behind proxies, on every executor and under the simulator's seeds.

#[path = "../http_client/kit.rs"]
mod kit;
#[path = "../http_client/server.rs"]
#[allow(dead_code, reason = "every test program takes what it needs")]
mod server;
#[path = "../support/mod.rs"]
mod support;

mod proxies;
mod seeds;
