//! The messages: round trips, hostile bytes, reuse.

use bytes::{Bytes, BytesMut};
use glowplug_core::SendBuf;
use glowplug_riak::Blob;
use glowplug_riak::wire::dt::{DtFetchResp, DtValue, MapEntry, MapField, MapFieldType};
use glowplug_riak::wire::kv::{RpbContent, RpbGetResp, RpbListKeysResp};
use glowplug_riak::wire::riak::{RpbPair, RpbReplMode};
use glowplug_riak::wire::search::RpbSearchQueryResp;
use glowplug_riak::wire::ts::TsCell;
use glowplug_riak::wire::{
    Clear, Code, DecodeLimits, DecodeReason, Decoder, Direction, Message, Reply, Request, aae,
};
use proptest::prelude::*;

fn encode(message: &impl Message) -> Bytes {
    let mut out = BytesMut::new();
    message.encode(&mut out);
    assert_eq!(out.len(), message.encoded_len());
    out.freeze()
}

fn object() -> RpbGetResp {
    let pair = |n: usize| RpbPair { key: format!("X-Meta-{n}").into(), value: Some(vec![b'm'; 40].into()) };
    let content = RpbContent {
        value: vec![b'v'; 1000].into(),
        content_type: Some("application/json".into()),
        vtag: Some("3fJ8oSRSB9xCdxpenGTgaRI".into()),
        last_mod: Some(1_795_311_122),
        last_mod_usecs: Some(619_531),
        usermeta: (0..3).map(pair).collect(),
        indexes: (0..2).map(pair).collect(),
        ..RpbContent::default()
    };
    RpbGetResp { content: [content].into(), vclock: Some(vec![7; 40].into()), unchanged: None }
}

#[test]
fn values_share_the_memory_of_the_message() {
    let body = encode(&object());
    let decoded = RpbGetResp::decode(&body).unwrap();
    assert_eq!(decoded, object());
    let value = &decoded.content[0].value;
    assert!(body.as_ptr_range().contains(&value.as_ptr()));
}

#[test]
fn a_message_is_used_again_without_leftovers() {
    let (large, small) = (encode(&object()), encode(&RpbGetResp::default()));
    let mut message = RpbGetResp::default();
    for _ in 0..2 {
        message.decode_from(&large, DecodeLimits::default()).unwrap();
        assert_eq!(message, object());
        message.decode_from(&small, DecodeLimits::default()).unwrap();
        assert_eq!(message, RpbGetResp::default());
    }
    assert!(large.is_unique(), "nothing of the old message is held");
}

#[test]
fn fields_come_in_any_order_and_the_last_of_a_kind_counts() {
    let pair = RpbPair { key: "k".into(), value: Some("v".into()) };
    let orders: [&[u8]; 5] = [
        b"\x0a\x01k\x12\x01v",
        b"\x12\x01v\x0a\x01k",
        b"\x0a\x01x\x0a\x01k\x12\x01y\x12\x01v",
        b"\x12\x01y\x0a\x01x\x12\x01v\x0a\x01k",
        // With fields that nobody knows before, between and behind.
        b"\x18\x01\x0a\x01k\x22\x01z\x12\x01v\xf8\x07\x01",
    ];
    for bytes in orders {
        assert_eq!(RpbPair::decode(&Bytes::from_static(bytes)), Ok(pair.clone()), "{}", bytes.escape_ascii());
    }
    // The elements of a list may lie apart.
    let keys = Bytes::from_static(b"\x10\x01\x0a\x01a\x10\x00\x0a\x01b");
    let keys = RpbListKeysResp::decode(&keys).unwrap();
    assert_eq!((keys.keys, keys.done), (["a".into(), "b".into()].into(), Some(false)));
    // A layout that is not the declared one is no such field, wherever it stands.
    for bytes in [&b"\x08\x01"[..], b"\x0a\x01k\x10\x01"] {
        let error = RpbPair::decode(&Bytes::copy_from_slice(bytes)).unwrap_err();
        assert_eq!(error.reason, DecodeReason::WireType);
    }
}

#[test]
fn messages_inside_messages_have_their_lengths() {
    let lens = || (0..=45).chain(120..=130).chain([1000, 1023, 1024, 5000]);
    for (key, value) in lens().flat_map(|key| lens().map(move |value| (key, value))) {
        // Short bytes that lie elsewhere are written as long ones are.
        let pairs: [RpbPair; 3] = [
            RpbPair { key: vec![1; key].into(), value: Some(vec![2; value].into()) },
            RpbPair { key: Blob::from_static(b"static"), value: Some(vec![3; value].into()) },
            RpbPair { key: vec![4; key].into(), value: None },
        ];
        let content = RpbContent { usermeta: pairs.into(), ..RpbContent::default() };
        let message = RpbGetResp { content: [content].into(), ..RpbGetResp::default() };
        let body = encode(&message);
        assert_eq!(RpbGetResp::decode(&body).unwrap(), message, "{key} and {value} bytes");
        let mut chained = SendBuf::new();
        message.encode(&mut chained);
        assert_eq!(chained.take_all(), body);
    }
}

#[test]
fn long_payloads_are_not_copied_into_the_output() {
    let mut reply = object();
    reply.content[0].value = vec![b'v'; 100_000].into();
    let (mut plain, mut chained) = (BytesMut::new(), SendBuf::new());
    Reply::from(reply.clone()).encode_frame(&mut plain);
    Reply::from(reply.clone()).encode_frame(&mut chained);
    assert!(chained.chunks().any(|chunk| chunk.as_ptr() == reply.content[0].value.as_ptr()));
    assert_eq!(chained.take_all(), plain);
}

#[test]
fn a_small_frame_does_not_keep_a_large_buffer() {
    let mut input = BytesMut::with_capacity(64 * 1024);
    Reply::from(RpbListKeysResp { keys: ["key".into()].into(), done: None }).encode_frame(&mut input);
    let buffer = input.as_ptr_range();
    let frame = Decoder::new(1000).decode(&mut input).unwrap().unwrap();
    assert!(!buffer.contains(&frame.body.as_ptr()));
    assert!(input.try_reclaim(60_000), "the buffer is free again");
}

#[test]
fn unknown_fields_are_passed_over() {
    // Fields 100 to 103 in every layout, then a key.
    let mut body = b"\xa0\x06\x05\xa9\x06abcdefgh\xb2\x06\x02xx\xbd\x06abcd".to_vec();
    body.extend_from_slice(b"\x0a\x03key");
    assert_eq!(RpbListKeysResp::decode(&body.into()).unwrap().keys[0], "key");
}

#[test]
fn numbers_may_come_packed() {
    let body = Bytes::from_static(b"\x08\x03\x12\x03\x01\x02\x03\x10\x04");
    let request = aae::RpbAaeFoldMergeBranchNValReq::decode(&body).unwrap();
    assert_eq!(request.id_filter.into_vec(), [1, 2, 3, 4]);
}

#[test]
fn enums_keep_numbers_without_a_name() {
    for number in [-1, 0, 3, 4, i32::MAX, i32::MIN] {
        let mode = RpbReplMode::from_number(number);
        let props = glowplug_riak::wire::riak::RpbBucketProps { repl: Some(mode), ..Default::default() };
        let decoded = glowplug_riak::wire::riak::RpbBucketProps::decode(&encode(&props)).unwrap();
        assert_eq!(decoded.repl.map(RpbReplMode::number), Some(number));
    }
}

#[test]
fn numbers_go_both_ways_to_their_ends() {
    for value in [0, 1, -1, i64::MAX, i64::MIN] {
        let cell = TsCell { sint64_value: Some(value), double_value: Some(-0.5), ..TsCell::default() };
        assert_eq!(TsCell::decode(&encode(&cell)), Ok(cell));
    }
    let found = RpbSearchQueryResp { max_score: Some(1.5), num_found: Some(u32::MAX), ..Default::default() };
    assert_eq!(RpbSearchQueryResp::decode(&encode(&found)), Ok(found));
}

/// A map in a map in a map ...
fn nested(depth: usize) -> DtFetchResp {
    let field = MapField { name: "m".into(), r#type: MapFieldType::Map };
    let mut entry = MapEntry { field: field.clone(), ..MapEntry::default() };
    for _ in 1..depth {
        entry = MapEntry { field: field.clone(), map_value: vec![entry], ..MapEntry::default() };
    }
    DtFetchResp {
        value: Some(DtValue { map_value: [entry].into(), ..DtValue::default() }),
        ..DtFetchResp::default()
    }
}

#[test]
fn depth_is_limited() {
    let fits = nested(62);
    assert_eq!(DtFetchResp::decode(&encode(&fits)), Ok(fits));
    let error = DtFetchResp::decode(&encode(&nested(64))).unwrap_err();
    assert_eq!(error.reason, DecodeReason::TooDeep { max: 64 });
    // Written by hand, a thousand levels take few bytes.
    let body = (0..1000).fold(Vec::new(), |inner: Vec<u8>, _| {
        let len = inner.len();
        [&[0x32, len as u8 | 0x80, (len >> 7) as u8], &inner[..]].concat()
    });
    assert!(MapEntry::decode(&body.into()).is_err());
}

#[test]
fn memory_is_limited() {
    let limits = DecodeLimits { max_decoded_len: 100_000, ..DecodeLimits::default() };
    let keys: RpbListKeysResp =
        RpbListKeysResp { keys: (0..4000).map(|_| Blob::new()).collect(), done: None };
    let mut message = RpbListKeysResp::default();
    let error = message.decode_from(&encode(&keys), limits).unwrap_err();
    assert_eq!(error.reason, DecodeReason::TooLarge { max: 100_000 });
    message.clear();
    assert_eq!(message, RpbListKeysResp::default());
}

#[test]
fn every_code_goes_one_way_or_both() {
    let body = Bytes::new();
    for code in (0..=255).map(Code) {
        let request = Request::decode(code, &body, DecodeLimits::default());
        let reply = Reply::decode(code, &body, DecodeLimits::default());
        let ways = (request.is_ok(), reply.is_ok());
        match code.direction() {
            Some(Direction::Request) => assert_eq!(ways, (true, false), "{code}"),
            Some(Direction::Reply) => assert_eq!(ways, (false, true), "{code}"),
            Some(Direction::Both) => assert_eq!(ways, (true, true), "{code}"),
            Some(Direction::Part) | None => assert_eq!(ways, (false, false), "{code}"),
        }
        if let Ok(request) = request {
            assert_eq!((request.code(), Some(request.reflect().name())), (code, code.name()));
        }
    }
}

#[test]
fn passwords_are_not_shown() {
    let auth = glowplug_riak::wire::riak::RpbAuthReq { user: "ada".into(), password: "secret".into() };
    assert_eq!(format!("{auth:?}"), r#"RpbAuthReq { user: b"ada", password: .. }"#);
}

#[test]
fn truncated_objects_are_errors_or_shorter_objects() {
    let body = encode(&object());
    for at in 0..body.len() {
        if let Ok(message) = RpbGetResp::decode(&body.slice(..at)) {
            assert!(encode(&message).len() <= at);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_bytes_are_an_error_or_a_message_that_goes_both_ways(
        code in any::<u8>(), body in proptest::collection::vec(prop_oneof![any::<u8>(), 0u8..32], 0..60)
    ) {
        let body = Bytes::from(body);
        if let Ok(request) = Request::decode(Code(code), &body, DecodeLimits::default()) {
            let mut out = BytesMut::new();
            request.encode_frame(&mut out);
            prop_assert_eq!(Request::decode(Code(code), &out.freeze().slice(5..), DecodeLimits::default()), Ok(request));
        }
        let _ = Reply::decode(Code(code), &body, DecodeLimits::default());
    }

    #[test]
    fn damaged_objects_never_panic(at in 0usize..1400, byte in any::<u8>()) {
        let mut body = encode(&object()).to_vec();
        let at = at % body.len();
        body[at] = byte;
        let _ = RpbGetResp::decode(&body.into());
    }
}
