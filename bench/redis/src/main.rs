//! Redis: glowplug beside its peers, on one `redis-server` in a process of its own.

mod clients;
mod codec;

use std::process::{Child, Stdio};
use std::time::Duration;

use bench_harness::{Counting, Entry, Work, role};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The server's core and ours: work and server do not share one.
const SERVER_CORE: usize = 0;
const CLIENT_CORE: usize = 1;

struct Server {
    child: Child,
    port: u16,
}

impl Server {
    fn start() -> Self {
        let port = std::net::TcpListener::bind("127.0.0.1:0")
            .and_then(|listener| listener.local_addr())
            .expect("a free port")
            .port();
        bench_harness::pin(SERVER_CORE);
        let child = role::server("redis-server")
            .args(["--port", &port.to_string(), "--save", "", "--appendonly", "no"])
            .stdout(Stdio::null())
            .spawn()
            .expect("redis-server is on the PATH");
        bench_harness::pin(CLIENT_CORE);
        for _ in 0..100 {
            if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
                break;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Self { child, port }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn main() {
    let server = Server::start();
    let port = server.port;
    clients::prepare(port);
    let clients = |name: &'static str, operations: u64, how: clients::How| Work {
        name,
        operations,
        entries: vec![
            Entry::ours("glowplug tokio", move |n| clients::glowplug_tokio(port, how, n)),
            Entry::ours("glowplug smol", move |n| clients::glowplug_smol(port, how, n)),
            Entry::peer("redis-rs", move |n| clients::redis_rs(port, how, n)),
            Entry::peer("redis-async", move |n| clients::redis_async(port, how, n)),
            Entry::peer("rustis", move |n| clients::rustis(port, how, n)),
            Entry::peer("fred", move |n| clients::fred(port, how, n)),
        ],
    };
    bench_harness::main(vec![
        clients("get-64-callers", 200_000, clients::How::Callers(64)),
        clients("pipelines-of-100", 200_000, clients::How::Pipelines(100)),
        clients("get-in-sequence", 20_000, clients::How::Callers(1)),
        codec::decode_array(),
        codec::decode_map(),
        codec::encode_get(),
    ]);
    drop(server);
}
