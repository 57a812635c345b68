//! Messages of the old search (`riak_search.proto`). Present releases do not know them.

use super::declare::messages;
use super::riak::RpbPair;

messages! {
    /// A document that was found.
    message RpbSearchDoc {
        /// Its fields.
        repeated RpbPair fields = 1;
    }

    /// Searches an index.
    message RpbSearchQueryReq {
        /// The query.
        required bytes q = 1;
        /// The index.
        required bytes index = 2;
        /// How many documents at most.
        optional uint32 rows = 3;
        /// How many documents to leave out first.
        optional uint32 start = 4;
        /// What to sort by.
        optional bytes sort = 5;
        /// A second query that documents must match.
        optional bytes filter = 6;
        /// The field that is meant when none is named.
        optional bytes df = 7;
        /// The operator that is meant when none is named: `and`, `or`.
        optional bytes op = 8;
        /// The fields to send.
        repeated bytes fl = 9;
        /// What to sort by before rows are counted: `key`, `score`.
        optional bytes presort = 10;
    }

    /// What was found.
    message RpbSearchQueryResp {
        /// The documents.
        repeated RpbSearchDoc docs = 1;
        /// The best score.
        optional float max_score = 2;
        /// How many documents there are in all.
        optional uint32 num_found = 3;
    }
}
