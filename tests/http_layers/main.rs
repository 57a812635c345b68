//! What lies above one request of the HTTP client, on every executor: codings, cookies, forms, downloads, names that are not ASCII.

#[path = "../http_client/kit.rs"]
mod kit;
#[path = "../http_client/server.rs"]
#[allow(dead_code, reason = "every test program takes what it needs")]
mod server;
#[path = "../support/mod.rs"]
mod support;

mod content;
mod cookies;
mod downloads;
mod forms;
mod urls;
