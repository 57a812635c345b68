//! What holds one value, and what all keys have in common.

#![expect(clippy::wildcard_imports, reason = "the story uses every command there is")]

use std::time::Duration;

use glowplug_redis::commands::*;

use super::exchange::{Exchange, differs, documented, refused, same, varies};

pub(super) fn strings() -> Vec<Exchange> {
    vec![
        same(set("k", "v")),
        same(get("k")),
        same(get("none")),
        same(set("empty", "")),
        same(get("empty")),
        same(set_with("k", "w", SetOptions { if_exists: Some(false), expiry: None })),
        same(set_with(
            "k",
            "w",
            SetOptions { if_exists: Some(true), expiry: Some(Expiry::After(Duration::from_secs(100))) },
        )),
        same(set_get("k", "x", SetOptions { if_exists: None, expiry: Some(Expiry::Keep) })),
        same(ttl("k")),
        same(setnx("n", "1")),
        same(setnx("n", "2")),
        same(setex("e", 100, "v")),
        same(psetex("e", 100_000, "v")),
        same(getset("k", "y")),
        same(getex("k", Expiry::Keep)),
        same(getex("k", Expiry::AtMillis(7_258_118_400_000))),
        same(getdel("k")),
        same(mset([("a", "1"), ("b", "2")])),
        same(mget(["a", "none", "b"])),
        same(msetnx([("b", "3"), ("c", "3")])),
        same(msetnx([("c", "3"), ("d", "4")])),
        same(incr("a")),
        same(incrby("a", 41)),
        same(decr("a")),
        same(decrby("a", 2)),
        same(incrbyfloat("f", 1.5)),
        same(incrbyfloat("f", -0.25)),
        refused(incr("empty"), "integer"),
        same(append("s", "hello")),
        same(append("s", " world")),
        same(strlen("s")),
        same(getrange("s", -5, -1)),
        same(getrange("s", 3, 1)),
        same(getrange("none", 0, -1)),
        same(substr("s", 0, 4)),
        same(setrange("s", 6, "there")),
        same(setrange("pad", 3, "x")),
        differs(same(lcs("s", "pad"))),
        differs(same(lcs_len("s", "s"))),
        refused(lpush("s", ["x"]), "WRONGTYPE"),
    ]
}

pub(super) fn about_keys() -> Vec<Exchange> {
    vec![
        same(mset([("a", "1"), ("b", "2"), ("c", "3")])),
        same(exists("a")),
        same(exists("none")),
        same(exists_many(["a", "a", "none"])),
        same(touch(["a", "b"])),
        same(key_type("a")),
        same(key_type("none")),
        same(keys("[ab]")),
        same(keys("*")),
        same(scan(
            0,
            &ScanOptions { count: Some(100), pattern: Some("a*".into()), kind: Some("string".into()) },
        )),
        varies(randomkey()),
        same(dbsize()),
        same(rename("a", "z")),
        refused(rename("a", "z"), "no such key"),
        same(renamenx("z", "b")),
        same(renamenx("z", "y")),
        same(copy("y", "x", false)),
        same(copy("y", "x", false)),
        same(copy("y", "x", true)),
        same(move_key("x", 3)),
        same(move_key("x", 3)),
        same(expire("y", 100)),
        same(expire_if("y", 50, ExpireIf::Later)),
        same(expire_if("y", 50, ExpireIf::Sooner)),
        same(ttl("y")),
        varies(pttl("y")),
        same(persist("y")),
        same(persist("y")),
        same(ttl("y")),
        same(ttl("none")),
        same(expireat("y", 7_258_118_400)),
        same(expiretime("y")),
        same(pexpiretime("y")),
        same(pexpire("y", 100_000)),
        same(pexpireat("y", 7_258_118_400_000)),
        same(pexpiretime("y")),
        same(expire("y", -1)),
        same(exists("y")),
        same(set("d", "value")),
        varies(dump("d")),
        differs(refused(restore("r", 0, "nonsense", true), "payload")),
        varies(object_encoding("d")),
        varies(object_refcount("d")),
        varies(object_idletime("d")),
        differs(refused(object_freq("d"), "LFU")),
        differs(same(object_encoding("none"))),
        varies(object_help()),
        same(rpush("l", ["3", "1", "2"])),
        same(sort("l", &SortOptions::default())),
        same(sort("l", &SortOptions { descending: true, limit: Some((0, 2)), ..SortOptions::default() })),
        same(sort("l", &SortOptions { alpha: true, limit: Some((1, 1)), ..SortOptions::default() })),
        same(mset([("w_1", "30"), ("w_2", "20"), ("w_3", "10"), ("o_1", "one"), ("o_2", "two")])),
        same(sort(
            "l",
            &SortOptions {
                by: Some("w_*".into()),
                get: vec!["#".into(), "o_*".into()],
                ..SortOptions::default()
            },
        )),
        differs(same(sort_ro("l", &SortOptions { by: Some("nosort".into()), ..SortOptions::default() }))),
        same(sort_store("l", &SortOptions { limit: Some((0, 2)), ..SortOptions::default() }, "to")),
        same(rpush("words", ["b", "a"])),
        refused(sort("words", &SortOptions::default()), "double"),
        same(sort("words", &SortOptions { alpha: true, ..SortOptions::default() })),
        varies(wait(0, Some(Duration::from_millis(1)))),
        documented(waitaof(0, 0, Some(Duration::from_millis(1))), b"*2\r\n:1\r\n:0\r\n"),
        differs(refused(migrate("127.0.0.1", 1, 0, Duration::from_millis(100), ["b"]), "IOERR")),
        same(del(["b", "c", "none"])),
        same(unlink(["d"])),
    ]
}

pub(super) fn bits_and_estimates() -> Vec<Exchange> {
    vec![
        same(setbit("b", 7, true)),
        same(setbit("b", 7, false)),
        same(setbit("b", 1, true)),
        same(getbit("b", 1)),
        same(bitcount("b")),
        same(bitcount_range("b", 0, -1, BitUnit::Byte)),
        same(bitcount_range("b", 1, 6, BitUnit::Bit)),
        differs(same(bitop(BitOperation::Or, "to", ["b", "none"]))),
        differs(same(bitpos("b", true))),
        differs(same(bitpos_range("b", true, 0, -1, BitUnit::Bit))),
        differs(same(bitfield(
            "f",
            &BitFieldOps::new()
                .set("u8", 0, 200)
                .overflow(Overflow::Fail)
                .incrby("u8", "#0", 100)
                .get("i8", 0),
        ))),
        differs(same(bitfield_ro("f", &BitFieldOps::new().get("u8", 0)))),
        differs(same(pfadd("p", ["a", "b"]))),
        differs(same(pfadd("p", ["a"]))),
        differs(same(pfcount(["p"]))),
        differs(same(pfmerge("q", ["p"]))),
    ]
}
