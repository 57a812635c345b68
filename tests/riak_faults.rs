//! The Riak client and what goes wrong: futures dropped at every poll, nodes that break the protocol, that are gone, that never answer.

mod support;

use std::cell::RefCell;
use std::future::{Future, pending, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use bytes::BytesMut;
use futures_util::StreamExt as _;
use futures_util::future::{Either, FutureExt as _, LocalBoxFuture, join, join_all, select};
use futures_util::stream::FuturesUnordered;
use glowplug::core::{Progress, Seed};
use glowplug::riak::wire::kv::{RpbGetResp, RpbListKeysResp, RpbPutResp};
use glowplug::riak::wire::riak::{RpbErrorResp, RpbPingResp, RpbStartTls};
use glowplug::riak::wire::{Code, Decoder, Reply};
use glowplug::runtime::drive::DriverError;
use glowplug::runtime::pool::{PoolConfig, PoolError};
use glowplug::runtime::riak::memory::{Handle, Node, NodeConfig};
use glowplug::runtime::riak::request::{Get, Index, Put};
use glowplug::runtime::riak::resolve::LastWriteWins;
use glowplug::runtime::riak::{
    Bucket, Builder, Client, Config, ConnectError, Content, Error, Location, MapChange, Reaper,
    ServerErrorKind, Serving, SetChange, serve_memory,
};
use glowplug::runtime::server::Server;
use glowplug::runtime::{Listener as _, Runtime, Spawn};

use support::{accept, any_port, beside, read, write};

support::on_each_executor![
    every_verb_dropped_at_every_poll,
    streams_dropped_half_way,
    connecting_dropped_at_every_poll,
    waiting_for_room_dropped_at_every_poll,
    a_stream_without_an_end,
    a_stream_that_falls_silent,
    an_error_in_the_middle_of_a_stream,
    a_reply_to_something_else,
    a_frame_of_four_gib,
    a_reply_that_does_not_decode,
    what_was_said_unasked_answers_nobody,
    plain_bytes_behind_the_agreement_on_tls,
    tls_that_is_refused,
    a_query_that_is_never_answered,
    a_node_that_trickles,
    a_write_is_not_sent_twice,
    a_write_is_sent_twice_if_told_so,
    a_read_is_sent_again,
    a_connection_that_was_closed_while_it_rested,
    one_node_of_three_is_not_there,
    no_node_is_there,
    room_is_limited,
    urls_that_cannot_be_used,
];

/// What these tests ask of a plug.
trait Plug: Runtime + Spawn<Reaper<Self>> + Spawn<Serving<Self>> {}

impl<R: Runtime + Spawn<Reaper<R>> + Spawn<Serving<R>>> Plug for R {}

/// More polls than any of these futures takes.
const MANY: usize = 400;

fn node() -> Handle {
    Handle::new(Node::new(&Seed::from_u64(8), NodeConfig::new()))
}

/// Runs `work` with a client of a fresh node.
async fn with_client<R: Plug>(runtime: R, work: impl AsyncFnOnce(Client<R>)) {
    let server = Server::bind(runtime.clone(), any_port()).await.expect("a free port");
    let url = format!("riak://{}", server.local_endpoint().expect("an address"));
    let stopper = server.stopper();
    let serving = serve_memory(runtime.clone(), server, node());
    let work = async {
        let client = Client::builder(runtime.clone()).connect(&url).await.expect("connected");
        work(client).await;
    };
    beside(work, serving).await;
    stopper.stop();
}

/// Polls `future` so often, each time when it was woken, and drops it then. `None` when it was dropped.
async fn polled<F: Future>(polls: usize, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut left = polls;
    poll_fn(|cx| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        match future.as_mut().poll(cx) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

async fn fill<R: Plug>(riak: &Client<R>) {
    for n in 0..100 {
        let content = Content::new(n.to_string()).index_int("n", n);
        riak.put(Location::new("pairs", n.to_string()), content).await.expect("stored");
    }
}

/// A hundred answers, each to its own question.
async fn pair_up<R: Plug>(riak: &Client<R>) {
    for n in 0..100 {
        let object = riak.get(Location::new("pairs", n.to_string())).await.expect("answered").expect("there");
        assert_eq!(object.content().expect("one content").value, n.to_string());
    }
}

async fn every_verb_dropped_at_every_poll<R: Plug>(runtime: R) {
    with_client(runtime, async |riak: Client<R>| {
        fill(&riak).await;
        let key = || Location::new("bucket", "k");
        let set = || Bucket::typed("sets", "s").key("k");
        riak.update_data(set(), SetChange::new().add("a")).await.expect("changed");
        let riak = &riak;
        type Verb<'v> = Box<dyn Fn() -> LocalBoxFuture<'v, Result<(), Error>> + 'v>;
        macro_rules! verb {
            ($call:expr) => {
                Box::new(move || async move { $call.await.map(drop) }.boxed_local()) as Verb<'_>
            };
        }
        let verbs = [
            verb!(riak.ping()),
            verb!(riak.get(key())),
            verb!(riak.put(key(), Content::new("v"))),
            verb!(riak.delete(key())),
            verb!(riak.update(key(), &mut LastWriteWins, |_| Some(Content::new("v")))),
            verb!(async {
                let many = riak.get_many((0..9).map(|n| Location::new("pairs", n.to_string())), 4).await;
                many.into_iter().map(|(_, object)| object.map(drop)).collect::<Result<(), _>>()
            }),
            verb!(async { riak.list_keys("pairs").await?.collect_flat().await }),
            verb!(async {
                riak.index_pages(Index::range_int("pairs", "n_int", 0, 50), 9).next().await.transpose()
            }),
            verb!(riak.update_data(set(), SetChange::new().add("b").remove("a"))),
            verb!(riak.add_to_counter(Bucket::typed("counters", "c").key("k"), 1)),
            verb!(riak.map(Bucket::typed("maps", "m").key("k"))),
            verb!(riak.update_data(Bucket::typed("maps", "m").key("k"), MapChange::new().counter("n", 1))),
            verb!(riak.typed::<u32>("numbers").update("k", |n| Some(n.unwrap_or(0) + 1))),
            verb!(riak.bucket_props("bucket")),
        ];
        for (n, verb) in verbs.iter().enumerate() {
            let mut finished = false;
            for polls in 0..MANY {
                // Alone, and among others.
                let dropped = polled(polls, verb()).await;
                pair_up(riak).await;
                join(polled(polls, verb()), riak.ping()).await.1.expect("pong");
                if let Some(outcome) = dropped {
                    outcome.unwrap_or_else(|error| panic!("verb {n} after {polls} polls: {error}"));
                    finished = true;
                    break;
                }
            }
            assert!(finished, "verb {n} takes more than {MANY} polls");
        }
    })
    .await;
}

async fn streams_dropped_half_way<R: Plug>(runtime: R) {
    with_client(runtime, async |riak: Client<R>| {
        fill(&riak).await;
        for n in 0..400 {
            riak.put(Location::new("long", n.to_string()), Content::new("v")).await.expect("stored");
        }
        for chunks in 0..6 {
            let mut keys = riak.list_keys("long").await.expect("begun");
            for _ in 0..chunks {
                keys.next().await.transpose().expect("keys");
            }
            drop(keys);
            pair_up(&riak).await;
            // A `next` that is dropped loses nothing.
            let (mut keys, mut all, mut polls) = (riak.list_keys("long").await.expect("begun"), 0, 0);
            loop {
                polls = (polls + 1) % 3;
                match polled(polls, keys.next()).await {
                    Some(Some(chunk)) => all += chunk.expect("keys").len(),
                    Some(None) => break,
                    None => {}
                }
            }
            assert_eq!(all, 400);
        }
        assert_eq!(riak.connections(), 1);
    })
    .await;
}

async fn connecting_dropped_at_every_poll<R: Plug>(runtime: R) {
    let server = Server::bind(runtime.clone(), any_port()).await.expect("a free port");
    let url = format!("riak://{}", server.local_endpoint().expect("an address"));
    let work = async {
        for polls in 0..MANY {
            let dropped = polled(polls, Client::builder(runtime.clone()).connect(&url)).await;
            let riak = Client::builder(runtime.clone()).connect(&url).await.expect("connected");
            riak.ping().await.expect("pong");
            // The first request of a client that did not connect yet connects, and may be dropped too.
            let lazy = Client::builder(runtime.clone()).build(&url).expect("a client");
            drop(polled(polls, lazy.ping()).await);
            lazy.ping().await.expect("pong");
            if let Some(riak) = dropped {
                riak.expect("connected").ping().await.expect("pong");
                return;
            }
        }
        panic!("connecting takes more than {MANY} polls");
    };
    beside(work, serve_memory(runtime.clone(), server, node())).await;
}

async fn waiting_for_room_dropped_at_every_poll<R: Plug>(runtime: R) {
    let server = Server::bind(runtime.clone(), any_port()).await.expect("a free port");
    let url = format!("riak://{}", server.local_endpoint().expect("an address"));
    let work = async {
        let builder = Client::builder(runtime.clone()).pool(PoolConfig::default().max_per_key(1));
        let riak = builder.connect(&url).await.expect("connected");
        fill(&riak).await;
        for polls in 0..6 {
            let keys = riak.list_keys("pairs").await.expect("begun");
            // The stream has the only connection.
            assert!(polled(polls.min(1), riak.ping()).await.is_none());
            let waiting = join(polled(polls, riak.ping()), polled(polls + 1, riak.ping()));
            join(waiting, async { drop(keys) }).await;
            pair_up(&riak).await;
            assert_eq!(riak.connections(), 1);
        }
    };
    beside(work, serve_memory(runtime.clone(), server, node())).await;
}

/// What a node of ours does with a request.
enum Act {
    /// Answers with these bytes.
    Say(Vec<u8>),
    /// Answers, and closes.
    SayAndClose(Vec<u8>),
    /// Says this, over and over.
    Repeat(Vec<u8>),
    /// Says this, byte by byte, with a pause after each.
    Trickle(Vec<u8>),
    /// Says nothing.
    Ignore,
}

fn frame(reply: impl Into<Reply>) -> Vec<u8> {
    let mut out = BytesMut::new();
    reply.into().encode_frame(&mut out);
    out.to_vec()
}

fn pong() -> Vec<u8> {
    frame(RpbPingResp {})
}

fn keys(keys: &[&'static str], done: Option<bool>) -> Vec<u8> {
    frame(RpbListKeysResp { keys: keys.iter().map(|key| (*key).into()).collect(), done })
}

const TRICKLE: Duration = Duration::from_millis(10);

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

/// The end of one connection: `act` is told the request's code and the connection's number.
async fn play<R: Runtime>(
    runtime: R,
    mut stream: R::Stream,
    number: usize,
    act: impl Fn(Code, usize) -> Act,
) {
    let (mut decoder, mut input) = (Decoder::new(1 << 20), BytesMut::new());
    loop {
        let Ok(Some(frame)) = decoder.decode(&mut input) else {
            match read(&mut stream, &mut input).await {
                Ok(1..) => continue,
                _ => return,
            }
        };
        let written = match act(frame.code, number) {
            Act::Say(bytes) => write(&mut stream, bytes).await,
            Act::SayAndClose(bytes) => {
                // A client that has gone already is what this is about, at times.
                let _ = write(&mut stream, bytes).await;
                return;
            }
            Act::Repeat(bytes) => loop {
                if let Err(error) = write(&mut stream, bytes.clone()).await {
                    break Err(error);
                }
                // Others have their turn, however much the transport takes.
                yield_now().await;
            },
            Act::Trickle(bytes) => {
                for byte in bytes {
                    if write(&mut stream, vec![byte]).await.is_err() {
                        return;
                    }
                    glowplug::runtime::time::sleep(&runtime, TRICKLE).await;
                }
                Ok(())
            }
            Act::Ignore => Ok(()),
        };
        if written.is_err() {
            return;
        }
    }
}

/// Runs `work` with the URL of a node that does as `act` says.
async fn with_node<R: Plug>(runtime: &R, act: impl Fn(Code, usize) -> Act, work: impl AsyncFnOnce(String)) {
    let mut listener = runtime.listen(&any_port()).await.expect("a free port");
    let url = format!("riak://{}", listener.local_endpoint().expect("an address"));
    let serving = async {
        let connections = FuturesUnordered::new();
        // Never empty, so that it never ends.
        connections.push(Either::Left(pending()));
        let (mut connections, mut number) = (connections, 0);
        loop {
            let accepted = match select(pin!(accept(&mut listener)), connections.next()).await {
                Either::Left((stream, _)) => stream,
                Either::Right(_) => continue,
            };
            number += 1;
            connections.push(Either::Right(play(runtime.clone(), accepted, number, &act)));
        }
    };
    beside(work(url), async { serving.await as () }).await;
}

fn key() -> Location {
    Location::new("bucket", "k")
}

fn builder<R: Plug>(runtime: &R) -> Builder<R> {
    Client::builder(runtime.clone())
}

/// How long a node may be silent that is asked without patience: long enough for a busy machine.
const SILENCE: Duration = Duration::from_millis(500);

fn impatient<R: Plug>(runtime: &R) -> Builder<R> {
    builder(runtime).machine(Config::new().reply_timeout(SILENCE))
}

async fn a_stream_without_an_end<R: Plug>(runtime: R) {
    let act = |code: Code, _| match code.0 {
        17 => Act::Repeat(keys(&["one", "two"], None)),
        _ => Act::Say(pong()),
    };
    with_node(&runtime, act, async |url| {
        let riak = builder(&runtime).connect(&url).await.expect("connected");
        let mut listing = riak.list_keys("bucket").await.expect("begun");
        for _ in 0..1000 {
            assert_eq!(listing.next().await.expect("more").expect("keys").len(), 2);
        }
        // Others are none the worse for it, and who stops listening is rid of it.
        riak.ping().await.expect("pong");
        drop(listing);
        riak.ping().await.expect("pong");
        assert_eq!(riak.connections(), 1);
    })
    .await;
}

async fn a_stream_that_falls_silent<R: Plug>(runtime: R) {
    let act = |code: Code, _| match code.0 {
        17 => Act::Say(keys(&["one"], None)),
        _ => Act::Say(pong()),
    };
    with_node(&runtime, act, async |url| {
        let riak = impatient(&runtime).connect(&url).await.expect("connected");
        let mut listing = riak.list_keys("bucket").await.expect("begun");
        assert!(listing.next().await.expect("more").is_ok());
        // A reader who takes his time is not the node's silence.
        glowplug::runtime::time::sleep(&runtime, SILENCE + SILENCE / 2).await;
        let before = runtime.now();
        let silent = listing.next().await.expect("an end");
        assert!(matches!(silent, Err(Error::TimedOut(Progress::AnswerBegun))), "{silent:?}");
        assert!(runtime.now() - before >= SILENCE);
        assert!(listing.next().await.is_none());
        riak.ping().await.expect("pong");
    })
    .await;
}

async fn an_error_in_the_middle_of_a_stream<R: Plug>(runtime: R) {
    let refusal = RpbErrorResp { errmsg: "{insufficient_vnodes,3,need,4}".into(), errcode: 0 };
    let act = |code: Code, number| match code.0 {
        17 => Act::Say([keys(&["one"], None), frame(refusal.clone())].concat()),
        _ if number == 1 => Act::Say(pong()),
        _ => Act::Ignore,
    };
    with_node(&runtime, act, async |url| {
        let riak = builder(&runtime).connect(&url).await.expect("connected");
        let mut listing = riak.list_keys("bucket").await.expect("begun");
        assert!(listing.next().await.expect("more").is_ok());
        let refused = listing.next().await.expect("an end");
        let kind = refused.as_ref().err().and_then(Error::refusal).map(|error| error.kind());
        assert_eq!(kind, Some(ServerErrorKind::QuorumNotMet), "{refused:?}");
        assert!(listing.next().await.is_none());
        // The stream is in step: the same connection goes on.
        riak.ping().await.expect("pong");
    })
    .await;
}

/// The error of the connection with which a request was lost.
fn broken<T: std::fmt::Debug>(result: Result<T, Error>) -> glowplug::riak::Error {
    match result {
        Err(Error::Lost(glowplug::runtime::riak::Lost {
            cause: Some(DriverError::Protocol(error)),
            progress,
            ..
        })) => {
            assert!(progress >= Progress::FullySent);
            error
        }
        other => panic!("{other:?}"),
    }
}

async fn a_reply_to_something_else<R: Plug>(runtime: R) {
    let act = |code: Code, _| Act::Say(if code.0 == 1 { pong() } else { frame(RpbPutResp::default()) });
    with_node(&runtime, act, async |url| {
        let riak = builder(&runtime).connect(&url).await.expect("connected");
        let error = broken(riak.get(key()).await);
        assert!(matches!(error, glowplug::riak::Error::Peer(_)), "{error:?}");
        riak.ping().await.expect("pong");
        riak.put(key(), Content::new("v")).await.expect("stored");
    })
    .await;
}

async fn a_frame_of_four_gib<R: Plug>(runtime: R) {
    let act = |code: Code, _| match code.0 {
        1 => Act::Say(pong()),
        _ => Act::Say(vec![0xff, 0xff, 0xff, 0xff, 10, 0, 0]),
    };
    with_node(&runtime, act, async |url| {
        let riak = builder(&runtime).connect(&url).await.expect("connected");
        let error = broken(riak.get(key()).await);
        assert!(matches!(error, glowplug::riak::Error::Limit(_)), "{error:?}");
        riak.ping().await.expect("pong");
    })
    .await;
}

async fn a_reply_that_does_not_decode<R: Plug>(runtime: R) {
    let act = |code: Code, _| match code.0 {
        1 => Act::Say(pong()),
        _ => Act::Say(vec![0, 0, 0, 3, 10, 0x0a, 0x7f]),
    };
    with_node(&runtime, act, async |url| {
        let riak = builder(&runtime).connect(&url).await.expect("connected");
        assert!(matches!(broken(riak.get(key()).await), glowplug::riak::Error::Peer(_)));
        riak.ping().await.expect("pong");
    })
    .await;
}

async fn what_was_said_unasked_answers_nobody<R: Plug>(runtime: R) {
    let gone = frame(RpbGetResp { unchanged: Some(true), ..RpbGetResp::default() });
    let act = |code: Code, _| match code.0 {
        1 => Act::Say([pong(), gone.clone()].concat()),
        _ => Act::Say(frame(RpbGetResp::default())),
    };
    with_node(&runtime, act, async |url| {
        let riak = builder(&runtime).connect(&url).await.expect("connected");
        for _ in 0..5 {
            riak.ping().await.expect("pong");
            // It may take a moment to arrive.
            glowplug::runtime::time::sleep(&runtime, Duration::from_millis(150)).await;
            let fetched = riak.ask(Get::new(key())).await.expect("answered");
            assert_eq!(fetched, glowplug::runtime::riak::Fetched::NotFound(None));
        }
    })
    .await;
}

async fn plain_bytes_behind_the_agreement_on_tls<R: Plug>(runtime: R) {
    let act = |_: Code, _| Act::Say([frame(RpbStartTls {}), pong()].concat());
    with_node(&runtime, act, async |url| {
        let refused = builder(&runtime).connect(&url.replace("riak://", "riaks://")).await;
        let Err(ConnectError::Handshake(Some(DriverError::Protocol(error)))) = refused else {
            panic!("{refused:?}")
        };
        let unsafe_bytes = glowplug::riak::PeerError::PlaintextAfterStartTls;
        assert_eq!(error, glowplug::riak::Error::Peer(unsafe_bytes));
    })
    .await;
}

async fn tls_that_is_refused<R: Plug>(runtime: R) {
    with_client(runtime.clone(), async |riak: Client<R>| {
        let (host, _) = riak.nodes().remove(0);
        let url = format!("riak://ada:secret@{}:{}", host.name, host.port);
        let refused = Client::builder(runtime.clone()).connect(&url).await;
        let Err(ConnectError::Handshake(Some(DriverError::Protocol(error)))) = refused else {
            panic!("{refused:?}")
        };
        assert!(matches!(error, glowplug::riak::Error::TlsRefused(_)), "{error:?}");
    })
    .await;
}

async fn a_query_that_is_never_answered<R: Plug>(runtime: R) {
    with_client(runtime.clone(), async |riak: Client<R>| {
        fill(&riak).await;
        let wait = Duration::from_millis(50);
        let query = || Index::equal(Bucket::typed("none", "b"), "n_int", "1");
        let before = runtime.now();
        let never = riak.timeout(Some(wait)).ask(query()).await;
        assert!(matches!(never, Err(Error::TimedOut(Progress::FullySent))), "{never:?}");
        assert!(runtime.now() - before >= wait);
        pair_up(&riak).await;
        let (host, _) = riak.nodes().remove(0);
        let url = format!("riak://{}:{}", host.name, host.port);
        let riak = impatient(&runtime).connect(&url).await.expect("connected");
        let never = riak.index(query()).await;
        assert!(matches!(never, Err(Error::TimedOut(Progress::FullySent))), "{never:?}");
        pair_up(&riak).await;
    })
    .await;
}

async fn a_node_that_trickles<R: Plug>(runtime: R) {
    let long = frame(RpbPutResp { key: Some(vec![b'k'; 100].into()), ..RpbPutResp::default() });
    let act = |code: Code, _| if code.0 == 1 { Act::Say(pong()) } else { Act::Trickle(long.clone()) };
    with_node(&runtime, act, async |url| {
        let riak = builder(&runtime).connect(&url).await.expect("connected");
        let (before, wait) = (runtime.now(), TRICKLE * 5);
        // It is never silent for long, and all the same the time is up when it is up.
        let late = riak.timeout(Some(wait)).put(key(), Content::new("v")).await;
        assert!(matches!(late, Err(Error::TimedOut(Progress::FullySent))), "{late:?}");
        let waited = runtime.now() - before;
        assert!(waited >= wait && waited < TRICKLE * 100, "it took {waited:?}");
    })
    .await;
}

/// A node that closes the first connections when it gets anything but a ping, and notes what it got.
async fn closing<R: Plug>(
    runtime: &R,
    closed: usize,
    work: impl AsyncFnOnce(Client<R>, Rc<RefCell<Vec<u8>>>),
) {
    let seen = Rc::new(RefCell::new(Vec::new()));
    let notes = seen.clone();
    let act = move |code: Code, number: usize| {
        if code.0 == 1 {
            return Act::Say(pong());
        }
        notes.borrow_mut().push(code.0);
        let answer = if code.0 == 9 { frame(RpbGetResp::default()) } else { frame(RpbPutResp::default()) };
        if number <= closed { Act::SayAndClose(Vec::new()) } else { Act::Say(answer) }
    };
    with_node(runtime, act, async |url| {
        let riak = builder(runtime).connect(&url).await.expect("connected");
        work(riak, seen).await;
    })
    .await;
}

async fn a_write_is_not_sent_twice<R: Plug>(runtime: R) {
    closing(&runtime, 1, async |riak: Client<R>, seen| {
        riak.ping().await.expect("pong");
        let lost = riak.put(key(), Content::new("v")).await;
        assert_eq!(lost.expect_err("nobody knows").progress(), Progress::FullySent);
        assert_eq!(*seen.borrow(), [11]);
        riak.put(key(), Content::new("v")).await.expect("stored");
        assert_eq!(*seen.borrow(), [11, 11]);
    })
    .await;
}

async fn a_write_is_sent_twice_if_told_so<R: Plug>(runtime: R) {
    closing(&runtime, 1, async |riak: Client<R>, seen| {
        let riak = riak.with_repeats();
        riak.ask(Put::new(key(), Content::new("v"))).await.expect("stored");
        assert_eq!(*seen.borrow(), [11, 11]);
    })
    .await;
}

async fn a_read_is_sent_again<R: Plug>(runtime: R) {
    closing(&runtime, 1, async |riak: Client<R>, seen| {
        assert_eq!(riak.get(key()).await.expect("answered"), None);
        assert_eq!(*seen.borrow(), [9, 9]);
    })
    .await;
    // But not for ever: a fresh connection that is lost speaks against its node.
    closing(&runtime, 100, async |riak: Client<R>, seen| {
        let lost = riak.get(key()).await;
        assert!(matches!(lost, Err(Error::Lost(_))), "{lost:?}");
        assert_eq!(*seen.borrow(), [9, 9]);
    })
    .await;
}

async fn a_connection_that_was_closed_while_it_rested<R: Plug>(runtime: R) {
    let act = |code: Code, _| match code.0 {
        1 => Act::SayAndClose(pong()),
        _ => Act::Say(frame(RpbPutResp::default())),
    };
    with_node(&runtime, act, async |url| {
        let riak = builder(&runtime).connect(&url).await.expect("connected");
        riak.ping().await.expect("pong");
        glowplug::runtime::time::sleep(&runtime, Duration::from_millis(150)).await;
        // A write would not be sent again; so it was not sent where nobody reads.
        riak.put(key(), Content::new("v")).await.expect("stored");
    })
    .await;
}

async fn one_node_of_three_is_not_there<R: Plug>(runtime: R) {
    let gone = {
        let listener = runtime.listen(&any_port()).await.expect("a free port");
        listener.local_endpoint().expect("an address")
    };
    let one = Server::bind(runtime.clone(), any_port()).await.expect("a free port");
    let other = Server::bind(runtime.clone(), any_port()).await.expect("a free port");
    let at = [&one, &other].map(|server| server.local_endpoint().expect("an address"));
    let url = format!("riak://{gone},{},{}", at[0], at[1]);
    let handle = node();
    let serving = join(
        serve_memory(runtime.clone(), one, handle.clone()),
        serve_memory(runtime.clone(), other, handle.clone()),
    );
    let work = async {
        let riak = Client::builder(runtime.clone()).connect(&url).await.expect("connected");
        fill(&riak).await;
        join_all((0..20).map(|_| pair_up(&riak))).await;
        let up: Vec<bool> = riak.nodes().into_iter().map(|(_, up)| up).collect();
        assert_eq!(up, [false, true, true]);
    };
    beside(work, serving).await;
}

async fn no_node_is_there<R: Plug>(runtime: R) {
    let gone = {
        let listener = runtime.listen(&any_port()).await.expect("a free port");
        listener.local_endpoint().expect("an address")
    };
    let refused = Client::builder(runtime.clone()).connect(&format!("riak://{gone}")).await;
    assert!(matches!(refused, Err(ConnectError::Dial(_))), "{refused:?}");
    let two = format!("riak://{gone},{gone}");
    let refused = Client::builder(runtime.clone()).connect(&two).await;
    assert!(matches!(refused, Err(ConnectError::Unreachable(_))), "{refused:?}");
    let riak = Client::builder(runtime.clone()).build(&two).expect("a client");
    for _ in 0..3 {
        let error = riak.put(key(), Content::new("v")).await.expect_err("nobody is there");
        assert!(matches!(error, Error::Unreachable(_)), "{error:?}");
        assert_eq!(error.progress(), Progress::NotSent);
    }
}

async fn room_is_limited<R: Plug>(runtime: R) {
    let act = |code: Code, _| if code.0 == 1 { Act::Say(pong()) } else { Act::Ignore };
    with_node(&runtime, act, async |url| {
        let pool = PoolConfig::default().max_per_key(1).max_waiting(1);
        let riak = impatient(&runtime).pool(pool).connect(&url).await.expect("connected");
        let short = riak.timeout(Some(Duration::from_millis(100)));
        let busy = async { riak.get(key()).await.expect_err("never answered") };
        let waits = async {
            let error = short.ping().await.expect_err("there is no room");
            assert!(matches!(error, Error::TimedOut(Progress::NotSent)), "{error:?}");
        };
        let beyond = async {
            let error = short.ping().await.expect_err("there is no room to wait");
            assert!(matches!(error, Error::NoRoom(PoolError::Overloaded)), "{error:?}");
        };
        join(busy, join(waits, beyond)).await;
        riak.ping().await.expect("pong");
    })
    .await;
}

async fn urls_that_cannot_be_used<R: Plug>(runtime: R) {
    for url in ["redis://localhost", "riak://", "riak://user@host?tls=false"] {
        let refused = Client::builder(runtime.clone()).build(url);
        assert!(matches!(refused, Err(ConnectError::Url(_))), "{refused:?}");
    }
}

#[test]
fn errors_say_what_happened_in_one_line() {
    let texts = [
        Error::TimedOut(Progress::FullySent).to_string(),
        Error::Contended { attempts: 8 }.to_string(),
        Error::TooLong.to_string(),
        ConnectError::TimedOut.to_string(),
    ];
    for text in texts {
        assert!(text.starts_with(char::is_lowercase) && !text.ends_with('.'), "{text}");
    }
}
