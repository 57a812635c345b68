//! Publishing and subscribing.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec;
use alloc::vec::Vec;

use bytes::Bytes;

use super::args::Args;
use super::glob;
use super::server::{ConnectionId, Outcome, Output, Server};
use super::session::Session;
use crate::Scope;
use crate::wire::Value;

type Listeners = BTreeMap<Bytes, BTreeSet<ConnectionId>>;

/// Who listens to what.
#[derive(Debug, Default)]
pub(super) struct PubSub {
    channels: Listeners,
    patterns: Listeners,
    shards: Listeners,
}

impl PubSub {
    fn of(&mut self, scope: Scope) -> &mut Listeners {
        match scope {
            Scope::Channel => &mut self.channels,
            Scope::Pattern => &mut self.patterns,
            Scope::Shard => &mut self.shards,
        }
    }

    fn remove(&mut self, scope: Scope, name: &Bytes, id: ConnectionId) {
        let listeners = self.of(scope);
        if let Some(ids) = listeners.get_mut(name) {
            ids.remove(&id);
            if ids.is_empty() {
                listeners.remove(name);
            }
        }
    }

    /// A session is over.
    pub(super) fn forget(&mut self, id: ConnectionId, session: &Session) {
        for scope in [Scope::Channel, Scope::Pattern, Scope::Shard] {
            for name in names(session, scope) {
                self.remove(scope, name, id);
            }
        }
    }
}

fn names(session: &Session, scope: Scope) -> &BTreeSet<Bytes> {
    match scope {
        Scope::Channel => &session.channels,
        Scope::Pattern => &session.patterns,
        Scope::Shard => &session.shards,
    }
}

fn names_mut(session: &mut Session, scope: Scope) -> &mut BTreeSet<Bytes> {
    match scope {
        Scope::Channel => &mut session.channels,
        Scope::Pattern => &mut session.patterns,
        Scope::Shard => &mut session.shards,
    }
}

/// A confirmation: what was done, to which name, and how many subscriptions there are now.
fn confirm(session: &mut Session, scope: Scope, word: &'static str, name: Value) {
    let count = if scope == Scope::Shard { session.shards.len() } else { session.subscriptions() };
    session.post(Output::Push(Value::Push(vec![Value::bulk(word), name, Value::Integer(count as i64)])));
}

impl Server {
    fn begin(&mut self, id: ConnectionId, args: Args<'_>, scope: Scope, word: &'static str) -> Outcome {
        for at in 1..args.len() {
            let name = args.bytes(at);
            let Some(session) = self.sessions.get_mut(&id) else { break };
            if names_mut(session, scope).insert(name.clone()) {
                self.pubsub.of(scope).entry(name.clone()).or_default().insert(id);
            }
            confirm(session, scope, word, Value::Bulk(name));
        }
        Outcome::Answered
    }

    fn end(&mut self, id: ConnectionId, args: Args<'_>, scope: Scope, word: &'static str) -> Outcome {
        let Some(session) = self.sessions.get_mut(&id) else { return Outcome::Answered };
        let ended: Vec<Bytes> = match args.len() {
            1 => names(session, scope).iter().cloned().collect(),
            len => (1..len).map(|at| args.bytes(at)).collect(),
        };
        if ended.is_empty() {
            confirm(session, scope, word, Value::Null);
        }
        for name in ended {
            names_mut(session, scope).remove(&name);
            self.pubsub.remove(scope, &name, id);
            confirm(session, scope, word, Value::Bulk(name));
        }
        Outcome::Answered
    }

    pub(super) fn subscribe(&mut self, id: ConnectionId, args: Args<'_>) -> Outcome {
        self.begin(id, args, Scope::Channel, "subscribe")
    }

    pub(super) fn psubscribe(&mut self, id: ConnectionId, args: Args<'_>) -> Outcome {
        self.begin(id, args, Scope::Pattern, "psubscribe")
    }

    pub(super) fn ssubscribe(&mut self, id: ConnectionId, args: Args<'_>) -> Outcome {
        self.begin(id, args, Scope::Shard, "ssubscribe")
    }

    pub(super) fn unsubscribe(&mut self, id: ConnectionId, args: Args<'_>) -> Outcome {
        self.end(id, args, Scope::Channel, "unsubscribe")
    }

    pub(super) fn punsubscribe(&mut self, id: ConnectionId, args: Args<'_>) -> Outcome {
        self.end(id, args, Scope::Pattern, "punsubscribe")
    }

    pub(super) fn sunsubscribe(&mut self, id: ConnectionId, args: Args<'_>) -> Outcome {
        self.end(id, args, Scope::Shard, "sunsubscribe")
    }

    fn deliver(&mut self, ids: &BTreeSet<ConnectionId>, message: &[Value], len: usize) {
        let max = self.config.max_mailbox;
        for id in ids {
            if let Some(session) = self.sessions.get_mut(id) {
                session.post_message(Value::Push(message.to_vec()), len, max);
            }
        }
    }

    pub(super) fn publish(&mut self, _id: ConnectionId, args: Args<'_>) -> Outcome {
        let (channel, payload) = (args.bytes(1), args.bytes(2));
        let len = channel.len() + payload.len();
        let bulk = |bytes: &Bytes| Value::Bulk(bytes.clone());
        let direct = self.pubsub.channels.get(&channel).cloned().unwrap_or_default();
        self.deliver(&direct, &[Value::bulk("message"), bulk(&channel), bulk(&payload)], len);
        let mut count = direct.len();
        let patterns = self.pubsub.patterns.iter().filter(|(pattern, _)| glob::matches(pattern, &channel));
        let patterns: Vec<_> = patterns.map(|(pattern, ids)| (pattern.clone(), ids.clone())).collect();
        for (pattern, ids) in patterns {
            let message = [Value::bulk("pmessage"), bulk(&pattern), bulk(&channel), bulk(&payload)];
            self.deliver(&ids, &message, len + pattern.len());
            count += ids.len();
        }
        Outcome::Reply(Value::Integer(count as i64))
    }

    pub(super) fn spublish(&mut self, _id: ConnectionId, args: Args<'_>) -> Outcome {
        let (channel, payload) = (args.bytes(1), args.bytes(2));
        let len = channel.len() + payload.len();
        let ids = self.pubsub.shards.get(&channel).cloned().unwrap_or_default();
        self.deliver(&ids, &[Value::bulk("smessage"), Value::Bulk(channel), Value::Bulk(payload)], len);
        Outcome::Reply(Value::Integer(ids.len() as i64))
    }

    pub(super) fn pubsub(&mut self, _id: ConnectionId, args: Args<'_>) -> Outcome {
        let matching = |listeners: &Listeners| {
            let found = listeners.keys().filter(|name| args.len() < 3 || glob::matches(args.get(2), name));
            Value::Array(found.cloned().map(Value::Bulk).collect())
        };
        let counts = |listeners: &Listeners| {
            let count = |name: &[u8]| Value::Integer(listeners.get(name).map_or(0, BTreeSet::len) as i64);
            Value::Array(args.from(2).flat_map(|name| [Value::bulk(name), count(name)]).collect())
        };
        Outcome::Reply(match () {
            () if args.is(1, "CHANNELS") => matching(&self.pubsub.channels),
            () if args.is(1, "SHARDCHANNELS") => matching(&self.pubsub.shards),
            () if args.is(1, "NUMSUB") => counts(&self.pubsub.channels),
            () if args.is(1, "SHARDNUMSUB") => counts(&self.pubsub.shards),
            () if args.is(1, "NUMPAT") => Value::Integer(self.pubsub.patterns.len() as i64),
            () => Value::error("ERR unknown subcommand. Try PUBSUB HELP."),
        })
    }
}
