//! The MongoDB client against the embedded server, on every executor.

#[path = "../support/mod.rs"]
mod support;

mod crud;
mod cursors;
mod fake;
mod faults;
mod hostile;
mod kills;
mod manage;
mod pool;
mod srv;
mod tls;

use std::future::Future;

use glowplug::mongodb::doc;
use glowplug::mongodb::memory::{Handle, MemoryConfig};
use glowplug::runtime::mongodb::{Builder, Client, Collection, Document, Janitor, Serving, serve_memory};
use glowplug::runtime::server::Server;
use glowplug::runtime::{Runtime, Spawn};

use support::{any_port, beside};

/// What these tests ask of a plug: that it runs what a client and the embedded server spawn.
trait Plug: Runtime + Spawn<Janitor<Self>> + Spawn<Serving<Self>> {}

impl<R: Runtime + Spawn<Janitor<R>> + Spawn<Serving<R>>> Plug for R {}

/// The embedded server with two users, if any.
fn data(users: &[(&str, &str)]) -> Handle {
    let mut config = MemoryConfig::default();
    config.users = users.iter().map(|(name, password)| ((*name).into(), (*password).into())).collect();
    Handle::new(config, &glowplug::core::Seed::from_u64(7))
}

/// Runs `test` beside an embedded server; it gets where the server is, as `host:port`.
async fn beside_server<R: Plug>(runtime: R, data: Handle, test: impl AsyncFnOnce(String)) {
    let server = Server::bind(runtime.clone(), any_port()).await.expect("a free port");
    let at = server.local_endpoint().expect("an address").to_string();
    beside(test(at), serve_memory(runtime, server, data)).await;
}

/// Runs `test` with a client and a fresh collection.
async fn with_client<R: Plug>(
    runtime: R,
    options: &str,
    test: impl AsyncFnOnce(Client<R>, Collection<Document, R>, Handle),
) {
    with_builder(runtime, options, |builder| builder, test).await;
}

async fn with_builder<R: Plug>(
    runtime: R,
    options: &str,
    build: impl FnOnce(Builder<R>) -> Builder<R>,
    test: impl AsyncFnOnce(Client<R>, Collection<Document, R>, Handle),
) {
    let data = data(&[]);
    let own = data.clone();
    beside_server(runtime.clone(), data, async |at: String| {
        let builder = build(Client::builder(runtime));
        let client = builder.connect(&format!("mongodb://{at}/{options}")).await.expect("connected");
        let collection = client.database("shop").collection("fruit");
        test(client, collection, own).await;
    })
    .await;
}

/// Fruit with the ids 0, 1, 2 and so on.
async fn grow<R: Runtime>(fruit: &Collection<Document, R>, count: i32) {
    let documents: Vec<_> =
        (0..count).map(|number| doc! { "_id": number, "even": number % 2 == 0 }).collect();
    fruit.insert_many(&documents).run().await.expect("inserted");
}

/// What every await of a client gives to its executor may move between threads when the plug's parts may.
fn assert_send<T: Send>(value: T) -> T {
    value
}

/// What lies on a caller's stack for each operation that is under way.
#[test]
fn operations_are_small() {
    use std::mem::size_of_val;

    use glowplug::mongodb::WriteModel;
    const MOST: usize = 3 * 1024;
    support::on_tokio(|runtime| {
        with_client(runtime, "", async |client, fruit, _| {
            let mut cursor = fruit.find(doc! {}).run().await.expect("found");
            let models = || [WriteModel::Insert(doc! {})];
            let sizes = [
                ("find_one", size_of_val(&fruit.find_one(doc! {}).run())),
                ("find", size_of_val(&fruit.find(doc! {}).run())),
                ("collect", size_of_val(&fruit.find(doc! {}).collect())),
                ("next", size_of_val(&cursor.next())),
                ("insert_one", size_of_val(&fruit.insert_one(&doc! {}).run())),
                ("insert_many", size_of_val(&fruit.insert_many(&[doc! {}]).run())),
                ("update_one", size_of_val(&fruit.update_one(doc! {}, doc! {}).run())),
                ("delete_one", size_of_val(&fruit.delete_one(doc! {}).run())),
                ("bulk_write", size_of_val(&fruit.bulk_write(models()).run())),
                ("find_one_and_delete", size_of_val(&fruit.find_one_and_delete(doc! {}).run())),
                ("aggregate", size_of_val(&fruit.aggregate([]).run())),
                ("count", size_of_val(&fruit.count(doc! {}).run())),
                ("distinct", size_of_val(&fruit.distinct("a", doc! {}).run())),
                ("ping", size_of_val(&client.ping())),
                ("close", size_of_val(&client.close())),
                ("connect", size_of_val(&Client::<glowplug::tokio::Tokio>::connect("mongodb://h"))),
            ];
            let large: Vec<_> = sizes.iter().filter(|(_, size)| *size > MOST).collect();
            assert!(large.is_empty(), "{large:?} of {sizes:?}");
        })
    });
}

#[test]
fn operations_move_between_threads() {
    #[expect(clippy::manual_async_fn, reason = "the signature is what is tested: it says Send")]
    fn task(client: Client<glowplug::tokio::Tokio>) -> impl Future<Output = usize> + Send {
        async move {
            let fruit = client.database("shop").collection::<Document>("fruit");
            fruit.insert_one(&doc! { "a": 1 }).run().await.expect("inserted");
            let found = assert_send(fruit.find(doc! {}).run().await.expect("found"));
            let mut stream = assert_send(found.into_stream());
            let mut count = 0;
            while futures_util::StreamExt::next(&mut stream).await.is_some() {
                count += 1;
            }
            count
        }
    }
    support::on_tokio(|runtime| {
        with_client(runtime, "", async |client, _, _| {
            let tasks: Vec<_> = (0..8).map(|_| tokio::spawn(task(client.clone()))).collect();
            for task in tasks {
                assert!(task.await.expect("it ends") >= 1);
            }
        })
    });
}
