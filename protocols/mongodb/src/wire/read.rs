//! Fields taken off the front of a frame, one after the other.

use bytes::Bytes;
use memchr::memchr;

use super::{Frame, HEADER_LEN};
use crate::bson::{Doc, RawDocument};
use crate::error::{DecodeError, Reason};

/// A frame and how far it was read. Offsets in errors count from the frame's first byte.
pub(super) struct Fields<'a> {
    bytes: &'a Bytes,
    pub(super) at: usize,
    end: usize,
}

impl<'a> Fields<'a> {
    /// The fields behind the header.
    pub(super) fn of(frame: &'a Frame) -> Self {
        Self { bytes: frame.bytes(), at: HEADER_LEN, end: frame.bytes().len() }
    }

    /// Leaves the last `len` bytes out.
    pub(super) fn cut(&mut self, len: usize) -> Result<(), DecodeError> {
        match self.end.checked_sub(len) {
            Some(end) if end >= self.at => {
                self.end = end;
                Ok(())
            }
            _ => Err(self.error(Reason::Truncated)),
        }
    }

    pub(super) fn error(&self, reason: Reason) -> DecodeError {
        DecodeError::new(self.at, reason)
    }

    pub(super) fn rest(&self) -> &'a [u8] {
        &self.bytes[self.at..self.end]
    }

    pub(super) fn is_empty(&self) -> bool {
        self.at == self.end
    }

    fn fixed<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let field = *self.rest().first_chunk().ok_or(self.error(Reason::Truncated))?;
        self.at += N;
        Ok(field)
    }

    pub(super) fn u8(&mut self) -> Result<u8, DecodeError> {
        self.fixed().map(|[byte]| byte)
    }

    pub(super) fn i32(&mut self) -> Result<i32, DecodeError> {
        self.fixed().map(i32::from_le_bytes)
    }

    pub(super) fn u32(&mut self) -> Result<u32, DecodeError> {
        self.fixed().map(u32::from_le_bytes)
    }

    pub(super) fn i64(&mut self) -> Result<i64, DecodeError> {
        self.fixed().map(i64::from_le_bytes)
    }

    /// A name: text and a zero byte.
    pub(super) fn cstring(&mut self) -> Result<&'a str, DecodeError> {
        let rest = self.rest();
        let len = memchr(0, rest).ok_or(self.error(Reason::MissingTerminator))?;
        let text = core::str::from_utf8(&rest[..len]).map_err(|_| self.error(Reason::InvalidUtf8))?;
        self.at += len + 1;
        Ok(text)
    }

    pub(super) fn doc(&mut self) -> Result<Doc<'a>, DecodeError> {
        let (doc, _) = Doc::split_from(self.rest()).map_err(|error| error.shifted(self.at))?;
        self.at += doc.len();
        Ok(doc)
    }

    /// A document that shares the frame's memory.
    pub(super) fn shared_doc(&mut self) -> Result<RawDocument, DecodeError> {
        let start = self.at;
        self.doc()?;
        RawDocument::new(self.bytes.slice(start..self.at))
    }

    /// Documents up to the end, each one's frame checked, as shared bytes; and how many.
    pub(super) fn shared_docs(&mut self) -> Result<(Bytes, usize), DecodeError> {
        let (start, mut count) = (self.at, 0);
        while !self.is_empty() {
            self.doc()?;
            count += 1;
        }
        Ok((self.bytes.slice(start..self.end), count))
    }

    /// Nothing may be left.
    pub(super) fn finish(self) -> Result<(), DecodeError> {
        if self.is_empty() { Ok(()) } else { Err(self.error(Reason::TrailingBytes)) }
    }
}

/// The documents one behind the other in `bytes`; something malformed ends them.
pub(crate) fn docs(bytes: &[u8]) -> impl Iterator<Item = Doc<'_>> + Clone {
    let mut rest = bytes;
    core::iter::from_fn(move || {
        let (doc, behind) = Doc::split_from(rest).ok()?;
        rest = behind;
        Some(doc)
    })
}
