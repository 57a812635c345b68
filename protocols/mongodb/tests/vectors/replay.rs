//! The client's machine replayed against recorded servers: it sends the recorded commands, ids apart, and understands the
//! recorded replies.

use std::collections::BTreeMap;
use std::path::Path;

use bytes::BytesMut;
use glowplug_core::{Instant, RequestProtocol, Seed, SendBuf, StreamProtocol, Token};
use glowplug_mongodb::bson::{Doc, Document};
use glowplug_mongodb::wire::{Decoder, Frame, Message, MsgFlags, OpMsg};
use glowplug_mongodb::{ClientConnection, Command, Config, Event, Expects, Response};
use libtest_mimic::Failed;

use crate::{hex, json_files, verdict};

const NOW: Instant = Instant::ZERO;
const MAX_MESSAGE_LEN: usize = 48_000_000;

pub(crate) fn captures(folder: &Path) -> Result<(), Failed> {
    let (mut failures, mut commands) = (Vec::new(), 0);
    for (file, json) in json_files(folder)? {
        let mut connections: BTreeMap<u64, Vec<(bool, Frame)>> = BTreeMap::new();
        for message in json["messages"].as_array().into_iter().flatten() {
            let frame = Frame::new(hex(message["hex"].as_str().unwrap()).into())?;
            let connection = message["conn"].as_u64().unwrap_or(0);
            connections.entry(connection).or_default().push((message["dir"] == "client", frame));
        }
        for (connection, messages) in connections {
            match replay(&messages) {
                Ok(count) => commands += count,
                Err(error) => failures.push(format!("{file}, connection {connection}: {error}")),
            }
        }
    }
    verdict(&failures, commands, 1000)
}

fn op_msg(frame: &Frame) -> Option<OpMsg> {
    match frame.uncompressed(MAX_MESSAGE_LEN) {
        Ok((Message::Msg(message), _)) => Some(message),
        _ => None,
    }
}

/// The command that a recorded request is.
fn command(message: &OpMsg) -> Option<Command> {
    let mut body = Document::new();
    for (key, value) in message.body().iter().map_while(Result::ok).filter(|(key, _)| *key != "$db") {
        body.append(key, value);
    }
    let mut command = Command::new(message.body().get_str("$db")?, body);
    for sequence in message.sequences() {
        let names = ["documents", "updates", "deletes", "ops", "nsInfo"];
        let name = names.into_iter().find(|name| *name == sequence.identifier())?;
        command = command.documents(name, sequence.docs());
    }
    Some(command.expecting(if message.flags.contains(MsgFlags::MORE_TO_COME) {
        Expects::Nothing
    } else if message.flags.contains(MsgFlags::EXHAUST_ALLOWED) {
        Expects::Stream
    } else {
        Expects::Reply
    }))
}

/// What answer is wanted; other flags are a client's own.
fn answer_flags(flags: MsgFlags) -> [bool; 2] {
    [MsgFlags::MORE_TO_COME, MsgFlags::EXHAUST_ALLOWED].map(|flag| flags.contains(flag))
}

/// The fields in the order of their names: where `$db` stands differs between clients.
fn fields(doc: Doc<'_>) -> Vec<String> {
    let mut fields: Vec<_> =
        doc.iter().map_while(Result::ok).map(|(key, value)| format!("{key}: {value:?}")).collect();
    fields.sort();
    fields
}

/// How many commands were sent and answered as recorded. A request of the old protocol, or one that is wrong on purpose,
/// ends the replay of its connection.
fn replay(messages: &[(bool, Frame)]) -> Result<usize, String> {
    let mut client = ClientConnection::new(Config::default(), &Seed::from_u64(9), NOW);
    let (mut input, mut tokens, mut ids) = (BytesMut::new(), 0, BTreeMap::new());
    let mut messages = messages.iter().skip_while(|(is_client, _)| *is_client);
    // Our own greeting is answered by what the server said to the recorded client's.
    let Some((_, greeting)) = messages.next() else { return Ok(0) };
    let hello = transmit(&mut client)?.header().request_id;
    feed(greeting, hello, &mut input);
    match client.poll_event(NOW, &mut input) {
        Ok(Some(Event::Ready(_))) => {}
        // A connection that began with something else than a greeting.
        _ => return Ok(0),
    }
    for (is_client, frame) in messages {
        if *is_client {
            let Some(recorded) = op_msg(frame) else { return Ok(tokens) };
            let Some(command) = command(&recorded) else { return Ok(tokens) };
            let expects = command.expects();
            tokens += 1;
            client.submit(NOW, Token(tokens as u64), command).map_err(|error| error.to_string())?;
            let sent = transmit(&mut client)?;
            let ours = op_msg(&sent).ok_or("sent something else")?;
            if fields(ours.body()) != fields(recorded.body())
                || !ours.sequences().eq(recorded.sequences())
                || answer_flags(ours.flags) != answer_flags(recorded.flags)
            {
                return Err(format!("{ours:?}, not {recorded:?}"));
            }
            ids.insert(frame.header().request_id, (sent.header().request_id, tokens as u64));
            if expects == Expects::Nothing {
                match client.poll_event(NOW, &mut input) {
                    Ok(Some(Event::Answer(answer))) if answer.response == Response::Sent => {}
                    other => return Err(format!("{other:?}")),
                }
            }
            continue;
        }
        let Some((id, token)) = ids.get(&frame.header().response_to) else { return Ok(tokens) };
        let Some(recorded) = op_msg(frame) else { return Ok(tokens) };
        feed(frame, *id, &mut input);
        match client.poll_event(NOW, &mut input) {
            Ok(Some(Event::Answer(answer))) => {
                let reply = answer.response.into_reply().ok_or("no reply")?;
                let last = !recorded.flags.contains(MsgFlags::MORE_TO_COME);
                if (answer.token, answer.last, reply.doc()) != (Token(*token), last, recorded.body()) {
                    return Err(format!("{reply:?}, not {recorded:?}"));
                }
            }
            other => return Err(format!("{other:?}")),
        }
    }
    Ok(tokens)
}

/// The one message that the client sends.
fn transmit(client: &mut ClientConnection) -> Result<Frame, String> {
    let mut out = SendBuf::new();
    client.poll_transmit(NOW, &mut out);
    let mut bytes = BytesMut::from(&out.take_all()[..]);
    let frame = Decoder::new(MAX_MESSAGE_LEN).decode(&mut bytes).map_err(|error| error.to_string())?;
    frame.filter(|_| bytes.is_empty()).ok_or_else(|| "sent no message, or more than one".to_owned())
}

/// A recorded reply, as one to our request.
fn feed(reply: &Frame, response_to: i32, input: &mut BytesMut) {
    let at = input.len() + 8;
    input.extend_from_slice(reply.bytes());
    input[at..at + 4].copy_from_slice(&response_to.to_le_bytes());
}
