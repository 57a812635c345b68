//! The declarations against the `.proto` files, and the codes against their table.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use glowplug_riak::wire::{Code, MessageInfo, aae, dt, kv, repl, riak, search, ts, yokozuna};
use libtest_mimic::{Failed, Trial};

pub(crate) fn trials(folder: &Path) -> Vec<Trial> {
    let (table, files) = (folder.join("riak_pb_messages.csv"), folder.to_owned());
    vec![
        Trial::test("codes", move || codes(&table)),
        Trial::test("declarations", move || declarations(&files)),
    ]
}

/// Every code of the table has our message of that name, and we have no other.
fn codes(table: &Path) -> Result<(), Failed> {
    let text = fs::read_to_string(table)?;
    let mut listed = BTreeMap::new();
    for line in text.lines() {
        let mut columns = line.split(',');
        let (Some(code), Some(name)) = (columns.next(), columns.next()) else { continue };
        listed.insert(code.parse::<u8>()?, name.to_owned());
    }
    let ours: BTreeMap<u8, String> =
        Code::ALL.iter().map(|code| (code.0, code.name().unwrap_or("?").to_owned())).collect();
    assert_eq!(ours, listed);
    assert_eq!(ours.len(), 101);
    Ok(())
}

/// Every message of the files is declared as it is there: label, type, name and number of each field.
fn declarations(folder: &Path) -> Result<(), Failed> {
    let files = ["riak", "riak_kv", "riak_dt", "riak_search", "riak_yokozuna", "riak_ts"];
    let mut published = BTreeMap::new();
    for file in files {
        published.extend(parse(&fs::read_to_string(folder.join(file).with_extension("proto"))?));
    }
    let modules = [
        riak::MESSAGES,
        kv::MESSAGES,
        aae::MESSAGES,
        repl::MESSAGES,
        dt::MESSAGES,
        search::MESSAGES,
        yokozuna::MESSAGES,
        ts::MESSAGES,
    ];
    let ours: BTreeMap<String, Vec<String>> = modules.into_iter().flatten().map(describe).collect();
    for (name, fields) in &published {
        assert_eq!(ours.get(name), Some(fields), "{name}");
    }
    // What we have and the files have not are the messages without a body.
    for (name, fields) in &ours {
        assert!(published.contains_key(name) || fields.is_empty(), "{name}");
    }
    Ok(())
}

fn describe(message: &MessageInfo) -> (String, Vec<String>) {
    let fields = message.fields.iter();
    let lines =
        fields.map(|field| format!("{} {} {} = {}", field.label, field.kind, field.name, field.number));
    (message.name.to_owned(), lines.collect())
}

/// Messages and their fields, out of a `.proto` file.
fn parse(text: &str) -> BTreeMap<String, Vec<String>> {
    let mut messages = BTreeMap::new();
    let mut message: Option<(String, Vec<String>)> = None;
    let (mut in_comment, mut in_enum) = (false, false);
    for line in text.lines() {
        let line = line.split("//").next().unwrap_or("").trim();
        in_comment |= line.starts_with("/*");
        if in_comment {
            in_comment = !line.ends_with("*/");
            continue;
        }
        if let Some(name) = line.strip_prefix("message ") {
            message = Some((name.trim_end_matches(['{', ' ']).to_owned(), Vec::new()));
        } else if line.starts_with("enum ") {
            in_enum = true;
        } else if line.starts_with('}') && in_enum {
            in_enum = false;
        } else if line.starts_with('}') {
            messages.extend(message.take());
        } else if let (Some((_, fields)), false) = (&mut message, in_enum) {
            let field = line.split(['[', ';']).next().unwrap_or("");
            let words: Vec<&str> = field.split_whitespace().collect();
            if words.len() >= 5 {
                fields.push(words.join(" "));
            }
        }
    }
    messages
}
