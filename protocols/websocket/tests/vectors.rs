//! Vectors of other projects, found by the variable `GLOWPLUG_VECTORS` (a folder that holds `vectors/websocket/`).
//!
//! Without the variable the suites are listed as ignored; with it, a missing file fails. The captures are conversations of real clients and
//! servers. The fuzz corpus has no verdicts: what it is tried for is that no input panics, and that no cut changes anything.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::{Bytes, BytesMut};
use glowplug_core::{Instant, Seed, SendBuf, StreamProtocol};
use glowplug_websocket::wire::{FrameDecoder, Opcode};
use glowplug_websocket::{
    Agreed, ClientHandshake, Config, Connection, DeflateConfig, Error, Event, Reason, Role, ServerHandshake,
};
use libtest_mimic::{Arguments, Failed, Trial};
use serde_json::Value;

const VARIABLE: &str = "GLOWPLUG_VECTORS";

/// A client that does not mask, against RFC 6455 §5.1: a server has to refuse it.
const UNMASKED: &str = "wstunnel-http.pcap";

/// A server that answers with another key's proof.
const WRONG_ACCEPT: &str = "wrong-accept-header.pcap";

fn main() {
    let arguments = Arguments::from_args();
    let trials = match std::env::var_os(VARIABLE) {
        Some(root) => {
            let root = PathBuf::from(root).join("vectors/websocket");
            let (captures, corpus) =
                (root.join("zeek-captures/flows.jsonl"), root.join("go-fuzz-client/websocketclient.jsonl"));
            vec![
                Trial::test("zeek-captures", move || each(&captures, capture)),
                Trial::test("go-fuzz-client", move || each(&corpus, fuzzed)),
            ]
        }
        None => ["zeek-captures", "go-fuzz-client"]
            .iter()
            .map(|suite| {
                Trial::test(format!("{suite} ({VARIABLE} is not set)"), || Ok(())).with_ignored_flag(true)
            })
            .collect(),
    };
    libtest_mimic::run(&arguments, trials).exit();
}

fn each(file: &Path, check: fn(&Value) -> Result<(), Failed>) -> Result<(), Failed> {
    let text = std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
    for line in text.lines() {
        let case: Value = serde_json::from_str(line).map_err(|error| error.to_string())?;
        check(&case)
            .map_err(|error| format!("{}: {}", case["capture"], error.message().unwrap_or_default()))?;
    }
    Ok(())
}

/// The head of a request or an answer, as pairs, and what follows.
fn split_head(stream: &[u8]) -> Option<(Vec<(&str, &[u8])>, &[u8])> {
    let end = stream.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&stream[..end]).ok()?;
    let fields = head.split("\r\n").skip(1).filter_map(|line| line.split_once(':'));
    let fields = fields.map(|(name, value)| (name, value.trim().as_bytes())).collect();
    Some((fields, &stream[end + 4..]))
}

fn capture(case: &Value) -> Result<(), Failed> {
    let name = case["capture"].as_str().unwrap_or_default();
    let said = |who: u64| -> Vec<u8> {
        let segments = case["segments"].as_array().into_iter().flatten();
        let hex =
            segments.filter(|segment| segment["from"] == who).filter_map(|segment| segment["hex"].as_str());
        hex.flat_map(|hex| {
            (0..hex.len() / 2).filter_map(|n| u8::from_str_radix(&hex[2 * n..2 * n + 2], 16).ok())
        })
        .collect()
    };
    let (up, down) = (said(0), said(1));
    let (request, up) = split_head(&up).ok_or("no request")?;
    let (answer, down) = split_head(&down).ok_or("no answer")?;
    let handshake =
        ServerHandshake::read("GET", request, &Config::new()).map_err(|error| error.to_string())?;
    let ours = handshake.fields().into_iter().find(|(name, _)| *name == "sec-websocket-accept");
    let theirs = answer.iter().find(|(name, _)| name.eq_ignore_ascii_case("sec-websocket-accept"));
    let same = ours.is_some_and(|(_, ours)| theirs.is_some_and(|(_, theirs)| ours.as_bytes() == *theirs));
    assert_eq!(same, name != WRONG_ACCEPT, "{name}: sec-websocket-accept");
    // Nothing is left over, and it ends with a good-bye where it ends in good order.
    for stream in [up, down] {
        let (mut decoder, mut input, mut last) = (FrameDecoder::new(1 << 30), BytesMut::from(stream), None);
        while let Some(frame) = decoder.decode(&mut input).map_err(|error| error.to_string())? {
            last = Some(frame.head.opcode);
        }
        assert!(input.is_empty(), "{name}: something is left over");
        assert!(last == Some(Opcode::Close) || name == WRONG_ACCEPT, "{name}: ends with {last:?}");
    }
    let none = Agreed::default();
    let (_, heard) = hear(up, || Connection::new(Instant::ZERO, Role::Server, Config::new(), &none));
    match heard {
        None => {}
        Some(Error::Peer(error)) if name == UNMASKED && error.reason == Reason::MaskMissing => {}
        Some(error) => return Err(format!("the client's words: {error:?}").into()),
    }
    let seed = Seed::from_u64(1);
    let (_, heard) =
        hear(down, || Connection::new(Instant::ZERO, Role::Client(seed.clone()), Config::new(), &none));
    heard.map_or(Ok(()), |error| Err(format!("the server's words: {error:?}").into()))
}

/// What is told, whole and byte by byte: the same.
fn hear(stream: &[u8], fresh: impl Fn() -> Connection) -> (Vec<Event>, Option<Error>) {
    let run = |step: usize| {
        let (mut connection, mut input, mut out) = (fresh(), BytesMut::new(), SendBuf::new());
        let (mut events, mut failed) = (Vec::new(), None);
        for piece in stream.chunks(step) {
            input.extend_from_slice(piece);
            loop {
                match connection.poll_event(Instant::ZERO, &mut input) {
                    Ok(Some(Event::Data(data))) => match events.last_mut() {
                        Some(Event::Data(before)) => *before = Bytes::from([&before[..], &data[..]].concat()),
                        _ => events.push(Event::Data(data)),
                    },
                    Ok(Some(event)) => events.push(event),
                    Ok(None) => break,
                    Err(error) => {
                        failed = Some(error);
                        break;
                    }
                }
            }
            connection.poll_transmit(Instant::ZERO, &mut out);
        }
        (events, failed)
    };
    let whole = run(stream.len().max(1));
    assert_eq!(run(1), whole, "byte by byte");
    whole
}

fn fuzzed(case: &Value) -> Result<(), Failed> {
    let bytes = case["b64"].as_str().ok_or("no bytes")?;
    let bytes = STANDARD.decode(bytes).map_err(|error| error.to_string())?;
    let seed = Seed::from_u64(1);
    let deflate = Config::new().deflate(Some(DeflateConfig::new()));
    let client = ClientHandshake::new(&seed, &deflate, ["chat"]);
    let offer = client.fields();
    let offer = offer.iter().map(|(name, value)| (*name, value.as_bytes()));
    let agreed =
        ServerHandshake::read("GET", offer, &deflate).map_err(|error| error.to_string())?.agreed().clone();
    let frames = match split_head(&bytes) {
        Some((fields, rest)) => {
            let _ = client.check(101, fields);
            rest
        }
        None => &bytes[..],
    };
    for frames in [frames, &bytes[..]] {
        for config in [Config::new(), deflate.clone(), deflate.clone().pieces(true)] {
            hear(frames, || {
                Connection::new(Instant::ZERO, Role::Client(seed.clone()), config.clone(), &agreed)
            });
            hear(frames, || Connection::new(Instant::ZERO, Role::Server, config.clone(), &agreed));
        }
    }
    Ok(())
}
