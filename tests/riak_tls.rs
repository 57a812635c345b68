//! The Riak client and nodes with security on: StartTls, and users who are known by password, by certificate, or trusted.

mod support;

use std::sync::Arc;

use glowplug::core::Seed;
use glowplug::riak::{Credentials, ServerConfig as Connections, ServerError, TlsPolicy};
use glowplug::runtime::drive::DriverError;
use glowplug::runtime::riak::memory::{Handle, Node, NodeConfig};
use glowplug::runtime::riak::{
    Client, ConnectError, Content, Error, Location, Reaper, ServerErrorKind, Serving, serve_memory_tls,
};
use glowplug::runtime::server::Server;
use glowplug::runtime::tls::rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use glowplug::runtime::tls::rustls::server::WebPkiClientVerifier;
use glowplug::runtime::tls::rustls::{self, RootCertStore};
use glowplug::runtime::tls::{ClientConfig, ServerConfig, ring};
use glowplug::runtime::{Runtime, Spawn};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

use support::{any_port, beside};

support::on_each_executor![
    a_user_with_a_password,
    a_wrong_password_is_refused,
    a_user_with_a_certificate,
    tls_without_a_login,
    a_node_that_wants_tls_says_so,
    an_unknown_authority_is_refused,
    a_login_in_the_builder,
];

/// What these tests ask of a plug.
trait Plug: Runtime + Spawn<Reaper<Self>> + Spawn<Serving<Self>> {}

impl<R: Runtime + Spawn<Reaper<R>> + Spawn<Serving<R>>> Plug for R {}

/// Somebody who signs certificates.
struct Authority {
    certificate: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "the authority");
        let certificate = params.self_signed(&key).expect("signed").der().clone();
        Self { certificate, issuer: Issuer::new(params, key) }
    }

    fn leaf(&self, name: &str) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
        let leaf = params.signed_by(&key, &self.issuer).expect("signed");
        (vec![leaf.der().clone()], PrivatePkcs8KeyDer::from(key.serialize_der()).into())
    }

    fn roots(&self) -> Arc<RootCertStore> {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone()).expect("a root");
        Arc::new(roots)
    }

    fn node(&self) -> ServerConfig {
        let (chain, key) = self.leaf("127.0.0.1");
        ServerConfig::new(chain, key).expect("a configuration")
    }

    fn client(&self) -> ClientConfig {
        ClientConfig::with_roots([self.certificate.clone()]).expect("a configuration")
    }
}

/// Runs `work` beside a node with security on, whose user Ada has a password; it gets the node's host and port.
async fn with_node<R: Plug>(
    runtime: R,
    policy: TlsPolicy,
    tls: ServerConfig,
    work: impl AsyncFnOnce(String),
) {
    let server = Server::bind(runtime.clone(), any_port()).await.expect("a free port");
    let at = server.local_endpoint().expect("an address").to_string();
    let node = Node::new(&Seed::from_u64(8), NodeConfig::new().user("ada", "se:cret"));
    let connections = Connections::new().tls(policy);
    let serving = serve_memory_tls(runtime.clone(), server, Handle::new(node), connections, tls);
    beside(work(at), serving).await;
}

async fn use_it<R: Plug>(riak: &Client<R>) {
    let location = Location::new("bucket", "k");
    riak.put(location.clone(), Content::new(vec![7; 100_000])).await.expect("stored");
    let object = riak.get(location).await.expect("answered").expect("there");
    assert_eq!(object.content().expect("one content").value.len(), 100_000);
    assert_eq!(riak.connections(), 1);
}

/// What the node says to who may not come in.
fn refusal<T: std::fmt::Debug>(refused: Result<T, ConnectError>) -> ServerError {
    match refused {
        Err(ConnectError::Handshake(Some(DriverError::Protocol(glowplug::riak::Error::AuthRefused(
            error,
        ))))) => error,
        other => panic!("{other:?}"),
    }
}

async fn a_user_with_a_password<R: Plug>(runtime: R) {
    let authority = Authority::new();
    with_node(runtime.clone(), TlsPolicy::Require, authority.node(), async |at| {
        let builder = Client::builder(runtime).tls(authority.client());
        let riak = builder.connect(&format!("riak://ada:se%3Acret@{at}")).await.expect("connected");
        use_it(&riak).await;
    })
    .await;
}

async fn a_wrong_password_is_refused<R: Plug>(runtime: R) {
    let authority = Authority::new();
    with_node(runtime.clone(), TlsPolicy::Require, authority.node(), async |at| {
        for login in ["ada:wrong", "nobody:secret"] {
            let builder = Client::builder(runtime.clone()).tls(authority.client());
            let refused = builder.connect(&format!("riak://{login}@{at}")).await;
            assert_eq!(refusal(refused).kind(), ServerErrorKind::AuthenticationFailed);
        }
    })
    .await;
}

async fn a_user_with_a_certificate<R: Plug>(runtime: R) {
    let authority = Authority::new();
    let verifier = WebPkiClientVerifier::builder_with_provider(authority.roots(), ring()).build();
    let (chain, key) = authority.leaf("127.0.0.1");
    let node = rustls::ServerConfig::builder_with_provider(ring())
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_client_cert_verifier(verifier.expect("a verifier"))
        .with_single_cert(chain, key)
        .expect("a configuration");
    let (chain, key) = authority.leaf("ada");
    let client = rustls::ClientConfig::builder_with_provider(ring())
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(authority.roots())
        .with_client_auth_cert(chain, key)
        .expect("a configuration");
    with_node(runtime.clone(), TlsPolicy::Require, Arc::new(node).into(), async |at| {
        // The node in memory asks for the password as well; a real one looks at the certificate alone.
        let url = format!("riak://ada:se%3Acret@{at}");
        let builder = Client::builder(runtime.clone()).tls(Arc::new(client).into());
        use_it(&builder.connect(&url).await.expect("connected")).await;
        // Without one, the handshake or the first word after it fails.
        let without = Client::builder(runtime).tls(authority.client()).connect(&url).await;
        let expected = matches!(without, Err(ConnectError::Tls(_) | ConnectError::Handshake(_)));
        assert!(expected, "{without:?}");
    })
    .await;
}

async fn tls_without_a_login<R: Plug>(runtime: R) {
    let authority = Authority::new();
    with_node(runtime.clone(), TlsPolicy::Offer, authority.node(), async |at| {
        for url in [format!("riaks://{at}"), format!("riak://{at}?tls=true")] {
            let builder = Client::builder(runtime.clone()).tls(authority.client());
            use_it(&builder.connect(&url).await.expect("connected")).await;
        }
        // And without TLS, where the node does not insist.
        let riak =
            Client::builder(runtime.clone()).connect(&format!("riak://{at}")).await.expect("connected");
        use_it(&riak).await;
    })
    .await;
}

async fn a_node_that_wants_tls_says_so<R: Plug>(runtime: R) {
    let authority = Authority::new();
    with_node(runtime.clone(), TlsPolicy::Require, authority.node(), async |at| {
        let riak = Client::builder(runtime).connect(&format!("riak://{at}")).await.expect("connected");
        let refused = riak.ping().await;
        assert_eq!(
            refused.as_ref().err().and_then(Error::refusal).map(ServerError::kind),
            Some(ServerErrorKind::NeedsTls),
            "{refused:?}"
        );
    })
    .await;
}

async fn an_unknown_authority_is_refused<R: Plug>(runtime: R) {
    let authority = Authority::new();
    with_node(runtime.clone(), TlsPolicy::Offer, authority.node(), async |at| {
        let builder = Client::builder(runtime).tls(Authority::new().client());
        let refused = builder.connect(&format!("riaks://{at}")).await;
        assert!(matches!(refused, Err(ConnectError::Tls(_))), "{refused:?}");
    })
    .await;
}

async fn a_login_in_the_builder<R: Plug>(runtime: R) {
    let authority = Authority::new();
    with_node(runtime.clone(), TlsPolicy::Require, authority.node(), async |at| {
        let builder = Client::builder(runtime).tls(authority.client());
        let builder = builder.credentials(Credentials::new("ada", "se:cret"));
        use_it(&builder.connect(&format!("riak://{at}")).await.expect("connected")).await;
    })
    .await;
}
