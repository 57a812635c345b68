//! Repeated fields.

use alloc::vec::{self, Vec};
use core::fmt;
use core::iter::{Chain, Take};
use core::ops::{Deref, DerefMut};
use core::slice;

use super::Clear;

/// The values of a repeated field, which read as a slice: one alone lies inside, several lie on the heap.
///
/// Most repeated fields of Riak hold one value or none (one content, one link, one index), so the common message is
/// decoded without an allocation. A list that is [cleared](Self::clear) keeps the memory of its elements, and of the
/// lists inside them, for the next message.
#[derive(Default)]
pub struct List<T> {
    /// The value, while there was never more than one.
    first: T,
    /// All values, once there were several. May be longer than `len`: cleared elements wait here to be used again.
    rest: Vec<T>,
    len: usize,
}

/// For how many values the heap is asked when there is more than one.
const SEVERAL: usize = 5;

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
    #[inline]
    pub fn grow(&mut self) -> &mut T {
        let at = self.len;
        self.len += 1;
        if at >= self.rest.len() {
            if at == 0 {
                return &mut self.first;
            }
            self.make_room();
        }
        &mut self.rest[at]
    }

    /// One more blank element on the heap, where the first goes as well.
    #[inline(never)]
    fn make_room(&mut self) {
        if self.rest.is_empty() {
            self.rest = Vec::with_capacity(SEVERAL);
            self.rest.push(core::mem::take(&mut self.first));
        }
        self.rest.push(T::default());
    }
}

impl<T> List<T> {
    /// Everything, in order, as a vector. The memory of several elements is taken over.
    pub fn into_vec(self) -> Vec<T> {
        let Self { first, mut rest, len } = self;
        if rest.is_empty() {
            return if len == 0 { Vec::new() } else { alloc::vec![first] };
        }
        rest.truncate(len);
        rest
    }
}

impl<T: Default> List<T> {
    /// What `map` makes of every value, in order, as a vector; the list is empty then. Several values stay where they are if they keep their size.
    #[inline]
    pub(crate) fn take_mapped<U>(&mut self, mut map: impl FnMut(T) -> U) -> Vec<U> {
        let len = core::mem::take(&mut self.len);
        if self.rest.is_empty() {
            return if len == 0 { Vec::new() } else { alloc::vec![map(core::mem::take(&mut self.first))] };
        }
        let mut all = core::mem::take(&mut self.rest);
        all.truncate(len);
        all.into_iter().map(map).collect()
    }
}

impl<T: Clear> List<T> {
    /// Removes every value, keeping memory for the next ones. No byte of the old values stays alive.
    pub fn clear(&mut self) {
        self.iter_mut().for_each(Clear::clear);
        self.len = 0;
    }
}

impl<T> Deref for List<T> {
    type Target = [T];

    #[inline]
    fn deref(&self) -> &[T] {
        let all = if self.rest.is_empty() { slice::from_ref(&self.first) } else { &self.rest };
        &all[..self.len]
    }
}

impl<T> DerefMut for List<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [T] {
        let all = if self.rest.is_empty() { slice::from_mut(&mut self.first) } else { &mut self.rest };
        &mut all[..self.len]
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
        // One of both is empty.
        let first = (self.rest.is_empty() && self.len > 0).then_some(self.first);
        IntoIter(first.into_iter().chain(self.rest.into_iter().take(self.len)))
    }
}

impl<'a, T> IntoIterator for &'a List<T> {
    type Item = &'a T;
    type IntoIter = slice::Iter<'a, T>;

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

impl<T: Clone + Default> Clone for List<T> {
    fn clone(&self) -> Self {
        self.iter().cloned().collect()
    }
}

impl<T: PartialEq> PartialEq for List<T> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
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
        assert_eq!(list.rest.len(), 3);
        assert!(source.is_unique(), "a cleared list holds no slice of the old message");
    }
}
