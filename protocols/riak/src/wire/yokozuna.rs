//! Messages that administer Yokozuna, the search built on Solr (`riak_yokozuna.proto`). Present releases do not know them.

use super::declare::messages;

messages! {
    /// An index.
    message RpbYokozunaIndex {
        /// Its name.
        required bytes name = 1;
        /// The name of its schema.
        optional bytes schema = 2;
        /// How many copies it keeps.
        optional uint32 n_val = 3;
    }

    /// Asks for an index, or for all.
    message RpbYokozunaIndexGetReq {
        /// Which; absent means all.
        optional bytes name = 1;
    }

    /// Indexes.
    message RpbYokozunaIndexGetResp {
        /// The indexes.
        repeated RpbYokozunaIndex index = 1;
    }

    /// Makes an index; answered by [`RpbPutResp`](super::kv::RpbPutResp).
    message RpbYokozunaIndexPutReq {
        /// The index.
        required RpbYokozunaIndex index = 1;
        /// How long the node may take, in milliseconds.
        optional uint32 timeout = 2;
    }

    /// Removes an index; answered by [`RpbDelResp`](super::kv::RpbDelResp).
    message RpbYokozunaIndexDeleteReq {
        /// Its name.
        required bytes name = 1;
    }

    /// A schema.
    message RpbYokozunaSchema {
        /// Its name.
        required bytes name = 1;
        /// Its text.
        optional bytes content = 2;
    }

    /// Makes or changes a schema; answered by [`RpbPutResp`](super::kv::RpbPutResp).
    message RpbYokozunaSchemaPutReq {
        /// The schema.
        required RpbYokozunaSchema schema = 1;
    }

    /// Asks for a schema.
    message RpbYokozunaSchemaGetReq {
        /// Its name.
        required bytes name = 1;
    }

    /// A schema.
    message RpbYokozunaSchemaGetResp {
        /// The schema.
        required RpbYokozunaSchema schema = 1;
    }
}
