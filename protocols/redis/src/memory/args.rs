//! The arguments of a command, read as a server reads them.

use alloc::string::String;

use bytes::Bytes;

use super::refusal::Refusal;
use crate::wire::ReceivedCommand;
use crate::wire::number::{self, MAX_DIGITS};

/// A command whose number of arguments was checked.
#[derive(Clone, Copy)]
pub(super) struct Args<'a>(pub(super) &'a ReceivedCommand);

impl<'a> Args<'a> {
    pub(super) fn len(self) -> usize {
        self.0.len()
    }

    /// Argument `index`, the name being 0; empty behind the last.
    pub(super) fn get(self, index: usize) -> &'a [u8] {
        self.0.get(index).unwrap_or_default()
    }

    pub(super) fn bytes(self, index: usize) -> Bytes {
        self.0.bytes(index).unwrap_or_default()
    }

    /// True when argument `index` is there and is `word`, whatever the case.
    pub(super) fn is(self, index: usize, word: &str) -> bool {
        self.0.get(index).is_some_and(|arg| arg.eq_ignore_ascii_case(word.as_bytes()))
    }

    pub(super) fn int(self, index: usize) -> Result<i64, Refusal> {
        parse_int(self.get(index)).ok_or(Refusal::NOT_INTEGER)
    }

    pub(super) fn count(self, index: usize) -> Result<usize, Refusal> {
        usize::try_from(self.int(index)?).map_err(|_| Refusal::NOT_POSITIVE)
    }

    pub(super) fn float(self, index: usize) -> Result<f64, Refusal> {
        parse_float(self.get(index)).ok_or(Refusal::NOT_FLOAT)
    }

    pub(super) fn lower_name(self) -> String {
        String::from_utf8_lossy(self.get(0)).to_ascii_lowercase()
    }

    /// All arguments from `index` on.
    pub(super) fn from(self, index: usize) -> impl Iterator<Item = &'a [u8]> {
        (index..self.len()).map(move |at| self.get(at))
    }
}

/// An integer in its one canonical form: no plus sign, no leading zero, no space.
pub(super) fn parse_int(text: &[u8]) -> Option<i64> {
    let number = number::parse_i64(text)?;
    (number::format_i64(number, &mut [0; MAX_DIGITS]) == text).then_some(number)
}

pub(super) fn parse_float(text: &[u8]) -> Option<f64> {
    number::parse_f64(text).filter(|number| !number.is_nan())
}

pub(super) fn int_text(number: i64) -> Bytes {
    Bytes::copy_from_slice(number::format_i64(number, &mut [0; MAX_DIGITS]))
}
