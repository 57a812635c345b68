//! Redis: RESP both ways, both machines, the server in memory.

use std::convert::Infallible;
use std::time::Duration;

use bytes::BytesMut;
use glowplug_core::{Instant, RequestProtocol, Token};
use glowplug_redis::wire::{CommandDecoder, Decoder, Limits, Protocol, Reply, Value, encode};
use glowplug_redis::{
    ClientConfig, ClientConnection, Command, Event, Pipeline, ServerConfig, ServerConnection, ServerEvent,
    memory,
};

use super::super::laws::{START, Subject, check};
use super::super::log::{Log, Shape};

/// Small enough to be reached.
fn limits() -> Limits {
    Limits::default()
        .max_bulk_len(4096)
        .max_reply_len(1 << 16)
        .max_elements(256)
        .max_depth(8)
        .max_line_len(256)
}

/// What was read, written and read again is the same; commands are arrays of strings.
pub fn wire(data: &[u8]) -> Shape {
    let mut log = Log::default();
    let (mut decoder, mut input) = (Decoder::new(limits()), BytesMut::from(data));
    loop {
        match decoder.decode(&mut input) {
            Ok(Some(reply)) => {
                again(&reply);
                log.event(reply);
            }
            other => break log.event(other),
        }
    }
    let (mut decoder, mut input) = (CommandDecoder::new(limits()), BytesMut::from(data));
    loop {
        match decoder.decode(&mut input) {
            Ok(Some(command)) => {
                let value = Value::Array(command.args().map(Value::bulk).collect());
                let mut written = BytesMut::new();
                encode(&value, Protocol::Resp2, &mut written);
                let read = CommandDecoder::new(Limits::default()).decode(&mut written);
                let read = read.expect("a command").expect("a whole one");
                assert!(read.args().eq(command.args()), "{read:?} was {command:?}");
                log.event(command);
            }
            other => break log.event(other),
        }
    }
    log.shape()
}

fn again(reply: &Reply) {
    let mut written = BytesMut::new();
    encode(&Value::from(reply.view()), Protocol::Resp3, &mut written);
    let mut copy = written.clone();
    let read = Decoder::new(Limits::default()).decode(&mut copy).expect("a reply").expect("a whole one");
    // The first writing may change a line that holds a bare line feed; and NaN is not itself. So bytes are compared.
    let mut again = BytesMut::new();
    encode(&Value::from(read.view()), Protocol::Resp3, &mut again);
    assert_eq!(written, again, "{reply:?}");
}

#[derive(Default)]
struct Client {
    tokens: u64,
}

impl Subject for Client {
    type Machine = ClientConnection;

    fn machine(&mut self, choice: u8) -> ClientConnection {
        let mut config = ClientConfig::new()
            .limits(limits())
            .max_in_flight(8)
            .protocol(if choice & 1 == 0 { Protocol::Resp3 } else { Protocol::Resp2 })
            .set_info(choice & 2 != 0);
        if choice & 4 != 0 {
            config = config.password("secret").database(1);
        }
        if choice & 8 != 0 {
            config =
                config.keep_alive(Some(Duration::from_secs(3))).answer_timeout(Some(Duration::from_secs(5)));
        }
        ClientConnection::new(START, config)
    }

    fn act(&mut self, machine: &mut ClientConnection, now: Instant, number: u8) {
        let token = Token(self.tokens);
        let request = match number % 8 {
            1 | 2 => Command::new("GET").arg("key").into(),
            3 => Pipeline::new().with(Command::new("INCR").arg("n")).with(Command::new("PING")).into(),
            4 => Command::new("SUBSCRIBE").arg("a").arg("b").into(),
            5 => Command::new("UNSUBSCRIBE").into(),
            6 => return machine.cancel(Token(self.tokens.saturating_sub(1))),
            7 => return machine.cancel(Token(self.tokens.saturating_sub(2))),
            _ => return,
        };
        if machine.submit(now, token, request).is_ok() {
            self.tokens += 1;
        }
    }

    fn told(&mut self, _: &mut ClientConnection, _: Instant, event: Event, log: &mut Log) {
        log.event(event);
    }

    fn end(&mut self, machine: &ClientConnection) {
        assert!(machine.unanswered().count() <= machine.in_flight());
    }
}

/// A client that asks, subscribes and gives up.
pub fn conn_client(data: &[u8]) -> Shape {
    check::<Client>(data)
}

#[derive(Default)]
struct Server;

impl Subject for Server {
    type Machine = ServerConnection;

    fn machine(&mut self, choice: u8) -> ServerConnection {
        let idle = (choice & 1 == 1).then_some(Duration::from_secs(5));
        let config =
            ServerConfig::new().limits(limits()).max_unanswered(4).max_output(256).idle_timeout(idle);
        ServerConnection::new(START, config)
    }

    fn act(&mut self, machine: &mut ServerConnection, _: Instant, number: u8) {
        if number % 8 == 1 {
            machine.push(&Value::Push(vec![Value::bulk("message"), Value::bulk("a"), Value::bulk("b")]));
        }
    }

    fn told(&mut self, machine: &mut ServerConnection, _: Instant, event: ServerEvent, log: &mut Log) {
        match event {
            ServerEvent::Command(command) => {
                if command.is("HELLO") {
                    machine.set_protocol(Protocol::Resp3);
                }
                machine.reply(&Value::Array(command.args().map(Value::bulk).collect()));
                log.event(command);
            }
            _ => log.event(event),
        }
    }
}

/// A server that says what it heard.
pub fn conn_server(data: &[u8]) -> Shape {
    check::<Server>(data)
}

#[derive(Default)]
struct Memory;

impl Subject for Memory {
    type Machine = memory::Connection;

    fn machine(&mut self, _: u8) -> memory::Connection {
        let connection = ServerConfig::new().limits(limits());
        let server =
            memory::Handle::new(memory::Config::new().max_string_len(1 << 16).connection(connection));
        memory::Connection::new(START, &server)
    }

    fn told(&mut self, _: &mut memory::Connection, _: Instant, event: Infallible, _: &mut Log) {
        match event {}
    }

    /// It has no events: what it answers is what counts.
    fn sent(&mut self, bytes: &[u8], log: &mut Log) {
        log.sent(bytes);
    }
}

/// The server in memory.
pub fn conn_memory(data: &[u8]) -> Shape {
    check::<Memory>(data)
}
