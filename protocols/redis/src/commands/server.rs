//! The server as a whole: its data, configuration, memory and delays.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use crate::command::Subscribes;
use crate::{Arg, Command, Reply, Typed};

/// `DBSIZE`: how many keys there are.
pub fn dbsize() -> Typed<u64> {
    Typed::new(Command::new("DBSIZE").read_only())
}

/// `FLUSHDB`: empties the database.
pub fn flushdb() -> Typed<()> {
    Typed::new(Command::new("FLUSHDB"))
}

/// `FLUSHALL`: empties all databases.
pub fn flushall() -> Typed<()> {
    Typed::new(Command::new("FLUSHALL"))
}

/// `SWAPDB`: exchanges two databases.
pub fn swapdb(one: u32, other: u32) -> Typed<()> {
    Typed::new(Command::new("SWAPDB").arg(one).arg(other))
}

/// `INFO`: the server's figures as `name:value` lines; all sections, or one.
pub fn info(section: Option<&str>) -> Typed<String> {
    Typed::new(Command::new("INFO").args(section).read_only())
}

/// `TIME`: the server's Unix time in seconds, and microseconds of the current one.
pub fn time() -> Typed<(u64, u32)> {
    Typed::new(Command::new("TIME").read_only())
}

/// `MONITOR`: shows every command that the server runs, as pushes that [`MonitorLine`](crate::MonitorLine) reads; the first answer is `OK`. For
/// a connection of its own.
pub fn monitor() -> Command {
    Command::new("MONITOR").subscribing(Subscribes::Everything)
}

/// `LASTSAVE`: when it was last saved, in seconds of Unix time.
pub fn lastsave() -> Typed<u64> {
    Typed::new(Command::new("LASTSAVE").read_only())
}

/// `SAVE`: saves, and serves nobody meanwhile.
pub fn save() -> Typed<()> {
    Typed::new(Command::new("SAVE"))
}

/// `BGSAVE`: begins to save in the background.
pub fn bgsave() -> Typed<String> {
    Typed::new(Command::new("BGSAVE"))
}

/// `BGREWRITEAOF`: begins to write the append-only file anew.
pub fn bgrewriteaof() -> Typed<String> {
    Typed::new(Command::new("BGREWRITEAOF"))
}

/// `SHUTDOWN`: ends the server (`SAVE`, `NOSAVE`, `ABORT`); no answer comes but the end of the connection, or a refusal.
pub fn shutdown(mode: Option<&str>) -> Typed<()> {
    Typed::new(Command::new("SHUTDOWN").args(mode))
}

/// `ROLE`: primary or replica, and of or with whom.
pub fn role() -> Typed<Reply> {
    Typed::new(Command::new("ROLE").read_only())
}

/// `REPLICAOF`: makes it a replica; `NO ONE` makes it a primary.
pub fn replicaof(host: impl Arg, port: impl Arg) -> Typed<()> {
    Typed::new(Command::new("REPLICAOF").arg(host).arg(port))
}

/// `SLAVEOF`: the old name of [`replicaof`].
pub fn slaveof(host: impl Arg, port: impl Arg) -> Typed<()> {
    Typed::new(Command::new("SLAVEOF").arg(host).arg(port))
}

/// `FAILOVER`: hands over to a replica.
pub fn failover(options: impl IntoIterator<Item = impl Arg>) -> Typed<()> {
    Typed::new(Command::new("FAILOVER").args(options))
}

/// `LOLWUT`: a picture.
pub fn lolwut() -> Typed<String> {
    Typed::new(Command::new("LOLWUT").read_only())
}

/// `COMMAND COUNT`: how many commands the server knows.
pub fn command_count() -> Typed<u64> {
    Typed::new(Command::new("COMMAND").arg("COUNT").read_only())
}

/// `COMMAND`: all of them, and what they are.
pub fn command_all() -> Typed<Vec<Reply>> {
    Typed::new(Command::new("COMMAND").read_only())
}

/// `COMMAND DOCS`: what they are for.
pub fn command_docs(names: impl IntoIterator<Item = impl Arg>) -> Typed<BTreeMap<String, Reply>> {
    Typed::new(Command::new("COMMAND").arg("DOCS").args(names).read_only())
}

/// `COMMAND INFO`: what they are.
pub fn command_info(names: impl IntoIterator<Item = impl Arg>) -> Typed<Vec<Option<Reply>>> {
    Typed::new(Command::new("COMMAND").arg("INFO").args(names).read_only())
}

/// `COMMAND LIST`: all names.
pub fn command_list() -> Typed<Vec<String>> {
    Typed::new(Command::new("COMMAND").arg("LIST").read_only())
}

/// `COMMAND GETKEYS`: which arguments of a command are keys.
pub fn command_getkeys(command: impl Arg, args: impl IntoIterator<Item = impl Arg>) -> Typed<Vec<String>> {
    Typed::new(Command::new("COMMAND").arg("GETKEYS").arg(command).args(args).read_only())
}

/// `COMMAND GETKEYSANDFLAGS`: and what the command does with them.
pub fn command_getkeysandflags(
    command: impl Arg,
    args: impl IntoIterator<Item = impl Arg>,
) -> Typed<Vec<(String, Vec<String>)>> {
    Typed::new(Command::new("COMMAND").arg("GETKEYSANDFLAGS").arg(command).args(args).read_only())
}

/// `COMMAND HELP`: the server's own help.
pub fn command_help() -> Typed<Vec<String>> {
    Typed::new(Command::new("COMMAND").arg("HELP").read_only())
}

/// `CONFIG GET`: the settings that match.
pub fn config_get(patterns: impl IntoIterator<Item = impl Arg>) -> Typed<BTreeMap<String, String>> {
    Typed::new(Command::new("CONFIG").arg("GET").args(patterns).read_only())
}

/// `CONFIG SET`: changes settings.
pub fn config_set(settings: impl IntoIterator<Item = (impl Arg, impl Arg)>) -> Typed<()> {
    Typed::new(Command::new("CONFIG").arg("SET").pairs(settings))
}

/// `CONFIG RESETSTAT`: sets the figures of `INFO` to 0.
pub fn config_resetstat() -> Typed<()> {
    Typed::new(Command::new("CONFIG").arg("RESETSTAT"))
}

/// `CONFIG REWRITE`: writes the settings to the file they came from.
pub fn config_rewrite() -> Typed<()> {
    Typed::new(Command::new("CONFIG").arg("REWRITE"))
}

/// `CONFIG HELP`: the server's own help.
pub fn config_help() -> Typed<Vec<String>> {
    Typed::new(Command::new("CONFIG").arg("HELP").read_only())
}

/// `SLOWLOG GET`: the slowest commands of late.
pub fn slowlog_get(count: Option<i64>) -> Typed<Vec<Reply>> {
    Typed::new(Command::new("SLOWLOG").arg("GET").args(count).read_only())
}

/// `SLOWLOG LEN`: how many are remembered.
pub fn slowlog_len() -> Typed<u64> {
    Typed::new(Command::new("SLOWLOG").arg("LEN").read_only())
}

/// `SLOWLOG RESET`: forgets them.
pub fn slowlog_reset() -> Typed<()> {
    Typed::new(Command::new("SLOWLOG").arg("RESET"))
}

/// `SLOWLOG HELP`: the server's own help.
pub fn slowlog_help() -> Typed<Vec<String>> {
    Typed::new(Command::new("SLOWLOG").arg("HELP").read_only())
}

/// `MEMORY USAGE`: how many bytes a key and its value take.
pub fn memory_usage(key: impl Arg, samples: Option<u64>) -> Typed<Option<u64>> {
    Typed::new(Command::new("MEMORY").arg("USAGE").arg(key).option("SAMPLES", samples).read_only())
}

/// `MEMORY STATS`: where memory goes.
pub fn memory_stats() -> Typed<BTreeMap<String, Reply>> {
    Typed::new(Command::new("MEMORY").arg("STATS").read_only())
}

/// `MEMORY DOCTOR`: what is wrong with it.
pub fn memory_doctor() -> Typed<String> {
    Typed::new(Command::new("MEMORY").arg("DOCTOR").read_only())
}

/// `MEMORY MALLOC-STATS`: what the allocator says.
pub fn memory_malloc_stats() -> Typed<String> {
    Typed::new(Command::new("MEMORY").arg("MALLOC-STATS").read_only())
}

/// `MEMORY PURGE`: gives back what is not used.
pub fn memory_purge() -> Typed<()> {
    Typed::new(Command::new("MEMORY").arg("PURGE"))
}

/// `MEMORY HELP`: the server's own help.
pub fn memory_help() -> Typed<Vec<String>> {
    Typed::new(Command::new("MEMORY").arg("HELP").read_only())
}

/// `LATENCY DOCTOR`: what is slow.
pub fn latency_doctor() -> Typed<String> {
    Typed::new(Command::new("LATENCY").arg("DOCTOR").read_only())
}

/// `LATENCY GRAPH`: a picture of one kind of delay.
pub fn latency_graph(event: impl Arg) -> Typed<String> {
    Typed::new(Command::new("LATENCY").arg("GRAPH").arg(event).read_only())
}

/// `LATENCY HISTOGRAM`: how long commands took.
pub fn latency_histogram(commands: impl IntoIterator<Item = impl Arg>) -> Typed<BTreeMap<String, Reply>> {
    Typed::new(Command::new("LATENCY").arg("HISTOGRAM").args(commands).read_only())
}

/// `LATENCY HISTORY`: when a kind of delay was seen, and how many milliseconds.
pub fn latency_history(event: impl Arg) -> Typed<Vec<(u64, u64)>> {
    Typed::new(Command::new("LATENCY").arg("HISTORY").arg(event).read_only())
}

/// `LATENCY LATEST`: each kind of delay: when it was last seen, how long that was, and the longest, in milliseconds.
pub fn latency_latest() -> Typed<Vec<(String, u64, u64, u64)>> {
    Typed::new(Command::new("LATENCY").arg("LATEST").read_only())
}

/// `LATENCY RESET`: forgets kinds of delay, or all; how many.
pub fn latency_reset(events: impl IntoIterator<Item = impl Arg>) -> Typed<u64> {
    Typed::new(Command::new("LATENCY").arg("RESET").args(events))
}

/// `LATENCY HELP`: the server's own help.
pub fn latency_help() -> Typed<Vec<String>> {
    Typed::new(Command::new("LATENCY").arg("HELP").read_only())
}

/// `MODULE LIST`: what is loaded.
pub fn module_list() -> Typed<Vec<BTreeMap<String, Reply>>> {
    Typed::new(Command::new("MODULE").arg("LIST").read_only())
}

/// `MODULE LOAD`: loads one.
pub fn module_load(path: impl Arg, args: impl IntoIterator<Item = impl Arg>) -> Typed<()> {
    Typed::new(Command::new("MODULE").arg("LOAD").arg(path).args(args))
}

/// `MODULE LOADEX`: loads one, with settings.
pub fn module_loadex(path: impl Arg, args: impl IntoIterator<Item = impl Arg>) -> Typed<()> {
    Typed::new(Command::new("MODULE").arg("LOADEX").arg(path).args(args))
}

/// `MODULE UNLOAD`: unloads one.
pub fn module_unload(name: impl Arg) -> Typed<()> {
    Typed::new(Command::new("MODULE").arg("UNLOAD").arg(name))
}

/// `MODULE HELP`: the server's own help.
pub fn module_help() -> Typed<Vec<String>> {
    Typed::new(Command::new("MODULE").arg("HELP").read_only())
}
