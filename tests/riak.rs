//! The Riak client against the node in memory, on every executor: every verb, every option that changes an answer, streams, data types, siblings
//! and typed values.

mod support;

use std::time::Duration;

use futures_util::TryStreamExt as _;
use futures_util::future::join_all;
use glowplug::core::Seed;
use glowplug::runtime::riak::memory::{Handle, Node, NodeConfig};
use glowplug::runtime::riak::request::{
    Delete, FetchData, Get, GetBucket, Index, ListKeys, MapReduce, Put, Scan, UpdateData,
};
use glowplug::runtime::riak::resolve::{KeepWrites, LastWriteWins, Pairwise};
use glowplug::runtime::riak::wire::aae::{ChangeMethod, RpbTreeSize};
use glowplug::runtime::riak::wire::riak::RpbBucketProps;
use glowplug::runtime::riak::{
    Bucket, Client, Content, Error, Fetched, GSetChange, HllChange, Location, MapChange, Object, Quorum,
    Reaper, ServerErrorKind, Serving, SetChange, fold, serve_memory,
};
use glowplug::runtime::server::Server;
use glowplug::runtime::{Runtime, Spawn};
use serde::{Deserialize, Serialize};

use support::{any_port, beside};

support::on_each_executor![
    objects_come_back_as_they_went,
    options_change_the_answer,
    siblings_are_kept_and_resolved,
    updates_add_up,
    an_update_may_leave_things_as_they_are,
    others_who_are_always_faster_end_an_update,
    many_are_read_at_once,
    listings_are_streams,
    indexes_by_stream_and_by_page,
    data_types,
    maps_in_maps,
    properties,
    typed_values,
    values_of_another_type_are_an_error,
    folds_look_at_a_whole_bucket,
    jobs_are_mapped_and_reduced,
    what_the_node_does_not_know_is_refused,
    a_request_too_long_is_refused_here,
    clones_share_connections,
    a_closed_client_asks_nobody,
];

/// What these tests ask of a plug.
trait Plug: Runtime + Spawn<Reaper<Self>> + Spawn<Serving<Self>> {}

impl<R: Runtime + Spawn<Reaper<R>> + Spawn<Serving<R>>> Plug for R {}

fn node() -> Handle {
    Handle::new(Node::new(&Seed::from_u64(8), NodeConfig::new()))
}

/// Runs `work` with a client of a fresh node.
async fn with_client<R: Plug>(runtime: R, work: impl AsyncFnOnce(Client<R>)) {
    let server = Server::bind(runtime.clone(), any_port()).await.expect("a free port");
    let url = format!("riak://{}", server.local_endpoint().expect("an address"));
    let work = async {
        let client = Client::builder(runtime.clone()).connect(&url).await.expect("connected");
        work(client).await;
    };
    let stopper = server.stopper();
    let serving = serve_memory(runtime.clone(), server, node());
    beside(work, serving).await;
    stopper.stop();
}

fn key(key: &'static str) -> Location {
    Location::new("bucket", key)
}

fn siblings(key: &'static str) -> Location {
    Bucket::typed("mult", "bucket").key(key)
}

fn values(object: &Object) -> Vec<&[u8]> {
    object.siblings.iter().map(|sibling| &sibling.value[..]).collect()
}

fn kind<T: std::fmt::Debug>(result: Result<T, Error>) -> ServerErrorKind {
    match result {
        Err(Error::Refused(error)) => error.kind(),
        other => panic!("not refused but {other:?}"),
    }
}

async fn objects_come_back_as_they_went<R: Plug>(runtime: R) {
    with_client(runtime, async |riak: Client<R>| {
        riak.ping().await.expect("pong");
        assert!(riak.server_info().await.expect("info").node.is_some());
        assert_eq!(riak.get(key("k")).await.expect("answered"), None);
        let content = Content::new("value")
            .content_type("text/plain")
            .charset("utf-8")
            .content_encoding("identity")
            .meta("colour", "blue")
            .link("bucket", "other", "friend")
            .index_bin("email", "ada@example.com")
            .index_int("age", 36);
        riak.put(key("k"), content.clone()).await.expect("stored");
        let object = riak.get(key("k")).await.expect("answered").expect("there");
        let read = object.content().expect("one content");
        assert!(object.vclock.is_some() && read.vtag.is_some() && read.last_modified.is_some());
        assert_eq!(Content { vtag: None, last_modified: None, ..read.clone() }, content);
        // A put after a get replaces what was read.
        riak.ask(object.put(key("k"), Content::new("newer"))).await.expect("stored");
        let object = riak.get(key("k")).await.expect("answered").expect("there");
        assert_eq!(values(&object), [b"newer"]);
        riak.delete(key("k")).await.expect("deleted");
        assert_eq!(riak.get(key("k")).await.expect("answered"), None);
        let with_clock = Get::new(key("k")).deletedvclock(true);
        assert!(matches!(riak.ask(with_clock).await, Ok(Fetched::NotFound(Some(_)))));
        let made = riak.ask(Put::with_new_key("bucket", Content::new("v"))).await.expect("stored");
        let made = Location::new("bucket", made.key.expect("a key of the node's"));
        assert!(riak.get(made).await.expect("answered").is_some());
        assert_eq!(riak.preflist(key("k")).await.expect("answered").len(), 3);
    })
    .await;
}

async fn options_change_the_answer<R: Plug>(runtime: R) {
    with_client(runtime, async |riak: Client<R>| {
        let put = || Put::new(key("k"), Content::new("value").content_type("text/plain"));
        let stored = riak.ask(put().return_body(true).w(Quorum::Majority).dw(Quorum::One).pw(Quorum::One));
        let stored = stored.await.expect("stored").object.expect("the body");
        assert_eq!(values(&stored), [b"value"]);
        let head = riak.ask(put().return_head(true).sloppy_quorum(false).n_val(3)).await.expect("stored");
        assert_eq!(values(&head.object.expect("the head")), [b""]);
        let object = riak.get(key("k")).await.expect("answered").expect("there");
        let clock = object.vclock.clone().expect("a clock");
        let get = || Get::new(key("k")).timeout(Duration::from_secs(3));
        assert_eq!(riak.ask(get().if_modified(clock.clone())).await.expect("answered"), Fetched::Unchanged);
        let read = get().head(true).r(Quorum::All).pr(Quorum::Count(2)).notfound_ok(false).basic_quorum(true);
        let read = riak.ask(read).await.expect("answered").found().expect("there");
        assert_eq!(values(&read), [b""]);
        assert_eq!(read.siblings[0].content_type.as_deref(), Some(&b"text/plain"[..]));
        assert_eq!(kind(riak.ask(get().r(Quorum::Count(4))).await), ServerErrorKind::QuorumImpossible);
        assert_eq!(kind(riak.ask(put().if_none_match(true)).await), ServerErrorKind::MatchFound);
        assert_eq!(kind(riak.ask(put().if_not_modified(true)).await), ServerErrorKind::Modified);
        riak.ask(put().if_not_modified(true).vclock(clock)).await.expect("nobody wrote since");
        assert_eq!(kind(riak.ask(put().node_confirms(2)).await), ServerErrorKind::QuorumNotMet);
        let delete = Delete::new(key("k")).rw(Quorum::Default).w(Quorum::All).timeout(Duration::from_secs(1));
        riak.ask(delete).await.expect("deleted");
    })
    .await;
}

async fn siblings_are_kept_and_resolved<R: Plug>(runtime: R) {
    with_client(runtime, async |riak: Client<R>| {
        for value in ["c", "a", "b"] {
            riak.put(siblings("k"), Content::new(value)).await.expect("stored");
        }
        let mut object = riak.get(siblings("k")).await.expect("answered").expect("there");
        assert!(object.is_conflicted() && object.siblings.len() == 3);
        let least =
            Pairwise(|one: Content, other: Content| if one.value < other.value { one } else { other });
        let chosen = object.resolve(&mut least.clone()).clone();
        assert_eq!(chosen.value, "a");
        riak.ask(object.put(siblings("k"), chosen)).await.expect("stored");
        let object = riak.get(siblings("k")).await.expect("answered").expect("there");
        assert_eq!(values(&object), [b"a"]);

        // A delete that does not know of a write, and the write: the resolver chooses.
        riak.put(siblings("k"), Content::new("z")).await.expect("stored");
        riak.ask(Delete::new(siblings("k")).vclock(object.vclock.expect("a clock"))).await.expect("deleted");
        let whole_set = &mut KeepWrites(|mut all: Vec<Content>| all.swap_remove(0));
        let kept = riak.update(siblings("k"), whole_set, |content| content).await.expect("stored");
        assert_eq!(kept.expect("a write").value, "z");
        let object = riak.get(siblings("k")).await.expect("answered").expect("there");
        assert_eq!(values(&object), [b"z"]);
    })
    .await;
}

fn number(content: Option<&Content>) -> u32 {
    let text = content.map(|content| String::from_utf8(content.value.to_vec()).expect("digits"));
    text.map_or(0, |text| text.parse().expect("a number"))
}

async fn add_one<R: Plug>(riak: &Client<R>, location: &Location) -> Result<Option<Content>, Error> {
    let add = |content: Option<Content>| Some(Content::new((number(content.as_ref()) + 1).to_string()));
    riak.update(location.clone(), &mut LastWriteWins, add).await
}

async fn updates_add_up<R: Plug>(runtime: R) {
    with_client(runtime, async |riak: Client<R>| {
        let (riak, location) = (&riak, key("sum"));
        // Everybody gives up sometimes, and nobody's addition is lost or made twice.
        let adding = (0..6).map(|_| async {
            let mut made = 0;
            for _ in 0..5 {
                match add_one(riak, &key("sum")).await {
                    Ok(stored) => made += u32::from(stored.is_some()),
                    Err(Error::Contended { attempts: 8 }) => {}
                    Err(error) => panic!("{error}"),
                }
            }
            made
        });
        let made: u32 = join_all(adding).await.iter().sum();
        assert!(made > 0);
        let object = riak.get(location.clone()).await.expect("answered").expect("there");
        assert_eq!(number(object.content()), made);
        // Over a tombstone an update begins anew.
        riak.delete(location.clone()).await.expect("deleted");
        add_one(riak, &location).await.expect("stored");
        let object = riak.get(location).await.expect("answered").expect("there");
        assert_eq!(number(object.content()), 1);
    })
    .await;
}

async fn an_update_may_leave_things_as_they_are<R: Plug>(runtime: R) {
    with_client(runtime, async |riak: Client<R>| {
        riak.put(key("k"), Content::new("1")).await.expect("stored");
        let before = riak.get(key("k")).await.expect("answered");
        let stored = riak.update(key("k"), &mut LastWriteWins, |_| None).await.expect("read");
        assert_eq!((stored, riak.get(key("k")).await.expect("answered")), (None, before));
    })
    .await;
}

async fn others_who_are_always_faster_end_an_update<R: Plug>(runtime: R) {
    let server = Server::bind(runtime.clone(), any_port()).await.expect("a free port");
    let url = format!("riak://{}", server.local_endpoint().expect("an address"));
    let handle = node();
    let seed = Seed::from_u64(1);
    let work = async {
        let builder = Client::builder(runtime.clone()).update_attempts(3);
        let riak = builder.connect(&url).await.expect("connected");
        let (mut calls, mut rng) = (0, seed.rng());
        let resolver = &mut LastWriteWins;
        let ended = riak.update(key("k"), resolver, |_| {
            calls += 1;
            // Somebody else writes between the read and the write.
            let put = Put::new(key("k"), Content::new(rng.u64().to_string()));
            let request = glowplug::runtime::riak::request::Ask::into_request(put);
            handle.with(|node| drop(node.handle(Duration::from_secs(1), 0, request)));
            Some(Content::new("mine"))
        });
        let ended = ended.await;
        assert!(matches!(ended, Err(Error::Contended { attempts: 3 })), "{ended:?}");
        assert_eq!(calls, 3);
    };
    beside(work, serve_memory(runtime.clone(), server, handle.clone())).await;
}

async fn many_are_read_at_once<R: Plug>(runtime: R) {
    with_client(runtime, async |riak: Client<R>| {
        for n in 0..50 {
            let location = Location::new("bucket", format!("k{n:02}"));
            riak.put(location, Content::new(n.to_string())).await.expect("stored");
        }
        let wanted: Vec<Location> = (0..60).map(|n| Location::new("bucket", format!("k{n:02}"))).collect();
        let read = riak.get_many(wanted.clone(), 7).await;
        assert_eq!(read.len(), 60);
        for (n, (location, object)) in read.into_iter().enumerate() {
            assert_eq!(location, wanted[n]);
            let object = object.expect("answered");
            let value = object.as_ref().and_then(Object::content).map(|content| content.value.to_vec());
            assert_eq!(value, (n < 50).then(|| n.to_string().into_bytes()));
        }
        assert!(riak.connections() <= 7, "{} connections", riak.connections());
        assert!(riak.get_many(Vec::<Location>::new(), 7).await.is_empty());
    })
    .await;
}

async fn listings_are_streams<R: Plug>(runtime: R) {
    with_client(runtime, async |riak: Client<R>| {
        for n in 0..250 {
            let location = Location::new("bucket", format!("{n:03}"));
            riak.put(location, Content::new("v")).await.expect("stored");
        }
        let mut keys = riak.list_keys("bucket").await.expect("begun");
        let mut chunks = Vec::new();
        while let Some(chunk) = keys.next().await {
            chunks.push(chunk.expect("keys").len());
        }
        assert_eq!(chunks, [100, 100, 50, 0]);
        assert!(keys.next().await.is_none());
        let keys = riak.list_keys("bucket").await.expect("begun").collect_flat().await.expect("keys");
        assert_eq!((keys.len(), &keys[249][..]), (250, &b"249"[..]));
        let as_stream = riak.stream(ListKeys::new("bucket")).await.expect("begun");
        let chunks: Vec<_> = as_stream.try_collect().await.expect("keys");
        assert_eq!(chunks.concat().len(), 250);
        let buckets = riak.list_buckets(None).await.expect("begun").collect_flat().await.expect("buckets");
        assert_eq!(buckets, ["bucket"]);
        assert_eq!(kind(riak.list_buckets(Some("none".into())).await), ServerErrorKind::NoBucketType);
        let scan = Scan::new("bucket", "100").end_key("200").max_results(60);
        let scanned = riak.scan(scan).await.expect("begun").collect().await.expect("objects");
        assert_eq!(scanned.iter().map(|part| part.objects.len()).sum::<usize>(), 60);
        assert!(scanned.last().expect("an end").continuation.is_some());
        // All of it went over connections that were used again and again.
        assert_eq!(riak.connections(), 1);
    })
    .await;
}

async fn indexes_by_stream_and_by_page<R: Plug>(runtime: R) {
    with_client(runtime, async |riak: Client<R>| {
        for n in -5..20 {
            let content = Content::new("v").index_int("n", n).index_bin("word", format!("w{n:02}"));
            riak.put(Location::new("bucket", format!("k{n}")), content).await.expect("stored");
        }
        let range = || Index::range_int("bucket", "n_int", -2, 11);
        let streamed = riak.index(range().return_terms(true)).await.expect("begun");
        let streamed = streamed.collect().await.expect("results");
        let streamed: Vec<_> = streamed.into_iter().flat_map(|part| part.matches).collect();
        assert_eq!(streamed.len(), 14);
        assert_eq!((streamed[0].term.as_deref(), &streamed[0].key[..]), (Some(&b"-2"[..]), &b"k-2"[..]));
        let at_once = riak.ask(range().stream(true)).await.expect("answered");
        assert_eq!(at_once.matches.len(), 14, "asked once, it is answered once");

        let mut pages = riak.index_pages(range(), 5);
        let mut lens = Vec::new();
        while let Some(page) = pages.next().await {
            lens.push(page.expect("a page").matches.len());
        }
        assert_eq!((lens, pages.continuation()), (vec![5, 5, 4], None));
        let mut first = riak.index_pages(range(), 5);
        assert_eq!(first.next().await.expect("a page").expect("results").matches.len(), 5);
        let from = first.continuation().cloned().expect("more");
        let rest = riak.index_pages(range(), 100).from(from).next().await.expect("a page").expect("results");
        assert_eq!(rest.matches.len(), 9);

        let equal = riak.ask(Index::equal("bucket", "word_bin", "w07")).await.expect("answered");
        assert_eq!(equal.matches[0].key, "k7");
        let keys = riak.ask(Index::range("bucket", "$key", "k1", "k11")).await.expect("answered");
        assert_eq!(keys.matches.len(), 3);
    })
    .await;
}

async fn data_types<R: Plug>(runtime: R) {
    with_client(runtime, async |riak: Client<R>| {
        let counter = Bucket::typed("counters", "c").key("k");
        assert_eq!(riak.counter(counter.clone()).await.expect("answered"), 0);
        riak.add_to_counter(counter.clone(), 5).await.expect("added");
        riak.add_to_counter(counter.clone(), -7).await.expect("added");
        assert_eq!(riak.counter(counter.clone()).await.expect("answered"), -2);
        assert!(matches!(riak.set(counter).await, Err(Error::WrongDataType)));

        let set = Bucket::typed("sets", "s").key("k");
        riak.update_data(set.clone(), SetChange::new().add("a").add("b")).await.expect("changed");
        // The context is read behind the scenes.
        riak.update_data(set.clone(), SetChange::new().remove("a").add("c")).await.expect("changed");
        assert_eq!(riak.set(set.clone()).await.expect("answered"), ["b", "c"]);
        // An old context removes only what it has seen.
        let read = riak.fetch_data(set.clone()).await.expect("answered");
        riak.update_data(set.clone(), SetChange::new().add("b")).await.expect("changed");
        let stale = read.update(set.clone(), SetChange::new().remove("b").remove("c"));
        riak.ask(stale).await.expect("changed");
        assert_eq!(riak.set(set.clone()).await.expect("answered"), ["b"]);
        let without = FetchData::new(set).include_context(false).r(Quorum::One);
        assert_eq!(riak.ask(without).await.expect("answered").context, None);
        let never = Bucket::typed("sets", "s").key("never");
        let removal = riak.update_data(never, SetChange::new().remove("z")).await;
        assert_eq!(kind(removal), ServerErrorKind::NeedsContext);

        let gset = Bucket::typed("gsets", "g").key("k");
        riak.update_data(gset.clone(), GSetChange::new().add("x").add("x")).await.expect("changed");
        assert_eq!(riak.set(gset).await.expect("answered"), ["x"]);
        let hll = Bucket::typed("hlls", "h").key("k");
        riak.update_data(hll.clone(), HllChange::new().add("a").add("b").add("a")).await.expect("changed");
        assert_eq!(riak.hll(hll).await.expect("answered"), 2);

        assert_eq!(riak.legacy_counter("old", "k").await.expect("answered"), None);
        let props = RpbBucketProps { allow_mult: Some(true), ..RpbBucketProps::default() };
        riak.set_bucket_props("old", props).await.expect("set");
        riak.add_to_legacy_counter("old", "k", 3).await.expect("added");
        assert_eq!(riak.legacy_counter("old", "k").await.expect("answered"), Some(3));
    })
    .await;
}

async fn maps_in_maps<R: Plug>(runtime: R) {
    with_client(runtime, async |riak: Client<R>| {
        let location = Bucket::typed("maps", "users").key("ada");
        let change = MapChange::new()
            .counter("visits", 1)
            .set("tags", SetChange::new().add("new"))
            .register("name", "Ada")
            .flag("active", true)
            .map("address", MapChange::new().register("city", "London").register("zip", "N1"));
        riak.update_data(location.clone(), change).await.expect("changed");
        let change = MapChange::new()
            .counter("visits", 1)
            .remove_flag("active")
            .map("address", MapChange::new().remove_register("zip"));
        let update = riak.fetch_data(location.clone()).await.expect("answered");
        let update: UpdateData = update.update(location.clone(), change).return_body(true);
        assert!(riak.ask(update).await.expect("changed").value.is_some());
        let map = riak.map(location).await.expect("answered");
        assert_eq!((map.counter("visits"), map.flag("active")), (Some(2), None));
        let address = map.map("address").expect("a map");
        assert_eq!((address.register("city"), address.register("zip")), (Some(&"London".into()), None));
    })
    .await;
}

async fn properties<R: Plug>(runtime: R) {
    with_client(runtime, async |riak: Client<R>| {
        let defaults = riak.bucket_props("bucket").await.expect("answered");
        let props = RpbBucketProps { n_val: Some(5), ..RpbBucketProps::default() };
        riak.set_bucket_props("bucket", props.clone()).await.expect("set");
        assert_eq!(riak.bucket_props("bucket").await.expect("answered").n_val, Some(5));
        riak.reset_bucket_props("bucket").await.expect("reset");
        assert_eq!(riak.ask(GetBucket::new("bucket")).await.expect("answered"), defaults);
        riak.set_bucket_type_props("mult", props).await.expect("set");
        assert_eq!(riak.bucket_type_props("mult").await.expect("answered").n_val, Some(5));
    })
    .await;
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct User {
    name: String,
    visits: u32,
}

fn user(visits: u32) -> User {
    User { name: "Ada".to_owned(), visits }
}

async fn typed_values<R: Plug>(runtime: R) {
    with_client(runtime, async |riak: Client<R>| {
        let users = riak.typed::<User>(Bucket::typed("mult", "users"));
        let users = users.resolve_by(|one, other| User { visits: one.visits + other.visits, ..one });
        assert_eq!(users.get("ada").await.expect("answered"), None);
        users.put("ada", &user(1)).await.expect("stored");
        let mut read = users.get("ada").await.expect("answered").expect("there");
        assert_eq!(read.content.content_type.as_deref(), Some(&b"application/json"[..]));
        read.value.visits += 1;
        users.replace("ada", &read).await.expect("stored");
        // A second write that does not know of the first: both are counted.
        users.put("ada", &user(10)).await.expect("stored");
        assert_eq!(users.get("ada").await.expect("answered").expect("there").value, user(12));
        let visit = |user: Option<User>| user.map(|user| User { visits: user.visits + 1, ..user });
        assert_eq!(users.update("ada", visit).await.expect("stored"), Some(user(13)));
        assert_eq!(users.update("nobody", visit).await.expect("read"), None);
        let read = users.get_many(["ada", "nobody"], 2).await;
        let read: Vec<Option<User>> =
            read.into_iter().map(|read| read.expect("answered").map(|read| read.value)).collect();
        assert_eq!(read, [Some(user(13)), None]);
        let read = users.get("ada").await.expect("answered").expect("there");
        assert!(read.content.links.is_empty());
        users.delete("ada", &read).await.expect("deleted");
        assert_eq!(users.get("ada").await.expect("answered"), None);
    })
    .await;
}

async fn values_of_another_type_are_an_error<R: Plug>(runtime: R) {
    with_client(runtime, async |riak: Client<R>| {
        let location = siblings("ada");
        riak.put(location.clone(), Content::new("no json")).await.expect("stored");
        let users = riak.typed::<User>(location.bucket.clone());
        assert!(matches!(users.get("ada").await, Err(Error::Codec(_))));
        assert!(matches!(users.update("ada", |user| user).await, Err(Error::Codec(_))));
        // Nor are siblings resolved to what one of them is not, and nothing is written.
        users.put("ada", &user(1)).await.expect("stored");
        let users = users.resolve_by(|one, _| one);
        assert!(matches!(users.update("ada", |_| Some(user(2))).await, Err(Error::Codec(_))));
        let object = riak.get(location).await.expect("answered").expect("there");
        assert_eq!(object.siblings.len(), 2);
    })
    .await;
}

async fn folds_look_at_a_whole_bucket<R: Plug>(runtime: R) {
    with_client(runtime, async |riak: Client<R>| {
        for key in ["a", "b", "c"] {
            riak.put(siblings(key), Content::new("one")).await.expect("stored");
        }
        riak.put(siblings("b"), Content::new("two")).await.expect("stored");
        let range = fold::Range::new(Bucket::typed("mult", "bucket"));
        let found = riak.ask(range.find_siblings(1)).await.expect("answered").keys_count;
        assert_eq!(
            found.iter().map(|found| (&found.tag[..], found.count)).collect::<Vec<_>>(),
            [(&b"b"[..], 2)]
        );
        let stats = riak.ask(range.object_stats()).await.expect("answered").keys_count;
        assert_eq!((&stats[0].tag[..], stats[0].count), (&b"total_count"[..], 3));
        let clocks = riak.ask(range.clone().keys("b", "z").fetch_clocks()).await.expect("answered");
        assert_eq!(clocks.keys_value.iter().map(|found| &found.key[..]).collect::<Vec<_>>(), [b"b", b"c"]);
        riak.ask(range.keys("a", "b").erase_keys(ChangeMethod::Local, None)).await.expect("answered");
        assert_eq!(riak.get(siblings("a")).await.expect("answered"), None);
        assert!(riak.get(siblings("c")).await.expect("answered").is_some());
    })
    .await;
}

async fn jobs_are_mapped_and_reduced<R: Plug>(runtime: R) {
    with_client(runtime, async |riak: Client<R>| {
        for value in ["b", "c", "a"] {
            let location = Location::new("bucket", format!("of {value}"));
            riak.put(location, Content::new(value)).await.expect("stored");
        }
        let phase = |kind: &str, function: &str| {
            let function = format!(r#""module":"riak_kv_mapreduce","function":"{function}""#);
            format!(r#"{{"{kind}":{{"language":"erlang",{function},"keep":true}}}}"#)
        };
        let (values, sorted) = (phase("map", "map_object_value"), phase("reduce", "reduce_sort"));
        let inputs = r#"[["bucket","of c"],["bucket","of a"],["bucket","of b"]]"#;
        let job = format!(r#"{{"inputs":{inputs},"query":[{values},{sorted}]}}"#);
        let mut replies = riak.map_reduce(MapReduce::json(job)).await.expect("begun");
        let mut results = Vec::new();
        while let Some(reply) = replies.next().await {
            let reply = reply.expect("results");
            results.extend(reply.phase.zip(reply.response));
        }
        assert_eq!(results, [(0, r#"["c","a","b"]"#.into()), (1, r#"["a","b","c"]"#.into())]);
        let refused = riak.map_reduce(MapReduce::json("{}")).await;
        assert!(matches!(refused, Err(Error::Refused(error)) if error.text() == "missing_field"));
        // A stream that is left after its first reply leaves a client in order.
        let job = format!(r#"{{"inputs":"bucket","query":[{values},{sorted}]}}"#);
        let mut replies = riak.map_reduce(MapReduce::json(job)).await.expect("begun");
        assert!(replies.next().await.is_some());
        drop(replies);
        riak.ping().await.expect("pong");
    })
    .await;
}

async fn what_the_node_does_not_know_is_refused<R: Plug>(runtime: R) {
    with_client(runtime, async |riak: Client<R>| {
        let tree = riak.ask(fold::Range::new("bucket").merge_trees(RpbTreeSize::Small)).await;
        assert_eq!(kind(tree), ServerErrorKind::UnknownCode);
        assert_eq!(kind(riak.coverage("bucket").await), ServerErrorKind::UnknownCode);
        // A node whose handler crashes closes the connection; the next request has another.
        let crash = riak.ask(Index::equal("bucket", "n_int", "x")).await;
        assert_eq!(kind(crash), ServerErrorKind::Crash);
        riak.ping().await.expect("pong");
        let missing = riak.get(Bucket::typed("none", "b").key("k")).await;
        assert_eq!(kind(missing), ServerErrorKind::NoBucketType);
    })
    .await;
}

async fn a_request_too_long_is_refused_here<R: Plug>(runtime: R) {
    let server = Server::bind(runtime.clone(), any_port()).await.expect("a free port");
    let url = format!("riak://{}", server.local_endpoint().expect("an address"));
    let work = async {
        let config = glowplug::runtime::riak::Config::new().max_frame_len(2000);
        let riak = Client::builder(runtime.clone()).machine(config).connect(&url).await.expect("connected");
        let long = riak.put(key("k"), Content::new(vec![0; 2000])).await;
        assert!(matches!(long, Err(Error::TooLong)), "{long:?}");
        riak.put(key("k"), Content::new(vec![0; 1900])).await.expect("stored");
    };
    beside(work, serve_memory(runtime.clone(), server, node())).await;
}

async fn clones_share_connections<R: Plug>(runtime: R) {
    with_client(runtime, async |riak: Client<R>| {
        for _ in 0..10 {
            riak.clone().timeout(Some(Duration::from_secs(5))).ping().await.expect("pong");
        }
        assert_eq!(riak.connections(), 1);
        join_all((0..10).map(|_| riak.ping())).await;
        assert!((1..=10).contains(&riak.connections()));
        assert_eq!(riak.nodes().len(), 1);
        assert!(riak.nodes()[0].1, "the node is up");
    })
    .await;
}

async fn a_closed_client_asks_nobody<R: Plug>(runtime: R) {
    with_client(runtime, async |riak: Client<R>| {
        riak.ping().await.expect("pong");
        riak.close();
        assert!(matches!(riak.ping().await, Err(Error::NoRoom(_))));
        assert_eq!(riak.connections(), 0);
    })
    .await;
}

#[test]
fn a_client_moves_between_threads() {
    fn is_send<T: Send>(_: &T) {}
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("tokio starts").block_on(async {
        let server = Server::bind(glowplug::tokio::Tokio, any_port()).await.expect("a free port");
        let url = format!("riak://{}", server.local_endpoint().expect("an address"));
        tokio::spawn(serve_memory(glowplug::tokio::Tokio, server, node()));
        let riak = glowplug::tokio::riak::Client::connect(&url).await.expect("connected");
        let tasks = (0..8).map(|n| {
            let riak = riak.clone();
            let work = async move {
                let location = Location::new("bucket", n.to_string());
                riak.put(location.clone(), Content::new("v")).await.expect("stored");
                assert!(add_one(&riak, &key("count")).await.is_ok());
                let mut keys = riak.list_keys("bucket").await.expect("begun");
                while let Some(chunk) = keys.next().await {
                    chunk.expect("keys");
                }
                riak.get_many([location], 2).await.len()
            };
            is_send(&work);
            tokio::spawn(work)
        });
        for task in join_all(tasks).await {
            assert_eq!(task.expect("no panic"), 1);
        }
    });
}
