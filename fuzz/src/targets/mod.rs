//! The targets, a file for each protocol.

pub mod dns;
pub mod framer;
pub mod http;
pub mod mongodb;
pub mod redis;
pub mod riak;
pub mod seeds;
pub mod udp;
pub mod websocket;
