//! Every plug of this house does what a plug has to do: one test for each case and executor.

use std::process::ExitCode;

use glowplug_conformance::Plan;
use glowplug_conformance::runner::{Lane, Outcome, Registry};
use libtest_mimic::{Arguments, Failed, Trial};

fn main() -> ExitCode {
    let registry = Registry::house();
    let mut trials = Vec::new();
    for suite in registry.suites() {
        for case in suite.cases.iter().filter(|case| case.lane != Lane::Pure) {
            let case = case.clone();
            let name = format!("{}::{}::{}", case.lane, suite.name, case.name);
            let skip = case.skip().map(str::to_owned);
            let run = move || match case.run(&Plan::from_env()) {
                Outcome::Passed | Outcome::Skipped(_) => Ok(()),
                Outcome::Failed(reason) => Err(Failed::from(reason)),
            };
            let trial = Trial::test(name, run).with_ignored_flag(skip.is_some());
            trials.push(trial.with_kind(skip.unwrap_or_default()));
        }
    }
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}
