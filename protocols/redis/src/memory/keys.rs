//! Keys of any type.

use alloc::vec::Vec;
use core::time::Duration;

use bytes::Bytes;
use glowplug_core::Instant;

use super::args::Args;
use super::refusal::{Answer, Refusal};
use super::strings::or_null;
use super::{Db, glob};
use crate::wire::Value;

pub(super) fn del(db: &mut Db<'_>, args: Args<'_>) -> Answer {
    Ok(Value::Integer(args.from(1).filter(|key| db.data.remove(key).is_some()).count() as i64))
}

pub(super) fn exists(db: &mut Db<'_>, args: Args<'_>) -> Answer {
    Ok(Value::Integer(args.from(1).filter(|key| db.data.contains(key)).count() as i64))
}

pub(super) fn key_type(db: &mut Db<'_>, args: Args<'_>) -> Answer {
    let name = db.data.entry(args.get(1)).map_or("none", |entry| entry.stored.type_name());
    Ok(Value::Simple(Bytes::from_static(name.as_bytes())))
}

pub(super) fn keys(db: &mut Db<'_>, args: Args<'_>) -> Answer {
    let found = db.data.keys().filter(|(key, _)| glob::matches(args.get(1), key));
    Ok(Value::Array(found.map(|(key, _)| Value::Bulk(key.clone())).collect()))
}

pub(super) fn randomkey(db: &mut Db<'_>, _args: Args<'_>) -> Answer {
    Ok(or_null(db.data.random_key(db.rng)))
}

pub(super) fn dbsize(db: &mut Db<'_>, _args: Args<'_>) -> Answer {
    Ok(Value::Integer(db.data.len() as i64))
}

pub(super) fn flushdb(db: &mut Db<'_>, args: Args<'_>) -> Answer {
    if args.len() > 2 || (args.len() == 2 && !args.is(1, "ASYNC") && !args.is(1, "SYNC")) {
        return Err(Refusal::SYNTAX);
    }
    db.data.clear();
    Ok(Value::OK)
}

pub(super) fn rename(db: &mut Db<'_>, args: Args<'_>) -> Answer {
    let entry = db.data.remove(args.get(1)).ok_or(Refusal::NO_SUCH_KEY)?;
    db.data.put_entry(args.get(2), entry);
    Ok(Value::OK)
}

pub(super) fn renamenx(db: &mut Db<'_>, args: Args<'_>) -> Answer {
    if !db.data.contains(args.get(1)) {
        return Err(Refusal::NO_SUCH_KEY);
    }
    if db.data.contains(args.get(2)) {
        return Ok(Value::Integer(0));
    }
    rename(db, args)?;
    Ok(Value::Integer(1))
}

pub(super) fn copy(db: &mut Db<'_>, args: Args<'_>) -> Answer {
    let replace = match args.len() {
        3 => false,
        4 if args.is(3, "REPLACE") => true,
        _ => return Err(Refusal::SYNTAX),
    };
    if args.get(1) == args.get(2) {
        return Err(Refusal::of("ERR source and destination objects are the same"));
    }
    let Some(entry) = db.data.entry(args.get(1)).cloned() else { return Ok(Value::Integer(0)) };
    if db.data.contains(args.get(2)) && !replace {
        return Ok(Value::Integer(0));
    }
    db.data.put_entry(args.get(2), entry);
    Ok(Value::Integer(1))
}

/// Sets when a key ends, under the conditions from argument 3 on.
fn set_end(db: &mut Db<'_>, args: Args<'_>, ends: Instant) -> Answer {
    let key = args.get(1);
    let Some(entry) = db.data.entry(key) else { return Ok(Value::Integer(0)) };
    let before = entry.ends;
    let (mut nx, mut xx, mut gt, mut lt) = (false, false, false, false);
    for at in 3..args.len() {
        match () {
            () if args.is(at, "NX") => nx = true,
            () if args.is(at, "XX") => xx = true,
            () if args.is(at, "GT") => gt = true,
            () if args.is(at, "LT") => lt = true,
            () => {
                let option = alloc::string::String::from_utf8_lossy(args.get(at));
                return Err(Refusal::saying(alloc::format!("ERR Unsupported option {option}")));
            }
        }
    }
    if nx && (xx || gt || lt) {
        return Err(Refusal::of("ERR NX and XX, GT or LT options at the same time are not compatible"));
    }
    if gt && lt {
        return Err(Refusal::of("ERR GT and LT options at the same time are not compatible"));
    }
    let refused = (nx && before.is_some())
        || (xx && before.is_none())
        || (gt && before.is_none_or(|before| ends <= before))
        || (lt && before.is_some_and(|before| ends >= before));
    if refused {
        return Ok(Value::Integer(0));
    }
    if ends <= db.now {
        db.data.remove(key);
    } else {
        db.data.set_end(key, Some(ends));
    }
    Ok(Value::Integer(1))
}

fn expire_after(db: &mut Db<'_>, args: Args<'_>, unit: i64) -> Answer {
    let time = args.int(2)?.checked_mul(unit).ok_or_else(|| Refusal::invalid_expire(args))?;
    let ends = if time > 0 { db.now + Duration::from_millis(time.unsigned_abs()) } else { Instant::ZERO };
    set_end(db, args, ends)
}

fn expire_at(db: &mut Db<'_>, args: Args<'_>, unit: i64) -> Answer {
    let time = args.int(2)?.checked_mul(unit).ok_or_else(|| Refusal::invalid_expire(args))?;
    let ends = db.at_unix(Duration::from_millis(u64::try_from(time).unwrap_or(0)));
    set_end(db, args, ends)
}

pub(super) fn expire(db: &mut Db<'_>, args: Args<'_>) -> Answer {
    expire_after(db, args, 1000)
}

pub(super) fn pexpire(db: &mut Db<'_>, args: Args<'_>) -> Answer {
    expire_after(db, args, 1)
}

pub(super) fn expireat(db: &mut Db<'_>, args: Args<'_>) -> Answer {
    expire_at(db, args, 1000)
}

pub(super) fn pexpireat(db: &mut Db<'_>, args: Args<'_>) -> Answer {
    expire_at(db, args, 1)
}

pub(super) fn persist(db: &mut Db<'_>, args: Args<'_>) -> Answer {
    let ends = db.data.entry(args.get(1)).is_some_and(|entry| entry.ends.is_some());
    if ends {
        db.data.set_end(args.get(1), None);
    }
    Ok(Value::Integer(i64::from(ends)))
}

/// -2 for no key, -1 for no end, else what `left` makes of it.
fn left(db: &Db<'_>, args: Args<'_>, left: impl FnOnce(Instant) -> u64) -> Answer {
    Ok(Value::Integer(match db.data.entry(args.get(1)) {
        None => -2,
        Some(entry) => entry.ends.map_or(-1, |ends| left(ends).cast_signed()),
    }))
}

pub(super) fn ttl(db: &mut Db<'_>, args: Args<'_>) -> Answer {
    let now = db.now;
    left(db, args, |ends| ((ends - now).as_millis() as u64 + 500) / 1000)
}

pub(super) fn pttl(db: &mut Db<'_>, args: Args<'_>) -> Answer {
    let now = db.now;
    left(db, args, |ends| (ends - now).as_millis() as u64)
}

pub(super) fn expiretime(db: &mut Db<'_>, args: Args<'_>) -> Answer {
    left(db, args, |ends| (db.unix(ends).as_millis() as u64 + 500) / 1000)
}

pub(super) fn pexpiretime(db: &mut Db<'_>, args: Args<'_>) -> Answer {
    left(db, args, |ends| db.unix(ends).as_millis() as u64)
}

/// What a scan command was given: where to go on, how far, and what counts.
pub(super) struct Scan<'a> {
    pub(super) cursor: usize,
    count: usize,
    pattern: Option<&'a [u8]>,
    kind: Option<&'a [u8]>,
}

impl<'a> Scan<'a> {
    /// Reads the cursor at argument `at` and the options behind it.
    pub(super) fn read(args: Args<'a>, at: usize) -> Result<Self, Refusal> {
        let cursor = core::str::from_utf8(args.get(at)).ok().and_then(|text| text.parse().ok());
        let cursor = cursor.ok_or(Refusal::of("ERR invalid cursor"))?;
        let mut scan = Self { cursor, count: 10, pattern: None, kind: None };
        let mut at = at + 1;
        while at < args.len() {
            if at + 1 >= args.len() {
                return Err(Refusal::SYNTAX);
            } else if args.is(at, "COUNT") {
                scan.count = usize::try_from(args.int(at + 1)?)
                    .ok()
                    .filter(|count| *count > 0)
                    .ok_or(Refusal::SYNTAX)?;
            } else if args.is(at, "MATCH") {
                scan.pattern = Some(args.get(at + 1));
            } else if args.is(at, "TYPE") {
                scan.kind = Some(args.get(at + 1));
            } else {
                return Err(Refusal::SYNTAX);
            }
            at += 2;
        }
        Ok(scan)
    }

    pub(super) fn matches(&self, name: &[u8]) -> bool {
        self.pattern.is_none_or(|pattern| glob::matches(pattern, name))
    }

    /// The answer: the cursor behind this batch, and what `found` made of each element in it.
    pub(super) fn batch<T>(
        &self,
        len: usize,
        elements: impl Iterator<Item = T>,
        mut found: impl FnMut(T, &mut Vec<Value>),
    ) -> Value {
        let mut values = Vec::new();
        for element in elements.skip(self.cursor).take(self.count) {
            found(element, &mut values);
        }
        let next = self.cursor.saturating_add(self.count);
        let next = if next >= len { 0 } else { next };
        Value::Array(alloc::vec![Value::bulk(alloc::format!("{next}")), Value::Array(values)])
    }
}

/// The cursor is a place in the order of the keys: a key that is there all the time may be missed when others before it vanish
/// meanwhile. Redis promises more.
pub(super) fn scan(db: &mut Db<'_>, args: Args<'_>) -> Answer {
    let scan = Scan::read(args, 1)?;
    Ok(scan.batch(db.data.len(), db.data.keys(), |(key, entry), values| {
        let kind = entry.stored.type_name();
        if scan.matches(key) && scan.kind.is_none_or(|wanted| wanted.eq_ignore_ascii_case(kind.as_bytes())) {
            values.push(Value::Bulk(key.clone()));
        }
    }))
}
