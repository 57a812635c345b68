//! What every executor's plug has to do, as cases that run on any [`Runtime`].
//!
//! A plug of your own is checked in five lines:
//!
//! ```no_run
//! use glowplug_conformance::Plan;
//! use glowplug_conformance::executor::{self, Executor};
//!
//! // struct MyExecutor; impl Executor for MyExecutor { type Runtime = MyPlug; ... }
//! # fn test<MyExecutor: Executor>() {
//! if let Err(report) = executor::check::<MyExecutor>(&Plan::from_env()) {
//!     panic!("{report}");
//! }
//! # }
//! ```
//!
//! No case asserts how long something took: a deadline may come late, and only never early. What hangs is ended by the
//! runner.

mod cancelling;
mod datagrams;
#[cfg(feature = "dns")]
pub mod dns;
#[cfg(feature = "http")]
pub mod http;
#[cfg(feature = "http")]
pub mod http_client;
mod io;
mod machines;
#[cfg(feature = "mongodb")]
pub mod mongodb;
#[cfg(any(feature = "sim", feature = "smol", feature = "tokio"))]
mod plugs;
#[cfg(feature = "redis")]
mod real;
#[cfg(feature = "redis")]
pub mod redis;
#[cfg(feature = "riak")]
pub mod riak;
pub mod services;
mod streams;
mod tasks;
mod timers;
#[cfg(feature = "udp")]
pub mod udp;
#[cfg(feature = "websocket")]
pub mod websocket;

use std::fmt::Write as _;
use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};

use glowplug_runtime::task::Task;
use glowplug_runtime::{BoxFuture, Endpoint, Runtime, Spawn};

#[cfg(feature = "sim")]
pub use plugs::Sim;
#[cfg(feature = "smol")]
pub use plugs::Smol;
#[cfg(feature = "tokio")]
pub use plugs::Tokio;

use crate::plan::Plan;
use crate::runner::{Case, Lane, Outcome};

/// A way to run the cases on one executor.
pub trait Executor: 'static {
    /// Its plug.
    type Runtime: Runtime + Spawn<Task<BoxFuture<()>>>;

    /// The name of its column.
    const NAME: &'static str;

    /// Whether everything follows from the seed, so that a case is worth running once for each. Default: no.
    const SEEDED: bool = false;

    /// Whether it has Unix sockets. Default: where the system has them.
    const UNIX: bool = cfg!(unix);

    /// A name that its resolver knows. Default: `localhost`.
    const KNOWN_HOST: &'static str = "localhost";

    /// Makes the executor, lets `work` make a future on it, and runs that to its end.
    fn block_on<F>(seed: u64, work: impl FnOnce(Self::Runtime) -> F) -> F::Output
    where
        F: Future + 'static,
        F::Output: 'static;
}

/// Every case, with the name of its suite.
pub fn cases<E: Executor>() -> Vec<(&'static str, Case)> {
    let suites: [(&str, Vec<Trial<E::Runtime>>); 6] = [
        ("streams", streams::trials::<E>()),
        ("timers", timers::trials::<E>()),
        ("datagrams", datagrams::trials()),
        ("tasks", tasks::trials()),
        ("machines", machines::trials()),
        ("cancelling", cancelling::trials()),
    ];
    suites.into_iter().flat_map(|(suite, trials)| cases_of::<E>(suite, trials)).collect()
}

fn cases_of<E: Executor>(suite: &'static str, trials: Vec<Trial<E::Runtime>>) -> Vec<(&'static str, Case)> {
    let case = |trial: Trial<E::Runtime>| {
        let lane = Lane::On(E::NAME);
        match trial.skip {
            Some(reason) => Case::skipped(trial.name, lane, reason),
            None => Case::new(trial.name, lane, move |plan| run::<E>(&trial, plan)),
        }
    };
    trials.into_iter().map(|trial| (suite, case(trial))).collect()
}

/// Runs every case here and now. The error is the report on those that failed.
///
/// Nothing ends a case that hangs: [`runner::main`](crate::runner::main) does, and so do test harnesses with a limit.
pub fn check<E: Executor>(plan: &Plan) -> Result<(), String> {
    let mut report = String::new();
    for (suite, case) in cases::<E>() {
        if let Outcome::Failed(reason) = case.run(plan) {
            // Writing into a String cannot fail.
            let _ = writeln!(report, "{suite}/{} on {}: {reason}", case.name, E::NAME);
        }
    }
    if report.is_empty() { Ok(()) } else { Err(report) }
}

/// One case, as a function from a world to a future.
struct Trial<R> {
    name: &'static str,
    body: fn(World<R>) -> Pin<Box<dyn Future<Output = Tried>>>,
    /// Moves so much that one seed is enough.
    heavy: bool,
    /// Why it is not run.
    skip: Option<&'static str>,
}

/// Makes a [`Trial`] of an async function.
macro_rules! trial {
    ($name:literal, $body:expr) => {
        $crate::executor::Trial {
            name: $name,
            body: |world| Box::pin($body(world)),
            heavy: false,
            skip: None,
        }
    };
    (heavy $name:literal, $body:expr) => {
        $crate::executor::Trial { heavy: true, ..$crate::executor::trial!($name, $body) }
    };
    (skip $reason:expr, $name:literal, $body:expr) => {
        $crate::executor::Trial { skip: $reason, ..$crate::executor::trial!($name, $body) }
    };
}
use trial;

/// How a trial ends.
type Tried = Result<(), Stop>;

/// Why a trial does not go on.
#[derive(Debug)]
struct Stop(String);

/// Ends a trial unless `holds`.
fn ensure(holds: bool, otherwise: impl FnOnce() -> String) -> Tried {
    if holds { Ok(()) } else { Err(Stop(otherwise())) }
}

/// Says what was going on when an error came.
trait When<T> {
    fn when(self, what: &str) -> Result<T, Stop>;
}

impl<T, E: std::error::Error> When<T> for Result<T, E> {
    fn when(self, what: &str) -> Result<T, Stop> {
        self.map_err(|error| {
            let mut text = format!("{what}: {error}");
            let mut source = error.source();
            while let Some(error) = source {
                // Writing into a String cannot fail.
                let _ = write!(text, ": {error}");
                source = error.source();
            }
            Stop(text)
        })
    }
}

/// What a trial gets.
struct World<R> {
    runtime: R,
    seed: u64,
}

impl<R: Runtime> World<R> {
    /// Both ends of a fresh TCP connection: who connected, and who accepted.
    async fn pair(&self) -> Result<(R::Stream, R::Stream), Stop> {
        let (listener, at) = self.listen().await?;
        io::pair(&self.runtime, listener, &at).await
    }

    /// A listener on a free port, and where it is.
    async fn listen(&self) -> Result<(R::Listener, Endpoint), Stop> {
        use glowplug_runtime::Listener as _;
        let listener = self.runtime.listen(&Endpoint::Tcp(any_port())).await.when("listen")?;
        let at = listener.local_endpoint().when("local_endpoint")?;
        ensure(at.socket_addr().is_some_and(|addr| addr.port() != 0), || {
            format!("a listener on port 0 says that it is at {at}")
        })?;
        Ok((listener, at))
    }
}

/// A free port of this machine.
fn any_port() -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0)
}

/// A path for a Unix socket that nobody else uses.
fn socket_path() -> PathBuf {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    std::env::temp_dir().join(format!("glowplug-{}-{number}.sock", std::process::id()))
}

fn run<E: Executor>(trial: &Trial<E::Runtime>, plan: &Plan) -> Outcome {
    let seeds = if E::SEEDED && !trial.heavy { plan.seeds().count().max(1) } else { 1 };
    for seed in plan.seeds().take(seeds) {
        let body = trial.body;
        match E::block_on(seed, move |runtime| body(World { runtime, seed })) {
            Ok(()) => {}
            Err(Stop(reason)) => {
                let seed = E::SEEDED.then_some(seed);
                let with = seed.map_or(String::new(), |seed| format!("\nseed:  {seed}"));
                return Outcome::Failed(format!("{reason}{with}\nrerun: {}", plan.rerun(seed)));
            }
        }
    }
    Outcome::Passed
}
