//! Connections that are used again: which, when not, and what is sent twice.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use glowplug::core::{PoolConfig, Progress};
use glowplug::http::BodyLength;
use glowplug::runtime::http::{Client, ClientError};
use glowplug::runtime::time::sleep;

use crate::basics::{Plug, client};
use crate::server::{Log, Reply, Seen, Site, read_head};
use crate::support::{self, beside, write};

support::on_each_executor![
    a_connection_that_was_closed_meanwhile_is_not_used,
    a_request_lost_with_an_old_connection_is_sent_again_if_it_may_be,
    a_request_lost_with_a_new_connection_is_not_sent_again,
    an_answer_that_had_begun_is_not_asked_for_again,
    the_rest_of_an_answer_is_read_away_if_it_is_little,
    the_server_says_when_it_is_the_last,
    requests_dropped_at_every_poll,
    bodies_dropped_at_every_poll,
    both_directions_at_once,
    waiting_for_room_is_in_order,
    idle_connections_are_closed_in_time,
    a_closed_client_sends_nothing,
];

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

async fn a_connection_that_was_closed_meanwhile_is_not_used<R: Plug>(runtime: R) {
    let site = Site::open(&runtime).await;
    let (base, client) = (site.url(""), client(&runtime));
    let requests = Cell::new(0);
    let server = site.accept(async |_, mut stream| {
        // One answer to each connection, and then the end.
        if read_head(&mut stream).await.is_some() {
            requests.set(requests.get() + 1);
            write(&mut stream, OK).await.expect("written");
        }
    });
    let work = async {
        for _ in 0..5 {
            let answer = client.post(&*base).send().await.expect("an answer");
            assert_eq!(answer.text().await.expect("a body"), "ok");
            sleep(&runtime, Duration::from_millis(20)).await;
        }
        assert_eq!(requests.get(), 5);
    };
    beside(work, server).await;
}

/// A server whose connections answer `answers` requests and read one more, which they answer with nothing but the end.
async fn forgetful<R: Plug>(site: Site<R>, answers: usize, requests: &Cell<usize>) {
    site.accept(async |id, mut stream| {
        let mut left = if id == 0 { answers } else { usize::MAX };
        while read_head(&mut stream).await.is_some() {
            requests.set(requests.get() + 1);
            if left == 0 {
                return;
            }
            left -= 1;
            if write(&mut stream, OK).await.is_err() {
                return;
            }
        }
    })
    .await;
}

async fn a_request_lost_with_an_old_connection_is_sent_again_if_it_may_be<R: Plug>(runtime: R) {
    for (method, declared, allowed, again) in [
        (http::Method::GET, false, true, true),
        (http::Method::PUT, false, true, true),
        (http::Method::GET, false, false, false),
        (http::Method::POST, false, true, false),
        (http::Method::POST, true, true, true),
    ] {
        let site = Site::open(&runtime).await;
        let base = site.url("");
        let client = Client::builder(runtime.clone()).retry_idempotent(allowed).build();
        let requests = Cell::new(0);
        let work = async {
            client.get(&*base).send().await.expect("an answer").bytes().await.expect("a body");
            let mut request = client.method(method.clone(), &*base);
            if declared {
                request = request.idempotent();
            }
            let answer = request.send().await;
            if again {
                assert_eq!(answer.expect("an answer").text().await.expect("a body"), "ok");
                assert_eq!(requests.get(), 3);
            } else {
                let error = answer.expect_err("nothing may be repeated");
                assert_eq!(error.progress(), Progress::FullySent);
                assert_eq!(requests.get(), 2);
            }
        };
        beside(work, forgetful(site, 1, &requests)).await;
    }
}

async fn a_request_lost_with_a_new_connection_is_not_sent_again<R: Plug>(runtime: R) {
    let site = Site::open(&runtime).await;
    let (base, client) = (site.url(""), client(&runtime));
    let requests = Cell::new(0);
    let work = async {
        let error = client.get(&*base).send().await.expect_err("no answer");
        assert!(matches!(error, ClientError::Connection { progress: Progress::FullySent, .. }), "{error:?}");
        assert_eq!(requests.get(), 1);
    };
    beside(work, forgetful(site, 0, &requests)).await;
}

async fn an_answer_that_had_begun_is_not_asked_for_again<R: Plug>(runtime: R) {
    let site = Site::open(&runtime).await;
    let (base, client) = (site.url(""), client(&runtime));
    let requests = Cell::new(0);
    let server = site.accept(async |_, mut stream| {
        for answer in [OK, "HTTP/1.1 200 O"] {
            if read_head(&mut stream).await.is_none() {
                return;
            }
            requests.set(requests.get() + 1);
            write(&mut stream, answer).await.expect("written");
        }
    });
    let work = async {
        client.get(&*base).send().await.expect("an answer").bytes().await.expect("a body");
        let error = client.get(&*base).send().await.expect_err("half an answer");
        assert_eq!(error.progress(), Progress::AnswerBegun);
        assert_eq!(requests.get(), 2);
    };
    beside(work, server).await;
}

async fn the_rest_of_an_answer_is_read_away_if_it_is_little<R: Plug>(runtime: R) {
    let site = Site::open(&runtime).await;
    let (log, base, client) = (Log::default(), site.url(""), client(&runtime));
    let handler = |seen: &Seen| match seen.target.as_str() {
        "/little" => Reply::chunked(["x".repeat(1000)]),
        "/much" => Reply::text("x".repeat(1_000_000)),
        _ => Reply::text("ok"),
    };
    let work = async {
        let get = async |path: &str| client.get(format!("{base}{path}")).send().await.expect("an answer");
        for (path, kept) in [("/little", 1), ("/much", 0)] {
            let answer = get(path).await;
            assert_eq!(client.idle_connections(), 0);
            drop(answer);
            assert_eq!(client.connections(), kept, "{path}");
            // What is left of the last answer, and what is under way, is no answer to this.
            for _ in 0..3 {
                assert_eq!(get("/ok").await.text().await.expect("a body"), "ok");
            }
            assert_eq!(client.connections(), 1);
        }
        // Half read makes no difference.
        let mut answer = get("/little").await;
        answer.chunk().await.expect("a piece");
        drop(answer);
        assert_eq!(get("/ok").await.text().await.expect("a body"), "ok");
    };
    beside(work, site.serve(log.clone(), handler)).await;
}

async fn the_server_says_when_it_is_the_last<R: Plug>(runtime: R) {
    let site = Site::open(&runtime).await;
    let (log, base, client) = (Log::default(), site.url(""), client(&runtime));
    let handler = |_: &Seen| Reply::text("ok").field("connection", "close");
    let work = async {
        for n in 0..3 {
            let answer = client.get(&*base).send().await.expect("an answer");
            assert_eq!(answer.text().await.expect("a body"), "ok");
            assert_eq!(client.connections(), 0);
            assert_eq!(log.last().connection, n);
        }
        // And so may the client.
        let request = client.get(&*base).header("connection", "close");
        request.send().await.expect("an answer").bytes().await.expect("a body");
        assert_eq!(client.connections(), 0);
    };
    beside(work, site.serve(log.clone(), handler)).await;
}

/// Polls `future` at most so many times.
async fn polled<T>(polls: usize, future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    let mut left = polls;
    poll_fn(|cx| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        future.as_mut().poll(cx).map(Some)
    })
    .await
}

/// More polls than any of these futures takes.
const MANY: usize = 400;

fn echo(seen: &Seen) -> Reply {
    Reply::chunked([seen.target.clone(), " ".into(), seen.text()])
}

async fn requests_dropped_at_every_poll<R: Plug>(runtime: R) {
    let site = Site::open(&runtime).await;
    let (log, base) = (Log::default(), site.url(""));
    let client = Client::builder(runtime.clone()).pool(PoolConfig::default().max_per_key(2)).build();
    let work = async {
        for polls in 0..MANY {
            let call = async {
                let request = client.post(format!("{base}/dropped")).body("x".repeat(1000));
                request.send().await?.text().await
            };
            let dropped = polled(polls, call).await;
            assert_eq!(client.connections(), client.idle_connections(), "after {polls} polls");
            for n in 0..3 {
                let answer = client.get(format!("{base}/{polls}/{n}")).send().await.expect("an answer");
                assert_eq!(answer.text().await.expect("a body"), format!("/{polls}/{n} "));
            }
            if let Some(answer) = dropped {
                assert!(answer.expect("an answer").starts_with("/dropped xxx"));
                return;
            }
        }
        panic!("one call takes more than {MANY} polls");
    };
    beside(work, site.serve(log.clone(), echo)).await;
    // What was dropped was sent once at most.
    let dropped = log.all().iter().filter(|seen| seen.target == "/dropped").count();
    assert!(dropped <= MANY);
}

async fn bodies_dropped_at_every_poll<R: Plug>(runtime: R) {
    let site = Site::open(&runtime).await;
    let (log, base, client) = (Log::default(), site.url(""), client(&runtime));
    let handler = |seen: &Seen| match seen.target.as_str() {
        "/long" => Reply {
            body: vec![Bytes::from(vec![b'x'; 10_000]); 30],
            length: BodyLength::Known(300_000),
            ..Reply::text("")
        },
        _ => echo(seen),
    };
    let work = async {
        for polls in 0..MANY {
            let answer = client.get(format!("{base}/long")).send().await.expect("an answer");
            let dropped = polled(polls, answer.bytes()).await;
            let answer = client.get(format!("{base}/{polls}")).send().await.expect("an answer");
            assert_eq!(answer.text().await.expect("a body"), format!("/{polls} "));
            assert_eq!(client.connections(), client.idle_connections(), "after {polls} polls");
            if let Some(body) = dropped {
                assert_eq!(body.expect("a body").len(), 300_000);
                return;
            }
        }
        panic!("one body takes more than {MANY} polls");
    };
    beside(work, site.serve(log.clone(), handler)).await;
}

/// A body that is fed by hand.
#[derive(Clone, Default)]
struct Fed(
    std::rc::Rc<std::cell::RefCell<(std::collections::VecDeque<Bytes>, bool, Option<std::task::Waker>)>>,
);

impl Fed {
    fn feed(&self, piece: &'static str) {
        let mut state = self.0.borrow_mut();
        match piece {
            "" => state.1 = true,
            piece => state.0.push_back(Bytes::from(piece)),
        }
        if let Some(waker) = state.2.take() {
            waker.wake();
        }
    }
}

impl http_body::Body for Fed {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, std::convert::Infallible>>> {
        let mut state = self.0.borrow_mut();
        match (state.0.pop_front(), state.1) {
            (Some(piece), _) => Poll::Ready(Some(Ok(http_body::Frame::data(piece)))),
            (None, true) => Poll::Ready(None),
            (None, false) => {
                state.2 = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

async fn both_directions_at_once<R: Plug>(runtime: R) {
    let site = Site::open(&runtime).await;
    let (base, client) = (site.url(""), client(&runtime));
    let server = site.accept(async |_, mut stream| {
        read_head(&mut stream).await.expect("a request");
        write(&mut stream, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await.expect("written");
        // An echo: chunks go back as they come, the last one too.
        let mut input = bytes::BytesMut::new();
        while support::read(&mut stream, &mut input).await.is_ok_and(|n| n > 0) {
            write(&mut stream, input.split().freeze()).await.expect("written");
        }
    });
    let work = async {
        let fed = Fed::default();
        let request = http::Request::post(&*base).body(fed.clone()).expect("a request");
        let mut body =
            client.request(request).await.expect("the head comes before the body goes").into_body();
        let mut next = async || poll_fn(|cx| http_body::Body::poll_frame(Pin::new(&mut body), cx)).await;
        for piece in ["one", "two", "three"] {
            fed.feed(piece);
            let mut back = Vec::new();
            while back.len() < piece.len() {
                let frame = next().await.expect("a frame").expect("no error");
                back.extend_from_slice(&frame.into_data().expect("data"));
            }
            assert_eq!(back, piece.as_bytes());
        }
        fed.feed("");
        assert!(next().await.is_none());
        assert_eq!((client.connections(), client.idle_connections()), (1, 1));
    };
    beside(work, server).await;
}

async fn waiting_for_room_is_in_order<R: Plug>(runtime: R) {
    let site = Site::open(&runtime).await;
    let (log, base) = (Log::default(), site.url(""));
    let client = Client::builder(runtime.clone()).pool(PoolConfig::default().max_per_key(1)).build();
    let work = async {
        let held = client.get(format!("{base}/held")).send().await.expect("an answer");
        let calls: Vec<_> = (0..10)
            .map(|n| {
                let request = client.get(format!("{base}/{n}"));
                async move { request.send().await?.text().await }
            })
            .collect();
        let waiting = futures_util::future::join_all(calls);
        let (answers, ()) = futures_util::future::join(waiting, async move { drop(held) }).await;
        for (n, answer) in answers.into_iter().enumerate() {
            assert_eq!(answer.expect("an answer"), format!("/{n} "));
        }
        let order: Vec<_> = log.all().into_iter().skip(1).map(|seen| seen.target).collect();
        assert_eq!(order, (0..10).map(|n| format!("/{n}")).collect::<Vec<_>>());
        assert_eq!(client.connections(), 1);
    };
    beside(work, site.serve(log.clone(), echo)).await;
}

async fn idle_connections_are_closed_in_time<R: Plug>(runtime: R) {
    let site = Site::open(&runtime).await;
    let (log, base) = (Log::default(), site.url(""));
    let config = PoolConfig::default().idle_timeout(Some(Duration::from_millis(30)));
    let client = Client::builder(runtime.clone()).pool(config).build();
    let work = async {
        client.get(&*base).send().await.expect("an answer").bytes().await.expect("a body");
        assert_eq!(client.idle_connections(), 1);
        while client.connections() > 0 {
            sleep(&runtime, Duration::from_millis(10)).await;
        }
        client.get(&*base).send().await.expect("an answer").bytes().await.expect("a body");
        assert_eq!(log.last().connection, 1);
    };
    beside(work, site.serve(log.clone(), echo)).await;
}

async fn a_closed_client_sends_nothing<R: Plug>(runtime: R) {
    let site = Site::open(&runtime).await;
    let (base, client) = (site.url(""), client(&runtime));
    let work = async {
        let open = client.get(&*base).send().await.expect("an answer");
        client.close();
        assert_eq!(open.text().await.expect("what was begun goes on"), "/ ");
        assert_eq!(client.connections(), 0);
        let refused = client.get(&*base).send().await;
        assert!(matches!(refused, Err(ClientError::Pool(_))), "{refused:?}");
    };
    beside(work, site.serve(Log::default(), echo)).await;
}
