//! Every future is dropped at every poll; then a hundred answers pair up.

use std::cell::Cell;
use std::time::Duration;

use glowplug::redis::commands::ScanOptions;
use glowplug::redis::{Blocks, Command, CommandsMut as _, Pipeline, Script, Transaction, memory};
use glowplug::runtime::redis::{Client, Commands as _, Error, ReadFrom};
use glowplug::sim::dropped_after;

use crate::server::{Serves, with_server, with_server_of};
use crate::support::on_each_executor;
use crate::{connect, pair_up};

on_each_executor!(
    calls,
    lanes,
    connections_of_ones_own,
    subscriptions,
    locks,
    scripts_and_scans,
    what_has_a_lane
);

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
        let pipeline = || Pipeline::new().with(Command::new("PING"));
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

const LONG: Duration = Duration::from_secs(30);

async fn locks<R: Serves>(runtime: R) {
    for scripting in [true, false] {
        with_server_of(&runtime, memory::Config::new().scripting(scripting), async |server| {
            let client = connect(&runtime, &server.url()).await;
            // Each time another, or the next would find it taken by the one that was dropped.
            let (tried, waited) = (Cell::new(0), Cell::new(0));
            at_every_poll!(&client, client.try_lock(next("tried", &tried), LONG));
            at_every_poll!(&client, client.lock(next("waited", &waited), LONG, LONG));
            let lock = client.try_lock("lock", LONG).await.expect("an answer").expect("nobody has it");
            at_every_poll!(&client, lock.extend(LONG));
            let released = Cell::new(0);
            at_every_poll!(&client, async {
                let name = next("released", &released);
                let lock = client.try_lock(name, LONG).await?.expect("nobody has it");
                lock.release().await.map(|released| assert!(released, "it was this one's"))
            });
            assert!(lock.release().await.expect("an answer"), "nobody else has taken it");
        })
        .await;
    }
}

fn next(name: &str, count: &Cell<u32>) -> String {
    count.set(count.get() + 1);
    format!("{name} {}", count.get())
}

async fn scripts_and_scans<R: Serves>(runtime: R) {
    let script = Script::new("return redis.call('INCR', KEYS[1])");
    let config = memory::Config::new().script(&script, |run| {
        let key = run.keys()[0].clone();
        run.call([&b"INCR"[..], &key])
    });
    with_server_of(&runtime, config, async |server| {
        let client = connect(&runtime, &server.url()).await;
        let call = || script.call(["n"], [""; 0]).returning::<i64>();
        at_every_poll!(&client, async {
            // So that it is sent in full each time.
            client.script_flush().await?;
            client.script(call()).await
        });
        client.sadd("set", 0..100).await.expect("added");
        at_every_poll!(&client, async {
            let mut scan = client.sscan_all("set", ScanOptions { count: Some(10), ..ScanOptions::default() });
            let mut members = 0;
            while let Some(member) = scan.next().await {
                member?;
                members += 1;
            }
            assert!(members >= 100);
            Ok::<_, Error>(())
        });
        at_every_poll!(&client, client.ensure_group("jobs", "workers", ReadFrom::Now));
    })
    .await;
}

async fn what_has_a_lane<R: Serves>(runtime: R) {
    with_server(&runtime, async |server| {
        // One turn only: whoever is dropped gives it back.
        let client = Client::builder(runtime.clone()).max_lanes(1).connect(&server.url()).await;
        let client = client.expect("connected");
        at_every_poll!(&client, client.dedicated());
        at_every_poll!(&client, async { client.monitor().await.map(drop) });
        let pop = || Command::new("BLPOP").arg("nothing").arg("0.003").blocking(Blocks::For(LONG));
        at_every_poll!(&client, client.pipeline(Pipeline::new().with(pop())));
        at_every_poll!(&client, async {
            let mut own = client.dedicated().await?;
            own.watch(["n"]).await?;
            let mut transaction = Transaction::new();
            transaction.incr("n");
            own.transaction(transaction).await
        });
        let mut own = client.dedicated().await.expect("the turn is free");
        assert_eq!(own.echo("mine").await.expect("an echo"), "mine");
    })
    .await;
}
