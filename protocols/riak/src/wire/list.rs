//! Repeated fields.

use alloc::vec::{self, Vec};
use core::fmt;
use core::iter::{Chain, Take};
use core::ops::{Index, IndexMut};

use super::Clear;

/// The values of a repeated field: the first lies inside, the others on the heap.
///
/// Most repeated fields of Riak hold one value or none (one content, one link, one index), so the common message is
/// decoded without an allocation. A list that is [cleared](Self::clear) keeps the memory of its elements, and of the
/// lists inside them, for the next message.
#[derive(Default)]
pub struct List<T> {
    first: T,
    /// What follows `first`. May be longer than `len - 1`: cleared elements wait here to be used again.
    rest: Vec<T>,
    len: usize,
}

impl<T: Default> List<T> {
    /// An empty list, which owns no memory.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends `value`.
    pub fn push(&mut self, value: T) {
        *self.grow() = value;
    }

    /// Appends a blank element (perhaps one that was cleared before) and gives it to be filled.
    pub fn grow(&mut self) -> &mut T {
        self.len += 1;
        let Some(at) = self.len.checked_sub(2) else { return &mut self.first };
        if at == self.rest.len() {
            self.rest.push(T::default());
        }
        &mut self.rest[at]
    }
}

impl<T> List<T> {
    /// Everything, in order, as a vector. The memory of the elements but the first is taken over.
    pub fn into_vec(self) -> Vec<T> {
        let Self { first, mut rest, len } = self;
        rest.truncate(len.saturating_sub(1));
        if len > 0 {
            rest.insert(0, first);
        }
        rest
    }

    /// What `map` makes of every value, in order, as a vector. A value is moved once: this is for large ones.
    pub(crate) fn map_into_vec<U>(self, mut map: impl FnMut(T) -> U) -> Vec<U> {
        let Self { first, rest, len } = self;
        let mut all = Vec::with_capacity(len);
        if len > 0 {
            all.push(map(first));
            all.extend(rest.into_iter().take(len - 1).map(map));
        }
        all
    }

    /// How many values there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// True when there is no value.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The first value.
    pub fn first(&self) -> Option<&T> {
        (self.len > 0).then_some(&self.first)
    }

    /// The value at `index`, counted from 0.
    pub fn get(&self, index: usize) -> Option<&T> {
        if index >= self.len {
            return None;
        }
        Some(index.checked_sub(1).map_or(&self.first, |at| &self.rest[at]))
    }

    /// The value at `index`, to be changed.
    pub fn get_mut(&mut self, index: usize) -> Option<&mut T> {
        if index >= self.len {
            return None;
        }
        Some(match index.checked_sub(1) {
            None => &mut self.first,
            Some(at) => &mut self.rest[at],
        })
    }

    /// The values in order.
    pub fn iter(&self) -> Iter<'_, T> {
        let rest = &self.rest[..self.len.saturating_sub(1)];
        Iter(self.first().into_iter().chain(rest))
    }
}

impl<T: Clear> List<T> {
    /// Removes every value, keeping memory for the next ones. No byte of the old values stays alive.
    pub fn clear(&mut self) {
        if self.len > 0 {
            self.first.clear();
            let rest = self.len - 1;
            self.rest[..rest].iter_mut().for_each(Clear::clear);
            self.len = 0;
        }
    }
}

/// The values of a [`List`] by reference.
#[derive(Clone, Debug)]
pub struct Iter<'a, T>(Chain<core::option::IntoIter<&'a T>, core::slice::Iter<'a, T>>);

impl<'a, T> Iterator for Iter<'a, T> {
    type Item = &'a T;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl<T> ExactSizeIterator for Iter<'_, T> {}

impl<T> DoubleEndedIterator for Iter<'_, T> {
    fn next_back(&mut self) -> Option<Self::Item> {
        self.0.next_back()
    }
}

/// The values of a [`List`], taken out of it.
#[derive(Debug)]
pub struct IntoIter<T>(Chain<core::option::IntoIter<T>, Take<vec::IntoIter<T>>>);

impl<T> Iterator for IntoIter<T> {
    type Item = T;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl<T> IntoIterator for List<T> {
    type Item = T;
    type IntoIter = IntoIter<T>;

    fn into_iter(self) -> Self::IntoIter {
        let rest = self.rest.into_iter().take(self.len.saturating_sub(1));
        IntoIter((self.len > 0).then_some(self.first).into_iter().chain(rest))
    }
}

impl<'a, T> IntoIterator for &'a List<T> {
    type Item = &'a T;
    type IntoIter = Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<T: Default> Extend<T> for List<T> {
    fn extend<I: IntoIterator<Item = T>>(&mut self, values: I) {
        for value in values {
            self.push(value);
        }
    }
}

impl<T: Default> FromIterator<T> for List<T> {
    fn from_iter<I: IntoIterator<Item = T>>(values: I) -> Self {
        let mut list = Self::new();
        list.extend(values);
        list
    }
}

impl<T: Default, const N: usize> From<[T; N]> for List<T> {
    fn from(values: [T; N]) -> Self {
        values.into_iter().collect()
    }
}

impl<T: Default> From<Vec<T>> for List<T> {
    fn from(values: Vec<T>) -> Self {
        values.into_iter().collect()
    }
}

impl<T> Index<usize> for List<T> {
    type Output = T;

    fn index(&self, index: usize) -> &T {
        self.get(index).expect("the caller asks for an element that is there, as with a slice")
    }
}

impl<T> IndexMut<usize> for List<T> {
    fn index_mut(&mut self, index: usize) -> &mut T {
        self.get_mut(index).expect("the caller asks for an element that is there, as with a slice")
    }
}

impl<T: Clone + Default> Clone for List<T> {
    fn clone(&self) -> Self {
        self.iter().cloned().collect()
    }
}

impl<T: PartialEq> PartialEq for List<T> {
    fn eq(&self, other: &Self) -> bool {
        self.len == other.len && self.iter().eq(other.iter())
    }
}

impl<T: fmt::Debug> fmt::Debug for List<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Blob;
    use bytes::Bytes;

    #[test]
    fn behaves_as_a_vector() {
        let mut list = List::new();
        let mut model = Vec::new();
        for round in 0..3 {
            for n in 0..5u8 {
                assert!(list.iter().eq(model.iter()));
                assert_eq!(list.len(), model.len());
                assert_eq!((list.first(), list.get(4)), (model.first(), model.get(4)));
                let value = Blob::from(alloc::vec![n; 30 + round * 10]);
                list.push(value.clone());
                model.push(value);
            }
            assert_eq!(list.clone().into_vec(), model);
            assert!(list.iter().rev().eq(model.iter().rev()));
            assert_eq!(list, model.iter().cloned().collect());
            list.clear();
            model.clear();
            assert!(list.is_empty());
            assert_eq!(list.clone().into_iter().next(), None);
        }
    }

    #[test]
    fn a_cleared_list_keeps_room_and_no_bytes() {
        let source = Bytes::from(alloc::vec![7; 100]);
        let mut list: List<Blob> = (0..3).map(|n| source.slice(n..50).into()).collect();
        list.clear();
        assert_eq!(list.rest.len(), 2);
        assert!(source.is_unique(), "a cleared list holds no slice of the old message");
    }
}
