//! Sockets on bad networks: what is received is a prefix of what was sent, whole and in order, and everybody comes to an end.
//!
//! `GLOWPLUG_SEED=0..10000 cargo test --release --test websocket seeds` is the long run.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use futures_util::future::{join, join_all};
use glowplug::core::Seed;
use glowplug::runtime::time::within;
use glowplug::runtime::websocket::{Acceptor, Config, Connector, DeflateConfig, Error, Message, WebSocket};
use glowplug::runtime::{Endpoint, Listener, Runtime};
use glowplug::sim::{Link, Sim, Simulation, seeds};

const PORT: u16 = 80;
const MESSAGES: u32 = 30;

/// The `n`th message of `who`: text or bytes, of a length by dice, sometimes in frames.
fn message(who: u32, n: u32) -> Message {
    let mut rng = Seed::from_u64(u64::from(who) << 32 | u64::from(n)).rng();
    let len = if rng.chance(1, 10) { rng.below(150_000) } else { rng.below(300) } as usize;
    let word = format!("{who}:{n} κόσμε ");
    if rng.chance(1, 2) {
        Message::text(word.repeat(1 + len / 20))
    } else {
        Message::binary(word.repeat(1 + len / 20).into_bytes())
    }
}

fn config(seed: u64) -> Config {
    let deflate = seed
        .is_multiple_of(2)
        .then(|| DeflateConfig::new().threshold(0).server_no_context_takeover(seed.is_multiple_of(4)));
    Config::new()
        .deflate(deflate)
        .send_buffer(if seed.is_multiple_of(3) { 100 } else { 64 * 1024 })
        .ping_interval(Some(Duration::from_secs(5)))
        .pong_timeout(Duration::from_secs(5))
}

/// Sends its messages and receives the other's, giving each up and beginning it again by dice. Says how many came. Receiving sends what
/// waits to be sent; two ends that flushed much before they receive would wait for each other.
async fn talk<T: glowplug::runtime::Transport>(
    host: &Sim,
    mut socket: WebSocket<Sim, T>,
    own: u32,
    other: u32,
    patience: u64,
) -> (u32, Result<(), Error>) {
    let (mut sent, mut received) = (0, 0);
    let result = async {
        while sent < MESSAGES || received < MESSAGES {
            if sent < MESSAGES && sent <= received {
                match host.at_risk(patience, socket.feed(message(own, sent))).await {
                    Some(fed) => {
                        fed?;
                        sent += 1;
                    }
                    None => continue,
                }
            }
            if received < MESSAGES
                && let Some(heard) = host.at_risk(patience, socket.recv()).await
            {
                let Some(heard) = heard? else { return Err(Error::Closed) };
                assert_eq!(heard, message(other, received), "message {received} of {other}");
                received += 1;
            }
        }
        Ok(())
    };
    let mut result = result.await;
    if result.is_ok() {
        result = socket.close().await;
    }
    (received, result)
}

/// One server and some clients; every task ends in time, and nothing is left over.
fn play(seed: u64, link: Link, cut: bool) -> u32 {
    let mut simulation = Simulation::new(seed).configure(|net| net.default_link(link));
    if seed % 2 == 1 {
        simulation = simulation.late_timers(Duration::from_millis(3)).spurious_polls(0.05);
    }
    let server = simulation.host("server", [10, 0, 0, 1]);
    let clients: Vec<Sim> = (0..3).map(|n| simulation.host(&format!("client {n}"), [10, 0, 1, n])).collect();
    let done = Rc::new(RefCell::new(0));
    let tally = done.clone();
    simulation.run(async move {
        let at = Endpoint::Tcp(([10, 0, 0, 1], PORT).into());
        let mut listener = server.listen(&at).await.expect("a port");
        let acceptor = Acceptor::new(server.clone()).config(config(seed));
        let serving = async {
            loop {
                let (stream, _) =
                    std::future::poll_fn(|cx| listener.poll_accept(cx)).await.expect("a connection");
                let (host, acceptor) = (server.clone(), acceptor.clone());
                server.task("talk", async move {
                    let Ok(socket) = acceptor.accept(stream).await else { return };
                    // Whom it talks to, the first message says; all clients say the same.
                    let (received, result) = talk(&host, socket, 1, 2, 6).await;
                    assert!(cut || result.is_ok() && received == MESSAGES, "{received}: {result:?}");
                });
            }
        };
        let calling = join_all(clients.iter().map(|host| {
            let (at, tally) = (at.clone(), tally.clone());
            async move {
                let connector = Connector::new(host.clone()).connect_to(at).config(config(seed));
                let Ok(socket) = connector.connect("ws://server/").await else {
                    assert!(cut, "no connection");
                    return;
                };
                let (received, result) = talk(host, socket, 2, 1, 6).await;
                assert!(cut || result.is_ok() && received == MESSAGES, "{received}: {result:?}");
                *tally.borrow_mut() += received;
            }
        }));
        let (host, patience) = (&clients[0], Some(Duration::from_secs(3600)));
        let both = async { futures_util::future::select(Box::pin(calling), Box::pin(serving)).await };
        assert!(within(host, patience, both).await.is_ok(), "somebody waits for ever");
    });
    simulation.run_until_idle();
    let usage = simulation.usage();
    assert_eq!((usage.streams, usage.tasks), (0, 0), "seed {seed}: left over\n{}", simulation.tasks());

    *done.borrow()
}

#[test]
fn rough_networks_lose_nothing() {
    for seed in seeds(8) {
        assert_eq!(play(seed, Link::rough().window(5000), false), 3 * MESSAGES);
    }
}

#[test]
fn byte_by_byte() {
    for seed in seeds(2) {
        let link = Link::new().segment(61).latency(Duration::from_micros(5)).jitter(Duration::ZERO);
        assert_eq!(play(seed, link, false), 3 * MESSAGES);
    }
}

#[test]
fn cut_connections_give_prefixes() {
    for seed in seeds(30) {
        play(seed, Link::new().cuts(0.7, 200_000).refuse(0.1).black_holes(true), true);
    }
}

/// Two halves in two tasks, under dice.
#[test]
fn halves_on_a_rough_network() {
    for seed in seeds(10) {
        let mut simulation =
            Simulation::new(seed).configure(|net| net.default_link(Link::rough().window(5000)));
        let host = simulation.host("here", [10, 0, 0, 1]);
        let there = simulation.host("there", [10, 0, 0, 2]);
        simulation.run(async move {
            let at = Endpoint::Tcp(([10, 0, 0, 2], PORT).into());
            let mut listener = there.listen(&at).await.expect("a port");
            let accepting = async {
                let (stream, _) =
                    std::future::poll_fn(|cx| listener.poll_accept(cx)).await.expect("a connection");
                Acceptor::new(there.clone()).config(config(seed)).accept(stream).await.expect("accepted")
            };
            let connector = Connector::new(host.clone()).connect_to(at.clone()).config(config(seed));
            let (near, far) = join(connector.connect("ws://there/"), accepting).await;
            let (mut reader, mut writer) = near.expect("connected").split();
            let (mut far_reader, mut far_writer) = far.split();
            let task = there.task("echo", async move {
                while let Some(message) = far_reader.recv().await.expect("no error") {
                    if far_writer.send(message).await.is_err() {
                        break;
                    }
                }
            });
            let (sender, receiver) = (host.clone(), host.clone());
            let sending = host.task("talk", async move {
                let mut n = 0;
                while n < MESSAGES {
                    if let Some(fed) = sender.at_risk(4, writer.feed(message(1, n))).await {
                        fed.expect("room");
                        n += 1;
                        let _ = sender.at_risk(4, writer.flush()).await;
                    }
                }
                writer.flush().await.expect("sent");
                writer
            });
            for n in 0..MESSAGES {
                let heard = loop {
                    if let Some(heard) = receiver.at_risk(4, reader.recv()).await {
                        break heard;
                    }
                };
                assert_eq!(heard.expect("no error"), Some(message(1, n)));
            }
            let mut writer = sending.await.expect("the sender ends");
            writer.close().await.expect("said good-bye");
            assert_eq!(reader.recv().await.expect("the end"), None);
            let _ = task.await;
        });
        simulation.run_until_idle();
        assert_eq!(simulation.usage().streams, 0, "seed {seed}");
    }
}
