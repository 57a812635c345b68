//! Everything at random, and after each step all the books agree.

use super::*;
use crate::slab::{Entry, Flags, State};

#[test]
fn the_books_agree_whatever_happens() {
    let identify =
        |payload: &[u8]| payload.strip_prefix(b"#").and_then(|rest| ConversationKey::new(rest.get(..1)?));
    for seed in 0..300 {
        let mut rng = Seed::from_u64(seed).rng();
        let mut config = Config::default()
            .max_conversations(8)
            .max_queue(3)
            .idle_timeout(Some(Duration::from_secs(5)))
            .linger_connected(Duration::from_secs(rng.below(4)))
            .linger_accepted(Duration::from_secs(rng.below(4)))
            .eviction([Eviction::Refuse, Eviction::Idlest, Eviction::IdlestUnproven][rng.below(3) as usize])
            .overflow([Overflow::DropNewest, Overflow::DropOldest, Overflow::Close][rng.below(3) as usize])
            .delivery([Delivery::Events, Delivery::Queues][rng.below(2) as usize])
            .unreachable(Unreachable::End);
        if rng.chance(1, 2) {
            config = config.identify(identify);
        }
        let queues = config.delivery == Delivery::Queues;
        let mut tracker = track(config);
        let (mut now, mut known, mut closed) = (Instant::ZERO, Vec::new(), Vec::new());
        let mut shut = false;
        for _ in 0..400 {
            let scope = Scope(u32::from(rng.chance(1, 8)));
            let path = if rng.chance(1, 4) {
                Path::to(([1, 2, 3, 4, 5, 6, 7, 8], rng.below(5) as u16).into())
            } else {
                peer(rng.below(8) as u32)
            };
            let id: Option<ConversationId> = known.get(rng.below(known.len() as u64 + 1) as usize).copied();
            match (rng.below(12), id) {
                (0..4, _) => {
                    let payload = if rng.chance(1, 3) { vec![b'#', rng.below(6) as u8] } else { vec![1; 9] };
                    let _ = tracker.handle_datagram_in(now, scope, path, BytesMut::from(&payload[..]));
                }
                (4, _) => known.extend(tracker.connect_in(now, scope, path).ok()),
                (5, _) => {
                    for _ in 0..rng.below(10) {
                        match tracker.poll_event(now) {
                            Some(Event::Opened { conversation, .. }) => known.push(conversation),
                            Some(Event::Closed { conversation, .. }) => closed.push(conversation),
                            Some(Event::Message { conversation, .. } | Event::Readable { conversation }) => {
                                assert!(known.contains(&conversation), "seed {seed}: message before opened");
                                assert!(!closed.contains(&conversation), "seed {seed}: message after closed");
                            }
                            _ => {}
                        }
                    }
                }
                (6, _) => {
                    now += Duration::from_millis(rng.below(3000));
                    tracker.handle_timeout(now);
                }
                (7, _) => tracker.handle_unreachable_in(now, scope, path),
                (8, Some(id)) => {
                    tracker.close_conversation(now, id);
                }
                (9, Some(id)) => {
                    let _ = tracker.send(id, Bytes::from_static(b"x"));
                    tracker.receive(id);
                }
                (10, Some(id)) => {
                    let _ = tracker.bind(id, ConversationKey::new(&[rng.below(9) as u8]).unwrap());
                    tracker.prove(id);
                }
                (11, _) if rng.chance(1, 200) => {
                    tracker.close(now);
                    shut = true;
                }
                _ => drop(sent(&mut tracker)),
            }
            audit(&tracker, seed);
        }
        // In the end everything comes back.
        tracker.close(now);
        while tracker.poll_timeout().is_some_and(|due| due <= now) {
            tracker.handle_timeout(now);
        }
        while let Some(event) = tracker.poll_event(now) {
            match event {
                Event::Opened { conversation, .. } => known.push(conversation),
                Event::Closed { conversation, .. } => closed.push(conversation),
                _ => {}
            }
        }
        sent(&mut tracker);
        assert!(tracker.is_closed(), "seed {seed}, shut before: {shut}");
        for &id in &known {
            assert_eq!(closed.iter().filter(|&&other| other == id).count(), 1, "seed {seed}: {id:?}");
            if queues {
                tracker.close_conversation(now, id);
            }
        }
        assert_eq!((tracker.slab.used(), tracker.buffered()), (0, 0), "seed {seed}");
        audit(&tracker, seed);
    }
}

fn audit(tracker: &Tracker, seed: u64) {
    let entries: Vec<_> = (0..tracker.slab.len()).map(|slot| (slot, tracker.slab.get(slot))).collect();
    let count = |is: &dyn Fn(&Entry) -> bool| entries.iter().filter(|(_, entry)| is(entry)).count();
    assert_eq!(count(&|entry| entry.is_live()), tracker.live, "seed {seed}");
    assert_eq!(count(&|entry| entry.state != State::Free), tracker.slab.used(), "seed {seed}");
    let mapped = |entry: &Entry| entry.state != State::Free && entry.flags.has(Flags::MAPPED);
    assert_eq!(count(&mapped), tracker.mapped, "seed {seed}");
    assert!(tracker.mapped <= 8 && tracker.slab.used() <= 8 + 1 + 64, "seed {seed}");
    let ready = count(&|entry| entry.flags.has(Flags::READY));
    assert_eq!(ready, tracker.ready.len(), "seed {seed}");
    let charged: usize = entries
        .iter()
        .filter(|(_, entry)| entry.state != State::Free)
        .map(|(_, entry)| entry.queue.charged as usize)
        .sum();
    assert_eq!(charged, tracker.pool.charged(), "seed {seed}");
    for (slot, entry) in entries {
        if entry.state == State::Free {
            continue;
        }
        if entry.is_live() {
            assert!(entry.flags.has(Flags::MAPPED), "seed {seed}: live and not to be found");
            let news = entry.flags.has(Flags::TELL_OPENED) || entry.flags.has(Flags::TELL_MOVED);
            assert!(!news || entry.flags.has(Flags::READY), "seed {seed}: news that nobody will tell");
        }
        let key = Key::new(entry.address.scope, &entry.address.remote());
        let leads_here = tracker.addresses.get(key, &tracker.slab) == Some(slot);
        assert_eq!(leads_here, entry.flags.has(Flags::BY_ADDRESS), "seed {seed}: slot {slot}");
        assert!(!entry.flags.has(Flags::BY_ADDRESS) || entry.flags.has(Flags::MAPPED), "seed {seed}");
    }
}
