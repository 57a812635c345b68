//! The client's machine against the server's, byte by byte.

use core::time::Duration;

use super::*;
use crate::auth::{Credential, Mechanism, ScramHash, ScramServer, StoredKeys};
use crate::bson::{Binary, BinarySubtype, Doc, Value};
use crate::config::{Limits, ServerApi};
use crate::server::{Request, ServerConnection};
use crate::wire::{Compressor, Frame, OpMsg, encode};
use crate::{EncodeError, LocalError, Reason};

const NOW: Instant = Instant::ZERO;

/// Both ends, with what is between them.
struct Pair {
    client: ClientConnection,
    server: ServerConnection,
    to_server: BytesMut,
    to_client: BytesMut,
    events: Vec<Event>,
    requests: Vec<Request>,
    /// How many bytes cross at once.
    cut: usize,
}

impl Pair {
    fn new(config: Config) -> Self {
        Self {
            client: ClientConnection::new(config, &Seed::from_u64(1), NOW),
            server: ServerConnection::new(Limits::default()),
            to_server: BytesMut::new(),
            to_client: BytesMut::new(),
            events: Vec::new(),
            requests: Vec::new(),
            cut: usize::MAX,
        }
    }

    /// A pair whose handshake is done.
    fn ready(config: Config) -> Self {
        let mut pair = Self::new(config);
        pair.serve(&mut |request| greeting(request, &["zlib", "snappy", "zstd"]));
        assert!(matches!(pair.events.remove(0), Event::Ready(_)));
        pair
    }

    /// Moves bytes until nothing moves; each request is answered by `answer`.
    fn serve(&mut self, answer: &mut dyn FnMut(&Request) -> Option<Document>) {
        self.try_serve(answer).unwrap();
    }

    fn try_serve(&mut self, answer: &mut dyn FnMut(&Request) -> Option<Document>) -> Result<(), Error> {
        for _ in 0..100 {
            let mut out = SendBuf::new();
            self.client.poll_transmit(NOW, &mut out);
            for part in out.take_all().chunks(self.cut) {
                self.to_server.extend_from_slice(part);
                while let Some(request) = self.server.poll_event(NOW, &mut self.to_server).unwrap() {
                    if let (Some(handle), Some(document)) = (request.handle, answer(&request)) {
                        self.server.reply(handle, document.into()).unwrap();
                    }
                    self.requests.push(request);
                }
            }
            let mut out = SendBuf::new();
            self.server.poll_transmit(NOW, &mut out);
            let bytes = out.take_all();
            for part in bytes.chunks(self.cut) {
                self.to_client.extend_from_slice(part);
                while let Some(event) = self.client.poll_event(NOW, &mut self.to_client)? {
                    self.events.push(event);
                }
            }
            if bytes.is_empty() {
                while let Some(event) = self.client.poll_event(NOW, &mut self.to_client)? {
                    self.events.push(event);
                }
                break;
            }
        }
        Ok(())
    }

    fn submit(&mut self, token: u64, command: Command) {
        self.client.submit(NOW, Token(token), command).unwrap();
    }

    /// The answers so far: token and the reply's `n`.
    fn answers(&mut self) -> Vec<(u64, Option<i64>)> {
        let events = core::mem::take(&mut self.events).into_iter();
        events
            .filter_map(|event| ClientConnection::into_answer(event).ok())
            .map(|answer| (answer.token.0, answer.response.into_reply().map(|reply| reply.n())))
            .collect()
    }
}

fn greeting(request: &Request, compression: &[&str]) -> Option<Document> {
    let name = request.command()?.iter().next()?.ok()?.0;
    assert!(matches!(name, "hello" | "isMaster"), "{name}");
    Some(doc! {
        "isWritablePrimary": true, "maxBsonObjectSize": 1000, "maxMessageSizeBytes": 100_000, "maxWriteBatchSize": 10,
        "minWireVersion": 0, "maxWireVersion": 25.0, "compression": compression, "ok": 1.0,
    })
}

/// Answers `n` with the command's own number.
fn echo(request: &Request) -> Option<Document> {
    let number = request.command()?.get_i64("echo")?;
    Some(doc! { "n": number, "ok": 1 })
}

fn command(number: i64) -> Command {
    Command::new("test", doc! { "echo": number })
}

#[test]
fn commands_wait_for_the_handshake_and_are_answered_by_id() {
    for cut in [1, 2, 3, 7, 100, usize::MAX] {
        let mut pair = Pair::new(Config::default());
        pair.cut = cut;
        for number in 0..5 {
            pair.submit(number, command(number as i64));
        }
        assert_eq!(pair.client.in_flight(), 5);
        let mut last = None;
        // The server answers the first command last.
        pair.serve(&mut |request| match echo(request) {
            Some(document) if last.is_none() => {
                last = Some((request.handle.unwrap(), document));
                None
            }
            Some(document) => Some(document),
            None => greeting(request, &[]),
        });
        assert_eq!(pair.answers(), (1..5).map(|number| (number, Some(number as i64))).collect::<Vec<_>>());
        assert_eq!(pair.client.progress(Token(0)), Progress::FullySent);
        let (handle, document) = last.unwrap();
        pair.server.reply(handle, document.into()).unwrap();
        pair.serve(&mut echo);
        assert_eq!(pair.answers(), [(0, Some(0))]);
        assert_eq!(pair.requests[1].database(), Some("test"));
    }
}

#[test]
fn an_unknown_hello_falls_back_to_is_master() {
    let mut pair = Pair::new(Config::default());
    pair.serve(&mut |request| match request.message {
        Message::Msg(_) => Some(doc! { "ok": 0, "code": 59, "errmsg": "no such command: 'hello'" }),
        _ => greeting(request, &[]),
    });
    assert!(matches!(&pair.requests[1].message, Message::Query(query) if query.collection == "admin.$cmd"));
    assert!(matches!(pair.events[..], [Event::Ready(_)]));

    let mut pair = Pair::new(Config { legacy_hello: true, ..Config::default() });
    pair.serve(&mut |request| greeting(request, &[]));
    assert_eq!(pair.requests.len(), 1);
    let mut pair = Pair::new(Config::default());
    let error = pair.try_serve(&mut |_| Some(doc! { "ok": 0, "code": 13 })).unwrap_err();
    assert!(matches!(error, Error::Refused(error) if error.code == 13));
    let mut pair = Pair::new(Config::default());
    let error = pair.try_serve(&mut |_| Some(doc! { "ok": 1, "maxWireVersion": 5 })).unwrap_err();
    assert_eq!(error, Error::Peer(PeerError::TooOld { wire_version: 5 }));
}

/// A server that knows the user `user` with the password `pencil` by one hash.
struct Scram {
    hash: ScramHash,
    speculative: bool,
    empty_exchange: bool,
    conversation: Option<ScramServer>,
    step: usize,
}

impl Scram {
    fn keys(&self) -> StoredKeys {
        StoredKeys::new(self.hash, &self.hash.prepare("user", "pencil").unwrap(), vec![1; 16], 5000)
    }

    fn start(&mut self, command: Doc<'_>) -> Document {
        let Some(Value::Binary(payload)) = command.find("payload") else { panic!("no payload") };
        let (username, mut conversation) = ScramServer::new(payload.bytes).unwrap();
        assert_eq!(username, "user");
        let first = conversation.first(&self.keys(), "server");
        self.conversation = Some(conversation);
        sasl(first.as_bytes(), false)
    }

    fn answer(&mut self, request: &Request) -> Option<Document> {
        let command = request.command()?;
        match command.iter().next()?.ok()?.0 {
            "hello" => {
                let mut document = greeting(request, &[])?;
                let mechanism = if self.hash == ScramHash::Sha1 { "SCRAM-SHA-1" } else { "SCRAM-SHA-256" };
                document.append("saslSupportedMechs", [mechanism]);
                if let Some(speculation) =
                    command.get_doc("speculativeAuthenticate").filter(|_| self.speculative)
                {
                    assert_eq!(speculation.get_str("db"), Some("admin"));
                    let answer = self.start(speculation);
                    document.append("speculativeAuthenticate", answer);
                }
                Some(document)
            }
            "saslStart" => Some(self.start(command)),
            "saslContinue" => {
                self.step += 1;
                let Some(Value::Binary(payload)) = command.find("payload") else { panic!("no payload") };
                if self.step == 2 {
                    assert!(payload.bytes.is_empty());
                    return Some(sasl(b"", true));
                }
                Some(match self.conversation.as_ref()?.handle_final(payload.bytes, &self.keys()) {
                    Ok(last) => sasl(last.as_bytes(), !self.empty_exchange),
                    Err(_) => doc! { "ok": 0, "code": 18, "codeName": "AuthenticationFailed" },
                })
            }
            _ => echo(request),
        }
    }
}

fn sasl(payload: &[u8], done: bool) -> Document {
    let payload = Binary { subtype: BinarySubtype::GENERIC, bytes: payload };
    doc! { "conversationId": 1, "payload": payload, "done": done, "ok": 1 }
}

#[test]
fn scram_in_all_its_ways() {
    for (hash, mechanism, speculative, empty_exchange, requests) in [
        (ScramHash::Sha256, None, true, false, 2),
        (ScramHash::Sha256, None, false, true, 4),
        (ScramHash::Sha1, None, false, false, 3),
        (ScramHash::Sha1, Some(Mechanism::ScramSha1), true, false, 2),
        (ScramHash::Sha256, Some(Mechanism::ScramSha256), true, true, 3),
    ] {
        let credential = Credential { mechanism, ..Credential::new("user", "pencil") };
        let config = Config { credential: Some(credential), ..Config::default() };
        let mut scram = Scram { hash, speculative, empty_exchange, conversation: None, step: 0 };
        let mut pair = Pair::new(config.clone());
        pair.serve(&mut |request| scram.answer(request));
        assert!(matches!(pair.events[..], [Event::Ready(_)]), "{hash:?} {mechanism:?}");
        assert_eq!(pair.requests.len(), requests);
        assert!(pair.client.scram_keys().is_some());

        scram.step = 0;
        let credential = Credential { mechanism, ..Credential::new("user", "pen") };
        let mut pair = Pair::new(Config { credential: Some(credential), ..config });
        let error = pair.try_serve(&mut |request| scram.answer(request)).unwrap_err();
        assert!(matches!(error, Error::Refused(error) if error.code == 18));
    }
}

#[test]
fn a_server_that_is_done_too_early_is_refused() {
    let credential = Some(Credential::new("user", "pencil"));
    let mut pair = Pair::new(Config { credential, ..Config::default() });
    let error = pair.try_serve(&mut |request| {
        let mut document = greeting(request, &[])?;
        document.append("speculativeAuthenticate", sasl(b"", true));
        Some(document)
    });
    assert!(matches!(error, Err(Error::Scram(_))));
}

#[test]
fn plain_needs_tls_and_x509_needs_nothing() {
    let plain = Credential { mechanism: Some(Mechanism::Plain), ..Credential::new("user", "pencil") };
    let mut pair = Pair::new(Config { credential: Some(plain.clone()), ..Config::default() });
    assert_eq!(pair.try_serve(&mut echo), Err(Error::Local(LocalError::PlainWithoutTls)));
    assert!(pair.requests.is_empty(), "nothing was sent");

    let mut pair = Pair::new(Config { credential: Some(plain), tls: true, ..Config::default() });
    pair.serve(&mut |request| match request.command()?.find("payload") {
        Some(Value::Binary(payload)) => {
            assert_eq!(payload.bytes, b"\0user\0pencil");
            Some(sasl(b"", true))
        }
        _ => greeting(request, &[]),
    });
    assert!(matches!(pair.events[..], [Event::Ready(_)]));
    assert!(pair.requests[0].command().unwrap().find("speculativeAuthenticate").is_none());

    let mut pair = Pair::new(Config { credential: Some(Credential::x509()), ..Config::default() });
    pair.serve(&mut |request| match request.command()?.get_str("mechanism") {
        Some(mechanism) => {
            assert_eq!((mechanism, request.database()), ("MONGODB-X509", Some("$external")));
            Some(doc! { "ok": 1 })
        }
        None => greeting(request, &[]),
    });
    assert!(matches!(pair.events[..], [Event::Ready(_)]));
}

#[test]
fn compression_is_negotiated_and_spares_secrets() {
    for compressor in Compressor::AVAILABLE {
        let mut pair = Pair::ready(Config { compressors: vec![*compressor], ..Config::default() });
        pair.submit(1, command(1).with("text", "x".repeat(500)));
        pair.submit(2, Command::new("admin", doc! { "createUser": "u", "echo": 2 }));
        pair.serve(&mut echo);
        assert_eq!(pair.answers(), [(1, Some(1)), (2, Some(2))]);
        let compressors: Vec<_> = pair.requests.iter().map(|request| request.compressor).collect();
        assert_eq!(compressors, [None, Some(*compressor), None]);
    }
}

#[test]
fn checksums_and_the_stable_api_go_with_every_command() {
    let config = Config {
        checksums: true,
        server_api: Some(ServerApi { strict: Some(true), ..ServerApi::v1() }),
        ..Config::default()
    };
    let mut pair = Pair::ready(config);
    pair.submit(1, command(1).documents("documents", [doc! { "a": 1 }].iter().map(Document::as_doc)));
    pair.serve(&mut echo);
    for request in &pair.requests {
        let Message::Msg(message) = &request.message else { panic!("{request:?}") };
        assert!(message.flags.contains(MsgFlags::CHECKSUM_PRESENT));
        assert_eq!(message.body().get_str("apiVersion"), Some("1"));
        assert_eq!(message.body().get_bool("apiStrict"), Some(true));
    }
}

#[test]
fn the_servers_limits_are_respected() {
    let mut pair = Pair::ready(Config::default());
    let docs: Vec<_> = (0..11).map(|number| doc! { "n": number }).collect();
    let many = command(1).documents("documents", docs.iter().map(Document::as_doc));
    let long = doc! { "text": "x".repeat(20_000) };
    pair.submit(1, many);
    pair.submit(2, command(2).documents("documents", [long.as_doc()]));
    pair.submit(3, command(3).with("text", "x".repeat(20_000)));
    pair.submit(4, command(4));
    pair.serve(&mut echo);
    let refused: Vec<_> = core::mem::take(&mut pair.events)
        .into_iter()
        .filter_map(|event| match ClientConnection::into_answer(event).unwrap().response {
            Response::Refused(EncodeError::Limit(limit)) => Some(limit.limit),
            _ => None,
        })
        .collect();
    assert_eq!(refused, ["maxWriteBatchSize", "maxBsonObjectSize", "maxBsonObjectSize"]);
    assert_eq!(pair.client.in_flight(), 0);
}

#[test]
fn a_refusal_waits_for_nothing_to_be_sent() {
    // A driver that finds no event and nothing to send waits for the peer, who has nothing to say.
    let mut pair = Pair::ready(Config::default());
    pair.submit(1, command(1).with("text", "x".repeat(20_000)));
    let event = pair.client.poll_event(NOW, &mut BytesMut::new()).unwrap().unwrap();
    let answer = ClientConnection::into_answer(event).unwrap();
    assert!(matches!(answer.response, Response::Refused(_)) && answer.last);
    let mut early = Pair::new(Config::default());
    early.submit(1, command(1).with("text", "x".repeat(20_000)));
    early.serve(&mut |request| greeting(request, &[]));
    assert!(early.events.iter().any(|event| matches!(event, Event::Answer(answer) if answer.last)));
}

#[test]
fn unacknowledged_commands_are_answered_when_they_are_sent() {
    let mut pair = Pair::ready(Config::default());
    pair.submit(1, command(1).expecting(Expects::Nothing));
    pair.submit(2, command(2));
    pair.serve(&mut echo);
    assert_eq!(pair.answers(), [(1, None), (2, Some(2))]);
    assert_eq!(pair.requests[1].handle, None);
}

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

#[test]
fn submitting_is_bounded() {
    let limits = Limits::default().with_max_in_flight(2);
    let mut pair = Pair::ready(Config { limits, ..Config::default() });
    pair.submit(1, command(1));
    pair.submit(2, command(2));
    assert!(matches!(pair.client.submit(NOW, Token(3), command(3)), Err(SubmitError::Full(_))));
    pair.serve(&mut echo);
    let limits = Limits::default().with_max_queued_bytes(1);
    let mut pair = Pair::new(Config { limits, ..Config::default() });
    pair.submit(1, command(1).with("text", "x".repeat(100_000)));
    assert!(matches!(pair.client.submit(NOW, Token(3), command(3)), Err(SubmitError::Full(_))));
    pair.client.close(NOW);
    assert!(matches!(pair.client.submit(NOW, Token(3), command(3)), Err(SubmitError::Closed(_))));
}

#[test]
fn time_ends_a_slow_handshake_and_pings_an_idle_server() {
    let second = Duration::from_secs(1);
    let mut pair = Pair::new(Config::default());
    pair.client.handle_timeout(NOW + second);
    assert_eq!(pair.client.poll_event(NOW, &mut pair.to_client), Ok(None));
    assert_eq!(pair.client.poll_timeout(), Some(NOW + 10 * second));
    pair.client.handle_timeout(NOW + 10 * second);
    assert_eq!(pair.client.poll_event(NOW, &mut pair.to_client), Err(Error::TimedOut(Phase::Handshake)));
    assert!(pair.client.interest().is_closed());

    let mut pair = Pair::ready(Config { keep_alive: Some(second), ..Config::default() });
    assert_eq!(pair.client.poll_timeout(), Some(NOW + second));
    pair.client.handle_timeout(NOW + second);
    pair.serve(&mut |request| request.command()?.find("ping").map(|_| doc! { "ok": 1 }));
    assert_eq!(pair.requests.len(), 2);
    assert_eq!(pair.client.poll_timeout(), Some(NOW + second));
    pair.client.handle_timeout(NOW + second);
    pair.serve(&mut |_| None);
    pair.client.handle_timeout(NOW + 10 * second);
    assert_eq!(pair.client.poll_event(NOW, &mut pair.to_client), Err(Error::TimedOut(Phase::KeepAlive)));
}

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
