//! The HTTP server against peers that are slow, mute, deaf or mad: deadlines that fire, and others that are served on.
//!
//! Mostly in the simulator, where a minute costs nothing.

mod http_web;
mod support;

use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use glowplug::core::Seed;
use glowplug::runtime::http::server::{Config, Server};
use glowplug::runtime::time::{sleep, within};
use glowplug::runtime::{Endpoint, Runtime};
use glowplug::sim::{Link, Sim, Simulation, seeds};

use http_web::{App, Plug, Raw, app, connect, get, post, serving, text};

support::on_each_executor![slow_peers_are_given_up, a_deaf_peer_is_given_up, garbage_from_dice];

const SOON: Duration = Duration::from_millis(60);

/// Deadlines that a test on a real clock has time for.
fn impatient() -> Config {
    Config::default()
        .head_timeout(Some(SOON))
        .idle_timeout(Some(SOON))
        .body_timeout(Some(SOON))
        .write_timeout(Some(SOON))
        .linger_timeout(SOON)
}

async fn slow_peers_are_given_up<R: Plug>(runtime: R) {
    serving(&runtime, impatient(), app(&runtime), async |at, stopper| {
        // Nothing at all: closed without a word.
        let mut mute = connect(&runtime, &at).await;
        assert_eq!(mute.rest().await, "");
        // Half a head.
        let mut half = connect(&runtime, &at).await;
        half.send("GET /hello HTTP/1.1\r\nhost:").await;
        assert_eq!(half.answer().await.status, 408);
        assert_eq!(half.rest().await, "");
        // A body that stops: its handler is told, and the answer is the machine's.
        let mut stuck = connect(&runtime, &at).await;
        stuck.send("POST /count HTTP/1.1\r\nhost: here\r\ncontent-length: 10\r\n\r\nabc").await;
        assert_eq!(stuck.answer().await.status, 408);
        assert_eq!(stuck.rest().await, "");
        // Nothing after an answer.
        let mut idle = connect(&runtime, &at).await;
        assert_eq!(idle.get("/hello").await.body, "hello");
        assert_eq!(idle.rest().await, "");
        while stopper.connections() > 0 {
            sleep(&runtime, Duration::from_millis(1)).await;
        }
    })
    .await;
}

async fn a_deaf_peer_is_given_up<R: Plug>(runtime: R) {
    serving(&runtime, impatient(), app(&runtime), async |at, stopper| {
        let mut deaf = connect(&runtime, &at).await;
        deaf.send(get("/endless")).await;
        while stopper.connections() == 0 {
            sleep(&runtime, Duration::from_millis(1)).await;
        }
        // It never reads, and its connection ends all the same.
        while stopper.connections() > 0 {
            sleep(&runtime, Duration::from_millis(1)).await;
        }
        assert_eq!(connect(&runtime, &at).await.get("/hello").await.body, "hello");
    })
    .await;
}

/// Bytes that look like HTTP now and then.
fn garbage(seed: u64) -> Vec<u8> {
    const WORDS: [&str; 16] = [
        "GET ",
        "POST ",
        "/echo ",
        "/hello",
        " HTTP/1.1",
        "\r\n",
        "\r\n\r\n",
        "host: here\r\n",
        "content-length: 5\r\n",
        "transfer-encoding: chunked\r\n",
        "5\r\n",
        "0\r\n\r\n",
        "expect: 100-continue\r\n",
        "\n",
        "connection: upgrade\r\n",
        "upgrade: x\r\n",
    ];
    let mut rng = Seed::from_u64(seed).rng();
    let mut bytes = Vec::new();
    if rng.chance(3, 4) {
        bytes.extend_from_slice(b"POST /echo HTTP/1.1\r\nhost: here\r\n");
    }
    for _ in 0..rng.below(12) {
        match rng.below(5) {
            0 => bytes.extend((0..rng.below(20)).map(|_| rng.below(256) as u8)),
            _ => bytes.extend_from_slice(WORDS[rng.below(16) as usize].as_bytes()),
        }
    }
    bytes
}

/// So many mad peers, `width` at a time, while a calm one is served.
async fn mad_peers<R: Plug>(runtime: &R, at: &Endpoint, count: u64, width: u64) {
    let mut calm = connect(runtime, at).await;
    for first in (0..count).step_by(width as usize) {
        let peers = (first..count.min(first + width)).map(|seed| async move {
            let mut peer = connect(runtime, at).await;
            // It may be cut off before it has said all.
            let _ = support::write(&mut peer.stream, garbage(seed)).await;
            let _ = support::shutdown(&mut peer.stream).await;
            peer.rest().await;
        });
        join_all(peers).await;
        // It may have waited for longer than it is given.
        if calm.head_of_hello().await.is_none() {
            calm = connect(runtime, at).await;
            assert_eq!(calm.head_of_hello().await, Some(200));
        }
    }
}

async fn garbage_from_dice<R: Plug>(runtime: R) {
    serving(&runtime, impatient(), app(&runtime), async |at, _| {
        mad_peers(&runtime, &at, 96, 16).await;
    })
    .await;
}

/// A hundred thousand, or as many as `GLOWPLUG_GARBAGE` says.
#[test]
fn garbage_without_end() {
    let count =
        std::env::var("GLOWPLUG_GARBAGE").ok().and_then(|count| count.parse().ok()).unwrap_or(100_000);
    simulated(1, |host, _| async move {
        serving(&host, Config::default(), app(&host), async |at, stopper| {
            mad_peers(&host, &at, count, 250).await;
            assert!(stopper.connections() < 500, "they are not let go of");
        })
        .await;
    });
}

/// Runs `test` on a fresh network for each seed, and looks for what was left over.
fn simulated<F: Future<Output = ()>>(count: u64, test: impl Fn(Sim, u64) -> F) {
    for seed in seeds(count) {
        let mut simulation = Simulation::new(seed);
        let host = simulation.host("here", [10, 0, 0, 1]);
        simulation.run(test(host.clone(), seed));
        simulation.run_until_idle();
        let usage = simulation.usage();
        assert_eq!((usage.streams, usage.listeners), (0, 0), "a socket is left over, seed {seed}");
    }
}

#[test]
fn the_defaults_end_every_slow_peer() {
    simulated(3, |host, _| async move {
        serving(&host, Config::default(), app(&host), async |at, stopper| {
            let begin = host.now();
            let mut peers = Vec::new();
            for first in [
                "",
                "G",
                "GET / HTTP/1.1\r\n",
                "POST /count HTTP/1.1\r\nhost: x\r\ncontent-length: 9000\r\n\r\n",
            ] {
                let mut peer = connect(&host, &at).await;
                if !first.is_empty() {
                    peer.send(first).await;
                }
                peers.push(peer);
            }
            let mut deaf = connect(&host, &at).await;
            deaf.send(get("/endless")).await;
            // A byte now and then buys no more time than it is worth.
            for _ in 0..20 {
                sleep(&host, Duration::from_secs(10)).await;
                for peer in &mut peers {
                    let _ = support::write(&mut peer.stream, "x").await;
                }
                let _ =
                    within(&host, Some(Duration::from_millis(1)), support::read_some(&mut deaf.stream, 1))
                        .await;
            }
            while stopper.connections() > 0 {
                sleep(&host, Duration::from_millis(100)).await;
            }
            assert!(host.now() < begin + Duration::from_secs(300), "after {:?}", host.now() - begin);
        })
        .await;
    });
}

#[test]
fn a_slow_reader_that_reads_is_served() {
    simulated(3, |host, _| async move {
        serving(&host, Config::default(), app(&host), async |at, _| {
            let mut slow = connect(&host, &at).await;
            slow.send(get("/announced?2000000")).await;
            // A hundred seconds for all of it: slow, but not stuck.
            let mut count = 0;
            while count < 2_000_000 {
                assert!(slow.more().await, "cut off after {count} bytes");
                count += slow.input.split().len();
                sleep(&host, Duration::from_secs(2)).await;
                if count > 500_000 {
                    break;
                }
            }
        })
        .await;
    });
}

#[test]
fn a_body_that_nobody_reads_holds_its_peer_back() {
    simulated(3, |host, _| async move {
        let napping = host.clone();
        let lazy = App::new(move |request: http::Request<_>| {
            let nap = sleep(&napping, Duration::from_secs(600));
            async move {
                nap.await;
                drop(request);
                text("late")
            }
        });
        serving(&host, Config::default(), lazy, async |at, _| {
            let mut client = connect(&host, &at).await;
            client.send("POST / HTTP/1.1\r\nhost: here\r\ncontent-length: 100000000\r\n\r\n").await;
            let mut out = glowplug::core::SendBuf::with_room(100_000_000);
            out.push(vec![b'x'; 50_000_000].into());
            let writing = std::future::poll_fn(|cx| {
                use glowplug::runtime::Transport;
                while !out.is_empty() {
                    std::task::ready!(client.stream.poll_write(cx, &mut out)).expect("written");
                }
                std::task::Poll::Ready(())
            });
            within(&host, Some(Duration::from_secs(100)), writing).await.expect_err("nobody reads it");
            assert!(out.len() > 49_000_000, "{} bytes were read for nobody", 50_000_000 - out.len());
            // And its deadline does not count while it is the handler who is slow.
            assert_eq!(client.answer().await.body, "late");
        })
        .await;
    });
}

#[test]
fn connections_that_break_anywhere_leave_nothing_behind() {
    simulated(150, |host, seed| async move {
        let mut rng = Seed::from_u64(seed).rng();
        let (how, after) = (rng.below(3), Duration::from_millis(rng.below(60)));
        let dropped = rng.below(8);
        serving(&host, impatient(), app(&host), async |at, stopper| {
            let requests = async {
                let mut client = connect(&host, &at).await;
                client
                    .send(
                        get("/pieces?300000")
                            + &post("/echo", &"e".repeat(5000))
                            + &get("/nap")
                            + &get("/hello"),
                    )
                    .await;
                assert_eq!(client.answer().await.body.len(), 300_000);
                assert_eq!(client.answer().await.body.len(), 5000);
                assert_eq!(client.answer().await.body, "awake");
                assert_eq!(client.answer().await.body, "hello");
            };
            match how {
                // All of it.
                0 => requests.await,
                // The client is gone in mid answer.
                1 => drop(within(&host, Some(after), requests).await),
                // It is gone in mid request.
                _ => {
                    let mut client = connect(&host, &at).await;
                    client.send("POST /count HTTP/1.1\r\nhost: here\r\ncontent-length: 10\r\n\r\n").await;
                    client.send(vec![b'x'; dropped as usize]).await;
                }
            }
            while stopper.connections() > 0 {
                sleep(&host, Duration::from_millis(1)).await;
            }
        })
        .await;
    });
}

/// Sends `bodies` in one pipeline and takes as many answers as come.
async fn echoed(client: &mut Raw<glowplug::sim::Stream>, bodies: &[String]) -> Vec<Bytes> {
    let requests: String = bodies.iter().map(|body| post("/collect?100000", body)).collect();
    let mut answers = Vec::new();
    if support::write(&mut client.stream, requests).await.is_err() {
        return answers;
    }
    while answers.len() < bodies.len() {
        let Some(end) = client.input.windows(4).position(|window| window == b"\r\n\r\n") else {
            if client.more().await {
                continue;
            }
            break;
        };
        let head = String::from_utf8_lossy(&client.input[..end]).into_owned();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let whole = end + 4 + length.and_then(|length| length.parse::<usize>().ok()).expect("a length");
        while client.input.len() < whole {
            if !client.more().await {
                return answers;
            }
        }
        let answer = client.input.split_to(whole).freeze().slice(end + 4..);
        if !head.starts_with("HTTP/1.1 200 ") {
            assert!(head.starts_with("HTTP/1.1 4"), "{head}");
            break;
        }
        answers.push(answer);
    }
    answers
}

#[test]
fn whatever_the_network_does_answers_belong_to_their_requests() {
    for seed in seeds(100) {
        let broken = seed % 2 == 1;
        let link = if broken { Link::rough().cuts(0.3, 20_000) } else { Link::rough() };
        let mut simulation = Simulation::new(seed).configure(|net| net.default_link(link));
        let (client, host) =
            (simulation.host("client", [10, 0, 0, 1]), simulation.host("server", [10, 0, 0, 2]));
        simulation.run(async {
            let at = Endpoint::Tcp(([0, 0, 0, 0], 80).into());
            let config = Config::default().drain_timeout(Duration::from_secs(10));
            let server = Server::bind(host.clone(), at).await.expect("a free port").config(config);
            let stopper = server.stopper();
            let asking = async {
                let callers = (0..4).map(|caller| {
                    let client = &client;
                    async move {
                        let mut rng = Seed::from_u64(seed * 4 + caller).rng();
                        let mut connection = None;
                        for round in 0..8 {
                            let bodies: Vec<String> = (0..=rng.below(4))
                                .map(|n| {
                                    format!("{caller}.{round}.{n} {}", "x".repeat(rng.below(3000) as usize))
                                })
                                .collect();
                            if connection.is_none() {
                                let there = Endpoint::Tcp(([10, 0, 0, 2], 80).into());
                                connection = client.connect(&there).await.ok().map(Raw::new);
                            }
                            let Some(open) = &mut connection else { continue };
                            let work = echoed(open, &bodies);
                            let answers =
                                within(client, Some(Duration::from_secs(60)), work).await.unwrap_or_default();
                            for (answer, body) in answers.iter().zip(&bodies) {
                                assert_eq!(answer, body.as_bytes(), "an answer to something else");
                            }
                            if answers.len() < bodies.len() {
                                assert!(broken, "nothing ends a connection here");
                                connection = None;
                            }
                        }
                    }
                });
                join_all(callers).await;
                stopper.stop();
            };
            futures_util::future::join(asking, server.run(app(&host))).await;
            assert_eq!(stopper.connections(), 0);
        });
        simulation.run_until_idle();
        let usage = simulation.usage();
        assert_eq!((usage.streams, usage.listeners), (0, 0), "a socket is left over, seed {seed}");
    }
}
