//! What happened, as a table a person enjoys reading.

use comfy_table::{Attribute, Cell, Color, ContentArrangement, Table, presets};

use crate::{Failure, Told};

/// One story and how each executor told it.
pub(crate) struct Story {
    name: &'static str,
    expected: &'static [(&'static str, &'static str)],
    told: Vec<(String, Result<Told, Failure>)>,
}

impl Story {
    pub(crate) fn new(name: &'static str, expected: &'static [(&'static str, &'static str)]) -> Self {
        Self { name, expected, told: Vec::new() }
    }

    pub(crate) fn heard(&mut self, executor: &str, told: Result<Told, Failure>) {
        self.told.push((executor.to_owned(), told));
    }
}

/// Prints all stories, and says whether everything came as expected.
pub(crate) fn print(stories: &[Story]) -> bool {
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN);
    table.set_content_arrangement(ContentArrangement::Dynamic);
    let executors = stories.first().map_or(&[][..], |story| &story.told);
    let mut header = vec![Cell::new(""), Cell::new("step"), Cell::new("what has to happen")];
    header.extend(executors.iter().map(|(executor, _)| Cell::new(executor).add_attribute(Attribute::Bold)));
    table.set_header(header);

    let mut differences = Vec::new();
    for story in stories {
        for (index, (step, expected)) in story.expected.iter().enumerate() {
            let name = if index == 0 { story.name } else { "" };
            let mut row =
                vec![Cell::new(name).add_attribute(Attribute::Bold), Cell::new(step), Cell::new(expected)];
            for (executor, told) in &story.told {
                let outcome = match told {
                    Ok(told) => told.get(index).map(|(_, outcome)| outcome.clone()),
                    Err(error) => Some(chain(&**error)),
                };
                if outcome.as_deref() == Some(expected) {
                    row.push(Cell::new("yes").fg(Color::Green));
                } else {
                    row.push(Cell::new("NO").fg(Color::Red));
                    let outcome = outcome.unwrap_or_else(|| "nothing".into());
                    differences.push(format!("{} on {executor}, {step}: {outcome}", story.name));
                }
            }
            table.add_row(row);
        }
    }
    println!("{table}");
    println!();
    for difference in &differences {
        println!("{difference}");
    }
    if differences.is_empty() {
        println!("The same text, the same outcome, on every executor.");
    }
    differences.is_empty()
}

/// An error with everything behind it, on one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}
