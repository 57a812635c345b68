//! Messages of the data types: counters, sets, grow-only sets, maps, HyperLogLogs (`riak_dt.proto`).

use super::declare::{enums, messages};

messages! {
    /// The name of a map's field. Fields of one name and different types are different fields.
    message MapField {
        /// The name.
        required bytes name = 1;
        /// The type.
        required MapFieldType r#type = 2;
    }

    /// A field of a map and its value; which of the values is there follows from the field's type.
    message MapEntry {
        /// The field.
        required MapField field = 1;
        /// A counter's value.
        optional sint64 counter_value = 2;
        /// A set's elements.
        repeated bytes set_value = 3;
        /// A register's value.
        optional bytes register_value = 4;
        /// A flag's value.
        optional bool flag_value = 5;
        /// A map's fields.
        nested MapEntry map_value = 6;
    }

    /// Reads a data type.
    message DtFetchReq {
        /// The bucket.
        required bytes bucket = 1;
        /// The key.
        required bytes key = 2;
        /// The bucket type.
        required bytes r#type = 3;
        /// Vnodes that must answer.
        optional uint32 r = 4;
        /// Primary vnodes that must answer.
        optional uint32 pr = 5;
        /// Give up as soon as a majority has not found it.
        optional bool basic_quorum = 6;
        /// Count "not found" as an answer.
        optional bool notfound_ok = 7;
        /// How long the node may take, in milliseconds.
        optional uint32 timeout = 8;
        /// Let other vnodes stand in for primaries that are down.
        optional bool sloppy_quorum = 9;
        /// How many copies to look at.
        optional uint32 n_val = 10;
        /// Send the context; absent means yes.
        optional bool include_context = 11;
        /// Distinct physical nodes that must answer.
        optional uint32 node_confirms = 12;
    }

    /// The value of a data type; which of them is there follows from the type.
    message DtValue {
        /// A counter's value.
        optional sint64 counter_value = 1;
        /// A set's elements.
        repeated bytes set_value = 2;
        /// A map's fields.
        repeated MapEntry map_value = 3;
        /// How many different values a HyperLogLog has seen, about.
        optional uint64 hll_value = 4;
        /// A grow-only set's elements.
        repeated bytes gset_value = 5;
    }

    /// A data type, as it was read.
    message DtFetchResp {
        /// To be sent back with updates that remove something.
        optional bytes context = 1;
        /// The type.
        required DataType r#type = 2;
        /// The value; absent when there is no such key.
        optional DtValue value = 3;
    }

    /// Adds to a counter.
    message CounterOp {
        /// How much; may be negative, absent means 1.
        optional sint64 increment = 1;
    }

    /// Changes a set.
    message SetOp {
        /// Elements to add.
        repeated bytes adds = 1;
        /// Elements to remove, which needs a context.
        repeated bytes removes = 2;
    }

    /// Changes a grow-only set.
    message GSetOp {
        /// Elements to add.
        repeated bytes adds = 1;
    }

    /// Changes a HyperLogLog.
    message HllOp {
        /// Values to count.
        repeated bytes adds = 1;
    }

    /// Changes one field of a map, which is made if it is not there.
    message MapUpdate {
        /// The field.
        required MapField field = 1;
        /// For a counter.
        optional CounterOp counter_op = 2;
        /// For a set.
        optional SetOp set_op = 3;
        /// For a register: its new value.
        optional bytes register_op = 4;
        /// For a flag.
        optional FlagOp flag_op = 5;
        /// For a map.
        optional MapOp map_op = 6;
    }

    /// Changes a map.
    message MapOp {
        /// Fields to remove, which needs a context.
        repeated MapField removes = 1;
        /// Fields to change.
        nested MapUpdate updates = 2;
    }

    /// Changes a data type; exactly one of the operations is there.
    message DtOp {
        /// For a counter.
        optional CounterOp counter_op = 1;
        /// For a set.
        optional SetOp set_op = 2;
        /// For a map.
        optional MapOp map_op = 3;
        /// For a HyperLogLog.
        optional HllOp hll_op = 4;
        /// For a grow-only set.
        optional GSetOp gset_op = 5;
    }

    /// Changes a data type.
    message DtUpdateReq {
        /// The bucket.
        required bytes bucket = 1;
        /// The key; absent, the node makes one.
        optional bytes key = 2;
        /// The bucket type, which decides what kind of data type it is.
        required bytes r#type = 3;
        /// The context of the value that the change is based on.
        optional bytes context = 4;
        /// The change.
        required DtOp op = 5;
        /// Vnodes that must answer.
        optional uint32 w = 6;
        /// Vnodes that must have it on disk.
        optional uint32 dw = 7;
        /// Primary vnodes that must answer.
        optional uint32 pw = 8;
        /// Send the new value back.
        optional bool return_body = 9;
        /// How long the node may take, in milliseconds.
        optional uint32 timeout = 10;
        /// Let other vnodes stand in for primaries that are down.
        optional bool sloppy_quorum = 11;
        /// How many copies to write.
        optional uint32 n_val = 12;
        /// With `return_body`, send the context too; absent means yes.
        optional bool include_context = 13;
        /// Distinct physical nodes that must answer.
        optional uint32 node_confirms = 14;
    }

    /// The data type was changed.
    message DtUpdateResp {
        /// The key, if the node made it.
        optional bytes key = 1;
        /// The new context, if the body was asked for.
        optional bytes context = 2;
        /// A counter's new value.
        optional sint64 counter_value = 3;
        /// A set's new elements.
        repeated bytes set_value = 4;
        /// A map's new fields.
        repeated MapEntry map_value = 5;
        /// A HyperLogLog's new estimate.
        optional uint64 hll_value = 6;
        /// A grow-only set's new elements.
        repeated bytes gset_value = 7;
    }
}

enums! {
    /// What may lie in a map.
    enum MapFieldType {
        /// A counter.
        Counter = 1, "COUNTER";
        /// A set.
        Set = 2, "SET";
        /// A register: bytes, the last write wins.
        Register = 3, "REGISTER";
        /// A flag: on wins over off.
        Flag = 4, "FLAG";
        /// A map.
        Map = 5, "MAP";
    }

    /// The kinds of data type.
    enum DataType {
        /// A counter.
        Counter = 1, "COUNTER";
        /// A set.
        Set = 2, "SET";
        /// A map.
        Map = 3, "MAP";
        /// A HyperLogLog.
        Hll = 4, "HLL";
        /// A grow-only set.
        GSet = 5, "GSET";
    }

    /// What to do to a flag.
    enum FlagOp {
        /// Turn it on.
        Enable = 1, "ENABLE";
        /// Turn it off.
        Disable = 2, "DISABLE";
    }
}
