//! WebSocket: both ends of a connection, messages whole and in pieces, compressed and not.

use std::time::Duration;

use bytes::BytesMut;
use glowplug_core::{Instant, Seed, SendBuf, StreamProtocol};
use glowplug_websocket::wire::{FrameHead, Opcode, encode};
use glowplug_websocket::{
    Agreed, ClientHandshake, Config, Connection, DeflateConfig, Event, Role, ServerHandshake,
};

use crate::laws::journal::Journal;
use crate::laws::stream::StreamSubject;

/// Small, so that hostile input meets them soon.
fn config() -> Config {
    Config::new()
        .max_frame_len(64 * 1024)
        .max_message_len(64 * 1024)
        .max_fragments(32)
        .max_controls(64)
        .send_buffer(8192)
        .ping_interval(Some(Duration::from_secs(20)))
}

fn deflating() -> Config {
    config().deflate(Some(DeflateConfig::new().threshold(0)))
}

fn agreed(config: &Config) -> Agreed {
    let client = ClientHandshake::new(&Seed::from_u64(1), config, [""; 0]).fields();
    let fields = client.iter().map(|(name, value)| (*name, value.as_bytes()));
    ServerHandshake::read("GET", fields, config).map(|server| server.agreed().clone()).unwrap_or_default()
}

fn connection(role: Role, config: Config) -> Connection {
    let agreed = agreed(&config);
    Connection::new(Instant::ZERO, role, config, &agreed)
}

/// An application that says every message back.
fn echo(connection: &mut Connection, now: Instant, event: Event, journal: &mut Journal) {
    match event {
        Event::Data(data) => journal.data("", &data),
        Event::Message(message) => {
            journal.event(format_args!("{message:?}"));
            // A full connection has no room: what is not said back is lost.
            let _ = connection.send(now, message);
        }
        event => journal.event(format_args!("{event:?}")),
    }
}

/// A frame of a peer: a client's is masked.
fn frame(is_client: bool, opcode: Opcode, fin: bool, payload: &[u8]) -> Vec<u8> {
    let mut out = BytesMut::new();
    let mask = is_client.then_some([0x37, 0xfa, 0x21, 0x3d]);
    encode(FrameHead { fin, rsv1: false, opcode, mask, len: 0 }, payload, &mut out);
    out.to_vec()
}

/// What a compressing client sends.
fn compressed() -> Vec<u8> {
    let mut client = connection(Role::Client(Seed::from_u64(3)), deflating());
    for text in ["the same again and again, ", "the same again and again, ", ""] {
        // There is room for these few.
        let _ = client.send(Instant::ZERO, text.repeat(20));
    }
    let mut out = SendBuf::new();
    client.poll_transmit(Instant::ZERO, &mut out);
    out.take_all().to_vec()
}

/// A server that says every message back.
pub fn server() -> StreamSubject<Connection> {
    let fresh = || connection(Role::Server, deflating());
    inputs(StreamSubject::on_event("websocket server", fresh, echo), true)
        .input("compressed messages", compressed())
        .invalid("what does not inflate", [&[0xc2, 0x84, 0, 0, 0, 0][..], &[0xff; 4]].concat())
}

/// A server that is told messages in pieces.
pub fn server_in_pieces() -> StreamSubject<Connection> {
    let fresh = || connection(Role::Server, deflating().pieces(true));
    inputs(StreamSubject::on_event("websocket server, in pieces", fresh, echo), true)
        .input("compressed messages", compressed())
}

/// A client that says every message back.
pub fn client() -> StreamSubject<Connection> {
    let fresh = || connection(Role::Client(Seed::from_u64(2)), config());
    inputs(StreamSubject::on_event("websocket client", fresh, echo), false)
}

/// What peers send, rightly and wrongly.
fn inputs(subject: StreamSubject<Connection>, from_client: bool) -> StreamSubject<Connection> {
    let frame = |opcode, fin, payload: &[u8]| frame(from_client, opcode, fin, payload);
    let key: &[u8] = if from_client { &[0; 4] } else { &[] };
    let bit = if from_client { 0x80 } else { 0 };
    let story = [
        frame(Opcode::Text, true, "hello κόσμε".as_bytes()),
        frame(Opcode::Text, false, b"caf\xc3"),
        frame(Opcode::Ping, true, b"amid"),
        frame(Opcode::Continuation, false, b""),
        frame(Opcode::Continuation, true, b"\xa9"),
        frame(Opcode::Pong, true, b""),
        frame(Opcode::Binary, true, &[7; 300]),
    ]
    .concat();
    let goodbye = frame(Opcode::Close, true, b"\x03\xe8bye");
    subject
        .input("a story", [story.clone(), goodbye.clone()].concat())
        .input("words after the good-bye", [goodbye, story].concat())
        .input("a long message", frame(Opcode::Binary, true, &[1; 9000]))
        .input("half a message", frame(Opcode::Text, false, b"begun"))
        .invalid("text that is none", frame(Opcode::Text, true, b"ab\xff"))
        .invalid(
            "text that is none in its second frame",
            [frame(Opcode::Text, false, b"a\xe2"), frame(Opcode::Continuation, true, b"\x28")].concat(),
        )
        .invalid("a reserved opcode", [0x83, bit])
        .invalid("a frame that is too long", [0x82, bit | 0x7f, 0, 0, 0, 0, 0, 1, 0, 1])
        .invalid("a mask where none belongs, or none where one does", [0x81, bit ^ 0x80, 0, 0, 0, 0])
        .invalid("a continuation of nothing", frame(Opcode::Continuation, true, b"x"))
        .endless("a frame without end", [&[0x82, bit | 0x7e, 0xff, 0xff], key].concat(), "x")
        .endless("a flood of pings", "", frame(Opcode::Ping, true, b"?"))
        .endless(
            "a flood of fragments",
            frame(Opcode::Text, false, b"x"),
            frame(Opcode::Continuation, false, b"x"),
        )
        .memory(1 << 20)
}
