//! Commands written onto the wire.

use bytes::{BufMut, BytesMut};
use glowplug_core::{LimitExceeded, SendBuf};

use crate::config::{Config, ServerApi};
use crate::error::EncodeError;
use crate::reply::ServerInfo;
use crate::request::{Command, Expects, Payload};
use crate::wire::{Compressor, HEADER_LEN, Header, MsgFlags, OpCode};

/// The room that servers leave in a command around the documents that it carries.
const COMMAND_OVERHEAD: usize = 16 * 1024;

/// Commands that go uncompressed, because they carry secrets: specification "OP_COMPRESSED".
const NEVER_COMPRESSED: &[&str] = &[
    "hello",
    "isMaster",
    "ismaster",
    "saslStart",
    "saslContinue",
    "getnonce",
    "authenticate",
    "createUser",
    "updateUser",
    "copydbSaslStart",
    "copydbgetnonce",
    "copydb",
];

/// Refuses what the server said that it does not take.
pub(super) fn check(command: &Command, info: &ServerInfo) -> Result<(), EncodeError> {
    let check = |limit: &'static str, max: usize, seen: usize| {
        let exceeded = LimitExceeded::new(limit, max as u64, seen as u64);
        if seen > max { Err(EncodeError::Limit(exceeded)) } else { Ok(()) }
    };
    check("maxBsonObjectSize", info.max_document_len + COMMAND_OVERHEAD, command.body.as_bytes().len())?;
    check("maxMessageSizeBytes", info.max_message_len, command.size())?;
    for sequence in &command.sequences {
        // The server's own overhead covers an update's filter and change together.
        check("maxBsonObjectSize", info.max_document_len + COMMAND_OVERHEAD, sequence.longest)?;
        check("maxWriteBatchSize", info.max_write_batch, sequence.count)?;
    }
    Ok(())
}

/// Appends a command as an OP_MSG. Long document sequences are queued without a copy, unless they have to be compressed or
/// summed.
pub(super) fn command(
    command: Command,
    request_id: i32,
    config: &Config,
    compressor: Option<Compressor>,
    out: &mut SendBuf,
) {
    let compressor = compressor.filter(|_| !NEVER_COMPRESSED.contains(&command.name()));
    if compressor.is_none() && !config.checksums {
        // Once, not in steps. What is longer goes beside the scratch buffer.
        out.scratch().reserve(command.size().min(command.body.as_bytes().len() + 4096));
        let total = put_head(&command, request_id, config, MsgFlags::NONE, out.scratch());
        debug_assert!(total >= HEADER_LEN);
        for sequence in command.sequences {
            put_sequence_head(sequence.identifier, sequence.documents.len(), out.scratch());
            match sequence.documents {
                Payload::Short(documents) => out.put_slice(&documents),
                Payload::Long(documents) => out.push(documents),
            }
        }
        return;
    }
    let flags = if compressor.is_none() { MsgFlags::CHECKSUM_PRESENT } else { MsgFlags::NONE };
    let mut plain = BytesMut::with_capacity(command.size());
    put_head(&command, request_id, config, flags, &mut plain);
    for sequence in &command.sequences {
        put_sequence_head(sequence.identifier, sequence.documents.len(), &mut plain);
        plain.put_slice(&sequence.documents);
    }
    let compressed = compressor.and_then(|compressor| {
        Some((compressor, compressor.compress(&plain[HEADER_LEN..], config.zlib_level)?))
    });
    match compressed {
        Some((compressor, data)) => {
            let len = HEADER_LEN + 9 + data.len();
            let header = Header {
                message_length: len as i32,
                request_id,
                response_to: 0,
                op_code: OpCode::COMPRESSED,
            };
            let scratch = out.scratch();
            header.encode(scratch);
            scratch.put_i32_le(OpCode::MSG.0);
            scratch.put_i32_le((plain.len() - HEADER_LEN) as i32);
            scratch.put_u8(compressor.id());
            out.push(data.into());
        }
        None => {
            if flags.contains(MsgFlags::CHECKSUM_PRESENT) {
                let sum = crc32c::crc32c(&plain);
                plain.put_u32_le(sum);
            }
            out.push(plain.freeze());
        }
    }
}

/// Header, flags and the section of kind 0, with a length that counts everything; which it returns.
fn put_head(
    command: &Command,
    request_id: i32,
    config: &Config,
    extra: MsgFlags,
    out: &mut BytesMut,
) -> usize {
    let start = out.len();
    let header = Header { message_length: 0, request_id, response_to: 0, op_code: OpCode::MSG };
    header.encode(out);
    let flags = match command.expects {
        Expects::Reply => extra,
        Expects::Nothing => extra | MsgFlags::MORE_TO_COME,
        Expects::Stream => extra | MsgFlags::EXHAUST_ALLOWED,
    };
    out.put_u32_le(flags.bits());
    out.put_u8(0);
    let body_at = out.len();
    // The document goes out as it is but for its terminator, then what every command carries.
    let body = command.body.as_bytes();
    out.put_slice(&body[..body.len() - 1]);
    put_str("$db", &command.database, out);
    if let Some(api) = &config.server_api {
        put_server_api(api, out);
    }
    out.put_u8(0);
    let body_len = out.len() - body_at;
    out[body_at..body_at + 4].copy_from_slice(&(body_len as u32).to_le_bytes());
    let sequences: usize =
        command.sequences.iter().map(|s| 1 + 4 + s.identifier.len() + 1 + s.documents.len()).sum();
    let checksum = if extra.contains(MsgFlags::CHECKSUM_PRESENT) { 4 } else { 0 };
    let total = out.len() - start + sequences + checksum;
    out[start..start + 4].copy_from_slice(&(total as u32).to_le_bytes());
    total
}

fn put_sequence_head(identifier: &str, documents: usize, out: &mut BytesMut) {
    out.put_u8(1);
    out.put_u32_le((4 + identifier.len() + 1 + documents) as u32);
    out.put_slice(identifier.as_bytes());
    out.put_u8(0);
}

/// Specification "Stable API": these go with every command.
fn put_server_api(api: &ServerApi, out: &mut BytesMut) {
    put_str("apiVersion", &api.version, out);
    for (key, value) in [("apiStrict", api.strict), ("apiDeprecationErrors", api.deprecation_errors)] {
        if let Some(value) = value {
            out.put_u8(0x08);
            out.put_slice(key.as_bytes());
            out.put_u8(0);
            out.put_u8(value.into());
        }
    }
}

fn put_str(key: &str, text: &str, out: &mut BytesMut) {
    out.put_u8(0x02);
    out.put_slice(key.as_bytes());
    out.put_u8(0);
    out.put_u32_le(text.len() as u32 + 1);
    out.put_slice(text.as_bytes());
    out.put_u8(0);
}
