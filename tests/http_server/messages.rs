//! Messages of every kind: how bodies are framed, pipelines, what is refused, and dates.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use glowplug::http::HttpDate;
use glowplug::runtime::http::server::Config;
use glowplug::runtime::time::sleep;

use crate::http_web::{App, Plug, connect, get, post, serving, text};
use crate::support;
use crate::with;

support::on_each_executor![
    keep_alive,
    http_1_0,
    head_has_no_body,
    statuses_without_a_body,
    bodies_by_length_and_in_chunks,
    answers_by_length_and_in_chunks,
    trailers_both_ways,
    pipelined_requests_are_answered_in_order,
    pipelines_without_a_reader_are_held_back,
    garbage_is_refused,
    dates,
];

async fn keep_alive<R: Plug>(runtime: R) {
    with(&runtime, async |at, stopper| {
        let mut client = connect(&runtime, &at).await;
        for _ in 0..3 {
            let seen = client.get("/hello").await;
            assert_eq!((seen.status, &seen.body[..]), (200, &b"hello"[..]));
            assert_eq!(seen.field("content-length"), Some("5"));
            assert!(seen.field("connection").is_none(), "{}", seen.head);
        }
        assert_eq!(client.get("/nothing").await.status, 404);
        assert_eq!(stopper.connections(), 1);
        let seen = client.get("/peer").await;
        assert!(seen.body.starts_with(b"Some("), "{:?}", seen.body);
        client.send("GET /hello HTTP/1.1\r\nhost: here\r\nconnection: close\r\n\r\n").await;
        assert_eq!(client.answer().await.field("connection"), Some("close"));
        assert_eq!(client.rest().await, "");
    })
    .await;
}

async fn http_1_0<R: Plug>(runtime: R) {
    with(&runtime, async |at, _| {
        let mut client = connect(&runtime, &at).await;
        client.send("GET /hello HTTP/1.0\r\nconnection: keep-alive\r\n\r\n").await;
        assert_eq!(client.answer().await.field("connection"), Some("keep-alive"));
        client.send("GET /hello HTTP/1.0\r\n\r\n").await;
        assert_eq!(client.answer().await.body, "hello");
        assert_eq!(client.rest().await, "");
        // No chunks for HTTP/1.0: the end of the connection ends the answer.
        let mut client = connect(&runtime, &at).await;
        client.send("GET /pieces?2500 HTTP/1.0\r\n\r\n").await;
        let seen = client.answer().await;
        assert_eq!((seen.body.len(), seen.field("transfer-encoding")), (2500, None));
    })
    .await;
}

async fn head_has_no_body<R: Plug>(runtime: R) {
    with(&runtime, async |at, _| {
        let mut client = connect(&runtime, &at).await;
        for (target, field) in [
            ("/hello", ("content-length", "5")),
            ("/pieces?9000", ("transfer-encoding", "chunked")),
            ("/announced?9000", ("content-length", "9000")),
            // Its body is not even asked for.
            ("/endless", ("transfer-encoding", "chunked")),
        ] {
            client.send(format!("HEAD {target} HTTP/1.1\r\nhost: here\r\n\r\n")).await;
            let seen = client.answer_to("HEAD").await.expect("an answer");
            assert_eq!(seen.field(field.0), Some(field.1), "{target}: {}", seen.head);
        }
        assert_eq!(client.get("/hello").await.body, "hello");
    })
    .await;
}

async fn statuses_without_a_body<R: Plug>(runtime: R) {
    with(&runtime, async |at, _| {
        let mut client = connect(&runtime, &at).await;
        for status in [204, 304] {
            client.send(get(&format!("/status?{status}"))).await;
            let seen = client.answer().await;
            assert_eq!(seen.status, status);
            assert!(seen.field("transfer-encoding").is_none());
        }
        assert_eq!(client.get("/status?418").await.body, "body");
        // A handler cannot answer with an informational status: that is its fault, hence a 500.
        assert_eq!(client.get("/status?102").await.status, 500);
        assert_eq!(client.rest().await, "");
    })
    .await;
}

async fn bodies_by_length_and_in_chunks<R: Plug>(runtime: R) {
    with(&runtime, async |at, _| {
        let mut client = connect(&runtime, &at).await;
        client.send(post("/count", &"x".repeat(200_000))).await;
        assert_eq!(client.answer().await.body, "200000");
        client.send("POST /count HTTP/1.1\r\nhost: here\r\ntransfer-encoding: chunked\r\n\r\n").await;
        for chunk in ["5\r\nhello\r\n", "6;name=value\r\n world\r\n", "0\r\n\r\n"] {
            client.send(chunk).await;
        }
        assert_eq!(client.answer().await.body, "11");
        client.send(post("/collect?10", "0123456789")).await;
        assert_eq!(client.answer().await.body, "0123456789");
        client.send(post("/collect?9", "0123456789")).await;
        assert_eq!(client.answer().await.status, 413);
        client.send(post("/collect?9", "")).await;
        assert_eq!(client.answer().await.body, "");
    })
    .await;
}

async fn answers_by_length_and_in_chunks<R: Plug>(runtime: R) {
    with(&runtime, async |at, _| {
        let mut client = connect(&runtime, &at).await;
        let seen = client.get("/pieces?1000000").await;
        assert_eq!((seen.field("transfer-encoding"), seen.body.len()), (Some("chunked"), 1_000_000));
        let seen = client.get("/announced?300000").await;
        assert_eq!((seen.field("content-length"), seen.body.len()), (Some("300000"), 300_000));
        assert_eq!(client.get("/pieces?0").await.body, "");
        assert_eq!(client.get("/hello").await.body, "hello");
    })
    .await;
}

async fn trailers_both_ways<R: Plug>(runtime: R) {
    with(&runtime, async |at, _| {
        let mut client = connect(&runtime, &at).await;
        client.send("POST /trailers HTTP/1.1\r\nhost: here\r\ntransfer-encoding: chunked\r\n\r\n").await;
        client.send("3\r\nabc\r\n0\r\nX-Sum: 294\r\n\r\n").await;
        let seen = client.answer().await;
        assert_eq!(seen.body, "body");
        assert!(seen.trailers.contains("x-length: 3\r\n"), "{:?}", seen.trailers);
        assert!(seen.trailers.contains("x-sum: 294\r\n"), "{:?}", seen.trailers);
        assert_eq!(client.get("/hello").await.body, "hello");
    })
    .await;
}

async fn pipelined_requests_are_answered_in_order<R: Plug>(runtime: R) {
    with(&runtime, async |at, _| {
        let mut client = connect(&runtime, &at).await;
        let request = |n: usize| match n % 4 {
            0 if n.is_multiple_of(40) => get("/nap"),
            0 => get("/hello"),
            1 => post("/echo", &n.to_string()),
            2 => get(&format!("/pieces?{n}")),
            _ => get(&format!("/status?{}", 400 + n % 10)),
        };
        let all: String = (0..400).map(request).collect();
        client.send(all).await;
        for n in 0..400_usize {
            let seen = client.answer().await;
            match n % 4 {
                0 if n.is_multiple_of(40) => assert_eq!(seen.body, "awake"),
                0 => assert_eq!(seen.body, "hello"),
                1 => assert_eq!(seen.body, n.to_string()),
                2 => assert_eq!(seen.body.len(), n),
                _ => assert_eq!(usize::from(seen.status), 400 + n % 10),
            }
        }
    })
    .await;
}

async fn pipelines_without_a_reader_are_held_back<R: Plug>(runtime: R) {
    let asked = Arc::new(AtomicUsize::new(0));
    let counting = App::new({
        let asked = asked.clone();
        move |_| {
            asked.fetch_add(1, Ordering::Relaxed);
            async { text(vec![b'x'; 60_000]) }
        }
    });
    serving(&runtime, Config::default(), counting, async |at, _| {
        let mut client = connect(&runtime, &at).await;
        client.send(get("/").repeat(300)).await;
        // Eighteen megabytes of answers are more than all buffers between here and there.
        let mut before = usize::MAX;
        while before != asked.load(Ordering::Relaxed) {
            before = asked.load(Ordering::Relaxed);
            sleep(&runtime, Duration::from_millis(50)).await;
        }
        assert!(before < 280, "{before} requests were answered that nobody reads");
        for _ in 0..50 {
            assert_eq!(client.answer().await.body.len(), 60_000);
        }
    })
    .await;
}

async fn garbage_is_refused<R: Plug>(runtime: R) {
    with(&runtime, async |at, _| {
        for (garbage, status) in [
            ("\x16\x03\x01\x02\x00\x01\x00", 400),
            ("GET / HTTP/1.1\r\n\r\n", 400),
            ("GET / HTTP/2.0\r\nhost: here\r\n\r\n", 505),
            ("POST / HTTP/1.1\r\nhost: here\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n", 400),
            ("POST /count HTTP/1.1\r\nhost: here\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n", 400),
            ("GET / HTTP/1.1\r\nhost : here\r\n\r\n", 400),
        ] {
            let mut client = connect(&runtime, &at).await;
            client.send(garbage).await;
            let seen = client.answer().await;
            assert_eq!((seen.status, seen.field("connection")), (status, Some("close")), "{garbage:?}");
            assert_eq!(client.rest().await, "");
        }
        let mut client = connect(&runtime, &at).await;
        client.send(format!("GET /{} HTTP/1.1\r\nhost: here\r\n\r\n", "x".repeat(9000))).await;
        assert_eq!(client.answer().await.status, 414);
        let mut client = connect(&runtime, &at).await;
        client.send(format!("GET / HTTP/1.1\r\nhost: here\r\n{}\r\n", "x: y\r\n".repeat(200))).await;
        assert_eq!(client.answer().await.status, 431);
        // And others are served on.
        assert_eq!(connect(&runtime, &at).await.get("/hello").await.body, "hello");
    })
    .await;
}

async fn dates<R: Plug>(runtime: R) {
    with(&runtime, async |at, _| {
        let mut client = connect(&runtime, &at).await;
        let second =
            || runtime.wall_clock().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970").as_secs();
        let before = second();
        let first = client.get("/hello").await;
        let after = second();
        let possible: Vec<_> = (before..=after).map(|at| HttpDate::from_unix(at).to_string()).collect();
        assert!(possible.iter().any(|date| first.field("date") == Some(date)), "{}", first.head);
        sleep(&runtime, Duration::from_millis(1100)).await;
        assert_ne!(client.get("/hello").await.field("date"), first.field("date"));
    })
    .await;
}
