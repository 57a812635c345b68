//! Heads against `httparse` used raw: the same fields where both accept, and nothing accepted that it refuses.

mod support;

use bytes::BytesMut;
use glowplug_core::StreamProtocol;
use glowplug_http::{ServerConnection, ServerEvent};
use proptest::prelude::*;
use support::{NOW, server_config};

/// Method, target, fields.
type Head = (String, String, Vec<(String, Vec<u8>)>);

fn ours(wire: &[u8]) -> Option<Head> {
    let mut server = ServerConnection::new(NOW, server_config());
    match server.poll_event(NOW, &mut BytesMut::from(wire)) {
        Ok(Some(ServerEvent::Request { head, .. })) => Some((
            head.method().to_owned(),
            head.target().to_owned(),
            head.iter().map(|(name, value)| (name.to_owned(), value.to_vec())).collect(),
        )),
        _ => None,
    }
}

fn theirs(wire: &[u8]) -> Option<Head> {
    let mut headers = [httparse::EMPTY_HEADER; 100];
    let mut request = httparse::Request::new(&mut headers);
    match request.parse(wire) {
        Ok(httparse::Status::Complete(_)) => Some((
            request.method?.to_owned(),
            request.path?.to_owned(),
            request.headers.iter().map(|header| (header.name.to_owned(), header.value.to_vec())).collect(),
        )),
        _ => None,
    }
}

/// Heads that are mostly right.
fn head() -> impl Strategy<Value = Vec<u8>> {
    let end = prop_oneof![60 => Just("\r\n"), 1 => Just("\n"), 1 => Just("\r\r\n")];
    let field = ("[A-Za-z0-9!#$_-]{1,12}", "[ \t]{0,2}", "[ -~\t\u{80}-\u{ff}]{0,30}", end)
        .prop_map(|(name, space, value, end)| format!("{name}:{space}{value}{end}"));
    let line = ("[A-Z]{1,8}", "(/[!-~]{0,20}|\\*|http://[a-z]{1,5}/)", "[01]")
        .prop_map(|(method, target, minor)| format!("{method} {target} HTTP/1.{minor}\r\nHost: a\r\n"));
    (line, proptest::collection::vec(field, 0..30))
        .prop_map(|(line, fields)| format!("{line}{}\r\n", fields.concat()).into_bytes())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_same_fields_as_httparse(wire in head()) {
        if let Some(ours) = ours(&wire) {
            prop_assert_eq!(Some(ours), theirs(&wire));
        }
    }

    #[test]
    fn clean_heads_are_accepted(
        method in "[A-Z]{1,8}".prop_filter("has its own target form", |method| method != "CONNECT"),
        target in "/[!-\"$-~]{0,30}",
        fields in proptest::collection::vec(("x-[A-Za-z0-9_-]{1,12}", "[!-~]([ -~]{0,20}[!-~])?"), 0..40),
    ) {
        let mut wire = format!("{method} {target} HTTP/1.1\r\nhost: a\r\n");
        for (name, value) in &fields {
            wire.extend([name, ": ", value, "\r\n"]);
        }
        wire.push_str("\r\n");
        let (told_method, told_target, told_fields) = ours(wire.as_bytes()).expect("valid");
        prop_assert_eq!((told_method, told_target), (method, target));
        let expected: Vec<_> = fields.into_iter().map(|(name, value)| (name, value.into_bytes())).collect();
        prop_assert_eq!(&told_fields[1..], &expected[..]);
    }
}
