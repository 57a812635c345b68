//! What `domain` needs more than one call for.

use std::hint::black_box;
use std::net::SocketAddr;

use domain::base::{HashCompressor, Message, MessageBuilder, ParsedName, Question, Record, Rtype};
use domain::net::client::dgram::Connection;
use domain::net::client::protocol::UdpConnect;
use domain::net::client::request::{RequestMessage, SendRequest};
use domain::rdata::AllRecordData;

type Octets = &'static [u8];
type Name = ParsedName<Octets>;
type AnyRecord = Record<Name, AllRecordData<Octets, Name>>;

pub fn parse(wire: Octets) {
    let message = Message::from_octets(wire).expect("valid");
    black_box(message.sole_question().expect("valid"));
    let (_, answers, authorities, additionals) = message.sections().expect("valid");
    for record in answers.chain(authorities).chain(additionals) {
        black_box(
            record.expect("valid").into_any_record::<AllRecordData<_, ParsedName<_>>>().expect("valid"),
        );
    }
}

pub fn walk(wire: Octets) {
    let message = Message::from_octets(wire).expect("valid");
    let (_, answers, authorities, additionals) = message.sections().expect("valid");
    for record in answers.chain(authorities).chain(additionals) {
        let record = record.expect("valid");
        black_box((record.rtype(), record.ttl()));
    }
}

/// A message taken apart.
pub struct Parts {
    question: Question<Name>,
    answers: Vec<AnyRecord>,
    authorities: Vec<AnyRecord>,
    additionals: Vec<AnyRecord>,
}

impl Parts {
    pub fn of(wire: Octets) -> Self {
        let message = Message::from_octets(wire).expect("valid");
        let (_, answers, authorities, additionals) = message.sections().expect("valid");
        let [answers, authorities, additionals] = [answers, authorities, additionals].map(|section| {
            section
                .map(|record| record.expect("valid").into_any_record().expect("valid"))
                .collect::<Vec<AnyRecord>>()
        });
        Self { question: message.sole_question().expect("valid"), answers, authorities, additionals }
    }

    pub fn build(&self) -> Vec<u8> {
        let target = HashCompressor::new(Vec::with_capacity(1232));
        let mut questions = MessageBuilder::from_target(target).expect("room").question();
        questions.push(&self.question).expect("room");
        let mut answers = questions.answer();
        for record in &self.answers {
            answers.push(record).expect("room");
        }
        let mut authorities = answers.authority();
        for record in &self.authorities {
            authorities.push(record).expect("room");
        }
        let mut additionals = authorities.additional();
        for record in &self.additionals {
            additionals.push(record).expect("room");
        }
        additionals.finish().into_target()
    }
}

/// Its client of one server over UDP.
pub struct Client(Connection<UdpConnect>);

impl Client {
    pub fn of(at: SocketAddr) -> Self {
        Self(Connection::new(UdpConnect::new(at)))
    }

    pub async fn ask(&self, name: &str) {
        let mut message = MessageBuilder::new_vec();
        message.header_mut().set_rd(true);
        let mut message = message.question();
        message.push((domain::base::Name::vec_from_str(name).expect("a name"), Rtype::A)).expect("room");
        let request = RequestMessage::new(message).expect("a request");
        black_box(self.0.send_request(request).get_response().await.expect("an answer"));
    }
}
