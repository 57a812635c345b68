//! Hexadecimal, base64 and base32 with the extended alphabet (RFC 4648), as the presentation format uses them.

use bytes::{BufMut, BytesMut};
use core::fmt;

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const BASE32: &[u8; 32] = b"0123456789abcdefghijklmnopqrstuv";

/// Gathers digits of so many bits into bytes; the digits may come in pieces.
pub(super) struct Bits {
    width: u32,
    value: u32,
    held: u32,
    digits: usize,
    padding: usize,
}

impl Bits {
    pub(super) fn hex() -> Self {
        Self::new(4)
    }

    pub(super) fn base32() -> Self {
        Self::new(5)
    }

    pub(super) fn base64() -> Self {
        Self::new(6)
    }

    fn new(width: u32) -> Self {
        Self { width, value: 0, held: 0, digits: 0, padding: 0 }
    }

    /// Takes one piece; `None` if it has a character that is no digit.
    pub(super) fn piece(&mut self, text: &[u8], out: &mut BytesMut) -> Option<()> {
        for &byte in text {
            if byte == b'=' && self.width == 6 {
                self.padding += 1;
                continue;
            }
            let digit = match (self.width, byte) {
                (6, b'A'..=b'Z') => byte - b'A',
                (6, b'a'..=b'z') => byte - b'a' + 26,
                (6, b'0'..=b'9') => byte - b'0' + 52,
                (6, b'+') => 62,
                (6, b'/') => 63,
                (4 | 5, b'0'..=b'9') => byte - b'0',
                (4, b'a'..=b'f') | (5, b'a'..=b'v') => byte - b'a' + 10,
                (4, b'A'..=b'F') | (5, b'A'..=b'V') => byte - b'A' + 10,
                _ => return None,
            };
            if self.padding > 0 {
                return None;
            }
            self.value = self.value << self.width | u32::from(digit);
            self.held += self.width;
            self.digits += 1;
            if self.held >= 8 {
                self.held -= 8;
                out.put_u8((self.value >> self.held) as u8);
            }
        }
        Some(())
    }

    /// True if the digits made whole bytes, what is left over is zero, and base64 is padded.
    pub(super) fn finish(&self) -> bool {
        let left = self.value & ((1 << self.held) - 1);
        let whole = self.held < self.width && left == 0;
        whole && (self.width != 6 || ((self.digits + self.padding).is_multiple_of(4) && self.padding < 3))
    }
}

pub(super) fn write_hex(f: &mut dyn fmt::Write, bytes: &[u8]) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

pub(super) fn write_base64(f: &mut dyn fmt::Write, bytes: &[u8]) -> fmt::Result {
    for chunk in bytes.chunks(3) {
        let value =
            chunk.iter().fold(0, |value, byte| value << 8 | usize::from(*byte)) << (8 * (3 - chunk.len()));
        for i in 0..4 {
            f.write_char(if i <= chunk.len() {
                char::from(BASE64[value >> (18 - 6 * i) & 63])
            } else {
                '='
            })?;
        }
    }
    Ok(())
}

pub(super) fn write_base32(f: &mut dyn fmt::Write, bytes: &[u8]) -> fmt::Result {
    for chunk in bytes.chunks(5) {
        let mut padded = [0; 8];
        padded[3..3 + chunk.len()].copy_from_slice(chunk);
        let value = u64::from_be_bytes(padded);
        for i in 0..(chunk.len() * 8).div_ceil(5) {
            f.write_char(char::from(BASE32[(value >> (35 - 5 * i) & 31) as usize]))?;
        }
    }
    Ok(())
}
