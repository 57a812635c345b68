//! The bytes of HTTP/1, for those who need the format alone: [`RequestDecoder`] and [`ResponseDecoder`] read one direction of a connection each, an
//! [`Observer`] both. They have the verdicts of the machines, and neither write nor wait.

pub(crate) mod body;
mod decode;
pub(crate) mod encode;
pub(crate) mod encoded;
pub(crate) mod fields;
pub(crate) mod framing;
pub(crate) mod head;
pub(crate) mod lead;
pub(crate) mod locate;
pub(crate) mod parse;
mod quick;
pub(crate) mod scan;
pub(crate) mod target;
pub(crate) mod token;
mod words;

pub use decode::{Observer, Part, Question, RequestDecoder, ResponseDecoder};
