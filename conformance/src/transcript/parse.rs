//! Text to steps.

use std::time::Duration;

use super::{ParseError, Step};
use crate::escape::unescape;

/// Reads all lines: their number, their text, and what they mean.
pub(super) fn parse(text: &str) -> Result<Vec<(usize, String, Step)>, ParseError> {
    let mut steps = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        let step = step(line).map_err(|what| ParseError { line: number, what })?;
        steps.push((number, line.to_owned(), step));
    }
    Ok(steps)
}

fn step(line: &str) -> Result<Step, String> {
    // A space after the word belongs to the grammar, any further one to the bytes.
    let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
    let bytes = |text: &str| unescape(text).map_err(|error| error.to_string());
    match (word, rest) {
        ("<", _) => Ok(Step::Receive(bytes(rest)?)),
        (">", _) => Ok(Step::Sent(bytes(rest)?)),
        ("=", _) => Ok(Step::Event(rest.to_owned())),
        ("body", _) => {
            let (name, data) = rest.split_once(' ').ok_or("body wants a name (or -) and bytes")?;
            let name = if name == "-" { "" } else { name };
            Ok(Step::Body(name.to_owned(), bytes(data)?))
        }
        ("error", _) => Ok(Step::Error(rest.to_owned())),
        ("+", _) => duration(rest.trim()).map(Step::Pass).ok_or_else(|| format!("{rest:?} is not a time")),
        ("eof", "") => Ok(Step::Eof),
        ("close", "") => Ok(Step::Close),
        ("do", _) if !rest.trim().is_empty() => Ok(Step::Act(rest.trim().to_owned())),
        ("closed", "") => Ok(Step::Closed),
        _ => Err(format!("{line:?} is not a step")),
    }
}

fn duration(text: &str) -> Option<Duration> {
    let digits = text.find(|letter: char| !letter.is_ascii_digit())?;
    let number: u64 = text[..digits].parse().ok()?;
    Some(match &text[digits..] {
        "ns" => Duration::from_nanos(number),
        "us" => Duration::from_micros(number),
        "ms" => Duration::from_millis(number),
        "s" => Duration::from_secs(number),
        "m" => Duration::from_secs(number.checked_mul(60)?),
        "h" => Duration::from_secs(number.checked_mul(3600)?),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_line() {
        let text = "# remark\n\n< a b\\n\n> \\x00\n= Line(..)\nbody - x\nbody part y z\nerror no\n+ 250ms\neof\nclose\ndo submit GET k\nclosed";
        let steps: Vec<Step> = parse(text).unwrap().into_iter().map(|(_, _, step)| step).collect();
        assert_eq!(
            steps,
            [
                Step::Receive(b"a b\n".to_vec()),
                Step::Sent(vec![0]),
                Step::Event("Line(..)".to_owned()),
                Step::Body(String::new(), b"x".to_vec()),
                Step::Body("part".to_owned(), b"y z".to_vec()),
                Step::Error("no".to_owned()),
                Step::Pass(Duration::from_millis(250)),
                Step::Eof,
                Step::Close,
                Step::Act("submit GET k".to_owned()),
                Step::Closed,
            ]
        );
    }

    #[test]
    fn what_is_no_step_is_refused_with_its_line() {
        for (text, line) in
            [("\n<x", 2), ("+ 3 parsecs", 1), ("< \\q", 1), ("eof now", 1), ("do ", 1), ("body x", 1)]
        {
            assert_eq!(parse(text).unwrap_err().line, line, "{text}");
        }
    }
}
