//! JSON, as jobs are written in it and their results are shown.

use alloc::string::String;
use alloc::vec::Vec;
use core::cmp::Ordering;
use core::fmt::{self, Write as _};

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::{Error as _, Serialize, SerializeMap as _, Serializer};

use crate::wire::Blob;

/// A value. Texts are bytes, as in Erlang, and need not be UTF-8 until they are shown.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Json {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(Blob),
    List(Vec<Self>),
    Object(Vec<(Blob, Self)>),
}

impl Json {
    /// The value that is written here, and nothing behind it. `None` when it is no JSON or lies too deep. Whole numbers of more than 64 bits become
    /// floats, which is not what a node makes of them.
    pub(super) fn parse(text: &[u8]) -> Option<Self> {
        serde_json::from_slice(text).ok()
    }

    /// A field of an object.
    pub(super) fn field(&self, name: &str) -> Option<&Self> {
        let Self::Object(fields) = self else { return None };
        fields.iter().find(|(field, _)| field == name).map(|(_, value)| value)
    }

    pub(super) fn as_text(&self) -> Option<&Blob> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    /// Appends the value; `None` when a text in it is not UTF-8. What is not ASCII is escaped, as nodes do.
    pub(super) fn write(&self, out: &mut String) -> Option<()> {
        for char in serde_json::to_string(self).ok()?.chars() {
            // It stands in a text: all else is ASCII.
            if matches!(char, '\0'..'\x7f') {
                out.push(char);
            } else {
                for unit in char.encode_utf16(&mut [0; 2]) {
                    write!(out, "\\u{unit:04x}").ok()?;
                }
            }
        }
        Some(())
    }

    /// The order of Erlang's terms, which these values are on a real node: numbers, then atoms, tuples, lists, binaries.
    pub(super) fn cmp(&self, other: &Self) -> Ordering {
        let number = |value: &Self| match value {
            Self::Int(value) => Some(*value as f64),
            Self::Float(value) => Some(*value),
            _ => None,
        };
        match (self, other) {
            (Self::Int(one), Self::Int(two)) => one.cmp(two),
            (Self::Text(one), Self::Text(two)) => one.cmp(two),
            (Self::List(one), Self::List(two)) => compare(one.iter(), two.iter(), Self::cmp),
            (Self::Object(one), Self::Object(two)) => {
                compare(one.iter(), two.iter(), |one, two| one.0.cmp(&two.0).then_with(|| one.1.cmp(&two.1)))
            }
            _ => match (number(self), number(other)) {
                (Some(one), Some(two)) => one.total_cmp(&two),
                _ => self.rank().cmp(&other.rank()),
            },
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Self::Int(_) | Self::Float(_) => 0,
            // Atoms, by their names.
            Self::Bool(false) => 1,
            Self::Null => 2,
            Self::Bool(true) => 3,
            Self::Object(_) => 4,
            Self::List(_) => 5,
            Self::Text(_) => 6,
        }
    }
}

/// Compares two runs element by element, and then by length.
fn compare<T>(
    mut one: impl Iterator<Item = T>,
    mut two: impl Iterator<Item = T>,
    cmp: impl Fn(T, T) -> Ordering,
) -> Ordering {
    loop {
        match (one.next(), two.next()) {
            (Some(left), Some(right)) => match cmp(left, right) {
                Ordering::Equal => {}
                unequal => return unequal,
            },
            (left, right) => return left.is_some().cmp(&right.is_some()),
        }
    }
}

impl Serialize for Json {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let text = |text: &Blob| text.to_str().map(String::from).map_err(S::Error::custom);
        match self {
            Self::Null => to.serialize_unit(),
            Self::Bool(value) => to.serialize_bool(*value),
            Self::Int(value) => to.serialize_i64(*value),
            Self::Float(value) => to.serialize_f64(*value),
            Self::Text(value) => to.serialize_str(&text(value)?),
            Self::List(values) => to.collect_seq(values),
            Self::Object(fields) => {
                let mut map = to.serialize_map(Some(fields.len()))?;
                for (name, value) in fields {
                    map.serialize_entry(&text(name)?, value)?;
                }
                map.end()
            }
        }
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Build)
    }
}

/// Makes a value of what is read.
struct Build;

impl<'de> Visitor<'de> for Build {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json, E> {
        Ok(Json::Int(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json, E> {
        Ok(i64::try_from(value).map_or(Json::Float(value as f64), Json::Int))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Json, E> {
        Ok(Json::Float(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Json, E> {
        Ok(Json::Text(value.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<Json, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = from.next_element()? {
            values.push(value);
        }
        Ok(Json::List(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Json, A::Error> {
        let mut fields = Vec::new();
        while let Some((name, value)) = from.next_entry::<String, _>()? {
            fields.push((name.into(), value));
        }
        Ok(Json::Object(fields))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(value: &Json) -> Option<String> {
        let mut text = String::new();
        value.write(&mut text).map(|()| text)
    }

    #[test]
    fn values_go_both_ways() {
        for text in [
            "null",
            "[true,false]",
            "-12",
            "0.5",
            "1.0",
            "[]",
            "{}",
            r#"{"a":[1,{"b":"c"}],"d":null}"#,
            r#""\"\\\n\r\t\b\f\u0001\u00e9\ud83d\ude00""#,
        ] {
            let value = Json::parse(text.as_bytes()).expect(text);
            assert_eq!(shown(&value).as_deref(), Some(text));
        }
        assert_eq!(
            Json::parse(b" [ 1 , \"a\\/\" ] ").and_then(|value| shown(&value)).unwrap(),
            r#"[1,"a/"]"#
        );
        assert_eq!(shown(&Json::Text(Blob::from(&b"\xff"[..]))), None, "not UTF-8");
    }

    #[test]
    fn what_is_no_json_is_refused() {
        for text in [
            "",
            "[",
            "[1",
            "[1,",
            "[1,]",
            "{",
            "{\"a\"",
            "{\"a\":",
            "{\"a\":1",
            "{1:2}",
            "nul",
            "1 2",
            "\"",
            "\"\\",
            "\"\\u12",
            "\"\\u+123\"",
            "\"\\ud800\"",
            "\"\\ud800\\u0041\"",
            "\"\\x\"",
            "\"\n\"",
            "-",
            "1e999",
            "1.2.3",
            "]",
        ] {
            assert_eq!(Json::parse(text.as_bytes()), None, "{text}");
        }
        let nested = |depth| [b"[".repeat(depth), b"]".repeat(depth)].concat();
        assert!(Json::parse(&nested(100)).is_some());
        assert_eq!(Json::parse(&nested(200)), None);
        assert_eq!(Json::parse(&nested(100_000)), None);
    }

    #[test]
    fn the_order_is_that_of_terms() {
        let sorted = r#"[-1,0.5,1,2.5,false,null,true,{"a":1},{"a":2},{"a":2,"b":0},[],[1],[1,2],[2],"","a","ab","b"]"#;
        let Some(Json::List(mut values)) = Json::parse(sorted.as_bytes()) else { panic!("a list") };
        values.reverse();
        values.sort_by(Json::cmp);
        assert_eq!(shown(&Json::List(values)).as_deref(), Some(sorted));
    }
}
