//! What may be sent again after it failed. Specifications "Retryable Reads" and "Retryable Writes".

use crate::bson::Value;
use crate::reply::{CommandError, Reply, ServerInfo};
use crate::request::Command;

/// Errors of a server that is stepping down, shutting down, recovering, or cut off.
const TRANSIENT: &[i32] = &[6, 7, 89, 91, 189, 262, 9001, 10107, 11600, 11602, 13435, 13436];
/// Errors after which a server closes its connections.
const SHUTDOWN: &[i32] = &[91, 11600];
/// A read at majority that came too early.
const READ_CONCERN_NOT_YET: i32 = 134;

impl CommandError {
    /// True when a read that failed so is worth sending again.
    pub fn is_retryable_read(&self) -> bool {
        TRANSIENT.contains(&self.code) || self.code == READ_CONCERN_NOT_YET
    }

    /// True when a write that failed so is worth sending again with the same number. Servers say so by a label; those before 4.4
    /// by the code alone.
    pub fn is_retryable_write(&self, info: &ServerInfo) -> bool {
        if info.wire_versions.1 >= 9 {
            self.has_label("RetryableWriteError")
        } else {
            self.has_label("RetryableWriteError") || TRANSIENT.contains(&self.code)
        }
    }

    /// True when the server is going away: its other connections end as well.
    pub fn is_shutdown(&self) -> bool {
        SHUTDOWN.contains(&self.code)
    }
}

impl Reply {
    /// The error of a write that is worth sending again: of the command as a whole, or of its write concern.
    pub fn retryable_write_error(&self, info: &ServerInfo) -> Option<CommandError> {
        let error = match self.ok() {
            Err(error) => error,
            Ok(_) => self.write_concern_error()?,
        };
        error.is_retryable_write(info).then_some(error)
    }
}

impl ServerInfo {
    /// True when writes can be numbered here: it has sessions, and a log in which to find a number again.
    pub fn retries_writes(&self) -> bool {
        self.session_timeout_minutes.is_some() && (self.set_name.is_some() || self.is_mongos)
    }
}

impl Command {
    /// True for a write that the server makes once under one number: not for updates and deletes of many documents.
    pub fn is_retryable_write(&self) -> bool {
        let single = |field: &str, many: fn(Value<'_>) -> bool, key: &str| {
            let mut docs = self.sequences.iter().filter(|s| s.identifier == field);
            docs.all(|sequence| {
                let mut rest = &sequence.documents[..];
                while let Ok((doc, after)) = crate::bson::Doc::split_from(rest) {
                    if doc.find(key).is_some_and(many) {
                        return false;
                    }
                    rest = after;
                }
                true
            })
        };
        match self.name() {
            "insert" | "findAndModify" => true,
            "update" => single("updates", |multi| multi.as_bool() == Some(true), "multi"),
            "delete" => single("deletes", |limit| limit.as_i64() == Some(0), "limit"),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bson::{Doc, Document};
    use crate::{Bulk, WriteModel, doc};

    fn info(hello: Document) -> ServerInfo {
        ServerInfo::new(hello.into(), &[])
    }

    #[test]
    fn labels_decide_where_there_are_any() {
        let error = |doc: Document| CommandError::from_doc(doc.as_doc());
        let (old, new) = (info(doc! { "maxWireVersion": 8 }), info(doc! { "maxWireVersion": 21 }));
        let stepping_down = error(doc! { "ok": 0, "code": 10107 });
        assert!(stepping_down.is_retryable_read());
        assert!(stepping_down.is_retryable_write(&old) && !stepping_down.is_retryable_write(&new));
        let labelled = error(doc! { "ok": 0, "code": 1, "errorLabels": ["RetryableWriteError"] });
        assert!(labelled.is_retryable_write(&old) && labelled.is_retryable_write(&new));
        assert!(!labelled.is_retryable_read());
        let reply = Reply::new(
            doc! { "ok": 1, "n": 1, "writeConcernError": { "code": 91, "errmsg": "x" }, "errorLabels": ["RetryableWriteError"] }
                .into(),
        );
        assert_eq!(reply.retryable_write_error(&new).map(|error| error.code), Some(91));
        assert!(reply.write_concern_error().is_some_and(|error| error.is_shutdown()));
    }

    #[test]
    fn only_writes_of_single_documents_have_numbers() {
        let retryable = |model: WriteModel| {
            let mut bulk = Bulk::new("d", "c", true);
            bulk.push(model);
            bulk.next_command(&info(doc! {})).is_some_and(|part| part.command.is_retryable_write())
        };
        let change = doc! { "$set": { "a": 1 } };
        assert!(retryable(WriteModel::Insert(doc! {})));
        assert!(retryable(WriteModel::update_one(Doc::EMPTY, change.as_doc(), false)));
        assert!(!retryable(WriteModel::update_many(Doc::EMPTY, change.as_doc(), false)));
        assert!(retryable(WriteModel::delete_one(Doc::EMPTY)));
        assert!(!retryable(WriteModel::delete_many(Doc::EMPTY)));
        assert!(!info(doc! { "logicalSessionTimeoutMinutes": 30 }).retries_writes());
        assert!(info(doc! { "logicalSessionTimeoutMinutes": 30, "setName": "rs" }).retries_writes());
    }
}
