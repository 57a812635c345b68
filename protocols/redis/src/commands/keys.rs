//! Keys of any type.

use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::vec::Vec;

use bytes::Bytes;

use super::{read, write};
use crate::{Arg, Command, FromReply, ReplyError, ReplyRef, Typed};

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

impl ScanOptions {
    pub(crate) fn add_to(&self, command: Command) -> Command {
        command
            .option("MATCH", self.pattern.as_ref())
            .option("COUNT", self.count)
            .option("TYPE", self.kind.as_ref())
    }
}

/// `DEL`: how many there were.
pub fn del<K: Arg>(keys: impl IntoIterator<Item = K>) -> Typed<u64> {
    write!("DEL"; args(keys))
}

/// `UNLINK`: as [`del`], with the memory given back in the background.
pub fn unlink<K: Arg>(keys: impl IntoIterator<Item = K>) -> Typed<u64> {
    write!("UNLINK"; args(keys))
}

/// `EXISTS` for one key.
pub fn exists(key: impl Arg) -> Typed<bool> {
    read!("EXISTS"; arg(key))
}

/// `EXISTS`: how many of them there are; one that is named twice counts twice.
pub fn exists_many<K: Arg>(keys: impl IntoIterator<Item = K>) -> Typed<u64> {
    read!("EXISTS"; args(keys))
}

/// `TOUCH`: how many of them there are, and marks them as used.
pub fn touch<K: Arg>(keys: impl IntoIterator<Item = K>) -> Typed<u64> {
    read!("TOUCH"; args(keys))
}

/// `TYPE`: `string`, `list`, `set`, `zset`, `hash`, `stream`, or `none`.
pub fn key_type(key: impl Arg) -> Typed<String> {
    read!("TYPE"; arg(key))
}

/// `KEYS`: all that match. Slow on a large database; `SCAN` is the better way.
pub fn keys(pattern: impl Arg) -> Typed<BTreeSet<Bytes>> {
    read!("KEYS"; arg(pattern))
}

/// `SCAN`: one batch of keys. Start with cursor 0, end when it comes back as 0.
pub fn scan(cursor: u64, options: &ScanOptions) -> Typed<Scanned<Bytes>> {
    Typed::new(options.add_to(Command::new("SCAN").arg(cursor)).read_only())
}

/// `RANDOMKEY`: any key, if there is one.
pub fn randomkey() -> Typed<Option<Bytes>> {
    read!("RANDOMKEY")
}

/// `RENAME`: a key that has the new name is replaced; an error if there is no old one.
pub fn rename(from: impl Arg, to: impl Arg) -> Typed<()> {
    write!("RENAME"; arg(from), arg(to))
}

/// `RENAMENX`: true if it was renamed, false if the new name is taken.
pub fn renamenx(from: impl Arg, to: impl Arg) -> Typed<bool> {
    write!("RENAMENX"; arg(from), arg(to))
}

/// `COPY`: true if it was copied.
pub fn copy(from: impl Arg, to: impl Arg, replace: bool) -> Typed<bool> {
    write!("COPY"; arg(from), arg(to), word_if(replace, "REPLACE"))
}

/// `MOVE` to another database: true if it was moved.
pub fn move_key(key: impl Arg, database: u32) -> Typed<bool> {
    write!("MOVE"; arg(key), arg(database))
}

/// `EXPIRE`, in seconds: true if it was set.
pub fn expire(key: impl Arg, seconds: i64) -> Typed<bool> {
    write!("EXPIRE"; arg(key), arg(seconds))
}

/// `EXPIRE` with a condition: true if it was set.
pub fn expire_if(key: impl Arg, seconds: i64, condition: ExpireIf) -> Typed<bool> {
    write!("EXPIRE"; arg(key), arg(seconds), arg(condition))
}

/// `EXPIREAT`, in seconds of Unix time: true if it was set.
pub fn expireat(key: impl Arg, unix_seconds: i64) -> Typed<bool> {
    write!("EXPIREAT"; arg(key), arg(unix_seconds))
}

/// `PEXPIRE`, in milliseconds: true if it was set.
pub fn pexpire(key: impl Arg, milliseconds: i64) -> Typed<bool> {
    write!("PEXPIRE"; arg(key), arg(milliseconds))
}

/// `PEXPIREAT`, in milliseconds of Unix time: true if it was set.
pub fn pexpireat(key: impl Arg, unix_milliseconds: i64) -> Typed<bool> {
    write!("PEXPIREAT"; arg(key), arg(unix_milliseconds))
}

/// `PERSIST`: true if it had an end and now has none.
pub fn persist(key: impl Arg) -> Typed<bool> {
    write!("PERSIST"; arg(key))
}

/// `TTL`, in seconds.
pub fn ttl(key: impl Arg) -> Typed<Ttl> {
    read!("TTL"; arg(key))
}

/// `PTTL`, in milliseconds.
pub fn pttl(key: impl Arg) -> Typed<Ttl> {
    read!("PTTL"; arg(key))
}

/// `EXPIRETIME`: the Unix time in seconds at which it ends.
pub fn expiretime(key: impl Arg) -> Typed<Ttl> {
    read!("EXPIRETIME"; arg(key))
}

/// `PEXPIRETIME`: the Unix time in milliseconds at which it ends.
pub fn pexpiretime(key: impl Arg) -> Typed<Ttl> {
    read!("PEXPIRETIME"; arg(key))
}

/// `DUMP`: the value in the server's own form, if there is one.
pub fn dump(key: impl Arg) -> Typed<Option<Bytes>> {
    read!("DUMP"; arg(key))
}

/// `RESTORE`: puts back what `DUMP` gave, to end after so many milliseconds (0: never).
pub fn restore(key: impl Arg, milliseconds: u64, dumped: impl Arg, replace: bool) -> Typed<()> {
    write!("RESTORE"; arg(key), arg(milliseconds), arg(dumped), word_if(replace, "REPLACE"))
}

/// `OBJECT ENCODING`: how the server holds it, if it is there.
pub fn object_encoding(key: impl Arg) -> Typed<Option<String>> {
    read!("OBJECT", "ENCODING"; arg(key))
}

/// `OBJECT REFCOUNT`.
pub fn object_refcount(key: impl Arg) -> Typed<Option<u64>> {
    read!("OBJECT", "REFCOUNT"; arg(key))
}

/// `OBJECT IDLETIME`: seconds since it was last used.
pub fn object_idletime(key: impl Arg) -> Typed<Option<u64>> {
    read!("OBJECT", "IDLETIME"; arg(key))
}

/// `OBJECT FREQ`: how often it is used, under an LFU policy.
pub fn object_freq(key: impl Arg) -> Typed<Option<u64>> {
    read!("OBJECT", "FREQ"; arg(key))
}
