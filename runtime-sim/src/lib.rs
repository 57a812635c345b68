//! glowplug in a simulator: the same clients and servers, on virtual time and a network in memory, and everything that
//! happens follows from one seed.
//!
//! [`Simulation`] owns the executor, the clock and the network. [`Simulation::host`] adds a machine to it and gives its
//! [`Sim`], which is a plug like any other: it implements [`Runtime`] and
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
//! Two hosts, and a bad day for the network between them:
//!
//! ```
//! use std::time::Duration;
//! use glowplug_core::Instant;
//! use glowplug_sim::{Cut, Link, Simulation, seeds};
//!
//! for seed in seeds(3) {
//!     let mut simulation = Simulation::new(seed).configure(|net| net.default_link(Link::rough()));
//!     let client = simulation.host("client", [10, 0, 0, 1]);
//!     let server = simulation.host("server", [10, 0, 0, 2]);
//!     let net = simulation.net();
//!     net.cut_after("client", "server", 100, Cut::Reset); // the first connection, after its 100th byte
//!     net.at(Instant::ZERO + Duration::from_secs(5), |net| net.partition("client", "server"));
//!     net.at(Instant::ZERO + Duration::from_secs(8), |net| net.heal("client", "server"));
//!     simulation.run(async {
//!         // Serve on `server`, call from `client`, and check what must hold whatever happens.
//!         # let _ = (&client, &server);
//!     });
//!     simulation.run_until_idle();
//!     assert_eq!(simulation.usage().streams, 0, "no connection was left over");
//! }
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
#![forbid(unsafe_code)]

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
