//! The codec against itself, at every cut, and against hostile bytes.

use alloc::string::String;
use alloc::vec::Vec;
use alloc::{format, vec};

use bytes::BytesMut;
use proptest::prelude::*;

use super::*;

fn decode_all(bytes: &[u8]) -> Result<Vec<Reply>, DecodeError> {
    let mut decoder = Decoder::new(Limits::default());
    let mut input = BytesMut::from(bytes);
    let mut replies = Vec::new();
    while let Some(reply) = decoder.decode(&mut input)? {
        replies.push(reply);
    }
    Ok(replies)
}

/// Decodes byte by byte, in a buffer that is read from its own front.
fn decode_trickled(bytes: &[u8]) -> Result<Vec<Reply>, DecodeError> {
    let mut decoder = Decoder::new(Limits::default());
    let (mut input, mut replies) = (BytesMut::new(), Vec::new());
    for byte in bytes {
        input.extend_from_slice(&[*byte]);
        while let Some(reply) = decoder.decode(&mut input)? {
            replies.push(reply);
        }
    }
    Ok(replies)
}

const SESSION: &[u8] = b"+OK\r\n+\r\n-ERR no\r\n:0\r\n:-42\r\n:9223372036854775807\r\n:-9223372036854775808\r\n:+7\r\n\
    $0\r\n\r\n$5\r\na\r\nbc\r\n$-1\r\n*-1\r\n*0\r\n*3\r\n:1\r\n$3\r\nfoo\r\n*2\r\n+x\r\n*0\r\n_\r\n#t\r\n#f\r\n\
    ,3.25\r\n,inf\r\n,-inf\r\n,1e10\r\n(3492890328409238509324850943850943825024385\r\n=7\r\ntxt:abc\r\n\
    !9\r\nSYNTAX no\r\n%2\r\n+a\r\n:1\r\n+b\r\n%0\r\n~2\r\n:1\r\n:2\r\n>3\r\n+message\r\n+ch\r\n$2\r\nhi\r\n\
    |1\r\n+ttl\r\n:5\r\n*2\r\n:1\r\n|1\r\n+x\r\n*1\r\n:9\r\n:2\r\n*1\r\n*1\r\n*1\r\n=8\r\nmkd:x\r\ny\r\n";

#[test]
fn reads_every_type() {
    let shown: Vec<String> =
        decode_all(SESSION).expect("valid").iter().map(|reply| format!("{reply:?}")).collect();
    let expected = [
        "+OK",
        "+",
        "-ERR no",
        "0",
        "-42",
        "9223372036854775807",
        "-9223372036854775808",
        "7",
        "\"\"",
        "\"a\\r\\nbc\"",
        "null",
        "null",
        "[]",
        "[1, \"foo\", [+x, []]]",
        "null",
        "true",
        "false",
        "3.25",
        "inf",
        "-inf",
        "10000000000.0",
        "(3492890328409238509324850943850943825024385",
        "txt:\"abc\"",
        "-SYNTAX no",
        "{+a: 1, +b: {}}",
        "{1, 2}",
        ">[+message, +ch, \"hi\"]",
        "[1, 2]",
        "[[[mkd:\"x\\r\\ny\"]]]",
    ];
    assert_eq!(shown, expected);
}

#[test]
fn every_cut_gives_the_same_replies() {
    let whole = decode_all(SESSION).expect("valid");
    assert_eq!(decode_trickled(SESSION).expect("valid"), whole);
    for cut in 0..SESSION.len() {
        let mut decoder = Decoder::new(Limits::default());
        let mut input = BytesMut::with_capacity(64 * 1024);
        let mut replies = Vec::new();
        for part in [&SESSION[..cut], &SESSION[cut..]] {
            input.extend_from_slice(part);
            while let Some(reply) = decoder.decode(&mut input).expect("valid") {
                replies.push(reply);
            }
            assert!(decoder.needed() >= 1);
        }
        assert_eq!(replies, whole, "cut at {cut}");
    }
}

fn error_of(bytes: &[u8], limits: Limits) -> Option<DecodeError> {
    let mut decoder = Decoder::new(limits);
    let mut input = BytesMut::from(bytes);
    loop {
        match decoder.decode(&mut input) {
            Ok(Some(_)) => {}
            Ok(None) => return None,
            Err(error) => {
                assert_eq!(decoder.decode(&mut input), Err(error), "an error stays");
                return Some(error);
            }
        }
    }
}

#[test]
fn names_what_is_wrong_and_where() {
    use DecodeErrorKind as Kind;
    for (bytes, offset, kind) in [
        (&b"hello\r\n"[..], 0, Kind::UnknownType(b'h')),
        (b":12a\r\n", 0, Kind::InvalidInteger),
        (b":\r\n", 0, Kind::InvalidInteger),
        (b":9223372036854775808\r\n", 0, Kind::InvalidInteger),
        (b":99999999999999999999999", 0, Kind::InvalidInteger),
        (b"$-2\r\n", 0, Kind::InvalidLength),
        (b"$?\r\n", 0, Kind::Streamed),
        (b"*?\r\n", 0, Kind::Streamed),
        (b"%-1\r\n", 0, Kind::InvalidLength),
        (b"*1\r\n$1\r\nabc", 9, Kind::MissingLineEnd),
        (b"+a\rb", 2, Kind::MissingLineEnd),
        (b":1\rx", 3, Kind::MissingLineEnd),
        (b"#x\r\n", 0, Kind::InvalidBoolean),
        (b",x\r\n", 0, Kind::InvalidDouble),
        (b"(1x\r\n", 0, Kind::InvalidBigNumber),
        (b"=3\r\ntxt\r\n", 0, Kind::InvalidVerbatim),
        (b"=4\r\ntxtx\r\n", 4, Kind::InvalidVerbatim),
        (b"_x\r\n", 0, Kind::InvalidLength),
        (b"*1\r\n>0\r\n", 8, Kind::NestedPush),
    ] {
        let error = error_of(bytes, Limits::default()).expect("an error");
        assert_eq!((error.offset, error.kind), (offset, kind), "{}", bytes.escape_ascii());
    }
}

#[test]
fn limits_hold_before_anything_is_reserved() {
    let limit = |error: Option<DecodeError>| match error.map(|error| error.kind) {
        Some(DecodeErrorKind::Limit(limit)) => limit.limit,
        other => panic!("no limit: {other:?}"),
    };
    let limits = Limits::default();
    assert_eq!(limit(error_of(b"*2147483647\r\n", limits)), "max_elements");
    assert_eq!(limit(error_of(b"%999999999999999999\r\n", limits)), "max_elements");
    assert_eq!(limit(error_of(b"$536870913\r\n", limits)), "max_bulk_len");
    assert_eq!(limit(error_of(&b"*1\r\n".repeat(65), limits)), "max_depth");
    assert_eq!(limit(error_of(&vec![b'+'; 70_000], limits)), "max_line_len");
    let small = limits.max_reply_len(1024).max_elements(16);
    assert_eq!(limit(error_of(b"$1020\r\n", small)), "max_reply_len");
    assert_eq!(limit(error_of(b"*3\r\n*3\r\n*3\r\n*3\r\n*3\r\n*3\r\n", small)), "max_elements");
    assert_eq!(limit(error_of(&b"|0\r\n".repeat(300), small)), "max_reply_len");
    // Just within.
    assert_eq!(error_of(&b"*1\r\n".repeat(64), limits), None);
    assert_eq!(error_of(b"$1000\r\n", small), None);
}

#[test]
fn a_large_string_is_not_copied_and_a_short_one_does_not_pin() {
    let mut input = BytesMut::from(&b"$100000\r\n"[..]);
    input.extend_from_slice(&vec![b'x'; 100_000]);
    input.extend_from_slice(b"\r\n$3\r\nabc\r\n");
    let start = input[9..].as_ptr();
    let mut decoder = Decoder::default();
    let Ok(Some(Reply::Bulk(large))) = decoder.decode(&mut input) else { panic!("no bulk") };
    assert_eq!((large.len(), large.as_ptr()), (100_000, start));
    let start = input[4..].as_ptr();
    let Ok(Some(Reply::Bulk(short))) = decoder.decode(&mut input) else { panic!("no bulk") };
    assert_eq!(&short[..], b"abc");
    assert_ne!(short.as_ptr(), start);
}

#[test]
fn elements_become_replies_of_their_own() {
    for reply in decode_all(SESSION).expect("valid") {
        assert_eq!(reply.view().to_reply(), reply);
        for element in reply.view().elements().into_iter().flatten() {
            assert_eq!(element.to_reply().view(), element);
        }
    }
}

#[test]
fn commands_come_as_arrays_and_by_hand() {
    let session = b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n\r\n*0\r\nset \"a b\\x41\\n\" 'it\\'s' x\nPING\r\n*-1\r\n*1\r\n$4\r\nQUIT\r\n";
    let expected: [&[&[u8]]; 4] =
        [&[b"GET", b"k"], &[b"set", b"a bA\n", b"it's", b"x"], &[b"PING"], &[b"QUIT"]];
    for cut in 0..session.len() {
        let mut decoder = CommandDecoder::new(Limits::default());
        let mut input = BytesMut::new();
        let mut commands = Vec::new();
        for part in [&session[..cut], &session[cut..]] {
            input.extend_from_slice(part);
            while let Some(command) = decoder.decode(&mut input).expect("valid") {
                commands.push(command);
            }
        }
        let args: Vec<Vec<&[u8]>> = commands.iter().map(|command| command.args().collect()).collect();
        assert_eq!(args, expected, "cut at {cut}");
    }
}

#[test]
fn commands_that_are_none() {
    for (bytes, expected) in [
        (&b"*1\r\n:1\r\n"[..], DecodeErrorKind::ExpectedBulk(b':')),
        (b"*1\r\n$-1\r\n", DecodeErrorKind::InvalidLength),
        (b"GET \"a\n", DecodeErrorKind::UnbalancedQuotes),
        (b"GET \"a\"b\n", DecodeErrorKind::UnbalancedQuotes),
    ] {
        let error =
            CommandDecoder::new(Limits::default()).decode(&mut BytesMut::from(bytes)).expect_err("invalid");
        assert_eq!(error.kind, expected);
    }
    let error = CommandDecoder::new(Limits::default())
        .decode(&mut BytesMut::from(&vec![b'x'; 70_000][..]))
        .expect_err("too long");
    assert!(matches!(error.kind, DecodeErrorKind::Limit(limit) if limit.limit == "max_line_len"));
}

#[test]
fn commands_have_no_more_arguments_than_allowed() {
    let limits = Limits::default().max_elements(16);
    for bytes in [&b"*17\r\n"[..], &[&b"a ".repeat(17)[..], b"\n"].concat()] {
        let mut decoder = CommandDecoder::new(limits);
        let error = decoder.decode(&mut BytesMut::from(bytes)).expect_err("too many");
        assert!(matches!(error.kind, DecodeErrorKind::Limit(limit) if limit.limit == "max_elements"));
        assert_eq!(decoder.decode(&mut BytesMut::from("PING\n")), Err(error), "an error stays");
    }
}

fn values() -> impl Strategy<Value = Value> {
    let text = || prop::collection::vec(any::<u8>(), 0..40).prop_map(bytes::Bytes::from);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Boolean),
        any::<i64>().prop_map(Value::Integer),
        any::<f64>().prop_map(Value::Double),
        "[ -~]{0,20}".prop_map(|text| Value::Simple(text.into())),
        "-?[0-9]{1,40}".prop_map(|text| Value::BigNumber(text.into())),
        "[A-Z]{1,9} [ -~]{0,20}".prop_map(|text| Value::error(&text)),
        text().prop_map(Value::Bulk),
        text().prop_map(|text| Value::Verbatim(*b"txt", text)),
    ];
    leaf.prop_recursive(4, 40, 8, |inner| {
        let list = prop::collection::vec(inner.clone(), 0..8);
        prop_oneof![
            list.clone().prop_map(Value::Array),
            list.prop_map(Value::Set),
            prop::collection::vec((inner.clone(), inner), 0..4).prop_map(Value::Map),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_is_read(value in values()) {
        let mut bytes = BytesMut::new();
        encode(&value, Protocol::Resp3, &mut bytes);
        let replies = decode_all(&bytes).expect("valid");
        prop_assert_eq!(replies.len(), 1);
        prop_assert_eq!(Value::from(replies[0].view()), value.clone());
        prop_assert_eq!(decode_trickled(&bytes).expect("valid"), replies);
        let mut old = BytesMut::new();
        encode(&value, Protocol::Resp2, &mut old);
        prop_assert_eq!(decode_all(&old).expect("valid").len(), 1);
    }

    #[test]
    fn bytes_never_panic_and_cuts_never_matter(bytes in prop::collection::vec(
        prop_oneof![
            8 => prop::sample::select(b"*$:+-%~>|=!#,_(\r\n0123456789-ab".to_vec()), 1 => any::<u8>()
        ], 0..200)) {
        prop_assert_eq!(decode_all(&bytes).is_err(), decode_trickled(&bytes).is_err());
        let mut commands = CommandDecoder::new(Limits::default());
        let mut input = BytesMut::from(&bytes[..]);
        while let Ok(Some(_)) = commands.decode(&mut input) {}
    }
}
