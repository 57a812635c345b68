//! Requests of other projects' suites through the running server: its handlers see what the machine alone reads, and its answers have the
//! machine's statuses.
//!
//! The verdicts themselves are held where the machine lives. Without `GLOWPLUG_VECTORS` the suites are listed as ignored.

mod http_web;
#[allow(unused_macros, unused_imports, reason = "only the simulator is used here")]
mod support;

use std::path::Path;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};

use base64::prelude::{BASE64_STANDARD, Engine as _};
use bytes::{Bytes, BytesMut};
use glowplug::core::{Instant, Seed, SendBuf, StreamProtocol};
use glowplug::http::{BodyLength, ServerConfig, ServerConnection, ServerEvent, StatusCode};
use glowplug::runtime::Endpoint;
use glowplug::runtime::http::server::{Config, Incoming};
use glowplug::sim::{Sim, Simulation};
use http::{HeaderMap, Request};
use http_body_util::BodyExt;
use libtest_mimic::{Arguments, Failed, Trial};
use serde_json::Value;

use http_web::{App, connect, serving, text};

const SUITES: [(&str, Load, usize); 5] = [
    ("llhttp", llhttp, 100),
    ("gunicorn", gunicorn, 100),
    ("libhtp", libhtp, 70),
    ("zeek-captures", zeek, 60),
    ("h2o-fuzz", h2o, 1200),
];

type Load = fn(&Path) -> Result<Vec<(String, Vec<u8>)>, Failed>;

fn main() -> ExitCode {
    let root = std::env::var_os("GLOWPLUG_VECTORS");
    let run = |(suite, load, least): (&'static str, Load, usize)| {
        let root = root.clone();
        move || {
            let root = root.as_ref().ok_or("GLOWPLUG_VECTORS is not set")?;
            let cases = load(&Path::new(root).join("vectors/http1"))?;
            if cases.len() < least {
                return Err(format!("{} cases of at least {least}", cases.len()).into());
            }
            through_the_server(suite, &cases)
        }
    };
    let trials = SUITES
        .into_iter()
        .map(|suite| Trial::test(suite.0, run(suite)).with_ignored_flag(root.is_none()))
        .collect();
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

fn json(root: &Path, name: &str) -> Result<Value, Failed> {
    Ok(serde_json::from_str(&std::fs::read_to_string(root.join(name))?)?)
}

fn base64(value: &Value) -> Result<Vec<u8>, Failed> {
    Ok(BASE64_STANDARD.decode(value.as_str().ok_or("no bytes")?)?)
}

fn name(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn llhttp(root: &Path) -> Result<Vec<(String, Vec<u8>)>, Failed> {
    let cases = json(root, "llhttp/cases.json")?;
    let requests =
        cases.as_array().ok_or("no array")?.iter().filter(|case| name(&case["id"]).starts_with("request"));
    requests.map(|case| Ok((name(&case["id"]), base64(&case["input_b64"])?))).collect()
}

fn gunicorn(root: &Path) -> Result<Vec<(String, Vec<u8>)>, Failed> {
    let cases = json(root, "gunicorn/requests.json")?;
    let cases = cases.as_array().ok_or("no array")?;
    cases.iter().map(|case| Ok((name(&case["id"]), base64(&case["wire_b64"])?))).collect()
}

/// What the client's side of each file sent.
fn libhtp(root: &Path) -> Result<Vec<(String, Vec<u8>)>, Failed> {
    let mut cases = Vec::new();
    for entry in std::fs::read_dir(root.join("libhtp/files"))? {
        let entry = entry?;
        let bytes = std::fs::read(entry.path())?;
        let (mut sent, mut up) = (Vec::new(), false);
        for line in bytes.split_inclusive(|&byte| byte == b'\n') {
            match line {
                [b'>', b'>', b'>', ..] => up = true,
                [b'<', b'<', b'<', ..] => up = false,
                line if up => sent.extend_from_slice(line),
                _ => {}
            }
        }
        cases.push((entry.file_name().to_string_lossy().into_owned(), sent));
    }
    cases.sort();
    Ok(cases)
}

fn zeek(root: &Path) -> Result<Vec<(String, Vec<u8>)>, Failed> {
    let text = std::fs::read_to_string(root.join("zeek-captures/flows.jsonl"))?;
    let mut cases = Vec::new();
    for line in text.lines() {
        let stream: Value = serde_json::from_str(line)?;
        let mut sent = Vec::new();
        for segment in stream["segments"].as_array().ok_or("no segments")? {
            if segment["from"] == 0 {
                let hex = segment["hex"].as_str().unwrap_or_default().as_bytes();
                let pairs = hex.chunks_exact(2).filter_map(|pair| std::str::from_utf8(pair).ok());
                sent.extend(pairs.filter_map(|pair| u8::from_str_radix(pair, 16).ok()));
            }
        }
        sent.truncate(64 * 1024);
        cases.push((format!("{} {}", name(&stream["capture"]), stream["stream"]), sent));
    }
    Ok(cases)
}

fn h2o(root: &Path) -> Result<Vec<(String, Vec<u8>)>, Failed> {
    let text = std::fs::read_to_string(root.join("h2o-fuzz/http1-corpus.jsonl"))?;
    let mut cases = Vec::new();
    for line in text.lines() {
        let seed: Value = serde_json::from_str(line)?;
        cases.push((name(&seed["id"]), base64(&seed["b64"])?));
    }
    Ok(cases)
}

/// A request as an application has it. The body is there if it is complete.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Read {
    start: String,
    headers: HeaderMap,
    body: Option<Bytes>,
    trailers: Option<HeaderMap>,
}

impl Read {
    fn of(parts: http::request::Parts) -> Self {
        let start = format!("{} {} {:?}", parts.method, parts.uri, parts.version);
        Self { start, headers: parts.headers, body: None, trailers: None }
    }
}

/// The server's own configuration, with the leniencies that most of these suites take for granted.
fn configuration() -> ServerConfig {
    let mut config = ServerConfig::default();
    config.leniency.missing_host = true;
    config.leniency.fragment_in_target = true;
    config
}

/// What the machine alone reads in `wire`, and what it answers.
fn by_the_machine(wire: &[u8]) -> (Vec<Read>, Vec<u8>) {
    let now = Instant::ZERO;
    let mut machine = ServerConnection::new(now, Arc::new(configuration()));
    let (mut input, mut out) = (BytesMut::from(wire), SendBuf::new());
    let (mut read, mut sent, mut body, mut ended) = (Vec::<Read>::new(), Vec::new(), Vec::new(), false);
    loop {
        match machine.poll_event(now, &mut input) {
            Ok(Some(ServerEvent::Request { stream, head, .. })) => {
                body.clear();
                match head.to_http() {
                    Ok(parts) => read.push(Read::of(parts)),
                    Err(_) => {
                        let close = [("connection", "close")];
                        let _ = machine.send_head(
                            now,
                            stream,
                            StatusCode::BAD_REQUEST,
                            &close,
                            BodyLength::Empty,
                        );
                    }
                }
            }
            Ok(Some(ServerEvent::Data { stream, data })) => {
                machine.release(now, stream, data.len());
                body.extend_from_slice(&data);
            }
            Ok(Some(ServerEvent::End { stream, trailers })) => {
                if let Some(last) = read.last_mut() {
                    last.body = Some(Bytes::from(std::mem::take(&mut body)));
                    last.trailers = trailers.as_deref().map(glowplug::http::Fields::to_header_map);
                }
                let length = BodyLength::Known(4);
                if machine.send_head(now, stream, StatusCode::OK, &(), length).is_ok()
                    && machine.send_data(now, stream, Bytes::from_static(b"fine")).is_ok()
                {
                    let _ = machine.finish(now, stream, &());
                }
            }
            Ok(Some(_)) => {}
            Ok(None) | Err(_) => {
                machine.poll_transmit(now, &mut out);
                let more = out.take_all();
                sent.extend_from_slice(&more);
                if more.is_empty() {
                    if ended || machine.interest().is_closed() {
                        return (read, sent);
                    }
                    ended = true;
                    machine.handle_eof(now);
                }
            }
        }
    }
}

/// What a handler of the running server reads, and what the client sees.
async fn by_the_server(
    host: &Sim,
    at: &Endpoint,
    seen: &Mutex<Vec<Read>>,
    wire: &[u8],
    cuts: u64,
) -> (Vec<Read>, Bytes) {
    let mut client = connect(host, at).await;
    let mut rng = Seed::from_u64(cuts).rng();
    let mut rest = wire;
    while !rest.is_empty() {
        let len = if cuts == 0 { rest.len() } else { (1 + rng.below(rest.len() as u64)) as usize };
        if support::write(&mut client.stream, Bytes::copy_from_slice(&rest[..len])).await.is_err() {
            break;
        }
        rest = &rest[len..];
    }
    let _ = support::shutdown(&mut client.stream).await;
    let answers = client.rest().await;
    (std::mem::take(&mut *seen.lock().expect("seen")), answers)
}

fn statuses(answers: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(answers);
    let finals = text.split("HTTP/1.1 ").skip(1).filter(|answer| !answer.starts_with("100"));
    finals.map(|answer| answer.chars().take(3).collect()).collect()
}

fn through_the_server(suite: &str, cases: &[(String, Vec<u8>)]) -> Result<(), Failed> {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let recording = {
        let seen = seen.clone();
        App::new(move |request: Request<Incoming>| {
            let seen = seen.clone();
            async move {
                let (parts, body) = request.into_parts();
                let mut read = Read::of(parts);
                if let Ok(collected) = body.collect().await {
                    read.trailers = collected.trailers().cloned();
                    read.body = Some(collected.to_bytes());
                }
                seen.lock().expect("seen").push(read);
                text("fine")
            }
        })
    };
    let mut simulation = Simulation::new(1);
    let host = simulation.host("here", [10, 0, 0, 1]);
    let mut config = Config::default();
    config.protocol = configuration();
    let failures = simulation.run(serving(&host, config, recording, async |at, _| {
        let (mut failures, mut requests) = (Vec::new(), 0);
        for (name, wire) in cases {
            let (expected, sent) = by_the_machine(wire);
            requests += expected.len();
            for cuts in [0, 1, 2] {
                let (read, answers) = by_the_server(&host, &at, &seen, wire, cuts).await;
                if read != expected || statuses(&answers) != statuses(&sent) {
                    failures.push(format!(
                        "{name}, cuts {cuts}:\n  {read:?}\n  {:?}\nthe machine:\n  {expected:?}\n  {:?}\n",
                        statuses(&answers),
                        statuses(&sent)
                    ));
                }
            }
        }
        if requests < cases.len() / 4 {
            failures.push(format!("only {requests} requests are read in {} cases of {suite}", cases.len()));
        }
        failures
    }));
    if failures.is_empty() { Ok(()) } else { Err(failures.join("\n").into()) }
}
