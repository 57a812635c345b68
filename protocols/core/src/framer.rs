//! Cutting a byte stream into frames: an exact count, a line, everything up to a delimiter, a length and its payload,
//! or whatever is there.
//!
//! [`Framer`] is the small machine: one [`Rule`] at a time, at most one frame per call, a size limit on every rule.
//! It borrows the input and takes nothing but whole frames off its front, so a read that is given up half-way loses
//! nothing, and an error leaves every byte where it was. [`Framed`] is the same as a
//! [`StreamProtocol`](crate::StreamProtocol), with a bounded output queue, for protocols that are no more than lines or
//! length-prefixed messages.
//!
//! ```text
//!            set_rule                  decode: Some(frame)
//!   (rule) ------------> looking from 0 ------------------> looking from 0, same rule
//!                           |    ^
//!              decode: None |    | more input: goes on where it stopped looking
//!                           v    |
//!                        looked so far --finish--> the last frame, or the remainder stays in the input
//! ```
//!
//! Looking is incremental: a rule remembers how far it has searched, so a line that arrives byte by byte costs linear
//! time.

use core::fmt;

use bytes::BytesMut;
use memchr::{memchr, memmem};

use crate::LimitExceeded;

mod framed;

pub use framed::{Framed, FramedEvent, SendError};

/// How many bytes a frame may have, unless configured otherwise: 64 KiB.
pub const DEFAULT_MAX_FRAME_LEN: usize = 64 * 1024;

/// The longest [`Delimiter`].
pub const MAX_DELIMITER_LEN: usize = 32;

/// What the next frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// Exactly this many bytes. Zero is a frame too: an empty one, at once.
    Exact(usize),
    /// Everything up to and including a delimiter.
    Until(Delimiter),
    /// Everything before the end of a line; the ending itself is taken off the input and not returned.
    Line(LineEnding),
    /// A length and as many bytes; the length itself is taken off the input and not returned.
    LengthPrefixed(LengthPrefix),
    /// Whatever is there, as soon as anything is: at least one byte, at most the size limit.
    Any,
}

impl Rule {
    /// Everything up to and including `delimiter`.
    pub fn until(delimiter: &[u8]) -> Result<Self, InvalidDelimiter> {
        Delimiter::new(delimiter).map(Self::Until)
    }
}

/// What ends a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineEnding {
    /// LF. A CR before it belongs to the line.
    Lf,
    /// CR LF. A bare LF, or a bare CR, belongs to the line.
    CrLf,
    /// LF, or CR LF: what to accept from people who type.
    Either,
}

/// A sequence of 1 to [`MAX_DELIMITER_LEN`] bytes that ends a frame.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Delimiter {
    bytes: [u8; MAX_DELIMITER_LEN],
    len: u8,
}

impl Delimiter {
    /// A delimiter of the given bytes.
    pub fn new(delimiter: &[u8]) -> Result<Self, InvalidDelimiter> {
        if delimiter.is_empty() || delimiter.len() > MAX_DELIMITER_LEN {
            return Err(InvalidDelimiter { len: delimiter.len() });
        }
        let mut bytes = [0; MAX_DELIMITER_LEN];
        bytes[..delimiter.len()].copy_from_slice(delimiter);
        Ok(Self { bytes, len: delimiter.len() as u8 })
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }

    /// Where the first delimiter in `input` ends, given that none ends within the first `looked` bytes.
    fn find_end(&self, input: &[u8], looked: usize) -> Option<usize> {
        let needle = self.as_bytes();
        // All but the last byte of a delimiter may lie in what was searched before.
        let from = looked.saturating_sub(needle.len() - 1);
        let at = match needle {
            [byte] => memchr(*byte, &input[from..]),
            _ => memmem::find(&input[from..], needle),
        };
        at.map(|at| from + at + needle.len())
    }
}

impl fmt::Debug for Delimiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Delimiter({})", self.as_bytes().escape_ascii())
    }
}

/// A delimiter is empty or too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidDelimiter {
    /// Its length.
    pub len: usize,
}

impl fmt::Display for InvalidDelimiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a delimiter has 1 to {MAX_DELIMITER_LEN} bytes, not {}", self.len)
    }
}

impl core::error::Error for InvalidDelimiter {}

/// How a length is written in front of a frame.
///
/// ```
/// use glowplug_core::framer::LengthPrefix;
/// // The first byte says how many follow.
/// const SHORT: LengthPrefix = LengthPrefix::big_endian(1);
/// // Four bytes, least significant first, that count themselves (as MongoDB's do).
/// const DOCUMENT: LengthPrefix = LengthPrefix::little_endian(4).counting_itself();
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LengthPrefix {
    width: u8,
    big_endian: bool,
    counts_itself: bool,
}

impl LengthPrefix {
    /// A length of `width` bytes (clamped to 1 to 8), most significant first.
    pub const fn big_endian(width: u8) -> Self {
        Self { width: clamp_width(width), big_endian: true, counts_itself: false }
    }

    /// A length of `width` bytes (clamped to 1 to 8), least significant first.
    pub const fn little_endian(width: u8) -> Self {
        Self { width: clamp_width(width), big_endian: false, counts_itself: false }
    }

    /// The same, with a length that includes the bytes of the length itself.
    pub const fn counting_itself(self) -> Self {
        Self { counts_itself: true, ..self }
    }

    /// Bytes that the length takes.
    pub const fn width(self) -> usize {
        self.width as usize
    }

    /// Length of the payload, once the whole prefix is there.
    fn payload_len(self, input: &[u8]) -> Option<Result<u64, FrameError>> {
        let prefix = input.get(..self.width())?;
        let fold = |length: u64, byte: &u8| (length << 8) | u64::from(*byte);
        let length =
            if self.big_endian { prefix.iter().fold(0, fold) } else { prefix.iter().rev().fold(0, fold) };
        if !self.counts_itself {
            return Some(Ok(length));
        }
        let shortest = u64::from(self.width);
        Some(length.checked_sub(shortest).ok_or(FrameError::LengthTooSmall { length }))
    }
}

const fn clamp_width(width: u8) -> u8 {
    match width {
        0 => 1,
        1..=8 => width,
        _ => 8,
    }
}

/// Why no frame can be cut. The input is as it was: nothing is lost, and another rule or a higher limit can go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FrameError {
    /// The frame is longer than `max_frame_len`.
    TooLong(LimitExceeded),
    /// A length that counts itself is shorter than itself.
    LengthTooSmall {
        /// The length as it was sent.
        length: u64,
    },
    /// The stream ended within a frame. The remainder is still in the input.
    UnexpectedEof {
        /// Bytes of the remainder.
        remainder: usize,
    },
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong(_) => f.write_str("frame too long"),
            Self::LengthTooSmall { length } => write!(f, "length {length} does not cover itself"),
            Self::UnexpectedEof { remainder } => {
                write!(f, "stream ended within a frame, {remainder} bytes remain")
            }
        }
    }
}

impl core::error::Error for FrameError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::TooLong(limit) => Some(limit),
            Self::LengthTooSmall { .. } | Self::UnexpectedEof { .. } => None,
        }
    }
}

/// Cuts frames off the front of a borrowed input, one rule at a time.
///
/// ```
/// use bytes::BytesMut;
/// use glowplug_core::framer::{Framer, LineEnding, Rule};
///
/// let mut framer = Framer::new(Rule::Line(LineEnding::CrLf));
/// let mut input = BytesMut::from("HELO there\r\nhalf a li");
/// assert_eq!(framer.decode(&mut input)?.as_deref(), Some(&b"HELO there"[..]));
/// assert_eq!(framer.decode(&mut input)?, None);
/// // Other rules may follow at any time, on what is left.
/// framer.set_rule(Rule::Exact(4));
/// assert_eq!(framer.decode(&mut input)?.as_deref(), Some(&b"half"[..]));
/// # Ok::<(), glowplug_core::framer::FrameError>(())
/// ```
///
/// A frame is a piece of the input's own buffer and keeps all of it alive; whoever keeps a short frame for long copies
/// it ([`keep`](crate::keep) decides that).
#[derive(Clone, Debug)]
pub struct Framer {
    rule: Rule,
    max_frame_len: usize,
    /// Bytes at the front of the input that hold no end of a frame.
    looked: usize,
}

impl Framer {
    /// A framer for `rule`, with frames of at most [`DEFAULT_MAX_FRAME_LEN`] bytes.
    pub const fn new(rule: Rule) -> Self {
        Self { rule, max_frame_len: DEFAULT_MAX_FRAME_LEN, looked: 0 }
    }

    /// The same, with frames of at most `max_frame_len` bytes (at least 1). Delimiters count, line endings and length
    /// prefixes do not.
    pub fn max_frame_len(mut self, max_frame_len: usize) -> Self {
        self.set_max_frame_len(max_frame_len);
        self
    }

    /// Changes the size limit, also after it was exceeded.
    pub fn set_max_frame_len(&mut self, max_frame_len: usize) {
        self.max_frame_len = max_frame_len.max(1);
    }

    /// The rule in force.
    pub const fn rule(&self) -> Rule {
        self.rule
    }

    /// Changes the rule for what comes next. Setting the rule that is already there forgets nothing, so a read that
    /// was given up may simply be asked for again.
    pub fn set_rule(&mut self, rule: Rule) {
        if self.rule != rule {
            self.rule = rule;
            self.looked = 0;
        }
    }

    /// The next frame, or `None` when the input holds no whole one yet.
    ///
    /// `input` is the same buffer at every call, changed by appending alone; whoever takes bytes off it by other ways
    /// calls [`restart`](Self::restart). On an error it is unchanged.
    pub fn decode(&mut self, input: &mut BytesMut) -> Result<Option<BytesMut>, FrameError> {
        // A shorter input than was searched is a buffer that was changed behind our back: search it again.
        if self.looked > input.len() {
            self.looked = 0;
        }
        let Some(cut) = self.cut(input)? else {
            self.looked = input.len();
            return Ok(None);
        };
        self.looked = 0;
        let mut frame = input.split_to(cut.total);
        let _ = frame.split_to(cut.skip);
        frame.truncate(cut.len);
        Ok(Some(frame))
    }

    /// After the end of the stream: the frames that are still whole, one a call, then `None` if nothing is left, or the
    /// error that says how much is. The remainder stays in the input.
    pub fn finish(&mut self, input: &mut BytesMut) -> Result<Option<BytesMut>, FrameError> {
        match self.decode(input)? {
            None if !input.is_empty() => Err(FrameError::UnexpectedEof { remainder: input.len() }),
            frame => Ok(frame),
        }
    }

    /// Forgets how far it looked: needed after bytes were taken off the input by other ways.
    pub fn restart(&mut self) {
        self.looked = 0;
    }

    /// At least how many more bytes the next frame needs; a hint for the size of the next read, never zero and never
    /// more than the size limit asks for.
    pub fn needs(&self, input: &[u8]) -> usize {
        let whole = match self.rule {
            Rule::Exact(n) => n,
            Rule::LengthPrefixed(prefix) => match prefix.payload_len(input) {
                Some(Ok(len)) => prefix.width().saturating_add(usize::try_from(len).unwrap_or(usize::MAX)),
                Some(Err(_)) => 0,
                None => prefix.width(),
            },
            Rule::Until(_) | Rule::Line(_) | Rule::Any => 0,
        };
        whole.saturating_sub(input.len()).clamp(1, self.max_frame_len)
    }

    /// Where the next frame lies.
    fn cut(&self, input: &[u8]) -> Result<Option<Cut>, FrameError> {
        let max = self.max_frame_len;
        match self.rule {
            Rule::Exact(n) => {
                self.check(n as u64)?;
                Ok((input.len() >= n).then_some(Cut::whole(n)))
            }
            Rule::Until(delimiter) => match delimiter.find_end(input, self.looked) {
                Some(end) if end <= max => Ok(Some(Cut::whole(end))),
                // How long it is in the end depends on how much has come: the error must not.
                Some(_) => Err(self.longer()),
                // A frame that ends later is longer than all that is here.
                None if input.len() >= max => Err(self.longer()),
                None => Ok(None),
            },
            Rule::Line(ending) => self.cut_line(ending, input),
            Rule::LengthPrefixed(prefix) => {
                let Some(len) = prefix.payload_len(input).transpose()? else { return Ok(None) };
                self.check(len)?;
                // The check has shown that the length is one of memory.
                let total = prefix.width() + len as usize;
                let cut = Cut { skip: prefix.width(), len: len as usize, total };
                Ok((input.len() >= total).then_some(cut))
            }
            Rule::Any => Ok((!input.is_empty()).then_some(Cut::whole(input.len().min(max)))),
        }
    }

    fn cut_line(&self, ending: LineEnding, input: &[u8]) -> Result<Option<Cut>, FrameError> {
        let end = match ending {
            LineEnding::Lf | LineEnding::Either => {
                memchr(b'\n', &input[self.looked..]).map(|at| self.looked + at + 1)
            }
            LineEnding::CrLf => CRLF.find_end(input, self.looked),
        };
        let Some(total) = end else {
            // A CR at the end may turn out to belong to the ending.
            let open = usize::from(ending != LineEnding::Lf && input.last() == Some(&b'\r'));
            return if input.len() - open > self.max_frame_len { Err(self.longer()) } else { Ok(None) };
        };
        let len = match ending {
            LineEnding::Lf => total - 1,
            LineEnding::CrLf => total - 2,
            LineEnding::Either => total - 1 - usize::from(input[..total - 1].last() == Some(&b'\r')),
        };
        if len > self.max_frame_len { Err(self.longer()) } else { Ok(Some(Cut { skip: 0, len, total })) }
    }

    fn check(&self, len: u64) -> Result<(), FrameError> {
        let max = self.max_frame_len as u64;
        if len > max {
            Err(FrameError::TooLong(LimitExceeded::new("max_frame_len", max, len)))
        } else {
            Ok(())
        }
    }

    fn longer(&self) -> FrameError {
        FrameError::TooLong(LimitExceeded::more_than("max_frame_len", self.max_frame_len as u64))
    }
}

const CRLF: Delimiter = {
    let mut bytes = [0; MAX_DELIMITER_LEN];
    bytes[0] = b'\r';
    bytes[1] = b'\n';
    Delimiter { bytes, len: 2 }
};

/// A frame within the input: `len` bytes after `skip`, and `total` to take off.
struct Cut {
    skip: usize,
    len: usize,
    total: usize,
}

impl Cut {
    const fn whole(len: usize) -> Self {
        Self { skip: 0, len, total: len }
    }
}

#[cfg(test)]
mod tests;
