//! The simulator's seeds with everything on: a proxy, cookies, codings, redirects and forms on a network that cuts, resets and refuses.

use std::io::Write as _;
use std::time::Duration;

use bytes::BytesMut;
use flate2::Compression;
use flate2::write::GzEncoder;
use futures_util::future::{join, join_all};
use glowplug::core::{Instant, PoolConfig, Progress, Seed};
use glowplug::http::multipart::{Boundary, MultipartEvent, MultipartLimits, MultipartReader};
use glowplug::runtime::http::proxy::{Proxies, Proxy};
use glowplug::runtime::http::{Client, ClientError, CookieJar, Form, Part};
use glowplug::runtime::time::within;
use glowplug::runtime::{Endpoint, Runtime as _};
use glowplug::sim::{Link, Sim, Simulation, seeds};

use crate::proxies::forward;
use crate::server::{Log, Reply, Seen, Site};
use crate::support::beside;

const CALLERS: u64 = 4;
const CALLS: u64 = 8;

fn gzip(content: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(content.as_bytes()).expect("encoded");
    encoder.finish().expect("encoded")
}

/// What a request's form says, or nothing if it is cut off: the proxy passes on what it has.
fn field(seen: &Seen) -> Option<String> {
    let boundary = seen.field("content-type").and_then(Boundary::of)?;
    let mut reader = MultipartReader::new(&boundary, MultipartLimits::default());
    let mut input = BytesMut::from(&seen.body[..]);
    let mut data = Vec::new();
    while let Some(event) = reader.poll_event(&mut input).expect("a valid form") {
        if let MultipartEvent::Data(piece) = event {
            data.extend_from_slice(&piece);
        }
    }
    reader.finish(input.len()).expect("a complete form");
    String::from_utf8(data).ok()
}

const HOSTS: [&str; 2] = ["a.example", "b.example"];

/// Target and field, long enough to be cut, and coded, with a cookie of the host's; or the way to where the target is on the other host.
fn echo(seen: &Seen) -> Reply {
    let host = seen.field("host").expect("a host").to_owned();
    // For all its paths: by default a cookie is for the folder of the one that set it.
    let cookie = format!("from={host}; path=/");
    if let Some(target) = seen.target.strip_prefix("/moved") {
        let other = HOSTS[usize::from(host == HOSTS[0])];
        return Reply::status(302)
            .field("location", format!("http://{other}{target}"))
            .field("set-cookie", cookie);
    }
    let text = format!("{} {}", seen.target, field(seen).unwrap_or_default());
    let text = text + &(0..600).flat_map(|n| [" ".to_owned(), n.to_string()]).collect::<String>();
    let body: Vec<Vec<u8>> = gzip(&text).chunks(500).map(<[u8]>::to_vec).collect();
    Reply::chunked(body).field("content-encoding", "gzip").field("set-cookie", cookie)
}

struct Outcome {
    target: String,
    post: bool,
    result: Option<Result<(), ClientError>>,
}

async fn call(client: &Client<Sim>, runtime: &Sim, n: u64, rng: &mut glowplug::core::Rng) -> Outcome {
    let (target, post) = (format!("/{n}"), rng.chance(1, 2));
    let host = HOSTS[rng.below(2) as usize];
    let moved = if !post && rng.chance(1, 3) { "/moved" } else { "" };
    let url = format!("http://{host}{moved}{target}");
    let text = "t".repeat(rng.below(4000) as usize + 1);
    let request = if post {
        client.post(&url).multipart(Form::new().part("f", Part::new(text.clone())))
    } else {
        client.get(&url)
    };
    let patience = rng.chance(1, 4).then(|| Duration::from_micros(rng.below(20_000)));
    let work = async {
        let answer = request.send().await?;
        if answer.status() == 502 {
            // The proxy could not do it.
            return Ok(());
        }
        let told = answer.text().await?;
        let expected = format!("{target} {} 0 1", if post { &text } else { "" });
        assert!(told.starts_with(&expected) && told.ends_with(" 599"), "another answer: {told}");
        Ok(())
    };
    let result = within(runtime, patience, work).await.ok();
    Outcome { target, post, result }
}

fn world(seed: u64) -> (usize, usize) {
    let mut simulation = Simulation::new(seed);
    let hosts = [("here", 1), ("proxy", 2), ("there", 3)];
    let [here, proxy, there] = hosts.map(|(name, last)| simulation.host(name, [10, 0, 0, last]));
    let net = simulation.net();
    net.link("here", "proxy", Link::new().cuts(0.3, 6000).refuse(0.05).segment(400));
    net.link("proxy", "there", Link::new().cuts(0.3, 6000).refuse(0.05).segment(700));
    net.name("a.example", [[10, 0, 0, 3].into()]);
    net.name("b.example", [[10, 0, 0, 3].into()]);
    let log = Log::default();
    let jar = CookieJar::new();
    let outcomes = simulation.run(async {
        let site = Site::open_at(&there, &Endpoint::Tcp(([10, 0, 0, 3], 80).into())).await;
        let listener = proxy.listen(&Endpoint::Tcp(([10, 0, 0, 2], 3128).into())).await.expect("a port");
        let client = Client::builder(here.clone())
            .pool(PoolConfig::default().max_per_key(3))
            .proxies(Proxies::all(Proxy::new("10.0.0.2", 3128)))
            .cookies(jar.clone())
            .head_timeout(Some(Duration::from_secs(20)))
            .body_timeout(Some(Duration::from_secs(20)))
            .build();
        let work = async {
            let callers = (0..CALLERS).map(|caller| {
                let (client, here) = (client.clone(), here.clone());
                async move {
                    let mut rng = Seed::from_u64(seed * 100 + caller).rng();
                    let mut outcomes = Vec::new();
                    for n in 0..CALLS {
                        outcomes.push(call(&client, &here, caller * CALLS + n, &mut rng).await);
                    }
                    outcomes
                }
            });
            let outcomes: Vec<_> = join_all(callers).await.into_iter().flatten().collect();
            assert_eq!(client.connections(), client.idle_connections(), "a lease is held by nobody");
            assert!(here.now() < Instant::ZERO + Duration::from_secs(3600), "somebody hung");
            outcomes
        };
        let servers = join(site.serve(log.clone(), echo), forward::serve(proxy.clone(), listener, None));
        beside(work, servers).await
    });
    let seen = log.all();
    let mut answered = 0;
    for outcome in &outcomes {
        let complete = seen.iter().filter(|seen| seen.complete && seen.target == outcome.target).count();
        assert!(!outcome.post || complete <= 1, "what may have been applied was sent again");
        match &outcome.result {
            Some(Ok(())) => answered += 1,
            Some(Err(error)) if error.progress() == Progress::NotSent => assert_eq!(complete, 0, "{error}"),
            _ => {}
        }
    }
    for seen in &seen {
        let host = seen.field("host").expect("a host");
        let cookie = seen.field("cookie").unwrap_or("");
        assert!(cookie.is_empty() || cookie == format!("from={host}"), "{host} got {cookie}");
    }
    assert!(jar.len() <= 2);
    (answered, outcomes.len() - answered)
}

#[test]
fn through_a_proxy_with_everything_on() {
    let (mut answered, mut failed) = (0, 0);
    for seed in seeds(60) {
        let (yes, no) = world(seed);
        answered += yes;
        failed += no;
    }
    assert!(answered > failed / 2 && failed > answered / 50, "{answered} answered, {failed} failed");
}
