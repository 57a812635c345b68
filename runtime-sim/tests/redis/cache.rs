//! Redis' client-side cache, through everything the simulated network does: it may be late, it never goes back, and it never stays wrong.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use crate::support::*;
use glowplug_core::Rng;
use glowplug_redis::{CacheConfig, ClientConfig, Commands as _, commands, memory};
use glowplug_runtime::redis::{Client, serve_memory};
use glowplug_runtime::server::Server;
use glowplug_runtime::{Runtime, Spawn};
use glowplug_sim::{Link, Sim, Simulation, seeds};

const KEYS: u64 = 4;
const READERS: u64 = 3;
const SECOND: Option<Duration> = Some(Duration::from_secs(1));

async fn connect(host: &Sim, cache: Option<CacheConfig>) -> Client<Sim> {
    loop {
        // A connection that is dead is soon known to be.
        let machine = ClientConfig::new().keep_alive(SECOND).answer_timeout(SECOND);
        let builder =
            Client::builder(host.clone()).machine(machine).connect_timeout(Some(Duration::from_secs(5)));
        let builder = match cache.clone() {
            Some(cache) => builder.cache(cache),
            None => builder,
        };
        if let Ok(client) = builder.connect("redis://server").await {
            return client;
        }
    }
}

fn key(number: u64) -> String {
    format!("user:{number}")
}

async fn cached(client: &Client<Sim>, number: u64) -> Option<i64> {
    let read = client.cached().run(commands::get(key(number)).returning::<Option<i64>>());
    read.timeout(Some(Duration::from_secs(3))).await.ok().map(Option::unwrap_or_default)
}

/// Reads now and then, until the writer is done.
async fn reader(host: Sim, client: Client<Sim>, mut dice: Rng, done: Rc<Cell<bool>>) -> Client<Sim> {
    let mut seen = [0; KEYS as usize];
    while !done.get() {
        let number = dice.below(KEYS);
        if let Some(value) = cached(&client, number).await {
            let before = std::mem::replace(&mut seen[number as usize], value);
            assert!(value >= before, "it went back from {before} to {value}");
        }
        host.sleep(Duration::from_millis(dice.below(50))).await;
    }
    client
}

fn run(seed: u64, link: Link) -> u64 {
    let mut simulation = Simulation::new(seed).configure(|net| net.default_link(link));
    let host = simulation.host("client", [10, 0, 0, 1]);
    let server = simulation.host("server", [10, 0, 0, 2]);
    let net = simulation.net();
    let mut dice = host.seed().rng();
    simulation.run(async {
        let store = memory::Handle::new(memory::Config::new());
        let listening = Server::bind(server.clone(), addr("0.0.0.0:6379")).await.expect("the port is free");
        let stopper = listening.stopper();
        server.spawn(serve_memory(server.clone(), listening, store));
        let done = Rc::new(Cell::new(false));
        let mut readers = Vec::new();
        for number in 0..READERS {
            let cache = CacheConfig::new().max_age(None);
            let cache = if number == 0 { cache.broadcast(["user:"]) } else { cache };
            let client = connect(&host, Some(cache)).await;
            let reader = reader(host.clone(), client, dice.seed().rng(), Rc::clone(&done));
            readers.push(host.task("reader", reader));
        }
        let writing = connect(&host, None).await;
        for _ in 0..60 {
            let incr = writing.incr(key(dice.below(KEYS)));
            // Done or in doubt: it counts up all the same.
            let _ = incr.timeout(Some(Duration::from_secs(3))).await;
            host.sleep(Duration::from_millis(dice.below(100))).await;
        }
        done.set(true);
        net.default_link(Link::new());
        let mut clients = Vec::new();
        for reader in readers {
            clients.push(reader.await.expect("readers run to their end"));
        }
        // What was lost is noticed by now, and what is late is there.
        host.sleep(Duration::from_secs(20)).await;
        let checking = connect(&host, None).await;
        let mut hits = 0;
        for client in &clients {
            for number in 0..KEYS {
                let truth: Option<i64> =
                    checking.run(commands::get(key(number)).returning()).await.expect("the network is calm");
                for _ in 0..2 {
                    // A connection of the rough days may have its cut before it still.
                    let read = loop {
                        if let Some(read) = cached(client, number).await {
                            break read;
                        }
                    };
                    assert_eq!(read, truth.unwrap_or_default(), "an old answer has stayed");
                }
            }
            hits += client.cache_stats().expect("there is a cache").hits;
        }
        stopper.stop();
        hits
    })
}

#[test]
fn on_a_rough_network() {
    let hits: u64 = seeds(20).map(|seed| run(seed, Link::rough())).sum();
    assert!(hits > 0, "nothing was ever kept");
}

#[test]
fn when_connections_are_cut() {
    for seed in seeds(50) {
        let link = Link::rough().cuts(0.4, 2000).refuse(0.1).black_holes(seed % 4 == 0);
        run(seed, link);
    }
}
