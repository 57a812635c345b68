//! The keyed hash of the tables.

use glowplug_core::Rng;

/// Multiply-shift over 128 bits, keyed: each word of the key is multiplied by a secret of its own, the products are
/// added, and the upper half is the hash.
///
/// For any two different keys, chosen by whoever does not know the secrets, the pair of hashes is evenly distributed
/// over all pairs (Dietzfelbinger's strongly universal family; the words are fewer bits than the secrets). So a flood of
/// chosen addresses finds chains no longer than random addresses would; and two multiplications cost next to nothing
/// beside the cache miss that follows.
pub(crate) struct KeyedHash<const WORDS: usize> {
    factors: [u128; WORDS],
    addend: u128,
}

impl<const WORDS: usize> KeyedHash<WORDS> {
    pub(crate) fn new(rng: &mut Rng) -> Self {
        let mut wide = || u128::from(rng.u64()) << 64 | u128::from(rng.u64());
        Self { factors: core::array::from_fn(|_| wide()), addend: wide() }
    }

    #[inline]
    pub(crate) fn hash(&self, key: [u64; WORDS]) -> u64 {
        let mut sum = self.addend;
        for (factor, word) in self.factors.iter().zip(key) {
            sum = sum.wrapping_add(factor.wrapping_mul(u128::from(word)));
        }
        (sum >> 64) as u64
    }
}

#[cfg(test)]
mod tests {
    use glowplug_core::Seed;

    use super::*;

    /// Keys as an attacker would choose them, who knows everything but the secrets: the fullest of 4096 buckets, by the
    /// low bits and by the high bits, is no fuller than chance makes it.
    #[test]
    fn chosen_keys_spread_like_random_ones() {
        let patterns: [fn(u64) -> u64; 5] = [
            |i| i,
            |i| i << 16,
            |i| i << 32,
            |i| i.reverse_bits(),
            |i| i.wrapping_mul(0x9e37_79b9_7f4a_7c15),
        ];
        for (number, pattern) in patterns.iter().enumerate() {
            for seed in 0..8 {
                let hash = KeyedHash::<1>::new(&mut Seed::from_u64(seed).rng());
                let (mut low, mut high) = ([0u32; 4096], [0u32; 4096]);
                for i in 0..4096 * 8 {
                    let hash = hash.hash([pattern(i)]);
                    low[hash as usize % 4096] += 1;
                    high[(hash >> 52) as usize] += 1;
                }
                // Eight a bucket on average.
                let fullest = low.iter().chain(&high).max().copied();
                assert!(fullest < Some(120), "pattern {number}, seed {seed}: {fullest:?} in one bucket");
            }
        }
    }
}
