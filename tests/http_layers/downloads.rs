//! Downloads: written as they come, watched, cut off and taken up again.

use std::cell::RefCell;

use bytes::Bytes;
use glowplug::core::Seed;
use glowplug::runtime::http::{Client, ClientError, Download, DownloadError, Target, Transferred};
use glowplug::sim::{Link, Simulation, seeds};

use crate::kit::{MANY, Plug, client, polled};
use crate::server::{Log, Reply, Seen, Site, read_head};
use crate::support::{self, beside, write};

support::on_each_executor![
    a_body_goes_to_a_writer,
    what_is_cut_off_is_taken_up_again,
    what_has_changed_begins_anew,
    without_a_validator_it_begins_anew,
    answers_that_do_not_fit,
    dropped_at_every_poll,
];

fn content(len: u32) -> Vec<u8> {
    (0..len).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}

/// Serves `content` with this tag, or the part of it that is asked for, if it still has the tag.
fn serve(content: &[u8], tag: Option<&str>, seen: &Seen) -> Reply {
    let from =
        seen.field("range").and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok());
    let same = seen.field("if-range").is_none_or(|wanted| Some(wanted) == tag);
    let reply = |from: usize| {
        let pieces = content[from..].chunks(1000).map(Bytes::copy_from_slice);
        let length = glowplug::http::BodyLength::Known((content.len() - from) as u64);
        let reply = Reply { length, ..Reply::chunked(pieces) };
        match tag {
            Some(tag) => reply.field("etag", tag),
            None => reply,
        }
    };
    match from {
        Some(from) if same && from >= content.len() => {
            Reply::status(416).field("content-range", format!("bytes */{}", content.len()))
        }
        Some(from) if same => {
            let range = format!("bytes {from}-{}/{}", content.len() - 1, content.len());
            Reply { status: 206, ..reply(from) }.field("content-range", range)
        }
        _ => reply(0),
    }
}

async fn a_body_goes_to_a_writer<R: Plug>(runtime: R) {
    let content = content(50_000);
    let site = Site::open(&runtime).await;
    let (url, client) = (site.url("/"), client(&runtime));
    let work = async {
        let (mut written, mut seen) = (Vec::new(), Vec::new());
        let answer = client.get(&url).send().await.expect("an answer");
        let len = answer.write_to(&mut written, |progress| seen.push(progress)).await.expect("written");
        assert!(written == content && len == 50_000);
        assert_eq!(seen.last(), Some(&Transferred { done: 50_000, total: Some(50_000) }));
        // A full disk.
        let answer = client.get(&url).send().await.expect("an answer");
        let failed = answer.write_to(&mut &mut [0; 10][..], |_| {}).await;
        assert!(matches!(failed, Err(DownloadError::Write(_))), "{failed:?}");
    };
    beside(work, site.serve(Log::default(), |seen| serve(&content, None, seen))).await;
}

/// Answers like `serve`, and hangs up after so many bytes of each connection's answer.
async fn cutting<R: Plug>(
    site: Site<R>,
    heads: &RefCell<Vec<String>>,
    answer: impl Fn(usize, &str) -> (String, Bytes),
) {
    site.accept(async |id, mut stream| {
        let Some(head) = read_head(&mut stream).await else { return };
        heads.borrow_mut().push(head.clone());
        let (head, body) = answer(id, &head);
        if write(&mut stream, head).await.is_ok() {
            let _ = write(&mut stream, body).await;
        }
    })
    .await;
}

fn offset(head: &str) -> Option<usize> {
    let at = head.find("range: bytes=")? + "range: bytes=".len();
    head[at..].split('-').next()?.parse().ok()
}

async fn what_is_cut_off_is_taken_up_again<R: Plug>(runtime: R) {
    let content = content(20_000);
    let site = Site::open(&runtime).await;
    let (url, client) = (site.url("/"), client(&runtime));
    let heads = RefCell::<Vec<String>>::default();
    let answer = |_, head: &str| {
        let from = offset(head).unwrap_or(0);
        let status = if from > 0 { "206 Partial Content" } else { "200 OK" };
        let head = format!(
            "HTTP/1.1 {status}\r\netag: \"a\"\r\ncontent-range: bytes {from}-19999/20000\r\ncontent-length: {}\r\n\r\n",
            20_000 - from
        );
        (head, Bytes::copy_from_slice(&content[from..(from + 6000).min(20_000)]))
    };
    let work = async {
        let (mut written, mut seen) = (Vec::new(), Vec::new());
        let mut download = Download::new();
        let len = download.run(|| client.get(&url), &mut written, |progress| seen.push(progress.done)).await;
        assert_eq!(len.expect("complete"), 20_000);
        assert!(written == content && seen.is_sorted());
        let heads = heads.borrow();
        let offsets: Vec<_> = heads.iter().map(|head| offset(head)).collect();
        assert_eq!(offsets, [None, Some(6000), Some(12_000), Some(18_000)]);
        assert!(
            heads[1].contains("if-range: \"a\"")
                && heads.iter().all(|head| head.contains("accept-encoding: identity"))
        );
    };
    beside(work, cutting(site, &heads, answer)).await;

    // It gives up in the end, and goes on when it is asked to, in another process too.
    let site = Site::open(&runtime).await;
    let url = site.url("/");
    let work = async {
        let mut written = Vec::new();
        let mut download = Download::new().attempts(2);
        let failed = download.run(|| client.get(&url), &mut written, |_| {}).await;
        assert!(matches!(failed, Err(DownloadError::Client(ClientError::Connection { .. }))), "{failed:?}");
        assert_eq!((written.len(), download.done(), download.total()), (12_000, 12_000, Some(20_000)));
        let mut download = Download::resume(download.done(), download.validator().cloned());
        assert_eq!(download.run(|| client.get(&url), &mut written, |_| {}).await.expect("complete"), 20_000);
        assert!(written == content);
    };
    beside(work, cutting(site, &RefCell::default(), answer)).await;
}

async fn what_has_changed_begins_anew<R: Plug>(runtime: R) {
    let (old, new) = (content(5000), content(3000).into_iter().rev().collect::<Vec<_>>());
    let site = Site::open(&runtime).await;
    let (url, client) = (site.url("/"), client(&runtime));
    let log = Log::default();
    let work = async {
        let mut written = old[..4000].to_vec();
        let tag = glowplug::http::resume::Validator::from_value("\"old\"".parse().expect("a value"));
        let mut download = Download::resume(4000, Some(tag));
        assert_eq!(download.run(|| client.get(&url), &mut written, |_| {}).await.expect("complete"), 3000);
        assert!(written == new);
        assert_eq!(download.validator().expect("the new one").to_string(), "\"new\"");
        // What is complete is complete.
        assert_eq!(download.run(|| client.get(&url), &mut written, |_| {}).await.expect("complete"), 3000);
        assert!(written == new);
    };
    beside(work, site.serve(log.clone(), |seen| serve(&new, Some("\"new\""), seen))).await;
}

async fn without_a_validator_it_begins_anew<R: Plug>(runtime: R) {
    let content = content(5000);
    let site = Site::open(&runtime).await;
    let (url, client) = (site.url("/"), client(&runtime));
    let answer = |id, _: &str| {
        let cut = if id == 0 { 3000 } else { 5000 };
        let head = "HTTP/1.1 200 OK\r\netag: W/\"weak\"\r\ncontent-length: 5000\r\n\r\n".to_owned();
        (head, Bytes::copy_from_slice(&content[..cut]))
    };
    let heads = RefCell::<Vec<String>>::default();
    let work = async {
        let mut written = Vec::new();
        let len = Download::new().run(|| client.get(&url), &mut written, |_| {}).await.expect("complete");
        assert!(len == 5000 && written == content);
        assert!(heads.borrow().iter().all(|head| offset(head).is_none()));
    };
    beside(work, cutting(site, &heads, answer)).await;
}

async fn answers_that_do_not_fit<R: Plug>(runtime: R) {
    let site = Site::open(&runtime).await;
    let (base, client) = (site.url(""), client(&runtime));
    let handler = |seen: &Seen| match seen.target.as_str() {
        "/404" => Reply::status(404),
        "/elsewhere" => Reply { status: 206, ..Reply::text("abc") }.field("content-range", "bytes 9-11/12"),
        "/416" if seen.field("range").is_some() => Reply::status(416).field("content-range", "bytes */2"),
        "/416" => Reply::text("ab"),
        _ => Reply::chunked(["0123456789"; 100]),
    };
    let tag = || Some(glowplug::http::resume::Validator::from_value("\"a\"".parse().expect("a value")));
    let work = async {
        for (path, status) in [("/404", 404), ("/elsewhere", 206)] {
            let mut written = b"12345".to_vec();
            let failed = Download::resume(5, tag())
                .run(|| client.get(format!("{base}{path}")), &mut written, |_| {})
                .await;
            assert!(matches!(failed, Err(DownloadError::Status(told)) if told == status), "{failed:?}");
            assert_eq!(written, b"12345");
        }
        // There is less than was there: from the beginning, then.
        let mut written = b"12345".to_vec();
        let len =
            Download::resume(5, tag()).run(|| client.get(format!("{base}/416")), &mut written, |_| {}).await;
        assert_eq!((len.expect("complete"), &written[..]), (2, &b"ab"[..]));
        let mut download = Download::new().max_len(Some(500));
        let failed = download.run(|| client.get(format!("{base}/long")), &mut Vec::new(), |_| {}).await;
        assert!(matches!(failed, Err(DownloadError::TooLong(500))), "{failed:?}");
    };
    beside(work, site.serve(Log::default(), handler)).await;
}

async fn dropped_at_every_poll<R: Plug>(runtime: R) {
    let content = content(9000);
    let site = Site::open(&runtime).await;
    let (url, client) = (site.url("/"), client(&runtime));
    let work = async {
        for polls in 0..MANY {
            let (mut download, mut written) = (Download::new(), Vec::new());
            let done = polled(polls, download.run(|| client.get(&url), &mut written, |_| {})).await;
            assert_eq!(written.len() as u64, download.done());
            let len = download.run(|| client.get(&url), &mut written, |_| {}).await.expect("complete");
            assert!(len == 9000 && written == content, "dropped after {polls} polls");
            if let Some(done) = done {
                assert_eq!(done.expect("complete"), 9000);
                return;
            }
        }
        panic!("more than {MANY} polls");
    };
    beside(work, site.serve(Log::default(), |seen| serve(&content, Some("\"a\""), seen))).await;
}

/// A file that is short of room now and then.
struct Tight(Vec<u8>, glowplug::core::Rng);

impl std::io::Write for Tight {
    fn write(&mut self, buf: &[u8]) -> std::io::Result<usize> {
        let len = (self.1.below(buf.len() as u64) + 1) as usize;
        self.0.extend_from_slice(&buf[..len]);
        if self.1.chance(1, 200) { Err(std::io::ErrorKind::StorageFull.into()) } else { Ok(len) }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Target for Tight {
    fn restart(&mut self, len: u64) -> std::io::Result<()> {
        self.0.restart(len)
    }
}

#[test]
fn a_bad_network_and_a_full_disk_leave_every_byte_where_it_belongs() {
    let content = content(40_000);
    for seed in seeds(100) {
        let mut simulation = Simulation::new(seed);
        let here = simulation.host("here", [10, 0, 0, 1]);
        let there = simulation.host("there", [10, 0, 0, 2]);
        simulation.net().link("here", "there", Link::new().cuts(0.7, 20_000).refuse(0.1).segment(700));
        simulation.run(async {
            let at = glowplug::runtime::Endpoint::Tcp(([10, 0, 0, 2], 80).into());
            let site = Site::open_at(&there, &at).await;
            let (url, client) = (site.url("/"), Client::builder(here.clone()).build());
            let work = async {
                let mut target = Tight(Vec::new(), Seed::from_u64(seed).rng());
                let mut download = Download::new();
                for _ in 0..200 {
                    let done = download.run(|| client.get(&url), &mut target, |_| {}).await;
                    assert_eq!(target.0.len() as u64, download.done());
                    if done.is_ok() {
                        assert!(target.0 == content, "other bytes under seed {seed}");
                        return;
                    }
                }
                panic!("two hundred runs under seed {seed}");
            };
            beside(work, site.serve(Log::default(), |seen| serve(&content, Some("\"a\""), seen))).await;
        });
    }
}
