//! A transport ends at every byte; the next one goes on with what is left.

use alloc::vec::Vec;
use alloc::{format, vec};

use bytes::BytesMut;
use glowplug_core::{RequestProtocol as _, StreamProtocol as _};

use super::super::tests::{T0, answer, events, plain, ready, sent, submit};
use super::*;
use crate::{Event, Pipeline, Reply, commands};

/// What goes out next, at most so many bytes.
fn sent_up_to(connection: &mut ClientConnection, room: usize) -> usize {
    let mut out = SendBuf::with_room(room);
    connection.poll_transmit(T0, &mut out);
    out.len()
}

fn again(connection: &mut ClientConnection) {
    connection.handle_reconnect(T0);
    let event = connection.poll_event(T0, &mut BytesMut::new());
    assert!(matches!(event, Ok(Some(Event::Connected { .. }))), "{event:?}");
}

#[test]
fn at_every_byte_each_request_is_lost_or_goes_out_whole() {
    let encoded = |number: u64| commands::echo(format!("number {number}")).command().to_vec();
    let len = encoded(1).len();
    for cut in 1..=3 * len {
        let mut connection = ready(plain());
        for number in 1..=3 {
            submit(&mut connection, number, commands::echo(format!("number {number}")));
        }
        assert_eq!(sent_up_to(&mut connection, cut), cut);
        let begun = cut.div_ceil(len);
        let expected: Vec<_> = (1..=begun)
            .map(|number| {
                let whole = number * len <= cut;
                let progress = if whole { Progress::FullySent } else { Progress::PartlySent };
                (Token(number as u64), progress)
            })
            .collect();
        assert_eq!(connection.handle_disconnect(T0), expected, "cut at {cut}");
        assert!(connection.is_down() && sent(&mut connection).is_empty());
        assert_eq!(connection.poll_timeout(), None);
        submit(&mut connection, 9, commands::echo("number 9"));
        again(&mut connection);
        let rest: Vec<u8> = (begun as u64 + 1..=3).chain([9]).flat_map(encoded).collect();
        assert_eq!(sent(&mut connection), rest, "cut at {cut}");
        let replies = b"+x\r\n".repeat(4 - begun);
        assert_eq!(events(&mut connection, &replies).expect("valid").len(), 4 - begun);
    }
}

#[test]
fn what_had_an_answer_or_nobody_to_hear_it_is_not_lost() {
    let mut connection = ready(plain());
    submit(&mut connection, 1, commands::ping());
    submit(&mut connection, 2, commands::ping());
    submit(&mut connection, 3, Pipeline::new().with(commands::ping()).with(commands::ping()));
    sent(&mut connection);
    submit(&mut connection, 4, commands::ping());
    submit(&mut connection, 5, commands::incr("a"));
    connection.cancel(Token(2));
    connection.cancel(Token(4));
    assert_eq!(events(&mut connection, b"+A\r\n+B\r\n+C\r\n").expect("valid").len(), 2);
    assert_eq!(connection.handle_disconnect(T0), [(Token(3), Progress::AnswerBegun)]);
    again(&mut connection);
    assert_eq!(sent(&mut connection), commands::incr("a").command().to_vec(), "4 was given up");
    assert_eq!(events(&mut connection, b":7\r\n"), Ok(vec![answer(5, Reply::Integer(7), true)]));
}

#[test]
fn what_changes_nothing_is_sent_again_by_choice() {
    let mut connection = ready(plain().resend_read_only(true));
    submit(&mut connection, 1, commands::get("a"));
    submit(&mut connection, 2, commands::incr("b"));
    submit(&mut connection, 3, commands::get("c"));
    let len = commands::get("a").command().encoded_len() + commands::incr("b").command().encoded_len();
    sent_up_to(&mut connection, len + 5);
    submit(&mut connection, 4, commands::incr("d"));
    assert_eq!(connection.handle_disconnect(T0), [(Token(2), Progress::FullySent)]);
    again(&mut connection);
    let expected = [
        commands::get("a").command().to_vec(),
        commands::get("c").command().to_vec(),
        commands::incr("d").command().to_vec(),
    ];
    assert_eq!(sent(&mut connection), expected.concat());
    // And once more.
    assert_eq!(connection.handle_disconnect(T0), [(Token(4), Progress::FullySent)]);
    again(&mut connection);
    assert_eq!(connection.in_flight(), 2);
}

#[test]
fn a_request_that_is_given_up_before_it_was_sent_never_is() {
    let encoded = |text: &str| commands::echo(text).command().to_vec();
    let mut connection = ready(plain());
    for (number, text) in ["one", "two", "three", "four"].into_iter().enumerate() {
        submit(&mut connection, number as u64 + 1, commands::echo(text));
    }
    let part = sent_up_to(&mut connection, encoded("one").len() + 3);
    connection.cancel(Token(2));
    connection.cancel(Token(3));
    let all = ["one", "two", "three", "four"].map(encoded).concat();
    let left = [&all[part..encoded("one").len() + encoded("two").len()], &encoded("four")].concat();
    assert_eq!(sent(&mut connection), left, "what was sent in part is sent whole");
    assert_eq!(connection.in_flight(), 3);
    assert_eq!(events(&mut connection, b"+1\r\n+2\r\n+4\r\n").expect("valid").len(), 2);
    assert_eq!(connection.in_flight(), 0);
}

#[test]
fn tokens_may_be_used_again_and_unknown_ones_do_not_pile_up() {
    let mut connection = ready(plain());
    submit(&mut connection, 1, commands::ping());
    connection.cancel(Token(1));
    for unknown in 100..10_000 {
        connection.cancel(Token(unknown));
    }
    assert!(connection.cancelled.len() < 20);
    submit(&mut connection, 1, commands::ping());
    sent(&mut connection);
    assert_eq!(
        events(&mut connection, b"+old\r\n+new\r\n"),
        Ok(vec![answer(1, Reply::Simple("new".into()), true)])
    );
    assert!(connection.cancelled.is_empty());
}

#[test]
fn closing_keeps_nothing() {
    let mut connection = ready(plain());
    submit(&mut connection, 1, commands::ping());
    connection.close(T0);
    assert_eq!(connection.handle_disconnect(T0), [(Token(1), Progress::NotSent)]);
    connection.handle_reconnect(T0);
    assert!(connection.interest().is_closed());
}

#[test]
fn the_next_transport_may_speak_another_version() {
    let mut connection = ClientConnection::unconnected(T0, crate::ClientConfig::new().set_info(false));
    submit(&mut connection, 1, commands::ping());
    assert!(sent(&mut connection).is_empty() && connection.is_down());
    connection.handle_reconnect(T0);
    assert!(sent(&mut connection).starts_with(b"*2\r\n$5\r\nHELLO"));
    assert!(events(&mut connection, b"*2\r\n+half").expect("so far").is_empty());
    assert!(connection.handle_disconnect(T0).is_empty());
    connection.handle_reconnect(T0);
    assert!(sent(&mut connection).starts_with(b"*2\r\n$5\r\nHELLO"));
    assert_eq!(
        events(&mut connection, b"-ERR unknown command\r\n"),
        Ok(vec![Event::Connected { protocol: Protocol::Resp2, server: None }])
    );
    assert!(sent(&mut connection).ends_with(b"PING\r\n"));
}
