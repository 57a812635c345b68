//! Ends of the stream, messages out of place, and bytes that somebody changed.

use super::handshake::Scram;
use super::*;

#[test]
fn the_end_of_the_stream_is_told_apart() {
    let mut idle = Pair::ready(Config::default());
    idle.client.handle_eof(NOW);
    assert_eq!(idle.client.poll_event(NOW, &mut idle.to_client), Ok(None));
    assert!(idle.client.interest().is_closed());

    let mut busy = Pair::ready(Config::default());
    busy.submit(1, command(1));
    busy.serve(&mut |_| None);
    busy.client.handle_eof(NOW);
    assert_eq!(busy.client.poll_event(NOW, &mut busy.to_client), Err(Error::UnexpectedEof));
    assert_eq!(busy.client.poll_event(NOW, &mut busy.to_client), Ok(None));
    assert_eq!(busy.client.progress(Token(1)), Progress::FullySent);

    let mut closing = Pair::ready(Config::default());
    closing.submit(1, command(1));
    closing.client.close(NOW);
    assert!(!closing.client.interest().is_closed());
    closing.serve(&mut echo);
    assert_eq!(closing.answers(), [(1, Some(1))]);
    assert!(closing.client.interest().is_closed());
}

/// A message to a client with one command in flight.
fn unsolicited(message: &Message, response_to: Option<i32>) -> Error {
    let mut pair = Pair::ready(Config::default());
    pair.submit(1, command(1));
    pair.serve(&mut |_| None);
    let response_to = response_to.unwrap_or(pair.requests[1].request_id);
    encode(message, 1, response_to, &mut pair.to_client);
    pair.client.poll_event(NOW, &mut pair.to_client).unwrap_err()
}

#[test]
fn messages_out_of_place_end_the_connection() {
    let reply = |flags| Message::Msg(OpMsg::new(flags, doc! { "ok": 1 }.as_doc()));
    let unexpected = Error::Peer(PeerError::UnexpectedReply { response_to: -9 });
    assert_eq!(unsolicited(&reply(MsgFlags::NONE), Some(-9)), unexpected);
    assert_eq!(unsolicited(&reply(MsgFlags::MORE_TO_COME), None), Error::Peer(PeerError::UnexpectedStream));
    let kill = Message::KillCursors(crate::wire::OpKillCursors { cursor_ids: vec![] });
    assert!(matches!(unsolicited(&kill, None), Error::Peer(PeerError::UnexpectedMessage(_))));

    let mut pair = Pair::ready(Config::default());
    pair.to_client.extend_from_slice(&i32::MAX.to_le_bytes());
    let error = pair.client.poll_event(NOW, &mut pair.to_client).unwrap_err();
    assert!(matches!(error, Error::Decode(error) if error.reason == Reason::TooLong));
}

#[test]
fn a_server_pauses_for_those_who_do_not_read() {
    let mut server = ServerConnection::new(Limits::default().with_max_in_flight(2).with_max_queued_bytes(1));
    let mut input = BytesMut::new();
    for number in 0..3 {
        let message = Message::Msg(OpMsg::new(MsgFlags::NONE, doc! { "ping": number }.as_doc()));
        encode(&message, number, 0, &mut input);
    }
    let first = server.poll_event(NOW, &mut input).unwrap().unwrap();
    let second = server.poll_event(NOW, &mut input).unwrap().unwrap();
    assert_eq!(server.poll_event(NOW, &mut input), Ok(None));
    assert_eq!(server.interest().read, ReadInterest::Paused);
    let long: RawDocument = doc! { "text": "x".repeat(70_000) }.into();
    server.reply(first.handle.unwrap(), long.clone()).unwrap();
    assert_eq!(server.interest().read, ReadInterest::Paused, "too much output");
    assert!(server.reply(first.handle.unwrap(), long.clone()).is_err());
    assert!(server.reply_more(second.handle.unwrap(), long).is_err());
    let mut out = SendBuf::new();
    server.poll_transmit(NOW, &mut out);
    assert!(Frame::new(out.take_all()).is_ok());
    assert!(server.poll_event(NOW, &mut input).unwrap().is_some());
}

/// Callers who submit, cancel and wait at random, a server that answers in any order: everybody gets their own answer, and
/// each once.
#[test]
fn answers_pair_up_whatever_callers_do() {
    for seed in 0..200 {
        let mut rng = Seed::from_u64(seed).rng();
        let mut pair = Pair::ready(Config::default());
        pair.cut = 1 + rng.below(200) as usize;
        let (mut next, mut open, mut waiting) = (0u64, Vec::new(), Vec::new());
        for _ in 0..100 {
            match rng.below(4) {
                0 | 1 => {
                    pair.submit(next, command(next as i64));
                    open.push(next);
                    next += 1;
                }
                2 if !open.is_empty() => {
                    let cancelled = open.swap_remove(rng.below(open.len() as u64) as usize);
                    pair.client.cancel(Token(cancelled));
                }
                _ => {
                    pair.serve(&mut |_| None);
                    waiting.extend(pair.requests.drain(..).filter(|request| echo(request).is_some()));
                    for _ in 0..rng.below(waiting.len() as u64 + 1) {
                        let request = waiting.swap_remove(rng.below(waiting.len() as u64) as usize);
                        pair.server.reply(request.handle.unwrap(), echo(&request).unwrap().into()).unwrap();
                    }
                    pair.serve(&mut |_| None);
                }
            }
            for (token, n) in pair.answers() {
                let place = open.iter().position(|open| *open == token).expect("an answer to nobody");
                open.swap_remove(place);
                assert_eq!(n, Some(token as i64), "seed {seed}");
            }
            waiting.extend(pair.requests.drain(..).filter(|request| echo(request).is_some()));
        }
        for request in waiting {
            pair.server.reply(request.handle.unwrap(), echo(&request).unwrap().into()).unwrap();
        }
        pair.serve(&mut echo);
        let mut answered: Vec<_> = pair.answers().into_iter().map(|(token, _)| token).collect();
        answered.sort_unstable();
        open.sort_unstable();
        assert_eq!((answered, pair.client.in_flight()), (open, 0), "seed {seed}");
    }
}

/// A server's bytes with some of them changed: an error or an answer, never a panic, and an end.
#[test]
fn changed_bytes_never_panic() {
    for seed in 0..200 {
        let mut rng = Seed::from_u64(seed).rng();
        let credential = Some(Credential::new("user", "pencil"));
        let mut pair = Pair::new(Config { credential, ..Config::default() });
        let mut scram = Scram {
            hash: ScramHash::Sha256,
            speculative: true,
            empty_exchange: false,
            conversation: None,
            step: 0,
        };
        pair.submit(1, command(1).expecting(Expects::Stream));
        for _ in 0..6 {
            let mut out = SendBuf::new();
            pair.client.poll_transmit(NOW, &mut out);
            pair.to_server.extend_from_slice(&out.take_all());
            while let Ok(Some(request)) = pair.server.poll_event(NOW, &mut pair.to_server) {
                if let (Some(handle), Some(document)) = (request.handle, scram.answer(&request)) {
                    pair.server.reply(handle, document.into()).unwrap();
                }
            }
            pair.server.poll_transmit(NOW, &mut out);
            let mut bytes = out.take_all().to_vec();
            if !bytes.is_empty() && rng.chance(1, 2) {
                let at = rng.below(bytes.len() as u64) as usize;
                bytes[at] = rng.u16() as u8;
            }
            pair.to_client.extend_from_slice(&bytes);
            for _ in 0..10 {
                if !matches!(pair.client.poll_event(NOW, &mut pair.to_client), Ok(Some(_))) {
                    break;
                }
            }
        }
        pair.client.handle_eof(NOW);
        while let Ok(Some(_)) = pair.client.poll_event(NOW, &mut pair.to_client) {}
        assert!(pair.client.interest().is_closed(), "seed {seed}");
    }
}
