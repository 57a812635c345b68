//! The HTTP server on every executor: what clients of all kinds may expect of it.

#[path = "../http_web/mod.rs"]
mod http_web;
#[path = "../support/nginx.rs"]
mod real_nginx;
#[path = "../support/mod.rs"]
mod support;

mod bodies;
mod life;
mod messages;
mod nginx;
mod raw;
mod tls;
mod upgrades;

use glowplug::runtime::Endpoint;
use glowplug::runtime::http::server::Config;
use glowplug::runtime::server::Stopper;

use http_web::{Plug, app, serving};

async fn with<R: Plug>(runtime: &R, work: impl AsyncFnOnce(Endpoint, Stopper)) {
    serving(runtime, Config::default(), app(runtime), work).await;
}
