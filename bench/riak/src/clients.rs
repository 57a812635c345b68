//! The client against a canned node, beside bare loops that only write and read bytes: what pool, health, deadlines, the machine and the decoder
//! cost together.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

use bench_harness::{Clock, Entry, Measured, Work};
use bytes::{Bytes, BytesMut};
use glowplug::riak::Content;
use glowplug::riak::wire::{Reply, Request};
use smol::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// A node that answers a ping with a pong, a put with "stored", and everything else with the one reply.
pub fn canned(get_reply: Bytes) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("bound").port();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let reply = get_reply.clone();
            thread::spawn(move || serve(stream, &reply));
        }
    });
    port
}

fn serve(mut stream: TcpStream, get_reply: &[u8]) {
    stream.set_nodelay(true).expect("a socket");
    let (mut input, mut have) = (vec![0; 1 << 16], 0);
    loop {
        match stream.read(&mut input[have..]) {
            Ok(0) | Err(_) => return,
            Ok(n) => have += n,
        }
        let len = |input: &[u8]| 4 + u32::from_be_bytes([input[0], input[1], input[2], input[3]]) as usize;
        while have >= 5 && have >= len(&input) {
            let answer: &[u8] = match input[4] {
                1 => &[0, 0, 0, 1, 2],
                11 => &[0, 0, 0, 1, 12],
                _ => get_reply,
            };
            if stream.write_all(answer).is_err() {
                return;
            }
            let whole = len(&input);
            input.copy_within(whole..have, 0);
            have -= whole;
        }
    }
}

/// The bytes of a request and of its answer.
#[derive(Clone)]
struct Exchange {
    port: u16,
    request: Bytes,
    answer: usize,
}

fn framed(encode: impl FnOnce(&mut BytesMut)) -> Bytes {
    let mut out = BytesMut::new();
    encode(&mut out);
    out.freeze()
}

/// The reply in its frame.
pub fn frame(reply: impl Into<Reply>) -> Bytes {
    framed(|out| reply.into().encode_frame(out))
}

fn on_tokio<F: Future<Output = Measured>>(work: F) -> Measured {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("tokio");
    runtime.block_on(work)
}

fn bare_tokio(exchange: &Exchange, operations: u64) -> Measured {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    on_tokio(async {
        let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", exchange.port)).await.expect("connect");
        stream.set_nodelay(true).expect("a socket");
        let mut input = vec![0; 1 << 16];
        let clock = Clock::start();
        for _ in 0..operations {
            stream.write_all(&exchange.request).await.expect("written");
            let mut have = 0;
            while have < exchange.answer {
                have += stream.read(&mut input[have..]).await.expect("read");
            }
        }
        clock.stop(operations)
    })
}

fn bare_smol(exchange: &Exchange, operations: u64) -> Measured {
    smol::block_on(async {
        let mut stream = smol::net::TcpStream::connect(("127.0.0.1", exchange.port)).await.expect("connect");
        stream.set_nodelay(true).expect("a socket");
        let mut input = vec![0; 1 << 16];
        let clock = Clock::start();
        for _ in 0..operations {
            stream.write_all(&exchange.request).await.expect("written");
            let mut have = 0;
            while have < exchange.answer {
                have += stream.read(&mut input[have..]).await.expect("read");
            }
        }
        clock.stop(operations)
    })
}

const LOCATION: (&str, &str) = ("people", "person-0001");

/// The same loop on the client, as a macro: two executors, one text.
macro_rules! by_client {
    ($name:ident, $executor:ident, $block_on:expr, $ask:expr) => {
        fn $name(port: u16, operations: u64) -> Measured {
            $block_on(async {
                let url = format!("riak://127.0.0.1:{port}");
                let riak = glowplug::$executor::riak::Client::connect(&url).await.expect("connect");
                let clock = Clock::start();
                for _ in 0..operations {
                    $ask(&riak).await;
                }
                clock.stop(operations)
            })
        }
    };
}

by_client!(get_tokio, tokio, on_tokio, async |riak: &glowplug::tokio::riak::Client| {
    let object = riak.get(LOCATION).await.expect("answered").expect("there");
    assert_eq!(object.siblings[0].value.len(), 1000);
});
by_client!(get_smol, smol, smol::block_on, async |riak: &glowplug::smol::riak::Client| {
    let object = riak.get(LOCATION).await.expect("answered").expect("there");
    assert_eq!(object.siblings[0].value.len(), 1000);
});
by_client!(put_tokio, tokio, on_tokio, async |riak: &glowplug::tokio::riak::Client| {
    riak.put(LOCATION, Content::new(VALUE)).await.expect("stored");
});
by_client!(put_smol, smol, smol::block_on, async |riak: &glowplug::smol::riak::Client| {
    riak.put(LOCATION, Content::new(VALUE)).await.expect("stored");
});

const VALUE: &[u8] = &[b'v'; 1000];

/// Gets and puts of a thousand bytes, in sequence.
pub fn works(get_reply: Bytes) -> Vec<Work> {
    use glowplug::riak::request::{Ask, Get, Put};
    let request = |request: Request| framed(|out| request.encode_frame(out));
    let answer = get_reply.len();
    let port = canned(get_reply);
    let get = Exchange { port, request: request(Get::new(LOCATION).into_request()), answer };
    let put = Put::new(LOCATION, Content::new(VALUE)).into_request();
    let put = Exchange { port, request: request(put), answer: 5 };
    let work = |name, exchange: Exchange, tokio: fn(u16, u64) -> Measured, smol: fn(u16, u64) -> Measured| {
        let other = exchange.clone();
        [
            Work {
                name: if name == "get" { "client-get-tokio" } else { "client-put-tokio" },
                operations: 5_000,
                entries: vec![
                    Entry::ours("glowplug", move |n| tokio(port, n)),
                    Entry::peer("a bare loop", move |n| bare_tokio(&exchange, n)),
                ],
            },
            Work {
                name: if name == "get" { "client-get-smol" } else { "client-put-smol" },
                operations: 5_000,
                entries: vec![
                    Entry::ours("glowplug", move |n| smol(port, n)),
                    Entry::peer("a bare loop", move |n| bare_smol(&other, n)),
                ],
            },
        ]
    };
    let gets = work("get", get, get_tokio, get_smol);
    let puts = work("put", put, put_tokio, put_smol);
    gets.into_iter().chain(puts).collect()
}
