//! Who waits, waits alone; and connections of one's own.

use std::time::Duration;

use futures_util::future::{join, join_all};
use glowplug::core::Progress;
use glowplug::redis::{Blocks, Command, CommandsMut as _, Pipeline, Reply, Transaction};
use glowplug::runtime::redis::{Client, Commands as _, Error};
use glowplug::runtime::time::sleep;

use crate::server::{Serves, with_server};
use crate::support::on_each_executor;
use crate::{connect, pair_up};

on_each_executor!(
    who_waits_holds_nobody_up,
    the_servers_wait_is_added_to_the_deadline,
    turns_come_in_order_and_are_passed_on,
    a_lane_that_the_server_closed_is_not_used_again,
    watched_keys_guard_a_transaction,
    clean_connections_are_left_to_the_next,
    a_blocking_pipeline_has_a_lane,
    idle_lanes_are_limited,
);

const WAIT: Option<Duration> = Some(Duration::from_secs(20));

async fn who_waits_holds_nobody_up<R: Serves>(runtime: R) {
    with_server(&runtime, async |server| {
        let client = connect(&runtime, &server.url()).await;
        let popping = (0..10).map(|number| client.blpop([format!("list {number}")], WAIT));
        let others = async {
            pair_up(&client).await;
            for number in 0..10 {
                client.rpush(format!("list {number}"), [number]).await.expect("pushed");
            }
        };
        let (popped, ()) = join(join_all(popping), others).await;
        for (number, popped) in popped.into_iter().enumerate() {
            let (list, element) = popped.expect("an answer").expect("in time");
            assert_eq!((list, element), (format!("list {number}").into(), number.to_string().into()));
        }
    })
    .await;
}

async fn the_servers_wait_is_added_to_the_deadline<R: Serves>(runtime: R) {
    with_server(&runtime, async |server| {
        let builder = Client::builder(runtime.clone()).call_timeout(Some(Duration::from_secs(5)));
        let client = builder.connect(&server.url()).await.expect("connected");
        let nothing = client.blpop(["nothing"], Some(Duration::from_millis(30))).await;
        assert_eq!(nothing.expect("an answer"), None);
        let before = runtime.now();
        let late = client.blpop(["nothing"], WAIT).timeout(Some(Duration::from_millis(30))).await;
        assert!(runtime.now() - before >= Duration::from_millis(30), "the deadline came early");
        assert_eq!(late.expect_err("it was told to be quicker").progress(), Progress::FullySent);
        pair_up(&client).await;
    })
    .await;
}

async fn turns_come_in_order_and_are_passed_on<R: Serves>(runtime: R) {
    with_server(&runtime, async |server| {
        let builder = Client::builder(runtime.clone()).max_lanes(2);
        let client = builder.connect(&server.url()).await.expect("connected");
        let (one, two) = (client.dedicated().await.expect("one"), client.dedicated().await.expect("two"));
        // No room: the wait counts, and nothing was sent.
        let late = client.blpop(["list"], WAIT).timeout(Some(Duration::from_millis(20))).await;
        assert_eq!(late.expect_err("both are taken").progress(), Progress::NotSent);
        let waiting = (0..5).map(|_| async {
            let mut own = client.dedicated().await.expect("a turn");
            own.incr("turns").await.expect("counted")
        });
        let leaving = async {
            sleep(&runtime, Duration::from_millis(5)).await;
            drop(one);
            sleep(&runtime, Duration::from_millis(5)).await;
            drop(two);
        };
        let (counts, ()) = join(join_all(waiting), leaving).await;
        let mut sorted = counts.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, [1, 2, 3, 4, 5]);
    })
    .await;
}

async fn a_lane_that_the_server_closed_is_not_used_again<R: Serves>(runtime: R) {
    with_server(&runtime, async |server| {
        let client = connect(&runtime, &server.url()).await;
        client.rpush("list", ["a", "b"]).await.expect("pushed");
        client.blpop(["list"], WAIT).await.expect("popped");
        server.stop();
        sleep(&runtime, Duration::from_millis(50)).await;
        server.start();
        let (_, element) = client.blpop(["list"], WAIT).await.expect("a new lane").expect("an element");
        assert_eq!(element, "b");
    })
    .await;
}

async fn watched_keys_guard_a_transaction<R: Serves>(runtime: R) {
    with_server(&runtime, async |server| {
        let client = connect(&runtime, &server.url()).await;
        client.set("price", 10).await.expect("set");
        let mut own = client.dedicated().await.expect("a connection");
        let mut attempts = 0;
        loop {
            attempts += 1;
            own.watch(["price"]).await.expect("watched");
            let price = own.get("price").await.expect("got").expect("there is one");
            if attempts == 1 {
                client.set("price", 50).await.expect("somebody is faster");
            }
            let price: i64 = std::str::from_utf8(&price).expect("text").parse().expect("a number");
            let mut transaction = Transaction::new();
            transaction.set("price", price * 2);
            if own.transaction(transaction).await.expect("an answer").is_some() {
                break;
            }
        }
        assert_eq!(attempts, 2);
        assert_eq!(client.get("price").await.expect("got").expect("there is one"), "100");
    })
    .await;
}

async fn clean_connections_are_left_to_the_next<R: Serves>(runtime: R) {
    with_server(&runtime, async |server| {
        let client = connect(&runtime, &server.url()).await;
        let mut own = client.dedicated().await.expect("a connection");
        let first = own.call(Command::new("CLIENT").arg("ID")).await.expect("an id");
        own.watch(["key"]).await.expect("watched");
        drop(own);
        // `CLIENT` may have changed it.
        let mut own = client.dedicated().await.expect("a connection");
        assert_eq!(own.get("key").await.expect("got"), None);
        drop(own);
        let mut own = client.dedicated().await.expect("a connection");
        let second = own.call(Command::new("CLIENT").arg("ID")).await.expect("an id");
        assert!(first != second);
        drop(own);
        // An answer is still owed.
        let mut own = client.dedicated().await.expect("a connection");
        let late = own.blpop(["nothing"], WAIT).timeout(Some(Duration::from_millis(10))).await;
        assert!(matches!(late, Err(Error::Call(_))), "{late:?}");
        drop(own);
        let mut own = client.dedicated().await.expect("a connection");
        own.select(1).await.expect("selected");
        own.set("key", "in 1").await.expect("set");
        drop(own);
        let mut own = client.dedicated().await.expect("a connection");
        assert_eq!(own.get("key").await.expect("got"), None, "database 0 again");
    })
    .await;
}

async fn a_blocking_pipeline_has_a_lane<R: Serves>(runtime: R) {
    with_server(&runtime, async |server| {
        let client = connect(&runtime, &server.url()).await;
        let pop = Command::new("BLPOP").arg("list").arg(20).blocking(Blocks::For(Duration::from_secs(20)));
        let pipeline = Pipeline::new().with(Command::new("INCR").arg("n")).with(pop);
        let pushing = async {
            pair_up(&client).await;
            client.rpush("list", ["x"]).await.expect("pushed");
        };
        let (replies, ()) = join(client.pipeline(pipeline), pushing).await;
        let replies = replies.expect("answers");
        assert_eq!((replies.len(), &replies[0]), (2, &Reply::Integer(1)));
    })
    .await;
}

async fn idle_lanes_are_limited<R: Serves>(runtime: R) {
    with_server(&runtime, async |server| {
        for (limit, time, kept) in [(3, 20_000, 3), (1, 20_000, 1), (0, 20_000, 0), (3, 0, 1)] {
            let builder = Client::builder(runtime.clone()).idle_lanes(limit, Duration::from_millis(time));
            let client = builder.connect(&server.url()).await.expect("connected");
            let connections = async || {
                let info = client.info(Some("clients")).await.expect("some text");
                let line = info.lines().find_map(|line| line.strip_prefix("connected_clients:"));
                line.expect("it is told").parse::<usize>().expect("a number")
            };
            let mut lanes = Vec::new();
            for _ in 0..3 {
                lanes.push(client.dedicated().await.expect("a connection"));
            }
            assert!(connections().await >= 4);
            drop(lanes);
            // The shared one, and those that are kept; the server hears of the others' end in a moment. (One that is too old is closed when
            // the next comes.)
            while connections().await != 1 + kept {
                sleep(&runtime, Duration::from_millis(1)).await;
            }
        }
    })
    .await;
}
