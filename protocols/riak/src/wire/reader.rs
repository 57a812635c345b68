//! Reading protocol buffers off a [`Bytes`], without copying.

use bytes::Bytes;

use super::{DecodeError, DecodeLimits, DecodeReason};

/// How the value of a field is laid out on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WireType {
    /// A variable-length number.
    Varint = 0,
    /// Eight bytes.
    Fixed64 = 1,
    /// A length, then so many bytes.
    Len = 2,
    /// Four bytes.
    Fixed32 = 5,
}

/// What stands before each field: its number and its layout.
#[derive(Clone, Copy)]
pub(crate) struct Key {
    pub(crate) number: u32,
    pub(crate) wire: WireType,
}

/// A position in a message.
#[allow(unnameable_types, reason = "stands in a sealed trait that nobody outside this crate implements")]
pub struct Reader<'a> {
    source: &'a Bytes,
    pos: usize,
    /// Where the innermost message ends.
    end: usize,
    /// Messages that may still be entered.
    depth: u32,
    /// Bytes that repeated elements may still take in memory.
    budget: usize,
    limits: DecodeLimits,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(source: &'a Bytes, limits: DecodeLimits) -> Self {
        let (depth, budget) = (limits.max_depth, limits.max_decoded_len);
        Self { source, pos: 0, end: source.len(), depth, budget, limits }
    }

    /// An error at the present position.
    #[cold]
    fn error(&self, reason: DecodeReason) -> DecodeError {
        DecodeError { offset: self.pos, reason }
    }

    /// The next field's key; `None` at the end of the innermost message.
    #[inline]
    pub(crate) fn key(&mut self) -> Result<Option<Key>, DecodeError> {
        if self.pos == self.end {
            return Ok(None);
        }
        let start = self.pos;
        let raw = self.varint()?;
        let wire = match raw & 7 {
            0 => WireType::Varint,
            1 => WireType::Fixed64,
            2 => WireType::Len,
            5 => WireType::Fixed32,
            _ => return Err(DecodeError { offset: start, reason: DecodeReason::WireType }),
        };
        match u32::try_from(raw >> 3) {
            Ok(number @ 1..=0x1fff_ffff) => Ok(Some(Key { number, wire })),
            _ => Err(DecodeError { offset: start, reason: DecodeReason::FieldNumber }),
        }
    }

    #[inline]
    pub(crate) fn varint(&mut self) -> Result<u64, DecodeError> {
        match self.source[self.pos..self.end].first() {
            Some(&byte) if byte < 0x80 => {
                self.pos += 1;
                Ok(u64::from(byte))
            }
            _ => self.long_varint(),
        }
    }

    fn long_varint(&mut self) -> Result<u64, DecodeError> {
        let mut value = 0;
        for (n, &byte) in self.source[self.pos..self.end].iter().take(10).enumerate() {
            // The tenth byte has room for one bit.
            if n == 9 && byte > 1 {
                break;
            }
            value |= u64::from(byte & 0x7f) << (7 * n);
            if byte < 0x80 {
                self.pos += n + 1;
                return Ok(value);
            }
        }
        let truncated = self.end - self.pos < 10;
        Err(self.error(if truncated { DecodeReason::Truncated } else { DecodeReason::Varint }))
    }

    /// A length, and the check that so much is there.
    #[inline]
    fn len(&mut self) -> Result<usize, DecodeError> {
        let start = self.pos;
        let len = self.varint()?;
        if len > (self.end - self.pos) as u64 {
            return Err(DecodeError { offset: start, reason: DecodeReason::Truncated });
        }
        Ok(len as usize)
    }

    #[inline]
    pub(crate) fn bytes(&mut self) -> Result<Bytes, DecodeError> {
        let len = self.len()?;
        let start = self.pos;
        self.pos += len;
        Ok(self.source.slice(start..self.pos))
    }

    pub(crate) fn fixed<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        match self.source[self.pos..self.end].first_chunk() {
            Some(&bytes) => {
                self.pos += N;
                Ok(bytes)
            }
            None => Err(self.error(DecodeReason::Truncated)),
        }
    }

    /// Goes into the message (or the packed run) that starts here with its length. What is returned closes it again with
    /// [`leave`](Self::leave).
    #[inline]
    pub(crate) fn enter(&mut self) -> Result<usize, DecodeError> {
        let start = self.pos;
        let len = self.len()?;
        if self.depth == 0 {
            let reason = DecodeReason::TooDeep { max: self.limits.max_depth };
            return Err(DecodeError { offset: start, reason });
        }
        self.depth -= 1;
        Ok(core::mem::replace(&mut self.end, self.pos + len))
    }

    #[inline]
    pub(crate) fn leave(&mut self, outer_end: usize) {
        self.depth += 1;
        self.end = outer_end;
    }

    /// True at the end of the innermost message or packed run.
    pub(crate) fn at_end(&self) -> bool {
        self.pos == self.end
    }

    /// Takes room for one more repeated element out of the budget: two bytes of input can ask for hundreds of bytes of
    /// memory.
    #[inline]
    pub(crate) fn charge(&mut self, size: usize) -> Result<(), DecodeError> {
        match self.budget.checked_sub(size) {
            Some(left) => {
                self.budget = left;
                Ok(())
            }
            None => Err(self.error(DecodeReason::TooLarge { max: self.limits.max_decoded_len })),
        }
    }

    /// All that is left of the innermost message.
    pub(crate) fn rest(&mut self) -> Bytes {
        let start = core::mem::replace(&mut self.pos, self.end);
        self.source.slice(start..self.end)
    }

    /// Passes over a field nobody knows.
    pub(crate) fn skip(&mut self, key: Key) -> Result<(), DecodeError> {
        match key.wire {
            WireType::Varint => self.varint().map(drop),
            WireType::Fixed64 => self.fixed::<8>().map(drop),
            WireType::Fixed32 => self.fixed::<4>().map(drop),
            WireType::Len => {
                let len = self.len()?;
                self.pos += len;
                Ok(())
            }
        }
    }

    /// The error for a known field whose layout is not the declared one.
    #[cold]
    pub(crate) fn wrong_wire_type(&self) -> DecodeError {
        self.error(DecodeReason::WireType)
    }
}
