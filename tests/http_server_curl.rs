//! The HTTP server under `curl`, in the clear, under TLS and over a Unix socket, on tokio and on smol.
//!
//! Without `curl` the cases are listed as ignored, unless `GLOWPLUG_REQUIRE_SERVERS=1` asks for failure.

mod http_web;
#[allow(unused_imports, unused_macros, reason = "cases are made by hand here")]
mod support;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::mpsc;
use std::thread;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use glowplug::runtime::Endpoint;
use glowplug::runtime::http::server::Server;
use glowplug::runtime::server::Stopper;
use glowplug::runtime::tls::ServerConfig;
use glowplug::runtime::tls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use glowplug::smol::Smol;
use glowplug::tokio::Tokio;
use libtest_mimic::{Arguments, Failed, Trial};

use http_web::{Plug, app};
use support::any_port;

/// How a server is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Door {
    Plain,
    Tls,
    Unix,
}

/// A server in a thread of its own, and how curl finds it.
struct Site {
    door: Door,
    at: Endpoint,
    folder: PathBuf,
}

impl Site {
    /// Runs curl for these paths and says what it printed.
    fn curl(&self, arguments: &[&str], paths: &[&str], input: Option<Vec<u8>>) -> Vec<u8> {
        let mut command = Command::new("curl");
        command.args(["--silent", "--show-error", "--max-time", "60", "--http1.1"]);
        let port = self.at.socket_addr().map_or(80, |at| at.port());
        let base = match self.door {
            Door::Plain => format!("http://127.0.0.1:{port}"),
            Door::Tls => {
                command.arg("--cacert").arg(self.folder.join("certificate.pem"));
                command.args(["--resolve", &format!("localhost:{port}:127.0.0.1")]);
                format!("https://localhost:{port}")
            }
            Door::Unix => {
                command.arg("--unix-socket").arg(self.at.to_string());
                "http://localhost".to_owned()
            }
        };
        command.args(arguments).args(paths.iter().map(|path| format!("{base}{path}")));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("curl runs");
        let mut stdin = child.stdin.take().expect("a pipe");
        let feeding = thread::spawn(move || stdin.write_all(&input.unwrap_or_default()));
        let output = child.wait_with_output().expect("curl ends");
        // A server may answer before it has read all; curl then stops reading its input.
        let _ = feeding.join().expect("fed");
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "curl {arguments:?} {paths:?}: {error}");
        output.stdout
    }

    fn text(&self, arguments: &[&str], path: &str) -> String {
        String::from_utf8(self.curl(arguments, &[path], None)).expect("text")
    }
}

fn keep_alive(site: &Site) {
    let out = site.curl(&["--write-out", "%{num_connects};"], &["/hello", "/hello", "/hello"], None);
    assert_eq!(String::from_utf8_lossy(&out), "hello1;hello0;hello0;");
}

fn head(site: &Site) {
    let out = site.text(&["--head"], "/hello");
    assert!(out.starts_with("HTTP/1.1 200 OK\r\n") && out.contains("content-length: 5\r\n"), "{out}");
    assert!(out.contains("date: ") && out.ends_with("\r\n\r\n"), "{out}");
}

fn chunked_both_ways(site: &Site) {
    assert_eq!(site.curl(&[], &["/pieces?1000000"], None).len(), 1_000_000);
    let body: Vec<u8> = (0..2_000_000).map(|n| n as u8).collect();
    // From a pipe curl sends chunks.
    let out = site.curl(&["--upload-file", "-"], &["/echo"], Some(body.clone()));
    assert!(out == body, "{} bytes came back", out.len());
    assert_eq!(site.curl(&["--upload-file", "-"], &["/count"], Some(body)), b"2000000");
}

fn expect_continue(site: &Site) {
    let body = vec![b'x'; 100_000];
    let arguments = ["--data-binary", "@-", "--header", "expect: 100-continue", "--include"];
    let out = site.curl(&arguments, &["/count"], Some(body));
    let out = String::from_utf8_lossy(&out);
    assert!(out.starts_with("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n"), "{out}");
    assert!(out.ends_with("\r\n\r\n100000"), "{out}");
}

/// Who asks before he sends 5 MB, and is told that they are not wanted, keeps them.
fn expect_continue_refused(site: &Site) {
    let body = vec![b'x'; 5_000_000];
    let arguments = [
        "--data-binary",
        "@-",
        "--header",
        "expect: 100-continue",
        "--write-out",
        ";%{http_code};%{size_upload}",
    ];
    let out = site.curl(&arguments, &["/status?413"], Some(body));
    assert_eq!(String::from_utf8_lossy(&out), "body;413;0");
}

/// A connection is as good as before after answers that have no body, or an end of their own.
fn used_again(site: &Site) {
    let paths = ["/status?204", "/pieces?70000", "/status?304", "/announced?9", "/nothing", "/hello"];
    let out = site.curl(&["--write-out", ";%{num_connects};"], &paths, None);
    let out = String::from_utf8_lossy(&out);
    assert!(out.starts_with(";1;xxx") && out.ends_with(";0;nothing here;0;hello;0;"), "{}", out.len());
    assert_eq!(out.matches(";0;").count(), 5);
    let head = site.text(&["--head"], "/pieces?70000");
    assert!(head.contains("transfer-encoding: chunked\r\n"), "{head}");
    let options = site.text(&["--request", "OPTIONS", "--request-target", "*"], "/");
    assert_eq!(options, "options");
}

fn statuses(site: &Site) {
    for status in ["204", "304", "404", "418", "503"] {
        let out = site
            .text(&["--output", "/dev/null", "--write-out", "%{http_code}"], &format!("/status?{status}"));
        assert_eq!(out, status);
    }
    let out = site.text(&["--output", "/dev/null", "--write-out", "%{http_code}"], "/panic");
    assert_eq!(out, "500");
}

fn http_1_0(site: &Site) {
    assert_eq!(site.text(&["--http1.0"], "/hello"), "hello");
    assert_eq!(site.text(&["--http1.0"], "/pieces?5000").len(), 5000);
    let out = site.curl(&["--http1.0", "--data-binary", "@-"], &["/echo"], Some(vec![b'1'; 300_000]));
    assert_eq!(out.len(), 300_000);
    // It does not ask to be kept, and is not.
    let head = site.text(&["--http1.0", "--include"], "/hello");
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n") && head.contains("connection: close\r\n"), "{head}");
}

const CASES: [(&str, fn(&Site)); 8] = [
    ("keep_alive", keep_alive),
    ("head", head),
    ("chunked_both_ways", chunked_both_ways),
    ("expect_continue", expect_continue),
    ("expect_continue_refused", expect_continue_refused),
    ("used_again", used_again),
    ("statuses", statuses),
    ("http_1_0", http_1_0),
];

/// Makes a certificate for `localhost` in `folder`.
fn certificate(folder: &Path) -> ServerConfig {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a certificate");
    let text = BASE64_STANDARD.encode(made.cert.der());
    let pem = format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n");
    std::fs::write(folder.join("certificate.pem"), pem).expect("written");
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    ServerConfig::new(vec![made.cert.der().clone()], key).expect("a configuration")
}

async fn serve<R: Plug>(runtime: R, door: Door, folder: PathBuf, ready: mpsc::Sender<(Endpoint, Stopper)>) {
    let at = if door == Door::Unix { Endpoint::Unix(folder.join("socket")) } else { any_port() };
    let app = app(&runtime);
    let mut server = Server::bind(runtime, at).await.expect("bound");
    if door == Door::Tls {
        server = server.tls(certificate(&folder));
    }
    ready.send((server.local_endpoint().expect("an address"), server.stopper())).expect("somebody waits");
    server.run(app).await;
}

fn try_one(on_tokio: bool, door: Door, case: fn(&Site)) {
    let folder = std::env::temp_dir().join(format!(
        "glowplug-curl-{}-{:?}",
        std::process::id(),
        thread::current().id()
    ));
    std::fs::create_dir_all(&folder).expect("a folder");
    let (ready, at) = mpsc::channel();
    let server = thread::spawn({
        let folder = folder.clone();
        move || {
            if on_tokio {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
                runtime.expect("tokio starts").block_on(serve(Tokio, door, folder, ready));
            } else {
                smol::block_on(serve(Smol::default(), door, folder, ready));
            }
        }
    });
    let (at, stopper) = at.recv().expect("the server runs");
    let site = Site { door, at, folder };
    let tried = std::panic::catch_unwind(|| case(&site));
    stopper.stop();
    server.join().expect("the server ends");
    std::fs::remove_dir_all(&site.folder).expect("the folder goes");
    if let Err(panic) = tried {
        std::panic::resume_unwind(panic);
    }
}

fn main() -> ExitCode {
    let missing = Command::new("curl").arg("--version").stdout(Stdio::null()).status().is_err();
    let required = std::env::var("GLOWPLUG_REQUIRE_SERVERS").is_ok_and(|value| value == "1");
    let mut trials = Vec::new();
    for (executor, on_tokio) in [("tokio", true), ("smol", false)] {
        for door in [Door::Plain, Door::Tls, Door::Unix] {
            for (name, case) in CASES {
                let name = format!("{executor}::{door:?}::{name}").to_lowercase();
                let run = move || {
                    if missing {
                        return Err(Failed::from(
                            "curl is not installed, and GLOWPLUG_REQUIRE_SERVERS asks for it",
                        ));
                    }
                    try_one(on_tokio, door, case);
                    Ok(())
                };
                trials.push(Trial::test(name, run).with_ignored_flag(missing && !required));
            }
        }
    }
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}
