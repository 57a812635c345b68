//! A tap on the line between client and server: it shows the commands that go by.

use std::sync::{Arc, Mutex};

use bytes::BytesMut;
use glowplug::mongodb::wire::{Decoder, Frame, Message};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

use crate::json::json;

/// Commands of the handshake and of the house are no events.
const SILENT: &[&str] =
    &["hello", "isMaster", "ismaster", "saslStart", "saslContinue", "authenticate", "endSessions"];

/// One command or reply as a test expects it: its kind and what is in it.
pub(crate) type Event = (&'static str, Value);

/// The events of one client, in order.
#[derive(Clone, Default)]
pub(crate) struct Events(Arc<Mutex<Log>>);

#[derive(Default)]
struct Log {
    events: Vec<Event>,
    /// The names of commands whose replies are due, by connection and request id.
    asked: Vec<(usize, i32, String, Value)>,
}

impl Events {
    pub(crate) fn all(&self) -> Vec<Event> {
        self.0.lock().expect("no test panics with it").events.clone()
    }

    fn request(&self, connection: usize, frame: &Frame) {
        let Ok(Message::Msg(message)) = frame.message() else { return };
        let mut body = json(message.body());
        for sequence in message.sequences() {
            body[sequence.identifier()] = sequence.docs().map(json).collect();
        }
        let name = message.body().iter().next().and_then(Result::ok).map_or("", |(name, _)| name).to_owned();
        if SILENT.contains(&name.as_str()) {
            return;
        }
        let database = body["$db"].clone();
        let mut log = self.0.lock().expect("no test panics with it");
        log.asked.push((connection, frame.header().request_id, name.clone(), database.clone()));
        let event = json!({ "command": body, "commandName": name, "databaseName": database });
        log.events.push(("commandStartedEvent", event));
    }

    fn reply(&self, connection: usize, frame: &Frame) {
        let Ok(Message::Msg(message)) = frame.message() else { return };
        let mut log = self.0.lock().expect("no test panics with it");
        let to = frame.header().response_to;
        let Some(at) = log.asked.iter().position(|(own, id, ..)| (*own, *id) == (connection, to)) else {
            return;
        };
        let (_, _, name, database) = log.asked.remove(at);
        let mut event = json!({ "commandName": name, "databaseName": database });
        let event = if message.body().is_ok() {
            event["reply"] = json(message.body());
            ("commandSucceededEvent", event)
        } else {
            ("commandFailedEvent", event)
        };
        log.events.push(event);
    }
}

/// Listens for a client of the server at `server`; gives where, and what goes by.
pub(crate) async fn tap(server: String) -> (String, Events) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let at = listener.local_addr().expect("an address").to_string();
    let events = Events::default();
    let seen = events.clone();
    tokio::spawn(async move {
        let mut connection = 0;
        while let Ok((client, _)) = listener.accept().await {
            let Ok(server) = TcpStream::connect(&server).await else { continue };
            connection += 1;
            let (client_reads, client_writes) = client.into_split();
            let (server_reads, server_writes) = server.into_split();
            let (requests, replies) = (seen.clone(), seen.clone());
            tokio::spawn(pass(client_reads, server_writes, move |frame| requests.request(connection, frame)));
            tokio::spawn(pass(server_reads, client_writes, move |frame| replies.reply(connection, frame)));
        }
    });
    (at, events)
}

/// Passes bytes on; what they say is told before they arrive.
async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, tell: impl Fn(&Frame)) {
    let (mut bytes, mut copy) = (BytesMut::new(), BytesMut::new());
    let mut decoder = Decoder::new(64 << 20);
    while let Ok(1..) = from.read_buf(&mut bytes).await {
        copy.extend_from_slice(&bytes);
        while let Ok(Some(frame)) = decoder.decode(&mut copy) {
            tell(&frame);
        }
        if to.write_all_buf(&mut bytes).await.is_err() {
            return;
        }
    }
    let _ = to.shutdown().await;
}
