//! Connections that are lost, nodes that are gone, and where the limits are.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use futures_util::future::{join, join_all};
use glowplug::core::Progress;
use glowplug::riak::wire::Code;
use glowplug::riak::wire::kv::{RpbGetResp, RpbPutResp};
use glowplug::runtime::Listener as _;
use glowplug::runtime::pool::{PoolConfig, PoolError};
use glowplug::runtime::riak::request::Put;
use glowplug::runtime::riak::{Client, ConnectError, Content, Error, serve_memory};
use glowplug::runtime::server::Server;

use crate::node::{Act, frame, pong, with_node};
use crate::support::{any_port, beside, on_each_executor};
use crate::{Plug, builder, fill, impatient, key, node, pair_up};

on_each_executor![
    a_write_is_not_sent_twice,
    a_write_is_sent_twice_if_told_so,
    a_read_is_sent_again,
    a_connection_that_was_closed_while_it_rested,
    one_node_of_three_is_not_there,
    no_node_is_there,
    room_is_limited,
    urls_that_cannot_be_used,
];

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
