//! Riak: a client that waits for an answer, and a server.

use std::time::Duration;

use glowplug_core::{Instant, RequestProtocol as _, Token};
use glowplug_riak::wire::riak::{RpbPingReq, RpbPingResp};
use glowplug_riak::{ClientConnection, Config, ServerConfig, ServerConnection, ServerError, ServerEvent};

use crate::laws::stream::StreamSubject;

/// A frame: its length, its code, its body.
fn frame(code: u8, body: &[u8]) -> Vec<u8> {
    let len = (body.len() as u32 + 1).to_be_bytes();
    [&len[..], &[code], body].concat()
}

/// A client with one ping and no TLS. (With more of them, the next goes out only after the answer to the one before, so no
/// input could hold two answers.)
pub fn client() -> StreamSubject<ClientConnection> {
    let fresh = || {
        let config = Config::new().max_frame_len(32 * 1024).max_decoded_len(64 * 1024);
        let mut client = ClientConnection::new(Instant::ZERO, config);
        let sent = client.submit(Instant::ZERO, Token(1), RpbPingReq {}.into());
        sent.expect("a fresh connection takes a request");
        client
    };
    let (pong, error) = (frame(2, b""), frame(0, b"\x0a\x02no\x10\x01"));
    StreamSubject::new("riak client", fresh)
        .input("an answer", &pong)
        .input("an error", &error)
        .invalid("half an answer", &error[..6])
        .invalid("an answer that nobody asked for", pong.repeat(2))
        .invalid("another answer", frame(10, b"\x0a\x02no"))
        .invalid("a frame that is too long", b"\x7f\xff\xff\xff\x02")
        .invalid("a frame without a code", b"\0\0\0\0\0")
        .endless_up_to("a frame without end", b"\0\0\x7f\xff\x00", b"\x0a\x01x", 30_000)
        .memory(512 * 1024)
}

/// A server that answers pings and refuses all else.
pub fn server() -> StreamSubject<ServerConnection> {
    let fresh = || {
        let config = ServerConfig::new().max_frame_len(32 * 1024).max_decoded_len(64 * 1024);
        ServerConnection::new(Instant::ZERO, config.idle_timeout(Some(Duration::from_secs(60))))
    };
    let (ping, get) = (frame(1, b""), frame(9, b"\x0a\x01b\x12\x01k"));
    StreamSubject::on_event("riak server", fresh, |server, now, event, journal| {
        journal.event(format_args!("{event:?}"));
        if let ServerEvent::Request(_) = event
            && server.reply(now, Ok(RpbPingResp {}.into())).is_err()
        {
            let refusal = ServerError { code: 0, message: "only pings here".into() };
            // Nothing waits for a reply when the connection is over.
            let _ = server.reply(now, Err(refusal));
        }
    })
    .input("pings and a get", [&ping[..], &get, &ping].concat())
    .input("a pipeline", ping.repeat(200))
    .input("tls is refused", frame(255, b""))
    .invalid("half a frame", [&ping[..], &get[..6]].concat())
    .invalid("a frame that is too long", b"\x7f\xff\xff\xff\x01")
    .invalid("a frame without a code", b"\0\0\0\0\0")
    .endless_up_to("a frame without end", b"\0\0\x7f\xff\x09", b"\x0a\x01x", 30_000)
    .memory(512 * 1024)
}
