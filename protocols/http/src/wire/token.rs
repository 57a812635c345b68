//! Which bytes may stand where.

/// RFC 9110 §5.6.2: the bytes of a token.
pub(crate) const TCHAR: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0u8;
    while byte < 128 {
        table[byte as usize] = byte.is_ascii_alphanumeric()
            || matches!(
                byte,
                b'!' | b'#'
                    | b'$'
                    | b'%'
                    | b'&'
                    | b'\''
                    | b'*'
                    | b'+'
                    | b'-'
                    | b'.'
                    | b'^'
                    | b'_'
                    | b'`'
                    | b'|'
                    | b'~'
            );
        byte += 1;
    }
    table
};

/// True for a byte of a token.
#[inline]
pub(crate) fn is_tchar(byte: u8) -> bool {
    TCHAR[usize::from(byte)]
}

/// True for a token: at least one byte, and nothing but its bytes.
#[inline]
pub(crate) fn is_token(bytes: &[u8]) -> bool {
    // There is no exit in the loop: what it is asked about is short and nearly always right.
    !bytes.is_empty() && bytes.iter().fold(true, |good, &byte| good & is_tchar(byte))
}

/// How many bytes at the front `table` has, where far more text follows than is of interest.
#[inline]
pub(crate) fn span(table: &[bool; 256], text: &[u8]) -> usize {
    // Names are short. Over so many bytes, known to be there, the loop is a row of tests without a counter.
    if let Some(front) = text.first_chunk::<16>()
        && let Some(end) = front.iter().position(|&byte| !table[usize::from(byte)])
    {
        return end;
    }
    text.iter().position(|&byte| !table[usize::from(byte)]).unwrap_or(text.len())
}

/// The same where it is nearly always all of the text.
pub(crate) fn span_of_most(table: &[bool; 256], text: &[u8]) -> usize {
    let mut rest = text;
    while let Some((eight, behind)) = rest.split_first_chunk::<8>()
        && eight.iter().fold(true, |good, &byte| good & table[usize::from(byte)])
    {
        rest = behind;
    }
    let end = rest.iter().position(|&byte| !table[usize::from(byte)]).unwrap_or(rest.len());
    text.len() - rest.len() + end
}

/// True for what a field value may hold (RFC 9110 §5.5): anything but control characters, tab excepted.
#[inline]
pub(crate) fn is_field_value(bytes: &[u8]) -> bool {
    // Without an early exit the loop is done many bytes at a time, which is faster for the values that there are.
    !bytes.iter().fold(false, |bad, &byte| bad | !is_value_byte(byte))
}

/// True for one byte of a field value.
#[inline]
pub(crate) fn is_value_byte(byte: u8) -> bool {
    matches!(byte, b'\t' | 0x20..=0x7e | 0x80..)
}

/// True when `text` is `lower`, in whatever case. `lower` is of small letters, digits and hyphens; `text` holds no control
/// characters, as is checked for all names and values before.
#[inline]
pub(crate) fn is_word<const LEN: usize>(text: &[u8], lower: &[u8; LEN]) -> bool {
    let Ok(text) = <&[u8; LEN]>::try_from(text) else { return false };
    // Of a known length, and without an exit, this takes a few instructions for any word. The bit makes capitals small;
    // beside letters it changes nothing into a hyphen but a carriage return, which is a control character.
    text.iter().zip(lower).fold(0, |difference, (&byte, &small)| difference | ((byte | 0x20) ^ small)) == 0
}

/// Takes optional white space (RFC 9110 §5.6.3) off both ends.
pub(crate) fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = bytes {
        bytes = rest;
    }
    while let [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

/// The elements of a comma-separated list, trimmed, empty ones included.
pub(crate) fn list(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|&byte| byte == b',').map(trim)
}

/// A decimal number as RFC 9112 §6.2 wants it: digits alone, within 64 bits.
pub(crate) fn decimal(bytes: &[u8]) -> Option<u64> {
    if bytes.is_empty() {
        return None;
    }
    bytes.iter().try_fold(0u64, |number, &byte| {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        number.checked_mul(10)?.checked_add(u64::from(digit))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_have_no_case() {
        assert!(is_word(b"Keep-ALIVE", b"keep-alive") && is_word(b"host", b"host"));
        for other in [&b"keep_alive"[..], b"keep-aliv", b"keep-alive2", b"", b"[eep-alive"] {
            assert!(!is_word(other, b"keep-alive"), "{other:?}");
        }
        for byte in (0x20..=255u8).filter(|byte| !byte.is_ascii_control()) {
            assert_eq!(is_word(&[byte], b"a"), byte.eq_ignore_ascii_case(&b'a'), "{byte}");
            assert_eq!(is_word(&[byte], b"-"), byte == b'-', "{byte}");
        }
    }

    #[test]
    fn decimals_are_digits_alone() {
        assert_eq!(decimal(b"18446744073709551615"), Some(u64::MAX));
        for bad in [&b""[..], b"+1", b"-1", b"1 ", b"0x1", b"1,1", b"18446744073709551616"] {
            assert_eq!(decimal(bad), None, "{bad:?}");
        }
    }
}
