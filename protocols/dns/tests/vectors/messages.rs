//! Whole messages and names, as bytes.

use bytes::BytesMut;
use glowplug_dns::{Message, MessageView, NameRef, Rdata, RecordType};
use libtest_mimic::{Failed, Trial};
use serde_json::Value;

use crate::{base64, hex, json_lines, list, read_text};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        Trial::test("bind9 messages: no panic, and what decodes comes back", bind_messages),
        Trial::test("bind9 names: no panic", bind_names),
        Trial::test("bind9 record data: no panic, and what decodes comes back as text", bind_rdata),
        Trial::test("powerdns corpus: no panic", powerdns),
        Trial::test("zeek captures: the same as Wireshark read", zeek),
        Trial::test("unbound packets: decode, encode, decode", unbound_packets),
    ]
}

/// Decodes at every cut and whole; what decodes must encode and decode to the same.
pub(crate) fn exercise(bytes: &[u8]) -> Result<Option<Message>, Failed> {
    let cuts: Vec<usize> = if bytes.len() <= 4096 {
        (0..bytes.len()).collect()
    } else {
        (0..200).map(|i| i * bytes.len() / 200).collect()
    };
    for cut in cuts {
        if let Ok(view) = MessageView::new(&bytes[..cut]) {
            let _ = view.check();
        }
    }
    let Ok(message) = Message::decode(bytes) else { return Ok(None) };
    let mut out = BytesMut::new();
    if message.encode(&mut out).is_err() {
        // Uncompressed data may not fit any more.
        return if bytes.len() > 2000 { Ok(Some(message)) } else { Err("does not encode".into()) };
    }
    let again = Message::decode(&out).map_err(|e| format!("{e}: {message:?}"))?;
    if again != message {
        return Err(format!("{message:?}\nbecame\n{again:?}").into());
    }
    for record in message.records() {
        let text = record.data.to_string();
        let back =
            Rdata::from_text(record.rtype(), &text).map_err(|e| format!("{} {text}: {e}", record.rtype()))?;
        if back != record.data {
            return Err(format!("{} {text} became {back}", record.rtype()).into());
        }
    }
    Ok(Some(message))
}

fn corpus(path: &str, mut each: impl FnMut(&[u8]) -> Result<(), Failed>) -> Result<(), Failed> {
    for line in json_lines(path)? {
        let bytes = base64(line["b64"].as_str().unwrap_or_default());
        each(&bytes).map_err(|e| format!("{}: {}", line["id"], e.message().unwrap_or_default()))?;
    }
    Ok(())
}

fn bind_messages() -> Result<(), Failed> {
    let mut decoded = 0;
    for file in ["dns_message_parse", "dns_message_checksig"] {
        corpus(&format!("bind9-fuzz/{file}.jsonl"), |bytes| {
            decoded += usize::from(exercise(bytes)?.is_some());
            Ok(())
        })?;
    }
    if decoded < 100 { Err(format!("only {decoded} decoded").into()) } else { Ok(()) }
}

fn bind_names() -> Result<(), Failed> {
    corpus("bind9-fuzz/dns_name_fromwire.jsonl", |bytes| {
        for at in 0..bytes.len() {
            if let Ok((name, _)) = NameRef::read(bytes, at) {
                let text = name.to_string();
                let back: glowplug_dns::Name = text.parse()?;
                if back != name || back.as_wire().len() != name.wire_len() {
                    return Err(text.into());
                }
            }
        }
        Ok(())
    })
}

fn bind_rdata() -> Result<(), Failed> {
    let types: Vec<RecordType> = (0..=270).chain([32768, 32769]).map(RecordType).collect();
    corpus("bind9-fuzz/dns_rdata_fromwire_text.jsonl", |bytes| {
        let wire = bytes::Bytes::copy_from_slice(bytes.get(2..).unwrap_or_default());
        for rtype in &types {
            let Ok(data) = Rdata::new(*rtype, wire.clone()) else { continue };
            let text = data.to_string();
            let back = Rdata::from_text(*rtype, &text).map_err(|e| format!("{rtype} {text}: {e}"))?;
            if back != data {
                return Err(format!("{rtype} {text} became {back}").into());
            }
        }
        Ok(())
    })
}

fn powerdns() -> Result<(), Failed> {
    corpus("powerdns-fuzz/corpus.jsonl", |bytes| exercise(bytes).map(|_| ()))
}

fn zeek() -> Result<(), Failed> {
    let files = list("zeek-captures", ".jsonl")?;
    let mut seen = 0;
    for line in json_lines(&format!("zeek-captures/{}", files[0]))? {
        let bytes = hex(line["hex"].as_str().unwrap_or_default());
        let what = format!("{} {}", line["capture"], line["n"]);
        let theirs = &line["tshark"];
        let number = |key: &str| theirs[key].as_str().and_then(|text| text.parse::<u16>().ok());
        exercise(&bytes).map_err(|e| format!("{what}: {}", e.message().unwrap_or_default()))?;
        let Ok(view) = MessageView::new(&bytes) else { continue };
        if theirs["malformed"] == Value::Bool(true) {
            continue;
        }
        seen += 1;
        let counts = ["qd", "an", "ns", "ar"].map(number);
        if counts.iter().zip(view.counts()).any(|(theirs, ours)| theirs.is_some_and(|n| n != ours)) {
            return Err(format!("{what}: {:?} is not {counts:?}", view.counts()).into());
        }
        if let (Some(question), Some(name)) = (view.questions().last(), theirs["qname"].as_str()) {
            let question = question.map_err(|e| format!("{what}: {e}"))?;
            let ours = question.name.to_string();
            let ours = ours.strip_suffix('.').filter(|n| !n.is_empty()).unwrap_or(&ours);
            // Wireshark shows the root as `<Root>` and other bytes in its own way.
            let comparable =
                name.bytes().all(|b| b.is_ascii_graphic()) && name != "<Root>" && !name.contains('\\');
            if comparable && !ours.contains('\\') && ours != name {
                return Err(format!("{what}: {ours} is not {name}").into());
            }
            if number("qtype").is_some_and(|n| n != question.rtype.0) {
                return Err(format!("{what}: {}", question.rtype).into());
            }
        }
    }
    if seen < 50 { Err(format!("only {seen} compared").into()) } else { Ok(()) }
}

fn unbound_packets() -> Result<(), Failed> {
    let mut decoded = 0;
    for n in [2, 4, 5, 7, 8] {
        let text = read_text(&format!("unbound-vectors/test_packets.{n}"))?;
        let mut packet = String::new();
        for line in text.lines().chain([""]) {
            let code = line.split(';').next().unwrap_or_default().trim();
            let separator = line.trim().is_empty() || line.starts_with(";--");
            if !separator && (code.len() >= 5 || !packet.is_empty()) {
                packet.push_str(code);
            }
            // A packet that takes one line ends with it.
            if separator || (code.len() >= 24 && packet == code && !text.contains("; header")) {
                let bytes = hex(&core::mem::take(&mut packet));
                let found = exercise(&bytes)
                    .map_err(|e| format!("test_packets.{n}: {}", e.message().unwrap_or_default()))?;
                decoded += usize::from(found.is_some());
            }
        }
    }
    if decoded < 15 { Err(format!("only {decoded} decoded").into()) } else { Ok(()) }
}
