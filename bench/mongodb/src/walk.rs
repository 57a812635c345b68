//! Every element, to the bottom: a number that depends on each of them, so that none can be left out.

use bson::RawBsonRef;
use glowplug_mongodb::bson::{Doc, Value};

pub fn glowplug(document: Doc<'_>) -> u64 {
    document
        .iter()
        .map(|element| element.expect("valid"))
        .map(|(key, value)| key.len() as u64 + of(value))
        .fold(0, u64::wrapping_add)
}

fn of(value: Value<'_>) -> u64 {
    match value {
        Value::String(text) => text.len() as u64,
        Value::Int32(number) => number as u64,
        Value::Int64(number) => number as u64,
        Value::Double(number) => number.to_bits(),
        Value::Boolean(yes) => yes.into(),
        Value::DateTime(time) => time.millis() as u64,
        Value::ObjectId(id) => id.bytes()[0].into(),
        Value::Document(document) => glowplug(document),
        Value::Array(array) => array.iter().map(|value| of(value.expect("valid"))).fold(0, u64::wrapping_add),
        _ => 0,
    }
}

pub fn bson_raw(document: &bson::RawDocument) -> u64 {
    document
        .iter()
        .map(|element| element.expect("valid"))
        .map(|(key, value)| key.len() as u64 + of_bson(value))
        .fold(0, u64::wrapping_add)
}

fn of_bson(value: RawBsonRef<'_>) -> u64 {
    match value {
        RawBsonRef::String(text) => text.len() as u64,
        RawBsonRef::Int32(number) => number as u64,
        RawBsonRef::Int64(number) => number as u64,
        RawBsonRef::Double(number) => number.to_bits(),
        RawBsonRef::Boolean(yes) => yes.into(),
        RawBsonRef::DateTime(time) => time.timestamp_millis() as u64,
        RawBsonRef::ObjectId(id) => id.bytes()[0].into(),
        RawBsonRef::Document(document) => bson_raw(document),
        RawBsonRef::Array(array) => {
            array.into_iter().map(|value| of_bson(value.expect("valid"))).fold(0, u64::wrapping_add)
        }
        _ => 0,
    }
}
