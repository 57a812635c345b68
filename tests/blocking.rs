//! The blocking client against the server in memory and, where there is one, a real one; and the bridges between kinds of streams.

mod support;

use std::net::TcpListener;
use std::process::{Child, Command as Process, Stdio};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use futures_util::future::join;

use glowplug::core::Progress;
use glowplug::redis::{Command, Pipeline, Reply, commands, memory};
use glowplug::runtime::blocking::BlockingError;
use glowplug::runtime::bridge::{FromFutures, IntoFutures};
use glowplug::runtime::redis::blocking::{Client, Error};
use glowplug::runtime::redis::serve_memory;
use glowplug::runtime::server::{Config, Server, Stopper};
use glowplug::runtime::{Runtime, Transport};
use glowplug::smol::Smol;
use glowplug::tokio::FromTokio;

use smol::io::{AsyncReadExt as _, AsyncWriteExt as _};

use support::{any_port, pair, read_all, read_some, shutdown, write};

/// A server in memory on a thread of its own. Stopped when dropped.
struct Memory {
    url: String,
    stopper: Stopper,
    thread: Option<JoinHandle<()>>,
}

impl Memory {
    fn start() -> Self {
        let server = smol::block_on(Server::bind(Smol::default(), any_port())).expect("a free port");
        let server = server.config(Config::default().drain_timeout(Duration::from_millis(10)));
        let url = format!("redis://{}", server.local_endpoint().expect("an address"));
        let stopper = server.stopper();
        let store = memory::Handle::new(memory::Config::new());
        let thread = thread::spawn(|| smol::block_on(serve_memory(Smol::default(), server, store)));
        Self { url, stopper, thread: Some(thread) }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        self.stopper.stop();
        // A panic over there is a message on standard error and a client without answers.
        drop(self.thread.take().map(JoinHandle::join));
    }
}

/// A real server, if one is installed. Killed when dropped.
struct Real {
    url: String,
    child: Child,
}

impl Real {
    fn start() -> Option<Self> {
        let port = TcpListener::bind("127.0.0.1:0").ok()?.local_addr().ok()?.port().to_string();
        let child = Process::new("redis-server")
            .args(["--port", &port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
            .current_dir(std::env::temp_dir())
            .stdout(Stdio::null())
            .spawn();
        let this = Self { url: format!("redis://127.0.0.1:{port}"), child: child.ok()? };
        let patience = Instant::now() + Duration::from_secs(20);
        while Client::connect(&this.url).is_err() {
            assert!(Instant::now() < patience, "redis-server does not come up");
            thread::sleep(Duration::from_millis(20));
        }
        Some(this)
    }
}

impl Drop for Real {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `count` answers, each to its own question.
fn pair_up(client: &mut Client, count: usize) {
    for n in 0..count {
        let text = format!("question {n}");
        assert_eq!(client.run(commands::echo(&text)).expect("an echo"), text.as_bytes());
    }
}

/// What any server has to do for the client.
fn story(url: &str) {
    let mut client = Client::connect(url).expect("connected");
    let long: Vec<u8> = (0..1 << 20).map(|n: u32| (n % 251) as u8).collect();
    client.run(commands::set("long", long.clone())).expect("set");
    let back = client.run(commands::get("long")).expect("got");
    assert!(back.as_deref() == Some(&long[..]), "another value came back");

    let mut pipeline = Pipeline::new();
    for _ in 0..100 {
        pipeline.push(Command::new("INCR").arg("count"));
    }
    let replies = client.pipeline(pipeline).expect("a pipeline");
    assert_eq!(replies, (1..=100).map(Reply::Integer).collect::<Vec<_>>());
    assert_eq!(client.pipeline(Pipeline::new()).expect("nothing"), []);

    // An error of the server is an answer, and the connection goes on.
    let wrong = client.run(commands::incr("long"));
    assert!(matches!(wrong, Err(Error::Reply(_))), "{wrong:?}");
    pair_up(&mut client, 3);

    // The server waits for longer than the caller: its late answer is nobody's.
    client.set_timeout(Some(Duration::from_millis(100)));
    let late = client.run(commands::blpop(["nothing"], Some(Duration::from_millis(600))));
    assert!(matches!(late, Err(Error::Call(BlockingError::TimedOut(Progress::FullySent)))), "{late:?}");
    client.set_timeout(Some(Duration::from_secs(30)));
    pair_up(&mut client, 100);
}

#[test]
fn against_the_server_in_memory() {
    story(&Memory::start().url);
}

#[test]
fn against_a_real_server() {
    if let Some(real) = Real::start() {
        story(&real.url);
    } else {
        let required = std::env::var("GLOWPLUG_REQUIRE_SERVERS").is_ok_and(|value| value == "1");
        assert!(!required, "redis-server is not installed, and GLOWPLUG_REQUIRE_SERVERS asks for it");
        // To the terminal itself: what a passing test prints is seen by nobody.
        let _ =
            std::io::Write::write_all(&mut std::io::stderr(), b"skipped: redis-server is not installed\n");
    }
}

#[test]
fn a_server_that_goes_away() {
    let server = Memory::start();
    let mut client = Client::connect(&server.url).expect("connected");
    pair_up(&mut client, 3);
    let url = server.url.clone();
    drop(server);
    for _ in 0..2 {
        let gone = client.run(commands::echo("anybody?"));
        assert!(matches!(gone, Err(Error::Call(BlockingError::Closed(..)))), "{gone:?}");
    }
    Client::connect(&url).expect_err("nobody listens");
}

#[test]
fn urls_that_cannot_be_used() {
    for url in ["", "http://localhost", "rediss://localhost", "redis://localhost:port"] {
        Client::connect(url).map(drop).expect_err(url);
    }
}

/// Sends `len` bytes and the end by `near`, which come back from `far`.
async fn through<A: Transport, B: Transport>(mut near: A, mut far: B, len: usize) {
    let payload: Vec<u8> = (0..len).map(|n| (n % 251) as u8).collect();
    let send = async {
        write(&mut near, payload.clone()).await.expect("written");
        shutdown(&mut near).await.expect("shut down");
        read_all(&mut near).await.expect("the end")
    };
    let echo = async {
        let all = read_all(&mut far).await.expect("the end");
        write(&mut far, all.freeze()).await.expect("written");
        shutdown(&mut far).await.expect("shut down");
    };
    let (back, ()) = join(send, echo).await;
    assert!(back == payload, "something else came back");
}

/// A transport as a `futures::io` stream, and that as a transport again, is the transport.
async fn there_and_back<R: Runtime>(runtime: R) {
    let (near, far) = pair(&runtime).await;
    through(FromFutures(IntoFutures::new(near)), far, 1 << 20).await;
}

/// Code that wants `futures::io` streams gets them.
async fn as_futures_io<R: Runtime>(runtime: R) {
    let (near, far) = pair(&runtime).await;
    let (mut near, mut far) = (IntoFutures::new(near), IntoFutures::new(far));
    let payload = vec![7; 300_000];
    let send = async {
        near.write_all(&payload).await.expect("written");
        near.close().await.expect("closed");
        let mut back = [0; 3];
        // Closing is half-closing: the answer still comes, in pieces smaller than what was read.
        for letter in b"done" {
            near.read_exact(&mut back[..1]).await.expect("read");
            assert_eq!(back[0], *letter);
        }
        assert_eq!(near.read(&mut back).await.expect("the end"), 0);
    };
    let receive = async {
        let mut all = Vec::new();
        far.read_to_end(&mut all).await.expect("the end");
        assert!(all == payload, "something else came");
        far.write_all(b"done").await.expect("written");
        far.close().await.expect("closed");
    };
    join(send, receive).await;
}

support::on_each_executor![as_futures_io, there_and_back];

#[cfg(unix)]
#[test]
fn a_socket_of_smol_is_a_transport() {
    use std::os::unix::net::UnixStream;

    support::on_smol(|_| async {
        let (near, far) = smol::Async::<UnixStream>::pair().expect("a pair");
        // Its `close` tells the peer nothing, so nobody here waits for the end.
        let (mut near, mut far) = (FromFutures(near), FromFutures(far));
        write(&mut near, vec![7; 1000]).await.expect("written");
        assert_eq!(read_some(&mut far, 1000).await.expect("read"), vec![7; 1000]);
        write(&mut far, "done").await.expect("written");
        assert_eq!(read_some(&mut near, 4).await.expect("read"), "done");
    });
}

#[test]
fn a_duplex_of_tokio_is_a_transport() {
    support::on_tokio(|_| async {
        let (near, far) = tokio::io::duplex(100);
        through(FromTokio(near), FromTokio(far), 100_000).await;
    });
}
