//! The executors of this house.

use std::future::Future;

use super::Executor;

/// glowplug-tokio on a runtime of one thread.
#[cfg(feature = "tokio")]
#[derive(Debug)]
pub enum Tokio {}

#[cfg(feature = "tokio")]
impl Executor for Tokio {
    type Runtime = glowplug_tokio::Tokio;

    const NAME: &'static str = "tokio";

    fn block_on<F>(_: u64, work: impl FnOnce(Self::Runtime) -> F) -> F::Output
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.expect("tokio starts; without it there is nothing to try");
        runtime.block_on(async { work(glowplug_tokio::Tokio).await })
    }
}

/// glowplug-smol on smol's global executor.
#[cfg(feature = "smol")]
#[derive(Debug)]
pub enum Smol {}

#[cfg(feature = "smol")]
impl Executor for Smol {
    type Runtime = glowplug_smol::Smol;

    const NAME: &'static str = "smol";

    fn block_on<F>(_: u64, work: impl FnOnce(Self::Runtime) -> F) -> F::Output
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        smol::block_on(work(glowplug_smol::Smol::default()))
    }
}

/// glowplug-sim, on one host; each seed is another order of events.
#[cfg(feature = "sim")]
#[derive(Debug)]
pub enum Sim {}

#[cfg(feature = "sim")]
impl Executor for Sim {
    type Runtime = glowplug_sim::Sim;

    const NAME: &'static str = "sim";
    const SEEDED: bool = true;
    const KNOWN_HOST: &'static str = "here";

    fn block_on<F>(seed: u64, work: impl FnOnce(Self::Runtime) -> F) -> F::Output
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        let mut simulation = glowplug_sim::Simulation::new(seed);
        let host = simulation.host(Self::KNOWN_HOST, [10, 0, 0, 1]);
        simulation.run(work(host))
    }
}
