//! Riak: a get reply of about 1.4 KB, beside prost with `Bytes` and quick-protobuf; and the client's gets and puts, beside a loop of bare bytes.

mod by_prost;
mod by_quick;
mod clients;

use std::hint::black_box;

use bench_harness::{Counting, Entry, Work, repeat};
use bytes::{Bytes, BytesMut};
use glowplug_riak::Blob;
use glowplug_riak::wire::kv::{RpbContent, RpbGetResp, RpbLink};
use glowplug_riak::wire::riak::RpbPair;
use glowplug_riak::wire::{DecodeLimits, Message as _};
use prost::Message as _;
use quick_protobuf::{BytesReader, MessageRead, MessageWrite, Writer};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// One content of 1,000 bytes with the metadata of a busy application.
fn reply() -> RpbGetResp {
    let text = |text: String| Some(Blob::from(text));
    let pair = |kind: &str, index: u32| RpbPair {
        key: format!("{kind}-field-{index}").into(),
        value: text(format!("value-of-{index}")),
    };
    let link = |index: u32| RpbLink {
        bucket: text("people".into()),
        key: text(format!("person-{index:04}")),
        tag: text("friend".into()),
    };
    let content = RpbContent {
        value: vec![b'v'; 1000].into(),
        content_type: text("application/json".into()),
        charset: text("utf-8".into()),
        vtag: text("1Xb3qZ0PVkpF5cCC5wGqJw".into()),
        links: (0..3).map(link).collect(),
        last_mod: Some(1_763_769_600),
        last_mod_usecs: Some(123_456),
        usermeta: (0..3).map(|index| pair("x-riak-meta", index)).collect(),
        indexes: (0..3).map(|index| pair("index_bin", index)).collect(),
        ..RpbContent::default()
    };
    RpbGetResp { content: [content].into(), vclock: Some(vec![0x6b; 60].into()), ..RpbGetResp::default() }
}

fn encoded() -> Bytes {
    let mut out = BytesMut::new();
    glowplug_riak::wire::Message::encode(&reply(), &mut out);
    out.freeze()
}

fn by_quick(bytes: &[u8]) -> by_quick::GetResp<'_> {
    by_quick::GetResp::from_reader(&mut BytesReader::from_bytes(bytes), bytes).expect("valid")
}

fn decode() -> Work {
    let bytes = encoded();
    let [one, two, three, four] = [(); 4].map(|()| bytes.clone());
    Work {
        name: "decode-get-reply",
        operations: 100_000,
        entries: vec![
            Entry::ours("glowplug", move |n| {
                repeat(n, || {
                    let reply = <RpbGetResp as glowplug_riak::wire::Message>::decode(black_box(&one));
                    drop(black_box(reply.expect("valid")));
                })
            }),
            Entry::ours("glowplug, message used again", move |n| {
                let mut reply = RpbGetResp::default();
                repeat(n, || {
                    reply.decode_from(black_box(&two), DecodeLimits::default()).expect("valid");
                    black_box(&reply);
                })
            }),
            Entry::peer("prost with Bytes", move |n| {
                repeat(n, || {
                    let reply = by_prost::GetResp::decode(black_box(&three).clone());
                    drop(black_box(reply.expect("valid")));
                })
            }),
            Entry::peer("quick-protobuf, borrowing", move |n| {
                repeat(n, || drop(black_box(by_quick(black_box(&four)))))
            }),
        ],
    }
}

fn encode() -> Work {
    let bytes = encoded();
    let prost = by_prost::GetResp::decode(bytes.clone()).expect("valid");
    Work {
        name: "encode-get-reply",
        operations: 100_000,
        entries: vec![
            Entry::ours("glowplug", |n| {
                let (reply, mut out) = (reply(), BytesMut::new());
                repeat(n, || {
                    out.clear();
                    glowplug_riak::wire::Message::encode(black_box(&reply), &mut out);
                    black_box(&out);
                })
            }),
            Entry::peer("prost with Bytes", move |n| {
                let mut out = BytesMut::new();
                repeat(n, || {
                    out.clear();
                    prost::Message::encode(black_box(&prost), &mut out).expect("room");
                    black_box(&out);
                })
            }),
            Entry::peer("quick-protobuf, borrowing", move |n| {
                let (reply, mut out) = (by_quick(&bytes), Vec::new());
                repeat(n, || {
                    out.clear();
                    black_box(&reply).write_message(&mut Writer::new(&mut out)).expect("room");
                    black_box(&out);
                })
            }),
        ],
    }
}

/// That everybody means the same.
fn check() {
    let bytes = encoded();
    assert!((1350..1450).contains(&bytes.len()), "{} bytes", bytes.len());
    assert_eq!(by_prost::GetResp::decode(bytes.clone()).expect("valid").encode_to_vec(), bytes);
    let mut out = Vec::new();
    by_quick(&bytes).write_message(&mut Writer::new(&mut out)).expect("room");
    assert_eq!(out, bytes);
}

fn main() {
    check();
    bench_harness::pin(1);
    let mut works = vec![decode(), encode()];
    works.extend(clients::works(clients::frame(reply())));
    bench_harness::main(works);
}
