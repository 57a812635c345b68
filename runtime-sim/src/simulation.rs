//! The whole of a simulation: what a test makes first and runs.

use std::fmt::{self, Write as _};
use std::future::Future;
use std::net::IpAddr;
use std::ops::Range;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use glowplug_core::Instant;

use crate::agenda::Event;
use crate::executor::{Executor, TaskWaker};
use crate::link::chance;
use crate::net::Net;
use crate::runtime::Sim;
use crate::world::Handle;

/// Enough for any retransmission to give up, and short against a lifetime of virtual idling.
const MAX_TIME: Duration = Duration::from_secs(24 * 60 * 60);

/// Polls and happenings of one run: some seconds of real time.
const MAX_STEPS: u64 = 20_000_000;

/// Executor, clock, network and dice in one; everything in it follows from its seed.
///
/// Tasks live as long as the simulation: [`run`](Self::run) may be called again and finds the servers that an earlier run left.
pub struct Simulation {
    world: Handle,
    executor: Executor,
    max_time: Instant,
    max_steps: u64,
    steps: u64,
    spurious: f64,
}

/// What of a simulation is in use: equal before and after means that nothing leaked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Usage {
    /// Tasks that are not done.
    pub tasks: usize,
    /// Ends of streams that somebody holds, and such as wait to be accepted.
    pub streams: usize,
    /// Listeners.
    pub listeners: usize,
    /// Datagram sockets.
    pub datagrams: usize,
    /// Timers that are armed and were polled.
    pub timers: usize,
    /// Bytes under way on streams, or arrived and unread, and unread in datagram sockets.
    pub buffered: usize,
}

impl Simulation {
    /// A simulation without hosts, at the beginning of time.
    pub fn new(seed: u64) -> Self {
        let world = Handle::new(seed);
        let executor = Executor::new(world.clone());
        Self {
            world,
            executor,
            max_time: Instant::ZERO + MAX_TIME,
            max_steps: MAX_STEPS,
            steps: 0,
            spurious: 0.0,
        }
    }

    /// Sets up the network, in the middle of a chain of calls.
    pub fn configure(self, setup: impl FnOnce(&Net)) -> Self {
        setup(&self.net());
        self
    }

    /// A run that comes to this virtual time panics. Default: 24 hours.
    pub fn max_time(mut self, time: Duration) -> Self {
        self.max_time = Instant::ZERO + time;
        self
    }

    /// A run that takes more than this many polls and happenings panics. Default: 20 million.
    pub fn max_steps(mut self, steps: u64) -> Self {
        self.max_steps = steps;
        self
    }

    /// Timers fire up to this much late, by dice, as on a busy machine. Default: 0, to the nanosecond.
    pub fn late_timers(self, slack: Duration) -> Self {
        self.world.with(|world| world.slack = slack);
        self
    }

    /// How likely, instead of a task that was woken, one that was not is polled: a future has to bear that. Default: 0.
    ///
    /// It can hide a wake-up that was lost, so use it beside runs without.
    pub fn spurious_polls(mut self, chance: f64) -> Self {
        self.spurious = chance;
        self
    }

    /// The seed of all this.
    pub fn seed(&self) -> u64 {
        self.world.seed
    }

    /// A machine on the network, and its plug. The same name again gives the same machine, with one more address.
    ///
    /// Other hosts reach it by its addresses, and by its name through [`Runtime::resolve`](glowplug_runtime::Runtime::resolve);
    /// 127.0.0.1 and `::1` are on each host its own.
    ///
    /// # Panics
    ///
    /// If another host has the address.
    pub fn host(&self, name: &str, address: impl Into<IpAddr>) -> Sim {
        let host = self.world.with(|world| {
            let host = world.network.add_host(name);
            world.network.add_address(host, address.into());
            host
        });
        Sim::new(self.world.clone(), host)
    }

    /// The network, to bend it.
    pub fn net(&self) -> Net {
        Net::new(self.world.clone())
    }

    /// The virtual time.
    pub fn now(&self) -> Instant {
        self.world.with(|world| world.now)
    }

    /// A hash over everything that has happened so far. Two runs that did the same have the same.
    pub fn trace_hash(&self) -> u64 {
        self.world.with(|world| world.trace.hash())
    }

    /// What is in use now.
    pub fn usage(&self) -> Usage {
        let tasks = self.executor.len();
        self.world.with(|world| {
            let (streams, datagrams) = (&world.network.streams, &world.network.datagrams);
            Usage {
                tasks,
                streams: streams.ends(),
                listeners: streams.listeners(),
                datagrams: datagrams.len(),
                timers: world.agenda.timers(),
                buffered: streams.buffered() + datagrams.unread(),
            }
        })
    }

    /// The tasks that are not done, one a line, each with what it waits for.
    pub fn tasks(&self) -> String {
        self.world.with(|world| {
            let mut text = String::new();
            for (id, task) in &world.board.tasks {
                let host = task.host.map(|host| world.network.hosts[host as usize].name.as_str());
                let _ = write!(text, "  task {id}");
                if let Some(host) = host {
                    let _ = write!(text, " on {host}");
                }
                let name: String = task.name.chars().take(120).collect();
                let _ = write!(text, " ({name}), polled {} times, waits for ", task.polls);
                if task.waits.is_empty() {
                    text.push_str("nothing that could come");
                }
                for (index, wait) in task.waits.iter().enumerate() {
                    let _ = write!(text, "{}{wait}", if index == 0 { "" } else { ", " });
                }
                text.push('\n');
            }
            text
        })
    }

    /// Runs `future`, and all tasks beside it, until it is done.
    ///
    /// # Panics
    ///
    /// With whatever the future or a task panics with; when all wait and nothing will happen (a deadlock); when the
    /// run exceeds its [time](Self::max_time) or [steps](Self::max_steps). The seed and the last happenings are printed
    /// to standard error.
    pub fn run<F: Future>(&mut self, future: F) -> F::Output {
        let mut future = pin!(future);
        let _report = Report(self.world.clone());
        let id = self.world.with(|world| world.board.enter("the test itself".to_owned(), None));
        let waker = TaskWaker::new(&self.world.ready, id);
        loop {
            match self.next_task() {
                Some(next) if next == id => {
                    waker.begin();
                    self.world.begin_poll(id);
                    let context = Waker::from(Arc::clone(&waker));
                    let polled = future.as_mut().poll(&mut Context::from_waker(&context));
                    self.world.end_poll();
                    if let Poll::Ready(output) = polled {
                        self.executor.tidy();
                        self.world.with(|world| world.board.tasks.remove(&id));
                        return output;
                    }
                }
                Some(next) => self.executor.poll(next),
                None => {
                    assert!(
                        self.advance(),
                        "deadlock: every task waits and nothing will happen\n{}",
                        self.tasks()
                    );
                }
            }
        }
    }

    /// Runs the tasks for so much virtual time.
    pub fn run_for(&mut self, time: Duration) {
        let sleep = Sim::new(self.world.clone(), 0).sleep(time);
        self.run(sleep);
    }

    /// Runs the tasks until all of them wait and nothing will happen any more. [`tasks`](Self::tasks) and
    /// [`usage`](Self::usage) say what is left.
    ///
    /// # Panics
    ///
    /// As [`run`](Self::run), but for the deadlock.
    pub fn run_until_idle(&mut self) {
        let _report = Report(self.world.clone());
        loop {
            match self.next_task() {
                Some(next) => self.executor.poll(next),
                None if self.advance() => {}
                None => return,
            }
        }
    }

    /// The task to poll next.
    fn next_task(&mut self) -> Option<u64> {
        self.executor.tidy();
        self.steps += 1;
        assert!(
            self.steps <= self.max_steps,
            "the run takes more than {} steps: something spins\n{}",
            self.max_steps,
            self.tasks()
        );
        self.world.with(|world| {
            let dice = &mut world.dice.schedule;
            let woken = self.world.ready.pick(dice)?;
            if !chance(dice, self.spurious) {
                return Some(woken);
            }
            self.world.ready.push(woken);
            let nth = dice.below(world.board.tasks.len() as u64) as usize;
            world.board.tasks.keys().nth(nth).copied()
        })
    }

    /// Lets the next thing happen, and perhaps others of the same moment. False when nothing will.
    fn advance(&mut self) -> bool {
        loop {
            let Some(event) = self.world.with(|world| {
                let (at, event) = world.agenda.pop()?;
                world.now = world.now.max(at);
                Some(event)
            }) else {
                return false;
            };
            self.steps += 1;
            let now = self.now();
            assert!(
                now < self.max_time,
                "the run has come to {now:?} of virtual time: something goes on for ever\n{}",
                self.tasks()
            );
            self.happen(event);
            let more = self.world.with(|world| {
                world.agenda.next_time() == Some(world.now) && world.dice.schedule.chance(1, 2)
            });
            if !more {
                return true;
            }
        }
    }

    fn happen(&self, event: Event) {
        match event {
            Event::Timer(waker) => {
                self.world.with(|world| world.note("timer", 0, 0));
                waker.wake();
            }
            Event::Script(script) => {
                self.world.with(|world| world.note("script", 0, 0));
                script(&self.net());
            }
            Event::Syn { connection, attempt } => self.world.with(|world| world.on_syn(connection, attempt)),
            Event::Established { connection, attempt } => {
                self.world.with(|world| world.on_established(connection, attempt));
            }
            Event::ConnectFailed { connection, kind } => {
                self.world.with(|world| world.on_connect_failed(connection, kind));
            }
            Event::Arrive { connection, from } => self.world.with(|world| world.on_arrive(connection, from)),
            Event::GiveUp { connection, from, popped } => {
                self.world.with(|world| world.on_give_up(connection, from, popped));
            }
            Event::Deliver(packet) => self.world.with(|world| world.deliver(packet)),
            Event::Departed { socket, len } => self.world.with(|world| world.departed(socket, len)),
            Event::Unreachable { socket, to } => self.world.with(|world| world.unreachable(socket, to)),
        }
    }
}

impl fmt::Debug for Simulation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Simulation")
            .field("seed", &self.seed())
            .field("now", &self.now())
            .finish_non_exhaustive()
    }
}

/// Tells, when a run panics, how to repeat it.
struct Report(Handle);

impl Drop for Report {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        let seed = self.0.seed;
        let (now, steps, tail) = self.0.with(|world| (world.now, world.trace.steps(), world.trace.tail()));
        eprintln!(
            "simulation with seed {seed} failed after {now:?} and {steps} happenings; the last were\n{tail}\
             repeat it with GLOWPLUG_SEED={seed}"
        );
    }
}

/// The seeds for a test to run with: 0 to `count`, unless `GLOWPLUG_SEED` names one (`17`) or a range (`200..1200`).
///
/// # Panics
///
/// If `GLOWPLUG_SEED` is neither.
pub fn seeds(count: u64) -> Range<u64> {
    match std::env::var("GLOWPLUG_SEED") {
        Ok(text) => parse_seeds(&text).unwrap_or_else(|| {
            panic!("GLOWPLUG_SEED is a number or a range of numbers like 200..1200, and not {text:?}")
        }),
        Err(_) => 0..count,
    }
}

fn parse_seeds(text: &str) -> Option<Range<u64>> {
    match text.split_once("..") {
        Some((first, end)) => Some(first.trim().parse().ok()?..end.trim().parse().ok()?),
        None => {
            let one: u64 = text.trim().parse().ok()?;
            Some(one..one.checked_add(1)?)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_are_a_number_or_a_range() {
        assert_eq!(parse_seeds("17"), Some(17..18));
        assert_eq!(parse_seeds("200..1200"), Some(200..1200));
        assert_eq!(parse_seeds("x"), None);
        assert_eq!(parse_seeds("1.."), None);
    }
}
