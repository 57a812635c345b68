//! Connections that say nothing, from a process of their own, while others are served.
//!
//! 400 fit into any limit on open files; `GLOWPLUG_IDLE=10000` takes as many as it says.

mod http_web;
#[allow(unused_macros, unused_imports, reason = "not every executor is used here")]
mod support;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use glowplug::runtime::http::server::Config;
use glowplug::runtime::time::sleep;

use http_web::{Plug, app, connect, serving};

/// Where the load goes, for the process that makes it.
const TARGET: &str = "GLOWPLUG_IDLE_TARGET";

fn count() -> usize {
    std::env::var("GLOWPLUG_IDLE").ok().and_then(|count| count.parse().ok()).unwrap_or(400)
}

/// The other process: so many connections, of which every tenth has asked something, until its input ends.
#[test]
fn the_load() {
    let Some(at) = std::env::var(TARGET).ok().and_then(|at| at.parse::<SocketAddr>().ok()) else { return };
    let mut connections = Vec::new();
    for n in 0..count() {
        let mut connection = TcpStream::connect(at).expect("connected");
        if n % 10 == 0 {
            connection.write_all(http_web::get("/hello").as_bytes()).expect("written");
            let mut answer = Vec::new();
            while !answer.ends_with(b"\r\n\r\nhello") {
                let mut byte = [0; 256];
                let len = connection.read(&mut byte).expect("an answer");
                assert!(len > 0, "the end");
                answer.extend_from_slice(&byte[..len]);
            }
        }
        connections.push(connection);
    }
    eprintln!("connected");
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
}

/// The process of the load, which ends with its input.
struct Load(Child);

impl Load {
    fn start(at: SocketAddr) -> Self {
        let mut command = Command::new(std::env::current_exe().expect("this program"));
        command.args(["--exact", "the_load", "--nocapture"]).env(TARGET, at.to_string());
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
        Self(command.spawn().expect("it starts"))
    }

    fn connected(&mut self) {
        let mut line = String::new();
        let stderr = self.0.stderr.take().expect("a pipe");
        BufReader::new(stderr).read_line(&mut line).expect("a line");
        assert_eq!(line, "connected\n");
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

/// Kilobytes of memory of this process, where the system says.
fn memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().trim_end_matches(" kB").parse().ok()
}

async fn idle<R: Plug>(runtime: R) {
    let count = count();
    let config = Config::default().max_connections(count + 10).drain_timeout(Duration::from_secs(5));
    serving(&runtime, config, app(&runtime), async |at, stopper| {
        let mut client = connect(&runtime, &at).await;
        assert_eq!(client.get("/hello").await.body, "hello");
        let before = memory();
        let address = at.socket_addr().expect("an address");
        let (load, loaded) = std::sync::mpsc::channel();
        let loading = std::thread::spawn(move || {
            let mut process = Load::start(address);
            process.connected();
            load.send(process).expect("somebody waits");
        });
        while stopper.connections() < count + 1 || !loading.is_finished() {
            assert_eq!(client.get("/hello").await.body, "hello");
            sleep(&runtime, Duration::from_millis(5)).await;
        }
        loading.join().expect("loaded");
        let process = loaded.recv().expect("a process");
        for _ in 0..100 {
            assert_eq!(client.get("/hello").await.body, "hello");
        }
        assert_eq!(stopper.connections(), count + 1);
        if let (Some(before), Some(after)) = (before, memory()) {
            let each = after.saturating_sub(before) * 1024 / count as u64;
            println!("{count} idle connections: {before} kB before, {after} kB with them, {each} bytes each");
        }
        let ending = std::thread::spawn(move || drop(process));
        while stopper.connections() > 1 {
            sleep(&runtime, Duration::from_millis(5)).await;
        }
        ending.join().expect("ended");
        assert_eq!(client.get("/hello").await.body, "hello");
    })
    .await;
}

/// One after the other: each of them takes most of the files that a process may have.
#[test]
fn others_are_served_meanwhile() {
    if std::env::var_os(TARGET).is_some() {
        return;
    }
    support::on_tokio(idle);
    support::on_smol(idle);
}
