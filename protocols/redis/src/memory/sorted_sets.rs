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

fn by_rank(db: &Db<'_>, args: Args<'_>, reverse: bool) -> Answer {
    let (start, end) = (args.int(2)?, args.int(3)?);
    let scores = match args.len() {
        4 => false,
        5 if args.is(4, "WITHSCORES") => true,
        _ => return Err(Refusal::SYNTAX),
    };
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

pub(super) fn zrange(db: &mut Db<'_>, args: Args<'_>) -> Answer {
    by_rank(db, args, false)
}

pub(super) fn zrevrange(db: &mut Db<'_>, args: Args<'_>) -> Answer {
    by_rank(db, args, true)
}

/// Scores between two bounds, each of which may be left out itself.
struct Bounds {
    min: (f64, bool),
    max: (f64, bool),
}

impl Bounds {
    fn read(args: Args<'_>, min: usize, max: usize) -> Result<Self, Refusal> {
        let bound = |at: usize| {
            let text = args.get(at);
            let open = text.strip_prefix(b"(");
            parse_float(open.unwrap_or(text)).map(|score| (score, open.is_some())).ok_or(NOT_A_BOUND)
        };
        Ok(Self { min: bound(min)?, max: bound(max)? })
    }

    fn contains(&self, score: f64) -> bool {
        let above = if self.min.1 { score > self.min.0 } else { score >= self.min.0 };
        let below = if self.max.1 { score < self.max.0 } else { score <= self.max.0 };
        above && below
    }
}

fn by_score(db: &Db<'_>, args: Args<'_>, reverse: bool) -> Answer {
    let bounds = if reverse { Bounds::read(args, 3, 2)? } else { Bounds::read(args, 2, 3)? };
    let (mut scores, mut limit) = (false, (0, usize::MAX));
    let mut at = 4;
    while at < args.len() {
        if args.is(at, "WITHSCORES") {
            scores = true;
            at += 1;
        } else if args.is(at, "LIMIT") && at + 2 < args.len() {
            // A negative offset finds nothing, a negative count has no end.
            let (offset, count) = (args.int(at + 1)?, args.int(at + 2)?);
            limit =
                (usize::try_from(offset).unwrap_or(usize::MAX), usize::try_from(count).unwrap_or(usize::MAX));
            at += 3;
        } else {
            return Err(Refusal::SYNTAX);
        }
    }
    let Some(set) = db.data.view::<SortedSet>(args.get(1))? else { return Ok(Value::Array(Vec::new())) };
    let wanted = |(_, score): &(&Bytes, f64)| bounds.contains(*score);
    let owned = |(member, score): (&Bytes, f64)| (member.clone(), score);
    let found = if reverse {
        set.iter().rev().filter(wanted).skip(limit.0).take(limit.1).map(owned).collect()
    } else {
        set.iter().filter(wanted).skip(limit.0).take(limit.1).map(owned).collect()
    };
    Ok(members(db, found, scores))
}

pub(super) fn zrangebyscore(db: &mut Db<'_>, args: Args<'_>) -> Answer {
    by_score(db, args, false)
}

pub(super) fn zrevrangebyscore(db: &mut Db<'_>, args: Args<'_>) -> Answer {
    by_score(db, args, true)
}

pub(super) fn zcount(db: &mut Db<'_>, args: Args<'_>) -> Answer {
    let bounds = Bounds::read(args, 2, 3)?;
    let set = db.data.view::<SortedSet>(args.get(1))?;
    let count = set.map_or(0, |set| set.iter().filter(|(_, score)| bounds.contains(*score)).count());
    Ok(Value::Integer(count as i64))
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
    let bounds = Bounds::read(args, 2, 3)?;
    remove(db, args.get(1), |set| {
        set.iter().filter(|(_, score)| bounds.contains(*score)).map(|(member, _)| member.clone()).collect()
    })
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
