//! UDP sockets: a few at a time, each on a port of its own, each for a while.
//!
//! A forger who wants an answer believed has to hit the id, the case of the name, and the port it is awaited on. A socket per query, as
//! other resolvers have it, makes the port a fresh secret for each query, and costs three system calls beside the two that the query
//! needs. Here a few sockets are open at once, each query goes out by one of them at random, and each serves for
//! [a number of queries](super::SocketConfig::queries_per_socket) and [a time](super::SocketConfig::socket_lifetime)
//! before another on a new port takes its place. What is given up: within that time, somebody who has found out an open port (by watching
//! for the errors that closed ports send) need not find it out again. A port is never used for longer, never chosen by us in a
//! predictable way (the system draws it), and a driver with nothing to do has no socket open at all.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use glowplug_core::{DatagramProtocol, Instant, Rng, Token};
use glowplug_dns::resolver::Ask;
use glowplug_dns::{ExchangeError, UdpClient, UdpEvent};

use super::SocketConfig;
use super::board::{Bell, Board};
use super::tokens::TokenHash;
use super::wire::Outcome;
use crate::Runtime;
use crate::drive::Datagrams;

pub(super) struct Ports<R: Runtime> {
    config: SocketConfig,
    runtime: R,
    rng: Rng,
    open: BTreeMap<u64, Port<R>>,
    /// By which port a query went.
    via: HashMap<Token, u64, TokenHash>,
    next: u64,
    board: Arc<Board>,
    /// Whose bells rang; kept for its memory.
    rung: Vec<u64>,
    /// What the sockets found; kept for its memory.
    found: Vec<UdpEvent>,
    /// What came of queries that never got onto a socket.
    refused: Vec<Outcome>,
}

struct Port<R: Runtime> {
    stage: Stage<R>,
    ipv6: bool,
    /// How many queries it may still take.
    left: u32,
    retires_at: Instant,
    bell: Arc<Bell>,
    waker: Waker,
}

enum Stage<R: Runtime> {
    Binding(R::Binding, Box<UdpClient>),
    Open(Box<Datagrams<UdpClient, R>>),
    Gone,
}

impl<R: Runtime> Port<R> {
    fn machine(&mut self) -> Option<&mut UdpClient> {
        match &mut self.stage {
            Stage::Binding(_, machine) => Some(machine),
            Stage::Open(datagrams) => Some(datagrams.machine_mut()),
            Stage::Gone => None,
        }
    }

    /// Takes no more queries; ends once those that wait have ended.
    fn retire(&mut self, now: Instant) {
        self.left = 0;
        if let Some(machine) = self.machine() {
            machine.close(now);
        }
        self.bell.ring();
    }

    /// Moves what can be moved; true when the port is done with.
    fn poll(&mut self, runtime: &R, now: Instant, found: &mut Vec<UdpEvent>) -> bool {
        self.bell.hear();
        let mut cx = Context::from_waker(&self.waker);
        if let Stage::Binding(binding, _) = &mut self.stage {
            let Poll::Ready(bound) = Pin::new(binding).poll(&mut cx) else { return false };
            let Stage::Binding(_, mut machine) = std::mem::replace(&mut self.stage, Stage::Gone) else {
                return true;
            };
            match bound {
                Ok(socket) => {
                    let driver = Datagrams::new(runtime.clone(), socket, *machine);
                    self.stage = Stage::Open(Box::new(driver));
                }
                Err(_) => {
                    machine.fail_all(ExchangeError::Unreachable);
                    found.extend(std::iter::from_fn(|| machine.poll_event(now)));
                    return true;
                }
            }
        }
        let Stage::Open(datagrams) = &mut self.stage else { return true };
        loop {
            match datagrams.poll_event(&mut cx) {
                Poll::Pending => return false,
                Poll::Ready(Ok(Some(event))) => found.push(event),
                Poll::Ready(Ok(None)) => return true,
                Poll::Ready(Err(_)) => {
                    // The socket itself is broken.
                    let machine = datagrams.machine_mut();
                    machine.fail_all(ExchangeError::Unreachable);
                    found.extend(std::iter::from_fn(|| machine.poll_event(now)));
                    return true;
                }
            }
        }
    }
}

impl<R: Runtime> Ports<R> {
    pub(super) fn new(runtime: R, config: SocketConfig, rng: Rng) -> Self {
        Self {
            config,
            runtime,
            rng,
            open: BTreeMap::new(),
            via: HashMap::default(),
            next: 0,
            board: Arc::default(),
            rung: Vec::new(),
            found: Vec::new(),
            refused: Vec::new(),
        }
    }

    pub(super) fn ask(&mut self, now: Instant, ask: Ask) {
        let key = self.choose(now, ask.server.is_ipv6());
        let Some(port) = self.open.get_mut(&key) else { return };
        port.left -= 1;
        port.bell.ring();
        let submitted = port
            .machine()
            .map(|machine| machine.submit(now, ask.token, ask.server, ask.query, ask.deadline).is_ok());
        if submitted == Some(true) {
            self.via.insert(ask.token, key);
        } else {
            self.refused.push((ask.token, Err(ExchangeError::Unreachable)));
        }
        if port.left == 0 {
            port.retire(now);
        }
    }

    /// A port for one more query: one of those that are open, by chance, or a new one.
    fn choose(&mut self, now: Instant, ipv6: bool) -> u64 {
        let fits = |port: &Port<R>| port.ipv6 == ipv6 && port.left > 0;
        let open = self.open.values().filter(|port| fits(port)).count();
        if open < self.config.sockets.max(1) {
            return self.add(now, ipv6);
        }
        let nth = self.rng.below(open as u64) as usize;
        let chosen = self.open.iter().filter(|(_, port)| fits(port)).nth(nth);
        chosen.map_or(0, |(key, _)| *key)
    }

    fn add(&mut self, now: Instant, ipv6: bool) -> u64 {
        let any: IpAddr = if ipv6 { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() };
        self.next += 1;
        let bell = self.board.bell(self.next);
        let machine = UdpClient::new(self.config.udp, &self.rng.seed());
        let most = self.config.udp.max_in_flight.clamp(1, 32_768) as u32;
        let port = Port {
            stage: Stage::Binding(self.runtime.bind(SocketAddr::new(any, 0)), Box::new(machine)),
            ipv6,
            // A socket never has more in flight than it ever gets, so its machine is never full.
            left: self.config.queries_per_socket.clamp(1, most),
            retires_at: now + self.config.socket_lifetime,
            waker: Waker::from(Arc::clone(&bell)),
            bell,
        };
        self.open.insert(self.next, port);
        self.next
    }

    pub(super) fn forget(&mut self, token: Token) {
        let Some(key) = self.via.remove(&token) else { return };
        if let Some(port) = self.open.get_mut(&key) {
            if let Some(machine) = port.machine() {
                machine.cancel(token);
            }
            port.bell.ring();
        }
    }

    pub(super) fn poll(&mut self, cx: &mut Context<'_>, now: Instant, outcomes: &mut Vec<Outcome>) {
        outcomes.append(&mut self.refused);
        self.board.listen(cx.waker());
        if self.poll_timeout().is_some_and(|at| at <= now) {
            for port in self.open.values_mut().filter(|port| port.left > 0 && port.retires_at <= now) {
                port.retire(now);
            }
        }
        let mut rung = std::mem::take(&mut self.rung);
        self.board.take(&mut rung);
        let mut found = std::mem::take(&mut self.found);
        for key in &rung {
            let Some(port) = self.open.get_mut(key) else { continue };
            if port.poll(&self.runtime, now, &mut found) {
                self.open.remove(key);
            }
        }
        self.rung = rung;
        for event in found.drain(..) {
            self.via.remove(&event.token);
            outcomes.push((event.token, event.result));
        }
        self.found = found;
    }

    /// When the next port gives way to another.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.open.values().filter(|port| port.left > 0).map(|port| port.retires_at).min()
    }

    pub(super) fn has_work(&self) -> bool {
        !self.refused.is_empty() || !self.board.is_quiet()
    }
}
