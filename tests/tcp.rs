//! Conversations over streams, on every executor: the verbs, their limits, their deadlines, and what becomes of a connection when its
//! function ends.

mod support;

use std::future::poll_fn;
use std::io;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::{join, select};
use futures_util::io::Cursor;
use glowplug::core::framer::FrameError;
use glowplug::runtime::dial::{DialError, Dialer};
use glowplug::runtime::server::{self, Guarded, Stopper};
use glowplug::runtime::tcp::{Config, Connection, Error, LineEnding, Rule, Service, Serving, connect};
use glowplug::runtime::time::{sleep, within};
use glowplug::runtime::tls::rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use glowplug::runtime::tls::{ClientConfig, ServerConfig};
use glowplug::runtime::{BoxFuture, Endpoint, MaybeTls, Runtime, Spawn};
use glowplug::sim::{Cut, Link, Simulation, dropped_after, seeds};

use support::{any_port, beside, pair, read_all};

support::on_each_executor![
    every_verb,
    lines_then_the_end_then_the_rest,
    a_frame_too_long_loses_nothing,
    an_invalid_delimiter,
    a_peer_that_never_reads,
    a_peer_that_never_writes,
    a_deadline_that_giving_up_does_not_stretch,
    half_close,
    what_is_sent_last_arrives,
    what_is_sent_last_arrives_although_nobody_read,
    sources,
    verbs_dropped_at_every_poll,
    sends_dropped_at_every_poll,
    closing_waits_for_the_peer_and_not_for_ever,
    a_panic_is_its_own_connections,
    a_connection_that_moves_out,
    a_connection_taken_apart,
    by_name_and_refused,
    the_cap_and_the_drain,
    a_stop_is_heard,
    tls,
    tls_that_stalls,
    what_comes_first,
];

type Handler<R> = Box<dyn Fn(Connection<R>) -> BoxFuture<()> + Send + Sync>;

/// What these tests ask of a plug.
trait Plug:
    Runtime<Stream: Send, Timer: Send> + Spawn<Guarded<Serving<Self, Handler<Self>, BoxFuture<()>>>> + Send + Sync
{
}

impl<R> Plug for R where
    R: Runtime<Stream: Send, Timer: Send>
        + Spawn<Guarded<Serving<R, Handler<R>, BoxFuture<()>>>>
        + Send
        + Sync
{
}

const SOON: Duration = Duration::from_millis(50);

/// Two ends of a conversation.
async fn conversation<R: Runtime>(runtime: &R) -> (Connection<R>, Connection<R>) {
    let (near, far) = pair(runtime).await;
    let over = |stream| Connection::new(runtime.clone(), MaybeTls::Plain(stream));
    (over(near), over(far))
}

fn handler<R, F>(function: impl Fn(Connection<R>) -> F + Send + Sync + 'static) -> Handler<R>
where
    R: Runtime,
    F: Future<Output = ()> + Send + 'static,
{
    Box::new(move |connection| Box::pin(function(connection)))
}

/// Serves with `service` while `work` runs.
async fn served<R: Plug, T>(
    service: Service<R>,
    handler: Handler<R>,
    work: impl AsyncFnOnce(Endpoint, Stopper) -> T,
) -> T {
    let (at, stopper) = (service.local_endpoint().expect("an address"), service.stopper());
    let work = async {
        let done = work(at, stopper.clone()).await;
        stopper.stop();
        done
    };
    let (done, ()) = join(work, service.serve(handler)).await;
    assert_eq!(stopper.connections(), 0);
    done
}

async fn bind<R: Plug>(runtime: &R) -> Service<R> {
    Service::bind(runtime.clone(), any_port()).await.expect("a free port")
}

async fn connected<R: Runtime>(runtime: &R, at: &Endpoint) -> Connection<R> {
    let stream = Dialer::new(runtime.clone()).endpoint(at).await.expect("connected");
    Connection::new(runtime.clone(), stream)
}

async fn echo<R: Runtime>(mut connection: Connection<R>) {
    while let Ok(line) = connection.read_line().await {
        if connection.send(line).await.is_err() || connection.send("\n").await.is_err() {
            return;
        }
    }
}

async fn ask<R: Runtime>(connection: &mut Connection<R>, word: &'static str) {
    connection.feed(word).await.expect("room");
    connection.send("\n").await.expect("sent");
    assert_eq!(connection.read_line().await.expect("answered"), word);
}

fn closed_with(error: &Error) -> &[u8] {
    match error {
        Error::Closed { remainder } => remainder,
        other => panic!("{other:?} instead of the end"),
    }
}

async fn every_verb<R: Runtime>(runtime: R) {
    let (mut near, mut far) = conversation(&runtime).await;
    // Nothing at all is there at once, although nobody has sent anything.
    assert_eq!(far.read_exact(0).await.expect("nothing"), "");
    near.send("12345line one\r\nline ").await.expect("sent");
    near.flush().await.expect("flushed");
    assert_eq!(far.read_exact(5).await.expect("five bytes"), "12345");
    assert_eq!(far.read_line().await.expect("a line"), "line one");
    near.send("two\nup to a de").await.expect("sent");
    assert_eq!(far.read_line().await.expect("a line"), "line two");
    // A delimiter in two pieces.
    let (up_to, ()) = join(far.read_until(b"dedede;"), async {
        near.send("dede").await.expect("sent");
        sleep(&runtime, Duration::from_millis(1)).await;
        near.send(";rest").await.expect("sent");
    })
    .await;
    assert_eq!(up_to.expect("a delimiter"), "up to a dedede;");
    let mut rest = Vec::new();
    while rest.len() < 4 {
        rest.extend_from_slice(&far.read_any().await.expect("something"));
    }
    assert_eq!(rest, b"rest");
    // Strictly CR LF.
    near.send("a\nb\r\n").await.expect("sent");
    assert_eq!(far.read(Rule::Line(LineEnding::CrLf)).await.expect("a line"), "a\nb");
    near.close().await.and(far.close().await).expect("closed");
}

async fn lines_then_the_end_then_the_rest<R: Runtime>(runtime: R) {
    let (mut near, mut far) = conversation(&runtime).await;
    near.send("one\r\ntwo\nthe rest").await.expect("sent");
    near.finish().await.expect("finished");
    // The reader is slow: the end is there before it looks.
    sleep(&runtime, SOON).await;
    assert_eq!(far.read_line().await.expect("a line"), "one");
    assert_eq!(far.read_line().await.expect("a line"), "two");
    for _ in 0..2 {
        let error = far.read_line().await.expect_err("the end");
        assert_eq!(closed_with(&error), b"the rest");
        assert!(!error.is_closed());
    }
    assert_eq!(far.buffered(), b"the rest");
    // Nothing is lost: another rule reads it.
    assert_eq!(far.read_exact(8).await.expect("the rest"), "the rest");
    assert!(far.read_any().await.expect_err("the end").is_closed());
    // And our side is open still.
    far.send("heard").await.expect("sent");
    far.finish().await.expect("finished");
    assert_eq!(near.read_exact(5).await.expect("an answer"), "heard");
}

async fn a_frame_too_long_loses_nothing<R: Runtime>(runtime: R) {
    let (near, far) = conversation(&runtime).await;
    let mut near = near;
    let mut far = far.config(Config::default().max_frame_len(10));
    near.send("0123456789\n0123456789a\n").await.expect("sent");
    assert_eq!(far.read_line().await.expect("just short enough"), "0123456789");
    for _ in 0..2 {
        let error = far.read_line().await.expect_err("too long");
        assert!(matches!(error, Error::Frame(FrameError::TooLong(_))), "{error}");
    }
    assert!(matches!(far.read_exact(11).await, Err(Error::Frame(FrameError::TooLong(_)))));
    let mut far = far.config(Config::default().max_frame_len(11));
    assert_eq!(far.read_line().await.expect("a line"), "0123456789a");
}

async fn an_invalid_delimiter<R: Runtime>(runtime: R) {
    let (mut near, _far) = conversation(&runtime).await;
    assert!(matches!(near.read_until(b"").await, Err(Error::Delimiter(_))));
    assert!(matches!(near.read_until(&[0; 33]).await, Err(Error::Delimiter(_))));
}

async fn a_peer_that_never_reads<R: Runtime>(runtime: R) {
    let (near, far) = conversation(&runtime).await;
    let mut near = near.config(Config::default().write_buffer(1000).write_timeout(Some(SOON)));
    let piece = Bytes::from(vec![7; 900]);
    let error = loop {
        match near.send(piece.clone()).await {
            Ok(()) => assert!(near.unsent() < 1000 + piece.len(), "{} bytes are queued", near.unsent()),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, Error::WriteTimedOut), "{error}");
    assert!(matches!(near.flush().await, Err(Error::WriteTimedOut)));
    assert_eq!(io::Error::from(error).kind(), io::ErrorKind::TimedOut);
    // What is queued stays, and goes out once the peer reads.
    let unsent = near.unsent();
    assert!(unsent > 0);
    let mut far = far;
    let (flushed, ()) = join(near.close(), async { while far.read_any().await.is_ok() {} }).await;
    flushed.expect("flushed in the end");
}

async fn a_peer_that_never_writes<R: Runtime>(runtime: R) {
    let (near, mut far) = conversation(&runtime).await;
    let mut near = near.config(Config::default().read_timeout(Some(SOON)));
    let begin = runtime.now();
    assert!(matches!(near.read_line().await, Err(Error::ReadTimedOut)));
    assert!(runtime.now() >= begin + SOON);
    // Late is not lost.
    far.send("late\n").await.expect("sent");
    assert_eq!(near.read_line().await.expect("a line"), "late");
}

async fn a_deadline_that_giving_up_does_not_stretch<R: Runtime>(runtime: R) {
    let (near, _far) = conversation(&runtime).await;
    let mut near = near.config(Config::default().read_timeout(Some(SOON)));
    let begin = runtime.now();
    // Something else happens all the time, and what it takes away is the reader's future, not its deadline.
    let error = loop {
        if let Ok(read) = within(&runtime, Some(SOON / 10), near.read_line()).await {
            break read.expect_err("nobody writes");
        }
        assert!(runtime.now() < begin + Duration::from_secs(30), "the deadline never comes");
    };
    assert!(matches!(error, Error::ReadTimedOut), "{error}");
}

async fn half_close<R: Runtime>(runtime: R) {
    let (mut near, mut far) = conversation(&runtime).await;
    near.send("question").await.expect("sent");
    near.finish().await.expect("finished");
    near.finish().await.expect("finished already");
    near.flush().await.expect("nothing to flush");
    assert!(matches!(near.send("more").await, Err(Error::Finished)));
    assert_eq!(closed_with(&far.read_line().await.expect_err("the end")), b"question");
    sleep(&runtime, SOON).await;
    far.send("answer\n").await.expect("sent");
    assert_eq!(near.read_line().await.expect("an answer"), "answer");
}

async fn what_is_sent_last_arrives<R: Plug>(runtime: R) {
    const MUCH: usize = 1_000_000;
    let function = handler(|mut connection: Connection<R>| async move {
        for n in 0..MUCH / 1000 {
            connection.send(vec![n as u8; 1000]).await.expect("sent");
        }
    });
    served(bind(&runtime).await, function, async |at, _| {
        let mut near = connected(&runtime, &at).await;
        sleep(&runtime, SOON).await;
        let mut count = 0;
        while let Ok(bytes) = near.read_any().await {
            count += bytes.len();
        }
        assert_eq!(count, MUCH);
    })
    .await;
}

async fn what_is_sent_last_arrives_although_nobody_read<R: Plug>(runtime: R) {
    let function = handler(|mut connection: Connection<R>| async move {
        connection.read_exact(1).await.expect("a byte");
        connection.send(vec![1; 300_000]).await.expect("sent");
        connection.send("goodbye").await.expect("sent");
    });
    served(bind(&runtime).await, function, async |at, _| {
        let mut near = connected(&runtime, &at).await;
        // More than the function reads: closing a socket with unread input resets it, and a reset loses what was sent last.
        near.send(vec![0; 10_000]).await.expect("sent");
        sleep(&runtime, SOON).await;
        let mut all = Vec::new();
        loop {
            match near.read_any().await {
                Ok(bytes) => all.extend_from_slice(&bytes),
                Err(error) => break assert!(error.is_closed(), "{error:?}"),
            }
        }
        assert_eq!((all.len(), all.ends_with(b"goodbye")), (300_007, true));
    })
    .await;
}

async fn sources<R: Runtime>(runtime: R) {
    let content: Vec<u8> = (0..200_000_u32).map(|n| (n % 251) as u8).collect();
    let file = std::env::temp_dir().join(format!("glowplug-tcp-{}", std::process::id()));
    std::fs::write(&file, &content).expect("written");
    let (mut near, mut far) = conversation(&runtime).await;
    let sending = async {
        let length = content.len() as u64;
        assert_eq!(near.send_stream(&mut Cursor::new(&content)).await.expect("sent"), length);
        assert_eq!(near.send_reader(&mut &content[..]).await.expect("sent"), length);
        assert_eq!(near.send_file(&file).await.expect("sent"), length);
        assert!(matches!(near.send_file("/there/is/no/such/file").await, Err(Error::Source(_))));
        near.finish().await.expect("finished");
    };
    let receiving = async {
        let mut all = Vec::new();
        while let Ok(bytes) = far.read_any().await {
            all.extend_from_slice(&bytes);
        }
        all
    };
    let ((), all) = join(sending, receiving).await;
    assert!(all == content.repeat(3), "{} bytes came", all.len());
    let _ = std::fs::remove_file(&file);
}

/// A script of frames, and how to read each.
fn script() -> (Vec<u8>, Vec<(Rule, Bytes)>) {
    let mut wire = Vec::new();
    let mut frames = Vec::new();
    for n in 0..40_usize {
        let body = Bytes::from(vec![b'a' + (n % 26) as u8; n * 7 % 90]);
        wire.extend_from_slice(&body);
        match n % 3 {
            0 => frames.push((Rule::Exact(body.len()), body)),
            1 => {
                wire.extend_from_slice(b"\r\n");
                frames.push((Rule::Line(LineEnding::Either), body));
            }
            _ => {
                wire.extend_from_slice(b"<end>");
                frames.push((
                    Rule::until(b"<end>").expect("a delimiter"),
                    [&body[..], b"<end>"].concat().into(),
                ));
            }
        }
    }
    (wire, frames)
}

/// Reads the script's frames, and drops each read at each of its polls.
async fn read_script<R: Runtime>(connection: &mut Connection<R>, frames: &[(Rule, Bytes)], most: u64) {
    for (n, (rule, expected)) in frames.iter().enumerate() {
        let mut polls = n as u64 % most;
        let frame = loop {
            match dropped_after(polls, connection.read(*rule)).await {
                Some(frame) => break frame,
                None => polls = (polls + 1) % most.max(2),
            }
            // Not at once: a read that is dropped at its first poll, again and again, waits for nothing.
            let runtime = connection.runtime().clone();
            sleep(&runtime, Duration::from_micros(200)).await;
        };
        assert_eq!(frame.expect("a frame"), expected, "frame {n}");
    }
}

async fn yield_now() {
    let mut yielded = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

async fn verbs_dropped_at_every_poll<R: Runtime>(runtime: R) {
    let (wire, frames) = script();
    for most in 1..5 {
        let (mut near, mut far) = conversation(&runtime).await;
        let writing = async {
            for piece in wire.chunks(11) {
                near.send(piece.to_vec()).await.expect("sent");
                yield_now().await;
            }
            near.finish().await.expect("finished");
        };
        join(writing, read_script(&mut far, &frames, most)).await;
        assert!(far.read_any().await.expect_err("the end").is_closed());
    }
}

async fn sends_dropped_at_every_poll<R: Runtime>(runtime: R) {
    let (near, mut far) = conversation(&runtime).await;
    let mut near = near.config(Config::default().write_buffer(50));
    let writing = async {
        let mut sent = Vec::new();
        for n in 0..2000_u64 {
            let line = format!("line {n}\n");
            let done = match n % 3 {
                0 => dropped_after(n % 4, near.send(line.clone())).await,
                1 => dropped_after(n % 4, near.feed(line.clone())).await,
                _ => dropped_after(n % 4, near.flush()).await.and(None),
            };
            // Either it was sent whole, or not at all.
            if let Some(done) = done {
                done.expect("sent");
                sent.push(line);
            }
            if n % 100 == 0 {
                yield_now().await;
            }
        }
        near.finish().await.expect("finished");
        sent.concat()
    };
    let reading = async {
        let mut all = Vec::new();
        while let Ok(bytes) = far.read_any().await {
            all.extend_from_slice(&bytes);
        }
        String::from_utf8(all).expect("text")
    };
    let (sent, received) = join(writing, reading).await;
    assert!(sent == received, "what came is not what was sent");
    assert!(sent.contains("line 999\n"));
}

async fn closing_waits_for_the_peer_and_not_for_ever<R: Runtime>(runtime: R) {
    // A peer that neither ends nor sends.
    let (near, far) = conversation(&runtime).await;
    let begin = runtime.now();
    far.config(Config::default().linger(SOON)).close().await.expect("flushed");
    assert!(runtime.now() >= begin + SOON);
    drop(near);
    // A peer that does not hear: it sends on and on.
    let (mut near, far) = conversation(&runtime).await;
    let flood = async { while near.send(vec![0; 10_000]).await.is_ok() {} };
    let patient = Config::default().linger(Duration::from_secs(3600));
    let (closed, ()) = join(far.config(patient).close(), flood).await;
    closed.expect("flushed");
}

async fn a_panic_is_its_own_connections<R: Plug>(runtime: R) {
    let function = handler(|mut connection: Connection<R>| async move {
        while let Ok(line) = connection.read_line().await {
            connection.send(line.clone()).await.expect("sent");
            connection.send("\n").await.expect("sent");
            if line == "panic" {
                resume_unwind(Box::new("this panic belongs to the test"));
            }
        }
    });
    served(bind(&runtime).await, function, async |at, _| {
        let mut calm = connected(&runtime, &at).await;
        ask(&mut calm, "calm").await;
        for _ in 0..3 {
            let mut wild = connected(&runtime, &at).await;
            // What was sent before the panic arrives, and then the end in good order.
            ask(&mut wild, "panic").await;
            assert!(wild.read_line().await.expect_err("the end").is_closed());
        }
        ask(&mut calm, "still calm").await;
    })
    .await;
}

async fn a_connection_that_moves_out<R: Plug>(runtime: R) {
    let (sender, receiver) = async_channel::bounded(1);
    let function = handler(move |connection: Connection<R>| {
        let sender = sender.clone();
        async move {
            // The function ends; its connection lives on elsewhere.
            sender.send(connection).await.expect("room");
        }
    });
    served(bind(&runtime).await, function, async |at, stopper| {
        let mut near = connected(&runtime, &at).await;
        let mut far = receiver.recv().await.expect("a connection");
        sleep(&runtime, SOON).await;
        assert_eq!(stopper.connections(), 1);
        near.send("to whom?\n").await.expect("sent");
        assert_eq!(far.read_line().await.expect("a line"), "to whom?");
        far.send("me").await.expect("sent");
        drop(far);
        assert_eq!(closed_with(&near.read_line().await.expect_err("the end")), b"me");
    })
    .await;
}

async fn a_connection_taken_apart<R: Plug>(runtime: R) {
    let function = handler(|mut connection: Connection<R>| async move {
        let upgrade = connection.read_line().await.expect("a line");
        assert_eq!(upgrade, "upgrade");
        connection.feed("welcome").await.expect("room");
        let mut parts = connection.into_parts();
        // What has come until then: some of it, or all.
        assert!(b"and on".starts_with(&parts.input), "{:?}", parts.input);
        assert_eq!(parts.unsent, "welcome");
        support::write(&mut parts.stream, parts.unsent).await.expect("written");
    });
    served(bind(&runtime).await, function, async |at, stopper| {
        let mut near = connected(&runtime, &at).await;
        near.send("upgrade\nand on").await.expect("sent");
        assert_eq!(near.read_exact(7).await.expect("a word"), "welcome");
        assert!(near.read_any().await.is_err());
        while stopper.connections() > 0 {
            sleep(&runtime, Duration::from_millis(1)).await;
        }
    })
    .await;
}

async fn by_name_and_refused<R: Plug>(runtime: R) {
    let function = handler(echo);
    let port = served(bind(&runtime).await, function, async |at, _| {
        let port = at.socket_addr().expect("an address").port();
        let mut near = connect(&runtime, "localhost", port).await.expect("connected");
        assert!(near.peer().is_none());
        ask(&mut near, "hello").await;
        port
    })
    .await;
    let refused = connect(&runtime, "localhost", port).await.map(drop).expect_err("nobody listens");
    assert!(matches!(refused, DialError::Connect(_)), "{refused}");
}

async fn the_cap_and_the_drain<R: Plug>(runtime: R) {
    let limits = server::Config::default().max_connections(1).drain_timeout(SOON);
    let service = bind(&runtime).await.limits(limits);
    served(service, handler(echo), async |at, stopper| {
        let mut first = connected(&runtime, &at).await;
        ask(&mut first, "one").await;
        let mut second = connected(&runtime, &at).await;
        second.send("two\n").await.expect("sent");
        let waiting = within(&runtime, Some(SOON), second.read_line()).await;
        waiting.expect_err("there is room for one");
        first.close().await.expect("closed");
        assert_eq!(second.read_line().await.expect("its turn"), "two");
        // It would talk for ever.
        stopper.stop();
        assert!(second.read_line().await.is_err());
    })
    .await;
}

async fn a_stop_is_heard<R: Plug>(runtime: R) {
    let function = handler(|mut connection: Connection<R>| async move {
        loop {
            let stopping = connection.stopping();
            let line = match select(connection.read_line(), stopping).await {
                futures_util::future::Either::Left((line, _)) => line,
                futures_util::future::Either::Right(((), _)) => break,
            };
            connection.send(line.expect("a line")).await.expect("sent");
            connection.send("\n").await.expect("sent");
        }
        connection.send("closing time").await.expect("sent");
    });
    served(bind(&runtime).await, function, async |at, stopper| {
        let mut near = connected(&runtime, &at).await;
        ask(&mut near, "open?").await;
        stopper.stop();
        assert!(stopper.is_stopped());
        assert_eq!(closed_with(&near.read_line().await.expect_err("the end")), b"closing time");
    })
    .await;
}

fn certificate() -> (ServerConfig, ClientConfig) {
    let signed = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let certificate: CertificateDer<'static> = signed.cert.der().clone();
    let key: PrivateKeyDer<'static> = PrivatePkcs8KeyDer::from(signed.signing_key.serialize_der()).into();
    let client = ClientConfig::with_roots([certificate.clone()]).expect("a configuration");
    (ServerConfig::new(vec![certificate], key).expect("a configuration"), client)
}

async fn tls<R: Plug>(runtime: R) {
    let (server, client) = certificate();
    let service = bind(&runtime).await.tls(server);
    served(service, handler(echo), async |at, _| {
        let port = at.socket_addr().expect("an address").port();
        let dialer = Dialer::new(runtime.clone()).tls_config(client);
        let stream = dialer.tls("localhost", port).await.expect("agreed");
        let mut near = Connection::new(runtime.clone(), stream);
        assert!(matches!(near.stream(), MaybeTls::Tls(_)));
        ask(&mut near, "in private").await;
        // Who speaks no TLS is not served, and nobody else notices.
        let mut plain = connected(&runtime, &at).await;
        plain.send("hello?\r\nthis is no handshake\r\n").await.expect("sent");
        while plain.read_any().await.is_ok() {}
        ask(&mut near, "still in private").await;
        near.close().await.expect("closed");
    })
    .await;
}

async fn tls_that_stalls<R: Plug>(runtime: R) {
    let (server, _) = certificate();
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = calls.clone();
    let function = handler(move |_: Connection<R>| {
        counted.fetch_add(1, Ordering::SeqCst);
        async {}
    });
    let service = bind(&runtime).await.tls(server).config(Config::default().handshake_timeout(SOON));
    served(service, function, async |at, _| {
        let begin = runtime.now();
        let mut near = connected(&runtime, &at).await;
        assert!(near.read_any().await.is_err());
        assert!(runtime.now() >= begin + SOON);
    })
    .await;
    assert_eq!(calls.load(Ordering::SeqCst), 0, "the function was called without a handshake");
}

async fn what_comes_first<R: Runtime>(runtime: R) {
    let (near, mut far) = conversation(&runtime).await;
    let mut near = near;
    let (news, inbox) = async_channel::bounded(4);
    let peer = async {
        far.send("first li").await.expect("sent");
        news.send("some news").await.expect("room");
        sleep(&runtime, SOON * 2).await;
        far.send("ne\n").await.expect("sent");
        far.read_line().await.expect("an answer")
    };
    let chosen = async {
        let mut seen = Vec::new();
        while seen.len() < 3 {
            futures_util::select_biased! {
                line = near.read_line().fuse() => {
                    assert_eq!(line.expect("a line"), "first line");
                    seen.push("line");
                }
                item = inbox.recv().fuse() => {
                    assert_eq!(item.expect("an item"), "some news");
                    seen.push("news");
                }
                () = sleep(&runtime, SOON).fuse() => if !seen.contains(&"time") { seen.push("time") },
            }
        }
        near.send("done\n").await.expect("sent");
        near.flush().await.expect("flushed");
        seen
    };
    let (answer, seen) = join(peer, chosen).await;
    assert_eq!((&answer[..], seen.len()), (&b"done"[..], 3));
    assert_eq!(seen, ["news", "time", "line"]);
}

#[test]
fn unix_sockets() {
    support::on_smol(|runtime| async move {
        let path = std::env::temp_dir().join(format!("glowplug-tcp-{}.sock", std::process::id()));
        let _ = std::fs::remove_file(&path);
        let service = Service::bind(runtime.clone(), path.clone()).await.expect("a socket");
        served(service, handler(echo), async |at, _| {
            ask(&mut connected(&runtime, &at).await, "over a path").await;
        })
        .await;
        let _ = std::fs::remove_file(&path);
    });
}

#[test]
fn the_short_form_serves() {
    support::on_tokio(|runtime| async move {
        let taken = glowplug::tokio::tcp::Service::bind(runtime, any_port()).await.expect("a free port");
        let at = taken.local_endpoint().expect("an address");
        drop(taken);
        let serving = glowplug::tokio::tcp::serve(runtime, at.clone(), echo);
        let work = async {
            while runtime.connect(&at).await.is_err() {
                sleep(&runtime, Duration::from_millis(1)).await;
            }
            ask(&mut connected(&runtime, &at).await, "short").await;
        };
        beside(work, serving).await;
    });
}

/// A rough network that cuts everything anywhere, and a reader that gives up anywhere: the frames are the same.
#[test]
fn under_many_seeds_the_frames_are_the_same() {
    let (wire, frames) = script();
    for seed in seeds(200) {
        let mut simulation = Simulation::new(seed).configure(|net| net.default_link(Link::rough()));
        let client = simulation.host("client", [10, 0, 0, 1]);
        let server = simulation.host("server", [10, 0, 0, 2]);
        simulation.run(async {
            let at = Endpoint::Tcp(([10, 0, 0, 2], 7000).into());
            let service = Service::bind(server.clone(), at.clone()).await.expect("a port");
            let script = frames.clone();
            let function = handler(move |mut connection: Connection<_>| {
                let frames = script.clone();
                async move {
                    read_script(&mut connection, &frames, 1 + seed % 4).await;
                    connection.send("all").await.expect("sent");
                }
            });
            served(service, function, async |at, _| {
                let mut near = connected(&client, &at).await;
                near.send(wire.clone()).await.expect("sent");
                assert_eq!(closed_with(&near.read_line().await.expect_err("the end")), b"all", "seed {seed}");
            })
            .await;
        });
        simulation.run_until_idle();
        assert_eq!(simulation.usage().streams, 0, "seed {seed}: a connection is left over");
    }
}

/// Cut at every byte: whole frames come first, and then an error or the end with exactly what is left.
#[test]
fn cut_anywhere_whole_frames_come_first() {
    let wire = b"one\ntwo\nthree\nfour\n";
    for bytes in 0..=wire.len() as u64 {
        for how in [Cut::Reset, Cut::Close] {
            let mut simulation = Simulation::new(bytes);
            let client = simulation.host("client", [10, 0, 0, 1]);
            let server = simulation.host("server", [10, 0, 0, 2]);
            simulation.net().cut_after("client", "server", bytes, how);
            simulation.run(async {
                let at = Endpoint::Tcp(([10, 0, 0, 2], 7000).into());
                let mut listener = server.listen(&at).await.expect("a port");
                let (near, far) = join(client.connect(&at), support::accept(&mut listener)).await;
                let Ok(near) = near else { return };
                let mut near = Connection::new(client.clone(), MaybeTls::Plain(near));
                let mut far = Connection::new(server.clone(), MaybeTls::Plain(far));
                let writing = async {
                    let _ = near.send(&wire[..]).await;
                    let _ = near.flush().await;
                    near
                };
                let reading = async {
                    let mut lines = Vec::new();
                    let error = loop {
                        match within(&server, Some(Duration::from_secs(5)), far.read_line()).await {
                            Ok(Ok(line)) => lines.push(line),
                            Ok(Err(error)) => break Some(error),
                            Err(_) => break None,
                        }
                    };
                    (lines, error)
                };
                let (near, (lines, error)) = join(writing, reading).await;
                drop(near);
                let came = &wire[..bytes as usize];
                let whole = came.split(|&byte| byte == b'\n').count() - 1;
                assert_eq!(lines.len(), whole, "{how:?} after {bytes}");
                let rest = came.rsplit(|&byte| byte == b'\n').next().unwrap_or_default();
                match (how, error) {
                    (Cut::Close, Some(error)) => assert_eq!(closed_with(&error), rest),
                    (_, Some(error)) => assert!(matches!(error, Error::Io(_)), "{error}"),
                    (_, None) => assert_eq!(bytes as usize, wire.len(), "{how:?} after {bytes}"),
                }
            });
        }
    }
}

#[test]
fn an_idle_connection_reads_on_nobodys_account() {
    // The futures of the verbs may move between threads when the plug's types may.
    fn moves<T: Send>(_: &T) {}
    support::on_tokio(|runtime| async move {
        let (mut near, mut far) = conversation(&runtime).await;
        moves(&near.read_line());
        moves(&near.send("x"));
        moves(&near.send_stream(&mut Cursor::new([1])));
        moves(&connect(&runtime, "localhost", 1));
        let writing = tokio::spawn(async move {
            near.send("from another thread\n").await.expect("sent");
            near.close().await.expect("closed");
        });
        assert_eq!(far.read_line().await.expect("a line"), "from another thread");
        drop(far);
        writing.await.expect("ended");
    });
}

#[test]
fn errors_say_what_happened() {
    support::on_smol(|runtime| async move {
        let (mut near, far) = conversation(&runtime).await;
        drop(far);
        let error = near.read_line().await.expect_err("the end");
        assert_eq!(error.to_string(), "the peer closed the connection");
        assert_eq!(io::Error::from(error).kind(), io::ErrorKind::UnexpectedEof);
        let error = loop {
            if let Err(error) = near.send(vec![0; 100_000]).await {
                break error;
            }
        };
        assert_eq!(error.to_string(), "the connection broke");
        let mut parts = near.into_parts();
        assert_eq!(read_all(&mut parts.stream).await.map_or(0, |rest| rest.len()), 0);
    });
}
