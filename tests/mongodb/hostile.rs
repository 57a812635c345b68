//! Servers that lie: every call ends, and says why.

use glowplug::mongodb::bson::Document;
use glowplug::mongodb::doc;
use glowplug::runtime::mongodb::{Client, ConnectError, Error};

use crate::fake::{Answer, beside_bare_fake, beside_fake};
use crate::{Plug, support};

support::on_each_executor![
    bytes_that_are_no_message,
    answers_without_what_they_need,
    a_server_without_sessions_or_limits,
    a_cursor_that_never_ends_can_be_left,
    streams_nobody_asked_for,
    handshakes_that_go_wrong,
];

async fn bytes_that_are_no_message<R: Plug>(runtime: R) {
    let header = |len: i32, code: i32| {
        let mut bytes = Vec::new();
        for word in [len, 1, 1, code] {
            bytes.extend(word.to_le_bytes());
        }
        bytes
    };
    let hostile = [
        b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(),
        header(i32::MAX, 2013),
        header(-1, 2013),
        header(16, 2013),
        header(16, 9999),
        // A reply to a request that nobody made.
        [header(26, 2013), vec![0, 0, 0, 0, 0], vec![5, 0, 0, 0, 0]].concat(),
    ];
    for bytes in hostile {
        let answer = |_: &str, _: &_| Answer::Bytes(bytes.clone());
        beside_fake(runtime.clone(), answer, async |at: String| {
            let client = Client::builder(runtime.clone()).connect(&format!("mongodb://{at}")).await;
            let client = client.expect("connected");
            let error = client.ping().await.expect_err("nonsense");
            assert!(matches!(error, Error::Broken { cause: Some(_), .. }), "{error:?}");
        })
        .await;
    }
}

async fn answers_without_what_they_need<R: Plug>(runtime: R) {
    for reply in [
        doc! { "ok": 1 },
        doc! { "ok": 1, "cursor": {} },
        doc! { "ok": 1, "cursor": { "id": "one", "firstBatch": 7 } },
        doc! { "ok": 1, "cursor": { "id": 1i64, "ns": "a.b", "firstBatch": [1, 2] } },
        doc! {},
    ] {
        let answer = |name: &str, _: &_| match name {
            "killCursors" => Answer::Reply(doc! { "ok": 1 }),
            _ => Answer::Reply(reply.clone()),
        };
        beside_fake(runtime.clone(), answer, async |at: String| {
            let client = Client::builder(runtime.clone()).connect(&format!("mongodb://{at}")).await;
            let fruit = client.expect("connected").database("shop").collection::<Document>("fruit");
            fruit.find(doc! {}).collect().await.expect_err("no cursor");
            fruit.distinct("a", doc! {}).run().await.expect_err("no values");
            fruit.count(doc! {}).run().await.expect_err("no count");
            fruit.estimated_count().run().await.expect_err("no count");
            // A write says ok and no number: it was made, and touched nothing.
            let written = fruit.insert_one(&doc! {}).run().await;
            assert_eq!(written.is_ok(), reply.as_doc().is_ok());
        })
        .await;
    }
}

async fn a_server_without_sessions_or_limits<R: Plug>(runtime: R) {
    let answer = |name: &str, request: &glowplug::mongodb::Request| match name {
        "hello" => Answer::Reply(doc! { "ok": 1, "maxWireVersion": 6, "isWritablePrimary": true }),
        _ => {
            let body = request.command().expect("a command");
            assert!(body.find("lsid").is_none() && body.find("txnNumber").is_none(), "{body}");
            Answer::Reply(doc! { "ok": 1, "n": 1 })
        }
    };
    beside_bare_fake(runtime.clone(), answer, async |at: String| {
        let client = Client::builder(runtime.clone()).connect(&format!("mongodb://{at}")).await;
        let client = client.expect("connected");
        assert!(client.start_session().is_none());
        let fruit = client.database("shop").collection::<Document>("fruit");
        fruit.insert_one(&doc! {}).run().await.expect("made");
    })
    .await;
}

async fn a_cursor_that_never_ends_can_be_left<R: Plug>(runtime: R) {
    let batch =
        |name: &str| doc! { "ok": 1, "cursor": { "id": 5i64, "ns": "shop.fruit", (name): [{ "a": 1 }] } };
    let answer = move |name: &str, _: &_| match name {
        "find" => Answer::Reply(batch("firstBatch")),
        "getMore" => Answer::Reply(batch("nextBatch")),
        _ => Answer::Reply(doc! { "ok": 1 }),
    };
    beside_fake(runtime.clone(), answer, async |at: String| {
        let client = Client::builder(runtime.clone()).connect(&format!("mongodb://{at}")).await;
        let fruit = client.expect("connected").database("shop").collection::<Document>("fruit");
        let mut cursor = fruit.find(doc! {}).run().await.expect("found");
        for _ in 0..100 {
            cursor.next().await.expect("it never ends").expect("a document");
        }
        drop(cursor);
        let limited = fruit.find(doc! {}).limit(30).collect().await.expect("found");
        assert_eq!(limited.len(), 30);
        fruit.database().client().ping().await.expect("the client goes on");
    })
    .await;
}

async fn streams_nobody_asked_for<R: Plug>(runtime: R) {
    // The machine refuses the answer that announces more; this server's own machine would not send it.
    let flags = 2u32;
    let answer = move |_: &str, request: &glowplug::mongodb::Request| {
        let mut bytes = Vec::new();
        let body = doc! { "ok": 1 };
        let len = 16 + 4 + 1 + body.as_bytes().len();
        for word in [len as i32, 1, request.request_id, 2013] {
            bytes.extend(word.to_le_bytes());
        }
        bytes.extend(flags.to_le_bytes());
        bytes.push(0);
        bytes.extend(body.as_bytes());
        Answer::Bytes(bytes)
    };
    beside_fake(runtime.clone(), answer, async |at: String| {
        let client = Client::builder(runtime.clone()).connect(&format!("mongodb://{at}")).await;
        let error = client.expect("connected").ping().await.expect_err("one answer was asked for");
        assert!(matches!(error, Error::Broken { cause: Some(_), .. }), "{error:?}");
    })
    .await;
}

async fn handshakes_that_go_wrong<R: Plug>(runtime: R) {
    let connect = async |answer: fn() -> Answer| {
        beside_bare_fake(
            runtime.clone(),
            |_, _| answer(),
            async |at: String| {
                let uri = format!("mongodb://{at}/?connectTimeoutMS=50");
                let error =
                    Client::builder(runtime.clone()).connect(&uri).await.map(drop).expect_err("no handshake");
                assert!(matches!(error, ConnectError::Handshake(_)), "{error}");
            },
        )
        .await;
    };
    connect(|| Answer::Hangup).await;
    connect(|| Answer::Silence).await;
    connect(|| Answer::Reply(doc! { "ok": 0, "errmsg": "go away", "code": 9 })).await;
    connect(|| Answer::Reply(doc! { "ok": 1, "maxWireVersion": 5 })).await;
    connect(|| Answer::Bytes(vec![0xff; 100])).await;
}
