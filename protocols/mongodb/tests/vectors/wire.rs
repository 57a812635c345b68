//! Recorded messages: each decodes, and re-encodes to the same bytes.

use std::collections::BTreeMap;
use std::path::Path;

use bytes::{Bytes, BytesMut};
use glowplug_core::{Instant, Rng, Seed, SendBuf, StreamProtocol};
use glowplug_mongodb::bson::DEFAULT_MAX_DEPTH;
use glowplug_mongodb::wire::{Compressor, Decoder, Frame, Message, encode};
use glowplug_mongodb::{DecodeError, Error, Limits, Reason, Request, ServerConnection, doc};
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

/// The recorded messages of one end of one connection, one behind the other, and how many there are.
fn streams(json: &serde_json::Value) -> BTreeMap<(u64, bool), (Vec<u8>, usize)> {
    let mut streams: BTreeMap<_, (Vec<u8>, usize)> = BTreeMap::new();
    for message in json["messages"].as_array().into_iter().flatten() {
        let key = (message["conn"].as_u64().unwrap_or(0), message["dir"] == "client");
        let (bytes, count) = streams.entry(key).or_default();
        bytes.extend(hex(message["hex"].as_str().unwrap()));
        *count += 1;
    }
    streams
}

/// What a server's machine makes of a client's stream, given in parts: each request, answered at once, and each answer's
/// length; or the error that ends it.
fn serve<'a>(parts: impl Iterator<Item = &'a [u8]>) -> (Vec<Request>, usize, Option<Error>) {
    let (mut server, mut input, mut out) =
        (ServerConnection::new(Limits::default()), BytesMut::new(), SendBuf::new());
    let (mut requests, mut sent) = (Vec::new(), 0);
    for part in parts {
        input.extend_from_slice(part);
        loop {
            match server.poll_event(Instant::ZERO, &mut input) {
                Ok(Some(request)) => {
                    if let Some(handle) = request.handle {
                        server.reply(handle, doc! { "ok": 1 }.into()).unwrap();
                    }
                    requests.push(request);
                }
                Ok(None) => break,
                Err(error) => return (requests, sent, Some(error)),
            }
            server.poll_transmit(Instant::ZERO, &mut out);
            sent += out.take_all().len();
        }
    }
    (requests, sent, None)
}

/// Every cut of a stream up to 4 KiB, and 20 seeded ones of longer ones, make no difference. Streams above 256 KiB are cut
/// three times only: they are long, not odd.
fn cuts(len: usize, rng: &mut Rng) -> Vec<usize> {
    let seeded = match len {
        0..=4096 => return (0..=len).collect(),
        4097..=262_144 => 20,
        _ => 3,
    };
    (0..seeded).map(|_| rng.below(len as u64) as usize).collect()
}

pub(crate) fn captures_cut(folder: &Path) -> Result<(), Failed> {
    let (mut failures, mut cases, mut rng) = (Vec::new(), 0, Seed::from_u64(1).rng());
    for (file, json) in json_files(folder)? {
        for ((connection, is_client), (bytes, count)) in streams(&json) {
            cases += 1;
            let whole = serve(core::iter::once(bytes.as_slice()));
            for cut in cuts(bytes.len(), &mut rng) {
                let parts = [&bytes[..cut], &bytes[cut..]];
                let same = if is_client {
                    serve(parts.into_iter()) == whole
                } else {
                    let (mut decoder, mut input, mut seen) =
                        (Decoder::new(MAX_MESSAGE_LEN), BytesMut::new(), 0);
                    for part in parts {
                        input.extend_from_slice(part);
                        while decoder.decode(&mut input)?.is_some() {
                            seen += 1;
                        }
                    }
                    seen == count && input.is_empty()
                };
                if !same {
                    failures.push(format!("{file}, connection {connection}, cut at {cut}"));
                    break;
                }
            }
            // Unless a frame is wrong on purpose, every request comes out.
            let wrong = file.contains("raw-op-msg") || file.ends_with("raw-checksum");
            if is_client && !wrong && (whole.0.len(), &whole.2) != (count, &None) {
                failures.push(format!(
                    "{file}, connection {connection}: {} of {count}, {:?}",
                    whole.0.len(),
                    whole.2
                ));
            }
        }
    }
    verdict(&failures, cases, 100)
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
