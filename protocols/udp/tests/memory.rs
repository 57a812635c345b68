//! What conversations cost in memory, counted by an allocator.

use std::time::Duration;

use bytes::BytesMut;
use glowplug_core::{DatagramProtocol, Instant, Path, Seed};
use glowplug_udp::{Config, Event, Eviction, Tracker};

const COUNT: u32 = 100_000;

fn peer(number: u32, v6: bool) -> Path {
    let [a, b, c, d] = number.to_be_bytes();
    Path::to(if v6 {
        ([0x20, 0x01, 0x0db8, u16::from(a), u16::from(b), u16::from(c), u16::from(d), 1], 7000).into()
    } else {
        ([a, b, c, d], 7000).into()
    })
}

#[test]
fn a_conversation_costs_at_most_200_bytes_and_a_step_no_allocation() {
    for v6 in [false, true] {
        let config =
            Config::default().max_conversations(COUNT as usize).idle_timeout(Some(Duration::from_secs(60)));
        let mut tracker = Tracker::new(config, &Seed::from_u64(1));
        let opening = allocation_counter::measure(|| {
            for number in 0..COUNT {
                tracker
                    .handle_datagram(Instant::ZERO, peer(number, v6), BytesMut::new())
                    .expect("there is room");
                // As a driver does: a batch of datagrams, then the events.
                if number % 64 == 0 {
                    while tracker.poll_event(Instant::ZERO).is_some() {}
                }
            }
            while tracker.poll_event(Instant::ZERO).is_some() {}
        });
        let each = opening.bytes_current / i64::from(COUNT);
        assert!(each <= 200, "{each} bytes a conversation, IPv6: {v6}");

        let mut payload = BytesMut::from(&[7; 1200][..]);
        let now = Instant::ZERO + Duration::from_secs(30);
        let steps = allocation_counter::measure(|| {
            for number in 0..COUNT {
                let given = std::mem::take(&mut payload);
                let number = number.wrapping_mul(7919) % COUNT;
                tracker.handle_datagram(now, peer(number, v6), given).expect("the peer is known");
                match tracker.poll_event(now) {
                    Some(Event::Message { payload: message, .. }) => payload = message,
                    other => panic!("{other:?} instead of the message"),
                }
            }
            // All were armed for an earlier moment, and are armed again.
            let later = now + Duration::from_secs(40);
            while tracker.poll_timeout().is_some_and(|due| due <= later) {
                tracker.handle_timeout(later);
            }
        });
        assert_eq!(steps.count_total, 0, "allocations in steady state");
        assert_eq!(tracker.len(), COUNT as usize);
    }
}

/// `GLOWPLUG_FLOOD` says how many datagrams to send (half a million unless told), from a fifth as many peers.
///
/// Strangers come and come, each from another address: the tracker stays within its bound, and a conversation that was
/// there loses nothing.
#[test]
fn a_flood_of_spoofed_peers_stays_within_the_bound_and_harms_nobody() {
    let datagrams: u32 =
        std::env::var("GLOWPLUG_FLOOD").ok().and_then(|text| text.parse().ok()).unwrap_or(500_000);
    let mut tracker = Tracker::new(
        Config::default().max_conversations(10_000).eviction(Eviction::IdlestUnproven),
        &Seed::from_u64(1),
    );
    let established = tracker.connect(Instant::ZERO, peer(u32::MAX, false)).expect("the tracker is empty");
    let (mut rng, mut now) = (Seed::from_u64(2).rng(), Instant::ZERO);
    let mut heard = 0;
    let flood = allocation_counter::measure(|| {
        for number in 0..datagrams {
            now += Duration::from_micros(10);
            let spoofed = peer(rng.below(u64::from(datagrams) / 5) as u32, false);
            let _ = tracker.handle_datagram(now, spoofed, BytesMut::new());
            if number % 100 == 0 {
                tracker.handle_datagram(now, peer(u32::MAX, false), BytesMut::new()).expect("it has room");
            }
            if number % 64 == 0 {
                while let Some(event) = tracker.poll_event(now) {
                    if let Event::Message { conversation, .. } = event
                        && conversation == established
                    {
                        heard += 1;
                    }
                }
                tracker.handle_timeout(now);
            }
        }
        while tracker.poll_event(now).is_some() {}
    });
    assert_eq!(heard, datagrams.div_ceil(100));
    assert!(tracker.is_open(established));
    assert_eq!(tracker.len(), 10_000);
    assert!(flood.bytes_max <= 10_000 * 400, "{} bytes", flood.bytes_max);
}

/// The same with cookies: a stranger costs nothing at all.
#[test]
fn a_flood_of_spoofed_peers_costs_nothing_with_cookies() {
    let config = Config::default().retry(Some(Duration::from_secs(10)));
    let mut tracker = Tracker::new(config, &Seed::from_u64(1));
    let mut out = BytesMut::with_capacity(1500);
    let payload = BytesMut::from(&[7; 64][..]);
    let _ = tracker.handle_datagram(Instant::ZERO, peer(0, false), payload.clone());
    while tracker.poll_transmit(Instant::ZERO, &mut out).is_some() {}
    let given: Vec<BytesMut> = (0..100_000).map(|_| payload.clone()).collect();
    let flood = allocation_counter::measure(|| {
        for (number, payload) in (0..).zip(given) {
            assert!(tracker.handle_datagram(Instant::ZERO, peer(number, false), payload).is_err());
            out.clear();
            let answer = tracker.poll_transmit(Instant::ZERO, &mut out).expect("there is room for one");
            assert!(answer.len <= 64);
        }
    });
    assert_eq!((flood.count_total, tracker.len()), (0, 0));
}
