//! Keys of any type.

use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use bytes::Bytes;

use super::{Options, millis};
use crate::{Arg, Blocks, Command, FromReply, Reply, ReplyError, ReplyRef, Typed};

/// How long a key still lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ttl {
    /// There is no such key.
    NoKey,
    /// For ever.
    Never,
    /// So many seconds or milliseconds, as the command says; or at that Unix time.
    Left(u64),
}

impl FromReply for Ttl {
    fn from_ref(reply: ReplyRef<'_>) -> Result<Self, ReplyError> {
        match i64::from_ref(reply.clone())? {
            -2 => Ok(Self::NoKey),
            -1 => Ok(Self::Never),
            left => u64::try_from(left)
                .map(Self::Left)
                .map_err(|_| ReplyError::unexpected("a time to live", &reply)),
        }
    }
}

/// When a new expiry counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExpireIf {
    /// Only if the key has none (`NX`).
    None,
    /// Only if the key has one (`XX`).
    Some,
    /// Only if it is later than the one there is (`GT`).
    Later,
    /// Only if it is sooner than the one there is (`LT`).
    Sooner,
}

impl Arg for ExpireIf {
    fn push_to(self, command: &mut Command) {
        match self {
            Self::None => "NX",
            Self::Some => "XX",
            Self::Later => "GT",
            Self::Sooner => "LT",
        }
        .push_to(command);
    }
}

/// One batch of a scan: the cursor to go on with (0: done) and what was found.
pub type Scanned<T> = (u64, Vec<T>);

/// What `SCAN` may be given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScanOptions {
    /// Only what matches this glob-style pattern.
    pub pattern: Option<Bytes>,
    /// How much work a batch is: a hint.
    pub count: Option<u64>,
    /// Only keys of this type; for `SCAN` itself.
    pub kind: Option<String>,
}

impl Options for ScanOptions {
    fn add_to(&self, command: Command) -> Command {
        command
            .option("MATCH", self.pattern.as_ref())
            .option("COUNT", self.count)
            .option("TYPE", self.kind.as_ref())
    }
}

/// `DEL`: how many there were.
pub fn del<K: Arg>(keys: impl IntoIterator<Item = K>) -> Typed<u64> {
    Typed::new(Command::new("DEL").args(keys))
}

/// `UNLINK`: as [`del`], with the memory given back in the background.
pub fn unlink<K: Arg>(keys: impl IntoIterator<Item = K>) -> Typed<u64> {
    Typed::new(Command::new("UNLINK").args(keys))
}

/// `EXISTS` for one key.
pub fn exists(key: impl Arg) -> Typed<bool> {
    Typed::new(Command::new("EXISTS").arg(key).read_only())
}

/// `EXISTS`: how many of them there are; one that is named twice counts twice.
pub fn exists_many<K: Arg>(keys: impl IntoIterator<Item = K>) -> Typed<u64> {
    Typed::new(Command::new("EXISTS").args(keys).read_only())
}

/// `TOUCH`: how many of them there are, and marks them as used.
pub fn touch<K: Arg>(keys: impl IntoIterator<Item = K>) -> Typed<u64> {
    Typed::new(Command::new("TOUCH").args(keys).read_only())
}

/// `TYPE`: `string`, `list`, `set`, `zset`, `hash`, `stream`, or `none`.
pub fn key_type(key: impl Arg) -> Typed<String> {
    Typed::new(Command::new("TYPE").arg(key).read_only())
}

/// `KEYS`: all that match. Slow on a large database; `SCAN` is the better way.
pub fn keys(pattern: impl Arg) -> Typed<BTreeSet<Bytes>> {
    Typed::new(Command::new("KEYS").arg(pattern).read_only())
}

/// `SCAN`: one batch of keys. Start with cursor 0, end when it comes back as 0.
pub fn scan(cursor: u64, options: &ScanOptions) -> Typed<Scanned<Bytes>> {
    Typed::new(options.add_to(Command::new("SCAN").arg(cursor)).read_only())
}

/// `RANDOMKEY`: any key, if there is one.
pub fn randomkey() -> Typed<Option<Bytes>> {
    Typed::new(Command::new("RANDOMKEY").read_only())
}

/// `RENAME`: a key that has the new name is replaced; an error if there is no old one.
pub fn rename(from: impl Arg, to: impl Arg) -> Typed<()> {
    Typed::new(Command::new("RENAME").arg(from).arg(to))
}

/// `RENAMENX`: true if it was renamed, false if the new name is taken.
pub fn renamenx(from: impl Arg, to: impl Arg) -> Typed<bool> {
    Typed::new(Command::new("RENAMENX").arg(from).arg(to))
}

/// `COPY`: true if it was copied.
pub fn copy(from: impl Arg, to: impl Arg, replace: bool) -> Typed<bool> {
    Typed::new(Command::new("COPY").arg(from).arg(to).word_if(replace, "REPLACE"))
}

/// `MOVE` to another database: true if it was moved.
pub fn move_key(key: impl Arg, database: u32) -> Typed<bool> {
    Typed::new(Command::new("MOVE").arg(key).arg(database))
}

/// `EXPIRE`, in seconds: true if it was set.
pub fn expire(key: impl Arg, seconds: i64) -> Typed<bool> {
    Typed::new(Command::new("EXPIRE").arg(key).arg(seconds))
}

/// `EXPIRE` with a condition: true if it was set.
pub fn expire_if(key: impl Arg, seconds: i64, condition: ExpireIf) -> Typed<bool> {
    Typed::new(Command::new("EXPIRE").arg(key).arg(seconds).arg(condition))
}

/// `EXPIREAT`, in seconds of Unix time: true if it was set.
pub fn expireat(key: impl Arg, unix_seconds: i64) -> Typed<bool> {
    Typed::new(Command::new("EXPIREAT").arg(key).arg(unix_seconds))
}

/// `PEXPIRE`, in milliseconds: true if it was set.
pub fn pexpire(key: impl Arg, milliseconds: i64) -> Typed<bool> {
    Typed::new(Command::new("PEXPIRE").arg(key).arg(milliseconds))
}

/// `PEXPIREAT`, in milliseconds of Unix time: true if it was set.
pub fn pexpireat(key: impl Arg, unix_milliseconds: i64) -> Typed<bool> {
    Typed::new(Command::new("PEXPIREAT").arg(key).arg(unix_milliseconds))
}

/// `PERSIST`: true if it had an end and now has none.
pub fn persist(key: impl Arg) -> Typed<bool> {
    Typed::new(Command::new("PERSIST").arg(key))
}

/// `TTL`, in seconds.
pub fn ttl(key: impl Arg) -> Typed<Ttl> {
    Typed::new(Command::new("TTL").arg(key).read_only())
}

/// `PTTL`, in milliseconds.
pub fn pttl(key: impl Arg) -> Typed<Ttl> {
    Typed::new(Command::new("PTTL").arg(key).read_only())
}

/// `EXPIRETIME`: the Unix time in seconds at which it ends.
pub fn expiretime(key: impl Arg) -> Typed<Ttl> {
    Typed::new(Command::new("EXPIRETIME").arg(key).read_only())
}

/// `PEXPIRETIME`: the Unix time in milliseconds at which it ends.
pub fn pexpiretime(key: impl Arg) -> Typed<Ttl> {
    Typed::new(Command::new("PEXPIRETIME").arg(key).read_only())
}

/// `DUMP`: the value in the server's own form, if there is one.
pub fn dump(key: impl Arg) -> Typed<Option<Bytes>> {
    Typed::new(Command::new("DUMP").arg(key).read_only())
}

/// `RESTORE`: puts back what `DUMP` gave, to end after so many milliseconds (0: never).
pub fn restore(key: impl Arg, milliseconds: u64, dumped: impl Arg, replace: bool) -> Typed<()> {
    Typed::new(Command::new("RESTORE").arg(key).arg(milliseconds).arg(dumped).word_if(replace, "REPLACE"))
}

/// `OBJECT ENCODING`: how the server holds it, if it is there.
pub fn object_encoding(key: impl Arg) -> Typed<Option<String>> {
    Typed::new(Command::new("OBJECT").arg("ENCODING").arg(key).read_only())
}

/// `OBJECT REFCOUNT`.
pub fn object_refcount(key: impl Arg) -> Typed<Option<u64>> {
    Typed::new(Command::new("OBJECT").arg("REFCOUNT").arg(key).read_only())
}

/// `OBJECT IDLETIME`: seconds since it was last used.
pub fn object_idletime(key: impl Arg) -> Typed<Option<u64>> {
    Typed::new(Command::new("OBJECT").arg("IDLETIME").arg(key).read_only())
}

/// `OBJECT FREQ`: how often it is used, under an LFU policy.
pub fn object_freq(key: impl Arg) -> Typed<Option<u64>> {
    Typed::new(Command::new("OBJECT").arg("FREQ").arg(key).read_only())
}

/// `OBJECT HELP`: the server's own help.
pub fn object_help() -> Typed<Vec<String>> {
    Typed::new(Command::new("OBJECT").arg("HELP").read_only())
}

/// What `SORT` may be given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SortOptions {
    /// Sort by what this pattern finds, its star being the element; without a star, do not sort.
    pub by: Option<Bytes>,
    /// Skip so many, and take so many; a negative number takes all.
    pub limit: Option<(u64, i64)>,
    /// Answer what these patterns find, for each element in turn; `#` is the element itself.
    pub get: Vec<Bytes>,
    /// From the greatest to the least.
    pub descending: bool,
    /// Compare texts, not numbers.
    pub alpha: bool,
}

impl Options for SortOptions {
    fn add_to(&self, command: Command) -> Command {
        let mut command = command.option("BY", self.by.as_ref());
        if let Some((offset, count)) = self.limit {
            command = command.arg("LIMIT").arg(offset).arg(count);
        }
        for pattern in &self.get {
            command = command.arg("GET").arg(pattern);
        }
        command.word_if(self.descending, "DESC").word_if(self.alpha, "ALPHA")
    }
}

/// `SORT`: the elements of a list, set or sorted set, in order; `None` where a pattern found nothing.
pub fn sort(key: impl Arg, options: &SortOptions) -> Typed<Vec<Option<Bytes>>> {
    Typed::new(Command::new("SORT").arg(key).with(options))
}

/// `SORT_RO`: as [`sort`].
pub fn sort_ro(key: impl Arg, options: &SortOptions) -> Typed<Vec<Option<Bytes>>> {
    Typed::new(Command::new("SORT_RO").arg(key).with(options).read_only())
}

/// `SORT ... STORE`: stores the elements as a list; how many.
pub fn sort_store(key: impl Arg, options: &SortOptions, to: impl Arg) -> Typed<usize> {
    Typed::new(Command::new("SORT").arg(key).with(options).arg("STORE").arg(to))
}

/// How long a command that waits in milliseconds may wait; 0 on the wire is for ever.
fn wait_millis(command: Command, timeout: Option<Duration>) -> Command {
    match timeout {
        Some(timeout) => command.arg(millis(timeout).max(1)).blocking(Blocks::For(timeout)),
        None => command.arg(0).blocking(Blocks::Forever),
    }
}

/// `WAIT`: waits until so many replicas have what this connection wrote; how many have.
pub fn wait(replicas: u64, timeout: Option<Duration>) -> Typed<u64> {
    Typed::new(wait_millis(Command::new("WAIT").arg(replicas), timeout))
}

/// `WAITAOF` (Redis 7.2): waits until it is on so many disks, this server's and replicas'; on how many it is.
pub fn waitaof(local: u64, replicas: u64, timeout: Option<Duration>) -> Typed<(u64, u64)> {
    Typed::new(wait_millis(Command::new("WAITAOF").arg(local).arg(replicas), timeout))
}

/// `MIGRATE`: moves keys to another server, which has so long to answer; false if there were none.
pub fn migrate<K: Arg>(
    host: impl Arg,
    port: u16,
    database: u32,
    timeout: Duration,
    keys: impl IntoIterator<Item = K>,
) -> Typed<bool> {
    let command = Command::new("MIGRATE").arg(host).arg(port).arg("").arg(database).arg(millis(timeout));
    let command = command.arg("KEYS").args(keys).blocking(Blocks::For(timeout));
    Typed::with(command, |reply| match &reply {
        Reply::Simple(text) if text == "NOKEY" => Ok(false),
        _ => <()>::from_reply(reply).map(|()| true),
    })
}
