//! The server of streams on every executor: its cap, its drain, handlers that panic, and errors of accepting.

mod support;

use std::io;
use std::panic::resume_unwind;
use std::time::Duration;

use bytes::BytesMut;
use futures_util::future::join;
use glowplug::runtime::server::{Accepted, Config, Guarded, Server};
use glowplug::runtime::time::{sleep, within};
use glowplug::runtime::{BoxFuture, Endpoint, Runtime, Spawn, Transport};
use glowplug::sim::Simulation;

use support::{any_port, beside, read, read_all, read_some, write};

support::on_each_executor![
    the_cap_holds_the_next_back,
    what_is_in_flight_finishes,
    what_takes_too_long_is_cancelled,
    a_panic_ends_its_own_connection_only,
    a_panic_before_the_future,
    stopping_an_idle_server,
    stopping_before_it_runs,
];

/// What these tests ask of a plug: its sockets and timers move into tasks.
trait Plug: Runtime<Stream: Send, Timer: Send> + Spawn<Guarded<BoxFuture<()>>> + Send + Sync {}

impl<R: Runtime<Stream: Send, Timer: Send> + Spawn<Guarded<BoxFuture<()>>> + Send + Sync> Plug for R {}

const SOON: Duration = Duration::from_millis(50);

async fn bind<R: Plug>(runtime: &R, config: Config) -> (Server<R>, Endpoint) {
    let server = Server::bind(runtime.clone(), any_port()).await.expect("a free port").config(config);
    let at = server.local_endpoint().expect("an address");
    (server, at)
}

/// Sends everything back, up to the end.
fn echo<S: Transport + Send + 'static>(accepted: Accepted<S>) -> BoxFuture<()> {
    let mut stream = accepted.stream;
    Box::pin(async move {
        let mut input = BytesMut::new();
        while let Ok(1..) = read(&mut stream, &mut input).await {
            if write(&mut stream, input.split().freeze()).await.is_err() {
                return;
            }
        }
    })
}

async fn connect<R: Runtime>(runtime: &R, at: &Endpoint) -> R::Stream {
    runtime.connect(at).await.expect("connected")
}

async fn ask<T: Transport>(stream: &mut T, word: &'static str) {
    write(stream, word).await.expect("written");
    assert_eq!(read_some(stream, word.len()).await.expect("read"), word);
}

async fn the_cap_holds_the_next_back<R: Plug>(runtime: R) {
    let (server, at) = bind(&runtime, Config::default().max_connections(2)).await;
    let stopper = server.stopper();
    let work = async {
        let (mut first, mut second) = (connect(&runtime, &at).await, connect(&runtime, &at).await);
        ask(&mut first, "one").await;
        ask(&mut second, "two").await;
        assert_eq!(stopper.connections(), 2);
        // The third is connected by the system's backlog, and nobody serves it.
        let mut third = connect(&runtime, &at).await;
        write(&mut third, "three").await.expect("written");
        within(&runtime, Some(SOON), read_some(&mut third, 5)).await.expect_err("the server is full");
        assert_eq!(stopper.connections(), 2);
        drop(first);
        assert_eq!(read_some(&mut third, 5).await.expect("its turn"), "three");
        drop((second, third));
        stopper.stop();
    };
    join(work, server.run(echo)).await;
    assert_eq!(stopper.connections(), 0);
}

async fn what_is_in_flight_finishes<R: Plug>(runtime: R) {
    // The time to drain is never needed.
    let (server, at) = bind(&runtime, Config::default().drain_timeout(Duration::from_secs(3600))).await;
    let stopper = server.stopper();
    let work = async {
        let mut stream = connect(&runtime, &at).await;
        ask(&mut stream, "before").await;
        stopper.stop();
        // The server hears it in its own time.
        while runtime.connect(&at).await.is_ok() {
            sleep(&runtime, Duration::from_millis(1)).await;
        }
        // No more are let in, and who was in is served on.
        ask(&mut stream, "after").await;
        drop(stream);
    };
    let serve = server.run(|mut accepted: Accepted<R::Stream>| -> BoxFuture<()> {
        Box::pin(async move {
            assert!(!accepted.stopping.is_set());
            let word = read_some(&mut accepted.stream, 6).await.expect("read");
            write(&mut accepted.stream, word.freeze()).await.expect("written");
            (&mut accepted.stopping).await;
            assert!(accepted.stopping.is_set());
            echo(accepted).await;
        })
    });
    join(work, serve).await;
    assert_eq!(stopper.connections(), 0);
}

async fn what_takes_too_long_is_cancelled<R: Plug>(runtime: R) {
    let (server, at) = bind(&runtime, Config::default().drain_timeout(SOON)).await;
    let stopper = server.stopper();
    let begin = runtime.now();
    let work = async {
        let mut stream = connect(&runtime, &at).await;
        ask(&mut stream, "word").await;
        stopper.stop();
        // It never finishes by itself; the server closes it.
        assert_eq!(read_all(&mut stream).await.expect("closed"), "");
        assert!(runtime.now() >= begin + SOON, "cancelled before its time");
    };
    join(work, server.run(echo)).await;
    assert_eq!(stopper.connections(), 0);
}

async fn a_panic_ends_its_own_connection_only<R: Plug>(runtime: R) {
    let (server, at) = bind(&runtime, Config::default()).await;
    let stopper = server.stopper();
    let work = async {
        let mut calm = connect(&runtime, &at).await;
        ask(&mut calm, "calm").await;
        for _ in 0..3 {
            let mut wild = connect(&runtime, &at).await;
            write(&mut wild, "!").await.expect("written");
            assert_eq!(read_all(&mut wild).await.expect("closed"), "");
        }
        ask(&mut calm, "still calm").await;
        assert_eq!(stopper.connections(), 1);
        drop(calm);
        stopper.stop();
    };
    let serve = server.run(|mut accepted: Accepted<R::Stream>| -> BoxFuture<()> {
        Box::pin(async move {
            let word = read_some(&mut accepted.stream, 1).await.expect("read");
            if word == "!" {
                // An unwinding like that of any panic, without the message that would look like a failure of the test.
                resume_unwind(Box::new("this panic belongs to the test"));
            }
            write(&mut accepted.stream, word.freeze()).await.expect("written");
            echo(accepted).await;
        })
    });
    join(work, serve).await;
}

async fn a_panic_before_the_future<R: Plug>(runtime: R) {
    let (server, at) = bind(&runtime, Config::default()).await;
    let stopper = server.stopper();
    let work = async {
        let mut unlucky = connect(&runtime, &at).await;
        assert_eq!(read_all(&mut unlucky).await.expect("closed"), "");
        ask(&mut connect(&runtime, &at).await, "lucky").await;
        stopper.stop();
    };
    let mut count = 0;
    let serve = server.run(|accepted| {
        count += 1;
        if count == 1 {
            resume_unwind(Box::new("this panic belongs to the test"));
        }
        echo(accepted)
    });
    join(work, serve).await;
}

async fn stopping_an_idle_server<R: Plug>(runtime: R) {
    let (server, _) = bind(&runtime, Config::default()).await;
    let stopper = server.stopper();
    // From a thread that no executor knows.
    let elsewhere = std::thread::spawn({
        let stopper = stopper.clone();
        move || stopper.stop()
    });
    elsewhere.join().expect("stopped");
    server.run(echo).await;

    let (server, _) = bind(&runtime, Config::default()).await;
    let stopper = server.stopper();
    let stop = async {
        sleep(&runtime, SOON).await;
        stopper.stop();
        stopper.stop();
        runtime.now()
    };
    let (stopped, ()) = join(stop, server.run(echo)).await;
    assert!(runtime.now() < stopped + Duration::from_secs(10), "an idle server waits for nothing");
}

async fn stopping_before_it_runs<R: Plug>(runtime: R) {
    let (server, at) = bind(&runtime, Config::default()).await;
    server.stopper().stop();
    let debug = format!("{server:?}");
    assert!(debug.contains("Server"), "{debug}");
    server.run(echo).await;
    runtime.connect(&at).await.map(drop).expect_err("the listener is closed");
}

#[test]
fn a_stop_from_a_thread_wakes_a_server_that_sleeps() {
    support::on_smol(|runtime| async move {
        let (server, _) = bind(&runtime, Config::default()).await;
        let stopper = server.stopper();
        let elsewhere = std::thread::spawn(move || {
            std::thread::sleep(SOON);
            stopper.stop();
        });
        server.run(echo).await;
        elsewhere.join().expect("stopped");
    });
}

#[test]
fn errors_of_accepting_are_waited_out() {
    for seed in glowplug::sim::seeds(20) {
        let mut simulation = Simulation::new(seed);
        let host = simulation.host("here", [10, 0, 0, 1]);
        let net = simulation.net();
        simulation.run(async {
            let (server, at) = bind(&host, Config::default()).await;
            let stopper = server.stopper();
            // One peer's bad luck is nobody else's: no pause.
            net.fail_accepts("here", io::ErrorKind::ConnectionAborted, 3);
            let work = async {
                let begin = host.now();
                ask(&mut connect(&host, &at).await, "at once").await;
                assert!(
                    host.now() < begin + Duration::from_millis(5),
                    "it paused for {:?}",
                    host.now() - begin
                );
                // Out of descriptors: pauses, each longer than the last, at most a second each.
                net.fail_accepts("here", io::ErrorKind::OutOfMemory, 5);
                let begin = host.now();
                ask(&mut connect(&host, &at).await, "in the end").await;
                let waited = host.now() - begin;
                assert!(waited > Duration::from_millis(5), "it did not pause: {waited:?}");
                assert!(waited < Duration::from_secs(6), "it paused for {waited:?}");
                // A stop does not wait for the pause to end.
                net.fail_accepts("here", io::ErrorKind::OutOfMemory, 1000);
                let stranded = connect(&host, &at).await;
                sleep(&host, Duration::from_secs(30)).await;
                let begin = host.now();
                stopper.stop();
                drop(stranded);
                begin
            };
            let (stopped, ()) = join(work, server.run(echo)).await;
            assert!(host.now() < stopped + Duration::from_millis(5), "the pause held the stop up");
        });
        simulation.run_until_idle();
        assert_eq!(simulation.usage().streams, 0, "a connection is left over");
    }
}

#[test]
fn a_server_that_is_dropped_closes_its_listener_and_connections_run_on() {
    support::on_smol(|runtime| async move {
        let (server, at) = bind(&runtime, Config::default()).await;
        let mut stream = beside(
            async {
                let mut stream = connect(&runtime, &at).await;
                ask(&mut stream, "before").await;
                stream
            },
            server.run(echo),
        )
        .await;
        runtime.connect(&at).await.map(drop).expect_err("the listener is closed");
        ask(&mut stream, "after").await;
    });
}
