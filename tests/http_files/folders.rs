//! Directories: their index, their listing, and what stands in for a page that is not there.

use crate::http_web::connect;
use crate::support;
use crate::tree::Tree;
use crate::{Place, ask, with};

support::on_each_executor![directories, listings, a_page_for_all_else];

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
