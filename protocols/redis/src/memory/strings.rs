//! Strings.

use alloc::vec::Vec;
use core::time::Duration;

use bytes::{Bytes, BytesMut};
use glowplug_core::Instant;

use super::Db;
use super::args::{Args, int_text, parse_float, parse_int};
use super::database::{Entry, Stored};
use super::refusal::{Answer, Refusal};
use crate::wire::Value;
use crate::wire::number::format_f64;

pub(super) fn or_null(value: Option<Bytes>) -> Value {
    value.map_or(Value::Null, Value::Bulk)
}

pub(super) fn get(db: &mut Db<'_>, args: Args<'_>) -> Answer {
    Ok(or_null(db.data.view(args.get(1))?.cloned()))
}

/// Options that say when a key ends, from `at` on: how many arguments they take and what they say.
fn read_expiry(db: &Db<'_>, args: Args<'_>, at: usize) -> Result<Option<Instant>, Refusal> {
    let number = args.int(at + 1)?;
    if number <= 0 {
        return Err(Refusal::invalid_expire(args));
    }
    let seconds = args.is(at, "EX") || args.is(at, "EXAT");
    let millis =
        number.checked_mul(if seconds { 1000 } else { 1 }).ok_or_else(|| Refusal::invalid_expire(args))?;
    let millis = Duration::from_millis(millis.unsigned_abs());
    Ok(Some(if args.is(at, "EX") || args.is(at, "PX") { db.now + millis } else { db.at_unix(millis) }))
}

fn is_expiry(args: Args<'_>, at: usize) -> bool {
    ["EX", "PX", "EXAT", "PXAT"].iter().any(|word| args.is(at, word))
}

pub(super) fn set(db: &mut Db<'_>, args: Args<'_>) -> Answer {
    let (mut ends, mut keep, mut exists, mut gets) = (None, false, None, false);
    let mut at = 3;
    while at < args.len() {
        if is_expiry(args, at) && ends.is_none() && !keep {
            if at + 1 >= args.len() {
                return Err(Refusal::SYNTAX);
            }
            ends = read_expiry(db, args, at)?;
            at += 1;
        } else if args.is(at, "KEEPTTL") && ends.is_none() {
            keep = true;
        } else if args.is(at, "NX") && exists.is_none() {
            exists = Some(false);
        } else if args.is(at, "XX") && exists.is_none() {
            exists = Some(true);
        } else if args.is(at, "GET") {
            gets = true;
        } else {
            return Err(Refusal::SYNTAX);
        }
        at += 1;
    }
    let key = args.get(1);
    let before = if gets { or_null(db.data.view::<Bytes>(key)?.cloned()) } else { Value::OK };
    if exists.is_some_and(|exists| exists != db.data.contains(key)) {
        return Ok(if gets { before } else { Value::Null });
    }
    if keep {
        ends = db.data.entry(key).and_then(|entry| entry.ends);
    }
    store(db, key, args.bytes(2), ends);
    Ok(before)
}

/// Puts a string that ends, which it may have done already.
fn store(db: &mut Db<'_>, key: &[u8], value: Bytes, ends: Option<Instant>) {
    db.data.put_entry(key, Entry { stored: Stored::String(value), ends });
    let now = db.now;
    db.data.expire(now);
}

pub(super) fn setnx(db: &mut Db<'_>, args: Args<'_>) -> Answer {
    let absent = !db.data.contains(args.get(1));
    if absent {
        store(db, args.get(1), args.bytes(2), None);
    }
    Ok(Value::Integer(i64::from(absent)))
}

fn set_for(db: &mut Db<'_>, args: Args<'_>, millis: i64) -> Answer {
    let number = args.int(2)?;
    let time =
        number.checked_mul(millis).filter(|time| *time > 0).ok_or_else(|| Refusal::invalid_expire(args))?;
    let ends = db.now + Duration::from_millis(time.unsigned_abs());
    store(db, args.get(1), args.bytes(3), Some(ends));
    Ok(Value::OK)
}

pub(super) fn setex(db: &mut Db<'_>, args: Args<'_>) -> Answer {
    set_for(db, args, 1000)
}

pub(super) fn psetex(db: &mut Db<'_>, args: Args<'_>) -> Answer {
    set_for(db, args, 1)
}

pub(super) fn getset(db: &mut Db<'_>, args: Args<'_>) -> Answer {
    let before = get(db, args)?;
    store(db, args.get(1), args.bytes(2), None);
    Ok(before)
}

pub(super) fn getdel(db: &mut Db<'_>, args: Args<'_>) -> Answer {
    let before = get(db, args)?;
    db.data.remove(args.get(1));
    Ok(before)
}

pub(super) fn getex(db: &mut Db<'_>, args: Args<'_>) -> Answer {
    let ends = match args.len() {
        2 => None,
        3 if args.is(2, "PERSIST") => Some(None),
        4 if is_expiry(args, 2) => Some(read_expiry(db, args, 2)?),
        _ => return Err(Refusal::SYNTAX),
    };
    let value = get(db, args)?;
    if let Some(ends) = ends {
        db.data.set_end(args.get(1), ends);
        let now = db.now;
        db.data.expire(now);
    }
    Ok(value)
}

pub(super) fn mget(db: &mut Db<'_>, args: Args<'_>) -> Answer {
    let value = |key| or_null(db.data.view::<Bytes>(key).ok().flatten().cloned());
    Ok(Value::Array(args.from(1).map(value).collect()))
}

fn set_pairs(db: &mut Db<'_>, args: Args<'_>) {
    for at in (1..args.len()).step_by(2) {
        store(db, args.get(at), args.bytes(at + 1), None);
    }
}

pub(super) fn mset(db: &mut Db<'_>, args: Args<'_>) -> Answer {
    if args.len().is_multiple_of(2) {
        return Err(Refusal::wrong_arity("mset"));
    }
    set_pairs(db, args);
    Ok(Value::OK)
}

pub(super) fn msetnx(db: &mut Db<'_>, args: Args<'_>) -> Answer {
    if args.len().is_multiple_of(2) {
        return Err(Refusal::wrong_arity("msetnx"));
    }
    if (1..args.len()).step_by(2).any(|at| db.data.contains(args.get(at))) {
        return Ok(Value::Integer(0));
    }
    set_pairs(db, args);
    Ok(Value::Integer(1))
}

/// Changes a string, keeping when it ends.
fn edit(
    db: &mut Db<'_>,
    key: &[u8],
    edit: impl FnOnce(Bytes) -> Result<Bytes, Refusal>,
) -> Result<(), Refusal> {
    let value = edit(db.data.view::<Bytes>(key)?.cloned().unwrap_or_default())?;
    let ends = db.data.entry(key).and_then(|entry| entry.ends);
    store(db, key, value, ends);
    Ok(())
}

fn add(db: &mut Db<'_>, key: &[u8], by: i64) -> Answer {
    let before = match db.data.view::<Bytes>(key)? {
        Some(text) => parse_int(text).ok_or(Refusal::NOT_INTEGER)?,
        None => 0,
    };
    let after = before.checked_add(by).ok_or(Refusal::OVERFLOW)?;
    edit(db, key, |_| Ok(int_text(after)))?;
    Ok(Value::Integer(after))
}

pub(super) fn incr(db: &mut Db<'_>, args: Args<'_>) -> Answer {
    add(db, args.get(1), 1)
}

pub(super) fn decr(db: &mut Db<'_>, args: Args<'_>) -> Answer {
    add(db, args.get(1), -1)
}

pub(super) fn incrby(db: &mut Db<'_>, args: Args<'_>) -> Answer {
    add(db, args.get(1), args.int(2)?)
}

pub(super) fn decrby(db: &mut Db<'_>, args: Args<'_>) -> Answer {
    let by = args.int(2)?.checked_neg().ok_or(Refusal::of("ERR decrement would overflow"))?;
    add(db, args.get(1), by)
}

pub(super) fn incrbyfloat(db: &mut Db<'_>, args: Args<'_>) -> Answer {
    let by = args.float(2)?;
    let before = match db.data.view::<Bytes>(args.get(1))? {
        Some(text) => parse_float(text).ok_or(Refusal::NOT_FLOAT)?,
        None => 0.0,
    };
    let after = before + by;
    if !after.is_finite() {
        return Err(Refusal::NOT_FINITE);
    }
    let text = Bytes::from(format_f64(after));
    edit(db, args.get(1), |_| Ok(text.clone()))?;
    Ok(Value::Bulk(text))
}

pub(super) fn append(db: &mut Db<'_>, args: Args<'_>) -> Answer {
    let (key, more, max) = (args.get(1), args.get(2), db.max_string_len);
    let mut len = 0;
    if db.data.view::<Bytes>(key)?.is_some() {
        // In place where nobody else holds the value, so that many appends cost no more than one.
        db.data.edit::<Bytes, ()>(key, |value| {
            len = value.len() + more.len();
            if len <= max && !more.is_empty() {
                let mut owned = core::mem::take(value)
                    .try_into_mut()
                    .unwrap_or_else(|shared| BytesMut::from(&shared[..]));
                owned.extend_from_slice(more);
                *value = owned.freeze();
            }
            (len <= max, ())
        })?;
        if len > max {
            return Err(Refusal::TOO_LONG);
        }
    } else {
        len = more.len();
        store(db, key, args.bytes(2), None);
    }
    Ok(Value::Integer(len as i64))
}

pub(super) fn strlen(db: &mut Db<'_>, args: Args<'_>) -> Answer {
    Ok(Value::Integer(db.data.view::<Bytes>(args.get(1))?.map_or(0, Bytes::len) as i64))
}

/// The elements that `start..=end` means in a list of `len`, where negative indexes count from the end.
pub(super) fn range(len: usize, start: i64, end: i64) -> core::ops::Range<usize> {
    let len = len as i64;
    let index = |at: i64| if at < 0 { at.saturating_add(len).max(0) } else { at.min(len) };
    let (start, end) = (index(start), if end < -len { -1 } else { index(end) });
    let end = end.saturating_add(1).min(len).max(start);
    start as usize..end as usize
}

pub(super) fn getrange(db: &mut Db<'_>, args: Args<'_>) -> Answer {
    let (start, end) = (args.int(2)?, args.int(3)?);
    let Some(text) = db.data.view::<Bytes>(args.get(1))? else { return Ok(Value::Bulk(Bytes::new())) };
    Ok(Value::Bulk(text.slice(range(text.len(), start, end))))
}

pub(super) fn setrange(db: &mut Db<'_>, args: Args<'_>) -> Answer {
    let offset = usize::try_from(args.int(2)?).map_err(|_| Refusal::of("ERR offset is out of range"))?;
    let more = args.get(3);
    let before = db.data.view::<Bytes>(args.get(1))?.map_or(0, Bytes::len);
    if more.is_empty() {
        return Ok(Value::Integer(before as i64));
    }
    let end = offset.saturating_add(more.len());
    if end > db.max_string_len {
        return Err(Refusal::TOO_LONG);
    }
    edit(db, args.get(1), |value| {
        let mut value = Vec::from(value);
        value.resize(value.len().max(end), 0);
        value[offset..end].copy_from_slice(more);
        Ok(value.into())
    })?;
    Ok(Value::Integer(before.max(end) as i64))
}

fn bit_offset(db: &Db<'_>, args: Args<'_>) -> Result<(usize, u32), Refusal> {
    let refusal = Refusal::of("ERR bit offset is not an integer or out of range");
    let offset = args.int(2).ok().and_then(|offset| usize::try_from(offset).ok()).ok_or(refusal.clone())?;
    if offset / 8 >= db.max_string_len {
        return Err(refusal);
    }
    Ok((offset / 8, 7 - (offset % 8) as u32))
}

pub(super) fn getbit(db: &mut Db<'_>, args: Args<'_>) -> Answer {
    let (at, bit) = bit_offset(db, args)?;
    let byte = db.data.view::<Bytes>(args.get(1))?.and_then(|text| text.get(at).copied()).unwrap_or(0);
    Ok(Value::Integer(i64::from(byte >> bit & 1)))
}

pub(super) fn setbit(db: &mut Db<'_>, args: Args<'_>) -> Answer {
    let (at, bit) = bit_offset(db, args)?;
    let on = match args.get(3) {
        b"0" => false,
        b"1" => true,
        _ => return Err(Refusal::of("ERR bit is not an integer or out of range")),
    };
    let mut before = 0;
    edit(db, args.get(1), |value| {
        let mut value = Vec::from(value);
        value.resize(value.len().max(at + 1), 0);
        before = value[at] >> bit & 1;
        value[at] = value[at] & !(1 << bit) | u8::from(on) << bit;
        Ok(value.into())
    })?;
    Ok(Value::Integer(i64::from(before)))
}

pub(super) fn bitcount(db: &mut Db<'_>, args: Args<'_>) -> Answer {
    let text = db.data.view::<Bytes>(args.get(1))?.cloned().unwrap_or_default();
    let ones = |bytes: &[u8]| bytes.iter().map(|byte| i64::from(byte.count_ones())).sum::<i64>();
    let count = match args.len() {
        2 => ones(&text),
        5 if args.is(4, "BIT") => {
            let bits = range(text.len().saturating_mul(8), args.int(2)?, args.int(3)?);
            bits.filter(|bit| text[bit / 8] >> (7 - bit % 8) & 1 == 1).count() as i64
        }
        4 => ones(&text[range(text.len(), args.int(2)?, args.int(3)?)]),
        5 if args.is(4, "BYTE") => ones(&text[range(text.len(), args.int(2)?, args.int(3)?)]),
        _ => return Err(Refusal::SYNTAX),
    };
    Ok(Value::Integer(count))
}
