//! Whole files, by which methods and under which conditions, and what is said of them.

use glowplug::runtime::http::files::Files;
use http::HeaderValue;

use crate::http_web::connect;
use crate::support;
use crate::tree::{CHANGED, Tree};
use crate::{Place, ask, with};

support::on_each_executor![whole_files, methods, conditions, types_and_caching];

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
