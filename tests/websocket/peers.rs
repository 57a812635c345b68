//! Other people's clients, servers and browsers: `websockets` for Python, headless Chromium, a real Redis behind the chat.
//!
//! `GLOWPLUG_WEBSOCKETS_PYTHON` names a Python that has `websockets`, else `python3` is asked; Chromium and `redis-server` are looked for on
//! `PATH`. Without them these tests say so and pass, unless `GLOWPLUG_REQUIRE_SERVERS=1`.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use futures_util::future::{Either, select};
use glowplug::runtime::http::server::Server;
use glowplug::runtime::time::{sleep, within};
use glowplug::runtime::websocket::{Acceptor, CloseCode, Config, Connector, DeflateConfig, Message};
use glowplug::smol::Smol;
use glowplug::tokio::Tokio;

use crate::support::{any_port, beside, on_smol, on_tokio};
use crate::{Plug, echo, serving};

#[path = "../../examples/web_chat.rs"]
#[allow(
    dead_code,
    unreachable_pub,
    missing_docs,
    unnameable_types,
    reason = "an example is nobody's library"
)]
mod web_chat;

/// Says that something is missing, and fails where it is required.
fn missing(what: &str) {
    let required = std::env::var("GLOWPLUG_REQUIRE_SERVERS").is_ok_and(|value| value == "1");
    assert!(!required, "{what} is required, and not there");
    // To the terminal itself: what a passing test prints is seen by nobody.
    let _ = std::io::stderr().write_all(format!("skipped: {what} is not there\n").as_bytes());
}

/// A Python that has `websockets`.
fn python() -> Option<PathBuf> {
    let program =
        std::env::var_os("GLOWPLUG_WEBSOCKETS_PYTHON").map_or_else(|| "python3".into(), PathBuf::from);
    let import = Command::new(&program)
        .args(["-c", "import websockets.asyncio.server"])
        .stderr(Stdio::null())
        .status();
    let found = import.is_ok_and(|status| status.success()).then_some(program);
    if found.is_none() {
        missing("a Python with websockets");
    }
    found
}

fn on_path(names: &[&str]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders: Vec<_> = std::env::split_paths(&path).collect();
    let found = names.iter().flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
    let found = found.into_iter().find(|path| path.is_file());
    if found.is_none() {
        missing(names[0]);
    }
    found
}

/// A process that is ended with the test.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

const CLIENT: &str = r#"
import asyncio, sys, websockets
async def main(url, compression):
    async with websockets.connect(url, compression=compression or None, max_size=None, subprotocols=["chat"]) as ws:
        assert ws.subprotocol == "chat", ws.subprotocol
        for n in (0, 1, 125, 126, 1000, 65535, 65536, 300000):
            for message in ("\u00e9" * n, bytes(i % 251 for i in range(n))):
                await ws.send(message)
                assert await ws.recv() == message, n
        await ws.send(["one ", "two ", "three"])
        assert await ws.recv() == "one two three"
        await (await ws.ping(b"there?"))
        await ws.close(4000, "enough")
    assert ws.close_code == 4000, ws.close_code
    print("fine")
asyncio.run(main(sys.argv[1], sys.argv[2]))
"#;

const SERVER: &str = r#"
import asyncio, sys, websockets
async def echo(ws):
    async for message in ws:
        if message == "close":
            await ws.close(4001, "as you wish")
        await ws.send(message)
async def main(compression):
    async with websockets.serve(echo, "127.0.0.1", 0, compression=compression or None, max_size=None, subprotocols=["chat"]) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
asyncio.run(main(sys.argv[1]))
"#;

fn config(compression: &str) -> Config {
    let deflate = (!compression.is_empty()).then(|| DeflateConfig::new().threshold(0));
    Config::new().deflate(deflate)
}

/// Their client, our server.
async fn a_foreign_client<R: Plug>(runtime: R) {
    let Some(python) = python() else { return };
    for compression in ["", "deflate"] {
        let acceptor = Acceptor::new(runtime.clone()).subprotocols(["chat"]).config(config(compression));
        serving(&runtime, acceptor, echo, async |at| {
            let url = format!("ws://{at}/chat");
            let child = Command::new(&python)
                .args(["-c", CLIENT, &url, compression])
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .expect("python starts");
            let mut child = Process(child);
            let status = loop {
                if let Some(status) = child.0.try_wait().expect("a status") {
                    break status;
                }
                sleep(&runtime, Duration::from_millis(10)).await;
            };
            let (mut said, mut wrong) = (String::new(), String::new());
            let _ = child.0.stdout.take().expect("piped").read_to_string(&mut said);
            let _ = child.0.stderr.take().expect("piped").read_to_string(&mut wrong);
            assert!(status.success() && said == "fine\n", "{said}{wrong}");
        })
        .await;
    }
}

/// Our client, their server.
async fn a_foreign_server<R: Plug>(runtime: R) {
    let Some(python) = python() else { return };
    for compression in ["", "deflate"] {
        let child = Command::new(&python)
            .args(["-c", SERVER, compression])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python starts");
        let mut server = Process(child);
        let mut port = String::new();
        BufReader::new(server.0.stdout.take().expect("piped")).read_line(&mut port).expect("a port");
        let url = format!("ws://127.0.0.1:{}/", port.trim());
        let connector = Connector::new(runtime.clone()).subprotocols(["chat"]).config(config(compression));
        let mut socket = connector.connect(url.as_str()).await.expect("connected");
        assert_eq!(socket.protocol(), Some("chat"));
        for len in [0, 1, 125, 126, 1000, 65_535, 65_536, 300_000] {
            let bytes: Vec<u8> = (0..len).map(|n: u32| (n % 251) as u8).collect();
            for message in [Message::text("é".repeat(len as usize)), Message::binary(bytes)] {
                socket.send(message.clone()).await.expect("sent");
                assert_eq!(socket.recv().await.expect("an echo"), Some(message));
            }
        }
        socket.send_data(glowplug::websocket::MessageKind::Text, "one ", false).await.expect("sent");
        socket.send_data(glowplug::websocket::MessageKind::Text, "two", true).await.expect("sent");
        assert_eq!(socket.recv().await.expect("an echo"), Some("one two".into()));
        socket.send("close").await.expect("sent");
        assert_eq!(socket.recv().await.expect("the end"), None);
        let goodbye = socket.close_frame().expect("a reason");
        assert_eq!((Some(goodbye.code), &*goodbye.reason), (CloseCode::new(4001), "as you wish"));
    }
}

#[test]
fn a_foreign_client_on_tokio() {
    on_tokio(a_foreign_client);
}

#[test]
fn a_foreign_client_on_smol() {
    on_smol(a_foreign_client);
}

#[test]
fn a_foreign_server_on_tokio() {
    on_tokio(a_foreign_server);
}

#[test]
fn a_foreign_server_on_smol() {
    on_smol(a_foreign_server);
}

/// The chat's own story, alone and with its room in Redis.
#[test]
fn the_chat_tells_its_story() {
    for executor in ["tokio", "smol"] {
        let options = web_chat::common::Options::on(executor);
        web_chat::run(&options, None).unwrap_or_else(|error| panic!("on {executor}: {error}"));
    }
}

/// Two servers share a room in our own Redis, in memory.
#[test]
fn a_room_in_redis_is_shared() {
    use glowplug::redis::memory;
    on_tokio(|tokio| async move {
        let redis = glowplug::runtime::server::Server::bind(tokio, any_port()).await.expect("a port");
        let url = format!("redis://{}", redis.local_endpoint().expect("an address"));
        let memory = memory::Handle::new(memory::Config::new());
        beside(share_a_room(tokio, url), glowplug::runtime::redis::serve_memory(tokio, redis, memory)).await;
    });
}

/// The same with a `redis-server`.
#[test]
fn a_room_in_a_real_redis_is_shared() {
    let Some(program) = on_path(&["redis-server"]) else { return };
    let port = std::net::TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr());
    let port = port.expect("a port").port();
    let child = Command::new(program)
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let _server = Process(child.expect("redis-server starts"));
    on_tokio(|tokio| async move {
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            sleep(&tokio, Duration::from_millis(10)).await;
        }
        share_a_room(tokio, format!("redis://127.0.0.1:{port}")).await;
    });
}

/// Two processes' worth of servers, one on tokio and one on smol: who talks to the one is heard at the other.
async fn share_a_room(tokio: Tokio, url: String) {
    let far_url = url.clone();
    let (tell, told) = std::sync::mpsc::channel();
    // The other process, on the other executor. It ends with the test.
    std::thread::spawn(move || {
        let smol = Smol::default();
        smol::block_on(async {
            let room = web_chat::Room::open(&smol, Some(&far_url)).await.expect("a room");
            let server = Server::bind(smol.clone(), any_port()).await.expect("a port").upgrades();
            let _ = tell.send(server.local_endpoint().expect("an address"));
            let router = web_chat::router(&smol, &room);
            select(Box::pin(server.run(router)), Box::pin(room.relay())).await;
        });
    });
    let room = web_chat::Room::open(&tokio, Some(&url)).await.expect("a room");
    let server = Server::bind(tokio, any_port()).await.expect("a port").upgrades();
    let near = server.local_endpoint().expect("an address");
    let far = loop {
        match told.try_recv() {
            Ok(at) => break at,
            Err(_) => sleep(&tokio, Duration::from_millis(5)).await,
        }
    };
    let talk = async {
        let connector = Connector::new(tokio);
        let mut ann = connector.connect(format!("ws://{near}/chat")).await.expect("in");
        let mut bob = connector.connect(format!("ws://{far}/chat")).await.expect("in");
        // Subscriptions take their time: Ann calls until Bob hears her.
        let calling = async {
            loop {
                ann.send("Bob?").await.expect("said");
                let _ = within(&tokio, Some(Duration::from_millis(20)), ann.recv()).await;
            }
        };
        let heard = beside(bob.recv(), calling).await;
        assert_eq!(heard.expect("a line"), Some("Bob?".into()));
    };
    let serving = server.run(web_chat::router(&tokio, &room));
    match select(Box::pin(talk), select(Box::pin(serving), Box::pin(room.relay()))).await {
        Either::Left(((), _)) => {}
        Either::Right(_) => panic!("the room was closed early"),
    }
}

/// A browser opens the chat's page, says what its link says, hears us, and shows both.
#[test]
fn a_browser_chats() {
    let Some(chromium) = on_path(&["chromium", "chromium-browser", "google-chrome"]) else { return };
    on_tokio(|tokio: Tokio| async move {
        let room = web_chat::Room::open(&tokio, None).await.expect("a room");
        let server = Server::bind(tokio, any_port()).await.expect("a port").upgrades();
        let at = server.local_endpoint().expect("an address");
        let profile = std::env::temp_dir().join(format!("glowplug-chromium-{}", std::process::id()));
        let work = async {
            let mut us = Connector::new(tokio).connect(format!("ws://{at}/chat")).await.expect("in");
            // How long the page is left alone is the browser's own time, so it may be looked at too early.
            let mut page = String::new();
            for _ in 0..8 {
                let child = Command::new(&chromium)
                    .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"])
                    .args(["--dump-dom", "--no-first-run", "--disable-background-networking"])
                    .arg("--virtual-time-budget=5000")
                    .arg(format!("--user-data-dir={}", profile.display()))
                    .arg(format!("http://{at}/?name=browser&say=hello"))
                    .stdout(Stdio::piped())
                    .stderr(Stdio::null())
                    .spawn()
                    .expect("chromium starts");
                let mut browser = Process(child);
                while us.recv().await.expect("a line") != Some("browser: hello".into()) {}
                us.send("us: hello, browser").await.expect("said");
                while browser.0.try_wait().expect("a status").is_none() {
                    sleep(&tokio, Duration::from_millis(20)).await;
                }
                page.clear();
                let _ = browser.0.stdout.take().expect("piped").read_to_string(&mut page);
                if page.contains("<li>us: hello, browser</li>") {
                    break;
                }
            }
            for line in ["<li>browser: hello</li>", "<li>us: hello, browser</li>", ">connected<"] {
                assert!(page.contains(line), "{line} is not in {page}");
            }
        };
        beside(work, server.run(web_chat::router(&tokio, &room))).await;
        let _ = std::fs::remove_dir_all(profile);
    });
}
