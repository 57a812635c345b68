//! Tasks that somebody waits for, or aborts.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use crate::executor;
use crate::world::{Handle, Wait};

/// A task that can be awaited and aborted. Awaited, it gives its output, or `None` if it was aborted. Dropping this leaves the
/// task running.
#[derive(Debug)]
pub struct Task<T> {
    world: Handle,
    id: Option<u64>,
    outcome: Arc<Mutex<Outcome<T>>>,
}

#[derive(Debug)]
enum Outcome<T> {
    Running(Option<Waker>),
    Done(T),
    Gone,
}

fn settle<T>(outcome: &Mutex<Outcome<T>>, how: Outcome<T>) {
    let mut outcome = outcome.lock().unwrap_or_else(PoisonError::into_inner);
    if let Outcome::Running(waker) = &mut *outcome {
        let waker = waker.take();
        *outcome = how;
        drop(outcome);
        waker.into_iter().for_each(Waker::wake);
    }
}

/// Says so when a task goes away without an outcome.
struct Leaving<T>(Arc<Mutex<Outcome<T>>>);

impl<T> Drop for Leaving<T> {
    fn drop(&mut self) {
        settle(&self.0, Outcome::Gone);
    }
}

impl<T: 'static> Task<T> {
    pub(crate) fn start(
        world: &Handle,
        name: &str,
        host: u64,
        future: impl Future<Output = T> + 'static,
    ) -> Self {
        let outcome = Arc::new(Mutex::new(Outcome::Running(None)));
        let leaving = Leaving(Arc::clone(&outcome));
        let body = async move {
            let output = future.await;
            settle(&leaving.0, Outcome::Done(output));
        };
        let id = executor::spawn(world, name.to_owned(), host, body);
        Self { world: world.clone(), id, outcome }
    }
}

impl<T> Task<T> {
    /// Drops the task before anything else happens, wherever it is. Nothing happens if it is done.
    pub fn abort(&self) {
        if let Some(id) = self.id {
            self.world.with(|world| world.board.aborted.push(id));
        }
    }
}

impl<T> Future for Task<T> {
    type Output = Option<T>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let mut outcome = self.outcome.lock().unwrap_or_else(PoisonError::into_inner);
        match std::mem::replace(&mut *outcome, Outcome::Gone) {
            Outcome::Done(output) => Poll::Ready(Some(output)),
            Outcome::Gone => Poll::Ready(None),
            Outcome::Running(old) => {
                *outcome = Outcome::Running(Some(cx.waker().clone()));
                drop(outcome);
                drop(old);
                self.world.with(|world| world.waits_for(Wait::Task(self.id.unwrap_or_default())));
                Poll::Pending
            }
        }
    }
}
