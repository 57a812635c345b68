//! glowplug in a simulator: the same clients and servers, on virtual time and a network in memory, and everything that
//! happens follows from one seed.
//!
//! [`Simulation`] owns the executor, the clock and the network. [`Simulation::host`] adds a machine to it and gives its
//! [`Sim`], which is a plug like any other: it implements [`Runtime`](glowplug_runtime::Runtime) and
//! [`Spawn`](glowplug_runtime::Spawn), for futures that are not `Send` too. [`Net`] is where a test bends the network:
//! latency, loss, small windows, partitions, cuts, refusals, names that fail; each of them below
//! [`Transport`](glowplug_runtime::Transport), where a real network would bend it.
//!
//! ```
//! use std::time::Duration;
//! use glowplug_runtime::Runtime;
//! use glowplug_sim::Simulation;
//!
//! let mut simulation = Simulation::new(7);
//! let host = simulation.host("laptop", [10, 0, 0, 1]);
//! let slept = simulation.run(async {
//!     let before = host.now();
//!     host.sleep(Duration::from_secs(3600)).await; // takes no time at all
//!     host.now() - before
//! });
//! assert_eq!(slept, Duration::from_secs(3600));
//! ```
//!
//! # Time
//!
//! Computing takes no time. When every task waits, the clock jumps to the next thing that will happen: a timer, or
//! something arriving over the network. A run in which every task waits and nothing will happen is a deadlock: it
//! panics with a list of the tasks and of what each waits for. So does a run that goes on for too long, in
//! [virtual time](Simulation::max_time) or in [steps](Simulation::max_steps).
//!
//! # Seeds
//!
//! One number decides everything: which ready task runs next, how streams are cut into segments, how much of a write is
//! accepted, what each read returns, jitter, losses, and the bytes of `fill_random`. The same test with the same number
//! does the same, step by step: [`Simulation::trace_hash`] says so. When a run panics, its number is printed with the last things
//! that happened. A test that goes through [`seeds`] runs only that number when `GLOWPLUG_SEED` says so.
//!
//! What breaks this: threads of your own, iteration over a `HashMap` with its default hasher, the system's clock.
//!
//! # Cancellation
//!
//! [`dropped_after`] drops a future after a number of polls, so that a test can cancel an operation at every place
//! where it can be cancelled; [`Sim::at_risk`] lets the seed choose. [`Sim::task`] starts a task that can be aborted and awaited.

mod agenda;
mod cancel;
mod datagram;
mod executor;
mod link;
mod net;
mod network;
mod runtime;
mod simulation;
mod stream;
mod task;
mod timer;
mod trace;
mod world;

pub use cancel::{DroppedAfter, dropped_after};
pub use datagram::Datagram;
pub use link::Link;
pub use net::{ConnectionId, Cut, Net};
pub use runtime::Sim;
pub use simulation::{Simulation, Usage, seeds};
pub use stream::{Connecting, Listener, Stream};
pub use task::Task;
pub use timer::{Resolving, Sleep, Timer};

glowplug_runtime::plug!(crate::Sim);
