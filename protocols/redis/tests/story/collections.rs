//! What holds many values in no order but that of arrival.

#![expect(clippy::wildcard_imports, reason = "the story uses every command there is")]

use std::time::Duration;

use glowplug_redis::Blocks;
use glowplug_redis::commands::*;

use super::exchange::{Exchange, differs, documented, refused, same, varies};

pub(super) fn lists() -> Vec<Exchange> {
    vec![
        same(rpush("l", ["a", "b", "c"])),
        same(lpush("l", ["z"])),
        same(lpushx("none", ["x"])),
        same(rpushx("l", ["d"])),
        same(llen("l")),
        same(lrange("l", 0, -1)),
        same(lrange("l", -2, 100)),
        same(lrange("l", 3, 1)),
        same(lindex("l", -1)),
        same(lindex("l", 99)),
        same(lset("l", 0, "y")),
        refused(lset("l", 99, "y"), "index out of range"),
        refused(lset("none", 0, "y"), "no such key"),
        same(linsert_before("l", "b", "x")),
        same(linsert_after("l", "b", "x")),
        same(linsert_after("l", "none", "x")),
        differs(same(lpos("l", "b"))),
        differs(same(lpos("l", "none"))),
        differs(same(lpos_all("l", "x", 0))),
        same(lrem("l", -1, "x")),
        same(lrem("l", 0, "x")),
        same(lrange("l", 0, -1)),
        same(ltrim("l", 0, 2)),
        same(lpop("l")),
        same(rpop("l")),
        same(lpop("none")),
        same(rpush("l", ["1", "2", "3", "4"])),
        same(lpop_count("l", 2)),
        same(rpop_count("l", 2)),
        same(lpop_count("none", 2)),
        same(rpoplpush("l", "m")),
        same(rpoplpush("none", "m")),
        same(lmove("m", "l", End::Left, End::Right)),
        same(lmove("none", "l", End::Left, End::Right)),
        differs(same(lmpop(["none", "l"], End::Left, 1))),
        differs(same(lmpop(["none"], End::Left, 1))),
        differs(same(del(["l", "m"]))),
        same(rpush("l", ["1", "2", "3", "4", "5"])),
        same(blpop(["none", "l"], Some(Duration::from_secs(1)))),
        same(brpop(["none", "l"], Some(Duration::from_secs(1)))),
        same(brpoplpush("l", "m", Some(Duration::from_secs(1)))),
        same(blmove("l", "m", End::Left, End::Right, Some(Duration::from_secs(1)))),
        differs(same(blmpop(Some(Duration::from_secs(1)), ["l"], End::Left, 3))),
    ]
}

pub(super) fn waiting() -> Vec<Exchange> {
    vec![
        varies(blpop(["none"], Some(Duration::from_millis(1)))),
        varies(brpoplpush("none", "m", Some(Duration::from_millis(1)))),
        varies(blmove("none", "m", End::Left, End::Right, Some(Duration::from_millis(1)))),
        varies(blmpop(Some(Duration::from_millis(1)), ["l"], End::Left, 3)),
        varies(bzpopmin(["none"], Some(Duration::from_millis(1)))),
        varies(bzmpop(Some(Duration::from_millis(1)), ["none"], Extreme::Min, 1)),
        varies(xread(
            [("none", "$")],
            &XReadOptions { block: Some(Blocks::For(Duration::from_millis(1))), ..XReadOptions::default() },
        )),
    ]
}

pub(super) fn hashes() -> Vec<Exchange> {
    vec![
        same(hset("h", "f", "1")),
        same(hset("h", "f", "2")),
        same(hset_many("h", [("g", "x"), ("f", "3")])),
        same(hmset("h", [("i", "y")])),
        same(hsetnx("h", "i", "z")),
        same(hget("h", "f")),
        same(hget("h", "none")),
        same(hmget("h", ["f", "none", "g"])),
        same(hgetall("h")),
        same(hgetall("none")),
        same(hexists("h", "f")),
        same(hlen("h")),
        same(hstrlen("h", "g")),
        same(hkeys("h")),
        varies(hvals("h")),
        same(hincrby("h", "f", 4)),
        refused(hincrby("h", "g", 1), "integer"),
        same(hincrbyfloat("h", "f", 0.5)),
        varies(hrandfield("h")),
        differs(same(hrandfield("none"))),
        varies(hrandfield_count("h", -3)),
        varies(hrandfield_withvalues("h", 2)),
        varies(hscan("h", 0, &ScanOptions::default())),
        same(hdel("h", ["f", "none"])),
        same(hdel("h", ["g", "i"])),
        same(exists("h")),
        documented(hexpire("h", 10, Some(ExpireIf::None), ["a", "b"]), b"*2\r\n:1\r\n:-2\r\n"),
        documented(hpexpire("h", 10, None, ["a"]), b"*1\r\n:1\r\n"),
        documented(hexpireat("h", 10, None, ["a"]), b"*1\r\n:2\r\n"),
        documented(hpexpireat("h", 10, None, ["a"]), b"*1\r\n:2\r\n"),
        documented(hpersist("h", ["a"]), b"*1\r\n:-1\r\n"),
        documented(httl("h", ["a", "b", "c"]), b"*3\r\n:-2\r\n:-1\r\n:5\r\n"),
        documented(hpttl("h", ["a"]), b"*1\r\n:5000\r\n"),
        documented(hexpiretime("h", ["a"]), b"*1\r\n:1715704971\r\n"),
        documented(hpexpiretime("h", ["a"]), b"*1\r\n:1715704971000\r\n"),
        documented(hgetdel("h", ["a", "b"]), b"*2\r\n$1\r\nx\r\n$-1\r\n"),
        documented(hgetex("h", Expiry::After(Duration::from_secs(1)), ["a"]), b"*1\r\n$1\r\nx\r\n"),
        documented(hsetex("h", Expiry::After(Duration::from_secs(1)), [("a", "x")]), b":1\r\n"),
    ]
}

pub(super) fn sets() -> Vec<Exchange> {
    vec![
        same(sadd("s", ["a", "b", "c"])),
        same(sadd("s", ["a"])),
        same(sadd("t", ["b", "c", "d"])),
        same(smembers("s")),
        same(smembers("none")),
        same(scard("s")),
        same(sismember("s", "a")),
        same(smismember("s", ["a", "z"])),
        same(smove("s", "t", "a")),
        same(smove("s", "t", "none")),
        same(srem("t", ["a", "none"])),
        same(sinter(["s", "t"])),
        same(sunion(["s", "t"])),
        same(sdiff(["t", "s"])),
        same(sinterstore("u", ["s", "t"])),
        same(sunionstore("u", ["s", "t"])),
        same(sdiffstore("u", ["t", "s"])),
        same(smembers("u")),
        differs(same(sintercard(["s", "t"], Some(1)))),
        varies(srandmember("s")),
        same(srandmember("none")),
        varies(srandmember_count("s", -3)),
        varies(srandmember_count("s", 2)),
        varies(sscan("s", 0, &ScanOptions::default())),
        varies(spop("s")),
        varies(spop_count("s", 5)),
        same(spop("none")),
        refused(get("t"), "WRONGTYPE"),
    ]
}
