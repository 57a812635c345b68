//! DNS messages and cached lookups: glowplug beside hickory-proto, domain and simple-dns.

mod by_domain;
mod cached;
mod clients;
mod input;
mod responder;

use std::hint::black_box;

use bench_harness::{Counting, Entry, Work, repeat};
use bytes::BytesMut;
use glowplug_dns::{Message, MessageView};

use responder::Responder;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// All of a message: every owner and all data, typed.
fn parse(name: &'static str, operations: u64, wire: &'static [u8]) -> Work {
    Work {
        name,
        operations,
        entries: vec![
            Entry::ours("glowplug view, all of it", move |n| {
                repeat(n, || {
                    let view = MessageView::new(black_box(wire)).expect("valid");
                    black_box(view.question().expect("valid"));
                    for record in view.records() {
                        let record = record.expect("valid");
                        black_box(record.owner().expect("valid"));
                        black_box(record.data().expect("valid"));
                    }
                })
            }),
            Entry::ours("glowplug Message, owned", move |n| {
                repeat(n, || drop(black_box(Message::decode(black_box(wire)).expect("valid"))))
            }),
            Entry::peer("hickory-proto", move |n| {
                repeat(n, || {
                    drop(black_box(hickory_proto::op::Message::from_vec(black_box(wire)).expect("valid")))
                })
            }),
            Entry::peer("domain", move |n| repeat(n, || by_domain::parse(black_box(wire)))),
            Entry::peer("simple-dns", move |n| {
                repeat(n, || drop(black_box(simple_dns::Packet::parse(black_box(wire)).expect("valid"))))
            }),
        ],
    }
}

/// Types, times to live and raw data alone.
fn walk(name: &'static str, operations: u64, wire: &'static [u8]) -> Work {
    Work {
        name,
        operations,
        entries: vec![
            Entry::ours("glowplug view", move |n| {
                repeat(n, || {
                    let view = MessageView::new(black_box(wire)).expect("valid");
                    for record in view.records() {
                        let record = record.expect("valid");
                        black_box((record.rtype(), record.ttl(), record.raw_data()));
                    }
                })
            }),
            Entry::peer("domain", move |n| repeat(n, || by_domain::walk(black_box(wire)))),
        ],
    }
}

fn build(wire: &'static [u8]) -> Work {
    Work {
        name: "build-referral",
        operations: 20_000,
        entries: vec![
            Entry::ours("glowplug", move |n| {
                let (message, mut out) = (Message::decode(wire).expect("valid"), BytesMut::new());
                repeat(n, || {
                    out.clear();
                    black_box(black_box(&message).encode(&mut out).expect("room"));
                })
            }),
            Entry::peer("hickory-proto", move |n| {
                let message = hickory_proto::op::Message::from_vec(wire).expect("valid");
                repeat(n, || drop(black_box(black_box(&message).to_vec().expect("room"))))
            }),
            Entry::peer("domain", move |n| {
                let message = by_domain::Parts::of(wire);
                repeat(n, || drop(black_box(black_box(&message).build())))
            }),
            Entry::peer("simple-dns", move |n| {
                let message = simple_dns::Packet::parse(wire).expect("valid");
                repeat(n, || {
                    drop(black_box(black_box(&message).build_bytes_vec_compressed().expect("room")));
                })
            }),
        ],
    }
}

/// That everybody means the same: each peer reads `wire` and writes something that says the same to us.
fn check(wire: &'static [u8]) {
    let message = Message::decode(wire).expect("valid");
    let hickory = hickory_proto::op::Message::from_vec(wire).expect("valid").to_vec().expect("room");
    let simple = simple_dns::Packet::parse(wire).expect("valid").build_bytes_vec_compressed().expect("room");
    for (peer, written) in
        [("hickory", hickory), ("simple-dns", simple), ("domain", by_domain::Parts::of(wire).build())]
    {
        let read = Message::decode(&written).expect("valid");
        assert_eq!(read.records().count(), message.records().count(), "{peer}");
        assert!(written.len() <= wire.len() + 40, "{peer}: {} bytes", written.len());
    }
}

fn main() {
    responder::answer_if_asked();
    let (reply, referral) = (input::reply(), input::referral());
    check(reply);
    check(referral);
    let responder = Responder::start();
    let mut works = vec![
        parse("parse-a-reply", 200_000, reply),
        parse("parse-referral", 20_000, referral),
        walk("walk-a-reply", 200_000, reply),
        walk("walk-referral", 50_000, referral),
        build(referral),
        cached::work(),
    ];
    works.extend(clients::works(responder.at));
    bench_harness::main(works);
}
