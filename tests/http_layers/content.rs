//! Content codings: asked for, undone, bounded, and left alone where they have to be.

use std::io::Write as _;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use glowplug::http::BodyLength;
use glowplug::runtime::http::coding::decode::{Coding, ContentError, DecodeConfig};
use glowplug::runtime::http::{Client, ClientError};

use crate::kit::{MANY, Plug, client, polled};
use crate::server::{Log, Reply, Seen, Site};
use crate::support::{self, beside};

support::on_each_executor![
    answers_are_decoded,
    what_has_no_content_is_left_alone,
    parts_and_what_is_not_known_are_left_alone,
    it_can_be_declined,
    bombs_and_damage_end_their_own_answer,
    dropped_at_every_poll,
];

fn text() -> String {
    (0..30_000).flat_map(|n| ["line ".to_owned(), n.to_string(), "\n".to_owned()]).collect()
}

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(content).expect("encoded");
    encoder.finish().expect("encoded")
}

fn encode(coding: &str, content: &[u8]) -> Vec<u8> {
    match coding {
        "gzip" => gzip(content),
        "deflate" => {
            let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
            encoder.write_all(content).expect("encoded");
            encoder.finish().expect("encoded")
        }
        "br" => {
            let mut out = Vec::new();
            let params = brotli::enc::BrotliEncoderParams { quality: 4, ..Default::default() };
            brotli::BrotliCompress(&mut &*content, &mut out, &params).expect("encoded");
            out
        }
        "zstd" => zstd::encode_all(content, 1).expect("encoded"),
        "gzip, br" => encode("br", &gzip(content)),
        _ => content.to_vec(),
    }
}

/// Content in the coding that the path names, in pieces.
fn coded(seen: &Seen) -> Reply {
    let coding = seen.target.trim_start_matches('/').replace('+', ", ");
    let pieces: Vec<Bytes> =
        encode(&coding, text().as_bytes()).chunks(9000).map(Bytes::copy_from_slice).collect();
    let length = pieces.iter().map(|piece| piece.len() as u64).sum();
    let reply = Reply::chunked(pieces).field("content-encoding", coding);
    if seen.method == "HEAD" { Reply { length: BodyLength::Known(length), ..reply } } else { reply }
}

async fn answers_are_decoded<R: Plug>(runtime: R) {
    let site = Site::open(&runtime).await;
    let (log, base, client) = (Log::default(), site.url(""), client(&runtime));
    let work = async {
        for coding in ["gzip", "deflate", "br", "zstd", "gzip,+br", "identity"] {
            let answer =
                client.get(format!("{base}/{coding}").replace(",+", "+")).send().await.expect("an answer");
            assert_eq!(log.last().field("accept-encoding"), Some("gzip, deflate, br, zstd"));
            assert_eq!(answer.headers().contains_key("content-encoding"), coding == "identity", "{coding}");
            assert_eq!(answer.content_length(), None);
            assert!(answer.text().await.expect("a body") == text(), "{coding}: another text");
            assert_eq!((client.connections(), client.idle_connections()), (1, 1), "{coding}");
        }
        // Piece by piece, and as a body of its own.
        let mut answer = client.get(format!("{base}/gzip")).send().await.expect("an answer");
        let mut all = Vec::new();
        while let Some(piece) = answer.chunk().await.expect("a piece") {
            all.extend_from_slice(&piece);
        }
        assert!(all == text().as_bytes());
        let answer = client.get(format!("{base}/br")).send().await.expect("an answer").into_http();
        let all = http_body_util::BodyExt::collect(answer.into_body()).await.expect("a body").to_bytes();
        assert!(all == text().as_bytes());
    };
    beside(work, site.serve(log.clone(), coded)).await;
}

async fn what_has_no_content_is_left_alone<R: Plug>(runtime: R) {
    let site = Site::open(&runtime).await;
    let (log, base, client) = (Log::default(), site.url(""), client(&runtime));
    let handler = |seen: &Seen| match seen.target.as_str() {
        "/204" => Reply::status(204).field("content-encoding", "gzip"),
        "/304" => Reply::status(304).field("content-encoding", "gzip"),
        "/empty" => Reply::text("").field("content-encoding", "br"),
        "/nothing" => Reply::chunked(Vec::<Bytes>::new()).field("content-encoding", "zstd"),
        _ => coded(seen),
    };
    let work = async {
        let answer = client.head(format!("{base}/gzip")).send().await.expect("an answer");
        assert_eq!(answer.headers()["content-encoding"], "gzip");
        assert!(answer.headers().contains_key("content-length"));
        assert_eq!(answer.bytes().await.expect("no body"), "");
        for path in ["/204", "/304", "/empty", "/nothing"] {
            let answer = client.get(format!("{base}{path}")).send().await.expect("an answer");
            assert_eq!(answer.bytes().await.expect("no body"), "", "{path}");
        }
        assert_eq!((client.connections(), client.idle_connections()), (1, 1));
    };
    beside(work, site.serve(log.clone(), handler)).await;
}

async fn parts_and_what_is_not_known_are_left_alone<R: Plug>(runtime: R) {
    let site = Site::open(&runtime).await;
    let (log, base, client) = (Log::default(), site.url(""), client(&runtime));
    let handler = |seen: &Seen| match seen.target.as_str() {
        "/part" => Reply { status: 206, ..Reply::text("part of it") }.field("content-encoding", "gzip"),
        _ => Reply::text("whatever this is").field("content-encoding", "gzip, rot13"),
    };
    let work = async {
        let request = client.get(format!("{base}/part")).header("range", "bytes=5-14");
        let answer = request.send().await.expect("an answer");
        assert_eq!(log.last().field("accept-encoding"), None);
        assert_eq!(answer.headers()["content-encoding"], "gzip");
        assert_eq!(answer.text().await.expect("a body"), "part of it");
        let request = client.get(format!("{base}/x")).header("accept-encoding", "rot13");
        let answer = request.send().await.expect("an answer");
        assert_eq!(log.last().field("accept-encoding"), Some("rot13"));
        assert_eq!(answer.headers()["content-encoding"], "gzip, rot13");
        assert_eq!(answer.text().await.expect("a body"), "whatever this is");
    };
    beside(work, site.serve(log.clone(), handler)).await;
}

async fn it_can_be_declined<R: Plug>(runtime: R) {
    let site = Site::open(&runtime).await;
    let (log, base) = (Log::default(), site.url(""));
    let (decoding, plain) = (client(&runtime), Client::builder(runtime.clone()).decode(None).build());
    let work = async {
        for request in [decoding.get(format!("{base}/gzip")).decode(None), plain.get(format!("{base}/gzip"))]
        {
            let answer = request.send().await.expect("an answer");
            assert_eq!(log.last().field("accept-encoding"), None);
            assert_eq!(answer.headers()["content-encoding"], "gzip");
            assert!(answer.bytes().await.expect("a body") == gzip(text().as_bytes()));
        }
        let request = plain.get(format!("{base}/gzip")).decode(Some(DecodeConfig::default()));
        assert!(request.send().await.expect("an answer").text().await.expect("a body") == text());
    };
    beside(work, site.serve(log.clone(), coded)).await;
}

async fn bombs_and_damage_end_their_own_answer<R: Plug>(runtime: R) {
    let site = Site::open(&runtime).await;
    let base = site.url("");
    let limits = DecodeConfig::default().ratio_from(1 << 20).max_codings(2);
    let client = Client::builder(runtime.clone()).decode(Some(limits)).build();
    let zeros = vec![0; 8 << 20];
    let mut bomb = GzEncoder::new(Vec::new(), Compression::best());
    bomb.write_all(&zeros).expect("encoded");
    let bomb = bomb.finish().expect("encoded");
    let handler = move |seen: &Seen| {
        let reply = |body: &[u8]| Reply::chunked(body.chunks(2000).map(Bytes::copy_from_slice));
        match seen.target.as_str() {
            "/bomb" => reply(&bomb).field("content-encoding", "gzip"),
            "/nested" => reply(&encode("br", &bomb)).field("content-encoding", "gzip, br"),
            "/many" => reply(&bomb).field("content-encoding", "gzip, gzip, gzip"),
            "/lie" => reply(b"this is no gzip").field("content-encoding", "gzip"),
            "/cut" => reply(&gzip(b"text")[..12]).field("content-encoding", "gzip"),
            _ => coded(seen),
        }
    };
    let work = async {
        for (path, expected) in [
            ("/bomb", ContentError::Ratio(250)),
            ("/nested", ContentError::Ratio(250)),
            ("/many", ContentError::Codings(2)),
            ("/lie", ContentError::Corrupt(Coding::Gzip)),
            ("/cut", ContentError::Truncated(Coding::Gzip)),
        ] {
            let outcome = match client.get(format!("{base}{path}")).send().await {
                Ok(answer) => answer.bytes().await,
                Err(error) => Err(error),
            };
            match outcome {
                Err(ClientError::Content(error)) => assert_eq!(error, expected, "{path}"),
                Ok(content) => panic!("{path}: {} bytes", content.len()),
                Err(other) => panic!("{path}: {other:?}"),
            }
            let answer = client.get(format!("{base}/zstd")).send().await.expect("an answer");
            assert!(answer.text().await.expect("a body") == text(), "after {path}");
            assert_eq!(client.connections(), client.idle_connections(), "after {path}");
        }
        let short = client.get(format!("{base}/gzip")).collect_limit(1000).send().await.expect("an answer");
        assert!(matches!(short.bytes().await, Err(ClientError::TooLong { limit: 1000 })));
    };
    beside(work, site.serve(Log::default(), handler)).await;
}

async fn dropped_at_every_poll<R: Plug>(runtime: R) {
    let site = Site::open(&runtime).await;
    let (base, client) = (site.url(""), client(&runtime));
    let work = async {
        for polls in 0..MANY {
            let request = async {
                let answer = client.get(format!("{base}/gzip+br")).send().await.expect("an answer");
                answer.text().await.expect("a body")
            };
            let outcome = polled(polls, request).await;
            let answer = client.get(format!("{base}/identity")).send().await.expect("an answer");
            assert!(answer.text().await.expect("a body") == text());
            assert_eq!(client.connections(), client.idle_connections());
            if let Some(outcome) = outcome {
                assert!(outcome == text());
                return;
            }
        }
        panic!("more than {MANY} polls");
    };
    beside(work, site.serve(Log::default(), coded)).await;
}
