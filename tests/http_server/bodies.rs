//! Bodies that stream, that wait to be asked for, that nobody reads, that fail, and that outlive their answer.

use std::future::poll_fn;
use std::sync::mpsc::channel;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use glowplug::core::SendBuf;
use glowplug::runtime::Transport;
use glowplug::runtime::http::server::{BodyError, Config, Incoming};
use glowplug::runtime::time::sleep;
use http::Request;

use crate::http_web::{App, Plug, connect, get, post, serving, text};
use crate::support;
use crate::with;

support::on_each_executor![
    an_echo_streams_both_ways,
    expect_continue,
    expect_continue_that_nobody_asks_for,
    an_unread_body_is_skipped,
    a_failing_body_cuts_the_answer_off,
    a_body_after_the_answer,
];

async fn an_echo_streams_both_ways<R: Plug>(runtime: R) {
    with(&runtime, async |at, _| {
        let mut client = connect(&runtime, &at).await;
        client.send("POST /echo HTTP/1.1\r\nhost: here\r\ntransfer-encoding: chunked\r\n\r\n").await;
        assert_eq!(client.head().await.expect("a head before the body").0, 200);
        for word in ["one", "two", "three"] {
            client.send(format!("{:x}\r\n{word}\r\n", word.len())).await;
            let mut heard = Vec::new();
            while heard.len() < word.len() {
                heard.extend(client.chunk().await);
            }
            assert_eq!(heard, word.as_bytes());
        }
        client.send("0\r\n\r\n").await;
        assert_eq!((client.chunk().await, client.trailers().await), (Bytes::new(), String::new()));
        // More than all buffers hold, so that both sides have to read and write at once.
        let body = "y".repeat(3_000_000);
        let head = format!("POST /echo HTTP/1.1\r\nhost: here\r\ncontent-length: {}\r\n\r\n", body.len());
        client.send(head).await;
        let seen = {
            let mut out = SendBuf::new();
            out.push(Bytes::from(body));
            let (stream, input) = (&mut client.stream, &mut client.input);
            poll_fn(|cx| {
                while !out.is_empty()
                    && let Poll::Ready(result) = stream.poll_write(cx, &mut out)
                {
                    result.expect("written");
                }
                while input.len() < 3_000_000
                    && let Poll::Ready(result) = stream.poll_read(cx, input)
                {
                    assert!(result.expect("read") > 0, "closed");
                }
                if input.len() < 3_000_000 { Poll::Pending } else { Poll::Ready(()) }
            })
            .await;
            client.answer().await
        };
        assert_eq!((seen.field("content-length"), seen.body.len()), (Some("3000000"), 3_000_000));
    })
    .await;
}

async fn expect_continue<R: Plug>(runtime: R) {
    with(&runtime, async |at, _| {
        let mut client = connect(&runtime, &at).await;
        for _ in 0..2 {
            client
                .send(
                    "POST /count HTTP/1.1\r\nhost: here\r\ncontent-length: 4\r\nexpect: 100-continue\r\n\r\n",
                )
                .await;
            assert_eq!(client.head().await.expect("a word").1, "HTTP/1.1 100 Continue\r\n\r\n");
            client.send("body").await;
            assert_eq!(client.answer().await.body, "4");
        }
        // Who does not wait need not be told, and may be.
        client
            .send(
                "POST /count HTTP/1.1\r\nhost: here\r\ncontent-length: 4\r\nexpect: 100-continue\r\n\r\nbody",
            )
            .await;
        let mut seen = client.answer().await;
        if seen.status == 100 {
            seen = client.answer().await;
        }
        assert_eq!(seen.body, "4");
    })
    .await;
}

async fn expect_continue_that_nobody_asks_for<R: Plug>(runtime: R) {
    with(&runtime, async |at, _| {
        let mut client = connect(&runtime, &at).await;
        client
            .send("POST /hello HTTP/1.1\r\nhost: here\r\ncontent-length: 4\r\nexpect: 100-continue\r\n\r\n")
            .await;
        // Answered without the body: nobody knows whether it comes, so the connection ends.
        let seen = client.answer().await;
        assert_eq!((seen.status, seen.field("connection")), (200, Some("close")));
        assert_eq!(client.rest().await, "");
    })
    .await;
}

async fn an_unread_body_is_skipped<R: Plug>(runtime: R) {
    with(&runtime, async |at, _| {
        let mut client = connect(&runtime, &at).await;
        for len in [3, 20_000] {
            client.send(post("/hello", &"z".repeat(len))).await;
            assert_eq!(client.answer().await.body, "hello");
        }
        assert_eq!(client.get("/hello").await.body, "hello");
        // Too long to be read for nothing: the answer comes, and then the end.
        let head = "POST /hello HTTP/1.1\r\nhost: here\r\ncontent-length: 100000000\r\n\r\n";
        client.send(head).await;
        assert_eq!(client.answer().await.body, "hello");
        assert_eq!(client.rest().await, "");
    })
    .await;
}

async fn a_failing_body_cuts_the_answer_off<R: Plug>(runtime: R) {
    with(&runtime, async |at, _| {
        for target in ["/failing?5000", "/short?5000"] {
            let mut client = connect(&runtime, &at).await;
            client.send(get(target)).await;
            let rest = client.rest().await;
            // Whatever came of it does not look complete.
            assert!(!rest.ends_with(b"\r\n0\r\n\r\n"), "{target}");
            assert!(rest.len() < 5300, "{target}: {} bytes", rest.len());
        }
    })
    .await;
}

async fn a_body_after_the_answer<R: Plug>(runtime: R) {
    let (kept, taken) = channel();
    let napping = runtime.clone();
    let keeping = App::new(move |request: Request<Incoming>| {
        let _ = kept.send(request.into_body());
        // What was sent at once is there by then.
        let nap = sleep(&napping, Duration::from_millis(20));
        async {
            nap.await;
            text("answered")
        }
    });
    serving(&runtime, Config::default(), keeping, async |at, _| {
        let mut client = connect(&runtime, &at).await;
        // Complete before it was answered: it can be read for as long as anybody likes.
        client.send(post("/", "whole")).await;
        assert_eq!(client.answer().await.body, "answered");
        let mut whole = taken.recv().expect("a body");
        // Not complete: what came until then, and why there is no more.
        client.send("POST / HTTP/1.1\r\nhost: here\r\ncontent-length: 8\r\n\r\nhalf").await;
        assert_eq!(client.answer().await.body, "answered");
        let mut half = taken.recv().expect("a body");
        client.send("half").await;
        client.send(post("/", "next")).await;
        assert_eq!(client.answer().await.body, "answered");
        assert_eq!(whole.bytes(100).await.expect("all of it"), "whole");
        assert_eq!(half.data().await.expect("a piece").as_deref(), Some(&b"half"[..]));
        assert_eq!(half.data().await, Err(BodyError::Answered));
        assert_eq!(half.data().await, Ok(None));
        assert_eq!(taken.recv().expect("a body").bytes(4).await.expect("all of it"), "next");
    })
    .await;
}
