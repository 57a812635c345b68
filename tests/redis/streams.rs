//! Streams read as they grow, whatever happens to the connection.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::future::join;
use glowplug::core::BackoffConfig;
use glowplug::redis::{Command, ServerError};
use glowplug::runtime::redis::{Client, Commands as _, Drive, ReadFrom, StreamItem};
use glowplug::runtime::time::sleep;
use glowplug::runtime::{Runtime, Spawn};
use glowplug::sim::dropped_after;

use crate::server::{Serves, with_server};
use crate::support::on_each_executor;
use crate::{connect, pair_up};

on_each_executor!(
    a_reader_gets_every_entry_once,
    a_group_shares_out_and_forgets_nothing,
    readers_go_on_after_the_server_was_away,
    an_error_of_the_server_is_the_last_item,
    readers_may_be_dropped_at_every_poll,
);

/// Quick, so that tests are.
async fn quick<R: Runtime + Spawn<Drive<R>>>(runtime: &R, url: &str) -> Client<R> {
    let (first, max) = (Duration::from_millis(2), Duration::from_millis(20));
    let backoff = BackoffConfig { first, max, ..BackoffConfig::default() };
    Client::builder(runtime.clone()).reconnect(Some(backoff)).connect(url).await.expect("connected")
}

fn number(item: &StreamItem) -> u64 {
    let fields = item.entry.fields.as_ref().expect("it was not deleted");
    assert_eq!(fields[0].0, "n");
    std::str::from_utf8(&fields[0].1).expect("text").parse().expect("a number")
}

async fn add<R: Runtime>(client: &Client<R>, stream: &str, number: u64) {
    client.xadd(stream, "*", [("n", number)]).await.expect("added");
}

/// What comes within a moment.
async fn first_of<R: Runtime>(
    runtime: &R,
    reader: &mut glowplug::runtime::redis::StreamReader<'_, R>,
) -> Option<StreamItem> {
    let time = Some(Duration::from_millis(200));
    let item = glowplug::runtime::time::within(runtime, time, reader.next()).await.ok()?;
    Some(item.expect("it goes on").expect("an entry"))
}

/// What readers have to do on any server.
pub(crate) async fn read_everything<R: Runtime + Spawn<Drive<R>>>(runtime: &R, url: &str) {
    let client = quick(runtime, url).await;
    for number in 0..10 {
        add(&client, "one", number).await;
    }
    let mut all = client.read_streams(["one", "two"], ReadFrom::Beginning).batch(3);
    // What is added after the first poll is new.
    let mut new = client.read_streams(["one", "two"], ReadFrom::Now);
    assert!(first_of(runtime, &mut new).await.is_none());
    let adding = async {
        for number in 10..30 {
            add(&client, if number % 2 == 0 { "one" } else { "two" }, number).await;
            sleep(runtime, Duration::from_millis(1)).await;
        }
    };
    let reading = async {
        let mut seen = BTreeSet::new();
        while seen.len() < 30 {
            let item = all.next().await.expect("it goes on").expect("an entry");
            assert!(seen.insert(number(&item)), "twice: {item:?}");
        }
        seen
    };
    let (seen, ()) = join(reading, adding).await;
    assert!(seen.into_iter().eq(0..30));
    assert_eq!(number(&new.next().await.expect("it goes on").expect("an entry")), 10);
    let after = client.xrevrange("one", "+", "-", Some(2)).await.expect("entries")[1].id.clone();
    let mut last = client.read_streams(["one"], ReadFrom::After(after));
    assert_eq!(number(&last.next().await.expect("it goes on").expect("an entry")), 28);

    // Shared out, with one worker who dies with jobs in his hands.
    assert!(client.ensure_group("one", "workers", ReadFrom::Beginning).await.expect("made"));
    assert!(!client.ensure_group("one", "workers", ReadFrom::Beginning).await.expect("it is there"));
    let mut done = BTreeSet::new();
    {
        let mut ann = client.read_group("workers", "ann", ["one"]).batch(4);
        for _ in 0..2 {
            let job = ann.next().await.expect("it goes on").expect("a job");
            assert!(ann.ack(&job).await.expect("an answer"));
            assert!(!ann.ack(&job).await.expect("an answer"), "it is done");
            done.insert(number(&job));
        }
    }
    let mut bob = client.read_group("workers", "bob", ["one"]).batch(100).block(Duration::from_millis(50));
    for _ in 0..16 {
        let job = bob.next().await.expect("it goes on").expect("a job");
        assert!(bob.ack(&job).await.expect("an answer") && done.insert(number(&job)), "{job:?}");
    }
    assert_eq!(client.xpending("one", "workers").await.expect("a summary").count, 2);
    let mut ann = client.read_group("workers", "ann", ["one"]);
    for _ in 0..2 {
        let job = ann.next().await.expect("it goes on").expect("a job");
        assert!(ann.ack(&job).await.expect("an answer") && done.insert(number(&job)), "{job:?}");
    }
    assert_eq!(done.len(), 20);
    assert_eq!(client.xpending("one", "workers").await.expect("a summary").count, 0);
    pair_up(&client).await;
}

async fn a_reader_gets_every_entry_once<R: Serves>(runtime: R) {
    with_server(&runtime, async |server| read_everything(&runtime, &server.url()).await).await;
}

async fn a_group_shares_out_and_forgets_nothing<R: Serves>(runtime: R) {
    with_server(&runtime, async |server| {
        let client = quick(&runtime, &server.url()).await;
        client.ensure_group("jobs", "workers", ReadFrom::Now).await.expect("made");
        // Answers are lost on the way again and again; every job is done all the same.
        let working = async {
            let mut done = BTreeSet::new();
            let mut jobs =
                client.read_group("workers", "ann", ["jobs"]).batch(5).block(Duration::from_millis(30));
            while done.len() < 100 {
                let job = jobs.next().await.expect("it goes on").expect("a job");
                while jobs.ack(&job).await.is_err() {}
                done.insert(number(&job));
            }
        };
        let adding = async {
            for number in 0..100 {
                while client.xadd("jobs", "*", [("n", number)]).await.is_err() {}
                if number % 20 == 10 {
                    server.stop();
                    sleep(&runtime, Duration::from_millis(10)).await;
                    server.start();
                }
                sleep(&runtime, Duration::from_millis(1)).await;
            }
        };
        join(working, adding).await;
    })
    .await;
}

async fn readers_go_on_after_the_server_was_away<R: Serves>(runtime: R) {
    with_server(&runtime, async |server| {
        let client = quick(&runtime, &server.url()).await;
        add(&client, "log", 0).await;
        let mut log = client.read_streams(["log"], ReadFrom::Beginning).block(Duration::from_secs(20));
        assert_eq!(number(&log.next().await.expect("it goes on").expect("an entry")), 0);
        for round in 1..5 {
            // It waits when the connection ends.
            assert!(first_of(&runtime, &mut log).await.is_none());
            server.stop();
            let (item, ()) = join(log.next(), async {
                sleep(&runtime, Duration::from_millis(10)).await;
                server.start();
                while client.xadd("log", "*", [("n", round)]).await.is_err() {}
            })
            .await;
            assert_eq!(number(&item.expect("it goes on").expect("an entry")), round);
        }
    })
    .await;
}

async fn an_error_of_the_server_is_the_last_item<R: Serves>(runtime: R) {
    with_server(&runtime, async |server| {
        let client = quick(&runtime, &server.url()).await;
        client.set("text", "no stream").await.expect("set");
        let mut reader = client.read_streams(["text"], ReadFrom::Beginning);
        let error = reader.next().await.expect("an item").expect_err("no stream");
        assert_eq!(error.server_error().map(ServerError::code), Some("WRONGTYPE"));
        assert!(reader.next().await.is_none());
        let mut reader = client.read_group("nobody", "ann", ["nothing"]);
        let error = reader.next().await.expect("an item").expect_err("no group");
        assert_eq!(error.server_error().map(ServerError::code), Some("NOGROUP"));
        // Without reconnecting, a lost connection is one.
        let client =
            Client::builder(runtime.clone()).reconnect(None).connect(&server.url()).await.expect("connected");
        let mut reader = client.read_streams(["log"], ReadFrom::Beginning);
        assert!(dropped_after(3, reader.next()).await.is_none());
        server.stop();
        assert!(reader.next().await.expect("an item").is_err());
        assert!(reader.next().await.is_none());
    })
    .await;
}

async fn readers_may_be_dropped_at_every_poll<R: Serves>(runtime: R) {
    with_server(&runtime, async |server| {
        let client = connect(&runtime, &server.url()).await;
        let mut reader = client.read_streams(["log"], ReadFrom::Beginning).block(Duration::from_millis(2));
        for round in 0..40 {
            let mut polls = round % 5;
            client.call(Command::new("XADD").arg("log").arg("*").arg("n").arg(round)).await.expect("added");
            let item = loop {
                if let Some(item) = dropped_after(polls, reader.next()).await {
                    break item.expect("it goes on").expect("an entry");
                }
                polls += 1;
                pair_up(&client).await;
            };
            assert_eq!(number(&item), round);
        }
    })
    .await;
}
