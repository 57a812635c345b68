//! Pub/sub that survives.

use std::time::Duration;

use futures_util::StreamExt;
use glowplug::core::BackoffConfig;
use glowplug::redis::{HubConfig, Overflow};
use glowplug::runtime::redis::{Client, Commands as _, HubEvent, Scope, Subscription};
use glowplug::runtime::time::sleep;

use crate::connect;
use crate::server::{Serves, with_server};
use crate::support::on_each_executor;

on_each_executor!(
    listeners_share_a_channel_and_leave_it,
    patterns_and_shard_channels,
    a_lost_connection_is_a_gap,
    a_slow_listener_is_told_what_it_lost,
    without_reconnecting_the_end_is_told,
);

async fn message(subscription: &mut Subscription) -> String {
    match subscription.next().await {
        Some(HubEvent::Message { payload, .. }) => String::from_utf8(payload.to_vec()).expect("text"),
        other => panic!("no message but {other:?}"),
    }
}

async fn listeners_share_a_channel_and_leave_it<R: Serves>(runtime: R) {
    with_server(&runtime, async |server| {
        let client = connect(&runtime, &server.url()).await;
        let mut one = client.subscribe(["news", "sports"]).await.expect("subscribed");
        let mut two = client.subscribe(["news"]).await.expect("subscribed");
        // One connection, one subscription, two listeners.
        assert_eq!(client.publish("news", "first").await.expect("published"), 1);
        assert_eq!(message(&mut one).await, "first");
        assert_eq!(message(&mut two).await, "first");
        drop(two);
        assert_eq!(client.publish("sports", "second").await.expect("published"), 1);
        assert_eq!(message(&mut one).await, "second");
        one.remove(Scope::Channel, "sports");
        one.add(Scope::Channel, "weather");
        while client.publish("weather", "sun").await.expect("published") == 0 {
            sleep(&runtime, Duration::from_millis(1)).await;
        }
        assert_eq!(message(&mut one).await, "sun");
        assert_eq!(client.publish("sports", "unheard").await.expect("published"), 0);
        drop(one);
        while client.publish("news", "unheard").await.expect("published") > 0 {
            sleep(&runtime, Duration::from_millis(1)).await;
        }
        let mut again = client.subscribe(["news"]).await.expect("subscribed");
        client.publish("news", "third").await.expect("published");
        // It is a stream as well.
        let event = StreamExt::next(&mut again).await;
        assert!(matches!(event, Some(HubEvent::Message { payload, .. }) if payload == "third"));
    })
    .await;
}

async fn patterns_and_shard_channels<R: Serves>(runtime: R) {
    with_server(&runtime, async |server| {
        let client = connect(&runtime, &server.url()).await;
        let mut patterns = client.psubscribe(["news.*"]).await.expect("subscribed");
        let mut shards = client.ssubscribe(["news.shard"]).await.expect("subscribed");
        client.publish("news.local", "a").await.expect("published");
        client.spublish("news.shard", "b").await.expect("published");
        match patterns.next().await {
            Some(HubEvent::Message { channel, pattern: Some(pattern), payload }) => {
                assert_eq!((channel, pattern, payload), ("news.local".into(), "news.*".into(), "a".into()));
            }
            other => panic!("no message but {other:?}"),
        }
        assert_eq!(message(&mut shards).await, "b");
    })
    .await;
}

async fn a_lost_connection_is_a_gap<R: Serves>(runtime: R) {
    with_server(&runtime, async |server| {
        let backoff = BackoffConfig {
            first: Duration::from_millis(2),
            max: Duration::from_millis(20),
            ..BackoffConfig::default()
        };
        let client = Client::builder(runtime.clone()).reconnect(Some(backoff)).connect(&server.url()).await;
        let client = client.expect("connected");
        let mut listener = client.subscribe(["news"]).await.expect("subscribed");
        for round in 0..3 {
            client.publish("news", "before").await.expect("published");
            assert_eq!(message(&mut listener).await, "before");
            server.stop();
            assert_eq!(listener.next().await, Some(HubEvent::Gap), "round {round}");
            server.start();
            // A publisher in doubt says it again; here nobody counts.
            while client.publish("news", "after").await.unwrap_or(0) == 0 {
                sleep(&runtime, Duration::from_millis(1)).await;
            }
            assert_eq!(message(&mut listener).await, "after");
        }
    })
    .await;
}

async fn a_slow_listener_is_told_what_it_lost<R: Serves>(runtime: R) {
    with_server(&runtime, async |server| {
        let config = HubConfig::default().max_queued_messages(5).overflow(Overflow::DropOldest);
        let client = Client::builder(runtime.clone()).subscriptions(config).connect(&server.url()).await;
        let client = client.expect("connected");
        let mut slow = client.subscribe(["news"]).await.expect("subscribed");
        let mut quick = client.subscribe(["end"]).await.expect("subscribed");
        for number in 0..20 {
            client.publish("news", number).await.expect("published");
        }
        client.publish("end", "").await.expect("published");
        // Messages come in order: when this one is there, the others are.
        message(&mut quick).await;
        assert_eq!(slow.next().await, Some(HubEvent::Lagged(15)));
        for number in 15..20 {
            assert_eq!(message(&mut slow).await, number.to_string());
        }
    })
    .await;
}

async fn without_reconnecting_the_end_is_told<R: Serves>(runtime: R) {
    with_server(&runtime, async |server| {
        let client = Client::builder(runtime.clone()).reconnect(None).connect(&server.url()).await;
        let client = client.expect("connected");
        let mut listener = client.subscribe(["news"]).await.expect("subscribed");
        server.stop();
        assert_eq!(listener.next().await, Some(HubEvent::Gap));
        assert_eq!(listener.next().await, Some(HubEvent::Closed));
        assert_eq!(listener.next().await, None);
        let error = client.subscribe(["news"]).await;
        assert!(error.is_err(), "nobody is there");
    })
    .await;
}
