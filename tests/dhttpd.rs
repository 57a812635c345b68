//! The example `dhttpd` under `curl`, in the clear and under TLS, on tokio and on smol, and its end by Ctrl-C.
#![cfg(unix)]

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};

use base64::prelude::{BASE64_STANDARD, Engine as _};

#[path = "../examples/dhttpd.rs"]
#[allow(dead_code, unreachable_pub, unnameable_types, reason = "an example is nobody's library")]
mod dhttpd;

use dhttpd::Options;

/// A folder to serve, with a secret and a certificate beside it.
struct Tree(PathBuf);

impl Tree {
    fn new() -> Self {
        let tree = Self(std::env::temp_dir().join(format!("glowplug-dhttpd-{}", std::process::id())));
        fs::create_dir_all(tree.0.join("public/sub")).expect("a folder");
        let text: String =
            (0..20_000).flat_map(|n| ["line ".to_owned(), n.to_string(), "\n".to_owned()]).collect();
        let files = [
            ("secret", "SECRET"),
            ("public/text.txt", &text),
            ("public/sub/file", "file"),
            ("public/small", "small"),
        ];
        for (name, content) in files {
            fs::write(tree.0.join(name), content).expect("written");
        }
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a certificate");
        for (file, label, der) in [
            ("certificate.pem", "CERTIFICATE", made.cert.der().to_vec()),
            ("key.pem", "PRIVATE KEY", made.signing_key.serialize_der()),
        ] {
            let text = BASE64_STANDARD.encode(der);
            let pem = format!("-----BEGIN {label}-----\n{text}\n-----END {label}-----\n");
            fs::write(tree.0.join(file), pem).expect("written");
        }
        tree
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Runs curl and says what it printed.
fn curl(arguments: &[&str]) -> Vec<u8> {
    let output =
        Command::new("curl").args(["-sS", "--max-time", "60"]).args(arguments).output().expect("curl runs");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "curl {arguments:?}: {error}");
    output.stdout
}

fn text(arguments: &[&str]) -> String {
    String::from_utf8(curl(arguments)).expect("text")
}

/// The status of a request, and nothing else.
fn status(arguments: &[&str]) -> String {
    text(&[&["-o", "/dev/null", "-w", "%{http_code}"], arguments].concat())
}

fn visit(base: &str, more: &[&str], tree: &Tree) {
    let url = |path: &str| format!("{base}{path}");
    let whole = fs::read(tree.0.join("public/text.txt")).expect("read");
    let with = |arguments: &[&str]| curl(&[more, arguments].concat());
    let status = |arguments: &[&str]| status(&[more, arguments].concat());
    let text_url = url("/text.txt");

    assert!(with(&[&text_url]) == whole);
    for coding in ["gzip", "deflate", "br", "zstd"] {
        // A curl that was built without a coding says that it cannot.
        let accept = format!("accept-encoding: {coding}");
        let head =
            String::from_utf8(with(&["-D", "-", "-o", "/dev/null", "-H", &accept, &text_url])).expect("text");
        assert!(head.contains(&format!("content-encoding: {coding}\r\n")), "{head}");
    }
    assert!(with(&["--compressed", &text_url]) == whole);

    // Ranges, and a download that is taken up again.
    assert_eq!(with(&["-r", "0-5", &text_url]), b"line 0");
    assert_eq!(with(&["-r", "-6", &text_url]), b"19999\n");
    let several = String::from_utf8(with(&["-r", "0-5,1000-1005", &text_url])).expect("text");
    assert!(several.matches("content-range: bytes ").count() == 2, "{several}");
    assert_eq!(status(&["-r", "99999999-", &text_url]), "416");
    let partial = tree.0.join("partial");
    fs::write(&partial, &whole[..70_000]).expect("written");
    let path = partial.to_str().expect("text").to_owned();
    with(&["-C", "-", "-o", &path, &text_url]);
    assert!(fs::read(&partial).expect("read") == whole);

    // Conditions, by curl's own means.
    let tags = tree.0.join("tag").to_str().expect("text").to_owned();
    let kept = tree.0.join("kept").to_str().expect("text").to_owned();
    with(&["--etag-save", &tags, "-o", &kept, &text_url]);
    assert_eq!(status(&["--etag-compare", &tags, &text_url]), "304");
    with(&["-R", "-o", &kept, &text_url]);
    assert_eq!(status(&["-z", &kept, &text_url]), "304");
    assert_eq!(status(&["-H", "if-match: \"other\"", &text_url]), "412");

    let head = String::from_utf8(with(&["-I", &text_url])).expect("text");
    let length = format!("content-length: {}\r\n", whole.len());
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n") && head.contains(&length), "{head}");
    assert_eq!(status(&["-X", "DELETE", &text_url]), "405");
    assert_eq!(status(&[&url("/sub")]), "301");
    assert_eq!(
        with(&["-L", &url("/sub"), "-o", "/dev/null", "-w", "%{url_effective}"]),
        url("/sub/").as_bytes()
    );
    assert!(String::from_utf8(with(&[&url("/")])).expect("text").contains("href=\"./text.txt\""));
    for way in
        ["/../secret", "/%2e%2e/secret", "/..%2fsecret", "/sub/../../secret", "/..%5csecret", "//../secret"]
    {
        assert_eq!(status(&["--path-as-is", &url(way)]), "400", "{way}");
        assert!(!with(&["--path-as-is", &url(way)]).windows(6).any(|window| window == b"SECRET"), "{way}");
    }
    assert_eq!(status(&["--path-as-is", &url("/%252e%252e/secret")]), "404");
    assert_eq!(with(&["-H", "user-agent: \"me\\", "-e", "here", &url("/small?a=b")]), b"small");
}

#[test]
fn visitors_and_an_interrupt() {
    if Command::new("curl").arg("--version").output().is_err() {
        let required = std::env::var("GLOWPLUG_REQUIRE_SERVERS").is_ok_and(|value| value == "1");
        assert!(!required, "curl is not installed, and GLOWPLUG_REQUIRE_SERVERS asks for it");
        let _ = std::io::Write::write_all(&mut std::io::stderr(), b"skipped: curl is not installed\n");
        return;
    }
    let tree = Tree::new();
    for (executor, tls) in [("smol", false), ("tokio", true)] {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let mut options = Options::new();
        options.directory = tree.0.join("public");
        options.at.set_port(0);
        options.listing = true;
        options.on = executor.to_owned();
        options.log = Some(Arc::new({
            let lines = lines.clone();
            move |line: &str| lines.lock().expect("lines").push(line.to_owned())
        }));
        if tls {
            options.certificate = Some(tree.0.join("certificate.pem"));
            options.key = Some(tree.0.join("key.pem"));
        }
        let (ready, at) = channel();
        let serving = std::thread::spawn(move || {
            dhttpd::run(&options, |at| ready.send(at).expect("somebody waits"))
                .map_err(|error| error.to_string())
        });
        let at = at.recv().expect("it listens").socket_addr().expect("an address");
        if tls {
            let authority = tree.0.join("certificate.pem").to_str().expect("text").to_owned();
            let resolve = format!("localhost:{}:127.0.0.1", at.port());
            let base = format!("https://localhost:{}", at.port());
            visit(&base, &["--cacert", &authority, "--resolve", &resolve], &tree);
        } else {
            visit(&format!("http://{at}"), &[], &tree);
        }
        // Ctrl-C, as a terminal would have it.
        let process = std::process::id().to_string();
        assert!(Command::new("kill").args(["-INT", &process]).status().expect("kill runs").success());
        assert_eq!(serving.join().expect("no panic"), Ok(()));
        let lines = lines.lock().expect("lines");
        let last = lines.last().expect("a line");
        assert!(last.starts_with("127.0.0.1 - - [") && last.contains(" +0000] "), "{last}");
        let end = "\"GET /small?a=b HTTP/1.1\" 200 5 \"here\" \"\\x22me\\x5c\"";
        assert!(last.ends_with(end), "{last}");
    }
}
