//! Commands as the documents that they become.

use super::*;
use crate::bson::Array;
use crate::reply::ServerInfo;

fn info(hello: Document) -> ServerInfo {
    ServerInfo::new(hello.into(), &[])
}

#[test]
fn commands_are_what_the_server_expects() {
    let filter = doc! { "a": 1 };
    let cases = [
        (
            aggregate("d", "c", [doc! { "$match": {} }.as_doc()], Some(5)),
            r#"{"aggregate":"c","pipeline":[{"$match":{}}],"cursor":{"batchSize":5}}"#,
        ),
        (
            count_documents("d", "c", filter.as_doc(), Some(2), Some(0)),
            r#"{"aggregate":"c","pipeline":[{"$match":{"a":1}},{"$skip":2},{"$group":{"_id":1,"n":{"$sum":1}}}],"cursor":{}}"#,
        ),
        (distinct("d", "c", "k", filter.as_doc()), r#"{"distinct":"c","key":"k","query":{"a":1}}"#),
        (
            create_indexes("d", "c", [doc! { "key": { "a": 1, "b": -1, "t": "text" } }.as_doc()]),
            r#"{"createIndexes":"c","indexes":[{"key":{"a":1,"b":-1,"t":"text"},"name":"a_1_b_-1_t_text"}]}"#,
        ),
        (create_collection("d", "c", doc! { "capped": true }.as_doc()), r#"{"create":"c","capped":true}"#),
        (list_collections("d", Doc::EMPTY), r#"{"listCollections":1,"filter":{},"cursor":{}}"#),
        (kill_cursors("d", "c", &[1, 2]), r#"{"killCursors":"c","cursors":[1,2]}"#),
        (
            create_user("d", "u", "p", Array::from_doc(Doc::EMPTY)),
            r#"{"createUser":"u","pwd":"p","roles":[]}"#,
        ),
        (
            FindAndModify::update("d", "c", filter.as_doc(), doc! { "$inc": { "n": 1 } }.as_doc())
                .upsert()
                .return_new()
                .command(),
            r#"{"findAndModify":"c","query":{"a":1},"update":{"$inc":{"n":1}},"upsert":true,"new":true}"#,
        ),
        (
            Find::new("d", "c")
                .tailable(Some(9))
                .single_batch()
                .common(doc! { "lsid": 1 }.as_doc())
                .command(),
            r#"{"find":"c","tailable":true,"awaitData":true,"singleBatch":true,"lsid":1}"#,
        ),
    ];
    for (command, expected) in cases {
        assert_eq!(command.body().to_string(), expected);
    }
    assert!(Find::new("d", "c").exhaust().options().exhaust);
}

#[test]
fn unordered_writes_are_gathered_by_kind_and_keep_their_indexes() {
    let mut bulk = Bulk::new("d", "c", false);
    for number in 0..6 {
        bulk.push(match number % 3 {
            0 => WriteModel::Insert(doc! { "_id": number }),
            1 => WriteModel::update_many(doc! {}.as_doc(), doc! { "$set": { "a": number } }.as_doc(), true),
            _ => WriteModel::delete_many(doc! { "n": number }.as_doc()),
        });
    }
    let info = info(doc! {});
    let parts: Vec<_> = core::iter::from_fn(|| bulk.next_command(&info)).collect();
    let shown: Vec<_> = parts.iter().map(|part| (part.command.name(), part.indexes.as_slice())).collect();
    assert_eq!(shown, [("delete", &[2, 5][..]), ("insert", &[0, 3]), ("update", &[1, 4])]);
}

#[test]
fn writes_are_split_by_count_and_by_length() {
    let split = |info: &ServerInfo, len: usize| {
        let mut bulk = Bulk::new("d", "c", true);
        for _ in 0..10 {
            bulk.push(WriteModel::Insert(doc! { "text": "x".repeat(len) }));
        }
        core::iter::from_fn(|| bulk.next_command(info)).map(|part| part.indexes.len()).collect::<Vec<_>>()
    };
    assert_eq!(split(&info(doc! { "maxWriteBatchSize": 4 }), 1), [4, 4, 2]);
    assert_eq!(split(&info(doc! { "maxMessageSizeBytes": 20_000 }), 1000), [3, 3, 3, 1]);
    // Statements that fit nowhere still go one by one, to be refused by the connection.
    assert_eq!(split(&info(doc! { "maxMessageSizeBytes": 1 }), 1), [1; 10]);
}
