//! UDP conversations through everything the simulated network does.
//!
//! `GLOWPLUG_SEED=0..10000 cargo test --release --test udp_seeds` is the long run.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::future::{join, join_all};
use glowplug::core::Instant;
use glowplug::runtime::Runtime;
use glowplug::runtime::time::{sleep, within};
use glowplug::runtime::udp::reliable::{self, ChannelConfig, Order};
use glowplug::runtime::udp::{self, Builder, Closed, Config, Conversation, Listener, Reason, conversation};
use glowplug::sim::{Link, Sim, Simulation, seeds};

const PORT: u16 = 7000;

fn server_addr() -> SocketAddr {
    ([10, 0, 0, 1], PORT).into()
}

/// A server and some clients, on a network whose badness the seed chooses.
fn world(seed: u64, clients: u8) -> (Simulation, Sim, Vec<Sim>) {
    let link = match seed % 3 {
        0 => Link::rough(),
        1 => Link::new().loss(0.2).duplicate(0.2).reorder(0.3),
        _ => Link::rough().loss(0.0).duplicate(0.5).reorder(0.5),
    };
    let mut simulation = Simulation::new(seed).configure(|net| net.default_link(link));
    if seed % 2 == 1 {
        simulation = simulation.late_timers(Duration::from_millis(3)).spurious_polls(0.05);
    }
    let server = simulation.host("server", [10, 0, 0, 1]);
    let clients = (0..clients).map(|n| simulation.host(&format!("client {n}"), [10, 0, 1, n])).collect();
    (simulation, server, clients)
}

/// Nothing is left behind.
fn tidy(simulation: &mut Simulation, seed: u64) {
    simulation.run_until_idle();
    let usage = simulation.usage();
    assert_eq!((usage.datagrams, usage.tasks), (0, 0), "seed {seed}: left over\n{}", simulation.tasks());
}

fn number(datagram: &[u8]) -> (u8, u32) {
    let count = datagram[1..].try_into().expect("five bytes");
    (datagram[0], u32::from_be_bytes(count))
}

fn word(client: u8, count: u32) -> Vec<u8> {
    [&[client][..], &count.to_be_bytes()].concat()
}

/// The served side: whoever spoke first in this conversation is the only one ever heard in it. Receiving and sending are given up
/// and begun again, by dice.
async fn serve_one(host: Sim, conversation: Conversation) {
    let mut client = None;
    loop {
        let received = match host.at_risk(4, conversation.recv()).await {
            None => continue,
            Some(Ok(datagram)) => datagram,
            Some(Err(_)) => return,
        };
        let (from, count) = number(&received);
        assert_eq!(*client.get_or_insert(from), from, "a datagram in another peer's conversation");
        let current = conversation::current().expect("this function is served");
        assert_eq!(current.peer(), conversation.peer());
        if count == u32::MAX {
            return;
        }
        let _ = host.at_risk(3, current.send(received)).await;
    }
}

#[test]
fn no_datagram_reaches_another_peers_conversation() {
    for seed in seeds(60) {
        let (mut simulation, server, clients) = world(seed, 4);
        simulation.run(async {
            let builder = Builder::new(server.clone()).drain_timeout(Duration::from_secs(1));
            let listener = builder.bind(server_addr()).await.expect("the port is free");
            let stopper = listener.stopper();
            let handler_host = server.clone();
            let serving = server.task("server", async move {
                listener.serve(|conversation| serve_one(handler_host.clone(), conversation)).await
            });
            join_all(clients.iter().zip(0_u8..).map(async |(host, client)| {
                let conversation = udp::connect(host.clone(), server_addr()).await.expect("a socket");
                let mut heard = BTreeSet::new();
                for count in 0..30 {
                    conversation.send(word(client, count)).await.expect("sent");
                    let wait = Some(Duration::from_millis(10));
                    while let Ok(answer) = within(host, wait, conversation.recv()).await {
                        let (to, count) = number(&answer.expect("open"));
                        assert_eq!(to, client, "another peer's answer");
                        heard.insert(count);
                    }
                }
                assert!(!heard.is_empty(), "nothing came through");
                // The handler ends; what is late begins a new conversation, with fresh state.
                conversation.send(word(client, u32::MAX)).await.expect("sent");
            }))
            .await;
            stopper.stop();
            serving.await.expect("not aborted").expect("the socket is fine");
        });
        tidy(&mut simulation, seed);
    }
}

/// With jitter off, each peer's datagrams stay in order, whatever their tasks do.
#[test]
fn every_peers_datagrams_come_in_order() {
    for seed in seeds(30) {
        let mut simulation = Simulation::new(seed)
            .configure(|net| net.default_link(Link::new().jitter(Duration::ZERO).loss(0.1)));
        let server = simulation.host("server", [10, 0, 0, 1]);
        let clients: Vec<Sim> =
            (0..6).map(|n| simulation.host(&format!("client {n}"), [10, 0, 1, n])).collect();
        simulation.run(async {
            let listener = Listener::bind(server.clone(), server_addr()).await.expect("the port is free");
            let sending = join_all(clients.iter().zip(0_u8..).map(async |(host, client)| {
                let conversation = udp::connect(host.clone(), server_addr()).await.expect("a socket");
                for burst in 0..5 {
                    for count in 0..12 {
                        conversation.send(word(client, burst * 100 + count)).await.expect("sent");
                    }
                    host.sleep(Duration::from_millis(2)).await;
                }
            }));
            let receiving = async {
                let mut tasks = Vec::new();
                while let Ok(conversation) =
                    within(&server, Some(Duration::from_secs(1)), listener.accept()).await
                {
                    let (host, conversation) = (server.clone(), conversation.expect("the socket is fine"));
                    tasks.push(server.task("reader", async move {
                        let mut last: Option<(u8, u32)> = None;
                        let patience = Some(Duration::from_secs(1));
                        while let Ok(datagram) = within(&host, patience, conversation.recv()).await {
                            let next = number(&datagram.expect("open"));
                            assert!(last.is_none_or(|last| last.0 == next.0 && last.1 < next.1));
                            last = Some(next);
                        }
                    }));
                }
                assert_eq!(tasks.len(), 6);
                for task in tasks {
                    task.await.expect("not aborted");
                }
            };
            join(sending, receiving).await;
        });
        tidy(&mut simulation, seed);
    }
}

#[test]
fn silence_ends_a_conversation() {
    let (mut simulation, server, clients) = world(2, 1);
    let host = clients[0].clone();
    simulation.run(async {
        let listener = Listener::bind(server.clone(), server_addr()).await.expect("the port is free");
        let client = udp::connect(host.clone(), server_addr()).await.expect("a socket");
        client.send("hello").await.expect("sent");
        let taken = listener.accept().await.expect("a peer");
        assert_eq!(taken.recv().await.expect("heard"), "hello");
        // One that nobody takes is forgotten in time, and is not offered any more.
        let other = udp::connect(host.clone(), server_addr()).await.expect("a socket");
        other.send("anybody?").await.expect("sent");
        taken.set_idle_timeout(Some(Duration::from_secs(300)));
        let begin = host.now();
        // Doubled datagrams may come a little later.
        while taken.recv().await.is_ok() {}
        let waited = host.now() - begin;
        assert!((299..310).contains(&waited.as_secs()), "given up after {waited:?}");
        let closed = taken.recv().await.expect_err("it stays over");
        assert!(matches!(closed, Closed::Ended(Reason::Expired)), "{closed:?}");
        assert_eq!(closed.to_string(), "the conversation is over: idle for too long");
        assert!(within(&server, Some(Duration::from_secs(1)), listener.accept()).await.is_err());
        assert!(listener.is_empty());
    });
    tidy(&mut simulation, 2);
}

#[test]
fn nobody_there_is_heard_at_once_where_the_system_says_so() {
    let mut simulation = Simulation::new(1);
    let host = simulation.host("client", [10, 0, 1, 0]);
    simulation.host("server", [10, 0, 0, 1]);
    simulation.net().unreachable_errors(true);
    simulation.run(async {
        let client = udp::connect(host.clone(), server_addr()).await.expect("a socket");
        client.send("anybody?").await.expect("sent");
        let closed = client.recv().await.expect_err("nobody");
        assert!(matches!(closed, Closed::Ended(Reason::Unreachable)), "{closed:?}");
        // A way that the system itself does not know.
        let client = udp::connect(host.clone(), "[2001:db8::1]:7".parse().expect("an address")).await;
        let client = client.expect("a socket");
        client.send("anybody?").await.expect("sent");
        let closed = client.recv().await.expect_err("nobody");
        assert!(matches!(closed, Closed::Ended(Reason::Unreachable)), "{closed:?}");
    });
    tidy(&mut simulation, 1);
}

#[test]
fn a_socket_that_breaks_ends_everything_on_it() {
    for seed in seeds(10) {
        let (mut simulation, server, clients) = world(seed, 1);
        let net = simulation.net();
        simulation.run(async {
            let listener = Listener::bind(server.clone(), server_addr()).await.expect("the port is free");
            let other = listener.connect(([10, 0, 1, 0], 9).into()).expect("there is room");
            let client = udp::connect(clients[0].clone(), server_addr()).await.expect("a socket");
            let taken = loop {
                client.send("hello").await.expect("sent");
                let accepted = within(&server, Some(Duration::from_secs(1)), listener.accept()).await;
                if let Ok(accepted) = accepted {
                    break accepted.expect("a peer");
                }
            };
            while taken.try_recv().expect("open").is_some() {}
            let child = taken.child();
            let crash = async {
                server.sleep(Duration::from_millis(10)).await;
                net.crash("server");
            };
            let waits = async { (taken.closed().await, other.recv().await, listener.accept().await) };
            let ((one, two, three), ()) = join(waits, crash).await;
            assert!(matches!(one, Closed::Socket(_)), "seed {seed}: {one:?}");
            let two = two.expect_err("no socket");
            assert!(matches!(two, Closed::Socket(_)), "seed {seed}: {two:?}");
            assert_eq!(three.expect_err("no socket").kind(), std::io::ErrorKind::ConnectionAborted);
            assert!(child.try_send("x").is_err());
        });
        drop((server, clients));
        simulation.run_until_idle();
    }
}

/// What one side of a reliable conversation says: words of all lengths.
fn messages(seed: u64, side: u32) -> Vec<Vec<u8>> {
    (0..25_u32)
        .map(|n| {
            let len = match (seed as u32 + n * 7 + side) % 9 {
                0 => 0,
                1..=6 => n * 11,
                7 => 3_000,
                _ => 40_000,
            };
            let mut message = vec![side as u8; len as usize];
            message.extend(n.to_be_bytes());
            message
        })
        .collect()
}

#[test]
fn reliable_messages_arrive_once_and_in_order() {
    for seed in seeds(30) {
        let (mut simulation, server, clients) = world(seed, 3);
        let heard = Rc::new(AtomicU64::new(0));
        simulation.run(async {
            let builder = Builder::new(server.clone()).reliable(ChannelConfig::default());
            let listener = builder.bind(server_addr()).await.expect("the port is free");
            let stopper = listener.stopper();
            let (handler_host, counter) = (server.clone(), heard.clone());
            let serving = server.task("server", async move {
                listener
                    .serve(|conversation| {
                        let (host, counter) = (handler_host.clone(), counter.clone());
                        async move {
                            speak(&host, seed, &conversation, 1, 0).await;
                            assert_eq!(reliable::current().map(|c| c.peer()), Some(conversation.peer()));
                            counter.fetch_add(1, Ordering::Relaxed);
                            // It is dropped here, and finishes in the background.
                        }
                    })
                    .await
            });
            join_all(clients.iter().map(async |host| {
                let builder = Builder::new(host.clone()).reliable(ChannelConfig::default());
                let conversation = builder.connect(server_addr()).await.expect("a socket");
                speak(host, seed, &conversation, 0, 1).await;
                conversation.finish().await.expect("both have finished");
            }))
            .await;
            stopper.stop();
            serving.await.expect("not aborted").expect("the socket is fine");
        });
        assert_eq!(heard.load(Ordering::Relaxed), 3, "seed {seed}");
        tidy(&mut simulation, seed);
    }
}

/// Says everything while hearing everything. Receiving is given up and begun again, by dice.
async fn speak(host: &Sim, seed: u64, conversation: &reliable::Child, side: u32, other: u32) {
    let saying = async {
        for message in messages(seed, side) {
            conversation.send(message).await.expect("sent");
        }
    };
    let hearing = async {
        for expected in messages(seed, other) {
            let message = loop {
                if let Some(message) = host.at_risk(5, conversation.recv()).await {
                    break message.expect("heard");
                }
            };
            assert!(message == expected[..], "seed {seed}: another message than the next one");
        }
    };
    join(saying, hearing).await;
}

#[test]
fn a_reliable_conversation_that_is_dropped_delivers_all_the_same() {
    for seed in seeds(30) {
        let (mut simulation, server, clients) = world(seed, 1);
        let host = clients[0].clone();
        simulation.run(async {
            let channel = ChannelConfig::default().order(Order::Unordered);
            let listener = Builder::new(server.clone()).reliable(channel).bind(server_addr()).await;
            let listener = listener.expect("the port is free");
            let client = Builder::new(host.clone()).reliable(channel).connect(server_addr()).await;
            let client = client.expect("a socket");
            for n in 0..20_u8 {
                client.send(vec![n; 2000]).await.expect("sent");
            }
            drop(client);
            let taken = listener.accept().await.expect("a peer");
            let mut heard = BTreeSet::new();
            let end = loop {
                match taken.recv().await {
                    Ok(message) => assert!(heard.insert(message[0]), "seed {seed}: twice"),
                    Err(end) => break end,
                }
            };
            assert_eq!(heard.len(), 20, "seed {seed}: {end:?}");
            assert!(matches!(end, Closed::Finished), "seed {seed}: {end:?}");
            taken.finish().await.expect("both have finished");
        });
        tidy(&mut simulation, seed);
    }
}

/// Who reads late, when everything has come and nothing is on its way any more, hears of the end right after the last message.
#[test]
fn the_end_follows_the_last_message_however_late_it_is_read() {
    let mut simulation = Simulation::new(1);
    let (host, client) = (simulation.host("server", [10, 0, 0, 1]), simulation.host("client", [10, 0, 1, 0]));
    simulation.run(async {
        let channel = ChannelConfig::default();
        let listener = Builder::new(host.clone()).reliable(channel).bind(server_addr()).await;
        let listener = listener.expect("the port is free");
        let client = Builder::new(client).reliable(channel).connect(server_addr()).await.expect("a socket");
        for word in ["one", "two", "three"] {
            client.send(word).await.expect("sent");
        }
        drop(client);
        let taken = listener.accept().await.expect("a peer");
        sleep(&host, Duration::from_secs(20)).await;
        for word in ["one", "two", "three"] {
            assert_eq!(taken.recv().await.expect("a message"), word);
        }
        let end = within(&host, Some(Duration::from_millis(1)), taken.recv()).await.expect("at once");
        assert!(matches!(end, Err(Closed::Finished)), "{end:?}");
        taken.finish().await.expect("both have finished");
    });
    tidy(&mut simulation, 1);
}

/// A server whose task for one peer never reads holds up that peer alone, and holds no more of it than it may.
#[test]
fn who_never_reads_a_reliable_conversation_holds_up_its_peer_alone() {
    for seed in seeds(10) {
        let (mut simulation, server, clients) = world(seed, 2);
        simulation.run(async {
            let channel = ChannelConfig::default().max_unread(20_000);
            let builder = Builder::new(server.clone()).reliable(channel);
            let listener = builder.drain_timeout(Duration::ZERO).bind(server_addr()).await;
            let listener = listener.expect("the port is free");
            let stopper = listener.stopper();
            let serving = server.task("server", async move {
                listener
                    .serve(|conversation: reliable::Conversation| async move {
                        let first = conversation.recv().await.expect("the first is there");
                        if first == "never" {
                            std::future::pending::<()>().await;
                        }
                        while let Ok(message) = conversation.recv().await {
                            if conversation.send(message).await.is_err() {
                                return;
                            }
                        }
                    })
                    .await
            });
            let connect = async |host: &Sim| {
                Builder::new(host.clone()).reliable(channel.max_unacked(20_000)).connect(server_addr()).await
            };
            let stuck = connect(&clients[0]).await.expect("a socket");
            let calm = connect(&clients[1]).await.expect("a socket");
            stuck.send("never").await.expect("sent");
            calm.send("hello").await.expect("sent");
            let flooding = async {
                // It comes to an end where the server's and its own limits are.
                let mut sent = 0;
                while within(&clients[0], Some(Duration::from_secs(20)), stuck.send(vec![7; 1000]))
                    .await
                    .is_ok()
                {
                    sent += 1;
                    assert!(sent < 100, "seed {seed}: nothing holds it up");
                }
            };
            let asking = async {
                for n in 0..30_u8 {
                    calm.send(vec![n]).await.expect("sent");
                    assert_eq!(calm.recv().await.expect("heard")[..], [n]);
                }
            };
            join(flooding, asking).await;
            stopper.stop();
            serving.await.expect("not aborted").expect("the socket is fine");
        });
        tidy(&mut simulation, seed);
    }
}

/// The same seed does the same, step by step.
#[test]
fn a_seed_decides_everything() {
    let run = |seed| {
        let (mut simulation, server, clients) = world(seed, 2);
        simulation.run(async {
            let builder =
                Builder::new(server.clone()).tracker(Config::default()).drain_timeout(Duration::ZERO);
            let listener = builder.bind(server_addr()).await.expect("the port is free");
            let stopper = listener.stopper();
            let host = server.clone();
            let serving = server.task("server", async move {
                listener.serve(|conversation| serve_one(host.clone(), conversation)).await
            });
            for (host, client) in clients.iter().zip(0..) {
                let conversation = udp::connect(host.clone(), server_addr()).await.expect("a socket");
                for count in 0..10 {
                    conversation.send(word(client, count)).await.expect("sent");
                }
                host.sleep(Duration::from_secs(1)).await;
            }
            stopper.stop();
            serving.await.expect("not aborted").expect("the socket is fine");
        });
        simulation.run_until_idle();
        (simulation.now(), simulation.trace_hash())
    };
    assert_eq!(run(5), run(5));
    assert!(run(5).0 > Instant::ZERO);
}
