//! Forms: what is written is read again, every cut gives the same events, and every limit is hit.

use bytes::BytesMut;
use glowplug_core::Seed;
use glowplug_http::HeaderMap;
use glowplug_http::multipart::{
    Boundary, MultipartError, MultipartEvent, MultipartLimits, MultipartReader, MultipartReason, PartHead,
};
use proptest::prelude::*;

#[derive(Debug, Default, PartialEq)]
struct Read {
    parts: Vec<(PartHead, Vec<u8>, bool)>,
    ended: bool,
    error: Option<MultipartError>,
}

fn read<'p>(
    boundary: &Boundary,
    limits: &MultipartLimits,
    pieces: impl IntoIterator<Item = &'p [u8]>,
) -> Read {
    let mut reader = MultipartReader::new(boundary, limits.clone());
    let (mut input, mut read) = (BytesMut::new(), Read::default());
    for piece in pieces {
        input.extend_from_slice(piece);
        loop {
            match reader.poll_event(&mut input) {
                Ok(None) => break,
                Ok(Some(MultipartEvent::Part(head))) => read.parts.push((head, Vec::new(), false)),
                Ok(Some(MultipartEvent::Data(data))) => {
                    assert!(!data.is_empty());
                    read.parts.last_mut().expect("a part began").1.extend_from_slice(&data);
                }
                Ok(Some(MultipartEvent::PartEnd)) => read.parts.last_mut().expect("a part began").2 = true,
                Ok(Some(MultipartEvent::End)) => read.ended = true,
                Ok(Some(other)) => panic!("{other:?}"),
                Err(error) => {
                    assert_eq!(reader.poll_event(&mut input), Err(error), "the same error again");
                    read.error = Some(error);
                    return read;
                }
            }
        }
    }
    read.error = reader.finish(input.len()).err();
    read
}

/// One way or another, the outcome is the same.
fn every_cut(boundary: &Boundary, limits: &MultipartLimits, form: &[u8]) -> Read {
    let whole = read(boundary, limits, [form]);
    for cut in 0..=form.len() {
        let (one, other) = form.split_at(cut);
        assert_eq!(read(boundary, limits, [one, other]), whole, "cut at {cut}");
    }
    assert_eq!(read(boundary, limits, form.chunks(1)), whole, "byte by byte");
    whole
}

fn boundary() -> Boundary {
    Boundary::from_text("xyz").expect("valid")
}

fn form(parts: &str) -> String {
    parts.replace('|', "\r\n")
}

#[test]
fn boundaries_are_random_and_valid() {
    let mut rng = Seed::from_u64(1).rng();
    let [one, other] = [Boundary::new(&mut rng), Boundary::new(&mut rng)];
    assert_ne!(one, other);
    assert_eq!(Boundary::of(&one.content_type()), Some(one));
    let odd = Boundary::from_text("a:b c").expect("valid");
    assert_eq!(odd.content_type(), "multipart/form-data; boundary=\"a:b c\"");
    assert_eq!(Boundary::of(&odd.content_type()), Some(odd));
    for text in ["", "a ", "a\"b", &"a".repeat(71)] {
        assert_eq!(Boundary::from_text(text), None, "{text:?}");
    }
    for kind in
        ["multipart/form-data", "multipart/mixed; boundary=a", "multipart/form-data; boundary=\"a", ""]
    {
        assert_eq!(Boundary::of(kind), None, "{kind:?}");
    }
    assert_eq!(Boundary::of("Multipart/Form-Data;charset=x ; Boundary=a;").expect("valid").as_str(), "a");
}

#[test]
fn a_form_at_every_cut() {
    let text = form(
        "||--xyz|content-disposition: form-data; name=\"a\"|||--xyz|Content-Disposition: form-data;name=b;filename=\
         \"c:\\d\\e%22.txt\"|Content-Type: text/plain||--xy\n--xyz|--xyz-||--xyz |\r|--xyz|content-disposition: form-data; name=c|\
         content-transfer-encoding: BASE64||YWJj|ZGU=||--xyz--epilogue|--xyz|",
    );
    let read = every_cut(&boundary(), &MultipartLimits::default(), text.as_bytes());
    assert_eq!(read.error, None);
    assert!(read.ended);
    let told: Vec<_> = read
        .parts
        .iter()
        .map(|(head, data, _)| {
            (head.name(), head.filename(), head.content_type(), String::from_utf8_lossy(data))
        })
        .collect();
    assert_eq!(
        told,
        [
            ("a", None, None, "".into()),
            (
                "b",
                Some("c:\\d\\e\".txt"),
                Some("text/plain"),
                "--xy\n--xyz\r\n--xyz-\r\n\r\n--xyz \r\n\r".into()
            ),
            ("c", None, None, "abcde".into()),
        ]
    );
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    use MultipartReason::{Base64, Boundary, Disposition, Head, TransferEncoding, UnexpectedEnd};
    const PART: &str = "--xyz|content-disposition: form-data; name=a|";
    for (text, reason, offset) in [
        ("", UnexpectedEnd, 0),
        ("--xyz", UnexpectedEnd, 5),
        ("--xyz-", UnexpectedEnd, 6),
        ("--xyz-x", Boundary, 6),
        ("--xyzz", Boundary, 5),
        ("preamble|--xyz|", Boundary, 0),
        ("|-x", Boundary, 3),
        ("\r-", Boundary, 0),
        ("--xyz||", Disposition, 7),
        ("--xyz|content-type: a||", Disposition, 7),
        ("--xyz|content-disposition: form-data||", Disposition, 7),
        ("--xyz|content-disposition: form-data; name=a; NAME=b||", Disposition, 7),
        ("--xyz|content-disposition: form-data; name=\"a||", Disposition, 7),
        ("--xyz|content-disposition: attachment; name=a||", Disposition, 7),
        ("--xyz|a b: c|", Head, 8),
        ("--xyz|: c|", Head, 7),
        ("--xyz|abc|", Head, 10),
        ("--xyz|a: b\nc: d|", Head, 11),
        ("--xyz|a: b\rc: d|", Head, 12),
        ("--xyz|a: b|c\rd: e|", Head, 14),
        ("--xyz|a: b| folded|", Head, 13),
        ("--xyz|a: \0|", Head, 10),
    ] {
        let read = every_cut(&boundary(), &MultipartLimits::default(), form(text).as_bytes());
        assert_eq!(read.error, Some(MultipartError { offset, reason }), "{text:?}");
    }
    for (text, reason, offset) in [
        ("|data", UnexpectedEnd, 50 + 4),
        ("|data|--xyz", UnexpectedEnd, 50 + 11),
        ("content-transfer-encoding: quoted-printable||", TransferEncoding, 7),
        ("content-transfer-encoding: base64||YW|Jj?|--xyz--", Base64, 84),
        ("content-transfer-encoding: base64||YW|--xyz--", Base64, 84),
        ("content-transfer-encoding: base64||YQ==YQ==|--xyz--", Base64, 84),
    ] {
        let text = form(PART) + &form(text);
        let read = every_cut(&boundary(), &MultipartLimits::default(), text.as_bytes());
        let error = read.error.expect("an error");
        assert_eq!(error.reason, reason, "{text:?}");
        if reason != UnexpectedEnd {
            assert_eq!(error.offset, offset, "{text:?}");
        }
    }
}

#[test]
fn every_limit_is_hit() {
    let part =
        |name: &str| format!("--xyz\r\ncontent-disposition: form-data; name={name}\r\n\r\n0123456789\r\n");
    let whole = part("a") + &part("b") + "--xyz--\r\n";
    let defaults = MultipartLimits::default;
    for (limits, name) in [
        (defaults().max_parts(1), "max_parts"),
        (defaults().max_head_len(40), "max_head_len"),
        (defaults().max_fields(0), "max_fields"),
        (defaults().max_part_len(9), "max_part_len"),
    ] {
        let read = every_cut(&boundary(), &limits, whole.as_bytes());
        match read.error {
            Some(MultipartError { reason: MultipartReason::Limit(limit), .. }) => {
                assert_eq!(limit.limit, name);
            }
            other => panic!("{name}: {other:?}"),
        }
    }
    let exact = defaults().max_parts(2).max_head_len(43).max_fields(1).max_part_len(10);
    assert_eq!(every_cut(&boundary(), &exact, whole.as_bytes()).error, None);
    let line_ends = "\r\n".repeat(5000);
    assert!(read(&boundary(), &defaults(), [line_ends.as_bytes()]).error.is_some());
    // A wrong byte behind the limit is not what is told, however it is cut.
    let long = format!("--xyz\r\n{}\0", "a".repeat(41));
    assert!(every_cut(&boundary(), &defaults().max_head_len(40), long.as_bytes()).error.is_some());
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(
        parts in prop::collection::vec((".{0,12}", prop::option::of(".{0,12}"), prop::collection::vec(prop_oneof![Just(b'\r'), Just(b'\n'), Just(b'-'), Just(b'x'), any::<u8>()], 0..60)), 0..4),
        cut in 1_usize..40,
    ) {
        let boundary = Boundary::from_text("-x-").expect("valid");
        let mut form = Vec::new();
        let mut expected = Vec::new();
        for (at, (name, filename, data)) in parts.iter().enumerate() {
            // By chance, data may hold the boundary; a name may hold what stands for an escape.
            if data.windows(5).any(|bytes| bytes == b"--x-") || name.contains('%') || filename.as_ref().is_some_and(|name| name.contains('%')) {
                return Ok(());
            }
            let clean = |text: &str| !text.contains(|char: char| char.is_control() && char != '\r' && char != '\n') && !text.contains('\\');
            if !clean(name) || !filename.as_deref().is_none_or(clean) {
                return Ok(());
            }
            form.extend_from_slice(&boundary.part_head(at == 0, name, filename.as_deref(), &HeaderMap::new()));
            form.extend_from_slice(data);
            expected.push((name.clone(), filename.clone(), data.clone()));
        }
        form.extend_from_slice(&boundary.end(parts.is_empty()));
        let read = read(&boundary, &MultipartLimits::default(), form.chunks(cut));
        prop_assert_eq!(read.error, None);
        let found: Vec<_> = read.parts.into_iter().map(|(head, data, complete)| {
            assert!(complete);
            (head.name().to_owned(), head.filename().map(str::to_owned), data)
        }).collect();
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(prop_oneof![Just(b'\r'), Just(b'\n'), Just(b'-'), Just(b'x'), Just(b':'), any::<u8>()], 0..200)) {
        let boundary = Boundary::from_text("x").expect("valid");
        let whole = read(&boundary, &MultipartLimits::default(), [&bytes[..]]);
        prop_assert_eq!(read(&boundary, &MultipartLimits::default(), bytes.chunks(1)), whole);
        let mut behind = b"--x\r\ncontent-disposition: form-data; name=a\r\n".to_vec();
        behind.extend(bytes);
        let whole = read(&boundary, &MultipartLimits::default(), [&behind[..]]);
        prop_assert_eq!(read(&boundary, &MultipartLimits::default(), behind.chunks(1)), whole);
    }
}
