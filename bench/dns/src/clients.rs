//! Lookups by name on executors: against a responder on this machine, and against the cache.

use std::future::Future;
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bench_harness::{Clock, Entry, Measured, Work};
use futures::future::join_all;
use glowplug::dns::RecordType;
use glowplug::dns::resolver::ResolverConfig;
use glowplug::runtime::datagram::{Io, RecvBatch, SendBatch};
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig as HickoryConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;

/// How many lookups run at once.
const CALLERS: u64 = 100;

/// A thread that answers every query with one address, as fast as the system lets it.
fn responder() -> SocketAddr {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let at = socket.local_addr().expect("an address");
    std::thread::spawn(move || {
        let (mut input, mut output) = (RecvBatch::new(), SendBatch::new());
        let mut io = Io::new(&socket).expect("a socket");
        let mut reply = Vec::new();
        loop {
            if io.recv(&socket, &mut input).is_err() {
                continue;
            }
            while let Some(datagram) = input.pop() {
                answer(&datagram.payload, &mut reply);
                output.push(datagram.path.remote.into(), &reply);
            }
            while !output.is_empty() {
                let _ = io.send(&socket, &mut output);
            }
        }
    });
    at
}

/// Header and question as they came, and one address.
fn answer(query: &[u8], reply: &mut Vec<u8>) {
    reply.clear();
    let name = query[12..].iter().position(|byte| *byte == 0).expect("a name");
    reply.extend_from_slice(&query[..12 + name + 5]);
    reply[2] = 0x80 | query[2] & 1;
    reply[3] = 0x80;
    reply[4..12].copy_from_slice(&[0, 1, 0, 1, 0, 0, 0, 0]);
    reply.extend_from_slice(&[0xc0, 12, 0, 1, 0, 1, 0, 0, 1, 0, 0, 4, 192, 0, 2, 1]);
}

/// Names that nobody has asked for, in this run or another.
fn fresh() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!("host-{}.example.com.", NEXT.fetch_add(1, Ordering::Relaxed))
}

fn on_tokio<F: Future<Output = Measured>>(work: F) -> Measured {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("tokio");
    runtime.block_on(work)
}

fn config(at: SocketAddr) -> ResolverConfig {
    ResolverConfig { servers: vec![at], ..ResolverConfig::default() }
}

/// `next` gives the name of the next lookup.
fn ours_on_tokio(at: SocketAddr, operations: u64, callers: u64, next: fn() -> String) -> Measured {
    use glowplug::tokio::{Tokio, dns::Resolver};
    on_tokio(async {
        let resolver = Resolver::builder(Tokio).config(config(at)).build();
        resolver.lookup(next().as_str(), RecordType::A).await.expect("an answer");
        let each = operations / callers;
        let clock = Clock::start();
        let tasks: Vec<_> = (0..callers)
            .map(|_| {
                let resolver = resolver.clone();
                tokio::spawn(async move {
                    for _ in 0..each {
                        black_box(resolver.lookup(next().as_str(), RecordType::A).await.expect("an answer"));
                    }
                })
            })
            .collect();
        for task in join_all(tasks).await {
            task.expect("no caller panics");
        }
        clock.stop(each * callers)
    })
}

fn ours_on_smol(at: SocketAddr, operations: u64, callers: u64, next: fn() -> String) -> Measured {
    use glowplug::smol::{Smol, dns::Resolver};
    let executor = Arc::new(smol::Executor::new());
    smol::block_on(executor.run(async {
        let resolver = Resolver::builder(Smol::on(executor.clone())).config(config(at)).build();
        resolver.lookup(next().as_str(), RecordType::A).await.expect("an answer");
        let each = operations / callers;
        let clock = Clock::start();
        let tasks: Vec<_> = (0..callers)
            .map(|_| {
                let resolver = resolver.clone();
                executor.spawn(async move {
                    for _ in 0..each {
                        black_box(resolver.lookup(next().as_str(), RecordType::A).await.expect("an answer"));
                    }
                })
            })
            .collect();
        join_all(tasks).await;
        clock.stop(each * callers)
    }))
}

/// The client of one server, without a cache: what is asked is sent.
fn client_on_tokio(at: SocketAddr, operations: u64, callers: u64, next: fn() -> String) -> Measured {
    use glowplug::tokio::{Tokio, dns::Client};
    on_tokio(async {
        let client = Client::builder(Tokio, at).build();
        client.ask(next().as_str(), RecordType::A).expect("a name").await.expect("an answer");
        let each = operations / callers;
        let clock = Clock::start();
        let tasks: Vec<_> = (0..callers)
            .map(|_| {
                let client = client.clone();
                tokio::spawn(async move {
                    for _ in 0..each {
                        let asked = client.ask(next().as_str(), RecordType::A).expect("a name");
                        black_box(asked.await.expect("an answer"));
                    }
                })
            })
            .collect();
        for task in join_all(tasks).await {
            task.expect("no caller panics");
        }
        clock.stop(each * callers)
    })
}

fn client_on_smol(at: SocketAddr, operations: u64, callers: u64, next: fn() -> String) -> Measured {
    use glowplug::smol::{Smol, dns::Client};
    let executor = Arc::new(smol::Executor::new());
    smol::block_on(executor.run(async {
        let client = Client::builder(Smol::on(executor.clone()), at).build();
        client.ask(next().as_str(), RecordType::A).expect("a name").await.expect("an answer");
        let each = operations / callers;
        let clock = Clock::start();
        let tasks: Vec<_> = (0..callers)
            .map(|_| {
                let client = client.clone();
                executor.spawn(async move {
                    for _ in 0..each {
                        let asked = client.ask(next().as_str(), RecordType::A).expect("a name");
                        black_box(asked.await.expect("an answer"));
                    }
                })
            })
            .collect();
        join_all(tasks).await;
        clock.stop(each * callers)
    }))
}

fn hickory(at: SocketAddr, operations: u64, callers: u64, next: fn() -> String) -> Measured {
    on_tokio(async {
        let mut udp = ConnectionConfig::udp();
        udp.port = at.port();
        let server = NameServerConfig::new(IpAddr::V4(Ipv4Addr::LOCALHOST), true, vec![udp]);
        let config = HickoryConfig::from_parts(None, Vec::new(), vec![server]);
        let resolver: TokioResolver =
            TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
                .build()
                .expect("a resolver");
        let resolver = Arc::new(resolver);
        let rtype = hickory_proto::rr::RecordType::A;
        resolver.lookup(next(), rtype).await.expect("an answer");
        let each = operations / callers;
        let clock = Clock::start();
        let tasks: Vec<_> = (0..callers)
            .map(|_| {
                let resolver = Arc::clone(&resolver);
                tokio::spawn(async move {
                    for _ in 0..each {
                        black_box(resolver.lookup(next(), rtype).await.expect("an answer"));
                    }
                })
            })
            .collect();
        for task in join_all(tasks).await {
            task.expect("no caller panics");
        }
        clock.stop(each * callers)
    })
}

fn known() -> String {
    "www.example.com.".to_owned()
}

pub fn works() -> Vec<Work> {
    let at = responder();
    let work = |name, operations, callers, next: fn() -> String| Work {
        name,
        operations,
        entries: vec![
            Entry::ours("glowplug Resolver on tokio", move |n| ours_on_tokio(at, n, callers, next)),
            Entry::ours("glowplug Resolver on smol", move |n| ours_on_smol(at, n, callers, next)),
            Entry::peer("hickory-resolver", move |n| hickory(at, n, callers, next)),
        ],
    };
    let mut at_once = work("lookups-100-at-once", 20_000, CALLERS, fresh);
    at_once.entries.extend([
        Entry::ours("glowplug Client on tokio", move |n| client_on_tokio(at, n, CALLERS, fresh)),
        Entry::ours("glowplug Client on smol", move |n| client_on_smol(at, n, CALLERS, fresh)),
    ]);
    vec![
        at_once,
        work("lookups-one-by-one", 2_000, 1, fresh),
        work("cached-on-executors", 100_000, 1, known),
    ]
}
