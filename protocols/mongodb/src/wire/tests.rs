//! Messages by example and by hostile bytes.

use bytes::{Bytes, BytesMut};

use super::*;
use crate::bson::RawDocument;
use crate::doc;
use crate::error::Reason;

const MAX: usize = 1 << 20;

fn frame(message: &Message) -> Frame {
    let mut out = BytesMut::new();
    encode(message, 7, 3, &mut out);
    Frame::new(out.freeze()).unwrap()
}

fn raw(document: crate::bson::Document) -> RawDocument {
    document.into()
}

/// One message of every kind.
fn every_message() -> Vec<Message> {
    let msg = OpMsg::new(MsgFlags::NONE, doc! { "ping": 1, "$db": "admin" }.as_doc());
    let docs = [doc! { "_id": 1 }.into_bytes(), doc! { "_id": 2 }.into_bytes()].concat();
    let insert =
        OpMsg::new(MsgFlags::MORE_TO_COME | MsgFlags::CHECKSUM_PRESENT, doc! { "insert": "c" }.as_doc());
    vec![
        Message::Msg(msg),
        Message::Msg(insert.with_sequence("documents", &docs).unwrap().with_sequence("x", &[]).unwrap()),
        Message::Query(OpQuery {
            flags: QueryFlags::SECONDARY_OK | QueryFlags::EXHAUST,
            collection: "admin.$cmd".into(),
            number_to_skip: 0,
            number_to_return: -1,
            query: raw(doc! { "isMaster": 1 }),
            return_fields: Some(raw(doc! { "a": 1 })),
        }),
        Message::Reply(OpReply {
            flags: ReplyFlags::CURSOR_NOT_FOUND,
            cursor_id: -5,
            starting_from: 3,
            number_returned: 2,
            documents: docs.clone().into(),
        }),
        Message::Insert(OpInsert {
            flags: InsertFlags::CONTINUE_ON_ERROR,
            collection: "a.b".into(),
            documents: docs.into(),
        }),
        Message::Update(OpUpdate {
            collection: "a.b".into(),
            flags: UpdateFlags::UPSERT,
            selector: raw(doc! { "a": 1 }),
            update: raw(doc! { "$set": { "a": 2 } }),
        }),
        Message::Delete(OpDelete {
            collection: "a.b".into(),
            flags: DeleteFlags::SINGLE_REMOVE,
            selector: raw(doc! {}),
        }),
        Message::GetMore(OpGetMore { collection: "a.b".into(), number_to_return: 10, cursor_id: 1 << 40 }),
        Message::KillCursors(OpKillCursors { cursor_ids: vec![1, -1] }),
        Message::Compressed(OpCompressed {
            original: OpCode::MSG,
            uncompressed_size: 3,
            compressor_id: 0,
            data: Bytes::from_static(b"abc"),
        }),
    ]
}

#[test]
fn every_message_goes_there_and_back() {
    for message in every_message() {
        let frame = frame(&message);
        assert_eq!(frame.header().op_code, message.op_code());
        let read = frame.message().unwrap();
        assert_eq!(read, message);
        let mut again = BytesMut::new();
        encode(&read, 7, 3, &mut again);
        assert_eq!(again, frame.bytes());
    }
}

#[test]
fn frames_are_cut_at_every_place() {
    let frames: Vec<_> = every_message().iter().map(frame).collect();
    let stream: Vec<u8> = frames.iter().flat_map(|frame| frame.bytes().to_vec()).collect();
    for cut in 0..=stream.len() {
        let (mut decoder, mut input, mut seen) = (Decoder::new(MAX), BytesMut::new(), Vec::new());
        for part in [&stream[..cut], &stream[cut..]] {
            input.extend_from_slice(part);
            while let Some(frame) = decoder.decode(&mut input).unwrap() {
                seen.push(frame);
            }
            assert!(input.is_empty() || decoder.missing(&input).unwrap() > 0);
        }
        assert_eq!(seen, frames);
    }
}

#[test]
fn any_changed_byte_and_any_end_are_read_without_a_panic() {
    for message in every_message() {
        let frame = frame(&message);
        for at in 16..frame.bytes().len() {
            for change in [0, 1, 0x7f, 0x80, 0xff] {
                let mut bytes = frame.bytes().to_vec();
                bytes[at] = change;
                let frame = Frame::new(bytes.into()).unwrap();
                let _ = frame.uncompressed(MAX);
                let _ = frame.to_string();
            }
            let mut bytes = frame.bytes()[..at].to_vec();
            bytes[..4].copy_from_slice(&(at as u32).to_le_bytes());
            let _ = Frame::new(bytes.into()).unwrap().message();
        }
    }
}

#[test]
fn lengths_are_refused_before_the_body_comes() {
    let refuse = |len: i32| {
        let mut input = BytesMut::from(&len.to_le_bytes()[..]);
        Decoder::new(MAX).decode(&mut input).unwrap_err().reason
    };
    assert_eq!(refuse(-1), Reason::BadLength);
    assert_eq!(refuse(i32::MIN), Reason::BadLength);
    assert_eq!(refuse(15), Reason::BadLength);
    assert_eq!(refuse(MAX as i32 + 1), Reason::TooLong);
    assert_eq!(refuse(i32::MAX), Reason::TooLong);
}

/// An OP_MSG of these flags and section bytes.
fn op_msg(flags: u32, sections: &[u8]) -> Result<Message, Reason> {
    let mut bytes = BytesMut::new();
    Header {
        message_length: 20 + sections.len() as i32,
        request_id: 1,
        response_to: 0,
        op_code: OpCode::MSG,
    }
    .encode(&mut bytes);
    bytes.extend_from_slice(&flags.to_le_bytes());
    bytes.extend_from_slice(sections);
    Frame::new(bytes.freeze()).unwrap().message().map_err(|error| error.reason)
}

#[test]
fn op_msg_is_strict_where_the_protocol_is() {
    const EMPTY: &[u8] = &[0, 5, 0, 0, 0, 0];
    assert!(op_msg(0, EMPTY).is_ok());
    assert!(op_msg(1 << 16 | 1 << 20, EMPTY).is_ok(), "unknown optional flags are let through");
    assert_eq!(op_msg(1 << 2, EMPTY), Err(Reason::UnknownRequiredFlags(4)));
    assert_eq!(op_msg(1 << 15 | 2, EMPTY), Err(Reason::UnknownRequiredFlags(1 << 15)));
    assert_eq!(op_msg(0, b""), Err(Reason::BodySections));
    assert_eq!(op_msg(0, &EMPTY.repeat(2)), Err(Reason::BodySections));
    assert_eq!(op_msg(0, &[2, 5, 0, 0, 0, 0]), Err(Reason::UnknownSectionKind(2)));
    assert_eq!(op_msg(1, EMPTY), Err(Reason::ChecksumMismatch));
    for size in [-1i32, 0, 4, 7, i32::MAX] {
        let section = [EMPTY, &[1], &size.to_le_bytes(), b"a\0"].concat();
        assert_eq!(op_msg(0, &section), Err(Reason::BadLength), "{size}");
    }
    // A document that reaches out of its sequence into the next section.
    let section = [&[1, 11, 0, 0, 0, b'a', 0, 10, 0, 0, 0], EMPTY].concat();
    assert_eq!(op_msg(0, &section), Err(Reason::BadLength));
}

#[test]
fn every_compressor_comes_back_and_bombs_do_not() {
    let body = doc! { "text": "abc ".repeat(5000) };
    let plain = frame(&Message::Msg(OpMsg::new(MsgFlags::NONE, body.as_doc())));
    for compressor in [Compressor::Noop].iter().chain(Compressor::AVAILABLE) {
        let data = compressor.compress(&plain.bytes()[HEADER_LEN..], -1).unwrap();
        let size = plain.bytes().len() - HEADER_LEN;
        let compressed = |size: usize, data: &[u8]| OpCompressed {
            original: OpCode::MSG,
            uncompressed_size: size as i32,
            compressor_id: compressor.id(),
            data: data.to_vec().into(),
        };
        let inside =
            |message: OpCompressed| message.decompress(plain.header(), MAX).map_err(|error| error.reason);
        assert_eq!(inside(compressed(size, &data)).unwrap(), plain, "{compressor:?}");
        // More or less than announced, cut short, changed.
        for wrong in [0, 1, size - 1, size + 1, MAX - HEADER_LEN] {
            assert_eq!(
                inside(compressed(wrong, &data)),
                Err(Reason::BadCompression),
                "{compressor:?} {wrong}"
            );
        }
        assert_eq!(inside(compressed(MAX, &data)), Err(Reason::TooLong));
        assert_eq!(inside(compressed(usize::MAX, &data)), Err(Reason::BadLength));
        for cut in 0..data.len().min(500) {
            assert_eq!(
                inside(compressed(size, &data[..cut])),
                Err(Reason::BadCompression),
                "{compressor:?} {cut}"
            );
        }
        for at in 0..data.len().min(200) {
            let mut changed = data.clone();
            changed[at] ^= 0x55;
            let _ = inside(compressed(size, &changed));
        }
    }
    let nested = OpCompressed {
        original: OpCode::COMPRESSED,
        uncompressed_size: 0,
        compressor_id: 0,
        data: Bytes::new(),
    };
    assert_eq!(nested.decompress(plain.header(), MAX).unwrap_err().reason, Reason::NestedCompression);
    let unknown = OpCompressed { original: OpCode::MSG, compressor_id: 9, ..nested };
    assert_eq!(unknown.decompress(plain.header(), MAX).unwrap_err().reason, Reason::UnknownCompressor(9));
}

#[cfg(feature = "zstd")]
#[test]
fn a_zstd_window_is_bounded() {
    // RFC 8878 §3.1.1: magic number, descriptor, window of 2^(10 + n), and one empty block.
    let empty = |window_log: u8| OpCompressed {
        original: OpCode::MSG,
        uncompressed_size: 0,
        compressor_id: Compressor::Zstd.id(),
        data: vec![0x28, 0xb5, 0x2f, 0xfd, 0, (window_log - 10) << 3, 1, 0, 0].into(),
    };
    let header = Header { message_length: 0, request_id: 1, response_to: 0, op_code: OpCode::COMPRESSED };
    assert!(empty(23).decompress(header, MAX).is_ok());
    assert_eq!(empty(24).decompress(header, MAX).unwrap_err().reason, Reason::BadCompression);
}

#[test]
fn legacy_counts_must_agree() {
    let mut reply = OpReply::of_command(raw(doc! { "ok": 1 }));
    reply.number_returned = 2;
    assert_eq!(frame(&Message::Reply(reply)).message().unwrap_err().reason, Reason::BadLength);
    let mut bytes = frame(&Message::KillCursors(OpKillCursors { cursor_ids: vec![1] })).bytes().to_vec();
    for count in [-1i32, 0, 2, i32::MAX] {
        bytes[20..24].copy_from_slice(&count.to_le_bytes());
        assert_eq!(
            Frame::new(bytes.clone().into()).unwrap().message().unwrap_err().reason,
            Reason::BadLength
        );
    }
}

#[test]
fn frames_show_as_one_line() {
    let messages = every_message();
    assert_eq!(frame(&messages[0]).to_string(), r#"#7 to #3 OP_MSG {"ping":1,"$db":"admin"}"#);
    assert_eq!(frame(&messages[1]).to_string(), r#"#7 to #3 OP_MSG {"insert":"c"} documents[2] x[0]"#);
    assert_eq!(frame(&messages[7]).to_string(), "#7 to #3 OP_GET_MORE a.b cursor 1099511627776");
}
