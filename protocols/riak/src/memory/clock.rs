//! Clocks and contexts of one node.
//!
//! Every write has a number, and there is one actor; so what somebody has seen of a key is the greatest number among its
//! writes, and "written since" is "greater than". That is a dotted version vector with one entry.

use super::{Result, crashed};
use crate::wire::Blob;

/// What stands before the number, so that a clock of another node is told from ours.
const MARK: &[u8; 4] = b"gpm1";

/// The clock that has seen all writes up to this one.
pub(super) fn encode(event: u64) -> Blob {
    MARK.iter().copied().chain(event.to_be_bytes()).collect()
}

/// The last write that a clock has seen; a request without a clock has seen none.
pub(super) fn decode(clock: Option<&Blob>) -> Result<u64> {
    let Some(clock) = clock.filter(|clock| !clock.is_empty()) else { return Ok(0) };
    match clock.strip_prefix(MARK).map(<[u8; 8]>::try_from) {
        Some(Ok(event)) => Ok(u64::from_be_bytes(event)),
        _ => crashed("data_error"),
    }
}
