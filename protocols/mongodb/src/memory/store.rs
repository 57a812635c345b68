//! Collections with their index on `_id`, and open cursors.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use super::node::{Fields, Node};
use super::{Failure, code, query};

/// The documents of one collection, in the order of insertion.
#[derive(Debug, Default)]
pub(super) struct Collection {
    documents: BTreeMap<u64, Node>,
    /// Where the document with an `_id` lies.
    by_id: BTreeMap<Node, u64>,
    next: u64,
    /// Indexes that were asked for: they are listed, and change nothing.
    pub(super) indexes: Vec<Fields>,
}

impl Collection {
    pub(super) fn len(&self) -> usize {
        self.documents.len()
    }

    /// Adds a document, which has an `_id`.
    pub(super) fn insert(&mut self, namespace: &str, document: Node) -> Result<(), Failure> {
        let id = document.child("_id").cloned().unwrap_or(Node::Null);
        if matches!(id, Node::Array(_)) {
            return Err(Failure::new(code::BAD_VALUE, "an _id cannot be an array"));
        }
        match self.by_id.entry(id) {
            Entry::Occupied(_) => {
                Err(Failure::new(code::DUPLICATE_KEY, format!("duplicate key in {namespace}, index _id_")))
            }
            Entry::Vacant(place) => {
                place.insert(self.next);
                self.documents.insert(self.next, document);
                self.next += 1;
                Ok(())
            }
        }
    }

    /// Where the documents that match lie, in order. A plain `_id` in the filter is looked up.
    pub(super) fn find(&self, filter: &Fields) -> Result<Vec<u64>, Failure> {
        let id = filter.iter().find(|(key, _)| key == "_id").map(|(_, value)| value);
        if let Some(id) = id.filter(|id| !matches!(id, Node::Doc(_) | Node::Null | Node::Array(_))) {
            let place = self.by_id.get(id).copied();
            let Some((place, document)) = place.and_then(|place| Some((place, self.documents.get(&place)?)))
            else {
                return Ok(Vec::new());
            };
            return Ok(if query::matches(document, filter)? { vec![place] } else { Vec::new() });
        }
        let mut found = Vec::new();
        for (place, document) in &self.documents {
            if query::matches(document, filter)? {
                found.push(*place);
            }
        }
        Ok(found)
    }

    pub(super) fn get(&self, place: u64) -> Option<&Node> {
        self.documents.get(&place)
    }

    /// Puts another document in the place of one with the same `_id`.
    pub(super) fn replace(&mut self, place: u64, document: Node) {
        self.documents.insert(place, document);
    }

    pub(super) fn remove(&mut self, place: u64) -> Option<Node> {
        let document = self.documents.remove(&place)?;
        self.by_id.remove(document.child("_id").unwrap_or(&Node::Null));
        Some(document)
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Node> {
        self.documents.values()
    }
}

/// Documents that wait to be fetched.
#[derive(Debug)]
pub(super) struct OpenCursor {
    pub(super) namespace: String,
    /// The next one last.
    rest: Vec<Node>,
}

/// A batch ends before it exceeds this many bytes.
const MAX_BATCH_LEN: usize = 16 << 20;
/// The first batch of a find that names no size.
pub(super) const FIRST_BATCH: usize = 101;

impl OpenCursor {
    pub(super) fn new(namespace: String, mut documents: Vec<Node>) -> Self {
        documents.reverse();
        Self { namespace, rest: documents }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Up to `count` documents, at least one if there is one and any was asked for, and no more than fit a reply.
    pub(super) fn batch(&mut self, count: usize) -> Vec<Node> {
        let (mut batch, mut len) = (Vec::new(), 0);
        while batch.len() < count
            && let Some(document) = self.rest.last()
        {
            len += document.size() + 16;
            if len > MAX_BATCH_LEN && !batch.is_empty() {
                break;
            }
            batch.extend(self.rest.pop());
        }
        batch
    }
}
