//! Bodies as they come in: by length, in chunks, until the end of the connection.
//!
//! ```text
//! Length(n) ──► Done                      UntilClose ──eof──► Done
//! Size ──► Chunk(n) ──► ChunkEnd ──► Size ...
//!   └─ 0 ─► Trailers ──► Done
//! ```
//!
//! RFC 9112 §6 and §7.1.

use bytes::{Bytes, BytesMut};
use glowplug_core::{LimitExceeded, keep};

use crate::error::{Error, Reason};
use crate::event::BodyLength;
use crate::wire::fields::Fields;
use crate::wire::parse::{Rules, limit};
use crate::wire::scan::SectionScan;
use crate::wire::token::{is_tchar, is_value_byte};

/// Reads one body.
#[derive(Debug)]
pub(crate) struct BodyDecoder {
    state: State,
    /// Of the chunk-size line: how far it was searched for its end.
    looked: usize,
    /// Data bytes announced so far; chunked only.
    announced: u64,
    /// Bytes of chunk extensions so far.
    extensions: u64,
}

#[derive(Debug)]
enum State {
    Length(u64),
    UntilClose(u64),
    Size,
    Chunk(u64),
    ChunkEnd,
    Trailers(SectionScan),
    Done,
}

/// What was read.
#[derive(Debug)]
pub(crate) enum Step {
    /// Nothing whole.
    More,
    /// Data is there, but no credit.
    NoCredit,
    Data(Bytes),
    Extensions(Bytes),
    End(Option<Box<Fields>>),
}

impl BodyDecoder {
    fn new(state: State) -> Self {
        Self { state, looked: 0, announced: 0, extensions: 0 }
    }

    pub(crate) fn chunked() -> Self {
        Self::new(State::Size)
    }

    pub(crate) fn until_close() -> Self {
        Self::new(State::UntilClose(0))
    }

    pub(crate) fn known(length: u64) -> Self {
        Self::new(State::Length(length))
    }

    /// A request's body.
    pub(crate) fn of(length: BodyLength) -> Self {
        match length {
            BodyLength::Empty => Self::known(0),
            BodyLength::Known(length) => Self::known(length),
            BodyLength::Unknown => Self::chunked(),
        }
    }

    /// Bytes that are missing for sure.
    pub(crate) fn wanted(&self) -> u64 {
        match self.state {
            State::Length(left) => left.max(1),
            State::Chunk(left) => left.saturating_add(2),
            _ => 1,
        }
    }

    /// What is known to follow.
    pub(crate) fn known_left(&self) -> u64 {
        match self.state {
            State::Length(left) | State::Chunk(left) => left,
            _ => 0,
        }
    }

    /// All that is left of a body of known length, if it is there and the credit suffices.
    pub(crate) fn take_all(&mut self, input: &mut BytesMut, credit: usize) -> Option<Bytes> {
        let State::Length(left) = self.state else { return None };
        let len = usize::try_from(left).ok().filter(|len| *len <= input.len().min(credit))?;
        self.state = State::Done;
        Some(if len == 0 { Bytes::new() } else { take_now(input, len) })
    }

    /// Reads on. At the end of the stream, `eof` ends a body that has no other end.
    pub(crate) fn step(
        &mut self,
        input: &mut BytesMut,
        credit: usize,
        eof: bool,
        rules: Rules<'_>,
        report_extensions: bool,
    ) -> Result<Step, Error> {
        loop {
            match &mut self.state {
                State::Length(0) => self.state = State::Done,
                State::Chunk(0) => self.state = State::ChunkEnd,
                State::Length(left) | State::Chunk(left) => return Ok(take(input, left, credit)),
                State::UntilClose(_) if input.is_empty() && eof => self.state = State::Done,
                State::UntilClose(read) => {
                    // A limit that lies within the input at hand shows when the bytes before it are taken.
                    let max = rules.limits.get().max_body_len();
                    let mut left = max - *read;
                    if left == 0 && !input.is_empty() {
                        return Err(LimitExceeded::more_than("max_body_len", max).into());
                    }
                    let step = take(input, &mut left, credit);
                    *read = max - left;
                    return Ok(step);
                }
                State::Size => match self.size_line(input, rules)? {
                    None => return Ok(Step::More),
                    Some(extensions) if report_extensions && !extensions.is_empty() => {
                        return Ok(Step::Extensions(extensions));
                    }
                    Some(_) => {}
                },
                State::ChunkEnd => {
                    let end = match **input {
                        [b'\r', b'\n', ..] => 2,
                        [b'\n', ..] if rules.leniency.bare_lf => 1,
                        [] | [b'\r'] => return Ok(Step::More),
                        [b'\r', ..] => return Err(Error::peer(1, Reason::ChunkEnd)),
                        _ => return Err(Error::peer(0, Reason::ChunkEnd)),
                    };
                    discard(input, end);
                    self.state = State::Size;
                }
                State::Trailers(scan) => match rules.take_trailers(scan, input)? {
                    None => return Ok(Step::More),
                    Some(fields) => {
                        self.state = State::Done;
                        return Ok(Step::End((!fields.is_empty()).then(|| Box::new(fields))));
                    }
                },
                State::Done => return Ok(Step::End(None)),
            }
        }
    }

    /// Takes a chunk-size line off `input` and returns its extensions (RFC 9112 §7.1).
    fn size_line(&mut self, input: &mut BytesMut, rules: Rules<'_>) -> Result<Option<Bytes>, Error> {
        let max = rules.limits.get().max_chunk_line_len();
        let visible = &input[..input.len().min(max)];
        let Some(found) = memchr::memchr(b'\n', &visible[self.looked..]) else {
            self.looked = visible.len();
            if visible.len() >= max {
                return Err(limit("max_chunk_line_len", max));
            }
            return Ok(None);
        };
        let line_feed = self.looked + found;
        let end = match line_feed.checked_sub(1) {
            Some(before) if visible[before] == b'\r' => before,
            _ if rules.leniency.bare_lf => line_feed,
            _ => return Err(Error::peer(line_feed, Reason::LineEnd)),
        };
        self.looked = 0;
        let (size, digits) = chunk_size(&visible[..end])?;
        let extensions = check_extensions(&visible[digits..end])
            .map_err(|(at, reason)| Error::peer(digits + at, reason))?;

        let limits = rules.limits.get();
        self.announced = self.announced.saturating_add(size);
        if self.announced > limits.max_body_len() {
            return Err(LimitExceeded::new("max_body_len", limits.max_body_len(), self.announced).into());
        }
        self.extensions += (end - digits) as u64;
        if self.extensions > limits.max_chunk_extensions_len() {
            let max = limits.max_chunk_extensions_len();
            return Err(LimitExceeded::more_than("max_chunk_extensions_len", max).into());
        }
        self.state = if size == 0 { State::Trailers(SectionScan::default()) } else { State::Chunk(size) };
        if extensions == 0 {
            discard(input, line_feed + 1);
            return Ok(Some(Bytes::new()));
        }
        let extensions = Bytes::copy_from_slice(&input[end - extensions..end]);
        discard(input, line_feed + 1);
        Ok(Some(extensions))
    }
}

/// Takes up to `left` bytes within `credit` off the front.
fn take(input: &mut BytesMut, left: &mut u64, credit: usize) -> Step {
    let there = input.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
    if there == 0 {
        return Step::More;
    }
    let len = there.min(credit);
    if len == 0 {
        return Step::NoCredit;
    }
    *left -= len as u64;
    Step::Data(take_now(input, len))
}

fn take_now(input: &mut BytesMut, len: usize) -> Bytes {
    let holder = input.capacity();
    // A short piece of a large buffer is copied, so that queued pieces hold no more memory than their credit says.
    keep(input.split_to(len).freeze(), holder)
}

fn discard(input: &mut BytesMut, len: usize) {
    bytes::Buf::advance(input, len);
}

/// The size at the start of a chunk-size line, and how many digits it has: at least one, and no more than fit.
fn chunk_size(line: &[u8]) -> Result<(u64, usize), Error> {
    let mut size = 0u64;
    let mut digits = 0;
    for &byte in line {
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'f' => byte - b'a' + 10,
            b'A'..=b'F' => byte - b'A' + 10,
            _ => break,
        };
        if digits == 16 {
            return Err(Error::peer(digits, Reason::ChunkSize));
        }
        size = size << 4 | u64::from(digit);
        digits += 1;
    }
    if digits == 0 { Err(Error::peer(0, Reason::ChunkSize)) } else { Ok((size, digits)) }
}

/// Checks `*( BWS ";" BWS name [ BWS "=" BWS value ] )` (RFC 9112 §7.1.1) and returns how long it is without the first
/// semicolon and the white space before it.
fn check_extensions(text: &[u8]) -> Result<usize, (usize, Reason)> {
    let mut at = 0;
    let mut first = None;
    let skip_space = |mut at: usize| {
        while matches!(text.get(at), Some(b' ' | b'\t')) {
            at += 1;
        }
        at
    };
    let skip_token = |start: usize| {
        text[start..].iter().position(|&byte| !is_tchar(byte)).map_or(text.len(), |len| start + len)
    };
    while at < text.len() {
        at = skip_space(at);
        if text.get(at) != Some(&b';') {
            // Without a semicolon this belongs to no extension: the size is what is wrong.
            let reason = if first.is_none() { Reason::ChunkSize } else { Reason::ChunkExtension };
            return Err((at, reason));
        }
        first = first.or(Some(at + 1));
        let name = skip_space(at + 1);
        at = skip_token(name);
        if at == name {
            return Err((at, Reason::ChunkExtension));
        }
        let equals = skip_space(at);
        if text.get(equals) != Some(&b'=') {
            continue;
        }
        let value = skip_space(equals + 1);
        at = if text.get(value) == Some(&b'"') { quoted_string(text, value)? } else { skip_token(value) };
        if at == value {
            return Err((at, Reason::ChunkExtension));
        }
    }
    Ok(first.map_or(0, |first| text.len() - first))
}

/// RFC 9110 §5.6.4: the end of the quoted string that begins at `start`.
fn quoted_string(text: &[u8], start: usize) -> Result<usize, (usize, Reason)> {
    let mut at = start + 1;
    loop {
        match text.get(at) {
            Some(b'"') => return Ok(at + 1),
            Some(b'\\') if text.get(at + 1).is_some_and(|&byte| is_value_byte(byte)) => at += 2,
            Some(&byte) if byte != b'\\' && is_value_byte(byte) => at += 1,
            _ => return Err((at, Reason::ChunkExtension)),
        }
    }
}

#[cfg(test)]
mod tests;
