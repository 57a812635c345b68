//! The Redis client and the Redis server in memory, unchanged, through everything the simulated network does.

mod cache;
#[path = "../support/mod.rs"]
mod support;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use glowplug_core::{BackoffConfig, Instant, Progress, Rng};
use glowplug_redis::{ClientConfig, Pipeline, Protocol, commands, memory};
use glowplug_runtime::redis::{Client, ConnectError, Error, SessionEvent, serve_memory};
use glowplug_runtime::server::{Config, Server, Stopper};
use glowplug_runtime::{Runtime, Spawn};
use glowplug_sim::{Cut, Link, Sim, Simulation, Usage, dropped_after, seeds};
use support::*;

const URL: &str = "redis://server";
const CALLERS: u32 = 5;
const ROUNDS: u32 = 10;

fn world(seed: u64, link: Link) -> (Simulation, Sim, Sim) {
    let simulation = Simulation::new(seed).configure(|net| net.default_link(link));
    let client = simulation.host("client", [10, 0, 0, 1]);
    let server = simulation.host("server", [10, 0, 0, 2]);
    (simulation, client, server)
}

async fn serve(host: &Sim, store: &memory::Handle) -> Stopper {
    let server = Server::bind(host.clone(), addr("0.0.0.0:6379")).await.expect("the port is free");
    let server = server.config(Config::default().drain_timeout(Duration::from_secs(5)));
    let stopper = server.stopper();
    host.spawn(serve_memory(host.clone(), server, store.clone()));
    stopper
}

async fn connect(host: &Sim) -> Option<Client<Sim>> {
    connect_with(host, None).await
}

/// Connects; and again by itself whenever the connection is lost, if told to.
async fn connect_with(host: &Sim, reconnect: Option<BackoffConfig>) -> Option<Client<Sim>> {
    for _ in 0..20 {
        let timeout = Some(Duration::from_secs(5));
        let start = host.now();
        let builder = Client::builder(host.clone()).connect_timeout(timeout).reconnect(reconnect);
        let connected = builder.connect(URL).await;
        assert!((host.now() - start) <= Duration::from_secs(5), "connecting goes on past its deadline");
        match connected {
            Ok(client) => return Some(client),
            Err(_) => host.sleep(Duration::from_millis(100)).await,
        }
    }
    None
}

/// What became of each counter that somebody wanted to count up once: the answer, or how far the request got.
type Counters = BTreeMap<String, Option<Progress>>;

/// What may happen to callers, and how long their longest value is.
#[derive(Clone, Copy)]
struct Story {
    may_fail: bool,
    long: usize,
    /// The server is stopped and started again, or loses its power.
    restarts: bool,
    /// Clients connect again by themselves.
    reconnects: bool,
}

/// What a call without an answer says.
fn failure(host: &Sim, error: &Error, deadline: Instant, may_fail: bool) -> Progress {
    assert!(may_fail, "nothing ends a connection here: {error:?}");
    assert!(matches!(error, Error::Call(_)), "an answer of the wrong kind: {error:?}");
    assert!(host.now() <= deadline, "a call goes on past its deadline");
    error.progress()
}

async fn caller(host: Sim, mut dice: Rng, number: u32, story: Story) -> Counters {
    let may_fail = story.may_fail;
    let mut counters = Counters::new();
    let mut connection = None;
    for round in 0..ROUNDS {
        let client = match connection.take().filter(|client: &Client<Sim>| !client.is_closed()) {
            Some(client) => client,
            None => match connect_with(&host, story.reconnects.then(BackoffConfig::default)).await {
                Some(client) => client,
                None => {
                    assert!(may_fail, "nothing ends a connection here");
                    return counters;
                }
            },
        };
        // Where nothing may fail, a deadline only finds what is lost for good: segments may be lost several times in a row.
        let timeout = Duration::from_millis(if may_fail { 3000 } else { 60_000 } + dice.below(3000));
        let deadline = host.now() + timeout;
        let text = format!("{number}.{round} {}", "x".repeat(dice.below(400) as usize));
        match dice.below(5) {
            0 => {
                let key = format!("counter.{number}.{round}");
                // Behind something long, it may never get to leave.
                let long = vec![b'x'; if dice.chance(1, 2) { story.long } else { 0 }];
                let pause = Duration::from_millis(5);
                let (_, outcome) = join(client.run(commands::echo(long)).timeout(Some(timeout)), async {
                    host.sleep(pause).await;
                    client.run(commands::incrby(&*key, 1)).timeout(Some(timeout.saturating_sub(pause))).await
                })
                .await;
                let outcome = match outcome {
                    Ok(count) => {
                        assert_eq!(count, 1);
                        None
                    }
                    Err(error) => Some(failure(&host, &error, deadline, may_fail)),
                };
                counters.insert(key, outcome);
            }
            1 => {
                let pipeline: Pipeline = (0..3).fold(Pipeline::new(), |pipeline, part| {
                    pipeline.with(commands::echo(format!("{text}/{part}")).into_parts().0)
                });
                match client.pipeline(pipeline).timeout(Some(timeout)).await {
                    Ok(replies) => {
                        let texts: Vec<_> =
                            replies.iter().map(|reply| reply.view().as_bytes().map(<[u8]>::to_vec)).collect();
                        let expected: Vec<_> =
                            (0..3).map(|part| Some(format!("{text}/{part}").into_bytes())).collect();
                        assert_eq!(texts, expected, "a wrong answer");
                    }
                    Err(error) => drop(failure(&host, &error, deadline, may_fail)),
                }
            }
            2 => {
                let call = client.run(commands::echo(&*text)).timeout(Some(timeout));
                if let Some(Ok(answer)) = host.at_risk(3, call).await {
                    assert_eq!(answer, text, "a wrong answer");
                }
            }
            _ => {
                // Two at once, each of which waits for its own.
                let (one, other) = (format!("{text}one"), format!("{text}other"));
                let (first, second) = join(
                    client.run(commands::echo(&*one)).timeout(Some(timeout)),
                    client.run(commands::echo(&*other)).timeout(Some(timeout)),
                )
                .await;
                for (outcome, asked) in [(first, one), (second, other)] {
                    match outcome {
                        Ok(answer) => assert_eq!(answer, asked, "a wrong answer"),
                        Err(error) => drop(failure(&host, &error, deadline, may_fail)),
                    }
                }
            }
        }
        if dice.chance(9, 10) {
            connection = Some(client);
        }
    }
    counters
}

/// Stops the server in good order, or takes its power away, and starts it again, for a while.
async fn upset(
    client: Sim,
    server: Sim,
    store: memory::Handle,
    mut dice: Rng,
    stopper: Rc<RefCell<Stopper>>,
) {
    for _ in 0..5 {
        client.sleep(Duration::from_millis(dice.below(3000))).await;
        if dice.chance(1, 2) {
            server.net().crash("server");
        } else {
            stopper.borrow().stop();
            // The listener closes at once; the connections have their time.
            client.sleep(Duration::from_millis(1)).await;
        }
        let again = serve(&server, &store).await;
        *stopper.borrow_mut() = again;
    }
}

/// Callers who come and go while the network does its worst; then every counter is what its caller was told.
fn run(seed: u64, link: Link, story: Story) -> (Counters, u64) {
    let (mut simulation, client, server) = world(seed, link);
    let net = simulation.net();
    let store = memory::Handle::new(memory::Config::new().seed(server.seed()));
    let mut dice = client.seed().rng();
    let counters = simulation.run(async {
        let stopper = Rc::new(RefCell::new(serve(&server, &store).await));
        let upset =
            upset(client.clone(), server.clone(), store.clone(), dice.seed().rng(), Rc::clone(&stopper));
        let upset = story.restarts.then(|| client.task("upset", upset));
        let callers: Vec<_> = (0..CALLERS)
            .map(|number| client.task("caller", caller(client.clone(), dice.seed().rng(), number, story)))
            .collect();
        let mut counters = Counters::new();
        for caller in callers {
            counters.extend(caller.await.expect("callers run to their end"));
        }
        if let Some(upset) = upset {
            upset.await;
        }
        net.default_link(Link::new());
        let checking = connect(&client).await.expect("the network is calm now");
        for (key, outcome) in &counters {
            let counted = checking.run(commands::get(&**key)).await.expect("the network is calm now");
            match outcome {
                None => assert_eq!(counted, Some(Bytes::from("1")), "{key} was counted"),
                Some(Progress::NotSent) => assert_eq!(counted, None, "{key} was never sent"),
                Some(_) => {}
            }
        }
        drop(checking);
        stopper.borrow().stop();
        counters
    });
    simulation.run_until_idle();
    assert!(
        simulation.usage() == Usage::default(),
        "left over: {:?}\n{}",
        simulation.usage(),
        simulation.tasks()
    );
    (counters, simulation.trace_hash())
}

/// Checks that each of these outcomes was met, or the test says less than it seems to.
fn met(outcomes: &[Option<Progress>], all: &[Option<Progress>]) {
    for outcome in all {
        assert!(
            outcomes.contains(outcome) || std::env::var_os("GLOWPLUG_SEED").is_some(),
            "{outcome:?} never came"
        );
    }
}

#[test]
fn a_seed_run_twice_does_the_same() {
    for seed in seeds(20) {
        let again = || {
            run(
                seed,
                Link::rough().cuts(0.4, 2000),
                Story { may_fail: true, long: 2000, restarts: false, reconnects: false },
            )
        };
        assert!(again() == again(), "seed {seed}");
    }
}

#[test]
fn on_a_rough_network_everybody_gets_an_answer() {
    for seed in seeds(100) {
        run(seed, Link::rough(), Story { may_fail: false, long: 2000, restarts: false, reconnects: false });
    }
}

#[test]
fn cut_connections_give_answers_or_errors_that_tell_the_truth() {
    let mut outcomes = Vec::new();
    for seed in seeds(200) {
        let link = Link::rough().cuts(0.4, 2000).refuse(0.1);
        outcomes.extend(
            run(seed, link, Story { may_fail: true, long: 2000, restarts: false, reconnects: false })
                .0
                .into_values(),
        );
    }
    met(&outcomes, &[None, Some(Progress::FullySent)]);
}

#[test]
fn what_waited_behind_a_long_request_was_never_sent() {
    let mut outcomes = Vec::new();
    for seed in seeds(20) {
        let link = Link::new().window(10_000).cuts(0.5, 200_000);
        outcomes.extend(
            run(seed, link, Story { may_fail: true, long: 300_000, restarts: false, reconnects: false })
                .0
                .into_values(),
        );
    }
    met(&outcomes, &[None, Some(Progress::NotSent), Some(Progress::FullySent)]);
}

#[test]
fn black_holes_end_at_the_deadline() {
    let mut outcomes = Vec::new();
    for seed in seeds(200) {
        let link = Link::new().cuts(0.4, 2000).black_holes(true);
        outcomes.extend(
            run(seed, link, Story { may_fail: true, long: 2000, restarts: false, reconnects: false })
                .0
                .into_values(),
        );
    }
    met(&outcomes, &[None, Some(Progress::FullySent)]);
}

#[test]
fn servers_that_stop_or_lose_their_power_leave_no_doubt() {
    let mut outcomes = Vec::new();
    for seed in seeds(100) {
        let story = Story { may_fail: true, long: 2000, restarts: true, reconnects: false };
        outcomes.extend(run(seed, Link::new().latency(Duration::from_millis(30)), story).0.into_values());
    }
    met(&outcomes, &[None, Some(Progress::FullySent)]);
}

#[test]
fn clients_that_come_back_tell_the_truth() {
    let mut outcomes = Vec::new();
    for seed in seeds(200) {
        let link = Link::rough().cuts(0.4, 2000).refuse(0.1).black_holes(seed % 4 == 0);
        let story = Story { may_fail: true, long: 2000, restarts: seed % 3 == 0, reconnects: true };
        outcomes.extend(run(seed, link, story).0.into_values());
    }
    met(&outcomes, &[None, Some(Progress::FullySent)]);
}

#[test]
fn what_waits_behind_a_long_request_when_the_connection_is_lost_goes_out_on_the_next() {
    let mut outcomes = Vec::new();
    for seed in seeds(20) {
        let link = Link::new().window(10_000).cuts(0.5, 200_000);
        let story = Story { may_fail: true, long: 300_000, restarts: false, reconnects: true };
        outcomes.extend(run(seed, link, story).0.into_values());
    }
    met(&outcomes, &[None, Some(Progress::FullySent)]);
}

/// A hundred commands, a few at a time, on a connection that is cut after so many bytes. True if it was.
fn cut_session(cut: u64, from_server: bool, how: Cut, reconnects: bool) -> bool {
    let (mut simulation, client, server) = world(cut, Link::new());
    let net = simulation.net();
    let store = memory::Handle::new(memory::Config::new().seed(server.seed()));
    let was_cut = simulation.run(async {
        let stopper = serve(&server, &store).await;
        let (from, to) = if from_server { ("server", "client") } else { ("client", "server") };
        net.cut_after(from, to, cut, how);
        let config = ClientConfig::new().protocol(Protocol::Resp2).set_info(false);
        let builder = Client::builder(client.clone()).machine(config);
        let redis = builder.reconnect(reconnects.then(BackoffConfig::default)).connect(URL).await.unwrap();
        let mut failed = false;
        let mut outcomes = Counters::new();
        for round in 0..10 {
            let calls: Vec<_> = (0..5)
                .map(|number| {
                    let redis = redis.clone();
                    client.task("caller", async move {
                        let text = format!("{round}.{number}");
                        let echoed = redis.run(commands::echo(&*text));
                        let counted = redis.run(commands::incr(&*text));
                        let (echoed, counted) = join(echoed, counted).await;
                        if let Ok(echoed) = echoed {
                            assert_eq!(echoed, text, "somebody else's answer");
                        }
                        let outcome = match counted {
                            Ok(count) => {
                                assert_eq!(count, 1, "it was counted twice");
                                None
                            }
                            Err(error) => Some(error.progress()),
                        };
                        (text, outcome)
                    })
                })
                .collect();
            for call in calls {
                let (key, outcome) = call.await.unwrap();
                failed |= outcome.is_some();
                outcomes.insert(key, outcome);
            }
        }
        let checking = connect(&client).await.unwrap();
        for (key, outcome) in &outcomes {
            let counted = checking.run(commands::get(&**key)).await.unwrap();
            match outcome {
                None => assert_eq!(counted, Some(Bytes::from("1")), "{key} was counted"),
                Some(Progress::NotSent) => {
                    assert!(!reconnects, "what was not sent goes out on the next connection");
                    assert_eq!(counted, None, "{key} was never sent");
                }
                Some(_) => {}
            }
        }
        let was_cut = if reconnects {
            let mut cuts = 0;
            while let Some(Ok(Some(event))) = dropped_after(1, redis.connection().next_event()).await {
                cuts += u32::from(matches!(event, SessionEvent::Disconnected(_)));
            }
            assert!(cuts <= 1 && (cuts == 1 || !failed));
            cuts == 1
        } else {
            failed
        };
        stopper.stop();
        was_cut
    });
    simulation.run_until_idle();
    assert!(simulation.usage() == Usage::default(), "left over: {:?}", simulation.usage());
    was_cut
}

#[test]
fn a_session_of_a_hundred_commands_is_cut_at_every_byte() {
    for from_server in [false, true] {
        let mut cut = 1;
        let mut whole = 0;
        // A cut in the last bytes may come when everybody has what they wanted.
        while whole < 3 {
            let how = if cut % 2 == 0 { Cut::Reset } else { Cut::Close };
            whole = if cut_session(cut, from_server, how, cut % 5 != 0) { 0 } else { whole + 1 };
            cut += 1;
        }
        assert!(cut > 600, "{cut} bytes are no hundred commands");
    }
}

#[test]
fn connecting_is_dropped_at_every_poll() {
    let (mut simulation, client, server) = world(1, Link::rough());
    let store = memory::Handle::new(memory::Config::new().seed(server.seed()));
    let stopper = simulation.run(serve(&server, &store));
    simulation.run_until_idle();
    let before = simulation.usage();
    let mut polls = 0;
    let polls = loop {
        let connecting = Client::builder(client.clone()).connect(URL);
        let connected = simulation.run(dropped_after(polls, connecting));
        let done = connected.is_some_and(|connected| connected.is_ok());
        simulation.run_until_idle();
        assert_eq!(simulation.usage(), before, "dropped at poll {polls}");
        if done {
            break polls;
        }
        polls += 1;
    };
    assert!(polls >= 3, "connecting waited {polls} times");
    stopper.stop();
    simulation.run_until_idle();
    assert_eq!(simulation.usage(), Usage::default());
}

#[test]
fn a_call_is_dropped_at_every_poll_and_the_next_hundred_pair_up() {
    for seed in seeds(20) {
        let (mut simulation, client, server) = world(seed, Link::rough());
        let store = memory::Handle::new(memory::Config::new().seed(server.seed()));
        simulation.run(async {
            let _stopper = serve(&server, &store).await;
            let redis = connect(&client).await.unwrap();
            for polls in 0.. {
                let done = dropped_after(polls, redis.run(commands::echo("dropped"))).await.is_some();
                for number in 0..100 {
                    let text = number.to_string();
                    assert_eq!(redis.run(commands::echo(&*text)).await.unwrap(), text);
                }
                if done {
                    break;
                }
            }
        });
    }
}

#[test]
fn ten_mebibytes_go_both_ways_at_once_through_a_small_window() {
    const LEN: usize = 10 * 1024 * 1024;
    let (mut simulation, client, server) = world(1, Link::new().window(8000));
    let store = memory::Handle::new(memory::Config::new().seed(server.seed()));
    simulation.run(async {
        let _stopper = serve(&server, &store).await;
        let redis = connect(&client).await.unwrap();
        let value = Bytes::from((0..LEN).map(|index| (index % 251) as u8).collect::<Vec<_>>());
        let forever = None;
        let (one, other) = join(
            redis.run(commands::echo(value.clone())).timeout(forever),
            redis.run(commands::echo(value.clone())).timeout(forever),
        )
        .await;
        assert!(one.unwrap() == value && other.unwrap() == value);
    });
}

#[test]
fn a_peer_that_never_reads_costs_bounded_memory_and_no_more_than_the_deadline() {
    let (mut simulation, client, server) = world(1, Link::new());
    simulation.run(async {
        let mut listener = server.listen(&tcp("10.0.0.2:6379")).await.unwrap();
        let accepting = server.task("a server that never reads", async move {
            let stream = accept(&mut listener).await.unwrap();
            std::future::pending::<()>().await;
            drop(stream);
        });
        let connecting = Client::builder(client.clone()).connect(URL).await;
        assert!(connecting.is_err(), "nobody shakes hands");
        assert!(client.now() <= Instant::ZERO + Duration::from_secs(10));
        accepting.abort();
        accepting.await;
    });
    simulation.run_until_idle();
    assert_eq!(simulation.usage(), Usage::default());
}

#[test]
fn a_parked_caller_holds_nobody_up() {
    let (mut simulation, client, server) = world(1, Link::rough());
    let store = memory::Handle::new(memory::Config::new().seed(server.seed()));
    simulation.run(async {
        let _stopper = serve(&server, &store).await;
        let redis = connect(&client).await.unwrap();
        let mut parked = pin!(redis.run(commands::echo("parked")));
        std::future::poll_fn(|cx| {
            assert!(parked.as_mut().poll(cx).is_pending());
            Poll::Ready(())
        })
        .await;
        let others: Vec<_> = (0..63)
            .map(|number: u32| {
                let redis = redis.clone();
                client.task("other", async move {
                    let text = number.to_string();
                    redis.run(commands::echo(&*text)).await.is_ok_and(|answer| answer == text)
                })
            })
            .collect();
        for other in others {
            assert_eq!(other.await, Some(true));
        }
        assert_eq!(parked.await.unwrap(), "parked");
    });
}

#[test]
fn each_way_of_not_connecting_says_what_it_was() {
    let (mut simulation, client, server) = world(1, Link::new());
    let net = simulation.net();
    net.name_fails("broken", ErrorKind::Other);
    net.name("slow", [[10, 0, 0, 2].into()]);
    net.name_takes("slow", Duration::from_secs(60));
    let connect = |url: &'static str| {
        let builder = Client::builder(client.clone()).connect_timeout(Some(Duration::from_secs(5)));
        async move { builder.connect(url).await.expect_err("nobody serves") }
    };
    simulation.run(async {
        let error = connect("redis://broken").await;
        assert!(matches!(error, ConnectError::Resolve(_)), "{error:?}");
        let error = connect("redis://slow").await;
        assert!(matches!(error, ConnectError::TimedOut("resolved the name")), "{error:?}");
        let error = connect("redis://server").await;
        assert!(
            matches!(&error, ConnectError::Connect(error) if error.kind() == ErrorKind::ConnectionRefused),
            "{error:?}"
        );
        net.partition("client", "server");
        let error = connect("redis://server").await;
        assert!(matches!(error, ConnectError::TimedOut("connected")), "{error:?}");
        net.heal("client", "server");
        let _silent = server.listen(&tcp("0.0.0.0:6379")).await.unwrap();
        let error = connect("redis://server").await;
        assert!(matches!(error, ConnectError::TimedOut("shook hands")), "{error:?}");
    });
}

#[test]
fn a_call_outlives_a_short_partition_and_a_client_a_crash() {
    let (mut simulation, client, server) = world(1, Link::new());
    let net = simulation.net();
    let store = memory::Handle::new(memory::Config::new().seed(server.seed()));
    simulation.run(async {
        serve(&server, &store).await;
        let redis = connect(&client).await.unwrap();
        net.partition("client", "server");
        net.at(client.now() + Duration::from_secs(5), |net| net.heal("client", "server"));
        redis.run(commands::set("key", "value")).await.expect("the partition is shorter than the deadline");
        net.crash("server");
        let error = redis.run(commands::get("key")).await.expect_err("the server has lost its power");
        assert_eq!(error.progress(), Progress::FullySent);
        assert!(redis.is_closed());
        serve(&server, &store).await;
        let again = connect(&client).await.expect("the server is back");
        assert_eq!(again.run(commands::get("key")).await.unwrap(), Some(Bytes::from("value")));
    });
}

#[test]
fn a_server_without_a_free_descriptor_goes_on_later() {
    let (mut simulation, client, server) = world(1, Link::new());
    let net = simulation.net();
    let store = memory::Handle::new(memory::Config::new().seed(server.seed()));
    simulation.run(async {
        serve(&server, &store).await;
        net.fail_accepts("server", ErrorKind::Other, 5);
        let redis = connect(&client).await.expect("it backs off and accepts at last");
        assert_eq!(redis.run(commands::echo("hello")).await.unwrap(), "hello");
    });
}
