//! Commands about the connection and about the server as a whole.

use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use bytes::Bytes;

use super::args::Args;
use super::refusal::{Answer, Refusal};
use super::server::{ConnectionId, Outcome, Output, Server};
use super::session::Session;
use super::table;
use super::tracking::{redirect_of, tracking_info};
use crate::wire::{Protocol, Value};

/// The version of Redis whose behaviour this is meant to be.
const VERSION: &str = "7.0.15";

const WRONG_PASSWORD: Refusal = Refusal::of("WRONGPASS invalid username-password pair or user is disabled.");

impl Server {
    pub(super) fn session(&mut self, id: ConnectionId) -> Result<&mut Session, Refusal> {
        self.sessions.get_mut(&id).ok_or(Refusal::of("ERR no such client"))
    }

    pub(super) fn ping(&mut self, id: ConnectionId, args: Args<'_>) -> Outcome {
        let listens = self.sessions.get(&id).is_some_and(Session::only_listens);
        match args.len() {
            0..=2 if listens => {
                Outcome::Reply(Value::Array(vec![Value::bulk("pong"), Value::Bulk(args.bytes(1))]))
            }
            1 => Outcome::Reply(Value::Simple(Bytes::from_static(b"PONG"))),
            2 => Outcome::Reply(Value::Bulk(args.bytes(1))),
            _ => Err(Refusal::wrong_arity("ping")).into(),
        }
    }

    pub(super) fn echo(&mut self, _id: ConnectionId, args: Args<'_>) -> Outcome {
        Outcome::Reply(Value::Bulk(args.bytes(1)))
    }

    pub(super) fn quit(&mut self, _id: ConnectionId, _args: Args<'_>) -> Outcome {
        Outcome::Reply(Value::OK)
    }

    fn check_password(&self, user: &[u8], password: &[u8]) -> Result<(), Refusal> {
        match &self.config.password {
            _ if user != b"default" => Err(WRONG_PASSWORD),
            Some(expected) if expected != password => Err(WRONG_PASSWORD),
            _ => Ok(()),
        }
    }

    pub(super) fn auth(&mut self, id: ConnectionId, args: Args<'_>) -> Outcome {
        self.try_auth(id, args).into()
    }

    fn try_auth(&mut self, id: ConnectionId, args: Args<'_>) -> Answer {
        match args.len() {
            2 if self.config.password.is_none() => {
                return Err(Refusal::of(
                    "ERR AUTH <password> called without any password configured for the default user. Are you sure \
                     your configuration is correct?",
                ));
            }
            2 => self.check_password(b"default", args.get(1))?,
            3 => self.check_password(args.get(1), args.get(2))?,
            _ => return Err(Refusal::SYNTAX),
        }
        self.session(id)?.authenticated = true;
        Ok(Value::OK)
    }

    pub(super) fn hello(&mut self, id: ConnectionId, args: Args<'_>) -> Outcome {
        self.try_hello(id, args).into()
    }

    fn try_hello(&mut self, id: ConnectionId, args: Args<'_>) -> Answer {
        let mut protocol = None;
        if args.len() > 1 {
            protocol = Some(match args.get(1) {
                b"2" => Protocol::Resp2,
                b"3" => Protocol::Resp3,
                text if super::args::parse_int(text).is_none() => {
                    return Err(Refusal::of("ERR Protocol version is not an integer or out of range"));
                }
                _ => return Err(Refusal::of("NOPROTO unsupported protocol version")),
            });
        }
        let (mut name, mut authenticated, mut at) = (None, false, 2);
        while at < args.len() {
            if args.is(at, "AUTH") && at + 2 < args.len() {
                self.check_password(args.get(at + 1), args.get(at + 2))?;
                authenticated = true;
                at += 3;
            } else if args.is(at, "SETNAME") && at + 1 < args.len() {
                name = Some(valid_name(args, at + 1)?);
                at += 2;
            } else {
                let option = String::from_utf8_lossy(args.get(at)).into_owned();
                return Err(Refusal::saying(format!("ERR Syntax error in HELLO option '{option}'")));
            }
        }
        let session = self.session(id)?;
        session.authenticated |= authenticated;
        if !session.authenticated {
            return Err(Refusal::of(
                "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH \
                 <user> <pass> option can be used to authenticate the client and select the RESP protocol version at \
                 the same time",
            ));
        }
        if let Some(name) = name {
            session.name = name;
        }
        if let Some(protocol) = protocol {
            session.protocol = protocol;
            session.post(Output::Protocol(protocol));
        }
        let number = if session.protocol == Protocol::Resp3 { 3 } else { 2 };
        let pair = |name: &str, value: Value| (Value::bulk(name), value);
        Ok(Value::Map(vec![
            pair("server", Value::bulk("redis")),
            pair("version", Value::bulk(VERSION)),
            pair("proto", Value::Integer(number)),
            pair("id", Value::Integer(id.0.cast_signed())),
            pair("mode", Value::bulk("standalone")),
            pair("role", Value::bulk("master")),
            pair("modules", Value::Array(Vec::new())),
        ]))
    }

    pub(super) fn reset(&mut self, id: ConnectionId, _args: Args<'_>) -> Outcome {
        self.unwatch(id);
        let authenticated = self.config.password.is_none();
        if let Some(session) = self.sessions.remove(&id) {
            self.pubsub.forget(id, &session);
            self.untrack(id, session.tracking.as_ref());
            self.monitors.remove(&id);
            self.sessions.insert(id, Session::new(authenticated));
        }
        if let Some(session) = self.sessions.get_mut(&id) {
            session.post(Output::Protocol(Protocol::Resp2));
        }
        Outcome::Reply(Value::Simple(Bytes::from_static(b"RESET")))
    }

    fn database_index(&self, args: Args<'_>, at: usize) -> Result<usize, Refusal> {
        let index = args.int(at).map_err(|_| Refusal::of("ERR invalid DB index"))?;
        let index = usize::try_from(index).ok().filter(|index| *index < self.databases.len());
        index.ok_or(Refusal::of("ERR DB index is out of range"))
    }

    pub(super) fn select(&mut self, id: ConnectionId, args: Args<'_>) -> Outcome {
        let selected = self.database_index(args, 1).and_then(|index| {
            self.session(id)?.database = index;
            Ok(Value::OK)
        });
        selected.into()
    }

    pub(super) fn move_key(&mut self, id: ConnectionId, args: Args<'_>) -> Outcome {
        self.try_move(id, args).into()
    }

    fn try_move(&mut self, id: ConnectionId, args: Args<'_>) -> Answer {
        let (from, to) = (self.session(id)?.database, self.database_index(args, 2)?);
        if from == to {
            return Err(Refusal::of("ERR source and destination objects are the same"));
        }
        let key = args.get(1);
        if self.databases[to].contains(key) {
            return Ok(Value::Integer(0));
        }
        let Some(entry) = self.databases[from].remove(key) else { return Ok(Value::Integer(0)) };
        self.databases[to].put_entry(key, entry);
        Ok(Value::Integer(1))
    }

    pub(super) fn monitor(&mut self, id: ConnectionId, _args: Args<'_>) -> Outcome {
        self.monitors.insert(id);
        Outcome::Reply(Value::OK)
    }

    pub(super) fn flushall(&mut self, _id: ConnectionId, args: Args<'_>) -> Outcome {
        if args.len() > 2 || (args.len() == 2 && !args.is(1, "ASYNC") && !args.is(1, "SYNC")) {
            return Err(Refusal::SYNTAX).into();
        }
        for database in &mut self.databases {
            database.clear();
        }
        Outcome::Reply(Value::OK)
    }

    pub(super) fn time(&mut self, _id: ConnectionId, _args: Args<'_>) -> Outcome {
        let unix = self.config.unix_time_at_zero.saturating_add(self.now - glowplug_core::Instant::ZERO);
        let text = |number: u64| Value::bulk(format!("{number}"));
        Outcome::Reply(Value::Array(vec![text(unix.as_secs()), text(u64::from(unix.subsec_micros()))]))
    }

    pub(super) fn info(&mut self, _id: ConnectionId, _args: Args<'_>) -> Outcome {
        let mut text = format!(
            "# Server\r\nredis_version:{VERSION}\r\nredis_mode:standalone\r\n\r\n# Clients\r\nconnected_clients:{}\r\n\
             blocked_clients:{}\r\n\r\n# Replication\r\nrole:master\r\n\r\n# Keyspace\r\n",
            self.sessions.len(),
            self.blocked.len()
        );
        for (index, database) in self.databases.iter().enumerate().filter(|(_, database)| database.len() > 0)
        {
            let ends = database.keys().filter(|(_, entry)| entry.ends.is_some()).count();
            let line = format!("db{index}:keys={},expires={ends},avg_ttl=0\r\n", database.len());
            text.push_str(&line);
        }
        Outcome::Reply(Value::Verbatim(*b"txt", text.into()))
    }

    pub(super) fn command(&mut self, _id: ConnectionId, args: Args<'_>) -> Outcome {
        Outcome::Reply(match args.len() {
            2 if args.is(1, "COUNT") => Value::Integer(table::count() as i64),
            _ => Value::Array(Vec::new()),
        })
    }

    pub(super) fn config(&mut self, _id: ConnectionId, args: Args<'_>) -> Outcome {
        match () {
            () if args.is(1, "GET") => Outcome::Reply(Value::Map(Vec::new())),
            () if args.is(1, "SET") || args.is(1, "RESETSTAT") => Outcome::Reply(Value::OK),
            () => unknown_subcommand(args).into(),
        }
    }

    pub(super) fn client(&mut self, id: ConnectionId, args: Args<'_>) -> Outcome {
        self.try_client(id, args).into()
    }

    fn try_client(&mut self, id: ConnectionId, args: Args<'_>) -> Answer {
        if args.is(1, "TRACKING") {
            return self.set_tracking(id, args);
        }
        if args.is(1, "CACHING") && args.len() == 3 {
            return self.set_caching(id, args);
        }
        let redirect = self.session(id)?.tracking.as_ref().and_then(|tracking| tracking.redirect);
        let redirect_is_there = redirect.is_none_or(|target| self.sessions.contains_key(&target));
        let session = self.session(id)?;
        match args.len() {
            2 if args.is(1, "ID") => Ok(Value::Integer(id.0.cast_signed())),
            2 if args.is(1, "GETNAME") && session.name.is_empty() => Ok(Value::Null),
            2 if args.is(1, "GETNAME") => Ok(Value::Bulk(session.name.clone())),
            2 if args.is(1, "GETREDIR") => Ok(Value::Integer(redirect_of(session))),
            2 if args.is(1, "TRACKINGINFO") => Ok(tracking_info(session, redirect_is_there)),
            2 if args.is(1, "INFO") => {
                let name = String::from_utf8_lossy(&session.name).into_owned();
                let resp = if session.protocol == Protocol::Resp3 { 3 } else { 2 };
                let text = format!("id={} name={name} db={} resp={resp}\n", id.0, session.database);
                Ok(Value::Verbatim(*b"txt", text.into()))
            }
            3 if args.is(1, "SETNAME") => {
                session.name = valid_name(args, 2)?;
                Ok(Value::OK)
            }
            3 if args.is(1, "NO-EVICT") || args.is(1, "NO-TOUCH") => Ok(Value::OK),
            4 if args.is(1, "SETINFO") => Ok(Value::OK),
            _ => unknown_subcommand(args),
        }
    }
}

pub(super) fn unknown_subcommand(args: Args<'_>) -> Answer {
    let word = String::from_utf8_lossy(args.get(1)).into_owned();
    let name = args.lower_name().to_ascii_uppercase();
    Err(Refusal::saying(format!("ERR unknown subcommand '{word}'. Try {name} HELP.")))
}

fn valid_name(args: Args<'_>, at: usize) -> Result<Bytes, Refusal> {
    if args.get(at).iter().all(|byte| (b'!'..=b'~').contains(byte)) {
        return Ok(args.bytes(at));
    }
    Err(Refusal::of("ERR Client names cannot contain spaces, newlines or special characters."))
}
