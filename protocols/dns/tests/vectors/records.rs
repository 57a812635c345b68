//! Records as text and on the wire, zone files, host names.

use bytes::Bytes;
use glowplug_dns::text::{Entry, ZoneConfig, ZoneReader};
use glowplug_dns::{Class, Name, NameRef, Rdata, Record, RecordType};
use libtest_mimic::{Failed, Trial};

use crate::{base64, hex, json_lines, list, read_text};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        Trial::test("dnspython SVCB: text and wire are the same", svcb_pairs),
        Trial::test("dnspython example zone: every record comes back from its text", example_zone),
        Trial::test("unbound records: wire and text are the same", unbound_pairs),
        Trial::test("domain zone files: owners, TTLs and classes", domain_zones),
        Trial::test("bind9 record text: no panic, and what reads comes back", bind_text),
        #[cfg(feature = "idna")]
        Trial::test("host names of UTS 46", idna),
        #[cfg(not(feature = "idna"))]
        Trial::test("host names of UTS 46", || Ok(()))
            .with_kind("needs the feature idna")
            .with_ignored_flag(true),
    ]
}

/// Reads a zone file strictly.
fn zone(text: &str, config: ZoneConfig) -> Result<Vec<Record>, Failed> {
    ZoneReader::new(text.as_bytes(), config)
        .map(|entry| match entry? {
            Entry::Record(record) => Ok(record),
            Entry::Include { .. } => Err("an include".into()),
        })
        .collect()
}

fn comes_back(record: &Record) -> Result<(), Failed> {
    let text = record.to_string();
    let back: Record = text.parse().map_err(|e| format!("{text}: {e}"))?;
    if &back == record { Ok(()) } else { Err(format!("{text} became {back}").into()) }
}

/// The cases of a file, each made one entry by putting the record's head in front of it.
fn svcb_cases(path: &str) -> Result<Vec<Record>, Failed> {
    let mut out = String::from("$ORIGIN .\n$TTL 1\n");
    let mut depth = 0;
    for line in read_text(path)?.lines() {
        let start = depth == 0 && line.bytes().next().is_some_and(|b| b.is_ascii_digit() || b == b'\\');
        if start {
            out.push_str("@ SVCB ");
        }
        out.push_str(line);
        let code = line.split(';').next().unwrap_or_default();
        depth += code.matches('(').count();
        depth = depth.saturating_sub(code.matches(')').count());
        out.push('\n');
    }
    zone(&out, ZoneConfig::without_origin())
}

fn svcb_pairs() -> Result<(), Failed> {
    let text = svcb_cases("dnspython/svcb_test_vectors.text")?;
    let generic = svcb_cases("dnspython/svcb_test_vectors.generic")?;
    if text.len() < 10 || text.len() != generic.len() {
        return Err(format!("{} and {} cases", text.len(), generic.len()).into());
    }
    for (a, b) in text.iter().zip(&generic) {
        if a != b {
            return Err(format!("{a} is not {b}").into());
        }
        comes_back(a)?;
    }
    Ok(())
}

/// What is not read, and why.
const OPAQUE: &[(&str, &str)] = &[
    ("NSAP", "obsolete, and opaque here"),
    ("WKS", "obsolete, and opaque here"),
    ("NSAP-PTR", "obsolete, and opaque here"),
    ("TSIG", "never in a zone, and opaque here"),
    ("TKEY", "never in a zone, and opaque here"),
    ("HIP", "opaque here"),
    ("AMTRELAY", "opaque here"),
    ("DSYNC", "opaque here"),
    ("HHIT", "opaque here"),
    ("BRID", "opaque here"),
    ("ATMA", "opaque here"),
    ("DOA", "opaque here"),
    ("EID", "opaque here"),
    ("NIMLOC", "opaque here"),
    ("SINK", "opaque here"),
    ("TALINK", "opaque here"),
    ("NINFO", "opaque here"),
    ("RKEY", "opaque here"),
];

fn is_opaque(text: &str) -> bool {
    text.split_whitespace().any(|word| OPAQUE.iter().any(|(name, _)| name.eq_ignore_ascii_case(word)))
}

fn example_zone() -> Result<(), Failed> {
    let text = read_text("dnspython/example")?;
    let lines: Vec<&str> = text.lines().collect();
    let mut records = 0;
    for entry in ZoneReader::new(text.as_bytes(), ZoneConfig::without_origin()) {
        match entry {
            Ok(Entry::Record(record)) => {
                comes_back(&record)?;
                records += 1;
            }
            Ok(entry) => return Err(format!("{entry:?}").into()),
            Err(error) => {
                let line = lines.get(error.line - 1).copied().unwrap_or_default();
                // The lines within the parentheses of an opaque record belong to it.
                let above = lines[..error.line.min(lines.len())].iter().rev().find(|l| l.contains('('));
                if !is_opaque(line) && !above.is_some_and(|line| is_opaque(line)) {
                    return Err(format!("{error}: {line}").into());
                }
            }
        }
    }
    if records < 150 { Err(format!("only {records} records").into()) } else { Ok(()) }
}

/// Reads a whole record in wire form.
fn wire_record(bytes: &[u8]) -> Option<Record> {
    let (owner, at) = NameRef::read(bytes, 0).ok()?;
    let head: &[u8; 10] = bytes.get(at..)?.first_chunk()?;
    let rtype = RecordType(u16::from_be_bytes([head[0], head[1]]));
    let class = Class(u16::from_be_bytes([head[2], head[3]]));
    let ttl = u32::from_be_bytes([head[4], head[5], head[6], head[7]]);
    let data = Rdata::new(rtype, Bytes::copy_from_slice(&bytes[at + 10..])).ok()?;
    Some(Record { name: owner.to_name(), class, ttl, data })
}

fn unbound_pairs() -> Result<(), Failed> {
    let (mut same, mut skipped) = (0, 0);
    for n in [1, 3, 5] {
        let text = read_text(&format!("unbound-vectors/test_ldnsrr.c{n}"))?;
        let mut lines = text.lines().filter(|line| !line.is_empty());
        while let (Some(wire), Some(text)) = (lines.next(), lines.next()) {
            let Some(ours) = wire_record(&hex(wire)) else {
                // Upstream prints data that does not have its type's form in the generic form.
                if !text.contains("\\#") && !is_opaque(text) {
                    return Err(format!("c{n}: {wire} does not read: {text}").into());
                }
                skipped += 1;
                continue;
            };
            comes_back(&ours)?;
            // Upstream leaves quotation marks in names bare, which no reader takes.
            let bare_quote = text.contains("10 \"foo.") || text.contains("MX\t10 \"");
            if is_opaque(text) || bare_quote {
                skipped += 1;
                continue;
            }
            let theirs: Record = text.parse().map_err(|e| format!("c{n}: {text}: {e}"))?;
            if ours != theirs {
                return Err(format!("c{n}: {ours} is not {theirs}").into());
            }
            same += 1;
        }
    }
    if same < 300 { Err(format!("only {same} compared, {skipped} skipped").into()) } else { Ok(()) }
}

/// The value of a line `  key: value` at some depth.
fn field<'a>(line: &'a str, key: &str) -> Option<&'a str> {
    line.trim_start().trim_start_matches("- ").strip_prefix(key)?.strip_prefix(':').map(str::trim)
}

fn domain_zones() -> Result<(), Failed> {
    for file in list("domain-zonefiles", ".yaml")? {
        let text = read_text(&format!("domain-zonefiles/{file}"))?;
        let (head, result) = text.split_once("result:").ok_or("no result")?;
        let origin = head.lines().find_map(|line| field(line, "origin")).ok_or("no origin")?;
        let (_, body) = head.split_once("zonefile: |\n").ok_or(format!("{file}: no text"))?;
        let body: String =
            body.lines().map(|l| l.strip_prefix("  ").unwrap_or(l).to_owned() + "\n").collect();
        let config = ZoneConfig::new(origin.parse::<Name>()?);
        let class = head.lines().find_map(|line| field(line, "default_class"));
        let config = match class {
            Some(class) => config.class(class.parse()?),
            None => config,
        };
        let ours = zone(&body, config);
        // A text of 256 bytes is over the limit of RFC 1035 section 3.3: upstream's reader splits it, ours refuses it.
        if file == "stroverflow.yaml" {
            if ours.is_ok() {
                return Err("a long text was taken".into());
            }
            continue;
        }
        // RFC 3597 section 5: data in the generic form must fit its type; a TXT record has at least one string.
        if file == "unknown-zero-length.yaml" && ours.is_err() {
            continue;
        }
        let ours = ours.map_err(|e| format!("{file}: {}", e.message().unwrap_or_default()))?;
        let all = |key: &str| result.lines().filter_map(|line| field(line, key)).collect::<Vec<_>>();
        let owners: Vec<Name> =
            all("owner").iter().map(|name| name.trim_matches('"').parse()).collect::<Result<_, _>>()?;
        if ours.iter().map(|record| &record.name).ne(&owners) {
            return Err(format!("{file}: owners {owners:?} are not those of {ours:?}").into());
        }
        let ttls: Vec<u32> = all("ttl").iter().filter_map(|ttl| ttl.parse().ok()).collect();
        if ours.iter().map(|record| record.ttl).ne(ttls.iter().copied()) {
            return Err(format!("{file}: TTLs {ttls:?} are not those of {ours:?}").into());
        }
    }
    for file in ["rfc1034-6-1-edu.zone", "rfc4035-appendix-A.zone"] {
        let text = read_text(&format!("domain-zonefiles/{file}"))?;
        let records = zone(&text, ZoneConfig::new(Name::root()))
            .map_err(|e| format!("{file}: {}", e.message().unwrap_or_default()))?;
        records.iter().try_for_each(comes_back)?;
    }
    Ok(())
}

fn bind_text() -> Result<(), Failed> {
    let mut read = 0;
    for line in json_lines("bind9-fuzz/dns_rdata_fromtext.jsonl")? {
        let text = String::from_utf8_lossy(&base64(line["b64"].as_str().unwrap_or_default())).into_owned();
        let reader = ZoneReader::new(text.as_bytes(), ZoneConfig::new(Name::root()).any_class(true).ttl(1));
        let _ = reader.count();
        let text = format!(". 1 {text}");
        if let Ok(record) = text.parse::<Record>() {
            comes_back(&record)?;
            read += 1;
        } else if !is_opaque(&text) && !text.contains(" ANY ") && !text.contains("KEYDATA") {
            let error = text.parse::<Record>().unwrap_err();
            // `NXT`, `A6` and `UINFO` and the like are retired; TKEY and TSIG are never stored.
            let retired = ["NXT", "A6", "NULL", "WALLET", "UNSPEC", "GID", "UID", "UINFO", "SIG"];
            if !retired.iter().any(|name| text.contains(name)) {
                return Err(format!("{text}: {error}").into());
            }
        }
    }
    if read < 30 { Err(format!("only {read} read").into()) } else { Ok(()) }
}

/// The mapping itself is the `idna` crate's; this proves that names pass through it, both ways.
#[cfg(feature = "idna")]
fn idna() -> Result<(), Failed> {
    let mut encoded = 0;
    for line in read_text("idna/IdnaTestV2.txt")?.lines() {
        let fields: Vec<&str> =
            line.split('#').next().unwrap_or_default().split(';').map(str::trim).collect();
        let [source, unicode, status, ascii, ascii_status, ..] = fields[..] else { continue };
        let plain = ![source, unicode, ascii].iter().any(|text| text.contains('\\') || text.contains('"'));
        let good = (status.is_empty() || status == "[]") && (ascii_status.is_empty() || ascii_status == "[]");
        if !plain || !good || source.is_empty() {
            continue;
        }
        let unicode = if unicode.is_empty() { source } else { unicode };
        let ascii = if ascii.is_empty() { unicode } else { ascii };
        let Ok(name) = Name::from_unicode(source) else {
            // A host name may have a label that no DNS name has.
            if ascii.parse::<Name>().is_err() {
                continue;
            }
            return Err(format!("{source} does not encode").into());
        };
        if name != ascii.parse::<Name>()? {
            return Err(format!("{source} became {name}, not {ascii}").into());
        }
        if name.to_unicode() != unicode.trim_end_matches('.') {
            return Err(format!("{name} shows as {}, not {unicode}", name.to_unicode()).into());
        }
        encoded += 1;
    }
    if encoded < 200 { Err(format!("only {encoded} encoded").into()) } else { Ok(()) }
}
