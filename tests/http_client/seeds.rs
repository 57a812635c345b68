//! The simulator's seeds: cuts, resets, refusals and dropped calls, and what must hold in spite of them.

use std::time::Duration;

use futures_util::future::join_all;
use glowplug::core::{Instant, PoolConfig, Progress, Seed};
use glowplug::runtime::http::coding::decode::DecodeConfig;
use glowplug::runtime::http::{Body, Client, ClientError};
use glowplug::runtime::time::{sleep, within};
use glowplug::sim::{Link, Sim, Simulation, seeds};

use crate::server::{Log, Reply, Seen, Site};
use crate::support::beside;

/// How many calls one seed makes.
const CALLERS: u32 = 6;
const CALLS: u32 = 12;

/// What became of one call.
struct Outcome {
    target: String,
    method: http::Method,
    result: Result<String, ClientError>,
    /// It was dropped before it had ended.
    dropped: bool,
}

fn echo(seen: &Seen) -> Reply {
    let body = format!("{} {}", seen.target, seen.text());
    match seen.target.len() % 3 {
        0 => Reply::text(body),
        1 => Reply::chunked([body]),
        // Long enough to be cut.
        _ => Reply::text(body + &"x".repeat(3000)),
    }
}

async fn call(client: &Client<Sim>, base: &str, n: u32, rng: &mut glowplug::core::Rng) -> Outcome {
    let method = [http::Method::GET, http::Method::POST, http::Method::PUT][rng.below(3) as usize].clone();
    // Targets of three lengths, each said once.
    let target = format!("/{n}{}", "z".repeat(rng.below(3) as usize));
    let body = "b".repeat(rng.below(5000) as usize);
    let mut request = client.method(method.clone(), format!("{base}{target}"));
    if method != http::Method::GET {
        let pieces: Vec<_> = body
            .as_bytes()
            .chunks(700)
            .map(|piece| {
                Ok::<_, std::io::Error>(http_body::Frame::data(bytes::Bytes::copy_from_slice(piece)))
            })
            .collect();
        let stream = http_body_util::StreamBody::new(futures_util::stream::iter(pieces));
        request = request.body(if rng.chance(1, 2) { Body::from(body.clone()) } else { Body::new(stream) });
    }
    let expected = format!("{target} {}", if method == http::Method::GET { "" } else { &body });
    let patience = rng.chance(1, 4).then(|| Duration::from_micros(rng.below(8000)));
    let work = async { request.send().await?.text().await };
    let runtime = client_runtime(client);
    let result = within(&runtime, patience, work).await;
    let dropped = result.is_err();
    let result = result.unwrap_or_else(|_| Ok(expected.clone()));
    if let Ok(text) = &result {
        let told = text.trim_end_matches('x');
        assert_eq!(told, expected, "an answer to another request");
    }
    Outcome { target, method, result, dropped }
}

thread_local! {
    static HOST: std::cell::RefCell<Option<Sim>> = const { std::cell::RefCell::new(None) };
}

fn client_runtime(_: &Client<Sim>) -> Sim {
    HOST.with_borrow(|host| host.clone().expect("set before"))
}

/// One world with one seed; how many calls had an answer, and how many failed.
fn world(seed: u64) -> (usize, usize) {
    let mut simulation = Simulation::new(seed);
    let here = simulation.host("here", [10, 0, 0, 1]);
    let there = simulation.host("there", [10, 0, 0, 2]);
    let net = simulation.net();
    net.link("here", "there", Link::new().cuts(0.6, 6000).refuse(0.05).segment(400));
    let log = Log::default();
    let outcomes = simulation.run(async {
        HOST.set(Some(here.clone()));
        let site = Site::open_at(&there, &glowplug::runtime::Endpoint::Tcp(([10, 0, 0, 2], 80).into())).await;
        let base = site.url("");
        // Half of them have no fields of their own to send.
        let codings = seed.is_multiple_of(2).then(DecodeConfig::default);
        let client = Client::builder(here.clone())
            .decode(codings)
            .pool(PoolConfig::default().max_per_key(3))
            .head_timeout(Some(Duration::from_secs(20)))
            .body_timeout(Some(Duration::from_secs(20)))
            .build();
        let work = async {
            let callers = (0..CALLERS).map(|caller| {
                let (client, base) = (client.clone(), base.clone());
                async move {
                    let mut rng = Seed::from_u64(seed * 100 + u64::from(caller)).rng();
                    let mut outcomes = Vec::new();
                    for n in 0..CALLS {
                        outcomes.push(call(&client, &base, caller * CALLS + n, &mut rng).await);
                        if rng.chance(1, 3) {
                            let pause = Duration::from_millis(rng.below(5));
                            sleep(&client_runtime(&client), pause).await;
                        }
                    }
                    outcomes
                }
            });
            let outcomes: Vec<_> = join_all(callers).await.into_iter().flatten().collect();
            assert_eq!(client.connections(), client.idle_connections(), "a lease is held by nobody");
            assert!(here.now() < Instant::ZERO + Duration::from_secs(3600), "somebody hung");
            outcomes
        };
        beside(work, site.serve(log.clone(), echo)).await
    });
    HOST.set(None);
    simulation.run_until_idle();
    assert_eq!(simulation.usage().streams, 0, "a socket is left over");

    let seen = log.all();
    let mut answered = 0;
    for outcome in &outcomes {
        let times = seen.iter().filter(|seen| seen.target == outcome.target).count();
        let Outcome { method, result, dropped, .. } = outcome;
        match result {
            Ok(_) if *dropped => assert!(times <= 2),
            Ok(_) => {
                answered += 1;
                assert!((1..=2).contains(&times), "{method} was answered and came {times} times");
            }
            Err(error) if error.progress() == Progress::NotSent => {
                assert_eq!(times, 0, "{method} was not sent, it is said, and came: {error}");
            }
            Err(_) => assert!(times <= 2),
        }
        if *method == http::Method::POST {
            assert!(times <= 1, "what may have been applied was sent again");
        }
    }
    (answered, outcomes.len() - answered)
}

use glowplug::runtime::Runtime as _;

#[test]
fn no_answer_to_another_request_and_no_repeat_of_what_may_have_been_applied() {
    let (mut answered, mut failed) = (0, 0);
    for seed in seeds(200) {
        let (yes, no) = world(seed);
        answered += yes;
        failed += no;
    }
    // The network is bad, but not so bad that nothing is tested.
    assert!(answered > failed / 2 && failed > answered / 50, "{answered} answered, {failed} failed");
}
