//! Files over HTTP on every executor: conditions, ranges, directories, and nothing that lies outside.

mod http_web;
mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use glowplug::runtime::Endpoint;
use glowplug::runtime::http::files::{Files, Symlinks};
use glowplug::runtime::http::server::Config;
use glowplug::sim::Sim;
use glowplug::smol::Smol;
use glowplug::tokio::Tokio;
use http::HeaderValue;
use http_body_util::BodyExt;
use tower_service::Service;

use http_web::{App, Plug, Raw, Seen, connect, get, serving};

support::on_each_executor![
    whole_files,
    methods,
    conditions,
    one_range,
    several_ranges,
    ranges_that_are_refused,
    directories,
    listings,
    no_way_out,
    hidden_files,
    compressed_siblings,
    a_page_for_all_else,
    types_and_caching,
    a_file_that_shrinks,
    clients_that_leave,
];

#[cfg(unix)]
mod on_unix {
    use super::{forbidden_files, links_and_pipes, support};
    support::on_each_executor![links_and_pipes, forbidden_files];
}

/// Time does not wait for threads in the simulator.
trait Place: Plug {
    const THREADS: bool = true;
}

impl Place for Tokio {}
impl Place for Smol {}
impl Place for Sim {
    const THREADS: bool = false;
}

/// A folder of its own for each test, with a secret beside what is served.
struct Tree(PathBuf);

impl Tree {
    fn new() -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("glowplug-files-{}-{count}", std::process::id()));
        fs::create_dir_all(path.join("public")).expect("a folder");
        let tree = Self(path);
        fs::write(tree.0.join("secret.txt"), "SECRET").expect("written");
        tree.put("hello.txt", "hello, world\n");
        tree.put("index.html", "<p>top");
        tree.put("deep/er/page.html", "<p>page");
        tree.put("deep/index.html", "<p>deep");
        tree
    }

    fn public(&self) -> PathBuf {
        self.0.join("public")
    }

    /// Writes a file that was last changed at a known time.
    fn put(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.public().join(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        fs::write(&path, content).expect("written");
        age(&path, 784_111_777);
        path
    }
}

fn age(path: &Path, seconds: u64) {
    let file = fs::File::options().write(true).open(path).expect("opened");
    file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)).expect("set");
}

impl Drop for Tree {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

const CHANGED: &str = "Sun, 06 Nov 1994 08:49:37 GMT";

/// Serves the files of `tree` while `work` runs.
async fn with<R: Place>(
    runtime: &R,
    tree: &Tree,
    change: impl FnOnce(Files) -> Files,
    work: impl AsyncFnOnce(Endpoint),
) {
    let files = change(Files::new(tree.public()).expect("opened").on_threads(R::THREADS));
    let app = App::new(move |request| {
        let mut files = files.clone();
        async move {
            let Ok(answer) = files.call(request).await;
            Ok(answer.map(|body| body.map_err(Into::into).boxed_unsync()))
        }
    });
    serving(runtime, Config::default(), app, async |at, _| work(at).await).await;
}

fn request(method: &str, target: &str, fields: &[(&str, &str)]) -> String {
    let fields = fields.iter().map(|(name, value)| [name, ": ", value, "\r\n"].concat());
    let fields = fields.collect::<String>();
    format!("{method} {target} HTTP/1.1\r\nhost: here\r\n{fields}\r\n")
}

async fn ask<S>(client: &mut Raw<S>, method: &str, target: &str, fields: &[(&str, &str)]) -> Seen
where
    S: glowplug::runtime::Transport,
{
    client.send(request(method, target, fields)).await;
    client.answer_to(method).await.expect("an answer")
}

async fn whole_files<R: Place>(runtime: R) {
    let tree = Tree::new();
    let big: Vec<u8> = (0..1_000_000_u32).map(|n| (n % 251) as u8).collect();
    tree.put("big.bin", &big);
    tree.put("empty", "");
    tree.put("päge ü.html", "umlauts");
    with(
        &runtime,
        &tree,
        |files| files.piece_size(60_000),
        async |at| {
            let mut client = connect(&runtime, &at).await;
            let seen = client.get("/hello.txt").await;
            assert_eq!((seen.status, &seen.body[..]), (200, &b"hello, world\n"[..]));
            for (name, value) in [
                ("content-length", "13"),
                ("content-type", "text/plain; charset=utf-8"),
                ("last-modified", CHANGED),
                ("accept-ranges", "bytes"),
                ("x-content-type-options", "nosniff"),
            ] {
                assert_eq!(seen.field(name), Some(value), "{}", seen.head);
            }
            let tag = seen.field("etag").expect("a tag").to_owned();
            assert!(tag.starts_with('"') && tag.ends_with('"'), "{tag}");

            let head = ask(&mut client, "HEAD", "/hello.txt", &[]).await;
            assert_eq!(head.head, seen.head);

            assert!(client.get("/big.bin").await.body == big);
            let seen = client.get("/empty").await;
            assert_eq!((seen.status, seen.field("content-length")), (200, Some("0")));
            assert_eq!(client.get("/p%C3%A4ge%20%c3%bc.html?query").await.body, "umlauts");
            assert_eq!(client.get("/nothing").await.status, 404);
            assert_eq!(client.get("/hello.txt/").await.status, 404);
            assert_eq!(client.get("/hello.txt/more").await.status, 404);
            assert_eq!(client.get(&format!("/{}", "x".repeat(300))).await.status, 404);
            let absolute = client.get("http://here/hello.txt").await;
            assert_eq!(absolute.body, "hello, world\n");
        },
    )
    .await;
}

async fn methods<R: Place>(runtime: R) {
    let tree = Tree::new();
    with(
        &runtime,
        &tree,
        |files| files,
        async |at| {
            let mut client = connect(&runtime, &at).await;
            for (method, target, status) in [
                ("OPTIONS", "/hello.txt", 204),
                ("OPTIONS", "*", 204),
                ("POST", "/hello.txt", 405),
                ("DELETE", "/nothing", 405),
                ("PROPFIND", "/", 405),
            ] {
                let seen = ask(&mut client, method, target, &[("content-length", "0")]).await;
                assert_eq!(
                    (seen.status, seen.field("allow")),
                    (status, Some("GET, HEAD, OPTIONS")),
                    "{method}"
                );
            }
            let seen = ask(&mut client, "HEAD", "/nothing", &[]).await;
            assert_eq!((seen.status, seen.field("content-length")), (404, Some("14")));
            assert_eq!(client.get("/hello.txt").await.status, 200);
        },
    )
    .await;
}

async fn conditions<R: Place>(runtime: R) {
    let tree = Tree::new();
    with(
        &runtime,
        &tree,
        |files| files,
        async |at| {
            let mut client = connect(&runtime, &at).await;
            let tag = client.get("/hello.txt").await.field("etag").expect("a tag").to_owned();
            let (weak, list) = (format!("W/{tag}"), format!("\"other\", {tag}"));
            for (name, value, status) in [
                ("if-none-match", tag.as_str(), 304),
                ("if-none-match", &weak, 304),
                ("if-none-match", &list, 304),
                ("if-none-match", "*", 304),
                ("if-none-match", "\"other\"", 200),
                ("if-modified-since", CHANGED, 304),
                ("if-modified-since", "Sun, 06 Nov 1994 08:49:36 GMT", 200),
                ("if-match", &tag, 200),
                ("if-match", &weak, 412),
                ("if-match", "\"other\"", 412),
                ("if-unmodified-since", CHANGED, 200),
                ("if-unmodified-since", "Sun, 06 Nov 1994 08:49:36 GMT", 412),
            ] {
                for method in ["GET", "HEAD"] {
                    let seen = ask(&mut client, method, "/hello.txt", &[(name, value)]).await;
                    assert_eq!(seen.status, status, "{method} {name}: {value}");
                    assert_eq!(seen.field("etag"), Some(&*tag));
                    assert_eq!(seen.field("last-modified"), Some(CHANGED));
                }
            }
            // Another content has another tag.
            tree.put("hello.txt", "hello again\n");
            let seen = ask(&mut client, "GET", "/hello.txt", &[("if-none-match", &tag)]).await;
            assert_eq!((seen.status, &seen.body[..]), (200, &b"hello again\n"[..]));
        },
    )
    .await;
}

async fn one_range<R: Place>(runtime: R) {
    let tree = Tree::new();
    let big: Vec<u8> = (0..300_000_u32).map(|n| (n % 251) as u8).collect();
    tree.put("big.bin", &big);
    with(
        &runtime,
        &tree,
        |files| files.piece_size(10_000),
        async |at| {
            let mut client = connect(&runtime, &at).await;
            let tag = client.get("/big.bin").await.field("etag").expect("a tag").to_owned();
            for (value, part) in [
                ("bytes=0-0", 0..1),
                ("bytes=100-99999", 100..100_000),
                ("bytes=299000-", 299_000..300_000),
                ("bytes=-5", 299_995..300_000),
                ("bytes=0-", 0..300_000),
                ("bytes=0-10,5-20,15-30", 0..31),
            ] {
                let seen = ask(&mut client, "GET", "/big.bin", &[("range", value)]).await;
                assert_eq!(seen.status, 206, "{value}");
                let expected = format!("bytes {}-{}/300000", part.start, part.end - 1);
                assert_eq!(seen.field("content-range"), Some(&*expected));
                assert_eq!(seen.field("content-type"), Some("application/octet-stream"));
                assert!(seen.body == big[part], "{value}");
            }
            // Not understood, or not for HEAD: all of it.
            for (method, value) in
                [("GET", "lines=0-1"), ("GET", "bytes=9-1"), ("GET", "x"), ("HEAD", "bytes=0-1")]
            {
                let seen = ask(&mut client, method, "/big.bin", &[("range", value)]).await;
                assert_eq!((seen.status, seen.field("content-length")), (200, Some("300000")), "{value}");
            }
            let weak = format!("W/{tag}");
            for (value, status) in [
                (tag.as_str(), 206),
                (CHANGED, 206),
                (&weak, 200),
                ("\"other\"", 200),
                ("Sun, 06 Nov 1994 08:49:38 GMT", 200),
            ] {
                let seen =
                    ask(&mut client, "GET", "/big.bin", &[("range", "bytes=0-1"), ("if-range", value)]).await;
                assert_eq!(seen.status, status, "{value}");
            }
            // Conditions come first.
            let fields = [("range", "bytes=0-1"), ("if-none-match", &*tag)];
            assert_eq!(ask(&mut client, "GET", "/big.bin", &fields).await.status, 304);
        },
    )
    .await;
}

/// The parts of a multipart body: what each says of its range, and its bytes.
fn parts(seen: &Seen) -> Vec<(String, Vec<u8>)> {
    let content_type = seen.field("content-type").expect("a type");
    let boundary = content_type.strip_prefix("multipart/byteranges; boundary=").expect("several parts");
    let mut rest = &seen.body[..];
    let mut parts = Vec::new();
    let opening = format!("--{boundary}\r\n");
    let between = format!("\r\n--{boundary}");
    rest = rest.strip_prefix(opening.as_bytes()).expect("a first part");
    loop {
        let end =
            rest.windows(between.len()).position(|window| window == between.as_bytes()).expect("an end");
        let part = &rest[..end];
        let head = part.windows(4).position(|window| window == b"\r\n\r\n").expect("a head");
        let text = std::str::from_utf8(&part[..head]).expect("text");
        assert!(text.contains("content-type: text/plain; charset=utf-8\r\n"), "{text}");
        let range = text.split("content-range: bytes ").nth(1).expect("a range").to_owned();
        parts.push((range, part[head + 4..].to_vec()));
        rest = &rest[end + between.len()..];
        if rest == b"--\r\n" {
            return parts;
        }
        rest = rest.strip_prefix(b"\r\n").expect("another part");
    }
}

async fn several_ranges<R: Place>(runtime: R) {
    let tree = Tree::new();
    let text: Vec<u8> = (0..100_000_u32).map(|n| b'a' + (n % 23) as u8).collect();
    tree.put("text.txt", &text);
    with(
        &runtime,
        &tree,
        |files| files.piece_size(1000),
        async |at| {
            let mut client = connect(&runtime, &at).await;
            let value = "bytes=500-9999,0-0, 50000-50010, -3";
            let seen = ask(&mut client, "GET", "/text.txt", &[("range", value)]).await;
            assert_eq!((seen.status, seen.field("content-range")), (206, None));
            let expected: Vec<_> = [
                ("500-9999/100000", 500..10_000),
                ("0-0/100000", 0..1),
                ("50000-50010/100000", 50_000..50_011),
                ("99997-99999/100000", 99_997..100_000),
            ]
            .map(|(range, part)| (range.to_owned(), text[part].to_vec()))
            .into();
            assert_eq!(parts(&seen), expected);
            assert_eq!(client.get("/hello.txt").await.status, 200);
        },
    )
    .await;
}

async fn ranges_that_are_refused<R: Place>(runtime: R) {
    let tree = Tree::new();
    tree.put("text.txt", "x".repeat(10_000));
    with(
        &runtime,
        &tree,
        |files| files.max_ranges(3),
        async |at| {
            let mut client = connect(&runtime, &at).await;
            for value in
                ["bytes=10000-", "bytes=-0", "bytes=99999-100000", "bytes=0-0,1000-1000,2000-2000,3000-3000"]
            {
                let seen = ask(&mut client, "GET", "/text.txt", &[("range", value)]).await;
                assert_eq!(
                    (seen.status, seen.field("content-range")),
                    (416, Some("bytes */10000")),
                    "{value}"
                );
            }
            let seen =
                ask(&mut client, "GET", "/text.txt", &[("range", "bytes=0-0,1000-1000,2000-2000")]).await;
            assert_eq!(parts(&seen).len(), 3);
        },
    )
    .await;
}

async fn directories<R: Place>(runtime: R) {
    let tree = Tree::new();
    with(
        &runtime,
        &tree,
        |files| files,
        async |at| {
            let mut client = connect(&runtime, &at).await;
            assert_eq!(client.get("/").await.body, "<p>top");
            let seen = client.get("/deep/").await;
            assert_eq!(
                (&seen.body[..], seen.field("content-type")),
                (&b"<p>deep"[..], Some("text/html; charset=utf-8"))
            );
            for (target, location) in [
                ("/deep", "./deep/"),
                ("/deep?a=b", "./deep/?a=b"),
                ("//deep", "./deep/"),
                ("/deep/er", "./er/"),
            ] {
                let seen = client.get(target).await;
                assert_eq!((seen.status, seen.field("location")), (301, Some(location)), "{target}");
            }
            // Neither an index nor a list.
            assert_eq!(client.get("/deep/er/").await.status, 404);
        },
    )
    .await;
    with(
        &runtime,
        &tree,
        |files| files.index("hello.txt"),
        async |at| {
            assert_eq!(connect(&runtime, &at).await.get("/").await.body, "hello, world\n");
        },
    )
    .await;
    with(
        &runtime,
        &tree,
        |files| files.index(None),
        async |at| {
            assert_eq!(connect(&runtime, &at).await.get("/").await.status, 404);
        },
    )
    .await;
}

async fn listings<R: Place>(runtime: R) {
    let tree = Tree::new();
    tree.put("list/<b>&\".txt", "escaped");
    tree.put("list/.hidden", "hidden");
    tree.put("list/sub/file", "file");
    with(
        &runtime,
        &tree,
        |files| files.listing(true),
        async |at| {
            let mut client = connect(&runtime, &at).await;
            let seen = client.get("/list/").await;
            let page = std::str::from_utf8(&seen.body).expect("text");
            assert_eq!(seen.field("content-type"), Some("text/html; charset=utf-8"));
            assert!(seen.field("content-security-policy").is_some());
            assert!(page.contains("href=\"./%3Cb%3E%26%22.txt\">&lt;b&gt;&amp;&quot;.txt</a>"), "{page}");
            assert!(
                page.contains("href=\"./sub/\"") && !page.contains("hidden") && !page.contains("<b>"),
                "{page}"
            );
            assert_eq!(client.get("/list/%3Cb%3E%26%22.txt").await.body, "escaped");
            let head = ask(&mut client, "HEAD", "/list/", &[]).await;
            assert_eq!(head.head, seen.head);
            // An index wins.
            assert_eq!(client.get("/").await.body, "<p>top");
        },
    )
    .await;
    with(
        &runtime,
        &tree,
        |files| files.listing(true).hidden(true).max_listing(2),
        async |at| {
            let seen = connect(&runtime, &at).await.get("/list/").await;
            let page = std::str::from_utf8(&seen.body).expect("text");
            assert!(page.matches("href=\"./").count() == 2 && page.contains("more than"), "{page}");
        },
    )
    .await;
}

/// Ways out of a directory that some server once took.
const WAYS_OUT: [&str; 42] = [
    "/../secret.txt",
    "/..",
    "/../",
    "/./../secret.txt",
    "/deep/../../secret.txt",
    "/deep/er/../../../secret.txt",
    "//../secret.txt",
    "/.%2e/secret.txt",
    "/%2e./secret.txt",
    "/%2e%2e/secret.txt",
    "/%2E%2E/secret.txt",
    "/%2e%2e%2fsecret.txt",
    "/..%2fsecret.txt",
    "/..%2Fsecret.txt",
    "/deep%2f..%2f..%2fsecret.txt",
    "/%252e%252e/secret.txt",
    "/%252e%252e%252fsecret.txt",
    "/..%252fsecret.txt",
    "/%25252e%25252e/secret.txt",
    "/..\\secret.txt",
    "/..%5csecret.txt",
    "/%2e%2e%5csecret.txt",
    "/deep\\..\\..\\secret.txt",
    "/%5c..%5csecret.txt",
    "/..%c0%afsecret.txt",
    "/%c0%ae%c0%ae/secret.txt",
    "/..%ef%bc%8fsecret.txt",
    "/..%u2215secret.txt",
    "/%00/../secret.txt",
    "/../secret.txt%00.html",
    "/hello.txt%00",
    "/..;/secret.txt",
    "/..%00/secret.txt",
    "/....//secret.txt",
    "/...%2f%2fsecret.txt",
    "//etc/passwd",
    "/%2fetc%2fpasswd",
    "///etc/passwd",
    "/C:/windows/win.ini",
    "/C:%5cwindows%5cwin.ini",
    "/file:///etc/passwd",
    "/deep/%2e%2e/%2e%2e/secret.txt",
];

async fn no_way_out<R: Place>(runtime: R) {
    let tree = Tree::new();
    let absolute = tree.0.join("secret.txt").to_string_lossy().into_owned();
    let mut ways: Vec<String> = WAYS_OUT.map(str::to_owned).into();
    ways.extend([format!("/{absolute}"), format!("/{}", absolute.replace('/', "%2f"))]);
    with(
        &runtime,
        &tree,
        |files| files.listing(true).hidden(true),
        async |at| {
            let mut client = connect(&runtime, &at).await;
            for way in &ways {
                for method in ["GET", "HEAD"] {
                    let seen = ask(&mut client, method, way, &[]).await;
                    assert!(matches!(seen.status, 400 | 404), "{way}: {}", seen.head);
                    assert!(!seen.body.windows(6).any(|window| window == b"SECRET"), "{way}");
                }
            }
            for (way, status) in [
                ("/../secret.txt", 400),
                ("/%2e%2e/secret.txt", 400),
                ("/..%2fsecret.txt", 400),
                ("/..\\secret.txt", 400),
                ("/a%00", 400),
                ("/a%2", 400),
                ("/%252e%252e/secret.txt", 404),
            ] {
                assert_eq!(client.get(way).await.status, status, "{way}");
            }
            assert_eq!(client.get("/hello.txt").await.status, 200);
        },
    )
    .await;
}

async fn hidden_files<R: Place>(runtime: R) {
    let tree = Tree::new();
    tree.put(".git/config", "hidden");
    tree.put("deep/.htpasswd", "hidden");
    tree.put(".well-known/security.txt", "known");
    let hidden = ["/.git/config", "/.git/", "/.git", "/deep/.htpasswd", "/%2egit/config"];
    with(
        &runtime,
        &tree,
        |files| files,
        async |at| {
            let mut client = connect(&runtime, &at).await;
            for target in hidden {
                assert_eq!(client.get(target).await.status, 404, "{target}");
            }
            assert_eq!(client.get("/.well-known/security.txt").await.body, "known");
        },
    )
    .await;
    with(
        &runtime,
        &tree,
        |files| files.hidden(true),
        async |at| {
            assert_eq!(connect(&runtime, &at).await.get("/.git/config").await.body, "hidden");
        },
    )
    .await;
}

#[cfg(unix)]
async fn links_and_pipes<R: Place>(runtime: R) {
    use std::os::unix::fs::symlink;
    let tree = Tree::new();
    let public = tree.public();
    symlink("hello.txt", public.join("inside")).expect("linked");
    symlink("deep", public.join("inside-folder")).expect("linked");
    symlink("../secret.txt", public.join("outside")).expect("linked");
    symlink("..", public.join("above")).expect("linked");
    symlink("/etc", public.join("absolute")).expect("linked");
    symlink(tree.0.join("secret.txt"), public.join("deep/absolute")).expect("linked");
    symlink("outside", public.join("twice")).expect("linked");
    symlink("nowhere", public.join("broken")).expect("linked");
    let made = std::process::Command::new("mkfifo").arg(public.join("pipe")).status().expect("mkfifo runs");
    assert!(made.success(), "{made}");
    let _socket = std::os::unix::net::UnixListener::bind(public.join("socket")).expect("a socket");
    let outside = ["/outside", "/above/secret.txt", "/absolute/passwd", "/deep/absolute", "/twice"];
    with(
        &runtime,
        &tree,
        |files| files.listing(true),
        async |at| {
            let mut client = connect(&runtime, &at).await;
            assert_eq!(client.get("/inside").await.body, "hello, world\n");
            assert_eq!(client.get("/inside-folder/").await.body, "<p>deep");
            for target in outside {
                let seen = client.get(target).await;
                assert_eq!((seen.status, seen.body.starts_with(b"403")), (403, true), "{target}");
            }
            assert_eq!(client.get("/above/").await.status, 403);
            for target in ["/broken", "/pipe"] {
                assert_eq!(client.get(target).await.status, 404, "{target}");
            }
            assert!(matches!(client.get("/socket").await.status, 404 | 500));
            fs::remove_file(public.join("index.html")).expect("removed");
            let page = client.get("/").await.body;
            let page = std::str::from_utf8(&page).expect("text");
            assert!(page.contains("./inside\"") && page.contains("./inside-folder/\""), "{page}");
            for name in ["outside", "above", "absolute", "twice", "broken", "pipe", "socket"] {
                assert!(!page.contains(&format!("./{name}")), "{name}: {page}");
            }
        },
    )
    .await;
    with(
        &runtime,
        &tree,
        |files| files.symlinks(Symlinks::Anywhere).listing(true),
        async |at| {
            let mut client = connect(&runtime, &at).await;
            assert_eq!(client.get("/outside").await.body, "SECRET");
            assert_eq!(client.get("/twice").await.body, "SECRET");
            assert!(client.get("/").await.body.windows(9).any(|window| window == b"./outside"));
            // Links are one thing, and dots another.
            assert_eq!(client.get("/../secret.txt").await.status, 400);
        },
    )
    .await;
}

#[cfg(unix)]
async fn forbidden_files<R: Place>(runtime: R) {
    use std::os::unix::fs::PermissionsExt;
    let tree = Tree::new();
    fs::set_permissions(tree.public().join("hello.txt"), fs::Permissions::from_mode(0o000)).expect("set");
    if fs::File::open(tree.public().join("hello.txt")).is_ok() {
        // Whoever may do everything is forbidden nothing.
        return;
    }
    with(
        &runtime,
        &tree,
        |files| files,
        async |at| {
            assert_eq!(connect(&runtime, &at).await.get("/hello.txt").await.status, 403);
        },
    )
    .await;
}

async fn compressed_siblings<R: Place>(runtime: R) {
    let tree = Tree::new();
    tree.put("hello.txt.gz", "gzipped hello");
    tree.put("hello.txt.br", "brotli hello");
    tree.put("deep/index.html.gz", "gzipped index");
    // Older than what it was made of.
    age(&tree.put("deep/er/page.html.gz", "stale"), 1000);
    with(
        &runtime,
        &tree,
        |files| files.precompressed(true),
        async |at| {
            let mut client = connect(&runtime, &at).await;
            let plain = client.get("/hello.txt").await;
            assert_eq!(
                (plain.field("vary"), plain.field("content-encoding")),
                (Some("accept-encoding"), None)
            );
            for (accepted, coding, body) in [
                ("gzip", Some("gzip"), "gzipped hello"),
                ("gzip, br", Some("br"), "brotli hello"),
                ("gzip, br;q=0.5, zstd", Some("gzip"), "gzipped hello"),
                ("zstd", None, "hello, world\n"),
                ("gzip;q=0.5, identity", None, "hello, world\n"),
            ] {
                let seen = ask(&mut client, "GET", "/hello.txt", &[("accept-encoding", accepted)]).await;
                assert_eq!(
                    (seen.field("content-encoding"), &seen.body[..]),
                    (coding, body.as_bytes()),
                    "{accepted}"
                );
                assert_eq!(seen.field("content-type"), Some("text/plain; charset=utf-8"));
                assert_eq!(seen.field("etag") == plain.field("etag"), coding.is_none());
            }
            let gzip = ("accept-encoding", "gzip");
            let seen = ask(&mut client, "GET", "/hello.txt", &[gzip, ("range", "bytes=0-3")]).await;
            assert_eq!((&seen.body[..], seen.field("content-range")), (&b"gzip"[..], Some("bytes 0-3/13")));
            assert_eq!(seen.field("content-encoding"), Some("gzip"));
            assert_eq!(ask(&mut client, "GET", "/deep/", &[gzip]).await.body, "gzipped index");
            assert_eq!(ask(&mut client, "GET", "/deep/er/page.html", &[gzip]).await.body, "<p>page");
            // By its own name it is a file like others.
            let seen = client.get("/hello.txt.gz").await;
            assert_eq!(
                (seen.field("content-type"), seen.field("content-encoding")),
                (Some("application/gzip"), None)
            );
        },
    )
    .await;
}

async fn a_page_for_all_else<R: Place>(runtime: R) {
    let tree = Tree::new();
    with(
        &runtime,
        &tree,
        |files| files.fallback("index.html"),
        async |at| {
            let mut client = connect(&runtime, &at).await;
            let page = ("accept", "text/html;q=0.9, */*");
            for target in ["/users/17", "/deep/er/", "/.hidden", "/hello.txt/"] {
                let seen = ask(&mut client, "GET", target, &[page]).await;
                assert_eq!((seen.status, &seen.body[..]), (200, &b"<p>top"[..]), "{target}");
                assert_eq!(client.get(target).await.status, 404, "{target}");
            }
            assert_eq!(ask(&mut client, "GET", "/hello.txt", &[page]).await.body, "hello, world\n");
            assert_eq!(ask(&mut client, "GET", "/../secret.txt", &[page]).await.status, 400);
            assert_eq!(
                ask(&mut client, "POST", "/users/17", &[page, ("content-length", "0")]).await.status,
                405
            );
        },
    )
    .await;
}

async fn types_and_caching<R: Place>(runtime: R) {
    let tree = Tree::new();
    let known = [
        ("a.css", "text/css; charset=utf-8"),
        ("a.HTML", "text/html; charset=utf-8"),
        ("a.js", "text/javascript; charset=utf-8"),
        ("a.mjs", "text/javascript; charset=utf-8"),
        ("a.json", "application/json"),
        ("a.svg", "image/svg+xml"),
        ("a.wasm", "application/wasm"),
        ("a.webp", "image/webp"),
        ("a.woff2", "font/woff2"),
        ("a.tar.gz", "application/gzip"),
        ("a.avif", "image/avif"),
        ("a.webmanifest", "application/manifest+json"),
        ("a.own", "application/x-own"),
        ("a.unknown", "application/octet-stream"),
        ("none", "application/octet-stream"),
    ];
    for (name, _) in known {
        tree.put(name, name);
    }
    let change = |files: Files| {
        files
            .content_type("own", HeaderValue::from_static("application/x-own"))
            .cache_control(HeaderValue::from_static("max-age=60"))
    };
    with(&runtime, &tree, change, async |at| {
        let mut client = connect(&runtime, &at).await;
        for (name, content_type) in known {
            let seen = client.get(&format!("/{name}")).await;
            assert_eq!(seen.field("content-type"), Some(content_type), "{name}");
            assert_eq!(seen.field("cache-control"), Some("max-age=60"));
        }
    })
    .await;
}

async fn a_file_that_shrinks<R: Place>(runtime: R) {
    const LEN: usize = 32 << 20;
    let tree = Tree::new();
    let path = tree.put("big.bin", "");
    let file = fs::File::options().write(true).open(&path).expect("opened");
    file.set_len(LEN as u64).expect("grown");
    with(
        &runtime,
        &tree,
        |files| files,
        async |at| {
            let mut client = connect(&runtime, &at).await;
            client.send(get("/big.bin")).await;
            assert_eq!(client.head().await.expect("a head").0, 200);
            file.set_len(10).expect("shrunk");
            // Cut off, rather than filled up with something else.
            assert!(client.rest().await.len() < LEN);
            assert_eq!(connect(&runtime, &at).await.get("/hello.txt").await.status, 200);
        },
    )
    .await;
}

async fn clients_that_leave<R: Place>(runtime: R) {
    let tree = Tree::new();
    tree.put("big.bin", vec![b'x'; 2_000_000]);
    with(
        &runtime,
        &tree,
        |files| files.piece_size(4096),
        async |at| {
            for take in 0..20 {
                let mut client = connect(&runtime, &at).await;
                client.send(get("/big.bin") + &get("/hello.txt")).await;
                for _ in 0..take {
                    client.more().await;
                }
            }
            assert_eq!(connect(&runtime, &at).await.get("/hello.txt").await.status, 200);
        },
    )
    .await;
}
