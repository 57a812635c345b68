//! Where and why a section is wrong: the slow walk that is taken once a parser has refused it.

use httparse::Error as ParseError;

use crate::config::Limits;
use crate::error::{Error, Reason};
use crate::wire::parse::limit;
use crate::wire::token::{is_tchar, is_value_byte};

/// Why `httparse` refused a request head.
#[cold]
pub(crate) fn request(head: &[u8], error: Option<ParseError>, limits: &Limits) -> Error {
    if let Some(error @ (ParseError::HeaderName | ParseError::HeaderValue | ParseError::TooManyHeaders)) =
        error
    {
        return fields(head, line_end(head, 0), error, limits);
    }
    let line = &head[..line_end(head, 0)];
    let method_end = line.iter().position(|&byte| !is_tchar(byte)).unwrap_or(line.len());
    if method_end == 0 || line.get(method_end) != Some(&b' ') {
        return Error::peer(method_end, Reason::Method);
    }
    let target_start = method_end + 1;
    let target_len = line[target_start..].iter().position(|&byte| !(0x21..=0x7e).contains(&byte));
    let Some(target_len) = target_len else { return Error::peer(target_start, Reason::StartLine) };
    let target_end = target_start + target_len;
    if target_len == 0 || line[target_end] != b' ' {
        return Error::peer(target_end, Reason::Target);
    }
    Error::peer(target_end + 1, version_reason(&line[target_end + 1..]))
}

/// Why `httparse` refused a response head.
#[cold]
pub(crate) fn response(head: &[u8], error: Option<ParseError>, limits: &Limits) -> Error {
    let line = &head[..line_end(head, 0)];
    match error {
        Some(error @ (ParseError::HeaderName | ParseError::HeaderValue | ParseError::TooManyHeaders)) => {
            fields(head, line.len(), error, limits)
        }
        Some(ParseError::Version) => Error::peer(0, version_reason(line.get(..8).unwrap_or(line))),
        Some(ParseError::Status) => Error::peer("HTTP/1.1 ".len(), Reason::Status),
        _ => Error::peer(0, Reason::StartLine),
    }
}

/// Why `httparse` refused a trailer section.
#[cold]
pub(crate) fn trailers(section: &[u8], error: ParseError, limits: &Limits) -> Error {
    fields(section, 0, error, limits)
}

/// A version that is not ours, or none at all.
fn version_reason(text: &[u8]) -> Reason {
    match text {
        [b'H', b'T', b'T', b'P', b'/', major, b'.', minor]
            if major.is_ascii_digit() && minor.is_ascii_digit() =>
        {
            Reason::Version
        }
        _ => Reason::StartLine,
    }
}

/// The first offence among the lines from `start` on.
fn fields(section: &[u8], start: usize, error: ParseError, limits: &Limits) -> Error {
    if error == ParseError::TooManyHeaders {
        return limit("max_fields", limits.get().max_fields());
    }
    // Behind the end of the first line, if there is one.
    let mut at = section[start..].iter().position(|byte| !matches!(byte, b'\r' | b'\n')).unwrap_or(0) + start;
    while at < section.len() {
        let end = line_end(section, at);
        let line = &section[at..end];
        let name_len = line.iter().position(|&byte| !is_tchar(byte)).unwrap_or(line.len());
        if !line.is_empty() && (name_len == 0 || line.get(name_len) != Some(&b':')) {
            return Error::peer(at + name_len, Reason::FieldName);
        }
        if let Some(bad) = line.iter().skip(name_len).position(|&byte| !is_value_byte(byte)) {
            return Error::peer(at + name_len + bad, Reason::FieldValue);
        }
        at = end + if section[end..].starts_with(b"\r\n") { 2 } else { 1 };
    }
    Error::peer(start, if error == ParseError::HeaderValue { Reason::FieldValue } else { Reason::FieldName })
}

/// Where the line that begins at `start` ends, without its line end.
fn line_end(section: &[u8], start: usize) -> usize {
    let line_feed = memchr::memchr(b'\n', &section[start..]).map_or(section.len(), |len| start + len);
    if line_feed > start && section[line_feed - 1] == b'\r' { line_feed - 1 } else { line_feed }
}
