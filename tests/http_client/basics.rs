//! What people do with it.

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::future::join_all;
use glowplug::core::PoolConfig;
use glowplug::http::BodyLength;
use glowplug::runtime::http::{Body, BoxError, Client, ClientError, Reaper, RequestError};
use glowplug::runtime::{Endpoint, Runtime, Spawn};
use http::{HeaderMap, HeaderValue, StatusCode};
use http_body_util::BodyExt as _;
use tower_service::Service as _;

use crate::server::{Log, Reply, Seen, Site};
use crate::support::{self, beside, read_some, write};

support::on_each_executor![
    one_connection_serves_one_request_after_the_other,
    many_at_once,
    what_a_request_says_arrives,
    what_is_known_of_the_last_url_changes_nothing,
    json_and_forms,
    bodies_stream_up,
    bodies_stream_down,
    answers_without_a_body,
    a_body_waits_for_leave,
    a_refused_body_stays_here,
    early_hints_are_heard,
    an_upgrade_hands_the_connection_over,
    connect_hands_the_connection_over,
    a_unix_socket,
    ten_megabytes_both_ways,
    an_answer_that_is_too_long,
    what_cannot_be_sent_is_refused_before_anything_is,
    as_a_tower_service,
];

pub(crate) trait Plug:
    Runtime<Stream: Send, Timer: Send, Connecting: Send, Resolving: Send> + Spawn<Reaper<Self>> + Send + Sync
{
}

impl<R> Plug for R where
    R: Runtime<Stream: Send, Timer: Send, Connecting: Send, Resolving: Send> + Spawn<Reaper<R>> + Send + Sync
{
}

pub(crate) fn client<R: Plug>(runtime: &R) -> Client<R> {
    Client::builder(runtime.clone()).build()
}

/// Runs `work` beside a server with this handler; it gets the base of URLs, a client, and what the server saw.
async fn with_server<R: Plug, T>(
    runtime: R,
    handler: impl Fn(&Seen) -> Reply,
    work: impl AsyncFnOnce(String, Client<R>, Log) -> T,
) -> T {
    let site = Site::open(&runtime).await;
    let (log, base) = (Log::default(), site.url(""));
    beside(work(base, client(&runtime), log.clone()), site.serve(log, handler)).await
}

/// Says what it was asked.
fn echo(seen: &Seen) -> Reply {
    Reply::text(format!("{} {} {}", seen.method, seen.target, seen.text()))
}

/// A body of these pieces, whose length is not known, and these trailers.
struct Pieces(Vec<&'static str>, Option<HeaderMap>);

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, BoxError>>> {
        if self.0.is_empty() {
            return Poll::Ready(self.1.take().map(|trailers| Ok(http_body::Frame::trailers(trailers))));
        }
        if self.0[0].is_empty() {
            // A pause.
            self.0.remove(0);
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let piece = self.0.remove(0);
        Poll::Ready(Some(Ok(http_body::Frame::data(Bytes::from(piece)))))
    }
}

async fn one_connection_serves_one_request_after_the_other<R: Plug>(runtime: R) {
    let handler = |seen: &Seen| match seen.target.as_str() {
        "/a" => Reply::chunked(["a"]),
        _ => echo(seen),
    };
    with_server(runtime, handler, async |base, client, log| {
        for n in 0..3 {
            let answer = client.get(format!("{base}/{n}?q")).send().await.expect("an answer");
            assert_eq!(answer.status(), 200);
            assert_eq!(answer.content_length(), Some(9));
            assert_eq!(answer.text().await.expect("a body"), format!("GET /{n}?q "));
            assert_eq!((client.connections(), client.idle_connections()), (1, 1));
        }
        // A body that came along with its head keeps no connection, whether it is read or not.
        let unread = client.get(format!("{base}/unread")).send().await.expect("an answer");
        assert_eq!((client.connections(), client.idle_connections()), (1, 1));
        assert_eq!(
            client.get(&*base).send().await.expect("an answer").text().await.expect("a body"),
            "GET / "
        );
        assert_eq!(unread.content_length(), Some(12));
        assert_eq!(unread.text().await.expect("a body"), "GET /unread ");
        assert!(log.all().iter().all(|seen| seen.connection == 0));
        // A connection in use is not shared.
        let open = client.get(format!("{base}/a")).send().await.expect("an answer");
        let other = client.get(format!("{base}/b")).send().await.expect("an answer");
        assert_eq!(log.last().connection, 1);
        assert_eq!(other.text().await.expect("a body"), "GET /b ");
        assert_eq!(open.text().await.expect("a body"), "a");
        assert_eq!((client.connections(), client.idle_connections()), (2, 2));
    })
    .await;
}

async fn many_at_once<R: Plug>(runtime: R) {
    let site = Site::open(&runtime).await;
    let (log, base) = (Log::default(), site.url(""));
    let config = PoolConfig::default().max_per_key(4);
    let client = Client::builder(runtime.clone()).pool(config).build();
    let work = async {
        let calls = (0..40).map(|n| {
            let request = client.post(format!("{base}/{n}")).body(format!("body {n}"));
            async move {
                let answer = request.send().await.expect("an answer").text().await.expect("a body");
                assert_eq!(answer, format!("POST /{n} body {n}"));
            }
        });
        join_all(calls).await;
        assert_eq!(client.connections(), 4);
        assert_eq!(client.idle_connections(), 4);
        assert_eq!(log.len(), 40);
    };
    beside(work, site.serve(log.clone(), echo)).await;
}

async fn what_a_request_says_arrives<R: Plug>(runtime: R) {
    with_server(runtime, echo, async |base, client, log| {
        client.get(&*base).send().await.expect("an answer");
        let seen = log.last();
        assert_eq!((seen.method.as_str(), seen.target.as_str()), ("GET", "/"));
        assert_eq!(seen.field("host"), base.strip_prefix("http://"));
        assert_eq!(seen.field("accept"), Some("*/*"));
        assert!(seen.field("user-agent").is_some_and(|agent| agent.starts_with("glowplug/")));
        assert_eq!(seen.field("content-length"), None);

        let request =
            client.put(format!("{base}/a")).header("x-a", "1").header("user-agent", "me").body("abc");
        request.bearer_auth("token").send().await.expect("an answer");
        let seen = log.last();
        assert_eq!((seen.method.as_str(), seen.text().as_str()), ("PUT", "abc"));
        assert_eq!(seen.field("content-length"), Some("3"));
        assert_eq!(seen.field("x-a"), Some("1"));
        assert_eq!(seen.field("user-agent"), Some("me"));
        assert_eq!(seen.field("authorization"), Some("Bearer token"));

        client.delete(format!("{base}/a")).basic_auth("me", "secret").send().await.expect("an answer");
        assert_eq!(log.last().field("authorization"), Some("Basic bWU6c2VjcmV0"));
        let with_user = base.replace("http://", "http://me:secret@");
        client.patch(with_user).send().await.expect("an answer");
        assert_eq!(log.last().field("authorization"), Some("Basic bWU6c2VjcmV0"));
        assert_eq!(log.last().field("host"), base.strip_prefix("http://"));
        assert_eq!(log.last().field("content-length"), Some("0"));
    })
    .await;
}

async fn what_is_known_of_the_last_url_changes_nothing<R: Plug>(runtime: R) {
    // One that asks for no content codings: its requests have no fields but those of the client.
    let client = Client::builder(runtime.clone()).decode(None).build();
    with_server(runtime, echo, async |base, _, log| {
        let shouted = base.replace("http", "HTTP");
        for (url, target) in [
            (base.clone(), "/"),
            (format!("{base}/"), "/"),
            (format!("{base}/a?b#c"), "/a?b"),
            (format!("{base}?a"), "/?a"),
            (format!("{base}/\u{e9}"), "/%C3%A9"),
            (shouted, "/"),
            (format!("{base}/b"), "/b"),
        ] {
            let request = client.get(&url);
            // Fields of its own once, and none the next time.
            client.get(&url).header("accept", "text/plain").send().await.expect("an answer");
            assert_eq!(log.last().field("accept"), Some("text/plain"));
            request.send().await.expect("an answer");
            let seen = log.last();
            assert_eq!((seen.field("host"), &*seen.target), (base.strip_prefix("http://"), target), "{url}");
            assert_eq!(seen.field("accept"), Some("*/*"));
            assert_eq!(seen.fields.len(), 3, "{:?}", seen.fields);
        }
        // What is wrong is wrong for a known host, too.
        assert!(matches!(client.get(format!("{base}/a b")).send().await, Err(ClientError::Request(_))));
    })
    .await;
}

async fn json_and_forms<R: Plug>(runtime: R) {
    let handler = |seen: &Seen| Reply::text(seen.text()).field("content-type", "application/json");
    with_server(runtime, handler, async |base, client, log| {
        let value = serde_json::json!({ "a": [1, 2], "b": "c" });
        let answer = client.post(&*base).json(&value).send().await.expect("an answer");
        assert_eq!(log.last().field("content-type"), Some("application/json"));
        assert_eq!(answer.json::<serde_json::Value>().await.expect("JSON"), value);

        client.post(&*base).form(&[("a", "b c"), ("d", "&")]).send().await.expect("an answer");
        assert_eq!(log.last().field("content-type"), Some("application/x-www-form-urlencoded"));
        assert_eq!(log.last().text(), "a=b+c&d=%26");

        let wrong = client.post(&*base).body("no JSON").send().await.expect("an answer");
        assert!(matches!(wrong.json::<serde_json::Value>().await, Err(ClientError::Decode(_))));

        for (url, target) in [("", "/?q=1"), ("/a", "/a?q=1"), ("/a?", "/a?q=1"), ("/a?b", "/a?b&q=1")] {
            client.get(format!("{base}{url}")).query(&[("q", 1)]).send().await.expect("an answer");
            assert_eq!(log.last().target, target);
        }
    })
    .await;
}

async fn bodies_stream_up<R: Plug>(runtime: R) {
    with_server(runtime, echo, async |base, client, log| {
        let mut trailers = HeaderMap::new();
        trailers.insert("x-sum", HeaderValue::from_static("9"));
        let pieces = Pieces(vec!["one ", "", "two ", "", "", "three"], Some(trailers));
        let request = http::Request::post(format!("{base}/up")).body(pieces).expect("a request");
        let answer = client.request(request).await.expect("an answer");
        let body = answer.into_body().bytes(100).await.expect("a body");
        assert_eq!(body, "POST /up one two three");
        let seen = log.last();
        assert_eq!(seen.field("transfer-encoding"), Some("chunked"));
        assert_eq!(seen.trailers, [("x-sum".to_owned(), "9".to_owned())]);

        // The same body, boxed; and one whose length is told.
        let boxed = Body::new(Pieces(vec!["a", "", "b"], None));
        let answer = client.post(format!("{base}/up")).body(boxed).send().await.expect("an answer");
        assert_eq!(answer.text().await.expect("a body"), "POST /up ab");
        let told =
            client.post(&*base).header("content-length", "2").body(Body::new(Pieces(vec!["ab"], None)));
        told.send().await.expect("an answer");
        assert_eq!(log.last().field("content-length"), Some("2"));
        assert_eq!(log.last().field("transfer-encoding"), None);

        // One that fails ends its connection, and nobody takes it for a whole one.
        let failing =
            futures_util::stream::iter([Ok(http_body::Frame::data(Bytes::from("a"))), Err("out of ink")]);
        let body = http_body_util::StreamBody::new(failing);
        let request = http::Request::post(format!("{base}/failing")).body(body).expect("a request");
        match client.request(request).await {
            Err(ClientError::Body { cause, .. }) => assert_eq!(cause.to_string(), "out of ink"),
            other => panic!("{other:?}"),
        }
        let answer = client.get(&*base).send().await.expect("an answer").text().await.expect("a body");
        assert_eq!(answer, "GET / ");
        assert!(log.all().iter().all(|seen| seen.complete == (seen.target != "/failing")));
    })
    .await;
}

async fn bodies_stream_down<R: Plug>(runtime: R) {
    let handler = |_: &Seen| Reply {
        trailers: vec![("x-sum".into(), "9".into())],
        ..Reply::chunked(["one ", "two ", "three"])
    };
    with_server(runtime, handler, async |base, client, _| {
        let mut answer = client.get(&*base).send().await.expect("an answer");
        assert_eq!(answer.content_length(), None);
        let mut text = String::new();
        while let Some(piece) = answer.chunk().await.expect("a piece") {
            text.push_str(std::str::from_utf8(&piece).expect("text"));
        }
        assert_eq!(text, "one two three");
        assert_eq!(answer.chunk().await.expect("the end again"), None);
        assert_eq!(client.idle_connections(), 1);

        let answer = client.get(&*base).send().await.expect("an answer").into_http();
        let collected = answer.into_body().collect().await.expect("a body");
        assert_eq!(collected.trailers().and_then(|trailers| trailers.get("x-sum")).expect("a trailer"), "9");
        assert_eq!(collected.to_bytes(), "one two three");
    })
    .await;
}

async fn answers_without_a_body<R: Plug>(runtime: R) {
    let handler = |seen: &Seen| match seen.target.as_str() {
        "/204" => Reply::status(204),
        "/304" => Reply::status(304).field("content-length", "5"),
        "/empty" => Reply::status(200),
        _ => Reply::text("12345"),
    };
    with_server(runtime, handler, async |base, client, log| {
        for path in ["/204", "/304", "/empty"] {
            let answer = client.get(format!("{base}{path}")).send().await.expect("an answer");
            // It is over before anybody looks.
            assert_eq!(client.idle_connections(), 1);
            assert_eq!(answer.bytes().await.expect("a body"), "");
        }
        let answer = client.head(format!("{base}/12345")).send().await.expect("an answer");
        assert_eq!(answer.headers()["content-length"], "5");
        assert_eq!(answer.content_length(), Some(0));
        assert_eq!(answer.bytes().await.expect("a body"), "");
        let answer = client.get(&*base).send().await.expect("an answer");
        assert_eq!(answer.bytes().await.expect("a body"), "12345");
        assert!(log.all().iter().all(|seen| seen.connection == 0));
    })
    .await;
}

async fn a_body_waits_for_leave<R: Plug>(runtime: R) {
    with_server(runtime, echo, async |base, client, log| {
        let answer = client.post(&*base).expect_continue().body("abc").send().await.expect("an answer");
        assert_eq!(answer.text().await.expect("a body"), "POST / abc");
        assert_eq!(log.last().field("expect"), Some("100-continue"));
        assert_eq!(client.idle_connections(), 1);
    })
    .await;
}

async fn a_refused_body_stays_here<R: Plug>(runtime: R) {
    let handler = |seen: &Seen| if seen.target == "/refuse" { Reply::status(417) } else { echo(seen) };
    with_server(runtime, handler, async |base, client, log| {
        let request = client.post(format!("{base}/refuse")).expect_continue().body("abc");
        let answer = request.send().await.expect("an answer");
        assert_eq!(answer.status(), StatusCode::EXPECTATION_FAILED);
        assert_eq!(log.last().text(), "");
        drop(answer);
        let answer = client.get(&*base).send().await.expect("an answer");
        assert_eq!(answer.text().await.expect("a body"), "GET / ");
    })
    .await;
}

async fn early_hints_are_heard<R: Plug>(runtime: R) {
    let handler = |_: &Seen| Reply { informational: vec![102, 103], ..Reply::text("done") };
    with_server(runtime, handler, async |base, client, _| {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let listen = heard.clone();
        let request = client.get(&*base).on_informational(move |head| {
            listen.lock().expect("not poisoned").push((head.status().as_u16(), head.get("x-hint").is_some()));
        });
        let answer = request.send().await.expect("an answer");
        assert_eq!(*heard.lock().expect("not poisoned"), [(102, true), (103, true)]);
        assert_eq!(answer.text().await.expect("a body"), "done");
        // Nobody has to listen.
        let answer = client.get(&*base).send().await.expect("an answer");
        assert_eq!(answer.text().await.expect("a body"), "done");
    })
    .await;
}

fn switching(seen: &Seen) -> Reply {
    match seen.field("upgrade") {
        Some(protocol) => Reply::status(101).field("upgrade", protocol).field("connection", "upgrade"),
        None if seen.method == "CONNECT" => Reply::status(200),
        None => echo(seen),
    }
}

async fn an_upgrade_hands_the_connection_over<R: Plug>(runtime: R) {
    with_server(runtime, switching, async |base, client, _| {
        let request = client.get(&*base).header("connection", "upgrade").header("upgrade", "shouting");
        let answer = request.send().await.expect("an answer");
        assert_eq!(answer.status(), StatusCode::SWITCHING_PROTOCOLS);
        let mut stream = answer.upgrade().await.expect("handed over");
        assert_eq!(read_some(&mut stream, 7).await.expect("bytes"), "WELCOME");
        write(&mut stream, "hello").await.expect("written");
        assert_eq!(read_some(&mut stream, 5).await.expect("bytes"), "HELLO");
        assert_eq!(client.connections(), 0, "it is not the pool's any more");

        let plain = client.get(&*base).send().await.expect("an answer");
        assert!(matches!(plain.upgrade().await, Err(ClientError::NotUpgraded)));
        // An upgrade that nobody takes is closed.
        let request = client.get(&*base).header("connection", "upgrade").header("upgrade", "shouting");
        let answer = request.send().await.expect("an answer");
        assert_eq!(answer.bytes().await.expect("no body"), "");
        assert_eq!(client.connections() - client.idle_connections(), 0);
    })
    .await;
}

async fn connect_hands_the_connection_over<R: Plug>(runtime: R) {
    let site = Site::open(&runtime).await;
    let proxy = Client::builder(runtime.clone()).connect_to(site.at.clone()).build();
    let log = Log::default();
    let work = async {
        let answer = proxy.method(http::Method::CONNECT, "http://far.example:81/").send().await;
        let mut stream = answer.expect("an answer").upgrade().await.expect("handed over");
        assert_eq!(log.last().target, "far.example:81");
        write(&mut stream, "hello").await.expect("written");
        assert_eq!(read_some(&mut stream, 12).await.expect("bytes"), "WELCOMEHELLO");
        let answer = proxy.get("http://near.example/").send().await.expect("an answer");
        assert_eq!(answer.text().await.expect("a body"), "GET / ");
        assert_eq!(log.last().field("host"), Some("near.example"));
    };
    beside(work, site.serve(log.clone(), switching)).await;
}

async fn a_unix_socket<R: Plug>(runtime: R) {
    let name = format!("glowplug-http-{}-{}.sock", std::process::id(), std::any::type_name::<R>().len());
    let path = std::env::temp_dir().join(name);
    let at = Endpoint::Unix(path.clone());
    let _ = std::fs::remove_file(&path);
    let site = Site::open_at(&runtime, &at).await;
    let client = Client::builder(runtime.clone()).connect_to(at).build();
    let log = Log::default();
    let work = async {
        let answer = client.get("http://daemon/version").send().await.expect("an answer");
        assert_eq!(answer.text().await.expect("a body"), "GET /version ");
        assert_eq!(log.last().field("host"), Some("daemon"));
    };
    beside(work, site.serve(log.clone(), echo)).await;
    let _ = std::fs::remove_file(&path);
}

async fn ten_megabytes_both_ways<R: Plug>(runtime: R) {
    let handler = |seen: &Seen| {
        let body = Bytes::from(seen.body.clone());
        let pieces = body.chunks(100_000).map(|piece| body.slice_ref(piece)).collect();
        Reply { body: pieces, length: BodyLength::Unknown, ..Reply::text("") }
    };
    with_server(runtime, handler, async |base, client, _| {
        let body: Bytes = (0..10_000_000_u32).map(|n| (n % 251) as u8).collect::<Vec<_>>().into();
        let answer = client.post(&*base).body(body.clone()).send().await.expect("an answer");
        assert!(answer.bytes().await.expect("a body") == body, "other bytes");
        assert_eq!(client.idle_connections(), 1);
    })
    .await;
}

async fn an_answer_that_is_too_long<R: Plug>(runtime: R) {
    let handler = |seen: &Seen| {
        if seen.target == "/known" { Reply::text("x".repeat(100)) } else { Reply::chunked(vec!["xxxxx"; 20]) }
    };
    with_server(runtime, handler, async |base, client, _| {
        for path in ["/known", "/chunked"] {
            let url = format!("{base}{path}");
            let short = client.get(&*url).collect_limit(99).send().await.expect("an answer").bytes().await;
            assert!(matches!(short, Err(ClientError::TooLong { limit: 99 })));
            let enough = client.get(&*url).collect_limit(100).send().await.expect("an answer").bytes().await;
            assert_eq!(enough.expect("a body").len(), 100);
        }
    })
    .await;
}

async fn what_cannot_be_sent_is_refused_before_anything_is<R: Plug>(runtime: R) {
    with_server(runtime, echo, async |base, client, log| {
        for url in ["no url", "/relative", "ftp://a/", "http://"] {
            let refused = client.get(url).send().await;
            assert!(matches!(refused, Err(ClientError::Request(RequestError::Url(_)))), "{url}: {refused:?}");
        }
        let refused = client.get(&*base).header("a b", "c").send().await;
        assert!(matches!(refused, Err(ClientError::Request(RequestError::Invalid(_)))));
        let refused = client.get(&*base).header("a", "b\n").send().await;
        assert!(matches!(refused, Err(ClientError::Request(RequestError::Invalid(_)))));
        let refused = client.get(&*base).basic_auth("a:b", "c").send().await;
        assert!(matches!(refused, Err(ClientError::Request(RequestError::Invalid(_)))));
        let mut two_hosts = http::Request::get(&*base).body(Body::empty()).expect("a request");
        two_hosts.headers_mut().append("host", HeaderValue::from_static("a"));
        two_hosts.headers_mut().append("host", HeaderValue::from_static("b"));
        let refused = client.request(two_hosts).await;
        assert!(matches!(refused, Err(ClientError::Request(RequestError::Head(_)))));
        assert_eq!(log.len(), 0);
        // The connection it would have gone out on serves the next.
        client.get(&*base).send().await.expect("an answer").bytes().await.expect("a body");
        assert_eq!(log.last().connection, 0);
    })
    .await;
}

fn ready_for<Q, S: tower_service::Service<Q>>(
    service: &mut S,
    _: &Q,
    cx: &mut Context<'_>,
) -> Poll<Result<(), S::Error>> {
    service.poll_ready(cx)
}

async fn as_a_tower_service<R: Plug>(runtime: R) {
    with_server(runtime, echo, async |base, mut client, log| {
        let request = http::Request::get(&*base).body(http_body_util::Full::new(Bytes::from("abc")));
        let request = request.expect("a request");
        std::future::poll_fn(|cx| ready_for(&mut client, &request, cx)).await.expect("always ready");
        let answer = client.call(request).await.expect("an answer");
        assert_eq!(answer.into_body().bytes(100).await.expect("a body"), "GET / abc");
        assert_eq!(log.last().field("user-agent"), None);
    })
    .await;
}

/// What a caller's own future grows by.
#[test]
fn a_request_in_flight_is_small() {
    support::on_tokio(async |runtime: glowplug::tokio::Tokio| {
        let request = client(&runtime).get("http://localhost/").send();
        let size = size_of_val(&request);
        assert!(size < 8192, "{size} bytes");
    });
}

/// Clients move between threads: the future of a request is `Send` where the plug's types are.
#[test]
fn requests_run_in_tasks_of_a_runtime_with_many_threads() {
    use glowplug::tokio::Tokio;

    support::on_tokio(async |runtime: Tokio| {
        with_server(runtime, echo, async |base, client, _| {
            let tasks: Vec<_> = (0..8)
                .map(|n| {
                    let (client, url) = (client.clone(), format!("{base}/{n}"));
                    tokio::spawn(async move { client.get(url).body("x").send().await?.text().await })
                })
                .collect();
            for (n, task) in tasks.into_iter().enumerate() {
                assert_eq!(task.await.expect("no panic").expect("an answer"), format!("GET /{n} x"));
            }
        })
        .await;
    });
}
