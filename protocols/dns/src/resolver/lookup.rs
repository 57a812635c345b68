//! One lookup: the names it tries, one after another, and the types it wants of each, side by side.

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::time::Duration;

use glowplug_core::{Instant, Token};

use super::answer::{self, Event, Finding, Freshness, LookupError, MAX_CHAIN, Source};
use super::cache::Hit;
use super::{Resolver, SPARE, Timer, candidate_names};
use crate::wire::{Name, NameError, Rdata, Record, RecordType};

/// One type of a lookup.
#[derive(Debug)]
pub(super) struct Leg {
    pub(super) rtype: RecordType,
    /// The name at the end of the aliases so far.
    pub(super) at: Name,
    pub(super) chain: Vec<Record>,
    /// How long the aliases so far hold, and whether they are out of date.
    valid_for: Duration,
    freshness: Freshness,
    /// The hash of the question, if the cache was just asked in vain.
    pub(super) unknown: Option<u64>,
    pub(super) flight: Option<u64>,
    pub(super) done: bool,
}

#[derive(Debug, Default)]
pub(super) struct Lookup {
    pub(super) types: Vec<RecordType>,
    pub(super) candidates: VecDeque<Name>,
    pub(super) legs: Vec<Leg>,
    /// That there is nothing is an answer.
    pub(super) absence: bool,
    pub(super) found: bool,
    pub(super) failure: Option<LookupError>,
    pub(super) deadline: Instant,
}

impl Lookup {
    /// Empties everything but what lists have allocated.
    fn reset(&mut self) {
        self.types.clear();
        self.candidates.clear();
        self.legs.clear();
        self.absence = false;
        self.found = false;
        self.failure = None;
    }
}

impl Resolver {
    pub(super) fn begin_addresses(&mut self, now: Instant, token: Token, host: &str, [v4, v6]: [bool; 2]) {
        if let Ok(address) = host.parse::<IpAddr>() {
            return self.local_addresses(token, &Name::root(), &[address], [v4, v6], Source::Local);
        }
        let name = match Name::from_text(host.as_bytes()) {
            Ok(name) => name,
            Err(error) => return self.finish(token, Err(LookupError::BadName(error))),
        };
        if is_localhost(&name) {
            return self.local_addresses(token, &name, LOCALHOST, [v4, v6], Source::Local);
        }
        let listed = self.hosts.addresses(&name);
        if !listed.is_empty() {
            let listed = listed.to_vec();
            return self.local_addresses(token, &name, &listed, [v4, v6], Source::Hosts);
        }
        let both = [RecordType::A, RecordType::AAAA];
        let types = &both[usize::from(!v4)..=usize::from(v6 && self.config.ipv6)];
        match self.candidates(host) {
            Ok(candidates) => self.begin(now, token, types, candidates, false),
            Err(error) => self.finish(token, Err(LookupError::BadName(error))),
        }
    }

    fn candidates(&self, host: &str) -> Result<Vec<Name>, NameError> {
        let config = &self.config;
        let mut names = candidate_names(host, &config.search, config.ndots, config.search_style)?;
        if config.no_tld_query && !host.contains('.') {
            let bare = Name::from_text(host.as_bytes())?;
            names.retain(|name| *name != bare);
        }
        Ok(names)
    }

    pub(super) fn begin_records(
        &mut self,
        now: Instant,
        token: Token,
        name: Name,
        rtype: RecordType,
        absence: bool,
    ) {
        if is_localhost(&name) && matches!(rtype, RecordType::A | RecordType::AAAA) {
            let families = [rtype == RecordType::A, rtype == RecordType::AAAA];
            return self.local_addresses(token, &name, LOCALHOST, families, Source::Local);
        }
        // What is known needs none of the rest.
        let hash = self.keys.hash(&name, rtype);
        let known = self.cache.get(now, hash, &name, rtype);
        let unknown = known.is_none().then_some(hash);
        if let Some(Hit::Fresh(finding, left)) = known
            && finding.complete
        {
            if finding.records.is_empty() && !absence {
                return self.events.push_back(Event::Done(token, Err(finding.absence())));
            }
            let answer = finding.answer(rtype, Vec::new(), Source::Cache, left, Freshness::Fresh);
            self.events.push_back(Event::Answer(token, answer));
            return self.events.push_back(Event::Done(token, Ok(())));
        }
        self.begin(now, token, &[rtype], [name], absence);
        if let Some(leg) = self.lookups.get_mut(&token).and_then(|lookup| lookup.legs.first_mut()) {
            leg.unknown = unknown;
        }
    }

    /// Answers with addresses that are known without asking.
    fn local_addresses(
        &mut self,
        token: Token,
        name: &Name,
        addresses: &[IpAddr],
        [v4, v6]: [bool; 2],
        source: Source,
    ) {
        let mut found = false;
        for (rtype, wanted) in [(RecordType::A, v4), (RecordType::AAAA, v6)] {
            let data: Vec<Rdata> = addresses
                .iter()
                .filter_map(|address| match address {
                    IpAddr::V4(address) if rtype == RecordType::A => Some(Rdata::a(*address)),
                    IpAddr::V6(address) if rtype == RecordType::AAAA => Some(Rdata::aaaa(*address)),
                    _ => None,
                })
                .collect();
            if wanted && !data.is_empty() {
                found = true;
                self.events.push_back(Event::Answer(token, answer::local(name, rtype, data, source)));
            }
        }
        self.finish(token, if found { Ok(()) } else { Err(LookupError::NoRecords) });
    }

    fn begin(
        &mut self,
        now: Instant,
        token: Token,
        types: &[RecordType],
        candidates: impl IntoIterator<Item = Name>,
        absence: bool,
    ) {
        let mut lookup = self.spare_lookups.pop().unwrap_or_default();
        lookup.types.extend_from_slice(types);
        lookup.candidates.extend(candidates);
        lookup.absence = absence;
        lookup.deadline = now + self.config.lookup_timeout;
        self.timers.insert(lookup.deadline, Timer::Lookup(token));
        self.lookups.insert(token, lookup);
        self.next_candidate(token);
    }

    /// Tries the next name of the search list, or ends the lookup.
    fn next_candidate(&mut self, token: Token) {
        let Some(lookup) = self.lookups.get_mut(&token) else { return };
        let next = lookup.candidates.pop_front().filter(|_| !lookup.types.is_empty());
        let Some(name) = next else {
            let failure = lookup.failure.take().unwrap_or(LookupError::NoRecords);
            return self.finish(token, Err(failure));
        };
        let leg = |rtype: &RecordType| Leg {
            rtype: *rtype,
            at: name.clone(),
            chain: Vec::new(),
            valid_for: Duration::MAX,
            freshness: Freshness::Fresh,
            unknown: None,
            flight: None,
            done: false,
        };
        lookup.legs.clear();
        lookup.legs.extend(lookup.types.iter().map(leg));
        self.todo.extend((0..lookup.legs.len()).map(|leg| (token, leg)));
    }

    pub(super) fn found(
        &mut self,
        token: Token,
        index: usize,
        finding: &Arc<Finding>,
        source: Source,
        left: Duration,
        freshness: Freshness,
    ) {
        let Some(lookup) = self.lookups.get_mut(&token) else { return };
        let Some(leg) = lookup.legs.get_mut(index).filter(|leg| !leg.done) else { return };
        leg.flight = None;
        // The whole is as good as its weakest part.
        leg.valid_for = leg.valid_for.min(left);
        if freshness != Freshness::Fresh {
            leg.freshness = freshness;
        }
        if !finding.complete {
            if leg.chain.len() + finding.chain.len() > MAX_CHAIN {
                return self.leg_failed(token, index, LookupError::AliasLoop);
            }
            leg.chain.extend(finding.chain.iter().cloned());
            leg.at = finding.name.clone();
            self.todo.push_back((token, index));
            return;
        }
        if finding.records.is_empty() && !lookup.absence {
            return self.leg_failed(token, index, finding.absence());
        }
        let chain = core::mem::take(&mut leg.chain);
        leg.done = true;
        lookup.found = true;
        let answer = finding.answer(leg.rtype, chain, source, leg.valid_for, leg.freshness);
        self.events.push_back(Event::Answer(token, answer));
        self.leg_done(token);
    }

    pub(super) fn leg_failed(&mut self, token: Token, index: usize, failure: LookupError) {
        let Some(lookup) = self.lookups.get_mut(&token) else { return };
        let Some(leg) = lookup.legs.get_mut(index).filter(|leg| !leg.done) else { return };
        leg.done = true;
        leg.flight = None;
        if lookup.failure.as_ref().is_none_or(|known| weight(&failure) >= weight(known)) {
            lookup.failure = Some(failure);
        }
        self.leg_done(token);
    }

    /// Looks whether all legs of a lookup are done, and what is next.
    fn leg_done(&mut self, token: Token) {
        let Some(lookup) = self.lookups.get_mut(&token) else { return };
        if !lookup.legs.iter().all(|leg| leg.done) {
            return;
        }
        if lookup.found {
            return self.finish(token, Ok(()));
        }
        // As in glibc: what a server said about one name lets the search go on, silence ends it.
        match lookup.failure.take() {
            Some(failure) if weight(&failure) > MAX_PASSING => self.finish(token, Err(failure)),
            failure => {
                lookup.failure = failure;
                self.next_candidate(token);
            }
        }
    }

    pub(super) fn finish(&mut self, token: Token, result: Result<(), LookupError>) {
        self.remove(token);
        self.events.push_back(Event::Done(token, result));
    }

    /// Takes a lookup out of all tables, with the flights that it alone waited for.
    pub(super) fn remove(&mut self, token: Token) {
        let Some(mut lookup) = self.lookups.remove(&token) else { return };
        self.untidy = true;
        for id in lookup.legs.iter().filter_map(|leg| leg.flight) {
            let Some(flight) = self.flights.get_mut(&id) else { continue };
            flight.waiters.retain(|(waiter, _)| *waiter != token);
            if flight.waiters.is_empty() {
                self.land(id);
            }
        }
        if self.spare_lookups.len() < SPARE {
            lookup.reset();
            self.spare_lookups.push(lookup);
        }
    }
}

/// Failures up to this weight let the search list go on.
const MAX_PASSING: u8 = 2;

/// Which of several failures tells most.
fn weight(failure: &LookupError) -> u8 {
    match failure {
        LookupError::NoSuchName => 0,
        LookupError::Refused(_) => 1,
        LookupError::NoRecords => 2,
        _ => 3,
    }
}

const LOCALHOST: &[IpAddr] = &[IpAddr::V6(Ipv6Addr::LOCALHOST), IpAddr::V4(Ipv4Addr::LOCALHOST)];

/// RFC 6761 section 6.3: `localhost` and everything below it never leaves the machine.
fn is_localhost(name: &Name) -> bool {
    const END: &[u8] = b"\x09localhost\0";
    let wire = name.as_wire();
    // The bytes alone could lie within a label.
    let ends = wire.len() >= END.len() && wire[wire.len() - END.len()..].eq_ignore_ascii_case(END);
    ends && name.labels().last().is_some_and(|label| label.eq_ignore_ascii_case(b"localhost"))
}
