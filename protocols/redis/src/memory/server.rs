//! The server as a whole: sessions, databases, and which command goes where.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use bytes::Bytes;
use glowplug_core::{Instant, Rng};

use super::args::Args;
use super::database::Database;
use super::pubsub::PubSub;
use super::refusal::Refusal;
use super::session::{Blocked, Session};
use super::table::{self, Command, Run};
use super::{Config, Db, monitor, streams};
use crate::wire::{Protocol, ReceivedCommand, Value};

/// The number of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub u64);

/// What a [`Server`] has for one connection.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// The answer to its oldest unanswered command.
    Reply(Value),
    /// Something that answers no command, or one of several answers.
    Push(Value),
    /// The oldest unanswered command was answered by pushes.
    Answered,
    /// From here on, write in this version.
    Protocol(Protocol),
    /// Hang up once this is sent.
    Close,
}

/// What became of a command.
pub(super) enum Outcome {
    Reply(Value),
    /// Pushes have answered it.
    Answered,
    /// It waits.
    Blocked,
}

impl From<Result<Value, Refusal>> for Outcome {
    fn from(answer: Result<Value, Refusal>) -> Self {
        Self::Reply(answer.unwrap_or_else(Value::from))
    }
}

/// Redis in memory, for any number of connections.
///
/// The number of keys has no limit but what clients store: it is a test double.
#[derive(Debug)]
pub struct Server {
    pub(super) config: Config,
    pub(super) databases: Vec<Database>,
    pub(super) sessions: BTreeMap<ConnectionId, Session>,
    /// Who watches a key of a database.
    pub(super) watchers: BTreeMap<(usize, Bytes), Vec<ConnectionId>>,
    pub(super) pubsub: PubSub,
    /// Who is to be told when a key changes, because it was read with tracking on.
    pub(super) tracked: BTreeMap<Bytes, BTreeSet<ConnectionId>>,
    /// Scripts that were sent in full since they were last forgotten.
    pub(super) known_scripts: BTreeSet<String>,
    /// Who is shown every command.
    pub(super) monitors: BTreeSet<ConnectionId>,
    /// Whose command runs.
    pub(super) caller: Option<ConnectionId>,
    /// Who waits for an element, first come first.
    pub(super) blocked: Vec<ConnectionId>,
    rng: Rng,
    next_id: u64,
    pub(super) now: Instant,
}

impl Server {
    /// A server without a key.
    pub fn new(config: Config) -> Self {
        Self {
            databases: (0..config.databases).map(|_| Database::default()).collect(),
            sessions: BTreeMap::new(),
            watchers: BTreeMap::new(),
            pubsub: PubSub::default(),
            tracked: BTreeMap::new(),
            known_scripts: BTreeSet::new(),
            monitors: BTreeSet::new(),
            caller: None,
            blocked: Vec::new(),
            rng: config.seed.rng(),
            next_id: 0,
            now: Instant::ZERO,
            config,
        }
    }

    /// A new connection. Over the limit, it is told so and hung up on.
    pub fn connect(&mut self) -> ConnectionId {
        self.next_id += 1;
        let id = ConnectionId(self.next_id);
        let mut session = Session::new(self.config.password.is_none());
        if self.sessions.len() >= self.config.max_connections {
            session.post(Output::Push(Value::error("ERR max number of clients reached")));
            session.post(Output::Close);
        }
        self.sessions.insert(id, session);
        id
    }

    /// A connection is over.
    pub fn disconnect(&mut self, id: ConnectionId) {
        self.unwatch(id);
        let Some(session) = self.sessions.remove(&id) else { return };
        self.pubsub.forget(id, &session);
        self.untrack(id, session.tracking.as_ref());
        self.monitors.remove(&id);
        self.blocked.retain(|blocked| *blocked != id);
    }

    /// Runs a command that `id` sent. What comes of it is taken with [`poll_output`](Self::poll_output).
    pub fn call(&mut self, now: Instant, id: ConnectionId, command: &ReceivedCommand) {
        self.handle_timeout(now);
        self.caller = Some(id);
        let outcome = self.dispatch(id, command);
        self.end_caching(id, Args(command));
        let Some(session) = self.sessions.get_mut(&id) else { return };
        match outcome {
            Outcome::Reply(value) => session.post(Output::Reply(value)),
            Outcome::Answered => session.post(Output::Answered),
            Outcome::Blocked => {}
        }
        if command.is("QUIT") {
            session.post(Output::Close);
        }
        self.settle();
        self.caller = None;
    }

    /// What there is for `id`, oldest first.
    pub fn poll_output(&mut self, id: ConnectionId) -> Option<Output> {
        self.sessions.get_mut(&id)?.take()
    }

    /// When a key ends or a wait is over.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let waits = self.blocked.iter().filter_map(|id| self.sessions.get(id)?.blocked.as_ref()?.until);
        self.databases.iter().filter_map(Database::next_end).chain(waits).min()
    }

    /// Ends keys and waits whose time has come.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.now = self.now.max(now);
        for database in &mut self.databases {
            database.expire(self.now);
        }
        let over = |server: &Self, id: &ConnectionId| {
            let until = server.sessions.get(id).and_then(|session| session.blocked.as_ref()?.until);
            until.is_some_and(|until| until <= server.now)
        };
        let over: Vec<_> = self.blocked.iter().copied().filter(|id| over(self, id)).collect();
        for id in over {
            self.unblock(id, Value::NullArray);
        }
        self.settle();
    }

    /// True while a command of `id` waits, and nothing further may be run for it.
    pub fn is_blocked(&self, id: ConnectionId) -> bool {
        self.sessions.get(&id).is_some_and(|session| session.blocked.is_some())
    }

    /// True while what others do may have output for `id` come: it listens, or it waits.
    pub fn waits_for_others(&self, id: ConnectionId) -> bool {
        self.monitors.contains(&id) || self.sessions.get(&id).is_some_and(Session::waits_for_others)
    }

    fn dispatch(&mut self, id: ConnectionId, received: &ReceivedCommand) -> Outcome {
        let Some(session) = self.sessions.get_mut(&id) else { return Outcome::Answered };
        let args = Args(received);
        let scripting = self.config.scripting;
        let known = find(args).and_then(|command| match command.name {
            "EVAL" | "EVALSHA" | "SCRIPT" if !scripting => Err(unknown(args)),
            _ => Ok(command),
        });
        let command = match known {
            Ok(command) => command,
            Err(refusal) => {
                if let Some(transaction) = &mut session.transaction {
                    transaction.spoiled = true;
                }
                return Err(refusal).into();
            }
        };
        if !session.authenticated && !matches!(command.name, "AUTH" | "HELLO" | "QUIT" | "RESET") {
            return Err(Refusal::of("NOAUTH Authentication required.")).into();
        }
        if session.only_listens() && !table::allowed_while_listening(command.name) {
            let name = args.lower_name();
            return Err(Refusal::saying(format!(
                "ERR Can't execute '{name}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed \
                 in this context"
            )))
            .into();
        }
        if let Some(transaction) = &mut session.transaction
            && !matches!(command.name, "EXEC" | "DISCARD" | "MULTI" | "WATCH" | "QUIT" | "RESET")
        {
            transaction.commands.push(received.clone());
            return Outcome::Reply(Value::Simple(Bytes::from_static(b"QUEUED")));
        }
        self.run(id, command, received, true)
    }

    /// Shows a command to those who watch, before it runs.
    fn show(&mut self, id: ConnectionId, command: &Command, received: &ReceivedCommand) {
        // What is secret is not shown.
        if self.monitors.is_empty() || matches!(command.name, "AUTH" | "HELLO" | "EXEC" | "MONITOR") {
            return;
        }
        let unix = self.config.unix_time_at_zero.saturating_add(self.now - Instant::ZERO);
        let database = self.sessions.get(&id).map_or(0, |session| session.database);
        let line = Bytes::from(monitor::line(unix, database, id, received));
        for watcher in &self.monitors {
            if let Some(session) = self.sessions.get_mut(watcher) {
                session.post_message(Value::Simple(line.clone()), line.len(), self.config.max_mailbox);
            }
        }
    }

    /// Runs a command, in a transaction or (`may_block`) outside of one.
    pub(super) fn run(
        &mut self,
        id: ConnectionId,
        command: &Command,
        received: &ReceivedCommand,
        may_block: bool,
    ) -> Outcome {
        let args = Args(received);
        self.show(id, command, received);
        match command.run {
            Run::Data(run) => {
                let Some(mut db) = self.db(id) else { return Outcome::Answered };
                let answer = run(&mut db, args);
                self.track(id, args);
                answer.into()
            }
            Run::Server(run) => run(self, id, args),
            Run::Blocking(run, wait) => {
                let wait = match wait(args) {
                    Ok(wait) => wait,
                    Err(refusal) => return Err(refusal).into(),
                };
                let Some(mut db) = self.db(id) else { return Outcome::Answered };
                let resolved =
                    if command.name == "XREAD" { streams::without_dollars(&db, received) } else { None };
                let received = resolved.as_ref().unwrap_or(received);
                let args = Args(received);
                match run(&mut db, args) {
                    Ok(Some(value)) => Outcome::Reply(value),
                    Err(refusal) => Err(refusal).into(),
                    Ok(None) if !may_block || wait == Wait::Not => Outcome::Reply(Value::NullArray),
                    Ok(None) => {
                        let until = match wait {
                            Wait::For(time) => Some(self.now + time),
                            Wait::Not | Wait::Forever => None,
                        };
                        if let Some(session) = self.sessions.get_mut(&id) {
                            session.blocked = Some(Blocked { command: received.clone(), until });
                            self.blocked.push(id);
                        }
                        Outcome::Blocked
                    }
                }
            }
        }
    }

    fn db(&mut self, id: ConnectionId) -> Option<Db<'_>> {
        let session = self.sessions.get(&id)?;
        Some(Db {
            now: self.now,
            data: self.databases.get_mut(session.database)?,
            rng: &mut self.rng,
            resp3: session.protocol == Protocol::Resp3,
            max_string_len: self.config.max_string_len,
            unix_time_at_zero: self.config.unix_time_at_zero,
        })
    }

    /// Tells watchers and waiting pops what has changed, until nothing changes any more.
    fn settle(&mut self) {
        loop {
            let mut any = false;
            for index in 0..self.databases.len() {
                for key in self.databases[index].take_changed() {
                    any = true;
                    self.tell_of_change(&key);
                    for id in self.watchers.get(&(index, key)).into_iter().flatten() {
                        if let Some(session) = self.sessions.get_mut(id) {
                            session.watch_broken = true;
                        }
                    }
                }
            }
            if !any || self.blocked.is_empty() {
                return;
            }
            for id in self.blocked.clone() {
                self.retry(id);
            }
        }
    }

    /// Lets a pop that waits try again.
    fn retry(&mut self, id: ConnectionId) {
        let Some(Blocked { command, .. }) =
            self.sessions.get(&id).and_then(|session| session.blocked.as_ref())
        else {
            return;
        };
        let command = command.clone();
        let args = Args(&command);
        let Ok(Command { run: Run::Blocking(run, _), .. }) = find(args) else { return };
        let Some(mut db) = self.db(id) else { return };
        // A key that now holds something else is waited for further.
        if let Ok(Some(value)) = run(&mut db, args) {
            self.unblock(id, value);
        }
    }

    fn unblock(&mut self, id: ConnectionId, value: Value) {
        self.blocked.retain(|blocked| *blocked != id);
        if let Some(session) = self.sessions.get_mut(&id)
            && session.blocked.take().is_some()
        {
            session.post(Output::Reply(value));
        }
    }
}

/// The command that is meant, its number of arguments checked.
pub(super) fn find(args: Args<'_>) -> Result<&'static Command, Refusal> {
    let Some(command) = table::find(args.get(0)) else { return Err(unknown(args)) };
    let wanted = command.arity.unsigned_abs() as usize;
    let fits = if command.arity < 0 { args.len() >= wanted } else { args.len() == wanted };
    if fits { Ok(command) } else { Err(Refusal::wrong_arity(&args.lower_name())) }
}

fn unknown(args: Args<'_>) -> Refusal {
    let shown = |text: &[u8]| String::from_utf8_lossy(&text[..text.len().min(128)]).into_owned();
    let mut beginning = String::new();
    for arg in args.from(1) {
        if beginning.len() >= 128 {
            break;
        }
        beginning.push('\'');
        beginning.push_str(&shown(arg));
        beginning.push_str("' ");
    }
    let name = shown(args.get(0));
    Refusal::saying(format!("ERR unknown command '{name}', with args beginning with: {beginning}"))
}

/// How long a command waits where there is nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wait {
    Not,
    For(Duration),
    Forever,
}

/// How long a pop may wait: its last argument, in seconds; 0 is for ever.
pub(super) fn last_argument(args: Args<'_>) -> Result<Wait, Refusal> {
    let seconds = args
        .float(args.len() - 1)
        .ok()
        .filter(|seconds| seconds.is_finite())
        .ok_or(Refusal::of("ERR timeout is not a float or out of range"))?;
    if seconds < 0.0 {
        return Err(Refusal::of("ERR timeout is negative"));
    }
    if seconds == 0.0 {
        return Ok(Wait::Forever);
    }
    let wait = Duration::try_from_secs_f64(seconds);
    wait.map(Wait::For).map_err(|_| Refusal::of("ERR timeout is out of range"))
}
