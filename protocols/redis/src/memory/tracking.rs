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

/// Where a connection that speaks RESP2 is told of changes of others.
const CHANNEL: &str = "__redis__:invalidate";

impl Server {
    pub(super) fn set_tracking(&mut self, id: ConnectionId, args: Args<'_>) -> Answer {
        let tracking = if args.is(2, "ON") {
            let wanted = options(args)?;
            if let Some(target) = wanted.redirect {
                let target = self.sessions.get_mut(&target);
                target.ok_or(NO_SUCH_CLIENT)?.hears_for_others = true;
            }
            if let Some(former) = &self.session(id)?.tracking {
                if former.prefixes.is_some() != wanted.prefixes.is_some() {
                    return Err(OTHER_MODE);
                }
                if former.opt_in.is_some() && wanted.opt_in.is_some() && former.opt_in != wanted.opt_in {
                    return Err(OTHER_CHOICE);
                }
            }
            Some(wanted)
        } else if args.is(2, "OFF") && args.len() == 3 {
            None
        } else {
            return Err(Refusal::SYNTAX);
        };
        let former = core::mem::replace(&mut self.session(id)?.tracking, tracking);
        self.untrack(id, former.as_ref());
        Ok(Value::OK)
    }

    /// `CLIENT CACHING`: whether what the next command reads is remembered.
    pub(super) fn set_caching(&mut self, id: ConnectionId, args: Args<'_>) -> Answer {
        let Some(tracking) = &mut self.session(id)?.tracking else { return Err(NOT_TRACKING) };
        let yes = args.is(2, "YES");
        if !yes && !args.is(2, "NO") {
            return Err(Refusal::SYNTAX);
        }
        if tracking.opt_in != Some(yes) {
            return Err(if yes { NOT_OPT_IN } else { NOT_OPT_OUT });
        }
        tracking.caching = true;
        Ok(Value::OK)
    }

    /// A command is done: what `CLIENT CACHING` said was said for it, or for the transaction it belongs to.
    pub(super) fn end_caching(&mut self, id: ConnectionId, args: Args<'_>) {
        if let Some(session) = self.sessions.get_mut(&id)
            && session.transaction.is_none()
            && let Some(tracking) = &mut session.tracking
            && !args.is(0, "CLIENT")
        {
            tracking.caching = false;
        }
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
        let wants = |session: &Session| session.tracking.as_ref().is_some_and(Tracking::remembers);
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
            let redirect = self.sessions.get(id).and_then(|session| session.tracking.as_ref()?.redirect);
            let (target, news) = match redirect {
                Some(target) if !self.sessions.contains_key(&target) => {
                    let lost = Value::Integer(target.0.cast_signed());
                    (*id, vec![Value::bulk("tracking-redir-broken"), lost])
                }
                other => {
                    let keys = Value::Array(vec![Value::Bulk(key.clone())]);
                    (other.unwrap_or(*id), vec![Value::bulk("invalidate"), keys])
                }
            };
            let Some(session) = self.sessions.get_mut(&target) else { continue };
            if session.protocol == Protocol::Resp3 {
                session.post_message(Value::Push(news), key.len(), max);
            } else if redirect == Some(target) && session.subscriptions() > 0 {
                // Over RESP2 it can be said to a listener only.
                let keys = Value::Array(vec![Value::Bulk(key.clone())]);
                let message = vec![Value::bulk("message"), Value::bulk(CHANNEL), keys];
                session.post_message(Value::Push(message), key.len(), max);
            }
        }
    }
}

const NO_SUCH_CLIENT: Refusal = Refusal::of("ERR The client ID you want redirect to does not exist");
const OTHER_MODE: Refusal = Refusal::of(
    "ERR You can't switch BCAST mode on/off before disabling tracking for this client, and then re-enabling it with a \
     different mode.",
);
const OTHER_CHOICE: Refusal = Refusal::of(
    "ERR You can't switch OPTIN/OPTOUT mode before disabling tracking for this client, and then re-enabling it with a \
     different mode.",
);
const NOT_TRACKING: Refusal = Refusal::of(
    "ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT mode enabled",
);
const NOT_OPT_IN: Refusal =
    Refusal::of("ERR CLIENT CACHING YES is only valid when tracking is enabled in OPTIN mode.");
const NOT_OPT_OUT: Refusal =
    Refusal::of("ERR CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode.");

fn options(args: Args<'_>) -> Result<Tracking, Refusal> {
    let (mut broadcast, mut prefixes, mut no_loop, mut at) = (false, Vec::new(), false, 3);
    let (mut opt_in, mut opt_out, mut redirect) = (false, false, None);
    while at < args.len() {
        if args.is(at, "BCAST") {
            broadcast = true;
        } else if args.is(at, "NOLOOP") {
            no_loop = true;
        } else if args.is(at, "PREFIX") && at + 1 < args.len() {
            at += 1;
            prefixes.push(args.bytes(at));
        } else if args.is(at, "OPTIN") {
            opt_in = true;
        } else if args.is(at, "OPTOUT") {
            opt_out = true;
        } else if args.is(at, "REDIRECT") && at + 1 < args.len() {
            at += 1;
            let target = u64::try_from(args.int(at)?).map_err(|_| NO_SUCH_CLIENT)?;
            if redirect.replace(ConnectionId(target)).is_some() {
                return Err(Refusal::of("ERR A client can only redirect to a single other client"));
            }
        } else {
            return Err(Refusal::SYNTAX);
        }
        at += 1;
    }
    if !broadcast && !prefixes.is_empty() {
        return Err(Refusal::of("ERR PREFIX option requires BCAST mode to be enabled"));
    }
    if opt_in && opt_out {
        return Err(Refusal::of("ERR You can't specify both OPTIN mode and OPTOUT mode"));
    }
    if broadcast && (opt_in || opt_out) {
        return Err(Refusal::of("ERR OPTIN and OPTOUT are not compatible with BCAST"));
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
    let opt_in = (opt_in || opt_out).then_some(opt_in);
    Ok(Tracking { prefixes: broadcast.then_some(prefixes), no_loop, opt_in, caching: false, redirect })
}

/// Whom `CLIENT GETREDIR` names: 0 for the connection itself, -1 for nobody.
pub(super) fn redirect_of(session: &Session) -> i64 {
    session.tracking.as_ref().map_or(-1, |one| one.redirect.map_or(0, |id| id.0.cast_signed()))
}

/// What `CLIENT TRACKINGINFO` answers.
pub(super) fn tracking_info(session: &Session, redirect_is_there: bool) -> Value {
    let (mut flags, mut told) = (Vec::new(), Vec::new());
    match &session.tracking {
        None => flags.push("off"),
        Some(tracking) => {
            flags.push("on");
            flags.extend(tracking.prefixes.is_some().then_some("bcast"));
            flags.extend(tracking.opt_in.map(|opt_in| if opt_in { "optin" } else { "optout" }));
            if tracking.caching {
                flags.extend(tracking.opt_in.map(|yes| if yes { "caching-yes" } else { "caching-no" }));
            }
            flags.extend(tracking.no_loop.then_some("noloop"));
            flags.extend((!redirect_is_there).then_some("broken_redirect"));
            told.extend(tracking.prefixes.iter().flatten().cloned().map(Value::Bulk));
        }
    }
    Value::Map(vec![
        (Value::bulk("flags"), Value::Set(flags.into_iter().map(Value::bulk).collect())),
        (Value::bulk("redirect"), Value::Integer(redirect_of(session))),
        (Value::bulk("prefixes"), Value::Array(told)),
    ])
}
