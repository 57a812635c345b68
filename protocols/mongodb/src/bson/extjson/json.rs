//! Plain JSON (RFC 8259) as a tree that keeps order and duplicates, within a depth.

use super::{JsonError, JsonReason};

/// A JSON value and where it began.
#[derive(Debug)]
pub(super) struct Json {
    pub(super) offset: usize,
    pub(super) kind: Kind,
}

#[derive(Debug)]
pub(super) enum Kind {
    Null,
    Bool(bool),
    /// A number without fraction or exponent that fits.
    Int(i64),
    /// Any other number.
    Float(f64),
    String(String),
    Array(Vec<Json>),
    Object(Vec<(String, Json)>),
}

/// Reads all of `text` as one value.
pub(super) fn parse(text: &str, max_depth: usize) -> Result<Json, JsonError> {
    let mut parser = Parser { text, at: 0 };
    let value = parser.value(max_depth)?;
    parser.skip_space();
    if parser.at == text.len() { Ok(value) } else { Err(parser.error(JsonReason::TrailingText)) }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
}

impl Parser<'_> {
    fn error(&self, reason: JsonReason) -> JsonError {
        JsonError { offset: self.at, reason }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    /// Skips space, then takes `byte`.
    fn expect(&mut self, byte: u8) -> Result<(), JsonError> {
        self.skip_space();
        match self.peek() {
            Some(found) if found == byte => {
                self.at += 1;
                Ok(())
            }
            Some(_) => Err(self.error(JsonReason::Unexpected)),
            None => Err(self.error(JsonReason::UnexpectedEnd)),
        }
    }

    /// Recursion is bounded by `depth`.
    fn value(&mut self, depth: usize) -> Result<Json, JsonError> {
        self.skip_space();
        let offset = self.at;
        let kind = match self.peek().ok_or(self.error(JsonReason::UnexpectedEnd))? {
            b'{' => self.object(depth.checked_sub(1).ok_or(self.error(JsonReason::TooDeep))?)?,
            b'[' => self.array(depth.checked_sub(1).ok_or(self.error(JsonReason::TooDeep))?)?,
            b'"' => Kind::String(self.string()?),
            b'-' | b'0'..=b'9' => self.number()?,
            b'n' => self.word("null", Kind::Null)?,
            b't' => self.word("true", Kind::Bool(true))?,
            b'f' => self.word("false", Kind::Bool(false))?,
            _ => return Err(self.error(JsonReason::Unexpected)),
        };
        Ok(Json { offset, kind })
    }

    fn word(&mut self, word: &str, kind: Kind) -> Result<Kind, JsonError> {
        if !self.text[self.at..].starts_with(word) {
            return Err(self.error(JsonReason::Unexpected));
        }
        self.at += word.len();
        Ok(kind)
    }

    /// True when `close` came, false when a comma did.
    fn ends(&mut self, close: u8) -> Result<bool, JsonError> {
        self.skip_space();
        match self.peek() {
            Some(byte) if byte == close => {
                self.at += 1;
                Ok(true)
            }
            Some(b',') => {
                self.at += 1;
                Ok(false)
            }
            Some(_) => Err(self.error(JsonReason::Unexpected)),
            None => Err(self.error(JsonReason::UnexpectedEnd)),
        }
    }

    fn object(&mut self, depth: usize) -> Result<Kind, JsonError> {
        self.at += 1;
        let mut members = Vec::new();
        self.skip_space();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(Kind::Object(members));
        }
        loop {
            self.skip_space();
            if self.peek().is_some_and(|byte| byte != b'"') {
                return Err(self.error(JsonReason::Unexpected));
            }
            let key = self.string()?;
            self.expect(b':')?;
            members.push((key, self.value(depth)?));
            if self.ends(b'}')? {
                return Ok(Kind::Object(members));
            }
        }
    }

    fn array(&mut self, depth: usize) -> Result<Kind, JsonError> {
        self.at += 1;
        let mut items = Vec::new();
        self.skip_space();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(Kind::Array(items));
        }
        loop {
            items.push(self.value(depth)?);
            if self.ends(b']')? {
                return Ok(Kind::Array(items));
            }
        }
    }

    fn number(&mut self) -> Result<Kind, JsonError> {
        let start = self.at;
        let bytes = self.text.as_bytes();
        let digits = |at: &mut usize| {
            let from = *at;
            while bytes.get(*at).is_some_and(u8::is_ascii_digit) {
                *at += 1;
            }
            *at - from
        };
        let mut at = start + usize::from(bytes[start] == b'-');
        let first = bytes.get(at).copied();
        let whole = digits(&mut at);
        let mut good = whole == 1 || whole > 1 && first != Some(b'0');
        let mut is_int = true;
        if bytes.get(at) == Some(&b'.') {
            at += 1;
            is_int = false;
            good &= digits(&mut at) > 0;
        }
        if matches!(bytes.get(at), Some(b'e' | b'E')) {
            at += 1;
            is_int = false;
            at += usize::from(matches!(bytes.get(at), Some(b'+' | b'-')));
            good &= digits(&mut at) > 0;
        }
        let text = &self.text[start..at];
        if is_int
            && good
            && let Ok(number) = text.parse()
        {
            self.at = at;
            return Ok(Kind::Int(number));
        }
        match text.parse::<f64>() {
            Ok(number) if good && number.is_finite() => {
                self.at = at;
                Ok(Kind::Float(number))
            }
            _ => Err(self.error(JsonReason::BadNumber)),
        }
    }

    fn string(&mut self) -> Result<String, JsonError> {
        self.expect(b'"')?;
        let mut text = String::new();
        loop {
            let rest = &self.text.as_bytes()[self.at..];
            let run = rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1f));
            let run = run.ok_or(self.error(JsonReason::UnexpectedEnd))?;
            // The run ends before an ASCII byte, so both ends are character boundaries.
            text.push_str(&self.text[self.at..self.at + run]);
            self.at += run;
            match rest[run] {
                b'"' => {
                    self.at += 1;
                    return Ok(text);
                }
                b'\\' => text.push(self.escape()?),
                _ => return Err(self.error(JsonReason::BadString)),
            }
        }
    }

    fn escape(&mut self) -> Result<char, JsonError> {
        self.at += 1;
        let escaped = self.peek().ok_or(self.error(JsonReason::UnexpectedEnd))?;
        self.at += 1;
        Ok(match escaped {
            b'"' | b'\\' | b'/' => escaped.into(),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let bad = self.error(JsonReason::BadString);
                let mut code = self.hex4()?;
                if (0xd800..0xdc00).contains(&code) {
                    // RFC 8259 §7: outside the basic plane, a pair of surrogates.
                    if self.text.as_bytes().get(self.at..self.at + 2) != Some(b"\\u") {
                        return Err(bad);
                    }
                    self.at += 2;
                    let low = self.hex4()?;
                    if !(0xdc00..0xe000).contains(&low) {
                        return Err(bad);
                    }
                    code = 0x1_0000 + ((code - 0xd800) << 10) + (low - 0xdc00);
                }
                char::from_u32(code).ok_or(bad)?
            }
            _ => return Err(self.error(JsonReason::BadString)),
        })
    }

    fn hex4(&mut self) -> Result<u32, JsonError> {
        let digits =
            self.text.as_bytes().get(self.at..self.at + 4).ok_or(self.error(JsonReason::UnexpectedEnd))?;
        let code =
            digits.iter().try_fold(0, |code, digit| Some(code << 4 | char::from(*digit).to_digit(16)?));
        let code = code.ok_or(self.error(JsonReason::BadString))?;
        self.at += 4;
        Ok(code)
    }
}
