//! Content codings (RFC 9110 §8.4), as streams: gzip, deflate, Brotli and Zstandard.

pub mod decode;
pub mod encode;
