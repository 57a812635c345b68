//! Strings.

use alloc::vec::Vec;
use core::time::Duration;

use bytes::Bytes;

use super::millis;
use crate::{Arg, Command, Typed};

/// When a key is to end, as most commands take it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiry {
    /// After this long; rounded down to milliseconds.
    After(Duration),
    /// At this Unix time, in milliseconds.
    AtMillis(u64),
    /// As before (`KEEPTTL`); for `GETEX`, never (`PERSIST`).
    Keep,
}

impl Expiry {
    pub(crate) fn add_to(self, command: Command, keep: &str) -> Command {
        match self {
            Self::After(time) => command.arg("PX").arg(millis(time)),
            Self::AtMillis(at) => command.arg("PXAT").arg(at),
            Self::Keep => command.arg(keep),
        }
    }
}

/// What `SET` may be given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SetOptions {
    /// Set only if the key is there (`XX`: `Some(true)`) or is not (`NX`: `Some(false)`).
    pub if_exists: Option<bool>,
    /// When the key is to end.
    pub expiry: Option<Expiry>,
}

impl SetOptions {
    fn add_to(self, command: Command) -> Command {
        let command = match self.if_exists {
            Some(true) => command.arg("XX"),
            Some(false) => command.arg("NX"),
            None => command,
        };
        match self.expiry {
            Some(expiry) => expiry.add_to(command, "KEEPTTL"),
            None => command,
        }
    }
}

/// `GET`: the value, if there is one.
#[inline]
pub fn get(key: impl Arg) -> Typed<Option<Bytes>> {
    Typed::new(Command::new("GET").arg(key).read_only())
}

/// `SET`, whatever was there.
#[inline]
pub fn set(key: impl Arg, value: impl Arg) -> Typed<()> {
    Typed::new(Command::new("SET").arg(key).arg(value))
}

/// `SET` with options: true if it was set.
pub fn set_with(key: impl Arg, value: impl Arg, options: SetOptions) -> Typed<bool> {
    Typed::new(options.add_to(Command::new("SET").arg(key).arg(value)))
}

/// `SET` with `GET`: what was there before, whether or not it was replaced.
pub fn set_get(key: impl Arg, value: impl Arg, options: SetOptions) -> Typed<Option<Bytes>> {
    Typed::new(options.add_to(Command::new("SET").arg(key).arg(value)).arg("GET"))
}

/// `SETNX`: true if there was none before.
pub fn setnx(key: impl Arg, value: impl Arg) -> Typed<bool> {
    Typed::new(Command::new("SETNX").arg(key).arg(value))
}

/// `SETEX`: set, to end after so many seconds.
pub fn setex(key: impl Arg, seconds: u64, value: impl Arg) -> Typed<()> {
    Typed::new(Command::new("SETEX").arg(key).arg(seconds).arg(value))
}

/// `PSETEX`: set, to end after so many milliseconds.
pub fn psetex(key: impl Arg, milliseconds: u64, value: impl Arg) -> Typed<()> {
    Typed::new(Command::new("PSETEX").arg(key).arg(milliseconds).arg(value))
}

/// `GETSET`: set, and what was there before.
pub fn getset(key: impl Arg, value: impl Arg) -> Typed<Option<Bytes>> {
    Typed::new(Command::new("GETSET").arg(key).arg(value))
}

/// `GETDEL`: the value, which is then gone.
pub fn getdel(key: impl Arg) -> Typed<Option<Bytes>> {
    Typed::new(Command::new("GETDEL").arg(key))
}

/// `GETEX`: the value, which then ends as told.
pub fn getex(key: impl Arg, expiry: Expiry) -> Typed<Option<Bytes>> {
    Typed::new(expiry.add_to(Command::new("GETEX").arg(key), "PERSIST"))
}

/// `MGET`: the value of each key, if there is one.
pub fn mget<K: Arg>(keys: impl IntoIterator<Item = K>) -> Typed<Vec<Option<Bytes>>> {
    Typed::new(Command::new("MGET").args(keys).read_only())
}

/// `MSET`: sets all of them at once.
pub fn mset<K: Arg, V: Arg>(pairs: impl IntoIterator<Item = (K, V)>) -> Typed<()> {
    Typed::new(Command::new("MSET").pairs(pairs))
}

/// `MSETNX`: sets all of them or, if any is there, none. True if it did.
pub fn msetnx<K: Arg, V: Arg>(pairs: impl IntoIterator<Item = (K, V)>) -> Typed<bool> {
    Typed::new(Command::new("MSETNX").pairs(pairs))
}

/// `INCR`: the new value.
pub fn incr(key: impl Arg) -> Typed<i64> {
    Typed::new(Command::new("INCR").arg(key))
}

/// `INCRBY`: the new value.
pub fn incrby(key: impl Arg, by: i64) -> Typed<i64> {
    Typed::new(Command::new("INCRBY").arg(key).arg(by))
}

/// `INCRBYFLOAT`: the new value.
pub fn incrbyfloat(key: impl Arg, by: f64) -> Typed<f64> {
    Typed::new(Command::new("INCRBYFLOAT").arg(key).arg(by))
}

/// `DECR`: the new value.
pub fn decr(key: impl Arg) -> Typed<i64> {
    Typed::new(Command::new("DECR").arg(key))
}

/// `DECRBY`: the new value.
pub fn decrby(key: impl Arg, by: i64) -> Typed<i64> {
    Typed::new(Command::new("DECRBY").arg(key).arg(by))
}

/// `APPEND`: the new length.
pub fn append(key: impl Arg, value: impl Arg) -> Typed<usize> {
    Typed::new(Command::new("APPEND").arg(key).arg(value))
}

/// `STRLEN`: the length, 0 where there is nothing.
pub fn strlen(key: impl Arg) -> Typed<usize> {
    Typed::new(Command::new("STRLEN").arg(key).read_only())
}

/// `GETRANGE`: the bytes from `start` to `end`, both included; negative ones count from the end.
pub fn getrange(key: impl Arg, start: i64, end: i64) -> Typed<Bytes> {
    Typed::new(Command::new("GETRANGE").arg(key).arg(start).arg(end).read_only())
}

/// `SUBSTR`: the old name of [`getrange`].
pub fn substr(key: impl Arg, start: i64, end: i64) -> Typed<Bytes> {
    Typed::new(Command::new("SUBSTR").arg(key).arg(start).arg(end).read_only())
}

/// `SETRANGE`: overwrites from `offset` on; the new length.
pub fn setrange(key: impl Arg, offset: usize, value: impl Arg) -> Typed<usize> {
    Typed::new(Command::new("SETRANGE").arg(key).arg(offset).arg(value))
}

/// `LCS`: the longest common subsequence of two strings.
pub fn lcs(one: impl Arg, other: impl Arg) -> Typed<Bytes> {
    Typed::new(Command::new("LCS").arg(one).arg(other).read_only())
}

/// `LCS ... LEN`: how long the longest common subsequence is.
pub fn lcs_len(one: impl Arg, other: impl Arg) -> Typed<usize> {
    Typed::new(Command::new("LCS").arg(one).arg(other).arg("LEN").read_only())
}
