//! The codec alone.

use std::hint::black_box;

use bench_harness::{Entry, Work, repeat};
use bytes::{Bytes, BytesMut};
use glowplug::core::SendBuf;
use glowplug::redis::commands;
use glowplug::redis::wire::{Decoder, Limits};

/// An array of 100 values of 20 bytes.
fn array() -> Bytes {
    let mut bytes = b"*100\r\n".to_vec();
    for index in 0..100 {
        bytes.extend_from_slice(format!("$20\r\nvalue-{index:014}\r\n").as_bytes());
    }
    bytes.into()
}

/// A RESP3 map of 20 pairs.
fn map() -> Bytes {
    let mut bytes = b"%20\r\n".to_vec();
    for index in 0..20 {
        bytes.extend_from_slice(format!("$8\r\nfield-{index:02}\r\n:{index}\r\n").as_bytes());
    }
    bytes.into()
}

fn glowplug(bytes: Bytes) -> Entry {
    Entry::ours("glowplug", move |operations| {
        let mut decoder = Decoder::new(Limits::default());
        let mut input = BytesMut::new();
        repeat(operations, || {
            input.extend_from_slice(&bytes);
            black_box(decoder.decode(&mut input).expect("valid").expect("whole"));
        })
    })
}

fn redis_rs(bytes: Bytes) -> Entry {
    Entry::peer("redis-rs", move |operations| {
        repeat(operations, || drop(black_box(redis::parse_redis_value(&bytes).expect("valid"))))
    })
}

pub fn decode_array() -> Work {
    let bytes = array();
    let of = bytes.clone();
    Work {
        name: "decode-array-of-100",
        operations: 20_000,
        entries: vec![
            glowplug(bytes.clone()),
            Entry::peer("redis-protocol", move |operations| {
                let mut input = BytesMut::new();
                repeat(operations, || {
                    input.extend_from_slice(&of);
                    let decoded = redis_protocol::resp2::decode::decode_bytes_mut(&mut input).expect("valid");
                    black_box(decoded.expect("whole"));
                })
            }),
            redis_rs(bytes),
        ],
    }
}

pub fn decode_map() -> Work {
    let bytes = map();
    let of = bytes.clone();
    Work {
        name: "decode-map-of-20",
        operations: 50_000,
        entries: vec![
            glowplug(bytes.clone()),
            Entry::peer("redis-protocol", move |operations| {
                let mut input = BytesMut::new();
                repeat(operations, || {
                    input.extend_from_slice(&of);
                    let decoded =
                        redis_protocol::resp3::decode::complete::decode_bytes_mut(&mut input).expect("valid");
                    black_box(decoded.expect("whole"));
                })
            }),
            redis_rs(bytes),
        ],
    }
}

pub fn encode_get() -> Work {
    Work {
        name: "encode-get",
        operations: 500_000,
        entries: vec![
            Entry::ours("glowplug", |operations| {
                let mut out = SendBuf::new();
                repeat(operations, || {
                    let (command, _) = commands::get("some:key:of:usual:length").into_parts();
                    command.encode(&mut out);
                    black_box(&out);
                    out.clear();
                })
            }),
            Entry::peer("redis-rs", |operations| {
                repeat(operations, || {
                    let mut command = redis::cmd("GET");
                    command.arg("some:key:of:usual:length");
                    black_box(command.get_packed_command());
                })
            }),
        ],
    }
}
