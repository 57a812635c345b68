//! Hashes.

use bytes::Bytes;

use super::Db;
use super::args::{Args, int_text, parse_float, parse_int};
use super::database::Hash;
use super::keys::Scan;
use super::refusal::{Answer, Refusal};
use super::strings::or_null;
use crate::wire::Value;
use crate::wire::number::format_f64;

fn set_fields(db: &mut Db<'_>, args: Args<'_>) -> Result<usize, Refusal> {
    if !args.len().is_multiple_of(2) {
        return Err(Refusal::wrong_arity(&args.lower_name()));
    }
    db.data.edit_or_new::<Hash, _>(args.get(1), |hash| {
        let pairs = (2..args.len()).step_by(2);
        let added = pairs.filter(|at| hash.insert(args.bytes(*at), args.bytes(at + 1)).is_none()).count();
        (true, added)
    })
}

pub(super) fn hset(db: &mut Db<'_>, args: Args<'_>) -> Answer {
    Ok(Value::Integer(set_fields(db, args)? as i64))
}

pub(super) fn hmset(db: &mut Db<'_>, args: Args<'_>) -> Answer {
    set_fields(db, args)?;
    Ok(Value::OK)
}

pub(super) fn hsetnx(db: &mut Db<'_>, args: Args<'_>) -> Answer {
    let added = db.data.edit_or_new::<Hash, _>(args.get(1), |hash| {
        let absent = !hash.contains_key(args.get(2));
        if absent {
            hash.insert(args.bytes(2), args.bytes(3));
        }
        (absent, absent)
    })?;
    Ok(Value::Integer(i64::from(added)))
}

fn field(db: &Db<'_>, key: &[u8], field: &[u8]) -> Result<Option<Bytes>, Refusal> {
    Ok(db.data.view::<Hash>(key)?.and_then(|hash| hash.get(field).cloned()))
}

pub(super) fn hget(db: &mut Db<'_>, args: Args<'_>) -> Answer {
    Ok(or_null(field(db, args.get(1), args.get(2))?))
}

pub(super) fn hmget(db: &mut Db<'_>, args: Args<'_>) -> Answer {
    let hash = db.data.view::<Hash>(args.get(1))?;
    let get = |field| or_null(hash.and_then(|hash| hash.get(field).cloned()));
    Ok(Value::Array(args.from(2).map(get).collect()))
}

pub(super) fn hdel(db: &mut Db<'_>, args: Args<'_>) -> Answer {
    let removed = db.data.edit::<Hash, _>(args.get(1), |hash| {
        let removed = args.from(2).filter(|field| hash.remove(*field).is_some()).count();
        (removed > 0, removed)
    })?;
    Ok(Value::Integer(removed.unwrap_or(0) as i64))
}

pub(super) fn hexists(db: &mut Db<'_>, args: Args<'_>) -> Answer {
    Ok(Value::Integer(i64::from(field(db, args.get(1), args.get(2))?.is_some())))
}

pub(super) fn hlen(db: &mut Db<'_>, args: Args<'_>) -> Answer {
    Ok(Value::Integer(db.data.view::<Hash>(args.get(1))?.map_or(0, Hash::len) as i64))
}

pub(super) fn hstrlen(db: &mut Db<'_>, args: Args<'_>) -> Answer {
    Ok(Value::Integer(field(db, args.get(1), args.get(2))?.map_or(0, |value| value.len()) as i64))
}

pub(super) fn hkeys(db: &mut Db<'_>, args: Args<'_>) -> Answer {
    let fields = db.data.view::<Hash>(args.get(1))?.into_iter().flat_map(Hash::keys);
    Ok(Value::Array(fields.cloned().map(Value::Bulk).collect()))
}

pub(super) fn hvals(db: &mut Db<'_>, args: Args<'_>) -> Answer {
    let values = db.data.view::<Hash>(args.get(1))?.into_iter().flat_map(Hash::values);
    Ok(Value::Array(values.cloned().map(Value::Bulk).collect()))
}

pub(super) fn hgetall(db: &mut Db<'_>, args: Args<'_>) -> Answer {
    let pairs = db.data.view::<Hash>(args.get(1))?.into_iter().flatten();
    Ok(Value::Map(
        pairs.map(|(field, value)| (Value::Bulk(field.clone()), Value::Bulk(value.clone()))).collect(),
    ))
}

fn put(db: &mut Db<'_>, args: Args<'_>, value: Bytes) -> Result<(), Refusal> {
    db.data.edit_or_new::<Hash, _>(args.get(1), |hash| {
        hash.insert(args.bytes(2), value);
        (true, ())
    })
}

pub(super) fn hincrby(db: &mut Db<'_>, args: Args<'_>) -> Answer {
    let by = args.int(3)?;
    let before = match field(db, args.get(1), args.get(2))? {
        Some(text) => parse_int(&text).ok_or(Refusal::of("ERR hash value is not an integer"))?,
        None => 0,
    };
    let after = before.checked_add(by).ok_or(Refusal::OVERFLOW)?;
    put(db, args, int_text(after))?;
    Ok(Value::Integer(after))
}

pub(super) fn hincrbyfloat(db: &mut Db<'_>, args: Args<'_>) -> Answer {
    let by = args.float(3)?;
    let before = match field(db, args.get(1), args.get(2))? {
        Some(text) => parse_float(&text).ok_or(Refusal::of("ERR hash value is not a float"))?,
        None => 0.0,
    };
    let after = before + by;
    if !after.is_finite() {
        return Err(Refusal::NOT_FINITE);
    }
    let text = Bytes::from(format_f64(after));
    put(db, args, text.clone())?;
    Ok(Value::Bulk(text))
}

pub(super) fn hscan(db: &mut Db<'_>, args: Args<'_>) -> Answer {
    let scan = Scan::read(args, 2)?;
    let Some(hash) = db.data.view::<Hash>(args.get(1))? else {
        return Ok(scan.batch(0, core::iter::empty::<()>(), |(), _| {}));
    };
    Ok(scan.batch(hash.len(), hash.iter(), |(field, value), values| {
        if scan.matches(field) {
            values.push(Value::Bulk(field.clone()));
            values.push(Value::Bulk(value.clone()));
        }
    }))
}
