//! The MongoDB client and the embedded server, unchanged, through everything the simulated network does.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use futures_util::future::join_all;
use glowplug::core::{Progress, Rng, Seed};
use glowplug::mongodb::bson::Document;
use glowplug::mongodb::doc;
use glowplug::mongodb::memory::Handle;
use glowplug::runtime::mongodb::{Client, Collection, Error, serve_memory};
use glowplug::runtime::server::{Config, Server};
use glowplug::runtime::{Endpoint, Runtime, Spawn};
use glowplug::sim::{Cut, Link, Sim, Simulation, dropped_after, seeds};

const CALLERS: i32 = 6;
const ROUNDS: i32 = 12;

/// What callers know of the documents that they inserted: each id, and how it went.
type Known = Rc<RefCell<Vec<(i32, Result<(), Progress>)>>>;

/// One story: callers insert, find, read cursors and leave early, while the network does what `link` says.
fn story(seed: u64, link: Link, options: &str, trouble: bool) {
    let mut simulation =
        Simulation::new(seed).max_time(Duration::from_secs(3600)).configure(|net| net.default_link(link));
    let client_host = simulation.host("client", [10, 0, 0, 1]);
    let server_host = simulation.host("server", [10, 0, 0, 2]);
    let (data, known) = (Handle::default(), Known::default());
    let uri = format!("mongodb://10.0.0.2:27017/{options}");
    let (own, seen) = (data.clone(), known.clone());
    simulation.run(async move {
        let at = Endpoint::Tcp(([0, 0, 0, 0], 27017).into());
        let server = Server::bind(server_host.clone(), at).await.expect("the port is free");
        let server = server.config(Config::default().drain_timeout(Duration::from_secs(1)));
        let stopper = server.stopper();
        server_host.spawn(serve_memory(server_host.clone(), server, own));
        if trouble {
            let mut dice = Seed::from_u64(seed).rng();
            for _ in 0..3 {
                let at = client_host.now() + Duration::from_millis(dice.below(2000));
                client_host.net().at(at, |net| net.cut("client", "server", Cut::Reset));
            }
        }
        let Some(client) = connect(&client_host, &uri).await else {
            assert!(trouble, "nothing keeps anybody from connecting");
            stopper.stop();
            return;
        };
        let mut dice = Seed::from_u64(seed ^ 0x5eed).rng();
        let callers = (0..CALLERS).map(|number| caller(&client, number, dice.seed().rng(), &seen, trouble));
        join_all(callers).await;
        drop(client);
        stopper.stop();
    });
    simulation.run_until_idle();
    let usage = simulation.usage();
    assert_eq!((usage.streams, usage.listeners), (0, 0), "seed {seed}: a socket is left over");
    for (id, outcome) in known.borrow().iter() {
        let is_there = data.with(|server| server.contains("shop", "fruit", doc! { "_id": id }.as_doc()));
        match outcome {
            Ok(()) => assert!(is_there, "seed {seed}: {id} was acknowledged and is not there"),
            Err(Progress::NotSent) => assert!(!is_there, "seed {seed}: {id} was not sent and is there"),
            Err(_) => {}
        }
    }
}

async fn connect(host: &Sim, uri: &str) -> Option<Client<Sim>> {
    for _ in 0..20 {
        if let Ok(client) =
            Client::builder(host.clone()).timeout(Some(Duration::from_secs(20))).connect(uri).await
        {
            return Some(client);
        }
        host.sleep(Duration::from_millis(100)).await;
    }
    None
}

async fn caller(client: &Client<Sim>, number: i32, mut dice: Rng, known: &Known, trouble: bool) {
    let fruit: Collection<Document, Sim> = client.database("shop").collection("fruit");
    for round in 0..ROUNDS {
        let id = number * 1000 + round;
        let document = doc! { "_id": id, "text": "x".repeat(dice.below(2000) as usize) };
        if dice.chance(1, 4) {
            // Left early: nobody knows, unless it ended before.
            let polls = dice.below(8);
            let _ = dropped_after(polls, fruit.insert_one(&document).run()).await;
            let _ = dropped_after(polls, fruit.find(doc! {}).batch_size(2).collect()).await;
            continue;
        }
        let outcome = fruit.insert_one(&document).run().await;
        assert!(trouble || outcome.is_ok(), "nothing goes wrong here: {outcome:?}");
        known.borrow_mut().push((id, outcome.map(drop).map_err(|error| error.progress())));
        match fruit.find_one(doc! { "_id": id }).run().await {
            Ok(Some(found)) => assert_eq!(found, document, "somebody else's answer"),
            Ok(None) => {}
            Err(error) => assert!(trouble, "nothing goes wrong here: {error}"),
        }
        read_all(&fruit, &mut dice, trouble).await;
    }
}

/// Reads a cursor to its end, or leaves it; its documents come once and in order.
async fn read_all(fruit: &Collection<Document, Sim>, dice: &mut Rng, trouble: bool) {
    let find = fruit.find(doc! {}).projection(doc! { "_id": 1 }).batch_size(1 + dice.below(5) as u32);
    let find = if dice.chance(1, 3) { find.exhaust() } else { find };
    let mut cursor = match find.run().await {
        Ok(cursor) => cursor,
        Err(error) => return assert!(trouble, "nothing goes wrong here: {error}"),
    };
    let mut ids = std::collections::BTreeSet::new();
    let until = dice.below(40) as usize;
    while ids.len() <= until {
        match cursor.next().await {
            Some(Ok(found)) => assert!(ids.insert(found.as_doc().get_i64("_id")), "a document came twice"),
            Some(Err(error)) => {
                assert!(trouble, "nothing goes wrong here: {error}");
                assert!(!matches!(error, Error::Deserialize(_)), "{error}");
                return;
            }
            None => return,
        }
    }
}

#[test]
fn good_networks() {
    for seed in seeds(40) {
        story(seed, Link::new(), "?maxPoolSize=2", false);
        story(seed, Link::rough(), "", false);
    }
}

#[test]
fn networks_that_break() {
    for seed in seeds(100) {
        story(seed, Link::new().cuts(0.3, 4000).refuse(0.1), "?maxPoolSize=3", true);
        story(seed, Link::rough().cuts(0.2, 4000), "?compressors=zlib", true);
    }
}
