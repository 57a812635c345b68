//! One JSON object per case, one a line.

use std::fmt::Write as _;

use super::CaseReport;
use super::registry::Outcome;

/// The whole file. Each line is an object with the strings `suite`, `case`, `executor`, `outcome` (`passed`, `failed`
/// or `skipped`) and `reason`, which is null for what passed.
pub(super) fn lines(reports: &[CaseReport]) -> String {
    reports.iter().fold(String::new(), |mut text, report| {
        let (outcome, reason) = match &report.outcome {
            Outcome::Passed => ("passed", "null".to_owned()),
            Outcome::Failed(reason) => ("failed", string(reason)),
            Outcome::Skipped(reason) => ("skipped", string(reason)),
        };
        let (suite, case, executor) = (string(&report.suite), string(&report.case), string(&report.executor));
        // Writing into a String cannot fail.
        let _ = writeln!(
            text,
            r#"{{"suite":{suite},"case":{case},"executor":{executor},"outcome":"{outcome}","reason":{reason}}}"#
        );
        text
    })
}

/// A JSON string (RFC 8259 §7).
fn string(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for letter in text.chars() {
        match letter {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\u{0}'..='\u{1f}' | '\u{7f}' | '\u{2028}' | '\u{2029}' => {
                let _ = write!(quoted, "\\u{:04x}", u32::from(letter));
            }
            _ => quoted.push(letter),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_reader_reads_back_what_was_written() {
        let nasty: String = (0..0x3000).filter_map(char::from_u32).chain(['\u{1F600}']).collect();
        let report = |outcome| CaseReport {
            suite: nasty.clone(),
            case: "c\"\\".into(),
            executor: "pure".into(),
            outcome,
        };
        let text = lines(&[report(Outcome::Failed(nasty.clone())), report(Outcome::Passed)]);
        let read: Vec<serde_json::Value> =
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(read.len(), 2);
        assert_eq!(read[0]["suite"], nasty.as_str());
        assert_eq!(read[0]["reason"], nasty.as_str());
        assert_eq!((&read[0]["case"], &read[0]["outcome"]), (&"c\"\\".into(), &"failed".into()));
        assert_eq!((&read[1]["reason"], &read[1]["executor"]), (&serde_json::Value::Null, &"pure".into()));
    }
}
