//! What holds values in an order of its own: sorted sets, streams, places.

#![expect(clippy::wildcard_imports, reason = "the story uses every command there is")]

use std::time::Duration;

use glowplug_redis::commands::*;

use super::exchange::{Exchange, differs, documented, refused, same, varies};

fn around() -> GeoSearch {
    GeoSearch {
        centre: Centre::Member("Palermo".into()),
        area: Area::Radius(200.0, Unit::Kilometres),
        nearest_first: Some(true),
        count: Some(5),
        any: false,
    }
}

fn boxed() -> GeoSearch {
    GeoSearch {
        centre: Centre::Position(Position { longitude: 15.0, latitude: 37.0 }),
        area: Area::Box(400.0, 400.0, Unit::Kilometres),
        nearest_first: None,
        count: None,
        any: false,
    }
}

pub(super) fn sorted_sets() -> Vec<Exchange> {
    vec![
        same(zadd("z", [(1.0, "a"), (2.0, "b"), (3.0, "c")])),
        same(zadd("z", [(1.5, "a")])),
        same(zadd_with(
            "z",
            &ZAddOptions { if_exists: Some(true), if_greater: Some(true), count_changed: true },
            [(9.0, "a"), (9.0, "new")],
        )),
        same(zadd_incr("z", &ZAddOptions::default(), 0.5, "b")),
        same(zadd_incr("z", &ZAddOptions { if_exists: Some(false), ..ZAddOptions::default() }, 0.5, "b")),
        same(zincrby("z", -1.0, "b")),
        same(zcard("z")),
        same(zscore("z", "b")),
        same(zscore("z", "none")),
        same(zmscore("z", ["a", "none"])),
        same(zrank("z", "a")),
        same(zrank("z", "none")),
        same(zrevrank("z", "a")),
        documented(zrank_withscore("z", "a"), b"*2\r\n:0\r\n,1.5\r\n"),
        documented(zrevrank_withscore("z", "a"), b"*-1\r\n"),
        same(zcount("z", "-inf", "(9")),
        same(zlexcount("z", "-", "+")),
        same(zrange("z", 0, -1)),
        same(zrange_withscores("z", 0, -1)),
        same(zrange_with(
            "z",
            "(1",
            "+inf",
            &ZRangeOptions { by: RangeBy::Score, limit: Some((0, -1)), ..ZRangeOptions::default() },
        )),
        same(zrange_with_withscores(
            "z",
            "+inf",
            "-inf",
            &ZRangeOptions { by: RangeBy::Score, reverse: true, ..ZRangeOptions::default() },
        )),
        differs(same(zrangestore("zz", "z", 0, 1, &ZRangeOptions::default()))),
        differs(same(del(["zz"]))),
        same(zrevrange("z", 0, 1)),
        same(zrevrange_withscores("z", 0, 1)),
        same(zrangebyscore("z", "(1", 3, None)),
        same(zrangebyscore("z", "-inf", "inf", Some((0, 2)))),
        same(zrangebyscore("z", "-inf", "inf", Some((1, -1)))),
        same(zrangebyscore_withscores("z", "-inf", "inf", Some((1, 1)))),
        same(zrevrangebyscore("z", "inf", "-inf", Some((0, 1)))),
        same(zrevrangebyscore_withscores("z", "inf", "-inf", None)),
        refused(zrangebyscore("z", "x", "y", None), "float"),
        same(zadd("lex", [(0, "a"), (0, "b"), (0, "c")])),
        same(zrange_with(
            "lex",
            "(c",
            "-",
            &ZRangeOptions { by: RangeBy::Member, reverse: true, limit: Some((0, 1)) },
        )),
        same(zrangebylex("lex", "[a", "(c", None)),
        refused(zrangebylex("lex", "a", "c", None), "string range"),
        same(zrevrangebylex("lex", "+", "-", Some((0, 1)))),
        same(zremrangebylex("lex", "[a", "[a")),
        same(del(["lex"])),
        same(zadd("p", [(1, "a"), (2, "b"), (3, "c"), (4, "d"), (5, "e"), (6, "f"), (7, "g"), (8, "h")])),
        same(zpopmin("p", 1)),
        same(zpopmax("p", 2)),
        same(zpopmin("none", 1)),
        same(bzpopmin(["none", "p"], Some(Duration::from_secs(1)))),
        same(bzpopmax(["p"], Some(Duration::from_secs(1)))),
        differs(same(zmpop(["p"], Extreme::Min, 1))),
        differs(same(bzmpop(Some(Duration::from_secs(1)), ["p"], Extreme::Max, 1))),
        differs(same(zmpop(["none"], Extreme::Min, 1))),
        same(del(["p"])),
        varies(zrandmember("z")),
        varies(zrandmember_count("z", 2)),
        varies(zrandmember_withscores("z", -2)),
        same(zadd("y", [(10, "b"), (20, "x")])),
        differs(same(zunion(["z", "y"], &ZStoreOptions::default()))),
        differs(same(zunion_withscores(
            ["z", "y"],
            &ZStoreOptions { weights: vec![1.0, 2.0], aggregate: Some(Aggregation::Max) },
        ))),
        differs(same(zunionstore("u", ["z", "y"], &ZStoreOptions::default()))),
        differs(same(zinter(["z", "y"], &ZStoreOptions::default()))),
        differs(same(zinter_withscores(["z", "y"], &ZStoreOptions::default()))),
        differs(same(zinterstore("u", ["z", "y"], &ZStoreOptions::default()))),
        differs(same(zintercard(["z", "y"], None))),
        differs(same(zdiff(["z", "y"]))),
        differs(same(zdiff_withscores(["z", "y"]))),
        differs(same(zdiffstore("u", ["z", "y"]))),
        varies(zscan("z", 0, &ScanOptions::default())),
        same(zrem("z", ["b", "none"])),
        same(zremrangebyrank("z", 0, 0)),
        same(zremrangebyscore("z", "-inf", "(2")),
        same(zrange("z", 0, -1)),
    ]
}

pub(super) fn streams() -> Vec<Exchange> {
    vec![
        same(xadd("x", "1-1", [("f", "v")])),
        same(xadd("x", "2-1", [("f", "v"), ("g", "w")])),
        varies(xadd("x", "*", [("f", "v")])),
        same(xadd_existing("none", "*", [("f", "v")])),
        same(xadd_trimming(
            "x",
            &Trim { to: TrimTo::Len(2), nearly: false },
            "9999999999999-1",
            [("f", "v")],
        )),
        same(xlen("x")),
        same(xadd("y", "1-1", [("a", "1")])),
        same(xadd("y", "2-1", [("a", "2")])),
        same(xadd("y", "3-1", [("a", "3")])),
        same(xrange("y", "-", "+", Some(2))),
        same(xrevrange("y", "+", "-", None)),
        same(xread(
            [("y", "1-1"), ("none", "0")],
            &XReadOptions { count: Some(1), ..XReadOptions::default() },
        )),
        same(xread([("y", "9-9")], &XReadOptions::default())),
        same(xgroup_create("y", "g", "0", true)),
        same(xgroup_createconsumer("y", "g", "c")),
        same(xreadgroup("g", "c", [("y", ">")], &XReadOptions { count: Some(2), ..XReadOptions::default() })),
        same(xreadgroup("g", "c", [("y", "0")], &XReadOptions::default())),
        same(xpending("y", "g")),
        varies(xpending_range("y", "g", "-", "+", 10, None)),
        varies(xpending_range("y", "g", "-", "+", 10, Some("c"))),
        same(xack("y", "g", ["1-1"])),
        same(xclaim("y", "g", "d", Duration::ZERO, ["2-1"])),
        same(xclaim_justid("y", "g", "c", Duration::ZERO, ["2-1"])),
        same(xautoclaim("y", "g", "d", Duration::ZERO, "0", Some(10))),
        refused(xautoclaim("y", "nogroup", "d", Duration::ZERO, "0", None), "NOGROUP"),
        varies(xinfo_stream("y")),
        varies(xinfo_groups("y")),
        varies(xinfo_consumers("y", "g")),
        varies(xinfo_help()),
        varies(xgroup_help()),
        same(xgroup_setid("y", "g", "0")),
        same(xgroup_delconsumer("y", "g", "c")),
        same(xgroup_destroy("y", "g")),
        refused(xpending("y", "g2"), "NOGROUP"),
        same(xdel("y", ["1-1", "9-9"])),
        same(xtrim("y", &Trim { to: TrimTo::Id("3-0".into()), nearly: false })),
        same(xsetid("y", "9-9")),
    ]
}

pub(super) fn geo() -> Vec<Exchange> {
    vec![
        same(geoadd(
            "g",
            [
                (Position { longitude: 13.361_389, latitude: 38.115_556 }, "Palermo"),
                (Position { longitude: 15.087_269, latitude: 37.502_669 }, "Catania"),
            ],
        )),
        same(geodist("g", "Palermo", "Catania", Unit::Kilometres)),
        same(geodist("g", "Palermo", "none", Unit::Metres)),
        same(geohash("g", ["Palermo", "none"])),
        same(geopos("g", ["Palermo", "none"])),
        same(geosearch("g", &around())),
        same(geosearch_withdist("g", &around())),
        same(geosearch_withcoord("g", &boxed())),
        same(geosearchstore("to", "g", &around(), true)),
        same(georadius("g", 15.0, 37.0, 200.0, Unit::Kilometres)),
        same(georadius_ro("g", 15.0, 37.0, 200.0, Unit::Miles)),
        same(georadiusbymember("g", "Palermo", 200.0, Unit::Kilometres)),
        same(georadiusbymember_ro("g", "Palermo", 200.0, Unit::Feet)),
    ]
}
