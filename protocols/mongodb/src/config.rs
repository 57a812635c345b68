//! How a connection is to behave, and its limits.

use core::time::Duration;

use glowplug_core::limits::Range;

use crate::auth::{Credential, ScramKeys};
use crate::wire::Compressor;

const MAX_MESSAGE_LEN: Range<usize> = Range::new(1 << 16, 48_000_000, 1 << 30);
const MAX_IN_FLIGHT: Range<usize> = Range::new(1, 128, 1 << 16);
const MAX_QUEUED_BYTES: Range<usize> = Range::new(1 << 16, 64 << 20, 1 << 32);
const MAX_DISCARDED: Range<usize> = Range::new(0, 16, 1 << 20);
const MAX_ITERATIONS: Range<u32> = Range::new(4096, 100_000, 10_000_000);

/// How a client connection behaves. `Config::default()` connects without authentication, compression or keep-alive.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// Who to authenticate as.
    pub credential: Option<Credential>,
    /// Keys of an earlier connection with the same credential: see
    /// [`ClientConnection::scram_keys`](crate::ClientConnection::scram_keys).
    pub scram_keys: Option<ScramKeys>,
    /// True when the transport is under TLS. PLAIN is refused without.
    pub tls: bool,
    /// The application's name in the server's logs, at most 128 bytes of which are sent.
    pub app_name: Option<String>,
    /// Compressors to offer, the best first; those that this build has not are left out.
    pub compressors: Vec<Compressor>,
    /// Zlib's level: 0 to 9, or -1 for its default.
    pub zlib_level: i32,
    /// The version of the stable API to declare.
    pub server_api: Option<ServerApi>,
    /// Begin with `isMaster` in OP_QUERY, for servers that know no `hello`. Without it `hello` comes first and `isMaster`
    /// only when that is unknown.
    pub legacy_hello: bool,
    /// Tell the server that a load balancer stands in between.
    pub load_balanced: bool,
    /// Send checksums with messages that are not compressed.
    pub checksums: bool,
    /// How long the handshake may take, authentication included. Default 10 s.
    pub handshake_timeout: Duration,
    /// After how long without traffic to ping the server; `None`, the default, never does.
    pub keep_alive: Option<Duration>,
    /// How long the answer to such a ping may take. Default 10 s.
    pub keep_alive_timeout: Duration,
    /// The limits.
    pub limits: Limits,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            credential: None,
            scram_keys: None,
            tls: false,
            app_name: None,
            compressors: Vec::new(),
            zlib_level: -1,
            server_api: None,
            legacy_hello: false,
            load_balanced: false,
            checksums: false,
            handshake_timeout: Duration::from_secs(10),
            keep_alive: None,
            keep_alive_timeout: Duration::from_secs(10),
            limits: Limits::default(),
        }
    }
}

/// A version of the stable API, added to every command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerApi {
    /// The version: `"1"`.
    pub version: String,
    /// Refuse what is not in it.
    pub strict: Option<bool>,
    /// Refuse what it deprecates.
    pub deprecation_errors: Option<bool>,
}

impl ServerApi {
    /// Version 1 with the server's defaults.
    pub fn v1() -> Self {
        Self { version: "1".into(), strict: None, deprecation_errors: None }
    }
}

/// What a peer can make us hold or do, at most. A value outside its range becomes the nearest inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::struct_field_names, reason = "each is named as its error names it")]
pub struct Limits {
    max_message_len: usize,
    max_in_flight: usize,
    max_queued_bytes: usize,
    max_discarded_replies: usize,
    max_scram_iterations: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_message_len: MAX_MESSAGE_LEN.default(),
            max_in_flight: MAX_IN_FLIGHT.default(),
            max_queued_bytes: MAX_QUEUED_BYTES.default(),
            max_discarded_replies: MAX_DISCARDED.default(),
            max_scram_iterations: MAX_ITERATIONS.default(),
        }
    }
}

/// A limit's getter and its builder.
macro_rules! limits {
    ($($(#[$meta:meta])* $name:ident, $with:ident, $type:ty, $range:ident;)*) => {
        impl Limits {$(
            $(#[$meta])*
            pub const fn $name(&self) -> $type {
                self.$name
            }

            #[doc = concat!("Sets [`", stringify!($name), "`](Self::", stringify!($name), ").")]
            #[must_use]
            pub fn $with(mut self, value: $type) -> Self {
                self.$name = $range.clamp(value);
                self
            }
        )*}
    };
}

limits! {
    /// The longest message that is read, header included and after decompression: 64 KiB to 1 GiB, default 48,000,000 bytes as
    /// servers have it.
    max_message_len, with_max_message_len, usize, MAX_MESSAGE_LEN;
    /// Requests that wait for their answers, those not yet sent included: 1 to 65,536, default 128.
    max_in_flight, with_max_in_flight, usize, MAX_IN_FLIGHT;
    /// Bytes of requests or replies that wait to be sent: 64 KiB to 4 GiB, default 64 MiB. One always fits.
    max_queued_bytes, with_max_queued_bytes, usize, MAX_QUEUED_BYTES;
    /// Replies of a cancelled stream that are thrown away before the connection is given up: default 16.
    max_discarded_replies, with_max_discarded_replies, usize, MAX_DISCARDED;
    /// Iterations that a server may ask of SCRAM: 4,096 to 10,000,000, default 100,000. Fewer than 4,096 are never accepted.
    max_scram_iterations, with_max_scram_iterations, u32, MAX_ITERATIONS;
}
