//! The sockets under a driver: orders go out, outcomes come back.

use std::task::Context;

use glowplug_core::{Instant, Rng, Token};
use glowplug_dns::resolver::{Channel, Order};
use glowplug_dns::{ExchangeError, Reply};

use super::links::Links;
use super::ports::Ports;
use super::{SocketConfig, Upstreams};
use crate::Runtime;

/// What came of one order.
pub(super) type Outcome = (Token, Result<Reply, ExchangeError>);

/// All sockets of one driver.
pub(super) struct Wire<R: Runtime> {
    ports: Ports<R>,
    links: Links<R>,
    #[cfg(feature = "dns-https")]
    web: super::https::Web,
}

impl<R: Runtime> Wire<R> {
    #[cfg_attr(not(feature = "dns-https"), expect(unused_mut, reason = "the same signature as with HTTPS"))]
    pub(super) fn new(runtime: &R, config: SocketConfig, mut upstreams: Upstreams, mut rng: Rng) -> Self {
        Self {
            ports: Ports::new(runtime.clone(), config, rng.seed().rng()),
            #[cfg(feature = "dns-https")]
            web: upstreams.take_web(),
            links: Links::new(runtime.clone(), config.stream, upstreams, rng),
        }
    }

    /// Carries an order out. What came of it is told by a later [`poll`](Self::poll).
    pub(super) fn obey(&mut self, now: Instant, order: Order) {
        match order {
            #[cfg(feature = "dns-https")]
            Order::Ask(ask) if self.web.knows(ask.server) => self.web.ask(now, ask),
            // A server that is asked under TLS is asked in no other way.
            Order::Ask(ask) if ask.channel == Channel::Tcp || self.links.is_secure(ask.server) => {
                self.links.ask(now, ask);
            }
            Order::Ask(ask) => self.ports.ask(now, ask),
            Order::Forget(token) => {
                self.ports.forget(token);
                self.links.forget(now, token);
                #[cfg(feature = "dns-https")]
                self.web.forget(token);
            }
        }
    }

    /// Moves what can be moved. The caller's waker is woken when more can be.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, now: Instant, outcomes: &mut Vec<Outcome>) {
        self.ports.poll(cx, now, outcomes);
        self.links.poll(cx, now, outcomes);
        #[cfg(feature = "dns-https")]
        self.web.poll(cx, now, outcomes);
    }

    /// When [`poll`](Self::poll) has something to do even if no socket wakes.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.ports.poll_timeout()
    }

    /// True if something was put on a socket's list since it was last polled.
    pub(super) fn has_work(&self) -> bool {
        self.ports.has_work() || self.links.has_work()
    }
}
