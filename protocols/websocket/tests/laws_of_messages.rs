//! Messages through a connection: every frame at every cut, limits, closing, time.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use glowplug_core::{Instant, ReadInterest, Seed, SendBuf, StreamProtocol, WriteInterest};
use glowplug_websocket::wire::{FrameHead, Opcode, encode};
use glowplug_websocket::{
    Agreed, ClientHandshake, CloseCode, CloseFrame, Config, Connection, DeflateConfig, Error, Event, Message,
    MessageKind, Phase, Reason, Role, SendError, ServerHandshake,
};

const NOW: Instant = Instant::ZERO;

fn agreed(config: &Config) -> Agreed {
    let client = ClientHandshake::new(&Seed::from_u64(1), config, [""; 0]);
    let fields = client.fields();
    let fields = fields.iter().map(|(name, value)| (*name, value.as_bytes()));
    ServerHandshake::read("GET", fields, config).expect("a handshake").agreed().clone()
}

fn deflating(deflate: DeflateConfig) -> Config {
    Config::new().deflate(Some(deflate.threshold(0)))
}

fn server(config: &Config) -> Connection {
    Connection::new(NOW, Role::Server, config.clone(), &agreed(config))
}

fn client(config: &Config) -> Connection {
    Connection::new(NOW, Role::Client(Seed::from_u64(5)), config.clone(), &agreed(config))
}

fn sent(connection: &mut Connection) -> Vec<u8> {
    let mut out = SendBuf::with_room(usize::MAX);
    connection.poll_transmit(NOW, &mut out);
    out.take_all().to_vec()
}

/// What is told, and how it ends.
fn told(connection: &mut Connection, input: &mut BytesMut) -> (Vec<Event>, Option<Error>) {
    let mut events = Vec::new();
    loop {
        match connection.poll_event(NOW, input) {
            Ok(Some(event)) => events.push(event),
            Ok(None) => return (joined(events), None),
            Err(error) => return (joined(events), Some(error)),
        }
    }
}

/// Pieces that lie side by side are one.
fn joined(events: Vec<Event>) -> Vec<Event> {
    let mut joined: Vec<Event> = Vec::new();
    for event in events {
        match (joined.last_mut(), event) {
            (Some(Event::Data(data)), Event::Data(more)) => *data = Bytes::from([&data[..], &more].concat()),
            (_, event) => joined.push(event),
        }
    }
    joined
}

fn frame(opcode: Opcode, fin: bool, payload: &[u8]) -> Vec<u8> {
    let mut out = BytesMut::new();
    let head = FrameHead { fin, rsv1: false, opcode, mask: Some([1, 2, 3, 4]), len: 0 };
    encode(head, payload, &mut out);
    out.to_vec()
}

/// Whole, at every cut, and byte by byte: events, error and good-bye are the same.
fn at_every_cut(config: &Config, stream: &[u8]) -> (Vec<Event>, Option<Error>) {
    let run = |pieces: &[&[u8]]| {
        let (mut server, mut input) = (server(config), BytesMut::new());
        let (mut events, mut error) = (Vec::new(), None);
        for piece in pieces {
            input.extend_from_slice(piece);
            let (more, failed) = told(&mut server, &mut input);
            events.extend(more);
            error = error.or(failed);
        }
        (joined(events), error, sent(&mut server))
    };
    let whole = run(&[stream]);
    for cut in 0..=stream.len() {
        assert_eq!(run(&[&stream[..cut], &stream[cut..]]), whole, "cut at {cut}");
    }
    let bytes: Vec<&[u8]> = stream.chunks(1).collect();
    assert_eq!(run(&bytes), whole, "byte by byte");
    (whole.0, whole.1)
}

fn story() -> Vec<u8> {
    [
        frame(Opcode::Text, true, "hello κόσμε".as_bytes()),
        frame(Opcode::Binary, false, b"one "),
        frame(Opcode::Ping, true, b"amid"),
        frame(Opcode::Continuation, false, b""),
        frame(Opcode::Continuation, true, &[7; 300]),
        frame(Opcode::Text, false, b"caf\xc3"),
        frame(Opcode::Pong, true, b""),
        frame(Opcode::Continuation, true, b"\xa9"),
        frame(Opcode::Text, true, b""),
        frame(Opcode::Close, true, b"\x03\xe8bye"),
        frame(Opcode::Text, true, b"never heard"),
    ]
    .concat()
}

#[test]
fn messages_whole_and_in_pieces_at_every_cut() {
    let (events, error) = at_every_cut(&Config::new(), &story());
    assert_eq!(error, None);
    let close = Event::Close(Some(CloseFrame::new(CloseCode::NORMAL, "bye")));
    assert_eq!(
        events,
        [
            Event::Message("hello κόσμε".into()),
            Event::Ping(Bytes::from("amid")),
            Event::Message(Message::binary([&b"one "[..], &[7; 300]].concat())),
            Event::Pong(Bytes::new()),
            Event::Message("café".into()),
            Event::Message("".into()),
            close.clone(),
        ]
    );
    let (events, error) = at_every_cut(&Config::new().pieces(true), &story());
    assert_eq!(error, None);
    assert_eq!(
        events[..3],
        [Event::Begin(MessageKind::Text), Event::Data(Bytes::from("hello κόσμε")), Event::End,]
    );
    assert_eq!(
        events[3..6],
        [
            Event::Begin(MessageKind::Binary),
            Event::Data(Bytes::from("one ")),
            Event::Ping(Bytes::from("amid")),
        ]
    );
    assert_eq!(events.last(), Some(&close));
}

#[test]
fn compressed_messages_at_every_cut() {
    let kinds = [
        DeflateConfig::new(),
        DeflateConfig::new().server_no_context_takeover(true).client_no_context_takeover(true),
        DeflateConfig::new().client_max_window_bits(9).server_max_window_bits(9),
    ];
    for deflate in kinds {
        let config = deflating(deflate);
        let mut client = client(&config);
        let long = "the same again and again, ".repeat(40);
        client.send(NOW, long.as_str()).expect("room");
        client.send(NOW, long.as_str()).expect("room");
        client.send(NOW, "").expect("room");
        for (piece, last) in [("", false), ("one ", false), ("", false), ("two", false), ("", true)] {
            client.send_data(NOW, MessageKind::Text, piece, last).expect("room");
            client.ping(NOW, "amid").expect("room");
        }
        let stream = sent(&mut client);
        assert!(stream.len() < long.len(), "{} bytes", stream.len());
        let (events, error) = at_every_cut(&config, &stream);
        assert_eq!(error, None);
        let messages: Vec<_> = events
            .iter()
            .filter_map(|event| if let Event::Message(m) = event { m.as_text() } else { None })
            .collect();
        assert_eq!(messages, [&long, &long, "", "one two"]);
        let (events, error) = at_every_cut(&config.clone().pieces(true), &stream);
        assert_eq!(
            (events[..2].to_vec(), error),
            (vec![Event::Begin(MessageKind::Text), Event::Data(long.clone().into())], None)
        );
    }
}

/// The examples of RFC 7692 §7.2.3.
#[test]
fn the_examples_of_the_rfc() {
    let config = deflating(DeflateConfig::new());
    for payload in [
        &b"\xf2\x48\xcd\xc9\xc9\x07\x00"[..],
        b"\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00",
        b"\xf3\x48\xcd\xc9\xc9\x07\x00\x00",
        b"\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00",
    ] {
        let mut stream = BytesMut::new();
        for _ in 0..2 {
            let head = FrameHead { fin: true, rsv1: true, opcode: Opcode::Text, mask: Some([9; 4]), len: 0 };
            encode(head, payload, &mut stream);
        }
        let (events, error) = at_every_cut(&config, &stream);
        assert_eq!((events, error), (vec![Event::Message("Hello".into()); 2], None));
    }
}

/// What is wrong, where, and what the peer is told.
#[test]
fn what_is_refused() {
    let cases: Vec<(&str, Vec<u8>, Reason, u64, u16)> = vec![
        ("a reserved bit", vec![0xa1, 0x80], Reason::ReservedBits, 0, 1002),
        ("compressed, unasked", vec![0xc1, 0x80, 0, 0, 0, 0], Reason::ReservedBits, 0, 1002),
        ("compressed control", vec![0xc9, 0x80], Reason::ReservedBits, 0, 1002),
        ("a reserved opcode", vec![0x83], Reason::ReservedOpcode, 0, 1002),
        ("a reserved control", vec![0x8b], Reason::ReservedOpcode, 0, 1002),
        ("a ping in fragments", vec![0x09], Reason::ControlFragmented, 0, 1002),
        ("a long ping", vec![0x89, 0xfe], Reason::ControlTooLong, 1, 1002),
        ("16 bits for little", vec![0x82, 0xfe, 0, 125, 1, 2, 3, 4], Reason::LengthNotMinimal, 2, 1002),
        (
            "64 bits for little",
            [&[0x82, 0xff][..], &65535u64.to_be_bytes(), &[0; 4]].concat(),
            Reason::LengthNotMinimal,
            2,
            1002,
        ),
        ("64 bits in full", [&[0x82, 0xff][..], &[0xff; 8]].concat(), Reason::LengthTooLong, 2, 1002),
        ("no mask", vec![0x81, 0x01, b'x'], Reason::MaskMissing, 1, 1002),
        (
            "a continuation of nothing",
            frame(Opcode::Continuation, true, b"x"),
            Reason::ContinuationUnexpected,
            0,
            1002,
        ),
        (
            "a message in a message",
            [frame(Opcode::Text, false, b"x"), frame(Opcode::Text, true, b"y")].concat(),
            Reason::ContinuationExpected,
            7,
            1002,
        ),
        ("half a code", frame(Opcode::Close, true, b"\x03"), Reason::CloseLength, 6, 1002),
        ("code 1005", frame(Opcode::Close, true, b"\x03\xed"), Reason::CloseCode(1005), 6, 1002),
        ("code 999", frame(Opcode::Close, true, b"\x03\xe7"), Reason::CloseCode(999), 6, 1002),
        ("code 5000", frame(Opcode::Close, true, b"\x13\x88"), Reason::CloseCode(5000), 6, 1002),
        ("a reason that is no text", frame(Opcode::Close, true, b"\x03\xe8a\xff"), Reason::Utf8, 9, 1007),
        ("text that is none", frame(Opcode::Text, true, b"ab\xff"), Reason::Utf8, 8, 1007),
        ("text that ends halfway", frame(Opcode::Text, true, b"ab\xe2\x82"), Reason::Utf8, 8, 1007),
        (
            "text that is none in its second frame",
            [
                frame(Opcode::Text, false, b"ab\xe2"),
                frame(Opcode::Ping, true, b"?"),
                frame(Opcode::Continuation, true, b"\x28"),
            ]
            .concat(),
            Reason::Utf8,
            22,
            1007,
        ),
        (
            "a surrogate over two frames",
            [frame(Opcode::Text, false, b"\xed"), frame(Opcode::Continuation, false, b"\xa0")].concat(),
            Reason::Utf8,
            13,
            1007,
        ),
    ];
    for (name, stream, reason, offset, code) in cases {
        for config in [Config::new(), Config::new().pieces(true)] {
            let (_, error) = at_every_cut(&config, &stream);
            let Some(Error::Peer(error)) = error else { panic!("{name}: {error:?}") };
            assert_eq!((error.reason, error.offset), (reason, offset), "{name}");
            let (mut server, mut input) = (server(&config), BytesMut::from(&stream[..]));
            told(&mut server, &mut input);
            let mut goodbye = sent(&mut server);
            if goodbye[0] == 0x8a {
                goodbye.drain(..3); // what answers the ping
            }
            assert_eq!((goodbye[0], &goodbye[2..4]), (0x88, &u16::to_be_bytes(code)[..]), "{name}");
            assert_eq!(server.interest().write, WriteInterest::Closed);
        }
    }
    let mut client = client(&Config::new());
    let error = client.poll_event(NOW, &mut BytesMut::from(&frame(Opcode::Text, true, b"x")[..]));
    assert!(matches!(error, Err(Error::Peer(error)) if error.reason == Reason::MaskUnexpected));
}

#[test]
fn limits_are_kept_and_named() {
    let limits = Config::new().max_frame_len(200).max_message_len(300).max_fragments(3).max_controls(2);
    let part = |fin, len| frame(Opcode::Continuation, fin, &vec![b'x'; len]);
    let first = |len| frame(Opcode::Text, false, &vec![b'x'; len]);
    let ping = || frame(Opcode::Ping, true, b"");
    let cases = [
        ("max_frame_len", 1009, frame(Opcode::Binary, true, &[0; 201])),
        ("max_message_len", 1009, [first(150), part(true, 151)].concat()),
        ("max_fragments", 1008, [first(0), part(false, 0), part(false, 0), part(false, 0)].concat()),
        ("max_controls", 1008, [ping(), frame(Opcode::Pong, true, b""), ping()].concat()),
    ];
    for (limit, code, stream) in cases {
        for config in [limits.clone(), limits.clone().pieces(true)] {
            let (_, error) = at_every_cut(&config, &stream);
            let Some(error @ Error::Limit { exceeded, .. }) = error else { panic!("{limit}: {error:?}") };
            assert_eq!((exceeded.limit, error.close_code().map(CloseCode::get)), (limit, Some(code)));
        }
    }
    let fine = [first(100), part(false, 100), part(true, 100)].concat();
    assert_eq!(at_every_cut(&limits, &fine).1, None);
}

#[test]
fn a_bomb_is_refused_before_it_goes_off() {
    let config = deflating(DeflateConfig::new().level(9));
    let mut attacker = client(&config);
    attacker.send(NOW, Message::binary(vec![0; 100 << 20])).expect("room");
    let bomb = sent(&mut attacker);
    assert!(bomb.len() < 120_000, "{} bytes", bomb.len());
    for config in [config.clone().max_message_len(1 << 20), config.pieces(true).max_message_len(1 << 20)] {
        let mut server = server(&config);
        let (events, error) = told(&mut server, &mut BytesMut::from(&bomb[..]));
        assert!(matches!(error, Some(Error::Limit { exceeded, .. }) if exceeded.limit == "max_message_len"));
        assert_eq!(error.and_then(|error| error.close_code()), Some(CloseCode::TOO_BIG));
        let told: usize =
            events.iter().map(|event| if let Event::Data(data) = event { data.len() } else { 0 }).sum();
        assert!(told <= (1 << 20) + 16 * 1024, "{told} bytes told");
    }
}

#[test]
fn closing_from_either_end() {
    let config = Config::new();
    let (mut client, mut server) = (client(&config), server(&config));
    client.send(NOW, "last words").expect("room");
    client.close_with(NOW, Some(&CloseFrame::new(CloseCode::GOING_AWAY, "bye")));
    assert!(!client.is_open());
    assert!(matches!(client.send(NOW, "more"), Err(SendError::Closed(_))));
    let (events, error) = told(&mut server, &mut BytesMut::from(&sent(&mut client)[..]));
    let bye = Event::Close(Some(CloseFrame::new(CloseCode::GOING_AWAY, "bye")));
    assert_eq!((events, error), (vec![Event::Message("last words".into()), bye], None));
    let answer = sent(&mut server);
    assert!(server.interest().is_closed(), "the server closes the stream first");
    let (events, error) = told(&mut client, &mut BytesMut::from(&answer[..]));
    assert_eq!((events, error), (vec![Event::Close(Some(CloseCode::GOING_AWAY.into()))], None));
    assert_eq!(client.interest().read, ReadInterest::Want(1), "the client waits for the server to close it");
    client.handle_eof(NOW);
    assert!(client.interest().is_closed());
    assert_eq!(client.poll_timeout(), None);
}

#[test]
fn a_peer_that_never_says_goodbye_or_never_closes() {
    let config = Config::new().close_timeout(Duration::from_secs(3));
    let mut deaf = server(&config);
    deaf.close(NOW);
    sent(&mut deaf);
    // Data goes on being told, and does not move the deadline.
    let data = frame(Opcode::Text, true, b"still here");
    assert_eq!(told(&mut deaf, &mut BytesMut::from(&data[..])).0, [Event::Message("still here".into())]);
    let at = deaf.poll_timeout().expect("a deadline");
    assert_eq!(at, NOW + Duration::from_secs(3));
    deaf.handle_timeout(at);
    assert_eq!(deaf.poll_event(at, &mut BytesMut::new()), Err(Error::TimedOut(Phase::Close)));
    assert!(deaf.interest().is_closed());

    let mut waiting = client(&config);
    waiting.close(NOW);
    sent(&mut waiting);
    told(&mut waiting, &mut BytesMut::from(&b"\x88\x00"[..]));
    let at = waiting.poll_timeout().expect("a deadline");
    waiting.handle_timeout(at);
    assert!(waiting.interest().is_closed());

    let mut cut = server(&config);
    cut.handle_eof(NOW);
    assert_eq!(cut.poll_event(NOW, &mut BytesMut::new()), Err(Error::UnexpectedEof));
    assert!(cut.interest().is_closed());
}

#[test]
fn pings_by_the_policy() {
    let config =
        Config::new().ping_interval(Some(Duration::from_secs(5))).pong_timeout(Duration::from_secs(2));
    let mut server = server(&config);
    let due = NOW + Duration::from_secs(5);
    assert_eq!(server.poll_timeout(), Some(due));
    server.handle_timeout(due);
    let ping = sent(&mut server);
    assert_eq!(ping[..2], [0x89, 8]);
    assert_eq!(server.poll_timeout(), Some(due + Duration::from_secs(2)));
    // Its answer is a sign of life, and no event.
    let mut pong = BytesMut::from(&frame(Opcode::Pong, true, &ping[2..])[..]);
    let heard = due + Duration::from_secs(1);
    assert_eq!(server.poll_event(heard, &mut pong), Ok(None));
    assert_eq!(server.poll_timeout(), Some(heard + Duration::from_secs(5)));
    server.handle_timeout(heard + Duration::from_secs(5));
    let late = heard + Duration::from_secs(7);
    server.handle_timeout(late);
    assert_eq!(server.poll_event(late, &mut BytesMut::new()), Err(Error::TimedOut(Phase::Pong)));
    assert_eq!(sent(&mut server)[10..14], [0x88, 31, 0x03, 0xf3], "the ping, and code 1011");
}

#[test]
fn only_the_latest_ping_is_answered_when_there_is_no_room() {
    let mut server = server(&Config::new().send_buffer(1));
    let pings: Vec<u8> = (0..100u8).flat_map(|n| frame(Opcode::Ping, true, &[n])).collect();
    let (events, _) = told(&mut server, &mut BytesMut::from(&pings[..]));
    assert_eq!(events.len(), 100);
    assert_eq!(sent(&mut server), [0x8a, 1, 0, 0x8a, 1, 99]);
}

#[test]
fn what_is_sent_in_pieces_keeps_its_order_and_is_text() {
    let config = Config::new();
    let (mut client, mut server) = (client(&config), server(&config));
    client.send_data(NOW, MessageKind::Text, &b"caf\xc3"[..], false).expect("room");
    assert!(matches!(client.send(NOW, "other"), Err(SendError::Busy(_))));
    let wrong = client.send_data(NOW, MessageKind::Binary, &b""[..], true);
    assert!(matches!(wrong, Err(SendError::Busy(_))));
    let invalid = client.send_data(NOW, MessageKind::Text, &b"x"[..], true);
    assert!(matches!(invalid, Err(SendError::Utf8(_))));
    client.send_data(NOW, MessageKind::Text, &b"\xa9"[..], true).expect("room");
    assert!(matches!(client.ping(NOW, vec![0; 126]), Err(SendError::TooLong(_))));
    let (events, error) = told(&mut server, &mut BytesMut::from(&sent(&mut client)[..]));
    assert_eq!((events, error), (vec![Event::Message("café".into())], None));
}

/// Long messages take other ways: as they are, masked where they lie, copied; and are taken as they come.
#[test]
fn long_messages_both_ways() {
    for len in [1000, 1024, 70_000, 200_000, 1_000_000] {
        let config = Config::new().send_buffer(1 << 30);
        let (mut client, mut server) = (client(&config), server(&config));
        let payload: Vec<u8> = (0..len).map(|n: u32| (n * 7 % 251) as u8).collect();
        let shared = Bytes::from(payload.clone());
        for message in [Message::Binary(shared.clone()), Message::binary(payload.clone())] {
            client.send(NOW, message.clone()).expect("room");
            server.send(NOW, message).expect("room");
        }
        drop(shared);
        let (up, down) = (sent(&mut client), sent(&mut server));
        for (receiver, stream) in [(&mut server, up), (&mut client, down)] {
            let (mut input, mut events) = (BytesMut::new(), Vec::new());
            for piece in stream.chunks(9_999) {
                input.extend_from_slice(piece);
                events.extend(told(receiver, &mut input).0);
            }
            assert_eq!(events, vec![Event::Message(Message::binary(payload.clone())); 2]);
        }
    }
}
