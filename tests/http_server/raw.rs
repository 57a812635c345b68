//! Services that take requests as they came on the wire.

use std::convert::Infallible;
use std::sync::{LazyLock, Mutex};

use bytes::Bytes;
use futures_util::future::join;
use glowplug::http::{EncodedFields, FieldSource};
use glowplug::runtime::http::server::{
    Incoming, OnUpgrade, RawFn, RawRequest, RawResponse, Server, Serving, raw_fn,
};
use glowplug::runtime::{BoxFuture, Endpoint, Runtime, Spawn};
use http::StatusCode;
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};

use crate::http_web::{Raw, Reply, connect, full, get, pieces, post};
use crate::support::{self, any_port};

support::on_each_executor![
    heads_are_as_they_were_written,
    pipelines_and_bodies,
    answers_without_a_body,
    what_cannot_be_sent_is_a_500,
    encoded_fields,
    upgrades,
];

type Answered = Result<RawResponse<Fields, Reply>, &'static str>;

/// The handler, under one name.
type Handler = fn(RawRequest) -> BoxFuture<Answered>;

/// What these tests ask of a plug.
trait Plug: Runtime<Stream: Send, Timer: Send> + Spawn<Serving<Self, RawFn<Handler>>> {}

impl<R> Plug for R where R: Runtime<Stream: Send, Timer: Send> + Spawn<Serving<Self, RawFn<Handler>>> {}

/// Fields of either kind.
enum Fields {
    Pairs(Vec<(&'static str, &'static str)>),
    Encoded(&'static EncodedFields),
}

impl FieldSource for Fields {
    fn each(&self, visit: impl FnMut(&[u8], &[u8])) {
        match self {
            Self::Pairs(pairs) => pairs.each(visit),
            Self::Encoded(encoded) => encoded.each(visit),
        }
    }

    fn encoded(&self) -> Option<&EncodedFields> {
        match self {
            Self::Pairs(_) => None,
            Self::Encoded(encoded) => Some(encoded),
        }
    }
}

fn answer(status: u16, fields: &[(&'static str, &'static str)], body: Reply) -> Answered {
    let status = StatusCode::from_u16(status).map_err(|_| "status")?;
    Ok(RawResponse::new(status, Fields::Pairs(fields.to_vec()), body))
}

fn echo(body: Incoming) -> Reply {
    body.map_err(Into::into).boxed_unsync()
}

/// Two bytes by the size hint, of which the second never comes: there is an error in its place, or nothing.
fn short(error: Option<&'static str>) -> Reply {
    let frames = [Ok(Frame::data(Bytes::from_static(b"x")))].into_iter();
    let stream = futures_util::stream::iter(frames.chain(error.map(Err)));
    Announced(StreamBody::new(stream).map_err(Into::into).boxed_unsync(), 2).boxed_unsync()
}

/// A body that says how long it is, right or wrong.
struct Announced(Reply, u64);

impl http_body::Body for Announced {
    type Data = Bytes;
    type Error = <Reply as http_body::Body>::Error;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        std::pin::Pin::new(&mut self.0).poll_frame(cx)
    }

    fn size_hint(&self) -> http_body::SizeHint {
        http_body::SizeHint::with_exact(self.1)
    }
}

static ENCODED: LazyLock<EncodedFields> = LazyLock::new(|| {
    let given = [("Server", "raw"), ("content-length", "7"), ("date", "today"), ("connection", "close")];
    EncodedFields::new(&given).expect("they may be sent")
});

async fn handle(request: RawRequest) -> Answered {
    let RawRequest { head, body, upgrade, .. } = request;
    match head.target() {
        "/echo" => answer(200, &[], echo(body)),
        "/collect" => {
            let mut body = body;
            answer(200, &[], full(body.bytes(100).await.map_err(|_| "no body")?))
        }
        "/pieces" => answer(200, &[], Announced(pieces_of(2500), 2500).boxed_unsync()),
        "/nothing" => answer(200, &[], Announced(pieces_of(0), 0).boxed_unsync()),
        "/204" => answer(204, &[("X-A", "1")], full("body")),
        "/order" => answer(200, &[("X-B", "1"), ("a", "2"), ("x-b", ""), ("content-length", "7")], full("b")),
        "/encoded" => Ok(RawResponse::new(StatusCode::OK, Fields::Encoded(&ENCODED), full("body"))),
        "/bad-name" => answer(200, &[("a b", "1")], full("body")),
        "/bad-value" => answer(200, &[("a", "1\r\nb: 2")], full("body")),
        "/continue" => answer(100, &[], full("body")),
        "/error" => Err("this error belongs to the test"),
        "/short" => answer(200, &[], short(None)),
        "/failing" => answer(200, &[], short(Some("this error belongs to the test"))),
        "/failing-at-once" => {
            let frames = [Err::<Frame<Bytes>, _>("this error belongs to the test")];
            let body = StreamBody::new(futures_util::stream::iter(frames)).map_err(Into::into).boxed_unsync();
            answer(200, &[], Announced(body, 2).boxed_unsync())
        }
        "/panic" => std::panic::resume_unwind(Box::new("this panic belongs to the test")),
        "/offered" => answer(200, &[], full(upgrade.is_some().to_string())),
        target if target.starts_with("/granted/") => {
            let upgrade = upgrade.map(|upgrade| (target.to_owned(), upgrade));
            GRANTED.lock().expect("nobody panics").extend(upgrade);
            answer(101, &[("connection", "upgrade"), ("upgrade", "a")], full(""))
        }
        target => {
            let fields = head.iter().map(|(name, value)| format!("|{name}={}", value.escape_ascii()));
            let line = format!("{} {target} {:?}", head.method(), head.version());
            answer(200, &[], full(line + &fields.collect::<String>()))
        }
    }
}

fn pieces_of(len: usize) -> Reply {
    pieces(len, 1000).map_err(|never: Infallible| match never {}).boxed_unsync()
}

/// The connections that were handed over, each by the target that asked for it.
static GRANTED: Mutex<Vec<(String, OnUpgrade)>> = Mutex::new(Vec::new());

async fn with<R: Plug>(runtime: &R, work: impl AsyncFnOnce(Endpoint)) {
    let server = Server::bind(runtime.clone(), any_port()).await.expect("a free port").upgrades();
    let at = server.local_endpoint().expect("an address");
    let stopper = server.stopper();
    let working = async {
        work(at).await;
        stopper.stop();
    };
    let handler: Handler = |request| Box::pin(handle(request));
    join(working, server.run(raw_fn(handler))).await;
    assert_eq!(stopper.connections(), 0);
}

async fn heads_are_as_they_were_written<R: Plug>(runtime: R) {
    with(&runtime, async |at| {
        let mut client = connect(&runtime, &at).await;
        // The http crate has no URI for this one.
        client
            .send("PUT //a`b?[c] HTTP/1.1\r\nHost: here\r\nX-Case:  One \r\nx-case: \r\nx: \u{e9}\r\n\r\n")
            .await;
        let seen = client.answer().await;
        let told = "PUT //a`b?[c] HTTP/1.1|Host=here|X-Case=One|x-case=|x=\\xc3\\xa9";
        assert_eq!((seen.status, &seen.body[..]), (200, told.as_bytes()));
        client.send(get("/order")).await;
        let (_, head) = client.head().await.expect("a head");
        let lines: Vec<&str> = head.lines().collect();
        assert_eq!(lines[..4], ["HTTP/1.1 200 OK", "X-B: 1", "a: 2", "x-b: "], "{head}");
        assert!(lines[4].starts_with("date: ") && lines[5] == "content-length: 1", "{head}");
        assert_eq!(lines[6..], [""], "{head}");
    })
    .await;
}

async fn pipelines_and_bodies<R: Plug>(runtime: R) {
    with(&runtime, async |at| {
        let mut client = connect(&runtime, &at).await;
        client.send((0..200).map(|n| get(&format!("/{n}"))).collect::<String>()).await;
        for n in 0..200 {
            assert_eq!(client.answer().await.body, format!("GET /{n} HTTP/1.1|host=here"));
        }
        let long = "b".repeat(200_000);
        for body in ["", "some", &long] {
            client.send(post("/echo", body)).await;
            assert!(client.answer().await.body == body);
        }
        let head =
            "POST /collect HTTP/1.1\r\nhost: here\r\nexpect: 100-continue\r\ntransfer-encoding: chunked\r\n\r\n";
        client.send(head).await;
        assert_eq!(client.head().await.expect("a head").0, 100);
        client.send("4\r\nsome\r\n0\r\n\r\n").await;
        assert_eq!(client.answer().await.body, "some");
        let seen = client.get("/pieces").await;
        assert_eq!((seen.field("content-length"), seen.body.len()), (Some("2500"), 2500));
        let seen = client.get("/nothing").await;
        assert_eq!((seen.field("content-length"), seen.body.len()), (Some("0"), 0));
    })
    .await;
}

async fn answers_without_a_body<R: Plug>(runtime: R) {
    with(&runtime, async |at| {
        let mut client = connect(&runtime, &at).await;
        for (target, length) in [("/short", "2"), ("/pieces", "2500"), ("/encoded", "4")] {
            // Their bodies are not even asked for.
            client.send(format!("HEAD {target} HTTP/1.1\r\nhost: here\r\n\r\n")).await;
            let seen = client.answer_to("HEAD").await.expect("an answer");
            assert_eq!((seen.status, seen.field("content-length")), (200, Some(length)), "{target}");
            if target == "/encoded" {
                assert_eq!(client.rest().await, "", "its fields say close");
                client = connect(&runtime, &at).await;
            }
        }
        let seen = client.get("/204").await;
        assert_eq!((seen.field("X-A"), seen.field("content-length")), (Some("1"), None));
        assert_eq!(client.get("/a").await.status, 200);
    })
    .await;
}

async fn what_cannot_be_sent_is_a_500<R: Plug>(runtime: R) {
    with(&runtime, async |at| {
        for target in ["/bad-name", "/bad-value", "/continue", "/error", "/panic", "/failing-at-once"] {
            let mut client = connect(&runtime, &at).await;
            client.send(get(target) + &get("/a")).await;
            assert_eq!(client.answer().await.status, 500, "{target}");
            assert_eq!(client.rest().await, "", "{target}");
        }
        // Here it has begun: all that can be said is that it was cut off.
        for target in ["/short", "/failing"] {
            let mut client = connect(&runtime, &at).await;
            client.send(get(target)).await;
            assert_eq!(client.head().await.expect("a head").0, 200);
            assert!(client.rest().await.len() < 2, "{target}");
        }
    })
    .await;
}

async fn encoded_fields<R: Plug>(runtime: R) {
    with(&runtime, async |at| {
        let mut client = connect(&runtime, &at).await;
        client.send(get("/encoded")).await;
        let (_, head) = client.head().await.expect("a head");
        let told =
            "HTTP/1.1 200 OK\r\nServer: raw\r\ndate: today\r\nconnection: close\r\ncontent-length: 4\r\n\r\n";
        assert_eq!(head, told);
        assert_eq!(client.rest().await, "body");
    })
    .await;
}

async fn upgrades<R: Plug>(runtime: R) {
    with(&runtime, async |at| {
        let mut client: Raw<_> = connect(&runtime, &at).await;
        assert_eq!(client.get("/offered").await.body, "false");
        let ask = |target: &str| {
            format!("GET {target} HTTP/1.1\r\nhost: here\r\nconnection: upgrade\r\nupgrade: a\r\n\r\n")
        };
        client.send(ask("/offered")).await;
        assert_eq!(client.answer().await.body, "true");
        let target = format!("/granted/{at}");
        client.send(ask(&target) + "early").await;
        let (status, head) = client.head().await.expect("a head");
        assert!(status == 101 && !head.contains("content-length"), "{head}");
        let granted = GRANTED.lock().expect("nobody panics").extract_if(.., |(of, _)| *of == target).next();
        let mut upgraded = granted.expect("it was offered").1.await.expect("handed over");
        while upgraded.input.len() < "early".len() {
            support::read(&mut upgraded.transport, &mut upgraded.input).await.expect("read");
        }
        assert_eq!(upgraded.input, "early");
        support::write(&mut upgraded.transport, "back").await.expect("written");
        drop(upgraded);
        assert_eq!(client.rest().await, "back");
    })
    .await;
}
