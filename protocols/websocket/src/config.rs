//! Settings.

use core::time::Duration;

use glowplug_core::limits::Range;

const MAX_FRAME_LEN: Range<u64> = Range::new(125, 16 << 20, u64::MAX >> 1);
const MAX_MESSAGE_LEN: Range<u64> = Range::new(1, 16 << 20, u64::MAX >> 1);
const MAX_FRAGMENTS: Range<u32> = Range::new(1, 16_384, u32::MAX);
const MAX_CONTROLS: Range<u32> = Range::new(1, 512, u32::MAX);
const SEND_BUFFER: Range<usize> = Range::new(1, 64 * 1024, 1 << 30);
const WINDOW_BITS: Range<u8> = Range::new(9, 15, 15);
const LEVEL: Range<u32> = Range::new(0, 6, 9);

/// How a connection behaves: limits, and when it pings.
#[derive(Clone, Debug)]
pub struct Config {
    pub(crate) max_frame_len: u64,
    pub(crate) max_message_len: u64,
    pub(crate) max_fragments: u32,
    pub(crate) max_controls: u32,
    pub(crate) send_buffer: usize,
    pub(crate) pieces: bool,
    pub(crate) ping_interval: Option<Duration>,
    pub(crate) pong_timeout: Duration,
    pub(crate) close_timeout: Duration,
    pub(crate) deflate: Option<DeflateConfig>,
}

impl Config {
    /// The defaults. Compression is off.
    pub const fn new() -> Self {
        Self {
            max_frame_len: MAX_FRAME_LEN.default(),
            max_message_len: MAX_MESSAGE_LEN.default(),
            max_fragments: MAX_FRAGMENTS.default(),
            max_controls: MAX_CONTROLS.default(),
            send_buffer: SEND_BUFFER.default(),
            pieces: false,
            ping_interval: Some(Duration::from_secs(20)),
            pong_timeout: Duration::from_secs(20),
            close_timeout: Duration::from_secs(10),
            deflate: None,
        }
    }

    /// Sets how long a frame's payload may be, in bytes (at least 125). Default 16 MiB. More is refused with code 1009.
    pub fn max_frame_len(mut self, bytes: u64) -> Self {
        self.max_frame_len = MAX_FRAME_LEN.clamp(bytes);
        self
    }

    /// Sets how long a message may be, in bytes, after decompression. Default 16 MiB. More is refused with code 1009, as soon as it
    /// is seen: a message that inflates is never inflated further.
    pub fn max_message_len(mut self, bytes: u64) -> Self {
        self.max_message_len = MAX_MESSAGE_LEN.clamp(bytes);
        self
    }

    /// Sets how many frames a message may consist of. Default 16,384. More is refused with code 1008.
    pub fn max_fragments(mut self, frames: u32) -> Self {
        self.max_fragments = MAX_FRAGMENTS.clamp(frames);
        self
    }

    /// Sets how many pings and pongs a peer may send in a second. Default 512. More is refused with code 1008.
    pub fn max_controls(mut self, frames_per_second: u32) -> Self {
        self.max_controls = MAX_CONTROLS.clamp(frames_per_second);
        self
    }

    /// Sets how many bytes may wait to be sent before [`send`](crate::Connection::send) is refused as full; one message may
    /// overshoot it. Default 64 KiB.
    pub fn send_buffer(mut self, bytes: usize) -> Self {
        self.send_buffer = SEND_BUFFER.clamp(bytes);
        self
    }

    /// Sets whether messages are told in pieces, as they come, rather than whole. Default no.
    pub fn pieces(mut self, pieces: bool) -> Self {
        self.pieces = pieces;
        self
    }

    /// Sets after how long a silence a ping is sent. Default 20 s; `None` sends none.
    pub fn ping_interval(mut self, interval: Option<Duration>) -> Self {
        self.ping_interval = interval;
        self
    }

    /// Sets how long a sign of life may take after a ping; any byte is one. Default 20 s.
    pub fn pong_timeout(mut self, timeout: Duration) -> Self {
        self.pong_timeout = timeout;
        self
    }

    /// Sets how long a peer's good-bye may take after ours. Default 10 s. A client waits for as long again for the server to close the
    /// connection (RFC 6455 §7.1.1).
    pub fn close_timeout(mut self, timeout: Duration) -> Self {
        self.close_timeout = timeout;
        self
    }

    /// Sets whether and how permessage-deflate is negotiated. Default no: compressing secrets beside what an attacker chose gives them
    /// away by their length, and a connection's compressor takes 300 KB. Without the feature `deflate` it stays off.
    pub fn deflate(mut self, deflate: Option<DeflateConfig>) -> Self {
        self.deflate = deflate;
        self
    }

    /// The compression to negotiate; none without the feature.
    pub(crate) fn negotiable(&self) -> Option<&DeflateConfig> {
        if cfg!(feature = "deflate") { self.deflate.as_ref() } else { None }
    }

    /// True when messages are told in pieces.
    pub fn tells_pieces(&self) -> bool {
        self.pieces
    }
}

impl Default for Config {
    fn default() -> Self {
        Self::new()
    }
}

/// How permessage-deflate is negotiated (RFC 7692 §7.1), and used.
#[derive(Clone, Debug)]
pub struct DeflateConfig {
    pub(crate) level: u32,
    pub(crate) threshold: usize,
    pub(crate) server_no_context_takeover: bool,
    pub(crate) client_no_context_takeover: bool,
    pub(crate) server_max_window_bits: u8,
    pub(crate) client_max_window_bits: u8,
}

impl DeflateConfig {
    /// Both contexts are kept, both windows are of 32 KiB.
    pub const fn new() -> Self {
        Self {
            level: LEVEL.default(),
            threshold: 64,
            server_no_context_takeover: false,
            client_no_context_takeover: false,
            server_max_window_bits: WINDOW_BITS.default(),
            client_max_window_bits: WINDOW_BITS.default(),
        }
    }

    /// Sets how hard the compressor tries, from 0 to 9. Default 6.
    pub fn level(mut self, level: u32) -> Self {
        self.level = LEVEL.clamp(level);
        self
    }

    /// Sets from how many bytes on a message is compressed. Default 64.
    pub fn threshold(mut self, bytes: usize) -> Self {
        self.threshold = bytes;
        self
    }

    /// Asks that the server forgets each message before it compresses the next. Default no.
    pub fn server_no_context_takeover(mut self, forget: bool) -> Self {
        self.server_no_context_takeover = forget;
        self
    }

    /// Asks that the client forgets each message before it compresses the next. Default no.
    pub fn client_no_context_takeover(mut self, forget: bool) -> Self {
        self.client_no_context_takeover = forget;
        self
    }

    /// Sets how far the server may look back, as a power of two from 9 to 15. Default 15.
    pub fn server_max_window_bits(mut self, bits: u8) -> Self {
        self.server_max_window_bits = WINDOW_BITS.clamp(bits);
        self
    }

    /// Sets how far the client may look back, as a power of two from 9 to 15. Default 15. A server cannot demand it of a
    /// client that does not know the parameter.
    pub fn client_max_window_bits(mut self, bits: u8) -> Self {
        self.client_max_window_bits = WINDOW_BITS.clamp(bits);
        self
    }
}

impl Default for DeflateConfig {
    fn default() -> Self {
        Self::new()
    }
}
