//! Exchanges recorded between clients and a real node.

use std::fs;
use std::path::Path;

use bytes::{Bytes, BytesMut};
use glowplug_riak::wire::{Code, DecodeLimits, Field, FieldValue, Reflect, Reply, Request};
use libtest_mimic::{Failed, Trial};
use serde_json::{Map, Value};

/// One recorded exchange.
pub(crate) struct Capture {
    pub(crate) name: String,
    pub(crate) frames: Vec<Recorded>,
    /// The node closed the connection at the end.
    pub(crate) closed: bool,
}

/// One recorded frame.
pub(crate) struct Recorded {
    pub(crate) from_client: bool,
    pub(crate) code: Code,
    /// The whole frame.
    pub(crate) bytes: Bytes,
    /// What the reference decoder read.
    fields: Option<Value>,
}

impl Recorded {
    pub(crate) fn body(&self) -> Bytes {
        self.bytes.slice(5.min(self.bytes.len())..)
    }

    /// The request, if the frame is one.
    pub(crate) fn request(&self) -> Option<Request> {
        Request::decode(self.code, &self.body(), DecodeLimits::default()).ok()
    }

    /// The reply, if the frame is one.
    pub(crate) fn reply(&self) -> Option<Reply> {
        Reply::decode(self.code, &self.body(), DecodeLimits::default()).ok()
    }
}

/// Files of which a check is not made, and why.
const SKIPPED: &[(&str, &str, &str)] = &[
    ("fields", "error_missing_required", "our reading has the missing field as an empty one"),
    ("bytes", "error_missing_required", "a required field is always written"),
    ("bytes", "request_with_unknown_field", "unknown fields are not kept"),
    ("client", "pipelined_after_stream", "the client never sends a request during a stream"),
    ("client", "error_malformed_body", "the client sends no such frame"),
    ("client", "error_response_code_sent", "the client sends no such frame"),
    ("client", "error_unknown_code", "the client sends no such frame"),
    ("server", "pipelined_after_stream", "the server answers in order"),
    ("server", "request_during_stream", "the server answers in order"),
];

fn reason_to_skip(check: &str, name: &str) -> Option<&'static str> {
    SKIPPED.iter().find(|(of, file, _)| (*of, *file) == (check, name)).map(|(.., reason)| *reason)
}

pub(crate) fn trials(folder: &Path) -> Vec<Trial> {
    type Check = fn(&Capture);
    let checks: [(&str, Check); 4] = [
        ("fields", fields),
        ("bytes", same_bytes),
        ("client", crate::client::replay),
        ("server", crate::server::replay),
    ];
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.expect("a folder that opened can be read").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .collect();
    files.sort();
    let mut trials = Vec::new();
    for path in files {
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        for (check, run) in checks {
            let path = path.clone();
            let trial = Trial::test(format!("{check}::{name}"), move || {
                run(&load(&path)?);
                Ok(())
            });
            trials.push(match reason_to_skip(check, &name) {
                Some(reason) => trial.with_kind(reason).with_ignored_flag(true),
                None => trial,
            });
        }
    }
    trials
}

pub(crate) fn load(path: &Path) -> Result<Capture, Failed> {
    let text: Value = serde_json::from_str(&fs::read_to_string(path)?)?;
    let frames = text["exchange"].as_array().ok_or("no exchange")?.iter().map(|frame| {
        let bytes = unhex(frame["hex"].as_str().unwrap_or_default());
        Recorded {
            from_client: frame["dir"] == "client",
            code: Code(bytes.get(4).copied().unwrap_or(0)),
            bytes: bytes.into(),
            fields: frame.get("fields").cloned(),
        }
    });
    Ok(Capture {
        name: text["name"].as_str().unwrap_or_default().to_owned(),
        frames: frames.collect(),
        closed: text["server_closed_connection"] == true,
    })
}

pub(crate) fn unhex(text: &str) -> Vec<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).expect("captures are written in hex") as u8;
    text.as_bytes().chunks_exact(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect()
}

fn hex(bytes: &[u8]) -> String {
    let digit = |value: u8| char::from_digit(value.into(), 16).expect("a nibble is a digit");
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// A message as the reference decoder prints it.
pub(crate) fn to_json(message: &dyn Reflect) -> Value {
    let mut object = Map::new();
    message.for_each_field(&mut |Field { name, repeated, value, .. }| {
        let value = match value {
            FieldValue::Bytes(bytes) => hex(bytes).into(),
            FieldValue::Uint(number) => number.into(),
            FieldValue::Int(number) => number.into(),
            FieldValue::Bool(flag) => flag.into(),
            FieldValue::Float(number) => number.into(),
            FieldValue::Double(number) => number.into(),
            FieldValue::Enum { name: Some(name), .. } => name.into(),
            FieldValue::Enum { number, .. } => number.into(),
            FieldValue::Message(message) => to_json(message),
            _ => Value::Null,
        };
        if repeated {
            let list = object.entry(name).or_insert_with(|| Value::Array(Vec::new()));
            list.as_array_mut().expect("a repeated field is an array").push(value);
        } else {
            object.insert(name.to_owned(), value);
        }
    });
    Value::Object(object)
}

/// Our reading of every frame is the reference decoder's.
fn fields(capture: &Capture) {
    for frame in &capture.frames {
        let Some(expected) = &frame.fields else { continue };
        let ours = if frame.from_client {
            Request::decode(frame.code, &frame.body(), DecodeLimits::default())
                .map(|request| to_json(request.reflect()))
        } else {
            Reply::decode(frame.code, &frame.body(), DecodeLimits::default())
                .map(|reply| to_json(reply.reflect()))
        };
        assert_eq!(ours.as_ref(), Ok(expected));
    }
}

/// Writing what was read gives the same bytes.
fn same_bytes(capture: &Capture) {
    for frame in &capture.frames {
        let mut out = BytesMut::new();
        if let (true, Some(request)) = (frame.from_client, frame.request()) {
            request.encode_frame(&mut out);
        } else if let (false, Some(reply)) = (frame.from_client, frame.reply()) {
            reply.encode_frame(&mut out);
        } else {
            continue;
        }
        assert_eq!(out, frame.bytes);
    }
}
