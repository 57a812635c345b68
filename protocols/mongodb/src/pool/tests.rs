//! The rules, one by one.

use super::*;

const NOW: Instant = Instant::ZERO;

fn pool(max_size: usize, max_connecting: usize) -> Pool<u32> {
    Pool::new(PoolConfig { max_size, max_connecting, ..PoolConfig::default() })
}

/// A pool with these connections checked out.
fn busy(pool: &mut Pool<u32>, count: usize) -> Generation {
    let mut generation = pool.generation();
    for _ in 0..count {
        let CheckOut::Connect(fresh) = pool.check_out(NOW) else { panic!("there is room") };
        generation = fresh;
        pool.connected();
    }
    generation
}

fn waits(pool: &mut Pool<u32>) -> Waiter {
    let CheckOut::Wait(waiter) = pool.check_out(NOW) else { panic!("there is no room") };
    waiter
}

#[test]
fn the_one_used_last_is_given_out_first() {
    let mut pool = pool(10, 2);
    let generation = busy(&mut pool, 2);
    assert_eq!(pool.check_in(NOW, 1, generation), None);
    assert_eq!(pool.check_in(NOW, 2, generation), None);
    assert_eq!(pool.check_out(NOW), CheckOut::Connection(2, generation));
    assert_eq!(pool.check_out(NOW), CheckOut::Connection(1, generation));
}

#[test]
fn no_more_than_the_maximum_and_first_come_first_served() {
    let mut pool = pool(1, 2);
    let generation = busy(&mut pool, 1);
    let (one, two) = (waits(&mut pool), waits(&mut pool));
    assert_eq!(pool.poll_waiter(one), None);
    assert_eq!(pool.check_in(NOW, 7, generation), None);
    assert_eq!(pool.take_woken(), [one]);
    assert_eq!(pool.poll_waiter(one), Some(CheckOut::Connection(7, generation)));
    pool.discard();
    assert_eq!(pool.take_woken(), [two]);
    assert_eq!(pool.poll_waiter(two), Some(CheckOut::Connect(generation)));
    assert_eq!(pool.size(), 1);
}

#[test]
fn no_more_connect_at_once_than_allowed() {
    let mut pool = pool(0, 2);
    let (_one, _two) = (pool.check_out(NOW), pool.check_out(NOW));
    let third = waits(&mut pool);
    pool.connect_failed();
    assert_eq!(pool.take_woken(), [third]);
    assert!(matches!(pool.poll_waiter(third), Some(CheckOut::Connect(_))));
}

#[test]
fn a_waiter_who_leaves_hands_on_what_it_was_served_with() {
    let mut pool = pool(1, 1);
    let generation = busy(&mut pool, 1);
    let (one, two, three) = (waits(&mut pool), waits(&mut pool), waits(&mut pool));
    pool.leave(NOW, two);
    assert_eq!(pool.check_in(NOW, 7, generation), None);
    pool.leave(NOW, one);
    assert_eq!(pool.take_woken(), [one, three]);
    assert_eq!(pool.poll_waiter(three), Some(CheckOut::Connection(7, generation)));
    let four = waits(&mut pool);
    pool.discard();
    pool.leave(NOW, four);
    assert_eq!(pool.size(), 0);
    assert!(matches!(pool.check_out(NOW), CheckOut::Connect(_)));
}

#[test]
fn clearing_ends_a_generation_once() {
    let mut pool = pool(3, 3);
    let old = busy(&mut pool, 3);
    assert_eq!(pool.check_in(NOW, 1, old), None);
    assert_eq!(pool.clear(old), [1]);
    assert!(pool.clear(old).is_empty());
    assert_eq!(pool.check_in(NOW, 2, old), Some(2));
    pool.discard();
    assert_eq!(pool.size(), 0);
    let new = busy(&mut pool, 1);
    assert!(new > old);
    assert_eq!(pool.check_in(NOW, 4, new), None);
    assert_eq!(pool.idle(), 1);
}

#[test]
fn clearing_spares_waiters_a_stale_connection() {
    let mut pool = pool(1, 1);
    let old = busy(&mut pool, 1);
    let waiter = waits(&mut pool);
    assert_eq!(pool.check_in(NOW, 1, old), None);
    assert!(pool.clear(old).is_empty());
    assert_eq!(pool.take_perished(), [1]);
    assert_eq!(pool.poll_waiter(waiter), Some(CheckOut::Connect(pool.generation())));
    assert_eq!(pool.size(), 1);
}

#[test]
fn idle_connections_perish_down_to_the_minimum() {
    let config = PoolConfig {
        min_size: 1,
        max_connecting: 3,
        max_idle: Some(Duration::from_secs(10)),
        ..PoolConfig::default()
    };
    let mut pool = Pool::new(config);
    let generation = busy(&mut pool, 3);
    for (connection, second) in [(1, 0), (2, 1), (3, 2)] {
        assert_eq!(pool.check_in(NOW + Duration::from_secs(second), connection, generation), None);
    }
    assert_eq!(pool.next_expiry(), Some(NOW + Duration::from_secs(10)));
    pool.expire(NOW + Duration::from_secs(60));
    assert_eq!((pool.take_perished(), pool.idle()), (vec![1, 2], 1));
    assert_eq!(pool.next_expiry(), None);
    assert_eq!(pool.clear(generation), [3]);
    assert_eq!(pool.begin_connect(), Some(pool.generation()));
    assert_eq!(pool.begin_connect(), None);
}

#[test]
fn a_closed_pool_tells_everybody() {
    let mut pool = pool(1, 1);
    let generation = busy(&mut pool, 1);
    let waiter = waits(&mut pool);
    assert!(pool.close().is_empty());
    assert_eq!(pool.take_woken(), [waiter]);
    assert_eq!(pool.poll_waiter(waiter), Some(CheckOut::Closed));
    assert_eq!(pool.check_out(NOW), CheckOut::Closed);
    assert_eq!(pool.check_in(NOW, 1, generation), Some(1));
}

#[test]
fn the_queue_has_an_end() {
    let mut pool = Pool::<u32>::new(PoolConfig { max_size: 1, max_waiting: 1, ..PoolConfig::default() });
    busy(&mut pool, 1);
    let _first = waits(&mut pool);
    assert_eq!(pool.check_out(NOW), CheckOut::Overloaded);
}
