//! What came of many writes.

use core::fmt;

use super::BulkCommand;
use crate::bson::{Array, OwnedValue, RawDocument};
use crate::reply::{CommandError, Reply};

/// How many documents many writes have touched.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BulkResult {
    /// Documents inserted.
    pub inserted: u64,
    /// Documents that updates matched.
    pub matched: u64,
    /// Documents that updates changed.
    pub modified: u64,
    /// Documents deleted.
    pub deleted: u64,
    /// Documents that updates inserted because nothing matched: which write, and the `_id`.
    pub upserted: Vec<(usize, OwnedValue)>,
}

/// What went wrong with one of many writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BulkWriteError {
    /// Which write, in the order in which they were given.
    pub index: usize,
    /// The error's number, such as 11000 for a duplicate key.
    pub code: i32,
    /// What happened.
    pub message: String,
    /// Everything that the server says about it.
    pub details: RawDocument,
}

/// Some of many writes failed. What was made all the same is in [`result`](Self::result).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BulkFailure {
    /// What was made.
    pub result: BulkResult,
    /// Writes that were not. With an ordered bulk the first; those behind it were not tried.
    pub errors: Vec<BulkWriteError>,
    /// Writes were made, but not acknowledged by as many members as was asked.
    pub write_concern_errors: Vec<CommandError>,
}

impl BulkFailure {
    /// Adds what the server said to one command. True when an ordered bulk ends here.
    pub fn add(&mut self, part: &BulkCommand, reply: &Reply) -> bool {
        self.add_reply(part.command.name(), &part.indexes, reply)
    }

    /// The same for a command of this name whose writes had these places in the order in which they were given.
    pub fn add_reply(&mut self, name: &str, indexes: &[usize], reply: &Reply) -> bool {
        let doc = reply.doc();
        // The usual reply has a number and nothing to tell about single writes.
        let plain = |key: &[u8]| !matches!(key, b"writeErrors" | b"writeConcernError" | b"upserted");
        let is_plain = doc.raw_iter().map_while(Result::ok).all(|element| plain(element.key_bytes()));
        let count = |key: &str| doc.get_i64(key).and_then(|count| u64::try_from(count).ok()).unwrap_or(0);
        let index_of = |index: i64| {
            usize::try_from(index).ok().and_then(|index| indexes.get(index).copied()).unwrap_or(0)
        };
        let (n, result) = (count("n"), &mut self.result);
        match name {
            "insert" => result.inserted += n,
            "delete" => result.deleted += n,
            _ if is_plain => {
                result.matched += n;
                result.modified += count("nModified");
            }
            _ => {
                let upserted = doc.get_array("upserted").into_iter().flat_map(Array::docs);
                let before = result.upserted.len();
                result.upserted.extend(upserted.filter_map(|doc| {
                    Some((index_of(doc.get_i64("index")?), OwnedValue::of(doc, "_id").ok()??))
                }));
                let fresh = (result.upserted.len() - before) as u64;
                result.matched += n.saturating_sub(fresh);
                result.modified += count("nModified");
            }
        }
        if is_plain {
            return false;
        }
        let before = self.errors.len();
        self.errors.extend(reply.write_errors().map(|error| BulkWriteError {
            index: index_of(i64::try_from(error.index).unwrap_or(i64::MAX)),
            code: error.code,
            message: error.message.to_owned(),
            details: reply.document().share(error.doc),
        }));
        self.write_concern_errors.extend(reply.write_concern_error());
        self.errors.len() > before
    }

    /// True when nothing went wrong.
    pub fn is_success(&self) -> bool {
        self.errors.is_empty() && self.write_concern_errors.is_empty()
    }
}

impl fmt::Display for BulkFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.errors.as_slice(), self.write_concern_errors.first()) {
            ([error], _) => write!(f, "write {} failed: {} ({})", error.index, error.message, error.code),
            ([error, ..], _) => write!(
                f,
                "{} writes failed, write {} first: {} ({})",
                self.errors.len(),
                error.index,
                error.message,
                error.code
            ),
            ([], Some(error)) => write!(f, "the write concern was not satisfied: {error}"),
            ([], None) => f.write_str("nothing went wrong"),
        }
    }
}

impl std::error::Error for BulkFailure {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reply::ServerInfo;
    use crate::{Bulk, WriteModel, doc};

    #[test]
    fn errors_and_upserts_name_the_writes_as_they_were_given() {
        let mut bulk = Bulk::new("d", "c", false);
        bulk.push(WriteModel::update_one(doc! { "a": 1 }.as_doc(), doc! { "b": 1 }.as_doc(), true));
        bulk.push(WriteModel::Insert(doc! { "_id": 1 }));
        bulk.push(WriteModel::update_one(doc! { "a": 2 }.as_doc(), doc! { "b": 1 }.as_doc(), true));
        let info = ServerInfo::new(RawDocument::default(), &[]);
        let mut outcome = BulkFailure::default();
        let insert = bulk.next_command(&info).expect("an insert");
        let reply = doc! { "n": 0, "writeErrors": [{ "index": 0, "code": 11000, "errmsg": "dup" }], "ok": 1 };
        assert!(outcome.add(&insert, &Reply::new(reply.into())));
        let update = bulk.next_command(&info).expect("updates");
        let reply = doc! { "n": 2, "nModified": 1, "upserted": [{ "index": 1, "_id": 9 }], "ok": 1 };
        assert!(!outcome.add(&update, &Reply::new(reply.into())));
        assert_eq!(outcome.to_string(), "write 1 failed: dup (11000)");
        assert_eq!((outcome.result.matched, outcome.result.modified), (1, 1));
        assert_eq!(outcome.result.upserted, [(2, OwnedValue::new(9).expect("a number"))]);
        assert!(!outcome.is_success());
    }
}
