//! What ten thousand idle connections cost: memory of the server's process, each server in a process of its own.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::load::Load;
use crate::servers;

const CONNECTIONS: usize = 10_000;

/// Longer than a server keeps the memory of a connection that has just become idle.
const REST: Duration = Duration::from_secs(4);

const SERVERS: [(&str, fn(Load, u64) -> bench_harness::Measured); 7] = [
    ("glowplug on tokio", servers::glowplug_tokio),
    ("glowplug on smol", servers::glowplug_smol),
    ("axum on glowplug on tokio", servers::glowplug_axum),
    ("hyper", servers::hyper),
    ("axum", servers::axum),
    ("actix-web", servers::actix),
    ("may_minihttp", servers::may_minihttp),
];

/// All servers, one after the other.
pub fn main() {
    for (name, _) in SERVERS {
        let status = Command::new(std::env::current_exe().expect("a name")).args(["--idle", name]).status();
        assert!(status.expect("it runs").success(), "{name} failed");
    }
}

/// One server, here and now.
pub fn one(name: &str) {
    let (_, serve) = SERVERS.iter().find(|(known, _)| *known == name).expect("a known server");
    // Everything that is there once: threads, stacks, the first allocations.
    serve(Load { connections: 64, depth: 1 }, 6400);
    let port = servers::last_port();
    let before = resident();
    let mut holder = Command::new(std::env::current_exe().expect("a name"))
        .args(["--hold", &port.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it runs");
    let mut ready = [0];
    holder.stdout.as_mut().expect("a pipe").read_exact(&mut ready).expect("it holds them");
    std::thread::sleep(REST);
    let each = resident().saturating_sub(before) / CONNECTIONS;
    println!("| {name} | {each} bytes for an idle connection, of {CONNECTIONS} |");
    drop(holder.stdin.take());
    holder.wait().expect("it ends");
}

/// The child's side: opens them, asks once on each, and waits until it is told to go.
pub fn hold(port: u16) {
    let mut held = Vec::new();
    for _ in 0..CONNECTIONS {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("connected");
        stream.write_all(super::WRK.as_bytes()).expect("written");
        let mut answer = [0; 4096];
        assert!(stream.read(&mut answer).expect("an answer") > 0);
        held.push(stream);
    }
    std::io::stdout().write_all(b"!").expect("told");
    std::io::stdout().flush().expect("told");
    let _ = std::io::stdin().read(&mut [0]);
}

/// Bytes of memory that this process has.
fn resident() -> usize {
    let text = std::fs::read_to_string("/proc/self/statm").expect("Linux");
    let pages: usize = text.split(' ').nth(1).and_then(|pages| pages.parse().ok()).expect("a number");
    pages * 4096
}
