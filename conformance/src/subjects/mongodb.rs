//! MongoDB: a server that answers every command.

use glowplug_core::StreamProtocol;
use glowplug_mongodb::bson::{Document, RawDocument};
use glowplug_mongodb::{Limits, ServerConnection, doc};

use crate::laws::stream::StreamSubject;

/// An OP_MSG with one document.
fn message(id: i32, document: Document) -> Vec<u8> {
    let body = RawDocument::from(document);
    let len = 16 + 4 + 1 + body.as_bytes().len();
    let mut bytes = Vec::with_capacity(len);
    for number in [len as i32, id, 0, 2013, 0] {
        bytes.extend_from_slice(&number.to_le_bytes());
    }
    bytes.push(0);
    bytes.extend_from_slice(body.as_bytes());
    bytes
}

/// A server whose application says that all is well.
pub fn server() -> StreamSubject<ServerConnection> {
    let fresh = || {
        ServerConnection::new(
            Limits::default().with_max_message_len(64 * 1024).with_max_queued_bytes(64 * 1024),
        )
    };
    let ping = |id| message(id, doc! { "ping": 1, "$db": "admin" });
    let pipeline: Vec<Vec<u8>> = (0..200).map(ping).collect();
    let subject = StreamSubject::on_event("mongodb server", fresh, |server, _, event, journal| {
        journal.event(format_args!("{event:?}"));
        if let Some(handle) = event.handle {
            // Nothing waits for a reply when the connection is over.
            let _ = server.reply(handle, doc! { "ok": 1.0 }.into());
        }
    });
    hostile(subject).input("a ping", ping(1)).input("a pipeline", pipeline.concat()).same_output()
}

fn hostile<P: StreamProtocol>(subject: StreamSubject<P>) -> StreamSubject<P> {
    subject
        .invalid("half a header", b"\x30\0\0\0\x01\0")
        .invalid("a message that is too long", b"\xff\xff\xff\x7f\x01\0\0\0\0\0\0\0\xdd\x07\0\0")
        .invalid("a message that is too short", b"\x05\0\0\0\x01\0\0\0\0\0\0\0\xdd\x07\0\0")
        .endless_up_to(
            "a message without end",
            b"\xf0\xff\0\0\x01\0\0\0\0\0\0\0\xdd\x07\0\0\0\0\0\0\0",
            b"x",
            32 * 1024,
        )
        .memory(512 * 1024)
}
