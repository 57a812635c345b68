//! Connecting by name on every executor: literals, names, refusals, and the race of addresses.

mod support;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join;
use glowplug::core::Instant;
use glowplug::runtime::dial::{DialError, DialPhase, Dialer, Resolve};
use glowplug::runtime::{BoxFuture, Endpoint, Listener, Runtime};
use glowplug::sim::{Simulation, seeds};

use support::{accept, any_port, read_all, shutdown, write};

support::on_each_executor![
    a_literal_needs_no_resolver,
    a_resolver_of_ones_own_is_asked,
    the_next_address_follows_a_refusal,
    no_address_is_an_error_of_connecting,
    a_failing_resolver_is_an_error_of_resolving,
];

/// Always gives the same addresses.
struct Fixed(Vec<SocketAddr>);

impl Resolve for Fixed {
    fn resolve(&self, _: &str, _: u16) -> BoxFuture<io::Result<Vec<SocketAddr>>> {
        let addresses = self.0.clone();
        Box::pin(async move { Ok(addresses) })
    }
}

struct Failing;

impl Resolve for Failing {
    fn resolve(&self, host: &str, _: u16) -> BoxFuture<io::Result<Vec<SocketAddr>>> {
        let error = io::Error::new(io::ErrorKind::NotFound, format!("nobody knows {host}"));
        Box::pin(async move { Err(error) })
    }
}

async fn listen<R: Runtime>(runtime: &R) -> (R::Listener, SocketAddr) {
    let listener = runtime.listen(&any_port()).await.expect("a free port");
    let at = listener.local_endpoint().expect("an address").socket_addr().expect("tcp");
    (listener, at)
}

/// A port that nobody listens at any more.
async fn refused<R: Runtime>(runtime: &R) -> SocketAddr {
    listen(runtime).await.1
}

async fn a_literal_needs_no_resolver<R: Runtime>(runtime: R) {
    let (mut listener, at) = listen(&runtime).await;
    let dialer = Dialer::new(runtime.clone()).resolver(Failing);
    let (stream, mut accepted) = join(dialer.tcp("127.0.0.1", at.port()), accept(&mut listener)).await;
    let mut stream = stream.expect("connected");
    write(&mut stream, "hello").await.expect("written");
    shutdown(&mut stream).await.expect("shut");
    assert_eq!(read_all(&mut accepted).await.expect("read"), "hello");
}

async fn a_resolver_of_ones_own_is_asked<R: Runtime>(runtime: R) {
    let (mut listener, at) = listen(&runtime).await;
    let dialer = Dialer::new(runtime.clone()).resolver(Arc::new(Fixed(vec![at])));
    let (stream, _accepted) = join(dialer.tcp("somewhere.example", 1), accept(&mut listener)).await;
    stream.expect("connected");
}

async fn the_next_address_follows_a_refusal<R: Runtime>(runtime: R) {
    let gone = refused(&runtime).await;
    let (mut listener, at) = listen(&runtime).await;
    let dialer = Dialer::new(runtime.clone()).resolver(Fixed(vec![gone, at]));
    let (stream, _accepted) = join(dialer.tcp("somewhere.example", 1), accept(&mut listener)).await;
    stream.expect("connected");
}

async fn no_address_is_an_error_of_connecting<R: Runtime>(runtime: R) {
    let gone = refused(&runtime).await;
    for addresses in [vec![], vec![gone]] {
        let dialer = Dialer::new(runtime.clone()).resolver(Fixed(addresses));
        let error = dialer.tcp("somewhere.example", 1).await.err().expect("nobody is there");
        assert!(matches!(error, DialError::Connect(_)), "{error}");
    }
    let error = Dialer::new(runtime).endpoint(&Endpoint::Tcp(gone)).await.err().expect("nobody is there");
    assert!(matches!(error, DialError::Connect(_)), "{error}");
}

async fn a_failing_resolver_is_an_error_of_resolving<R: Runtime>(runtime: R) {
    let dialer = Dialer::new(runtime).resolver(Failing);
    let error = dialer.tcp("somewhere.example", 1).await.err().expect("nobody knows it");
    assert!(matches!(&error, DialError::Resolve(cause) if cause.to_string().contains("somewhere.example")));
}

fn address(last: u8) -> IpAddr {
    [10, 0, 0, last].into()
}

#[test]
fn an_address_that_does_not_answer_gets_company() {
    for seed in seeds(20) {
        let mut simulation = Simulation::new(seed);
        let (here, there) = (simulation.host("here", address(1)), simulation.host("there", address(2)));
        simulation.host("dead", address(3));
        simulation.net().name("both.example", [address(3), address(2)]);
        simulation.net().block("here", "dead");
        let begun = simulation.now();
        let took = simulation.run(async {
            let at = Endpoint::Tcp((address(2), 80).into());
            let mut listener = there.listen(&at).await.expect("listens");
            let dialer = Dialer::new(here.clone());
            let (stream, _accepted) = join(dialer.tcp("both.example", 80), accept(&mut listener)).await;
            stream.expect("connected");
            here.now() - begun
        });
        assert!(took >= Duration::from_millis(250) && took < Duration::from_secs(5), "{took:?}");
    }
}

#[test]
fn one_deadline_covers_everything_and_its_error_says_the_phase() {
    let mut simulation = Simulation::new(7);
    let here = simulation.host("here", address(1));
    simulation.host("dead", address(3));
    let net = simulation.net();
    net.name("dead.example", [address(3)]);
    net.name("slow.example", [address(3)]);
    net.name_takes("slow.example", Duration::from_secs(60));
    net.block("here", "dead");
    simulation.run(async {
        let dialer = Dialer::new(here.clone()).timeout(Some(Duration::from_secs(3)));
        for (name, phase) in [("slow.example", DialPhase::Resolve), ("dead.example", DialPhase::Connect)] {
            let begun: Instant = here.now();
            let error = dialer.tcp(name, 80).await.expect_err("nobody answers");
            assert!(matches!(error, DialError::TimedOut(in_phase) if in_phase == phase), "{error}");
            assert_eq!(here.now() - begun, Duration::from_secs(3));
        }
    });
    simulation.run_until_idle();
    assert_eq!(simulation.usage().streams, 0, "attempts are closed with their race");
}
