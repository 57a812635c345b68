//! Cursors that nobody reads on: each is killed on the server, by a connection of the pool, and the pool stays right.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::future::join_all;
use glowplug::mongodb::{Request, doc};
use glowplug::runtime::mongodb::{Client, Document};
use glowplug::runtime::time::sleep;

use crate::fake::{Answer, beside_fake, polled};
use crate::{Plug, grow, support, with_client};

support::on_each_executor![
    a_pool_under_kills_stays_right,
    every_cursor_is_killed_once,
    kills_wait_for_a_connection,
    a_kill_whose_connection_broke_is_sent_again,
    a_server_that_hangs_up_on_kills_is_not_asked_for_ever,
    kills_that_wait_are_bounded,
];

/// A server all of whose finds leave a cursor open, with numbers from 1 on.
#[derive(Default)]
struct Cursors {
    opened: Cell<i64>,
    /// Those that it was told to kill, in that order.
    killed: RefCell<Vec<i64>>,
}

impl Cursors {
    fn answer(&self, name: &str, request: &Request) -> Answer {
        match name {
            "find" => {
                let id = self.opened.get() + 1;
                self.opened.set(id);
                Answer::Reply(doc! {
                    "ok": 1, "cursor": { "id": id, "ns": "shop.fruit", "firstBatch": [{ "a": 1 }] },
                })
            }
            "killCursors" => {
                let body = request.command().expect("a command");
                let named = body.get_array("cursors").expect("a list");
                self.killed.borrow_mut().extend(named.iter().filter_map(|id| id.ok()?.as_i64()));
                Answer::Reply(doc! { "ok": 1 })
            }
            "slow" => Answer::Silence,
            _ => Answer::Reply(doc! { "ok": 1 }),
        }
    }

    /// Waits until it was told of so many.
    async fn killed<R: Plug>(&self, runtime: &R, count: usize) {
        while self.killed.borrow().len() < count {
            sleep(runtime, Duration::from_millis(1)).await;
        }
    }
}

/// Callers read their own documents from cursors that they leave half-way, on fewer connections than there are callers.
async fn a_pool_under_kills_stays_right<R: Plug>(runtime: R) {
    const CALLERS: i32 = 8;
    const MOST: usize = 3;
    with_client(runtime.clone(), "?maxPoolSize=3", async |client, fruit, data| {
        grow(&fruit, 60).await;
        let callers = (0..CALLERS).map(|caller| {
            let (client, fruit) = (&client, &fruit);
            async move {
                for round in 0..12 {
                    let from = (caller + round) % 20;
                    let find =
                        fruit.find(doc! { "_id": { "$gte": from } }).sort(doc! { "_id": 1 }).batch_size(3);
                    // Some leave before the first batch is there, some within it, some within a later one.
                    if round % 4 == 3 {
                        let _ = polled(2, find.run()).await;
                        continue;
                    }
                    let mut cursor = find.run().await.expect("found");
                    for place in 0..i64::from(1 + round * 2) {
                        let next = cursor.next().await.expect("there are more").expect("a document");
                        let id = next.as_doc().get_i64("_id");
                        assert_eq!(id, Some(i64::from(from) + place), "somebody else's answer");
                    }
                    drop(cursor);
                    client.ping().await.expect("the client goes on");
                    assert!(client.connections() <= MOST, "kills make no connections");
                }
            }
        });
        join_all(callers).await;
        while data.with(|server| server.open_cursors()) > 0 {
            sleep(&runtime, Duration::from_millis(1)).await;
        }
        assert!(client.connections() <= MOST);
        assert_eq!(fruit.find(doc! {}).collect().await.expect("found").len(), 60);
    })
    .await;
}

async fn every_cursor_is_killed_once<R: Plug>(runtime: R) {
    const CURSORS: i64 = 100;
    let server = Cursors::default();
    let answer = |name: &str, request: &Request| server.answer(name, request);
    beside_fake(runtime.clone(), answer, async |at: String| {
        let uri = format!("mongodb://{at}/?maxPoolSize=2");
        let client = Client::builder(runtime.clone()).connect(&uri).await.expect("connected");
        let fruit = client.database("shop").collection::<Document>("fruit");
        let mut cursors = Vec::new();
        for _ in 0..CURSORS {
            let mut cursor = fruit.find(doc! {}).run().await.expect("found");
            cursor.next().await.expect("there is one").expect("a document");
            cursors.push(cursor);
        }
        drop(cursors);
        // Whether by the task in the background or by the goodbye: all of them.
        client.close().await;
        server.killed(&runtime, CURSORS as usize).await;
        let different: BTreeSet<i64> = server.killed.borrow().iter().copied().collect();
        assert_eq!(different.len(), server.killed.borrow().len(), "one was killed twice");
        assert_eq!(different, (1..=CURSORS).collect());
    })
    .await;
}

async fn kills_wait_for_a_connection<R: Plug>(runtime: R) {
    let server = Cursors::default();
    let answer = |name: &str, request: &Request| server.answer(name, request);
    beside_fake(runtime.clone(), answer, async |at: String| {
        let builder = Client::builder(runtime.clone()).drain_timeout(Duration::from_millis(200));
        let client = builder.connect(&format!("mongodb://{at}/?maxPoolSize=1")).await.expect("connected");
        let database = client.database("shop");
        let cursor = database.collection::<Document>("fruit").find(doc! {}).run().await.expect("found");
        let mut parked = Box::pin(database.run_command(doc! { "slow": 1 }).run());
        assert!(polled(1, parked.as_mut()).await.is_none());
        drop(cursor);
        sleep(&runtime, Duration::from_millis(20)).await;
        assert!(server.killed.borrow().is_empty(), "the only connection is somebody's");
        // Its answer never comes, so the connection is closed; the next one brings the kill.
        drop(parked);
        client.ping().await.expect("on another connection");
        server.killed(&runtime, 1).await;
        client.ping().await.expect("there");
        assert_eq!((server.killed.borrow().as_slice(), client.connections()), (&[1][..], 1));
    })
    .await;
}

async fn a_kill_whose_connection_broke_is_sent_again<R: Plug>(runtime: R) {
    let (server, refused) = (Cursors::default(), Cell::new(false));
    let answer = |name: &str, request: &Request| match name {
        "killCursors" if !refused.replace(true) => Answer::Hangup,
        _ => server.answer(name, request),
    };
    beside_fake(runtime.clone(), answer, async |at: String| {
        let client =
            Client::builder(runtime.clone()).connect(&format!("mongodb://{at}")).await.expect("connected");
        let fruit = client.database("shop").collection::<Document>("fruit");
        drop(fruit.find(doc! {}).run().await.expect("found"));
        while !refused.get() {
            sleep(&runtime, Duration::from_millis(1)).await;
        }
        while server.killed.borrow().is_empty() {
            client.ping().await.expect("on another connection");
        }
        assert_eq!(server.killed.borrow().as_slice(), [1]);
    })
    .await;
}

async fn a_server_that_hangs_up_on_kills_is_not_asked_for_ever<R: Plug>(runtime: R) {
    let (server, asked) = (Cursors::default(), Cell::new(0));
    let answer = |name: &str, request: &Request| match name {
        "killCursors" => {
            asked.set(asked.get() + 1);
            Answer::Hangup
        }
        _ => server.answer(name, request),
    };
    beside_fake(runtime.clone(), answer, async |at: String| {
        let client =
            Client::builder(runtime.clone()).connect(&format!("mongodb://{at}")).await.expect("connected");
        let fruit = client.database("shop").collection::<Document>("fruit");
        drop(fruit.find(doc! {}).run().await.expect("found"));
        while asked.get() < 2 {
            client.ping().await.expect("there");
            sleep(&runtime, Duration::from_millis(1)).await;
        }
        for _ in 0..10 {
            client.ping().await.expect("there");
            sleep(&runtime, Duration::from_millis(1)).await;
        }
        assert_eq!(asked.get(), 2);
    })
    .await;
}

async fn kills_that_wait_are_bounded<R: Plug>(runtime: R) {
    const MOST: usize = 1024;
    const MORE: usize = 100;
    let server = Cursors::default();
    let answer = |name: &str, request: &Request| server.answer(name, request);
    beside_fake(runtime.clone(), answer, async |at: String| {
        let builder = Client::builder(runtime.clone()).drain_timeout(Duration::from_millis(200));
        let client = builder.connect(&format!("mongodb://{at}/?maxPoolSize=1")).await.expect("connected");
        let database = client.database("shop");
        let fruit = database.collection::<Document>("fruit");
        let mut cursors = Vec::new();
        for _ in 0..MOST + MORE {
            cursors.push(fruit.find(doc! {}).run().await.expect("found"));
        }
        // While the only connection waits for an answer, nobody can send them, and the oldest are left to the server.
        let mut parked = Box::pin(database.run_command(doc! { "slow": 1 }).run());
        assert!(polled(1, parked.as_mut()).await.is_none());
        drop(cursors);
        drop(parked);
        client.ping().await.expect("there, on another connection");
        server.killed(&runtime, MOST).await;
        client.close().await;
        let kept: Vec<i64> = (1..).skip(MORE).take(MOST).collect();
        assert_eq!(*server.killed.borrow(), kept);
    })
    .await;
}
