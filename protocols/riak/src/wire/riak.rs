//! Messages of the node itself: errors, server information, bucket properties, authentication (`riak.proto`).

use super::declare::{enums, messages};

messages! {
    /// The request failed. It comes in the place of any reply, also in the middle of a stream, which it ends.
    message RpbErrorResp {
        /// What went wrong, as text or as a printed Erlang term.
        required bytes errmsg = 1;
        /// The kind of error. Nodes send 0 whatever happened.
        required uint32 errcode = 2;
    }

    /// Is the node there? No body.
    message RpbPingReq {}

    /// It is. No body.
    message RpbPingResp {}

    /// Asks for the node's name and version. No body.
    message RpbGetServerInfoReq {}

    /// The node's name and version.
    message RpbGetServerInfoResp {
        /// The node's Erlang name, as `riak@127.0.0.1`.
        optional bytes node = 1;
        /// The release, as `3.2.3`.
        optional bytes server_version = 2;
    }

    /// A name and a value: user metadata, index entries, index results.
    message RpbPair {
        /// The name.
        required bytes key = 1;
        /// The value; a name alone is allowed.
        optional bytes value = 2;
    }

    /// Asks for the properties of a bucket.
    message RpbGetBucketReq {
        /// The bucket.
        required bytes bucket = 1;
        /// The bucket type; absent means `default`.
        optional bytes r#type = 2;
    }

    /// The properties of a bucket or a bucket type.
    message RpbGetBucketResp {
        /// All of them.
        required RpbBucketProps props = 1;
    }

    /// Changes properties of a bucket.
    message RpbSetBucketReq {
        /// The bucket.
        required bytes bucket = 1;
        /// The properties to change; absent ones stay as they are.
        required RpbBucketProps props = 2;
        /// The bucket type; absent means `default`.
        optional bytes r#type = 3;
    }

    /// The properties were changed. No body.
    message RpbSetBucketResp {}

    /// Gives a bucket the properties of its type again.
    message RpbResetBucketReq {
        /// The bucket.
        required bytes bucket = 1;
        /// The bucket type; absent means `default`.
        optional bytes r#type = 2;
    }

    /// The properties were reset. No body.
    message RpbResetBucketResp {}

    /// Asks for the properties of a bucket type; answered by [`RpbGetBucketResp`].
    message RpbGetBucketTypeReq {
        /// The bucket type.
        required bytes r#type = 1;
    }

    /// Changes properties of a bucket type; answered by [`RpbSetBucketResp`].
    message RpbSetBucketTypeReq {
        /// The bucket type.
        required bytes r#type = 1;
        /// The properties to change.
        required RpbBucketProps props = 2;
    }

    /// An Erlang function by name.
    message RpbModFun {
        /// The module.
        required bytes module = 1;
        /// The function.
        required bytes function = 2;
    }

    /// A commit hook: an Erlang function, or the name of a JavaScript one.
    message RpbCommitHook {
        /// The Erlang function.
        optional RpbModFun modfun = 1;
        /// The JavaScript function, which no supported release runs.
        optional bytes name = 2;
    }

    /// Bucket properties. In a reply all that the node has, in a request those to be changed.
    message RpbBucketProps {
        /// How many vnodes keep a copy.
        optional uint32 n_val = 1;
        /// Keep siblings instead of choosing one of them.
        optional bool allow_mult = 2;
        /// Let the last write win, without looking at clocks.
        optional bool last_write_wins = 3;
        /// Hooks that run before a write and may refuse it.
        repeated RpbCommitHook precommit = 4;
        /// True when `precommit` is meant, also when it is empty (which clears the hooks).
        optional bool has_precommit = 5;
        /// Hooks that run after a write.
        repeated RpbCommitHook postcommit = 6;
        /// True when `postcommit` is meant, also when it is empty.
        optional bool has_postcommit = 7;
        /// How keys are placed on the ring.
        optional RpbModFun chash_keyfun = 8;
        /// How links are read out of an object.
        optional RpbModFun linkfun = 9;
        /// Clock entries older than this (seconds) may be pruned.
        optional uint32 old_vclock = 10;
        /// Clock entries younger than this (seconds) are not pruned.
        optional uint32 young_vclock = 11;
        /// Clocks with more entries than this are pruned.
        optional uint32 big_vclock = 12;
        /// Clocks with fewer entries than this are not pruned.
        optional uint32 small_vclock = 13;
        /// Primary vnodes that must answer a read.
        optional uint32 pr = 14;
        /// Vnodes that must answer a read.
        optional uint32 r = 15;
        /// Vnodes that must answer a write.
        optional uint32 w = 16;
        /// Primary vnodes that must answer a write.
        optional uint32 pw = 17;
        /// Vnodes that must have a write on disk.
        optional uint32 dw = 18;
        /// Vnodes that must answer a delete (no longer used).
        optional uint32 rw = 19;
        /// Give up on a read as soon as a majority has not found it.
        optional bool basic_quorum = 20;
        /// Count "not found" as an answer to a read.
        optional bool notfound_ok = 21;
        /// The name of the storage backend.
        optional bytes backend = 22;
        /// Whether the old search indexes the bucket.
        optional bool search = 23;
        /// Which replication the bucket takes part in.
        optional RpbReplMode repl = 24;
        /// The Yokozuna index.
        optional bytes search_index = 25;
        /// The data type: `counter`, `set`, `gset`, `map`, `hll`.
        optional bytes datatype = 26;
        /// Whether the bucket is strongly consistent.
        optional bool consistent = 27;
        /// Whether objects are written once and never changed.
        optional bool write_once = 28;
        /// How many bits a HyperLogLog's registers are numbered with.
        optional uint32 hll_precision = 29;
    }

    /// Who is asking. Only understood inside TLS.
    message RpbAuthReq {
        /// The user.
        required bytes user = 1;
        /// The password; anything for users who are trusted or have a certificate.
        required bytes password = 2;
    }

    /// The user may come in. No body.
    message RpbAuthResp {}

    /// Asks for TLS, and in the other direction agrees to it. No body; the handshake follows.
    message RpbStartTls {}
}

enums! {
    /// Which replication a bucket takes part in.
    enum RpbReplMode {
        /// None.
        False = 0, "FALSE";
        /// Realtime alone.
        Realtime = 1, "REALTIME";
        /// Full sync alone.
        Fullsync = 2, "FULLSYNC";
        /// Both.
        True = 3, "TRUE";
    }
}
