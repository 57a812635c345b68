//! Nothing that lies outside, is hidden, or may not be read.

use std::fs;

use glowplug::runtime::http::files::Symlinks;

use crate::http_web::connect;
use crate::support;
use crate::tree::Tree;
use crate::{Place, ask, with};

support::on_each_executor![no_way_out, hidden_files];

#[cfg(unix)]
mod on_unix {
    use super::{forbidden_files, links_and_pipes, support};
    support::on_each_executor![links_and_pipes, forbidden_files];
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
