//! Nodes that break the protocol, say too much, or nothing at all.

use std::time::Duration;

use glowplug::core::Progress;
use glowplug::riak::wire::Code;
use glowplug::riak::wire::kv::{RpbGetResp, RpbPutResp};
use glowplug::riak::wire::riak::{RpbErrorResp, RpbStartTls};
use glowplug::runtime::drive::DriverError;
use glowplug::runtime::riak::request::{Get, Index};
use glowplug::runtime::riak::{Bucket, Client, ConnectError, Content, Error, ServerError, ServerErrorKind};

use crate::node::{Act, TRICKLE, frame, keys, pong, with_node};
use crate::support::on_each_executor;
use crate::{Plug, SILENCE, builder, fill, impatient, key, pair_up, with_client};

on_each_executor![
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
];

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
        let kind = refused.as_ref().err().and_then(Error::refusal).map(ServerError::kind);
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
        match refused {
            Err(ConnectError::Handshake(Some(DriverError::Protocol(error)))) => {
                let unsafe_bytes = glowplug::riak::PeerError::PlaintextAfterStartTls;
                assert_eq!(error, glowplug::riak::Error::Peer(unsafe_bytes));
            }
            // They came later than the agreement, and so into the handshake, to which they are no TLS.
            Err(ConnectError::Tls(error)) => assert_eq!(error.kind(), std::io::ErrorKind::InvalidData),
            other => panic!("{other:?}"),
        }
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
