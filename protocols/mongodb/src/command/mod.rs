//! Typed commands: values that become a [`Command`]. Whatever has no method here is added with
//! [`Command::with`].

mod bulk;
mod bulk_result;
mod find;

#[cfg(test)]
mod tests;

pub use bulk::{Bulk, BulkCommand, WriteModel};
pub use bulk_result::{BulkFailure, BulkResult, BulkWriteError};
pub use find::{Find, FindAndModify};

use crate::bson::{Doc, Document};
use crate::cursor::{Cursor, CursorOptions};
use crate::doc;
use crate::request::Command;

/// Documents passed through stages. The reply opens a cursor: see [`cursor_of`].
pub fn aggregate<'d>(
    database: &str,
    collection: &str,
    pipeline: impl IntoIterator<Item = Doc<'d>>,
    batch_size: Option<u32>,
) -> Command {
    let mut body = doc! { "aggregate": collection };
    let mut writer = body.writer();
    {
        let mut stages = writer.array("pipeline");
        for stage in pipeline {
            stages.push(stage);
        }
    }
    let mut cursor = writer.document("cursor");
    if let Some(size) = batch_size {
        cursor.append("batchSize", size);
    }
    drop(cursor);
    drop(writer);
    Command::new(database, body)
}

/// The cursor that a command's reply opens.
pub fn cursor_of(database: &str, collection: &str, batch_size: Option<u32>) -> Cursor {
    Cursor::new(database, collection, CursorOptions { batch_size, ..CursorOptions::default() })
}

/// How many documents match, counted one by one: the reply is one batch of `{n}`, or of nothing for none.
pub fn count_documents(
    database: &str,
    collection: &str,
    filter: Doc<'_>,
    skip: Option<u64>,
    limit: Option<u64>,
) -> Command {
    let mut stages = vec![doc! { "$match": filter }];
    let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    stages.extend(skip.map(|skip| doc! { "$skip": number(skip) }));
    // A limit of 0 would be an error to the server; it means none, as everywhere.
    stages.extend(limit.filter(|limit| *limit > 0).map(|limit| doc! { "$limit": number(limit) }));
    stages.push(doc! { "$group": { "_id": 1, "n": { "$sum": 1 } } });
    aggregate(database, collection, stages.iter().map(Document::as_doc), None)
}

/// How many documents there are, from the collection's metadata; the reply has `n`.
pub fn estimated_count(database: &str, collection: &str) -> Command {
    Command::new(database, doc! { "count": collection })
}

/// The different values of a field; the reply has them in `values`.
pub fn distinct(database: &str, collection: &str, key: &str, filter: Doc<'_>) -> Command {
    Command::new(database, doc! { "distinct": collection, "key": key, "query": filter })
}

/// Makes indexes. Each is `{key, name, ..}`; one without a name gets the usual one, such as `a_1_b_-1`.
pub fn create_indexes<'d>(
    database: &str,
    collection: &str,
    indexes: impl IntoIterator<Item = Doc<'d>>,
) -> Command {
    let mut body = doc! { "createIndexes": collection };
    {
        let mut writer = body.writer();
        let mut list = writer.array("indexes");
        for index in indexes {
            let mut document = Document::from(index);
            if index.get_str("name").is_none() {
                document.append("name", index_name(index.get_doc("key").unwrap_or(Doc::EMPTY)));
            }
            list.push(document);
        }
    }
    Command::new(database, body)
}

/// The usual name of an index: fields and directions between underscores.
pub fn index_name(key: Doc<'_>) -> String {
    let parts =
        key.iter().map_while(Result::ok).map(|(field, value)| match (value.as_i64(), value.as_str()) {
            (Some(direction), _) => format!("{field}_{direction}"),
            (None, Some(kind)) => format!("{field}_{kind}"),
            (None, None) => field.to_owned(),
        });
    parts.collect::<Vec<_>>().join("_")
}

/// Removes an index by name; `*` removes all but the one on `_id`.
pub fn drop_index(database: &str, collection: &str, name: &str) -> Command {
    Command::new(database, doc! { "dropIndexes": collection, "index": name })
}

/// The indexes of a collection, as a cursor.
pub fn list_indexes(database: &str, collection: &str) -> Command {
    Command::new(database, doc! { "listIndexes": collection, "cursor": {} })
}

/// Makes a collection with options such as `capped` and `size`.
pub fn create_collection(database: &str, collection: &str, options: Doc<'_>) -> Command {
    let mut body = doc! { "create": collection };
    body.extend(options);
    Command::new(database, body)
}

/// Removes a collection.
pub fn drop_collection(database: &str, collection: &str) -> Command {
    Command::new(database, doc! { "drop": collection })
}

/// The collections of a database, as a cursor.
pub fn list_collections(database: &str, filter: Doc<'_>) -> Command {
    Command::new(database, doc! { "listCollections": 1, "filter": filter, "cursor": {} })
}

/// Gives a collection another name, in another database too. Names are `database.collection`.
pub fn rename_collection(from: &str, to: &str, drop_target: bool) -> Command {
    Command::new("admin", doc! { "renameCollection": from, "to": to, "dropTarget": drop_target })
}

/// The databases; the reply has them in `databases`.
pub fn list_databases(filter: Doc<'_>) -> Command {
    Command::new("admin", doc! { "listDatabases": 1, "filter": filter })
}

/// Removes a database.
pub fn drop_database(database: &str) -> Command {
    Command::new(database, doc! { "dropDatabase": 1 })
}

/// Makes a user with roles, each a name or `{role, db}`. The password crosses the wire: use TLS.
pub fn create_user(database: &str, username: &str, password: &str, roles: crate::bson::Array<'_>) -> Command {
    Command::new(database, doc! { "createUser": username, "pwd": password, "roles": roles })
}

/// Removes a user.
pub fn drop_user(database: &str, username: &str) -> Command {
    Command::new(database, doc! { "dropUser": username })
}

/// Kills cursors whose owners went away.
pub fn kill_cursors(database: &str, collection: &str, cursors: &[i64]) -> Command {
    Command::new(database, doc! { "killCursors": collection, "cursors": cursors })
}
