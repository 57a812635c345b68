//! The options of a connection string: names, kinds and ranges.

use crate::wire::Compressor;

/// The value of an option.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OptionValue {
    /// `true` or `false`.
    Bool(bool),
    /// A number; times are in the unit that the name says.
    Int(i64),
    /// Any text.
    Text(String),
    /// Names between commas.
    List(Vec<String>),
    /// `name:value` pairs between commas.
    Pairs(Vec<(String, String)>),
    /// Tag sets in order, each of pairs; an empty one matches everything.
    Tags(Vec<Vec<(String, String)>>),
}

/// What an option may be.
#[derive(Clone, Copy)]
enum Kind {
    Bool,
    /// At least this much.
    Int(i64),
    Range(i64, i64),
    Text,
    OneOf(&'static [&'static str]),
    /// A number or text.
    WriteConcern,
    Compressors,
    Pairs,
    Tags,
    /// -1 for none, else a number.
    Staleness,
}

/// Specification "URI Options". `ssl` and `tls` are one.
const OPTIONS: &[(&str, Kind)] = &[
    ("appName", Kind::Text),
    ("authMechanism", Kind::Text),
    ("authMechanismProperties", Kind::Pairs),
    ("authSource", Kind::Text),
    ("compressors", Kind::Compressors),
    ("connectTimeoutMS", Kind::Int(0)),
    ("directConnection", Kind::Bool),
    ("heartbeatFrequencyMS", Kind::Int(1)),
    ("journal", Kind::Bool),
    ("loadBalanced", Kind::Bool),
    ("localThresholdMS", Kind::Int(0)),
    ("maxConnecting", Kind::Int(1)),
    ("maxIdleTimeMS", Kind::Int(0)),
    ("maxPoolSize", Kind::Int(0)),
    ("maxStalenessSeconds", Kind::Staleness),
    ("minPoolSize", Kind::Int(0)),
    ("proxyHost", Kind::Text),
    ("proxyPassword", Kind::Text),
    ("proxyPort", Kind::Range(1, 65535)),
    ("proxyUsername", Kind::Text),
    ("readConcernLevel", Kind::Text),
    (
        "readPreference",
        Kind::OneOf(&["primary", "primaryPreferred", "secondary", "secondaryPreferred", "nearest"]),
    ),
    ("readPreferenceTags", Kind::Tags),
    ("replicaSet", Kind::Text),
    ("retryReads", Kind::Bool),
    ("retryWrites", Kind::Bool),
    ("serverMonitoringMode", Kind::OneOf(&["auto", "stream", "poll"])),
    ("serverSelectionTimeoutMS", Kind::Int(1)),
    ("serverSelectionTryOnce", Kind::Bool),
    ("socketTimeoutMS", Kind::Int(0)),
    ("srvMaxHosts", Kind::Int(0)),
    ("srvServiceName", Kind::Text),
    ("timeoutMS", Kind::Int(0)),
    ("tls", Kind::Bool),
    ("tlsAllowInvalidCertificates", Kind::Bool),
    ("tlsAllowInvalidHostnames", Kind::Bool),
    ("tlsCAFile", Kind::Text),
    ("tlsCertificateKeyFile", Kind::Text),
    ("tlsCertificateKeyFilePassword", Kind::Text),
    ("tlsDisableCertificateRevocationCheck", Kind::Bool),
    ("tlsDisableOCSPEndpointCheck", Kind::Bool),
    ("tlsInsecure", Kind::Bool),
    ("w", Kind::WriteConcern),
    ("waitQueueTimeoutMS", Kind::Int(0)),
    ("wTimeoutMS", Kind::Int(0)),
    ("zlibCompressionLevel", Kind::Range(-1, 9)),
];

fn find(name: &str) -> Option<&'static (&'static str, Kind)> {
    let name = if name.eq_ignore_ascii_case("ssl") { "tls" } else { name };
    OPTIONS.iter().find(|(known, _)| known.eq_ignore_ascii_case(name))
}

/// An option's name as the specification spells it.
pub(super) fn canonical_name(name: &str) -> Option<&'static str> {
    find(name).map(|(name, _)| *name)
}

/// The option and its value, or a warning that says why it is left out.
pub(super) fn parse(name: &str, value: &str) -> Result<(&'static str, OptionValue), String> {
    let Some((name, kind)) = find(name) else { return Err(format!("unknown option {name}")) };
    match parse_value(*kind, value) {
        Some(value) => Ok((name, value)),
        None => Err(format!("{name} has the unusable value {value:?}")),
    }
}

fn parse_value(kind: Kind, text: &str) -> Option<OptionValue> {
    let int = |range: core::ops::RangeInclusive<i64>| {
        text.parse().ok().filter(|number| range.contains(number)).map(OptionValue::Int)
    };
    match kind {
        Kind::Bool => match text {
            "true" => Some(OptionValue::Bool(true)),
            "false" => Some(OptionValue::Bool(false)),
            _ => None,
        },
        Kind::Int(min) => int(min..=i64::from(i32::MAX)),
        Kind::Range(min, max) => int(min..=max),
        Kind::Staleness => int(-1..=i64::from(i32::MAX)),
        Kind::Text => (!text.is_empty()).then(|| OptionValue::Text(text.to_owned())),
        Kind::OneOf(allowed) => {
            allowed.iter().find(|allowed| **allowed == text).map(|text| OptionValue::Text((*text).to_owned()))
        }
        Kind::WriteConcern => match text.parse::<i64>() {
            Ok(number) => (0..=i64::from(i32::MAX)).contains(&number).then_some(OptionValue::Int(number)),
            Err(_) => (!text.is_empty()).then(|| OptionValue::Text(text.to_owned())),
        },
        Kind::Compressors => {
            let names: Vec<_> = text
                .split(',')
                .filter(|name| Compressor::from_name(name).is_some())
                .map(str::to_owned)
                .collect();
            (!names.is_empty()).then_some(OptionValue::List(names))
        }
        Kind::Pairs => pairs(text).map(OptionValue::Pairs),
        Kind::Tags if text.is_empty() => Some(OptionValue::Tags(vec![Vec::new()])),
        Kind::Tags => pairs(text).map(|pairs| OptionValue::Tags(vec![pairs])),
    }
}

fn pairs(text: &str) -> Option<Vec<(String, String)>> {
    text.split(',')
        .map(|pair| pair.split_once(':').map(|(name, value)| (name.to_owned(), value.to_owned())))
        .collect()
}
