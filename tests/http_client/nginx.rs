//! The client against a real nginx.

use std::fs;
use std::path::Path;
use std::time::Duration;

use base64::Engine as _;
use bytes::Bytes;
use glowplug::runtime::http::{Body, Client, ClientBuilder};
use glowplug::runtime::time::sleep;
use glowplug::runtime::tls::ClientConfig;
use glowplug::runtime::tls::rustls::pki_types::CertificateDer;
use rcgen::{CertificateParams, KeyPair};

use crate::basics::Plug;
use crate::real_nginx::Nginx;
use crate::support;

#[test]
fn nginx_on_tokio() {
    if let Some((nginx, certificate)) = start("tokio") {
        support::on_tokio(async |runtime| story(runtime, nginx, certificate).await);
    }
}

#[test]
fn nginx_on_smol() {
    if let Some((nginx, certificate)) = start("smol") {
        support::on_smol(async |runtime| story(runtime, nginx, certificate).await);
    }
}

const BIG: usize = 3_000_000;

/// The first port is in the clear, the second under TLS, with this certificate.
fn start(name: &str) -> Option<(Nginx, CertificateDer<'static>)> {
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
    let certificate = params.self_signed(&key).expect("signed").der().clone();
    let prepare = |folder: &Path| {
        fs::create_dir_all(folder.join("www/up")).expect("a folder");
        fs::write(folder.join("cert.pem"), pem("CERTIFICATE", &certificate)).expect("written");
        fs::write(folder.join("key.pem"), pem("PRIVATE KEY", &key.serialize_der())).expect("written");
        fs::write(folder.join("www/small.txt"), "small").expect("written");
        fs::write(folder.join("www/big.txt"), "0123456789".repeat(BIG / 10)).expect("written");
        fs::write(folder.join("www/page.shtml"), "server side: <!--#echo var=\"request_method\" -->")
            .expect("written");
    };
    Some((Nginx::start(name, prepare, config)?, certificate))
}

fn pem(kind: &str, der: &[u8]) -> String {
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    let lines: Vec<_> =
        text.as_bytes().chunks(64).map(|line| String::from_utf8_lossy(line).into_owned()).collect();
    format!("-----BEGIN {kind}-----\n{}\n-----END {kind}-----\n", lines.join("\n"))
}

fn config(folder: &Path, [plain, secure]: [u16; 2]) -> String {
    let folder = folder.display();
    format!(
        "root {folder}/www; keepalive_requests 5; keepalive_timeout 200ms;
        server {{
            listen 127.0.0.1:{plain};
            listen 127.0.0.1:{secure} ssl;
            ssl_certificate {folder}/cert.pem; ssl_certificate_key {folder}/key.pem;
            location /moved {{ return 302 /small.txt; }}
            location /page.shtml {{ ssi on; ssi_types *; }}
            location /http10/ {{ ssi on; ssi_types *; chunked_transfer_encoding off; alias {folder}/www/; }}
            location /up/ {{ dav_methods PUT DELETE; create_full_put_path on; }}
            location /refused {{ return 403 no; }}
        }}"
    )
}

async fn story<R: Plug>(runtime: R, nginx: Nginx, certificate: CertificateDer<'static>) {
    let [plain, secure] = nginx.ports;
    let tls = ClientConfig::with_roots([certificate]).expect("a configuration");
    let build = || -> ClientBuilder<R> { Client::builder(runtime.clone()).tls(tls.clone()) };
    let bases = [format!("http://127.0.0.1:{plain}"), format!("https://localhost:{secure}")];
    for base in bases {
        let client = build().build();
        let get = |path: &str| client.get(format!("{base}{path}"));

        // More than the server allows on one connection.
        for _ in 0..12 {
            let answer = get("/small.txt").send().await.expect("an answer");
            assert_eq!(answer.content_length(), Some(5));
            assert_eq!(answer.text().await.expect("a body"), "small");
            assert!(client.connections() <= 1);
        }

        let answer = client.head(format!("{base}/big.txt")).send().await.expect("an answer");
        assert_eq!(answer.headers()["content-length"], BIG.to_string());
        assert_eq!(answer.bytes().await.expect("no body"), "");
        assert_eq!(
            get("/big.txt").send().await.expect("an answer").bytes().await.expect("a body").len(),
            BIG
        );
        let answer = get("/big.txt").header("range", "bytes=5-14").send().await.expect("an answer");
        assert_eq!(
            (answer.status().as_u16(), answer.text().await.expect("a body").as_str()),
            (206, "5678901234")
        );
        let etag = get("/small.txt").send().await.expect("an answer").headers()["etag"].clone();
        let answer = get("/small.txt").header("if-none-match", etag).send().await.expect("an answer");
        assert_eq!((answer.status().as_u16(), answer.text().await.expect("no body").as_str()), (304, ""));
        let answer = get("/nothing").send().await.expect("an answer");
        assert_eq!(answer.status(), 404);
        assert!(answer.text().await.expect("a body").contains("nginx"));

        let answer = get("/page.shtml").send().await.expect("an answer");
        assert_eq!(answer.headers()["transfer-encoding"], "chunked");
        assert_eq!(answer.text().await.expect("a body"), "server side: GET");
        let answer = get("/http10/page.shtml").send().await.expect("an answer");
        assert_eq!((answer.content_length(), answer.headers().get("transfer-encoding")), (None, None));
        assert_eq!(answer.text().await.expect("a body"), "server side: GET");

        let answer = get("/moved").send().await.expect("an answer");
        assert_eq!(answer.url(), &*format!("{base}/small.txt"));
        assert_eq!(answer.text().await.expect("a body"), "small");

        let body: Bytes = (0..BIG).map(|n| (n % 251) as u8).collect::<Vec<_>>().into();
        let pieces = body
            .chunks(50_000)
            .map(|piece| Ok::<_, std::io::Error>(http_body::Frame::data(body.slice_ref(piece))));
        let stream = http_body_util::StreamBody::new(futures_util::stream::iter(pieces.collect::<Vec<_>>()));
        let url = format!("{base}/up/file");
        for (status, request) in [
            (201, client.put(&*url).body(body.clone())),
            (204, client.put(&*url).expect_continue().body(body.clone())),
            (204, client.put(&*url).body(Body::new(stream))),
        ] {
            let answer = request.send().await.expect("an answer");
            assert_eq!(answer.status().as_u16(), status);
            let back = client.get(&*url).send().await.expect("an answer").bytes().await.expect("a body");
            assert!(back == body, "other bytes");
        }
        assert_eq!(client.delete(&*url).send().await.expect("an answer").status(), 204);
        // Refused before the body goes: what there is to read is the answer.
        let request = client.post(format!("{base}/refused")).expect_continue().body(body);
        let answer = request.send().await.expect("an answer");
        assert_eq!((answer.status().as_u16(), answer.text().await.expect("a body").as_str()), (403, "no"));

        // The server gives idle connections up long before the pool does.
        for _ in 0..2 {
            let answer = client.post(format!("{base}/refused")).send().await.expect("an answer");
            answer.bytes().await.expect("a body");
            sleep(&runtime, Duration::from_millis(400)).await;
        }
    }
}
