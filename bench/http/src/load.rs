//! What asks the servers: a process of its own, so that its work is not counted as theirs.
//!
//! It works like wrk: so many connections, each sending its requests and waiting for all of their answers. It finds the ends of
//! answers by their known length and looks at nothing else.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::os::fd::AsFd;

/// Asks for `requests` answers over `connections`, each with `depth` under way.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    pub connections: usize,
    pub depth: usize,
}

/// Runs the load in a child process, to its end.
pub fn run(load: Load, port: u16, requests: u64) {
    let status = Command::new(std::env::current_exe().expect("a name"))
        .args(["--load", &port.to_string(), &load.connections.to_string(), &load.depth.to_string()])
        .arg(requests.to_string())
        .status()
        .expect("the load runs");
    assert!(status.success(), "the load failed");
}

struct Connection {
    stream: TcpStream,
    /// Requests that were not sent yet.
    left: u64,
    /// Answers that are under way, in bytes.
    awaited: usize,
}

/// The child's side.
pub fn main(arguments: &[String]) {
    let number = |at: usize| arguments[at].parse::<u64>().expect("a number");
    let (port, connections, depth, requests) = (number(0) as u16, number(1), number(2), number(3));
    bench_harness::pin(0);
    let mut buf = vec![0; 1 << 16];

    // The length of one answer, which does not change.
    let mut first = TcpStream::connect(("127.0.0.1", port)).expect("connected");
    first.write_all(super::WRK.as_bytes()).expect("written");
    let mut len = 0;
    while !buf[..len].ends_with(b"Hello, World!") {
        len += first.read(&mut buf[len..]).expect("an answer");
    }
    drop(first);

    let batch = super::WRK.repeat(depth as usize);
    let each = requests / connections;
    let mut all: Vec<Connection> = (0..connections)
        .map(|_| {
            let stream = TcpStream::connect(("127.0.0.1", port)).expect("connected");
            stream.set_nodelay(true).expect("set");
            Connection { stream, left: each, awaited: 0 }
        })
        .collect();
    for connection in &mut all {
        connection.ask(&batch, depth, len);
    }
    let mut busy = all.len();
    while busy > 0 {
        let ready: Vec<usize> = {
            let mut fds: Vec<PollFd<'_>> = all
                .iter()
                .map(|connection| PollFd::new(connection.stream.as_fd(), connection.events()))
                .collect();
            poll(&mut fds, PollTimeout::NONE).expect("polled");
            (0..fds.len()).filter(|&at| fds[at].any().unwrap_or_default()).collect()
        };
        for at in ready {
            let connection = &mut all[at];
            if connection.awaited == 0 {
                continue;
            }
            let count = connection.stream.read(&mut buf).expect("an answer");
            assert!(
                count > 0 && count <= connection.awaited,
                "{count} bytes where {} were due",
                connection.awaited
            );
            connection.awaited -= count;
            if connection.awaited == 0 {
                connection.ask(&batch, depth, len);
                busy -= usize::from(connection.awaited == 0);
            }
        }
    }
}

impl Connection {
    fn events(&self) -> PollFlags {
        if self.awaited > 0 { PollFlags::POLLIN } else { PollFlags::empty() }
    }

    fn ask(&mut self, batch: &str, depth: u64, len: usize) {
        let count = self.left.min(depth);
        self.left -= count;
        self.awaited = count as usize * len;
        let bytes = super::WRK.len() * count as usize;
        self.stream.write_all(&batch.as_bytes()[..bytes]).expect("written");
    }
}
