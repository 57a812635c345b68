//! A cluster of three in the simulator, under load, while one of its nodes dies and comes back: nothing that was acknowledged is lost, and nothing is
//! done twice unless that was allowed.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use futures_util::future::{join, join_all};
use glowplug::core::{Instant, Progress, Rng, Seed};
use glowplug::riak::wire::Reply;
use glowplug::runtime::riak::memory::{Handle, Node, NodeConfig};
use glowplug::runtime::riak::request::{Ask, FetchData, Get};
use glowplug::runtime::riak::{
    Bucket, Client, Config, Content, Data, Error, Fetched, Location, SetChange, serve_memory,
};
use glowplug::runtime::server::Server;
use glowplug::runtime::{Endpoint, Runtime as _, Spawn as _};
use glowplug::sim::{Cut, Link, Sim, Simulation, seeds};

const URL: &str = "riak://a,b,c";
const CALLERS: u64 = 6;
const ROUNDS: u64 = 25;
const TIMEOUT: Duration = Duration::from_secs(4);

/// What became of each thing that somebody wanted done once.
#[derive(Default)]
struct Deeds {
    /// Counters that were to go up by one: acknowledged, or how far the request got.
    counters: BTreeMap<String, Option<Progress>>,
    /// Objects that were to be written.
    objects: BTreeMap<String, Option<Progress>>,
    /// Elements of one set.
    elements: BTreeMap<String, Option<Progress>>,
}

struct World {
    simulation: Simulation,
    client: Sim,
    hosts: Vec<Sim>,
    node: Handle,
}

/// What somebody needs who disturbs it.
struct Disturbed {
    client: Sim,
    hosts: Vec<Sim>,
    node: Handle,
}

const NODES: [&str; 3] = ["a", "b", "c"];

fn world(seed: u64, link: Link) -> World {
    let simulation = Simulation::new(seed).configure(|net| net.default_link(link));
    let client = simulation.host("client", [10, 0, 0, 1]);
    let node = Handle::new(Node::new(&Seed::from_u64(seed), NodeConfig::new()));
    let hosts: Vec<Sim> =
        (2..).zip(NODES).map(|(number, name)| simulation.host(name, [10, 0, 0, number])).collect();
    hosts.iter().for_each(|host| serve(host, &node));
    World { simulation, client, hosts, node }
}

/// All nodes hold the same: they are one cluster that always agrees.
fn serve(host: &Sim, node: &Handle) {
    let (runtime, node) = (host.clone(), node.clone());
    host.spawn(async move {
        let at = Endpoint::Tcp(SocketAddr::from((Ipv4Addr::UNSPECIFIED, 8087)));
        if let Ok(server) = Server::bind(runtime.clone(), at).await {
            serve_memory(runtime, server, node).await;
        }
    });
}

/// What a caller is told: how far the request got, if it failed.
fn outcome<T>(result: &Result<T, Error>, host: &Sim, began: Instant) -> Option<Progress> {
    // A deadline is a deadline, whatever happens.
    assert!(host.now() - began <= TIMEOUT, "a call went on for {:?}", host.now() - began);
    failure(result)
}

fn failure<T>(result: &Result<T, Error>) -> Option<Progress> {
    match result {
        Ok(_) => None,
        Err(error @ (Error::Unreachable(_) | Error::TimedOut(_) | Error::Lost(_))) => Some(error.progress()),
        Err(error) => panic!("{error:?}"),
    }
}

/// A blind write twice makes two siblings here.
fn object(name: &str) -> Location {
    Bucket::typed("mult", "objects").key(name.to_owned())
}

/// The one set that everybody adds to.
fn the_set() -> Location {
    Bucket::typed("sets", "all").key("elements")
}

async fn caller(host: Sim, riak: Client<Sim>, number: u64, mut dice: Rng) -> Deeds {
    let mut deeds = Deeds::default();
    for round in 0..ROUNDS {
        let (name, began) = (format!("{number}-{round}"), host.now());
        match dice.below(5) {
            0 => {
                let counter = Bucket::typed("counters", "c").key(name.clone());
                let added = riak.add_to_counter(counter, 1).await;
                deeds.counters.insert(name, outcome(&added, &host, began));
            }
            1 => {
                let stored = riak.put(object(&name), Content::new(name.clone())).await;
                deeds.objects.insert(name, outcome(&stored, &host, began));
            }
            2 => {
                let added = riak.update_data(the_set(), SetChange::new().add(name.clone())).await;
                deeds.elements.insert(name, outcome(&added, &host, began));
            }
            3 => {
                // What was acknowledged is there for who reads it later.
                let acknowledged = deeds.objects.iter().find(|(_, failed)| failed.is_none());
                if let Some((name, _)) = acknowledged {
                    let read = riak.get(object(name)).await;
                    if outcome(&read, &host, began).is_none() {
                        let object = read.ok().flatten().expect("an object that was acknowledged is there");
                        assert_eq!(object.siblings[0].value, *name);
                    }
                }
            }
            _ => {
                let listed = riak.list_keys(Bucket::typed("mult", "objects")).await;
                let _ = failure(&listed);
                if let Ok(mut keys) = listed
                    && dice.chance(1, 2)
                {
                    while let Some(Ok(_)) = keys.next().await {}
                }
            }
        }
        host.sleep(Duration::from_millis(dice.below(40))).await;
    }
    deeds
}

/// Something bad for one node, and its end.
async fn disturb(world: Disturbed, mut dice: Rng) {
    let Disturbed { client, hosts, node } = world;
    let (net, at) = (client.net(), dice.below(3) as usize);
    let (victim, host) = (NODES[at], &hosts[at]);
    client.sleep(Duration::from_millis(50 + dice.below(400))).await;
    let rest = Duration::from_millis(dice.below(800));
    match dice.below(4) {
        0 | 1 => {
            net.crash(victim);
            client.sleep(rest).await;
            serve(host, &node);
        }
        2 => {
            net.partition("client", victim);
            client.sleep(rest).await;
            net.heal("client", victim);
        }
        _ => {
            for _ in 0..3 {
                net.cut_after("client", victim, dice.below(400), Cut::Reset);
                net.cut_after(victim, "client", dice.below(400), Cut::Close);
            }
        }
    }
}

/// One read at the node itself, past every network.
fn ask<A: Ask>(node: &Handle, request: A) -> A::Answer {
    let mut replies = node.with(|node| node.handle(Duration::from_secs(1), 0, request.into_request()));
    let reply: Reply = replies.next().expect("a reply").expect("no refusal");
    A::read(reply).unwrap_or_else(|reply| panic!("{reply:?}"))
}

/// How often something was done, beside what its caller was told. True when that was more than once.
fn check(what: &str, told: Option<Progress>, done: usize, repeats: bool) -> bool {
    match told {
        None if repeats => assert!(done >= 1, "{what} was acknowledged and is lost"),
        None => assert_eq!(done, 1, "{what} was acknowledged"),
        Some(Progress::NotSent) => assert_eq!(done, 0, "{what} was not sent, and done"),
        Some(_) => assert!(done <= 1 || repeats, "{what} was done {done} times"),
    }
    done > 1
}

/// Compares what was told with what is there. How many deeds were done more than once.
fn examine(node: &Handle, deeds: &[Deeds], repeats: bool) -> usize {
    let mut twice = 0;
    for (name, told) in deeds.iter().flat_map(|deeds| &deeds.counters) {
        let read = ask(node, FetchData::new(Bucket::typed("counters", "c").key(name.clone())));
        let done = match read.value {
            Some(Data::Counter(value)) => value as usize,
            _ => 0,
        };
        twice += usize::from(check(name, *told, done, repeats));
    }
    for (name, told) in deeds.iter().flat_map(|deeds| &deeds.objects) {
        let done = match ask(node, Get::new(object(name))) {
            Fetched::Found(object) => object.siblings.len(),
            _ => 0,
        };
        twice += usize::from(check(name, *told, done, repeats));
    }
    let elements = match ask(node, FetchData::new(the_set())).value {
        Some(Data::Set(elements)) => elements,
        _ => Vec::new(),
    };
    for (name, told) in deeds.iter().flat_map(|deeds| &deeds.elements) {
        let done = elements.iter().filter(|element| *element == name.as_bytes()).count();
        twice += usize::from(check(name, *told, done, repeats));
    }
    twice
}

/// What came of a story: deeds in all, those that were acknowledged, and those done more than once.
#[derive(Debug, Default, PartialEq)]
struct Told {
    all: usize,
    done: usize,
    twice: usize,
}

/// Runs the story under one seed.
fn story(seed: u64, link: Link, repeats: bool) -> Told {
    let World { mut simulation, client, hosts, node } = world(seed, link);
    let mut dice = Seed::from_u64(seed ^ 0x5eed).rng();
    let config = Config::new().reply_timeout(Duration::from_secs(1));
    let builder = Client::builder(client.clone()).machine(config).timeout(Some(TIMEOUT));
    let riak = builder.connect_timeout(Some(Duration::from_secs(1))).build(URL).expect("a client");
    let riak = if repeats { riak.with_repeats() } else { riak };
    let disturbing =
        disturb(Disturbed { client: client.clone(), hosts, node: node.clone() }, dice.seed().rng());
    let calls = (0..CALLERS).map(|number| caller(client.clone(), riak.clone(), number, dice.seed().rng()));
    let calls: Vec<_> = calls.collect();
    let back = riak.clone();
    let deeds = simulation.run(async {
        let (deeds, ()) = join(join_all(calls), disturbing).await;
        // Everybody is there again, and so everybody is asked again: after the longest wait, or when the network lets us.
        for _ in 0..50 {
            client.sleep(Duration::from_secs(31)).await;
            join_all((0..12).map(|_| back.ping())).await;
            if back.nodes().iter().all(|(_, up)| *up) {
                return deeds;
            }
        }
        panic!("{:?}", back.nodes());
    });
    let twice = examine(&node, &deeds, repeats);
    let mut told = Told { twice, ..Told::default() };
    let outcomes = deeds.iter().flat_map(|deeds| [&deeds.counters, &deeds.objects, &deeds.elements]);
    for outcome in outcomes.flat_map(BTreeMap::values) {
        told.all += 1;
        told.done += usize::from(outcome.is_none());
    }
    told
}

#[test]
fn one_node_of_three_dies_and_returns() {
    let (mut done, mut all) = (0, 0);
    for seed in seeds(200) {
        let told = story(seed, Link::new().jitter(Duration::from_millis(3)), false);
        (done, all) = (done + told.done, all + told.all);
    }
    assert!(done * 10 >= all * 9, "only {done} of {all} were done: two nodes of three were always there");
}

#[test]
fn on_a_rough_network_too() {
    for seed in seeds(30) {
        story(seed, Link::rough(), false);
    }
}

/// Where it is allowed, writes are done twice under this load: so the other stories would notice.
#[test]
fn with_repeats_nothing_acknowledged_is_lost_either() {
    let twice: usize =
        seeds(30).map(|seed| story(seed, Link::new().jitter(Duration::from_millis(3)), true).twice).sum();
    assert!(twice > 0 || seeds(30).count() < 30, "nothing was ever done twice");
}

#[test]
fn the_same_seed_tells_the_same_story() {
    let twice = [(); 2].map(|()| story(7, Link::new(), false));
    assert_eq!(twice[0], twice[1]);
}
