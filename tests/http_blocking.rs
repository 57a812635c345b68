//! The HTTP client without an executor, against our own server on another thread.

use std::convert::Infallible;
use std::io::Read as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use glowplug::core::{PoolConfig, Progress};
use glowplug::runtime::Endpoint;
use glowplug::runtime::dial::DialError;
use glowplug::runtime::http::blocking::Client;
use glowplug::runtime::http::server::{Incoming, Server, service_fn};
use glowplug::runtime::http::{Body, ClientError, CookieJar, Download, Form, Stage};
use glowplug::runtime::server::Stopper;
use glowplug::runtime::time::sleep;
use glowplug::runtime::tls::rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use glowplug::runtime::tls::{ClientConfig, ServerConfig};
use glowplug::smol::Smol;
use http::{Request, Response};

/// A server on a thread of its own, which ends when it is dropped.
struct Site {
    at: Endpoint,
    stopper: Stopper,
    thread: Option<std::thread::JoinHandle<()>>,
    certificate: CertificateDer<'static>,
}

impl Drop for Site {
    fn drop(&mut self) {
        self.stopper.stop();
        let ended = self.thread.take().map(std::thread::JoinHandle::join);
        if !std::thread::panicking() {
            ended.expect("once").expect("the server does not panic");
        }
    }
}

async fn answer(request: Request<Incoming>) -> Response<Body> {
    let path = request.uri().path().to_owned();
    let response = Response::builder();
    let response = match path.as_str() {
        "/moved" => {
            return response.status(302).header("location", "/hello").body(Body::empty()).expect("valid");
        }
        "/slow" => {
            sleep(&Smol::default(), Duration::from_secs(1)).await;
            response
        }
        "/pause" => {
            sleep(&Smol::default(), Duration::from_millis(10)).await;
            response
        }
        "/cookie" => response.header("set-cookie", "a=1"),
        "/gzip" => response.header("content-encoding", "gzip"),
        _ => response,
    };
    let cookie = request.headers().get("cookie").map(|value| value.to_str().expect("ascii").to_owned());
    let body = request.into_body().bytes(10_000_000).await.expect("a body");
    let text = match path.as_str() {
        "/gzip" => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            std::io::Write::write_all(&mut encoder, &vec![b'g'; 100_000]).expect("encoded");
            return response.body(Body::from(encoder.finish().expect("encoded"))).expect("valid");
        }
        "/echo" => return response.body(Body::from(body)).expect("valid"),
        _ => format!("{path} {} {}", cookie.unwrap_or_default(), body.len()),
    };
    response.body(Body::from(text)).expect("valid")
}

impl Site {
    fn start(at: impl Into<Endpoint>, tls: bool) -> Self {
        let key = rcgen::KeyPair::generate().expect("a key");
        let params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
        let certificate = params.self_signed(&key).expect("signed").der().clone();
        let private = PrivatePkcs8KeyDer::from(key.serialize_der()).into();
        let config = ServerConfig::new(vec![certificate.clone()], private).expect("a configuration");
        let (tell, told) = mpsc::channel();
        let at = at.into();
        let thread = std::thread::spawn(move || {
            smol::block_on(async {
                let server = Server::bind(Smol::default(), at).await.expect("a free port");
                let server = if tls { server.tls(config) } else { server };
                tell.send((server.local_endpoint().expect("an address"), server.stopper())).expect("heard");
                let service = service_fn(async |request| Ok::<_, Infallible>(answer(request).await));
                server.run(service).await;
            });
        });
        let (at, stopper) = told.recv().expect("it has started");
        Self { at, stopper, thread: Some(thread), certificate }
    }

    fn plain() -> Self {
        Self::start(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), false)
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.at)
    }
}

#[test]
fn plain_calls() {
    let site = Site::plain();
    let jar = CookieJar::new();
    let client = Client::builder().cookies(jar.clone()).build_blocking();
    assert_eq!(
        client.get(site.url("/hello")).call().expect("an answer").text().expect("a body"),
        "/hello  0"
    );
    let answer = client.get(site.url("/moved")).call().expect("an answer");
    assert_eq!((answer.status().as_u16(), answer.url().path()), (200, "/hello"));
    assert_eq!(answer.text().expect("a body"), "/hello  0");
    client.get(site.url("/cookie")).call().expect("an answer").bytes().expect("a body");
    let answer =
        client.post(site.url("/post")).multipart(Form::new().text("a", "1")).call().expect("an answer");
    assert!(answer.text().expect("a body").starts_with("/post a=1 "));
    let mut text = String::new();
    let mut answer = client.get(site.url("/gzip")).call().expect("an answer");
    answer.read_to_string(&mut text).expect("a body");
    assert!(text == "g".repeat(100_000));
    assert_eq!(client.as_async().connections(), 1);
    let mut answer = client.get(site.url("/hello")).call().expect("an answer");
    let mut two = [0; 2];
    answer.read_exact(&mut two).expect("a body");
    assert_eq!((&two, answer.chunk().expect("the rest").expect("some")), (b"/h", "ello a=1 0".into()));
    assert_eq!(client.head(site.url("/hello")).call().expect("an answer").content_length(), Some(0));
}

#[test]
fn long_bodies_both_ways() {
    let site = Site::plain();
    let client = Client::new();
    let body: Vec<u8> = (0..3_000_000_u32).map(|n| (n % 251) as u8).collect();
    let reader = std::io::Cursor::new(body.clone());
    for sent in [Body::from(body.clone()), Body::from_reader(reader, None)] {
        let answer = client.put(site.url("/echo")).body(sent).call().expect("an answer");
        assert!(answer.bytes().expect("a body") == body);
    }
    let mut file = Vec::new();
    let answer = client.put(site.url("/echo")).body(body.clone()).call().expect("an answer");
    assert_eq!(answer.write_to(&mut file, |_| {}).expect("written"), 3_000_000);
    assert!(file == body);
    let (mut download, mut file) = (Download::new(), Vec::new());
    let length = download.run_blocking(|| client.get(site.url("/hello")), &mut file, |_| {});
    assert_eq!((length.expect("complete"), &file[..]), (9, &b"/hello  0"[..]));
}

#[test]
fn time_is_kept() {
    let site = Site::plain();
    let client = Client::builder().head_timeout(Some(Duration::from_millis(50))).build_blocking();
    let failed = client.get(site.url("/slow")).call();
    assert!(
        matches!(failed, Err(ClientError::TimedOut { stage: Stage::Head, progress: Progress::FullySent })),
        "{failed:?}"
    );
    let total = Some(Duration::from_millis(50));
    let failed = Client::new().get(site.url("/slow")).total_timeout(total).call();
    assert!(matches!(failed, Err(ClientError::TimedOut { .. })), "{failed:?}");
}

#[test]
fn who_is_not_there_is_told() {
    let nobody = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port");
    let failed = Client::new().get(format!("http://{nobody}/")).call();
    assert!(matches!(failed, Err(ClientError::Dial(DialError::Connect(_)))), "{failed:?}");
}

#[test]
fn threads_share_a_small_pool() {
    let site = Site::plain();
    let client = Client::builder().pool(PoolConfig::default().max_per_key(2)).build_blocking();
    let answered = Arc::new(AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..10 {
                    let answer = client.get(site.url("/pause")).call().expect("an answer");
                    assert_eq!(answer.text().expect("a body"), "/pause  0");
                    answered.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    assert_eq!(answered.load(Ordering::Relaxed), 80);
    assert!(client.as_async().connections() <= 2);
}

#[test]
fn tls_and_unix_sockets() {
    let site = Site::start(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), true);
    let tls = ClientConfig::with_roots([site.certificate.clone()]).expect("a configuration");
    let client = Client::builder().tls(tls).build_blocking();
    let port = site.at.socket_addr().expect("tcp").port();
    for _ in 0..3 {
        let answer = client.get(format!("https://localhost:{port}/hello")).call().expect("an answer");
        assert_eq!(answer.text().expect("a body"), "/hello  0");
    }
    assert_eq!(client.as_async().connections(), 1);
    let path = std::env::temp_dir().join(format!("glowplug-blocking-{}", std::process::id()));
    let site = Site::start(path.clone(), false);
    let client = Client::builder().connect_to(site.at.clone()).build_blocking();
    let answer = client.get("http://here/hello").call().expect("an answer");
    assert_eq!(answer.text().expect("a body"), "/hello  0");
    drop(site);
    let _ = std::fs::remove_file(path);
}
