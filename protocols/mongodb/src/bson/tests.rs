//! BSON by example, by hostile bytes and by round trips.

use super::*;
use crate::doc;
use crate::error::{DecodeError, EncodeError, Reason};

/// One element of every type.
pub(crate) fn every_type() -> Document {
    let scope = doc! { "x": 1 };
    let mut document = doc! {
        "double": 1.5, "string": "grüße", "document": { "a": { "b": [1, [2, { "c": null }]] } }, "array": [1, "x"],
        "id": ObjectId::from_bytes(*b"abcdefghijkl"), "true": true, "date": DateTime::from_millis(1_356_351_330_501),
        "int": -7, "long": 1i64 << 40, "stamp": Timestamp { time: 1, increment: 2 },
        "decimal": "1.50E+3".parse::<Decimal128>().unwrap(),
    };
    document
        .append("binary", Binary { subtype: BinarySubtype::UUID, bytes: &[7; 16] })
        .append("old", Binary { subtype: BinarySubtype::BINARY_OLD, bytes: &[1, 2] })
        .append("regex", Regex { pattern: "^a", options: "i" })
        .append("pointer", DbPointer { namespace: "a.b", id: ObjectId::from_bytes([1; 12]) })
        .append("code", Value::Code("f()"))
        .append("symbol", Value::Symbol("s"))
        .append("scoped", CodeWithScope { code: "g()", scope: scope.as_doc() })
        .append("undefined", Value::Undefined)
        .append("min", Value::MinKey)
        .append("max", Value::MaxKey);
    document
}

#[test]
fn every_type_is_read_as_it_was_written() {
    let document = every_type();
    document.as_doc().validate(DEFAULT_MAX_DEPTH).unwrap();
    let mut copy = Document::new();
    for element in &document {
        let (key, value) = element.unwrap();
        copy.append(key, value);
    }
    assert_eq!(copy, document);
    let json = document.as_doc().to_json(JsonMode::Canonical).unwrap();
    assert_eq!(Document::from_json(&json).unwrap(), document, "{json}");
}

#[test]
fn any_changed_byte_is_read_without_a_panic() {
    let document = every_type();
    for at in 0..document.as_bytes().len() {
        for change in [0, 1, 0x7f, 0x80, 0xff] {
            let mut bytes = document.as_bytes().to_vec();
            bytes[at] = change;
            let Ok(doc) = Doc::new(&bytes) else { continue };
            let valid = doc.validate(DEFAULT_MAX_DEPTH).is_ok();
            // The other way round need not hold: JSON has no place for the keys of arrays.
            assert!(!valid || doc.to_json(JsonMode::Canonical).is_ok(), "byte {at} to {change}");
        }
    }
    for len in 0..document.as_bytes().len() {
        assert!(Doc::new(&document.as_bytes()[..len]).is_err());
    }
}

#[test]
fn walking_at_once_and_step_by_step_see_the_same_whatever_byte_changes() {
    // What the usual types take a short way for is measured and decoded apart here.
    let apart = |doc: Doc<'_>| {
        let mut seen = Vec::new();
        for element in doc.raw_iter() {
            let element = element.and_then(|element| {
                let key = element.key()?;
                Ok(format!("{key:?}: {:?}", element.value()?))
            });
            let failed = element.is_err();
            seen.push(element);
            if failed {
                break;
            }
        }
        seen
    };
    let at_once = |doc: Doc<'_>| -> Vec<_> {
        doc.iter().map(|element| element.map(|(key, value)| format!("{key:?}: {value:?}"))).collect()
    };
    let document = every_type();
    let mut bytes = document.as_bytes().to_vec();
    for at in 4..bytes.len() {
        let was = bytes[at];
        for change in [0, 1, 5, 0x7f, 0x80, 0xff, was ^ 1] {
            bytes[at] = change;
            let Ok(doc) = Doc::new(&bytes) else { continue };
            assert_eq!(at_once(doc), apart(doc), "byte {at} to {change}");
            let values: Vec<_> =
                doc.raw_iter().map_while(Result::ok).map(|element| element.value()).collect();
            let in_array: Vec<_> = Array::from_doc(doc).iter().take(values.len()).collect();
            assert_eq!(format!("{in_array:?}"), format!("{values:?}"), "byte {at} to {change}");
        }
        bytes[at] = was;
    }
}

#[test]
fn frames_are_checked_first() {
    let cases: &[(&[u8], usize, Reason)] = &[
        (b"", 0, Reason::Truncated),
        (b"\x05\0\0", 3, Reason::Truncated),
        (b"\x04\0\0\0\0", 0, Reason::BadLength),
        (b"\xff\xff\xff\xff\0", 0, Reason::BadLength),
        (b"\xff\xff\xff\x7f\0", 5, Reason::Truncated),
        (b"\x05\0\0\0\x01", 4, Reason::MissingTerminator),
        (b"\x05\0\0\0\0\0", 5, Reason::TrailingBytes),
    ];
    for (bytes, offset, reason) in cases {
        assert_eq!(Doc::new(bytes), Err(DecodeError { offset: *offset, reason: *reason }), "{bytes:?}");
    }
}

#[test]
fn lengths_inside_never_reach_outside() {
    // A string that claims the terminator of its document, and one of length zero.
    for len in [3u8, 0] {
        let bytes = [0x0e, 0, 0, 0, 2, b'a', 0, len, 0, 0, 0, b'x', 0, 0];
        let error = Doc::new(&bytes).unwrap().validate(9).unwrap_err();
        assert!(
            matches!(
                error.reason,
                Reason::BadLength | Reason::UnknownElementType(_) | Reason::MissingTerminator
            ),
            "{error}"
        );
    }
    let bomb = [0x0d, 0, 0, 0, 2, b'a', 0, 0xff, 0xff, 0xff, 0x7f, b'x', 0];
    assert_eq!(Doc::new(&bomb).unwrap().get("a").unwrap_err().reason, Reason::BadLength);
}

/// `levels` documents, each in the one before.
fn nested(levels: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    for level in 0..levels {
        let len = 5 + 8 * (levels - 1 - level);
        bytes.extend_from_slice(&(len as u32).to_le_bytes());
        if level + 1 < levels {
            bytes.extend_from_slice(b"\x03a\0");
        }
    }
    bytes.resize(bytes.len() + levels, 0);
    bytes
}

#[test]
fn depth_is_bounded_everywhere() {
    let fits = nested(DEFAULT_MAX_DEPTH);
    let doc = Doc::new(&fits).unwrap();
    doc.validate(DEFAULT_MAX_DEPTH).unwrap();
    doc.to_json(JsonMode::Relaxed).unwrap();
    assert_eq!(doc.validate(3), Err(DecodeError { offset: 21, reason: Reason::TooDeep }));
    assert_eq!(doc.validate(0).unwrap_err().reason, Reason::TooDeep);

    let bomb = nested(100_000);
    let doc = Doc::new(&bomb).unwrap();
    assert_eq!(doc.validate(DEFAULT_MAX_DEPTH).unwrap_err().reason, Reason::TooDeep);
    assert_eq!(doc.to_json(JsonMode::Relaxed).unwrap_err().reason, Reason::TooDeep);
    doc.validate(100_000).unwrap();
    let json = "{\"a\":".repeat(100_000);
    assert_eq!(Document::from_json(&json).unwrap_err().reason, JsonReason::TooDeep);
    let json = format!("{{\"a\":{}", "[".repeat(100_000));
    assert_eq!(Document::from_json(&json).unwrap_err().reason, JsonReason::TooDeep);
    #[cfg(feature = "serde")]
    assert!(from_slice::<std::collections::BTreeMap<String, serde_json::Value>>(&bomb).is_err());
    #[cfg(feature = "bson")]
    assert!(matches!(to_bson_document(doc), Err(BsonCrateError::Decode(_))));
}

#[test]
fn duplicate_keys_are_kept_and_the_first_is_found() {
    let document = doc! { "a": 1, "a": 2 };
    assert_eq!(document.iter().count(), 2);
    assert_eq!(document.get("a").unwrap(), Some(Value::Int32(1)));
    let json = document.to_string();
    assert_eq!(Document::from_json(&json).unwrap(), document);
}

#[test]
fn zero_bytes_in_keys_are_refused_and_nothing_is_left_behind() {
    let mut document = doc! { "a": 1 };
    assert_eq!(document.try_append("b\0\x10c", 1), Err(EncodeError::ZeroByte));
    assert_eq!(document.try_append("r", Regex { pattern: "a\0", options: "" }), Err(EncodeError::ZeroByte));
    assert_eq!(document, doc! { "a": 1 });
    assert_eq!(
        Document::from_json(r#"{"a\u0000b": 1}"#).unwrap_err().reason,
        JsonReason::Encode(EncodeError::ZeroByte)
    );
    document.append("s", "zero \0 is fine in text");
    document.as_doc().validate(2).unwrap();
}

#[test]
fn numbers_are_read_across_types() {
    let document = doc! { "int": 3, "long": 4i64, "whole": 5.0, "half": 0.5, "huge": 1e300, "text": "6" };
    let doc = document.as_doc();
    let whole = ["int", "long", "whole", "half", "huge", "text", "none"].map(|key| doc.get_i64(key));
    assert_eq!(whole, [Some(3), Some(4), Some(5), None, None, None, None]);
    assert_eq!(doc.get_f64("half"), Some(0.5));
}

#[test]
fn extended_json_reads_dates_and_forms_in_any_order() {
    let read = |json: &str| Document::from_json(json).unwrap();
    let date = |json: &str| match read(json).get("d").unwrap() {
        Some(Value::DateTime(moment)) => moment.millis(),
        other => panic!("{other:?}"),
    };
    for text in ["2012-12-24T12:15:30.501Z", "2012-12-24T13:15:30.501+01:00", "2012-12-24T11:15:30.5019-0100"]
    {
        assert_eq!(date(&format!(r#"{{"d":{{"$date":"{text}"}}}}"#)), 1_356_351_330_501);
    }
    assert_eq!(date(r#"{"d":{"$date":{"$numberLong":"-1"}}}"#), -1);
    for bad in
        ["2012-13-24T12:15:30Z", "2011-02-29T12:15:30Z", "2012-12-24T12:15:30", "2012-12-24T12:15:30.Z", "x"]
    {
        let error = Document::from_json(&format!(r#"{{"d":{{"$date":"{bad}"}}}}"#)).unwrap_err();
        assert_eq!(error.reason, JsonReason::BadType("$date"), "{bad}");
    }
    assert_eq!(
        read(r#"{"c":{"$scope":{"x":1},"$code":"f"}}"#).to_string(),
        r#"{"c":{"$code":"f","$scope":{"x":1}}}"#
    );
    let query = r#"{"a":{"$gt":1,"$lt":{"$numberDecimal":"2.50"}},"b":{"$regex":"^x","$options":"i"}}"#;
    assert_eq!(read(query).to_string(), query);
    assert_eq!(read(r#"{"s":"\ud83d\ude00\u00e9\n\/"}"#).get("s").unwrap(), Some(Value::String("😀é\n/")));
    for bad in [
        r#"{"s":"\ud83d"}"#,
        r#"{"s":"\udc00"}"#,
        r#"{"n":01}"#,
        r#"{"n":1.}"#,
        r#"{"n":-}"#,
        "{\"s\":\"\n\"}",
        r#"{"a":1,}"#,
        "[]",
        "{}x",
        "{",
        "",
    ] {
        assert!(Document::from_json(bad).is_err(), "{bad}");
    }
}

#[test]
fn decimals_are_exact_or_refused() {
    let round = |text: &str| text.parse::<Decimal128>().map(|number| number.to_string());
    for (text, canonical) in [
        ("0", "0"),
        ("-0", "-0"),
        ("1.00", "1.00"),
        ("0.001234", "0.001234"),
        ("1E-7", "1E-7"),
        ("12E3", "1.2E+4"),
        ("0E+7000", "0E+6111"),
        ("0E-7000", "0E-6176"),
        ("1E6112", "1.0E+6112"),
        ("-inf", "-Infinity"),
        ("nan", "NaN"),
        ("10E-6177", "1E-6176"),
        ("9999999999999999999999999999999999", "9999999999999999999999999999999999"),
        ("99999999999999999999999999999999990", "9.999999999999999999999999999999999E+34"),
    ] {
        assert_eq!(round(text).as_deref(), Ok(canonical), "{text}");
    }
    assert_eq!(round("1E-6177"), Err(ParseDecimalError::Range));
    assert_eq!(round("1E99999999999999999999999"), Err(ParseDecimalError::Range));
    assert_eq!(round(&"1".repeat(35)), Err(ParseDecimalError::Inexact));
    // As many of the zeros stay as there is room for.
    let ten = format!("10.{}", "0".repeat(32));
    assert_eq!(round(&format!("1{}E-99999", "0".repeat(100_000))), Ok(ten));
    assert_eq!(round("."), Err(ParseDecimalError::Syntax));
}

#[test]
fn object_ids_count_up_and_read_back() {
    let mut ids = ObjectIds::new(&glowplug_core::Seed::from_u64(5));
    let (one, two) = (ids.next_id(0x0102_0304), ids.next_id(0x0102_0304));
    assert_ne!(one, two);
    assert_eq!(one.bytes()[4..9], two.bytes()[4..9]);
    assert_eq!(one.seconds(), 0x0102_0304);
    assert_eq!(one.to_string().parse(), Ok(one));
    assert!("0123".parse::<ObjectId>().is_err());
    assert!("éé0123456789012345678901".parse::<ObjectId>().is_err());
}

#[cfg(feature = "serde")]
mod with_serde {
    use std::collections::BTreeMap;

    use ::serde::{Deserialize, Serialize};

    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    enum Shape {
        Point,
        Circle(f64),
        Line(i32, i32),
        Rect { w: u8, h: u8 },
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Everything<'a> {
        #[serde(rename = "_id")]
        id: ObjectId,
        text: &'a str,
        #[serde(with = "bytes_as_bytes")]
        bytes: Vec<u8>,
        date: DateTime,
        stamp: Timestamp,
        decimal: Decimal128,
        none: Option<i32>,
        some: Option<i64>,
        shapes: Vec<Shape>,
        map: BTreeMap<String, i32>,
        nested: Document,
        #[serde(borrow)]
        raw: Doc<'a>,
        unit: (),
        pair: (i32, String),
        ch: char,
    }

    mod bytes_as_bytes {
        use serde::{Deserialize, Deserializer, Serializer};

        #[allow(clippy::ptr_arg, reason = "serde's `with` hands the field's own type in")]
        pub(super) fn serialize<S: Serializer>(bytes: &Vec<u8>, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.serialize_bytes(bytes)
        }

        pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
            <&[u8]>::deserialize(deserializer).map(<[u8]>::to_vec)
        }
    }

    #[test]
    fn structs_go_there_and_back() {
        let raw = every_type();
        let value = Everything {
            id: ObjectId::from_bytes([9; 12]),
            text: "t",
            bytes: vec![1, 2, 3],
            date: DateTime::from_millis(5),
            stamp: Timestamp { time: 3, increment: 4 },
            decimal: "1.5".parse().unwrap(),
            none: None,
            some: Some(1 << 40),
            shapes: vec![Shape::Point, Shape::Circle(1.0), Shape::Line(1, 2), Shape::Rect { w: 3, h: 4 }],
            map: BTreeMap::from([("k".into(), 1)]),
            nested: doc! { "x": { "y": 1 } },
            raw: raw.as_doc(),
            unit: (),
            pair: (1, "two".into()),
            ch: 'é',
        };
        let document = to_document(&value).unwrap();
        document.as_doc().validate(DEFAULT_MAX_DEPTH).unwrap();
        assert_eq!(document.get("_id").unwrap(), Some(Value::ObjectId(value.id)));
        assert_eq!(from_doc::<Everything<'_>>(document.as_doc()).unwrap(), value);
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Outer {
        #[serde(flatten)]
        inner: Inner,
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Inner {
        id: ObjectId,
        at: DateTime,
    }

    #[test]
    fn special_types_survive_flattening_and_json() {
        let outer =
            Outer { inner: Inner { id: ObjectId::from_bytes([1; 12]), at: DateTime::from_millis(7) } };
        let document = to_document(&outer).unwrap();
        assert_eq!(from_doc::<Outer>(document.as_doc()).unwrap(), outer);
        let json = serde_json::to_string(&outer).unwrap();
        assert_eq!(json, r#"{"id":{"$oid":"010101010101010101010101"},"at":{"$date":7}}"#);
        assert_eq!(serde_json::from_str::<Outer>(&json).unwrap(), outer);
        assert_eq!(serde_json::to_string(&document).unwrap(), json);
    }

    #[test]
    fn what_is_not_a_document_is_refused() {
        assert!(matches!(to_document(&1), Err(SerError::NotADocument)));
        assert!(matches!(to_document(&[1]), Err(SerError::NotADocument)));
        assert!(matches!(to_document(&ObjectId::from_bytes([0; 12])), Err(SerError::NotADocument)));
        let map = BTreeMap::from([("a", u64::MAX)]);
        assert!(matches!(to_document(&map), Err(SerError::NumberTooLarge(_))));
        let map = BTreeMap::from([("a\0b", 1)]);
        assert!(matches!(to_document(&map), Err(SerError::Encode(EncodeError::ZeroByte))));
    }
}

mod properties {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn no_bytes_panic(mut bytes in proptest::collection::vec(any::<u8>(), 5..200)) {
            let len = bytes.len() as u32;
            bytes[..4].copy_from_slice(&len.to_le_bytes());
            *bytes.last_mut().unwrap() = 0;
            let doc = Doc::new(&bytes).unwrap();
            let json = doc.to_json(JsonMode::Canonical);
            prop_assert!(json.is_ok() || doc.validate(DEFAULT_MAX_DEPTH).is_err());
            for element in doc {
                let _ = element;
            }
        }

        #[test]
        fn values_come_back(key in "[^\0]{0,9}", text in ".{0,40}", number: i64, float: f64, bytes: Vec<u8>, millis: i64) {
            let mut document = Document::new();
            document
                .append(&key, text.as_str())
                .append("n", number)
                .append("f", float)
                .append("b", Binary { subtype: BinarySubtype(0x80), bytes: &bytes })
                .append("d", DateTime::from_millis(millis));
            document.as_doc().validate(1).unwrap();
            let json = document.as_doc().to_json(JsonMode::Canonical).unwrap();
            prop_assert_eq!(Document::from_json(&json).unwrap(), document);
        }

        #[test]
        fn decimals_read_back_as_they_print(bits: u128) {
            let number = Decimal128::from_bytes(bits.to_le_bytes());
            let text = number.to_string();
            prop_assert_eq!(text.parse::<Decimal128>().unwrap().to_string(), text);
        }
    }
}
