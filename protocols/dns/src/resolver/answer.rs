//! What the resolver finds.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::net::IpAddr;
use core::time::Duration;

use glowplug_core::{Instant, Token};

use super::ResolverConfig;
use super::few::Few;
use crate::error::{DecodeError, ExchangeError};
use crate::wire::{Class, MessageView, Name, NameError, Rcode, Record, RecordData, RecordType};

/// The longest chain of aliases that is followed, over all messages.
pub(super) const MAX_CHAIN: usize = 16;

/// The answer to one question: the records of the type asked for, none if there are none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The name that was found, after search list and aliases.
    pub name: Name,
    /// The type asked for.
    pub rtype: RecordType,
    /// NOERROR or NXDOMAIN.
    pub rcode: Rcode,
    /// The CNAME and DNAME records that led from the name asked for to `name`, in order.
    pub chain: Vec<Record>,
    /// How long the answer may be kept.
    pub valid_for: Duration,
    /// Whether it is still valid.
    pub freshness: Freshness,
    /// Where it comes from.
    pub source: Source,
    /// The server says that it has verified the answer. It means something only when the path to it is safe.
    pub authentic: bool,
    /// What our own verification says.
    pub verdict: SecurityVerdict,
    pub(super) finding: Arc<Finding>,
}

impl Answer {
    /// The records of the type asked for.
    pub fn records(&self) -> &[Record] {
        &self.finding.records
    }

    /// The SOA record of the zone that says that there are no records (RFC 2308); nothing beside records. Its time to live is the one it
    /// came with: [`valid_for`](Self::valid_for) says how much of it is left.
    pub fn soa(&self) -> Option<&Record> {
        self.finding.soa.as_ref()
    }

    /// The addresses among the records.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        self.records().iter().filter_map(|record| match record.data.data() {
            RecordData::A(address) => Some(address.into()),
            RecordData::Aaaa(address) => Some(address.into()),
            _ => None,
        })
    }
}

/// Whether an answer is still valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// It is.
    Fresh,
    /// Its time was up so long ago, and nobody could be asked (RFC 8767).
    Stale(Duration),
}

/// Where an answer comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// A server, just now.
    Server,
    /// The cache.
    Cache,
    /// The hosts file.
    Hosts,
    /// The name is an address, or `localhost`.
    Local,
}

/// What DNSSEC validation says of an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SecurityVerdict {
    /// Nobody has looked.
    #[default]
    Unchecked,
}

/// Why a lookup brought nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LookupError {
    /// There is no such name, not with any suffix of the search list.
    NoSuchName,
    /// The name exists and has no such records.
    NoRecords,
    /// Every server failed; this is the last failure.
    Exchange(ExchangeError),
    /// Every server refused or failed; this is the last response code.
    Refused(Rcode),
    /// The answer could not be read.
    Malformed(DecodeError),
    /// Aliases lead on for too long, or in a circle.
    AliasLoop,
    /// No answer within the time given to the whole lookup.
    TimedOut,
    /// There is no server to ask.
    NoServers,
    /// The name is no name.
    BadName(NameError),
    /// As many lookups run as may run at once ([`ResolverConfig::max_lookups`]); nothing was asked.
    TooManyLookups,
    /// Whatever drives the resolver has ended: its executor went away.
    Closed,
}

impl fmt::Display for LookupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSuchName => f.write_str("no such name"),
            Self::NoRecords => f.write_str("the name has no such records"),
            Self::Exchange(_) => f.write_str("no server answered"),
            Self::Refused(rcode) => write!(f, "no server would answer: {rcode}"),
            Self::Malformed(_) => f.write_str("the answer is ill-formed"),
            Self::AliasLoop => f.write_str("aliases lead on for too long"),
            Self::TimedOut => f.write_str("no answer in time"),
            Self::NoServers => f.write_str("there is no server to ask"),
            Self::BadName(_) => f.write_str("not a name"),
            Self::TooManyLookups => f.write_str("too many lookups at once"),
            Self::Closed => f.write_str("the resolver has ended"),
        }
    }
}

impl core::error::Error for LookupError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Exchange(error) => Some(error),
            Self::Malformed(error) => Some(error),
            Self::BadName(error) => Some(error),
            _ => None,
        }
    }
}

/// What the resolver tells the application: any number of answers, then the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Records were found. A and AAAA come one by one, as they arrive.
    Answer(Token, Answer),
    /// The lookup is over: `Ok` if there was an answer.
    Done(Token, Result<(), LookupError>),
}

/// What one message says about one question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) rcode: Rcode,
    /// Where the chain of aliases in this message ends.
    pub(super) name: Name,
    pub(super) chain: Vec<Record>,
    pub(super) records: Few<Record>,
    /// The SOA record of an answer without records.
    pub(super) soa: Option<Record>,
    /// False if the message has aliases and does not say what is at their end.
    pub(super) complete: bool,
    pub(super) authentic: bool,
    /// How long it may be kept; zero for not at all.
    pub(super) ttl: Duration,
}

impl Finding {
    /// Reads an answer. Only records on the chain from the question's name count; everything else in the message is
    /// nobody's business (a forger's, perhaps).
    pub(super) fn read(
        view: MessageView<'_>,
        rcode: Rcode,
        name: &Name,
        rtype: RecordType,
        config: &ResolverConfig,
    ) -> Result<Self, LookupError> {
        let mut at = name.clone();
        let mut chain = Vec::new();
        let mut records = Few::default();
        let mut ttl = u32::MAX;
        let malformed = LookupError::Malformed;
        loop {
            let mut alias = None;
            for record in view.answers() {
                let record = record.map_err(malformed)?;
                if record.class() != Class::IN {
                    continue;
                }
                let found = record.rtype();
                if found == RecordType::DNAME && rtype != RecordType::DNAME && alias.is_none() {
                    let (owner, RecordData::Dname(target)) =
                        (record.owner().map_err(malformed)?, record.data().map_err(malformed)?)
                    else {
                        continue;
                    };
                    // RFC 6672 section 2.3: a name that grows too long is no answer.
                    let moved = at.replace_suffix(&owner.to_name(), &target.to_name());
                    if let Ok(Some(moved)) = moved {
                        alias = Some((record, moved));
                    }
                    continue;
                }
                let wanted = found == rtype || rtype == RecordType::ANY;
                let is_alias = found == RecordType::CNAME && !wanted;
                if !(wanted || is_alias) || record.owner().map_err(malformed)? != at {
                    continue;
                }
                if wanted {
                    ttl = ttl.min(record.ttl());
                    records.push(record.to_record_of(&at).map_err(malformed)?);
                } else if let RecordData::Cname(target) = record.data().map_err(malformed)? {
                    alias = Some((record, target.to_name()));
                }
            }
            match alias.filter(|_| records.is_empty()) {
                Some((record, target)) => {
                    if chain.len() == MAX_CHAIN {
                        return Err(LookupError::AliasLoop);
                    }
                    ttl = ttl.min(record.ttl());
                    chain.push(record.to_record().map_err(malformed)?);
                    at = target;
                }
                None => break,
            }
        }
        let negative = records.is_empty();
        let mut soa = None;
        if negative {
            for record in view.authorities() {
                let record = record.map_err(malformed)?;
                if let RecordData::Soa(data) = record.data().map_err(malformed)? {
                    // RFC 2308 section 5: the smaller of the two says how long there is nothing.
                    let left = record.ttl().min(data.minimum);
                    soa = Some((left, record.to_record().map_err(malformed)?));
                }
            }
        }
        let complete = !negative || chain.is_empty() || rcode == Rcode::NXDOMAIN || soa.is_some();
        let seconds = |seconds: u32| Duration::from_secs(u64::from(seconds));
        let ttl = match (negative, &soa) {
            (false, _) => seconds(ttl).clamp(config.min_ttl, config.max_ttl),
            (true, Some((left, _))) => {
                seconds((*left).min(ttl)).clamp(config.min_negative_ttl, config.max_negative_ttl)
            }
            // RFC 2308 section 5: without a SOA it must not be kept. A mere alias may.
            (true, None) if !complete => seconds(ttl).clamp(config.min_ttl, config.max_ttl),
            (true, None) => Duration::ZERO,
        };
        Ok(Self {
            rcode,
            name: at,
            chain,
            records,
            soa: soa.map(|(_, record)| record),
            complete,
            authentic: view.flags().authentic_data(),
            ttl,
        })
    }

    /// What it means that there are no records.
    pub(super) fn absence(&self) -> LookupError {
        if self.rcode == Rcode::NXDOMAIN { LookupError::NoSuchName } else { LookupError::NoRecords }
    }

    /// This as an answer at the end of `chain`.
    pub(super) fn answer(
        self: &Arc<Self>,
        rtype: RecordType,
        mut chain: Vec<Record>,
        source: Source,
        left: Duration,
        freshness: Freshness,
    ) -> Answer {
        chain.extend(self.chain.iter().cloned());
        Answer {
            name: self.name.clone(),
            rtype,
            rcode: self.rcode,
            chain,
            valid_for: left,
            freshness,
            source,
            authentic: self.authentic,
            verdict: SecurityVerdict::Unchecked,
            finding: Arc::clone(self),
        }
    }
}

/// Answers that need no server.
pub(super) fn local(
    name: &Name,
    rtype: RecordType,
    data: impl IntoIterator<Item = crate::wire::Rdata>,
    source: Source,
) -> Answer {
    const SECONDS: u32 = 60;
    let records = data.into_iter().map(|data| Record::new(name.clone(), SECONDS, data)).collect();
    let valid_for = Duration::from_secs(u64::from(SECONDS));
    let finding = Finding {
        rcode: Rcode::NOERROR,
        name: name.clone(),
        chain: Vec::new(),
        records,
        soa: None,
        complete: true,
        authentic: false,
        ttl: valid_for,
    };
    Arc::new(finding).answer(rtype, Vec::new(), source, valid_for, Freshness::Fresh)
}

/// Until when a finding of `now` holds.
pub(super) fn expires(now: Instant, finding: &Finding) -> Instant {
    now + finding.ttl
}
