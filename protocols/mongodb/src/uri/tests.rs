//! Connection strings by example; the specification's own cases are among the vectors.

use glowplug_core::Seed;

use super::*;

fn parse(text: &str) -> ConnectionString {
    text.parse().unwrap()
}

#[test]
fn every_part_is_found() {
    let string = parse(
        "mongodb://us%40er:p%3Aw@One:1,[::1],%2Ftmp%2Fm.sock/db?tls=true&compressors=zlib,x&w=majority&appname=a",
    );
    assert_eq!(
        string.hosts().iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["one:1", "[::1]:27017", "/tmp/m.sock"]
    );
    assert_eq!(
        (string.username(), string.password(), string.database()),
        (Some("us@er"), Some("p:w"), Some("db"))
    );
    let config = string.config();
    assert!(config.tls);
    assert_eq!(config.compressors, [Compressor::Zlib]);
    assert_eq!(config.credential.unwrap().source, "db");
    assert!(!format!("{string:?}").contains("p:w"));
}

#[test]
fn credentials_know_where_their_users_are() {
    let source =
        |text: &str| parse(text).credential().map(|credential| (credential.source, credential.mechanism));
    assert_eq!(source("mongodb://h"), None);
    assert_eq!(source("mongodb://u:p@h"), Some(("admin".into(), None)));
    assert_eq!(source("mongodb://u:p@h/db?authSource=other"), Some(("other".into(), None)));
    assert_eq!(
        source("mongodb://h/?authMechanism=MONGODB-X509"),
        Some(("$external".into(), Some(Mechanism::X509)))
    );
    assert_eq!(
        source("mongodb://u:p@h/?authMechanism=PLAIN"),
        Some(("$external".into(), Some(Mechanism::Plain)))
    );
    assert_eq!(source("mongodb://u:p@h/?authMechanism=GSSAPI"), None);
}

#[test]
fn srv_and_txt_are_asked_for_and_checked() {
    let mut rng = Seed::from_u64(1).rng();
    let base = parse("mongodb+srv://cluster.example.com/?srvMaxHosts=2");
    assert_eq!(base.srv_name().as_deref(), Some("_mongodb._tcp.cluster.example.com"));
    assert!(base.tls());
    let records = |names: &[&str]| names.iter().map(|name| ((*name).to_owned(), 27017)).collect::<Vec<_>>();
    let targets = records(&["a.example.com.", "b.example.com.", "c.example.com"]);

    let mut string = base.clone();
    string.resolve_srv(&targets, &["authSource=there".into()], &mut rng).unwrap();
    assert_eq!(string.hosts().len(), 2);
    assert_eq!(string.option("authsource"), Some(&OptionValue::Text("there".into())));

    let mut fails = |records: &[(String, u16)], txt: &[&str]| {
        let txt: Vec<String> = txt.iter().map(|text| (*text).to_owned()).collect();
        base.clone().resolve_srv(records, &txt, &mut rng).unwrap_err()
    };
    assert!(matches!(fails(&[], &[]), UriError::Dns(_)));
    assert!(matches!(fails(&records(&["a.example.org"]), &[]), UriError::Dns(_)));
    assert!(matches!(fails(&records(&["evilexample.com"]), &[]), UriError::Dns(_)));
    assert!(matches!(fails(&records(&["example.com"]), &[]), UriError::Dns(_)));
    assert!(matches!(fails(&targets, &["a=b", "c=d"]), UriError::Dns(_)));
    assert!(matches!(fails(&targets, &["tls=false"]), UriError::Dns(_)));
    assert!(matches!(fails(&targets, &["replicaSet=x"]), UriError::Conflict(_)));
}

#[test]
fn long_strings_are_refused_and_odd_ones_do_not_panic() {
    let long = format!("mongodb://{}", "a".repeat(1 << 16));
    assert_eq!(long.parse::<ConnectionString>(), Err(UriError::TooLong));
    for text in [
        "mongodb://%",
        "mongodb://é%é",
        "mongodb://[",
        "mongodb://[]",
        "mongodb://@",
        "mongodb://:@h",
        "mongodb://,",
        "mongodb+srv://",
    ] {
        assert!(text.parse::<ConnectionString>().is_err(), "{text}");
    }
    let many = format!("mongodb://h/?{}", "a=b&".repeat(1000));
    assert_eq!(parse(&many).warnings().len(), 1000);
}
