//! What can be set, for clients and for servers.

use core::fmt;
use core::time::Duration;

use glowplug_core::limits::Range;

use crate::wire::{Blob, DecodeLimits};

/// Bytes of a frame: code and body. Riak's own advice is to stay below 1 MB an object; folds and listings that are not
/// streamed can be long.
const MAX_FRAME_LEN: Range<u32> = Range::new(1024, 64 << 20, u32::MAX);
/// Memory for the repeated fields of one message.
const MAX_DECODED_LEN: Range<usize> = Range::new(4096, 256 << 20, usize::MAX);
/// Messages in messages. The stack pays for each level, so the maximum is low.
const MAX_DEPTH: Range<u32> = Range::new(4, 64, 200);
/// Requests that wait for their turn.
const MAX_QUEUED: Range<usize> = Range::new(1, 1024, 1 << 20);
/// Bytes of the requests that wait for their turn.
const MAX_QUEUED_LEN: Range<usize> = Range::new(1024, 64 << 20, usize::MAX);
/// Replies of a stream that may be given out before the application has released any.
const STREAM_WINDOW: Range<u32> = Range::new(1, u32::MAX, u32::MAX);

/// Generates a builder method that clamps into a range.
macro_rules! clamped {
    ($(#[$doc:meta])* $name:ident: $ty:ty, $range:ident) => {
        $(#[$doc])*
        #[doc = concat!("\n\nValues outside the allowed range become the nearest one inside (`", stringify!($range), "`).")]
        pub fn $name(mut self, value: $ty) -> Self {
            self.$name = $range.clamp(value);
            self
        }
    };
}

/// Who a client says it is.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The user.
    pub user: Blob,
    /// The password; anything for users who are trusted or have a certificate.
    pub password: Blob,
}

impl Credentials {
    /// User and password.
    pub fn new(user: impl Into<Blob>, password: impl Into<Blob>) -> Self {
        Self { user: user.into(), password: password.into() }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("user", &self.user).finish_non_exhaustive()
    }
}

/// How a [`ClientConnection`](crate::ClientConnection) behaves.
#[derive(Clone, Debug)]
pub struct Config {
    pub(crate) start_tls: bool,
    pub(crate) credentials: Option<Credentials>,
    pub(crate) max_frame_len: u32,
    pub(crate) max_decoded_len: usize,
    pub(crate) max_depth: u32,
    pub(crate) max_queued: usize,
    pub(crate) max_queued_len: usize,
    pub(crate) stream_window: u32,
    pub(crate) reply_timeout: Duration,
    pub(crate) timeout_grace: Duration,
    pub(crate) handshake_timeout: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            start_tls: false,
            credentials: None,
            max_frame_len: MAX_FRAME_LEN.default(),
            max_decoded_len: MAX_DECODED_LEN.default(),
            max_depth: MAX_DEPTH.default(),
            max_queued: MAX_QUEUED.default(),
            max_queued_len: MAX_QUEUED_LEN.default(),
            stream_window: STREAM_WINDOW.default(),
            // A node gives up by itself after 60 s.
            reply_timeout: Duration::from_secs(90),
            timeout_grace: Duration::from_secs(5),
            handshake_timeout: Duration::from_secs(30),
        }
    }
}

impl Config {
    /// The defaults: no TLS, nobody in particular, limits that suit a trusted cluster and bound a hostile one.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether the connection starts TLS before anything else. Default: no.
    pub fn start_tls(mut self, start_tls: bool) -> Self {
        self.start_tls = start_tls;
        self
    }

    /// Who the client is. A password only goes through TLS, so this turns [`start_tls`](Self::start_tls) on.
    pub fn credentials(mut self, credentials: Credentials) -> Self {
        self.credentials = Some(credentials);
        self.start_tls = true;
        self
    }

    clamped! {
        /// The longest frame, code and body, that a node may send and that is sent to it. Default: 64 MiB.
        max_frame_len: u32, MAX_FRAME_LEN
    }

    clamped! {
        /// How many bytes of memory the repeated fields of one reply may take. Default: 256 MiB.
        max_decoded_len: usize, MAX_DECODED_LEN
    }

    clamped! {
        /// How deep messages may lie in one another. Default: 64.
        max_depth: u32, MAX_DEPTH
    }

    clamped! {
        /// How many requests may wait for their turn. Default: 1024.
        max_queued: usize, MAX_QUEUED
    }

    clamped! {
        /// How many bytes the waiting requests may have together; a single one may have more. Default: 64 MiB.
        max_queued_len: usize, MAX_QUEUED_LEN
    }

    clamped! {
        /// How many replies of a stream are given out before some must be
        /// [released](crate::ClientConnection::release). Default: no limit, not polling is enough to hold a stream back.
        stream_window: u32, STREAM_WINDOW
    }

    /// How long the node may be silent while it owes a reply, unless the request has a timeout of its own. Default: 90 s.
    ///
    /// There are requests that nodes never answer: an index query on a bucket type that does not exist, for one.
    pub fn reply_timeout(mut self, timeout: Duration) -> Self {
        self.reply_timeout = timeout;
        self
    }

    /// How much longer than the request's own timeout to wait for the node to say that it timed out. Default: 5 s.
    pub fn timeout_grace(mut self, grace: Duration) -> Self {
        self.timeout_grace = grace;
        self
    }

    /// How long StartTls, TLS and authentication may take together. Default: 30 s (a wrong password alone takes 5).
    pub fn handshake_timeout(mut self, timeout: Duration) -> Self {
        self.handshake_timeout = timeout;
        self
    }

    /// True when streams need no credit.
    pub(crate) fn is_unlimited(&self) -> bool {
        self.stream_window == STREAM_WINDOW.max()
    }

    pub(crate) fn decode_limits(&self) -> DecodeLimits {
        DecodeLimits { max_depth: self.max_depth, max_decoded_len: self.max_decoded_len }
    }
}

/// What a server thinks of TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TlsPolicy {
    /// StartTls is refused.
    #[default]
    Refuse,
    /// StartTls is welcome, and not needed.
    Offer,
    /// Nothing but StartTls is answered before TLS, and nothing but authentication before that: a node with security on.
    Require,
}

/// How a [`ServerConnection`](crate::ServerConnection) behaves.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    pub(crate) tls: TlsPolicy,
    pub(crate) max_frame_len: u32,
    pub(crate) max_decoded_len: usize,
    pub(crate) max_depth: u32,
    pub(crate) idle_timeout: Option<Duration>,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            tls: TlsPolicy::Refuse,
            max_frame_len: MAX_FRAME_LEN.default(),
            max_decoded_len: MAX_DECODED_LEN.default(),
            max_depth: MAX_DEPTH.default(),
            idle_timeout: None,
        }
    }
}

impl ServerConfig {
    /// The defaults: no TLS, no idle timeout.
    pub fn new() -> Self {
        Self::default()
    }

    /// What to do about TLS. Default: refuse it.
    pub fn tls(mut self, tls: TlsPolicy) -> Self {
        self.tls = tls;
        self
    }

    clamped! {
        /// The longest frame, code and body, that a client may send. Default: 64 MiB.
        max_frame_len: u32, MAX_FRAME_LEN
    }

    clamped! {
        /// How many bytes of memory the repeated fields of one request may take. Default: 256 MiB.
        max_decoded_len: usize, MAX_DECODED_LEN
    }

    clamped! {
        /// How deep messages may lie in one another. Default: 64.
        max_depth: u32, MAX_DEPTH
    }

    /// How long a client may send nothing while nothing is owed to it. Default: for ever.
    pub fn idle_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.idle_timeout = timeout;
        self
    }

    pub(crate) fn decode_limits(&self) -> DecodeLimits {
        DecodeLimits { max_depth: self.max_depth, max_decoded_len: self.max_decoded_len }
    }
}
