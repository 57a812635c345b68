//! The runner: suites by executors, in a matrix.
//!
//! `cargo run --release -p glowplug-conformance` is [`main`] on [`Registry::house`]; a runner for executors and protocols of your own is
//! the same `main` on a registry of your own:
//!
//! ```no_run
//! use std::process::ExitCode;
//!
//! use glowplug_conformance::reference::line;
//! use glowplug_conformance::runner::{self, Registry};
//!
//! fn main() -> ExitCode {
//!     let mut registry = Registry::new();
//!     registry.stream("my-protocol", line::subject);
//!     runner::main(&registry)
//! }
//! ```

mod arguments;
mod json;
mod junit;
mod registry;
mod table;
mod watch;

use std::fs;
use std::io::{self, IsTerminal as _, Write as _};
use std::process::ExitCode;

pub use registry::{Case, Lane, Outcome, Registry, Suite};

use arguments::{Arguments, Request};

/// The result of one case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaseReport {
    /// The suite's name.
    pub suite: String,
    /// The case's name.
    pub case: String,
    /// The name of the executor, or `pure`.
    pub executor: String,
    /// What came of it.
    pub outcome: Outcome,
}

/// Runs what the command line asks for. Exits with 0 when nothing failed, 1 when something did, 2 when the command line
/// makes no sense or selects nothing.
pub fn main(registry: &Registry) -> ExitCode {
    let arguments = match arguments::parse(std::env::args_os().skip(1)) {
        Ok(Request::Run(arguments)) => arguments,
        Ok(Request::Help) => {
            print(arguments::HELP);
            return ExitCode::SUCCESS;
        }
        Err(error) => return usage(&error),
    };
    let selected = match registry.select(&arguments.only, &arguments.on) {
        Ok(selected) => selected,
        Err(error) => return usage(&error),
    };
    if arguments.list {
        print(&table::list(&selected));
        return ExitCode::SUCCESS;
    }
    let reports = run(&selected, &arguments);
    let colour = io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    print(&table::matrix(&reports, colour));
    for (file, text) in
        [(&arguments.json, json::lines(&reports)), (&arguments.junit, junit::document(&reports))]
    {
        if let Some(file) = file
            && let Err(error) = fs::write(file, text)
        {
            return usage(&format!("cannot write {}: {error}", file.display()));
        }
    }
    if reports.iter().any(|report| matches!(report.outcome, Outcome::Failed(_))) {
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// Runs each selected case in turn, each in a thread that is given up when it hangs.
fn run(selected: &[(&Suite, &Case)], arguments: &Arguments) -> Vec<CaseReport> {
    let progress = io::stderr().is_terminal();
    let mut reports = Vec::new();
    for (suite, case) in selected {
        if progress {
            // Progress is a courtesy: a terminal that does not take it loses nothing.
            let _ = write!(io::stderr(), "\r\x1b[K{} / {} on {}", suite.name, case.name, case.lane);
        }
        let command = format!(
            "cargo run --release -p {} -- --only {}/{} --on {}",
            env!("CARGO_PKG_NAME"),
            suite.name,
            case.name,
            case.lane
        );
        let outcome = watch::run(case, &arguments.plan.clone().with_command(command));
        reports.push(CaseReport {
            suite: suite.name.clone(),
            case: case.name.clone(),
            executor: case.lane.to_string(),
            outcome,
        });
    }
    if progress {
        let _ = write!(io::stderr(), "\r\x1b[K");
    }
    reports
}

fn usage(error: &str) -> ExitCode {
    eprintln!("{error}\n\n{}", arguments::HELP);
    ExitCode::from(2)
}

/// Prints to standard output, which may be a pipe that nobody reads any more.
fn print(text: &str) {
    let _ = io::stdout().write_all(text.as_bytes());
}
