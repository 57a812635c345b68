//! The HTTP server people run, against a client of bare bytes, on any executor.

use std::future::ready;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use glowplug_runtime::http::compress::{Compress, Compression};
use glowplug_runtime::http::server::{Config, Incoming, Server, ServiceFn, Serving as Task, service_fn};
use glowplug_runtime::server::Stopper;
use glowplug_runtime::time::sleep;
use glowplug_runtime::{BoxFuture, Endpoint, Runtime, Spawn};
use http::{Request, Response};

use crate::executor::io::{both, polled, read, read_all, write};
use crate::executor::{Executor, Stop, Trial, Tried, When as _, World, any_port, cases_of, ensure, trial};
use crate::runner::Case;

/// The handler, under one name.
type Handler = fn(Request<Incoming>) -> BoxFuture<Response<String>>;

/// What the server spawns: the bound of this suite.
pub type Serving<R> = Task<R, Compress<ServiceFn<Handler>>>;

/// More polls than any of these futures takes.
const MANY: usize = 200;

/// Every case, with the name of its suite.
pub fn cases<E: Executor>() -> Vec<(&'static str, Case)>
where
    E::Runtime: Spawn<Serving<E::Runtime>>,
{
    cases_of::<E>("http-server", trials())
}

fn trials<R: Runtime + Spawn<Serving<R>>>() -> Vec<Trial<R>> {
    vec![
        trial!("keep-alive", keep_alive),
        trial!("pipelined", pipelined),
        trial!("bodies-both-ways", bodies),
        trial!("expect-continue", expect_continue),
        trial!("head-has-no-body", head),
        trial!("garbage-is-refused", garbage),
        trial!("a-panic-is-a-500", panic),
        trial!("a-slow-head-is-a-408", slow_head),
        trial!("a-peer-that-closed-is-heard", peer_closed),
        trial!("clients-dropped-at-every-poll", dropped_clients),
        trial!("a-stop-drains", drain),
        trial!("compressed-for-those-who-accept-it", compressed),
    ]
}

fn handle(mut request: Request<Incoming>) -> BoxFuture<Response<String>> {
    match request.uri().path() {
        "/panic" => std::panic::resume_unwind(Box::new("this panic belongs to the suite")),
        "/echo" => Box::pin(async move {
            Response::new(match request.body_mut().bytes(1 << 20).await {
                Ok(body) => String::from_utf8_lossy(&body).into_owned(),
                Err(error) => error.to_string(),
            })
        }),
        "/wait" => Box::pin(async move {
            request.body().connection().peer_closed().await;
            Response::new("closed".to_owned())
        }),
        path => Box::pin(ready(Response::new(format!("this is {path}")))),
    }
}

/// Runs `work` beside a server, and stops that.
async fn with_server<R: Runtime + Spawn<Serving<R>>>(
    world: &World<R>,
    config: Config,
    work: impl AsyncFnOnce(Endpoint, Stopper) -> Tried,
) -> Tried {
    let server =
        Server::bind(world.runtime.clone(), Endpoint::Tcp(any_port())).await.when("bind a server")?;
    let at = server.local_endpoint().when("local_endpoint")?;
    let stopper = server.stopper();
    let working = async {
        let tried = work(at, stopper.clone()).await;
        stopper.stop();
        tried
    };
    let service = Compress::new(service_fn(handle as Handler), Compression::default().min_size(100));
    let (tried, ()) = both(working, server.config(config).run(service)).await;
    tried?;
    ensure(stopper.connections() == 0, || "the server ended before its connections".to_owned())
}

struct Client<S> {
    stream: S,
    input: BytesMut,
}

impl<S: glowplug_runtime::Transport> Client<S> {
    async fn connect<R: Runtime<Stream = S>>(runtime: &R, at: &Endpoint) -> Result<Self, Stop> {
        Ok(Self { stream: runtime.connect(at).await.when("connect")?, input: BytesMut::new() })
    }

    async fn send(&mut self, bytes: impl Into<Bytes>) -> Tried {
        write(&mut self.stream, bytes).await.when("write")
    }

    async fn more(&mut self) -> Tried {
        let count = read(&mut self.stream, &mut self.input).await.when("read")?;
        ensure(count > 0, || format!("the connection ended behind {:?}", self.input))
    }

    async fn head(&mut self) -> Result<String, Stop> {
        loop {
            if let Some(end) = memchr::memmem::find(&self.input, b"\r\n\r\n") {
                let head = self.input.split_to(end + 4);
                return Ok(String::from_utf8_lossy(&head).into_owned());
            }
            self.more().await?;
        }
    }

    /// The next answer's head and body.
    async fn answer(&mut self) -> Result<(String, String), Stop> {
        let head = self.head().await?;
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let length = length.and_then(|length| length.parse().ok()).unwrap_or_default();
        while self.input.len() < length {
            self.more().await?;
        }
        let body = self.input.split_to(length);
        Ok((head, String::from_utf8_lossy(&body).into_owned()))
    }

    /// Asks and compares.
    async fn ask(&mut self, path: &str) -> Tried {
        self.send(get(path)).await?;
        let (head, body) = self.answer().await?;
        ensure(head.starts_with("HTTP/1.1 200 OK\r\n") && body == format!("this is {path}"), || {
            format!("{path} was answered with {head}{body}")
        })
    }

    /// The connection has to end here.
    async fn end(mut self) -> Tried {
        let rest = read_all(&mut self.stream).await.when("read to the end")?;
        ensure(rest.is_empty() && self.input.is_empty(), || format!("behind the last answer came {rest:?}"))
    }
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: here\r\n\r\n")
}

async fn keep_alive<R: Runtime + Spawn<Serving<R>>>(world: World<R>) -> Tried {
    with_server(&world, Config::default(), async |at, _| {
        let mut client = Client::connect(&world.runtime, &at).await?;
        for n in 0..20 {
            client.ask(&format!("/{n}")).await?;
        }
        client.send("GET / HTTP/1.1\r\nhost: here\r\nconnection: close\r\n\r\n").await?;
        let (head, _) = client.answer().await?;
        ensure(head.contains("connection: close\r\n"), || format!("the last answer says {head}"))?;
        client.end().await
    })
    .await
}

async fn pipelined<R: Runtime + Spawn<Serving<R>>>(world: World<R>) -> Tried {
    with_server(&world, Config::default(), async |at, _| {
        let mut client = Client::connect(&world.runtime, &at).await?;
        client.send((0..200).map(|n| get(&format!("/{n}"))).collect::<String>()).await?;
        for n in 0..200 {
            let (_, body) = client.answer().await?;
            ensure(body == format!("this is /{n}"), || format!("request {n} was answered with {body:?}"))?;
        }
        Ok(())
    })
    .await
}

async fn bodies<R: Runtime + Spawn<Serving<R>>>(world: World<R>) -> Tried {
    with_server(&world, Config::default(), async |at, _| {
        let mut client = Client::connect(&world.runtime, &at).await?;
        for len in [0, 1, 1000, 300_000] {
            let body = "b".repeat(len);
            client
                .send(format!("POST /echo HTTP/1.1\r\nhost: here\r\ncontent-length: {len}\r\n\r\n{body}"))
                .await?;
            let (_, back) = client.answer().await?;
            ensure(back == body, || format!("{len} bytes came back as {}", back.len()))?;
        }
        let chunks = "5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n";
        client
            .send(format!("POST /echo HTTP/1.1\r\nhost: here\r\ntransfer-encoding: chunked\r\n\r\n{chunks}"))
            .await?;
        let (_, back) = client.answer().await?;
        ensure(back == "hello world", || format!("two chunks came back as {back:?}"))
    })
    .await
}

async fn expect_continue<R: Runtime + Spawn<Serving<R>>>(world: World<R>) -> Tried {
    with_server(&world, Config::default(), async |at, _| {
        let mut client = Client::connect(&world.runtime, &at).await?;
        client
            .send("POST /echo HTTP/1.1\r\nhost: here\r\ncontent-length: 4\r\nexpect: 100-continue\r\n\r\n")
            .await?;
        let word = client.head().await?;
        ensure(word == "HTTP/1.1 100 Continue\r\n\r\n", || {
            format!("a body that is wanted was asked for by {word}")
        })?;
        client.send("body").await?;
        let (_, back) = client.answer().await?;
        ensure(back == "body", || format!("it came back as {back:?}"))
    })
    .await
}

async fn head<R: Runtime + Spawn<Serving<R>>>(world: World<R>) -> Tried {
    with_server(&world, Config::default(), async |at, _| {
        let mut client = Client::connect(&world.runtime, &at).await?;
        client.send("HEAD /x HTTP/1.1\r\nhost: here\r\n\r\n").await?;
        let head = client.head().await?;
        ensure(head.contains("content-length: 10\r\n"), || format!("HEAD was answered with {head}"))?;
        client.ask("/after").await
    })
    .await
}

async fn garbage<R: Runtime + Spawn<Serving<R>>>(world: World<R>) -> Tried {
    with_server(&world, Config::default(), async |at, _| {
        let mut calm = Client::connect(&world.runtime, &at).await?;
        for (sent, status) in [
            ("\x16\x03\x01", "400"),
            ("GET / HTTP/1.1\r\n\r\n", "400"),
            ("GET / HTTP/3.0\r\nhost: here\r\n\r\n", "505"),
            ("POST / HTTP/1.1\r\nhost: here\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n", "400"),
        ] {
            let mut wild = Client::connect(&world.runtime, &at).await?;
            wild.send(sent).await?;
            let (head, _) = wild.answer().await?;
            ensure(head.starts_with(&format!("HTTP/1.1 {status} ")), || {
                format!("{sent:?} was answered with {head}")
            })?;
            wild.end().await?;
            calm.ask("/calm").await?;
        }
        Ok(())
    })
    .await
}

async fn panic<R: Runtime + Spawn<Serving<R>>>(world: World<R>) -> Tried {
    with_server(&world, Config::default(), async |at, _| {
        let mut calm = Client::connect(&world.runtime, &at).await?;
        calm.ask("/before").await?;
        let mut wild = Client::connect(&world.runtime, &at).await?;
        wild.send(get("/panic")).await?;
        let (head, _) = wild.answer().await?;
        ensure(head.starts_with("HTTP/1.1 500 "), || format!("a panic was answered with {head}"))?;
        wild.end().await?;
        calm.ask("/after").await
    })
    .await
}

async fn slow_head<R: Runtime + Spawn<Serving<R>>>(world: World<R>) -> Tried {
    let patience = Duration::from_millis(20);
    with_server(&world, Config::default().head_timeout(Some(patience)), async |at, _| {
        let begin = world.runtime.now();
        let mut slow = Client::connect(&world.runtime, &at).await?;
        slow.send("GET / HT").await?;
        let (head, _) = slow.answer().await?;
        ensure(head.starts_with("HTTP/1.1 408 "), || format!("half a head was answered with {head}"))?;
        ensure(world.runtime.now() - begin >= patience, || "the deadline came early".to_owned())?;
        slow.end().await
    })
    .await
}

async fn peer_closed<R: Runtime + Spawn<Serving<R>>>(world: World<R>) -> Tried {
    with_server(&world, Config::default(), async |at, stopper| {
        let mut client = Client::connect(&world.runtime, &at).await?;
        client.send(get("/wait")).await?;
        drop(client);
        // Its handler would wait for ever.
        let mut other = Client::connect(&world.runtime, &at).await?;
        other.ask("/other").await?;
        while stopper.connections() > 1 {
            sleep(&world.runtime, Duration::from_millis(1)).await;
        }
        Ok(())
    })
    .await
}

async fn dropped_clients<R: Runtime + Spawn<Serving<R>>>(world: World<R>) -> Tried {
    with_server(&world, Config::default(), async |at, stopper| {
        let mut calm = Client::connect(&world.runtime, &at).await?;
        for polls in 0..MANY {
            let story = async {
                let mut client = Client::connect(&world.runtime, &at).await?;
                client.send(get("/1") + &get("/2")).await?;
                client.send("POST /echo HTTP/1.1\r\nhost: here\r\ncontent-length: 4\r\n\r\nbo").await?;
                client.send("dy").await?;
                for _ in 0..3 {
                    client.answer().await?;
                }
                Ok(())
            };
            let told: Option<Tried> = polled(polls, story).await;
            calm.ask("/calm").await?;
            if let Some(tried) = told {
                tried?;
                // Nobody is left but the one who stayed.
                while stopper.connections() > 1 {
                    sleep(&world.runtime, Duration::from_millis(1)).await;
                }
                return calm.ask("/still").await;
            }
        }
        Err(Stop(format!("three requests take more than {MANY} polls")))
    })
    .await
}

async fn drain<R: Runtime + Spawn<Serving<R>>>(world: World<R>) -> Tried {
    with_server(&world, Config::default(), async |at, stopper| {
        let mut idle = Client::connect(&world.runtime, &at).await?;
        idle.ask("/idle").await?;
        let mut busy = Client::connect(&world.runtime, &at).await?;
        busy.send("POST /echo HTTP/1.1\r\nhost: here\r\ncontent-length: 4\r\nexpect: 100-continue\r\n\r\n")
            .await?;
        busy.head().await?;
        stopper.stop();
        idle.end().await?;
        busy.send("body").await?;
        let (head, body) = busy.answer().await?;
        ensure(body == "body" && head.contains("connection: close\r\n"), || {
            format!("what was begun before the stop was answered with {head}{body}")
        })?;
        busy.end().await
    })
    .await
}

async fn compressed<R: Runtime + Spawn<Serving<R>>>(world: World<R>) -> Tried {
    with_server(&world, Config::default(), async |at, _| {
        let long = format!("/{}", "long".repeat(500));
        for coding in ["br", "deflate", "gzip", "zstd"] {
            let mut client = Client::connect(&world.runtime, &at).await?;
            client.ask("/short").await?;
            client
                .send(format!(
                    "GET {long} HTTP/1.1\r\nhost: here\r\naccept-encoding: {coding}\r\nconnection: close\r\n\r\n"
                ))
                .await?;
            let head = client.head().await?;
            ensure(head.contains(&format!("content-encoding: {coding}\r\n")), || {
                format!("who accepts {coding} is answered with {head}")
            })?;
            let rest = read_all(&mut client.stream).await.when("read to the end")?;
            let len = client.input.len() + rest.len();
            ensure(len > 10 && len < long.len() / 4, || format!("{} bytes became {len}", long.len()))?;
        }
        Ok(())
    })
    .await
}
