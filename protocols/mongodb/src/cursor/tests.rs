//! Cursors against replies, good and bad.

use super::*;
use crate::wire::OpReply;

fn batch(id: i64, key: &str, numbers: core::ops::Range<i32>) -> Reply {
    let docs: Vec<_> = numbers.map(|n| doc! { "n": n }).collect();
    Reply::new(doc! { "cursor": { "id": id, "ns": "db.c", (key): docs }, "ok": 1 }.into())
}

fn cursor(limit: u64, batch_size: u32) -> Cursor {
    Cursor::new(
        "db",
        "c",
        CursorOptions { limit: Some(limit), batch_size: Some(batch_size), ..Default::default() },
    )
}

/// Reads what is there.
fn read(cursor: &mut Cursor) -> Vec<i64> {
    let mut numbers = Vec::new();
    while let Some(doc) = cursor.next_doc() {
        numbers.push(doc.unwrap().get_i64("n").unwrap());
    }
    numbers
}

fn sent(cursor: &mut Cursor) -> String {
    match cursor.step() {
        CursorStep::Send(command) => command.body().to_string(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn batches_follow_each_other_to_the_end() {
    let mut cursor = cursor(0, 2);
    assert_eq!(cursor.step(), CursorStep::Wait);
    cursor.handle_reply(&batch(5, "firstBatch", 0..2)).unwrap();
    assert_eq!(cursor.step(), CursorStep::Read);
    assert_eq!(read(&mut cursor), [0, 1]);
    assert_eq!(sent(&mut cursor), r#"{"getMore":5,"collection":"c","batchSize":2}"#);
    cursor.handle_reply(&batch(0, "nextBatch", 2..3)).unwrap();
    assert_eq!(cursor.step(), CursorStep::Read);
    assert_eq!(read(&mut cursor), [2]);
    assert_eq!(cursor.step(), CursorStep::Done);
    assert_eq!(cursor.step(), CursorStep::Done);
}

#[test]
fn an_empty_batch_of_a_live_cursor_goes_on() {
    let mut cursor = cursor(0, 0);
    for _ in 0..3 {
        cursor.handle_reply(&batch(5, "firstBatch", 0..0)).unwrap();
        assert_eq!(sent(&mut cursor), r#"{"getMore":5,"collection":"c"}"#);
    }
}

#[test]
fn a_limit_that_is_reached_kills_the_cursor() {
    let mut cursor = cursor(3, 2);
    cursor.handle_reply(&batch(5, "firstBatch", 0..2)).unwrap();
    assert_eq!(read(&mut cursor), [0, 1]);
    assert_eq!(sent(&mut cursor), r#"{"getMore":5,"collection":"c","batchSize":1}"#);
    // A server that sends more than was asked for gives no more to anybody.
    cursor.handle_reply(&batch(5, "nextBatch", 2..9)).unwrap();
    assert_eq!(read(&mut cursor), [2]);
    assert_eq!(sent(&mut cursor), r#"{"killCursors":"c","cursors":[5]}"#);
    assert_eq!(cursor.step(), CursorStep::Done);
}

#[test]
fn a_closed_cursor_is_killed_once() {
    let mut cursor = cursor(0, 2);
    cursor.handle_reply(&batch(5, "firstBatch", 0..2)).unwrap();
    cursor.close();
    assert_eq!(cursor.id(), Some(5));
    assert!(cursor.next_doc().is_none());
    assert_eq!(sent(&mut cursor), r#"{"killCursors":"c","cursors":[5]}"#);
    assert_eq!((cursor.id(), cursor.step()), (None, CursorStep::Done));
}

#[test]
fn failures_are_errors_and_never_the_end_of_the_data() {
    let mut one = cursor(0, 0);
    let failed = Reply::new(doc! { "ok": 0, "code": 2, "errmsg": "bad" }.into());
    assert!(matches!(one.handle_reply(&failed), Err(CursorError::Command(error)) if error.code == 2));
    assert_eq!(one.step(), CursorStep::Done);

    let mut lost = cursor(0, 0);
    lost.handle_reply(&batch(5, "firstBatch", 0..0)).unwrap();
    assert_eq!(
        lost.handle_reply(&Reply::new(doc! { "ok": 0, "code": 43 }.into())),
        Err(CursorError::NotFound)
    );
    assert_eq!(lost.step(), CursorStep::Done, "there is nothing to kill");

    let mut odd = cursor(0, 0);
    assert_eq!(odd.handle_reply(&Reply::new(doc! { "ok": 1 }.into())), Err(CursorError::Malformed));
    let mut odd = cursor(0, 0);
    let numbers = doc! { "cursor": { "id": 5, "ns": "db.c", "firstBatch": [1] }, "ok": 1 };
    odd.handle_reply(&Reply::new(numbers.into())).unwrap();
    assert_eq!(odd.next_doc(), Some(Err(CursorError::Malformed)));
    assert_eq!(sent(&mut odd), r#"{"killCursors":"c","cursors":[5]}"#);
}

#[test]
fn the_flags_of_old_replies_are_looked_at_first() {
    let reply =
        |flags, document: Document| OpReply { flags, cursor_id: 7, ..OpReply::of_command(document.into()) };
    let mut failed = cursor(0, 0);
    let error =
        failed.handle_legacy_reply(&reply(ReplyFlags::QUERY_FAILURE, doc! { "$err": "no", "code": 9 }));
    assert!(matches!(error, Err(CursorError::Command(error)) if error.message == "no"));
    let mut lost = cursor(0, 0);
    let error = lost.handle_legacy_reply(&reply(ReplyFlags::CURSOR_NOT_FOUND, doc! {}));
    assert_eq!(error, Err(CursorError::NotFound));
    let mut good = cursor(0, 0);
    good.handle_legacy_reply(&reply(ReplyFlags::AWAIT_CAPABLE, doc! { "n": 4 })).unwrap();
    assert_eq!(read(&mut good), [4]);
    assert_eq!(good.id(), Some(7));
}
