//! Sorted sets.

use alloc::vec;
use alloc::vec::Vec;

use bytes::Bytes;

use super::Db;
use super::args::{Args, parse_float};
use super::keys::Scan;
use super::refusal::{Answer, Refusal};
use super::sorted_set::SortedSet;
use super::strings::range;
use crate::wire::Value;

const NOT_A_BOUND: Refusal = Refusal::of("ERR min or max is not a float");

pub(super) fn zadd(db: &mut Db<'_>, args: Args<'_>) -> Answer {
    let (mut exists, mut better, mut counts_changes, mut adds) = (None, None, false, false);
    let mut at = 2;
    loop {
        match () {
            () if args.is(at, "NX") => exists = Some(false),
            () if args.is(at, "XX") => exists = Some(true),
            () if args.is(at, "GT") => better = Some(true),
            () if args.is(at, "LT") => better = Some(false),
            () if args.is(at, "CH") => counts_changes = true,
            () if args.is(at, "INCR") => adds = true,
            () => break,
        }
        at += 1;
    }
    let pairs = args.len().saturating_sub(at);
    if pairs == 0 || !pairs.is_multiple_of(2) {
        return Err(Refusal::SYNTAX);
    }
    if adds && pairs > 2 {
        return Err(Refusal::of("ERR INCR option supports a single increment-element pair"));
    }
    if exists == Some(false) && better.is_some() {
        return Err(Refusal::of("ERR GT, LT, and/or NX options at the same time are not compatible"));
    }
    let scores: Vec<f64> = (at..args.len()).step_by(2).map(|at| args.float(at)).collect::<Result<_, _>>()?;
    if exists == Some(true) && db.data.view::<SortedSet>(args.get(1))?.is_none() {
        return Ok(if adds { Value::Null } else { Value::Integer(0) });
    }
    let (mut added, mut changed, mut result) = (0, 0, Ok(None));
    db.data.edit_or_new::<SortedSet, _>(args.get(1), |set| {
        for (index, score) in scores.into_iter().enumerate() {
            let member = args.get(at + index * 2 + 1);
            let before = set.score(member);
            let score = if adds { before.unwrap_or(0.0) + score } else { score };
            if score.is_nan() {
                result = Err(Refusal::of("ERR resulting score is not a number (NaN)"));
                break;
            }
            let refused = exists.is_some_and(|exists| exists != before.is_some())
                || before.is_some_and(|before| match better {
                    Some(true) => score <= before,
                    Some(false) => score >= before,
                    None => false,
                });
            if refused {
                continue;
            }
            set.insert(member, score);
            added += i64::from(before.is_none());
            let differs = before != Some(score);
            changed += i64::from(differs);
            result = Ok(Some(score));
        }
        (changed > 0, ())
    })?;
    let score = result?;
    Ok(match (adds, counts_changes) {
        (true, _) => score.map_or(Value::Null, Value::Double),
        (false, true) => Value::Integer(changed),
        (false, false) => Value::Integer(added),
    })
}

pub(super) fn zincrby(db: &mut Db<'_>, args: Args<'_>) -> Answer {
    let by = args.float(2)?;
    let score = db.data.edit_or_new::<SortedSet, _>(args.get(1), |set| {
        let score = set.score(args.get(3)).unwrap_or(0.0) + by;
        if !score.is_nan() {
            set.insert(args.get(3), score);
        }
        (true, score)
    })?;
    if score.is_nan() {
        return Err(Refusal::of("ERR resulting score is not a number (NaN)"));
    }
    Ok(Value::Double(score))
}

pub(super) fn zrem(db: &mut Db<'_>, args: Args<'_>) -> Answer {
    let removed = db.data.edit::<SortedSet, _>(args.get(1), |set| {
        let removed = args.from(2).filter(|member| set.remove(member).is_some()).count();
        (removed > 0, removed)
    })?;
    Ok(Value::Integer(removed.unwrap_or(0) as i64))
}

pub(super) fn zcard(db: &mut Db<'_>, args: Args<'_>) -> Answer {
    Ok(Value::Integer(db.data.view::<SortedSet>(args.get(1))?.map_or(0, SortedSet::len) as i64))
}

pub(super) fn zscore(db: &mut Db<'_>, args: Args<'_>) -> Answer {
    let set = db.data.view::<SortedSet>(args.get(1))?;
    Ok(set.and_then(|set| set.score(args.get(2))).map_or(Value::Null, Value::Double))
}

pub(super) fn zmscore(db: &mut Db<'_>, args: Args<'_>) -> Answer {
    let set = db.data.view::<SortedSet>(args.get(1))?;
    let score = |member| set.and_then(|set| set.score(member)).map_or(Value::Null, Value::Double);
    Ok(Value::Array(args.from(2).map(score).collect()))
}

fn rank(db: &Db<'_>, args: Args<'_>, reverse: bool) -> Answer {
    let Some(set) = db.data.view::<SortedSet>(args.get(1))? else { return Ok(Value::Null) };
    let rank = set.rank(args.get(2)).map(|rank| if reverse { set.len() - 1 - rank } else { rank });
    Ok(rank.map_or(Value::Null, |rank| Value::Integer(rank as i64)))
}

pub(super) fn zrank(db: &mut Db<'_>, args: Args<'_>) -> Answer {
    rank(db, args, false)
}

pub(super) fn zrevrank(db: &mut Db<'_>, args: Args<'_>) -> Answer {
    rank(db, args, true)
}

/// Members, and their scores if wanted: pairs in RESP3, one flat list in RESP2.
fn members(db: &Db<'_>, found: Vec<(Bytes, f64)>, scores: bool) -> Value {
    let mut values = Vec::new();
    for (member, score) in found {
        match (scores, db.resp3) {
            (false, _) => values.push(Value::Bulk(member)),
            (true, true) => values.push(Value::Array(vec![Value::Bulk(member), Value::Double(score)])),
            (true, false) => values.extend([Value::Bulk(member), Value::Double(score)]),
        }
    }
    Value::Array(values)
}

fn by_rank(db: &Db<'_>, args: Args<'_>, reverse: bool, scores: bool) -> Answer {
    let (start, end) = (args.int(2)?, args.int(3)?);
    let Some(set) = db.data.view::<SortedSet>(args.get(1))? else { return Ok(Value::Array(Vec::new())) };
    let range = range(set.len(), start, end);
    let owned = |(member, score): (&Bytes, f64)| (member.clone(), score);
    let found = if reverse {
        set.iter().rev().skip(range.start).take(range.len()).map(owned).collect()
    } else {
        set.iter().skip(range.start).take(range.len()).map(owned).collect()
    };
    Ok(members(db, found, scores))
}

/// `ZRANGE` and what it has taken over from the older commands.
pub(super) fn zrange(db: &mut Db<'_>, args: Args<'_>) -> Answer {
    let (mut by_score, mut by_member, mut reverse) = (false, false, false);
    let mut options = Options::default();
    let mut at = 4;
    while at < args.len() {
        match () {
            () if args.is(at, "BYSCORE") => by_score = true,
            () if args.is(at, "BYLEX") => by_member = true,
            () if args.is(at, "REV") => reverse = true,
            () => at += options.read(args, at)? - 1,
        }
        at += 1;
    }
    let (min, max) = if reverse { (3, 2) } else { (2, 3) };
    match (by_score, by_member) {
        (true, true) => Err(Refusal::SYNTAX),
        (true, false) => between(db, args, &Bounds::scores(args, min, max)?, reverse, options),
        (false, true) if options.scores => {
            Err(Refusal::of("ERR syntax error, WITHSCORES not supported in combination with BYLEX"))
        }
        (false, true) => between(db, args, &Bounds::members(args, min, max)?, reverse, options),
        (false, false) if options.limit.is_some() => Err(Refusal::of(
            "ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX",
        )),
        (false, false) => by_rank(db, args, reverse, options.scores),
    }
}

pub(super) fn zrevrange(db: &mut Db<'_>, args: Args<'_>) -> Answer {
    let scores = match args.len() {
        4 => false,
        5 if args.is(4, "WITHSCORES") => true,
        _ => return Err(Refusal::SYNTAX),
    };
    by_rank(db, args, true, scores)
}

/// Where a range ends.
enum Edge<T> {
    /// Before everything.
    Lowest,
    /// Behind everything.
    Highest,
    /// Here; false leaves out what is equal.
    At(T, bool),
}

impl<T: PartialOrd> Edge<T> {
    fn is_below(&self, value: &T) -> bool {
        match self {
            Self::Lowest => true,
            Self::Highest => false,
            Self::At(edge, included) => value > edge || (*included && value == edge),
        }
    }

    fn is_above(&self, value: &T) -> bool {
        match self {
            Self::Lowest => false,
            Self::Highest => true,
            Self::At(edge, included) => value < edge || (*included && value == edge),
        }
    }
}

/// What lies between two edges.
enum Bounds<'a> {
    Scores(Edge<f64>, Edge<f64>),
    Members(Edge<&'a [u8]>, Edge<&'a [u8]>),
}

impl<'a> Bounds<'a> {
    /// Scores, each of which may be left out itself: `(5`.
    fn scores(args: Args<'a>, min: usize, max: usize) -> Result<Self, Refusal> {
        let edge = |at: usize| {
            let text = args.get(at);
            let open = text.strip_prefix(b"(");
            parse_float(open.unwrap_or(text)).map(|score| Edge::At(score, open.is_none())).ok_or(NOT_A_BOUND)
        };
        Ok(Self::Scores(edge(min)?, edge(max)?))
    }

    /// Members: `[a`, `(a`, `-`, `+`.
    fn members(args: Args<'a>, min: usize, max: usize) -> Result<Self, Refusal> {
        let edge = |at: usize| match args.get(at) {
            b"-" => Ok(Edge::Lowest),
            b"+" => Ok(Edge::Highest),
            [b'[', member @ ..] => Ok(Edge::At(member, true)),
            [b'(', member @ ..] => Ok(Edge::At(member, false)),
            _ => Err(Refusal::of("ERR min or max not valid string range item")),
        };
        Ok(Self::Members(edge(min)?, edge(max)?))
    }

    fn contains(&self, member: &[u8], score: f64) -> bool {
        match self {
            Self::Scores(min, max) => min.is_below(&score) && max.is_above(&score),
            Self::Members(min, max) => min.is_below(&member) && max.is_above(&member),
        }
    }
}

/// What the commands that range may be given.
#[derive(Clone, Copy, Default)]
struct Options {
    scores: bool,
    limit: Option<(usize, usize)>,
}

impl Options {
    /// Reads the option at `at`; how many arguments it has.
    fn read(&mut self, args: Args<'_>, at: usize) -> Result<usize, Refusal> {
        if args.is(at, "WITHSCORES") {
            self.scores = true;
            return Ok(1);
        }
        if args.is(at, "LIMIT") && at + 2 < args.len() {
            // A negative offset finds nothing, a negative count has no end.
            let (offset, count) = (args.int(at + 1)?, args.int(at + 2)?);
            let number = |number: i64| usize::try_from(number).unwrap_or(usize::MAX);
            self.limit = Some((number(offset), number(count)));
            return Ok(3);
        }
        Err(Refusal::SYNTAX)
    }

    fn read_all(args: Args<'_>) -> Result<Self, Refusal> {
        let (mut options, mut at) = (Self::default(), 4);
        while at < args.len() {
            at += options.read(args, at)?;
        }
        Ok(options)
    }
}

fn between(db: &Db<'_>, args: Args<'_>, bounds: &Bounds<'_>, reverse: bool, options: Options) -> Answer {
    let Some(set) = db.data.view::<SortedSet>(args.get(1))? else { return Ok(Value::Array(Vec::new())) };
    let mut found: Vec<_> = inside(set, bounds).collect();
    if reverse {
        found.reverse();
    }
    let (skip, take) = options.limit.unwrap_or((0, usize::MAX));
    let found = found.into_iter().skip(skip).take(take).collect();
    Ok(members(db, found, options.scores))
}

/// The members between the bounds, in order.
fn inside(set: &SortedSet, bounds: &Bounds<'_>) -> impl Iterator<Item = (Bytes, f64)> {
    set.iter()
        .filter(|(member, score)| bounds.contains(member, *score))
        .map(|(member, score)| (member.clone(), score))
}

pub(super) fn zrangebyscore(db: &mut Db<'_>, args: Args<'_>) -> Answer {
    between(db, args, &Bounds::scores(args, 2, 3)?, false, Options::read_all(args)?)
}

pub(super) fn zrevrangebyscore(db: &mut Db<'_>, args: Args<'_>) -> Answer {
    between(db, args, &Bounds::scores(args, 3, 2)?, true, Options::read_all(args)?)
}

pub(super) fn zrangebylex(db: &mut Db<'_>, args: Args<'_>) -> Answer {
    between(db, args, &Bounds::members(args, 2, 3)?, false, Options::read_all(args)?)
}

pub(super) fn zrevrangebylex(db: &mut Db<'_>, args: Args<'_>) -> Answer {
    between(db, args, &Bounds::members(args, 3, 2)?, true, Options::read_all(args)?)
}

fn count(db: &Db<'_>, args: Args<'_>, bounds: &Bounds<'_>) -> Answer {
    let set = db.data.view::<SortedSet>(args.get(1))?;
    Ok(Value::Integer(set.map_or(0, |set| inside(set, bounds).count()) as i64))
}

pub(super) fn zcount(db: &mut Db<'_>, args: Args<'_>) -> Answer {
    count(db, args, &Bounds::scores(args, 2, 3)?)
}

pub(super) fn zlexcount(db: &mut Db<'_>, args: Args<'_>) -> Answer {
    count(db, args, &Bounds::members(args, 2, 3)?)
}

fn remove(db: &mut Db<'_>, key: &[u8], pick: impl FnOnce(&SortedSet) -> Vec<Bytes>) -> Answer {
    let removed = db.data.edit::<SortedSet, _>(key, |set| {
        let picked = pick(set);
        for member in &picked {
            set.remove(member);
        }
        (!picked.is_empty(), picked.len())
    })?;
    Ok(Value::Integer(removed.unwrap_or(0) as i64))
}

pub(super) fn zremrangebyrank(db: &mut Db<'_>, args: Args<'_>) -> Answer {
    let (start, end) = (args.int(2)?, args.int(3)?);
    remove(db, args.get(1), |set| {
        let range = range(set.len(), start, end);
        set.iter().skip(range.start).take(range.len()).map(|(member, _)| member.clone()).collect()
    })
}

pub(super) fn zremrangebyscore(db: &mut Db<'_>, args: Args<'_>) -> Answer {
    let bounds = Bounds::scores(args, 2, 3)?;
    remove(db, args.get(1), |set| inside(set, &bounds).map(|(member, _)| member).collect())
}

pub(super) fn zremrangebylex(db: &mut Db<'_>, args: Args<'_>) -> Answer {
    let bounds = Bounds::members(args, 2, 3)?;
    remove(db, args.get(1), |set| inside(set, &bounds).map(|(member, _)| member).collect())
}

fn pop(db: &mut Db<'_>, args: Args<'_>, max: bool) -> Answer {
    let count = if args.len() > 2 { args.count(2)? } else { 1 };
    let found = take(db, args.get(1), count, max)?;
    let pairs =
        found.into_iter().flat_map(|(member, score)| [Value::Bulk(member), Value::Double(score)]).collect();
    Ok(Value::Array(pairs))
}

fn take(db: &mut Db<'_>, key: &[u8], count: usize, max: bool) -> Result<Vec<(Bytes, f64)>, Refusal> {
    let found = db.data.edit::<SortedSet, _>(key, |set| {
        let owned = |(member, score): (&Bytes, f64)| (member.clone(), score);
        let found: Vec<_> = if max {
            set.iter().rev().take(count).map(owned).collect()
        } else {
            set.iter().take(count).map(owned).collect()
        };
        for (member, _) in &found {
            set.remove(member);
        }
        (!found.is_empty(), found)
    })?;
    Ok(found.unwrap_or_default())
}

pub(super) fn zpopmin(db: &mut Db<'_>, args: Args<'_>) -> Answer {
    pop(db, args, false)
}

pub(super) fn zpopmax(db: &mut Db<'_>, args: Args<'_>) -> Answer {
    pop(db, args, true)
}

fn pop_first(db: &mut Db<'_>, args: Args<'_>, max: bool) -> Result<Option<Value>, Refusal> {
    for at in 1..args.len() - 1 {
        if let Some((member, score)) = take(db, args.get(at), 1, max)?.pop() {
            return Ok(Some(Value::Array(vec![
                Value::Bulk(args.bytes(at)),
                Value::Bulk(member),
                Value::Double(score),
            ])));
        }
    }
    Ok(None)
}

pub(super) fn bzpopmin(db: &mut Db<'_>, args: Args<'_>) -> Result<Option<Value>, Refusal> {
    pop_first(db, args, false)
}

pub(super) fn bzpopmax(db: &mut Db<'_>, args: Args<'_>) -> Result<Option<Value>, Refusal> {
    pop_first(db, args, true)
}

pub(super) fn zscan(db: &mut Db<'_>, args: Args<'_>) -> Answer {
    let scan = Scan::read(args, 2)?;
    let empty = SortedSet::default();
    let set = db.data.view::<SortedSet>(args.get(1))?.unwrap_or(&empty);
    Ok(scan.batch(set.len(), set.iter(), |(member, score), values| {
        if scan.matches(member) {
            values.push(Value::Bulk(member.clone()));
            values.push(Value::bulk(crate::wire::number::format_f64(score)));
        }
    }))
}
