//! The server half: exact bytes, keep-alive, framing, limits, deadlines, and what a careless application may do.

mod support;

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use glowplug_core::{Instant, ReadInterest, SendBuf, StreamProtocol, WriteInterest};
use glowplug_http::{
    BodyLength, Error, FinishError, HeadError, HttpDate, Leniency, Limits, Phase, SendError, ServerConfig,
    ServerConnection, ServerEvent, StatusCode, StreamId,
};
use support::{NOW, Transcript, at_every_cut, serve, server_config};

/// Turns one leniency on.
type Allow = fn(&mut Leniency);

/// A server, its buffers, and what it tells.
struct Server {
    machine: ServerConnection,
    input: BytesMut,
    now: Instant,
}

impl Server {
    fn new() -> Self {
        Self::with(ServerConfig::default())
    }

    fn with(config: ServerConfig) -> Self {
        Self { machine: ServerConnection::new(NOW, Arc::new(config)), input: BytesMut::new(), now: NOW }
    }

    fn event(&mut self) -> Option<ServerEvent> {
        self.machine.poll_event(self.now, &mut self.input).expect("no error")
    }

    fn feed(&mut self, wire: &str) -> &mut Self {
        self.input.extend_from_slice(wire.as_bytes());
        self
    }

    /// The stream of the request in `wire`, whose body (if any) is not looked at.
    fn request(&mut self, wire: &str) -> StreamId {
        match self.feed(wire).event() {
            Some(ServerEvent::Request { stream, .. }) => stream,
            other => panic!("{other:?}"),
        }
    }

    /// The same for a request that is complete.
    fn whole_request(&mut self, wire: &str) -> StreamId {
        let stream = self.request(wire);
        assert!(matches!(self.event(), Some(ServerEvent::End { .. })));
        stream
    }

    fn answer(&mut self, stream: StreamId, status: u16, body: BodyLength) {
        let status = StatusCode::from_u16(status).expect("a status");
        self.machine.send_head(self.now, stream, status, &(), body).expect("a head is due");
    }

    fn sent(&mut self) -> String {
        let mut out = SendBuf::with_room(1 << 20);
        self.machine.poll_transmit(self.now, &mut out);
        String::from_utf8(out.take_all().to_vec()).expect("text").replace("\r\n", "\n")
    }

    fn wait(&mut self, seconds: u64) -> &mut Self {
        self.now += Duration::from_secs(seconds);
        self.machine.handle_timeout(self.now);
        self
    }

    fn reads(&self) -> ReadInterest {
        self.machine.interest().read
    }

    fn closes(&self) -> bool {
        self.machine.interest().write == WriteInterest::Closed
    }
}

fn run(wire: &str) -> Transcript {
    at_every_cut(wire.as_bytes(), 4096, |pieces| serve(&server_config(), pieces, true))
}

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

#[test]
fn requests_bodies_and_trailers_are_told_the_same_at_every_cut() {
    let told = run(
        "\r\nPOST /a?b HTTP/1.1\r\nHost: x\r\nX-Mixed-Case:  v \r\nContent-Length: 5\r\n\r\nhello\
         PUT /c HTTP/1.1\r\nhost: x\r\nTransfer-Encoding: Chunked\r\n\r\n3;e=1\r\nabc\r\n2\r\nde\r\n0\r\nT: 1\r\n\r\n\
         GET /d HTTP/1.1\r\nhost:\r\n\r\n",
    );
    assert_eq!(
        told.events,
        [
            "stream 1: POST /a?b HTTP/1.1 Known(5) Host=x X-Mixed-Case=v Content-Length=5",
            "data hello",
            "end",
            "stream 2: PUT /c HTTP/1.1 Unknown host=x Transfer-Encoding=Chunked",
            "data abcde",
            "end T=1",
            "stream 3: GET /d HTTP/1.1 Empty host=",
            "end",
        ]
    );
    assert_eq!((told.statuses(), told.error), (vec![200, 200, 200], None));
    assert_eq!(told.output(), "HTTP/1.1 200 OK\ncontent-length: 2\n\nok".repeat(3));
}

#[test]
fn extensions_are_told_on_demand() {
    let config = Arc::new({
        let mut config = ServerConfig::default();
        config.report_chunk_extensions = true;
        config
    });
    let wire =
        b"PUT / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n1;a=b\r\nx\r\n1\r\ny\r\n0;c\r\n\r\n";
    let told = at_every_cut(wire, 4096, |pieces| serve(&config, pieces, true));
    assert_eq!(told.events[1..], ["extensions a=b", "data xy", "extensions c", "end"]);
}

#[test]
fn who_keeps_the_connection() {
    for (head, answer) in [
        ("GET / HTTP/1.1\r\nhost: a", ""),
        ("GET / HTTP/1.1\r\nhost: a\r\nconnection: keep-alive", ""),
        ("GET / HTTP/1.1\r\nhost: a\r\nconnection: x, Close", "connection: close\n"),
        ("GET / HTTP/1.1\r\nhost: a\r\nconnection: keep-alive\r\nconnection: close", "connection: close\n"),
        ("GET / HTTP/1.0", "connection: close\n"),
        ("GET / HTTP/1.0\r\nconnection: Keep-Alive", "connection: keep-alive\n"),
        ("GET / HTTP/1.0\r\nconnection: keep-alive, close", "connection: close\n"),
    ] {
        let mut server = Server::new();
        let stream = server.whole_request(&format!("{head}\r\n\r\n"));
        server.answer(stream, 200, BodyLength::Empty);
        assert_eq!(server.sent(), format!("HTTP/1.1 200 OK\ncontent-length: 0\n{answer}\n"), "{head}");
        assert_eq!(server.closes(), answer.contains("close"), "{head}");
    }
}

#[test]
fn an_answer_can_close_the_connection() {
    let mut server = Server::new();
    let stream = server.whole_request(GET);
    let fields = [("Connection", "close")];
    server.machine.send_head(NOW, stream, StatusCode::OK, &fields, BodyLength::Empty).expect("due");
    assert_eq!(server.sent(), "HTTP/1.1 200 OK\nConnection: close\ncontent-length: 0\n\n");
    assert!(server.closes());
    // What still comes is thrown away, until the peer closes.
    assert_eq!(server.feed(GET).event().map(drop), None);
    assert!(server.input.is_empty() && server.reads().wants());
    server.machine.handle_eof(NOW);
    assert!(server.machine.interest().is_closed());
}

#[test]
fn each_body_length_has_its_frame() {
    let cases: [(&str, u16, BodyLength, &str); 11] = [
        ("GET / HTTP/1.1", 200, BodyLength::Known(2), "content-length: 2\n\nok"),
        ("GET / HTTP/1.1", 200, BodyLength::Unknown, "transfer-encoding: chunked\n\n2\nok\n0\n\n"),
        ("GET / HTTP/1.0", 200, BodyLength::Unknown, "connection: close\n\nok"),
        ("HEAD / HTTP/1.1", 200, BodyLength::Known(2), "content-length: 2\n\n"),
        ("HEAD / HTTP/1.1", 200, BodyLength::Unknown, "transfer-encoding: chunked\n\n"),
        ("HEAD / HTTP/1.1", 200, BodyLength::Empty, "\n"),
        ("GET / HTTP/1.1", 204, BodyLength::Known(2), "\n"),
        ("GET / HTTP/1.1", 204, BodyLength::Empty, "\n"),
        ("GET / HTTP/1.1", 304, BodyLength::Known(2), "content-length: 2\n\n"),
        ("GET / HTTP/1.1", 304, BodyLength::Empty, "\n"),
        ("GET / HTTP/1.1", 404, BodyLength::Empty, "content-length: 0\n\n"),
    ];
    for (line, status, body, rest) in cases {
        let mut server = Server::new();
        let stream = server.whole_request(&format!("{line}\r\nhost: a\r\n\r\n"));
        server.answer(stream, status, body);
        if body != BodyLength::Empty {
            server.machine.send_data(NOW, stream, Bytes::from_static(b"ok")).expect("room");
            server.machine.finish(NOW, stream, &()).expect("whole");
        }
        let sent = server.sent();
        let (_, after) = sent.split_once('\n').expect("a line");
        assert_eq!(after, rest, "{line} {status} {body:?}");
    }
}

#[test]
fn fields_that_frame_are_the_machines_own() {
    let mut server = Server::new();
    let stream = server.whole_request(GET);
    let fields = [("content-length", "99"), ("Transfer-Encoding", "chunked"), ("x", "y")];
    server.machine.send_head(NOW, stream, StatusCode::OK, &fields, BodyLength::Known(0)).expect("due");
    server.machine.finish(NOW, stream, &()).expect("whole");
    assert_eq!(server.sent(), "HTTP/1.1 200 OK\nx: y\ncontent-length: 0\n\n");
    // Where nothing follows, the length is what GET would have been answered with.
    let stream = server.whole_request("HEAD / HTTP/1.1\r\nhost: a\r\n\r\n");
    server.machine.send_head(NOW, stream, StatusCode::OK, &fields, BodyLength::Empty).expect("due");
    assert_eq!(server.sent(), "HTTP/1.1 200 OK\ncontent-length: 99\nx: y\n\n");
}

#[test]
fn the_date_is_the_callers() {
    let mut server = Server::new();
    server.machine.set_date(HttpDate::from_unix(0));
    let stream = server.whole_request(GET);
    server.answer(stream, 200, BodyLength::Empty);
    assert_eq!(server.sent(), "HTTP/1.1 200 OK\ndate: Thu, 01 Jan 1970 00:00:00 GMT\ncontent-length: 0\n\n");
    let stream = server.whole_request(GET);
    let fields = [("Date", "mine")];
    server.machine.send_head(NOW, stream, StatusCode::OK, &fields, BodyLength::Empty).expect("due");
    assert_eq!(server.sent(), "HTTP/1.1 200 OK\nDate: mine\ncontent-length: 0\n\n");
}

#[test]
fn chunks_can_have_extensions_and_trailers() {
    let mut server = Server::new();
    let stream = server.whole_request(GET);
    server.answer(stream, 200, BodyLength::Unknown);
    server.sent();
    let extensions = [("a", ""), ("b", "c"), ("d", "e \"f\"")];
    server.machine.send_chunk(NOW, stream, Bytes::from_static(b"ok"), &extensions).expect("room");
    let bad = [("a b", "")];
    assert!(matches!(
        server.machine.send_chunk(NOW, stream, Bytes::from_static(b"ok"), &bad),
        Err(SendError::Extension(_))
    ));
    assert_eq!(server.machine.finish(NOW, stream, &[("x", "a\nb")]), Err(FinishError::Field(0)));
    server.machine.finish(NOW, stream, &[("digest", "1"), ("content-length", "7")]).expect("whole");
    assert_eq!(server.sent(), "2;a;b=c;d=\"e \\\"f\\\"\"\nok\n0\ndigest: 1\n\n");
}

#[test]
fn continue_is_sent_when_the_application_says_so() {
    let head = "PUT / HTTP/1.1\r\nhost: a\r\nexpect: 100-Continue\r\ncontent-length: 2\r\n\r\n";
    let mut server = Server::new();
    let stream = server.request(head);
    assert!(server.event().is_none());
    // Nobody waits for the client while the client waits.
    assert_eq!(server.machine.poll_timeout(), None);
    server.machine.send_continue(NOW, stream).expect("due");
    assert_eq!(server.sent(), "HTTP/1.1 100 Continue\n\n");
    assert!(server.machine.poll_timeout().is_some());
    assert!(matches!(server.feed("ok").event(), Some(ServerEvent::Data { .. })));
    assert!(matches!(server.event(), Some(ServerEvent::End { .. })));
    server.answer(stream, 200, BodyLength::Empty);
    assert_eq!(server.sent(), "HTTP/1.1 200 OK\ncontent-length: 0\n\n");

    // A final answer instead: the body may never come, so the connection closes.
    let mut server = Server::new();
    let stream = server.request(head);
    assert!(server.event().is_none());
    server.answer(stream, 417, BodyLength::Empty);
    assert!(server.sent().contains("connection: close"));
    assert!(server.closes());

    // HTTP/1.0 has no such thing, and neither has a request without a body.
    for wire in [
        "PUT / HTTP/1.0\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\n\r\n",
    ] {
        let mut server = Server::new();
        assert!(matches!(
            server.feed(wire).event(),
            Some(ServerEvent::Request { expects_continue: false, .. })
        ));
    }
}

#[test]
fn informational_answers_precede_the_final_one() {
    let mut server = Server::new();
    let stream = server.whole_request(GET);
    let fields = [("link", "</x>")];
    let hints = StatusCode::from_u16(103).expect("a status");
    server.machine.send_informational(NOW, stream, hints, &fields).expect("due");
    assert_eq!(
        server.machine.send_informational(NOW, stream, StatusCode::OK, &fields),
        Err(HeadError::Status)
    );
    assert_eq!(
        server.machine.send_head(NOW, stream, StatusCode::SWITCHING_PROTOCOLS, &(), BodyLength::Empty),
        Err(HeadError::Status),
        "nobody asked for an upgrade"
    );
    server.answer(stream, 200, BodyLength::Empty);
    assert_eq!(
        server.sent(),
        "HTTP/1.1 103 Early Hints\nlink: </x>\n\nHTTP/1.1 200 OK\ncontent-length: 0\n\n"
    );

    let mut server = Server::new();
    let stream = server.whole_request("GET / HTTP/1.0\r\n\r\n");
    server.machine.send_informational(NOW, stream, hints, &fields).expect("ignored");
    assert_eq!(server.sent(), "", "HTTP/1.0 does not know these");
}

#[test]
fn upgrade_and_connect_hand_over_what_is_left() {
    let told =
        run("GET / HTTP/1.1\r\nhost: a\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n\x00\x01GET / junk");
    assert_eq!(told.events.last().map(String::as_str), Some("upgraded"));
    assert_eq!(told.left, b"\x00\x01GET / junk");
    assert_eq!(told.output(), "HTTP/1.1 101 Switching Protocols\n\n");

    // The body of the request comes before the other protocol.
    let told = run(
        "PUT / HTTP/1.1\r\nhost: a\r\nupgrade: x\r\nconnection: upgrade\r\ncontent-length: 2\r\n\r\nokrest",
    );
    assert_eq!(told.events[1..], ["data ok", "end", "upgraded"]);
    assert_eq!(told.left, b"rest");

    let told = run("CONNECT a:443 HTTP/1.1\r\nhost: a:443\r\n\r\n\x16\x03");
    assert_eq!(told.events.last().map(String::as_str), Some("upgraded"));
    assert_eq!((told.output(), told.left), ("HTTP/1.1 200 OK\n\n".into(), b"\x16\x03".to_vec()));

    // A refused CONNECT is an exchange like any other.
    let mut server = Server::new();
    let stream = server.whole_request("CONNECT a:443 HTTP/1.1\r\nhost: a:443\r\n\r\n");
    server.answer(stream, 403, BodyLength::Empty);
    assert_eq!(server.sent(), "HTTP/1.1 403 Forbidden\ncontent-length: 0\n\n");
    server.whole_request(GET);
}

#[test]
fn malformed_requests_get_the_right_status_and_the_end() {
    let head = |rest: &str| format!("GET / HTTP/1.1\r\nhost: a\r\n{rest}\r\n\r\n");
    let cases: Vec<(String, u16)> = vec![
        ("\x16\x03\x01".into(), 400),
        ("\nGET / HTTP/1.1\r\nhost: a\r\n\r\n".into(), 400),
        ("\rGET".into(), 400),
        ("\r\n\r\nGET / HTTP/1.1\r\nhost: a\r\n\r\n".into(), 400),
        ("GET / HTTP/1.1\nhost: a\r\n\r\n".into(), 400),
        ("GET / HTTP/1.1\r\nhost: a\n\r\n".into(), 400),
        ("GET / HTTP/1.1\r\nhost: a\r\n\n".into(), 400),
        ("GET / HTTP/1.1\r\rhost: a\r\n\r\n".into(), 400),
        ("GET / HTTP/1.1\r\n\r\n".into(), 400),
        ("GET / HTTP/1.1\r\nhost: a\r\nhost: a\r\n\r\n".into(), 400),
        ("GET / HTTP/1.1\r\nhost: a b\r\n\r\n".into(), 400),
        ("GET / HTTP/1.1\r\nhost: a@b\r\n\r\n".into(), 400),
        ("GET /\r\n\r\n".into(), 400),
        ("GET  / HTTP/1.1\r\nhost: a\r\n\r\n".into(), 400),
        ("GET / HTTP/1.1 \r\nhost: a\r\n\r\n".into(), 400),
        ("GET /a b HTTP/1.1\r\nhost: a\r\n\r\n".into(), 400),
        ("G(T / HTTP/1.1\r\nhost: a\r\n\r\n".into(), 400),
        ("GET a HTTP/1.1\r\nhost: a\r\n\r\n".into(), 400),
        ("GET * HTTP/1.1\r\nhost: a\r\n\r\n".into(), 400),
        ("GET /#f HTTP/1.1\r\nhost: a\r\n\r\n".into(), 400),
        ("GET / http/1.1\r\nhost: a\r\n\r\n".into(), 400),
        ("GET / HTTP/1.2\r\nhost: a\r\n\r\n".into(), 505),
        ("GET / HTTP/2.0\r\nhost: a\r\n\r\n".into(), 505),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".into(), 505),
        (head("a : b"), 400),
        (head(" a: b"), 400),
        (head("a: b\r\n c"), 400),
        (head(": b"), 400),
        (head("a"), 400),
        (head("a\x00: b"), 400),
        (head("a: b\x00"), 400),
        (head("a: b\rc"), 400),
        (head("a: b\x7f"), 400),
        (head("content-length: -1"), 400),
        (head("content-length: +1"), 400),
        (head("content-length: 1 1"), 400),
        (head("content-length: 0x1"), 400),
        (head("content-length:"), 400),
        (head("content-length: 18446744073709551616"), 400),
        (head("content-length: 1\r\ncontent-length: 2"), 400),
        (head("content-length: 1\r\ncontent-length: 1"), 400),
        (head("content-length: 1, 1"), 400),
        (head("content-length: 1\r\ntransfer-encoding: chunked"), 400),
        (head("transfer-encoding: chunked\r\ncontent-length: 1"), 400),
        (head("transfer-encoding: chunked, chunked"), 400),
        (head("transfer-encoding: chunked\r\ntransfer-encoding: chunked"), 400),
        (head("transfer-encoding: chunked, gzip"), 400),
        (head("transfer-encoding: identity"), 400),
        (head("transfer-encoding: xchunked"), 400),
        (head("transfer-encoding: \"chunked\""), 400),
        (head("transfer-encoding: chunked;a=b"), 400),
        (head("transfer-encoding: , chunked"), 400),
        (head("transfer-encoding:"), 400),
        (head("transfer-encoding: gzip, chunked"), 501),
        (head("transfer-encoding: gzip"), 501),
        ("GET / HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n".into(), 400),
        ("CONNECT / HTTP/1.1\r\nhost: a\r\n\r\n".into(), 400),
        ("CONNECT a:1 HTTP/1.1\r\nhost: a:1\r\ncontent-length: 1\r\n\r\n".into(), 400),
        ("PUT / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nx\r\n".into(), 400),
        ("PUT / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n1\r\nab\r\n".into(), 400),
    ];
    for (wire, status) in cases {
        let told = run(&wire);
        assert_eq!(told.statuses(), [status], "{wire:?} {told:?}");
        assert!(told.output().contains("\nconnection: close\n"), "{wire:?}");
        assert!(told.events.last().is_some_and(|last| last.contains("refused")), "{wire:?} {told:?}");
    }
}

#[test]
fn errors_say_where() {
    let offset = |wire: &str| match Server::new().feed(wire).event() {
        Some(ServerEvent::Refused { error: Error::Peer(error), .. }) => error.offset,
        other => panic!("{other:?}"),
    };
    assert_eq!(offset("G(T / HTTP/1.1\r\n\r\n"), 1);
    assert_eq!(offset("GET /a\x01 HTTP/1.1\r\n\r\n"), 6);
    assert_eq!(offset("GET /#a HTTP/1.1\r\n\r\n"), 5);
    assert_eq!(offset("GET / HTTP/3.1\r\n\r\n"), 6);
    assert_eq!(offset("GET / HTTP/1.1\r\nhost: a\r\nb c: d\r\n\r\n"), 26);
    assert_eq!(offset("GET / HTTP/1.1\r\nhost: a\r\nb: \x01d\r\n\r\n"), 28);
    assert_eq!(offset("GET / HTTP/1.1\r\nhost: a\r\nb: d\n\r\n"), 29);
    assert_eq!(offset("GET / HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n"), 25);
}

#[test]
fn each_leniency_lets_one_thing_pass() {
    let cases: [(&str, Allow); 7] = [
        ("GET / HTTP/1.1\nhost: a\n\n", |l| l.bare_lf = true),
        ("GET / HTTP/1.1\r\nhost: a\r\nb: c\r\n d\r\n\r\n", |l| l.obs_fold = true),
        ("GET / HTTP/1.1\r\nhost: a\r\ncontent-length: 0, 0\r\n\r\n", |l| l.repeated_content_length = true),
        ("GET /\u{e9} HTTP/1.1\r\nhost: a\r\n\r\n", |l| l.non_ascii_target = true),
        ("GET /#a HTTP/1.1\r\nhost: a\r\n\r\n", |l| l.fragment_in_target = true),
        ("GET / HTTP/1.1\r\n\r\n", |l| l.missing_host = true),
        (
            "PUT / HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
            |l| l.content_length_with_transfer_encoding = true,
        ),
    ];
    for (wire, allow) in cases {
        assert_eq!(run(wire).statuses(), [400], "{wire:?}");
        let mut config = ServerConfig::default();
        allow(&mut config.leniency);
        let config = Arc::new(config);
        let told = at_every_cut(wire.as_bytes(), 4096, |pieces| serve(&config, pieces, true));
        assert_eq!(told.statuses(), [200], "{wire:?} {told:?}");
        assert_eq!(told.output().contains("connection: close"), wire.contains("chunked"), "{wire:?}");
    }
}

#[test]
fn each_limit_has_its_answer() {
    let limits = Limits::default()
        .max_head_len(200)
        .max_start_line_len(100)
        .max_fields(5)
        .max_trailer_len(40)
        .max_chunk_line_len(30)
        .max_chunk_extensions_len(30)
        .max_body_len(50);
    let config = Arc::new({
        let mut config = ServerConfig::default();
        config.limits = limits;
        config
    });
    let chunked = "PUT / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n";
    let cases = [
        (format!("GET /{}", "a".repeat(200)), 414, "max_start_line_len"),
        (format!("GET / HTTP/1.1\r\nhost: a\r\nb: {}", "c".repeat(300)), 431, "max_head_len"),
        (format!("GET / HTTP/1.1\r\nhost: a\r\n{}\r\n", "b: c\r\n".repeat(5)), 431, "max_fields"),
        ("PUT / HTTP/1.1\r\nhost: a\r\ncontent-length: 51\r\n\r\n".into(), 413, "max_body_len"),
        (format!("{chunked}20\r\n{}\r\n20\r\n", "x".repeat(32)), 413, "max_body_len"),
        (format!("{chunked}1;{}\r\n", "x".repeat(40)), 400, "max_chunk_line_len"),
        (
            format!("{chunked}{}", format!("1;{}\r\nx\r\n", "x".repeat(20)).repeat(2)),
            400,
            "max_chunk_extensions_len",
        ),
        (format!("{chunked}0\r\na: {}", "b".repeat(60)), 431, "max_trailer_len"),
        ("\r\n\r\n".into(), 400, "max_empty_lines"),
    ];
    for (wire, status, limit) in cases {
        let told = at_every_cut(wire.as_bytes(), 4096, |pieces| serve(&config, pieces, true));
        assert_eq!(told.statuses(), [status], "{wire:?} {told:?}");
        assert!(told.events.last().is_some_and(|last| last.contains(limit)), "{wire:?} {told:?}");
    }
    // What is exactly as long as allowed passes.
    let line = format!("GET /{} HTTP/1.1\r\n", "a".repeat(100 - 16));
    assert_eq!(line.len(), 100);
    assert_eq!(serve(&config, &[line.as_bytes(), b"host: a\r\n\r\n"], true).statuses(), [200]);
}

#[test]
fn the_number_of_requests_is_limited() {
    let config = Arc::new({
        let mut config = ServerConfig::default();
        config.limits = Limits::default().max_requests(2);
        config
    });
    let told = serve(&config, &[GET.repeat(3).as_bytes()], false);
    assert_eq!(told.statuses(), [200, 200]);
    assert_eq!(told.output().matches("connection: close").count(), 1);
}

#[test]
fn a_slow_head_is_answered_408_and_a_silent_peer_with_nothing() {
    let mut server = Server::new();
    assert!(server.feed("GET / HT").event().is_none());
    assert_eq!(server.machine.poll_timeout(), Some(NOW + Duration::from_secs(15)));
    // A byte now and then does not help.
    for byte in ["T", "P"] {
        server.wait(7);
        assert!(server.feed(byte).event().is_none());
    }
    server.wait(1);
    assert_eq!(
        server.machine.poll_event(server.now, &mut server.input).map(drop),
        Err(Error::TimedOut(Phase::Head))
    );
    assert_eq!(server.sent(), "HTTP/1.1 408 Request Timeout\nconnection: close\ncontent-length: 0\n\n");
    assert!(server.machine.interest().is_closed());

    let mut server = Server::new();
    server.wait(15);
    assert_eq!(server.sent(), "");
    assert!(server.closes() && server.event().is_none());
    server.wait(2);
    assert!(server.machine.interest().is_closed());
}

#[test]
fn an_idle_connection_closes_and_a_second_head_has_its_own_time() {
    let mut server = Server::new();
    let stream = server.whole_request(GET);
    assert_eq!(server.machine.poll_timeout(), None, "a handler takes the time it takes");
    server.answer(stream, 200, BodyLength::Empty);
    server.sent();
    assert!(server.machine.is_idle());
    assert_eq!(server.machine.poll_timeout(), Some(NOW + Duration::from_secs(75)));
    server.wait(70);
    assert!(server.feed("G").event().is_none());
    assert_eq!(server.machine.poll_timeout(), Some(server.now + Duration::from_secs(15)));
    server.whole_request("ET / HTTP/1.1\r\nhost: a\r\n\r\n");
}

#[test]
fn a_slow_body_is_answered_408() {
    let mut server = Server::new();
    let stream = server.request("PUT / HTTP/1.1\r\nhost: a\r\ncontent-length: 1000000\r\n\r\n");
    // One byte in ten seconds is no progress to speak of: it buys 4 ms.
    for _ in 0..3 {
        server.wait(10);
        if let Ok(event) = server.machine.poll_event(server.now, &mut BytesMut::from("x")) {
            assert!(matches!(event, Some(ServerEvent::Data { .. }) | None));
        }
    }
    server.wait(1);
    assert_eq!(
        server.machine.poll_event(server.now, &mut server.input).map(drop),
        Err(Error::TimedOut(Phase::Body))
    );
    assert!(server.sent().starts_with("HTTP/1.1 408 "));
    assert_eq!(
        server.machine.send_head(NOW, stream, StatusCode::OK, &(), BodyLength::Empty),
        Err(HeadError::Closed)
    );
}

#[test]
fn the_end_of_the_stream_in_each_state() {
    // Between requests: nothing to tell.
    let told = run(GET);
    assert_eq!((told.events.len(), told.error), (2, None));
    assert_eq!(run("").error, None);
    // In the midst of a head or a body.
    for wire in ["G", "GET / HTTP/1.1\r\nhost: a\r\n", "\r"] {
        assert_eq!(run(wire).error, Some(Error::UnexpectedEof(Phase::Head)), "{wire:?}");
    }
    let told = run("PUT / HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\n12345");
    assert_eq!((told.error, told.output), (Some(Error::UnexpectedEof(Phase::Body)), Vec::new()));

    // While an answer is due: told, and the answer still goes out; so do those to pipelined requests.
    let mut server = Server::new();
    let stream = server.whole_request(&GET.repeat(2));
    server.machine.handle_eof(NOW);
    assert!(matches!(server.event(), Some(ServerEvent::PeerClosed { .. })));
    assert!(server.event().is_none());
    server.answer(stream, 200, BodyLength::Empty);
    let stream = server.whole_request("");
    server.answer(stream, 200, BodyLength::Empty);
    assert!(server.event().is_none());
    assert_eq!(server.sent().matches("200 OK").count(), 2);
    assert!(server.machine.interest().is_closed());
}

#[test]
fn the_end_is_noticed_while_a_handler_works_and_pipelining_is_bounded() {
    let mut server = Server::new();
    server.whole_request(GET);
    assert!(server.reads().wants());
    server.feed(&GET.repeat(200)).event();
    assert_eq!(server.reads(), ReadInterest::Paused);
}

#[test]
fn credit_bounds_what_is_handed_out() {
    let mut config = ServerConfig::default();
    config.limits = Limits::default().receive_window(4);
    let mut server = Server::with(config);
    let stream = server.request("PUT / HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\n0123456789");
    let Some(ServerEvent::Data { data, .. }) = server.event() else { panic!() };
    assert_eq!(data, "0123");
    assert!(server.event().is_none());
    assert_eq!(server.reads(), ReadInterest::Paused);
    assert_eq!(server.machine.poll_timeout(), None, "the application is the slow one");
    server.machine.release(NOW, stream, 3);
    assert_eq!(server.reads(), ReadInterest::Want(3));
    let Some(ServerEvent::Data { data, .. }) = server.event() else { panic!() };
    assert_eq!(data, "456");
    server.machine.release(NOW, stream, usize::MAX);
    let Some(ServerEvent::Data { data, .. }) = server.event() else { panic!() };
    assert_eq!(data, "789");
    assert!(matches!(server.event(), Some(ServerEvent::End { .. })));
}

#[test]
fn capacity_bounds_what_waits_and_small_rooms_lose_nothing() {
    let mut config = ServerConfig::default();
    config.limits = Limits::default().send_buffer(3000);
    let mut server = Server::with(config);
    let stream = server.whole_request(GET);
    server.answer(stream, 200, BodyLength::Unknown);
    let piece = Bytes::from(vec![b'x'; 1500]);
    let mut expected = 0;
    while server.machine.send_data(NOW, stream, piece.clone()).is_ok() {
        expected += 1500;
    }
    assert_eq!((expected, server.machine.capacity(stream)), (3000, 0));
    assert_eq!(server.machine.send_data(NOW, stream, piece.clone()), Err(SendError::Full(piece)));
    server.machine.finish(NOW, stream, &()).expect("whole");
    let (mut all, mut out) = (Vec::new(), SendBuf::with_room(7));
    loop {
        server.machine.poll_transmit(NOW, &mut out);
        if out.is_empty() {
            break;
        }
        assert!(out.len() <= 7);
        all.extend_from_slice(&out.take_all());
    }
    let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    let chunk = format!("5dc\r\n{}\r\n", "x".repeat(1500));
    assert_eq!(String::from_utf8(all).expect("text"), format!("{head}{chunk}{chunk}0\r\n\r\n"));
}

#[test]
fn closing_drains() {
    // Idle: at once.
    let mut server = Server::new();
    server.machine.close(NOW);
    assert!(server.closes() && server.reads().wants());
    // In flight: the answer says so.
    let mut server = Server::new();
    let stream = server.whole_request(GET);
    server.machine.close(NOW);
    assert!(!server.closes());
    server.answer(stream, 200, BodyLength::Empty);
    assert!(server.sent().contains("connection: close"));
    assert!(server.closes());
    // A head that has begun is served.
    let mut server = Server::new();
    assert!(server.feed("GET / HTTP/1.1\r\n").event().is_none());
    server.machine.close(NOW);
    let stream = server.whole_request("host: a\r\n\r\n");
    server.answer(stream, 200, BodyLength::Empty);
    assert!(server.sent().contains("connection: close"));
}

#[test]
fn an_unread_body_is_thrown_away_if_it_is_short() {
    let mut server = Server::new();
    let stream = server.request("PUT / HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\n01234");
    server.answer(stream, 200, BodyLength::Empty);
    assert!(server.event().is_none());
    server.feed("56789");
    server.whole_request(GET);

    let mut server = Server::new();
    let stream = server.request("PUT / HTTP/1.1\r\nhost: a\r\ncontent-length: 1000000\r\n\r\n01234");
    server.answer(stream, 200, BodyLength::Empty);
    server.sent();
    assert!(server.closes());

    // A chunked one may turn out to be long.
    let mut server = Server::new();
    let stream = server.request("PUT / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nfffff\r\n");
    server.answer(stream, 200, BodyLength::Empty);
    server.sent();
    for _ in 0..100 {
        assert!(server.feed(&"x".repeat(1000)).event().is_none());
    }
    assert!(server.closes());
}

#[test]
fn an_abandoned_answer_never_passes_for_a_whole_one() {
    let mut server = Server::new();
    let stream = server.whole_request(GET);
    server.machine.abort(NOW, stream);
    assert_eq!(server.sent(), "HTTP/1.1 500 Internal Server Error\nconnection: close\ncontent-length: 0\n\n");
    assert!(server.closes());

    let mut server = Server::new();
    let stream = server.whole_request(GET);
    server.answer(stream, 200, BodyLength::Unknown);
    server.machine.abort(NOW, stream);
    assert_eq!(server.machine.poll_event(NOW, &mut server.input).map(drop), Err(Error::Aborted));
    assert!(!server.sent().contains("0\n\n"));
}

#[test]
fn misuse_is_told_and_harms_nothing() {
    let mut server = Server::new();
    let stream = server.whole_request(GET);
    let data = Bytes::from_static(b"abc");
    assert_eq!(server.machine.send_data(NOW, stream, data.clone()), Err(SendError::Closed(data.clone())));
    assert_eq!(server.machine.finish(NOW, stream, &()), Err(FinishError::Closed));
    for bad in [("a b", "c"), ("a", "b\r\nc: d"), ("", "x"), ("a", "\0")] {
        let fields = [("ok", "ok"), bad];
        assert_eq!(
            server.machine.send_head(NOW, stream, StatusCode::OK, &fields, BodyLength::Empty),
            Err(HeadError::Field(1))
        );
    }
    assert_eq!(server.sent(), "", "nothing of a refused head goes out");
    server.answer(stream, 200, BodyLength::Known(2));
    assert_eq!(
        server.machine.send_head(NOW, stream, StatusCode::OK, &(), BodyLength::Empty),
        Err(HeadError::Closed)
    );
    assert_eq!(server.machine.send_data(NOW, stream, data.clone()), Err(SendError::TooLong(data.clone())));
    assert_eq!(server.machine.finish(NOW, stream, &()), Err(FinishError::Short(2)));
    server.machine.send_data(NOW, stream, data.slice(..2)).expect("room");
    server.machine.finish(NOW, stream, &()).expect("whole");
    assert_eq!(server.sent(), "HTTP/1.1 200 OK\ncontent-length: 2\n\nab");
    // The stream is over; so is its name.
    let next = server.whole_request(GET);
    assert_ne!(next, stream);
    assert_eq!(
        server.machine.send_head(NOW, stream, StatusCode::OK, &(), BodyLength::Empty),
        Err(HeadError::Closed)
    );
}

#[test]
fn a_bad_body_after_the_answer_has_begun_cuts_the_answer() {
    let mut server = Server::new();
    let stream = server.request("PUT / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n");
    server.answer(stream, 200, BodyLength::Unknown);
    assert!(matches!(server.feed("zz\r\n").event(), Some(ServerEvent::Refused { .. })));
    assert_eq!(server.sent(), "HTTP/1.1 200 OK\ntransfer-encoding: chunked\n\n");
    assert!(server.closes());
    assert_eq!(server.machine.finish(NOW, stream, &()), Err(FinishError::Closed));
}

#[test]
fn heads_turn_into_the_http_crates_types() {
    let mut server = Server::new();
    let wire = "GET http://b:80/c?d HTTP/1.0\r\nHost: a\r\nX-Two: 1\r\nx-two: 2\r\n\r\n";
    let Some(ServerEvent::Request { head, .. }) = server.feed(wire).event() else { panic!() };
    assert_eq!(head.authority(), "b:80");
    let parts = head.to_http().expect("a uri");
    assert_eq!((parts.method.as_str(), parts.uri.to_string().as_str()), ("GET", "http://b:80/c?d"));
    assert_eq!(parts.version, glowplug_http::Version::HTTP_10);
    let twice: Vec<_> = parts.headers.get_all("x-two").iter().collect();
    assert_eq!(twice, ["1", "2"]);
}
