//! DNS over a stream: a client with a query in flight, and a server that knows nothing.

use bytes::BytesMut;
use glowplug_core::{Instant, RequestProtocol as _, Seed, SendBuf, StreamProtocol as _, Token};
use glowplug_dns::{
    ClientConfig, ClientConnection, Name, Query, Rcode, RecordType, Response, ServerConfig, ServerConnection,
};

use crate::laws::stream::StreamSubject;

/// `www.example.com IN A`, with its length before it.
const QUERY: &[u8] = b"\0\x21\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x03www\x07example\x03com\0\0\x01\0\x01";

fn asking() -> ClientConnection {
    let mut client = ClientConnection::new(ClientConfig::default(), Instant::ZERO, &Seed::from_u64(1));
    let name: Name = "www.example.com".parse().expect("this is a name");
    let sent = client.submit(Instant::ZERO, Token(1), Query::new(name, RecordType::A));
    sent.expect("a fresh connection takes a query");
    client
}

/// A client that waits for one answer.
pub fn client() -> StreamSubject<ClientConnection> {
    // The id is the machine's own choice, and the same for the same seed: it stands in what it sends.
    let mut out = SendBuf::new();
    asking().poll_transmit(Instant::ZERO, &mut out);
    let mut answer = BytesMut::from(out.take_all());
    // QR: a response, with nothing in it.
    answer[4] |= 0x80;
    let other = [&answer[..2], &[answer[2] ^ 1], &answer[3..]].concat();
    StreamSubject::new("dns client", asking)
        .input("an answer", &answer)
        .invalid("half an answer", &answer[..20])
        .invalid("an answer to somebody else", other)
        .invalid("an answer twice", answer.repeat(2))
        .invalid("no message at all", b"\0\x03abc")
        .endless_up_to("a message without end", b"\xff\xff", b"x", 32 * 1024)
        .memory(512 * 1024)
}

/// A server that refuses every query.
pub fn server() -> StreamSubject<ServerConnection> {
    let fresh =
        || ServerConnection::new(ServerConfig { max_queued: 4096, ..ServerConfig::default() }, Instant::ZERO);
    StreamSubject::on_event("dns server", fresh, |server, now, event, journal| {
        journal.event(format_args!("{event:?}"));
        // Nobody waits when the connection is over.
        let _ = server.respond(now, &event, &Response::error(Rcode::REFUSED));
    })
    .input("a query", QUERY)
    .input("a pipeline", QUERY.repeat(200))
    .input("an opcode that nobody knows", [&QUERY[..4], b"\x79", &QUERY[5..]].concat())
    .invalid("half a query", &QUERY[..20])
    .invalid("a message that is too short", b"\0\x03abc")
    .endless_up_to("a message without end", b"\xff\xff", b"x", 32 * 1024)
    .memory(512 * 1024)
    .same_output()
}
