use std::string::{String, ToString as _};
use std::vec::Vec;

use glowplug_core::Seed;

use super::{ClientHandshake, HandshakeError, ServerHandshake};
use crate::config::{Config, DeflateConfig};

type Fields = Vec<(&'static str, String)>;

fn pairs(fields: &Fields) -> impl Iterator<Item = (&str, &[u8])> {
    fields.iter().map(|(name, value)| (*name, value.as_bytes()))
}

fn client(config: &Config) -> ClientHandshake {
    ClientHandshake::new(&Seed::from_u64(1), config, ["chat", "not a token", "superchat"])
}

fn set(fields: &mut Fields, name: &'static str, value: &str) {
    fields.retain(|(other, _)| *other != name);
    fields.push((name, value.to_string()));
}

#[test]
fn both_halves_agree() {
    let config = Config::new().deflate(Some(DeflateConfig::new().client_max_window_bits(10)));
    let client = client(&config);
    let mut server = ServerHandshake::read("GET", pairs(&client.fields()), &config).expect("a websocket");
    assert!(server.offered_protocols().eq(["chat", "superchat"]));
    server.choose_protocol(&["superchat"]);
    let agreed = client.check(101, pairs(&server.fields())).expect("an answer");
    assert_eq!(agreed.protocol.as_deref(), Some("superchat"));
    let deflate = agreed.deflate.expect("compression");
    assert_eq!((deflate.client_max_window_bits, deflate.server_max_window_bits), (10, 15));
    assert_eq!(server.agreed(), &agreed);
    assert_ne!(
        ClientHandshake::new(&Seed::from_u64(2), &config, [""; 0]).fields(),
        ClientHandshake::new(&Seed::from_u64(3), &config, [""; 0]).fields(),
    );
}

#[test]
fn requests_that_are_refused() {
    let good = client(&Config::new()).fields();
    let read = |fields: &Fields| {
        ServerHandshake::read("GET", pairs(fields), &Config::new()).err().map(|error| (error.status(), error))
    };
    assert_eq!(read(&good), None);
    let changed = |name, value: &str| {
        let mut fields = good.clone();
        set(&mut fields, name, value);
        read(&fields)
    };
    assert_eq!(changed("upgrade", "h2c"), Some((426, HandshakeError::NotUpgrade)));
    assert_eq!(changed("connection", "keep-alive"), Some((426, HandshakeError::NotUpgrade)));
    assert_eq!(changed("connection", "keep-alive, UPGRADE"), None);
    assert_eq!(changed("sec-websocket-version", "8"), Some((426, HandshakeError::Version)));
    for key in ["", "short", "dGhlIHNhbXBsZSBub25jZ", "dGhlIHNhbXBsZSBub25jZQ==, dGhlIHNhbXBsZSBub25jZQ=="] {
        assert_eq!(changed("sec-websocket-key", key), Some((400, HandshakeError::Key)), "{key}");
    }
    assert_eq!(changed("sec-websocket-extensions", "a;b=\""), Some((400, HandshakeError::Extension)));
    assert_eq!(changed("sec-websocket-extensions", "foo; bar=\"x\", baz"), None);
    let twice: Fields = good.iter().chain(&good).cloned().collect();
    assert_eq!(read(&twice), Some((426, HandshakeError::Version)));
    let post = ServerHandshake::read("POST", pairs(&good), &Config::new());
    assert_eq!(post.err(), Some(HandshakeError::NotGet));
}

#[test]
fn answers_that_are_refused() {
    let config = Config::new().deflate(Some(DeflateConfig::new().server_max_window_bits(12)));
    let client = client(&config);
    let good = ServerHandshake::read("GET", pairs(&client.fields()), &config).expect("a websocket").fields();
    let changed = |name, value: &str| {
        let mut fields = good.clone();
        set(&mut fields, name, value);
        client.check(101, pairs(&fields)).err()
    };
    assert_eq!(client.check(200, pairs(&good)), Err(HandshakeError::Status(200)));
    assert_eq!(changed("sec-websocket-accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), Some(HandshakeError::Accept));
    assert_eq!(changed("upgrade", "other"), Some(HandshakeError::NotUpgrade));
    assert_eq!(changed("sec-websocket-protocol", "chat"), None);
    assert_eq!(changed("sec-websocket-protocol", "other"), Some(HandshakeError::Protocol));
    for answer in [
        "foo",
        "permessage-deflate; what",
        "permessage-deflate",
        "permessage-deflate; server_max_window_bits=13",
        "permessage-deflate; server_max_window_bits=12; client_max_window_bits",
        "permessage-deflate; server_max_window_bits=12; server_max_window_bits=12",
        "permessage-deflate; server_max_window_bits=012",
        "permessage-deflate; server_max_window_bits=7",
        "permessage-deflate; server_max_window_bits=12, permessage-deflate; server_max_window_bits=12",
    ] {
        let seen = changed("sec-websocket-extensions", answer);
        assert_eq!(seen, Some(HandshakeError::Extension), "{answer}");
    }
    assert_eq!(changed("sec-websocket-extensions", "permessage-deflate; server_max_window_bits=\"8\""), None);
}

/// RFC 7692 §7.1: what a server makes of offers.
#[test]
fn offers_and_answers() {
    let answer = |offer: &str, config: DeflateConfig| {
        let mut fields = client(&Config::new()).fields();
        set(&mut fields, "sec-websocket-extensions", offer);
        let config = Config::new().deflate(Some(config));
        let answer = ServerHandshake::read("GET", pairs(&fields), &config).expect("a websocket").fields();
        answer.into_iter().find(|(name, _)| *name == "sec-websocket-extensions").map(|(_, value)| value)
    };
    let plain = DeflateConfig::new;
    let cases = [
        ("permessage-deflate", plain(), Some("permessage-deflate")),
        ("x-webkit-deflate-frame", plain(), None),
        ("permessage-deflate; unknown", plain(), None),
        ("permessage-deflate; server_max_window_bits", plain(), None),
        (
            "permessage-deflate; server_max_window_bits=16, permessage-deflate",
            plain(),
            Some("permessage-deflate"),
        ),
        (
            "permessage-deflate; server_max_window_bits=8",
            plain(),
            Some("permessage-deflate; server_max_window_bits=8"),
        ),
        ("permessage-deflate", plain().client_max_window_bits(9), Some("permessage-deflate")),
        (
            "permessage-deflate; client_max_window_bits",
            plain().client_max_window_bits(9),
            Some("permessage-deflate; client_max_window_bits=9"),
        ),
        (
            "permessage-deflate; client_max_window_bits=12",
            plain(),
            Some("permessage-deflate; client_max_window_bits=12"),
        ),
        (
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
            plain(),
            Some("permessage-deflate; server_no_context_takeover; client_no_context_takeover"),
        ),
        (
            "permessage-deflate",
            plain().server_no_context_takeover(true).client_no_context_takeover(true),
            Some("permessage-deflate; server_no_context_takeover; client_no_context_takeover"),
        ),
    ];
    for (offer, config, wanted) in cases {
        assert_eq!(answer(offer, config).as_deref(), wanted, "{offer}");
    }
}
