//! The matrix on a terminal, or in a pipe.

use std::fmt::Write as _;

use super::CaseReport;
use super::registry::{Case, Outcome, Suite};

const GREEN: &str = "\x1b[32m";
const RED: &str = "\x1b[31m";
const YELLOW: &str = "\x1b[33m";
const BOLD: &str = "\x1b[1m";
const PLAIN: &str = "\x1b[0m";

/// Space between columns.
const GAP: usize = 2;

/// The cases, each with its lanes.
pub(super) fn list(selected: &[(&Suite, &Case)]) -> String {
    let mut rows: Vec<(String, Vec<String>)> = Vec::new();
    for (suite, case) in selected {
        let name = format!("{}/{}", suite.name, case.name);
        match rows.iter_mut().find(|(known, _)| *known == name) {
            Some((_, lanes)) => lanes.push(case.lane.to_string()),
            None => rows.push((name, vec![case.lane.to_string()])),
        }
    }
    let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0) + GAP;
    rows.iter().fold(String::new(), |mut text, (name, lanes)| {
        // Writing into a String cannot fail.
        let _ = writeln!(text, "{name:width$}{}", lanes.join(" "));
        text
    })
}

/// The matrix (rows: suites; columns: executors), then every failure and every reason for a skip, then the sum.
pub(super) fn matrix(reports: &[CaseReport], colour: bool) -> String {
    let paint =
        |text: &str, with: &str| if colour { format!("{with}{text}{PLAIN}") } else { text.to_owned() };
    let (suites, lanes) = (names(reports, |report| &report.suite), names(reports, |report| &report.executor));
    let cells: Vec<Vec<(String, &str)>> = suites
        .iter()
        .map(|suite| {
            lanes
                .iter()
                .map(|lane| {
                    cell(reports.iter().filter(|report| report.suite == *suite && report.executor == *lane))
                })
                .collect()
        })
        .collect();

    let first = suites.iter().map(|suite| suite.len()).max().unwrap_or(0).max("suite".len()) + GAP;
    let widths: Vec<usize> = (0..lanes.len())
        .map(|lane| cells.iter().map(|row| row[lane].0.len()).max().unwrap_or(0).max(lanes[lane].len()) + GAP)
        .collect();
    let mut text = paint(&format!("{:first$}", "suite"), BOLD);
    for (lane, width) in lanes.iter().zip(&widths) {
        text.push_str(&paint(&format!("{lane:width$}"), BOLD));
    }
    end_line(&mut text);
    for (suite, row) in suites.iter().zip(&cells) {
        let _ = write!(text, "{suite:first$}");
        for ((cell, with), width) in row.iter().zip(&widths) {
            text.push_str(&paint(&format!("{cell:width$}"), with));
        }
        end_line(&mut text);
    }

    for report in reports {
        let place = format!("{}/{} on {}", report.suite, report.case, report.executor);
        match &report.outcome {
            Outcome::Failed(reason) => {
                let _ = writeln!(text, "\n{} {place}\n{}", paint("failed", RED), indent(reason));
            }
            Outcome::Passed | Outcome::Skipped(_) => {}
        }
    }
    let mut skips = String::new();
    for report in reports {
        if let Outcome::Skipped(reason) = &report.outcome {
            let place = format!("{}/{} on {}", report.suite, report.case, report.executor);
            let _ = writeln!(skips, "{} {place}: {reason}", paint("skipped", YELLOW));
        }
    }
    if !skips.is_empty() {
        let _ = write!(text, "\n{skips}");
    }
    let _ = writeln!(text, "\n{}", cell(reports.iter()).0);
    text
}

fn end_line(text: &mut String) {
    text.truncate(text.trim_end_matches(' ').len());
    text.push('\n');
}

fn names<'a>(reports: &'a [CaseReport], of: impl Fn(&'a CaseReport) -> &'a String) -> Vec<&'a str> {
    let mut names: Vec<&str> = Vec::new();
    for report in reports {
        let name = of(report).as_str();
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// How many passed, failed and were skipped, and the colour for that.
fn cell<'a>(reports: impl Iterator<Item = &'a CaseReport>) -> (String, &'static str) {
    let (mut passed, mut failed, mut skipped) = (0, 0, 0);
    for report in reports {
        match report.outcome {
            Outcome::Passed => passed += 1,
            Outcome::Failed(_) => failed += 1,
            Outcome::Skipped(_) => skipped += 1,
        }
    }
    let parts = [(passed, "passed"), (failed, "failed"), (skipped, "skipped")];
    let parts: Vec<String> =
        parts.iter().filter(|(count, _)| *count > 0).map(|(count, word)| format!("{count} {word}")).collect();
    let colour = match (passed, failed, skipped) {
        (0, 0, 0) => "",
        (_, 1.., _) => RED,
        (0, ..) => YELLOW,
        _ => GREEN,
    };
    if parts.is_empty() { ("-".to_owned(), colour) } else { (parts.join(", "), colour) }
}

fn indent(text: &str) -> String {
    text.lines().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_matrix_in_a_pipe() {
        let report = |suite: &str, case: &str, executor: &str, outcome| CaseReport {
            suite: suite.into(),
            case: case.into(),
            executor: executor.into(),
            outcome,
        };
        let reports = [
            report("laws-x", "cuts", "pure", Outcome::Passed),
            report("streams", "echo", "tokio", Outcome::Passed),
            report("streams", "unix", "tokio", Outcome::Skipped("no such sockets here".into())),
            report("streams", "echo", "smol", Outcome::Failed("two\nlines".into())),
        ];
        let expected = "\
suite    pure      tokio                smol
laws-x   1 passed  -                    -
streams  -         1 passed, 1 skipped  1 failed

failed streams/echo on smol
  two
  lines

skipped streams/unix on tokio: no such sockets here

2 passed, 1 failed, 1 skipped
";
        assert_eq!(matrix(&reports, false), expected);
        assert!(matrix(&reports, true).contains("\x1b[31mfailed\x1b[0m streams/echo"));
    }
}
