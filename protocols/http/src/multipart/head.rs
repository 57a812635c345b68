//! The head of a part.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, header};

use super::MultipartReason;
use crate::wire::token;

/// The head of a part: its name, perhaps a filename, and its fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartHead {
    name: String,
    filename: Option<String>,
    headers: HeaderMap,
}

/// How the data of a part is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Transfer {
    Plain,
    Base64,
}

impl PartHead {
    /// The name of the form's field.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The name that the file has with its sender; never to be used as a path. `None` if the part is no file.
    pub fn filename(&self) -> Option<&str> {
        self.filename.as_deref()
    }

    /// The part's `Content-Type`, if it has one that is text.
    pub fn content_type(&self) -> Option<&str> {
        self.headers.get(header::CONTENT_TYPE)?.to_str().ok()
    }

    /// All fields of the part.
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    pub(super) fn from_fields(headers: HeaderMap) -> Result<(Self, Transfer), MultipartReason> {
        let disposition = headers.get(header::CONTENT_DISPOSITION).ok_or(MultipartReason::Disposition)?;
        let (kind, parameters) = parameters(disposition.as_bytes()).ok_or(MultipartReason::Disposition)?;
        if !kind.eq_ignore_ascii_case(b"form-data") {
            return Err(MultipartReason::Disposition);
        }
        let find = |wanted: &[u8]| {
            let mut found = parameters.iter().filter(|(name, _)| name.eq_ignore_ascii_case(wanted));
            let first = found.next().map(|(_, value)| unescape(value));
            // Two of them would be read differently by different readers.
            if found.next().is_some() { Err(MultipartReason::Disposition) } else { Ok(first) }
        };
        let name = find(b"name")?.ok_or(MultipartReason::Disposition)?;
        let filename = find(b"filename")?;
        let transfer = match headers.get("content-transfer-encoding").map(HeaderValue::as_bytes) {
            None => Transfer::Plain,
            Some(encoding) => {
                let is = |known: &str| encoding.eq_ignore_ascii_case(known.as_bytes());
                if is("base64") {
                    Transfer::Base64
                } else if is("7bit") || is("8bit") || is("binary") {
                    Transfer::Plain
                } else {
                    return Err(MultipartReason::TransferEncoding);
                }
            }
        };
        Ok((Self { name, filename, headers }, transfer))
    }
}

/// One line of a head without its end; `Err` is the offset of the byte that does not belong there.
pub(super) fn field(line: &Bytes) -> Result<(HeaderName, HeaderValue), usize> {
    let colon = line.iter().position(|byte| !token::is_tchar(*byte)).unwrap_or(line.len());
    if colon == 0 || line.get(colon) != Some(&b':') {
        return Err(colon);
    }
    let value = &line[colon + 1..];
    if let Some(at) = value.iter().position(|byte| !token::is_value_byte(*byte)) {
        return Err(colon + 1 + at);
    }
    let name = HeaderName::from_bytes(&line[..colon]).map_err(|_| 0_usize)?;
    let value = HeaderValue::from_bytes(value.trim_ascii()).map_err(|_| colon)?;
    Ok((name, value))
}

type Parameters = Vec<(Vec<u8>, Vec<u8>)>;

/// `kind; name=value; name="value"`; `None` if it is not built like that.
pub(super) fn parameters(text: &[u8]) -> Option<(&[u8], Parameters)> {
    let end = memchr::memchr(b';', text).unwrap_or(text.len());
    let (kind, mut rest) = text.split_at(end);
    let mut parameters = Vec::new();
    while let Some(after) = rest.strip_prefix(b";") {
        rest = after.trim_ascii_start();
        if rest.is_empty() || rest[0] == b';' {
            continue;
        }
        let equals = memchr::memchr2(b'=', b';', rest).filter(|at| rest[*at] == b'=')?;
        let name = rest[..equals].trim_ascii_end();
        if !token::is_token(name) {
            return None;
        }
        rest = rest[equals + 1..].trim_ascii_start();
        let value = if let Some(quoted) = rest.strip_prefix(b"\"") {
            let (value, after) = quoted_text(quoted)?;
            rest = after.trim_ascii_start();
            value
        } else {
            let end = memchr::memchr(b';', rest).unwrap_or(rest.len());
            let (value, after) = rest.split_at(end);
            rest = after;
            value.trim_ascii_end().to_vec()
        };
        parameters.push((name.to_vec(), value));
    }
    rest.is_empty().then(|| (kind.trim_ascii(), parameters))
}

/// Up to the closing mark, and what is behind it. A backslash escapes a mark and itself alone: some send whole paths of Windows.
fn quoted_text(text: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut value = Vec::new();
    let mut at = 0;
    loop {
        match text.get(at)? {
            b'"' => return Some((value, &text[at + 1..])),
            b'\\' if matches!(text.get(at + 1), Some(b'"' | b'\\')) => {
                value.push(text[at + 1]);
                at += 2;
            }
            byte => {
                value.push(*byte);
                at += 1;
            }
        }
    }
}

/// Undoes the escapes of HTML, and no others: what else looks like one is the sender's own percent sign.
fn unescape(value: &[u8]) -> String {
    let mut text = Vec::with_capacity(value.len());
    let mut rest = value;
    while let Some((byte, after)) = rest.split_first() {
        let escaped = match after.get(..2) {
            Some(b"22") => Some(b'"'),
            Some(b"0D" | b"0d") => Some(b'\r'),
            Some(b"0A" | b"0a") => Some(b'\n'),
            _ => None,
        };
        match escaped {
            Some(escaped) if *byte == b'%' => {
                text.push(escaped);
                rest = &after[2..];
            }
            _ => {
                text.push(*byte);
                rest = after;
            }
        }
    }
    String::from_utf8(text).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}
