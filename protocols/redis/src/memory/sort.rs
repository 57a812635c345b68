//! `SORT`.

use alloc::vec::Vec;
use core::cmp::Ordering;

use bytes::Bytes;

use super::Db;
use super::args::{Args, parse_float};
use super::database::{Hash, List, Stored};
use super::refusal::{Answer, Refusal};
use super::sorted_set::Score;
use super::strings::or_null;
use crate::wire::Value;

/// What a sort was asked for.
#[derive(Default)]
struct Sort<'a> {
    by: Option<&'a [u8]>,
    limit: Option<(usize, usize)>,
    gets: Vec<&'a [u8]>,
    descending: bool,
    alpha: bool,
    store: Option<&'a [u8]>,
}

impl<'a> Sort<'a> {
    fn read(args: Args<'a>) -> Result<Self, Refusal> {
        let mut sort = Self::default();
        let mut at = 2;
        while at < args.len() {
            let left = args.len() - at - 1;
            match () {
                () if args.is(at, "ASC") => sort.descending = false,
                () if args.is(at, "DESC") => sort.descending = true,
                () if args.is(at, "ALPHA") => sort.alpha = true,
                () if args.is(at, "LIMIT") && left >= 2 => {
                    let number = |at| args.int(at).map(|number| usize::try_from(number).ok());
                    sort.limit = Some((number(at + 1)?.unwrap_or(0), number(at + 2)?.unwrap_or(usize::MAX)));
                    at += 2;
                }
                () if args.is(at, "STORE") && left >= 1 => {
                    sort.store = Some(args.get(at + 1));
                    at += 1;
                }
                () if args.is(at, "BY") && left >= 1 => {
                    sort.by = Some(args.get(at + 1));
                    at += 1;
                }
                () if args.is(at, "GET") && left >= 1 => {
                    sort.gets.push(args.get(at + 1));
                    at += 1;
                }
                () => return Err(Refusal::SYNTAX),
            }
            at += 1;
        }
        Ok(sort)
    }
}

/// What `pattern` finds for an element: the value of a key, or of a hash's field behind `->`.
fn look_up(db: &Db<'_>, pattern: &[u8], element: &Bytes) -> Option<Bytes> {
    if pattern == b"#" {
        return Some(element.clone());
    }
    let star = memchr::memchr(b'*', pattern)?;
    let (before, after) = (&pattern[..star], &pattern[star + 1..]);
    let arrow = after.windows(2).position(|pair| pair == b"->").filter(|at| at + 2 < after.len());
    let (after, field) = match arrow {
        Some(at) => (&after[..at], Some(&after[at + 2..])),
        None => (after, None),
    };
    let key = [before, element, after].concat();
    match field {
        Some(field) => db.data.view::<Hash>(&key).ok().flatten()?.get(field).cloned(),
        None => db.data.view::<Bytes>(&key).ok().flatten().cloned(),
    }
}

fn elements(db: &Db<'_>, key: &[u8]) -> Result<Vec<Bytes>, Refusal> {
    Ok(match db.data.entry(key).map(|entry| &entry.stored) {
        None => Vec::new(),
        Some(Stored::List(list)) => list.iter().cloned().collect(),
        Some(Stored::Set(set)) => set.iter().cloned().collect(),
        Some(Stored::SortedSet(set)) => set.iter().map(|(member, _)| member.clone()).collect(),
        Some(_) => return Err(Refusal::WRONG_TYPE),
    })
}

pub(super) fn sort(db: &mut Db<'_>, args: Args<'_>) -> Answer {
    let sort = Sort::read(args)?;
    let mut found = elements(db, args.get(1))?;
    // A pattern without a star means: do not sort.
    if sort.by.is_none_or(|by| by.contains(&b'*')) {
        let mut weighed = Vec::with_capacity(found.len());
        for element in found {
            let weight = match sort.by {
                Some(by) => look_up(db, by, &element),
                None => Some(element.clone()),
            };
            let score = match &weight {
                Some(text) if !sort.alpha => parse_float(text)
                    .ok_or(Refusal::of("ERR One or more scores can't be converted into double"))?,
                _ => 0.0,
            };
            weighed.push((Score(score), weight, element));
        }
        weighed.sort_by(|one, other| {
            let order = if sort.alpha { one.1.cmp(&other.1) } else { one.0.cmp(&other.0) };
            let order = if order == Ordering::Equal { one.2.cmp(&other.2) } else { order };
            if sort.descending { order.reverse() } else { order }
        });
        found = weighed.into_iter().map(|(_, _, element)| element).collect();
    }
    let (offset, count) = sort.limit.unwrap_or((0, usize::MAX));
    let found = found.into_iter().skip(offset).take(count);
    let mut answers: Vec<Option<Bytes>> = Vec::new();
    for element in found {
        answers.extend(sort.gets.iter().map(|get| look_up(db, get, &element)));
        if sort.gets.is_empty() {
            answers.push(Some(element));
        }
    }
    let Some(store) = sort.store else { return Ok(Value::Array(answers.into_iter().map(or_null).collect())) };
    let list: List = answers.into_iter().map(Option::unwrap_or_default).collect();
    let len = list.len();
    db.data.put(store, Stored::List(list));
    Ok(Value::Integer(len as i64))
}
