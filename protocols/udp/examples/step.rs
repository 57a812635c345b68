//! What one datagram costs: nanoseconds and allocations of a lookup and of a whole step, beside a hash map with the
//! standard hasher.
//!
//! Each lookup waits for the one before, as datagrams do that are handled one after the other; a loop of independent
//! lookups would measure how many cache misses the processor can overlap.
//!
//! `cargo run --release -p glowplug-udp --example step`

// A measurement reads the clock, and the standard map is what it measures against.
#![allow(clippy::disallowed_types, clippy::disallowed_methods)]

use std::collections::HashMap;
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant as Clock};

use bytes::BytesMut;
use glowplug_core::{DatagramProtocol, Instant, Path, Seed};
use glowplug_udp::{Config, ConversationId, Event, Scope, Tracker};

/// Lookups in one round: enough to walk a million peers.
const STEPS: usize = 1_000_000;
const ROUNDS: usize = 5;

fn main() {
    println!("minimum of {ROUNDS} rounds; every row looks peers up in the same random order\n");
    println!(
        "{:>22} {:>9} {:>9} {:>7} {:>9} {:>7} {:>9} {:>7} {:>9}",
        "peers", "sip ns", "look ns", "/ sip", "step ns", "/ look", "echo ns", "allocs", "B/peer"
    );
    for count in [1_000, 100_000, 1_000_000] {
        measure("IPv4", count, |number| Ipv4Addr::from_bits(0x0a00_0000 + number).into());
    }
    measure("IPv6", 100_000, |number| Ipv6Addr::from_bits((0x2001_0db8 << 96) + u128::from(number)).into());
    measure("IPv6", 1_000_000, |number| Ipv6Addr::from_bits((0x2001_0db8 << 96) + u128::from(number)).into());
    expire(1_000_000);
}

fn measure(family: &str, count: usize, address: impl Fn(u32) -> IpAddr) {
    let mut rng = Seed::from_u64(1).rng();
    let peers: Vec<SocketAddr> =
        (0..count as u32).map(|number| SocketAddr::new(address(number), 1024 + (rng.u16() >> 1))).collect();
    let order: Vec<SocketAddr> = (0..STEPS).map(|_| peers[rng.below(count as u64) as usize]).collect();
    let map: HashMap<SocketAddr, u32> = peers.iter().copied().zip(0..).collect();

    let mut tracker = None;
    let info = allocation_counter::measure(|| tracker = Some(filled(&peers)));
    let mut tracker = tracker.expect("the closure ran");
    let each = info.bytes_current as f64 / count as f64;

    let sip = fastest(|| {
        in_turn(&order, |peer| map.get(peer).map_or(0, |slot| *slot as usize));
    });
    let look = fastest(|| {
        in_turn(&order, |peer| tracker.index_of(Scope::NONE, &Path::to(*peer)).unwrap_or_default());
    });
    let mut payload = BytesMut::from(&[7; 64][..]);
    let (mut now, mut out) = (Instant::ZERO, BytesMut::new());
    let step = fastest(|| {
        in_turn(&order, |peer| {
            now += Duration::from_micros(1);
            let given = std::mem::take(&mut payload);
            tracker.handle_datagram(now, Path::to(*peer), given).expect("the peer is known");
            let (conversation, message) = taken(&mut tracker, now);
            payload = message;
            conversation.index()
        });
    });
    let echo = fastest(|| {
        in_turn(&order, |peer| {
            now += Duration::from_micros(1);
            let given = std::mem::take(&mut payload);
            tracker.handle_datagram(now, Path::to(*peer), given).expect("the peer is known");
            let (conversation, message) = taken(&mut tracker, now);
            let message = message.freeze();
            tracker.send(conversation, message.clone()).expect("the output is empty");
            out.clear();
            black_box(tracker.poll_transmit(now, &mut out));
            payload = message.try_into_mut().expect("the tracker kept none");
            conversation.index()
        });
    });
    let allocations = allocation_counter::measure(|| {
        for peer in &order {
            let given = std::mem::take(&mut payload);
            tracker.handle_datagram(now, Path::to(*peer), given).expect("the peer is known");
            payload = taken(&mut tracker, now).1;
        }
    });
    println!(
        "{family:>12} {count:>9} {sip:>9.1} {look:>9.1} {:>7.2} {step:>9.1} {:>7.2} {echo:>9.1} {:>7} {each:>9.1}",
        look / sip,
        step / look,
        allocations.count_total,
    );
}

/// Looks each of `order` up, the next one only after the one before.
fn in_turn(order: &[SocketAddr], mut look_up: impl FnMut(&SocketAddr) -> usize) {
    let (nothing, mut found) = (black_box(0), 0);
    for peer in order {
        let mut peer = *peer;
        peer.set_port(peer.port() ^ (found & nothing) as u16);
        found = look_up(&peer);
    }
    black_box(found);
}

/// A tracker with a conversation with each peer, all of them told.
fn filled(peers: &[SocketAddr]) -> Tracker {
    let mut tracker = Tracker::new(Config::default().max_conversations(peers.len()), &Seed::from_u64(2));
    for peer in peers {
        tracker.handle_datagram(Instant::ZERO, Path::to(*peer), BytesMut::new()).expect("there is room");
        while tracker.poll_event(Instant::ZERO).is_some() {}
    }
    assert_eq!(tracker.len(), peers.len());
    tracker
}

fn taken(tracker: &mut Tracker, now: Instant) -> (ConversationId, BytesMut) {
    match tracker.poll_event(now) {
        Some(Event::Message { conversation, payload }) => (conversation, payload),
        other => panic!("{other:?} instead of the message"),
    }
}

/// Nanoseconds a step of the fastest round.
fn fastest(mut round: impl FnMut()) -> f64 {
    (0..ROUNDS)
        .map(|_| {
            let start = Clock::now();
            round();
            start.elapsed().as_nanos() as f64 / STEPS as f64
        })
        .fold(f64::INFINITY, f64::min)
}

/// All conversations fall silent at once.
fn expire(count: usize) {
    let peers: Vec<SocketAddr> =
        (0..count as u32).map(|number| SocketAddr::from(((0x0a00_0000 + number).to_be_bytes(), 7))).collect();
    let mut tracker = filled(&peers);
    let later = Instant::ZERO + Duration::from_secs(1000);
    let (mut batches, mut longest) = (0, Duration::ZERO);
    let start = Clock::now();
    while tracker.poll_timeout().is_some_and(|due| due <= later) {
        let batch = Clock::now();
        tracker.handle_timeout(later);
        longest = longest.max(batch.elapsed());
        while tracker.poll_event(later).is_some() {}
        batches += 1;
    }
    let each = start.elapsed().as_nanos() as f64 / count as f64;
    println!("\nexpiry of {count}: {each:.1} ns each in {batches} batches, the longest {longest:?}");
    assert!(tracker.is_empty());
}
