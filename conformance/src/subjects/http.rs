//! HTTP/1.1: a server that answers every request, and a client that waits for an answer.

use std::sync::Arc;

use bytes::Bytes;
use glowplug_core::Instant;
use glowplug_http::{
    BodyLength, ClientConfig, ClientConnection, ClientEvent, Limits, Method, ServerConfig, ServerConnection,
    ServerEvent, StatusCode,
};

use crate::laws::journal::Journal;
use crate::laws::stream::StreamSubject;

/// Small, so that hostile input meets them soon.
fn limits() -> Limits {
    Limits::default()
        .max_head_len(4096)
        .max_trailer_len(1024)
        .receive_window(4096)
        .send_buffer(8192)
        .read_ahead(1024)
        .max_discard(4096)
}

/// A server whose application takes every body and answers when the request has ended.
pub fn server() -> StreamSubject<ServerConnection> {
    let fresh = || {
        let mut config = ServerConfig::default();
        config.limits = limits();
        ServerConnection::new(Instant::ZERO, Arc::new(config))
    };
    let chunked = "POST /c HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n\
                   5;x=y\r\nhello\r\n1\r\n \r\n5\r\nworld\r\n0\r\nchecksum: 1\r\n\r\n";
    let long = format!("PUT /l HTTP/1.1\r\nhost: a\r\ncontent-length: 9000\r\n\r\n{}", "b".repeat(9000));
    StreamSubject::on_event("http server", fresh, answer)
        .input("a get", "GET / HTTP/1.1\r\nHost: example.com\r\nAccept: */*\r\n\r\n")
        .input("chunks and trailers, then a head", format!("{chunked}HEAD /h HTTP/1.1\r\nhost: a\r\n\r\n"))
        .input("a pipeline", "GET /1 HTTP/1.1\r\nhost: a\r\n\r\n".repeat(20))
        .input("a long body", long)
        .input(
            "an expectation",
            "PUT / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 3\r\n\r\nabc",
        )
        .input("half a request", "GET / HTTP/1.1\r\nhost: a\r\nx")
        .input("the old version", "GET / HTTP/1.0\r\n\r\n")
        .input(
            "two lengths",
            "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\nabcd",
        )
        .input(
            "a length beside chunks",
            "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        )
        .input("no http at all", "\x16\x03\x01\x02\x00\x01\x00")
        .endless_up_to("a head without end", "GET / HTTP/1.1\r\n", "x: yyyyyyyyyyy\r\n", 4000)
        .endless("a line without end", "GET /", "x")
        .memory(256 * 1024)
}

fn answer(server: &mut ServerConnection, now: Instant, event: ServerEvent, journal: &mut Journal) {
    match event {
        ServerEvent::Data { stream, data } => {
            journal.data(stream, &data);
            server.release(now, stream, data.len());
        }
        ServerEvent::Request { stream, expects_continue, .. } => {
            journal.event(format_args!("{event:?}"));
            if expects_continue {
                // Refused only when the request is over already.
                let _ = server.send_continue(now, stream);
            }
        }
        ServerEvent::End { stream, .. } => {
            journal.event(format_args!("{event:?}"));
            let fields = [("content-type", "text/plain")];
            // What the machine does not take, it will not send: the connection is closing.
            if server.send_head(now, stream, StatusCode::OK, &fields, BodyLength::Known(5)).is_ok() {
                let _ = server.send_data(now, stream, Bytes::from_static(b"hello"));
                let _ = server.finish(now, stream, &());
            }
        }
        other => journal.event(format_args!("{other:?}")),
    }
}

/// A client that has sent one request.
pub fn client() -> StreamSubject<ClientConnection> {
    let fresh = || {
        let mut config = ClientConfig::default();
        config.limits = limits();
        let mut client = ClientConnection::new(Instant::ZERO, Arc::new(config));
        let sent = client.submit(Instant::ZERO, &Method::GET, "/", &[("host", "a")], BodyLength::Empty);
        sent.expect("a fresh connection takes a request");
        client
    };
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n7;q\r\n, world\r\n0\r\nx: y\r\n\r\n";
    StreamSubject::on_event("http client", fresh, take)
        .input("a short answer", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
        .input("hints first, then chunks", format!("HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n{chunked}"))
        .input("until the end", "HTTP/1.1 200 OK\r\n\r\nwhatever comes\r\n\r\nuntil it ends")
        .input("nothing to say", "HTTP/1.1 204 No Content\r\n\r\n")
        .input("a long body", format!("HTTP/1.1 200 OK\r\ncontent-length: 9000\r\n\r\n{}", "b".repeat(9000)))
        .input("half an answer", "HTTP/1.1 200 OK\r\ncontent-le")
        .invalid("no http at all", "SSH-2.0-OpenSSH_9.2\r\n")
        .invalid("two lengths", "HTTP/1.1 200 OK\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\nabcd")
        .endless_up_to("a head without end", "HTTP/1.1 200 OK\r\n", "x: yyyyyyyyyyy\r\n", 4000)
        .endless("a body without end", "HTTP/1.1 200 OK\r\n\r\n", "x")
        .memory(256 * 1024)
}

fn take(client: &mut ClientConnection, now: Instant, event: ClientEvent, journal: &mut Journal) {
    match event {
        ClientEvent::Data { stream, data } => {
            journal.data(stream, &data);
            client.release(now, stream, data.len());
        }
        other => journal.event(format_args!("{other:?}")),
    }
}
