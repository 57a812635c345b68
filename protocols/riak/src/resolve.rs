//! Making one value of siblings.
//!
//! Siblings are normal in Riak: two writes that did not know of each other are both kept, and whoever reads decides. A
//! resolver is that decision. It should not depend on the order of the siblings, which is the node's choice.

use alloc::vec::Vec;

use crate::object::Content;

/// Makes one content of several.
///
/// Every function from all siblings to one content is a resolver; [`Pairwise`] makes one of a function of two.
pub trait Resolver {
    /// Called with two siblings or more. Tombstones are among them, marked as [`deleted`](Content::deleted): whether a delete
    /// wins against a write is the resolver's choice too.
    fn resolve(&mut self, siblings: Vec<Content>) -> Content;
}

impl<F: FnMut(Vec<Content>) -> Content> Resolver for F {
    fn resolve(&mut self, siblings: Vec<Content>) -> Content {
        self(siblings)
    }
}

/// Resolves two at a time, from left to right: the result of the first two against the third, and so on.
#[derive(Clone, Copy, Debug)]
pub struct Pairwise<F>(pub F);

impl<F: FnMut(Content, Content) -> Content> Resolver for Pairwise<F> {
    fn resolve(&mut self, siblings: Vec<Content>) -> Content {
        siblings.into_iter().reduce(&mut self.0).unwrap_or_default()
    }
}

/// Takes the sibling with the latest time of modification, by the clocks of the nodes that took the writes; of equal
/// times the greater vtag, so that every client chooses the same. The others are lost.
#[derive(Clone, Copy, Debug, Default)]
pub struct LastWriteWins;

impl Resolver for LastWriteWins {
    fn resolve(&mut self, siblings: Vec<Content>) -> Content {
        let latest =
            siblings.into_iter().max_by(|a, b| (a.last_modified, &a.vtag).cmp(&(b.last_modified, &b.vtag)));
        latest.unwrap_or_default()
    }
}

/// Drops tombstones before it asks another resolver: a write wins against a delete it did not know of.
#[derive(Clone, Copy, Debug)]
pub struct KeepWrites<R>(pub R);

impl<R: Resolver> Resolver for KeepWrites<R> {
    fn resolve(&mut self, mut siblings: Vec<Content>) -> Content {
        if siblings.iter().any(|sibling| !sibling.deleted) {
            siblings.retain(|sibling| !sibling.deleted);
        }
        match siblings.len() {
            1 => siblings.swap_remove(0),
            _ => self.0.resolve(siblings),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    #[test]
    fn a_write_wins_against_a_delete() {
        let tombstone = Content { deleted: true, ..Content::default() };
        let siblings = vec![tombstone.clone(), Content::new("live"), tombstone.clone()];
        let unreachable = |_: Vec<Content>| -> Content { unreachable!("one write is left") };
        assert_eq!(KeepWrites(unreachable).resolve(siblings).value, "live");
        let all_gone = vec![tombstone.clone(), tombstone.clone()];
        assert_eq!(KeepWrites(LastWriteWins).resolve(all_gone), tombstone);
    }
}
