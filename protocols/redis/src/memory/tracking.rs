//! `CLIENT TRACKING`: telling clients what has changed of what they have read.

use alloc::collections::BTreeSet;
use alloc::vec;
use alloc::vec::Vec;

use bytes::Bytes;

use super::args::Args;
use super::refusal::{Answer, Refusal};
use super::server::{ConnectionId, Server};
use super::session::{Session, Tracking};
use crate::cache::Keys;
use crate::wire::{Protocol, Value};

impl Server {
    pub(super) fn set_tracking(&mut self, id: ConnectionId, args: Args<'_>) -> Answer {
        let tracking = if args.is(2, "ON") {
            Some(options(args)?)
        } else if args.is(2, "OFF") && args.len() == 3 {
            None
        } else {
            return Err(Refusal::SYNTAX);
        };
        let former = core::mem::replace(&mut self.session(id)?.tracking, tracking);
        self.untrack(id, former.as_ref());
        Ok(Value::OK)
    }

    /// Forgets what `id` has read.
    pub(super) fn untrack(&mut self, id: ConnectionId, tracking: Option<&Tracking>) {
        if tracking.is_some_and(|tracking| tracking.prefixes.is_none()) {
            self.tracked.retain(|_, readers| {
                readers.remove(&id);
                !readers.is_empty()
            });
        }
    }

    /// Remembers what a command has read, if its session wants that.
    pub(super) fn track(&mut self, id: ConnectionId, args: Args<'_>) {
        let wants = |session: &Session| session.tracking.as_ref().is_some_and(|one| one.prefixes.is_none());
        if !self.sessions.get(&id).is_some_and(wants) {
            return;
        }
        let Some(keys) = Keys::of(args.from(0)) else { return };
        for key in keys {
            self.tracked.entry(Bytes::copy_from_slice(key)).or_default().insert(id);
        }
        while self.tracked.len() > self.config.max_tracked_keys {
            let Some((key, readers)) = self.tracked.pop_first() else { return };
            self.tell(&key, &readers);
        }
    }

    /// Tells whoever wants to know that a key has changed.
    pub(super) fn tell_of_change(&mut self, key: &Bytes) {
        let mut listeners = self.tracked.remove(key).unwrap_or_default();
        for (id, session) in &self.sessions {
            let prefixes = session.tracking.as_ref().and_then(|tracking| tracking.prefixes.as_ref());
            if prefixes.is_some_and(|prefixes| prefixes.iter().any(|prefix| key.starts_with(prefix))) {
                listeners.insert(*id);
            }
        }
        if let Some(caller) = self.caller
            && let Some(Tracking { no_loop: true, .. }) =
                self.sessions.get(&caller).and_then(|session| session.tracking.as_ref())
        {
            listeners.remove(&caller);
        }
        self.tell(key, &listeners);
    }

    fn tell(&mut self, key: &Bytes, listeners: &BTreeSet<ConnectionId>) {
        let max = self.config.max_mailbox;
        for id in listeners {
            // Over RESP2 there is no way to say it.
            if let Some(session) = self.sessions.get_mut(id)
                && session.protocol == Protocol::Resp3
            {
                let keys = Value::Array(vec![Value::Bulk(key.clone())]);
                session.post_message(Value::Push(vec![Value::bulk("invalidate"), keys]), key.len(), max);
            }
        }
    }
}

fn options(args: Args<'_>) -> Result<Tracking, Refusal> {
    let (mut broadcast, mut prefixes, mut no_loop, mut at) = (false, Vec::new(), false, 3);
    while at < args.len() {
        if args.is(at, "BCAST") {
            broadcast = true;
        } else if args.is(at, "NOLOOP") {
            no_loop = true;
        } else if args.is(at, "PREFIX") && at + 1 < args.len() {
            at += 1;
            prefixes.push(args.bytes(at));
        } else {
            // REDIRECT, OPTIN and OPTOUT are not known here.
            return Err(Refusal::SYNTAX);
        }
        at += 1;
    }
    if !broadcast && !prefixes.is_empty() {
        return Err(Refusal::of("ERR PREFIX option requires BCAST mode to be enabled"));
    }
    let overlap = |(at, one): (usize, &Bytes)| {
        prefixes[at + 1..].iter().any(|other| one.starts_with(other) || other.starts_with(one))
    };
    if prefixes.iter().enumerate().any(overlap) {
        return Err(Refusal::of("ERR Prefixes overlap. Prefixes for a single client must not overlap."));
    }
    if broadcast && prefixes.is_empty() {
        prefixes.push(Bytes::new());
    }
    Ok(Tracking { prefixes: broadcast.then_some(prefixes), no_loop })
}

/// What `CLIENT TRACKINGINFO` answers.
pub(super) fn tracking_info(session: &Session) -> Value {
    let (mut flags, mut told) = (Vec::new(), Vec::new());
    match &session.tracking {
        None => flags.push(Value::bulk("off")),
        Some(tracking) => {
            flags.push(Value::bulk("on"));
            flags.extend(tracking.prefixes.is_some().then(|| Value::bulk("bcast")));
            flags.extend(tracking.no_loop.then(|| Value::bulk("noloop")));
            told.extend(tracking.prefixes.iter().flatten().cloned().map(Value::Bulk));
        }
    }
    let redirect = if session.tracking.is_some() { 0 } else { -1 };
    Value::Map(vec![
        (Value::bulk("flags"), Value::Set(flags)),
        (Value::bulk("redirect"), Value::Integer(redirect)),
        (Value::bulk("prefixes"), Value::Array(told)),
    ])
}
