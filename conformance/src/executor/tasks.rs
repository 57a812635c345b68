//! Spawned tasks.

use std::future::{Future, pending};
use std::panic::resume_unwind;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use glowplug_runtime::task::{JoinError, Task, spawn};
use glowplug_runtime::time::sleep;
use glowplug_runtime::{BoxFuture, Runtime, Spawn};

use super::{Trial, Tried, When as _, World, ensure, trial};

/// How often a condition is looked at, and after how long again.
const LOOKS: usize = 5000;
const LOOK: Duration = Duration::from_millis(2);

pub(super) fn trials<R: Runtime + Spawn<Task<BoxFuture<()>>>>() -> Vec<Trial<R>> {
    vec![
        trial!("spawn-and-wait", spawn_and_wait),
        trial!("dropped-handle-detaches", dropped_handle_detaches),
        trial!("cancel-drops-the-future", cancel_drops_the_future),
        trial!("panic-is-a-result", panic_is_a_result),
    ]
}

/// Waits until `holds`.
async fn until<R: Runtime>(world: &World<R>, what: &str, holds: impl Fn() -> bool) -> Tried {
    for _ in 0..LOOKS {
        if holds() {
            return Ok(());
        }
        sleep(&world.runtime, LOOK).await;
    }
    ensure(holds(), || format!("{what} did not happen"))
}

async fn spawn_and_wait<R: Runtime + Spawn<Task<BoxFuture<()>>>>(world: World<R>) -> Tried {
    let done = Arc::new(AtomicUsize::new(0));
    let handles: Vec<_> = (0..50)
        .map(|_| {
            let done = done.clone();
            let work: BoxFuture<()> = Box::pin(async move {
                // To be polled again, a task that woke itself needs its executor's help.
                Yield(false).await;
                done.fetch_add(1, Ordering::SeqCst);
            });
            spawn(&world.runtime, work)
        })
        .collect();
    for handle in handles {
        handle.await.when("a task")?;
    }
    let done = done.load(Ordering::SeqCst);
    ensure(done == 50, || format!("50 tasks were awaited, and {done} are done"))
}

/// Pending once.
struct Yield(bool);

impl Future for Yield {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if std::mem::replace(&mut self.0, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

async fn dropped_handle_detaches<R: Runtime + Spawn<Task<BoxFuture<()>>>>(world: World<R>) -> Tried {
    let done = Arc::new(AtomicBool::new(false));
    let flag = done.clone();
    let work: BoxFuture<()> = Box::pin(async move {
        Yield(false).await;
        flag.store(true, Ordering::SeqCst);
    });
    drop(spawn(&world.runtime, work));
    until(&world, "the end of a task whose handle was dropped", || done.load(Ordering::SeqCst)).await
}

/// Tells when it is dropped.
struct Dropped(Arc<AtomicBool>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

async fn cancel_drops_the_future<R: Runtime + Spawn<Task<BoxFuture<()>>>>(world: World<R>) -> Tried {
    let gone = Arc::new(AtomicBool::new(false));
    let held = Dropped(gone.clone());
    let work: BoxFuture<()> = Box::pin(async move {
        let _held = held;
        pending::<()>().await;
    });
    let handle = spawn(&world.runtime, work);
    sleep(&world.runtime, LOOK).await;
    handle.cancel();
    let outcome = handle.await;
    ensure(matches!(outcome, Err(JoinError::Cancelled)), || {
        format!("a cancelled task ended as {outcome:?}")
    })?;
    until(&world, "the drop of a cancelled future", || gone.load(Ordering::SeqCst)).await
}

async fn panic_is_a_result<R: Runtime + Spawn<Task<BoxFuture<()>>>>(world: World<R>) -> Tried {
    // An unwinding like that of any panic, without the message that would look like a failure of the test.
    let work: BoxFuture<()> = Box::pin(async { resume_unwind(Box::new("this panic belongs to the test")) });
    let outcome = spawn(&world.runtime, work).await;
    ensure(matches!(outcome, Err(JoinError::Panicked(_))), || {
        format!("a task that panicked ended as {outcome:?}")
    })?;
    // The executor lives on.
    spawn_and_wait(world).await
}
