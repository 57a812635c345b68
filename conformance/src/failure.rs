//! What a law says when it is broken.

use std::fmt;

use crate::escape::excerpt;

/// How a law ended that was not broken.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a law that tested nothing should be seen"]
pub enum Verdict {
    /// It was tried, and it held.
    Held,
    /// Nothing was tried, for this reason.
    Untested(String),
}

/// A broken law: which, by whom, on what, and how to see it again.
///
/// Its `Display` is the whole report, over several lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The law's name.
    pub law: &'static str,
    /// Who broke it.
    pub subject: String,
    /// What happened, up to the first difference.
    pub what: String,
    /// The name of the input and its bytes.
    pub input: Option<(String, Vec<u8>)>,
    /// How it was fed: where it was cut, what room the output had, when time passed.
    pub how: String,
    /// The seed that everything random came from.
    pub seed: Option<u64>,
    /// The command that runs this case alone.
    pub rerun: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "the law `{}` is broken by {}", self.law, self.subject)?;
        for (n, line) in self.what.lines().enumerate() {
            writeln!(f, "  {} {line}", if n == 0 { "what: " } else { "      " })?;
        }
        if let Some((name, bytes)) = &self.input {
            writeln!(f, "  input: {name}, {} bytes: {}", bytes.len(), excerpt(bytes))?;
        }
        if !self.how.is_empty() {
            writeln!(f, "  fed:   {}", self.how)?;
        }
        if let Some(seed) = self.seed {
            writeln!(f, "  seed:  {seed}")?;
        }
        write!(f, "  rerun: {}", self.rerun)
    }
}

impl std::error::Error for Failure {}
