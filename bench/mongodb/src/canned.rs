//! A server that knows three answers, in a process of its own: what is measured is the client.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use bench_harness::role::{Role, begin, plays};
use bytes::{Bytes, BytesMut};
use glowplug_mongodb::bson::{Doc, Document, RawDocument};
use glowplug_mongodb::doc;
use glowplug_mongodb::wire::{self, Frame, Message, MsgFlags, OpMsg, OpReply, ReplyFlags};

use crate::input;

/// What makes this program the server.
const ROLE: &str = "canned-server";

/// The collection that has one document, and the one that has a hundred.
pub const ONE: &str = "one";
pub const HUNDRED: &str = "hundred";

pub struct Server {
    _role: Role,
    pub port: u16,
}

impl Server {
    pub fn start() -> Self {
        let role = Role::start(ROLE);
        Self { port: role.said.parse().expect("a port"), _role: role }
    }
}

/// Serves for ever if this process is the server.
pub fn serve_if_asked() {
    if !plays(ROLE) {
        return;
    }
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    begin(listener.local_addr().expect("an address").port());
    for stream in listener.incoming().flatten() {
        std::thread::spawn(move || serve(stream));
    }
}

fn hello() -> Document {
    doc! {
        "isWritablePrimary": true, "ismaster": true, "helloOk": true, "maxBsonObjectSize": 16 << 20,
        "maxMessageSizeBytes": 48_000_000, "maxWriteBatchSize": 100_000, "minWireVersion": 0, "maxWireVersion": 21,
        "logicalSessionTimeoutMinutes": 30, "ok": 1.0,
    }
}

fn one() -> Document {
    let document = input::document();
    let document = Doc::new(&document).expect("valid");
    doc! { "cursor": { "firstBatch": [document], "id": 0_i64, "ns": "db.one" }, "ok": 1.0 }
}

/// The answer to a command on the wire.
fn answer(body: &Document) -> Vec<u8> {
    let mut out = BytesMut::new();
    wire::encode(&Message::Msg(OpMsg::new(MsgFlags::NONE, body.as_doc())), 1, 0, &mut out);
    out.to_vec()
}

fn serve(mut stream: TcpStream) {
    let _ = stream.set_nodelay(true);
    let hundred = Document::from(Doc::new(&input::reply()).expect("valid"));
    let (one, hundred, done, hello_msg) =
        (answer(&one()), answer(&hundred), answer(&doc! { "n": 1, "ok": 1.0 }), answer(&hello()));
    let mut hello_legacy = BytesMut::new();
    let reply = OpReply {
        flags: ReplyFlags::AWAIT_CAPABLE,
        cursor_id: 0,
        starting_from: 0,
        number_returned: 1,
        documents: Bytes::from(RawDocument::from(hello()).as_bytes().to_vec()),
    };
    wire::encode(&Message::Reply(reply), 1, 0, &mut hello_legacy);
    let mut request = Vec::new();
    loop {
        request.resize(4, 0);
        if stream.read_exact(&mut request).is_err() {
            return;
        }
        let len = u32::from_le_bytes([request[0], request[1], request[2], request[3]]) as usize;
        request.resize(len, 0);
        if stream.read_exact(&mut request[4..]).is_err() {
            return;
        }
        let frame = Frame::new(Bytes::copy_from_slice(&request)).expect("a frame");
        let mut reply = match frame.message().expect("a message") {
            Message::Query(_) => hello_legacy.to_vec(),
            Message::Msg(message) => {
                let body = message.body();
                let (name, _) = body.iter().next().expect("a command").expect("valid");
                match (name, body.get_str(name)) {
                    ("hello" | "isMaster" | "ismaster", _) => hello_msg.clone(),
                    ("find", Some(ONE)) => one.clone(),
                    ("find", _) => hundred.clone(),
                    _ => done.clone(),
                }
            }
            _ => return,
        };
        reply[8..12].copy_from_slice(&request[4..8]);
        if stream.write_all(&reply).is_err() {
            return;
        }
    }
}

/// A command as a client sends it, and how long the answer is: for replaying.
pub fn exchange(what: What) -> (Vec<u8>, usize) {
    let lsid = doc! { "id": glowplug_mongodb::bson::Binary {
        subtype: glowplug_mongodb::bson::BinarySubtype::UUID, bytes: &[7; 16],
    } };
    let (body, reply) = match what {
        What::FindOne => (
            doc! { "find": ONE, "filter": { "age": 36 }, "limit": 1_i64, "singleBatch": true, "lsid": lsid, "$db": "db" },
            answer(&one()).len(),
        ),
        What::InsertOne => (
            doc! { "insert": ONE, "ordered": true, "lsid": lsid, "$db": "db" },
            answer(&doc! { "n": 1, "ok": 1.0 }).len(),
        ),
        What::Find100 => (
            doc! { "find": HUNDRED, "filter": {}, "lsid": lsid, "$db": "db" },
            16 + 4 + 1 + input::reply().len(),
        ),
    };
    let mut message = OpMsg::new(MsgFlags::NONE, body.as_doc());
    if matches!(what, What::InsertOne) {
        message = message.with_sequence("documents", &input::document()).expect("a sequence");
    }
    let mut out = BytesMut::new();
    wire::encode(&Message::Msg(message), 7, 0, &mut out);
    (out.to_vec(), reply)
}

/// What is asked.
#[derive(Clone, Copy)]
pub enum What {
    FindOne,
    InsertOne,
    Find100,
}
