//! What talks to the servers: a process of its own, so that its work is not counted as theirs.
//!
//! So many connections, each of which sends a message and waits for all of its echo. It knows the echo's length and looks at nothing
//! else.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::fd::AsFd;
use std::process::Command;

use glowplug_websocket::wire::{FrameHead, Opcode, encode};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// A handshake as a browser's, and the answer of those servers that are given a connection behind it.
const REQUEST: &str = "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
pub const ANSWER: &str = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

/// Runs the load in a child process, to its end.
pub fn run(port: u16, connections: usize, len: usize, messages: u64) {
    let status = Command::new(std::env::current_exe().expect("a name"))
        .args(["--load", &port.to_string(), &connections.to_string(), &len.to_string()])
        .arg(messages.to_string())
        .status()
        .expect("the load runs");
    assert!(status.success(), "the load failed");
}

fn frame(len: usize, mask: Option<[u8; 4]>) -> bytes::BytesMut {
    let head = FrameHead { fin: true, rsv1: false, opcode: Opcode::Binary, mask, len: 0 };
    let mut frame = bytes::BytesMut::new();
    encode(head, &vec![7; len], &mut frame);
    frame
}

struct Connection {
    stream: TcpStream,
    /// Messages that were not sent yet.
    left: u64,
    /// What of the echo under way is still to come, in bytes.
    awaited: usize,
}

/// The child's side.
pub fn main(arguments: &[String]) {
    let number = |at: usize| arguments[at].parse::<u64>().expect("a number");
    let (port, connections, len, messages) = (number(0) as u16, number(1), number(2) as usize, number(3));
    bench_harness::pin(0);
    let mut buf = vec![0; 1 << 17];
    let (message, echo) = (frame(len, Some([1, 2, 3, 4])), frame(len, None).len());
    let mut all: Vec<Connection> = (0..connections)
        .map(|_| {
            let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("connected");
            stream.set_nodelay(true).expect("set");
            stream.write_all(REQUEST.as_bytes()).expect("written");
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let count = stream.read(&mut buf).expect("an answer");
                assert!(count > 0, "the server hung up");
                head.extend_from_slice(&buf[..count]);
            }
            Connection { stream, left: messages / connections, awaited: 0 }
        })
        .collect();
    for connection in &mut all {
        connection.say(&message, echo);
    }
    let mut busy = all.iter().filter(|connection| connection.awaited > 0).count();
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
            let count = connection.stream.read(&mut buf).expect("an echo");
            assert!(
                count > 0 && count <= connection.awaited,
                "{count} bytes where {} were due",
                connection.awaited
            );
            connection.awaited -= count;
            if connection.awaited == 0 {
                connection.say(&message, echo);
                busy -= usize::from(connection.awaited == 0);
            }
        }
    }
}

impl Connection {
    fn events(&self) -> PollFlags {
        if self.awaited > 0 { PollFlags::POLLIN } else { PollFlags::empty() }
    }

    fn say(&mut self, message: &[u8], echo: usize) {
        if self.left > 0 {
            self.left -= 1;
            self.awaited = echo;
            self.stream.write_all(message).expect("written");
        }
    }
}
