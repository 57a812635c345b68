//! A bad network, in the simulator; and a flood of forgeries, everywhere.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bytes::BytesMut;
use futures_util::future::{join, join_all};
use glowplug::core::Path;
use glowplug::dns::resolver::{LookupError, ResolverConfig};
use glowplug::dns::{Header, RecordType};
use glowplug::runtime::dns::{Resolver, Server};
use glowplug::runtime::time::sleep;
use glowplug::runtime::{DatagramSocket, RecvBatch, Runtime, SendBatch};
use glowplug::sim::{Cut, Link, Sim, Simulation, seeds};

use crate::support;
use crate::world::*;

support::on_each_executor![forgeries_are_not_believed];

/// A network that loses every third datagram, doubles and overtakes others, and breaks streams.
fn rough() -> Link {
    Link::rough().loss(0.3).duplicate(0.1).reorder(0.3).cuts(0.2, 4000).refuse(0.1)
}

const PORT: u16 = 53;

fn addr(last: u8) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, last], PORT))
}

/// Serves the zones on a host, for as long as the simulation runs.
fn serve(host: &Sim, at: SocketAddr) {
    let runtime = host.clone();
    let task = host.task("server", async move {
        let server = Server::bind(runtime, at).await.expect("its own address");
        let _ = server.run(Answers::zones()).await;
    });
    drop(task);
}

/// Each name with what is right for it.
async fn ask(resolver: &Resolver<Sim>, n: usize) -> Result<(), LookupError> {
    match n % 5 {
        0 => {
            let found = resolver.lookup(&format!("n{n}.many.example.test"), RecordType::A).await?;
            assert_eq!(found.addresses().collect::<Vec<_>>(), [std::net::IpAddr::from([192, 0, 2, 8])]);
        }
        1 => {
            let found = resolver.lookup_ip("www.example.test").await?;
            assert!((1..=3).contains(&found.iter().count()));
        }
        2 => assert_eq!(resolver.txt("big.example.test").await?.len(), 12),
        3 => expect(
            resolver.lookup(&format!("gone{n}.example.test"), RecordType::A).await,
            &LookupError::NoSuchName,
        )?,
        _ => expect(resolver.mx("alias.example.test").await, &LookupError::NoRecords)?,
    }
    Ok(())
}

/// The right answer is `absence`; other errors are the network's.
fn expect<T: std::fmt::Debug>(
    result: Result<T, LookupError>,
    absence: &LookupError,
) -> Result<(), LookupError> {
    match result.expect_err("there is nothing there") {
        error if error == *absence => Ok(()),
        error => Err(error),
    }
}

#[test]
fn every_lookup_ends_right_or_with_a_named_error_within_its_time() {
    let (mut right, mut failed) = (0_u32, 0_u32);
    for seed in seeds(200) {
        let mut simulation = Simulation::new(seed).configure(|net| net.default_link(rough()));
        let client = simulation.host("client", [10, 0, 0, 1]);
        // The first server is dead: nothing listens there, and nothing comes back.
        simulation.host("dead", [10, 0, 0, 2]);
        for (name, last) in [("first", 3), ("second", 4)] {
            serve(&simulation.host(name, [10, 0, 0, last]), addr(last));
        }
        simulation.net().partition("client", "dead");
        simulation.run(async {
            let config =
                ResolverConfig { servers: [2, 3, 4].map(addr).to_vec(), ..ResolverConfig::default() };
            let resolver = resolver(&client, config);
            let lookups = (0..10).map(|n| {
                let (resolver, client) = (&resolver, &client);
                async move {
                    client.sleep(Duration::from_millis(40 * n as u64)).await;
                    let begin = client.now();
                    let result = ask(resolver, n).await;
                    let took = client.now() - begin;
                    assert!(took <= Duration::from_millis(15_001), "it took {took:?}: {result:?}");
                    result
                }
            });
            for result in join_all(lookups).await {
                match result {
                    Ok(()) => right += 1,
                    Err(LookupError::TimedOut | LookupError::Exchange(_)) => failed += 1,
                    Err(other) => panic!("{other:?} is not what this network does"),
                }
            }
        });
    }
    println!("{right} lookups went right, {failed} failed with a named error");
    assert!(failed * 200 < right, "{failed} lookups failed beside {right}");
}

#[test]
fn lookups_that_are_dropped_under_way_disturb_nobody() {
    for seed in seeds(200) {
        let mut simulation = Simulation::new(seed).configure(|net| net.default_link(rough()));
        let client = simulation.host("client", [10, 0, 0, 1]);
        serve(&simulation.host("server", [10, 0, 0, 2]), addr(2));
        simulation.run(async {
            let resolver = resolver(&client, config(addr(2)));
            for n in 0..10 {
                let doomed = client.at_risk(6, ask(&resolver, n));
                let (_, kept) =
                    join(doomed, async { if n == 4 { Ok(()) } else { ask(&resolver, n).await } }).await;
                assert!(
                    matches!(kept, Ok(()) | Err(LookupError::TimedOut | LookupError::Exchange(_))),
                    "{kept:?}"
                );
                if n % 3 == 0 {
                    resolver.clear_cache();
                }
            }
        });
    }
}

#[test]
fn a_dead_server_costs_the_first_lookup_only() {
    for seed in seeds(50) {
        let mut simulation = Simulation::new(seed);
        let client = simulation.host("client", [10, 0, 0, 1]);
        simulation.host("dead", [10, 0, 0, 2]);
        serve(&simulation.host("good", [10, 0, 0, 3]), addr(3));
        simulation.net().partition("client", "dead");
        simulation.run(async {
            let config = ResolverConfig { servers: vec![addr(2), addr(3)], ..ResolverConfig::default() };
            let resolver = resolver(&client, config);
            let begin = client.now();
            resolver.lookup("n0.many.example.test", RecordType::A).await.expect("an answer");
            assert!(client.now() - begin < Duration::from_secs(2), "the other server was asked too late");
            let begin = client.now();
            for n in 1..20 {
                resolver.lookup(&format!("n{n}.many.example.test"), RecordType::A).await.expect("an answer");
            }
            assert!(client.now() - begin < Duration::from_millis(500), "the dead server was asked again");
        });
    }
}

#[test]
fn a_connection_that_falls_silent_gives_way_to_another() {
    for seed in seeds(50) {
        let mut simulation = Simulation::new(seed);
        let client = simulation.host("client", [10, 0, 0, 1]);
        serve(&simulation.host("server", [10, 0, 0, 2]), addr(2));
        simulation.run(async {
            let config = ResolverConfig { tcp_only: true, ..config(addr(2)) };
            let resolver = resolver(&client, config);
            resolver.lookup("n0.many.example.test", RecordType::A).await.expect("an answer");
            client.net().cut("client", "server", Cut::BlackHole);
            for n in 1..5 {
                resolver.lookup(&format!("n{n}.many.example.test"), RecordType::A).await.expect("an answer");
            }
        });
    }
}

#[test]
fn a_server_that_comes_back_is_asked_again() {
    for seed in seeds(20) {
        let mut simulation = Simulation::new(seed);
        let client = simulation.host("client", [10, 0, 0, 1]);
        serve(&simulation.host("server", [10, 0, 0, 2]), addr(2));
        simulation.run(async {
            let resolver = resolver(&client, config(addr(2)));
            client.net().partition("client", "server");
            let begin = client.now();
            let dark = resolver.lookup("www.example.test", RecordType::A).await.expect_err("nobody answers");
            assert!(matches!(dark, LookupError::TimedOut | LookupError::Exchange(_)), "{dark:?}");
            assert!(client.now() - begin <= Duration::from_millis(15_001));
            client.net().heal("client", "server");
            resolver.lookup("www.example.test", RecordType::A).await.expect("an answer");
        });
    }
}

/// Answers each query with a flood of forgeries, from its own port and from another, and then rightly.
async fn forge<R: Runtime>(runtime: R, mut socket: R::Datagram, flood: u16, forged: &AtomicU32) {
    let zones = zones();
    let mut stranger = runtime.bind(here()).await.expect("a free port");
    let (mut incoming, mut outgoing) = (RecvBatch::new(), SendBatch::new());
    loop {
        std::future::poll_fn(|cx| socket.poll_recv(cx, &mut incoming)).await.expect("received");
        while let Some(datagram) = incoming.pop() {
            let right = answer(&zones, &datagram.payload, RecordType::A);
            let to: Path = datagram.path;
            let id = Header::read(&right).expect("a header").id;
            // From elsewhere, everything else right: the address is a lie.
            let mut lie = answer(&zones, &datagram.payload, RecordType::A);
            let len = lie.len();
            lie[len - 1] ^= 0x55;
            outgoing.push(to, &lie);
            send(&mut stranger, &mut outgoing).await;
            // From the right port, with ids and questions that nobody asked with.
            for n in 1..flood {
                lie[..2].copy_from_slice(&id.wrapping_add(n).to_be_bytes());
                outgoing.push(to, &lie);
                if n % 16 == 0 {
                    send(&mut socket, &mut outgoing).await;
                    forged.fetch_add(16, Ordering::Relaxed);
                }
                if n % 128 == 0 {
                    // Lets those who are lied to listen, lest the system drops what is right.
                    sleep(&runtime, Duration::from_micros(1)).await;
                }
            }
            outgoing.push(to, &answer(&zones, &datagram.payload, RecordType::AAAA));
            outgoing.push(to, &right[..7]);
            outgoing.push(to, b"");
            outgoing.push(to, &datagram.payload);
            outgoing.push(to, &right);
            send(&mut socket, &mut outgoing).await;
        }
    }
}

/// The zones' answer to a query, as if it had asked for `rtype`.
fn answer(zones: &glowplug::dns::Zones, query: &[u8], rtype: RecordType) -> BytesMut {
    use glowplug::dns::resolver::Channel;
    use glowplug::dns::{Incoming, ResponseConfig};
    let mut query = BytesMut::from(query);
    // A header, the name, the type.
    let at = 12 + query[12..].iter().position(|byte| *byte == 0).expect("a name") + 1;
    query[at..at + 2].copy_from_slice(&rtype.0.to_be_bytes());
    let incoming = Incoming::read(query.freeze(), Channel::Udp, &ResponseConfig::default()).expect("a query");
    let mut out = BytesMut::new();
    incoming.respond(&zones.respond(&incoming), &mut out);
    out
}

async fn send<D: DatagramSocket>(socket: &mut D, batch: &mut SendBatch) {
    while !batch.is_empty() {
        // Whatever is lost on the way is lost.
        let _ = std::future::poll_fn(|cx| socket.poll_send(cx, batch)).await;
    }
}

async fn forgeries_are_not_believed<R: Plug>(runtime: R) {
    let socket = runtime.bind(here()).await.expect("a free port");
    let at = socket.local_addr().expect("an address");
    let resolver = resolver(&runtime, config(at));
    // GLOWPLUG_FORGERIES sets how many there are in all: a million takes a while.
    let total = std::env::var("GLOWPLUG_FORGERIES").ok().and_then(|text| text.parse().ok());
    let total = total.unwrap_or(2000_u32).clamp(2000, 10_000_000);
    let flood = (total / 20).min(1000);
    let lookups = total / flood;
    let forged = AtomicU32::new(0);
    let work = async {
        for n in 0..lookups {
            let found = resolver.lookup(&format!("n{n}.many.example.test"), RecordType::A).await;
            let found: Vec<_> = found.expect("an answer").addresses().collect();
            assert_eq!(found, [std::net::IpAddr::from([192, 0, 2, 8])]);
        }
    };
    while_running(work, forge(runtime.clone(), socket, flood as u16, &forged)).await;
    let forged = forged.load(Ordering::Relaxed);
    assert!(forged >= lookups * ((flood - 1) / 16 * 16), "{forged} forgeries");
}
