//! A server that lives in memory: a test double that needs no install, and as pure as the rest.
//!
//! [`Server`] is the whole of it: time, a connection's number and a command go in, replies come out, to that connection and, for
//! published messages and pops that waited, to others. [`Handle`] shares one between connections, and [`Connection`] makes of it
//! one end of a byte stream, so that any runtime serves it with the loop it has for every other protocol.
//!
//! It knows strings, keys that end, lists, sets, sorted sets, hashes and streams with their groups, `SORT`, transactions with `WATCH`,
//! published messages and the pops that wait; and it tells clients what has changed of what they read, themselves or a connection they name
//! (which hears of it from its next command on, unless it listens anyway: nobody can wake a machine).
//!
//! It keeps nothing on disk, has no users but one password, and knows no clusters; of scripts it runs those that a test
//! [gives it in Rust](Config::script). Commands it does not know are refused as a server refuses them: `XINFO`, `XCLAIM`, `XAUTOCLAIM`, `XTRIM`
//! and `XSETID` of the streams' are among them, and `BITFIELD`, `GEO...`, `OBJECT` and the unions of sorted sets.
//!
//! ```
//! use bytes::BytesMut;
//! use glowplug_core::{Instant, SendBuf, StreamProtocol};
//! use glowplug_redis::memory::{Config, Connection, Handle};
//!
//! let now = Instant::ZERO;
//! let server = Handle::new(Config::new());
//! let mut connection = Connection::new(now, &server);
//! let mut input = BytesMut::from("SET greeting hello\r\nGET greeting\r\n");
//! assert_eq!(connection.poll_event(now, &mut input)?, None);
//! let mut out = SendBuf::new();
//! connection.poll_transmit(now, &mut out);
//! assert_eq!(out.take_all(), &b"+OK\r\n$5\r\nhello\r\n"[..]);
//! # Ok::<(), glowplug_redis::Error>(())
//! ```

mod args;
mod connection;
mod database;
mod glob;
mod hashes;
#[expect(clippy::unnecessary_wraps, reason = "the table of commands wants one signature")]
mod keys;
mod lists;
mod monitor;
mod pubsub;
mod refusal;
mod scripts;
mod server;
mod session;
#[expect(clippy::unused_self, reason = "the table of commands wants one signature")]
mod sessions;
mod sets;
mod sort;
mod sorted_set;
mod sorted_sets;
mod streams;
#[expect(clippy::unnecessary_wraps, reason = "the table of commands wants one signature")]
mod strings;
mod table;
mod tracking;
mod transactions;

use core::time::Duration;

use bytes::Bytes;
use glowplug_core::{Instant, Rng, Seed};

pub use connection::{Connection, Handle};
pub use scripts::ScriptRun;
pub use server::{ConnectionId, Output, Server};

use crate::Script;
use crate::config::ServerConfig;
use crate::wire::Value;
use database::Database;
use scripts::Scripts;

/// `SRANDMEMBER` may name a member again and again, and so could ask for any amount of memory.
const MAX_REPEATED_PICKS: usize = 1 << 20;

/// 1 January 2026, in seconds of Unix time: what the wall clock shows at the start of a test.
const DEFAULT_UNIX_TIME: Duration = Duration::from_secs(1_767_225_600);

/// How a [`Server`] in memory behaves.
#[derive(Clone, Debug)]
pub struct Config {
    databases: usize,
    password: Option<Bytes>,
    unix_time_at_zero: Duration,
    max_string_len: usize,
    max_connections: usize,
    max_mailbox: usize,
    max_tracked_keys: usize,
    seed: Seed,
    scripts: Scripts,
    scripting: bool,
    connection: ServerConfig,
}

impl Config {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many databases there are. Default 16; 1 to 1024.
    pub fn databases(mut self, count: usize) -> Self {
        self.databases = count.clamp(1, 1024);
        self
    }

    /// The password that a client has to give. Default none.
    pub fn password(mut self, password: impl Into<Bytes>) -> Self {
        self.password = Some(password.into());
        self
    }

    /// What the wall clock shows when the driver's clock stands at [`Instant::ZERO`], since the start of 1970: what `EXPIREAT`
    /// and `TIME` go by. Default 1 January 2026.
    pub fn unix_time_at_zero(mut self, since_1970: Duration) -> Self {
        self.unix_time_at_zero = since_1970;
        self
    }

    /// The longest string that a command may make, in bytes. Default 64 MiB; at least 1 KiB.
    pub fn max_string_len(mut self, bytes: usize) -> Self {
        self.max_string_len = bytes.max(1024);
        self
    }

    /// How many connections there may be; one more is answered with an error and closed. Default 10,000; at least 1.
    pub fn max_connections(mut self, count: usize) -> Self {
        self.max_connections = count.max(1);
        self
    }

    /// How many bytes of published messages may wait for one connection before it is given up. Default 16 MiB; at least 4 KiB.
    pub fn max_mailbox(mut self, bytes: usize) -> Self {
        self.max_mailbox = bytes.max(4096);
        self
    }

    /// How many keys are remembered for clients that read them with `CLIENT TRACKING` on; those who read one more are told that another has
    /// changed. Default 1,000,000; at least 1.
    pub fn max_tracked_keys(mut self, keys: usize) -> Self {
        self.max_tracked_keys = keys.max(1);
        self
    }

    /// Says in Rust what a script does: there is no Lua here. Other scripts are refused; those of this library's locks are known.
    ///
    /// ```
    /// use glowplug_redis::{Script, memory, wire::Value};
    /// let push_unique = Script::new("if redis.call('sadd', KEYS[2], ARGV[1]) == 1 then return redis.call('rpush', KEYS[1], ARGV[1]) end return 0");
    /// let config = memory::Config::new().script(&push_unique, |run| {
    ///     let (list, set, member) = (run.keys()[0].clone(), run.keys()[1].clone(), run.args()[0].clone());
    ///     match run.call([&b"SADD"[..], &set, &member]) {
    ///         Value::Integer(1) => run.call([&b"RPUSH"[..], &list, &member]),
    ///         _ => Value::Integer(0),
    ///     }
    /// });
    /// # let _ = config;
    /// ```
    pub fn script(
        mut self,
        script: &Script,
        run: impl Fn(&mut ScriptRun<'_>) -> Value + Send + Sync + 'static,
    ) -> Self {
        self.scripts.insert(script, run);
        self
    }

    /// Whether there are scripts at all; without them, `EVAL` and its like are not known. Default yes.
    pub fn scripting(mut self, yes: bool) -> Self {
        self.scripting = yes;
        self
    }

    /// Where `RANDOMKEY`, `SPOP` and `SRANDMEMBER` take their chances from. Default: always the same.
    pub fn seed(mut self, seed: Seed) -> Self {
        self.seed = seed;
        self
    }

    /// What each connection bears.
    pub fn connection(mut self, config: ServerConfig) -> Self {
        self.connection = config;
        self
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            databases: 16,
            password: None,
            unix_time_at_zero: DEFAULT_UNIX_TIME,
            max_string_len: 64 << 20,
            max_connections: 10_000,
            max_mailbox: 16 << 20,
            max_tracked_keys: 1_000_000,
            seed: Seed::from_u64(0),
            scripts: Scripts::default(),
            scripting: true,
            connection: ServerConfig::default(),
        }
    }
}

/// What a command on data works with.
struct Db<'a> {
    now: Instant,
    data: &'a mut Database,
    rng: &'a mut Rng,
    resp3: bool,
    max_string_len: usize,
    unix_time_at_zero: Duration,
}

impl Db<'_> {
    /// The instant at which the wall clock shows `unix`; long past times are the epoch.
    fn at_unix(&self, unix: Duration) -> Instant {
        Instant::ZERO + unix.saturating_sub(self.unix_time_at_zero)
    }

    /// What the wall clock shows at `instant`.
    fn unix(&self, instant: Instant) -> Duration {
        self.unix_time_at_zero.saturating_add(instant - Instant::ZERO)
    }
}

#[cfg(test)]
mod tests;
