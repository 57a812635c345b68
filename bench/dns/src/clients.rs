//! Lookups by name on executors: against a responder on this machine, and against the cache.

use std::future::Future;
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bench_harness::{Clock, Entry, Measured, Work};
use futures::future::join_all;
use glowplug::dns::RecordType;
use glowplug::dns::resolver::ResolverConfig;
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig as HickoryConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;

use crate::by_domain;

/// How many lookups run at once.
const CALLERS: u64 = 100;

/// The names that one caller asks for, made before the clock runs.
type Names = fn(u64) -> Vec<String>;

/// Names that nobody has asked for, in this run or another.
fn fresh(count: u64) -> Vec<String> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let first = NEXT.fetch_add(count, Ordering::Relaxed);
    (first..first + count).map(|number| format!("host-{number}.example.com.")).collect()
}

/// One name, again and again.
fn known(count: u64) -> Vec<String> {
    (0..count).map(|_| "www.example.com.".to_owned()).collect()
}

fn on_tokio<F: Future<Output = Measured>>(work: F) -> Measured {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("tokio");
    runtime.block_on(work)
}

fn config(at: SocketAddr) -> ResolverConfig {
    ResolverConfig { servers: vec![at], ..ResolverConfig::default() }
}

fn ours_on_tokio(at: SocketAddr, operations: u64, callers: u64, names: Names) -> Measured {
    use glowplug::tokio::{Tokio, dns::Resolver};
    on_tokio(async {
        let resolver = Resolver::builder(Tokio).config(config(at)).build();
        resolver.lookup(&names(1)[0], RecordType::A).await.expect("an answer");
        let each = operations / callers;
        let asked: Vec<_> = (0..callers).map(|_| names(each)).collect();
        let clock = Clock::start();
        let tasks: Vec<_> = asked
            .into_iter()
            .map(|names| {
                let resolver = resolver.clone();
                tokio::spawn(async move {
                    for name in &names {
                        black_box(resolver.lookup(name, RecordType::A).await.expect("an answer"));
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

fn ours_on_smol(at: SocketAddr, operations: u64, callers: u64, names: Names) -> Measured {
    use glowplug::smol::{Smol, dns::Resolver};
    let executor = Arc::new(smol::Executor::new());
    smol::block_on(executor.run(async {
        let resolver = Resolver::builder(Smol::on(executor.clone())).config(config(at)).build();
        resolver.lookup(&names(1)[0], RecordType::A).await.expect("an answer");
        let each = operations / callers;
        let asked: Vec<_> = (0..callers).map(|_| names(each)).collect();
        let clock = Clock::start();
        let tasks: Vec<_> = asked
            .into_iter()
            .map(|names| {
                let resolver = resolver.clone();
                executor.spawn(async move {
                    for name in &names {
                        black_box(resolver.lookup(name, RecordType::A).await.expect("an answer"));
                    }
                })
            })
            .collect();
        join_all(tasks).await;
        clock.stop(each * callers)
    }))
}

/// The client of one server, without a cache: what is asked is sent.
fn client_on_tokio(at: SocketAddr, operations: u64, callers: u64, names: Names) -> Measured {
    use glowplug::tokio::{Tokio, dns::Client};
    on_tokio(async {
        let client = Client::builder(Tokio, at).build();
        client.ask(&names(1)[0], RecordType::A).expect("a name").await.expect("an answer");
        let each = operations / callers;
        let asked: Vec<_> = (0..callers).map(|_| names(each)).collect();
        let clock = Clock::start();
        let tasks: Vec<_> = asked
            .into_iter()
            .map(|names| {
                let client = client.clone();
                tokio::spawn(async move {
                    for name in &names {
                        let asked = client.ask(name, RecordType::A).expect("a name");
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

fn client_on_smol(at: SocketAddr, operations: u64, callers: u64, names: Names) -> Measured {
    use glowplug::smol::{Smol, dns::Client};
    let executor = Arc::new(smol::Executor::new());
    smol::block_on(executor.run(async {
        let client = Client::builder(Smol::on(executor.clone()), at).build();
        client.ask(&names(1)[0], RecordType::A).expect("a name").await.expect("an answer");
        let each = operations / callers;
        let asked: Vec<_> = (0..callers).map(|_| names(each)).collect();
        let clock = Clock::start();
        let tasks: Vec<_> = asked
            .into_iter()
            .map(|names| {
                let client = client.clone();
                executor.spawn(async move {
                    for name in &names {
                        let asked = client.ask(name, RecordType::A).expect("a name");
                        black_box(asked.await.expect("an answer"));
                    }
                })
            })
            .collect();
        join_all(tasks).await;
        clock.stop(each * callers)
    }))
}

fn hickory(at: SocketAddr, operations: u64, callers: u64, names: Names) -> Measured {
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
        resolver.lookup(names(1)[0].as_str(), rtype).await.expect("an answer");
        let each = operations / callers;
        let asked: Vec<_> = (0..callers).map(|_| names(each)).collect();
        let clock = Clock::start();
        let tasks: Vec<_> = asked
            .into_iter()
            .map(|names| {
                let resolver = Arc::clone(&resolver);
                tokio::spawn(async move {
                    for name in &names {
                        black_box(resolver.lookup(name.as_str(), rtype).await.expect("an answer"));
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

fn domain(at: SocketAddr, operations: u64, callers: u64, names: Names) -> Measured {
    on_tokio(async {
        let client = Arc::new(by_domain::Client::of(at));
        client.ask(&names(1)[0]).await;
        let each = operations / callers;
        let asked: Vec<_> = (0..callers).map(|_| names(each)).collect();
        let clock = Clock::start();
        let tasks: Vec<_> = asked
            .into_iter()
            .map(|names| {
                let client = Arc::clone(&client);
                tokio::spawn(async move {
                    for name in &names {
                        client.ask(name).await;
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

pub fn works(at: SocketAddr) -> Vec<Work> {
    let work = |name, operations, callers, names: Names| Work {
        name,
        operations,
        entries: vec![
            Entry::ours("glowplug Resolver on tokio", move |n| ours_on_tokio(at, n, callers, names)),
            Entry::ours("glowplug Resolver on smol", move |n| ours_on_smol(at, n, callers, names)),
            Entry::peer("hickory-resolver", move |n| hickory(at, n, callers, names)),
        ],
    };
    let mut at_once = work("lookups-100-at-once", 20_000, CALLERS, fresh);
    at_once.entries.extend([
        Entry::ours("glowplug Client on tokio", move |n| client_on_tokio(at, n, CALLERS, fresh)),
        Entry::ours("glowplug Client on smol", move |n| client_on_smol(at, n, CALLERS, fresh)),
        Entry::peer("domain Client", move |n| domain(at, n, CALLERS, fresh)),
    ]);
    vec![at_once, work("lookups-one-by-one", 2_000, 1, fresh), work("cached-on-executors", 100_000, 1, known)]
}
