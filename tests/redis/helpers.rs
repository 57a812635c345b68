//! Scans as streams, and locks.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::join_all;
use glowplug::redis::commands::ScanOptions;
use glowplug::runtime::Runtime;
use glowplug::runtime::redis::{Client, Commands as _};
use glowplug::runtime::time::sleep;
use glowplug::sim::dropped_after;

use crate::server::{Serves, with_server};
use crate::support::on_each_executor;
use crate::{connect, pair_up};

on_each_executor!(scans_give_everything, a_scan_goes_on_after_its_future_was_dropped, locks);

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
