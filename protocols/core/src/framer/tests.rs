//! Frames by every rule, at every cut, to every limit.

use std::vec::Vec;

use bytes::{Bytes, BytesMut};

use super::*;
use crate::{Instant, Interest, ReadInterest, SendBuf, StreamProtocol};

const T: Instant = Instant::ZERO;

/// Every frame of `input` given whole, and the error that ended it.
fn frames(framer: &Framer, input: &[u8]) -> (Vec<Vec<u8>>, Option<FrameError>, Vec<u8>) {
    cut_at(framer, input, &[])
}

/// The same, with the input arriving in pieces.
fn cut_at(framer: &Framer, input: &[u8], cuts: &[usize]) -> (Vec<Vec<u8>>, Option<FrameError>, Vec<u8>) {
    let mut framer = framer.clone();
    let (mut out, mut buffer, mut from) = (Vec::new(), BytesMut::new(), 0);
    for &to in cuts.iter().chain([&input.len()]) {
        buffer.extend_from_slice(&input[from..to]);
        from = to;
        loop {
            match framer.decode(&mut buffer) {
                Ok(Some(frame)) => out.push(frame.to_vec()),
                Ok(None) => break,
                Err(error) => return (out, Some(error), Vec::new()),
            }
        }
    }
    (out, None, buffer.to_vec())
}

fn rules() -> Vec<Framer> {
    [
        Rule::Exact(3),
        Rule::until(b"\n").unwrap(),
        Rule::until(b"--x").unwrap(),
        Rule::until(b"aab").unwrap(),
        Rule::Line(LineEnding::Lf),
        Rule::Line(LineEnding::CrLf),
        Rule::Line(LineEnding::Either),
        Rule::LengthPrefixed(LengthPrefix::big_endian(1)),
        Rule::LengthPrefixed(LengthPrefix::little_endian(2).counting_itself()),
    ]
    .into_iter()
    .map(|rule| Framer::new(rule).max_frame_len(9))
    .collect()
}

#[test]
fn each_rule_at_every_two_cuts_gives_the_same_frames() {
    let inputs: [&[u8]; 7] = [
        b"",
        b"one\r\ntwo\nthree\r\r\n\n\r\n--x-",
        b"aaab--x----xaab\n",
        b"\x03abc\x00\x02\r\n\x09123456789\x0a",
        b"\x02\x00\x05\x00abc\x0b\x00123456789\x01\x00",
        b"12345678\r\n123456789\r\n1234567890\r\n",
        b"no end in sight and too long",
    ];
    for framer in rules() {
        for input in inputs {
            let whole = frames(&framer, input);
            for one in 0..=input.len() {
                for two in one..=input.len() {
                    assert_eq!(
                        cut_at(&framer, input, &[one, two]),
                        whole,
                        "{framer:?} {input:?} {one} {two}"
                    );
                }
            }
            let single: Vec<usize> = (0..input.len()).collect();
            assert_eq!(cut_at(&framer, input, &single), whole, "{framer:?} {input:?} byte by byte");
        }
    }
}

#[test]
fn the_endings_differ_as_stated() {
    let input = b"a\nb\r\nc\rd\r\n";
    let lines = |ending| frames(&Framer::new(Rule::Line(ending)), input).0;
    assert_eq!(lines(LineEnding::Lf), [&b"a"[..], b"b\r", b"c\rd\r"]);
    assert_eq!(lines(LineEnding::CrLf), [&b"a\nb"[..], b"c\rd"]);
    assert_eq!(lines(LineEnding::Either), [&b"a"[..], b"b", b"c\rd"]);
    assert_eq!(frames(&Framer::new(Rule::until(b"\r\n").unwrap()), input).0, [&b"a\nb\r\n"[..], b"c\rd\r\n"]);
}

#[test]
fn zero_bytes_are_a_frame_at_once() {
    let mut framer = Framer::new(Rule::Exact(0));
    assert_eq!(framer.decode(&mut BytesMut::new()), Ok(Some(BytesMut::new())));
    let mut input = BytesMut::from("xy");
    assert_eq!(framer.decode(&mut input), Ok(Some(BytesMut::new())));
    assert_eq!(&input[..], b"xy");
}

#[test]
fn any_takes_what_is_there_up_to_the_limit() {
    let mut framer = Framer::new(Rule::Any).max_frame_len(4);
    let mut input = BytesMut::new();
    assert_eq!(framer.decode(&mut input), Ok(None));
    input.extend_from_slice(b"abcdef");
    assert_eq!(framer.decode(&mut input).unwrap().unwrap(), "abcd");
    assert_eq!(framer.decode(&mut input).unwrap().unwrap(), "ef");
    assert_eq!(framer.decode(&mut input), Ok(None));
}

#[test]
fn every_rule_has_its_limit_and_loses_nothing_there() {
    let cases: [(Rule, &[u8], LimitExceeded); 7] = [
        (Rule::Exact(5), b"", LimitExceeded::new("max_frame_len", 4, 5)),
        (Rule::until(b";").unwrap(), b"1234", LimitExceeded::more_than("max_frame_len", 4)),
        (Rule::until(b";").unwrap(), b"1234;", LimitExceeded::more_than("max_frame_len", 4)),
        (Rule::Line(LineEnding::CrLf), b"12345", LimitExceeded::more_than("max_frame_len", 4)),
        (Rule::Line(LineEnding::Lf), b"1234\r", LimitExceeded::more_than("max_frame_len", 4)),
        (
            Rule::LengthPrefixed(LengthPrefix::big_endian(8)),
            b"\xff\xff\xff\xff\xff\xff\xff\xff",
            LimitExceeded::new("max_frame_len", 4, u64::MAX),
        ),
        (
            Rule::LengthPrefixed(LengthPrefix::little_endian(2)),
            b"\x05\x00",
            LimitExceeded::new("max_frame_len", 4, 5),
        ),
    ];
    for (rule, bytes, limit) in cases {
        let mut framer = Framer::new(rule).max_frame_len(4);
        let mut input = BytesMut::new();
        let mut result = framer.decode(&mut input);
        for byte in bytes {
            if result.is_err() {
                break;
            }
            input.extend_from_slice(&[*byte]);
            result = framer.decode(&mut input);
        }
        assert_eq!(result, Err(FrameError::TooLong(limit)), "{rule:?}");
        assert_eq!(&input[..], &bytes[..input.len()], "{rule:?} lost bytes");
        // Another rule goes on from the very same byte.
        framer.set_rule(Rule::Any);
        assert_eq!(
            framer.decode(&mut input).unwrap().map_or(0, |frame| frame.len()),
            bytes.len().min(4).min(if matches!(rule, Rule::Exact(_)) { 0 } else { 4 })
        );
    }
    let whole = Framer::new(Rule::until(b";").unwrap()).max_frame_len(4);
    assert_eq!(frames(&whole, b"123;").0, [b"123;"]);
    let line = Framer::new(Rule::Line(LineEnding::CrLf)).max_frame_len(4);
    assert_eq!(frames(&line, b"1234\r\n").0, [b"1234"]);
}

#[test]
fn a_raised_limit_goes_on_where_it_stopped() {
    let mut framer = Framer::new(Rule::until(b";").unwrap()).max_frame_len(4);
    let mut input = BytesMut::from("12345;");
    assert!(framer.decode(&mut input).is_err());
    framer.set_max_frame_len(6);
    assert_eq!(framer.decode(&mut input).unwrap().unwrap(), "12345;");
}

#[test]
fn a_length_that_counts_itself_covers_itself() {
    let framer = Framer::new(Rule::LengthPrefixed(LengthPrefix::big_endian(4).counting_itself()));
    assert_eq!(frames(&framer, b"\0\0\0\x04\0\0\0\x05x").0, [&b""[..], b"x"]);
    assert_eq!(frames(&framer, b"\0\0\0\x03").1, Some(FrameError::LengthTooSmall { length: 3 }));
}

#[test]
fn a_read_given_up_and_asked_again_remembers_how_far_it_looked() {
    let rule = Rule::until(b"\r\n").unwrap();
    let mut framer = Framer::new(rule).max_frame_len(1 << 20);
    let mut input = BytesMut::from(&[b'x'; 1000][..]);
    assert_eq!(framer.decode(&mut input), Ok(None));
    assert_eq!(framer.looked, 1000);
    framer.set_rule(rule);
    assert_eq!(framer.looked, 1000);
    framer.set_rule(Rule::Exact(10));
    assert_eq!(framer.looked, 0);
    assert_eq!(framer.decode(&mut input).unwrap().unwrap().len(), 10);
    // Bytes taken by somebody else: a shorter input is searched again, an equal one needs `restart`.
    framer.set_rule(rule);
    assert_eq!(framer.decode(&mut input), Ok(None));
    input.clear();
    input.extend_from_slice(b"a\r\n");
    assert_eq!(framer.decode(&mut input).unwrap().unwrap(), "a\r\n");
    assert_eq!(framer.decode(&mut input), Ok(None));
    input.extend_from_slice(b"abcd");
    assert_eq!(framer.decode(&mut input), Ok(None));
    input.clear();
    input.extend_from_slice(b"\r\nxx");
    framer.restart();
    assert_eq!(framer.decode(&mut input).unwrap().unwrap(), "\r\n");
}

#[test]
fn delimiters_have_bounds() {
    assert_eq!(Delimiter::new(b"").unwrap_err().len, 0);
    assert_eq!(Delimiter::new(&[0; MAX_DELIMITER_LEN + 1]).unwrap_err().len, MAX_DELIMITER_LEN + 1);
    assert_eq!(Delimiter::new(&[7; MAX_DELIMITER_LEN]).unwrap().as_bytes(), [7; MAX_DELIMITER_LEN]);
}

#[test]
fn needs_is_exact_where_the_rule_knows_and_never_trusts_the_peer() {
    let exact = Framer::new(Rule::Exact(10));
    assert_eq!(exact.needs(b"abc"), 7);
    let prefixed = Framer::new(Rule::LengthPrefixed(LengthPrefix::big_endian(4))).max_frame_len(100);
    assert_eq!(prefixed.needs(b""), 4);
    assert_eq!(prefixed.needs(b"\0\0\0\x09ab"), 7);
    assert_eq!(prefixed.needs(b"\xff\xff\xff\xff"), 100);
    assert_eq!(Framer::new(Rule::Any).needs(b""), 1);
}

#[test]
fn finish_gives_whole_frames_then_says_what_remains() {
    let mut framer = Framer::new(Rule::Line(LineEnding::Either));
    let mut input = BytesMut::from("one\ntwo\nrest");
    assert_eq!(framer.finish(&mut input).unwrap().unwrap(), "one");
    assert_eq!(framer.finish(&mut input).unwrap().unwrap(), "two");
    assert_eq!(framer.finish(&mut input), Err(FrameError::UnexpectedEof { remainder: 4 }));
    assert_eq!(&input[..], b"rest");
    input.clear();
    framer.restart();
    assert_eq!(framer.finish(&mut input), Ok(None));
}

/// Everything a framed connection tells about `input` cut in two, with the end of the stream after it.
fn story(framer: &Framer, input: &[u8], cut: usize) -> (Vec<FramedEvent>, Option<FrameError>) {
    let mut connection = Framed::new(framer.clone());
    let (mut events, mut buffer) = (Vec::new(), BytesMut::new());
    for piece in [&input[..cut], &input[cut..], b""] {
        if piece.is_empty() {
            connection.handle_eof(T);
        }
        buffer.extend_from_slice(piece);
        loop {
            match connection.poll_event(T, &mut buffer) {
                Ok(Some(event)) => events.push(event),
                Ok(None) => break,
                Err(error) => {
                    assert_eq!(connection.poll_event(T, &mut buffer), Err(error), "an error stays");
                    return (events, Some(error));
                }
            }
        }
        if piece.is_empty() {
            break;
        }
    }
    (events, None)
}

#[test]
fn framed_gives_complete_frames_before_the_end_at_every_cut() {
    let input = b"one\r\ntwo\r\nthr";
    for framer in rules() {
        let whole = story(&framer, input, input.len());
        for cut in 1..input.len() {
            assert_eq!(story(&framer, input, cut), whole, "{framer:?} cut at {cut}");
        }
    }
    let (events, error) = story(&Framer::new(Rule::Line(LineEnding::CrLf)), input, 4);
    assert_eq!(error, None);
    assert_eq!(
        events,
        [
            FramedEvent::Frame(BytesMut::from("one")),
            FramedEvent::Frame(BytesMut::from("two")),
            FramedEvent::Closed { remainder: BytesMut::from("thr") },
        ]
    );
}

#[test]
fn framed_answers_an_empty_exact_rule_once() {
    let mut connection = Framed::new(Framer::new(Rule::Exact(0)));
    let mut input = BytesMut::new();
    assert_eq!(connection.poll_event(T, &mut input), Ok(Some(FramedEvent::Frame(BytesMut::new()))));
    assert_eq!(connection.poll_event(T, &mut input), Ok(None));
    assert_eq!(connection.interest().read, ReadInterest::Paused);
    connection.set_rule(Rule::Exact(0));
    assert_eq!(connection.poll_event(T, &mut input), Ok(Some(FramedEvent::Frame(BytesMut::new()))));
    connection.set_rule(Rule::Exact(2));
    assert_eq!(connection.poll_event(T, &mut input), Ok(None));
    assert_eq!(connection.interest().read, ReadInterest::Want(2));
}

#[test]
fn framed_sends_within_its_bounds_and_closes_after_the_last_byte() {
    let mut connection = Framed::new(Framer::new(Rule::Any)).max_queued(10);
    assert_eq!(connection.capacity(), 10);
    connection.send(Bytes::from_static(b"a long piece is taken alone")).unwrap();
    assert_eq!(connection.send(Bytes::from_static(b"x")), Err(SendError::Full(Bytes::from_static(b"x"))));
    let mut out = SendBuf::new();
    connection.poll_transmit(T, &mut out);
    assert_eq!(out.take_all(), "a long piece is taken alone");
    connection.send(Bytes::from_static(b"bye")).unwrap();
    connection.close(T);
    assert_eq!(connection.send(Bytes::new()), Err(SendError::Closed(Bytes::new())));
    assert_eq!(connection.interest().write, crate::WriteInterest::Open);
    connection.poll_transmit(T, &mut out);
    assert_eq!(out.take_all(), "bye");
    connection.handle_eof(T);
    assert_eq!(
        connection.poll_event(T, &mut BytesMut::new()).unwrap().unwrap(),
        FramedEvent::Closed { remainder: BytesMut::new() }
    );
    assert_eq!(connection.interest(), Interest::CLOSED);
    let mut pieces = Framed::new(Framer::new(Rule::Any));
    let taken = (0..10_000).take_while(|_| pieces.send(Bytes::new()).is_ok()).count();
    assert_eq!(taken, 4096);
}

#[test]
fn errors_read_as_sentences() {
    let too_long = FrameError::TooLong(LimitExceeded::more_than("max_frame_len", 4));
    assert_eq!(std::format!("{too_long}"), "frame too long");
    assert_eq!(
        std::format!("{}", core::error::Error::source(&too_long).unwrap()),
        "more than max_frame_len of 4"
    );
    assert_eq!(std::format!("{}", Delimiter::new(b"").unwrap_err()), "a delimiter has 1 to 32 bytes, not 0");
}
