//! Queries and answers over datagrams and streams, and everything that may come instead of an answer.

use core::net::SocketAddr;
use core::time::Duration;

use bytes::{Bytes, BytesMut};
use glowplug_core::{
    DatagramProtocol, Instant, Path, Progress, ReadInterest, RequestProtocol, Seed, SendBuf, StreamProtocol,
    SubmitError, Token,
};
use glowplug_dns::resolver::Channel;
use glowplug_dns::{
    ClientConfig, ClientConnection, Edns, EdnsOption, Error, ExchangeError, Ignored, Incoming, Message, Name,
    OptionCode, PeerError, Query, Rcode, Rdata, Record, RecordType, Rejected, Response, ResponseConfig,
    ServerConfig, ServerConnection, UdpClient, UdpConfig, UdpEvent,
};

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn server() -> SocketAddr {
    "192.0.2.53:53".parse().unwrap()
}

const START: Instant = Instant::from_nanos(1_000_000_000);

fn seconds(n: u64) -> Instant {
    START + Duration::from_secs(n)
}

/// A client with one query out, and that query's bytes.
fn asked(seed: u64) -> (UdpClient, Vec<u8>) {
    let mut client = UdpClient::new(UdpConfig::default(), &Seed::from_u64(seed));
    let query = Query::new(name("www.example.org"), RecordType::A);
    client.submit(START, Token(1), server(), query, seconds(5)).unwrap();
    let mut out = BytesMut::new();
    let transmit = client.poll_transmit(START, &mut out).unwrap();
    assert_eq!((transmit.path.remote, transmit.len), (server(), out.len()));
    (client, out.to_vec())
}

fn answer(query: &[u8]) -> Vec<u8> {
    let incoming =
        Incoming::read(Bytes::copy_from_slice(query), Channel::Udp, &ResponseConfig::default()).unwrap();
    let record = Record::new(incoming.name().clone(), 60, Rdata::a([192, 0, 2, 1].into()));
    let mut out = BytesMut::new();
    incoming.respond(&Response { answers: vec![record], ..Response::default() }, &mut out);
    out.to_vec()
}

fn deliver(client: &mut UdpClient, from: SocketAddr, bytes: &[u8]) -> Result<(), Ignored> {
    client.handle_datagram(seconds(1), Path::to(from), BytesMut::from(bytes))
}

#[test]
fn ids_and_case_differ_from_query_to_query_and_the_right_answer_is_taken() {
    let (mut client, query) = asked(1);
    let (_, other) = asked(2);
    assert_ne!(query[..2], other[..2]);
    assert_ne!(query[12..27], other[12..27]);
    assert_eq!(deliver(&mut client, server(), &answer(&query)), Ok(()));
    let UdpEvent { token, result } = client.poll_event(seconds(1)).unwrap();
    let reply = result.unwrap();
    assert_eq!((token, reply.round_trip), (Token(1), Some(Duration::from_secs(1))));
    assert_eq!(reply.view().answers().count(), 1);
    assert_eq!(client.in_flight(), 0);
    // A second copy answers nothing.
    assert_eq!(deliver(&mut client, server(), &answer(&query)), Err(Ignored::UnknownId));
}

#[test]
fn a_million_forgeries_are_ignored_and_the_wait_goes_on() {
    let (mut client, query) = asked(3);
    let good = answer(&query);
    let mut rng = Seed::from_u64(4).rng();
    for i in 0..1_000_000_u32 {
        let mut forged = good.clone();
        let mut from = server();
        match i % 4 {
            0 => {
                let id = u16::from_be_bytes([good[0], good[1]]) ^ (rng.u16() | 1);
                forged[..2].copy_from_slice(&id.to_be_bytes());
            }
            1 => from.set_port(rng.u16() | 1024),
            2 => from.set_ip([192, 0, 2, 54].into()),
            // Another letter of the name, or another type.
            _ if rng.chance(1, 2) => forged[13] ^= 4,
            _ => forged[30] ^= 16,
        }
        assert!(deliver(&mut client, from, &forged).is_err());
    }
    assert_eq!(client.poll_event(seconds(1)), None);
    deliver(&mut client, server(), &good).unwrap();
    assert!(client.poll_event(seconds(1)).unwrap().result.is_ok());
}

#[test]
fn an_answer_in_another_case_is_never_taken() {
    for seed in 0..2000 {
        let (mut client, query) = asked(seed);
        let mut forged = answer(&query);
        let letter = 13 + seed as usize % 3;
        forged[letter] ^= 0x20;
        deliver(&mut client, server(), &forged).unwrap();
        assert_eq!(client.poll_event(seconds(1)).unwrap().result, Err(ExchangeError::CaseLost));
    }
}

#[test]
fn empty_junk_and_queries_are_ignored() {
    let (mut client, query) = asked(5);
    assert_eq!(deliver(&mut client, server(), b""), Err(Ignored::TooShort));
    assert_eq!(deliver(&mut client, server(), &query[..1]), Err(Ignored::TooShort));
    assert_eq!(deliver(&mut client, server(), &query[..2]), Err(Ignored::TooShort));
    assert_eq!(deliver(&mut client, server(), &query), Err(Ignored::NotAResponse));
    let mut rng = Seed::from_u64(6).rng();
    for len in 0..300 {
        let mut junk = vec![0; len];
        rng.fill(&mut junk);
        assert!(deliver(&mut client, server(), &junk).is_err());
    }
    assert_eq!(client.in_flight(), 1);
    // Every cut of the right answer: ignored, or known to be broken, never taken.
    let good = answer(&query);
    for cut in 0..good.len() {
        let (mut client, _) = asked(5);
        let _ = deliver(&mut client, server(), &good[..cut]);
        assert!(client.poll_event(seconds(1)).is_none_or(|event| event.result.is_err()));
    }
}

#[test]
fn a_query_is_sent_again_with_longer_waits_and_ends_at_its_deadline() {
    let (mut client, first) = asked(7);
    let mut sent = Vec::new();
    while let Some(at) = client.poll_timeout() {
        client.handle_timeout(at - Duration::from_nanos(1));
        assert_eq!(client.poll_timeout(), Some(at));
        client.handle_timeout(at);
        let mut out = BytesMut::new();
        if client.poll_transmit(at, &mut out).is_some() {
            assert_eq!(out, first);
            sent.push((at - START).as_millis());
        }
    }
    assert_eq!(sent, [400, 1200, 2800]);
    assert_eq!(client.poll_event(seconds(5)).unwrap().result, Err(ExchangeError::TimedOut));
    client.close(seconds(5));
    assert!(client.is_closed());
}

#[test]
fn a_full_client_gives_the_query_back_and_unreachable_ends_exchanges() {
    let config = UdpConfig { max_in_flight: 2, ..UdpConfig::default() };
    let mut client = UdpClient::new(config, &Seed::from_u64(8));
    let query = Query::new(name("a.example"), RecordType::A);
    for token in 0..2 {
        client.submit(START, Token(token), server(), query.clone(), seconds(5)).unwrap();
    }
    let full = client.submit(START, Token(2), server(), query.clone(), seconds(5));
    assert_eq!(full, Err(SubmitError::Full(query.clone())));
    client.cancel(Token(0));
    client.submit(START, Token(3), server(), query, seconds(5)).unwrap();
    client.handle_unreachable(START, Path::to(server()));
    let ended: Vec<_> = core::iter::from_fn(|| client.poll_event(START)).map(|event| event.token).collect();
    assert_eq!(ended, [Token(1), Token(3)]);
}

#[test]
fn a_cookie_that_is_not_ours_is_a_forgery() {
    let cookie = glowplug_dns::Cookie { client: *b"ourcooki", server: Bytes::from_static(b"theirserver") };
    let mut query = Query::new(name("a.example"), RecordType::A);
    query.edns = Some(Edns { options: vec![EdnsOption::Cookie(cookie.clone())], ..Edns::default() });
    let mut client = UdpClient::new(UdpConfig::default(), &Seed::from_u64(9));
    client.submit(START, Token(1), server(), query, seconds(5)).unwrap();
    let mut out = BytesMut::new();
    let _ = client.poll_transmit(START, &mut out);
    let mut message = Message::decode(&answer(&out)).unwrap();
    let mut say = |message: &Message| {
        let mut out = BytesMut::new();
        message.encode(&mut out).unwrap();
        client.handle_datagram(START, Path::to(server()), out)
    };
    // None at all, from a server that gave one before; then another client's; then ours.
    assert_eq!(say(&message), Err(Ignored::WrongCookie));
    let other = glowplug_dns::Cookie { client: *b"notours!", server: cookie.server.clone() };
    message.edns.as_mut().unwrap().options = vec![EdnsOption::Cookie(other)];
    assert_eq!(say(&message), Err(Ignored::WrongCookie));
    message.edns.as_mut().unwrap().options = vec![EdnsOption::Cookie(cookie)];
    assert_eq!(say(&message), Ok(()));
}

/// Moves what one side has to say into the other's input.
fn carry(from: &mut impl StreamProtocol, into: &mut BytesMut) {
    let mut out = SendBuf::new();
    from.poll_transmit(START, &mut out);
    out.chunks().for_each(|chunk| into.extend_from_slice(chunk));
}

fn connection(config: ClientConfig) -> ClientConnection {
    ClientConnection::new(config, START, &Seed::from_u64(10))
}

#[test]
fn a_stream_carries_many_queries_answered_out_of_order_at_every_cut() {
    let mut client = connection(ClientConfig::default());
    let names = ["a.example", "b.example", "c.example", "d.example"];
    for (i, host) in names.iter().enumerate() {
        client.submit(START, Token(i as u64), Query::new(name(host), RecordType::TXT)).unwrap();
    }
    let mut wire = BytesMut::new();
    carry(&mut client, &mut wire);
    assert_eq!(client.progress(Token(0)), Progress::FullySent);
    for cut in 0..=wire.len() {
        let mut server = ServerConnection::new(ServerConfig::default(), START);
        let (mut input, mut queries) = (BytesMut::new(), Vec::new());
        for part in [&wire[..cut], &wire[cut..]] {
            input.extend_from_slice(part);
            while let Some(query) = server.poll_event(START, &mut input).unwrap() {
                queries.push(query);
            }
        }
        assert_eq!(queries.iter().map(|q| q.name().clone()).collect::<Vec<_>>(), names.map(name));
        for query in queries.iter().rev() {
            let record =
                Record::new(query.name().clone(), 1, Rdata::txt(query.name().to_string().as_bytes()));
            let response = Response { answers: vec![record], ..Response::default() };
            server.respond(START, query, &response).unwrap();
            assert!(server.respond(START, query, &response).is_err());
        }
        if cut != wire.len() / 2 {
            continue;
        }
        let mut back = BytesMut::new();
        carry(&mut server, &mut back);
        // The answers, one byte at a time.
        let (mut input, mut order) = (BytesMut::new(), Vec::new());
        for byte in &back {
            input.extend_from_slice(&[*byte]);
            while let Some(answer) = client.poll_event(START, &mut input).unwrap() {
                let reply = answer.response.unwrap();
                let question = reply.view().question().unwrap().unwrap();
                assert_eq!(question.name, name(names[answer.token.0 as usize]));
                order.push(answer.token.0);
            }
        }
        assert_eq!(order, [3, 2, 1, 0]);
        client.close(START);
        assert!(client.interest().is_closed());
        break;
    }
}

#[test]
fn an_answer_to_nothing_ends_the_connection() {
    let mut client = connection(ClientConfig::default());
    client.submit(START, Token(1), Query::new(name("a.example"), RecordType::A)).unwrap();
    let mut wire = BytesMut::new();
    carry(&mut client, &mut wire);
    let mut message = answer(&wire[2..]);
    message[0] ^= 1;
    let mut input = BytesMut::from(&(message.len() as u16).to_be_bytes()[..]);
    input.extend_from_slice(&message);
    let error = client.poll_event(START, &mut input).unwrap_err();
    assert_eq!(error, Error::Peer(PeerError::UnexpectedAnswer));
    assert_eq!(client.progress(Token(1)), Progress::FullySent);
    assert!(client.poll_event(START, &mut input).is_err());
    let mut short = connection(ClientConfig::default());
    let error = short.poll_event(START, &mut BytesMut::from(&[0, 1, 0][..])).unwrap_err();
    assert_eq!(error, Error::Peer(PeerError::MessageTooShort));
}

#[test]
fn a_cancelled_query_keeps_its_place_and_time_runs_out_one_by_one() {
    let config = ClientConfig { max_in_flight: 2, ..ClientConfig::default() };
    let mut client = connection(config);
    let query = || Query::new(name("a.example"), RecordType::A);
    client.submit(START, Token(1), query()).unwrap();
    client.submit(START, Token(2), query()).unwrap();
    assert_eq!(client.submit(START, Token(3), query()), Err(SubmitError::Full(query())));
    let mut wire = BytesMut::new();
    carry(&mut client, &mut wire);
    client.cancel(Token(1));
    assert_eq!(client.in_flight(), 2);
    let len = usize::from(u16::from_be_bytes([wire[0], wire[1]]));
    let first = answer(&wire[2..2 + len]);
    let mut input = BytesMut::from(&(first.len() as u16).to_be_bytes()[..]);
    input.extend_from_slice(&first);
    assert_eq!(client.poll_event(START, &mut input), Ok(None));
    assert_eq!(client.in_flight(), 1);
    let at = client.poll_timeout().unwrap();
    assert_eq!(at, START + config.response_timeout);
    client.handle_timeout(at);
    let event = client.poll_event(at, &mut input).unwrap().unwrap();
    assert_eq!((event.token, event.response), (Token(2), Err(ExchangeError::TimedOut)));
    client.handle_eof(at);
    assert_eq!(client.poll_event(at, &mut input), Ok(None));
    assert!(client.interest().is_closed());
}

#[test]
fn the_end_of_the_stream_fails_what_waits() {
    let mut client = connection(ClientConfig::default());
    client.submit(START, Token(1), Query::new(name("a.example"), RecordType::A)).unwrap();
    client.handle_eof(START);
    assert_eq!(client.poll_event(START, &mut BytesMut::new()), Err(Error::UnexpectedEof));
    assert_eq!(client.progress(Token(1)), Progress::NotSent);
    let mut idle = connection(ClientConfig::default());
    let at = idle.poll_timeout().unwrap();
    idle.handle_timeout(at);
    assert!(idle.interest().is_closed());
}

#[test]
fn a_server_pauses_at_its_limits_and_goes_on() {
    let mut client = connection(ClientConfig::default());
    for i in 0..5 {
        client.submit(START, Token(i), Query::new(name("a.example"), RecordType::A)).unwrap();
    }
    let mut input = BytesMut::new();
    carry(&mut client, &mut input);
    let config = ServerConfig { max_in_flight: 2, ..ServerConfig::default() };
    let mut server = ServerConnection::new(config, START);
    let mut queries: Vec<Incoming> = Vec::new();
    while let Some(query) = server.poll_event(START, &mut input).unwrap() {
        queries.push(query);
    }
    assert_eq!((queries.len(), server.interest().read), (2, ReadInterest::Paused));
    server.handle_eof(START);
    let mut answered = 0;
    while let Some(query) = queries.pop() {
        server.respond(START, &query, &Response::error(Rcode::REFUSED)).unwrap();
        answered += 1;
        queries.extend(server.poll_event(START, &mut input).unwrap());
    }
    assert_eq!(answered, 5);
    assert_eq!(server.poll_event(START, &mut input), Ok(None));
    let mut out = BytesMut::new();
    carry(&mut server, &mut out);
    assert!(server.interest().is_closed());
    // Bytes that wait for a peer that does not read pause it as well.
    let config = ServerConfig { max_queued: 1, ..ServerConfig::default() };
    let mut server = ServerConnection::new(config, START);
    let mut bad = BytesMut::new();
    for _ in 0..1000 {
        bad.extend_from_slice(&[0, 12, 0, 1, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0]);
    }
    let before = bad.len();
    assert_eq!(server.poll_event(START, &mut bad), Ok(None));
    assert_eq!((before - bad.len(), server.interest().read), (14, ReadInterest::Paused));
}

#[test]
fn responses_fit_their_datagram_and_say_so() {
    let records = |n: u8| (0..n).map(|i| Record::new(name("a.example"), 60, Rdata::a([192, 0, 2, i].into())));
    let response = Response { answers: records(200).collect(), ..Response::default() };
    for (edns, limit) in [(None, 512), (Some(100), 512), (Some(1000), 1000), (Some(60_000), 1232)] {
        let edns = edns.map(|udp_payload_size| Edns { udp_payload_size, ..Edns::default() });
        let message = Message {
            questions: vec![glowplug_dns::Question {
                name: name("a.example"),
                rtype: RecordType::A,
                class: glowplug_dns::Class::IN,
            }],
            edns: edns.clone(),
            ..Message::default()
        };
        let mut query = BytesMut::new();
        message.encode(&mut query).unwrap();
        let incoming = Incoming::read(query.freeze(), Channel::Udp, &ResponseConfig::default()).unwrap();
        let mut out = BytesMut::new();
        let len = incoming.respond(&response, &mut out);
        let message = Message::decode(&out).unwrap();
        assert!(len <= limit && len > limit - 30, "{len} of {limit}");
        assert!(message.flags.truncated());
        assert_eq!(message.edns.is_some(), edns.is_some());
    }
}

#[test]
fn bad_queries_are_answered_by_the_rules_and_responses_never() {
    let config = ResponseConfig::default();
    let read = |bytes: &[u8]| Incoming::read(Bytes::copy_from_slice(bytes), Channel::Udp, &config);
    let rcode = |bytes: &[u8]| match read(bytes) {
        Err(Rejected::Answered(bytes)) => Message::decode(&bytes).unwrap().rcode,
        other => panic!("{other:?}"),
    };
    let (_, query) = asked(11);
    assert!(read(&query).is_ok());
    assert_eq!(read(&answer(&query)), Err(Rejected::Ignored));
    assert_eq!(read(&query[..11]), Err(Rejected::Ignored));
    for cut in 12..query.len() {
        assert_eq!(rcode(&query[..cut]), Rcode::FORMERR, "cut at {cut}");
    }
    let mut update = query.clone();
    update[2] |= 5 << 3;
    assert_eq!(rcode(&update), Rcode::NOTIMP);
    let mut version = query.clone();
    let opt = query.len() - 11;
    version[opt + 6] = 1;
    assert_eq!(rcode(&version), Rcode::BADVERS);
}

#[test]
fn a_server_tells_how_long_a_connection_may_idle() {
    let mut query = Query::new(name("a.example"), RecordType::A);
    query.edns = Some(Edns { options: vec![EdnsOption::Keepalive(None)], ..Edns::default() });
    let config = ClientConfig { idle_timeout: Duration::from_secs(1), ..ClientConfig::default() };
    let mut client = connection(config);
    client.submit(START, Token(1), query).unwrap();
    let mut input = BytesMut::new();
    carry(&mut client, &mut input);
    let mut server = ServerConnection::new(ServerConfig::default(), START);
    let incoming = server.poll_event(START, &mut input).unwrap().unwrap();
    server.respond(START, &incoming, &Response::default()).unwrap();
    let mut back = BytesMut::new();
    carry(&mut server, &mut back);
    let answer = client.poll_event(START, &mut back).unwrap().unwrap().response.unwrap();
    let opt = answer.view().opt().unwrap().unwrap();
    assert_eq!(opt.option(OptionCode::KEEPALIVE), Some(&100_u16.to_be_bytes()[..]));
    assert_eq!(client.poll_timeout(), Some(seconds(10)));
}
