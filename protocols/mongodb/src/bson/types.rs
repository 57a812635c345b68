//! The types that BSON has and Rust has not.

use core::fmt;
use core::str::FromStr;

use glowplug_core::Seed;

use super::Doc;

/// The type of an element: its number on the wire. See <https://bsonspec.org/spec.html>.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
#[allow(missing_docs, reason = "each is described at its variant of Value")]
pub enum ElementType {
    Double = 0x01,
    String = 0x02,
    Document = 0x03,
    Array = 0x04,
    Binary = 0x05,
    Undefined = 0x06,
    ObjectId = 0x07,
    Boolean = 0x08,
    DateTime = 0x09,
    Null = 0x0a,
    Regex = 0x0b,
    DbPointer = 0x0c,
    Code = 0x0d,
    Symbol = 0x0e,
    CodeWithScope = 0x0f,
    Int32 = 0x10,
    Timestamp = 0x11,
    Int64 = 0x12,
    Decimal128 = 0x13,
    MaxKey = 0x7f,
    MinKey = 0xff,
}

impl ElementType {
    /// The type with this number.
    #[inline]
    pub const fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            0x01 => Self::Double,
            0x02 => Self::String,
            0x03 => Self::Document,
            0x04 => Self::Array,
            0x05 => Self::Binary,
            0x06 => Self::Undefined,
            0x07 => Self::ObjectId,
            0x08 => Self::Boolean,
            0x09 => Self::DateTime,
            0x0a => Self::Null,
            0x0b => Self::Regex,
            0x0c => Self::DbPointer,
            0x0d => Self::Code,
            0x0e => Self::Symbol,
            0x0f => Self::CodeWithScope,
            0x10 => Self::Int32,
            0x11 => Self::Timestamp,
            0x12 => Self::Int64,
            0x13 => Self::Decimal128,
            0x7f => Self::MaxKey,
            0xff => Self::MinKey,
            _ => return None,
        })
    }
}

/// Twelve bytes that name a document: seconds since 1970, five random bytes, a counter.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectId([u8; 12]);

impl ObjectId {
    /// The id of these bytes.
    pub const fn from_bytes(bytes: [u8; 12]) -> Self {
        Self(bytes)
    }

    /// The bytes of the id.
    pub const fn bytes(self) -> [u8; 12] {
        self.0
    }

    /// The seconds since 1970 at which it says that it was made.
    pub const fn seconds(self) -> u32 {
        u32::from_be_bytes([self.0[0], self.0[1], self.0[2], self.0[3]])
    }
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&encode_hex(&self.0))
    }
}

impl fmt::Debug for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ObjectId({self})")
    }
}

/// Text that is not 24 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParseObjectIdError;

impl fmt::Display for ParseObjectIdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object id has 24 hexadecimal digits")
    }
}

impl std::error::Error for ParseObjectIdError {}

impl FromStr for ObjectId {
    type Err = ParseObjectIdError;

    fn from_str(text: &str) -> Result<Self, ParseObjectIdError> {
        let mut bytes = [0; 12];
        decode_hex(text.as_bytes(), &mut bytes).ok_or(ParseObjectIdError)?;
        Ok(Self(bytes))
    }
}

/// Two lower-case hexadecimal digits a byte.
pub(crate) fn encode_hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from(b"0123456789abcdef"[usize::from(nibble)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// Fills `bytes` from exactly as many pairs of hexadecimal digits.
pub(crate) fn decode_hex(text: &[u8], bytes: &mut [u8]) -> Option<()> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    if text.len() != bytes.len() * 2 {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        *byte = (digit(pair[0])? << 4 | digit(pair[1])?) as u8;
    }
    Some(())
}

/// Makes object ids that nobody else makes: five bytes and the first counter come from a seed, the time is handed in.
///
/// ```
/// use glowplug_core::Seed;
/// use glowplug_mongodb::bson::ObjectIds;
/// let mut ids = ObjectIds::new(&Seed::from_u64(1));
/// let (one, two) = (ids.next_id(1_700_000_000), ids.next_id(1_700_000_000));
/// assert!(one < two || two.bytes()[9..] == [0; 3]); // the counter goes up, and around
/// ```
#[derive(Clone, Debug)]
pub struct ObjectIds {
    process: [u8; 5],
    counter: u32,
}

impl ObjectIds {
    /// A source of ids.
    pub fn new(seed: &Seed) -> Self {
        let mut rng = seed.rng();
        let mut process = [0; 5];
        rng.fill(&mut process);
        Self { process, counter: rng.u32() & 0xff_ffff }
    }

    /// The next id, for a wall clock that shows `seconds` since 1970.
    pub fn next_id(&mut self, seconds: u32) -> ObjectId {
        let mut bytes = [0; 12];
        bytes[..4].copy_from_slice(&seconds.to_be_bytes());
        bytes[4..9].copy_from_slice(&self.process);
        bytes[9..].copy_from_slice(&self.counter.to_be_bytes()[1..]);
        self.counter = (self.counter + 1) & 0xff_ffff;
        ObjectId(bytes)
    }
}

/// A moment in UTC: milliseconds since 1970, negative before.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DateTime(i64);

impl DateTime {
    /// The moment `millis` milliseconds after 1970 began.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Milliseconds since 1970.
    pub const fn millis(self) -> i64 {
        self.0
    }
}

/// RFC 3339 within the years 1970 to 9999, else the milliseconds.
impl fmt::Debug for DateTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match super::extjson::rfc3339(self.0) {
            Some(text) => write!(f, "DateTime({text})"),
            None => write!(f, "DateTime({} ms)", self.0),
        }
    }
}

/// The server's internal timestamp: seconds since 1970 and a counter within the second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp {
    /// Seconds since 1970.
    pub time: u32,
    /// Which operation of that second.
    pub increment: u32,
}

impl Timestamp {
    /// From the 64 bits of the wire.
    pub const fn from_u64(bits: u64) -> Self {
        Self { time: (bits >> 32) as u32, increment: bits as u32 }
    }

    /// The 64 bits of the wire.
    pub const fn to_u64(self) -> u64 {
        (self.time as u64) << 32 | self.increment as u64
    }
}

/// What some binary data is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BinarySubtype(pub u8);

impl BinarySubtype {
    /// Any bytes.
    pub const GENERIC: Self = Self(0);
    /// A function.
    pub const FUNCTION: Self = Self(1);
    /// Deprecated: any bytes, with a second length inside (which [`Binary`] does not show).
    pub const BINARY_OLD: Self = Self(2);
    /// Deprecated: a UUID in a driver's own byte order.
    pub const UUID_OLD: Self = Self(3);
    /// A UUID in network byte order.
    pub const UUID: Self = Self(4);
    /// An MD5 digest.
    pub const MD5: Self = Self(5);
    /// An encrypted value.
    pub const ENCRYPTED: Self = Self(6);
    /// A compressed column of a time series.
    pub const COLUMN: Self = Self(7);
    /// A value that servers do not log.
    pub const SENSITIVE: Self = Self(8);
    /// A vector of numbers of one type.
    pub const VECTOR: Self = Self(9);
    /// From here on, what users define.
    pub const USER_DEFINED: Self = Self(0x80);
}

/// Bytes with a subtype.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Binary<'a> {
    /// What the bytes are.
    pub subtype: BinarySubtype,
    /// The bytes; of the old subtype 2 without its inner length.
    pub bytes: &'a [u8],
}

/// A regular expression.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Regex<'a> {
    /// The pattern, without zero bytes.
    pub pattern: &'a str,
    /// Letters in alphabetical order, without zero bytes.
    pub options: &'a str,
}

/// Deprecated: a reference to a document in another collection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DbPointer<'a> {
    /// Which collection.
    pub namespace: &'a str,
    /// Which document.
    pub id: ObjectId,
}

/// Deprecated: JavaScript code with the variables it sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CodeWithScope<'a> {
    /// The code.
    pub code: &'a str,
    /// Its variables.
    pub scope: Doc<'a>,
}
