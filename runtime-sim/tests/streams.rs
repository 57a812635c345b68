//! Streams through the simulated network.

mod support;

use std::io::ErrorKind;
use std::path::PathBuf;
use std::time::Duration;

use bytes::BytesMut;
use glowplug_core::Instant;
use glowplug_runtime::{Endpoint, Listener as _, Runtime, Spawn};
use glowplug_sim::{Cut, Link, Sim, Simulation, seeds};
use support::*;

const SERVER: &str = "10.0.0.2:7";

fn pair(seed: u64) -> (Simulation, Sim, Sim) {
    let simulation = Simulation::new(seed);
    let client = simulation.host("client", [10, 0, 0, 1]);
    let server = simulation.host("server", [10, 0, 0, 2]);
    (simulation, client, server)
}

fn numbered(len: usize) -> Vec<u8> {
    (0..len).map(|index| (index % 251) as u8).collect()
}

#[test]
fn what_is_echoed_comes_back_whatever_is_cut() {
    for seed in seeds(200) {
        let (simulation, client, server) = pair(seed);
        let mut simulation = simulation.configure(|net| net.link("client", "server", Link::rough()));
        simulation.run(async {
            serve_echo(&server, tcp(SERVER)).await;
            let mut stream = client.connect(&tcp(SERVER)).await.unwrap();
            for len in [1, 10, 100, 5000] {
                let sent = numbered(len);
                assert_eq!(exchange(&mut stream, sent.clone()).await.unwrap(), sent);
            }
            shutdown(&mut stream).await.unwrap();
            assert_eq!(read_to_end(&mut stream).await.unwrap(), "");
        });
    }
}

#[test]
fn nothing_is_left_when_both_ends_are_dropped() {
    let (mut simulation, client, server) = pair(1);
    simulation.run(serve_echo(&server, tcp(SERVER)));
    simulation.run_until_idle();
    let before = simulation.usage();
    simulation.run(async {
        let mut stream = client.connect(&tcp(SERVER)).await.unwrap();
        write_all(&mut stream, numbered(100_000)).await.unwrap();
        let mut abandoned = client.connect(&tcp(SERVER));
        std::future::poll_fn(|cx| {
            let _ = std::pin::Pin::new(&mut abandoned).poll(cx);
            std::task::Poll::Ready(())
        })
        .await;
    });
    simulation.run_until_idle();
    assert_eq!(simulation.usage(), before);
    assert_eq!(before.listeners, 1);
}

#[test]
fn each_half_closes_on_its_own() {
    for seed in seeds(50) {
        let (mut simulation, client, server) = pair(seed);
        simulation.run(async {
            let mut listener = server.listen(&tcp(SERVER)).await.unwrap();
            let serving = server.task("server", async move {
                let mut stream = accept(&mut listener).await.unwrap();
                let question = read_to_end(&mut stream).await.unwrap();
                assert_eq!(question, "question");
                write_all(&mut stream, numbered(200_000)).await.unwrap();
                shutdown(&mut stream).await.unwrap();
                shutdown(&mut stream).await.unwrap();
                stream
            });
            let mut stream = client.connect(&tcp(SERVER)).await.unwrap();
            write_all(&mut stream, "question").await.unwrap();
            shutdown(&mut stream).await.unwrap();
            let error = write_all(&mut stream, "more").await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::BrokenPipe);
            assert_eq!(read_to_end(&mut stream).await.unwrap(), numbered(200_000));
            assert_eq!(read(&mut stream, &mut BytesMut::new()).await.unwrap(), 0, "the end stays the end");
            serving.await.unwrap();
        });
    }
}

#[test]
fn ten_mebibytes_go_both_ways_at_once() {
    const LEN: usize = 10 * 1024 * 1024;
    let (mut simulation, client, server) = pair(1);
    simulation.run(async {
        serve_echo(&server, tcp(SERVER)).await;
        let mut stream = client.connect(&tcp(SERVER)).await.unwrap();
        let back = exchange(&mut stream, numbered(LEN)).await.unwrap();
        assert!(back == numbered(LEN), "what came back is what was sent");
    });
}

#[test]
fn a_writer_waits_for_room() {
    let (simulation, client, server) = pair(1);
    let mut simulation = simulation.configure(|net| net.link("client", "server", Link::new().window(10)));
    simulation.run(async {
        let mut listener = server.listen(&tcp(SERVER)).await.unwrap();
        let mut stream = client.connect(&tcp(SERVER)).await.unwrap();
        let mut served = accept(&mut listener).await.unwrap();
        let second = Duration::from_secs(1);
        assert!(within(&client, second, write_all(&mut stream, numbered(11))).await.is_none());
        assert_eq!(read_exact(&mut served, 10).await.unwrap(), &numbered(10)[..]);
        assert!(within(&client, second, write_all(&mut stream, numbered(10))).await.is_some());
    });
}

#[test]
fn refusals() {
    let (mut simulation, client, server) = pair(1);
    let net = simulation.net();
    simulation.run(async {
        let refused = client.connect(&tcp(SERVER)).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
        let nowhere = client.connect(&tcp("10.9.9.9:7")).await.unwrap_err();
        assert_eq!(nowhere.kind(), ErrorKind::HostUnreachable);
        let own = client.connect(&tcp("127.0.0.1:7")).await.unwrap_err();
        assert_eq!(own.kind(), ErrorKind::ConnectionRefused);

        serve_echo(&server, tcp("0.0.0.0:7")).await;
        net.refuse("client", "server", 2);
        for _ in 0..2 {
            let refused = client.connect(&tcp(SERVER)).await.unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
        }
        client.connect(&tcp(SERVER)).await.unwrap();

        let taken = server.listen(&tcp("0.0.0.0:7")).await.unwrap_err();
        assert_eq!(taken.kind(), ErrorKind::AddrInUse);
        let foreign = server.listen(&tcp("10.0.0.1:7")).await.unwrap_err();
        assert_eq!(foreign.kind(), ErrorKind::AddrNotAvailable);
        let any = server.listen(&tcp("10.0.0.2:0")).await.unwrap();
        assert_ne!(any.local_endpoint().unwrap().socket_addr().unwrap().port(), 0);
    });
}

#[test]
fn unix_endpoints_belong_to_their_host() {
    let (mut simulation, client, server) = pair(1);
    let path = Endpoint::Unix(PathBuf::from("/run/echo"));
    simulation.run(async {
        serve_echo(&server, path.clone()).await;
        let mut stream = server.connect(&path).await.unwrap();
        write_all(&mut stream, "hello").await.unwrap();
        assert_eq!(read_exact(&mut stream, 5).await.unwrap(), "hello");
        let missing = client.connect(&path).await.unwrap_err();
        assert_eq!(missing.kind(), ErrorKind::NotFound);
    });
}

#[test]
fn a_full_backlog_makes_clients_try_again() {
    let (mut simulation, client, server) = pair(1);
    let net = simulation.net();
    net.backlog(1);
    simulation.run(async {
        let mut listener = server.listen(&tcp(SERVER)).await.unwrap();
        let _first = client.connect(&tcp(SERVER)).await.unwrap();
        let client_ = client.clone();
        let second = client.task("second", async move { client_.connect(&tcp(SERVER)).await });
        client.sleep(Duration::from_millis(500)).await;
        net.fail_accepts("server", ErrorKind::Other, 1);
        assert_eq!(accept(&mut listener).await.unwrap_err().kind(), ErrorKind::Other);
        let _one = accept(&mut listener).await.unwrap();
        let _two = accept(&mut listener).await.unwrap();
        assert!(second.await.unwrap().is_ok());
        assert!(client.now() > Instant::ZERO + Duration::from_secs(1), "only the second try got in");
    });
}

#[test]
fn a_partition_heals_and_nothing_is_lost() {
    for seed in seeds(50) {
        let (mut simulation, client, server) = pair(seed);
        let net = simulation.net();
        simulation.run(async {
            serve_echo(&server, tcp(SERVER)).await;
            let mut stream = client.connect(&tcp(SERVER)).await.unwrap();
            write_all(&mut stream, numbered(3000)).await.unwrap();
            net.partition("client", "server");
            write_all(&mut stream, numbered(3000)).await.unwrap();
            assert!(
                within(&client, Duration::from_secs(60), read_exact(&mut stream, 6000)).await.is_none(),
                "nothing passes"
            );
            let connecting = client.connect(&tcp(SERVER));
            net.at(client.now() + Duration::from_secs(2), |net| net.heal("client", "server"));
            connecting.await.expect("it tried until it got through");
            // What was read before the partition was thrown away with the abandoned read: ask anew.
            write_all(&mut stream, "!").await.unwrap();
            let mut rest = BytesMut::new();
            while !rest.ends_with(b"!") {
                assert!(read(&mut stream, &mut rest).await.unwrap() > 0);
            }
        });
    }
}

#[test]
fn whoever_is_never_answered_gives_up_at_last() {
    let (mut simulation, client, server) = pair(1);
    let net = simulation.net();
    simulation.run(async {
        serve_echo(&server, tcp(SERVER)).await;
        let mut stream = client.connect(&tcp(SERVER)).await.unwrap();
        net.partition("client", "server");
        let start = client.now();
        let error = client.connect(&tcp(SERVER)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        assert_eq!((client.now() - start).as_secs(), 127);
        write_all(&mut stream, "anybody?").await.unwrap();
        let error = read(&mut stream, &mut BytesMut::new()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        assert_eq!((client.now() - start).as_secs(), 127 + 924);
    });
}

#[test]
fn cuts_come_at_their_byte() {
    for seed in seeds(50) {
        for how in [Cut::Reset, Cut::Close, Cut::BlackHole] {
            let (mut simulation, client, server) = pair(seed);
            let net = simulation.net();
            net.cut_after("client", "server", 1234, how);
            simulation.run(async {
                let mut listener = server.listen(&tcp(SERVER)).await.unwrap();
                let mut stream = client.connect(&tcp(SERVER)).await.unwrap();
                let mut served = accept(&mut listener).await.unwrap();
                write_all(&mut stream, numbered(5000)).await.unwrap();
                let mut came = BytesMut::new();
                let end = within(&server, Duration::from_secs(5), async {
                    loop {
                        match read(&mut served, &mut came).await {
                            Ok(0) => break None,
                            Ok(_) => {}
                            Err(error) => break Some(error.kind()),
                        }
                    }
                })
                .await;
                let expected = match how {
                    Cut::Reset => Some(Some(ErrorKind::ConnectionReset)),
                    Cut::Close => Some(None),
                    Cut::BlackHole => None,
                };
                assert_eq!(end, expected);
                assert_eq!(came, &numbered(1234)[..]);
                let error = write_all(&mut served, numbered(200_000));
                match (how, within(&server, Duration::from_secs(5), error).await) {
                    (Cut::Reset, Some(Err(error))) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
                    (Cut::Close, Some(Err(error))) => assert_eq!(error.kind(), ErrorKind::BrokenPipe),
                    (Cut::BlackHole, None) => {}
                    (how, other) => panic!("{how:?} gave {other:?}"),
                }
            });
        }
    }
}

#[test]
fn a_peer_that_goes_away_with_unread_data_resets() {
    let (mut simulation, client, server) = pair(1);
    simulation.run(async {
        let mut listener = server.listen(&tcp(SERVER)).await.unwrap();
        let mut stream = client.connect(&tcp(SERVER)).await.unwrap();
        let served = accept(&mut listener).await.unwrap();
        write_all(&mut stream, "unread").await.unwrap();
        client.sleep(Duration::from_secs(1)).await;
        drop(served);
        let error = read(&mut stream, &mut BytesMut::new()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);

        let mut stream = client.connect(&tcp(SERVER)).await.unwrap();
        drop(accept(&mut listener).await.unwrap());
        assert_eq!(read_to_end(&mut stream).await.unwrap(), "", "a tidy end, as nothing was lost");
        write_all(&mut stream, "too late").await.unwrap();
        client.sleep(Duration::from_secs(1)).await;
        assert_eq!(write_all(&mut stream, "x").await.unwrap_err().kind(), ErrorKind::ConnectionReset);
        assert_eq!(write_all(&mut stream, "x").await.unwrap_err().kind(), ErrorKind::BrokenPipe);

        let mut unaccepted = client.connect(&tcp(SERVER)).await.unwrap();
        drop(listener);
        let error = read(&mut unaccepted, &mut BytesMut::new()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    });
}

#[test]
fn a_crashed_host_says_nothing_until_it_is_asked() {
    let (mut simulation, client, server) = pair(1);
    let net = simulation.net();
    simulation.run(async {
        serve_echo(&server, tcp(SERVER)).await;
        let mut stream = client.connect(&tcp(SERVER)).await.unwrap();
        write_all(&mut stream, "hello").await.unwrap();
        read_exact(&mut stream, 5).await.unwrap();
        net.crash("server");
        let mut buf = BytesMut::new();
        assert!(within(&client, Duration::from_secs(3600), read(&mut stream, &mut buf)).await.is_none());
        write_all(&mut stream, "hello?").await.unwrap();
        assert_eq!(read(&mut stream, &mut buf).await.unwrap_err().kind(), ErrorKind::ConnectionReset);
        let refused = client.connect(&tcp(SERVER)).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
        serve_echo(&server, tcp(SERVER)).await;
        client.connect(&tcp(SERVER)).await.unwrap();
    });
}

#[test]
fn bandwidth_takes_its_time() {
    let (simulation, client, server) = pair(1);
    let link = Link::new().bandwidth(1000).latency(Duration::ZERO).jitter(Duration::ZERO);
    let mut simulation = simulation.configure(|net| net.link("client", "server", link));
    simulation.run(async {
        let mut listener = server.listen(&tcp(SERVER)).await.unwrap();
        let mut stream = client.connect(&tcp(SERVER)).await.unwrap();
        let mut served = accept(&mut listener).await.unwrap();
        let start = client.now();
        write_all(&mut stream, numbered(5000)).await.unwrap();
        read_exact(&mut served, 5000).await.unwrap();
        assert_eq!((client.now() - start).as_millis(), 5000);
    });
}

#[test]
fn a_spawned_task_needs_no_send() {
    let (mut simulation, client, _) = pair(1);
    let shared = std::rc::Rc::new(std::cell::Cell::new(0));
    let theirs = std::rc::Rc::clone(&shared);
    client.spawn(async move { theirs.set(7) });
    simulation.run_until_idle();
    assert_eq!(shared.get(), 7);
}
