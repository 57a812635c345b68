//! Streams and their consumer groups: what is needed to add, to read and to acknowledge.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use bytes::Bytes;

use super::Db;
use super::args::{Args, parse_int};
use super::refusal::{Answer, Refusal};
use super::server::Wait;
use super::sessions::unknown_subcommand;
use crate::wire::{ReceivedCommand, Value};

const INVALID_ID: Refusal = Refusal::of("ERR Invalid stream ID specified as stream command argument");
const TOO_SMALL: Refusal =
    Refusal::of("ERR The ID specified in XADD is equal or smaller than the target stream top item");
const UNBALANCED: Refusal = Refusal::of(
    "ERR Unbalanced 'xread' list of streams: for each stream key an ID or '$' must be specified.",
);

/// Milliseconds and a number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Id(u64, u64);

impl Id {
    const MAX: Self = Self(u64::MAX, u64::MAX);

    /// Reads an id; one without a number has `number`.
    fn parse(text: &[u8], number: u64) -> Result<Self, Refusal> {
        let part = |text: &[u8]| core::str::from_utf8(text).ok()?.parse().ok();
        let mut parts = text.splitn(2, |byte| *byte == b'-');
        let milliseconds = parts.next().and_then(part).ok_or(INVALID_ID)?;
        match parts.next() {
            Some(text) => part(text).map(|number| Self(milliseconds, number)).ok_or(INVALID_ID),
            None => Ok(Self(milliseconds, number)),
        }
    }

    /// One end of a range.
    fn end(text: &[u8], number: u64) -> Result<Self, Refusal> {
        match text {
            b"-" => Ok(Self::default()),
            b"+" => Ok(Self::MAX),
            _ => Self::parse(text, number),
        }
    }

    fn after(self) -> Option<Self> {
        match self.1.checked_add(1) {
            Some(number) => Some(Self(self.0, number)),
            None => Some(Self(self.0.checked_add(1)?, 0)),
        }
    }

    fn text(self) -> Bytes {
        format!("{}-{}", self.0, self.1).into()
    }
}

type Fields = Vec<Bytes>;

/// What a key of type stream holds.
#[derive(Clone, Debug, Default)]
pub(super) struct Stream {
    entries: BTreeMap<Id, Fields>,
    last: Id,
    groups: BTreeMap<Bytes, Group>,
}

#[derive(Clone, Debug, Default)]
struct Group {
    last: Id,
    consumers: BTreeSet<Bytes>,
    /// What was handed out and not acknowledged, and to whom.
    pending: BTreeMap<Id, Bytes>,
}

fn entry(id: Id, fields: Option<&Fields>) -> Value {
    let fields = fields.map_or(Value::NullArray, |fields| bulks(fields.iter().cloned()));
    Value::Array(vec![Value::Bulk(id.text()), fields])
}

fn bulks(texts: impl Iterator<Item = Bytes>) -> Value {
    Value::Array(texts.map(Value::Bulk).collect())
}

pub(super) fn xadd(db: &mut Db<'_>, args: Args<'_>) -> Answer {
    let (mut at, mut existing, mut max_len) = (2, false, None);
    loop {
        if args.is(at, "NOMKSTREAM") {
            existing = true;
            at += 1;
        } else if args.is(at, "MAXLEN") {
            at += if args.is(at + 1, "~") || args.is(at + 1, "=") { 2 } else { 1 };
            max_len = Some(args.count(at)?);
            at += 1;
        } else {
            break;
        }
    }
    let fields: Fields = (at + 1..args.len()).map(|at| args.bytes(at)).collect();
    if fields.is_empty() || !fields.len().is_multiple_of(2) {
        return Err(Refusal::wrong_arity("xadd"));
    }
    if existing && db.data.view::<Stream>(args.get(1))?.is_none() {
        return Ok(Value::Null);
    }
    let last = db.data.view::<Stream>(args.get(1))?.map_or(Id::default(), |stream| stream.last);
    let now = Id(u64::try_from(db.unix(db.now).as_millis()).unwrap_or(u64::MAX), 0);
    let id = match args.get(at) {
        b"*" => last.after().map_or(now, |next| next.max(now)),
        text => Id::parse(text, 0)?,
    };
    if id <= last {
        return Err(TOO_SMALL);
    }
    db.data.edit_or_new::<Stream, _>(args.get(1), |stream| {
        stream.last = id;
        stream.entries.insert(id, fields);
        while max_len.is_some_and(|max| stream.entries.len() > max) {
            stream.entries.pop_first();
        }
        (true, ())
    })?;
    Ok(Value::Bulk(id.text()))
}

pub(super) fn xlen(db: &mut Db<'_>, args: Args<'_>) -> Answer {
    let len = db.data.view::<Stream>(args.get(1))?.map_or(0, |stream| stream.entries.len());
    Ok(Value::Integer(len as i64))
}

pub(super) fn xdel(db: &mut Db<'_>, args: Args<'_>) -> Answer {
    let ids = args.from(2).map(|id| Id::parse(id, 0)).collect::<Result<Vec<_>, _>>()?;
    let deleted = db.data.edit::<Stream, _>(args.get(1), |stream| {
        let deleted = ids.iter().filter(|id| stream.entries.remove(id).is_some()).count();
        (deleted > 0, deleted)
    })?;
    Ok(Value::Integer(deleted.unwrap_or(0) as i64))
}

fn range(db: &mut Db<'_>, args: Args<'_>, (start, end): (usize, usize), backwards: bool) -> Answer {
    let count = if args.is(4, "COUNT") { args.count(5)? } else { usize::MAX };
    let (start, end) = (Id::end(args.get(start), 0)?, Id::end(args.get(end), u64::MAX)?);
    let Some(stream) = db.data.view::<Stream>(args.get(1))? else { return Ok(Value::Array(Vec::new())) };
    if start > end {
        return Ok(Value::Array(Vec::new()));
    }
    let found = stream.entries.range(start..=end).map(|(id, fields)| entry(*id, Some(fields)));
    Ok(Value::Array(if backwards { found.rev().take(count).collect() } else { found.take(count).collect() }))
}

pub(super) fn xrange(db: &mut Db<'_>, args: Args<'_>) -> Answer {
    range(db, args, (2, 3), false)
}

pub(super) fn xrevrange(db: &mut Db<'_>, args: Args<'_>) -> Answer {
    range(db, args, (3, 2), true)
}

pub(super) fn xgroup(db: &mut Db<'_>, args: Args<'_>) -> Answer {
    match args.len() {
        5.. if args.is(1, "CREATE") => create_group(db, args),
        5.. if args.is(1, "SETID") => set_group(db, args),
        4 if args.is(1, "DESTROY") => {
            let gone = edit_stream(db, args, |stream| stream.groups.remove(args.get(3)).is_some())?;
            Ok(Value::Integer(i64::from(gone)))
        }
        5 if args.is(1, "CREATECONSUMER") => {
            let new = edit_group(db, args, |group| group.consumers.insert(args.bytes(4)))?;
            Ok(Value::Integer(i64::from(new)))
        }
        5 if args.is(1, "DELCONSUMER") => {
            let owed = edit_group(db, args, |group| {
                let before = group.pending.len();
                group.consumers.remove(args.get(4));
                group.pending.retain(|_, owner| owner != args.get(4));
                before - group.pending.len()
            })?;
            Ok(Value::Integer(owed as i64))
        }
        _ => unknown_subcommand(args),
    }
}

const NO_STREAM: Refusal = Refusal::of(
    "ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use the MKSTREAM option to \
     create an empty stream automatically.",
);

/// Works on the stream that `XGROUP` names.
fn edit_stream<T>(
    db: &mut Db<'_>,
    args: Args<'_>,
    edit: impl FnOnce(&mut Stream) -> T,
) -> Result<T, Refusal> {
    db.data.edit::<Stream, _>(args.get(2), |stream| (true, edit(stream)))?.ok_or(NO_STREAM)
}

/// Works on the group that `XGROUP` names.
fn edit_group<T>(db: &mut Db<'_>, args: Args<'_>, edit: impl FnOnce(&mut Group) -> T) -> Result<T, Refusal> {
    edit_stream(db, args, |stream| stream.groups.get_mut(args.get(3)).map(edit))?.ok_or_else(|| {
        let text = |at| String::from_utf8_lossy(args.get(at)).into_owned();
        Refusal::saying(format!("NOGROUP No such consumer group '{}' for key name '{}'", text(3), text(2)))
    })
}

/// The id of a group and what follows it: whether the stream is made. `ENTRIESREAD` is checked and forgotten: only `XINFO` shows it, which is
/// not known here.
fn group_options(args: Args<'_>, creates: bool) -> Result<(Option<Id>, bool), Refusal> {
    let from = match args.get(4) {
        b"$" => None,
        id => Some(Id::parse(id, 0)?),
    };
    let (mut make, mut at) = (false, 5);
    while at < args.len() {
        if creates && args.is(at, "MKSTREAM") {
            make = true;
            at += 1;
        } else if args.is(at, "ENTRIESREAD") && at + 1 < args.len() {
            if args.int(at + 1)? < -1 {
                return Err(Refusal::of("ERR value for ENTRIESREAD must be positive or -1"));
            }
            at += 2;
        } else {
            return unknown_subcommand(args).map(|_| (None, false));
        }
    }
    Ok((from, make))
}

fn create_group(db: &mut Db<'_>, args: Args<'_>) -> Answer {
    let (from, make) = group_options(args, true)?;
    if db.data.view::<Stream>(args.get(2))?.is_none() && !make {
        return Err(NO_STREAM);
    }
    let created = db.data.edit_or_new::<Stream, _>(args.get(2), |stream| {
        let last = from.unwrap_or(stream.last);
        let new = !stream.groups.contains_key(args.get(3));
        if new {
            stream.groups.insert(args.bytes(3), Group { last, ..Group::default() });
        }
        (new, new)
    })?;
    if created { Ok(Value::OK) } else { Err(Refusal::of("BUSYGROUP Consumer Group name already exists")) }
}

fn set_group(db: &mut Db<'_>, args: Args<'_>) -> Answer {
    let (from, _) = group_options(args, false)?;
    let last = edit_stream(db, args, |stream| stream.last)?;
    edit_group(db, args, |group| group.last = from.unwrap_or(last))?;
    Ok(Value::OK)
}

pub(super) fn xack(db: &mut Db<'_>, args: Args<'_>) -> Answer {
    let ids = args.from(3).map(|id| Id::parse(id, 0)).collect::<Result<Vec<_>, _>>()?;
    let acknowledged = db.data.edit::<Stream, _>(args.get(1), |stream| {
        let Some(group) = stream.groups.get_mut(args.get(2)) else { return (false, 0) };
        let count = ids.iter().filter(|id| group.pending.remove(id).is_some()).count();
        (count > 0, count)
    })?;
    Ok(Value::Integer(acknowledged.unwrap_or(0) as i64))
}

/// `XPENDING` without a range.
pub(super) fn xpending(db: &mut Db<'_>, args: Args<'_>) -> Answer {
    let stream = db.data.view::<Stream>(args.get(1))?;
    let group =
        stream.and_then(|stream| stream.groups.get(args.get(2))).ok_or_else(|| no_group(args, 1, 2))?;
    let mut consumers = BTreeMap::<&Bytes, usize>::new();
    for consumer in group.pending.values() {
        *consumers.entry(consumer).or_default() += 1;
    }
    let end = |id: Option<(&Id, &Bytes)>| id.map_or(Value::Null, |(id, _)| Value::Bulk(id.text()));
    let list = |(name, count): (&Bytes, usize)| bulks([name.clone(), format!("{count}").into()].into_iter());
    Ok(Value::Array(vec![
        Value::Integer(group.pending.len() as i64),
        end(group.pending.first_key_value()),
        end(group.pending.last_key_value()),
        if consumers.is_empty() {
            Value::NullArray
        } else {
            Value::Array(consumers.into_iter().map(list).collect())
        },
    ]))
}

fn no_group(args: Args<'_>, key: usize, group: usize) -> Refusal {
    let text = |at| String::from_utf8_lossy(args.get(at)).into_owned();
    Refusal::saying(format!("NOGROUP No such key '{}' or consumer group '{}'", text(key), text(group)))
}

/// What `XREAD` and `XREADGROUP` are asked.
struct Question {
    count: usize,
    wait: Wait,
    no_ack: bool,
    /// Where the names begin, and how many there are.
    names: usize,
    streams: usize,
}

impl Question {
    fn read(args: Args<'_>) -> Result<Self, Refusal> {
        let mut at = if args.is(0, "XREADGROUP") { 4 } else { 1 };
        let (mut count, mut wait, mut no_ack) = (usize::MAX, Wait::Not, false);
        loop {
            if args.is(at, "COUNT") {
                count = args.count(at + 1)?;
                at += 2;
            } else if args.is(at, "BLOCK") {
                let time = parse_int(args.get(at + 1))
                    .and_then(|time| u64::try_from(time).ok())
                    .ok_or(Refusal::of("ERR timeout is not an integer or out of range"))?;
                wait = if time == 0 { Wait::Forever } else { Wait::For(Duration::from_millis(time)) };
                at += 2;
            } else if args.is(at, "NOACK") {
                no_ack = true;
                at += 1;
            } else if args.is(at, "STREAMS") {
                at += 1;
                break;
            } else {
                return Err(Refusal::SYNTAX);
            }
        }
        let rest = args.len() - at;
        if rest == 0 || !rest.is_multiple_of(2) {
            return Err(UNBALANCED);
        }
        Ok(Self { count, wait, no_ack, names: at, streams: rest / 2 })
    }

    /// Each name with its id.
    fn streams<'a>(&self, args: Args<'a>) -> impl Iterator<Item = (Bytes, &'a [u8])> {
        let (names, streams) = (self.names, self.streams);
        (names..names + streams).map(move |at| (args.bytes(at), args.get(at + streams)))
    }
}

/// How long such a command waits.
pub(super) fn wait(args: Args<'_>) -> Result<Wait, Refusal> {
    Ok(Question::read(args)?.wait)
}

/// The same command, with what `$` stands for now.
pub(super) fn without_dollars(db: &Db<'_>, received: &ReceivedCommand) -> Option<ReceivedCommand> {
    let args = Args(received);
    let question = Question::read(args).ok()?;
    if !question.streams(args).any(|(_, id)| id == b"$") {
        return None;
    }
    let mut all: Vec<Bytes> = args.from(0).map(Bytes::copy_from_slice).collect();
    for (index, (name, id)) in question.streams(args).enumerate() {
        if id == b"$" {
            let last = db.data.view::<Stream>(&name).ok()?.map_or(Id::default(), |stream| stream.last);
            all[question.names + question.streams + index] = last.text();
        }
    }
    Some(ReceivedCommand::from_args(&all))
}

/// The answer: streams by name, or nothing.
fn answer(db: &Db<'_>, found: Vec<(Bytes, Vec<Value>)>) -> Option<Value> {
    if found.is_empty() {
        return None;
    }
    let found = found.into_iter().map(|(name, entries)| (Value::Bulk(name), Value::Array(entries)));
    Some(if db.resp3 {
        Value::Map(found.collect())
    } else {
        Value::Array(found.map(|(name, entries)| Value::Array(vec![name, entries])).collect())
    })
}

pub(super) fn xread(db: &mut Db<'_>, args: Args<'_>) -> Result<Option<Value>, Refusal> {
    let question = Question::read(args)?;
    let mut found = Vec::new();
    for (name, id) in question.streams(args) {
        let Some(stream) = db.data.view::<Stream>(&name)? else { continue };
        let after = if id == b"$" { stream.last } else { Id::parse(id, 0)? };
        let Some(from) = after.after() else { continue };
        let entries: Vec<_> = stream
            .entries
            .range(from..)
            .take(question.count)
            .map(|(id, fields)| entry(*id, Some(fields)))
            .collect();
        if !entries.is_empty() {
            found.push((name, entries));
        }
    }
    Ok(answer(db, found))
}

pub(super) fn xreadgroup(db: &mut Db<'_>, args: Args<'_>) -> Result<Option<Value>, Refusal> {
    if !args.is(1, "GROUP") {
        return Err(Refusal::SYNTAX);
    }
    let question = Question::read(args)?;
    let (group_name, consumer) = (args.get(2), args.bytes(3));
    let mut found = Vec::new();
    for (name, id) in question.streams(args) {
        let new = id == b">";
        let after = if new { Id::default() } else { Id::parse(id, 0)? };
        let entries = db.data.edit::<Stream, _>(&name, |stream| {
            let Some(group) = stream.groups.get_mut(group_name) else { return (false, None) };
            group.consumers.insert(consumer.clone());
            if !new {
                let own = group.pending.iter().filter(|(id, owner)| **id > after && **owner == consumer);
                let entries = own.take(question.count).map(|(id, _)| entry(*id, stream.entries.get(id)));
                return (false, Some(entries.collect::<Vec<_>>()));
            }
            let Some(from) = group.last.after() else { return (false, Some(Vec::new())) };
            let mut entries = Vec::new();
            for (id, fields) in stream.entries.range(from..).take(question.count) {
                group.last = *id;
                if !question.no_ack {
                    group.pending.insert(*id, consumer.clone());
                }
                entries.push(entry(*id, Some(fields)));
            }
            // Handing out is no change that others wait for.
            (false, Some(entries))
        })?;
        let entries = entries.flatten().ok_or_else(|| no_group(args, question.names, 2))?;
        // Of what was handed out before, nothing is an answer, too.
        if !entries.is_empty() || !new {
            found.push((name, entries));
        }
    }
    Ok(answer(db, found))
}
