//! Conditional requests (RFC 9110 §13).

use std::time::{Duration, SystemTime};

use http::{HeaderMap, HeaderName, HeaderValue, header};

/// What tells one state of a file from another.
#[derive(Clone, Debug)]
pub(super) struct Validators {
    /// Strong.
    pub(super) tag: String,
    /// To the second.
    pub(super) modified: Option<SystemTime>,
}

/// What the conditions of a request come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Perform,
    /// 304.
    NotModified,
    /// 412.
    Failed,
}

impl Validators {
    /// Of a file that was last changed then and has so many bytes, in this coding.
    pub(super) fn new(modified: Option<SystemTime>, size: u64, coding: &str, now: SystemTime) -> Self {
        let since = modified.and_then(|at| at.duration_since(SystemTime::UNIX_EPOCH).ok());
        let stamp = since.map_or(0, |since| since.as_nanos());
        let dash = if coding.is_empty() { "" } else { "-" };
        // RFC 9110 §8.8.2.1: nothing was changed later than now.
        let seconds = since.map(|since| SystemTime::UNIX_EPOCH + Duration::from_secs(since.as_secs()));
        Self { tag: format!("\"{stamp:x}-{size:x}{dash}{coding}\""), modified: seconds.map(|at| at.min(now)) }
    }

    /// Writes them into an answer.
    pub(super) fn put(&self, headers: &mut HeaderMap) {
        if let Ok(tag) = HeaderValue::try_from(&self.tag) {
            headers.insert(header::ETAG, tag);
        }
        if let Some(modified) = self.modified
            && let Ok(date) = HeaderValue::try_from(httpdate::fmt_http_date(modified))
        {
            headers.insert(header::LAST_MODIFIED, date);
        }
    }

    /// RFC 9110 §13.2.2, for GET and HEAD.
    pub(super) fn judge(&self, headers: &HeaderMap) -> Verdict {
        if headers.contains_key(header::IF_MATCH) {
            if !self.listed(headers, &header::IF_MATCH, Compare::Strong) {
                return Verdict::Failed;
            }
        } else if let (Some(since), Some(modified)) =
            (date(headers, &header::IF_UNMODIFIED_SINCE), self.modified)
            && modified > since
        {
            return Verdict::Failed;
        }
        if headers.contains_key(header::IF_NONE_MATCH) {
            if self.listed(headers, &header::IF_NONE_MATCH, Compare::Weak) {
                return Verdict::NotModified;
            }
        } else if let (Some(since), Some(modified)) =
            (date(headers, &header::IF_MODIFIED_SINCE), self.modified)
            && modified <= since
        {
            return Verdict::NotModified;
        }
        Verdict::Perform
    }

    /// Whether ranges are meant: RFC 9110 §13.1.5.
    pub(super) fn range_holds(&self, headers: &HeaderMap) -> bool {
        let Some(value) = headers.get(header::IF_RANGE) else { return true };
        let Ok(value) = value.to_str() else { return false };
        if value.starts_with('"') || value.starts_with("W/") {
            return value.trim_end() == self.tag;
        }
        date(headers, &header::IF_RANGE).is_some_and(|date| Some(date) == self.modified)
    }

    fn listed(&self, headers: &HeaderMap, name: &HeaderName, compare: Compare) -> bool {
        headers.get_all(name).iter().any(|value| {
            let Ok(value) = value.to_str() else { return false };
            value.trim() == "*"
                || tags(value).any(|(weak, tag)| (compare == Compare::Weak || !weak) && tag == self.tag)
        })
    }
}

/// RFC 9110 §8.8.3.2.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Compare {
    Strong,
    Weak,
}

/// The date of a field, unless there are several, or it is none.
fn date(headers: &HeaderMap, name: &HeaderName) -> Option<SystemTime> {
    let mut values = headers.get_all(name).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    httpdate::parse_http_date(value.to_str().ok()?).ok()
}

/// Entity tags, quotes included, and whether each is weak; up to the first that is none.
fn tags(mut list: &str) -> impl Iterator<Item = (bool, &str)> {
    std::iter::from_fn(move || {
        list = list.trim_start_matches([' ', '\t', ',']);
        let (weak, tag) = list.strip_prefix("W/").map_or((false, list), |tag| (true, tag));
        let len = tag.strip_prefix('"')?.find('"')? + 2;
        let (tag, rest) = tag.split_at(len);
        list = rest;
        Some((weak, tag))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn headers(fields: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, HeaderValue::from_str(value).expect("a value"));
        }
        headers
    }

    const THEN: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    const BEFORE: &str = "Sun, 06 Nov 1994 08:49:36 GMT";
    /// The obsolete forms are read all the same.
    const AFTER: &str = "Sunday, 06-Nov-94 08:49:38 GMT";

    #[test]
    fn verdicts() {
        use Verdict::{Failed, NotModified, Perform};
        let now = at(1_000_000_000);
        let validators = Validators::new(Some(at(784_111_777)), 16, "", now);
        let tag = validators.tag.as_str();
        let (weak, list) = (format!("W/{tag}"), format!("\"a,b\", W/\"c\" ,{tag}"));
        for (fields, expected) in [
            (&[][..], Perform),
            (&[("if-none-match", tag)], NotModified),
            (&[("if-none-match", &weak)], NotModified),
            (&[("if-none-match", &list)], NotModified),
            (&[("if-none-match", "\"x\""), ("if-none-match", tag)], NotModified),
            (&[("if-none-match", "*")], NotModified),
            (&[("if-none-match", "\"x\"")], Perform),
            (&[("if-none-match", "x")], Perform),
            (&[("if-none-match", "\"x\""), ("if-modified-since", THEN)], Perform),
            (&[("if-modified-since", THEN)], NotModified),
            (&[("if-modified-since", AFTER)], NotModified),
            (&[("if-modified-since", BEFORE)], Perform),
            (&[("if-modified-since", "yesterday")], Perform),
            (&[("if-modified-since", THEN), ("if-modified-since", AFTER)], Perform),
            (&[("if-match", tag)], Perform),
            (&[("if-match", &list)], Perform),
            (&[("if-match", "*")], Perform),
            (&[("if-match", &weak)], Failed),
            (&[("if-match", "\"x\"")], Failed),
            (&[("if-match", "")], Failed),
            (&[("if-match", tag), ("if-unmodified-since", BEFORE)], Perform),
            (&[("if-unmodified-since", BEFORE)], Failed),
            (&[("if-unmodified-since", THEN)], Perform),
            (&[("if-match", tag), ("if-none-match", tag)], NotModified),
        ] {
            assert_eq!(validators.judge(&headers(fields)), expected, "{fields:?}");
        }
        for (value, expected) in [
            (tag, true),
            (&weak, false),
            ("\"x\"", false),
            (THEN, true),
            (BEFORE, false),
            (AFTER, false),
            ("tomorrow", false),
        ] {
            assert_eq!(validators.range_holds(&headers(&[("if-range", value)])), expected, "{value}");
        }
        assert!(validators.range_holds(&HeaderMap::new()));
    }

    #[test]
    fn a_file_from_the_future_was_changed_now() {
        assert_eq!(Validators::new(Some(at(2000)), 0, "", at(1000)).modified, Some(at(1000)));
        assert_eq!(Validators::new(None, 0, "br", at(1000)).tag, "\"0-0-br\"");
    }
}
