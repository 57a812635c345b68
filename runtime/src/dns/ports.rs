//! UDP sockets: a few at a time, each on a port of its own, each for a while.
//!
//! A forger who wants an answer believed has to hit the id, the case of the name, and the port it is awaited on. A socket per query, as
//! other resolvers have it, makes the port a fresh secret for each query, and costs three system calls beside the two that the query
//! needs. Here a few sockets are open at once, each query goes out by one of them at random, and each serves for
//! [a number of queries](super::SocketConfig::queries_per_socket) and [a time](super::SocketConfig::socket_lifetime)
//! before another on a new port takes its place. What is given up: within that time, somebody who has found out an open port (by watching
//! for the errors that closed ports send) need not find it out again. A port is never used for longer, never chosen by us in a
//! predictable way (the system draws it), and a driver with nothing to do has no socket open at all.

use std::collections::HashMap;
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
    /// The ports that are open; the place of one that is done with goes to another.
    open: Vec<Option<Port<R>>>,
    free: Vec<usize>,
    /// Those that take queries, of each family.
    taking: [Vec<usize>; 2],
    /// By which port a query went.
    via: HashMap<Token, usize, TokenHash>,
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
            open: Vec::new(),
            free: Vec::new(),
            taking: [Vec::new(), Vec::new()],
            via: HashMap::default(),
            board: Arc::default(),
            rung: Vec::new(),
            found: Vec::new(),
            refused: Vec::new(),
        }
    }

    pub(super) fn ask(&mut self, now: Instant, ask: Ask) {
        let at = self.choose(now, ask.server.is_ipv6());
        let Some(port) = &mut self.open[at] else { return };
        port.left -= 1;
        port.bell.ring();
        let submitted = port
            .machine()
            .map(|machine| machine.submit(now, ask.token, ask.server, ask.query, ask.deadline).is_ok());
        if submitted == Some(true) {
            self.via.insert(ask.token, at);
        } else {
            self.refused.push((ask.token, Err(ExchangeError::Unreachable)));
        }
        if port.left == 0 {
            self.retire(now, at);
        }
    }

    /// A port for one more query: one of those that take some, by chance, or a new one.
    fn choose(&mut self, now: Instant, ipv6: bool) -> usize {
        let taking = &self.taking[usize::from(ipv6)];
        if taking.len() < self.config.sockets.max(1) {
            return self.add(now, ipv6);
        }
        taking[self.rng.below(taking.len() as u64) as usize]
    }

    fn add(&mut self, now: Instant, ipv6: bool) -> usize {
        let any: IpAddr = if ipv6 { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() };
        let at = self.free.pop().unwrap_or_else(|| {
            self.open.push(None);
            self.open.len() - 1
        });
        let bell = self.board.bell(at as u64);
        let machine = UdpClient::new(self.config.udp, &self.rng.seed());
        let most = self.config.udp.max_in_flight.clamp(1, 32_768) as u32;
        self.open[at] = Some(Port {
            stage: Stage::Binding(self.runtime.bind(SocketAddr::new(any, 0)), Box::new(machine)),
            ipv6,
            // A socket never has more in flight than it ever gets, so its machine is never full.
            left: self.config.queries_per_socket.clamp(1, most),
            retires_at: now + self.config.socket_lifetime,
            waker: Waker::from(Arc::clone(&bell)),
            bell,
        });
        self.taking[usize::from(ipv6)].push(at);
        at
    }

    /// The port takes no more queries; it ends once those that wait have ended.
    fn retire(&mut self, now: Instant, at: usize) {
        let Some(port) = &mut self.open[at] else { return };
        port.left = 0;
        if let Some(machine) = port.machine() {
            machine.close(now);
        }
        port.bell.ring();
        self.taking[usize::from(port.ipv6)].retain(|taking| *taking != at);
    }

    /// The port is done with, or broken.
    fn remove(&mut self, at: usize) {
        if let Some(port) = self.open[at].take() {
            self.taking[usize::from(port.ipv6)].retain(|taking| *taking != at);
            self.free.push(at);
        }
    }

    pub(super) fn forget(&mut self, token: Token) {
        let Some(at) = self.via.remove(&token) else { return };
        if let Some(port) = &mut self.open[at] {
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
            for at in 0..self.open.len() {
                let over = |port: &Port<R>| port.left > 0 && port.retires_at <= now;
                if self.open[at].as_ref().is_some_and(over) {
                    self.retire(now, at);
                }
            }
        }
        let mut rung = std::mem::take(&mut self.rung);
        self.board.take(&mut rung);
        let mut found = std::mem::take(&mut self.found);
        for at in rung.iter().map(|key| *key as usize) {
            // The bell may be that of a port which was here before.
            let Some(port) = &mut self.open[at] else { continue };
            if port.poll(&self.runtime, now, &mut found) {
                self.remove(at);
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
        // They retire in the order in which they opened, but for those whose queries are up, and all live equally long.
        let first = |taking: &Vec<usize>| self.open[*taking.first()?].as_ref().map(|port| port.retires_at);
        self.taking.iter().filter_map(first).min()
    }

    pub(super) fn has_work(&self) -> bool {
        !self.refused.is_empty() || !self.board.is_quiet()
    }
}
