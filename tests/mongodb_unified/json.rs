//! Documents as extended JSON, and whether they match what a test expects.

use std::collections::BTreeMap;

use glowplug::mongodb::bson::{Doc, Document, JsonMode, ToBson};
use glowplug::mongodb::doc;
use serde_json::{Map, Value, json};

/// A document of extended JSON.
pub(crate) fn document(value: &Value) -> Result<Document, String> {
    Document::from_json(&value.to_string()).map_err(|error| format!("{value}: {error}"))
}

/// The same with one field in front: JSON's fields have no order here, and a command's name comes first.
pub(crate) fn command(value: &Value, name: &str) -> Result<Document, String> {
    let fields = value.as_object().ok_or("a command is an object")?;
    let mut whole = Document::new();
    let first = fields.get(name).into_iter().map(|value| (name, value));
    let others = fields.iter().map(|(key, value)| (key.as_str(), value)).filter(|(key, _)| *key != name);
    for (key, value) in first.chain(others) {
        whole.extend(document(&json!({ key: value }))?.as_doc());
    }
    Ok(whole)
}

/// A document as plain JSON: numbers are numbers, whatever their type.
pub(crate) fn json(doc: Doc<'_>) -> Value {
    let text = doc.to_json(JsonMode::Canonical).expect("a document of the client's is well formed");
    normal(serde_json::from_str(&text).expect("extended JSON is JSON"))
}

/// Any value as plain JSON.
pub(crate) fn json_of(value: impl ToBson) -> Value {
    json(doc! { "v": value }.as_doc())["v"].take()
}

/// Numbers of extended JSON as numbers of JSON.
pub(crate) fn normal(value: Value) -> Value {
    match value {
        Value::Object(fields) if fields.len() == 1 => {
            let number = ["$numberInt", "$numberLong", "$numberDouble"].iter().find_map(|key| {
                let text = fields.get(*key)?.as_str()?;
                let whole = text.parse::<i64>().map(Value::from);
                whole.ok().or_else(|| text.parse::<f64>().ok().filter(|f| f.is_finite()).map(Value::from))
            });
            number.unwrap_or_else(|| normal_fields(fields))
        }
        Value::Object(fields) => normal_fields(fields),
        Value::Array(items) => items.into_iter().map(normal).collect(),
        other => other,
    }
}

fn normal_fields(fields: Map<String, Value>) -> Value {
    Value::Object(fields.into_iter().map(|(key, value)| (key, normal(value))).collect())
}

/// What `$$sessionLsid` and `$$matchesEntity` name.
#[derive(Default)]
pub(crate) struct Known {
    pub(crate) sessions: BTreeMap<String, Value>,
    pub(crate) values: BTreeMap<String, Value>,
}

impl Known {
    /// Whether `actual` is what was expected; if not, why.
    pub(crate) fn check(&self, expected: &Value, actual: Option<&Value>, root: bool) -> Result<(), String> {
        if let Value::Object(fields) = expected
            && let Some((operator, argument)) = fields.iter().next()
            && operator.starts_with("$$")
        {
            return self.special(operator, argument, actual);
        }
        let Some(actual) = actual else { return Err(format!("{expected} is missing")) };
        let differs = || Err(format!("expected {expected}, found {actual}"));
        match (expected, actual) {
            (Value::Object(expected), Value::Object(fields)) => {
                for (key, expected) in expected {
                    self.check(expected, fields.get(key), false).map_err(|why| format!("{key}: {why}"))?;
                }
                match fields.keys().find(|key| !root && !expected.contains_key(*key)) {
                    Some(key) => Err(format!("{key} is not expected in {actual}")),
                    None => Ok(()),
                }
            }
            (Value::Array(expected), Value::Array(items)) if expected.len() == items.len() => expected
                .iter()
                .zip(items)
                .try_for_each(|(expected, item)| self.check(expected, Some(item), root)),
            (Value::Number(one), Value::Number(two)) => {
                if one.as_f64() == two.as_f64() {
                    Ok(())
                } else {
                    differs()
                }
            }
            (one, two) => {
                if one == two {
                    Ok(())
                } else {
                    differs()
                }
            }
        }
    }

    fn special(&self, operator: &str, argument: &Value, actual: Option<&Value>) -> Result<(), String> {
        let verdict = |fine: bool| {
            if fine { Ok(()) } else { Err(format!("{operator} {argument} does not hold for {actual:?}")) }
        };
        match operator {
            "$$exists" => verdict(argument.as_bool() == Some(actual.is_some())),
            "$$unsetOrMatches" => match actual {
                None | Some(Value::Null) => Ok(()),
                actual => self.check(argument, actual, true),
            },
            "$$type" => {
                let kinds = argument.as_array().cloned().unwrap_or_else(|| vec![argument.clone()]);
                verdict(actual.is_some_and(|actual| kinds.iter().any(|kind| is_of(kind, actual))))
            }
            "$$sessionLsid" => {
                let id =
                    argument.as_str().and_then(|name| self.sessions.get(name)).ok_or("no such session")?;
                self.check(id, actual, false)
            }
            "$$matchesEntity" => {
                let value =
                    argument.as_str().and_then(|name| self.values.get(name)).ok_or("no such value")?;
                self.check(value, actual, false)
            }
            "$$matchAsRoot" => self.check(argument, actual, true),
            "$$matchAsDocument" => {
                let text = actual.and_then(Value::as_str).ok_or("only text is matched as a document")?;
                let actual = document(&serde_json::from_str(text).map_err(|error| error.to_string())?)?;
                self.check(argument, Some(&json(actual.as_doc())), false)
            }
            "$$lte" => verdict(actual.and_then(Value::as_f64) <= argument.as_f64()),
            other => Err(format!("{other} is not understood")),
        }
    }
}

/// Whether a value is of a type of BSON, as far as plain JSON tells.
fn is_of(kind: &Value, actual: &Value) -> bool {
    let has = |key: &str| actual.get(key).is_some();
    match kind.as_str().unwrap_or_default() {
        "int" | "long" => actual.is_i64() || actual.is_u64(),
        "double" => actual.is_number(),
        "number" => actual.is_number() || has("$numberDecimal"),
        "string" => actual.is_string(),
        "bool" => actual.is_boolean(),
        "array" => actual.is_array(),
        "null" => actual.is_null(),
        "object" => actual.is_object(),
        "objectId" => has("$oid"),
        "binData" => has("$binary"),
        "date" => has("$date"),
        "timestamp" => has("$timestamp"),
        _ => false,
    }
}
