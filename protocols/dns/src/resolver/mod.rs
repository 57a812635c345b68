//! From host names to answers: a stub resolver as a pure machine.
//!
//! It owns no socket and speaks to no server. It hands out [`Order`]s - ask this server this, over UDP or TCP, until
//! then - and is told what came of them. Whoever drives it sends them with [`UdpClient`]s (several, each on a random port,
//! replaced after a while) and [`ClientConnection`]s (over TCP or TLS), or over HTTPS.
//!
//! ```text
//!  submit --> hosts, literals --> cache --> flight: servers in turn --> cache
//!                                   |          ^ one per question, shared by all who ask
//!                                   v          |
//!                    Event::Answer, Event::Done
//! ```
//!
//! [`UdpClient`]: crate::UdpClient
//! [`ClientConnection`]: crate::ClientConnection

mod answer;
mod cache;
mod candidates;
mod conf;
mod config;
mod flight;
mod hosts;
mod servers;

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use core::time::Duration;

use glowplug_core::{Instant, Rng, Seed, SubmitError, Token};

pub use answer::{Answer, Event, Freshness, LookupError, SecurityVerdict, Source};
pub use candidates::{SearchStyle, candidate_names};
pub use conf::ResolvConf;
pub use config::{ResolverConfig, StaleConfig};
pub use hosts::Hosts;

use crate::error::ExchangeError;
use crate::query::{Query, Reply};
use crate::wire::{Name, NameError, Rcode, Rdata, Record, RecordType};
use answer::{Finding, MAX_CHAIN};
use cache::{Cache, Hit};
use flight::{Flight, Step};
use servers::Servers;

/// How a server is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Channel {
    /// Datagrams.
    Udp,
    /// A stream.
    Tcp,
}

/// What is looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Request {
    /// The addresses of a host: a literal, `localhost`, a name of the hosts file, or a name to be completed by the search
    /// list.
    Addresses {
        /// The host, as people write it.
        host: String,
        /// Which families: IPv4, IPv6.
        families: [bool; 2],
    },
    /// The records of one type at one name, which is taken as it is.
    Records {
        /// The name.
        name: Name,
        /// The type.
        rtype: RecordType,
    },
    /// The name of an address.
    Reverse(IpAddr),
}

impl Request {
    /// Both families' addresses of a host.
    pub fn addresses(host: &str) -> Self {
        Self::Addresses { host: host.into(), families: [true; 2] }
    }

    /// The records of one type at one name.
    pub fn records(name: Name, rtype: RecordType) -> Self {
        Self::Records { name, rtype }
    }
}

/// What the resolver wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// Ask a server, and tell [`Resolver::handle_reply`] what came of it.
    Ask(Ask),
    /// Nobody waits for this exchange any more. Telling about it nevertheless does no harm.
    Forget(Token),
}

/// One exchange with one server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// The resolver's name for the exchange.
    pub token: Token,
    /// Whom to ask.
    pub server: SocketAddr,
    /// How. An answer over UDP must come from a socket on a random port.
    pub channel: Channel,
    /// What to ask.
    pub query: Query,
    /// When to give up.
    pub deadline: Instant,
}

/// One type of a lookup.
#[derive(Debug)]
struct Leg {
    rtype: RecordType,
    /// The name at the end of the aliases so far.
    at: Name,
    chain: Vec<Record>,
    flight: Option<u64>,
    done: bool,
}

#[derive(Debug)]
struct Lookup {
    types: Vec<RecordType>,
    candidates: VecDeque<Name>,
    legs: Vec<Leg>,
    found: bool,
    failure: Option<LookupError>,
    deadline: Instant,
}

#[derive(Debug)]
struct Exchange {
    /// `None` for a probe.
    flight: Option<u64>,
    server: SocketAddr,
    deadline: Instant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    /// A whole lookup's time is up.
    Lookup(Token),
    /// A server's time is up.
    Exchange(Token),
    /// Waiters take what is out of date.
    Stale(u64),
}

/// A stub resolver, as a pure state machine. See the [module's page](self).
#[derive(Debug)]
pub struct Resolver {
    config: ResolverConfig,
    hosts: Hosts,
    servers: Servers,
    cache: Cache,
    rng: Rng,
    lookups: BTreeMap<Token, Lookup>,
    flights: BTreeMap<u64, Flight>,
    by_question: BTreeMap<(RecordType, Name), u64>,
    exchanges: BTreeMap<Token, Exchange>,
    timers: BTreeSet<(Instant, Timer)>,
    /// Legs that have a question to ask.
    todo: VecDeque<(Token, usize)>,
    orders: VecDeque<Order>,
    events: VecDeque<Event>,
    next_id: u64,
}

impl Resolver {
    /// A resolver with an empty cache.
    pub fn new(config: ResolverConfig, hosts: Hosts, seed: &Seed) -> Self {
        let mut rng = seed.rng();
        let server_rng = rng.seed().rng();
        Self {
            servers: Servers::new(&config.servers, server_rng),
            cache: Self::new_cache(&config, &mut rng),
            config,
            hosts,
            rng,
            lookups: BTreeMap::new(),
            flights: BTreeMap::new(),
            by_question: BTreeMap::new(),
            exchanges: BTreeMap::new(),
            timers: BTreeSet::new(),
            todo: VecDeque::new(),
            orders: VecDeque::new(),
            events: VecDeque::new(),
            next_id: 0,
        }
    }

    fn new_cache(config: &ResolverConfig, rng: &mut Rng) -> Cache {
        let max_stale = config.stale.map_or(Duration::ZERO, |stale| stale.max_age);
        Cache::new(config.cache_entries.min(u32::MAX as usize), max_stale, rng)
    }

    /// Takes another configuration and hosts file. Running lookups go on with the servers they know; the cache is emptied,
    /// since another network may have other answers.
    pub fn replace_config(&mut self, config: ResolverConfig, hosts: Hosts) {
        self.servers.replace(&config.servers);
        self.cache = Self::new_cache(&config, &mut self.rng);
        self.config = config;
        self.hosts = hosts;
    }

    /// Forgets all answers.
    pub fn clear_cache(&mut self) {
        self.cache.clear();
    }

    /// How many answers are kept.
    pub fn cached(&self) -> usize {
        self.cache.len()
    }

    /// Lookups that are not over.
    pub fn in_flight(&self) -> usize {
        self.lookups.len()
    }

    /// Begins a lookup. It ends with one [`Event::Done`], within the configured time.
    pub fn submit(
        &mut self,
        now: Instant,
        token: Token,
        request: Request,
    ) -> Result<(), SubmitError<Request>> {
        if self.lookups.len() + self.events.len() >= self.config.max_lookups {
            return Err(SubmitError::Full(request));
        }
        match request {
            Request::Addresses { host, families } => self.begin_addresses(now, token, &host, families),
            Request::Records { name, rtype } => self.begin_records(now, token, name, rtype),
            Request::Reverse(address) => match self.hosts.name(address) {
                Some(name) => {
                    let data = [Rdata::ptr(name)];
                    let answer = answer::local(&Name::reverse(address), RecordType::PTR, data, Source::Hosts);
                    self.events.push_back(Event::Answer(token, answer));
                    self.events.push_back(Event::Done(token, Ok(())));
                }
                None => self.begin_records(now, token, Name::reverse(address), RecordType::PTR),
            },
        }
        self.run(now);
        Ok(())
    }

    /// Nobody waits for this lookup any more.
    pub fn cancel(&mut self, token: Token) {
        self.remove(token);
        self.events.retain(|event| !matches!(event, Event::Answer(t, _) | Event::Done(t, _) if *t == token));
    }

    /// The next event, if there is one.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// The next thing to do, if there is one.
    pub fn poll_order(&mut self) -> Option<Order> {
        self.orders.pop_front()
    }

    /// When [`handle_timeout`](Self::handle_timeout) wants to be called.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.timers.first().map(|(at, _)| *at)
    }

    /// Tells the resolver that its deadline may have passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(&(at, timer)) = self.timers.first() {
            if at > now {
                break;
            }
            self.timers.pop_first();
            match timer {
                Timer::Lookup(token) => {
                    if let Some(lookup) = self.lookups.get(&token) {
                        let result = if lookup.found { Ok(()) } else { Err(LookupError::TimedOut) };
                        self.finish(token, result);
                    }
                }
                Timer::Exchange(token) => {
                    self.orders.push_back(Order::Forget(token));
                    self.reply(now, token, Err(ExchangeError::TimedOut));
                }
                Timer::Stale(id) => self.serve_stale(now, id),
            }
        }
        self.run(now);
    }

    /// What came of an [`Ask`]. Tokens that are not known (any more) are ignored.
    pub fn handle_reply(&mut self, now: Instant, token: Token, result: Result<Reply, ExchangeError>) {
        self.reply(now, token, result);
        self.run(now);
    }

    fn begin_addresses(&mut self, now: Instant, token: Token, host: &str, [v4, v6]: [bool; 2]) {
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
        let mut types = Vec::with_capacity(2);
        if v4 {
            types.push(RecordType::A);
        }
        if v6 && self.config.ipv6 {
            types.push(RecordType::AAAA);
        }
        match self.candidates(host) {
            Ok(candidates) => self.begin(now, token, types, candidates),
            Err(error) => self.finish(token, Err(LookupError::BadName(error))),
        }
    }

    fn candidates(&self, host: &str) -> Result<VecDeque<Name>, NameError> {
        let config = &self.config;
        let mut names = candidate_names(host, &config.search, config.ndots, config.search_style)?;
        if config.no_tld_query && !host.contains('.') {
            let bare = Name::from_text(host.as_bytes())?;
            names.retain(|name| *name != bare);
        }
        Ok(names.into())
    }

    fn begin_records(&mut self, now: Instant, token: Token, name: Name, rtype: RecordType) {
        if is_localhost(&name) && matches!(rtype, RecordType::A | RecordType::AAAA) {
            let families = [rtype == RecordType::A, rtype == RecordType::AAAA];
            return self.local_addresses(token, &name, LOCALHOST, families, Source::Local);
        }
        self.begin(now, token, alloc::vec![rtype], VecDeque::from([name]));
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

    fn begin(&mut self, now: Instant, token: Token, types: Vec<RecordType>, candidates: VecDeque<Name>) {
        let deadline = now + self.config.lookup_timeout;
        self.timers.insert((deadline, Timer::Lookup(token)));
        let lookup = Lookup { types, candidates, legs: Vec::new(), found: false, failure: None, deadline };
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
            flight: None,
            done: false,
        };
        lookup.legs = lookup.types.iter().map(leg).collect();
        self.todo.extend((0..lookup.legs.len()).map(|leg| (token, leg)));
    }

    /// Asks what the legs have to ask, until all of them wait. Each step follows an alias or ends a leg, and both are bounded.
    fn run(&mut self, now: Instant) {
        while let Some((token, leg)) = self.todo.pop_front() {
            self.ask(now, token, leg);
        }
    }

    fn ask(&mut self, now: Instant, token: Token, index: usize) {
        let lookups = &mut self.lookups;
        let Some(leg) = lookups.get_mut(&token).and_then(|lookup| lookup.legs.get_mut(index)) else { return };
        let (name, rtype) = (leg.at.clone(), leg.rtype);
        let stale = match self.cache.get(now, &name, rtype) {
            Some(Hit::Fresh(finding, left)) => {
                return self.found(token, index, &finding, Source::Cache, left, Freshness::Fresh);
            }
            Some(Hit::Stale(finding, age, true)) => {
                return self.found(token, index, &finding, Source::Cache, STALE_TTL, Freshness::Stale(age));
            }
            Some(Hit::Stale(finding, age, false)) => Some((finding, now - age)),
            None => None,
        };
        let key = (rtype, name);
        let (id, fresh) = match self.by_question.get(&key) {
            Some(id) => (*id, false),
            None => (self.new_id(), true),
        };
        leg_of(&mut self.lookups, token, index, |leg| leg.flight = Some(id));
        if !fresh {
            if let Some(flight) = self.flights.get_mut(&id) {
                flight.waiters.push((token, index));
            }
            return;
        }
        let order = self.servers.order(now, self.config.rotate);
        let mut flight = Flight::new(key.1.clone(), rtype, order, &self.config);
        flight.waiters.push((token, index));
        if let (Some(stale), Some(config)) = (stale, self.config.stale) {
            let at = now + config.client_timeout;
            flight.stale = Some(stale);
            flight.stale_at = Some(at);
            self.timers.insert((at, Timer::Stale(id)));
        }
        self.by_question.insert(key, id);
        self.flights.insert(id, flight);
        if let Some(server) = self.servers.probe(now, self.config.probe_chance) {
            self.send(now, id, server, true);
        }
        self.send_next(now, id);
    }

    fn new_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    /// Sends a flight's question to the server whose turn it is.
    fn send_next(&mut self, now: Instant, id: u64) {
        match self.flights.get(&id).and_then(Flight::server) {
            Some(server) => self.send(now, id, server, false),
            None => self.fail(now, id),
        }
    }

    fn send(&mut self, now: Instant, id: u64, server: SocketAddr, probe: bool) {
        let token = Token(self.new_id());
        let Some(flight) = self.flights.get_mut(&id) else { return };
        let limit = self
            .servers
            .get(server)
            .map_or(self.config.timeout, |server| server.time_limit(&self.config, flight.pass));
        let deadline = now + limit;
        let query = flight.query(server, &mut self.servers, &self.config);
        if !probe {
            flight.exchange = Some(token);
        }
        let channel = flight.channel;
        self.exchanges.insert(token, Exchange { flight: (!probe).then_some(id), server, deadline });
        self.timers.insert((deadline, Timer::Exchange(token)));
        self.orders.push_back(Order::Ask(Ask { token, server, channel, query, deadline }));
    }

    fn reply(&mut self, now: Instant, token: Token, result: Result<Reply, ExchangeError>) {
        let Some(exchange) = self.exchanges.remove(&token) else { return };
        self.timers.remove(&(exchange.deadline, Timer::Exchange(token)));
        let server = exchange.server;
        let flight = exchange.flight.and_then(|id| Some((id, self.flights.get_mut(&id)?)));
        let Some((id, flight)) = flight else {
            // A probe: all that matters is whether the server is well.
            let rcode = result.as_ref().ok().map(|reply| reply.view().flags().low_rcode());
            match (result, rcode) {
                (Ok(reply), Some(Rcode::NOERROR | Rcode::NXDOMAIN)) => {
                    self.servers.succeeded(server, reply.round_trip);
                }
                _ => self.servers.failed(now, server, &self.config),
            }
            return;
        };
        flight.exchange = None;
        let step = match result {
            Ok(reply) => {
                let step = flight.read(&reply, server, &mut self.servers, &self.config);
                if matches!(step, Step::Found(_)) {
                    self.servers.succeeded(server, reply.round_trip);
                } else if matches!(&step, Step::Next(LookupError::Refused(_) | LookupError::Malformed(_))) {
                    self.servers.failed(now, server, &self.config);
                }
                step
            }
            // The server may be in good health, and no forger: TCP tells.
            Err(ExchangeError::CaseLost) if flight.channel == Channel::Udp => {
                flight.channel = Channel::Tcp;
                Step::Again
            }
            Err(error) => {
                self.servers.failed(now, server, &self.config);
                Step::Next(LookupError::Exchange(error))
            }
        };
        match step {
            Step::Found(finding) => self.settle(now, id, finding),
            Step::Again => self.send_next(now, id),
            // Another server would tell the same.
            Step::Next(LookupError::AliasLoop) => {
                flight.failure = LookupError::AliasLoop;
                self.fail(now, id);
            }
            Step::Next(failure) => {
                flight.failure = failure;
                if flight.advance(&self.config) { self.send_next(now, id) } else { self.fail(now, id) }
            }
        }
    }

    /// Ends a flight with an answer.
    fn settle(&mut self, now: Instant, id: u64, finding: Finding) {
        let Some(flight) = self.land(id) else { return };
        let finding = Arc::new(finding);
        self.cache.put(now, &flight.name, flight.rtype, Arc::clone(&finding));
        for (token, leg) in flight.waiters {
            self.found(token, leg, &finding, Source::Server, finding.ttl, Freshness::Fresh);
        }
    }

    /// Ends a flight without one.
    fn fail(&mut self, now: Instant, id: u64) {
        let Some(flight) = self.land(id) else { return };
        let stale = flight.stale.zip(self.config.stale);
        if let Some(((finding, expired), config)) = stale {
            self.cache.defer(&flight.name, flight.rtype, now + config.retry_after);
            for (token, leg) in flight.waiters {
                self.found(token, leg, &finding, Source::Cache, STALE_TTL, Freshness::Stale(now - expired));
            }
            return;
        }
        for (token, leg) in flight.waiters {
            self.leg_failed(token, leg, flight.failure.clone());
        }
    }

    /// The servers take their time: whoever waits gets what is out of date. The flight goes on for the cache's sake.
    fn serve_stale(&mut self, now: Instant, id: u64) {
        let Some(flight) = self.flights.get_mut(&id) else { return };
        let Some((finding, expired)) = flight.stale.clone() else { return };
        let waiters = core::mem::take(&mut flight.waiters);
        for (token, leg) in waiters {
            self.found(token, leg, &finding, Source::Cache, STALE_TTL, Freshness::Stale(now - expired));
        }
        if self.flights.len() > self.config.max_lookups {
            self.drop_flight(id);
        }
    }

    /// Takes a flight out of all tables.
    fn land(&mut self, id: u64) -> Option<Flight> {
        let flight = self.flights.remove(&id)?;
        self.by_question.remove(&(flight.rtype, flight.name.clone()));
        if let Some(at) = flight.stale_at {
            self.timers.remove(&(at, Timer::Stale(id)));
        }
        Some(flight)
    }

    /// Gives a flight up that nobody waits for.
    fn drop_flight(&mut self, id: u64) {
        let Some(exchange) = self.land(id).and_then(|flight| flight.exchange) else { return };
        if let Some(gone) = self.exchanges.remove(&exchange) {
            self.timers.remove(&(gone.deadline, Timer::Exchange(exchange)));
        }
        let before = self.orders.len();
        self.orders.retain(|order| !matches!(order, Order::Ask(ask) if ask.token == exchange));
        if self.orders.len() == before {
            self.orders.push_back(Order::Forget(exchange));
        }
    }

    fn found(
        &mut self,
        token: Token,
        index: usize,
        finding: &Finding,
        source: Source,
        left: Duration,
        freshness: Freshness,
    ) {
        let Some(lookup) = self.lookups.get_mut(&token) else { return };
        let Some(leg) = lookup.legs.get_mut(index).filter(|leg| !leg.done) else { return };
        leg.flight = None;
        if !finding.complete {
            if leg.chain.len() + finding.chain.len() > MAX_CHAIN {
                return self.leg_failed(token, index, LookupError::AliasLoop);
            }
            leg.chain.extend(finding.chain.iter().cloned());
            leg.at = finding.name.clone();
            self.todo.push_back((token, index));
            return;
        }
        if finding.records.is_empty() {
            let nothing = finding.rcode == Rcode::NXDOMAIN;
            let failure = if nothing { LookupError::NoSuchName } else { LookupError::NoRecords };
            return self.leg_failed(token, index, failure);
        }
        let chain = core::mem::take(&mut leg.chain);
        leg.done = true;
        lookup.found = true;
        let answer = finding.answer(leg.rtype, chain, source, left, freshness);
        self.events.push_back(Event::Answer(token, answer));
        self.leg_done(token);
    }

    fn leg_failed(&mut self, token: Token, index: usize, failure: LookupError) {
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

    fn finish(&mut self, token: Token, result: Result<(), LookupError>) {
        self.remove(token);
        self.events.push_back(Event::Done(token, result));
    }

    /// Takes a lookup out of all tables, with the flights that it alone waited for.
    fn remove(&mut self, token: Token) {
        let Some(lookup) = self.lookups.remove(&token) else { return };
        self.timers.remove(&(lookup.deadline, Timer::Lookup(token)));
        for id in lookup.legs.iter().filter_map(|leg| leg.flight) {
            let Some(flight) = self.flights.get_mut(&id) else { continue };
            flight.waiters.retain(|(waiter, _)| *waiter != token);
            if flight.waiters.is_empty() {
                self.drop_flight(id);
            }
        }
    }
}

fn leg_of(lookups: &mut BTreeMap<Token, Lookup>, token: Token, index: usize, change: impl FnOnce(&mut Leg)) {
    if let Some(leg) = lookups.get_mut(&token).and_then(|lookup| lookup.legs.get_mut(index)) {
        change(leg);
    }
}

/// RFC 8767 section 4: answers that are out of date are given out for 30 seconds.
const STALE_TTL: Duration = Duration::from_secs(30);

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
    name.labels().last().is_some_and(|label| label.eq_ignore_ascii_case(b"localhost"))
}
