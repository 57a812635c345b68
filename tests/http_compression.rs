//! Compression of answers on every executor: who gets which coding, and what is left alone.

mod http_web;
mod support;

use std::future::ready;
use std::io::Read;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use glowplug::core::Seed;
use glowplug::runtime::http::accept::Coding;
use glowplug::runtime::http::compress::{Compress, Compression, Level};
use glowplug::runtime::http::server::{Config, Incoming};
use glowplug::runtime::time::sleep;
use glowplug::runtime::{Endpoint, Transport};
use http::{HeaderName, HeaderValue, Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use tower_service::Service;

use http_web::{Answered, App, Plug, Raw, Reply, Seen, connect, full, pieces, serving};

support::on_each_executor![
    every_coding,
    the_best_of_what_is_accepted,
    what_is_left_alone,
    head_says_what_get_would,
    tags_and_revalidation,
    what_is_said_is_seen_at_once,
    trailers_follow,
    a_body_that_fails_is_cut_off,
    an_endless_body_is_bounded,
    no_uncoded_body_is_acceptable,
    its_settings,
];

/// Something that gets smaller.
fn story(len: usize) -> String {
    "once upon a time there was a server; ".chars().cycle().take(len).collect()
}

/// Answers with the fields that the query names (`name:value;name:value`), and what the path says.
fn tell<R: Plug>(runtime: R, request: &Request<Incoming>) -> Answered {
    let path = request.uri().path().to_owned();
    let number = path.rsplit('/').next().and_then(|number| number.parse().ok()).unwrap_or_default();
    let body: Reply = match path.split('/').nth(1).unwrap_or_default() {
        "pieces" => pieces(number, 1000).map_err(|never| match never {}).boxed_unsync(),
        "endless" => {
            // Nothing that gets smaller, so that the client's window is soon full.
            let mut rng = Seed::from_u64(1).rng();
            let frames = futures_util::stream::poll_fn(move |_| {
                let noise: Vec<u8> = (0..4096).map(|_| rng.below(256) as u8).collect();
                Poll::Ready(Some(Ok(Frame::data(Bytes::from(noise)))))
            });
            StreamBody::new(frames).boxed_unsync()
        }
        "bomb" => pieces(number, 1 << 20).map_err(|never| match never {}).boxed_unsync(),
        "slow" => {
            let words = futures_util::stream::unfold(0, move |count| {
                let nap = sleep(&runtime, Duration::from_millis(30));
                async move {
                    if count > 0 {
                        nap.await;
                    }
                    (count < 3).then(|| (Ok(Frame::data(Bytes::from(format!("word {count};")))), count + 1))
                }
            });
            StreamBody::new(words).boxed_unsync()
        }
        "trailers" => {
            let mut trailers = http::HeaderMap::new();
            trailers.insert("x-trailer", HeaderValue::from_static("here"));
            let frames = [Ok(Frame::data(Bytes::from(story(5000)))), Ok(Frame::trailers(trailers))];
            StreamBody::new(futures_util::stream::iter(frames)).boxed_unsync()
        }
        "failing" => {
            let mut count = 0;
            let frames = futures_util::stream::poll_fn(move |_| {
                count += 1;
                Poll::Ready(Some(if count < 10 {
                    Ok(Frame::data(Bytes::from(story(5000))))
                } else {
                    Err("this failure belongs to the test".into())
                }))
            });
            StreamBody::new(frames).boxed_unsync()
        }
        "nothing" => full(""),
        _ => full(story(number)),
    };
    let mut response = Response::new(body);
    for field in request.uri().query().unwrap_or_default().split(';').filter(|field| !field.is_empty()) {
        let (name, value) = field.split_once(':').ok_or("a field")?;
        let value = value.replace("%20", " ").replace("%22", "\"");
        if name == "status" {
            *response.status_mut() = StatusCode::from_bytes(value.as_bytes()).map_err(|_| "a status")?;
        } else {
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| "a name")?;
            response.headers_mut().append(name, HeaderValue::try_from(value).map_err(|_| "a value")?);
        }
    }
    // As somebody would who knows his own tag.
    let tag = response.headers().get("etag");
    if let (Some(asked), Some(tag)) = (request.headers().get("if-none-match"), tag)
        && asked.as_bytes().ends_with(tag.as_bytes())
    {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        *response.body_mut() = full("");
    }
    Ok(response)
}

async fn with<R: Plug>(runtime: &R, compression: Compression, work: impl AsyncFnOnce(Endpoint)) {
    let inner = {
        let runtime = runtime.clone();
        App::new(move |request: Request<Incoming>| ready(tell(runtime.clone(), &request)))
    };
    let service = Compress::new(inner, compression);
    let app = App::new(move |request| {
        let answer = service.clone().call(request);
        async move { Ok(answer.await?.map(BodyExt::boxed_unsync)) }
    });
    // Nobody waits for what has no end.
    let config = Config::default().drain_timeout(Duration::from_millis(50));
    serving(runtime, config, app, async |at, _| work(at).await).await;
}

async fn ask<S: Transport>(client: &mut Raw<S>, method: &str, target: &str, accepted: &str) -> Seen {
    client
        .send(format!("{method} {target} HTTP/1.1\r\nhost: here\r\naccept-encoding: {accepted}\r\n\r\n"))
        .await;
    client.answer_to(method).await.expect("an answer")
}

fn decode(coding: &str, bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    match coding {
        "br" => brotli::Decompressor::new(bytes, 4096).read_to_end(&mut out),
        "deflate" => flate2::read::ZlibDecoder::new(bytes).read_to_end(&mut out),
        "gzip" => flate2::read::GzDecoder::new(bytes).read_to_end(&mut out),
        "zstd" => zstd::stream::read::Decoder::new(bytes).expect("a decoder").read_to_end(&mut out),
        other => panic!("there is no coding {other}"),
    }
    .unwrap_or_else(|error| panic!("{coding}: {error}"));
    out
}

/// The answer has to be compressed by this coding; its content.
fn decoded(seen: &Seen, coding: &str) -> String {
    assert_eq!(seen.field("content-encoding"), Some(coding), "{}", seen.head);
    assert_eq!(seen.field("vary"), Some("accept-encoding"), "{}", seen.head);
    assert_eq!((seen.field("content-length"), seen.field("transfer-encoding")), (None, Some("chunked")));
    String::from_utf8(decode(coding, &seen.body)).expect("text")
}

async fn every_coding<R: Plug>(runtime: R) {
    with(&runtime, Compression::default(), async |at| {
        let mut client = connect(&runtime, &at).await;
        for coding in Coding::ALL.map(Coding::as_str) {
            let seen = ask(&mut client, "GET", "/story/100000", coding).await;
            assert!(seen.body.len() < 5000, "{coding}: {}", seen.body.len());
            assert_eq!(decoded(&seen, coding), story(100_000));
            let seen = ask(&mut client, "GET", "/pieces/1000000", coding).await;
            assert_eq!(decoded(&seen, coding).len(), 1_000_000);
            // Hardly anything comes out of this.
            let seen = ask(&mut client, "GET", "/bomb/3000000", coding).await;
            assert_eq!(decoded(&seen, coding).len(), 3_000_000);
        }
    })
    .await;
}

async fn the_best_of_what_is_accepted<R: Plug>(runtime: R) {
    with(&runtime, Compression::default(), async |at| {
        let mut client = connect(&runtime, &at).await;
        for (accepted, coding) in [
            ("gzip, deflate, br, zstd", Some("br")),
            ("gzip, deflate", Some("gzip")),
            ("*", Some("br")),
            ("br;q=0.1, gzip;q=0.9", Some("gzip")),
            ("br;q=0, *", Some("zstd")),
            ("x-gzip", Some("gzip")),
            ("identity", None),
            ("identity;q=1, gzip;q=0.5", None),
            ("", None),
            ("compress, exi", None),
            ("gzip;q=0", None),
        ] {
            let seen = ask(&mut client, "GET", "/story/5000", accepted).await;
            match coding {
                Some(coding) => assert_eq!(decoded(&seen, coding), story(5000)),
                None => {
                    assert_eq!(
                        (seen.field("content-encoding"), seen.field("vary")),
                        (None, Some("accept-encoding"))
                    );
                    assert_eq!(
                        (seen.field("content-length"), seen.body.len()),
                        (Some("5000"), 5000),
                        "{accepted}"
                    );
                }
            }
        }
        // Nobody asked.
        let seen = client.get("/story/5000").await;
        assert_eq!((seen.field("content-encoding"), seen.body.len()), (None, 5000));
    })
    .await;
}

async fn what_is_left_alone<R: Plug>(runtime: R) {
    with(&runtime, Compression::default(), async |at| {
        let mut client = connect(&runtime, &at).await;
        for target in [
            "/story/1023",
            "/story/5000?content-type:image/png",
            "/story/5000?content-type:VIDEO/mp4;cache-control:public",
            "/story/5000?content-type:application/zip",
            "/story/5000?content-encoding:br",
            "/story/5000?content-encoding:identity",
            "/story/5000?cache-control:no-transform",
            "/story/5000?cache-control:public,%20No-Transform",
            "/story/5000?content-range:bytes%200-4999/9000;status:206",
            "/story/5000?status:206;content-type:multipart/byteranges",
            "/nothing",
            "/nothing?status:404",
        ] {
            let seen = ask(&mut client, "GET", target, "gzip").await;
            let given = target.contains("content-encoding").then(|| seen.field("content-encoding")).flatten();
            assert_eq!(seen.field("content-encoding"), given, "{target}");
            assert_eq!(seen.field("vary"), None, "{target}");
            let length = seen.field("content-length").and_then(|length| length.parse().ok());
            assert_eq!(length, Some(seen.body.len()), "{target}");
        }
        for status in [204, 304] {
            let seen = ask(&mut client, "GET", &format!("/story/5000?status:{status}"), "gzip").await;
            assert_eq!((seen.status, seen.field("content-encoding")), (status, None));
        }
        for target in ["/story/5000?content-type:text/html", "/story/5000?content-type:image/svg+xml", "/story/1024"] {
            decoded(&ask(&mut client, "GET", target, "gzip").await, "gzip");
        }
        // An error is as good as any text.
        let seen = ask(&mut client, "GET", "/story/5000?status:404", "gzip").await;
        assert_eq!((seen.status, decoded(&seen, "gzip").len()), (404, 5000));
        // What depends on more than this says so still.
        let seen = ask(&mut client, "GET", "/story/5000?vary:origin", "gzip").await;
        assert!(seen.head.contains("vary: origin\r\n") && seen.head.contains("vary: accept-encoding\r\n"));
        let seen = ask(&mut client, "GET", "/story/5000?vary:*", "gzip").await;
        assert_eq!(seen.head.matches("vary: ").count(), 1);
        client
            .send("GET /story/5000 HTTP/1.1\r\nhost: here\r\naccept-encoding: gzip\r\ncache-control: no-transform\r\n\r\n")
            .await;
        assert_eq!(client.answer().await.field("content-encoding"), None);
    })
    .await;
}

async fn head_says_what_get_would<R: Plug>(runtime: R) {
    with(&runtime, Compression::default(), async |at| {
        let mut client = connect(&runtime, &at).await;
        for target in ["/story/5000", "/story/10", "/pieces/5000", "/nothing?content-length:5000", "/endless"]
        {
            let head = ask(&mut client, "HEAD", target, "gzip").await;
            let coded = (target != "/story/10").then_some("gzip");
            assert_eq!(head.field("content-encoding"), coded, "{target}");
            assert_eq!(head.field("content-length"), coded.map_or(Some("10"), |_| None), "{target}");
            if target.starts_with("/story") {
                let get = ask(&mut client, "GET", target, "gzip").await;
                assert_eq!(get.head, head.head, "{target}");
            }
        }
    })
    .await;
}

async fn tags_and_revalidation<R: Plug>(runtime: R) {
    with(&runtime, Compression::default(), async |at| {
        let mut client = connect(&runtime, &at).await;
        let target = "/story/5000?etag:%22a%22;accept-ranges:bytes;repr-digest:x";
        let seen = ask(&mut client, "GET", target, "gzip").await;
        assert_eq!((seen.field("etag"), seen.field("accept-ranges")), (Some("W/\"a\""), None));
        assert_eq!(seen.field("repr-digest"), None);
        let plain = ask(&mut client, "GET", target, "identity").await;
        assert_eq!((plain.field("etag"), plain.field("accept-ranges")), (Some("\"a\""), Some("bytes")));
        let weak = ask(&mut client, "GET", "/story/5000?etag:W/%22a%22", "gzip").await;
        assert_eq!(weak.field("etag"), Some("W/\"a\""));
        for tag in ["W/\"a\"", "\"a\""] {
            client
                .send(format!(
                    "GET {target} HTTP/1.1\r\nhost: here\r\naccept-encoding: gzip\r\nif-none-match: {tag}\r\n\r\n"
                ))
                .await;
            let seen = client.answer().await;
            assert_eq!((seen.status, seen.field("etag")), (304, Some(tag)));
            assert_eq!(seen.field("vary"), Some("accept-encoding"));
        }
    })
    .await;
}

async fn what_is_said_is_seen_at_once<R: Plug>(runtime: R) {
    with(&runtime, Compression::default(), async |at| {
        for coding in Coding::ALL.map(Coding::as_str) {
            let mut client = connect(&runtime, &at).await;
            client
                .send(format!("GET /slow HTTP/1.1\r\nhost: here\r\naccept-encoding: {coding}\r\n\r\n"))
                .await;
            assert_eq!(client.head().await.expect("a head").0, 200);
            let mut coded = Vec::new();
            for count in 0..3 {
                coded.extend_from_slice(&client.chunk().await);
                // Each word is there before the next is said.
                let expected: String = (0..=count)
                    .flat_map(|count| ["word ".to_owned(), count.to_string(), ";".to_owned()])
                    .collect();
                let mut seen = vec![0; expected.len()];
                let open = &coded[..];
                match coding {
                    "br" => brotli::Decompressor::new(open, 4096).read_exact(&mut seen),
                    "deflate" => flate2::read::ZlibDecoder::new(open).read_exact(&mut seen),
                    "gzip" => flate2::read::GzDecoder::new(open).read_exact(&mut seen),
                    _ => zstd::stream::read::Decoder::new(open).expect("a decoder").read_exact(&mut seen),
                }
                .unwrap_or_else(|error| panic!("{coding}, word {count}: {error}"));
                assert_eq!(seen, expected.as_bytes());
            }
        }
    })
    .await;
}

async fn trailers_follow<R: Plug>(runtime: R) {
    with(&runtime, Compression::default(), async |at| {
        let mut client = connect(&runtime, &at).await;
        for coding in Coding::ALL.map(Coding::as_str) {
            let seen = ask(&mut client, "GET", "/trailers", coding).await;
            assert_eq!(decoded(&seen, coding), story(5000));
            assert_eq!(seen.trailers, "x-trailer: here\r\n");
        }
    })
    .await;
}

async fn a_body_that_fails_is_cut_off<R: Plug>(runtime: R) {
    with(&runtime, Compression::default(), async |at| {
        let mut client = connect(&runtime, &at).await;
        client.send("GET /failing HTTP/1.1\r\nhost: here\r\naccept-encoding: gzip\r\n\r\n").await;
        assert!(!client.rest().await.ends_with(b"0\r\n\r\n"), "it looks complete");
    })
    .await;
}

/// Nothing gathers behind a client that does not read, and one that leaves ends it.
async fn an_endless_body_is_bounded<R: Plug>(runtime: R) {
    with(&runtime, Compression::default(), async |at| {
        let mut deaf = connect(&runtime, &at).await;
        deaf.send("GET /endless HTTP/1.1\r\nhost: here\r\naccept-encoding: br\r\n\r\n").await;
        let mut other = connect(&runtime, &at).await;
        for _ in 0..5 {
            decoded(&ask(&mut other, "GET", "/story/5000", "gzip").await, "gzip");
        }
        assert!(deaf.more().await);
    })
    .await;
}

async fn no_uncoded_body_is_acceptable<R: Plug>(runtime: R) {
    with(&runtime, Compression::default(), async |at| {
        let mut client = connect(&runtime, &at).await;
        for accepted in ["identity;q=0, gzip", "*;q=0, gzip;q=0.1"] {
            for target in ["/story/10", "/story/5000?content-type:image/png"] {
                decoded(&ask(&mut client, "GET", target, accepted).await, "gzip");
            }
        }
        // Nor any other: better than nothing.
        for accepted in ["identity;q=0", "*;q=0", "identity;q=0, compress"] {
            let seen = ask(&mut client, "GET", "/story/5000", accepted).await;
            assert_eq!((seen.status, seen.field("content-encoding")), (200, None), "{accepted}");
        }
    })
    .await;
}

async fn its_settings<R: Plug>(runtime: R) {
    let compression = Compression::default()
        .codings([Coding::Gzip, Coding::Brotli])
        .level(Level::Fastest)
        .min_size(10)
        .uncompressible(["text/*"]);
    with(&runtime, compression, async |at| {
        let mut client = connect(&runtime, &at).await;
        decoded(&ask(&mut client, "GET", "/story/10", "br, gzip, zstd").await, "gzip");
        assert_eq!(ask(&mut client, "GET", "/story/9", "gzip").await.field("content-encoding"), None);
        assert_eq!(ask(&mut client, "GET", "/story/99", "zstd").await.field("content-encoding"), None);
        let text = ask(&mut client, "GET", "/story/99?content-type:text/plain", "gzip").await;
        assert_eq!((text.field("content-encoding"), text.field("vary")), (None, None));
        decoded(&ask(&mut client, "GET", "/story/99?content-type:image/png", "gzip").await, "gzip");
    })
    .await;
}
