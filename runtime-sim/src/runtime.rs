//! The plug itself.

use std::future::{Future, Ready, ready};
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use glowplug_core::Instant;
use glowplug_runtime::{Endpoint, Runtime, Spawn};

use crate::cancel::{DroppedAfter, dropped_after};
use crate::executor;
use crate::net::Net;
use crate::timer::{Resolving, Sleep};
use crate::world::Handle;
use crate::{Connecting, Datagram, Listener, Stream, Task, Timer};

/// The time of day at the beginning of every simulation: 2020-01-01 00:00:00 UTC, in seconds of Unix time.
const DAWN: Duration = Duration::from_secs(1_577_836_800);

/// One host of a simulation, as a plug. [`Simulation::host`](crate::Simulation::host) makes it.
///
/// It may move between threads, and so may its sockets, for the sake of code that asks for that; tasks are spawned on the
/// thread of the simulation only.
#[derive(Clone, Debug)]
pub struct Sim {
    world: Handle,
    host: u64,
}

impl Sim {
    pub(crate) fn new(world: Handle, host: u64) -> Self {
        Self { world, host }
    }

    /// The network, to bend it.
    pub fn net(&self) -> Net {
        Net::new(self.world.clone())
    }

    /// Waits for so much virtual time.
    pub fn sleep(&self, time: Duration) -> Sleep {
        self.sleep_until(self.now() + time)
    }

    /// Waits until `at`.
    pub fn sleep_until(&self, at: Instant) -> Sleep {
        Sleep::until(self.timer(), at)
    }

    /// Starts a task that can be awaited and aborted. `name` is for the list of tasks that a deadlock prints.
    pub fn task<F>(&self, name: &str, future: F) -> Task<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        Task::start(&self.world, name, self.host, future)
    }

    /// Drops `future` after up to `polls` polls, how many of them says the seed: [`dropped_after`] with a random number.
    pub fn at_risk<F: Future>(&self, polls: u64, future: F) -> DroppedAfter<F> {
        dropped_after(self.world.with(|world| world.dice.schedule.below(polls.saturating_add(1))), future)
    }
}

impl Runtime for Sim {
    type Stream = Stream;
    type Listener = Listener;
    type Datagram = Datagram;
    type Timer = Timer;
    type Connecting = Connecting;
    type Listening = Ready<io::Result<Listener>>;
    type Binding = Ready<io::Result<Datagram>>;
    type Resolving = Resolving;

    fn now(&self) -> Instant {
        self.world.with(|world| world.now)
    }

    fn wall_clock(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + DAWN + Duration::from_nanos(self.now().as_nanos())
    }

    fn fill_random(&self, bytes: &mut [u8]) {
        self.world.with(|world| world.dice.random.fill(bytes));
    }

    fn timer(&self) -> Timer {
        Timer::new(self.world.clone())
    }

    fn connect(&self, to: &Endpoint) -> Connecting {
        Connecting::start(self.world.clone(), self.host, to)
    }

    fn listen(&self, at: &Endpoint) -> Self::Listening {
        ready(Listener::bind(self.world.clone(), self.host, at))
    }

    fn bind(&self, local: SocketAddr) -> Self::Binding {
        ready(Datagram::bind(self.world.clone(), self.host, local))
    }

    fn resolve(&self, host: &str, port: u16) -> Resolving {
        let (delay, answer) = self.world.with(|world| world.network.resolve(self.host, host, port));
        Resolving::new(self.sleep(delay), answer)
    }
}

impl<F: Future<Output = ()> + 'static> Spawn<F> for Sim {
    fn spawn(&self, future: F) {
        executor::spawn(&self.world, std::any::type_name::<F>().to_owned(), self.host, future);
    }
}
