//! What is refused, each leniency, each limit, and what a careless application may do.

use super::*;

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
    let told = support::serve_alone(&config, &[GET.repeat(3).as_bytes()], false);
    assert_eq!(told.statuses(), [200, 200]);
    assert_eq!(told.output().matches("connection: close").count(), 1);
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
