//! Every typed command, sent to a real server in both versions of the protocol: the answer converts, and to the same value.
//!
//! The same commands go to the server in memory; where it answers something else, the case has to say so. With
//! `GLOWPLUG_VECTORS`, a table of all commands of a server is compared with what is here.

mod story;
mod support;

use std::collections::BTreeSet;
use std::env;
use std::fmt::Write as _;
use std::path::PathBuf;

use bytes::BytesMut;
use glowplug_redis::memory::{Config, Handle};
use glowplug_redis::wire::{Decoder, Limits};
use glowplug_redis::{ClientConfig, Protocol, commands};
use libtest_mimic::{Arguments, Failed, Trial};
use story::{Check, Exchange};
use support::{Client, Server};

/// Runs one chapter, and tells what each exchange came to.
fn run(client: &mut Client, chapter: &[Exchange]) -> Result<Vec<String>, Failed> {
    let mut results = Vec::new();
    for exchange in chapter {
        let shown = exchange.command.to_vec().escape_ascii().to_string();
        if matches!(exchange.check, Check::NotSent(_) | Check::Documented(_)) {
            results.push(String::new());
            continue;
        }
        let mut replies = client
            .request(exchange.command.clone())
            .map_err(|error| format!("{shown}: {}", error.message().unwrap_or_default()))?;
        let reply = replies.pop().ok_or("no reply")?;
        results.push(match (exchange.convert)(reply) {
            Ok(value) => value,
            Err(error) => format!("error: {error}"),
        });
    }
    Ok(results)
}

fn against_real_server(program: &str, chapter: &[Exchange]) -> Result<(), Failed> {
    let server = Server::start(program, &[])?;
    let mut two = server.connect(ClientConfig::new().protocol(Protocol::Resp2))?;
    let mut three = server.connect(ClientConfig::new().protocol(Protocol::Resp3))?;
    let old = run(&mut two, chapter)?;
    two.request(glowplug_redis::Command::new("FLUSHALL"))?;
    let new = run(&mut three, chapter)?;
    let mut wrong = String::new();
    for ((exchange, old), new) in chapter.iter().zip(old).zip(new) {
        let shown = exchange.command.to_vec().escape_ascii().to_string();
        let fine = match exchange.check {
            Check::Same => old == new && !old.starts_with("error: "),
            Check::Converts => !old.starts_with("error: ") && !new.starts_with("error: "),
            Check::Refused(word) => [&old, &new]
                .iter()
                .all(|result| result.starts_with("error: the server") && result.contains(word)),
            Check::NotSent(_) => true,
            Check::Documented(bytes) => {
                let reply = Decoder::new(Limits::default()).decode(&mut BytesMut::from(bytes))?;
                let result = (exchange.convert)(reply.ok_or("the documented reply is incomplete")?);
                result.is_ok()
            }
        };
        if !fine {
            let _ = writeln!(wrong, "{shown}\n   RESP2: {old}\n   RESP3: {new}");
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong.into()) }
}

/// The same chapter on a real server and in memory; each difference is listed, and has to be known.
fn memory_against_real_server(program: &str, chapter: &[Exchange]) -> Result<(), Failed> {
    for protocol in [Protocol::Resp2, Protocol::Resp3] {
        let server = Server::start(program, &[])?;
        let memory = Handle::new(Config::new());
        let config = ClientConfig::new().protocol(protocol);
        let real = run(&mut server.connect(config.clone())?, chapter)?;
        let double = run(&mut Client::in_memory(&memory, config), chapter)?;
        let mut wrong = String::new();
        for ((exchange, real), double) in chapter.iter().zip(real).zip(double) {
            let shown = exchange.command.to_vec().escape_ascii().to_string();
            if matches!(exchange.check, Check::Same | Check::Refused(_))
                && real != double
                && !exchange.differs
            {
                let _ = writeln!(wrong, "{shown}\n   real: {real}\n   memory: {double}");
            }
        }
        if !wrong.is_empty() {
            return Err(wrong.into());
        }
    }
    Ok(())
}

/// Commands without a typed function, and why.
const LEFT_OUT: &[(&str, &str)] = &[
    ("DEBUG", "for the server's own developers"),
    ("PFDEBUG", "for the server's own developers"),
    ("PFSELFTEST", "for the server's own developers"),
    ("MONITOR", "answers with a stream: `commands::monitor`, whose lines `MonitorLine` reads"),
    ("PSYNC", "spoken between servers"),
    ("REPLCONF", "spoken between servers"),
    ("RESTORE-ASKING", "spoken between servers"),
    ("SYNC", "spoken between servers"),
];

const FAMILIES: &[&str] = &[
    "bitmap",
    "connection",
    "generic",
    "geo",
    "hash",
    "hyperloglog",
    "list",
    "pubsub",
    "scripting",
    "server",
    "set",
    "sorted_set",
    "stream",
    "string",
    "transactions",
];

fn coverage(folder: &PathBuf, chapters: &[(&str, Vec<Exchange>)]) -> Result<(), Failed> {
    let mut typed = BTreeSet::new();
    let subscribing = [
        commands::subscribe(["a"]),
        commands::psubscribe(["a"]),
        commands::ssubscribe(["a"]),
        commands::unsubscribe(["a"]),
        commands::punsubscribe(["a"]),
        commands::sunsubscribe(["a"]),
    ];
    let exchanges = chapters.iter().flat_map(|(_, chapter)| chapter).map(|exchange| &exchange.command);
    for command in exchanges.chain(&subscribing) {
        let bytes = command.to_vec();
        let words: Vec<String> = bytes
            .split(|byte| *byte == b'\n')
            .skip(2)
            .step_by(2)
            .map(|word| String::from_utf8_lossy(word).trim().to_uppercase())
            .collect();
        typed.insert(words[0].clone());
        typed.insert(words[..words.len().min(2)].join(" "));
    }
    let (mut missing, mut count) = (Vec::new(), 0);
    for file in std::fs::read_dir(folder)? {
        let path = file?.path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let table: serde_json::Value = serde_json::from_slice(&std::fs::read(&path)?)?;
        for (name, facts) in table.as_object().ok_or("not an object")? {
            let group = facts["group"].as_str().unwrap_or_default();
            if !FAMILIES.contains(&group) || LEFT_OUT.iter().any(|(left_out, _)| left_out == name) {
                continue;
            }
            count += 1;
            let whole = match facts["container"].as_str() {
                Some(container) => format!("{container} {name}"),
                None => name.clone(),
            };
            if !typed.contains(&whole) {
                missing.push(whole);
            }
        }
    }
    missing.sort();
    if count < 250 {
        return Err(format!("only {count} commands in the table").into());
    }
    if missing.is_empty() { Ok(()) } else { Err(format!("no typed command for {missing:?}").into()) }
}

fn main() {
    let (program, found) = support::redis_server();
    let ignored = !found && !support::servers_are_required();
    let mut trials = Vec::new();
    for (name, chapter) in story::chapters() {
        let program = program.clone();
        let kind = if found { "redis-server" } else { "redis-server not found" };
        let trial = Trial::test(name, move || against_real_server(&program, &chapter));
        trials.push(trial.with_kind(kind).with_ignored_flag(ignored));
    }
    for (name, chapter) in story::chapters().into_iter().filter(|(name, _)| story::IN_MEMORY.contains(name)) {
        let program = program.clone();
        let kind = if found { "memory against redis-server" } else { "redis-server not found" };
        let trial = Trial::test(name, move || memory_against_real_server(&program, &chapter));
        trials.push(trial.with_kind(kind).with_ignored_flag(ignored));
    }
    let folder = env::var_os("GLOWPLUG_VECTORS")
        .map(|folder| PathBuf::from(folder).join("vectors/redis/valkey-commands"));
    let kind = if folder.is_some() { "vectors" } else { "GLOWPLUG_VECTORS is not set" };
    let absent = folder.is_none();
    let trial = Trial::test("every_command_of_the_families_is_typed", move || {
        coverage(&folder.ok_or("GLOWPLUG_VECTORS is not set")?, &story::chapters())
    });
    trials.push(trial.with_kind(kind).with_ignored_flag(absent));
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}
