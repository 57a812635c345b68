//! Answers that are kept until the server says that they have changed.

use std::time::Duration;

use futures_util::future::join_all;
use glowplug::redis::{ClientConfig, Command, Pipeline, Protocol, commands};
use glowplug::runtime::redis::{CacheConfig, CacheStats, Client, Commands as _};
use glowplug::runtime::time::sleep;
use glowplug::runtime::{Runtime, Spawn};
use glowplug::sim::dropped_after;

use crate::server::{Serves, with_server};
use crate::support::on_each_executor;
use crate::{connect, pair_up};

on_each_executor!(
    an_answer_is_asked_for_once,
    what_others_change_is_heard_of,
    who_has_written_never_reads_what_was_before,
    prefixes_choose_what_is_told,
    a_new_connection_begins_empty,
    without_tracking_everything_is_asked,
    the_cache_is_bounded,
    lookups_may_be_dropped,
);

async fn caching<R: Runtime + Spawn<glowplug::runtime::redis::Drive<R>>>(
    runtime: &R,
    url: &str,
    config: CacheConfig,
) -> Client<R> {
    Client::builder(runtime.clone()).cache(config).connect(url).await.expect("connected")
}

fn stats<R: Runtime>(client: &Client<R>) -> CacheStats {
    client.cache_stats().expect("there is a cache")
}

/// Reads until the answer is `wanted`: some time after somebody else wrote it.
async fn comes_to_read<R: Runtime>(client: &Client<R>, key: &str, wanted: &str) {
    for _ in 0..5000 {
        let found = client.cached().get(key).await.expect("an answer");
        if found.as_deref() == Some(wanted.as_bytes()) {
            return;
        }
        sleep(client.connection().runtime(), Duration::from_millis(1)).await;
    }
    panic!("{key} never became {wanted}: {:?}", stats(client));
}

/// Works against any server.
pub(crate) async fn works<R: Runtime + Spawn<glowplug::runtime::redis::Drive<R>>>(runtime: &R, url: &str) {
    let other = Client::builder(runtime.clone()).connect(url).await.expect("connected");
    let client = caching(runtime, url, CacheConfig::new()).await;
    assert!(stats(&client).tracking);
    for round in 0..20 {
        let value = format!("round {round}");
        other.set("cached", &value).await.expect("set");
        comes_to_read(&client, "cached", &value).await;
        let before = stats(&client);
        assert_eq!(client.cached().get("cached").await.expect("an answer").expect("a value"), value);
        assert_eq!(stats(&client).hits, before.hits + 1);
        // Of every kind.
        other.hset("cached hash", "field", round).await.expect("set");
        loop {
            let all: Vec<(String, i64)> =
                client.cached().run(commands::hgetall("cached hash").returning()).await.expect("an answer");
            if all == [("field".to_owned(), round)] {
                break;
            }
            sleep(runtime, Duration::from_millis(1)).await;
        }
    }
    other.flushall().await.expect("empty");
    while client.cached().get("cached").await.expect("an answer").is_some() {
        sleep(runtime, Duration::from_millis(1)).await;
    }
    let broadcast = caching(runtime, url, CacheConfig::new().broadcast(["user:"])).await;
    assert!(stats(&broadcast).tracking);
    for round in 0..20 {
        other.set("user:1", round).await.expect("set");
        comes_to_read(&broadcast, "user:1", &round.to_string()).await;
    }
    // Nothing changes any more, so in the end the answer is kept.
    while stats(&broadcast).hits < 10 {
        comes_to_read(&broadcast, "user:1", "19").await;
        sleep(runtime, Duration::from_millis(1)).await;
    }
    assert_eq!(stats(&broadcast).entries, 1);
    who_writes_reads(&client).await;
}

/// Writes and reads by the same client, while others read as well.
async fn who_writes_reads<R: Runtime>(client: &Client<R>) {
    let callers = (0..8).map(|caller| async move {
        let key = format!("own {}", caller % 4);
        for round in 0..50 {
            let number = caller / 4 * 1000 + round;
            if caller < 4 {
                match round % 3 {
                    0 => client.set(&key, number).await.expect("set"),
                    1 => {
                        let pipeline = Pipeline::new().with(commands::set(&key, number));
                        client.pipeline(pipeline).await.expect("set");
                    }
                    _ => {
                        let mut transaction = glowplug::redis::Transaction::new();
                        glowplug::redis::CommandsMut::set(&mut transaction, &key, number);
                        client.transaction(transaction).await.expect("an answer").expect("set");
                    }
                }
                let read: i64 = client.cached().run(commands::get(&key).returning()).await.expect("a number");
                assert_eq!(read, number, "what was there before the write");
            } else {
                client.cached().get(&key).await.expect("an answer");
            }
        }
    });
    join_all(callers).await;
}

async fn an_answer_is_asked_for_once<R: Serves>(runtime: R) {
    with_server(&runtime, async |server| {
        let client = caching(&runtime, &server.url(), CacheConfig::new()).await;
        client.mset([("a", "1"), ("b", "2")]).await.expect("set");
        for _ in 0..100 {
            assert_eq!(client.cached().get("a").await.expect("an answer").expect("a value"), "1");
            let both = client.cached().mget(["a", "b"]).await.expect("an answer");
            assert_eq!(both, [Some("1".into()), Some("2".into())]);
            assert_eq!(client.cached().get("nothing").await.expect("an answer"), None);
            // Not by its keys alone.
            client.cached().ttl("a").await.expect("an answer");
        }
        let stats = stats(&client);
        assert_eq!((stats.entries, stats.hits, stats.invalidated), (3, 297, 0), "{stats:?}");
        let wrong = client.cached().llen("a").await.expect_err("no list");
        assert!(wrong.server_error().is_some());
        client.clear_cache();
        assert_eq!(client.cache_stats().expect("there is a cache").entries, 0);
        pair_up(&client).await;
        assert!(connect(&runtime, &server.url()).await.cache_stats().is_none());
    })
    .await;
}

async fn what_others_change_is_heard_of<R: Serves>(runtime: R) {
    with_server(&runtime, async |server| works(&runtime, &server.url()).await).await;
}

async fn who_has_written_never_reads_what_was_before<R: Serves>(runtime: R) {
    with_server(&runtime, async |server| {
        who_writes_reads(&caching(&runtime, &server.url(), CacheConfig::new()).await).await;
    })
    .await;
}

async fn prefixes_choose_what_is_told<R: Serves>(runtime: R) {
    with_server(&runtime, async |server| {
        let client = caching(&runtime, &server.url(), CacheConfig::new().broadcast(["user:"])).await;
        client.mset([("user:1", "ann"), ("other", "x")]).await.expect("set");
        for _ in 0..10 {
            client.cached().get("user:1").await.expect("an answer");
            client.cached().get("other").await.expect("an answer");
        }
        // The server's word about what was just set may drop the first answer.
        let stats = stats(&client);
        assert!(stats.entries == 1 && stats.hits >= 8, "{stats:?}");
        // Prefixes that overlap are refused: nothing is kept.
        let wrong = caching(&runtime, &server.url(), CacheConfig::new().broadcast(["user:", "user:1"])).await;
        assert!(!wrong.cache_stats().expect("there is a cache").tracking);
        assert!(wrong.cached().get("user:1").await.expect("an answer").is_some());
    })
    .await;
}

async fn a_new_connection_begins_empty<R: Serves>(runtime: R) {
    with_server(&runtime, async |server| {
        let client = caching(&runtime, &server.url(), CacheConfig::new()).await;
        for round in 0..5 {
            client.set("key", round).await.expect("set");
            comes_to_read(&client, "key", &round.to_string()).await;
            server.stop();
            while stats(&client).tracking
                && client.call(Command::new("PING")).timeout(Some(Duration::from_millis(5))).await.is_ok()
            {
            }
            server.start();
            // Until the end is heard of, what is sent may be lost.
            while client.ping().await.is_err() {}
            let other = connect(&runtime, &server.url()).await;
            other.set("key", "other").await.expect("set");
            comes_to_read(&client, "key", "other").await;
            assert!(stats(&client).tracking);
        }
    })
    .await;
}

async fn without_tracking_everything_is_asked<R: Serves>(runtime: R) {
    with_server(&runtime, async |server| {
        let builder = Client::builder(runtime.clone()).machine(ClientConfig::new().protocol(Protocol::Resp2));
        let client = builder.cache(CacheConfig::new()).connect(&server.url()).await.expect("connected");
        client.set("key", "value").await.expect("set");
        for _ in 0..10 {
            assert!(client.cached().get("key").await.expect("an answer").is_some());
        }
        let stats = stats(&client);
        assert!(!stats.tracking && stats.hits == 0 && stats.entries == 0, "{stats:?}");
    })
    .await;
}

// In the simulator time stands still while anybody works.
async fn a_loop_over_answers_hears_of_changes<R: Serves>(runtime: R) {
    with_server(&runtime, async |server| {
        let client = caching(&runtime, &server.url(), CacheConfig::new()).await;
        let other = connect(&runtime, &server.url()).await;
        other.set("stop", "no").await.expect("set");
        let looping = async {
            // Nothing here waits, but for the server's word.
            while client.cached().get("stop").await.expect("an answer").as_deref() != Some(b"yes") {}
        };
        let stopping = async {
            sleep(&runtime, Duration::from_millis(5)).await;
            other.set("stop", "yes").await.expect("set");
        };
        futures_util::future::join(looping, stopping).await;
    })
    .await;
}

#[test]
fn a_loop_over_answers_hears_of_changes_on_tokio() {
    crate::support::on_tokio(a_loop_over_answers_hears_of_changes);
}

#[test]
fn a_loop_over_answers_hears_of_changes_on_smol() {
    crate::support::on_smol(a_loop_over_answers_hears_of_changes);
}

async fn the_cache_is_bounded<R: Serves>(runtime: R) {
    with_server(&runtime, async |server| {
        let config = CacheConfig::new().max_entries(10).max_bytes(8192);
        let client = caching(&runtime, &server.url(), config).await;
        for number in 0..100 {
            client.cached().get(format!("key {number}")).await.expect("an answer");
            assert!(stats(&client).entries <= 10 && stats(&client).bytes <= 8192);
        }
        assert_eq!((stats(&client).entries, stats(&client).evicted), (10, 90));
        client.set("long", "x".repeat(8192)).await.expect("set");
        client.cached().get("long").await.expect("an answer");
        assert_eq!(stats(&client).entries, 10, "too long for all of it");
        // By its age.
        let config = CacheConfig::new().max_age(Some(Duration::from_millis(10)));
        let client = caching(&runtime, &server.url(), config).await;
        client.cached().get("key").await.expect("an answer");
        sleep(&runtime, Duration::from_millis(11)).await;
        client.cached().get("key").await.expect("an answer");
        assert_eq!(stats(&client).misses, 2);
    })
    .await;
}

async fn lookups_may_be_dropped<R: Serves>(runtime: R) {
    with_server(&runtime, async |server| {
        let client = caching(&runtime, &server.url(), CacheConfig::new()).await;
        client.set("key", "value").await.expect("set");
        for polls in 0.. {
            client.clear_cache();
            let done = dropped_after(polls, client.cached().get("key")).await;
            pair_up(&client).await;
            assert_eq!(client.cached().get("key").await.expect("an answer").expect("a value"), "value");
            if done.is_some() {
                break;
            }
        }
    })
    .await;
}
