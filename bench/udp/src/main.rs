//! UDP: what finding the peer of a datagram costs, beside `HashMap<SocketAddr, _>` with SipHash.
//!
//! Each lookup waits for the one before, as datagrams do that are handled one after the other; a loop of independent
//! lookups would measure how many cache misses the processor can overlap.
//!
//! And echo: through the tracker in one loop, with a task for each conversation, and beside them batched system calls alone, and
//! tokio with a datagram at a time. The load is a process of its own, on the other core; where neither does anything else,
//! its share of the work is the same for all. Look at the CPU time: it is that of the server.

mod echo;
mod load;

use std::collections::HashMap;
use std::hint::black_box;
use std::net::SocketAddr;
use std::time::Duration;

use bench_harness::{Clock, Counting, Entry, Measured, Work};
use bytes::BytesMut;
use glowplug_core::{DatagramProtocol, Instant, Path, Rng, Seed};
use glowplug_udp::{Config, Event, Scope, Tracker};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Peers in the random order, which starts again at its end: the same work to prepare for few operations and for many.
const ORDER: usize = 1 << 17;

fn peers(count: u32) -> Vec<SocketAddr> {
    let mut rng = Seed::from_u64(1).rng();
    (0..count)
        .map(|number| SocketAddr::from(((0x0a00_0000 + number).to_be_bytes(), 1024 + (rng.u16() >> 1))))
        .collect()
}

/// A tracker with a conversation with each peer, all of them told.
fn tracker(peers: &[SocketAddr]) -> Tracker {
    let mut tracker = Tracker::new(Config::default().max_conversations(peers.len()), &Seed::from_u64(2));
    for peer in peers {
        tracker.handle_datagram(Instant::ZERO, Path::to(*peer), BytesMut::new()).expect("there is room");
        while tracker.poll_event(Instant::ZERO).is_some() {}
    }
    tracker
}

/// Looks peers up in random order, the next one only after the one before.
fn in_turn(peers: &[SocketAddr], operations: u64, mut look_up: impl FnMut(&Path) -> usize) -> Measured {
    let mut rng: Rng = Seed::from_u64(3).rng();
    let order: Vec<SocketAddr> = (0..ORDER).map(|_| peers[rng.below(peers.len() as u64) as usize]).collect();
    let (nothing, mut found) = (black_box(0), 0);
    let clock = Clock::start();
    for peer in order.iter().cycle().take(operations as usize) {
        let mut path = Path::to(*peer);
        path.remote.set_port(peer.port() ^ (found & nothing) as u16);
        found = look_up(&path);
    }
    black_box(found);
    clock.stop(operations)
}

fn lookup(count: u32, operations: u64) -> Measured {
    let peers = peers(count);
    let tracker = tracker(&peers);
    in_turn(&peers, operations, |path| tracker.index_of(Scope::NONE, path).expect("a known peer"))
}

/// A datagram of 64 bytes in, its event out.
fn step(count: u32, operations: u64) -> Measured {
    let peers = peers(count);
    let mut tracker = tracker(&peers);
    let (mut now, mut payload) = (Instant::ZERO, BytesMut::from(&[7; 64][..]));
    in_turn(&peers, operations, |path| {
        now += Duration::from_micros(1);
        tracker.handle_datagram(now, *path, std::mem::take(&mut payload)).expect("a known peer");
        let Some(Event::Message { conversation, payload: message }) = tracker.poll_event(now) else {
            panic!("no message")
        };
        payload = message;
        conversation.index()
    })
}

fn std_map(count: u32, operations: u64) -> Measured {
    let peers = peers(count);
    let map: HashMap<SocketAddr, u32> = peers.iter().copied().zip(0..).collect();
    in_turn(&peers, operations, |path| *map.get(&path.remote).expect("a known peer") as usize)
}

fn work(name: &'static str, count: u32) -> Work {
    Work {
        name,
        operations: 200_000,
        entries: vec![
            Entry::ours("glowplug lookup", move |n| lookup(count, n)),
            Entry::ours("glowplug whole step", move |n| step(count, n)),
            Entry::peer("HashMap, SipHash", move |n| std_map(count, n)),
        ],
    }
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    if arguments.next().is_some_and(|first| first == "load") {
        load::main(arguments);
    }
    bench_harness::pin(1);
    bench_harness::main(vec![
        work("1000-peers", 1000),
        work("100000-peers", 100_000),
        echo::work("echo-1-peer", 1, 64),
        echo::work("echo-1-peer-1200-bytes", 1, 1200),
        echo::work("echo-1000-peers", 1000, 64),
        echo::work("echo-100000-peers", 100_000, 64),
    ]);
}
