//! How a server behaves, and every limit it has.

use std::time::Duration;

use glowplug_http::{Leniency, Limits, ServerConfig};

/// How a server behaves. Everything is limited by default; each limit has a name here, in [`Limits`] or in
/// [`server::Config`](crate::server::Config).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// What each connection's machine is held to: limits on sizes, leniencies, and the deadlines for waiting on the peer to
    /// send (idle, head, body, linger).
    pub protocol: ServerConfig,
    /// How many connections there may be, and how long a stopped server waits for them.
    pub connections: crate::server::Config,
    /// How long a peer may take none of what is sent to it before the connection is dropped. Default 30 s.
    pub write_timeout: Option<Duration>,
    /// Bytes a second that a peer has to take, once `write_timeout` is used up: a peer that reads a little now and then earns
    /// only as much time as these bytes are worth. 0 turns it off. Default 256.
    pub min_write_rate: u32,
    /// Whether each request carries its [`Connection`](super::Connection) as an extension, for frameworks that hide the body's
    /// type. It costs three allocations a request. Default no.
    pub connection_extension: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            protocol: ServerConfig::default(),
            connections: crate::server::Config::default(),
            write_timeout: Some(Duration::from_secs(30)),
            min_write_rate: 256,
            connection_extension: false,
        }
    }
}

impl Config {
    /// Sets how much of everything a peer may send, and how much waits here.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.protocol.limits = limits;
        self
    }

    /// Sets what is accepted although RFC 9112 refuses it.
    pub fn leniency(mut self, leniency: Leniency) -> Self {
        self.protocol.leniency = leniency;
        self
    }

    /// Sets how long a connection may wait between requests before it is closed. Default 75 s.
    pub fn idle_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.protocol.idle_timeout = timeout;
        self
    }

    /// Sets how long a head may take; for the first one from the moment the connection was accepted, TLS handshake included.
    /// Default 15 s.
    pub fn head_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.protocol.head_timeout = timeout;
        self
    }

    /// Sets how long a body may make no progress while it is waited for. Default 30 s.
    pub fn body_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.protocol.body_timeout = timeout;
        self
    }

    /// Sets how many bytes a second a body has to come with once `body_timeout` is used up. Default 256.
    pub fn min_body_rate(mut self, bytes_per_second: u32) -> Self {
        self.protocol.min_body_rate = bytes_per_second;
        self
    }

    /// Sets how long, after the last answer, input is read and thrown away, so that the peer gets to read that answer. Default
    /// 2 s.
    pub fn linger_timeout(mut self, timeout: Duration) -> Self {
        self.protocol.linger_timeout = timeout;
        self
    }

    /// Sets how long a peer may take none of what is sent to it. Default 30 s.
    pub fn write_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.write_timeout = timeout;
        self
    }

    /// Sets how many bytes a second a peer has to take once `write_timeout` is used up. Default 256.
    pub fn min_write_rate(mut self, bytes_per_second: u32) -> Self {
        self.min_write_rate = bytes_per_second;
        self
    }

    /// Sets how many connections are served at once; further ones wait in the system's backlog. Default 16,384.
    pub fn max_connections(mut self, connections: usize) -> Self {
        self.connections = self.connections.max_connections(connections);
        self
    }

    /// Sets how long a stopped server waits for its connections before it cancels them. Default 30 s.
    pub fn drain_timeout(mut self, timeout: Duration) -> Self {
        self.connections = self.connections.drain_timeout(timeout);
        self
    }

    /// Sets whether each request carries its [`Connection`](super::Connection) as an extension. Default no.
    pub fn connection_extension(mut self, carried: bool) -> Self {
        self.connection_extension = carried;
        self
    }
}
