//! Messages of the key-value store: objects, listings, indexes, map-reduce, legacy counters, coverage (`riak_kv.proto`).
//!
//! Quorums (`r`, `w`, `pr`, `pw`, `dw`) are counts of vnodes, or one of the numbers in [`crate::Quorum`]. Timeouts are in
//! milliseconds. An absent `type` means the bucket type `default`.

use super::declare::{enums, messages};
use super::riak::RpbPair;

messages! {
    /// Asks for the client id of this connection. No body.
    message RpbGetClientIdReq {}

    /// The client id of this connection.
    message RpbGetClientIdResp {
        /// The id.
        required bytes client_id = 1;
    }

    /// Sets the client id of this connection. Nodes since 1.0 ignore it.
    message RpbSetClientIdReq {
        /// The id.
        required bytes client_id = 1;
    }

    /// The client id was set. No body.
    message RpbSetClientIdResp {}

    /// Reads an object.
    message RpbGetReq {
        /// The bucket.
        required bytes bucket = 1;
        /// The key.
        required bytes key = 2;
        /// Vnodes that must answer.
        optional uint32 r = 3;
        /// Primary vnodes that must answer.
        optional uint32 pr = 4;
        /// Give up as soon as a majority has not found it.
        optional bool basic_quorum = 5;
        /// Count "not found" as an answer.
        optional bool notfound_ok = 6;
        /// Send the object only if its clock is not this one.
        optional bytes if_modified = 7;
        /// Send everything but the value.
        optional bool head = 8;
        /// If the object is deleted, send its tombstone's clock.
        optional bool deletedvclock = 9;
        /// How long the node may take.
        optional uint32 timeout = 10;
        /// Let other vnodes stand in for primaries that are down.
        optional bool sloppy_quorum = 11;
        /// How many copies to look at, instead of the bucket's own number.
        optional uint32 n_val = 12;
        /// The bucket type.
        optional bytes r#type = 13;
        /// Distinct physical nodes that must answer.
        optional uint32 node_confirms = 14;
    }

    /// An object: one content, or several siblings. No content means not found, or `unchanged`.
    message RpbGetResp {
        /// The siblings.
        repeated RpbContent content = 1;
        /// The object's clock, to be sent back with the next write.
        optional bytes vclock = 2;
        /// True when the clock is still the one sent as `if_modified`.
        optional bool unchanged = 3;
    }

    /// Writes an object.
    message RpbPutReq {
        /// The bucket.
        required bytes bucket = 1;
        /// The key; absent, the node makes one.
        optional bytes key = 2;
        /// The clock of the object this one replaces; absent, a sibling or a new object is made.
        optional bytes vclock = 3;
        /// What to store.
        required RpbContent content = 4;
        /// Vnodes that must answer.
        optional uint32 w = 5;
        /// Vnodes that must have it on disk.
        optional uint32 dw = 6;
        /// Send the stored object back.
        optional bool return_body = 7;
        /// Primary vnodes that must answer.
        optional uint32 pw = 8;
        /// Refuse unless the stored clock is the one sent.
        optional bool if_not_modified = 9;
        /// Refuse if there is such a key.
        optional bool if_none_match = 10;
        /// Send the stored object back without its value.
        optional bool return_head = 11;
        /// How long the node may take.
        optional uint32 timeout = 12;
        /// Store the object as it is, clock included.
        optional bool asis = 13;
        /// Let other vnodes stand in for primaries that are down.
        optional bool sloppy_quorum = 14;
        /// How many copies to write, instead of the bucket's own number.
        optional uint32 n_val = 15;
        /// The bucket type.
        optional bytes r#type = 16;
        /// Distinct physical nodes that must answer.
        optional uint32 node_confirms = 17;
    }

    /// The object was stored.
    message RpbPutResp {
        /// The stored siblings, if they were asked for.
        repeated RpbContent content = 1;
        /// The stored object's clock, if it was asked for.
        optional bytes vclock = 2;
        /// The key, if the node made it.
        optional bytes key = 3;
    }

    /// Deletes an object.
    message RpbDelReq {
        /// The bucket.
        required bytes bucket = 1;
        /// The key.
        required bytes key = 2;
        /// Vnodes that must answer (no longer used).
        optional uint32 rw = 3;
        /// The clock of the object to delete; absent, whatever is there now.
        optional bytes vclock = 4;
        /// Vnodes that must answer the read before the delete.
        optional uint32 r = 5;
        /// Vnodes that must answer the delete.
        optional uint32 w = 6;
        /// Primary vnodes that must answer the read.
        optional uint32 pr = 7;
        /// Primary vnodes that must answer the delete.
        optional uint32 pw = 8;
        /// Vnodes that must have the delete on disk.
        optional uint32 dw = 9;
        /// How long the node may take.
        optional uint32 timeout = 10;
        /// Let other vnodes stand in for primaries that are down.
        optional bool sloppy_quorum = 11;
        /// How many copies to look at.
        optional uint32 n_val = 12;
        /// The bucket type.
        optional bytes r#type = 13;
    }

    /// The object is deleted, or was never there. No body.
    message RpbDelResp {}

    /// Lists the buckets of a type. Walks over all keys of the cluster.
    message RpbListBucketsReq {
        /// How long the node may take.
        optional uint32 timeout = 1;
        /// Send them as they are found.
        optional bool stream = 2;
        /// The bucket type.
        optional bytes r#type = 3;
    }

    /// Some buckets, or all of them.
    message RpbListBucketsResp {
        /// Their names.
        repeated bytes buckets = 1;
        /// True in the last message of a stream.
        optional bool done = 2;
    }

    /// Lists the keys of a bucket, always as a stream. Walks over all keys of the cluster.
    message RpbListKeysReq {
        /// The bucket.
        required bytes bucket = 1;
        /// How long the node may take.
        optional uint32 timeout = 2;
        /// The bucket type.
        optional bytes r#type = 3;
    }

    /// Some keys.
    message RpbListKeysResp {
        /// The keys.
        repeated bytes keys = 1;
        /// True in the last message of the stream.
        optional bool done = 2;
    }

    /// Runs a map-reduce job, always as a stream.
    message RpbMapRedReq {
        /// The job.
        required bytes request = 1;
        /// `application/json` or `application/x-erlang-binary`.
        required bytes content_type = 2;
    }

    /// Some results of one phase.
    message RpbMapRedResp {
        /// The phase, counted from 0.
        optional uint32 phase = 1;
        /// The results, in the content type of the request.
        optional bytes response = 2;
        /// True in the last message of the stream.
        optional bool done = 3;
    }

    /// Queries a secondary index.
    message RpbIndexReq {
        /// The bucket.
        required bytes bucket = 1;
        /// The index: a name that ends in `_int` or `_bin`, or `$bucket`, or `$key`.
        required bytes index = 2;
        /// One value or a range.
        required IndexQueryType qtype = 3;
        /// The value, for [`IndexQueryType::Eq`].
        optional bytes key = 4;
        /// The first value of a range, itself included.
        optional bytes range_min = 5;
        /// The last value of a range, itself included.
        optional bytes range_max = 6;
        /// Send the values along with the keys.
        optional bool return_terms = 7;
        /// Send results as they are found.
        optional bool stream = 8;
        /// How many results to send at most; the reply then has a continuation.
        optional uint32 max_results = 9;
        /// Where the reply before this one ended.
        optional bytes continuation = 10;
        /// How long the node may take.
        optional uint32 timeout = 11;
        /// The bucket type.
        optional bytes r#type = 12;
        /// Send only results whose value (in a `_bin` index) matches this regular expression.
        optional bytes term_regex = 13;
        /// Sort the results by value and key.
        optional bool pagination_sort = 14;
        /// Ask one part of a coverage plan alone.
        optional bytes cover_context = 15;
        /// Send objects. The releases recorded ignore it.
        optional bool return_body = 16;
    }

    /// Some results of an index query, or all of them.
    message RpbIndexResp {
        /// The keys, when values were not asked for.
        repeated bytes keys = 1;
        /// Value and key of each result, when values were asked for.
        repeated RpbPair results = 2;
        /// Where to go on, if there may be more.
        optional bytes continuation = 3;
        /// True in the last message of a stream.
        optional bool done = 4;
    }

    /// Some results of an index query with bodies.
    message RpbIndexBodyResp {
        /// The objects.
        repeated RpbIndexObject objects = 1;
        /// Where to go on, if there may be more.
        optional bytes continuation = 2;
        /// True in the last message of the stream.
        optional bool done = 3;
    }

    /// Reads the objects of a bucket in the order of their keys (made for Riak CS), always as a stream.
    message RpbCSBucketReq {
        /// The bucket.
        required bytes bucket = 1;
        /// The first key.
        required bytes start_key = 2;
        /// The last key; absent, up to the end.
        optional bytes end_key = 3;
        /// Whether `start_key` is itself included; absent means yes.
        optional bool start_incl = 4;
        /// Whether `end_key` is itself included; absent means no.
        optional bool end_incl = 5;
        /// Where the reply before this one ended.
        optional bytes continuation = 6;
        /// How many objects to send at most.
        optional uint32 max_results = 7;
        /// How long the node may take.
        optional uint32 timeout = 8;
        /// The bucket type.
        optional bytes r#type = 9;
        /// Ask one part of a coverage plan alone.
        optional bytes cover_context = 10;
    }

    /// Some objects of a bucket.
    message RpbCSBucketResp {
        /// The objects.
        repeated RpbIndexObject objects = 1;
        /// Where to go on, if there may be more.
        optional bytes continuation = 2;
        /// True in the last message of the stream.
        optional bool done = 3;
    }

    /// A key and its object.
    message RpbIndexObject {
        /// The key.
        required bytes key = 1;
        /// The object, as a get would send it.
        required RpbGetResp object = 2;
    }

    /// One value of an object, with its metadata.
    message RpbContent {
        /// The value; empty for a tombstone and in a reply to `head`.
        required bytes value = 1;
        /// The media type.
        optional bytes content_type = 2;
        /// The character set.
        optional bytes charset = 3;
        /// The encoding, as `gzip`.
        optional bytes content_encoding = 4;
        /// The node's name for this version.
        optional bytes vtag = 5;
        /// Links to other objects.
        repeated RpbLink links = 6;
        /// When it was written: seconds since 1970.
        optional uint32 last_mod = 7;
        /// When it was written: microseconds of the second.
        optional uint32 last_mod_usecs = 8;
        /// The user's metadata.
        repeated RpbPair usermeta = 9;
        /// Entries in secondary indexes.
        repeated RpbPair indexes = 10;
        /// True for a tombstone.
        optional bool deleted = 11;
    }

    /// A link to an object.
    message RpbLink {
        /// The bucket it points to.
        optional bytes bucket = 1;
        /// The key it points to.
        optional bytes key = 2;
        /// What it means.
        optional bytes tag = 3;
    }

    /// Adds to a counter of the kind that came before data types.
    message RpbCounterUpdateReq {
        /// The bucket.
        required bytes bucket = 1;
        /// The key.
        required bytes key = 2;
        /// How much to add; may be negative.
        required sint64 amount = 3;
        /// Vnodes that must answer.
        optional uint32 w = 4;
        /// Vnodes that must have it on disk.
        optional uint32 dw = 5;
        /// Primary vnodes that must answer.
        optional uint32 pw = 6;
        /// Send the new value back.
        optional bool returnvalue = 7;
        /// Distinct physical nodes that must answer.
        optional uint32 node_confirms = 8;
    }

    /// The counter was changed.
    message RpbCounterUpdateResp {
        /// The new value, if it was asked for.
        optional sint64 value = 1;
    }

    /// Reads a counter of the kind that came before data types.
    message RpbCounterGetReq {
        /// The bucket.
        required bytes bucket = 1;
        /// The key.
        required bytes key = 2;
        /// Vnodes that must answer.
        optional uint32 r = 3;
        /// Primary vnodes that must answer.
        optional uint32 pr = 4;
        /// Give up as soon as a majority has not found it.
        optional bool basic_quorum = 5;
        /// Count "not found" as an answer.
        optional bool notfound_ok = 6;
        /// Distinct physical nodes that must answer.
        optional uint32 node_confirms = 7;
    }

    /// The counter's value.
    message RpbCounterGetResp {
        /// The value; absent when there is no such counter.
        optional sint64 value = 1;
    }

    /// Asks which vnodes are responsible for a key.
    message RpbGetBucketKeyPreflistReq {
        /// The bucket.
        required bytes bucket = 1;
        /// The key.
        required bytes key = 2;
        /// The bucket type. The releases recorded close the connection when it is there.
        optional bytes r#type = 3;
    }

    /// The vnodes responsible for a key.
    message RpbGetBucketKeyPreflistResp {
        /// One entry per copy.
        repeated RpbBucketKeyPreflistItem preflist = 1;
    }

    /// One vnode responsible for a key.
    message RpbBucketKeyPreflistItem {
        /// The number of its partition.
        required int64 partition = 1;
        /// The node it runs on.
        required bytes node = 2;
        /// False for a stand-in.
        required bool primary = 3;
    }

    /// Asks how a query over a whole bucket may be cut into parts that are asked one by one.
    message RpbCoverageReq {
        /// The bucket type.
        optional bytes r#type = 1;
        /// The bucket.
        required bytes bucket = 2;
        /// Into how many parts at least.
        optional uint32 min_partitions = 3;
        /// The part of an earlier plan that failed.
        optional bytes replace_cover = 4;
        /// Other parts that failed.
        repeated bytes unavailable_cover = 5;
    }

    /// A coverage plan.
    message RpbCoverageResp {
        /// Its parts.
        repeated RpbCoverageEntry entries = 1;
    }

    /// One part of a coverage plan.
    message RpbCoverageEntry {
        /// The address of the node to ask.
        required bytes ip = 1;
        /// Its port.
        required uint32 port = 2;
        /// What the part covers, in words.
        optional bytes keyspace_desc = 3;
        /// What to send with the query.
        required bytes cover_context = 4;
    }
}

enums! {
    /// What an index query looks for.
    enum IndexQueryType {
        /// One value.
        Eq = 0, "eq";
        /// A range of values, both ends included.
        Range = 1, "range";
    }
}
