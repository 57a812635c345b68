//! The client of one server.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::future::join_all;
use glowplug::dns::resolver::QueryError;
use glowplug::dns::{Edns, EdnsOption, ExchangeError, Query, Rcode, RecordType};
use glowplug::runtime::DatagramSocket as _;
use glowplug::runtime::dns::{Client, ServerConfig};

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
