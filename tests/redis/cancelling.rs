//! Every future is dropped at every poll; then a hundred answers pair up.

use std::time::Duration;

use glowplug::redis::{CommandsMut as _, Pipeline, Transaction};
use glowplug::runtime::redis::{Client, Commands as _};
use glowplug::sim::dropped_after;

use crate::server::{Serves, with_server};
use crate::support::on_each_executor;
use crate::{connect, pair_up};

on_each_executor!(calls, lanes, connections_of_ones_own, subscriptions,);

const WAIT: Option<Duration> = Some(Duration::from_millis(3));

/// Drops a future at each of its polls in turn, until it is done.
macro_rules! at_every_poll {
    ($client:expr, $future:expr) => {
        for polls in 0.. {
            let done = dropped_after(polls, $future).await;
            pair_up($client).await;
            if let Some(outcome) = done {
                outcome.expect("done");
                break;
            }
            assert!(polls < 200, "it never ends");
        }
    };
}

async fn calls<R: Serves>(runtime: R) {
    with_server(&runtime, async |server| {
        let client = connect(&runtime, &server.url()).await;
        at_every_poll!(&client, client.echo("dropped"));
        let pipeline = || {
            (0..10).fold(Pipeline::new(), |pipeline, number| {
                pipeline.with(glowplug::redis::commands::echo(number).into_parts().0)
            })
        };
        at_every_poll!(&client, client.pipeline(pipeline()));
        let transaction = || {
            let mut transaction = Transaction::new();
            transaction.incr("n");
            transaction
        };
        at_every_poll!(&client, client.transaction(transaction()));
        at_every_poll!(&client, Client::builder(runtime.clone()).connect(&server.url()));
    })
    .await;
}

async fn lanes<R: Serves>(runtime: R) {
    with_server(&runtime, async |server| {
        let builder = Client::builder(runtime.clone()).max_lanes(1);
        let client = builder.connect(&server.url()).await.expect("connected");
        at_every_poll!(&client, client.blpop(["nothing"], WAIT));
        client.rpush("list", 0..1000).await.expect("pushed");
        at_every_poll!(&client, client.blpop(["list"], WAIT));
        // While another has the only turn.
        for polls in 0..2 {
            let own = client.dedicated().await.expect("the turn is free");
            assert!(dropped_after(polls, client.blpop(["list"], WAIT)).await.is_none());
            drop(own);
        }
        client.blpop(["list"], WAIT).await.expect("the turn is free");
    })
    .await;
}

async fn connections_of_ones_own<R: Serves>(runtime: R) {
    with_server(&runtime, async |server| {
        let client = connect(&runtime, &server.url()).await;
        at_every_poll!(&client, client.dedicated());
        let mut own = client.dedicated().await.expect("a connection");
        at_every_poll!(&client, own.echo("dropped"));
        for polls in 0.. {
            let mut transaction = Transaction::new();
            let place = transaction.echo("dropped");
            let done = dropped_after(polls, own.transaction(transaction)).await;
            // Every answer on it is still its own question's.
            for number in 0..100 {
                let text = number.to_string();
                assert_eq!(own.echo(&text).await.expect("an echo"), text, "somebody else's answer");
            }
            if let Some(results) = done {
                let mut results = results.expect("done").expect("nothing is watched");
                assert_eq!(results.take(place).expect("an echo"), "dropped");
                break;
            }
        }
        let pipeline = || Pipeline::new().with(glowplug::redis::Command::new("PING"));
        at_every_poll!(&client, own.pipeline(pipeline()));
    })
    .await;
}

async fn subscriptions<R: Serves>(runtime: R) {
    with_server(&runtime, async |server| {
        let client = connect(&runtime, &server.url()).await;
        at_every_poll!(&client, client.subscribe(["news"]));
        at_every_poll!(&client, client.psubscribe(["news*"]));
        let mut listener = client.subscribe(["news"]).await.expect("subscribed");
        for number in 0..20_u64 {
            client.publish("news", number).await.expect("published");
            let mut polls = number % 4;
            let event = loop {
                if let Some(event) = dropped_after(polls, listener.next()).await {
                    break event;
                }
                polls += 1;
            };
            let text = number.to_string();
            let heard = matches!(
                event,
                Some(glowplug::runtime::redis::HubEvent::Message { payload, .. }) if payload == text
            );
            assert!(heard, "a message was lost");
        }
    })
    .await;
}
