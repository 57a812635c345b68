//! Messages that were made to hurt: bounded work, typed errors, no panic.

use bytes::{BufMut, Bytes, BytesMut};
use glowplug_core::Seed;
use glowplug_dns::{
    Class, DecodeReason, Edns, EdnsOption, Flags, Header, Message, MessageBuilder, MessageView, Name,
    NameRef, NoRoom, Question, Rcode, Rdata, Record, RecordData, RecordType, Section, Soa,
};
use proptest::prelude::*;

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn header(counts: [u16; 4]) -> BytesMut {
    let mut out = BytesMut::new();
    out.put_slice(&Header { id: 7, flags: Flags::default().with_response(true), counts }.to_bytes());
    out
}

fn reason(bytes: &[u8]) -> DecodeReason {
    MessageView::new(bytes).unwrap().check().unwrap_err().reason
}

#[test]
fn pointers_that_loop_or_point_forwards_are_refused() {
    for pointer in [0xc00c_u16, 0xc00d, 0xc00e, 0xffff] {
        let mut message = header([1, 0, 0, 0]);
        message.put_u16(pointer);
        message.put_slice(&[0, 1, 0, 1]);
        assert_eq!(reason(&message), DecodeReason::PointerNotBackwards);
    }
    // Two names that point at each other.
    let mut message = header([2, 0, 0, 0]);
    message.put_slice(&[0xc0, 18, 0, 1, 0, 1, 0xc0, 12, 0, 1, 0, 1]);
    assert_eq!(reason(&message), DecodeReason::PointerNotBackwards);
    // A label, then a pointer to that label.
    let mut message = header([1, 0, 0, 0]);
    message.put_slice(&[1, b'a', 0xc0, 12, 0, 1, 0, 1]);
    assert_eq!(reason(&message), DecodeReason::PointerNotBackwards);
}

#[test]
fn sixty_four_kibibytes_of_pointers_are_bounded_work() {
    let mut message = header([1, 0, 0, 0]);
    message.put_u8(0);
    message.put_slice(&[0, 1, 0, 1]);
    // Each points at the one before; the names that the many records below have end in this chain.
    let mut at = 12;
    while message.len() < 16_000 {
        let next = message.len();
        message.put_u16(0xc000 | at as u16);
        at = next;
    }
    assert_eq!(NameRef::read(&message, at).unwrap_err().reason, DecodeReason::TooManyPointers);

    // As many records as fit, each owner as costly as allowed: 127 pieces of one label.
    let mut message = header([0, 0xffff, 0, 0]);
    let mut at = 12;
    message.put_slice(&[0, 0, 16, 0, 1, 0, 0, 0, 0, 0x3f, 0]);
    message[12 + 9..12 + 11].copy_from_slice(&(127_u16 * 4).to_be_bytes());
    for _ in 0..127 {
        let next = message.len();
        message.put_slice(&[1, b'a']);
        message.put_u16(0xc000 | at as u16);
        at = next;
    }
    while message.len() + 12 <= 65_535 {
        message.put_u16(0xc000 | at as u16);
        message.put_slice(&[0, 99, 0, 1, 0, 0, 0, 0, 0, 0]);
    }
    let view = MessageView::new(&message).unwrap();
    let records = view.answers().filter_map(Result::ok).filter(|r| r.owner().is_ok()).count();
    assert!(records < 6000);
    assert!(view.check().is_err());
}

/// The owned copy says what the view says, and one is refused when the other is.
fn copied_as_seen(bytes: &[u8]) {
    let Ok(view) = MessageView::new(bytes) else { return assert!(Message::decode(bytes).is_err()) };
    let copy = Message::decode(bytes);
    assert_eq!(copy.is_ok(), view.check().is_ok(), "{bytes:02x?}");
    let Ok(copy) = copy else { return };
    assert_eq!(copy.questions.len(), view.questions().count());
    for (copy, seen) in copy.questions.iter().zip(view.questions().map(Result::unwrap)) {
        assert!(copy.name.as_ref().eq_with_case(seen.name), "{copy:?} {seen:?}");
        assert_eq!((copy.rtype, copy.class), (seen.rtype, seen.class));
    }
    let seen = view.records().map(Result::unwrap).filter(|record| record.rtype() != RecordType::OPT);
    let mut copies = copy.records();
    for seen in seen {
        let copy = copies.next().unwrap();
        assert!(copy.name.as_ref().eq_with_case(seen.owner().unwrap()), "{copy:?} {seen:?}");
        assert_eq!((copy.rtype(), copy.class, copy.ttl), (seen.rtype(), seen.class(), seen.raw_ttl()));
        match seen.data().unwrap() {
            // As it lies in the message: names inside may be compressed.
            RecordData::Other(..) => assert!(copy.data.as_wire().len() >= seen.raw_data().len()),
            data => assert_eq!(copy.data.data(), data),
        }
        assert_eq!(seen.to_record().as_ref(), Ok(copy));
    }
    assert_eq!(copies.next(), None);
}

#[test]
fn what_is_copied_is_what_is_seen_whatever_byte_changes() {
    let long = name(&format!("{}.example.org.", "l".repeat(40)));
    let mut message = Message { edns: Some(Edns::default()), ..Message::default() };
    message.questions.push(Question {
        name: name("www.example.org."),
        rtype: RecordType::A,
        class: Class::IN,
    });
    let record = |owner: &Name, data| Record::new(owner.clone(), 60, data);
    for (index, owner) in
        ["www.example.org.", "www.example.org.", "example.org.", "b.example.org."].iter().enumerate()
    {
        message.answers.push(record(&name(owner), Rdata::a([192, 0, 2, index as u8].into())));
    }
    for server in ["a.ns.example.org.", "b.ns.example.org."].map(name).iter().chain([&long, &long]) {
        message.authorities.push(record(&name("example.org."), Rdata::ns(server)));
        message.authorities.push(record(server, Rdata::mx(10, server)));
        message.additionals.push(record(server, Rdata::aaaa(core::net::Ipv6Addr::LOCALHOST)));
        message.additionals.push(record(server, Rdata::txt(&[b'x'; 60])));
        message
            .additionals
            .push(record(server, Rdata::new(RecordType(65_400), Bytes::from_static(&[7; 30])).unwrap()));
    }
    let mut out = BytesMut::new();
    message.encode(&mut out).unwrap();
    assert_eq!(Message::decode(&out).as_ref(), Ok(&message));
    copied_as_seen(&out);
    for at in 0..out.len() {
        let was = out[at];
        for changed in [0, 1, was ^ 1, 0x3f, 0xc0, 0xff] {
            out[at] = changed;
            copied_as_seen(&out);
        }
        out[at] = was;
        copied_as_seen(&out[..at]);
    }
}

#[test]
fn names_end_at_255_bytes() {
    let label = "a".repeat(63);
    let longest = format!("{label}.{label}.{label}.{}", "a".repeat(61));
    assert_eq!(name(&longest).as_wire().len(), 255);
    assert!(format!("{longest}a").parse::<Name>().is_err());
    assert!(format!("{label}a").parse::<Name>().is_err());
    let mut wire = BytesMut::from(&name(&longest).as_wire()[..254]);
    wire.put_slice(&[1, b'b', 0]);
    assert_eq!(NameRef::read(&wire, 0).unwrap_err().reason, DecodeReason::NameTooLong);
    // The same through a pointer.
    let mut wire = BytesMut::from(name(&longest).as_wire());
    let at = wire.len();
    wire.put_slice(&[1, b'b', 0xc0, 0]);
    assert_eq!(NameRef::read(&wire, at).unwrap_err().reason, DecodeReason::NameTooLong);
    assert_eq!(NameRef::read(&[0x40, 0], 0).unwrap_err().reason, DecodeReason::BadLabelType);
    assert_eq!(NameRef::read(&[0xc0], 0).unwrap_err().reason, DecodeReason::UnexpectedEnd);
}

/// A message with something of everything.
fn sample() -> Message {
    let (zone, host) = (name("Example.org"), name("ns1.example.org"));
    let soa = Soa {
        mname: host.as_ref(),
        rname: zone.as_ref(),
        serial: 1,
        refresh: 2,
        retry: 3,
        expire: 4,
        minimum: 5,
    };
    let text = |rtype, text: &str| Record::new(zone.clone(), 60, Rdata::from_text(rtype, text).unwrap());
    Message {
        id: 4711,
        flags: Flags::default().with_response(true).with_recursion_desired(true),
        rcode: Rcode::BADCOOKIE,
        questions: vec![Question { name: name("www.example.org"), rtype: RecordType::ANY, class: Class::IN }],
        answers: vec![
            Record::new(name("www.example.org"), 300, Rdata::a([192, 0, 2, 1].into())),
            Record::new(zone.clone(), 300, Rdata::mx(10, &host)),
            Record::new(zone.clone(), 300, Rdata::txt(&[b'x'; 600])),
            text(RecordType::HTTPS, "1 . alpn=\"h2,h3\" port=8443 ipv4hint=192.0.2.1"),
            text(RecordType::NSEC, "a.example.org. A NS TYPE1234"),
            text(RecordType::CAA, "0 issue \"ca.example\""),
            text(RecordType(65_280), "\\# 3 010203"),
        ],
        authorities: vec![
            Record::new(zone.clone(), 60, Rdata::soa(&soa)),
            Record::new(zone, 60, Rdata::ns(&host)),
        ],
        additionals: vec![Record::new(host, 60, Rdata::aaaa("2001:db8::1".parse().unwrap()))],
        edns: Some(Edns {
            dnssec_ok: true,
            options: vec![
                EdnsOption::Nsid(Bytes::from_static(b"ns")),
                EdnsOption::Keepalive(Some(100)),
                EdnsOption::Padding(5),
                EdnsOption::ExtendedError(15, Bytes::from_static(b"blocked")),
            ],
            ..Edns::default()
        }),
    }
}

#[test]
fn a_message_of_everything_survives_the_wire() {
    let message = sample();
    let mut out = BytesMut::new();
    let len = message.encode(&mut out).unwrap();
    assert_eq!(len, out.len());
    assert_eq!(Message::decode(&out).unwrap(), message);
    let view = MessageView::new(&out).unwrap();
    assert_eq!(view.rcode().unwrap(), Rcode::BADCOOKIE);
    assert_eq!(view.opt().unwrap().unwrap().udp_payload_size(), 1232);
    let addresses: Vec<_> = view
        .answers()
        .map(Result::unwrap)
        .filter_map(|record| match record.data().unwrap() {
            RecordData::A(address) => Some(address),
            _ => None,
        })
        .collect();
    assert_eq!(addresses, ["192.0.2.1".parse::<std::net::Ipv4Addr>().unwrap()]);
    // Names were compressed: the zone's name stands in the message once.
    let zone = b"\x07example\x03org";
    let count = out.windows(zone.len()).filter(|w| w.eq_ignore_ascii_case(zone)).count();
    // Once in full; the NSEC and MX data: RFC 3597 forbids the former.
    assert_eq!(count, 2);
}

#[test]
fn every_cut_and_every_flipped_bit_is_an_answer_or_an_error() {
    let mut out = BytesMut::new();
    sample().encode(&mut out).unwrap();
    for cut in 0..out.len() {
        let decoded = Message::decode(&out[..cut]);
        assert!(decoded.is_err(), "cut at {cut}");
    }
    for bit in 0..out.len() * 8 {
        let mut bytes = out.to_vec();
        bytes[bit / 8] ^= 1 << (bit % 8);
        if let Ok(message) = Message::decode(&bytes) {
            let mut again = BytesMut::new();
            message.encode(&mut again).unwrap();
            assert_eq!(Message::decode(&again).unwrap(), message, "bit {bit}");
        }
    }
}

#[test]
fn two_opt_records_or_one_in_the_wrong_place_are_refused() {
    let opt = [0, 0, 41, 4, 0, 0, 0, 0, 0, 0, 0];
    let mut message = header([0, 0, 0, 2]);
    message.put_slice(&opt);
    message.put_slice(&opt);
    assert_eq!(reason(&message), DecodeReason::SecondOpt);
    let mut message = header([0, 1, 0, 0]);
    message.put_slice(&opt);
    assert_eq!(reason(&message), DecodeReason::MisplacedOpt);
    let mut message = header([0, 0, 0, 1]);
    message.put_slice(&[1, b'a']);
    message.put_slice(&opt);
    assert_eq!(reason(&message), DecodeReason::MisplacedOpt);
}

#[test]
fn a_builder_never_passes_its_limit_and_ends_behind_a_whole_record() {
    for limit in 12..700 {
        let mut out = BytesMut::from(&b"before"[..]);
        let mut builder = MessageBuilder::new(&mut out, 1, Flags::default());
        builder.limit(limit);
        let mut full = 0;
        for i in 0..40 {
            let owner = name(&format!("host-{}.example.org", i % 7));
            let data = Rdata::cname(&name(&format!("target-{}.example.net", i % 5)));
            full += usize::from(
                builder.record(Section::Answer, owner.as_ref(), Class::IN, 60, &data) == Err(NoRoom::Full),
            );
        }
        let len = builder.finish();
        assert!(len <= limit);
        let message = Message::decode(&out[6..]).unwrap();
        assert_eq!(message.answers.len(), 40 - full);
    }
    let mut out = BytesMut::new();
    let mut builder = MessageBuilder::new(&mut out, 1, Flags::default());
    let (root, data) = (Name::root(), Rdata::a([0; 4].into()));
    builder.record(Section::Additional, root.as_ref(), Class::IN, 0, &data).unwrap();
    assert_eq!(builder.record(Section::Answer, root.as_ref(), Class::IN, 0, &data), Err(NoRoom::SectionOver));
}

#[test]
fn names_are_ordered_as_rfc_4034_shows() {
    let mut names: Vec<Name> = [
        "example",
        "a.example",
        "yljkjljk.a.example",
        "Z.a.example",
        "zABC.a.EXAMPLE",
        "z.example",
        "\\001.z.example",
        "*.z.example",
        "\\200.z.example",
    ]
    .map(name)
    .to_vec();
    let expected = names.clone();
    names.reverse();
    names.sort();
    assert_eq!(names, expected);
}

#[test]
fn suffixes_are_replaced_and_joined() {
    let www = name("www.example.org");
    assert_eq!(www.replace_suffix(&name("EXAMPLE.org"), &name("test")).unwrap(), Some(name("www.test")));
    assert_eq!(www.replace_suffix(&www, &name("test")).unwrap(), None);
    assert_eq!(www.replace_suffix(&name("ample.org"), &name("test")).unwrap(), None);
    assert_eq!(name("www").join(&name("example.org")).unwrap(), www);
    assert_eq!(Name::root().join(&www).unwrap(), www);
    assert_eq!(www.join(&Name::root()).unwrap(), www);
    assert!(www.is_within(&name("org")) && www.is_within(&www) && !name("org").is_within(&www));
    assert_eq!(www.parent(), Some(name("example.org")));
    assert_eq!(Name::reverse([192, 0, 2, 105].into()), name("105.2.0.192.in-addr.arpa"));
    assert_eq!(Name::reverse("2001:db8::1".parse().unwrap()).as_wire().len(), 74);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_bytes_decode_or_fail_and_come_back(seed in any::<u64>(), len in 0..400_usize) {
        // Random bytes fail early: a sample with random damage goes deeper.
        let mut rng = Seed::from_u64(seed).rng();
        let mut out = BytesMut::new();
        sample().encode(&mut out).unwrap();
        for _ in 0..rng.below(12) {
            let at = rng.below(out.len() as u64) as usize;
            out[at] = rng.u16() as u8;
        }
        out.truncate(out.len().min(len + 200));
        if let Ok(message) = Message::decode(&out) {
            let mut again = BytesMut::new();
            message.encode(&mut again).unwrap();
            prop_assert_eq!(Message::decode(&again).unwrap(), message);
        }
        let mut noise = vec![0; len];
        rng.fill(&mut noise);
        if let Ok(view) = MessageView::new(&noise) {
            let _ = view.check();
        }
    }

    #[test]
    fn names_come_back_from_their_text(labels in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..20), 0..8)) {
        let name = Name::from_labels(labels.iter().map(Vec::as_slice)).unwrap();
        prop_assert!(name.to_string().parse::<Name>().unwrap().as_ref().eq_with_case(name.as_ref()));
    }

    #[test]
    fn any_text_reads_or_fails(text in ".{0,200}") {
        let config = glowplug_dns::text::ZoneConfig::new(Name::root());
        for entry in glowplug_dns::text::ZoneReader::new(text.as_bytes(), config) {
            let _ = entry;
        }
    }
}
