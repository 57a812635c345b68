//! The flat table of an aggregate: one node per element, in the order of the wire.

/// Bytes of one node in a table.
pub(super) const NODE_LEN: usize = 12;

/// What a node stands for. The numbers are private to one process's memory: never on a wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Null,
    Boolean,
    Integer,
    Double,
    BigNumber,
    Simple,
    Bulk,
    Verbatim,
    Error,
    Array,
    Set,
    Push,
    Map,
    Attribute,
}

const KINDS: [Kind; 14] = [
    Kind::Null,
    Kind::Boolean,
    Kind::Integer,
    Kind::Double,
    Kind::BigNumber,
    Kind::Simple,
    Kind::Bulk,
    Kind::Verbatim,
    Kind::Error,
    Kind::Array,
    Kind::Set,
    Kind::Push,
    Kind::Map,
    Kind::Attribute,
];

/// What an aggregate is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AggregateKind {
    /// Elements in order.
    Array,
    /// Keys and values in turn.
    Map,
    /// Elements without order or repetition.
    Set,
    /// Elements that answer no command.
    Push,
}

/// One element: a kind and eight bytes.
///
/// - Integer, Double, Boolean: the value's bits.
/// - Texts: `low` is where the text starts in the frame, `high` its length.
/// - Aggregates: `low` is the number of elements (a map: of keys and values together), `high` the index of the first
///   node behind the whole subtree.
#[derive(Clone, Copy, Debug)]
pub(super) struct Node {
    pub(super) kind: Kind,
    pub(super) low: u32,
    pub(super) high: u32,
}

impl Node {
    #[inline]
    pub(super) fn bits(kind: Kind, bits: u64) -> Self {
        Self { kind, low: bits as u32, high: (bits >> 32) as u32 }
    }

    #[inline]
    pub(super) fn to_bits(self) -> u64 {
        u64::from(self.low) | u64::from(self.high) << 32
    }

    #[inline]
    pub(super) fn text(kind: Kind, start: usize, len: usize) -> Self {
        Self { kind, low: start as u32, high: len as u32 }
    }

    #[inline]
    pub(super) fn to_bytes(self) -> [u8; NODE_LEN] {
        let mut bytes = [0; NODE_LEN];
        bytes[..4].copy_from_slice(&(self.kind as u32).to_le_bytes());
        bytes[4..8].copy_from_slice(&self.low.to_le_bytes());
        bytes[8..].copy_from_slice(&self.high.to_le_bytes());
        bytes
    }

    /// Node `index` of a table that a decoder wrote.
    #[inline]
    pub(super) fn read(table: &[u8], index: usize) -> Self {
        let bytes = &table[index * NODE_LEN..][..NODE_LEN];
        let word = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        Self { kind: KINDS[word(0) as usize % KINDS.len()], low: word(4), high: word(8) }
    }
}
