use core::time::Duration;

use alloc::vec::Vec;
use glowplug_core::Seed;

use super::{Node, NodeConfig};
use crate::datatype::{CounterChange, Data, GSetChange, HllChange, MapChange, SetChange};
use crate::error::{ServerError, ServerErrorKind};
use crate::object::{Bucket, Content, Fetched, Location, Object};
use crate::request::{
    AddToLegacyCounter, Ask, Delete, FetchData, Get, GetBucket, GetLegacyCounter, Index, ListBuckets,
    ListKeys, Put, ResetBucket, Scan, SetBucket, UpdateData,
};
use crate::wire::Blob;
use crate::wire::riak::RpbBucketProps;

/// A node and its clock.
struct Test {
    node: Node,
    time: Duration,
}

impl Test {
    fn new() -> Self {
        let node = Node::new(&Seed::from_u64(8), NodeConfig::new());
        Self { node, time: Duration::from_secs(1_800_000_000) }
    }

    fn ask_all<A: Ask>(&mut self, request: A) -> Result<Vec<A::Answer>, ServerError> {
        let replies = self.node.handle(self.time, 1, request.into_request());
        replies
            .map(|reply| reply.map(|reply| A::read(reply).expect("the node answers what was asked")))
            .collect()
    }

    fn ask<A: Ask>(&mut self, request: A) -> Result<A::Answer, ServerError> {
        self.ask_all(request).map(|mut answers| {
            assert_eq!(answers.len(), 1);
            answers.remove(0)
        })
    }

    fn kind<A: Ask>(&mut self, request: A) -> ServerErrorKind {
        self.ask_all(request).err().expect("a refusal").kind()
    }

    fn get(&mut self, location: &Location) -> Option<Object> {
        self.ask(Get::new(location.clone())).unwrap().found()
    }

    fn put(&mut self, location: &Location, value: &'static str) {
        self.ask(Put::new(location.clone(), Content::new(value))).unwrap();
    }

    fn values(&mut self, location: &Location) -> Vec<Blob> {
        let object = self.get(location);
        object.into_iter().flat_map(|object| object.siblings).map(|sibling| sibling.value).collect()
    }
}

fn sets(key: &'static str) -> Location {
    Bucket::typed("sets", "s").key(key)
}

#[test]
fn writes_that_do_not_know_of_each_other_are_siblings() {
    let (mut test, key) = (Test::new(), Bucket::typed("mult", "b").key("k"));
    test.put(&key, "one");
    let read = test.get(&key).unwrap();
    test.put(&key, "two");
    assert_eq!(test.values(&key), ["one", "two"]);
    // Who has read the first replaces the first alone.
    test.ask(read.put(key.clone(), Content::new("three"))).unwrap();
    assert_eq!(test.values(&key), ["two", "three"]);
    let mut conflict = test.get(&key).unwrap();
    let resolved = conflict.resolve(&mut crate::resolve::LastWriteWins).clone();
    let stored = test.ask(conflict.put(key.clone(), resolved).return_body(true)).unwrap();
    assert_eq!(stored.object, test.get(&key));
    assert_eq!(test.values(&key).len(), 1);
}

#[test]
fn without_siblings_the_last_write_stays() {
    for bucket in [Bucket::new("b"), Bucket::typed("lww", "b")] {
        let (mut test, key) = (Test::new(), bucket.key("k"));
        test.put(&key, "one");
        test.put(&key, "two");
        assert_eq!(test.values(&key), ["two"]);
    }
}

#[test]
fn a_delete_leaves_what_it_has_not_seen() {
    let (mut test, key) = (Test::new(), Bucket::typed("mult", "b").key("k"));
    test.put(&key, "old");
    let clock = test.get(&key).and_then(|object| object.vclock).unwrap();
    test.put(&key, "new");
    test.ask(Delete::new(key.clone()).vclock(clock)).unwrap();
    let object = test.get(&key).unwrap();
    let deleted: Vec<bool> = object.siblings.iter().map(|sibling| sibling.deleted).collect();
    assert_eq!((deleted, object.is_deleted()), (alloc::vec![false, true], false));

    test.ask(Delete::new(key.clone())).unwrap();
    assert_eq!(test.ask(Get::new(key.clone())), Ok(Fetched::NotFound(None)));
    let with_clock = Get::new(key.clone()).deletedvclock(true);
    assert!(matches!(test.ask(with_clock.clone()), Ok(Fetched::NotFound(Some(_)))));
    test.time += Duration::from_secs(4);
    assert_eq!(test.ask(with_clock), Ok(Fetched::NotFound(None)), "the tombstone is reaped");
    assert_eq!(test.node.stored(), 0);
    assert_eq!(test.ask(Delete::new(key)), Ok(()));
}

#[test]
fn conditions_are_looked_at() {
    let (mut test, key) = (Test::new(), Location::new("b", "k"));
    let put = || Put::new(key.clone(), Content::new("v"));
    assert_eq!(test.kind(put().if_not_modified(true)), ServerErrorKind::NotFound);
    test.ask(put().if_none_match(true)).unwrap();
    assert_eq!(test.kind(put().if_none_match(true)), ServerErrorKind::MatchFound);
    assert_eq!(test.kind(put().if_not_modified(true)), ServerErrorKind::Modified);
    let read = test.get(&key).unwrap();
    let clock = read.vclock.clone().unwrap();
    assert_eq!(test.ask(Get::new(key.clone()).if_modified(clock)), Ok(Fetched::Unchanged));
    test.ask(read.put(key.clone(), Content::new("w")).if_not_modified(true)).unwrap();
    let quorum = crate::quorum::Quorum::Count(4);
    assert_eq!(test.kind(Get::new(key.clone()).r(quorum)), ServerErrorKind::QuorumImpossible);
    assert_eq!(test.kind(put().node_confirms(2)), ServerErrorKind::QuorumNotMet);
    let foreign = crate::object::VClock(Blob::from_static(b"not mine"));
    assert_eq!(test.kind(put().vclock(foreign)), ServerErrorKind::Crash);
    assert_eq!(test.kind(Get::new(Bucket::typed("none", "b").key("k"))), ServerErrorKind::NoBucketType);
    assert_eq!(test.ask(Get::new(("", "k"))).unwrap_err().message, "Bucket cannot be zero-length");
}

#[test]
fn the_node_makes_keys() {
    let mut test = Test::new();
    let stored = test.ask(Put::with_new_key("b", Content::new("v"))).unwrap();
    let key = Bucket::new("b").key(stored.key.unwrap());
    assert_eq!(test.values(&key), ["v"]);
    assert!(test.get(&key).unwrap().siblings[0].last_modified.is_some());
}

#[test]
fn heads_have_no_value() {
    let (mut test, key) = (Test::new(), Location::new("b", "k"));
    let put = Put::new(key.clone(), Content::new("v").content_type("text/plain")).return_head(true);
    let head = test.ask(put).unwrap().object.unwrap();
    assert_eq!(Some(&head.siblings[0].value), Some(&Blob::new()));
    assert_eq!(test.ask(Get::new(key).head(true)), Ok(Fetched::Found(head)));
}

#[test]
fn indexes_are_queried_by_value_range_and_page() {
    let mut test = Test::new();
    for n in -5..20 {
        let content = Content::new("v").index_int("n", n).index_bin("word", alloc::format!("w{n:02}"));
        test.ask(Put::new(Bucket::new("b").key(alloc::format!("k{n}")), content)).unwrap();
    }
    let keys = |results: Vec<crate::request::IndexResults>| -> Vec<Blob> {
        results.into_iter().flat_map(|page| page.matches).map(|found| found.key).collect()
    };
    let found = test.ask_all(Index::equal_int("b", "n_int", -3)).unwrap();
    assert_eq!(keys(found), ["k-3"]);
    let range = || Index::range_int("b", "n_int", -2, 11);
    let all = keys(test.ask_all(range()).unwrap());
    assert_eq!((all.len(), &all[0][..], &all[13][..]), (14, &b"k-2"[..], &b"k11"[..]));
    let streamed = test.ask_all(range().stream(true).return_terms(true)).unwrap();
    assert_eq!(streamed[0].matches[0].term, Some("-2".into()));
    assert_eq!(keys(streamed), all);

    let (mut paged, mut continuation) = (Vec::new(), None);
    loop {
        let query = range().max_results(5);
        let query = match continuation.take() {
            Some(from) => query.continuation(from),
            None => query,
        };
        let page = test.ask(query).unwrap();
        continuation = page.continuation.clone();
        paged.extend(keys(alloc::vec![page]));
        if continuation.is_none() {
            break;
        }
    }
    assert_eq!(paged, all);
    assert_eq!(keys(test.ask_all(Index::range("b", "$key", "k1", "k11")).unwrap()), ["k1", "k10", "k11"]);
    assert_eq!(keys(test.ask_all(Index::equal("b", "$bucket", "b")).unwrap()).len(), 25);
    assert_eq!(keys(test.ask_all(Index::equal("b", "word_bin", "w07")).unwrap()), ["k7"]);
    assert_eq!(test.kind(Index::equal("b", "n_int", "x")), ServerErrorKind::Crash);
    assert_eq!(test.kind(Index::equal("b", "n", "x")), ServerErrorKind::Crash);
    let never = Index::equal(Bucket::typed("none", "b"), "n_int", "1");
    assert_eq!(test.ask_all(never).map(|replies| replies.len()), Ok(0), "as a real node, it never answers");
}

#[test]
fn listings_are_streams() {
    let mut test = Test::new();
    for n in 0..250 {
        test.ask(Put::new(Bucket::new("b").key(alloc::format!("{n:03}")), Content::new("v"))).unwrap();
    }
    test.ask(UpdateData::new(sets("k"), SetChange::new().add("x"))).unwrap();
    let parts = test.ask_all(ListKeys::new("b")).unwrap();
    assert_eq!(parts.iter().map(Vec::len).collect::<Vec<_>>(), [100, 100, 50, 0]);
    assert_eq!(test.ask_all(ListKeys::new("none")).map(|parts| parts.len()), Ok(1));
    assert_eq!(test.ask_all(ListBuckets::new(None)).unwrap().concat(), ["b"]);
    assert_eq!(test.ask_all(ListBuckets::new(Some("sets".into()))).unwrap().concat(), ["s"]);
    assert_eq!(test.kind(ListBuckets::new(Some("none".into()))), ServerErrorKind::NoBucketType);

    let page = test.ask_all(Scan::new("b", "100").end_key("200").max_results(60)).unwrap();
    let from = page[1].continuation.clone().unwrap();
    let rest = test.ask_all(Scan::new("b", "100").end_key("200").continuation(from)).unwrap();
    assert_eq!((page[0].objects.len(), rest[0].objects.len()), (60, 40));
    assert_eq!((&rest[0].objects[0].0[..], &rest[1].continuation), (&b"160"[..], &None));
}

#[test]
fn a_removal_takes_what_its_context_has_seen() {
    let mut test = Test::new();
    let elements = |test: &mut Test| match test.ask(FetchData::new(sets("k"))).unwrap().value {
        Some(Data::Set(elements)) => elements,
        other => panic!("no set but {other:?}"),
    };
    test.ask(UpdateData::new(sets("k"), SetChange::new().add("a").add("b"))).unwrap();
    let read = test.ask(FetchData::new(sets("k"))).unwrap();
    test.ask(UpdateData::new(sets("k"), SetChange::new().add("a"))).unwrap();
    test.ask(read.update(sets("k"), SetChange::new().remove("a").remove("b").remove("c"))).unwrap();
    assert_eq!(elements(&mut test), ["a"], "a was added again behind the reader's back");
    assert_eq!(
        test.kind(UpdateData::new(sets("k"), SetChange::new().remove("z"))),
        ServerErrorKind::NeedsContext
    );
    test.ask(UpdateData::new(sets("k"), SetChange::new().remove("a"))).unwrap();
    assert_eq!(elements(&mut test), Vec::<Blob>::new());
    test.ask(Delete::new(sets("k"))).unwrap();
    assert_eq!(test.ask(FetchData::new(sets("k"))).unwrap().value, None);
}

#[test]
fn maps_hold_every_kind_of_field() {
    let (mut test, key) = (Test::new(), Bucket::typed("maps", "m").key("k"));
    let change = MapChange::new()
        .counter("n", 7)
        .set("n", SetChange::new().add("x"))
        .register("r", "text")
        .flag("f", true)
        .map("m", MapChange::new().map("deep", MapChange::new().counter("n", -3)));
    let updated = test.ask(UpdateData::new(key.clone(), change).return_body(true)).unwrap();
    let Some(Data::Map(map)) = updated.value else { panic!("no map") };
    assert_eq!(
        (map.counter("n"), map.set("n").map(<[Blob]>::len), map.flag("f")),
        (Some(7), Some(1), Some(true))
    );
    let deep = map.map("m").and_then(|map| map.map("deep"));
    assert_eq!((map.register("r"), deep.and_then(|map| map.counter("n"))), (Some(&"text".into()), Some(-3)));

    let read = test.ask(FetchData::new(key.clone())).unwrap();
    let change = MapChange::new().remove_set("n").counter("n", 1);
    test.ask(read.update(key.clone(), change)).unwrap();
    let Some(Data::Map(map)) = test.ask(FetchData::new(key.clone())).unwrap().value else { panic!("no map") };
    assert_eq!((map.counter("n"), map.set("n")), (Some(8), None));
    let absent = MapChange::new().remove_register("absent");
    assert_eq!(test.kind(UpdateData::new(key, absent)), ServerErrorKind::NeedsContext);
}

#[test]
fn counters_and_what_only_grows() {
    let mut test = Test::new();
    let counter = Bucket::typed("counters", "c").key("k");
    for amount in [5, -7] {
        test.ask(UpdateData::new(counter.clone(), CounterChange(amount))).unwrap();
    }
    assert_eq!(test.ask(FetchData::new(counter.clone())).unwrap().value, Some(Data::Counter(-2)));
    let wrong = test.ask(UpdateData::new(counter, SetChange::new().add("x"))).unwrap_err();
    assert_eq!(wrong.message, "Operation type is `set` but  bucket type is `counter`.");

    let hll = Bucket::typed("hlls", "h").key("k");
    test.ask(UpdateData::new(hll.clone(), HllChange::new().add("a").add("b").add("a"))).unwrap();
    assert_eq!(test.ask(FetchData::new(hll)).unwrap().value, Some(Data::Hll(2)));

    let gset = Bucket::typed("gsets", "g").key("k");
    let add = UpdateData::new(gset.clone(), GSetChange::new().add("a")).return_body(true);
    assert_eq!(test.kind(add), ServerErrorKind::Crash, "a real node stores the element, and crashes");
    assert_eq!(test.ask(FetchData::new(gset)).unwrap().value, Some(Data::GSet(alloc::vec!["a".into()])));

    assert_eq!(test.ask(GetLegacyCounter::new("old", "k")), Ok(None));
    assert!(test.ask(AddToLegacyCounter::new("old", "k", 1)).is_err(), "the bucket keeps no siblings");
    let props = RpbBucketProps { allow_mult: Some(true), ..RpbBucketProps::default() };
    test.ask(SetBucket::new("old", props)).unwrap();
    assert_eq!(test.ask(AddToLegacyCounter::new("old", "k", 3).returnvalue(true)), Ok(Some(3)));
    assert_eq!(test.ask(GetLegacyCounter::new("old", "k")), Ok(Some(3)));
}

#[test]
fn properties_are_set_and_reset() {
    let mut test = Test::new();
    let defaults = test.ask(GetBucket::new("b")).unwrap();
    assert_eq!((defaults.n_val, defaults.allow_mult), (Some(3), Some(false)));
    let props = RpbBucketProps { n_val: Some(5), ..RpbBucketProps::default() };
    test.ask(SetBucket::new("b", props)).unwrap();
    assert_eq!(test.ask(GetBucket::new("b")).unwrap().n_val, Some(5));
    test.ask(ResetBucket::new("b")).unwrap();
    assert_eq!(test.ask(GetBucket::new("b")), Ok(defaults));
}

#[test]
fn memory_is_bounded() {
    let mut test = Test::new();
    test.node = Node::new(&Seed::from_u64(1), NodeConfig::new().max_stored(2000));
    let put = |key: &'static str| Put::new(("b", key), Content::new(alloc::vec![0; 900]));
    test.ask(put("1")).unwrap();
    test.ask(put("2")).unwrap();
    assert_eq!(test.kind(put("3")), ServerErrorKind::Overload);
    test.ask(put("2")).unwrap();
    assert!(test.node.stored() <= 2000);
}

#[test]
fn folds_walk_over_keys() {
    use crate::fold::Range;
    use crate::wire::aae::{ChangeMethod, RpbAaeFoldListBucketsReq, RpbAaeFoldMergeRootNValReq};
    use crate::wire::aae::{RpbAaeFoldFetchClocksNValReq, RpbAaeFoldKeyCountResp};

    let mut test = Test::new();
    let mult = Bucket::typed("mult", "b");
    for key in ["a", "b", "c"] {
        test.put(&mult.key(key), "one");
        test.time += Duration::from_secs(100);
    }
    test.put(&mult.key("b"), "two");
    let tags = |reply: RpbAaeFoldKeyCountResp| -> Vec<(Blob, Option<u32>, u32)> {
        reply.keys_count.into_iter().map(|count| (count.tag, count.order, count.count)).collect()
    };
    let range = Range::new(mult.clone());
    let found = test.ask(range.find_siblings(1)).unwrap();
    assert_eq!(
        (&found.response_type, tags(found.clone())),
        (&"find_keys".into(), [("b".into(), None, 2)].into())
    );
    assert_eq!(test.ask(range.find_large(1_000_000)).unwrap().keys_count.len(), 0);
    let stats = tags(test.ask(range.object_stats()).unwrap());
    assert_eq!(stats[0], ("total_count".into(), None, 3));
    assert!(
        stats.contains(&("siblings".into(), Some(1), 2)) && stats.contains(&("siblings".into(), Some(2), 1))
    );
    // Keys and times, both ends included.
    let keys = |reply: crate::wire::aae::RpbAaeFoldKeyValueResp| -> Vec<Blob> {
        assert!(
            reply
                .keys_value
                .iter()
                .all(|found| found.r#type == Some("mult".into()) && !found.value.is_empty())
        );
        reply.keys_value.into_iter().map(|found| found.key).collect()
    };
    let clocks = range.clone().keys("b", "c").fetch_clocks();
    assert_eq!(keys(test.ask(clocks).unwrap()), ["b", "c"]);
    let early = range.clone().modified(1_800_000_000, 1_800_000_100).fetch_clocks();
    assert_eq!(keys(test.ask(early).unwrap()), ["a"], "b was written again since");
    let all = RpbAaeFoldFetchClocksNValReq { n_val: 3, ..RpbAaeFoldFetchClocksNValReq::default() };
    assert_eq!(keys(test.ask(all).unwrap()), ["a", "b", "c"]);

    let counted = test.ask(range.erase_keys(ChangeMethod::Count, None)).unwrap();
    assert_eq!(tags(counted), [("dispatched_count".into(), None, 3)]);
    test.ask(range.clone().keys("a", "b").erase_keys(ChangeMethod::Local, None)).unwrap();
    assert_eq!((test.get(&mult.key("a")), test.get(&mult.key("b"))), (None, None));
    assert_eq!(keys(test.ask(range.find_tombstones()).unwrap()), ["a", "b"]);
    let reaped = test.ask(range.reap_tombstones(ChangeMethod::Job, Some(7))).unwrap();
    assert_eq!(tags(reaped), [("dispatched_count".into(), None, 2)]);
    assert_eq!(tags(test.ask(range.replicate("queue")).unwrap())[0].2, 1);
    assert_eq!(tags(test.ask(range.repair()).unwrap())[0].2, 1);
    let buckets = test.ask(RpbAaeFoldListBucketsReq { n_val: Some(3) }).unwrap().bucket_list;
    assert_eq!((buckets.len(), &buckets[0].bucket, &buckets[0].r#type), (1, &mult.name, &mult.bucket_type));
    assert!(test.ask(RpbAaeFoldMergeRootNValReq { n_val: 3 }).is_err(), "there are no trees");
    assert!(test.ask(Range::new("").object_stats()).is_err());
}
