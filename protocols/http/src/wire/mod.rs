//! The bytes of HTTP/1: finding and parsing heads, framing bodies, writing both.

pub(crate) mod body;
pub(crate) mod encode;
pub(crate) mod fields;
pub(crate) mod framing;
pub(crate) mod head;
pub(crate) mod locate;
pub(crate) mod parse;
mod quick;
pub(crate) mod scan;
pub(crate) mod target;
pub(crate) mod token;
mod words;
