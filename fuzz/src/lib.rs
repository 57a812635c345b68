//! Fuzz targets: whatever bytes come in, no decoder and no machine panics, and the laws hold.
//!
//! A target is a plain function of bytes. `wire_*` hands them to decoders and checks that what was read can be written and
//! read again; `conn_*` reads them as a [script](script) of actions, cuts and jumps in time, and what the peer sends, and
//! checks the laws that `glowplug_core::StreamProtocol` lays down. A broken law is a panic. What a target returns says what
//! happened, roughly: an input that makes something new happen is worth keeping and changing further.
//!
//! The module is also compiled into the tests of the main workspace, which replay `corpora/`.

pub mod laws;
pub mod log;
pub mod script;
mod targets;

pub use log::Shape;
pub use targets::seeds;

use targets::{dns, framer, http, mongodb, redis, riak, udp, websocket};

/// One target.
pub struct Target {
    /// What it is called; its corpus lies in the folder of that name.
    pub name: &'static str,
    /// Tries one input, and panics when a law is broken.
    pub run: fn(&[u8]) -> Shape,
}

/// Every target there is.
pub const TARGETS: &[Target] = &[
    Target { name: "conn_dns_client", run: dns::conn_client },
    Target { name: "conn_http_client", run: http::conn_client },
    Target { name: "conn_http_server", run: http::conn_server },
    Target { name: "conn_mongodb_client", run: mongodb::conn_client },
    Target { name: "conn_mongodb_server", run: mongodb::conn_server },
    Target { name: "conn_redis_client", run: redis::conn_client },
    Target { name: "conn_redis_memory", run: redis::conn_memory },
    Target { name: "conn_redis_server", run: redis::conn_server },
    Target { name: "conn_riak_client", run: riak::conn_client },
    Target { name: "conn_riak_server", run: riak::conn_server },
    Target { name: "conn_websocket_client", run: websocket::conn_client },
    Target { name: "conn_websocket_server", run: websocket::conn_server },
    Target { name: "framer", run: framer::framer },
    Target { name: "udp_tracker", run: udp::tracker },
    Target { name: "wire_bson", run: mongodb::wire_bson },
    Target { name: "wire_dns", run: dns::wire },
    Target { name: "wire_http_head", run: http::wire_head },
    Target { name: "wire_http_observer", run: http::wire_observer },
    Target { name: "wire_mongodb", run: mongodb::wire },
    Target { name: "wire_redis", run: redis::wire },
    Target { name: "wire_riak", run: riak::wire },
    Target { name: "wire_websocket", run: websocket::wire },
];
