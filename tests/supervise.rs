//! Scopes: children that end with them, children that are started again, and panics that stay where they are.

mod support;

use std::future::pending;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::{Either, select, select_all};
use glowplug::core::{BackoffConfig, Instant};
use glowplug::runtime::supervise::{KeepAlive, Member, Restart, Scope};
use glowplug::runtime::task::{JoinError, Task};
use glowplug::runtime::time::sleep;
use glowplug::runtime::{BoxFuture, Runtime, Spawn};

support::on_each_executor![
    results_and_names,
    children_end_with_their_scope,
    those_that_never_began_end_too,
    nested_scopes,
    a_panic_is_the_childs_alone,
    one_child_is_cancelled,
    waiting_for_the_first,
    ended_in_good_order_it_starts_again,
    after_a_panic_it_starts_again,
    until_it_succeeds,
    it_gives_up,
    quick_ends_only_count_in_a_row,
    a_restarted_child_ends_with_its_scope,
    a_dropped_child_runs_on,
];

type Make = Box<dyn FnMut() -> BoxFuture<()> + Send>;
type Try = Box<dyn FnMut() -> BoxFuture<Result<u32, &'static str>> + Send>;

/// What these tests ask of a plug.
trait Plug:
    Runtime<Stream: Send, Timer: Send>
    + Spawn<Task<Member<BoxFuture<()>>>>
    + Spawn<Task<Member<BoxFuture<u32>>>>
    + Spawn<Task<Member<KeepAlive<Self, Make, BoxFuture<()>>>>>
    + Spawn<Task<Member<KeepAlive<Self, Try, BoxFuture<Result<u32, &'static str>>>>>>
    + Send
    + Sync
{
}

impl<R> Plug for R where
    R: Runtime<Stream: Send, Timer: Send>
        + Spawn<Task<Member<BoxFuture<()>>>>
        + Spawn<Task<Member<BoxFuture<u32>>>>
        + Spawn<Task<Member<KeepAlive<R, Make, BoxFuture<()>>>>>
        + Spawn<Task<Member<KeepAlive<R, Try, BoxFuture<Result<u32, &'static str>>>>>>
        + Send
        + Sync
{
}

/// Counts the futures that live.
#[derive(Clone, Default)]
struct Living(Arc<AtomicUsize>);

impl Living {
    fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }

    fn one(&self) -> Alive {
        self.0.fetch_add(1, Ordering::SeqCst);
        Alive(self.clone())
    }
}

struct Alive(Living);

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::SeqCst);
    }
}

fn boxed<T>(future: impl Future<Output = T> + Send + 'static) -> BoxFuture<T> {
    Box::pin(future)
}

fn forever(living: &Living) -> BoxFuture<()> {
    let alive = living.one();
    boxed(async move {
        let _alive = alive;
        pending::<()>().await;
    })
}

async fn until<R: Runtime>(runtime: &R, holds: impl Fn() -> bool) {
    while !holds() {
        sleep(runtime, Duration::from_millis(1)).await;
    }
}

/// Pauses of a millisecond.
fn quick() -> BackoffConfig {
    BackoffConfig {
        first: Duration::from_millis(1),
        max: Duration::from_millis(1),
        ..BackoffConfig::default()
    }
}

fn panic_of_the_test() -> ! {
    // An unwinding like that of any panic, without the message that would look like a failure of the test.
    resume_unwind(Box::new("this panic belongs to the test"));
}

async fn results_and_names<R: Plug>(runtime: R) {
    let scope = Scope::new(runtime.clone());
    assert!(scope.is_empty());
    let sum = scope.spawn("sum", boxed(async { 40_u32 + 2 }));
    let idle = scope.spawn("idle", boxed(pending::<()>()));
    assert_eq!(sum.name(), "sum");
    assert_eq!(sum.await.expect("a sum"), 42);
    until(&runtime, || scope.names() == ["idle"]).await;
    assert!(format!("{scope:?}").contains("idle"));
    assert!(!idle.is_finished());
    scope.close().await;
    assert!(matches!(idle.await, Err(JoinError::Cancelled)));
}

async fn children_end_with_their_scope<R: Plug>(runtime: R) {
    let living = Living::default();
    let scope = Scope::new(runtime.clone());
    for n in 0..10 {
        drop(scope.spawn(&format!("child {n}"), forever(&living)));
    }
    sleep(&runtime, Duration::from_millis(5)).await;
    assert_eq!((scope.len(), living.count()), (10, 10));
    drop(scope);
    until(&runtime, || living.count() == 0).await;
}

async fn those_that_never_began_end_too<R: Plug>(runtime: R) {
    let began = Arc::new(AtomicUsize::new(0));
    let counted = began.clone();
    let scope = Scope::new(runtime.clone());
    scope.cancel();
    let child = scope.spawn(
        "late",
        boxed(async move {
            counted.fetch_add(1, Ordering::SeqCst);
        }),
    );
    assert!(matches!(child.await, Err(JoinError::Cancelled)));
    scope.join().await;
    assert_eq!(began.load(Ordering::SeqCst), 0);
}

async fn nested_scopes<R: Plug>(runtime: R) {
    let living = Living::default();
    let scope = Scope::new(runtime.clone());
    let (inside, inner) = (living.clone(), runtime.clone());
    let child = scope.spawn(
        "parent",
        boxed(async move {
            let scope = Scope::new(inner.clone());
            drop(scope.spawn("grandchild", forever(&inside)));
            drop(scope.spawn("grandchild", forever(&inside)));
            pending::<()>().await;
        }),
    );
    until(&runtime, || living.count() == 2).await;
    child.cancel();
    assert!(matches!(child.await, Err(JoinError::Cancelled)));
    until(&runtime, || living.count() == 0).await;
    scope.close().await;
}

async fn a_panic_is_the_childs_alone<R: Plug>(runtime: R) {
    let living = Living::default();
    let scope = Scope::new(runtime.clone());
    let calm = scope.spawn("calm", forever(&living));
    let wild = scope.spawn::<BoxFuture<()>>("wild", boxed(async { panic_of_the_test() }));
    let error = wild.await.expect_err("a panic");
    assert_eq!(error.to_string(), "the task panicked: this panic belongs to the test");
    assert_eq!((living.count(), calm.is_finished()), (1, false));
    scope.close().await;
    assert_eq!(living.count(), 0);
}

async fn one_child_is_cancelled<R: Plug>(runtime: R) {
    let living = Living::default();
    let scope = Scope::new(runtime);
    let (one, other) = (scope.spawn("one", forever(&living)), scope.spawn("other", forever(&living)));
    one.cancel();
    assert!(matches!(one.await, Err(JoinError::Cancelled)));
    assert_eq!((living.count(), other.is_finished()), (1, false));
    scope.close().await;
}

async fn waiting_for_the_first<R: Plug>(runtime: R) {
    let scope = Scope::new(runtime.clone());
    let after = |wait: u64, value: u32| {
        let runtime = runtime.clone();
        boxed(async move {
            sleep(&runtime, Duration::from_millis(wait)).await;
            value
        })
    };
    let children = vec![
        scope.spawn("slow", after(60_000, 1)),
        scope.spawn("quick", after(1, 2)),
        scope.spawn("slower", after(80_000, 3)),
    ];
    let (first, index, _others) = select_all(children).await;
    assert_eq!((first.expect("a value"), index), (2, 1));
    let child = scope.spawn("slow", after(60_000, 4));
    assert!(matches!(select(child, sleep(&runtime, Duration::from_millis(1))).await, Either::Right(_)));
    scope.close().await;
}

/// What happened when.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<Instant>>>);

impl Log {
    fn note<R: Runtime>(&self, runtime: &R) -> usize {
        let mut log = self.0.lock().expect("a log");
        log.push(runtime.now());
        log.len()
    }

    fn len(&self) -> usize {
        self.0.lock().expect("a log").len()
    }
}

async fn ended_in_good_order_it_starts_again<R: Plug>(runtime: R) {
    let scope = Scope::new(runtime.clone());
    let log = Log::default();
    let (noted, clock) = (log.clone(), runtime.clone());
    let make: Make = Box::new(move || {
        noted.note(&clock);
        boxed(async {})
    });
    let child = scope.keep_alive("pinger", Restart::default().backoff(quick()), make);
    until(&runtime, || log.len() >= 5).await;
    assert!(!child.is_finished());
    scope.close().await;
    let times = log.0.lock().expect("a log").clone();
    // Half of the span at least, as the jitter has it.
    assert!(times.windows(2).all(|pair| pair[1] - pair[0] >= Duration::from_micros(500)), "{times:?}");
}

async fn after_a_panic_it_starts_again<R: Plug>(runtime: R) {
    let scope = Scope::new(runtime.clone());
    let log = Log::default();
    let (noted, clock) = (log.clone(), runtime.clone());
    let make: Try = Box::new(move || match noted.note(&clock) {
        1 => panic_of_the_test(),
        2 => boxed(async { panic_of_the_test() }),
        n => boxed(async move { Ok(n as u32) }),
    });
    let child = scope.keep_alive("worker", Restart::on_failure().backoff(quick()), make);
    assert_eq!(child.await.expect("not cancelled").expect("no panic"), Ok(3));
}

async fn until_it_succeeds<R: Plug>(runtime: R) {
    let scope = Scope::new(runtime.clone());
    let log = Log::default();
    let (noted, clock) = (log.clone(), runtime.clone());
    let make: Try = Box::new(move || {
        let n = noted.note(&clock) as u32;
        boxed(async move { if n < 4 { Err("not yet") } else { Ok(n) } })
    });
    let child = scope.keep_alive("worker", Restart::on_failure().backoff(quick()), make);
    assert_eq!(child.await.expect("not cancelled").expect("no panic"), Ok(4));
    assert_eq!(log.len(), 4);
}

async fn it_gives_up<R: Plug>(runtime: R) {
    let scope = Scope::new(runtime.clone());
    let log = Log::default();
    let (noted, clock) = (log.clone(), runtime.clone());
    let make: Try = Box::new(move || {
        noted.note(&clock);
        boxed(async { Err("never") })
    });
    let restart = Restart::on_failure().backoff(quick()).attempts(3);
    let child = scope.keep_alive("worker", restart, make);
    assert_eq!(child.await.expect("not cancelled").expect("no panic"), Err("never"));
    assert_eq!(log.len(), 3);
    // A panic that is the last says so.
    let make: Make = Box::new(|| boxed(async { panic_of_the_test() }));
    let child = scope.keep_alive("wild", Restart::default().backoff(quick()).attempts(2), make);
    assert!(matches!(child.await.expect("not cancelled"), Err(JoinError::Panicked(_))));
}

async fn quick_ends_only_count_in_a_row<R: Plug>(runtime: R) {
    let scope = Scope::new(runtime.clone());
    let log = Log::default();
    let (noted, clock) = (log.clone(), runtime.clone());
    let make: Make = Box::new(move || {
        noted.note(&clock);
        let clock = clock.clone();
        boxed(async move { sleep(&clock, Duration::from_millis(3)).await })
    });
    // Each run is long enough to count as settled: it never gives up.
    let restart = Restart::default().backoff(quick()).attempts(2).settled_after(Duration::from_millis(2));
    let child = scope.keep_alive("worker", restart, make);
    until(&runtime, || log.len() >= 6).await;
    assert!(!child.is_finished());
    scope.close().await;
}

async fn a_restarted_child_ends_with_its_scope<R: Plug>(runtime: R) {
    let living = Living::default();
    let scope = Scope::new(runtime.clone());
    let alive = living.clone();
    let make: Make = Box::new(move || forever(&alive));
    let running = scope.keep_alive("running", Restart::default(), make);
    // This one ends at once and pauses for an hour.
    let make: Make = Box::new(|| boxed(async {}));
    let hour = Duration::from_secs(3600);
    let pauses = BackoffConfig { first: hour, max: hour, ..BackoffConfig::default() };
    let pausing = scope.keep_alive("pausing", Restart::default().backoff(pauses), make);
    until(&runtime, || living.count() == 1).await;
    assert_eq!(scope.names(), ["running", "pausing"]);
    drop(scope);
    assert!(matches!(running.await, Err(JoinError::Cancelled)));
    assert!(matches!(pausing.await, Err(JoinError::Cancelled)));
    assert_eq!(living.count(), 0);
}

async fn a_dropped_child_runs_on<R: Plug>(runtime: R) {
    let scope = Scope::new(runtime.clone());
    let done = Arc::new(AtomicUsize::new(0));
    let (counted, clock) = (done.clone(), runtime.clone());
    drop(scope.spawn(
        "detached",
        boxed(async move {
            sleep(&clock, Duration::from_millis(5)).await;
            counted.fetch_add(1, Ordering::SeqCst);
        }),
    ));
    scope.join().await;
    assert_eq!(done.load(Ordering::SeqCst), 1);
}
