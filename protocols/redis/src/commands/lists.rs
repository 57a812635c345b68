//! Lists.

use alloc::vec::Vec;
use core::time::Duration;

use bytes::Bytes;

use crate::{Arg, Command, Typed};

/// One end of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The first element.
    Left,
    /// The last element.
    Right,
}

impl Arg for End {
    fn push_to(self, command: &mut Command) {
        command.push_copied(match self {
            Self::Left => b"LEFT",
            Self::Right => b"RIGHT",
        });
    }
}

/// `LPUSH`: adds each at the left in turn; the new length.
pub fn lpush(key: impl Arg, elements: impl IntoIterator<Item = impl Arg>) -> Typed<usize> {
    Typed::new(Command::new("LPUSH").arg(key).args(elements))
}

/// `RPUSH`: adds each at the right in turn; the new length.
pub fn rpush(key: impl Arg, elements: impl IntoIterator<Item = impl Arg>) -> Typed<usize> {
    Typed::new(Command::new("RPUSH").arg(key).args(elements))
}

/// `LPUSHX`: as [`lpush`], only if there is a list; the new length, or 0.
pub fn lpushx(key: impl Arg, elements: impl IntoIterator<Item = impl Arg>) -> Typed<usize> {
    Typed::new(Command::new("LPUSHX").arg(key).args(elements))
}

/// `RPUSHX`: as [`rpush`], only if there is a list; the new length, or 0.
pub fn rpushx(key: impl Arg, elements: impl IntoIterator<Item = impl Arg>) -> Typed<usize> {
    Typed::new(Command::new("RPUSHX").arg(key).args(elements))
}

/// `LPOP`: takes the first element.
pub fn lpop(key: impl Arg) -> Typed<Option<Bytes>> {
    Typed::new(Command::new("LPOP").arg(key))
}

/// `LPOP`: takes up to `count` elements from the left; nothing where there is no list.
pub fn lpop_count(key: impl Arg, count: usize) -> Typed<Option<Vec<Bytes>>> {
    Typed::new(Command::new("LPOP").arg(key).arg(count))
}

/// `RPOP`: takes the last element.
pub fn rpop(key: impl Arg) -> Typed<Option<Bytes>> {
    Typed::new(Command::new("RPOP").arg(key))
}

/// `RPOP`: takes up to `count` elements from the right; nothing where there is no list.
pub fn rpop_count(key: impl Arg, count: usize) -> Typed<Option<Vec<Bytes>>> {
    Typed::new(Command::new("RPOP").arg(key).arg(count))
}

/// `LLEN`: how many elements there are.
pub fn llen(key: impl Arg) -> Typed<usize> {
    Typed::new(Command::new("LLEN").arg(key).read_only())
}

/// `LRANGE`: the elements from `start` to `end`, both included; negative ones count from the end.
pub fn lrange(key: impl Arg, start: i64, end: i64) -> Typed<Vec<Bytes>> {
    Typed::new(Command::new("LRANGE").arg(key).arg(start).arg(end).read_only())
}

/// `LTRIM`: keeps only the elements from `start` to `end`.
pub fn ltrim(key: impl Arg, start: i64, end: i64) -> Typed<()> {
    Typed::new(Command::new("LTRIM").arg(key).arg(start).arg(end))
}

/// `LINDEX`: one element.
pub fn lindex(key: impl Arg, index: i64) -> Typed<Option<Bytes>> {
    Typed::new(Command::new("LINDEX").arg(key).arg(index).read_only())
}

/// `LSET`: replaces one element; an error if there is none.
pub fn lset(key: impl Arg, index: i64, element: impl Arg) -> Typed<()> {
    Typed::new(Command::new("LSET").arg(key).arg(index).arg(element))
}

/// `LREM`: removes up to `count` equal elements, from the right if negative, all if 0; how many.
pub fn lrem(key: impl Arg, count: i64, element: impl Arg) -> Typed<usize> {
    Typed::new(Command::new("LREM").arg(key).arg(count).arg(element))
}

/// `LINSERT` `... BEFORE`: the new length; 0 for no list, -1 for no such pivot.
pub fn linsert_before(key: impl Arg, pivot: impl Arg, element: impl Arg) -> Typed<i64> {
    Typed::new(Command::new("LINSERT").arg(key).arg("BEFORE").arg(pivot).arg(element))
}

/// `LINSERT` `... AFTER`: the new length; 0 for no list, -1 for no such pivot.
pub fn linsert_after(key: impl Arg, pivot: impl Arg, element: impl Arg) -> Typed<i64> {
    Typed::new(Command::new("LINSERT").arg(key).arg("AFTER").arg(pivot).arg(element))
}

/// `LPOS`: where the first equal element is.
pub fn lpos(key: impl Arg, element: impl Arg) -> Typed<Option<u64>> {
    Typed::new(Command::new("LPOS").arg(key).arg(element).read_only())
}

/// `LPOS`: where up to `count` equal elements are; 0 means all.
pub fn lpos_all(key: impl Arg, element: impl Arg, count: u64) -> Typed<Vec<u64>> {
    Typed::new(Command::new("LPOS").arg(key).arg(element).arg("COUNT").arg(count).read_only())
}

/// `LMOVE`: moves one element from list to list.
pub fn lmove(from: impl Arg, to: impl Arg, take: End, put: End) -> Typed<Option<Bytes>> {
    Typed::new(Command::new("LMOVE").arg(from).arg(to).arg(take).arg(put))
}

/// `LMPOP`: takes up to `count` elements from the first list that has any: its name and they.
pub fn lmpop(
    keys: impl IntoIterator<Item = impl Arg, IntoIter: ExactSizeIterator>,
    end: End,
    count: u64,
) -> Typed<Option<(Bytes, Vec<Bytes>)>> {
    Typed::new(Command::new("LMPOP").counted(keys).arg(end).arg("COUNT").arg(count))
}

/// `RPOPLPUSH`: moves the last element of one list to the front of another.
pub fn rpoplpush(from: impl Arg, to: impl Arg) -> Typed<Option<Bytes>> {
    Typed::new(Command::new("RPOPLPUSH").arg(from).arg(to))
}

/// `BLPOP`: takes the first element of the first list that has one, or waits; `None` waits for ever.
pub fn blpop(
    keys: impl IntoIterator<Item = impl Arg>,
    timeout: Option<Duration>,
) -> Typed<Option<(Bytes, Bytes)>> {
    Typed::new(Command::new("BLPOP").args(keys).wait(timeout))
}

/// `BRPOP`: takes the last element of the first list that has one, or waits; `None` waits for ever.
pub fn brpop(
    keys: impl IntoIterator<Item = impl Arg>,
    timeout: Option<Duration>,
) -> Typed<Option<(Bytes, Bytes)>> {
    Typed::new(Command::new("BRPOP").args(keys).wait(timeout))
}

/// `BRPOPLPUSH`: as [`rpoplpush`], or waits.
pub fn brpoplpush(from: impl Arg, to: impl Arg, timeout: Option<Duration>) -> Typed<Option<Bytes>> {
    Typed::new(Command::new("BRPOPLPUSH").arg(from).arg(to).wait(timeout))
}

/// `BLMOVE`: as [`lmove`], or waits.
pub fn blmove(
    from: impl Arg,
    to: impl Arg,
    take: End,
    put: End,
    timeout: Option<Duration>,
) -> Typed<Option<Bytes>> {
    Typed::new(Command::new("BLMOVE").arg(from).arg(to).arg(take).arg(put).wait(timeout))
}

/// `BLMPOP`: as [`lmpop`], or waits.
pub fn blmpop(
    timeout: Option<Duration>,
    keys: impl IntoIterator<Item = impl Arg, IntoIter: ExactSizeIterator>,
    end: End,
    count: u64,
) -> Typed<Option<(Bytes, Vec<Bytes>)>> {
    Typed::new(Command::new("BLMPOP").wait(timeout).counted(keys).arg(end).arg("COUNT").arg(count))
}
