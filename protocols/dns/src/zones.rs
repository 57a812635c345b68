//! Several zones side by side.

use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::response::{Incoming, Response};
use crate::wire::{Name, Rcode, RecordType};
use crate::zone::Zone;

/// Any number of zones; each query is answered by the closest that holds its name. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Zones(Arc<[Zone]>);

impl Zones {
    /// Answers from these zones.
    pub fn new(zones: impl IntoIterator<Item = Zone>) -> Self {
        let mut zones: Vec<Zone> = zones.into_iter().collect();
        // The deepest first: the first that fits is the closest.
        zones.sort_by_key(|zone| core::cmp::Reverse(zone.origin().labels().count()));
        Self(zones.into())
    }

    /// Answers a query; REFUSED if its name lies in none of the zones.
    pub fn respond(&self, query: &Incoming) -> Response {
        match self.closest(query.name()) {
            Some(zone) => zone.respond(query),
            None => Response::error(Rcode::REFUSED),
        }
    }

    /// Answers a question; REFUSED if its name lies in none of the zones.
    pub fn answer(&self, name: &Name, rtype: RecordType) -> Response {
        match self.closest(name) {
            Some(zone) => zone.answer(name, rtype),
            None => Response::error(Rcode::REFUSED),
        }
    }

    fn closest(&self, name: &Name) -> Option<&Zone> {
        self.0.iter().find(|zone| name.is_within(zone.origin()))
    }
}

impl From<Zone> for Zones {
    fn from(zone: Zone) -> Self {
        Self::new([zone])
    }
}
