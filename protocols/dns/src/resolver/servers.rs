//! The servers: who is quick, who is down, who speaks what.
//!
//! A server that fails is left alone for a while, twice as long with each failure. Afterwards it is not trusted with a
//! query of its own yet: now and then one is sent to it beside the server that answers it (a probe), and a good
//! answer brings it back. Only when nobody else is left do queries go to servers that are down.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::SocketAddr;
use core::time::Duration;

use bytes::Bytes;
use glowplug_core::{Instant, Rng};

use super::ResolverConfig;
use crate::wire::Cookie;

/// In the first pass a server has at least so long, however quick it was before: room for one lost datagram.
const MIN_TIMEOUT: Duration = Duration::from_millis(600);
/// In the first pass a server that nothing is known of has at most so long.
const UNKNOWN_TIMEOUT: Duration = Duration::from_millis(1500);

/// How long a server that does not know EDNS is spared it.
const PLAIN_FOR: Duration = Duration::from_secs(15 * 60);

#[derive(Clone, Debug)]
pub(super) struct Server {
    pub(super) address: SocketAddr,
    /// Smoothed over about eight answers.
    round_trip: Option<Duration>,
    failures: u32,
    down_until: Instant,
    /// Until then the server is spared EDNS, since it has shown that it does not know it.
    plain_until: Instant,
    /// What it is sent: our part, and the one it gave us.
    pub(super) cookie: Arc<Cookie>,
}

impl Server {
    fn new(address: SocketAddr, rng: &mut Rng) -> Self {
        let mut client = [0; 8];
        rng.fill(&mut client);
        Self {
            address,
            round_trip: None,
            failures: 0,
            down_until: Instant::ZERO,
            plain_until: Instant::ZERO,
            cookie: Arc::new(Cookie { client, server: Bytes::new() }),
        }
    }

    /// True unless the server has shown not long ago that it does not know EDNS.
    pub(super) fn knows_edns(&self, now: Instant) -> bool {
        now >= self.plain_until
    }

    /// The server does not know EDNS. It may learn, and the message may have been forged: this is believed for a while.
    pub(super) fn spare_edns(&mut self, now: Instant) {
        self.plain_until = now + PLAIN_FOR;
    }

    pub(super) fn set_server_cookie(&mut self, cookie: &[u8]) {
        if self.cookie.server != cookie && (8..=32).contains(&cookie.len()) {
            self.replace_cookie(Bytes::copy_from_slice(cookie));
        }
    }

    fn replace_cookie(&mut self, server: Bytes) {
        self.cookie = Arc::new(Cookie { client: self.cookie.client, server });
    }

    /// How long the server has for one query: little in the first pass, so that one that is down costs little, everything
    /// in those that follow.
    pub(super) fn time_limit(&self, config: &ResolverConfig, pass: u32) -> Duration {
        if pass > 0 {
            return config.timeout;
        }
        let limit =
            self.round_trip.map_or(UNKNOWN_TIMEOUT, |sample| sample.saturating_mul(6).max(MIN_TIMEOUT));
        limit.min(config.timeout)
    }
}

#[derive(Debug)]
pub(super) struct Servers {
    list: Vec<Server>,
    rng: Rng,
}

impl Servers {
    pub(super) fn new(addresses: &[SocketAddr], mut rng: Rng) -> Self {
        let list = addresses.iter().map(|address| Server::new(*address, &mut rng)).collect();
        Self { list, rng }
    }

    /// Takes another list; servers that stay keep what is known of them.
    pub(super) fn replace(&mut self, addresses: &[SocketAddr]) {
        let old = core::mem::take(&mut self.list);
        for address in addresses {
            let known = old.iter().find(|server| server.address == *address).cloned();
            let server = known.unwrap_or_else(|| Server::new(*address, &mut self.rng));
            self.list.push(server);
        }
    }

    pub(super) fn get(&mut self, address: SocketAddr) -> Option<&mut Server> {
        self.list.iter_mut().find(|server| server.address == address)
    }

    /// Puts the servers into `order`, in the order to ask them in.
    pub(super) fn order(&mut self, now: Instant, rotate: bool, order: &mut Vec<SocketAddr>) {
        let start = if rotate { self.rng.below(self.list.len() as u64) as usize } else { 0 };
        let (behind, front) = self.list.split_at(start.min(self.list.len()));
        order.clear();
        order.extend(front.iter().chain(behind).map(|server| server.address));
        self.rank(now, order);
    }

    /// Puts those that are well first.
    pub(super) fn rank(&self, now: Instant, order: &mut [SocketAddr]) {
        if self.list.iter().all(|server| server.failures == 0) {
            return;
        }
        // A stable sort: equals stay in the order of the configuration.
        order.sort_by_key(|address| {
            let server = self.list.iter().find(|server| server.address == *address);
            server.map_or((false, 0), |server| (server.down_until > now, server.failures))
        });
    }

    /// A server that has rested long enough to be tried again beside another, one time in `chance`.
    pub(super) fn probe(&mut self, now: Instant, chance: u32) -> Option<SocketAddr> {
        let healthy = self.list.iter().any(|server| server.failures == 0);
        let rested = self.list.iter().find(|server| server.failures > 0 && server.down_until <= now)?;
        let address = rested.address;
        (healthy && chance > 0 && self.rng.chance(1, u64::from(chance))).then_some(address)
    }

    pub(super) fn succeeded(&mut self, address: SocketAddr, round_trip: Option<Duration>) {
        if let Some(server) = self.get(address) {
            server.failures = 0;
            server.down_until = Instant::ZERO;
            if let Some(sample) = round_trip {
                server.round_trip = Some(server.round_trip.map_or(sample, |old| (old * 7 + sample) / 8));
            }
        }
    }

    pub(super) fn failed(&mut self, now: Instant, address: SocketAddr, config: &ResolverConfig) {
        if let Some(server) = self.get(address) {
            let rest =
                config.cool_down.saturating_mul(1 << server.failures.min(16)).min(config.max_cool_down);
            server.failures = server.failures.saturating_add(1);
            server.down_until = now + rest;
            server.round_trip = None;
            // It may have come back as another machine.
            if !server.cookie.server.is_empty() {
                server.replace_cookie(Bytes::new());
            }
        }
    }
}
