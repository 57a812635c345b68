//! Futures dropped at every poll, and streams half-way: a hundred answers pair up afterwards.

use futures_util::future::{FutureExt as _, LocalBoxFuture, join};
use glowplug::runtime::pool::PoolConfig;
use glowplug::runtime::riak::request::Index;
use glowplug::runtime::riak::resolve::LastWriteWins;
use glowplug::runtime::riak::{Bucket, Client, Content, Error, Location, MapChange, SetChange, serve_memory};
use glowplug::runtime::server::Server;

use crate::support::{any_port, beside, on_each_executor};
use crate::{MANY, Plug, fill, node, pair_up, polled, with_client};

on_each_executor![
    every_verb_dropped_at_every_poll,
    streams_dropped_half_way,
    connecting_dropped_at_every_poll,
    waiting_for_room_dropped_at_every_poll,
];

/// A verb, to be asked for again and again.
type Verb<'v> = Box<dyn Fn() -> LocalBoxFuture<'v, Result<(), Error>> + 'v>;

async fn every_verb_dropped_at_every_poll<R: Plug>(runtime: R) {
    with_client(runtime, async |riak: Client<R>| {
        fill(&riak).await;
        let key = || Location::new("bucket", "k");
        let set = || Bucket::typed("sets", "s").key("k");
        riak.update_data(set(), SetChange::new().add("a")).await.expect("changed");
        let riak = &riak;
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
                many.into_iter().try_for_each(|(_, object)| object.map(drop))
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
