//! One server, asked directly: UDP first, TCP when the answer does not fit.

use alloc::collections::VecDeque;
use core::fmt;
use core::net::SocketAddr;
use core::time::Duration;

use glowplug_core::{Instant, SubmitError, Token};
use hashbrown::HashMap;

use super::{Ask, Channel, Order};
use crate::error::ExchangeError;
use crate::hash::IdHash;
use crate::query::{Query, Reply};

/// How one server is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirectConfig {
    /// The server.
    pub server: SocketAddr,
    /// How long a query may take, over UDP and TCP together. Default 5 s.
    pub timeout: Duration,
    /// Always use TCP. Default false.
    pub tcp_only: bool,
    /// How many queries may run at once. Default 10,000.
    pub max_queries: usize,
}

impl DirectConfig {
    /// The defaults, for this server.
    pub fn new(server: SocketAddr) -> Self {
        Self { server, timeout: Duration::from_secs(5), tcp_only: false, max_queries: 10_000 }
    }
}

/// Why a query to one server has no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum QueryError {
    /// The exchange failed.
    Exchange(ExchangeError),
    /// As many queries run as may run at once ([`DirectConfig::max_queries`]); nothing was sent.
    TooMany,
    /// Whatever drives the queries has ended.
    Closed,
}

impl fmt::Display for QueryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Exchange(_) => "the server did not answer",
            Self::TooMany => "too many queries at once",
            Self::Closed => "the client has ended",
        })
    }
}

impl core::error::Error for QueryError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Exchange(error) => Some(error),
            _ => None,
        }
    }
}

#[derive(Debug)]
struct Running {
    query: Query,
    channel: Channel,
    deadline: Instant,
}

impl Running {
    fn order(&self, token: Token, server: SocketAddr) -> Order {
        let (query, deadline) = (self.query.clone(), self.deadline);
        Order::Ask(Ask { token, server, channel: self.channel, query, deadline })
    }
}

/// Queries to one server, as a pure state machine beside [`Resolver`](super::Resolver): it gives the same orders and takes the same
/// replies, and knows no cache, no search list and no other server. The answer is the server's message as it came, whatever it says.
#[derive(Debug)]
pub struct Direct {
    config: DirectConfig,
    running: HashMap<Token, Running, IdHash>,
    /// All queries have the same time, so they end in the order they began in. What has ended before is skipped; the first has not.
    timers: VecDeque<(Instant, Token)>,
    orders: VecDeque<Order>,
    events: VecDeque<(Token, Result<Reply, QueryError>)>,
}

impl Direct {
    /// A machine with nothing in flight.
    pub fn new(config: DirectConfig) -> Self {
        Self {
            config,
            running: HashMap::with_hasher(IdHash::default()),
            timers: VecDeque::new(),
            orders: VecDeque::new(),
            events: VecDeque::new(),
        }
    }

    /// Begins a query. It ends with one event, within the configured time. Two queries at once never share a token.
    pub fn submit(&mut self, now: Instant, token: Token, query: Query) -> Result<(), SubmitError<Query>> {
        if self.running.len() + self.events.len() >= self.config.max_queries {
            return Err(SubmitError::Full(query));
        }
        let channel = if self.config.tcp_only { Channel::Tcp } else { Channel::Udp };
        let deadline = now + self.config.timeout;
        self.timers.push_back((deadline, token));
        let running = Running { query, channel, deadline };
        self.orders.push_back(running.order(token, self.config.server));
        self.running.insert(token, running);
        self.trim();
        Ok(())
    }

    /// Nobody waits for this query any more.
    pub fn cancel(&mut self, token: Token) {
        if self.remove(token).is_some() {
            let before = self.orders.len();
            self.orders.retain(|order| !matches!(order, Order::Ask(ask) if ask.token == token));
            if self.orders.len() == before {
                self.orders.push_back(Order::Forget(token));
            }
        }
        self.events.retain(|(ended, _)| *ended != token);
    }

    fn remove(&mut self, token: Token) -> Option<Running> {
        let running = self.running.remove(&token)?;
        self.trim();
        Some(running)
    }

    /// Takes out the timers of queries that have ended: those in front, and all of them before they are many.
    fn trim(&mut self) {
        let running = &self.running;
        let live = |(at, token): &(Instant, Token)| running.get(token).is_some_and(|it| it.deadline == *at);
        while self.timers.front().is_some_and(|timer| !live(timer)) {
            self.timers.pop_front();
        }
        if self.timers.len() > 4 * running.len() + 64 {
            self.timers.retain(live);
        }
    }

    /// How a query ended, if one has.
    pub fn poll_event(&mut self) -> Option<(Token, Result<Reply, QueryError>)> {
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
        self.timers.front().map(|(at, _)| *at)
    }

    /// Tells the machine that its deadline may have passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(&(_, token)) = self.timers.front().filter(|(at, _)| *at <= now) {
            self.remove(token);
            self.orders.push_back(Order::Forget(token));
            self.events.push_back((token, Err(QueryError::Exchange(ExchangeError::TimedOut))));
        }
    }

    /// What came of an [`Ask`]. Tokens that are not known (any more) are ignored.
    pub fn handle_reply(&mut self, _now: Instant, token: Token, result: Result<Reply, ExchangeError>) {
        let Some(running) = self.running.get_mut(&token) else { return };
        let over_tcp = match &result {
            Ok(reply) => reply.is_truncated(),
            // The server may be no forger: TCP tells.
            Err(error) => *error == ExchangeError::CaseLost,
        };
        if over_tcp && running.channel == Channel::Udp {
            running.channel = Channel::Tcp;
            self.orders.push_back(running.order(token, self.config.server));
            return;
        }
        self.remove(token);
        self.events.push_back((token, result.map_err(QueryError::Exchange)));
    }
}
