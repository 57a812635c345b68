//! A chat for browsers: a page, and a WebSocket to everybody who has it open, on any executor. An `axum::Router` serves both.
//!
//! ```sh
//! cargo run --example web_chat                                           # two guests of its own
//! cargo run --example web_chat -- --on tokio --listen 127.0.0.1:8080     # until Ctrl-C; open http://127.0.0.1:8080/
//! cargo run --example web_chat -- --listen 127.0.0.1:8080 --redis redis://127.0.0.1   # any number of processes, one room
//! ```

pub(crate) mod common;

use std::future::Future;
use std::pin::Pin;

use async_broadcast::{InactiveReceiver, RecvError, Sender, broadcast};
use axum::Router;
use axum::extract::{Request, State};
use axum::response::{Html, Response};
use axum::routing::get;
use common::{Failure, Options, on_executor};
use futures_util::future::{Either, select};
use glowplug::runtime::http::server::{Server, Serving};
use glowplug::runtime::redis::{Client, Commands as _, Drive, HubEvent};
use glowplug::runtime::websocket::{Acceptor, Config, Connector, ServerSocket, Talking, WebSocket};
use glowplug::runtime::{Runtime, Spawn};
use glowplug::websocket::ByteString;

/// How many lines a guest may be behind; a slower one misses the oldest.
const BACKLOG: usize = 256;

/// The channel of the room in Redis.
const ROOM: &str = "web_chat";

const PAGE: &str = include_str!("web_chat.html");

fn main() -> Result<(), Failure> {
    let (options, redis) = options()?;
    run(&options, redis.as_deref())
}

/// The command line: what all examples have, and `--redis URL`.
fn options() -> Result<(Options, Option<String>), Failure> {
    use lexopt::prelude::*;
    let (mut options, mut redis) = (Options::on("smol"), None);
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("on") => options.on = parser.value()?.string()?,
            Long("listen") => options.listen = Some(parser.value()?.parse()?),
            Long("redis") => redis = Some(parser.value()?.string()?),
            other => return Err(other.unexpected().into()),
        }
    }
    Ok((options, redis))
}

pub(crate) fn run(options: &Options, redis: Option<&str>) -> Result<(), Failure> {
    on_executor!(options, |runtime| async {
        let room = Room::open(&runtime, redis).await?;
        let server = Server::bind(runtime.clone(), options.address()).await?.upgrades();
        let at = server.local_endpoint()?;
        println!("the room is open at http://{at}/");
        let serving = Box::pin(server.run(router(&runtime, &room)));
        if options.listen.is_some() {
            select(serving, Box::pin(room.relay())).await;
            return Ok(());
        }
        let story = select(Box::pin(evening(&runtime, format!("ws://{at}/chat"))), Box::pin(room.relay()));
        match select(story, serving).await {
            Either::Left((Either::Left((story, _)), _)) => story,
            _ => Err("the room was closed early".into()),
        }
    })
}

/// What this example asks of an executor: sockets, timers and tasks that any thread may own.
pub(crate) trait Everywhere:
    Runtime<Stream: Send, Timer: Send, Connecting: Send, Resolving: Send>
    + Spawn<Serving<Self, Router>>
    + Spawn<Talking<Self, Visit<Self>, Visiting>>
    + Spawn<Drive<Self>>
    + Send
    + Sync
{
}

impl<R> Everywhere for R where
    R: Runtime<Stream: Send, Timer: Send, Connecting: Send, Resolving: Send>
        + Spawn<Serving<Self, Router>>
        + Spawn<Talking<Self, Visit<Self>, Visiting>>
        + Spawn<Drive<Self>>
        + Send
        + Sync
{
}

/// What becomes of a socket, and the task that it becomes.
type Visit<R> = Box<dyn FnOnce(ServerSocket<R>) -> Visiting + Send>;
type Visiting = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What is said, to everybody.
pub(crate) struct Room<R: Runtime> {
    says: Sender<ByteString>,
    /// Keeps the channel open while nobody listens.
    hears: InactiveReceiver<ByteString>,
    /// Where other processes listen too.
    redis: Option<Client<R>>,
}

impl<R: Runtime> Clone for Room<R> {
    fn clone(&self) -> Self {
        Self { says: self.says.clone(), hears: self.hears.clone(), redis: self.redis.clone() }
    }
}

impl<R: Everywhere> Room<R> {
    pub(crate) async fn open(runtime: &R, redis: Option<&str>) -> Result<Self, Failure> {
        let (mut says, mut hears) = broadcast(BACKLOG);
        // Whoever speaks never waits for those who do not listen, nor for somebody to come.
        says.set_await_active(false);
        hears.set_overflow(true);
        let redis = match redis {
            Some(url) => Some(Client::builder(runtime.clone()).connect(url).await?),
            None => None,
        };
        Ok(Self { says, hears: hears.deactivate(), redis })
    }

    /// Says a line: to Redis if there is one, which says it to every process, this one included.
    async fn say(&self, line: ByteString) {
        if let Some(redis) = &self.redis {
            if let Err(error) = redis.publish(ROOM, line.as_bytes()).await {
                eprintln!("not said: {error}");
            }
        } else {
            let _ = self.says.broadcast(line).await;
        }
    }

    /// Says here what is heard from Redis; without one, waits for ever.
    pub(crate) async fn relay(&self) {
        let Some(redis) = &self.redis else { return std::future::pending().await };
        let Ok(mut lines) = redis.subscribe([ROOM]).await else { return };
        while let Some(event) = lines.next().await {
            if let HubEvent::Message { payload, .. } = event
                && let Ok(line) = ByteString::try_from(payload)
            {
                let _ = self.says.broadcast(line).await;
            }
        }
    }
}

/// What the routes know.
struct Shared<R: Runtime> {
    acceptor: Acceptor<R>,
    room: Room<R>,
}

impl<R: Runtime> Clone for Shared<R> {
    fn clone(&self) -> Self {
        Self { acceptor: self.acceptor.clone(), room: self.room.clone() }
    }
}

pub(crate) fn router<R: Everywhere>(runtime: &R, room: &Room<R>) -> Router {
    let acceptor = Acceptor::new(runtime.clone()).config(Config::new().max_message_len(4096));
    Router::new()
        .route("/", get(async || Html(PAGE)))
        .route("/chat", get(chat::<R>))
        .with_state(Shared { acceptor, room: room.clone() })
}

/// Turns a request into a guest. Browsers let any page open a socket to any server; here everybody is welcome.
async fn chat<R: Everywhere>(State(shared): State<Shared<R>>, mut request: Request) -> Response {
    let room = shared.room;
    let visit: Visit<R> = Box::new(move |socket| Box::pin(welcome(socket, room)));
    shared.acceptor.serve(&mut request, visit)
}

/// One guest: what they say goes to everybody, what anybody says goes to them.
async fn welcome<R: Everywhere>(socket: ServerSocket<R>, room: Room<R>) {
    let mut heard = room.hears.activate_cloned();
    let (mut reader, mut writer) = socket.split();
    let listening = async {
        while let Ok(Some(message)) = reader.recv().await {
            if let Some(line) = message.as_text() {
                room.say(line.into()).await;
            }
        }
    };
    let speaking = async {
        loop {
            let line = match heard.recv_direct().await {
                Ok(line) => line,
                Err(RecvError::Overflowed(missed)) => format!("({missed} lines missed)").into(),
                Err(RecvError::Closed) => return,
            };
            if writer.send(line).await.is_err() {
                return;
            }
        }
    };
    select(Box::pin(listening), Box::pin(speaking)).await;
}

/// Two guests, who leave when they have heard each other.
async fn evening<R: Everywhere>(runtime: &R, url: String) -> Result<(), Failure> {
    let connector = Connector::new(runtime.clone());
    let mut ann = connector.connect(url.as_str()).await?;
    let mut bob = connector.connect(url.as_str()).await?;
    // Whoever hears themselves is in the room.
    say_until_heard(&mut ann, "Ann: Is anybody there?").await?;
    say_until_heard(&mut bob, "Bob: I am!").await?;
    hear(&mut ann, "Bob: I am!").await?;
    ann.close().await?;
    bob.close().await?;
    println!("they have gone home");
    Ok(())
}

async fn say_until_heard<R: Runtime>(guest: &mut WebSocket<R>, line: &str) -> Result<(), Failure> {
    guest.send(line).await?;
    hear(guest, line).await
}

async fn hear<R: Runtime>(guest: &mut WebSocket<R>, wanted: &str) -> Result<(), Failure> {
    while let Some(message) = guest.recv().await? {
        println!("  {}", message.as_text().unwrap_or("(not text)"));
        if message.as_text() == Some(wanted) {
            return Ok(());
        }
    }
    Err("the room was closed".into())
}
