//! What is read and written.

use glowplug_mongodb::bson::{DateTime, ObjectId, Writer};
use serde::{Deserialize, Serialize};

const ID: [u8; 12] = [0x69, 0x1f, 0x3a, 0, 1, 2, 3, 4, 5, 6, 7, 8];
const REGISTERED: i64 = 1_763_769_600_000;
const NAME: &str = "Ada Lovelace of London";
const MAIL: &str = "ada.lovelace@example.com";
const TAGS: [&str; 3] = ["reader", "writer", "admin"];

/// The fields that both crates' serde read alike.
#[derive(Debug, Deserialize, Serialize)]
pub struct Person<'a> {
    name: &'a str,
    mail: &'a str,
    age: i32,
    visits: i64,
    balance: f64,
    active: bool,
    nothing: Option<i32>,
    #[serde(borrow)]
    tags: Vec<&'a str>,
}

#[derive(Debug, Deserialize)]
pub struct Reply<'a> {
    #[serde(borrow)]
    cursor: Batch<'a>,
    ok: f64,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Batch<'a> {
    #[serde(borrow)]
    first_batch: Vec<Person<'a>>,
    id: i64,
    ns: &'a str,
}

impl Reply<'_> {
    /// Whether it is the one of [`reply`].
    fn is_whole(&self) -> bool {
        self.ok == 1.0
            && self.cursor.id == 0
            && self.cursor.ns == "db.people"
            && self.cursor.first_batch.len() == 100
    }
}

/// Ten fields.
pub fn person(mut writer: Writer<'_>, age: i32) {
    writer
        .append("_id", ObjectId::from_bytes(ID))
        .append("name", NAME)
        .append("mail", MAIL)
        .append("age", age)
        .append("visits", 123_456_789_012_i64)
        .append("balance", 1234.5)
        .append("active", true)
        .append("registered", DateTime::from_millis(REGISTERED))
        .append("nothing", None::<i32>)
        .append("tags", TAGS);
}

/// The same in the crate's own documents.
pub fn person_bson(age: i32) -> bson::Document {
    bson::doc! {
        "_id": bson::oid::ObjectId::from_bytes(ID),
        "name": NAME,
        "mail": MAIL,
        "age": age,
        "visits": 123_456_789_012_i64,
        "balance": 1234.5,
        "active": true,
        "registered": bson::DateTime::from_millis(REGISTERED),
        "nothing": bson::Bson::Null,
        "tags": TAGS.to_vec(),
    }
}

/// The same in the crate's raw documents.
pub fn person_bson_raw(age: i32) -> bson::RawDocumentBuf {
    bson::rawdoc! {
        "_id": bson::oid::ObjectId::from_bytes(ID),
        "name": NAME,
        "mail": MAIL,
        "age": age,
        "visits": 123_456_789_012_i64,
        "balance": 1234.5,
        "active": true,
        "registered": bson::DateTime::from_millis(REGISTERED),
        "nothing": bson::RawBson::Null,
        "tags": [TAGS[0], TAGS[1], TAGS[2]],
    }
}

pub fn document() -> Vec<u8> {
    let mut out = Vec::new();
    person(Writer::new(&mut out), 36);
    out
}

/// A reply to `find`, with a hundred documents.
pub fn reply() -> Vec<u8> {
    let mut out = Vec::new();
    let mut reply = Writer::new(&mut out);
    let mut cursor = reply.document("cursor");
    let mut batch = cursor.array("firstBatch");
    for age in 0..100 {
        person(batch.document(), age);
    }
    drop(batch);
    cursor.append("id", 0_i64).append("ns", "db.people");
    drop(cursor);
    reply.append("ok", 1.0);
    drop(reply);
    out
}

/// That everybody means the same.
pub fn check(document: &[u8]) {
    let peer = person_bson(36);
    assert_eq!(bson::Document::from_reader(document).expect("valid"), peer);
    assert_eq!(peer.to_vec().expect("valid"), document);
    assert_eq!(person_bson_raw(36).as_bytes(), document);
    let reply = reply();
    assert!(glowplug_mongodb::bson::from_slice::<Reply<'_>>(&reply).expect("valid").is_whole());
    assert!(bson::deserialize_from_slice::<Reply<'_>>(&reply).expect("valid").is_whole());
}
