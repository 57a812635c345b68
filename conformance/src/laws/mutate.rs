//! Input that nobody should send.

use glowplug_core::Rng;

/// The longest input that is made up from nothing.
const MAX_RANDOM: u64 = 512;

/// The longest input that mutation grows to.
const MAX_MUTATED: usize = 16 * 1024;

/// Pieces that parsers stumble over: ends of lines, ends of numbers, ends of text.
const TROUBLE: &[&[u8]] = &[
    b"\r\n",
    b"\n",
    b"\r",
    b"\r\n\r\n",
    b"\0",
    b"\xff",
    b"-1",
    b"0",
    b"00000000000000000000",
    b"2147483648",
    b"4294967296",
    b"9223372036854775807",
    b"9223372036854775808",
    b"18446744073709551616",
    b"99999999999999999999999999",
    b"\xff\xff\xff\xff",
    b"\x7f\xff\xff\xff",
    b"\x80\x00\x00\x00",
    b"\x00\x00\x00\x00",
    b"\xc0\x0c",
    b"\xed\xa0\x80",
    b":",
    b" ",
    b"\t",
    b"{",
];

/// A hostile input: random bytes, or one of `inputs` after some changes.
pub(crate) fn hostile(rng: &mut Rng, inputs: &[&[u8]]) -> Vec<u8> {
    if inputs.is_empty() || rng.chance(1, 8) {
        let mut bytes = vec![0; rng.below(MAX_RANDOM + 1) as usize];
        rng.fill(&mut bytes);
        return bytes;
    }
    let pick = |rng: &mut Rng| inputs[rng.below(inputs.len() as u64) as usize];
    let mut bytes = pick(rng).to_vec();
    for _ in 0..=rng.below(6) {
        let at = rng.below(bytes.len() as u64 + 1) as usize;
        let end = at + rng.below((bytes.len() - at) as u64 + 1) as usize;
        match rng.below(9) {
            // A byte becomes another, a bit flips.
            0 | 1 if at < bytes.len() => bytes[at] = rng.u16() as u8,
            2 if at < bytes.len() => bytes[at] ^= 1 << rng.below(8),
            // Something gets lost, or comes twice.
            3 => drop(bytes.drain(at..end.min(at + 16))),
            4 => {
                let copy = bytes[at..end].to_vec();
                bytes.splice(at..at, copy);
            }
            // Something is cut off; something else is put in.
            5 => bytes.truncate(at),
            6 => {
                let trouble = TROUBLE[rng.below(TROUBLE.len() as u64) as usize];
                bytes.splice(at..at, trouble.iter().copied());
            }
            // Another input follows, whole or from its middle.
            7 => {
                let other = pick(rng);
                let from = rng.below(other.len() as u64 + 1) as usize;
                bytes.truncate(at);
                bytes.extend_from_slice(&other[from..]);
            }
            _ => bytes.extend_from_slice(pick(rng)),
        }
        bytes.truncate(MAX_MUTATED);
    }
    bytes
}

/// Cuts `bytes` at up to `cuts` random places, in order.
pub(crate) fn cut<'a>(rng: &mut Rng, bytes: &'a [u8], cuts: u64) -> Vec<&'a [u8]> {
    let mut at: Vec<usize> =
        (0..rng.below(cuts + 1)).map(|_| rng.below(bytes.len() as u64 + 1) as usize).collect();
    at.sort_unstable();
    pieces(bytes, &at)
}

/// `bytes` in the pieces between the given places (in ascending order). Empty pieces are left out.
pub(crate) fn pieces<'a>(bytes: &'a [u8], places: &[usize]) -> Vec<&'a [u8]> {
    let starts = std::iter::once(0).chain(places.iter().copied());
    let ends = places.iter().copied().chain(std::iter::once(bytes.len()));
    starts.zip(ends).map(|(start, end)| &bytes[start..end]).filter(|piece| !piece.is_empty()).collect()
}

/// The places between `pieces`, for the report.
pub(crate) fn places_of(pieces: &[&[u8]]) -> String {
    let mut at = 0;
    let places: Vec<String> = pieces[..pieces.len().saturating_sub(1)]
        .iter()
        .map(|piece| {
            at += piece.len();
            at.to_string()
        })
        .collect();
    if places.is_empty() { "in one piece".to_owned() } else { format!("cut at {}", places.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use glowplug_core::Seed;

    #[test]
    fn pieces_put_together_are_the_whole() {
        for seed in 0..200 {
            let mut rng = Seed::from_u64(seed).rng();
            let bytes = hostile(&mut rng, &[b"hello\r\nworld\r\n", b""]);
            assert!(bytes.len() <= MAX_MUTATED);
            let cut = cut(&mut rng, &bytes, 9);
            assert_eq!(cut.concat(), bytes);
        }
        assert_eq!(places_of(&pieces(b"abcdef", &[2, 5])), "cut at 2, 5");
    }
}
