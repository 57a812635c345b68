//! Messages of active anti-entropy: folds over the trees and the stores behind them (`riak_kv.proto`).
//!
//! Every fold takes a while and answers once. Ranges of keys and of modification times are only looked at when `key_range` or
//! `modified_range` says so; both ends are included, times are seconds since 1970.

use super::declare::{enums, messages};
use super::repl::RpbKeysValue;

messages! {
    /// The root of the merged trees; answered by [`RpbAaeFoldTreeResp`].
    message RpbAaeFoldMergeRootNValReq {
        /// Which trees: those of buckets with this many copies.
        required uint32 n_val = 1;
    }

    /// Branches of the merged trees; answered by [`RpbAaeFoldTreeResp`].
    message RpbAaeFoldMergeBranchNValReq {
        /// Which trees: those of buckets with this many copies.
        required uint32 n_val = 1;
        /// The branches.
        repeated uint32 id_filter = 2;
    }

    /// Keys and clocks in some segments; answered by [`RpbAaeFoldKeyValueResp`].
    message RpbAaeFoldFetchClocksNValReq {
        /// Which trees: those of buckets with this many copies.
        required uint32 n_val = 1;
        /// The segments.
        repeated uint32 id_filter = 2;
        /// True to look at `last_mod_start` and `last_mod_end`.
        optional bool modified_range = 40;
        /// The first time of modification.
        optional uint32 last_mod_start = 41;
        /// The last time of modification.
        optional uint32 last_mod_end = 42;
    }

    /// A tree of a range of keys, made for the purpose; answered by [`RpbAaeFoldTreeResp`].
    message RpbAaeFoldMergeTreesRangeReq {
        /// The bucket type; absent means `default`.
        optional bytes r#type = 1;
        /// The bucket.
        required bytes bucket = 2;
        /// True to look at `start_key` and `end_key`.
        required bool key_range = 10;
        /// The first key.
        optional bytes start_key = 11;
        /// The last key.
        optional bytes end_key = 12;
        /// The size of the tree to make.
        required RpbTreeSize tree_size = 20;
        /// True to look at `id_filter` and `filter_tree_size`.
        required bool segment_filter = 30;
        /// The segments of the tree to look at.
        repeated uint32 id_filter = 31;
        /// The size of the tree that the segments are counted in.
        optional RpbTreeSize filter_tree_size = 32;
        /// True to look at `last_mod_start` and `last_mod_end`.
        required bool modified_range = 40;
        /// The first time of modification.
        optional uint32 last_mod_start = 41;
        /// The last time of modification.
        optional uint32 last_mod_end = 42;
        /// True to take the hashes that are stored, false to hash with `init_vector`.
        required bool use_prehash = 50;
        /// What to start the hash with.
        optional uint32 init_vector = 51;
    }

    /// Keys and clocks of a range; answered by [`RpbAaeFoldKeyValueResp`].
    message RpbAaeFoldFetchClocksRangeReq {
        /// The bucket type; absent means `default`.
        optional bytes r#type = 1;
        /// The bucket.
        required bytes bucket = 2;
        /// True to look at `start_key` and `end_key`.
        required bool key_range = 10;
        /// The first key.
        optional bytes start_key = 11;
        /// The last key.
        optional bytes end_key = 12;
        /// True to look at `id_filter` and `filter_tree_size`.
        required bool segment_filter = 30;
        /// The segments of the tree to look at.
        repeated uint32 id_filter = 31;
        /// The size of the tree that the segments are counted in.
        optional RpbTreeSize filter_tree_size = 32;
        /// True to look at `last_mod_start` and `last_mod_end`.
        required bool modified_range = 40;
        /// The first time of modification.
        optional uint32 last_mod_start = 41;
        /// The last time of modification.
        optional uint32 last_mod_end = 42;
    }

    /// Puts a range of keys on a replication queue; answered by [`RpbAaeFoldKeyCountResp`].
    message RpbAaeFoldReplKeysReq {
        /// The bucket type; absent means `default`.
        optional bytes r#type = 1;
        /// The bucket.
        required bytes bucket = 2;
        /// True to look at `start_key` and `end_key`.
        required bool key_range = 10;
        /// The first key.
        optional bytes start_key = 11;
        /// The last key.
        optional bytes end_key = 12;
        /// True to look at `last_mod_start` and `last_mod_end`.
        required bool modified_range = 40;
        /// The first time of modification.
        optional uint32 last_mod_start = 41;
        /// The last time of modification.
        optional uint32 last_mod_end = 42;
        /// The queue.
        required bytes queuename = 50;
    }

    /// Reads a range of keys so that they are repaired; answered by [`RpbAaeFoldKeyCountResp`].
    message RpbAaeFoldRepairKeysReq {
        /// The bucket type; absent means `default`.
        optional bytes r#type = 1;
        /// The bucket.
        required bytes bucket = 2;
        /// True to look at `start_key` and `end_key`.
        required bool key_range = 10;
        /// The first key.
        optional bytes start_key = 11;
        /// The last key.
        optional bytes end_key = 12;
        /// True to look at `last_mod_start` and `last_mod_end`.
        required bool modified_range = 40;
        /// The first time of modification.
        optional uint32 last_mod_start = 41;
        /// The last time of modification.
        optional uint32 last_mod_end = 42;
    }

    /// Keys with many siblings or of a great size; answered by [`RpbAaeFoldKeyCountResp`].
    message RpbAaeFoldFindKeysReq {
        /// The bucket type; absent means `default`.
        optional bytes r#type = 1;
        /// The bucket.
        required bytes bucket = 2;
        /// True to look at `start_key` and `end_key`.
        required bool key_range = 10;
        /// The first key.
        optional bytes start_key = 11;
        /// The last key.
        optional bytes end_key = 12;
        /// True to look at `last_mod_start` and `last_mod_end`.
        required bool modified_range = 40;
        /// The first time of modification.
        optional uint32 last_mod_start = 41;
        /// The last time of modification.
        optional uint32 last_mod_end = 42;
        /// What to look for.
        required FindType finder = 50;
        /// More than how many siblings, or bytes.
        required uint32 find_limit = 51;
    }

    /// Tombstones of a range; answered by [`RpbAaeFoldKeyValueResp`].
    message RpbAaeFoldFindTombsReq {
        /// The bucket type; absent means `default`.
        optional bytes r#type = 1;
        /// The bucket.
        required bytes bucket = 2;
        /// True to look at `start_key` and `end_key`.
        required bool key_range = 10;
        /// The first key.
        optional bytes start_key = 11;
        /// The last key.
        optional bytes end_key = 12;
        /// True to look at `id_filter` and `filter_tree_size`.
        required bool segment_filter = 30;
        /// The segments of the tree to look at.
        repeated uint32 id_filter = 31;
        /// The size of the tree that the segments are counted in.
        optional RpbTreeSize filter_tree_size = 32;
        /// True to look at `last_mod_start` and `last_mod_end`.
        required bool modified_range = 40;
        /// The first time of modification.
        optional uint32 last_mod_start = 41;
        /// The last time of modification.
        optional uint32 last_mod_end = 42;
    }

    /// Removes tombstones for good; answered by [`RpbAaeFoldKeyCountResp`].
    message RpbAaeFoldReapTombsReq {
        /// The bucket type; absent means `default`.
        optional bytes r#type = 1;
        /// The bucket.
        required bytes bucket = 2;
        /// True to look at `start_key` and `end_key`.
        required bool key_range = 10;
        /// The first key.
        optional bytes start_key = 11;
        /// The last key.
        optional bytes end_key = 12;
        /// True to look at `id_filter` and `filter_tree_size`.
        required bool segment_filter = 30;
        /// The segments of the tree to look at.
        repeated uint32 id_filter = 31;
        /// The size of the tree that the segments are counted in.
        optional RpbTreeSize filter_tree_size = 32;
        /// True to look at `last_mod_start` and `last_mod_end`.
        required bool modified_range = 40;
        /// The first time of modification.
        optional uint32 last_mod_start = 41;
        /// The last time of modification.
        optional uint32 last_mod_end = 42;
        /// What to do with what is found.
        required ChangeMethod change_method = 50;
        /// The number of the job, for [`ChangeMethod::Job`].
        optional uint32 job_id = 51;
    }

    /// Deletes a range of keys; answered by [`RpbAaeFoldKeyCountResp`].
    message RpbAaeFoldEraseKeysReq {
        /// The bucket type; absent means `default`.
        optional bytes r#type = 1;
        /// The bucket.
        required bytes bucket = 2;
        /// True to look at `start_key` and `end_key`.
        required bool key_range = 10;
        /// The first key.
        optional bytes start_key = 11;
        /// The last key.
        optional bytes end_key = 12;
        /// True to look at `id_filter` and `filter_tree_size`.
        required bool segment_filter = 30;
        /// The segments of the tree to look at.
        repeated uint32 id_filter = 31;
        /// The size of the tree that the segments are counted in.
        optional RpbTreeSize filter_tree_size = 32;
        /// True to look at `last_mod_start` and `last_mod_end`.
        required bool modified_range = 40;
        /// The first time of modification.
        optional uint32 last_mod_start = 41;
        /// The last time of modification.
        optional uint32 last_mod_end = 42;
        /// What to do with what is found.
        required ChangeMethod change_method = 50;
        /// The number of the job, for [`ChangeMethod::Job`].
        optional uint32 job_id = 51;
    }

    /// Counts objects by size and by siblings; answered by [`RpbAaeFoldKeyCountResp`].
    message RpbAaeFoldObjectStatsReq {
        /// The bucket type; absent means `default`.
        optional bytes r#type = 1;
        /// The bucket.
        required bytes bucket = 2;
        /// True to look at `start_key` and `end_key`.
        required bool key_range = 10;
        /// The first key.
        optional bytes start_key = 11;
        /// The last key.
        optional bytes end_key = 12;
        /// True to look at `last_mod_start` and `last_mod_end`.
        required bool modified_range = 40;
        /// The first time of modification.
        optional uint32 last_mod_start = 41;
        /// The last time of modification.
        optional uint32 last_mod_end = 42;
    }

    /// Lists buckets from the trees, which is cheaper than a listing; answered by [`RpbAaeFoldListBucketsResp`].
    message RpbAaeFoldListBucketsReq {
        /// Only buckets with this many copies.
        optional uint32 n_val = 1;
    }

    /// Buckets.
    message RpbAaeFoldListBucketsResp {
        /// Type and name of each.
        repeated RpbAaeFoldBucket bucket_list = 1;
    }

    /// A bucket by type and name.
    message RpbAaeFoldBucket {
        /// The bucket type; absent means `default`.
        optional bytes r#type = 1;
        /// The bucket.
        required bytes bucket = 2;
    }

    /// A count, by what was counted.
    message RpbKeysCount {
        /// What was counted: `total_count`, `sizes`, a key ...
        required bytes tag = 1;
        /// The order of magnitude, where counts are kept by magnitude.
        optional uint32 order = 2;
        /// How many.
        required uint32 count = 3;
    }

    /// A tree, or some branches of one.
    message RpbAaeFoldTreeResp {
        /// Its size.
        required RpbTreeSize size = 1;
        /// The root: four bytes per branch.
        optional bytes level_one = 2;
        /// The branches.
        repeated bytes level_two = 3;
    }

    /// Keys, each with a value.
    message RpbAaeFoldKeyValueResp {
        /// What the values are: `clock` ...
        required bytes response_type = 1;
        /// The keys.
        repeated RpbKeysValue keys_value = 2;
    }

    /// Counts.
    message RpbAaeFoldKeyCountResp {
        /// What was counted.
        required bytes response_type = 1;
        /// The counts.
        repeated RpbKeysCount keys_count = 2;
    }
}

enums! {
    /// The number of segments in a tree: 64 branches of 16 segments, and four times as many with each step.
    enum RpbTreeSize {
        /// The smallest.
        XxSmall = 0, "xxsmall";
        /// Very small.
        XSmall = 1, "xsmall";
        /// Small.
        Small = 2, "small";
        /// Medium.
        Medium = 3, "medium";
        /// Large.
        Large = 4, "large";
        /// The largest.
        XLarge = 5, "xlarge";
    }

    /// What [`RpbAaeFoldFindKeysReq`] looks for.
    enum FindType {
        /// Keys with more than so many siblings.
        SiblingCount = 0, "sibling_count";
        /// Objects of more than so many bytes.
        ObjectSize = 1, "object_size";
    }

    /// What to do with the keys that were found.
    enum ChangeMethod {
        /// Hand them to a job of its own.
        Job = 0, "job";
        /// Change them on each node.
        Local = 1, "local";
        /// Only count them.
        Count = 2, "count";
    }
}
