//! Bytes as text that a person reads, and back.

use std::fmt;
use std::fmt::Write as _;

/// Inputs longer than this are shown with their middle left out.
const SHOWN_WHOLE: usize = 1024;

/// `bytes` with everything but printable ASCII escaped: `\r`, `\n`, `\t`, `\\`, `\xNN`.
///
/// ```
/// use glowplug_conformance::escape::escape;
/// assert_eq!(escape(b"+OK\r\n\xff"), r"+OK\r\n\xff");
/// ```
pub fn escape(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for &byte in bytes {
        match byte {
            b'\r' => text.push_str("\\r"),
            b'\n' => text.push_str("\\n"),
            b'\t' => text.push_str("\\t"),
            b'\\' => text.push_str("\\\\"),
            b' '..=b'~' => text.push(char::from(byte)),
            _ => {
                // Writing into a String cannot fail.
                let _ = write!(text, "\\x{byte:02x}");
            }
        }
    }
    text
}

/// [`escape`] for reports: what is long is shown by its two ends.
pub fn excerpt(bytes: &[u8]) -> String {
    if bytes.len() <= SHOWN_WHOLE {
        return escape(bytes);
    }
    let (head, tail) = (&bytes[..SHOWN_WHOLE * 3 / 4], &bytes[bytes.len() - SHOWN_WHOLE / 4..]);
    let left_out = bytes.len() - head.len() - tail.len();
    format!("{} ... {left_out} bytes left out ... {}", escape(head), escape(tail))
}

/// The bytes that [`escape`] made text of. `\0` and `\"` are understood as well; other characters stand for their UTF-8.
///
/// ```
/// use glowplug_conformance::escape::unescape;
/// assert_eq!(unescape(r"+OK\r\n\xff").unwrap(), b"+OK\r\n\xff");
/// assert_eq!(unescape(r"\q").unwrap_err().to_string(), r"column 1: no such escape as \q");
/// ```
pub fn unescape(text: &str) -> Result<Vec<u8>, UnescapeError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        bytes.extend_from_slice(&rest.as_bytes()[..at]);
        let column = text.len() - rest.len() + at + 1;
        let escaped = &rest[at + 1..];
        let Some(letter) = escaped.chars().next() else {
            return Err(UnescapeError { column, what: "a backslash at the end of the line".to_owned() });
        };
        let mut used = letter.len_utf8();
        bytes.push(match letter {
            'r' => b'\r',
            'n' => b'\n',
            't' => b'\t',
            '0' => 0,
            '\\' => b'\\',
            '"' => b'"',
            'x' => {
                used = 3;
                let digits = escaped.get(1..3).and_then(|digits| u8::from_str_radix(digits, 16).ok());
                digits.ok_or_else(|| UnescapeError { column, what: "\\x wants two hex digits".to_owned() })?
            }
            other => return Err(UnescapeError { column, what: format!("no such escape as \\{other}") }),
        });
        rest = &escaped[used..];
    }
    bytes.extend_from_slice(rest.as_bytes());
    Ok(bytes)
}

/// Why [`unescape`] could not read a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnescapeError {
    /// Where, counted in bytes from 1.
    pub column: usize,
    /// What is wrong there.
    pub what: String,
}

impl fmt::Display for UnescapeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "column {}: {}", self.column, self.what)
    }
}

impl std::error::Error for UnescapeError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_survives_the_round_trip() {
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(unescape(&escape(&all)).unwrap(), all);
    }

    #[test]
    fn bad_escapes_say_where() {
        for (text, column) in [("ab\\", 3), ("\\x4", 1), ("a\\xg0", 2), ("\\xé", 1)] {
            assert_eq!(unescape(text).unwrap_err().column, column, "{text}");
        }
    }

    #[test]
    fn long_input_is_shown_by_its_ends() {
        let mut bytes = vec![b'a'; 5000];
        bytes.push(b'z');
        let shown = excerpt(&bytes);
        assert!(
            shown.len() < 1200 && shown.ends_with('z') && shown.contains("3977 bytes left out"),
            "{shown}"
        );
    }
}
