//! Clients against the canned server, one operation after the other; and the same bytes without a client.

use std::future::Future;
use std::hint::black_box;

use bench_harness::{Clock, Measured};
use futures::TryStreamExt;
use futures::io::{AsyncReadExt as _, AsyncWriteExt as _};
use glowplug::runtime::mongodb::{Client, Document, Janitor};
use glowplug::runtime::{Runtime, Spawn};
use glowplug_mongodb::doc;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::canned::{HUNDRED, ONE, What, exchange};
use crate::input;

fn on_tokio<F: Future<Output = Measured>>(work: F) -> Measured {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("tokio");
    runtime.block_on(work)
}

async fn glowplug<R: Runtime + Spawn<Janitor<R>>>(
    runtime: R,
    port: u16,
    what: What,
    operations: u64,
) -> Measured {
    let uri = format!("mongodb://127.0.0.1:{port}/?directConnection=true");
    let client = Client::builder(runtime).connect(&uri).await.expect("connected");
    let database = client.database("db");
    let (one, hundred) = (database.collection::<Document>(ONE), database.collection::<Document>(HUNDRED));
    let person = Document::from(glowplug_mongodb::bson::Doc::new(&input::document()).expect("valid"));
    let clock = Clock::start();
    for _ in 0..operations {
        match what {
            What::FindOne => {
                let found = one.find_one(doc! { "age": 36 }).run().await.expect("found");
                black_box(found.expect("there is one"));
            }
            What::InsertOne => {
                black_box(one.insert_one(&person).run().await.expect("inserted"));
            }
            What::Find100 => {
                let mut cursor = hundred.find(doc! {}).run().await.expect("found");
                let mut count = 0;
                while cursor.advance().await.expect("more or none") {
                    black_box(cursor.current());
                    count += 1;
                }
                assert_eq!(count, 100);
            }
        }
    }
    clock.stop(operations)
}

pub fn glowplug_tokio(port: u16, what: What, operations: u64) -> Measured {
    on_tokio(glowplug(glowplug::tokio::Tokio, port, what, operations))
}

pub fn glowplug_smol(port: u16, what: What, operations: u64) -> Measured {
    let executor = std::sync::Arc::new(smol::Executor::new());
    let runtime = glowplug::smol::Smol::on(executor.clone());
    smol::block_on(executor.run(glowplug(runtime, port, what, operations)))
}

pub fn replay_tokio(port: u16, what: What, operations: u64) -> Measured {
    let (request, reply) = exchange(what);
    on_tokio(async {
        let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.expect("connected");
        stream.set_nodelay(true).expect("a socket");
        let mut buffer = vec![0; 64 * 1024];
        let clock = Clock::start();
        for _ in 0..operations {
            stream.write_all(&request).await.expect("written");
            let mut read = 0;
            while read < reply {
                read += stream.read(&mut buffer[read..]).await.expect("read");
            }
            black_box(&buffer);
        }
        clock.stop(operations)
    })
}

pub fn replay_smol(port: u16, what: What, operations: u64) -> Measured {
    let (request, reply) = exchange(what);
    let executor = smol::Executor::new();
    smol::block_on(executor.run(async {
        let mut stream = smol::net::TcpStream::connect(("127.0.0.1", port)).await.expect("connected");
        stream.set_nodelay(true).expect("a socket");
        let mut buffer = vec![0; 64 * 1024];
        let clock = Clock::start();
        for _ in 0..operations {
            stream.write_all(&request).await.expect("written");
            let mut read = 0;
            while read < reply {
                read += stream.read(&mut buffer[read..]).await.expect("read");
            }
            black_box(&buffer);
        }
        clock.stop(operations)
    }))
}

pub fn official(port: u16, what: What, operations: u64) -> Measured {
    on_tokio(async {
        let uri = format!("mongodb://127.0.0.1:{port}/?directConnection=true");
        let client = mongodb::Client::with_uri_str(&uri).await.expect("a client");
        let database = client.database("db");
        let one = database.collection::<bson::Document>(ONE);
        let hundred = database.collection::<bson::Document>(HUNDRED);
        let person = input::person_bson(36);
        // The first finds the server.
        one.find_one(bson::doc! {}).await.expect("found");
        let clock = Clock::start();
        for _ in 0..operations {
            match what {
                What::FindOne => {
                    let found = one.find_one(bson::doc! { "age": 36 }).await.expect("found");
                    black_box(found.expect("there is one"));
                }
                What::InsertOne => {
                    black_box(one.insert_one(&person).await.expect("inserted"));
                }
                What::Find100 => {
                    let mut cursor = hundred.find(bson::doc! {}).await.expect("found");
                    let mut count = 0;
                    while let Some(found) = cursor.try_next().await.expect("more or none") {
                        black_box(found);
                        count += 1;
                    }
                    assert_eq!(count, 100);
                }
            }
        }
        clock.stop(operations)
    })
}
