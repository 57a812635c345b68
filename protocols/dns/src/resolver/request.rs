//! What is asked of a resolver, and what it asks for.

use alloc::string::String;
use core::net::{IpAddr, SocketAddr};

use glowplug_core::{Instant, Token};

use crate::query::Query;
use crate::wire::{Name, RecordType};

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
        /// That there are none is an answer as well, with the SOA record that says so, and no error.
        absence: bool,
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
        Self::Records { name, rtype, absence: false }
    }

    /// The records of one type at one name, or that there are none.
    pub fn whole(name: Name, rtype: RecordType) -> Self {
        Self::Records { name, rtype, absence: true }
    }
}

/// What the resolver wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// Ask a server, and tell [`Resolver::handle_reply`](super::Resolver::handle_reply) what came of it.
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
    /// When another server is asked. An exchange over UDP ends then; one over a stream may go on until [`Order::Forget`], since
    /// its answer still counts.
    pub deadline: Instant,
}
