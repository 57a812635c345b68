//! Where a run of ordinary bytes ends, looked for many bytes at a time, in plain numbers.

const ONES: u64 = u64::from_ne_bytes([1; 8]);
const HIGH: u64 = ONES << 7;

/// Eight times this byte.
const fn all(byte: u8) -> u64 {
    ONES * byte as u64
}

/// The offset in `text`, from `at` on, of the first byte that is neither a visible character of ASCII nor a space.
#[inline]
pub(crate) fn find_unusual(text: &[u8], at: usize) -> Option<usize> {
    let in_word = |word: u64| {
        let controls = word.wrapping_sub(all(b' ')) & !word;
        let above = word.wrapping_add(ONES) | word;
        controls | above
    };
    find(text, at, |byte| is_beyond(byte, b' '), in_word)
}

/// The offset in `text`, from `at` on, of the first byte that is no visible character of ASCII, or `#`.
#[inline]
pub(crate) fn find_end_of_target(text: &[u8], at: usize) -> Option<usize> {
    let in_word = |word: u64| {
        let blanks = word.wrapping_sub(all(b'!')) & !word;
        let number_signs = (word ^ all(b'#')).wrapping_sub(ONES) & !word;
        let above = word.wrapping_add(ONES) | word;
        blanks | number_signs | above
    };
    find(text, at, |byte| is_beyond(byte, b'!') || byte == b'#', in_word)
}

/// True for bytes below `first` and above the last visible one. As numbers with a sign, both lie below the others once one is added.
#[inline]
fn is_beyond(byte: u8, first: u8) -> bool {
    byte.wrapping_add(1).cast_signed() <= first.cast_signed()
}

/// The offset of the first byte, from `at` on, that `is_it` is true for. `in_word` says the same of eight bytes in a number, the first one
/// lowest: it sets the highest bit of each. Carries may make it tell of more bytes, all above the first. Zero is always told of.
#[inline]
fn find(
    text: &[u8],
    mut at: usize,
    is_it: impl Fn(u8) -> bool,
    in_word: impl Fn(u64) -> u64,
) -> Option<usize> {
    // Without an exit, and of a known length, this is done many bytes at a time.
    while let Some(block) = text.get(at..)?.first_chunk::<32>()
        && !block.iter().fold(false, |any, &byte| any | is_it(byte))
    {
        at += block.len();
    }
    let first = |word: u64| (in_word(word) & HIGH).trailing_zeros() as usize / 8;
    let mut rest = &text[at..];
    while let Some((word, behind)) = rest.split_first_chunk::<8>() {
        let found = first(u64::from_le_bytes(*word));
        if found < word.len() {
            return Some(at + found);
        }
        at += word.len();
        rest = behind;
    }
    // Zeros make the last word full. If one of those is the first that is told of, there is none.
    let word = match text.last_chunk::<8>() {
        _ if rest.is_empty() => return None,
        Some(word) => u64::from_le_bytes(*word) >> (8 * (word.len() - rest.len())),
        None => rest.iter().rev().fold(0, |word, &byte| word << 8 | u64::from(byte)),
    };
    at += first(word);
    (at < text.len()).then_some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Holds `find` against `is_it` with every two bytes at every place of a word, and with every length of what is in front and behind.
    fn check(find: impl Fn(&[u8], usize) -> Option<usize>, is_it: impl Fn(u8) -> bool) {
        for at in 0..8 {
            for byte in 0..=255 {
                for next in 0..=255 {
                    let mut word = [b'a'; 8];
                    word[at] = byte;
                    word[(at + 1) % 8] = next;
                    let first = word.iter().position(|&byte| is_it(byte));
                    assert_eq!(find(&word, 0), first, "{word:?}");
                    assert_eq!(find(&word[..=at], 0), first.filter(|&first| first <= at), "{word:?}");
                }
            }
        }
        for len in 0..150 {
            let mut text = vec![b'a'; len];
            assert_eq!((find(&text, 0), find(&text, len + 1)), (None, None));
            for at in 0..len {
                for start in [0, at / 2, at] {
                    for byte in [0, 0x1f, 0x7f, 0x80, 0xff] {
                        text[at] = byte;
                        assert_eq!(find(&text, start), Some(at));
                    }
                    text[at] = b'a';
                }
            }
        }
    }

    #[test]
    fn what_is_unusual_is_found() {
        check(find_unusual, |byte| !(b' '..=b'~').contains(&byte));
    }

    #[test]
    fn the_end_of_a_target_is_found() {
        check(find_end_of_target, |byte| !(b'!'..=b'~').contains(&byte) || byte == b'#');
    }
}
