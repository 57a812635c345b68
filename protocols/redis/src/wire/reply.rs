//! What a server answers.

use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use bytes::Bytes;
use glowplug_core::keep;

use super::node::{AggregateKind, Kind, NODE_LEN, Node};

/// One reply, decoded.
///
/// Scalars are held as they are, aggregates as one flat table beside their bytes. [`view`](Self::view) looks at either;
/// [`FromReply`](crate::FromReply) turns either into a type of the caller's choice.
#[derive(Clone)]
pub enum Reply {
    /// Nothing: RESP3's null, RESP2's null bulk string and null array.
    Null,
    /// True or false. RESP3 only.
    Boolean(bool),
    /// A 64-bit integer.
    Integer(i64),
    /// A double. RESP3 only.
    Double(f64),
    /// An integer of any size, in decimal digits. RESP3 only.
    BigNumber(Bytes),
    /// A status such as `OK`.
    Simple(Bytes),
    /// A string of any bytes.
    Bulk(Bytes),
    /// A text with a format of three letters, such as `txt` or `mkd`. RESP3 only.
    Verbatim {
        /// The format.
        format: [u8; 3],
        /// The text.
        text: Bytes,
    },
    /// The server refuses.
    Error(ServerError),
    /// An array, map, set or push with its elements.
    Aggregate(Aggregate),
}

impl Reply {
    pub(super) fn from_bits(kind: Kind, bits: u64) -> Self {
        match kind {
            Kind::Integer => Self::Integer(bits.cast_signed()),
            Kind::Double => Self::Double(f64::from_bits(bits)),
            Kind::Boolean => Self::Boolean(bits != 0),
            _ => Self::Null,
        }
    }

    pub(super) fn from_text(kind: Kind, mut text: Bytes) -> Self {
        match kind {
            Kind::BigNumber => Self::BigNumber(text),
            Kind::Simple => Self::Simple(text),
            Kind::Error => Self::Error(ServerError::from_line(&text)),
            Kind::Verbatim if text.len() >= 4 => {
                let format = [text[0], text[1], text[2]];
                Self::Verbatim { format, text: text.split_off(4) }
            }
            _ => Self::Bulk(text),
        }
    }

    /// A borrowed look at the reply, the same for the whole as for any element.
    pub fn view(&self) -> ReplyRef<'_> {
        match self {
            Self::Null => ReplyRef::Null,
            Self::Boolean(value) => ReplyRef::Boolean(*value),
            Self::Integer(value) => ReplyRef::Integer(*value),
            Self::Double(value) => ReplyRef::Double(*value),
            Self::BigNumber(digits) => ReplyRef::BigNumber(Blob::new(digits, digits)),
            Self::Simple(text) => ReplyRef::Simple(Blob::new(text, text)),
            Self::Bulk(text) => ReplyRef::Bulk(Blob::new(text, text)),
            Self::Verbatim { format, text } => {
                ReplyRef::Verbatim { format: *format, text: Blob::new(text, text) }
            }
            Self::Error(error) => ReplyRef::Error(error.text.as_bytes()),
            Self::Aggregate(aggregate) => aggregate.element(0),
        }
    }

    /// The same in memory of its own: what is kept for long must not hold a read buffer.
    pub(crate) fn detached(&self) -> Self {
        let copied = |text: &Bytes| Bytes::copy_from_slice(text);
        match self {
            Self::BigNumber(digits) => Self::BigNumber(copied(digits)),
            Self::Simple(text) => Self::Simple(copied(text)),
            Self::Bulk(text) => Self::Bulk(copied(text)),
            Self::Verbatim { format, text } => Self::Verbatim { format: *format, text: copied(text) },
            Self::Aggregate(aggregate) => Self::Aggregate(aggregate.subtree(0)),
            Self::Null | Self::Boolean(_) | Self::Integer(_) | Self::Double(_) | Self::Error(_) => {
                self.clone()
            }
        }
    }

    /// How many bytes a detached reply holds beside itself.
    pub(crate) fn held(&self) -> usize {
        match self {
            Self::BigNumber(text) | Self::Simple(text) | Self::Bulk(text) | Self::Verbatim { text, .. } => {
                text.len()
            }
            Self::Error(error) => error.text.len(),
            Self::Aggregate(aggregate) => {
                aggregate.data.len() + aggregate.table.as_ref().map_or(0, |table| table.len())
            }
            Self::Null | Self::Boolean(_) | Self::Integer(_) | Self::Double(_) => 0,
        }
    }

    /// True for a push: it answers no command.
    pub fn is_push(&self) -> bool {
        matches!(self, Self::Aggregate(aggregate) if aggregate.kind() == AggregateKind::Push)
    }

    /// The error, if it is one.
    pub fn as_error(&self) -> Option<&ServerError> {
        match self {
            Self::Error(error) => Some(error),
            _ => None,
        }
    }
}

impl PartialEq for Reply {
    fn eq(&self, other: &Self) -> bool {
        self.view() == other.view()
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.view().fmt(f)
    }
}

/// A server's refusal: the word it begins with and the rest.
///
/// ```
/// use glowplug_redis::wire::ServerError;
/// let error = ServerError::new("WRONGTYPE Operation against a key holding the wrong kind of value");
/// assert_eq!(error.code(), "WRONGTYPE");
/// assert!(error.message().starts_with("Operation"));
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ServerError {
    text: Box<str>,
    code_len: usize,
}

impl ServerError {
    /// An error of the whole line `text`, code first.
    pub fn new(text: impl Into<String>) -> Self {
        let text: Box<str> = text.into().into_boxed_str();
        // Redis: the first word is the code by convention, and is then in capitals.
        let code_len = match text.split([' ', '\n']).next() {
            Some(word) if !word.is_empty() && !word.contains(|c: char| c.is_ascii_lowercase()) => word.len(),
            _ => 0,
        };
        Self { text, code_len }
    }

    pub(crate) fn from_line(line: &[u8]) -> Self {
        Self::new(String::from_utf8_lossy(line))
    }

    /// The first word when it is in capitals: `ERR`, `WRONGTYPE`, `MOVED` ...; else empty.
    pub fn code(&self) -> &str {
        &self.text[..self.code_len]
    }

    /// What comes after the code.
    pub fn message(&self) -> &str {
        self.text[self.code_len..].trim_start()
    }

    /// The whole line.
    pub fn text(&self) -> &str {
        &self.text
    }
}

impl fmt::Debug for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ServerError").field(&self.text).finish()
    }
}

impl fmt::Display for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the server answered: {}", self.text)
    }
}

impl core::error::Error for ServerError {}

/// An array, map, set or push with all that is in it: a flat table of nodes beside the bytes they point into.
#[derive(Clone)]
pub struct Aggregate {
    /// The table when it lies apart; otherwise it lies in front of the bytes in `data`.
    table: Option<Box<[u8]>>,
    data: Bytes,
}

impl Aggregate {
    /// Table and bytes in one allocation, table first.
    pub(super) fn joined(data: Bytes) -> Self {
        Self { table: None, data }
    }

    pub(super) fn apart(table: Vec<u8>, data: Bytes) -> Self {
        Self { table: Some(table.into()), data }
    }

    #[inline]
    fn node(&self, index: usize) -> Node {
        Node::read(self.table.as_deref().unwrap_or(&self.data), index)
    }

    /// Where the texts' offsets count from.
    #[inline]
    fn base(&self) -> usize {
        if self.table.is_none() { self.node(0).high as usize * NODE_LEN } else { 0 }
    }

    fn blob(&self, node: Node) -> Blob<'_> {
        let start = self.base() + node.low as usize;
        Blob::new(&self.data[start..start + node.high as usize], &self.data)
    }

    /// The element whose node is `index`.
    fn element(&self, index: usize) -> ReplyRef<'_> {
        let node = self.node(index);
        match node.kind {
            Kind::Null => ReplyRef::Null,
            Kind::Boolean => ReplyRef::Boolean(node.to_bits() != 0),
            Kind::Integer => ReplyRef::Integer(node.to_bits().cast_signed()),
            Kind::Double => ReplyRef::Double(f64::from_bits(node.to_bits())),
            Kind::BigNumber => ReplyRef::BigNumber(self.blob(node)),
            Kind::Simple => ReplyRef::Simple(self.blob(node)),
            Kind::Bulk => ReplyRef::Bulk(self.blob(node)),
            Kind::Error => ReplyRef::Error(self.blob(node).bytes),
            Kind::Verbatim => {
                let blob = self.blob(node);
                let format = [blob.bytes[0], blob.bytes[1], blob.bytes[2]];
                ReplyRef::Verbatim { format, text: Blob::new(&blob.bytes[4..], &self.data) }
            }
            Kind::Array => ReplyRef::Array(self.elements(index, node)),
            Kind::Set => ReplyRef::Set(self.elements(index, node)),
            Kind::Push => ReplyRef::Push(self.elements(index, node)),
            Kind::Map | Kind::Attribute => ReplyRef::Map(Entries(self.elements(index, node))),
        }
    }

    fn elements(&self, index: usize, node: Node) -> Elements<'_> {
        Elements { aggregate: self, next: index + 1, left: node.low as usize }
    }

    /// What it is.
    pub fn kind(&self) -> AggregateKind {
        match self.node(0).kind {
            Kind::Map => AggregateKind::Map,
            Kind::Set => AggregateKind::Set,
            Kind::Push => AggregateKind::Push,
            _ => AggregateKind::Array,
        }
    }

    /// Its elements in order; those of a map are keys and values in turn.
    pub fn iter(&self) -> Elements<'_> {
        self.elements(0, self.node(0))
    }

    /// How many elements it has; a map twice as many as entries.
    pub fn len(&self) -> usize {
        self.node(0).low as usize
    }

    /// True when it has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// True when no element is an aggregate, so that element `i` is node `i + 1`.
    pub(super) fn is_flat(&self) -> bool {
        let root = self.node(0);
        root.high == root.low + 1
    }

    /// Element `index` of a flat aggregate, at once.
    pub(super) fn flat(&self, index: usize) -> Option<ReplyRef<'_>> {
        (index < self.len()).then(|| self.element(index + 1))
    }

    /// The texts among the nodes of the subtree at `index`, copied with their nodes into an aggregate of its own.
    fn subtree(&self, index: usize) -> Self {
        let end = self.node(index).high as usize;
        let mut table = Vec::with_capacity((end - index) * NODE_LEN);
        let mut text = Vec::new();
        for at in index..end {
            let mut node = self.node(at);
            match node.kind {
                Kind::BigNumber | Kind::Simple | Kind::Bulk | Kind::Verbatim | Kind::Error => {
                    let bytes = self.blob(node).bytes;
                    node.low = text.len() as u32;
                    text.extend_from_slice(bytes);
                }
                Kind::Array | Kind::Set | Kind::Push | Kind::Map | Kind::Attribute => {
                    node.high -= index as u32;
                }
                Kind::Null | Kind::Boolean | Kind::Integer | Kind::Double => {}
            }
            table.extend_from_slice(&node.to_bytes());
        }
        Self::apart(table, text.into())
    }
}

impl PartialEq for Aggregate {
    fn eq(&self, other: &Self) -> bool {
        self.element(0) == other.element(0)
    }
}

impl fmt::Debug for Aggregate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.element(0).fmt(f)
    }
}

impl<'a> IntoIterator for &'a Aggregate {
    type Item = ReplyRef<'a>;
    type IntoIter = Elements<'a>;

    fn into_iter(self) -> Elements<'a> {
        self.iter()
    }
}

/// Bytes inside a reply, borrowed: a slice that knows what holds it.
#[derive(Clone, Copy)]
pub struct Blob<'a> {
    bytes: &'a [u8],
    holder: &'a Bytes,
}

impl<'a> Blob<'a> {
    fn new(bytes: &'a [u8], holder: &'a Bytes) -> Self {
        Self { bytes, holder }
    }

    /// The bytes, for as long as the reply lives.
    pub fn as_slice(self) -> &'a [u8] {
        self.bytes
    }

    /// The bytes to keep: a share of the reply when they are a good part of it, else a copy.
    pub fn to_bytes(self) -> Bytes {
        keep(self.holder.slice_ref(self.bytes), self.holder.len())
    }
}

impl core::ops::Deref for Blob<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.bytes
    }
}

impl PartialEq for Blob<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl fmt::Debug for Blob<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.bytes.escape_ascii())
    }
}

/// A borrowed look at a reply or at one of its elements.
#[derive(Clone, PartialEq)]
pub enum ReplyRef<'a> {
    /// Nothing.
    Null,
    /// True or false.
    Boolean(bool),
    /// A 64-bit integer.
    Integer(i64),
    /// A double.
    Double(f64),
    /// An integer of any size, in decimal digits.
    BigNumber(Blob<'a>),
    /// A status such as `OK`.
    Simple(Blob<'a>),
    /// A string of any bytes.
    Bulk(Blob<'a>),
    /// A text with a format of three letters.
    Verbatim {
        /// The format.
        format: [u8; 3],
        /// The text.
        text: Blob<'a>,
    },
    /// The whole line of an error.
    Error(&'a [u8]),
    /// Elements in order.
    Array(Elements<'a>),
    /// Elements without order.
    Set(Elements<'a>),
    /// Elements that answer no command.
    Push(Elements<'a>),
    /// Keys and values.
    Map(Entries<'a>),
}

impl<'a> ReplyRef<'a> {
    /// The text of a bulk, simple, verbatim or big number.
    pub fn as_bytes(&self) -> Option<&'a [u8]> {
        self.as_blob().map(Blob::as_slice)
    }

    /// As [`as_bytes`](Self::as_bytes), with a way to keep it.
    pub fn as_blob(&self) -> Option<Blob<'a>> {
        match self {
            Self::Bulk(blob) | Self::Simple(blob) | Self::BigNumber(blob) => Some(*blob),
            Self::Verbatim { text, .. } => Some(*text),
            _ => None,
        }
    }

    /// The elements of an array, set or push, or a map's keys and values in turn.
    pub fn elements(&self) -> Option<Elements<'a>> {
        match self {
            Self::Array(elements) | Self::Set(elements) | Self::Push(elements) => Some(elements.clone()),
            Self::Map(entries) => Some(entries.0.clone()),
            _ => None,
        }
    }

    /// The integer, if it is one.
    pub fn as_integer(&self) -> Option<i64> {
        match self {
            Self::Integer(value) => Some(*value),
            _ => None,
        }
    }

    /// A reply of its own. Short texts and all aggregates are copied.
    pub fn to_reply(&self) -> Reply {
        match self {
            Self::Null => Reply::Null,
            Self::Boolean(value) => Reply::Boolean(*value),
            Self::Integer(value) => Reply::Integer(*value),
            Self::Double(value) => Reply::Double(*value),
            Self::BigNumber(digits) => Reply::BigNumber(digits.to_bytes()),
            Self::Simple(text) => Reply::Simple(text.to_bytes()),
            Self::Bulk(text) => Reply::Bulk(text.to_bytes()),
            Self::Verbatim { format, text } => Reply::Verbatim { format: *format, text: text.to_bytes() },
            Self::Error(line) => Reply::Error(ServerError::from_line(line)),
            Self::Array(elements)
            | Self::Set(elements)
            | Self::Push(elements)
            | Self::Map(Entries(elements)) => Reply::Aggregate(elements.aggregate.subtree(elements.next - 1)),
        }
    }
}

impl fmt::Debug for ReplyRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Boolean(value) => value.fmt(f),
            Self::Integer(value) => value.fmt(f),
            Self::Double(value) => value.fmt(f),
            Self::BigNumber(digits) => write!(f, "({}", digits.escape_ascii()),
            Self::Simple(text) => write!(f, "+{}", text.escape_ascii()),
            Self::Bulk(text) => text.fmt(f),
            Self::Verbatim { format, text } => write!(f, "{}:{text:?}", format.escape_ascii()),
            Self::Error(line) => write!(f, "-{}", line.escape_ascii()),
            Self::Array(elements) => f.debug_list().entries(elements.clone()).finish(),
            Self::Set(elements) => f.debug_set().entries(elements.clone()).finish(),
            Self::Push(elements) => {
                f.write_str(">")?;
                f.debug_list().entries(elements.clone()).finish()
            }
            Self::Map(entries) => f.debug_map().entries(entries.clone()).finish(),
        }
    }
}

/// The elements of an aggregate, in order. Skipping one costs the same however much is in it.
#[derive(Clone)]
pub struct Elements<'a> {
    aggregate: &'a Aggregate,
    next: usize,
    left: usize,
}

impl<'a> Iterator for Elements<'a> {
    type Item = ReplyRef<'a>;

    fn next(&mut self) -> Option<ReplyRef<'a>> {
        self.left = self.left.checked_sub(1)?;
        let element = self.aggregate.element(self.next);
        let node = self.aggregate.node(self.next);
        self.next = match node.kind {
            Kind::Array | Kind::Set | Kind::Push | Kind::Map | Kind::Attribute => node.high as usize,
            _ => self.next + 1,
        };
        Some(element)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Elements<'_> {}

impl PartialEq for Elements<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.left == other.left && self.clone().eq(other.clone())
    }
}

impl fmt::Debug for Elements<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.clone()).finish()
    }
}

/// The keys and values of a map, in the order in which they came.
#[derive(Clone)]
pub struct Entries<'a>(Elements<'a>);

impl<'a> Iterator for Entries<'a> {
    type Item = (ReplyRef<'a>, ReplyRef<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        Some((self.0.next()?, self.0.next()?))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.0.left / 2, Some(self.0.left / 2))
    }
}

impl ExactSizeIterator for Entries<'_> {}

impl PartialEq for Entries<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl fmt::Debug for Entries<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.clone()).finish()
    }
}

impl From<&str> for ServerError {
    fn from(text: &str) -> Self {
        Self::new(text.to_owned())
    }
}
