//! The client against a real nginx, found on the path. Without one there is nothing to see, unless `GLOWPLUG_REQUIRE_SERVERS=1` asks
//! for failure.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use base64::Engine as _;
use bytes::Bytes;
use glowplug::runtime::http::{Body, Client, ClientBuilder};
use glowplug::runtime::time::sleep;
use glowplug::runtime::tls::ClientConfig;
use glowplug::runtime::tls::rustls::pki_types::CertificateDer;
use rcgen::{CertificateParams, KeyPair};

use crate::basics::Plug;
use crate::support;

#[test]
fn nginx_on_tokio() {
    if let Some(nginx) = Nginx::start("tokio") {
        support::on_tokio(async |runtime| story(runtime, nginx).await);
    }
}

#[test]
fn nginx_on_smol() {
    if let Some(nginx) = Nginx::start("smol") {
        support::on_smol(async |runtime| story(runtime, nginx).await);
    }
}

/// A running nginx with a folder of its own; both go when it is dropped.
struct Nginx {
    process: Child,
    folder: PathBuf,
    plain: u16,
    secure: u16,
    certificate: CertificateDer<'static>,
}

const BIG: usize = 3_000_000;

impl Nginx {
    fn start(name: &str) -> Option<Self> {
        let folder = std::env::temp_dir().join(format!("glowplug-nginx-{}-{name}", std::process::id()));
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
        let certificate = params.self_signed(&key).expect("signed").der().clone();
        fs::create_dir_all(folder.join("www/up")).expect("a folder");
        fs::write(folder.join("cert.pem"), pem("CERTIFICATE", &certificate)).expect("written");
        fs::write(folder.join("key.pem"), pem("PRIVATE KEY", &key.serialize_der())).expect("written");
        fs::write(folder.join("www/small.txt"), "small").expect("written");
        fs::write(folder.join("www/big.txt"), "0123456789".repeat(BIG / 10)).expect("written");
        fs::write(folder.join("www/page.shtml"), "server side: <!--#echo var=\"request_method\" -->")
            .expect("written");
        // A port that was free may be taken a moment later.
        for _ in 0..5 {
            let [plain, secure] = [free_port(), free_port()];
            fs::write(folder.join("nginx.conf"), config(&folder, plain, secure)).expect("written");
            let started = Command::new("nginx")
                .arg("-p")
                .arg(&folder)
                .args(["-c", "nginx.conf"])
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn();
            let Ok(mut process) = started else {
                let required = std::env::var("GLOWPLUG_REQUIRE_SERVERS").is_ok_and(|value| value == "1");
                assert!(!required, "nginx is not installed, and GLOWPLUG_REQUIRE_SERVERS asks for it");
                // To the terminal itself: what a passing test prints is seen by nobody.
                let _ =
                    std::io::Write::write_all(&mut std::io::stderr(), b"skipped: nginx is not installed\n");
                let _ = fs::remove_dir_all(&folder);
                return None;
            };
            for _ in 0..500 {
                if std::net::TcpStream::connect(("127.0.0.1", secure)).is_ok() {
                    return Some(Self { process, folder, plain, secure, certificate });
                }
                if process.try_wait().is_ok_and(|ended| ended.is_some()) {
                    break;
                }
                std::thread::sleep(Duration::from_millis(20));
            }
            let _ = process.kill();
            let _ = process.wait();
        }
        panic!("nginx does not start: {}", fs::read_to_string(folder.join("error.log")).unwrap_or_default());
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("an address").port()
}

fn pem(kind: &str, der: &[u8]) -> String {
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    let lines: Vec<_> =
        text.as_bytes().chunks(64).map(|line| String::from_utf8_lossy(line).into_owned()).collect();
    format!("-----BEGIN {kind}-----\n{}\n-----END {kind}-----\n", lines.join("\n"))
}

fn config(folder: &Path, plain: u16, secure: u16) -> String {
    let folder = folder.display();
    format!(
        "daemon off; master_process off; pid {folder}/nginx.pid; error_log {folder}/error.log;
        events {{ worker_connections 64; }}
        http {{
            access_log off;
            client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
            fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
            default_type text/plain; root {folder}/www; client_max_body_size 10m;
            keepalive_requests 5; keepalive_timeout 200ms;
            server {{
                listen 127.0.0.1:{plain};
                listen 127.0.0.1:{secure} ssl;
                ssl_certificate {folder}/cert.pem; ssl_certificate_key {folder}/key.pem;
                location /moved {{ return 302 /small.txt; }}
                location /page.shtml {{ ssi on; ssi_types *; }}
                location /http10/ {{ ssi on; ssi_types *; chunked_transfer_encoding off; alias {folder}/www/; }}
                location /up/ {{ dav_methods PUT DELETE; create_full_put_path on; }}
                location /refused {{ return 403 no; }}
            }}
        }}"
    )
}

async fn story<R: Plug>(runtime: R, nginx: Nginx) {
    let tls = ClientConfig::with_roots([nginx.certificate.clone()]).expect("a configuration");
    let build = || -> ClientBuilder<R> { Client::builder(runtime.clone()).tls(tls.clone()) };
    let bases = [format!("http://127.0.0.1:{}", nginx.plain), format!("https://localhost:{}", nginx.secure)];
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
