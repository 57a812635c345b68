//! A document as extended JSON.

use core::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::JsonMode;
use super::date::rfc3339;
use crate::bson::{Array, BinarySubtype, DEFAULT_MAX_DEPTH, Doc, Value};
use crate::error::{DecodeError, Reason};

impl Doc<'_> {
    /// The document as extended JSON v2 without spaces. Documents nested deeper than
    /// [`DEFAULT_MAX_DEPTH`](crate::bson::DEFAULT_MAX_DEPTH) are an error.
    pub fn to_json(self, mode: JsonMode) -> Result<String, DecodeError> {
        let mut writer = JsonWriter { out: String::with_capacity(self.len() * 2), mode };
        writer.document(self, DEFAULT_MAX_DEPTH)?;
        Ok(writer.out)
    }
}

struct JsonWriter {
    out: String,
    mode: JsonMode,
}

impl JsonWriter {
    /// Recursion is bounded by `depth`.
    fn document(&mut self, doc: Doc<'_>, depth: usize) -> Result<(), DecodeError> {
        let depth = depth.checked_sub(1).ok_or(DecodeError::new(0, Reason::TooDeep))?;
        self.out.push('{');
        for (number, element) in doc.raw_iter().enumerate() {
            let element = element?;
            if number > 0 {
                self.out.push(',');
            }
            self.string(element.key()?);
            self.out.push(':');
            self.value(element.value()?, depth).map_err(|error| error.shifted(element.value_offset()))?;
        }
        self.out.push('}');
        Ok(())
    }

    fn array(&mut self, array: Array<'_>, depth: usize) -> Result<(), DecodeError> {
        let depth = depth.checked_sub(1).ok_or(DecodeError::new(0, Reason::TooDeep))?;
        self.out.push('[');
        for (number, value) in array.iter().enumerate() {
            if number > 0 {
                self.out.push(',');
            }
            self.value(value?, depth)?;
        }
        self.out.push(']');
        Ok(())
    }

    fn value(&mut self, value: Value<'_>, depth: usize) -> Result<(), DecodeError> {
        let relaxed = self.mode == JsonMode::Relaxed;
        match value {
            Value::Double(number) if relaxed && number.is_finite() => self.out.push_str(&double(number)),
            Value::Double(number) => self.wrapped("$numberDouble", &double(number)),
            Value::String(text) => self.string(text),
            Value::Document(doc) => self.document(doc, depth)?,
            Value::Array(array) => self.array(array, depth)?,
            Value::Binary(binary) => self.binary(binary.subtype, binary.bytes),
            Value::Undefined => self.out.push_str(r#"{"$undefined":true}"#),
            Value::ObjectId(id) => self.wrapped("$oid", &id.to_string()),
            Value::Boolean(value) => self.put(format_args!("{value}")),
            Value::DateTime(moment) => match rfc3339(moment.millis()) {
                Some(text) if relaxed => self.wrapped("$date", &text),
                _ => self.put(format_args!(r#"{{"$date":{{"$numberLong":"{}"}}}}"#, moment.millis())),
            },
            Value::Null => self.out.push_str("null"),
            Value::Regex(regex) => {
                self.out.push_str(r#"{"$regularExpression":{"pattern":"#);
                self.string(regex.pattern);
                self.out.push_str(r#","options":"#);
                self.string(regex.options);
                self.out.push_str("}}");
            }
            Value::DbPointer(pointer) => {
                self.out.push_str(r#"{"$dbPointer":{"$ref":"#);
                self.string(pointer.namespace);
                self.put(format_args!(r#","$id":{{"$oid":"{}"}}}}}}"#, pointer.id));
            }
            Value::Code(code) => self.wrapped("$code", code),
            Value::Symbol(symbol) => self.wrapped("$symbol", symbol),
            Value::CodeWithScope(code) => {
                self.out.push_str(r#"{"$code":"#);
                self.string(code.code);
                self.out.push_str(r#","$scope":"#);
                self.document(code.scope, depth)?;
                self.out.push('}');
            }
            Value::Int32(number) if relaxed => self.put(format_args!("{number}")),
            Value::Int32(number) => self.put(format_args!(r#"{{"$numberInt":"{number}"}}"#)),
            Value::Timestamp(stamp) => {
                self.put(format_args!(r#"{{"$timestamp":{{"t":{},"i":{}}}}}"#, stamp.time, stamp.increment));
            }
            Value::Int64(number) if relaxed => self.put(format_args!("{number}")),
            Value::Int64(number) => self.put(format_args!(r#"{{"$numberLong":"{number}"}}"#)),
            Value::Decimal128(number) => self.put(format_args!(r#"{{"$numberDecimal":"{number}"}}"#)),
            Value::MinKey => self.out.push_str(r#"{"$minKey":1}"#),
            Value::MaxKey => self.out.push_str(r#"{"$maxKey":1}"#),
        }
        Ok(())
    }

    fn put(&mut self, arguments: core::fmt::Arguments<'_>) {
        // Writing to a string cannot fail.
        let _ = self.out.write_fmt(arguments);
    }

    fn wrapped(&mut self, key: &str, text: &str) {
        self.put(format_args!(r#"{{"{key}":"#));
        self.string(text);
        self.out.push('}');
    }

    fn binary(&mut self, subtype: BinarySubtype, bytes: &[u8]) {
        self.out.push_str(r#"{"$binary":{"base64":""#);
        STANDARD.encode_string(bytes, &mut self.out);
        self.put(format_args!(r#"","subType":"{:02x}"}}}}"#, subtype.0));
    }

    fn string(&mut self, text: &str) {
        self.out.push('"');
        let mut rest = text;
        // Everything that must be escaped is ASCII, so the cuts are character boundaries.
        while let Some(at) = rest.bytes().position(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1f)) {
            self.out.push_str(&rest[..at]);
            match rest.as_bytes()[at] {
                b'"' => self.out.push_str("\\\""),
                b'\\' => self.out.push_str("\\\\"),
                b'\n' => self.out.push_str("\\n"),
                b'\r' => self.out.push_str("\\r"),
                b'\t' => self.out.push_str("\\t"),
                8 => self.out.push_str("\\b"),
                0x0c => self.out.push_str("\\f"),
                control => self.put(format_args!("\\u{control:04x}")),
            }
            rest = &rest[at + 1..];
        }
        self.out.push_str(rest);
        self.out.push('"');
    }
}

/// The shortest text that reads back as the same double, always with a point or an exponent.
fn double(number: f64) -> String {
    if number.is_nan() {
        return "NaN".into();
    }
    if number.is_infinite() {
        return if number > 0.0 { "Infinity".into() } else { "-Infinity".into() };
    }
    let text = format!("{number:?}");
    match text.split_once('e') {
        // `1e16` to `1E+16`.
        Some((digits, exponent)) if exponent.starts_with('-') => format!("{digits}E{exponent}"),
        Some((digits, exponent)) => format!("{digits}E+{exponent}"),
        None => text,
    }
}
