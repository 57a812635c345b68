//! Frames: the same, however the input is cut.

use bytes::BytesMut;
use glowplug_core::framer::{Framer, LengthPrefix, LineEnding, Rule};

use super::super::log::{Log, Shape};

/// The first byte picks a rule, the second the size of the cuts.
pub fn framer(data: &[u8]) -> Shape {
    let [rule, cut, bytes @ ..] = data else { return 0 };
    let rule = match rule % 8 {
        0 => Rule::Exact(usize::from(rule >> 3)),
        1 => Rule::until(b"\r\n.\r\n").expect("a short delimiter"),
        2 => Rule::Line(LineEnding::Lf),
        3 => Rule::Line(LineEnding::CrLf),
        4 => Rule::Line(LineEnding::Either),
        5 => Rule::LengthPrefixed(LengthPrefix::big_endian(1 + (rule >> 3) % 8)),
        6 => Rule::LengthPrefixed(LengthPrefix::little_endian(1 + (rule >> 3) % 8).counting_itself()),
        _ => Rule::until(&[rule >> 3]).expect("a short delimiter"),
    };
    let whole = frames(rule, bytes, bytes.len().max(1));
    assert_eq!(whole, frames(rule, bytes, usize::from(*cut).max(1)), "{rule:?}");
    assert_eq!(whole, frames(rule, bytes, 1), "{rule:?}");
    whole.shape()
}

fn frames(rule: Rule, bytes: &[u8], cut: usize) -> Log {
    let mut framer = Framer::new(rule).max_frame_len(64);
    let (mut input, mut log) = (BytesMut::new(), Log::default());
    for piece in bytes.chunks(cut) {
        input.extend_from_slice(piece);
        loop {
            assert!((1..=64).contains(&framer.needs(&input)));
            match framer.decode(&mut input) {
                // There is no end of empty frames.
                Ok(Some(frame)) if rule == Rule::Exact(0) => {
                    assert!(frame.is_empty());
                    break;
                }
                Ok(Some(frame)) => log.event(frame),
                Ok(None) => break,
                Err(error) => {
                    log.event(error);
                    return log;
                }
            }
        }
    }
    if rule != Rule::Exact(0) {
        log.event(framer.finish(&mut input));
    }
    log
}
