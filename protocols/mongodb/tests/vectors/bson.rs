//! MongoDB's BSON corpus and libbson's test documents.

use std::path::Path;

use base64::Engine as _;
use glowplug_mongodb::bson::{DEFAULT_MAX_DEPTH, Decimal128, Doc, Document, JsonMode, Value};
use libtest_mimic::Failed;
use serde_json::Value as Json;

use crate::{hex, json_files, verdict};

/// Reads, checks and copies a whole document element by element.
fn decode(bytes: &[u8]) -> Result<Document, String> {
    let doc = Doc::new(bytes).map_err(|error| error.to_string())?;
    doc.validate(DEFAULT_MAX_DEPTH).map_err(|error| error.to_string())?;
    let json = doc.to_json(JsonMode::Canonical).map_err(|error| error.to_string())?;
    Document::from_json(&json).map_err(|error| format!("{error} in {json}"))
}

/// JSON compared as JSON, doubles by their value.
fn same_json(one: &str, two: &str) -> bool {
    fn normal(value: Json) -> Json {
        match value {
            Json::Object(map) => match map.get("$numberDouble").and_then(Json::as_str) {
                Some(number) => Json::String(format!("{:?}", number.parse::<f64>())),
                None => Json::Object(map.into_iter().map(|(key, value)| (key, normal(value))).collect()),
            },
            Json::Array(items) => Json::Array(items.into_iter().map(normal).collect()),
            Json::Number(number) => Json::String(format!("{:?}", number.as_f64())),
            other => other,
        }
    }
    let parse = |text: &str| serde_json::from_str(text).map(normal).ok();
    parse(one).is_some() && parse(one) == parse(two)
}

pub(crate) fn corpus(folder: &Path) -> Result<(), Failed> {
    let (mut failures, mut cases) = (Vec::new(), 0);
    for (file, json) in json_files(folder)? {
        let is_decimal = json["bson_type"] == "0x13";
        for (group, check) in [
            ("valid", valid as fn(&Json) -> Result<(), String>),
            ("decodeErrors", refused_bytes),
            ("parseErrors", if is_decimal { refused_decimal } else { refused_json }),
        ] {
            for case in json[group].as_array().into_iter().flatten() {
                let name = format!("{file}: {}", case["description"].as_str().unwrap_or_default());
                cases += 1;
                failures.extend(check(case).err().map(|error| format!("{name}: {error}")));
            }
        }
    }
    verdict(&failures, cases, 534)
}

fn valid(case: &Json) -> Result<(), String> {
    let bytes = hex(case["canonical_bson"].as_str().unwrap());
    let doc = Doc::new(&bytes).map_err(|error| error.to_string())?;
    doc.validate(DEFAULT_MAX_DEPTH).map_err(|error| error.to_string())?;

    // Element by element it is copied to the same bytes.
    let mut copy = Document::new();
    for element in doc {
        let (key, value) = element.map_err(|error| error.to_string())?;
        copy.append(key, value);
    }
    if copy.as_bytes() != bytes {
        return Err(format!("copied to {copy:?}"));
    }
    let canonical = doc.to_json(JsonMode::Canonical).map_err(|error| error.to_string())?;
    let expected = case["canonical_extjson"].as_str().unwrap();
    if !same_json(&canonical, expected) {
        return Err(format!("canonical {canonical}, not {expected}"));
    }
    if let Some(expected) = case["relaxed_extjson"].as_str() {
        let relaxed = doc.to_json(JsonMode::Relaxed).map_err(|error| error.to_string())?;
        if !same_json(&relaxed, expected) {
            return Err(format!("relaxed {relaxed}, not {expected}"));
        }
        Document::from_json(expected).map_err(|error| error.to_string())?;
    }
    let lossy = case["lossy"].as_bool().unwrap_or(false);
    for form in ["canonical_extjson", "degenerate_extjson"] {
        let Some(text) = case[form].as_str() else { continue };
        let read = Document::from_json(text).map_err(|error| format!("{form}: {error}"))?;
        if !lossy && read.as_bytes() != bytes {
            return Err(format!("{form} reads as {read:?}"));
        }
    }
    if let Some(degenerate) = case["degenerate_bson"].as_str() {
        let read = decode(&hex(degenerate))?;
        if read.as_bytes() != bytes {
            return Err(format!("the degenerate form reads as {read:?}"));
        }
    }
    Ok(())
}

fn refused_bytes(case: &Json) -> Result<(), String> {
    match decode(&hex(case["bson"].as_str().unwrap())) {
        Ok(document) => Err(format!("read as {document}")),
        Err(_) => Ok(()),
    }
}

fn refused_json(case: &Json) -> Result<(), String> {
    match Document::from_json(case["string"].as_str().unwrap()) {
        Ok(document) => Err(format!("read as {document}")),
        Err(_) => Ok(()),
    }
}

fn refused_decimal(case: &Json) -> Result<(), String> {
    match case["string"].as_str().unwrap().parse::<Decimal128>() {
        Ok(number) => Err(format!("read as {number}")),
        Err(_) => Ok(()),
    }
}

/// Vectors are bytes of subtype 9 to us: they must come through, and back from extended JSON.
pub(crate) fn binary_vector(folder: &Path) -> Result<(), Failed> {
    let (mut failures, mut cases) = (Vec::new(), 0);
    for (file, json) in json_files(folder)? {
        let key = json["test_key"].as_str().unwrap();
        for case in json["tests"].as_array().into_iter().flatten() {
            let Some(bytes) = case["canonical_bson"].as_str().map(hex) else { continue };
            cases += 1;
            let ok = decode(&bytes).is_ok_and(|document| {
                let subtype = match document.get(key) {
                    Ok(Some(Value::Binary(binary))) => Some(binary.subtype.0),
                    _ => None,
                };
                document.as_bytes() == bytes && subtype == Some(9)
            });
            if !ok {
                failures.push(format!("{file}: {}", case["description"]));
            }
        }
    }
    verdict(&failures, cases, 10)
}

/// libbson's documents have no verdict beside them. These are broken, which a look at their bytes confirms; every other
/// one is a document or a stream of documents.
const LIBBSON_REFUSED: &[&str] = &[
    "overflow1",
    "overflow2",
    "overflow3",
    "stream_corrupt",
    "test40",
    "test41",
    "test42",
    "test45",
    "test48",
    "test51",
    "test52",
    "test53",
    "test60",
];

pub(crate) fn libbson(file: &Path) -> Result<(), Failed> {
    let (mut failures, mut cases) = (Vec::new(), 0);
    for line in std::fs::read_to_string(file)?.lines() {
        let case: Json = serde_json::from_str(line)?;
        let id = case["id"].as_str().unwrap().trim_end_matches(".bson");
        let bytes = base64::engine::general_purpose::STANDARD.decode(case["b64"].as_str().unwrap())?;
        cases += 1;
        let result = decode_stream(&bytes);
        if result.is_ok() == LIBBSON_REFUSED.contains(&id) {
            failures.push(format!("{id}: {result:?}"));
        }
    }
    verdict(&failures, cases, 50)
}

/// How many documents there are one behind the other.
fn decode_stream(mut bytes: &[u8]) -> Result<usize, String> {
    let mut count = 0;
    while !bytes.is_empty() {
        let (doc, rest) = Doc::split_from(bytes).map_err(|error| error.to_string())?;
        decode(doc.as_bytes())?;
        bytes = rest;
        count += 1;
    }
    Ok(count)
}
