//! The client's machine against the server's, byte by byte.

mod handshake;
mod hostile;
mod streams;

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
