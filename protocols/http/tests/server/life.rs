//! Keep-alive, hand-over, deadlines, the end of the stream, closing.

use super::*;

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
fn answers_that_nobody_takes_hold_further_requests_back() {
    let mut config = ServerConfig::default();
    config.limits = Limits::default().send_buffer(100);
    let mut server = Server::with(config);
    let stream = server.whole_request(GET);
    server.feed(&GET.repeat(3));
    server
        .machine
        .send_head(NOW, stream, StatusCode::OK, &(), BodyLength::Known(200))
        .expect("a head is due");
    server.machine.send_data(NOW, stream, Bytes::from(vec![b'x'; 200])).expect("one piece may overshoot");
    server.machine.finish(NOW, stream, &()).expect("all of it");
    assert!(server.event().is_none(), "the answer waits to be taken");
    assert_eq!((server.reads(), server.input.len()), (ReadInterest::Paused, GET.len() * 3));
    // Once it is taken, the next request comes.
    assert!(server.sent().ends_with('x'));
    assert!(server.reads().wants());
    assert!(matches!(server.event(), Some(ServerEvent::Request { .. })));
}

#[test]
fn a_server_knows_who_asks_for_the_connection_and_who_got_it() {
    let upgrade = "GET / HTTP/1.1\r\nhost: a\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n";
    for (wire, may, status, gets) in [
        (GET, false, 200, false),
        (upgrade, true, 200, false),
        (upgrade, true, 101, true),
        // RFC 9110 §7.8: not without the option in `Connection`.
        ("GET / HTTP/1.1\r\nhost: a\r\nupgrade: x\r\n\r\n", false, 200, false),
        ("CONNECT a:1 HTTP/1.1\r\nhost: a:1\r\n\r\n", true, 403, false),
        ("CONNECT a:1 HTTP/1.1\r\nhost: a:1\r\n\r\n", true, 200, true),
    ] {
        let mut server = Server::new();
        let stream = server.whole_request(wire);
        assert_eq!(server.machine.may_upgrade(stream), may, "{wire}");
        assert!(!server.machine.is_upgrading() && !server.machine.awaits_body(stream));
        server.answer(stream, status, BodyLength::Known(1));
        assert_eq!(server.machine.is_upgrading(), gets, "{wire}");
        assert_eq!(server.machine.awaits_body(stream), !gets, "{wire}");
    }
}

#[test]
fn a_head_in_the_types_of_http_is_the_same_with_and_without_a_copy() {
    let mut server = Server::new();
    server.feed("POST /a?b HTTP/1.1\r\nHost: a\r\nX-One: 1\r\nx-one: 2\r\n\r\n");
    let Some(ServerEvent::Request { head, .. }) = server.event() else { panic!("no request") };
    let copied = head.to_http().expect("a URI");
    let mut shared = http::Request::new(());
    head.share_into(&mut shared).expect("a URI");
    assert_eq!((&copied.method, &copied.uri), (shared.method(), shared.uri()));
    assert_eq!(&copied.headers, shared.headers());
    assert_eq!(shared.headers().get_all("x-one").iter().count(), 2);
    assert_eq!(shared.headers()["host"].as_bytes().as_ptr(), head.get("host").expect("a host").as_ptr());
    assert_ne!(copied.headers["host"].as_bytes().as_ptr(), head.get("host").expect("a host").as_ptr());
}
