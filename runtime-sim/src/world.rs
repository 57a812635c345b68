//! Everything a simulation knows, behind one lock.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Waker;
use std::time::Duration;

use glowplug_core::{Instant, Rng, Seed};

use crate::agenda::{Agenda, Event};
use crate::executor::Ready;
use crate::network::Network;
use crate::trace::Trace;

/// Everything a simulation knows.
pub(crate) struct World {
    pub(crate) now: Instant,
    pub(crate) dice: Dice,
    pub(crate) agenda: Agenda,
    pub(crate) network: Network,
    pub(crate) trace: Trace,
    pub(crate) board: Board,
    /// Timers fire up to this much late.
    pub(crate) slack: Duration,
    /// The simulation is being dropped: nothing starts any more.
    pub(crate) over: bool,
    /// Wakers to call, and wakers to drop, once the lock is free: either may run code of somebody's own.
    pub(crate) wakes: Vec<Waker>,
    pub(crate) retired: Vec<Waker>,
}

/// The dice, all from one seed, and apart so that using one more often does not shift the others.
pub(crate) struct Dice {
    pub(crate) network: Rng,
    pub(crate) schedule: Rng,
    pub(crate) random: Rng,
}

/// What the executor's tasks are doing.
pub(crate) struct Board {
    /// The task that is being polled.
    pub(crate) current: Option<u64>,
    pub(crate) tasks: BTreeMap<u64, TaskNote>,
    next: u64,
    /// Tasks to drop before anything else happens.
    pub(crate) aborted: Vec<u64>,
}

/// One task, as a report shows it.
pub(crate) struct TaskNote {
    pub(crate) name: String,
    pub(crate) host: Option<u64>,
    pub(crate) polls: u64,
    /// What it asked for in its last poll and did not get.
    pub(crate) waits: Vec<Wait>,
}

/// What a task waits for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Wait {
    Timer(Instant),
    Connect(u64),
    Accept(u64),
    Read(u64),
    Write(u64),
    Receive(u64),
    Send(u64),
    Task(u64),
}

impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Timer(at) => write!(f, "a timer at {at:?}"),
            Self::Connect(id) => write!(f, "connection {id} to open"),
            Self::Accept(id) => write!(f, "somebody to connect to listener {id}"),
            Self::Read(id) => write!(f, "bytes on connection {id}"),
            Self::Write(id) => write!(f, "room on connection {id}"),
            Self::Receive(id) => write!(f, "datagrams on socket {id}"),
            Self::Send(id) => write!(f, "room on socket {id}"),
            Self::Task(id) => write!(f, "task {id}"),
        }
    }
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        let mut rng = Seed::from_u64(seed).rng();
        let dice = Dice { network: rng.seed().rng(), schedule: rng.seed().rng(), random: rng.seed().rng() };
        Self {
            now: Instant::ZERO,
            dice,
            agenda: Agenda::new(),
            network: Network::new(),
            trace: Trace::new(),
            board: Board { current: None, tasks: BTreeMap::new(), next: 0, aborted: Vec::new() },
            slack: Duration::ZERO,
            over: false,
            wakes: Vec::new(),
            retired: Vec::new(),
        }
    }

    /// How late a timer fires.
    pub(crate) fn lateness(&mut self) -> Duration {
        if self.slack.is_zero() {
            return Duration::ZERO;
        }
        Duration::from_nanos(self.dice.schedule.below(self.slack.as_nanos() as u64 + 1))
    }

    /// Notes what the task that is being polled waits for.
    pub(crate) fn waits_for(&mut self, wait: Wait) {
        if let Some(task) = self.board.current.and_then(|id| self.board.tasks.get_mut(&id)) {
            task.waits.push(wait);
        }
    }

    pub(crate) fn note(&mut self, what: &'static str, which: u64, detail: u64) {
        self.trace.note(self.now, what, which, detail);
    }

    /// Schedules `event` after `delay`.
    pub(crate) fn later(&mut self, delay: Duration, event: Event) {
        let at = self.now + delay;
        self.agenda.add(at, event);
    }

    /// Wakes whoever waits in `slot`.
    pub(crate) fn wake(wakes: &mut Vec<Waker>, slot: &mut Option<Waker>) {
        wakes.extend(slot.take());
    }

    /// Leaves `waker` in `slot`; the one before no longer counts.
    pub(crate) fn park(retired: &mut Vec<Waker>, slot: &mut Option<Waker>, waker: &Waker) {
        if !slot.as_ref().is_some_and(|old| old.will_wake(waker)) {
            retired.extend(slot.replace(waker.clone()));
        }
    }
}

impl Board {
    /// Enters a task and gives its number.
    pub(crate) fn enter(&mut self, name: String, host: Option<u64>) -> u64 {
        let id = self.next;
        self.next += 1;
        self.tasks.insert(id, TaskNote { name, host, polls: 0, waits: Vec::new() });
        id
    }
}

/// A way to the world, shared by everything that belongs to one simulation.
#[derive(Clone)]
pub(crate) struct Handle {
    world: Arc<Mutex<World>>,
    pub(crate) ready: Arc<Ready>,
    pub(crate) seed: u64,
}

impl Handle {
    pub(crate) fn new(seed: u64) -> Self {
        Self { world: Arc::new(Mutex::new(World::new(seed))), ready: Arc::new(Ready::new()), seed }
    }

    /// Does something with the world, then wakes whom it woke.
    pub(crate) fn with<T>(&self, f: impl FnOnce(&mut World) -> T) -> T {
        // A panic under the lock ends the test anyway; what still happens while it unwinds must not panic again.
        let mut world = self.world.lock().unwrap_or_else(PoisonError::into_inner);
        let result = f(&mut world);
        let (wakes, retired) = (std::mem::take(&mut world.wakes), std::mem::take(&mut world.retired));
        drop(world);
        wakes.into_iter().for_each(Waker::wake);
        drop(retired);
        result
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle").field("seed", &self.seed).finish_non_exhaustive()
    }
}
