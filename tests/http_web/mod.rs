//! An HTTP server to be tested, and a client of bare bytes.
#![allow(dead_code, reason = "every test program takes what it needs")]

use std::convert::Infallible;
use std::error::Error;
use std::future::Future;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use futures_util::future::join;
use glowplug::runtime::http::server::{BodyError, Config, Incoming, Server, Serving};
use glowplug::runtime::server::Stopper;
use glowplug::runtime::time::{Sleep, sleep};
use glowplug::runtime::{BoxFuture, Endpoint, Runtime, Spawn};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body::{Body, Frame};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};

use crate::support::{any_port, read, write};

pub(crate) type Reply = UnsyncBoxBody<Bytes, Box<dyn Error + Send + Sync>>;
pub(crate) type Answered = Result<Response<Reply>, &'static str>;

/// A handler behind one type, so that a bound can name it.
#[derive(Clone)]
pub(crate) struct App(Arc<dyn Fn(Request<Incoming>) -> BoxFuture<Answered> + Send + Sync>);

impl App {
    pub(crate) fn new<F>(handler: impl Fn(Request<Incoming>) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Answered> + Send + 'static,
    {
        Self(Arc::new(move |request| Box::pin(handler(request))))
    }
}

impl tower_service::Service<Request<Incoming>> for App {
    type Response = Response<Reply>;
    type Error = &'static str;
    type Future = BoxFuture<Answered>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), &'static str>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Incoming>) -> Self::Future {
        (self.0)(request)
    }
}

/// What these tests ask of a plug: its sockets and timers move into tasks.
pub(crate) trait Plug:
    Runtime<Stream: Send, Timer: Send> + Spawn<Serving<Self, App>> + Send + Sync
{
}

impl<R> Plug for R where R: Runtime<Stream: Send, Timer: Send> + Spawn<Serving<Self, App>> + Send + Sync {}

pub(crate) fn full(text: impl Into<Bytes>) -> Reply {
    Full::new(text.into()).map_err(|never: Infallible| match never {}).boxed_unsync()
}

#[allow(clippy::unnecessary_wraps, reason = "it is what handlers return")]
pub(crate) fn text(text: impl Into<Bytes>) -> Answered {
    Ok(Response::new(full(text)))
}

/// `len` bytes in pieces of `piece`, each made when it is asked for.
pub(crate) fn pieces(len: usize, piece: usize) -> impl Body<Data = Bytes, Error = Infallible> + Send {
    let mut left = len;
    StreamBody::new(futures_util::stream::poll_fn(move |_| {
        let next = left.min(piece);
        left -= next;
        Poll::Ready((next > 0).then(|| Ok(Frame::data(Bytes::from(vec![b'x'; next])))))
    }))
}

/// Fails after so many bytes.
fn failing(len: usize) -> Reply {
    let mut sent = false;
    let stream = futures_util::stream::poll_fn(move |_| {
        Poll::Ready(Some(if std::mem::replace(&mut sent, true) {
            Err("this failure belongs to the test".into())
        } else {
            Ok(Frame::data(Bytes::from(vec![b'x'; len])))
        }))
    });
    StreamBody::new(stream).boxed_unsync()
}

/// An unwinding like that of any panic, without the message that would look like a failure of the test.
fn panic_silently() -> ! {
    std::panic::resume_unwind(Box::new("this panic belongs to the test"))
}

/// The handler of most tests: it does what the path says.
pub(crate) fn app<R: Plug>(runtime: &R) -> App {
    let runtime = runtime.clone();
    App::new(move |mut request| {
        let nap = |milliseconds| sleep(&runtime, Duration::from_millis(milliseconds));
        let (short, long): (Sleep<R::Timer>, Sleep<R::Timer>) = (nap(20), nap(100_000_000));
        async move {
            let path = request.uri().path().to_owned();
            let number =
                request.uri().query().and_then(|query| query.parse::<usize>().ok()).unwrap_or_default();
            match path.as_str() {
                "/hello" => text("hello"),
                "/echo" => {
                    let body = request.into_body();
                    Ok(Response::new(body.map_err(Into::into).boxed_unsync()))
                }
                "/count" => {
                    let mut count = 0;
                    loop {
                        match request.body_mut().data().await {
                            Ok(Some(data)) => count += data.len(),
                            Ok(None) => return text(count.to_string()),
                            Err(error) => return text(format!("after {count} bytes: {error}")),
                        }
                    }
                }
                "/collect" => match request.body_mut().bytes(number).await {
                    Ok(body) => text(body),
                    Err(error @ BodyError::TooLong { .. }) => {
                        let mut response = Response::new(full(error.to_string()));
                        *response.status_mut() = StatusCode::PAYLOAD_TOO_LARGE;
                        Ok(response)
                    }
                    Err(error) => text(error.to_string()),
                },
                "/trailers" => {
                    let collected = request.into_body().collect().await.map_err(|_| "no body")?;
                    let mut trailers = collected.trailers().cloned().unwrap_or_default();
                    trailers.insert("x-length", collected.to_bytes().len().into());
                    let stream = futures_util::stream::iter([
                        Ok(Frame::data(Bytes::from_static(b"body"))),
                        Ok(Frame::trailers(trailers)),
                    ]);
                    Ok(Response::new(StreamBody::new(stream).boxed_unsync()))
                }
                "/pieces" => {
                    Ok(Response::new(pieces(number, 1000).map_err(|never| match never {}).boxed_unsync()))
                }
                "/announced" => {
                    let body = pieces(number, 1000).map_err(|never| match never {}).boxed_unsync();
                    let mut response = Response::new(body);
                    response.headers_mut().insert("content-length", HeaderValue::from(number));
                    Ok(response)
                }
                "/endless" => Ok(Response::new(
                    pieces(usize::MAX, 16_384).map_err(|never| match never {}).boxed_unsync(),
                )),
                "/short" => {
                    let body = pieces(number, 1000).map_err(|never| match never {}).boxed_unsync();
                    let mut response = Response::new(body);
                    response.headers_mut().insert("content-length", HeaderValue::from(number + 1));
                    Ok(response)
                }
                "/failing" => Ok(Response::new(failing(number))),
                "/nap" => {
                    short.await;
                    text("awake")
                }
                "/never" => {
                    long.await;
                    text("never")
                }
                "/panic" => panic_silently(),
                "/panic-later" => {
                    short.await;
                    panic_silently()
                }
                "/error" => Err("this error belongs to the test"),
                "/status" => {
                    let mut response = Response::new(full("body"));
                    *response.status_mut() = StatusCode::from_u16(number as u16).map_err(|_| "status")?;
                    Ok(response)
                }
                "/peer" => {
                    text(format!("{:?}", request.body().connection().peer().socket_addr().map(|at| at.ip())))
                }
                "/until-closed" => {
                    request.body().connection().peer_closed().await;
                    text("so long")
                }
                _ if request.method() == Method::OPTIONS => text("options"),
                _ => {
                    let mut response = Response::new(full("nothing here"));
                    *response.status_mut() = StatusCode::NOT_FOUND;
                    Ok(response)
                }
            }
        }
    })
}

/// Runs `work` beside a server with `app` and `config`, then stops that and waits until it has drained.
pub(crate) async fn serving<R: Plug, T>(
    runtime: &R,
    config: Config,
    app: App,
    work: impl AsyncFnOnce(Endpoint, Stopper) -> T,
) -> T {
    let server =
        Server::bind(runtime.clone(), any_port()).await.expect("a free port").config(config).upgrades();
    let at = server.local_endpoint().expect("an address");
    let stopper = server.stopper();
    let done = async {
        let done = work(at, stopper.clone()).await;
        stopper.stop();
        done
    };
    let (done, ()) = join(done, server.run(app)).await;
    assert_eq!(stopper.connections(), 0);
    done
}

/// A client of bare bytes.
pub(crate) struct Raw<S> {
    pub(crate) stream: S,
    pub(crate) input: BytesMut,
}

/// An answer as a client sees it.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Bytes,
    pub(crate) trailers: String,
}

impl Seen {
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.head
            .lines()
            .filter_map(|line| line.split_once(": "))
            .find(|(key, _)| *key == name)
            .map(|(_, value)| value)
    }
}

impl<S: glowplug::runtime::Transport> Raw<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self { stream, input: BytesMut::new() }
    }

    pub(crate) async fn send(&mut self, bytes: impl Into<Bytes>) {
        write(&mut self.stream, bytes).await.expect("written");
    }

    /// Reads more; false at the end.
    pub(crate) async fn more(&mut self) -> bool {
        matches!(read(&mut self.stream, &mut self.input).await, Ok(1..))
    }

    async fn line_end(&mut self, end: &[u8]) -> Option<usize> {
        loop {
            if let Some(at) = self.input.windows(end.len()).position(|window| window == end) {
                return Some(at + end.len());
            }
            if !self.more().await {
                return None;
            }
        }
    }

    async fn exactly(&mut self, len: usize) -> Bytes {
        while self.input.len() < len {
            assert!(self.more().await, "the answer ends early: {:?}", self.input);
        }
        self.input.split_to(len).freeze()
    }

    /// The next head; `None` at the end of the connection.
    pub(crate) async fn head(&mut self) -> Option<(u16, String)> {
        let len = self.line_end(b"\r\n\r\n").await?;
        let head = String::from_utf8(self.input.split_to(len).to_vec()).expect("a head is text");
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status");
        Some((status, head))
    }

    async fn line(&mut self) -> String {
        let len = self.line_end(b"\r\n").await.expect("a line");
        String::from_utf8(self.input.split_to(len).to_vec()).expect("a line is text")
    }

    /// The next chunk of an answer; empty for the last.
    pub(crate) async fn chunk(&mut self) -> Bytes {
        let line = self.line().await;
        let size = usize::from_str_radix(line.trim(), 16).expect("a chunk size");
        let data = self.exactly(size).await;
        if size > 0 {
            assert_eq!(self.line().await, "\r\n");
        }
        data
    }

    /// What follows the last chunk.
    pub(crate) async fn trailers(&mut self) -> String {
        let mut trailers = String::new();
        loop {
            match self.line().await.as_str() {
                "\r\n" => return trailers,
                line => trailers.push_str(line),
            }
        }
    }

    /// The next answer, to a request of `method`.
    pub(crate) async fn answer_to(&mut self, method: &str) -> Option<Seen> {
        let (status, head) = self.head().await?;
        let mut seen = Seen { status, head, body: Bytes::new(), trailers: String::new() };
        if method == "HEAD" || matches!(status, 100..200 | 204 | 304) {
            return Some(seen);
        }
        if seen.field("transfer-encoding") == Some("chunked") {
            let mut body = BytesMut::new();
            loop {
                let chunk = self.chunk().await;
                if chunk.is_empty() {
                    break;
                }
                body.extend_from_slice(&chunk);
            }
            seen.trailers = self.trailers().await;
            seen.body = body.freeze();
        } else if let Some(length) = seen.field("content-length") {
            let length = length.parse().expect("a length");
            seen.body = self.exactly(length).await;
        } else {
            while self.more().await {}
            seen.body = self.input.split().freeze();
        }
        Some(seen)
    }

    pub(crate) async fn answer(&mut self) -> Seen {
        self.answer_to("GET").await.expect("an answer")
    }

    pub(crate) async fn get(&mut self, target: &str) -> Seen {
        self.send(get(target)).await;
        self.answer().await
    }

    /// The head of the answer to one more request, unless the connection is over.
    pub(crate) async fn head_of_hello(&mut self) -> Option<u16> {
        write(&mut self.stream, get("/hello")).await.ok()?;
        self.answer_to("GET").await.map(|seen| seen.status)
    }

    /// Reads to the end of the connection, which has to come.
    pub(crate) async fn rest(&mut self) -> Bytes {
        while self.more().await {}
        self.input.copy_to_bytes(self.input.len())
    }
}

/// A request without a body.
pub(crate) fn get(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nhost: here\r\n\r\n")
}

/// A request with a body.
pub(crate) fn post(target: &str, body: &str) -> String {
    format!("POST {target} HTTP/1.1\r\nhost: here\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

pub(crate) async fn connect<R: Runtime>(runtime: &R, at: &Endpoint) -> Raw<R::Stream> {
    Raw::new(runtime.connect(at).await.expect("connected"))
}
