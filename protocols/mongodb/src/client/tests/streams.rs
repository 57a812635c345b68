//! Replies that come unasked, and commands that nobody waits for any more.

use super::*;

/// Sends `count` replies to the last request, the last of them closing the stream if `ends`.
fn stream(pair: &mut Pair, count: i64, ends: bool) {
    let handle = pair.requests.last().unwrap().handle.unwrap();
    for number in 1..=count {
        let document = doc! { "n": number, "ok": 1 };
        if ends && number == count {
            pair.server.reply(handle, document.into()).unwrap();
        } else {
            pair.server.reply_more(handle, document.into()).unwrap();
        }
    }
}

#[test]
fn a_stream_goes_to_its_caller_and_a_cancelled_one_to_nobody() {
    let mut pair = Pair::ready(Config::default());
    pair.submit(1, command(1).expecting(Expects::Stream));
    pair.serve(&mut |_| None);
    stream(&mut pair, 3, true);
    pair.serve(&mut |_| None);
    assert_eq!(pair.answers(), [(1, Some(1)), (1, Some(2)), (1, Some(3))]);

    pair.submit(2, command(2).expecting(Expects::Stream));
    pair.serve(&mut |_| None);
    stream(&mut pair, 1, false);
    pair.serve(&mut |_| None);
    assert_eq!(pair.client.progress(Token(2)), Progress::AnswerBegun);
    pair.client.cancel(Token(2));
    pair.submit(3, command(3));
    stream(&mut pair, 10, true);
    pair.serve(&mut echo);
    assert_eq!(pair.answers(), [(2, Some(1)), (3, Some(3))]);

    // One that never ends costs the connection.
    pair.submit(4, command(4).expecting(Expects::Stream));
    pair.serve(&mut |_| None);
    pair.client.cancel(Token(4));
    stream(&mut pair, 17, false);
    let error = pair.try_serve(&mut |_| None).unwrap_err();
    assert_eq!(error, Error::Limit(LimitExceeded::more_than("max_discarded_replies", 16)));
}

#[test]
fn a_stream_may_name_its_request_each_time() {
    let mut pair = Pair::ready(Config::default());
    pair.submit(1, command(1).expecting(Expects::Stream));
    pair.submit(2, command(2));
    pair.serve(&mut |_| None);
    let ids: Vec<_> = pair.requests[1..].iter().map(|request| request.request_id).collect();
    for (flags, response_to, number) in [
        (MsgFlags::MORE_TO_COME, ids[0], 1),
        (MsgFlags::MORE_TO_COME, ids[0], 2),
        (MsgFlags::NONE, ids[0], 3),
        (MsgFlags::NONE, ids[1], 4),
    ] {
        let message = Message::Msg(OpMsg::new(flags, doc! { "n": number, "ok": 1 }.as_doc()));
        encode(&message, 50 + number, response_to, &mut pair.to_client);
    }
    pair.serve(&mut |_| None);
    assert_eq!(pair.answers(), [(1, Some(1)), (1, Some(2)), (1, Some(3)), (2, Some(4))]);
}

#[test]
fn cancelled_commands_shift_nobody_and_leave_no_cursor_behind() {
    let mut pair = Pair::ready(Config::default());
    for number in 0..100 {
        pair.submit(number, command(number as i64));
        if number % 3 == 0 {
            pair.client.cancel(Token(number)); // not sent yet
        }
    }
    assert_eq!(pair.client.in_flight(), 66);
    pair.serve(&mut |_| None);
    for number in (1..100).filter(|number| number % 3 == 1) {
        pair.client.cancel(Token(number)); // sent
    }
    for request in core::mem::take(&mut pair.requests) {
        if let Some(mut document) = echo(&request) {
            document.append("cursor", doc! { "id": 77i64, "ns": "a.b", "firstBatch": [] });
            pair.server.reply(request.handle.unwrap(), document.into()).unwrap();
        }
    }
    pair.serve(&mut |_| None);
    let expected: Vec<_> =
        (0..100).filter(|number| number % 3 == 2).map(|number| (number, Some(number as i64))).collect();
    assert_eq!(pair.answers(), expected);
    let orphans = pair.client.take_orphans();
    assert_eq!((orphans.len(), orphans[0].cursor_id, orphans[0].namespace.as_str()), (33, 77, "a.b"));
    assert!(pair.client.take_orphans().is_empty());
}
