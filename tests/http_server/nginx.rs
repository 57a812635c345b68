//! The server behind a real nginx as a reverse proxy, which keeps its connections to it: what comes through is what was sent.

use std::path::Path;

use bytes::Bytes;
use futures_util::future::join_all;
use glowplug::runtime::http::server::Config;
use glowplug::runtime::http::{Body, Client};

use crate::http_web::{app, serving};
use crate::real_nginx::Nginx;
use crate::support;
use crate::tls::Plug;

const BIG: usize = 3_000_000;

#[test]
fn behind_nginx_on_tokio() {
    support::on_tokio(async |runtime| behind_nginx(runtime, "tokio").await);
}

#[test]
fn behind_nginx_on_smol() {
    support::on_smol(async |runtime| behind_nginx(runtime, "smol").await);
}

/// The first port passes everything on as it comes, the second reads all of it before.
fn config(_: &Path, [streaming, buffering]: [u16; 2], behind: u16) -> String {
    let server = |port: u16, buffers: &str| {
        format!(
            "server {{
                listen 127.0.0.1:{port};
                location / {{
                    proxy_pass http://ours; proxy_http_version 1.1; proxy_set_header Connection \"\";
                    proxy_request_buffering {buffers}; proxy_buffering {buffers};
                }}
            }}"
        )
    };
    format!(
        "upstream ours {{ server 127.0.0.1:{behind}; keepalive 4; }}
        {} {}",
        server(streaming, "off"),
        server(buffering, "on")
    )
}

async fn behind_nginx<R: Plug>(runtime: R, name: &str) {
    serving(&runtime, Config::default(), app(&runtime), async |at, stopper| {
        let behind = at.socket_addr().expect("an address").port();
        let name = format!("before-{name}");
        let Some(nginx) = Nginx::start(&name, |_| {}, |folder, ports| config(folder, ports, behind)) else {
            return;
        };
        for port in nginx.ports {
            story(&runtime, &format!("http://127.0.0.1:{port}")).await;
        }
        // Eight callers at once need no more connections than there are callers; kept are four.
        assert!(stopper.connections() <= 8, "{} connections", stopper.connections());
        drop(nginx);
    })
    .await;
}

async fn story<R: Plug>(runtime: &R, base: &str) {
    let client = Client::builder(runtime.clone()).build();
    let url = |path: &str| format!("{base}{path}");

    // Connections on both sides are used again.
    for _ in 0..20 {
        let answer = client.get(url("/hello")).send().await.expect("an answer");
        assert_eq!(
            (answer.content_length(), answer.text().await.expect("a body").as_str()),
            (Some(5), "hello")
        );
        assert_eq!(client.connections(), 1);
    }
    for (path, field, value) in
        [("/hello", "content-length", "5"), ("/announced?3000000", "content-length", "3000000")]
    {
        let answer = client.head(url(path)).send().await.expect("an answer");
        assert_eq!(answer.headers()[field], value, "{path}");
        assert_eq!(answer.bytes().await.expect("no body"), "");
    }

    let body = Bytes::from((0..BIG).map(|n| (n % 251) as u8).collect::<Vec<_>>());
    for path in ["/pieces?3000000", "/announced?3000000"] {
        let got = client.get(url(path)).send().await.expect("an answer").bytes().await.expect("a body");
        assert_eq!(got.len(), BIG, "{path}");
    }
    let pieces = || {
        let pieces = body
            .chunks(50_000)
            .map(|piece| Ok::<_, std::io::Error>(http_body::Frame::data(body.slice_ref(piece))));
        let stream = futures_util::stream::iter(pieces.collect::<Vec<_>>());
        Body::new(http_body_util::StreamBody::new(stream))
    };
    for sent in [Body::from(body.clone()), pieces()] {
        let answer = client.post(url("/echo")).body(sent).send().await.expect("an answer");
        assert!(answer.bytes().await.expect("a body") == body, "another body");
    }
    let answer =
        client.post(url("/count")).expect_continue().body(body.clone()).send().await.expect("an answer");
    assert_eq!(answer.text().await.expect("a body"), BIG.to_string());

    for status in [204, 304, 404, 418, 503] {
        let answer = client.get(url(&format!("/status?{status}"))).send().await.expect("an answer");
        assert_eq!(answer.status(), status);
        let text = answer.text().await.expect("a body");
        assert_eq!(text, if matches!(status, 204 | 304) { "" } else { "body" });
    }
    // A body that is shorter than was said: whoever sits behind the proxy hears of it too.
    let failed = match client.get(url("/short?5000")).send().await {
        Ok(answer) => answer.bytes().await.is_err(),
        Err(_) => true,
    };
    assert!(failed, "half an answer looked like a whole one");

    let answers = join_all((0..8).map(|n| {
        let request = client.post(url("/echo")).body(n.to_string());
        async move { request.send().await.expect("an answer").text().await.expect("a body") }
    }));
    for (n, text) in answers.await.into_iter().enumerate() {
        assert_eq!(text, n.to_string());
    }
}
