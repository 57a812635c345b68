//! Servers that send what they should not: each ends its own exchange, with a reason, and leaves nothing behind.

use std::error::Error as _;
use std::fmt::Write as _;
use std::time::Duration;

use bytes::Bytes;
use glowplug::core::Progress;
use glowplug::http::{ClientConfig, Limits};
use glowplug::runtime::http::{Client, ClientError, Stage};
use glowplug::runtime::time::within;

use crate::basics::{Plug, client};
use crate::server::{Site, for_ever, read_head};
use crate::support::{self, beside, read, shutdown, write};

support::on_each_executor![
    answers_that_are_none,
    a_head_without_end,
    a_body_behind_head_is_no_answer_to_the_next,
    an_answer_to_nothing_is_not_taken,
    lengths_beyond_the_limit,
    a_body_that_is_cut_off,
    a_body_that_only_the_end_ends,
    an_answer_before_the_body_is_sent,
    an_answer_in_single_bytes,
];

/// The error and what is under it, as one line.
fn whole(error: &ClientError) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        write!(text, ": {error}").expect("writing into a String cannot fail");
        source = error.source();
    }
    text
}

async fn answers_that_are_none<R: Plug>(runtime: R) {
    const ANSWERS: [(&str, &str); 19] = [
        ("SSH-2.0-OpenSSH\r\n", "this is not HTTP"),
        ("HTTP/2.0 200 OK\r\n\r\n", "unsupported version"),
        ("HTTP/1.1 99 OK\r\n\r\n", "invalid status"),
        ("HTTP/1.1 2000 OK\r\n\r\n", "invalid"),
        ("HTTP/1.1 200 OK\nx: y\n\n", "invalid line end"),
        ("HTTP/1.1 200 OK\r\nx : y\r\n\r\n", "invalid field name"),
        ("HTTP/1.1 200 OK\r\nx: y\r\n z\r\n\r\n", "invalid field name"),
        ("HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n", "more than one content-length"),
        ("HTTP/1.1 200 OK\r\ncontent-length: 1, 1\r\n\r\n", "more than one content-length"),
        ("HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n", "invalid content-length"),
        ("HTTP/1.1 200 OK\r\ncontent-length: 18446744073709551616\r\n\r\n", "invalid content-length"),
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
            "both content-length and transfer-encoding",
        ),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n", "unknown transfer coding"),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n", "invalid chunk size"),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabcd", "no line end behind a chunk"),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nfffffffffffffffff\r\n", "invalid chunk size"),
        ("HTTP/1.1 101 Switching Protocols\r\n\r\n", "an upgrade that was not asked for"),
        ("HTTP/1.1 200 OK\r\ncontent-le", "the peer closed the connection in a message head"),
        ("", "the peer closed the connection in a message head"),
    ];
    let site = Site::open(&runtime).await;
    let (base, client) = (site.url(""), client(&runtime));
    let server = site.accept(async |id, mut stream| {
        read_head(&mut stream).await.expect("a request");
        write(&mut stream, ANSWERS[id].0).await.expect("written");
        shutdown(&mut stream).await.expect("shut");
    });
    let work = async {
        let mut others = Vec::new();
        for (answer, reason) in ANSWERS {
            // A POST, so that nothing is tried twice.
            let outcome = match client.post(&*base).send().await {
                Ok(answer) => answer.bytes().await,
                Err(error) => Err(error),
            };
            let error = outcome.expect_err(answer);
            if !whole(&error).contains(reason) {
                others.push(format!("{answer:?} gave {}", whole(&error)));
            }
            let begun = if answer.is_empty() { Progress::FullySent } else { Progress::AnswerBegun };
            assert_eq!(error.progress(), begun, "{answer:?}");
            assert_eq!(client.connections(), 0, "{answer:?}");
        }
        assert!(others.is_empty(), "{others:#?}");
    };
    beside(work, server).await;
}

/// Sends the same bytes until the peer goes away.
async fn send_for_ever<R: Plug>(stream: &mut R::Stream, first: &'static str, again: Bytes) {
    if write(stream, first).await.is_ok() {
        while write(stream, again.clone()).await.is_ok() {}
    }
}

async fn a_head_without_end<R: Plug>(runtime: R) {
    let line = Bytes::from(vec![b'x'; 1 << 14]);
    let mut fields = String::new();
    for n in 0..200 {
        write!(fields, "x-{n}: y\r\n").expect("writing into a String cannot fail");
    }
    fields += "\r\n";
    let endless: [(&str, Bytes, &str); 5] = [
        ("HTTP/1.1 200 ", line.clone(), "max_start_line_len"),
        ("HTTP/1.1 200 OK\r\nx: ", line.clone(), "max_head_len"),
        ("HTTP/1.1 200 OK\r\n", fields.into(), "max_fields"),
        ("", Bytes::from("HTTP/1.1 103 Early Hints\r\n\r\n".repeat(100)), "max_informational"),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\nx: ", line, "max_trailer_len"),
    ];
    let site = Site::open(&runtime).await;
    let (base, client) = (site.url(""), client(&runtime));
    let server = site.accept(async |id, mut stream| {
        read_head(&mut stream).await.expect("a request");
        send_for_ever::<R>(&mut stream, endless[id].0, endless[id].1.clone()).await;
    });
    let work = async {
        for (_, _, limit) in &endless {
            let outcome = match client.get(&*base).send().await {
                Ok(answer) => answer.bytes().await,
                Err(error) => Err(error),
            };
            let error = whole(&outcome.expect_err("a limit"));
            assert!(error.contains(limit), "{limit}: {error}");
            assert_eq!(client.connections(), 0);
        }
    };
    beside(work, server).await;
}

async fn a_body_behind_head_is_no_answer_to_the_next<R: Plug>(runtime: R) {
    let site = Site::open(&runtime).await;
    let (base, client) = (site.url(""), client(&runtime));
    let server = site.accept(async |id, mut stream| {
        while read_head(&mut stream).await.is_some() {
            // The first answer is to HEAD, and what looks like the next answer is its forbidden body.
            let answer = if id == 0 {
                "HTTP/1.1 200 OK\r\ncontent-length: 38\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"
            } else {
                "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nright"
            };
            if write(&mut stream, answer).await.is_err() {
                break;
            }
        }
    });
    let work = async {
        let answer = client.head(&*base).send().await.expect("an answer");
        assert_eq!(answer.bytes().await.expect("no body"), "");
        let answer = client.post(&*base).send().await.expect("an answer");
        assert_eq!(answer.text().await.expect("a body"), "right");
    };
    beside(work, server).await;
}

async fn an_answer_to_nothing_is_not_taken<R: Plug>(runtime: R) {
    let site = Site::open(&runtime).await;
    let (base, client) = (site.url(""), client(&runtime));
    let server = site.accept(async |id, mut stream| {
        while read_head(&mut stream).await.is_some() {
            let answer = if id == 0 {
                "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nrightHTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nwrong"
            } else {
                "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nright"
            };
            if write(&mut stream, answer).await.is_err() {
                break;
            }
        }
    });
    let work = async {
        for _ in 0..5 {
            let answer = client.post(&*base).send().await.expect("an answer");
            assert_eq!(answer.text().await.expect("a body"), "right");
        }
        assert_eq!(client.connections(), 1);
    };
    beside(work, server).await;
}

async fn lengths_beyond_the_limit<R: Plug>(runtime: R) {
    let mut config = ClientConfig::default();
    config.limits = Limits::default().max_body_len(1000);
    let site = Site::open(&runtime).await;
    let base = site.url("");
    let client = Client::builder(runtime.clone()).machine(config).build();
    let server = site.accept(async |id, mut stream| {
        read_head(&mut stream).await.expect("a request");
        let head = match id {
            0 => "HTTP/1.1 200 OK\r\ncontent-length: 18446744073709551615\r\n\r\n",
            1 => "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
            _ => "HTTP/1.1 200 OK\r\n\r\n",
        };
        let chunk = Bytes::from(format!("100\r\n{}\r\n", "x".repeat(256)));
        send_for_ever::<R>(&mut stream, head, chunk).await;
    });
    let work = async {
        for _ in 0..3 {
            let outcome = match client.get(&*base).send().await {
                Ok(answer) => answer.bytes().await,
                Err(error) => Err(error),
            };
            let error = whole(&outcome.expect_err("a limit"));
            assert!(error.contains("max_body_len"), "{error}");
            assert_eq!(client.connections(), 0);
        }
    };
    beside(work, server).await;
}

async fn a_body_that_is_cut_off<R: Plug>(runtime: R) {
    let site = Site::open(&runtime).await;
    let (base, client) = (site.url(""), client(&runtime));
    let server = site.accept(async |id, mut stream| {
        read_head(&mut stream).await.expect("a request");
        let answer = match id {
            0 => "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nabc",
            _ => "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n",
        };
        write(&mut stream, answer).await.expect("written");
    });
    let work = async {
        for _ in 0..2 {
            let mut answer = client.get(&*base).send().await.expect("a head");
            assert_eq!(answer.chunk().await.expect("a piece").expect("a piece"), "abc");
            let error = answer.chunk().await.expect_err("no end");
            assert!(whole(&error).contains("closed the connection in a message body"), "{}", whole(&error));
            // An error is told once, and then nothing more comes.
            assert_eq!(answer.chunk().await.expect("nothing more"), None);
            assert_eq!(client.connections(), 0);
        }
    };
    beside(work, server).await;
}

async fn a_body_that_only_the_end_ends<R: Plug>(runtime: R) {
    let site = Site::open(&runtime).await;
    let (base, client) = (site.url(""), client(&runtime));
    let server = site.accept(async |id, mut stream| {
        read_head(&mut stream).await.expect("a request");
        let version = if id == 0 { "1.0" } else { "1.1" };
        write(&mut stream, format!("HTTP/{version} 200 OK\r\n\r\nto the ")).await.expect("written");
        write(&mut stream, "end").await.expect("written");
    });
    let work = async {
        for _ in 0..2 {
            let answer = client.get(&*base).send().await.expect("a head");
            assert_eq!(answer.text().await.expect("a body"), "to the end");
            assert_eq!(client.connections(), 0);
        }
    };
    beside(work, server).await;
}

async fn an_answer_before_the_body_is_sent<R: Plug>(runtime: R) {
    let site = Site::open(&runtime).await;
    let (base, client) = (site.url(""), client(&runtime));
    let server = site.accept(async |_, mut stream| {
        read_head(&mut stream).await.expect("a request");
        write(&mut stream, "HTTP/1.1 413 No\r\ncontent-length: 2\r\n\r\nno").await.expect("written");
        // It reads nothing more of a body that never ends.
        for_ever().await;
    });
    let endless = futures_util::stream::repeat_with(|| {
        Ok::<_, std::io::Error>(http_body::Frame::data(Bytes::from_static(&[b'x'; 10_000])))
    });
    let work = async {
        let body = http_body_util::StreamBody::new(endless);
        let request = http::Request::post(&*base).body(body).expect("a request");
        let answer = client.request(request).await.expect("an answer");
        assert_eq!(answer.status(), 413);
        assert_eq!(answer.into_body().bytes(10).await.expect("a body"), "no");
        assert_eq!(client.connections(), 0, "half a request cannot be followed by another");
    };
    beside(work, server).await;
}

async fn an_answer_in_single_bytes<R: Plug>(runtime: R) {
    const ANSWER: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nx: y\r\n\r\n";
    let site = Site::open(&runtime).await;
    let (base, client) = (site.url(""), client(&runtime));
    let server = site.accept(async |_, mut stream| {
        while read_head(&mut stream).await.is_some() {
            for n in 0..ANSWER.len() {
                write(&mut stream, &ANSWER.as_bytes()[n..=n]).await.expect("written");
            }
        }
    });
    let work = async {
        for _ in 0..2 {
            let answer = client.get(&*base).send().await.expect("an answer");
            assert_eq!(answer.text().await.expect("a body"), "abc");
            assert_eq!(client.connections(), 1);
        }
    };
    beside(work, server).await;
}

/// A server that trickles never keeps a caller beyond the time that was set.
mod slowness {
    use super::*;

    support::on_each_executor![each_stage_has_its_time, a_pause_shorter_than_the_limit_is_none];

    const SHORT: Duration = Duration::from_millis(40);
    /// For all stages together: a busy machine may take its time to connect.
    const ALL: Duration = Duration::from_millis(400);

    async fn each_stage_has_its_time<R: Plug>(runtime: R) {
        let site = Site::open(&runtime).await;
        let base = site.url("");
        let server = site.accept(async |_, mut stream| {
            let Some(head) = read_head(&mut stream).await else { return };
            let answer = match head.split(' ').nth(1).expect("a target") {
                "/body" => "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nabc",
                "/half" => "HTTP/1.1 200 OK\r\ncont",
                _ => "",
            };
            if !answer.is_empty() {
                write(&mut stream, answer).await.expect("written");
            }
            for_ever().await;
        });
        let build = || Client::builder(runtime.clone());
        let work = async {
            let endless = || glowplug::runtime::http::Body::from(vec![b'x'; 50_000_000]);
            for (client, path, stage) in [
                (build().head_timeout(Some(SHORT)), "/head", Stage::Head),
                (build().head_timeout(Some(SHORT)), "/half", Stage::Head),
                (build().body_timeout(Some(SHORT)), "/body", Stage::Body),
                (build().send_timeout(Some(SHORT)), "/send", Stage::Send),
                (build().total_timeout(Some(ALL)), "/head", Stage::Head),
                (build().total_timeout(Some(ALL)), "/body", Stage::Body),
                (build().total_timeout(Some(ALL)), "/send", Stage::Head),
            ] {
                let client = client.build();
                let mut request = client.post(format!("{base}{path}"));
                if path == "/send" {
                    request = request.body(endless());
                }
                let outcome = match request.send().await {
                    Ok(answer) => answer.bytes().await,
                    Err(error) => Err(error),
                };
                match outcome.expect_err(path) {
                    error @ ClientError::TimedOut { stage: told, .. } => {
                        assert_eq!(told, stage, "{path}");
                        assert!(error.is_timeout());
                    }
                    error => panic!("{path}: {}", whole(&error)),
                }
                assert_eq!(client.connections(), 0, "{path}");
            }
            // The pool has no room while somebody holds the only connection.
            let config = glowplug::core::PoolConfig::default().max_per_key(1);
            let client = build().pool(config).pool_timeout(Some(SHORT)).build();
            let held = client.get(format!("{base}/body")).send().await.expect("a head");
            let error = client.get(&*base).send().await.expect_err("no room");
            assert!(error.is_timeout() && matches!(error, ClientError::Pool(_)), "{error:?}");
            assert_eq!(error.progress(), Progress::NotSent);
            drop(held);
        };
        beside(work, server).await;
    }

    async fn a_pause_shorter_than_the_limit_is_none<R: Plug>(runtime: R) {
        let site = Site::open(&runtime).await;
        let base = site.url("");
        let client = Client::builder(runtime.clone())
            .head_timeout(Some(Duration::from_secs(20)))
            .body_timeout(Some(Duration::from_secs(20)))
            .total_timeout(Some(Duration::from_secs(50)))
            .build();
        let server = site.accept(async |_, mut stream| {
            read_head(&mut stream).await.expect("a request");
            for piece in ["HTTP/1.1 200", " OK\r\ncontent-length: 6\r\n\r\n", "abc", "def"] {
                let mut nothing = bytes::BytesMut::new();
                // A pause, in which the client says nothing.
                assert!(within(&runtime, Some(SHORT), read(&mut stream, &mut nothing)).await.is_err());
                write(&mut stream, piece).await.expect("written");
            }
        });
        let work = async {
            let answer = client.get(&*base).send().await.expect("an answer");
            assert_eq!(answer.text().await.expect("a body"), "abcdef");
        };
        beside(work, server).await;
    }
}
