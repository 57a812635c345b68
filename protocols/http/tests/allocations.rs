//! The allocation budget: none in steady state, below the `http` crate's types.

mod support;

use bytes::{Buf, Bytes, BytesMut};
use glowplug_core::{SendBuf, StreamProtocol};
use glowplug_http::{
    BodyLength, ClientConnection, ClientEvent, DateCache, Method, ServerConnection, ServerEvent, StatusCode,
};
use support::{NOW, client_config, server_config};

const BROWSER: &str = "GET /news/index.html?page=2&sort=new HTTP/1.1\r\nHost: www.example.com\r\n\
    Connection: keep-alive\r\nCache-Control: max-age=0\r\nUpgrade-Insecure-Requests: 1\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36\r\n\
    Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8\r\n\
    Sec-Fetch-Site: none\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-User: ?1\r\nSec-Fetch-Dest: document\r\n\
    Accept-Encoding: gzip, deflate, br\r\nAccept-Language: en-GB,en;q=0.9\r\nCookie: session=0123456789abcdef\r\n\r\n";

/// Allocations of the second hundred runs of `round`.
fn steady(mut round: impl FnMut()) -> u64 {
    (0..100).for_each(|_| round());
    allocation_counter::measure(|| (0..100).for_each(|_| round())).count_total
}

fn server_rounds(wire: &str, body: &'static [u8]) -> u64 {
    let mut server = ServerConnection::new(NOW, server_config());
    let mut dates = DateCache::new(0);
    let (mut input, mut out) = (BytesMut::with_capacity(4096), SendBuf::new());
    steady(|| {
        input.reserve(wire.len());
        input.extend_from_slice(wire.as_bytes());
        server.set_date(dates.at(1));
        while let Some(event) = server.poll_event(NOW, &mut input).expect("valid") {
            let ServerEvent::Request { stream, head, .. } = event else { continue };
            assert!(head.get("host").is_some());
            let fields = [("content-type", "text/plain")];
            server
                .send_head(NOW, stream, StatusCode::OK, &fields, BodyLength::Known(body.len() as u64))
                .expect("due");
            server.send_data(NOW, stream, Bytes::from_static(body)).expect("room");
            server.finish(NOW, stream, &()).expect("whole");
        }
        server.poll_transmit(NOW, &mut out);
        out.advance(out.remaining());
    })
}

#[test]
fn a_server_answers_without_an_allocation() {
    assert_eq!(server_rounds("GET / HTTP/1.1\r\nHost: localhost:8080\r\n\r\n", b"Hello, World!"), 0);
    assert_eq!(server_rounds(BROWSER, b"Hello, World!"), 0);
    assert_eq!(
        server_rounds(&"GET / HTTP/1.1\r\nHost: localhost:8080\r\n\r\n".repeat(16), b"Hello, World!"),
        0
    );
}

#[test]
fn a_client_asks_without_an_allocation() {
    let mut client = ClientConnection::new(NOW, client_config());
    let answer =
        b"HTTP/1.1 200 OK\r\nserver: x\r\ndate: Thu, 01 Jan 1970 00:00:00 GMT\r\ncontent-length: 2\r\n\r\nok";
    let (mut input, mut out) = (BytesMut::with_capacity(64), SendBuf::new());
    let count = steady(|| {
        client.submit(NOW, &Method::GET, "/", &[("host", "localhost")], BodyLength::Empty).expect("ready");
        client.poll_transmit(NOW, &mut out);
        out.advance(out.remaining());
        input.reserve(answer.len());
        input.extend_from_slice(answer);
        while let Some(event) = client.poll_event(NOW, &mut input).expect("valid") {
            if let ClientEvent::Data { stream, data } = event {
                client.release(NOW, stream, data.len());
            }
        }
        assert!(client.is_ready());
    });
    assert!(count <= 100, "one for each piece of data that is copied out of a larger buffer: {count}");
}

#[test]
fn an_idle_connection_is_small() {
    assert!(size_of::<ServerConnection>() <= 512, "{}", size_of::<ServerConnection>());
    assert!(size_of::<ClientConnection>() <= 512, "{}", size_of::<ClientConnection>());
}

#[test]
fn machines_can_go_to_other_threads() {
    fn is_send<T: Send>() {}
    is_send::<ServerConnection>();
    is_send::<ClientConnection>();
    is_send::<ServerEvent>();
    is_send::<ClientEvent>();
}
