//! The client of one server.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::future::join_all;
use glowplug::dns::resolver::{LookupError, QueryError, ResolverConfig};
use glowplug::dns::{Edns, EdnsOption, ExchangeError, Query, Rcode, RecordType};
use glowplug::runtime::dns::{Client, ServerConfig};
use glowplug::runtime::{DatagramSocket as _, Runtime as _};
use glowplug::sim::{Simulation, seeds};

use crate::support;
use crate::world::*;

support::on_each_executor![
    messages_come_as_they_are,
    what_is_cut_off_comes_over_tcp,
    silence_ends_with_the_deadline,
    a_port_that_nobody_listens_on,
    more_queries_than_may_run,
    a_connection_that_the_server_closes_is_made_anew,
];

async fn messages_come_as_they_are<R: Plug>(runtime: R) {
    with_server(&runtime, ServerConfig::default(), Answers::zones(), async |at| {
        let client = Client::builder(runtime.clone(), at).build();
        let reply = client.ask("www.example.test", RecordType::A).expect("a name").await.expect("a reply");
        assert!(reply.view().flags().authoritative());
        assert_eq!((reply.view().answers().count(), reply.server), (2, Some(at)));
        // What the server says against it is an answer like any other.
        let reply = client.ask("gone.example.test", RecordType::A).expect("a name").await.expect("a reply");
        assert_eq!(reply.view().rcode(), Ok(Rcode::NXDOMAIN));
        let mut query = Query::new(name("www.example.test"), RecordType::AAAA);
        query.edns = Some(Edns { options: vec![EdnsOption::Nsid(bytes::Bytes::new())], ..Edns::default() });
        let reply = client.query(query).await.expect("a reply");
        assert_eq!(reply.view().answers().count(), 1);
        assert!(client.ask("a..b", RecordType::A).is_err());
    })
    .await;
}

async fn what_is_cut_off_comes_over_tcp<R: Plug>(runtime: R) {
    with_server(&runtime, ServerConfig::default(), Answers::zones(), async |at| {
        let client = Client::builder(runtime.clone(), at).build();
        let reply = client.ask("big.example.test", RecordType::TXT).expect("a name").await.expect("a reply");
        assert!(!reply.is_truncated());
        assert_eq!(reply.view().answers().count(), 12);
    })
    .await;
}

async fn silence_ends_with_the_deadline<R: Plug>(runtime: R) {
    // A socket that nobody reads.
    let silent = runtime.bind(here()).await.expect("a free port");
    let at = silent.local_addr().expect("an address");
    let timeout = Duration::from_millis(50);
    let client = Client::builder(runtime.clone(), at).timeout(timeout).build();
    let before = runtime.now();
    let result = client.ask("www.example.test", RecordType::A).expect("a name").await;
    assert_eq!(result.expect_err("silence"), QueryError::Exchange(ExchangeError::TimedOut));
    assert!(runtime.now() - before >= timeout);
}

async fn a_port_that_nobody_listens_on<R: Plug>(runtime: R) {
    let at = runtime.bind(here()).await.expect("a free port").local_addr().expect("an address");
    let client = Client::builder(runtime.clone(), at).tcp_only(true).build();
    let result = client.ask("www.example.test", RecordType::A).expect("a name").await;
    assert_eq!(result.expect_err("refused"), QueryError::Exchange(ExchangeError::Unreachable));
}

/// Nobody listens for datagrams there, and the system says so: nobody waits for a deadline.
async fn a_datagram_that_cannot_arrive<R: Plug>(runtime: R) {
    let gone = runtime.bind(here()).await.expect("a free port").local_addr().expect("an address");
    let client = Client::builder(runtime.clone(), gone).build();
    let result = client.ask("www.example.test", RecordType::A).expect("a name").await;
    assert_eq!(result.expect_err("nobody is there"), QueryError::Exchange(ExchangeError::Unreachable));
    let alone = resolver(&runtime, config(gone)).lookup("www.example.test", RecordType::A).await;
    assert_eq!(alone.expect_err("nobody is there"), LookupError::Exchange(ExchangeError::Unreachable));
    with_server(&runtime, ServerConfig::default(), Answers::zones(), async |at| {
        let config = ResolverConfig { servers: vec![gone, at], ..config(at) };
        let found = resolver(&runtime, config).lookup("www.example.test", RecordType::A).await;
        assert_eq!(found.expect("the other server's answer").addresses().count(), 2);
    })
    .await;
}

#[test]
#[cfg(any(target_os = "linux", target_os = "android"))]
fn a_datagram_that_cannot_arrive_on_tokio_and_smol() {
    support::on_tokio(a_datagram_that_cannot_arrive);
    support::on_smol(a_datagram_that_cannot_arrive);
}

#[test]
fn a_datagram_that_cannot_arrive_in_the_simulator() {
    for seed in seeds(50) {
        let mut simulation = Simulation::new(seed);
        let host = simulation.host("here", [10, 0, 0, 1]);
        simulation.net().unreachable_errors(true);
        simulation.run(async {
            let begin = host.now();
            a_datagram_that_cannot_arrive(host.clone()).await;
            assert!(host.now() - begin < Duration::from_millis(100), "somebody was waited for");
        });
    }
}

async fn more_queries_than_may_run<R: Plug>(runtime: R) {
    let silent = runtime.bind(here()).await.expect("a free port");
    let at: SocketAddr = silent.local_addr().expect("an address");
    let client =
        Client::builder(runtime.clone(), at).timeout(Duration::from_millis(20)).max_queries(2).build();
    let queries = (0..3).map(|_| client.ask("www.example.test", RecordType::A).expect("a name"));
    let results = join_all(queries).await;
    assert_eq!(results.iter().filter(|result| **result == Err(QueryError::TooMany)).count(), 1);
}

async fn a_connection_that_the_server_closes_is_made_anew<R: Plug>(runtime: R) {
    let mut config = ServerConfig::default();
    config.connection.idle_timeout = Duration::from_millis(30);
    with_server(&runtime, config, Answers::zones(), async |at| {
        let client = Client::builder(runtime.clone(), at).tcp_only(true).build();
        for n in 0..20 {
            // Sometimes before, sometimes after, sometimes while the server closes.
            let name = format!("n{n}.many.example.test");
            client.ask(&name, RecordType::A).expect("a name").await.expect("a reply");
            glowplug::runtime::time::sleep(&runtime, Duration::from_millis(3 * n)).await;
        }
    })
    .await;
}
