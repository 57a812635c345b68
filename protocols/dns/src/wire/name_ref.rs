//! Names that lie in a message.

use core::fmt;
use core::hash::{Hash, Hasher};
use core::ops::Range;

use bytes::BytesMut;

use super::{MAX_NAME_LEN, Name};
use crate::error::{DecodeError, DecodeReason};

/// A name of 255 bytes has at most 127 labels before the root, so an honest name is put together from at most as many
/// pieces. More pointers than that serve only to make the reader work.
const MAX_POINTERS: usize = 127;

/// How many bytes of an owned name, or of owned record data, lie in the value itself, without an allocation.
pub(super) const INLINE: usize = 38;

/// Copies the `len` bytes at `start` of a message to `at`, where there is room for them. What stands behind them then means nothing: it is
/// mostly what follows in the message, since a copy of fixed size takes a fraction of the time of one that is just as long as it must be.
#[inline]
pub(super) fn copy_inline(message: &[u8], start: usize, len: usize, to: &mut [u8; INLINE], at: usize) {
    let (from, to) = (&message[start..], &mut to[at..]);
    if let (Some(window), Some(room), ..=16) = (from.first_chunk::<16>(), to.first_chunk_mut::<16>(), len) {
        *room = *window;
    } else if let (Some(window), Some(room), ..=32) =
        (from.first_chunk::<32>(), to.first_chunk_mut::<32>(), len)
    {
        *room = *window;
    } else {
        to[..len].copy_from_slice(&from[..len]);
    }
}

/// A name inside a message: a place, not a copy. It was walked when it was made, so going through its labels cannot
/// fail.
///
/// Names compare without regard to ASCII case (RFC 4343).
#[derive(Clone, Copy)]
pub struct NameRef<'a> {
    message: &'a [u8],
    /// Where its first label stands, or the root: behind the pointers that it may begin with.
    at: usize,
    /// Length without compression, the root's zero byte included.
    len: u8,
    /// The name lies in one piece at `at`.
    plain: bool,
}

impl<'a> NameRef<'a> {
    /// The root.
    pub const ROOT: NameRef<'static> = NameRef { message: &[0], at: 0, len: 1, plain: true };

    /// A whole name in one piece, which was checked before.
    #[inline]
    pub(super) fn plain(wire: &'a [u8]) -> Self {
        Self { message: wire, at: 0, len: wire.len() as u8, plain: true }
    }

    /// Reads the name at `at`. Returns it and where the next field starts.
    ///
    /// Pointers must point backwards, before the piece they end; their number and the name's length are limited. The
    /// work is therefore bounded by 255 bytes and 127 pointers, whatever the message holds.
    #[inline]
    pub fn read(message: &'a [u8], at: usize) -> Result<(Self, usize), DecodeError> {
        let mut position = at;
        let mut len = 0;
        loop {
            match message.get(position) {
                Some(0) => {
                    len += 1;
                    // `len` was at most 254 before the root.
                    return Ok((Self { message, at, len: len as u8, plain: true }, position + 1));
                }
                Some(&label @ 1..=63) => {
                    len += usize::from(label) + 1;
                    position += usize::from(label) + 1;
                    if len > MAX_NAME_LEN - 1 {
                        return Err(DecodeError::new(position, DecodeReason::NameTooLong));
                    }
                }
                Some(_) => return Self::read_compressed(message, at, position, len),
                None => return Err(DecodeError::new(position, DecodeReason::UnexpectedEnd)),
            }
        }
    }

    /// Goes on with a name that has `len` bytes of labels before something at `position` that is not a label.
    fn read_compressed(
        message: &'a [u8],
        at: usize,
        mut position: usize,
        mut len: usize,
    ) -> Result<(Self, usize), DecodeError> {
        let next = position + 2;
        let (mut start, mut piece) = (at, at);
        let (mut pointers, mut plain) = (0, true);
        loop {
            let error = |reason| Err(DecodeError::new(position, reason));
            match message.get(position) {
                Some(0) => return Ok((Self { message, at: start, len: len as u8 + 1, plain }, next)),
                Some(&label @ 1..=63) => {
                    len += usize::from(label) + 1;
                    if len > MAX_NAME_LEN - 1 {
                        return error(DecodeReason::NameTooLong);
                    }
                    position += usize::from(label) + 1;
                }
                Some(&high @ 0xc0..) => {
                    let Some(&low) = message.get(position + 1) else {
                        return error(DecodeReason::UnexpectedEnd);
                    };
                    let target = usize::from(u16::from_be_bytes([high & 0x3f, low]));
                    // Each piece starts before the one that led to it, so the walk ends.
                    if target >= piece {
                        return error(DecodeReason::PointerNotBackwards);
                    }
                    pointers += 1;
                    if pointers > MAX_POINTERS {
                        return error(DecodeReason::TooManyPointers);
                    }
                    if len == 0 {
                        start = target;
                    } else {
                        plain = false;
                    }
                    (piece, position) = (target, target);
                }
                Some(_) => return error(DecodeReason::BadLabelType),
                None => return error(DecodeReason::UnexpectedEnd),
            }
        }
    }

    /// Finds where the name at `at` ends, without following a pointer.
    #[inline]
    pub(crate) fn skip(message: &[u8], at: usize) -> Result<usize, DecodeError> {
        let mut position = at;
        loop {
            match message.get(position) {
                Some(0) => return Ok(position + 1),
                Some(&label @ 1..=63) => position += usize::from(label) + 1,
                Some(0xc0..) if position + 1 < message.len() => return Ok(position + 2),
                Some(0xc0..) | None => return Err(DecodeError::new(position, DecodeReason::UnexpectedEnd)),
                Some(_) => return Err(DecodeError::new(position, DecodeReason::BadLabelType)),
            }
        }
    }

    /// The labels from the left, without the root.
    #[inline]
    pub fn labels(self) -> Labels<'a> {
        Labels { message: self.message, at: self.at, left: self.len }
    }

    /// Length on the wire without compression, from 1 (the root) to 255.
    pub const fn wire_len(self) -> usize {
        self.len as usize
    }

    /// True for the root.
    pub const fn is_root(self) -> bool {
        self.len == 1
    }

    /// The bytes of the name when all of it lies in one piece, be that here or where a pointer leads.
    #[inline]
    pub fn as_plain(self) -> Option<&'a [u8]> {
        self.plain.then(|| &self.message[self.at..self.at + usize::from(self.len)])
    }

    /// Where the pieces lie that the name is made of: one behind the other they are the name uncompressed.
    #[inline]
    fn pieces(self) -> impl Iterator<Item = Range<usize>> {
        let mut next = Some(self.at);
        core::iter::from_fn(move || {
            let start = next.take()?;
            let mut end = start;
            // The name was walked when it was made: these reads lie within the message, and the walk ends.
            loop {
                match *self.message.get(end)? {
                    0 => return Some(start..end + 1),
                    label @ 1..=63 => end += 1 + usize::from(label),
                    high => {
                        let low = *self.message.get(end + 1)?;
                        next = Some(usize::from(u16::from_be_bytes([high & 0x3f, low])));
                        return Some(start..end);
                    }
                }
            }
        })
    }

    /// Copies the name uncompressed to the front of `buffer`, which has room for it, and returns that part.
    pub(crate) fn flatten(self, buffer: &mut [u8]) -> &[u8] {
        let mut at = 0;
        for piece in self.pieces() {
            buffer[at..at + piece.len()].copy_from_slice(&self.message[piece.clone()]);
            at += piece.len();
        }
        &buffer[..at]
    }

    /// Copies the name uncompressed to the front of `to`, which it may not be longer than.
    #[inline]
    pub(super) fn copy_inline(self, to: &mut [u8; INLINE]) {
        if self.plain {
            return copy_inline(self.message, self.at, self.wire_len(), to, 0);
        }
        let mut at = 0;
        for piece in self.pieces() {
            copy_inline(self.message, piece.start, piece.len(), to, at);
            at += piece.len();
        }
    }

    /// Appends the name uncompressed.
    pub fn write(self, out: &mut BytesMut) {
        match self.as_plain() {
            Some(plain) => out.extend_from_slice(plain),
            None => self.pieces().for_each(|piece| out.extend_from_slice(&self.message[piece])),
        }
    }

    /// An owned copy.
    pub fn to_name(self) -> Name {
        Name::from_ref(self)
    }

    /// True if the names are equal with their ASCII case.
    pub fn eq_with_case(self, other: NameRef<'_>) -> bool {
        match (self.as_plain(), other.as_plain()) {
            (Some(a), Some(b)) => a == b,
            _ => self.len == other.len && self.labels().eq(other.labels()),
        }
    }
}

impl<'b> PartialEq<NameRef<'b>> for NameRef<'_> {
    #[inline]
    fn eq(&self, other: &NameRef<'b>) -> bool {
        if self.len != other.len {
            return false;
        }
        // The length bytes are below 64 and thus no letters: a comparison without case leaves them alone.
        if let (Some(a), Some(b)) = (self.as_plain(), other.as_plain()) {
            return a.eq_ignore_ascii_case(b);
        }
        self.labels().zip(other.labels()).all(|(a, b)| a.eq_ignore_ascii_case(b))
    }
}

impl Eq for NameRef<'_> {}

impl Hash for NameRef<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match self.as_plain() {
            Some(plain) => hash_plain(plain, state),
            None => hash_plain(self.flatten(&mut [0; MAX_NAME_LEN]), state),
        }
    }
}

/// Hashes an uncompressed name without its case, a block at a time.
fn hash_plain<H: Hasher>(name: &[u8], state: &mut H) {
    for part in name.chunks(32) {
        let mut block = [0; 32];
        let block = &mut block[..part.len()];
        block.copy_from_slice(part);
        block.make_ascii_lowercase();
        state.write(block);
    }
}

impl fmt::Display for NameRef<'_> {
    /// The presentation form, with its final dot.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_root() {
            return f.write_str(".");
        }
        self.labels().try_for_each(|label| {
            crate::text::write_escaped(f, label, crate::text::Escape::Label)?;
            f.write_str(".")
        })
    }
}

impl fmt::Debug for NameRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The labels of a name.
#[derive(Clone, Debug)]
pub struct Labels<'a> {
    message: &'a [u8],
    at: usize,
    /// What the uncompressed name still has, the root included.
    left: u8,
}

impl<'a> Iterator for Labels<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        if self.left <= 1 {
            return None;
        }
        loop {
            // The name was walked when it was made: these reads lie within the message, and the walk ends.
            let len = *self.message.get(self.at)?;
            if len >= 0xc0 {
                let low = *self.message.get(self.at + 1)?;
                self.at = usize::from(u16::from_be_bytes([len & 0x3f, low]));
                continue;
            }
            let label = self.message.get(self.at + 1..self.at + 1 + usize::from(len))?;
            self.at += 1 + usize::from(len);
            self.left = self.left.saturating_sub(len + 1);
            return Some(label);
        }
    }
}
