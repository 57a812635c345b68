//! The quick way through a head: one pass, for heads to which nothing can be objected.
//!
//! Nearly all heads are plain: their lines end as they should, all else is visible ASCII and spaces, they are whole. Those are read here. Whatever
//! is unusual comes to `None`, and the careful way (by `httparse`) makes of it what is to be made: so nothing here knows why
//! something is wrong, and no leniency. Debug builds hold every head that was read here against the careful way.

use http::{StatusCode, Version};
use memchr::memchr;

use crate::wire::fields::{Fields, Span};
use crate::wire::framing::Facts;
use crate::wire::head::{RequestHead, ResponseHead};
use crate::wire::parse::Rules;
use crate::wire::target;
use crate::wire::token::is_tchar;

/// The end of a request line, without the last digit.
const VERSION: &[u8] = b" HTTP/1.";

/// What a status line begins with: the version without its last digit, then a digit, a space, three digits and a space.
const STATUS_LINE: usize = "HTTP/1.1 200 ".len();

impl Rules<'_> {
    /// Reads the request head at the front of `input` into `head`, all but the bytes themselves. Returns its length, empty line included,
    /// and what the fields say.
    #[inline]
    pub(super) fn quick_request(self, input: &[u8], head: &mut RequestHead) -> Option<(usize, Facts)> {
        let line_len = self.first_line(input)?;
        let line = &input[..line_len - 2];
        let (before, minor) = line.split_last_chunk::<1>().map(|(before, [minor])| (before, *minor))?;
        let before = before.strip_suffix(VERSION)?;
        let method_len = token_len(before);
        let (Some(b' '), 1..) = (before.get(method_len), method_len) else { return None };
        let (method, target) = (&before[..method_len], &before[method_len + 1..]);
        if !target::is_plain(target) || !target::fits(method, target) {
            return None;
        }
        head.method_len = method_len as u16;
        head.target_len = target.len() as u16;
        head.version = version(minor)?;
        let (len, facts) = self.quick_fields(input, line_len, &mut head.fields)?;
        // RFC 9112 §3.2.
        (facts.host || head.version == Version::HTTP_10 || self.leniency.missing_host).then_some((len, facts))
    }

    /// The same for a response head.
    #[inline]
    pub(super) fn quick_response(self, input: &[u8], head: &mut ResponseHead) -> Option<(usize, Facts)> {
        let line_len = self.first_line(input)?;
        let line = &input[..line_len - 2];
        let [b'H', b'T', b'T', b'P', b'/', b'1', b'.', minor, b' ', code @ .., b' '] =
            *line.first_chunk::<STATUS_LINE>()?
        else {
            return None;
        };
        head.version = version(minor)?;
        head.status = StatusCode::from_bytes(&code).ok()?;
        head.reason_len = (line.len() - STATUS_LINE) as u16;
        self.quick_fields(input, line_len, &mut head.fields)
    }

    /// The length of the first line, line end included.
    #[inline]
    fn first_line(self, input: &[u8]) -> Option<usize> {
        let limits = self.limits.get();
        let line_feed = memchr(b'\n', input)?;
        let ends = line_feed > 0 && input[line_feed - 1] == b'\r';
        (ends && line_feed < limits.max_start_line_len()).then_some(line_feed + 1)
    }

    /// Reads the fields that begin at `start`, up to the empty line. Returns the head's length.
    #[inline]
    fn quick_fields(self, input: &[u8], start: usize, fields: &mut Fields) -> Option<(usize, Facts)> {
        let limits = self.limits.get();
        let mut facts = Facts::default();
        fields.clear();
        let mut at = start;
        loop {
            let rest = &input[at..];
            if let [b'\r', b'\n', ..] = rest {
                at += 2;
                break;
            }
            let name_len = token_len(rest);
            let (Some(b':'), 1..) = (rest.get(name_len), name_len) else { return None };
            let (name, after) = (&rest[..name_len], &rest[name_len + 1..]);
            let line_feed = memchr(b'\n', after)?;
            let mut value = after[..line_feed].strip_suffix(b"\r")?;
            let len = value.len();
            while let [b' ', rest @ ..] = value {
                value = rest;
            }
            let value_at = at + name_len + 1 + len - value.len();
            while let [rest @ .., b' '] = value {
                value = rest;
            }
            if fields.len() == limits.max_fields() {
                return None;
            }
            facts.note(name, value, self.leniency).ok()?;
            fields.push(Span {
                name: at as u16,
                name_len: name_len as u16,
                value: if value.is_empty() { 0 } else { value_at as u16 },
                value_len: value.len() as u16,
            });
            at += name_len + 1 + line_feed + 1;
        }
        // Each line ends with two control characters. If there are no others, there is none where it should not be.
        let lines = fields.len() + 2;
        (at <= limits.max_head_len() && unusual(&input[..at]) == 2 * lines).then_some((at, facts))
    }
}

/// How many bytes of a token stand at the front.
#[inline]
fn token_len(text: &[u8]) -> usize {
    // Names are short. Over so many bytes, known to be there, the loop is a row of tests without a counter.
    if let Some(front) = text.first_chunk::<16>()
        && let Some(end) = front.iter().position(|&byte| !is_tchar(byte))
    {
        return end;
    }
    text.iter().position(|&byte| !is_tchar(byte)).unwrap_or(text.len())
}

#[inline]
fn version(minor: u8) -> Option<Version> {
    match minor {
        b'1' => Some(Version::HTTP_11),
        b'0' => Some(Version::HTTP_10),
        _ => None,
    }
}

/// How many bytes are neither visible characters of ASCII nor spaces: line ends, and what is left to the careful way.
#[inline]
fn unusual(text: &[u8]) -> usize {
    // Few enough for a count of one byte, so that the compiler does many at a time.
    const AT_ONCE: usize = 192;
    // Of a signed byte, one comparison finds both ends of the range.
    let count = |piece: &[u8]| {
        piece.iter().fold(0u8, |count, &byte| count + u8::from(byte.wrapping_add(1).cast_signed() <= 0x20))
    };
    text.chunks(AT_ONCE).map(|piece| usize::from(count(piece))).sum()
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use glowplug_core::Seed;

    use super::*;
    use crate::{Leniency, Limits};

    const REQUEST: &str = "GET /a?b=c HTTP/1.1\r\nHost: a.example:80\r\nconnection:close\r\nX:\r\nA-name-of-some-length:  a b \r\n\
        content-length: 3\r\n\r\nabc";
    const RESPONSE: &str = "HTTP/1.1 200 All is well\r\nserver: a\r\nCONTENT-LENGTH: 0\r\nempty: \r\nset-cookie: a=\"b\"; c\r\n\r\nHTTP";

    /// Calls `check` with what becomes of `text` when one byte, or a few, are others.
    fn each_change(text: &str, mut check: impl FnMut(BytesMut)) {
        for at in 0..text.len() {
            for byte in 0..=255 {
                let mut changed = BytesMut::from(text);
                changed[at] = byte;
                check(changed);
            }
        }
        let mut rng = Seed::from_u64(1).rng();
        let mut below = |end: usize| rng.below(end as u64) as usize;
        for _ in 0..20_000 {
            let mut changed = BytesMut::from(text);
            for _ in 0..=below(3) {
                let of = b" \t\r\n:;,/#aZ0-\x00\x7f\x80";
                let at = below(changed.len());
                changed[at] = of[below(of.len())];
            }
            changed.truncate(below(changed.len() * 4));
            check(changed);
        }
    }

    #[test]
    fn both_ways_agree_on_every_request_that_goes_the_quick_way() {
        let (limits, leniency) = (Limits::default(), Leniency::default());
        let rules = Rules { limits: &limits, leniency: &leniency };
        let mut head = RequestHead::empty();
        assert!(rules.quick_request(REQUEST.as_bytes(), &mut head).is_some(), "most heads are plain");
        each_change(REQUEST, |mut input| {
            if let Some((len, facts)) = rules.quick_request(&input, &mut head) {
                assert!(rules.agrees_on_request(&mut input, len, &head, facts), "{input:?}");
            }
        });
    }

    #[test]
    fn both_ways_agree_on_every_response_that_goes_the_quick_way() {
        let (limits, leniency) = (Limits::default(), Leniency::default());
        let rules = Rules { limits: &limits, leniency: &leniency };
        let mut head = ResponseHead::empty();
        assert!(rules.quick_response(RESPONSE.as_bytes(), &mut head).is_some(), "most heads are plain");
        each_change(RESPONSE, |mut input| {
            if let Some((len, facts)) = rules.quick_response(&input, &mut head) {
                assert!(rules.agrees_on_response(&mut input, len, &head, facts), "{input:?}");
            }
        });
    }

    #[test]
    fn limits_hold_on_the_quick_way() {
        let leniency = Leniency::default();
        let mut head = RequestHead::empty();
        let mut fits = |limits: &Limits| {
            let rules = Rules { limits, leniency: &leniency };
            rules.quick_request(REQUEST.as_bytes(), &mut head).is_some()
        };
        let (line, len) = ("GET /a?b=c HTTP/1.1\r\n".repeat(4), REQUEST.len() - 3);
        let long = REQUEST.replacen("/a?b=c", &line.replace(['\r', '\n', ' '], "x"), 1);
        assert!(fits(&Limits::default().max_fields(5)) && !fits(&Limits::default().max_fields(4)));
        // The least that this limit can be set to is more than the request has.
        assert!(fits(&Limits::default().max_head_len(len)));
        let limits = Limits::default().max_head_len(128);
        let rules = Rules { limits: &limits, leniency: &leniency };
        assert!(rules.quick_request(long.as_bytes(), &mut RequestHead::empty()).is_none());
        let limits = Limits::default().max_start_line_len(64);
        let rules = Rules { limits: &limits, leniency: &leniency };
        assert!(rules.quick_request(long.as_bytes(), &mut RequestHead::empty()).is_none());
    }
}
