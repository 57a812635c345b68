//! Which address of a name to try next: Happy Eyeballs (RFC 8305).

use alloc::collections::VecDeque;
use core::net::SocketAddr;
use core::time::Duration;

use crate::Instant;

/// Which family a connection is tried over first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FirstFamily {
    /// The family of the first address that was given: for resolvers that sort by RFC 6724, as systems do.
    #[default]
    AsGiven,
    /// IPv6. Should IPv4 addresses come first, they wait for the others for
    /// [`resolution_delay`](ConnectConfig::resolution_delay).
    Ipv6,
}

/// How addresses are raced.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConnectConfig {
    /// How long an attempt runs alone before the next begins (RFC 8305 section 5). Default 250 ms, at least 10 ms.
    pub attempt_delay: Duration,
    /// How long IPv4 addresses wait for IPv6 ones (RFC 8305 section 3), with [`FirstFamily::Ipv6`]. Default 50 ms.
    pub resolution_delay: Duration,
    /// The family to begin with. Default [`FirstFamily::AsGiven`].
    pub first_family: FirstFamily,
    /// How many addresses of one name are tried; what is given beyond is ignored. Default 32.
    pub max_addresses: usize,
    /// How many attempts run side by side. Default 6.
    pub max_in_flight: usize,
}

impl Default for ConnectConfig {
    fn default() -> Self {
        Self {
            attempt_delay: Duration::from_millis(250),
            resolution_delay: Duration::from_millis(50),
            first_family: FirstFamily::AsGiven,
            max_addresses: 32,
            max_in_flight: 6,
        }
    }
}

impl ConnectConfig {
    /// Sets how long an attempt runs alone before the next begins; less than 10 ms is taken as 10 ms (RFC 8305 section 8).
    pub fn attempt_delay(mut self, delay: Duration) -> Self {
        self.attempt_delay = delay.max(Duration::from_millis(10));
        self
    }

    /// Sets how long IPv4 addresses wait for IPv6 ones.
    pub fn resolution_delay(mut self, delay: Duration) -> Self {
        self.resolution_delay = delay;
        self
    }

    /// Sets the family to begin with.
    pub fn first_family(mut self, family: FirstFamily) -> Self {
        self.first_family = family;
        self
    }

    /// Sets how many addresses of one name are tried (at least 1).
    pub fn max_addresses(mut self, addresses: usize) -> Self {
        self.max_addresses = addresses.max(1);
        self
    }

    /// Sets how many attempts run side by side (at least 1).
    pub fn max_in_flight(mut self, attempts: usize) -> Self {
        self.max_in_flight = attempts.max(1);
        self
    }
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectStep {
    /// Begin connecting to this address, beside what is under way.
    Dial(SocketAddr),
    /// Nothing before [`Connect::poll_timeout`], an attempt's end, or more addresses.
    Wait,
    /// Every address was tried and failed, or there never was one.
    Exhausted,
}

/// A race for one connection over the addresses of one name.
///
/// Families alternate; an attempt that does not succeed in time gets company, an attempt that fails is followed at once. The caller dials,
/// reports failures, and drops the machine (and all other attempts) once one succeeds.
///
/// ```
/// use glowplug_core::{Connect, ConnectConfig, ConnectStep, Instant};
/// let mut connect = Connect::new(ConnectConfig::default());
/// let (six, four) = ("[2001:db8::1]:80".parse().unwrap(), "192.0.2.1:80".parse().unwrap());
/// connect.add(Instant::ZERO, [six, four]);
/// connect.resolved();
/// assert_eq!(connect.poll(Instant::ZERO), ConnectStep::Dial(six));
/// assert_eq!(connect.poll(Instant::ZERO), ConnectStep::Wait);
/// let later = connect.poll_timeout().unwrap();
/// assert_eq!(connect.poll(later), ConnectStep::Dial(four));
/// ```
#[derive(Debug)]
pub struct Connect {
    config: ConnectConfig,
    ipv6: VecDeque<SocketAddr>,
    ipv4: VecDeque<SocketAddr>,
    given: usize,
    /// Whose turn it is; unknown until there is an address.
    ipv6_next: Option<bool>,
    resolved: bool,
    in_flight: usize,
    /// The next attempt does not begin before; `None` when nothing keeps it.
    not_before: Option<Instant>,
}

impl Connect {
    /// A race without addresses.
    pub fn new(config: ConnectConfig) -> Self {
        Self {
            config,
            ipv6: VecDeque::new(),
            ipv4: VecDeque::new(),
            given: 0,
            ipv6_next: None,
            resolved: false,
            in_flight: 0,
            not_before: None,
        }
    }

    /// Adds addresses, best first. They may come in several parts, as answers for AAAA and A do.
    pub fn add(&mut self, now: Instant, addresses: impl IntoIterator<Item = SocketAddr>) {
        for address in addresses {
            if self.given >= self.config.max_addresses {
                return;
            }
            let queue = if address.is_ipv6() { &mut self.ipv6 } else { &mut self.ipv4 };
            if queue.contains(&address) {
                continue;
            }
            queue.push_back(address);
            self.given += 1;
            if self.ipv6_next.is_none() {
                self.ipv6_next = Some(match self.config.first_family {
                    FirstFamily::AsGiven => address.is_ipv6(),
                    FirstFamily::Ipv6 => true,
                });
                if self.config.first_family == FirstFamily::Ipv6 && address.is_ipv4() {
                    self.not_before = Some(now + self.config.resolution_delay);
                }
            }
        }
        // The wait was for these.
        if self.in_flight == 0 && !self.ipv6.is_empty() {
            self.not_before = None;
        }
    }

    /// No more addresses will come.
    pub fn resolved(&mut self) {
        self.resolved = true;
        if self.in_flight == 0 {
            self.not_before = None;
        }
    }

    /// What to do next. Ask again until it is not [`ConnectStep::Dial`].
    pub fn poll(&mut self, now: Instant) -> ConnectStep {
        if self.ipv6.is_empty() && self.ipv4.is_empty() {
            let over = self.resolved && self.in_flight == 0;
            return if over { ConnectStep::Exhausted } else { ConnectStep::Wait };
        }
        if self.in_flight >= self.config.max_in_flight || self.not_before.is_some_and(|at| now < at) {
            return ConnectStep::Wait;
        }
        let six = self.ipv6_next.unwrap_or_default();
        let (first, second) =
            if six { (&mut self.ipv6, &mut self.ipv4) } else { (&mut self.ipv4, &mut self.ipv6) };
        let Some(address) = first.pop_front().or_else(|| second.pop_front()) else {
            return ConnectStep::Wait;
        };
        self.ipv6_next = Some(address.is_ipv4());
        self.in_flight += 1;
        self.not_before = Some(now + self.config.attempt_delay);
        ConnectStep::Dial(address)
    }

    /// An attempt failed. The next begins at once.
    pub fn failed(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
        self.not_before = None;
    }

    /// When to ask [`poll`](Self::poll) again, if nothing else happens.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let more = !self.ipv6.is_empty() || !self.ipv4.is_empty();
        let room = self.in_flight < self.config.max_in_flight;
        if more && room { self.not_before } else { None }
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;

    fn six(n: u16) -> SocketAddr {
        SocketAddr::new(core::net::Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, n).into(), 80)
    }

    fn four(n: u8) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, n], 80))
    }

    fn at(milliseconds: u64) -> Instant {
        Instant::ZERO + Duration::from_millis(milliseconds)
    }

    #[test]
    fn families_alternate_and_each_attempt_gets_its_head_start() {
        let mut connect = Connect::new(ConnectConfig::default());
        connect.add(at(0), [six(1), six(2), six(3), four(1), four(2)]);
        connect.resolved();
        let mut dialled = Vec::new();
        let mut now = at(0);
        loop {
            match connect.poll(now) {
                ConnectStep::Dial(address) => dialled.push((now, address)),
                ConnectStep::Wait => match connect.poll_timeout() {
                    Some(at) => now = at,
                    None => break,
                },
                ConnectStep::Exhausted => panic!("attempts are under way"),
            }
        }
        let expected = [(0, six(1)), (250, four(1)), (500, six(2)), (750, four(2)), (1000, six(3))]
            .map(|(t, a)| (at(t), a));
        assert_eq!(dialled, expected);
    }

    #[test]
    fn a_failure_brings_the_next_at_once_and_the_last_failure_ends_it() {
        let mut connect = Connect::new(ConnectConfig::default());
        connect.add(at(0), [four(1), six(1)]);
        connect.resolved();
        assert_eq!(connect.poll(at(0)), ConnectStep::Dial(four(1)), "as given");
        connect.failed();
        assert_eq!(connect.poll(at(1)), ConnectStep::Dial(six(1)));
        connect.failed();
        assert_eq!(connect.poll(at(2)), ConnectStep::Exhausted);
    }

    #[test]
    fn an_early_ipv4_answer_waits_for_ipv6_but_not_for_long() {
        let config = ConnectConfig::default().first_family(FirstFamily::Ipv6);
        let mut connect = Connect::new(config.clone());
        connect.add(at(0), [four(1)]);
        assert_eq!(connect.poll(at(0)), ConnectStep::Wait);
        assert_eq!(connect.poll_timeout(), Some(at(50)));
        connect.add(at(20), [six(1)]);
        assert_eq!(connect.poll(at(20)), ConnectStep::Dial(six(1)));

        let mut alone = Connect::new(config.clone());
        alone.add(at(0), [four(1)]);
        assert_eq!(alone.poll(at(50)), ConnectStep::Dial(four(1)));

        let mut told = Connect::new(config);
        told.add(at(0), [four(1)]);
        told.resolved();
        assert_eq!(told.poll(at(0)), ConnectStep::Dial(four(1)), "there is nothing to wait for");
    }

    #[test]
    fn addresses_and_attempts_are_bounded_and_doubles_count_once() {
        let config = ConnectConfig::default().max_addresses(3).max_in_flight(2);
        let mut connect = Connect::new(config);
        connect.add(at(0), [four(1), four(1), four(2), four(3), four(4)]);
        connect.resolved();
        assert_eq!(connect.poll(at(0)), ConnectStep::Dial(four(1)));
        assert_eq!(connect.poll(at(250)), ConnectStep::Dial(four(2)));
        assert_eq!(connect.poll(at(9000)), ConnectStep::Wait, "two are under way");
        assert_eq!(connect.poll_timeout(), None);
        connect.failed();
        assert_eq!(connect.poll(at(9000)), ConnectStep::Dial(four(3)));
        connect.failed();
        connect.failed();
        assert_eq!(connect.poll(at(9000)), ConnectStep::Exhausted);
    }

    #[test]
    fn no_address_at_all_is_exhausted_once_that_is_known() {
        let mut connect = Connect::new(ConnectConfig::default());
        assert_eq!(connect.poll(at(0)), ConnectStep::Wait);
        connect.resolved();
        assert_eq!(connect.poll(at(0)), ConnectStep::Exhausted);
    }
}
