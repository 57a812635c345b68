//! Time, dice, names, cancellation and the guards of a run.

mod support;

use std::cell::Cell;
use std::io::ErrorKind;
use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::{Duration, SystemTime};

use glowplug_core::Instant;
use glowplug_runtime::{Runtime, Spawn, Timer as _};
use glowplug_sim::{Link, Sim, Simulation, dropped_after, seeds};
use support::*;

fn one(seed: u64) -> (Simulation, Sim) {
    let simulation = Simulation::new(seed);
    let host = simulation.host("here", [10, 0, 0, 1]);
    (simulation, host)
}

/// What the panic of `run` says.
fn panic_of(run: impl FnOnce()) -> String {
    let panic = catch_unwind(AssertUnwindSafe(run)).expect_err("the run panics");
    panic
        .downcast_ref::<String>()
        .cloned()
        .unwrap_or_else(|| panic.downcast_ref::<&str>().copied().unwrap_or_default().to_owned())
}

/// A run with a bit of everything, and its trace.
fn traced(seed: u64) -> (u64, Instant, [u8; 8]) {
    let simulation = Simulation::new(seed).configure(|net| net.default_link(Link::rough().cuts(0.2, 5000)));
    let mut simulation = simulation.late_timers(Duration::from_millis(1));
    let client = simulation.host("client", [10, 0, 0, 1]);
    let server = simulation.host("server", [10, 0, 0, 2]);
    let mut random = [0; 8];
    simulation.run(async {
        serve_echo(&server, tcp("10.0.0.2:7")).await;
        let tasks: Vec<_> = (0..5)
            .map(|number| {
                let host = client.clone();
                client.task("caller", async move {
                    let mut stream = host.connect(&tcp("10.0.0.2:7")).await?;
                    let echoed = exchange(&mut stream, vec![number; 3000]);
                    host.at_risk(20, echoed).await.transpose()
                })
            })
            .collect();
        for task in tasks {
            drop(task.await);
        }
        client.fill_random(&mut random);
    });
    (simulation.trace_hash(), simulation.now(), random)
}

#[test]
fn a_seed_run_twice_does_the_same() {
    let mut hashes = std::collections::BTreeSet::new();
    for seed in seeds(50) {
        let first = traced(seed);
        assert_eq!(first, traced(seed), "seed {seed}");
        hashes.insert(first.0);
    }
    assert_eq!(hashes.len() as u64, seeds(50).end - seeds(50).start, "and other seeds do otherwise");
}

#[test]
fn time_jumps_to_what_is_next() {
    let (mut simulation, host) = one(1);
    let order = Rc::new(std::cell::RefCell::new(Vec::new()));
    for delay in [30, 10, 20] {
        let (host_, order) = (host.clone(), Rc::clone(&order));
        host.spawn(async move {
            host_.sleep(Duration::from_secs(delay)).await;
            order.borrow_mut().push((delay, host_.now()));
        });
    }
    simulation.run_until_idle();
    let at = |seconds| (seconds, Instant::ZERO + Duration::from_secs(seconds));
    assert_eq!(*order.borrow(), [at(10), at(20), at(30)]);
    let dawn = SystemTime::UNIX_EPOCH + Duration::from_secs(1_577_836_800);
    assert_eq!(host.wall_clock(), dawn + Duration::from_secs(30));
    simulation.run_for(Duration::from_secs(5));
    assert_eq!(host.now(), Instant::ZERO + Duration::from_secs(35));
}

#[test]
fn a_timer_is_rearmed_disarmed_and_stays_expired() {
    let (mut simulation, host) = one(1);
    let mut timer = host.timer();
    let second = Duration::from_secs(1);
    simulation.run(async {
        timer.reset(Some(host.now() + second));
        assert!(within(&host, second / 2, std::future::poll_fn(|cx| timer.poll_expired(cx))).await.is_none());
        timer.reset(Some(host.now() + 3 * second));
        assert!(within(&host, 2 * second, std::future::poll_fn(|cx| timer.poll_expired(cx))).await.is_none());
        for _ in 0..2 {
            std::future::poll_fn(|cx| timer.poll_expired(cx)).await;
            assert_eq!(host.now(), Instant::ZERO + Duration::from_millis(3500));
        }
        timer.reset(None);
        assert!(within(&host, 9 * second, std::future::poll_fn(|cx| timer.poll_expired(cx))).await.is_none());
    });
    assert_eq!(simulation.usage().timers, 0);
}

#[test]
fn late_timers_are_late_and_never_early() {
    let (simulation, host) = one(1);
    let mut simulation = simulation.late_timers(Duration::from_millis(10));
    simulation.run(async {
        let mut late = 0;
        for _ in 0..100 {
            let due = host.now() + Duration::from_secs(1);
            host.sleep_until(due).await;
            assert!(host.now() >= due && host.now() <= due + Duration::from_millis(10));
            late += u32::from(host.now() > due);
        }
        assert!(late > 90);
    });
}

#[test]
fn names_come_from_the_simulations_own_table() {
    let (mut simulation, host) = one(1);
    let net = simulation.net();
    simulation.host("db", [10, 0, 0, 2]);
    simulation.host("db", "fd00::2".parse::<IpAddr>().unwrap());
    net.name("cache.example", [IpAddr::from([10, 0, 0, 2])]);
    net.name_takes("cache.example", Duration::from_secs(3));
    net.name_fails("broken.example", ErrorKind::TimedOut);
    simulation.run(async {
        let both = vec![addr("10.0.0.2:80"), addr("[fd00::2]:80")];
        assert_eq!(host.resolve("db", 80).await.unwrap(), both);
        assert_eq!(host.resolve("Cache.Example.", 80).await.unwrap(), [addr("10.0.0.2:80")]);
        assert_eq!(host.now(), Instant::ZERO + Duration::from_secs(3));
        assert_eq!(host.resolve("broken.example", 80).await.unwrap_err().kind(), ErrorKind::TimedOut);
        assert_eq!(host.resolve("missing.example", 80).await.unwrap_err().kind(), ErrorKind::NotFound);
        assert_eq!(host.resolve("localhost", 80).await.unwrap(), [addr("127.0.0.1:80")]);
        assert_eq!(host.resolve("::1", 80).await.unwrap(), [addr("[::1]:80")]);
        net.name("broken.example", []);
        assert_eq!(host.resolve("broken.example", 80).await.unwrap(), []);
    });
}

#[test]
fn a_deadlock_lists_who_waits_for_what() {
    let (mut simulation, host) = one(1);
    let said = panic_of(|| {
        simulation.run(async {
            let mut listener = host.listen(&tcp("10.0.0.1:7")).await.unwrap();
            let waiting =
                host.task("the listener's task", async move { accept(&mut listener).await.is_ok() });
            waiting.await;
        });
    });
    assert!(said.contains("deadlock"), "{said}");
    assert!(said.contains("(the listener's task)"), "{said}");
    assert!(said.contains("somebody to connect to listener 0"), "{said}");
    assert!(said.contains("(the test itself)") && said.contains("waits for task 1"), "{said}");
}

#[test]
fn a_run_that_goes_on_for_ever_ends() {
    let (simulation, host) = one(1);
    let mut simulation = simulation.max_time(Duration::from_secs(100));
    let said = panic_of(|| {
        simulation.run(async {
            loop {
                host.sleep(Duration::from_secs(1)).await;
            }
        });
    });
    assert!(said.contains("of virtual time"), "{said}");

    let (simulation, _host) = one(1);
    let mut simulation = simulation.max_steps(1000);
    let said = panic_of(|| {
        simulation.run(std::future::poll_fn(|cx| {
            cx.waker().wake_by_ref();
            std::task::Poll::<()>::Pending
        }));
    });
    assert!(said.contains("1000 steps"), "{said}");
}

#[test]
fn a_tasks_panic_is_the_runs_panic() {
    let (mut simulation, host) = one(1);
    host.spawn(async { panic!("as planned") });
    assert_eq!(panic_of(|| simulation.run_until_idle()), "as planned");
}

/// Says when it is dropped.
struct Flag(Rc<Cell<bool>>);
impl Drop for Flag {
    fn drop(&mut self) {
        self.0.set(true);
    }
}

#[test]
fn tasks_are_awaited_and_aborted() {
    let (mut simulation, host) = one(1);
    let dropped = Rc::new(Cell::new(false));
    simulation.run(async {
        assert_eq!(host.task("seven", async { 7 }).await, Some(7));
        let (flag, host_) = (Flag(Rc::clone(&dropped)), host.clone());
        let long = host.task("long", async move {
            host_.sleep(Duration::from_secs(100)).await;
            drop(flag);
        });
        host.sleep(Duration::from_secs(1)).await;
        long.abort();
        assert_eq!(long.await, None);
        assert!(dropped.get());
        assert_eq!(host.now(), Instant::ZERO + Duration::from_secs(1));
    });
    assert_eq!(simulation.usage(), glowplug_sim::Usage::default());
}

#[test]
fn a_future_is_dropped_at_every_poll() {
    let (mut simulation, host) = one(1);
    simulation.run(async {
        let operation = || async {
            for _ in 0..3 {
                host.sleep(Duration::from_secs(1)).await;
            }
            "done"
        };
        let mut polls = 0;
        let output = loop {
            let before = host.now();
            match dropped_after(polls, operation()).await {
                Some(output) => break output,
                None => assert_eq!((host.now() - before).as_secs(), polls.saturating_sub(1)),
            }
            polls += 1;
        };
        assert_eq!((output, polls), ("done", 4));
    });
}

#[test]
fn tasks_of_a_simulation_that_is_over_never_start() {
    let (simulation, host) = one(1);
    drop(simulation);
    host.spawn(async { panic!("nobody runs this") });
    assert!(host.now() == Instant::ZERO);
}

#[test]
fn everything_but_the_simulation_may_move_between_threads() {
    fn is_send<T: Send>(_: &T) {}
    let (mut simulation, host) = one(1);
    is_send(&host);
    is_send(&host.timer());
    is_send(&host.net());
    is_send(&host.sleep(Duration::ZERO));
    is_send(&host.resolve("here", 1));
    is_send(&host.connect(&tcp("10.0.0.1:1")));
    simulation.run(async {
        let listener = host.listen(&tcp("10.0.0.1:1")).await.unwrap();
        is_send(&listener);
        is_send(&host.connect(&tcp("10.0.0.1:1")).await.unwrap());
        is_send(&host.bind(addr("10.0.0.1:1")).await.unwrap());
    });
}
