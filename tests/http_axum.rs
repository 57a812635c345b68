//! An `axum::Router`, as it is, on every executor.

mod http_web;
mod support;

use std::convert::Infallible;
use std::io::Read as _;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::StatusCode;
use axum::response::Sse;
use axum::response::sse::Event;
use axum::routing::{get, post};
use axum::{Extension, extract::Request};
use bytes::Bytes;
use flate2::read::GzDecoder;
use futures_util::future::join;
use futures_util::stream;
use futures_util::{Stream, TryStreamExt};
use glowplug::core::SendBuf;
use glowplug::runtime::http::compress::Compression;
use glowplug::runtime::http::server::{Config, Connection, Server, Serving};
use glowplug::runtime::server::Stopper;
use glowplug::runtime::time::sleep;
use glowplug::runtime::{Endpoint, Runtime, Spawn, Transport};

use http_web::connect;
use support::any_port;

support::on_each_executor![
    extractors_and_fallbacks,
    server_sent_events,
    an_upload_is_streamed,
    a_panic,
    compression_is_a_layer,
];

/// What these tests ask of a plug.
trait Plug: Runtime<Stream: Send, Timer: Send> + Spawn<Serving<Self, Router>> + Send + Sync {}

impl<R: Runtime<Stream: Send, Timer: Send> + Spawn<Serving<Self, Router>> + Send + Sync> Plug for R {}

async fn ticks<R: Plug>(State(runtime): State<R>) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    Sse::new(stream::unfold(0, move |count| {
        let nap = sleep(&runtime, Duration::from_millis(2));
        async move {
            nap.await;
            (count < 5).then(|| (Ok(Event::default().data(count.to_string())), count + 1))
        }
    }))
}

async fn upload(request: Request) -> Result<String, StatusCode> {
    let body = request.into_body().into_data_stream();
    let bytes = body.try_fold(0, |sum, piece: Bytes| async move { Ok(sum + piece.len()) });
    Ok(bytes.await.map_err(|_| StatusCode::BAD_REQUEST)?.to_string())
}

fn story() -> String {
    "once upon a time there was a router; ".repeat(200)
}

fn router<R: Plug>(runtime: &R) -> Router {
    let compressed = Router::new().route("/story", get(async || story())).layer(Compression::default());
    Router::new()
        .route("/hello/{name}", get(async |Path(name): Path<String>| format!("hello {name}")))
        .route("/collected", post(async |body: Bytes| body.len().to_string()))
        .route(
            "/peer",
            get(async |Extension(connection): Extension<Connection>| connection.peer().to_string()),
        )
        .route("/ticks", get(ticks::<R>))
        .route("/upload", post(upload))
        .route(
            "/panic",
            get(async || -> Body { std::panic::resume_unwind(Box::new("this panic belongs to the test")) }),
        )
        .layer(DefaultBodyLimit::max(1000))
        .with_state(runtime.clone())
        .merge(compressed)
}

async fn with<R: Plug>(runtime: &R, work: impl AsyncFnOnce(Endpoint, Stopper)) {
    let server = Server::bind(runtime.clone(), any_port()).await.expect("a free port");
    let server = server.config(Config::default().connection_extension(true));
    let at = server.local_endpoint().expect("an address");
    let stopper = server.stopper();
    let work = async {
        work(at, stopper.clone()).await;
        stopper.stop();
    };
    join(work, server.run(router(runtime))).await;
}

async fn extractors_and_fallbacks<R: Plug>(runtime: R) {
    with(&runtime, async |at, _| {
        let mut client = connect(&runtime, &at).await;
        assert_eq!(client.get("/hello/world").await.body, "hello world");
        assert_eq!(client.get("/nothing").await.status, 404);
        assert_eq!(client.get("/collected").await.status, 405);
        client.send(http_web::post("/collected", &"x".repeat(1000))).await;
        assert_eq!(client.answer().await.body, "1000");
        client.send("HEAD /hello/world HTTP/1.1\r\nhost: here\r\n\r\n").await;
        assert_eq!(client.answer_to("HEAD").await.expect("a head").field("content-length"), Some("11"));
        let peer = client.get("/peer").await.body;
        assert!(peer.contains(&b':'), "{peer:?}");
        client.send(http_web::post("/collected", &"x".repeat(1001))).await;
        assert_eq!(client.answer().await.status, 413);
    })
    .await;
}

async fn server_sent_events<R: Plug>(runtime: R) {
    with(&runtime, async |at, _| {
        let mut client = connect(&runtime, &at).await;
        let seen = client.get("/ticks").await;
        assert_eq!(seen.field("content-type"), Some("text/event-stream"));
        assert_eq!(seen.body, "data: 0\n\ndata: 1\n\ndata: 2\n\ndata: 3\n\ndata: 4\n\n");
    })
    .await;
}

async fn an_upload_is_streamed<R: Plug>(runtime: R) {
    const LEN: usize = 8 << 20;
    with(&runtime, async |at, _| {
        let mut client = connect(&runtime, &at).await;
        client.send(format!("POST /upload HTTP/1.1\r\nhost: here\r\ncontent-length: {LEN}\r\n\r\n")).await;
        let (mut out, mut left) = (SendBuf::new(), LEN);
        while left > 0 || !out.is_empty() {
            let next = left.min(65_536);
            left -= next;
            out.push(Bytes::from(vec![b'u'; next]));
            std::future::poll_fn(|cx| client.stream.poll_write(cx, &mut out)).await.expect("written");
        }
        assert_eq!(client.answer().await.body, LEN.to_string());
    })
    .await;
}

async fn a_panic<R: Plug>(runtime: R) {
    with(&runtime, async |at, _| {
        let mut client = connect(&runtime, &at).await;
        assert_eq!(client.get("/panic").await.status, 500);
        assert_eq!(client.rest().await, "");
        assert_eq!(connect(&runtime, &at).await.get("/hello/again").await.body, "hello again");
    })
    .await;
}

async fn compression_is_a_layer<R: Plug>(runtime: R) {
    with(&runtime, async |at, _| {
        let mut client = connect(&runtime, &at).await;
        assert_eq!(client.get("/story").await.body, story());
        client.send("GET /story HTTP/1.1\r\nhost: here\r\naccept-encoding: gzip\r\n\r\n").await;
        let seen = client.answer().await;
        assert_eq!(seen.field("content-encoding"), Some("gzip"), "{}", seen.head);
        assert_eq!((seen.field("vary"), seen.field("content-length")), (Some("accept-encoding"), None));
        assert!(seen.body.len() < story().len() / 2, "{} bytes", seen.body.len());
        let mut text = String::new();
        GzDecoder::new(&seen.body[..]).read_to_string(&mut text).expect("gzip");
        assert_eq!(text, story());
        // Beside it everything is as before.
        client.send("GET /hello/world HTTP/1.1\r\nhost: here\r\naccept-encoding: gzip\r\n\r\n").await;
        assert_eq!(client.answer().await.body, "hello world");
    })
    .await;
}
