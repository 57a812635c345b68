//! One deadline.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use glowplug_core::Instant;
use glowplug_runtime::Timer as _;

use crate::agenda::{Event, Key};
use crate::world::{Handle, Wait};

/// One deadline in virtual time.
#[derive(Debug)]
pub struct Timer {
    world: Handle,
    at: Option<Instant>,
    /// The armed time and the lateness that the seed gave it, once it was polled.
    due: Option<Instant>,
    key: Option<Key>,
}

impl Timer {
    pub(crate) fn new(world: Handle) -> Self {
        Self { world, at: None, due: None, key: None }
    }

    fn forget(&mut self) {
        if let Some(key) = self.key.take() {
            // What comes back holds a waker: it is dropped here, outside the lock.
            drop(self.world.with(|world| world.agenda.remove(key)));
        }
    }
}

impl glowplug_runtime::Timer for Timer {
    fn reset(&mut self, at: Option<Instant>) {
        self.forget();
        self.due = None;
        self.at = at;
    }

    fn poll_expired(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(at) = self.at else { return Poll::Pending };
        let (due, key) = (&mut self.due, &mut self.key);
        self.world.with(|world| {
            let due = *due.get_or_insert_with(|| if at <= world.now { at } else { at + world.lateness() });
            if world.now >= due {
                if let Some(key) = key.take()
                    && let Some(Event::Timer(waker)) = world.agenda.remove(key)
                {
                    world.retired.push(waker);
                }
                return Poll::Ready(());
            }
            match key.and_then(|key| world.agenda.get_mut(key)) {
                Some(Event::Timer(waker)) => {
                    if !waker.will_wake(cx.waker()) {
                        world.retired.push(std::mem::replace(waker, cx.waker().clone()));
                    }
                }
                _ => *key = Some(world.agenda.add(due, Event::Timer(cx.waker().clone()))),
            }
            world.waits_for(Wait::Timer(due));
            Poll::Pending
        })
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        self.forget();
    }
}

/// What [`Sim::sleep`](crate::Sim::sleep) returns.
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct Sleep(Timer);

impl Sleep {
    pub(crate) fn until(mut timer: Timer, at: Instant) -> Self {
        timer.reset(Some(at));
        Self(timer)
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.0.poll_expired(cx)
    }
}

/// What resolving a name returns: the answer of the simulation's own table, after the time that it takes.
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct Resolving {
    sleep: Sleep,
    answer: Option<io::Result<Vec<SocketAddr>>>,
}

impl Resolving {
    pub(crate) fn new(sleep: Sleep, answer: io::Result<Vec<SocketAddr>>) -> Self {
        Self { sleep, answer: Some(answer) }
    }
}

impl Future for Resolving {
    type Output = io::Result<Vec<SocketAddr>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        ready!(Pin::new(&mut self.sleep).poll(cx));
        Poll::Ready(self.answer.take().expect("a future is not polled after it was ready"))
    }
}
