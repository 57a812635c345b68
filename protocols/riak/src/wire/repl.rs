//! Messages of replication: the queues of real-time and full-sync replication, and cluster membership (`riak_kv.proto`).

use super::declare::{messages, opaque_messages};

messages! {
    /// Reads an object for real-time replication.
    message RpbRTEReq {
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
        /// How long the node may take.
        optional uint32 timeout = 10;
        /// Let other vnodes stand in for primaries that are down.
        optional bool sloppy_quorum = 11;
        /// How many copies to look at.
        optional uint32 n_val = 12;
        /// The bucket type.
        optional bytes r#type = 13;
    }

    /// Takes the next object off a replication queue.
    message RpbFetchReq {
        /// The queue.
        required bytes queuename = 1;
        /// How to send the object: `internal` or `internal_aaehash`.
        optional bytes encoding = 2;
    }

    /// The next object of a replication queue.
    message RpbFetchResp {
        /// True when there was none.
        required bool queue_empty = 1;
        /// True when the object is a tombstone.
        optional bool deleted = 2;
        /// A CRC-32 of the encoded object.
        optional uint32 crc_check = 3;
        /// The object in replication's own encoding.
        optional bytes replencoded_object = 4;
        /// The tombstone's clock.
        optional bytes deleted_vclock = 5;
        /// The object's segment in the tree of active anti-entropy.
        optional uint32 segment_id = 6;
        /// The object's hash in that tree.
        optional uint32 segment_hash = 7;
    }

    /// Puts keys on a replication queue.
    message RpbPushReq {
        /// The queue.
        required bytes queuename = 1;
        /// The keys; each value is a clock.
        repeated RpbKeysValue keys_value = 2;
    }

    /// The lengths of a replication queue.
    message RpbPushResp {
        /// The queue.
        optional bytes queuename = 1;
        /// False when there is no such queue.
        required bool queue_exists = 2;
        /// Entries that wait from folds.
        optional uint32 foldq_length = 10;
        /// Entries that wait from full sync.
        optional uint32 fsync_length = 11;
        /// Entries that wait from real time.
        optional uint32 realt_length = 12;
    }

    /// Asks which nodes of the cluster are up.
    message RpbMembershipReq {
        /// The queue it is asked for.
        optional bytes queuename = 1;
    }

    /// The nodes that are up.
    message RpbMembershipResp {
        /// Their addresses.
        repeated RpbClusterMemberEntry up_nodes = 1;
    }

    /// Where a node listens.
    message RpbClusterMemberEntry {
        /// The address.
        required bytes ip = 1;
        /// The port.
        required uint32 port = 2;
    }

    /// A key, and a value that goes with it: a clock, a count ...
    message RpbKeysValue {
        /// The bucket type.
        optional bytes r#type = 1;
        /// The bucket.
        required bytes bucket = 2;
        /// The key.
        required bytes key = 3;
        /// The value.
        required bytes value = 4;
    }
}

opaque_messages! {
    /// The object was handed to real-time replication. No fields are published.
    message RpbRTEResp;

    /// Reads an object for the old multi-data-center replication. No fields are published.
    message RpbReplGetReq;

    /// Asks for the cluster's id. No fields are published.
    message RpbReplGetClusterIdReq;

    /// The cluster's id. No fields are published.
    message RpbReplGetClusterIdResp;
}
