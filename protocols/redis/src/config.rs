//! How a connection behaves.

use alloc::string::String;
use core::fmt;
use core::time::Duration;

use bytes::Bytes;
use glowplug_core::limits::Range;

use crate::cache::CacheConfig;
use crate::wire::{Limits, Protocol};

const IN_FLIGHT: Range<usize> = Range::new(1, 65_536, 1 << 24);
const QUEUED_BYTES: Range<usize> = Range::new(1024, 4 << 20, 1 << 32);
const UNANSWERED: Range<usize> = Range::new(1, 1024, 1 << 20);
const OUTPUT: Range<usize> = Range::new(1024, 1 << 20, 1 << 30);
const OUTPUT_HARD: Range<usize> = Range::new(4096, 64 << 20, 1 << 32);

/// How a [`ClientConnection`](crate::ClientConnection) introduces itself, and what it bears.
#[derive(Clone)]
pub struct ClientConfig {
    pub(crate) protocol: Protocol,
    pub(crate) username: Option<Bytes>,
    pub(crate) password: Option<Bytes>,
    pub(crate) client_name: Option<String>,
    pub(crate) set_info: bool,
    pub(crate) database: u32,
    pub(crate) limits: Limits,
    pub(crate) max_in_flight: usize,
    pub(crate) max_queued_bytes: usize,
    pub(crate) handshake_timeout: Option<Duration>,
    pub(crate) answer_timeout: Option<Duration>,
    pub(crate) keep_alive: Option<Duration>,
    pub(crate) resend_read_only: bool,
    pub(crate) cache: Option<CacheConfig>,
}

impl ClientConfig {
    /// RESP3 where the server has it, no user, database 0.
    pub fn new() -> Self {
        Self::default()
    }

    /// The version to speak. Default RESP3, with a fallback to RESP2 when the server does not know `HELLO`.
    pub fn protocol(mut self, protocol: Protocol) -> Self {
        self.protocol = protocol;
        self
    }

    /// The ACL user to log in as; needs a password as well. Default none: the server's user `default`.
    pub fn username(mut self, name: impl Into<Bytes>) -> Self {
        self.username = Some(name.into());
        self
    }

    /// The password. Default none.
    pub fn password(mut self, password: impl Into<Bytes>) -> Self {
        self.password = Some(password.into());
        self
    }

    /// The name that `CLIENT LIST` shows; without spaces or line ends. Default none.
    pub fn client_name(mut self, name: impl Into<String>) -> Self {
        self.client_name = Some(name.into());
        self
    }

    /// Whether to tell the server this library's name and version (`CLIENT SETINFO`). Servers before 7.2 refuse, which does
    /// no harm. Default yes.
    pub fn set_info(mut self, yes: bool) -> Self {
        self.set_info = yes;
        self
    }

    /// The database to select. Default 0.
    pub fn database(mut self, index: u32) -> Self {
        self.database = index;
        self
    }

    /// How much one reply may hold.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// How many requests may wait for an answer; more are refused with `SubmitError::Full`. Default 65,536; 1 to 16,777,216.
    pub fn max_in_flight(mut self, count: usize) -> Self {
        self.max_in_flight = IN_FLIGHT.clamp(count);
        self
    }

    /// How many bytes of requests may wait inside for the driver to take them; more are refused with
    /// `SubmitError::Full`, but one request of any size is taken when none waits. Default 4 MiB; 1 KiB to 4 GiB.
    pub fn max_queued_bytes(mut self, bytes: usize) -> Self {
        self.max_queued_bytes = QUEUED_BYTES.clamp(bytes);
        self
    }

    /// How long the handshake may take. Default 10 s; `None` waits for ever.
    pub fn handshake_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.handshake_timeout = timeout;
        self
    }

    /// How long no byte may come while requests wait, before the connection is given up. While a blocking command is next to be
    /// answered, the server's own wait is added. Default 30 s; `None` waits for ever.
    pub fn answer_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.answer_timeout = timeout;
        self
    }

    /// How long a connection may be idle before a `PING` tests it; the answer has to come within
    /// [`answer_timeout`](Self::answer_timeout), or 10 s where that is off. Default 60 s; `None` never pings.
    pub fn keep_alive(mut self, idle: Option<Duration>) -> Self {
        self.keep_alive = idle;
        self
    }

    /// Whether a single command that is known to [change nothing](crate::Command::read_only) is sent again on the next transport when the
    /// old one ended before it was answered. Costs a copy of each such command. Default no: it fails, and says how far it got.
    pub fn resend_read_only(mut self, yes: bool) -> Self {
        self.resend_read_only = yes;
        self
    }

    /// Whether, and how, answers are kept until the server says that they have changed (client-side caching): those of commands that are
    /// [cacheable](crate::Command::cacheable). Default `None`: no answer is kept.
    pub fn cache(mut self, cache: Option<CacheConfig>) -> Self {
        self.cache = cache;
        self
    }

    /// True if a connection keeps answers.
    pub fn keeps_answers(&self) -> bool {
        self.cache.is_some()
    }
}

impl Default for ClientConfig {
    fn default() -> Self {
        Self {
            protocol: Protocol::Resp3,
            username: None,
            password: None,
            client_name: None,
            set_info: true,
            database: 0,
            limits: Limits::default(),
            max_in_flight: IN_FLIGHT.default(),
            max_queued_bytes: QUEUED_BYTES.default(),
            handshake_timeout: Some(Duration::from_secs(10)),
            answer_timeout: Some(Duration::from_secs(30)),
            keep_alive: Some(Duration::from_secs(60)),
            resend_read_only: false,
            cache: None,
        }
    }
}

impl fmt::Debug for ClientConfig {
    /// Everything but the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientConfig")
            .field("protocol", &self.protocol)
            .field("username", &self.username)
            .field("has_password", &self.password.is_some())
            .field("client_name", &self.client_name)
            .field("database", &self.database)
            .field("limits", &self.limits)
            .field("max_in_flight", &self.max_in_flight)
            .field("max_queued_bytes", &self.max_queued_bytes)
            .field("handshake_timeout", &self.handshake_timeout)
            .field("answer_timeout", &self.answer_timeout)
            .field("keep_alive", &self.keep_alive)
            .field("cache", &self.cache)
            .finish_non_exhaustive()
    }
}

/// What a [`ServerConnection`](crate::ServerConnection) bears.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    pub(crate) limits: Limits,
    pub(crate) max_unanswered: usize,
    pub(crate) max_output: usize,
    pub(crate) max_output_hard: usize,
    pub(crate) idle_timeout: Option<Duration>,
}

impl ServerConfig {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// How much one command may hold.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// How many commands may be handed out without an answer before reading pauses. Default 1024; 1 to 1,048,576.
    pub fn max_unanswered(mut self, count: usize) -> Self {
        self.max_unanswered = UNANSWERED.clamp(count);
        self
    }

    /// How many bytes of replies may wait for the driver before reading pauses. Default 1 MiB; 1 KiB to 1 GiB.
    pub fn max_output(mut self, bytes: usize) -> Self {
        self.max_output = OUTPUT.clamp(bytes);
        self
    }

    /// How many bytes of pushes and replies may wait before the connection is given up, because the peer does not read.
    /// Default 64 MiB; 4 KiB to 4 GiB.
    pub fn max_output_hard(mut self, bytes: usize) -> Self {
        self.max_output_hard = OUTPUT_HARD.clamp(bytes);
        self
    }

    /// How long a client may send nothing before it is hung up on. Default `None`: for ever, as Redis.
    pub fn idle_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.idle_timeout = timeout;
        self
    }
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            max_unanswered: UNANSWERED.default(),
            max_output: OUTPUT.default(),
            max_output_hard: OUTPUT_HARD.default(),
            idle_timeout: None,
        }
    }
}
