//! What is read and written.

use std::net::{Ipv4Addr, Ipv6Addr};

use bytes::BytesMut;
use glowplug_dns::{Class, Edns, Flags, Message, Name, Question, Rdata, Record, RecordType};

pub fn name(text: &str) -> Name {
    text.parse().expect("a name")
}

/// A reply without records.
fn to(asked: &str) -> Message {
    Message {
        id: 4711,
        flags: Flags::default().with_response(true).with_recursion_desired(true),
        questions: vec![Question { name: name(asked), rtype: RecordType::A, class: Class::IN }],
        edns: Some(Edns::default()),
        ..Message::default()
    }
}

/// Encoded once, for as long as the process lives.
fn encoded(message: &Message) -> &'static [u8] {
    let mut out = BytesMut::new();
    message.encode(&mut out).expect("room");
    Vec::leak(out.to_vec())
}

/// One address of one name.
pub fn address_of(asked: &str) -> Message {
    let mut message = to(asked);
    message.answers = vec![Record::new(name(asked), 300, Rdata::a(Ipv4Addr::new(192, 0, 2, 1)))];
    message
}

pub fn reply() -> &'static [u8] {
    encoded(&address_of("www.example.com."))
}

/// As a root server refers to the servers of `com`: 13 names with two addresses each.
pub fn referral() -> &'static [u8] {
    let mut message = to("www.example.com.");
    for index in 0..13_u8 {
        let server = name(&format!("{}.gtld-servers.net.", char::from(b'a' + index)));
        let v6 = Ipv6Addr::new(0x2001, 0x503, 0xa83e, 0, 0, 0, 2, index.into());
        message.authorities.push(Record::new(name("com."), 172_800, Rdata::ns(&server)));
        message.additionals.push(Record::new(
            server.clone(),
            172_800,
            Rdata::a(Ipv4Addr::new(192, 5, 6, index)),
        ));
        message.additionals.push(Record::new(server, 172_800, Rdata::aaaa(v6)));
    }
    let wire = encoded(&message);
    assert!((820..860).contains(&wire.len()), "{} bytes", wire.len());
    wire
}
