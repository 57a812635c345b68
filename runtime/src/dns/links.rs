//! Connections: over TCP or TLS, made when a query wants one, kept as long as server and configuration let them idle.
//!
//! A server has one that takes queries. Once that has said nothing for a while to those who wait, the next query gets another
//! beside it; the old one may still bring its answers, and is closed when nobody waits for them any more. There are never more
//! of them than seconds that the oldest query has been waited for.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use glowplug_core::{Instant, RequestProtocol, Rng, Token};
use glowplug_dns::resolver::Ask;
use glowplug_dns::{ClientConfig, ClientConnection, ExchangeError, Query};

use super::Upstreams;
use super::board::{Bell, Board};
use super::tokens::TokenHash;
use super::wire::Outcome;
use crate::drive::Exclusive;
use crate::{Endpoint, MaybeTls, Runtime};

type Stream<R> = MaybeTls<<R as Runtime>::Stream>;

pub(super) struct Links<R: Runtime> {
    runtime: R,
    config: ClientConfig,
    upstreams: Upstreams,
    rng: Rng,
    open: BTreeMap<u64, Link<R>>,
    by_server: BTreeMap<SocketAddr, u64>,
    /// By which link a query goes.
    via: HashMap<Token, u64, TokenHash>,
    next: u64,
    board: Arc<Board>,
    rung: Vec<u64>,
}

/// A connection that owes answers and has brought none for so long may be dead: the next query gets another.
const STALLED: Duration = Duration::from_secs(1);

struct Link<R: Runtime> {
    server: SocketAddr,
    stage: Stage<R>,
    /// What waits for the connection, or for room on it.
    waiting: VecDeque<Token>,
    /// Everything that has no answer yet.
    asked: HashMap<Token, Asked>,
    /// When the last answer came, or the first query that is owed one.
    quiet_since: Instant,
    bell: Arc<Bell>,
    waker: Waker,
}

struct Asked {
    query: Query,
    /// A connection ended under it before.
    again: bool,
}

enum Stage<R: Runtime> {
    Connecting(R::Connecting),
    #[cfg(feature = "tls")]
    Securing(Box<crate::tls::Tls<R::Stream>>),
    Open(Box<Exclusive<ClientConnection, Stream<R>, R>>),
    #[cfg(feature = "tls")]
    Over,
}

impl<R: Runtime> Links<R> {
    pub(super) fn new(runtime: R, config: ClientConfig, upstreams: Upstreams, rng: Rng) -> Self {
        Self {
            runtime,
            config,
            upstreams,
            rng,
            open: BTreeMap::new(),
            by_server: BTreeMap::new(),
            via: HashMap::default(),
            next: 0,
            board: Arc::default(),
            rung: Vec::new(),
        }
    }

    /// True if this server is asked under TLS only.
    pub(super) fn is_secure(&self, server: SocketAddr) -> bool {
        self.upstreams.is_secure(server)
    }

    pub(super) fn ask(&mut self, now: Instant, ask: Ask) {
        self.put(now, ask.server, ask.token, Asked { query: ask.query, again: false });
    }

    fn put(&mut self, now: Instant, server: SocketAddr, token: Token, asked: Asked) {
        let current = self.by_server.get(&server).copied();
        let key = match current.filter(|key| self.open.get(key).is_some_and(|link| !link.is_stalled(now))) {
            Some(key) => key,
            None => self.connect(now, server),
        };
        if let Some(link) = self.open.get_mut(&key) {
            if link.asked.is_empty() {
                link.quiet_since = now;
            }
            link.asked.insert(token, asked);
            link.waiting.push_back(token);
            link.bell.ring();
            self.via.insert(token, key);
        }
    }

    fn connect(&mut self, now: Instant, server: SocketAddr) -> u64 {
        self.next += 1;
        let bell = self.board.bell(self.next);
        let link = Link {
            server,
            stage: Stage::Connecting(self.runtime.connect(&Endpoint::Tcp(server))),
            waiting: VecDeque::new(),
            asked: HashMap::new(),
            quiet_since: now,
            waker: Waker::from(Arc::clone(&bell)),
            bell,
        };
        self.open.insert(self.next, link);
        self.by_server.insert(server, self.next);
        self.next
    }

    pub(super) fn forget(&mut self, now: Instant, token: Token) {
        let Some(key) = self.via.remove(&token) else { return };
        let Some(link) = self.open.get_mut(&key) else { return };
        if link.asked.remove(&token).is_none() {
            return;
        }
        link.waiting.retain(|waiting| *waiting != token);
        let current = self.by_server.get(&link.server) == Some(&key);
        if link.asked.is_empty() && !(current && link.is_of_use(now)) {
            return self.remove(key);
        }
        if let Stage::Open(connection) = &mut link.stage {
            connection.machine_mut().cancel(token);
            link.bell.ring();
        }
    }

    fn remove(&mut self, key: u64) {
        if let Some(link) = self.open.remove(&key) {
            self.by_server.retain(|_, known| *known != key);
            for token in link.asked.keys() {
                self.via.remove(token);
            }
        }
    }

    pub(super) fn poll(&mut self, cx: &mut Context<'_>, now: Instant, outcomes: &mut Vec<Outcome>) {
        self.board.listen(cx.waker());
        let mut rung = std::mem::take(&mut self.rung);
        self.board.take(&mut rung);
        for key in &rung {
            let Some(link) = self.open.get_mut(key) else { continue };
            let before = outcomes.len();
            let over = link.poll(&self.runtime, &self.upstreams, self.config, &mut self.rng, now, outcomes);
            for (token, _) in &outcomes[before..] {
                self.via.remove(token);
            }
            let left = link.asked.is_empty() && self.by_server.get(&link.server) != Some(key);
            if over {
                self.end(now, *key, outcomes);
            } else if left {
                self.remove(*key);
            }
        }
        self.rung = rung;
    }

    /// A connection has ended, or there never was one. A server may close what it takes for idle at any time (RFC 7766 section
    /// 6.2.4): what an open connection left unanswered is asked once more.
    fn end(&mut self, now: Instant, key: u64, outcomes: &mut Vec<Outcome>) {
        let Some(link) = self.open.get_mut(&key) else { return };
        let (server, was_open) = (link.server, matches!(link.stage, Stage::Open(_)));
        let mut left: Vec<(Token, Asked)> = link.asked.drain().collect();
        left.sort_by_key(|(token, _)| *token);
        self.remove(key);
        for (token, asked) in left {
            if was_open && !asked.again {
                self.put(now, server, token, Asked { again: true, ..asked });
            } else {
                self.via.remove(&token);
                outcomes.push((token, Err(ExchangeError::Unreachable)));
            }
        }
    }

    pub(super) fn has_work(&self) -> bool {
        !self.board.is_quiet()
    }
}

impl<R: Runtime> Link<R> {
    /// True if those who wait have heard nothing for too long.
    fn is_stalled(&self, now: Instant) -> bool {
        !self.asked.is_empty() && now >= self.quiet_since + STALLED
    }

    /// True if another query may find it quicker than a new connection: it stands, and did not fall silent under the last one.
    fn is_of_use(&self, now: Instant) -> bool {
        matches!(self.stage, Stage::Open(_)) && now < self.quiet_since + STALLED
    }

    /// Moves what can be moved; true when the connection is over.
    fn poll(
        &mut self,
        runtime: &R,
        upstreams: &Upstreams,
        config: ClientConfig,
        rng: &mut Rng,
        now: Instant,
        outcomes: &mut Vec<Outcome>,
    ) -> bool {
        self.bell.hear();
        let waker = self.waker.clone();
        let mut cx = Context::from_waker(&waker);
        let mut open = |stream| {
            let machine = ClientConnection::new(config, now, &rng.seed());
            Stage::Open(Box::new(Exclusive::new(runtime.clone(), stream, machine)))
        };
        if let Stage::Connecting(connecting) = &mut self.stage {
            let Poll::Ready(connected) = Pin::new(connecting).poll(&mut cx) else { return false };
            let Ok(stream) = connected else { return true };
            self.stage = match upstreams.secure(self.server, stream) {
                Ok(Secured::Plain(stream)) => open(MaybeTls::Plain(stream)),
                #[cfg(feature = "tls")]
                Ok(Secured::Tls(stream)) => Stage::Securing(stream),
                Err(_) => return true,
            };
        }
        #[cfg(feature = "tls")]
        if let Stage::Securing(stream) = &mut self.stage {
            let shaken = std::pin::pin!(stream.handshake()).poll(&mut cx);
            match shaken {
                Poll::Pending => return false,
                Poll::Ready(Err(_)) => return true,
                Poll::Ready(Ok(())) => {}
            }
            if let Stage::Securing(stream) = std::mem::replace(&mut self.stage, Stage::Over) {
                self.stage = open(MaybeTls::Tls(stream));
            }
        }
        self.exchange(&mut cx, now, outcomes)
    }

    fn exchange(&mut self, cx: &mut Context<'_>, now: Instant, outcomes: &mut Vec<Outcome>) -> bool {
        let Stage::Open(connection) = &mut self.stage else { return true };
        loop {
            while let Some(token) = self.waiting.pop_front() {
                let Some(asked) = self.asked.get(&token) else { continue };
                match connection.machine_mut().submit(now, token, asked.query.clone()) {
                    Ok(()) => {}
                    // Full, or about to finish: what waits here waits for room, or for the next connection.
                    Err(_) => {
                        self.waiting.push_front(token);
                        break;
                    }
                }
            }
            match connection.poll_event(cx) {
                Poll::Pending => return false,
                Poll::Ready(Ok(Some(answer))) => {
                    self.quiet_since = now;
                    if self.asked.remove(&answer.token).is_some() {
                        let server = Some(self.server);
                        let result = answer.response.map(|reply| glowplug_dns::Reply { server, ..reply });
                        outcomes.push((answer.token, result));
                    }
                }
                Poll::Ready(Ok(None) | Err(_)) => return true,
            }
        }
    }
}

/// A stream that is as it shall be.
pub(super) enum Secured<S> {
    Plain(S),
    #[cfg(feature = "tls")]
    Tls(Box<crate::tls::Tls<S>>),
}
