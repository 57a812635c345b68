//! TLS, and the mechanisms that need it.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use glowplug::mongodb::bson::{Document, Value};
use glowplug::mongodb::{Request, doc};
use glowplug::runtime::dial::DialError;
use glowplug::runtime::mongodb::{Client, ConnectError, serve_memory_tls};
use glowplug::runtime::server::Server;
use glowplug::runtime::tls::rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use glowplug::runtime::tls::rustls::server::WebPkiClientVerifier;
use glowplug::runtime::tls::{ClientConfig, ServerConfig, Tls, ring, rustls};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

use crate::fake::{Answer, beside_fake_on, hello};
use crate::support::{any_port, beside};
use crate::{Plug, data, grow, support};

support::on_each_executor![
    scram_under_tls,
    a_server_that_cannot_show_who_it_is,
    plain_under_tls,
    a_certificate_is_the_user,
];

/// An authority, and what it signed.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub(crate) certificate: CertificateDer<'static>,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).expect("signed").der().clone();
        Self { issuer: Issuer::new(params, key), certificate }
    }

    /// A certificate for these names with the key that goes with it.
    pub(crate) fn sign(&self, names: &[&str], user: &str) -> (CertificateDer<'static>, KeyPair) {
        let key = KeyPair::generate().expect("a key");
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).expect("names");
        params.distinguished_name.push(DnType::CommonName, user);
        (params.signed_by(&key, &self.issuer).expect("signed").der().clone(), key)
    }

    /// A server's configuration, with a certificate for these names.
    pub(crate) fn server(&self, names: &[&str]) -> ServerConfig {
        let (certificate, key) = self.sign(names, "server");
        let key = PrivatePkcs8KeyDer::from(key.serialize_der());
        ServerConfig::new(vec![certificate], key.into()).expect("a configuration")
    }

    pub(crate) fn trust(&self) -> ClientConfig {
        ClientConfig::with_roots([self.certificate.clone()]).expect("a configuration")
    }
}

/// A folder that goes with the test.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name =
            format!("glowplug-mongodb-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).expect("a folder");
        Self(path)
    }

    /// Writes parts as PEM, and says where, as a connection string has it.
    pub(crate) fn pem(&self, name: &str, parts: &[(&str, &[u8])]) -> String {
        let path = self.0.join(name);
        let armored = |(label, der): &(&str, &[u8])| {
            format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(der))
        };
        let text: Vec<String> = parts.iter().map(armored).collect();
        std::fs::write(&path, text.concat()).expect("written");
        path.to_str().expect("text").replace('/', "%2F")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

async fn beside_tls_server<R: Plug>(runtime: R, tls: ServerConfig, test: impl AsyncFnOnce(String)) {
    let server = Server::bind(runtime.clone(), any_port()).await.expect("a free port");
    let at = server.local_endpoint().expect("an address").to_string();
    let data = data(&[("ada", "s3cret")]);
    beside(test(at), serve_memory_tls(runtime, server, tls, data)).await;
}

async fn scram_under_tls<R: Plug>(runtime: R) {
    let authority = Authority::new();
    let folder = Folder::new();
    let file = folder.pem("ca.pem", &[("CERTIFICATE", &authority.certificate)]);
    beside_tls_server(runtime.clone(), authority.server(&["127.0.0.1"]), async |at: String| {
        for mechanism in ["SCRAM-SHA-1", "SCRAM-SHA-256"] {
            let builder = Client::builder(runtime.clone()).tls(authority.trust());
            let uri = format!("mongodb://ada:s3cret@{at}/?tls=true&authMechanism={mechanism}");
            let client = builder.connect(&uri).await.expect("connected");
            let fruit = client.database("shop").collection::<Document>(mechanism);
            grow(&fruit, 200).await;
            let found = fruit.find(doc! {}).batch_size(20).collect().await.expect("found");
            assert_eq!(found.len(), 200);
        }
        // The authority may come from a file that the string names.
        let uri = format!("mongodb://ada:s3cret@{at}/?tls=true&tlsCAFile={file}");
        let client = Client::builder(runtime.clone()).connect(&uri).await.expect("connected");
        client.ping().await.expect("there");
    })
    .await;
}

async fn a_server_that_cannot_show_who_it_is<R: Plug>(runtime: R) {
    let (authority, stranger) = (Authority::new(), Authority::new());
    for (server, trust) in [
        (authority.server(&["db.example.test"]), authority.trust()),
        (stranger.server(&["127.0.0.1"]), authority.trust()),
    ] {
        beside_tls_server(runtime.clone(), server, async |at: String| {
            let builder = Client::builder(runtime.clone()).tls(trust);
            let error = builder.connect(&format!("mongodb://{at}/?tls=true")).await.map(drop);
            assert!(matches!(error, Err(ConnectError::Dial(DialError::Tls(_)))), "{error:?}");
        })
        .await;
    }
}

/// The command's field as text or bytes.
fn field(request: &Request, name: &str) -> Vec<u8> {
    match request.command().and_then(|command| command.find(name)) {
        Some(Value::String(text)) => text.as_bytes().to_vec(),
        Some(Value::Binary(binary)) => binary.bytes.to_vec(),
        _ => Vec::new(),
    }
}

async fn plain_under_tls<R: Plug>(runtime: R) {
    let authority = Authority::new();
    let tls = authority.server(&["127.0.0.1"]);
    let answer = |name: &str, request: &Request| match name {
        "hello" => Answer::Reply(hello()),
        "saslStart" => {
            assert_eq!(field(request, "mechanism"), b"PLAIN");
            assert_eq!(request.database(), Some("$external"));
            let known = field(request, "payload") == b"\0ada\0s3cret";
            Answer::Reply(if known {
                doc! { "ok": 1, "done": true, "conversationId": 1, "payload": "" }
            } else {
                doc! { "ok": 0, "code": 18, "errmsg": "Authentication failed." }
            })
        }
        _ => Answer::Reply(doc! { "ok": 1 }),
    };
    let wrap = |stream| Tls::server(stream, &tls).expect("a session");
    beside_fake_on(runtime.clone(), wrap, answer, async |at: String| {
        for (password, known) in [("s3cret", true), ("wrong", false)] {
            let builder = Client::builder(runtime.clone()).tls(authority.trust());
            let uri = format!("mongodb://ada:{password}@{at}/?tls=true&authMechanism=PLAIN");
            match builder.connect(&uri).await {
                Ok(client) if known => client.ping().await.expect("there"),
                Err(ConnectError::Handshake(Some(_))) if !known => {}
                other => panic!("{other:?}"),
            }
        }
    })
    .await;
}

async fn a_certificate_is_the_user<R: Plug>(runtime: R) {
    let authority = Authority::new();
    let (certificate, key) = authority.sign(&["127.0.0.1"], "server");
    let mut roots = rustls::RootCertStore::empty();
    roots.add(authority.certificate.clone()).expect("a root");
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), ring()).build();
    let server = rustls::ServerConfig::builder_with_provider(ring())
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_client_cert_verifier(verifier.expect("a verifier"))
        .with_single_cert(vec![certificate], PrivatePkcs8KeyDer::from(key.serialize_der()).into());
    let tls = ServerConfig::from(Arc::new(server.expect("a configuration")));
    let folder = Folder::new();
    let (own, own_key) = authority.sign(&["client"], "ada");
    let ca = folder.pem("ca.pem", &[("CERTIFICATE", &authority.certificate)]);
    let identity = folder.pem("own.pem", &[("CERTIFICATE", &own), ("PRIVATE KEY", &own_key.serialize_der())]);
    let answer = |name: &str, request: &Request| match name {
        "hello" => {
            // The speculation is as good as the command itself; this server does without.
            let body = request.command().expect("a command");
            let speculation = body.get_doc("speculativeAuthenticate").expect("a speculation");
            assert_eq!(speculation.get_str("mechanism"), Some("MONGODB-X509"));
            Answer::Reply(hello())
        }
        "authenticate" => {
            assert_eq!(field(request, "mechanism"), b"MONGODB-X509");
            assert_eq!(request.database(), Some("$external"));
            Answer::Reply(doc! { "ok": 1, "dbname": "$external", "user": "CN=ada" })
        }
        _ => Answer::Reply(doc! { "ok": 1 }),
    };
    let wrap = |stream| Tls::server(stream, &tls).expect("a session");
    beside_fake_on(runtime.clone(), wrap, answer, async |at: String| {
        let uri = format!(
            "mongodb://{at}/?tls=true&authMechanism=MONGODB-X509&tlsCAFile={ca}&tlsCertificateKeyFile={identity}"
        );
        let client = Client::builder(runtime.clone()).connect(&uri).await.expect("connected");
        client.ping().await.expect("there");
        // Without a certificate of its own, nobody gets as far as the handshake of MongoDB.
        let uri = format!("mongodb://{at}/?tls=true&tlsCAFile={ca}");
        let error = Client::builder(runtime.clone()).connect(&uri).await.map(drop);
        assert!(matches!(error, Err(ConnectError::Dial(_) | ConnectError::Handshake(_))), "{error:?}");
    })
    .await;
}
