//! Hashes, and fields that end.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use bytes::Bytes;

use super::{ExpireIf, Expiry, ScanOptions, Scanned, Ttl};
use crate::{Arg, Command, Typed};

/// `HSET`: true if the field is new.
pub fn hset(key: impl Arg, field: impl Arg, value: impl Arg) -> Typed<bool> {
    Typed::new(Command::new("HSET").arg(key).arg(field).arg(value))
}

/// `HSET` with several fields: how many are new.
pub fn hset_many(key: impl Arg, pairs: impl IntoIterator<Item = (impl Arg, impl Arg)>) -> Typed<u64> {
    Typed::new(Command::new("HSET").arg(key).pairs(pairs))
}

/// `HMSET`: the old way to set several fields.
pub fn hmset(key: impl Arg, pairs: impl IntoIterator<Item = (impl Arg, impl Arg)>) -> Typed<()> {
    Typed::new(Command::new("HMSET").arg(key).pairs(pairs))
}

/// `HSETNX`: true if there was none before.
pub fn hsetnx(key: impl Arg, field: impl Arg, value: impl Arg) -> Typed<bool> {
    Typed::new(Command::new("HSETNX").arg(key).arg(field).arg(value))
}

/// `HGET`: the value of a field.
pub fn hget(key: impl Arg, field: impl Arg) -> Typed<Option<Bytes>> {
    Typed::new(Command::new("HGET").arg(key).arg(field).read_only())
}

/// `HMGET`: the value of each field, if there is one.
pub fn hmget(key: impl Arg, fields: impl IntoIterator<Item = impl Arg>) -> Typed<Vec<Option<Bytes>>> {
    Typed::new(Command::new("HMGET").arg(key).args(fields).read_only())
}

/// `HGETALL`: all fields and values.
pub fn hgetall(key: impl Arg) -> Typed<BTreeMap<Bytes, Bytes>> {
    Typed::new(Command::new("HGETALL").arg(key).read_only())
}

/// `HDEL`: how many there were.
pub fn hdel(key: impl Arg, fields: impl IntoIterator<Item = impl Arg>) -> Typed<u64> {
    Typed::new(Command::new("HDEL").arg(key).args(fields))
}

/// `HEXISTS`: whether there is such a field.
pub fn hexists(key: impl Arg, field: impl Arg) -> Typed<bool> {
    Typed::new(Command::new("HEXISTS").arg(key).arg(field).read_only())
}

/// `HLEN`: how many fields there are.
pub fn hlen(key: impl Arg) -> Typed<usize> {
    Typed::new(Command::new("HLEN").arg(key).read_only())
}

/// `HSTRLEN`: how long the value of a field is.
pub fn hstrlen(key: impl Arg, field: impl Arg) -> Typed<usize> {
    Typed::new(Command::new("HSTRLEN").arg(key).arg(field).read_only())
}

/// `HKEYS`: all fields.
pub fn hkeys(key: impl Arg) -> Typed<BTreeSet<Bytes>> {
    Typed::new(Command::new("HKEYS").arg(key).read_only())
}

/// `HVALS`: all values.
pub fn hvals(key: impl Arg) -> Typed<Vec<Bytes>> {
    Typed::new(Command::new("HVALS").arg(key).read_only())
}

/// `HINCRBY`: the new value.
pub fn hincrby(key: impl Arg, field: impl Arg, by: i64) -> Typed<i64> {
    Typed::new(Command::new("HINCRBY").arg(key).arg(field).arg(by))
}

/// `HINCRBYFLOAT`: the new value.
pub fn hincrbyfloat(key: impl Arg, field: impl Arg, by: f64) -> Typed<f64> {
    Typed::new(Command::new("HINCRBYFLOAT").arg(key).arg(field).arg(by))
}

/// `HRANDFIELD`: any field.
pub fn hrandfield(key: impl Arg) -> Typed<Option<Bytes>> {
    Typed::new(Command::new("HRANDFIELD").arg(key).read_only())
}

/// `HRANDFIELD` with a count: any fields, the same one more than once only if negative.
pub fn hrandfield_count(key: impl Arg, count: i64) -> Typed<Vec<Bytes>> {
    Typed::new(Command::new("HRANDFIELD").arg(key).arg(count).read_only())
}

/// `HRANDFIELD` `... WITHVALUES`: any fields and their values.
pub fn hrandfield_withvalues(key: impl Arg, count: i64) -> Typed<Vec<(Bytes, Bytes)>> {
    Typed::new(Command::new("HRANDFIELD").arg(key).arg(count).arg("WITHVALUES").read_only())
}

/// `HSCAN`: one batch of fields and values. Start with cursor 0, end when it comes back as 0.
pub fn hscan(key: impl Arg, cursor: u64, options: &ScanOptions) -> Typed<Scanned<(Bytes, Bytes)>> {
    Typed::new(Command::new("HSCAN").arg(key).arg(cursor).with(options).read_only())
}

/// `HEXPIRE` (Redis 7.4): for each field 1 if it was set, 2 if it ended at once, 0 if the condition did not hold, -2 if there is none.
pub fn hexpire(
    key: impl Arg,
    seconds: u64,
    condition: Option<ExpireIf>,
    fields: impl IntoIterator<Item = impl Arg, IntoIter: ExactSizeIterator>,
) -> Typed<Vec<i64>> {
    Typed::new(Command::new("HEXPIRE").arg(key).arg(seconds).args(condition).arg("FIELDS").counted(fields))
}

/// `HPEXPIRE` (Redis 7.4): as [`hexpire`].
pub fn hpexpire(
    key: impl Arg,
    milliseconds: u64,
    condition: Option<ExpireIf>,
    fields: impl IntoIterator<Item = impl Arg, IntoIter: ExactSizeIterator>,
) -> Typed<Vec<i64>> {
    Typed::new(
        Command::new("HPEXPIRE").arg(key).arg(milliseconds).args(condition).arg("FIELDS").counted(fields),
    )
}

/// `HEXPIREAT` (Redis 7.4): as [`hexpire`].
pub fn hexpireat(
    key: impl Arg,
    unix_seconds: u64,
    condition: Option<ExpireIf>,
    fields: impl IntoIterator<Item = impl Arg, IntoIter: ExactSizeIterator>,
) -> Typed<Vec<i64>> {
    Typed::new(
        Command::new("HEXPIREAT").arg(key).arg(unix_seconds).args(condition).arg("FIELDS").counted(fields),
    )
}

/// `HPEXPIREAT` (Redis 7.4): as [`hexpire`].
pub fn hpexpireat(
    key: impl Arg,
    unix_milliseconds: u64,
    condition: Option<ExpireIf>,
    fields: impl IntoIterator<Item = impl Arg, IntoIter: ExactSizeIterator>,
) -> Typed<Vec<i64>> {
    Typed::new(
        Command::new("HPEXPIREAT")
            .arg(key)
            .arg(unix_milliseconds)
            .args(condition)
            .arg("FIELDS")
            .counted(fields),
    )
}

/// `HPERSIST` (Redis 7.4): for each field 1 if it had an end, -1 if it had none, -2 if there is none.
pub fn hpersist(
    key: impl Arg,
    fields: impl IntoIterator<Item = impl Arg, IntoIter: ExactSizeIterator>,
) -> Typed<Vec<i64>> {
    Typed::new(Command::new("HPERSIST").arg(key).arg("FIELDS").counted(fields))
}

/// `HTTL` (Redis 7.4), in seconds.
pub fn httl(
    key: impl Arg,
    fields: impl IntoIterator<Item = impl Arg, IntoIter: ExactSizeIterator>,
) -> Typed<Vec<Ttl>> {
    Typed::new(Command::new("HTTL").arg(key).arg("FIELDS").counted(fields).read_only())
}

/// `HPTTL` (Redis 7.4), in milliseconds.
pub fn hpttl(
    key: impl Arg,
    fields: impl IntoIterator<Item = impl Arg, IntoIter: ExactSizeIterator>,
) -> Typed<Vec<Ttl>> {
    Typed::new(Command::new("HPTTL").arg(key).arg("FIELDS").counted(fields).read_only())
}

/// `HEXPIRETIME` (Redis 7.4): the Unix time in seconds at which each ends.
pub fn hexpiretime(
    key: impl Arg,
    fields: impl IntoIterator<Item = impl Arg, IntoIter: ExactSizeIterator>,
) -> Typed<Vec<Ttl>> {
    Typed::new(Command::new("HEXPIRETIME").arg(key).arg("FIELDS").counted(fields).read_only())
}

/// `HPEXPIRETIME` (Redis 7.4): the Unix time in milliseconds at which each ends.
pub fn hpexpiretime(
    key: impl Arg,
    fields: impl IntoIterator<Item = impl Arg, IntoIter: ExactSizeIterator>,
) -> Typed<Vec<Ttl>> {
    Typed::new(Command::new("HPEXPIRETIME").arg(key).arg("FIELDS").counted(fields).read_only())
}

/// `HGETDEL` (Redis 8.0): the values, which are then gone.
pub fn hgetdel(
    key: impl Arg,
    fields: impl IntoIterator<Item = impl Arg, IntoIter: ExactSizeIterator>,
) -> Typed<Vec<Option<Bytes>>> {
    Typed::new(Command::new("HGETDEL").arg(key).arg("FIELDS").counted(fields))
}

/// `HGETEX` (Redis 8.0): the values, which then end as told.
pub fn hgetex(
    key: impl Arg,
    expiry: Expiry,
    fields: impl IntoIterator<Item = impl Arg, IntoIter: ExactSizeIterator>,
) -> Typed<Vec<Option<Bytes>>> {
    let command = expiry.add_to(Command::new("HGETEX").arg(key), "PERSIST");
    Typed::new(command.arg("FIELDS").counted(fields))
}

/// `HSETEX` (Redis 8.0): sets all fields, to end as told; true if it did.
pub fn hsetex(
    key: impl Arg,
    expiry: Expiry,
    pairs: impl IntoIterator<Item = (impl Arg, impl Arg), IntoIter: ExactSizeIterator>,
) -> Typed<bool> {
    let pairs = pairs.into_iter();
    let command = expiry.add_to(Command::new("HSETEX").arg(key), "KEEPTTL");
    Typed::new(command.arg("FIELDS").arg(pairs.len()).pairs(pairs))
}
