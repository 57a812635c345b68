//! The presentation format of LOC records (RFC 1876 section 3).

use core::fmt;

use bytes::{BufMut, BytesMut};

use super::TextReason;
use super::lex::{Fields, decimal};

/// The equator and the prime meridian, in thousandths of a second of arc.
const MIDDLE: u32 = 1 << 31;
/// The sphere's ground below the reference, in centimetres.
const GROUND: i64 = 10_000_000;

pub(super) fn parse(fields: &mut Fields<'_, '_>, out: &mut BytesMut) -> Result<(), TextReason> {
    let latitude = angle(fields, *b"NS", 90)?;
    let longitude = angle(fields, *b"EW", 180)?;
    let altitude = GROUND + metres(fields.word()?)?;
    let altitude = u32::try_from(altitude).map_err(|_| TextReason::NumberTooLarge)?;
    // Defaults: 1 m, 10 km, 10 m.
    let mut sizes = [0x12, 0x16, 0x13];
    for size in &mut sizes {
        if !fields.is_empty() {
            *size = precision(metres(fields.word()?)?)?;
        }
    }
    out.put_u8(0);
    out.put_slice(&sizes);
    out.put_u32(latitude);
    out.put_u32(longitude);
    out.put_u32(altitude);
    Ok(())
}

/// Degrees, then maybe minutes, then maybe seconds, then the hemisphere.
fn angle(fields: &mut Fields<'_, '_>, hemispheres: [u8; 2], max: u32) -> Result<u32, TextReason> {
    let mut total = 0;
    let mut unit = 3_600_000;
    loop {
        let word = fields.word()?;
        if let [letter] = word {
            let letter = letter.to_ascii_uppercase();
            if unit < 3_600_000 && letter == hemispheres[0] {
                return Ok(MIDDLE + total);
            }
            if unit < 3_600_000 && letter == hemispheres[1] {
                return Ok(MIDDLE - total);
            }
        }
        let (value, limit) = match unit {
            3_600_000 => (decimal(word).ok_or(TextReason::BadField)??, max),
            60_000 => (decimal(word).ok_or(TextReason::BadField)??, 59),
            1 => return Err(TextReason::BadField),
            _ => (thousandths(word)?, 59_999),
        };
        if value > limit {
            return Err(TextReason::NumberTooLarge);
        }
        total += if unit == 1000 { value } else { value * unit };
        unit = match unit {
            3_600_000 => 60_000,
            60_000 => 1000,
            _ => 1,
        };
        if total > max * 3_600_000 {
            return Err(TextReason::NumberTooLarge);
        }
    }
}

fn thousandths(word: &[u8]) -> Result<u32, TextReason> {
    fraction(word, 3).and_then(|value| u32::try_from(value).map_err(|_| TextReason::NumberTooLarge))
}

/// A decimal number with at most so many digits behind the point, times ten to that power.
fn fraction(word: &[u8], places: usize) -> Result<i64, TextReason> {
    let (whole, part) = match memchr::memchr(b'.', word) {
        Some(dot) => (&word[..dot], &word[dot + 1..]),
        None => (word, &b""[..]),
    };
    if part.len() > places || (part.is_empty() && word.ends_with(b".")) {
        return Err(TextReason::BadField);
    }
    let mut value = i64::from(decimal(whole).ok_or(TextReason::BadField)??);
    for place in 0..places {
        let digit = *part.get(place).unwrap_or(&b'0');
        if !digit.is_ascii_digit() {
            return Err(TextReason::BadField);
        }
        value = value * 10 + i64::from(digit - b'0');
    }
    Ok(value)
}

/// Metres with two places and an optional `m`, in centimetres.
fn metres(word: &[u8]) -> Result<i64, TextReason> {
    let word = word.strip_suffix(b"m").unwrap_or(word);
    match word.strip_prefix(b"-") {
        Some(rest) => fraction(rest, 2).map(|value| -value),
        None => fraction(word, 2),
    }
}

/// One digit times a power of ten, each in four bits. More digits are cut off.
fn precision(centimetres: i64) -> Result<u8, TextReason> {
    let mut value = u64::try_from(centimetres).map_err(|_| TextReason::BadField)?;
    // RFC 1876 section 2: at most 9e9.
    if value > 9_000_000_000 {
        return Err(TextReason::NumberTooLarge);
    }
    let mut exponent = 0;
    while value > 9 {
        value /= 10;
        exponent += 1;
    }
    Ok((value as u8) << 4 | exponent)
}

pub(super) fn write(f: &mut dyn fmt::Write, wire: [u8; 16]) -> fmt::Result {
    let number = |at: usize| u32::from_be_bytes([wire[at], wire[at + 1], wire[at + 2], wire[at + 3]]);
    for (at, letters) in [(4, ['N', 'S']), (8, ['E', 'W'])] {
        let value = number(at);
        let (size, letter) = (value.abs_diff(MIDDLE), letters[usize::from(value < MIDDLE)]);
        let (degrees, minutes) = (size / 3_600_000, size / 60_000 % 60);
        write!(f, "{degrees} {minutes} {}.{:03} {letter} ", size / 1000 % 60, size % 1000)?;
    }
    let altitude = i64::from(number(12)) - GROUND;
    let sign = if altitude < 0 { "-" } else { "" };
    write!(f, "{sign}{}.{:02}m", altitude.abs() / 100, altitude.abs() % 100)?;
    for size in &wire[1..4] {
        let value = u64::from(size >> 4) * 10_u64.pow(u32::from(size & 15));
        write!(f, " {}.{:02}m", value / 100, value % 100)?;
    }
    Ok(())
}
