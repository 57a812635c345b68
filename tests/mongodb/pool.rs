//! The pool: filled in the background, closed in good order, bounded in what it keeps.

use std::cell::RefCell;
use std::time::Duration;

use glowplug::mongodb::{Request, doc};
use glowplug::runtime::mongodb::{Client, Document, Error, serve_memory};
use glowplug::runtime::server::{Config, Server};
use glowplug::runtime::time::sleep;

use crate::fake::{Answer, beside_fake};
use crate::{Plug, grow, support, with_client};

support::on_each_executor![
    the_minimum_is_kept_in_the_background,
    closing_ends_sessions_and_cursors,
    a_closed_client_refuses,
    the_last_handle_ends_sessions,
    sessions_that_are_kept_are_bounded,
];

async fn the_minimum_is_kept_in_the_background<R: Plug>(runtime: R) {
    let data = crate::data(&[]);
    let serve = async |at| {
        let server = Server::bind(runtime.clone(), at).await.expect("the port");
        let server = server.config(Config::default().drain_timeout(Duration::ZERO));
        (server.local_endpoint().expect("an address"), server.stopper(), server)
    };
    let until = async |client: &Client<R>, count: usize| {
        while client.connections() != count {
            sleep(&runtime, Duration::from_millis(5)).await;
        }
    };
    let (at, stopper, server) = serve(support::any_port()).await;
    let first = async {
        let uri = format!("mongodb://{at}/?minPoolSize=4&maxIdleTimeMS=100000");
        let client = Client::builder(runtime.clone()).connect(&uri).await.expect("connected");
        until(&client, 4).await;
        stopper.stop();
        client
    };
    let (client, ()) =
        futures_util::future::join(first, serve_memory(runtime.clone(), server, data.clone())).await;
    // Whoever finds the server gone empties the pool; nothing else tells.
    while client.ping().await.is_ok() {}
    let (_, stopper, server) = serve(at).await;
    let again = async {
        until(&client, 4).await;
        client.ping().await.expect("there");
        stopper.stop();
    };
    futures_util::future::join(again, serve_memory(runtime.clone(), server, data.clone())).await;
}

/// Runs `test` beside a server that remembers what it was asked.
async fn remembering<R: Plug>(
    runtime: R,
    test: impl AsyncFnOnce(Client<R>, &RefCell<Vec<(String, Document)>>),
) {
    let seen = RefCell::new(Vec::new());
    let answer = |name: &str, request: &Request| {
        let body = request.command().expect("a command");
        seen.borrow_mut().push((name.to_owned(), Document::from(body)));
        Answer::Reply(match name {
            "find" => {
                doc! { "ok": 1, "cursor": { "id": 7i64, "ns": "shop.fruit", "firstBatch": [{ "a": 1 }] } }
            }
            _ => doc! { "ok": 1, "n": 1 },
        })
    };
    beside_fake(runtime.clone(), answer, async |at: String| {
        let uri = format!("mongodb://{at}/?maxPoolSize=4");
        let client = Client::builder(runtime.clone()).connect(&uri).await.expect("connected");
        test(client, &seen).await;
    })
    .await;
}

fn count(seen: &RefCell<Vec<(String, Document)>>, name: &str) -> usize {
    seen.borrow().iter().filter(|(seen, _)| seen == name).count()
}

async fn closing_ends_sessions_and_cursors<R: Plug>(runtime: R) {
    remembering(runtime, async |client, seen| {
        let fruit = client.database("shop").collection::<Document>("fruit");
        drop(fruit.find(doc! {}).run().await.expect("found"));
        let (one, two) = (client.start_session(), client.start_session());
        drop((one, two));
        client.close().await;
        assert_eq!(count(seen, "killCursors"), 1, "{seen:?}");
        assert_eq!(count(seen, "endSessions"), 1, "{seen:?}");
        let ended = seen.borrow();
        let (_, command) = ended.iter().find(|(name, _)| name == "endSessions").expect("it was sent");
        assert_eq!(command.as_doc().get_array("endSessions").map(|ids| ids.iter().count()), Some(2));
        assert_eq!(client.connections(), 0);
    })
    .await;
}

async fn a_closed_client_refuses<R: Plug>(runtime: R) {
    with_client(runtime, "", async |client, fruit, _| {
        grow(&fruit, 10).await;
        let mut cursor = fruit.find(doc! {}).batch_size(2).run().await.expect("found");
        client.clone().close().await;
        client.close().await;
        assert!(matches!(client.ping().await, Err(Error::Closed)));
        assert!(matches!(fruit.insert_one(&doc! {}).run().await, Err(Error::Closed)));
        // What came already is there; the next batch is not.
        cursor.next().await.expect("it is here").expect("a document");
        cursor.next().await.expect("it is here").expect("a document");
        assert!(matches!(cursor.next().await, Some(Err(Error::Closed))));
    })
    .await;
}

async fn the_last_handle_ends_sessions<R: Plug>(runtime: R) {
    remembering(runtime.clone(), async |client, seen| {
        client.ping().await.expect("there");
        let again = client.clone();
        drop(client);
        again.ping().await.expect("there");
        assert_eq!(count(seen, "endSessions"), 0);
        drop(again);
        while count(seen, "endSessions") == 0 {
            sleep(&runtime, Duration::from_millis(1)).await;
        }
    })
    .await;
}

async fn sessions_that_are_kept_are_bounded<R: Plug>(runtime: R) {
    const MOST: usize = 10_000;
    remembering(runtime, async |client, seen| {
        let sessions: Vec<_> = (0..MOST + 50).map(|_| client.start_session()).collect();
        drop(sessions);
        client.close().await;
        let seen = seen.borrow();
        let (_, command) = seen.iter().find(|(name, _)| name == "endSessions").expect("it was sent");
        assert_eq!(command.as_doc().get_array("endSessions").map(|ids| ids.iter().count()), Some(MOST));
    })
    .await;
}
