//! Bytes that nobody should send: never a panic, never two readings, never more work than bytes.
#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "a test of cost measures time")]

mod support;

use std::time::Instant as Clock;

use bytes::BytesMut;
use glowplug_core::{Instant, StreamProtocol};
use glowplug_http::{ClientConnection, Method, ServerConnection};
use proptest::prelude::*;
use support::{at_every_cut, client_config, receive, serve, server_config};

/// Pieces of messages, right and wrong, which random strings of become deep nonsense.
const PIECES: [&str; 48] = [
    "GET / HTTP/1.1\r\n",
    "POST /a HTTP/1.1\r\n",
    "HEAD * HTTP/1.0\r\n",
    "CONNECT a:1 HTTP/1.1\r\n",
    "HTTP/1.1 200 OK\r\n",
    "HTTP/1.0 200 OK\r\n",
    "HTTP/1.1 100 Continue\r\n",
    "HTTP/1.1 101 Switching Protocols\r\n",
    "HTTP/1.1 204 \r\n",
    "HTTP/1.1 304 \r\n",
    "Host: a\r\n",
    "host:\r\n",
    "Content-Length: 5\r\n",
    "Content-Length: 0\r\n",
    "content-length: 5, 5\r\n",
    "Content-Length: 99999999999999999999\r\n",
    "Transfer-Encoding: chunked\r\n",
    "transfer-encoding: gzip, chunked\r\n",
    "Transfer-Encoding:\x0bchunked\r\n",
    "Transfer-Encoding : chunked\r\n",
    "Connection: close\r\n",
    "Connection: keep-alive, Upgrade\r\n",
    "Upgrade: x\r\n",
    "Expect: 100-continue\r\n",
    " folded\r\n",
    "X: y\r\n",
    "X: y\n",
    ": x\r\n",
    "\r\n",
    "\r\n\r\n",
    "\n",
    "\r",
    "\0",
    "5\r\nhello\r\n",
    "5;a=b\r\nhello\r\n",
    "5;a=\"\r\n\"\r\nhello\r\n",
    "0\r\n\r\n",
    "0\r\nT: 1\r\n\r\n",
    "ffffffffffffffff\r\n",
    "fffffffffffffffff\r\n",
    "-1\r\n",
    "hello",
    "H",
    "HTTP/",
    "G",
    " ",
    "\u{e9}",
    "\x16\x03\x01",
];

fn nonsense() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        8 => proptest::sample::select(&PIECES[..]).prop_map(|piece| piece.as_bytes().to_vec()),
        1 => proptest::collection::vec(any::<u8>(), 1..6),
    ];
    proptest::collection::vec(piece, 0..14).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nonsense_reads_the_same_at_every_cut(wire in nonsense(), eof: bool) {
        at_every_cut(&wire, 40, |pieces| serve(&server_config(), pieces, eof));
        for method in [Method::GET, Method::HEAD, Method::CONNECT] {
            at_every_cut(&wire, 20, |pieces| receive(&client_config(), &method, pieces, eof));
        }
    }

    #[test]
    fn a_whole_request_before_nonsense_is_answered(wire in nonsense()) {
        let told = serve(&server_config(), &[b"GET / HTTP/1.1\r\nhost: a\r\n\r\n", &wire], true);
        prop_assert_eq!(told.events.first().map(String::as_str), Some("stream 1: GET / HTTP/1.1 Empty host=a"));
        prop_assert_eq!(told.statuses().first().copied(), Some(200));
    }
}

/// Feeds `wire` a byte at a time and returns how long that took.
fn trickle(machine: &mut impl StreamProtocol, wire: &[u8]) -> std::time::Duration {
    let mut input = BytesMut::new();
    let start = Clock::now();
    for &byte in wire {
        input.extend_from_slice(&[byte]);
        while let Ok(Some(_)) = machine.poll_event(Instant::ZERO, &mut input) {}
    }
    start.elapsed()
}

/// One byte at a time costs what one byte costs: a parser that starts again each time would take minutes here.
#[test]
fn one_byte_at_a_time_is_linear() {
    let long = "x".repeat(30_000);
    let server = || ServerConnection::new(Instant::ZERO, server_config());
    let wires = [
        format!("GET / HTTP/1.1\r\nhost: a\r\nx: {long}\r\n\r\n"),
        format!("GET / HTTP/1.1\r\nhost: a\r\n{}\r\n", "a: b\r\n".repeat(95)),
        format!(
            "PUT / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n{}0\r\n{}\r\n",
            "1\r\nx\r\n".repeat(5_000),
            "t: u\r\n".repeat(90)
        ),
    ];
    for wire in wires {
        let took = trickle(&mut server(), wire.as_bytes());
        assert!(took.as_secs() < 2, "{took:?}");
    }
    let mut client = ClientConnection::new(Instant::ZERO, client_config());
    let body = glowplug_http::BodyLength::Empty;
    client.submit(Instant::ZERO, &Method::GET, "/", &[("host", "a")], body).expect("ready");
    client.poll_transmit(Instant::ZERO, &mut glowplug_core::SendBuf::new());
    let took = trickle(&mut client, format!("HTTP/1.1 200 OK\r\nx: {long}\r\n\r\n").as_bytes());
    assert!(took.as_secs() < 2, "{took:?}");
}
