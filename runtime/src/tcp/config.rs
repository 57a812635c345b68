//! The limits of a connection.

use std::time::Duration;

/// How a connection behaves: its limits and its deadlines.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// The longest frame (a line, what a delimiter ends, an exact count) in bytes. A longer one is an error, and memory for it is never
    /// taken. Default 64 KiB.
    pub max_frame_len: usize,
    /// How many bytes are queued for a peer before sending waits for it. The message that crosses the line is still taken. Default 64 KiB.
    pub write_buffer: usize,
    /// How long reading one frame may take, the time between reads excluded. `None` waits for ever. Default 5 min.
    pub read_timeout: Option<Duration>,
    /// How long the peer may take nothing of what waits to be sent. `None` waits for ever. Default 30 s.
    pub write_timeout: Option<Duration>,
    /// How long a TLS handshake may take, on the server's side. Default 10 s.
    pub handshake_timeout: Duration,
    /// How long a connection that we closed waits for the peer's end, so that what was sent last is not lost by a reset. Default 1 s.
    pub linger: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            max_frame_len: glowplug_core::framer::DEFAULT_MAX_FRAME_LEN,
            write_buffer: 64 * 1024,
            read_timeout: Some(Duration::from_secs(300)),
            write_timeout: Some(Duration::from_secs(30)),
            handshake_timeout: Duration::from_secs(10),
            linger: Duration::from_secs(1),
        }
    }
}

impl Config {
    /// Sets the longest frame, in bytes (at least 1).
    pub fn max_frame_len(mut self, bytes: usize) -> Self {
        self.max_frame_len = bytes.max(1);
        self
    }

    /// Sets how many bytes are queued before sending waits (at least 1).
    pub fn write_buffer(mut self, bytes: usize) -> Self {
        self.write_buffer = bytes.max(1);
        self
    }

    /// Sets how long reading one frame may take.
    pub fn read_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.read_timeout = timeout;
        self
    }

    /// Sets how long the peer may take nothing of what waits to be sent.
    pub fn write_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.write_timeout = timeout;
        self
    }

    /// Sets how long a TLS handshake may take.
    pub fn handshake_timeout(mut self, timeout: Duration) -> Self {
        self.handshake_timeout = timeout;
        self
    }

    /// Sets how long a closed connection waits for the peer's end.
    pub fn linger(mut self, linger: Duration) -> Self {
        self.linger = linger;
        self
    }
}
