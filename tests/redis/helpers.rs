//! What a client offers beside commands: scans, locks, scripts, a monitor, a pool, names.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::join_all;
use glowplug::redis::commands::ScanOptions;
use glowplug::redis::wire::Value;
use glowplug::redis::{Script, ServerError, memory};
use glowplug::runtime::dial::{Dialer, Resolve};
use glowplug::runtime::redis::{Client, Commands as _, Error};
use glowplug::runtime::time::sleep;
use glowplug::runtime::{BoxFuture, Runtime};
use glowplug::sim::dropped_after;

use crate::server::{Serves, with_server, with_server_of};
use crate::support::on_each_executor;
use crate::{connect, pair_up};

on_each_executor!(
    scans_give_everything,
    a_scan_goes_on_after_its_future_was_dropped,
    locks,
    locks_without_scripts,
    scripts_are_sent_once,
    a_monitor_shows_everything,
    a_pool_takes_turns,
    names_are_asked_of_the_resolver,
);

const BATCH: ScanOptions = ScanOptions { pattern: None, count: Some(7), kind: None };

async fn scans_give_everything<R: Serves>(runtime: R) {
    with_server(&runtime, async |server| {
        let client = connect(&runtime, &server.url()).await;
        client.mset((0..100).map(|number| (format!("key {number}"), number))).await.expect("set");
        let keys: BTreeSet<_> = client.scan_all(BATCH).map(|key| key.expect("a key")).collect().await;
        assert_eq!(keys.len(), 100);
        let some = ScanOptions { pattern: Some("key 1?".into()), ..BATCH };
        let keys: BTreeSet<_> = client.scan_all(some).map(|key| key.expect("a key")).collect().await;
        assert_eq!(keys.len(), 10);
        client.hset_many("hash", (0..50).map(|number| (number, number * 2))).await.expect("set");
        let fields: BTreeSet<_> =
            client.hscan_all("hash", BATCH).map(|field| field.expect("one")).collect().await;
        assert!(fields.len() == 50 && fields.contains(&("21".into(), "42".into())));
        client.sadd("set", 0..50).await.expect("added");
        let members: BTreeSet<_> =
            client.sscan_all("set", BATCH).map(|member| member.expect("one")).collect().await;
        assert_eq!(members.len(), 50);
        client.zadd("scores", (0..50).map(|number| (number, number))).await.expect("added");
        let scores: Vec<_> =
            client.zscan_all("scores", BATCH).map(|member| member.expect("one")).collect().await;
        assert!(scores.iter().any(|(member, score)| member == "21" && (score - 21.0).abs() < f64::EPSILON));
        // An error is the last item.
        let wrong: Vec<_> = client.hscan_all("set", BATCH).collect().await;
        assert!(wrong.len() == 1 && wrong[0].is_err());
    })
    .await;
}

async fn a_scan_goes_on_after_its_future_was_dropped<R: Serves>(runtime: R) {
    with_server(&runtime, async |server| {
        let client = connect(&runtime, &server.url()).await;
        client.mset((0..100).map(|number| (format!("key {number}"), number))).await.expect("set");
        let mut scan = client.scan_all(BATCH);
        let (mut keys, mut polls) = (BTreeSet::new(), 0);
        loop {
            match dropped_after(polls % 3, scan.next()).await {
                Some(Some(key)) => drop(keys.insert(key.expect("a key"))),
                Some(None) => break,
                None => {}
            }
            pair_up(&client).await;
            polls += 1;
        }
        assert_eq!(keys.len(), 100);
    })
    .await;
}

async fn locks<R: Serves>(runtime: R) {
    with_server(&runtime, async |server| {
        let client = connect(&runtime, &server.url()).await;
        locks_exclude(&runtime, &client).await;
    })
    .await;
}

async fn locks_without_scripts<R: Serves>(runtime: R) {
    with_server_of(&runtime, memory::Config::new().scripting(false), async |server| {
        let client = connect(&runtime, &server.url()).await;
        locks_exclude(&runtime, &client).await;
    })
    .await;
}

async fn scripts_are_sent_once<R: Serves>(runtime: R) {
    let double = Script::new("return 2 * redis.call('GET', KEYS[1])");
    let config = memory::Config::new().script(&double, |run| {
        let key = run.keys()[0].clone();
        match run.call([&b"GET"[..], &key]) {
            Value::Bulk(text) => {
                let number: i64 = String::from_utf8_lossy(&text).parse().unwrap_or(0);
                Value::Integer(2 * number)
            }
            other => other,
        }
    });
    with_server_of(&runtime, config, async |server| {
        let client = connect(&runtime, &server.url()).await;
        client.set("price", 21).await.expect("set");
        let call = || double.call(["price"], [""; 0]).returning::<i64>();
        let unknown = client.run(call().by_hash()).await.expect_err("it was never sent");
        assert_eq!(unknown.server_error().map(ServerError::code), Some("NOSCRIPT"));
        for _ in 0..3 {
            assert_eq!(client.script(call()).await.expect("doubled"), 42);
        }
        assert_eq!(client.run(call().by_hash()).await.expect("doubled"), 42);
        client.script_flush().await.expect("forgotten");
        assert_eq!(client.script(call()).await.expect("doubled"), 42);
        // Others have to be given in Rust.
        let other = Script::new("return 1").call([""; 0], [""; 0]);
        let error = client.script(other).await.expect_err("there is no Lua");
        assert!(error.server_error().is_some_and(|error| error.message().contains("no Lua")), "{error:?}");
        pair_up(&client).await;
    })
    .await;
}

async fn a_monitor_shows_everything<R: Serves>(runtime: R) {
    with_server(&runtime, async |server| {
        let client = connect(&runtime, &server.url()).await;
        shows_everything(&client).await;
        let mut monitor = client.monitor().await.expect("it begins");
        server.stop();
        loop {
            match monitor.next().await {
                Some(Ok(_)) => {}
                Some(Err(error)) => break assert!(matches!(error, Error::Call(_)), "{error:?}"),
                None => panic!("nobody was told"),
            }
        }
        assert!(monitor.next().await.is_none());
    })
    .await;
}

/// What a monitor has to do on any server.
pub(crate) async fn shows_everything<R: Runtime>(client: &Client<R>) {
    let mut monitor = client.monitor().await.expect("it begins");
    for round in 0..50_u64 {
        client.set("key", b"a \"text\"\r\n\0\xff").await.expect("set");
        let mut polls = round % 3;
        let line = loop {
            match dropped_after(polls, monitor.next()).await {
                Some(line) => break line.expect("it goes on").expect("a line"),
                None => polls += 1,
            }
        };
        assert!(line.command[0].eq_ignore_ascii_case(b"set"), "{line:?}");
        assert_eq!(line.command[1..], ["key".into(), bytes::Bytes::from_static(b"a \"text\"\r\n\0\xff")]);
        assert!(line.time > Duration::from_secs(1_600_000_000) && line.database == 0, "{line:?}");
    }
}

async fn a_pool_takes_turns<R: Serves>(runtime: R) {
    with_server(&runtime, async |server| {
        let pool = Client::builder(runtime.clone()).connect_pool(&server.url(), 3).await.expect("connected");
        let mut ids = BTreeSet::new();
        for _ in 0..3 {
            ids.insert(pool.client_id().await.expect("a number"));
        }
        assert!(ids.len() == 3 && pool.clients().len() == 3);
        let counting = (0..30).map(|_| pool.incr("n"));
        join_all(counting).await;
        assert_eq!(pool.get("n").await.expect("got").as_deref(), Some(&b"30"[..]));
        for client in pool.clients() {
            pair_up(client).await;
        }
    })
    .await;
}

/// Knows one name, and counts who asks.
struct Names(std::net::SocketAddr, std::sync::Arc<std::sync::atomic::AtomicUsize>);

impl Resolve for Names {
    fn resolve(&self, host: &str, port: u16) -> BoxFuture<std::io::Result<Vec<std::net::SocketAddr>>> {
        assert_eq!((host, port), ("shop.invalid", 6379));
        self.1.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let found = vec![self.0];
        Box::pin(async move { Ok(found) })
    }
}

async fn names_are_asked_of_the_resolver<R: Serves>(runtime: R) {
    with_server(&runtime, async |server| {
        let at = server.url().strip_prefix("redis://").expect("an address").parse().expect("an address");
        let asked = std::sync::Arc::default();
        let names = || Names(at, std::sync::Arc::clone(&asked));
        let builder = Client::builder(runtime.clone()).resolver(names());
        let client = builder.connect("redis://shop.invalid").await.expect("connected");
        pair_up(&client).await;
        client.dedicated().await.expect("a lane, by the same way");
        let dialer = Dialer::new(runtime.clone()).resolver(names());
        let client = Client::builder(runtime.clone()).dialer(&dialer).connect("redis://shop.invalid").await;
        pair_up(&client.expect("connected")).await;
        assert_eq!(asked.load(std::sync::atomic::Ordering::Relaxed), 3);
        // An address is no question.
        let builder = Client::builder(runtime.clone()).resolver(names());
        pair_up(&builder.connect(&server.url()).await.expect("connected")).await;
        assert_eq!(asked.load(std::sync::atomic::Ordering::Relaxed), 3);
    })
    .await;
}

/// What a lock has to do on any server, with scripts or without.
pub(crate) async fn locks_exclude<R: Runtime>(runtime: &R, client: &Client<R>) {
    let long = Duration::from_secs(30);
    let lock = client.try_lock("lock", long).await.expect("an answer").expect("nobody has it");
    assert!(client.try_lock("lock", long).await.expect("an answer").is_none());
    assert!(client.lock("lock", long, Duration::from_millis(20)).await.expect("an answer").is_none());
    assert!(lock.extend(long).await.expect("an answer"));
    assert!(lock.release().await.expect("an answer"));
    // It ended by itself, and another has it: the first must not take it away.
    let first = client.try_lock("lock", Duration::from_millis(5)).await.expect("an answer").expect("free");
    let second = client.lock("lock", long, long).await.expect("an answer").expect("the first has ended");
    assert!(!first.extend(long).await.expect("an answer"));
    assert!(!first.release().await.expect("an answer"));
    assert!(second.release().await.expect("an answer"));
    // Reading and writing in two steps is safe under the lock.
    client.set("total", 0).await.expect("set");
    let adding = (0..10).map(|_| async {
        let lock = client.lock("lock", long, long).await.expect("an answer").expect("a turn");
        let total =
            client.run(glowplug::redis::commands::get("total").returning::<i64>()).await.expect("a number");
        sleep(runtime, Duration::from_millis(1)).await;
        client.set("total", total + 1).await.expect("set");
        assert!(lock.release().await.expect("an answer"));
    });
    join_all(adding).await;
    assert_eq!(client.get("total").await.expect("got").expect("there is one"), "10");
}
