use std::vec::Vec;

use super::*;
use crate::Seed;

fn at(seconds: u64) -> Instant {
    Instant::ZERO + Duration::from_secs(seconds)
}

fn permit<C>(acquired: Acquired<C>) -> Permit<C> {
    match acquired {
        Acquired::Permit(permit) => permit,
        Acquired::Wait(_) | Acquired::Overloaded => panic!("there is room"),
    }
}

fn ticket<C>(acquired: &Acquired<C>) -> Ticket {
    match acquired {
        Acquired::Wait(ticket) => *ticket,
        Acquired::Permit(_) | Acquired::Overloaded => panic!("there is no room"),
    }
}

#[test]
fn the_connection_that_was_idle_shortest_is_used_first() {
    let mut pool: Pool<&str, u32> = Pool::new(PoolConfig::default());
    let permits: Vec<_> = (0..3).map(|_| permit(pool.acquire(&"a"))).collect();
    for (number, permit) in (0..).zip(&permits) {
        assert_eq!(permit.idle, None);
        assert_eq!(pool.release(at(0), permit.place, Some(number)), None);
    }
    assert_eq!((pool.open(), pool.idle()), (3, 3));
    assert_eq!(permit(pool.acquire(&"a")).idle, Some(2));
    assert_eq!(permit(pool.acquire(&"a")).idle, Some(1));
}

#[test]
fn who_waits_is_served_in_order_and_nobody_overtakes() {
    let mut pool: Pool<&str, u32> = Pool::new(PoolConfig::default().max_per_key(1));
    let first = permit(pool.acquire(&"a"));
    let (one, two, three) =
        (ticket(&pool.acquire(&"a")), ticket(&pool.acquire(&"a")), ticket(&pool.acquire(&"a")));
    assert_eq!(pool.claim(one), None);
    assert_eq!(pool.give_up(at(0), two), None, "it had not been called");
    assert_eq!(pool.release(at(0), first.place, Some(7)), Some(one));
    assert_eq!(pool.claim(one).unwrap().idle, Some(7));
    assert_eq!(pool.release(at(0), first.place, None), Some(three), "the room alone");
    assert_eq!(pool.claim(three).unwrap().idle, None);
    assert_eq!((pool.open(), pool.waiting()), (1, 0));
}

#[test]
fn a_called_ticket_that_is_given_up_calls_the_next() {
    let mut pool: Pool<&str, u32> = Pool::new(PoolConfig::default().max_per_key(1));
    let first = permit(pool.acquire(&"a"));
    let (one, two) = (ticket(&pool.acquire(&"a")), ticket(&pool.acquire(&"a")));
    assert_eq!(pool.release(at(0), first.place, Some(7)), Some(one));
    assert_eq!(pool.give_up(at(0), one), Some(two));
    assert_eq!(pool.claim(two).unwrap().idle, Some(7));
}

#[test]
fn an_idle_connection_elsewhere_gives_way_to_the_total() {
    let mut pool: Pool<&str, u32> = Pool::new(PoolConfig::default().max_total(2));
    let (a, b) = (permit(pool.acquire(&"a")), permit(pool.acquire(&"b")));
    assert_eq!(pool.release(at(0), a.place, Some(1)), None);
    assert!(permit(pool.acquire(&"c")).idle.is_none());
    assert_eq!(pool.take_doomed(), [1]);
    let waiting = ticket(&pool.acquire(&"d"));
    assert_eq!(pool.release(at(0), b.place, Some(2)), Some(waiting), "the total has room for another key");
    assert_eq!(pool.take_doomed(), [2]);
    assert_eq!(pool.claim(waiting).unwrap().idle, None);
    assert_eq!(pool.open(), 2);
}

#[test]
fn room_goes_to_who_has_waited_longest_over_all_keys() {
    let mut pool: Pool<&str, u32> = Pool::new(PoolConfig::default().max_total(1));
    let a = permit(pool.acquire(&"a"));
    let (b, again) = (ticket(&pool.acquire(&"b")), ticket(&pool.acquire(&"a")));
    assert_eq!(pool.release(at(0), a.place, Some(1)), Some(b));
    let b = pool.claim(b).unwrap();
    assert_eq!(pool.release(at(0), b.place, Some(2)), Some(again));
}

#[test]
fn idle_connections_end_in_time_and_beyond_their_number() {
    let config = PoolConfig::default().max_idle_per_key(2).idle_timeout(Some(Duration::from_secs(10)));
    let mut pool: Pool<&str, u64> = Pool::new(config);
    let permits: Vec<_> = (0..3).map(|_| permit(pool.acquire(&"a"))).collect();
    assert_eq!(pool.poll_timeout(), None);
    for (number, permit) in (0..).zip(permits) {
        assert_eq!(pool.release(at(number), permit.place, Some(number)), None);
    }
    assert_eq!(pool.take_doomed(), [0]);
    assert_eq!(pool.poll_timeout(), Some(at(11)));
    pool.handle_timeout(at(11));
    assert_eq!((pool.take_doomed(), pool.open()), (std::vec![1], 1));
    pool.handle_timeout(at(12));
    assert_eq!((pool.take_doomed(), pool.open(), pool.poll_timeout()), (std::vec![2], 0, None));
}

#[test]
fn what_was_given_out_before_clearing_is_not_taken_back() {
    let mut pool: Pool<&str, u32> = Pool::new(PoolConfig::default());
    let (old, idle) = (permit(pool.acquire(&"a")), permit(pool.acquire(&"a")));
    assert_eq!(pool.release(at(0), idle.place, Some(1)), None);
    pool.clear(&"a");
    assert_eq!(pool.take_doomed(), [1]);
    let new = permit(pool.acquire(&"a"));
    assert_eq!(pool.release(at(0), old.place, Some(2)), None);
    assert_eq!(pool.take_doomed(), [2]);
    assert_eq!(pool.release(at(0), new.place, Some(3)), None);
    assert_eq!(permit(pool.acquire(&"a")).idle, Some(3));
}

#[test]
fn waiting_is_bounded() {
    let mut pool: Pool<u32, u32> = Pool::new(PoolConfig::default().max_total(1).max_waiting(2));
    let _held = permit(pool.acquire(&0));
    let _waiting = (ticket(&pool.acquire(&0)), ticket(&pool.acquire(&1)));
    assert_eq!(pool.acquire(&2), Acquired::Overloaded);
    assert_eq!(pool.waiting(), 2);
}

/// Any sequence of calls keeps the counts within their bounds, loses no room, and leaves nobody waiting beside room.
#[test]
fn any_sequence_keeps_the_books_right() {
    for seed in 0..300 {
        let mut rng = Seed::from_u64(seed).rng();
        let config = PoolConfig::default().max_per_key(2).max_total(4).max_idle_per_key(1).max_waiting(6);
        let mut pool: Pool<u64, u64> = Pool::new(config);
        let mut held: Vec<(u64, Place)> = Vec::new();
        let mut waiting: Vec<(u64, Ticket)> = Vec::new();
        let mut made = 0;
        for step in 0..400 {
            let now = at(step);
            let called = match rng.below(10) {
                0..=4 => {
                    let key = rng.below(4);
                    match pool.acquire(&key) {
                        Acquired::Permit(permit) => held.push((key, permit.place)),
                        Acquired::Wait(ticket) => waiting.push((key, ticket)),
                        Acquired::Overloaded => assert_eq!(waiting.len(), 6),
                    }
                    None
                }
                5..=7 if !held.is_empty() => {
                    let (_, place) = held.swap_remove(rng.below(held.len() as u64) as usize);
                    made += 1;
                    pool.release(now, place, (rng.below(2) == 0).then_some(made))
                }
                8 if !waiting.is_empty() => {
                    let (_, ticket) = waiting.swap_remove(rng.below(waiting.len() as u64) as usize);
                    pool.give_up(now, ticket)
                }
                9 => {
                    pool.clear(&rng.below(4));
                    None
                }
                _ => None,
            };
            if let Some(called) = called {
                let index = waiting.iter().position(|(_, ticket)| *ticket == called).expect("it waits");
                let (key, ticket) = waiting.swap_remove(index);
                held.push((key, pool.claim(ticket).expect("it was called").place));
            }
            pool.handle_timeout(now);
            assert_eq!(pool.open(), held.len() + pool.idle());
            assert!(pool.open() <= 4);
            assert_eq!(pool.entries.len(), pool.keys.len() + pool.free.len());
            assert_eq!(pool.waiting(), waiting.len());
            for (key, _) in &waiting {
                let own = held.iter().filter(|(other, _)| other == key).count();
                assert!(own == 2 || held.len() == 4, "seed {seed}: {key} waits beside room");
            }
        }
        for (_, place) in held.drain(..) {
            let _ = pool.release(at(1000), place, None);
        }
        for (_, ticket) in waiting.drain(..) {
            let _ = pool.give_up(at(1000), ticket);
        }
        pool.clear_all();
        assert_eq!((pool.open(), pool.waiting(), pool.keys.len(), pool.held_back.len()), (0, 0, 0, 0));
    }
}
