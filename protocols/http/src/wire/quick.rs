//! The quick way through a head: one pass, for heads to which nothing can be objected.
//!
//! Nearly all heads are plain: their lines end as they should, all else is visible ASCII and spaces, they are whole. Those are read here. Whatever
//! is unusual comes to `None`, and the careful way (by `httparse`) makes of it what is to be made: so nothing here knows why
//! something is wrong, and no leniency. Debug builds hold every head that was read here against the careful way.

use http::{StatusCode, Version};

use crate::wire::fields::{Fields, Span};
use crate::wire::framing::Facts;
use crate::wire::head::{RequestHead, ResponseHead};
use crate::wire::parse::Rules;
use crate::wire::target;
use crate::wire::token::{TCHAR, span};
use crate::wire::words::{find_end_of_target, find_unusual};

/// What follows the target, without the last digit of the version.
const VERSION: &[u8; 8] = b" HTTP/1.";

impl Rules<'_> {
    /// Reads the request head at the front of `input` into `head`, all but the bytes themselves, and what its fields say into `facts`. Returns
    /// its length, empty line included.
    #[inline]
    pub(super) fn quick_request(
        self,
        input: &[u8],
        head: &mut RequestHead,
        facts: &mut Facts,
    ) -> Option<usize> {
        let input = self.visible(input);
        let method_len = span(&TCHAR, input);
        let (Some(b' '), 1..) = (input.get(method_len), method_len) else { return None };
        let target_at = method_len + 1;
        let target_end = find_end_of_target(input, target_at)?;
        let (method, target) = (&input[..method_len], &input[target_at..target_end]);
        let (before_minor, [minor, b'\r', b'\n', ..]) = input[target_end..].split_first_chunk()? else {
            return None;
        };
        let line_feed = target_end + VERSION.len() + 2;
        let fits_line = before_minor == VERSION && line_feed < self.limits.get().max_start_line_len();
        if !fits_line || !target::fits(method, target) {
            return None;
        }
        head.method_len = method_len as u16;
        head.target_len = target.len() as u16;
        head.version = version(*minor)?;
        let len = self.quick_fields(input, line_feed + 1, &mut head.fields, facts)?;
        // RFC 9112 §3.2.
        (facts.host || head.version == Version::HTTP_10 || self.leniency.missing_host).then_some(len)
    }

    /// The same for a response head.
    #[inline]
    pub(super) fn quick_response(
        self,
        input: &[u8],
        head: &mut ResponseHead,
        facts: &mut Facts,
    ) -> Option<usize> {
        let input = self.visible(input);
        let [b'H', b'T', b'T', b'P', b'/', b'1', b'.', minor, b' ', code @ .., b' '] =
            *input.first_chunk::<13>()?
        else {
            return None;
        };
        let reason_at = "HTTP/1.1 200 ".len();
        let reason_end = find_unusual(input, reason_at)?;
        let line_feed = reason_end + 1;
        if !ends_line(input, reason_end) || line_feed >= self.limits.get().max_start_line_len() {
            return None;
        }
        head.version = version(minor)?;
        head.status = StatusCode::from_bytes(&code).ok()?;
        head.reason_len = (reason_end - reason_at) as u16;
        self.quick_fields(input, line_feed + 1, &mut head.fields, facts)
    }

    /// As much of `input` as a head may have.
    #[inline]
    fn visible(self, input: &[u8]) -> &[u8] {
        &input[..input.len().min(self.limits.get().max_head_len())]
    }

    /// Reads the fields that begin at `at`, up to the empty line. Returns where the head ends.
    #[inline]
    fn quick_fields(
        self,
        input: &[u8],
        mut at: usize,
        fields: &mut Fields,
        facts: &mut Facts,
    ) -> Option<usize> {
        let max_fields = self.limits.get().max_fields();
        *facts = Facts::default();
        fields.clear();
        while !ends_line(input, at) {
            let name_len = span(&TCHAR, input.get(at..)?);
            let name_end = at + name_len;
            let (Some(b':'), 1..) = (input.get(name_end), name_len) else { return None };
            let mut value_at = name_end + 1;
            while *input.get(value_at)? == b' ' {
                value_at += 1;
            }
            let line_end = find_unusual(input, value_at)?;
            if !ends_line(input, line_end) {
                return None;
            }
            let name = &input[at..name_end];
            let mut value = &input[value_at..line_end];
            while let [rest @ .., b' '] = value {
                value = rest;
            }
            if fields.len() == max_fields {
                return None;
            }
            facts.note(name, value, self.leniency).ok()?;
            fields.push(Span {
                name: at as u16,
                name_len: name.len() as u16,
                value: if value.is_empty() { 0 } else { value_at as u16 },
                value_len: value.len() as u16,
            });
            at = line_end + 2;
        }
        Some(at + 2)
    }
}

/// True when the two bytes at `at` are a line end.
#[inline]
fn ends_line(input: &[u8], at: usize) -> bool {
    matches!(input.get(at..), Some([b'\r', b'\n', ..]))
}

#[inline]
fn version(minor: u8) -> Option<Version> {
    match minor {
        b'1' => Some(Version::HTTP_11),
        b'0' => Some(Version::HTTP_10),
        _ => None,
    }
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
        let (mut head, mut facts) = (RequestHead::empty(), Facts::default());
        let plain = rules.quick_request(REQUEST.as_bytes(), &mut head, &mut facts);
        assert!(plain.is_some(), "most heads are plain");
        each_change(REQUEST, |mut input| {
            if let Some(len) = rules.quick_request(&input, &mut head, &mut facts) {
                assert!(rules.agrees_on_request(&mut input, len, &head, facts), "{input:?}");
            }
        });
    }

    #[test]
    fn both_ways_agree_on_every_response_that_goes_the_quick_way() {
        let (limits, leniency) = (Limits::default(), Leniency::default());
        let rules = Rules { limits: &limits, leniency: &leniency };
        let (mut head, mut facts) = (ResponseHead::empty(), Facts::default());
        let plain = rules.quick_response(RESPONSE.as_bytes(), &mut head, &mut facts);
        assert!(plain.is_some(), "most heads are plain");
        each_change(RESPONSE, |mut input| {
            if let Some(len) = rules.quick_response(&input, &mut head, &mut facts) {
                assert!(rules.agrees_on_response(&mut input, len, &head, facts), "{input:?}");
            }
        });
    }

    #[test]
    fn limits_hold_on_the_quick_way() {
        let leniency = Leniency::default();
        let fits_as = |text: &str, limits: &Limits| {
            let rules = Rules { limits, leniency: &leniency };
            rules.quick_request(text.as_bytes(), &mut RequestHead::empty(), &mut Facts::default()).is_some()
        };
        let fits = |limits: &Limits| fits_as(REQUEST, limits);
        let (len, long) = (REQUEST.len() - 3, REQUEST.replacen("/a?b=c", &"/a".repeat(40), 1));
        assert!(fits(&Limits::default().max_fields(5)) && !fits(&Limits::default().max_fields(4)));
        // The least that this limit can be set to is more than the request has.
        assert!(fits(&Limits::default().max_head_len(len)));
        assert!(fits_as(&long, &Limits::default()));
        assert!(!fits_as(&long, &Limits::default().max_head_len(128)));
        assert!(!fits_as(&long, &Limits::default().max_start_line_len(64)));
    }
}
