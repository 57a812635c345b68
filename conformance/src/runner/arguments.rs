//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;

use lexopt::prelude::{Long, Short, ValueExt as _};

use crate::plan::Plan;

/// What `--help` prints.
pub(super) const HELP: &str = "\
Usage: glowplug-conformance [--only SUITE[/CASE]] [--on LANE,LANE] [--seeds N] [--seed S]
                            [--json FILE] [--junit FILE] [--list]

  --only SUITE[/CASE]  only this suite, or this case of it; several with commas or by repeating. The beginning of a name up to
                       a '-' selects all that begin so: 'laws'
  --on LANE            only on these executors ('tokio', 'smol', 'sim'), or 'pure' for the laws of machines
  --seeds N            how many seeds each case tries (200; GLOWPLUG_SEEDS)
  --seed S             the first of them (0; GLOWPLUG_SEED)
  --json FILE          write one JSON object per case, one a line: suite, case, executor, outcome, reason
  --junit FILE         write a JUnit report
  --list               list the cases and run none
  --help               print this

Exits with 1 when a case failed, with 2 when the arguments make no sense or select nothing.
";

/// What is to be done.
#[derive(Debug)]
pub(super) enum Request {
    Run(Arguments),
    Help,
}

/// How to run.
#[derive(Debug)]
pub(super) struct Arguments {
    pub(super) only: Vec<String>,
    pub(super) on: Vec<String>,
    pub(super) plan: Plan,
    pub(super) json: Option<PathBuf>,
    pub(super) junit: Option<PathBuf>,
    pub(super) list: bool,
}

pub(super) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Request, String> {
    read(arguments).map_err(|error| error.to_string())
}

fn read(arguments: impl IntoIterator<Item = OsString>) -> Result<Request, lexopt::Error> {
    let mut parsed = Arguments {
        only: Vec::new(),
        on: Vec::new(),
        plan: Plan::from_env(),
        json: None,
        junit: None,
        list: false,
    };
    let mut parser = lexopt::Parser::from_args(arguments);
    while let Some(argument) = parser.next()? {
        match argument {
            Long("only") => parsed.only.extend(names(&parser.value()?.string()?)),
            Long("on") => parsed.on.extend(names(&parser.value()?.string()?)),
            Long("seeds") => parsed.plan = parsed.plan.with_seeds(parser.value()?.parse()?),
            Long("seed") => parsed.plan = parsed.plan.with_seed(parser.value()?.parse()?),
            Long("json") => parsed.json = Some(parser.value()?.into()),
            Long("junit") => parsed.junit = Some(parser.value()?.into()),
            Long("list") => parsed.list = true,
            Long("help") | Short('h') => return Ok(Request::Help),
            other => return Err(other.unexpected()),
        }
    }
    Ok(Request::Run(parsed))
}

fn names(list: &str) -> Vec<String> {
    list.split(',').map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_option_is_read() {
        let line = "--only laws,streams/half-close --on tokio,smol --only timers --seeds 7 --seed 9 --json j --junit x --list";
        let Ok(Request::Run(read)) = parse(line.split(' ').map(OsString::from)) else { panic!("it parses") };
        assert_eq!(read.only, ["laws", "streams/half-close", "timers"]);
        assert_eq!(read.on, ["tokio", "smol"]);
        assert_eq!(read.plan.seeds().collect::<Vec<_>>(), [9, 10, 11, 12, 13, 14, 15]);
        assert_eq!((read.json, read.junit, read.list), (Some("j".into()), Some("x".into()), true));
        assert!(matches!(parse(["--help".into()]), Ok(Request::Help)));
        for wrong in ["--nope", "--seeds", "--seeds=many", "word"] {
            assert!(parse([wrong.into()]).is_err(), "{wrong}");
        }
    }
}
