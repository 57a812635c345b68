//! JSON, as jobs are written in it and their results are shown.

use alloc::string::String;
use alloc::vec::Vec;
use core::cmp::Ordering;
use core::fmt::Write as _;

use crate::wire::Blob;

/// How deep lists and objects may lie in one another.
const MAX_DEPTH: u32 = 64;

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
    /// The value that is written here, and nothing behind it. `None` when it is no JSON, lies too deep, or has a whole number of more than 64
    /// bits.
    pub(super) fn parse(text: &[u8]) -> Option<Self> {
        let mut parser = Parser { rest: text };
        let value = parser.value(MAX_DEPTH)?;
        parser.skip_space();
        parser.rest.is_empty().then_some(value)
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
        match self {
            Self::Null => out.push_str("null"),
            Self::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
            Self::Int(value) => write!(out, "{value}").ok()?,
            Self::Float(value) => write!(out, "{value:?}").ok()?,
            Self::Text(text) => write_text(text, out)?,
            Self::List(values) => {
                out.push('[');
                for (n, value) in values.iter().enumerate() {
                    if n > 0 {
                        out.push(',');
                    }
                    value.write(out)?;
                }
                out.push(']');
            }
            Self::Object(fields) => {
                out.push('{');
                for (n, (name, value)) in fields.iter().enumerate() {
                    if n > 0 {
                        out.push(',');
                    }
                    write_text(name, out)?;
                    out.push(':');
                    value.write(out)?;
                }
                out.push('}');
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

fn write_text(text: &Blob, out: &mut String) -> Option<()> {
    out.push('"');
    for char in text.to_str().ok()?.chars() {
        match char {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            ' '..='~' => out.push(char),
            _ => {
                for unit in char.encode_utf16(&mut [0; 2]) {
                    write!(out, "\\u{unit:04x}").ok()?;
                }
            }
        }
    }
    out.push('"');
    Some(())
}

struct Parser<'a> {
    rest: &'a [u8],
}

impl Parser<'_> {
    fn skip_space(&mut self) {
        self.rest = self.rest.trim_ascii_start();
    }

    /// Passes over `token` if it stands here.
    fn take(&mut self, token: &[u8]) -> bool {
        let rest = self.rest.strip_prefix(token);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn byte(&mut self) -> Option<u8> {
        let (byte, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*byte)
    }

    /// A value in which others may lie so deep.
    fn value(&mut self, depth: u32) -> Option<Json> {
        self.skip_space();
        match self.rest.first()? {
            b'"' => self.text().map(Json::Text),
            b'-' | b'0'..=b'9' => self.number(),
            b'[' => self.list(depth.checked_sub(1)?),
            b'{' => self.object(depth.checked_sub(1)?),
            _ if self.take(b"null") => Some(Json::Null),
            _ if self.take(b"true") => Some(Json::Bool(true)),
            _ if self.take(b"false") => Some(Json::Bool(false)),
            _ => None,
        }
    }

    fn list(&mut self, depth: u32) -> Option<Json> {
        let mut values = Vec::new();
        self.elements(b'[', b']', |parser| {
            values.push(parser.value(depth)?);
            Some(())
        })?;
        Some(Json::List(values))
    }

    fn object(&mut self, depth: u32) -> Option<Json> {
        let mut fields = Vec::new();
        self.elements(b'{', b'}', |parser| {
            parser.skip_space();
            let name = parser.text()?;
            parser.skip_space();
            if !parser.take(b":") {
                return None;
            }
            fields.push((name, parser.value(depth)?));
            Some(())
        })?;
        Some(Json::Object(fields))
    }

    /// What stands between two brackets, parted by commas.
    fn elements(
        &mut self,
        open: u8,
        close: u8,
        mut element: impl FnMut(&mut Self) -> Option<()>,
    ) -> Option<()> {
        self.take(&[open]);
        self.skip_space();
        if self.take(&[close]) {
            return Some(());
        }
        loop {
            element(self)?;
            self.skip_space();
            match self.byte()? {
                b',' => {}
                end => return (end == close).then_some(()),
            }
        }
    }

    fn number(&mut self) -> Option<Json> {
        let is_part = |byte: &u8| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E');
        let len = self.rest.iter().position(|byte| !is_part(byte)).unwrap_or(self.rest.len());
        let (number, rest) = self.rest.split_at(len);
        self.rest = rest;
        let text = core::str::from_utf8(number).ok()?;
        if text.bytes().all(|byte| byte == b'-' || byte.is_ascii_digit()) {
            return text.parse().ok().map(Json::Int);
        }
        text.parse().ok().filter(|value: &f64| value.is_finite()).map(Json::Float)
    }

    fn text(&mut self) -> Option<Blob> {
        if !self.take(b"\"") {
            return None;
        }
        let mut text = Vec::new();
        loop {
            match self.byte()? {
                b'"' => return Some(text.into()),
                b'\\' => self.escape(&mut text)?,
                0..=0x1f => return None,
                byte => text.push(byte),
            }
        }
    }

    fn escape(&mut self, text: &mut Vec<u8>) -> Option<()> {
        text.push(match self.byte()? {
            byte @ (b'"' | b'\\' | b'/') => byte,
            b'b' => 8,
            b'f' => 12,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'u' => {
                let first = self.unit()?;
                let second = if matches!(first, 0xd800..0xdc00) && self.take(b"\\u") {
                    Some(self.unit()?)
                } else {
                    None
                };
                let char = char::decode_utf16([first].into_iter().chain(second)).next()?.ok()?;
                text.extend(char.encode_utf8(&mut [0; 4]).as_bytes());
                return Some(());
            }
            _ => return None,
        });
        Some(())
    }

    /// Four hexadecimal digits.
    fn unit(&mut self) -> Option<u16> {
        let (digits, rest) = self.rest.split_at_checked(4)?;
        self.rest = rest;
        let digits = core::str::from_utf8(digits).ok().filter(|text| !text.starts_with('+'))?;
        u16::from_str_radix(digits, 16).ok()
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
            "9223372036854775808",
            "1.2.3",
            "]",
        ] {
            assert_eq!(Json::parse(text.as_bytes()), None, "{text}");
        }
        let nested = |depth| [b"[".repeat(depth), b"]".repeat(depth)].concat();
        assert!(Json::parse(&nested(MAX_DEPTH as usize)).is_some());
        assert_eq!(Json::parse(&nested(MAX_DEPTH as usize + 1)), None);
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
