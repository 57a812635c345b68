//! Sets.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use bytes::Bytes;

use super::{ScanOptions, Scanned};
use crate::{Arg, Command, Typed};

/// `SADD`: how many are new.
pub fn sadd(key: impl Arg, members: impl IntoIterator<Item = impl Arg>) -> Typed<u64> {
    Typed::new(Command::new("SADD").arg(key).args(members))
}

/// `SREM`: how many there were.
pub fn srem(key: impl Arg, members: impl IntoIterator<Item = impl Arg>) -> Typed<u64> {
    Typed::new(Command::new("SREM").arg(key).args(members))
}

/// `SMEMBERS`: all members.
pub fn smembers(key: impl Arg) -> Typed<BTreeSet<Bytes>> {
    Typed::new(Command::new("SMEMBERS").arg(key).read_only())
}

/// `SCARD`: how many members there are.
pub fn scard(key: impl Arg) -> Typed<usize> {
    Typed::new(Command::new("SCARD").arg(key).read_only())
}

/// `SISMEMBER`: whether it is one.
pub fn sismember(key: impl Arg, member: impl Arg) -> Typed<bool> {
    Typed::new(Command::new("SISMEMBER").arg(key).arg(member).read_only())
}

/// `SMISMEMBER`: whether each is one.
pub fn smismember(key: impl Arg, members: impl IntoIterator<Item = impl Arg>) -> Typed<Vec<bool>> {
    Typed::new(Command::new("SMISMEMBER").arg(key).args(members).read_only())
}

/// `SMOVE`: true if it was moved.
pub fn smove(from: impl Arg, to: impl Arg, member: impl Arg) -> Typed<bool> {
    Typed::new(Command::new("SMOVE").arg(from).arg(to).arg(member))
}

/// `SPOP`: takes any member.
pub fn spop(key: impl Arg) -> Typed<Option<Bytes>> {
    Typed::new(Command::new("SPOP").arg(key))
}

/// `SPOP` with a count: takes any members.
pub fn spop_count(key: impl Arg, count: usize) -> Typed<BTreeSet<Bytes>> {
    Typed::new(Command::new("SPOP").arg(key).arg(count))
}

/// `SRANDMEMBER`: any member.
pub fn srandmember(key: impl Arg) -> Typed<Option<Bytes>> {
    Typed::new(Command::new("SRANDMEMBER").arg(key).read_only())
}

/// `SRANDMEMBER` with a count: any members, the same one more than once only if negative.
pub fn srandmember_count(key: impl Arg, count: i64) -> Typed<Vec<Bytes>> {
    Typed::new(Command::new("SRANDMEMBER").arg(key).arg(count).read_only())
}

/// `SINTER`: what is in all of them.
pub fn sinter(keys: impl IntoIterator<Item = impl Arg>) -> Typed<BTreeSet<Bytes>> {
    Typed::new(Command::new("SINTER").args(keys).read_only())
}

/// `SINTERSTORE`: stores what is in all of them; how many.
pub fn sinterstore(to: impl Arg, keys: impl IntoIterator<Item = impl Arg>) -> Typed<usize> {
    Typed::new(Command::new("SINTERSTORE").arg(to).args(keys))
}

/// `SINTERCARD`: how many are in all of them, up to the limit.
pub fn sintercard(
    keys: impl IntoIterator<Item = impl Arg, IntoIter: ExactSizeIterator>,
    limit: Option<u64>,
) -> Typed<usize> {
    Typed::new(Command::new("SINTERCARD").counted(keys).option("LIMIT", limit).read_only())
}

/// `SUNION`: what is in any of them.
pub fn sunion(keys: impl IntoIterator<Item = impl Arg>) -> Typed<BTreeSet<Bytes>> {
    Typed::new(Command::new("SUNION").args(keys).read_only())
}

/// `SUNIONSTORE`: stores what is in any of them; how many.
pub fn sunionstore(to: impl Arg, keys: impl IntoIterator<Item = impl Arg>) -> Typed<usize> {
    Typed::new(Command::new("SUNIONSTORE").arg(to).args(keys))
}

/// `SDIFF`: what is in the first and in no other.
pub fn sdiff(keys: impl IntoIterator<Item = impl Arg>) -> Typed<BTreeSet<Bytes>> {
    Typed::new(Command::new("SDIFF").args(keys).read_only())
}

/// `SDIFFSTORE`: stores what is in the first and in no other; how many.
pub fn sdiffstore(to: impl Arg, keys: impl IntoIterator<Item = impl Arg>) -> Typed<usize> {
    Typed::new(Command::new("SDIFFSTORE").arg(to).args(keys))
}

/// `SSCAN`: one batch of members. Start with cursor 0, end when it comes back as 0.
pub fn sscan(key: impl Arg, cursor: u64, options: &ScanOptions) -> Typed<Scanned<Bytes>> {
    Typed::new(Command::new("SSCAN").arg(key).arg(cursor).with(options).read_only())
}
