//! DNS over TLS.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::future::join;
use glowplug::dns::resolver::{LookupError, QueryError};
use glowplug::dns::{ExchangeError, RecordType};
use glowplug::runtime::Endpoint;
use glowplug::runtime::dns::{Client, Resolver, Server};
use glowplug::runtime::tls::rustls::pki_types::PrivatePkcs8KeyDer;
use glowplug::runtime::tls::{ClientConfig, ServerConfig};
use rcgen::{CertificateParams, KeyPair};

use crate::support::{self, read_all};
use crate::world::*;

support::on_each_executor![
    lookups_under_tls,
    a_server_that_is_somebody_else_is_not_asked,
    a_handshake_that_never_comes,
];

/// A server's configuration with a certificate for `dns.test` that it signed itself, and one for clients that trust it.
pub(crate) fn configs() -> (ServerConfig, ClientConfig) {
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(vec!["dns.test".to_owned()]).expect("a name");
    let certificate = params.self_signed(&key).expect("signed").der().clone();
    let server =
        ServerConfig::new(vec![certificate.clone()], PrivatePkcs8KeyDer::from(key.serialize_der()).into());
    (server.expect("a configuration"), ClientConfig::with_roots([certificate]).expect("a configuration"))
}

async fn with_tls_server<R: Plug>(runtime: &R, work: impl AsyncFnOnce(SocketAddr, ClientConfig)) {
    let (tls, trust) = configs();
    let server = Server::bind(runtime.clone(), here()).await.expect("a free port");
    let server = server.listen_tls(here(), tls).await.expect("a free port");
    let at = server.local_tls_addr().expect("an address");
    let stopper = server.stopper();
    let work = async {
        work(at, trust).await;
        stopper.stop();
    };
    let (served, ()) = join(server.run(Answers::zones()), work).await;
    served.expect("served");
}

async fn a_handshake_that_never_comes<R: Plug>(runtime: R) {
    let (tls, _) = configs();
    let mut config = glowplug::runtime::dns::ServerConfig::default();
    config.handshake_timeout = Duration::from_millis(20);
    let server = Server::bind(runtime.clone(), here()).await.expect("a free port").config(config);
    let server = server.listen_tls(here(), tls).await.expect("a free port");
    let (at, stopper) = (server.local_tls_addr().expect("an address"), server.stopper());
    let work = async {
        let mut stream = runtime.connect(&Endpoint::Tcp(at)).await.expect("connected");
        // Whether by an end or by a reset: it is closed.
        let _ = read_all(&mut stream).await;
        stopper.stop();
    };
    let (served, ()) = join(server.run(Answers::zones()), work).await;
    served.expect("served");
}

async fn lookups_under_tls<R: Plug>(runtime: R) {
    with_tls_server(&runtime, async |at, trust| {
        let resolver = Resolver::builder(runtime.clone()).tls_server(at, "dns.test", &trust).build();
        let found = resolver.lookup_ip("www.example.test").await.expect("addresses");
        assert_eq!(found.iter().count(), 3);
        assert_eq!(resolver.txt("big.example.test").await.expect("texts").len(), 12);
        let client = Client::builder(runtime.clone(), at).tls("dns.test", &trust).build();
        let reply = client.ask("www.example.test", RecordType::A).expect("a name").await.expect("a reply");
        assert_eq!(reply.view().answers().count(), 2);
    })
    .await;
}

async fn a_server_that_is_somebody_else_is_not_asked<R: Plug>(runtime: R) {
    with_tls_server(&runtime, async |at, trust| {
        let resolver = Resolver::builder(runtime.clone()).tls_server(at, "other.test", &trust).build();
        let refused = resolver.lookup("www.example.test", RecordType::A).await.expect_err("nobody to ask");
        assert_eq!(refused, LookupError::Exchange(ExchangeError::Unreachable));
        let (_, stranger) = configs();
        let client = Client::builder(runtime.clone(), at).tls("dns.test", &stranger).build();
        let refused = client.ask("www.example.test", RecordType::A).expect("a name").await;
        assert_eq!(refused.expect_err("nobody to ask"), QueryError::Exchange(ExchangeError::Unreachable));
    })
    .await;
}
