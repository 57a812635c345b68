//! Content codings (RFC 9110 §8.4): gzip, deflate, br and zstd.

pub mod decode;
