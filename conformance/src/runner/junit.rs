//! The report that CI systems read.

use std::fmt::Write as _;

use super::CaseReport;
use super::registry::Outcome;

/// A JUnit document: one `testsuite` for each suite and executor.
pub(super) fn document(reports: &[CaseReport]) -> String {
    let mut groups: Vec<(String, Vec<&CaseReport>)> = Vec::new();
    for report in reports {
        let name = format!("{} on {}", report.suite, report.executor);
        match groups.iter_mut().find(|(known, _)| *known == name) {
            Some((_, group)) => group.push(report),
            None => groups.push((name, vec![report])),
        }
    }
    let mut text = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n".to_owned();
    for (name, group) in &groups {
        let count =
            |wanted: fn(&Outcome) -> bool| group.iter().filter(|report| wanted(&report.outcome)).count();
        // Writing into a String cannot fail.
        let _ = writeln!(
            text,
            "  <testsuite name=\"{}\" tests=\"{}\" failures=\"{}\" errors=\"0\" skipped=\"{}\">",
            escape(name),
            group.len(),
            count(|outcome| matches!(outcome, Outcome::Failed(_))),
            count(|outcome| matches!(outcome, Outcome::Skipped(_))),
        );
        for report in group {
            let _ = write!(
                text,
                "    <testcase classname=\"{}.{}\" name=\"{}\"",
                escape(&report.executor),
                escape(&report.suite),
                escape(&report.case)
            );
            let _ = match &report.outcome {
                Outcome::Passed => writeln!(text, "/>"),
                Outcome::Failed(reason) => {
                    let message = escape(reason.lines().next().unwrap_or_default());
                    let reason = escape(reason);
                    writeln!(text, "><failure message=\"{message}\">{reason}</failure></testcase>")
                }
                Outcome::Skipped(reason) => {
                    writeln!(text, "><skipped message=\"{}\"/></testcase>", escape(reason))
                }
            };
        }
        text.push_str("  </testsuite>\n");
    }
    text.push_str("</testsuites>\n");
    text
}

/// Text fit for XML 1.0 content and attributes. What XML cannot hold at all becomes U+FFFD.
fn escape(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut safe, letter| {
        match letter {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\n' => safe.push_str("&#10;"),
            '\t' => safe.push_str("&#9;"),
            '\r' => safe.push_str("&#13;"),
            // XML 1.0 §2.2: no other control characters, and no noncharacters at the end of the plane.
            '\u{0}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => safe.push('\u{fffd}'),
            _ => safe.push(letter),
        }
        safe
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suites_are_counted_and_text_is_escaped() {
        let report = |case: &str, outcome| CaseReport {
            suite: "s<1>".into(),
            case: case.into(),
            executor: "smol".into(),
            outcome,
        };
        let text = document(&[
            report("a", Outcome::Passed),
            report("b", Outcome::Failed("first & \"last\"\nmore \u{1}".into())),
            report("c", Outcome::Skipped("why".into())),
        ]);
        assert_eq!(
            text,
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n  \
             <testsuite name=\"s&lt;1&gt; on smol\" tests=\"3\" failures=\"1\" errors=\"0\" skipped=\"1\">\n    \
             <testcase classname=\"smol.s&lt;1&gt;\" name=\"a\"/>\n    \
             <testcase classname=\"smol.s&lt;1&gt;\" name=\"b\"><failure message=\"first &amp; &quot;last&quot;\">\
             first &amp; &quot;last&quot;&#10;more \u{fffd}</failure></testcase>\n    \
             <testcase classname=\"smol.s&lt;1&gt;\" name=\"c\"><skipped message=\"why\"/></testcase>\n  \
             </testsuite>\n</testsuites>\n"
        );
    }
}
