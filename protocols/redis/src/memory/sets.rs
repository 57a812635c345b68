//! Sets.

use alloc::vec::Vec;

use bytes::Bytes;

use super::Db;
use super::args::Args;
use super::database::{Set, Stored};
use super::keys::Scan;
use super::refusal::{Answer, Refusal};
use super::strings::or_null;
use crate::wire::Value;

fn members(set: Set) -> Value {
    Value::Set(set.into_iter().map(Value::Bulk).collect())
}

fn set_of(db: &Db<'_>, key: &[u8]) -> Result<Set, Refusal> {
    Ok(db.data.view::<Set>(key)?.cloned().unwrap_or_default())
}

pub(super) fn sadd(db: &mut Db<'_>, args: Args<'_>) -> Answer {
    let added = db.data.edit_or_new::<Set, _>(args.get(1), |set| {
        let added = (2..args.len()).filter(|at| set.insert(args.bytes(*at))).count();
        (added > 0, added)
    })?;
    Ok(Value::Integer(added as i64))
}

pub(super) fn srem(db: &mut Db<'_>, args: Args<'_>) -> Answer {
    let removed = db.data.edit::<Set, _>(args.get(1), |set| {
        let removed = args.from(2).filter(|member| set.remove(*member)).count();
        (removed > 0, removed)
    })?;
    Ok(Value::Integer(removed.unwrap_or(0) as i64))
}

pub(super) fn smembers(db: &mut Db<'_>, args: Args<'_>) -> Answer {
    Ok(members(set_of(db, args.get(1))?))
}

pub(super) fn scard(db: &mut Db<'_>, args: Args<'_>) -> Answer {
    Ok(Value::Integer(db.data.view::<Set>(args.get(1))?.map_or(0, Set::len) as i64))
}

pub(super) fn sismember(db: &mut Db<'_>, args: Args<'_>) -> Answer {
    let set = db.data.view::<Set>(args.get(1))?;
    Ok(Value::Integer(i64::from(set.is_some_and(|set| set.contains(args.get(2))))))
}

pub(super) fn smismember(db: &mut Db<'_>, args: Args<'_>) -> Answer {
    let set = db.data.view::<Set>(args.get(1))?;
    let has = |member| Value::Integer(i64::from(set.is_some_and(|set| set.contains(member))));
    Ok(Value::Array(args.from(2).map(has).collect()))
}

pub(super) fn smove(db: &mut Db<'_>, args: Args<'_>) -> Answer {
    let (from, to, member) = (args.get(1), args.get(2), args.get(3));
    let Some(source) = db.data.view::<Set>(from)? else { return Ok(Value::Integer(0)) };
    let there = source.contains(member);
    db.data.view::<Set>(to)?;
    if there && from != to {
        db.data.edit::<Set, _>(from, |set| (set.remove(member), ()))?;
        db.data.edit_or_new::<Set, _>(to, |set| (set.insert(args.bytes(3)), ()))?;
    }
    Ok(Value::Integer(i64::from(there)))
}

/// A member at random, and of a set that is walked to it.
fn random(db: &mut Db<'_>, set: &Set) -> Option<Bytes> {
    if set.is_empty() {
        return None;
    }
    set.iter().nth(db.rng.below(set.len() as u64) as usize).cloned()
}

pub(super) fn spop(db: &mut Db<'_>, args: Args<'_>) -> Answer {
    let key = args.get(1);
    let mut set = set_of(db, key)?;
    let count = if args.len() > 2 { args.count(2)? } else { 1 };
    let mut taken = Set::new();
    while taken.len() < count {
        let Some(member) = random(db, &set) else { break };
        set.remove(&member);
        taken.insert(member);
    }
    if !taken.is_empty() {
        db.data.edit::<Set, _>(key, |stored| {
            *stored = set;
            (true, ())
        })?;
    }
    Ok(if args.len() > 2 { members(taken) } else { or_null(taken.pop_first()) })
}

pub(super) fn srandmember(db: &mut Db<'_>, args: Args<'_>) -> Answer {
    let mut set = set_of(db, args.get(1))?;
    if args.len() == 2 {
        return Ok(or_null(random(db, &set)));
    }
    let count = args.int(2)?;
    let mut picked = Vec::new();
    let wanted = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
    if count < 0 && wanted > super::MAX_REPEATED_PICKS {
        return Err(Refusal::of("ERR value is out of range"));
    }
    while picked.len() < wanted {
        let Some(member) = random(db, &set) else { break };
        if count > 0 {
            set.remove(&member);
        }
        picked.push(Value::Bulk(member));
    }
    Ok(Value::Array(picked))
}

/// How sets are put together.
#[derive(Clone, Copy)]
enum Combine {
    Inter,
    Union,
    Diff,
}

fn combine(db: &Db<'_>, args: Args<'_>, from: usize, how: Combine) -> Result<Set, Refusal> {
    let mut keys = args.from(from);
    let mut result = set_of(db, keys.next().unwrap_or_default())?;
    for key in keys {
        let other = set_of(db, key)?;
        match how {
            Combine::Inter => result.retain(|member| other.contains(member)),
            Combine::Union => result.extend(other),
            Combine::Diff => result.retain(|member| !other.contains(member)),
        }
    }
    Ok(result)
}

fn combine_store(db: &mut Db<'_>, args: Args<'_>, how: Combine) -> Answer {
    let result = combine(db, args, 2, how)?;
    let len = result.len();
    db.data.put(args.get(1), Stored::Set(result));
    Ok(Value::Integer(len as i64))
}

pub(super) fn sinter(db: &mut Db<'_>, args: Args<'_>) -> Answer {
    combine(db, args, 1, Combine::Inter).map(members)
}

pub(super) fn sunion(db: &mut Db<'_>, args: Args<'_>) -> Answer {
    combine(db, args, 1, Combine::Union).map(members)
}

pub(super) fn sdiff(db: &mut Db<'_>, args: Args<'_>) -> Answer {
    combine(db, args, 1, Combine::Diff).map(members)
}

pub(super) fn sinterstore(db: &mut Db<'_>, args: Args<'_>) -> Answer {
    combine_store(db, args, Combine::Inter)
}

pub(super) fn sunionstore(db: &mut Db<'_>, args: Args<'_>) -> Answer {
    combine_store(db, args, Combine::Union)
}

pub(super) fn sdiffstore(db: &mut Db<'_>, args: Args<'_>) -> Answer {
    combine_store(db, args, Combine::Diff)
}

pub(super) fn sscan(db: &mut Db<'_>, args: Args<'_>) -> Answer {
    let scan = Scan::read(args, 2)?;
    let set = set_of(db, args.get(1))?;
    Ok(scan.batch(set.len(), set.iter(), |member, values| {
        if scan.matches(member) {
            values.push(Value::Bulk(member.clone()));
        }
    }))
}
