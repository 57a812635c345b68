//! Other people's cases, found by `GLOWPLUG_VECTORS`: compatibility cases against a real server and the one in memory, and
//! captured streams through the decoders.

mod support;

use std::env;
use std::fmt::Write as _;
use std::path::PathBuf;

use bytes::BytesMut;
use glowplug_redis::memory::{Config, Handle};
use glowplug_redis::wire::{CommandDecoder, Decoder, Limits, ReplyRef};
use glowplug_redis::{ClientConfig, Command, Protocol};
use libtest_mimic::{Arguments, Failed, Trial};
use serde_json::Value as Json;
use support::{Client, Server};

/// Splits a command line as the cases mean it: words, with quotes and escapes. Line ends are part of the text.
fn words(line: &str, binary: bool) -> Vec<Vec<u8>> {
    let mut line = line.replace('\n', "\\n").replace('\r', "\\r");
    if binary && !line.contains('"') {
        // Escapes count in quotes only.
        line = format!("\"{}\"", line.replace(' ', "\" \""));
    }
    let mut input = BytesMut::from(line.as_bytes());
    input.extend_from_slice(b"\n");
    match CommandDecoder::new(Limits::default()).decode(&mut input) {
        Ok(Some(command)) => command.args().map(<[u8]>::to_vec).collect(),
        _ => Vec::new(),
    }
}

/// A reply in the terms of the cases.
fn json(reply: &ReplyRef<'_>) -> Json {
    match reply {
        ReplyRef::Null => Json::Null,
        ReplyRef::Integer(number) => (*number).into(),
        ReplyRef::Error(line) => String::from_utf8_lossy(line).into(),
        other => match (other.as_bytes(), other.elements()) {
            (Some(text), _) => String::from_utf8_lossy(text).into(),
            (None, Some(elements)) => elements.map(|element| json(&element)).collect(),
            (None, None) => format!("{other:?}").into(),
        },
    }
}

fn sorted(value: &Json) -> Json {
    let Json::Array(list) = value else { return value.clone() };
    let mut list = list.clone();
    list.sort_by_key(ToString::to_string);
    Json::Array(list)
}

fn nearly(one: &Json, other: &Json) -> bool {
    let number = |value: &Json| value.as_f64().or_else(|| value.as_str()?.parse().ok());
    match (one, other) {
        (Json::Array(one), Json::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| nearly(one, other))
        }
        _ => match (number(one), number(other)) {
            (Some(one), Some(other)) => (one - other).abs() < 1e-6,
            _ => one == other,
        },
    }
}

fn play(client: &mut Client, case: &Json) -> Result<(), Failed> {
    let lines = case["command"].as_array().ok_or("no commands")?;
    let results = case["result"].as_array().ok_or("no results")?;
    for (line, expected) in lines.iter().zip(results) {
        let line = line.as_str().ok_or("no line")?;
        let words = words(line, case["command_binary"].as_bool() == Some(true));
        let (name, args) = words.split_first().ok_or("an empty line")?;
        let command = Command::new(std::str::from_utf8(name)?).args(args);
        let reply = client.request(command)?.pop().ok_or("no reply")?;
        let got = json(&reply.view());
        let same = match () {
            () if case["sort_result"].as_bool() == Some(true) => sorted(&got) == sorted(expected),
            () if case["float_result"].as_bool() == Some(true) => nearly(&got, expected),
            () => got == *expected,
        };
        if !same {
            return Err(format!("{line}: expected {expected}, got {got}").into());
        }
    }
    Ok(())
}

/// The cases that one server at its port 0 can play.
fn cases(folder: &std::path::Path) -> Result<Vec<Json>, Failed> {
    let cases: Json =
        serde_json::from_slice(&std::fs::read(folder.join("redis/resp-compatibility/cts.json"))?)?;
    let cases = cases.as_array().ok_or("no cases")?.clone();
    Ok(cases
        .into_iter()
        .filter(|case| case["tags"].as_str().is_none_or(|tags| tags.contains("standalone")))
        .collect())
}

/// Servers of version 7.0 are too old for the rest.
fn is_known(case: &Json) -> bool {
    let since = case["since"].as_str().unwrap_or("0");
    let mut numbers = since.split('.').map(|number| number.parse::<u32>().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) <= (7, 0)
}

/// Cases that do not hold in memory, by name, and why.
const UNSUITABLE_IN_MEMORY: &[(&str, &str)] = &[
    ("hscan with MATCH and COUNT", "fields come in the order of their names, not of their arrival"),
    ("script load command", "there is no Lua: scripts are given to the server in Rust"),
    ("script exists command", "there is no Lua"),
    ("script flush command", "there is no Lua"),
    ("evalsha_ro command", "there is no Lua"),
    ("xgroup setid command", "a group's position moves by reading alone"),
    ("xgroup setid with ENTRIESREAD", "a group's position moves by reading alone"),
    ("xgroup create with ENTRIESREAD", "a group does not count what it has read"),
];

fn compatibility(
    mut connect: impl FnMut() -> Result<Client, Failed>,
    folder: &std::path::Path,
    memory: bool,
) -> Result<(), Failed> {
    let (mut played, mut unknown, mut wrong) = (0, 0, String::new());
    for case in cases(folder)?.iter().filter(|case| is_known(case)) {
        let name = case["name"].as_str().unwrap_or_default();
        if memory && UNSUITABLE_IN_MEMORY.iter().any(|(unsuitable, _)| *unsuitable == name) {
            continue;
        }
        let mut client = connect()?;
        match play(&mut client, case) {
            Ok(()) => played += 1,
            Err(failed)
                if memory && failed.message().is_some_and(|text| text.contains("unknown command")) =>
            {
                unknown += 1;
            }
            Err(failed) => {
                let _ = writeln!(wrong, "{name}: {}", failed.message().unwrap_or_default());
            }
        }
    }
    println!("{played} played, {unknown} not known in memory");
    if played < 100 {
        return Err(format!("only {played} cases were played\n{wrong}").into());
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong.into()) }
}

/// Every captured stream through both decoders, whole and byte by byte: the same comes out, and nothing panics.
fn captures(folder: &std::path::Path) -> Result<(), Failed> {
    let text = std::fs::read_to_string(folder.join("redis/zeek-captures/flows.jsonl"))?;
    let (mut replies, mut commands) = (0, 0);
    for line in text.lines() {
        let flow: Json = serde_json::from_str(line)?;
        for side in 0..2 {
            let mut bytes = Vec::new();
            for segment in flow["segments"].as_array().ok_or("no segments")? {
                if segment["from"].as_u64() == Some(side) {
                    let hex = segment["hex"].as_str().ok_or("no bytes")?;
                    for at in (0..hex.len()).step_by(2) {
                        bytes.push(u8::from_str_radix(&hex[at..at + 2], 16)?);
                    }
                }
            }
            let whole = read(&bytes, bytes.len());
            for size in [1, 7, 1000] {
                if read(&bytes, size) != whole {
                    return Err(format!("{}: pieces of {size} give something else", flow["capture"]).into());
                }
            }
            commands += whole.0.len();
            replies += whole.1.len();
        }
    }
    if commands < 50 || replies < 50 {
        return Err(format!("only {commands} commands and {replies} replies").into());
    }
    Ok(())
}

/// What the stream is as commands, and what it is as replies, in pieces of the given size.
fn read(bytes: &[u8], size: usize) -> (Vec<String>, Vec<String>) {
    let (mut commands, mut replies) = (Vec::new(), Vec::new());
    let (mut command_decoder, mut decoder) =
        (CommandDecoder::new(Limits::default()), Decoder::new(Limits::default()));
    let (mut input, mut copy) = (BytesMut::new(), BytesMut::new());
    for piece in bytes.chunks(size.max(1)) {
        input.extend_from_slice(piece);
        copy.extend_from_slice(piece);
        while let Ok(Some(command)) = command_decoder.decode(&mut input) {
            commands.push(format!("{command:?}"));
        }
        while let Ok(Some(reply)) = decoder.decode(&mut copy) {
            replies.push(format!("{reply:?}"));
        }
    }
    (commands, replies)
}

fn main() {
    let (program, found) = support::redis_server();
    let folder = env::var_os("GLOWPLUG_VECTORS").map(|folder| PathBuf::from(folder).join("vectors"));
    let absent = folder.is_none();
    let folder = folder.unwrap_or_default();
    let kind = if absent { "GLOWPLUG_VECTORS is not set" } else { "vectors" };
    let mut trials = Vec::new();
    let config = ClientConfig::new().protocol(Protocol::Resp2);
    let (config_of_real, folder_of_real) = (config.clone(), folder.clone());
    let trial = Trial::test("compatibility_with_redis_server", move || {
        let server = Server::start(&program, &[])?;
        let connect = || {
            let mut client = server.connect(config_of_real.clone())?;
            client.request(Command::new("FLUSHALL"))?;
            Ok(client)
        };
        compatibility(connect, &folder_of_real, false)
    });
    let ignored = absent || (!found && !support::servers_are_required());
    trials.push(
        trial.with_kind(if found { kind } else { "redis-server not found" }).with_ignored_flag(ignored),
    );
    let folder_of_cases = folder.clone();
    let trial = Trial::test("compatibility_in_memory", move || {
        compatibility(
            || Ok(Client::in_memory(&Handle::new(Config::new()), config.clone())),
            &folder_of_cases,
            true,
        )
    });
    trials.push(trial.with_kind(kind).with_ignored_flag(absent));
    trials.push(Trial::test("captures", move || captures(&folder)).with_kind(kind).with_ignored_flag(absent));
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}
