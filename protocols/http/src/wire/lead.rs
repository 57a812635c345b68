//! What stands where a request is due.

use bytes::{Buf, BytesMut};

use crate::error::{Error, Reason};
use crate::wire::parse::{Rules, limit};
use crate::wire::token::is_tchar;

/// What the input begins with, where a request is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lead {
    Nothing,
    /// A carriage return, of which it is not known what follows.
    HalfLineEnd,
    /// What may be a method.
    Request,
}

impl Rules<'_> {
    /// Looks at the front of `input`. RFC 9112 §2.2: empty lines before a request line are ignored, here up to a limit; as long as nothing
    /// else was looked at (`fresh`) they are taken off and counted.
    #[inline]
    pub(crate) fn lead(
        self,
        fresh: bool,
        empty_lines: &mut u32,
        input: &mut BytesMut,
    ) -> Result<Lead, Error> {
        match **input {
            [first, ..] if is_tchar(first) => Ok(Lead::Request),
            [] => Ok(Lead::Nothing),
            _ => self.unusual_lead(fresh, empty_lines, input),
        }
    }

    #[cold]
    fn unusual_lead(self, fresh: bool, empty_lines: &mut u32, input: &mut BytesMut) -> Result<Lead, Error> {
        while let Some(len) = match **input {
            [b'\r', b'\n', ..] if fresh => Some(2),
            [b'\n', ..] if fresh && self.leniency.bare_lf => Some(1),
            _ => None,
        } {
            let max = self.limits.get().max_empty_lines();
            if *empty_lines == max {
                return Err(limit("max_empty_lines", max as usize));
            }
            *empty_lines += 1;
            input.advance(len);
        }
        match **input {
            [] => Ok(Lead::Nothing),
            [first, ..] if is_tchar(first) => Ok(Lead::Request),
            [b'\r'] => Ok(Lead::HalfLineEnd),
            [b'\r' | b'\n', ..] => Err(Error::peer(0, Reason::LineEnd)),
            _ => Err(Error::peer(0, Reason::NotHttp)),
        }
    }
}
