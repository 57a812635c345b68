//! Calls that are dropped, servers that go away, pools that are full.

use std::cell::Cell;
use std::time::Duration;

use futures_util::future::{join, join_all};
use glowplug::core::Progress;
use glowplug::mongodb::bson::Document;
use glowplug::mongodb::doc;
use glowplug::mongodb::memory::{Handle, MemoryConfig};
use glowplug::runtime::mongodb::{Client, Collection, Error, PoolConfig, serve_memory};
use glowplug::runtime::server::{Config, Server};
use glowplug::runtime::time::sleep;
use glowplug::runtime::{Endpoint, Runtime};

use crate::fake::{Answer, beside_fake, polled};
use crate::{Plug, beside_server, data, grow, support, with_builder, with_client};

support::on_each_executor![
    calls_dropped_at_every_poll,
    a_getmore_dropped_at_any_poll_loses_nothing,
    connecting_dropped_at_every_poll,
    a_killed_server_under_many_callers,
    a_server_that_comes_back,
    reads_are_tried_again,
    writes_are_tried_again_under_a_number,
    a_lone_write_says_maybe_applied,
    a_full_pool_serves_in_turn,
    a_full_pool_has_a_deadline,
    a_late_answer_disturbs_nobody,
    an_answer_that_never_comes_costs_its_connection_alone,
    idle_connections_are_closed,
];

/// More polls than any of these futures takes.
const MANY: usize = 200;

/// `count` answers, each to its own question.
async fn pair_up<R: Runtime>(fruit: &Collection<Document, R>, count: i64) {
    for number in 0..count {
        let number = number % 10;
        let found = fruit.find_one(doc! { "_id": number }).run().await.expect("found");
        assert_eq!(found.and_then(|doc| doc.as_doc().get_i64("_id")), Some(number));
    }
}

async fn calls_dropped_at_every_poll<R: Plug>(runtime: R) {
    for options in ["?maxPoolSize=1", "?maxPoolSize=3"] {
        with_client(runtime.clone(), options, async |_, fruit, _| {
            grow(&fruit, 10).await;
            for polls in 0..MANY {
                let alone = polled(polls, fruit.find_one(doc! { "_id": 3 }).run()).await;
                pair_up(&fruit, 100).await;
                let among = polled(polls, fruit.find(doc! {}).batch_size(2).collect());
                join(among, pair_up(&fruit, 5)).await;
                let write =
                    polled(polls, fruit.update_one(doc! { "_id": 3 }, doc! { "$inc": { "n": 1 } }).run());
                join(write, pair_up(&fruit, 5)).await;
                if let Some(found) = alone {
                    assert!(found.expect("found").is_some());
                    return;
                }
            }
            panic!("one call takes more than {MANY} polls");
        })
        .await;
    }
}

async fn a_getmore_dropped_at_any_poll_loses_nothing<R: Plug>(runtime: R) {
    with_client(runtime, "", async |_, fruit, _| {
        grow(&fruit, 60).await;
        for exhaust in [false, true] {
            for polls in 1..4 {
                let find = fruit.find(doc! {}).batch_size(3);
                let find = if exhaust { find.exhaust() } else { find };
                let mut cursor = find.run().await.expect("found");
                let mut next = 0;
                // Each try is dropped after a few polls, and the next goes on where it was.
                while next < 60 {
                    if let Some(found) = polled(polls, cursor.next()).await {
                        let found = found.expect("there are more").expect("a document");
                        assert_eq!(found.as_doc().get_i64("_id"), Some(next));
                        next += 1;
                    } else {
                        sleep_a_little(&fruit).await;
                    }
                }
            }
        }
    })
    .await;
}

async fn sleep_a_little<R: Runtime>(fruit: &Collection<Document, R>) {
    fruit.database().client().ping().await.expect("the client goes on");
}

async fn connecting_dropped_at_every_poll<R: Plug>(runtime: R) {
    let data = data(&[("ada", "s3cret")]);
    beside_server(runtime.clone(), data, async |at: String| {
        let uri = format!("mongodb://ada:s3cret@{at}/?minPoolSize=2");
        for polls in 0..MANY {
            let dropped = polled(polls, Client::builder(runtime.clone()).connect(&uri)).await;
            if let Some(client) = dropped {
                let client = client.expect("connected");
                while client.connections() < 2 {
                    sleep(&runtime, Duration::from_millis(1)).await;
                }
                return client.ping().await.expect("there");
            }
        }
        panic!("connecting takes more than {MANY} polls");
    })
    .await;
}

async fn a_killed_server_under_many_callers<R: Plug>(runtime: R) {
    let data = Handle::default();
    let server = Server::bind(runtime.clone(), support::any_port()).await.expect("a free port");
    let server = server.config(Config::default().drain_timeout(Duration::ZERO));
    let at = server.local_endpoint().expect("an address");
    let stopper = server.stopper();
    let serving = serve_memory(runtime.clone(), server, data.clone());
    let calling = async {
        let client =
            Client::builder(runtime.clone()).connect(&format!("mongodb://{at}/?maxPoolSize=16")).await;
        let fruit = client.expect("connected").database("shop").collection::<Document>("fruit");
        let made = Cell::new(0);
        let caller = async |caller: i32| {
            let mut outcomes = Vec::new();
            for number in 0..50 {
                let id = caller * 1000 + number;
                let result = fruit.insert_one(&doc! { "_id": id }).run().await;
                made.set(made.get() + 1);
                if made.get() == 500 {
                    stopper.stop();
                }
                outcomes.push((id, result));
            }
            outcomes
        };
        join_all((0..64).map(caller)).await.into_iter().flatten().collect::<Vec<_>>()
    };
    let (outcomes, ()) = join(calling, serving).await;
    let (mut made, mut failed) = (0, 0);
    for (id, result) in outcomes {
        let is_there = data.with(|server| server.contains("shop", "fruit", doc! { "_id": id }.as_doc()));
        match result {
            Ok(_) => {
                made += 1;
                assert!(is_there, "{id} was acknowledged and is not there");
            }
            Err(error) => {
                failed += 1;
                let sent = error.progress() != Progress::NotSent;
                assert!(sent || !is_there, "{id} was made, and its error says: {error}");
                assert!(!sent || error.to_string().contains("maybe applied"), "{error}");
            }
        }
    }
    assert!(made >= 499 && failed > 0, "{made} made, {failed} failed");
}

async fn a_server_that_comes_back<R: Plug>(runtime: R) {
    let data = Handle::default();
    let serve = async |at: Endpoint| {
        let server = Server::bind(runtime.clone(), at).await.expect("the port");
        let server = server.config(Config::default().drain_timeout(Duration::ZERO));
        (server.local_endpoint().expect("an address"), server.stopper(), server)
    };
    let (at, stopper, server) = serve(support::any_port()).await;
    let serving = serve_memory(runtime.clone(), server, data.clone());
    let working = async {
        let client = Client::builder(runtime.clone()).connect(&format!("mongodb://{at}")).await;
        let client = client.expect("connected");
        grow(&client.database("shop").collection("fruit"), 10).await;
        stopper.stop();
        client
    };
    let (client, ()) = join(working, serving).await;
    let fruit = client.database("shop").collection::<Document>("fruit");
    // The connection from before may look alive until somebody writes to it.
    fruit.find_one(doc! {}).run().await.expect_err("nobody listens");
    let error = fruit.find_one(doc! {}).run().await.expect_err("nobody listens");
    assert_eq!(error.progress(), Progress::NotSent, "{error}");
    let (_, stopper, server) = serve(at).await;
    let again = async {
        pair_up(&fruit, 20).await;
        stopper.stop();
    };
    join(again, serve_memory(runtime.clone(), server, data.clone())).await;
}

/// Makes the next commands of this name fail.
async fn fail<R: Runtime>(client: &Client<R>, times: i32, data: Document) {
    let command = doc! { "configureFailPoint": "failCommand", "mode": { "times": times }, "data": data };
    client.database("admin").run_command(command).run().await.expect("configured");
}

async fn reads_are_tried_again<R: Plug>(runtime: R) {
    with_client(runtime.clone(), "", async |client, fruit, _| {
        grow(&fruit, 10).await;
        for data in [
            doc! { "failCommands": ["find"], "closeConnection": true },
            doc! { "failCommands": ["find"], "errorCode": 91 },
        ] {
            fail(&client, 1, data.clone()).await;
            pair_up(&fruit, 3).await;
            fail(&client, 2, data).await;
            fruit.find_one(doc! {}).run().await.expect_err("once is enough");
        }
        fail(&client, 1, doc! { "failCommands": ["find"], "errorCode": 2 }).await;
        assert_eq!(fruit.find_one(doc! {}).run().await.expect_err("not worth it").code(), Some(2));
    })
    .await;
    with_client(runtime, "?retryReads=false", async |client, fruit, _| {
        fail(&client, 1, doc! { "failCommands": ["find"], "closeConnection": true }).await;
        let error = fruit.find_one(doc! {}).run().await.expect_err("not tried again");
        assert!(matches!(error, Error::Broken { progress: Progress::FullySent, .. }), "{error}");
    })
    .await;
}

async fn writes_are_tried_again_under_a_number<R: Plug>(runtime: R) {
    let mut config = MemoryConfig::default();
    config.replica_set = Some("rs".into());
    let data = Handle::new(config, &glowplug::core::Seed::from_u64(7));
    beside_server(runtime.clone(), data, async |at: String| {
        let uri = format!("mongodb://{at}/?replicaSet=rs");
        let client = Client::builder(runtime.clone()).connect(&uri).await.expect("connected");
        let fruit = client.database("shop").collection::<Document>("fruit");
        fruit.insert_one(&doc! { "_id": 1, "n": 0 }).run().await.expect("inserted");
        for (number, data) in [
            doc! { "failCommands": ["update"], "closeConnection": true },
            doc! { "failCommands": ["update"], "closeConnection": true, "afterwards": true },
            doc! { "failCommands": ["update"], "errorCode": 11600 },
            doc! { "failCommands": ["update"], "writeConcernError": { "code": 91, "errmsg": "going down" } },
        ]
        .into_iter()
        .enumerate()
        {
            fail(&client, 1, data.clone()).await;
            let inc = doc! { "$inc": { "n": 1 } };
            let result = fruit.update_one(doc! { "_id": 1 }, inc).run().await;
            let result = result.unwrap_or_else(|error| panic!("{data}: {error}"));
            assert_eq!(result.modified, 1);
            let found = fruit.find_one(doc! { "_id": 1 }).run().await.expect("found").expect("it is there");
            assert_eq!(found.as_doc().get_i64("n"), Some(number as i64 + 1), "{data}");
        }
        // What has no number is sent once.
        fail(&client, 1, doc! { "failCommands": ["update"], "closeConnection": true }).await;
        let many = fruit.update_many(doc! {}, doc! { "$inc": { "n": 1 } }).run().await;
        assert!(matches!(many, Err(Error::Broken { .. })), "{many:?}");
    })
    .await;
}

async fn a_lone_write_says_maybe_applied<R: Plug>(runtime: R) {
    with_client(runtime, "", async |client, fruit, _| {
        let data = doc! { "failCommands": ["insert"], "closeConnection": true, "afterwards": true };
        fail(&client, 1, data).await;
        let error = fruit.insert_one(&doc! { "_id": 1 }).run().await.expect_err("the answer is lost");
        assert_eq!(error.progress(), Progress::FullySent);
        assert!(error.to_string().contains("maybe applied"), "{error}");
        assert_eq!(fruit.count(doc! {}).run().await.expect("counted"), 1);
    })
    .await;
}

async fn a_full_pool_serves_in_turn<R: Plug>(runtime: R) {
    with_client(runtime, "?maxPoolSize=2", async |client, fruit, _| {
        grow(&fruit, 10).await;
        join_all((0..64).map(|_| pair_up(&fruit, 10))).await;
        assert!(client.connections() <= 2);
    })
    .await;
}

async fn a_full_pool_has_a_deadline<R: Plug>(runtime: R) {
    let answer = |name: &str, _: &_| match name {
        "ping" => Answer::Silence,
        _ => Answer::Reply(doc! { "ok": 1, "n": 5 }),
    };
    beside_fake(runtime.clone(), answer, async |at: String| {
        let mut pool = PoolConfig::default();
        pool.max_waiting = 1;
        let uri = format!("mongodb://{at}/?maxPoolSize=1&waitQueueTimeoutMS=20");
        let builder = Client::builder(runtime.clone()).pool(pool).drain_timeout(Duration::from_millis(50));
        let client = builder.connect(&uri).await.expect("connected");
        let fruit = client.database("shop").collection::<Document>("fruit");
        let mut parked = std::pin::pin!(client.ping());
        assert!(polled(1, &mut parked).await.is_none());
        let (one, two) = join(fruit.estimated_count().run(), fruit.estimated_count().run()).await;
        assert!(matches!(one, Err(Error::PoolTimedOut { size: 1 })), "{one:?}");
        assert!(matches!(two, Err(Error::Overloaded)), "{two:?}");
    })
    .await;
}

async fn a_late_answer_disturbs_nobody<R: Plug>(runtime: R) {
    with_client(runtime, "?maxPoolSize=1", async |_, fruit, _| {
        grow(&fruit, 10).await;
        for _ in 0..20 {
            let late = fruit.find_one(doc! { "_id": 3 }).timeout(Some(Duration::ZERO)).run().await;
            if let Err(error) = late {
                assert!(matches!(error, Error::TimedOut { .. } | Error::PoolTimedOut { .. }), "{error}");
            }
            pair_up(&fruit, 10).await;
        }
    })
    .await;
}

async fn an_answer_that_never_comes_costs_its_connection_alone<R: Plug>(runtime: R) {
    let answer = |name: &str, _: &_| match name {
        "ping" => Answer::Silence,
        _ => Answer::Reply(doc! { "ok": 1, "n": 5 }),
    };
    beside_fake(runtime.clone(), answer, async |at: String| {
        let builder = Client::builder(runtime.clone())
            .timeout(Some(Duration::from_millis(30)))
            .drain_timeout(Duration::from_millis(30));
        let client = builder.connect(&format!("mongodb://{at}")).await.expect("connected");
        let fruit = client.database("shop").collection::<Document>("fruit");
        let error = client.ping().await.expect_err("no answer");
        assert!(matches!(error, Error::TimedOut { progress: Progress::FullySent }), "{error}");
        assert_eq!(fruit.estimated_count().run().await.expect("counted"), 5);
        // Cleared away by the janitor, it is closed in the end.
        while client.connections() > 1 {
            sleep(&runtime, Duration::from_millis(5)).await;
        }
    })
    .await;
}

async fn idle_connections_are_closed<R: Plug>(runtime: R) {
    let build = |builder: glowplug::runtime::mongodb::Builder<R>| builder;
    with_builder(runtime.clone(), "?maxIdleTimeMS=20&minPoolSize=1", build, async |client, fruit, _| {
        grow(&fruit, 10).await;
        join_all((0..8).map(|_| pair_up(&fruit, 5))).await;
        while client.connections() > 1 {
            sleep(&runtime, Duration::from_millis(5)).await;
        }
        pair_up(&fruit, 5).await;
    })
    .await;
}
