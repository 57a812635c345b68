//! Zones, queries, and what four servers answer.

use std::collections::BTreeMap;

use glowplug_dns::{Name, Record, RecordType, Response, Zone, ZoneError};
use libtest_mimic::{Failed, Trial};
use serde_json::Value;

use crate::json_lines;

pub(crate) fn trials() -> Vec<Trial> {
    vec![Trial::test("ferret zones: the same answers as other servers give", responder)]
}

/// Zones whose DNAME leads round in ever longer names: how often a server goes round is its own affair.
const SKIPPED: &[u64] = &[51, 563, 4179, 4787];

/// What is compared: response code, AA, answers, and - when there are none - the authority section.
#[derive(Debug, PartialEq)]
struct Gist {
    rcode: String,
    authoritative: bool,
    answers: Vec<String>,
    authorities: Vec<String>,
}

fn gist(rcode: String, authoritative: bool, answers: &[Record], authorities: &[Record]) -> Gist {
    let texts = |records: &[Record]| {
        let mut texts: Vec<String> = records
            .iter()
            .map(|record| format!("{} {} {}", record.name, record.rtype(), record.data).to_ascii_lowercase())
            .collect();
        texts.sort();
        texts.dedup();
        texts
    };
    let authorities = if answers.is_empty() { texts(authorities) } else { Vec::new() };
    Gist { rcode, authoritative, answers: texts(answers), authorities }
}

fn ours(response: &Response) -> Gist {
    gist(response.rcode.to_string(), response.authoritative, &response.answers, &response.authorities)
}

fn theirs(lines: &Value) -> Option<Gist> {
    let lines: Vec<&str> = lines.as_array()?.iter().filter_map(Value::as_str).collect();
    let head = |key: &str| lines.iter().find_map(|line| line.strip_prefix(key)).unwrap_or_default();
    let mut sections: BTreeMap<&str, Vec<Record>> = BTreeMap::new();
    let mut section = "";
    for line in &lines {
        if let Some(name) = line.strip_prefix(';') {
            section = name;
        } else if !section.is_empty() && section != "QUESTION" {
            sections.entry(section).or_default().push(line.parse().ok()?);
        }
    }
    let records = |name: &str| sections.get(name).cloned().unwrap_or_default();
    let authoritative = head("flags").split_whitespace().any(|flag| flag == "AA");
    Some(gist(head("rcode ").to_owned(), authoritative, &records("ANSWER"), &records("AUTHORITY")))
}

fn responder() -> Result<(), Failed> {
    let (mut agreed, mut skipped) = (0, 0);
    let mut complaints = Vec::new();
    for line in json_lines("ferret-auth/cases.jsonl")? {
        if line["id"].as_u64().is_some_and(|id| SKIPPED.contains(&id)) {
            continue;
        }
        let text = line["zone"].as_str().unwrap_or_default();
        // The zone's name is that of its SOA record.
        let origin =
            text.lines().find(|line| line.contains("SOA")).and_then(|line| line.split_whitespace().next());
        let origin: Name = origin.ok_or("no SOA")?.parse()?;
        let zone = match Zone::from_text(origin, text.as_bytes()) {
            Ok(zone) => zone,
            Err(error @ (ZoneError::CnameAndOther | ZoneError::OutOfZone)) => {
                // Zones that break RFC 1034, on which servers do as they like.
                complaints.push(format!("{}: {error}", line["id"]));
                continue;
            }
            Err(error) => return Err(format!("{}: {error:?}", line["id"]).into()),
        };
        for case in line["cases"].as_array().into_iter().flatten() {
            let name: Name = case["Query"]["Name"].as_str().unwrap_or_default().parse()?;
            let rtype: RecordType = case["Query"]["Type"].as_str().unwrap_or_default().parse()?;
            let ours = ours(&zone.answer(&name, rtype));
            let expected = case["Expected Response"].as_array().ok_or("no response")?;
            let all: Vec<Gist> = expected.iter().filter_map(|entry| theirs(&entry["Response"])).collect();
            if all.is_empty() {
                skipped += 1;
            } else if all.contains(&ours) {
                agreed += 1;
            } else {
                let tag = &case["ZenResponseTag"];
                complaints.push(format!(
                    "{} {tag}: {name} {rtype} in\n{text}\nours {ours:?}\ntheirs {all:?}",
                    line["id"]
                ));
            }
        }
    }
    if complaints.is_empty() {
        return Ok(());
    }
    Err(format!(
        "{agreed} agreed, {skipped} skipped, {} did not\n{}",
        complaints.len(),
        complaints.join("\n")
    )
    .into())
}
