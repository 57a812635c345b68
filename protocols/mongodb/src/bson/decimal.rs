//! 128-bit decimal floating point: IEEE 754-2008 in the binary integer encoding.
//!
//! Text is converted exactly or not at all: a number that would have to be rounded is refused. See the BSON Decimal128
//! specification.

use core::fmt;
use core::str::FromStr;

/// A decimal number of up to 34 digits with an exponent from -6176 to 6111.
///
/// Equality is of bits: `1.0` and `1.00` differ, as they do for the server's storage.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Decimal128([u8; 16]);

const MAX_COEFFICIENT: u128 = 10u128.pow(34) - 1;
const MAX_DIGITS: usize = 34;
const BIAS: i32 = 6176;
const MIN_EXPONENT: i32 = -6176;
const MAX_EXPONENT: i32 = 6111;
const SIGN: u128 = 1 << 127;
const INFINITY: u128 = 0b11110 << 122;
const NAN: u128 = 0b11111 << 122;

/// What the bits say.
enum Parts {
    Nan,
    Infinity,
    Finite { coefficient: u128, exponent: i32 },
}

impl Decimal128 {
    /// The number of these bytes, least significant first.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The bytes, least significant first.
    pub const fn bytes(self) -> [u8; 16] {
        self.0
    }

    fn is_negative(self) -> bool {
        self.0[15] & 0x80 != 0
    }

    fn parts(self) -> Parts {
        let bits = u128::from_le_bytes(self.0);
        match (bits >> 122) & 0b11111 {
            0b11111 => Parts::Nan,
            0b11110 => Parts::Infinity,
            // The other encoding of the coefficient always exceeds 34 digits, which means zero.
            combination if combination >> 3 == 0b11 => {
                Parts::Finite { coefficient: 0, exponent: ((bits >> 111) & 0x3fff) as i32 - BIAS }
            }
            _ => {
                let coefficient = bits & ((1 << 113) - 1);
                let coefficient = if coefficient > MAX_COEFFICIENT { 0 } else { coefficient };
                Parts::Finite { coefficient, exponent: ((bits >> 113) & 0x3fff) as i32 - BIAS }
            }
        }
    }

    /// The nearest double; infinities and NaN are themselves.
    pub fn to_f64(self) -> f64 {
        // The text is a decimal literal that Rust reads too.
        self.to_string().parse().unwrap_or(f64::NAN)
    }
}

impl fmt::Display for Decimal128 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (coefficient, exponent) = match self.parts() {
            Parts::Nan => return f.write_str("NaN"),
            Parts::Infinity => return f.write_str(if self.is_negative() { "-Infinity" } else { "Infinity" }),
            Parts::Finite { coefficient, exponent } => (coefficient, exponent),
        };
        if self.is_negative() {
            f.write_str("-")?;
        }
        let digits = coefficient.to_string();
        let adjusted = exponent + digits.len() as i32 - 1;
        if exponent > 0 || adjusted < -6 {
            let (first, rest) = digits.split_at(1);
            let point = if rest.is_empty() { "" } else { "." };
            return write!(f, "{first}{point}{rest}E{adjusted:+}");
        }
        if exponent == 0 {
            return f.write_str(&digits);
        }
        let after_point = exponent.unsigned_abs() as usize;
        if digits.len() > after_point {
            let (whole, fraction) = digits.split_at(digits.len() - after_point);
            write!(f, "{whole}.{fraction}")
        } else {
            write!(f, "0.{digits:0>after_point$}")
        }
    }
}

impl fmt::Debug for Decimal128 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Decimal128({self})")
    }
}

/// Text that is not a decimal number, or one that has no exact 128-bit form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParseDecimalError {
    /// Not a number.
    Syntax,
    /// More than 34 digits, none of which can be dropped.
    Inexact,
    /// The exponent is too large or too small.
    Range,
}

impl fmt::Display for ParseDecimalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Syntax => "not a decimal number",
            Self::Inexact => "more than 34 digits",
            Self::Range => "the exponent is out of range",
        })
    }
}

impl std::error::Error for ParseDecimalError {}

impl FromStr for Decimal128 {
    type Err = ParseDecimalError;

    fn from_str(text: &str) -> Result<Self, ParseDecimalError> {
        let (negative, text) = match text.as_bytes() {
            [b'-', ..] => (true, &text[1..]),
            [b'+', ..] => (false, &text[1..]),
            _ => (false, text),
        };
        let sign = if negative { SIGN } else { 0 };
        if text.eq_ignore_ascii_case("nan") {
            return Ok(Self(NAN.to_le_bytes()));
        }
        if text.eq_ignore_ascii_case("inf") || text.eq_ignore_ascii_case("infinity") {
            return Ok(Self((sign | INFINITY).to_le_bytes()));
        }
        let (mantissa, exponent) = match text.find(['e', 'E']) {
            Some(at) => (&text[..at], parse_exponent(&text[at + 1..])?),
            None => (text, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits = || whole.bytes().chain(fraction.bytes());
        if whole.len() + fraction.len() == 0 || !digits().all(|digit| digit.is_ascii_digit()) {
            return Err(ParseDecimalError::Syntax);
        }
        let exponent = exponent.saturating_sub(i64::try_from(fraction.len()).unwrap_or(i64::MAX));
        let (coefficient, exponent) = fit(digits(), exponent)?;
        let biased = (exponent + BIAS) as u128;
        Ok(Self((sign | biased << 113 | coefficient).to_le_bytes()))
    }
}

/// Digits with a sign perhaps; numbers too large for 64 bits saturate, as they are out of range anyway.
fn parse_exponent(text: &str) -> Result<i64, ParseDecimalError> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return Err(ParseDecimalError::Syntax);
    }
    let negative = text.starts_with('-');
    Ok(digits
        .parse::<i64>()
        .map_or(if negative { i64::MIN } else { i64::MAX }, |number| if negative { -number } else { number }))
}

/// A coefficient of at most 34 digits and an exponent in range which together are exactly the given number.
fn fit(digits: impl Iterator<Item = u8>, mut exponent: i64) -> Result<(u128, i32), ParseDecimalError> {
    let (mut coefficient, mut count) = (0u128, 0usize);
    // Zeros are held back until a digit follows them: at the end they can go into the exponent.
    let mut zeros = 0usize;
    for digit in digits.skip_while(|digit| *digit == b'0') {
        if digit == b'0' {
            zeros += 1;
            continue;
        }
        count = count.saturating_add(zeros + 1);
        if count > MAX_DIGITS {
            return Err(ParseDecimalError::Inexact);
        }
        coefficient = coefficient * 10u128.pow(zeros as u32 + 1) + u128::from(digit - b'0');
        zeros = 0;
    }
    if coefficient == 0 {
        return Ok((0, exponent.clamp(MIN_EXPONENT.into(), MAX_EXPONENT.into()) as i32));
    }
    // As many trailing zeros as there is room for stay in the coefficient, so that the text comes back as it was; those
    // that a small exponent forces out go.
    let dropped_for_exponent = usize::try_from(i64::from(MIN_EXPONENT).saturating_sub(exponent)).unwrap_or(0);
    let dropped_for_room = (count + zeros).saturating_sub(MAX_DIGITS);
    let dropped = dropped_for_exponent.max(dropped_for_room).min(zeros);
    exponent = exponent.saturating_add(dropped as i64);
    coefficient *= 10u128.pow((zeros - dropped) as u32);
    count += zeros - dropped;
    // A large exponent is brought down by zeros that there is room for.
    let excess = usize::try_from(exponent.saturating_sub(MAX_EXPONENT.into())).unwrap_or(0);
    if excess > 0 && excess <= MAX_DIGITS - count {
        coefficient *= 10u128.pow(excess as u32);
        exponent -= excess as i64;
    }
    match i32::try_from(exponent) {
        Ok(exponent) if (MIN_EXPONENT..=MAX_EXPONENT).contains(&exponent) => Ok((coefficient, exponent)),
        _ => Err(ParseDecimalError::Range),
    }
}
