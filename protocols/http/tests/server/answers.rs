//! What is told and what goes out: events, frames, fields.

use super::*;

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
fn a_whole_answer_is_what_its_parts_are() {
    let fields = [("Vary", "a"), ("content-length", "7"), ("connection", "keep-alive")];
    let prepared = PreparedFields::new(&fields).expect("they may be sent");
    for line in ["GET / HTTP/1.1", "HEAD / HTTP/1.1", "GET / HTTP/1.0", "CONNECT a:1 HTTP/1.1"] {
        for (status, body) in [(200, "hello"), (200, ""), (204, "hello"), (304, "hello"), (404, "hello")] {
            let status = StatusCode::from_u16(status).expect("a status");
            let answered = |by: &dyn Fn(&mut ServerConnection, StreamId)| {
                let mut server = Server::new();
                let stream = server.whole_request(&format!("{line}\r\nhost: a\r\n\r\n"));
                by(&mut server.machine, stream);
                (server.sent(), server.closes(), server.machine.is_idle())
            };
            let length = match body.len() {
                0 => BodyLength::Empty,
                len => BodyLength::Known(len as u64),
            };
            let in_parts = |fields: &[(&str, &str)]| {
                answered(&|machine, stream| {
                    machine.send_head(NOW, stream, status, fields, length).expect("a head is due");
                    if machine.awaits_body(stream) {
                        machine.send_data(NOW, stream, body.into()).expect("room");
                        machine.finish(NOW, stream, &()).expect("complete");
                    }
                })
            };
            let whole = answered(&|machine, stream| {
                machine.respond(NOW, stream, status, &fields, body.into()).expect("a head is due");
            });
            assert_eq!(whole, in_parts(&fields), "{line} {status} {body}");
            // Prepared fields never frame a message, not even where it has no body.
            let whole = answered(&|machine, stream| {
                machine.respond(NOW, stream, status, &prepared, body.into()).expect("a head is due");
                let again = machine.respond(NOW, stream, status, &prepared, body.into());
                assert_eq!(again, Err(HeadError::Closed));
            });
            assert_eq!(whole, in_parts(&[fields[0], fields[2]]), "{line} {status} {body}");
        }
    }
    assert_eq!(PreparedFields::new(&[("a", "b"), ("a b", "")]).err(), Some(HeadError::Field(1)));
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
    server
        .machine
        .finish(NOW, stream, &[("digest", "1"), ("content-length", "7"), ("Host", "a")])
        .expect("whole");
    assert_eq!(server.sent(), "2;a;b=c;d=\"e \\\"f\\\"\"\nok\n0\ndigest: 1\n\n");
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
