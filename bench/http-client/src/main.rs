//! HTTP/1.1 clients: glowplug beside hyper, hyper-util, reqwest and ureq, on one nginx in a process of its own.

mod clients;

use std::path::PathBuf;
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
    folder: PathBuf,
}

impl Server {
    fn start() -> Self {
        let port = std::net::TcpListener::bind("127.0.0.1:0")
            .and_then(|listener| listener.local_addr())
            .expect("a free port")
            .port();
        let folder = std::env::temp_dir().join(format!("glowplug-bench-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        let config = format!(
            "daemon off; master_process off; pid {0}/nginx.pid; error_log {0}/error.log;
            events {{ worker_connections 1024; }}
            http {{
                access_log off; keepalive_requests 100000000; keepalive_timeout 600s;
                client_body_temp_path {0}/a; proxy_temp_path {0}/b; fastcgi_temp_path {0}/c; uwsgi_temp_path {0}/d;
                scgi_temp_path {0}/e; default_type text/plain;
                server {{ listen 127.0.0.1:{port}; location / {{ return 200 \"Hello, world!\"; }} }}
            }}",
            folder.display()
        );
        std::fs::write(folder.join("nginx.conf"), config).expect("written");
        bench_harness::pin(SERVER_CORE);
        let child = role::server("nginx")
            .arg("-p")
            .arg(&folder)
            .args(["-c", "nginx.conf"])
            .stderr(Stdio::null())
            .spawn()
            .expect("nginx is on the PATH");
        bench_harness::pin(CLIENT_CORE);
        for _ in 0..100 {
            if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
                break;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Self { child, port, folder }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn main() {
    let server = Server::start();
    let url: &'static str = format!("http://127.0.0.1:{}/", server.port).leak();
    let asynchronous = |callers: u64| {
        vec![
            Entry::ours("glowplug tokio", move |n| clients::glowplug_tokio(url, callers, n)),
            Entry::ours("glowplug smol", move |n| clients::glowplug_smol(url, callers, n)),
            Entry::peer("hyper, no pool", move |n| clients::hyper_conn(url, callers, n)),
            Entry::peer("hyper-util", move |n| clients::hyper_util(url, callers, n)),
            Entry::peer("reqwest", move |n| clients::reqwest(url, callers, n)),
        ]
    };
    let mut in_sequence = asynchronous(1);
    in_sequence.push(Entry::peer("ureq", move |n| clients::ureq(url, n)));
    bench_harness::main(vec![
        Work { name: "get-in-sequence", operations: 10_000, entries: in_sequence },
        Work { name: "get-64-callers", operations: 40_000, entries: asynchronous(64) },
    ]);
    drop(server);
}
