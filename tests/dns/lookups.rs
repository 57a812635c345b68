//! What people look up.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::{join, join_all};
use glowplug::dns::resolver::{Channel, LookupError, ResolverConfig, Source};
use glowplug::dns::{Rcode, Rdata, Record, RecordType, Response};
use glowplug::runtime::dial::{Dialer, Resolve};
use glowplug::runtime::dns::{Handler as _, Resolver, ServerConfig, SocketConfig, config_of};
use glowplug::runtime::http::{Client, Reaper};
use glowplug::runtime::time::sleep;
use glowplug::runtime::{Endpoint, Listener as _, Spawn};
use glowplug::sim::{Simulation, seeds};

use crate::support::{self, accept, any_port, read_some, write};
use crate::world::*;

support::on_each_executor![
    every_kind_of_record,
    addresses_come_as_they_arrive,
    what_does_not_exist,
    absence_is_an_answer_for_whoever_wants_it,
    what_a_connection_string_of_mongodb_asks,
    an_http_client_that_asks_this_resolver,
    the_search_list_and_the_hosts_file,
    a_cached_answer_asks_nobody,
    lookups_of_one_name_share_a_query,
    what_is_cut_off_comes_over_tcp,
    a_server_that_speaks_tcp_only,
    many_at_once_by_many_ports,
    more_lookups_than_may_run,
    another_configuration_while_running,
    without_a_server,
    a_dialer_that_asks_this_resolver,
    lookups_outlive_their_resolver,
];

fn text(addresses: impl Iterator<Item = IpAddr>) -> BTreeSet<String> {
    addresses.map(|address| address.to_string()).collect()
}

async fn every_kind_of_record<R: Plug>(runtime: R) {
    with_resolver(&runtime, async |resolver| {
        let www = resolver.lookup_ip("www.example.test").await.expect("addresses");
        let expected = ["192.0.2.1", "192.0.2.2", "2001:db8::1"].map(str::to_owned);
        assert_eq!(text(www.iter()), BTreeSet::from(expected));
        assert_eq!(www.answers().len(), 2);
        assert_eq!(www.valid_for(), Duration::from_secs(300));
        let alias = resolver.lookup("alias.example.test", RecordType::A).await.expect("an answer");
        assert_eq!((alias.name.to_string().as_str(), alias.chain.len()), ("www.example.test.", 1));
        assert_eq!(alias.addresses().count(), 2);
        let mx = resolver.mx("example.test").await.expect("mail hosts");
        let mx: Vec<_> = mx.iter().map(|mx| (mx.preference, mx.host.to_string())).collect();
        assert_eq!(mx, [(10, "first.example.test.".to_owned()), (20, "second.example.test.".to_owned())]);
        let srv = resolver.srv("_imap._tcp.example.test").await.expect("services");
        let srv: Vec<_> = srv.iter().map(|srv| (srv.port, srv.target.to_string())).collect();
        assert_eq!(srv, [(143, "first.example.test.".to_owned()), (143, "second.example.test.".to_owned())]);
        assert_eq!(resolver.srv("_none._tcp.example.test").await.expect("an answer"), []);
        let txt = resolver.txt(name("words.example.test")).await.expect("texts");
        assert_eq!(txt, [&b"one and two"[..]]);
        let names = resolver.reverse([192, 0, 2, 1].into()).await.expect("a name");
        assert_eq!(names, [name("www.example.test")]);
        let soa = resolver.lookup("example.test", RecordType::SOA).await.expect("an answer");
        assert_eq!(soa.records().len(), 1);
    })
    .await;
}

async fn addresses_come_as_they_arrive<R: Plug>(runtime: R) {
    let zones = zones();
    let clock = runtime.clone();
    // Whoever asks for AAAA waits until A has been seen.
    let seen: Arc<Mutex<bool>> = Arc::default();
    let seen_there = Arc::clone(&seen);
    let answers = Answers::new(move |asked| {
        let (zones, clock, seen) = (zones.clone(), clock.clone(), Arc::clone(&seen_there));
        async move {
            while asked.query.rtype() == RecordType::AAAA && !*seen.lock().expect("a flag") {
                sleep(&clock, Duration::from_millis(1)).await;
            }
            zones.respond(&asked.query)
        }
    });
    with_server(&runtime, ServerConfig::default(), answers, async |at| {
        let resolver = resolver(&runtime, config(at));
        let mut lookup = resolver.lookup_ip("www.example.test");
        let first = lookup.next().await.expect("an answer").expect("addresses");
        assert_eq!(first.rtype, RecordType::A);
        *seen.lock().expect("a flag") = true;
        let second = lookup.next().await.expect("an answer").expect("addresses");
        assert_eq!(second.rtype, RecordType::AAAA);
        assert!(lookup.next().await.is_none());
        assert!(lookup.next().await.is_none(), "the end stays the end");
    })
    .await;
}

async fn what_does_not_exist<R: Plug>(runtime: R) {
    with_resolver(&runtime, async |resolver| {
        let gone = resolver.lookup_ip("nothing.example.test").await;
        assert_eq!(gone, Err(LookupError::NoSuchName));
        let none = resolver.mx("www.example.test").await;
        assert_eq!(none, Err(LookupError::NoRecords));
        let looped = resolver.lookup("loop1.example.test", RecordType::A).await;
        assert_eq!(looped.expect_err("a loop"), LookupError::AliasLoop);
        let bad = resolver.lookup("a..b", RecordType::A).await;
        assert!(matches!(bad, Err(LookupError::BadName(_))), "{bad:?}");
        let bad = resolver.lookup_ip(&"a".repeat(64)).await;
        assert!(matches!(bad, Err(LookupError::BadName(_))), "{bad:?}");
        // One family only is no error.
        let only4 = resolver.lookup_ip("only4.example.test").await.expect("addresses");
        assert_eq!(text(only4.iter()), BTreeSet::from(["192.0.2.4".to_owned()]));
    })
    .await;
}

async fn absence_is_an_answer_for_whoever_wants_it<R: Plug>(runtime: R) {
    with_resolver(&runtime, async |resolver| {
        for source in [Source::Server, Source::Cache] {
            let cases = [
                ("gone.example.test", Rcode::NXDOMAIN, 0, 1),
                ("www.example.test", Rcode::NOERROR, 0, 1),
                ("alias.example.test", Rcode::NOERROR, 1, 1),
                ("example.test", Rcode::NOERROR, 2, 0),
            ];
            for (text, rcode, answers, soas) in cases {
                let whole = resolver.whole(text, RecordType::MX).await.expect("an answer");
                assert_eq!((whole.rcode, whole.source), (rcode, source), "{text}");
                assert_eq!(whole.soa().is_some(), soas == 1, "{text}");
                // What a forwarder passes on: RFC 2308 section 5 has the SOA record's smaller time.
                let response = Response::from(&whole);
                assert_eq!((response.answers.len(), response.authorities.len()), (answers, soas), "{text}");
                assert!(
                    response.authorities.iter().all(|soa| soa.rtype() == RecordType::SOA && soa.ttl <= 60)
                );
            }
        }
        // For everybody else it is what it was.
        assert_eq!(resolver.mx("www.example.test").await, Err(LookupError::NoRecords));
    })
    .await;
}

/// `mongodb+srv://cluster.example.test`: hosts by SRV, options by TXT, side by side.
async fn what_a_connection_string_of_mongodb_asks<R: Plug>(runtime: R) {
    with_resolver(&runtime, async |resolver| {
        let (hosts, options) =
            join(resolver.srv("_mongodb._tcp.cluster.example.test"), resolver.txt("cluster.example.test"))
                .await;
        let mut hosts: Vec<_> =
            hosts.expect("hosts").into_iter().map(|host| (host.target.to_host(), host.port)).collect();
        hosts.sort();
        let expected = [("a.cluster.example.test", 27017), ("b.cluster.example.test", 27018)];
        assert_eq!(hosts, expected.map(|(host, port)| (host.to_owned(), port)));
        assert_eq!(options.expect("options"), [&b"replicaSet=rs0&authSource=admin"[..]]);
        assert_eq!(resolver.txt("www.example.test").await, Err(LookupError::NoRecords));
    })
    .await;
}

async fn an_http_client_that_asks_this_resolver<R: Plug + Spawn<Reaper<R>>>(runtime: R) {
    // Every name is this machine.
    let (answers, log) = counting(&runtime);
    let local = here_for_everybody(answers);
    with_server(&runtime, ServerConfig::default(), local, async |at| {
        let mut listener = runtime.listen(&any_port()).await.expect("a free port");
        let to = listener.local_endpoint().expect("an address").socket_addr().expect("TCP");
        let resolver = resolver(&runtime, ResolverConfig { ipv6: false, ..config(at) });
        let client =
            Client::builder(runtime.clone()).dialer(Dialer::new(runtime.clone()).resolver(resolver)).build();
        let serve = async {
            let mut stream = accept(&mut listener).await;
            let head = read_some(&mut stream, 40).await.expect("a request");
            let answer = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello";
            write(&mut stream, answer).await.expect("written");
            String::from_utf8_lossy(&head).into_owned()
        };
        let url = format!("http://site.example.test:{}/page", to.port());
        let (answer, head) = join(client.get(url).send(), serve).await;
        assert_eq!(answer.expect("an answer").text().await.expect("its body"), "hello");
        assert!(head.starts_with("GET /page HTTP/1.1"), "{head}");
        assert_eq!(log.lock().expect("a log")[0].0, "site.example.test.");
    })
    .await;
}

/// Answers questions for A with this machine's address.
fn here_for_everybody(inner: Answers) -> Answers {
    Answers::new(move |asked| {
        let name = asked.query.name().clone();
        let is_a = asked.query.rtype() == RecordType::A;
        let answering = inner.answer(asked);
        async move {
            let mut response = answering.await;
            if is_a {
                let address = std::net::Ipv4Addr::LOCALHOST;
                response = Response::default();
                response.answers.push(Record::new(name, 60, Rdata::a(address)));
            }
            response
        }
    })
}

async fn the_search_list_and_the_hosts_file<R: Plug>(runtime: R) {
    with_server(&runtime, ServerConfig::default(), Answers::zones(), async |at| {
        let config =
            ResolverConfig { search: vec![name("corp.example.test"), name("example.test")], ..config(at) };
        let resolver = Resolver::builder(runtime.clone())
            .config(config)
            .hosts(hosts("192.0.2.200 printer\n192.0.2.200 printer.office\n"))
            .build();
        let app = resolver.lookup_ip("app").await.expect("addresses");
        assert_eq!(app.name(), Some(&name("app.corp.example.test")));
        let www = resolver.lookup_ip("www").await.expect("addresses");
        assert_eq!(www.name(), Some(&name("www.example.test")));
        let printer = resolver.lookup_ip("printer").await.expect("addresses");
        assert_eq!(printer.answers()[0].source, Source::Hosts);
        let back = resolver.reverse([192, 0, 2, 200].into()).await.expect("a name");
        assert_eq!(back, [name("printer")]);
        let localhost = resolver.lookup_ip("localhost").await.expect("addresses");
        assert!(localhost.iter().all(|address| address.is_loopback()));
        let literal = resolver.lookup_ip("192.0.2.9").await.expect("an address");
        assert_eq!(text(literal.iter()), BTreeSet::from(["192.0.2.9".to_owned()]));
    })
    .await;
}

/// A server that counts, and answers after a moment.
fn counting<R: Plug>(runtime: &R) -> (Answers, Arc<Mutex<Vec<(String, Endpoint, Channel)>>>) {
    let log: Arc<Mutex<Vec<_>>> = Arc::default();
    let (zones, clock, written) = (zones(), runtime.clone(), Arc::clone(&log));
    let answers = Answers::new(move |asked| {
        let name = asked.query.name().to_string().to_ascii_lowercase();
        written.lock().expect("a log").push((name, asked.peer, asked.query.channel()));
        let (response, clock) = (zones.respond(&asked.query), clock.clone());
        async move {
            sleep(&clock, Duration::from_millis(5)).await;
            response
        }
    });
    (answers, log)
}

async fn a_cached_answer_asks_nobody<R: Plug>(runtime: R) {
    let (answers, log) = counting(&runtime);
    with_server(&runtime, ServerConfig::default(), answers, async |at| {
        let resolver = resolver(&runtime, config(at));
        let first = resolver.lookup("www.example.test", RecordType::A).await.expect("an answer");
        let second = resolver.lookup("WWW.example.test", RecordType::A).await.expect("an answer");
        assert_eq!((first.source, second.source), (Source::Server, Source::Cache));
        for _ in 0..2 {
            let gone = resolver.lookup("gone.example.test", RecordType::A).await;
            assert_eq!(gone.expect_err("nothing"), LookupError::NoSuchName);
        }
        assert_eq!((log.lock().expect("a log").len(), resolver.cached()), (2, 2));
        resolver.clear_cache();
        let third = resolver.lookup("www.example.test", RecordType::A).await.expect("an answer");
        assert_eq!(third.source, Source::Server);
    })
    .await;
}

async fn lookups_of_one_name_share_a_query<R: Plug>(runtime: R) {
    let (answers, log) = counting(&runtime);
    with_server(&runtime, ServerConfig::default(), answers, async |at| {
        let resolver = resolver(&runtime, config(at));
        let lookups = (0..50).map(|_| resolver.lookup("www.example.test", RecordType::A));
        for answer in join_all(lookups).await {
            assert_eq!(answer.expect("an answer").records().len(), 2);
        }
        assert_eq!(log.lock().expect("a log").len(), 1);
    })
    .await;
}

async fn what_is_cut_off_comes_over_tcp<R: Plug>(runtime: R) {
    let (answers, log) = counting(&runtime);
    with_server(&runtime, ServerConfig::default(), answers, async |at| {
        let resolver = resolver(&runtime, config(at));
        let texts = resolver.txt("big.example.test").await.expect("texts");
        assert_eq!((texts.len(), texts[0].len()), (12, 250));
        let channels: Vec<_> = log.lock().expect("a log").iter().map(|(_, _, channel)| *channel).collect();
        assert_eq!(channels, [Channel::Udp, Channel::Tcp]);
    })
    .await;
}

async fn a_server_that_speaks_tcp_only<R: Plug>(runtime: R) {
    let (answers, log) = counting(&runtime);
    with_server(&runtime, ServerConfig::default(), answers, async |at| {
        let resolver = resolver(&runtime, ResolverConfig { tcp_only: true, ..config(at) });
        // More than one connection takes at once, and answers in any order.
        let names: Vec<String> = (0..100).map(|n| format!("n{n}.many.example.test")).collect();
        let lookups = names.iter().map(|name| resolver.lookup(name, RecordType::A));
        for answer in join_all(lookups).await {
            assert_eq!(answer.expect("an answer").records().len(), 1);
        }
        let log = log.lock().expect("a log");
        let peers: BTreeSet<_> = log.iter().map(|(_, peer, _)| peer.clone()).collect();
        assert_eq!((log.len(), peers.len()), (100, 1), "one connection serves all");
    })
    .await;
}

async fn many_at_once_by_many_ports<R: Plug>(runtime: R) {
    let (answers, log) = counting(&runtime);
    with_server(&runtime, ServerConfig::default(), answers, async |at| {
        let mut sockets = SocketConfig::default();
        sockets.sockets = 4;
        sockets.queries_per_socket = 10;
        let resolver = Resolver::builder(runtime.clone()).server(at).sockets(sockets).build();
        let names: Vec<String> = (0..200).map(|n| format!("n{n}.many.example.test")).collect();
        let lookups = names.iter().map(|name| resolver.lookup(name, RecordType::A));
        for answer in join_all(lookups).await {
            assert_eq!(answer.expect("an answer").records().len(), 1);
        }
        // Twenty ports at least; more, since which socket takes a query is drawn.
        let log = log.lock().expect("a log");
        let ports: BTreeSet<_> = log.iter().filter_map(|(_, peer, _)| peer.socket_addr()).collect();
        assert!(ports.len() >= 20, "{} ports", ports.len());
        for port in ports {
            let queries: BTreeSet<_> = log
                .iter()
                .filter(|(_, peer, _)| peer.socket_addr() == Some(port))
                .map(|(name, ..)| name)
                .collect();
            assert!(queries.len() <= 10, "{} queries by one port", queries.len());
        }
    })
    .await;
}

async fn more_lookups_than_may_run<R: Plug>(runtime: R) {
    with_server(&runtime, ServerConfig::default(), Answers::zones(), async |at| {
        let resolver = resolver(&runtime, ResolverConfig { max_lookups: 3, ..config(at) });
        let names: Vec<String> = (0..5).map(|n| format!("n{n}.many.example.test")).collect();
        let lookups = join_all(names.iter().map(|name| resolver.lookup(name, RecordType::A))).await;
        let refused = lookups.iter().filter(|result| **result == Err(LookupError::TooManyLookups));
        assert_eq!((refused.count(), lookups.iter().filter(|result| result.is_ok()).count()), (2, 3));
        resolver.lookup("n9.many.example.test", RecordType::A).await.expect("there is room again");
    })
    .await;
}

async fn another_configuration_while_running<R: Plug>(runtime: R) {
    with_server(&runtime, ServerConfig::default(), Answers::zones(), async |good| {
        let refuses = Answers::new(|_| async { Response::error(Rcode::REFUSED) });
        with_server(&runtime, ServerConfig::default(), refuses, async |bad| {
            let resolver = resolver(&runtime, config(bad));
            let refused = resolver.lookup("www.example.test", RecordType::A).await;
            assert_eq!(refused.expect_err("refused"), LookupError::Refused(Rcode::REFUSED));
            resolver.replace_config(config(good), hosts("192.0.2.3 three"));
            let found = resolver.lookup("www.example.test", RecordType::A).await;
            assert_eq!(found.expect("an answer").records().len(), 2);
            assert_eq!(resolver.lookup_ip("three").await.expect("addresses").iter().count(), 1);
        })
        .await;
    })
    .await;
}

async fn without_a_server<R: Plug>(runtime: R) {
    let resolver = resolver(&runtime, ResolverConfig::default());
    assert_eq!(resolver.lookup_ip("www.example.test").await, Err(LookupError::NoServers));
}

async fn a_dialer_that_asks_this_resolver<R: Plug>(runtime: R) {
    with_server(&runtime, ServerConfig::default(), Answers::zones(), async |at| {
        let config = config(at);
        let resolver =
            Resolver::builder(runtime.clone()).config(config).hosts(hosts("127.0.0.1 here.test")).build();
        let mut listener = runtime.listen(&any_port()).await.expect("a free port");
        let to = listener.local_endpoint().expect("an address").socket_addr().expect("TCP");
        for dialer in [
            Dialer::new(runtime.clone()).resolver(resolver.clone()),
            Dialer::new(runtime.clone()).resolver(resolver.remote()),
        ] {
            let (connected, _) = join(dialer.tcp("here.test", to.port()), accept(&mut listener)).await;
            connected.expect("connected");
        }
        let found = resolver.remote().resolve("only4.example.test", 80).await.expect("addresses");
        assert_eq!(found, [SocketAddr::from(([192, 0, 2, 4], 80))]);
        let gone = resolver.resolve("gone.example.test", 80).await.expect_err("no such name");
        assert_eq!(gone.kind(), std::io::ErrorKind::NotFound);
    })
    .await;
}

async fn lookups_outlive_their_resolver<R: Plug>(runtime: R) {
    with_server(&runtime, ServerConfig::default(), Answers::zones(), async |at| {
        let lookup = resolver(&runtime, config(at)).lookup("www.example.test", RecordType::A);
        assert_eq!(lookup.await.expect("an answer").records().len(), 2);
    })
    .await;
}

#[test]
fn lookups_run_on_a_pool_of_threads() {
    support::on_tokio(|runtime| async move {
        with_resolver(&runtime, async |resolver| {
            let tasks: Vec<_> = (0..16)
                .map(|task| {
                    let resolver = resolver.clone();
                    tokio::spawn(async move {
                        for n in 0..20 {
                            let name = format!("n{n}t{task}.many.example.test");
                            let found = resolver.lookup_ip(&name).await.expect("addresses");
                            assert_eq!(found.iter().count(), 1);
                        }
                    })
                })
                .collect();
            for task in tasks {
                task.await.expect("no panic");
            }
        })
        .await;
    });
}

#[test]
fn a_driver_with_nothing_to_do_holds_no_socket_and_ends_with_its_last_handle() {
    for seed in seeds(20) {
        let mut simulation = Simulation::new(seed);
        let host = simulation.host("here", [10, 0, 0, 1]);
        let resolver = simulation.run(async {
            let mut kept = None;
            with_resolver(&host, async |resolver| {
                resolver.txt("big.example.test").await.expect("texts");
                kept = Some(resolver);
            })
            .await;
            kept.expect("a resolver")
        });
        simulation.run_until_idle();
        let usage = simulation.usage();
        assert_eq!((usage.streams, usage.datagrams, usage.tasks), (0, 0, 1), "only the driver waits");
        drop(resolver);
        simulation.run_until_idle();
        assert_eq!(simulation.usage().tasks, 0, "the driver ends with its last handle");
    }
}

#[test]
fn a_resolver_whose_executor_is_gone_says_so() {
    let mut kept = None;
    {
        let mut simulation = Simulation::new(1);
        let host = simulation.host("here", [10, 0, 0, 1]);
        let waiting = simulation.run(async {
            let resolver = resolver(&host, config(SocketAddr::from(([10, 0, 0, 9], 53))));
            let waiting = resolver.lookup("www.example.test", RecordType::A);
            host.net().crash("here");
            sleep(&host, Duration::from_millis(1)).await;
            kept = Some(resolver);
            waiting.await
        });
        assert_eq!(waiting.expect_err("its driver is gone"), LookupError::Closed);
    }
    let resolver = kept.expect("a resolver");
    let after = futures_util::FutureExt::now_or_never(resolver.lookup("www.example.test", RecordType::A));
    assert_eq!(after.expect("at once").expect_err("its driver is gone"), LookupError::Closed);
}

#[test]
fn the_systems_files_are_read() {
    let dir = std::env::temp_dir().join(format!("glowplug-dns-{}", std::process::id()));
    std::fs::create_dir_all(&dir).expect("a folder");
    let (conf, table) = (dir.join("resolv.conf"), dir.join("hosts"));
    let (config, _) = config_of(&conf, &table).expect("files that are not there are empty");
    assert_eq!(config.servers, [SocketAddr::from(([127, 0, 0, 1], 53))]);
    std::fs::write(&conf, "nameserver 192.0.2.53\nsearch example.test\noptions ndots:3\n").expect("written");
    std::fs::write(&table, "192.0.2.1 one\n").expect("written");
    let (config, hosts) = config_of(&conf, &table).expect("read");
    assert_eq!((config.servers.len(), config.search.len(), config.ndots), (1, 1, 3));
    assert_eq!(hosts.addresses(&name("one")).len(), 1);
    std::fs::remove_dir_all(&dir).expect("removed");
}
