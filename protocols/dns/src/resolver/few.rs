//! Lists that mostly have one entry.

use alloc::vec::Vec;
use core::ops::Deref;

/// A list whose only entry lies in the value itself, and needs no memory of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Few<T> {
    #[default]
    None,
    One(T),
    /// At least two.
    Many(Vec<T>),
}

impl<T> Few<T> {
    pub(super) fn push(&mut self, entry: T) {
        *self = match core::mem::take(self) {
            Self::None => Self::One(entry),
            Self::One(first) => Self::Many(alloc::vec![first, entry]),
            Self::Many(mut entries) => {
                entries.push(entry);
                Self::Many(entries)
            }
        };
    }
}

impl<T> Deref for Few<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        match self {
            Self::None => &[],
            Self::One(entry) => core::slice::from_ref(entry),
            Self::Many(entries) => entries,
        }
    }
}

impl<T> FromIterator<T> for Few<T> {
    fn from_iter<I: IntoIterator<Item = T>>(entries: I) -> Self {
        let mut few = Self::None;
        entries.into_iter().for_each(|entry| few.push(entry));
        few
    }
}
