//! How many must agree.

/// How many vnodes must answer: a number, or one of four words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Quorum {
    /// What the bucket says.
    #[default]
    Default,
    /// One.
    One,
    /// More than half.
    Majority,
    /// All of them.
    All,
    /// So many. More than there are copies is refused by the node.
    Count(u32),
}

const ONE: u32 = u32::MAX - 1;
const MAJORITY: u32 = u32::MAX - 2;
const ALL: u32 = u32::MAX - 3;
const DEFAULT: u32 = u32::MAX - 4;

impl From<Quorum> for u32 {
    fn from(quorum: Quorum) -> Self {
        match quorum {
            Quorum::Default => DEFAULT,
            Quorum::One => ONE,
            Quorum::Majority => MAJORITY,
            Quorum::All => ALL,
            Quorum::Count(count) => count,
        }
    }
}

impl From<u32> for Quorum {
    fn from(wire: u32) -> Self {
        match wire {
            DEFAULT => Self::Default,
            ONE => Self::One,
            MAJORITY => Self::Majority,
            ALL => Self::All,
            count => Self::Count(count),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_have_the_numbers_that_clients_send() {
        let words = [Quorum::One, Quorum::Majority, Quorum::All, Quorum::Default];
        let numbers = [4_294_967_294, 4_294_967_293, 4_294_967_292, 4_294_967_291];
        for (word, number) in words.into_iter().zip(numbers) {
            assert_eq!((u32::from(word), Quorum::from(number)), (number, word));
        }
        assert_eq!(Quorum::from(3), Quorum::Count(3));
    }
}
