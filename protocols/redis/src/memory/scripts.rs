//! `EVAL` and its like: scripts that a test has given in Rust.

use alloc::collections::BTreeMap;
use alloc::string::{String, ToString as _};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use bytes::Bytes;

use super::args::Args;
use super::refusal::{Answer, Refusal};
use super::server::{ConnectionId, Outcome, Server, find};
use super::table::Run;
use crate::Script;
use crate::wire::{ReceivedCommand, Value};

const NO_SCRIPT: Refusal = Refusal::of("NOSCRIPT No matching script. Please use EVAL.");
const NO_LUA: Refusal = Refusal::of(
    "ERR the server in memory runs no Lua: give it what the script does in Rust, by memory::Config::script",
);

/// Commands about the server that a script may use. Those on data it may use all.
const ALLOWED: [&str; 5] = ["ECHO", "FLUSHALL", "PING", "PUBLISH", "TIME"];

type Body = Arc<dyn Fn(&mut ScriptRun<'_>) -> Value + Send + Sync>;

/// What scripts do, by their hash.
#[derive(Clone)]
pub(super) struct Scripts(BTreeMap<String, Body>);

impl Scripts {
    pub(super) fn insert(
        &mut self,
        script: &Script,
        run: impl Fn(&mut ScriptRun<'_>) -> Value + Send + Sync + 'static,
    ) {
        self.0.insert(script.sha1().to_string(), Arc::new(run));
    }
}

impl Default for Scripts {
    /// Those of this library itself.
    fn default() -> Self {
        let mut scripts = Self(BTreeMap::new());
        let held = |run: &mut ScriptRun<'_>| {
            let holder = run.args().first().cloned().map_or(Value::Null, Value::Bulk);
            let key = run.keys().first().cloned().unwrap_or_default();
            (run.call([&b"GET"[..], &key]) == holder).then_some(key)
        };
        scripts.insert(&Script::release_lock(), move |run| match held(run) {
            Some(key) => run.call([&b"DEL"[..], &key]),
            None => Value::Integer(0),
        });
        scripts.insert(&Script::extend_lock(), move |run| match held(run) {
            Some(key) => {
                let time = run.args().get(1).cloned().unwrap_or_default();
                run.call([&b"PEXPIRE"[..], &key, &time])
            }
            None => Value::Integer(0),
        });
        scripts
    }
}

impl fmt::Debug for Scripts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// A script that runs: what it was given, and what it may do.
pub struct ScriptRun<'s> {
    server: &'s mut Server,
    id: ConnectionId,
    keys: Vec<Bytes>,
    args: Vec<Bytes>,
}

impl ScriptRun<'_> {
    /// `KEYS`.
    pub fn keys(&self) -> &[Bytes] {
        &self.keys
    }

    /// `ARGV`.
    pub fn args(&self) -> &[Bytes] {
        &self.args
    }

    /// Runs a command, as `redis.pcall` does: a refusal is a [`Value::Error`].
    pub fn call(&mut self, words: impl IntoIterator<Item = impl AsRef<[u8]>>) -> Value {
        let words: Vec<_> = words.into_iter().collect();
        let received = ReceivedCommand::from_args(&words);
        let command = match find(Args(&received)) {
            Ok(command) => command,
            Err(refusal) => return refusal.into(),
        };
        if matches!(command.run, Run::Server(_)) && !ALLOWED.contains(&command.name) {
            return Value::error("ERR This Redis command is not allowed from script");
        }
        match self.server.run(self.id, command, &received, false) {
            Outcome::Reply(value) => value,
            Outcome::Answered | Outcome::Blocked => Value::Null,
        }
    }
}

impl fmt::Debug for ScriptRun<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScriptRun").field("keys", &self.keys).finish_non_exhaustive()
    }
}

impl Server {
    pub(super) fn eval(&mut self, id: ConnectionId, args: Args<'_>) -> Outcome {
        let script = Script::new(args.bytes(1));
        let known = self.learn(&script);
        known.and_then(|()| self.run_script(id, script.sha1(), args)).into()
    }

    pub(super) fn evalsha(&mut self, id: ConnectionId, args: Args<'_>) -> Outcome {
        let sha = String::from_utf8_lossy(args.get(1)).to_ascii_lowercase();
        self.run_script(id, &sha, args).into()
    }

    pub(super) fn script(&mut self, _id: ConnectionId, args: Args<'_>) -> Outcome {
        let answer = match args.len() {
            3 if args.is(1, "LOAD") => {
                let script = Script::new(args.bytes(2));
                self.learn(&script).map(|()| Value::bulk(script.sha1()))
            }
            2 | 3 if args.is(1, "FLUSH") => {
                self.known_scripts.clear();
                Ok(Value::OK)
            }
            3.. if args.is(1, "EXISTS") => {
                let known = |sha: &[u8]| {
                    let sha = String::from_utf8_lossy(sha).to_ascii_lowercase();
                    Value::Integer(i64::from(self.known_scripts.contains(&sha)))
                };
                Ok(Value::Array(args.from(2).map(known).collect()))
            }
            _ => super::sessions::unknown_subcommand(args),
        };
        answer.into()
    }

    fn learn(&mut self, script: &Script) -> Result<(), Refusal> {
        if !self.config.scripts.0.contains_key(script.sha1()) {
            return Err(NO_LUA);
        }
        self.known_scripts.insert(script.sha1().to_string());
        Ok(())
    }

    fn run_script(&mut self, id: ConnectionId, sha: &str, args: Args<'_>) -> Answer {
        let keys = args.int(2)?;
        let keys = usize::try_from(keys).map_err(|_| Refusal::of("ERR Number of keys can't be negative"))?;
        if keys > args.len() - 3 {
            return Err(Refusal::of("ERR Number of keys can't be greater than number of args"));
        }
        let body = self.config.scripts.0.get(sha).filter(|_| self.known_scripts.contains(sha));
        let body = body.cloned().ok_or(NO_SCRIPT)?;
        let given = |from: usize, to: usize| (from..to).map(|at| args.bytes(at)).collect();
        let (keys, args) = (given(3, 3 + keys), given(3 + keys, args.len()));
        Ok(body(&mut ScriptRun { server: self, id, keys, args }))
    }
}
