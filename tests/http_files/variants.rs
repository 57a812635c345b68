//! Files beside themselves: compressed siblings, files that shrink, clients that leave.

use std::fs;

use crate::http_web::{connect, get};
use crate::support;
use crate::tree::{Tree, age};
use crate::{Place, ask, with};

support::on_each_executor![compressed_siblings, a_file_that_shrinks, clients_that_leave];

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
