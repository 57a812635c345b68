//! The HTTP server on every executor: what clients of all kinds may expect of it.

mod http_web;
mod support;

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::task::Poll;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures_util::future::join_all;
use glowplug::core::SendBuf;
use glowplug::http::HttpDate;
use glowplug::runtime::http::server::{BodyError, Config, Incoming, OnUpgrade, UpgradeError};
use glowplug::runtime::server::Stopper;
use glowplug::runtime::time::{sleep, within};
use glowplug::runtime::{Endpoint, Transport};
use http::{HeaderValue, Request, Response, StatusCode};

use http_web::{App, Plug, app, connect, full, get, post, serving, text};
use support::shutdown;

support::on_each_executor![
    keep_alive,
    http_1_0,
    head_has_no_body,
    statuses_without_a_body,
    bodies_by_length_and_in_chunks,
    answers_by_length_and_in_chunks,
    an_echo_streams_both_ways,
    trailers_both_ways,
    pipelined_requests_are_answered_in_order,
    pipelines_without_a_reader_are_held_back,
    expect_continue,
    expect_continue_that_nobody_asks_for,
    an_unread_body_is_skipped,
    a_panic_is_a_500,
    a_failing_body_cuts_the_answer_off,
    garbage_is_refused,
    a_handler_hears_that_its_peer_closed,
    upgrades,
    connect_is_an_upgrade,
    an_upgrade_that_is_not_granted,
    a_stop_lets_requests_finish,
    a_stop_closes_idle_connections,
    the_cap_holds_connections_back,
    many_idle_connections,
    a_body_after_the_answer,
    dates,
];

async fn with<R: Plug>(runtime: &R, work: impl AsyncFnOnce(Endpoint, Stopper)) {
    serving(runtime, Config::default(), app(runtime), work).await;
}

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
        for n in 0..400 {
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

/// Grants every upgrade with `status`, and gives whoever holds the other end what was granted.
fn granting(status: StatusCode, granted: Sender<OnUpgrade>) -> App {
    App::new(move |mut request: Request<_>| {
        let upgrade = request.extensions_mut().remove::<OnUpgrade>();
        let asked = upgrade.is_some();
        let _ = upgrade.map(|upgrade| granted.send(upgrade));
        async move {
            if !asked {
                return text("no upgrade was asked for");
            }
            let mut response = Response::new(full(""));
            *response.status_mut() = status;
            if status == StatusCode::SWITCHING_PROTOCOLS {
                for (name, value) in [("connection", "upgrade"), ("upgrade", "capitals")] {
                    response.headers_mut().insert(name, HeaderValue::from_static(value));
                }
            }
            Ok(response)
        }
    })
}

const UPGRADE: &str = "GET /chat HTTP/1.1\r\nhost: here\r\nconnection: upgrade\r\nupgrade: capitals\r\n\r\n";

/// The tunnel works both ways, and gets what was sent early.
async fn talk_through<R: Plug>(runtime: &R, request: &str, status: StatusCode) {
    let (granted, taken) = channel();
    serving(runtime, Config::default(), granting(status, granted), async |at, stopper| {
        let mut client = connect(runtime, &at).await;
        assert_eq!(client.get("/plain").await.body, "no upgrade was asked for");
        client.send(format!("{request}early")).await;
        let (answered, head) = client.head().await.expect("a head");
        assert_eq!(answered, status.as_u16());
        assert!(!head.contains("content-length") && !head.contains("transfer-encoding"), "{head}");
        let mut upgraded = taken.recv().expect("granted").await.expect("handed over");
        // It is no connection of the server's any more, as soon as its task has ended.
        while stopper.connections() > 0 {
            sleep(runtime, Duration::from_millis(1)).await;
        }
        client.send(" and late").await;
        while upgraded.input.len() < 14 {
            support::read(&mut upgraded.transport, &mut upgraded.input).await.expect("read");
        }
        assert_eq!(upgraded.input, "early and late");
        support::write(&mut upgraded.transport, "back").await.expect("written");
        drop(upgraded);
        assert_eq!(client.rest().await, "back");
    })
    .await;
}

async fn upgrades<R: Plug>(runtime: R) {
    talk_through(&runtime, UPGRADE, StatusCode::SWITCHING_PROTOCOLS).await;
}

async fn connect_is_an_upgrade<R: Plug>(runtime: R) {
    talk_through(&runtime, "CONNECT there:443 HTTP/1.1\r\nhost: there:443\r\n\r\n", StatusCode::OK).await;
}

async fn an_upgrade_that_is_not_granted<R: Plug>(runtime: R) {
    let (granted, taken) = channel();
    serving(&runtime, Config::default(), granting(StatusCode::OK, granted), async |at, _| {
        let mut client = connect(&runtime, &at).await;
        client.send(UPGRADE).await;
        assert_eq!(client.answer().await.status, 200);
        let refused = taken.recv().expect("offered").await;
        assert_eq!(refused.err(), Some(UpgradeError));
        // The connection goes on as it was.
        assert_eq!(client.get("/plain").await.status, 200);
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
