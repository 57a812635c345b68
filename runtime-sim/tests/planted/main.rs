//! Why the simulator is to be trusted: it finds faults that were planted, each within a few seeds, and finds none in a driver
//! that has none.

mod driver;
mod lines;
#[path = "../support/mod.rs"]
mod support;
mod workload;

use std::panic::{AssertUnwindSafe, catch_unwind};

use driver::{Fault, faulty, ours};
use glowplug_sim::{Sim, Stream, seeds};
use workload::{Weather, conversation, flood, flood_exclusive};

/// How many seeds a planted fault may take to be found.
const WITHIN: u64 = 20;

/// What the first of the seeds that finds something says.
fn found(run: impl Fn(u64)) -> String {
    for seed in 0..WITHIN {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| run(seed))) {
            let said = panic.downcast_ref::<String>().cloned();
            return said
                .unwrap_or_else(|| panic.downcast_ref::<&str>().copied().unwrap_or_default().to_owned());
        }
    }
    panic!("{WITHIN} seeds have found nothing");
}

/// Finds a fault and checks that it was this one.
#[track_caller]
fn finds(fault: &str, run: impl Fn(u64)) {
    let said = found(run);
    assert!(said.contains(fault), "another fault was found: {said}");
}

fn right(host: &Sim, stream: Stream) -> driver::Faulty {
    faulty(host, stream, Fault::Nothing)
}

#[test]
fn a_driver_without_a_fault_passes() {
    for seed in seeds(200) {
        conversation(seed, Weather::Fair, right);
        conversation(seed, Weather::Stalls, right);
        conversation(seed, Weather::Cuts, right);
        conversation(seed, Weather::Restless, right);
    }
    for seed in seeds(20) {
        flood(seed, right);
    }
}

#[test]
fn the_shared_driver_passes() {
    for seed in seeds(200) {
        conversation(seed, Weather::Fair, ours);
        conversation(seed, Weather::Stalls, ours);
        conversation(seed, Weather::Cuts, ours);
        conversation(seed, Weather::Restless, ours);
    }
    for seed in seeds(20) {
        flood(seed, ours);
    }
}

#[test]
fn the_exclusive_driver_keeps_a_pause() {
    for seed in seeds(5) {
        flood_exclusive(seed);
    }
}

#[test]
fn a_lost_wake_up_is_found() {
    let fault = |host: &Sim, stream| faulty(host, stream, Fault::LosesWakeUp);
    let said = found(|seed| conversation(seed, Weather::Fair, fault));
    // With a deadline among the calls that wait, it is the deadline that tells.
    assert!(said.contains("deadlock") || said.contains("timed out though"), "{said}");
}

#[test]
fn forgotten_output_is_found() {
    let fault = |host: &Sim, stream| faulty(host, stream, Fault::ForgetsOutput);
    let said = found(|seed| conversation(seed, Weather::Fair, fault));
    assert!(said.contains("deadlock") || said.contains("timed out though"), "{said}");
}

#[test]
fn swapped_answers_are_found() {
    let fault = |host: &Sim, stream| faulty(host, stream, Fault::SwapsAnswers);
    finds("a wrong answer", |seed| conversation(seed, Weather::Fair, fault));
}

#[test]
fn a_forgotten_deadline_is_found() {
    let fault = |host: &Sim, stream| faulty(host, stream, Fault::ForgetsDeadline);
    finds("missed its deadline", |seed| conversation(seed, Weather::Stalls, fault));
}

#[test]
fn a_leaked_slot_is_found() {
    let fault = |host: &Sim, stream| faulty(host, stream, Fault::LeaksSlot);
    finds("slots are left over", |seed| conversation(seed, Weather::Fair, fault));
}

#[test]
fn reading_past_a_pause_is_found() {
    let fault = |host: &Sim, stream| faulty(host, stream, Fault::ReadsPastPause);
    finds("reads past the pause", |seed| flood(seed, fault));
}
