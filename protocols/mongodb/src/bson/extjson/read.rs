//! Extended JSON as a document.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::date::parse_rfc3339;
use super::json::{self, Json, Kind};
use super::{JsonError, JsonReason};
use crate::bson::types::decode_hex;
use crate::bson::{
    ArrayWriter, Binary, BinarySubtype, CodeWithScope, DEFAULT_MAX_DEPTH, DateTime, DbPointer, Decimal128,
    Document, ObjectId, Regex, Timestamp, ToBson, Value, Writer,
};
use crate::error::EncodeError;

impl Document {
    /// Reads extended JSON v2 in either form. The order of keys and duplicates are kept; objects may be nested up to
    /// [`DEFAULT_MAX_DEPTH`](crate::bson::DEFAULT_MAX_DEPTH) deep.
    ///
    /// Plain numbers become 32 bits where they fit, else 64 bits, else doubles. `$uuid` is read as binary of subtype 4.
    pub fn from_json(text: &str) -> Result<Self, JsonError> {
        let json = json::parse(text, DEFAULT_MAX_DEPTH)?;
        let Kind::Object(members) = &json.kind else {
            return Err(JsonError { offset: json.offset, reason: JsonReason::NotADocument });
        };
        let mut document = Self::with_capacity(text.len());
        put_members(&mut document.writer(), members)?;
        Ok(document)
    }
}

/// Recursion is bounded by the depth at which the text was read.
fn put_members(writer: &mut Writer<'_>, members: &[(String, Json)]) -> Result<(), JsonError> {
    members.iter().try_for_each(|(key, json)| put_value(&mut Place::Key(writer, key), json))
}

fn put_items(writer: &mut ArrayWriter<'_>, items: &[Json]) -> Result<(), JsonError> {
    items.iter().try_for_each(|json| put_value(&mut Place::Item(writer), json))
}

/// Where the next value goes.
enum Place<'p, 'w> {
    Key(&'p mut Writer<'w>, &'p str),
    Item(&'p mut ArrayWriter<'w>),
}

impl Place<'_, '_> {
    fn put(&mut self, value: impl ToBson) -> Result<(), JsonReason> {
        let result = match self {
            Self::Key(writer, key) => writer.try_append(key, value),
            Self::Item(writer) => writer.try_push(value),
        };
        result.map_err(JsonReason::Encode)
    }

    fn document(&mut self) -> Result<Writer<'_>, EncodeError> {
        match self {
            Self::Key(writer, key) => writer.try_document(key),
            Self::Item(writer) => writer.try_document(),
        }
    }

    fn array(&mut self) -> Result<ArrayWriter<'_>, EncodeError> {
        match self {
            Self::Key(writer, key) => writer.try_array(key),
            Self::Item(writer) => writer.try_array(),
        }
    }
}

fn put_value(place: &mut Place<'_, '_>, json: &Json) -> Result<(), JsonError> {
    let at = |reason| JsonError { offset: json.offset, reason };
    match &json.kind {
        Kind::Null => place.put(Value::Null),
        Kind::Bool(value) => place.put(value),
        Kind::Int(number) => match i32::try_from(*number) {
            Ok(number) => place.put(number),
            Err(_) => place.put(number),
        },
        Kind::Float(number) => place.put(number),
        Kind::String(text) => place.put(text),
        Kind::Array(items) => {
            return put_items(&mut place.array().map_err(|error| at(JsonReason::Encode(error)))?, items);
        }
        Kind::Object(members) => {
            let special = members.iter().any(|(key, _)| key.starts_with('$'));
            if !special || !put_special(place, members).map_err(at)? {
                return put_members(
                    &mut place.document().map_err(|error| at(JsonReason::Encode(error)))?,
                    members,
                );
            }
            Ok(())
        }
    }
    .map_err(at)
}

/// The member named `key`, when there are exactly the `count` members that the form has.
fn exactly<'j>(members: &'j [(String, Json)], key: &str, count: usize) -> Option<&'j Json> {
    (members.len() == count).then(|| members.iter().find(|(name, _)| name == key).map(|(_, json)| json))?
}

fn text(json: &Json) -> Option<&str> {
    match &json.kind {
        Kind::String(text) => Some(text),
        _ => None,
    }
}

fn object(json: &Json) -> Option<&[(String, Json)]> {
    match &json.kind {
        Kind::Object(members) => Some(members),
        _ => None,
    }
}

/// Puts the value that an object with `$` keys stands for. False: it is an ordinary document, such as a query.
fn put_special(place: &mut Place<'_, '_>, members: &[(String, Json)]) -> Result<bool, JsonReason> {
    // A form is known by its characteristic key, wherever it stands among the members.
    const FORMS: &[&str] = &[
        "$oid",
        "$symbol",
        "$numberInt",
        "$numberLong",
        "$numberDouble",
        "$numberDecimal",
        "$binary",
        "$uuid",
        "$code",
        "$timestamp",
        "$regularExpression",
        "$dbPointer",
        "$date",
        "$minKey",
        "$maxKey",
        "$undefined",
    ];
    let Some(form) = FORMS.iter().find(|form| members.iter().any(|(key, _)| key == *form)) else {
        return Ok(false);
    };
    let bad = JsonReason::BadType(form);
    if *form == "$code" {
        put_code(place, members)?;
        return Ok(true);
    }
    let json = exactly(members, form, 1).ok_or(bad)?;
    match *form {
        "$oid" => place.put(text(json).ok_or(bad)?.parse::<ObjectId>()?),
        "$symbol" => place.put(Value::Symbol(text(json).ok_or(bad)?)),
        "$numberInt" => place.put(parse_int::<i32>(json).ok_or(bad)?),
        "$numberLong" => place.put(parse_int::<i64>(json).ok_or(bad)?),
        "$numberDouble" => place.put(parse_double(text(json).ok_or(bad)?).ok_or(bad)?),
        "$numberDecimal" => place.put(text(json).ok_or(bad)?.parse::<Decimal128>()?),
        "$binary" => {
            let members = object(json).ok_or(bad)?;
            let base64 = exactly(members, "base64", 2).and_then(text).ok_or(bad)?;
            let subtype = exactly(members, "subType", 2).and_then(text).ok_or(bad)?;
            let bytes = STANDARD.decode(base64).map_err(|_| bad)?;
            if !(1..=2).contains(&subtype.len()) || !subtype.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                return Err(bad);
            }
            let subtype = BinarySubtype(u8::from_str_radix(subtype, 16).map_err(|_| bad)?);
            place.put(Binary { subtype, bytes: &bytes })
        }
        "$uuid" => {
            let bytes = parse_uuid(text(json).ok_or(bad)?).ok_or(bad)?;
            place.put(Binary { subtype: BinarySubtype::UUID, bytes: &bytes })
        }
        "$timestamp" => {
            let members = object(json).ok_or(bad)?;
            let part = |key| match exactly(members, key, 2)?.kind {
                Kind::Int(number) => u32::try_from(number).ok(),
                _ => None,
            };
            place.put(Timestamp { time: part("t").ok_or(bad)?, increment: part("i").ok_or(bad)? })
        }
        "$regularExpression" => {
            let members = object(json).ok_or(bad)?;
            let pattern = exactly(members, "pattern", 2).and_then(text).ok_or(bad)?;
            let options = exactly(members, "options", 2).and_then(text).ok_or(bad)?;
            // bsonspec.org: options are stored in alphabetical order.
            let mut sorted: Vec<char> = options.chars().collect();
            sorted.sort_unstable();
            place.put(Regex { pattern, options: &sorted.into_iter().collect::<String>() })
        }
        "$dbPointer" => {
            let members = object(json).ok_or(bad)?;
            let namespace = exactly(members, "$ref", 2).and_then(text).ok_or(bad)?;
            let id = exactly(members, "$id", 2).and_then(object).ok_or(bad)?;
            let id = exactly(id, "$oid", 1).and_then(text).ok_or(bad)?.parse()?;
            place.put(DbPointer { namespace, id })
        }
        "$date" => {
            let millis = match &json.kind {
                Kind::String(date) => parse_rfc3339(date),
                Kind::Int(millis) => Some(*millis),
                Kind::Object(members) => exactly(members, "$numberLong", 1).and_then(parse_int::<i64>),
                _ => None,
            };
            place.put(DateTime::from_millis(millis.ok_or(bad)?))
        }
        "$undefined" => match json.kind {
            Kind::Bool(true) => place.put(Value::Undefined),
            _ => Err(bad),
        },
        _ => match json.kind {
            Kind::Int(1) => place.put(if *form == "$minKey" { Value::MinKey } else { Value::MaxKey }),
            _ => Err(bad),
        },
    }?;
    Ok(true)
}

fn put_code(place: &mut Place<'_, '_>, members: &[(String, Json)]) -> Result<(), JsonReason> {
    let bad = JsonReason::BadType("$code");
    if let Some(code) = exactly(members, "$code", 1) {
        return place.put(Value::Code(text(code).ok_or(bad)?));
    }
    let code = exactly(members, "$code", 2).and_then(text).ok_or(bad)?;
    let scope = exactly(members, "$scope", 2).and_then(object).ok_or(bad)?;
    let mut document = Document::new();
    put_members(&mut document.writer(), scope).map_err(|error| error.reason)?;
    place.put(CodeWithScope { code, scope: document.as_doc() })
}

fn parse_int<T: core::str::FromStr>(json: &Json) -> Option<T> {
    let text = text(json)?;
    // Rust reads a plus sign, the specification has none.
    if text.starts_with('+') { None } else { text.parse().ok() }
}

fn parse_double(text: &str) -> Option<f64> {
    match text {
        "NaN" => Some(f64::NAN),
        "Infinity" => Some(f64::INFINITY),
        "-Infinity" => Some(f64::NEG_INFINITY),
        _ if text.bytes().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte)) => text.parse().ok(),
        _ => None,
    }
}

/// 8-4-4-4-12 hexadecimal digits.
fn parse_uuid(text: &str) -> Option<[u8; 16]> {
    let bytes = text.as_bytes();
    if bytes.len() != 36 || [8, 13, 18, 23].iter().any(|at| bytes[*at] != b'-') {
        return None;
    }
    let mut uuid = [0; 16];
    let digits: Vec<u8> = bytes.iter().copied().filter(|byte| *byte != b'-').collect();
    decode_hex(&digits, &mut uuid)?;
    Some(uuid)
}
