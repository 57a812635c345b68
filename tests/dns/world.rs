//! Zones, a server of them, and a resolver that asks it.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use glowplug::dns::resolver::{Hosts, ResolverConfig};
use glowplug::dns::{Name, Response, Zone, Zones};
use glowplug::runtime::dns::{
    Asked, ClientDrive, Handler, Resolver, ResolverDrive, Server, ServerConfig, Serving,
};
use glowplug::runtime::server::Guarded;
use glowplug::runtime::{BoxFuture, Runtime, Spawn};

use crate::support::beside;

pub(crate) const ZONE: &str = "
$TTL 300
@       SOA ns hostmaster 1 3600 600 86400 60
@       NS  ns
@       MX  20 second
@       MX  10 first
ns      A   192.0.2.53
www     A   192.0.2.1
www     A   192.0.2.2
www     AAAA 2001:db8::1
only4   A   192.0.2.4
alias   CNAME www
loop1   CNAME loop2
loop2   CNAME loop1
_imap._tcp SRV 10 0 143 first
_imap._tcp SRV 20 0 143 second
_none._tcp SRV 0 0 0 .
_mongodb._tcp.cluster SRV 0 0 27017 a.cluster
_mongodb._tcp.cluster SRV 0 0 27018 b.cluster
cluster TXT \"replicaSet=rs0&authSource=admin\"
words   TXT \"one \" \"and two\"
app.corp A  192.0.2.77
*.many  A   192.0.2.8
";

const REVERSE: &str = "
@ 60 SOA ns.example.test. h.example.test. 1 2 3 4 60
@ 60 NS ns.example.test.
1 60 PTR www.example.test.
";

pub(crate) fn name(text: &str) -> Name {
    text.parse().expect("a name")
}

/// Twelve texts of 250 bytes: more than a datagram takes.
pub(crate) fn big_texts() -> [String; 12] {
    std::array::from_fn(|n| format!("{n:02}{}", "x".repeat(248)))
}

/// `example.test`, the reverse of 192.0.2, and a root that knows nothing else. `big.example.test` has 3000 bytes of text.
pub(crate) fn zones() -> Zones {
    let text = format!("{ZONE}{}", big_texts().map(|text| format!("big TXT \"{text}\"\n")).join(""));
    Zones::new([
        Zone::from_text(name("example.test"), text.as_bytes()).expect("a zone"),
        Zone::from_text(name("2.0.192.in-addr.arpa"), REVERSE.as_bytes()).expect("a zone"),
        Zone::from_text(Name::root(), b". 60 SOA ns. h. 1 2 3 4 60\n. 60 NS ns.\n").expect("a zone"),
    ])
}

/// A handler of whatever the test wants.
#[derive(Clone)]
pub(crate) struct Answers(Arc<dyn Fn(Asked) -> BoxFuture<Response> + Send + Sync>);

impl Answers {
    pub(crate) fn new<F: Future<Output = Response> + Send + 'static>(
        answer: impl Fn(Asked) -> F + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(move |asked| Box::pin(answer(asked))))
    }

    /// From the zones, at once.
    pub(crate) fn zones() -> Self {
        let zones = zones();
        Self::new(move |asked| {
            let response = zones.respond(&asked.query);
            async move { response }
        })
    }
}

impl Handler for Answers {
    type Answering = BoxFuture<Response>;

    fn answer(&self, asked: Asked) -> BoxFuture<Response> {
        (self.0)(asked)
    }
}

/// What these tests ask of a plug.
pub(crate) trait Plug:
    Runtime<Stream: Send, Timer: Send, Datagram: Send>
    + Spawn<ResolverDrive<Self>>
    + Spawn<ClientDrive<Self>>
    + Spawn<Guarded<Serving<Answers, Self>>>
    + Send
    + Sync
{
}

impl<R> Plug for R where
    R: Runtime<Stream: Send, Timer: Send, Datagram: Send>
        + Spawn<ResolverDrive<Self>>
        + Spawn<ClientDrive<Self>>
        + Spawn<Guarded<Serving<Answers, Self>>>
        + Send
        + Sync
{
}

pub(crate) fn here() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, 0))
}

/// A resolver of one server, without search list.
pub(crate) fn config(server: SocketAddr) -> ResolverConfig {
    ResolverConfig { servers: vec![server], ..ResolverConfig::default() }
}

pub(crate) fn resolver<R: Plug>(runtime: &R, config: ResolverConfig) -> Resolver<R> {
    Resolver::builder(runtime.clone()).config(config).build()
}

/// Runs `work` beside a server.
pub(crate) async fn with_server<R: Plug>(
    runtime: &R,
    config: ServerConfig,
    answers: Answers,
    work: impl AsyncFnOnce(SocketAddr),
) {
    let server = Server::bind(runtime.clone(), here()).await.expect("a free port").config(config);
    let at = server.local_addr().expect("an address");
    let stopper = server.stopper();
    let work = async {
        work(at).await;
        stopper.stop();
    };
    let (served, ()) = futures_util::future::join(server.run(answers), work).await;
    served.expect("served");
}

/// Runs `work` beside a server of the zones, with a resolver that asks it.
pub(crate) async fn with_resolver<R: Plug>(runtime: &R, work: impl AsyncFnOnce(Resolver<R>)) {
    with_server(runtime, ServerConfig::default(), Answers::zones(), async |at| {
        work(resolver(runtime, config(at))).await;
    })
    .await;
}

pub(crate) fn hosts(text: &str) -> Hosts {
    Hosts::parse(text.as_bytes())
}

/// Runs `work` while `other` runs, which need not end.
pub(crate) async fn while_running<T>(work: impl Future<Output = T>, other: impl Future<Output = ()>) -> T {
    beside(work, other).await
}
