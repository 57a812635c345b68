//! Publishing and subscribing.
//!
//! The commands that subscribe are plain [`Command`]s: they are answered by one confirmation for each name, which
//! [`PushMessage::parse`](crate::PushMessage::parse) reads. Messages come as pushes.

use alloc::string::String;
use alloc::vec::Vec;

use bytes::Bytes;

use crate::command::Subscribes;
use crate::{Arg, Command, Scope, Typed};

fn subscribing<A: Arg>(word: &str, names: impl IntoIterator<Item = A>) -> Command {
    let command = Command::new(word).args(names);
    let names = command.arg_count() - 1;
    command.subscribing(Subscribes::Names(names))
}

fn unsubscribing<A: Arg>(word: &str, scope: Scope, names: impl IntoIterator<Item = A>) -> Command {
    let command = Command::new(word).args(names);
    match command.arg_count() - 1 {
        0 => command.subscribing(Subscribes::AllOf(scope)),
        names => command.subscribing(Subscribes::Names(names)),
    }
}

/// `SUBSCRIBE` to channels; at least one.
pub fn subscribe<A: Arg>(channels: impl IntoIterator<Item = A>) -> Command {
    subscribing("SUBSCRIBE", channels)
}

/// `PSUBSCRIBE` to glob-style patterns; at least one.
pub fn psubscribe<A: Arg>(patterns: impl IntoIterator<Item = A>) -> Command {
    subscribing("PSUBSCRIBE", patterns)
}

/// `SSUBSCRIBE` to shard channels; at least one.
pub fn ssubscribe<A: Arg>(channels: impl IntoIterator<Item = A>) -> Command {
    subscribing("SSUBSCRIBE", channels)
}

/// `UNSUBSCRIBE` from channels, or from all of them when none is named.
pub fn unsubscribe<A: Arg>(channels: impl IntoIterator<Item = A>) -> Command {
    unsubscribing("UNSUBSCRIBE", Scope::Channel, channels)
}

/// `PUNSUBSCRIBE` from patterns, or from all of them when none is named.
pub fn punsubscribe<A: Arg>(patterns: impl IntoIterator<Item = A>) -> Command {
    unsubscribing("PUNSUBSCRIBE", Scope::Pattern, patterns)
}

/// `SUNSUBSCRIBE` from shard channels, or from all of them when none is named.
pub fn sunsubscribe<A: Arg>(channels: impl IntoIterator<Item = A>) -> Command {
    unsubscribing("SUNSUBSCRIBE", Scope::Shard, channels)
}

/// `PUBLISH`: how many received it.
pub fn publish(channel: impl Arg, message: impl Arg) -> Typed<u64> {
    Typed::new(Command::new("PUBLISH").arg(channel).arg(message))
}

/// `SPUBLISH` to a shard channel: how many received it.
pub fn spublish(channel: impl Arg, message: impl Arg) -> Typed<u64> {
    Typed::new(Command::new("SPUBLISH").arg(channel).arg(message))
}

/// `PUBSUB CHANNELS`: those that somebody listens to, all or those that match.
pub fn pubsub_channels(pattern: Option<&str>) -> Typed<Vec<Bytes>> {
    Typed::new(Command::new("PUBSUB").arg("CHANNELS").args(pattern).read_only())
}

/// `PUBSUB NUMSUB`: each channel and how many listen to it.
pub fn pubsub_numsub<A: Arg>(channels: impl IntoIterator<Item = A>) -> Typed<Vec<(Bytes, u64)>> {
    Typed::new(Command::new("PUBSUB").arg("NUMSUB").args(channels).read_only())
}

/// `PUBSUB NUMPAT`: how many patterns are listened for.
pub fn pubsub_numpat() -> Typed<u64> {
    Typed::new(Command::new("PUBSUB").arg("NUMPAT").read_only())
}

/// `PUBSUB SHARDCHANNELS`: those that somebody listens to, all or those that match.
pub fn pubsub_shardchannels(pattern: Option<&str>) -> Typed<Vec<Bytes>> {
    Typed::new(Command::new("PUBSUB").arg("SHARDCHANNELS").args(pattern).read_only())
}

/// `PUBSUB SHARDNUMSUB`: each shard channel and how many listen to it.
pub fn pubsub_shardnumsub<A: Arg>(channels: impl IntoIterator<Item = A>) -> Typed<Vec<(Bytes, u64)>> {
    Typed::new(Command::new("PUBSUB").arg("SHARDNUMSUB").args(channels).read_only())
}

/// `PUBSUB HELP`: the server's own help.
pub fn pubsub_help() -> Typed<Vec<String>> {
    Typed::new(Command::new("PUBSUB").arg("HELP").read_only())
}
