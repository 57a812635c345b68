//! Forms with files: made here, read by our own reader as a server has it; and what is dropped or cut.

use std::io::Write as _;
use std::sync::{Arc, Mutex};

use bytes::{Bytes, BytesMut};
use glowplug::http::multipart::{Boundary, MultipartEvent, MultipartReader};
use glowplug::runtime::http::multipart::{FormError, Multipart, MultipartLimits};
use glowplug::runtime::http::{Body, Form, Part, Transferred};
use http::{HeaderMap, HeaderValue};

use crate::kit::{MANY, Plug, client, polled};
use crate::server::{Log, Reply, Seen, Site};
use crate::support::{self, beside};

support::on_each_executor![
    forms_of_all_kinds,
    a_file_goes_up,
    forms_dropped_at_every_poll,
    a_body_is_read_part_by_part,
];

/// Tells the parts: name, filename, kind, data.
fn parts(seen: &Seen) -> Reply {
    let boundary = seen.field("content-type").and_then(Boundary::of).expect("a form");
    let mut reader = MultipartReader::new(&boundary, MultipartLimits::default());
    let mut input = BytesMut::from(&seen.body[..]);
    let mut told = String::new();
    while let Some(event) = reader.poll_event(&mut input).expect("a valid form") {
        match event {
            MultipartEvent::Part(head) => {
                let kind = head.content_type().unwrap_or("-");
                told += &[head.name(), head.filename().unwrap_or("-"), kind, ""].join("|");
            }
            MultipartEvent::Data(data) => told += &String::from_utf8_lossy(&data),
            MultipartEvent::PartEnd => told += ";",
            _ => {}
        }
    }
    reader.finish(input.len()).expect("a complete form");
    Reply::text(told)
}

fn stream(pieces: &[&'static str]) -> Body {
    let pieces: Vec<_> = pieces
        .iter()
        .map(|piece| Ok::<_, std::io::Error>(http_body::Frame::data(Bytes::from_static(piece.as_bytes()))))
        .collect();
    Body::new(http_body_util::StreamBody::new(futures_util::stream::iter(pieces)))
}

fn form() -> Form {
    let picture = Part::new(vec![b'x'; 9])
        .filename("a \"b\"\r\nc \u{e9}.png")
        .content_type(HeaderValue::from_static("image/png"));
    Form::new().text("title", "caf\u{e9}").part("pic\"ture", picture)
}

async fn forms_of_all_kinds<R: Plug>(runtime: R) {
    let site = Site::open(&runtime).await;
    let (log, url, client) = (Log::default(), site.url("/"), client(&runtime));
    let work = async {
        let ask = async |form| {
            let answer = client.post(&url).multipart(form).send().await.expect("an answer");
            answer.text().await.expect("a body")
        };
        assert_eq!(ask(Form::new()).await, "");
        let told = "title|-|-|caf\u{e9};pic\"ture|a \"b\"\r\nc \u{e9}.png|image/png|xxxxxxxxx;";
        assert_eq!(ask(form()).await, told);
        // All lengths are known, and so is that of the whole.
        assert_eq!(log.last().field("content-length"), Some(&*log.last().body.len().to_string()));
        assert_eq!(
            ask(form().part("more", Part::new(stream(&["a", "bc"])))).await,
            format!("{told}more|-|-|abc;")
        );
        assert_eq!(log.last().field("content-length"), None);
        let kinds: Vec<_> =
            log.all().iter().map(|seen| seen.field("content-type").map(str::to_owned)).collect();
        assert!(kinds[0] != kinds[1], "the same boundary twice");
    };
    beside(work, site.serve(log.clone(), parts)).await;
}

async fn a_file_goes_up<R: Plug>(runtime: R) {
    let folder = std::env::temp_dir().join(format!(
        "glowplug-forms-{}-{:?}",
        std::process::id(),
        std::thread::current().id()
    ));
    std::fs::create_dir_all(&folder).expect("a folder");
    let path = folder.join("file.txt");
    let content = "0123456789".repeat(30_000);
    std::fs::File::create(&path).and_then(|mut file| file.write_all(content.as_bytes())).expect("written");
    let site = Site::open(&runtime).await;
    let (log, url, client) = (Log::default(), site.url("/"), client(&runtime));
    let work = async {
        let form = Form::new().part("f", Part::file(&path).expect("opened"));
        let answer = client.post(&url).multipart(form).send().await.expect("an answer");
        let told = answer.text().await.expect("a body");
        assert!(told == format!("f|file.txt|application/octet-stream|{content};"));
        assert!(log.last().field("content-length").is_some());

        let progress = Arc::new(Mutex::new(Vec::new()));
        let body = Body::from_file(std::fs::File::open(&path).expect("opened")).expect("a length");
        let body = body.on_progress({
            let progress = progress.clone();
            move |now| progress.lock().expect("not poisoned").push(now)
        });
        let kind = "multipart/form-data; boundary=b";
        let answer = client.put(&url).header("content-type", kind).body(body).send().await;
        // It is no form, of course: the server's end of the test fails on that.
        drop(answer);
        let progress = progress.lock().expect("not poisoned");
        let length = content.len() as u64;
        assert_eq!(progress.last(), Some(&Transferred { done: length, total: Some(length) }));
        assert!(progress.is_sorted_by_key(|now| now.done) && progress.len() > 1);
    };
    let handler = |seen: &Seen| if seen.method == "PUT" { Reply::text("") } else { parts(seen) };
    beside(work, site.serve(log.clone(), handler)).await;
    std::fs::remove_dir_all(&folder).expect("removed");
}

async fn forms_dropped_at_every_poll<R: Plug>(runtime: R) {
    let site = Site::open(&runtime).await;
    let (url, client) = (site.url("/"), client(&runtime));
    let work = async {
        for polls in 0..MANY {
            let form = form().part("more", Part::new(stream(&["a", "bc"])));
            let request = async {
                let answer = client.post(&url).multipart(form).send().await.expect("an answer");
                answer.text().await.expect("a body")
            };
            let outcome = polled(polls, request).await;
            let answer =
                client.post(&url).multipart(Form::new().text("a", "1")).send().await.expect("an answer");
            assert_eq!(answer.text().await.expect("a body"), "a|-|-|1;");
            if let Some(outcome) = outcome {
                assert!(outcome.ends_with("more|-|-|abc;"));
                return;
            }
        }
        panic!("more than {MANY} polls");
    };
    beside(work, site.serve(Log::default(), parts)).await;
}

async fn a_body_is_read_part_by_part<R: Plug>(_: R) {
    let boundary = Boundary::from_text("b").expect("valid");
    let mut headers = HeaderMap::new();
    headers.insert("content-type", boundary.content_type().parse().expect("a value"));
    let read = |body: Body| Multipart::new(&headers, body, MultipartLimits::default().max_parts(3));

    let body = form().text("last", "123").into_body(&boundary);
    let mut form_read = read(body).expect("a form");
    assert_eq!(form_read.data().await.expect("none before the first"), None);
    assert_eq!(form_read.next_part().await.expect("valid").expect("a part").name(), "title");
    // What is not read is skipped.
    assert_eq!(form_read.next_part().await.expect("valid").expect("a part").name(), "pic\"ture");
    assert!(matches!(form_read.bytes(3).await, Err(FormError::TooLong { limit: 3 })));
    assert_eq!(form_read.next_part().await.expect("valid").expect("a part").name(), "last");
    assert_eq!(form_read.data().await.expect("valid").expect("data"), "123");
    assert_eq!(form_read.data().await.expect("valid"), None);
    assert_eq!(form_read.next_part().await.expect("valid"), None);
    assert_eq!(form_read.next_part().await.expect("valid"), None);

    let four = form().text("three", "").text("four", "").into_body(&boundary);
    let mut too_many = read(four).expect("a form");
    let error = loop {
        match too_many.next_part().await {
            Ok(part) => assert!(part.is_some(), "a limit is not hit"),
            Err(error) => break error,
        }
    };
    assert_eq!(error.status(), 413, "{error}");
    let mut cut = read(Body::from("--b\r\ncontent-disposition: form-data; name=a\r\n\r\nx")).expect("a form");
    assert!(cut.next_part().await.expect("valid").is_some());
    assert_eq!(cut.data().await.expect("valid").expect("data"), "x");
    assert_eq!(cut.data().await.expect_err("cut off").status(), 400);
    assert_eq!(
        Multipart::new(&HeaderMap::new(), Body::empty(), MultipartLimits::default())
            .expect_err("no form")
            .status(),
        415
    );
}
