//! What is about connections and the server.

#![expect(clippy::wildcard_imports, reason = "the story uses every command there is")]

use std::time::Duration;

use bytes::Bytes;
use glowplug_redis::commands::*;

use super::exchange::{Exchange, differs, documented, not_sent, refused, same, varies};

const NONE: [&str; 0] = [];

pub(super) fn scripts() -> Vec<Exchange> {
    vec![
        same(eval("return {KEYS[1], ARGV[1], 7}", ["k"], ["a"])),
        same(eval("return redis.call('set', KEYS[1], 'v')", ["k"], NONE).returning::<()>()),
        same(eval_ro("return redis.call('get', KEYS[1])", ["k"], NONE).returning::<Bytes>()),
        same(script_load("return 1")),
        same(evalsha("e0e1f9fabfc9d4800c877a703b823ac0578ff8db", NONE, NONE).returning::<i64>()),
        same(evalsha_ro("e0e1f9fabfc9d4800c877a703b823ac0578ff8db", NONE, NONE).returning::<i64>()),
        refused(evalsha("0000000000000000000000000000000000000000", NONE, NONE), "NOSCRIPT"),
        same(script_exists([
            "e0e1f9fabfc9d4800c877a703b823ac0578ff8db",
            "0000000000000000000000000000000000000000",
        ])),
        same(script_flush()),
        refused(script_kill(), "NOTBUSY"),
        documented(script_show("e0e1f9fabfc9d4800c877a703b823ac0578ff8db"), b"$8\r\nreturn 1\r\n"),
        same(script_debug("NO")),
        varies(script_help()),
        same(function_load(
            false,
            "#!lua name=lib\nredis.register_function{function_name='f', callback=function(keys, args) return 1 end, flags={'no-writes'}}",
        )),
        same(fcall("f", NONE, NONE).returning::<i64>()),
        same(fcall_ro("f", NONE, NONE).returning::<i64>()),
        varies(function_list()),
        varies(function_stats()),
        varies(function_dump()),
        refused(function_restore("nonsense"), "payload"),
        refused(function_kill(), "NOTBUSY"),
        varies(function_help()),
        same(function_delete("lib")),
        same(function_flush()),
    ]
}

pub(super) fn transactions() -> Vec<Exchange> {
    vec![
        same(watch(["k"])),
        same(unwatch()),
        same(multi()),
        same(discard()),
        refused(exec(), "without MULTI"),
        refused(discard(), "without MULTI"),
    ]
}

pub(super) fn publishing() -> Vec<Exchange> {
    vec![
        same(publish("c", "m")),
        same(spublish("c", "m")),
        same(pubsub_channels(None)),
        same(pubsub_numsub(["c"])),
        same(pubsub_numpat()),
        same(pubsub_shardchannels(None)),
        same(pubsub_shardnumsub(["c"])),
        varies(pubsub_help()),
    ]
}

pub(super) fn connection() -> Vec<Exchange> {
    vec![
        same(ping()),
        same(ping_with("hi")),
        same(echo("hi")),
        refused(auth("x"), "AUTH"),
        same(auth_as("default", "x")),
        same(select(2)),
        same(select(0)),
        varies(client_id()),
        same(client_setname("me")),
        same(client_getname()),
        documented(client_setinfo("LIB-NAME", "x"), b"+OK\r\n"),
        varies(client_info()),
        varies(client_list()),
        differs(refused(client_kill("127.0.0.1:1"), "client")),
        differs(refused(client_kill_id(0), "greater")),
        differs(same(client_kill_id(99_999_999))),
        differs(same(client_unblock(99_999_999))),
        differs(same(client_pause(Duration::from_millis(1), true))),
        differs(same(client_unpause())),
        differs(same(client_reply("ON"))),
        same(client_no_evict("OFF")),
        documented(client_no_touch("OFF"), b"+OK\r\n"),
        documented(client_capa(["redirect"]), b"+OK\r\n"),
        refused(client_caching("YES"), "CACHING"),
        same(client_getredir()),
        not_sent(
            client_tracking_on(&TrackingOptions { redirect: None, ..TrackingOptions::default() }),
            "in RESP2 it needs somebody to redirect to",
        ),
        same(client_tracking_off()),
        varies(client_trackinginfo()),
        varies(client_help()),
        not_sent(hello(3), "would change the version behind the machine's back"),
        not_sent(reset(), "would change the version behind the machine's back"),
        not_sent(quit(), "ends the connection"),
    ]
}

pub(super) fn acl() -> Vec<Exchange> {
    vec![
        varies(acl_cat()),
        varies(acl_cat_of("string")),
        same(acl_setuser("bob", ["on", ">pw", "~k*", "+get"])),
        same(acl_users()),
        varies(acl_getuser("bob")),
        same(acl_getuser("nobody")),
        same(acl_dryrun("bob", "get", ["key"])),
        varies(acl_dryrun("bob", "set", ["key", "v"])),
        same(acl_whoami()),
        varies(acl_list()),
        varies(acl_genpass(Some(64))),
        varies(acl_genpass(None)),
        varies(acl_log(None)),
        same(acl_log_reset()),
        refused(acl_load(), "ACL file"),
        refused(acl_save(), "ACL file"),
        same(acl_deluser(["bob"])),
        varies(acl_help()),
    ]
}

pub(super) fn server() -> Vec<Exchange> {
    vec![
        same(flushall()),
        same(flushdb()),
        same(dbsize()),
        same(swapdb(0, 1)),
        varies(info(None)),
        varies(info(Some("server"))),
        varies(time()),
        varies(lastsave()),
        varies(role()),
        varies(lolwut()),
        varies(command_count()),
        varies(command_all()),
        varies(command_docs(["get"])),
        varies(command_info(["get", "nonsense"])),
        varies(command_list()),
        same(command_getkeys("mset", ["a", "1", "b", "2"])),
        varies(command_getkeysandflags("set", ["a", "1"])),
        varies(command_help()),
        same(config_get(["maxmemory", "appendonly"])),
        same(config_set([("maxmemory-samples", "6")])),
        same(config_resetstat()),
        refused(config_rewrite(), "config file"),
        varies(config_help()),
        varies(slowlog_get(Some(10))),
        varies(slowlog_len()),
        same(slowlog_reset()),
        varies(slowlog_help()),
        same(set("k", "v")),
        varies(memory_usage("k", Some(5))),
        same(memory_usage("none", None)),
        varies(memory_stats()),
        varies(memory_doctor()),
        varies(memory_malloc_stats()),
        same(memory_purge()),
        varies(memory_help()),
        varies(latency_doctor()),
        refused(latency_graph("command"), "samples"),
        varies(latency_histogram(["set"])),
        same(latency_history("command")),
        same(latency_latest()),
        same(latency_reset(NONE)),
        varies(latency_help()),
        same(module_list()),
        refused(module_load("/nonexistent.so", NONE), "MODULE"),
        refused(module_loadex("/nonexistent.so", NONE), "MODULE"),
        refused(module_unload("nonexistent"), "module"),
        varies(module_help()),
        not_sent(save(), "writes to the folder the test runs in"),
        not_sent(bgsave(), "writes to the folder the test runs in"),
        not_sent(bgrewriteaof(), "writes to the folder the test runs in"),
        not_sent(shutdown(None), "ends the server"),
        same(replicaof("NO", "ONE")),
        same(slaveof("NO", "ONE")),
        refused(failover(NONE), "replicas"),
    ]
}
