//! Hashing without dice.

use core::hash::{BuildHasher, Hasher};

/// For ids, which are random already, and for tokens, which nobody but their owner chooses.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct IdHash(u64);

impl Hasher for IdHash {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0 << 8 | u64::from(*byte);
        }
    }

    fn write_u64(&mut self, id: u64) {
        self.0 = (self.0 ^ id).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(32);
    }

    fn write_u16(&mut self, id: u16) {
        // The table looks at both ends of the hash.
        self.0 = u64::from(id).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

impl BuildHasher for IdHash {
    type Hasher = Self;

    fn build_hasher(&self) -> Self {
        Self(0)
    }
}
