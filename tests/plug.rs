//! The plug by hand in `examples/plug.rs` does what every plug has to do.
#![cfg(unix)]

use std::future::Future;

use glowplug_conformance::Plan;
use glowplug_conformance::executor::{self, Executor};
use glowplug_conformance::runner::{Case, Outcome};

#[path = "../examples/plug.rs"]
#[allow(dead_code, reason = "its main is the example's")]
mod plug;

enum ByHand {}

impl Executor for ByHand {
    type Runtime = plug::Loop;

    const NAME: &'static str = "by hand";

    fn block_on<F>(_: u64, work: impl FnOnce(Self::Runtime) -> F) -> F::Output
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        plug::block_on(work)
    }
}

#[test]
fn it_keeps_the_rules_of_executors() {
    if let Err(report) = executor::check::<ByHand>(&Plan::from_env()) {
        panic!("{report}");
    }
}

#[test]
fn it_runs_the_redis_suite() {
    let cases: Vec<(&str, Case)> = executor::redis::cases::<ByHand>();
    assert!(!cases.is_empty());
    for (suite, case) in cases {
        if let Outcome::Failed(reason) = case.run(&Plan::from_env()) {
            panic!("{suite}/{}: {reason}", case.name);
        }
    }
}

#[test]
fn the_example_ends_well() {
    plug::main().expect("no error");
}

#[test]
fn it_runs_the_suite_of_services() {
    let cases: Vec<(&str, Case)> = executor::services::cases::<ByHand>();
    assert!(!cases.is_empty());
    for (suite, case) in cases {
        if let Outcome::Failed(reason) = case.run(&Plan::from_env()) {
            panic!("{suite}/{}: {reason}", case.name);
        }
    }
}

#[test]
fn it_runs_the_websocket_suite() {
    let cases: Vec<(&str, Case)> = executor::websocket::cases::<ByHand>();
    assert!(!cases.is_empty());
    for (suite, case) in cases {
        if let Outcome::Failed(reason) = case.run(&Plan::from_env()) {
            panic!("{suite}/{}: {reason}", case.name);
        }
    }
}
