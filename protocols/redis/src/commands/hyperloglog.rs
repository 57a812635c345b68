//! HyperLogLog: how many different things there were, nearly.

use crate::{Arg, Command, Typed};

/// `PFADD`: true if the estimate may have changed.
pub fn pfadd(key: impl Arg, elements: impl IntoIterator<Item = impl Arg>) -> Typed<bool> {
    Typed::new(Command::new("PFADD").arg(key).args(elements))
}

/// `PFCOUNT`: about how many different elements there were in any of them.
pub fn pfcount(keys: impl IntoIterator<Item = impl Arg>) -> Typed<u64> {
    Typed::new(Command::new("PFCOUNT").args(keys).read_only())
}

/// `PFMERGE`: puts them together.
pub fn pfmerge(to: impl Arg, keys: impl IntoIterator<Item = impl Arg>) -> Typed<()> {
    Typed::new(Command::new("PFMERGE").arg(to).args(keys))
}
