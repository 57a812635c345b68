//! Timers, the clock, and the dice.

use std::future::poll_fn;
use std::time::Duration;

use glowplug_core::{Instant, Seed};
use glowplug_runtime::time::sleep;
use glowplug_runtime::{Runtime, Timer as _};

use super::io::now;
use super::{Executor, Trial, Tried, World, ensure, trial};

const SHORT: Duration = Duration::from_millis(5);

pub(super) fn trials<E: Executor>() -> Vec<Trial<E::Runtime>> {
    vec![
        trial!("never-early", never_early),
        trial!("stays-expired", stays_expired),
        trial!("disarmed-stays-silent", disarmed_stays_silent),
        trial!("moved-nearer-and-farther", moved_nearer_and_farther),
        trial!("far-future", far_future),
        trial!("many-at-once", many_at_once),
        trial!("clock", clock),
        trial!("dice", dice),
    ]
}

async fn expired<R: Runtime>(timer: &mut R::Timer) {
    poll_fn(|cx| timer.poll_expired(cx)).await;
}

async fn never_early<R: Runtime>(world: World<R>) -> Tried {
    for millis in [0, 1, 2, 7, 20] {
        let at = world.runtime.now() + Duration::from_millis(millis) + Duration::from_nanos(999);
        let mut timer = world.runtime.timer();
        timer.reset(Some(at));
        expired::<R>(&mut timer).await;
        let now = world.runtime.now();
        ensure(now >= at, || format!("a timer for {at:?} expired at {now:?}"))?;
    }
    Ok(())
}

async fn stays_expired<R: Runtime>(world: World<R>) -> Tried {
    let mut timer = world.runtime.timer();
    timer.reset(Some(Instant::ZERO));
    expired::<R>(&mut timer).await;
    for _ in 0..3 {
        ensure(now(|cx| timer.poll_expired(cx)).await.is_some(), || {
            "an expired timer waits again".to_owned()
        })?;
    }
    timer.reset(Some(world.runtime.now() + Duration::from_secs(3600)));
    ensure(now(|cx| timer.poll_expired(cx)).await.is_none(), || {
        "a timer set anew is expired still".to_owned()
    })
}

async fn disarmed_stays_silent<R: Runtime>(world: World<R>) -> Tried {
    let mut timer = world.runtime.timer();
    ensure(now(|cx| timer.poll_expired(cx)).await.is_none(), || {
        "a timer that was never set expired".to_owned()
    })?;
    timer.reset(Some(world.runtime.now() + SHORT));
    ensure(now(|cx| timer.poll_expired(cx)).await.is_none(), || "a timer expired at once".to_owned())?;
    timer.reset(None);
    sleep(&world.runtime, SHORT * 4).await;
    ensure(now(|cx| timer.poll_expired(cx)).await.is_none(), || "a disarmed timer expired".to_owned())
}

async fn moved_nearer_and_farther<R: Runtime>(world: World<R>) -> Tried {
    let mut timer = world.runtime.timer();
    timer.reset(Some(world.runtime.now() + Duration::from_secs(3600)));
    ensure(now(|cx| timer.poll_expired(cx)).await.is_none(), || "an hour passed at once".to_owned())?;
    // The task already waits for the far deadline; the near one has to wake it.
    timer.reset(Some(world.runtime.now() + SHORT));
    expired::<R>(&mut timer).await;
    timer.reset(Some(world.runtime.now() + SHORT));
    ensure(now(|cx| timer.poll_expired(cx)).await.is_none(), || "a timer expired at once".to_owned())?;
    let at = world.runtime.now() + SHORT * 8;
    timer.reset(Some(at));
    expired::<R>(&mut timer).await;
    let now = world.runtime.now();
    ensure(now >= at, || format!("a timer that was moved to {at:?} expired at {now:?}"))
}

async fn far_future<R: Runtime>(world: World<R>) -> Tried {
    let mut timer = world.runtime.timer();
    timer.reset(Some(Instant::FAR_FUTURE));
    ensure(now(|cx| timer.poll_expired(cx)).await.is_none(), || "the end of time has come".to_owned())?;
    sleep(&world.runtime, SHORT).await;
    ensure(now(|cx| timer.poll_expired(cx)).await.is_none(), || "the end of time has come".to_owned())
}

async fn many_at_once<R: Runtime>(world: World<R>) -> Tried {
    let mut rng = Seed::from_u64(world.seed).rng();
    let start = world.runtime.now();
    let mut timers: Vec<(Instant, R::Timer, bool)> = (0..500)
        .map(|_| {
            let at = start + Duration::from_micros(rng.below(30_000));
            let mut timer = world.runtime.timer();
            timer.reset(Some(at));
            (at, timer, false)
        })
        .collect();
    let mut early = None;
    poll_fn(|cx| {
        for (at, timer, done) in &mut timers {
            if !*done && timer.poll_expired(cx).is_ready() {
                *done = true;
                if world.runtime.now() < *at {
                    early = Some(*at);
                }
            }
        }
        if timers.iter().all(|(_, _, done)| *done) {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
    ensure(early.is_none(), || format!("the timer for {early:?} was early"))
}

async fn clock<R: Runtime>(world: World<R>) -> Tried {
    let clone = world.runtime.clone();
    let mut last = world.runtime.now();
    for n in 0..1000 {
        // All clones share the epoch, so their readings are one sequence.
        let now = if n % 2 == 0 { clone.now() } else { world.runtime.now() };
        ensure(now >= last, || format!("the clock went back from {last:?} to {now:?}"))?;
        last = now;
    }
    sleep(&clone, SHORT).await;
    let now = world.runtime.now();
    ensure(now >= last + SHORT, || {
        format!("after {SHORT:?} of sleep, the clock went from {last:?} to {now:?}")
    })
}

async fn dice<R: Runtime>(world: World<R>) -> Tried {
    let (mut one, mut two) = ([0; 32], [0; 32]);
    world.runtime.fill_random(&mut one);
    sleep(&world.runtime, SHORT).await;
    world.runtime.clone().fill_random(&mut two);
    ensure(one != two && one != [0; 32], || "the dice fell the same way twice".to_owned())
}
