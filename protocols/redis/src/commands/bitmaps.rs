//! Bits of strings.

use alloc::vec::Vec;

use super::Options;
use crate::{Arg, Command, Typed};

/// What `BITOP` does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BitOperation {
    /// Bits that are set in all.
    And,
    /// Bits that are set in any.
    Or,
    /// Bits that are set in an odd number of them.
    Xor,
    /// Bits that are not set; of one key.
    Not,
}

impl Arg for BitOperation {
    fn push_to(self, command: &mut Command) {
        command.push_copied(match self {
            Self::And => b"AND",
            Self::Or => b"OR",
            Self::Xor => b"XOR",
            Self::Not => b"NOT",
        });
    }
}

/// Whether a range counts bytes or bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BitUnit {
    /// Bytes.
    #[default]
    Byte,
    /// Bits (Redis 7.0).
    Bit,
}

impl Arg for BitUnit {
    fn push_to(self, command: &mut Command) {
        command.push_copied(match self {
            Self::Byte => b"BYTE",
            Self::Bit => b"BIT",
        });
    }
}

/// What a number that does not fit its field becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overflow {
    /// It wraps around.
    Wrap,
    /// It stays at the end of the range.
    Saturate,
    /// Nothing is done, and the answer is nothing.
    Fail,
}

/// Operations of `BITFIELD`, in order. Types are `u8`, `i16` and the like; offsets count bits, or with a `#` fields.
///
/// ```
/// use glowplug_redis::commands::{BitFieldOps, Overflow, bitfield};
/// let ops = BitFieldOps::new().overflow(Overflow::Saturate).incrby("u8", "#0", 300).get("u8", 0);
/// let command = bitfield("key", &ops);
/// ```
#[derive(Clone, Debug)]
pub struct BitFieldOps(Command);

impl BitFieldOps {
    /// No operation.
    pub fn new() -> Self {
        Self(Command::new(""))
    }

    /// The number at `offset`.
    pub fn get(self, kind: &str, offset: impl Arg) -> Self {
        Self(self.0.arg("GET").arg(kind).arg(offset))
    }

    /// Sets the number at `offset`; what it was before.
    pub fn set(self, kind: &str, offset: impl Arg, value: i64) -> Self {
        Self(self.0.arg("SET").arg(kind).arg(offset).arg(value))
    }

    /// Adds to the number at `offset`; what it is then.
    pub fn incrby(self, kind: &str, offset: impl Arg, by: i64) -> Self {
        Self(self.0.arg("INCRBY").arg(kind).arg(offset).arg(by))
    }

    /// What becomes of numbers that do not fit, from here on.
    pub fn overflow(self, overflow: Overflow) -> Self {
        Self(self.0.arg("OVERFLOW").arg(match overflow {
            Overflow::Wrap => "WRAP",
            Overflow::Saturate => "SAT",
            Overflow::Fail => "FAIL",
        }))
    }
}

impl Default for BitFieldOps {
    fn default() -> Self {
        Self::new()
    }
}

impl Options for BitFieldOps {
    fn add_to(&self, command: Command) -> Command {
        command.followed_by(&self.0)
    }
}

/// `GETBIT`: one bit.
pub fn getbit(key: impl Arg, offset: u64) -> Typed<bool> {
    Typed::new(Command::new("GETBIT").arg(key).arg(offset).read_only())
}

/// `SETBIT`: sets one bit; what it was before.
pub fn setbit(key: impl Arg, offset: u64, bit: bool) -> Typed<bool> {
    Typed::new(Command::new("SETBIT").arg(key).arg(offset).arg(bit))
}

/// `BITCOUNT`: how many bits are set.
pub fn bitcount(key: impl Arg) -> Typed<u64> {
    Typed::new(Command::new("BITCOUNT").arg(key).read_only())
}

/// `BITCOUNT` of a range: how many bits are set from `start` to `end`, both included.
pub fn bitcount_range(key: impl Arg, start: i64, end: i64, unit: BitUnit) -> Typed<u64> {
    Typed::new(Command::new("BITCOUNT").arg(key).arg(start).arg(end).arg(unit).read_only())
}

/// `BITOP`: combines strings bit by bit; how long the result is.
pub fn bitop(operation: BitOperation, to: impl Arg, keys: impl IntoIterator<Item = impl Arg>) -> Typed<u64> {
    Typed::new(Command::new("BITOP").arg(operation).arg(to).args(keys))
}

/// `BITPOS`: where the first such bit is; -1 for nowhere.
pub fn bitpos(key: impl Arg, bit: bool) -> Typed<i64> {
    Typed::new(Command::new("BITPOS").arg(key).arg(bit).read_only())
}

/// `BITPOS` of a range: where the first such bit is from `start` to `end`; -1 for nowhere.
pub fn bitpos_range(key: impl Arg, bit: bool, start: i64, end: i64, unit: BitUnit) -> Typed<i64> {
    Typed::new(Command::new("BITPOS").arg(key).arg(bit).arg(start).arg(end).arg(unit).read_only())
}

/// `BITFIELD`: numbers of any width, read and changed; one answer for each operation.
pub fn bitfield(key: impl Arg, ops: &BitFieldOps) -> Typed<Vec<Option<i64>>> {
    Typed::new(Command::new("BITFIELD").arg(key).with(ops))
}

/// `BITFIELD_RO`: as [`bitfield`], with nothing but `get`.
pub fn bitfield_ro(key: impl Arg, ops: &BitFieldOps) -> Typed<Vec<Option<i64>>> {
    Typed::new(Command::new("BITFIELD_RO").arg(key).with(ops).read_only())
}
