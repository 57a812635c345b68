//! `MULTI`, `EXEC`, `DISCARD`, `WATCH`.

use alloc::vec::Vec;

use super::args::Args;
use super::refusal::{Answer, Refusal};
use super::server::{ConnectionId, Outcome, Server, find};
use super::session::Transaction;
use crate::wire::Value;

impl Server {
    pub(super) fn multi(&mut self, id: ConnectionId, _args: Args<'_>) -> Outcome {
        let begun = self.session(id).and_then(|session| match &session.transaction {
            Some(_) => Err(Refusal::of("ERR MULTI calls can not be nested")),
            None => {
                session.transaction = Some(Transaction::default());
                Ok(Value::OK)
            }
        });
        begun.into()
    }

    pub(super) fn discard(&mut self, id: ConnectionId, _args: Args<'_>) -> Outcome {
        let discarded = self.session(id).and_then(|session| match session.transaction.take() {
            None => Err(Refusal::of("ERR DISCARD without MULTI")),
            Some(_) => Ok(Value::OK),
        });
        if discarded.is_ok() {
            self.unwatch(id);
        }
        discarded.into()
    }

    pub(super) fn exec(&mut self, id: ConnectionId, _args: Args<'_>) -> Outcome {
        self.try_exec(id).into()
    }

    fn try_exec(&mut self, id: ConnectionId) -> Answer {
        let session = self.session(id)?;
        let transaction = session.transaction.take().ok_or(Refusal::of("ERR EXEC without MULTI"))?;
        let broken = session.watch_broken;
        self.unwatch(id);
        if transaction.spoiled {
            return Err(Refusal::of("EXECABORT Transaction discarded because of previous errors."));
        }
        if broken {
            return Ok(Value::NullArray);
        }
        let mut replies = Vec::with_capacity(transaction.commands.len());
        for received in &transaction.commands {
            let outcome = match find(Args(received)) {
                Ok(command) => self.run(id, command, received, false),
                Err(refusal) => Err(refusal).into(),
            };
            if let Outcome::Reply(value) = outcome {
                replies.push(value);
            }
        }
        Ok(Value::Array(replies))
    }

    pub(super) fn watch(&mut self, id: ConnectionId, args: Args<'_>) -> Outcome {
        self.try_watch(id, args).into()
    }

    fn try_watch(&mut self, id: ConnectionId, args: Args<'_>) -> Answer {
        let session = self.session(id)?;
        if session.transaction.is_some() {
            return Err(Refusal::of("ERR WATCH inside MULTI is not allowed"));
        }
        let database = session.database;
        let mut fresh = Vec::new();
        for at in 1..args.len() {
            let watched = (database, args.bytes(at));
            if session.watched.insert(watched.clone()) {
                fresh.push(watched);
            }
        }
        for watched in fresh {
            self.watchers.entry(watched).or_default().push(id);
        }
        Ok(Value::OK)
    }

    pub(super) fn unwatch_command(&mut self, id: ConnectionId, _args: Args<'_>) -> Outcome {
        self.unwatch(id);
        Outcome::Reply(Value::OK)
    }

    /// Forgets what `id` watches.
    pub(super) fn unwatch(&mut self, id: ConnectionId) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        session.watch_broken = false;
        for watched in core::mem::take(&mut session.watched) {
            if let Some(ids) = self.watchers.get_mut(&watched) {
                ids.retain(|other| *other != id);
                if ids.is_empty() {
                    self.watchers.remove(&watched);
                }
            }
        }
    }
}
