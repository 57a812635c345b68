//! The client's end, step by step: exact bytes out, exact events in, at every cut.

use alloc::vec::Vec;
use core::time::Duration;

use glowplug_core::{RequestProtocol as _, SubmitError};

use super::*;
use crate::wire::Limits;
use crate::{Pipeline, commands};

pub(super) const T0: Instant = Instant::ZERO;

pub(super) fn plain() -> ClientConfig {
    ClientConfig::new().protocol(Protocol::Resp2).set_info(false)
}

/// A RESP2 connection that is ready.
pub(super) fn ready(config: ClientConfig) -> ClientConnection {
    let mut connection = ClientConnection::new(T0, config);
    let event = connection.poll_event(T0, &mut BytesMut::new());
    assert_eq!(event, Ok(Some(Event::Connected { protocol: Protocol::Resp2, server: None })));
    connection
}

pub(super) fn sent(connection: &mut ClientConnection) -> Vec<u8> {
    let mut out = SendBuf::new();
    connection.poll_transmit(T0, &mut out);
    out.take_all().to_vec()
}

pub(super) fn submit(connection: &mut ClientConnection, token: u64, request: impl Into<Request>) {
    connection.submit(T0, Token(token), request.into()).expect("there is room");
}

pub(super) fn events(connection: &mut ClientConnection, bytes: &[u8]) -> Result<Vec<Event>, Error> {
    let (mut input, mut events) = (BytesMut::from(bytes), Vec::new());
    while let Some(event) = connection.poll_event(T0, &mut input)? {
        events.push(event);
    }
    Ok(events)
}

pub(super) fn answer(token: u64, reply: Reply, last: bool) -> Event {
    Event::Answer(Answer { token: Token(token), response: reply, last })
}

#[test]
fn the_handshake_goes_out_in_one_flight_and_requests_wait_for_it() {
    let config = ClientConfig::new().password("pw").client_name("me").database(2).set_info(false);
    let mut connection = ClientConnection::new(T0, config);
    submit(&mut connection, 1, commands::get("k"));
    let hello = b"*7\r\n$5\r\nHELLO\r\n$1\r\n3\r\n$4\r\nAUTH\r\n$7\r\ndefault\r\n$2\r\npw\r\n$7\r\nSETNAME\r\n$2\r\nme\r\n";
    let select = b"*2\r\n$6\r\nSELECT\r\n$1\r\n2\r\n";
    assert_eq!(sent(&mut connection), [&hello[..], select].concat());
    assert_eq!(connection.progress(Token(1)), Progress::NotSent);
    assert_eq!(events(&mut connection, b"%1\r\n+version\r\n+7\r\n"), Ok(Vec::new()));
    assert!(sent(&mut connection).is_empty());
    let connected = events(&mut connection, b"+OK\r\n").expect("valid");
    assert!(matches!(connected[..], [Event::Connected { protocol: Protocol::Resp3, server: Some(_) }]));
    assert_eq!(sent(&mut connection), b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n");
    assert_eq!(connection.progress(Token(1)), Progress::FullySent);
}

#[test]
fn an_old_server_is_asked_again_in_its_own_words() {
    let config = ClientConfig::new().password("pw").database(2).set_info(false);
    let mut connection = ClientConnection::new(T0, config);
    sent(&mut connection);
    assert_eq!(events(&mut connection, b"-ERR unknown command 'HELLO'\r\n-NOAUTH no\r\n"), Ok(Vec::new()));
    assert_eq!(sent(&mut connection), b"*2\r\n$4\r\nAUTH\r\n$2\r\npw\r\n*2\r\n$6\r\nSELECT\r\n$1\r\n2\r\n");
    let connected = events(&mut connection, b"+OK\r\n+OK\r\n").expect("valid");
    assert_eq!(connected, [Event::Connected { protocol: Protocol::Resp2, server: None }]);
}

#[test]
fn a_refused_password_ends_it() {
    let mut connection = ClientConnection::new(T0, ClientConfig::new().password("pw"));
    let error = events(&mut connection, b"-WRONGPASS invalid\r\n").expect_err("refused");
    assert!(matches!(&error, Error::Refused { step: "HELLO", error } if error.code() == "WRONGPASS"));
    assert_eq!(connection.poll_event(T0, &mut BytesMut::new()), Err(error));
    assert!(connection.interest().is_closed());
}

#[test]
fn answers_pair_up_at_every_cut_whoever_has_gone_away() {
    let session = b"+A\r\n$1\r\nB\r\n:3\r\n:4\r\n:5\r\n*1\r\n:6\r\n";
    for cut in 0..=session.len() {
        let mut connection = ready(plain());
        submit(&mut connection, 1, commands::ping());
        submit(&mut connection, 2, commands::get("k"));
        submit(&mut connection, 3, Pipeline::new().with(commands::incr("a")).with(commands::incr("a")));
        submit(&mut connection, 4, commands::incr("a"));
        submit(&mut connection, 5, commands::mget(["a"]));
        connection.cancel(Token(2));
        connection.cancel(Token(4));
        connection.cancel(Token(99));
        assert_eq!(connection.in_flight(), 5);
        let mut input = BytesMut::new();
        let mut events = Vec::new();
        for part in [&session[..cut], &session[cut..]] {
            input.extend_from_slice(part);
            while let Some(event) = connection.poll_event(T0, &mut input).expect("valid") {
                events.push(event);
            }
        }
        let tokens: Vec<_> = events
            .into_iter()
            .filter_map(|event| ClientConnection::into_answer(event).ok())
            .map(|answer| (answer.token.0, answer.last))
            .collect();
        assert_eq!(tokens, [(1, true), (3, false), (3, true), (5, true)], "cut at {cut}");
        assert_eq!(connection.in_flight(), 0);
    }
}

#[test]
fn a_reply_that_nobody_asked_for_ends_it() {
    let mut connection = ready(plain());
    assert_eq!(events(&mut connection, b"+hello\r\n"), Err(Error::Peer(PeerError::UnsolicitedReply)));
    assert!(matches!(connection.submit(T0, Token(1), commands::ping().into()), Err(SubmitError::Closed(_))));
}

#[test]
fn invalid_bytes_end_it_and_the_callers_are_told_how_far_they_got() {
    let mut connection = ready(plain());
    for token in 1..=3 {
        submit(&mut connection, token, commands::get("0123456789"));
    }
    let mut out = SendBuf::with_room(40);
    connection.poll_transmit(T0, &mut out);
    assert_eq!(out.len(), 40);
    let pipeline = Pipeline::new().with(commands::ping()).with(commands::ping());
    submit(&mut connection, 4, pipeline);
    assert!(events(&mut connection, b"nonsense").is_err());
    let told: Vec<_> = connection.unanswered().collect();
    assert_eq!(
        told,
        [
            (Token(1), Progress::FullySent),
            (Token(2), Progress::PartlySent),
            (Token(3), Progress::NotSent),
            (Token(4), Progress::NotSent)
        ]
    );
    assert_eq!(connection.progress(Token(2)), Progress::PartlySent);
}

#[test]
fn an_answer_that_has_begun_is_known() {
    let mut connection = ready(plain());
    submit(&mut connection, 1, Pipeline::new().with(commands::ping()).with(commands::ping()));
    sent(&mut connection);
    assert_eq!(events(&mut connection, b"+PONG\r\n").map(|events| events.len()), Ok(1));
    connection.handle_eof(T0);
    assert_eq!(events(&mut connection, b""), Err(Error::UnexpectedEof));
    assert_eq!(connection.progress(Token(1)), Progress::AnswerBegun);
}

#[test]
fn full_in_number_and_in_bytes() {
    let mut connection = ready(plain().max_in_flight(2).max_queued_bytes(1024));
    submit(&mut connection, 1, commands::set("k", alloc::vec![0; 5000]));
    let refused = connection.submit(T0, Token(2), commands::set("k", "v").into());
    assert!(matches!(refused, Err(SubmitError::Full(_))));
    sent(&mut connection);
    submit(&mut connection, 2, commands::ping());
    assert!(matches!(connection.submit(T0, Token(3), commands::ping().into()), Err(SubmitError::Full(_))));
    assert_eq!(events(&mut connection, b"+OK\r\n").map(|events| events.len()), Ok(1));
    submit(&mut connection, 3, commands::ping());
    let empty = connection.submit(T0, Token(4), Pipeline::new().into());
    assert!(matches!(empty, Err(SubmitError::Full(_) | SubmitError::Closed(_))));
}

#[test]
fn silence_is_an_error_with_a_name() {
    let second = Duration::from_secs(1);
    let mut connection = ClientConnection::new(T0, plain().password("x").handshake_timeout(Some(second)));
    connection.handle_timeout(T0 + second / 2);
    assert!(connection.poll_event(T0, &mut BytesMut::new()).is_ok());
    connection.handle_timeout(T0 + second);
    assert_eq!(connection.poll_event(T0, &mut BytesMut::new()), Err(Error::TimedOut(Phase::Handshake)));

    let mut connection = ready(plain().answer_timeout(Some(second)).keep_alive(Some(second * 10)));
    assert_eq!(connection.poll_timeout(), Some(T0 + second * 10));
    let later = T0 + second * 5;
    connection.submit(later, Token(1), commands::ping().into()).expect("room");
    assert_eq!(connection.poll_timeout(), Some(later + second));
    // Half a reply is a sign of life.
    let mut input = BytesMut::from("+PO");
    assert_eq!(connection.poll_event(later + second / 2, &mut input), Ok(None));
    assert_eq!(connection.poll_timeout(), Some(later + second / 2 + second));
    connection.handle_timeout(later + second * 2);
    assert_eq!(connection.poll_event(later + second * 2, &mut input), Err(Error::TimedOut(Phase::Answer)));
}

#[test]
fn blocking_commands_are_waited_for() {
    let mut connection = ready(plain());
    let second = Duration::from_secs(1);
    submit(&mut connection, 1, Command::new("BLPOP").arg("q").arg(5).blocking(Blocks::For(second * 5)));
    assert_eq!(connection.poll_timeout(), Some(T0 + second * 35));
    let mut connection = ready(plain());
    submit(&mut connection, 1, Command::new("BLPOP").arg("q").arg(0).blocking(Blocks::Forever));
    assert_eq!(connection.poll_timeout(), None);
}

#[test]
fn an_idle_connection_is_tested() {
    let second = Duration::from_secs(1);
    let mut connection = ready(plain().keep_alive(Some(second)).answer_timeout(None));
    connection.handle_timeout(T0 + second);
    assert_eq!(sent(&mut connection), b"*1\r\n$4\r\nPING\r\n");
    assert_eq!(connection.in_flight(), 0);
    assert_eq!(events(&mut connection, b"+PONG\r\n"), Ok(Vec::new()));
    assert_eq!(connection.poll_timeout(), Some(T0 + second * 2));
    connection.handle_timeout(T0 + second * 2);
    connection.handle_timeout(T0 + second * 12);
    assert_eq!(events(&mut connection, b""), Err(Error::TimedOut(Phase::KeepAlive)));
}

#[test]
fn closing_completes_what_is_in_flight() {
    let mut connection = ready(plain());
    submit(&mut connection, 1, commands::ping());
    connection.close(T0);
    assert!(!connection.interest().is_closed());
    assert!(matches!(connection.submit(T0, Token(2), commands::ping().into()), Err(SubmitError::Closed(_))));
    sent(&mut connection);
    assert_eq!(events(&mut connection, b"+PONG\r\n").map(|events| events.len()), Ok(1));
    assert!(connection.interest().is_closed());
    let mut connection = ready(plain());
    connection.handle_eof(T0);
    assert_eq!(events(&mut connection, b""), Ok(Vec::new()));
    assert!(connection.interest().is_closed());
}

#[test]
fn the_end_of_the_stream_at_every_prefix_ends_in_bounded_steps() {
    let session = b"+PONG\r\n$1\r\nB\r\n";
    for cut in 0..=session.len() {
        let mut connection = ready(plain());
        submit(&mut connection, 1, commands::ping());
        submit(&mut connection, 2, commands::get("k"));
        connection.handle_eof(T0);
        let mut input = BytesMut::from(&session[..cut]);
        for _ in 0..4 {
            if !matches!(connection.poll_event(T0, &mut input), Ok(Some(_))) {
                break;
            }
        }
        assert!(connection.interest().is_closed(), "cut at {cut}");
    }
}

#[test]
fn pushes_in_the_middle_of_replies_stand_apart() {
    let mut connection = ClientConnection::new(T0, ClientConfig::new().set_info(false));
    events(&mut connection, b"%0\r\n").expect("valid");
    submit(&mut connection, 1, commands::ping());
    submit(&mut connection, 2, commands::subscribe(["a", "b"]));
    submit(&mut connection, 3, commands::ping());
    let seen = events(
        &mut connection,
        b">2\r\n+invalidate\r\n_\r\n+PONG\r\n>3\r\n+subscribe\r\n+a\r\n:1\r\n>3\r\n+message\r\n+a\r\n+hi\r\n\
          >3\r\n+subscribe\r\n+b\r\n:2\r\n:7\r\n",
    )
    .expect("valid");
    let shape: Vec<_> = seen
        .into_iter()
        .map(|event| ClientConnection::into_answer(event).map_or(0, |answer| answer.token.0))
        .collect();
    assert_eq!(shape, [0, 1, 2, 0, 2, 3]);
}

#[test]
fn limits_on_replies_are_kept() {
    let mut connection = ready(plain().limits(Limits::default().max_bulk_len(64)));
    submit(&mut connection, 1, commands::get("k"));
    assert!(matches!(events(&mut connection, b"$65\r\n"), Err(Error::Peer(PeerError::Decode(_)))));
    assert_eq!(sent(&mut connection), b"");
}

#[test]
fn one_answer_is_as_the_server_gave_it() {
    let mut connection = ready(plain());
    submit(&mut connection, 7, commands::incr("k"));
    assert_eq!(events(&mut connection, b":41\r\n"), Ok(alloc::vec![answer(7, Reply::Integer(41), true)]));
}

#[test]
fn a_subscription_without_names_is_answered_by_one_refusal() {
    let mut connection = ready(plain());
    submit(&mut connection, 1, commands::subscribe([""; 0]));
    submit(&mut connection, 2, commands::ping());
    let seen = events(&mut connection, b"-ERR wrong number of arguments\r\n+PONG\r\n").expect("valid");
    let tokens: Vec<_> =
        seen.into_iter().filter_map(|event| ClientConnection::into_answer(event).ok()).collect();
    assert_eq!(
        tokens.iter().map(|answer| (answer.token.0, answer.last)).collect::<Vec<_>>(),
        [(1, true), (2, true)]
    );
}

#[test]
fn hostile_counts_of_subscriptions_are_only_counts() {
    let mut connection = ready(plain());
    submit(&mut connection, 1, commands::subscribe(["a"]));
    submit(&mut connection, 2, commands::psubscribe(["a"]));
    submit(&mut connection, 3, commands::ssubscribe(["a"]));
    submit(&mut connection, 4, commands::unsubscribe([""; 0]));
    let mut bytes = Vec::new();
    for kind in ["subscribe", "psubscribe", "ssubscribe", "unsubscribe"] {
        bytes.extend_from_slice(alloc::format!("*3\r\n${}\r\n{kind}\r\n+a\r\n", kind.len()).as_bytes());
        bytes.extend_from_slice(b":9223372036854775807\r\n");
    }
    assert_eq!(events(&mut connection, &bytes).map(|events| events.len()), Ok(4));
    assert_eq!(connection.in_flight(), 1);
}

#[test]
fn a_subscription_answered_with_something_else_ends_it() {
    for (protocol, hello) in [(Protocol::Resp2, &b""[..]), (Protocol::Resp3, b"%0\r\n")] {
        for bytes in [&b"+OK\r\n"[..], b"*1\r\n:1\r\n"] {
            let mut connection =
                ClientConnection::new(T0, ClientConfig::new().protocol(protocol).set_info(false));
            events(&mut connection, hello).expect("valid");
            submit(&mut connection, 1, commands::subscribe(["a"]));
            assert_eq!(events(&mut connection, bytes), Err(Error::Peer(PeerError::NotAConfirmation)));
        }
    }
}

#[test]
fn a_greeting_is_a_map_or_a_refusal() {
    for (greeting, fine) in [
        ("%1\r\n+proto\r\n:3\r\n", true),
        ("*2\r\n+proto\r\n:3\r\n", true),
        ("*3\r\n+proto\r\n:3\r\n+x\r\n", false),
        ("+OK\r\n", false),
        (":3\r\n", false),
        ("_\r\n", false),
    ] {
        let mut connection = ClientConnection::new(T0, ClientConfig::new().set_info(false));
        let told = events(&mut connection, greeting.as_bytes());
        match told {
            Ok(events) => assert!(fine && matches!(events[..], [Event::Connected { .. }]), "{greeting}"),
            Err(error) => {
                assert!(!fine && error == Error::Peer(PeerError::NotAGreeting), "{greeting}: {error:?}");
            }
        }
    }
}

#[test]
fn who_is_distrusted_is_heard_no_more() {
    let mut connection = ready(plain());
    submit(&mut connection, 1, commands::get("k"));
    sent(&mut connection);
    connection.distrust();
    assert_eq!(events(&mut connection, b"$1\r\n1\r\n"), Err(Error::Peer(PeerError::OutOfStep)));
    assert_eq!(connection.progress(Token(1)), Progress::FullySent);
}

#[test]
fn a_monitor_is_shown_commands_between_its_own_answers() {
    let mut connection = ready(plain());
    submit(&mut connection, 1, commands::monitor());
    submit(&mut connection, 2, commands::ping());
    let line = "1339518083.107412 [0 127.0.0.1:60866] \"keys\" \"*\"";
    let text = alloc::format!("+OK\r\n+{line}\r\n+PONG\r\n+{line}\r\n");
    let told = events(&mut connection, text.as_bytes()).expect("valid");
    let shown = Event::Push(Reply::Simple(line.into()));
    let pong = answer(2, Reply::Simple("PONG".into()), true);
    assert_eq!(told, [answer(1, Reply::Simple("OK".into()), true), shown.clone(), pong, shown]);
    // Refused, it shows nothing.
    let mut connection = ready(plain());
    submit(&mut connection, 1, commands::monitor());
    assert_eq!(events(&mut connection, b"-NOPERM no\r\n").map(|events| events.len()), Ok(1));
    let unasked = events(&mut connection, alloc::format!("+{line}\r\n").as_bytes());
    assert_eq!(unasked, Err(Error::Peer(PeerError::UnsolicitedReply)));
}

#[test]
fn a_mebibyte_is_handed_on_from_where_it_was_read() {
    let mut connection = ready(plain());
    submit(&mut connection, 1, commands::get("k"));
    let mut input = BytesMut::from(&b"$1048576\r\n"[..]);
    input.resize(input.len() + (1 << 20), b'x');
    input.extend_from_slice(b"\r\n");
    let start = input[10..].as_ptr();
    let event = connection.poll_event(T0, &mut input).expect("valid");
    let Some(Event::Answer(Answer { response: Reply::Bulk(text), .. })) = event else { panic!("{event:?}") };
    assert_eq!((text.len(), text.as_ptr()), (1 << 20, start));
}
