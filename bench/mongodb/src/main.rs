//! BSON: glowplug beside the `bson` crate, on a document of ten fields and on a reply with a hundred of them. Clients: glowplug beside the
//! official driver and beside a bare replay of the same bytes, against a canned server in a process of its own.

mod canned;
mod clients;
mod input;
mod walk;

use std::hint::black_box;

use bench_harness::{Counting, Entry, Work, repeat};
use canned::What;
use glowplug_mongodb::bson as ours;
use input::{Person, Reply};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn raw_walk(name: &'static str, operations: u64, bytes: &[u8]) -> Work {
    let (one, two, three) = (bytes.to_vec(), bytes.to_vec(), bytes.to_vec());
    Work {
        name,
        operations,
        entries: vec![
            Entry::ours("glowplug Doc", move |n| {
                repeat(n, || {
                    black_box(walk::glowplug(ours::Doc::new(black_box(&one)).expect("valid")));
                })
            }),
            Entry::peer("bson RawDocument", move |n| {
                repeat(n, || {
                    let document = bson::RawDocument::from_bytes(black_box(&two)).expect("valid");
                    black_box(walk::bson_raw(document));
                })
            }),
            Entry::peer("bson Document", move |n| {
                repeat(n, || {
                    black_box(bson::Document::from_reader(black_box(&three[..])).expect("valid"));
                })
            }),
        ],
    }
}

fn serde_read_document(bytes: &[u8]) -> Work {
    let (one, two) = (bytes.to_vec(), bytes.to_vec());
    Work {
        name: "serde-read-10-fields",
        operations: 100_000,
        entries: vec![
            Entry::ours("glowplug", move |n| {
                repeat(n, || {
                    black_box(ours::from_slice::<Person<'_>>(black_box(&one)).expect("valid"));
                })
            }),
            Entry::peer("bson", move |n| {
                repeat(n, || {
                    black_box(bson::deserialize_from_slice::<Person<'_>>(black_box(&two)).expect("valid"));
                })
            }),
        ],
    }
}

fn serde_read_reply(bytes: &[u8]) -> Work {
    let (one, two) = (bytes.to_vec(), bytes.to_vec());
    Work {
        name: "serde-read-100-documents",
        operations: 2_000,
        entries: vec![
            Entry::ours("glowplug", move |n| {
                repeat(n, || {
                    black_box(ours::from_slice::<Reply<'_>>(black_box(&one)).expect("valid"));
                })
            }),
            Entry::peer("bson", move |n| {
                repeat(n, || {
                    black_box(bson::deserialize_from_slice::<Reply<'_>>(black_box(&two)).expect("valid"));
                })
            }),
        ],
    }
}

fn serde_write(bytes: &[u8]) -> Work {
    let (one, two) = (bytes.to_vec(), bytes.to_vec());
    Work {
        name: "serde-write-10-fields",
        operations: 100_000,
        entries: vec![
            Entry::ours("glowplug", move |n| {
                let person: Person<'_> = ours::from_slice(&one).expect("valid");
                repeat(n, || {
                    black_box(ours::to_document(black_box(&person)).expect("valid"));
                })
            }),
            Entry::peer("bson", move |n| {
                let person: Person<'_> = bson::deserialize_from_slice(&two).expect("valid");
                repeat(n, || {
                    black_box(bson::serialize_to_vec(black_box(&person)).expect("valid"));
                })
            }),
        ],
    }
}

fn encode() -> Work {
    Work {
        name: "encode-10-fields",
        operations: 100_000,
        entries: vec![
            Entry::ours("glowplug Writer", |n| {
                let mut out = Vec::new();
                repeat(n, || {
                    out.clear();
                    input::person(ours::Writer::new(&mut out), black_box(7));
                    black_box(&out);
                })
            }),
            Entry::peer("bson RawDocumentBuf", |n| {
                repeat(n, || {
                    black_box(input::person_bson_raw(black_box(7)));
                })
            }),
            Entry::peer("bson Document, made and written", |n| {
                let mut out = Vec::new();
                repeat(n, || {
                    out.clear();
                    input::person_bson(black_box(7)).to_writer(&mut out).expect("valid");
                    black_box(&out);
                })
            }),
            Entry::peer("bson Document, written", |n| {
                let (document, mut out) = (input::person_bson(7), Vec::new());
                repeat(n, || {
                    out.clear();
                    black_box(&document).to_writer(&mut out).expect("valid");
                    black_box(&out);
                })
            }),
        ],
    }
}

fn client(name: &'static str, port: u16, what: What) -> Work {
    Work {
        name,
        operations: if matches!(what, What::Find100) { 2_000 } else { 10_000 },
        entries: vec![
            Entry::ours("glowplug tokio", move |n| clients::glowplug_tokio(port, what, n)),
            Entry::ours("glowplug smol", move |n| clients::glowplug_smol(port, what, n)),
            Entry::peer("mongodb", move |n| clients::official(port, what, n)),
            Entry::peer("replay tokio", move |n| clients::replay_tokio(port, what, n)),
            Entry::peer("replay smol", move |n| clients::replay_smol(port, what, n)),
        ],
    }
}

fn main() {
    canned::serve_if_asked();
    let server = canned::Server::start();
    let port = server.port;
    let (document, reply) = (input::document(), input::reply());
    input::check(&document);
    bench_harness::main(vec![
        client("find-one", port, What::FindOne),
        client("insert-one", port, What::InsertOne),
        client("find-100", port, What::Find100),
        raw_walk("walk-10-fields", 200_000, &document),
        raw_walk("walk-100-documents", 2_000, &reply),
        serde_read_document(&document),
        serde_read_reply(&reply),
        encode(),
        serde_write(&document),
    ]);
    drop(server);
}
