//! The life of connections: panics, peers that go, stops, caps.

use std::time::Duration;

use futures_util::future::join_all;
use glowplug::runtime::http::server::Config;
use glowplug::runtime::time::{sleep, within};

use crate::http_web::{Plug, app, connect, get, serving};
use crate::support::{self, shutdown};
use crate::with;

support::on_each_executor![
    a_panic_is_a_500,
    a_handler_hears_that_its_peer_closed,
    a_stop_lets_requests_finish,
    a_stop_closes_idle_connections,
    the_cap_holds_connections_back,
    many_idle_connections,
];

async fn a_panic_is_a_500<R: Plug>(runtime: R) {
    with(&runtime, async |at, stopper| {
        let mut calm = connect(&runtime, &at).await;
        assert_eq!(calm.get("/hello").await.body, "hello");
        for target in ["/panic", "/panic-later", "/error"] {
            let mut wild = connect(&runtime, &at).await;
            let seen = wild.get(target).await;
            assert_eq!((seen.status, seen.field("connection")), (500, Some("close")), "{target}");
            assert_eq!(wild.rest().await, "");
        }
        assert_eq!(calm.get("/hello").await.body, "hello");
        drop(calm);
        while stopper.connections() > 0 {
            sleep(&runtime, Duration::from_millis(1)).await;
        }
    })
    .await;
}

async fn a_handler_hears_that_its_peer_closed<R: Plug>(runtime: R) {
    with(&runtime, async |at, stopper| {
        // Half closed: the answer still comes.
        let mut client = connect(&runtime, &at).await;
        client.send(get("/until-closed")).await;
        shutdown(&mut client.stream).await.expect("half closed");
        assert_eq!(client.answer().await.body, "so long");
        // Gone: its handler ends all the same.
        let mut client = connect(&runtime, &at).await;
        client.send(get("/until-closed")).await;
        drop(client);
        while stopper.connections() > 0 {
            sleep(&runtime, Duration::from_millis(1)).await;
        }
    })
    .await;
}

async fn a_stop_lets_requests_finish<R: Plug>(runtime: R) {
    with(&runtime, async |at, stopper| {
        let (mut one, mut two) = (connect(&runtime, &at).await, connect(&runtime, &at).await);
        one.send(get("/nap")).await;
        two.send("POST /count HTTP/1.1\r\nhost: here\r\ncontent-length: 4\r\n\r\nbo").await;
        while stopper.connections() < 2 {
            sleep(&runtime, Duration::from_millis(1)).await;
        }
        // Both requests have begun by then.
        sleep(&runtime, Duration::from_millis(5)).await;
        stopper.stop();
        two.send("dy").await;
        for (client, body) in [(&mut one, "awake"), (&mut two, "4")] {
            let seen = client.answer().await;
            assert_eq!((seen.field("connection"), &seen.body[..]), (Some("close"), body.as_bytes()));
            assert_eq!(client.rest().await, "");
        }
    })
    .await;
}

async fn a_stop_closes_idle_connections<R: Plug>(runtime: R) {
    // The time to drain is never needed.
    let config = Config::default().drain_timeout(Duration::from_secs(3600));
    serving(&runtime, config, app(&runtime), async |at, stopper| {
        let (mut used, mut fresh) = (connect(&runtime, &at).await, connect(&runtime, &at).await);
        assert_eq!(used.get("/hello").await.body, "hello");
        while stopper.connections() < 2 {
            sleep(&runtime, Duration::from_millis(1)).await;
        }
        stopper.stop();
        assert_eq!(used.rest().await, "");
        assert_eq!(fresh.rest().await, "");
    })
    .await;
}

async fn the_cap_holds_connections_back<R: Plug>(runtime: R) {
    let config = Config::default().max_connections(2);
    serving(&runtime, config, app(&runtime), async |at, stopper| {
        let (mut one, mut two) = (connect(&runtime, &at).await, connect(&runtime, &at).await);
        assert_eq!((one.get("/hello").await.status, two.get("/hello").await.status), (200, 200));
        let mut third = connect(&runtime, &at).await;
        third.send(get("/hello")).await;
        within(&runtime, Some(Duration::from_millis(30)), third.more())
            .await
            .expect_err("the server is full");
        assert_eq!(stopper.connections(), 2);
        drop(one);
        assert_eq!(third.answer().await.body, "hello");
    })
    .await;
}

/// How many a debug build has time and descriptors for.
const MANY: usize = 300;

async fn many_idle_connections<R: Plug>(runtime: R) {
    with(&runtime, async |at, stopper| {
        let mut clients = Vec::new();
        for _ in 0..MANY {
            clients.push(connect(&runtime, &at).await);
        }
        while stopper.connections() < MANY {
            sleep(&runtime, Duration::from_millis(1)).await;
        }
        let all = clients.iter_mut().map(|client| client.get("/hello"));
        assert!(join_all(all).await.iter().all(|seen| seen.body == "hello"));
        assert_eq!(stopper.connections(), MANY);
    })
    .await;
}
