//! One question on its way through the servers, for everybody who waits for it.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::SocketAddr;

use glowplug_core::{Instant, Token};

use super::answer::{Finding, LookupError};
use super::servers::Servers;
use super::{Channel, ResolverConfig};
use crate::query::{Query, Reply};
use crate::wire::{Edns, EdnsOption, Flags, Name, OptionCode, Rcode, RecordType};

#[derive(Debug)]
pub(super) struct Flight {
    /// Of name and type.
    pub(super) hash: u64,
    pub(super) name: Name,
    pub(super) rtype: RecordType,
    /// Lookups, and which of their legs.
    pub(super) waiters: Vec<(Token, usize)>,
    /// The servers in the order of this flight.
    order: Vec<SocketAddr>,
    position: usize,
    pub(super) pass: u32,
    pub(super) exchange: Option<Token>,
    /// Exchanges whose time was up, and whose answers would still count.
    pub(super) late: Vec<Token>,
    pub(super) channel: Channel,
    edns: bool,
    /// True once the query was sent again for its cookie.
    cookie_renewed: bool,
    pub(super) failure: LookupError,
    /// What is in the cache, out of date, and since when.
    pub(super) stale: Option<(Arc<Finding>, Instant)>,
    /// When the waiters take that.
    pub(super) stale_at: Option<Instant>,
}

/// The lists of a flight, which pass from one to the next for their memory.
#[derive(Debug, Default)]
pub(super) struct Lists {
    pub(super) waiters: Vec<(Token, usize)>,
    pub(super) order: Vec<SocketAddr>,
}

/// What a reply means for its flight.
#[derive(Debug)]
pub(super) enum Step {
    /// The answer.
    Found(Arc<Finding>),
    /// The same server again: over TCP, without EDNS, or with its new cookie.
    Again,
    /// The server is of no use for this; it may be in good health all the same.
    Next(LookupError),
}

impl Flight {
    pub(super) fn new(
        hash: u64,
        name: Name,
        rtype: RecordType,
        lists: Lists,
        config: &ResolverConfig,
    ) -> Self {
        Self {
            hash,
            name,
            rtype,
            waiters: lists.waiters,
            order: lists.order,
            position: 0,
            pass: 0,
            exchange: None,
            late: Vec::new(),
            channel: Self::first_channel(config),
            edns: true,
            cookie_renewed: false,
            failure: LookupError::NoServers,
            stale: None,
            stale_at: None,
        }
    }

    /// What of an ended flight may serve another.
    pub(super) fn into_lists(self) -> Lists {
        let (mut waiters, mut order) = (self.waiters, self.order);
        waiters.clear();
        order.clear();
        Lists { waiters, order }
    }

    fn first_channel(config: &ResolverConfig) -> Channel {
        if config.tcp_only { Channel::Tcp } else { Channel::Udp }
    }

    /// The server whose turn it is.
    pub(super) fn server(&self) -> Option<SocketAddr> {
        self.order.get(self.position).copied()
    }

    /// True if nothing is to be waited for: a server has said why not, or nobody who was asked can answer any more.
    pub(super) fn is_hopeless(&self) -> bool {
        self.late.is_empty() || self.waiters.is_empty() || !matches!(self.failure, LookupError::Exchange(_))
    }

    /// Starts with the first pass again.
    pub(super) fn begin_again(&mut self, now: Instant, servers: &Servers, config: &ResolverConfig) {
        self.channel = Self::first_channel(config);
        (self.edns, self.cookie_renewed) = (true, false);
        (self.position, self.pass) = (0, 0);
        servers.rank(now, &mut self.order);
    }

    /// Goes on to the next server; false when all had their turns.
    pub(super) fn advance(&mut self, now: Instant, servers: &Servers, config: &ResolverConfig) -> bool {
        self.channel = Self::first_channel(config);
        self.edns = true;
        self.cookie_renewed = false;
        self.position += 1;
        if self.position >= self.order.len() {
            self.position = 0;
            self.pass += 1;
            // Each pass begins with those that are known to be well by now.
            servers.rank(now, &mut self.order);
        }
        self.pass <= config.attempts && !self.order.is_empty()
    }

    pub(super) fn query(
        &self,
        now: Instant,
        server: SocketAddr,
        servers: &mut Servers,
        config: &ResolverConfig,
    ) -> Query {
        let mut query = Query::new(self.name.clone(), self.rtype);
        // RFC 6840 section 5.7: AD in a query says that the flag in the answer is understood.
        query.flags = Flags::default().with_recursion_desired(true).with_authentic_data(true);
        let known = servers.get(server);
        query.edns = (self.edns && known.as_ref().is_none_or(|server| server.knows_edns(now))).then(|| {
            let mut edns = Edns {
                udp_payload_size: config.udp_payload_size,
                dnssec_ok: config.dnssec_ok,
                ..Edns::default()
            };
            if self.channel == Channel::Tcp {
                // RFC 7828 section 3.2.1: asks how long the connection may idle.
                edns.options.push(EdnsOption::Keepalive(None));
            }
            edns
        });
        query.cookie = known
            .filter(|_| query.edns.is_some() && config.cookies && self.channel == Channel::Udp)
            .map(|server| Arc::clone(&server.cookie));
        query
    }

    /// The answer in a reply that came after its time, if it is one.
    pub(super) fn read_late(&self, reply: &Reply, config: &ResolverConfig) -> Option<Arc<Finding>> {
        let view = reply.view();
        let rcode = view.rcode().ok()?;
        let answers = matches!(rcode, Rcode::NOERROR | Rcode::NXDOMAIN) && !reply.is_truncated();
        answers.then(|| Finding::read(view, rcode, &self.name, self.rtype, config).ok().map(Arc::new))?
    }

    /// Reads a reply to this flight's question.
    pub(super) fn read(
        &mut self,
        now: Instant,
        reply: &Reply,
        server: SocketAddr,
        servers: &mut Servers,
        config: &ResolverConfig,
    ) -> Step {
        let view = reply.view();
        if reply.is_truncated() && self.channel == Channel::Udp {
            self.channel = Channel::Tcp;
            return Step::Again;
        }
        let opt = match view.opt() {
            Ok(opt) => opt,
            Err(error) => return Step::Next(LookupError::Malformed(error)),
        };
        let rcode = view.rcode_with(opt);
        if let Some(cookie) = opt.and_then(|opt| opt.option(OptionCode::COOKIE))
            && let (Some(server), Some(cookie)) = (servers.get(server), cookie.get(8..))
        {
            server.set_server_cookie(cookie);
        }
        let edns_known = servers.get(server).is_none_or(|server| server.knows_edns(now));
        match rcode {
            Rcode::NOERROR | Rcode::NXDOMAIN => {
                match Finding::read(view, rcode, &self.name, self.rtype, config) {
                    Ok(finding) => Step::Found(Arc::new(finding)),
                    Err(error) => Step::Next(error),
                }
            }
            // RFC 6891 section 7: a server that does not know EDNS says so in one of these ways.
            Rcode::FORMERR | Rcode::NOTIMP | Rcode::BADVERS if self.edns && edns_known => {
                self.edns = false;
                if opt.is_none()
                    && let Some(server) = servers.get(server)
                {
                    server.spare_edns(now);
                }
                Step::Again
            }
            // RFC 7873 section 5.3: once more with the cookie that came with this; then over TCP.
            Rcode::BADCOOKIE if self.channel == Channel::Udp => {
                if self.cookie_renewed {
                    self.channel = Channel::Tcp;
                }
                self.cookie_renewed = true;
                Step::Again
            }
            rcode => Step::Next(LookupError::Refused(rcode)),
        }
    }
}
