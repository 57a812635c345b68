//! Lone callers drive a shared connection themselves: when they do, and everything that takes the lead away from them.

mod support;

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use glowplug_core::RequestProtocol;
use glowplug_redis::{ClientConfig, ClientConnection, Command, Event, Reply, Request, commands, memory};
use glowplug_runtime::drive::shared::{Config, Connection};
use glowplug_runtime::redis::serve_memory;
use glowplug_runtime::server::{self, Server, Stopper};
use glowplug_runtime::time::within;
use glowplug_runtime::{Runtime, Spawn};
use glowplug_sim::{Cut, Link, Sim, Simulation, Stream, Usage, dropped_after, seeds};
use support::*;

type Redis = Connection<ClientConnection, Sim, Stream>;

/// Counts how often the connection's task runs.
struct Watched<F>(F, Arc<AtomicU64>);

impl<F: Future + Unpin> Future for Watched<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        self.1.fetch_add(1, Ordering::Relaxed);
        Pin::new(&mut self.0).poll(cx)
    }
}

fn world(seed: u64, link: Link) -> (Simulation, Sim, Sim) {
    let simulation = Simulation::new(seed).configure(|net| net.default_link(link));
    let client = simulation.host("client", [10, 0, 0, 1]);
    let server = simulation.host("server", [10, 0, 0, 2]);
    (simulation, client, server)
}

async fn serve(host: &Sim) -> Stopper {
    let store = memory::Handle::new(memory::Config::new().seed(host.seed()));
    let server = Server::bind(host.clone(), addr("0.0.0.0:6379")).await.expect("the port is free");
    let server = server.config(server::Config::default().drain_timeout(Duration::from_secs(1)));
    let stopper = server.stopper();
    host.spawn(serve_memory(host.clone(), server, store));
    stopper
}

/// A connection that has shaken hands, and how often its task has run.
async fn connect(host: &Sim) -> Option<(Redis, Arc<AtomicU64>)> {
    let stream = host.connect(&tcp("10.0.0.2:6379")).await.ok()?;
    let machine = ClientConnection::new(host.now(), ClientConfig::new());
    let (redis, drive) = Connection::new(host.clone(), stream, machine, Config::default());
    let polls = Arc::new(AtomicU64::new(0));
    drop(host.task("drive", Watched(drive, polls.clone())));
    loop {
        match redis.next_event().await {
            Ok(Some(Event::Connected { .. })) => return Some((redis, polls)),
            Ok(Some(_)) => {}
            Ok(None) | Err(_) => return None,
        }
    }
}

fn echo(text: &str) -> Request {
    Command::new("ECHO").arg(text).into()
}

async fn ask(redis: &Redis, text: &str) {
    let answer = redis.call(echo(text)).await;
    assert!(answer.as_ref().is_ok_and(|reply| is(reply, text)), "{text}: {answer:?}");
}

fn is(reply: &Reply, text: &str) -> bool {
    reply.view().as_bytes().is_some_and(|bytes| bytes == text.as_bytes())
}

/// Polls a future once and leaves it.
async fn poll_once<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    let mut future = future;
    poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await
}

#[test]
fn calls_one_after_the_other_leave_the_task_asleep() {
    let (mut simulation, client, server) = world(1, Link::new());
    simulation.run(async {
        let _stopper = serve(&server).await;
        let (redis, polls) = connect(&client).await.expect("connected");
        for number in 0..10 {
            ask(&redis, &number.to_string()).await;
        }
        let (before, begun) = (polls.load(Ordering::Relaxed), client.now());
        for number in 0..1000 {
            ask(&redis, &number.to_string()).await;
        }
        let looks = (client.now() - begun).as_millis() as u64 / 10;
        let ran = polls.load(Ordering::Relaxed) - before;
        assert!(ran <= 2 * looks + 4, "the task ran {ran} times, and had to look in {looks} times");
        assert!(ran < 500, "the task ran {ran} times in 1000 calls");
    });
}

#[test]
fn a_leader_that_is_not_polled_holds_nobody_up_and_hides_no_end() {
    for seed in seeds(30) {
        let (mut simulation, client, server) = world(seed, Link::new());
        simulation.run(async {
            let stopper = serve(&server).await;
            let (redis, _) = connect(&client).await.expect("connected");
            for round in 0..20 {
                ask(&redis, "first").await;
                let mut held = pin!(redis.call(echo("held")));
                assert!(poll_once(held.as_mut()).await.is_pending());
                if round % 2 == 0 {
                    ask(&redis, "another").await;
                } else {
                    client.sleep(Duration::from_millis(50)).await;
                }
                assert!(is(&held.await.expect("answered"), "held"));
            }
            // The server hangs up while a leader is held, and nobody else asks.
            let mut held = pin!(redis.call(echo("held")));
            assert!(poll_once(held.as_mut()).await.is_pending());
            client.sleep(Duration::from_millis(50)).await;
            stopper.stop();
            client.sleep(Duration::from_secs(2)).await;
            assert!(redis.is_closed(), "the end of the stream is seen");
            assert!(is(&held.await.expect("answered before the end"), "held"));
        });
    }
}

#[test]
fn the_end_is_seen_though_the_last_caller_had_driven() {
    for how in [Cut::Reset, Cut::Close] {
        let (mut simulation, client, server) = world(3, Link::new());
        let net = simulation.net();
        simulation.run(async {
            let _stopper = serve(&server).await;
            let (redis, _) = connect(&client).await.expect("connected");
            for number in 0..20 {
                ask(&redis, &number.to_string()).await;
            }
            net.cut("client", "server", how);
            client.sleep(Duration::from_millis(100)).await;
            assert!(redis.is_closed());
        });
    }
}

#[test]
fn whoever_listens_hears_at_once_though_calls_come_one_by_one() {
    let (mut simulation, client, server) = world(4, Link::new());
    simulation.run(async {
        let _stopper = serve(&server).await;
        let (redis, _) = connect(&client).await.expect("connected");
        let (other, _) = connect(&client).await.expect("connected");
        let subscribe = commands::subscribe(["news"]);
        redis.call(subscribe.into()).await.expect("subscribed");
        for number in 0..20 {
            ask(&redis, &number.to_string()).await;
        }
        let listening = async {
            loop {
                match redis.next_event().await {
                    Ok(Some(Event::Push(_))) => break client.now(),
                    Ok(Some(_)) => {}
                    other => panic!("{other:?}"),
                }
            }
        };
        let publishing = async {
            client.sleep(Duration::from_millis(200)).await;
            let now = client.now();
            other.call(Command::new("PUBLISH").arg("news").arg("it rains").into()).await.expect("published");
            now
        };
        let (heard, published) = join(listening, publishing).await;
        assert!(heard - published < Duration::from_millis(20), "heard after {:?}", heard - published);
    });
}

#[test]
fn deadlines_hold_while_callers_drive() {
    let (mut simulation, client, server) = world(5, Link::new());
    let net = simulation.net();
    simulation.run(async {
        let _stopper = serve(&server).await;
        let (redis, _) = connect(&client).await.expect("connected");
        for timeout in [5, 21, 30, 1000] {
            for number in 0..20 {
                ask(&redis, &number.to_string()).await;
            }
            net.partition("client", "server");
            let (begun, timeout) = (client.now(), Duration::from_millis(timeout));
            let call = redis.call(echo("lost")).timeout(Some(timeout));
            call.await.expect_err("nobody answers");
            assert_eq!(client.now() - begun, timeout);
            net.heal("client", "server");
            client.sleep(Duration::from_secs(10)).await;
        }
    });
}

/// One or two callers, with pauses about as long as the task's looks, that leave at any poll, on a network that loses and cuts.
#[test]
fn leads_that_come_and_go_swap_no_answers_and_lose_no_wake_up() {
    for seed in seeds(300) {
        let link = if seed % 2 == 0 { Link::rough() } else { Link::new().cuts(0.3, 20_000) };
        let (mut simulation, client, server) = world(seed, link);
        simulation.run(async {
            let stopper = serve(&server).await;
            let Some((redis, _)) = connect(&client).await else {
                stopper.stop();
                return;
            };
            let callers: Vec<_> = (0..2_u64)
                .map(|caller| {
                    let (redis, host, mut dice) = (redis.clone(), client.clone(), client.seed().rng());
                    client.task("caller", async move {
                        for number in 0..60 {
                            let text = format!("{caller}-{number}");
                            let polls = if dice.below(5) == 0 { dice.below(4) } else { u64::MAX };
                            let call = dropped_after(polls, redis.call(echo(&text)));
                            let answer = within(&host, Some(Duration::from_secs(31)), call)
                                .await
                                .expect("no call hangs");
                            if let Some(Ok(reply)) = answer {
                                assert!(is(&reply, &text), "{text}: {reply:?}");
                            }
                            // The second caller is there now and then.
                            let pause = match (caller, dice.below(10)) {
                                (0, 0..8) => 0,
                                (0, _) => dice.below(25),
                                (_, _) => dice.below(200),
                            };
                            host.sleep(Duration::from_millis(pause)).await;
                        }
                    })
                })
                .collect();
            for caller in callers {
                caller.await.expect("it ends");
            }
            // The last may have left before its answer came.
            client.sleep(Duration::from_secs(10)).await;
            let unanswered = redis.with_machine(|machine| machine.in_flight());
            assert!(unanswered == 0 || redis.is_closed(), "{unanswered} calls were forgotten");
            stopper.stop();
        });
        simulation.run_until_idle();
        assert_eq!(simulation.usage(), Usage::default(), "seed {seed}");
    }
}
