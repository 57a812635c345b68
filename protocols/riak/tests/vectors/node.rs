//! The node in memory against the recorded node: the same answers to the same requests, up to clocks, times and names that a
//! node makes, and up to order where a node promises none.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use glowplug_core::Seed;
use glowplug_riak::Blob;
use glowplug_riak::datatype::{CounterChange, GSetChange};
use glowplug_riak::memory::{Node, NodeConfig};
use glowplug_riak::request::{AddToLegacyCounter, Ask, Delete, Get, Put, SetBucket, UpdateData};
use glowplug_riak::wire::kv::RpbMapRedResp;
use glowplug_riak::wire::riak::{RpbBucketProps, RpbStartTls};
use glowplug_riak::wire::{Reply, Request};
use glowplug_riak::{Bucket, Content, Fetched, Location, Response, ServerError};
use libtest_mimic::{Failed, Trial};
use serde_json::Value;

use crate::captures::{self, Capture, to_json};
use crate::client::turns;

/// Exchanges that are played to one node, in this order: each needs what the ones before it have stored.
const SEQUENCES: &[&[&str]] = &[
    &["put_simple", "get_simple", "get_head", "get_if_modified_unchanged", "put_update_with_vclock"],
    &["put_return_head", "get_deleted_plain", "get_deleted_vclock"],
    &[
        "put_if_not_modified_notfound",
        "put_if_not_modified_ok",
        "put_if_not_modified_fail",
        "delete_with_vclock",
    ],
    &["put_if_none_match_fail", "delete_with_options"],
    &["put_server_key"],
    &["put_rich_object", "get_rich_object"],
    &["put_all_options", "get_symbolic_quorums", "error_get_timeout"],
    &["siblings_get"],
    &["large_head_1mib"],
    &["write_once_return_body"],
    &["pipelined_put_get", "request_with_unknown_field"],
    &[
        "counter_update_return_body",
        "counter_decrement",
        "counter_fetch",
        "counter_fetch_options",
        "counter_update_options",
    ],
    &["counter_server_key"],
    &[
        "set_add",
        "set_add_return_body",
        "error_set_remove_no_context",
        "set_remove_with_context",
        "set_remove_present_no_context",
        "set_delete_and_fetch",
    ],
    &[
        "map_update_all_types",
        "map_fetch",
        "map_update_return_body",
        "error_map_remove_no_context",
        "map_remove_fields",
        "map_empty_set_and_false_flag",
        "map_modify_cycle",
    ],
    &["gset_add_return_body", "gset_fetch"],
    &["error_legacy_counter_no_mult", "legacy_counter_incr", "legacy_counter_get"],
    &[
        "index_eq_bin",
        "index_eq_int",
        "index_key",
        "index_key_terms",
        "index_negative_int",
        "index_range_int",
        "index_range_terms",
        "index_pagination_sort",
        "index_paginated",
        "index_paginated_terms",
        "index_stream_range_terms",
    ],
    &["mapred_json_index"],
    &["mapred_json_keys", "mapred_json_bucket", "mapred_json_empty_query"],
    &["index_typed_eq"],
    &["cs_bucket_fold", "cs_bucket_fold_page", "cs_bucket_fold_range"],
    &["list_keys_small", "list_keys_timeout_set"],
    &["list_keys_typed", "list_buckets_typed"],
    &["bucket_type_set"],
];

/// Exchanges that need nothing, each with a node of its own.
const ALONE: &[&str] = &[
    "aae_find_keys_empty",
    "auth_password_ok",
    "auth_password_wrong",
    "auth_trust_ok",
    "auth_user_unknown",
    "binary_everything",
    "bucket_props_get_default",
    "bucket_props_reset",
    "bucket_type_get_default",
    "bucket_type_get_lww",
    "bucket_type_get_maps",
    "bucket_type_get_mult",
    "bucket_type_get_once",
    "bucket_type_get_sets",
    "byte_at_a_time",
    "client_id_set",
    "counter_big",
    "counter_default_increment",
    "counter_fetch_notfound",
    "delete_notfound",
    "empty_value",
    "erlang_term_value",
    "error_auth_disabled",
    "error_bucket_type_set_unknown",
    "error_coverage_unsupported",
    "error_dt_kv_put_in_dt_bucket",
    "error_dt_not_datatype",
    "error_dt_type_unknown",
    "error_dt_update_not_datatype",
    "error_dt_wrong_op",
    "error_get_empty_key",
    "error_get_node_confirms",
    "error_get_pr_violation",
    "error_get_r_violation",
    "error_index_bad_continuation",
    "error_index_bad_int",
    "error_index_no_suffix",
    "error_index_type_unknown",
    "error_index_type_unknown_timeout",
    "error_list_buckets_type",
    "error_mapred_content_type",
    "error_mapred_javascript",
    "error_mapred_missing_query",
    "error_mapred_no_function",
    "error_preflist_empty_key",
    "error_preflist_type",
    "error_put_bad_vclock",
    "error_put_empty_bucket",
    "error_put_node_confirms",
    "error_put_w_violation",
    "error_search_unsupported",
    "error_then_ok",
    "error_ts_query_unsupported",
    "error_type_inactive_put",
    "error_type_unknown_delete",
    "error_type_unknown_get",
    "get_notfound",
    "hll_add",
    "hll_fetch_notfound",
    "index_empty",
    "legacy_counter_get_notfound",
    "list_buckets_typed_empty",
    "long_key",
    "lww_put_get",
    "map_fetch_notfound",
    "map_same_name_different_types",
    "ping",
    "pipelined_pings",
    "put_no_content_type",
    "put_usermeta_only_key",
    "set_fetch_notfound",
    "siblings_tombstone",
];

/// Where the node in memory differs, and why.
const DIFFERENCES: &[(&str, &[&str])] = &[
    (
        "the embedded node keeps no trees",
        &["aae_merge_branches", "aae_merge_root", "aae_range_tree", "aae_range_tree_options"],
    ),
    (
        "what the recorded folds found was stored before the recording",
        &[
            "aae_erase_keys_job",
            "aae_fetch_clocks_nval",
            "aae_fetch_clocks_nval_modified",
            "aae_find_keys_siblings",
            "aae_find_keys_size",
            "aae_find_tombs",
            "aae_list_buckets_nval",
            "aae_object_stats",
            "aae_object_stats_typed",
            "aae_range_clocks_typed",
            "aae_repl_keys",
        ],
    ),
    (
        "the embedded node has no replication",
        &[
            "repl_fetch_internal_aaehash",
            "repl_fetch_no_queue",
            "repl_fetch_object",
            "repl_fetch_object_aaehash",
            "repl_fetch_object_internal",
            "repl_membership",
            "repl_push_no_queue",
        ],
    ),
    ("the embedded node has no stack to show", &["error_mapred_bad_json"]),
    ("the embedded node reads no jobs in Erlang terms", &["mapred_notfound", "mapred_two_phases_kept"]),
    ("the embedded node has users and no permissions", &["auth_permission_denied_listing"]),
    (
        "the embedded node runs no hooks and keeps none of their earlier settings",
        &["bucket_props_clear_hooks", "error_precommit_failed"],
    ),
    ("clocks are always dotted, so last_write_wins is no contradiction", &["error_bucket_props_invalid"]),
    ("the value of a data type is not shown by a plain get", &["dt_kv_get_of_counter"]),
    ("regular expressions are refused", &["error_index_bad_regex"]),
    ("HyperLogLogs count exactly", &["hll_fetch", "hll_many"]),
    ("a missing key reads as an empty one, and those are refused", &["error_missing_required"]),
    (
        "the connection answers what is no request",
        &["error_malformed_body", "error_response_code_sent", "error_unknown_code", "security_no_starttls"],
    ),
    ("the recorded order is not that of the requests", &["pipelined_after_stream", "request_during_stream"]),
    (
        "what was stored before was not recorded",
        &["delete_siblings", "list_buckets", "list_buckets_raw", "list_buckets_stream", "list_keys_big"],
    ),
];

pub(crate) fn trials(folder: &Path) -> Vec<Trial> {
    let alone = ALONE.iter().map(std::slice::from_ref);
    let played = SEQUENCES.iter().copied().chain(alone).map(|names| {
        let folder = folder.to_owned();
        Trial::test(format!("node::{}", names[names.len() - 1]), move || {
            let mut player = Player::new(names[0].starts_with("auth_"));
            for name in names {
                player.prepare(name);
                player.play(&captures::load(&folder.join(name).with_extension("json"))?);
            }
            Ok(())
        })
    });
    let differences = DIFFERENCES.iter().flat_map(|(why, names)| names.iter().map(move |name| (why, name)));
    let skipped = differences.map(|(why, name)| {
        Trial::test(format!("node::{name}"), || Ok(())).with_kind(*why).with_ignored_flag(true)
    });
    let all_named = Trial::test("node::every_capture_is_played_or_named", {
        let folder = folder.to_owned();
        move || every_capture_is_named(&folder)
    });
    played.chain(skipped).chain([all_named]).collect()
}

fn every_capture_is_named(folder: &Path) -> Result<(), Failed> {
    let mut named: Vec<&str> = SEQUENCES.iter().copied().flatten().chain(ALONE).copied().collect();
    named.extend(DIFFERENCES.iter().flat_map(|(_, names)| names.iter().copied()));
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        assert!(path.extension().is_none_or(|kind| kind != "json") || named.contains(&&*name), "{name}");
    }
    Ok(())
}

/// A node, and what it calls the things that the recorded node called otherwise.
struct Player {
    node: Node,
    time: Duration,
    /// Clocks, contexts, continuations: theirs to ours.
    ours: BTreeMap<Blob, Blob>,
}

impl Player {
    /// With security on, there are users.
    fn new(with_users: bool) -> Self {
        let plain = RpbBucketProps { allow_mult: Some(false), ..RpbBucketProps::default() };
        let once =
            RpbBucketProps { write_once: Some(true), allow_mult: Some(true), ..RpbBucketProps::default() };
        let config = NodeConfig::new().bucket_type("plain", plain).bucket_type("once", once);
        let config =
            if with_users { config.user("capuser", "secret").user("trustuser", "anything") } else { config };
        Self {
            node: Node::new(&Seed::from_u64(3), config),
            time: Duration::from_secs(1_795_310_000),
            ours: BTreeMap::new(),
        }
    }

    fn ask(&mut self, request: impl Ask) {
        for reply in self.node.handle(self.time, 1, request.into_request()) {
            reply.expect("what prepares an exchange is not refused");
        }
    }

    fn put_text(&mut self, location: Location, value: &'static str) {
        self.ask(Put::new(location, Content::new(value).content_type("text/plain")));
    }

    /// Stores what was there before the exchange was recorded.
    fn prepare(&mut self, name: &str) {
        match name {
            "get_deleted_plain" => self.ask(Delete::new(("cap_kv", "k3"))),
            "put_if_not_modified_ok" => self.put_text(Location::new("cap_kv", "k2"), "mod0"),
            "put_if_none_match_fail" => self.put_text(Location::new("cap_kv", "inm"), "1"),
            "siblings_get" => {
                let key = Bucket::typed("mult", "cap_sib").key("s1");
                self.put_text(key.clone(), "one");
                self.put_text(key, "two");
            }
            "large_head_1mib" => {
                let content = Content::new(vec![7; 1 << 20]).content_type("application/octet-stream");
                self.ask(Put::new(("cap_large", "big"), content));
            }
            "counter_update_return_body" => {
                self.ask(UpdateData::new(Bucket::typed("counters", "cap_c").key("c"), CounterChange(5)));
            }
            "gset_add_return_body" => {
                let change = GSetChange::new().add("a").add("b");
                self.ask(UpdateData::new(Bucket::typed("gsets", "cap_g").key("g"), change));
            }
            "legacy_counter_incr" => {
                let props = RpbBucketProps { allow_mult: Some(true), ..RpbBucketProps::default() };
                self.ask(SetBucket::new("cap_legacy_counter", props));
            }
            "legacy_counter_get" => self.ask(AddToLegacyCounter::new("cap_legacy_counter", "n", -6)),
            "mapred_json_keys" => {
                for n in 1..=12 {
                    let content = Content::new(n.to_string()).content_type("text/plain");
                    self.ask(Put::new(Location::new("cap_mr", format!("m{n}")), content));
                }
            }
            "index_eq_bin" | "index_typed_eq" | "mapred_json_index" => {
                let bucket = if name == "index_typed_eq" {
                    Bucket::typed("plain", "cap_idx")
                } else {
                    Bucket::new("cap_idx")
                };
                for n in 1..=40 {
                    let content =
                        Content::new("v").index_int("num", n).index_bin("tag", format!("t{:02}", n % 10));
                    self.ask(Put::new(bucket.key(format!("k{n:03}")), content));
                }
            }
            "cs_bucket_fold" => {
                for n in 1..=12 {
                    self.put_text(Bucket::new("cap_cs").key(format!("c{n:02}")), "v");
                }
            }
            "list_keys_small" => {
                for n in 1..=25 {
                    self.put_text(Bucket::new("cap_list").key(format!("key{n:04}")), "v");
                }
            }
            "list_keys_typed" => self.put_text(Bucket::typed("plain", "cap_t").key("k"), "v"),
            _ => {}
        }
    }

    fn play(&mut self, capture: &Capture) {
        for turn in turns(capture) {
            self.time += Duration::from_millis(1);
            if turn.sent.code == RpbStartTls::CODE {
                continue;
            }
            let theirs: Vec<Response> =
                turn.answers.iter().filter_map(|frame| frame.reply()).map(response).collect();
            let request = self.translate(turn.request);
            let ours: Vec<Response> = self.node.handle(self.time, 1, request.clone()).collect();
            let (mut ours, mut theirs) = (merge(&ours), merge(&theirs));
            self.learn(&theirs, &ours);
            // A key that the node makes is a reply's own; objects of a scan have keys that clients chose.
            for made in [&mut ours, &mut theirs].into_iter().filter_map(|reply| reply.get_mut("key")) {
                *made = "made".into();
            }
            normalise(&mut ours);
            normalise(&mut theirs);
            assert_eq!(ours, theirs, "{}: {request:?}", capture.name);
        }
    }

    /// Puts our clocks where the recorded client sent theirs. One that was never seen comes from a read that was not recorded:
    /// it is taken for the present one.
    fn translate(&mut self, mut request: Request) -> Request {
        let present = match &request {
            Request::RpbPutReq(request) => {
                self.vclock(request.r#type.as_ref(), &request.bucket, request.key.as_ref())
            }
            Request::RpbDelReq(request) => {
                self.vclock(request.r#type.as_ref(), &request.bucket, Some(&request.key))
            }
            _ => None,
        };
        let opaque = match &mut request {
            Request::RpbGetReq(request) => &mut request.if_modified,
            Request::RpbPutReq(request) => &mut request.vclock,
            Request::RpbDelReq(request) => &mut request.vclock,
            Request::DtUpdateReq(request) => &mut request.context,
            Request::RpbIndexReq(request) => &mut request.continuation,
            Request::RpbCSBucketReq(request) => &mut request.continuation,
            _ => &mut None,
        };
        if let Some(theirs) = opaque.clone() {
            if let Some(present) = present {
                self.ours.entry(theirs.clone()).or_insert(present);
            }
            *opaque = Some(self.ours.get(&theirs).cloned().unwrap_or(theirs));
        }
        request
    }

    /// The present clock of an object.
    fn vclock(&mut self, bucket_type: Option<&Blob>, name: &Blob, key: Option<&Blob>) -> Option<Blob> {
        let bucket = Bucket { bucket_type: bucket_type.cloned(), name: name.clone() };
        let mut replies = self.node.handle(self.time, 1, Get::new(bucket.key(key?.clone())).into_request());
        match Get::read(replies.next()?.ok()?).ok()? {
            Fetched::Found(object) => object.vclock.map(|vclock| vclock.0),
            Fetched::Unchanged | Fetched::NotFound(_) => None,
        }
    }

    /// Remembers which of our clocks stands where theirs did.
    fn learn(&mut self, theirs: &Value, ours: &Value) {
        for field in OPAQUE {
            if let (Some(theirs), Some(ours)) = (theirs[*field].as_str(), ours[*field].as_str()) {
                self.ours.insert(captures::unhex(theirs).into(), captures::unhex(ours).into());
            }
        }
    }
}

/// Fields that mean something to their node alone.
const OPAQUE: &[&str] = &["vclock", "context", "continuation"];

fn response(reply: Reply) -> Response {
    match reply {
        Reply::RpbErrorResp(error) => Err((*error).into()),
        reply => Ok(reply),
    }
}

/// All replies to a request as one: how a stream is cut into replies is the node's choice.
fn merge(replies: &[Response]) -> Value {
    let mut merged = Value::Object(serde_json::Map::new());
    for reply in replies {
        if let Ok(Reply::RpbMapRedResp(part)) = reply {
            merge_job(&mut merged, part);
            continue;
        }
        let Value::Object(fields) = (match reply {
            Ok(reply) => to_json(reply.reflect()),
            Err(error) => return error_text(error),
        }) else {
            continue;
        };
        for (name, value) in fields {
            match (merged.get_mut(&name), value) {
                (Some(Value::Array(list)), Value::Array(more)) => list.extend(more),
                (_, value) => merged[&name] = value,
            }
        }
    }
    merged
}

/// The results of a job's phases: a list for each.
fn merge_job(merged: &mut Value, part: &RpbMapRedResp) {
    if let (Some(phase), Some(results)) = (part.phase, &part.response) {
        let Ok(Value::Array(results)) = serde_json::from_slice(results) else { panic!("{part:?}") };
        match &mut merged[phase.to_string()] {
            Value::Array(list) => list.extend(results),
            none => *none = results.into(),
        }
    }
    if let Some(done) = part.done {
        merged["done"] = done.into();
    }
}

/// The text of an error; of a crash only that it is one.
fn error_text(error: &ServerError) -> Value {
    if error.closes_connection() { "crash".into() } else { error.text().into_owned().into() }
}

/// Takes out what differs from node to node.
fn normalise(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields.iter_mut() {
                match name.as_str() {
                    "vclock" | "context" | "continuation" | "vtag" => *value = "opaque".into(),
                    "last_mod" | "last_mod_usecs" => *value = 0.into(),
                    _ => normalise(value),
                }
            }
        }
        Value::Array(list) => {
            list.iter_mut().for_each(normalise);
            list.sort_by_key(Value::to_string);
        }
        _ => {}
    }
}
