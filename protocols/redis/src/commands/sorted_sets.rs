//! Sorted sets.
//!
//! Bounds of scores are any [`Arg`]: a number, `"(5"` for one that is left out itself, `"-inf"`, `"+inf"`. Bounds of members
//! begin with `[` or `(`, or are `-` or `+`.

use alloc::vec::Vec;
use core::time::Duration;

use bytes::Bytes;

use super::{Options, ScanOptions, Scanned};
use crate::{Arg, Command, Typed};

/// What `ZADD` may be given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ZAddOptions {
    /// Only members that are there (`XX`: `Some(true)`) or are not (`NX`: `Some(false)`).
    pub if_exists: Option<bool>,
    /// Members that are there, only if the new score is greater (`GT`: `Some(true)`) or less (`LT`: `Some(false)`).
    pub if_greater: Option<bool>,
    /// Count the members whose score changed as well (`CH`).
    pub count_changed: bool,
}

impl Options for ZAddOptions {
    fn add_to(&self, command: Command) -> Command {
        command
            .word_if(self.if_exists == Some(true), "XX")
            .word_if(self.if_exists == Some(false), "NX")
            .word_if(self.if_greater == Some(true), "GT")
            .word_if(self.if_greater == Some(false), "LT")
            .word_if(self.count_changed, "CH")
    }
}

/// How a range of a sorted set is meant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RangeBy {
    /// By place.
    #[default]
    Rank,
    /// By score.
    Score,
    /// By member, where all scores are equal.
    Member,
}

/// What `ZRANGE` and `ZRANGESTORE` may be given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ZRangeOptions {
    /// What the bounds are.
    pub by: RangeBy,
    /// From the greatest to the least; the bounds are then given in that order, too.
    pub reverse: bool,
    /// Skip so many, and take so many; a negative number takes all. Not by rank.
    pub limit: Option<(u64, i64)>,
}

impl Options for ZRangeOptions {
    fn add_to(&self, command: Command) -> Command {
        let command = command
            .word_if(self.by == RangeBy::Score, "BYSCORE")
            .word_if(self.by == RangeBy::Member, "BYLEX")
            .word_if(self.reverse, "REV");
        limit(command, self.limit)
    }
}

/// How the scores of a member that is in several sets become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aggregation {
    /// Their sum.
    Sum,
    /// The least.
    Min,
    /// The greatest.
    Max,
}

impl Arg for Aggregation {
    fn push_to(self, command: &mut Command) {
        command.push_copied(match self {
            Self::Sum => b"SUM",
            Self::Min => b"MIN",
            Self::Max => b"MAX",
        });
    }
}

/// What the commands that put sorted sets together may be given.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ZStoreOptions {
    /// What the scores of each set are multiplied by; empty, or one for each.
    pub weights: Vec<f64>,
    /// How scores become one; their sum by default.
    pub aggregate: Option<Aggregation>,
}

impl Options for ZStoreOptions {
    fn add_to(&self, command: Command) -> Command {
        command
            .word_if(!self.weights.is_empty(), "WEIGHTS")
            .args(self.weights.iter().copied())
            .option("AGGREGATE", self.aggregate)
    }
}

/// Which end of a sorted set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extreme {
    /// The least score.
    Min,
    /// The greatest score.
    Max,
}

impl Arg for Extreme {
    fn push_to(self, command: &mut Command) {
        command.push_copied(match self {
            Self::Min => b"MIN",
            Self::Max => b"MAX",
        });
    }
}

/// A key, and the members and scores that were taken from it.
pub type Popped = (Bytes, Vec<(Bytes, f64)>);

fn limit(command: Command, limit: Option<(u64, i64)>) -> Command {
    match limit {
        Some((offset, count)) => command.arg("LIMIT").arg(offset).arg(count),
        None => command,
    }
}

/// `ZADD`: pairs of score and member; how many are new.
pub fn zadd(key: impl Arg, scored_members: impl IntoIterator<Item = (impl Arg, impl Arg)>) -> Typed<u64> {
    Typed::new(Command::new("ZADD").arg(key).pairs(scored_members))
}

/// `ZADD` with options: how many are new, or have changed.
pub fn zadd_with(
    key: impl Arg,
    options: &ZAddOptions,
    scored_members: impl IntoIterator<Item = (impl Arg, impl Arg)>,
) -> Typed<u64> {
    Typed::new(Command::new("ZADD").arg(key).with(options).pairs(scored_members))
}

/// `ZADD` `... INCR`: the new score; nothing where the options forbade it.
pub fn zadd_incr(key: impl Arg, options: &ZAddOptions, by: f64, member: impl Arg) -> Typed<Option<f64>> {
    Typed::new(Command::new("ZADD").arg(key).with(options).arg("INCR").arg(by).arg(member))
}

/// `ZINCRBY`: the new score.
pub fn zincrby(key: impl Arg, by: f64, member: impl Arg) -> Typed<f64> {
    Typed::new(Command::new("ZINCRBY").arg(key).arg(by).arg(member))
}

/// `ZREM`: how many there were.
pub fn zrem(key: impl Arg, members: impl IntoIterator<Item = impl Arg>) -> Typed<u64> {
    Typed::new(Command::new("ZREM").arg(key).args(members))
}

/// `ZCARD`: how many members there are.
pub fn zcard(key: impl Arg) -> Typed<usize> {
    Typed::new(Command::new("ZCARD").arg(key).read_only())
}

/// `ZSCORE`: its score.
pub fn zscore(key: impl Arg, member: impl Arg) -> Typed<Option<f64>> {
    Typed::new(Command::new("ZSCORE").arg(key).arg(member).read_only())
}

/// `ZMSCORE`: the score of each.
pub fn zmscore(key: impl Arg, members: impl IntoIterator<Item = impl Arg>) -> Typed<Vec<Option<f64>>> {
    Typed::new(Command::new("ZMSCORE").arg(key).args(members).read_only())
}

/// `ZRANK`: its place, the least score being 0.
pub fn zrank(key: impl Arg, member: impl Arg) -> Typed<Option<u64>> {
    Typed::new(Command::new("ZRANK").arg(key).arg(member).read_only())
}

/// `ZREVRANK`: its place, the greatest score being 0.
pub fn zrevrank(key: impl Arg, member: impl Arg) -> Typed<Option<u64>> {
    Typed::new(Command::new("ZREVRANK").arg(key).arg(member).read_only())
}

/// `ZRANK` `... WITHSCORE` (Redis 7.2): its place and score.
pub fn zrank_withscore(key: impl Arg, member: impl Arg) -> Typed<Option<(u64, f64)>> {
    Typed::new(Command::new("ZRANK").arg(key).arg(member).arg("WITHSCORE").read_only())
}

/// `ZREVRANK` `... WITHSCORE` (Redis 7.2): its place from the end, and score.
pub fn zrevrank_withscore(key: impl Arg, member: impl Arg) -> Typed<Option<(u64, f64)>> {
    Typed::new(Command::new("ZREVRANK").arg(key).arg(member).arg("WITHSCORE").read_only())
}

/// `ZCOUNT`: how many scores lie between the bounds.
pub fn zcount(key: impl Arg, min: impl Arg, max: impl Arg) -> Typed<usize> {
    Typed::new(Command::new("ZCOUNT").arg(key).arg(min).arg(max).read_only())
}

/// `ZLEXCOUNT`: how many members lie between the bounds.
pub fn zlexcount(key: impl Arg, min: impl Arg, max: impl Arg) -> Typed<usize> {
    Typed::new(Command::new("ZLEXCOUNT").arg(key).arg(min).arg(max).read_only())
}

/// `ZRANGE`: the members from place `start` to `end`, both included.
pub fn zrange(key: impl Arg, start: i64, end: i64) -> Typed<Vec<Bytes>> {
    Typed::new(Command::new("ZRANGE").arg(key).arg(start).arg(end).read_only())
}

/// `ZRANGE` `... WITHSCORES`: members and scores.
pub fn zrange_withscores(key: impl Arg, start: i64, end: i64) -> Typed<Vec<(Bytes, f64)>> {
    Typed::new(Command::new("ZRANGE").arg(key).arg(start).arg(end).arg("WITHSCORES").read_only())
}

/// `ZRANGE` with options: the members between the bounds.
pub fn zrange_with(
    key: impl Arg,
    start: impl Arg,
    end: impl Arg,
    options: &ZRangeOptions,
) -> Typed<Vec<Bytes>> {
    Typed::new(Command::new("ZRANGE").arg(key).arg(start).arg(end).with(options).read_only())
}

/// `ZRANGE` with options, `WITHSCORES`: members and scores between the bounds.
pub fn zrange_with_withscores(
    key: impl Arg,
    start: impl Arg,
    end: impl Arg,
    options: &ZRangeOptions,
) -> Typed<Vec<(Bytes, f64)>> {
    Typed::new(
        Command::new("ZRANGE").arg(key).arg(start).arg(end).with(options).arg("WITHSCORES").read_only(),
    )
}

/// `ZRANGESTORE`: stores the members between the bounds; how many.
pub fn zrangestore(
    to: impl Arg,
    key: impl Arg,
    start: impl Arg,
    end: impl Arg,
    options: &ZRangeOptions,
) -> Typed<usize> {
    Typed::new(Command::new("ZRANGESTORE").arg(to).arg(key).arg(start).arg(end).with(options))
}

/// `ZREVRANGE`: the members from place `start` to `end`, counted from the greatest.
pub fn zrevrange(key: impl Arg, start: i64, end: i64) -> Typed<Vec<Bytes>> {
    Typed::new(Command::new("ZREVRANGE").arg(key).arg(start).arg(end).read_only())
}

/// `ZREVRANGE` `... WITHSCORES`: members and scores.
pub fn zrevrange_withscores(key: impl Arg, start: i64, end: i64) -> Typed<Vec<(Bytes, f64)>> {
    Typed::new(Command::new("ZREVRANGE").arg(key).arg(start).arg(end).arg("WITHSCORES").read_only())
}

/// `ZREMRANGEBYRANK`: removes by place; how many.
pub fn zremrangebyrank(key: impl Arg, start: i64, end: i64) -> Typed<u64> {
    Typed::new(Command::new("ZREMRANGEBYRANK").arg(key).arg(start).arg(end))
}

/// `ZREMRANGEBYSCORE`: removes by score; how many.
pub fn zremrangebyscore(key: impl Arg, min: impl Arg, max: impl Arg) -> Typed<u64> {
    Typed::new(Command::new("ZREMRANGEBYSCORE").arg(key).arg(min).arg(max))
}

/// `ZREMRANGEBYLEX`: removes by member; how many.
pub fn zremrangebylex(key: impl Arg, min: impl Arg, max: impl Arg) -> Typed<u64> {
    Typed::new(Command::new("ZREMRANGEBYLEX").arg(key).arg(min).arg(max))
}

/// `ZPOPMIN`: takes those with the least scores.
pub fn zpopmin(key: impl Arg, count: u64) -> Typed<Vec<(Bytes, f64)>> {
    Typed::new(Command::new("ZPOPMIN").arg(key).arg(count))
}

/// `ZPOPMAX`: takes those with the greatest scores.
pub fn zpopmax(key: impl Arg, count: u64) -> Typed<Vec<(Bytes, f64)>> {
    Typed::new(Command::new("ZPOPMAX").arg(key).arg(count))
}

/// `BZPOPMIN`: takes the least of the first set that has one, or waits: key, member, score.
pub fn bzpopmin(
    keys: impl IntoIterator<Item = impl Arg>,
    timeout: Option<Duration>,
) -> Typed<Option<(Bytes, Bytes, f64)>> {
    Typed::new(Command::new("BZPOPMIN").args(keys).wait(timeout))
}

/// `BZPOPMAX`: takes the greatest of the first set that has one, or waits: key, member, score.
pub fn bzpopmax(
    keys: impl IntoIterator<Item = impl Arg>,
    timeout: Option<Duration>,
) -> Typed<Option<(Bytes, Bytes, f64)>> {
    Typed::new(Command::new("BZPOPMAX").args(keys).wait(timeout))
}

/// `ZMPOP`: takes up to `count` from the first set that has any: its name and they.
pub fn zmpop(
    keys: impl IntoIterator<Item = impl Arg, IntoIter: ExactSizeIterator>,
    extreme: Extreme,
    count: u64,
) -> Typed<Option<Popped>> {
    Typed::new(Command::new("ZMPOP").counted(keys).arg(extreme).arg("COUNT").arg(count))
}

/// `BZMPOP`: as [`zmpop`], or waits.
pub fn bzmpop(
    timeout: Option<Duration>,
    keys: impl IntoIterator<Item = impl Arg, IntoIter: ExactSizeIterator>,
    extreme: Extreme,
    count: u64,
) -> Typed<Option<Popped>> {
    Typed::new(Command::new("BZMPOP").wait(timeout).counted(keys).arg(extreme).arg("COUNT").arg(count))
}

/// `ZRANDMEMBER`: any member.
pub fn zrandmember(key: impl Arg) -> Typed<Option<Bytes>> {
    Typed::new(Command::new("ZRANDMEMBER").arg(key).read_only())
}

/// `ZRANDMEMBER` with a count: any members, the same one more than once only if negative.
pub fn zrandmember_count(key: impl Arg, count: i64) -> Typed<Vec<Bytes>> {
    Typed::new(Command::new("ZRANDMEMBER").arg(key).arg(count).read_only())
}

/// `ZRANDMEMBER` `... WITHSCORES`: any members and their scores.
pub fn zrandmember_withscores(key: impl Arg, count: i64) -> Typed<Vec<(Bytes, f64)>> {
    Typed::new(Command::new("ZRANDMEMBER").arg(key).arg(count).arg("WITHSCORES").read_only())
}

/// `ZUNION`: what is in any of them.
pub fn zunion(
    keys: impl IntoIterator<Item = impl Arg, IntoIter: ExactSizeIterator>,
    options: &ZStoreOptions,
) -> Typed<Vec<Bytes>> {
    Typed::new(Command::new("ZUNION").counted(keys).with(options).read_only())
}

/// `ZUNION` `... WITHSCORES`: what is in any of them, and the scores.
pub fn zunion_withscores(
    keys: impl IntoIterator<Item = impl Arg, IntoIter: ExactSizeIterator>,
    options: &ZStoreOptions,
) -> Typed<Vec<(Bytes, f64)>> {
    Typed::new(Command::new("ZUNION").counted(keys).with(options).arg("WITHSCORES").read_only())
}

/// `ZUNIONSTORE`: stores what is in any of them; how many.
pub fn zunionstore(
    to: impl Arg,
    keys: impl IntoIterator<Item = impl Arg, IntoIter: ExactSizeIterator>,
    options: &ZStoreOptions,
) -> Typed<usize> {
    Typed::new(Command::new("ZUNIONSTORE").arg(to).counted(keys).with(options))
}

/// `ZINTER`: what is in all of them.
pub fn zinter(
    keys: impl IntoIterator<Item = impl Arg, IntoIter: ExactSizeIterator>,
    options: &ZStoreOptions,
) -> Typed<Vec<Bytes>> {
    Typed::new(Command::new("ZINTER").counted(keys).with(options).read_only())
}

/// `ZINTER` `... WITHSCORES`: what is in all of them, and the scores.
pub fn zinter_withscores(
    keys: impl IntoIterator<Item = impl Arg, IntoIter: ExactSizeIterator>,
    options: &ZStoreOptions,
) -> Typed<Vec<(Bytes, f64)>> {
    Typed::new(Command::new("ZINTER").counted(keys).with(options).arg("WITHSCORES").read_only())
}

/// `ZINTERSTORE`: stores what is in all of them; how many.
pub fn zinterstore(
    to: impl Arg,
    keys: impl IntoIterator<Item = impl Arg, IntoIter: ExactSizeIterator>,
    options: &ZStoreOptions,
) -> Typed<usize> {
    Typed::new(Command::new("ZINTERSTORE").arg(to).counted(keys).with(options))
}

/// `ZINTERCARD`: how many are in all of them, up to the limit.
pub fn zintercard(
    keys: impl IntoIterator<Item = impl Arg, IntoIter: ExactSizeIterator>,
    limit: Option<u64>,
) -> Typed<usize> {
    Typed::new(Command::new("ZINTERCARD").counted(keys).option("LIMIT", limit).read_only())
}

/// `ZDIFF`: what is in the first and in no other.
pub fn zdiff(keys: impl IntoIterator<Item = impl Arg, IntoIter: ExactSizeIterator>) -> Typed<Vec<Bytes>> {
    Typed::new(Command::new("ZDIFF").counted(keys).read_only())
}

/// `ZDIFF` `... WITHSCORES`: what is in the first and in no other, and the scores.
pub fn zdiff_withscores(
    keys: impl IntoIterator<Item = impl Arg, IntoIter: ExactSizeIterator>,
) -> Typed<Vec<(Bytes, f64)>> {
    Typed::new(Command::new("ZDIFF").counted(keys).arg("WITHSCORES").read_only())
}

/// `ZDIFFSTORE`: stores what is in the first and in no other; how many.
pub fn zdiffstore(
    to: impl Arg,
    keys: impl IntoIterator<Item = impl Arg, IntoIter: ExactSizeIterator>,
) -> Typed<usize> {
    Typed::new(Command::new("ZDIFFSTORE").arg(to).counted(keys))
}

/// `ZSCAN`: one batch of members and scores. Start with cursor 0, end when it comes back as 0.
pub fn zscan(key: impl Arg, cursor: u64, options: &ScanOptions) -> Typed<Scanned<(Bytes, f64)>> {
    Typed::new(Command::new("ZSCAN").arg(key).arg(cursor).with(options).read_only())
}

/// `ZRANGEBYSCORE`: the members whose scores lie between the bounds; skip so many, and take so many.
pub fn zrangebyscore(
    key: impl Arg,
    min: impl Arg,
    max: impl Arg,
    skip_take: Option<(u64, i64)>,
) -> Typed<Vec<Bytes>> {
    let command = Command::new("ZRANGEBYSCORE").arg(key).arg(min).arg(max);
    Typed::new(limit(command, skip_take).read_only())
}

/// `ZRANGEBYSCORE ... WITHSCORES`: members and scores.
pub fn zrangebyscore_withscores(
    key: impl Arg,
    min: impl Arg,
    max: impl Arg,
    skip_take: Option<(u64, i64)>,
) -> Typed<Vec<(Bytes, f64)>> {
    let command = Command::new("ZRANGEBYSCORE").arg(key).arg(min).arg(max).arg("WITHSCORES");
    Typed::new(limit(command, skip_take).read_only())
}

/// `ZREVRANGEBYSCORE`: as [`zrangebyscore`], from the greatest to the least; the greater bound comes first.
pub fn zrevrangebyscore(
    key: impl Arg,
    max: impl Arg,
    min: impl Arg,
    skip_take: Option<(u64, i64)>,
) -> Typed<Vec<Bytes>> {
    let command = Command::new("ZREVRANGEBYSCORE").arg(key).arg(max).arg(min);
    Typed::new(limit(command, skip_take).read_only())
}

/// `ZREVRANGEBYSCORE ... WITHSCORES`: members and scores, from the greatest to the least.
pub fn zrevrangebyscore_withscores(
    key: impl Arg,
    max: impl Arg,
    min: impl Arg,
    skip_take: Option<(u64, i64)>,
) -> Typed<Vec<(Bytes, f64)>> {
    let command = Command::new("ZREVRANGEBYSCORE").arg(key).arg(max).arg(min).arg("WITHSCORES");
    Typed::new(limit(command, skip_take).read_only())
}

/// `ZRANGEBYLEX`: the members between the bounds, where all scores are equal.
pub fn zrangebylex(
    key: impl Arg,
    min: impl Arg,
    max: impl Arg,
    skip_take: Option<(u64, i64)>,
) -> Typed<Vec<Bytes>> {
    let command = Command::new("ZRANGEBYLEX").arg(key).arg(min).arg(max);
    Typed::new(limit(command, skip_take).read_only())
}

/// `ZREVRANGEBYLEX`: as [`zrangebylex`], backwards; the greater bound comes first.
pub fn zrevrangebylex(
    key: impl Arg,
    max: impl Arg,
    min: impl Arg,
    skip_take: Option<(u64, i64)>,
) -> Typed<Vec<Bytes>> {
    let command = Command::new("ZREVRANGEBYLEX").arg(key).arg(max).arg(min);
    Typed::new(limit(command, skip_take).read_only())
}
