//! The Redis client on every executor, against a server in memory that comes and goes.

#[path = "../support/mod.rs"]
mod support;

mod caching;
mod cancelling;
mod helpers;
mod hostile;
mod lanes;
mod real;
mod recovery;
mod server;
mod streams;
mod subscriptions;

use glowplug::redis::{CommandsMut as _, Pipeline, Transaction, TransactionError, commands};
use glowplug::runtime::redis::{Client, Commands as _, Drive, Error};
use glowplug::runtime::{Runtime, Spawn};

use server::{Serves, with_server};
use support::on_each_executor;

on_each_executor!(every_command_is_a_method, pipelines_and_transactions_know_their_types);

/// A client with the default settings.
async fn connect<R: Runtime + Spawn<Drive<R>>>(runtime: &R, url: &str) -> Client<R> {
    Client::builder(runtime.clone()).connect(url).await.expect("connected")
}

/// A hundred answers, each to its own question.
async fn pair_up<R: Runtime>(client: &Client<R>) {
    for number in 0..100 {
        let text = number.to_string();
        assert_eq!(client.echo(&text).await.expect("an echo"), text, "somebody else's answer");
    }
}

async fn every_command_is_a_method<R: Serves>(runtime: R) {
    with_server(&runtime, async |server| {
        let client = connect(&runtime, &server.url()).await;
        client.set("key", "value").await.expect("set");
        assert_eq!(client.get("key").await.expect("got").as_deref(), Some(&b"value"[..]));
        assert_eq!(client.rpush("list", ["a", "b"]).await.expect("pushed"), 2);
        assert_eq!(client.lrange("list", 0, -1).await.expect("a range"), ["a", "b"]);
        client.hset("hash", "field", 1).await.expect("set");
        assert_eq!(client.hget("hash", "field").await.expect("got").as_deref(), Some(&b"1"[..]));
        assert_eq!(client.zadd("scores", [(1.5, "ann")]).await.expect("added"), 1);
        assert_eq!(client.zscore("scores", "ann").await.expect("a score"), Some(1.5));
        let wrong = client.incr("key").await.expect_err("no number");
        assert!(wrong.server_error().is_some(), "{wrong:?}");
        // As a value, with another type.
        let number: i64 = client.run(commands::hget("hash", "field").returning()).await.expect("a number");
        assert_eq!(number, 1);
    })
    .await;
}

async fn pipelines_and_transactions_know_their_types<R: Serves>(runtime: R) {
    with_server(&runtime, async |server| {
        let client = connect(&runtime, &server.url()).await;
        let mut pipeline = Pipeline::new();
        let (hits, name) = (pipeline.incr("hits"), pipeline.get("name"));
        let mut replies = client.pipeline(pipeline).await.expect("answers");
        assert_eq!(hits.take_from(&mut replies), Ok(1));
        assert_eq!(name.take_from(&mut replies), Ok(None));

        let mut transaction = Transaction::new();
        let (hits, wrong) = (transaction.incr("hits"), transaction.lpop("hits"));
        let mut results = client.transaction(transaction).await.expect("done").expect("nothing is watched");
        assert_eq!(results.take(hits), Ok(2));
        assert!(results.take(wrong).is_err(), "a command may be refused while the others are done");

        let mut refused = Transaction::new();
        refused.incr("hits");
        refused.add(glowplug::redis::Typed::<()>::new(glowplug::redis::Command::new("NONSENSE")));
        let error = client.transaction(refused).await.expect_err("refused");
        assert!(matches!(error, Error::Transaction(TransactionError::Refused { .. })), "{error:?}");
        assert_eq!(client.incrby("hits", 0).await.expect("a number"), 2, "nothing was done");
    })
    .await;
}

/// What is spawned moves between threads, and so do the futures of whoever calls.
#[test]
fn clients_move_between_threads() {
    fn movable<T: Send>(_: &T) {}
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("tokio starts").block_on(async {
        let serving = async {
            let server = glowplug::tokio::server::Server::bind(glowplug::tokio::Tokio, support::any_port())
                .await
                .expect("a free port");
            let url = format!("redis://{}", server.local_endpoint().expect("an address"));
            let store = glowplug::redis::memory::Handle::new(glowplug::redis::memory::Config::new());
            tokio::spawn(glowplug::tokio::redis::serve_memory(glowplug::tokio::Tokio, server, store));
            url
        };
        let url = serving.await;
        let client = glowplug::tokio::redis::Client::connect(&url).await.expect("connected");
        let user = async move {
            pair_up(&client).await;
            client.blpop(["nothing"], Some(std::time::Duration::from_millis(20))).await.expect("nothing");
            let mut own = client.dedicated().await.expect("a connection");
            own.get("key").await.expect("got");
            let mut listener = client.subscribe(["channel"]).await.expect("subscribed");
            client.publish("channel", "hello").await.expect("published");
            listener.next().await.expect("a message");
        };
        movable(&user);
        tokio::spawn(user).await.expect("no panic");
    });
}
