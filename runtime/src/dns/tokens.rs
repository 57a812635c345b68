//! Tokens as keys: we give them out ourselves, so nobody can make them collide.

use std::hash::{BuildHasher, Hasher};

/// Hashes a token by one multiplication.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct TokenHash(u64);

impl Hasher for TokenHash {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u64(&mut self, token: u64) {
        // The table looks at both ends of the hash.
        self.0 = (self.0 ^ token).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(32);
    }
}

impl BuildHasher for TokenHash {
    type Hasher = Self;

    fn build_hasher(&self) -> Self {
        Self(0)
    }
}
