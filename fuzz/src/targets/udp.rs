//! UDP conversations: any order of datagrams, actions and times.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use glowplug_core::{DatagramProtocol, Path, Seed};
use glowplug_udp::{Config, ConversationId, Delivery, Event, Eviction, Overflow, Tracker};

use super::super::laws::START;
use super::super::log::{Log, Shape};

/// The first byte picks a configuration; then an operation and a number a byte.
pub fn tracker(data: &[u8]) -> Shape {
    let Some((choice, steps)) = data.split_first() else { return 0 };
    let mut tracker = Tracker::new(config(*choice), &Seed::from_u64(1));
    let (mut now, mut log) = (START, Log::default());
    let mut known: Vec<ConversationId> = Vec::new();
    for step in steps {
        let number = usize::from(step >> 3);
        let peer = Path::to(SocketAddr::from(([192, 0, 2, (number % 8) as u8], 7000)));
        let conversation = known.get(number).copied();
        match (step & 7, conversation) {
            (0 | 1, _) => {
                let payload = BytesMut::from(&steps[..steps.len().min(number * 8)]);
                let _ = tracker.handle_datagram(now, peer, payload);
            }
            (2, _) => known.extend(tracker.connect(now, peer)),
            (3, Some(conversation)) => {
                let _ = tracker.send(conversation, Bytes::from_static(b"hello"));
                let _ = tracker.receive(conversation);
            }
            (4, Some(conversation)) => drop(tracker.close_conversation(now, conversation)),
            (5, _) => tracker.handle_unreachable(now, peer),
            (6, _) => {
                // Early, nothing happens; late, the deadline moves on.
                if let Some(deadline) = tracker.poll_timeout().filter(|deadline| *deadline > now) {
                    tracker.handle_timeout(now);
                    assert_eq!(tracker.poll_timeout(), Some(deadline));
                    now = deadline;
                }
                now += Duration::from_secs(number as u64);
                let late = (0..10_000).find(|_| {
                    tracker.handle_timeout(now);
                    settle(&mut tracker, now, &mut known, &mut log);
                    tracker.poll_timeout().is_none_or(|deadline| deadline > now)
                });
                assert!(late.is_some(), "due for ever");
            }
            (7, _) if number == 31 => tracker.close(now),
            _ => settle(&mut tracker, now, &mut known, &mut log),
        }
        assert!(tracker.len() <= 4 && tracker.buffered() <= 1 << 18, "{tracker:?}");
    }
    settle(&mut tracker, now, &mut known, &mut log);
    log.shape()
}

fn config(choice: u8) -> Config {
    let pick = |bit: u8| choice & (1 << bit) != 0;
    Config::default()
        .max_conversations(4)
        .max_queue(2)
        .max_buffered(1 << 18)
        .max_output(8)
        .max_output_each(2)
        .idle_timeout(Some(Duration::from_secs(10)))
        .delivery(if pick(0) { Delivery::Queues } else { Delivery::Events })
        .overflow(if pick(1) { Overflow::DropOldest } else { Overflow::Close })
        .eviction(if pick(2) { Eviction::Idlest } else { Eviction::Refuse })
        .retry(pick(3).then_some(Duration::from_secs(10)))
        .amplification(pick(4).then_some(3))
        .max_segments(if pick(5) { 8 } else { 1 })
        .linger_accepted(Duration::from_secs(u64::from(pick(6))))
}

fn settle(
    tracker: &mut Tracker,
    now: glowplug_core::Instant,
    known: &mut Vec<ConversationId>,
    log: &mut Log,
) {
    let mut polls = 0;
    while let Some(event) = tracker.poll_event(now) {
        if let Event::Opened { conversation, .. } = event {
            known.push(conversation);
        }
        log.event(event);
        polls += 1;
        assert!(polls < 10_000, "events without end");
    }
    let mut out = BytesMut::new();
    let mut sent = 0;
    while let Some(transmit) = tracker.poll_transmit(now, &mut out) {
        assert_eq!(out.len(), transmit.len);
        assert_ne!(transmit.segment_size, Some(0));
        out.clear();
        sent += 1;
        assert!(sent < 10_000, "output without end");
    }
}
