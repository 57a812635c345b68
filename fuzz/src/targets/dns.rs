//! DNS: messages, the text of their records, and both ends of a stream.

use bytes::BytesMut;
use glowplug_core::{Instant, RequestProtocol, Seed, Token};
use glowplug_dns::{
    ClientConfig, ClientConnection, ClientEvent, Message, MessageView, Name, Query, Rdata, RecordType,
};

use super::super::laws::{START, Subject, check};
use super::super::log::{Log, Shape, shape};

/// What was read can be written and read again, also as text.
pub fn wire(data: &[u8]) -> Shape {
    let text = String::from_utf8_lossy(data);
    if let Ok(name) = Name::from_text(data) {
        assert_eq!(name.to_string().parse(), Ok(name));
    }
    for rtype in [RecordType::TXT, RecordType::SOA, RecordType::SVCB] {
        if let Ok(rdata) = Rdata::from_text(rtype, &text) {
            assert_eq!(Rdata::from_text(rtype, &rdata.to_string()), Ok(rdata));
        }
    }
    let view = match MessageView::new(data) {
        Ok(view) => view,
        Err(error) => return shape(error),
    };
    // Unchecked views stop at the first error.
    for record in view.records().map_while(Result::ok) {
        let _ = format!("{record:?} {:?} {:?}", record.data(), record.to_record());
    }
    let message = match Message::decode(data) {
        Ok(message) => message,
        Err(error) => return shape((error, view.questions().count())),
    };
    for record in message.records() {
        let text = record.data.to_string();
        let read = Rdata::from_text(record.data.rtype(), &text);
        assert_eq!(read.as_ref(), Ok(&record.data), "{text}");
    }
    let mut written = BytesMut::new();
    if message.encode(&mut written).is_ok() {
        assert_eq!(Message::decode(&written).as_ref(), Ok(&message), "written as {written:?}");
    }
    shape(message)
}

/// The client as the targets and the seeds use it.
#[derive(Default)]
pub struct Client {
    tokens: u64,
}

impl Subject for Client {
    type Machine = ClientConnection;

    fn machine(&mut self, _: u8) -> ClientConnection {
        let config = ClientConfig { max_in_flight: 4, ..ClientConfig::default() };
        ClientConnection::new(config, START, &Seed::from_u64(1))
    }

    fn act(&mut self, machine: &mut ClientConnection, now: Instant, number: u8) {
        let (name, rtype) = match number % 4 {
            1 => ("www.example.org", RecordType::A),
            2 => ("example.org", RecordType::TXT),
            3 => return machine.cancel(Token(self.tokens.saturating_sub(1))),
            _ => return,
        };
        let query = Query::new(name.parse().expect("a name"), rtype);
        if machine.submit(now, Token(self.tokens), query).is_ok() {
            self.tokens += 1;
        }
    }

    fn told(&mut self, _: &mut ClientConnection, _: Instant, event: ClientEvent, log: &mut Log) {
        // How long it took is left out.
        log.event((event.token, event.response.map(|reply| format!("{:?}", reply.view()))));
    }

    fn end(&mut self, machine: &ClientConnection) {
        assert!(machine.unanswered().count() <= machine.in_flight());
    }
}

/// A client that asks and gives up.
pub fn conn_client(data: &[u8]) -> Shape {
    check::<Client>(data)
}
