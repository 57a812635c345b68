//! A cursor over one part of a message.

use super::NameRef;
use crate::error::{DecodeError, DecodeReason};

/// Reads fields between `at` and `end` of a whole message: names inside may point outside that range.
#[derive(Clone, Copy)]
pub(crate) struct Reader<'a> {
    pub(crate) message: &'a [u8],
    pub(crate) at: usize,
    pub(crate) end: usize,
}

impl<'a> Reader<'a> {
    /// A cursor from `at` to `end`; `end` lies within the message.
    #[inline]
    pub(crate) fn new(message: &'a [u8], at: usize, end: usize) -> Self {
        debug_assert!(at <= end && end <= message.len());
        Self { message, at, end }
    }

    #[inline]
    pub(crate) fn remaining(&self) -> usize {
        self.end - self.at
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.at == self.end
    }

    pub(crate) fn error(&self, reason: DecodeReason) -> DecodeError {
        DecodeError::new(self.at, reason)
    }

    #[inline]
    pub(crate) fn take(&mut self, len: usize) -> Result<&'a [u8], DecodeError> {
        if len > self.remaining() {
            return Err(self.error(DecodeReason::DataTooShort));
        }
        let bytes = &self.message[self.at..self.at + len];
        self.at += len;
        Ok(bytes)
    }

    #[inline]
    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        match self.message[self.at..self.end].first_chunk() {
            Some(bytes) => {
                self.at += N;
                Ok(*bytes)
            }
            None => Err(self.error(DecodeReason::DataTooShort)),
        }
    }

    #[inline]
    pub(crate) fn u8(&mut self) -> Result<u8, DecodeError> {
        self.array::<1>().map(|[b]| b)
    }

    #[inline]
    pub(crate) fn u16(&mut self) -> Result<u16, DecodeError> {
        self.array().map(u16::from_be_bytes)
    }

    #[inline]
    pub(crate) fn u32(&mut self) -> Result<u32, DecodeError> {
        self.array().map(u32::from_be_bytes)
    }

    /// A character string: a length byte and that many bytes.
    #[inline]
    pub(crate) fn string(&mut self) -> Result<&'a [u8], DecodeError> {
        let start = *self;
        let len = usize::from(self.u8()?);
        self.take(len).map_err(|_| start.error(DecodeReason::DataTooShort))
    }

    /// A name, which must end within the range.
    #[inline]
    pub(crate) fn name(&mut self) -> Result<NameRef<'a>, DecodeError> {
        let (name, next) = NameRef::read(self.message, self.at)?;
        if next > self.end {
            return Err(self.error(DecodeReason::DataTooShort));
        }
        self.at = next;
        Ok(name)
    }

    /// What is left.
    #[inline]
    pub(crate) fn rest(&mut self) -> &'a [u8] {
        let bytes = &self.message[self.at..self.end];
        self.at = self.end;
        bytes
    }

    /// Nothing may be left.
    #[inline]
    pub(crate) fn finish(&self) -> Result<(), DecodeError> {
        if self.is_empty() { Ok(()) } else { Err(self.error(DecodeReason::DataTooLong)) }
    }
}
