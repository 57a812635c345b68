//! The example of a reverse proxy: what smugglers send is read in one way by our server, our client and the proxy between them, and
//! bodies of any size pass through little memory.

mod http_web;
#[allow(unused_macros, unused_imports, reason = "not every executor is used here")]
mod support;

#[path = "../examples/http_proxy.rs"]
#[allow(dead_code, unreachable_pub, reason = "an example is nobody's library")]
mod proxy;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::{join, join3};
use glowplug::core::SendBuf;
use glowplug::runtime::http::Client;
use glowplug::runtime::http::server::{Config, Incoming, Server};
use glowplug::runtime::time::within;
use glowplug::runtime::{Endpoint, Runtime, Transport};
use glowplug::sim::{Sim, Simulation, seeds};
use http::Request;
use http::uri::Authority;
use http_body_util::BodyExt;

use http_web::{App, Plug, Raw, app, connect, get, text};
use support::{accept, any_port};

/// A plug whose clients move into tasks.
trait Through: Plug + Runtime<Connecting: Send, Resolving: Send> {}

impl<R: Plug + Runtime<Connecting: Send, Resolving: Send>> Through for R {}

/// The proxy as an application.
fn forwarding<R: Through>(runtime: &R, upstream: &Endpoint) -> App {
    let client = Client::builder(runtime.clone()).build_with_reaper().0;
    let upstream: Authority = upstream.to_string().parse().expect("an authority");
    App::new(move |request| {
        let answering = proxy::answer(client.clone(), upstream.clone(), request);
        async move { Ok(answering.await.map(|body| body.map_err(Into::into).boxed_unsync())) }
    })
}

/// A request as a handler saw it: method, target, and its body if that was complete.
type Read = (String, Option<Bytes>);

/// Writes down what it is asked.
fn recording(seen: Arc<Mutex<Vec<Read>>>) -> App {
    App::new(move |request: Request<Incoming>| {
        let seen = seen.clone();
        async move {
            let (parts, body) = request.into_parts();
            let body = body.collect().await.ok().map(http_body_util::Collected::to_bytes);
            let complete = body.is_some();
            let start = format!("{} {}", parts.method, parts.uri.path());
            seen.lock().expect("seen").push((start, body));
            if complete { text("fine") } else { Err("no body") }
        }
    })
}

/// The ways to write two lengths that two readers disagree on, as fields; and the bodies of the classic probes.
fn permutations() -> Option<Vec<(String, &'static str)>> {
    let root = std::env::var_os("GLOWPLUG_VECTORS")?;
    let path = std::path::Path::new(&root).join("vectors/http1/smuggling-payloads/payloads.json");
    let cases: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(path).expect("payloads")).expect("JSON");
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().replace("[space here]", " ");
    let mut all = Vec::new();
    for case in cases["permute"].as_array().expect("permutations") {
        let key = text(&case["content_length_key"]);
        let encoding = &case["transfer_encoding"];
        let encoding = format!("{}{}", text(&encoding["te_key"]), text(&encoding["te_value"]));
        for (length, body) in
            [(4, "1\r\nZ\r\nQ\r\n\r\n"), (6, "0\r\n\r\nX"), (5, "0\r\n\r\n"), (0, "0\r\n\r\n")]
        {
            let length = format!("{key} {length}");
            for fields in
                [format!("{length}\r\n{encoding}"), format!("{encoding}\r\n{length}"), encoding.clone()]
            {
                all.push((fields, body));
            }
        }
    }
    assert!(all.len() >= 38 * 12, "permutations are missing");
    Some(all)
}

/// Everything a peer answers to `wire`, which is followed by the end.
async fn exchange(host: &Sim, at: &Endpoint, wire: String) -> Bytes {
    let mut client = connect(host, at).await;
    let _ = support::write(&mut client.stream, wire).await;
    let _ = support::shutdown(&mut client.stream).await;
    client.rest().await
}

fn statuses(answers: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(answers);
    text.split("HTTP/1.1 ").skip(1).map(|answer| answer[..3].to_owned()).collect()
}

/// A small network with our server and, before it, the proxy.
fn simulated(test: &impl AsyncFn(&Sim, Endpoint, Endpoint, &Mutex<Vec<Read>>)) {
    let mut simulation = Simulation::new(seeds(1).next().unwrap_or_default());
    let host = simulation.host("here", [10, 0, 0, 1]);
    simulation.run(async {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let server = Server::bind(host.clone(), any_port()).await.expect("a free port");
        let at = server.local_endpoint().expect("an address");
        let front = Server::bind(host.clone(), any_port()).await.expect("a free port");
        let front_at = front.local_endpoint().expect("an address");
        let stoppers = [front.stopper(), server.stopper()];
        let work = async {
            test(&host, at.clone(), front_at, &seen).await;
            stoppers.iter().for_each(glowplug::runtime::server::Stopper::stop);
        };
        join3(work, server.run(recording(seen.clone())), front.run(forwarding(&host, &at))).await;
    });
}

#[test]
fn requests_of_smugglers_are_read_in_one_way() {
    let Some(cases) = permutations() else {
        let _ = std::io::Write::write_all(&mut std::io::stderr(), b"skipped: GLOWPLUG_VECTORS is not set\n");
        return;
    };
    simulated(&async |host, server, front, seen| {
        let mut taken = 0;
        for (fields, body) in &cases {
            let wire = format!(
                "POST /first HTTP/1.1\r\nHost: here\r\n{fields}\r\n\r\n{body}GET /second HTTP/1.1\r\nHost: here\r\n\r\n"
            );
            let direct = exchange(host, &server, wire.clone()).await;
            let read: Vec<Read> = std::mem::take(&mut *seen.lock().expect("seen"));
            let passed = exchange(host, &front, wire).await;
            let read_behind: Vec<Read> = std::mem::take(&mut *seen.lock().expect("seen"));
            // What the proxy cannot know to be complete never looks complete behind it.
            let complete = |read: &[Read]| -> Vec<Read> {
                read.iter().filter(|(_, body)| body.is_some()).cloned().collect()
            };
            assert_eq!(complete(&read), complete(&read_behind), "{fields:?} {body:?}");
            assert_eq!(statuses(&direct), statuses(&passed), "{fields:?} {body:?}");
            taken += usize::from(!complete(&read).is_empty());
        }
        assert!(taken > 0 && taken < cases.len(), "{taken} of {} are taken", cases.len());
    });
}

#[test]
fn answers_of_smugglers_are_read_in_one_way() {
    let Some(cases) = permutations() else {
        let _ = std::io::Write::write_all(&mut std::io::stderr(), b"skipped: GLOWPLUG_VECTORS is not set\n");
        return;
    };
    let mut simulation = Simulation::new(1);
    let host = simulation.host("here", [10, 0, 0, 1]);
    simulation.run(async {
        let mut upstream = host.listen(&any_port()).await.expect("a free port");
        let at = glowplug::runtime::Listener::local_endpoint(&upstream).expect("an address");
        let front = Server::bind(host.clone(), any_port()).await.expect("a free port");
        let front_at = front.local_endpoint().expect("an address");
        let stopper = front.stopper();
        let mut taken = 0;
        let work = async {
            for (fields, body) in &cases {
                let wire = format!(
                    "HTTP/1.1 200 OK\r\n{fields}\r\n\r\n{body}HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged"
                );
                // Once to our client, and once to it through the proxy.
                let mut readings = Vec::new();
                for place in [&at, &front_at] {
                    let (client, _) = Client::builder(host.clone()).build_with_reaper();
                    let asking = async {
                        let answer = client.get(format!("http://{place}/")).send().await.ok()?;
                        if answer.status() != 200 {
                            return None;
                        }
                        answer.bytes().await.ok()
                    };
                    let answering = async {
                        let mut stream = accept(&mut upstream).await;
                        let mut input = bytes::BytesMut::new();
                        while !input.ends_with(b"\r\n\r\n") {
                            if support::read(&mut stream, &mut input).await.unwrap_or_default() == 0 {
                                return;
                            }
                        }
                        let _ = support::write(&mut stream, wire.clone()).await;
                        let _ = support::shutdown(&mut stream).await;
                        let _ = support::read_all(&mut stream).await;
                    };
                    let patience = Some(Duration::from_secs(30));
                    readings.push(join(asking, within(&host, patience, answering)).await.0);
                }
                assert_eq!(readings[0], readings[1], "{fields:?} {body:?}");
                taken += usize::from(readings[0].is_some());
            }
            stopper.stop();
        };
        join(work, front.run(forwarding(&host, &at))).await;
        assert!(taken > 0 && taken < cases.len(), "{taken} of {} are taken", cases.len());
    });
}

/// Kilobytes of a line of `/proc/self/status`.
#[cfg(target_os = "linux")]
fn memory(line: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("a status");
    let found = status.lines().find_map(|found| found.strip_prefix(line)?.strip_prefix(':'));
    found.and_then(|found| found.trim().trim_end_matches(" kB").parse().ok()).expect("kilobytes")
}

#[cfg(target_os = "linux")]
async fn through_the_proxy<R: Through>(runtime: R, len: usize) {
    let server = Server::bind(runtime.clone(), any_port()).await.expect("a free port");
    let at = server.local_endpoint().expect("an address");
    let front = Server::bind(runtime.clone(), any_port()).await.expect("a free port");
    let front_at = front.local_endpoint().expect("an address");
    let stoppers = [front.stopper(), server.stopper()];
    let config = Config::default().drain_timeout(Duration::from_secs(1));
    let (server, front) = (server.config(config.clone()), front.config(config));
    let work = async {
        let mut client = connect(&runtime, &front_at).await;
        // Up.
        client.send(format!("POST /count HTTP/1.1\r\nhost: here\r\ncontent-length: {len}\r\n\r\n")).await;
        let piece = Bytes::from(vec![b'u'; 65_536]);
        let (mut out, mut left) = (SendBuf::new(), len);
        while left > 0 || !out.is_empty() {
            let next = left.min(piece.len());
            left -= next;
            out.push(piece.slice(..next));
            std::future::poll_fn(|cx| client.stream.poll_write(cx, &mut out)).await.expect("written");
        }
        assert_eq!(client.answer().await.body, len.to_string());
        // Down.
        client.send(get(&format!("/announced?{len}"))).await;
        assert_eq!(client.head().await.expect("a head").0, 200);
        assert_eq!(skip(&mut client, len).await, len);
        stoppers.iter().for_each(glowplug::runtime::server::Stopper::stop);
    };
    join3(work, server.run(app(&runtime)), front.run(forwarding(&runtime, &at))).await;
}

/// Reads so many bytes and keeps none.
#[cfg(target_os = "linux")]
async fn skip<S: Transport>(client: &mut Raw<S>, len: usize) -> usize {
    let mut count = client.input.len();
    client.input.clear();
    while count < len && client.more().await {
        count += client.input.len();
        client.input.clear();
    }
    count
}

/// `GLOWPLUG_PROXY_MIB=1024` sends a gigabyte each way.
#[cfg(target_os = "linux")]
#[test]
fn a_large_body_takes_little_memory() {
    const ROOM: u64 = 24 * 1024;
    let mebibytes =
        std::env::var("GLOWPLUG_PROXY_MIB").ok().and_then(|number| number.parse().ok()).unwrap_or(64_usize);
    for (executor, on_tokio) in [("smol", false), ("tokio", true)] {
        let before = memory("VmRSS");
        if on_tokio {
            support::on_tokio(|runtime| through_the_proxy(runtime, mebibytes << 20));
        } else {
            support::on_smol(|runtime| through_the_proxy(runtime, mebibytes << 20));
        }
        let peak = memory("VmHWM");
        println!("{mebibytes} MiB each way on {executor}: {before} kB before, at most {peak} kB");
        // Client, proxy and server are all in this process.
        assert!(peak < before + ROOM, "{executor}: {before} kB before, {peak} kB at most");
    }
}
