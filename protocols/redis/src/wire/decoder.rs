//! The reply decoder: iterative, resumable, bounded.

use alloc::vec::Vec;

use bytes::{Buf, Bytes, BytesMut};
use glowplug_core::LimitExceeded;

use super::error::{DecodeError, DecodeErrorKind};
use super::limits::Limits;
use super::node::{Kind, NODE_LEN, Node};
use super::number;
use super::reply::{Aggregate, Reply, ServerError};

/// A length or integer line has at most a sign and nineteen digits; a longer one is refused before its end is seen.
const MAX_NUMBER_LEN: usize = 20;

/// Once a decoder's own tables grew beyond this many entries, it gives the memory back after the frame.
const KEPT_NODES: usize = 4096;

/// Takes replies off the front of a buffer.
///
/// An incomplete reply stays in the buffer, and the decoder remembers how far it looked: bytes are read once, however
/// small the pieces are in which they come (a number's line of up to 20 bytes excepted). Nesting costs no stack. After
/// an error the decoder returns that error for ever.
#[derive(Debug)]
pub struct Decoder {
    limits: Limits,
    /// Where the next element begins.
    pos: usize,
    /// How far the line at `pos` was searched for its end.
    scanned: usize,
    /// A bulk string whose header was read: its kind, where its text starts, its length.
    bulk: Option<(Kind, usize, usize)>,
    /// The elements so far, when the reply is an aggregate.
    nodes: Vec<Node>,
    /// The aggregates that wait for elements, outermost first.
    open: Vec<Open>,
    /// Elements announced by all headers of this frame so far.
    announced: usize,
    /// Bytes that are known to be missing.
    needed: usize,
    /// The size of the buffer that holds the input, as far as it can be known.
    holder: usize,
    /// The input's capacity when it was last seen: when it has grown, the buffer is another.
    capacity: usize,
    failed: Option<DecodeError>,
}

#[derive(Clone, Copy, Debug)]
struct Open {
    node: usize,
    left: usize,
}

/// One element's header, or a whole scalar.
enum Item {
    /// A scalar without a text.
    Bits(Kind, u64),
    /// A text: where it starts, and its length.
    Text(Kind, usize, usize),
    /// An aggregate and how many elements follow.
    Aggregate(Kind, usize),
}

impl Decoder {
    /// A decoder that has seen nothing.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            pos: 0,
            scanned: 0,
            bulk: None,
            nodes: Vec::new(),
            open: Vec::new(),
            announced: 0,
            needed: 1,
            holder: 0,
            capacity: 0,
            failed: None,
        }
    }

    /// At least this many more bytes are needed for the reply that has begun; never less than 1.
    pub fn needed(&self) -> usize {
        self.needed
    }

    /// Takes the next reply off the front of `input`; `Ok(None)` when it is incomplete, and then leaves it there.
    ///
    /// The same buffer has to be given each time, with bytes only ever added at its end.
    pub fn decode(&mut self, input: &mut BytesMut) -> Result<Option<Reply>, DecodeError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let capacity = input.capacity();
        if capacity > self.capacity {
            self.holder = capacity;
        }
        if let Some(text) = self.short_text(input) {
            // A view that was advanced is that much shorter.
            self.capacity = input.capacity();
            return Ok(Some(Reply::Bulk(text)));
        }
        self.decode_any(input)
    }

    /// The most frequent reply by far: a whole short bulk string.
    #[inline]
    fn short_text(&mut self, input: &mut BytesMut) -> Option<Bytes> {
        if self.pos > 0 || self.bulk.is_some() {
            return None;
        }
        let (len, start) = match **input {
            [b'$', a @ b'0'..=b'9', b'\r', b'\n', ..] => (usize::from(a - b'0'), 4),
            [b'$', a @ b'0'..=b'9', b @ b'0'..=b'9', b'\r', b'\n', ..] => {
                (usize::from(a - b'0') * 10 + usize::from(b - b'0'), 5)
            }
            [b'$', a @ b'0'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9', b'\r', b'\n', ..] => {
                (usize::from(a - b'0') * 100 + usize::from(b - b'0') * 10 + usize::from(c - b'0'), 6)
            }
            _ => return None,
        };
        let end = start + len;
        let whole = input.get(end..end + 2) == Some(b"\r\n");
        if !whole || len > self.limits.max_bulk_len || len >= self.holder / 4 {
            return None;
        }
        let text = Bytes::copy_from_slice(&input[start..end]);
        input.advance(end + 2);
        self.needed = 1;
        Some(text)
    }

    fn decode_any(&mut self, input: &mut BytesMut) -> Result<Option<Reply>, DecodeError> {
        let result = self.advance(input);
        self.capacity = input.capacity();
        if let Err(error) = result {
            self.failed = Some(error);
            self.nodes = Vec::new();
            self.open = Vec::new();
        }
        result
    }

    fn advance(&mut self, input: &mut BytesMut) -> Result<Option<Reply>, DecodeError> {
        loop {
            let Some(item) = self.item(input)? else {
                // A frame may not outgrow its limit while it is incomplete, either.
                self.check_frame_len(self.pos.saturating_add(self.needed))?;
                return Ok(None);
            };
            self.check_frame_len(self.pos)?;
            match item {
                Item::Bits(kind, bits) if self.open.is_empty() => {
                    input.advance(self.pos);
                    self.reset();
                    return Ok(Some(Reply::from_bits(kind, bits)));
                }
                Item::Text(kind, start, len) if self.open.is_empty() => {
                    return Ok(Some(self.take_text(input, kind, start, len)));
                }
                Item::Bits(kind, bits) => self.nodes.push(Node::bits(kind, bits)),
                Item::Text(kind, start, len) => self.nodes.push(Node::text(kind, start, len)),
                Item::Aggregate(kind, count) => {
                    self.begin(kind, count)?;
                    if count > 0 {
                        continue;
                    }
                    if self.end_aggregate() {
                        return Ok(Some(self.take_aggregate(input)));
                    }
                    if kind == Kind::Attribute {
                        continue;
                    }
                }
            }
            if self.end_element() {
                return Ok(Some(self.take_aggregate(input)));
            }
        }
    }

    fn check_frame_len(&self, len: usize) -> Result<(), DecodeError> {
        let max = self.limits.max_reply_len;
        if len > max {
            return Err(self.limit("max_reply_len", max, len));
        }
        Ok(())
    }

    /// Opens an aggregate after checking depth and number of elements; nothing is reserved for them.
    fn begin(&mut self, kind: Kind, count: usize) -> Result<(), DecodeError> {
        if kind == Kind::Push && !self.open.is_empty() {
            return Err(self.error(DecodeErrorKind::NestedPush));
        }
        if self.open.len() >= self.limits.max_depth {
            return Err(self.limit("max_depth", self.limits.max_depth, self.open.len() + 1));
        }
        self.announced = self.announced.saturating_add(count);
        if self.announced > self.limits.max_elements {
            return Err(self.limit("max_elements", self.limits.max_elements, self.announced));
        }
        self.open.push(Open { node: self.nodes.len(), left: count });
        self.nodes.push(Node { kind, low: count as u32, high: 0 });
        Ok(())
    }

    /// An element is complete, and with it perhaps the aggregates around it. True when the whole frame is.
    #[inline]
    fn end_element(&mut self) -> bool {
        while let Some(open) = self.open.last_mut() {
            open.left -= 1;
            if open.left > 0 {
                return false;
            }
            let attribute = self.nodes[open.node].kind == Kind::Attribute;
            if self.end_aggregate() {
                return true;
            }
            if attribute {
                // It is no element: what it belongs to comes next.
                return false;
            }
        }
        false
    }

    /// The innermost open aggregate has all its elements. True when it was the frame itself.
    fn end_aggregate(&mut self) -> bool {
        let Some(Open { node, .. }) = self.open.pop() else { return false };
        if self.nodes[node].kind == Kind::Attribute {
            self.nodes.truncate(node);
            return false;
        }
        self.nodes[node].high = self.nodes.len() as u32;
        self.open.is_empty()
    }

    /// Cuts a text off the input: a copy when it is short against the buffer, else a slice.
    #[inline]
    fn take_text(&mut self, input: &mut BytesMut, kind: Kind, start: usize, len: usize) -> Reply {
        let text = &input[start..start + len];
        let reply = match kind {
            Kind::Error => Reply::Error(ServerError::from_line(text)),
            Kind::Simple => Reply::Simple(match text {
                b"OK" => Bytes::from_static(b"OK"),
                b"QUEUED" => Bytes::from_static(b"QUEUED"),
                b"PONG" => Bytes::from_static(b"PONG"),
                _ => Bytes::copy_from_slice(text),
            }),
            _ if len < self.holder / 4 => Reply::from_text(kind, Bytes::copy_from_slice(text)),
            _ => {
                let frame = input.split_to(self.pos).freeze();
                self.reset();
                return Reply::from_text(kind, frame.slice(start..start + len));
            }
        };
        input.advance(self.pos);
        self.reset();
        reply
    }

    /// Cuts an aggregate off the input: one allocation, for the table alone or for the table and a copy of the bytes.
    fn take_aggregate(&mut self, input: &mut BytesMut) -> Reply {
        let table_len = self.nodes.len() * NODE_LEN;
        let copies = self.pos < self.holder / 4;
        let mut owned = Vec::with_capacity(if copies { table_len + self.pos } else { table_len });
        for node in &self.nodes {
            owned.extend_from_slice(&node.to_bytes());
        }
        let aggregate = if copies {
            owned.extend_from_slice(&input[..self.pos]);
            input.advance(self.pos);
            Aggregate::joined(owned.into())
        } else {
            Aggregate::apart(owned, input.split_to(self.pos).freeze())
        };
        self.reset();
        Reply::Aggregate(aggregate)
    }

    fn reset(&mut self) {
        self.pos = 0;
        self.scanned = 0;
        self.announced = 0;
        self.needed = 1;
        self.nodes.clear();
        if self.nodes.capacity() > KEPT_NODES {
            self.nodes = Vec::new();
        }
    }

    /// Reads one element at `pos` and moves `pos` behind it.
    #[inline]
    fn item(&mut self, input: &[u8]) -> Result<Option<Item>, DecodeError> {
        if let Some((kind, start, len)) = self.bulk {
            return self.bulk_body(input, kind, start, len);
        }
        let Some(&first) = input.get(self.pos) else {
            self.needed = 1;
            return Ok(None);
        };
        match first {
            b'$' => self.bulk_header(input, Kind::Bulk),
            b':' => {
                let Some((number, next)) = self.number(input, DecodeErrorKind::InvalidInteger)? else {
                    return Ok(None);
                };
                self.pos = next;
                Ok(Some(Item::Bits(Kind::Integer, number.cast_unsigned())))
            }
            b'*' => self.aggregate_header(input, Kind::Array),
            b'%' => self.aggregate_header(input, Kind::Map),
            b'~' => self.aggregate_header(input, Kind::Set),
            b'>' => self.aggregate_header(input, Kind::Push),
            b'|' => self.aggregate_header(input, Kind::Attribute),
            b'=' => self.bulk_header(input, Kind::Verbatim),
            b'!' => self.bulk_header(input, Kind::Error),
            b'+' | b'-' | b',' | b'#' | b'_' | b'(' => self.line(input, first),
            other => Err(self.error(DecodeErrorKind::UnknownType(other))),
        }
    }

    #[inline]
    fn bulk_header(&mut self, input: &[u8], kind: Kind) -> Result<Option<Item>, DecodeError> {
        let Some((len, start)) = self.number(input, DecodeErrorKind::InvalidLength)? else {
            return Ok(None);
        };
        let Ok(len) = usize::try_from(len) else {
            // Null, in RESP2. The other negative numbers mean nothing.
            if len == -1 && kind == Kind::Bulk {
                self.pos = start;
                return Ok(Some(Item::Bits(Kind::Null, 0)));
            }
            return Err(self.error(DecodeErrorKind::InvalidLength));
        };
        if len > self.limits.max_bulk_len {
            return Err(self.limit("max_bulk_len", self.limits.max_bulk_len, len));
        }
        if kind == Kind::Verbatim && len < 4 {
            return Err(self.error(DecodeErrorKind::InvalidVerbatim));
        }
        self.bulk_body(input, kind, start, len)
    }

    #[inline]
    fn bulk_body(
        &mut self,
        input: &[u8],
        kind: Kind,
        start: usize,
        len: usize,
    ) -> Result<Option<Item>, DecodeError> {
        let end = start + len;
        match input.get(end..end + 2) {
            Some(b"\r\n") => {}
            Some(_) => return Err(DecodeError::new(end, DecodeErrorKind::MissingLineEnd)),
            None => {
                self.bulk = Some((kind, start, len));
                self.needed = end + 2 - input.len();
                self.check_frame_len(end + 2)?;
                return Ok(None);
            }
        }
        if kind == Kind::Verbatim && input[start + 3] != b':' {
            return Err(DecodeError::new(start, DecodeErrorKind::InvalidVerbatim));
        }
        self.bulk = None;
        self.pos = end + 2;
        Ok(Some(Item::Text(kind, start, len)))
    }

    fn aggregate_header(&mut self, input: &[u8], kind: Kind) -> Result<Option<Item>, DecodeError> {
        let Some((count, next)) = self.number(input, DecodeErrorKind::InvalidLength)? else {
            return Ok(None);
        };
        let Ok(count) = usize::try_from(count) else {
            if count == -1 && kind == Kind::Array {
                self.pos = next;
                return Ok(Some(Item::Bits(Kind::Null, 0)));
            }
            return Err(self.error(DecodeErrorKind::InvalidLength));
        };
        let count = match kind {
            Kind::Map | Kind::Attribute => count.saturating_mul(2),
            _ => count,
        };
        self.pos = next;
        Ok(Some(Item::Aggregate(kind, count)))
    }

    /// The number between the type byte at `pos` and CR LF, and the offset behind them.
    #[inline]
    fn number(&mut self, input: &[u8], kind: DecodeErrorKind) -> Result<Option<(i64, usize)>, DecodeError> {
        let text = &input[self.pos + 1..];
        // One digit or more, then CR LF: by far the most frequent, and parsed in the same pass.
        let mut value: u64 = 0;
        for (at, &byte) in text.iter().enumerate().take(MAX_NUMBER_LEN + 1) {
            let digit = byte.wrapping_sub(b'0');
            if digit < 10 && at < 18 {
                value = value * 10 + u64::from(digit);
                continue;
            }
            if byte == b'\r' && at > 0 {
                return match text.get(at + 1) {
                    Some(b'\n') => Ok(Some((value.cast_signed(), self.pos + at + 3))),
                    Some(_) => Err(self.error_behind(at + 1, DecodeErrorKind::MissingLineEnd)),
                    None => Ok(self.more(1)),
                };
            }
            return self.unusual_number(text, kind);
        }
        Ok(self.more(2))
    }

    /// A number with a sign or with as many digits as fit.
    fn unusual_number(
        &mut self,
        text: &[u8],
        kind: DecodeErrorKind,
    ) -> Result<Option<(i64, usize)>, DecodeError> {
        if text.starts_with(b"?") && kind == DecodeErrorKind::InvalidLength {
            return Err(self.error(DecodeErrorKind::Streamed));
        }
        let window = &text[..text.len().min(MAX_NUMBER_LEN + 1)];
        let Some(len) = memchr::memchr(b'\r', window) else {
            let plausible = window
                .iter()
                .enumerate()
                .all(|(at, byte)| byte.is_ascii_digit() || (at == 0 && matches!(byte, b'-' | b'+')));
            if plausible && window.len() <= MAX_NUMBER_LEN {
                return Ok(self.more(2));
            }
            return Err(self.error(kind));
        };
        let number = number::parse_i64(&text[..len]).ok_or_else(|| self.error(kind))?;
        match text.get(len + 1) {
            Some(b'\n') => Ok(Some((number, self.pos + len + 3))),
            Some(_) => Err(self.error_behind(len + 1, DecodeErrorKind::MissingLineEnd)),
            None => Ok(self.more(1)),
        }
    }

    /// A type whose value is the rest of a line.
    fn line(&mut self, input: &[u8], first: u8) -> Result<Option<Item>, DecodeError> {
        let start = self.pos + 1;
        let from = self.scanned.max(start);
        let max = self.limits.max_line_len;
        let Some(found) = memchr::memchr(b'\r', &input[from..]) else {
            if input.len() - start > max {
                return Err(
                    self.error(DecodeErrorKind::Limit(LimitExceeded::more_than("max_line_len", max as u64)))
                );
            }
            self.scanned = input.len();
            return Ok(self.more(2));
        };
        let end = from + found;
        if end - start > max {
            return Err(self.limit("max_line_len", max, end - start));
        }
        match input.get(end + 1) {
            Some(b'\n') => {}
            Some(_) => return Err(DecodeError::new(end, DecodeErrorKind::MissingLineEnd)),
            None => {
                self.scanned = end;
                return Ok(self.more(1));
            }
        }
        let text = &input[start..end];
        let item = match first {
            b'+' => Item::Text(Kind::Simple, start, text.len()),
            b'-' => Item::Text(Kind::Error, start, text.len()),
            b'(' => {
                let digits = text.strip_prefix(b"-").or(text.strip_prefix(b"+")).unwrap_or(text);
                if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
                    return Err(self.error(DecodeErrorKind::InvalidBigNumber));
                }
                Item::Text(Kind::BigNumber, start, text.len())
            }
            b',' => {
                let number =
                    number::parse_f64(text).ok_or_else(|| self.error(DecodeErrorKind::InvalidDouble))?;
                Item::Bits(Kind::Double, number.to_bits())
            }
            b'#' => match text {
                b"t" => Item::Bits(Kind::Boolean, 1),
                b"f" => Item::Bits(Kind::Boolean, 0),
                _ => return Err(self.error(DecodeErrorKind::InvalidBoolean)),
            },
            _ if text.is_empty() => Item::Bits(Kind::Null, 0),
            _ => return Err(self.error(DecodeErrorKind::InvalidLength)),
        };
        self.pos = end + 2;
        self.scanned = 0;
        Ok(Some(item))
    }

    fn more<T>(&mut self, needed: usize) -> Option<T> {
        self.needed = needed;
        None
    }

    fn error(&self, kind: DecodeErrorKind) -> DecodeError {
        DecodeError::new(self.pos, kind)
    }

    /// An error at `at` bytes behind the type byte.
    fn error_behind(&self, at: usize, kind: DecodeErrorKind) -> DecodeError {
        DecodeError::new(self.pos + 1 + at, kind)
    }

    fn limit(&self, name: &'static str, max: usize, seen: usize) -> DecodeError {
        self.error(DecodeErrorKind::Limit(LimitExceeded::new(name, max as u64, seen as u64)))
    }
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new(Limits::default())
    }
}
