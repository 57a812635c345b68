//! A whole document checked, without recursion.

use super::Value;
use super::raw::{Doc, RawIter};
use crate::error::{DecodeError, Reason};

/// How deeply documents may be nested unless a configuration says otherwise: servers accept 100 levels in what they
/// store and up to 200 in replies, which wrap it.
pub const DEFAULT_MAX_DEPTH: usize = 200;

impl Doc<'_> {
    /// Checks everything inside: each type, length, terminator and text, through all nested documents, arrays and scopes.
    /// The document itself is at depth 1; none may lie deeper than `max_depth`.
    ///
    /// The walk keeps its own stack (at most `max_depth` small entries), so depth cannot exhaust the thread's.
    pub fn validate(self, max_depth: usize) -> Result<(), DecodeError> {
        if max_depth == 0 {
            return Err(DecodeError::new(0, Reason::TooDeep));
        }
        // Documents that wait for a nested one to be finished, with where they start in the whole.
        let mut waiting: Vec<(RawIter<'_>, usize)> = Vec::new();
        let (mut current, mut base) = (self.raw_iter(), 0);
        loop {
            let Some(element) = current.next_element().map_err(|error| error.shifted(base))? else {
                match waiting.pop() {
                    Some(outer) => (current, base) = outer,
                    None => return Ok(()),
                }
                continue;
            };
            element.key().map_err(|error| error.shifted(base))?;
            let value = element.value().map_err(|error| error.shifted(base))?;
            let (nested, at) = match value {
                Value::Document(doc) => (doc, element.value_offset()),
                Value::Array(array) => (array.as_doc(), element.value_offset()),
                Value::CodeWithScope(code) => {
                    (code.scope, element.value_offset() + element.value_bytes().len() - code.scope.len())
                }
                _ => continue,
            };
            // `waiting` holds what is above `current`, and `nested` lies one below it.
            if waiting.len() + 2 > max_depth {
                return Err(DecodeError::new(base + at, Reason::TooDeep));
            }
            waiting.push((core::mem::replace(&mut current, nested.raw_iter()), base));
            base += at;
        }
    }
}
