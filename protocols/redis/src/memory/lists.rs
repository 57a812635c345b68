//! Lists, and the pops that wait.

use alloc::vec;
use alloc::vec::Vec;

use bytes::Bytes;

use super::Db;
use super::args::Args;
use super::database::List;
use super::refusal::{Answer, Refusal};
use super::strings::{or_null, range};
use crate::wire::Value;

/// One end of a list.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Left,
    Right,
}

impl End {
    fn read(args: Args<'_>, at: usize) -> Result<Self, Refusal> {
        match () {
            () if args.is(at, "LEFT") => Ok(Self::Left),
            () if args.is(at, "RIGHT") => Ok(Self::Right),
            () => Err(Refusal::SYNTAX),
        }
    }

    fn push(self, list: &mut List, value: Bytes) {
        match self {
            Self::Left => list.push_front(value),
            Self::Right => list.push_back(value),
        }
    }

    fn pop(self, list: &mut List) -> Option<Bytes> {
        match self {
            Self::Left => list.pop_front(),
            Self::Right => list.pop_back(),
        }
    }
}

pub(super) fn bulks(values: impl IntoIterator<Item = Bytes>) -> Value {
    Value::Array(values.into_iter().map(Value::Bulk).collect())
}

fn push(db: &mut Db<'_>, args: Args<'_>, end: End) -> Answer {
    let len = db.data.edit_or_new::<List, _>(args.get(1), |list| {
        (2..args.len()).for_each(|at| end.push(list, args.bytes(at)));
        (true, list.len())
    })?;
    Ok(Value::Integer(len as i64))
}

fn push_existing(db: &mut Db<'_>, args: Args<'_>, end: End) -> Answer {
    if db.data.contains(args.get(1)) { push(db, args, end) } else { Ok(Value::Integer(0)) }
}

pub(super) fn lpush(db: &mut Db<'_>, args: Args<'_>) -> Answer {
    push(db, args, End::Left)
}

pub(super) fn rpush(db: &mut Db<'_>, args: Args<'_>) -> Answer {
    push(db, args, End::Right)
}

pub(super) fn lpushx(db: &mut Db<'_>, args: Args<'_>) -> Answer {
    push_existing(db, args, End::Left)
}

pub(super) fn rpushx(db: &mut Db<'_>, args: Args<'_>) -> Answer {
    push_existing(db, args, End::Right)
}

fn pop_some(db: &mut Db<'_>, key: &[u8], end: End, count: usize) -> Result<Option<Vec<Bytes>>, Refusal> {
    db.data.edit::<List, _>(key, |list| {
        let taken: Vec<_> = (0..count.min(list.len())).filter_map(|_| end.pop(list)).collect();
        (!taken.is_empty(), taken)
    })
}

fn pop(db: &mut Db<'_>, args: Args<'_>, end: End) -> Answer {
    if args.len() > 3 {
        return Err(Refusal::wrong_arity(&args.lower_name()));
    }
    if args.len() == 3 {
        let taken = pop_some(db, args.get(1), end, args.count(2)?)?;
        return Ok(taken.map_or(Value::NullArray, bulks));
    }
    Ok(or_null(pop_some(db, args.get(1), end, 1)?.and_then(|taken| taken.into_iter().next())))
}

pub(super) fn lpop(db: &mut Db<'_>, args: Args<'_>) -> Answer {
    pop(db, args, End::Left)
}

pub(super) fn rpop(db: &mut Db<'_>, args: Args<'_>) -> Answer {
    pop(db, args, End::Right)
}

pub(super) fn llen(db: &mut Db<'_>, args: Args<'_>) -> Answer {
    Ok(Value::Integer(db.data.view::<List>(args.get(1))?.map_or(0, List::len) as i64))
}

pub(super) fn lrange(db: &mut Db<'_>, args: Args<'_>) -> Answer {
    let (start, end) = (args.int(2)?, args.int(3)?);
    let Some(list) = db.data.view::<List>(args.get(1))? else { return Ok(Value::Array(Vec::new())) };
    Ok(bulks(list.range(range(list.len(), start, end)).cloned()))
}

pub(super) fn ltrim(db: &mut Db<'_>, args: Args<'_>) -> Answer {
    let (start, end) = (args.int(2)?, args.int(3)?);
    db.data.edit::<List, _>(args.get(1), |list| {
        let range = range(list.len(), start, end);
        list.truncate(range.end);
        list.drain(..range.start.min(list.len()));
        (true, ())
    })?;
    Ok(Value::OK)
}

/// The place that `index` means, counted from the end when it is negative.
fn place(len: usize, index: i64) -> Option<usize> {
    let index = if index < 0 { index.checked_add(len as i64)? } else { index };
    usize::try_from(index).ok().filter(|index| *index < len)
}

pub(super) fn lindex(db: &mut Db<'_>, args: Args<'_>) -> Answer {
    let index = args.int(2)?;
    let Some(list) = db.data.view::<List>(args.get(1))? else { return Ok(Value::Null) };
    Ok(or_null(place(list.len(), index).and_then(|at| list.get(at).cloned())))
}

pub(super) fn lset(db: &mut Db<'_>, args: Args<'_>) -> Answer {
    let (index, value) = (args.int(2)?, args.bytes(3));
    let found = db.data.edit::<List, _>(args.get(1), |list| {
        let slot = place(list.len(), index).and_then(|at| list.get_mut(at));
        let found = slot.is_some();
        if let Some(slot) = slot {
            *slot = value;
        }
        (found, found)
    })?;
    match found {
        None => Err(Refusal::NO_SUCH_KEY),
        Some(false) => Err(Refusal::OUT_OF_RANGE),
        Some(true) => Ok(Value::OK),
    }
}

pub(super) fn lrem(db: &mut Db<'_>, args: Args<'_>) -> Answer {
    let (count, value) = (args.int(2)?, args.get(3));
    let removed = db.data.edit::<List, _>(args.get(1), |list| {
        let max =
            if count == 0 { usize::MAX } else { usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX) };
        let mut removed = 0;
        let mut keep = |element: &Bytes| {
            let gone = removed < max && element == value;
            removed += usize::from(gone);
            !gone
        };
        if count < 0 {
            *list = core::mem::take(list).into_iter().rev().filter(|element| keep(element)).collect();
            list.make_contiguous().reverse();
        } else {
            list.retain(keep);
        }
        (removed > 0, removed)
    })?;
    Ok(Value::Integer(removed.unwrap_or(0) as i64))
}

pub(super) fn linsert(db: &mut Db<'_>, args: Args<'_>) -> Answer {
    let behind = match () {
        () if args.is(2, "BEFORE") => 0,
        () if args.is(2, "AFTER") => 1,
        () => return Err(Refusal::SYNTAX),
    };
    let len = db.data.edit::<List, _>(args.get(1), |list| {
        let Some(at) = list.iter().position(|element| element == args.get(3)) else { return (false, -1) };
        list.insert(at + behind, args.bytes(4));
        (true, list.len() as i64)
    })?;
    Ok(Value::Integer(len.unwrap_or(0)))
}

/// Moves one element; nothing where there is none.
fn move_one(db: &mut Db<'_>, from: &[u8], to: &[u8], pop: End, push: End) -> Result<Option<Value>, Refusal> {
    if db.data.view::<List>(from)?.is_none() {
        return Ok(None);
    }
    db.data.view::<List>(to)?;
    let Some(value) = pop_some(db, from, pop, 1)?.and_then(|taken| taken.into_iter().next()) else {
        return Ok(None);
    };
    db.data.edit_or_new::<List, _>(to, |list| {
        push.push(list, value.clone());
        (true, ())
    })?;
    Ok(Some(Value::Bulk(value)))
}

pub(super) fn rpoplpush(db: &mut Db<'_>, args: Args<'_>) -> Answer {
    Ok(brpoplpush(db, args)?.unwrap_or(Value::Null))
}

pub(super) fn lmove(db: &mut Db<'_>, args: Args<'_>) -> Answer {
    Ok(blmove(db, args)?.unwrap_or(Value::Null))
}

pub(super) fn brpoplpush(db: &mut Db<'_>, args: Args<'_>) -> Result<Option<Value>, Refusal> {
    move_one(db, args.get(1), args.get(2), End::Right, End::Left)
}

pub(super) fn blmove(db: &mut Db<'_>, args: Args<'_>) -> Result<Option<Value>, Refusal> {
    move_one(db, args.get(1), args.get(2), End::read(args, 3)?, End::read(args, 4)?)
}

fn pop_first(db: &mut Db<'_>, args: Args<'_>, end: End) -> Result<Option<Value>, Refusal> {
    for at in 1..args.len() - 1 {
        let key = args.get(at);
        if let Some(value) = pop_some(db, key, end, 1)?.and_then(|taken| taken.into_iter().next()) {
            return Ok(Some(bulks(vec![args.bytes(at), value])));
        }
    }
    Ok(None)
}

pub(super) fn blpop(db: &mut Db<'_>, args: Args<'_>) -> Result<Option<Value>, Refusal> {
    pop_first(db, args, End::Left)
}

pub(super) fn brpop(db: &mut Db<'_>, args: Args<'_>) -> Result<Option<Value>, Refusal> {
    pop_first(db, args, End::Right)
}
