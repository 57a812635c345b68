//! Messages of time series (`riak_ts.proto`). Only Riak TS knows them.

use super::declare::{enums, messages, opaque_messages};
use super::riak::RpbPair;

messages! {
    /// Runs a query.
    message TsQueryReq {
        /// The query.
        optional TsInterpolation query = 1;
        /// Send rows as they are found.
        optional bool stream = 2;
        /// Ask one part of a coverage plan alone.
        optional bytes cover_context = 3;
    }

    /// Some rows, or all of them.
    message TsQueryResp {
        /// The columns.
        repeated TsColumnDescription columns = 1;
        /// The rows.
        repeated TsRow rows = 2;
        /// False in all messages of a stream but the last; absent means true.
        optional bool done = 3;
    }

    /// Reads one row.
    message TsGetReq {
        /// The table.
        required bytes table = 1;
        /// The row's key.
        repeated TsCell key = 2;
        /// How long the node may take, in milliseconds.
        optional uint32 timeout = 3;
    }

    /// One row, or none.
    message TsGetResp {
        /// The columns.
        repeated TsColumnDescription columns = 1;
        /// The row.
        repeated TsRow rows = 2;
    }

    /// Writes rows.
    message TsPutReq {
        /// The table.
        required bytes table = 1;
        /// The columns; absent means the table's own order.
        repeated TsColumnDescription columns = 2;
        /// The rows.
        repeated TsRow rows = 3;
    }

    /// The rows were written. No body.
    message TsPutResp {}

    /// Deletes one row.
    message TsDelReq {
        /// The table.
        required bytes table = 1;
        /// The row's key.
        repeated TsCell key = 2;
        /// The row's clock.
        optional bytes vclock = 3;
        /// How long the node may take, in milliseconds.
        optional uint32 timeout = 4;
    }

    /// The row was deleted. No body.
    message TsDelResp {}

    /// A query with parameters.
    message TsInterpolation {
        /// The query's text.
        required bytes base = 1;
        /// The parameters.
        repeated RpbPair interpolations = 2;
    }

    /// A column.
    message TsColumnDescription {
        /// Its name.
        required bytes name = 1;
        /// Its type.
        optional TsColumnType r#type = 2;
    }

    /// A row.
    message TsRow {
        /// Its cells.
        repeated TsCell cells = 1;
    }

    /// A cell: one of the values, or none for null.
    message TsCell {
        /// Text.
        optional bytes varchar_value = 1;
        /// A whole number.
        optional sint64 sint64_value = 2;
        /// Milliseconds since 1970.
        optional sint64 timestamp_value = 3;
        /// True or false.
        optional bool boolean_value = 4;
        /// A number.
        optional double double_value = 5;
    }

    /// Lists the keys of a table, always as a stream.
    message TsListKeysReq {
        /// The table.
        required bytes table = 1;
        /// How long the node may take, in milliseconds.
        optional uint32 timeout = 2;
    }

    /// Some keys of a table.
    message TsListKeysResp {
        /// The keys.
        repeated TsRow keys = 1;
        /// True in the last message of the stream.
        optional bool done = 2;
    }

    /// Asks how a query may be cut into parts that are asked one by one.
    message TsCoverageReq {
        /// The query.
        optional TsInterpolation query = 1;
        /// The table.
        required bytes table = 2;
        /// The part of an earlier plan that failed.
        optional bytes replace_cover = 3;
        /// Other parts that failed.
        repeated bytes unavailable_cover = 4;
    }

    /// A coverage plan.
    message TsCoverageResp {
        /// Its parts.
        repeated TsCoverageEntry entries = 1;
    }

    /// One part of a coverage plan.
    message TsCoverageEntry {
        /// The address of the node to ask.
        required bytes ip = 1;
        /// Its port.
        required uint32 port = 2;
        /// What to send with the query.
        required bytes cover_context = 3;
        /// The times the part covers.
        optional TsRange range = 4;
    }

    /// A range of times.
    message TsRange {
        /// The column the times are in.
        required bytes field_name = 1;
        /// The first time.
        required sint64 lower_bound = 2;
        /// Whether it is itself included.
        required bool lower_bound_inclusive = 3;
        /// The last time.
        required sint64 upper_bound = 4;
        /// Whether it is itself included.
        required bool upper_bound_inclusive = 5;
        /// The range in words.
        required bytes desc = 6;
    }
}

opaque_messages! {
    /// An Erlang term instead of a message in protocol buffers, as a request and as a reply.
    message TsTtbMsg;
}

enums! {
    /// The type of a column.
    enum TsColumnType {
        /// Text.
        Varchar = 0, "VARCHAR";
        /// A whole number.
        Sint64 = 1, "SINT64";
        /// A number.
        Double = 2, "DOUBLE";
        /// Milliseconds since 1970.
        Timestamp = 3, "TIMESTAMP";
        /// True or false.
        Boolean = 4, "BOOLEAN";
    }
}
