//! Conversations as text files: what the peer sends, what the machine answers and tells, and when.
//!
//! ```text
//! # A line comes back; then the peer is silent for too long.
//! < hello\n
//! > hello\n
//! = Line(b"hello")
//! + 29s
//! + 1s
//! error the peer was silent for too long
//! > bye\n
//! closed
//! ```
//!
//! One line is one step. Bytes are written as [`escape`](crate::escape::escape) writes them; a `\n` that is not written is not
//! there.
//!
//! | line | meaning |
//! |---|---|
//! | `< BYTES` | the peer sends these bytes, as one read |
//! | `> BYTES` | the machine has sent these bytes next (several lines join) |
//! | `= TEXT` | the machine had this event, as the subject's application notes it |
//! | `body NAME BYTES` | the machine handed out this data of the body NAME (`-` for the empty name), its pieces joined |
//! | `error TEXT` | the connection failed, with an error whose text begins so |
//! | `+ TIME` | time passes (`3s`, `250ms`, `2m`, `1h`, `5us`, `1ns`); deadlines on the way are handled when they are due |
//! | `eof` | the peer sends no more |
//! | `close` | the application wants to finish |
//! | `do WORDS` | the application acts, in words of the subject's own: [`Application::act`](crate::Application::act) |
//! | `closed` | both directions are over |
//! | `# ...` | a remark; so is an empty line |
//!
//! Nothing may happen that is not written down: before each step from outside, and at the end, every byte that was sent and every
//! event must have been expected. Each transcript runs twice, the second time with the peer's bytes one by one.

mod parse;
mod run;

use std::fmt;
use std::fs;
use std::path::Path;
use std::time::Duration;

use glowplug_core::StreamProtocol;

use crate::failure::Failure;
use crate::laws::stream::StreamSubject;
use crate::plan::Plan;

/// Files with this extension are transcripts.
const EXTENSION: &str = "transcript";

/// One conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transcript {
    name: String,
    steps: Vec<(usize, String, Step)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Receive(Vec<u8>),
    Sent(Vec<u8>),
    Event(String),
    Body(String, Vec<u8>),
    Error(String),
    Pass(Duration),
    Eof,
    Close,
    Act(String),
    Closed,
}

/// Why a text is not a transcript.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub what: String,
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.what)
    }
}

impl std::error::Error for ParseError {}

impl Transcript {
    /// Reads a transcript. `name` is for reports.
    pub fn parse(name: impl Into<String>, text: &str) -> Result<Self, ParseError> {
        Ok(Self { name: name.into(), steps: parse::parse(text)? })
    }

    /// Holds the machine of `subject` to the transcript, with each `<` line as one read, and then byte by byte.
    pub fn check<P: StreamProtocol>(
        &self,
        subject: &StreamSubject<P>,
        plan: &Plan,
    ) -> Result<(), Box<Failure>> {
        run::check(self, subject, plan)
    }
}

/// Holds the machine of `subject` to every file in `folder` whose name ends in `.transcript`. Returns their names.
///
/// A folder that cannot be read, or has no transcript, is a failure: nothing would have been tested.
pub fn check_folder<P: StreamProtocol>(
    folder: impl AsRef<Path>,
    subject: &StreamSubject<P>,
    plan: &Plan,
) -> Result<Vec<String>, Box<Failure>> {
    let folder = folder.as_ref();
    let fail = |what: String| {
        Box::new(Failure {
            law: run::LAW,
            subject: subject.name().to_owned(),
            what,
            input: None,
            how: String::new(),
            seed: None,
            rerun: plan.rerun(None),
        })
    };
    let entries = fs::read_dir(folder).map_err(|error| fail(format!("{}: {error}", folder.display())))?;
    let mut paths: Vec<_> = entries
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == EXTENSION))
        .collect();
    paths.sort();
    if paths.is_empty() {
        return Err(fail(format!("{} has no .{EXTENSION} file", folder.display())));
    }
    let mut names = Vec::new();
    for path in paths {
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let text = fs::read_to_string(&path).map_err(|error| fail(format!("{}: {error}", path.display())))?;
        let transcript = Transcript::parse(name.clone(), &text)
            .map_err(|error| fail(format!("{}: {error}", path.display())))?;
        transcript.check(subject, plan)?;
        names.push(name);
    }
    Ok(names)
}
