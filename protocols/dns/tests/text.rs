//! Zone files and records as text: directives, limits, errors with their lines.

use bytes::{Bytes, BytesMut};
use glowplug_dns::text::{Entry, TextError, TextReason, ZoneConfig, ZoneReader};
use glowplug_dns::{
    Class, ClientSubnet, DecodeReason, Edns, EdnsOption, Message, Name, OptionCode, RawOption, Rdata, Record,
    RecordData, RecordType, Zone, ZoneError,
};

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn read(text: &str, config: ZoneConfig) -> Vec<Result<Entry, TextError>> {
    ZoneReader::new(text.as_bytes(), config).collect()
}

fn records(text: &str) -> Vec<String> {
    read(text, ZoneConfig::new(name("example.org")))
        .into_iter()
        .map(|entry| match entry.unwrap() {
            Entry::Record(record) => record.to_string(),
            Entry::Include { .. } => panic!("an include"),
        })
        .collect()
}

fn first_error(text: &str, config: ZoneConfig) -> (usize, TextReason) {
    let error = read(text, config).into_iter().find_map(Result::err).expect("an error");
    (error.line, error.reason)
}

fn config() -> ZoneConfig {
    ZoneConfig::new(name("example.org"))
}

#[test]
fn a_zone_file_with_everything_in_it() {
    let text = "; a comment\n$TTL 1h30m\n@ SOA ns hostmaster ( 1 ; serial\n  1d 2h 4w 1m )\n  NS ns\nns 300 IN A 192.0.2.1\n\
                $ORIGIN sub\nwww CLASS1 TYPE1 \\# 4 c0000202\n    TXT \"a b\" c\\;d \"\\\"\\010\"\r\n\n$ORIGIN .\nx A 192.0.2.3";
    assert_eq!(
        records(text),
        [
            "example.org.\t5400\tIN\tSOA\tns.example.org. hostmaster.example.org. 1 86400 7200 2419200 60",
            "example.org.\t5400\tIN\tNS\tns.example.org.",
            "ns.example.org.\t300\tIN\tA\t192.0.2.1",
            "www.sub.example.org.\t5400\tIN\tA\t192.0.2.2",
            "www.sub.example.org.\t5400\tIN\tTXT\t\"a b\" \"c;d\" \"\\\"\\010\"",
            "x.\t5400\tIN\tA\t192.0.2.3",
        ]
    );
}

#[test]
fn errors_name_their_line_and_the_reader_goes_on() {
    let text =
        "a 1 A 192.0.2.1\nb 1 A nonsense\nc 1 A\n\nd 1 A 192.0.2.4 more\ne 1 NOTYPE x\nf 1 A 192.0.2.6\n";
    let entries = read(text, config());
    let errors: Vec<_> =
        entries.iter().filter_map(|e| e.as_ref().err()).map(|e| (e.line, e.reason)).collect();
    assert_eq!(
        errors,
        [
            (2, TextReason::BadField),
            (3, TextReason::MissingField),
            (5, TextReason::ExtraField),
            (6, TextReason::UnknownType),
        ]
    );
    assert_eq!(entries.iter().filter(|e| e.is_ok()).count(), 2);
    for (text, reason) in [
        ("a 1 TXT \"open\n", TextReason::OpenQuote),
        ("a 1 TXT (\n\n", TextReason::Parenthesis),
        ("a 1 TXT )\n", TextReason::Parenthesis),
        ("a 1 TXT \\300\n", TextReason::BadEscape),
        ("a A 192.0.2.1\n", TextReason::NoTtl),
        ("  1 A 192.0.2.1\n", TextReason::NoOwner),
        ("$NOTHING x\n", TextReason::UnknownDirective),
        ("$INCLUDE file\n", TextReason::IncludeRefused),
        ("a 1 IN A 192.0.2.1\nb 1 CH A 192.0.2.1\n", TextReason::OtherClass),
        ("a 1 ANY\n", TextReason::MissingField),
        ("a 1 AXFR x\n", TextReason::MetaType),
        ("a 1 MX 70000 b\n", TextReason::NumberTooLarge),
        ("a 1 A \\# 3 010203\n", TextReason::BadData(DecodeReason::DataTooShort)),
        ("a 1 HTTPS 1 . port=1 port=2\n", TextReason::BadData(DecodeReason::BadData)),
    ] {
        assert_eq!(first_error(text, config()).1, reason, "{text}");
    }
    assert_eq!(first_error("a 1 A 192.0.2.1\n", ZoneConfig::without_origin()).1, TextReason::NoOrigin);
    let long = format!("a 1 TXT {}\n", "x".repeat(256));
    assert_eq!(first_error(&long, config()).1, TextReason::StringTooLong);
}

#[test]
fn includes_are_given_out_when_they_are_allowed_and_entries_have_a_limit() {
    let entries = read("$INCLUDE \"a file\" sub\n", config().allow_include(true));
    let expected = Entry::Include { file: b"a file".to_vec(), origin: Some(name("sub.example.org")) };
    assert_eq!(entries, [Ok(expected)]);
    let text = format!("a 1 TXT ({}\n)\nb 1 A 192.0.2.1\n", " x".repeat(1000));
    let entries = read(&text, config().max_entry_len(500));
    assert_eq!(entries[0], Err(TextError { line: 1, reason: TextReason::EntryTooLong }));
    assert!(entries.last().unwrap().is_ok());
}

#[test]
fn broken_files_cost_linear_time() {
    // Each of these once made somebody's reader go over the rest of the file for every line.
    for line in ["(\n", "\"\n", "a 1 TXT \\\n", "((((\n", "a 1 TXT ( \"\n"] {
        let text = line.repeat(50_000);
        assert!(read(&text, config()).len() <= 50_001);
    }
    // A record of parameters, each of them mandatory.
    let keys: Vec<u16> = (1000..10_000).collect();
    let mut wire = vec![0, 1, 0, 0, 0];
    wire.extend_from_slice(&((keys.len() * 2) as u16).to_be_bytes());
    wire.extend(keys.iter().flat_map(|key| key.to_be_bytes()));
    wire.extend(keys.iter().flat_map(|key| [key.to_be_bytes(), [0, 0]].concat()));
    assert!(Rdata::new(RecordType::SVCB, Bytes::from(wire)).is_ok());
}

#[test]
fn a_zone_wants_one_soa_and_lonely_cnames() {
    let zone =
        |text: &str| Zone::from_text(name("example.org"), text.as_bytes()).map(|zone| zone.records().count());
    let soa = "@ 1 SOA a b 1 2 3 4 5\n";
    assert_eq!(zone(&format!("{soa}www 1 A 192.0.2.1\nWWW 1 A 192.0.2.1\n")), Ok(2));
    assert_eq!(zone("www 1 A 192.0.2.1\n"), Err(ZoneError::NoSoa));
    assert_eq!(zone(&format!("{soa}www.example.com. 1 A 192.0.2.1\n")), Err(ZoneError::OutOfZone));
    assert_eq!(zone(&format!("{soa}w 1 CNAME x\nw 1 A 192.0.2.1\n")), Err(ZoneError::CnameAndOther));
    assert!(matches!(zone("w w w\n"), Err(ZoneError::Text(_))));
}

#[test]
fn service_parameters_are_read_in_any_order_and_printed_in_theirs() {
    let data = Rdata::from_text(
        RecordType::HTTPS,
        "1 svc.example. port=8443 alpn=\"h2,f\\\\\\\\oo\\\\,bar\" mandatory=port,alpn key700=x ech=AAEC",
    )
    .unwrap();
    let RecordData::Https(https) = data.data() else { panic!() };
    assert_eq!(https.params.alpn().collect::<Vec<_>>(), [&b"h2"[..], b"f\\oo,bar"]);
    assert_eq!(https.params.port(), Some(8443));
    assert_eq!(https.params.mandatory().map(|key| key.0).collect::<Vec<_>>(), [1, 3]);
    assert_eq!(
        data.to_string(),
        "1 svc.example. mandatory=alpn,port alpn=\"h2,f\\\\\\\\oo\\\\,bar\" port=8443 ech=AAEC key700=\"x\""
    );
    assert!(Rdata::from_text(RecordType::HTTPS, "1 . mandatory=port").is_err());
}

#[test]
fn edns_options_are_read_strictly_and_kept_otherwise() {
    let read = |code, data: &'static [u8]| EdnsOption::from_raw(RawOption { code, data });
    let subnet = |address: &str, source_prefix| {
        EdnsOption::ClientSubnet(ClientSubnet {
            address: address.parse().unwrap(),
            source_prefix,
            scope_prefix: 0,
        })
    };
    assert_eq!(read(OptionCode::CLIENT_SUBNET, &[0, 1, 20, 0, 192, 0, 16]), subnet("192.0.16.0", 20));
    assert_eq!(read(OptionCode::CLIENT_SUBNET, &[0, 2, 8, 0, 0x20]), subnet("2000::", 8));
    for broken in [
        &[0, 1, 20, 0, 192, 0, 17][..],
        &[0, 1, 20, 0, 192],
        &[0, 3, 0, 0],
        &[0, 1, 40, 0, 1, 2, 3, 4, 5],
        &[0],
    ] {
        let expected = EdnsOption::Other(OptionCode::CLIENT_SUBNET, Bytes::copy_from_slice(broken));
        let raw = RawOption { code: OptionCode::CLIENT_SUBNET, data: broken };
        assert_eq!(EdnsOption::from_raw(raw), expected);
    }
    assert!(matches!(read(OptionCode::COOKIE, b"12345678"), EdnsOption::Cookie(_)));
    assert!(matches!(read(OptionCode::COOKIE, b"123456789"), EdnsOption::Other(..)));
    assert_eq!(read(OptionCode::KEEPALIVE, &[]), EdnsOption::Keepalive(None));
    assert!(matches!(read(OptionCode::PADDING, &[0, 1]), EdnsOption::Other(..)));
    let options = vec![subnet("192.0.16.0", 20), subnet("2000::", 8), EdnsOption::Padding(3)];
    let message = Message { edns: Some(Edns { options, ..Edns::default() }), ..Message::default() };
    let mut out = BytesMut::new();
    message.encode(&mut out).unwrap();
    assert_eq!(Message::decode(&out).unwrap(), message);
}

#[test]
fn a_message_reads_well() {
    let message = Message {
        id: 7,
        answers: vec!["www.example.org 60 IN A 192.0.2.1".parse::<Record>().unwrap()],
        edns: Some(Edns { options: vec![EdnsOption::Keepalive(Some(105))], ..Edns::default() }),
        ..Message::default()
    };
    assert_eq!(
        message.to_string(),
        ";; opcode: QUERY, status: NOERROR, id: 7\n;; flags:\n;; edns: version 0, flags:, udp: 1232\n\
         ;; KEEPALIVE: 10.5 s\n\n;; ANSWER\nwww.example.org.\t60\tIN\tA\t192.0.2.1\n"
    );
    assert_eq!("CLASS3".parse(), Ok(Class::CH));
    assert_eq!("type65535".parse(), Ok(RecordType(65_535)));
    assert!("TYPE65536".parse::<RecordType>().is_err());
    assert!("TYPE+1".parse::<RecordType>().is_err());
}

#[cfg(feature = "idna")]
#[test]
fn host_names_in_any_script() {
    let host = Name::from_unicode("Bücher.example").unwrap();
    assert_eq!(host, name("xn--bcher-kva.example"));
    assert_eq!(host.to_unicode(), "bücher.example");
    assert!(Name::from_unicode("xn--a").is_err());
    assert_eq!(Name::root().to_unicode(), ".");
}

/// Short names lie in their value, long ones in memory that clones share: nobody can tell.
#[test]
fn names_of_every_length_are_names() {
    for len in 1..=250 {
        let label = |len: usize| "X".repeat(len.min(63));
        let mut text: String = (0..len / 64).map(|_| label(63) + ".").collect();
        text += &label(len % 64);
        let name: Name = text.trim_end_matches('.').parse().unwrap();
        let lower = name.to_lowercase();
        assert_eq!(
            (lower.to_host(), name.to_host().len()),
            (name.to_host().to_lowercase(), name.as_wire().len() - 2)
        );
        assert_eq!(Name::from_wire(name.as_wire()).unwrap(), lower.clone());
        assert_eq!(name.cmp(&lower), std::cmp::Ordering::Equal);
        let child = name.child(b"y");
        assert_eq!(child.is_ok(), name.as_wire().len() + 2 <= glowplug_dns::MAX_NAME_LEN);
        if let Ok(child) = child {
            assert!(child.is_within(&lower) && child.parent() == Some(name));
        }
    }
}
