//! Byte ranges (RFC 9110 §14).

use std::ops::Range;

/// Ranges closer than this become one: a part of its own costs about as much.
const CLOSE: u64 = 80;

/// What a `range` field asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// All of it: there is no range, or none that is understood.
    Whole,
    /// These: none empty, none overlapping, in the order of their first mention.
    Parts(Vec<Range<u64>>),
    /// Nothing that there is, or too much of it.
    Refused,
}

/// Reads the field's value for content of `size` bytes.
pub(super) fn parse(value: &str, size: u64, max: usize) -> Asked {
    let Some((unit, set)) = value.split_once('=') else { return Asked::Whole };
    // Nothing of nothing is all of it.
    if !unit.trim().eq_ignore_ascii_case("bytes") || size == 0 {
        return Asked::Whole;
    }
    let mut parts: Vec<Range<u64>> = Vec::new();
    let mut count = 0;
    for spec in set.split(',').map(str::trim).filter(|spec| !spec.is_empty()) {
        let Ok(range) = one(spec, size) else { return Asked::Whole };
        count += 1;
        if count > max {
            return Asked::Refused;
        }
        if let Some(range) = range {
            add(&mut parts, range);
        }
    }
    match (count, parts.is_empty()) {
        (0, _) => Asked::Whole,
        (_, true) => Asked::Refused,
        (_, false) => Asked::Parts(parts),
    }
}

/// What is not to be understood makes the whole field so.
struct Malformed;

/// One range, or `None` when there is nothing there.
fn one(spec: &str, size: u64) -> Result<Option<Range<u64>>, Malformed> {
    let (first, last) = spec.split_once('-').ok_or(Malformed)?;
    let (first, last) = (first.trim_end(), last.trim_start());
    if first.is_empty() {
        let len = number(last)?.min(size);
        return Ok((len > 0).then(|| size - len..size));
    }
    let first = number(first)?;
    let end = if last.is_empty() { size } else { number(last)?.saturating_add(1) };
    if end <= first && !last.is_empty() {
        return Err(Malformed);
    }
    Ok((first < size).then(|| first..end.min(size)))
}

/// Too large a number is as good as the largest.
fn number(text: &str) -> Result<u64, Malformed> {
    let digits = !text.is_empty() && text.bytes().all(|digit| digit.is_ascii_digit());
    if digits { Ok(text.parse().unwrap_or(u64::MAX)) } else { Err(Malformed) }
}

/// Adds a range, as a part of those that it touches.
fn add(parts: &mut Vec<Range<u64>>, mut range: Range<u64>) {
    let mut place = parts.len();
    let mut index = 0;
    while index < parts.len() {
        let part = &parts[index];
        if range.start <= part.end.saturating_add(CLOSE) && part.start <= range.end.saturating_add(CLOSE) {
            range = range.start.min(part.start)..range.end.max(part.end);
            parts.remove(index);
            place = place.min(index);
            // It may touch others by now.
            index = 0;
        } else {
            index += 1;
        }
    }
    parts.insert(place.min(parts.len()), range);
}

#[cfg(test)]
#[expect(clippy::single_range_in_vec_init, reason = "the ranges of an answer, which often is one")]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for() {
        let parts = |parts: &[Range<u64>]| Asked::Parts(parts.to_vec());
        for (value, expected) in [
            ("bytes=0-0", parts(&[0..1])),
            ("bytes=0-", parts(&[0..1000])),
            ("bytes=-1", parts(&[999..1000])),
            ("bytes=-5000", parts(&[0..1000])),
            ("bytes=990-5000", parts(&[990..1000])),
            ("BYTES = 0 - 1 , ", parts(&[0..2])),
            ("bytes=0-99999999999999999999999", parts(&[0..1000])),
            ("bytes=0-0,500-500,-1", parts(&[0..1, 500..501, 999..1000])),
            ("bytes=500-500,0-0", parts(&[500..501, 0..1])),
            // Overlapping, touching and close ones become one.
            ("bytes=0-10,5-20", parts(&[0..21])),
            ("bytes=0-10,11-20", parts(&[0..21])),
            ("bytes=0-10,50-60", parts(&[0..61])),
            ("bytes=900-910,0-10,500-510,0-999", parts(&[0..1000])),
            ("bytes=0-0,2000-3000", parts(&[0..1])),
            ("bytes=1000-", Asked::Refused),
            ("bytes=-0", Asked::Refused),
            ("bytes=18446744073709551615-", Asked::Refused),
            ("bytes=0-0,200-200,400-400,600-600,800-800", Asked::Refused),
            ("bytes=", Asked::Whole),
            ("bytes=,", Asked::Whole),
            ("bytes=5-4", Asked::Whole),
            ("bytes=-", Asked::Whole),
            ("bytes=a-b", Asked::Whole),
            ("bytes=0-1,x", Asked::Whole),
            ("bytes=0x1-2", Asked::Whole),
            ("bytes=+1-2", Asked::Whole),
            ("lines=0-1", Asked::Whole),
            ("nonsense", Asked::Whole),
        ] {
            assert_eq!(parse(value, 1000, 4), expected, "{value}");
        }
        assert_eq!(parse("bytes=0-", 0, 4), Asked::Whole);
        assert_eq!(parse("bytes=-5", 0, 4), Asked::Whole);
    }
}
