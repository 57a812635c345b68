//! Tasks on one thread, picked by dice.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Wake, Waker};

use glowplug_core::Rng;

use crate::world::Handle;

type LocalFuture = Pin<Box<dyn Future<Output = ()>>>;

thread_local! {
    /// Tasks that were spawned and not yet taken over, per simulation. They wait here and not in the world, which may move
    /// between threads, because they need not be `Send`.
    static NURSERIES: RefCell<BTreeMap<usize, Vec<(u64, LocalFuture)>>> = const { RefCell::new(BTreeMap::new()) };
}

/// Tasks to poll.
pub(crate) struct Ready(Mutex<Vec<u64>>);

impl Ready {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(Vec::new()))
    }

    pub(crate) fn push(&self, id: u64) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(id);
    }

    /// One of them, each equally likely.
    pub(crate) fn pick(&self, rng: &mut Rng) -> Option<u64> {
        let mut ready = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match ready.len() {
            0 | 1 => ready.pop(),
            len => Some(ready.swap_remove(rng.below(len as u64) as usize)),
        }
    }
}

/// Wakes one task.
pub(crate) struct TaskWaker {
    ready: Arc<Ready>,
    id: u64,
    queued: AtomicBool,
}

impl TaskWaker {
    /// A waker for a task that is to be polled right away.
    pub(crate) fn new(ready: &Arc<Ready>, id: u64) -> Arc<Self> {
        let this = Arc::new(Self { ready: Arc::clone(ready), id, queued: AtomicBool::new(false) });
        this.wake_by_ref();
        this
    }

    /// The task is being polled: from now on a wake-up is a new one.
    pub(crate) fn begin(&self) {
        self.queued.store(false, Ordering::Relaxed);
    }
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.queued.swap(true, Ordering::Relaxed) {
            self.ready.push(self.id);
        }
    }
}

/// The tasks of one simulation.
pub(crate) struct Executor {
    world: Handle,
    tasks: BTreeMap<u64, (LocalFuture, Arc<TaskWaker>)>,
}

impl Executor {
    pub(crate) fn new(world: Handle) -> Self {
        NURSERIES.with_borrow_mut(|nurseries| nurseries.insert(world.number(), Vec::new()));
        Self { world, tasks: BTreeMap::new() }
    }

    pub(crate) fn len(&self) -> usize {
        self.tasks.len()
    }

    /// Takes over what was spawned, and drops what was aborted.
    pub(crate) fn tidy(&mut self) {
        loop {
            let born =
                NURSERIES.with_borrow_mut(|nurseries| nurseries.get_mut(&self.world.number()).map(mem::take));
            let born = born.unwrap_or_default();
            let dead = self.world.with(|world| mem::take(&mut world.board.aborted));
            if born.is_empty() && dead.is_empty() {
                return;
            }
            for (id, future) in born {
                self.tasks.insert(id, (future, TaskWaker::new(&self.world.ready, id)));
            }
            for id in dead {
                self.end(id, "abort task");
            }
        }
    }

    /// Polls a task, if it is still there.
    pub(crate) fn poll(&mut self, id: u64) {
        let Some((future, waker)) = self.tasks.get_mut(&id) else { return };
        waker.begin();
        self.world.begin_poll(id);
        let done = future.as_mut().poll(&mut Context::from_waker(&Waker::from(Arc::clone(waker)))).is_ready();
        if done {
            // Still inside the poll: what the task's end drops or wakes is its doing.
            self.end(id, "task done");
        }
        self.world.end_poll();
    }

    fn end(&mut self, id: u64, how: &'static str) {
        if let Some(task) = self.tasks.remove(&id) {
            drop(task);
            self.world.with(|world| {
                world.board.tasks.remove(&id);
                world.note(how, id, 0);
            });
        }
    }
}

impl Drop for Executor {
    fn drop(&mut self) {
        self.world.with(|world| world.over = true);
        let born = NURSERIES.try_with(|nurseries| nurseries.borrow_mut().remove(&self.world.number()));
        drop(born);
        mem::take(&mut self.tasks).into_values().for_each(drop);
    }
}

/// Starts a task in the simulation of `world` and gives its number; none once the simulation is over.
pub(crate) fn spawn(
    world: &Handle,
    name: String,
    host: u64,
    future: impl Future<Output = ()> + 'static,
) -> Option<u64> {
    let id = world.with(|world| {
        let id = (!world.over).then(|| world.board.enter(name, Some(host)))?;
        world.note("spawn task", id, host);
        Some(id)
    })?;
    NURSERIES.with_borrow_mut(|nurseries| {
        let nursery = nurseries.get_mut(&world.number());
        nursery.expect("tasks are spawned on the simulation's own thread").push((id, Box::pin(future)));
    });
    Some(id)
}

impl Handle {
    /// A number that no other simulation of this process has while this one lives.
    fn number(&self) -> usize {
        Arc::as_ptr(&self.ready).addr()
    }

    pub(crate) fn begin_poll(&self, id: u64) {
        self.with(|world| {
            world.board.current = Some(id);
            let polls = world.board.tasks.get_mut(&id).map_or(0, |task| {
                task.polls += 1;
                task.waits.clear();
                task.polls
            });
            world.note("poll task", id, polls);
        });
    }

    pub(crate) fn end_poll(&self) {
        self.with(|world| world.board.current = None);
    }
}
