//! MongoDB: documents, messages, both machines.

use bytes::BytesMut;
use glowplug_core::{Instant, RequestProtocol, Seed, Token};
use glowplug_mongodb::bson::{Doc, Document, JsonMode};
use glowplug_mongodb::wire::{Compressor, Decoder, Frame, Message, encode};
use glowplug_mongodb::{
    ClientConnection, Command, Config, Event, Expects, Limits, Request, ServerConnection, doc,
};

use super::super::laws::{START, Subject, check};
use super::super::log::{Log, Shape, shape};

const MAX_MESSAGE_LEN: usize = 1 << 16;

/// A valid document, written element by element, is the same document.
pub fn wire_bson(data: &[u8]) -> Shape {
    let _ = std::str::from_utf8(data).map(Document::from_json);
    let doc = match Doc::new(data) {
        Ok(doc) => doc,
        Err(error) => return shape(error),
    };
    let _ = format!("{doc:?} {doc}");
    if let Err(error) = doc.validate(16) {
        return shape((error, doc.raw_iter().count()));
    }
    let mut copy = Document::new();
    for element in doc {
        let (key, value) = element.expect("a valid document");
        copy.append(key, value);
    }
    assert_eq!(copy.as_bytes(), doc.as_bytes());
    for mode in [JsonMode::Canonical, JsonMode::Relaxed] {
        if let Ok(json) = doc.to_json(mode) {
            // A document that spells a type out (`{"$oid": ..}`) reads as that type, so it may differ or be refused.
            let _ = Document::from_json(&json).map(|document| document.as_doc().to_json(mode));
        }
    }
    let kinds: Vec<_> = doc.raw_iter().map_while(Result::ok).map(|element| element.element_type()).collect();
    shape(kinds)
}

/// A message that was read can be written and read again.
pub fn wire(data: &[u8]) -> Shape {
    let mut log = Log::default();
    let (mut decoder, mut input) = (Decoder::new(MAX_MESSAGE_LEN), BytesMut::from(data));
    loop {
        match decoder.decode(&mut input) {
            Ok(Some(frame)) => log.event(frame.message().map(|message| again(&frame, message))),
            other => {
                log.event(other);
                return log.shape();
            }
        }
    }
}

fn again(frame: &Frame, message: Message) -> Message {
    let _ = format!("{frame} {frame:?}");
    if let Message::Compressed(compressed) = &message
        && let Ok(plain) = compressed.decompress(frame.header(), MAX_MESSAGE_LEN)
    {
        assert!(plain.bytes().len() <= MAX_MESSAGE_LEN);
        let _ = format!("{:?}", plain.message());
    }
    let mut written = BytesMut::new();
    encode(&message, frame.header().request_id, frame.header().response_to, &mut written);
    let read = Frame::new(written.freeze()).and_then(|frame| frame.message());
    assert_eq!(read.as_ref(), Ok(&message));
    message
}

/// The client as the targets and the seeds use it.
#[derive(Default)]
pub struct Client {
    tokens: u64,
}

impl Subject for Client {
    type Machine = ClientConnection;

    const TOO_EARLY: Option<&'static str> = Some("UnexpectedReply");

    fn machine(&mut self, choice: u8) -> ClientConnection {
        let mut config = Config::default();
        config.limits = Limits::default().with_max_message_len(MAX_MESSAGE_LEN).with_max_in_flight(4);
        config.legacy_hello = choice & 1 != 0;
        config.checksums = choice & 2 != 0;
        if choice & 4 != 0 {
            config.compressors = Compressor::AVAILABLE.to_vec();
        }
        if choice & 8 != 0 {
            config.keep_alive = Some(std::time::Duration::from_secs(3));
        }
        ClientConnection::new(config, &Seed::from_u64(1), START)
    }

    fn act(&mut self, machine: &mut ClientConnection, now: Instant, number: u8) {
        let command = match number % 5 {
            1 => Command::new("admin", doc! { "ping": 1 }),
            2 => Command::new("shop", doc! { "getMore": 7_i64, "collection": "fruit" })
                .expecting(Expects::Stream),
            3 => Command::new("shop", doc! { "insert": "fruit" }).expecting(Expects::Nothing),
            4 => return machine.cancel(Token(self.tokens.saturating_sub(1))),
            _ => return,
        };
        if machine.submit(now, Token(self.tokens), command).is_ok() {
            self.tokens += 1;
        }
    }

    fn told(&mut self, _: &mut ClientConnection, _: Instant, event: Event, log: &mut Log) {
        log.event(event);
    }

    fn end(&mut self, machine: &ClientConnection) {
        assert!(machine.unanswered().count() <= machine.in_flight());
    }
}

/// A client that pings, streams and gives up.
pub fn conn_client(data: &[u8]) -> Shape {
    check::<Client>(data)
}

/// The server as the targets and the seeds use it.
#[derive(Default)]
pub struct Server;

impl Subject for Server {
    type Machine = ServerConnection;

    fn machine(&mut self, _: u8) -> ServerConnection {
        ServerConnection::new(Limits::default().with_max_message_len(MAX_MESSAGE_LEN).with_max_in_flight(4))
    }

    fn told(&mut self, machine: &mut ServerConnection, _: Instant, event: Request, log: &mut Log) {
        if let Some(handle) = event.handle {
            let reply =
                doc! { "ok": 1.0, "minWireVersion": 0, "maxWireVersion": 21, "isWritablePrimary": true };
            if event.allows_stream() {
                let _ = machine.reply_more(handle, doc! { "ok": 1.0 }.into());
            }
            let _ = machine.reply(handle, reply.into());
        }
        log.event(event);
    }
}

/// A server that says yes.
pub fn conn_server(data: &[u8]) -> Shape {
    check::<Server>(data)
}
