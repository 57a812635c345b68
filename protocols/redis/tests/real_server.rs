//! The client's end against a real `redis-server`, where one is found: `GLOWPLUG_REDIS_SERVER`, or on `PATH`.
//!
//! Without one the cases are listed as ignored, unless `GLOWPLUG_REQUIRE_SERVERS=1` asks for failure.
#![expect(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "a test may have sockets and clocks"
)]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command as Process, Stdio};
use std::time::Duration;
use std::{env, thread};

use bytes::{Buf, Bytes, BytesMut};
use glowplug_core::{Instant, RequestProtocol, SendBuf, StreamProtocol, Token};
use glowplug_redis::commands::{self, Expiry, SetOptions, Ttl};
use glowplug_redis::{
    ClientConfig, ClientConnection, Command, Event, Pipeline, Protocol, PushMessage, Reply, Request, Typed,
};
use libtest_mimic::{Arguments, Failed, Trial};

struct Server {
    process: Child,
    port: u16,
}

impl Server {
    fn start(program: &str, extra: &[&str]) -> Result<Self, Failed> {
        // The system picks a port, which is free again at once.
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let process = Process::new(program)
            .args(["--port", &port.to_string(), "--save", "", "--appendonly", "no", "--bind", "127.0.0.1"])
            .args(extra)
            .stdout(Stdio::null())
            .spawn()?;
        let server = Self { process, port };
        for _ in 0..200 {
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return Ok(server);
            }
            thread::sleep(Duration::from_millis(20));
        }
        Err("the server does not listen".into())
    }

    fn connect(&self, config: ClientConfig) -> Result<Client, Failed> {
        let stream = TcpStream::connect(("127.0.0.1", self.port))?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        Ok(Client {
            stream,
            machine: ClientConnection::new(Instant::ZERO, config),
            input: BytesMut::new(),
            out: SendBuf::new(),
            next: 0,
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

struct Client {
    stream: TcpStream,
    machine: ClientConnection,
    input: BytesMut,
    out: SendBuf,
    next: u64,
}

impl Client {
    fn event(&mut self) -> Result<Event, Failed> {
        let now = Instant::ZERO;
        loop {
            if let Some(event) = self.machine.poll_event(now, &mut self.input)? {
                return Ok(event);
            }
            self.machine.poll_transmit(now, &mut self.out);
            if self.out.has_remaining() {
                let written = self.stream.write(self.out.chunk())?;
                self.out.advance(written);
                continue;
            }
            let mut chunk = [0; 4096];
            match self.stream.read(&mut chunk)? {
                0 => self.machine.handle_eof(now),
                count => self.input.extend_from_slice(&chunk[..count]),
            }
        }
    }

    fn request(&mut self, request: impl Into<Request>) -> Result<Vec<Reply>, Failed> {
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

    fn call<T>(&mut self, typed: Typed<T>) -> Result<T, Failed> {
        let (command, answers) = typed.into_parts();
        let reply = self.request(command)?.pop().ok_or("no reply")?;
        Ok(answers.convert(reply)?)
    }
}

fn strings_and_keys(program: &str, protocol: Protocol) -> Result<(), Failed> {
    let server = Server::start(program, &[])?;
    let mut client =
        server.connect(ClientConfig::new().protocol(protocol).client_name("tester").database(3))?;
    let Event::Connected { protocol: spoken, .. } = client.event()? else {
        return Err("not connected".into());
    };
    assert_eq!(spoken, protocol);
    assert_eq!(client.call(commands::client_getname())?.as_deref(), Some("tester"));
    client.call(commands::set("k", "v"))?;
    assert_eq!(client.call(commands::get("k"))?, Some(Bytes::from("v")));
    assert_eq!(client.call(commands::get("missing"))?, None);
    client.call(commands::set("empty", ""))?;
    assert_eq!(client.call(commands::get("empty"))?, Some(Bytes::new()));
    let options = SetOptions { if_exists: Some(false), expiry: None };
    assert!(!client.call(commands::set_with("k", "w", options))?);
    assert_eq!(client.call(commands::ttl("k"))?, Ttl::Never);
    assert_eq!(client.call(commands::ttl("missing"))?, Ttl::NoKey);
    let options = SetOptions { if_exists: None, expiry: Some(Expiry::After(Duration::from_secs(50))) };
    assert_eq!(client.call(commands::set_get("k", "w", options))?, Some(Bytes::from("v")));
    assert!(matches!(client.call(commands::ttl("k"))?, Ttl::Left(49..=50)));
    assert!((client.call(commands::incrbyfloat("f", 1.5))? - 1.5).abs() < 1e-9);
    assert_eq!(client.call(commands::keys("*"))?.len(), 3);
    assert_eq!(client.call(commands::mget(["k", "none"]))?, [Some(Bytes::from("w")), None]);
    let large = Bytes::from(vec![b'x'; 1 << 20]);
    client.call(commands::set("large", large.clone()))?;
    assert_eq!(client.call(commands::get("large"))?, Some(large));
    let error = client.request(Command::new("LPUSH").arg("k").arg("x"))?.remove(0);
    assert_eq!(error.as_error().map(glowplug_redis::ServerError::code), Some("WRONGTYPE"));
    let mut pipeline = Pipeline::new();
    for _ in 0..1000 {
        pipeline.push(commands::incr("hits"));
    }
    let replies = client.request(pipeline)?;
    assert_eq!(replies.len(), 1000);
    assert_eq!(replies[999], Reply::Integer(1000));
    Ok(())
}

fn publishes_and_subscribes(program: &str, protocol: Protocol) -> Result<(), Failed> {
    let server = Server::start(program, &[])?;
    let mut listener = server.connect(ClientConfig::new().protocol(protocol))?;
    let mut speaker = server.connect(ClientConfig::new())?;
    assert_eq!(listener.request(commands::subscribe(["a", "b", "a"]))?.len(), 3);
    assert_eq!(listener.request(commands::psubscribe(["c*"]))?.len(), 1);
    assert_eq!(speaker.call(commands::publish("a", "hello"))?, 1);
    assert_eq!(speaker.call(commands::publish("cd", "there"))?, 1);
    for (channel, payload) in [("a", "hello"), ("cd", "there")] {
        let Event::Push(push) = listener.event()? else { return Err("no push".into()) };
        let Some(PushMessage::Message { channel: c, payload: p, .. }) = PushMessage::parse(&push) else {
            return Err("no message".into());
        };
        assert_eq!((&c[..], &p[..]), (channel.as_bytes(), payload.as_bytes()));
    }
    let none: [&str; 0] = [];
    assert_eq!(listener.request(Command::new("PING"))?.len(), 1);
    assert_eq!(listener.request(commands::unsubscribe(none))?.len(), 2);
    assert_eq!(listener.request(commands::punsubscribe(none))?.len(), 1);
    assert_eq!(listener.request(commands::unsubscribe(none))?.len(), 1);
    assert_eq!(listener.call(commands::echo("still here"))?, "still here");
    Ok(())
}

fn passwords(program: &str) -> Result<(), Failed> {
    let server = Server::start(program, &["--requirepass", "secret"])?;
    for protocol in [Protocol::Resp2, Protocol::Resp3] {
        let config = ClientConfig::new().protocol(protocol).database(1);
        let mut client = server.connect(config.clone().password("secret"))?;
        assert_eq!(client.call(commands::ping())?, "PONG");
        let mut client = server.connect(config.clone().username("default").password("secret"))?;
        assert_eq!(client.call(commands::ping())?, "PONG");
        assert!(server.connect(config.clone().password("wrong"))?.event().is_err());
        assert!(server.connect(config)?.event().is_err());
    }
    Ok(())
}

fn main() {
    let program = env::var("GLOWPLUG_REDIS_SERVER").unwrap_or_else(|_| "redis-server".into());
    let found = Process::new(&program).arg("--version").stdout(Stdio::null()).status().is_ok();
    let required = env::var("GLOWPLUG_REQUIRE_SERVERS").is_ok_and(|value| value == "1");
    let mut trials = Vec::new();
    let mut add = |name: &str, case: fn(&str) -> Result<(), Failed>| {
        let program = program.clone();
        let kind = if found { "redis-server" } else { "redis-server not found" };
        let trial = Trial::test(name, move || case(&program)).with_kind(kind);
        trials.push(trial.with_ignored_flag(!found && !required));
    };
    add("strings_and_keys_resp2", |program| strings_and_keys(program, Protocol::Resp2));
    add("strings_and_keys_resp3", |program| strings_and_keys(program, Protocol::Resp3));
    add("pubsub_resp2", |program| publishes_and_subscribes(program, Protocol::Resp2));
    add("pubsub_resp3", |program| publishes_and_subscribes(program, Protocol::Resp3));
    add("passwords", passwords);
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}
