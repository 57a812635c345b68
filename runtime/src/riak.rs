//! Riak on any runtime.
