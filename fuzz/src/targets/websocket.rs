//! WebSocket: frames there and back, handshakes, both ends of a connection.

use bytes::BytesMut;
use glowplug_core::{Instant, Seed};
use glowplug_websocket::wire::{FrameDecoder, Utf8, encode};
use glowplug_websocket::{
    Agreed, ClientHandshake, CloseCode, CloseFrame, Config, Connection, DeflateConfig, Event, MessageKind,
    Role, ServerHandshake,
};

use super::super::laws::{START, Subject, check};
use super::super::log::{Log, Shape};

/// A frame that was read, written and read again is the same; text is checked as by std; fields never panic.
pub fn wire(data: &[u8]) -> Shape {
    let mut log = Log::default();
    let (mut decoder, mut input) = (FrameDecoder::new(4096), BytesMut::from(data));
    loop {
        match decoder.decode(&mut input) {
            Ok(Some(frame)) => {
                let mut written = BytesMut::new();
                encode(frame.head, &frame.payload, &mut written);
                let again =
                    FrameDecoder::new(4096).decode(&mut written).expect("a frame").expect("a whole one");
                assert_eq!(again, frame);
                let _ = CloseFrame::decode(frame.payload.clone());
                log.event(frame.head);
            }
            other => break log.event(other),
        }
    }
    let mut utf8 = Utf8::new();
    let fed = data.chunks(3).try_for_each(|piece| utf8.feed(piece)).and_then(|()| utf8.end());
    assert_eq!(fed, std::str::from_utf8(data).map(drop).map_err(|error| error.valid_up_to() as u64));
    let config = deflating(0);
    let client = ClientHandshake::new(&Seed::from_u64(1), &config, ["chat"]);
    for name in ["sec-websocket-extensions", "sec-websocket-protocol", "connection", "sec-websocket-key"] {
        let mut request = client.fields();
        request.retain(|(other, _)| *other != name);
        let fields = request.iter().map(|(name, value)| (*name, value.as_bytes()));
        let Ok(mut server) = ServerHandshake::read("GET", fields.chain([(name, data)]), &config) else {
            continue;
        };
        server.choose_protocol(&["chat"]);
        let answer = server.fields();
        let agreed = client.check(101, answer.iter().map(|(name, value)| (*name, value.as_bytes())));
        log.event((server.agreed(), agreed.is_ok()));
        let _ = client
            .check(101, answer.iter().map(|(name, value)| (*name, value.as_bytes())).chain([(name, data)]));
    }
    log.shape()
}

fn deflating(choice: u8) -> Config {
    let deflate = DeflateConfig::new().threshold(0).server_no_context_takeover(choice & 4 != 0);
    let deflate = deflate.client_no_context_takeover(choice & 8 != 0).server_max_window_bits(9);
    limits().deflate(Some(deflate))
}

/// Small enough to be reached.
fn limits() -> Config {
    Config::new()
        .max_frame_len(4096)
        .max_message_len(8192)
        .max_fragments(16)
        .max_controls(16)
        .send_buffer(1024)
}

fn config(choice: u8) -> Config {
    let config = if choice & 1 == 0 { limits() } else { deflating(choice) };
    config.pieces(choice & 2 != 0)
}

/// What two ends of this configuration agree on.
fn agreed(choice: u8) -> Agreed {
    let config = config(choice);
    let client = ClientHandshake::new(&Seed::from_u64(1), &config, [""; 0]).fields();
    let fields = client.iter().map(|(name, value)| (*name, value.as_bytes()));
    ServerHandshake::read("GET", fields, &config).expect("a handshake").agreed().clone()
}

/// One end, as its application.
#[derive(Default)]
pub struct End<const IS_CLIENT: bool>;

impl<const IS_CLIENT: bool> Subject for End<IS_CLIENT> {
    type Machine = Connection;

    fn machine(&mut self, choice: u8) -> Connection {
        let role = if IS_CLIENT { Role::Client(Seed::from_u64(7)) } else { Role::Server };
        Connection::new(START, role, config(choice), &agreed(choice))
    }

    fn act(&mut self, machine: &mut Connection, now: Instant, number: u8) {
        let last = number & 8 != 0;
        match number % 8 {
            1 => drop(machine.send(now, "hello κόσμε")),
            2 => drop(machine.send(now, vec![number; 2000])),
            3 => drop(machine.send_data(now, MessageKind::Text, "κόσμε", last)),
            4 => drop(machine.send_data(now, MessageKind::Binary, &b"\x80"[..], last)),
            5 => drop(machine.ping(now, &b"ping"[..])),
            6 => drop(machine.pong(now, &b"pong"[..])),
            7 if last => machine.close_with(now, Some(&CloseFrame::new(CloseCode::GOING_AWAY, "bye"))),
            7 => machine.close_with(now, None),
            _ => {}
        }
    }

    fn told(&mut self, _machine: &mut Connection, _now: Instant, event: Event, log: &mut Log) {
        match event {
            Event::Data(data) => log.data(&data),
            event => log.event(event),
        }
    }
}

/// A client that sends messages whole and in pieces.
pub fn conn_client(data: &[u8]) -> Shape {
    check::<End<true>>(data)
}

/// A server that does the same.
pub fn conn_server(data: &[u8]) -> Shape {
    check::<End<false>>(data)
}
