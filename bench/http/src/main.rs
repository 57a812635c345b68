//! HTTP/1.1: in memory, heads beside `httparse` and whole server connections beside hyper; and over sockets, servers beside hyper,
//! axum, actix-web, may_minihttp and nginx, under a load from another process.

mod connection;
mod heads;
mod idle;
mod load;
mod servers;

use bench_harness::{Counting, Entry, Work};
use load::Load;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// What wrk sends.
const WRK: &str = "GET / HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n";

/// What a browser sends, by measure: nine fields, two of them long.
const BROWSER: &str = "GET /articles/2026/11/a-picture-with-quite-a-long-name.jpg HTTP/1.1\r\n\
    Host: www.example.com\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0 with-a-suffix-of-an-extension/0.9\r\n\
    Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n\
    Accept-Language: en-us;q=0.7,en;q=0.3\r\n\
    Accept-Encoding: gzip,deflate\r\n\
    Accept-Charset: utf-8;q=0.7,*;q=0.7\r\n\
    Keep-Alive: 115\r\n\
    Connection: keep-alive\r\n\
    Cookie: visits=2; last_visit=1763769600; first=aaaaaaaaaa.bbbbbbbbbb.cccccccccc.dddddddddd.eeeeeeeeee.1; \
    second=aaaaaaaaaa.bbbbbbbbbb.1.1.campaign=(referral)|source=reader.example.com|content=/reader/|medium=referral|\
    padding=xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\r\n\r\n";

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--load", ..] => return load::main(&arguments[1..]),
        // Memory has no rounds: a table of its own.
        ["--idle"] => return idle::main(),
        ["--idle", server] => return idle::one(server),
        ["--hold", port] => return idle::hold(port.parse().expect("a port")),
        _ => {}
    }
    let head = |name, wire: &'static str| Work {
        name,
        operations: 200_000,
        entries: vec![
            Entry::ours("glowplug, a new connection each", move |n| heads::glowplug(wire, n)),
            Entry::peer("httparse", move |n| heads::httparse(wire, n)),
        ],
    };
    let to_http = |name, wire: &'static str| Work {
        name,
        operations: 100_000,
        entries: vec![
            Entry::ours("glowplug, a new connection each", move |n| heads::glowplug_to_http(wire, n)),
            Entry::peer("httparse and http's builder", move |n| heads::httparse_to_http(wire, n)),
        ],
    };
    let connection = |name, wire: &'static str| Work {
        name,
        operations: 100_000,
        entries: vec![
            Entry::ours("glowplug", move |n| connection::glowplug(wire, n)),
            Entry::peer("hyper", move |n| connection::hyper(wire, n)),
        ],
    };
    let serve = |name, operations, depth| {
        let load = Load { connections: 64, depth };
        Work {
            name,
            operations,
            entries: vec![
                Entry::ours("glowplug on tokio", move |n| servers::glowplug_tokio(load, n)),
                Entry::ours("glowplug on smol", move |n| servers::glowplug_smol(load, n)),
                Entry::ours("glowplug raw on tokio", move |n| servers::glowplug_raw_tokio(load, n)),
                Entry::ours("glowplug raw on smol", move |n| servers::glowplug_raw_smol(load, n)),
                Entry::ours("axum on glowplug on tokio", move |n| servers::glowplug_axum(load, n)),
                Entry::peer("hyper", move |n| servers::hyper(load, n)),
                Entry::peer("hyper, pipeline_flush", move |n| servers::hyper_flush(load, n)),
                Entry::peer("axum", move |n| servers::axum(load, n)),
                Entry::peer("actix-web", move |n| servers::actix(load, n)),
                Entry::peer("may_minihttp", move |n| servers::may_minihttp(load, n)),
                Entry::peer("nginx", move |n| servers::nginx(load, n)),
            ],
        }
    };
    bench_harness::pin(1);
    bench_harness::main(vec![
        head("head-of-wrk", WRK),
        head("head-of-browser", BROWSER),
        to_http("to-http-types-wrk", WRK),
        to_http("to-http-types-browser", BROWSER),
        connection("connection-wrk", WRK),
        connection("connection-browser", BROWSER),
        serve("serve-64", 64 * 500, 1),
        serve("serve-64-pipelined-16", 64 * 16 * 200, 16),
    ]);
}
