//! The matrix of everything in this house: `glowplug-conformance --help`.

use std::process::ExitCode;

use glowplug_conformance::runner::{self, Registry};

fn main() -> ExitCode {
    runner::main(&Registry::house())
}
