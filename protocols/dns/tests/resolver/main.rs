//! The resolver, on a network of its own that loses, repeats and reorders.

mod anything;
mod net;
mod patience;

use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use std::collections::BTreeSet;

use glowplug_core::Token;
use glowplug_dns::resolver::{
    Answer, Channel, Freshness, Hosts, LookupError, Request, ResolvConf, ResolverConfig, SearchStyle, Source,
    StaleConfig, candidate_names,
};
use glowplug_dns::{Name, Rcode, RecordType};

use net::*;

#[test]
fn candidate_names_are_those_of_the_c_library() {
    use SearchStyle::{Glibc, Musl};
    let search = [name("corp.example"), name("example")];
    let table: &[(&str, u32, SearchStyle, &[&str])] = &[
        ("www", 1, Glibc, &["www.corp.example.", "www.example.", "www."]),
        ("www.a", 1, Glibc, &["www.a.", "www.a.corp.example.", "www.a.example."]),
        ("www.a", 2, Glibc, &["www.a.corp.example.", "www.a.example.", "www.a."]),
        ("www.a.b", 2, Glibc, &["www.a.b.", "www.a.b.corp.example.", "www.a.b.example."]),
        ("www.", 1, Glibc, &["www."]),
        ("www", 0, Glibc, &["www.", "www.corp.example.", "www.example."]),
        ("www.a.", 5, Glibc, &["www.a."]),
        ("a.b.c.d", 5, Glibc, &["a.b.c.d.corp.example.", "a.b.c.d.example.", "a.b.c.d."]),
        ("www", 1, Musl, &["www.corp.example.", "www.example.", "www."]),
        ("www.a", 1, Musl, &["www.a."]),
        ("www.a", 2, Musl, &["www.a.corp.example.", "www.a.example.", "www.a."]),
        ("www.", 5, Musl, &["www."]),
    ];
    for (host, ndots, style, expected) in table {
        let names = candidate_names(host, &search, *ndots, *style).unwrap();
        assert_eq!(names.iter().map(ToString::to_string).collect::<Vec<_>>(), *expected, "{host} {ndots}");
    }
    // The root in the list is the name as it is.
    let names = candidate_names("www", &[Name::root(), name("example")], 1, Glibc).unwrap();
    assert_eq!(names, [name("www"), name("www.example")]);
    assert!(candidate_names("a..b", &search, 1, Glibc).is_err());
    // A name that the list makes too long is left out.
    let long = format!("{0}.{0}.{0}.{1}", "a".repeat(63), "b".repeat(60));
    assert_eq!(candidate_names(&long, &search, 9, Glibc).unwrap().len(), 1);
}

#[test]
fn resolv_conf_is_read_as_the_c_library_reads_it() {
    let conf = ResolvConf::parse(
        b"# comment\n; comment\nnameserver 192.0.2.1\nnameserver fe80::1%3\nnameserver nonsense\n\
          domain gone.example\nsearch a.example b.example.\nnameserver 2001:db8::1 trailing\nnameserver 192.0.2.9\n\
          options ndots:99 timeout:0 attempts:9 rotate use-vc trust-ad no-aaaa edns0 unknown:1\n\
          options no-tld-query\nsortlist 10.0.0.0\n\xff\xfe\n",
    );
    let servers: Vec<SocketAddr> =
        ["192.0.2.1:53", "[fe80::1%3]:53", "[2001:db8::1]:53"].map(|s| s.parse().unwrap()).to_vec();
    assert_eq!(conf.servers, servers);
    assert_eq!(conf.search, [name("a.example"), name("b.example")]);
    assert_eq!((conf.ndots, conf.timeout, conf.attempts), (15, Duration::from_secs(1), 5));
    assert!(conf.rotate && conf.use_vc && conf.trust_ad && conf.no_aaaa && conf.edns0 && conf.no_tld_query);
    assert_eq!(ResolvConf::parse(b""), ResolvConf::default());
    let config = ResolverConfig::from(&conf);
    assert!(config.tcp_only && !config.ipv6 && config.no_tld_query);
}

#[test]
fn addresses_come_from_both_families_and_through_aliases() {
    let mut net = plain();
    assert_eq!(net.addresses("www"), Ok(set(&["192.0.2.1", "192.0.2.2", "2001:db8::1"])));
    assert_eq!(net.addresses("alias.example.test"), Ok(set(&["192.0.2.1", "192.0.2.2", "2001:db8::1"])));
    assert_eq!(net.addresses("only4.example.test."), Ok(set(&["192.0.2.4"])));
    // The alias leads to another zone, about which the first answer says nothing.
    assert_eq!(net.addresses("far.example.test"), Ok(set(&["192.0.2.99"])));
    assert_eq!(net.addresses("www.old.example.test"), Ok(set(&["192.0.2.9"])));
    let (answers, _) = net.ask(Request::records(name("www.old.example.test"), RecordType::A));
    let chain: Vec<_> = answers[0].chain.iter().map(glowplug_dns::Record::rtype).collect();
    assert_eq!(chain, [RecordType::CNAME]);
    assert_eq!(answers[0].name, name("www.new.example.test"));
    assert_eq!(net.addresses("loop1.example.test."), Err(LookupError::AliasLoop));
    assert_eq!(net.addresses("nobody.example.test."), Err(LookupError::NoSuchName));
    assert_eq!(net.addresses("corp.example.test."), Err(LookupError::NoRecords));
    assert_eq!(net.addresses("app.corp"), Ok(set(&["192.0.2.77"])));
    assert!(matches!(net.addresses("a..b"), Err(LookupError::BadName(_))));
    assert_eq!(net.resolver.in_flight(), 0);
}

#[test]
fn what_needs_no_server_asks_none() {
    let mut net = plain();
    assert_eq!(net.addresses("192.0.2.5"), Ok(set(&["192.0.2.5"])));
    assert_eq!(net.addresses("::5"), Ok(set(&["::5"])));
    assert_eq!(net.addresses("LocalHost"), Ok(set(&["127.0.0.1", "::1"])));
    assert_eq!(net.addresses("a.localhost."), Ok(set(&["127.0.0.1", "::1"])));
    assert_eq!(net.addresses("PRINTER"), Ok(set(&["192.0.2.200", "::7"])));
    let only4 = Request::Addresses { host: "::5".into(), families: [true, false] };
    assert_eq!(net.ask(only4).1, Err(LookupError::NoRecords));
    let (answers, _) = net.ask(Request::Reverse("192.0.2.200".parse().unwrap()));
    assert_eq!((answers[0].source, answers[0].records().len()), (Source::Hosts, 1));
    assert_eq!(net.queries(1), 0);
    let mut none = Net::new(&[], 1, |_| {});
    assert_eq!(none.addresses("www"), Err(LookupError::NoServers));
}

#[test]
fn answers_are_kept_for_their_time_and_absence_too() {
    let mut net = plain();
    let request = || Request::records(name("WWW.example.test"), RecordType::A);
    assert_eq!(net.ask(request()).0[0].source, Source::Server);
    net.now += Duration::from_secs(100);
    let cached = net.ask(request()).0.remove(0);
    assert_eq!(cached.source, Source::Cache);
    assert!(cached.valid_for < Duration::from_secs(201) && cached.valid_for > Duration::from_secs(199));
    assert_eq!(net.queries(1), 1);
    net.now += Duration::from_secs(201);
    assert_eq!(net.ask(request()).0[0].source, Source::Server);
    assert_eq!(net.queries(1), 2);
    // NXDOMAIN: the SOA says 60 seconds.
    let nobody = || Request::records(name("nobody.example.test"), RecordType::A);
    for _ in 0..3 {
        assert_eq!(net.ask(nobody()).1, Err(LookupError::NoSuchName));
    }
    assert_eq!(net.queries(1), 3);
    net.now += Duration::from_secs(61);
    assert_eq!(net.ask(nobody()).1, Err(LookupError::NoSuchName));
    assert_eq!(net.queries(1), 4);
    net.resolver.clear_cache();
    assert_eq!(net.resolver.cached(), 0);
}

#[test]
fn the_cache_stays_within_its_bound() {
    let mut net = Net::new(&[(1, WELL)], 1, |config| config.cache_entries = 8);
    for i in 0..50 {
        let _ = net.ask(Request::records(name(&format!("n{i}.example.test")), RecordType::A));
        // What is used often stays.
        let _ = net.ask(Request::records(name("www.example.test"), RecordType::A));
    }
    assert_eq!(net.resolver.cached(), 8);
    assert!(net.queries(1) <= 53, "{}", net.queries(1));
}

#[test]
fn lookups_of_one_name_share_a_query_and_a_full_resolver_says_so() {
    let mut net = Net::new(&[(1, WELL)], 1, |config| config.max_lookups = 100);
    let request = || Request::records(name("www.example.test"), RecordType::A);
    for token in 1000..1100 {
        net.resolver.submit(net.now, Token(token), request()).unwrap();
    }
    assert!(net.resolver.submit(net.now, Token(1), request()).is_err());
    // Those who go away take nothing from the others.
    (1000..1050).for_each(|token| net.resolver.cancel(Token(token)));
    net.run();
    assert_eq!(net.queries(1), 1);
    assert_eq!(net.done.len(), 50);
    assert!(net.done.values().all(|(answers, result, _)| result.is_ok() && answers[0].records().len() == 2));
    // When all go away, so does the query.
    net.resolver.submit(net.now, Token(1), Request::records(name("x.example.test"), RecordType::A)).unwrap();
    net.resolver.cancel(Token(1));
    assert_eq!(net.resolver.poll_order(), None);
    assert_eq!(net.resolver.poll_timeout(), None);
}

#[test]
fn servers_with_bad_manners_are_understood() {
    let www = set(&["192.0.2.1", "192.0.2.2", "2001:db8::1"]);
    for manners in [
        Manners { no_edns: Some(Rcode::FORMERR), ..WELL },
        Manners { no_edns: Some(Rcode::NOTIMP), ..WELL },
        Manners { lower: true, ..WELL },
        Manners { truncate: true, ..WELL },
        Manners { cookies: true, ..WELL },
    ] {
        let mut net = Net::new(&[(1, manners)], 2, |_| {});
        assert_eq!(net.addresses("www.example.test"), Ok(www.clone()), "{manners:?}");
        let tcp = net.seen.contains_key(&(address(1), Channel::Tcp));
        assert_eq!(tcp, manners.lower || manners.truncate, "{manners:?}");
        // The second time, what was learned is known: one query a type, two where each needs TCP.
        let before = net.queries(1);
        assert_eq!(net.addresses("only4.example.test."), Ok(set(&["192.0.2.4"])));
        let each = if tcp { 2 } else { 1 };
        assert_eq!(net.queries(1) - before, 2 * each, "{manners:?}");
    }
    let mut net = Net::new(&[(1, Manners { servfail: true, ..WELL }), (2, WELL)], 2, |_| {});
    assert_eq!(net.addresses("www"), Ok(www));
    let mut net = Net::new(&[(1, Manners { servfail: true, ..WELL })], 2, |_| {});
    assert_eq!(net.addresses("www."), Err(LookupError::Refused(Rcode::SERVFAIL)));
}

#[test]
fn a_dead_server_is_left_alone_and_comes_back() {
    let mut net =
        Net::new(&[(1, Manners { dead: true, ..WELL }), (2, WELL)], 3, |config| config.cache_entries = 0);
    assert!(net.addresses("www").is_ok());
    let at_first = net.queries(1);
    for _ in 0..20 {
        net.now += Duration::from_millis(10);
        assert!(net.addresses("www").is_ok());
    }
    assert_eq!(net.queries(1), at_first, "a server that is down was asked");
    // Rested, it gets a share of probes; nobody waits for them.
    net.now += Duration::from_secs(120);
    net.servers.insert(address(1), WELL);
    for _ in 0..60 {
        net.now += Duration::from_secs(1);
        assert!(net.addresses("www").is_ok());
    }
    let (first, second) = (net.queries(1), net.queries(2));
    assert!(net.addresses("www").is_ok());
    assert_eq!(
        (net.queries(1) - first, net.queries(2) - second),
        (2, 0),
        "the first server is back in its place"
    );
}

#[test]
fn what_is_out_of_date_serves_when_nobody_answers() {
    let config = |config: &mut ResolverConfig| config.stale = Some(StaleConfig::default());
    let mut net = Net::new(&[(1, WELL)], 4, config);
    let request = || Request::records(name("www.example.test"), RecordType::A);
    assert_eq!(net.ask(request()).0[0].freshness, Freshness::Fresh);
    net.now += Duration::from_secs(400);
    net.servers.insert(address(1), Manners { dead: true, ..WELL });
    let before = net.now;
    net.resolver.submit(net.now, Token(9), request()).unwrap();
    net.run();
    let (answers, result, at) = net.done.remove(&Token(9)).unwrap();
    assert!(result.is_ok());
    assert_eq!(at - before, Duration::from_millis(1800));
    assert!(matches!(answers[0].freshness, Freshness::Stale(_)));
    assert_eq!(answers[0].valid_for, Duration::from_secs(30));
    // The flight went on and failed: for a while the stale answer comes at once.
    let asked = net.queries(1);
    assert!(matches!(net.ask(request()).0[0].freshness, Freshness::Stale(_)));
    assert_eq!(net.queries(1), asked);
    // Fresh again, and not with the stale time.
    net.servers.insert(address(1), WELL);
    net.now += Duration::from_secs(200);
    let fresh = net.ask(request()).0.remove(0);
    assert_eq!((fresh.freshness, fresh.valid_for), (Freshness::Fresh, Duration::from_secs(300)));
    // Too old is gone.
    net.now += Duration::from_secs(300 + 86_400);
    net.servers.insert(address(1), Manners { dead: true, ..WELL });
    assert!(net.ask(request()).1.is_err());
}

#[test]
fn another_configuration_takes_effect_and_empties_the_cache() {
    let mut net = plain();
    assert!(net.addresses("www").is_ok());
    net.servers.insert(address(2), WELL);
    let config = ResolverConfig { servers: vec![address(2)], ..ResolverConfig::default() };
    net.resolver.replace_config(config, Hosts::default());
    assert_eq!(net.resolver.cached(), 0);
    assert_eq!(net.addresses("www"), Err(LookupError::NoSuchName));
    assert!(net.queries(2) > 0);
}

#[test]
fn a_lookup_ends_by_its_deadline() {
    let dead = Manners { dead: true, ..WELL };
    let mut net =
        Net::new(&[(1, dead), (2, dead)], 5, |config| config.lookup_timeout = Duration::from_secs(3));
    let before = net.now;
    net.resolver.submit(net.now, Token(1), Request::addresses("www")).unwrap();
    net.run();
    let (_, result, at) = net.done.remove(&Token(1)).unwrap();
    assert_eq!((result, at - before), (Err(LookupError::TimedOut), Duration::from_secs(3)));
}

#[test]
fn under_loss_repetition_and_a_dead_server_every_lookup_ends_right_or_by_name() {
    let (mut right, mut wrong) = (0, 0);
    // More on demand: the network is quick.
    let seeds = std::env::var("GLOWPLUG_SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(200);
    for seed in 0..seeds {
        let mut net = Net::new(&[(1, Manners { dead: true, ..WELL }), (2, WELL), (3, WELL)], seed, |_| {});
        net.loss = 30;
        let hosts = ["www", "alias", "far", "only4", "nobody", "www.old", "loop1"];
        let start = net.now;
        for (i, host) in hosts.iter().enumerate() {
            net.resolver.submit(net.now, Token(i as u64 + 1_000_000), Request::addresses(host)).unwrap();
        }
        net.run();
        assert_eq!(net.done.len(), hosts.len(), "seed {seed}");
        for (i, host) in hosts.iter().enumerate() {
            let (answers, result, at) = &net.done[&Token(i as u64 + 1_000_000)];
            assert!(*at - start <= Duration::from_secs(15), "seed {seed}: {host}");
            let found: BTreeSet<IpAddr> = answers.iter().flat_map(Answer::addresses).collect();
            match result {
                Ok(()) => {
                    let whole = match *host {
                        "www" | "alias" => set(&["192.0.2.1", "192.0.2.2", "2001:db8::1"]),
                        "far" => set(&["192.0.2.99"]),
                        "only4" => set(&["192.0.2.4"]),
                        "www.old" => set(&["192.0.2.9"]),
                        other => panic!("seed {seed}: {other} has addresses: {found:?}"),
                    };
                    assert!(!found.is_empty() && found.is_subset(&whole), "seed {seed}: {host}: {found:?}");
                    right += 1;
                }
                Err(LookupError::NoSuchName) => assert_eq!(*host, "nobody", "seed {seed}"),
                Err(LookupError::AliasLoop) => assert_eq!(*host, "loop1", "seed {seed}"),
                Err(LookupError::TimedOut | LookupError::Exchange(_)) => wrong += 1,
                Err(error) => panic!("seed {seed}: {host}: {error}"),
            }
        }
        assert_eq!(net.resolver.in_flight(), 0);
    }
    assert!(wrong * 20 < right, "{wrong} of {right} failed");
}
