//! Decimal numbers, read and written.

use alloc::format;
use alloc::string::String;

/// Room for any 64-bit integer with its sign.
pub(crate) const MAX_DIGITS: usize = 20;

/// Writes `number` at the end of `digits` and returns the written part.
#[inline]
pub(crate) fn format_u64(mut number: u64, digits: &mut [u8; MAX_DIGITS]) -> &[u8] {
    let mut at = MAX_DIGITS;
    loop {
        at -= 1;
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            return &digits[at..];
        }
    }
}

/// As [`format_u64`], with a sign.
pub(crate) fn format_i64(number: i64, digits: &mut [u8; MAX_DIGITS]) -> &[u8] {
    let len = format_u64(number.unsigned_abs(), digits).len();
    let mut at = MAX_DIGITS - len;
    if number < 0 {
        // Nineteen digits at most, so there is a place for the sign.
        at -= 1;
        digits[at] = b'-';
    }
    &digits[at..]
}

/// How many decimal digits `number` has.
pub(crate) fn digits_of(number: usize) -> usize {
    number.checked_ilog10().unwrap_or(0) as usize + 1
}

/// A whole text as an integer: an optional sign and digits, nothing else.
pub(crate) fn parse_i64(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    };
    if digits.is_empty() || digits.len() > 19 {
        return None;
    }
    let mut magnitude: u64 = 0;
    for &digit in digits {
        if !digit.is_ascii_digit() {
            return None;
        }
        magnitude = magnitude * 10 + u64::from(digit - b'0');
    }
    if negative { 0i64.checked_sub_unsigned(magnitude) } else { i64::try_from(magnitude).ok() }
}

/// A whole text as a double: what servers send, `inf`, `-inf` and `nan` included.
pub(crate) fn parse_f64(text: &[u8]) -> Option<f64> {
    core::str::from_utf8(text).ok()?.parse().ok()
}

/// A double as Redis writes it: the shortest text that reads back the same, `inf`, `-inf`, `nan`; whole numbers without
/// a point, large and small ones with an exponent.
pub(crate) fn format_f64(number: f64) -> String {
    if number.is_nan() {
        return String::from("nan");
    }
    if number.is_infinite() {
        return String::from(if number > 0.0 { "inf" } else { "-inf" });
    }
    let magnitude = number.abs();
    if magnitude != 0.0 && !(1e-5..1e17).contains(&magnitude) {
        let text = format!("{number:e}");
        // C writes a sign and at least two digits.
        return match text.split_once('e') {
            Some((digits, exponent)) => match exponent.strip_prefix('-') {
                Some(exponent) => format!("{digits}e-{exponent:0>2}"),
                None => format!("{digits}e+{exponent:0>2}"),
            },
            None => text,
        };
    }
    format!("{number}")
}
