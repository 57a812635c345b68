//! Changes inputs at random.

use glowplug_core::Rng;

/// Numbers and pieces at which parsers stumble.
const WORDS: &[&[u8]] = &[
    b"\r\n",
    b"\n",
    b" ",
    b"\0",
    b"\xff",
    b"\x7f",
    b"\x80",
    b"\0\0",
    b"\xff\xff",
    b"\xff\xff\xff\xff",
    b"\0\0\0\0",
    b"\x7f\xff\xff\xff",
    b"\xff\xff\xff\x7f",
    b"\x80\0\0\0",
    b"0",
    b"-1",
    b"9",
    b"65536",
    b"4294967296",
    b"9223372036854775807",
    b"-9223372036854775808",
    b"99999999999999999999",
    b"1e400",
    b"nan",
    b"\xc0\x0c",
    b"\xc0\0",
    b":",
    b"*",
    b"$",
    b",",
    b"\"",
    b"\\",
    b"%",
    b"chunked",
    b"close",
    b"\xf0\x9f\xa6\x8a",
    b"\xed\xa0\x80",
];

/// A new input, made of one or two that are there.
pub(crate) fn mutate(kept: &[Vec<u8>], rng: &mut Rng, max_len: usize) -> Vec<u8> {
    let mut below = |bound: usize| rng.below(bound.max(1) as u64) as usize;
    let mut input = kept[below(kept.len())].clone();
    for _ in 0..=below(4) {
        let at = below(input.len() + 1);
        let end = (at + 1 + below(16)).min(input.len());
        match below(10) {
            0 | 1 if at < input.len() => input[at] ^= 1 << below(8),
            2 if at < input.len() => input[at] = below(256) as u8,
            3 if at < input.len() => input[at] = input[at].wrapping_add(below(17) as u8).wrapping_sub(8),
            4 => drop(input.drain(at..end)),
            5 => {
                let piece = input[at..end].to_vec();
                let to = below(input.len() + 1);
                input.splice(to..to, piece);
            }
            6 => {
                let word = WORDS[below(WORDS.len())];
                input.splice(at..at, word.iter().copied());
            }
            7 => {
                let word = WORDS[below(WORDS.len())];
                let end = (at + word.len()).min(input.len());
                input.splice(at..end, word.iter().copied());
            }
            8 => {
                let other = &kept[below(kept.len())];
                let from = below(other.len() + 1);
                input.truncate(at);
                input.extend_from_slice(&other[from..]);
            }
            _ => input.insert(at, below(256) as u8),
        }
    }
    input.truncate(max_len);
    input
}
