//! The server's side of the wire: commands.

use alloc::vec::Vec;
use core::fmt;

use bytes::{Buf, Bytes, BytesMut};
use glowplug_core::LimitExceeded;

use super::decoder::Decoder;
use super::error::{DecodeError, DecodeErrorKind};
use super::limits::Limits;
use super::node::{Kind, NODE_LEN, Node};
use super::reply::{Aggregate, Reply, ReplyRef};

/// Takes commands off the front of a buffer: arrays of bulk strings, or lines typed by hand.
///
/// As [`Decoder`], it leaves what is incomplete in place and remembers how far it looked. Empty commands (a bare line
/// end, `*0`) are skipped, as Redis does.
#[derive(Debug)]
pub struct CommandDecoder {
    arrays: Decoder,
    max_line_len: usize,
    max_elements: usize,
    /// How far an inline command was searched for its end.
    scanned: usize,
    /// An array has begun.
    in_array: bool,
    failed: Option<DecodeError>,
}

impl CommandDecoder {
    /// A decoder that has seen nothing. Commands never nest, so `max_depth` does not matter.
    pub fn new(limits: Limits) -> Self {
        Self {
            arrays: Decoder::new(limits.max_depth(1)),
            max_line_len: limits.max_line_len,
            max_elements: limits.max_elements,
            scanned: 0,
            in_array: false,
            failed: None,
        }
    }

    /// At least this many more bytes are needed for the command that has begun; never less than 1.
    pub fn needed(&self) -> usize {
        if self.in_array { self.arrays.needed() } else { 1 }
    }

    /// Takes the next command off the front of `input`; `Ok(None)` when it is incomplete, and then leaves it there.
    /// After an error it returns that error for ever.
    pub fn decode(&mut self, input: &mut BytesMut) -> Result<Option<ReceivedCommand>, DecodeError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let result = self.advance(input);
        self.failed = result.as_ref().err().copied();
        result
    }

    fn advance(&mut self, input: &mut BytesMut) -> Result<Option<ReceivedCommand>, DecodeError> {
        loop {
            let Some(&first) = input.first() else { return Ok(None) };
            if self.in_array || first == b'*' {
                self.in_array = true;
                let Some(reply) = self.arrays.decode(input)? else { return Ok(None) };
                self.in_array = false;
                match reply {
                    Reply::Aggregate(args) if args.is_empty() => {}
                    Reply::Aggregate(args) => return ReceivedCommand::new(args).map(Some),
                    _ => {}
                }
                continue;
            }
            let Some(found) = memchr::memchr(b'\n', &input[self.scanned..]) else {
                self.scanned = input.len();
                self.check_line(input.len())?;
                return Ok(None);
            };
            let len = self.scanned + found;
            self.check_line(len)?;
            self.scanned = 0;
            let line = input[..len].strip_suffix(b"\r").unwrap_or(&input[..len]);
            let args = split_line(line)?;
            if args.len() > self.max_elements {
                let limit = LimitExceeded::new("max_elements", self.max_elements as u64, args.len() as u64);
                return Err(DecodeError::new(0, DecodeErrorKind::Limit(limit)));
            }
            input.advance(len + 1);
            if !args.is_empty() {
                return Ok(Some(ReceivedCommand::from_args(&args)));
            }
        }
    }

    fn check_line(&self, len: usize) -> Result<(), DecodeError> {
        if len > self.max_line_len {
            let limit = LimitExceeded::more_than("max_line_len", self.max_line_len as u64);
            return Err(DecodeError::new(0, DecodeErrorKind::Limit(limit)));
        }
        Ok(())
    }
}

/// A command as a server receives it: a name and arguments, all of them bytes.
#[derive(Clone, PartialEq)]
pub struct ReceivedCommand(Aggregate);

impl ReceivedCommand {
    fn new(args: Aggregate) -> Result<Self, DecodeError> {
        let fault = |byte| Err(DecodeError::new(0, DecodeErrorKind::ExpectedBulk(byte)));
        for arg in &args {
            match arg {
                ReplyRef::Bulk(_) => {}
                ReplyRef::Integer(_) => return fault(b':'),
                ReplyRef::Simple(_) => return fault(b'+'),
                ReplyRef::Error(_) => return fault(b'-'),
                ReplyRef::Null => return Err(DecodeError::new(0, DecodeErrorKind::InvalidLength)),
                _ => return fault(b'*'),
            }
        }
        debug_assert!(args.is_flat());
        Ok(Self(args))
    }

    /// A command of the given name and arguments, as if it had been received.
    pub fn from_args<A: AsRef<[u8]>>(args: &[A]) -> Self {
        let text_len: usize = args.iter().map(|arg| arg.as_ref().len()).sum();
        let nodes = args.len() + 1;
        let mut owned = Vec::with_capacity(nodes * NODE_LEN + text_len);
        let root = Node { kind: Kind::Array, low: args.len() as u32, high: nodes as u32 };
        owned.extend_from_slice(&root.to_bytes());
        let mut at = 0;
        for arg in args {
            owned.extend_from_slice(&Node::text(Kind::Bulk, at, arg.as_ref().len()).to_bytes());
            at += arg.as_ref().len();
        }
        for arg in args {
            owned.extend_from_slice(arg.as_ref());
        }
        Self(Aggregate::joined(owned.into()))
    }

    /// The command's name as it was sent, in whatever case.
    pub fn name(&self) -> &[u8] {
        self.get(0).unwrap_or_default()
    }

    /// True when the name is `name`, whatever the case.
    pub fn is(&self, name: &str) -> bool {
        self.name().eq_ignore_ascii_case(name.as_bytes())
    }

    /// How many arguments there are, the name included: at least 1.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Never true: an empty command is no command.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Argument `index`; the name is argument 0.
    pub fn get(&self, index: usize) -> Option<&[u8]> {
        self.0.flat(index).and_then(|arg| arg.as_bytes())
    }

    /// Argument `index`, to keep: a share of the command when it is a good part of it, else a copy.
    pub fn bytes(&self, index: usize) -> Option<Bytes> {
        self.0.flat(index).and_then(|arg| arg.as_blob()).map(super::Blob::to_bytes)
    }

    /// All arguments, the name first.
    pub fn args(&self) -> impl Iterator<Item = &[u8]> {
        self.0.iter().filter_map(|arg| arg.as_bytes())
    }
}

impl fmt::Debug for ReceivedCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Splits an inline command: words, `"..."` with escapes, `'...'` with `\'` alone, as Redis' `sdssplitargs`.
fn split_line(line: &[u8]) -> Result<Vec<Vec<u8>>, DecodeError> {
    let mut args = Vec::new();
    let mut at = 0;
    loop {
        while line.get(at).is_some_and(u8::is_ascii_whitespace) {
            at += 1;
        }
        if at == line.len() {
            return Ok(args);
        }
        let mut arg = Vec::new();
        while let Some(&byte) = line.get(at) {
            match byte {
                _ if byte.is_ascii_whitespace() => break,
                b'"' | b'\'' => {
                    at = quoted(line, at, &mut arg)?;
                    if line.get(at).is_some_and(|next| !next.is_ascii_whitespace()) {
                        return Err(DecodeError::new(at, DecodeErrorKind::UnbalancedQuotes));
                    }
                    break;
                }
                _ => arg.push(byte),
            }
            at += 1;
        }
        args.push(arg);
    }
}

/// Reads a quoted text that opens at `at`; returns the offset behind the closing quote.
fn quoted(line: &[u8], open: usize, arg: &mut Vec<u8>) -> Result<usize, DecodeError> {
    let quote = line[open];
    let mut at = open + 1;
    while let Some(&byte) = line.get(at) {
        if byte == quote {
            return Ok(at + 1);
        }
        let escaped = line.get(at + 1).copied();
        match (byte, escaped) {
            (b'\\', Some(b'x')) if quote == b'"' => match line.get(at + 2..at + 4).and_then(hex) {
                Some(value) => {
                    arg.push(value);
                    at += 4;
                    continue;
                }
                None => arg.push(b'x'),
            },
            (b'\\', Some(escaped)) if quote == b'"' => arg.push(match escaped {
                b'n' => b'\n',
                b'r' => b'\r',
                b't' => b'\t',
                b'b' => 8,
                b'a' => 7,
                other => other,
            }),
            (b'\\', Some(b'\'')) => arg.push(b'\''),
            _ => {
                arg.push(byte);
                at += 1;
                continue;
            }
        }
        at += 2;
    }
    Err(DecodeError::new(open, DecodeErrorKind::UnbalancedQuotes))
}

fn hex(digits: &[u8]) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    Some((digit(digits[0])? * 16 + digit(digits[1])?) as u8)
}
