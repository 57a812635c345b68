//! Proxies: our own example, a real one, and some that misbehave.

use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use glowplug::http::auth;
use glowplug::runtime::http::proxy::{NoProxy, Proxies, Proxy};
use glowplug::runtime::http::{Client, ClientBuilder, ClientError, ProxyError};
use glowplug::runtime::tls::rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use glowplug::runtime::tls::{ClientConfig, ServerConfig, Tls};
use glowplug::runtime::{Endpoint, Listener as _};
use rcgen::{CertificateParams, KeyPair};

use crate::kit::{self, MANY, polled};
use crate::server::{Log, Reply, Seen, Site, connection, for_ever, read_head};
use crate::support::{self, any_port, beside, write};

#[path = "../../examples/http_forward_proxy.rs"]
#[allow(
    dead_code,
    unreachable_pub,
    missing_docs,
    unnameable_types,
    reason = "an example is nobody's library"
)]
pub(crate) mod forward;

support::on_each_executor![
    through_our_own,
    a_tunnel_for_tls,
    credentials_are_for_the_proxy,
    what_the_proxy_says_against_it,
    proxies_that_misbehave,
    dropped_at_every_poll,
];

/// What the client and the example take of an executor.
trait Plug: kit::Plug + forward::Plug {}
impl<R: kit::Plug + forward::Plug> Plug for R {}

/// A server's configuration, and what verifies it.
fn configs() -> (ServerConfig, CertificateDer<'static>) {
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
    let certificate = params.self_signed(&key).expect("signed").der().clone();
    let private = PrivatePkcs8KeyDer::from(key.serialize_der()).into();
    (ServerConfig::new(vec![certificate.clone()], private).expect("a configuration"), certificate)
}

async fn serve_tls<R: Plug>(site: Site<R>, config: ServerConfig, log: Log, handler: impl Fn(&Seen) -> Reply) {
    let runtime = site.runtime.clone();
    site.accept(async |id, stream| {
        let mut stream = Tls::server(stream, &config).expect("a session");
        if stream.handshake().await.is_ok() {
            connection(&runtime, id, stream, &log, &handler).await;
        }
    })
    .await;
}

fn echo(seen: &Seen) -> Reply {
    Reply::text(format!("{} {} {}", seen.method, seen.target, seen.text()))
}

fn port(at: &Endpoint) -> u16 {
    at.socket_addr().expect("a tcp address").port()
}

fn proxy_at(at: &Endpoint) -> Proxy {
    Proxy::new("127.0.0.1", port(at))
}

fn by_way_of<R: Plug>(runtime: &R, proxy: Proxy) -> ClientBuilder<R> {
    Client::builder(runtime.clone()).proxies(Proxies::all(proxy))
}

/// Runs `work` beside the example proxy; it gets the proxy's address.
async fn with_proxy<R: Plug>(
    runtime: &R,
    credentials: Option<http::HeaderValue>,
    work: impl AsyncFnOnce(Endpoint),
) {
    let listener = runtime.listen(&any_port()).await.expect("a free port");
    let at = listener.local_endpoint().expect("an address");
    beside(work(at), forward::serve(runtime.clone(), listener, credentials)).await;
}

async fn through_our_own<R: Plug>(runtime: R) {
    let [site, other] = [Site::open(&runtime).await, Site::open(&runtime).await];
    let (log, urls) = (Log::default(), [site.url("/a?b"), other.url("/c")]);
    let direct = other.at.clone();
    let work = with_proxy(&runtime, None, async |at| {
        let client = by_way_of(&runtime, proxy_at(&at)).build();
        for url in urls.iter().chain(&urls) {
            let answer = client.post(url).body("text").send().await.expect("an answer");
            let path = url.rsplit_once('/').expect("a path").1;
            assert_eq!(answer.text().await.expect("a body"), format!("POST /{path} text"));
            assert!(log.last().field("proxy-authorization").is_none());
        }
        // What goes to the proxy shares one connection, wherever it leads in the end.
        assert_eq!((client.connections(), client.idle_connections()), (1, 1));
        let except = NoProxy::parse(&format!("127.0.0.1:{}", port(&direct)));
        let client =
            Client::builder(runtime.clone()).proxies(Proxies::all(proxy_at(&at)).except(except)).build();
        for url in &urls {
            client.get(url).send().await.expect("an answer").bytes().await.expect("a body");
        }
        assert_eq!(client.connections(), 2);
    });
    let servers = futures_util::future::join(site.serve(log.clone(), echo), other.serve(log.clone(), echo));
    beside(work, servers).await;
}

async fn a_tunnel_for_tls<R: Plug>(runtime: R) {
    let (config, certificate) = configs();
    let site = Site::open(&runtime).await;
    let tls = ClientConfig::with_roots([certificate]).expect("a configuration");
    let (log, port) = (Log::default(), port(&site.at));
    let credentials = auth::basic("me", "secret").expect("plain text");
    let work = with_proxy(&runtime, Some(credentials), async |at| {
        let proxy = proxy_at(&at).basic_auth("me", "secret").expect("plain text");
        let client = by_way_of(&runtime, proxy).tls(tls.clone()).build();
        for n in 0..3 {
            let body = "x".repeat(100_000 * n);
            let answer = client.post(format!("https://localhost:{port}/{n}")).body(body.clone()).send().await;
            let text = answer.expect("an answer").text().await.expect("a body");
            assert!(text == format!("POST /{n} {body}"), "another body");
            assert_eq!((client.connections(), client.idle_connections()), (1, 1));
        }
        assert_eq!(log.last().field("host"), Some(&*format!("localhost:{port}")));
        // The server behind the tunnel hears nothing of what is for the proxy.
        assert!(log.all().iter().all(|seen| seen.field("proxy-authorization").is_none()));
    });
    beside(work, serve_tls(site, config, log.clone(), echo)).await;
}

async fn credentials_are_for_the_proxy<R: Plug>(runtime: R) {
    let site = Site::open(&runtime).await;
    let (log, url) = (Log::default(), site.url("/"));
    let credentials = auth::basic("me", "secret").expect("plain text");
    let work = with_proxy(&runtime, Some(credentials), async |at| {
        let proxy = proxy_at(&at);
        let known = proxy.clone().basic_auth("me", "secret").expect("plain text");
        let answer = by_way_of(&runtime, known).build().get(&url).send().await.expect("an answer");
        assert_eq!(answer.status(), 200);
        assert!(log.last().field("proxy-authorization").is_none());
        // Asked in the clear, the proxy answers for itself; a tunnel it refuses.
        let unknown = by_way_of(&runtime, proxy.basic_auth("me", "wrong").expect("plain text")).build();
        let answer = unknown.get(&url).send().await.expect("an answer");
        assert_eq!(answer.status(), 407);
        let refused = unknown.get("https://localhost:1/").send().await;
        assert!(
            matches!(&refused, Err(ClientError::Proxy(ProxyError::Refused(status))) if *status == 407),
            "{refused:?}"
        );
    });
    beside(work, site.serve(log.clone(), echo)).await;
}

async fn what_the_proxy_says_against_it<R: Plug>(runtime: R) {
    // A port that nobody listens at.
    let nobody = {
        let listener = runtime.listen(&any_port()).await.expect("a free port");
        listener.local_endpoint().expect("an address")
    };
    let no_proxy = by_way_of(&runtime, proxy_at(&nobody)).build();
    for url in ["http://a.example/", "https://a.example/"] {
        let failed = no_proxy.get(url).send().await;
        assert!(matches!(failed, Err(ClientError::Proxy(ProxyError::Dial(_)))), "{failed:?}");
        assert_eq!(failed.expect_err("no proxy").progress(), glowplug::core::Progress::NotSent);
    }
    with_proxy(&runtime, None, async |at| {
        let client = by_way_of(&runtime, proxy_at(&at)).build();
        let url = format!("https://127.0.0.1:{}/", port(&nobody));
        let failed = client.get(&url).send().await;
        assert!(
            matches!(&failed, Err(ClientError::Proxy(ProxyError::Refused(status))) if *status == 502),
            "{failed:?}"
        );
        let answer = client.get(url.replace("https", "http")).send().await.expect("an answer");
        assert_eq!(answer.status(), 502);
    })
    .await;
}

async fn proxies_that_misbehave<R: Plug>(runtime: R) {
    let site = Site::open(&runtime).await;
    let (_, certificate) = configs();
    let tls = ClientConfig::with_roots([certificate]).expect("a configuration");
    let client = by_way_of(&runtime, proxy_at(&site.at))
        .tls(tls)
        .connect_timeout(Some(Duration::from_millis(300)))
        .build();
    let endless = "x-filler: y\r\n".repeat(10_000);
    let answers: [&str; 7] = [
        "SSH-2.0-OpenSSH\r\n\r\n",
        "HTTP/1.1 200 OK\r\n\r\nGET / HTTP/1.1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nendless: \r\n",
        "HTTP/1.1 500 No\r\ncontent-length: 10\r\n\r\n",
        "",
        "HTTP/1.1 200 OK\r\n\r\n",
        "silence",
    ];
    let server = site.accept(async |id, mut stream| {
        let Some(head) = read_head(&mut stream).await else { return };
        assert!(head.starts_with("CONNECT a.example:443 HTTP/1.1\r\nhost: a.example:443\r\n"), "{head}");
        match answers[id] {
            "silence" => for_ever().await,
            answer if answer.contains("endless") => {
                let _ = write(&mut stream, answer.to_owned() + &endless).await;
            }
            answer => {
                let _ = write(&mut stream, answer).await;
            }
        }
    });
    let work = async {
        for answer in answers {
            let failed = client.get("https://a.example/").send().await.expect_err(answer);
            let ClientError::Proxy(error) = &failed else { panic!("{answer:?}: {failed:?}") };
            let fits = match answer {
                "silence" => matches!(error, ProxyError::TimedOut),
                "HTTP/1.1 200 OK\r\n\r\n" => matches!(error, ProxyError::Dial(_)),
                answer if answer.contains("500") => matches!(error, ProxyError::Refused(_)),
                answer if answer.contains("GET") => {
                    matches!(error, ProxyError::Unexpected | ProxyError::Dial(_))
                }
                _ => matches!(error, ProxyError::Connection(_)),
            };
            assert!(fits, "{answer:?}: {error:?}");
            assert_eq!(client.connections(), 0);
        }
    };
    beside(work, server).await;
}

async fn dropped_at_every_poll<R: Plug>(runtime: R) {
    let (config, certificate) = configs();
    let site = Site::open(&runtime).await;
    let tls = ClientConfig::with_roots([certificate]).expect("a configuration");
    let port = port(&site.at);
    let work = with_proxy(&runtime, None, async |at| {
        for polls in 0..MANY {
            // A tunnel is dug anew each time.
            let client = by_way_of(&runtime, proxy_at(&at)).tls(tls.clone()).build();
            let ask = async || {
                let answer =
                    client.get(format!("https://localhost:{port}/x")).send().await.expect("an answer");
                answer.text().await.expect("a body")
            };
            let outcome = polled(polls, ask()).await;
            assert_eq!(client.connections(), client.idle_connections());
            if let Some(outcome) = outcome {
                assert_eq!(outcome, "GET /x ");
                return;
            }
            if polls % 8 == 0 {
                assert_eq!(ask().await, "GET /x ");
            }
        }
        panic!("more than {MANY} polls");
    });
    beside(work, serve_tls(site, config, Log::default(), echo)).await;
}

/// A running tinyproxy with a folder of its own; both go when it is dropped.
struct Tinyproxy {
    process: Child,
    folder: std::path::PathBuf,
    port: u16,
}

impl Tinyproxy {
    fn start(name: &str) -> Option<Self> {
        let folder = std::env::temp_dir().join(format!("glowplug-tinyproxy-{}-{name}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        let log = folder.display();
        for _ in 0..5 {
            let port = std::net::TcpListener::bind("127.0.0.1:0")
                .and_then(|listener| listener.local_addr())
                .expect("a free port")
                .port();
            let text = format!(
                "Port {port}\nListen 127.0.0.1\nTimeout 60\nMaxClients 50\nAllow 127.0.0.1\nBasicAuth me secret\n\
                 LogFile \"{log}/log\"\nPidFile \"{log}/pid\"\nLogLevel Info\n"
            );
            fs::write(folder.join("conf"), text).expect("written");
            let started = Command::new("tinyproxy")
                .args(["-d", "-c"])
                .arg(folder.join("conf"))
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn();
            let Ok(mut process) = started else {
                let required = std::env::var("GLOWPLUG_REQUIRE_SERVERS").is_ok_and(|value| value == "1");
                assert!(!required, "tinyproxy is not installed, and GLOWPLUG_REQUIRE_SERVERS asks for it");
                // To the terminal itself: what a passing test prints is seen by nobody.
                let _ = std::io::Write::write_all(
                    &mut std::io::stderr(),
                    b"skipped: tinyproxy is not installed\n",
                );
                let _ = fs::remove_dir_all(&folder);
                return None;
            };
            for _ in 0..250 {
                if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
                    return Some(Self { process, folder, port });
                }
                if process.try_wait().is_ok_and(|ended| ended.is_some()) {
                    break;
                }
                std::thread::sleep(Duration::from_millis(20));
            }
            let _ = process.kill();
            let _ = process.wait();
        }
        panic!("tinyproxy does not start: {}", fs::read_to_string(folder.join("log")).unwrap_or_default());
    }
}

impl Drop for Tinyproxy {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

#[test]
fn tinyproxy_on_tokio() {
    if let Some(tinyproxy) = Tinyproxy::start("tokio") {
        support::on_tokio(async |runtime| story(runtime, &tinyproxy).await);
    }
}

#[test]
fn tinyproxy_on_smol() {
    if let Some(tinyproxy) = Tinyproxy::start("smol") {
        support::on_smol(async |runtime| story(runtime, &tinyproxy).await);
    }
}

async fn story<R: Plug>(runtime: R, tinyproxy: &Tinyproxy) {
    let (config, certificate) = configs();
    let tls = ClientConfig::with_roots([certificate]).expect("a configuration");
    let [plain, secure] = [Site::open(&runtime).await, Site::open(&runtime).await];
    let (url, secure_port) = (plain.url("/plain"), port(&secure.at));
    let proxy: Proxy = format!("http://me:secret@127.0.0.1:{}", tinyproxy.port).parse().expect("a proxy");
    let client = by_way_of(&runtime, proxy).tls(tls).build();
    let log = Log::default();
    let work = async {
        for _ in 0..3 {
            let answer = client.put(&url).body("text").send().await.expect("an answer");
            assert_eq!(answer.text().await.expect("a body"), "PUT /plain text");
            assert!(log.last().field("via").is_some_and(|via| via.contains("tinyproxy")), "{:?}", log.last());
            let answer = client
                .get(format!("https://localhost:{secure_port}/secure"))
                .send()
                .await
                .expect("an answer");
            assert_eq!(answer.text().await.expect("a body"), "GET /secure ");
        }
        let stranger = by_way_of(&runtime, Proxy::new("127.0.0.1", tinyproxy.port)).build();
        let refused = stranger.get(format!("https://localhost:{secure_port}/")).send().await;
        assert!(matches!(refused, Err(ClientError::Proxy(ProxyError::Refused(_)))), "{refused:?}");
        let answer = stranger.get(&url).send().await.expect("an answer");
        assert!(matches!(answer.status().as_u16(), 401 | 407), "{}", answer.status());
    };
    let servers = futures_util::future::join(
        plain.serve(log.clone(), echo),
        serve_tls(secure, config, log.clone(), echo),
    );
    beside(work, servers).await;
}
