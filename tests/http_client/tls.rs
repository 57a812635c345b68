//! HTTPS: verified, with ALPN, and not left by a redirect.

use glowplug::runtime::dial::DialError;
use glowplug::runtime::http::{Client, ClientBuilder, ClientError};
use glowplug::runtime::tls::rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use glowplug::runtime::tls::{ClientConfig, ServerConfig, Tls};
use rcgen::{CertificateParams, KeyPair};

use crate::basics::Plug;
use crate::server::{Log, Reply, Seen, Site, connection};
use crate::support::{self, beside};

support::on_each_executor![
    requests_over_tls,
    a_server_that_is_not_who_it_should_be,
    a_redirect_does_not_leave_tls,
];

/// A server's configuration, and what verifies it.
fn configs() -> (ServerConfig, CertificateDer<'static>) {
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
    let certificate = params.self_signed(&key).expect("signed").der().clone();
    let private = PrivatePkcs8KeyDer::from(key.serialize_der()).into();
    let server = ServerConfig::new(vec![certificate.clone()], private).expect("a configuration");
    (server.alpn(["h2", "http/1.1"]), certificate)
}

fn trusting<R: Plug>(runtime: &R, site: &Site<R>, certificate: CertificateDer<'static>) -> ClientBuilder<R> {
    let tls = ClientConfig::with_roots([certificate]).expect("a configuration");
    Client::builder(runtime.clone()).tls(tls).connect_to(site.at.clone())
}

async fn serve<R: Plug>(site: Site<R>, config: ServerConfig, log: Log, handler: impl Fn(&Seen) -> Reply) {
    let runtime = site.runtime.clone();
    site.accept(async |id, stream| {
        let mut stream = Tls::server(stream, &config).expect("a session");
        if stream.handshake().await.is_ok() {
            assert_eq!(stream.alpn_protocol(), Some(&b"http/1.1"[..]));
            connection(&runtime, id, stream, &log, &handler).await;
        }
    })
    .await;
}

fn echo(seen: &Seen) -> Reply {
    match seen.target.as_str() {
        "/leave" => Reply::status(302).field("location", "http://localhost/plain"),
        target => Reply::chunked([target.to_owned(), seen.text()]),
    }
}

async fn requests_over_tls<R: Plug>(runtime: R) {
    let (config, certificate) = configs();
    let site = Site::open(&runtime).await;
    let client = trusting(&runtime, &site, certificate).build();
    let log = Log::default();
    let work = async {
        for n in 0..3 {
            let body = "x".repeat(100_000 * n);
            let request = client.post(format!("https://localhost/{n}")).body(body.clone());
            let answer = request.send().await.expect("an answer").text().await.expect("a body");
            assert!(answer == format!("/{n}{body}"), "another body");
            assert_eq!(client.idle_connections(), 1);
        }
        assert_eq!(log.last().connection, 0);
        assert_eq!(log.last().field("host"), Some("localhost"));
    };
    beside(work, serve(site, config, log.clone(), echo)).await;
}

async fn a_server_that_is_not_who_it_should_be<R: Plug>(runtime: R) {
    let (config, certificate) = configs();
    let (_, stranger) = configs();
    let site = Site::open(&runtime).await;
    let (trusting_it, trusting_another) =
        (trusting(&runtime, &site, certificate).build(), trusting(&runtime, &site, stranger).build());
    let log = Log::default();
    let work = async {
        for (client, host) in [(&trusting_it, "elsewhere.example"), (&trusting_another, "localhost")] {
            let refused = client.get(format!("https://{host}/")).send().await;
            assert!(matches!(refused, Err(ClientError::Dial(DialError::Tls(_)))), "{refused:?}");
            assert_eq!(client.connections(), 0);
        }
        assert_eq!(log.len(), 0);
    };
    beside(work, serve(site, config, log.clone(), echo)).await;
}

async fn a_redirect_does_not_leave_tls<R: Plug>(runtime: R) {
    let (config, certificate) = configs();
    let site = Site::open(&runtime).await;
    let careful = trusting(&runtime, &site, certificate.clone()).build();
    let careless = trusting(&runtime, &site, certificate).allow_leaving_tls(true).build();
    let log = Log::default();
    let work = async {
        let refused = careful.get("https://localhost/leave").send().await;
        assert!(matches!(refused, Err(ClientError::LeavesTls)), "{refused:?}");
        // The server speaks nothing but TLS, so all that can be seen is that it was tried.
        let failed = careless.get("https://localhost/leave").send().await;
        assert!(matches!(failed, Err(ClientError::Connection { .. })), "{failed:?}");
    };
    beside(work, serve(site, config, log.clone(), echo)).await;
}
