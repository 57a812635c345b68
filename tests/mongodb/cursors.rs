//! Cursors: to the end, to a limit, left early; none is left behind on the server.

use std::time::Duration;

use futures_util::TryStreamExt;
use glowplug::mongodb::doc;
use glowplug::mongodb::memory::Handle;
use glowplug::runtime::Runtime;
use glowplug::runtime::mongodb::Error;
use glowplug::runtime::time::sleep;

use crate::{Plug, grow, support, with_client};

support::on_each_executor![
    batches_to_the_end,
    an_empty_batch_of_a_live_cursor_goes_on,
    a_limit_ends_a_live_cursor,
    dropped_cursors_are_killed,
    closing_waits,
    streams,
    raw_documents_are_not_copied,
    exhaust,
    exhaust_left_early,
    a_lost_cursor_is_an_error,
    next_if_any_asks_once,
];

/// Waits until the server has no open cursor. In the background somebody kills it; if nobody does, the test's own deadline ends this.
async fn until_killed<R: Runtime>(runtime: &R, data: &Handle) {
    while data.with(|server| server.open_cursors()) > 0 {
        sleep(runtime, Duration::from_millis(1)).await;
    }
}

async fn batches_to_the_end<R: Plug>(runtime: R) {
    with_client(runtime, "", async |_, fruit, data| {
        grow(&fruit, 25).await;
        let mut cursor = fruit.find(doc! {}).batch_size(10).run().await.expect("found");
        assert_eq!(data.with(|server| server.open_cursors()), 1);
        let mut count = 0;
        while let Some(next) = cursor.next().await {
            assert_eq!(next.expect("a document").as_doc().get_i64("_id"), Some(count));
            count += 1;
        }
        assert_eq!((count, cursor.is_alive()), (25, false));
        assert!(cursor.next().await.is_none(), "the end stays the end");
        assert_eq!(data.with(|server| server.open_cursors()), 0);
    })
    .await;
}

async fn an_empty_batch_of_a_live_cursor_goes_on<R: Plug>(runtime: R) {
    with_client(runtime, "", async |_, fruit, _| {
        grow(&fruit, 3).await;
        let found = fruit.find(doc! {}).batch_size(0).collect().await.expect("found");
        assert_eq!(found.len(), 3);
        let pipeline = [doc! { "$match": {} }];
        assert_eq!(fruit.aggregate(pipeline).batch_size(0).collect().await.expect("found").len(), 3);
    })
    .await;
}

async fn a_limit_ends_a_live_cursor<R: Plug>(runtime: R) {
    with_client(runtime.clone(), "", async |_, fruit, data| {
        grow(&fruit, 10).await;
        // The embedded server keeps the cursor when the batch is full, the limit reached or not.
        let mut cursor = fruit.find(doc! {}).batch_size(2).limit(4).run().await.expect("found");
        let mut count = 0;
        while let Some(next) = cursor.next().await {
            next.expect("a document");
            count += 1;
        }
        assert_eq!(count, 4);
        until_killed(&runtime, &data).await;
    })
    .await;
}

async fn dropped_cursors_are_killed<R: Plug>(runtime: R) {
    with_client(runtime.clone(), "", async |client, fruit, data| {
        grow(&fruit, 10).await;
        let mut cursors = Vec::new();
        for _ in 0..5 {
            cursors.push(fruit.find(doc! {}).batch_size(2).run().await.expect("found"));
        }
        assert_eq!(data.with(|server| server.open_cursors()), 5);
        drop(cursors);
        until_killed(&runtime, &data).await;
        // With the last handle, too.
        let cursor = fruit.find(doc! {}).batch_size(2).run().await.expect("found");
        drop((client, fruit, cursor));
        until_killed(&runtime, &data).await;
    })
    .await;
}

async fn closing_waits<R: Plug>(runtime: R) {
    with_client(runtime, "", async |_, fruit, data| {
        grow(&fruit, 10).await;
        let cursor = fruit.find(doc! {}).batch_size(2).run().await.expect("found");
        cursor.close().await.expect("killed");
        assert_eq!(data.with(|server| server.open_cursors()), 0);
    })
    .await;
}

async fn streams<R: Plug>(runtime: R) {
    with_client(runtime, "", async |_, fruit, _| {
        grow(&fruit, 250).await;
        let cursor = fruit.find(doc! {}).batch_size(7).run().await.expect("found");
        let all: Vec<_> = cursor.into_stream().try_collect().await.expect("every document");
        assert_eq!(all.len(), 250);
    })
    .await;
}

async fn raw_documents_are_not_copied<R: Plug>(runtime: R) {
    with_client(runtime, "", async |_, fruit, _| {
        grow(&fruit, 25).await;
        let mut cursor = fruit.find(doc! {}).batch_size(10).run().await.expect("found");
        let mut sum = 0;
        while cursor.advance().await.expect("more") {
            let doc = cursor.current().expect("there is one").expect("well formed");
            sum += doc.get_i64("_id").expect("a number");
        }
        assert_eq!(sum, 300);
    })
    .await;
}

async fn exhaust<R: Plug>(runtime: R) {
    with_client(runtime, "?maxPoolSize=1", async |client, fruit, data| {
        grow(&fruit, 400).await;
        let found = fruit.find(doc! {}).batch_size(3).exhaust().collect().await.expect("found");
        assert_eq!(found.len(), 400);
        let limited = fruit.find(doc! {}).batch_size(3).limit(10).exhaust().collect().await.expect("found");
        assert_eq!(limited.len(), 10);
        client.ping().await.expect("the connection goes on");
        assert_eq!(data.with(|server| server.open_cursors()), 0);
    })
    .await;
}

async fn exhaust_left_early<R: Plug>(runtime: R) {
    with_client(runtime.clone(), "", async |client, fruit, data| {
        grow(&fruit, 400).await;
        for taken in [0, 3, 4, 5, 20] {
            let mut cursor = fruit.find(doc! {}).batch_size(3).exhaust().run().await.expect("found");
            for _ in 0..taken {
                cursor.next().await.expect("there are more").expect("a document");
            }
            drop(cursor);
            client.ping().await.expect("the client goes on");
            until_killed(&runtime, &data).await;
        }
    })
    .await;
}

async fn a_lost_cursor_is_an_error<R: Plug>(runtime: R) {
    with_client(runtime, "", async |client, fruit, _| {
        grow(&fruit, 10).await;
        let mut cursor = fruit.find(doc! {}).batch_size(2).run().await.expect("found");
        let ids: Vec<i64> = (1..100).collect();
        let kill = doc! { "killCursors": "fruit", "cursors": ids };
        client.database("shop").run_command(kill).run().await.expect("killed");
        let mut seen = 0;
        let error = loop {
            match cursor.next().await {
                Some(Ok(_)) => seen += 1,
                Some(Err(error)) => break error,
                None => panic!("a lost cursor looks like the end"),
            }
        };
        assert!(matches!(error, Error::Cursor(_)), "{error}");
        assert_eq!(seen, 2);
        assert!(cursor.next().await.is_none());
    })
    .await;
}

async fn next_if_any_asks_once<R: Plug>(runtime: R) {
    with_client(runtime, "", async |_, fruit, _| {
        grow(&fruit, 3).await;
        let mut cursor = fruit.find(doc! {}).batch_size(0).run().await.expect("found");
        let mut found = 0;
        while cursor.is_alive() || found < 3 {
            found += usize::from(cursor.next_if_any().await.expect("asked").is_some());
        }
        assert_eq!(found, 3);
        assert!(cursor.next_if_any().await.expect("the end").is_none());
    })
    .await;
}
