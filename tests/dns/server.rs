//! The server: what it does for its handlers, and what it bears.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::future::{join, join_all};
use glowplug::dns::resolver::QueryError;
use glowplug::dns::{ExchangeError, Query, Rcode, RecordType, Response};
use glowplug::runtime::Endpoint;
use glowplug::runtime::dns::{Client, Server, ServerConfig};
use glowplug::runtime::time::{sleep, within};
use glowplug::sim::{Simulation, seeds};

use crate::support::{self, read_all, read_some, write};
use crate::world::*;

support::on_each_executor![
    handlers_that_panic_or_dawdle,
    clients_without_edns_get_less,
    a_stop_lets_handlers_finish,
    a_stop_gives_up_what_takes_too_long,
    a_full_server_drops_datagrams,
    a_full_server_lets_connections_wait,
    what_is_no_query,
    a_connection_that_says_nothing_is_closed,
    handlers_of_one_connection_run_side_by_side,
];

/// `panic` panics, `never` takes for ever, everything else is in the zones.
fn moody<R: Plug>(runtime: &R) -> Answers {
    let (zones, clock) = (zones(), runtime.clone());
    Answers::new(move |asked| {
        let (zones, clock) = (zones.clone(), clock.clone());
        async move {
            match asked.query.name().to_string().to_ascii_lowercase().as_str() {
                // An unwinding like that of any panic, without the message that would look like a failure of the test.
                "panic.test." => std::panic::resume_unwind(Box::new("this panic belongs to the test")),
                "never.test." => sleep(&clock, Duration::from_secs(100_000)).await,
                "slow.test." => sleep(&clock, Duration::from_millis(30)).await,
                _ => {}
            }
            zones.respond(&asked.query)
        }
    })
}

async fn rcode<R: Plug>(client: &Client<R>, text: &str) -> Rcode {
    let reply = client.ask(text, RecordType::A).expect("a name").await.expect("a reply");
    reply.view().rcode().expect("a code")
}

async fn handlers_that_panic_or_dawdle<R: Plug>(runtime: R) {
    let mut config = ServerConfig::default();
    config.query_timeout = Duration::from_millis(40);
    with_server(&runtime, config, moody(&runtime), async |at| {
        for tcp in [false, true] {
            let client = Client::builder(runtime.clone(), at).tcp_only(tcp).build();
            let all =
                join_all(["panic.test", "never.test", "www.example.test"].map(|text| rcode(&client, text)));
            assert_eq!(all.await, [Rcode::SERVFAIL, Rcode::SERVFAIL, Rcode::NOERROR]);
        }
    })
    .await;
}

async fn clients_without_edns_get_less<R: Plug>(runtime: R) {
    with_server(&runtime, ServerConfig::default(), Answers::zones(), async |at| {
        let zones = zones();
        let whole = zones.answer(&name("big.example.test"), RecordType::TXT);
        assert_eq!(whole.answers.len(), 12);
        let client = Client::builder(runtime.clone(), at).build();
        let mut query = Query::new(name("big.example.test"), RecordType::TXT);
        query.edns = None;
        // 512 bytes hold one of them; TCP brings the rest.
        let reply = client.query(query).await.expect("a reply");
        assert_eq!(reply.view().answers().count(), 12);
        assert!(
            reply.view().opt().expect("well-formed").is_none(),
            "EDNS is not for those who do not speak it"
        );
    })
    .await;
}

async fn a_stop_lets_handlers_finish<R: Plug>(runtime: R) {
    let server = Server::bind(runtime.clone(), here()).await.expect("a free port");
    let (at, stopper) = (server.local_addr().expect("an address"), server.stopper());
    let work = async {
        let udp = Client::builder(runtime.clone(), at).build();
        let tcp = Client::builder(runtime.clone(), at).tcp_only(true).build();
        rcode(&tcp, "www.example.test").await;
        let stop = async {
            sleep(&runtime, Duration::from_millis(15)).await;
            stopper.stop();
            stopper.stop();
        };
        let slow = join(rcode(&udp, "slow.test"), rcode(&tcp, "slow.test"));
        let ((over_udp, over_tcp), ()) = join(slow, stop).await;
        assert_eq!((over_udp, over_tcp), (Rcode::NXDOMAIN, Rcode::NXDOMAIN));
    };
    let (served, ()) = join(server.run(moody(&runtime)), work).await;
    served.expect("served");
    assert!(runtime.connect(&Endpoint::Tcp(at)).await.is_err(), "nobody listens any more");
}

async fn a_stop_gives_up_what_takes_too_long<R: Plug>(runtime: R) {
    let mut config = ServerConfig::default();
    config.drain_timeout = Duration::from_millis(30);
    let server = Server::bind(runtime.clone(), here()).await.expect("a free port").config(config);
    let (at, stopper) = (server.local_addr().expect("an address"), server.stopper());
    let work = async {
        let timeout = Duration::from_millis(100);
        let udp = Client::builder(runtime.clone(), at).timeout(timeout).build();
        let tcp = Client::builder(runtime.clone(), at).timeout(timeout).tcp_only(true).build();
        let asked = [&udp, &tcp].map(|client| client.ask("never.test", RecordType::A).expect("a name"));
        sleep(&runtime, Duration::from_millis(10)).await;
        stopper.stop();
        for result in join_all(asked).await {
            result.expect_err("nobody answered");
        }
    };
    let (served, ()) = join(server.run(moody(&runtime)), work).await;
    served.expect("served");
}

async fn a_full_server_drops_datagrams<R: Plug>(runtime: R) {
    let mut config = ServerConfig::default();
    config.max_datagrams = 2;
    config.drain_timeout = Duration::from_millis(10);
    with_server(&runtime, config, moody(&runtime), async |at| {
        let short = Client::builder(runtime.clone(), at).timeout(Duration::from_millis(30)).build();
        let stuck: Vec<_> = (0..2).map(|_| short.ask("never.test", RecordType::A).expect("a name")).collect();
        sleep(&runtime, Duration::from_millis(5)).await;
        let third = short.ask("www.example.test", RecordType::A).expect("a name").await;
        third.expect_err("the server is full");
        join_all(stuck).await;
        // Connections have limits of their own.
        let tcp = Client::builder(runtime.clone(), at).tcp_only(true).build();
        assert_eq!(rcode(&tcp, "www.example.test").await, Rcode::NOERROR);
    })
    .await;
}

async fn a_full_server_lets_connections_wait<R: Plug>(runtime: R) {
    let mut config = ServerConfig::default();
    config.max_connections = 1;
    with_server(&runtime, config, Answers::zones(), async |at| {
        let tcp = || Client::builder(runtime.clone(), at).tcp_only(true);
        let first = tcp().build();
        assert_eq!(rcode(&first, "www.example.test").await, Rcode::NOERROR);
        // While the first has its connection, nobody else is heard; it is.
        let second = tcp().timeout(Duration::from_millis(60)).build();
        let in_vain = second.ask("www.example.test", RecordType::A).expect("a name").await;
        assert_eq!(in_vain.expect_err("no room"), QueryError::Exchange(ExchangeError::TimedOut));
        assert_eq!(rcode(&first, "only4.example.test").await, Rcode::NOERROR);
        drop((first, second));
        assert_eq!(rcode(&tcp().build(), "www.example.test").await, Rcode::NOERROR);
    })
    .await;
}

async fn what_is_no_query<R: Plug>(runtime: R) {
    with_server(&runtime, ServerConfig::default(), Answers::zones(), async |at| {
        // Over TCP: a response, and a message shorter than a header, end the connection.
        for message in [&[0_u8, 12, 0, 1, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0][..], &[0, 3, 1, 2, 3][..]] {
            let mut stream = runtime.connect(&Endpoint::Tcp(at)).await.expect("connected");
            write(&mut stream, Bytes::copy_from_slice(message)).await.expect("written");
            let heard = read_all(&mut stream).await.unwrap_or_default();
            assert_eq!(heard.len(), 0);
        }
        // Two questions, or another opcode, are answered.
        for (flags, questions, expected) in [(0_u8, 2_u8, Rcode::FORMERR), (0x10, 1, Rcode::NOTIMP)] {
            let mut stream = runtime.connect(&Endpoint::Tcp(at)).await.expect("connected");
            let message = [0, 12, 0, 7, flags, 0, 0, questions, 0, 0, 0, 0, 0, 0];
            write(&mut stream, Bytes::copy_from_slice(&message)).await.expect("written");
            let heard: BytesMut = read_some(&mut stream, 14).await.expect("read");
            assert_eq!((heard[3], heard[5] & 15), (7, expected.0 as u8));
        }
    })
    .await;
}

async fn a_connection_that_says_nothing_is_closed<R: Plug>(runtime: R) {
    let mut config = ServerConfig::default();
    config.connection.idle_timeout = Duration::from_millis(20);
    with_server(&runtime, config, Answers::zones(), async |at| {
        let mut stream = runtime.connect(&Endpoint::Tcp(at)).await.expect("connected");
        let read = within(&runtime, Some(Duration::from_secs(30)), read_all(&mut stream)).await;
        assert_eq!(read.expect("closed").expect("in good order"), "");
    })
    .await;
}

async fn handlers_of_one_connection_run_side_by_side<R: Plug>(runtime: R) {
    // Each answers only when all have come.
    let come = Arc::new(AtomicU32::new(0));
    let clock = runtime.clone();
    let answers = Answers::new(move |_| {
        let (come, clock) = (Arc::clone(&come), clock.clone());
        async move {
            come.fetch_add(1, Ordering::Relaxed);
            while come.load(Ordering::Relaxed) < 20 {
                sleep(&clock, Duration::from_millis(1)).await;
            }
            Response::default()
        }
    });
    with_server(&runtime, ServerConfig::default(), answers, async |at| {
        let client = Client::builder(runtime.clone(), at).tcp_only(true).build();
        let names: Vec<String> = (0..20).map(|n| format!("n{n}.test")).collect();
        for code in join_all(names.iter().map(|text| rcode(&client, text))).await {
            assert_eq!(code, Rcode::NOERROR);
        }
    })
    .await;
}

#[test]
fn a_server_that_is_stopped_leaves_nothing_behind() {
    for seed in seeds(20) {
        let mut simulation = Simulation::new(seed);
        let host = simulation.host("here", [10, 0, 0, 1]);
        simulation.run(async {
            with_server(&host, ServerConfig::default(), moody(&host), async |at| {
                let client = Client::builder(host.clone(), at).build();
                assert_eq!(rcode(&client, "www.example.test").await, Rcode::NOERROR);
            })
            .await;
        });
        simulation.run_until_idle();
        let usage = simulation.usage();
        assert_eq!((usage.tasks, usage.streams, usage.listeners, usage.datagrams), (0, 0, 0, 0));
    }
}
