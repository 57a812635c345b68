use super::*;
use crate::DecodeError;
use crate::config::{Leniency, Limits};

type Trailers = Vec<(String, Vec<u8>)>;

/// Everything a body tells, data joined.
#[derive(Debug, Default, PartialEq)]
struct Told {
    data: Vec<u8>,
    extensions: Vec<Vec<u8>>,
    ended: bool,
    trailers: Option<Trailers>,
    error: Option<Error>,
    left: Vec<u8>,
}

fn read_cut(mut body: BodyDecoder, wire: &[u8], cut: usize, limits: &Limits, leniency: &Leniency) -> Told {
    let rules = Rules { limits, leniency };
    let mut told = Told::default();
    let mut input = BytesMut::new();
    for piece in [&wire[..cut], &wire[cut..]] {
        input.extend_from_slice(piece);
        while !told.ended && told.error.is_none() {
            match body.step(&mut input, 7, false, rules, true) {
                Ok(Step::More) => break,
                Ok(Step::NoCredit) => unreachable!("there is always credit"),
                Ok(Step::Data(data)) => told.data.extend_from_slice(&data),
                Ok(Step::Extensions(text)) => told.extensions.push(text.to_vec()),
                Ok(Step::End(fields)) => {
                    told.ended = true;
                    told.trailers = fields.map(|fields| {
                        fields.iter().map(|(name, value)| (name.to_owned(), value.to_vec())).collect()
                    });
                }
                Err(error) => told.error = Some(error),
            }
        }
    }
    told.left = input.to_vec();
    told
}

fn read_with(wire: &[u8], limits: &Limits, leniency: &Leniency) -> Told {
    let whole = read_cut(BodyDecoder::chunked(), wire, wire.len(), limits, leniency);
    for cut in 0..wire.len() {
        let told = read_cut(BodyDecoder::chunked(), wire, cut, limits, leniency);
        if whole.error.is_none() {
            assert_eq!(told, whole, "cut at {cut}");
        } else {
            assert_eq!((told.error, told.data), (whole.error, whole.data.clone()), "cut at {cut}");
        }
    }
    whole
}

fn read(wire: &[u8]) -> Told {
    read_with(wire, &Limits::default(), &Leniency::default())
}

fn refusal(wire: &[u8]) -> (Reason, usize) {
    match read(wire).error {
        Some(Error::Peer(DecodeError { reason, offset })) => (reason, offset),
        other => panic!("{other:?}"),
    }
}

#[test]
fn chunks_extensions_and_trailers() {
    let told = read(
        b"5\r\nhello\r\n00A;a ; b=c;d=\"e;\\\"f\" \t;g = h\r\n, world 10\r\n0\r\nT: 1\r\nu:2\r\n\r\nGET",
    );
    assert_eq!(told.data, b"hello, world 10");
    assert_eq!(told.extensions, [b"a ; b=c;d=\"e;\\\"f\" \t;g = h".to_vec()]);
    let trailers = vec![("T".to_owned(), b"1".to_vec()), ("u".to_owned(), b"2".to_vec())];
    assert_eq!(told.trailers, Some(trailers));
    assert_eq!(told.left, b"GET");
}

#[test]
fn an_end_without_trailers() {
    let told = read(b"0\r\n\r\nGET");
    assert_eq!((told.ended, told.trailers, told.left), (true, None, b"GET".to_vec()));
}

#[test]
fn malformed_chunks() {
    for (wire, expected) in [
        (&b"\r\n"[..], (Reason::ChunkSize, 0)),
        (b"g\r\n", (Reason::ChunkSize, 0)),
        (b"+5\r\nhello\r\n", (Reason::ChunkSize, 0)),
        (b" 5\r\nhello\r\n", (Reason::ChunkSize, 0)),
        (b"0x5\r\nhello\r\n", (Reason::ChunkSize, 1)),
        (b"5 \r\nhello\r\n", (Reason::ChunkSize, 2)),
        (b"5\rhello\r\n", (Reason::ChunkSize, 1)),
        (b"5\nhello\r\n", (Reason::LineEnd, 1)),
        (b"00000000000000005\r\nhello\r\n", (Reason::ChunkSize, 16)),
        (b"5;\r\nhello\r\n", (Reason::ChunkExtension, 2)),
        (b"5;a=\r\nhello\r\n", (Reason::ChunkExtension, 4)),
        (b"5;a=\"b\r\nhello\r\n", (Reason::ChunkExtension, 6)),
        (b"5;a b\r\nhello\r\n", (Reason::ChunkExtension, 4)),
        (b"5;a\x00\r\nhello\r\n", (Reason::ChunkExtension, 3)),
        (b"5\r\nhelloX\r\n", (Reason::ChunkEnd, 0)),
        (b"5\r\nhello\rX", (Reason::ChunkEnd, 1)),
        (b"5\r\nhello\n0\r\n", (Reason::ChunkEnd, 0)),
        (b"0\r\nbad trailer\r\n\r\n", (Reason::FieldName, 3)),
        (b"0\r\nT : 1\r\n\r\n", (Reason::FieldName, 1)),
        (b"0\r\nT: 1\n\r\n", (Reason::LineEnd, 4)),
        (b"0\r\nT: \x01\r\n\r\n", (Reason::FieldValue, 3)),
        (b"0\r\nT: 1\r\nContent-Length: 1\r\n\r\n", (Reason::TrailerForbidden, 6)),
        (b"0\r\nHOST: a\r\n\r\n", (Reason::TrailerForbidden, 0)),
    ] {
        assert_eq!(refusal(wire), expected, "{}", wire.escape_ascii());
    }
}

#[test]
fn each_limit_is_kept() {
    let limits = Limits::default()
        .max_chunk_line_len(24)
        .max_chunk_extensions_len(10)
        .max_trailer_len(16)
        .max_body_len(20)
        .max_fields(1);
    let hit = |wire: &[u8]| match read_with(wire, &limits, &Leniency::default()).error {
        Some(Error::Limit(exceeded)) => exceeded.limit,
        other => panic!("{other:?}"),
    };
    assert_eq!(hit(&[&b"5;a="[..], &[b'x'; 40]].concat()), "max_chunk_line_len");
    assert_eq!(hit(b"1;aaaa\r\nx\r\n1;bbbbb\r\nx\r\n"), "max_chunk_extensions_len");
    assert_eq!(hit(b"0\r\nT: 345678901234567890\r\n\r\n"), "max_trailer_len");
    assert_eq!(hit(b"0\r\nT:1\r\nU:2\r\n\r\n"), "max_fields");
    assert_eq!(hit(b"15\r\n"), "max_body_len");
    assert_eq!(hit(b"a\r\n0123456789\r\nb\r\n"), "max_body_len");
    assert_eq!(hit(b"1\r\nx\r\nffffffffffffffff\r\n"), "max_body_len");
}

#[test]
fn a_bare_line_feed_only_when_allowed() {
    let lenient = Leniency { bare_lf: true, ..Leniency::default() };
    let told = read_with(b"5\nhello\n0\nT: 1\n\n", &Limits::default(), &lenient);
    assert_eq!((told.data, told.error), (b"hello".to_vec(), None));
    assert!(told.ended);
}

#[test]
fn short_pieces_of_large_buffers_are_copied() {
    let mut input = BytesMut::with_capacity(8192);
    input.extend_from_slice(b"hello");
    let before = input.as_ptr();
    let (limits, leniency) = (Limits::default(), Leniency::default());
    let rules = Rules { limits: &limits, leniency: &leniency };
    let Ok(Step::Data(data)) = BodyDecoder::known(5).step(&mut input, 100, false, rules, false) else {
        panic!()
    };
    assert_ne!(data.as_ptr(), before);
}
