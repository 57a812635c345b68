//! Going on with a download that was cut off (RFC 9110 §13.1.5, §14): what to ask for, and what the answer means.

use core::fmt;

use http::StatusCode;
use http::header::{self, HeaderMap, HeaderValue};

/// What tells that a representation is still the same, byte for byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Validator(HeaderValue);

impl Validator {
    /// The strong validator of an answer: its entity tag unless that is a weak one, or else when it was last modified, if that was at
    /// least a second before the answer (RFC 9110 §8.8.2.2).
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        if let Some(tag) = headers.get(header::ETAG) {
            return tag.as_bytes().starts_with(b"\"").then(|| Self(tag.clone()));
        }
        let modified = headers.get(header::LAST_MODIFIED)?;
        // Nothing is modified after it was sent: what differs is earlier.
        (modified != headers.get(header::DATE)?).then(|| Self(modified.clone()))
    }

    /// One that was kept, as it stood in the answer.
    pub fn from_value(value: HeaderValue) -> Self {
        Self(value)
    }

    /// The value for `If-Range`.
    pub fn value(&self) -> &HeaderValue {
        &self.0
    }
}

/// Which bytes of how many an answer has: `Content-Range`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContentRange {
    /// The first and the last byte; `None` where a range cannot be served.
    pub bytes: Option<(u64, u64)>,
    /// The length of the whole, if it is known.
    pub total: Option<u64>,
}

impl ContentRange {
    /// Reads the value of `Content-Range`; `None` if it is invalid, or not about bytes.
    ///
    /// ```
    /// use glowplug_http::resume::ContentRange;
    /// let range = ContentRange::parse(b"bytes 5-9/10").unwrap();
    /// assert_eq!((range.bytes, range.total), (Some((5, 9)), Some(10)));
    /// ```
    pub fn parse(value: &[u8]) -> Option<Self> {
        let text = core::str::from_utf8(value).ok()?.trim();
        let (unit, rest) = text.split_once(' ')?;
        let (bytes, total) = rest.trim_start().split_once('/')?;
        let number = |text: &str| {
            let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            digits.then(|| text.parse::<u64>().ok()).flatten()
        };
        let total = if total == "*" { None } else { Some(number(total)?) };
        let bytes = if bytes == "*" {
            None
        } else {
            let (first, last) = bytes.split_once('-')?;
            Some((number(first)?, number(last)?))
        };
        let sound = match (bytes, total) {
            (Some((first, last)), Some(total)) => first <= last && last < total,
            (Some((first, last)), None) => first <= last,
            (None, total) => total.is_some(),
        };
        (sound && unit.eq_ignore_ascii_case("bytes")).then_some(Self { bytes, total })
    }
}

/// Adds to a request what asks for the rest behind `offset` bytes, or for everything anew if the representation is another by now. The content is
/// asked for as it is, without a coding: a part of a coded one is of no use.
pub fn ask(headers: &mut HeaderMap, offset: u64, validator: Option<&Validator>) {
    headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    let (Some(validator), 1..) = (validator, offset) else { return };
    if let Ok(range) = HeaderValue::try_from(format!("bytes={offset}-")) {
        headers.insert(header::RANGE, range);
        headers.insert(header::IF_RANGE, validator.0.clone());
    }
}

/// What an answer to such a request brings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resumed {
    /// The rest, from where it was asked for.
    Rest {
        /// The length of the whole, if it is known.
        total: Option<u64>,
    },
    /// Everything, from the beginning: what is there already is to be thrown away.
    Whole,
    /// There is no rest: all of it is there.
    Complete,
    /// It is an answer of another kind, with another status perhaps.
    Other,
}

/// What this answer brings to who has `offset` bytes.
pub fn answer(status: StatusCode, headers: &HeaderMap, offset: u64) -> Resumed {
    let range = headers.get(header::CONTENT_RANGE).and_then(|value| ContentRange::parse(value.as_bytes()));
    match (status, range) {
        (StatusCode::OK, _) => Resumed::Whole,
        (StatusCode::PARTIAL_CONTENT, Some(ContentRange { bytes: Some((first, last)), total }))
            // RFC 9110 §15.3.7: a server may send less than was asked for, but not from elsewhere, nor up to somewhere in between.
            if first == offset && total.is_none_or(|total| last + 1 == total) =>
        {
            Resumed::Rest { total }
        }
        (StatusCode::RANGE_NOT_SATISFIABLE, Some(ContentRange { bytes: None, total: Some(total) }))
            if total == offset && offset > 0 =>
        {
            Resumed::Complete
        }
        _ => Resumed::Other,
    }
}

impl fmt::Display for Validator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(self.0.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        fields
            .iter()
            .map(|(name, value)| (name.parse().expect("a name"), HeaderValue::from_static(value)))
            .collect()
    }

    #[test]
    fn only_strong_validators_count() {
        let of = |fields: &[(&'static str, &'static str)]| {
            Validator::of(&headers(fields)).map(|validator| validator.to_string())
        };
        let (early, late) = ("Sun, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:38 GMT");
        assert_eq!(of(&[("etag", "\"a\""), ("last-modified", early)]).as_deref(), Some("\"a\""));
        assert_eq!(of(&[("etag", "W/\"a\""), ("last-modified", early), ("date", late)]), None);
        assert_eq!(of(&[("last-modified", early), ("date", late)]).as_deref(), Some(early));
        assert_eq!(of(&[("last-modified", early), ("date", early)]), None);
        assert_eq!(of(&[("last-modified", early)]), None);
        assert_eq!(of(&[]), None);
    }

    #[test]
    fn content_ranges_are_sound_or_none() {
        let of = |text: &str| ContentRange::parse(text.as_bytes()).map(|range| (range.bytes, range.total));
        assert_eq!(of("bytes 0-0/1"), Some((Some((0, 0)), Some(1))));
        assert_eq!(of("Bytes 3-7/*"), Some((Some((3, 7)), None)));
        assert_eq!(of("bytes */7"), Some((None, Some(7))));
        for text in [
            "",
            "bytes",
            "bytes 7-3/9",
            "bytes 3-9/9",
            "bytes */*",
            "lines 0-1/2",
            "bytes +1-2/3",
            "bytes 1-/3",
        ] {
            assert_eq!(of(text), None, "{text:?}");
        }
    }

    #[test]
    fn an_answer_is_the_rest_or_the_whole() {
        let of = |status: u16, range: Option<&'static str>| {
            let fields: Vec<_> = range.map(|range| ("content-range", range)).into_iter().collect();
            answer(StatusCode::from_u16(status).expect("a status"), &headers(&fields), 5)
        };
        assert_eq!(of(206, Some("bytes 5-9/10")), Resumed::Rest { total: Some(10) });
        assert_eq!(of(206, Some("bytes 5-9/*")), Resumed::Rest { total: None });
        assert_eq!(of(206, Some("bytes 4-9/10")), Resumed::Other);
        assert_eq!(of(206, Some("bytes 5-8/10")), Resumed::Other);
        assert_eq!(of(206, None), Resumed::Other);
        assert_eq!(of(200, None), Resumed::Whole);
        assert_eq!(of(416, Some("bytes */5")), Resumed::Complete);
        assert_eq!(of(416, Some("bytes */4")), Resumed::Other);
        assert_eq!(of(404, None), Resumed::Other);
    }
}
