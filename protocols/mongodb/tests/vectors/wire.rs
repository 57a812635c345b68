//! Recorded messages: each decodes, and re-encodes to the same bytes.

use std::path::Path;

use bytes::{Bytes, BytesMut};
use glowplug_mongodb::bson::DEFAULT_MAX_DEPTH;
use glowplug_mongodb::wire::{Compressor, Decoder, Frame, Message, encode};
use glowplug_mongodb::{DecodeError, Reason};
use libtest_mimic::Failed;

use crate::{hex, json_files, verdict};

const MAX_MESSAGE_LEN: usize = 48_000_000;

/// Decodes through and through, and encodes again.
fn there_and_back(bytes: &[u8]) -> Result<(), String> {
    let text = |error: DecodeError| error.to_string();
    let mut input = BytesMut::from(bytes);
    let frame = Decoder::new(MAX_MESSAGE_LEN).decode(&mut input).map_err(text)?.ok_or("incomplete")?;
    let message = frame.message().map_err(text)?;
    check_encoding(&frame, &message)?;
    if let Message::Compressed(compressed) = &message {
        if !compressed.compressor().is_some_and(Compressor::is_available) {
            return Ok(());
        }
        let inner = compressed.decompress(frame.header(), MAX_MESSAGE_LEN).map_err(text)?;
        check_encoding(&inner, &inner.message().map_err(text)?)?;
    }
    let (message, _) = frame.uncompressed(MAX_MESSAGE_LEN).map_err(text)?;
    match message {
        Message::Msg(message) => {
            message.body().validate(DEFAULT_MAX_DEPTH).map_err(text)?;
            for doc in message.sequences().flat_map(|sequence| sequence.docs()) {
                doc.validate(DEFAULT_MAX_DEPTH).map_err(text)?;
            }
        }
        Message::Query(query) => query.query.as_doc().validate(DEFAULT_MAX_DEPTH).map_err(text)?,
        Message::Reply(reply) => {
            for doc in reply.docs() {
                doc.validate(DEFAULT_MAX_DEPTH).map_err(text)?;
            }
        }
        other => return Err(format!("an unexpected {}", other.op_code())),
    }
    Ok(())
}

fn check_encoding(frame: &Frame, message: &Message) -> Result<(), String> {
    let header = frame.header();
    let mut again = BytesMut::new();
    encode(message, header.request_id, header.response_to, &mut again);
    if again == frame.bytes() { Ok(()) } else { Err("encodes to other bytes".to_owned()) }
}

/// What a hand-made frame got wrong on purpose, by scenario and number; no server that was recorded looks.
fn is_wrong_on_purpose(name: &str, error: &str) -> bool {
    let flags = Reason::UnknownRequiredFlags(0).to_string();
    let flags = &flags[..flags.len() - 10];
    ((name.ends_with("raw-checksum") || name.contains("raw-op-msg"))
        && error.starts_with(&Reason::ChecksumMismatch.to_string()))
        || (name.contains("raw-op-msg") && error.starts_with(flags))
}

pub(crate) fn captures(folder: &Path) -> Result<(), Failed> {
    let (mut failures, mut cases) = (Vec::new(), 0);
    for (file, json) in json_files(folder)? {
        for (number, message) in json["messages"].as_array().into_iter().flatten().enumerate() {
            cases += 1;
            let bytes = hex(message["hex"].as_str().unwrap());
            if let Err(error) = there_and_back(&bytes)
                && !is_wrong_on_purpose(&file, &error)
            {
                failures.push(format!("{file} {number}: {error}"));
            }
        }
    }
    verdict(&failures, cases, 1000)
}

/// Lines of an offset, bytes and a text column.
fn dump(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for line in text.lines() {
        // An offset, sixteen bytes, and a text column that may look like bytes: behind a bar or behind a fixed width.
        let columns = line.split_once(' ').map_or("", |(_, columns)| columns);
        let width = if line.contains("  |") { columns.find('|').unwrap_or(0) } else { 50 };
        let digits: String = columns.chars().take(width).collect();
        bytes.extend(digits.split_whitespace().filter_map(|byte| u8::from_str_radix(byte, 16).ok()));
    }
    bytes
}

pub(crate) fn ferretdb(folder: &Path) -> Result<(), Failed> {
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).map(|text| dump(&text));
    let mut cases = vec![read("import.hex")?];
    for number in [1, 2, 4, 5] {
        let header = read(&format!("handshake{number}_header.hex"))?;
        cases.push([header, read(&format!("handshake{number}_body.hex"))?].concat());
    }
    let failures: Vec<_> = cases
        .iter()
        .enumerate()
        .filter_map(|(number, bytes)| {
            Frame::new(Bytes::from(bytes.clone()))
                .map_err(|error| error.to_string())
                .err()
                .or_else(|| there_and_back(bytes).err())
                .map(|error| format!("{number}: {error}"))
        })
        .collect();
    verdict(&failures, cases.len(), 5)
}
