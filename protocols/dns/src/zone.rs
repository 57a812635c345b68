//! An authoritative responder over one zone: small, whole, and made for tests, examples and embedded use.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::fmt;

use crate::response::{Incoming, Response};
use crate::text::{Entry, TextError, ZoneConfig, ZoneReader};
use crate::wire::{Class, Name, Rcode, Rdata, Record, RecordData, RecordType};

/// The longest chain of aliases that is followed within the zone.
const MAX_CHAIN: usize = 16;

#[derive(Clone, Debug, Default)]
struct Set {
    ttl: u32,
    data: Vec<Rdata>,
}

type Node = BTreeMap<RecordType, Set>;

/// The records of one zone, and the algorithm of RFC 1034 section 4.3.2 over them: delegations with glue, aliases,
/// DNAME (RFC 6672), wildcards (RFC 4592), negative answers with the SOA (RFC 2308). It does not sign.
///
/// ```
/// use glowplug_dns::{RecordType, Zone};
/// let text = "@ 60 IN SOA ns.example. admin.example. 1 2 3 4 5\n@ 60 NS ns\n* 60 A 192.0.2.1\n";
/// let zone = Zone::from_text("example".parse().unwrap(), text.as_bytes())?;
/// let response = zone.answer(&"anything.example".parse().unwrap(), RecordType::A);
/// assert_eq!(response.answers.len(), 1);
/// # Ok::<_, glowplug_dns::ZoneError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Zone {
    origin: Name,
    class: Class,
    /// In canonical order, in which what lies below a name follows it.
    nodes: BTreeMap<Name, Node>,
}

/// Why records make no zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ZoneError {
    /// The text is wrong.
    Text(TextError),
    /// A record lies outside the zone.
    OutOfZone,
    /// The zone has no SOA record at its origin, or several.
    NoSoa,
    /// A name has a CNAME and something else (RFC 1034 section 3.6.2).
    CnameAndOther,
    /// An included file.
    Include,
}

impl fmt::Display for ZoneError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text(_) => "the zone file is wrong",
            Self::OutOfZone => "a record lies outside the zone",
            Self::NoSoa => "the zone has not one SOA record",
            Self::CnameAndOther => "a name has a CNAME and something else",
            Self::Include => "a zone file includes another",
        })
    }
}

impl core::error::Error for ZoneError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Text(error) => Some(error),
            _ => None,
        }
    }
}

impl From<TextError> for ZoneError {
    fn from(error: TextError) -> Self {
        Self::Text(error)
    }
}

impl Zone {
    /// A zone of the given records.
    pub fn new(origin: Name, records: impl IntoIterator<Item = Record>) -> Result<Self, ZoneError> {
        let mut zone = Self { origin, class: Class::IN, nodes: BTreeMap::new() };
        for record in records {
            zone.insert(record)?;
        }
        for set in zone.nodes.values_mut().flat_map(BTreeMap::values_mut) {
            // RFC 2181 section 5: a set has no duplicates. Sorted without case, they lie side by side.
            set.data.sort_by_cached_key(|data| data.as_wire().to_ascii_lowercase());
            set.data.dedup();
        }
        let soa = zone.set(&zone.origin, RecordType::SOA).map_or(0, |set| set.data.len());
        if soa != 1 {
            return Err(ZoneError::NoSoa);
        }
        let mixed = |node: &Node| {
            let beside = |rtype: &RecordType| {
                !matches!(*rtype, RecordType::CNAME | RecordType::RRSIG | RecordType::NSEC)
            };
            node.contains_key(&RecordType::CNAME) && node.keys().any(beside)
        };
        if zone.nodes.values().any(mixed) { Err(ZoneError::CnameAndOther) } else { Ok(zone) }
    }

    /// Reads a zone file.
    pub fn from_text(origin: Name, text: &[u8]) -> Result<Self, ZoneError> {
        let mut records = Vec::new();
        for entry in ZoneReader::new(text, ZoneConfig::new(origin.clone())) {
            match entry? {
                Entry::Record(record) => records.push(record),
                Entry::Include { .. } => return Err(ZoneError::Include),
            }
        }
        Self::new(origin, records)
    }

    fn insert(&mut self, record: Record) -> Result<(), ZoneError> {
        if !record.name.is_within(&self.origin) {
            return Err(ZoneError::OutOfZone);
        }
        self.class = record.class;
        let node = self.nodes.entry(record.name).or_default();
        let set = node.entry(record.data.rtype()).or_default();
        // RFC 2181 section 5.2: a set has one TTL.
        if set.data.is_empty() {
            set.ttl = record.ttl;
        }
        set.ttl = set.ttl.min(record.ttl);
        set.data.push(record.data);
        Ok(())
    }

    /// The zone's name.
    pub fn origin(&self) -> &Name {
        &self.origin
    }

    /// All records, in canonical order.
    pub fn records(&self) -> impl Iterator<Item = Record> {
        self.nodes
            .iter()
            .flat_map(move |(name, node)| node.values().flat_map(move |set| self.records_of(name, set)))
    }

    fn records_of<'a>(&'a self, name: &'a Name, set: &'a Set) -> impl Iterator<Item = Record> + 'a {
        set.data.iter().map(move |data| Record {
            name: name.clone(),
            class: self.class,
            ttl: set.ttl,
            data: data.clone(),
        })
    }

    fn set(&self, name: &Name, rtype: RecordType) -> Option<&Set> {
        self.nodes.get(name)?.get(&rtype)
    }

    /// True if the name has records, or names below it have.
    fn exists(&self, name: &Name) -> bool {
        self.nodes.range(name..).next().is_some_and(|(found, _)| found.is_within(name))
    }

    /// Answers a query.
    pub fn respond(&self, query: &Incoming) -> Response {
        if query.class() != self.class && query.class() != Class::ANY {
            return Response::error(Rcode::REFUSED);
        }
        self.answer(query.name(), query.rtype())
    }

    /// Answers a question.
    pub fn answer(&self, name: &Name, rtype: RecordType) -> Response {
        if !name.is_within(&self.origin) {
            return Response::error(Rcode::REFUSED);
        }
        if matches!(rtype, RecordType::AXFR | RecordType::IXFR) {
            // Whole zones are not given out.
            return Response::error(Rcode::REFUSED);
        }
        let mut response = Response { authoritative: true, ..Response::default() };
        let mut at = name.clone();
        for _ in 0..MAX_CHAIN {
            match self.step(&at, rtype, &mut response) {
                // An alias that leads out of the zone, or in a circle, ends the answer: the client goes on.
                Some(next) if next.is_within(&self.origin) && !has_alias(&response, &next) => at = next,
                _ => break,
            }
        }
        response
    }

    /// Looks for one name; returns the next if it is an alias.
    fn step(&self, name: &Name, rtype: RecordType, response: &mut Response) -> Option<Name> {
        for ancestor in self.path(name) {
            let exact = ancestor == *name;
            if ancestor != self.origin
                && let Some(set) = self.set(&ancestor, RecordType::NS)
                && !(exact && rtype == RecordType::DS)
            {
                self.refer(&ancestor, set, response);
                return None;
            }
            if !exact && let Some(set) = self.set(&ancestor, RecordType::DNAME) {
                return self.redirect(name, &ancestor, set, response);
            }
        }
        if let Some(node) = self.nodes.get(name) {
            return self.take(name, node, rtype, response);
        }
        if self.exists(name) {
            self.nothing(Rcode::NOERROR, response);
            return None;
        }
        // RFC 4592 section 3.3.1: the wildcard below the closest name that exists.
        let mut encloser = name.parent()?;
        while !self.exists(&encloser) && encloser != self.origin {
            encloser = encloser.parent()?;
        }
        let wildcard = encloser.child(b"*").ok();
        match wildcard.filter(|wildcard| self.exists(wildcard)) {
            Some(wildcard) => match self.nodes.get(&wildcard) {
                Some(node) => self.take(name, node, rtype, response),
                None => {
                    self.nothing(Rcode::NOERROR, response);
                    None
                }
            },
            None => {
                self.nothing(Rcode::NXDOMAIN, response);
                None
            }
        }
    }

    /// The origin and the names between it and `name`, `name` included, from the top.
    fn path(&self, name: &Name) -> Vec<Name> {
        let mut path = alloc::vec![name.clone()];
        let mut at = name.clone();
        while at != self.origin {
            let Some(parent) = at.parent() else { break };
            path.push(parent.clone());
            at = parent;
        }
        path.reverse();
        path
    }

    /// A delegation: who is in charge, and where to find them.
    fn refer(&self, cut: &Name, set: &Set, response: &mut Response) {
        response.authoritative = !response.answers.is_empty();
        response.authorities.extend(self.records_of(cut, set));
        if let Some(ds) = self.set(cut, RecordType::DS) {
            response.authorities.extend(self.records_of(cut, ds));
        }
        self.add_addresses(&set.data, response);
    }

    fn redirect(&self, name: &Name, owner: &Name, set: &Set, response: &mut Response) -> Option<Name> {
        response.answers.extend(self.records_of(owner, set));
        let RecordData::Dname(target) = set.data.first()?.data() else { return None };
        match name.replace_suffix(owner, &target.to_name()) {
            Ok(Some(next)) => {
                let data = Rdata::cname(&next);
                response.answers.push(Record { name: name.clone(), class: self.class, ttl: set.ttl, data });
                Some(next)
            }
            Ok(None) => None,
            // RFC 6672 section 2.2: the new name is too long.
            Err(_) => {
                response.rcode = Rcode::YXDOMAIN;
                None
            }
        }
    }

    /// What a node (or a wildcard that stands for `name`) has to say.
    fn take(&self, name: &Name, node: &Node, rtype: RecordType, response: &mut Response) -> Option<Name> {
        if rtype == RecordType::ANY {
            for set in node.values() {
                response.answers.extend(self.records_of(name, set));
            }
            return None;
        }
        if let Some(set) = node.get(&rtype) {
            response.answers.extend(self.records_of(name, set));
            self.add_addresses(&set.data, response);
            return None;
        }
        let Some(alias) = node.get(&RecordType::CNAME) else {
            self.nothing(Rcode::NOERROR, response);
            return None;
        };
        response.answers.extend(self.records_of(name, alias));
        match alias.data.first()?.data() {
            RecordData::Cname(target) => Some(target.to_name()),
            _ => None,
        }
    }

    /// There is nothing: the SOA says for how long (RFC 2308 section 3).
    fn nothing(&self, rcode: Rcode, response: &mut Response) {
        response.rcode = rcode;
        let Some(set) = self.set(&self.origin, RecordType::SOA) else { return };
        for mut soa in self.records_of(&self.origin, set) {
            if let RecordData::Soa(data) = soa.data.data() {
                soa.ttl = soa.ttl.min(data.minimum);
            }
            response.authorities.push(soa);
        }
    }

    /// Addresses of the hosts that records name, as far as the zone has them.
    fn add_addresses(&self, data: &[Rdata], response: &mut Response) {
        for data in data {
            let host = match data.data() {
                RecordData::Ns(host) => host,
                RecordData::Mx(mx) => mx.exchange,
                RecordData::Srv(srv) => srv.target,
                _ => continue,
            };
            let host = host.to_name();
            for rtype in [RecordType::A, RecordType::AAAA] {
                if let Some(set) = self.set(&host, rtype) {
                    let new =
                        self.records_of(&host, set).filter(|record| !response.additionals.contains(record));
                    let new: Vec<Record> = new.collect();
                    response.additionals.extend(new);
                }
            }
        }
    }
}

/// True if the response has followed an alias of this name already.
fn has_alias(response: &Response, name: &Name) -> bool {
    response.answers.iter().any(|record| record.rtype() == RecordType::CNAME && record.name == *name)
}
