//! The client half: exact bytes, how answers end, what must never be taken for an answer, and how far a request got.

mod support;

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use glowplug_core::{Instant, Progress, ReadInterest, SendBuf, StreamProtocol, WriteInterest};
use glowplug_http::{
    BodyLength, ClientConfig, ClientConnection, ClientEvent, DecodeError, Error, FinishError, HeadError,
    Leniency, Limits, Method, Phase, Reason, SendError, StreamId,
};
use support::{NOW, Transcript, at_every_cut, client_config, receive};

/// Turns one leniency on.
type Allow = fn(&mut Leniency);

/// A client, its buffers, and what it tells.
struct Client {
    machine: ClientConnection,
    input: BytesMut,
    now: Instant,
}

const HOST: [(&str, &str); 1] = [("host", "a")];

impl Client {
    fn new() -> Self {
        Self::with(ClientConfig::default())
    }

    fn with(config: ClientConfig) -> Self {
        Self { machine: ClientConnection::new(NOW, Arc::new(config)), input: BytesMut::new(), now: NOW }
    }

    fn get(&mut self) -> StreamId {
        let stream =
            self.machine.submit(self.now, &Method::GET, "/", &HOST, BodyLength::Empty).expect("ready");
        self.sent();
        stream
    }

    fn put(&mut self, fields: &[(&str, &str)], body: BodyLength) -> StreamId {
        self.machine.submit(self.now, &Method::PUT, "/", fields, body).expect("ready")
    }

    fn poll(&mut self) -> Result<Option<ClientEvent>, Error> {
        self.machine.poll_event(self.now, &mut self.input)
    }

    fn event(&mut self) -> Option<ClientEvent> {
        self.poll().expect("no error")
    }

    fn feed(&mut self, wire: &str) -> &mut Self {
        self.input.extend_from_slice(wire.as_bytes());
        self
    }

    /// Reads a whole answer without a body.
    fn answer(&mut self, wire: &str) {
        assert!(matches!(self.feed(wire).event(), Some(ClientEvent::Response { .. })));
        assert!(matches!(self.event(), Some(ClientEvent::End { .. })));
    }

    fn sent(&mut self) -> String {
        let mut out = SendBuf::with_room(1 << 20);
        self.machine.poll_transmit(self.now, &mut out);
        String::from_utf8(out.take_all().to_vec()).expect("text").replace("\r\n", "\n")
    }

    fn is_over(&self) -> bool {
        self.machine.interest().is_closed()
    }
}

fn run(method: &Method, wire: &str, eof: bool) -> Transcript {
    at_every_cut(wire.as_bytes(), 4096, |pieces| receive(&client_config(), method, pieces, eof))
}

fn get(wire: &str) -> Transcript {
    run(&Method::GET, wire, true)
}

const EMPTY: &str = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";

#[test]
fn each_way_for_an_answer_to_end() {
    for (wire, events) in [
        (
            "HTTP/1.1 200 OK\r\nX-Y:  z\r\ncontent-length: 3\r\n\r\nabc",
            vec!["200 OK OK HTTP/1.1 Known(3) X-Y=z content-length=3", "data abc", "end"],
        ),
        (
            "HTTP/1.1 200 \r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nT: 1\r\n\r\n",
            vec!["200 OK  HTTP/1.1 Unknown transfer-encoding=chunked", "data abc", "end T=1"],
        ),
        ("HTTP/1.0 200 Fine\r\n\r\nabc", vec!["200 OK Fine HTTP/1.0 Unknown", "data abc", "end"]),
        ("HTTP/1.1 200 OK\r\n\r\n", vec!["200 OK OK HTTP/1.1 Unknown", "end"]),
        (
            "HTTP/1.1 204 No\r\ncontent-length: 3\r\n\r\n",
            vec!["204 No Content No HTTP/1.1 Empty content-length=3", "end"],
        ),
        (
            "HTTP/1.1 304 No\r\ncontent-length: 3\r\n\r\n",
            vec!["304 Not Modified No HTTP/1.1 Empty content-length=3", "end"],
        ),
        (EMPTY, vec!["200 OK OK HTTP/1.1 Empty content-length=0", "end"]),
        (
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 204 No\r\n\r\n",
            vec![
                "informational 100 Continue",
                "informational 103 Early Hints link=x",
                "204 No Content No HTTP/1.1 Empty",
                "end",
            ],
        ),
    ] {
        let told = get(wire);
        assert_eq!(
            (told.events, told.error),
            (events.into_iter().map(str::to_owned).collect(), None),
            "{wire:?}"
        );
    }
    let told = run(&Method::HEAD, "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n", false);
    assert_eq!(told.events, ["200 OK OK HTTP/1.1 Empty content-length=3", "end"]);
    let told = run(&Method::HEAD, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", false);
    assert_eq!(told.events[1..], ["end"]);
}

#[test]
fn upgrade_and_connect_hand_over_what_is_left() {
    let told =
        get("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\n\x00rest");
    assert_eq!(
        told.events[1..],
        ["101 Switching Protocols Switching Protocols HTTP/1.1 Empty upgrade=x", "upgraded"]
    );
    assert_eq!(told.left, b"\x00rest");
    // RFC 9110 §9.3.6: lengths in the answer to CONNECT do not count.
    let told = run(&Method::CONNECT, "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabc", true);
    assert_eq!((told.events[1].as_str(), told.left), ("upgraded", b"abc".to_vec()));
    let told = run(&Method::CONNECT, "HTTP/1.1 407 No\r\ncontent-length: 3\r\n\r\nabc", true);
    assert_eq!(told.events[1..], ["data abc", "end"]);

    let mut client = Client::new();
    client.get();
    let wire = "HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n";
    let expected = Error::Peer(DecodeError { offset: 0, reason: Reason::UnexpectedUpgrade });
    assert_eq!(client.feed(wire).poll().map(drop), Err(expected));
}

#[test]
fn malformed_answers_end_the_connection() {
    let head = |rest: &str| format!("HTTP/1.1 200 OK\r\n{rest}\r\n\r\n");
    let cases: Vec<(String, Reason)> = vec![
        ("SSH-2.0-x\r\n".into(), Reason::NotHttp),
        ("\r\nHTTP/1.1 200 OK\r\n\r\n".into(), Reason::NotHttp),
        ("HTTP/1.1 200 OK\nx: y\r\n\r\n".into(), Reason::LineEnd),
        ("HTTP/1.1 200\r\n\r\n".into(), Reason::Status),
        ("HTTP/1.1 20 OK\r\n\r\n".into(), Reason::Status),
        ("HTTP/1.1 2000 OK\r\n\r\n".into(), Reason::Status),
        ("HTTP/1.1 099 OK\r\n\r\n".into(), Reason::Status),
        ("HTTP/1.1 2x0 OK\r\n\r\n".into(), Reason::Status),
        ("HTTP/1.1 200 O\x01K\r\n\r\n".into(), Reason::Status),
        ("HTTP/1.1  200 OK\r\n\r\n".into(), Reason::Status),
        ("HTTP/2.0 200 OK\r\n\r\n".into(), Reason::Version),
        ("HTTPS/1.1 200 OK\r\n\r\n".into(), Reason::StartLine),
        (head("a : b"), Reason::FieldName),
        (head("a: b\r\n c"), Reason::FieldName),
        (head("a: b\x00"), Reason::FieldValue),
        (head("content-length: x"), Reason::ContentLength),
        (head("content-length: 1\r\ncontent-length: 2"), Reason::ContentLengthRepeated),
        (head("content-length: 1\r\ntransfer-encoding: chunked"), Reason::ContentLengthAndTransferEncoding),
        (head("transfer-encoding: gzip"), Reason::TransferCodingUnknown),
        (head("transfer-encoding: x"), Reason::TransferEncoding),
        ("HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".into(), Reason::TransferEncodingInHttp10),
        (head("transfer-encoding: chunked\r\n\r\nzz"), Reason::ChunkSize),
    ];
    for (wire, reason) in cases {
        let told = get(&wire);
        match told.error {
            Some(Error::Peer(error)) if error.reason == reason => {}
            other => panic!("{wire:?}: {other:?}"),
        }
    }
}

#[test]
fn each_leniency_lets_one_thing_pass() {
    let cases: [(&str, Allow); 5] = [
        ("HTTP/1.1 200 OK\ncontent-length: 0\n\n", |l| l.bare_lf = true),
        ("HTTP/1.1 200 OK\r\na: b\r\n\tc\r\ncontent-length: 0\r\n\r\n", |l| l.obs_fold = true),
        ("HTTP/1.1 200 OK\r\ncontent-length : 0\r\n\r\n", |l| l.space_before_colon = true),
        ("HTTP/1.1 200 OK\r\ncontent-length: 0\r\ncontent-length: 0\r\n\r\n", |l| {
            l.repeated_content_length = true;
        }),
        ("HTTP/1.1 200\r\ncontent-length: 0\r\n\r\n", |l| l.status_without_space = true),
    ];
    for (wire, allow) in cases {
        assert!(get(wire).error.is_some(), "{wire:?}");
        let mut config = ClientConfig::default();
        allow(&mut config.leniency);
        let config = Arc::new(config);
        let told =
            at_every_cut(wire.as_bytes(), 4096, |pieces| receive(&config, &Method::GET, pieces, false));
        assert_eq!(told.events.last().map(String::as_str), Some("end"), "{wire:?} {told:?}");
    }
}

#[test]
fn each_limit_ends_the_connection() {
    let mut config = ClientConfig::default();
    config.limits =
        Limits::default().max_informational(1).max_body_len(5).max_head_len(128).max_start_line_len(64);
    let config = Arc::new(config);
    for (wire, limit) in [
        ("HTTP/1.1 100 C\r\n\r\n".repeat(2), "max_informational"),
        ("HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\n".into(), "max_body_len"),
        ("HTTP/1.1 200 OK\r\n\r\n123456".into(), "max_body_len"),
        (format!("HTTP/1.1 200 OK\r\na: {}", "b".repeat(128)), "max_head_len"),
        (format!("HTTP/1.1 200 {}", "b".repeat(64)), "max_start_line_len"),
    ] {
        let told = at_every_cut(wire.as_bytes(), 4096, |pieces| receive(&config, &Method::GET, pieces, true));
        assert!(
            matches!(told.error, Some(Error::Limit(exceeded)) if exceeded.limit == limit),
            "{wire:?} {told:?}"
        );
    }
}

#[test]
fn requests_are_framed_and_checked() {
    let mut client = Client::new();
    let bad = |client: &mut Client, method: Method, target: &str, fields: &[(&str, &str)], body| {
        client.machine.submit(NOW, &method, target, fields, body).expect_err("refused")
    };
    for (method, target, fields, error) in [
        (Method::GET, "a", &HOST[..], HeadError::Target),
        (Method::GET, "/a b", &HOST[..], HeadError::Target),
        (Method::GET, "/\r\nx: y", &HOST[..], HeadError::Target),
        (Method::GET, "*", &HOST[..], HeadError::Target),
        (Method::GET, "/", &[][..], HeadError::Host),
        (Method::GET, "/", &[("host", "a"), ("Host", "b")][..], HeadError::Host),
        (Method::GET, "/", &[("host", "a/b")][..], HeadError::Field(0)),
        (Method::GET, "/", &[("host", "a"), ("x", "y\r\nz: 1")][..], HeadError::Field(1)),
    ] {
        assert_eq!(
            bad(&mut client, method, target, fields, BodyLength::Empty),
            error,
            "{target:?} {fields:?}"
        );
    }
    assert_eq!(bad(&mut client, Method::CONNECT, "a:1", &HOST, BodyLength::Unknown), HeadError::Body);
    assert_eq!(client.sent(), "");

    let stream = client.put(&[("host", "a"), ("content-length", "9"), ("X-Y", "z")], BodyLength::Known(3));
    assert_eq!(bad(&mut client, Method::GET, "/", &HOST, BodyLength::Empty), HeadError::Busy);
    let data = Bytes::from_static(b"abcd");
    assert_eq!(client.machine.send_data(NOW, stream, data.clone()), Err(SendError::TooLong(data.clone())));
    client.machine.send_data(NOW, stream, data.slice(..2)).expect("room");
    assert_eq!(client.machine.finish(NOW, stream, &()), Err(FinishError::Short(1)));
    client.machine.send_data(NOW, stream, data.slice(..1)).expect("room");
    client.machine.finish(NOW, stream, &()).expect("whole");
    assert_eq!(client.machine.send_data(NOW, stream, data.clone()), Err(SendError::Closed(data)));
    assert_eq!(client.sent(), "PUT / HTTP/1.1\nhost: a\nX-Y: z\ncontent-length: 3\n\naba");
    client.answer(EMPTY);
    let stream = client.put(&HOST, BodyLength::Unknown);
    client.machine.finish(NOW, stream, &[("t", "1")]).expect("whole");
    assert_eq!(client.sent(), "PUT / HTTP/1.1\nhost: a\ntransfer-encoding: chunked\n\n0\nt: 1\n\n");
    client.answer(EMPTY);
    client.put(&HOST, BodyLength::Empty);
    assert_eq!(client.sent(), "PUT / HTTP/1.1\nhost: a\ncontent-length: 0\n\n");
}

#[test]
fn who_keeps_the_connection() {
    for (fields, wire, keeps) in [
        (&HOST[..], EMPTY, true),
        (&HOST[..], "HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n", false),
        (&HOST[..], "HTTP/1.0 200 OK\r\ncontent-length: 0\r\n\r\n", false),
        (&HOST[..], "HTTP/1.0 200 OK\r\ncontent-length: 0\r\nconnection: keep-alive\r\n\r\n", true),
        (&[("host", "a"), ("connection", "close")][..], EMPTY, false),
    ] {
        let mut client = Client::new();
        client.machine.submit(NOW, &Method::GET, "/", fields, BodyLength::Empty).expect("ready");
        client.sent();
        client.answer(wire);
        assert_eq!((client.machine.is_ready(), client.is_over()), (keeps, !keeps), "{wire:?}");
    }
}

#[test]
fn the_end_of_a_body_that_has_all_gone_out_completes_the_request() {
    let timeout = Duration::from_secs(5);
    let mut config = ClientConfig::default();
    config.head_timeout = Some(timeout);
    let mut client = Client::with(config);
    let stream = client.put(&HOST, BodyLength::Known(3));
    client.machine.send_data(NOW, stream, Bytes::from("abc")).expect("room");
    client.sent();
    assert_eq!(client.machine.progress(stream), Progress::PartlySent);
    assert!(client.machine.takes_body(stream));
    client.machine.finish(NOW, stream, &()).expect("complete");
    assert_eq!(client.machine.progress(stream), Progress::FullySent);
    assert!(!client.machine.takes_body(stream));
    assert_eq!(client.machine.poll_timeout(), Some(NOW + timeout), "the answer is due");
}

#[test]
fn how_far_a_request_got() {
    let mut client = Client::new();
    let stream = client.put(&HOST, BodyLength::Known(2));
    assert_eq!(client.machine.progress(stream), Progress::NotSent);
    client.machine.poll_transmit(NOW, &mut SendBuf::with_room(10));
    assert_eq!(client.machine.progress(stream), Progress::PartlySent);
    client.sent();
    assert_eq!(client.machine.progress(stream), Progress::PartlySent, "the body is to come");
    client.machine.send_data(NOW, stream, Bytes::from_static(b"ab")).expect("room");
    client.machine.finish(NOW, stream, &()).expect("whole");
    assert_eq!(client.machine.progress(stream), Progress::PartlySent);
    client.sent();
    assert_eq!(client.machine.progress(stream), Progress::FullySent);
    assert!(client.feed("H").event().is_none());
    assert_eq!(client.machine.progress(stream), Progress::AnswerBegun);
    client.machine.handle_eof(NOW);
    assert_eq!(client.poll().map(drop), Err(Error::UnexpectedEof(Phase::Head)));
    assert_eq!(client.machine.progress(stream), Progress::AnswerBegun, "still answerable");

    // A pooled connection that the server had closed.
    let mut client = Client::new();
    let stream = client.machine.submit(NOW, &Method::GET, "/", &HOST, BodyLength::Empty).expect("ready");
    client.machine.handle_eof(NOW);
    assert_eq!(client.poll().map(drop), Err(Error::UnexpectedEof(Phase::Head)));
    assert_eq!(client.machine.progress(stream), Progress::NotSent);
}

#[test]
fn nothing_unasked_becomes_an_answer() {
    let unasked = Error::Peer(DecodeError { offset: 0, reason: Reason::UnexpectedData });
    // Before any request; behind an answer; between a request's submission and its first byte.
    let mut client = Client::new();
    assert_eq!(client.feed(EMPTY).poll().map(drop), Err(unasked));
    let mut client = Client::new();
    client.get();
    client.answer(&EMPTY.repeat(2));
    assert!(!client.machine.is_ready());
    assert_eq!(
        client.machine.submit(NOW, &Method::GET, "/", &HOST, BodyLength::Empty),
        Err(HeadError::Closed)
    );
    assert_eq!(client.poll().map(drop), Err(unasked));
    let mut client = Client::new();
    client.machine.submit(NOW, &Method::GET, "/", &HOST, BodyLength::Empty).expect("ready");
    assert_eq!(client.feed(EMPTY).poll().map(drop), Err(unasked));
}

#[test]
fn a_body_waits_for_continue() {
    let expect = [("host", "a"), ("expect", "100-continue")];
    let data = Bytes::from_static(b"ab");
    let begin = || {
        let mut client = Client::new();
        let stream = client.put(&expect, BodyLength::Known(2));
        assert!(client.sent().ends_with("\n\n"));
        assert_eq!(client.machine.capacity(stream), 0);
        assert_eq!(client.machine.send_data(NOW, stream, data.clone()), Err(SendError::Full(data.clone())));
        (client, stream)
    };
    // The server says so.
    let (mut client, stream) = begin();
    assert!(matches!(
        client.feed("HTTP/1.1 100 Continue\r\n\r\n").event(),
        Some(ClientEvent::Informational { .. })
    ));
    client.machine.send_data(NOW, stream, data.clone()).expect("room");
    client.machine.finish(NOW, stream, &()).expect("whole");
    assert_eq!(client.sent(), "ab");
    client.answer(EMPTY);
    assert!(client.machine.is_ready());
    // The server says nothing.
    let (mut client, stream) = begin();
    assert_eq!(client.machine.poll_timeout(), Some(NOW + Duration::from_secs(1)));
    client.machine.handle_timeout(NOW + Duration::from_secs(1));
    client.machine.send_data(NOW, stream, data.clone()).expect("room");
    // The server answers instead: the body stays, and the connection closes.
    let (mut client, stream) = begin();
    client.answer("HTTP/1.1 413 No\r\ncontent-length: 0\r\n\r\n");
    assert!(matches!(client.machine.send_data(NOW, stream, data.clone()), Err(SendError::Closed(_))));
    assert!(client.is_over());
}

#[test]
fn an_early_answer_ends_the_exchange() {
    let mut client = Client::new();
    let stream = client.put(&HOST, BodyLength::Known(2));
    client.sent();
    client.answer(EMPTY);
    assert!(client.is_over());
    assert!(matches!(
        client.machine.send_data(NOW, stream, Bytes::from_static(b"ab")),
        Err(SendError::Closed(_))
    ));
}

#[test]
fn the_end_of_the_stream_in_each_state() {
    assert_eq!(get("").error, Some(Error::UnexpectedEof(Phase::Head)));
    assert_eq!(get("HTTP/1.1 2").error, Some(Error::UnexpectedEof(Phase::Head)));
    assert_eq!(get("HTTP/1.1 100 C\r\n\r\n").error, Some(Error::UnexpectedEof(Phase::Head)));
    assert_eq!(
        get("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nab").error,
        Some(Error::UnexpectedEof(Phase::Body))
    );
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    for rest in ["", "3", "3\r\nab", "3\r\nabc\r\n", "3\r\nabc\r\n0\r\n", "0\r\nt: 1\r\n"] {
        assert_eq!(
            get(&format!("{chunked}{rest}")).error,
            Some(Error::UnexpectedEof(Phase::Body)),
            "{rest:?}"
        );
    }
    let mut client = Client::new();
    client.machine.handle_eof(NOW);
    assert!(client.event().is_none());
    assert!(client.is_over());
}

#[test]
fn deadlines() {
    let mut config = ClientConfig::default();
    config.idle_timeout = Some(Duration::from_secs(9));
    config.head_timeout = Some(Duration::from_secs(5));
    let mut client = Client::with(config.clone());
    let at = |seconds| NOW + Duration::from_secs(seconds);
    assert_eq!(client.machine.poll_timeout(), Some(at(9)));
    client.machine.handle_timeout(at(9));
    assert!(client.is_over() && client.event().is_none());

    let mut client = Client::with(config.clone());
    client.get();
    assert_eq!(client.machine.poll_timeout(), Some(at(5)));
    client.machine.handle_timeout(at(4));
    assert!(client.event().is_none());
    client.machine.handle_timeout(at(5));
    assert_eq!(client.poll().map(drop), Err(Error::TimedOut(Phase::Head)));

    let mut client = Client::with(config);
    client.get();
    client.feed("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\na").event();
    client.event();
    client.machine.handle_timeout(at(60));
    assert_eq!(client.poll().map(drop), Err(Error::TimedOut(Phase::Body)));
    assert!(client.is_over());
}

#[test]
fn cancelling_at_each_point() {
    // Nothing was handed over: forgotten.
    let mut client = Client::new();
    let stream = client.machine.submit(NOW, &Method::GET, "/", &HOST, BodyLength::Empty).expect("ready");
    client.machine.cancel(NOW, stream);
    assert_eq!((client.sent().as_str(), client.machine.is_ready()), ("", true));
    // Sent, unanswered: the answer could come at any time.
    let stream = client.get();
    client.machine.cancel(NOW, stream);
    assert!(client.is_over());
    // In the midst of a short answer: read away.
    let mut client = Client::new();
    let stream = client.get();
    client.feed("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nab").event();
    client.machine.cancel(NOW, stream);
    assert!(client.event().is_none());
    assert!(client.feed("cd").event().is_none());
    assert!(client.machine.is_ready());
    // In the midst of a long one: closed.
    client.get();
    let Some(ClientEvent::Response { stream, .. }) =
        client.feed("HTTP/1.1 200 OK\r\ncontent-length: 9999999\r\n\r\n").event()
    else {
        panic!()
    };
    client.machine.cancel(NOW, stream);
    assert!(client.is_over());
}

#[test]
fn credit_bounds_what_is_handed_out() {
    let mut config = ClientConfig::default();
    config.limits = Limits::default().receive_window(4);
    let mut client = Client::with(config);
    let stream = client.get();
    client.feed("HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\n012345").event();
    assert!(matches!(client.event(), Some(ClientEvent::Data { data, .. }) if data == "0123"));
    assert!(client.event().is_none());
    assert_eq!(client.machine.interest().read, ReadInterest::Paused);
    client.machine.release(NOW, stream, 2);
    assert!(matches!(client.event(), Some(ClientEvent::Data { data, .. }) if data == "45"));
    assert!(matches!(client.event(), Some(ClientEvent::End { .. })));
}

#[test]
fn the_rest_of_a_body_is_taken_in_one_piece_or_not_at_all() {
    let answer = |client: &mut Client, wire: &str| {
        let stream = client.get();
        assert!(matches!(client.feed(wire).event(), Some(ClientEvent::Response { .. })));
        stream
    };
    let rest = |client: &mut Client, stream| client.machine.take_rest(NOW, stream, &mut client.input);
    let mut client = Client::new();
    for (wire, body) in [
        ("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabc", "abc"),
        ("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", ""),
        ("HTTP/1.1 204 No Content\r\n\r\n", ""),
    ] {
        let stream = answer(&mut client, wire);
        assert_eq!(rest(&mut client, stream).as_deref(), Some(body.as_bytes()));
        assert!(client.event().is_none() && client.machine.is_ready());
        assert_eq!(rest(&mut client, stream), None, "the exchange is over");
    }
    // Of what was taken in part, what is left.
    let stream = answer(&mut client, "HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nab");
    assert_eq!(rest(&mut client, stream), None, "not all of it is there");
    assert!(matches!(client.event(), Some(ClientEvent::Data { data, .. }) if data == "ab"));
    client.feed("cdef");
    assert_eq!(client.machine.take_rest(NOW, StreamId::default(), &mut client.input), None);
    assert_eq!(rest(&mut client, stream).as_deref(), Some(&b"cdef"[..]));
    // Where only the end tells the length.
    let stream = answer(&mut client, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n");
    assert_eq!(rest(&mut client, stream), None);
    assert!(matches!(client.event(), Some(ClientEvent::End { .. })));
    // What comes behind it is nobody's answer.
    let stream = answer(&mut client, "HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nab");
    assert_eq!(rest(&mut client, stream).as_deref(), Some(&b"a"[..]));
    assert!(!client.machine.is_ready() && client.poll().is_err());

    let mut client = Client::new();
    let stream = answer(&mut client, "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 1\r\n\r\na");
    assert!(rest(&mut client, stream).is_some() && client.is_over());
    let mut config = ClientConfig::default();
    config.limits = Limits::default().receive_window(2);
    let mut client = Client::with(config);
    let stream = answer(&mut client, "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabc");
    assert_eq!(rest(&mut client, stream), None, "it needs more credit");
}

#[test]
fn closing_completes_what_is_in_flight() {
    let mut client = Client::new();
    client.get();
    client.machine.close(NOW);
    assert_eq!(client.machine.interest().write, WriteInterest::Open);
    client.answer(EMPTY);
    assert!(client.is_over());
    let mut client = Client::new();
    client.machine.close(NOW);
    assert!(client.is_over());
}
