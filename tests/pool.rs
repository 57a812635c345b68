//! The pool of connections on every executor: order, caps, deadlines, cancelling, idling.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Wake, Waker};
use std::time::Duration;

use futures_util::future::{join, join_all};
use glowplug::runtime::pool::{Pool, PoolConfig, PoolError, Reaper};
use glowplug::runtime::time::sleep;
use glowplug::runtime::{Runtime, Spawn, task};
use glowplug::sim::{Sim, Simulation, dropped_after, seeds};

support::on_each_executor![
    a_connection_put_back_is_given_out_again,
    one_at_a_time_in_order,
    waiting_has_its_limits,
    clearing_and_closing,
    what_idles_too_long_is_closed,
];

/// A connection that counts itself.
struct Counted(Arc<AtomicUsize>);

impl Counted {
    fn new(alive: &Arc<AtomicUsize>) -> Self {
        alive.fetch_add(1, Ordering::Relaxed);
        Self(alive.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

async fn a_connection_put_back_is_given_out_again<R: Runtime>(runtime: R) {
    let pool: Pool<&str, u32, R> = Pool::new(runtime, PoolConfig::default());
    let mut lease = pool.get(&"a").await.expect("room");
    assert_eq!(lease.take(), None);
    lease.put_back(7);
    assert_eq!((pool.open(), pool.idle()), (1, 1));
    let mut lease = pool.get(&"a").await.expect("room");
    assert_eq!(lease.take(), Some(7));
    drop(lease);
    assert_eq!((pool.open(), pool.idle()), (0, 0), "what is not put back is gone");
}

async fn one_at_a_time_in_order<R: Runtime>(runtime: R) {
    let pool: Pool<u8, u32, R> = Pool::new(runtime.clone(), PoolConfig::default().max_per_key(1));
    let (using, served) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let calls = (0..50).map(|number| {
        let (pool, using, served, runtime) = (&pool, &using, &served, &runtime);
        async move {
            let mut lease = pool.get(&0).await.expect("room in time");
            assert_eq!(using.fetch_add(1, Ordering::Relaxed), 0, "nobody else uses it");
            assert_eq!(served.fetch_add(1, Ordering::Relaxed), number, "in order");
            let connection = lease.take().unwrap_or(1);
            sleep(runtime, Duration::from_micros(10)).await;
            using.fetch_sub(1, Ordering::Relaxed);
            lease.put_back(connection);
        }
    });
    join_all(calls).await;
    assert_eq!((pool.open(), pool.waiting()), (1, 0));
}

async fn waiting_has_its_limits<R: Runtime>(runtime: R) {
    let config = PoolConfig::default().max_total(1).max_waiting(1);
    let pool: Pool<u8, u32, R> = Pool::new(runtime, config).wait_timeout(Some(Duration::from_millis(20)));
    let _held = pool.get(&0).await.expect("room");
    let (first, second) = join(pool.get(&0), pool.get(&1)).await;
    assert_eq!(first.err(), Some(PoolError::TimedOut));
    assert_eq!(second.err(), Some(PoolError::Overloaded));
    assert_eq!(pool.waiting(), 0);
}

async fn clearing_and_closing<R: Runtime>(runtime: R) {
    let alive = Arc::new(AtomicUsize::new(0));
    let pool: Pool<u8, Counted, R> = Pool::new(runtime, PoolConfig::default().max_per_key(2));
    let (used, idle) = (pool.get(&0).await.expect("room"), pool.get(&0).await.expect("room"));
    idle.put_back(Counted::new(&alive));
    pool.clear(&0);
    assert_eq!(alive.load(Ordering::Relaxed), 0, "the idle one is closed");
    used.put_back(Counted::new(&alive));
    assert_eq!(alive.load(Ordering::Relaxed), 0, "the other when it comes back");

    let (used, other) = (pool.get(&0).await.expect("room"), pool.get(&0).await.expect("room"));
    let (waited, ()) = join(pool.get(&0), async { pool.close() }).await;
    assert_eq!(waited.err(), Some(PoolError::Closed));
    assert_eq!(pool.get(&1).await.err(), Some(PoolError::Closed));
    used.put_back(Counted::new(&alive));
    drop(other);
    assert_eq!((pool.open(), alive.load(Ordering::Relaxed)), (0, 0));
}

async fn what_idles_too_long_is_closed<R>(runtime: R)
where
    R: Runtime + Spawn<task::Task<Reaper<u8, Counted, R>>>,
{
    let alive = Arc::new(AtomicUsize::new(0));
    let config = PoolConfig::default().idle_timeout(Some(Duration::from_millis(30)));
    let pool: Pool<u8, Counted, R> = Pool::new(runtime.clone(), config);
    let reaper = task::spawn(&runtime, pool.reaper());
    for key in 0..3 {
        pool.get(&key).await.expect("room").put_back(Counted::new(&alive));
    }
    assert_eq!(pool.idle(), 3);
    while pool.idle() > 0 {
        sleep(&runtime, Duration::from_millis(5)).await;
    }
    assert_eq!((pool.open(), alive.load(Ordering::Relaxed)), (0, 0));
    drop(pool);
    reaper.await.expect("the reaper ends with the pool");
}

/// Callers that leave at any poll lose nobody's place and no room.
#[test]
fn callers_that_leave_at_any_poll_lose_no_room() {
    for seed in seeds(100) {
        let mut simulation = Simulation::new(seed);
        let host: Sim = simulation.host("here", [10, 0, 0, 1]);
        simulation.run(async {
            let pool: Pool<u8, u32, Sim> =
                Pool::new(host.clone(), PoolConfig::default().max_per_key(2).max_total(3)).wait_timeout(None);
            let calls = (0..60_u64).map(|number| {
                let (pool, host) = (&pool, &host);
                let call = async move {
                    let mut lease = pool.get(&((number % 3) as u8)).await.expect("room in time");
                    let connection = lease.take().unwrap_or(1);
                    sleep(host, Duration::from_millis(number % 7)).await;
                    lease.put_back(connection);
                };
                dropped_after(if number % 4 == 0 { (seed + number) % 5 } else { u64::MAX }, call)
            });
            join_all(calls).await;
            assert_eq!(pool.waiting(), 0);
            assert_eq!(pool.open(), pool.idle(), "nothing is in use any more");
            assert!(pool.open() <= 3);
        });
    }
}

/// Counts how often it is woken.
#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn a_lone_caller_does_not_wake_the_reaper_each_time() {
    let mut simulation = Simulation::new(1);
    let host = simulation.host("here", [10, 0, 0, 1]);
    simulation.run(async {
        let pool: Pool<u8, u32, Sim> = Pool::new(host.clone(), PoolConfig::default());
        let mut reaper = std::pin::pin!(pool.reaper());
        let wakes = Arc::new(Wakes::default());
        let waker = Waker::from(wakes.clone());
        for _ in 0..100 {
            let mut polling = Context::from_waker(&waker);
            assert!(reaper.as_mut().poll(&mut polling).is_pending());
            let mut lease = pool.get(&0).await.expect("room");
            let connection = lease.take().unwrap_or(7);
            host.sleep(Duration::from_millis(1)).await;
            lease.put_back(connection);
        }
        // The first to lie idle is told; from then on the reaper looks by itself.
        assert!(wakes.0.load(Ordering::Relaxed) <= 2, "{} wakes", wakes.0.load(Ordering::Relaxed));
    });
}
