//! Content codings: gzip, deflate, Brotli and Zstandard, as streams.

pub mod encode;
