//! Streams and their consumer groups.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use bytes::Bytes;

use super::{Options, millis};
use crate::{Arg, Blocks, Command, FromReply, Reply, ReplyError, ReplyRef, Typed};

/// An entry of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamEntry {
    /// Its id: milliseconds and a number.
    pub id: String,
    /// Fields and values in order; `None` for an entry that is pending but was deleted.
    pub fields: Option<Vec<(Bytes, Bytes)>>,
}

impl FromReply for StreamEntry {
    fn from_ref(reply: ReplyRef<'_>) -> Result<Self, ReplyError> {
        let (id, fields) = FromReply::from_ref(reply)?;
        Ok(Self { id, fields })
    }
}

/// Streams by name, each with entries.
pub type StreamEntries = Vec<(Bytes, Vec<StreamEntry>)>;

/// What a consumer group has handed out and not heard of again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PendingSummary {
    /// How many entries.
    pub count: u64,
    /// The first and the last of their ids.
    pub ids: Option<(String, String)>,
    /// Each consumer that has any, and how many.
    pub consumers: Vec<(Bytes, u64)>,
}

impl FromReply for PendingSummary {
    fn from_ref(reply: ReplyRef<'_>) -> Result<Self, ReplyError> {
        type Raw = (u64, Option<String>, Option<String>, Option<Vec<(Bytes, u64)>>);
        let (count, first, last, consumers): Raw = FromReply::from_ref(reply)?;
        Ok(Self { count, ids: first.zip(last), consumers: consumers.unwrap_or_default() })
    }
}

/// What is cut off a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TrimTo {
    /// All but the newest so many entries (`MAXLEN`).
    Len(u64),
    /// All entries before this id (`MINID`).
    Id(String),
}

/// How a stream is cut.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trim {
    /// What stays.
    pub to: TrimTo,
    /// Leave some more where that is less work (`~`).
    pub nearly: bool,
}

impl Options for Trim {
    fn add_to(&self, command: Command) -> Command {
        let nearly = if self.nearly { "~" } else { "=" };
        match &self.to {
            TrimTo::Len(len) => command.arg("MAXLEN").arg(nearly).arg(*len),
            TrimTo::Id(id) => command.arg("MINID").arg(nearly).arg(id),
        }
    }
}

/// What the commands that read streams may be given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct XReadOptions {
    /// At most so many entries of each stream.
    pub count: Option<u64>,
    /// Wait for new entries.
    pub block: Option<Blocks>,
    /// Hand out without keeping account (`NOACK`); for groups.
    pub no_ack: bool,
}

impl Options for XReadOptions {
    fn add_to(&self, command: Command) -> Command {
        let command = command.option("COUNT", self.count);
        let command = match self.block {
            Some(Blocks::For(time)) => {
                command.arg("BLOCK").arg(millis(time).max(1)).blocking(Blocks::For(time))
            }
            Some(Blocks::Forever) => command.arg("BLOCK").arg(0).blocking(Blocks::Forever),
            None => command,
        };
        command.word_if(self.no_ack, "NOACK")
    }
}

/// Streams by name and entries, or nothing.
fn entries(reply: Reply) -> Result<StreamEntries, ReplyError> {
    Option::from_reply(reply).map(Option::unwrap_or_default)
}

/// Adds `STREAMS`, all names, then all ids.
fn streams<K: Arg, I: Arg>(command: Command, streams: impl IntoIterator<Item = (K, I)>) -> Command {
    let (names, ids): (Vec<K>, Vec<I>) = streams.into_iter().unzip();
    command.arg("STREAMS").args(names).args(ids)
}

/// `XREAD`: the entries behind the id that is given for each stream (`$`: only new ones). Nothing is an empty list.
pub fn xread<K: Arg, I: Arg>(
    names_and_ids: impl IntoIterator<Item = (K, I)>,
    options: &XReadOptions,
) -> Typed<StreamEntries> {
    let command = options.add_to(Command::new("XREAD"));
    Typed::with(streams(command, names_and_ids).read_only(), entries)
}

/// `XREADGROUP`: entries for one consumer of a group; id `>` stands for those that no consumer has seen.
pub fn xreadgroup<K: Arg, I: Arg>(
    group: impl Arg,
    consumer: impl Arg,
    names_and_ids: impl IntoIterator<Item = (K, I)>,
    options: &XReadOptions,
) -> Typed<StreamEntries> {
    let command = options.add_to(Command::new("XREADGROUP").arg("GROUP").arg(group).arg(consumer));
    Typed::with(streams(command, names_and_ids), entries)
}

/// `XCLAIM`: takes over entries that have been pending for so long.
pub fn xclaim(
    key: impl Arg,
    group: impl Arg,
    consumer: impl Arg,
    idle: Duration,
    ids: impl IntoIterator<Item = impl Arg>,
) -> Typed<Vec<StreamEntry>> {
    Typed::new(Command::new("XCLAIM").arg(key).arg(group).arg(consumer).arg(millis(idle)).args(ids))
}

/// `XCLAIM ... JUSTID`: as [`xclaim`], with the ids alone.
pub fn xclaim_justid(
    key: impl Arg,
    group: impl Arg,
    consumer: impl Arg,
    idle: Duration,
    ids: impl IntoIterator<Item = impl Arg>,
) -> Typed<Vec<String>> {
    let command = Command::new("XCLAIM").arg(key).arg(group).arg(consumer).arg(millis(idle)).args(ids);
    Typed::new(command.arg("JUSTID"))
}

/// `XAUTOCLAIM`: takes over what has been pending for so long, from `start` on: where to go on, and the entries.
pub fn xautoclaim(
    key: impl Arg,
    group: impl Arg,
    consumer: impl Arg,
    idle: Duration,
    start: impl Arg,
    count: Option<u64>,
) -> Typed<(String, Vec<StreamEntry>)> {
    let command = Command::new("XAUTOCLAIM").arg(key).arg(group).arg(consumer).arg(millis(idle)).arg(start);
    Typed::with(command.option("COUNT", count), |reply| {
        // Redis 7.0 adds a third part, the ids of entries that were deleted.
        let mut parts = reply.view().elements().into_iter().flatten();
        let mut next = || parts.next().unwrap_or(ReplyRef::Null);
        if reply.as_error().is_some() {
            return Err(ReplyError::unexpected("claimed entries", &reply.view()));
        }
        Ok((FromReply::from_ref(next())?, FromReply::from_ref(next())?))
    })
}

/// `XADD`: adds an entry (id `*`: a new one); its id.
pub fn xadd(
    key: impl Arg,
    id: impl Arg,
    fields: impl IntoIterator<Item = (impl Arg, impl Arg)>,
) -> Typed<String> {
    Typed::new(Command::new("XADD").arg(key).arg(id).pairs(fields))
}

/// `XADD`: as [`xadd`], and cuts the stream.
pub fn xadd_trimming(
    key: impl Arg,
    trim: &Trim,
    id: impl Arg,
    fields: impl IntoIterator<Item = (impl Arg, impl Arg)>,
) -> Typed<String> {
    Typed::new(Command::new("XADD").arg(key).with(trim).arg(id).pairs(fields))
}

/// `XADD`: as [`xadd`], only if there is a stream.
pub fn xadd_existing(
    key: impl Arg,
    id: impl Arg,
    fields: impl IntoIterator<Item = (impl Arg, impl Arg)>,
) -> Typed<Option<String>> {
    Typed::new(Command::new("XADD").arg(key).arg("NOMKSTREAM").arg(id).pairs(fields))
}

/// `XLEN`: how many entries there are.
pub fn xlen(key: impl Arg) -> Typed<usize> {
    Typed::new(Command::new("XLEN").arg(key).read_only())
}

/// `XRANGE`: the entries between two ids; `-` and `+` are the ends.
pub fn xrange(key: impl Arg, start: impl Arg, end: impl Arg, count: Option<u64>) -> Typed<Vec<StreamEntry>> {
    Typed::new(Command::new("XRANGE").arg(key).arg(start).arg(end).option("COUNT", count).read_only())
}

/// `XREVRANGE`: as [`xrange`], backwards; the later id comes first.
pub fn xrevrange(
    key: impl Arg,
    end: impl Arg,
    start: impl Arg,
    count: Option<u64>,
) -> Typed<Vec<StreamEntry>> {
    Typed::new(Command::new("XREVRANGE").arg(key).arg(end).arg(start).option("COUNT", count).read_only())
}

/// `XDEL`: how many there were.
pub fn xdel(key: impl Arg, ids: impl IntoIterator<Item = impl Arg>) -> Typed<u64> {
    Typed::new(Command::new("XDEL").arg(key).args(ids))
}

/// `XTRIM`: cuts the stream; how many entries are gone.
pub fn xtrim(key: impl Arg, trim: &Trim) -> Typed<u64> {
    Typed::new(Command::new("XTRIM").arg(key).with(trim))
}

/// `XSETID`: changes the last id.
pub fn xsetid(key: impl Arg, last_id: impl Arg) -> Typed<()> {
    Typed::new(Command::new("XSETID").arg(key).arg(last_id))
}

/// `XACK`: how many were pending and no longer are.
pub fn xack(key: impl Arg, group: impl Arg, ids: impl IntoIterator<Item = impl Arg>) -> Typed<u64> {
    Typed::new(Command::new("XACK").arg(key).arg(group).args(ids))
}

/// `XGROUP CREATE`: a new group, which has seen everything up to `id` (`$`: all there is).
pub fn xgroup_create(key: impl Arg, group: impl Arg, id: impl Arg, make_stream: bool) -> Typed<()> {
    Typed::new(
        Command::new("XGROUP").arg("CREATE").arg(key).arg(group).arg(id).word_if(make_stream, "MKSTREAM"),
    )
}

/// `XGROUP SETID`: what the group has seen.
pub fn xgroup_setid(key: impl Arg, group: impl Arg, id: impl Arg) -> Typed<()> {
    Typed::new(Command::new("XGROUP").arg("SETID").arg(key).arg(group).arg(id))
}

/// `XGROUP DESTROY`: true if there was one.
pub fn xgroup_destroy(key: impl Arg, group: impl Arg) -> Typed<bool> {
    Typed::new(Command::new("XGROUP").arg("DESTROY").arg(key).arg(group))
}

/// `XGROUP CREATECONSUMER`: true if it is new.
pub fn xgroup_createconsumer(key: impl Arg, group: impl Arg, consumer: impl Arg) -> Typed<bool> {
    Typed::new(Command::new("XGROUP").arg("CREATECONSUMER").arg(key).arg(group).arg(consumer))
}

/// `XGROUP DELCONSUMER`: how many entries it had pending.
pub fn xgroup_delconsumer(key: impl Arg, group: impl Arg, consumer: impl Arg) -> Typed<u64> {
    Typed::new(Command::new("XGROUP").arg("DELCONSUMER").arg(key).arg(group).arg(consumer))
}

/// `XGROUP HELP`: the server's own help.
pub fn xgroup_help() -> Typed<Vec<String>> {
    Typed::new(Command::new("XGROUP").arg("HELP").read_only())
}

/// `XPENDING`: what was handed out and not acknowledged.
pub fn xpending(key: impl Arg, group: impl Arg) -> Typed<PendingSummary> {
    Typed::new(Command::new("XPENDING").arg(key).arg(group).read_only())
}

/// `XPENDING` of a range: id, consumer, milliseconds since it was handed out, and how often that was.
pub fn xpending_range(
    key: impl Arg,
    group: impl Arg,
    start: impl Arg,
    end: impl Arg,
    count: u64,
    consumer: Option<&str>,
) -> Typed<Vec<(String, Bytes, u64, u64)>> {
    Typed::new(
        Command::new("XPENDING")
            .arg(key)
            .arg(group)
            .arg(start)
            .arg(end)
            .arg(count)
            .args(consumer)
            .read_only(),
    )
}

/// `XINFO STREAM`: what the server knows of a stream.
pub fn xinfo_stream(key: impl Arg) -> Typed<BTreeMap<String, Reply>> {
    Typed::new(Command::new("XINFO").arg("STREAM").arg(key).read_only())
}

/// `XINFO GROUPS`: of its groups.
pub fn xinfo_groups(key: impl Arg) -> Typed<Vec<BTreeMap<String, Reply>>> {
    Typed::new(Command::new("XINFO").arg("GROUPS").arg(key).read_only())
}

/// `XINFO CONSUMERS`: of a group's consumers.
pub fn xinfo_consumers(key: impl Arg, group: impl Arg) -> Typed<Vec<BTreeMap<String, Reply>>> {
    Typed::new(Command::new("XINFO").arg("CONSUMERS").arg(key).arg(group).read_only())
}

/// `XINFO HELP`: the server's own help.
pub fn xinfo_help() -> Typed<Vec<String>> {
    Typed::new(Command::new("XINFO").arg("HELP").read_only())
}
