//! Reading protocol buffers off a frame.

use bytes::Bytes;

use super::blob::INLINE;
use super::{Blob, DecodeError, DecodeLimits, DecodeReason};

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

/// What stands before each field: its number and its layout, as they came.
#[derive(Clone, Copy)]
#[allow(unnameable_types, reason = "stands in a sealed trait that nobody outside this crate implements")]
pub struct Key(u32);

impl Key {
    /// What is written before a field.
    pub(crate) const fn new(number: u32, wire: WireType) -> Self {
        Self(number << 3 | wire as u32)
    }

    /// The number on the wire.
    pub(crate) const fn raw(self) -> u32 {
        self.0
    }

    #[inline]
    pub(crate) fn number(self) -> u32 {
        self.0 >> 3
    }

    #[inline]
    pub(crate) fn has(self, wire: WireType) -> bool {
        self.0 & 7 == wire as u32
    }
}

/// A position in a message.
///
/// Reading does not stop at an error: the reader remembers the first one and stands behind the end of everything from then on, so that
/// every loop over fields ends by itself, and what is read is nothing. [`finish`](Self::finish) tells. That keeps the way of a
/// good message, which is every message but one in millions, free of branches.
#[allow(unnameable_types, reason = "stands in a sealed trait that nobody outside this crate implements")]
pub struct Reader<'a> {
    source: &'a Bytes,
    /// All of `source`.
    bytes: &'a [u8],
    pos: usize,
    /// Where the innermost message ends.
    end: usize,
    /// Messages that may still be entered.
    depth: u32,
    /// Bytes that repeated elements may still take in memory.
    budget: usize,
    limits: DecodeLimits,
    error: Option<DecodeError>,
}

/// Where a reader stands that has failed: behind every end, and far from overflowing.
const FAILED: usize = usize::MAX / 2;

impl<'a> Reader<'a> {
    pub(crate) fn new(source: &'a Bytes, limits: DecodeLimits) -> Self {
        let (depth, budget) = (limits.max_depth, limits.max_decoded_len);
        Self { source, bytes: source, pos: 0, end: source.len(), depth, budget, limits, error: None }
    }

    /// What went wrong, if anything did.
    pub(crate) fn finish(self) -> Result<(), DecodeError> {
        self.error.map_or(Ok(()), Err)
    }

    #[cold]
    fn fail_at(&mut self, offset: usize, reason: DecodeReason) {
        self.error.get_or_insert(DecodeError { offset, reason });
        self.pos = FAILED;
    }

    /// An error at the present position.
    #[cold]
    fn fail(&mut self, reason: DecodeReason) {
        self.fail_at(self.pos, reason);
    }

    /// The next field's key; `None` at the end of the innermost message. What it says is looked at by whoever reads the field, or
    /// [passes over](Self::skip) it.
    #[inline]
    pub(crate) fn key(&mut self) -> Option<Key> {
        if self.at_end() {
            return None;
        }
        match self.bytes.get(self.pos) {
            Some(&byte) if byte < 0x80 => {
                self.pos += 1;
                Some(Key(u32::from(byte)))
            }
            _ => self.long_key(),
        }
    }

    /// The byte that is read next, which is the key of one of the first fields or none of theirs: 0 at the end of the innermost message.
    #[inline]
    pub(crate) fn peek(&self) -> u8 {
        if self.at_end() { 0 } else { self.bytes.get(self.pos).copied().unwrap_or_default() }
    }

    /// Passes over the byte that was [seen](Self::peek) to be a key.
    #[inline]
    pub(crate) fn pass_key(&mut self) {
        self.pos += 1;
    }

    #[inline(never)]
    fn long_key(&mut self) -> Option<Key> {
        let start = self.pos;
        match u32::try_from(self.long_varint()) {
            _ if self.error.is_some() => None,
            Ok(raw) => Some(Key(raw)),
            Err(_) => {
                self.fail_at(start, DecodeReason::FieldNumber);
                None
            }
        }
    }

    #[inline]
    pub(crate) fn varint(&mut self) -> u64 {
        match self.bytes.get(self.pos) {
            Some(&byte) if byte < 0x80 && self.pos < self.end => {
                self.pos += 1;
                u64::from(byte)
            }
            _ => self.long_varint(),
        }
    }

    #[inline(never)]
    fn long_varint(&mut self) -> u64 {
        let left = self.bytes.get(self.pos..self.end).unwrap_or_default();
        if let &[low, high, ..] = left
            && high < 0x80
        {
            // Two bytes: nearly always the length of something.
            self.pos += 2;
            return u64::from(low & 0x7f) | u64::from(high) << 7;
        }
        let mut value = 0;
        for (n, &byte) in left.iter().take(10).enumerate() {
            // The tenth byte has room for one bit.
            if n == 9 && byte > 1 {
                break;
            }
            value |= u64::from(byte & 0x7f) << (7 * n);
            if byte < 0x80 {
                self.pos += n + 1;
                return value;
            }
        }
        self.fail(if left.len() < 10 { DecodeReason::Truncated } else { DecodeReason::Varint });
        0
    }

    /// A length, and the check that so much is there.
    #[inline]
    fn len(&mut self) -> usize {
        let start = self.pos;
        let len = self.varint();
        // After a failure the length is 0, whatever is left.
        if len > self.end.wrapping_sub(self.pos) as u64 {
            self.fail_at(start, DecodeReason::Truncated);
            return 0;
        }
        len as usize
    }

    #[inline(never)]
    pub(crate) fn blob(&mut self, value: &mut Blob) {
        // Nearly always: a length of one byte, and behind it as many bytes as a value has room for, of which the next field may be
        // some. A copy of fixed size takes a fraction of the time of one that is just as long as it must be.
        let ahead = self.bytes.get(self.pos..).and_then(<[u8]>::first_chunk::<{ 1 + INLINE }>);
        if let Some([len, window @ ..]) = ahead {
            let next = self.pos + 1 + usize::from(*len);
            if usize::from(*len) <= INLINE && next <= self.end && value.set_window(window, *len) {
                self.pos = next;
                return;
            }
        }
        self.any_blob(value);
    }

    #[inline(never)]
    fn any_blob(&mut self, value: &mut Blob) {
        let len = self.len();
        let start = self.pos;
        self.pos += len;
        *value = self.long_or_last(start);
    }

    /// Bytes that are long, or stand so near the end of the frame that no window fits.
    fn long_or_last(&self, start: usize) -> Blob {
        match self.bytes.get(start..self.pos) {
            None => Blob::new(),
            Some(short) if short.len() <= INLINE => Blob::copy_from_slice(short),
            Some(_) => Blob::long(self.source.slice(start..self.pos)),
        }
    }

    pub(crate) fn fixed<const N: usize>(&mut self) -> [u8; N] {
        match self.bytes.get(self.pos..self.end).and_then(<[u8]>::first_chunk) {
            Some(&bytes) => {
                self.pos += N;
                bytes
            }
            None => {
                self.fail(DecodeReason::Truncated);
                [0; N]
            }
        }
    }

    /// Goes into the message (or the packed run) that starts here with its length. What is returned closes it again with
    /// [`leave`](Self::leave).
    #[inline]
    pub(crate) fn enter(&mut self) -> usize {
        let start = self.pos;
        let len = self.len();
        match self.depth.checked_sub(1) {
            Some(depth) => self.depth = depth,
            None => {
                self.fail_at(start, DecodeReason::TooDeep { max: self.limits.max_depth });
                return self.end;
            }
        }
        core::mem::replace(&mut self.end, self.pos + len)
    }

    #[inline]
    pub(crate) fn leave(&mut self, outer_end: usize) {
        self.depth += 1;
        self.end = outer_end;
    }

    /// True at the end of the innermost message or packed run, and after an error.
    #[inline]
    pub(crate) fn at_end(&self) -> bool {
        self.pos >= self.end
    }

    /// Takes room for one more repeated element out of the budget: two bytes of input can ask for hundreds of bytes of
    /// memory. `false` when there is none.
    #[inline]
    pub(crate) fn charge(&mut self, size: usize) -> bool {
        match self.budget.checked_sub(size) {
            Some(left) => {
                self.budget = left;
                true
            }
            None => {
                self.fail(DecodeReason::TooLarge { max: self.limits.max_decoded_len });
                false
            }
        }
    }

    /// All that is left of the innermost message.
    pub(crate) fn rest(&mut self) -> Blob {
        let start = core::mem::replace(&mut self.pos, self.end);
        self.long_or_last(start)
    }

    /// Passes over a field nobody knows.
    #[inline(never)]
    pub(crate) fn skip(&mut self, key: Key) {
        match key.raw() & 7 {
            0 | 1 | 2 | 5 if key.number() == 0 => self.fail(DecodeReason::FieldNumber),
            0 => drop(self.varint()),
            1 => drop(self.fixed::<8>()),
            2 => {
                let len = self.len();
                self.pos += len;
            }
            5 => drop(self.fixed::<4>()),
            _ => self.fail_wire_type(),
        }
    }

    /// The error for a field whose layout is not the declared one, or none at all.
    #[cold]
    pub(crate) fn fail_wire_type(&mut self) {
        self.fail(DecodeReason::WireType);
    }
}
