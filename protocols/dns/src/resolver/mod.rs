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
mod direct;
mod few;
mod flight;
mod hosts;
mod lookup;
mod request;
mod servers;

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::SocketAddr;
use core::time::Duration;

use glowplug_core::{Instant, Seed, SubmitError, Token};
use hashbrown::{HashMap, HashTable};

pub use answer::{Answer, Event, Freshness, LookupError, SecurityVerdict, Source};
pub use candidates::{SearchStyle, candidate_names};
pub use conf::ResolvConf;
pub use config::{ResolverConfig, StaleConfig};
pub use direct::{Direct, DirectConfig, QueryError};
pub use hosts::Hosts;
pub use request::{Ask, Channel, Order, Request};

use crate::error::ExchangeError;
use crate::hash::IdHash;
use crate::query::Reply;
use crate::timers::Timers;
use crate::wire::{Name, Rcode, Rdata, RecordType};
use answer::Finding;
use cache::{Cache, HashKeys, Hit};
use flight::{Flight, Lists, Step};
use lookup::{Leg, Lookup};
use servers::Servers;

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
    lookups: HashMap<Token, Lookup, IdHash>,
    flights: HashMap<u64, Flight, IdHash>,
    /// Flights by name and type.
    by_question: HashTable<u64>,
    keys: HashKeys,
    exchanges: HashMap<Token, Exchange, IdHash>,
    /// What has ended and left its memory to what comes.
    spare_lookups: Vec<Lookup>,
    spare_lists: Vec<Lists>,
    timers: Timers<Timer>,
    /// Something has ended whose timer may be in the way.
    untidy: bool,
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
            cache: Self::new_cache(&config),
            config,
            hosts,
            lookups: HashMap::default(),
            flights: HashMap::default(),
            by_question: HashTable::new(),
            keys: HashKeys::new(&mut rng),
            exchanges: HashMap::default(),
            spare_lookups: Vec::new(),
            spare_lists: Vec::new(),
            timers: Timers::new(),
            untidy: false,
            todo: VecDeque::new(),
            orders: VecDeque::new(),
            events: VecDeque::new(),
            next_id: 0,
        }
    }

    fn new_cache(config: &ResolverConfig) -> Cache {
        let max_stale = config.stale.map_or(Duration::ZERO, |stale| stale.max_age);
        Cache::new(config.cache_entries.min(u32::MAX as usize), max_stale)
    }

    /// Takes another configuration and hosts file. Running lookups go on with the servers they know; the cache is emptied,
    /// since another network may have other answers.
    pub fn replace_config(&mut self, config: ResolverConfig, hosts: Hosts) {
        self.servers.replace(&config.servers);
        self.cache = Self::new_cache(&config);
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

    /// Begins a lookup. It ends with one [`Event::Done`], within the configured time. Two lookups at once never share a token.
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
            Request::Records { name, rtype, absence } => {
                self.begin_records(now, token, name, rtype, absence);
            }
            Request::Reverse(address) => match self.hosts.name(address) {
                Some(name) => {
                    let data = [Rdata::ptr(name)];
                    let answer = answer::local(&Name::reverse(address), RecordType::PTR, data, Source::Hosts);
                    self.events.push_back(Event::Answer(token, answer));
                    self.events.push_back(Event::Done(token, Ok(())));
                }
                None => self.begin_records(now, token, Name::reverse(address), RecordType::PTR, false),
            },
        }
        self.run(now);
        Ok(())
    }

    /// Nobody waits for this lookup any more.
    pub fn cancel(&mut self, token: Token) {
        self.remove(token);
        self.trim();
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

    /// True if [`poll_order`](Self::poll_order) has something.
    pub fn has_orders(&self) -> bool {
        !self.orders.is_empty()
    }

    /// When [`handle_timeout`](Self::handle_timeout) wants to be called.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.timers.next()
    }

    /// Tells the resolver that its deadline may have passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some((at, timer)) = self.timers.pop(now) {
            if !self.counts(at, timer) {
                continue;
            }
            match timer {
                Timer::Lookup(token) => {
                    if let Some(lookup) = self.lookups.get(&token) {
                        let result = if lookup.found { Ok(()) } else { Err(LookupError::TimedOut) };
                        self.finish(token, result);
                    }
                }
                Timer::Exchange(token) => self.too_slow(now, token),
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

    /// Asks what the legs have to ask, until all of them wait. Each step follows an alias or ends a leg, and both are bounded.
    fn run(&mut self, now: Instant) {
        while let Some((token, leg)) = self.todo.pop_front() {
            self.ask(now, token, leg);
        }
        self.trim();
    }

    /// Takes out the timers of what has ended.
    fn trim(&mut self) {
        if !core::mem::take(&mut self.untidy) {
            return;
        }
        let mut timers = core::mem::replace(&mut self.timers, Timers::new());
        let count = self.lookups.len() + self.exchanges.len() + self.flights.len();
        timers.trim(count, |at, timer| self.counts(at, timer));
        self.timers = timers;
    }

    /// True if something waits for this timer yet.
    fn counts(&self, at: Instant, timer: Timer) -> bool {
        match timer {
            Timer::Lookup(token) => self.lookups.get(&token).is_some_and(|lookup| lookup.deadline == at),
            Timer::Exchange(token) => {
                self.exchanges.get(&token).is_some_and(|exchange| exchange.deadline == at)
            }
            Timer::Stale(id) => self.flights.get(&id).is_some_and(|flight| flight.stale_at == Some(at)),
        }
    }

    fn ask(&mut self, now: Instant, token: Token, index: usize) {
        let lookups = &mut self.lookups;
        let Some(leg) = lookups.get_mut(&token).and_then(|lookup| lookup.legs.get_mut(index)) else { return };
        let (name, rtype) = (leg.at.clone(), leg.rtype);
        let (hash, known) = match leg.unknown.take() {
            Some(hash) => (hash, None),
            None => {
                let hash = self.keys.hash(&name, rtype);
                (hash, self.cache.get(now, hash, &name, rtype))
            }
        };
        let stale = match known {
            Some(Hit::Fresh(finding, left)) => {
                return self.found(token, index, &finding, Source::Cache, left, Freshness::Fresh);
            }
            Some(Hit::Stale(finding, age, true)) => {
                return self.found(token, index, &finding, Source::Cache, STALE_TTL, Freshness::Stale(age));
            }
            Some(Hit::Stale(finding, age, false)) => Some((finding, now - age)),
            None => None,
        };
        let same = |id: &u64| {
            let flight = self.flights.get(id);
            flight.is_some_and(|it| it.hash == hash && it.rtype == rtype && it.name == name)
        };
        let (id, fresh) = match self.by_question.find(hash, same) {
            Some(id) => (*id, false),
            None => (self.new_id(), true),
        };
        leg_of(&mut self.lookups, token, index, |leg| leg.flight = Some(id));
        if !fresh {
            let Some(flight) = self.flights.get_mut(&id) else { return };
            match flight.stale.clone().filter(|_| flight.stale_at.is_some_and(|at| at <= now)) {
                // Those before this one have waited for long enough.
                Some((finding, expired)) => {
                    self.found(
                        token,
                        index,
                        &finding,
                        Source::Cache,
                        STALE_TTL,
                        Freshness::Stale(now - expired),
                    );
                }
                None => {
                    flight.waiters.push((token, index));
                    if flight.exchange.is_none() {
                        // All servers had their turns; who comes now has them asked once more.
                        flight.begin_again(now, &self.servers, &self.config);
                        self.send_next(now, id);
                    }
                }
            }
            return;
        }
        let mut lists = self.spare_lists.pop().unwrap_or_default();
        self.servers.order(now, self.config.rotate, &mut lists.order);
        let mut flight = Flight::new(hash, name, rtype, lists, &self.config);
        flight.waiters.push((token, index));
        if let (Some(stale), Some(config)) = (stale, self.config.stale) {
            let at = now + config.client_timeout;
            flight.stale = Some(stale);
            flight.stale_at = Some(at);
            self.timers.insert(at, Timer::Stale(id));
        }
        self.flights.insert(id, flight);
        let flights = &self.flights;
        self.by_question.insert_unique(hash, id, |id| flights.get(id).map_or(0, |flight| flight.hash));
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
        let limit = match self.servers.get(server) {
            _ if flight.channel == Channel::Tcp => self.config.timeout.min(STREAM_LEAD),
            Some(server) => server.time_limit(&self.config, flight.pass),
            None => self.config.timeout,
        };
        let deadline = now + limit;
        let query = flight.query(now, server, &mut self.servers, &self.config);
        if !probe {
            flight.exchange = Some(token);
        }
        let channel = flight.channel;
        self.exchanges.insert(token, Exchange { flight: (!probe).then_some(id), server, deadline });
        self.timers.insert(deadline, Timer::Exchange(token));
        self.orders.push_back(Order::Ask(Ask { token, server, channel, query, deadline }));
    }

    fn reply(&mut self, now: Instant, token: Token, result: Result<Reply, ExchangeError>) {
        let Some(exchange) = self.exchanges.remove(&token) else { return };
        self.untidy = true;
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
        if flight.exchange != Some(token) {
            return self.late_reply(now, token, id, server, result);
        }
        flight.exchange = None;
        let step = match result {
            Ok(reply) => {
                let step = flight.read(now, &reply, server, &mut self.servers, &self.config);
                // A server that cuts its answer off is well, whatever will be of its connection.
                if matches!(step, Step::Found(_)) || reply.is_truncated() {
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
            Step::Found(finding) => self.settle(now, id, &finding),
            Step::Again => self.send_next(now, id),
            // Another server would tell the same.
            Step::Next(LookupError::AliasLoop) => {
                flight.failure = LookupError::AliasLoop;
                self.fail(now, id);
            }
            Step::Next(failure) => {
                flight.failure = failure;
                self.go_on(now, id);
            }
        }
    }

    /// Asks the next server, unless all had their turns.
    fn go_on(&mut self, now: Instant, id: u64) {
        let Some(flight) = self.flights.get_mut(&id) else { return };
        if flight.advance(now, &self.servers, &self.config) {
            self.send_next(now, id);
        } else if flight.is_hopeless() {
            self.fail(now, id);
        }
    }

    /// A server has had its time. The next one is asked, and what this one may say yet still counts: over a stream, an answer
    /// on its way is not sooner there for being asked for again. Over UDP, the exchange ends by itself now.
    fn too_slow(&mut self, now: Instant, token: Token) {
        let Some(exchange) = self.exchanges.get(&token) else { return };
        let (server, id) = (exchange.server, exchange.flight);
        self.servers.failed(now, server, &self.config);
        let Some((id, flight)) = id.and_then(|id| Some((id, self.flights.get_mut(&id)?))) else {
            self.exchanges.remove(&token);
            return self.orders.push_back(Order::Forget(token));
        };
        flight.exchange = None;
        flight.late.push(token);
        let oldest = (flight.late.len() > MAX_LATE).then(|| flight.late.remove(0));
        flight.failure = LookupError::Exchange(ExchangeError::TimedOut);
        if let Some(oldest) = oldest {
            self.forget(oldest);
        }
        self.go_on(now, id);
    }

    /// What a server says after its time: an answer is an answer, anything else is too late.
    fn late_reply(
        &mut self,
        now: Instant,
        token: Token,
        id: u64,
        server: SocketAddr,
        result: Result<Reply, ExchangeError>,
    ) {
        let Some(flight) = self.flights.get_mut(&id) else { return };
        flight.late.retain(|late| *late != token);
        if let Some(finding) = result.ok().and_then(|reply| flight.read_late(&reply, &self.config)) {
            self.servers.succeeded(server, None);
            self.settle(now, id, &finding);
        } else if flight.exchange.is_none() && flight.is_hopeless() {
            self.fail(now, id);
        }
    }

    /// Ends a flight with an answer.
    fn settle(&mut self, now: Instant, id: u64, finding: &Arc<Finding>) {
        let Some(mut flight) = self.land(id) else { return };
        self.cache.put(now, flight.hash, &flight.name, flight.rtype, Arc::clone(finding));
        for (token, leg) in flight.waiters.drain(..) {
            self.found(token, leg, finding, Source::Server, finding.ttl, Freshness::Fresh);
        }
        self.recycle(flight);
    }

    /// Ends a flight without one.
    fn fail(&mut self, now: Instant, id: u64) {
        let Some(flight) = self.land(id) else { return };
        let stale = flight.stale.zip(self.config.stale);
        if let Some(((finding, expired), config)) = stale {
            self.cache.defer(flight.hash, &flight.name, flight.rtype, now + config.retry_after);
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
            self.land(id);
        }
    }

    /// Keeps what another flight can use.
    fn recycle(&mut self, flight: Flight) {
        if self.spare_lists.len() < SPARE {
            self.spare_lists.push(flight.into_lists());
        }
    }

    /// Takes a flight out of all tables, and its exchanges with it.
    fn land(&mut self, id: u64) -> Option<Flight> {
        let flight = self.flights.remove(&id)?;
        self.untidy = true;
        if let Ok(entry) = self.by_question.find_entry(flight.hash, |known| *known == id) {
            entry.remove();
        }
        for exchange in flight.late.iter().copied().chain(flight.exchange) {
            self.forget(exchange);
        }
        Some(flight)
    }

    /// Gives an exchange up that nobody waits for.
    fn forget(&mut self, exchange: Token) {
        self.exchanges.remove(&exchange);
        self.untidy = true;
        let before = self.orders.len();
        self.orders.retain(|order| !matches!(order, Order::Ask(ask) if ask.token == exchange));
        if self.orders.len() == before {
            self.orders.push_back(Order::Forget(exchange));
        }
    }
}

fn leg_of(
    lookups: &mut HashMap<Token, Lookup, IdHash>,
    token: Token,
    index: usize,
    change: impl FnOnce(&mut Leg),
) {
    if let Some(leg) = lookups.get_mut(&token).and_then(|lookup| lookup.legs.get_mut(index)) {
        change(leg);
    }
}

/// How many ended lookups and flights leave their memory to others.
const SPARE: usize = 256;

/// How long an answer over a stream is waited for before another server is asked beside it. A connection takes several round trips,
/// and more when something is lost.
const STREAM_LEAD: Duration = Duration::from_secs(2);

/// How many exchanges of one flight may be late: the oldest are given up.
const MAX_LATE: usize = 8;

/// RFC 8767 section 4: answers that are out of date are given out for 30 seconds.
const STALE_TTL: Duration = Duration::from_secs(30);
