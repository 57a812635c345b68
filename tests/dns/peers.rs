//! Real programs: our client and resolver against unbound and nsd, and over HTTPS against dnsdist and through nginx; `dig` and
//! `kdig` against our server. A program that is not there is skipped, and said so; with `GLOWPLUG_REQUIRE_SERVERS=1` that fails.

use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use futures_util::future::join_all;
use glowplug::dns::resolver::{LookupError, ResolverConfig};
use glowplug::dns::{ExchangeError, HttpsError, Rcode, RecordType};
use glowplug::runtime::dns::{Client, HttpsMethod, Resolver, Server};
use glowplug::runtime::tls::rustls::pki_types::CertificateDer;
use glowplug::runtime::tls::{ClientConfig, ServerConfig};
use rcgen::{CertificateParams, KeyPair};

use crate::https::{WebPlug, asking, https, with_plain_site};
use crate::support;
use crate::world::{Answers, Plug, ZONE, big_texts, name};

#[path = "../../examples/forwarder.rs"]
#[allow(dead_code, reason = "its command line is not used here")]
mod forwarder;

/// A program that runs until the test is over.
struct Daemon {
    child: Child,
    folder: PathBuf,
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Where a program is; `None` skips the test.
fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let places = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/usr/local/sbin".into()]);
    let found = places.map(|folder| folder.join(program)).find(|file| file.is_file());
    if found.is_none() {
        assert!(std::env::var_os("GLOWPLUG_REQUIRE_SERVERS").is_none(), "{program} is not installed");
        // To the terminal itself: what a passing test prints is seen by nobody.
        let _ = writeln!(std::io::stderr(), "skipped: {program} is not installed");
    }
    found
}

fn folder(what: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("glowplug-{what}-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    folder
}

/// A port that was free a moment ago for UDP and TCP alike.
fn free_port() -> u16 {
    loop {
        let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let port = udp.local_addr().expect("an address").port();
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
}

fn at(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

fn start(program: &Path, folder: PathBuf, arguments: &[&str], ports: &[u16]) -> Daemon {
    let log = std::fs::File::create(folder.join("log")).expect("a log");
    let child = Command::new(program)
        .args(arguments)
        .current_dir(&folder)
        .stdin(Stdio::null())
        .stdout(log.try_clone().expect("a log"))
        .stderr(log)
        .spawn()
        .expect("it starts");
    let mut daemon = Daemon { child, folder };
    for port in ports {
        for tries in 0.. {
            if TcpStream::connect(at(*port)).is_ok() {
                break;
            }
            let log = || std::fs::read_to_string(daemon.folder.join("log")).unwrap_or_default();
            assert!(daemon.child.try_wait().expect("its state").is_none(), "it ended:\n{}", log());
            assert!(tries < 1500, "it does not listen:\n{}", log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    daemon
}

/// The zone with a text that no datagram holds.
fn zone_text() -> String {
    let big = big_texts().map(|text| format!("big TXT \"{text}\"\n")).join("");
    format!("$ORIGIN example.test.\n{ZONE}{big}")
}

/// An authority for `example.test`, for the test of this name.
fn nsd(test: &str) -> Option<(Daemon, u16)> {
    let program = find("nsd")?;
    let (folder, port) = (folder(&format!("nsd-{test}")), free_port());
    std::fs::write(folder.join("zone"), zone_text()).expect("written");
    let conf = format!(
        "server:\n ip-address: 127.0.0.1@{port}\n zonesdir: \"{0}\"\n pidfile: \"\"\n username: \"\"\n \
         database: \"\"\n zonelistfile: \"{0}/zonelist\"\n xfrdfile: \"{0}/xfrd\"\n server-count: 1\n\
         remote-control:\n control-enable: no\n\
         zone:\n name: example.test\n zonefile: zone\n",
        folder.display()
    );
    std::fs::write(folder.join("conf"), conf).expect("written");
    Some((start(&program, folder, &["-d", "-c", "conf"], &[port]), port))
}

/// Text armour for one object.
fn pem(what: &str, der: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = format!("-----BEGIN {what}-----");
    for (n, group) in der.chunks(3).enumerate() {
        if n % 16 == 0 {
            text.push('\n');
        }
        let bits = group.iter().fold(0, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - group.len()));
        for n in 0..4 {
            let letter = LETTERS[(bits >> (18 - 6 * n)) as usize & 63];
            text.push(if n <= group.len() { char::from(letter) } else { '=' });
        }
    }
    text + &format!("\n-----END {what}-----\n")
}

/// Puts `key.pem` and `cert.pem` of `dns.test` into a folder; who vouches for it.
fn certify(folder: &Path) -> ClientConfig {
    let key = KeyPair::generate().expect("a key");
    let certificate = CertificateParams::new(vec!["dns.test".to_owned()])
        .expect("a name")
        .self_signed(&key)
        .expect("signed");
    std::fs::write(folder.join("key.pem"), pem("PRIVATE KEY", &key.serialize_der())).expect("written");
    std::fs::write(folder.join("cert.pem"), pem("CERTIFICATE", certificate.der())).expect("written");
    let trust = ClientConfig::with_roots([CertificateDer::from(certificate.der().to_vec())]);
    trust.expect("a configuration")
}

/// A web server that takes TLS off and passes requests on to `upstream`.
fn nginx(program: &Path, upstream: SocketAddr) -> (Daemon, SocketAddr, ClientConfig) {
    let (folder, port) = (folder(&format!("nginx-{}", upstream.port())), free_port());
    let trust = certify(&folder);
    let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|what| format!(" {what}_temp_path {}/{what};\n", folder.display()))
        .concat();
    let conf = format!(
        "daemon off;\nmaster_process off;\npid {0}/pid;\nerror_log stderr;\nevents {{}}\nhttp {{\n access_log off;\n\
         {temporary} server {{\n listen 127.0.0.1:{port} ssl;\n ssl_certificate {0}/cert.pem;\n \
         ssl_certificate_key {0}/key.pem;\n location / {{\n proxy_http_version 1.1;\n proxy_set_header Host $host;\n \
         proxy_set_header Connection \"\";\n proxy_pass http://{upstream};\n }}\n }}\n}}\n",
        folder.display()
    );
    std::fs::write(folder.join("conf"), conf).expect("written");
    let path = folder.join("conf").display().to_string();
    let prefix = folder.display().to_string();
    (start(program, folder, &["-p", &prefix, "-c", &path], &[port]), at(port), trust)
}

async fn through_nginx<R: WebPlug>(runtime: R, program: PathBuf) {
    with_plain_site(&runtime, async |upstream, log| {
        let (_daemon, at, trust) = nginx(&program, upstream);
        for (path, method) in [("/dns-query", HttpsMethod::Post), ("/dns-query{?dns}", HttpsMethod::Get)] {
            let resolver = asking(&runtime, at, &https(path, &trust).method(method));
            let found = resolver.lookup_ip("www.example.test").await.expect("addresses");
            assert_eq!(found.iter().count(), 3);
            assert_eq!(resolver.txt("big.example.test").await.expect("texts").len(), 12);
            let gone = resolver.lookup("gone.example.test", RecordType::A).await;
            assert_eq!(gone.expect_err("nothing"), LookupError::NoSuchName);
            let many = (0..30).map(|n| resolver.lookup(&*format!("n{n}.many.example.test"), RecordType::A));
            for found in join_all(many).await {
                assert_eq!(found.expect("an answer").addresses().count(), 1);
            }
            assert_eq!(std::mem::take(&mut *log.lock().expect("a log")).len(), 34);
        }
    })
    .await;
}

#[test]
fn https_through_nginx() {
    let Some(program) = find("nginx") else { return };
    support::on_tokio(|runtime| through_nginx(runtime, program.clone()));
    support::on_smol(|runtime| through_nginx(runtime, program));
}

/// How dnsdist is asked to speak HTTP/1.1. Older ones do; newer ones by a library that not all are built with, and HTTP/2 alone without.
fn asked_for_http1(program: &Path) -> Option<&'static str> {
    let told = Command::new(program).arg("--version").output().expect("dnsdist runs");
    let told = String::from_utf8_lossy(&told.stdout).into_owned() + &String::from_utf8_lossy(&told.stderr);
    let how = if told.contains("dns-over-https(DOH") {
        Some("")
    } else {
        told.contains("dns-over-https(h2o").then_some(", {library='h2o'}")
    };
    if how.is_none() {
        let _ = writeln!(std::io::stderr(), "skipped: this dnsdist speaks HTTP/2 alone");
    }
    how
}

/// A server of DNS over HTTPS in front of another; where it is, and who vouches for it.
fn dnsdist(program: &Path, http1: &str, behind: u16) -> (Daemon, SocketAddr, ClientConfig) {
    let (folder, plain, port) = (folder("dnsdist"), free_port(), free_port());
    let trust = certify(&folder);
    let conf = format!(
        "setLocal('127.0.0.1:{plain}')\nnewServer({{address='127.0.0.1:{behind}'}}):setUp()\n\
         addDOHLocal('127.0.0.1:{port}', '{0}/cert.pem', '{0}/key.pem', '/dns-query'{http1})\n",
        folder.display()
    );
    std::fs::write(folder.join("conf"), conf).expect("written");
    let arguments = ["--supervised", "--disable-syslog", "-C", "conf"];
    (start(program, folder, &arguments, &[port]), at(port), trust)
}

async fn against_dnsdist<R: WebPlug>(runtime: R, at: SocketAddr, trust: ClientConfig) {
    for (path, method) in [("/dns-query", HttpsMethod::Post), ("/dns-query{?dns}", HttpsMethod::Get)] {
        let resolver = asking(&runtime, at, &https(path, &trust).method(method));
        let found = resolver.lookup_ip("www.example.test").await.expect("addresses");
        assert_eq!(found.iter().count(), 3);
        let gone = resolver.lookup("gone.example.test", RecordType::A).await;
        assert_eq!(gone.expect_err("nothing"), LookupError::NoSuchName);
        let many = (0..30).map(|n| resolver.lookup(&*format!("n{n}.many.example.test"), RecordType::A));
        for found in join_all(many).await {
            assert_eq!(found.expect("an answer").addresses().count(), 1);
        }
        assert_eq!(resolver.txt("big.example.test").await.expect("texts").len(), 12);
    }
    // Where it does not serve, it says so in HTTP.
    let lost = asking(&runtime, at, &https("/elsewhere", &trust));
    let answer = lost.lookup("www.example.test", RecordType::A).await;
    let status = ExchangeError::Https(HttpsError::Status(404));
    assert_eq!(answer.expect_err("nothing there"), LookupError::Exchange(status));
}

#[test]
fn dnsdist_answers_us_over_https() {
    let Some(program) = find("dnsdist") else { return };
    let Some(http1) = asked_for_http1(&program) else { return };
    let Some((_nsd, behind)) = nsd("behind-dnsdist") else { return };
    let (_dnsdist, at, trust) = dnsdist(&program, http1, behind);
    support::on_tokio(|runtime| against_dnsdist(runtime, at, trust.clone()));
    support::on_smol(|runtime| against_dnsdist(runtime, at, trust));
}

/// A resolver with local data, over UDP, TCP and TLS; and who vouches for it.
fn unbound() -> Option<(Daemon, u16, u16, ClientConfig)> {
    let program = find("unbound")?;
    let folder = folder("unbound");
    let (port, tls_port) = (free_port(), free_port());
    let trust = certify(&folder);
    let big = big_texts().map(|text| format!(" local-data: 'big.example.test. TXT \"{text}\"'\n")).join("");
    let conf = format!(
        "server:\n interface: 127.0.0.1@{port}\n interface: 127.0.0.1@{tls_port}\n tls-port: {tls_port}\n \
         tls-service-key: \"{0}/key.pem\"\n tls-service-pem: \"{0}/cert.pem\"\n directory: \"{0}\"\n \
         username: \"\"\n chroot: \"\"\n pidfile: \"\"\n use-syslog: no\n do-daemonize: no\n num-threads: 1\n \
         edns-tcp-keepalive: yes\n module-config: \"iterator\"\n \
         local-zone: \"example.test.\" static\n \
         local-data: \"www.example.test. A 192.0.2.1\"\n local-data: \"www.example.test. AAAA 2001:db8::1\"\n \
         local-data: \"example.test. MX 10 mail.example.test.\"\n \
         local-data-ptr: \"192.0.2.1 www.example.test.\"\n{big}\
         remote-control:\n control-enable: no\n",
        folder.display()
    );
    std::fs::write(folder.join("conf"), conf).expect("written");
    let daemon = start(&program, folder, &["-d", "-c", "conf"], &[port, tls_port]);
    Some((daemon, port, tls_port, trust))
}

async fn ask_unbound<R: Plug>(resolver: &Resolver<R>) {
    let www = resolver.lookup_ip("www.example.test").await.expect("addresses");
    assert_eq!(www.iter().count(), 2);
    let mx = resolver.mx("example.test").await.expect("mail hosts");
    assert_eq!((mx.len(), mx[0].host.clone()), (1, name("mail.example.test")));
    let names = resolver.reverse([192, 0, 2, 1].into()).await.expect("a name");
    assert_eq!(names, [name("www.example.test")]);
    let gone = resolver.lookup("gone.example.test", RecordType::A).await;
    assert_eq!(gone.expect_err("nothing"), LookupError::NoSuchName);
    assert_eq!(resolver.txt("big.example.test").await.expect("texts").len(), 12);
    // The same questions without the cache, side by side on whatever sockets are open.
    for _ in 0..3 {
        resolver.clear_cache();
        let lookups = (0..50).map(|n| resolver.lookup(format!("n{n}.example.test").as_str(), RecordType::A));
        for result in join_all(lookups).await {
            assert_eq!(result.expect_err("nothing"), LookupError::NoSuchName);
        }
    }
}

async fn against_unbound<R: Plug>(runtime: R, port: u16, tls_port: u16, trust: ClientConfig) {
    for tcp_only in [false, true] {
        let config = ResolverConfig { servers: vec![at(port)], tcp_only, ..ResolverConfig::default() };
        ask_unbound(&Resolver::builder(runtime.clone()).config(config).build()).await;
    }
    ask_unbound(&Resolver::builder(runtime.clone()).tls_server(at(tls_port), "dns.test", &trust).build())
        .await;
    // Who is not who it should be is not asked.
    let wrong = Resolver::builder(runtime.clone()).tls_server(at(tls_port), "other.test", &trust).build();
    wrong.lookup_ip("www.example.test").await.expect_err("somebody else");
}

async fn against_nsd<R: Plug>(runtime: R, port: u16) {
    for tcp_only in [false, true] {
        let client = Client::builder(runtime.clone(), at(port)).tcp_only(tcp_only).build();
        let ask = async |text: &str, rtype| client.ask(text, rtype).expect("a name").await.expect("a reply");
        let www = ask("www.example.test", RecordType::A).await;
        assert!(www.view().flags().authoritative());
        assert_eq!(www.view().answers().count(), 2);
        assert_eq!(ask("alias.example.test", RecordType::A).await.view().answers().count(), 3);
        assert_eq!(ask("big.example.test", RecordType::TXT).await.view().answers().count(), 12);
        assert_eq!(ask("x.many.example.test", RecordType::A).await.view().answers().count(), 1);
        assert_eq!(ask("gone.example.test", RecordType::A).await.view().rcode(), Ok(Rcode::NXDOMAIN));
        assert_eq!(ask("elsewhere.test", RecordType::A).await.view().rcode(), Ok(Rcode::REFUSED));
        let names: Vec<String> = (0..200).map(|n| format!("n{n}.many.example.test")).collect();
        let queries = names.iter().map(|text| client.ask(text, RecordType::A).expect("a name"));
        for reply in join_all(queries).await {
            assert_eq!(reply.expect("a reply").view().answers().count(), 1);
        }
    }
}

#[test]
fn unbound_answers_us_over_udp_tcp_and_tls() {
    let Some((_daemon, port, tls_port, trust)) = unbound() else { return };
    let again = trust.clone();
    support::on_tokio(|runtime| against_unbound(runtime, port, tls_port, again));
    support::on_smol(|runtime| against_unbound(runtime, port, tls_port, trust));
}

#[test]
fn nsd_answers_us_over_udp_and_tcp() {
    let Some((_daemon, port)) = nsd("plain") else { return };
    support::on_tokio(|runtime| against_nsd(runtime, port));
    support::on_smol(|runtime| against_nsd(runtime, port));
}

/// Runs a program to its end beside the server, and gives what it printed.
async fn run(program: PathBuf, arguments: Vec<String>) -> String {
    let output =
        smol::unblock(move || Command::new(program).args(arguments).output()).await.expect("it runs");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Serves the zones over UDP, TCP and TLS while `work` runs; it gets the ports.
fn serving(work: impl AsyncFnOnce(u16, u16)) {
    support::on_smol(|runtime| async move {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(vec!["dns.test".to_owned()]).expect("a name");
        let chain = vec![params.self_signed(&key).expect("signed").der().clone()];
        let key = glowplug::runtime::tls::rustls::pki_types::PrivatePkcs8KeyDer::from(key.serialize_der());
        let tls = ServerConfig::new(chain, key.into()).expect("a configuration");
        let server = Server::bind(runtime.clone(), at(0)).await.expect("a free port");
        let server = server.listen_tls(at(0), tls).await.expect("a free port");
        let port = server.local_addr().expect("an address").port();
        let tls_port = server.local_tls_addr().expect("an address").port();
        let stopper = server.stopper();
        let work = async {
            work(port, tls_port).await;
            stopper.stop();
        };
        let (served, ()) = futures_util::future::join(server.run(Answers::zones()), work).await;
        served.expect("served");
    });
}

fn words(text: &str) -> Vec<String> {
    text.split_ascii_whitespace().map(str::to_owned).collect()
}

#[test]
fn dig_is_answered() {
    let Some(dig) = find("dig") else { return };
    serving(async |port, _| {
        let ask = async |rest: &str| {
            run(dig.clone(), words(&format!("@127.0.0.1 -p {port} +tries=2 {rest}"))).await
        };
        assert_eq!(ask("+short www.example.test A").await, "192.0.2.1\n192.0.2.2\n");
        assert_eq!(ask("+short +tcp www.example.test AAAA").await, "2001:db8::1\n");
        assert_eq!(ask("+short alias.example.test A").await.lines().next(), Some("www.example.test."));
        // Too large for a datagram: it comes again over TCP.
        assert_eq!(ask("+short big.example.test TXT").await.lines().count(), 12);
        assert!(ask("+noedns +ignore big.example.test TXT").await.contains("flags: qr aa tc"));
        assert!(ask("gone.example.test").await.contains("status: NXDOMAIN"));
        assert!(ask("elsewhere.test").await.contains("status: NXDOMAIN"));
        let full = ask("+nsid +cookie +subnet=192.0.2.0/24 www.example.test").await;
        assert!(full.contains("status: NOERROR") && !full.contains("malformed"), "{full}");
        assert!(ask("+edns=1 +noednsneg www.example.test").await.contains("status: BADVERS"));
        assert!(ask("+opcode=notify example.test SOA").await.contains("status: NOTIMP"));
    });
}

#[test]
fn dig_is_answered_by_the_forwarder() {
    let Some(dig) = find("dig") else { return };
    serving(async |upstream, _| {
        let (begun, begins) = std::sync::mpsc::channel();
        let options = forwarder::Options { listen: at(0), to: vec![at(upstream)] };
        let forwarding = std::thread::spawn(move || {
            support::on_tokio(|_| async {
                let begun = |at, stopper| begun.send((at, stopper)).expect("somebody waits");
                forwarder::serve(options, begun).await.expect("it serves");
            });
        });
        let (at, stopper) = smol::unblock(move || begins.recv()).await.expect("it begins");
        let ask = async |rest: &str| {
            run(dig.clone(), words(&format!("@127.0.0.1 -p {} +tries=2 {rest}", at.port()))).await
        };
        // The first from the server, the second from the cache.
        for _ in 0..2 {
            assert_eq!(ask("+short www.example.test A").await, "192.0.2.1\n192.0.2.2\n");
            assert_eq!(ask("+short alias.example.test A").await.lines().next(), Some("www.example.test."));
            assert_eq!(ask("+short big.example.test TXT").await.lines().count(), 12);
            // RFC 2308: without the SOA record nobody else could keep it.
            let gone = ask("gone.example.test").await;
            assert!(gone.contains("status: NXDOMAIN") && gone.contains("flags: qr rd ra"), "{gone}");
            assert!(gone.contains("AUTHORITY: 1") && gone.contains("SOA"), "{gone}");
            let empty = ask("www.example.test MX").await;
            assert!(
                empty.contains("status: NOERROR") && empty.contains("ANSWER: 0, AUTHORITY: 1"),
                "{empty}"
            );
        }
        stopper.stop();
        smol::unblock(move || forwarding.join()).await.expect("no panic");
    });
}

#[test]
fn kdig_is_answered() {
    let Some(kdig) = find("kdig") else { return };
    serving(async |port, tls_port| {
        let ask = async |rest: String| run(kdig.clone(), words(&format!("@127.0.0.1 {rest}"))).await;
        assert_eq!(ask(format!("-p {port} +short www.example.test A")).await, "192.0.2.1\n192.0.2.2\n");
        // Several queries on one connection, and under TLS.
        let kept =
            ask(format!("-p {port} +tcp +keepopen +short www.example.test AAAA only4.example.test A")).await;
        assert_eq!(kept, "2001:db8::1\n192.0.2.4\n");
        let tls = ask(format!("-p {tls_port} +tls +short www.example.test AAAA big.example.test TXT")).await;
        assert_eq!(tls.lines().count(), 13, "{tls}");
        let padded = ask(format!("-p {tls_port} +tls +padding=128 +dnssec www.example.test A")).await;
        assert!(padded.contains("status: NOERROR"), "{padded}");
    });
}
