//! What the suites share: a real server that is started and stopped, and a client that works by hand over a socket or
//! over the server in memory.
#![expect(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "a test may have sockets and clocks"
)]
#![allow(dead_code, unreachable_pub, reason = "not every suite uses all of it")]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command as Process, Stdio};
use std::sync::Mutex;
use std::time::Duration;
use std::{env, thread};

use bytes::{Buf, BytesMut};
use glowplug_core::{Instant, RequestProtocol, SendBuf, StreamProtocol, Token};
use glowplug_redis::memory::{Connection, Handle};
use glowplug_redis::{ClientConfig, ClientConnection, Event, Reply, Request, Typed};
use libtest_mimic::Failed;

static STARTING: Mutex<()> = Mutex::new(());

/// The program to start, and whether it is there.
pub fn redis_server() -> (String, bool) {
    let program = env::var("GLOWPLUG_REDIS_SERVER").unwrap_or_else(|_| "redis-server".into());
    let found = Process::new(&program).arg("--version").stdout(Stdio::null()).status().is_ok();
    (program, found)
}

/// True when a missing server is a failure.
pub fn servers_are_required() -> bool {
    env::var("GLOWPLUG_REQUIRE_SERVERS").is_ok_and(|value| value == "1")
}

pub struct Server {
    process: Child,
    port: u16,
}

impl Server {
    pub fn start(program: &str, extra: &[&str]) -> Result<Self, Failed> {
        // Somebody else's outgoing connection may take the port between our look and the server's: then it ends, and another is
        // tried.
        let mut last = None;
        for _ in 0..5 {
            match Self::try_start(program, extra) {
                Ok(server) => return Ok(server),
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| "the server was never started".into()))
    }

    fn try_start(program: &str, extra: &[&str]) -> Result<Self, Failed> {
        // The system picks a port, which is free again at once: nobody else may pick it before the server has it.
        let _one_at_a_time = STARTING.lock();
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let process = Process::new(program)
            .args(["--port", &port.to_string(), "--save", "", "--appendonly", "no", "--bind", "127.0.0.1"])
            .args(extra)
            .stdout(Stdio::null())
            .spawn()?;
        let mut server = Self { process, port };
        for _ in 0..200 {
            if let Some(status) = server.process.try_wait()? {
                return Err(format!("the server ended: {status}").into());
            }
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return Ok(server);
            }
            thread::sleep(Duration::from_millis(20));
        }
        Err("the server does not listen".into())
    }

    pub fn connect(&self, config: ClientConfig) -> Result<Client, Failed> {
        let stream = TcpStream::connect(("127.0.0.1", self.port))?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        Ok(Client {
            peer: Peer::Socket(stream),
            machine: ClientConnection::new(Instant::ZERO, config),
            input: BytesMut::new(),
            out: SendBuf::new(),
            next: 0,
            now: Instant::ZERO,
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

enum Peer {
    Socket(TcpStream),
    Memory(Box<Connection>, BytesMut),
}

pub struct Client {
    peer: Peer,
    pub machine: ClientConnection,
    input: BytesMut,
    out: SendBuf,
    next: u64,
    /// What the clock of the server in memory shows.
    now: Instant,
}

impl Client {
    /// A client of a server in memory.
    pub fn in_memory(server: &Handle, config: ClientConfig) -> Self {
        Self {
            peer: Peer::Memory(Box::new(Connection::new(Instant::ZERO, server)), BytesMut::new()),
            machine: ClientConnection::new(Instant::ZERO, config),
            input: BytesMut::new(),
            out: SendBuf::new(),
            next: 0,
            now: Instant::ZERO,
        }
    }

    pub fn event(&mut self) -> Result<Event, Failed> {
        let now = Instant::ZERO;
        loop {
            if let Some(event) = self.machine.poll_event(now, &mut self.input)? {
                return Ok(event);
            }
            self.machine.poll_transmit(now, &mut self.out);
            match &mut self.peer {
                Peer::Socket(stream) => {
                    if self.out.has_remaining() {
                        let written = stream.write(self.out.chunk())?;
                        self.out.advance(written);
                        continue;
                    }
                    let mut chunk = [0; 4096];
                    match stream.read(&mut chunk)? {
                        0 => self.machine.handle_eof(now),
                        count => self.input.extend_from_slice(&chunk[..count]),
                    }
                }
                Peer::Memory(connection, sent) => {
                    sent.extend_from_slice(&self.out.take_all());
                    connection.poll_event(self.now, sent)?;
                    let mut out = SendBuf::new();
                    connection.poll_transmit(self.now, &mut out);
                    if !out.is_empty() {
                        self.input.extend_from_slice(&out.take_all());
                    } else if connection.interest().is_closed() {
                        self.machine.handle_eof(now);
                    } else {
                        // Time passes at once.
                        self.now = connection.poll_timeout().ok_or("the server in memory does not answer")?;
                        connection.handle_timeout(self.now);
                    }
                }
            }
        }
    }

    pub fn request(&mut self, request: impl Into<Request>) -> Result<Vec<Reply>, Failed> {
        let token = Token(self.next);
        self.next += 1;
        self.machine.submit(Instant::ZERO, token, request.into()).map_err(|error| error.to_string())?;
        let mut replies = Vec::new();
        loop {
            if let Event::Answer(answer) = self.event()? {
                assert_eq!(answer.token, token);
                replies.push(answer.response);
                if answer.last {
                    return Ok(replies);
                }
            }
        }
    }

    pub fn call<T>(&mut self, typed: Typed<T>) -> Result<T, Failed> {
        let (command, answers) = typed.into_parts();
        let reply = self.request(command)?.pop().ok_or("no reply")?;
        Ok(answers.convert(reply)?)
    }
}
