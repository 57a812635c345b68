//! The zone scanner's cases: text in, records or complaints out.

use glowplug_dns::Name;
use glowplug_dns::text::{Entry, ZoneConfig, ZoneReader};
use libtest_mimic::{Failed, Trial};

use crate::{hex, list, read_text};

pub(crate) fn trials() -> Vec<Trial> {
    vec![Trial::test("knot scanner: the same records, and an error where upstream has one", scanner)]
}

/// Files that are left out, and why.
const SKIPPED: &[(&str, &str)] = &[
    ("04-1_ORIGIN", "upstream takes no origin that is itself relative"),
    ("06-0_INCLUDE", "opens files, which this crate never does"),
    ("06-2_INCLUDE", "opens files"),
    ("06-3_INCLUDE", "opens files"),
    ("06-4_INCLUDE", "opens files"),
    ("06-5_INCLUDE", "opens files"),
    ("06-6_INCLUDE", "opens files"),
    ("06-7_INCLUDE", "opens files"),
    ("00-2_general", "is about lines that end as on DOS, which are taken here"),
    ("62_ALIAS", "a private type of the vendor"),
];

const BARE: &str = "upstream wants escapes for characters that RFC 1035 takes bare";
const EMPTY: &str = "upstream refuses empty data in the generic form, which RFC 3597 allows";
const BLANKS: &str = "upstream refuses blanks within a group of base64 digits";

/// Cases that are left out, as file and number, and why.
const SKIPPED_CASES: &[(&str, &[usize], &str)] = &[
    ("01_owner", &[13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 29], BARE),
    ("14_NS", &[24, 25, 26, 27, 28, 29, 30, 31, 32], BARE),
    ("26_SRV", &[13], BARE),
    ("36_RRSIG", &[29], BARE),
    ("38_DHCID", &[10], EMPTY),
    ("29_CERT", &[45], BLANKS),
    ("30_KEY", &[18], BLANKS),
    ("31_DNSKEY", &[19], BLANKS),
    ("36_RRSIG", &[33], BLANKS),
    ("38_DHCID", &[14], BLANKS),
    ("50_CDNSKEY", &[19], BLANKS),
    ("36_RRSIG", &[26], "upstream takes no date of a later century"),
    ("42_LOC", &[13], "RFC 1876 has no latitude beyond 90 degrees"),
    ("02_class", &[3], "upstream does not know RFC 3597's name for class IN"),
    ("35_IPSECKEY", &[18], "upstream wants no key when there is no algorithm"),
    ("52_CAA", &[7, 8], "an empty or quoted tag is not in RFC 8659's grammar"),
    ("57_SVCB", &[62, 82, 83, 84], "an empty value is the same as none (RFC 9460 section 2.1)"),
];

#[derive(Debug, PartialEq)]
enum Outcome {
    Record { owner: Vec<u8>, class: u16, ttl: u32, rtype: u16, data: Vec<u8> },
    Bad(String),
}

fn theirs(text: &str) -> Vec<Outcome> {
    let mut out = Vec::new();
    for case in text.split("------") {
        let value = |key: &str| case.lines().find_map(|line| line.strip_prefix(key));
        let number = |key: &str| value(key).and_then(|text| u32::from_str_radix(text, 16).ok());
        if let Some(owner) = value("OWNER=") {
            out.push(Outcome::Record {
                owner: hex(owner),
                class: number("CLASS=").unwrap_or_default() as u16,
                ttl: number("RRTTL=").unwrap_or_default(),
                rtype: number("RTYPE=").unwrap_or_default() as u16,
                data: hex(value("RDATA=").unwrap_or_default()),
            });
        } else if let Some(code) = value("WARNG=").or(value("ERROR=")) {
            out.push(Outcome::Bad(code.to_owned()));
        }
    }
    out
}

fn ours(text: &str) -> Vec<Outcome> {
    // Upstream's scanner starts with an origin and a TTL.
    let config = ZoneConfig::new(Name::root()).ttl(0);
    ZoneReader::new(text.as_bytes(), config)
        .map(|entry| match entry {
            Ok(Entry::Record(record)) => Outcome::Record {
                owner: record.name.as_wire().to_ascii_lowercase(),
                class: record.class.0,
                ttl: record.ttl,
                rtype: record.rtype().0,
                data: record.data.as_wire().to_vec(),
            },
            Ok(entry) => Outcome::Bad(format!("{entry:?}")),
            Err(error) => Outcome::Bad(error.to_string()),
        })
        .collect()
}

fn scanner() -> Result<(), Failed> {
    let mut complaints = Vec::new();
    let (mut agreed, mut cases) = (0, 0);
    for file in list("knot-zscanner", ".in")? {
        let name = file.trim_end_matches(".in");
        if SKIPPED.iter().any(|(skipped, _)| *skipped == name) {
            continue;
        }
        let ours = ours(&read_text(&format!("knot-zscanner/{file}"))?);
        let theirs = theirs(&read_text(&format!("knot-zscanner/{name}.out"))?);
        cases += theirs.len();
        if ours.len() != theirs.len() {
            complaints.push(format!("{name}: {} outcomes, not {}", ours.len(), theirs.len()));
        }
        for (i, (a, b)) in ours.iter().zip(&theirs).enumerate() {
            let same = match (a, b) {
                (Outcome::Bad(_), Outcome::Bad(_)) => true,
                (a, b) => a == b,
            };
            let same =
                same || SKIPPED_CASES.iter().any(|(file, cases, _)| *file == name && cases.contains(&i));
            agreed += usize::from(same);
            if !same {
                complaints.push(format!("{name} #{i}: {a:?}\n    not {b:?}"));
            }
        }
    }
    if complaints.is_empty() {
        return Ok(());
    }
    Err(format!("{agreed} of {cases} agreed\n{}", complaints.join("\n")).into())
}
