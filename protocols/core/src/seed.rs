//! Randomness, handed in.

use core::convert::Infallible;

use chacha20::ChaCha12Rng;
use rand_core::{Rng as _, SeedableRng, TryRng};

/// Thirty-two bytes of randomness that a runtime took from the system, or a test chose.
///
/// A pure crate rolls no dice. Whatever needs to be unpredictable (message ids, nonces, masks, jitter, hash keys) is
/// derived from a seed by a deterministic generator, [`Rng`], so a failing run is repeated by repeating its seed.
/// A seed is secret in production; its `Debug` shows nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct Seed([u8; 32]);

impl Seed {
    /// A seed of the given bytes.
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// A seed for tests, from a small number that a person can type again.
    pub fn from_u64(number: u64) -> Self {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&number.to_le_bytes());
        Self(bytes)
    }

    /// The generator this seed starts.
    pub fn rng(&self) -> Rng {
        Rng(ChaCha12Rng::from_seed(self.0))
    }
}

impl core::fmt::Debug for Seed {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Seed(..)")
    }
}

/// A deterministic, cryptographically secure generator (ChaCha with 12 rounds).
///
/// It implements [`rand_core::Rng`], so the wider ecosystem's distributions work on it.
///
/// ```
/// use glowplug_core::Seed;
/// let (mut one, mut two) = (Seed::from_u64(7).rng(), Seed::from_u64(7).rng());
/// assert_eq!(one.u64(), two.u64());
/// assert!(one.below(10) < 10);
/// ```
pub struct Rng(ChaCha12Rng);

impl Rng {
    /// Sixteen random bits.
    pub fn u16(&mut self) -> u16 {
        self.0.next_u32() as u16
    }

    /// Thirty-two random bits.
    pub fn u32(&mut self) -> u32 {
        self.0.next_u32()
    }

    /// Sixty-four random bits.
    pub fn u64(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// Fills `bytes`.
    pub fn fill(&mut self, bytes: &mut [u8]) {
        self.0.fill_bytes(bytes);
    }

    /// A number below `bound`, each equally likely; 0 when `bound` is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        if bound == 0 {
            return 0;
        }
        // Numbers under the threshold would make the low results likelier: draw again.
        let threshold = bound.wrapping_neg() % bound;
        loop {
            let wide = u128::from(self.u64()) * u128::from(bound);
            if wide as u64 >= threshold {
                return (wide >> 64) as u64;
            }
        }
    }

    /// True `numerator` times out of `denominator`.
    pub fn chance(&mut self, numerator: u64, denominator: u64) -> bool {
        self.below(denominator) < numerator
    }

    /// A seed for another machine, so that one seed serves a whole tree of them.
    pub fn seed(&mut self) -> Seed {
        let mut bytes = [0; 32];
        self.fill(&mut bytes);
        Seed(bytes)
    }
}

impl TryRng for Rng {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(self.u32())
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(self.u64())
    }

    fn try_fill_bytes(&mut self, dst: &mut [u8]) -> Result<(), Infallible> {
        self.fill(dst);
        Ok(())
    }
}

impl core::fmt::Debug for Rng {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Rng(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn below_is_in_range_and_reaches_both_ends() {
        let mut rng = Seed::from_u64(1).rng();
        let mut seen = [false; 5];
        for _ in 0..200 {
            seen[rng.below(5) as usize] = true;
        }
        assert_eq!(seen, [true; 5]);
        assert_eq!(rng.below(0), 0);
        assert_eq!(rng.below(1), 0);
    }

    #[test]
    fn debug_keeps_the_secret() {
        assert_eq!(std::format!("{:?} {:?}", Seed::from_u64(9), Seed::from_u64(9).rng()), "Seed(..) Rng(..)");
    }
}
