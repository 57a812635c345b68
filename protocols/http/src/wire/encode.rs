//! Heads and chunk frames on their way out.

use http::{HeaderMap, StatusCode};

use crate::date::HttpDate;
use crate::error::HeadError;
use crate::wire::fields::Fields;
use crate::wire::framing::Facts;
use crate::wire::token::{is_field_value, is_token, is_word};

/// Fields to send, in order: a [`HeaderMap`], [`Fields`] that came in, or a slice or array of pairs.
///
/// The fields that frame a message (`content-length`, `transfer-encoding`) are the machine's own: it leaves out what is
/// given and writes what the body's length says. Only where a body cannot follow (the answer to `HEAD`, and 304) is a given
/// `content-length` sent as it is.
pub trait FieldSource {
    /// True when names and values are known to be valid, so that they need no check.
    const VALID: bool = false;

    /// Calls `visit` with the name and the value of each field.
    fn each(&self, visit: impl FnMut(&[u8], &[u8]));

    /// The fields as they are written, where that was done before.
    fn prepared(&self) -> Option<&PreparedFields> {
        None
    }
}

impl<T: FieldSource + ?Sized> FieldSource for &T {
    const VALID: bool = T::VALID;

    #[inline]
    fn each(&self, visit: impl FnMut(&[u8], &[u8])) {
        (**self).each(visit);
    }

    #[inline]
    fn prepared(&self) -> Option<&PreparedFields> {
        (**self).prepared()
    }
}

/// No fields.
impl FieldSource for () {
    const VALID: bool = true;

    fn each(&self, _visit: impl FnMut(&[u8], &[u8])) {}
}

impl FieldSource for HeaderMap {
    const VALID: bool = true;

    fn each(&self, mut visit: impl FnMut(&[u8], &[u8])) {
        for (name, value) in self {
            visit(name.as_str().as_bytes(), value.as_bytes());
        }
    }
}

impl FieldSource for Fields {
    const VALID: bool = true;

    fn each(&self, mut visit: impl FnMut(&[u8], &[u8])) {
        for (name, value) in self.iter() {
            visit(name.as_bytes(), value);
        }
    }
}

impl<N: AsRef<[u8]>, V: AsRef<[u8]>> FieldSource for [(N, V)] {
    #[inline]
    fn each(&self, mut visit: impl FnMut(&[u8], &[u8])) {
        for (name, value) in self {
            visit(name.as_ref(), value.as_ref());
        }
    }
}

impl<N: AsRef<[u8]>, V: AsRef<[u8]>, const LEN: usize> FieldSource for [(N, V); LEN] {
    #[inline]
    fn each(&self, visit: impl FnMut(&[u8], &[u8])) {
        self[..].each(visit);
    }
}

impl<N: AsRef<[u8]>, V: AsRef<[u8]>> FieldSource for Vec<(N, V)> {
    #[inline]
    fn each(&self, visit: impl FnMut(&[u8], &[u8])) {
        self[..].each(visit);
    }
}

/// Two sources, one after the other.
impl<A: FieldSource, B: FieldSource> FieldSource for (A, B) {
    const VALID: bool = A::VALID && B::VALID;

    #[inline]
    fn each(&self, mut visit: impl FnMut(&[u8], &[u8])) {
        self.0.each(&mut visit);
        self.1.each(visit);
    }
}

/// Fields that were checked and written once, to be sent many times: one copy then, instead of a look at each name and value.
///
/// ```
/// use glowplug_http::{FieldSource, PreparedFields};
/// let fields = PreparedFields::new(&[("content-type", "text/plain"), ("vary", "accept")])?;
/// let mut names = Vec::new();
/// fields.each(|name, _| names.push(name.to_vec()));
/// assert_eq!(names, [&b"content-type"[..], b"vary"]);
/// # Ok::<(), glowplug_http::HeadError>(())
/// ```
#[derive(Clone, Debug)]
pub struct PreparedFields {
    lines: Box<[u8]>,
    written: Written,
}

impl PreparedFields {
    /// Checks and writes `fields`, all but those that frame a message. The error is a [`HeadError::Field`].
    pub fn new(fields: &(impl FieldSource + ?Sized)) -> Result<Self, HeadError> {
        let mut lines = Vec::new();
        let written = self::fields(&mut lines, fields, false).map_err(HeadError::Field)?;
        Ok(Self { lines: lines.into(), written })
    }
}

impl FieldSource for PreparedFields {
    const VALID: bool = true;

    fn each(&self, mut visit: impl FnMut(&[u8], &[u8])) {
        let mut rest = &self.lines[..];
        while let Some(colon) = memchr::memchr(b':', rest)
            && let Some(len) = memchr::memchr(b'\r', rest)
        {
            visit(&rest[..colon], &rest[colon + 2..len]);
            rest = &rest[len + 2..];
        }
    }

    #[inline]
    fn prepared(&self) -> Option<&Self> {
        Some(self)
    }
}

/// What the fields that were written say.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Written {
    pub(crate) facts: Facts,
    pub(crate) date: bool,
    /// `Host` fields.
    pub(crate) hosts: usize,
    /// A `Connection` field.
    pub(crate) connection: bool,
}

/// Writes `fields` except those that frame the message; a given `content-length` is kept when `keep_length` says so.
/// The index of the first field that may not be sent is the error; what was written until then is the caller's to undo.
pub(crate) fn fields<F: FieldSource + ?Sized>(
    out: &mut Vec<u8>,
    fields: &F,
    keep_length: bool,
) -> Result<Written, usize> {
    if let Some(prepared) = fields.prepared() {
        out.extend_from_slice(&prepared.lines);
        return Ok(prepared.written);
    }
    let mut written = Written::default();
    let mut index = 0;
    let mut bad = None;
    fields.each(|name, value| {
        index += 1;
        if !F::VALID && (!is_token(name) || !is_field_value(value)) {
            bad = bad.or(Some(index - 1));
            return;
        }
        match name.len() {
            4 if is_word(name, b"date") => written.date = true,
            4 if is_word(name, b"host") => {
                written.hosts += 1;
                if !crate::wire::target::is_host(value) {
                    bad = bad.or(Some(index - 1));
                    return;
                }
            }
            6 | 7 | 10 => {
                written.connection |= is_word(name, b"connection");
                // Neither can fail.
                let _ = written.facts.note(name, value, &crate::Leniency::default());
            }
            14 if is_word(name, b"content-length") => {
                if !keep_length {
                    return;
                }
                if written.facts.note(name, value, &crate::Leniency::default()).is_err() {
                    bad = bad.or(Some(index - 1));
                    return;
                }
            }
            17 if is_word(name, b"transfer-encoding") => return,
            _ => {}
        }
        field(out, name, value);
    });
    match bad {
        None => Ok(written),
        Some(index) => Err(index),
    }
}

/// Writes one field.
#[inline]
pub(crate) fn field(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    out.reserve(name.len() + value.len() + 4);
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// Writes a status line. Both halves speak HTTP/1.1 whatever the peer speaks (RFC 9110 §2.5).
#[inline]
pub(crate) fn status_line(out: &mut Vec<u8>, status: StatusCode) {
    if status == StatusCode::OK {
        out.extend_from_slice(b"HTTP/1.1 200 OK\r\n");
        return;
    }
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(status.as_str().as_bytes());
    out.extend_from_slice(b" ");
    out.extend_from_slice(status.canonical_reason().unwrap_or_default().as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// Writes `date`, if the caller set a clock and wrote none itself.
#[inline]
pub(crate) fn date(out: &mut Vec<u8>, date: Option<&HttpDate>) {
    const NAME: &[u8; 6] = b"date: ";
    if let Some(date) = date {
        // Of a known length, a line is copied by a few instructions.
        let mut line = *b"date: Sun, 06 Nov 1994 08:49:37 GMT\r\n";
        line[NAME.len()..][..29].copy_from_slice(date.as_bytes());
        out.extend_from_slice(&line);
    }
}

/// Writes `content-length`.
#[inline]
pub(crate) fn content_length(out: &mut Vec<u8>, length: u64) {
    // The text is made from its end, in front of which the name stands.
    const NAME: &[u8; 16] = b"content-length: ";
    let mut text = [0; NAME.len() + 20 + 2];
    let mut at = text.len() - 2;
    text[at..].copy_from_slice(b"\r\n");
    let mut rest = length;
    loop {
        at -= 1;
        text[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    at -= NAME.len();
    text[at..at + NAME.len()].copy_from_slice(NAME);
    out.extend_from_slice(&text[at..]);
}

/// Writes `;name=value` for each extension, or `;name` where the value is empty, and the line end. A value that is no
/// token goes out as a quoted string.
pub(crate) fn chunk_extensions<F: FieldSource + ?Sized>(out: &mut Vec<u8>, extensions: &F) -> Result<(), ()> {
    let mut valid = true;
    extensions.each(|name, value| {
        valid &= is_token(name) && is_field_value(value);
        out.extend_from_slice(b";");
        out.extend_from_slice(name);
        if value.is_empty() {
            return;
        }
        out.extend_from_slice(b"=");
        if is_token(value) {
            out.extend_from_slice(value);
            return;
        }
        out.extend_from_slice(b"\"");
        for &byte in value {
            if matches!(byte, b'"' | b'\\') {
                out.push(b'\\');
            }
            out.push(byte);
        }
        out.extend_from_slice(b"\"");
    });
    out.extend_from_slice(b"\r\n");
    if valid { Ok(()) } else { Err(()) }
}

/// Writes a chunk-size line without extensions.
pub(crate) fn chunk_size_line(out: &mut Vec<u8>, size: usize) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut digits = [0; 16];
    let mut at = digits.len();
    let mut rest = size;
    loop {
        at -= 1;
        digits[at] = DIGITS[rest & 15];
        rest >>= 4;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
    out.extend_from_slice(b"\r\n");
}
