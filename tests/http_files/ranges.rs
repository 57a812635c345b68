//! Parts of files.

use crate::http_web::{Seen, connect};
use crate::support;
use crate::tree::{CHANGED, Tree};
use crate::{Place, ask, with};

support::on_each_executor![one_range, several_ranges, ranges_that_are_refused];

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
